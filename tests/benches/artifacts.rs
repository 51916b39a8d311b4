//! Taking files into the artifact store, made durable: `cargo bench --profile release --workspace --bench artifacts`.
//!
//! `again` publishes the same once more: nothing is written, so it is the rate of reading and hashing (BLAKE3, its tree and
//! SHA-256). What to hold it against, on the same file: `b3sum FILE` and `openssl dgst -sha256 FILE`.
//! `ALLOD_BENCH_DIR` names the directory to work in, on the disk to be measured; the system's temporary one otherwise.

#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the entry points; a bench may stop")]

use allod_storage::artifacts::{ArtifactStore, ImportMode, Imported};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::{cell::RefCell, collections::VecDeque, fs, path::Path, time::Duration};
use tempfile::TempDir;

const FILES: u64 = 10_000;
const FILE_SIZE_BYTES: usize = 4 * 1024;
const LARGE_SIZE_BYTES: usize = 1024 * 1024 * 1024;

fn directory() -> TempDir {
    std::env::var_os("ALLOD_BENCH_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap()
}

/// Bytes of which no two runs are alike.
fn content(number: u64, size_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; size_bytes];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn many_files(root: &Path) {
    for number in 0..FILES {
        let directory = root.join((number % 100).to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(number.to_string()), content(number, FILE_SIZE_BYTES)).unwrap();
    }
}

fn import(store: &ArtifactStore, source: &Path) -> Imported {
    store.import(source, ImportMode::Copy, &mut |_| {}).unwrap()
}

/// `keep` stores of the runs until the end: creating files right after many were removed is slow on ext4, which looks
/// through the removed ones each time.
fn both(c: &mut Criterion, name: &str, throughput: Throughput, keep: usize, write: impl Fn(&Path)) {
    let source = directory();
    let root = source.path().join("source");
    write(&root);
    let kept = RefCell::new(VecDeque::new());
    let mut group = c.benchmark_group(name);
    group.throughput(throughput);
    group.bench_function("first", |b| {
        let empty = || {
            let place = directory();
            let store = ArtifactStore::open(&place.path().join("artifacts")).unwrap();
            let mut kept = kept.borrow_mut();
            kept.push_back(place);
            if kept.len() > keep {
                kept.pop_front();
            }
            store
        };
        b.iter_batched(empty, |store| import(&store, &root), BatchSize::PerIteration);
    });
    group.bench_function("again", |b| {
        let place = directory();
        let store = ArtifactStore::open(&place.path().join("artifacts")).unwrap();
        import(&store, &root);
        b.iter(|| assert_eq!(import(&store, &root).new_bytes, 0));
    });
    group.finish();
}

fn artifacts(c: &mut Criterion) {
    both(c, "10000_files_of_4_KiB", Throughput::Elements(FILES), 100, many_files);
    let bytes = Throughput::Bytes(LARGE_SIZE_BYTES as u64);
    both(c, "one_file_of_1_GiB", bytes, 1, |path| fs::write(path, content(0, LARGE_SIZE_BYTES)).unwrap());
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10)).sample_size(10);
    targets = artifacts
}
criterion_main!(benches);
