//! What the swarm is composed of: transports, behaviours, protocol names.
//!
//! TCP (noise, yamux) and QUIC, names resolved by DNS, and circuits through other peers. Every protocol name of ours
//! starts with `/allod/` and the first sixteen digits of the network id. Only ping, identify, AutoNAT, relay, DCUtR and
//! gossip's `/meshsub` keep the library's names. Identify keeps its name so that peers of different networks can find
//! out that they are. Gossip keeps it because a name of its own would lose the protocol version that tells others not
//! to send a large message twice; its topics are specific to the network.

use super::{
    NetworkConfig, NetworkError, admission, candidates,
    gossip::{self, Topic, Topics},
    introduction::Introduction,
    offences::Rate,
    records::Records,
    stalls::Stalls,
    sync,
};
use allod_protocol::ground::{crypto::SigningKey, ids::NetworkId};
use futures::io::BufReader;
use libp2p::{
    PeerId, StreamProtocol, Swarm, Transport as _,
    allow_block_list::{self, BlockedPeers},
    autonat,
    connection_limits::{self, ConnectionLimits},
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, timeout::TransportTimeout},
        upgrade::Version,
    },
    dcutr, dns, gossipsub, identify,
    identity::Keypair,
    kad, mdns, memory_connection_limits, noise, ping, quic, relay,
    swarm::{self, NetworkBehaviour, behaviour::toggle::Toggle},
    tcp, yamux,
};
use std::time::Duration;

/// The connections that others open.
const INBOUND: admission::Bounds = admission::Bounds {
    pending: 256,
    pending_per_block: 16,
    handshakes_per_block: Rate { per_second: 8.0, at_once: 64.0 },
    pending_of_needed: 64,
    strangers: 192,
    strangers_per_block: 48,
    protected: 16,
};
/// Maximum number of established connections that we opened.
const CONNECTIONS_OUTBOUND: u32 = 96;
/// Maximum number of connections with one peer: both sides may dial at once, over TCP and QUIC.
const CONNECTIONS_PER_PEER: u32 = 4;
/// Maximum number of connections that this peer is opening.
const CONNECTIONS_PENDING: u32 = 64;
/// Share of the machine's memory above which this process accepts no new connection.
const MEMORY_SHARE: f64 = 0.85;
/// How long establishing a connection may take. It is less than the 10 s that AutoNAT's client waits for the answer of
/// a peer that dialled it, so that a NAT that drops packets counts as an answer.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(8);
/// How long an unused connection is kept. Limits bound their number, and a mesh that must be dialled again is late.
const IDLE_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Pings find silently dead connections, so that they are dialled again soon after a partition heals.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read at once from a TCP connection. Noise reads an eighth of that, and each read is a system call.
const READ_SIZE_BYTES: usize = 64 * 1024;
/// Maximum size of one Kademlia message, in bytes.
const KADEMLIA_MESSAGE_SIZE_BYTES: usize = 16 * 1024;
const PROVIDER_RECORD_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Maximum number of peers that hold a reservation at this one when it relays, and how often they must renew it.
const RESERVATIONS: usize = 64;
const RESERVATIONS_PER_PEER: usize = 2;
const RESERVATION_TIME: Duration = Duration::from_secs(60 * 60);
/// Maximum number of relayed connections at a time.
const CIRCUITS: usize = 16;
const CIRCUITS_PER_PEER: usize = 4;
/// Limits on the duration and bytes of a relayed connection: enough to find a direct way, or to fetch a small model
/// where there is none. A peer that needs more dials again, at the library's rates: a peer 30 times at once, then once
/// in two minutes; an IP address 60 times, then once a minute.
const CIRCUIT_TIME: Duration = Duration::from_secs(10 * 60);
const CIRCUIT_SIZE_BYTES: u64 = 64 * 1024 * 1024;

/// The order matters: a peer that is over a limit or blocked is refused before another behaviour sees it.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(super) admission: admission::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) kademlia: kad::Behaviour<Records>,
    pub(super) gossip: gossip::Behaviour,
    pub(super) sync: sync::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
    autonat_client: candidates::Behaviour,
    autonat_server: autonat::v2::server::Behaviour,
    relay_client: relay::client::Behaviour,
    relay: Toggle<relay::Behaviour>,
    dcutr: dcutr::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

/// The prefix of the protocol names of all networks.
const PREFIX: &str = "/allod/";

/// The prefix of a network's protocol names: `/allod/` and sixteen hexadecimal digits.
pub fn protocol_prefix(network: NetworkId) -> String {
    let id = network.to_string();
    format!("{PREFIX}{}", id.get(..16).unwrap_or(&id))
}

/// The relation of a peer to this network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// It is a member of the network.
    Peer,
    /// It speaks libp2p but is not an allod peer: it may query the hash table for a while.
    Guest,
    /// It is an allod peer of another network, or one that lacks a protocol which ours must speak.
    Foreign,
}

/// The protocol names of a network.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) identify: String,
    kademlia: StreamProtocol,
    pub(super) sync: StreamProtocol,
    pub(super) consensus: StreamProtocol,
    topics: Topics,
}

impl Names {
    pub(super) fn new(network: NetworkId) -> Result<Self, NetworkError> {
        let prefix = protocol_prefix(network);
        let protocol = |name: &str| StreamProtocol::try_from_owned(format!("{prefix}/{name}/1")).map_err(setup);
        Ok(Self {
            identify: format!("{prefix}/id/1"),
            kademlia: protocol("kad")?,
            sync: protocol("sync")?,
            consensus: protocol("consensus")?,
            topics: Topics::new(&prefix),
        })
    }

    pub(super) fn topic(&self, topic: Topic) -> &gossipsub::IdentTopic {
        self.topics.get(topic)
    }

    pub(super) fn topic_of(&self, hash: &gossipsub::TopicHash) -> Option<Topic> {
        self.topics.of(hash)
    }

    /// The relation of a peer to this network, from what it says about itself.
    pub(super) fn relation_of(&self, info: &identify::Info) -> Relation {
        if info.protocol_version == self.identify && info.protocols.contains(&self.sync) {
            Relation::Peer
        } else if info.protocol_version.starts_with(PREFIX) {
            Relation::Foreign
        } else {
            Relation::Guest
        }
    }

    pub(super) fn kademlia_is_spoken_by(&self, info: &identify::Info) -> bool {
        info.protocols.contains(&self.kademlia)
    }
}

fn setup(error: impl ToString) -> NetworkError {
    NetworkError::Setup(error.to_string())
}

/// Converts a key to the swarm's type.
pub(super) fn identity(secret: &SigningKey) -> Result<Keypair, NetworkError> {
    // The library zeroes the bytes that it takes.
    let mut bytes = secret.as_dalek().to_bytes();
    Keypair::ed25519_from_bytes(bytes.as_mut_slice()).map_err(setup)
}

pub(super) fn swarm(
    keypair: &Keypair,
    names: &Names,
    settings: &NetworkConfig,
    stalls: &Stalls,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIME);
    let peer = keypair.public().to_peer_id();
    let (circuits, relay_client) = relay::client::new(peer);
    let circuits = circuits
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).map_err(setup)?)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    // The relayed transport comes first: the others do not look at the end of an address.
    let stalls = stalls.clone();
    let transport = TransportTimeout::new(circuits, CONNECTION_PATIENCE)
        .or_transport(transport(keypair)?)
        .map(|either, _| either.into_inner())
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(stalls.watch(peer, muxer))));
    Ok(Swarm::new(transport.boxed(), behaviour(keypair, names, settings, relay_client)?, peer, config))
}

/// TCP and QUIC with name resolution: the transport for artifacts and everything else.
///
/// # Errors
/// [`NetworkError::Setup`].
pub fn transport(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let with_dns = match dns::tokio::Transport::system(wires(keypair)?) {
        Ok(transport) => transport.boxed(),
        Err(error) => {
            tracing::warn!(%error, "the system's DNS settings cannot be read; only numeric addresses can be dialled");
            wires(keypair)?
        }
    };
    Ok(TransportTimeout::new(with_dns, CONNECTION_PATIENCE).boxed())
}

fn wires(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|stream, _| BufReader::with_capacity(READ_SIZE_BYTES, stream))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).map_err(setup)?)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let quic = quic::tokio::Transport::new(quic::Config::new(keypair))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(tcp.or_transport(quic).map(|either, _| either.into_inner()).boxed())
}

fn behaviour(
    keypair: &Keypair,
    names: &Names,
    settings: &NetworkConfig,
    relay_client: relay::client::Behaviour,
) -> Result<Behaviour, NetworkError> {
    let peer = keypair.public().to_peer_id();
    let limits = ConnectionLimits::default()
        .with_max_pending_outgoing(Some(CONNECTIONS_PENDING))
        .with_max_established_outgoing(Some(CONNECTIONS_OUTBOUND))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER));
    let key = settings.secret.public_key();
    let introduction = Introduction::new(settings.network_id, key, settings.validator.as_ref());
    let identify = identify::Config::new(names.identify.clone(), keypair.public())
        .with_agent_version(introduction.to_agent())
        .with_push_listen_addr_updates(true);
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        memory: memory_connection_limits::Behaviour::with_max_percentage(MEMORY_SHARE),
        blocked: allow_block_list::Behaviour::default(),
        admission: admission::Behaviour::new(INBOUND),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_PATIENCE)),
        kademlia: kademlia(peer, names),
        gossip: gossip::behaviour(names).map_err(setup)?,
        sync: sync::behaviour(names.sync.clone()),
        streams: libp2p_stream::Behaviour::new(),
        // Ten addresses at a time, every five seconds while one is unanswered.
        autonat_client: candidates::Behaviour::default(),
        autonat_server: autonat::v2::server::Behaviour::default(),
        relay_client,
        relay: settings.relay.then(|| relay::Behaviour::new(peer, relaying())).into(),
        dcutr: dcutr::Behaviour::new(peer),
        mdns: mdns(peer, settings)?.into(),
    })
}

fn mdns(peer: PeerId, settings: &NetworkConfig) -> Result<Option<mdns::tokio::Behaviour>, NetworkError> {
    let mdns = settings.mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), peer));
    mdns.transpose().map_err(setup)
}

/// Relays only while one of our addresses is known to be reachable, at the library's rates per peer and address.
fn relaying() -> relay::Config {
    relay::Config {
        max_reservations: RESERVATIONS,
        max_reservations_per_peer: RESERVATIONS_PER_PEER,
        reservation_duration: RESERVATION_TIME,
        max_circuits: CIRCUITS,
        max_circuits_per_peer: CIRCUITS_PER_PEER,
        max_circuit_duration: CIRCUIT_TIME,
        max_circuit_bytes: CIRCUIT_SIZE_BYTES,
        ..relay::Config::default()
    }
}

fn kademlia(peer: PeerId, names: &Names) -> kad::Behaviour<Records> {
    let mut config = kad::Config::new(names.kademlia.clone());
    config
        // Provider records are checked before they are kept; values are never kept.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_provider_record_ttl(Some(PROVIDER_RECORD_LIFETIME))
        // The driver renews them, at its own pace.
        .set_provider_publication_interval(None)
        .set_publication_interval(None)
        .set_replication_interval(None)
        .set_max_packet_size(KADEMLIA_MESSAGE_SIZE_BYTES)
        .set_query_timeout(Duration::from_secs(30));
    let mut kademlia = kad::Behaviour::with_config(peer, Records::new(peer), config);
    // Others find out whether they can reach us. Waiting for proof would leave small networks without a table.
    kademlia.set_mode(Some(kad::Mode::Server));
    kademlia
}
