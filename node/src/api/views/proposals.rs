//! Proposals, and the answers to them.

use super::{BuyerView, EffectView};
use allod_protocol::{
    ground::{
        ids::{AccountId, ArtifactId, Handle, ModelName, Name, VersionLabel},
        openapi::Wide,
    },
    rules::{
        attestation::Finding,
        policy::{Outlook, Tally},
        proposal::{Ballot, Proposal},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A proposal and where it is heading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalView {
    /// The record: scope, actions, rule, status.
    #[serde(flatten)]
    pub proposal: Proposal,
    /// The sums of its ballots so far, in weight, and how many answered.
    pub tally: Tally,
    /// The model's name, when the scope is a model.
    pub model_name: Option<ModelName>,
    /// The proposer's handle.
    pub proposer_handle: Option<Handle>,
    /// What each of its actions does, in words: what the ledger will do, whatever the title says.
    pub does: Vec<String>,
    /// What the tally comes to now, and what is still needed to pass.
    pub outlook: Outlook,
    /// Whether no ballot of those who have not answered could change that.
    pub settled: bool,
    /// The rule in plain words.
    pub rule_text: String,
    /// The handle of the account that may stop it.
    pub guardian_handle: Option<Handle>,
    /// Who would get units of the proposer, and whether it accepted them; until then they do not move.
    pub buyers: Vec<BuyerView>,
    /// What must be attested before it is executed, and what has been.
    pub attested: Vec<GateView>,
    /// Why what passed could not be carried out, in words; null unless it could not.
    pub reason_text: Option<String>,
    /// Milliseconds until ballots stop, by this peer's clock; 0 when they have, null when ballots are over.
    pub ends_in_ms: Option<u64>,
    /// Milliseconds until what passed can be executed, by this peer's clock; 0 when it can, null unless it is queued.
    pub ready_in_ms: Option<u64>,
    /// What it would do to the register if it were carried out now; left out in lists, once it is over, and where it
    /// changes neither the register nor the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectView>,
}

/// What must be attested of one version before it is released, and what has been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateView {
    /// The version's label.
    pub label: VersionLabel,
    /// Its artifact; null if there is no such version.
    pub artifact: Option<ArtifactId>,
    /// What is attested.
    pub statement: Name,
    /// How many accounts must say that it passed.
    pub needed: u32,
    /// How many have.
    pub passed: u32,
    /// How many that say `passed`, and are more than those that say `failed`, outvote them; null for never.
    pub outvoted_by: Option<u32>,
    /// Whether it lets the release through: `met`, `failed` (somebody says so and is not outvoted), or `lacking`.
    pub verdict: String,
    /// Those whose word counts, and what each said last.
    pub attestors: Vec<AttestorView>,
}

/// What an account whose word counts said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestorView {
    /// The account.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// Whether it accepted the role; what it found does not count otherwise.
    pub accepted: bool,
    /// What it found: `passed`, `failed`, or `withdrawn`; null if it has said nothing.
    pub finding: Option<Finding>,
    /// In its words.
    pub note: String,
}

/// An answer to a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BallotView {
    /// The record.
    #[serde(flatten)]
    pub ballot: Ballot,
    /// The handle of who answered.
    pub handle: Option<Handle>,
}

/// An account that could answer a proposal and has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnansweredView {
    /// The account.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// The weight of its own.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub weight: u64,
    /// Whom it delegated to when the proposal was opened; null if nobody.
    pub delegate: Option<AccountId>,
    /// The delegate's handle.
    pub delegate_handle: Option<Handle>,
    /// Whether the delegate has answered, for this account too.
    pub delegate_answered: bool,
    /// Whether it was dormant when the proposal was opened, and does not count for the quorum until it speaks.
    pub is_dormant: bool,
}
