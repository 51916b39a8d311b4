#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod contents;
mod damage;
mod download;
mod export;
mod garbage_collection;
mod import;

use super::*;
use allod_protocol::ground::ids::{ModelId, Timestamp};
use proptest::prelude::*;
use std::os::unix::fs::{FileExt, symlink};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

struct Bench {
    _directory: tempfile::TempDir,
    root: PathBuf,
    store: ArtifactStore,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let store = ArtifactStore::open(&root.join("artifacts")).unwrap();
        Self { _directory: directory, root, store }
    }

    fn reopen(&mut self) {
        let elsewhere = self.root.join("elsewhere");
        drop(std::mem::replace(&mut self.store, ArtifactStore::open(&elsewhere).unwrap()));
        self.store = ArtifactStore::open(&self.root.join("artifacts")).unwrap();
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, path: &Path) -> Imported {
        self.store.import(path, ImportMode::Copy, &mut |_| {}).unwrap()
    }

    fn blob(&self, bytes: &[u8]) -> ArtifactId {
        self.import(&self.file("source", bytes)).artifact.address
    }

    fn slice(&self, address: &ArtifactId, range: ByteRange) -> Vec<u8> {
        let mut encoded = Vec::new();
        self.store.reader(address).unwrap().encode(range, &mut encoded).unwrap();
        encoded
    }

    fn flip(&self, file: &str, offset: u64) {
        let path = self.root.join("artifacts").join(file);
        let file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    }
}

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&len.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn quiet(_: Progress) {}

const GROUP: usize = GROUP_SIZE_BYTES as usize;

fn tail(len: usize, max: u64) -> ByteRange {
    ByteRange::tail(len as u64, max)
}

fn start(from: &Bench, to: &Bench, address: &ArtifactId, len: usize) -> PartialFile {
    let tail = tail(len, 0);
    match to.store.start(address, len as u64, tail, &from.slice(address, tail)).unwrap() {
        Started::Partial(partial) => partial,
        Started::Complete => panic!("one group"),
    }
}

#[test]
fn a_store_has_one_owner() {
    let bench = Bench::new();
    let refused = ArtifactStore::open(&bench.root.join("artifacts")).unwrap_err();
    assert!(matches!(refused, ArtifactError::InUse(_)));
}
