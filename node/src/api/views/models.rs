//! Models, their versions, what was given to them.

use allod_protocol::{
    ground::ids::{
        AccountId, ArtifactId, ContentHash, Handle, Height, ModelId, ModelName, Timestamp, Units, VersionLabel,
    },
    ground::openapi::Wide,
    rules::{
        contribution::Contribution,
        emergency::VersionStop,
        model::{Model, Version, VersionRef, VersionStatus},
        round::Round,
        standing::{Concern, Standing},
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

/// What versions were made from, and what was made from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageView {
    /// The versions, that asked for first, the nearer before the farther.
    pub versions: Vec<LineageVersion>,
    /// Which was made from which.
    pub edges: Vec<LineageEdge>,
    /// Whether there are more than are shown.
    pub truncated: bool,
}

/// A version in a lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageVersion {
    /// The model.
    pub model: ModelId,
    /// The model's name.
    pub model_name: Option<ModelName>,
    /// The version's label.
    pub label: VersionLabel,
    /// The artifact.
    pub artifact: ArtifactId,
    /// Where it stands.
    pub status: VersionStatus,
    /// What is the matter with it.
    pub concerns: Vec<Concern>,
    /// Steps from the version asked for; negative towards what it was made from.
    pub distance: i32,
}

/// That a version was made from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageEdge {
    /// What it was made from.
    pub parent: VersionRef,
    /// What was made.
    pub child: VersionRef,
}

/// A contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContributionView {
    /// The record.
    #[serde(flatten)]
    pub contribution: Contribution,
    /// The model's name.
    pub model_name: Option<ModelName>,
    /// The giver's handle.
    pub giver_handle: Option<Handle>,
    /// The handles of the stewards who countersigned it, in the order of the record.
    pub countersigned_handles: Vec<Option<Handle>>,
    /// The handles of the stewards who declined it, in the order of the record.
    pub declined_handles: Vec<Option<Handle>>,
    /// How many stewards have to countersign it for it to count.
    pub countersigners: u32,
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

/// A round of contributions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoundView {
    /// The record: its plan, its sums, where it stands.
    #[serde(flatten)]
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
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// The sum. As long as `seals` is not 0 it counts nothing.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub score: u64,
    /// Amounts that it sealed and has not told.
    pub seals: u64,
    /// What of the sum is in dispute, or was when the round closed.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub disputed: u64,
    /// The units that it got, or would get if the round closed now by the same rule; none where there are more givers
    /// than that is computed for.
    pub units: Option<Units>,
    /// The handle that names those with whom it shares the round's cap, if it shares it.
    pub cap_shared_with: Option<Handle>,
}
