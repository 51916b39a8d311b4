//! The open ledger, of which every part of the node holds a clone.

use crate::{columns::Database, error::StorageError, read::Snapshot, tree::NodeCache};
use allod_protocol::{ground::ids::Height, ledger::block::Tip};
use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicU64},
};

/// The ledger on disk. Cheap to clone; all clones are the same ledger. Any number of threads may read while one
/// commits.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) tip: RwLock<Tip>,
    /// The newest height that may be in the database. It is set before the write; `tip` is set after it.
    pub(crate) begun: AtomicU64,
    pub(crate) writer: Mutex<Writer>,
}

/// State that only a commit uses.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) nodes: RefCell<NodeCache>,
    /// Stale nodes below this height are gone. Zero after opening, which makes the first commit look for leftovers.
    pub(crate) pruned_to: Height,
}

/// What the database reports about itself, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes in table files.
    pub table_bytes: u64,
    /// Bytes in blob files, which hold large block bodies and results.
    pub blob_bytes: u64,
    /// Bytes of writes held in memory.
    pub write_buffer_bytes: u64,
    /// Bytes of the block cache in use.
    pub cache_bytes: u64,
    /// Bytes that compaction still has to rewrite.
    pub compaction_pending_bytes: u64,
    /// Number of keys, by RocksDB's estimate.
    pub keys: u64,
    /// Whether it takes no writes, because compaction does not keep up.
    pub is_write_stopped: bool,
    /// The rate to which it slows writes, in bytes per second; 0 if it does not.
    pub delayed_write_bytes_per_second: u64,
    /// Errors of its own threads since it was opened.
    pub background_errors: u64,
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

    /// The newest committed height, its block and the validator sets.
    pub fn tip(&self) -> Tip {
        self.inner.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current state. Later commits do not change it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { inner: self.inner.clone(), height: self.tip().height }
    }

    /// The state after the block of a height.
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

    /// Releases the memory that a busy period took. It fills again as needed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn rest(&self) -> Result<(), StorageError> {
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.nodes.take();
        self.inner.database.rest()
    }

    /// What the database reports about itself.
    pub fn stats(&self) -> Stats {
        let sum = |name| self.inner.database.property_sum(name);
        Stats {
            table_bytes: sum("rocksdb.live-sst-files-size"),
            blob_bytes: sum("rocksdb.live-blob-file-size"),
            write_buffer_bytes: sum("rocksdb.cur-size-all-mem-tables"),
            cache_bytes: self.inner.database.cache_bytes(),
            compaction_pending_bytes: sum("rocksdb.estimate-pending-compaction-bytes"),
            keys: sum("rocksdb.estimate-num-keys"),
            is_write_stopped: sum("rocksdb.is-write-stopped") > 0,
            delayed_write_bytes_per_second: self.inner.database.property_max("rocksdb.actual-delayed-write-rate"),
            background_errors: self.inner.database.property_max("rocksdb.background-errors"),
        }
    }
}
