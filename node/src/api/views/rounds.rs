//! Rounds of contributions, and what each giver gets.

use allod_protocol::{
    ground::{
        ids::{AccountId, Handle, Units},
        openapi::Wide,
    },
    rules::round::Round,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A round of contributions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoundView {
    /// The record: its plan, its sums, where it stands.
    #[serde(flatten)]
    pub round: Round,
    /// What the decision that opened it does, in words.
    pub decision_does: Vec<String>,
    /// The title of that decision, in its proposer's words.
    pub decision_title: Option<String>,
    /// What each giver's contributions count and what it gets for them, the most first; left out in lists. At most 500
    /// are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<ScoreView>>,
}

/// What a giver's countersigned contributions count in a round, and what it gets for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreView {
    /// The giver.
    pub account: AccountId,
    /// Its handle.
    pub handle: Option<Handle>,
    /// The sum. As long as `seals` is not 0 it counts nothing.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub score: u64,
    /// Amounts that it sealed and has not told.
    pub seals: u64,
    /// What of the sum is in dispute, or was when the round closed.
    #[serde(deserialize_with = "allod_protocol::ground::ids::wide::deserialize")]
    #[schema(value_type = Wide)]
    pub disputed: u64,
    /// The units that it got, or would get if the round closed now by the same rule; none where there are more givers
    /// than that is computed for.
    pub units: Option<Units>,
    /// The handle that names those with whom it shares the round's cap, if it shares it.
    pub cap_shared_with: Option<Handle>,
}
