//! The machine that a simulated host runs on: a virtual clock, a virtual disk, and a way to the others that the run
//! carries. It is slow where the plan says so, and its power fails between any two things that it is asked to do.

use super::{
    files::Files,
    store::{Store, StoreSnapshot},
};
use crate::directory::Faults;
use allod_protocol::{
    agreement::{
        host::{Acceptance, Channel, Clock, Failure, Guard, HostEvent, Keys, Ledger, Log, Moment, Reporter, Wire},
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
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// Where virtual time begins, in block time.
pub(super) const EPOCH_MS: u64 = crate::ledger::GENESIS_TIME;
/// The longest that a slow disk takes for one write, in virtual microseconds.
const SLOW_WRITE_US: u64 = 30_000;
/// Number of calls of a write within which the power fails: before what it writes, before the sync of that, or after.
const CALLS: u64 = 3;

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
    Request { peer: usize, from: Height, max_blocks: usize },
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
    pub(super) disk: Store,
    rng: ChaCha8Rng,
    /// When the event under way came, in virtual microseconds, and how long it has taken so far.
    now_us: u64,
    spent_us: u64,
    clock_ahead_ms: u64,
    /// How much faster than true time its clocks go, in millionths.
    drift_ppm: i64,
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
    /// Gossip messages taken and refused.
    judged: (u64, u64),
    /// Entries of the log since it was emptied.
    log_entries: usize,
}

impl SimMachine {
    /// A machine that is off, with the offset and drift of its clock, and the parts of its writes that are slow or find no
    /// room.
    pub(super) fn new(
        disk: Store,
        seed: u64,
        (clock_ahead_ms, drift_ppm): (u64, i64),
        (slow_disk, full_disk): (f64, f64),
    ) -> Self {
        Self {
            disk,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now_us: 0,
            spent_us: 0,
            clock_ahead_ms,
            drift_ppm,
            slow_disk,
            full_disk,
            has_room: false,
            power_left: None,
            outcome: Outcome::default(),
            key: None,
            keys_made: 0,
            seed,
            judged: (0, 0),
            log_entries: 0,
        }
    }

    /// An event is given to the host now; power fails after `power_left` more things, if at all.
    pub(super) fn at(&mut self, now_us: u64, power_left: Option<u64>) {
        (self.now_us, self.spent_us) = (now_us, 0);
        self.power_left = self.power_left.or(power_left);
    }

    /// Nothing fails any more.
    pub(super) const fn heal(&mut self) {
        (self.slow_disk, self.full_disk, self.power_left) = (0.0, 0.0, None);
    }

    /// What its clock shows at a moment of true time.
    const fn local_us(&self, true_us: u64) -> u64 {
        true_us
            .saturating_add_signed(true_us as i64 / 1_000_000 * self.drift_ppm)
            .saturating_add_signed(true_us as i64 % 1_000_000 * self.drift_ppm / 1_000_000)
    }

    /// When its clock will show a moment, in microseconds of true time.
    pub(super) fn true_us(&self, moment: Moment) -> u64 {
        let shown = moment.since_start().as_micros();
        let rate = u128::from(1_000_000u64.saturating_add_signed(self.drift_ppm));
        let mut true_us = u64::try_from((shown * 1_000_000).div_ceil(rate)).expect("a short run");
        // Its clock shows whole microseconds.
        while u128::from(self.local_us(true_us)) < shown {
            true_us += 1;
        }
        true_us
    }

    /// Whether power has failed, at something that nobody waits for.
    pub(super) const fn is_out_of_power(&self) -> bool {
        matches!(self.power_left, Some(0))
    }

    /// Gossip messages that it took and refused.
    pub(super) const fn judged(&self) -> (u64, u64) {
        self.judged
    }

    /// Entries of the log since it was emptied.
    pub(super) const fn log_entry_count(&self) -> usize {
        self.log_entries
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
        match &mut self.disk {
            Store::Memory(disk) => disk.crash(&mut self.rng),
            Store::Files(files) => files.fail(),
        }
        self.power_left = None;
        self.outcome.sent.clear();
    }

    /// Reads what is on the disk, and gives where its ledger stands.
    ///
    /// # Errors
    /// When something is lost.
    pub(super) fn start(&mut self) -> Result<Tip, Failure> {
        if let Store::Files(files) = &mut self.disk {
            let found = files.start()?;
            self.outcome.committed.extend(found);
        }
        Ok(self.disk.tip())
    }

    /// Works on real files, where there are any: the power fails within the work, or when it is done. Gives what was done all
    /// the same.
    fn work_on_files<T>(
        &mut self,
        work: impl FnOnce(&mut Files) -> Result<T, Failure>,
    ) -> (Option<T>, Result<(), Failure>) {
        let power = self.draw_power();
        let Store::Files(files) = &mut self.disk else { unreachable!("asked for where there are files") };
        if files.is_off() {
            return (None, Err(PowerFailed.into()));
        }
        let off_after = power.is_err().then(|| self.rng.random_range(0..CALLS));
        let faults = Faults { seed: self.rng.random(), off_after, full: self.full_disk, slow: self.slow_disk };
        let (done, seen) = files.during(faults, work);
        self.spent_us += seen.slow_us;
        self.outcome.seen.syncs += seen.syncs;
        match (done, power) {
            (done, Err(failed)) => {
                files.turn_off();
                (done.ok(), Err(failed.into()))
            }
            (Err(_), Ok(())) if seen.is_full => (None, Err(DiskFull.into())),
            (Err(error), Ok(())) => (None, Err(error)),
            (Ok(done), Ok(())) => (Some(done), Ok(())),
        }
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
        match (self.draw_power(), &self.disk) {
            (Ok(()), _) => self.outcome.sent.push((self.spent_us, sent)),
            (Err(_), Store::Files(files)) => files.turn_off(),
            (Err(_), Store::Memory(_)) => {}
        }
    }
}

impl Ledger for SimMachine {
    type Snapshot = StoreSnapshot;

    fn tip(&self) -> Tip {
        self.disk.tip()
    }

    fn snapshot(&self) -> StoreSnapshot {
        self.disk.snapshot()
    }

    fn header(&self, height: Height) -> Result<Option<Header>, Failure> {
        Ok(self.disk.block(height)?.map(|decided| decided.block.header().clone()))
    }

    fn commit(&mut self, decided: &DecidedBlock, executed: &Executed) -> Result<Tip, Failure> {
        if let Store::Files(_) = self.disk {
            let (committed, done) = self.work_on_files(|files| files.commit(decided, executed));
            self.outcome.committed.extend(committed);
            return done.map(|()| self.disk.tip());
        }
        self.find_room()?;
        let power = self.draw_power();
        // The batch is atomic: a block whose commit the power failed in is on the disk, or nothing of it is.
        if power.is_err() && self.rng.random_bool(0.5) {
            return Err(PowerFailed.into());
        }
        self.write_takes();
        let Store::Memory(disk) = &mut self.disk else { return Err(PowerFailed.into()) };
        let before = disk.ledger.tip();
        let tip = disk.ledger.commit(decided, executed)?;
        let (after, deadline_events) = (tip.clone(), executed.deadline_events.clone());
        let executed = executed.results.clone();
        self.outcome.committed.push(Committed { before, decided: decided.clone(), after, executed, deadline_events });
        power?;
        Ok(tip)
    }
}

impl Log for SimMachine {
    fn log_entries(&self, height: Height) -> Result<Vec<Vec<u8>>, Failure> {
        self.disk.entries(height)
    }

    fn append_log(&mut self, height: Height, entry: &[u8]) -> Result<(), Failure> {
        if let Store::Files(_) = self.disk {
            self.log_entries += 1;
            return self.work_on_files(|files| files.append(height, entry)).1;
        }
        self.begin_write()?;
        if let Store::Memory(disk) = &mut self.disk {
            disk.append(height, entry);
        }
        self.log_entries += 1;
        Ok(())
    }

    fn sync_log(&mut self) -> Result<(), Failure> {
        if let Store::Files(_) = self.disk {
            return self.work_on_files(Files::sync).1;
        }
        self.begin_write()?;
        if let Store::Memory(disk) = &mut self.disk
            && disk.sync()
        {
            self.outcome.seen.syncs += 1;
            self.write_takes();
        }
        Ok(())
    }

    fn reset_log(&mut self, height: Height) -> Result<(), Failure> {
        if let Store::Files(_) = self.disk {
            self.log_entries = 0;
            return self.work_on_files(|files| files.reset(height)).1;
        }
        self.draw_power()?;
        if let Store::Memory(disk) = &mut self.disk {
            disk.truncate();
        }
        self.log_entries = 0;
        Ok(())
    }
}

impl Guard for SimMachine {
    fn last_signed(&self) -> Option<Vec<u8>> {
        self.disk.last_signed()
    }

    fn keep_last_signed(&mut self, record: &[u8]) -> Result<(), Failure> {
        if let Store::Files(_) = self.disk {
            return self.work_on_files(|files| files.keep_last_signed(record)).1;
        }
        let power = self.draw_power();
        if let Store::Memory(disk) = &mut self.disk
            && (power.is_ok() || self.rng.random_bool(0.5))
        {
            disk.set_last_signed(record);
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

    fn judge(&mut self, (): (), verdict: Acceptance) {
        self.outcome.seen.rejected += u64::from(verdict == Acceptance::Reject);
        self.judged.0 += u64::from(verdict == Acceptance::Accept);
        self.judged.1 += u64::from(verdict == Acceptance::Reject);
    }

    fn request_blocks(&mut self, peer: usize, from: Height, max_blocks: usize) {
        self.send(Sent::Request { peer, from, max_blocks });
    }

    fn block_peer(&mut self, peer: usize, _: &str) {
        self.send(Sent::Block { peer });
    }
}

impl Clock for SimMachine {
    fn now(&self) -> Moment {
        Moment::new(Duration::from_micros(self.local_us(self.now_us + self.spent_us)))
    }

    fn block_time(&self) -> Timestamp {
        let shown_us = self.local_us(self.now_us + self.spent_us);
        Timestamp::new(EPOCH_MS + shown_us / 1_000 + self.clock_ahead_ms)
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
            | HostEvent::Proposed { .. }
            | HostEvent::InvalidProposal { .. }
            | HostEvent::FaultyMessage { .. }
            | HostEvent::FaultyPush { .. }
            | HostEvent::FaultyTransactions { .. }
            | HostEvent::Refused(_)
            | HostEvent::NoBlocks { .. } => {}
        }
    }
}
