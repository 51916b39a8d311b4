//! Dividing whole units in proportion to weights, exactly: the largest-remainder method.
//!
//! Each part gets its quota rounded down. The remaining units go one each to the parts with the largest remainders, and
//! among equal ones to the first.

/// Divides `total` in proportion to `weights`. The parts add up to `total`, unless all weights are 0: then all parts
/// are 0.
pub fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum = weights.iter().fold(0u128, |sum, weight| sum.saturating_add(u128::from(*weight)));
    let quotas: Vec<Quota> = weights.iter().map(|weight| Quota::of(total, *weight, sum)).collect();
    let mut parts: Vec<u64> = quotas.iter().map(|quota| quota.units).collect();
    let given = parts.iter().fold(0u64, |given, part| given.saturating_add(*part));
    let left = if sum == 0 { 0 } else { usize::try_from(total.saturating_sub(given)).unwrap_or(usize::MAX) };
    let mut order: Vec<usize> = (0..quotas.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(quotas.get(*index).map(|quota| quota.remainder)));
    for index in order.into_iter().take(left) {
        if let Some(part) = parts.get_mut(index) {
            *part = part.saturating_add(1);
        }
    }
    parts
}

/// What is due to one weight: whole units, and the remainder that decides who gets one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Whole units.
    pub(crate) units: u64,
    /// The remainder, out of the sum of all weights.
    pub(crate) remainder: u128,
}

impl Quota {
    /// The quota of `weight` in `total`, where `sum` is the sum of all weights; zero if the sum is 0.
    pub(crate) fn of(total: u64, weight: u64, sum: u128) -> Self {
        let product = u128::from(total).saturating_mul(weight.into());
        let units = product.checked_div(sum).unwrap_or(0);
        let remainder = product.checked_rem(sum).unwrap_or(0);
        Self { units: u64::try_from(units).unwrap_or(u64::MAX), remainder }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_left_goes_to_the_largest_remainders_and_then_to_the_first() {
        assert_eq!(apportion(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(apportion(100, &[47, 16, 15, 12, 10]), [47, 16, 15, 12, 10]);
        assert_eq!(apportion(7, &[50, 30, 20]), [4, 2, 1]);
        assert_eq!(apportion(2, &[1, 1, 1]), [1, 1, 0]);
        assert_eq!(apportion(5, &[0, 0]), [0, 0]);
        assert_eq!(apportion(5, &[]), [0u64; 0]);
        assert_eq!(apportion(u64::MAX, &[u64::MAX, u64::MAX]), [u64::MAX / 2 + 1, u64::MAX / 2]);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_each_is_its_quota_rounded_down_or_up(
            total in any::<u64>(), weights in proptest::collection::vec(prop_oneof![0u64..20, any::<u64>()], 1..40),
        ) {
            let parts = apportion(total, &weights);
            let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            let given: u128 = parts.iter().map(|part| u128::from(*part)).sum();
            prop_assert_eq!(given, if sum == 0 { 0 } else { total.into() });
            for (part, weight) in parts.iter().zip(&weights) {
                let (quota, part) = (Quota::of(total, *weight, sum), u128::from(*part));
                prop_assert!(part == u128::from(quota.units) || (part == u128::from(quota.units) + 1 && quota.remainder > 0));
            }
            for (one, two) in parts.iter().zip(&weights).zip(parts.iter().zip(&weights).skip(1)) {
                prop_assert!(one.1 != two.1 || one.0 >= two.0, "the first among equals");
            }
        }
    }
}
