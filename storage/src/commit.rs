//! Committing: everything that a decided block leaves behind, in one synced batch. When [`Ledger::commit`] returns, all
//! of it is on disk; after a crash, all of it is or none.

use crate::{
    columns::{Batch, Column, Database, SCHEMA_VERSION, has_history, height_key, history_key},
    error::{OpenError, StorageError},
    ledger::Ledger,
    read::BlockEvents,
    tree::{self, EncodedUpdate, StoredTree, TreeUpdate},
};
use allod_protocol::{
    ground::{
        codec,
        ids::{BlockHash, Height, StateRoot, Timestamp},
        state::ChangeSet,
    },
    ledger::{
        block::{DecidedBlock, Tip},
        execute::{Executed, Outcome},
        genesis::Genesis,
    },
    proof::CertifiedHeader,
    rules::{rejection::Rejection, validator::ValidatorSet},
};
use serde::{Deserialize, Serialize};
use std::sync::{PoisonError, atomic::Ordering};

/// Names of records in `meta`.
pub(crate) const SCHEMA: &str = "schema";
pub(crate) const NETWORK: &str = "network";
pub(crate) const TIP: &str = "tip";
pub(crate) const VALIDATORS: &str = "validators";

/// The tip without its validator sets, which are a separate record because they seldom change.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TipRecord {
    pub(crate) height: Height,
    pub(crate) hash: BlockHash,
    pub(crate) time: Timestamp,
    pub(crate) state_root: StateRoot,
}

/// The validator sets that decide the next block and the one after it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ValidatorsRecord {
    pub(crate) current: ValidatorSet,
    pub(crate) next: ValidatorSet,
}

impl Ledger {
    /// Commits a decided block and the result of executing it. When this returns, the block is on disk and is the new
    /// tip.
    ///
    /// The caller vouches that the certificate is valid and that the results are those of the block. This checks that
    /// the block follows the tip.
    ///
    /// # Errors
    /// [`StorageError::NotNext`] changes nothing. Any other error must end the process: the next start sees whether the
    /// block is on disk.
    pub fn commit(&self, decided: &DecidedBlock, executed: &Executed) -> Result<Tip, StorageError> {
        let mut writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let database = &self.inner.database;
        let before = self.tip();
        check_follows(&before, decided, executed)?;
        let height = decided.block.header().height;

        let update = update_tree(&StoredTree::for_commit(database, &writer.nodes), height, &executed.changes)?;
        let tip = before.after(&decided.block, update.root, &executed.schedule);
        let mut batch = database.batch()?;
        put_block(&mut batch, &before, decided, executed)?;
        put_changes(&mut batch, height, &executed.changes);
        let encoded = EncodedUpdate::of(&update)?;
        let pruned_to = tree::write(&mut batch, database, height, &encoded, writer.pruned_to)?;
        put_tip(&mut batch, &tip, Some(&before));

        self.inner.begun.store(height.get(), Ordering::SeqCst);
        database.write(batch)?;
        writer.nodes.borrow_mut().keep(encoded);
        writer.pruned_to = pruned_to;
        *self.inner.tip.write().unwrap_or_else(PoisonError::into_inner) = tip.clone();
        Ok(tip)
    }
}

fn update_tree(reader: &StoredTree<'_>, height: Height, changes: &ChangeSet) -> Result<TreeUpdate, StorageError> {
    tree::update(reader, height, changes)
        .map_err(|error| StorageError::damaged(format!("the state tree before height {height}"), format!("{error:#}")))
}

/// Checks that a block is the next one and has one result per transaction.
pub(crate) fn check_follows(tip: &Tip, decided: &DecidedBlock, executed: &Executed) -> Result<(), StorageError> {
    let not_next =
        |problem: String| StorageError::NotNext { height: decided.block.header().height, tip: tip.height, problem };
    decided.check_names().map_err(|error| not_next(error.to_string()))?;
    decided.block.check_follows(tip).map_err(|error| not_next(error.to_string()))?;
    if executed.results.len() != decided.block.transactions().len() {
        return Err(not_next("the number of results is not the number of transactions".into()));
    }
    if executed.schedule.current != tip.next_validators {
        return Err(not_next(
            "the set that its execution names for the next block is not the one that the tip names".into(),
        ));
    }
    Ok(())
}

fn put_block(
    batch: &mut Batch<'_>,
    before: &Tip,
    decided: &DecidedBlock,
    executed: &Executed,
) -> Result<(), StorageError> {
    let header = decided.block.header().clone();
    let (height, key) = (header.height, height_key(header.height));
    if header.next_validators != header.validators {
        batch.put(Column::ValidatorChanges, key, codec::encode(&before.next_validators));
    }
    let certified = CertifiedHeader { header, certificate: decided.certificate.clone() };
    batch.put(Column::Headers, key, codec::encode(&certified));
    batch.put(Column::Bodies, key, codec::encode(decided.block.transactions()));
    batch.put(Column::BlockHashes, decided.block.hash().as_bytes(), codec::encode(&height));
    for (index, result) in executed.results.iter().enumerate() {
        // A copy of an executed transaction is not indexed: its id keeps leading to the result of the first.
        if result.outcome == Outcome::Rejected(Rejection::Replayed) {
            continue;
        }
        let index =
            u32::try_from(index).map_err(|_| StorageError::damaged("a block", "it has too many transactions"))?;
        batch.put(Column::Transactions, result.id.as_bytes(), codec::encode(&(height, index)));
    }
    let events = BlockEvents { results: executed.results.clone(), deadline_events: executed.deadline_events.clone() };
    batch.put(Column::Results, key, codec::encode(&events));
    Ok(())
}

fn put_changes(batch: &mut Batch<'_>, height: Height, changes: &ChangeSet) {
    for (key, value) in changes {
        match value {
            Some(value) => {
                let stored = [height_key(height).as_slice(), value].concat();
                batch.put(Column::State, key, stored);
            }
            None => batch.delete(Column::State, key),
        }
        if has_history(key) {
            let stored = value.as_ref().map_or(vec![0], |value| [&[1], value.as_slice()].concat());
            batch.put(Column::History, history_key(key, height), stored);
        }
    }
}

fn put_tip(batch: &mut Batch<'_>, tip: &Tip, before: Option<&Tip>) {
    let record = TipRecord { height: tip.height, hash: tip.hash, time: tip.time, state_root: tip.state_root };
    batch.put(Column::Meta, TIP, codec::encode(&record));
    let same = |before: &Tip| before.validators == tip.validators && before.next_validators == tip.next_validators;
    if !before.is_some_and(same) {
        let record = ValidatorsRecord { current: tip.validators.clone(), next: tip.next_validators.clone() };
        batch.put(Column::Meta, VALIDATORS, codec::encode(&record));
    }
}

/// Commits the genesis as height 0 into an empty database.
pub(crate) fn commit_genesis(
    database: &Database,
    genesis: &Genesis,
    failed: impl Fn(StorageError) -> OpenError,
) -> Result<Tip, OpenError> {
    let changes = genesis.state()?;
    let reader = StoredTree::at_this_moment(database);
    let update = update_tree(&reader, Height::ZERO, &changes).map_err(&failed)?;
    let tip = genesis.tip(update.root)?;
    let mut batch = database.batch().map_err(&failed)?;
    batch.put(Column::Meta, SCHEMA, codec::encode(&SCHEMA_VERSION));
    batch.put(Column::Meta, NETWORK, codec::encode(&tip.network));
    put_changes(&mut batch, Height::ZERO, &changes);
    let encoded = EncodedUpdate::of(&update).map_err(&failed)?;
    tree::write(&mut batch, database, Height::ZERO, &encoded, Height::ZERO).map_err(&failed)?;
    put_tip(&mut batch, &tip, None);
    database.write(batch).map_err(failed)?;
    Ok(tip)
}
