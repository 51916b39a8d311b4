//! What opening refuses, and that the error says what to do.

use crate::chain::{Next, genesis, genesis_named, transaction};
use allod_protocol::{ground::codec, proof::CertifiedHeader};
use allod_storage::{Ledger, OpenError, SCHEMA_VERSION};
use rocksdb::{DB, Options};
use std::path::Path;

fn ledger_of_two_blocks(dir: &Path) {
    let ledger = Ledger::open(dir, &genesis()).unwrap();
    for nonce in 0..2 {
        let tip = ledger.tip();
        let next = Next {
            transactions: vec![transaction(&tip, nonce)],
            ..Next::changes([(vec![6, 1], Some(vec![1])), (vec![6, 2], Some(vec![nonce as u8]))])
        };
        let (block, executed) = next.after(&tip);
        ledger.commit(&block, &executed).unwrap();
    }
}

/// Changes the database behind the ledger's back.
fn tamper(dir: &Path, change: impl Fn(&DB)) {
    let columns = DB::list_cf(&Options::default(), dir).unwrap();
    change(&DB::open_cf(&Options::default(), dir, columns).unwrap());
}

type Tampering = Box<dyn Fn(&DB)>;

fn refusal(dir: &Path) -> (OpenError, String) {
    let error = Ledger::open(dir, &genesis()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(dir.to_str().unwrap()), "names the directory: {text}");
    (error, text)
}

#[test]
fn refuses_the_ledger_of_another_network() {
    let dir = tempfile::tempdir().unwrap();
    ledger_of_two_blocks(dir.path());
    let error = Ledger::open(dir.path(), &genesis_named("other")).unwrap_err();
    let (found, expected) = (genesis().network_id(), genesis_named("other").network_id());
    assert_eq!(error, OpenError::OtherNetwork { dir: dir.path().to_owned(), found, expected });
    assert!(error.to_string().contains(&found.to_string()) && error.to_string().contains(&expected.to_string()));
}

#[test]
fn refuses_a_newer_schema_with_or_without_new_columns() {
    let dir = tempfile::tempdir().unwrap();
    ledger_of_two_blocks(dir.path());
    let newer = SCHEMA_VERSION + 1;
    tamper(dir.path(), |db| db.put_cf(db.cf_handle("meta").unwrap(), "schema", codec::encode(&newer)).unwrap());
    let (error, text) = refusal(dir.path());
    assert_eq!(error, OpenError::NewerSchema { dir: dir.path().to_owned(), found: newer, known: SCHEMA_VERSION });
    assert!(text.contains(&format!("version {newer}")) && text.contains("newer build"), "{text}");

    let mut db = {
        let columns = DB::list_cf(&Options::default(), dir.path()).unwrap();
        DB::open_cf(&Options::default(), dir.path(), columns).unwrap()
    };
    db.create_cf("from_the_future", &Options::default()).unwrap();
    drop(db);
    assert_eq!(refusal(dir.path()).0, error);
}

#[test]
fn refuses_a_directory_in_use_and_opens_it_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let (error, text) = refusal(dir.path());
    assert_eq!(error, OpenError::InUse { dir: dir.path().to_owned() });
    assert!(text.contains("stop that node"), "{text}");
    let snapshot = ledger.snapshot();
    drop(ledger);
    assert!(matches!(refusal(dir.path()).0, OpenError::InUse { .. }), "a snapshot holds the ledger open");
    drop(snapshot);
    Ledger::open(dir.path(), &genesis()).unwrap();
}

#[test]
fn refuses_records_that_contradict_each_other() {
    let height = |height: u64| height.to_be_bytes();
    let tampering: [(&str, Tampering); 8] = [
        ("lacks the record tip", Box::new(|db| db.delete_cf(db.cf_handle("meta").unwrap(), "tip").unwrap())),
        ("schema version is missing", Box::new(|db| db.delete_cf(db.cf_handle("meta").unwrap(), "schema").unwrap())),
        (
            "column headers lacks",
            Box::new(move |db| db.delete_cf(db.cf_handle("headers").unwrap(), height(2)).unwrap()),
        ),
        (
            "has the transactions of another block",
            Box::new(move |db| {
                let bodies = db.cf_handle("bodies").unwrap();
                let other = db.get_cf(bodies, height(1)).unwrap().unwrap();
                db.put_cf(bodies, height(2), other).unwrap();
            }),
        ),
        (
            "has a block above it",
            Box::new(move |db| {
                let headers = db.cf_handle("headers").unwrap();
                let other = db.get_cf(headers, height(1)).unwrap().unwrap();
                db.put_cf(headers, height(3), other).unwrap();
            }),
        ),
        (
            "has the certificate of another",
            Box::new(move |db| {
                let headers = db.cf_handle("headers").unwrap();
                let certified = |at| db.get_cf(headers, height(at)).unwrap().unwrap();
                let [other, newest] =
                    [1, 2].map(|at| codec::decode_trusted::<CertifiedHeader>(&certified(at)).unwrap());
                let mixed = CertifiedHeader { certificate: other.certificate, ..newest };
                db.put_cf(headers, height(2), codec::encode(&mixed)).unwrap();
            }),
        ),
        (
            "the state tree of height 2",
            Box::new(move |db| {
                db.delete_cf(db.cf_handle("tree_nodes").unwrap(), height(2)).unwrap();
            }),
        ),
        (
            "has root",
            Box::new(move |db| {
                let nodes = db.cf_handle("tree_nodes").unwrap();
                let other = db.get_cf(nodes, height(1)).unwrap().unwrap();
                db.put_cf(nodes, height(2), other).unwrap();
            }),
        ),
    ];
    for (problem, change) in tampering {
        let dir = tempfile::tempdir().unwrap();
        ledger_of_two_blocks(dir.path());
        tamper(dir.path(), change);
        let (error, text) = refusal(dir.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{problem}: {text}");
        assert!(text.contains(problem) && text.contains("catch up from its peers"), "{problem}: {text}");
    }
}

#[test]
fn refuses_damaged_and_missing_files() {
    for damage in ["MANIFEST", "sst"] {
        let dir = tempfile::tempdir().unwrap();
        ledger_of_two_blocks(dir.path());
        tamper(dir.path(), |db| {
            for column in ["state", "headers", "meta", "tree_nodes", "bodies"] {
                db.flush_cf(db.cf_handle(column).unwrap()).unwrap();
            }
        });
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_str().unwrap().contains(damage) {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
                std::fs::write(&path, bytes).unwrap();
            }
        }
        let (error, text) = refusal(dir.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{damage}: {text}");
    }
}

#[test]
fn a_crash_before_the_genesis_was_committed_leaves_a_new_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    drop(DB::open(&options, dir.path()).unwrap());
    assert_eq!(Ledger::open(dir.path(), &genesis()).unwrap().tip().height.get(), 0);
}

#[test]
fn refuses_a_place_that_cannot_be_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    assert!(matches!(refusal(&file).0, OpenError::Unavailable { .. }));
}
