//! Models and their versions.

use allod_protocol::{
    ground::ids::{ContentHash, Handle, Height, ModelName, Timestamp, Units},
    rules::{
        emergency::VersionStop,
        model::{Model, Version},
        standing::Standing,
    },
};
use allod_storage::artifacts::Contents;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelView {
    /// The record, its policy included.
    #[serde(flatten)]
    pub model: Model,
    /// The founder's handle.
    pub founder_handle: Option<Handle>,
    /// The stewards' handles, in the order of `stewards`.
    pub steward_handles: Vec<Option<Handle>>,
    /// All units of its register together.
    pub total_units: Units,
    /// Accounts that hold at least one unit.
    pub holders: u64,
    /// Lines of the register's history so far.
    pub share_changes: u64,
    /// Contributions recorded so far.
    pub contributions: u64,
    /// Proposals opened so far.
    pub proposals: u64,
    /// Rounds opened so far.
    pub rounds: u64,
    /// Disputes opened so far.
    pub disputes: u64,
    /// Incidents reported so far.
    pub incidents: u64,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// The record.
    #[serde(flatten)]
    pub version: Version,
    /// The model's name.
    pub model_name: Option<ModelName>,
    /// The publisher's handle.
    pub publisher_handle: Option<Handle>,
    /// Whether this peer holds the artifact whole.
    pub stored_here: bool,
    /// What is the matter with it and with what it was made from; in lists, only a few ancestors are looked at.
    pub standing: Standing,
    /// What the artifact says of itself, if it is here; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
}

/// An emergency stop of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopView {
    /// The record.
    #[serde(flatten)]
    pub stop: VersionStop,
    /// The handle of who stopped it.
    pub handle: Option<Handle>,
}

/// That an account knew an artifact which it has not published yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitmentView {
    /// What stands for the artifact: nobody can tell its address from it.
    pub hash: ContentHash,
    /// In which block it was made.
    pub height: Height,
    /// Until when it counts, in milliseconds since 1970.
    pub until: Timestamp,
}
