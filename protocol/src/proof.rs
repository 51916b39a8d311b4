//! Proofs: that a key of the state has a value, or none, under a state root; why a root can be trusted ([`root`]); and
//! deeds, which carry everything an outsider needs to check offline what the ledger says ([`deed`]).
//!
//! A state root is signed one block later: the header of `H + 1` carries the root after `H`, and the certificate of
//! `H + 1` makes it final. To get from genesis to that header, an outsider needs no blocks, only the points at which
//! the validator set changed: each header that announces the next set, certified by the previous set.

pub mod deed;
pub mod root;

pub use deed::{Deed, Subject};
pub use root::{CertifiedHeader, Checkpoint, RootProof, Trust, ValidatorChange};

use crate::{
    ground::{
        codec::DecodeError,
        crypto::{self, Domain},
        ids::{Height, NetworkId, StateRoot},
        limits,
        state::Family,
    },
    ledger::{block::InvalidCertificate, genesis::GenesisError},
};
use jmt::{KeyHash, RootHash, SimpleHasher, proof::SparseMerkleProof};
use serde::{Deserialize, Serialize};

/// BLAKE3, for the state tree.
#[derive(Clone, Debug, Default)]
pub struct TreeHasher(blake3::Hasher);

impl SimpleHasher for TreeHasher {
    fn new() -> Self {
        Self::default()
    }
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn finalize(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// The position of a key in the tree.
pub fn tree_key(key: &[u8]) -> KeyHash {
    KeyHash(crypto::hash(Domain::StateKey, key))
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    /// The bytes are not a proof.
    #[error("not a proof: {0}")]
    Malformed(#[from] DecodeError),
    /// There is more of something than any proof has.
    #[error("{found} {what} are more than the {max} that a deed can have")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// The key cannot be in the tree, where it would always seem absent.
    #[error(
        "nothing can be proven of a key that begins with {}: that is no family of the state tree",
        .0.map_or_else(|| "nothing".to_owned(), |byte| format!("byte {byte}"))
    )]
    Family(Option<u8>),
    /// The path does not lead from the value to the root.
    #[error("the proof does not lead to state root {root}: {detail}")]
    Root {
        /// The root that was trusted.
        root: StateRoot,
        /// The tree's error.
        detail: String,
    },
    /// The genesis cannot start a network.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The deed was made on a different network than the trusted genesis.
    #[error("the deed is of network {found}, the trusted genesis of network {expected}")]
    Network {
        /// The deed's network.
        found: NetworkId,
        /// The genesis's network.
        expected: NetworkId,
    },
    /// A header was not decided by the set that had to decide it.
    #[error("the header of height {height} is not certified: {detail}")]
    Certificate {
        /// The height of the header.
        height: Height,
        /// Why it is not certified.
        detail: InvalidCertificate,
    },
    /// A certificate is for a different block than the header next to it.
    #[error("the certificate beside the header of height {0} is for another block")]
    Mismatch(Height),
    /// A header names a different validator set than the chain of sets leads to.
    #[error("the header of height {0} names a validator set that does not follow from the genesis")]
    ValidatorSet(Height),
    /// The steps do not go forward.
    #[error("the heights of the deed do not increase at {0}")]
    Order(Height),
    /// A later header does not follow from the one before it.
    #[error("the header of height {0} does not follow from the one before it in the deed")]
    Parent(Height),
    /// The checkpoint is not a valid checkpoint.
    #[error("block 0 is the genesis, which is given anyway; a checkpoint is a later block")]
    NotACheckpoint,
    /// The deed does not show which block is at the checkpoint's height.
    #[error(
        "nothing in the deed leads to the checkpoint, block {checkpoint}: it stands on block {header}. Take the hash of \
         block {header} as the checkpoint (`allod block {header}`, asked of whom you trust), or have the deed made with \
         `--checkpoint {checkpoint}`"
    )]
    NotTied {
        /// The checkpoint's height.
        checkpoint: Height,
        /// The height of the deed's own header.
        header: Height,
    },
    /// The deed and the checkpoint belong to different histories.
    #[error(
        "the deed's block {} is not the checkpoint's, {}: the checkpoint is mistyped, or the deed is forged",
        .found, .checkpoint
    )]
    Forked {
        /// The trusted checkpoint.
        checkpoint: Checkpoint,
        /// The block that the deed has at that height.
        found: Checkpoint,
    },
    /// A proof is missing, or there is one that the subject does not need.
    #[error("the deed does not prove exactly what a deed on {subject} proves: {problem}")]
    Incomplete {
        /// The subject of the deed.
        subject: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// A proof that a key has a value, or none, under a state root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateProof {
    /// The key's bytes, see [`crate::ground::state`].
    pub key: Vec<u8>,
    /// The value's bytes. `None` for a proof of absence.
    pub value: Option<Vec<u8>>,
    /// The path in the tree.
    pub path: SparseMerkleProof<TreeHasher>,
}

impl StateProof {
    /// Reads a standalone proof.
    ///
    /// # Errors
    /// When the bytes are not a proof, or its key belongs to no family of the tree.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidProof> {
        let proof: Self = crate::ground::codec::decode(bytes, limits::DEED_SIZE_BYTES)?;
        proof.check_family()?;
        Ok(proof)
    }

    /// Checks that the tree can have the key at all.
    fn check_family(&self) -> Result<(), InvalidProof> {
        let family = self.key.first().copied();
        match family {
            Some(byte) if Family::is_authenticated(byte) => Ok(()),
            _ => Err(InvalidProof::Family(family)),
        }
    }

    /// Checks the proof against a trusted state root.
    ///
    /// # Errors
    /// [`InvalidProof::Family`], [`InvalidProof::Root`].
    pub fn verify(&self, root: StateRoot) -> Result<(), InvalidProof> {
        self.check_family()?;
        self.path
            .verify(RootHash(*root.as_bytes()), tree_key(&self.key), self.value.as_ref())
            .map_err(|error| InvalidProof::Root { root, detail: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_outside_the_tree_is_ever_proven_absent() {
        // The root of an empty tree, under which everything that the tree could have is absent.
        let empty = StateRoot::from_bytes(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");
        let absent = |key: &[u8]| {
            let path =
                crate::ground::codec::decode::<SparseMerkleProof<TreeHasher>>(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 64);
            StateProof { key: key.to_vec(), value: None, path: path.expect("a path without siblings") }
        };
        for byte in 0..=u8::MAX {
            let known = Family::of(byte).is_some_and(|family| family != Family::Seen);
            for key in [&[byte][..], &[byte, 1, 2, 3]] {
                let proof = absent(key);
                let expected = if known { Ok(()) } else { Err(InvalidProof::Family(Some(byte))) };
                assert_eq!(proof.verify(empty), expected, "{key:?}");
                assert_eq!(StateProof::decode(&crate::ground::codec::encode(&proof)).is_ok(), known, "{key:?}");
            }
        }
        assert_eq!(absent(&[]).verify(empty), Err(InvalidProof::Family(None)));
        assert_eq!(Family::ALL.len(), Family::ALL.iter().filter(|one| Family::of(**one as u8) == Some(**one)).count());
    }
}
