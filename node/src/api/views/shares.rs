//! Who holds what, since when, and why.

use allod_protocol::{
    ground::ids::{AccountId, BasisPoints, Handle, Height, ModelId, ModelName, ProposalId, Timestamp, Units},
    rules::{
        delegation::Delegation,
        dormancy::Silence,
        share::{Issue, ShareChange, ShareReason, Vesting},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One line of a register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareLine {
    /// The holder.
    pub account: AccountId,
    /// The holder's handle.
    pub handle: Option<Handle>,
    /// What it holds.
    pub units: Units,
    /// What of it the holder can give away; the others are under vesting.
    pub free_units: Units,
    /// Its part of the whole in ten-thousandths, rounded down.
    pub basis_points: BasisPoints,
    /// The height since which the holder has other keys that the model's owners have not accepted, where they have a say
    /// in that; null if there is nothing to accept.
    pub unaccepted_since: Option<Height>,
}

/// A model's register as of a height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharesView {
    /// The model.
    pub model: ModelId,
    /// Its name.
    pub name: ModelName,
    /// The height after which the register stood so.
    pub height: Height,
    /// The time of that block, in milliseconds since 1970.
    pub time: Timestamp,
    /// All units together, those of other pages included.
    pub total_units: Units,
    /// The lines, by account id.
    pub items: Vec<ShareLine>,
    /// Give it as `after` to get the next page; null on the last.
    pub next: Option<String>,
}

/// One line of a register's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareChangeView {
    /// The record.
    #[serde(flatten)]
    pub change: ShareChange,
    /// The time of its block, in milliseconds since 1970.
    pub time: Timestamp,
    /// The holder's handle.
    pub handle: Option<Handle>,
    /// The handle of the other side of a transfer.
    pub counterparty_handle: Option<Handle>,
    /// Under which vesting the units came; null if they were free at once.
    pub vesting: Option<Vesting>,
    /// The proposal that decided it; null if a holder did it alone.
    pub decision: Option<ProposalId>,
    /// What that proposal's actions do, in words.
    pub decision_does: Vec<String>,
    /// That proposal's title, in its proposer's words.
    pub decision_title: Option<String>,
}

/// The other side of a transfer.
pub const fn counterparty(reason: &ShareReason) -> Option<AccountId> {
    match reason {
        ShareReason::Transferred { counterparty, .. } | ShareReason::TransferApproved { counterparty, .. } => {
            Some(*counterparty)
        }
        ShareReason::Founding
        | ShareReason::Minted { .. }
        | ShareReason::Round { .. }
        | ShareReason::Lineage { .. }
        | ShareReason::TakenUp { .. }
        | ShareReason::Burned { .. }
        | ShareReason::BurnedByDecision { .. }
        | ShareReason::BurnedByDispute { .. } => None,
    }
}

/// What an account holds of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldingView {
    /// The model.
    pub model: ModelId,
    /// Its name.
    pub model_name: Option<ModelName>,
    /// The units that it holds.
    pub units: Units,
    /// What of them it can give away; the others are under vesting.
    pub free_units: Units,
    /// All units of the model.
    pub total_units: Units,
    /// Its part of the whole in ten-thousandths, rounded down.
    pub basis_points: BasisPoints,
}

/// Minted units that holders may still take up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssueView {
    /// The record.
    #[serde(flatten)]
    pub issue: Issue,
    /// The handle of who gets what nobody takes up.
    pub to_handle: Option<Handle>,
}

/// A delegation of a model's questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationView {
    /// The record.
    #[serde(flatten)]
    pub delegation: Delegation,
    /// The handle of who delegated.
    pub from_handle: Option<Handle>,
    /// The handle of who answers.
    pub to_handle: Option<Handle>,
    /// What who delegated holds now.
    pub units: Units,
}

/// An account that was called on and has not spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SilenceView {
    /// The record.
    #[serde(flatten)]
    pub silence: Silence,
    /// The handle of who is silent.
    pub handle: Option<Handle>,
    /// The handle of who called.
    pub by_handle: Option<Handle>,
}
