//! Proofs and deeds, at recent heights and after pruning.

use crate::chain::{Next, genesis, genesis_named, set};
use allod_protocol::{
    ground::{
        ids::{AccountId, ArtifactId, Handle, Height, Name},
        state::{Record as _, StateRead as _},
    },
    proof::{Checkpoint, Deed, InvalidProof, Subject, Trust},
    rules::account::Account,
};
use allod_storage::{Ledger, PROVABLE_HEIGHTS, StorageError};
use rocksdb::{DB, IteratorMode, Options};
use std::{collections::BTreeSet, path::Path};

/// Proves that a founder attested nothing: its account, and a key that is absent.
fn subject(founder: AccountId) -> Subject {
    let statement = Name::new("bias-audit").unwrap();
    Subject::Attestation { artifact: ArtifactId::from_bytes([1; 32]), statement, account: founder }
}

fn founder() -> AccountId {
    genesis().account_id(&Handle::new("member-1").unwrap())
}

fn changing(height: u64) -> Next {
    let key = |number: u64| vec![10, (number % 40) as u8, (number % 7) as u8];
    let value = |number: u64| (!number.is_multiple_of(5)).then(|| number.to_be_bytes().to_vec());
    Next::changes((height..height + 6).map(|number| (key(number * 3), value(number))))
}

fn commit(ledger: &Ledger, next: Next) {
    let (block, executed) = next.after(&ledger.tip());
    ledger.commit(&block, &executed).unwrap();
}

#[test]
fn a_deed_verifies_at_every_height_also_across_changes_of_the_validators() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let (subject, untied) = (subject(founder()), BTreeSet::new());
    assert_eq!(ledger.deed(&subject, &untied).unwrap(), None, "no header carries a root at genesis");
    assert_eq!(ledger.prove(&[1]).unwrap(), None);
    for height in 1..=12 {
        let validators = match height {
            3 => Some(set(&[1, 2, 3, 4, 5])),
            4 => Some(set(&[2, 3, 4, 5])),
            8 => Some(set(&[6, 7])),
            11 => Some(set(&[1, 2, 3])),
            _ => None,
        };
        commit(&ledger, Next { validators, ..changing(height) });
        let deed = ledger.deed(&subject, &untied).unwrap().unwrap();
        let deed = Deed::decode(&deed.encode()).unwrap();
        let verified = deed.verify(&genesis(), None).unwrap();
        assert_eq!((verified.root.height, verified.root.trust), (Height::new(height - 1), Trust::GenesisOnly));
        let state = ledger.snapshot_at(Height::new(height - 1)).unwrap();
        assert_eq!(deed.proofs[0].key, Account::key_bytes(&founder()));
        for proof in &deed.proofs {
            assert_eq!(proof.value, state.get(&proof.key).unwrap());
        }
        assert!(matches!(deed.verify(&genesis_named("other"), None), Err(InvalidProof::Network { .. })));
    }
    assert_eq!(ledger.tip().validators, set(&[1, 2, 3]), "decided at 11, in force at 13");
    let changes = ledger.deed(&subject, &untied).unwrap().unwrap().root.changes;
    let announced: Vec<_> = changes.iter().map(|change| change.announced.header.height.get()).collect();
    assert_eq!(announced, [4, 5, 9], "the set of height 13 is announced by the header of 12, which proves the rest");
}

#[test]
fn a_deed_is_tied_to_the_blocks_that_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    for height in 1..=12 {
        let validators = (height == 4).then(|| set(&[2, 3, 4, 5]));
        commit(&ledger, Next { validators, ..changing(height) });
    }
    let tied_to: BTreeSet<Height> = [1, 3, 5, 6, 12].map(Height::new).into();
    let deed = ledger.deed(&subject(founder()), &tied_to).unwrap().unwrap();
    let deed = Deed::decode(&deed.encode()).unwrap();
    for height in &tied_to {
        let checkpoint = Checkpoint { height: *height, block: ledger.header(*height).unwrap().unwrap().hash() };
        let verified = deed.verify(&genesis(), Some(checkpoint)).unwrap();
        assert_eq!(verified.root.trust, Trust::Checkpoint(checkpoint));
        let signers = verified.root.signers;
        assert_eq!((signers.signed, signers.validators), (4, 4));
        assert_eq!(verified.root.believed_changes, u64::from(height.get() < 5), "the change is announced at 5");
        let other = Checkpoint { height: height.next(), ..checkpoint };
        deed.verify(&genesis(), Some(other)).unwrap_err();
    }
    for height in [0, 13] {
        let refused = ledger.deed(&subject(founder()), &[Height::new(height)].into()).unwrap_err();
        assert!(matches!(refused, StorageError::NotReached { .. }), "{refused}");
    }
    let stranger = subject(AccountId::from_bytes([9; 32]));
    let refused = ledger.deed(&stranger, &BTreeSet::new()).unwrap_err();
    assert_eq!(refused, StorageError::NoFacts { what: "account", height: Height::new(11) });
}

#[test]
fn a_proof_of_another_value_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    commit(&ledger, Next::changes([(vec![10, 1], Some(vec![5]))]));
    commit(&ledger, Next::changes([(vec![10, 1], Some(vec![6]))]));
    let proven = ledger.prove(&[10, 1]).unwrap().unwrap();
    assert_eq!((proven.height, &proven.proof.value), (Height::new(1), &Some(vec![5])));
    assert_eq!(proven.root, ledger.header(Height::new(2)).unwrap().unwrap().state_root);
    proven.proof.verify(proven.root).unwrap();
    proven.proof.verify(ledger.tip().state_root).unwrap_err();
    for value in [None, Some(vec![6])] {
        let mut forged = proven.proof.clone();
        forged.value = value;
        forged.verify(proven.root).unwrap_err();
    }
}

fn count(dir: &Path, column: &str) -> usize {
    let columns = DB::list_cf(&Options::default(), dir).unwrap();
    let db = DB::open_cf_for_read_only(&Options::default(), dir, columns, false).unwrap();
    db.iterator_cf(db.cf_handle(column).unwrap(), IteratorMode::Start).count()
}

#[test]
fn pruning_keeps_recent_proofs_right_and_the_tree_from_growing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let mut nodes_at_300 = 0;
    for height in 1..=600u64 {
        commit(&ledger, if height % 10 == 0 { Next::default() } else { changing(height) });
        if height % 50 == 0 {
            drop(ledger);
            if height == 300 {
                nodes_at_300 = count(dir.path(), "tree_nodes");
            }
            ledger = Ledger::open(dir.path(), &genesis()).unwrap();
        }
    }
    drop(ledger);
    let nodes = count(dir.path(), "tree_nodes");
    assert!(nodes < nodes_at_300 + nodes_at_300 / 10, "{nodes_at_300} nodes at height 300, {nodes} at 600");
    assert_eq!(count(dir.path(), "tree_stale") as u64, PROVABLE_HEIGHTS - 1);

    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let tip = ledger.tip().height;
    let oldest = Height::new(tip.get() - PROVABLE_HEIGHTS + 1);
    for height in oldest.get()..tip.get() {
        let root = ledger.header(Height::new(height + 1)).unwrap().unwrap().state_root;
        let state = ledger.snapshot_at(Height::new(height)).unwrap();
        for key in [vec![1], vec![10, 3, 3], vec![10, 21, 0], vec![10, 77]] {
            let proof = ledger.prove_at(Height::new(height), &key).unwrap();
            assert_eq!(proof.value, state.get(&key).unwrap());
            proof.verify(root).unwrap();
        }
    }
    ledger.prove_at(tip, &[1]).unwrap().verify(ledger.tip().state_root).unwrap();
    let asked = oldest.previous();
    let error = ledger.prove_at(asked, &[1]).unwrap_err();
    assert_eq!(error, StorageError::Pruned { asked, oldest, tip });
    assert!(matches!(ledger.prove_at(tip.next(), &[1]), Err(StorageError::NotReached { .. })));
}

#[test]
fn proofs_at_the_oldest_height_never_break_while_commits_prune_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    for height in 1..=PROVABLE_HEIGHTS + 2 {
        commit(&ledger, changing(height));
    }
    let committed = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut proven, mut pruned) = (0, 0);
            while !committed.load(std::sync::atomic::Ordering::SeqCst) {
                let oldest = Height::new(ledger.tip().height.get() - PROVABLE_HEIGHTS + 1);
                let root = ledger.header(oldest.next()).unwrap().unwrap().state_root;
                match ledger.prove_at(oldest, &[10, 9, 6]) {
                    Ok(proof) => {
                        proof.verify(root).unwrap();
                        proven += 1;
                    }
                    Err(StorageError::Pruned { .. }) => pruned += 1,
                    Err(error) => panic!("{error}"),
                }
                let deed = ledger.deed(&subject(founder()), &BTreeSet::new()).unwrap().unwrap();
                assert!(deed.verify(&genesis(), None).is_ok());
            }
            assert!(proven > 0, "{proven} proven, {pruned} pruned");
        });
        for height in 100..300 {
            commit(&ledger, changing(height));
        }
        committed.store(true, std::sync::atomic::Ordering::SeqCst);
        asking.join().unwrap();
    });
}
