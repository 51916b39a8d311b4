//! The maximum that one giver gets from a round.
//!
//! A cap per account does nothing against one person with five accounts: each of the five has a cap of its own. An
//! account costs one of its sponsor's quota, and the ledger cannot know who stands behind it. It knows who admitted
//! whom, and whom the members of the network decided to admit among themselves. So a cap can also be shared by all the
//! accounts for which one member answers, or by all that go back to one founding account: however the amounts are
//! split, together they get no more.
//!
//! Givers that share a cap are a group, named by the account that they go back to. The budget is divided among groups,
//! each cut off at the cap, and a group's units among its givers, both in proportion to scores and by largest
//! remainder. What exceeds a cap is not minted: it goes to nobody, so nobody gains by pushing another above it.

use crate::{
    ground::{
        ids::{AccountId, BasisPoints, Units},
        limits,
        state::Overlay,
    },
    rules::account::Account,
};
use serde::{Deserialize, Serialize};

/// Who shares a cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CapPer {
    /// Each account has its own.
    #[default]
    Account,
    /// Accounts that go back to the same founding account of the network, by their sponsors, those sponsors' sponsors
    /// and so on; including that account. Nobody leaves such a group, so this limits most.
    Sponsor,
    /// As by sponsor, but only up to the first member of the network: a member, and the accounts for which it answers.
    Member,
}

/// A limit on what one giver gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// The givers that share one cap.
    #[serde(default)]
    pub per: CapPer,
    /// The part of the budget; above 0. The result is rounded down to whole units.
    pub part: BasisPoints,
}

impl Cap {
    /// The units of a budget that it allows.
    pub fn units(&self, budget: Units) -> u64 {
        let units = u128::from(budget.get()).saturating_mul(self.part.get().into()).div_euclid(10_000);
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}

impl CapPer {
    /// The account that names another account's group. The chain of sponsors is at most [`limits::SPONSOR_CHAIN`] long.
    pub(super) fn group(self, state: &Overlay<'_>, account: AccountId) -> AccountId {
        if self == Self::Account {
            return account;
        }
        let mut group = account;
        for _ in 0..=limits::SPONSOR_CHAIN {
            let Some(found) = state.read::<Account>(&group) else { break };
            if self == Self::Member && found.member_since.is_some() {
                break;
            }
            let Some(sponsor) = found.sponsor else { break };
            group = sponsor;
        }
        group
    }
}
