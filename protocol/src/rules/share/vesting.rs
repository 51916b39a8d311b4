//! Shares under vesting: held, with their voice, but not yet all free to give away.

use super::{Line, balance};
use crate::{
    ground::{
        ids::{AccountId, ModelId, Timestamp, Units},
        invalid::Invalid,
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{context::Context, rejection::Rejection},
};
use serde::{Deserialize, Serialize};

/// When units become their holder's to give away: none before the cliff, then in proportion to the time since the
/// start, and all at the end. They belong to the holder, with their voice, from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Vesting {
    /// How long none are free, in milliseconds of block time; at most the duration.
    pub cliff_ms: u64,
    /// The time after which all are free, in milliseconds of block time; 1 to [`limits::VESTING_MS`].
    pub duration_ms: u64,
}

impl Vesting {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "vesting", problem });
        if !(1..=limits::VESTING_MS).contains(&self.duration_ms) {
            return form(format!("a duration of {} ms; set 1 to {} ms", self.duration_ms, limits::VESTING_MS));
        }
        if self.cliff_ms > self.duration_ms {
            return form(format!("a cliff of {} ms is after the end, {} ms", self.cliff_ms, self.duration_ms));
        }
        Ok(())
    }
}

/// Units of a holder that are not yet, or not all, free to give away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VestingGrant {
    /// Number of units given.
    pub units: Units,
    /// The block time at which they were given.
    pub start: Timestamp,
    /// The terms.
    pub vesting: Vesting,
}

/// A holder's grants that are not all free yet, oldest first: at most [`limits::VESTING_GRANTS`]. They are one record,
/// which does not exist without grants, so a proof of one key shows what is locked, or that nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VestingGrants(pub Vec<VestingGrant>);

impl Record for VestingGrants {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::VestingGrants;
}

impl VestingGrants {
    /// Total units that are not free at a block time, over all grants.
    pub fn locked(&self, time: Timestamp) -> Units {
        let sum = |sum: u64, grant: &VestingGrant| sum.saturating_add(grant.locked(time).get());
        Units::new(self.0.iter().fold(0, sum))
    }

    pub(super) fn of(state: &Overlay<'_>, line: Line) -> Self {
        state.read::<Self>(&line.key()).unwrap_or_default()
    }

    fn write(&self, state: &mut Overlay<'_>, line: Line) {
        if self.0.is_empty() {
            state.remove::<Self>(&line.key());
        } else {
            state.write(&line.key(), self);
        }
    }
}

impl VestingGrant {
    /// Units that are not free at a block time.
    pub fn locked(&self, time: Timestamp) -> Units {
        let elapsed = time.get().saturating_sub(self.start.get());
        let Vesting { cliff_ms, duration_ms } = self.vesting;
        if elapsed >= duration_ms {
            return Units::ZERO;
        }
        if elapsed < cliff_ms {
            return self.units;
        }
        let free = u128::from(self.units.get()).saturating_mul(elapsed.into()).checked_div(duration_ms.into());
        let free = free.and_then(|free| u64::try_from(free).ok()).unwrap_or(0);
        Units::new(self.units.get().saturating_sub(free))
    }

    /// What remains of the grant when only `locked` units of it are still locked at a block time: the same end and, if
    /// it is still in the future, the same cliff.
    fn with_locked(&self, locked: Units, time: Timestamp) -> Self {
        let elapsed = time.get().saturating_sub(self.start.get());
        let Vesting { cliff_ms, duration_ms } = self.vesting;
        if elapsed < cliff_ms {
            return Self { units: locked, ..self.clone() };
        }
        let vesting = Vesting { cliff_ms: 0, duration_ms: duration_ms.saturating_sub(elapsed) };
        Self { units: locked, start: time, vesting }
    }
}

/// Puts units that a holder was just given under vesting; grants that are over make room.
pub(crate) fn vest(
    state: &mut Overlay<'_>,
    context: &Context,
    line: Line,
    units: Units,
    vesting: &Vesting,
) -> Result<(), Rejection> {
    let mut grants = VestingGrants::of(state, line);
    grants.0.retain(|grant| grant.locked(context.time) > Units::ZERO);
    if grants.0.len() >= limits::VESTING_GRANTS {
        return Err(Rejection::TooManyVestingGrants { account: line.account, model: line.model });
    }
    grants.0.push(VestingGrant { units, start: context.time, vesting: *vesting });
    grants.write(state, line);
    Ok(())
}

/// After units were taken from a holder: at most what it still holds is locked. The newest grants give way.
pub(super) fn shrink(state: &mut Overlay<'_>, line: Line, time: Timestamp) {
    let mut grants = VestingGrants::of(state, line);
    let mut excess = grants.locked(time).get().saturating_sub(balance(state, line.model, line.account).get());
    if excess == 0 {
        return;
    }
    for grant in grants.0.iter_mut().rev() {
        let locked = grant.locked(time).get();
        let gone = locked.min(excess);
        excess = excess.saturating_sub(gone);
        if gone > 0 {
            *grant = grant.with_locked(Units::new(locked.saturating_sub(gone)), time);
        }
    }
    grants.0.retain(|grant| grant.locked(time) > Units::ZERO);
    grants.write(state, line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vesting_frees_nothing_before_the_cliff_and_all_at_the_end() {
        let vesting = Vesting { cliff_ms: 250, duration_ms: 1_000 };
        let grant = VestingGrant { units: Units::new(10), start: Timestamp::new(5_000), vesting };
        let locked = |time| grant.locked(Timestamp::new(time)).get();
        assert_eq!([0, 5_000, 5_249, 5_250, 5_300, 5_999, 6_000, u64::MAX].map(locked), [10, 10, 10, 8, 7, 1, 0, 0]);
        let huge = VestingGrant { units: Units::new(limits::MODEL_UNITS), ..grant };
        assert_eq!(huge.locked(Timestamp::new(5_500)).get(), limits::MODEL_UNITS / 2);
    }

    #[test]
    fn what_is_left_of_a_grant_ends_when_the_grant_would_have() {
        let vesting = Vesting { cliff_ms: 250, duration_ms: 1_000 };
        let grant = VestingGrant { units: Units::new(100), start: Timestamp::new(5_000), vesting };
        let left = |at, locked| grant.with_locked(Units::new(locked), Timestamp::new(at));
        let locked = |grant: &VestingGrant, at| grant.locked(Timestamp::new(at)).get();
        let early = left(5_100, 30);
        assert_eq!([5_100, 5_249, 5_250, 6_000].map(|at| locked(&early, at)), [30, 30, 23, 0]);
        let late = left(5_500, 30);
        assert_eq!([5_500, 5_750, 5_999, 6_000].map(|at| locked(&late, at)), [30, 15, 1, 0]);
    }
}
