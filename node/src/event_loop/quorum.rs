//! Whether this peer can take part: who hears it, and whether they are enough for a decision.
//!
//! A validator needs direct connections to validators with more than two thirds of the voting power, counting itself.
//! An observer needs at least one listening peer. A peer without that is *cut off*: what it submits and signs does not
//! reach those who decide, however many connections are open. It is not ready, as [`crate::health`] says.

use crate::network::Audience;
use allod_protocol::{
    ground::ids::{Power, PublicKey},
    rules::validator::ValidatorSet,
};
use serde::Serialize;

/// The peers and the voting power that this peer reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// Number of connected peers that hear this one.
    pub listening_peers: usize,
    /// The voting power of the validators among them, plus this peer's own.
    pub power: Power,
    /// The voting power of all validators.
    pub total_power: Power,
    /// Whether this is too little to take part.
    pub cut_off: bool,
}

impl Reached {
    /// What a peer with this consensus key reaches, given who hears it.
    pub(crate) fn of(audience: &Audience, validators: &ValidatorSet, own: PublicKey) -> Self {
        let is_validator = validators.by_address(&own.validator_address()).is_some();
        let mut keys = audience.validators.clone();
        keys.insert(own);
        let power = validators.power_of(&keys);
        let cut_off = if is_validator { !validators.is_quorum(power) } else { audience.peers == 0 };
        Self { listening_peers: audience.peers, power, total_power: validators.total_power(), cut_off }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use allod_protocol::{
        ground::{crypto::SigningKey, ids::AccountId},
        rules::validator::Validator,
    };

    fn key(seed: u8) -> PublicKey {
        SigningKey::from_seed(&[seed; 32]).public_key()
    }

    fn set(powers: &[u64]) -> ValidatorSet {
        let one =
            |(seed, power): (u8, &u64)| Validator::new(key(seed), Power::new(*power), AccountId::from_bytes([0; 32]));
        ValidatorSet::try_from((0u8..).zip(powers).map(one).collect::<Vec<_>>()).unwrap()
    }

    fn audience(peers: usize, validators: &[u8]) -> Audience {
        let validators = validators.iter().map(|seed| key(*seed)).collect();
        Audience { peers, validators, ..Audience::default() }
    }

    #[test]
    fn a_validator_needs_more_than_two_thirds_of_the_power_and_an_observer_somebody() {
        let of = |powers: &[u64], own: u8, peers: usize, heard: &[u8]| {
            Reached::of(&audience(peers, heard), &set(powers), key(own)).cut_off
        };
        assert!(!of(&[1], 0, 0, &[]), "alone, it decides alone");
        assert!(of(&[1, 1, 1, 1], 0, 9, &[1]));
        assert!(!of(&[1, 1, 1, 1], 0, 2, &[1, 2]));
        assert!(of(&[1, 1, 1], 0, 1, &[1]), "two thirds are not more than two thirds");
        assert!(!of(&[8, 1, 1, 1], 0, 0, &[]));
        assert!(of(&[8, 1, 1, 1], 1, 2, &[2, 3]));
        assert!(of(&[1], 7, 0, &[]), "an observer without a peer");
        assert!(!of(&[1, 1, 1, 1], 7, 1, &[]), "an observer with one that need not be a validator");
        let reached = Reached::of(&audience(2, &[1, 9]), &set(&[3, 4]), key(0));
        assert_eq!((reached.power, reached.total_power), (Power::new(7), Power::new(7)), "9 is not a validator");
    }
}
