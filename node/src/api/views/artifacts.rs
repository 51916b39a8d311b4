//! Artifacts: what this peer holds, imports, fetches and verifies.

use super::Problem;
use allod_protocol::{
    ground::ids::{ArtifactId, ContentHash, Handle, ModelId, ModelName, VersionLabel},
    rules::{
        artifact::{Artifact, ArtifactKind, ManifestFile},
        attestation::Attestation,
        model::VersionRef,
        standing::{ConcernKind, Standing},
    },
};
use allod_storage::artifacts::Contents;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

/// What became of a publish that the ledger refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LetGoView {
    /// Whether the artifact is removed; not if the ledger has the version, or the artifact was here before.
    pub removed: bool,
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

/// Fetch an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// An absolute path on the node's machine to write a copy to; null leaves the artifact in the store.
    #[serde(default)]
    pub output: Option<String>,
    /// Replace files at `output` that are different.
    #[serde(default)]
    pub overwrite: bool,
    /// The peers to ask; null finds them.
    #[serde(default)]
    pub providers: Option<Vec<String>>,
    /// `file` or `collection`: needed only for an artifact that no version on the ledger has.
    #[serde(default)]
    pub kind: Option<ArtifactKind>,
    /// Which files of a collection, as patterns of `.gitignore`; empty for all. The artifact stays incomplete in the
    /// store then, and is not served.
    #[serde(default)]
    pub include: Vec<String>,
    /// The version that is meant, so that it is judged too; the version of the model that governs the artifact is in any
    /// case.
    #[serde(default)]
    pub version: Option<VersionRef>,
    /// What is put up with: `withdrawn` and `suspended` are refused unless they are named.
    #[serde(default)]
    pub despite: Vec<ConcernKind>,
}

/// What one provider gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderView {
    /// Who.
    pub peer_id: String,
    /// Verified bytes that came from it.
    pub received_bytes: u64,
}

/// A provider that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedProviderView {
    /// Who.
    pub peer_id: String,
    /// Why.
    pub reason: String,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FetchedView {
    /// The artifact.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Verified bytes that came over the network; 0 when all of it was here.
    pub received_bytes: u64,
    /// Bytes that were here already.
    pub present_bytes: u64,
    /// Seconds it took, writing a copy not counted.
    pub elapsed_seconds: f64,
    /// Who gave what.
    pub providers: Vec<ProviderView>,
    /// Who was given up, and why.
    pub dropped: Vec<DroppedProviderView>,
    /// Where the copy was written.
    pub output: Option<String>,
    /// What is the matter with it.
    pub standing: Standing,
}

/// One line of the answer to a fetch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FetchLine {
    /// Peers that will be asked, as they are found.
    Providers(Vec<String>),
    /// A provider was given up.
    Dropped(DroppedProviderView),
    /// How far it has come.
    Progress(ProgressView),
    /// How far writing the copy has come.
    Export(ProgressView),
    /// It is done; the last line.
    Result(FetchedView),
    /// It failed; the last line.
    Error(Problem),
}

/// One line of the answer to a verification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLine {
    /// How far it has come.
    Progress(ProgressView),
    /// A fault, which is being mended.
    Damaged(String),
    /// Every byte hashes to the address; the last line.
    Verified(Artifact),
    /// A fault, or something else went wrong; the last line.
    Error(Problem),
}

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

/// What an account says of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationView {
    /// The record.
    #[serde(flatten)]
    pub attestation: Attestation,
    /// The handle of who says it.
    pub handle: Option<Handle>,
}
