//! Who settles a model's disputes, and on which terms they are opened.

use super::check_accounts;
use crate::ground::{
    fraction::{Fraction, Portion},
    ids::{AccountId, Units},
    invalid::{Invalid, check_count},
    limits,
};
use serde::{Deserialize, Serialize};

/// Accounts that settle disputes together: outsiders, who hold nothing of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Arbiters {
    /// The arbiters. As many as these sit on a dispute.
    pub accounts: Vec<AccountId>,
    /// How many of those who sit must agree. If fewer than that can sit, the owners decide.
    pub needed: u32,
    /// Accounts that sit in place of arbiters who cannot, in this order.
    #[serde(default)]
    pub stand_ins: Vec<AccountId>,
    /// Whether they may take units from a holder by themselves, if every seat is taken and all agree
    /// ([`super::Risk::ArbitersTakeUnits`]). Otherwise their ruling takes units only once the owners confirm it.
    #[serde(default)]
    pub take_units: bool,
}

impl Arbiters {
    /// Arbiters without stand-ins, who take no units by themselves.
    pub const fn new(accounts: Vec<AccountId>, needed: u32) -> Self {
        Self { accounts, needed, stand_ins: Vec::new(), take_units: false }
    }

    /// All accounts that may come to sit, in the order in which they take seats.
    pub fn bench(&self) -> impl Iterator<Item = &AccountId> {
        self.accounts.iter().chain(&self.stand_ins)
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_accounts("arbiters", &self.accounts)?;
        let count = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        if self.needed == 0 || self.needed > count {
            let problem = format!("{} of {count} must agree; set 1 to {count}", self.needed);
            return Err(Invalid::Form { field: "arbiters", problem });
        }
        check_count("stand_ins", self.stand_ins.len(), limits::ROLE_ACCOUNTS)?;
        let mut seen: std::collections::BTreeSet<&AccountId> = self.accounts.iter().collect();
        if !self.stand_ins.iter().all(|account| seen.insert(account)) {
            let problem = "name an arbiter, or an account twice; list each account once".into();
            return Err(Invalid::Form { field: "stand_ins", problem });
        }
        Ok(())
    }
}

/// The terms on which a model's disputes are opened. A dispute keeps those of its opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DisputeTerms {
    /// How long the respondent has to answer before anybody decides, in milliseconds of block time, within
    /// [`limits::DISPUTE_PERIOD_MIN_MS`] and [`limits::DISPUTE_PERIOD_MAX_MS`].
    pub answer_ms: u64,
    /// How long a ruling of arbiters waits, during which it can be appealed, in milliseconds; the same bounds.
    pub ruling_timelock_ms: u64,
    /// The challenger's bond, as a part of the disputed units, rounded up.
    pub bond: Fraction,
    /// The minimum bond, in units; never 0.
    pub bond_units: Units,
    /// How long the first loss bars from challenging in this model, in milliseconds, each further one twice as long;
    /// the same bounds.
    pub bar_ms: u64,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A week to answer, three days to appeal, a bond of a tenth of the disputed units, a bar of a month.
impl Default for DisputeTerms {
    fn default() -> Self {
        Self {
            answer_ms: 7 * DAY_MS,
            ruling_timelock_ms: 3 * DAY_MS,
            bond: Fraction::TENTH,
            bond_units: Units::new(1),
            bar_ms: 30 * DAY_MS,
        }
    }
}

impl DisputeTerms {
    /// The bond for a challenge of `disputed` units.
    pub fn bond_for(&self, disputed: Units) -> Units {
        let part = Portion::at_least(self.bond).least(disputed.get().into());
        Units::new(u64::try_from(part).unwrap_or(u64::MAX)).max(self.bond_units)
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "dispute_terms", problem });
        if self.bond_units == Units::ZERO {
            return form("bind no unit of a challenger; set a bond of at least 1".into());
        }
        let bounds = limits::DISPUTE_PERIOD_MIN_MS..=limits::DISPUTE_PERIOD_MAX_MS;
        let periods = [("time to answer", self.answer_ms), ("timelock", self.ruling_timelock_ms), ("bar", self.bar_ms)];
        match periods.into_iter().find(|(_, ms)| !bounds.contains(ms)) {
            None => Ok(()),
            Some((name, ms)) => {
                form(format!("have a {name} of {ms} ms; set {} to {} ms", bounds.start(), bounds.end()))
            }
        }
    }
}
