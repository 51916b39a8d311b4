//! The deterministic simulator: real hosts, the ones that the node runs, on a virtual clock, network and disk.
//!
//! One [`Plan`] describes a run and its seed replays it: the same plan gives the same [`Report`], trace hash included.
//! Nothing here sleeps, reads a clock or spawns a thread. What a peer decides is decided by
//! [`allod_protocol::agreement::host::Host`]; this is the machine under it, which is slow, loses power between any two things that it
//! is asked to do, and with it what was not synced.
//!
//! - `sim::machine`, `sim::disk`, `sim::network`: what fails
//! - `sim::clients`: what is asked of the ledger
//! - `sim::misbehave`: validators that break the rules
//! - `sim::check`: what must hold all the same
//! - `sim::plans`: the runs that tests make, by name

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "peers are indexed by their number, and a simulator that is wrong should stop the test"
)]

pub mod check;
mod clients;
pub mod disk;
mod machine;
pub mod misbehave;
pub mod network;
pub mod plans;

pub use misbehave::Behaviour;
pub use network::{Network, Partition};

use allod_protocol::{
    agreement::{
        host::{Channel, Host, HostError, gossip},
        mempool::Checked,
        replica::{Message, Timeouts},
    },
    ground::{
        ids::{Height, NetworkId, ValidatorAddress},
        limits,
    },
    ledger::block::DecidedBlock,
    rules::transaction::Transaction,
};
use allod_storage::MemoryLedger;
use check::Checker;
use clients::{Clients, Wish, consensus_key, genesis};
use disk::Disk;
use machine::{Committed, DiskFull, EPOCH_MS, Outcome, PowerFailed, Sent, SimMachine};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

/// How often somebody asks for something where the plan does not say, in virtual milliseconds.
const ASK_EVERY_MS: u64 = 25;
/// After how long a peer hears that its request, or the answer, was lost with the connection, in virtual microseconds.
const BROKEN_AFTER_US: u64 = 300_000;

/// When peers lose power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crashes {
    /// Never.
    #[default]
    None,
    /// One peer at a time, about every so many virtual milliseconds.
    One(u64),
    /// All at once, about every so many virtual milliseconds.
    All(u64),
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything that is left to chance follows from it.
    pub seed: u64,
    /// The run ends when every peer that can decide has decided this height.
    pub heights: u64,
    /// Peers that are validators at first.
    pub validators: usize,
    /// Further peers, not validators at first.
    pub observers: usize,
    /// Whether observers have no key at all.
    pub keyless_observers: bool,
    /// Later validator sets, which the members decide on once a height is reached: which peers with which power. The run
    /// does not end before they are in force.
    pub changes: Vec<(u64, Vec<(usize, u64)>)>,
    /// The network.
    pub network: Network,
    /// Who loses power when.
    pub crashes: Crashes,
    /// Virtual milliseconds after which nobody loses power any more: from then on heights have to end.
    pub crashes_until_ms: u64,
    /// Who breaks the rules; all others are honest.
    pub behaviours: BTreeMap<usize, Behaviour>,
    /// Whether logs are written; only a control turns it off.
    pub keeps_log: bool,
    /// Whether last-signed records are written; only a control turns it off.
    pub keeps_last_signed: bool,
    /// A peer half of whose crashes delete its log as well. One at most: see `allod_protocol::agreement::replica::last_signed`.
    pub loses_log: Option<usize>,
    /// How many writes take up to 30 ms, 0 to 1: meanwhile the peer does nothing else.
    pub slow_disk: f64,
    /// How many writes the disk refuses for lack of space, 0 to 1: the process ends, and is started again.
    pub full_disk: f64,
    /// How far the clocks of peers may jump from true time, in milliseconds.
    pub clock_jumps_ms: u64,
    /// Virtual milliseconds between two things that clients ask for: with nothing to do, no height begins.
    pub ask_every_ms: u64,
    /// How long the steps of a round wait.
    pub timeouts: Timeouts,
    /// Virtual milliseconds without progress that count as a standstill.
    pub patience_ms: u64,
    /// Whether to print what every peer is given and does.
    pub verbose: bool,
}

impl Default for Plan {
    /// Four honest validators on a network that loses nothing.
    fn default() -> Self {
        Self {
            seed: 1,
            heights: 50,
            validators: 4,
            observers: 0,
            keyless_observers: false,
            changes: Vec::new(),
            network: Network::default(),
            crashes: Crashes::None,
            crashes_until_ms: 15_000,
            behaviours: BTreeMap::new(),
            keeps_log: true,
            keeps_last_signed: true,
            loses_log: None,
            slow_disk: 0.0,
            full_disk: 0.0,
            clock_jumps_ms: 0,
            ask_every_ms: ASK_EVERY_MS,
            timeouts: Timeouts { propose_ms: 120, vote_ms: 50, delta_ms: 35, rebroadcast_ms: 220 },
            patience_ms: 60_000,
            verbose: false,
        }
    }
}

impl Plan {
    /// Runs it to its end.
    pub fn run(&self) -> Report {
        Simulation::new(self.clone()).run()
    }
}

/// What was counted in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets sent.
    pub packets: u64,
    /// Packets lost.
    pub lost: u64,
    /// Crashes.
    pub crashes: u64,
    /// Log entries replayed.
    pub replayed: u64,
    /// Syncs of a disk.
    pub syncs: u64,
    /// Transactions that a peer took in from a client.
    pub accepted: u64,
    /// Transactions decided, each once.
    pub decided: u64,
    /// Blocks decided in a later round than the first.
    pub later_rounds: u64,
    /// Blocks that came by catch-up.
    pub caught_up: u64,
    /// Decided blocks that a peer sent and that were refused.
    pub refused_blocks: u64,
    /// Messages refused as faulty.
    pub rejected: u64,
    /// Signatures withheld by the last-signed record.
    pub withheld: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// What went wrong; empty in a good run.
    pub violations: Vec<String>,
    /// Honest validators seen signing twice.
    pub double_signs: u64,
    /// Proofs of voting twice.
    pub double_votes: u64,
    /// Proofs of proposing twice.
    pub double_proposals: u64,
    /// How far each peer came.
    pub heights: Vec<u64>,
    /// How long it took in virtual time.
    pub virtual_ms: u64,
    /// A hash of everything that was done, when, by whom.
    pub trace: String,
    /// What was counted.
    pub counts: Counts,
}

impl Report {
    /// # Panics
    /// With the seed and what went wrong, if anything did.
    pub fn expect_good(&self, what: &str) {
        assert!(
            self.violations.is_empty(),
            "{what}: seed {} failed after {} virtual ms at heights {:?}\n{}\n{:?}\nall of it: cargo run --release --bin \
             allod-sim -- {what} {}",
            self.seed,
            self.virtual_ms,
            self.heights,
            self.violations.iter().take(5).cloned().collect::<Vec<_>>().join("\n"),
            self.counts,
            self.seed,
        );
    }
}

#[derive(Clone)]
enum Packet {
    Consensus(Arc<[u8]>),
    Transactions(Arc<[u8]>),
    Request(Height),
    Blocks(Height, Arc<[DecidedBlock]>),
    NoBlocks,
}

enum Event {
    Deliver { from: usize, to: usize, packet: Packet },
    Submit { to: usize, transaction: Box<Transaction> },
    Wake { peer: usize, boot: u64 },
    Ask,
    Crash,
    Restart { peer: usize },
}

struct Peer {
    address: ValidatorAddress,
    behaviour: Behaviour,
    keyless: bool,
    host: Option<Host<SimMachine>>,
    /// The machine while it is off.
    machine: Option<SimMachine>,
    /// Counts starts: what was scheduled for an earlier one is void.
    boot: u64,
    /// Power fails within the next event.
    doomed: bool,
    /// Until when it is at work on what it was given last.
    busy_until_us: u64,
    /// When it is woken next.
    wakes_us: Option<u64>,
}

/// A run under way.
pub struct Simulation {
    plan: Plan,
    network: NetworkId,
    now_us: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    rng: ChaCha8Rng,
    peers: Vec<Peer>,
    /// Pairs of peers of which one has nothing to do with the other.
    parted: BTreeSet<(usize, usize)>,
    honest: Vec<ValidatorAddress>,
    clients: Clients,
    checker: Checker,
    trace: blake3::Hasher,
    counts: Counts,
}

impl Simulation {
    /// Sets a run up.
    pub fn new(plan: Plan) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let genesis = genesis(plan.validators, plan.timeouts);
        let ledger = MemoryLedger::new(&genesis).expect("a genesis that begins a network");
        let behaviour = |peer: usize| plan.behaviours.get(&peer).copied().unwrap_or_default();
        let peers: Vec<Peer> = (0..plan.validators + plan.observers)
            .map(|peer| {
                let disk = Disk::new(ledger.clone(), plan.keeps_log, plan.keeps_last_signed);
                let (seed, ahead_ms) = (rng.random(), rng.random_range(0..100));
                Peer {
                    address: consensus_key(peer).public_key().validator_address(),
                    behaviour: behaviour(peer),
                    keyless: peer >= plan.validators && plan.keyless_observers,
                    host: None,
                    machine: Some(SimMachine::new(disk, seed, ahead_ms, (plan.slow_disk, plan.full_disk))),
                    boot: 0,
                    doomed: false,
                    busy_until_us: 0,
                    wakes_us: None,
                }
            })
            .collect();
        let honest = peers.iter().filter(|peer| peer.behaviour == Behaviour::Honest).map(|peer| peer.address).collect();
        let wishes = plan.changes.iter().map(|(height, powers)| Wish { height: *height, powers: powers.clone() });
        Self {
            network: genesis.network_id(),
            clients: Clients::new(genesis, wishes.collect()),
            plan,
            now_us: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            rng,
            peers,
            parted: BTreeSet::new(),
            honest,
            checker: Checker::default(),
            trace: blake3::Hasher::new(),
            counts: Counts::default(),
        }
    }

    /// Runs to the planned height, or to the first violation.
    pub fn run(mut self) -> Report {
        for peer in 0..self.peers.len() {
            if self.peers[peer].behaviour != Behaviour::Dead {
                self.boot(peer);
            }
        }
        self.schedule(0, Event::Ask);
        if let Crashes::One(every_ms) | Crashes::All(every_ms) = self.plan.crashes {
            self.schedule(every_ms * 1_000, Event::Crash);
        }
        let (mut reached, mut reached_us) = (0, 0);
        while let Some(Reverse((at_us, sequence))) = self.queue.pop() {
            self.now_us = at_us;
            let event = self.events.remove(&sequence).expect("a queued event is there");
            self.on_event(event);
            let lowest = self.lowest();
            let is_done = lowest >= self.plan.heights && self.clients.are_content();
            if is_done || !self.checker.violations.is_empty() {
                break;
            }
            if lowest > reached {
                (reached, reached_us) = (lowest, self.now_us);
            }
            if self.now_us > reached_us + self.plan.patience_ms * 1_000 {
                let rounds = self.peers.iter().map(|peer| peer.host.as_ref().map(Host::round)).collect();
                self.checker.on_standstill(Height::new(reached), self.now_us, rounds);
                break;
            }
        }
        self.report()
    }

    fn height(&self, peer: usize) -> Height {
        use allod_protocol::agreement::host::Ledger as _;
        let peer = &self.peers[peer];
        let running = peer.host.as_ref().map(|host| host.tip().height);
        running.or_else(|| peer.machine.as_ref().map(|machine| machine.tip().height)).unwrap_or(Height::ZERO)
    }

    /// The height that every honest peer has decided.
    fn lowest(&self) -> u64 {
        let honest = (0..self.peers.len()).filter(|peer| self.peers[*peer].behaviour == Behaviour::Honest);
        honest.map(|peer| self.height(peer).get()).min().unwrap_or(0)
    }

    fn report(mut self) -> Report {
        self.counts.decided = self.checker.transactions();
        Report {
            seed: self.plan.seed,
            heights: (0..self.peers.len()).map(|peer| self.height(peer).get()).collect(),
            violations: self.checker.violations,
            double_signs: self.checker.double_signs,
            double_votes: self.checker.double_votes,
            double_proposals: self.checker.double_proposals,
            virtual_ms: self.now_us / 1_000,
            trace: self.trace.finalize().to_hex().to_string(),
            counts: self.counts,
        }
    }

    fn schedule(&mut self, after_us: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now_us + after_us, self.sequence)));
        self.events.insert(self.sequence, event);
    }

    fn note(&mut self, peer: usize, what: u8, content: &[u8]) {
        self.trace.update(&self.now_us.to_le_bytes()).update(&[peer as u8, what]);
        self.trace.update(&(content.len() as u64).to_le_bytes()).update(content);
    }

    /// For whoever looks for the cause of a failed run.
    fn say(&self, peer: usize, text: impl FnOnce() -> String) {
        if self.plan.verbose {
            let text: String = text().chars().take(300).collect();
            println!("{:>9} us  peer {peer} {text}", self.now_us);
        }
    }

    fn send(&mut self, (from, to): (usize, usize), after_us: u64, packet: Packet) {
        if self.parted.contains(&(from, to)) || self.parted.contains(&(to, from)) {
            return;
        }
        self.counts.packets += 1;
        let arrivals = self.plan.network.arrivals(&mut self.rng, self.now_us + after_us, from, to);
        if arrivals.is_empty() {
            self.counts.lost += 1;
            let broken = match packet {
                Packet::Request(_) => Some((to, from)),
                Packet::Blocks(..) => Some((from, to)),
                Packet::Consensus(_) | Packet::Transactions(_) | Packet::NoBlocks => None,
            };
            if let Some((from, to)) = broken {
                self.schedule(after_us + BROKEN_AFTER_US, Event::Deliver { from, to, packet: Packet::NoBlocks });
            }
        }
        for travel_us in arrivals {
            let packet = match &packet {
                Packet::Consensus(bytes) => Packet::Consensus(self.plan.network.corrupt(&mut self.rng, bytes)),
                Packet::Transactions(bytes) => Packet::Transactions(self.plan.network.corrupt(&mut self.rng, bytes)),
                // Streams have checksums of their own.
                Packet::Request(_) | Packet::Blocks(..) | Packet::NoBlocks => packet.clone(),
            };
            self.schedule(after_us + travel_us, Event::Deliver { from, to, packet });
        }
    }

    fn others(&self, peer: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.peers.len()).filter(move |other| *other != peer)
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, packet } => {
                let busy_us = self.peers[to].busy_until_us.saturating_sub(self.now_us);
                if busy_us > 0 {
                    return self.schedule(busy_us, Event::Deliver { from, to, packet });
                }
                self.on_packet(from, to, packet);
            }
            Event::Submit { to, transaction } => self.on_submit(to, transaction),
            Event::Wake { peer, boot } => {
                if self.peers[peer].boot == boot && self.peers[peer].wakes_us == Some(self.now_us) {
                    self.peers[peer].wakes_us = None;
                    self.give(peer, |_| Ok(()));
                }
            }
            Event::Ask => {
                let now_ms = EPOCH_MS + self.now_us / 1_000;
                let transaction = self.clients.any(&mut self.rng, now_ms);
                self.submit(transaction);
                self.let_a_clock_jump();
                self.schedule(self.plan.ask_every_ms * 1_000, Event::Ask);
            }
            Event::Crash => self.on_crash(),
            Event::Restart { peer } => self.boot(peer),
        }
    }

    fn let_a_clock_jump(&mut self) {
        if self.plan.clock_jumps_ms > 0 && self.rng.random_bool(0.02) {
            let peer = self.rng.random_range(0..self.peers.len());
            let ahead_ms = self.rng.random_range(0..self.plan.clock_jumps_ms);
            let jumping = &mut self.peers[peer];
            let running = jumping.host.as_mut().map(Host::machine_mut);
            if let Some(machine) = running.or(jumping.machine.as_mut()) {
                machine.set_clock(ahead_ms);
            }
        }
    }

    fn on_crash(&mut self) {
        let (every_ms, doomed) = match self.plan.crashes {
            Crashes::None => return,
            Crashes::One(every_ms) => {
                // One at a time: with two of four gone nothing can be decided, and power failure is another plan.
                let all_up = self
                    .peers
                    .iter()
                    .all(|peer| (peer.host.is_some() && !peer.doomed) || peer.behaviour == Behaviour::Dead);
                let victim = self.rng.random_range(0..self.peers.len());
                (every_ms, if all_up { vec![victim] } else { Vec::new() })
            }
            Crashes::All(every_ms) => (every_ms, (0..self.peers.len()).collect()),
        };
        if self.now_us > self.plan.crashes_until_ms * 1_000 {
            return;
        }
        for peer in doomed {
            self.peers[peer].doomed = self.peers[peer].host.is_some();
        }
        let after_us = self.rng.random_range(every_ms * 500..every_ms * 1_500);
        self.schedule(after_us, Event::Crash);
    }

    fn kill(&mut self, peer: usize) {
        self.counts.crashes += 1;
        self.say(peer, || "loses power".into());
        self.note(peer, 0, &[]);
        let loses_log = self.plan.loses_log == Some(peer) && self.rng.random_bool(0.5);
        let victim = &mut self.peers[peer];
        let mut machine = victim.host.take().expect("a running peer").into_machine();
        victim.doomed = false;
        victim.wakes_us = None;
        machine.crash();
        if loses_log {
            machine.disk.lose_log();
        }
        victim.machine = Some(machine);
        for other in self.others(peer) {
            self.give(other, |host| {
                host.on_disconnected(peer);
                Ok(())
            });
        }
        let after_us = match self.plan.crashes {
            Crashes::All(_) => self.rng.random_range(0..30_000),
            _ => self.rng.random_range(20_000..400_000),
        };
        self.schedule(after_us, Event::Restart { peer });
    }

    fn boot(&mut self, peer: usize) {
        let booting = &mut self.peers[peer];
        booting.boot += 1;
        booting.busy_until_us = self.now_us;
        let mut machine = booting.machine.take().expect("a machine that is off");
        machine.at(self.now_us, false);
        machine.make_room(true);
        let next = machine.disk.ledger.tip().height.next();
        let entries = machine.disk.entries(next).len();
        self.counts.replayed += entries as u64;
        let key = (!booting.keyless).then(|| machine.key().unwrap_or_else(|| consensus_key(peer)));
        let mut host = match Host::resume(machine, key) {
            Ok(host) => host,
            Err(error) => return self.checker.on_failure(peer, &error),
        };
        host.machine_mut().make_room(false);
        self.peers[peer].host = Some(host);
        self.say(peer, || format!("starts above height {next} with {entries} log entries"));
        for other in self.others(peer).filter(|other| self.peers[*other].host.is_some()).collect::<Vec<_>>() {
            for (one, two) in [(peer, other), (other, peer)] {
                self.give(one, |host| {
                    host.on_connected(two);
                    Ok(())
                });
            }
        }
        self.give(peer, |_| Ok(()));
    }

    /// Gives an event to a peer that runs, and carries out what comes of it.
    fn give(&mut self, peer: usize, event: impl FnOnce(&mut Host<SimMachine>) -> Result<(), HostError>) {
        let giving = &mut self.peers[peer];
        let Some(host) = &mut giving.host else { return };
        let doomed = giving.doomed;
        host.machine_mut().at(self.now_us, doomed);
        let done = event(host).and_then(|()| host.advance());
        giving.busy_until_us = self.now_us + host.machine().spent_us();
        let outcome = host.machine_mut().take_outcome();
        self.on_outcome(peer, outcome);
        match done {
            Err(HostError::Machine { source, .. }) if source.is::<PowerFailed>() || source.is::<DiskFull>() => {
                self.kill(peer);
            }
            Err(error) => self.checker.on_failure(peer, &error),
            Ok(()) if doomed => self.kill(peer),
            Ok(()) => self.wake_later(peer),
        }
    }

    fn wake_later(&mut self, peer: usize) {
        let waking = &mut self.peers[peer];
        let Some(host) = &waking.host else { return };
        let wake_us = u64::try_from(host.next_wake().since_start().as_micros()).expect("a short run");
        // A microsecond later at least, so that time goes on.
        let wake_us = wake_us.max(waking.busy_until_us).max(self.now_us + 1);
        if waking.wakes_us.is_none_or(|at| wake_us < at) {
            waking.wakes_us = Some(wake_us);
            let boot = waking.boot;
            self.schedule(wake_us - self.now_us, Event::Wake { peer, boot });
        }
    }

    fn on_packet(&mut self, from: usize, to: usize, packet: Packet) {
        match packet {
            Packet::Consensus(bytes) => self.give(to, |host| host.on_consensus(&bytes, ())),
            Packet::Transactions(bytes) => {
                let network = self.network;
                self.give(to, |host| {
                    use allod_protocol::agreement::host::Ledger as _;
                    let checked = gossip::check_batch(&bytes, network, &host.machine().snapshot());
                    host.on_transactions(checked.map_err(|faulty| faulty.to_string()), ());
                    Ok(())
                });
            }
            Packet::Request(height) => self.serve(to, from, height),
            Packet::Blocks(tip, blocks) => self.give(to, |host| host.on_blocks(from, tip, &blocks)),
            Packet::NoBlocks => self.give(to, |host| {
                host.on_no_blocks(from, "the connection broke");
                Ok(())
            }),
        }
    }

    fn serve(&mut self, peer: usize, asker: usize, from: Height) {
        // The first blocks of a lie are true now and then: a host goes other ways with the first of an answer and the rest.
        let honest_blocks = self.rng.random_range(0..3);
        let Peer { host: Some(host), behaviour, .. } = &self.peers[peer] else { return };
        let ledger = &host.machine().disk.ledger;
        let heights = (from.get()..).take(limits::SYNC_BLOCKS).map(Height::new);
        let mut blocks: Vec<DecidedBlock> = heights.map_while(|height| ledger.block(height).cloned()).collect();
        let tip = host.tip().height;
        if *behaviour == Behaviour::Liar {
            blocks.iter_mut().skip(honest_blocks).for_each(|block| *block = misbehave::forged_decision(block));
        }
        if *behaviour != Behaviour::Silent {
            self.send((peer, asker), 0, Packet::Blocks(tip, blocks.into()));
        }
    }

    /// A client hands a transaction to some peer that runs.
    fn submit(&mut self, transaction: Transaction) {
        let to = self.rng.random_range(0..self.peers.len());
        self.schedule(0, Event::Submit { to, transaction: Box::new(transaction) });
    }

    fn on_submit(&mut self, to: usize, transaction: Box<Transaction>) {
        let busy_us = self.peers[to].busy_until_us.saturating_sub(self.now_us);
        if busy_us > 0 {
            return self.schedule(busy_us, Event::Submit { to, transaction });
        }
        let Ok(checked) = Checked::new(*transaction, self.network) else { return };
        let mut accepted = false;
        self.give(to, |host| {
            accepted = host.on_submit(checked).is_ok();
            Ok(())
        });
        self.counts.accepted += u64::from(accepted);
    }

    fn on_outcome(&mut self, peer: usize, outcome: Outcome) {
        let Outcome { sent, committed, evidence, seen } = outcome;
        self.counts.syncs += seen.syncs;
        self.counts.rejected += seen.rejected;
        self.counts.refused_blocks += seen.refused_blocks;
        self.counts.caught_up += seen.caught_up;
        self.counts.withheld += seen.withheld;
        for one in committed {
            self.on_committed(peer, &one);
        }
        for proof in evidence {
            self.checker.on_evidence(peer, self.network, &proof, &self.honest);
        }
        for (after_us, sent) in sent {
            match sent {
                Sent::Gossip(Channel::Consensus, bytes) => self.publish(peer, after_us, bytes),
                Sent::Gossip(Channel::Transactions, bytes) => {
                    if self.peers[peer].behaviour != Behaviour::Silent {
                        self.send_to_all(peer, after_us, &Packet::Transactions(bytes.into()));
                    }
                }
                Sent::Request { peer: to, from } => {
                    self.say(peer, || format!("asks peer {to} for blocks from height {from}"));
                    self.send((peer, to), after_us, Packet::Request(from));
                }
                Sent::Block { peer: other } => {
                    self.say(peer, || format!("wants no more of peer {other}"));
                    self.parted.insert((peer, other));
                }
            }
        }
    }

    fn on_committed(&mut self, peer: usize, committed: &Committed) {
        let Committed { decided, after, .. } = committed;
        self.say(peer, || format!("commits block {} of height {}", decided.block.hash(), after.height));
        self.note(peer, 3, decided.block.hash().as_bytes());
        self.counts.later_rounds += u64::from(decided.certificate.round > 0);
        if self.checker.on_decided(peer, committed) {
            let running = self.peers[peer].host.as_ref().map(Host::machine);
            if let Some(machine) = running {
                self.checker.on_state(&machine.disk.ledger.snapshot(), committed);
            }
            let asked = self.clients.on_committed(committed, after);
            asked.into_iter().for_each(|transaction| self.submit(transaction));
        }
    }

    fn send_to_all(&mut self, from: usize, after_us: u64, packet: &Packet) {
        for to in self.others(from) {
            self.send((from, to), after_us, packet.clone());
        }
    }

    /// Sends a message as the peer's behaviour has it.
    fn publish(&mut self, peer: usize, after_us: u64, bytes: Vec<u8>) {
        let message = gossip::decode_consensus(&bytes).expect("a host encodes what it sends");
        let (behaviour, address) = (self.peers[peer].behaviour, self.peers[peer].address);
        self.say(peer, || format!("says {message:?}"));
        let own = message.sender() == Some(address);
        if behaviour == Behaviour::Honest {
            self.checker.on_published(peer, address, &message);
        }
        let key = consensus_key(peer);
        let altered = match behaviour {
            Behaviour::Honest | Behaviour::Dead => None,
            Behaviour::Silent => return,
            Behaviour::Equivocator => misbehave::twin(&message, &key).filter(|_| own),
            Behaviour::Liar => misbehave::forged(&message),
            Behaviour::BadProposer => {
                let spoiled = misbehave::spoiled(&message, &key).filter(|_| own);
                let bytes = spoiled.map_or(bytes, |spoiled| gossip::encode_consensus(0, &spoiled));
                return self.send_consensus(peer, after_us, bytes);
            }
        };
        let Some(altered) = altered else { return self.send_consensus(peer, after_us, bytes) };
        // Some hear one thing, some the other, and some both.
        for (index, version) in [message, altered].iter().enumerate() {
            let bytes = Message::encode(version);
            self.note(peer, 4, &bytes);
            let packet = Packet::Consensus(gossip::encode_consensus(0, version).into());
            for to in self.others(peer) {
                if to % 2 == index || self.rng.random_bool(0.3) {
                    self.send((peer, to), after_us, packet.clone());
                }
            }
        }
    }

    fn send_consensus(&mut self, peer: usize, after_us: u64, bytes: Vec<u8>) {
        self.note(peer, 4, &bytes);
        self.send_to_all(peer, after_us, &Packet::Consensus(bytes.into()));
    }
}
