//! Swarms on 127.0.0.1: real connections, on ports that the system chooses. Every wait is for a condition, with a
//! bound.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

mod artifacts;
mod connections;
mod plane;
mod relaying;
mod requests;

use super::*;
use allod_protocol::{
    ground::ids::{BlockHash, Height, StateRoot, Timestamp, TransactionsRoot, ValidatorAddress, ValidatorSetHash},
    ledger::block::{Block, CommitCertificate, DecidedBlock, Header},
};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    StreamProtocol, Swarm, identify,
    identity::Keypair,
    swarm::{self, NetworkBehaviour, SwarmEvent},
};
use std::{
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);
const NETWORK: NetworkId = NetworkId::from_bytes([7; 32]);

/// A swarm whose gossip is judged by a rule, and which records what it sees.
struct Node {
    handle: NetworkHandle,
    seen: mpsc::Receiver<NetworkEvent>,
    task: JoinHandle<()>,
    directory: tempfile::TempDir,
}

#[derive(Default)]
struct Options {
    bootstrap: Vec<Multiaddr>,
    quic: bool,
    directory: Option<tempfile::TempDir>,
    seed: Option<u8>,
    /// The seed of a validator's key.
    validator: Option<u8>,
    rule: Option<fn(&[u8]) -> Acceptance>,
    /// Whether it lets no guests in.
    is_private: bool,
}

fn config(listen: &str, directory: &tempfile::TempDir, secret: SigningKey) -> NetworkConfig {
    NetworkConfig {
        network_id: NETWORK,
        secret,
        validator: None,
        listen: vec![listen.parse().unwrap()],
        external: Vec::new(),
        bootstrap: Vec::new(),
        relay: true,
        guests: true,
        mdns: false,
        register: Register::default(),
        data_dir: directory.path().to_owned(),
    }
}

fn random_key() -> SigningKey {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    SigningKey::from_seed(&seed)
}

async fn node(options: Options) -> Node {
    let directory = options.directory.unwrap_or_else(|| tempfile::tempdir().unwrap());
    let listen = if options.quic { "/ip4/127.0.0.1/udp/0/quic-v1" } else { "/ip4/127.0.0.1/tcp/0" };
    let secret = options.seed.map_or_else(random_key, |seed| SigningKey::from_seed(&[seed; 32]));
    let validator = options.validator.map(|seed| SigningKey::from_seed(&[seed; 32]));
    let (bootstrap, guests) = (options.bootstrap, !options.is_private);
    let config = NetworkConfig { bootstrap, validator, guests, ..config(listen, &directory, secret) };
    let rule = options.rule.unwrap_or(|_| Acceptance::Accept);
    let (handle, mut events, task) = start(config).await.unwrap();
    let (notes, seen) = mpsc::channel(100_000);
    let judge = handle.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match &event {
                NetworkEvent::Gossip { data, token, .. } => judge.report(token.clone(), rule(data)),
                NetworkEvent::Consensus { data, token, .. } => judge.report(token.clone(), rule(data)),
                _ => {}
            }
            let _ = notes.try_send(event);
        }
    });
    Node { handle, seen, task, directory }
}

impl Node {
    fn id(&self) -> PeerId {
        self.handle.local_peer_id()
    }

    fn address(&self) -> Multiaddr {
        self.handle.listen_addrs()[0].clone().with_p2p(self.id()).unwrap()
    }

    /// The next event that `choose` accepts; others are skipped.
    async fn next<T>(&mut self, mut choose: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = choose(self.seen.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the event came in time")
    }

    async fn connected_to(&mut self, peer: PeerId) {
        if self.handle.peers().await.iter().any(|info| info.peer == peer) {
            return;
        }
        self.next(|event| matches!(event, NetworkEvent::PeerConnected(other) if other == peer).then_some(())).await;
    }

    async fn disconnected_from(&mut self, peer: PeerId) {
        self.next(|event| matches!(event, NetworkEvent::PeerDisconnected(other) if other == peer).then_some(())).await;
    }

    async fn message(&mut self) -> (Topic, Vec<u8>) {
        self.next(|event| match event {
            NetworkEvent::Gossip { topic, data, .. } => Some((topic, data)),
            _ => None,
        })
        .await
    }

    async fn answer(&mut self) -> Result<SyncResponse, SyncError> {
        self.next(|event| match event {
            NetworkEvent::SyncAnswered { result, .. } => Some(result),
            _ => None,
        })
        .await
    }

    async fn request(&mut self) -> (SyncRequest, SyncChannel) {
        self.next(|event| match event {
            NetworkEvent::SyncRequested { request, channel, .. } => Some((request, channel)),
            _ => None,
        })
        .await
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < until, "{what}, within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A full mesh of nodes that only knew the first one at their start.
async fn mesh(count: usize, rule: Option<fn(&[u8]) -> Acceptance>) -> Vec<Node> {
    let mut nodes = vec![node(Options { rule, ..Options::default() }).await];
    for _ in 1..count {
        let bootstrap = vec![nodes[0].address()];
        nodes.push(node(Options { bootstrap, rule, ..Options::default() }).await);
    }
    let ids: Vec<PeerId> = nodes.iter().map(Node::id).collect();
    for (index, node) in nodes.iter_mut().enumerate() {
        for (other, id) in ids.iter().enumerate() {
            if other != index {
                node.connected_to(*id).await;
            }
        }
    }
    nodes
}

/// `a - b - c`, where `a` and `c` refuse each other.
async fn line(rule: Option<fn(&[u8]) -> Acceptance>) -> [Node; 3] {
    let mut a = node(Options { rule, ..Options::default() }).await;
    let mut c = node(Options { rule, ..Options::default() }).await;
    a.handle.block_peer(c.id(), "a test");
    c.handle.block_peer(a.id(), "a test");
    let bootstrap = vec![a.address(), c.address()];
    let mut b = node(Options { bootstrap, rule, ..Options::default() }).await;
    b.connected_to(a.id()).await;
    b.connected_to(c.id()).await;
    a.connected_to(b.id()).await;
    c.connected_to(b.id()).await;
    [a, b, c]
}

/// Publishes until a message of `from` has reached all of `to`: peers are connected before they have sent each other
/// their subscriptions.
async fn warm_up(from: &NetworkHandle, to: &mut [&mut Node]) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    for topic in [Topic::Blocks, Topic::Transactions] {
        for node in &mut *to {
            eventually("gossip gets going", async || {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                from.publish(topic, format!("warm {number}").into_bytes());
                let arrived = async {
                    loop {
                        if let NetworkEvent::Gossip { topic: on, .. } = node.seen.recv().await.unwrap()
                            && on == topic
                        {
                            return;
                        }
                    }
                };
                tokio::time::timeout(Duration::from_millis(100), arrived).await.is_ok()
            })
            .await;
        }
    }
}

fn is_warm_up(data: &[u8]) -> bool {
    data.starts_with(b"warm")
}

async fn pair() -> (Node, Node) {
    let mut a = node(Options::default()).await;
    let mut b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    a.connected_to(b.id()).await;
    b.connected_to(a.id()).await;
    (a, b)
}

/// A stranger that claims to belong to some network, and does what a test wants on raw streams. It subscribes as others
/// do: who does not is disconnected after a while, whatever else it does.
#[derive(NetworkBehaviour)]
struct Stranger {
    identify: identify::Behaviour,
    gossip: gossip::Behaviour,
    streams: libp2p_stream::Behaviour,
}

fn stranger(network: NetworkId) -> (Swarm<Stranger>, behaviour::Names, libp2p_stream::IncomingStreams) {
    somebody(network, None)
}

/// The same, which speaks for a validator if it has its key.
fn somebody(
    network: NetworkId,
    validator: Option<&SigningKey>,
) -> (Swarm<Stranger>, behaviour::Names, libp2p_stream::IncomingStreams) {
    let keypair = Keypair::generate_ed25519();
    let names = behaviour::Names::new(network).unwrap();
    let key = peer_key::of_peer(&keypair.public().to_peer_id()).unwrap();
    let agent = introduction::Introduction::new(network, key, validator).to_agent();
    let identify = identify::Config::new(names.identify.clone(), keypair.public()).with_agent_version(agent);
    let behaviour = Stranger {
        identify: identify::Behaviour::new(identify),
        gossip: gossip::behaviour(&names).unwrap(),
        streams: libp2p_stream::Behaviour::new(),
    };
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
    let peer = keypair.public().to_peer_id();
    let swarm = Swarm::new(behaviour::transport(&keypair).unwrap(), behaviour, peer, config);
    // The protocols it accepts are among those it says it speaks.
    let incoming = swarm.behaviour().streams.new_control().accept(names.sync.clone()).unwrap();
    (swarm, names, incoming)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_other_protocols_pass() {
    let (a, b) = pair().await;
    let protocol = StreamProtocol::try_from_owned(format!("{}/test/1", protocol_prefix(NETWORK))).unwrap();
    let mut incoming = a.handle.stream_control().accept(protocol.clone()).unwrap();
    let served = tokio::spawn(async move {
        let (peer, mut stream) = incoming.next().await.unwrap();
        stream.write_all(b"weights").await.unwrap();
        stream.close().await.unwrap();
        peer
    });
    let mut stream = b.handle.stream_control().open_stream(a.id(), protocol).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"weights");
    assert_eq!(served.await.unwrap(), b.id());
}
