//! The open ledger: what every part of the node holds a clone of.

use crate::{columns::Database, error::StorageError, read::Snapshot, tree::NodeCache};
use allod_protocol::{ground::ids::Height, ledger::block::Tip};
use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicU64},
};

/// The ledger on disk. Cheap to clone; all clones are the same ledger. Any number may read while one commits.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) tip: RwLock<Tip>,
    /// The newest height that may be in the database: set before it is written, where `tip` is set after.
    pub(crate) begun: AtomicU64,
    pub(crate) writer: Mutex<Writer>,
}

/// What only a commit uses.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) nodes: RefCell<NodeCache>,
    /// Stale nodes of lower heights are gone. Zero after opening, which has the first commit look for left ones.
    pub(crate) pruned_to: Height,
}

/// What the database reports of itself, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes in table files.
    pub table_bytes: u64,
    /// Bytes in blob files, where large block bodies and results are.
    pub blob_bytes: u64,
    /// Bytes of writes held in memory.
    pub write_buffer_bytes: u64,
    /// Bytes of the block cache in use.
    pub cache_bytes: u64,
    /// Bytes that compaction still has to rewrite.
    pub compaction_pending_bytes: u64,
    /// Keys, by RocksDB's estimate.
    pub keys: u64,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger(height {})", self.tip().height)
    }
}

impl Ledger {
    pub(crate) fn new(database: Database, tip: Tip) -> Self {
        let begun = AtomicU64::new(tip.height.get());
        let inner = Inner { database, tip: RwLock::new(tip), begun, writer: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Where the ledger stands.
    pub fn tip(&self) -> Tip {
        self.inner.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state as it stands now, unmoved by later commits.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { inner: self.inner.clone(), height: self.tip().height }
    }

    /// The state as it stood after a height.
    ///
    /// # Errors
    /// [`StorageError::NotReached`].
    pub fn snapshot_at(&self, height: Height) -> Result<Snapshot, StorageError> {
        let tip = self.tip().height;
        if height > tip {
            return Err(StorageError::NotReached { asked: height, tip });
        }
        Ok(Snapshot { inner: self.inner.clone(), height })
    }

    /// Gives back the memory that a busy time took. It fills again as it is needed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn rest(&self) -> Result<(), StorageError> {
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.nodes.take();
        self.inner.database.rest()
    }

    /// What the database reports of itself.
    pub fn stats(&self) -> Stats {
        let sum = |name| self.inner.database.property_sum(name);
        Stats {
            table_bytes: sum("rocksdb.live-sst-files-size"),
            blob_bytes: sum("rocksdb.live-blob-file-size"),
            write_buffer_bytes: sum("rocksdb.cur-size-all-mem-tables"),
            cache_bytes: self.inner.database.cache_bytes(),
            compaction_pending_bytes: sum("rocksdb.estimate-pending-compaction-bytes"),
            keys: sum("rocksdb.estimate-num-keys"),
        }
    }
}
