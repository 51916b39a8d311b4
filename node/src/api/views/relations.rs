//! What is answered about what stands between accounts, artifacts and versions: delegations, attestations, lineage.

use crate::api::schema;
use allod_protocol::{
    ground::ids::{ArtifactId, Handle, ModelId, ModelName, Units, VersionLabel},
    rules::{
        attestation::Attestation,
        delegation::Delegation,
        dormancy::Silence,
        model::{VersionRef, VersionStatus},
        share::Issue,
        standing::Concern,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A delegation of a model's questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::DelegationRecord)]
    pub delegation: Delegation,
    /// The handle of who delegated.
    #[schema(value_type = Option<String>)]
    pub from_handle: Option<Handle>,
    /// The handle of who answers.
    #[schema(value_type = Option<String>)]
    pub to_handle: Option<Handle>,
    /// What who delegated holds now.
    #[schema(value_type = schema::Wide)]
    pub units: Units,
}

/// Minted units that holders may still take up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssueView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::IssueRecord)]
    pub issue: Issue,
    /// The handle of who gets what nobody takes up.
    #[schema(value_type = Option<String>)]
    pub to_handle: Option<Handle>,
}

/// An account that was called on and has not spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SilenceView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::SilenceRecord)]
    pub silence: Silence,
    /// The handle of who is silent.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The handle of who called.
    #[schema(value_type = Option<String>)]
    pub by_handle: Option<Handle>,
}

/// What an account says of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::AttestationRecord)]
    pub attestation: Attestation,
    /// The handle of who says it.
    #[schema(value_type = Option<String>)]
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
    #[schema(value_type = schema::Hex32)]
    pub model: ModelId,
    /// The model's name.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
    /// The version's label.
    #[schema(value_type = String)]
    pub label: VersionLabel,
    /// The artifact.
    #[schema(value_type = schema::Cid)]
    pub artifact: ArtifactId,
    /// Where it stands.
    #[schema(value_type = schema::Record)]
    pub status: VersionStatus,
    /// What is the matter with it.
    #[schema(value_type = Vec<schema::ConcernRecord>)]
    pub concerns: Vec<Concern>,
    /// Steps from the version asked for; negative towards what it was made from.
    pub distance: i32,
}

/// That a version was made from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageEdge {
    /// What it was made from.
    #[schema(value_type = schema::VersionRefRecord)]
    pub parent: VersionRef,
    /// What was made.
    #[schema(value_type = schema::VersionRefRecord)]
    pub child: VersionRef,
}
