//! What one may get of a round at most.
//!
//! A cap per account does nothing against one person with five accounts: each of the five has a cap of its own. What an
//! account costs is one of its sponsor's quota, and who stands behind it the ledger cannot know. It knows who admitted
//! whom, and whom the members of the network decided to admit among themselves. So a cap can also be shared by all the
//! accounts that one member answers for, or by all that go back to one founding account: split as they like, they get
//! no more.
//!
//! Givers that share a cap are a group, named by the account that they go back to. The budget is divided among groups,
//! each cut off at the cap, and what a group gets among its givers, both times in proportion to scores and by largest
//! remainder. What is above a cap is not minted: it goes to nobody, so nobody gains by pushing another above it.

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
#[serde(rename_all = "snake_case")]
pub enum CapPer {
    /// Each account has its own.
    #[default]
    Account,
    /// Accounts whose sponsors, their sponsors and so on, go back to the same founding account of the network; with that
    /// account. Nobody leaves such a group, so it binds the most.
    Sponsor,
    /// As by sponsor, but no further up than to the first member of the network: a member, and the accounts that it
    /// answers for.
    Member,
}

/// A bound on what one gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Who shares it.
    #[serde(default)]
    pub per: CapPer,
    /// The part of the budget; above 0. It is rounded down to whole units.
    pub part: BasisPoints,
}

impl Cap {
    /// Units of a budget that it allows.
    pub fn units(&self, budget: Units) -> u64 {
        let units = u128::from(budget.get()).saturating_mul(self.part.get().into()).div_euclid(10_000);
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}

impl CapPer {
    /// The account that names the group of another. Sponsors go at most [`limits::SPONSOR_CHAIN`] back.
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
