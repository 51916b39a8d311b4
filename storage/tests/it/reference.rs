//! The ledger on disk against the one in memory: whatever is committed, both give the same answers.

use crate::chain::{Next, genesis};
use allod_protocol::ground::{
    ids::Height,
    state::{ChangeSet, Direction, Family, StateRead},
};
use allod_storage::{Ledger, MemoryLedger};
use proptest::{collection::vec, prelude::*, sample::select};

/// A few keys, some of them prefixes of others, in families with and without history.
fn key() -> impl Strategy<Value = Vec<u8>> {
    (select(vec![1u8, 5, 6, 10, 18]), vec(select(vec![0u8, 1, 0xff]), 0..4)).prop_map(|(family, mut rest)| {
        rest.insert(0, family);
        rest
    })
}

fn changes() -> impl Strategy<Value = ChangeSet> {
    let value = prop_oneof![2 => vec(any::<u8>(), 0..6).prop_map(Some), 1 => Just(None)];
    proptest::collection::btree_map(key(), value, 0..12)
}

#[derive(Clone, Debug)]
struct Question {
    from: Vec<u8>,
    to: Vec<u8>,
    direction: Direction,
    limit: usize,
}

fn question() -> impl Strategy<Value = Question> {
    let direction = select(vec![Direction::Ascending, Direction::Descending]);
    (key(), key(), direction, 0usize..8).prop_map(|(from, to, direction, limit)| Question {
        from,
        to,
        direction,
        limit,
    })
}

fn assert_alike(disk: &impl StateRead, memory: &impl StateRead, questions: &[Question]) {
    for question in questions {
        let ask = |state: &dyn StateRead| {
            state.range(&question.from, &question.to, question.direction, question.limit).unwrap()
        };
        assert_eq!(ask(disk), ask(memory), "{question:?}");
        assert_eq!(disk.get(&question.from).unwrap(), memory.get(&question.from).unwrap(), "{question:?}");
    }
}

/// Whether a question is about past values. The disk keeps no history of the remembered transaction ids.
fn asks_the_past(question: &Question) -> bool {
    let seen = Family::Seen as u8;
    question.from >= vec![seen + 1] || question.to < vec![seen] && question.from < vec![seen]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn disk_and_memory_are_the_same_ledger(
        blocks in vec(changes(), 1..12),
        questions in vec(question(), 30),
        reopen_at in 0usize..12,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Ledger::open(dir.path(), &genesis()).unwrap();
        let mut memory = MemoryLedger::new(&genesis()).unwrap();
        prop_assert_eq!(disk.tip(), memory.tip());
        for (index, changes) in blocks.iter().enumerate() {
            let (block, executed) = Next::changes(changes.clone()).after(&disk.tip());
            let tip = disk.commit(&block, &executed).unwrap();
            prop_assert_eq!(tip, memory.commit(&block, &executed).unwrap());
            if index == reopen_at {
                drop(disk);
                disk = Ledger::open(dir.path(), &genesis()).unwrap();
                prop_assert_eq!(disk.tip(), memory.tip());
            }
        }
        assert_alike(&disk.snapshot(), &memory.snapshot(), &questions);
        let past: Vec<_> = questions.iter().filter(|question| asks_the_past(question)).cloned().collect();
        for height in (0..=blocks.len() as u64).map(Height::new) {
            assert_alike(&disk.snapshot_at(height).unwrap(), &memory.snapshot_at(height).unwrap(), &past);
            prop_assert_eq!(disk.block(height).unwrap(), memory.block(height).cloned());
            prop_assert_eq!(disk.block_events(height).unwrap(), memory.block_events(height).cloned());
        }
    }

    #[test]
    fn presence_and_absence_are_proven_alike_at_every_height(
        blocks in vec(changes(), 1..8),
        keys in vec(key(), 10),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Ledger::open(dir.path(), &genesis()).unwrap();
        let mut memory = MemoryLedger::new(&genesis()).unwrap();
        let mut roots = vec![disk.tip().state_root];
        for changes in &blocks {
            let (block, executed) = Next::changes(changes.clone()).after(&disk.tip());
            roots.push(disk.commit(&block, &executed).unwrap().state_root);
            memory.commit(&block, &executed).unwrap();
        }
        let authenticated = keys.iter().filter(|key| Family::is_authenticated(key[0]));
        for key in authenticated {
            for (height, root) in (0..).map(Height::new).zip(&roots) {
                let proof = disk.prove_at(height, key).unwrap();
                prop_assert_eq!(&proof.value, &memory.snapshot_at(height).unwrap().get(key).unwrap());
                prop_assert!(proof.verify(*root).is_ok());
                prop_assert_eq!(&proof, &memory.prove_at(height, key).unwrap());
                let mut forged = proof.clone();
                forged.value = match proof.value { Some(_) => None, None => Some(vec![1]) };
                prop_assert!(forged.verify(*root).is_err());
            }
        }
    }
}
