//! What an operator sees of this peer: every metric, in one place, under one registry.
//!
//! The event loop reports what happens with one call each ([`Metrics::on_block`], [`Metrics::set_round`], ...); none of
//! them blocks or reads the ledger. What others keep count of (the swarm, the database, the number of open proposals)
//! is read when somebody scrapes: [`Metrics::render`].
//!
//! Base units (seconds, bytes), `_total` on counters, and only labels with few values: no id, address or handle is
//! ever a label.
//!
//! `allod_ledger_shares_conserved` is not computed from events: a task beside the event loop ([`watch_shares`]) reads
//! back from the ledger, for each block, what its transactions did to every register they touched, and compares the
//! sum of the lines' changes with the change of the model's total
//! ([`allod_protocol::share::check_conserved`]). As the first register starts from nothing, a gauge that never left 1
//! since the first block says that all balances add up. The cost is in proportion to the block, not to the register.

use crate::handle::{NodeHandle, Notice};
use allod_protocol::{
    execute::{Network, Outcome},
    ids::{Height, Power, Timestamp, TransactionId},
    mempool::Refused,
    share,
    state::read,
    transaction::Transaction,
};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Own submissions whose finality is being timed; when there are more, the oldest are given up.
const TIMED_SUBMISSIONS: usize = 65_536;
/// After this long a submission is no longer timed: it expired, or was lost.
const TIMED_AT_MOST: Duration = Duration::from_secs(3_600);

/// From a tenth of a millisecond, for what a disk or a processor does.
const WORK_BUCKETS_SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// From five milliseconds to half a minute, for what takes an agreement.
const AGREEMENT_BUCKETS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0];

/// How long the parts of a block's way into the ledger took.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockDurations {
    /// Executing it.
    pub execution: Duration,
    /// Writing it and what it changed, synced.
    pub commit: Duration,
}

/// Every metric of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Instant,
    /// Milliseconds after `started` at which the event loop last came round.
    last_tick_ms: AtomicU64,
    submissions: Mutex<HashMap<TransactionId, Instant>>,
    last_block: Mutex<Option<(Height, Timestamp)>>,
    consensus: Consensus,
    ledger: LedgerMetrics,
    mempool: MempoolMetrics,
    network: NetworkMetrics,
    http: HttpMetrics,
    storage: IntGaugeVec,
}

#[derive(Debug)]
struct Consensus {
    height: IntGauge,
    best_known_height: IntGauge,
    catching_up: IntGauge,
    round: IntGauge,
    rounds_above_zero: IntCounter,
    block_interval: Histogram,
    finality: Histogram,
    validator: IntGauge,
    power: IntGauge,
    missed_proposals: IntCounter,
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
    refusals: IntCounterVec,
}

#[derive(Debug)]
struct NetworkMetrics {
    peers: IntGaugeVec,
    gossip: IntCounterVec,
    served_bytes: IntCounter,
    fetched_bytes: IntCounter,
}

#[derive(Debug)]
struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    subscribers: IntGauge,
}

/// Makes metrics and registers them.
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
            height: self.gauge("allod_consensus_height", "The last executed block.")?,
            best_known_height: self
                .gauge("allod_consensus_best_known_height", "The highest height that another peer spoke of.")?,
            catching_up: self.gauge("allod_consensus_catching_up", "1 while this peer is behind the others.")?,
            round: self.gauge("allod_consensus_round", "The round of the height being decided.")?,
            rounds_above_zero: self.counter(
                "allod_consensus_rounds_above_zero_total",
                "Rounds entered after the first of a height: each is a proposer that was absent or too slow.",
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
            sync_blocks: self.counter("allod_sync_blocks_total", "Blocks taken over from other peers in catching up.")?,
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
            open_proposals: self.gauge("allod_ledger_open_proposals", "Proposals on which ballots are taken.")?,
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
            refusals: self.counters(
                "allod_mempool_refusals_total",
                "Transactions that were not taken in, by the code of the reason.",
                &["code"],
            )?,
        })
    }

    fn network(&self) -> Result<NetworkMetrics, prometheus::Error> {
        Ok(NetworkMetrics {
            peers: self.gauges("allod_network_peers", "Connected peers by who dialled.", &["direction"])?,
            gossip: self.counters(
                "allod_network_gossip_messages_total",
                "Gossip messages received, by topic and by what validation said of them.",
                &["topic", "verdict"],
            )?,
            served_bytes: self
                .counter("allod_artifacts_served_bytes_total", "Bytes of artifacts, with their proofs, sent to peers.")?,
            fetched_bytes: self
                .counter("allod_artifacts_fetched_bytes_total", "Verified bytes of artifacts received from peers.")?,
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
    /// Registers everything, at zero.
    ///
    /// # Errors
    /// When two metrics have one name: a defect of this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let make = Make(&registry);
        make.gauges("allod_build_info", "Always 1; the labels say what runs.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let metrics = Self {
            started: Instant::now(),
            last_tick_ms: AtomicU64::new(0),
            submissions: Mutex::default(),
            last_block: Mutex::default(),
            consensus: make.consensus()?,
            ledger: make.ledger()?,
            mempool: make.mempool()?,
            network: make.network()?,
            http: make.http()?,
            storage: make.gauges("allod_storage_size_bytes", "Bytes on disk, or in memory, by use.", &["use"])?,
            registry,
        };
        // A counter that exists from the start can be told from one that was never reached.
        for result in ["applied", "rejected"] {
            metrics.ledger.transactions.with_label_values(&[result]);
        }
        for direction in ["inbound", "outbound"] {
            metrics.network.peers.with_label_values(&[direction]);
        }
        metrics.ledger.shares_conserved.set(1);
        Ok(metrics)
    }

    /// How long this process has been up.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The event loop came round. It does so at least once a second, even at rest: `/healthz` relies on it.
    pub fn on_tick(&self) {
        self.last_tick_ms.store(millis(self.started.elapsed()), Ordering::Relaxed);
    }

    /// How long ago the event loop last came round.
    pub fn since_tick(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_tick_ms.load(Ordering::Relaxed)))
    }

    /// A block was executed and is durable. `transactions` are the block's, in order.
    pub fn on_block(&self, notice: &Notice, transactions: &[Transaction], durations: BlockDurations) {
        self.consensus.height.set(gauge(notice.height.get()));
        self.ledger.execution.observe(durations.execution.as_secs_f64());
        self.ledger.commit.observe(durations.commit.as_secs_f64());
        for transaction in transactions {
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

    /// A transaction is about to be handed to this peer's event loop by a client: its finality is timed from now.
    pub fn on_submitted(&self, id: TransactionId) {
        let mut submissions = self.submissions.lock().unwrap_or_else(PoisonError::into_inner);
        if submissions.len() >= TIMED_SUBMISSIONS {
            submissions.retain(|_, since| since.elapsed() < TIMED_AT_MOST);
        }
        if submissions.len() < TIMED_SUBMISSIONS {
            submissions.entry(id).or_insert_with(Instant::now);
        }
    }

    /// The transaction was not taken in after all, so there is nothing to time.
    pub fn on_submission_failed(&self, id: &TransactionId) {
        self.submissions.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// A transaction, a client's or another peer's, was not taken in.
    pub fn on_refused(&self, refused: &Refused) {
        self.mempool.refusals.with_label_values(&[refusal_code(refused)]).inc();
    }

    /// What waits in the mempool.
    pub fn set_mempool(&self, transactions: usize, size_bytes: usize) {
        self.mempool.transactions.set(gauge(transactions as u64));
        self.mempool.size_bytes.set(gauge(size_bytes as u64));
    }

    /// The round that the present height is in.
    pub fn set_round(&self, round: u32) {
        let before = self.consensus.round.get();
        self.consensus.round.set(i64::from(round));
        if round > 0 && i64::from(round) != before {
            self.consensus.rounds_above_zero.inc();
        }
    }

    /// Where the ledger stands, before any block of this process: at start.
    pub fn set_height(&self, height: Height) {
        self.consensus.height.set(gauge(height.get()));
    }

    /// How far the others are, and whether this peer follows behind.
    pub fn set_sync(&self, best_known_height: Height, catching_up: bool) {
        self.consensus.best_known_height.set(gauge(best_known_height.get()));
        self.consensus.catching_up.set(i64::from(catching_up));
    }

    /// This peer's power in the set that decides next; none if it is an observer.
    pub fn set_power(&self, power: Option<Power>) {
        self.consensus.validator.set(i64::from(power.is_some()));
        self.consensus.power.set(gauge(power.map_or(0, Power::get)));
    }

    /// This peer proposed in a round that did not decide its proposal.
    pub fn on_missed_proposal(&self) {
        self.consensus.missed_proposals.inc();
    }

    /// Blocks were taken over from another peer.
    pub fn on_sync_blocks(&self, count: usize) {
        self.consensus.sync_blocks.inc_by(count as u64);
    }

    /// A request was answered.
    pub fn on_http_request(&self, method: &axum::http::Method, status: u16, duration: Duration) {
        // A client may invent methods; labels must not follow it.
        let method = match method.as_str() {
            known @ ("GET" | "POST" | "HEAD" | "OPTIONS") => known,
            _ => "other",
        };
        self.http.requests.with_label_values(&[method, &status.to_string()]).inc();
        self.http.duration.with_label_values(&[method]).observe(duration.as_secs_f64());
    }

    /// Streams of live events that are open.
    pub fn set_event_subscribers(&self, count: usize) {
        self.http.subscribers.set(gauge(count as u64));
    }

    /// The exposition of everything, in Prometheus' text format; what others count is read now. Reads the database.
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
        if let Some(network) = read::<Network>(&node.ledger.snapshot(), &())? {
            self.ledger.open_proposals.set(gauge(network.open_proposals));
        }
        Ok(())
    }
}

/// The stable code of a refusal, for the metric and for the API alike.
pub fn refusal_code(refused: &Refused) -> &'static str {
    match refused {
        Refused::Invalid(invalid) => invalid.code(),
        Refused::Rejected(rejection) => rejection.code(),
        Refused::Known(_) => "known",
        Refused::Full(_) => "mempool_full",
        Refused::SenderFull { .. } => "sender_full",
        Refused::State(_) => "state",
    }
}

/// A gauge takes an `i64`; nothing that is counted here comes near its end.
fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
