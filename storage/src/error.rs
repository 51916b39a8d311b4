//! What can go wrong with the ledger on disk. Every message names the object and the remedy.

use allod_protocol::{
    ground::{
        ids::{Height, NetworkId},
        state::StateError,
    },
    ledger::genesis::GenesisError,
};
use std::path::PathBuf;

/// Why the ledger does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has the ledger open.
    #[error(
        "the ledger in {dir} is in use by another process: stop that node, or give this one another data directory",
        dir = .dir.display()
    )]
    InUse {
        /// The ledger's directory.
        dir: PathBuf,
    },
    /// A newer build wrote the ledger.
    #[error(
        "the ledger in {dir} has schema version {found}; this build reads version {known}: start the newer build that \
         wrote it, or remove the directory and let the node catch up from its peers",
        dir = .dir.display()
    )]
    NewerSchema {
        /// The ledger's directory.
        dir: PathBuf,
        /// The schema version found.
        found: u32,
        /// The schema version of this build.
        known: u32,
    },
    /// The ledger belongs to another network.
    #[error(
        "the ledger in {dir} belongs to network {found}, the genesis to network {expected}: give the genesis that belongs to \
         this directory, or another data directory",
        dir = .dir.display()
    )]
    OtherNetwork {
        /// The ledger's directory.
        dir: PathBuf,
        /// The network whose ledger is on disk.
        found: NetworkId,
        /// The network of the given genesis.
        expected: NetworkId,
    },
    /// The data on disk contradicts itself.
    #[error(
        "the ledger in {dir} is damaged: {problem}. Check the disk, remove the directory (keep the keys and the \
         last-signed file, which lie beside it) and let the node catch up from its peers",
        dir = .dir.display()
    )]
    Damaged {
        /// The ledger's directory.
        dir: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The operating system refused.
    #[error(
        "the ledger in {dir} cannot be opened: {detail}. Check that the directory is writable and the disk not full",
        dir = .dir.display()
    )]
    Unavailable {
        /// The ledger's directory.
        dir: PathBuf,
        /// The system's message.
        detail: String,
    },
    /// The genesis cannot start a network.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

/// Why the open ledger cannot do what it was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The database failed. After a failed commit the process must end: the next start sees what is on disk.
    #[error("the database failed: {0}. Check the disk and its free space, then start the node again")]
    Database(String),
    /// A record that this build wrote cannot be read back.
    #[error("the ledger is damaged: {what}: {problem}. Remove its directory and let the node catch up from its peers")]
    Damaged {
        /// The record that is damaged.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The block does not follow the newest one, or the results are not the block's.
    #[error("block {height} cannot be committed on height {tip}: {problem}")]
    NotNext {
        /// The block's height.
        height: Height,
        /// The newest height.
        tip: Height,
        /// What does not match.
        problem: String,
    },
    /// The height is in the future.
    #[error("height {asked} has not been reached yet: the ledger is at height {tip}")]
    NotReached {
        /// The height asked for.
        asked: Height,
        /// The newest height.
        tip: Height,
    },
    /// The subject of a deed did not exist yet at that height.
    #[error(
        "the ledger had no such {what} at height {height}, the newest that can be proven; the next block can prove more"
    )]
    NoFacts {
        /// The kind of subject that is missing.
        what: &'static str,
        /// The height at which it is missing: the newest that can be proven.
        height: Height,
    },
    /// The tree of the height has been pruned.
    #[error("the state of height {asked} can no longer be proven: proofs are made for heights {oldest} to {tip}")]
    Pruned {
        /// The height asked for.
        asked: Height,
        /// The oldest height that can be proven.
        oldest: Height,
        /// The newest height.
        tip: Height,
    },
}

impl StorageError {
    pub(crate) fn damaged(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Damaged { what: what.into(), problem: problem.to_string() }
    }
}

impl From<rocksdb::Error> for StorageError {
    fn from(error: rocksdb::Error) -> Self {
        Self::Database(error.into_string())
    }
}

impl From<StorageError> for StateError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}
