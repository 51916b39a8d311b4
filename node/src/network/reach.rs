//! Whether others can reach this peer, and how, if it is behind a NAT.
//!
//! AutoNAT finds out: other peers dial the addresses at which we are seen, and report whether they got through. While
//! nobody gets through, we hold reservations at relays: configured peers that offer to relay. A peer that dials us
//! there and gets through the NATs (DCUtR) ends up with a direct connection, and the relayed one is closed. Strangers
//! have no say in this: relays come from the configuration only.

use super::{driver::Driver, peers, peers::Dial};
use libp2p::{
    Multiaddr, PeerId, autonat, core::transport::ListenerId, dcutr, identify, mdns, multiaddr::Protocol, relay,
    swarm::ConnectionId,
};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// Number of relays at which an unreachable peer holds reservations: if one is lost, the other remains.
const RELAYS: usize = 2;
/// How often a reservation is requested while one is wanted.
const RESERVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a relayed connection is kept after a direct one has replaced it, for what is in progress on it.
const RELAYED_GRACE: Duration = Duration::from_secs(10);

/// What is known about how others reach this peer.
#[derive(Debug)]
pub(super) struct Reach {
    /// Addresses that the configuration vouches for, or at which another peer got through. With one of them no relay is
    /// needed.
    proven: HashSet<Multiaddr>,
    /// Whether a peer tried and did not get through.
    refuted: bool,
    /// Connected peers of the configuration that offer to relay.
    relays: HashSet<PeerId>,
    /// The listeners at relays.
    reserved: HashMap<PeerId, ListenerId>,
    reserve_at: Instant,
    /// Relayed connections that a direct one has replaced, and when to close them.
    retiring: HashMap<ConnectionId, Instant>,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self {
            proven: HashSet::new(),
            refuted: false,
            relays: HashSet::new(),
            reserved: HashMap::new(),
            reserve_at: Instant::now(),
            retiring: HashMap::new(),
        }
    }

    /// Takes an address to be reachable without proof.
    pub(super) fn vouch(&mut self, address: Multiaddr) {
        self.proven.insert(address);
    }

    fn needs_relay(&self) -> bool {
        self.refuted && self.proven.is_empty()
    }
}

impl Driver {
    /// The result of our request that a peer dial one of our addresses.
    pub(super) fn on_dialled_back(&mut self, event: autonat::v2::client::Event) {
        let (address, server) = (event.tested_addr, event.server);
        match event.result {
            Ok(()) => {
                tracing::info!(%address, %server, "others can reach this peer");
                self.reach.vouch(address);
                for (_, listener) in self.reach.reserved.drain() {
                    self.swarm.remove_listener(listener);
                }
            }
            Err(error) => {
                if !self.reach.refuted && self.reach.proven.is_empty() {
                    tracing::info!(%address, %server, %error, "others cannot reach this peer; it asks its configured peers to relay");
                }
                self.reach.refuted = true;
            }
        }
    }

    /// We dialled a peer because it wanted to know whether it can be reached. The connection has no further use.
    pub(super) fn on_dial_back(&mut self, event: &autonat::v2::server::Event) {
        if event.result.is_ok()
            && let Some(connection) = self.peers.second_connection_at(&event.client, &event.tested_addr)
        {
            self.swarm.close_connection(connection);
        }
    }

    /// Records whether a configured peer offers to relay.
    pub(super) fn note_relay(&mut self, peer: PeerId, info: &identify::Info) {
        if self.peers.is_given(&peer) && info.protocols.contains(&relay::HOP_PROTOCOL_NAME) {
            self.reach.relays.insert(peer);
        } else {
            self.reach.relays.remove(&peer);
        }
    }

    /// A peer is gone, and with it its offer to relay.
    pub(super) fn forget_relay(&mut self, peer: &PeerId) {
        self.reach.relays.remove(peer);
    }

    /// A listener has closed. Returns whether it was a reservation at a relay, in which case another is sought.
    pub(super) fn on_reservation_ended(&mut self, listener: ListenerId) -> bool {
        let before = self.reach.reserved.len();
        self.reach.reserved.retain(|_, reserved| *reserved != listener);
        self.reach.reserved.len() < before
    }

    /// Periodic work on reservations and relayed connections.
    pub(super) fn tidy_reach(&mut self, now: Instant) {
        self.reserve(now);
        let superseded = self.peers.superseded();
        self.reach.retiring.retain(|connection, _| superseded.contains(connection));
        for connection in superseded {
            let close_at = *self.reach.retiring.entry(connection).or_insert(now + RELAYED_GRACE);
            if close_at <= now {
                tracing::debug!(%connection, "closing a relayed connection that a direct one replaces");
                self.swarm.close_connection(connection);
            }
        }
    }

    fn reserve(&mut self, now: Instant) {
        if !self.reach.needs_relay() || self.reach.reserve_at > now {
            return;
        }
        self.reach.reserve_at = now + RESERVE_INTERVAL;
        let missing = RELAYS.saturating_sub(self.reach.reserved.len());
        let candidates = self.reach.relays.iter().filter(|relay| !self.reach.reserved.contains_key(*relay));
        for relay in candidates.copied().take(missing).collect::<Vec<_>>() {
            let Some(address) = self.peers.dialled_at(&relay) else { continue };
            let address = address.with(Protocol::P2p(relay)).with(Protocol::P2pCircuit);
            match self.swarm.listen_on(address) {
                Ok(listener) => {
                    self.reach.reserved.insert(relay, listener);
                }
                Err(error) => tracing::debug!(%relay, %error, "no reservation at a relay"),
            }
        }
    }

    /// The result of an attempt to turn a relayed connection into a direct one.
    pub(super) fn on_hole_punched(&self, event: dcutr::Event) {
        let peer = event.remote_peer_id;
        match event.result {
            Ok(connection) => {
                tracing::debug!(%peer, %connection, "a direct connection takes the place of a relayed one")
            }
            Err(error) => tracing::debug!(%peer, %error, "no direct connection; the relay stays in use"),
        }
    }

    /// Peers were found on the local network.
    pub(super) fn on_found_nearby(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        let mut nearby: HashMap<PeerId, Vec<Multiaddr>> = HashMap::new();
        for (peer, address) in found {
            let addresses = nearby.entry(peer).or_default();
            if addresses.len() < peers::ADDRESSES {
                addresses.push(peers::split(address).0);
            }
        }
        for (peer, addresses) in nearby {
            if !self.swarm.is_connected(&peer) && self.peers.wants_more() {
                self.dial(Dial::Peer { peer, addresses, only_these: true });
            }
        }
    }
}
