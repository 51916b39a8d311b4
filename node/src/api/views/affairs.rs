//! What is answered about the affairs of models and accounts: rounds, disputes, incidents, recovery, approvals.

use crate::api::schema;
use allod_protocol::{
    ground::ids::{AccountId, Handle, ModelName, Units},
    rules::{
        account::KeyPolicy,
        approval::Approval,
        dispute::Dispute,
        incident::{Incident, IncidentUpdate},
        recovery::{Recovery, RecoveryPolicy, Unsettled},
        round::Round,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A round of contributions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoundView {
    /// The record: its plan, its sums, where it stands.
    #[serde(flatten)]
    #[schema(value_type = schema::RoundRecord)]
    pub round: Round,
    /// What the decision that opened it does, in words.
    pub decision_does: Vec<String>,
    /// The title of that decision, in its proposer's words.
    pub decision_title: Option<String>,
    /// What each giver's contributions count and what it gets for them, the most first; left out in lists. At most 500
    /// are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<ScoreView>>,
}

/// What a giver's countersigned contributions count in a round, and what it gets for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreView {
    /// The giver.
    #[schema(value_type = schema::Hex32)]
    pub account: AccountId,
    /// Its handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The sum. As long as `seals` is not 0 it counts nothing.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = schema::Wide)]
    pub score: u64,
    /// Amounts that it sealed and has not told.
    pub seals: u64,
    /// What of the sum is in dispute, or was when the round closed.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = schema::Wide)]
    pub disputed: u64,
    /// The units that it got, or would get if the round closed now by the same rule; none where there are more givers
    /// than that is computed for.
    #[schema(value_type = Option<schema::Wide>)]
    pub units: Option<Units>,
    /// The handle that names those with whom it shares the round's cap, if it shares it.
    #[schema(value_type = Option<String>)]
    pub cap_shared_with: Option<Handle>,
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisputeView {
    /// The record: what is challenged, what the parties say, how it stands.
    #[serde(flatten)]
    #[schema(value_type = schema::DisputeRecord)]
    pub dispute: Dispute,
    /// The model's name.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
    /// The handle of who challenges.
    #[schema(value_type = Option<String>)]
    pub challenger_handle: Option<Handle>,
    /// The handle of whom it is against.
    #[schema(value_type = Option<String>)]
    pub respondent_handle: Option<Handle>,
    /// The handles of the arbiters who ruled, in the order of `rulings`.
    #[schema(value_type = Vec<Option<String>>)]
    pub arbiter_handles: Vec<Option<Handle>>,
    /// Who sits on it now; nobody where too few can, so that it is for the owners.
    #[schema(value_type = Vec<schema::Hex32>)]
    pub sitting: Vec<AccountId>,
    /// Their handles, in the same order.
    #[schema(value_type = Vec<Option<String>>)]
    pub sitting_handles: Vec<Option<Handle>>,
    /// How long the challenger is barred from challenging in this model if it loses, in milliseconds.
    pub loss_bars_ms: u64,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::IncidentRecord)]
    pub incident: Incident,
    /// The model's name.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
    /// The handle of who reported it.
    #[schema(value_type = Option<String>)]
    pub reporter_handle: Option<Handle>,
    /// The handle of who is named to answer for it.
    #[schema(value_type = Option<String>)]
    pub responsible_handle: Option<Handle>,
    /// What that account answered: `offered`, `accepted` or `resigned`; only who accepted answers for it.
    pub responsible_answer: Option<String>,
    /// The handles of those who were ever named, in the order of `named`.
    #[schema(value_type = Vec<Option<String>>)]
    pub named_handles: Vec<Option<Handle>>,
    /// Its history, the oldest step first; left out in lists. At most 500 steps are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<IncidentStepView>>,
}

/// One step of an incident's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentStepView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::IncidentUpdateRecord)]
    pub update: IncidentUpdate,
    /// The handle of who wrote it.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The handle of who is named to answer for it from then on.
    #[schema(value_type = Option<String>)]
    pub responsible_handle: Option<Handle>,
}

/// Who can give an account new keys, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryView {
    /// Who and how; null if nobody can.
    #[schema(value_type = Option<schema::Record>)]
    pub policy: Option<RecoveryPolicy>,
    /// Whether as many guardians as are needed have accepted; until then nobody can give the account new keys.
    pub in_force: bool,
    /// What each guardian says.
    pub guardians: Vec<GuardianView>,
    /// The recovery under way: the keys that the account gets, how far it is, and when; null if there is none.
    #[schema(value_type = Option<schema::Record>)]
    pub pending: Option<Recovery>,
    /// What fewer than all of its keys asked of its keys and guardians, and when it is settled; null if nothing waits.
    #[schema(value_type = Option<schema::Record>)]
    pub unsettled: Option<Unsettled>,
}

/// An account that another one is a guardian of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuardedView {
    /// The account.
    #[schema(value_type = schema::Hex32)]
    pub account: AccountId,
    /// Its handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The recovery under way; null if there is none.
    #[schema(value_type = Option<schema::Record>)]
    pub pending: Option<Recovery>,
    /// What fewer than all of its keys asked: the guardians can act until it is settled; null if nothing waits.
    #[schema(value_type = Option<schema::Record>)]
    pub unsettled: Option<Unsettled>,
}

/// What a guardian says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuardianView {
    /// The guardian.
    #[schema(value_type = schema::Hex32)]
    pub account: AccountId,
    /// Its handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// Whether it accepted to be one; until then it does not count.
    pub accepted: bool,
    /// The keys that it says the account should get; null if it says nothing.
    #[schema(value_type = Option<schema::Record>)]
    pub keys: Option<KeyPolicy>,
}

/// A request that waits for signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// The record: what is asked, which keys have signed, when it is dropped.
    #[serde(flatten)]
    #[schema(value_type = schema::ApprovalRecord)]
    pub approval: Approval,
    /// The account's handle.
    #[schema(value_type = Option<String>)]
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
