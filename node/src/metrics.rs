//! What an operator sees of this peer: every metric, in one place, in one registry.
//!
//! The event loop reports each event with one call ([`Metrics::on_block`], [`Metrics::set_round`], ...), which neither
//! blocks nor reads the ledger. Counts that others keep (the swarm, the database, the ledger itself) are read at each
//! scrape: [`Metrics::render`].
//!
//! Names use base units (seconds, bytes) and `_total` on counters. Labels have few values: no id, address or handle is
//! ever a label.
//!
//! Two things are read from the ledger after each block, by a task beside the event loop ([`follow`]), at a cost
//! proportional to the block:
//! - `allod_ledger_shares_conserved`: whether the changes of every register line that the block touched add up to the
//!   change of the model's total ([`share::is_conserved`]). It starts at 1 and, once 0, never returns to 1. A register
//!   starts empty, so 1 means that no unit was lost or invented in any block that this process saw.
//! - `allod_consensus_missed_proposals_total`: rounds that did not decide and in which this peer was the proposer.

use crate::{
    event_loop::handle::{NodeHandle, Notice},
    exchange::serve::ServeCounters,
    network::{NetworkStats, Topic},
};
use allod_protocol::{
    agreement::mempool::Mempool,
    ground::{
        ids::{Height, Power, Timestamp, TransactionId},
        state::read,
    },
    ledger::{block::Block, execute::Outcome},
    rules::{event::Event, network::Network, share, validator::ValidatorSchedule},
};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Maximum number of own submissions whose finality is being timed; when there are more, the oldest are dropped.
const TIMED_SUBMISSIONS: usize = 65_536;
/// A submission is no longer timed after this: it has expired, or was lost.
const TIMED_AT_MOST: Duration = Duration::from_secs(3_600);

/// From a tenth of a millisecond, for what a disk or a processor does.
const WORK_BUCKETS_SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// From five milliseconds to half a minute, for what needs agreement.
const AGREEMENT_BUCKETS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0];

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
    consensus: Consensus,
    ledger: LedgerMetrics,
    mempool: MempoolMetrics,
    network: NetworkMetrics,
    artifacts: ArtifactMetrics,
    http: HttpMetrics,
    storage: StorageMetrics,
}

#[derive(Debug)]
struct Consensus {
    height: IntGauge,
    best_known_height: IntGauge,
    catching_up: IntGauge,
    listening_peers: IntGauge,
    reached_power: IntGauge,
    total_power: IntGauge,
    cut_off: IntGauge,
    round: IntGauge,
    rounds_above_zero: IntCounter,
    block_interval: Histogram,
    finality: Histogram,
    validator: IntGauge,
    power: IntGauge,
    missed_proposals: IntCounter,
    double_signs: IntCounter,
    sync_blocks: IntCounter,
}

#[derive(Debug)]
struct LedgerMetrics {
    execution: Histogram,
    commit: Histogram,
    transactions: IntCounterVec,
    actions: IntCounterVec,
    open_proposals: IntGauge,
    shares_conserved: IntGauge,
    shares_checked_height: IntGauge,
}

#[derive(Debug)]
struct MempoolMetrics {
    transactions: IntGauge,
    size_bytes: IntGauge,
    weight: IntGauge,
    refusals: IntCounterVec,
}

#[derive(Debug)]
struct NetworkMetrics {
    peers: IntGaugeVec,
    blocked_peers: IntGauge,
    refused_connections: IntCounter,
    failed_dials: IntCounter,
    gossip: IntCounterVec,
    gossip_bytes: IntCounterVec,
    sync_requests: IntCounterVec,
    dropped: IntCounterVec,
}

#[derive(Debug)]
struct ArtifactMetrics {
    served_bytes: IntCounter,
    fetched_bytes: IntCounter,
    requests: IntCounterVec,
    fetches: IntCounterVec,
    under_replicated: IntGauge,
    scrubbed_bytes: IntCounter,
    damaged_found: IntCounter,
    repaired: IntCounter,
    damaged: IntGauge,
}

#[derive(Debug)]
struct StorageMetrics {
    size_bytes: IntGaugeVec,
    keys: IntGauge,
}

#[derive(Debug)]
struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    subscribers: IntGauge,
}

/// Creates metrics and registers them.
struct Make<'a>(&'a Registry);

impl Make<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.keep(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.keep(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    fn consensus(&self) -> Result<Consensus, prometheus::Error> {
        Ok(Consensus {
            height: self.gauge("allod_consensus_height", "The height of the last executed block.")?,
            best_known_height: self
                .gauge("allod_consensus_best_known_height", "The highest height that another peer reported.")?,
            catching_up: self.gauge("allod_consensus_catching_up", "1 while this peer is behind the others.")?,
            listening_peers: self.gauge("allod_consensus_listening_peers", "Connected peers that hear this one.")?,
            reached_power: self.gauge(
                "allod_consensus_reached_power",
                "The voting power of the validators that hear this peer, including its own.",
            )?,
            total_power: self.gauge("allod_consensus_total_power", "The voting power of all validators.")?,
            cut_off: self.gauge("allod_consensus_cut_off", "1 while this peer reaches too few to take part.")?,
            round: self.gauge("allod_consensus_round", "The round of the height being decided.")?,
            rounds_above_zero: self.counter(
                "allod_consensus_rounds_above_zero_total",
                "Rounds entered after the first of a height: in each, a proposer was absent or too slow.",
            )?,
            block_interval: self.histogram(
                "allod_consensus_block_interval_seconds",
                "Block time between a block and its parent.",
                &AGREEMENT_BUCKETS_SECONDS,
            )?,
            finality: self.histogram(
                "allod_consensus_finality_seconds",
                "From the submission of a transaction to this peer until its block was durable here.",
                &AGREEMENT_BUCKETS_SECONDS,
            )?,
            validator: self.gauge("allod_consensus_validator", "1 if this peer votes, 0 if it only follows.")?,
            power: self.gauge("allod_consensus_validator_power", "This peer's voting power.")?,
            missed_proposals: self.counter(
                "allod_consensus_missed_proposals_total",
                "Rounds in which this peer was the proposer and its proposal was not decided.",
            )?,
            double_signs: self.counter(
                "allod_consensus_double_signs_total",
                "Times that a validator was seen to sign twice in one round; each needs to be investigated.",
            )?,
            sync_blocks: self
                .counter("allod_sync_blocks_total", "Blocks received from other peers while catching up.")?,
        })
    }

    fn ledger(&self) -> Result<LedgerMetrics, prometheus::Error> {
        Ok(LedgerMetrics {
            execution: self.histogram(
                "allod_ledger_execution_seconds",
                "Time to execute a block.",
                &WORK_BUCKETS_SECONDS,
            )?,
            commit: self.histogram(
                "allod_ledger_commit_seconds",
                "Time to write a block and its changes, synced to disk.",
                &WORK_BUCKETS_SECONDS,
            )?,
            transactions: self.counters(
                "allod_ledger_transactions_total",
                "Executed transactions by result.",
                &["result"],
            )?,
            actions: self.counters(
                "allod_ledger_actions_total",
                "Executed transactions by action, whatever their result.",
                &["action"],
            )?,
            open_proposals: self.gauge("allod_ledger_open_proposals", "Proposals that accept ballots.")?,
            shares_conserved: self.gauge(
                "allod_ledger_shares_conserved",
                "1 while the changes of every register's lines add up to the change of its total; 0 is a defect.",
            )?,
            shares_checked_height: self
                .gauge("allod_ledger_shares_checked_height", "The height up to which registers were checked.")?,
        })
    }

    fn mempool(&self) -> Result<MempoolMetrics, prometheus::Error> {
        Ok(MempoolMetrics {
            transactions: self.gauge("allod_mempool_transactions", "Transactions that wait for a block.")?,
            size_bytes: self.gauge("allod_mempool_size_bytes", "Encoded bytes of the transactions that wait.")?,
            weight: self.gauge("allod_mempool_weight", "Total weight of the transactions that wait.")?,
            refusals: self.counters(
                "allod_mempool_refusals_total",
                "Transactions that were refused, by the code of the reason.",
                &["code"],
            )?,
        })
    }

    fn network(&self) -> Result<NetworkMetrics, prometheus::Error> {
        Ok(NetworkMetrics {
            peers: self.gauges("allod_network_peers", "Connected peers, by which side dialled.", &["direction"])?,
            blocked_peers: self.gauge("allod_network_blocked_peers", "Peers that are blocked for a while.")?,
            refused_connections: self.counter(
                "allod_network_refused_connections_total",
                "Inbound connections that failed: limits, blocks, failed handshakes.",
            )?,
            failed_dials: self.counter("allod_network_failed_dials_total", "Dials that failed.")?,
            gossip: self.counters(
                "allod_network_gossip_messages_total",
                "Gossip messages by topic and outcome; published are this peer's own.",
                &["topic", "verdict"],
            )?,
            gossip_bytes: self.counters(
                "allod_network_gossip_bytes_total",
                "Bytes of gossip messages by topic, each message once.",
                &["topic", "direction"],
            )?,
            sync_requests: self.counters(
                "allod_sync_requests_total",
                "Requests for blocks: served to others, made by this peer, and of the latter those that failed.",
                &["result"],
            )?,
            dropped: self.counters(
                "allod_network_dropped_total",
                "Items dropped because a queue was full, by kind.",
                &["kind"],
            )?,
        })
    }

    fn artifacts(&self) -> Result<ArtifactMetrics, prometheus::Error> {
        Ok(ArtifactMetrics {
            served_bytes: self.counter(
                "allod_artifacts_served_bytes_total",
                "Bytes of artifacts, with their proofs, sent to peers.",
            )?,
            fetched_bytes: self
                .counter("allod_artifacts_fetched_bytes_total", "Verified bytes of artifacts received from peers.")?,
            requests: self.counters(
                "allod_artifacts_requests_total",
                "Requests of peers for ranges of artifacts, by answer.",
                &["answer"],
            )?,
            fetches: self.counters("allod_artifacts_fetches_total", "Fetches that ended, by result.", &["result"])?,
            under_replicated: self.gauge(
                "allod_artifacts_under_replicated",
                "Releases of which this peer found fewer copies at members' peers than their owners want.",
            )?,
            scrubbed_bytes: self.counter(
                "allod_artifacts_scrubbed_bytes_total",
                "Bytes of stored artifacts that were scrubbed in the background.",
            )?,
            damaged_found: self.counter(
                "allod_artifacts_damaged_found_total",
                "Stored files that no longer hashed to their address.",
            )?,
            repaired: self.counter("allod_artifacts_repaired_total", "Damaged files that were repaired.")?,
            damaged: self
                .gauge("allod_artifacts_damaged", "Damaged files that are not repaired yet; they are not served.")?,
        })
    }

    fn storage(&self) -> Result<StorageMetrics, prometheus::Error> {
        Ok(StorageMetrics {
            size_bytes: self.gauges(
                "allod_storage_size_bytes",
                "Bytes of the ledger's database: tables and blobs on disk, write_buffers and cache in memory, \
                 compaction_pending still to be rewritten.",
                &["kind"],
            )?,
            keys: self.gauge("allod_storage_keys", "Estimated number of keys in the ledger's database.")?,
        })
    }

    fn http(&self) -> Result<HttpMetrics, prometheus::Error> {
        let duration = HistogramOpts::new("allod_http_request_seconds", "Time until a response began, by method.")
            .buckets(WORK_BUCKETS_SECONDS.to_vec());
        Ok(HttpMetrics {
            requests: self.counters(
                "allod_http_requests_total",
                "Requests to the HTTP API by method and status.",
                &["method", "status"],
            )?,
            duration: self.keep(HistogramVec::new(duration, &["method"])?)?,
            subscribers: self.gauge("allod_http_event_subscribers", "Open streams of live events.")?,
        })
    }
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
    pub fn on_block(&self, block: &Block, notice: &Notice, execution: Duration, commit: Duration) {
        self.consensus.height.set(gauge(notice.height.get()));
        self.ledger.execution.observe(execution.as_secs_f64());
        self.ledger.commit.observe(commit.as_secs_f64());
        for transaction in block.transactions() {
            self.ledger.actions.with_label_values(&[transaction.body.action.name()]).inc();
        }
        let rejected = notice.results.iter().filter(|result| result.outcome != Outcome::Applied).count();
        let applied = notice.results.len().saturating_sub(rejected);
        self.ledger.transactions.with_label_values(&["applied"]).inc_by(applied as u64);
        self.ledger.transactions.with_label_values(&["rejected"]).inc_by(rejected as u64);
        self.time_block(notice);
        self.time_submissions(notice);
    }

    fn time_block(&self, notice: &Notice) {
        let mut last = self.last_block.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((height, time)) = last.replace((notice.height, notice.time))
            && height.next() == notice.height
        {
            let interval = Duration::from_millis(notice.time.get().saturating_sub(time.get()));
            self.consensus.block_interval.observe(interval.as_secs_f64());
        }
    }

    fn time_submissions(&self, notice: &Notice) {
        let mut submissions = self.submissions.lock().unwrap_or_else(PoisonError::into_inner);
        if submissions.is_empty() {
            return;
        }
        for result in &notice.results {
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

    /// All metrics in Prometheus' text format. Counts that others keep are read now. Reads the database.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn render(&self, node: &NodeHandle) -> anyhow::Result<String> {
        self.collect(node)?;
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text)?)
    }

    fn collect(&self, node: &NodeHandle) -> anyhow::Result<()> {
        let (status, snapshot) = (node.status(), node.ledger.snapshot());
        if let Some(network) = read::<Network>(&snapshot, &())? {
            self.ledger.open_proposals.set(gauge(network.open_proposals));
        }
        self.consensus.height.set(gauge(snapshot.height().get()));
        self.consensus.best_known_height.set(gauge(status.best_known_height.get()));
        self.consensus.catching_up.set(i64::from(status.catching_up));
        self.consensus.listening_peers.set(i64::try_from(status.reached.listening_peers).unwrap_or(i64::MAX));
        self.consensus.reached_power.set(gauge(status.reached.power.get()));
        self.consensus.total_power.set(gauge(status.reached.total_power.get()));
        self.consensus.cut_off.set(i64::from(status.reached.cut_off));
        let own = read::<ValidatorSchedule>(&snapshot, &())?.and_then(|schedule| {
            schedule.current.by_address(&status.validator_key.validator_address()).map(|validator| validator.power)
        });
        self.consensus.validator.set(i64::from(own.is_some()));
        self.consensus.power.set(gauge(own.map_or(0, Power::get)));
        self.collect_network(node.network.stats());
        self.collect_storage(node);
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
        for topic in [Topic::Consensus, Topic::Transactions, Topic::Artifacts] {
            let counts = stats.topic(topic);
            let verdicts = [
                ("published", &counts.published),
                ("received", &counts.received),
                ("accepted", &counts.accepted),
                ("ignored", &counts.ignored),
                ("rejected", &counts.rejected),
                ("limited", &counts.limited),
            ];
            for (verdict, count) in verdicts {
                raise(&network.gossip.with_label_values(&[topic.name(), verdict]), load(count));
            }
            for (direction, count) in [("sent", &counts.published_bytes), ("received", &counts.received_bytes)] {
                raise(&network.gossip_bytes.with_label_values(&[topic.name(), direction]), load(count));
            }
        }
        for (result, count) in
            [("served", &stats.sync_served), ("asked", &stats.sync_asked), ("failed", &stats.sync_failed)]
        {
            raise(&network.sync_requests.with_label_values(&[result]), load(count));
        }
        let dropped = [
            ("publish", &stats.dropped_publishes),
            ("command", &stats.dropped_commands),
            ("event", &stats.dropped_events),
        ];
        for (kind, count) in dropped {
            raise(&network.dropped.with_label_values(&[kind]), load(count));
        }
    }

    fn collect_storage(&self, node: &NodeHandle) {
        let stats = node.ledger.stats();
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
    fn look_back(&self, node: &NodeHandle, height: Height) -> anyhow::Result<()> {
        let Some(block) = node.ledger.block_events(height)? else { return Ok(()) };
        let events = || block.deadline_events.iter().chain(block.results.iter().flat_map(|result| &result.events));
        if events().any(|event| matches!(event, Event::SharesChanged { .. }))
            && !share::is_conserved(&node.ledger.snapshot(), height, events())?
        {
            self.ledger.shares_conserved.set(0);
            tracing::error!(
                %height,
                "the shares of a model and their total changed by different amounts: stop trusting this \
                 ledger, keep its directory, and compare `allod block {height}` with other peers"
            );
        }
        let rounds = node.ledger.certificate(height)?.map_or(0, |certificate| certificate.round);
        if rounds > 0
            && let Some(schedule) = read::<ValidatorSchedule>(&node.ledger.snapshot_at(height.previous())?, &())?
        {
            let own = node.status().validator_key.validator_address();
            let missed = (0..rounds).filter(|round| schedule.current.proposer(height, *round).address == own).count();
            self.consensus.missed_proposals.inc_by(missed as u64);
        }
        // Last, so that whoever reads this height finds everything that was read back with it.
        self.ledger.shares_checked_height.set(gauge(height.get()));
        Ok(())
    }
}

/// Reads back every block from the next one on, until the process ends. If the ledger fails, this only stops reading
/// back; the event loop handles the failure.
pub async fn follow(node: NodeHandle, mut stop: watch::Receiver<bool>) {
    let mut status = node.watch_status();
    let mut height = status.borrow_and_update().height;
    loop {
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let tip = status.borrow_and_update().height;
        if tip <= height {
            continue;
        }
        let (reader, from) = (node.clone(), height.next());
        let looked = tokio::task::spawn_blocking(move || {
            let heights = (from.get()..=tip.get()).map(Height::new);
            heights.into_iter().try_for_each(|height| reader.metrics.look_back(&reader, height))
        });
        match looked.await {
            Ok(Ok(())) => height = tip,
            Ok(Err(error)) => {
                return tracing::error!(%error, "the ledger cannot be read back; its metrics are no longer updated");
            }
            Err(_) => return,
        }
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
