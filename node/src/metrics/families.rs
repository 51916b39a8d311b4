//! The metrics of each family: names, help texts, labels and buckets. They are registered here and changed in
//! [`super`].

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

/// From a tenth of a millisecond, for what a disk or a processor does.
const WORK_BUCKETS_SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// From five milliseconds to half a minute, for what needs agreement.
const AGREEMENT_BUCKETS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0];

#[derive(Debug)]
pub(super) struct HealthMetrics {
    pub(super) ready: IntGauge,
    pub(super) not_ready: IntGaugeVec,
    pub(super) clock_ahead: Gauge,
}

#[derive(Debug)]
pub(super) struct ValidatorMetrics {
    pub(super) missed_precommits: IntCounterVec,
    pub(super) missed_proposals: IntCounterVec,
    pub(super) absent: IntGaugeVec,
}

#[derive(Debug)]
pub(super) struct MachineMetrics {
    pub(super) log_append: Histogram,
    pub(super) log_sync: Histogram,
    pub(super) guard_sync: Histogram,
    pub(super) turn: Histogram,
    pub(super) queue_depth: IntGaugeVec,
    pub(super) queue_capacity: IntGaugeVec,
    pub(super) disk_free: IntGauge,
    pub(super) disk_reserve: IntGauge,
}

#[derive(Debug)]
pub(super) struct Consensus {
    pub(super) height: IntGauge,
    pub(super) best_known_height: IntGauge,
    pub(super) catching_up: IntGauge,
    pub(super) listening_peers: IntGauge,
    pub(super) reached_power: IntGauge,
    pub(super) total_power: IntGauge,
    pub(super) cut_off: IntGauge,
    pub(super) round: IntGauge,
    pub(super) rounds_above_zero: IntCounter,
    pub(super) block_interval: Histogram,
    pub(super) finality: Histogram,
    pub(super) validator: IntGauge,
    pub(super) power: IntGauge,
    pub(super) missed_proposals: IntCounter,
    pub(super) double_signs: IntCounter,
    pub(super) sync_blocks: IntCounter,
}

#[derive(Debug)]
pub(super) struct LedgerMetrics {
    pub(super) execution: Histogram,
    pub(super) commit: Histogram,
    pub(super) transactions: IntCounterVec,
    pub(super) actions: IntCounterVec,
    pub(super) open_proposals: IntGauge,
    pub(super) shares_conserved: IntGauge,
    pub(super) shares_checked_height: IntGauge,
}

#[derive(Debug)]
pub(super) struct MempoolMetrics {
    pub(super) transactions: IntGauge,
    pub(super) size_bytes: IntGauge,
    pub(super) weight: IntGauge,
    pub(super) senders: IntGauge,
    pub(super) refusals: IntCounterVec,
}

#[derive(Debug)]
pub(super) struct NetworkMetrics {
    pub(super) peers: IntGaugeVec,
    pub(super) blocked_peers: IntGauge,
    pub(super) refused_connections: IntCounter,
    pub(super) failed_dials: IntCounter,
    pub(super) gossip: IntCounterVec,
    pub(super) gossip_bytes: IntCounterVec,
    pub(super) streams: IntGaugeVec,
    pub(super) consensus_sent: IntCounter,
    pub(super) consensus_refused: IntCounter,
    pub(super) sync_requests: IntCounterVec,
    pub(super) dropped: IntCounterVec,
}

#[derive(Debug)]
pub(super) struct ArtifactMetrics {
    pub(super) served_bytes: IntCounter,
    pub(super) fetched_bytes: IntCounter,
    pub(super) requests: IntCounterVec,
    pub(super) fetches: IntCounterVec,
    pub(super) under_replicated: IntGauge,
    pub(super) scrubbed_bytes: IntCounter,
    pub(super) damaged_found: IntCounter,
    pub(super) repaired: IntCounter,
    pub(super) damaged: IntGauge,
}

#[derive(Debug)]
pub(super) struct StorageMetrics {
    pub(super) size_bytes: IntGaugeVec,
    pub(super) keys: IntGauge,
    pub(super) write_stopped: IntGauge,
    pub(super) delayed_write_rate: IntGauge,
    pub(super) background_errors: IntGauge,
}

#[derive(Debug)]
pub(super) struct HttpMetrics {
    pub(super) requests: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) subscribers: IntGauge,
    pub(super) accept_failures: IntCounter,
}

/// Creates metrics and registers them.
pub(super) struct Make<'a>(pub(super) &'a Registry);

impl Make<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::new(name, help)?)
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
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

    pub(super) fn health(&self) -> Result<HealthMetrics, prometheus::Error> {
        Ok(HealthMetrics {
            ready: self.gauge("allod_ready", "1 if this peer can do its work: what /readyz says.")?,
            not_ready: self.gauges(
                "allod_not_ready",
                "1 for each reason for which this peer is not ready.",
                &["reason"],
            )?,
            clock_ahead: self.keep(Gauge::new(
                "allod_clock_ahead_seconds",
                "How far this machine's clock is ahead of the median of what validators say; 0 while too few have.",
            )?)?,
        })
    }

    pub(super) fn validators(&self) -> Result<ValidatorMetrics, prometheus::Error> {
        let labels = ["validator", "operator"];
        Ok(ValidatorMetrics {
            missed_precommits: self.counters(
                "allod_validator_missed_precommits_total",
                "Blocks whose certificate lacks the validator's precommit; one that is far away may only be late.",
                &labels,
            )?,
            missed_proposals: self.counters(
                "allod_validator_missed_proposals_total",
                "Rounds in which the validator was the proposer and its proposal was not decided.",
                &labels,
            )?,
            absent: self.gauges(
                "allod_validator_absent",
                "1 if the height under way waits for the validator, or it is not connected and ten blocks in a row lack it.",
                &labels,
            )?,
        })
    }

    pub(super) fn machine(&self) -> Result<MachineMetrics, prometheus::Error> {
        let work = |name, help| self.histogram(name, help, &WORK_BUCKETS_SECONDS);
        Ok(MachineMetrics {
            log_append: work("allod_log_append_seconds", "Time to append an entry to the consensus log, in memory.")?,
            log_sync: work(
                "allod_log_sync_seconds",
                "Time to write what was appended to the consensus log and sync it: what a vote waits for.",
            )?,
            guard_sync: work(
                "allod_guard_sync_seconds",
                "Time to replace the record of what the consensus key signed last, synced.",
            )?,
            turn: work(
                "allod_loop_turn_seconds",
                "Time that the event loop took for one event and all that it led to.",
            )?,
            queue_depth: self.gauges("allod_queue_depth", "Items that wait in a queue.", &["queue"])?,
            queue_capacity: self.gauges("allod_queue_capacity", "Items that a queue has room for.", &["queue"])?,
            disk_free: self.gauge("allod_disk_free_bytes", "Bytes that are free on the disk of the data directory.")?,
            disk_reserve: self.gauge(
                "allod_disk_reserve_bytes",
                "Bytes that should be free there; with less the peer is not ready.",
            )?,
        })
    }

    pub(super) fn consensus(&self) -> Result<Consensus, prometheus::Error> {
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

    pub(super) fn ledger(&self) -> Result<LedgerMetrics, prometheus::Error> {
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

    pub(super) fn mempool(&self) -> Result<MempoolMetrics, prometheus::Error> {
        Ok(MempoolMetrics {
            transactions: self.gauge("allod_mempool_transactions", "Transactions that wait for a block.")?,
            size_bytes: self.gauge("allod_mempool_size_bytes", "Encoded bytes of the transactions that wait.")?,
            weight: self.gauge("allod_mempool_weight", "Total weight of the transactions that wait.")?,
            senders: self.gauge("allod_mempool_senders", "Accounts whose transactions wait.")?,
            refusals: self.counters(
                "allod_mempool_refusals_total",
                "Transactions that were refused, by the code of the reason.",
                &["code"],
            )?,
        })
    }

    pub(super) fn network(&self) -> Result<NetworkMetrics, prometheus::Error> {
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
                "Messages by topic and outcome; published are this peer's own. Those of consensus go over direct streams.",
                &["topic", "verdict"],
            )?,
            gossip_bytes: self.counters(
                "allod_network_gossip_bytes_total",
                "Bytes of messages by topic, each message that was published once.",
                &["topic", "direction"],
            )?,
            streams: self.gauges(
                "allod_network_consensus_streams",
                "Open streams between this peer and validators' and configured peers, by who speaks on them.",
                &["direction"],
            )?,
            consensus_sent: self.counter(
                "allod_network_consensus_sent_total",
                "Consensus messages sent, each once for every peer that it went to.",
            )?,
            consensus_refused: self.counter(
                "allod_network_consensus_streams_refused_total",
                "Consensus streams refused, of peers that are neither validators' nor configured.",
            )?,
            sync_requests: self.counters(
                "allod_sync_requests_total",
                "Requests for blocks: of others, those served, refused for lack of room, and left unread; those that this peer made, and of these the failed ones.",
                &["result"],
            )?,
            dropped: self.counters(
                "allod_network_dropped_total",
                "Items dropped because a queue was full, by kind.",
                &["kind"],
            )?,
        })
    }

    pub(super) fn artifacts(&self) -> Result<ArtifactMetrics, prometheus::Error> {
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

    pub(super) fn storage(&self) -> Result<StorageMetrics, prometheus::Error> {
        Ok(StorageMetrics {
            size_bytes: self.gauges(
                "allod_storage_size_bytes",
                "Bytes of the ledger's database: tables and blobs on disk, write_buffers and cache in memory, \
                 compaction_pending still to be rewritten.",
                &["kind"],
            )?,
            keys: self.gauge("allod_storage_keys", "Estimated number of keys in the ledger's database.")?,
            write_stopped: self.gauge(
                "allod_storage_write_stopped",
                "1 while the ledger's database takes no writes, because compaction does not keep up.",
            )?,
            delayed_write_rate: self.gauge(
                "allod_storage_delayed_write_bytes_per_second",
                "The rate to which the ledger's database slows writes; 0 while it does not.",
            )?,
            background_errors: self.gauge(
                "allod_storage_background_errors",
                "Errors of the database's own threads since it was opened.",
            )?,
        })
    }

    pub(super) fn http(&self) -> Result<HttpMetrics, prometheus::Error> {
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
            accept_failures: self.counter(
                "allod_http_accept_failures_total",
                "Times that the system gave the HTTP API no connection, as when too many files are open.",
            )?,
        })
    }
}
