//! The peers we know: who is connected, whom to dial and when, whom to remember across restarts.
//!
//! Two kinds of peers are dialled while they are not connected: *given* ones, from the configuration, and *remembered*
//! ones, which were connected before. The wait before the next dial grows with each failure, up to a bound. The memory
//! is `peers.json` in the data directory. It is replaced atomically, and losing it does no harm.
//!
//! Whoever connects to this peer decides who is in its memory, and ids are free. So a few peers are *anchors*: this peer
//! dialled them, and they brought something new or speak for a validator. Nobody pushes them out of the memory, and after
//! a restart they are dialled before all other remembered ones. And this peer looks for more peers as long as it has
//! opened few connections itself, however many others have opened.

use super::introduction::{Claim, Introduction};
use allod_protocol::ground::ids::PublicKey;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::ConnectionId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The name of the memory in the data directory.
pub(super) const FILE: &str = "peers.json";
/// Maximum number of peers remembered.
const REMEMBERED: usize = 100;
/// Maximum number of anchors.
const ANCHORS: usize = 8;
/// Failed dials in a row after which an anchor may be replaced.
const ANCHOR_FAILURES: u32 = 6;
/// Maximum number of addresses kept per peer.
pub(super) const ADDRESSES: usize = 8;
/// Maximum size of an address, in bytes.
pub(super) const ADDRESS_SIZE_BYTES: usize = 256;
/// Maximum size of the memory file that is read, in bytes.
const FILE_SIZE_BYTES: u64 = 1024 * 1024;
/// The wait before the first dial after a failure. It doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The maximum wait before a given peer is dialled again.
const GIVEN_WAIT: Duration = Duration::from_secs(10);
/// The maximum wait before a remembered peer is dialled again.
const REMEMBERED_WAIT: Duration = Duration::from_secs(60);
/// The wait before a peer that turned out to belong to another network is dialled again.
const FOREIGN_WAIT: Duration = Duration::from_secs(300);
/// Number of connected peers at which we stop looking for more, unless there are more validators.
const ENOUGH_PEERS: usize = 32;
/// Number of peers that this one has dialled below which it looks for more in any case.
const ENOUGH_DIALLED: usize = 8;
/// Maximum number of dials started at a time.
const DIALS_AT_ONCE: usize = 8;
/// How long a connected peer may take to say which network it belongs to.
const IDENTIFY_PATIENCE: Duration = Duration::from_secs(20);
/// How long a guest may stay: many times as long as a search in the hash table takes.
const GUEST_TIME: Duration = Duration::from_secs(120);
/// Maximum number of guests at a time, out of the connections that others open.
const GUESTS: usize = 32;

/// A connection that ends this soon, before the other side has said who it is, was not wanted there.
const TURNED_AWAY: Duration = Duration::from_secs(5);
/// After how many of them in a row a peer counts as one that refuses this one.
const REFUSALS: u32 = 3;
/// Maximum number of peers that are named for what became of their connections.
const UNWELCOMING: usize = 16;

/// What became of the connections to a peer that this one wants to be connected to.
#[derive(Clone, Copy, Debug, Default)]
struct Reception {
    /// How many ended at once, in a row.
    turned_away: u32,
    /// It belongs to another network.
    foreign: bool,
}

/// Which side opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The other peer dialled.
    Inbound,
    /// We dialled.
    Outbound,
}

/// A connected peer of this network.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its identity.
    pub peer: PeerId,
    /// Where it listens, according to itself; otherwise where it was reached.
    pub addresses: Vec<Multiaddr>,
    /// Its software and version, according to itself: at most 64 characters.
    pub agent: String,
    /// When it connected.
    pub since: SystemTime,
    /// Which side opened its oldest connection.
    pub direction: Direction,
    /// The last measured round-trip time.
    pub rtt: Option<Duration>,
}

#[derive(Debug)]
struct Connected {
    connections: Vec<Connection>,
    since: SystemTime,
    established_at: Instant,
    /// What it says about itself, once it has identified itself as a peer of this network.
    identified: Option<Identified>,
    /// Whether it is not an allod peer at all, and there was room for it as a guest.
    guest: bool,
    rtt: Option<Duration>,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    direction: Direction,
    remote: Multiaddr,
    /// The life of the process at the other end, once the peer has reported it.
    life: Option<u64>,
}

#[derive(Debug)]
struct Identified {
    at: Instant,
    agent: String,
    addresses: Vec<Multiaddr>,
    /// The validator that it claims to speak for.
    claim: Option<Claim>,
    /// The same, once the claim is verified.
    validator: Option<PublicKey>,
}

/// A peer to dial.
#[derive(Debug)]
struct Known {
    addresses: Vec<Multiaddr>,
    given: bool,
    anchor: bool,
    last_seen_unix_s: u64,
    failures: u32,
    dial_at: Instant,
    reception: Reception,
}

/// A given address that does not name its peer.
#[derive(Debug)]
struct Nameless {
    address: Multiaddr,
    peer: Option<PeerId>,
    failures: u32,
    dial_at: Instant,
    reception: Reception,
}

/// A dial to start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dial {
    Peer { peer: PeerId, addresses: Vec<Multiaddr>, only_these: bool },
    Address(Multiaddr),
}

#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    version: u8,
    peers: Vec<RememberedPeer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RememberedPeer {
    peer: String,
    addresses: Vec<String>,
    last_seen_unix_s: u64,
    #[serde(default)]
    anchor: bool,
}

/// All peers we know.
#[derive(Debug)]
pub(super) struct PeerBook {
    local: PeerId,
    connected: HashMap<PeerId, Connected>,
    known: HashMap<PeerId, Known>,
    nameless: Vec<Nameless>,
    /// Number of validators that decide the next blocks.
    validators: usize,
    changed: bool,
}

impl PeerBook {
    pub(super) fn new(local: PeerId) -> Self {
        let (connected, known) = (HashMap::new(), HashMap::new());
        Self { local, connected, known, nameless: Vec::new(), validators: 0, changed: false }
    }

    /// Sets the number of validators that decide the next blocks: at least as many peers are worth knowing.
    pub(super) fn set_validators(&mut self, count: usize) {
        self.validators = count;
    }

    /// Adds an address of the configuration. Returns the peer that it names, if any, unless it is our own.
    pub(super) fn give(&mut self, address: Multiaddr) -> Option<PeerId> {
        let (address, peer) = split(address);
        let dial_at = Instant::now();
        let Some(peer) = peer else {
            self.nameless.push(Nameless { address, peer: None, failures: 0, dial_at, reception: Reception::default() });
            return None;
        };
        if peer == self.local {
            return None;
        }
        let known = self.known.entry(peer).or_insert_with(|| Known::new(dial_at));
        known.given = true;
        // It goes before the remembered ones.
        known.put_first(address);
        Some(peer)
    }

    /// The peers that are connected or remembered, with the addresses that are known of them.
    pub(super) fn known_addresses(&self) -> impl Iterator<Item = (PeerId, &[Multiaddr])> {
        let connected =
            self.connected.keys().filter(|peer| !self.known.contains_key(*peer)).map(|peer| (*peer, &[][..]));
        self.known.iter().map(|(peer, known)| (*peer, known.addresses.as_slice())).chain(connected)
    }

    pub(super) fn is_given(&self, peer: &PeerId) -> bool {
        self.known.get(peer).is_some_and(|known| known.given)
    }

    /// A connection was established. If it was dialled at a configured address, that address learns its peer's id.
    pub(super) fn on_established(&mut self, peer: PeerId, id: ConnectionId, direction: Direction, remote: Multiaddr) {
        let (remote, _) = split(remote);
        let now = Instant::now();
        if direction == Direction::Outbound {
            for nameless in self.nameless.iter_mut().filter(|nameless| nameless.address == remote) {
                (nameless.peer, nameless.failures) = (Some(peer), 0);
            }
        }
        if let Some(known) = self.known.get_mut(&peer) {
            known.failures = 0;
        }
        let connected = self.connected.entry(peer).or_insert_with(|| Connected {
            connections: Vec::new(),
            since: SystemTime::now(),
            established_at: now,
            identified: None,
            guest: false,
            rtt: None,
        });
        connected.connections.push(Connection { id, direction, remote, life: None });
    }

    /// Records which life of its process a peer reports on a connection. Returns whether another connection reported a
    /// different one: one of the two is silently dead, and only a fresh start helps.
    pub(super) fn is_another_life(&mut self, peer: &PeerId, id: ConnectionId, life: u64) -> bool {
        let Some(connected) = self.connected.get_mut(peer) else { return false };
        for connection in connected.connections.iter_mut().filter(|connection| connection.id == id) {
            connection.life = Some(life);
        }
        connected.connections.iter().any(|connection| connection.life.is_some_and(|other| other != life))
    }

    /// A connection is gone. Returns whether it was the last one of an identified peer.
    pub(super) fn on_closed(&mut self, peer: PeerId, id: ConnectionId) -> bool {
        let Some(connected) = self.connected.get_mut(&peer) else { return false };
        connected.connections.retain(|connection| connection.id != id);
        if !connected.connections.is_empty() {
            return false;
        }
        let identified = connected.identified.is_some();
        let now = Instant::now();
        let at_once = now.saturating_duration_since(connected.established_at) < TURNED_AWAY;
        if !identified && at_once && !connected.guest {
            self.receptions(peer).for_each(|reception| reception.turned_away = reception.turned_away.saturating_add(1));
        }
        self.connected.remove(&peer);
        if let Some(known) = self.known.get_mut(&peer) {
            known.dial_at = known.dial_at.max(now + jittered(FIRST_WAIT));
        }
        for nameless in self.nameless.iter_mut().filter(|nameless| nameless.peer == Some(peer)) {
            nameless.dial_at = nameless.dial_at.max(now + jittered(FIRST_WAIT));
        }
        identified
    }

    /// A peer of this network has identified itself. Returns its addresses that may be reachable from here, whether its
    /// connection is news, and the addresses that it no longer has.
    pub(super) fn on_identified(
        &mut self,
        peer: PeerId,
        agent: &str,
        mut listen_addrs: Vec<Multiaddr>,
    ) -> Option<(Vec<Multiaddr>, bool, Vec<Multiaddr>)> {
        let connected = self.connected.get_mut(&peer)?;
        let near = connected.connections.iter().any(|connection| is_loopback(&connection.remote));
        // A peer with reservations at relays has few other addresses worth a place in the list.
        listen_addrs.sort_by_key(|address| !is_relayed(address));
        let mut addresses = Vec::new();
        for address in listen_addrs.into_iter().map(|address| split(address).0) {
            if addresses.len() < ADDRESSES && may_be_reached(&address, near) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let (software, introduction) = Introduction::of_agent(agent);
        let agent = software.chars().filter(|c| !c.is_control()).take(64).collect();
        let claim = introduction.and_then(|introduction| introduction.claim);
        let before = connected.identified.as_ref();
        let validator = before.filter(|before| before.claim == claim).and_then(|before| before.validator);
        let at = before.map_or_else(Instant::now, |before| before.at);
        let said = Identified { at, agent, addresses: addresses.clone(), claim, validator };
        let before = connected.identified.replace(said);
        let news = before.is_none();
        let mut outdated = before.map(|before| before.addresses).unwrap_or_default();
        outdated.retain(|address| !addresses.contains(address));
        self.receptions(peer).for_each(|reception| *reception = Reception::default());
        self.remember(peer, &addresses);
        Some((addresses, news, outdated))
    }

    fn remember(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        if addresses.is_empty() {
            return;
        }
        let now = Instant::now();
        if !self.known.contains_key(&peer) {
            self.make_room();
        }
        let known = self.known.entry(peer).or_insert_with(|| Known::new(now));
        // What it says about itself now replaces what it said before; addresses that proved good stay.
        if !known.given && !known.anchor {
            known.addresses.clear();
        }
        for address in addresses {
            known.add(address.clone());
        }
        known.last_seen_unix_s = unix_now_s();
        self.changed = true;
    }

    fn make_room(&mut self) {
        let remembered = self.known.iter().filter(|(_, known)| !known.given);
        if remembered.clone().count() < REMEMBERED {
            return;
        }
        let oldest = remembered
            .filter(|(_, known)| !known.anchor)
            .min_by_key(|(peer, known)| (self.connected.contains_key(*peer), known.last_seen_unix_s))
            .map(|(peer, _)| *peer);
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
    }

    /// A peer brought something new.
    pub(super) fn on_useful(&mut self, peer: &PeerId) {
        self.anchor(peer);
    }

    /// Makes a peer that this one has dialled an anchor, if there is room for one more.
    fn anchor(&mut self, peer: &PeerId) {
        let Some(address) = self.dialled_at(peer) else { return };
        if self.known.get(peer).is_none_or(|known| known.given || known.anchor) {
            return;
        }
        let anchors = self.known.iter().filter(|(_, known)| known.anchor);
        if anchors.clone().count() >= ANCHORS {
            let is_lost = |(peer, known): &(&PeerId, &Known)| {
                !self.connected.contains_key(*peer) && known.failures >= ANCHOR_FAILURES
            };
            let Some(lost) = anchors.filter(is_lost).max_by_key(|(_, known)| known.failures).map(|(peer, _)| *peer)
            else {
                return;
            };
            if let Some(known) = self.known.get_mut(&lost) {
                known.anchor = false;
            }
        }
        if let Some(known) = self.known.get_mut(peer) {
            known.anchor = true;
            // Where it was reached goes before what it says about itself.
            known.put_first(split(address).0);
            self.changed = true;
        }
    }

    /// The anchors.
    pub(super) fn anchors(&self) -> impl Iterator<Item = PeerId> {
        self.known.iter().filter(|(_, known)| known.anchor).map(|(peer, _)| *peer)
    }

    /// A dial failed.
    pub(super) fn on_dial_failed(&mut self, peer: Option<PeerId>, address: Option<&Multiaddr>) {
        let now = Instant::now();
        if let Some(known) = peer.and_then(|peer| self.known.get_mut(&peer)) {
            known.fail(now);
        }
        let Some(address) = address else { return };
        let address = split(address.clone()).0;
        for nameless in self.nameless.iter_mut().filter(|nameless| nameless.address == address) {
            nameless.failures = nameless.failures.saturating_add(1);
            nameless.dial_at = now + wait(nameless.failures, GIVEN_WAIT);
        }
    }

    /// A peer belongs to another network: it is not worth remembering, nor dialling for a while.
    pub(super) fn on_foreign(&mut self, peer: PeerId) {
        self.receptions(peer).for_each(|reception| reception.foreign = true);
        let later = Instant::now() + FOREIGN_WAIT;
        match self.known.get_mut(&peer) {
            Some(known) if known.given => known.dial_at = later,
            _ => self.changed |= self.known.remove(&peer).is_some(),
        }
        for nameless in self.nameless.iter_mut().filter(|nameless| nameless.peer == Some(peer)) {
            nameless.dial_at = later;
        }
    }

    fn receptions(&mut self, peer: PeerId) -> impl Iterator<Item = &mut Reception> {
        let nameless = self.nameless.iter_mut().filter(move |nameless| nameless.peer == Some(peer));
        let known = self.known.get_mut(&peer).map(|known| &mut known.reception);
        known.into_iter().chain(nameless.map(|nameless| &mut nameless.reception))
    }

    /// Peers that this one wants to be connected to and is not: those that close its connections before they say who
    /// they are, and those of another network.
    pub(super) fn unwelcoming(&self) -> (Vec<PeerId>, Vec<PeerId>) {
        let nameless = self.nameless.iter().filter_map(|nameless| Some((nameless.peer?, nameless.reception)));
        let known = self.known.iter().map(|(peer, known)| (*peer, known.reception));
        let all = known.chain(nameless).filter(|(peer, _)| !self.is_identified(peer));
        let (mut refusing, mut foreign) = (BTreeSet::new(), BTreeSet::new());
        for (peer, reception) in all {
            let named = match reception {
                Reception { foreign: true, .. } => &mut foreign,
                Reception { turned_away: REFUSALS.., .. } => &mut refusing,
                Reception { .. } => continue,
            };
            if named.len() < UNWELCOMING {
                named.insert(peer);
            }
        }
        (refusing.into_iter().collect(), foreign.into_iter().collect())
    }

    /// A connected peer is not an allod peer. Returns whether it may stay for a while.
    pub(super) fn on_guest(&mut self, peer: PeerId) -> bool {
        let guests = self.connected.iter().filter(|(other, connected)| connected.guest && **other != peer).count();
        let Some(connected) = self.connected.get_mut(&peer) else { return false };
        // An identified peer does not become something else.
        connected.guest = guests < GUESTS && connected.identified.is_none();
        connected.guest
    }

    /// An address of the configuration is our own.
    pub(super) fn on_own_address(&mut self, address: &Multiaddr) {
        let address = split(address.clone()).0;
        self.nameless.retain(|nameless| nameless.address != address);
    }

    pub(super) fn on_rtt(&mut self, peer: PeerId, rtt: Duration) {
        if let Some(connected) = self.connected.get_mut(&peer) {
            connected.rtt = Some(rtt);
        }
    }

    /// Whether the peer is connected and belongs to this network.
    pub(super) fn is_identified(&self, peer: &PeerId) -> bool {
        self.connected.get(peer).is_some_and(|connected| connected.identified.is_some())
    }

    /// The validator that a peer claims to speak for, if the claim is not verified yet.
    pub(super) fn unproven_claim(&self, peer: &PeerId) -> Option<Claim> {
        let identified = self.connected.get(peer)?.identified.as_ref()?;
        if identified.validator.is_some() { None } else { identified.claim }
    }

    /// A peer's claim is verified.
    pub(super) fn on_proven(&mut self, peer: &PeerId) {
        if let Some(identified) = self.connected.get_mut(peer).and_then(|connected| connected.identified.as_mut()) {
            identified.validator = identified.claim.map(|claim| claim.validator);
        }
        self.anchor(peer);
    }

    /// The validator key that a peer is known to speak for, even if it no longer decides.
    pub(super) fn validator_of(&self, peer: &PeerId) -> Option<PublicKey> {
        self.connected.get(peer)?.identified.as_ref()?.validator
    }

    /// Connected peers of this network, and since when each is known to be one.
    pub(super) fn identified(&self) -> impl Iterator<Item = (PeerId, Instant)> {
        self.connected.iter().filter_map(|(peer, connected)| Some((*peer, connected.identified.as_ref()?.at)))
    }

    pub(super) fn identified_count(&self) -> usize {
        self.connected.values().filter(|connected| connected.identified.is_some()).count()
    }

    /// Whether more peers are worth looking for.
    pub(super) fn wants_more(&self) -> bool {
        let is_dialled = |one: &&Connected| one.connections.iter().any(|one| one.direction == Direction::Outbound);
        let identified = || self.connected.values().filter(|connected| connected.identified.is_some());
        identified().count() < self.validators.max(ENOUGH_PEERS)
            || identified().filter(is_dialled).count() < ENOUGH_DIALLED
    }

    pub(super) fn count(&self, direction: Direction) -> usize {
        self.infos().filter(|info| info.direction == direction).count()
    }

    pub(super) fn infos(&self) -> impl Iterator<Item = PeerInfo> {
        self.connected.iter().filter_map(|(peer, connected)| {
            let Identified { agent, addresses, .. } = connected.identified.as_ref()?;
            let Connection { direction, remote, .. } = connected.connections.first()?;
            let addresses = if addresses.is_empty() { vec![remote.clone()] } else { addresses.clone() };
            let (agent, since, direction, rtt) = (agent.clone(), connected.since, *direction, connected.rtt);
            Some(PeerInfo { peer: *peer, addresses, agent, since, direction, rtt })
        })
    }

    /// The newest connection to a peer that we opened at this address, if it is not the only one.
    pub(super) fn second_connection_at(&self, peer: &PeerId, address: &Multiaddr) -> Option<ConnectionId> {
        let (address, _) = split(address.clone());
        let connections = &self.connected.get(peer)?.connections;
        let at = |one: &&Connection| one.direction == Direction::Outbound && one.remote == address;
        let newest = connections.iter().rfind(at)?;
        (connections.len() > 1).then_some(newest.id)
    }

    /// The address at which we dialled a connected peer directly.
    pub(super) fn dialled_at(&self, peer: &PeerId) -> Option<Multiaddr> {
        let connections = &self.connected.get(peer)?.connections;
        let direct = connections.iter().find(|one| one.direction == Direction::Outbound && !is_relayed(&one.remote))?;
        Some(direct.remote.clone())
    }

    /// Relayed connections to peers that also have a direct one.
    pub(super) fn superseded(&self) -> Vec<ConnectionId> {
        let mut superseded = Vec::new();
        for connected in self.connected.values() {
            let (relayed, direct): (Vec<_>, Vec<_>) =
                connected.connections.iter().partition(|connection| is_relayed(&connection.remote));
            if !direct.is_empty() {
                superseded.extend(relayed.into_iter().map(|connection| connection.id));
            }
        }
        superseded
    }

    /// Peers whose time is up: those that never said which network they belong to, and guests.
    pub(super) fn overdue(&self, now: Instant) -> Vec<PeerId> {
        self.connected
            .iter()
            .filter(|(_, connected)| {
                let patience = if connected.guest { GUEST_TIME } else { IDENTIFY_PATIENCE };
                connected.identified.is_none() && now.saturating_duration_since(connected.established_at) > patience
            })
            .map(|(peer, _)| *peer)
            .collect()
    }

    /// The dials that are due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Dial> {
        let wants_more = self.wants_more();
        let mut dials = Vec::new();
        for nameless in &mut self.nameless {
            let connected = nameless.peer.is_some_and(|peer| self.connected.contains_key(&peer));
            if !connected && nameless.dial_at <= now {
                nameless.dial_at = now + wait(nameless.failures.saturating_add(1), GIVEN_WAIT);
                dials.push(Dial::Address(nameless.address.clone()));
            }
        }
        let mut known: Vec<_> = self.known.iter_mut().collect();
        known.sort_by_key(|(_, known)| (!known.given, !known.anchor));
        for (peer, known) in known {
            let worth = known.given || known.anchor || wants_more;
            let due = known.dial_at <= now && worth && !known.addresses.is_empty();
            if !due || self.connected.contains_key(peer) || dials.len() >= DIALS_AT_ONCE {
                continue;
            }
            known.dial_at = now + wait(known.failures.saturating_add(1), known.longest_wait());
            dials.push(known.dial(*peer));
        }
        dials
    }

    /// Reads the memory. An unreadable file counts as an empty one.
    pub(super) fn recall(&mut self, path: &Path) {
        let memory = match read_memory(path) {
            Ok(memory) => memory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the remembered peers cannot be read and are forgotten");
                return;
            }
        };
        let now = Instant::now();
        for remembered in memory.peers.into_iter().take(REMEMBERED) {
            let Ok(peer) = remembered.peer.parse::<PeerId>() else { continue };
            if peer == self.local {
                continue;
            }
            let is_room = self.anchors().count() < ANCHORS;
            let known = self.known.entry(peer).or_insert_with(|| Known::new(now));
            known.last_seen_unix_s = remembered.last_seen_unix_s;
            known.anchor = remembered.anchor && is_room;
            for address in remembered.addresses.iter().filter_map(|address| address.parse().ok()) {
                known.add(address);
            }
        }
    }

    /// The new content of the memory, if it has changed since the last call.
    pub(super) fn memory(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut peers: Vec<RememberedPeer> = self
            .known
            .iter()
            .filter(|(_, known)| known.last_seen_unix_s > 0)
            .map(|(peer, known)| RememberedPeer {
                peer: peer.to_string(),
                addresses: known.addresses.iter().map(ToString::to_string).collect(),
                last_seen_unix_s: known.last_seen_unix_s,
                anchor: known.anchor,
            })
            .collect();
        let newest = |one: &RememberedPeer| std::cmp::Reverse((one.anchor, one.last_seen_unix_s));
        peers.sort_by(|one, two| newest(one).cmp(&newest(two)).then(one.peer.cmp(&two.peer)));
        peers.truncate(REMEMBERED);
        serde_json::to_vec_pretty(&Memory { version: 1, peers }).ok()
    }
}

impl Known {
    fn new(dial_at: Instant) -> Self {
        Self {
            addresses: Vec::new(),
            given: false,
            anchor: false,
            last_seen_unix_s: 0,
            failures: 0,
            dial_at,
            reception: Reception::default(),
        }
    }

    fn put_first(&mut self, address: Multiaddr) {
        self.addresses.retain(|other| *other != address);
        self.addresses.insert(0, address);
        self.addresses.truncate(ADDRESSES);
    }

    fn add(&mut self, address: Multiaddr) {
        if self.addresses.len() < ADDRESSES && !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    fn longest_wait(&self) -> Duration {
        if self.given { GIVEN_WAIT } else { REMEMBERED_WAIT }
    }

    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.dial_at = now + wait(self.failures, self.longest_wait());
    }

    /// Dials TCP first, because it costs less and is faster on long paths; after a failure, every known address.
    fn dial(&self, peer: PeerId) -> Dial {
        let tcp: Vec<Multiaddr> = self.addresses.iter().filter(|address| is_tcp(address)).cloned().collect();
        let only_these = self.failures.is_multiple_of(2) && !tcp.is_empty();
        Dial::Peer { peer, addresses: if only_these { tcp } else { self.addresses.clone() }, only_these }
    }
}

fn wait(failures: u32, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    jittered(FIRST_WAIT.saturating_mul(1 << doublings).min(longest))
}

/// Between three and five quarters of the wait, so that peers that failed together do not return together.
fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(0) % 1_001;
    wait.mul_f64(0.75 + f64::from(random) / 2_000.0)
}

fn unix_now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Splits an address into the part before `/p2p/PEERID`, and the peer.
pub(super) fn split(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, Some(peer))
        }
        _ => (address, None),
    }
}

/// Whether an address leads through a relay.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2pCircuit))
}

fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// Whether an address that a peer gives for itself may lead to it from here: another machine's loopback is ours.
fn may_be_reached(address: &Multiaddr, near: bool) -> bool {
    let named = match address.iter().next() {
        Some(Protocol::Ip4(ip)) => !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast(),
        Some(Protocol::Ip6(ip)) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => true,
        _ => false,
    };
    let wired = is_tcp(address) || address.iter().any(|part| matches!(part, Protocol::QuicV1));
    named && wired && address.len() <= ADDRESS_SIZE_BYTES && (near || !is_loopback(address))
}

fn read_memory(path: &Path) -> io::Result<Memory> {
    let size_bytes = std::fs::metadata(path)?.len();
    if size_bytes > FILE_SIZE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{size_bytes} bytes are too many")));
    }
    let memory: Memory = serde_json::from_slice(&std::fs::read(path)?)?;
    if memory.version != 1 {
        let reason = format!("version {} is not the version 1 that this build reads", memory.version);
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(memory)
}

/// Replaces the memory file atomically.
pub(super) fn write_memory(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn waits_double_up_to_a_bound_with_jitter() {
        for (failures, middle_ms) in [(1, 500), (2, 1_000), (5, 8_000), (6, 10_000), (1_000, 10_000)] {
            let wait = wait(failures, GIVEN_WAIT).as_millis();
            assert!((middle_ms * 3 / 4..=middle_ms * 5 / 4).contains(&wait), "{failures}: {wait} ms");
        }
    }

    #[test]
    fn a_given_peer_is_dialled_until_it_is_connected_and_again_when_it_is_gone() {
        let (mut book, peer) = (PeerBook::new(PeerId::random()), PeerId::random());
        book.give(address(&format!("/ip4/10.0.0.1/udp/7641/quic-v1/p2p/{peer}")));
        book.give(address(&format!("/ip4/10.0.0.1/tcp/7641/p2p/{peer}")));
        let now = Instant::now();
        let tcp = vec![address("/ip4/10.0.0.1/tcp/7641")];
        assert_eq!(book.due(now), [Dial::Peer { peer, addresses: tcp, only_these: true }]);
        assert!(book.due(now).is_empty(), "one dial at a time");
        book.on_dial_failed(Some(peer), None);
        let again = book.due(now + GIVEN_WAIT * 2);
        assert!(matches!(&again[..], [Dial::Peer { addresses, only_these: false, .. }] if addresses.len() == 2));
        let id = ConnectionId::new_unchecked(1);
        book.on_established(peer, id, Direction::Outbound, address("/ip4/10.0.0.1/tcp/7641"));
        assert!(book.due(now + GIVEN_WAIT * 4).is_empty());
        assert!(!book.on_closed(peer, id), "it was never identified");
        assert_eq!(book.due(now + GIVEN_WAIT * 4).len(), 1);
    }

    #[test]
    fn a_peer_that_ends_connections_before_it_says_who_it_is_refuses_this_one() {
        let (mut book, peer) = (PeerBook::new(PeerId::random()), PeerId::random());
        book.give(address(&format!("/ip4/10.0.0.1/tcp/7641/p2p/{peer}")));
        let turn_away = |book: &mut PeerBook, id| {
            let id = ConnectionId::new_unchecked(id);
            book.on_established(peer, id, Direction::Outbound, address("/ip4/10.0.0.1/tcp/7641"));
            book.on_closed(peer, id);
        };
        for id in 1..=2 {
            turn_away(&mut book, id);
            assert_eq!(book.unwelcoming(), (vec![], vec![]), "once or twice is chance");
        }
        turn_away(&mut book, 3);
        assert_eq!(book.unwelcoming(), (vec![peer], vec![]));
        // Whether it belongs to this network at all is known once it says so.
        book.on_established(
            peer,
            ConnectionId::new_unchecked(4),
            Direction::Outbound,
            address("/ip4/10.0.0.1/tcp/7641"),
        );
        book.on_foreign(peer);
        assert_eq!(book.unwelcoming(), (vec![], vec![peer]));
        book.on_identified(peer, "allod/1", Vec::new()).unwrap();
        assert_eq!(book.unwelcoming(), (vec![], vec![]));
        assert!(book.on_closed(peer, ConnectionId::new_unchecked(4)));
        assert_eq!(book.unwelcoming(), (vec![], vec![]), "it was welcome once: it begins anew");
        // Strangers that nobody dials are not remembered for it.
        let stranger = PeerId::random();
        for id in 5..9 {
            let id = ConnectionId::new_unchecked(id);
            book.on_established(stranger, id, Direction::Inbound, address("/ip4/10.0.0.9/tcp/1"));
            book.on_closed(stranger, id);
        }
        assert_eq!(book.unwelcoming(), (vec![], vec![]));
    }

    #[test]
    fn a_peer_that_started_anew_is_told_from_one_that_connected_twice() {
        let (mut book, peer) = (PeerBook::new(PeerId::random()), PeerId::random());
        let [first, second, third] = [1, 2, 3].map(ConnectionId::new_unchecked);
        for id in [first, second, third] {
            book.on_established(peer, id, Direction::Inbound, address("/ip4/10.0.0.1/tcp/9"));
        }
        assert!(!book.is_another_life(&peer, first, 7));
        assert!(!book.is_another_life(&peer, first, 7), "it may report the same life again");
        assert!(!book.is_another_life(&peer, second, 7), "both sides dialled at once");
        assert!(book.is_another_life(&peer, third, 8));
        book.on_closed(peer, first);
        book.on_closed(peer, second);
        assert!(!book.is_another_life(&peer, third, 8), "nothing is left of the earlier life");
    }

    #[test]
    fn an_address_without_a_name_learns_it() {
        let (mut book, peer) = (PeerBook::new(PeerId::random()), PeerId::random());
        book.give(address("/ip4/10.0.0.1/tcp/7641"));
        let now = Instant::now();
        assert_eq!(book.due(now), [Dial::Address(address("/ip4/10.0.0.1/tcp/7641"))]);
        let reached = address(&format!("/ip4/10.0.0.1/tcp/7641/p2p/{peer}"));
        book.on_established(peer, ConnectionId::new_unchecked(1), Direction::Outbound, reached);
        assert!(book.due(now + GIVEN_WAIT * 2).is_empty());
    }

    #[test]
    fn addresses_that_mean_nothing_here_are_not_kept() {
        for (text, near, kept) in [
            ("/ip4/10.0.0.1/tcp/1/p2p/12D3KooWJv1mRDrrDubRCd9fpp32CKNQZWX5uBn3n6rLyFdbXhWW/p2p-circuit", false, true),
            ("/ip4/10.0.0.1/tcp/1", false, true),
            ("/ip4/127.0.0.1/tcp/1", false, false),
            ("/ip4/127.0.0.1/tcp/1", true, true),
            ("/ip6/::1/udp/1/quic-v1", false, false),
            ("/ip4/0.0.0.0/tcp/1", true, false),
            ("/dns4/node.example.org/tcp/1", false, true),
            ("/ip4/10.0.0.1/udp/1", false, false),
            ("/memory/1", true, false),
        ] {
            assert_eq!(may_be_reached(&address(text), near), kept, "{text}");
        }
    }

    #[test]
    fn good_peers_are_remembered_across_restarts_and_the_memory_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut book = PeerBook::new(PeerId::random());
        assert_eq!(book.memory(), None, "nothing to write");
        for number in 0..REMEMBERED + 20 {
            let (peer, id) = (PeerId::random(), ConnectionId::new_unchecked(number));
            book.on_established(peer, id, Direction::Inbound, address("/ip4/10.0.0.1/tcp/9"));
            assert!(book.on_identified(peer, "allod/1", vec![address("/ip4/10.0.0.1/tcp/7641")]).unwrap().1);
        }
        write_memory(&path, &book.memory().unwrap()).unwrap();
        let mut again = PeerBook::new(PeerId::random());
        again.recall(&path);
        assert_eq!(again.known.len(), REMEMBERED);
        assert_eq!(again.due(Instant::now()).len(), DIALS_AT_ONCE);
    }

    #[test]
    fn a_crowd_pushes_no_anchor_out_of_the_memory_and_anchors_are_dialled_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut book = PeerBook::new(PeerId::random());
        let mut number = 0;
        let mut connect = |book: &mut PeerBook, direction, reached: &str| {
            let peer = PeerId::random();
            number += 1;
            book.on_established(peer, ConnectionId::new_unchecked(number), direction, address(reached));
            book.on_identified(peer, "allod/1", vec![address("/ip4/10.0.0.9/tcp/7641")]).unwrap();
            book.on_useful(&peer);
            peer
        };
        let anchors: Vec<PeerId> =
            (0..ANCHORS).map(|_| connect(&mut book, Direction::Outbound, "/ip4/10.0.0.1/tcp/7641")).collect();
        let further = connect(&mut book, Direction::Outbound, "/ip4/10.0.0.1/tcp/7641");
        for _ in 0..REMEMBERED * 2 {
            connect(&mut book, Direction::Inbound, "/ip4/10.0.0.2/tcp/9");
        }
        let is = |book: &PeerBook, peer: &PeerId| book.known.get(peer).is_some_and(|known| known.anchor);
        assert!(anchors.iter().all(|peer| is(&book, peer)) && !is(&book, &further));
        assert_eq!(book.anchors().count(), ANCHORS, "who connects here is no anchor, however useful");

        write_memory(&path, &book.memory().unwrap()).unwrap();
        let mut again = PeerBook::new(PeerId::random());
        again.recall(&path);
        assert_eq!(again.known.len(), REMEMBERED);
        let dialled = again.due(Instant::now());
        let reached = vec![address("/ip4/10.0.0.1/tcp/7641"), address("/ip4/10.0.0.9/tcp/7641")];
        for peer in &anchors {
            assert!(dialled.contains(&Dial::Peer { peer: *peer, addresses: reached.clone(), only_these: true }));
        }

        // One that is lost for good makes room.
        for _ in 0..ANCHOR_FAILURES {
            again.on_dial_failed(Some(anchors[0]), None);
        }
        let fresh = connect(&mut again, Direction::Outbound, "/ip4/10.0.0.1/tcp/7641");
        assert!(is(&again, &fresh) && !is(&again, &anchors[0]) && anchors[1..].iter().all(|peer| is(&again, peer)));
    }

    #[test]
    fn a_memory_that_claims_too_many_anchors_has_few() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let peers = (0..40).map(|_| {
            let addresses = vec!["/ip4/10.0.0.1/tcp/1".into()];
            RememberedPeer { peer: PeerId::random().to_string(), addresses, last_seen_unix_s: 1, anchor: true }
        });
        let memory = Memory { version: 1, peers: peers.collect() };
        std::fs::write(&path, serde_json::to_vec(&memory).unwrap()).unwrap();
        let mut book = PeerBook::new(PeerId::random());
        book.recall(&path);
        assert_eq!((book.anchors().count(), book.known.len()), (ANCHORS, 40));
    }

    #[test]
    fn whoever_comes_does_not_keep_this_peer_from_looking_for_others() {
        let mut book = PeerBook::new(PeerId::random());
        for number in 0..ENOUGH_PEERS * 6 {
            let (peer, id) = (PeerId::random(), ConnectionId::new_unchecked(number));
            book.on_established(peer, id, Direction::Inbound, address("/ip4/10.0.0.1/tcp/9"));
            book.on_identified(peer, "allod/1", vec![]).unwrap();
        }
        for number in 1..=ENOUGH_DIALLED {
            assert!(book.wants_more());
            let (peer, id) = (PeerId::random(), ConnectionId::new_unchecked(number * 1_000));
            book.on_established(peer, id, Direction::Outbound, address("/ip4/10.0.0.1/tcp/9"));
            book.on_identified(peer, "allod/1", vec![]).unwrap();
        }
        assert!(!book.wants_more());
    }

    #[test]
    fn guests_stay_for_a_while_and_are_few() {
        let mut book = PeerBook::new(PeerId::random());
        let guests: Vec<PeerId> = (0..=GUESTS).map(|_| PeerId::random()).collect();
        for (number, guest) in guests.iter().enumerate() {
            let id = ConnectionId::new_unchecked(number);
            book.on_established(*guest, id, Direction::Inbound, address("/ip4/10.0.0.1/tcp/9"));
            assert_eq!(book.on_guest(*guest), number < GUESTS);
        }
        assert!(book.on_guest(guests[0]), "a guest takes only one place");
        let now = Instant::now();
        assert_eq!(book.overdue(now + IDENTIFY_PATIENCE * 2), [guests[GUESTS]]);
        assert_eq!(book.overdue(now + GUEST_TIME * 2).len(), GUESTS + 1);
        assert_eq!(book.infos().count(), 0, "a guest is not listed as a peer");
        assert_eq!(book.memory(), None, "nor is it remembered");
    }

    #[test]
    fn a_direct_connection_supersedes_relayed_ones() {
        let (mut book, peer, relay) = (PeerBook::new(PeerId::random()), PeerId::random(), PeerId::random());
        let relayed = address(&format!("/ip4/10.0.0.1/tcp/7641/p2p/{relay}/p2p-circuit/p2p/{peer}"));
        let [first, second, third] = [1, 2, 3].map(ConnectionId::new_unchecked);
        book.on_established(peer, first, Direction::Outbound, relayed);
        assert_eq!((book.superseded(), book.dialled_at(&peer)), (vec![], None));
        let direct = address("/ip4/10.0.0.2/tcp/7641");
        assert_eq!(book.second_connection_at(&peer, &direct), None);
        book.on_established(peer, second, Direction::Outbound, direct.clone());
        assert_eq!((book.superseded(), book.dialled_at(&peer)), (vec![first], Some(direct.clone())));
        book.on_established(peer, third, Direction::Outbound, direct.clone());
        assert_eq!(book.second_connection_at(&peer, &direct), Some(third), "the newest");
        book.on_closed(peer, first);
        book.on_closed(peer, third);
        assert_eq!(
            (book.superseded(), book.second_connection_at(&peer, &direct)),
            (vec![], None),
            "the last one stays"
        );
    }

    #[test]
    fn a_damaged_memory_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        for text in ["", "{", "{\"version\":9,\"peers\":[]}", "{\"version\":1,\"peers\":[{\"peer\":\"x\"}]}"] {
            std::fs::write(&path, text).unwrap();
            let mut book = PeerBook::new(PeerId::random());
            book.recall(&path);
            assert!(book.known.is_empty(), "{text}");
        }
    }
}
