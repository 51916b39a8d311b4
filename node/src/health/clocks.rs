//! This machine's clock against those of the validators.
//!
//! Nothing on the wire tells the time but blocks: who proposes one writes its own clock into it. So each validator tells
//! the time when its turn comes, with a signature, and no other message is needed. A proposal that is refused for its time
//! tells it all the same, and a block that is pushed to an observer tells it a moment later.
//!
//! What counts is the median by power, this validator's own clock included. Validators with a third of the power that lie
//! cannot shift it beyond what honest ones say. The median is known once validators with more than two thirds have told
//! the time. Between two proposals the others' clocks are assumed to go on as this machine's monotonic one does, so a
//! clock that is set is noticed at once.

use allod_protocol::{
    ground::ids::{Power, Timestamp, ValidatorAddress},
    rules::validator::ValidatorSet,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How far this machine's clock is ahead of the median of what validators say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    /// Milliseconds; negative if it is behind.
    pub(crate) ahead_ms: i64,
    /// The power of those who said something, this validator included.
    pub(crate) power: Power,
    /// The power of all.
    pub(crate) total_power: Power,
}

/// What validators said last of the time, at most one saying of each.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    said: BTreeMap<ValidatorAddress, (Timestamp, Instant)>,
}

impl Clocks {
    /// A validator says now what time it is.
    pub(crate) fn on_said(&mut self, validator: ValidatorAddress, time: Timestamp, now: Instant) {
        self.said.insert(validator, (time, now));
    }

    /// How far the clocks of validators other than `own` are ahead of this machine's, in milliseconds. What others said
    /// before they left the set is forgotten.
    pub(crate) fn ahead<'a>(
        &mut self,
        validators: &'a ValidatorSet,
        own: &'a ValidatorAddress,
        (clock, now): (Timestamp, Instant),
    ) -> impl Iterator<Item = (ValidatorAddress, i64)> + use<'a, '_> {
        self.said.retain(|validator, _| validators.by_address(validator).is_some());
        self.said.iter().filter(move |(validator, _)| *validator != own).map(move |(validator, (said, at))| {
            let since = now.saturating_duration_since(*at);
            let theirs = said.get().saturating_add(millis(since));
            (*validator, signed_difference(theirs, clock.get()))
        })
    }

    /// This machine's clock against the median. `None` while too few have said anything.
    pub(crate) fn offset(
        &mut self,
        validators: &ValidatorSet,
        own: &ValidatorAddress,
        moment: (Timestamp, Instant),
    ) -> Option<Offset> {
        let mut sayings: Vec<(i64, u64)> = self
            .ahead(validators, own, moment)
            .map(|(validator, ahead_ms)| (ahead_ms, power_of(validators, &validator)))
            .collect();
        let own_power = power_of(validators, own);
        if own_power > 0 {
            sayings.push((0, own_power));
        }
        let power = Power::new(sayings.iter().fold(0u64, |sum, (_, power)| sum.saturating_add(*power)));
        if !validators.is_quorum(power) {
            return None;
        }
        sayings.sort_unstable();
        let from_below = half(sayings.iter(), power)?;
        let from_above = half(sayings.iter().rev(), power)?;
        // If the middle lies between two clocks, nobody can say which is right: the one nearer to this machine's.
        let theirs = if from_below <= 0 && 0 <= from_above {
            0
        } else if from_below.unsigned_abs() <= from_above.unsigned_abs() {
            from_below
        } else {
            from_above
        };
        Some(Offset { ahead_ms: theirs.saturating_neg(), power, total_power: validators.total_power() })
    }
}

/// The first of some sayings with which half of the power is reached.
fn half<'a>(sayings: impl Iterator<Item = &'a (i64, u64)>, of: Power) -> Option<i64> {
    let mut sum = 0u64;
    let mut sayings = sayings;
    let found = sayings.find(|(_, power)| {
        sum = sum.saturating_add(*power);
        u128::from(sum).saturating_mul(2) >= u128::from(of.get())
    });
    found.map(|(ahead_ms, _)| *ahead_ms)
}

fn power_of(validators: &ValidatorSet, validator: &ValidatorAddress) -> u64 {
    validators.by_address(validator).map_or(0, |validator| validator.power.get())
}

fn signed_difference(one: u64, other: u64) -> i64 {
    let difference = i64::try_from(one.abs_diff(other)).unwrap_or(i64::MAX);
    if one >= other { difference } else { difference.saturating_neg() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use allod_protocol::{
        ground::{crypto::SigningKey, ids::AccountId},
        rules::validator::Validator,
    };

    const NOON: u64 = 43_200_000;

    fn address(seed: u8) -> ValidatorAddress {
        SigningKey::from_seed(&[seed; 32]).public_key().validator_address()
    }

    fn set(powers: &[u64]) -> ValidatorSet {
        let one = |(seed, power): (u8, &u64)| {
            let key = SigningKey::from_seed(&[seed; 32]).public_key();
            Validator::new(key, Power::new(*power), AccountId::from_bytes([0; 32]))
        };
        ValidatorSet::try_from((0u8..).zip(powers).map(one).collect::<Vec<_>>()).unwrap()
    }

    /// What validator 0 finds, whose clock shows noon, if the others say that it is so much later.
    fn ahead_ms(powers: &[u64], later: &[(u8, i64)]) -> Option<i64> {
        let (mut clocks, now) = (Clocks::default(), Instant::now());
        for (seed, later_ms) in later {
            clocks.on_said(address(*seed), Timestamp::new(NOON.saturating_add_signed(*later_ms)), now);
        }
        clocks.offset(&set(powers), &address(0), (Timestamp::new(NOON), now)).map(|offset| offset.ahead_ms)
    }

    #[test]
    fn a_clock_that_is_off_is_found_by_what_the_others_say() {
        let hour = 3_600_000;
        assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, hour), (2, hour + 20), (3, hour - 30)]), Some(30 - hour));
        assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, -hour), (2, -hour), (3, -hour)]), Some(hour));
        assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, -40), (2, -10)]), Some(10));
    }

    #[test]
    fn nothing_is_said_before_more_than_two_thirds_have_said_something() {
        assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, 9_000)]), None);
        assert_eq!(ahead_ms(&[1, 1, 1], &[(1, 9_000)]), None, "two thirds are not more than two thirds");
        assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, 0), (9, 9_000)]), None, "strangers do not count");
        assert_eq!(ahead_ms(&[1], &[]), Some(0), "alone, it is right");
    }

    #[test]
    fn a_third_of_the_power_that_lies_shifts_nothing() {
        let day = 86_400_000;
        for lie in [day, -day] {
            assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, lie), (2, 5), (3, -5)]), Some(0));
            assert_eq!(ahead_ms(&[2, 3, 2, 2], &[(1, lie), (2, 0), (3, 0)]), Some(0));
        }
        // An observer has no clock that counts.
        assert_eq!(ahead_ms_of_observer(&[(0, day), (1, 5), (2, 7), (3, 9)]), Some(-7));
        assert_eq!(ahead_ms_of_observer(&[(0, -day), (1, 5), (2, 7), (3, 9)]), Some(-5));
    }

    fn ahead_ms_of_observer(later: &[(u8, i64)]) -> Option<i64> {
        let (mut clocks, now) = (Clocks::default(), Instant::now());
        for (seed, later_ms) in later {
            clocks.on_said(address(*seed), Timestamp::new(NOON.saturating_add_signed(*later_ms)), now);
        }
        let own = address(77);
        clocks.offset(&set(&[1, 1, 1, 1]), &own, (Timestamp::new(NOON), now)).map(|offset| offset.ahead_ms)
    }

    #[test]
    fn two_against_two_accuse_nobody() {
        assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, 0), (2, 3_600_000), (3, 3_600_000)]), Some(0));
        assert_eq!(ahead_ms(&[1, 1, 1, 1], &[(1, 0), (2, -3_600_000), (3, -3_600_000)]), Some(0));
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_at_once_and_who_left_is_forgotten() {
        let (mut clocks, then) = (Clocks::default(), Instant::now());
        for seed in 1..4 {
            clocks.on_said(address(seed), Timestamp::new(NOON), then);
        }
        let (set, own) = (set(&[1, 1, 1, 1]), address(0));
        let later = then + Duration::from_secs(60);
        let mut at = |clock| clocks.offset(&set, &own, (Timestamp::new(clock), later)).map(|offset| offset.ahead_ms);
        assert_eq!(at(NOON + 60_000), Some(0));
        assert_eq!(at(NOON + 70_000), Some(10_000));
        assert_eq!(at(NOON + 60_000), Some(0));
        let two = self::set(&[1, 1]);
        assert_eq!(clocks.ahead(&two, &own, (Timestamp::new(NOON), then)).count(), 1);
        assert_eq!(clocks.said.len(), 1);
    }
}
