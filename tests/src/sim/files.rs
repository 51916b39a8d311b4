//! The node's own ledger, log and last-signed record, in a directory on a disk that fails. After each failure they are
//! opened as the node opens them, and what they had acknowledged has to be there.
//!
//! A database has threads of its own, whose writes come when they come: what a power failure finds of *them* is not for a
//! seed to say. What it finds of the log, of the record and of the blocks is, so that a run is nearly always the same
//! again.

use super::machine::Committed;
use crate::directory::{Faults, FaultyDirectory, Losses, Seen};
use allod_protocol::{
    agreement::host::Failure,
    ground::ids::Height,
    ledger::{
        block::{DecidedBlock, Tip},
        execute::Executed,
        genesis::Genesis,
    },
};
use allod_storage::{ConsensusLog, Ledger, SignGuard, Snapshot, StorageError, sign_guard::GUARD_FILE, wal::LOG_FILE};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{path::Path, sync::Arc};

/// The directories in a node's data directory.
const LEDGER: &str = "ledger";
const CONSENSUS: &str = "consensus";
/// How many starts are cut short, or fail just after.
const FAILED_STARTS: f64 = 0.3;
/// How many of these find the disk full.
const FULL_STARTS: f64 = 0.2;
/// How many failures are of the process alone: what was written is there, synced or not.
const KILLED: f64 = 0.4;

/// Something that had been acknowledged is not there, or something is there that nobody wrote.
#[derive(Debug, thiserror::Error)]
#[error("after a failure {0}")]
struct Lost(String);

/// One peer's data directory.
pub(super) struct Files {
    /// None while the machine is off.
    running: Option<Running>,
    directory: Arc<FaultyDirectory>,
    genesis: Arc<Genesis>,
    rng: ChaCha8Rng,
    /// How many changes and syncs the last start made.
    start_calls: u64,
    known: Known,
    losses: Losses,
}

/// What a node has open while it runs.
struct Running {
    ledger: Ledger,
    log: ConsensusLog,
    guard: SignGuard,
}

/// What was acknowledged, or found at a start and relied on since; and what was asked for and may be there as well.
struct Known {
    tip: Tip,
    committing: Option<Committed>,
    entries: Vec<(Height, Vec<u8>)>,
    appended: Vec<(Height, Vec<u8>)>,
    last_signed: Option<Vec<u8>>,
    signing: Option<Vec<u8>>,
}

impl Files {
    /// An empty data directory of a peer whose ledger begins at `tip`; syncs of files like `careless` do nothing.
    pub(super) fn new(genesis: Arc<Genesis>, tip: Tip, seed: u64, careless: Option<&'static str>) -> Self {
        let (entries, appended) = (Vec::new(), Vec::new());
        Self {
            running: None,
            directory: Arc::new(FaultyDirectory::new(careless)),
            genesis,
            rng: ChaCha8Rng::seed_from_u64(seed),
            start_calls: 0,
            known: Known { tip, committing: None, entries, appended, last_signed: None, signing: None },
            losses: Losses::default(),
        }
    }

    /// Starts as the node does, after failing on the way now and then. Gives the block that was being committed when the
    /// machine failed before, if it is there.
    ///
    /// # Errors
    /// When it does not start, or something is lost.
    pub(super) fn start(&mut self) -> Result<Option<Committed>, Failure> {
        let mut found = None;
        while self.rng.random_bool(FAILED_STARTS) {
            let full = if self.rng.random_bool(FULL_STARTS) { 0.05 } else { 0.0 };
            let off_after = Some(self.rng.random_range(0..=self.start_calls.max(100)));
            let faults = Faults { seed: self.rng.random(), off_after, full, slow: 0.0 };
            let (started, seen) = self.during(faults, Self::open);
            match started {
                Ok(()) => found = self.check()?.or(found),
                Err(_) if seen.is_off || seen.is_full => {}
                Err(error) => return Err(error),
            }
            self.fail();
        }
        let (started, seen) = self.during(Faults::default(), Self::open);
        started?;
        self.start_calls = seen.calls;
        Ok(self.check()?.or(found))
    }

    /// What `node::run` opens, in its order.
    fn open(&mut self) -> Result<(), Failure> {
        let data = self.directory.path();
        let ledger = Ledger::open(&data.join(LEDGER), &self.genesis)?;
        let log = ConsensusLog::open(&data.join(CONSENSUS))?;
        let guard = SignGuard::open(&data.join(CONSENSUS))?;
        self.running = Some(Running { ledger, log, guard });
        Ok(())
    }

    /// That what was acknowledged is there, and nothing that was never asked for.
    fn check(&mut self) -> Result<Option<Committed>, Failure> {
        let Running { ledger, log, guard } = self.running.as_ref().expect("it is open");
        let known = &mut self.known;
        let (tip, last_signed) = (ledger.tip(), guard.load());
        let is_it = |committing: &Committed| committing.decided.block.hash() == tip.hash;
        let found = known.committing.take().filter(is_it).map(|found| Committed { after: tip.clone(), ..found });
        if tip != known.tip && found.is_none() {
            let (height, was) = (tip.height, known.tip.height);
            return Err(Lost(format!("the ledger stands at height {height}; it stood at {was}")).into());
        }
        if last_signed != known.last_signed && (last_signed.is_none() || last_signed != known.signing) {
            return Err(Lost("the last-signed record is another".into()).into());
        }
        let mut entries = Vec::new();
        for height in known.heights() {
            let there = log.entries(height)?;
            let of = |entries: &[(Height, Vec<u8>)]| -> Vec<Vec<u8>> {
                entries.iter().filter(|(of, _)| *of == height).map(|(_, entry)| entry.clone()).collect()
            };
            let (synced, appended) = (of(&known.entries), of(&known.appended));
            let is_good = there.strip_prefix(&synced[..]).is_some_and(|more| appended.starts_with(more));
            if !is_good {
                let (there, synced) = (there.len(), synced.len());
                let text = format!("the log has {there} entries of height {height}; it had {synced}");
                return Err(Lost(text).into());
            }
            entries.extend(there.into_iter().map(|entry| (height, entry)));
        }
        *known = Known { tip, committing: None, entries, appended: Vec::new(), last_signed, signing: None };
        Ok(found)
    }

    /// The power fails, or the process is killed, and nothing is open any more. On a full disk the process ends.
    pub(super) fn fail(&mut self) {
        let is_killed = self.directory.is_full() || self.rng.random_bool(KILLED);
        let seed = self.rng.random();
        self.directory.turn_off();
        self.running = None;
        if is_killed {
            self.directory.restart_process();
        } else {
            let Losses { lost, torn } = self.directory.restart_machine(seed);
            self.losses = Losses { lost: self.losses.lost + lost, torn: self.losses.torn + torn };
        }
    }

    /// Does something while faults come to it.
    pub(super) fn during<T>(&mut self, faults: Faults, work: impl FnOnce(&mut Self) -> T) -> (T, Seen) {
        let directory = self.directory.clone();
        directory.during(faults, || work(self))
    }

    /// Nothing changes any more.
    pub(super) fn turn_off(&self) {
        self.directory.turn_off();
    }

    pub(super) fn is_off(&self) -> bool {
        self.directory.is_off()
    }

    /// What power failures took so far.
    pub(super) const fn losses(&self) -> Losses {
        self.losses
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("nobody asks a machine that is off")
    }

    fn running_mut(&mut self) -> &mut Running {
        self.running.as_mut().expect("nobody asks a machine that is off")
    }

    /// Where the ledger stands; of a machine that is off, where it stood.
    pub(super) fn tip(&self) -> Tip {
        self.running.as_ref().map_or_else(|| self.known.tip.clone(), |running| running.ledger.tip())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.running().ledger.snapshot()
    }

    pub(super) fn snapshot_at(&self, height: Height) -> Result<Snapshot, StorageError> {
        self.running().ledger.snapshot_at(height)
    }

    pub(super) fn block(&self, height: Height) -> Result<Option<DecidedBlock>, Failure> {
        Ok(self.running().ledger.block(height)?)
    }

    pub(super) fn commit(&mut self, decided: &DecidedBlock, executed: &Executed) -> Result<Committed, Failure> {
        let before = self.tip();
        let committing = |after| Committed {
            before: before.clone(),
            decided: decided.clone(),
            after,
            executed: executed.results.clone(),
            deadline_events: executed.deadline_events.clone(),
        };
        self.known.committing = Some(committing(before.clone()));
        let tip = self.running().ledger.commit(decided, executed)?;
        self.known.committing = None;
        self.known.tip = tip.clone();
        Ok(committing(tip))
    }

    pub(super) fn entries(&self, height: Height) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(self.running().log.entries(height)?)
    }

    pub(super) fn append(&mut self, height: Height, entry: &[u8]) -> Result<(), Failure> {
        self.known.appended.push((height, entry.to_vec()));
        Ok(self.running_mut().log.append(height, entry)?)
    }

    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        self.running_mut().log.sync()?;
        self.known.entries.append(&mut self.known.appended);
        Ok(())
    }

    pub(super) fn reset(&mut self, height: Height) -> Result<(), Failure> {
        self.known.entries.retain(|(of, _)| *of == height);
        self.known.appended.retain(|(of, _)| *of == height);
        Ok(self.running_mut().log.reset(height)?)
    }

    pub(super) fn last_signed(&self) -> Option<Vec<u8>> {
        self.running().guard.load()
    }

    pub(super) fn keep_last_signed(&mut self, record: &[u8]) -> Result<(), Failure> {
        self.known.signing = Some(record.to_vec());
        self.running_mut().guard.store(record)?;
        self.known.last_signed = self.known.signing.take();
        Ok(())
    }

    /// Somebody deletes the log of a machine that is off.
    pub(super) fn lose_log(&mut self) {
        self.directory.delete(&Path::new(CONSENSUS).join(LOG_FILE));
        self.known.entries.clear();
        self.known.appended.clear();
    }

    /// Somebody deletes the last-signed record of a machine that is off.
    pub(super) fn lose_last_signed(&mut self) {
        self.directory.delete(&Path::new(CONSENSUS).join(GUARD_FILE));
        (self.known.last_signed, self.known.signing) = (None, None);
    }
}

impl Known {
    /// Of which there are entries, or may be.
    fn heights(&self) -> std::collections::BTreeSet<Height> {
        self.entries.iter().chain(&self.appended).map(|(height, _)| *height).collect()
    }
}
