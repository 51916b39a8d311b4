//! Catching up: decided blocks from other peers, each proven by its certificate, verified in order.
//!
//! One request is under way at a time, to one peer of those connected in turn; one that does not answer in time, or
//! serves a block that proves nothing, is passed over, and the range is asked elsewhere. What another peer claims of its
//! height counts only beside blocks that prove themselves, and holds nothing up.
//!
//! # Invariants
//! - Between two requests passes at least [`INTERVAL`], whoever gives a reason to ask: fewer than a peer allows others.
//! - After an answer that brought nothing the wait grows, up to [`LONGEST_WAIT`], until blocks come.
//! - A vote for a height ahead is a reason to ask only if a validator signed it.

use crate::{
    event_loop::EventLoop,
    network::{NetworkHandle, SYNC_REQUESTS_PER_SECOND, SyncChannel, SyncError, SyncRequest, SyncResponse},
};
use allod_protocol::{
    block::DecidedBlock,
    ids::Height,
    limits,
    replica::{Input, Message, Replica},
};
use allod_storage::Ledger;
use libp2p::PeerId;
use std::time::Duration;
use tokio::time::Instant;

/// How long a peer has to answer before another one is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a peer at rest asks another one whether it missed something.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// How long a hint of a greater height counts without a block to show for it.
const HINT_LIFETIME: Duration = Duration::from_secs(10);

/// The least time between two requests, and between two looks at who signed a hint.
const INTERVAL: Duration = Duration::from_millis(25);
/// The wait after an answer that brought nothing; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

const _: () = assert!(
    1_000 / INTERVAL.as_millis() < SYNC_REQUESTS_PER_SECOND as u128,
    "an honest peer stays below what it allows others"
);

/// Where catching up stands.
#[derive(Debug)]
pub(crate) struct CatchUp {
    asked: Option<(PeerId, Instant)>,
    /// Whether there was a reason to ask while another request was under way, or it was too early.
    wanted: bool,
    /// Before this nobody is asked.
    ask_at: Instant,
    wait: Duration,
    /// Before this no hint's signature is checked.
    hint_at: Instant,
    answered_at: Instant,
    best_known: Height,
    hinted_at: Instant,
    peers: Vec<PeerId>,
    next_peer: usize,
}

impl CatchUp {
    pub(crate) fn new(height: Height) -> Self {
        let now = Instant::now();
        Self {
            asked: None,
            wanted: false,
            ask_at: now,
            wait: FIRST_WAIT,
            hint_at: now,
            answered_at: now,
            best_known: height,
            hinted_at: now,
            peers: Vec::new(),
            next_peer: 0,
        }
    }

    /// Whether somebody may be asked now; if not, that there was a reason is remembered.
    fn may_ask(&mut self, now: Instant) -> bool {
        let under_way = self.asked.is_some_and(|(_, at)| now.saturating_duration_since(at) < PATIENCE);
        self.wanted = under_way || now < self.ask_at;
        !self.wanted
    }

    fn on_asked(&mut self, peer: PeerId, now: Instant) {
        self.asked = Some((peer, now));
        self.ask_at = now + INTERVAL;
    }

    /// An answer came, or none; `useful` if it brought blocks.
    fn on_answer(&mut self, peer: PeerId, useful: bool, now: Instant) {
        if self.asked.is_some_and(|(asked, _)| asked == peer) {
            self.asked = None;
        }
        self.answered_at = now;
        if useful {
            self.wait = FIRST_WAIT;
        } else {
            self.ask_at = self.ask_at.max(now + self.wait);
            self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    /// When a request that was too early is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.wanted && self.asked.is_none()).then_some(self.ask_at)
    }

    /// Whether the signature of a hint may be checked now.
    fn may_look_at_hint(&mut self, now: Instant) -> bool {
        let may = !self.wanted && self.hint_at <= now;
        if may {
            self.hint_at = now + INTERVAL;
        }
        may
    }

    /// A peer that served blocks which proved themselves says how far it is.
    pub(crate) fn heard_of(&mut self, height: Height) {
        if height > self.best_known {
            self.best_known = height;
            self.hinted_at = Instant::now();
        }
    }

    /// This peer has executed a height.
    pub(crate) fn reached(&mut self, height: Height) {
        self.best_known = self.best_known.max(height);
        self.hinted_at = Instant::now();
    }

    pub(crate) const fn best_known(&self) -> Height {
        self.best_known
    }

    /// Whether others are ahead, as far as is known.
    pub(crate) fn is_behind(&self, height: Height) -> bool {
        self.best_known > height && self.hinted_at.elapsed() < HINT_LIFETIME
    }

    /// A peer is gone.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.peers.retain(|known| known != peer);
        if self.asked.is_some_and(|(asked, _)| asked == *peer) {
            self.asked = None;
        }
    }

    fn add(&mut self, peer: PeerId, now: Instant) {
        if !self.peers.contains(&peer) {
            self.peers.push(peer);
        }
        // Whoever is new may know more than those that knew nothing.
        self.ask_at = self.ask_at.min(now + INTERVAL);
    }

    fn choose(&mut self) -> Option<PeerId> {
        self.next_peer = self.next_peer.wrapping_add(1);
        self.peers.get(self.next_peer.checked_rem(self.peers.len())?).copied()
    }
}

impl EventLoop {
    /// Asks a peer for the blocks after the tip, unless a request is under way. A peer that is named is remembered.
    pub(crate) fn ask_for_blocks(&mut self, peer: Option<PeerId>) {
        let now = Instant::now();
        if let Some(peer) = peer {
            self.catch_up.add(peer, now);
        }
        if !self.catch_up.may_ask(now) {
            return;
        }
        let Some(peer) = peer.or_else(|| self.catch_up.choose()) else { return };
        let max_blocks = u32::try_from(limits::SYNC_BLOCKS).unwrap_or(u32::MAX);
        self.catch_up.on_asked(peer, now);
        self.network.request_blocks(peer, SyncRequest { from: self.next_height(), max_blocks });
    }

    /// A message of a height that is not reached came.
    pub(crate) fn on_hint(&mut self, message: &Message) {
        if self.catch_up.may_look_at_hint(Instant::now()) && self.replica.is_genuine_hint(message) {
            self.ask_for_blocks(None);
        }
    }

    /// Asks now and then even if nothing points to it: the last message of a busy time may have been lost.
    pub(crate) fn look_for_blocks(&mut self) {
        let quiet = self.catch_up.answered_at.elapsed() >= LOOK_AROUND;
        if quiet || self.catch_up.is_behind(self.tip.height) {
            self.ask_for_blocks(None);
        }
    }

    pub(crate) fn on_sync_answered(
        &mut self,
        peer: PeerId,
        result: Result<SyncResponse, SyncError>,
    ) -> anyhow::Result<()> {
        let before = self.tip.height;
        let response = match result {
            Ok(response) => response,
            Err(reason) => {
                tracing::debug!(%peer, %reason, "no blocks");
                self.catch_up.on_answer(peer, false, Instant::now());
                return Ok(());
            }
        };
        for decided in &response.blocks {
            if decided.block.header().height != self.next_height() {
                continue;
            }
            if let Err(reason) = self.take_block(decided)? {
                tracing::warn!(%peer, height = %self.next_height(), reason, "a fetched block was refused");
                self.network.block_peer(peer, &reason);
                self.catch_up.forget(&peer);
                break;
            }
        }
        self.catch_up.on_answer(peer, self.tip.height > before, Instant::now());
        if self.tip.height > before {
            let taken = self.tip.height.get().saturating_sub(before.get());
            self.metrics.on_sync_blocks(usize::try_from(taken).unwrap_or(usize::MAX));
            tracing::info!(from = %before, to = %self.tip.height, %peer, "caught up");
            self.catch_up.heard_of(response.tip);
            if response.tip > self.tip.height {
                self.ask_for_blocks(None);
            }
        }
        Ok(())
    }

    /// Takes one decided block: through the replica if it is at work on that height, else directly.
    fn take_block(&mut self, decided: &DecidedBlock) -> anyhow::Result<Result<(), String>> {
        let height = self.next_height();
        if self.is_deciding(height) {
            self.drive(Input::Synced(decided.clone()))?;
            let taken = self.tip.height == height;
            return Ok(if taken { Ok(()) } else { Err("it does not prove its height".into()) });
        }
        if let Err(reason) = self.verify(decided) {
            return Ok(Err(reason));
        }
        self.commit(decided)?;
        // The replica waits at an older height: put it behind this one.
        let last_signed = self.replica.last_signed().clone();
        self.replica = Replica::new(Some(self.key.clone()), last_signed, &self.tip);
        self.timers.cancel_all();
        Ok(Ok(()))
    }

    fn verify(&self, decided: &DecidedBlock) -> Result<(), String> {
        decided.verify(&self.tip, &|transaction| self.mempool.holds(transaction)).map_err(|error| error.to_string())
    }

    /// The replica refused a fetched block; who sent it is known where it was fed.
    pub(crate) fn on_bad_block(&mut self, reason: &str) {
        self.metrics.on_refused("bad_block");
        tracing::debug!(reason, "bad block");
    }
}

/// Answers another peer's request from the ledger.
pub(crate) fn answer(ledger: &Ledger, network: &NetworkHandle, request: SyncRequest, channel: SyncChannel) {
    let max_blocks = usize::try_from(request.max_blocks).unwrap_or(usize::MAX).min(limits::SYNC_BLOCKS);
    // Room for the response's own fields.
    let max_bytes = limits::SYNC_RESPONSE_SIZE_BYTES.saturating_sub(1_024);
    match ledger.blocks(request.from, max_blocks, max_bytes) {
        Ok(blocks) => network.respond_blocks(channel, SyncResponse { tip: ledger.tip().height, blocks }),
        // The event loop meets the same failure at its next commit and ends the process.
        Err(error) => tracing::error!(%error, "the ledger cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gives_a_reason_to_ask_cannot_make_it_often() {
        let (mut catch_up, peer) = (CatchUp::new(Height::ZERO), PeerId::random());
        let start = Instant::now();
        let (mut now, mut asked) = (start, 0u32);
        // A hint a millisecond, and every answer at once: with blocks, it is the interval that holds.
        while now < start + Duration::from_secs(10) {
            if catch_up.may_ask(now) {
                catch_up.on_asked(peer, now);
                catch_up.on_answer(peer, true, now);
                asked += 1;
            }
            now += Duration::from_millis(1);
        }
        assert!((390..=400).contains(&asked), "{asked} requests in 10 s");
        // Without, the wait grows.
        let (start, mut asked) = (now, 0u32);
        while now < start + Duration::from_secs(60) {
            if catch_up.may_ask(now) {
                catch_up.on_asked(peer, now);
                catch_up.on_answer(peer, false, now);
                asked += 1;
            }
            now += Duration::from_millis(1);
        }
        assert!((15..=20).contains(&asked), "{asked} requests in 60 s");
        // Blocks, or a new peer, end the long wait.
        catch_up.add(PeerId::random(), now);
        assert!(catch_up.may_ask(now + INTERVAL));
    }

    #[test]
    fn what_was_too_early_is_asked_when_it_is_due() {
        let (mut catch_up, peer) = (CatchUp::new(Height::ZERO), PeerId::random());
        let now = Instant::now();
        assert!(catch_up.may_ask(now));
        catch_up.on_asked(peer, now);
        assert!(!catch_up.may_ask(now) && catch_up.due().is_none(), "an answer comes first");
        catch_up.on_answer(peer, true, now);
        assert!(!catch_up.may_ask(now));
        assert_eq!(catch_up.due(), Some(now + INTERVAL));
        assert!(catch_up.may_ask(now + INTERVAL) && catch_up.due().is_none());
        assert!(catch_up.may_look_at_hint(now) && !catch_up.may_look_at_hint(now), "one signature an interval");
    }
}
