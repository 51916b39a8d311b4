//! Executing a block of 500 transactions on state in memory: `cargo bench --profile release --workspace --bench execution`.

#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the entry points; a bench may stop")]

use allod_protocol::{
    ground::ids::StateRoot,
    ledger::{
        block::{Block, DecidedBlock, Tip},
        execute::{Executed, Outcome, execute},
    },
};
use allod_tests::{
    map_state::MapState,
    workload::{Kind, Workload},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

fn run(state: &mut MapState, tip: &Tip, block: &Block) -> (Tip, Executed) {
    let executed = execute(state, block).unwrap();
    state.apply(executed.changes.clone());
    let header = block.header();
    let tip = Tip {
        height: header.height,
        hash: block.hash(),
        time: header.time,
        validators: executed.schedule.current.clone(),
        next_validators: executed.schedule.next.clone(),
        ..tip.clone()
    };
    (tip, executed)
}

fn execution(c: &mut Criterion) {
    let mut workload = Workload::default();
    let mut state = MapState::default();
    state.apply(workload.genesis.state().unwrap());
    let mut tip = workload.genesis.tip(StateRoot::from_bytes([0; 32])).unwrap();
    let begin = tip.clone();
    tip = workload.prepare(begin, |decided| {
        let (next, executed) = run(&mut state, &tip, &decided.block);
        tip = next.clone();
        (next, executed)
    });

    let mut group = c.benchmark_group("execute_500");
    group.throughput(Throughput::Elements(500));
    for kind in Kind::ALL {
        let DecidedBlock { block, .. } = workload.block(kind, &tip);
        let executed = execute(&state, &block).unwrap();
        assert!(executed.results.iter().all(|result| result.outcome == Outcome::Applied), "{kind:?}");
        group.bench_function(kind.name(), |b| b.iter(|| execute(&state, &block).unwrap()));
    }
    let DecidedBlock { block, .. } = workload.block(Kind::Transfers, &tip);
    group.bench_function("check_block_signatures_known", |b| b.iter(|| block.check(&tip, None, &|_| true).unwrap()));
    group.bench_function("check_block_signatures_new", |b| b.iter(|| block.check(&tip, None, &|_| false).unwrap()));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    targets = execution
}
criterion_main!(benches);
