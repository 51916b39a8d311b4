//! How fast one peer fetches an artifact from another over loopback TCP, and at what cost.
//!
//! ```text
//! cargo run --release -p allod --example artifact_throughput -- in-process [MiB] [piece KiB]
//! cargo run --release -p allod --example artifact_throughput -- two-processes [MiB] [piece KiB]
//! ```
//!
//! The directory for the stores is `ALLOD_BENCH_DIR`, or a temporary one.

use allod::exchange::{
    fetch::{FetchOptions, Fetcher, Wanted},
    protocol,
    serve::{ServeLimits, Server, serve},
};
use allod_protocol::{artifact::ArtifactKind, ids::NetworkId};
use allod_storage::artifacts::{ArtifactStore, ImportMode};
use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, noise, swarm::SwarmEvent, tcp, yamux};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const NETWORK: NetworkId = NetworkId::from_bytes([7; 32]);
const FILE: &str = "bytes";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let text: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let number = |index: usize, default: u64| text.get(index).map_or(Ok(default), |number| number.parse());
    let directory = match std::env::var_os("ALLOD_BENCH_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => std::env::temp_dir().join(format!("allod-throughput-{}", std::process::id())),
    };
    std::fs::create_dir_all(&directory)?;
    match text.first() {
        Some(&"serve") => run(serve_file(&directory)),
        Some(&mode @ ("in-process" | "two-processes")) => {
            let (mib, piece_kib) = (number(1, 1024)?, number(2, 1024)?);
            let result = run(measure(&directory, mode == "in-process", mib, piece_kib));
            std::fs::remove_dir_all(&directory)?;
            result
        }
        _ => bail!("usage: artifact_throughput in-process|two-processes [MiB] [piece KiB]"),
    }
}

fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn swarm() -> Result<Swarm<libp2p_stream::Behaviour>> {
    Ok(SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| libp2p_stream::Behaviour::new())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build())
}

/// Imports `FILE` and serves it; prints the peer, the address to dial, and the artifact.
async fn start_server(directory: &Path) -> Result<(PeerId, Multiaddr, Wanted)> {
    let store = Arc::new(ArtifactStore::open(&directory.join("provider"))?);
    let started = Instant::now();
    let artifact = store.import(&directory.join(FILE), ImportMode::Copy, &mut |_| {})?.artifact;
    eprintln!("import:   {}", rate(artifact.size_bytes, started.elapsed()));
    let started = Instant::now();
    store.import(&directory.join(FILE), ImportMode::Copy, &mut |_| {})?;
    eprintln!("again:    {}", rate(artifact.size_bytes, started.elapsed()));
    let mut swarm = swarm()?;
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    let incoming = swarm.behaviour().new_control().accept(protocol(&NETWORK))?;
    let server =
        Server { store, admit: Arc::new(|_, _| true), limits: ServeLimits::default(), counters: Arc::default() };
    let peer = *swarm.local_peer_id();
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    tokio::spawn(serve(server, incoming));
    let wanted = Wanted { address: artifact.address, kind: ArtifactKind::File, limit_bytes: artifact.size_bytes };
    Ok((peer, address, wanted))
}

async fn serve_file(directory: &Path) -> Result<()> {
    let (peer, address, wanted) = start_server(directory).await?;
    println!("{peer} {address} {} {}", wanted.address, wanted.limit_bytes);
    let used = cpu_seconds()?;
    // Until the measuring process closes the pipe.
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
    eprintln!("provider: {:.2} CPU s, {} MiB at most resident", cpu_seconds()? - used, max_resident_mib()?);
    Ok(())
}

async fn measure(directory: &Path, in_process: bool, mib: u64, piece_kib: u64) -> Result<()> {
    write_file(&directory.join(FILE), mib)?;
    let mut child = None;
    let (peer, address, wanted) = if in_process {
        start_server(directory).await?
    } else {
        let mut server = Command::new(std::env::current_exe()?)
            .arg("serve")
            .env("ALLOD_BENCH_DIR", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(server.stdout.take().context("a pipe")?).read_line(&mut line)?;
        child = Some(server);
        parse(&line).context("the provider's line")?
    };
    let mut swarm = swarm()?;
    let control = swarm.behaviour().new_control();
    swarm.dial(address)?;
    while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    let store = Arc::new(ArtifactStore::open(&directory.join("fetcher"))?);
    let options = FetchOptions { piece_bytes: piece_kib * 1024, ..FetchOptions::default() };
    let fetcher = Fetcher::new(Arc::clone(&store), control, protocol(&NETWORK), options);
    let used = cpu_seconds()?;
    let started = Instant::now();
    let report = fetcher.fetch(wanted, futures::stream::iter([peer]), Arc::new(|_| {})).await?;
    let elapsed = started.elapsed();
    eprintln!("fetch:    {}", rate(report.fetched_bytes, elapsed));
    let who = if in_process { "both:    " } else { "fetcher: " };
    eprintln!("{who} {:.2} CPU s, {} MiB at most resident", cpu_seconds()? - used, max_resident_mib()?);
    if let Some(mut child) = child {
        drop(child.stdin.take());
        child.wait()?;
    }
    let started = Instant::now();
    store.verify(&wanted.address, &mut |_| {})?;
    eprintln!("verify:   {}", rate(report.fetched_bytes, started.elapsed()));
    Ok(())
}

fn parse(line: &str) -> Option<(PeerId, Multiaddr, Wanted)> {
    let mut parts = line.split_whitespace();
    let (peer, address) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (artifact, limit_bytes) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((peer, address, Wanted { address: artifact, kind: ArtifactKind::File, limit_bytes }))
}

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

fn rate(bytes: u64, elapsed: Duration) -> String {
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.0} MB in {:.2} s, {:.0} MB/s", elapsed.as_secs_f64(), megabytes / elapsed.as_secs_f64())
}

/// User and system time of this process so far; Linux counts it in hundredths.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().context("the fields after the name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

fn max_resident_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kib: u64 = line.split_whitespace().next().context("a number")?.parse()?;
    Ok(kib / 1024)
}
