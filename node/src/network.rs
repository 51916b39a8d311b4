//! The swarm: all communication between this peer and the others.
//!
//! One task owns the libp2p swarm (`driver`). The rest of the peer sends it commands through a [`NetworkHandle`] and
//! receives its events through [`NetworkEvents`]. Every queue between them is bounded: nothing here blocks the event
//! loop, and what does not fit is dropped and counted in [`NetworkStats`]. Transactions do not pass the event loop at all
//! before they are checked (`NetworkEvents::take_transactions`).
//!
//! There are two planes. On the *consensus plane* (`consensus`) validators speak to each other on direct streams, in a
//! task and with queues of their own in both directions, so that nothing that strangers do delays a vote. Everything else
//! is the *public plane*: strangers may take part in it, and observers follow the blocks that are pushed there.
//!
//! This module moves bytes. It never judges a transaction, a vote or a block: gossip is relayed only after the event
//! loop has accepted it ([`NetworkHandle::report`]), and blocks are handed over unverified. What strangers send is
//! bounded in size and rate and decoded without panics. If it is malformed, it counts as an offence of the sender; it
//! never ends the process.
//!
//! Reading order: `behaviour` (what the swarm is composed of), `driver` (the loop), `consensus` (the consensus plane),
//! `gossip`, `sync`, `providers` (one job each), `holdings` and `records` (who has what, within bounds), `peers`
//! (which peers we know), `introduction` (what peers say about themselves), `audience` (who hears us), `reach` (how
//! others reach us), `admission` (whose connections are let in), `stalls` (who takes nothing of what is sent),
//! `offences` (what we tolerate), `fair` (whose transactions are checked next), `places` (how many answers at a time).

mod admission;
mod audience;
mod behaviour;
mod candidates;
mod consensus;
mod driver;
mod fair;
mod gossip;
mod holdings;
mod introduction;
mod offences;
pub mod peer_key;
mod peers;
mod places;
mod providers;
mod reach;
mod records;
mod stalls;
mod stats;
mod sync;
#[cfg(test)]
mod tests;

pub use allod_protocol::agreement::host::Acceptance;
pub use audience::Audience;
pub use behaviour::{protocol_prefix, transport};
pub(crate) use fair::Receiver as Transactions;
pub use gossip::{GossipToken, Topic};
pub use peers::{Direction, PeerInfo};
pub use providers::Register;
pub use stats::{NetworkStats, TopicStats};
pub use sync::{SyncChannel, SyncError, SyncRequest, SyncResponse};

use allod_protocol::ground::{
    crypto::SigningKey,
    ids::{ArtifactId, NetworkId, PublicKey},
    limits,
};
use consensus::{Company, Links, Plane};
use fair::Unchecked;
use gossip::Origin;
use libp2p::{Multiaddr, PeerId};
use offences::Offence;
use stalls::Stalls;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Messages that may wait to be published: on the consensus plane, and on all topics together.
const PUBLISH_BACKLOG: usize = 1_024;
/// Verdicts that may wait: as many as there can be messages without a verdict.
const VERDICT_BACKLOG: usize = BLOCK_BACKLOG + BULK_BACKLOG;
/// Offences on the consensus plane that may wait to be held against somebody.
const OFFENCE_BACKLOG: usize = 64;
/// Other requests to the swarm that may wait.
const COMMAND_BACKLOG: usize = 1_024;
/// Events about peers and blocks that may wait for the event loop.
const CONTROL_BACKLOG: usize = 1_024;
/// Consensus messages that may wait for the event loop; a peer whose message finds no room waits for its turn.
const CONSENSUS_BACKLOG: usize = 4_096;
/// Pushed blocks that may wait for the event loop.
const BLOCK_BACKLOG: usize = 1_024;
/// Announcements that may wait for the event loop; and transactions without a verdict, whose bytes bound their number.
const BULK_BACKLOG: usize = 65_536;
/// Bytes of pushed blocks that may wait for the event loop.
const WAITING_SIZE_BYTES: usize = 16 * 1024 * 1024;
/// Providers that one search may have found and not reported yet.
const FOUND_BACKLOG: usize = 64;

/// The settings that a swarm starts with.
#[derive(Debug)]
pub struct NetworkConfig {
    /// The network. Peers of another network share no protocol with us.
    pub network_id: NetworkId,
    /// The key that is this peer's identity.
    pub secret: SigningKey,
    /// The key with which it signs consensus messages, if it is a validator or is to become one.
    pub validator: Option<SigningKey>,
    /// Where to listen. Port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses to announce to others in addition to those we listen on.
    pub external: Vec<Multiaddr>,
    /// Peers known from the start, with or without `/p2p/PEERID`.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to relay, within bounds, for peers that others cannot reach, provided that others can reach us.
    pub relay: bool,
    /// Whether peers that are no allod peers may stay for a while, to ask for providers.
    pub guests: bool,
    /// Whether to announce this peer on the local network, and to look for others there.
    pub mdns: bool,
    /// What is asked of the ledger.
    pub register: Register,
    /// The directory of `peers.json`, in which good peers are remembered across restarts.
    pub data_dir: PathBuf,
}

/// Why the swarm cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Another process listens on that port.
    #[error(
        "cannot listen on {0}: another process uses that port; stop it (perhaps another peer that runs from the same \
         configuration), or set another address with --listen"
    )]
    AddressInUse(Multiaddr),
    /// This machine does not have the address.
    #[error(
        "cannot listen on {0}: this machine has no such address; set one that it has, or /ip4/0.0.0.0, with --listen"
    )]
    AddressNotLocal(Multiaddr),
    /// The system does not permit it.
    #[error(
        "cannot listen on {0}: the system does not permit it; ports below 1024 need a privilege, set a higher one with --listen"
    )]
    NotPermitted(Multiaddr),
    /// Not an address that we can listen on.
    #[error("cannot listen on {0}: write /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1 (or ip6)")]
    Unsupported(Multiaddr),
    /// Any other error from the system.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// The system's message.
        reason: String,
    },
    /// A part of the swarm refused its settings: a defect, or an unusable key.
    #[error("the swarm cannot be set up: {0}")]
    Setup(String),
}

/// An event of the swarm.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A consensus message of a needed peer. If it is accepted with [`NetworkHandle::report`], it is passed on to those
    /// who may lack it.
    Consensus {
        /// The message, at most [`limits::GOSSIP_SIZE_BYTES`] bytes.
        data: Arc<[u8]>,
        /// The token that identifies the message in the verdict.
        token: GossipToken,
        /// Its room in the line of its peer, free again when this is dropped.
        room: OwnedSemaphorePermit,
    },
    /// A message on a topic. It is relayed only if it is accepted with [`NetworkHandle::report`] within 10 s.
    Gossip {
        /// The topic: blocks or transactions. Artifact announcements are judged inside this module.
        topic: Topic,
        /// The message, at most [`limits::GOSSIP_SIZE_BYTES`] bytes.
        data: Vec<u8>,
        /// The token that identifies the message in the verdict.
        token: GossipToken,
    },
    /// A peer asks for blocks. Dropping the channel refuses.
    SyncRequested {
        /// The peer that asks.
        peer: PeerId,
        /// What it asks for; `max_blocks` is at most [`limits::SYNC_BLOCKS`].
        request: SyncRequest,
        /// Where to send the answer, within 20 s.
        channel: SyncChannel,
    },
    /// The answer to [`NetworkHandle::request_blocks`]: one for each request that the swarm accepted.
    SyncAnswered {
        /// The peer that was asked.
        peer: PeerId,
        /// Unverified blocks of consecutive heights, starting at the height asked for; or why there are none.
        result: Result<SyncResponse, SyncError>,
    },
    /// A peer of this network has connected.
    PeerConnected(PeerId),
    /// The last connection to the peer is gone.
    PeerDisconnected(PeerId),
    /// A peer announces, with its signature, that it serves an artifact.
    ArtifactAnnounced {
        /// The artifact.
        artifact: ArtifactId,
        /// The peer that serves it.
        provider: PeerId,
    },
    /// We listen on one more address.
    Listening(Multiaddr),
}

impl NetworkEvent {
    fn gossip_size_bytes(&self) -> usize {
        match self {
            Self::Gossip { data, .. } => data.len(),
            Self::Consensus { .. }
            | Self::SyncRequested { .. }
            | Self::SyncAnswered { .. }
            | Self::PeerConnected(_)
            | Self::PeerDisconnected(_)
            | Self::ArtifactAnnounced { .. }
            | Self::Listening(_) => 0,
        }
    }
}

/// A command for the swarm's task.
#[derive(Debug)]
enum SwarmCommand {
    RequestBlocks { peer: PeerId, request: SyncRequest },
    RespondBlocks { channel: SyncChannel, response: SyncResponse },
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    Dial(Multiaddr),
    Provide(ArtifactId),
    StopProviding(ArtifactId),
    FindProviders { artifact: ArtifactId, found: mpsc::Sender<PeerId> },
    BlockPeer { peer: PeerId, reason: String },
}

/// The event loop's end of the event queues.
#[derive(Debug)]
pub struct NetworkEvents {
    control: mpsc::Receiver<NetworkEvent>,
    consensus: mpsc::Receiver<NetworkEvent>,
    blocks: mpsc::Receiver<NetworkEvent>,
    bulk: mpsc::Receiver<NetworkEvent>,
    transactions: Option<Transactions>,
    /// Bytes of pushed blocks that wait.
    waiting: Arc<AtomicUsize>,
}

impl NetworkEvents {
    /// Takes the lines of transactions out: they are no events from then on. `None` if they were taken before.
    pub(crate) fn take_transactions(&mut self) -> Option<Transactions> {
        self.transactions.take()
    }

    /// The next event: first those about peers and requests for blocks, then consensus, then pushed blocks, then the rest.
    /// `None` when the swarm has ended. Cancel safe.
    pub async fn recv(&mut self) -> Option<NetworkEvent> {
        tokio::select! {
            biased;
            Some(event) = self.control.recv() => Some(event),
            Some(event) = self.consensus.recv() => Some(event),
            Some(event) = self.blocks.recv() => Some(released(event, &self.waiting)),
            Some(event) = self.bulk.recv() => Some(event),
            Some(event) = next_of(&mut self.transactions) => Some(event),
            else => None,
        }
    }

    /// The next event in the same order, if one is already waiting.
    pub fn try_recv(&mut self) -> Option<NetworkEvent> {
        if let Ok(event) = self.control.try_recv() {
            return Some(event);
        }
        if let Ok(event) = self.consensus.try_recv() {
            return Some(event);
        }
        if let Ok(event) = self.blocks.try_recv() {
            return Some(released(event, &self.waiting));
        }
        let of_transactions = || Some(event_of(self.transactions.as_mut()?.try_recv()?.0));
        self.bulk.try_recv().ok().or_else(of_transactions)
    }
}

async fn next_of(transactions: &mut Option<Transactions>) -> Option<NetworkEvent> {
    let (message, _) = transactions.as_mut()?.recv().await?;
    Some(event_of(message))
}

fn event_of(Unchecked { data, token }: Unchecked) -> NetworkEvent {
    NetworkEvent::Gossip { topic: Topic::Transactions, data, token }
}

fn released(event: NetworkEvent, waiting: &AtomicUsize) -> NetworkEvent {
    waiting.fetch_sub(event.gossip_size_bytes(), Ordering::Relaxed);
    event
}

/// The swarm's end of the event queues. It never waits; what does not fit is dropped and counted.
#[derive(Debug)]
struct EventSender {
    control: mpsc::Sender<NetworkEvent>,
    blocks: mpsc::Sender<NetworkEvent>,
    bulk: mpsc::Sender<NetworkEvent>,
    transactions: fair::Sender,
    waiting: Arc<AtomicUsize>,
    stats: Arc<NetworkStats>,
}

impl EventSender {
    /// Adds transactions, of a peer that is needed or not. Returns the tokens of those that there is no room for.
    fn offer(&self, message: Unchecked, needed: bool) -> Vec<GossipToken> {
        let dropped = self.transactions.offer(message, needed);
        stats::add(&self.stats.dropped_events, dropped.len());
        dropped
    }

    /// Sends any other event of the public plane. Returns whether there was room.
    fn send(&self, event: NetworkEvent) -> bool {
        let (queue, waiting) = match &event {
            NetworkEvent::Gossip { .. } => (&self.blocks, Some(&self.waiting)),
            NetworkEvent::ArtifactAnnounced { .. } => (&self.bulk, None),
            NetworkEvent::Consensus { .. }
            | NetworkEvent::SyncRequested { .. }
            | NetworkEvent::SyncAnswered { .. }
            | NetworkEvent::PeerConnected(_)
            | NetworkEvent::PeerDisconnected(_)
            | NetworkEvent::Listening(_) => (&self.control, None),
        };
        let size_bytes = event.gossip_size_bytes();
        if let Some(waiting) = waiting {
            // Only this task adds, so the sum cannot exceed the bound between the check and the addition.
            if waiting.load(Ordering::Relaxed).saturating_add(size_bytes) > WAITING_SIZE_BYTES {
                stats::add(&self.stats.dropped_events, 1);
                return false;
            }
            waiting.fetch_add(size_bytes, Ordering::Relaxed);
        }
        let sent = queue.try_send(event).is_ok();
        if !sent {
            stats::add(&self.stats.dropped_events, 1);
            if let Some(waiting) = waiting {
                waiting.fetch_sub(size_bytes, Ordering::Relaxed);
            }
        }
        sent
    }
}

/// The ends of the queues of events: the swarm's, the consensus plane's, and the event loop's.
fn event_channel(stats: Arc<NetworkStats>) -> (EventSender, mpsc::Sender<NetworkEvent>, NetworkEvents) {
    let (control_in, control) = mpsc::channel(CONTROL_BACKLOG);
    let (consensus_in, consensus) = mpsc::channel(CONSENSUS_BACKLOG);
    let (blocks_in, blocks) = mpsc::channel(BLOCK_BACKLOG);
    let (bulk_in, bulk) = mpsc::channel(BULK_BACKLOG);
    let (transactions_in, transactions) = fair::channel();
    let waiting = Arc::<AtomicUsize>::default();
    let sender = EventSender {
        control: control_in,
        blocks: blocks_in,
        bulk: bulk_in,
        transactions: transactions_in,
        waiting: waiting.clone(),
        stats,
    };
    (
        sender,
        consensus_in,
        NetworkEvents { control, consensus, blocks, bulk, transactions: Some(transactions), waiting },
    )
}

/// The swarm's ends of the queues that a [`NetworkHandle`] fills.
#[derive(Debug)]
struct Queues {
    bulk: mpsc::Receiver<(Topic, Vec<u8>)>,
    verdicts: mpsc::Receiver<(GossipToken, Acceptance)>,
    commands: mpsc::Receiver<SwarmCommand>,
    /// What the consensus plane holds against peers that are not needed.
    offences: mpsc::Receiver<(PeerId, Offence)>,
    stop: Arc<Notify>,
}

/// The rest of the peer's access to the swarm. Cheap to clone.
///
/// Only the `async` methods wait. A command that finds its queue full is dropped, logged and counted.
#[derive(Clone)]
pub struct NetworkHandle {
    local_peer_id: PeerId,
    listening: Arc<RwLock<Vec<Multiaddr>>>,
    consensus: mpsc::Sender<Vec<u8>>,
    consensus_verdicts: mpsc::Sender<(GossipToken, Acceptance)>,
    bulk: mpsc::Sender<(Topic, Vec<u8>)>,
    verdicts: mpsc::Sender<(GossipToken, Acceptance)>,
    commands: mpsc::Sender<SwarmCommand>,
    stop: Arc<Notify>,
    streams: libp2p_stream::Control,
    stats: Arc<NetworkStats>,
    validators: Arc<watch::Sender<BTreeSet<PublicKey>>>,
    audience: watch::Receiver<Audience>,
    /// The queues that the event loop empties.
    incoming: Incoming,
}

impl std::fmt::Debug for NetworkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NetworkHandle({})", self.local_peer_id)
    }
}

impl NetworkHandle {
    /// This peer's identity on the swarm.
    pub fn local_peer_id(&self) -> PeerId {
        self.local_peer_id
    }

    /// The addresses that this peer is known to listen on, without `/p2p`.
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.listening.read().map(|addresses| addresses.clone()).unwrap_or_default()
    }

    /// Counters, for metrics.
    pub fn stats(&self) -> &NetworkStats {
        &self.stats
    }

    /// Opens streams to peers and accepts streams from them. [`protocol_prefix`] gives the prefix of their protocol
    /// names.
    pub fn stream_control(&self) -> libp2p_stream::Control {
        self.streams.clone()
    }

    /// Sends a consensus message to every needed peer, on streams of the consensus plane.
    pub fn say(&self, message: Vec<u8>) {
        self.send("consensus", message, |message| self.consensus.try_send(message).is_ok());
    }

    /// Sends a message to every peer of a topic. Bytes that were sent within the last minute are not sent again.
    pub fn publish(&self, topic: Topic, data: Vec<u8>) {
        self.send(topic.name(), data, |data| self.bulk.try_send((topic, data)).is_ok());
    }

    fn send(&self, topic: &str, data: Vec<u8>, send: impl FnOnce(Vec<u8>) -> bool) {
        let size_bytes = data.len();
        if size_bytes > limits::GOSSIP_SIZE_BYTES {
            stats::add(&self.stats.dropped_publishes, 1);
            tracing::error!(topic, size_bytes, "a message is too large to be published");
        } else if !send(data) {
            stats::add(&self.stats.dropped_publishes, 1);
            tracing::debug!(topic, "a message was not published: the queue is full or the swarm ended");
        }
    }

    /// Reports the verdict on a message: see [`Acceptance`].
    pub fn report(&self, token: GossipToken, verdict: Acceptance) {
        let verdicts = match token.origin {
            Origin::Stream(_) => &self.consensus_verdicts,
            Origin::Topic(..) => &self.verdicts,
        };
        if verdicts.try_send((token, verdict)).is_err() {
            stats::add(&self.stats.dropped_commands, 1);
        }
    }

    /// Asks a connected peer for decided blocks. The answer is a [`NetworkEvent::SyncAnswered`].
    pub fn request_blocks(&self, peer: PeerId, request: SyncRequest) {
        self.command(SwarmCommand::RequestBlocks { peer, request });
    }

    /// Answers a [`NetworkEvent::SyncRequested`]. A response of more than [`limits::SYNC_RESPONSE_SIZE_BYTES`] encoded
    /// bytes is not sent.
    pub fn respond_blocks(&self, channel: SyncChannel, response: SyncResponse) {
        self.command(SwarmCommand::RespondBlocks { channel, response });
    }

    /// The currently connected peers. Empty if the swarm has ended.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(SwarmCommand::Peers(answer)).await.is_err() {
            return Vec::new();
        }
        answered.await.unwrap_or_default()
    }

    /// Connects to an address, with or without `/p2p/PEERID`. The events and the log show whether it worked.
    pub fn dial(&self, address: Multiaddr) {
        self.command(SwarmCommand::Dial(address));
    }

    /// Announces that this peer serves an artifact, now and repeatedly until [`NetworkHandle::stop_providing`]. If
    /// nobody is connected, announces it as soon as somebody is.
    pub fn provide(&self, artifact: ArtifactId) {
        self.command(SwarmCommand::Provide(artifact));
    }

    /// Stops announcing an artifact. What others remember of it expires within a day.
    pub fn stop_providing(&self, artifact: ArtifactId) {
        self.command(SwarmCommand::StopProviding(artifact));
    }

    /// Peers that serve an artifact, each reported once, and connected when it is reported: first those that announced
    /// it and are already connected, then those that the distributed hash table knows. The channel closes when the
    /// search is over, after at most one minute.
    pub fn find_providers(&self, artifact: ArtifactId) -> mpsc::Receiver<PeerId> {
        let (found, providers) = mpsc::channel(FOUND_BACKLOG);
        self.command(SwarmCommand::FindProviders { artifact, found });
        providers
    }

    /// Sets the validators that decide the next blocks. Their peers are not refused for being busy, and are counted in
    /// [`NetworkHandle::audience`].
    pub fn set_validators(&self, validators: &BTreeSet<PublicKey>) {
        self.validators.send_if_modified(|known| {
            let changed = known != validators;
            if changed {
                known.clone_from(validators);
            }
            changed
        });
    }

    /// The bounded queues between the swarm and the rest of this peer: name, items that wait, items that there is room for.
    pub fn queues(&self) -> Vec<(&'static str, usize, usize)> {
        let mut queues = vec![
            of("publish_consensus", &self.consensus),
            of("publish", &self.bulk),
            of("verdicts_consensus", &self.consensus_verdicts),
            of("verdicts", &self.verdicts),
            of("commands", &self.commands),
        ];
        // The swarm's ends; they are gone when it has ended.
        queues.extend(self.incoming.iter().filter_map(|(name, queue)| Some(of(name, &queue.upgrade()?))));
        queues
    }

    /// Which peers hear this peer now.
    pub fn audience(&self) -> Audience {
        self.audience.borrow().clone()
    }

    /// Disconnects a peer and refuses it for ten minutes. A validator's or configured peer is slowed instead.
    pub fn block_peer(&self, peer: PeerId, reason: &str) {
        self.command(SwarmCommand::BlockPeer { peer, reason: reason.to_owned() });
    }

    /// Saves the known peers, closes the connections and ends the task. Its [`JoinHandle`] then completes.
    pub fn shutdown(&self) {
        self.stop.notify_one();
    }

    fn command(&self, command: SwarmCommand) {
        if let Err(error) = self.commands.try_send(command) {
            stats::add(&self.stats.dropped_commands, 1);
            tracing::debug!(%error, "the swarm did not take a request");
        }
    }
}

/// The swarm's ends of queues, by name, for as long as the swarm lives.
type Incoming = [(&'static str, mpsc::WeakSender<NetworkEvent>); 4];

fn queues_of(events: &EventSender, consensus: &mpsc::Sender<NetworkEvent>) -> Incoming {
    [
        ("events_control", events.control.downgrade()),
        ("events_consensus", consensus.downgrade()),
        ("events_blocks", events.blocks.downgrade()),
        ("events_announcements", events.bulk.downgrade()),
    ]
}

fn of<T>(name: &'static str, queue: &mpsc::Sender<T>) -> (&'static str, usize, usize) {
    (name, queue.max_capacity().saturating_sub(queue.capacity()), queue.max_capacity())
}

/// Starts the swarm: listens on every address, or fails and names the one it cannot listen on; reads the remembered
/// peers; dials.
///
/// # Errors
/// See [`NetworkError`].
pub async fn start(config: NetworkConfig) -> Result<(NetworkHandle, NetworkEvents, JoinHandle<()>), NetworkError> {
    let keypair = behaviour::identity(&config.secret)?;
    let names = behaviour::Names::new(config.network_id)?;
    let (stalls, stats) = (Stalls::default(), Arc::<NetworkStats>::default());
    let swarm = behaviour::swarm(&keypair, &names, &config, &stalls)?;
    let mut streams = swarm.behaviour().streams.new_control();
    let incoming = streams.accept(names.consensus.clone()).map_err(|error| NetworkError::Setup(error.to_string()))?;

    let (events, consensus_events, events_out) = event_channel(stats.clone());
    let (consensus_in, published) = mpsc::channel(PUBLISH_BACKLOG);
    let (consensus_verdicts_in, consensus_verdicts) = mpsc::channel(CONSENSUS_BACKLOG);
    let (offences_in, offences) = mpsc::channel(OFFENCE_BACKLOG);
    let (company_in, company) = watch::channel(Company::default());
    let (links_in, links) = watch::channel(Links::default());
    let (bulk_in, bulk) = mpsc::channel(PUBLISH_BACKLOG);
    let (verdicts_in, verdicts) = mpsc::channel(VERDICT_BACKLOG);
    let (commands_in, commands) = mpsc::channel(COMMAND_BACKLOG);
    let stop = Arc::<Notify>::default();
    let (validators_in, validators) = watch::channel(BTreeSet::new());
    let (audience_in, audience) = watch::channel(Audience::default());
    let handle = NetworkHandle {
        local_peer_id: *swarm.local_peer_id(),
        listening: Arc::default(),
        consensus: consensus_in,
        consensus_verdicts: consensus_verdicts_in,
        bulk: bulk_in,
        verdicts: verdicts_in,
        commands: commands_in,
        stop: stop.clone(),
        streams: streams.clone(),
        stats: stats.clone(),
        validators: Arc::new(validators_in),
        audience,
        incoming: queues_of(&events, &consensus_events),
    };
    let plane = Plane::new(consensus::Parts {
        local: config.secret.public_key(),
        streams,
        protocol: names.consensus.clone(),
        incoming,
        published,
        verdicts: consensus_verdicts,
        events: consensus_events,
        company,
        links: links_in,
        offences: offences_in,
        stats: stats.clone(),
    });
    // Boxed because it is too large to move.
    let mut driver = Box::new(driver::Driver::new(driver::Parts {
        swarm,
        names,
        keypair,
        network: config.network_id,
        own: config.validator.as_ref().map(SigningKey::public_key),
        queues: Queues { bulk, verdicts, commands, offences, stop },
        events,
        stats,
        listening: handle.listening.clone(),
        peers_file: config.data_dir.join(peers::FILE),
        validators,
        audience: audience_in,
        company: company_in,
        links,
        stalls,
        register: config.register,
        guests: config.guests,
    }));
    driver.begin(&config.listen, &config.external, config.bootstrap).await?;
    tokio::spawn(plane.run());
    Ok((handle, events_out, tokio::spawn(driver.run())))
}
