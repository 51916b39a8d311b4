//! What can be checked offline.

use allod_protocol::{
    ground::ids::{BlockHash, Height, NetworkId, StateRoot, Timestamp},
    proof::{Subject, deed::Facts},
    rules::share::Share,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A proof of one register line under a state root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofView {
    /// The height after which the state stood so. Its root is in the header of the height after it.
    pub height: Height,
    /// The state root that the proof leads to.
    pub state_root: StateRoot,
    /// The key's bytes, in hexadecimal.
    pub key: String,
    /// What the key holds; null if the proof is one of absence.
    pub share: Option<Share>,
    /// The proof's canonical bytes, in hexadecimal.
    pub proof: String,
}

/// A deed, described. Its bytes are what is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeedView {
    /// The network, whose genesis the deed is checked against.
    pub network: NetworkId,
    /// The height after which what it proves stood so.
    pub height: Height,
    /// The state root that the proofs lead to.
    pub state_root: StateRoot,
    /// The block whose certified header carries that root.
    pub block: BlockHash,
    /// That block's time, in milliseconds since 1970.
    pub block_time: Timestamp,
    /// Changes of the validator set on the way from genesis.
    pub validator_changes: usize,
    /// What it is on.
    pub subject: Subject,
    /// What it says of it, what burdens it too.
    pub facts: Facts,
    /// The deed's canonical bytes, in hexadecimal: what `Accept: application/octet-stream` gives raw.
    pub deed: String,
}
