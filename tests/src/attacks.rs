//! Strangers: bare libp2p swarms without any key of the network, which speak its protocols to real peers and break its
//! manners. Each attack is a file; all of them share [`Stranger`].
//!
//! An [`Attack`] runs on threads of its own until it is dropped. What it costs its victims is for the test to see.

pub mod bridge;
pub mod churn;
pub mod crowd;
pub mod deaf_subscribers;
pub mod far_votes;
pub mod forged_blocks;
pub mod idle_streams;
pub mod old_proposals;
pub mod provider_records;
pub mod repeated_blocks;
pub mod silent_sockets;
pub mod transactions;
pub mod unread_answers;
pub mod unread_events;

use crate::processes::Processes;
use allod_protocol::ledger::genesis::Genesis;
use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder,
    gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode},
    identify,
    identity::Keypair,
    noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Runtime, sync::mpsc};

/// Messages that wait to be sent by one stranger.
const WAITING: usize = 64;
/// More than the largest message.
const FRAME_SIZE_BYTES: usize = 4 * 1024 * 1024;

/// The network that is attacked, as anybody can know it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its genesis.
    pub genesis: Genesis,
    /// The addresses of the peers that are attacked.
    pub peers: Vec<(PeerId, Multiaddr)>,
}

impl Target {
    /// Some peers of a running network.
    pub fn of(net: &Processes, peers: &[usize]) -> Self {
        let genesis = std::fs::read_to_string(net.data(0).join("genesis.json")).expect("the genesis");
        let address = |peer: &usize| {
            let status = net.status(*peer).expect("a status");
            let id = status.get("peer_id").and_then(serde_json::Value::as_str).expect("a peer id");
            let address = format!("/ip4/127.0.0.1/tcp/{}", net.api_port(*peer) + 1);
            (id.parse().expect("a peer id"), address.parse().expect("an address"))
        };
        Self { genesis: serde_json::from_str(&genesis).expect("a genesis"), peers: peers.iter().map(address).collect() }
    }

    fn prefix(&self) -> String {
        let id = self.genesis.network_id().to_string();
        format!("/allod/{}", &id[..16])
    }

    /// The name of the protocol by which peers ask for blocks.
    pub fn sync(&self) -> StreamProtocol {
        self.protocol("sync/1")
    }

    /// The name of the protocol on which validators speak to each other.
    pub fn consensus(&self) -> StreamProtocol {
        self.protocol("consensus/1")
    }

    /// The name of one of the network's protocols.
    fn protocol(&self, name: &str) -> StreamProtocol {
        StreamProtocol::try_from_owned(format!("{}/{name}", self.prefix())).expect("a name")
    }

    /// The name of one of the network's topics.
    fn topic(&self, name: &str) -> String {
        format!("{}/{name}/1", self.prefix())
    }

    /// What peers of the network say about themselves.
    fn identity(&self, key: &Keypair) -> identify::Behaviour {
        identify::Behaviour::new(identify::Config::new(format!("{}/id/1", self.prefix()), key.public()))
    }
}

/// An attack under way.
#[derive(Debug)]
pub struct Attack {
    runtime: Option<Runtime>,
    /// What was sent so far: messages or requests, each counted once however many peers it went to.
    pub sent: Arc<AtomicU64>,
}

impl Attack {
    /// Begins an attack, which counts what it sends.
    pub fn begin<F>(attack: impl FnOnce(Arc<AtomicU64>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (runtime, sent) = (runtime.expect("a runtime"), Arc::new(AtomicU64::new(0)));
        runtime.spawn(attack(sent.clone()));
        Self { runtime: Some(runtime), sent }
    }

    /// How much was sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    gossip: gossipsub::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// What a stranger does with requests for blocks.
#[derive(Clone, Debug)]
enum Requests {
    Refuse,
    /// Takes them, counts them, and never answers.
    Hold(Arc<AtomicU64>),
}

impl Requests {
    async fn take(self, mut incoming: libp2p_stream::IncomingStreams) {
        // As many as peers that honour their own bounds open.
        let mut held = Vec::new();
        while let Some((_, stream)) = incoming.next().await {
            if let Self::Hold(count) = &self {
                held.push(stream);
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A member of the swarm that no operator of the network knows.
pub struct Stranger {
    /// Its id.
    pub id: PeerId,
    /// Opens streams to the peers that it is connected to.
    pub streams: libp2p_stream::Control,
    /// Messages on its topic to be sent to all peers that it is connected to.
    pub say: mpsc::Sender<Vec<u8>>,
    /// Messages on its topic that it hears. Those that nobody waits for are dropped.
    pub heard: mpsc::Receiver<Vec<u8>>,
}

impl std::fmt::Debug for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stranger")
    }
}

impl Stranger {
    /// Connects to every peer of the target, whenever it is not connected, until its handles are dropped. To be called on a
    /// runtime.
    pub async fn join(target: &Target) -> Self {
        Self::join_on(target, "tx").await
    }

    /// Speaks to each peer of the target as validators do, on streams that are opened again whenever they end. What a peer
    /// does not take is dropped.
    pub fn speak(&self, target: &Target) -> Speaker {
        let speak_to = |(peer, _): &(PeerId, Multiaddr)| {
            let (to, said) = mpsc::channel(WAITING);
            tokio::spawn(speak_to(self.streams.clone(), *peer, target.consensus(), said));
            to
        };
        Speaker(target.peers.iter().map(speak_to).collect())
    }

    /// Joins to say and hear what is on a topic.
    pub async fn join_on(target: &Target, topic: &str) -> Self {
        Self::enter(target, topic, Requests::Refuse).await
    }

    async fn enter(target: &Target, topic: &str, requests: Requests) -> Self {
        let (say, to_say) = mpsc::channel(WAITING);
        let (hear, heard) = mpsc::channel(WAITING);
        let key = Keypair::generate_ed25519();
        let mut swarm = swarm(target, &key);
        let mut streams = swarm.behaviour().streams.new_control();
        // The protocols that it accepts are among those that it says it speaks.
        tokio::spawn(requests.take(streams.accept(target.sync()).expect("a protocol is accepted once")));
        let topic = IdentTopic::new(target.topic(topic));
        swarm.behaviour_mut().gossip.subscribe(&topic).expect("a subscription");
        let peers = target.peers.clone();
        let (joined, ready) = tokio::sync::oneshot::channel();
        tokio::spawn(run(swarm, topic, peers, joined, to_say, hear));
        // It may be refused for ever, which is a defence too.
        let _ = tokio::time::timeout(Duration::from_secs(10), ready).await;
        Self { id: key.public().to_peer_id(), streams, say, heard }
    }
}

/// Speaks where only validators may.
#[derive(Debug)]
pub struct Speaker(Vec<mpsc::Sender<Vec<u8>>>);

impl Speaker {
    /// Says a message to every peer of the target.
    pub fn say(&self, message: &[u8]) {
        for to in &self.0 {
            // The peer takes nothing, or the stranger is blocked.
            let _ = to.try_send(message.to_vec());
        }
    }
}

async fn speak_to(
    mut streams: libp2p_stream::Control,
    peer: PeerId,
    protocol: StreamProtocol,
    mut said: mpsc::Receiver<Vec<u8>>,
) {
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while !said.is_closed() {
        pace.tick().await;
        let opened = tokio::time::timeout(Duration::from_secs(1), streams.open_stream(peer, protocol.clone())).await;
        let Ok(Ok(mut stream)) = opened else { continue };
        while let Some(message) = said.recv().await {
            let size_bytes = u32::try_from(message.len()).expect("a short message");
            // A length, and the kind of a message.
            let frame = [&size_bytes.to_le_bytes()[..], &[0], &message].concat();
            let written = async {
                stream.write_all(&frame).await?;
                stream.flush().await
            };
            if !matches!(tokio::time::timeout(Duration::from_secs(1), written).await, Ok(Ok(()))) {
                break;
            }
        }
    }
}

async fn run(
    mut swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    peers: Vec<(PeerId, Multiaddr)>,
    joined: tokio::sync::oneshot::Sender<()>,
    mut to_say: mpsc::Receiver<Vec<u8>>,
    hear: mpsc::Sender<Vec<u8>>,
) {
    let mut redial = tokio::time::interval(Duration::from_millis(500));
    let (mut joined, mut subscribed) = (Some(joined), 0usize);
    loop {
        tokio::select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message { message, .. })) => {
                    // Nobody may be listening.
                    let _ = hear.try_send(message.data);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Subscribed { .. })) => {
                    subscribed += 1;
                    if subscribed >= peers.len() && let Some(joined) = joined.take() {
                        let _ = joined.send(());
                    }
                }
                _ => {}
            },
            said = to_say.recv() => match said {
                // Its own queues may be full: then it has said enough.
                Some(bytes) => drop(swarm.behaviour_mut().gossip.publish(topic.clone(), bytes)),
                None => return,
            },
            _ = redial.tick() => {
                for (peer, address) in &peers {
                    if !swarm.is_connected(peer) {
                        let _ = swarm.dial(address.clone());
                    }
                }
            }
        }
    }
}

fn swarm(target: &Target, key: &Keypair) -> Swarm<Behaviour> {
    swarm_of(key, |key| Behaviour {
        identify: target.identity(key),
        ping: ping::Behaviour::default(),
        gossip: gossip(),
        streams: libp2p_stream::Behaviour::new(),
    })
}

/// A swarm over TCP, which keeps connections that nobody uses.
fn swarm_of<B: NetworkBehaviour>(key: &Keypair, behaviour: impl FnOnce(&Keypair) -> B) -> Swarm<B> {
    SwarmBuilder::with_existing_identity(key.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(behaviour)
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3_600)))
        .build()
}

fn gossip() -> gossipsub::Behaviour {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message| MessageId::new(blake3::hash(&message.data).as_bytes()))
        .max_transmit_size(FRAME_SIZE_BYTES)
        .flood_publish(true)
        .build()
        .expect("a configuration");
    gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).expect("gossip")
}

/// Appends a field of bytes of a message in protocol buffers, by its tag.
fn put_bytes(tag: u8, bytes: &[u8], to: &mut Vec<u8>) {
    to.push(tag);
    put_length(bytes.len(), to);
    to.extend_from_slice(bytes);
}

/// Appends a length as a variable-length number.
fn put_length(mut length: usize, to: &mut Vec<u8>) {
    while length >= 0x80 {
        to.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    to.push(u8::try_from(length).expect("seven bits"));
}
