//! Reading: the state after any height, and what the blocks left behind.
//!
//! A [`Snapshot`] is a height and a handle, so it can be held indefinitely and sent anywhere. It stays consistent
//! without pinning anything in the database: every value in `state` carries the height of its last change. A value that
//! is not newer than the snapshot belongs to the snapshot; for a newer one, `history` has the earlier value.

use crate::{
    columns::{Column, has_history, height_key, history_key, history_prefix, split_height, state_key_of},
    error::StorageError,
    ledger::{Inner, Ledger},
    tree::{self, StoredTree},
};
use allod_protocol::{
    ground::{
        codec,
        ids::{BlockHash, Height, StateRoot, Timestamp, TransactionId},
        state::{Direction, Entry, StateError, StateRead},
    },
    ledger::{
        block::{Block, CommitCertificate, DecidedBlock, Header},
        execute::TransactionResult,
    },
    proof::{CertifiedHeader, Deed, RootProof, StateProof, Subject, ValidatorChange, deed::NoFacts},
    rules::{event::Event, transaction::Transaction, validator::ValidatorSet},
};
use rocksdb::DBRawIterator;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

/// The state after the block of a height. Owned, cheap to clone, and not changed by later commits.
///
/// The remembered transaction ids (family `Seen`) have no history: a past height shows those that are still remembered.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) inner: Arc<Inner>,
    pub(crate) height: Height,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({})", self.height)
    }
}

impl Snapshot {
    /// The height whose block led to this state.
    pub fn height(&self) -> Height {
        self.height
    }

    /// Whether no later height has begun to be written. Asked *after* reading: if so, what was read belongs to this
    /// height.
    fn is_newest(&self) -> bool {
        self.inner.begun.load(Ordering::SeqCst) <= self.height.get()
    }

    fn get_from_history(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let prefix = history_prefix(key);
        let newest = history_key(key, self.height);
        let mut end = newest.clone();
        end.push(0);
        let mut iterator = self.inner.database.iterator(Column::History, &prefix, &end)?;
        as_of(&mut iterator, &prefix, &newest)
    }

    /// All of `from <= key < to` in `state` that is not newer than this height.
    fn range_of_state(
        &self,
        mut iterator: DBRawIterator<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let mut entries = Vec::new();
        match direction {
            Direction::Ascending => iterator.seek_to_first(),
            Direction::Descending => iterator.seek_to_last(),
        }
        while let Some((key, stored)) = iterator.item().filter(|_| entries.len() < limit) {
            let (changed, value) = split_stored(stored)?;
            if changed <= self.height {
                entries.push((key.to_vec(), value.to_vec()));
            }
            match direction {
                Direction::Ascending => iterator.next(),
                Direction::Descending => iterator.prev(),
            }
        }
        iterator.status()?;
        Ok(entries)
    }

    fn range_of_history(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let (from, to) = (history_prefix(from), history_prefix(to));
        let mut iterator = self.inner.database.iterator(Column::History, &from, &to)?;
        match direction {
            Direction::Ascending => iterator.seek_to_first(),
            Direction::Descending => iterator.seek_to_last(),
        }
        let mut entries = Vec::new();
        while let Some(found) = iterator.key().filter(|_| entries.len() < limit) {
            let key = state_key_of(found).ok_or_else(|| StorageError::damaged("a history key", "it has no end"))?;
            let mut prefix = history_prefix(&key);
            if let Some(value) = as_of(&mut iterator, &prefix, &history_key(&key, self.height))? {
                entries.push((key, value));
            }
            match direction {
                Direction::Ascending => {
                    prefix.extend_from_slice(&[0xff; 9]); // after every height of this key
                    iterator.seek(&prefix);
                }
                Direction::Descending => iterator.seek_for_prev(&prefix),
            }
        }
        iterator.status()?;
        Ok(entries)
    }

    fn range_of_past(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let mut entries = self.range_of_history(from, to, direction, limit)?;
        for family in (0..=u8::MAX).filter(|family| !has_history(&[*family])) {
            let (start, end) = ([family], family.checked_add(1).map_or(to.to_vec(), |next| vec![next]));
            let (from, to) = (from.max(&start), to.min(&end));
            if from < to {
                let iterator = self.inner.database.iterator(Column::State, from, to)?;
                entries.extend(self.range_of_state(iterator, direction, limit)?);
            }
        }
        entries.sort();
        if direction == Direction::Descending {
            entries.reverse();
        }
        entries.truncate(limit);
        Ok(entries)
    }
}

impl StateRead for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.inner.database.get(Column::State, key)? {
            Some(stored) => {
                let (changed, value) = split_stored(&stored)?;
                if changed <= self.height {
                    return Ok(Some(value.to_vec()));
                }
            }
            None if self.is_newest() => return Ok(None),
            None => {}
        }
        if has_history(key) { Ok(self.get_from_history(key)?) } else { Ok(None) }
    }

    fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError> {
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let iterator = self.inner.database.iterator(Column::State, from, to)?;
        // The iterator sees what was committed when it was created.
        if self.is_newest() {
            return Ok(self.range_of_state(iterator, direction, limit)?);
        }
        Ok(self.range_of_past(from, to, direction, limit)?)
    }
}

/// The value of the last history entry that starts with `prefix` and is not after `newest`.
fn as_of(iterator: &mut DBRawIterator<'_>, prefix: &[u8], newest: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    iterator.seek_for_prev(newest);
    let Some((key, stored)) = iterator.item() else {
        iterator.status()?;
        return Ok(None);
    };
    if !key.starts_with(prefix) {
        return Ok(None);
    }
    match stored.split_first() {
        Some((1, value)) => Ok(Some(value.to_vec())),
        Some((0, [])) => Ok(None),
        _ => Err(StorageError::damaged("a value of the history", "it is neither a value nor a removal")),
    }
}

fn split_stored(stored: &[u8]) -> Result<(Height, &[u8]), StorageError> {
    split_height(stored).ok_or_else(|| StorageError::damaged("a value of the state", "it is too short"))
}

/// What a block did: the result of each transaction, and before them the effects of deadlines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEvents {
    /// The result of each transaction, in block order.
    pub results: Vec<TransactionResult>,
    /// The effects of deadlines, which come before the transactions.
    pub deadline_events: Vec<Event>,
}

/// A transaction that a block decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedTransaction {
    /// The block's height.
    pub height: Height,
    /// The block's time.
    pub time: Timestamp,
    /// Its index in the block, from 0.
    pub index: usize,
    /// The transaction.
    pub transaction: Transaction,
    /// The result of executing it.
    pub result: TransactionResult,
}

/// A proof, the root that it leads to, and the height whose state has that root.
#[derive(Clone, Debug, PartialEq)]
pub struct Proven {
    /// The proof.
    pub proof: StateProof,
    /// The state root after `height`; the header of the next height carries it.
    pub root: StateRoot,
    /// The height whose block led to the proven state.
    pub height: Height,
}

impl Ledger {
    /// The header of a height and its certificate. `None` for genesis and for future heights.
    ///
    /// # Errors
    /// When the database fails or holds something that is not a header.
    pub fn certified_header(&self, height: Height) -> Result<Option<CertifiedHeader>, StorageError> {
        self.inner.database.get_record(Column::Headers, &height_key(height))
    }

    /// The header of a height.
    ///
    /// # Errors
    /// As [`Ledger::certified_header`].
    pub fn header(&self, height: Height) -> Result<Option<Header>, StorageError> {
        Ok(self.certified_header(height)?.map(|certified| certified.header))
    }

    /// The certificate of a height.
    ///
    /// # Errors
    /// As [`Ledger::certified_header`].
    pub fn certificate(&self, height: Height) -> Result<Option<CommitCertificate>, StorageError> {
        Ok(self.certified_header(height)?.map(|certified| certified.certificate))
    }

    /// The block of a height with its certificate.
    ///
    /// # Errors
    /// As [`Ledger::certified_header`].
    pub fn block(&self, height: Height) -> Result<Option<DecidedBlock>, StorageError> {
        let Some(CertifiedHeader { header, certificate }) = self.certified_header(height)? else { return Ok(None) };
        let transactions = self
            .inner
            .database
            .get_record(Column::Bodies, &height_key(height))?
            .ok_or_else(|| StorageError::damaged(format!("block {height}"), "its transactions are missing"))?;
        Ok(Some(DecidedBlock { block: Block::new(header, transactions), certificate }))
    }

    /// Consecutive blocks from a height on: at most `limit_blocks`, and about `limit_bytes` of them encoded, but at
    /// least one if there is one. This is what a peer that catches up is sent.
    ///
    /// # Errors
    /// As [`Ledger::certified_header`].
    pub fn blocks(
        &self,
        from: Height,
        limit_blocks: usize,
        limit_bytes: usize,
    ) -> Result<Vec<DecidedBlock>, StorageError> {
        let mut blocks = Vec::new();
        let mut bytes = 0usize;
        let mut height = from.max(Height::new(1));
        while blocks.len() < limit_blocks {
            let Some(block) = self.block(height)? else { break };
            bytes = bytes.saturating_add(codec::encode(&block).len());
            if bytes > limit_bytes && !blocks.is_empty() {
                break;
            }
            blocks.push(block);
            height = height.next();
        }
        Ok(blocks)
    }

    /// The height of a block.
    ///
    /// # Errors
    /// When the database fails.
    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<Height>, StorageError> {
        self.inner.database.get_record(Column::BlockHashes, hash.as_bytes())
    }

    /// What the block of a height did. `None` for genesis and for future heights.
    ///
    /// # Errors
    /// When the database fails or holds something that is not the results of a block.
    pub fn block_events(&self, height: Height) -> Result<Option<BlockEvents>, StorageError> {
        self.inner.database.get_record(Column::Results, &height_key(height))
    }

    /// A decided transaction, by its id.
    ///
    /// # Errors
    /// When the database fails or holds something that is not a transaction.
    pub fn transaction(&self, id: &TransactionId) -> Result<Option<DecidedTransaction>, StorageError> {
        let found: Option<(Height, u32)> = self.inner.database.get_record(Column::Transactions, id.as_bytes())?;
        let Some((height, index)) = found else { return Ok(None) };
        let missing = |what| StorageError::damaged(format!("transaction {id} of block {height}"), what);
        let index = usize::try_from(index).map_err(|_| missing("its index is out of bounds"))?;
        let decided = self.block(height)?.ok_or_else(|| missing("its block is missing"))?;
        let events = self.block_events(height)?.ok_or_else(|| missing("its block's results are missing"))?;
        let transaction = decided.block.transactions().get(index).ok_or_else(|| missing("it is not in the block"))?;
        let result = events.results.into_iter().nth(index).ok_or_else(|| missing("its result is missing"))?;
        let time = decided.block.header().time;
        Ok(Some(DecidedTransaction { height, time, index, transaction: transaction.clone(), result }))
    }

    /// Ids of decided transactions from `first` to `last`, both included, in order; at most `limit`.
    ///
    /// # Errors
    /// When the database fails or holds something that is not an id.
    pub fn transaction_ids(
        &self,
        first: &TransactionId,
        last: &TransactionId,
        limit: usize,
    ) -> Result<Vec<TransactionId>, StorageError> {
        let end = [last.as_bytes().as_slice(), &[0]].concat();
        let mut iterator = self.inner.database.iterator(Column::Transactions, first.as_bytes(), &end)?;
        iterator.seek_to_first();
        let mut ids = Vec::new();
        while let Some(key) = iterator.key().filter(|_| ids.len() < limit) {
            let id = key.try_into().map_err(|_| StorageError::damaged("a transaction's id", "it is not 32 bytes"))?;
            ids.push(TransactionId::from_bytes(id));
            iterator.next();
        }
        iterator.status()?;
        Ok(ids)
    }

    /// Proves the value of a key, or its absence, at the newest height whose root a decided header already carries: one
    /// before the tip. `None` at genesis.
    ///
    /// # Errors
    /// When the database fails.
    pub fn prove(&self, key: &[u8]) -> Result<Option<Proven>, StorageError> {
        self.at_newest_certified(|height, header| {
            Ok(Proven { proof: self.prove_at(height, key)?, root: header.header.state_root, height })
        })
    }

    /// Proves the value of a key at one of the last [`crate::PROVABLE_HEIGHTS`] heights.
    ///
    /// # Errors
    /// [`StorageError::NotReached`], [`StorageError::Pruned`], or when the database fails.
    pub fn prove_at(&self, height: Height, key: &[u8]) -> Result<StateProof, StorageError> {
        let tip = self.tip().height;
        let snapshot = self.snapshot_at(height)?;
        let oldest = tree::oldest_provable(tip);
        if height < oldest {
            return Err(StorageError::Pruned { asked: height, oldest, tip });
        }
        let value = snapshot.get(key).map_err(|error| StorageError::Database(error.0))?;
        let reader = StoredTree::at_this_moment(&self.inner.database);
        tree::prove(&reader, height, key, value).map_err(|error| {
            // Commits may have pruned the height before the snapshot was taken, even one that is not the tip yet.
            let tip = self.tip().height;
            let oldest = tree::oldest_provable(tip.next());
            if height < oldest {
                StorageError::Pruned { asked: height, oldest, tip }
            } else {
                StorageError::damaged(format!("the state tree of height {height}"), format!("{error:#}"))
            }
        })
    }

    /// A portable proof of what the ledger says about a subject one height before the tip, linked to the blocks of the
    /// heights in `tied_to`. `None` at genesis.
    ///
    /// # Errors
    /// [`StorageError::NoFacts`] when the ledger does not know the subject, [`StorageError::NotReached`] for a height
    /// in `tied_to` that is not before the tip, or when the database fails.
    pub fn deed(&self, subject: &Subject, tied_to: &BTreeSet<Height>) -> Result<Option<Deed>, StorageError> {
        self.at_newest_certified(|height, header| {
            let keys = subject.keys(&self.snapshot_at(height)?).map_err(|error| match error {
                NoFacts::State(error) => StorageError::Database(error.0),
                NoFacts::Unknown(what) => StorageError::NoFacts { what, height },
            })?;
            let proofs = keys.iter().map(|key| self.prove_at(height, key)).collect::<Result<_, _>>()?;
            Ok(Deed { subject: subject.clone(), root: self.root_proof(header, tied_to)?, proofs })
        })
    }

    /// The proof that a header is final, for an outsider, linked to the blocks of the heights in `tied_to`.
    ///
    /// # Errors
    /// [`StorageError::NotReached`] for a height in `tied_to` after the header's, or when the database fails.
    pub fn root_proof(&self, header: CertifiedHeader, tied_to: &BTreeSet<Height>) -> Result<RootProof, StorageError> {
        let height = header.header.height;
        let not_reached = |asked: Height| StorageError::NotReached { asked, tip: height };
        // The header itself is the link to its own height.
        let links = tied_to.iter().filter(|asked| **asked != height).map(|asked| match self.header(*asked)? {
            Some(link) if *asked < height => Ok(link),
            _ => Err(not_reached(*asked)),
        });
        let links = links.collect::<Result<_, StorageError>>()?;
        Ok(RootProof { changes: self.validator_changes_before(height)?, header, links })
    }

    /// Runs `make` at the height before the tip, with the tip's header. If commits advance so far that the height is
    /// pruned meanwhile, runs it again at the newest height.
    fn at_newest_certified<T>(
        &self,
        make: impl Fn(Height, CertifiedHeader) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        loop {
            let tip = self.tip().height;
            if tip == Height::ZERO {
                return Ok(None);
            }
            let header = self
                .certified_header(tip)?
                .ok_or_else(|| StorageError::damaged(format!("block {tip}"), "its header is missing"))?;
            match make(tip.previous(), header) {
                Err(StorageError::Pruned { .. }) => {}
                other => return other.map(Some),
            }
        }
    }

    /// The validator set changes that headers below `height` announced.
    ///
    /// # Errors
    /// When the database fails.
    pub fn validator_changes_before(&self, height: Height) -> Result<Vec<ValidatorChange>, StorageError> {
        let mut iterator =
            self.inner.database.iterator(Column::ValidatorChanges, &height_key(Height::ZERO), &height_key(height))?;
        iterator.seek_to_first();
        let mut changes = Vec::new();
        while let Some((key, set)) = iterator.item() {
            let unreadable = |problem: &str| StorageError::damaged("a validator set change", problem);
            let (announced_at, _) = split_height(key).ok_or_else(|| unreadable("its key is too short"))?;
            let validators: ValidatorSet =
                codec::decode_trusted(set).map_err(|error| unreadable(&error.to_string()))?;
            let announced = self
                .certified_header(announced_at)?
                .ok_or_else(|| unreadable("the header that announced it is missing"))?;
            changes.push(ValidatorChange { announced, validators });
            iterator.next();
        }
        iterator.status()?;
        Ok(changes)
    }
}
