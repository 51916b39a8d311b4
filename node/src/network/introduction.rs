//! What a peer says about itself in addition to its name, in identify's agent: `allod/VERSION`, a space, and a record
//! in hexadecimal digits.
//!
//! The record has two parts. A random number identifies this *life* of the process: if the same peer has another number
//! on a new connection, it has restarted, so what is left of its older connections is dead. And a validator's key signs
//! that this peer speaks for it. So others know how much voting power hears them, and do not refuse a validator for
//! being busy. A peer with no record, or an unreadable one, is still a peer.

use allod_protocol::{
    ground::{
        codec,
        crypto::{Domain, SigningKey},
        ids::{NetworkId, PublicKey, Signature},
    },
    rules::validator,
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// Maximum size of an encoded record, in bytes.
const SIZE_BYTES: usize = 256;

/// The record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Introduction {
    /// Random number that identifies this life of the process.
    pub(super) life: u64,
    /// The validator that the peer speaks for, if any.
    pub(super) claim: Option<Claim>,
}

/// The statement that a peer speaks for a validator, signed by the validator's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// The validator's key.
    pub(super) validator: PublicKey,
    signature: Signature,
}

impl Claim {
    fn new(network: NetworkId, peer: PublicKey, validator: &SigningKey) -> Self {
        let signature = validator.sign(Domain::Introduction, &validator::introduction(network, peer));
        Self { validator: validator.public_key(), signature }
    }

    /// Whether the validator's key signed the claim for this peer.
    pub(super) fn is_true(&self, network: NetworkId, peer: PublicKey) -> bool {
        self.validator.verifies(Domain::Introduction, &validator::introduction(network, peer), &self.signature)
    }
}

impl Introduction {
    /// The introduction of a process that starts now.
    pub(super) fn new(network: NetworkId, peer: PublicKey, validator: Option<&SigningKey>) -> Self {
        // Without randomness two lives look the same, which costs a restarted peer some seconds.
        let life = getrandom::u64().unwrap_or_default();
        Self { life, claim: validator.map(|key| Claim::new(network, peer, key)) }
    }

    /// The agent that contains the record.
    pub(super) fn to_agent(self) -> String {
        format!("allod/{} {}", env!("CARGO_PKG_VERSION"), HEXLOWER.encode(&codec::encode(&self)))
    }

    /// Splits an agent into the human-readable part and the record.
    pub(super) fn of_agent(agent: &str) -> (&str, Option<Self>) {
        let read = |digits: &str| codec::decode(&HEXLOWER.decode(digits.as_bytes()).ok()?, SIZE_BYTES).ok();
        let parts = agent.rsplit_once(' ').and_then(|(software, digits)| Some((software, read(digits)?)));
        parts.map_or((agent, None), |(software, introduction)| (software, Some(introduction)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = NetworkId::from_bytes([7; 32]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    #[test]
    fn an_agent_tells_the_software_and_the_introduction() {
        for validator in [None, Some(&key(2))] {
            let introduction = Introduction::new(NETWORK, key(1).public_key(), validator);
            let agent = introduction.to_agent();
            let (software, read) = Introduction::of_agent(&agent);
            assert_eq!((software, read), (concat!("allod/", env!("CARGO_PKG_VERSION")), Some(introduction)));
        }
        for other in ["", " ", "allod/0.1.0", "kubo 0.30", "allod/0.1.0 00", "js-libp2p/2 ffff", &"f ".repeat(9_000)] {
            assert_eq!(Introduction::of_agent(other), (other, None));
        }
    }

    #[test]
    fn a_claim_is_of_one_peer_on_one_network() {
        let (peer, validator) = (key(1).public_key(), key(2));
        let claim = Claim::new(NETWORK, peer, &validator);
        assert!(claim.is_true(NETWORK, peer));
        assert!(!claim.is_true(NETWORK, key(3).public_key()));
        assert!(!claim.is_true(NetworkId::from_bytes([8; 32]), peer));
        assert!(!Claim { validator: key(3).public_key(), ..claim }.is_true(NETWORK, peer));
    }
}
