//! What accounts say of artifacts.

use allod_protocol::{ground::ids::Handle, rules::attestation::Attestation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account says of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationView {
    /// The record.
    #[serde(flatten)]
    pub attestation: Attestation,
    /// The handle of who says it.
    pub handle: Option<Handle>,
}
