//! Offices, and who holds them.

use allod_protocol::{
    ground::ids::{AccountId, Handle, Height, ModelName},
    rules::{
        intake::UnitsOf,
        office::{Office, Vacancy},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An office, an account that is named for it, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfficeView {
    /// The office, as `accept_office` and `resign_office` take it.
    pub office: Office,
    /// Its name: that of a role, or `steward`, `arbiter`, `guardian`, `key_guardian`, `responsible`, `operator`.
    pub role: String,
    /// What it is of: a model's name, an account's handle, an incident's id, a validator's key.
    pub of: String,
    /// The account.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// `offered`, `accepted`, `resigned`, `dismissed` or `accepted_ahead`; only `accepted` counts.
    pub answer: String,
    /// Since which height.
    pub since: Option<Height>,
}

/// An account that a proposal would give units of the proposer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuyerView {
    /// The account.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// Whether it accepted.
    pub accepted: bool,
}

/// What an account says of units that come unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntakeView {
    /// `any`, or `model` with a model's id.
    pub of: UnitsOf,
    /// The model's name.
    pub model_name: Option<ModelName>,
    /// Whether it takes them.
    pub takes: bool,
}

/// The offices of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelOfficesView {
    /// Who is named for which, and what they answered.
    pub offices: Vec<OfficeView>,
    /// Where too few hold one.
    pub vacancies: Vec<VacancyView>,
}

/// What a model cannot do because too few hold an office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VacancyView {
    /// Which, for programs.
    pub vacancy: Vacancy,
    /// In words, with the remedy.
    pub text: String,
}
