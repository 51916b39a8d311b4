//! The database: its columns, their keys, and every RocksDB setting, in one place.
//!
//! | column | key | value |
//! |---|---|---|
//! | `meta` | a name | schema version, network, tip, validator sets |
//! | `state` | a state key | height of its last change (8 bytes, big-endian), then the value |
//! | `history` | state key, escaped and terminated, then height (big-endian) | 1 and the value, or 0 for a removal |
//! | `tree_nodes` | version (big-endian), number of nibbles, one byte per nibble | the node as `jmt` encodes it |
//! | `tree_stale` | height (big-endian) | keys of the nodes that this height replaced, each after its length |
//! | `headers` | height (big-endian) | header and certificate |
//! | `bodies` | height (big-endian) | transactions |
//! | `results` | height (big-endian) | results and deadline events |
//! | `transactions` | transaction id | height and index in the block |
//! | `block_hashes` | block hash | height |
//! | `validator_changes` | height (big-endian) of the header that announces a set | the set |
//!
//! The names and layouts are the schema. Changing one raises [`SCHEMA_VERSION`].

use crate::error::StorageError;
use allod_protocol::ground::{codec, ids::Height, state::Family};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBPinnableSlice, DBRawIterator, DBRecoveryMode, FlushOptions, LogLevel, Options, ReadOptions, WriteBatch,
    WriteOptions,
};
use serde::de::DeserializeOwned;
use std::path::Path;

/// The version of the layout. A build opens only its own version.
pub const SCHEMA_VERSION: u32 = 1;

/// Bytes of blocks, indexes and filters held in memory.
const BLOCK_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of writes held in memory before they are flushed to files, over all columns.
const WRITE_BUFFERS_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of writes that stay in memory when the ledger is at rest. Smaller files would cost more than they free.
const RESTING_WRITE_BUFFERS_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of write-ahead log after which the oldest columns are flushed. This bounds the time that a start takes.
const WAL_BYTES: u64 = 64 * 1024 * 1024;
/// Files that RocksDB keeps open.
const OPEN_FILES: i32 = 256;
/// Values of at least this size are stored in blob files, which compaction does not copy.
const BLOB_BYTES: u64 = 4 * 1024;

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[repr(usize)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Column {
    Meta = 0,
    State,
    History,
    TreeNodes,
    TreeStale,
    Headers,
    Bodies,
    Results,
    Transactions,
    BlockHashes,
    ValidatorChanges,
}

impl Column {
    pub(crate) const ALL: [Self; 11] = [
        Self::Meta,
        Self::State,
        Self::History,
        Self::TreeNodes,
        Self::TreeStale,
        Self::Headers,
        Self::Bodies,
        Self::Results,
        Self::Transactions,
        Self::BlockHashes,
        Self::ValidatorChanges,
    ];

    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    fn options(self, cache: &Cache) -> Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(cache);
        // They live in the cache, so memory stays bounded. They are partitioned, so a lookup does not evict megabytes
        // to read the whole index and filter of a file. The parts that every lookup passes are pinned.
        table.set_cache_index_and_filter_blocks(true);
        table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        table.set_partition_filters(true);
        table.set_metadata_block_size(4 * 1024);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_pin_top_level_index_and_filter(true);
        table.set_format_version(5);
        let mut options = Options::default();
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(8 * 1024 * 1024);
        options.set_max_write_buffer_number(3); // so a commit seldom waits for a flush
        options.set_level_compaction_dynamic_level_bytes(true);
        match self {
            Self::State | Self::Transactions | Self::BlockHashes => table.set_bloom_filter(10.0, false),
            // No filter: a node that is asked for exists, and files hardly overlap because keys begin with the version.
            // No compression: a node is nearly all hashes.
            Self::TreeNodes => options.set_compression_type(DBCompressionType::None),
            // Successive values of a key are adjacent and similar: larger blocks compress them together.
            Self::History => table.set_block_size(16 * 1024),
            Self::Bodies | Self::Results => {
                options.set_enable_blob_files(true);
                options.set_min_blob_size(BLOB_BYTES);
                options.set_blob_compression_type(DBCompressionType::Lz4);
            }
            Self::Meta | Self::TreeStale | Self::Headers | Self::ValidatorChanges => {}
        }
        options.set_block_based_table_factory(&table);
        options
    }
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1024 * 1024);
    options.set_paranoid_checks(true);
    // A recycled log file already has its size on disk, so a sync writes data only. Recycling requires point-in-time
    // recovery: a torn log gives a shorter ledger, never a wrong one, and the peers have the blocks that it lacks.
    options.set_recycle_log_file_num(2);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1024 * 1024);
    options.set_stats_dump_period_sec(0);
    options
}

/// Bytes of disk that the database may need at once: its write buffers, and a full log.
pub(crate) const WRITTEN_OUT_BYTES: u64 = WRITE_BUFFERS_BYTES as u64 + WAL_BYTES;

/// RocksDB with the columns above.
pub(crate) struct Database {
    db: DB,
    cache: Cache,
}

impl Database {
    /// The columns that a directory already has. Empty if there is no database yet.
    pub(crate) fn existing_columns(dir: &Path) -> Result<Vec<String>, rocksdb::Error> {
        if dir.join("CURRENT").exists() { DB::list_cf(&Options::default(), dir) } else { Ok(Vec::new()) }
    }

    pub(crate) fn open(dir: &Path) -> Result<Self, rocksdb::Error> {
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let columns = Column::ALL.map(|column| ColumnFamilyDescriptor::new(column.name(), column.options(&cache)));
        let db = DB::open_cf_descriptors(&database_options(), dir, columns)?;
        Ok(Self { db, cache })
    }

    /// Reads one record of `meta` from a database that may have columns which this build does not know.
    pub(crate) fn foreign_meta(dir: &Path, columns: &[String], name: &str) -> Result<Option<Vec<u8>>, rocksdb::Error> {
        let db = DB::open_cf_for_read_only(&Options::default(), dir, columns, false)?;
        match db.cf_handle(Column::Meta.name()) {
            Some(meta) => db.get_cf(meta, name),
            None => Ok(None),
        }
    }

    fn handle(&self, column: Column) -> Result<&ColumnFamily, StorageError> {
        let missing = || StorageError::damaged(format!("column {}", column.name()), "it is missing");
        self.db.cf_handle(column.name()).ok_or_else(missing)
    }

    pub(crate) fn get(&self, column: Column, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, StorageError> {
        Ok(self.db.get_pinned_cf(self.handle(column)?, key)?)
    }

    /// A snapshot of what is committed now, valid for as long as it is held.
    pub(crate) fn snapshot(&self) -> rocksdb::Snapshot<'_> {
        self.db.snapshot()
    }

    pub(crate) fn get_at<'a>(
        &'a self,
        snapshot: &'a rocksdb::Snapshot<'_>,
        column: Column,
        key: &[u8],
    ) -> Result<Option<DBPinnableSlice<'a>>, StorageError> {
        Ok(snapshot.get_pinned_cf(self.handle(column)?, key)?)
    }

    /// Reads a record that [`codec::encode`] wrote.
    pub(crate) fn get_record<T: DeserializeOwned>(
        &self,
        column: Column,
        key: &[u8],
    ) -> Result<Option<T>, StorageError> {
        let Some(bytes) = self.get(column, key)? else { return Ok(None) };
        let unreadable = |error| StorageError::damaged(format!("a record of column {}", column.name()), error);
        codec::decode_trusted(&bytes).map(Some).map_err(unreadable)
    }

    /// An iterator over `from <= key < to`, on what is committed now. Later commits do not change it.
    pub(crate) fn iterator(&self, column: Column, from: &[u8], to: &[u8]) -> Result<DBRawIterator<'_>, StorageError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        Ok(self.db.raw_iterator_cf_opt(self.handle(column)?, options))
    }

    pub(crate) fn is_empty(&self, column: Column) -> Result<bool, StorageError> {
        let mut iterator = self.db.raw_iterator_cf(self.handle(column)?);
        iterator.seek_to_first();
        iterator.status()?;
        Ok(!iterator.valid())
    }

    pub(crate) fn batch(&self) -> Result<Batch<'_>, StorageError> {
        let mut handles = Vec::with_capacity(Column::ALL.len());
        for column in Column::ALL {
            handles.push(self.handle(column)?);
        }
        Ok(Batch { handles, writes: WriteBatch::default() })
    }

    /// Writes a batch atomically, and returns when it is on disk.
    pub(crate) fn write(&self, batch: Batch<'_>) -> Result<(), StorageError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.db.write_opt(batch.writes, &options)?)
    }

    /// Releases the memory that a busy period took: flushes writes and drops cached blocks.
    pub(crate) fn rest(&self) -> Result<(), StorageError> {
        if self.property_sum("rocksdb.cur-size-all-mem-tables") >= RESTING_WRITE_BUFFERS_BYTES {
            let handles = Column::ALL.into_iter().map(|column| self.handle(column)).collect::<Result<Vec<_>, _>>()?;
            self.db.flush_cfs_opt(&handles, &FlushOptions::default())?;
        }
        let mut cache = self.cache.clone();
        cache.set_capacity(0);
        cache.set_capacity(BLOCK_CACHE_BYTES);
        Ok(())
    }

    /// A number that RocksDB reports, summed over all columns. 0 if it does not report it.
    pub(crate) fn property_sum(&self, name: &str) -> u64 {
        self.properties(name).fold(0, u64::saturating_add)
    }

    /// A number that RocksDB reports of the whole database, by whichever column. 0 if it does not report it.
    pub(crate) fn property_max(&self, name: &str) -> u64 {
        self.properties(name).max().unwrap_or(0)
    }

    fn properties(&self, name: &str) -> impl Iterator<Item = u64> {
        Column::ALL.into_iter().filter_map(move |column| {
            let handle = self.db.cf_handle(column.name())?;
            self.db.property_int_value_cf(handle, name).ok().flatten()
        })
    }

    pub(crate) fn cache_bytes(&self) -> u64 {
        u64::try_from(self.cache.get_usage()).unwrap_or(u64::MAX)
    }
}

/// Writes that are made together, atomically.
pub(crate) struct Batch<'a> {
    handles: Vec<&'a ColumnFamily>,
    writes: WriteBatch,
}

impl<'a> Batch<'a> {
    #[allow(clippy::indexing_slicing, reason = "every column has a handle, in the order of their numbers")]
    fn handle(&self, column: Column) -> &'a ColumnFamily {
        self.handles[column as usize]
    }

    pub(crate) fn put(&mut self, column: Column, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let handle = self.handle(column);
        self.writes.put_cf(handle, key, value);
    }

    pub(crate) fn delete(&mut self, column: Column, key: impl AsRef<[u8]>) {
        let handle = self.handle(column);
        self.writes.delete_cf(handle, key);
    }
}

/// The key of a record that is kept by height.
pub(crate) fn height_key(height: Height) -> [u8; 8] {
    height.get().to_be_bytes()
}

/// Splits bytes into the height at their start and the rest.
pub(crate) fn split_height(bytes: &[u8]) -> Option<(Height, &[u8])> {
    let (height, rest) = bytes.split_first_chunk::<8>()?;
    Some((Height::new(u64::from_be_bytes(*height)), rest))
}

/// Whether a key's past values are kept. Those of remembered transaction ids are not: the blocks have them.
pub(crate) fn has_history(key: &[u8]) -> bool {
    key.first().is_none_or(|family| *family != Family::Seen as u8)
}

/// The common prefix of all history keys of a state key. A zero byte becomes `00 ff` and the end is `00 00`, so keys
/// keep their order and no key's entries stand between another's.
pub(crate) fn history_prefix(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len().saturating_add(16));
    for byte in key {
        bytes.push(*byte);
        if *byte == 0 {
            bytes.push(0xff);
        }
    }
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

pub(crate) fn history_key(key: &[u8], height: Height) -> Vec<u8> {
    let mut bytes = history_prefix(key);
    bytes.extend_from_slice(&height_key(height));
    bytes
}

/// The state key of a history key.
pub(crate) fn state_key_of(history_key: &[u8]) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(history_key.len());
    let mut bytes = history_key.iter();
    loop {
        match bytes.next()? {
            0 => match bytes.next()? {
                0xff => key.push(0),
                0 => return Some(key),
                _ => return None,
            },
            byte => key.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_columns_have_the_numbers_of_their_places() {
        for (place, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, place);
        }
    }

    proptest! {
        #[test]
        fn history_keys_keep_the_order_of_keys_and_heights(
            one in proptest::collection::vec(0u8..3, 0..6), two in proptest::collection::vec(0u8..3, 0..6),
            (low, high) in (any::<u64>(), any::<u64>()),
        ) {
            let (low, high) = (Height::new(low), Height::new(high));
            prop_assert_eq!(history_key(&one, low).cmp(&history_key(&two, high)), (&one, low).cmp(&(&two, high)));
            prop_assert_eq!(state_key_of(&history_key(&one, high)), Some(one));
        }
    }
}
