//! The deterministic simulator: real replicas on a virtual clock, network and disk.
//!
//! One [`Plan`] describes a run and its seed replays it: the same plan gives the same [`Report`], trace hash included.
//! Nothing here sleeps, reads a clock or spawns a thread. The host below does what the node does, in the order that
//! `allod_protocol::replica` asks for; it crashes between any two outputs, loses what was not synced, and recovers.
//!
//! - `sim::app`: what is agreed on; replace it to simulate another ledger
//! - `sim::network`, `sim::disk`: what fails
//! - `sim::misbehave`: validators that break the rules
//! - `sim::check`: what must hold all the same

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "peers are indexed by their number, and a simulator that is wrong should stop the test"
)]

pub mod app;
pub mod check;
pub mod disk;
pub mod misbehave;
pub mod network;

pub use misbehave::Behaviour;
pub use network::{Network, Partition};

use allod_protocol::{
    block::{Block, DecidedBlock},
    crypto::SigningKey,
    ids::{AccountId, Height, NetworkId, Power, Timestamp, ValidatorAddress},
    replica::{Admission, Input, Message, Output, Replica, ReplicaError, Timeouts, Timer, Warning},
    validator::{Validator, ValidatorSet},
};
use app::{App, Sets};
use check::Checker;
use disk::Disk;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::Arc,
};

/// How often a peer says how far it is, in virtual microseconds.
const STATUS_EVERY_US: u64 = 100_000;
/// How long a peer waits for an answer before it asks another, in virtual microseconds.
const REQUEST_PATIENCE_US: u64 = 150_000;
/// Decided blocks in one answer.
const BLOCKS_PER_ANSWER: usize = 32;
/// From this many on, blocks are committed without the replica, which is then started behind them.
const BULK: usize = 4;
/// Where virtual time begins, in block time.
const EPOCH_MS: u64 = 1_800_000_000_000;

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
    /// Later validator sets: from which height, which peers with which power.
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
    /// A peer half of whose crashes delete its log as well. One at most: see `allod_protocol::replica::guard`.
    pub loses_log: Option<usize>,
    /// How many blocks are built and checked with a delay, 0 to 1.
    pub slow_answers: f64,
    /// Virtual milliseconds between a decision and the start of the next height.
    pub pause_ms: u64,
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
            slow_answers: 0.0,
            pause_ms: 0,
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
    /// Timers that elapsed.
    pub timeouts: u64,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
            "{what}: seed {} failed after {} virtual ms at heights {:?}\n{}\n{:?}",
            self.seed,
            self.virtual_ms,
            self.heights,
            self.violations.iter().take(5).cloned().collect::<Vec<_>>().join("\n"),
            self.counts,
        );
    }
}

#[derive(Clone)]
enum Packet {
    Consensus(Arc<[u8]>),
    Status(Height),
    Request(Height),
    Blocks(Arc<[DecidedBlock]>),
}

enum Event {
    Deliver { from: usize, to: usize, packet: Packet },
    Timer { peer: usize, boot: u64, timer: Timer, generation: u64 },
    Input { peer: usize, boot: u64, input: Input },
    Status { peer: usize, boot: u64 },
    Crash,
    Restart { peer: usize },
}

struct Peer {
    key: Option<SigningKey>,
    address: ValidatorAddress,
    behaviour: Behaviour,
    clock_ahead_ms: u64,
    disk: Disk,
    replica: Option<Replica>,
    /// Counts starts: what was scheduled for an earlier one is void.
    boot: u64,
    timers: BTreeMap<Timer, u64>,
    /// Power fails within the next step's outputs.
    doomed: bool,
    requested_at_us: Option<u64>,
    /// Blocks sent by others that the replica has not yet come to.
    synced: VecDeque<DecidedBlock>,
}

/// A run under way.
pub struct Simulation {
    plan: Plan,
    now_us: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    rng: ChaCha8Rng,
    peers: Vec<Peer>,
    honest: Vec<ValidatorAddress>,
    generation: u64,
    checker: Checker,
    trace: blake3::Hasher,
    counts: Counts,
}

fn set_of_peers(keys: &[SigningKey], powers: &[(usize, u64)]) -> ValidatorSet {
    let validator = |(peer, power): &(usize, u64)| {
        Validator::new(keys[*peer].public_key(), Power::new(*power), AccountId::from_bytes([0; 32]))
    };
    powers.iter().map(validator).collect::<Vec<_>>().try_into().expect("a plan has proper validator sets")
}

impl Simulation {
    /// Sets a run up.
    pub fn new(plan: Plan) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let network = NetworkId::from_bytes(*blake3::hash(b"simulated").as_bytes());
        let count = plan.validators + plan.observers;
        let keys: Vec<SigningKey> = (0..count)
            .map(|peer| SigningKey::from_seed(blake3::hash(&(peer as u64).to_le_bytes()).as_bytes()))
            .collect();
        let first: Vec<(usize, u64)> = (0..plan.validators).map(|peer| (peer, 1)).collect();
        let mut sets = Sets::from([(Height::new(1), set_of_peers(&keys, &first))]);
        for (height, powers) in &plan.changes {
            sets.insert(Height::new(*height), set_of_peers(&keys, powers));
        }
        let sets = Arc::new(sets);
        let behaviour = |peer: usize| plan.behaviours.get(&peer).copied().unwrap_or_default();
        let peers: Vec<Peer> = (0..count)
            .map(|peer| Peer {
                key: (peer < plan.validators || !plan.keyless_observers).then(|| keys[peer].clone()),
                address: keys[peer].public_key().validator_address(),
                behaviour: behaviour(peer),
                clock_ahead_ms: rng.random_range(0..100),
                disk: Disk::new(App::genesis(network, sets.clone()), plan.keeps_log, plan.keeps_last_signed),
                replica: None,
                boot: 0,
                timers: BTreeMap::new(),
                doomed: false,
                requested_at_us: None,
                synced: VecDeque::new(),
            })
            .collect();
        let honest = peers.iter().filter(|peer| peer.behaviour == Behaviour::Honest).map(|peer| peer.address).collect();
        Self {
            plan,
            now_us: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            rng,
            peers,
            honest,
            generation: 0,
            checker: Checker::new(sets),
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
        if let Crashes::One(every_ms) | Crashes::All(every_ms) = self.plan.crashes {
            self.schedule(every_ms * 1_000, Event::Crash);
        }
        let (mut reached, mut reached_us) = (0, 0);
        while let Some(Reverse((at_us, sequence))) = self.queue.pop() {
            self.now_us = at_us;
            let event = self.events.remove(&sequence).expect("a queued event is there");
            self.on_event(event);
            let lowest = self.lowest();
            if lowest >= self.plan.heights || !self.checker.violations.is_empty() {
                break;
            }
            if lowest > reached {
                (reached, reached_us) = (lowest, self.now_us);
            }
            if self.now_us > reached_us + self.plan.patience_ms * 1_000 {
                let rounds = self.peers.iter().map(|peer| peer.replica.as_ref().and_then(Replica::round)).collect();
                self.checker.on_standstill(Height::new(reached), self.now_us, rounds);
                break;
            }
        }
        self.report()
    }

    /// The height that every peer that can decide has decided.
    fn lowest(&self) -> u64 {
        let alive = self.peers.iter().filter(|peer| peer.behaviour != Behaviour::Dead);
        alive.map(|peer| peer.disk.app.tip().height.get()).min().unwrap_or(0)
    }

    fn report(mut self) -> Report {
        for peer in &self.peers {
            self.counts.rejected += peer.replica.as_ref().map_or(0, |replica| replica.counters().rejected);
        }
        Report {
            seed: self.plan.seed,
            violations: self.checker.violations,
            double_signs: self.checker.double_signs,
            double_votes: self.checker.double_votes,
            double_proposals: self.checker.double_proposals,
            heights: self.peers.iter().map(|peer| peer.disk.app.tip().height.get()).collect(),
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

    fn send(&mut self, from: usize, to: usize, packet: Packet) {
        self.counts.packets += 1;
        let arrivals = self.plan.network.arrivals(&mut self.rng, self.now_us, from, to);
        self.counts.lost += u64::from(arrivals.is_empty());
        for after_us in arrivals {
            self.schedule(after_us, Event::Deliver { from, to, packet: packet.clone() });
        }
    }

    fn send_to_all(&mut self, from: usize, packet: &Packet) {
        for to in 0..self.peers.len() {
            if to != from {
                self.send(from, to, packet.clone());
            }
        }
    }

    fn is_current(&self, peer: usize, boot: u64) -> bool {
        self.peers[peer].boot == boot && self.peers[peer].replica.is_some()
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, packet } => {
                if self.peers[to].replica.is_some() {
                    self.on_packet(from, to, packet);
                }
            }
            Event::Timer { peer, boot, timer, generation } => {
                if self.is_current(peer, boot) && self.peers[peer].timers.get(&timer) == Some(&generation) {
                    self.peers[peer].timers.remove(&timer);
                    self.counts.timeouts += 1;
                    self.drive(peer, Input::Timeout(timer));
                }
            }
            Event::Input { peer, boot, input } => {
                if self.is_current(peer, boot) {
                    let input = self.refresh(peer, input);
                    if let Some(input) = input {
                        self.drive(peer, input);
                    }
                }
            }
            Event::Status { peer, boot } => {
                if self.is_current(peer, boot) {
                    let height = self.peers[peer].disk.app.tip().height;
                    if self.peers[peer].behaviour != Behaviour::Silent {
                        self.send_to_all(peer, &Packet::Status(height));
                    }
                    self.schedule(STATUS_EVERY_US, Event::Status { peer, boot });
                }
            }
            Event::Crash => self.on_crash(),
            Event::Restart { peer } => self.boot(peer),
        }
    }

    /// A start that was put off may have been overtaken by catching up.
    fn refresh(&self, peer: usize, input: Input) -> Option<Input> {
        match input {
            Input::Start { tip, .. } if tip.height != self.peers[peer].disk.app.tip().height => None,
            input => Some(input),
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
                    .all(|peer| (peer.replica.is_some() && !peer.doomed) || peer.behaviour == Behaviour::Dead);
                let victim = self.rng.random_range(0..self.peers.len());
                (every_ms, if all_up { vec![victim] } else { Vec::new() })
            }
            Crashes::All(every_ms) => (every_ms, (0..self.peers.len()).collect()),
        };
        if self.now_us > self.plan.crashes_until_ms * 1_000 {
            return;
        }
        for peer in doomed {
            self.peers[peer].doomed = self.peers[peer].replica.is_some();
        }
        let after_us = self.rng.random_range(every_ms * 500..every_ms * 1_500);
        self.schedule(after_us, Event::Crash);
    }

    fn kill(&mut self, peer: usize) {
        self.counts.crashes += 1;
        self.say(peer, "loses", &"power");
        self.note(peer, 0, &[]);
        let loses_log = self.plan.loses_log == Some(peer) && self.rng.random_bool(0.5);
        let victim = &mut self.peers[peer];
        victim.replica = None;
        victim.doomed = false;
        victim.disk.crash(&mut self.rng);
        if loses_log {
            victim.disk.lose_log();
        }
        let after_us = match self.plan.crashes {
            Crashes::All(_) => self.rng.random_range(0..30_000),
            _ => self.rng.random_range(20_000..400_000),
        };
        self.schedule(after_us, Event::Restart { peer });
    }

    fn boot(&mut self, peer: usize) {
        let timeouts = self.plan.timeouts;
        let booting = &mut self.peers[peer];
        booting.boot += 1;
        booting.timers.clear();
        booting.synced.clear();
        booting.requested_at_us = None;
        let boot = booting.boot;
        let tip = booting.disk.app.tip().clone();
        let height = tip.height.next();
        let log = booting.disk.read_log();
        if self.plan.verbose {
            println!("{:>9} us  peer {peer} starts with {} log entries", self.now_us, log.len());
        }
        let (key, last_signed) = (booting.key.clone(), booting.disk.last_signed());
        let entries = log.iter().filter(|entry| entry.height == height).count();
        self.counts.replayed += entries as u64;
        let started = if entries > 0 {
            Replica::recover(key, last_signed, tip, timeouts, &log)
        } else {
            booting.disk.truncate();
            let mut replica = Replica::new(key, last_signed, &tip);
            replica.step(Input::Start { tip, timeouts }).map(|outputs| (replica, outputs))
        };
        match started {
            Ok((replica, outputs)) => {
                self.peers[peer].replica = Some(replica);
                let after_us = self.rng.random_range(0..STATUS_EVERY_US);
                self.schedule(after_us, Event::Status { peer, boot });
                self.perform(peer, outputs);
            }
            Err(error) => self.checker.on_failure(peer, &error),
        }
    }

    fn on_packet(&mut self, from: usize, to: usize, packet: Packet) {
        match packet {
            Packet::Consensus(bytes) => {
                let message = Message::decode(&bytes).expect("peers of a run encode what they send");
                self.drive(to, Input::Message(message));
            }
            Packet::Status(height) => {
                let peer = &self.peers[to];
                let mine = peer.disk.app.tip().height;
                let waiting = peer.requested_at_us.is_some_and(|at| self.now_us < at + REQUEST_PATIENCE_US);
                if height > mine && !waiting {
                    self.peers[to].requested_at_us = Some(self.now_us);
                    self.send(to, from, Packet::Request(mine.next()));
                }
            }
            Packet::Request(height) => {
                let mut blocks = self.peers[to].disk.app.blocks_from(height, BLOCKS_PER_ANSWER);
                if self.peers[to].behaviour == Behaviour::Liar {
                    blocks = blocks.iter().map(misbehave::forged_decision).collect();
                }
                if !blocks.is_empty() && self.peers[to].behaviour != Behaviour::Silent {
                    self.send(to, from, Packet::Blocks(blocks.into()));
                }
            }
            Packet::Blocks(blocks) => self.on_blocks(to, &blocks),
        }
    }

    /// A few blocks go through the replica one by one; many are committed first, and the replica starts behind them.
    fn on_blocks(&mut self, peer: usize, blocks: &[DecidedBlock]) {
        let mine = self.peers[peer].disk.app.tip().height;
        let new: Vec<&DecidedBlock> = blocks.iter().filter(|decided| decided.block.header().height > mine).collect();
        if new.len() < BULK {
            self.peers[peer].synced = new.into_iter().cloned().collect();
            self.feed_synced(peer);
            return;
        }
        let mut committed = false;
        for decided in new {
            let tip = self.peers[peer].disk.app.tip().clone();
            if decided.verify(&tip, &|_| false).is_err() {
                self.counts.refused_blocks += 1;
                break;
            }
            self.counts.caught_up += 1;
            self.commit(peer, decided.clone());
            committed = true;
        }
        if committed {
            let start = self.start_input(peer);
            self.drive(peer, start);
        }
    }

    fn feed_synced(&mut self, peer: usize) {
        while let Some(decided) = self.peers[peer].synced.pop_front() {
            let Some(replica) = &self.peers[peer].replica else { return };
            let height = decided.certificate.height;
            if height > replica.height() || (height == replica.height() && !replica.is_finalized()) {
                let before = self.peers[peer].disk.app.tip().height;
                self.drive(peer, Input::Synced(decided));
                if self.peers[peer].disk.app.tip().height == before {
                    return;
                }
            }
        }
    }

    fn start_input(&self, peer: usize) -> Input {
        Input::Start { tip: self.peers[peer].disk.app.tip().clone(), timeouts: self.plan.timeouts }
    }

    /// For whoever looks for the cause of a failed run.
    fn say(&self, peer: usize, verb: &str, what: &impl std::fmt::Debug) {
        if self.plan.verbose {
            let text: String = format!("{what:?}").chars().take(300).collect();
            println!("{:>9} us  peer {peer} {verb:<6} {text}", self.now_us);
        }
    }

    fn step(&mut self, peer: usize, input: Input) -> Result<Vec<Output>, ReplicaError> {
        self.say(peer, "takes", &input);
        let Peer { replica, disk, .. } = &mut self.peers[peer];
        let replica = replica.as_mut().expect("only running replicas are driven");
        if let Input::Message(message) = &input
            && replica.admit(message) != Admission::Accept
        {
            return Ok(Vec::new());
        }
        if matches!(input, Input::Start { .. }) {
            // Here and not before: outputs of the old height may follow its end within a step.
            disk.truncate();
        }
        replica.step(input)
    }

    fn drive(&mut self, peer: usize, input: Input) {
        match self.step(peer, input) {
            Ok(outputs) => self.perform(peer, outputs),
            Err(error) => self.checker.on_failure(peer, &error),
        }
    }

    /// Performs every output in order, then feeds what came of them, until there is nothing left or the power fails.
    fn perform(&mut self, peer: usize, outputs: Vec<Output>) {
        let mut inputs = VecDeque::new();
        let mut outputs = outputs;
        loop {
            let fails_after =
                (self.peers[peer].doomed && !outputs.is_empty()).then(|| self.rng.random_range(0..=outputs.len()));
            for (index, output) in outputs.into_iter().enumerate() {
                if fails_after == Some(index) {
                    break;
                }
                self.perform_one(peer, output, &mut inputs);
            }
            if fails_after.is_some() {
                self.kill(peer);
                return;
            }
            let Some(input) = inputs.pop_front() else { return };
            match self.step(peer, input) {
                Ok(next) => outputs = next,
                Err(error) => {
                    self.checker.on_failure(peer, &error);
                    return;
                }
            }
        }
    }

    fn sync(&mut self, peer: usize) {
        self.counts.syncs += u64::from(self.peers[peer].disk.sync());
    }

    fn perform_one(&mut self, peer: usize, output: Output, inputs: &mut VecDeque<Input>) {
        self.say(peer, "does", &output);
        match output {
            Output::Signed(last_signed) => self.peers[peer].disk.set_last_signed(last_signed),
            Output::Log(entry) => {
                self.note(peer, 1, &entry.encode());
                self.peers[peer].disk.append(&entry);
            }
            Output::Publish(message) | Output::Republish(message) => {
                self.sync(peer);
                self.publish(peer, message);
            }
            Output::Schedule(timer, wait) => {
                self.generation += 1;
                let (boot, generation) = (self.peers[peer].boot, self.generation);
                self.peers[peer].timers.insert(timer, generation);
                let wait_us = u64::try_from(wait.as_micros()).expect("waits are short");
                self.schedule(wait_us, Event::Timer { peer, boot, timer, generation });
            }
            Output::Cancel(timer) => {
                self.peers[peer].timers.remove(&timer);
            }
            Output::CancelAll => self.peers[peer].timers.clear(),
            Output::StartedRound { height, round, .. } => {
                self.sync(peer);
                self.note(peer, 2, &[height.get().to_le_bytes(), u64::from(round).to_le_bytes()].concat());
            }
            Output::Build { height, round } => {
                let block = self.build(peer);
                self.answer(peer, Input::Built { height, round, block }, inputs);
            }
            Output::Check { height, block, certified } => {
                let clock = (!certified).then(|| self.clock(peer));
                let valid = self.peers[peer].disk.app.check(&block, clock).is_ok();
                let input = Input::Checked { height, block: block.hash(), certified, valid };
                self.answer(peer, input, inputs);
            }
            Output::Decided(decided) => {
                self.sync(peer);
                self.counts.later_rounds += u64::from(decided.certificate.round > 0);
                self.commit(peer, decided);
            }
            Output::Finalized { evidence, .. } => self.on_finalized(peer, &evidence, inputs),
            Output::SyncRejected { .. } => {
                self.counts.refused_blocks += 1;
                self.peers[peer].synced.clear();
            }
            Output::Warning(Warning::WithheldSignature { .. }) => self.counts.withheld += 1,
            Output::Warning(Warning::NoPolkaCertificate { .. }) => {}
        }
    }

    fn clock(&self, peer: usize) -> Timestamp {
        Timestamp::new(EPOCH_MS + self.now_us / 1_000 + self.peers[peer].clock_ahead_ms)
    }

    fn build(&self, peer: usize) -> Block {
        let builder = &self.peers[peer];
        let transactions = builder.disk.app.build();
        Block::following(builder.disk.app.tip(), builder.address, self.clock(peer), transactions)
    }

    /// Gives the host's answer now, or later as a busy machine would.
    fn answer(&mut self, peer: usize, input: Input, inputs: &mut VecDeque<Input>) {
        if self.rng.random_bool(self.plan.slow_answers) {
            let after_us = self.rng.random_range(0..60_000);
            let boot = self.peers[peer].boot;
            self.schedule(after_us, Event::Input { peer, boot, input });
        } else {
            inputs.push_back(input);
        }
    }

    fn commit(&mut self, peer: usize, decided: DecidedBlock) {
        self.note(peer, 3, decided.block.hash().as_bytes());
        let tip = self.peers[peer].disk.app.tip().clone();
        self.checker.on_decided(peer, &tip, &decided);
        if self.checker.violations.is_empty() {
            self.peers[peer].disk.app.commit(decided);
        }
    }

    fn on_finalized(
        &mut self,
        peer: usize,
        evidence: &[allod_protocol::replica::DoubleSign],
        inputs: &mut VecDeque<Input>,
    ) {
        let tip = self.peers[peer].disk.app.tip().clone();
        for proof in evidence {
            self.checker.on_evidence(peer, &tip, proof, &self.honest);
        }
        if self.plan.pause_ms == 0 {
            inputs.push_back(self.start_input(peer));
        } else {
            let (boot, input) = (self.peers[peer].boot, self.start_input(peer));
            self.schedule(self.plan.pause_ms * 1_000, Event::Input { peer, boot, input });
        }
    }

    /// Sends a message as the peer's behaviour has it.
    fn publish(&mut self, peer: usize, message: Message) {
        let (behaviour, address) = (self.peers[peer].behaviour, self.peers[peer].address);
        let own = message.sender() == Some(address);
        if behaviour == Behaviour::Honest {
            self.checker.on_published(peer, address, &message);
        }
        let key = self.peers[peer].key.clone();
        let altered = match (&key, behaviour) {
            (Some(key), Behaviour::Equivocator) if own => misbehave::twin(&message, key),
            (Some(key), Behaviour::BadProposer) if own => {
                let spoiled = misbehave::spoiled(&message, key);
                return self.send_message(peer, &spoiled.unwrap_or(message));
            }
            (_, Behaviour::Liar) => misbehave::forged(&message),
            (_, Behaviour::Silent) => return,
            _ => None,
        };
        let Some(altered) = altered else { return self.send_message(peer, &message) };
        // Some hear one thing, some the other, and some both.
        for (index, version) in [message, altered].iter().enumerate() {
            let packet = Packet::Consensus(version.encode().into());
            self.note(peer, 4, &version.encode());
            for to in 0..self.peers.len() {
                if to != peer && (to % 2 == index || self.rng.random_bool(0.3)) {
                    self.send(peer, to, packet.clone());
                }
            }
        }
    }

    fn send_message(&mut self, peer: usize, message: &Message) {
        let bytes = message.encode();
        self.note(peer, 4, &bytes);
        self.send_to_all(peer, &Packet::Consensus(bytes.into()));
    }
}
