//! What can go wrong with the ledger on disk. Every message names the thing and the remedy.

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
    /// Another process, or another part of this one, has it open.
    #[error(
        "the ledger in {dir} is in use by another process: stop that node, or give this one another data directory",
        dir = .dir.display()
    )]
    InUse {
        /// The ledger's directory.
        dir: PathBuf,
    },
    /// Written by a newer build.
    #[error(
        "the ledger in {dir} has schema version {found}; this build reads version {known}: start the newer build that \
         wrote it, or remove the directory and let the node catch up from its peers",
        dir = .dir.display()
    )]
    NewerSchema {
        /// The ledger's directory.
        dir: PathBuf,
        /// The version found.
        found: u32,
        /// The version of this build.
        known: u32,
    },
    /// The ledger of another network.
    #[error(
        "the ledger in {dir} is of network {found}, the genesis of network {expected}: give the genesis that belongs to \
         this directory, or another data directory",
        dir = .dir.display()
    )]
    OtherNetwork {
        /// The ledger's directory.
        dir: PathBuf,
        /// The network on disk.
        found: NetworkId,
        /// The network of the genesis given.
        expected: NetworkId,
    },
    /// What is on disk contradicts itself.
    #[error(
        "the ledger in {dir} is damaged: {problem}. Check the disk, remove the directory (keep the keys and the \
         last-signed file, which lie beside it) and let the node catch up from its peers",
        dir = .dir.display()
    )]
    Damaged {
        /// The ledger's directory.
        dir: PathBuf,
        /// What was found.
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
        /// The system's words.
        detail: String,
    },
    /// The genesis cannot begin a network.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

/// Why the open ledger cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The database refused. After a failed commit the process has to end: what is on disk decides at the next start.
    #[error("the database failed: {0}. Check the disk and its free space, then start the node again")]
    Database(String),
    /// A record that this build wrote cannot be read back.
    #[error("the ledger is damaged: {what}: {problem}. Remove its directory and let the node catch up from its peers")]
    Damaged {
        /// Which record.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A block that does not follow the newest one, or results that are not the block's.
    #[error("block {height} cannot be committed on height {tip}: {problem}")]
    NotNext {
        /// The block's height.
        height: Height,
        /// The newest height.
        tip: Height,
        /// What does not fit.
        problem: String,
    },
    /// A height that is still to come.
    #[error("height {asked} is not reached yet: the ledger stands at height {tip}")]
    NotReached {
        /// The height asked for.
        asked: Height,
        /// The newest height.
        tip: Height,
    },
    /// What a deed is asked on was not there yet.
    #[error(
        "the ledger had no such {what} at height {height}, the newest that can be proven; the next block can prove more"
    )]
    NoFacts {
        /// What it lacked.
        what: &'static str,
        /// The height.
        height: Height,
    },
    /// A height whose tree is no longer kept.
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
