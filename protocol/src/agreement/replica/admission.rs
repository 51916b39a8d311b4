//! What is let in: each message is judged by its height, round, sender, turn and signature before the core sees it.

use super::{Admission, Head, Ignored, Message, Rejected, Replica, SignedVote};
use crate::{
    agreement::bft::{Bft, ProposalBody},
    ground::ids::{Signature, ValidatorAddress},
    rules::validator::ValidatorSet,
};
use arc_malachitebft_core_types::Round;
use std::collections::BTreeSet;

/// Rounds ahead of the current one from which messages are accepted: the core's own bound, applied before signatures.
const ROUNDS_AHEAD: u32 = 10;
/// Messages of one validator kept for the next height: two votes and a proposal for each accepted round, with room for
/// evidence of signing twice.
pub const EARLY_MESSAGES: usize = 48;
/// Proposals of one validator kept for the next height, each with its block: two prove signing twice.
const EARLY_PROPOSALS: usize = 2;

/// What is kept of one sender for the next height.
#[derive(Default)]
pub(super) struct Early {
    pub(super) messages: BTreeSet<Vec<u8>>,
    proposals: usize,
}

impl Replica {
    /// Judges a message by its head: its network, height, round, sender, turn and signature. Verified signatures are
    /// remembered, so that neither [`Replica::admit`] nor [`Replica::step`] checks them again. A certificate's signatures are in
    /// its body.
    pub fn admit_head(&mut self, head: &Head) -> Admission {
        self.judge_head(head).err().unwrap_or(Admission::Accept)
    }

    /// Judges a message: its head as [`Replica::admit_head`] does, and the signatures of a certificate.
    pub fn admit(&mut self, message: &Message) -> Admission {
        let judged = self.judge_head(&message.head()).and_then(|()| self.judge_certificate(message));
        judged.err().unwrap_or(Admission::Accept)
    }

    /// Whether a message that is [`Ignored::Ahead`] is a vote that a known validator really signed. That is a reason to
    /// ask others for blocks; an unsigned claim is not. It costs a signature check.
    pub fn is_genuine_hint(&self, head: &Head) -> bool {
        let Head::Vote(vote) = head else { return false };
        let mut sets = self.validators.iter().chain([&self.next_validators]);
        let signer = sets.find_map(|set| set.by_address(&vote.body.validator));
        vote.body.network == self.network && signer.is_some_and(|signer| vote.is_signed_by(&signer.key))
    }

    fn judge_head(&mut self, head: &Head) -> Result<(), Admission> {
        let height = self.height();
        let early = head.height() == height.next();
        if head.height() < height || (head.height() == height && self.is_finalized()) {
            return Err(Admission::Ignore(Ignored::Stale));
        }
        if head.height() > height.next() {
            return Err(Admission::Ignore(Ignored::Ahead));
        }
        let round = if early { 0 } else { self.round().unwrap_or(0) };
        match head {
            Head::Vote(vote) => self.judge_vote(vote, round, early),
            Head::Proposal { body, signature } => self.judge_proposal(body, signature, round, early),
            // The core accepts certificates of the current height only.
            Head::Polka { .. } | Head::Round { .. } if early => Err(Admission::Ignore(Ignored::Ahead)),
            Head::Round { round: of, .. } if *of < round => Err(Admission::Ignore(Ignored::Stale)),
            Head::Polka { .. } | Head::Round { .. } => Ok(()),
        }
    }

    /// Judges the votes of a certificate of the current height.
    fn judge_certificate(&mut self, message: &Message) -> Result<(), Admission> {
        let validators = self.validators_of(false);
        let thresholds = self.core.params.threshold_params;
        let verified = match message {
            Message::Vote(_) | Message::Proposal(_) => return Ok(()),
            Message::Polka(polka) => {
                self.effects.verifies_votes(&validators, thresholds.quorum, polka.to_core().votes(&Bft))
            }
            Message::Round(certificate) => {
                self.effects.verifies_round_certificate(&certificate.to_core(), &validators, thresholds)
            }
        };
        verified.map_err(|_| Admission::Reject(Rejected::Signature))
    }

    /// The validators of the current height, or of the next one.
    fn validators_of(&self, early: bool) -> ValidatorSet {
        match &self.validators {
            Some(validators) if !early => validators.clone(),
            _ => self.next_validators.clone(),
        }
    }

    fn judge_vote(&mut self, vote: &SignedVote, round: u32, early: bool) -> Result<(), Admission> {
        if vote.body.network != self.network {
            return Err(Admission::Reject(Rejected::Network));
        }
        if vote.body.round > round.saturating_add(ROUNDS_AHEAD) {
            return Err(Admission::Ignore(Ignored::RoundAhead));
        }
        let validators = self.validators_of(early);
        let validator = validators.by_address(&vote.body.validator).ok_or(Admission::Reject(Rejected::NotValidator))?;
        let vote = vote.to_core();
        if early {
            self.judge_early(&validator.address, false)?;
        } else if self.core.driver.votes().is_saturated_conflict(&vote) {
            return Err(Admission::Ignore(Ignored::Enough));
        }
        if self.effects.verifies_vote(&vote.message, &validator.key, &vote.signature) {
            Ok(())
        } else {
            Err(Admission::Reject(Rejected::Signature))
        }
    }

    fn judge_proposal(
        &mut self,
        proposal: &ProposalBody,
        signature: &Signature,
        round: u32,
        early: bool,
    ) -> Result<(), Admission> {
        if proposal.network != self.network {
            return Err(Admission::Reject(Rejected::Network));
        }
        if proposal.round > round.saturating_add(ROUNDS_AHEAD) {
            return Err(Admission::Ignore(Ignored::RoundAhead));
        }
        if proposal.pol_round.is_some_and(|polka| polka >= proposal.round) {
            return Err(Admission::Reject(Rejected::PolkaRound));
        }
        let validators = self.validators_of(early);
        let proposer = validators.proposer(proposal.height, proposal.round);
        if proposer.address != proposal.proposer {
            return Err(Admission::Reject(Rejected::NotProposer));
        }
        if early {
            self.judge_early(&proposer.address, true)?;
        } else if self.core.exceeds_per_round_cap(proposal.height, Round::new(proposal.round), &proposal.block) {
            return Err(Admission::Ignore(Ignored::Enough));
        }
        if self.effects.verifies_proposal(proposal, &proposer.key, signature) {
            Ok(())
        } else {
            Err(Admission::Reject(Rejected::Signature))
        }
    }

    fn judge_early(&self, sender: &ValidatorAddress, is_proposal: bool) -> Result<(), Admission> {
        let full = self.early.get(sender).is_some_and(|early| {
            early.messages.len() >= EARLY_MESSAGES || (is_proposal && early.proposals >= EARLY_PROPOSALS)
        });
        if full { Err(Admission::Ignore(Ignored::Enough)) } else { Ok(()) }
    }

    /// The core keeps early messages in a queue that does not check for repetitions.
    pub(super) fn is_new_if_early(&mut self, message: &Message) -> bool {
        let Some(sender) = message.sender().filter(|_| message.height() > self.height()) else { return true };
        let early = self.early.entry(sender).or_default();
        let bytes = match message {
            Message::Vote(vote) => vote.body.signing_bytes(),
            Message::Proposal(proposal) => proposal.body().signing_bytes(),
            Message::Polka(_) | Message::Round(_) => return true,
        };
        let new = early.messages.insert(bytes);
        if new && matches!(message, Message::Proposal(_)) {
            early.proposals = early.proposals.saturating_add(1);
        }
        new
    }
}
