//! The numbers that a network agrees on for itself: its pace, its quotas, its own policy.

use crate::{ground::invalid::Invalid, rules::policy::NetworkPolicy};
use serde::{Deserialize, Serialize};

/// What the members agree on in addition to the rules themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How long a validator waits for a proposal in the first round, in milliseconds.
    pub propose_timeout_ms: u64,
    /// How long a validator waits for more votes once more than two thirds have voted, in milliseconds.
    pub vote_timeout_ms: u64,
    /// How much each later round adds to both, in milliseconds.
    pub timeout_delta_ms: u64,
    /// How often a validator repeats its votes in a round that does not end, in milliseconds.
    pub rebroadcast_ms: u64,
    /// How long an idle network goes without a block, in milliseconds.
    pub heartbeat_ms: u64,
    /// The maximum difference between a block's time and a validator's clock, in milliseconds.
    pub clock_drift_ms: u64,
    /// Number of accounts that each founding account may admit, itself or through those to which it passes a part of
    /// its quota.
    pub founder_quota: u32,
    /// Maximum transactions of one account in one block.
    pub transactions_per_account_per_block: u32,
    /// How the members decide.
    pub policy: NetworkPolicy,
}

impl Parameters {
    /// Checks that every parameter is within its bounds.
    ///
    /// # Errors
    /// Names the parameter, its value and its bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        let bounds = [
            ("propose_timeout_ms", self.propose_timeout_ms, 10, 60_000),
            ("vote_timeout_ms", self.vote_timeout_ms, 10, 60_000),
            ("timeout_delta_ms", self.timeout_delta_ms, 1, 10_000),
            ("rebroadcast_ms", self.rebroadcast_ms, 50, 60_000),
            ("heartbeat_ms", self.heartbeat_ms, 1_000, 24 * 60 * 60 * 1_000),
            ("clock_drift_ms", self.clock_drift_ms, 500, 10 * 60 * 1_000),
            ("founder_quota", u64::from(self.founder_quota), 0, u64::from(u32::MAX)),
            ("transactions_per_account_per_block", u64::from(self.transactions_per_account_per_block), 1, 8_192),
        ];
        for (field, value, low, high) in bounds {
            if !(low..=high).contains(&value) {
                return Err(Invalid::Form { field, problem: format!("is {value}; set {low} to {high}") });
            }
        }
        self.policy.check()
    }
}
