//! Swarms on 127.0.0.1: real connections, on ports that the system chooses. Every wait is for a condition, with a
//! bound.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

mod plane;

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
        mdns: false,
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
    let config = NetworkConfig { bootstrap: options.bootstrap, validator, ..config(listen, &directory, secret) };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_peers_that_know_one_address_become_a_full_mesh() {
    let began = Instant::now();
    let nodes = mesh(4, None).await;
    println!("full mesh after {:?}", began.elapsed());
    for node in &nodes {
        let peers = node.handle.peers().await;
        assert_eq!(peers.len(), 3);
        assert!(peers.iter().all(|peer| peer.agent.starts_with("allod/") && !peer.addresses.is_empty()));
    }
    let stats = nodes[0].handle.stats();
    assert_eq!(stats.peers_inbound.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_reaches_everybody_exactly_once() {
    let mut nodes = mesh(4, None).await;
    let (first, others) = nodes.split_at_mut(1);
    let mut to: Vec<&mut Node> = others.iter_mut().collect();
    warm_up(&first[0].handle, &mut to).await;
    for topic in [Topic::Blocks, Topic::Transactions] {
        for number in 0..50 {
            first[0].handle.publish(topic, format!("{} {number}", topic.name()).into_bytes());
        }
        first[0].handle.publish(topic, format!("{} 7", topic.name()).into_bytes());
        first[0].handle.publish(topic, b"end".to_vec());
        for node in &mut *others {
            let mut messages = Vec::new();
            while messages.len() < 51 {
                let (on, data) = node.message().await;
                if on == topic && !is_warm_up(&data) {
                    messages.push(data);
                }
            }
            messages.sort();
            let count = messages.len();
            messages.dedup();
            assert_eq!(messages.len(), count, "no message arrives twice");
            assert!(messages.contains(&b"end".to_vec()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_relayed_after_accept_only() {
    let rule: fn(&[u8]) -> Acceptance = |data| match data {
        data if data.starts_with(b"bad") => Acceptance::Reject,
        data if data.starts_with(b"old") => Acceptance::Ignore,
        _ => Acceptance::Accept,
    };
    let [a, mut b, mut c] = line(Some(rule)).await;
    warm_up(&a.handle, &mut [&mut b, &mut c]).await;
    for text in ["bad", "old", "good"] {
        a.handle.publish(Topic::Blocks, text.as_bytes().to_vec());
    }
    let mut at_b = Vec::new();
    while at_b.len() < 3 {
        let (_, data) = b.message().await;
        if !is_warm_up(&data) {
            at_b.push(data);
        }
    }
    assert_eq!(at_b, [b"bad".to_vec(), b"old".to_vec(), b"good".to_vec()]);
    loop {
        let (_, data) = c.message().await;
        if !is_warm_up(&data) {
            assert_eq!(data, b"good", "b does not relay what it rejected or ignored");
            break;
        }
    }
    let counters = b.handle.stats().topic(Topic::Blocks);
    assert_eq!(counters.rejected.load(Ordering::Relaxed), 1);
    assert_eq!(counters.ignored.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_message_passes_and_is_relayed_and_a_larger_one_is_refused_here() {
    let [a, mut b, mut c] = line(None).await;
    warm_up(&a.handle, &mut [&mut b, &mut c]).await;
    let mut data = vec![0; limits::GOSSIP_SIZE_BYTES + 1];
    getrandom::fill(&mut data).unwrap();
    let dropped = a.handle.stats().dropped_publishes.load(Ordering::Relaxed);
    a.handle.publish(Topic::Blocks, data.clone());
    assert_eq!(a.handle.stats().dropped_publishes.load(Ordering::Relaxed), dropped + 1);
    data.pop();
    for number in 0u8..4 {
        data[0] = number;
        a.handle.publish(Topic::Blocks, data.clone());
    }
    let mut whole = 0;
    while whole < 4 {
        whole += usize::from(c.message().await.1.len() == data.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_find_each_other_over_quic() {
    let mut a = node(Options { quic: true, ..Options::default() }).await;
    let bootstrap = vec![a.address()];
    let mut b = node(Options { quic: true, bootstrap, ..Options::default() }).await;
    a.connected_to(b.id()).await;
    b.connected_to(a.id()).await;
    warm_up(&a.handle, &mut [&mut b]).await;
}

fn block(height: u64) -> DecidedBlock {
    let header = Header {
        network: NETWORK,
        height: Height::new(height),
        time: Timestamp::new(height),
        proposer: ValidatorAddress::from_bytes([0; 32]),
        parent: BlockHash::from_bytes([0; 32]),
        transactions_root: TransactionsRoot::from_bytes([0; 32]),
        state_root: StateRoot::from_bytes([0; 32]),
        validators: ValidatorSetHash::from_bytes([0; 32]),
        next_validators: ValidatorSetHash::from_bytes([0; 32]),
    };
    let block = Block::new(header, Vec::new());
    let certificate =
        CommitCertificate { height: Height::new(height), round: 0, block: block.hash(), signatures: Vec::new() };
    DecidedBlock { block, certificate }
}

async fn pair() -> (Node, Node) {
    let mut a = node(Options::default()).await;
    let mut b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    a.connected_to(b.id()).await;
    b.connected_to(a.id()).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_asked_for_and_answered() {
    let (mut a, mut b) = pair().await;
    let request = SyncRequest { from: Height::new(5), max_blocks: 1_000_000 };
    a.handle.request_blocks(b.id(), request);
    let (asked, channel) = b.request().await;
    assert_eq!(asked, SyncRequest { from: Height::new(5), max_blocks: limits::SYNC_BLOCKS as u32 });
    let response = SyncResponse { tip: Height::new(9), blocks: (5..8).map(block).collect() };
    b.handle.respond_blocks(channel, response.clone());
    assert_eq!(a.answer().await, Ok(response));

    a.handle.request_blocks(b.id(), request);
    drop(b.request().await);
    assert!(matches!(a.answer().await, Err(SyncError::Failed(_))), "a dropped channel refuses");
    a.handle.request_blocks(PeerId::random(), request);
    assert_eq!(a.answer().await, Err(SyncError::NotConnected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_too_large_is_not_sent() {
    let (mut a, mut b) = pair().await;
    let mut large = block(1);
    let signature = allod_protocol::ledger::block::CommitSignature {
        validator: ValidatorAddress::from_bytes([0; 32]),
        signature: allod_protocol::ground::ids::Signature::from_bytes([0; 64]),
    };
    large.certificate.signatures = vec![signature; limits::SYNC_RESPONSE_SIZE_BYTES / 96];
    a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    let (_, channel) = b.request().await;
    b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(1), blocks: vec![large.clone()] });
    assert!(matches!(a.answer().await, Err(SyncError::Failed(_))));

    large.certificate.signatures.truncate(limits::SYNC_RESPONSE_SIZE_BYTES / 96 - 16);
    a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    let (_, channel) = b.request().await;
    b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(1), blocks: vec![large] });
    assert!(a.answer().await.is_ok(), "one of nearly four MiB passes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none_are_held_against_their_sender() {
    let (mut a, mut b) = pair().await;
    for _ in 0..4 {
        a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(5), max_blocks: 2 });
        let (_, channel) = b.request().await;
        b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(9), blocks: vec![block(7)] });
        assert!(matches!(a.answer().await, Err(SyncError::Malformed(_))));
    }
    a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(5), max_blocks: 2 });
    let (_, channel) = b.request().await;
    b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(9), blocks: vec![block(7)] });
    a.disconnected_from(b.id()).await;
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
async fn garbage_on_the_sync_protocol_gets_its_sender_blocked_and_harms_nobody_else() {
    let (mut a, mut b) = pair().await;
    let (mut swarm, names, _incoming) = stranger(NETWORK);
    let mut control = swarm.behaviour().streams.new_control();
    swarm.dial(a.address()).unwrap();
    let closed = tokio::spawn(async move {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                return;
            }
        }
    });
    for number in 0usize..5 {
        let opened = control.open_stream(a.id(), names.sync.clone()).await;
        let Ok(mut stream) = opened else { break };
        let mut garbage = vec![0; if number % 2 == 0 { 100_000 } else { 13 }];
        getrandom::fill(&mut garbage).unwrap();
        let mut answer = Vec::new();
        // The peer may hang up on us at any point.
        let _ = stream.write_all(&garbage).await;
        let _ = stream.close().await;
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    tokio::time::timeout(PATIENCE, closed).await.expect("the stranger is disconnected").unwrap();
    assert_eq!(a.handle.stats().peers_blocked.load(Ordering::Relaxed), 1);
    b.handle.request_blocks(a.id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    let (_, channel) = a.request().await;
    a.handle.respond_blocks(channel, SyncResponse { tip: Height::ZERO, blocks: Vec::new() });
    assert!(b.answer().await.is_ok(), "others are served as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbage_answer_is_malformed_and_survived() {
    let mut a = node(Options::default()).await;
    let (mut swarm, _, mut incoming) = stranger(NETWORK);
    let stranger_id = *swarm.local_peer_id();
    swarm.dial(a.address()).unwrap();
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            // One byte more than allowed.
            let _ = stream.write_all(&vec![1; limits::SYNC_RESPONSE_SIZE_BYTES + 1]).await;
            let _ = stream.close().await;
        }
    });
    a.connected_to(stranger_id).await;
    a.handle.request_blocks(stranger_id, SyncRequest { from: Height::new(1), max_blocks: 1 });
    assert!(matches!(a.answer().await, Err(SyncError::Malformed(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_network_is_disconnected_and_never_shown() {
    let mut a = node(Options::default()).await;
    let (mut swarm, ..) = stranger(NetworkId::from_bytes([8; 32]));
    let stranger_id = *swarm.local_peer_id();
    swarm.dial(a.address()).unwrap();
    let closed = async {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("it is disconnected");
    assert!(a.handle.peers().await.is_empty());
    let mut b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    b.connected_to(a.id()).await;
    let shown = a.next(|event| match event {
        NetworkEvent::PeerConnected(peer) => Some(peer),
        _ => None,
    });
    let shown = shown.await;
    assert_eq!(shown, b.id());
    assert_ne!(shown, stranger_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_is_found_by_content_hash_by_who_was_never_told() {
    let mut nodes = mesh(3, None).await;
    let artifact = ArtifactId::of(b"weights");
    nodes[0].handle.provide(artifact);
    for index in [1, 2] {
        let (announced, provider) = nodes[index]
            .next(|event| match event {
                NetworkEvent::ArtifactAnnounced { artifact, provider } => Some((artifact, provider)),
                _ => None,
            })
            .await;
        assert_eq!((announced, provider), (artifact, nodes[0].id()));
    }
    assert_eq!(nodes[1].handle.find_providers(artifact).recv().await, Some(nodes[0].id()), "it heard the announcement");

    let late = node(Options { bootstrap: vec![nodes[1].address()], ..Options::default() }).await;
    let provider = nodes[0].id();
    eventually("the late peer finds the provider", async || {
        late.handle.find_providers(artifact).recv().await == Some(provider)
    })
    .await;
    assert!(late.handle.peers().await.iter().any(|info| info.peer == provider), "and is connected to it");

    let mut nobody = late.handle.find_providers(ArtifactId::of(b"nobody has this"));
    assert_eq!(tokio::time::timeout(PATIENCE, nobody.recv()).await, Ok(None), "a search ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_with_many_artifacts_is_found_for_each_and_is_nobodys_nuisance() {
    const ARTIFACTS: u64 = 1_000;
    let mut nodes = mesh(2, None).await;
    let artifact = |number: u64| ArtifactId::of(&number.to_le_bytes());
    for number in 0..ARTIFACTS {
        nodes[0].handle.provide(artifact(number));
        if number % 500 == 0 {
            // The queue of requests to the swarm is bounded, and this one waits.
            nodes[0].handle.peers().await;
        }
    }
    assert_eq!(nodes[0].handle.stats().dropped_commands.load(Ordering::Relaxed), 0);
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < usize::try_from(ARTIFACTS).unwrap() {
        heard.insert(
            nodes[1]
                .next(|event| match event {
                    NetworkEvent::ArtifactAnnounced { artifact, .. } => Some(artifact),
                    _ => None,
                })
                .await,
        );
    }
    let published = nodes[0].handle.stats().topic(Topic::Artifacts).published.load(Ordering::Relaxed);
    assert!(published < ARTIFACTS / 16, "{published} announcements: many artifacts go into one");
    // Who comes later hears no announcement, and finds the records.
    let late = node(Options { bootstrap: vec![nodes[1].address()], ..Options::default() }).await;
    for number in [0, ARTIFACTS / 2, ARTIFACTS - 1] {
        eventually("the provider is found", async || {
            let mut search = late.handle.find_providers(artifact(number));
            // A search that came before the record goes on for long.
            let found = tokio::time::timeout(Duration::from_secs(2), search.recv()).await;
            found.is_ok_and(|found| found == Some(nodes[0].id()))
        })
        .await;
    }
    assert_eq!(nodes[1].handle.stats().peers_blocked.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_provided_before_anybody_is_connected_is_told_later() {
    let a = node(Options::default()).await;
    let artifact = ArtifactId::of(b"early");
    a.handle.provide(artifact);
    let b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    eventually("the provider is found", async || b.handle.find_providers(artifact).recv().await == Some(a.id())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_an_error_that_names_the_address_and_the_remedy() {
    for quic in [false, true] {
        let first = node(Options { quic, ..Options::default() }).await;
        let taken = first.handle.listen_addrs()[0].to_string();
        let directory = tempfile::tempdir().unwrap();
        let error = start(config(&taken, &directory, random_key())).await.unwrap_err();
        assert!(matches!(&error, NetworkError::AddressInUse(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&taken) && text.contains("another process") && text.contains("--listen"), "{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    for (listen, part) in [("/ip4/192.0.2.1/tcp/7641", "no such address"), ("/ip4/127.0.0.1/sctp/1", "write /ip4/")] {
        let error = start(config(listen, &directory, random_key())).await.unwrap_err().to_string();
        assert!(error.contains(listen) && error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_peer_cannot_come_back() {
    let (mut a, mut b) = pair().await;
    a.handle.block_peer(b.id(), "a test");
    a.disconnected_from(b.id()).await;
    b.disconnected_from(a.id()).await;
    let refused = a.handle.stats().connections_refused.load(Ordering::Relaxed);
    eventually("it is refused again and again", async || {
        b.handle.dial(a.address());
        a.handle.stats().connections_refused.load(Ordering::Relaxed) >= refused + 3
    })
    .await;
    assert!(a.handle.peers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_peers_are_found_again_after_a_restart_without_a_configured_one() {
    let (mut a, b) = pair().await;
    let (old, address) = (b.id(), a.id());
    b.handle.shutdown();
    b.task.await.unwrap();
    a.disconnected_from(old).await;
    let mut again = node(Options { directory: Some(b.directory), ..Options::default() }).await;
    again.connected_to(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_peer_that_comes_up_late_or_again_is_connected() {
    let later = node(Options { seed: Some(9), ..Options::default() }).await;
    let address = later.address();
    let id = later.id();
    later.handle.shutdown();
    later.task.await.unwrap();
    let mut a = node(Options { bootstrap: vec![address.clone()], ..Options::default() }).await;
    eventually("a dial fails", async || a.handle.stats().dials_failed.load(Ordering::Relaxed) > 0).await;
    let listen = peers::split(address).0.to_string();
    let directory = tempfile::tempdir().unwrap();
    let (_handle, _events, _task) = start(config(&listen, &directory, SigningKey::from_seed(&[9; 32]))).await.unwrap();
    a.connected_to(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_back_before_its_dead_connection_is_noticed_hears_and_is_heard() {
    for round in 0..3 {
        let quic = Options { quic: true, ..Options::default() };
        let mut a = node(quic).await;
        let options = |directory| {
            let bootstrap = vec![a.address()];
            Options { quic: true, seed: Some(9), bootstrap, directory, ..Options::default() }
        };
        let (before, after) = (options(None), options(None));
        let b = node(before).await;
        a.connected_to(b.id()).await;
        // It ends abruptly, and nobody is told.
        b.task.abort();
        let mut again = node(after).await;
        assert_eq!(again.id(), b.id());
        let until = Instant::now() + PATIENCE / 2;
        let (speaks, hears) = (again.handle.clone(), a.handle.clone());
        warm_up(&speaks, &mut [&mut a]).await;
        warm_up(&hears, &mut [&mut again]).await;
        assert!(Instant::now() < until, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_says_what_it_wants_to_hear_is_disconnected_and_may_come_again() {
    let a = node(Options::default()).await;
    let (mut swarm, names, _incoming) = stranger(NETWORK);
    for topic in Topic::ALL {
        assert!(swarm.behaviour_mut().gossip.unsubscribe(names.topic(topic)));
    }
    for _ in 0..2 {
        swarm.dial(a.address()).unwrap();
        let closed = async { while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} };
        tokio::time::timeout(PATIENCE, closed).await.expect("it is disconnected");
    }
    assert_eq!(a.handle.stats().peers_blocked.load(Ordering::Relaxed), 0);
}

/// Makes `b` ask `a` for blocks as fast as it is refused, far above its allowance. Returns whether `a` blocks it for
/// that.
async fn is_blocked_for_asking(a: Node, mut b: Node) -> bool {
    let Node { handle, mut seen, .. } = a;
    // Dropping a request refuses it.
    tokio::spawn(async move { while seen.recv().await.is_some() {} });
    let blocked = || handle.stats().peers_blocked.load(Ordering::Relaxed) > 0;
    let ask = |b: &Node| {
        b.handle.request_blocks(handle.local_peer_id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    };
    // Several at once, so that the pace is above the allowance on a busy machine too.
    for _ in 0..4 {
        ask(&b);
    }
    for _ in 0..4_000 {
        if b.answer().await == Err(SyncError::NotConnected) || blocked() {
            break;
        }
        ask(&b);
    }
    blocked()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_blocked_for_asking_too_fast_and_a_validator_or_a_configured_peer_is_not() {
    let (a, b) = pair().await;
    assert!(is_blocked_for_asking(a, b).await, "a stranger");

    let a = node(Options::default()).await;
    let mut b = node(Options { validator: Some(2), bootstrap: vec![a.address()], ..Options::default() }).await;
    a.handle.set_validators(&[SigningKey::from_seed(&[2; 32]).public_key()].into());
    b.connected_to(a.id()).await;
    eventually("the validator is known", async || a.handle.audience().validators.len() == 1).await;
    assert!(!is_blocked_for_asking(a, b).await, "a validator");

    let b = node(Options::default()).await;
    let mut a = node(Options { bootstrap: vec![b.address()], ..Options::default() }).await;
    a.connected_to(b.id()).await;
    assert!(!is_blocked_for_asking(a, b).await, "a configured peer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_among_those_that_hear_are_known_by_their_keys() {
    let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public_key();
    let a = node(Options { validator: Some(1), ..Options::default() }).await;
    let b = node(Options { validator: Some(2), bootstrap: vec![a.address()], ..Options::default() }).await;
    let c = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    let hears = async |one: &Node, peers: usize, validators: &[u8]| {
        let wanted = Audience { peers, validators: validators.iter().map(|seed| key(*seed)).collect() };
        eventually("the right peers hear", async || one.handle.audience() == wanted).await;
    };
    hears(&a, 2, &[]).await;
    for one in [&a, &b, &c] {
        one.handle.set_validators(&[1, 2, 3].map(key).into());
    }
    hears(&a, 2, &[2]).await;
    hears(&b, 2, &[1]).await;
    hears(&c, 2, &[1, 2]).await;
    a.handle.set_validators(&[1, 3].map(key).into());
    hears(&a, 2, &[]).await;
    b.handle.shutdown();
    b.task.await.unwrap();
    hears(&a, 1, &[]).await;
    hears(&c, 1, &[1]).await;
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

fn gossip(topic: Topic, size_bytes: usize) -> NetworkEvent {
    let origin = Origin::Topic(topic, libp2p::gossipsub::MessageId::new(b"x"));
    let token = GossipToken { source: PeerId::random(), origin };
    NetworkEvent::Gossip { topic, data: vec![0; size_bytes], token }
}

/// A consensus message, as the plane hands it over.
fn consensus() -> NetworkEvent {
    let data: Arc<[u8]> = Arc::from(&b"vote"[..]);
    let token = GossipToken { source: PeerId::random(), origin: Origin::Stream(data.clone()) };
    let room = Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().unwrap();
    NetworkEvent::Consensus { data, token, room }
}

#[tokio::test]
async fn consensus_overtakes_the_public_plane_and_what_waits_there_is_bounded_in_bytes() {
    let stats = Arc::<NetworkStats>::default();
    let (sender, plane, mut events) = event_channel(stats.clone());
    let half = WAITING_SIZE_BYTES / 2;
    let transactions = || {
        let NetworkEvent::Gossip { data, token, .. } = gossip(Topic::Transactions, 1) else { unreachable!() };
        Unchecked { data, token }
    };
    assert!(sender.offer(transactions(), false).is_empty());
    assert!(sender.send(gossip(Topic::Blocks, half)), "blocks have a queue of their own");
    assert!(sender.send(gossip(Topic::Blocks, half)));
    assert!(!sender.send(gossip(Topic::Blocks, 1)), "no room");
    assert!(plane.try_send(consensus()).is_ok(), "and consensus has one, whatever the others hold");
    assert_eq!(stats.dropped_events.load(Ordering::Relaxed), 1);
    assert!(sender.send(NetworkEvent::PeerConnected(PeerId::random())));
    assert!(matches!(events.recv().await, Some(NetworkEvent::PeerConnected(_))));
    assert!(matches!(events.recv().await, Some(NetworkEvent::Consensus { .. })));
    assert!(matches!(events.recv().await, Some(NetworkEvent::Gossip { topic: Topic::Blocks, .. })));
    assert!(sender.send(gossip(Topic::Blocks, half)), "taking an event makes room");
    assert!(matches!(events.recv().await, Some(NetworkEvent::Gossip { topic: Topic::Blocks, .. })));
    assert!(matches!(events.recv().await, Some(NetworkEvent::Gossip { topic: Topic::Blocks, .. })));
    assert!(matches!(events.try_recv(), Some(NetworkEvent::Gossip { topic: Topic::Transactions, .. })));
    assert!(events.try_recv().is_none() && sender.offer(transactions(), true).is_empty());
    drop((sender, plane));
    assert!(events.recv().await.is_some());
    assert!(events.recv().await.is_none());
}

/// Percentiles of a measurement, in microseconds.
fn percentiles(mut samples: Vec<u128>) -> String {
    samples.sort_unstable();
    let at = |percent: usize| samples[(samples.len() - 1) * percent / 100];
    format!("{} samples: p50 {} us, p90 {} us, p99 {} us, max {} us", samples.len(), at(50), at(90), at(99), at(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release -p allod --lib network::tests::measure -- --ignored --nocapture"]
async fn measure_the_time_from_publish_to_delivery() {
    let mut nodes = mesh(4, None).await;
    let (first, others) = nodes.split_at_mut(1);
    let mut to: Vec<&mut Node> = others.iter_mut().collect();
    warm_up(&first[0].handle, &mut to).await;
    for (size_bytes, rounds) in [(250, 2_000u32), (20_000, 500), (limits::BLOCK_SIZE_BYTES, 30)] {
        let (mut samples, worked) = (Vec::new(), cpu_time());
        let mut data = vec![0; size_bytes];
        for _ in 0..rounds {
            getrandom::fill(&mut data).unwrap();
            let began = Instant::now();
            first[0].handle.publish(Topic::Blocks, data.clone());
            for node in &mut *others {
                while node.message().await.1 != data {}
                samples.push(began.elapsed().as_micros());
            }
        }
        let cpu = (cpu_time() - worked) / rounds;
        println!(
            "publish to delivery at 3 of 4 peers, {size_bytes} bytes, {}; all four: {cpu:?} CPU",
            percentiles(samples)
        );
    }
    for (size_bytes, count) in [(250, 20_000usize), (16_000, 2_000)] {
        let (began, worked) = (Instant::now(), cpu_time());
        let mut data = vec![0; size_bytes];
        let mut sent = 0;
        while sent < count {
            for _ in 0..count.min(200) {
                getrandom::fill(&mut data).unwrap();
                first[0].handle.publish(Topic::Transactions, data.clone());
                sent += 1;
            }
            for node in &mut *others {
                let mut left = count.min(200);
                while left > 0 {
                    left -= usize::from(node.message().await.1.len() == size_bytes);
                }
            }
        }
        let rate = count as f64 / began.elapsed().as_secs_f64();
        let cpu = (cpu_time() - worked) / count as u32;
        println!(
            "{count} messages of {size_bytes} bytes to 3 of 4 peers: {rate:.0} messages/s; all four: {cpu:?} CPU each"
        );
    }
    let rested = cpu_time();
    tokio::time::sleep(Duration::from_secs(20)).await;
    println!("four swarms at rest: {:.2} % of a core each", (cpu_time() - rested).as_secs_f64() / 20.0 / 4.0 * 100.0);
}

/// Processor time that this process has used so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Holds as many silent connections to a port as it is given, from one address of this machine, until the test ends.
fn hold_silent_connections(from: &str, port: u16, count: usize) {
    let from: std::net::SocketAddr = format!("{from}:0").parse().unwrap();
    for _ in 0..count {
        tokio::spawn(async move {
            loop {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(from).unwrap();
                let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
                if let Ok(mut stream) = socket.connect(to).await {
                    // It reads what comes, and says nothing.
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_from_elsewhere_keep_nobody_out() {
    let a = node(Options::default()).await;
    let port = a.handle.listen_addrs()[0].iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    for from in ["127.0.2.1", "127.0.3.1"] {
        hold_silent_connections(from, port.unwrap(), 100);
    }
    eventually("the silent ones to be refused", async || {
        a.handle.stats().connections_refused.load(Ordering::Relaxed) > 200
    })
    .await;
    for _ in 0..5 {
        let mut b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
        b.connected_to(a.id()).await;
    }
}
