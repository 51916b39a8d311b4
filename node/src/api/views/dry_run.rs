//! What would come of a proposal that nobody has put yet.

use super::GateView;
use allod_protocol::{
    ground::{
        ids::{AccountId, BasisPoints, Handle, Height, Timestamp, Units},
        openapi::Wide,
    },
    rules::{event::Event, policy::Rule, proposal::OpenProposal},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A proposal to try out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunRequest {
    /// Who would ask: a handle or an id.
    pub sender: String,
    /// What would be asked.
    pub proposal: OpenProposal,
}

/// What would come of a proposal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRunView {
    /// The height after which the ledger stood when it was tried.
    pub height: Height,
    /// The class of decision.
    pub class: String,
    /// The rule that would judge it.
    pub rule: Rule,
    /// That rule in plain words.
    pub rule_text: String,
    /// What each of its actions does, in words.
    pub does: Vec<String>,
    /// What would have to be attested first, and what has been.
    pub attested: Vec<GateView>,
    /// When ballots would stop, in milliseconds since 1970.
    pub closes: Timestamp,
    /// The whole weight that could answer.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub electorate: u64,
    /// Who could keep it from passing.
    pub blocking: BlockingView,
    /// What its actions would do, or why they could not be done.
    pub outcome: DryRunOutcome,
    /// What they would do to the register: every line before and after. Null if they leave it and the policy as they are,
    /// or there are more than 10,000 holders.
    pub effect: Option<EffectView>,
    /// Every record that its actions would change.
    pub changes: Vec<RecordChange>,
}

/// What a proposal's actions would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DryRunOutcome {
    /// They would be done: what would happen, in order.
    Done(Vec<Event>),
    /// One of them could not be done, so none would be.
    Refused(RefusalView),
}

/// A rule that the state does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalView {
    /// A stable code for programs.
    pub code: String,
    /// What is in the way, and what to do.
    pub detail: String,
}

/// One record before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordChange {
    /// What kind of record.
    pub family: String,
    /// Its key, by fields.
    pub key: Value,
    /// As it stands; null if it would be new.
    pub before: Option<Value>,
    /// As it would stand; null if it would be removed.
    pub after: Option<Value>,
}

/// What a decision does to a register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectView {
    /// Every line, the largest first.
    pub lines: Vec<LineEffect>,
    /// Holders who can stop decisions alone now, and could not afterwards.
    pub lose_block: Vec<LostBlock>,
}

/// One line before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineEffect {
    /// The holder.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// Its units now.
    pub before: Units,
    /// Its units afterwards.
    pub after: Units,
    /// Its part now, in ten-thousandths; those of all lines add up to 10,000.
    pub basis_points_before: BasisPoints,
    /// Its part afterwards.
    pub basis_points_after: BasisPoints,
}

/// A holder that loses the weight to stop decisions alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LostBlock {
    /// Who.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// Of which classes.
    pub classes: Vec<String>,
}

/// Who could keep a decision from passing by saying no, with all others for it. What holders delegated to others counts
/// as their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockingView {
    /// The weight that is enough.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub weight: u64,
    /// Holders who have it alone, the heaviest first; at most 100 are listed.
    pub alone: Vec<WeightView>,
    /// The fewest holders who have it together, the heaviest first; at most 100 are listed. Empty for the network, where
    /// any that number of members will do.
    pub smallest_group: Vec<WeightView>,
    /// How many they are; null where it is not worked out, because a model has more than 10,000 holders.
    pub smallest_group_size: Option<u64>,
}

/// What a holder counts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WeightView {
    /// The holder.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// Its weight.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub weight: u64,
}
