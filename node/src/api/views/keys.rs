//! The keys of accounts: recovery, guardians, requests that wait for signatures.

use allod_protocol::{
    ground::ids::{AccountId, Handle},
    rules::{
        account::KeyPolicy,
        approval::Approval,
        recovery::{Recovery, RecoveryPolicy, Unsettled},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who can give an account new keys, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryView {
    /// Who and how; null if nobody can.
    pub policy: Option<RecoveryPolicy>,
    /// Whether as many guardians as are needed have accepted; until then nobody can give the account new keys.
    pub in_force: bool,
    /// What each guardian says.
    pub guardians: Vec<GuardianView>,
    /// The recovery under way: the keys that the account gets, how far it is, and when; null if there is none.
    pub pending: Option<Recovery>,
    /// What fewer than all of its keys asked of its keys and guardians, and when it is settled; null if nothing waits.
    pub unsettled: Option<Unsettled>,
}

/// An account that another one is a guardian of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuardedView {
    /// The account.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// The recovery under way; null if there is none.
    pub pending: Option<Recovery>,
    /// What fewer than all of its keys asked: the guardians can act until it is settled; null if nothing waits.
    pub unsettled: Option<Unsettled>,
}

/// What a guardian says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuardianView {
    /// The guardian.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// Whether it accepted to be one; until then it does not count.
    pub accepted: bool,
    /// The keys that it says the account should get; null if it says nothing.
    pub keys: Option<KeyPolicy>,
}

/// A request that waits for signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// The record: what is asked, which keys have signed, when it is dropped.
    #[serde(flatten)]
    pub approval: Approval,
    /// The account's handle.
    pub handle: Option<Handle>,
    /// What it would do, in words: whoever signs it agrees to that.
    pub does: String,
    /// What the keys that have signed weigh together.
    pub weight: u64,
    /// What the keys that are against it weigh together.
    pub weight_against: u64,
    /// What either must reach: the account's threshold, or the weight of all its keys where every key is asked.
    pub threshold: u64,
}
