//! What became of transactions that were sent.

use super::Problem;
use allod_protocol::{
    ground::ids::{Height, TransactionId},
    ledger::execute::TransactionResult,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a submission: with a height if it is on the ledger, without while it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The transaction's id.
    pub id: TransactionId,
    /// The block that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Height>,
    /// Its place in the block, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TransactionResult>,
}

/// What became of a batch of submissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    /// How many were taken.
    pub accepted: usize,
    /// Those that were not.
    pub refused: Vec<BatchRefusal>,
}

/// One transaction of a batch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchRefusal {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub problem: Problem,
}
