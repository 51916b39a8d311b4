//! Disputes and incidents.

use allod_protocol::{
    ground::ids::{AccountId, Handle, ModelName},
    rules::{
        dispute::Dispute,
        incident::{Incident, IncidentUpdate},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisputeView {
    /// The record: what is challenged, what the parties say, how it stands.
    #[serde(flatten)]
    pub dispute: Dispute,
    /// The model's name.
    pub model_name: Option<ModelName>,
    /// The handle of who challenges.
    pub challenger_handle: Option<Handle>,
    /// The handle of whom it is against.
    pub respondent_handle: Option<Handle>,
    /// The handles of the arbiters who ruled, in the order of `rulings`.
    pub arbiter_handles: Vec<Option<Handle>>,
    /// Who sits on it now; nobody where too few can, so that it is for the owners.
    pub sitting: Vec<AccountId>,
    /// Their handles, in the same order.
    pub sitting_handles: Vec<Option<Handle>>,
    /// How long the challenger is barred from challenging in this model if it loses, in milliseconds.
    pub loss_bars_ms: u64,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    /// The record.
    #[serde(flatten)]
    pub incident: Incident,
    /// The model's name.
    pub model_name: Option<ModelName>,
    /// The handle of who reported it.
    pub reporter_handle: Option<Handle>,
    /// The handle of who is named to answer for it.
    pub responsible_handle: Option<Handle>,
    /// What that account answered: `offered`, `accepted` or `resigned`; only who accepted answers for it.
    pub responsible_answer: Option<String>,
    /// The handles of those who were ever named, in the order of `named`.
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
    pub update: IncidentUpdate,
    /// The handle of who wrote it.
    pub handle: Option<Handle>,
    /// The handle of who is named to answer for it from then on.
    pub responsible_handle: Option<Handle>,
}
