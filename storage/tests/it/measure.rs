//! Measurements, not checks: `cargo test --release -p allod-storage --test it measure -- --ignored --nocapture`.

use crate::chain::{Next, genesis, transaction};
use allod_storage::{ConsensusLog, Ledger, MemoryLedger, SignGuard};
use std::time::{Duration, Instant};

const TRANSACTIONS: u64 = 1_000;
const KEYS_PER_TRANSACTION: u64 = 5;

/// Each transaction records its id, writes one new key and rewrites three existing ones.
fn next(height: u64, tip: &allod_protocol::ledger::block::Tip) -> Next {
    let key = |family: u8, number: u64| {
        let mut key = vec![family];
        key.extend_from_slice(blake3::hash(&number.to_le_bytes()).as_bytes());
        key
    };
    let mut next = Next::default();
    for index in 0..TRANSACTIONS {
        let number = height * TRANSACTIONS + index;
        next.transactions.push(transaction(tip, number));
        next.changes.insert(key(5, number), Some(vec![1]));
        next.changes.insert(key(10, number), Some(vec![2; 120]));
        for other in 2..KEYS_PER_TRANSACTION {
            let known = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(other) % (number + 1);
            next.changes.insert(key(10, known), Some(number.to_le_bytes().repeat(15)));
        }
    }
    next
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Processor time used by this thread: unlike wall-clock time, it hardly depends on what else runs.
fn processor_time() -> Duration {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(status.split_whitespace().next().unwrap().parse().unwrap())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn measure_the_commit_of_a_thousand_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    println!("resident after opening: {} KiB", resident_kib());
    let (tip, processor) = (ledger.tip(), processor_time());
    for nonce in 0..1_000 {
        transaction(&tip, nonce);
    }
    println!("to compare machines: 1,000 signatures take {:?} of processor time", processor_time() - processor);
    let (mut times, mut processors) = (Vec::new(), Vec::new());
    for height in 1..=200 {
        let (block, executed) = next(height, &ledger.tip()).after(&ledger.tip());
        let (start, processor) = (Instant::now(), processor_time());
        ledger.commit(&block, &executed).unwrap();
        times.push(start.elapsed());
        processors.push(processor_time() - processor);
        if height % 50 == 0 {
            println!(
                "height {height}: median of 50: commit {:?}, of processor time {:?}; slowest commit {:?}; resident {} KiB",
                median(times.clone()),
                median(processors.clone()),
                times.iter().max().unwrap(),
                resident_kib()
            );
            println!("{:?}", ledger.stats());
            times.clear();
            processors.clear();
        }
    }
    let start = Instant::now();
    for height in 100..200 {
        ledger.block(allod_protocol::ground::ids::Height::new(height)).unwrap().unwrap();
    }
    println!("read a block of {TRANSACTIONS} transactions: {:?}", start.elapsed() / 100);
    let start = Instant::now();
    for number in 0..100u8 {
        ledger.prove(&[10, number]).unwrap().unwrap();
    }
    println!("prove a key: {:?}", start.elapsed() / 100);
    let before = ledger.stats();
    drop(ledger);
    let start = Instant::now();
    Ledger::open(dir.path(), &genesis()).unwrap();
    println!("reopen: {:?} with {before:?}", start.elapsed());
}

#[test]
#[ignore = "a measurement"]
fn measure_empty_commits_and_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), &genesis()).unwrap();
    let mut log = ConsensusLog::open(dir.path()).unwrap();
    let mut guard = SignGuard::open(dir.path()).unwrap();
    let (mut commits, mut syncs, mut stores) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..500 {
        let (block, executed) = Next::default().after(&ledger.tip());
        let start = Instant::now();
        ledger.commit(&block, &executed).unwrap();
        commits.push(start.elapsed());
        let start = Instant::now();
        log.append(ledger.tip().height, &[0; 200]).unwrap();
        log.sync().unwrap();
        syncs.push(start.elapsed());
        let start = Instant::now();
        guard.store(&[0; 120]).unwrap();
        stores.push(start.elapsed());
    }
    println!(
        "median: empty commit {:?}, log entry synced {:?}, last-signed stored {:?}",
        median(commits),
        median(syncs),
        median(stores)
    );
}

#[test]
#[ignore = "a measurement"]
fn measure_the_same_commits_in_memory() {
    let mut ledger = MemoryLedger::new(&genesis()).unwrap();
    let (mut times, mut processors) = (Vec::new(), Vec::new());
    for height in 1..=100 {
        let (block, executed) = next(height, &ledger.tip()).after(&ledger.tip());
        let (start, processor) = (Instant::now(), processor_time());
        ledger.commit(&block, &executed).unwrap();
        times.push(start.elapsed());
        processors.push(processor_time() - processor);
    }
    println!("median of 100: commit in memory {:?}, of processor time {:?}", median(times), median(processors));
}
