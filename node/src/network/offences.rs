//! What we tolerate: how much a peer may send, what counts as an offence, and who is blocked for a while. The swarm and
//! the consensus plane keep a guard each: neither spends what the other allows.

use super::gossip::Topic;
use allod_protocol::ground::limits;
use libp2p::PeerId;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long a peer is blocked.
pub(super) const BLOCK_TIME: Duration = Duration::from_secs(600);
/// Maximum number of blocked peers; the block that ends first makes room.
const BLOCKED_PEERS: usize = 1_024;
/// Maximum number of peers whose record is kept; those not heard from for longest make room.
const RECORDS: usize = 2_048;
/// How long a record is kept after the last message of its peer: a new connection brings no new allowance.
const RECORD_MEMORY: Duration = Duration::from_secs(600);

/// A peer's allowance: a number per second, and a burst. The bounds are far above what an honest peer needs: 128
/// validators make some 300 messages per height, and a peer may relay all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) at_once: f64,
}

const CONSENSUS_MESSAGES: Rate = Rate { per_second: 4_000.0, at_once: 12_000.0 };
/// Pushed blocks: those of the fastest network, from each of those that push them.
const BLOCK_MESSAGES: Rate = Rate { per_second: 1_000.0, at_once: 4_000.0 };
const TRANSACTION_MESSAGES: Rate = Rate { per_second: 4_000.0, at_once: 12_000.0 };
const ARTIFACT_MESSAGES: Rate = Rate { per_second: 50.0, at_once: 500.0 };
/// A stranger has a quarter of it: honest ones relay blocks and transactions, a few megabytes a second.
const GOSSIP_BYTES: Rate = Rate { per_second: 64.0 * 1024.0 * 1024.0, at_once: 256.0 * 1024.0 * 1024.0 };
/// Requests for blocks per second that a peer may make of another one.
const SYNC_REQUESTS: Rate = Rate { per_second: limits::SYNC_REQUESTS_PER_SECOND as f64, at_once: 200.0 };
/// Provider records that a peer may store here; it sends its own at a fifth of this pace.
const PROVIDER_RECORDS: Rate = Rate { per_second: 2_000.0, at_once: 10_000.0 };
/// What a peer may say about itself: once for each connection, and when its addresses change.
const INTRODUCTIONS: Rate = Rate { per_second: 2.0, at_once: 100.0 };
/// The allowance for offences, in points. A peer that exceeds it is blocked.
const PATIENCE: Rate = Rate { per_second: 1.0, at_once: 100.0 };

/// How much more a byte of gossip costs a stranger.
const STRANGENESS: f64 = 4.0;
/// From this size on, a message over the allowance weighs more.
const LARGE_SIZE_BYTES: usize = 64 * 1024;
/// How much more everything costs a peer that is slowed: a hundred messages a second are left.
const SLOWNESS: f64 = 40.0;
/// How long a peer that is needed is slowed for what would get another one blocked.
const SLOW_TIME: Duration = Duration::from_secs(60);
/// How long a peer that did not read an answer waits for the next one.
const UNREAD_TIME: Duration = Duration::from_secs(30);

const _: () = assert!(
    limits::GOSSIP_SIZE_BYTES < 16 * 1024 * 1024,
    "the largest message is within a second of anybody's allowance"
);

/// What is left of an allowance.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    left: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, left: rate.at_once, filled_at: now }
    }

    /// Takes so much, if it is there.
    pub(super) fn take(&mut self, amount: f64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.left = (self.left + elapsed * self.rate.per_second).min(self.rate.at_once);
        if self.left < amount {
            return false;
        }
        self.left -= amount;
        true
    }

    /// Whether nothing was taken for so long that it is as good as new.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.left + elapsed * self.rate.per_second >= self.rate.at_once
    }
}

/// The kinds of allowance of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spending {
    Gossip {
        topic: Topic,
        size_bytes: usize,
        needed: bool,
    },
    /// A message on the consensus plane, whose peers are all needed.
    Consensus {
        size_bytes: usize,
    },
    SyncRequest,
    ProviderRecord,
    /// It says where it listens, and what it speaks.
    Introduction,
}

/// An offence of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offence {
    /// A message that no honest peer sends or relays.
    RejectedMessage,
    /// A consensus stream, of a peer that is neither a validator's nor configured.
    Uninvited,
    /// Malformed bytes on the sync protocol.
    MalformedSync,
    /// More messages, bytes or requests than its allowance.
    TooFast,
    /// The same, and the message is a large one.
    TooMuch,
}

impl Offence {
    /// The offence of a message over its sender's allowance.
    pub(super) const fn over_allowance(size_bytes: usize) -> Self {
        if size_bytes < LARGE_SIZE_BYTES { Self::TooFast } else { Self::TooMuch }
    }

    const fn points(self) -> f64 {
        match self {
            Self::RejectedMessage => 10.0,
            // Far apart, they cost nothing: a new validator may know earlier than others that it is one.
            Self::Uninvited => 5.0,
            Self::MalformedSync => 25.0,
            Self::TooFast => 0.05,
            Self::TooMuch => 5.0,
        }
    }

    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::RejectedMessage => "it relays messages that no honest peer relays",
            Self::Uninvited => "it opens consensus streams and is no validator",
            Self::MalformedSync => "it sends malformed requests or answers",
            Self::TooFast | Self::TooMuch => "it sends more than its allowance",
        }
    }
}

#[derive(Debug)]
struct Record {
    consensus: Bucket,
    blocks: Bucket,
    transactions: Bucket,
    artifacts: Bucket,
    bytes: Bucket,
    sync: Bucket,
    providers: Bucket,
    introductions: Bucket,
    patience: Bucket,
    heard_at: Instant,
    slow_until: Option<Instant>,
    unserved_until: Option<Instant>,
}

impl Record {
    fn new(now: Instant) -> Self {
        Self {
            consensus: Bucket::new(CONSENSUS_MESSAGES, now),
            blocks: Bucket::new(BLOCK_MESSAGES, now),
            transactions: Bucket::new(TRANSACTION_MESSAGES, now),
            artifacts: Bucket::new(ARTIFACT_MESSAGES, now),
            bytes: Bucket::new(GOSSIP_BYTES, now),
            sync: Bucket::new(SYNC_REQUESTS, now),
            providers: Bucket::new(PROVIDER_RECORDS, now),
            introductions: Bucket::new(INTRODUCTIONS, now),
            patience: Bucket::new(PATIENCE, now),
            heard_at: now,
            slow_until: None,
            unserved_until: None,
        }
    }

    fn is_slow(&self, now: Instant) -> bool {
        self.slow_until.is_some_and(|until| now < until)
    }
}

/// Allowances, offences and blocks of the peers heard from recently.
#[derive(Debug, Default)]
pub(super) struct Guard {
    records: HashMap<PeerId, Record>,
    blocked: HashMap<PeerId, Instant>,
}

impl Guard {
    /// Spends a peer's allowance. Returns whether it sufficed.
    pub(super) fn spend(&mut self, peer: PeerId, spending: Spending) -> bool {
        self.spend_at(peer, spending, Instant::now())
    }

    fn spend_at(&mut self, peer: PeerId, spending: Spending, now: Instant) -> bool {
        let record = self.record(peer, now);
        let price = if record.is_slow(now) { SLOWNESS } else { 1.0 };
        match spending {
            Spending::Gossip { topic, size_bytes, needed } => {
                let bucket = match topic {
                    Topic::Blocks => &mut record.blocks,
                    Topic::Transactions => &mut record.transactions,
                    Topic::Artifacts => &mut record.artifacts,
                };
                bucket.take(price, now)
                    && record.bytes.take(size_bytes as f64 * price * if needed { 1.0 } else { STRANGENESS }, now)
            }
            Spending::Consensus { size_bytes } => {
                record.consensus.take(price, now) && record.bytes.take(size_bytes as f64 * price, now)
            }
            Spending::SyncRequest => record.sync.take(price, now),
            Spending::ProviderRecord => record.providers.take(price, now),
            Spending::Introduction => record.introductions.take(price, now),
        }
    }

    /// Records an offence. Returns whether the peer is now to be blocked, or slowed ([`Guard::slow`]) if it is `needed` (a
    /// validator's or a configured one). Such a peer does not offend by being busy: messages over its allowance are
    /// dropped, and nothing more. A network must not shut out the peers it decides with.
    pub(super) fn offend(&mut self, peer: PeerId, offence: Offence, needed: bool) -> bool {
        if needed && matches!(offence, Offence::TooFast | Offence::TooMuch) {
            return false;
        }
        let now = Instant::now();
        !self.record(peer, now).patience.take(offence.points(), now)
    }

    /// Slows a peer for a while. Returns whether it was not slow yet.
    pub(super) fn slow(&mut self, peer: PeerId) -> bool {
        let now = Instant::now();
        let record = self.record(peer, now);
        let news = !record.is_slow(now);
        record.slow_until = Some(now + SLOW_TIME);
        news
    }

    /// A peer did not read an answer: it gets no other one for a while.
    pub(super) fn serve_later(&mut self, peer: PeerId) {
        let now = Instant::now();
        self.record(peer, now).unserved_until = Some(now + UNREAD_TIME);
    }

    /// Whether a peer may have another answer.
    pub(super) fn may_be_served(&self, peer: &PeerId) -> bool {
        let until = self.records.get(peer).and_then(|record| record.unserved_until);
        until.is_none_or(|until| until <= Instant::now())
    }

    fn record(&mut self, peer: PeerId, now: Instant) -> &mut Record {
        if !self.records.contains_key(&peer) && self.records.len() >= RECORDS {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.heard_at).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                self.records.remove(&oldest);
            }
        }
        let record = self.records.entry(peer).or_insert_with(|| Record::new(now));
        record.heard_at = now;
        record
    }

    /// Blocks a peer. Returns the peer whose block ends early to make room, if any.
    pub(super) fn block(&mut self, peer: PeerId) -> Option<PeerId> {
        let now = Instant::now();
        let mut freed = None;
        if !self.blocked.contains_key(&peer) && self.blocked.len() >= BLOCKED_PEERS {
            freed = self.blocked.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            if let Some(freed) = &freed {
                self.blocked.remove(freed);
            }
        }
        self.blocked.insert(peer, now + BLOCK_TIME);
        // It starts afresh when the block ends.
        self.records.remove(&peer);
        freed
    }

    pub(super) fn is_blocked(&self, peer: &PeerId) -> bool {
        self.blocked.contains_key(peer)
    }

    pub(super) fn blocked_count(&self) -> usize {
        self.blocked.len()
    }

    /// Forgets old records. Returns the peers whose blocks have ended.
    pub(super) fn tidy(&mut self, now: Instant) -> Vec<PeerId> {
        self.records.retain(|_, record| now.saturating_duration_since(record.heard_at) < RECORD_MEMORY);
        let freed: Vec<PeerId> =
            self.blocked.iter().filter(|(_, until)| **until <= now).map(|(peer, _)| *peer).collect();
        for peer in &freed {
            self.blocked.remove(peer);
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_refills_with_time_and_never_passes_its_bound() {
        let start = Instant::now();
        let (mut guard, peer) = (Guard::default(), PeerId::random());
        let request = |guard: &mut Guard, at| guard.spend_at(peer, Spending::SyncRequest, at);
        for _ in 0..200 {
            assert!(request(&mut guard, start));
        }
        assert!(!request(&mut guard, start), "the burst is over");
        let later = start + Duration::from_millis(100);
        assert_eq!((0..10).filter(|_| request(&mut guard, later)).count(), 5, "50 a second");
        let much_later = start + Duration::from_secs(3_600);
        assert_eq!((0..300).filter(|_| request(&mut guard, much_later)).count(), 200);
        assert!(guard.spend_at(PeerId::random(), Spending::SyncRequest, start), "another peer has its own allowance");
    }

    #[test]
    fn a_few_malformed_answers_are_the_last_straw_and_a_block_ends() {
        let (mut guard, peer) = (Guard::default(), PeerId::random());
        let straws = (0..10).take_while(|_| !guard.offend(peer, Offence::MalformedSync, false)).count();
        assert_eq!(straws, 4);
        assert_eq!(guard.block(peer), None);
        assert!(guard.is_blocked(&peer));
        assert!(guard.tidy(Instant::now()).is_empty());
        assert_eq!(guard.tidy(Instant::now() + BLOCK_TIME), vec![peer]);
        assert!(!guard.is_blocked(&peer));
    }

    #[test]
    fn who_is_needed_is_not_held_to_account_for_being_busy_but_for_lies() {
        let (mut guard, peer) = (Guard::default(), PeerId::random());
        assert!((0..100_000).all(|_| !guard.offend(peer, Offence::TooFast, true)));
        assert!((0..11).any(|_| guard.offend(peer, Offence::RejectedMessage, true)));
        let stranger = PeerId::random();
        assert!((0..100_000).any(|_| guard.offend(stranger, Offence::TooFast, false)));
    }

    #[test]
    fn a_strangers_megabytes_are_few_and_cost_it_the_connection() {
        let (start, mut guard, peer) = (Instant::now(), Guard::default(), PeerId::random());
        let taken = |guard: &mut Guard, needed, at| {
            let block = Spending::Gossip { topic: Topic::Blocks, size_bytes: 2 << 20, needed };
            (0..1_000).filter(|_| guard.spend_at(peer, block, at)).count()
        };
        assert_eq!(taken(&mut guard, false, start), 32);
        assert_eq!(taken(&mut guard, false, start + Duration::from_secs(1)), 8, "16 MiB a second");
        assert_eq!(taken(&mut guard, true, start + Duration::from_secs(2)), 32);
        let offence = Offence::over_allowance(2 << 20);
        assert!((0..21).any(|_| guard.offend(peer, offence, false)));
        let other = PeerId::random();
        assert!((0..1_000).all(|_| !guard.offend(other, Offence::over_allowance(300), false)), "votes weigh little");
    }

    #[test]
    fn a_slow_peer_has_a_fortieth_of_its_allowance_for_a_while() {
        let (start, mut guard, peer) = (Instant::now(), Guard::default(), PeerId::random());
        assert!(guard.slow(peer) && !guard.slow(peer));
        let vote = Spending::Consensus { size_bytes: 300 };
        let taken = |guard: &mut Guard, at| (0..20_000).filter(|_| guard.spend_at(peer, vote, at)).count();
        assert_eq!(taken(&mut guard, start), 300);
        assert_eq!(taken(&mut guard, start + Duration::from_secs(1)), 100, "100 votes a second");
        assert_eq!(taken(&mut guard, start + SLOW_TIME * 2), 12_000, "as before");
    }

    #[test]
    fn who_does_not_read_is_not_served_for_a_while() {
        let (mut guard, peer) = (Guard::default(), PeerId::random());
        assert!(guard.may_be_served(&peer));
        guard.serve_later(peer);
        assert!(!guard.may_be_served(&peer) && guard.may_be_served(&PeerId::random()));
    }

    #[test]
    fn the_lists_of_strangers_stay_bounded() {
        let mut guard = Guard::default();
        let freed = (0..BLOCKED_PEERS + 5).filter(|_| guard.block(PeerId::random()).is_some()).count();
        assert_eq!((freed, guard.blocked_count()), (5, BLOCKED_PEERS));
        for _ in 0..RECORDS + 5 {
            guard.spend(PeerId::random(), Spending::SyncRequest);
        }
        assert_eq!(guard.records.len(), RECORDS);
    }
}
