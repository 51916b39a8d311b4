//! Opening a ledger: what must hold before anything may rely on it, and a clear message when it does not.

use crate::{
    columns::{Column, Database, SCHEMA_VERSION, height_key},
    commit::{self, NETWORK, SCHEMA, TIP, TipRecord, VALIDATORS, ValidatorsRecord},
    error::{OpenError, StorageError},
    ledger::Ledger,
    tree::{self, StoredTree},
    wal::sync_directory,
};
use allod_protocol::{
    ground::{
        codec,
        ids::{BlockHash, Height, NetworkId},
    },
    ledger::{
        block::{Block, Tip, transactions_root},
        genesis::Genesis,
    },
    proof::CertifiedHeader,
    rules::transaction::Transaction,
};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

impl Ledger {
    /// Opens the ledger in a directory. If there is none yet, creates it with the genesis as height 0.
    ///
    /// # Errors
    /// See [`OpenError`]: each names the directory and what to do.
    pub fn open(dir: &Path, genesis: &Genesis) -> Result<Self, OpenError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| OpenError::Unavailable { dir: dir.to_owned(), detail: error.to_string() })?;
        let at = At { dir: dir.to_owned() };
        let columns = Database::existing_columns(dir).map_err(|error| at.not_opened(error))?;
        at.refuse_unknown_columns(&columns)?;
        let database = Database::open(dir).map_err(|error| at.not_opened(error))?;
        let tip = if at.is_new(&database)? {
            commit::commit_genesis(&database, genesis, |error| at.failed(error))?
        } else {
            at.check(&database, genesis)?
        };
        // The database syncs what is in its directory; that the directory is there is for whoever made it to sync.
        sync_directory(dir)
            .map_err(|error| OpenError::Unavailable { dir: dir.to_owned(), detail: error.to_string() })?;
        Ok(Self::new(database, tip))
    }
}

/// The directory that every error names.
struct At {
    dir: PathBuf,
}

impl At {
    fn damaged(&self, problem: impl Into<String>) -> OpenError {
        OpenError::Damaged { dir: self.dir.clone(), problem: problem.into() }
    }

    fn failed(&self, error: StorageError) -> OpenError {
        match error {
            StorageError::Database(detail) => OpenError::Unavailable { dir: self.dir.clone(), detail },
            StorageError::Damaged { what, problem } => self.damaged(format!("{what}: {problem}")),
            other @ (StorageError::NotNext { .. }
            | StorageError::NotReached { .. }
            | StorageError::NoFacts { .. }
            | StorageError::Pruned { .. }) => self.damaged(other.to_string()),
        }
    }

    fn not_opened(&self, error: rocksdb::Error) -> OpenError {
        let (kind, detail) = (error.kind(), error.into_string());
        let dir = self.dir.clone();
        match kind {
            rocksdb::ErrorKind::IOError if detail.contains("lock") && detail.contains("LOCK") => {
                OpenError::InUse { dir }
            }
            rocksdb::ErrorKind::IOError if !detail.contains("No such file") => OpenError::Unavailable { dir, detail },
            _ => OpenError::Damaged { dir, problem: detail },
        }
    }

    /// A newer build may have added columns; RocksDB would not open without them.
    fn refuse_unknown_columns(&self, columns: &[String]) -> Result<(), OpenError> {
        let is_known = |name: &String| name == "default" || Column::ALL.iter().any(|column| column.name() == name);
        let Some(unknown) = columns.iter().find(|name| !is_known(name)) else { return Ok(()) };
        let schema = Database::foreign_meta(&self.dir, columns, SCHEMA).map_err(|error| self.not_opened(error))?;
        let schema: Option<u32> = schema.and_then(|bytes| codec::decode_trusted(&bytes).ok());
        self.check_schema(schema)?;
        Err(self.damaged(format!("it has a column {unknown:?}, which schema version {SCHEMA_VERSION} does not know")))
    }

    fn check_schema(&self, schema: Option<u32>) -> Result<(), OpenError> {
        match schema {
            Some(SCHEMA_VERSION) => Ok(()),
            Some(found) if found > SCHEMA_VERSION => {
                Err(OpenError::NewerSchema { dir: self.dir.clone(), found, known: SCHEMA_VERSION })
            }
            Some(found) => Err(self.damaged(format!("there is no schema version {found}"))),
            None => Err(self.damaged("the schema version is missing")),
        }
    }

    /// Whether the database is empty. A crash before the genesis was committed leaves it so, too.
    fn is_new(&self, database: &Database) -> Result<bool, OpenError> {
        for column in Column::ALL {
            if !database.is_empty(column).map_err(|error| self.failed(error))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read<T: DeserializeOwned>(&self, database: &Database, column: Column, key: &[u8]) -> Result<T, OpenError> {
        let missing = || self.damaged(format!("column {} lacks the record {}", column.name(), key.escape_ascii()));
        database.get_record(column, key).map_err(|error| self.failed(error))?.ok_or_else(missing)
    }

    fn check(&self, database: &Database, genesis: &Genesis) -> Result<Tip, OpenError> {
        let schema = database.get_record(Column::Meta, SCHEMA.as_bytes()).map_err(|error| self.failed(error))?;
        self.check_schema(schema)?;
        let (found, expected) = (self.read(database, Column::Meta, NETWORK.as_bytes())?, genesis.network_id());
        if found != expected {
            return Err(OpenError::OtherNetwork { dir: self.dir.clone(), found, expected });
        }
        let record: TipRecord = self.read(database, Column::Meta, TIP.as_bytes())?;
        let sets: ValidatorsRecord = self.read(database, Column::Meta, VALIDATORS.as_bytes())?;
        self.check_last_block(database, &record, found)?;
        let reader = StoredTree::at_this_moment(database);
        let root = tree::root(&reader, record.height)
            .map_err(|error| self.damaged(format!("the state tree of height {}: {error:#}", record.height)))?;
        if root != record.state_root {
            return Err(self.damaged(format!(
                "the tree of height {} has root {root}, the tip says {}",
                record.height, record.state_root
            )));
        }
        Ok(Tip {
            network: found,
            height: record.height,
            hash: record.hash,
            time: record.time,
            state_root: record.state_root,
            validators: sets.current,
            next_validators: sets.next,
        })
    }

    fn check_last_block(&self, database: &Database, tip: &TipRecord, network: NetworkId) -> Result<(), OpenError> {
        let height = tip.height;
        let holds = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(self.damaged(format!("block {height}, the newest, {what}"))) }
        };
        let above: Option<CertifiedHeader> =
            database.get_record(Column::Headers, &height_key(height.next())).map_err(|error| self.failed(error))?;
        holds(above.is_none(), "has a block above it")?;
        if height == Height::ZERO {
            return holds(
                tip.hash == BlockHash::from_bytes(*network.as_bytes()),
                "does not have the network's id as its hash",
            );
        }
        let CertifiedHeader { header, certificate } = self.read(database, Column::Headers, &height_key(height))?;
        let transactions: Vec<Transaction> = self.read(database, Column::Bodies, &height_key(height))?;
        holds(header.height == height && header.network == network, "has the header of another block")?;
        holds(transactions_root(&transactions) == header.transactions_root, "has the transactions of another block")?;
        let block = Block::new(header, transactions);
        holds(block.hash() == tip.hash, "is not the block that the tip names")?;
        holds(block.header().time == tip.time, "does not have the tip's time")?;
        holds(certificate.check_names(height, tip.hash).is_ok(), "has the certificate of another block")
    }
}
