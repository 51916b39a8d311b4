//! What an operator sees of this peer: every metric, in one place, in one registry.
//!
//! The event loop reports each event with one call ([`Metrics::on_block`], [`Metrics::set_round`], ...), which neither
//! blocks nor reads the ledger. Counts that others keep (the swarm, the database, the ledger itself) are read at each
//! scrape: [`Metrics::render`].
//!
//! Names use base units (seconds, bytes) and `_total` on counters. Labels have few values: validators are the only ones that
//! are named (`validators`), and no other id, address or handle is ever a label. The metrics themselves are defined in
//! `families`.
//!
//! Two things are read from the ledger after each block, by a task beside the event loop ([`Metrics::look_back`]), at a
//! cost proportional to the block:
//! - `allod_ledger_shares_conserved`: whether the changes of every register line that the block touched add up to the
//!   change of the model's total ([`share::is_conserved`]). It starts at 1 and, once 0, never returns to 1. A register
//!   starts empty, so 1 means that no unit was lost or invented in any block that this process saw.
//! - `allod_consensus_missed_proposals_total`: rounds that did not decide and in which this peer was the proposer.

mod families;
mod validators;

use crate::{
    exchange::serve::ServeCounters,
    health::{Code, Health},
    network::{NetworkStats, Topic},
};
use allod_protocol::{
    agreement::mempool::Mempool,
    ground::{
        ids::{Height, Power, Timestamp, TransactionId, ValidatorAddress},
        state::read,
    },
    ledger::{
        block::Block,
        execute::{Outcome, TransactionResult},
    },
    rules::{event::Event, network::Network, share, validator::ValidatorSchedule},
};
use allod_storage::Ledger;
use families::{
    ArtifactMetrics, Consensus, HealthMetrics, HttpMetrics, LedgerMetrics, MachineMetrics, Make, MempoolMetrics,
    NetworkMetrics, StorageMetrics,
};
use prometheus::{Encoder as _, IntCounter, Registry, TextEncoder};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use validators::Validators;

/// Maximum number of own submissions whose finality is being timed; when there are more, the oldest are dropped.
const TIMED_SUBMISSIONS: usize = 65_536;
/// A submission is no longer timed after this: it has expired, or was lost.
const TIMED_AT_MOST: Duration = Duration::from_secs(3_600);

/// The state of this peer in consensus, which the event loop knows.
#[derive(Clone, Copy, Debug)]
pub struct ConsensusState {
    /// The address of its consensus key.
    pub validator: ValidatorAddress,
    /// The highest height that another peer reported.
    pub best_known_height: Height,
    /// Whether this peer is behind the others.
    pub catching_up: bool,
    /// Number of connected peers that hear this one.
    pub listening_peers: usize,
    /// The voting power that this peer reaches, its own included.
    pub reached_power: Power,
    /// The voting power of all validators.
    pub total_power: Power,
    /// Whether this peer reaches too little to take part.
    pub cut_off: bool,
}

/// Every metric of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Instant,
    /// Milliseconds after `started` at which the event loop last ran.
    last_tick_ms: AtomicU64,
    submissions: Mutex<HashMap<TransactionId, Instant>>,
    served: OnceLock<Arc<ServeCounters>>,
    last_block: Mutex<Option<(Height, Timestamp)>>,
    health: HealthMetrics,
    machine: MachineMetrics,
    validators: Validators,
    consensus: Consensus,
    ledger: LedgerMetrics,
    mempool: MempoolMetrics,
    network: NetworkMetrics,
    artifacts: ArtifactMetrics,
    http: HttpMetrics,
    storage: StorageMetrics,
}

impl Metrics {
    /// Registers every metric, at zero.
    ///
    /// # Errors
    /// When two metrics have the same name: a defect of this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let make = Make(&registry);
        make.gauges("allod_build_info", "Always 1; the labels show the running version.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let metrics = Self {
            started: Instant::now(),
            last_tick_ms: AtomicU64::new(0),
            submissions: Mutex::default(),
            served: OnceLock::new(),
            last_block: Mutex::default(),
            health: make.health()?,
            machine: make.machine()?,
            validators: Validators::new(make.validators()?),
            consensus: make.consensus()?,
            ledger: make.ledger()?,
            mempool: make.mempool()?,
            network: make.network()?,
            artifacts: make.artifacts()?,
            http: make.http()?,
            storage: make.storage()?,
            registry,
        };
        // A counter that exists from the start shows zero when its event never happened.
        for result in ["applied", "rejected"] {
            metrics.ledger.transactions.with_label_values(&[result]);
        }
        for result in ["fetched", "failed"] {
            metrics.artifacts.fetches.with_label_values(&[result]);
        }
        metrics.ledger.shares_conserved.set(1);
        metrics.set_health(&Health::starting());
        Ok(metrics)
    }

    /// How long this process has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The event loop ran. It does so at least once a second, even at rest: `/healthz` relies on it.
    pub fn tick(&self) {
        self.last_tick_ms.store(millis(self.started.elapsed()), Ordering::Relaxed);
    }

    /// How long ago the event loop last ran.
    pub fn since_tick(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_tick_ms.load(Ordering::Relaxed)))
    }

    /// A block was executed, which took `execution`, and made durable, which took `commit`.
    pub fn on_block(&self, block: &Block, results: &[TransactionResult], execution: Duration, commit: Duration) {
        self.consensus.height.set(gauge(block.header().height.get()));
        self.ledger.execution.observe(execution.as_secs_f64());
        self.ledger.commit.observe(commit.as_secs_f64());
        for transaction in block.transactions() {
            self.ledger.actions.with_label_values(&[transaction.body.action.name()]).inc();
        }
        let rejected = results.iter().filter(|result| result.outcome != Outcome::Applied).count();
        let applied = results.len().saturating_sub(rejected);
        self.ledger.transactions.with_label_values(&["applied"]).inc_by(applied as u64);
        self.ledger.transactions.with_label_values(&["rejected"]).inc_by(rejected as u64);
        self.time_block(block.header().height, block.header().time);
        self.time_submissions(results);
    }

    fn time_block(&self, height: Height, time: Timestamp) {
        let mut last = self.last_block.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, since)) = last.replace((height, time))
            && before.next() == height
        {
            let interval = Duration::from_millis(time.get().saturating_sub(since.get()));
            self.consensus.block_interval.observe(interval.as_secs_f64());
        }
    }

    fn time_submissions(&self, results: &[TransactionResult]) {
        let mut submissions = self.submissions.lock().unwrap_or_else(PoisonError::into_inner);
        if submissions.is_empty() {
            return;
        }
        for result in results {
            if let Some(since) = submissions.remove(&result.id) {
                self.consensus.finality.observe(since.elapsed().as_secs_f64());
            }
        }
    }

    /// A client's transaction is about to be passed to this peer's event loop: its finality is timed from now.
    pub fn on_submitted(&self, id: TransactionId) {
        let mut submissions = self.submissions.lock().unwrap_or_else(PoisonError::into_inner);
        if submissions.len() >= TIMED_SUBMISSIONS {
            submissions.retain(|_, since| since.elapsed() < TIMED_AT_MOST);
        }
        if submissions.len() < TIMED_SUBMISSIONS {
            submissions.entry(id).or_insert_with(Instant::now);
        }
    }

    /// The transaction was refused after all, so there is nothing to time.
    pub fn on_submission_failed(&self, id: &TransactionId) {
        self.submissions.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// A transaction or a block was refused, for the reason of this stable code.
    pub fn on_refused(&self, code: &'static str) {
        self.mempool.refusals.with_label_values(&[code]).inc();
    }

    /// Updates the gauges of the mempool.
    pub fn set_mempool(&self, mempool: &Mempool) {
        self.mempool.transactions.set(gauge(mempool.len() as u64));
        self.mempool.size_bytes.set(gauge(mempool.size_bytes() as u64));
        self.mempool.weight.set(gauge(mempool.weight().get()));
        self.mempool.senders.set(gauge(mempool.senders() as u64));
    }

    /// The current height entered a round.
    pub fn set_round(&self, round: u32) {
        let before = self.consensus.round.get();
        self.consensus.round.set(i64::from(round));
        if round > 0 && i64::from(round) != before {
            self.consensus.rounds_above_zero.inc();
        }
    }

    /// A validator was seen to sign twice.
    pub fn on_double_sign(&self) {
        self.consensus.double_signs.inc();
    }

    /// Sets whether this peer can do its work, and if not, why.
    pub fn set_health(&self, health: &Health) {
        self.health.ready.set(i64::from(health.is_ready()));
        for code in Code::ALL {
            self.health.not_ready.with_label_values(&[code.name()]).set(i64::from(health.has(code)));
        }
        self.validators.set_missing(&health.awaited, &health.unheard);
        if let Some(room) = health.disk {
            self.machine.disk_free.set(gauge(room.free_bytes));
            self.machine.disk_reserve.set(gauge(room.reserve_bytes));
        }
        if let Some(ahead_ms) = health.clock_ahead_ms {
            self.health.clock_ahead.set(
                Duration::from_millis(ahead_ms.unsigned_abs()).as_secs_f64().copysign(if ahead_ms < 0 {
                    -1.0
                } else {
                    1.0
                }),
            );
        }
    }

    /// An entry was appended to the consensus log.
    pub fn on_log_append(&self, took: Duration) {
        self.machine.log_append.observe(took.as_secs_f64());
    }

    /// What was appended to the consensus log was made durable.
    pub fn on_log_sync(&self, took: Duration) {
        self.machine.log_sync.observe(took.as_secs_f64());
    }

    /// The record of what the consensus key signed last was made durable.
    pub fn on_guard_sync(&self, took: Duration) {
        self.machine.guard_sync.observe(took.as_secs_f64());
    }

    /// The event loop handled an event and all that it led to.
    pub fn on_turn(&self, took: Duration) {
        self.machine.turn.observe(took.as_secs_f64());
    }

    /// Sets how many items wait in a queue, and how many it has room for.
    pub fn set_queue(&self, queue: &str, depth: usize, capacity: usize) {
        self.machine.queue_depth.with_label_values(&[queue]).set(gauge(depth as u64));
        self.machine.queue_capacity.with_label_values(&[queue]).set(gauge(capacity as u64));
    }

    /// Blocks were received from another peer.
    pub fn on_sync_blocks(&self, count: usize) {
        self.consensus.sync_blocks.inc_by(count as u64);
    }

    /// A fetch ended, having brought `fetched_bytes` verified bytes.
    pub fn on_fetched(&self, fetched_bytes: u64, succeeded: bool) {
        self.artifacts.fetched_bytes.inc_by(fetched_bytes);
        self.artifacts.fetches.with_label_values(&[if succeeded { "fetched" } else { "failed" }]).inc();
    }

    /// Sets the number of releases with fewer copies than wanted.
    pub fn set_under_replicated(&self, releases: usize) {
        self.artifacts.under_replicated.set(gauge(releases as u64));
    }

    /// `checked_bytes` of artifacts were scrubbed.
    pub fn on_scrubbed(&self, checked_bytes: u64) {
        self.artifacts.scrubbed_bytes.inc_by(checked_bytes);
    }

    /// A stored file was found damaged.
    pub fn on_damaged(&self) {
        self.artifacts.damaged_found.inc();
    }

    /// `files` damaged files were repaired.
    pub fn on_repaired(&self, files: u64) {
        self.artifacts.repaired.inc_by(files);
    }

    /// Sets the number of files that are damaged now.
    pub fn set_damaged(&self, files: usize) {
        self.artifacts.damaged.set(i64::try_from(files).unwrap_or(i64::MAX));
    }

    /// A request was answered.
    pub fn on_http_request(&self, method: &axum::http::Method, status: u16, duration: Duration) {
        // A client may invent methods; the labels must not follow.
        let method = match method.as_str() {
            known @ ("GET" | "POST" | "HEAD" | "OPTIONS") => known,
            _ => "other",
        };
        self.http.requests.with_label_values(&[method, &status.to_string()]).inc();
        self.http.duration.with_label_values(&[method]).observe(duration.as_secs_f64());
    }

    /// Sets the number of open streams of live events.
    pub fn set_event_subscribers(&self, count: usize) {
        self.http.subscribers.set(gauge(count as u64));
    }

    /// Sets how often the API got no connection of the system.
    pub fn set_accept_failures(&self, count: u64) {
        raise(&self.http.accept_failures, count);
    }

    /// All metrics in Prometheus' text format. Counts that others keep are read now. Reads the database.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn render(&self, ledger: &Ledger, network: &NetworkStats, state: &ConsensusState) -> anyhow::Result<String> {
        self.collect(ledger, state)?;
        self.collect_network(network);
        self.collect_storage(ledger);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text)?)
    }

    fn collect(&self, ledger: &Ledger, state: &ConsensusState) -> anyhow::Result<()> {
        let snapshot = ledger.snapshot();
        if let Some(network) = read::<Network>(&snapshot, &())? {
            self.ledger.open_proposals.set(gauge(network.open_proposals));
        }
        self.consensus.height.set(gauge(snapshot.height().get()));
        self.consensus.best_known_height.set(gauge(state.best_known_height.get()));
        self.consensus.catching_up.set(i64::from(state.catching_up));
        self.consensus.listening_peers.set(i64::try_from(state.listening_peers).unwrap_or(i64::MAX));
        self.consensus.reached_power.set(gauge(state.reached_power.get()));
        self.consensus.total_power.set(gauge(state.total_power.get()));
        self.consensus.cut_off.set(i64::from(state.cut_off));
        let schedule = read::<ValidatorSchedule>(&snapshot, &())?;
        if let Some(schedule) = &schedule {
            self.validators.show(&schedule.current, &snapshot)?;
        }
        let own = schedule.and_then(|schedule| schedule.current.by_address(&state.validator).map(|one| one.power));
        self.consensus.validator.set(i64::from(own.is_some()));
        self.consensus.power.set(gauge(own.map_or(0, Power::get)));
        Ok(())
    }

    fn collect_network(&self, stats: &NetworkStats) {
        let network = &self.network;
        let set = |label, value: &AtomicU64| network.peers.with_label_values(&[label]).set(gauge(load(value)));
        set("inbound", &stats.peers_inbound);
        set("outbound", &stats.peers_outbound);
        network.blocked_peers.set(gauge(load(&stats.peers_blocked)));
        raise(&network.refused_connections, load(&stats.connections_refused));
        raise(&network.failed_dials, load(&stats.dials_failed));
        let topics = Topic::ALL.map(|topic| (topic.name(), stats.topic(topic)));
        for (topic, counts) in topics.into_iter().chain([("consensus", stats.consensus())]) {
            let verdicts = [
                ("published", &counts.published),
                ("received", &counts.received),
                ("accepted", &counts.accepted),
                ("ignored", &counts.ignored),
                ("rejected", &counts.rejected),
                ("limited", &counts.limited),
            ];
            for (verdict, count) in verdicts {
                raise(&network.gossip.with_label_values(&[topic, verdict]), load(count));
            }
            for (direction, count) in [("sent", &counts.published_bytes), ("received", &counts.received_bytes)] {
                raise(&network.gossip_bytes.with_label_values(&[topic, direction]), load(count));
            }
        }
        let streams = |label, value: &AtomicU64| network.streams.with_label_values(&[label]).set(gauge(load(value)));
        streams("inbound", &stats.consensus_streams_inbound);
        streams("outbound", &stats.consensus_streams_outbound);
        raise(&network.consensus_sent, load(&stats.consensus_sent));
        raise(&network.consensus_refused, load(&stats.consensus_refused));
        let requests = [
            ("served", &stats.sync_served),
            ("refused", &stats.sync_refused),
            ("unread", &stats.sync_unread),
            ("asked", &stats.sync_asked),
            ("failed", &stats.sync_failed),
        ];
        for (result, count) in requests {
            raise(&network.sync_requests.with_label_values(&[result]), load(count));
        }
        let dropped = [
            ("publish", &stats.dropped_publishes),
            ("command", &stats.dropped_commands),
            ("event", &stats.dropped_events),
            ("consensus", &stats.dropped_consensus),
        ];
        for (kind, count) in dropped {
            raise(&network.dropped.with_label_values(&[kind]), load(count));
        }
    }

    fn collect_storage(&self, ledger: &Ledger) {
        let stats = ledger.stats();
        let sizes = [
            ("tables", stats.table_bytes),
            ("blobs", stats.blob_bytes),
            ("write_buffers", stats.write_buffer_bytes),
            ("cache", stats.cache_bytes),
            ("compaction_pending", stats.compaction_pending_bytes),
        ];
        for (kind, bytes) in sizes {
            self.storage.size_bytes.with_label_values(&[kind]).set(gauge(bytes));
        }
        self.storage.keys.set(gauge(stats.keys));
        self.storage.write_stopped.set(i64::from(stats.is_write_stopped));
        self.storage.delayed_write_rate.set(gauge(stats.delayed_write_bytes_per_second));
        self.storage.background_errors.set(gauge(stats.background_errors));
        let Some(served) = self.served.get() else { return };
        raise(&self.artifacts.served_bytes, load(&served.sent_bytes));
        let answers = [
            ("found", &served.found),
            ("not_found", &served.not_found),
            ("refused", &served.refused),
            ("busy", &served.busy),
            ("malformed", &served.malformed),
        ];
        for (answer, count) in answers {
            raise(&self.artifacts.requests.with_label_values(&[answer]), load(count));
        }
    }

    /// Sets the artifact server's counters, which are read at every scrape from now on. Only the first call counts.
    pub fn read_served(&self, counters: Arc<ServeCounters>) {
        let _ = self.served.set(counters);
    }

    /// Reads back what the block of a height did: see the top of this file.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn look_back(&self, ledger: &Ledger, own: &ValidatorAddress, height: Height) -> anyhow::Result<()> {
        let Some(block) = ledger.block_events(height)? else { return Ok(()) };
        let events = || block.deadline_events.iter().chain(block.results.iter().flat_map(|result| &result.events));
        if events().any(|event| matches!(event, Event::SharesChanged { .. }))
            && !share::is_conserved(&ledger.snapshot(), height, events())?
        {
            self.ledger.shares_conserved.set(0);
            tracing::error!(
                %height,
                "the shares of a model and their total changed by different amounts: stop trusting this \
                 ledger, keep its directory, and compare `allod block {height}` with other peers"
            );
        }
        let certificate = ledger.certificate(height)?;
        let schedule = read::<ValidatorSchedule>(&ledger.snapshot_at(height.previous())?, &())?;
        if let (Some(certificate), Some(schedule)) = (certificate, schedule) {
            let set = &schedule.current;
            self.validators.on_block((set, height), &certificate, &ledger.snapshot())?;
            let own = (0..certificate.round).filter(|round| set.proposer(height, *round).address == *own).count();
            self.consensus.missed_proposals.inc_by(own as u64);
        }
        // Last, so that whoever reads this height finds everything that was read back with it.
        self.ledger.shares_checked_height.set(gauge(height.get()));
        Ok(())
    }
}

/// Raises a counter to a value that somebody else counted.
fn raise(counter: &IntCounter, counted: u64) {
    counter.inc_by(counted.saturating_sub(counter.get()));
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A gauge takes an `i64`; nothing that is counted here comes near its maximum.
fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
