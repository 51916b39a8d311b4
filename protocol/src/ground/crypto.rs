//! Hashing with a domain tag per purpose, signing, and the single validity rule for signatures.
//!
//! Hashes are BLAKE3 over `len(tag) || tag || data`, so a value hashed for one purpose means nothing for another.
//! Signatures are ed25519, made with `ed25519-dalek`. A signature is valid if ZIP-215 says so (`ed25519-zebra`). That
//! rule is the same for a single check and for a batch, whatever keys an attacker crafts. RFC 8032 leaves this open,
//! which a network that must agree cannot do.

use crate::ground::ids::{PublicKey, Signature, ValidatorAddress};
use ed25519_dalek::Signer as _;

/// The purpose for which bytes are hashed or signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A genesis; its hash is the network's id.
    Genesis,
    /// A transaction's signing bytes.
    Transaction,
    /// A block header.
    Block,
    /// The transaction ids of a block.
    Transactions,
    /// A validator set.
    ValidatorSet,
    /// A validator's address, from its key.
    Validator,
    /// A consensus vote.
    Vote,
    /// A consensus proposal.
    Proposal,
    /// An account's id.
    Account,
    /// A model's id.
    Model,
    /// A contribution's id.
    Contribution,
    /// A governance proposal's id.
    GovernanceProposal,
    /// A dispute's id.
    Dispute,
    /// An incident's id.
    Incident,
    /// The id of a request that waits for signatures.
    Approval,
    /// A sealed amount.
    Seal,
    /// Commitments to artifacts that are not published yet.
    Commitment,
    /// The salt of a commitment, for tools that make it from a key.
    CommitmentSalt,
    /// A key of the authenticated map.
    StateKey,
    /// The statement that a peer reads for an account.
    PeerBinding,
    /// The statement that a peer speaks for a validator.
    Introduction,
    /// The statement that an account operates a validator.
    Operation,
}

impl Domain {
    /// The tag, which is part of the format.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Genesis => "allod/genesis/1",
            Self::Transaction => "allod/tx/1",
            Self::Block => "allod/block/1",
            Self::Transactions => "allod/txs/1",
            Self::ValidatorSet => "allod/validators/1",
            Self::Validator => "allod/validator/1",
            Self::Vote => "allod/vote/1",
            Self::Proposal => "allod/proposal/1",
            Self::Account => "allod/account/1",
            Self::Model => "allod/model/1",
            Self::Contribution => "allod/contribution/1",
            Self::GovernanceProposal => "allod/decision/1",
            Self::Dispute => "allod/dispute/1",
            Self::Incident => "allod/incident/1",
            Self::Approval => "allod/approval/1",
            Self::Seal => "allod/seal/1",
            Self::Commitment => "allod/commitment/1",
            Self::CommitmentSalt => "allod/commitment-salt/1",
            Self::StateKey => "allod/state-key/1",
            Self::PeerBinding => "allod/peer-binding/1",
            Self::Introduction => "allod/introduction/1",
            Self::Operation => "allod/operation/1",
        }
    }
}

/// BLAKE3 of `data` for one purpose.
pub fn hash(domain: Domain, data: &[u8]) -> [u8; 32] {
    *blake3::hash(&tagged(domain, data)).as_bytes()
}

/// `len(tag) || tag || data`: the bytes that are hashed or signed for a purpose.
pub fn tagged(domain: Domain, data: &[u8]) -> Vec<u8> {
    let tag = domain.tag().as_bytes();
    let mut bytes = Vec::with_capacity(data.len().saturating_add(32));
    #[allow(clippy::cast_possible_truncation, reason = "every tag is under 32 bytes")]
    bytes.push(tag.len() as u8);
    bytes.extend_from_slice(tag);
    bytes.extend_from_slice(data);
    bytes
}

/// A secret ed25519 key. It is zeroed when dropped; its `Debug` shows only the public half.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public_key())
    }
}

impl SigningKey {
    /// Takes 32 secret bytes, from a cryptographic random source or from a key file.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Wraps a key of the library, for example one read from PKCS#8.
    pub fn from_dalek(key: ed25519_dalek::SigningKey) -> Self {
        Self(key)
    }

    /// The library's key, for writing PKCS#8.
    pub fn as_dalek(&self) -> &ed25519_dalek::SigningKey {
        &self.0
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` for one purpose.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(&tagged(domain, message)).to_bytes())
    }
}

impl PublicKey {
    /// Whether `signature` is this key's signature of `message` for this purpose, by ZIP-215.
    pub fn verifies(&self, domain: Domain, message: &[u8], signature: &Signature) -> bool {
        remembered::or_check(self, domain, message, signature, || self.checks(domain, message, signature))
    }

    fn checks(&self, domain: Domain, message: &[u8], signature: &Signature) -> bool {
        let key = match ed25519_zebra::VerificationKey::try_from(*self.as_bytes()) {
            Ok(key) => key,
            Err(_) => return false,
        };
        key.verify(&ed25519_zebra::Signature::from(*signature.as_bytes()), &tagged(domain, message)).is_ok()
    }

    /// The address of the validator that signs with this key.
    pub fn validator_address(&self) -> ValidatorAddress {
        ValidatorAddress::from_bytes(hash(Domain::Validator, self.as_bytes()))
    }
}

/// Signature checks that this thread does not make twice. A peer never asks for it: who does is a simulator, in which one
/// thread is many peers that each check the same signatures.
pub mod remembered {
    use super::{Domain, PublicKey, Signature, tagged};
    use std::{cell::RefCell, collections::BTreeMap, marker::PhantomData};

    /// Checks that are remembered at a time; then it begins again.
    const CHECKS: usize = 200_000;

    thread_local! {
        static FOUND: RefCell<Option<BTreeMap<[u8; 32], bool>>> = const { RefCell::new(None) };
    }

    /// As long as it lives, this thread remembers what came of each check.
    #[derive(Debug)]
    pub struct Remembering(PhantomData<*const ()>);

    impl Remembering {
        /// Begins, with nothing remembered.
        pub fn new() -> Self {
            FOUND.set(Some(BTreeMap::new()));
            Self(PhantomData)
        }
    }

    impl Default for Remembering {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Drop for Remembering {
        fn drop(&mut self) {
            FOUND.set(None);
        }
    }

    /// What came of a check earlier, if that is remembered, or what comes of it now.
    pub(super) fn or_check(
        key: &PublicKey,
        domain: Domain,
        message: &[u8],
        signature: &Signature,
        check: impl FnOnce() -> bool,
    ) -> bool {
        FOUND.with_borrow_mut(|found| {
            let Some(found) = found else { return check() };
            if found.len() >= CHECKS {
                found.clear();
            }
            let mut hasher = blake3::Hasher::new();
            hasher.update(key.as_bytes()).update(signature.as_bytes()).update(&tagged(domain, message));
            *found.entry(*hasher.finalize().as_bytes()).or_insert_with(check)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_check_is_of_the_very_same_signature() {
        let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let signature = key.sign(Domain::Vote, b"yes");
        let _remembering = remembered::Remembering::new();
        for _ in 0..2 {
            assert!(key.public_key().verifies(Domain::Vote, b"yes", &signature));
            assert!(!key.public_key().verifies(Domain::Vote, b"no", &signature));
            assert!(!key.public_key().verifies(Domain::Proposal, b"yes", &signature));
            assert!(!other.public_key().verifies(Domain::Vote, b"yes", &signature));
            assert!(!key.public_key().verifies(Domain::Vote, b"yes", &other.sign(Domain::Vote, b"yes")));
        }
    }

    #[test]
    fn a_signature_holds_for_its_key_message_and_purpose_only() {
        let key = SigningKey::from_seed(&[1; 32]);
        let other = SigningKey::from_seed(&[2; 32]);
        let signature = key.sign(Domain::Vote, b"yes");
        assert!(key.public_key().verifies(Domain::Vote, b"yes", &signature));
        assert!(!key.public_key().verifies(Domain::Vote, b"no", &signature));
        assert!(!key.public_key().verifies(Domain::Proposal, b"yes", &signature));
        assert!(!other.public_key().verifies(Domain::Vote, b"yes", &signature));
        assert!(!PublicKey::from_bytes([0xff; 32]).verifies(Domain::Vote, b"yes", &signature));
    }

    #[test]
    fn zip_215_accepts_small_order_keys_alike_everywhere() {
        // With the identity as key and as R, and s = 0, the cofactored equation holds for any message. If one place
        // accepted this signature and another refused it, the network would split.
        let mut identity = [0u8; 32];
        identity[0] = 1;
        let mut signature = [0u8; 64];
        signature[0] = 1;
        let key = PublicKey::from_bytes(identity);
        assert!(key.verifies(Domain::Vote, b"anything", &Signature::from_bytes(signature)));
    }

    #[test]
    fn a_secret_key_does_not_show_itself() {
        let key = SigningKey::from_seed(&[9; 32]);
        assert!(!format!("{key:?}").contains("0909"));
    }
}
