//! Exact parts of a whole, as used in rules: two thirds are exactly two thirds, and "at least" and "more than" differ
//! at the boundary.

use crate::ground::limits;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Visitor},
};
use std::{fmt, marker::PhantomData, str::FromStr};

/// A part of a whole, from 0 to 1, in lowest terms. The denominator is at most [`limits::FRACTION_DENOMINATOR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fraction {
    numerator: u32,
    denominator: u32,
}

/// Why a text or a pair of numbers is not a fraction that a rule can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FractionError {
    /// The text is not a part of a whole.
    #[error("{0:?} is no part of a whole; write one such as \"2/3\" or \"66.5 %\"")]
    Text(String),
    /// The denominator is 0, or the fraction is more than 1.
    #[error("{0}/{1} is no part of a whole; write one from 0/1 to 1/1")]
    Outside(u64, u64),
    /// The denominator is too large.
    #[error("{0}/{1} is too fine; use a denominator of at most {max} in lowest terms", max = limits::FRACTION_DENOMINATOR)]
    TooFine(u64, u64),
    /// "More than the whole" cannot be met.
    #[error("\"more than the whole\" can never be met; write \"at least 1/1\"")]
    MoreThanAll,
}

impl Fraction {
    /// None of it.
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };
    /// A tenth.
    pub const TENTH: Self = Self { numerator: 1, denominator: 10 };
    /// A half.
    pub const HALF: Self = Self { numerator: 1, denominator: 2 };
    /// Two thirds.
    pub const TWO_THIRDS: Self = Self { numerator: 2, denominator: 3 };
    /// All of it.
    pub const WHOLE: Self = Self { numerator: 1, denominator: 1 };

    /// # Errors
    /// When it is more than the whole, over nothing, or too fine.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, FractionError> {
        if denominator == 0 || numerator > denominator {
            return Err(FractionError::Outside(numerator, denominator));
        }
        let divisor = greatest_common_divisor(numerator, denominator);
        let lowest = |value: u64| value.checked_div(divisor).and_then(|value| u32::try_from(value).ok());
        match (lowest(numerator), lowest(denominator)) {
            (Some(numerator), Some(denominator)) if denominator <= limits::FRACTION_DENOMINATOR => {
                Ok(Self { numerator, denominator })
            }
            _ => Err(FractionError::TooFine(numerator, denominator)),
        }
    }

    /// `value` hundredths.
    ///
    /// # Errors
    /// When it is more than the whole.
    pub fn percent(value: u64) -> Result<Self, FractionError> {
        Self::new(value, 100)
    }

    /// The numerator, in lowest terms.
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// The denominator, in lowest terms; never 0.
    pub const fn denominator(self) -> u32 {
        self.denominator
    }

    /// The rest of the whole.
    #[must_use]
    pub const fn rest(self) -> Self {
        // Already in lowest terms, because this fraction is.
        Self { numerator: self.denominator.saturating_sub(self.numerator), denominator: self.denominator }
    }

    /// This part of the other part. A result that is too fine is rounded up.
    #[must_use]
    pub fn of(self, other: Self) -> Self {
        let numerator = u64::from(self.numerator).saturating_mul(other.numerator.into());
        let denominator = u64::from(self.denominator).saturating_mul(other.denominator.into());
        Self::new(numerator, denominator).unwrap_or_else(|_| {
            let finest = u128::from(limits::FRACTION_DENOMINATOR);
            let scaled = u128::from(numerator).saturating_mul(finest).div_ceil(u128::from(denominator).max(1));
            u64::try_from(scaled)
                .ok()
                .and_then(|scaled| Self::new(scaled, limits::FRACTION_DENOMINATOR.into()).ok())
                .unwrap_or(Self::WHOLE)
        })
    }

    /// Whether `part` is more than this fraction of `whole`.
    pub fn is_exceeded(self, part: u128, whole: u128) -> bool {
        let (part, most) = self.crosswise(part, whole);
        part > most
    }

    /// `part · denominator` and `whole · numerator`: `part` compares to this fraction of `whole` as the first compares
    /// to the second.
    fn crosswise(self, part: u128, whole: u128) -> (u128, u128) {
        (part.saturating_mul(self.denominator.into()), whole.saturating_mul(self.numerator.into()))
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (left, right) = other.crosswise(self.numerator.into(), self.denominator.into());
        left.cmp(&right)
    }
}

const fn greatest_common_divisor(left: u64, right: u64) -> u64 {
    let (mut left, mut right) = (left, right);
    while let Some(rest) = left.checked_rem(right) {
        (left, right) = (right, rest);
    }
    left
}

/// As a percentage if two decimals express it exactly, otherwise as a fraction.
impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = u64::from(self.numerator).saturating_mul(10_000);
        let denominator = u64::from(self.denominator);
        match (hundredths.checked_div(denominator), hundredths.checked_rem(denominator)) {
            (Some(points), Some(0)) => match (points.div_euclid(100), points.rem_euclid(100)) {
                (whole, 0) => write!(f, "{whole} %"),
                (whole, rest) if rest.rem_euclid(10) == 0 => write!(f, "{whole}.{} %", rest.div_euclid(10)),
                (whole, rest) => write!(f, "{whole}.{rest:02} %"),
            },
            _ => write!(f, "{}/{}", self.numerator, self.denominator),
        }
    }
}

/// `2/3`, `66.5 %`, `66.5%`.
impl FromStr for Fraction {
    type Err = FractionError;

    fn from_str(text: &str) -> Result<Self, FractionError> {
        let wrong = || FractionError::Text(text.chars().take(40).collect());
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse::<u64>().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        if let Some((numerator, denominator)) = text.trim().split_once('/') {
            return Self::new(number(numerator.trim_end())?, number(denominator.trim_start())?);
        }
        let percent = text.trim().strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, decimals) = percent.split_once('.').map_or((percent, "0"), |(whole, decimals)| (whole, decimals));
        let scale =
            u32::try_from(decimals.len()).ok().and_then(|digits| 10u64.checked_pow(digits)).ok_or_else(wrong)?;
        let value = number(whole)?.checked_mul(scale).and_then(|value| value.checked_add(number(decimals).ok()?));
        Self::new(value.ok_or_else(wrong)?, scale.checked_mul(100).ok_or_else(wrong)?)
    }
}

/// How much of a whole is needed: at least a part of it, or more than a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Portion {
    is_more_than: bool,
    part: Fraction,
}

impl Portion {
    /// All of it.
    pub const WHOLE: Self = Self::at_least(Fraction::WHOLE);
    /// More than half.
    pub const MAJORITY: Self = Self { is_more_than: true, part: Fraction::HALF };
    /// At least two thirds.
    pub const TWO_THIRDS: Self = Self::at_least(Fraction::TWO_THIRDS);

    /// At least the part.
    pub const fn at_least(part: Fraction) -> Self {
        Self { is_more_than: false, part }
    }

    /// More than the part.
    ///
    /// # Errors
    /// When the part is the whole.
    pub fn more_than(part: Fraction) -> Result<Self, FractionError> {
        if part == Fraction::WHOLE { Err(FractionError::MoreThanAll) } else { Ok(Self { is_more_than: true, part }) }
    }

    /// The part.
    pub const fn part(self) -> Fraction {
        self.part
    }

    /// Whether exactly the part is not enough.
    pub const fn is_more_than(self) -> bool {
        self.is_more_than
    }

    /// How much of a whole suffices to leave too little to meet this.
    #[must_use]
    pub fn complement(self) -> Self {
        // Against "at least a third", two thirds are not enough: the rest would be exactly a third.
        let rest = self.part.rest();
        let strict = (!self.is_more_than).then(|| Self::more_than(rest).ok()).flatten();
        strict.unwrap_or(Self::at_least(rest))
    }

    /// Whether zero meets it.
    pub fn is_met_by_nothing(self) -> bool {
        !self.is_more_than && self.part == Fraction::ZERO
    }

    /// Whether `part` is enough of `whole`.
    pub fn is_met(self, part: u128, whole: u128) -> bool {
        let (part, least) = self.part.crosswise(part, whole);
        if self.is_more_than { part > least } else { part >= least }
    }

    /// The smallest number that is enough of `whole`.
    pub fn least(self, whole: u128) -> u128 {
        let (denominator, scaled) = self.part.crosswise(1, whole);
        let floor = scaled.checked_div(denominator).unwrap_or(0);
        if self.is_more_than { floor.saturating_add(1) } else { scaled.div_ceil(denominator.max(1)) }
    }

    /// The smallest `x` for which `part + x` is enough of `part + x + others`. `None` if there is none.
    pub fn lacks_beside(self, part: u128, others: u128) -> Option<u128> {
        let (numerator, rest) =
            (u128::from(self.part.numerator), u128::from(self.part.denominator.saturating_sub(self.part.numerator)));
        // (part + x) · denominator ≥ numerator · (part + x + others), solved for x; with > for "more than".
        let (needed, present) = (numerator.saturating_mul(others), rest.saturating_mul(part));
        match needed.checked_sub(present) {
            Some(lacking) if self.is_more_than => Some(lacking.checked_div(rest)?.saturating_add(1)),
            Some(0) | None => Some(0),
            Some(lacking) => (rest > 0).then(|| lacking.div_ceil(rest)),
        }
    }

    /// The smallest whole of which `part` is not enough. `None` if there is none.
    pub fn whole_that_outgrows(self, part: u128) -> Option<u128> {
        let (scaled, numerator) = (part.saturating_mul(self.part.denominator.into()), u128::from(self.part.numerator));
        let floor = scaled.checked_div(numerator)?;
        Some(if self.is_more_than { scaled.div_ceil(numerator) } else { floor.saturating_add(1) })
    }
}

/// Ordered by how much is needed.
impl PartialOrd for Portion {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Portion {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.part.cmp(&other.part).then(self.is_more_than.cmp(&other.is_more_than))
    }
}

/// In words that can be parsed back.
impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.is_more_than { "more than" } else { "at least" }, self.part)
    }
}

/// `at least 2/3`, `2/3`, `>=2/3`; `more than 50 %`, `>50 %`.
impl FromStr for Portion {
    type Err = FractionError;

    fn from_str(text: &str) -> Result<Self, FractionError> {
        let text = text.trim();
        for prefix in ["at least ", ">=", "≥"] {
            if let Some(part) = text.strip_prefix(prefix) {
                return Ok(Self::at_least(part.parse()?));
            }
        }
        for prefix in ["more than ", ">"] {
            if let Some(part) = text.strip_prefix(prefix) {
                return Self::more_than(part.parse()?);
            }
        }
        Ok(Self::at_least(text.parse()?))
    }
}

/// The encoded fraction. One that is not in lowest terms is refused, so each has one form.
#[derive(Serialize, Deserialize)]
struct FractionBytes(u32, u32);

impl FractionBytes {
    fn checked(self) -> Result<Fraction, FractionError> {
        let fraction = Fraction::new(self.0.into(), self.1.into())?;
        if (fraction.numerator, fraction.denominator) == (self.0, self.1) {
            Ok(fraction)
        } else {
            Err(FractionError::Outside(self.0.into(), self.1.into()))
        }
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        FractionBytes(self.numerator, self.denominator).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(Text(PhantomData));
        }
        FractionBytes::deserialize(deserializer)?.checked().map_err(D::Error::custom)
    }
}

/// Reads a value written as text.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err = FractionError>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a whole as a text, such as \"2/3\" or \"66.5 %\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl Serialize for Portion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        (self.is_more_than, self.part).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(Text(PhantomData));
        }
        match <(bool, Fraction)>::deserialize(deserializer)? {
            (true, part) => Self::more_than(part).map_err(D::Error::custom),
            (false, part) => Ok(Self::at_least(part)),
        }
    }
}

#[cfg(feature = "openapi")]
crate::ground::openapi::described_as_text!(Fraction, "A part of a whole, such as `2/3` or `66.5 %`.", None);

#[cfg(feature = "openapi")]
crate::ground::openapi::described_as_text!(
    Portion,
    "How much of a whole it takes, such as `at least 2/3` or `more than 50 %`; `>=` and `>` are understood too.",
    None
);

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

    use super::*;
    use crate::ground::codec;
    use proptest::prelude::*;

    fn portion(text: &str) -> Portion {
        text.parse().expect(text)
    }

    #[test]
    fn texts_are_read_and_written_exactly() {
        for (text, shown) in [
            ("2/3", "at least 2/3"),
            ("4/6", "at least 2/3"),
            ("66.67 %", "at least 66.67 %"),
            ("66.5%", "at least 66.5 %"),
            ("50%", "at least 50 %"),
            ("> 1/2", "more than 50 %"),
            ("more than 50 %", "more than 50 %"),
            (">=3/4", "at least 75 %"),
            ("at least 1/1", "at least 100 %"),
            ("0.125%", "at least 1/800"),
        ] {
            assert_eq!(portion(text).to_string(), shown);
            assert_eq!(portion(shown), portion(text), "what is written reads back as the same");
        }
        for wrong in
            ["", "2", "0.5", "3/2", "1/0", "101 %", "-1/2", "+1/2", "%", "> 100 %", "more than", "1/2/3", "1/100000007"]
        {
            assert!(wrong.parse::<Portion>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_of_three_are_two_thirds_and_half_is_not_more_than_half() {
        assert!(Portion::TWO_THIRDS.is_met(2, 3));
        assert!(!portion("66.67 %").is_met(2, 3), "what was said before exact parts");
        assert!(!Portion::MAJORITY.is_met(500, 1_000));
        assert!(portion("50 %").is_met(500, 1_000));
    }

    #[test]
    fn bytes_have_one_form() {
        let bytes = codec::encode(&Portion::TWO_THIRDS);
        assert_eq!(codec::decode::<Portion>(&bytes, 64), Ok(Portion::TWO_THIRDS));
        let raw = |numerator: u32, denominator: u32, more: bool| {
            codec::encode(&(more, FractionBytes(numerator, denominator)))
        };
        assert_eq!(raw(2, 3, false), bytes);
        for wrong in [raw(4, 6, false), raw(3, 2, false), raw(0, 0, false), raw(1, 1, true), raw(0, 2, false)] {
            assert!(codec::decode::<Portion>(&wrong, 64).is_err());
        }
    }

    prop_compose! {
        fn any_portion()(denominator in 1u64..=1_000, part in 0u64..=1_000, more in any::<bool>()) -> Portion {
            let part = Fraction::new(part % (denominator + 1), denominator).expect("a part of the whole");
            if more { Portion::more_than(part).unwrap_or(Portion::at_least(part)) } else { Portion::at_least(part) }
        }
    }

    proptest! {
        #[test]
        fn the_least_that_meets_is_the_least(portion in any_portion(), whole in 0u128..10_000) {
            let least = portion.least(whole);
            prop_assert!(portion.is_met(least, whole));
            prop_assert!(least == 0 || !portion.is_met(least - 1, whole));
        }

        #[test]
        fn what_lacks_beside_others_is_just_enough(portion in any_portion(), part in 0u128..1_000, others in 0u128..1_000) {
            let met = |x: u128| portion.is_met(part + x, part + x + others);
            match portion.lacks_beside(part, others) {
                Some(lacks) => {
                    prop_assert!(met(lacks));
                    prop_assert!(lacks == 0 || !met(lacks - 1));
                }
                None => prop_assert!(!met(0) && !met(1 << 40)),
            }
        }

        #[test]
        fn a_whole_that_outgrows_is_the_least(portion in any_portion(), part in 1u128..1_000) {
            match portion.whole_that_outgrows(part) {
                Some(whole) => {
                    prop_assert!(!portion.is_met(part, whole));
                    prop_assert!(whole == 0 || portion.is_met(part, whole - 1));
                }
                None => prop_assert!(portion.is_met(part, 1 << 60)),
            }
        }

        #[test]
        fn fractions_are_ordered_as_their_values(a in 0u64..=100, b in 1u64..=100, c in 0u64..=100, d in 1u64..=100) {
            let (left, right) = (Fraction::new(a.min(b), b).expect("a part"), Fraction::new(c.min(d), d).expect("a part"));
            prop_assert_eq!(left.cmp(&right), (a.min(b) * d).cmp(&(c.min(d) * b)));
        }
    }
}
