//! A snapshot does not change, whatever is committed meanwhile.

use crate::chain::{Next, genesis};
use allod_protocol::ground::state::{Direction, StateRead};
use allod_storage::Ledger;
use std::sync::atomic::{AtomicBool, Ordering};

const KEYS: u8 = 20;

/// A block after which every key that exists has the height as its value; which keys exist depends on the height.
fn all_keys_at(height: u64) -> Next {
    let value = |key: u8| exists(key, height).then(|| height.to_be_bytes().to_vec());
    Next::changes((0..KEYS).map(|key| (vec![6, key], value(key))))
}

fn exists(key: u8, height: u64) -> bool {
    !(u64::from(key) + height).is_multiple_of(3)
}

fn assert_is_of_height(state: &impl StateRead, height: u64) {
    let expected: Vec<_> = (0..KEYS)
        .filter(|key| height > 0 && exists(*key, height))
        .map(|key| (vec![6, key], height.to_be_bytes().to_vec()))
        .collect();
    let found: Vec<_> = (0..KEYS).filter_map(|key| Some((vec![6, key], state.get(&[6, key]).unwrap()?))).collect();
    assert_eq!(found, expected);
    assert_eq!(state.range(&[6], &[7], Direction::Ascending, 100).unwrap(), expected);
    let mut last = state.range(&[6], &[7], Direction::Descending, 5).unwrap();
    last.reverse();
    assert_eq!(last, expected[expected.len().saturating_sub(5)..]);
}

#[test]
fn snapshots_stay_as_they_are_while_commits_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0u64;
                    let mut held = Vec::new();
                    while !done.load(Ordering::SeqCst) || seen == 0 {
                        let snapshot = ledger.snapshot();
                        for _ in 0..3 {
                            assert_is_of_height(&snapshot, snapshot.height().get());
                        }
                        if seen.is_multiple_of(50) {
                            held.push(snapshot);
                        }
                        seen += 1;
                    }
                    for snapshot in held {
                        assert_is_of_height(&snapshot, snapshot.height().get());
                    }
                })
            })
            .collect();
        for height in 1..=300 {
            let (block, executed) = all_keys_at(height).after(&ledger.tip());
            ledger.commit(&block, &executed).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    for height in 0..=300 {
        assert_is_of_height(&ledger.snapshot_at(allod_protocol::ground::ids::Height::new(height)).unwrap(), height);
    }
}

#[test]
fn remembered_ids_show_in_the_past_from_their_height_on_while_they_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let commit = |changes: Vec<(Vec<u8>, Option<Vec<u8>>)>| {
        let (block, executed) = Next::changes(changes).after(&ledger.tip());
        ledger.commit(&block, &executed).unwrap();
        ledger.snapshot()
    };
    let none = commit(vec![(vec![4, 0xff], Some(vec![1])), (vec![6, 1], Some(vec![1]))]);
    let one = commit(vec![(vec![5, 1], Some(vec![1]))]);
    let two = commit(vec![(vec![5, 2], Some(vec![1]))]);
    let ids = |state: &dyn StateRead| {
        let entries = state.range(&[4, 0xff], &[7], Direction::Ascending, 10).unwrap();
        entries.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let all = |ids: &[&[u8]]| ids.iter().map(|id| id.to_vec()).collect::<Vec<_>>();
    for _ in 0..2 {
        // Before a later commit, and after one that did not touch them.
        assert_eq!(ids(&none), all(&[&[4, 0xff], &[6, 1]]));
        assert_eq!(ids(&one), all(&[&[4, 0xff], &[5, 1], &[6, 1]]));
        assert_eq!(ids(&two), all(&[&[4, 0xff], &[5, 1], &[5, 2], &[6, 1]]));
        assert_eq!((one.get(&[5, 1]).unwrap(), one.get(&[5, 2]).unwrap()), (Some(vec![1]), None));
        assert_eq!(one.range(&[4, 0xff], &[7], Direction::Descending, 2).unwrap().last().unwrap().0, [5, 1]);
        commit(vec![(vec![6, 7], Some(vec![1]))]);
    }
    commit(vec![(vec![5, 1], None)]);
    assert_eq!(ids(&two), all(&[&[4, 0xff], &[5, 2], &[6, 1]]));
}
