//! What was given to models.

use allod_protocol::{
    ground::ids::{Handle, ModelName},
    rules::contribution::Contribution,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
