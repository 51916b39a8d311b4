//! The real machine that a host runs on: RocksDB, files, the swarm, the system's clocks. Also what people see of it:
//! the log, the metrics and the notices of blocks.

use crate::{
    event_loop::{handle::Notice, retire},
    health::clocks::Clocks,
    metrics::Metrics,
    network::{GossipToken, NetworkHandle, SyncRequest, Topic},
    repeats::Repeats,
};
use allod_protocol::{
    agreement::host::{
        Acceptance, Channel, Clock, Failure, Guard, HostEvent, Keys, Ledger, Log, Moment, Reporter, Wire,
    },
    ground::{
        crypto::SigningKey,
        ids::{Height, Timestamp, ValidatorAddress},
    },
    ledger::{
        block::{DecidedBlock, Header, Tip},
        execute::Executed,
    },
    rules::network::RetiredKey,
};
use allod_storage::{ConsensusLog, Ledger as Database, SignGuard, Snapshot};
use libp2p::PeerId;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::broadcast, time::Instant};

/// How long after its last block a peer releases the memory that blocks took.
const REST_AFTER: Duration = Duration::from_secs(10);

/// The system's clock, as block time.
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The parts of the machine that a host uses.
pub(crate) struct NodeMachine {
    pub(crate) ledger: Database,
    pub(crate) log: ConsensusLog,
    pub(crate) guard: SignGuard,
    /// The file of the consensus key, to be destroyed when the ledger retires it.
    pub(crate) key_file: PathBuf,
    pub(crate) network: NetworkHandle,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) notices: broadcast::Sender<Arc<Notice>>,
    pub(crate) started: Instant,
    /// When memory is released, unless a block comes first.
    pub(crate) rest_at: Option<Instant>,
    /// What validators say of the time.
    pub(crate) clocks: Clocks,
    /// Who proposed the newest block, and the time that it wrote there.
    pub(crate) newest: Option<(ValidatorAddress, Timestamp)>,
    /// What the log says again and again while nothing is decided.
    pub(crate) repeats: LogRepeats,
}

/// What the log says again and again while nothing is decided.
#[derive(Debug, Default)]
pub(crate) struct LogRepeats {
    rounds: Repeats,
    refusals: Repeats,
    warnings: Repeats,
}

impl LogRepeats {
    /// Tells of what was counted and did not come again.
    pub(crate) fn rest(&mut self) {
        let now = std::time::Instant::now();
        if let Some(more) = self.rounds.rest(now) {
            tracing::info!(more, "more rounds");
        }
        if let Some(more) = self.refusals.rest(now) {
            tracing::warn!(more, "more proposed blocks that break a rule");
        }
        if let Some(more) = self.warnings.rest(now) {
            tracing::warn!(more, "more warnings of consensus");
        }
    }
}

impl NodeMachine {
    /// A moment, on the runtime's clock.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.started.checked_add(moment.since_start()).unwrap_or_else(Instant::now)
    }

    /// The newest block was decided just now, so its proposer says what time it is.
    pub(crate) fn hear_newest(&mut self) {
        if let Some((proposer, time)) = self.newest {
            self.clocks.on_said(proposer, time, std::time::Instant::now());
        }
    }

    /// Releases memory, if it is time to.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn rest(&mut self, now: Instant) -> Result<(), allod_storage::StorageError> {
        if self.rest_at.take_if(|at| *at <= now).is_some() { self.ledger.rest() } else { Ok(()) }
    }
}

impl Ledger for NodeMachine {
    type Snapshot = Snapshot;

    fn tip(&self) -> Tip {
        self.ledger.tip()
    }

    fn snapshot(&self) -> Snapshot {
        self.ledger.snapshot()
    }

    fn header(&self, height: Height) -> Result<Option<Header>, Failure> {
        Ok(self.ledger.header(height)?)
    }

    fn commit(&mut self, decided: &DecidedBlock, executed: &Executed) -> Result<Tip, Failure> {
        Ok(self.ledger.commit(decided, executed)?)
    }
}

impl Log for NodeMachine {
    fn log_entries(&self, height: Height) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(self.log.entries(height)?)
    }

    fn append_log(&mut self, height: Height, entry: &[u8]) -> Result<(), Failure> {
        let begun = Instant::now();
        self.log.append(height, entry)?;
        self.metrics.on_log_append(begun.elapsed());
        Ok(())
    }

    fn sync_log(&mut self) -> Result<(), Failure> {
        if self.log.is_dirty() {
            let begun = Instant::now();
            self.log.sync()?;
            self.metrics.on_log_sync(begun.elapsed());
        }
        Ok(())
    }

    fn reset_log(&mut self, height: Height) -> Result<(), Failure> {
        Ok(self.log.reset(height)?)
    }
}

impl Guard for NodeMachine {
    fn last_signed(&self) -> Option<Vec<u8>> {
        self.guard.load()
    }

    fn keep_last_signed(&mut self, record: &[u8]) -> Result<(), Failure> {
        let begun = Instant::now();
        self.guard.store(record)?;
        self.metrics.on_guard_sync(begun.elapsed());
        Ok(())
    }
}

impl Wire for NodeMachine {
    type Peer = PeerId;
    type Token = GossipToken;

    fn publish(&mut self, channel: Channel, message: Vec<u8>) {
        match channel {
            Channel::Consensus => self.network.say(message),
            Channel::Blocks => self.network.publish(Topic::Blocks, message),
            Channel::Transactions => self.network.publish(Topic::Transactions, message),
        }
    }

    fn judge(&mut self, token: GossipToken, verdict: Acceptance) {
        self.network.report(token, verdict);
    }

    fn request_blocks(&mut self, peer: PeerId, from: Height, max_blocks: usize) {
        let max_blocks = u32::try_from(max_blocks).unwrap_or(u32::MAX);
        self.network.request_blocks(peer, SyncRequest { from, max_blocks });
    }

    fn block_peer(&mut self, peer: PeerId, reason: &str) {
        self.network.block_peer(peer, reason);
    }
}

impl Clock for NodeMachine {
    fn now(&self) -> Moment {
        Moment::new(self.started.elapsed())
    }

    fn block_time(&self) -> Timestamp {
        clock()
    }
}

impl Keys for NodeMachine {
    fn replace_key(&mut self, retired: &RetiredKey) -> Option<SigningKey> {
        // A peer that only follows is worth more than one that stops.
        let replaced = retire::replace(&self.key_file, retired);
        replaced
            .inspect_err(|error| {
                tracing::error!(error = format!("{error:#}"), "a retired consensus key could not be destroyed");
            })
            .ok()
    }
}

impl Reporter<PeerId> for NodeMachine {
    fn report(&mut self, event: HostEvent<'_, PeerId>) {
        match event {
            HostEvent::Committed { decided, executed, execution, commit } => {
                self.rest_at = Instant::now().checked_add(REST_AFTER);
                self.newest = Some((decided.block.header().proposer, decided.block.header().time));
                let notice = Notice {
                    height: decided.block.header().height,
                    block: decided.block.hash(),
                    time: decided.block.header().time,
                    deadline_events: executed.deadline_events,
                    results: executed.results,
                };
                self.metrics.on_block(&decided.block, &notice.results, execution, commit);
                tracing::debug!(height = %notice.height, transactions = notice.results.len(), "block committed");
                // Nobody may be listening.
                let _ = self.notices.send(Arc::new(notice));
            }
            HostEvent::Round { height, round, proposer } => {
                self.metrics.set_round(round);
                if round > 0
                    && let Some(more) = self.repeats.rounds.on(std::time::Instant::now())
                {
                    tracing::info!(%height, round, %proposer, more, "another round");
                }
            }
            HostEvent::DoubleSign(proof) => {
                let (height, validator) = (proof.height(), proof.validator());
                tracing::error!(%height, %validator, "a validator signed twice");
                self.metrics.on_double_sign();
            }
            HostEvent::Proposed { proposer, time } => {
                self.clocks.on_said(proposer, time, std::time::Instant::now());
            }
            HostEvent::InvalidProposal { height, reason } => {
                if let Some(more) = self.repeats.refusals.on(std::time::Instant::now()) {
                    tracing::warn!(%height, %reason, more, "a proposed block breaks a rule");
                }
            }
            HostEvent::FaultyMessage { height, reason } => {
                let height = height.map(Height::get);
                tracing::debug!(height, %reason, "faulty consensus message");
            }
            HostEvent::FaultyPush { height, reason } => {
                tracing::debug!(height = height.map(Height::get), %reason, "a faulty block was pushed");
            }
            HostEvent::FaultyTransactions { reason } => tracing::debug!(%reason, "faulty transactions"),
            HostEvent::Refused(refused) => self.metrics.on_refused(refused.code()),
            HostEvent::NoBlocks { peer, reason } => tracing::debug!(%peer, reason, "no blocks"),
            HostEvent::RefusedBlock { peer, height, reason } => {
                self.metrics.on_refused("bad_block");
                tracing::warn!(%peer, %height, reason, "a fetched block was refused");
            }
            HostEvent::CaughtUp { peer, from, to } => {
                let taken = to.get().saturating_sub(from.get());
                self.metrics.on_sync_blocks(usize::try_from(taken).unwrap_or(usize::MAX));
                tracing::info!(%from, %to, %peer, "caught up");
            }
            HostEvent::Warning(warning) => {
                if let Some(more) = self.repeats.warnings.on(std::time::Instant::now()) {
                    tracing::warn!(more, "{warning}");
                }
            }
        }
    }
}
