//! Shares under vesting: held, with their voice, and not yet all free to give away.

use super::{Register, balance};
use crate::{
    codec,
    execute::Context,
    ids::{AccountId, ModelId, Timestamp, Units},
    limits,
    rejection::Rejection,
    state::{Family, Overlay, Record, StateRead, prefix_end},
    transaction::Invalid,
};
use serde::{Deserialize, Serialize};

/// When units become their holder's to give away: none before the cliff, then in proportion to the time since the
/// start, all at the end. They are the holder's, with their voice, from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vesting {
    /// How long nothing is free, in milliseconds of block time; at most the duration.
    pub cliff_ms: u64,
    /// After how long all is free, in milliseconds of block time; 1 to [`limits::VESTING_MS`].
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
pub struct VestingGrant {
    /// How many were given.
    pub units: Units,
    /// When.
    pub start: Timestamp,
    /// On which terms.
    pub vesting: Vesting,
}

impl Record for VestingGrant {
    /// Model, holder, number of the register's line.
    type Key = (ModelId, AccountId, u64);
    const FAMILY: Family = Family::VestingGrant;
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

    /// What is left of the grant when only `locked` units of it are still locked at a block time: the same end and, if
    /// it is still to come, the same cliff.
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
pub(crate) fn vest<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    (model, account): (ModelId, AccountId),
    units: Units,
    vesting: &Vesting,
) -> Result<(), Rejection> {
    let mut running = 0usize;
    for (line, grant) in grants(state, model, account) {
        if grant.locked(context.time) == Units::ZERO {
            state.remove::<VestingGrant>(&(model, account, line));
        } else {
            running = running.saturating_add(1);
        }
    }
    if running >= limits::VESTING_GRANTS {
        return Err(Rejection::TooManyVestingGrants { account, model });
    }
    let line = Register::of(state, model).changes;
    let grant = VestingGrant { units, start: context.time, vesting: *vesting };
    state.write(&(model, account, line), &grant);
    Ok(())
}

/// A holder's grants with the numbers of their lines, the oldest first.
fn grants<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    model: ModelId,
    account: AccountId,
) -> Vec<(u64, VestingGrant)> {
    let from = VestingGrant::key_bytes(&(model, account));
    let entries = state.entries(&from, &prefix_end(&from), limits::VESTING_GRANTS);
    let decoded = entries.iter().filter_map(|(key, bytes)| {
        let line = u64::from_be_bytes(*key.last_chunk()?);
        Some((line, codec::decode_trusted(bytes).ok()?))
    });
    decoded.collect()
}

/// What of a holder's units is locked now.
fn locked_units<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    (model, account): (ModelId, AccountId),
    time: Timestamp,
) -> Units {
    let sum = |sum: u64, (_, grant): &(u64, VestingGrant)| sum.saturating_add(grant.locked(time).get());
    Units::new(grants(state, model, account).iter().fold(0, sum))
}

/// What a holder can give away now: what it holds, less what is under vesting.
pub fn free_units<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    model: ModelId,
    account: AccountId,
    time: Timestamp,
) -> Units {
    let locked = locked_units(state, (model, account), time);
    Units::new(balance(state, model, account).get().saturating_sub(locked.get()))
}

/// After units were taken from a holder: what is locked is at most what it still holds. The newest grants give way.
pub(super) fn shrink<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    (model, account): (ModelId, AccountId),
    time: Timestamp,
) {
    let locked = locked_units(state, (model, account), time).get();
    let mut excess = locked.saturating_sub(balance(state, model, account).get());
    for (line, grant) in grants(state, model, account).into_iter().rev() {
        let locked = grant.locked(time).get();
        let gone = locked.min(excess);
        excess = excess.saturating_sub(gone);
        let key = (model, account, line);
        if gone == locked {
            state.remove::<VestingGrant>(&key);
        } else if gone > 0 {
            state.write(&key, &grant.with_locked(Units::new(locked.saturating_sub(gone)), time));
        }
    }
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
