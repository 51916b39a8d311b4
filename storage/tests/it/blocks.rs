//! What a commit leaves on disk, even if the process ends at any moment.

use crate::chain::{Next, genesis, transaction};
use allod_protocol::{
    ground::{
        codec,
        ids::{BlockHash, Height, TransactionId},
        state::StateRead as _,
    },
    ledger::{
        block::DecidedBlock,
        execute::{Executed, Outcome},
    },
    rules::rejection::Rejection,
};
use allod_storage::{Ledger, StorageError};
use std::path::Path;

fn commit_next(ledger: &Ledger, transactions: u64) -> (DecidedBlock, Executed) {
    let tip = ledger.tip();
    let height = tip.height.next().get();
    let (block, executed) = Next {
        transactions: (0..transactions).map(|nonce| transaction(&tip, height * 1_000 + nonce)).collect(),
        ..Next::changes([(vec![6, 1], Some(height.to_be_bytes().to_vec())), (vec![6, 9, height as u8], Some(vec![1]))])
    }
    .after(&tip);
    assert_eq!(ledger.commit(&block, &executed).unwrap(), ledger.tip());
    (block, executed)
}

fn assert_holds(ledger: &Ledger, committed: &[(DecidedBlock, Executed)]) {
    assert_eq!(ledger.tip().height.get() as usize, committed.len());
    for (block, executed) in committed {
        let height = block.block.header().height;
        let found = ledger.block(height).unwrap().unwrap();
        assert_eq!(&found, block);
        assert_eq!(found.block.transactions(), block.block.transactions());
        assert_eq!(ledger.header(height).unwrap().as_ref(), Some(block.block.header()));
        assert_eq!(ledger.certificate(height).unwrap().as_ref(), Some(&block.certificate));
        assert_eq!(ledger.height_of(&block.block.hash()).unwrap(), Some(height));
        let events = ledger.block_events(height).unwrap().unwrap();
        assert_eq!((&events.results, &events.deadline_events), (&executed.results, &executed.deadline_events));
        for (index, transaction) in block.block.transactions().iter().enumerate() {
            let found = ledger.transaction(&transaction.id()).unwrap().unwrap();
            assert_eq!((found.height, found.index), (height, index));
            assert_eq!((&found.transaction, &found.result), (transaction, &executed.results[index]));
        }
        let state = ledger.snapshot_at(height).unwrap();
        assert_eq!(state.get(&[6, 1]).unwrap(), Some(height.get().to_be_bytes().to_vec()));
    }
}

#[test]
fn everything_is_there_after_closing_and_reopening_at_each_height() {
    let dir = tempfile::tempdir().unwrap();
    let mut committed = Vec::new();
    let mut tip = Ledger::open(dir.path(), &genesis()).unwrap().tip();
    for transactions in [0, 1, 3, 0, 200] {
        let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
        assert_eq!(ledger.tip(), tip);
        committed.push(commit_next(&ledger, transactions));
        tip = ledger.tip();
    }
    assert_holds(&Ledger::open(dir.path(), &genesis()).unwrap(), &committed);
}

#[test]
fn a_ledger_at_rest_gives_memory_back_and_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    // More than a rest would leave in memory: values of 64 KiB, and their history.
    let value = |height: u64| vec![height as u8; 64 * 1024];
    let commit_large = || {
        let tip = ledger.tip();
        let height = tip.height.next().get();
        let changes = (0..32).map(|place| (vec![6, 9, place], Some(value(height))));
        let (block, executed) = Next::changes(changes.collect::<Vec<_>>()).after(&tip);
        ledger.commit(&block, &executed).unwrap();
    };
    let assert_whole = |ledger: &Ledger| {
        for height in 1..=ledger.tip().height.get() {
            let state = ledger.snapshot_at(Height::new(height)).unwrap();
            assert_eq!(state.get(&[6, 9, 31]).unwrap(), Some(value(height)));
        }
    };
    while ledger.stats().write_buffer_bytes < 10 * 1024 * 1024 {
        commit_large();
    }
    let busy = ledger.stats();
    ledger.rest().unwrap();
    let resting = ledger.stats();
    assert!(resting.write_buffer_bytes < busy.write_buffer_bytes / 4, "{busy:?} {resting:?}");
    assert!(resting.table_bytes > busy.table_bytes, "{busy:?} {resting:?}");
    commit_large();
    assert_whole(&ledger);
    drop(ledger);
    assert_whole(&Ledger::open(dir.path(), &genesis()).unwrap());
}

/// Copies what a killed process leaves: the files as they are while the ledger is open.
fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_process_killed_after_any_commit_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let mut committed = Vec::new();
    for transactions in 0..4 {
        committed.push(commit_next(&ledger, transactions));
        let killed = tempfile::tempdir().unwrap();
        copy_files(dir.path(), killed.path());
        let survivor = Ledger::open(killed.path(), &genesis()).unwrap();
        assert_eq!(survivor.tip(), ledger.tip());
        assert_holds(&survivor, &committed);
        commit_next(&survivor, 1);
    }
}

#[test]
fn a_torn_write_leaves_the_ledger_at_an_earlier_height_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let committed: Vec<_> = (0..3).map(|transactions| commit_next(&ledger, transactions)).collect();
    let log = |dir: &Path| {
        let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
    };
    let size = std::fs::metadata(log(dir.path())).unwrap().len();
    let mut heights = std::collections::BTreeSet::new();
    for cut in (1..size).step_by(usize::try_from(size / 60).unwrap()) {
        let torn = tempfile::tempdir().unwrap();
        copy_files(dir.path(), torn.path());
        std::fs::OpenOptions::new().write(true).open(log(torn.path())).unwrap().set_len(size - cut).unwrap();
        let survivor = Ledger::open(torn.path(), &genesis()).unwrap();
        let height = survivor.tip().height.get() as usize;
        heights.insert(height);
        assert_holds(&survivor, &committed[..height]);
        assert_eq!(survivor.block(Height::new(height as u64 + 1)).unwrap(), None);
        commit_next(&survivor, 2);
    }
    assert_eq!(heights, (0..3).collect(), "cuts in every one of the writes");
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    for height in [0, 1, u64::MAX] {
        assert_eq!(ledger.block(Height::new(height)).unwrap(), None);
        assert_eq!(ledger.block_events(Height::new(height)).unwrap(), None);
    }
    assert_eq!(ledger.height_of(&BlockHash::from_bytes([1; 32])).unwrap(), None);
    assert_eq!(ledger.transaction(&TransactionId::from_bytes([1; 32])).unwrap(), None);
    assert_eq!(ledger.blocks(Height::new(1), 10, 1_000).unwrap(), Vec::new());
    assert!(ledger.stats().keys > 0, "the genesis is there");
    assert!(matches!(ledger.snapshot_at(Height::new(1)), Err(StorageError::NotReached { .. })));
}

#[test]
fn a_copy_of_an_executed_transaction_leaves_what_became_of_it_to_be_found() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let (first, _) = commit_next(&ledger, 1);
    let again = first.block.transactions().to_vec();
    let (block, mut executed) = Next { transactions: again.clone(), ..Next::default() }.after(&ledger.tip());
    executed.results[0].outcome = Outcome::Rejected(Rejection::Replayed);
    ledger.commit(&block, &executed).unwrap();
    let found = ledger.transaction(&again[0].id()).unwrap().unwrap();
    assert_eq!((found.height, found.result.outcome), (Height::new(1), Outcome::Applied));
    assert_eq!(ledger.block_events(Height::new(2)).unwrap().unwrap().results, executed.results);
}

#[test]
fn blocks_for_catching_up_keep_to_both_limits_but_give_at_least_one() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let blocks: Vec<_> = (0..6).map(|_| commit_next(&ledger, 5).0).collect();
    let size = codec::encode(&blocks[0]).len();
    assert_eq!(ledger.blocks(Height::new(2), 3, usize::MAX).unwrap(), blocks[1..4]);
    assert_eq!(ledger.blocks(Height::new(5), 10, usize::MAX).unwrap(), blocks[4..]);
    assert_eq!(ledger.blocks(Height::new(1), 10, size * 2).unwrap(), blocks[..2]);
    assert_eq!(ledger.blocks(Height::new(1), 10, 1).unwrap(), blocks[..1]);
    assert_eq!(ledger.blocks(Height::ZERO, 1, usize::MAX).unwrap(), blocks[..1]);
    assert_eq!(ledger.blocks(Height::new(7), 10, usize::MAX).unwrap(), Vec::new());
}

#[test]
fn a_block_that_does_not_follow_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let first = Next::default().after(&ledger.tip());
    ledger.commit(&first.0, &first.1).unwrap();
    let tip = ledger.tip();
    let refused = |block: &DecidedBlock, executed: &Executed, expected: &str| {
        let error = ledger.commit(block, executed).unwrap_err();
        assert!(matches!(&error, StorageError::NotNext { problem, .. } if problem.contains(expected)), "{error}");
        assert_eq!(ledger.tip(), tip);
    };
    refused(&first.0, &first.1, "height");
    let (block, mut executed) = Next { transactions: vec![transaction(&tip, 1)], ..Next::default() }.after(&tip);
    executed.results.clear();
    refused(&block, &executed, "number of results");
    let mut other = tip.clone();
    other.state_root = allod_protocol::ground::ids::StateRoot::from_bytes([7; 32]);
    let (block, executed) = Next::default().after(&other);
    refused(&block, &executed, "state root");
    let (mut block, executed) = Next::default().after(&tip);
    block.certificate.block = BlockHash::from_bytes([7; 32]);
    refused(&block, &executed, "certificate");
    commit_next(&ledger, 1);
}

#[test]
fn blocks_without_changes_keep_the_root_and_can_be_proven() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let root = ledger.tip().state_root;
    for _ in 0..3 {
        let (block, executed) = Next::default().after(&ledger.tip());
        ledger.commit(&block, &executed).unwrap();
        assert_eq!(ledger.tip().state_root, root);
        let proven = ledger.prove(&[1]).unwrap().unwrap();
        assert!(proven.proof.value.is_some());
        proven.proof.verify(root).unwrap();
    }
}
