//! Validators, the set in force at a height, and what counts as a quorum of it.
//!
//! The set is part of the state: a decision that admits or removes a validator, executed in block `H`, takes effect at
//! `H + 2`, because the header of `H` has already announced the set of `H + 1`.

use crate::ground::{
    codec,
    crypto::{self, Domain},
    ids::{AccountId, Height, NetworkId, Power, PublicKey, ValidatorAddress, ValidatorSetHash},
    limits,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// Why a list is not a validator set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// The list is empty, so nobody could decide.
    #[error("a validator set has at least one validator")]
    Empty,
    /// There are too many validators.
    #[error("{0} validators are more than the {max} allowed", max = limits::VALIDATORS)]
    TooMany(usize),
    /// A key is listed twice.
    #[error("validator key {0} is listed twice")]
    Duplicate(PublicKey),
    /// A power is out of bounds.
    #[error("validator {key} has power {power}; it is 1 to {max}", max = limits::VALIDATOR_POWER)]
    Power {
        /// The validator's key.
        key: PublicKey,
        /// The power given.
        power: Power,
    },
}

/// A validator: a consensus key with voting power, and the account that answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ValidatorRecord", into = "ValidatorRecord")]
pub struct Validator {
    /// The address, derived from the key.
    pub address: ValidatorAddress,
    /// The consensus key.
    pub key: PublicKey,
    /// Its voting power in consensus.
    pub power: Power,
    /// The account that answers for it.
    pub operator: AccountId,
}

#[derive(Serialize, Deserialize)]
struct ValidatorRecord {
    key: PublicKey,
    power: Power,
    operator: AccountId,
}

impl Validator {
    /// A validator with the address of its key.
    pub fn new(key: PublicKey, power: Power, operator: AccountId) -> Self {
        Self { address: key.validator_address(), key, power, operator }
    }
}

impl From<ValidatorRecord> for Validator {
    fn from(record: ValidatorRecord) -> Self {
        Self::new(record.key, record.power, record.operator)
    }
}

impl From<Validator> for ValidatorRecord {
    fn from(validator: Validator) -> Self {
        Self { key: validator.key, power: validator.power, operator: validator.operator }
    }
}

/// The bytes that a validator's key signs, in [`Domain::Introduction`], to state which peer speaks for it.
pub fn introduction(network: NetworkId, peer: PublicKey) -> Vec<u8> {
    codec::encode(&(network, peer))
}

/// The bytes that a validator's key signs, in [`Domain::Operation`], to let an account answer for it.
pub fn operation(network: NetworkId, operator: AccountId) -> Vec<u8> {
    codec::encode(&(network, operator))
}

/// A validator set: 1 to [`limits::VALIDATORS`] validators, ordered by address. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Validator>", into = "Vec<Validator>")]
pub struct ValidatorSet(Arc<[Validator]>);

impl TryFrom<Vec<Validator>> for ValidatorSet {
    type Error = ValidatorSetError;

    fn try_from(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > limits::VALIDATORS {
            return Err(ValidatorSetError::TooMany(validators.len()));
        }
        validators.sort_by_key(|validator| validator.address);
        for pair in validators.windows(2) {
            if let [one, two] = pair
                && one.address == two.address
            {
                return Err(ValidatorSetError::Duplicate(one.key));
            }
        }
        for validator in &validators {
            if !(1..=limits::VALIDATOR_POWER).contains(&validator.power.get()) {
                return Err(ValidatorSetError::Power { key: validator.key, power: validator.power });
            }
        }
        Ok(Self(validators.into()))
    }
}

impl From<ValidatorSet> for Vec<Validator> {
    fn from(set: ValidatorSet) -> Self {
        set.0.to_vec()
    }
}

impl ValidatorSet {
    /// The validators, ordered by address.
    pub fn iter(&self) -> impl Iterator<Item = &Validator> {
        self.0.iter()
    }

    /// The number of validators; never 0.
    #[allow(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The validator at an index in the order of addresses.
    pub fn at(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }

    /// The validator with an address.
    pub fn by_address(&self, address: &ValidatorAddress) -> Option<&Validator> {
        self.0.binary_search_by_key(address, |validator| validator.address).ok().and_then(|index| self.0.get(index))
    }

    /// The sum of all powers; it cannot overflow, see [`limits`].
    pub fn total_power(&self) -> Power {
        Power::new(self.0.iter().fold(0u64, |sum, validator| sum.saturating_add(validator.power.get())))
    }

    /// Whether `power` is more than two thirds of the total.
    pub fn is_quorum(&self, power: Power) -> bool {
        u128::from(power.get()).saturating_mul(3) > u128::from(self.total_power().get()).saturating_mul(2)
    }

    /// Whether `power` is more than a third of the total: whoever has it cannot all be liars.
    pub fn is_credible(&self, power: Power) -> bool {
        u128::from(power.get()).saturating_mul(3) > u128::from(self.total_power().get())
    }

    /// The total power of the validators with these keys that are in the set, each counted once.
    pub fn power_of(&self, keys: &BTreeSet<PublicKey>) -> Power {
        let counted = self.0.iter().filter(|validator| keys.contains(&validator.key));
        Power::new(counted.fold(0u64, |sum, validator| sum.saturating_add(validator.power.get())))
    }

    /// The proposer of a round of a height: turns are distributed to validators in proportion to their powers.
    ///
    /// Lay the total power out in the order of addresses. Turn `t` goes to the validator whose section contains the
    /// fractional part of `t` times the golden ratio (a Weyl sequence). The points of this sequence spread as evenly as
    /// those of any sequence can, so nobody waits long; and two successive turns are at least 0.38 of the whole apart,
    /// so a dead proposer with less than that is followed by another validator.
    pub fn proposer(&self, height: Height, round: u32) -> &Validator {
        /// 2^64 divided by the golden ratio, made odd.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let fraction = height.get().wrapping_add(u64::from(round)).wrapping_mul(GOLDEN);
        let point = u128::from(fraction).saturating_mul(u128::from(self.total_power().get())) >> 64;
        let mut end = 0u128;
        let reached = self.0.iter().find(|validator| {
            end = end.saturating_add(u128::from(validator.power.get()));
            point < end
        });
        #[allow(clippy::indexing_slicing, reason = "a set is never empty, and the point is below its power")]
        reached.unwrap_or(&self.0[0])
    }

    /// The hash of the set in headers.
    pub fn hash(&self) -> ValidatorSetHash {
        ValidatorSetHash::from_bytes(crypto::hash(Domain::ValidatorSet, &codec::encode(self)))
    }
}

/// The sets that are already settled when a block has been executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorSchedule {
    /// The set that decides the next block.
    pub current: ValidatorSet,
    /// The set that decides the block after that.
    pub next: ValidatorSet,
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::float_arithmetic, reason = "an overflow fails the test")]
mod tests {
    use super::*;
    use crate::ground::crypto::SigningKey;
    use std::collections::BTreeMap;

    fn set(powers: &[u64]) -> ValidatorSet {
        let validator = |(seed, power): (u8, &u64)| {
            let key = SigningKey::from_seed(&[seed; 32]).public_key();
            Validator::new(key, Power::new(*power), AccountId::from_bytes([0; 32]))
        };
        ValidatorSet::try_from((1u8..).zip(powers).map(validator).collect::<Vec<_>>()).expect("a set")
    }

    fn turns(set: &ValidatorSet, count: u64) -> Vec<ValidatorAddress> {
        (1..=count).map(|height| set.proposer(Height::new(height), 0).address).collect()
    }

    #[test]
    fn turns_follow_the_powers() {
        let set = set(&[1, 2, 3, 10]);
        let mut counts: BTreeMap<ValidatorAddress, u64> = BTreeMap::new();
        turns(&set, 1_600).into_iter().for_each(|address| *counts.entry(address).or_default() += 1);
        for validator in set.iter() {
            let (turns, due) = (counts[&validator.address], validator.power.get() * 100);
            assert!(turns.abs_diff(due) <= 4, "{turns} turns where {due} are due");
        }
    }

    #[test]
    fn nobody_proposes_twice_running_or_waits_long_among_equals() {
        for count in 3..=12usize {
            let set = set(&vec![1; count]);
            let turns = turns(&set, 1_000);
            assert!(turns.windows(2).all(|pair| pair[0] != pair[1]));
            for validator in set.iter() {
                let places = turns.iter().enumerate().filter(|(_, address)| **address == validator.address);
                let places: Vec<usize> = places.map(|(place, _)| place).collect();
                assert!(places.windows(2).all(|pair| pair[1] - pair[0] <= count * 3), "{count} validators");
            }
        }
    }

    #[test]
    fn a_round_more_is_a_turn_more() {
        let set = set(&[1, 1, 1, 1]);
        assert_eq!(set.proposer(Height::new(5), 2), set.proposer(Height::new(7), 0));
        assert_eq!(set.proposer(Height::new(u64::MAX), u32::MAX).power, Power::new(1), "turns wrap around");
    }
}
