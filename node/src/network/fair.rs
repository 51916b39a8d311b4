//! Gossiped transactions that wait to be checked: a line for each peer that sent some, in two lanes.
//!
//! Checking costs processor time, and peer ids cost nothing. So what is shared is the time of the thread that checks, as
//! measured: half of it goes to peers that this one needs (validators' and configured ones), half to all others, as long
//! as both want it; and within a lane each peer has as much as the others. A flood delays its own line, and a flood from
//! many peers its lane. What waits is bounded in bytes, per line and per lane; when a lane is full, its longest line
//! makes way.

use super::gossip::GossipToken;
use libp2p::PeerId;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Maximum bytes that wait of one peer.
const LINE_SIZE_BYTES: usize = 4 * 1024 * 1024;
/// Maximum bytes that wait in one lane.
const LANE_SIZE_BYTES: usize = 16 * 1024 * 1024;
/// What a message counts in addition to its bytes: what it takes in memory besides them.
const MESSAGE_OVERHEAD_BYTES: usize = 512;
/// What a message costs at least, in nanoseconds.
const COST_MIN: u64 = 1_000;

/// A gossip message of transactions, as received.
#[derive(Debug)]
pub(crate) struct Unchecked {
    /// The encoded batch.
    pub(crate) data: Vec<u8>,
    /// The token with which the verdict is reported to the network.
    pub(crate) token: GossipToken,
}

impl Unchecked {
    const fn size_bytes(&self) -> usize {
        self.data.len().saturating_add(MESSAGE_OVERHEAD_BYTES)
    }
}

/// What waits of one peer.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Unchecked>,
    size_bytes: usize,
    /// The time it has had, in nanoseconds, counted from where it joined the others.
    had: u64,
}

#[derive(Debug, Default)]
struct Lane {
    lines: HashMap<PeerId, Line>,
    size_bytes: usize,
    had: u64,
    /// What the line that was last served had had: a new one begins there, and cannot claim time of before it came.
    begin: u64,
}

impl Lane {
    /// Adds a message. Returns those that do not fit.
    fn offer(&mut self, message: Unchecked) -> Vec<GossipToken> {
        let (source, size_bytes) = (message.token.source(), message.size_bytes());
        let of_source = self.lines.get(&source).map_or(0, |line| line.size_bytes);
        if of_source.saturating_add(size_bytes) > LINE_SIZE_BYTES {
            return vec![message.token];
        }
        let mut dropped = Vec::new();
        while self.size_bytes.saturating_add(size_bytes) > LANE_SIZE_BYTES {
            let Some(longest) = self.lines.values_mut().max_by_key(|line| line.size_bytes) else { break };
            if longest.size_bytes <= of_source.saturating_add(size_bytes) {
                dropped.push(message.token);
                return dropped;
            }
            let Some(newest) = longest.waiting.pop_back() else { break };
            longest.size_bytes = longest.size_bytes.saturating_sub(newest.size_bytes());
            self.size_bytes = self.size_bytes.saturating_sub(newest.size_bytes());
            dropped.push(newest.token);
        }
        let begin = self.begin;
        let line = self.lines.entry(source).or_default();
        line.had = line.had.max(begin);
        line.size_bytes = line.size_bytes.saturating_add(size_bytes);
        self.size_bytes = self.size_bytes.saturating_add(size_bytes);
        line.waiting.push_back(message);
        dropped
    }

    /// The oldest message of the peer that has had least.
    fn take(&mut self) -> Option<Unchecked> {
        let waiting = self.lines.values_mut().filter(|line| !line.waiting.is_empty());
        let line = waiting.min_by_key(|line| line.had)?;
        let message = line.waiting.pop_front()?;
        line.size_bytes = line.size_bytes.saturating_sub(message.size_bytes());
        self.size_bytes = self.size_bytes.saturating_sub(message.size_bytes());
        self.begin = line.had;
        let begin = self.begin;
        // Who has had more is remembered until the others have caught up.
        self.lines.retain(|_, line| !line.waiting.is_empty() || line.had >= begin);
        Some(message)
    }

    fn charge(&mut self, source: PeerId, cost: u64) {
        self.had = self.had.saturating_add(cost);
        if let Some(line) = self.lines.get_mut(&source) {
            line.had = line.had.saturating_add(cost);
        }
    }
}

/// All that waits.
#[derive(Debug, Default)]
struct Lanes {
    needed: Lane,
    others: Lane,
    closed: bool,
}

impl Lanes {
    fn offer(&mut self, message: Unchecked, needed: bool) -> Vec<GossipToken> {
        let (lane, other) = if needed { (&mut self.needed, &self.others) } else { (&mut self.others, &self.needed) };
        if lane.size_bytes == 0 {
            // Nor can an idle lane save time up.
            lane.had = lane.had.max(other.had);
        }
        lane.offer(message)
    }

    fn take(&mut self) -> Option<(Unchecked, Turn)> {
        let needed_first = self.needed.had <= self.others.had;
        for needed in [needed_first, !needed_first] {
            let lane = if needed { &mut self.needed } else { &mut self.others };
            if let Some(message) = lane.take() {
                let source = message.token.source();
                return Some((message, Turn { needed, source }));
            }
        }
        None
    }

    fn charge(&mut self, turn: Turn, took: Duration) {
        let lane = if turn.needed { &mut self.needed } else { &mut self.others };
        lane.charge(turn.source, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(COST_MIN));
    }
}

/// Whose turn it was, to be charged for it.
#[derive(Debug)]
pub(crate) struct Turn {
    needed: bool,
    source: PeerId,
}

#[derive(Debug, Default)]
struct Shared {
    lanes: Mutex<Lanes>,
    changed: Notify,
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The swarm's end. What waits is forgotten when it is dropped and the other end has taken the rest.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

impl Sender {
    /// Adds a message, of a peer that is needed or not. Returns the tokens of those that there is no room for.
    pub(super) fn offer(&self, message: Unchecked, needed: bool) -> Vec<GossipToken> {
        let dropped = self.0.lanes().offer(message, needed);
        self.0.changed.notify_one();
        dropped
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lanes().closed = true;
        self.0.changed.notify_one();
    }
}

/// The end of whoever checks.
#[derive(Debug)]
pub(crate) struct Receiver(Arc<Shared>);

impl Receiver {
    /// The next message to be checked. `None` when the swarm has ended. Cancel safe.
    pub(crate) async fn recv(&mut self) -> Option<(Unchecked, Turn)> {
        loop {
            {
                let mut lanes = self.0.lanes();
                if let Some(taken) = lanes.take() {
                    return Some(taken);
                }
                if lanes.closed {
                    return None;
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// The next message, if one is waiting.
    pub(super) fn try_recv(&mut self) -> Option<(Unchecked, Turn)> {
        self.0.lanes().take()
    }

    /// Charges a peer for the time that its message took.
    pub(crate) fn charge(&self, turn: Turn, took: Duration) {
        self.0.lanes().charge(turn, took);
    }
}

pub(super) fn channel() -> (Sender, Receiver) {
    let shared = Arc::<Shared>::default();
    (Sender(shared.clone()), Receiver(shared))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::network::{Topic, gossip::Origin};
    use libp2p::gossipsub::MessageId;

    fn message(source: PeerId, size_bytes: usize) -> Unchecked {
        let origin = Origin::Topic(Topic::Transactions, MessageId::new(b"x"));
        let token = GossipToken { source, size_bytes, origin };
        Unchecked { data: vec![0; size_bytes], token }
    }

    /// Whose messages are checked in `count` turns, at so much a message.
    fn serve(lanes: &mut Lanes, count: usize, cost_ms: impl Fn(PeerId) -> u64) -> Vec<PeerId> {
        let turn = |_| {
            let (_, turn) = lanes.take().unwrap();
            let source = turn.source;
            lanes.charge(turn, Duration::from_millis(cost_ms(source)));
            source
        };
        (0..count).map(turn).collect()
    }

    fn count(turns: &[PeerId], peer: PeerId) -> usize {
        turns.iter().filter(|one| **one == peer).count()
    }

    #[test]
    fn peers_share_the_time_and_not_the_number_of_messages() {
        let (mut lanes, dear, cheap) = (Lanes::default(), PeerId::random(), PeerId::random());
        for _ in 0..1_000 {
            assert!(lanes.offer(message(dear, 100), false).is_empty());
            assert!(lanes.offer(message(cheap, 100), false).is_empty());
        }
        let turns = serve(&mut lanes, 550, |peer| if peer == dear { 10 } else { 1 });
        assert_eq!((count(&turns, dear), count(&turns, cheap)), (50, 500));
    }

    #[test]
    fn who_comes_after_a_flood_is_next_and_has_no_arrears() {
        let (mut lanes, flood, late) = (Lanes::default(), PeerId::random(), PeerId::random());
        for _ in 0..2_000 {
            lanes.offer(message(flood, 100), false);
        }
        serve(&mut lanes, 1_000, |_| 5);
        for _ in 0..100 {
            lanes.offer(message(late, 100), false);
        }
        let turns = serve(&mut lanes, 20, |_| 5);
        assert!((9..=11).contains(&count(&turns, late)), "half from now on: {}", count(&turns, late));
    }

    #[test]
    fn a_dear_message_at_a_time_is_remembered_though_the_line_is_empty() {
        let (mut lanes, dear, cheap) = (Lanes::default(), PeerId::random(), PeerId::random());
        for _ in 0..1_000 {
            lanes.offer(message(cheap, 100), false);
        }
        let mut turns = Vec::new();
        for _ in 0..110 {
            if lanes.others.lines.get(&dear).is_none_or(|line| line.waiting.is_empty()) {
                lanes.offer(message(dear, 100), false);
            }
            turns.extend(serve(&mut lanes, 1, |peer| if peer == dear { 10 } else { 1 }));
        }
        assert!((9..=12).contains(&count(&turns, dear)), "a tenth of the turns: {}", count(&turns, dear));
    }

    #[test]
    fn any_number_of_strangers_leaves_half_the_time_to_the_peers_that_are_needed() {
        let (mut lanes, needed) = (Lanes::default(), PeerId::random());
        for _ in 0..200 {
            lanes.offer(message(PeerId::random(), 100), false);
        }
        for _ in 0..200 {
            lanes.offer(message(needed, 100), true);
        }
        let turns = serve(&mut lanes, 100, |_| 1);
        assert_eq!(count(&turns, needed), 50);
        // What one lane leaves is the other's.
        let turns = serve(&mut lanes, 300, |_| 1);
        assert_eq!(count(&turns, needed), 150);
        assert!(lanes.take().is_none() && lanes.needed.size_bytes == 0 && lanes.others.size_bytes == 0);
    }

    #[test]
    fn what_waits_is_bounded_and_the_longest_line_makes_way() {
        let (mut lanes, flood) = (Lanes::default(), PeerId::random());
        let mib = 1024 * 1024 - MESSAGE_OVERHEAD_BYTES;
        let taken = (0..10).filter(|_| lanes.offer(message(flood, mib), false).is_empty()).count();
        assert_eq!(taken, 4, "of one peer");
        let others: Vec<PeerId> = (0..12).map(|_| PeerId::random()).collect();
        for other in &others {
            assert!(lanes.offer(message(*other, mib), false).is_empty());
        }
        let late = PeerId::random();
        let dropped: Vec<PeerId> = lanes.offer(message(late, mib), false).iter().map(GossipToken::source).collect();
        assert_eq!(dropped, [flood]);
        assert_eq!(lanes.others.size_bytes, LANE_SIZE_BYTES);
        assert!(lanes.offer(message(flood, mib), true).is_empty(), "the other lane has room of its own");
    }

    #[tokio::test]
    async fn the_checker_waits_for_messages_and_ends_with_the_swarm() {
        let (sender, mut receiver) = channel();
        let waiting = tokio::spawn(async move {
            let first = receiver.recv().await.map(|(message, _)| message.data.len());
            (first, receiver.recv().await.is_none())
        });
        tokio::task::yield_now().await;
        assert!(sender.offer(message(PeerId::random(), 7), false).is_empty());
        drop(sender);
        assert_eq!(waiting.await.unwrap(), (Some(7), true));
    }
}
