//! When units of a security become free, as dates and amounts.

use allod_protocol::{
    ground::ids::{Timestamp, Units},
    rules::share::{Vesting, VestingGrant},
};

/// Thirty days: the interval at which freed units are stated.
const STEP_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// What is freed when, the earliest first; empty if everything is free from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule(Vec<(Timestamp, u64)>);

impl Schedule {
    /// The schedule of units issued at a time, with or without vesting.
    pub(super) fn new(units: Units, start: Timestamp, vesting: Option<&Vesting>) -> Self {
        let Some(vesting) = vesting else { return Self::default() };
        let grant = VestingGrant { units, start, vesting: *vesting };
        let (cliff, end) = (vesting.cliff_ms, vesting.duration_ms);
        let steps =
            std::iter::successors(Some(STEP_MS), |step| step.checked_add(STEP_MS)).take_while(|step| *step < end);
        let mut times: Vec<u64> = steps.filter(|step| *step > cliff).chain([cliff, end]).collect();
        times.sort_unstable();
        times.dedup();
        let (mut locked, mut steps) = (units.get(), Vec::new());
        for time in times {
            let at = start.plus_ms(time);
            let still = grant.locked(at).get();
            if still < locked {
                steps.push((at, locked.saturating_sub(still)));
                locked = still;
            }
        }
        Self(steps)
    }

    /// The dates and amounts.
    pub(super) fn steps(&self) -> impl Iterator<Item = (Timestamp, u64)> {
        self.0.iter().copied()
    }

    /// The units that are not free yet.
    pub(super) fn locked(&self, time: Timestamp) -> u64 {
        self.0.iter().filter(|(at, _)| *at > time).fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// The schedule that remains once `units` are gone: those that became free first leave first.
    pub(super) fn less(&self, units: u64) -> Self {
        let mut gone = units;
        let left = self.0.iter().map(|(at, amount)| {
            let taken = gone.min(*amount);
            gone = gone.saturating_sub(taken);
            (*at, amount.saturating_sub(taken))
        });
        Self(left.filter(|(_, amount)| *amount > 0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

    fn days(schedule: &Schedule) -> Vec<(u64, u64)> {
        schedule.steps().map(|(at, amount)| (at.get() / DAY_MS, amount)).collect()
    }

    #[test]
    fn what_is_freed_adds_up_and_begins_with_the_cliff() {
        let vesting = Vesting { cliff_ms: 45 * DAY_MS, duration_ms: 100 * DAY_MS };
        let schedule = Schedule::new(Units::new(1_000), Timestamp::new(0), Some(&vesting));
        assert_eq!(days(&schedule), [(45, 450), (60, 150), (90, 300), (100, 100)]);
        assert_eq!(schedule.locked(Timestamp::new(60 * DAY_MS)), 400);
        assert_eq!(days(&schedule.less(500)), [(60, 100), (90, 300), (100, 100)], "those freed first leave first");
        assert_eq!(days(&schedule.less(1_000)), []);
        assert_eq!(Schedule::new(Units::new(5), Timestamp::new(0), None), Schedule::default());
    }

    #[test]
    fn the_longest_vesting_is_told_in_a_bounded_number_of_steps() {
        let vesting = Vesting { cliff_ms: 0, duration_ms: allod_protocol::ground::limits::VESTING_MS };
        let schedule = Schedule::new(Units::new(u64::MAX / 4), Timestamp::new(0), Some(&vesting));
        let sum: u64 = schedule.steps().map(|(_, amount)| amount).sum();
        assert_eq!((schedule.steps().count(), sum), (244, u64::MAX / 4));
    }
}
