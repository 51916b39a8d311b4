//! Imports of artifacts, and what becomes of them.

use super::{Problem, ProgressView};
use allod_protocol::{
    ground::ids::{ContentHash, ModelId},
    rules::artifact::Artifact,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the store copies the bytes, shares the files, or remembers where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportModeView {
    /// The bytes are copied.
    #[default]
    Copy,
    /// The files get a second name in the store, on the same file system. Nobody may write into them.
    HardLink,
    /// The path is remembered; the file must stay as it is.
    Reference,
}

/// Take a file or a directory of the node's machine into the store, announce and serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// An absolute path on the node's machine.
    pub path: String,
    /// Copy, share the files, or remember where they lie.
    #[serde(default)]
    pub mode: ImportModeView,
    /// The model of which it is to be a version. It is pinned from the block on that has the version. Until then, if the
    /// model is not for everybody, it is served to nobody. If the ledger does not answer, or
    /// `DELETE /v1/artifacts/{address}/publication` says that it refused, what the import brought is removed.
    #[serde(default)]
    pub version_of: Option<ModelId>,
    /// How long the ledger may take to answer, in milliseconds of block time; an hour unless given.
    #[serde(default)]
    pub answer_ms: Option<u64>,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublishedView {
    /// As the ledger records it.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// SHA-256 of the file, or of the manifest's bytes.
    pub sha256: ContentHash,
    /// Bytes that were not in the store before.
    pub new_bytes: u64,
    /// Paths that were left out of a collection: version control, caches, unfinished downloads.
    pub excluded: Vec<String>,
    /// Seconds it took.
    pub elapsed_seconds: f64,
}

/// One line of the answer to an import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportLine {
    /// How far it has come.
    Progress(ProgressView),
    /// It is done; the last line.
    Artifact(PublishedView),
    /// It failed; the last line.
    Error(Problem),
}

/// What became of a publish that the ledger refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LetGoView {
    /// Whether the artifact is removed; not if the ledger has the version, or the artifact was here before.
    pub removed: bool,
}
