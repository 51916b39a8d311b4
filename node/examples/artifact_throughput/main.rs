//! How fast artifacts are transferred from peer to peer over loopback TCP, and at what cost.
//!
//! ```text
//! cargo run --release -p allod --example artifact_throughput -- file [MiB] [rounds]
//! cargo run --release -p allod --example artifact_throughput -- compare [MiB] [rounds]
//! cargo run --release -p allod --example artifact_throughput -- small-files [files]
//! cargo run --release -p allod --example artifact_throughput -- four-providers [MiB]
//! ```
//!
//! `file` fetches one file; `compare` does so in turns with `nginx`, `curl` and `sha256sum`, and with `sendme` if it is
//! installed (`cargo install sendme`); `small-files` imports and fetches a directory of many files; `four-providers` fetches
//! from two honest providers, a slow one and a liar. Each provider is a process of its own. Files are read from a warm cache;
//! what `allod` fetches is on disk at the end, what `curl` and `sendme` fetch may still be in memory.
//!
//! The directory for the files and stores is `ALLOD_BENCH_DIR`, or a temporary one.

mod compare;
mod peer;
mod usage;

use allod_storage::artifacts::ArtifactStore;
use anyhow::{Context as _, Result, bail};
use peer::{Behaviour, Provider};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};
use usage::Outcome;

/// The allocator of the peer itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const FILE: &str = "bytes";
/// Bytes per second of each of the two honest providers, and of the slow one: low enough that one machine can do their sum.
const HONEST_BYTES_PER_S: u32 = 100_000_000;
const SLOW_BYTES_PER_S: u32 = 2_000_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["serve", store, path, behaviour] = text.as_slice() {
        return run(peer::serve_until_told(Path::new(store), Path::new(path), behaviour.parse()?));
    }
    let number = |index: usize, default: u64| text.get(index).map_or(Ok(default), |number| number.parse());
    let directory = match std::env::var_os("ALLOD_BENCH_DIR") {
        Some(directory) => PathBuf::from(directory).join(format!("throughput-{}", std::process::id())),
        None => std::env::temp_dir().join(format!("allod-throughput-{}", std::process::id())),
    };
    std::fs::create_dir_all(&directory)?;
    let result = match text.first() {
        Some(&"file") => run(files(&directory, number(1, 2048)?, number(2, 3)?, &[])),
        Some(&"compare") => {
            let others: Vec<Other> =
                vec![("nginx, curl, sha256sum", "nginx", compare::https), ("sendme", "sendme", compare::sendme)];
            run(files(&directory, number(1, 2048)?, number(2, 3)?, &others))
        }
        Some(&"small-files") => run(small_files(&directory, number(1, 10_000)?)),
        Some(&"four-providers") => run(four_providers(&directory, number(1, 1024)?)),
        _ => bail!("usage: artifact_throughput file|compare|small-files|four-providers [size] [rounds]"),
    };
    std::fs::remove_dir_all(&directory)?;
    result
}

fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Another way to transfer a file: its name, the program that it needs, and the function.
type Other = (&'static str, &'static str, fn(&Path, &str, u64) -> Result<Outcome>);

/// One file, by every available way in turn; then the medians.
async fn files(directory: &Path, mib: u64, rounds: u64, others: &[Other]) -> Result<()> {
    write_file(&directory.join(FILE), mib)?;
    let mut all: Vec<(&str, Vec<Outcome>)> = vec![("allod", Vec::new())];
    all.extend(others.iter().map(|(name, ..)| (*name, Vec::new())));
    for round in 1..=rounds {
        for (name, outcomes) in &mut all {
            let outcome = match others.iter().find(|(other, ..)| other == name) {
                Some((_, program, _)) if !compare::is_installed(program) => {
                    eprintln!("{name}: {program} is not installed");
                    continue;
                }
                Some((.., transfer)) => {
                    settle()?;
                    transfer(directory, FILE, mib << 20)?
                }
                None => by_allod(directory).await?,
            };
            println!("{round}  {name:24} {outcome}");
            outcomes.push(outcome);
        }
    }
    println!();
    let own = median(&all.first().context("allod")?.1).context("a round")?;
    for (name, outcomes) in &all {
        let Some(median) = median(outcomes) else { continue };
        println!(
            "median  {name:18} {median}  allod is {:.2} times as fast",
            own.megabytes_per_s() / median.megabytes_per_s()
        );
    }
    println!("most memory: {} MiB where it arrives", usage::max_resident_mib()?);
    Ok(())
}

fn median(outcomes: &[Outcome]) -> Option<Outcome> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by_key(|outcome| outcome.elapsed);
    sorted.get(sorted.len() / 2).copied()
}

/// Waits until nothing that an earlier step wrote is still on its way to disk.
fn settle() -> Result<()> {
    std::process::Command::new("sync").status()?;
    Ok(())
}

async fn by_allod(directory: &Path) -> Result<Outcome> {
    let path = directory.join(FILE);
    let provider = Provider::start(&directory.join("provider"), &path, Behaviour::Honest(None))?;
    settle()?;
    let outcome = fetch(directory, vec![provider]).await;
    std::fs::remove_dir_all(directory.join("provider"))?;
    outcome
}

/// Fetches into a new store, and removes it afterwards.
async fn fetch(directory: &Path, providers: Vec<Provider>) -> Result<Outcome> {
    let home = directory.join("fetcher");
    let store = Arc::new(ArtifactStore::open(&home)?);
    let wanted = providers.first().context("a provider")?.wanted;
    let connected = peer::Fetching::connect(Arc::clone(&store), &providers).await?;
    let (used, started) = (usage::own_cpu_seconds()?, Instant::now());
    let report = connected.fetch(wanted).await?;
    let elapsed = started.elapsed();
    let mut cpu_seconds = usage::own_cpu_seconds()? - used;
    for (peer, provided) in &report.providers {
        if let Some(reason) = &provided.dropped {
            println!("   {peer} {reason}");
        }
    }
    for provider in providers {
        cpu_seconds += provider.end()?;
    }
    store.verify(&wanted.address, &mut |_| {})?;
    drop((connected, store));
    std::fs::remove_dir_all(&home)?;
    Ok(Outcome { size_bytes: report.fetched_bytes, elapsed, cpu_seconds })
}

/// A directory of many small files.
async fn small_files(directory: &Path, files: u64) -> Result<()> {
    let path = directory.join("model");
    for number in 0..files {
        // A thousand per directory.
        let file = path.join((number / 1_000).to_string()).join(format!("{number}.json"));
        std::fs::create_dir_all(file.parent().context("a directory")?)?;
        std::fs::write(&file, format!("{{\"file\": {number}}}\n").repeat(64))?;
    }
    settle()?;
    let provider = Provider::start(&directory.join("provider"), &path, Behaviour::Honest(None))?;
    let per_s = |seconds: f64| files as f64 / seconds;
    println!(
        "import  {files} files in {:.2} s, {:.0} files/s",
        provider.import_seconds,
        per_s(provider.import_seconds)
    );
    settle()?;
    let outcome = fetch(directory, vec![provider]).await?;
    let seconds = outcome.elapsed.as_secs_f64();
    println!(
        "fetch   {files} files in {seconds:.2} s, {:.0} files/s, {:.2} CPU s",
        per_s(seconds),
        outcome.cpu_seconds
    );
    Ok(())
}

/// Two honest providers whose uploads are limited, one that is slow, and one that lies.
async fn four_providers(directory: &Path, mib: u64) -> Result<()> {
    let path = directory.join(FILE);
    write_file(&path, mib)?;
    let honest = Behaviour::Honest(Some(HONEST_BYTES_PER_S));
    let behaviours = [honest, honest, Behaviour::Honest(Some(SLOW_BYTES_PER_S)), Behaviour::Lying];
    let start = |(index, behaviour): (usize, Behaviour)| {
        Provider::start(&directory.join(format!("provider-{index}")), &path, behaviour)
    };
    let providers = behaviours.into_iter().enumerate().map(start).collect::<Result<Vec<_>>>()?;
    settle()?;
    let outcome = fetch(directory, providers).await?;
    let honest = f64::from(HONEST_BYTES_PER_S) * 2.0 / 1e6;
    println!(
        "{outcome}: {:.0} % of the {honest:.0} MB/s of the honest two",
        outcome.megabytes_per_s() / honest * 100.0
    );
    Ok(())
}

/// Pseudorandom bytes, generated as fast as possible.
fn write_file(path: &Path, mib: u64) -> Result<()> {
    let mut bytes = vec![0; 1024 * 1024];
    let mut stream = blake3::Hasher::new().finalize_xof();
    let mut file = std::fs::File::create(path)?;
    for _ in 0..mib {
        stream.fill(&mut bytes);
        file.write_all(&bytes)?;
    }
    Ok(())
}
