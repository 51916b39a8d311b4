//! Committing a block of 500 transactions to RocksDB, synced, with its state tree:
//! `cargo bench --profile release --workspace --bench commit`.

#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the entry points; a bench may stop")]

use allod_protocol::ledger::execute::execute;
use allod_storage::Ledger;
use allod_tests::workload::{Kind, Workload};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::{cell::RefCell, time::Duration};

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit_500");
    group.throughput(Throughput::Elements(500));
    for kind in Kind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let mut workload = Workload::default();
        let ledger = Ledger::open(dir.path(), &workload.genesis).unwrap();
        workload.prepare(ledger.tip(), |decided| {
            let executed = execute(&ledger.snapshot(), &decided.block).unwrap();
            (ledger.commit(&decided, &executed).unwrap(), executed)
        });
        let workload = RefCell::new(workload);
        group.bench_function(kind.name(), |b| {
            b.iter_batched(
                || {
                    let decided = workload.borrow_mut().block(kind, &ledger.tip());
                    let executed = execute(&ledger.snapshot(), &decided.block).unwrap();
                    (decided, executed)
                },
                |(decided, executed)| ledger.commit(&decided, &executed).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5)).sample_size(20);
    targets = commit
}
criterion_main!(benches);
