//! What owners let accounts use.

use allod_protocol::{
    ground::ids::{Handle, ModelName, Timestamp},
    rules::licence::{LicenceChange, LicenceRequest, Licensee},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an account stands to the licences that a model's owners granted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LicenseeView {
    /// The record.
    #[serde(flatten)]
    pub licensee: Licensee,
    /// The account's handle.
    pub handle: Option<Handle>,
    /// The model's name.
    pub model_name: Option<ModelName>,
    /// Whether the account may use the model by its licence now: it agreed, and nothing ended it.
    pub in_force: bool,
    /// Whether it can accept the offer now: there is one, and its time is not over.
    pub offer_stands: bool,
}

/// A step of the history of an account's licences to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LicenceChangeView {
    /// The record.
    #[serde(flatten)]
    pub change: LicenceChange,
    /// The time of its block, in milliseconds since 1970.
    pub time: Timestamp,
}

/// That an account asks a model's owners for a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LicenceRequestView {
    /// The record.
    #[serde(flatten)]
    pub request: LicenceRequest,
    /// The account's handle.
    pub handle: Option<Handle>,
    /// The model's name.
    pub model_name: Option<ModelName>,
}
