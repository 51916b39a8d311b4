//! What a simulated peer keeps: in memory, or in the node's own files.

use super::{disk::Disk, files::Files};
use crate::directory::Losses;
use allod_protocol::{
    agreement::host::Failure,
    ground::{
        ids::Height,
        state::{Direction, Entry, StateError, StateRead},
    },
    ledger::block::{DecidedBlock, Tip},
};
use allod_storage::{Snapshot, StorageError, memory::MemorySnapshot};

/// Ledger, log and last-signed record of one peer.
pub(super) enum Store {
    /// Their likeness in memory.
    Memory(Box<Disk>),
    /// Themselves.
    Files(Box<Files>),
}

/// The state as of one moment.
pub(super) enum StoreSnapshot {
    Memory(MemorySnapshot),
    Files(Snapshot),
}

impl Store {
    pub(super) fn tip(&self) -> Tip {
        match self {
            Self::Memory(disk) => disk.ledger.tip(),
            Self::Files(files) => files.tip(),
        }
    }

    pub(super) fn snapshot(&self) -> StoreSnapshot {
        match self {
            Self::Memory(disk) => StoreSnapshot::Memory(disk.ledger.snapshot()),
            Self::Files(files) => StoreSnapshot::Files(files.snapshot()),
        }
    }

    /// The state after a height; of a machine that runs.
    pub(super) fn snapshot_at(&self, height: Height) -> Result<StoreSnapshot, StorageError> {
        match self {
            Self::Memory(disk) => disk.ledger.snapshot_at(height).map(StoreSnapshot::Memory),
            Self::Files(files) => files.snapshot_at(height).map(StoreSnapshot::Files),
        }
    }

    pub(super) fn block(&self, height: Height) -> Result<Option<DecidedBlock>, Failure> {
        match self {
            Self::Memory(disk) => Ok(disk.ledger.block(height).cloned()),
            Self::Files(files) => files.block(height),
        }
    }

    pub(super) fn entries(&self, height: Height) -> Result<Vec<Vec<u8>>, Failure> {
        match self {
            Self::Memory(disk) => Ok(disk.entries(height)),
            Self::Files(files) => files.entries(height),
        }
    }

    pub(super) fn last_signed(&self) -> Option<Vec<u8>> {
        match self {
            Self::Memory(disk) => disk.last_signed(),
            Self::Files(files) => files.last_signed(),
        }
    }

    /// What power failures took from real files.
    pub(super) fn losses(&self) -> Losses {
        match self {
            Self::Memory(_) => Losses::default(),
            Self::Files(files) => files.losses(),
        }
    }

    /// Somebody deletes the log of a peer that is off.
    pub(super) fn lose_log(&mut self) {
        match self {
            Self::Memory(disk) => disk.lose_log(),
            Self::Files(files) => files.lose_log(),
        }
    }

    /// Somebody deletes the last-signed record of a peer that is off.
    pub(super) fn lose_last_signed(&mut self) {
        match self {
            Self::Memory(disk) => disk.lose_last_signed(),
            Self::Files(files) => files.lose_last_signed(),
        }
    }
}

impl StateRead for StoreSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self {
            Self::Memory(snapshot) => snapshot.get(key),
            Self::Files(snapshot) => snapshot.get(key),
        }
    }

    fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError> {
        match self {
            Self::Memory(snapshot) => snapshot.range(from, to, direction, limit),
            Self::Files(snapshot) => snapshot.range(from, to, direction, limit),
        }
    }
}
