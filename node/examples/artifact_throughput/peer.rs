//! The two sides: a provider in a process of its own, and the peer that fetches.

use crate::usage::{max_resident_mib, own_cpu_seconds};
use allod::{
    exchange::{
        fetch::{FetchOptions, FetchReport, Fetcher, Lending, Wanted},
        protocol,
        rate::RateLimit,
        serve::{ServeLimits, Server, serve},
    },
    network,
};
use allod_protocol::ground::ids::NetworkId;
use allod_storage::artifacts::{ArtifactStore, ImportMode};
use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    identity::Keypair,
    swarm::{self, SwarmEvent},
};
use std::{
    fmt,
    io::{BufRead as _, BufReader},
    num::NonZeroU32,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

const NETWORK: NetworkId = NetworkId::from_bytes([7; 32]);

/// How a provider behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Correctly, with at most this many bytes per second.
    Honest(Option<u32>),
    /// With a wrong byte in every answer.
    Lying,
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Honest(rate) => write!(f, "{}", rate.unwrap_or(0)),
            Self::Lying => f.write_str("lying"),
        }
    }
}

impl FromStr for Behaviour {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        if text == "lying" {
            return Ok(Self::Lying);
        }
        let rate: u32 = text.parse()?;
        Ok(Self::Honest((rate > 0).then_some(rate)))
    }
}

fn new_swarm() -> Result<Swarm<libp2p_stream::Behaviour>> {
    let key = Keypair::generate_ed25519();
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60));
    let behaviour = libp2p_stream::Behaviour::new();
    Ok(Swarm::new(network::transport(&key)?, behaviour, key.public().to_peer_id(), config))
}

/// A provider in a process of its own.
pub(crate) struct Provider {
    child: Child,
    output: BufReader<ChildStdout>,
    peer: PeerId,
    address: Multiaddr,
    pub(crate) wanted: Wanted,
    pub(crate) import_seconds: f64,
}

impl Provider {
    /// Starts it and waits until it serves.
    pub(crate) fn start(store: &Path, path: &Path, behaviour: Behaviour) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg(store).arg(path).arg(behaviour.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [peer, address, artifact, kind, limit_bytes, import_seconds] = fields.as_slice() else {
            bail!("a provider said {line:?}");
        };
        let wanted = Wanted {
            address: artifact.parse()?,
            kind: serde_json::from_str(&format!("\"{kind}\""))?,
            limit_bytes: limit_bytes.parse()?,
        };
        let (peer, address, import_seconds) = (peer.parse()?, address.parse()?, import_seconds.parse()?);
        Ok(Self { child, output, peer, address, wanted, import_seconds })
    }

    /// Ends it. Returns the processor time that serving took.
    pub(crate) fn end(mut self) -> Result<f64> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        self.child.wait()?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [cpu_seconds, resident_mib] = fields.as_slice() else { bail!("a provider said {line:?}") };
        println!("   a provider used {cpu_seconds} CPU s and {resident_mib} MiB at most");
        Ok(cpu_seconds.parse()?)
    }
}

/// What [`Provider::start`] runs: imports, serves, and reports what it used when its input ends.
pub(crate) async fn serve_until_told(store: &Path, path: &Path, behaviour: Behaviour) -> Result<()> {
    let store = Arc::new(ArtifactStore::open(store)?);
    let started = Instant::now();
    let artifact = store.import(path, ImportMode::Copy, &mut |_| {})?.artifact;
    let import_seconds = started.elapsed().as_secs_f64();
    let mut swarm = new_swarm()?;
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    let incoming = swarm.behaviour().new_control().accept(protocol(&NETWORK))?;
    let peer = *swarm.local_peer_id();
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    match behaviour {
        Behaviour::Honest(rate) => {
            let rate = RateLimit::new(rate.and_then(NonZeroU32::new));
            let limits = ServeLimits { rate, ..ServeLimits::default() };
            let server = Server {
                store,
                admit: Arc::new(|_, _| true),
                is_known: Arc::new(|_| true),
                limits,
                counters: Arc::default(),
            };
            tokio::spawn(serve(server, incoming));
        }
        Behaviour::Lying => {
            tokio::spawn(liar::serve(store, incoming));
        }
    }
    let kind = serde_json::to_value(artifact.kind)?;
    let kind = kind.as_str().context("a word")?;
    println!("{peer} {address} {} {kind} {} {import_seconds}", artifact.address, artifact.size_bytes);
    let used = own_cpu_seconds()?;
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
    println!("{:.2} {}", own_cpu_seconds()? - used, max_resident_mib()?);
    Ok(())
}

/// The peer that fetches, connected to its providers.
pub(crate) struct Fetching {
    fetcher: Fetcher,
    providers: Vec<PeerId>,
}

impl Fetching {
    pub(crate) async fn connect(store: Arc<ArtifactStore>, providers: &[Provider]) -> Result<Self> {
        let mut swarm = new_swarm()?;
        let control = swarm.behaviour().new_control();
        for provider in providers {
            swarm.dial(provider.address.clone())?;
        }
        let mut connected = 0;
        while connected < providers.len() {
            if let SwarmEvent::ConnectionEstablished { .. } = swarm.select_next_some().await {
                connected += 1;
            }
        }
        tokio::spawn(async move { while swarm.next().await.is_some() {} });
        let fetcher =
            Fetcher::new(store, Lending::of_everything(), control, protocol(&NETWORK), FetchOptions::default());
        Ok(Self { fetcher, providers: providers.iter().map(|provider| provider.peer).collect() })
    }

    pub(crate) async fn fetch(&self, wanted: Wanted) -> Result<FetchReport> {
        let providers = futures::stream::iter(self.providers.clone());
        Ok(self.fetcher.fetch(wanted, providers, Arc::new(|_| {})).await?)
    }
}

/// A provider that speaks the protocol, and lies.
mod liar {
    use allod_protocol::ground::{codec, ids::ArtifactId, limits};
    use allod_storage::artifacts::{ArtifactStore, ByteRange, encoded_size_bytes};
    use anyhow::{Context as _, Result};
    use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
    use libp2p_stream::IncomingStreams;
    use serde::{Deserialize, Serialize};
    use std::sync::Arc;

    /// The wire format of `allod::exchange`.
    #[derive(Serialize, Deserialize)]
    enum Request {
        Tail { address: ArtifactId, max_bytes: u64 },
        Range { address: ArtifactId, range: ByteRange },
    }

    #[derive(Serialize)]
    enum Head {
        Found { size_bytes: u64, slice_bytes: u64 },
    }

    pub(super) async fn serve(store: Arc<ArtifactStore>, mut incoming: IncomingStreams) {
        while let Some((_, mut stream)) = incoming.next().await {
            let store = Arc::clone(&store);
            tokio::spawn(async move { while answer(&store, &mut stream).await.is_ok() {} });
        }
    }

    async fn answer(store: &ArtifactStore, stream: &mut libp2p::Stream) -> Result<()> {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await?;
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        stream.read_exact(&mut frame).await?;
        let (address, range) = match codec::decode(&frame, limits::ARTIFACT_FRAME_SIZE_BYTES)? {
            Request::Tail { address, max_bytes } => (address, ByteRange::tail(store.size(&address)?, max_bytes)),
            Request::Range { address, range } => (address, range),
        };
        let reader = store.reader(&address)?;
        let size_bytes = reader.size_bytes();
        let head = codec::encode(&Head::Found { size_bytes, slice_bytes: encoded_size_bytes(size_bytes, range) });
        let mut answer = u32::try_from(head.len())?.to_le_bytes().to_vec();
        answer.extend(head);
        reader.encode(range, &mut answer)?;
        *answer.last_mut().context("a byte")? ^= 1;
        Ok(stream.write_all(&answer).await?)
    }
}
