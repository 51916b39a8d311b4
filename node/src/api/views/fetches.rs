//! Fetching artifacts from other peers, and verifying them.

use super::{Problem, ProgressView};
use allod_protocol::rules::{
    artifact::{Artifact, ArtifactKind},
    model::VersionRef,
    standing::{ConcernKind, Standing},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
