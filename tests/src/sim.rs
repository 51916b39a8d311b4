//! The deterministic simulator: real hosts, the ones that the node runs, on a virtual clock, network and disk.
//!
//! One [`Plan`] describes a run and its seed replays it: the same plan gives the same [`Report`], trace hash included.
//! Nothing here sleeps, reads a clock or spawns a thread; on real files a database does, see `sim::files`. What a peer
//! decides is decided by [`allod_protocol::agreement::host::Host`]; this is the machine under it, which is slow, loses power between
//! any two things that it is asked to do, and with it what was not synced.
//!
//! - [`plan`]: what a run is; [`plans`]: the runs that tests make, by name; [`minimise`]: makes a failing one shorter
//! - `sim::machine`, [`disk`], [`network`], [`faults`]: what fails; `sim::files` and [`crate::directory`]: the same for the
//!   node's own database and files
//! - `sim::clients`, `sim::cheats`: what is asked of the ledger; `sim::oracle`: what is to come of it
//! - [`misbehave`]: validators that break the rules
//! - [`check`]: what must hold all the same; [`report`]: what came of it

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "peers are indexed by their number, and a simulator that is wrong should stop the test"
)]

mod cheats;
pub mod check;
mod clients;
pub mod disk;
pub mod faults;
mod files;
mod machine;
pub mod minimise;
pub mod misbehave;
pub mod network;
mod oracle;
pub mod plan;
pub mod plans;
pub mod report;
mod store;

pub use misbehave::Behaviour;
pub use network::{NetworkConditions, Partition};
pub use plan::{Absence, Crashes, Plan};
pub use report::{Counts, Law, Report, Violation};

use crate::histories::Coverage;
use allod_protocol::{
    agreement::{
        host::{Channel, Failure, Host, HostError, Ledger as _, gossip},
        mempool::Checked,
        replica::Message,
    },
    ground::{
        crypto::{SigningKey, remembered::Remembering},
        ids::{Height, NetworkId, ValidatorAddress},
        limits,
    },
    ledger::{block::DecidedBlock, genesis::Genesis},
    rules::transaction::Transaction,
};
use allod_storage::MemoryLedger;
use check::Checker;
use clients::{Clients, Wish, consensus_key, genesis};
use disk::Disk;
use faults::{Doom, Healing};
use files::Files;
use machine::{Committed, DiskFull, EPOCH_MS, Outcome, PowerFailed, Sent, SimMachine};
use misbehave::{Misbehaviour, Parcel, Scene};
use oracle::Oracle;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};
use store::Store;

/// After how long a peer hears that its request, or the answer, was lost with the connection, in virtual microseconds.
const BROKEN_AFTER_US: u64 = 300_000;
/// In runs with seeds that this divides, each peer checks each signature itself.
const CHECKS_ALL_EVERY: u64 = 8;

#[derive(Clone)]
enum Packet {
    /// And whether it is what an honest peer sent, every byte of it.
    Gossip(Channel, Arc<[u8]>, bool),
    Request(Height, usize),
    Blocks(Height, Arc<[DecidedBlock]>),
    NoBlocks,
}

enum Event {
    Deliver { from: usize, to: usize, packet: Packet },
    Submit { to: usize, transaction: Box<Transaction> },
    Wake { peer: usize, boot: u64 },
    Ask,
    Crash,
    ClockJump,
    Leave { peer: usize },
    Restart { peer: usize },
    Heal,
}

struct Peer {
    /// The consensus key that it begins with.
    key: SigningKey,
    address: ValidatorAddress,
    behaviour: Behaviour,
    hooks: Box<dyn Misbehaviour>,
    honest: bool,
    keyless: bool,
    host: Option<Host<SimMachine>>,
    /// The machine while it is off.
    machine: Option<SimMachine>,
    /// Counts starts: what was scheduled for an earlier one is void.
    boot: u64,
    /// Power fails within the next event.
    doom: Option<Doom>,
    /// When it was about to take up again, power fails once more.
    doom_in_resume: Option<u64>,
    /// Off until others have come so far.
    away: bool,
    /// Until when it is at work on what it was given last.
    busy_until_us: u64,
    /// When it is woken next.
    wakes_us: Option<u64>,
}

impl Peer {
    fn store(&self) -> Option<&Store> {
        self.host.as_ref().map(Host::machine).or(self.machine.as_ref()).map(|machine| &machine.disk)
    }

    /// What it keeps, to be read: a machine that is off is started.
    fn started(&mut self) -> Result<Option<&Store>, Failure> {
        if let Some(machine) = &mut self.machine {
            machine.start()?;
        }
        Ok(self.store())
    }
}

/// A run under way.
pub struct Simulation {
    plan: Plan,
    /// The network once it has healed.
    healed: NetworkConditions,
    network: NetworkId,
    now_us: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    rng: ChaCha8Rng,
    /// What those who break the rules do.
    misdeeds: ChaCha8Rng,
    faults: ChaCha8Rng,
    fault_number: u64,
    happened: Vec<u64>,
    healing: Option<Healing>,
    peers: Vec<Peer>,
    /// Pairs of peers of which one has nothing to do with the other.
    parted: BTreeSet<(usize, usize)>,
    honest: Vec<ValidatorAddress>,
    clients: Clients,
    oracle: Oracle,
    checker: Checker,
    trace: blake3::Hasher,
    counts: Counts,
}

impl Simulation {
    /// Sets a run up.
    pub fn new(plan: Plan) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let genesis = Arc::new(genesis(plan.validators, plan.timeouts));
        let ledger = MemoryLedger::new(&genesis).expect("a genesis that begins a network");
        let peers: Vec<Peer> = (0..plan.validators + plan.observers)
            .map(|peer| Self::peer(&plan, peer, &genesis, &ledger, &mut rng))
            .collect();
        let wishes = plan.changes.iter().map(|(height, powers)| Wish { height: *height, powers: powers.clone() });
        let network = NetworkConditions { loss: 0.0, duplication: 0.0, corruption: 0.0, ..plan.network.clone() };
        Self {
            network: genesis.network_id(),
            clients: Clients::new(&mut rng, wishes.collect()),
            // A fifth of the histories is near the bound of units.
            oracle: Oracle::new(&genesis, plan.seed.is_multiple_of(5)),
            healed: NetworkConditions { partitions: Vec::new(), ..network },
            now_us: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            misdeeds: ChaCha8Rng::seed_from_u64(rng.random()),
            faults: ChaCha8Rng::seed_from_u64(rng.random()),
            fault_number: 0,
            happened: Vec::new(),
            healing: None,
            rng,
            honest: peers.iter().filter(|peer| peer.honest).map(|peer| peer.address).collect(),
            peers,
            parted: BTreeSet::new(),
            checker: Checker::default(),
            trace: blake3::Hasher::new(),
            counts: Counts::default(),
            plan,
        }
    }

    fn peer(plan: &Plan, peer: usize, genesis: &Arc<Genesis>, ledger: &MemoryLedger, rng: &mut ChaCha8Rng) -> Peer {
        let behaviour = plan.behaviours.get(&peer).copied().unwrap_or_default();
        let key = consensus_key(if let Behaviour::Double(of) = behaviour { of } else { peer });
        let (seed, ahead_ms) = (rng.random(), rng.random_range(0..100));
        let disk = if plan.on_files {
            Store::Files(Box::new(Files::new(genesis.clone(), ledger.tip(), seed, plan.careless)))
        } else {
            Store::Memory(Box::new(Disk::new(ledger.clone(), plan.keeps_log, plan.keeps_last_signed)))
        };
        let drift = plan.clock_drift_ppm as i64;
        let drift_ppm = rng.random_range(-drift..=drift);
        Peer {
            address: key.public_key().validator_address(),
            key,
            behaviour,
            hooks: behaviour.hooks(),
            honest: plan.is_honest(peer),
            keyless: peer >= plan.validators && plan.keyless_observers,
            host: None,
            machine: Some(SimMachine::new(disk, seed, (ahead_ms, drift_ppm), (plan.slow_disk, plan.full_disk))),
            boot: 0,
            doom: None,
            doom_in_resume: None,
            away: false,
            busy_until_us: 0,
            wakes_us: None,
        }
    }

    /// Runs to the planned height, or to the first violation.
    pub fn run(mut self) -> Report {
        // Most of the time would go into checking the same signatures, once for each peer.
        let _remembering = (!self.plan.seed.is_multiple_of(CHECKS_ALL_EVERY)).then(Remembering::new);
        for peer in 0..self.peers.len() {
            self.boot(peer);
        }
        self.schedule(0, Event::Ask);
        self.schedule_faults();
        let (mut reached, mut reached_us) = (0, 0);
        while let Some(Reverse((at_us, sequence))) = self.queue.pop() {
            self.now_us = at_us;
            let event = self.events.remove(&sequence).expect("a queued event is there");
            self.on_event(event);
            self.look_at_healing();
            let lowest = self.lowest();
            let has_healed = self.plan.heals_at_ms.is_none() || (self.is_healed() && self.healing.is_none());
            let is_done = lowest >= self.plan.heights && self.clients.are_content() && has_healed;
            if is_done || !self.checker.violations.is_empty() {
                break;
            }
            let lowest = self.lowest_present();
            if lowest != reached {
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
        let peer = &self.peers[peer];
        let running = peer.host.as_ref().map(|host| host.tip().height);
        running.or_else(|| peer.machine.as_ref().map(|machine| machine.disk.tip().height)).unwrap_or(Height::ZERO)
    }

    /// The peers that keep to the rules.
    fn honest(&self) -> impl Iterator<Item = usize> {
        (0..self.peers.len()).filter(|peer| self.peers[*peer].honest)
    }

    /// The same of those that are not away for a while.
    fn lowest_present(&self) -> u64 {
        let present = self.honest().filter(|peer| !self.peers[*peer].away);
        present.map(|peer| self.height(peer).get()).min().unwrap_or(0)
    }

    /// The height that every honest peer has decided.
    fn lowest(&self) -> u64 {
        self.honest().map(|peer| self.height(peer).get()).min().unwrap_or(0)
    }

    fn report(mut self) -> Report {
        self.counts.decided = self.checker.transactions();
        let heights = (0..self.peers.len()).map(|peer| self.height(peer).get()).collect();
        for losses in self.peers.iter().filter_map(Peer::store).map(Store::losses) {
            self.counts.lost_writes += losses.lost;
            self.counts.torn_writes += losses.torn;
        }
        let highest = (0..self.peers.len()).max_by_key(|peer| self.height(*peer)).expect("there are peers");
        let mut coverage = Coverage::default();
        if self.checker.violations.is_empty() {
            match self.peers[highest].started().map(|store| store.map(|store| self.oracle.end(store))) {
                Ok(None) => {}
                Ok(Some(Ok(happened))) => coverage = happened,
                Ok(Some(Err(broken))) => self.checker.broken(Law::Reference, format!("at the end: {broken}")),
                Err(error) => self.checker.on_lost(highest, &error.to_string()),
            }
        }
        Report {
            seed: self.plan.seed,
            heights,
            violations: self.checker.violations,
            double_signs: self.checker.double_signs,
            double_votes: self.checker.double_votes,
            double_proposals: self.checker.double_proposals,
            faults: self.happened,
            virtual_ms: self.now_us / 1_000,
            trace: self.trace.finalize().to_hex().to_string(),
            counts: self.counts,
            coverage,
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

    fn send(&mut self, from: usize, to: usize, after_us: u64, packet: Packet) {
        if self.parted.contains(&(from, to)) || self.parted.contains(&(to, from)) {
            return;
        }
        self.counts.packets += 1;
        let network = if self.is_healed() { &self.healed } else { &self.plan.network };
        let arrivals = network.arrivals(&mut self.rng, self.now_us + after_us, from, to);
        if arrivals.is_empty() {
            self.counts.lost += 1;
            let broken = match packet {
                Packet::Request(..) => Some((to, from)),
                Packet::Blocks(..) => Some((from, to)),
                Packet::Gossip(..) | Packet::NoBlocks => None,
            };
            if let Some((from, to)) = broken {
                self.schedule(after_us + BROKEN_AFTER_US, Event::Deliver { from, to, packet: Packet::NoBlocks });
            }
            return;
        }
        for travel_us in arrivals {
            let network = if self.is_healed() { &self.healed } else { &self.plan.network };
            let packet = match &packet {
                Packet::Gossip(channel, bytes, genuine) => {
                    let arrived = network.corrupt(&mut self.rng, bytes);
                    let genuine = *genuine && Arc::ptr_eq(&arrived, bytes);
                    Packet::Gossip(*channel, arrived, genuine)
                }
                // Streams have checksums of their own.
                Packet::Request(..) | Packet::Blocks(..) | Packet::NoBlocks => packet.clone(),
            };
            self.schedule(after_us + travel_us, Event::Deliver { from, to, packet });
        }
    }

    /// Whether a peer speaks to another one on the consensus plane: it is configured, as the first validators are to all, or
    /// has a key in a set that the speaker knows to decide.
    fn decides(&self, speaker: usize, other: usize) -> bool {
        let tip = |peer: usize| self.peers[peer].host.as_ref().map(Host::tip);
        let key = self.peers[other].host.as_ref().and_then(Host::key);
        other < self.plan.validators || key.is_some_and(|key| tip(speaker).is_some_and(|tip| tip.has_key(&key)))
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
            Event::Ask => self.on_ask(),
            Event::Crash => self.on_crash(),
            Event::ClockJump => self.on_clock_jump(),
            Event::Leave { peer } => {
                if self.peers[peer].host.is_some() {
                    self.kill(peer);
                }
            }
            Event::Restart { peer } => self.boot(peer),
            Event::Heal => self.on_heal(),
        }
    }

    /// Somebody asks for something, and whoever breaks the rules may say something unasked.
    fn on_ask(&mut self) {
        let now_ms = EPOCH_MS + self.now_us / 1_000;
        for _ in 0..self.plan.asks {
            let asked = self.clients.any(&mut self.rng, &mut self.oracle.history, now_ms);
            asked.into_iter().for_each(|transaction| self.submit(transaction));
        }
        for peer in 0..self.peers.len() {
            if !self.peers[peer].honest {
                let parcels = self.misdeed(peer, |hooks, scene| hooks.unasked(scene));
                self.deliver(peer, 0, parcels.unwrap_or_default());
            }
        }
        self.schedule(self.plan.ask_every_ms * 1_000, Event::Ask);
    }

    /// Lets a peer that runs do what one that breaks the rules does.
    fn misdeed<T>(&mut self, peer: usize, hook: impl FnOnce(&mut dyn Misbehaviour, &mut Scene<'_>) -> T) -> Option<T> {
        let others = self.others(peer).collect();
        let doing = &mut self.peers[peer];
        let tip = doing.host.as_ref()?.tip();
        let now_ms = EPOCH_MS + self.now_us / 1_000;
        let mut scene = Scene { others, key: &doing.key, tip, now_ms, rng: &mut self.misdeeds };
        Some(hook(doing.hooks.as_mut(), &mut scene))
    }

    fn kill(&mut self, peer: usize) {
        let victim = &mut self.peers[peer];
        let machine = victim.host.take().expect("a running peer").into_machine();
        victim.doom_in_resume = victim.doom.take().and_then(|doom| doom.again);
        victim.wakes_us = None;
        self.switch_off(peer, machine);
        for other in self.others(peer) {
            self.give(other, |host| {
                host.on_disconnected(peer);
                Ok(())
            });
        }
    }

    /// Power is gone: what was not synced is lost with it, and what is in memory.
    fn switch_off(&mut self, peer: usize, mut machine: SimMachine) {
        self.counts.crashes += 1;
        self.say(peer, || "loses power".into());
        self.note(peer, 0, &[]);
        self.checker.on_power_failure(peer);
        machine.crash();
        if self.plan.loses_log == Some(peer) && self.rng.random_bool(0.5) {
            machine.disk.lose_log();
        }
        self.peers[peer].hooks.on_stopped(&mut machine.disk);
        self.peers[peer].machine = Some(machine);
        self.schedule_restart(peer);
    }

    fn boot(&mut self, peer: usize) {
        let booting = &mut self.peers[peer];
        if booting.away || booting.behaviour == Behaviour::Dead {
            return;
        }
        // It may be there already.
        let Some(mut machine) = booting.machine.take() else { return };
        booting.boot += 1;
        booting.busy_until_us = self.now_us;
        let doom = booting.doom_in_resume.take();
        machine.at(self.now_us, doom);
        machine.make_room(true);
        let entries = machine.start().and_then(|tip| Ok((tip.height.next(), machine.disk.entries(tip.height.next())?)));
        let (next, entries) = match entries {
            Ok((next, entries)) => (next, entries.len()),
            Err(error) => return self.checker.on_lost(peer, &error.to_string()),
        };
        self.counts.replayed += entries as u64;
        let key = (!booting.keyless).then(|| machine.key().unwrap_or_else(|| booting.key.clone()));
        self.say(peer, || format!("starts above height {next} with {entries} log entries"));
        let mut host = match Host::resume(machine, key) {
            Ok(host) => host,
            Err(stopped) => return self.on_stopped_in_resume(peer, *stopped),
        };
        host.machine_mut().make_room(false);
        self.peers[peer].host = Some(host);
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

    fn on_stopped_in_resume(&mut self, peer: usize, stopped: allod_protocol::agreement::host::NotResumed<SimMachine>) {
        let allod_protocol::agreement::host::NotResumed { mut machine, error } = stopped;
        if has_lost_power(&error) || !self.peers[peer].honest {
            self.counts.crashes_in_resume += 1;
            // What it sent before is on its way, and what it committed is on its disk.
            let outcome = machine.take_outcome();
            self.peers[peer].machine = Some(machine);
            self.on_outcome(peer, outcome);
            let machine = self.peers[peer].machine.take().expect("it was put there");
            self.switch_off(peer, machine);
        } else {
            self.checker.on_failure(peer, &error);
        }
    }

    /// Gives an event to a peer that runs, and carries out what comes of it.
    fn give(&mut self, peer: usize, event: impl FnOnce(&mut Host<SimMachine>) -> Result<(), HostError>) {
        let giving = &mut self.peers[peer];
        let Some(host) = &mut giving.host else { return };
        let doom = giving.doom;
        host.machine_mut().at(self.now_us, doom.map(|doom| doom.after));
        let done = event(host).and_then(|()| host.advance());
        giving.busy_until_us = self.now_us + host.machine().spent_us();
        let outcome = host.machine_mut().take_outcome();
        let has_committed = !outcome.committed.is_empty();
        self.on_outcome(peer, outcome);
        match done {
            Err(error) if has_lost_power(&error) => self.kill(peer),
            // What becomes of one that breaks the rules is its own affair.
            Err(_) if !self.peers[peer].honest => self.kill(peer),
            Err(error) => self.checker.on_failure(peer, &error),
            Ok(()) if doom.is_some() || self.is_out_of_power(peer) => self.kill(peer),
            Ok(()) => {
                if let Some(host) = self.peers[peer].host.as_ref().filter(|_| self.peers[peer].honest) {
                    self.checker.on_idle(peer, host, has_committed, self.is_healed());
                }
                self.wake_later(peer);
            }
        }
    }

    fn is_out_of_power(&self, peer: usize) -> bool {
        self.peers[peer].host.as_ref().is_some_and(|host| host.machine().is_out_of_power())
    }

    fn wake_later(&mut self, peer: usize) {
        let waking = &mut self.peers[peer];
        let Some(host) = &waking.host else { return };
        let wake_us = host.machine().true_us(host.next_wake());
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
            Packet::Gossip(Channel::Consensus, bytes, genuine) => {
                let before = self.judged(to);
                self.give(to, |host| host.on_consensus(&bytes, ()));
                self.look_at_verdict((from, to), &bytes, genuine, before);
                if !self.peers[to].honest
                    && let Ok(message) = Message::decode(&bytes)
                {
                    let said = self.misdeed(to, |hooks, scene| hooks.on_heard(scene, &message));
                    self.deliver(to, 0, said.unwrap_or_default());
                }
            }
            Packet::Gossip(Channel::Blocks, bytes, genuine) => {
                let before = self.judged(to);
                self.give(to, |host| host.on_push(&bytes, ()));
                let taken = self.judged(to).zip(before).is_some_and(|(after, before)| after.0 > before.0);
                self.counts.pushed += u64::from(taken);
                self.look_at_verdict((from, to), &bytes, genuine, before);
            }
            Packet::Gossip(Channel::Transactions, bytes, genuine) => {
                let (network, before) = (self.network, self.judged(to));
                self.give(to, |host| {
                    let (snapshot, room) = (host.machine().snapshot(), host.mempool().room());
                    let checked = gossip::check_batch(&bytes, network, &snapshot, (host.judging_time(), &room));
                    host.on_transactions(checked.map_err(|faulty| faulty.to_string()), ());
                    Ok(())
                });
                self.look_at_verdict((from, to), &bytes, genuine, before);
            }
            Packet::Request(height, max_blocks) => self.serve((to, from), height, max_blocks),
            Packet::Blocks(tip, blocks) => self.give(to, |host| host.on_blocks(from, tip, &blocks)),
            Packet::NoBlocks => self.give(to, |host| {
                host.on_no_blocks(from, "the connection broke");
                Ok(())
            }),
        }
    }

    /// Gossip messages taken and refused so far by a peer that runs.
    fn judged(&self, peer: usize) -> Option<(u64, u64)> {
        self.peers[peer].host.as_ref().filter(|_| self.peers[peer].honest).map(|host| host.machine().judged())
    }

    fn look_at_verdict(&mut self, pair: (usize, usize), bytes: &[u8], genuine: bool, before: Option<(u64, u64)>) {
        let (Some((taken, refused)), Some(after)) = (before, self.judged(pair.1)) else { return };
        if after.0 > taken {
            self.checker.on_taken(pair.1, bytes);
        }
        if after.1 > refused {
            self.checker.on_refused(pair.0, pair.1, bytes, genuine);
        }
    }

    fn serve(&mut self, (peer, asker): (usize, usize), from: Height, max_blocks: usize) {
        let Some(host) = &self.peers[peer].host else { return };
        let disk = &host.machine().disk;
        let heights = (from.get()..).take(limits::SYNC_BLOCKS.min(max_blocks)).map(Height::new);
        let block = |height| disk.block(height).expect("a block is read");
        let blocks: Vec<DecidedBlock> = heights.map_while(block).collect();
        let tip = host.tip().height;
        let served = if self.peers[peer].honest {
            Some((tip, blocks))
        } else {
            self.misdeed(peer, |hooks, scene| hooks.on_request(scene, asker, tip, blocks)).flatten()
        };
        if let Some((tip, blocks)) = served {
            self.send(peer, asker, 0, Packet::Blocks(tip, blocks.into()));
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
        let Ok(checked) = Checked::new(*transaction, self.network) else {
            self.counts.refused += 1;
            return;
        };
        let (id, expires) = (checked.id, checked.transaction.body.expires);
        let mut accepted = false;
        self.give(to, |host| {
            accepted = host.on_submit(checked).is_ok();
            Ok(())
        });
        if accepted
            && self.peers[to].honest
            && let Some(host) = &self.peers[to].host
        {
            self.checker.on_acknowledged(to, id, expires, host);
        }
        self.counts.accepted += u64::from(accepted);
        self.counts.refused += u64::from(!accepted);
    }

    fn on_outcome(&mut self, peer: usize, outcome: Outcome) {
        let Outcome { sent, committed, evidence, seen } = outcome;
        self.counts.syncs += seen.syncs;
        self.counts.rejected += seen.rejected;
        self.counts.refused_blocks += seen.refused_blocks;
        self.counts.caught_up += seen.caught_up;
        self.counts.furthest_behind =
            self.counts.furthest_behind.max(self.checker.behind(peer, &seen, committed.len()));
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
                Sent::Gossip(Channel::Blocks, bytes) => self.push(peer, after_us, bytes),
                Sent::Gossip(channel @ Channel::Transactions, bytes) => {
                    let to = self.misdeed(peer, |hooks, scene| hooks.on_transactions(scene)).unwrap_or_default();
                    self.deliver(peer, after_us, vec![Parcel { to, channel, bytes }]);
                }
                Sent::Request { peer: to, from, max_blocks } => {
                    self.say(peer, || format!("asks peer {to} for {max_blocks} blocks from height {from}"));
                    self.send(peer, to, after_us, Packet::Request(from, max_blocks));
                }
                Sent::Block { peer: other } => {
                    self.say(peer, || format!("wants no more of peer {other}"));
                    self.parted.insert((peer, other));
                    if self.peers[peer].honest && self.peers[other].honest {
                        self.checker.on_blocked(peer, other);
                    }
                }
            }
        }
    }

    fn on_committed(&mut self, peer: usize, committed: &Committed) {
        let Committed { decided, after, .. } = committed;
        self.say(peer, || format!("commits block {} of height {}", decided.block.hash(), after.height));
        self.note(peer, 3, decided.block.hash().as_bytes());
        self.counts.later_rounds += u64::from(decided.certificate.round > 0);
        self.checker.on_final(peer, committed);
        if self.checker.on_decided(peer, committed) {
            let store = self.peers[peer].store().expect("a peer that commits has a machine");
            if let Err(broken) = self.oracle.on_decided(store, committed) {
                return self.checker.broken(Law::Reference, format!("height {}: {broken}", after.height));
            }
            let asked = self.clients.on_committed(&mut self.oracle.history, committed, after);
            if self.clients.have_given_up() {
                self.checker.on_wished_in_vain(after.height);
            }
            asked.into_iter().for_each(|transaction| self.submit(transaction));
            self.look_at_absences(after.height.get());
        }
    }

    /// Sends a consensus message as the peer's behaviour has it.
    fn publish(&mut self, peer: usize, after_us: u64, bytes: Vec<u8>) {
        let message = Message::decode(&bytes).expect("a host encodes what it sends");
        let publishing = &self.peers[peer];
        self.say(peer, || format!("says {message:?}"));
        if publishing.honest {
            self.checker.on_published(peer, publishing.address, &message);
            let to = self.others(peer).filter(|to| self.decides(peer, *to)).collect();
            return self.deliver(peer, after_us, vec![Parcel { to, channel: Channel::Consensus, bytes }]);
        }
        let parcels = self.misdeed(peer, |hooks, scene| hooks.on_publish(scene, &message)).unwrap_or_default();
        self.deliver(peer, after_us, parcels);
        if self.misdeed(peer, |hooks, scene| hooks.stops(scene)).unwrap_or_default() {
            self.peers[peer].doom.get_or_insert(Doom { after: 0, again: None });
        }
    }

    /// Pushes a decided block to those who take no part in deciding, as the peer's behaviour has it.
    fn push(&mut self, peer: usize, after_us: u64, bytes: Vec<u8>) {
        let parcels = if self.peers[peer].honest {
            let to = self.others(peer).filter(|to| !self.decides(peer, *to)).collect();
            vec![Parcel { to, channel: Channel::Blocks, bytes }]
        } else {
            self.misdeed(peer, |hooks, scene| hooks.on_push(scene, bytes)).unwrap_or_default()
        };
        self.deliver(peer, after_us, parcels);
    }

    fn deliver(&mut self, peer: usize, after_us: u64, parcels: Vec<Parcel>) {
        let genuine = self.peers[peer].honest;
        for Parcel { to, channel, bytes } in parcels {
            self.note(peer, 4, &bytes);
            if !genuine {
                self.say(peer, || match Message::decode(&bytes) {
                    Ok(message) => format!("sends to {to:?}: {message:?}"),
                    Err(_) => format!("sends to {to:?}: {} bytes", bytes.len()),
                });
            }
            let packet = Packet::Gossip(channel, bytes.into(), genuine);
            for to in to {
                self.send(peer, to, after_us, packet.clone());
            }
        }
    }
}

/// Whether a process ended because its machine failed as the plan has it.
fn has_lost_power(error: &HostError) -> bool {
    matches!(error, HostError::Machine { source, .. } if source.is::<PowerFailed>() || source.is::<DiskFull>())
}
