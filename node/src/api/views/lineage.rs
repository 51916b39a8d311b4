//! What versions were made from, and what was made from them.

use allod_protocol::{
    ground::ids::{ArtifactId, ModelId, ModelName, VersionLabel},
    rules::{
        model::{VersionRef, VersionStatus},
        standing::Concern,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
