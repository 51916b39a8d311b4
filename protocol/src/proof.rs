//! Proofs: that a key of the state has a value, or none, under a state root; and deeds, which carry everything an
//! outsider needs to check such a proof against a genesis they trust, offline.
//!
//! A state root is signed one block later: the header of `H + 1` carries the root after `H`, and the certificate of
//! `H + 1` makes it final. From genesis to that header an outsider needs no blocks, only the moments at which the
//! validator set changed: the header that announces the next set, certified by the set before.

use crate::{
    block::{CommitCertificate, Header, InvalidCertificate},
    codec::{self, DecodeError},
    crypto::{self, Domain},
    genesis::{Genesis, GenesisError},
    ids::{BlockHash, Height, NetworkId, StateRoot},
    validator::ValidatorSet,
};
use jmt::{KeyHash, RootHash, SimpleHasher, proof::SparseMerkleProof};
use serde::{Deserialize, Serialize};

/// BLAKE3 for the state tree.
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

/// Where a key stands in the tree.
pub fn tree_key(key: &[u8]) -> KeyHash {
    KeyHash(crypto::hash(Domain::StateKey, key))
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    /// Not the bytes of a proof.
    #[error("not a proof: {0}")]
    Malformed(#[from] DecodeError),
    /// The path does not lead from the value to the root.
    #[error("the proof does not lead to state root {root}: {detail}")]
    Root {
        /// The root that was trusted.
        root: StateRoot,
        /// What the tree says.
        detail: String,
    },
    /// The genesis cannot begin a network.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Made on another network than the trusted genesis.
    #[error("the deed is of network {found}, the trusted genesis of network {expected}")]
    Network {
        /// The deed's.
        found: NetworkId,
        /// The genesis's.
        expected: NetworkId,
    },
    /// A header was not decided by the set that had to decide it.
    #[error("the header of height {height} is not certified: {detail}")]
    Certificate {
        /// Its height.
        height: Height,
        /// Why.
        detail: InvalidCertificate,
    },
    /// A certificate is for another block than the header beside it.
    #[error("the certificate beside the header of height {0} is for another block")]
    Mismatch(Height),
    /// A header names another validator set than the chain of sets gives.
    #[error("the header of height {0} names a validator set that does not follow from the genesis")]
    ValidatorSet(Height),
    /// The steps do not go forward.
    #[error("the heights of the deed do not increase at {0}")]
    Order(Height),
}

/// That a key has a value, or none, under a state root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateProof {
    /// The key's bytes, see [`crate::state`].
    pub key: Vec<u8>,
    /// The value's bytes; none for a proof of absence.
    pub value: Option<Vec<u8>>,
    /// The path in the tree.
    pub path: SparseMerkleProof<TreeHasher>,
}

impl StateProof {
    /// Checks the proof against a state root that is trusted.
    ///
    /// # Errors
    /// [`InvalidProof::Root`].
    pub fn verify(&self, root: StateRoot) -> Result<(), InvalidProof> {
        self.path
            .verify(RootHash(*root.as_bytes()), tree_key(&self.key), self.value.as_ref())
            .map_err(|error| InvalidProof::Root { root, detail: error.to_string() })
    }
}

/// A header and what makes it final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// Its certificate.
    pub certificate: CommitCertificate,
}

impl CertifiedHeader {
    /// Checks that `validators` decided the header.
    fn verify(&self, network: NetworkId, validators: &ValidatorSet) -> Result<BlockHash, InvalidProof> {
        let height = self.header.height;
        let hash = self.header.hash();
        if self.header.network != network {
            return Err(InvalidProof::Network { found: self.header.network, expected: network });
        }
        if self.certificate.height != height || self.certificate.block != hash {
            return Err(InvalidProof::Mismatch(height));
        }
        if self.header.validators != validators.hash() {
            return Err(InvalidProof::ValidatorSet(height));
        }
        self.certificate.verify(network, validators).map_err(|detail| InvalidProof::Certificate { height, detail })?;
        Ok(hash)
    }
}

/// A header after which another validator set decides, and that set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorChange {
    /// The last header that the set before decided; it names the hash of the next one.
    pub announced: CertifiedHeader,
    /// The set from the height after it on.
    pub validators: ValidatorSet,
}

/// A portable proof of what the ledger holds, checked offline against a genesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// Every change of the validator set from genesis to the last header.
    pub changes: Vec<ValidatorChange>,
    /// The header whose state root the proofs are under: it stands for the state one height before.
    pub header: CertifiedHeader,
    /// What is proven.
    pub proofs: Vec<StateProof>,
}

impl Deed {
    /// The deed's bytes, for a file.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a deed.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidProof> {
        Ok(codec::decode(bytes, crate::limits::RECORD_SIZE_BYTES)?)
    }

    /// Checks everything against a trusted genesis. What is left to the caller is what the proven values mean.
    /// Gives the height that the proven state stands at.
    ///
    /// # Errors
    /// The first step that does not hold.
    pub fn verify(&self, genesis: &Genesis) -> Result<Height, InvalidProof> {
        let network = genesis.network_id();
        let mut validators = genesis.validator_set()?;
        let mut height = Height::ZERO;
        for change in &self.changes {
            let announced = &change.announced.header;
            if announced.height <= height {
                return Err(InvalidProof::Order(announced.height));
            }
            change.announced.verify(network, &validators)?;
            if announced.next_validators != change.validators.hash() {
                return Err(InvalidProof::ValidatorSet(announced.height));
            }
            height = announced.height;
            validators = change.validators.clone();
        }
        let header = &self.header.header;
        if header.height <= height {
            return Err(InvalidProof::Order(header.height));
        }
        self.header.verify(network, &validators)?;
        for proof in &self.proofs {
            proof.verify(header.state_root)?;
        }
        Ok(header.height.previous())
    }
}
