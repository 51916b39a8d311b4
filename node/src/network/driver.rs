//! The task that owns the swarm: one loop over what others send, what this peer asks for, and time.
//!
//! The other files of this module add their parts of [`Driver`]; this one has what concerns connections. The loop waits
//! for nothing but its sources, and nothing that a stranger does ends it.

use super::{
    Audience, Company, EventSender, Links, NetworkError, NetworkEvent, NetworkStats, Queues, SwarmCommand,
    behaviour::{Behaviour, BehaviourEvent, Names, Relation},
    introduction::Introduction,
    offences::{Guard, Offence, Spending},
    peers::{self, Dial, Direction, PeerBook},
    places::{Place, Places},
    providers::{Providers, Register},
    reach::Reach,
    stalls::Stalls,
    stats,
    sync::SyncRequest,
};
use crate::repeats::Repeats;
use allod_protocol::ground::ids::{NetworkId, PublicKey};
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm, TransportError,
    core::{ConnectedPoint, transport::ListenerId},
    identify,
    identity::Keypair,
    kad,
    multiaddr::Protocol,
    ping,
    request_response::{InboundRequestId, OutboundRequestId},
    swarm::{
        ConnectionId, DialError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// How often due work is checked: dials, expired blocks, waiting artifacts.
const TICK: Duration = Duration::from_millis(500);
/// How often the known peers are saved, if they have changed.
const MEMORY_INTERVAL: Duration = Duration::from_secs(60);
/// The wait after a new peer until others are asked for more peers. It doubles each time.
const FIRST_LOOK_WAIT: Duration = Duration::from_secs(1);
const LONGEST_LOOK_WAIT: Duration = Duration::from_secs(60);
/// How long a listener may take to report its address.
const LISTEN_PATIENCE: Duration = Duration::from_secs(5);
/// How long connections may take to close at shutdown.
const CLOSING_PATIENCE: Duration = Duration::from_millis(500);

/// The parts of which a driver is made.
pub(super) struct Parts {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) names: Names,
    pub(super) keypair: Keypair,
    pub(super) network: NetworkId,
    pub(super) own: Option<PublicKey>,
    pub(super) queues: Queues,
    pub(super) events: EventSender,
    pub(super) stats: Arc<NetworkStats>,
    pub(super) listening: Arc<RwLock<Vec<Multiaddr>>>,
    pub(super) peers_file: PathBuf,
    pub(super) validators: watch::Receiver<BTreeSet<PublicKey>>,
    pub(super) audience: watch::Sender<Audience>,
    pub(super) company: watch::Sender<Company>,
    pub(super) links: watch::Receiver<Links>,
    pub(super) stalls: Stalls,
    pub(super) register: Register,
    pub(super) guests: bool,
}

/// The owner of the swarm.
pub(super) struct Driver {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) names: Names,
    pub(super) keypair: Keypair,
    pub(super) network: NetworkId,
    pub(super) events: EventSender,
    pub(super) stats: Arc<NetworkStats>,
    pub(super) peers: PeerBook,
    pub(super) guard: Guard,
    pub(super) providers: Providers,
    pub(super) register: Register,
    pub(super) reach: Reach,
    /// Requests for blocks in progress.
    pub(super) asked: HashMap<OutboundRequestId, (PeerId, SyncRequest)>,
    /// Others' requests for blocks that are being answered.
    pub(super) answering: HashMap<InboundRequestId, Arc<Place>>,
    pub(super) places: Places,
    /// The validators that decide the next blocks.
    pub(super) validators: watch::Receiver<BTreeSet<PublicKey>>,
    pub(super) audience: watch::Sender<Audience>,
    /// The key of the validator that this peer speaks for, if any.
    pub(super) own: Option<PublicKey>,
    /// What the consensus plane is to know, and what it reports.
    pub(super) company: watch::Sender<Company>,
    pub(super) links: watch::Receiver<Links>,
    pub(super) stalls: Stalls,
    guests: bool,
    queues: Queues,
    listening: Arc<RwLock<Vec<Multiaddr>>>,
    peers_file: PathBuf,
    look_at: Instant,
    look_wait: Duration,
    write_memory_at: Instant,
    writing: Option<JoinHandle<()>>,
    listener_errors: Repeats,
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            mut swarm,
            names,
            keypair,
            network,
            own,
            queues,
            events,
            stats,
            listening,
            peers_file,
            validators,
            audience,
            company,
            links,
            stalls,
            register,
            guests,
        } = parts;
        let mut peers = PeerBook::new(*swarm.local_peer_id());
        peers.recall(&peers_file);
        for anchor in peers.anchors() {
            // Those whom strangers make this peer dial must not keep it from dialling these.
            swarm.behaviour_mut().limits.bypass_peer_id(&anchor);
        }
        Self {
            peers,
            guard: Guard::default(),
            providers: Providers::new(),
            register,
            guests,
            reach: Reach::new(),
            asked: HashMap::new(),
            answering: HashMap::new(),
            places: Places::default(),
            validators,
            audience,
            own,
            company,
            links,
            stalls,
            look_at: Instant::now(),
            look_wait: FIRST_LOOK_WAIT,
            write_memory_at: Instant::now() + MEMORY_INTERVAL,
            writing: None,
            listener_errors: Repeats::default(),
            swarm,
            names,
            keypair,
            network,
            events,
            stats,
            queues,
            listening,
            peers_file,
        }
    }

    /// Listens on every address, says at which others this peer is reached, and takes in the peers of the configuration.
    pub(super) async fn begin(
        &mut self,
        listen: &[Multiaddr],
        external: &[Multiaddr],
        bootstrap: Vec<Multiaddr>,
    ) -> Result<(), NetworkError> {
        self.listen(listen, external).await?;
        self.know(bootstrap);
        Ok(())
    }

    /// Listens on every address, and waits until each listener has reported its address.
    async fn listen(&mut self, listen: &[Multiaddr], external: &[Multiaddr]) -> Result<(), NetworkError> {
        let mut waiting = HashSet::new();
        for address in listen {
            probe(address)?;
            let listener = self.swarm.listen_on(address.clone()).map_err(|error| listen_error(address, error))?;
            waiting.insert(listener);
        }
        for address in external {
            let address = peers::split(address.clone()).0;
            self.swarm.add_external_address(address.clone());
            self.reach.vouch(address);
        }
        let until = tokio::time::Instant::now() + LISTEN_PATIENCE;
        while !waiting.is_empty() {
            let Ok(event) = tokio::time::timeout_at(until, self.swarm.select_next_some()).await else {
                tracing::warn!("a listener has no address yet; this machine may have no network");
                break;
            };
            if let SwarmEvent::NewListenAddr { listener_id, .. } = &event {
                waiting.remove(listener_id);
            }
            self.on_event(event);
        }
        Ok(())
    }

    /// Adds the peers of the configuration.
    fn know(&mut self, bootstrap: Vec<Multiaddr>) {
        for address in bootstrap {
            if let Some(peer) = self.peers.give(address) {
                // A crowd of strangers must not keep out a configured peer.
                self.swarm.behaviour_mut().limits.bypass_peer_id(&peer);
            }
        }
    }

    /// Runs until shut down, or until nobody holds a handle.
    pub(super) async fn run(mut self: Box<Self>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                Some((token, verdict)) = self.queues.verdicts.recv() => self.report(&token, verdict),
                command = self.queues.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                Some((peer, offence)) = self.queues.offences.recv() => self.hold_against(peer, offence),
                Ok(()) = self.links.changed() => self.tell_audience(),
                Ok(()) = self.validators.changed() => self.meet_validators(),
                () = self.queues.stop.notified() => break,
                Some((topic, data)) = self.queues.bulk.recv() => {
                    self.publish(topic, data);
                }
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.close().await;
    }

    fn on_command(&mut self, command: SwarmCommand) {
        match command {
            SwarmCommand::RequestBlocks { peer, request } => self.request_blocks(peer, request),
            SwarmCommand::RespondBlocks { channel, response } => self.respond_blocks(channel, response),
            SwarmCommand::Peers(answer) => {
                // The asker may be gone.
                let _ = answer.send(self.peers.infos().collect());
            }
            SwarmCommand::Dial(address) => self.dial_address(address),
            SwarmCommand::Provide(artifact) => self.provide(artifact),
            SwarmCommand::StopProviding(artifact) => self.stop_providing(artifact),
            SwarmCommand::FindProviders { artifact, found } => self.find_providers(artifact, found),
            SwarmCommand::BlockPeer { peer, reason } => self.block(peer, &reason),
        }
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        if let Some(more) = self.listener_errors.rest(now) {
            tracing::error!(more, "listeners reported more errors");
        }
        for peer in self.guard.tidy(now) {
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
        for peer in self.peers.overdue(now) {
            tracing::debug!(%peer, "disconnected: the peer is a guest whose time is up, or has not said which network it belongs to");
            self.disconnect(peer);
        }
        for dial in self.peers.due(now) {
            self.dial(dial);
        }
        self.tell_admission(now);
        self.part_with_the_deaf(now);
        self.part_with_who_takes_nothing(now);
        self.look_for_neighbours(now);
        self.tidy_providers(now);
        self.tidy_reach(now);
        stats::set(&self.stats.peers_blocked, self.guard.blocked_count());
        if self.write_memory_at <= now && self.writing.as_ref().is_none_or(JoinHandle::is_finished) {
            self.write_memory_at = now + MEMORY_INTERVAL;
            self.write_memory();
        }
    }

    /// What is kept for a stranger that takes nothing costs memory.
    fn part_with_who_takes_nothing(&mut self, now: Instant) {
        for peer in self.stalls.deaf(now) {
            if !self.is_needed(&peer) {
                tracing::debug!(%peer, "disconnected: it takes nothing of what gossip sends it");
                self.disconnect(peer);
            }
        }
        self.part_with_burdens();
    }

    /// Gossip is given a message to send.
    pub(super) fn on_said(&mut self, size_bytes: usize) {
        if self.stalls.say(size_bytes) {
            self.part_with_burdens();
        }
    }

    /// Disconnects strangers for which too much waits.
    fn part_with_burdens(&mut self) {
        let listeners = self.listeners();
        let burdens = self.stalls.burdens(|peer| listeners.contains(peer) && !self.is_needed(peer));
        for peer in burdens {
            tracing::debug!(%peer, "disconnected: too much of what gossip sends it waits");
            self.disconnect(peer);
        }
    }

    pub(super) fn dial(&mut self, dial: Dial) {
        let (peer, options) = match dial {
            Dial::Address(address) => return self.dial_address(address),
            Dial::Peer { peer, addresses, only_these } => {
                let options = DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .allocate_new_port();
                (peer, if only_these { options.build() } else { options.extend_addresses_through_behaviour().build() })
            }
        };
        match self.swarm.dial(options) {
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "a peer was not dialled");
                self.peers.on_dial_failed(Some(peer), None);
            }
        }
    }

    fn dial_address(&mut self, address: Multiaddr) {
        // From a port of its own: if two peers dial each other from the ports they listen on, they make one TCP
        // connection that each believes it has opened.
        let (bare, peer) = peers::split(address.clone());
        let options = match peer {
            Some(peer) => DialOpts::peer_id(peer).addresses(vec![bare]).allocate_new_port().build(),
            None => DialOpts::unknown_peer_id().address(bare).allocate_new_port().build(),
        };
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(%address, %error, "an address was not dialled");
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let (direction, remote) = match endpoint {
                    ConnectedPoint::Dialer { address, .. } => (Direction::Outbound, address),
                    // A relayed connection does not show where it comes from, only its relay.
                    ConnectedPoint::Listener { local_addr, .. } if peers::is_relayed(&local_addr) => {
                        (Direction::Inbound, local_addr)
                    }
                    ConnectedPoint::Listener { send_back_addr, .. } => (Direction::Inbound, send_back_addr),
                };
                tracing::debug!(peer = %peer_id, ?direction, %remote, "connected");
                self.peers.on_established(peer_id, connection_id, direction, remote);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, num_established, .. } => {
                tracing::debug!(peer = %peer_id, cause = cause.map(|cause| cause.to_string()), num_established, "disconnected");
                if self.peers.on_closed(peer_id, connection_id) {
                    self.events.send(NetworkEvent::PeerDisconnected(peer_id));
                }
                if num_established == 0 {
                    self.forget_relay(&peer_id);
                    self.settle_searches(peer_id, false);
                }
                self.count_peers();
                self.tell_audience();
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                stats::add(&self.stats.connections_refused, 1);
                tracing::debug!(remote = %send_back_addr, %error, "a connection was not accepted");
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => self.on_dial_failed(peer_id, &error),
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, peer = %self.swarm.local_peer_id(), "listening");
                if let Ok(mut listening) = self.listening.write() {
                    listening.push(address.clone());
                }
                self.events.send(NetworkEvent::Listening(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                tracing::info!(%address, "no longer listening");
                if let Ok(mut listening) = self.listening.write() {
                    listening.retain(|known| *known != address);
                }
            }
            SwarmEvent::ListenerClosed { listener_id, .. } if self.on_reservation_ended(listener_id) => {
                tracing::debug!(listener = %listener_id, "a reservation at a relay has ended");
            }
            SwarmEvent::ListenerError { listener_id, error } => self.on_listener_error(listener_id, &error),
            SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } => {
                self.on_listener_error(listener_id, &error);
            }
            _ => {}
        }
    }

    fn on_listener_error(&mut self, listener: ListenerId, error: &io::Error) {
        if let Some(more) = self.listener_errors.on(Instant::now()) {
            tracing::error!(
                %listener, %error, more,
                "a listener reported an error; if too many files are open, raise the limit (LimitNOFILE= in a systemd unit, \
                 ulimit -n in a shell); if peers cannot connect, restart this peer"
            );
        }
    }

    fn on_dial_failed(&mut self, peer: Option<PeerId>, error: &DialError) {
        stats::add(&self.stats.dials_failed, 1);
        let known = peer.is_some_and(|peer| self.peers.is_given(&peer)).then_some(peer).flatten();
        match error {
            DialError::LocalPeerId { address } => self.peers.on_own_address(address),
            DialError::WrongPeerId { obtained, address } if known.is_some() => tracing::warn!(
                %address, %obtained, expected = ?known.map(|peer| peer.to_string()),
                "another peer answers at a configured address; correct its /p2p part in the configuration"
            ),
            error => tracing::debug!(peer = ?peer.map(|peer| peer.to_string()), %error, "a dial failed"),
        }
        self.peers.on_dial_failed(peer, None);
        if let DialError::Transport(addresses) = error {
            for (address, _) in addresses {
                self.peers.on_dial_failed(None, Some(address));
            }
        }
        if let Some(peer) = peer
            && !self.swarm.is_connected(&peer)
        {
            self.settle_searches(peer, false);
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Sync(event) => self.on_sync(event),
            BehaviourEvent::Identify(identify::Event::Received { connection_id, peer_id, info }) => {
                self.on_identified(peer_id, connection_id, info);
            }
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => self.on_ping(peer, connection, result),
            BehaviourEvent::Kademlia(event) => self.on_kademlia(event),
            BehaviourEvent::AutonatClient(event) => self.on_dialled_back(event),
            BehaviourEvent::AutonatServer(event) => self.on_dial_back(&event),
            BehaviourEvent::Dcutr(event) => self.on_hole_punched(event),
            BehaviourEvent::Mdns(event) => self.on_found_nearby(event),
            _ => {}
        }
    }

    fn on_ping(&mut self, peer: PeerId, connection: ConnectionId, result: Result<Duration, ping::Failure>) {
        match result {
            Ok(rtt) => self.peers.on_rtt(peer, rtt),
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "closing a connection that does not answer");
                self.swarm.close_connection(connection);
            }
        }
    }

    /// A peer has identified itself: now it is known whether it belongs to this network.
    fn on_identified(&mut self, peer: PeerId, connection: ConnectionId, info: identify::Info) {
        if !self.is_needed(&peer) && !self.guard.spend(peer, Spending::Introduction) {
            return self.hold_against(peer, Offence::TooFast);
        }
        let (relation, given) = (self.names.relation_of(&info), self.peers.is_given(&peer));
        if relation == Relation::Guest && !given && self.guests && self.peers.on_guest(peer) {
            tracing::debug!(%peer, agent = info.agent_version, "guest");
            return;
        }
        if relation != Relation::Peer {
            self.peers.on_foreign(peer);
            if given {
                tracing::warn!(
                    %peer, its_network = info.protocol_version,
                    "a configured peer belongs to another network; compare the genesis files, or remove it from the configuration"
                );
            } else {
                tracing::debug!(%peer, its_network = info.protocol_version, "disconnected: the peer belongs to another network");
            }
            return self.disconnect(peer);
        }
        let (_, introduction) = Introduction::of_agent(&info.agent_version);
        if introduction.is_some_and(|said| self.peers.is_another_life(&peer, connection, said.life)) {
            // Gossip sends its subscriptions on the first connection only, and messages on any. With a dead connection
            // beside it, a living one stays silent. So both sides start again.
            return self.begin_again(peer, "the peer has restarted");
        }
        self.note_relay(peer, &info);
        let speaks_kademlia = self.names.kademlia_is_spoken_by(&info);
        let told = self.peers.on_identified(peer, &info.agent_version, info.listen_addrs);
        let Some((addresses, news, outdated)) = told else { return };
        let kademlia = &mut self.swarm.behaviour_mut().kademlia;
        if speaks_kademlia {
            for address in addresses {
                kademlia.add_address(&peer, address);
            }
        }
        // The table keeps, and looks through, as many addresses of a peer as it is told.
        for address in outdated {
            kademlia.remove_address(&peer, &address);
        }
        if news {
            tracing::debug!(%peer, agent = info.agent_version, "peer");
            (self.look_wait, self.look_at) = (FIRST_LOOK_WAIT, Instant::now() + FIRST_LOOK_WAIT);
            self.events.send(NetworkEvent::PeerConnected(peer));
            self.count_peers();
        }
        self.recognise(peer);
        // Its subscriptions may have come before its name.
        self.tell_audience();
        self.settle_searches(peer, true);
        self.tell_of_artifacts();
    }

    fn on_kademlia(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest { request: kad::InboundRequest::AddProvider { record: Some(record) } } => {
                self.on_provider_record(record);
            }
            kad::Event::OutboundQueryProgressed { result: kad::QueryResult::GetClosestPeers(result), .. } => {
                let peers = match result {
                    Ok(found) => found.peers,
                    Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
                };
                self.on_neighbours(peers);
            }
            kad::Event::OutboundQueryProgressed { id, result, step, .. } => {
                self.on_providers_query(id, result, step.last);
            }
            _ => {}
        }
    }

    /// Asks for peers that others know. Kademlia dials those it meets on its way, but does not retry those it missed;
    /// and two peers that dial each other at once from the ports they listen on miss each other.
    fn look_for_neighbours(&mut self, now: Instant) {
        if self.look_at > now || self.peers.identified_count() == 0 || !self.peers.wants_more() {
            return;
        }
        self.look_at = now + self.look_wait;
        self.look_wait = self.look_wait.saturating_mul(2).min(LONGEST_LOOK_WAIT);
        let local = *self.swarm.local_peer_id();
        self.swarm.behaviour_mut().kademlia.get_closest_peers(local);
    }

    fn on_neighbours(&mut self, neighbours: Vec<kad::PeerInfo>) {
        for kad::PeerInfo { peer_id: peer, mut addrs } in neighbours {
            if peer != *self.swarm.local_peer_id() && !self.swarm.is_connected(&peer) && self.peers.wants_more() {
                addrs.truncate(peers::ADDRESSES);
                self.dial(Dial::Peer { peer, addresses: addrs, only_these: false });
            }
        }
    }

    /// Records an offence. If it was the last straw, the peer is blocked, or slowed if it is needed.
    pub(super) fn hold_against(&mut self, peer: PeerId, offence: Offence) {
        if self.guard.offend(peer, offence, self.is_needed(&peer)) {
            self.block(peer, offence.describe());
        }
    }

    fn block(&mut self, peer: PeerId, reason: &str) {
        if peer == *self.swarm.local_peer_id() || self.guard.is_blocked(&peer) {
            return;
        }
        if self.is_needed(&peer) {
            if self.guard.slow(peer) {
                tracing::warn!(%peer, reason, "a validator's or configured peer is slowed for a minute");
            }
            return;
        }
        tracing::warn!(%peer, reason, "peer blocked for ten minutes");
        let freed = self.guard.block(peer);
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        if let Some(freed) = freed {
            blocked.unblock_peer(freed);
        }
        blocked.block_peer(peer);
        stats::set(&self.stats.peers_blocked, self.guard.blocked_count());
    }

    /// Closes every connection to a peer, so that both sides start again.
    pub(super) fn begin_again(&mut self, peer: PeerId, reason: &str) {
        if self.is_needed(&peer) {
            tracing::info!(%peer, reason, "disconnected, to start again");
        } else {
            // Strangers could fill the log.
            tracing::debug!(%peer, reason, "disconnected, to start again");
        }
        self.disconnect(peer);
    }

    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // It may already be gone.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn count_peers(&self) {
        stats::set(&self.stats.peers_inbound, self.peers.count(Direction::Inbound));
        stats::set(&self.stats.peers_outbound, self.peers.count(Direction::Outbound));
    }

    fn write_memory(&mut self) {
        let Some(bytes) = self.peers.memory() else { return };
        let path = self.peers_file.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = peers::write_memory(&path, &bytes) {
                tracing::warn!(path = %path.display(), %error, "the known peers cannot be saved; check that the directory is writable");
            }
        }));
    }

    /// Saves the known peers and tells the others that we leave.
    async fn close(mut self: Box<Self>) {
        self.write_memory();
        // Nobody opens streams any more.
        self.company.send_replace(Company::default());
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            self.disconnect(peer);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(CLOSING_PATIENCE, closed).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
        if let Some(writing) = self.writing.take() {
            // It logs its own failure.
            let _ = writing.await;
        }
    }
}

/// Finds out whether a port is taken, with the system's own error: the transports wrap it beyond recognition. And TCP's
/// transport lets several sockets of one user share a port, so that it can dial from the port it listens on: a second
/// peer would start without an error and take half of the first one's connections.
fn probe(address: &Multiaddr) -> Result<(), NetworkError> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::from(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::from(ip),
        _ => return Ok(()),
    };
    if ip == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
        // A socket of the standard library takes the IPv4 port too; the swarm's does not.
        return Ok(());
    }
    let bound = match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        Some(Protocol::Udp(port)) if port != 0 => UdpSocket::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    };
    bound.map_err(|error| io_error(address, &error))
}

fn listen_error(address: &Multiaddr, error: TransportError<io::Error>) -> NetworkError {
    match error {
        TransportError::MultiaddrNotSupported(_) => NetworkError::Unsupported(address.clone()),
        TransportError::Other(error) => io_error(address, &error),
    }
}

fn io_error(address: &Multiaddr, error: &io::Error) -> NetworkError {
    let address = address.clone();
    match error.kind() {
        io::ErrorKind::AddrInUse => NetworkError::AddressInUse(address),
        io::ErrorKind::AddrNotAvailable => NetworkError::AddressNotLocal(address),
        io::ErrorKind::PermissionDenied => NetworkError::NotPermitted(address),
        _ => NetworkError::Listen { address, reason: error.to_string() },
    }
}
