//! Which connections that others open are let in, and which give way.
//!
//! Ids and connections are free for a stranger, network addresses less so. So strangers are bounded by their *block* of
//! addresses (an IPv4 /24, an IPv6 /48): each block has a share of the handshakes in progress, an allowance of handshakes
//! a second, because each takes a processor for a while, and a share of the places. If the
//! places are all taken, a newcomer takes the place of a stranger, the youngest of the block with the most, so that
//! whoever fills the places displaces itself. Strangers that were useful lately or have been here for longest stay.
//!
//! Peers that this one needs (validators' and configured ones) are always let in, and handshakes from their addresses
//! have places of their own, because a handshake does not say yet who is there.
//!
//! The bounds on connections that this peer opens, and on those with one peer, are the library's.

use super::offences::{Bucket, Rate};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour,
        THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// How long a peer that was needed stays so after it was last seen to be: a validator that restarts is one.
const NEED_MEMORY: Duration = Duration::from_secs(3_600);
/// Maximum number of needed peers that are remembered.
const NEEDED: usize = 1_024;

/// Maximum number of blocks whose allowance is kept. Whoever has addresses in more of them has as many new allowances.
const BLOCKS: usize = 4_096;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Maximum number of handshakes in progress.
    pub(super) pending: usize,
    /// Of those, from one block.
    pub(super) pending_per_block: usize,
    /// Handshakes that one block may begin.
    pub(super) handshakes_per_block: Rate,
    /// As many more from addresses of needed peers.
    pub(super) pending_of_needed: usize,
    /// Maximum number of connections that strangers opened.
    pub(super) strangers: usize,
    /// Of those, from one block.
    pub(super) strangers_per_block: usize,
    /// How many useful strangers stay, and as many again that have been here for longest.
    pub(super) protected: usize,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("too many handshakes are in progress")]
    Handshakes,
    #[error("too many handshakes from one block of addresses are in progress")]
    HandshakesOfBlock,
    #[error("one block of addresses begins too many handshakes")]
    TooFast,
    #[error("the connections that are here are worth more")]
    Places,
}

/// A block of network addresses. `None` if the address tells nothing: on this machine, or through a relay.
type Block = Option<IpAddr>;

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    if address.iter().any(|part| matches!(part, Protocol::P2pCircuit)) {
        return None;
    }
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.to_canonical()),
        _ => None,
    })
}

fn block_of(address: &Multiaddr) -> Block {
    match ip_of(address)? {
        IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST) => None,
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Some(IpAddr::from([a, b, c, 0]))
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            Some(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into())
        }
    }
}

#[derive(Debug)]
struct Handshake {
    block: Block,
    /// It comes from the address of a needed peer.
    expected: bool,
}

#[derive(Debug)]
struct Connection {
    peer: PeerId,
    block: Block,
    since: Instant,
}

/// The connections that others opened.
#[derive(Debug)]
pub(super) struct Behaviour {
    bounds: Bounds,
    handshakes: HashMap<ConnectionId, Handshake>,
    allowances: HashMap<IpAddr, Bucket>,
    connections: HashMap<ConnectionId, Connection>,
    /// When peers were last seen to be needed.
    needed: HashMap<PeerId, Instant>,
    needed_addresses: HashSet<IpAddr>,
    /// When connected peers last brought something new.
    useful: HashMap<PeerId, Instant>,
    closing: VecDeque<(PeerId, ConnectionId)>,
    waker: Option<Waker>,
}

impl Behaviour {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            handshakes: HashMap::new(),
            allowances: HashMap::new(),
            connections: HashMap::new(),
            needed: HashMap::new(),
            needed_addresses: HashSet::new(),
            useful: HashMap::new(),
            closing: VecDeque::new(),
            waker: None,
        }
    }

    /// Says which peers are needed now, and at which addresses they are known.
    pub(super) fn set_needed<'a>(&mut self, peers: impl IntoIterator<Item = (PeerId, &'a [Multiaddr])>, now: Instant) {
        self.needed_addresses.clear();
        for (peer, addresses) in peers {
            if self.needed.len() < NEEDED || self.needed.contains_key(&peer) {
                self.needed.insert(peer, now);
            }
            self.needed_addresses.extend(addresses.iter().filter_map(ip_of));
        }
        self.needed.retain(|_, seen_at| now.saturating_duration_since(*seen_at) < NEED_MEMORY);
    }

    /// A peer brought something new.
    pub(super) fn on_useful(&mut self, peer: PeerId) {
        if self.connections.values().any(|connection| connection.peer == peer) {
            self.useful.insert(peer, Instant::now());
        }
    }

    fn begin_handshake(&mut self, id: ConnectionId, remote: &Multiaddr) -> Result<(), Refusal> {
        let (block, expected) = (block_of(remote), ip_of(remote).is_some_and(|ip| self.needed_addresses.contains(&ip)));
        let in_progress =
            |counts: &dyn Fn(&Handshake) -> bool| self.handshakes.values().filter(|one| counts(one)).count();
        if expected {
            let room = self.bounds.pending.saturating_add(self.bounds.pending_of_needed);
            if self.handshakes.len() >= room {
                return Err(Refusal::Handshakes);
            }
        } else if in_progress(&|one| !one.expected) >= self.bounds.pending {
            return Err(Refusal::Handshakes);
        } else if block.is_some() && in_progress(&|one| one.block == block) >= self.bounds.pending_per_block {
            return Err(Refusal::HandshakesOfBlock);
        } else if block.is_some_and(|block| !self.spend(block, Instant::now())) {
            return Err(Refusal::TooFast);
        }
        self.handshakes.insert(id, Handshake { block, expected });
        Ok(())
    }

    /// Spends the allowance of a block for one handshake. Returns whether it sufficed.
    fn spend(&mut self, block: IpAddr, now: Instant) -> bool {
        if !self.allowances.contains_key(&block) && self.allowances.len() >= BLOCKS {
            self.allowances.retain(|_, bucket| !bucket.is_full(now));
            if self.allowances.len() >= BLOCKS {
                self.allowances.clear();
            }
        }
        let rate = self.bounds.handshakes_per_block;
        self.allowances.entry(block).or_insert_with(|| Bucket::new(rate, now)).take(1.0, now)
    }

    fn let_in(&mut self, id: ConnectionId, peer: PeerId, remote: &Multiaddr) -> Result<(), Refusal> {
        self.handshakes.remove(&id);
        let block = block_of(remote);
        if !self.needed.contains_key(&peer) {
            let strangers = || self.connections.values().filter(|one| !self.needed.contains_key(&one.peer));
            let of_block = strangers().filter(|one| one.block == block).count();
            if block.is_some() && of_block >= self.bounds.strangers_per_block {
                self.displace(|one| one.block == block)?;
            } else if strangers().count() >= self.bounds.strangers {
                self.displace(|_| true)?;
            }
        }
        self.connections.insert(id, Connection { peer, block, since: Instant::now() });
        Ok(())
    }

    /// Closes a stranger's connection to make room.
    fn displace(&mut self, may: impl Fn(&Connection) -> bool) -> Result<(), Refusal> {
        let mut strangers: Vec<(ConnectionId, &Connection)> = self
            .connections
            .iter()
            .filter(|(_, one)| !self.needed.contains_key(&one.peer))
            .map(|(id, one)| (*id, one))
            .collect();
        let mut of_block: HashMap<Block, usize> = HashMap::new();
        for (_, one) in &strangers {
            let count = of_block.entry(one.block).or_default();
            *count = count.saturating_add(1);
        }
        strangers.sort_by_key(|(_, one)| std::cmp::Reverse(self.useful.get(&one.peer).copied()));
        let useful =
            strangers.iter().take(self.bounds.protected).filter(|(_, one)| self.useful.contains_key(&one.peer));
        let mut stays: HashSet<ConnectionId> = useful.map(|(id, _)| *id).collect();
        strangers.sort_by_key(|(_, one)| one.since);
        stays.extend(strangers.iter().take(self.bounds.protected).map(|(id, _)| *id));
        let goes = strangers
            .iter()
            .filter(|(id, one)| !stays.contains(id) && may(one))
            .max_by_key(|(_, one)| (of_block.get(&one.block).copied(), one.since));
        let Some((id, peer)) = goes.map(|(id, one)| (*id, one.peer)) else { return Err(Refusal::Places) };
        self.connections.remove(&id);
        self.closing.push_back((peer, id));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    fn on_gone(&mut self, id: ConnectionId) {
        self.handshakes.remove(&id);
        if let Some(Connection { peer, .. }) = self.connections.remove(&id)
            && !self.connections.values().any(|one| one.peer == peer)
        {
            self.useful.remove(&peer);
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.begin_handshake(id, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.let_in(id, peer, remote).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => self.on_gone(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((peer_id, id)) = self.closing.pop_front() {
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) });
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        pending: 8,
        pending_per_block: 2,
        handshakes_per_block: Rate { per_second: 1.0, at_once: 20.0 },
        pending_of_needed: 2,
        strangers: 16,
        strangers_per_block: 6,
        protected: 2,
    };

    fn at(ip: &str) -> Multiaddr {
        format!("/ip4/{ip}/tcp/1").parse().expect("an address")
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn closed(behaviour: &mut Behaviour) -> Vec<ConnectionId> {
        behaviour.closing.drain(..).map(|(_, id)| id).collect()
    }

    #[test]
    fn silent_handshakes_of_one_block_leave_room_for_others() {
        let mut behaviour = Behaviour::new(BOUNDS);
        assert_eq!(behaviour.begin_handshake(id(1), &at("10.0.0.1")), Ok(()));
        assert_eq!(behaviour.begin_handshake(id(2), &at("10.0.0.2")), Ok(()));
        assert_eq!(behaviour.begin_handshake(id(3), &at("10.0.0.3")), Err(Refusal::HandshakesOfBlock));
        assert_eq!(behaviour.begin_handshake(id(4), &at("10.0.1.3")), Ok(()));
        behaviour.on_gone(id(1));
        assert_eq!(behaviour.begin_handshake(id(5), &at("10.0.0.3")), Ok(()));
    }

    #[test]
    fn a_block_that_comes_and_goes_without_end_is_slowed_and_others_are_not() {
        let mut behaviour = Behaviour::new(BOUNDS);
        let mut begun = 0;
        for number in 0..200 {
            match behaviour.begin_handshake(id(number), &at("10.0.0.1")) {
                Ok(()) => begun += 1,
                Err(refusal) => assert_eq!(refusal, Refusal::TooFast),
            }
            behaviour.on_gone(id(number));
        }
        // The clock runs, by seconds at most.
        assert!((20..40).contains(&begun), "{begun} handshakes");
        assert_eq!(behaviour.begin_handshake(id(1_000), &at("10.0.1.1")), Ok(()));
        let now = Instant::now();
        for number in 0..=u32::try_from(BLOCKS).expect("few") {
            let block = IpAddr::V4(Ipv4Addr::from_bits(number << 8));
            assert!(behaviour.spend(block, now + Duration::from_secs(60)));
        }
        assert!(behaviour.allowances.len() <= BLOCKS);
    }

    #[test]
    fn handshakes_from_a_needed_peers_address_find_room_whoever_fills_the_rest() {
        let mut behaviour = Behaviour::new(BOUNDS);
        let (needed, address) = (PeerId::random(), at("10.9.0.1"));
        behaviour.set_needed([(needed, std::slice::from_ref(&address))], Instant::now());
        for number in 0..8u8 {
            assert_eq!(behaviour.begin_handshake(id(number.into()), &at(&format!("10.0.{number}.1"))), Ok(()));
        }
        assert_eq!(behaviour.begin_handshake(id(20), &at("10.8.0.1")), Err(Refusal::Handshakes));
        assert_eq!(behaviour.begin_handshake(id(21), &address), Ok(()));
        assert_eq!(behaviour.begin_handshake(id(22), &address), Ok(()));
        assert_eq!(behaviour.begin_handshake(id(23), &address), Err(Refusal::Handshakes));
    }

    #[test]
    fn whoever_fills_the_places_displaces_itself_and_newcomers_come_in() {
        let mut behaviour = Behaviour::new(BOUNDS);
        for number in 0..6usize {
            assert_eq!(behaviour.let_in(id(number), PeerId::random(), &at("10.0.0.1")), Ok(()));
        }
        assert_eq!(behaviour.let_in(id(6), PeerId::random(), &at("10.0.0.2")), Ok(()));
        assert_eq!(closed(&mut behaviour), [id(5)], "the youngest of the same block");
        for number in 10..20usize {
            assert_eq!(behaviour.let_in(id(number), PeerId::random(), &at(&format!("10.1.{number}.1"))), Ok(()));
        }
        assert!(closed(&mut behaviour).is_empty());
        assert_eq!(behaviour.let_in(id(30), PeerId::random(), &at("10.2.0.1")), Ok(()));
        assert_eq!(closed(&mut behaviour), [id(6)], "the youngest of the largest block");
    }

    #[test]
    fn who_is_needed_takes_no_strangers_place_and_gives_none_up() {
        let mut behaviour = Behaviour::new(BOUNDS);
        let needed: Vec<PeerId> = (0..20).map(|_| PeerId::random()).collect();
        behaviour.set_needed(needed.iter().map(|peer| (*peer, &[][..])), Instant::now());
        for (number, peer) in needed.iter().enumerate() {
            assert_eq!(behaviour.let_in(id(number), *peer, &at("10.0.0.1")), Ok(()));
        }
        for number in 100..140usize {
            assert_eq!(behaviour.let_in(id(number), PeerId::random(), &at(&format!("10.1.{number}.1"))), Ok(()));
        }
        let closed = closed(&mut behaviour);
        assert_eq!(closed.len(), 24);
        assert!((0..20).all(|number| !closed.contains(&id(number))));
    }

    #[test]
    fn useful_strangers_and_old_ones_stay() {
        let mut behaviour = Behaviour::new(BOUNDS);
        let peers: Vec<PeerId> = (0..16).map(|_| PeerId::random()).collect();
        for (number, peer) in peers.iter().enumerate() {
            assert_eq!(behaviour.let_in(id(number), *peer, &at(&format!("10.{number}.0.1"))), Ok(()));
        }
        for peer in &peers[14..] {
            behaviour.on_useful(*peer);
        }
        for number in 20..60usize {
            assert_eq!(behaviour.let_in(id(number), PeerId::random(), &at(&format!("10.{number}.0.1"))), Ok(()));
        }
        let closed = closed(&mut behaviour);
        for stays in [0, 1, 14, 15] {
            assert!(!closed.contains(&id(stays)), "{stays}");
        }
    }

    #[test]
    fn need_is_forgotten_after_a_while() {
        let mut behaviour = Behaviour::new(BOUNDS);
        let (peer, start) = (PeerId::random(), Instant::now());
        behaviour.set_needed([(peer, &[][..])], start);
        behaviour.set_needed([], start + NEED_MEMORY / 2);
        assert!(behaviour.needed.contains_key(&peer));
        behaviour.set_needed([], start + NEED_MEMORY);
        assert!(behaviour.needed.is_empty());
    }

    #[test]
    fn addresses_of_this_machine_and_of_relays_are_in_no_block() {
        for (address, block) in [
            ("/ip4/127.0.0.1/tcp/1", None),
            ("/ip4/127.0.2.9/tcp/1", Some("127.0.2.0")),
            ("/ip4/192.168.7.9/udp/1/quic-v1", Some("192.168.7.0")),
            ("/ip6/2001:db8:1:2::3/tcp/1", Some("2001:db8:1::")),
            ("/ip6/::ffff:10.0.0.7/tcp/1", Some("10.0.0.0")),
            ("/ip4/10.0.0.1/tcp/1/p2p-circuit", None),
        ] {
            let block = block.map(|ip: &str| ip.parse::<IpAddr>().expect("an address"));
            assert_eq!(block_of(&address.parse().expect("an address")), block, "{address}");
        }
    }
}
