//! What the swarm counts, for metrics.

use super::gossip::Topic;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one gossip topic, or of the consensus plane. They only grow.
#[derive(Debug, Default)]
pub struct TopicStats {
    /// Messages that this peer published.
    pub published: AtomicU64,
    /// Bytes of the published messages, each counted once, however many peers it went to.
    pub published_bytes: AtomicU64,
    /// Messages received; of gossip, without duplicates.
    pub received: AtomicU64,
    /// Bytes of the received messages.
    pub received_bytes: AtomicU64,
    /// Messages that were accepted and relayed.
    pub accepted: AtomicU64,
    /// Messages that were neither accepted nor held against anybody.
    pub ignored: AtomicU64,
    /// Messages that were rejected because no honest peer relays them.
    pub rejected: AtomicU64,
    /// Messages that were ignored unread because their sender exceeded its allowance.
    pub limited: AtomicU64,
}

/// Counters and gauges of the swarm. The swarm writes them; readers may use relaxed ordering.
#[derive(Debug, Default)]
pub struct NetworkStats {
    /// Gauge: connected peers of this network that dialled us.
    pub peers_inbound: AtomicU64,
    /// Gauge: connected peers of this network that we dialled.
    pub peers_outbound: AtomicU64,
    /// Gauge: peers that are blocked for a while.
    pub peers_blocked: AtomicU64,
    /// Inbound connections that failed: limits, blocks, failed handshakes.
    pub connections_refused: AtomicU64,
    /// Dials that failed.
    pub dials_failed: AtomicU64,
    /// Requests for blocks for which this peer had no room.
    pub sync_refused: AtomicU64,
    /// Answers to requests for blocks that the asker did not read.
    pub sync_unread: AtomicU64,
    /// Requests for blocks that this peer answered.
    pub sync_served: AtomicU64,
    /// Requests for blocks that this peer made.
    pub sync_asked: AtomicU64,
    /// Requests for blocks that brought no blocks.
    pub sync_failed: AtomicU64,
    /// Own messages that were not published: a full queue, too large, or no connected peer of the topic.
    pub dropped_publishes: AtomicU64,
    /// Verdicts and commands that were dropped because a queue was full.
    pub dropped_commands: AtomicU64,
    /// Events that were dropped because a queue was full.
    pub dropped_events: AtomicU64,
    /// Consensus messages that made way for newer ones because their peer did not take them.
    pub dropped_consensus: AtomicU64,
    /// Consensus messages written to streams: a message counts once for each peer that it goes to.
    pub consensus_sent: AtomicU64,
    /// Consensus streams refused, of peers that are neither validators' nor configured.
    pub consensus_refused: AtomicU64,
    /// Gauge: open consensus streams on which others speak.
    pub consensus_streams_inbound: AtomicU64,
    /// Gauge: open consensus streams on which this peer speaks.
    pub consensus_streams_outbound: AtomicU64,
    consensus: TopicStats,
    blocks: TopicStats,
    transactions: TopicStats,
    artifacts: TopicStats,
}

impl NetworkStats {
    /// The counters of the consensus plane.
    pub fn consensus(&self) -> &TopicStats {
        &self.consensus
    }

    /// The counters of one topic.
    pub fn topic(&self, topic: Topic) -> &TopicStats {
        match topic {
            Topic::Blocks => &self.blocks,
            Topic::Transactions => &self.transactions,
            Topic::Artifacts => &self.artifacts,
        }
    }
}

pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

pub(super) fn set(gauge: &AtomicU64, value: usize) {
    gauge.store(value as u64, Ordering::Relaxed);
}
