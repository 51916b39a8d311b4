//! Accounts, and the peers that read for them.

use allod_protocol::{
    ground::ids::Handle,
    rules::{access::PeerBinding, account::Account, control::Epoch},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// The record.
    #[serde(flatten)]
    pub account: Account,
    /// The handle of the account that admitted it.
    pub sponsor_handle: Option<Handle>,
    /// Its keys as `did:key` identifiers, in the order of `keys`.
    pub did_keys: Vec<String>,
    /// The title of the decision that suspended it; null if it is not suspended.
    pub suspension_title: Option<String>,
    /// With which keys its present control began, and at which height; null if no keys of it were ever replaced.
    pub control: Option<Epoch>,
}

/// A peer that reads for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerBindingView {
    /// The record.
    #[serde(flatten)]
    pub binding: PeerBinding,
    /// The peer's id on the swarm.
    pub peer_id: Option<String>,
}
