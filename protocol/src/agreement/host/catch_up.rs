//! Catching up: decided blocks from other peers, each proven by its certificate, verified in order.
//!
//! One request is in progress at a time, to the connected peers in turn. A peer that does not answer in time, or serves
//! a block that proves nothing, is skipped, and the range is requested elsewhere. What another peer claims about its
//! height counts only together with proven blocks, and delays nothing.
//!
//! # Invariants
//! - At least [`INTERVAL`] passes between two requests, no matter who gives a reason to ask. So it asks less often than a
//!   peer allows others to ask.
//! - After an answer that brought nothing the wait grows, up to [`LONGEST_WAIT`], until blocks arrive.
//! - A vote or a pushed block of a later height is a reason to ask only if validators signed it. A vote for the next height shows that
//!   its signer has decided this one: once for each validator and height it ends a wait that has grown.

use super::{Host, HostError, HostEvent, Machine, Moment};
use crate::{
    agreement::replica::{Input, Message, Replica},
    ground::{ids::Height, limits},
    ledger::block::DecidedBlock,
};
use std::time::Duration;

/// How long a peer may take to answer before another one is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often an idle peer asks another one whether it missed something.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// How long a hint of a greater height counts without a block to prove it.
const HINT_LIFETIME: Duration = Duration::from_secs(10);

/// The minimum time between two requests, and between two checks of who signed a hint.
const INTERVAL: Duration = Duration::from_millis(25);
/// The wait after an answer that brought nothing. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

const _: () = assert!(
    1_000 < INTERVAL.as_millis().saturating_mul(limits::SYNC_REQUESTS_PER_SECOND as u128),
    "an honest peer stays below what it allows others"
);

/// The state of catching up.
#[derive(Debug)]
pub(super) struct CatchUp<P> {
    asked: Option<(P, Moment)>,
    /// Whether there was a reason to ask while another request was in progress, or it was too early.
    wanted: bool,
    /// Nobody is asked before this moment.
    ask_at: Moment,
    wait: Duration,
    /// No hint's signature is checked before this moment.
    hint_at: Moment,
    answered_at: Moment,
    best_known: Height,
    hinted_at: Moment,
    peers: Vec<P>,
    next_peer: usize,
}

impl<P: Copy + Eq> CatchUp<P> {
    pub(super) fn new(height: Height, now: Moment) -> Self {
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

    /// Whether somebody may be asked now. If not, remembers that there was a reason.
    fn may_ask(&mut self, now: Moment) -> bool {
        let under_way = self.asked.is_some_and(|(_, at)| now.since(at) < PATIENCE);
        self.wanted = under_way || now < self.ask_at;
        !self.wanted
    }

    fn on_asked(&mut self, peer: P, now: Moment) {
        self.asked = Some((peer, now));
        self.ask_at = now.plus(INTERVAL);
    }

    /// An answer arrived, or timed out; `useful` if it brought blocks.
    fn on_answer(&mut self, peer: P, useful: bool, now: Moment) {
        if self.asked.is_some_and(|(asked, _)| asked == peer) {
            self.asked = None;
        }
        self.answered_at = now;
        if useful {
            self.wait = FIRST_WAIT;
        } else {
            self.ask_at = self.ask_at.max(now.plus(self.wait));
            self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    /// When a request that was too early is due.
    pub(super) fn due(&self) -> Option<Moment> {
        (self.wanted && self.asked.is_none()).then_some(self.ask_at)
    }

    /// Whether the signature of a hint may be checked now.
    fn may_look_at_hint(&mut self, now: Moment) -> bool {
        let may = !self.wanted && self.hint_at <= now;
        if may {
            self.hint_at = now.plus(INTERVAL);
        }
        may
    }

    /// There is a good reason to ask, however often asking was in vain.
    fn hurry(&mut self, now: Moment) {
        self.wait = FIRST_WAIT;
        self.ask_at = self.ask_at.min(now.plus(INTERVAL));
    }

    /// This peer executed a height, or one that served blocks which proved themselves says that it did. A greater height
    /// that nobody has repeated for a while was a lie, or that peer is gone.
    pub(super) fn heard_of(&mut self, height: Height, now: Moment) {
        if height >= self.best_known || !self.is_fresh(now) {
            self.best_known = height;
            self.hinted_at = now;
        }
    }

    fn is_fresh(&self, now: Moment) -> bool {
        now.since(self.hinted_at) < HINT_LIFETIME
    }

    /// The greatest height that is known of, none if it was not heard of for a while.
    pub(super) fn best_known(&self, now: Moment) -> Option<Height> {
        self.is_fresh(now).then_some(self.best_known)
    }

    /// Whether others are known to be ahead.
    pub(super) fn is_behind(&self, height: Height, now: Moment) -> bool {
        self.best_known(now).is_some_and(|best| best > height)
    }

    /// A peer is gone.
    fn forget(&mut self, peer: P) {
        self.peers.retain(|known| *known != peer);
        if self.asked.is_some_and(|(asked, _)| asked == peer) {
            self.asked = None;
        }
    }

    fn add(&mut self, peer: P, now: Moment) {
        if !self.peers.contains(&peer) {
            self.peers.push(peer);
        }
        // A new peer may know more than those that knew nothing.
        self.ask_at = self.ask_at.min(now.plus(INTERVAL));
    }

    fn choose(&mut self) -> Option<P> {
        self.next_peer = self.next_peer.wrapping_add(1);
        self.peers.get(self.next_peer.checked_rem(self.peers.len())?).copied()
    }
}

impl<M: Machine> Host<M> {
    /// A peer is connected.
    pub fn on_connected(&mut self, peer: M::Peer) {
        self.catch_up.add(peer, self.machine.now());
        self.ask_for_blocks(Some(peer));
    }

    /// A peer is gone.
    pub fn on_disconnected(&mut self, peer: M::Peer) {
        self.catch_up.forget(peer);
    }

    /// Asks a peer, or the next one, for the blocks after the tip, unless a request is in progress.
    pub(super) fn ask_for_blocks(&mut self, peer: Option<M::Peer>) {
        let now = self.machine.now();
        if !self.catch_up.may_ask(now) {
            return;
        }
        let Some(peer) = peer.or_else(|| self.catch_up.choose()) else { return };
        self.catch_up.on_asked(peer, now);
        self.machine.request_blocks(peer, self.tip.height.next(), limits::SYNC_BLOCKS);
    }

    /// Something of a height that has not been reached arrived. If it is genuine, that is a reason to ask.
    pub(super) fn on_hint(&mut self, is_genuine: impl FnOnce(&Self) -> bool) {
        if self.catch_up.may_look_at_hint(self.machine.now()) && is_genuine(self) {
            self.ask_for_blocks(None);
        }
    }

    /// A genuine message of the next height arrived during this one: its signer has decided this one.
    pub(super) fn on_decided_elsewhere(&mut self, message: &Message) {
        if message.sender().is_some_and(|sender| self.decided_elsewhere.insert(sender)) {
            self.catch_up.hurry(self.machine.now());
            self.ask_for_blocks(None);
        }
    }

    /// Asks now and then even without a reason: the last message of a busy period may have been lost.
    pub(super) fn look_for_blocks(&mut self) {
        let now = self.machine.now();
        let quiet = now.since(self.catch_up.answered_at) >= LOOK_AROUND;
        if quiet || self.catch_up.is_behind(self.tip.height, now) {
            self.ask_for_blocks(None);
        }
    }

    /// A peer sent no blocks.
    pub fn on_no_blocks(&mut self, peer: M::Peer, reason: &str) {
        self.machine.report(HostEvent::NoBlocks { peer, reason });
        self.catch_up.on_answer(peer, false, self.machine.now());
    }

    /// A peer sent blocks, and reports its own height.
    ///
    /// # Errors
    /// When the process must end.
    pub fn on_blocks(&mut self, peer: M::Peer, tip: Height, blocks: &[DecidedBlock]) -> Result<(), HostError> {
        let before = self.tip.height;
        for decided in blocks {
            if decided.block.header().height != self.tip.height.next() {
                continue;
            }
            if let Err(reason) = self.take_block(decided)? {
                let height = self.tip.height.next();
                self.machine.report(HostEvent::RefusedBlock { peer, height, reason: &reason });
                self.machine.block_peer(peer, &reason);
                self.catch_up.forget(peer);
                break;
            }
        }
        let now = self.machine.now();
        self.catch_up.on_answer(peer, self.tip.height > before, now);
        if self.tip.height > before {
            self.machine.report(HostEvent::CaughtUp { peer, from: before, to: self.tip.height });
            self.catch_up.heard_of(tip, now);
            if tip > self.tip.height {
                self.ask_for_blocks(None);
            }
        }
        Ok(())
    }

    /// Commits one decided block of another peer: through the replica if it is working on that height, otherwise directly.
    pub(super) fn take_block(&mut self, decided: &DecidedBlock) -> Result<Result<(), String>, HostError> {
        let height = self.tip.height.next();
        if self.replica.height() == height && !self.replica.is_finalized() {
            self.refused_block = None;
            self.takes = true;
            self.drive(Input::Synced(decided.clone()))?;
            self.takes = false;
            let refused = self.refused_block.take().unwrap_or_else(|| "it does not prove its height".into());
            return Ok(if self.tip.height == height { Ok(()) } else { Err(refused) });
        }
        if let Err(reason) = decided.verify(&self.tip, &|transaction| self.mempool.holds(transaction)) {
            return Ok(Err(reason.to_string()));
        }
        self.commit(decided)?;
        // The replica waits at an older height: move it past this one.
        let last_signed = self.replica.last_signed().clone();
        self.replica = Replica::new(self.key.clone(), last_signed, &self.tip);
        self.seen.forget();
        self.timers.cancel_all();
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One millisecond later.
    fn next(now: Moment) -> Moment {
        now.plus(Duration::from_millis(1))
    }

    #[test]
    fn whoever_gives_a_reason_to_ask_cannot_make_it_often() {
        let (mut now, peer) = (Moment::default(), 1);
        let mut catch_up = CatchUp::new(Height::ZERO, now);
        let (end, mut asked) = (now.plus(Duration::from_secs(10)), 0u32);
        // A hint per millisecond, and every answer at once: with blocks, the interval is the limit.
        while now < end {
            if catch_up.may_ask(now) {
                catch_up.on_asked(peer, now);
                catch_up.on_answer(peer, true, now);
                asked += 1;
            }
            now = next(now);
        }
        assert!((390..=400).contains(&asked), "{asked} requests in 10 s");
        // Without blocks, the wait grows.
        let (end, mut asked) = (now.plus(Duration::from_secs(60)), 0u32);
        while now < end {
            if catch_up.may_ask(now) {
                catch_up.on_asked(peer, now);
                catch_up.on_answer(peer, false, now);
                asked += 1;
            }
            now = next(now);
        }
        assert!((15..=20).contains(&asked), "{asked} requests in 60 s");
        // Blocks, a new peer, or a good reason end the long wait.
        catch_up.add(2, now);
        assert!(catch_up.may_ask(now.plus(INTERVAL)));
        catch_up.on_answer(peer, false, now);
        assert!(!catch_up.may_ask(now.plus(INTERVAL)));
        catch_up.hurry(now);
        assert!(catch_up.may_ask(now.plus(INTERVAL)));
    }

    #[test]
    fn a_height_that_only_a_liar_claims_is_forgotten_while_blocks_come() {
        let (mut now, claimed) = (Moment::default(), Height::new(u64::MAX));
        let mut catch_up = CatchUp::<u8>::new(Height::ZERO, now);
        catch_up.heard_of(claimed, now);
        for height in 1..=10 {
            assert!(catch_up.is_behind(Height::new(height), now));
            now = now.plus(Duration::from_secs(1));
            catch_up.heard_of(Height::new(height), now);
        }
        assert!(!catch_up.is_behind(Height::new(10), now));
        assert_eq!(catch_up.best_known(now), Some(Height::new(10)));
        // One that others repeat stands.
        for _ in 0..20 {
            catch_up.heard_of(Height::new(500), now);
            now = now.plus(Duration::from_secs(1));
            catch_up.heard_of(Height::new(12), now);
            assert!(catch_up.is_behind(Height::new(12), now));
        }
    }

    #[test]
    fn what_was_too_early_is_asked_when_it_is_due() {
        let (now, peer) = (Moment::default(), 1);
        let mut catch_up = CatchUp::new(Height::ZERO, now);
        assert!(catch_up.may_ask(now));
        catch_up.on_asked(peer, now);
        assert!(!catch_up.may_ask(now) && catch_up.due().is_none(), "an answer comes first");
        catch_up.on_answer(peer, true, now);
        assert!(!catch_up.may_ask(now));
        assert_eq!(catch_up.due(), Some(now.plus(INTERVAL)));
        assert!(catch_up.may_ask(now.plus(INTERVAL)) && catch_up.due().is_none());
        assert!(catch_up.may_look_at_hint(now) && !catch_up.may_look_at_hint(now), "one signature an interval");
    }
}
