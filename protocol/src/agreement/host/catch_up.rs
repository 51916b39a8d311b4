//! Catching up: decided blocks from other peers, each proven by its certificate, verified in order.
//!
//! Whom to ask is chosen by how peers answered before ([`Askable`]). A peer that serves a block that proves nothing is
//! blocked. What another peer claims about its height counts only together with proven blocks, and delays nothing.
//!
//! # Invariants
//! - What [`Askable`] says of when, whom and how many to ask, no matter who gives a reason to. So it asks less often than
//!   a peer allows others to ask.
//! - A greater height is known by its certificate, or by the votes of validators with more than a third of the power.
//! - A vote or a pushed block of a later height is a reason to ask only if validators signed it. A vote for the next height
//!   shows that its signer has decided this one: once for each validator and height it ends the waits that have grown.
//! - Every [`LOOK_AROUND`] somebody is asked without a reason, whatever was answered meanwhile, unless blocks came.

use super::{
    Host, HostError, HostEvent, Machine, Moment,
    askable::{Askable, Brought, INTERVAL},
};
use crate::{
    agreement::replica::{Input, Message, Replica},
    ground::ids::{Height, Power, ValidatorAddress},
    ledger::block::{DecidedBlock, Tip},
};
use std::{collections::BTreeMap, time::Duration};

/// How often an idle peer asks another one whether it missed something.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// How long a hint of a greater height counts without a block to prove it.
const HINT_LIFETIME: Duration = Duration::from_secs(10);

/// What shows that others are ahead.
pub(super) enum Hint {
    /// A validator signed a vote for a height, so it says that it has decided the one before.
    Word(ValidatorAddress, Height),
    /// A certificate proves that a height is decided.
    Proof(Height),
}

/// The state of catching up.
#[derive(Debug)]
pub(super) struct CatchUp<P> {
    peers: Askable<P>,
    /// No hint's signature is checked before this moment.
    hint_at: Moment,
    /// When somebody was last asked without a reason, or blocks came.
    looked_at: Moment,
    best_known: Height,
    hinted_at: Moment,
    /// The greatest height that each validator says it has decided, while that is above this peer's own.
    words: BTreeMap<ValidatorAddress, Height>,
}

impl<P: Copy + Eq> CatchUp<P> {
    pub(super) const fn new(height: Height, now: Moment) -> Self {
        let peers = Askable::new(now);
        Self { peers, hint_at: now, looked_at: now, best_known: height, hinted_at: now, words: BTreeMap::new() }
    }

    /// When there is something to do if nothing happens before.
    pub(super) const fn due(&self) -> Option<Moment> {
        self.peers.due()
    }

    /// Whether the signature of a hint may be checked now.
    fn may_look_at_hint(&mut self, now: Moment) -> bool {
        let may = !self.peers.is_wanted() && self.hint_at <= now;
        if may {
            self.hint_at = now.plus(INTERVAL);
        }
        may
    }

    /// This peer executed a height, or one that served blocks which proved themselves says that it did. A greater height
    /// that nobody has repeated for a while was a lie, or that peer is gone.
    pub(super) fn heard_of(&mut self, height: Height, now: Moment) {
        if height >= self.best_known || !self.is_fresh(now) {
            self.best_known = height;
            self.hinted_at = now;
        }
    }

    /// A validator says that it has decided a height. Once those who say so of a height are not all liars, it is known.
    fn take_word(&mut self, (validator, height): (ValidatorAddress, Height), tip: &Tip, now: Moment) {
        self.words.retain(|other, said| *said > tip.height && tip.validators.by_address(other).is_some());
        if height > tip.height {
            let said = self.words.entry(validator).or_default();
            *said = height.max(*said);
        }
        let mut words: Vec<_> = self.words.iter().map(|(validator, said)| (*said, *validator)).collect();
        words.sort_unstable();
        let mut power = 0u64;
        let credible = words.into_iter().rev().find(|(_, validator)| {
            let more = tip.validators.by_address(validator).map_or(0, |validator| validator.power.get());
            power = power.saturating_add(more);
            tip.validators.is_credible(Power::new(power))
        });
        if let Some((height, _)) = credible {
            self.heard_of(height, now);
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

    /// Whether to ask although nobody gave a reason.
    fn is_time_to_look(&mut self, now: Moment) -> bool {
        let is_time = now.since(self.looked_at) >= LOOK_AROUND;
        if is_time {
            self.looked_at = now;
        }
        is_time
    }
}

impl<M: Machine> Host<M> {
    /// A peer is connected.
    pub fn on_connected(&mut self, peer: M::Peer) {
        self.catch_up.peers.add(peer, self.machine.now());
        self.ask_for_blocks();
    }

    /// A peer is gone.
    pub fn on_disconnected(&mut self, peer: M::Peer) {
        self.catch_up.peers.forget(peer, self.machine.now());
    }

    /// Asks somebody for the blocks after the tip, now or as soon as that may be.
    pub(super) fn ask_for_blocks(&mut self) {
        if let Some((peer, max_blocks)) = self.catch_up.peers.choose(self.machine.now()) {
            self.machine.request_blocks(peer, self.tip.height.next(), max_blocks);
        }
    }

    /// Asks for blocks if that is due.
    pub(super) fn ask_if_due(&mut self) {
        let now = self.machine.now();
        if self.catch_up.due().is_some_and(|at| at <= now) && self.catch_up.peers.on_due(now) {
            self.ask_for_blocks();
        }
    }

    /// Something of a height that has not been reached arrived. If it is genuine, that is a reason to ask.
    pub(super) fn on_hint(&mut self, judge: impl FnOnce(&Self) -> Option<Hint>) {
        let now = self.machine.now();
        let hint = if self.catch_up.may_look_at_hint(now) { judge(self) } else { None };
        match hint {
            None => return,
            Some(Hint::Word(validator, of)) => self.take_word(validator, of),
            Some(Hint::Proof(height)) => self.catch_up.heard_of(height, now),
        }
        self.ask_for_blocks();
    }

    fn take_word(&mut self, validator: ValidatorAddress, of: Height) {
        self.catch_up.take_word((validator, of.previous()), &self.tip, self.machine.now());
    }

    /// A genuine message of the next height arrived during this one: its signer has decided this one.
    pub(super) fn on_decided_elsewhere(&mut self, message: &Message) {
        let Some(sender) = message.sender() else { return };
        if self.decided_elsewhere.insert(sender) {
            self.take_word(sender, message.height());
            self.catch_up.peers.hurry(self.machine.now());
            self.ask_for_blocks();
        }
    }

    /// Asks now and then even without a reason: the last message of a busy period may have been lost.
    pub(super) fn look_for_blocks(&mut self) {
        let now = self.machine.now();
        if self.catch_up.is_time_to_look(now) || self.catch_up.is_behind(self.tip.height, now) {
            self.ask_for_blocks();
        }
    }

    /// A peer sent no blocks.
    pub fn on_no_blocks(&mut self, peer: M::Peer, reason: &str) {
        self.machine.report(HostEvent::NoBlocks { peer, reason });
        self.catch_up.peers.on_answer(peer, Brought::NoAnswer, self.machine.now());
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
                self.catch_up.peers.forget(peer, self.machine.now());
                break;
            }
        }
        let now = self.machine.now();
        let has_brought = self.tip.height > before || self.has_last_of(blocks);
        let brought = if has_brought { Brought::Blocks(blocks.len()) } else { Brought::Nothing };
        self.catch_up.peers.on_answer(peer, brought, now);
        if self.tip.height > before {
            self.machine.report(HostEvent::CaughtUp { peer, from: before, to: self.tip.height });
            self.catch_up.looked_at = now;
            self.catch_up.heard_of(tip, now);
            if tip > self.tip.height {
                self.ask_for_blocks();
            }
        }
        Ok(())
    }

    /// Whether the last of some blocks is one of this ledger: another peer was quicker to bring it.
    fn has_last_of(&self, blocks: &[DecidedBlock]) -> bool {
        let last = blocks.last().map(|decided| decided.block.header());
        let own = last.and_then(|last| self.machine.header(last.height).ok().flatten());
        own.is_some() && own.as_ref() == last
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
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        ground::{
            crypto::SigningKey,
            ids::{AccountId, BlockHash, NetworkId, StateRoot, Timestamp},
        },
        rules::validator::{Validator, ValidatorSet},
    };

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
    fn a_greater_height_is_known_once_those_who_claim_it_are_not_all_liars() {
        let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public_key();
        let validator = |seed| Validator::new(key(seed), Power::new(1), AccountId::from_bytes([0; 32]));
        let validators = ValidatorSet::try_from((0..4).map(validator).collect::<Vec<_>>()).unwrap();
        let mut tip = Tip {
            network: NetworkId::from_bytes([1; 32]),
            height: Height::new(3),
            hash: BlockHash::from_bytes([2; 32]),
            time: Timestamp::new(1),
            state_root: StateRoot::from_bytes([0; 32]),
            next_validators: validators.clone(),
            validators,
        };
        let now = Moment::default();
        let mut catch_up = CatchUp::<u8>::new(tip.height, now);
        let mut says = |seed: u8, height: u64, tip: &Tip| {
            catch_up.take_word((key(seed).validator_address(), Height::new(height)), tip, now);
            catch_up.best_known(now)
        };
        let known = |height| Some(Height::new(height));
        assert_eq!(says(0, u64::MAX, &tip), known(3), "one of four may lie");
        assert_eq!(says(0, u64::MAX, &tip), known(3), "however often");
        assert_eq!(says(9, u64::MAX, &tip), known(3), "and strangers do not count");
        assert_eq!(says(1, 57, &tip), known(57), "the height that one of them must have reached");
        assert_eq!(says(2, 60, &tip), known(60));
        tip.height = Height::new(61);
        assert_eq!(says(3, 61, &tip), known(60), "what was said of heights that are here is forgotten");
        assert_eq!(catch_up.words.len(), 1);
    }

    #[test]
    fn one_signature_of_a_hint_is_checked_an_interval() {
        let now = Moment::default();
        let mut catch_up = CatchUp::<u8>::new(Height::ZERO, now);
        assert!(catch_up.may_look_at_hint(now) && !catch_up.may_look_at_hint(now));
        assert!(catch_up.may_look_at_hint(now.plus(INTERVAL)));
    }

    #[test]
    fn answers_without_blocks_do_not_put_off_looking_around() {
        let (mut now, mut looks) = (Moment::default(), 0);
        let mut catch_up = CatchUp::new(Height::ZERO, now);
        catch_up.peers.add(1, now);
        for _ in 0..60 {
            now = now.plus(Duration::from_secs(1));
            looks += u32::from(catch_up.is_time_to_look(now));
            catch_up.peers.on_answer(1, Brought::Nothing, now);
        }
        assert_eq!(looks, 6);
    }
}
