//! Artifacts in this peer's store, and what garbage collection removes of them.

use allod_protocol::{
    ground::ids::{ArtifactId, ModelName, VersionLabel},
    rules::{
        artifact::{Artifact, ManifestFile},
        standing::Standing,
    },
};
use allod_storage::artifacts::Contents;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An artifact in this peer's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// The artifact.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Whether the operator pinned it, so that no collection removes it.
    #[serde(default)]
    pub pinned: bool,
    /// Whether a publish brought it that the ledger has not answered: it is pinned then, or removed.
    #[serde(default)]
    pub awaited: bool,
    /// Whether something of it was found damaged: it is not served until that is mended.
    #[serde(default)]
    pub damaged: bool,
    /// The versions it is, of the models on the ledger.
    pub versions: Vec<ArtifactVersion>,
    /// What is the matter with the version that it is of the model that governs it.
    pub standing: Standing,
    /// The files of a collection; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Vec<ManifestFile>>,
    /// What it says of itself; left out in lists.
    #[serde(flatten)]
    pub contents: Contents,
}

/// A version that an artifact is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactVersion {
    /// The model's name.
    pub model: ModelName,
    /// The version's label.
    pub label: VersionLabel,
}

/// Who has an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvidersView {
    /// The artifact.
    pub address: ArtifactId,
    /// The peers that announced it, this one included if it has it.
    pub providers: Vec<String>,
    /// Whether the search ended by itself; false if its time was up first, so that there may be more.
    pub complete: bool,
}

/// Whether a pin changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PinView {
    /// Whether the artifact is pinned now.
    pub pinned: bool,
    /// Whether it was otherwise before.
    pub changed: bool,
}

/// Collect what nobody needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectRequest {
    /// Remove nothing; say what would go.
    #[serde(default)]
    pub dry_run: bool,
    /// Give up interrupted fetches too, which others may take up for a week otherwise.
    #[serde(default)]
    pub downloads: bool,
}

/// What a collection removed, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectedView {
    /// Artifacts.
    pub artifacts: Vec<ArtifactId>,
    /// Blobs that no remaining artifact names, those of the artifacts included.
    pub blobs: u64,
    /// Downloads that nobody took up for a week.
    pub downloads: u64,
    /// Bytes on disk that this frees.
    pub freed_bytes: u64,
    /// Bytes on disk that the store takes now.
    pub used_bytes: u64,
    /// How many it may take; null for as many as there are.
    pub quota_bytes: Option<u64>,
}

/// How far work on bytes has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressView {
    /// Bytes done.
    pub done_bytes: u64,
    /// Bytes to do in all; 0 while that is not known.
    pub total_bytes: u64,
    /// Bytes a second since the start.
    pub bytes_per_second: u64,
}
