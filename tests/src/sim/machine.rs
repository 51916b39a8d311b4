//! The machine that a simulated host runs on: a virtual clock, a virtual disk, and a way to the others that the run
//! carries. It is slow where the plan says so, and its power fails between any two things that it is asked to do.

use super::disk::Disk;
use allod_protocol::{
    agreement::{
        host::{Channel, Clock, Failure, Guard, HostEvent, Keys, Ledger, Log, Moment, Reporter, Verdict, Wire},
        replica::{DoubleSign, Warning},
    },
    ground::{
        crypto::SigningKey,
        ids::{Height, Timestamp},
    },
    ledger::{
        block::{DecidedBlock, Header, Tip},
        execute::{Executed, TransactionResult},
    },
    rules::{event::Event, network::RetiredKey},
};
use allod_storage::memory::MemorySnapshot;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// Where virtual time begins, in block time.
pub(super) const EPOCH_MS: u64 = crate::ledger::GENESIS_TIME;
/// The longest that a slow disk takes for one write, in virtual microseconds.
const SLOW_WRITE_US: u64 = 30_000;

/// The power is gone.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the power failed")]
pub(super) struct PowerFailed;

/// The disk is full.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no space is left on the disk")]
pub(super) struct DiskFull;

/// What a host sent, and how long after it was given an event.
#[derive(Debug)]
pub(super) enum Sent {
    Gossip(Channel, Vec<u8>),
    Request { peer: usize, from: Height },
    Block { peer: usize },
}

/// A block that a host committed.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) before: Tip,
    pub(super) decided: DecidedBlock,
    pub(super) after: Tip,
    pub(super) executed: Vec<TransactionResult>,
    pub(super) deadline_events: Vec<Event>,
}

/// What came of one event.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) sent: Vec<(u64, Sent)>,
    pub(super) committed: Vec<Committed>,
    pub(super) evidence: Vec<DoubleSign>,
    pub(super) seen: Seen,
}

/// What was counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) syncs: u64,
    pub(super) rejected: u64,
    pub(super) refused_blocks: u64,
    pub(super) caught_up: u64,
    pub(super) withheld: u64,
}

/// One peer's machine.
pub(super) struct SimMachine {
    pub(super) disk: Disk,
    rng: ChaCha8Rng,
    /// When the event under way came, in virtual microseconds, and how long it has taken so far.
    now_us: u64,
    spent_us: u64,
    clock_ahead_ms: u64,
    slow_disk: f64,
    full_disk: f64,
    /// Whether the disk has room for now.
    has_room: bool,
    /// After how many more things the power fails.
    power_left: Option<u64>,
    pub(super) outcome: Outcome,
    /// The consensus key, once another one is in the place of the first.
    key: Option<SigningKey>,
    keys_made: u64,
    seed: u64,
}

impl SimMachine {
    pub(super) fn new(disk: Disk, seed: u64, clock_ahead_ms: u64, (slow_disk, full_disk): (f64, f64)) -> Self {
        Self {
            disk,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now_us: 0,
            spent_us: 0,
            clock_ahead_ms,
            slow_disk,
            full_disk,
            has_room: false,
            power_left: None,
            outcome: Outcome::default(),
            key: None,
            keys_made: 0,
            seed,
        }
    }

    /// An event is given to the host now.
    pub(super) fn at(&mut self, now_us: u64, doomed: bool) {
        (self.now_us, self.spent_us) = (now_us, 0);
        if doomed && self.power_left.is_none() {
            self.power_left = Some(self.rng.random_range(0..12));
        }
    }

    /// The clock that is set is set to so far ahead of true time.
    pub(super) const fn set_clock(&mut self, ahead_ms: u64) {
        self.clock_ahead_ms = ahead_ms;
    }

    /// How long the event took.
    pub(super) const fn spent_us(&self) -> u64 {
        self.spent_us
    }

    /// The consensus key on the disk, if it is not the first one.
    pub(super) fn key(&self) -> Option<SigningKey> {
        self.key.clone()
    }

    pub(super) fn take_outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// The power fails, and comes back.
    pub(super) fn crash(&mut self) {
        self.disk.crash(&mut self.rng);
        self.power_left = None;
        self.outcome.sent.clear();
    }

    /// One more thing is done, if there is power.
    fn draw_power(&mut self) -> Result<(), PowerFailed> {
        match &mut self.power_left {
            Some(0) => Err(PowerFailed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A write begins: there is power and room for it.
    fn begin_write(&mut self) -> Result<(), Failure> {
        self.draw_power()?;
        self.find_room()?;
        Ok(())
    }

    fn find_room(&mut self) -> Result<(), DiskFull> {
        let is_full = !self.has_room && self.full_disk > 0.0 && self.rng.random_bool(self.full_disk);
        if is_full { Err(DiskFull) } else { Ok(()) }
    }

    /// Whoever starts the process again made room first.
    pub(super) const fn make_room(&mut self, has_room: bool) {
        self.has_room = has_room;
    }

    fn write_takes(&mut self) {
        if self.slow_disk > 0.0 && self.rng.random_bool(self.slow_disk) {
            self.spent_us += self.rng.random_range(0..SLOW_WRITE_US);
        }
    }

    fn send(&mut self, sent: Sent) {
        if self.draw_power().is_ok() {
            self.outcome.sent.push((self.spent_us, sent));
        }
    }
}

impl Ledger for SimMachine {
    type Snapshot = MemorySnapshot;

    fn tip(&self) -> Tip {
        self.disk.ledger.tip()
    }

    fn snapshot(&self) -> MemorySnapshot {
        self.disk.ledger.snapshot()
    }

    fn header(&self, height: Height) -> Result<Option<Header>, Failure> {
        Ok(self.disk.ledger.block(height).map(|decided| decided.block.header().clone()))
    }

    fn commit(&mut self, decided: &DecidedBlock, executed: &Executed) -> Result<Tip, Failure> {
        self.find_room()?;
        let power = self.draw_power();
        // The batch is atomic: a block whose commit the power failed in is on the disk, or nothing of it is.
        if power.is_err() && self.rng.random_bool(0.5) {
            return Err(PowerFailed.into());
        }
        self.write_takes();
        let before = self.disk.ledger.tip();
        let tip = self.disk.ledger.commit(decided, executed)?;
        let (after, deadline_events) = (tip.clone(), executed.deadline_events.clone());
        let executed = executed.results.clone();
        self.outcome.committed.push(Committed { before, decided: decided.clone(), after, executed, deadline_events });
        power?;
        Ok(tip)
    }
}

impl Log for SimMachine {
    fn log_entries(&self, height: Height) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(self.disk.entries(height))
    }

    fn append_log(&mut self, height: Height, entry: &[u8]) -> Result<(), Failure> {
        self.begin_write()?;
        self.disk.append(height, entry);
        Ok(())
    }

    fn sync_log(&mut self) -> Result<(), Failure> {
        self.begin_write()?;
        if self.disk.sync() {
            self.outcome.seen.syncs += 1;
            self.write_takes();
        }
        Ok(())
    }

    fn reset_log(&mut self, _: Height) -> Result<(), Failure> {
        self.draw_power()?;
        self.disk.truncate();
        Ok(())
    }
}

impl Guard for SimMachine {
    fn last_signed(&self) -> Option<Vec<u8>> {
        self.disk.last_signed()
    }

    fn keep_last_signed(&mut self, record: &[u8]) -> Result<(), Failure> {
        let power = self.draw_power();
        if power.is_ok() || self.rng.random_bool(0.5) {
            self.disk.set_last_signed(record);
        }
        self.write_takes();
        Ok(power?)
    }
}

impl Wire for SimMachine {
    type Peer = usize;
    type Token = ();

    fn publish(&mut self, channel: Channel, message: Vec<u8>) {
        self.send(Sent::Gossip(channel, message));
    }

    fn judge(&mut self, (): (), verdict: Verdict) {
        self.outcome.seen.rejected += u64::from(verdict == Verdict::Reject);
    }

    fn request_blocks(&mut self, peer: usize, from: Height, _: usize) {
        self.send(Sent::Request { peer, from });
    }

    fn block_peer(&mut self, peer: usize, _: &str) {
        self.send(Sent::Block { peer });
    }
}

impl Clock for SimMachine {
    fn now(&self) -> Moment {
        Moment::new(Duration::from_micros(self.now_us + self.spent_us))
    }

    fn block_time(&self) -> Timestamp {
        Timestamp::new(EPOCH_MS + (self.now_us + self.spent_us) / 1_000 + self.clock_ahead_ms)
    }
}

impl Keys for SimMachine {
    fn replace_key(&mut self, _: &RetiredKey) -> Option<SigningKey> {
        self.keys_made += 1;
        let seed = [self.seed.to_le_bytes(), self.keys_made.to_le_bytes()].concat();
        self.key = Some(SigningKey::from_seed(blake3::hash(&seed).as_bytes()));
        self.key.clone()
    }
}

impl Reporter<usize> for SimMachine {
    fn report(&mut self, event: HostEvent<'_, usize>) {
        let seen = &mut self.outcome.seen;
        match event {
            HostEvent::DoubleSign(proof) => self.outcome.evidence.push(proof.clone()),
            HostEvent::RefusedBlock { .. } => seen.refused_blocks += 1,
            HostEvent::CaughtUp { from, to, .. } => seen.caught_up += to.get() - from.get(),
            HostEvent::Warning(Warning::WithheldSignature { .. }) => seen.withheld += 1,
            HostEvent::Warning(Warning::NoPolkaCertificate { .. })
            | HostEvent::Committed { .. }
            | HostEvent::Round { .. }
            | HostEvent::InvalidProposal { .. }
            | HostEvent::FaultyMessage { .. }
            | HostEvent::FaultyTransactions { .. }
            | HostEvent::Refused(_)
            | HostEvent::NoBlocks { .. } => {}
        }
    }
}
