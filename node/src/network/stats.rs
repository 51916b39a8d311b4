//! What the swarm counts, for whoever scrapes it.

use super::gossip::Topic;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one gossip topic. All only grow.
#[derive(Debug, Default)]
pub struct TopicStats {
    /// Messages that this peer published.
    pub published: AtomicU64,
    /// Their bytes, once, however many peers they went to.
    pub published_bytes: AtomicU64,
    /// Messages that arrived, each once.
    pub received: AtomicU64,
    /// Their bytes.
    pub received_bytes: AtomicU64,
    /// Messages found good, and relayed.
    pub accepted: AtomicU64,
    /// Messages that were neither good nor held against anybody.
    pub ignored: AtomicU64,
    /// Messages that no honest peer relays.
    pub rejected: AtomicU64,
    /// Messages ignored unread because their sender sent too many.
    pub limited: AtomicU64,
}

/// Counters and gauges of the swarm. The swarm writes them; whoever reads them may do so relaxed.
#[derive(Debug, Default)]
pub struct NetworkStats {
    /// Gauge: connected peers of this network that dialled us.
    pub peers_inbound: AtomicU64,
    /// Gauge: connected peers of this network that we dialled.
    pub peers_outbound: AtomicU64,
    /// Gauge: peers that are refused for a while.
    pub peers_blocked: AtomicU64,
    /// Connections that another peer could not open: limits, blocks, failed handshakes.
    pub connections_refused: AtomicU64,
    /// Dials that failed.
    pub dials_failed: AtomicU64,
    /// Requests for blocks that were answered by this peer.
    pub sync_served: AtomicU64,
    /// Requests for blocks that this peer made.
    pub sync_asked: AtomicU64,
    /// Those of them that brought no blocks.
    pub sync_failed: AtomicU64,
    /// Messages of this peer that were not published: a full queue, too large, no connected peer of the topic.
    pub dropped_publishes: AtomicU64,
    /// Verdicts and requests that the swarm did not take: a full queue.
    pub dropped_commands: AtomicU64,
    /// Events that the event loop did not take: a full queue.
    pub dropped_events: AtomicU64,
    consensus: TopicStats,
    transactions: TopicStats,
    artifacts: TopicStats,
}

impl NetworkStats {
    /// The counters of one topic.
    pub fn topic(&self, topic: Topic) -> &TopicStats {
        match topic {
            Topic::Consensus => &self.consensus,
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
