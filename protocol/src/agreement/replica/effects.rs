//! Answers the core's effects: cryptography at once, everything else as an [`Output`], in the order of the requests.
//!
//! No effect ever fails: a signature that cannot be checked counts as wrong, and a message that must not be signed
//! stays unsigned and is not published. The core would swallow an error and lose its state.

use super::{
    Output, Timer, Warning,
    evidence::{DoubleSign, SignedProposalBody},
    last_signed::{LastSigned, SignedKind},
    wire::{self, LogEntry, LogRecord, LoggedBlock, Message, SignedProposal, SignedVote, TimerKind, round_number},
};
use crate::{
    agreement::bft::{self, Bft, ProposalBody, Timeouts},
    ground::{
        crypto::{self, Domain, SigningKey},
        ids::{BlockHash, Height, NetworkId, PublicKey, Signature, ValidatorAddress},
    },
    ledger::block::{Block, DecidedBlock, VoteKind},
    rules::validator::ValidatorSet,
};
use arc_malachitebft_core_consensus::{
    ConsensusMsg, Effect, Input as CoreInput, LivenessMsg, MisbehaviorEvidence, ProposedValue, Resumable as _, Resume,
    SignedConsensusMsg,
};
use arc_malachitebft_core_types::{
    CertificateError, CommitSignature, Context as _, NilOrVal, RoundCertificate, RoundCertificateType, SignedMessage,
    ThresholdParam, ThresholdParams, Timeout, TimeoutKind, Timeouts as _,
};
use std::collections::{BTreeMap, BTreeSet};

/// Replaces a withheld signature. It is not a valid signature of any honest key.
const WITHHELD: Signature = Signature::from_bytes([0; 64]);
/// Maximum signatures of one height remembered as verified: every honest message of some dozens of rounds of the
/// largest set.
const VERIFIED_PER_HEIGHT: usize = 16 * 1024;

/// What supports a block besides its proposer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// Nothing: this peer's clock judges its time.
    Proposer,
    /// Prevotes of more than two thirds. The honest ones among them found its time right when it was proposed.
    Polka,
    /// A commit certificate.
    Commit,
}

/// A block whose verdict the host still owes.
#[derive(Clone)]
pub(super) struct PendingCheck {
    pub(super) block: Block,
    pub(super) round: u32,
    pub(super) pol_round: Option<u32>,
    pub(super) proposer: ValidatorAddress,
    pub(super) support: Support,
}

/// What is known about the current height. It is discarded with the height.
#[derive(Default)]
pub(super) struct HeightNotes {
    pub(super) height: Height,
    pub(super) timeouts: Timeouts,
    /// Timers that are scheduled and have neither been cancelled nor elapsed.
    pub(super) armed: BTreeSet<Timer>,
    /// Blocks that the host has not been asked about yet.
    pub(super) unchecked: Vec<PendingCheck>,
    /// Blocks that the host was asked about, by hash and by whether votes support them.
    pub(super) checks: BTreeMap<(BlockHash, bool), PendingCheck>,
    /// Blocks refused, perhaps only for their time: the host is asked again if votes support them.
    pub(super) refused: BTreeMap<BlockHash, PendingCheck>,
    /// Blocks refused for a reason other than their time.
    pub(super) broken: BTreeSet<BlockHash>,
    /// The verdicts given.
    verdicts: BTreeMap<BlockHash, bool>,
    /// Blocks found valid. What is decided is one of these, in the very bytes that were checked.
    valid: BTreeMap<BlockHash, Block>,
    /// Own blocks, by the round they were built for.
    pub(super) built: BTreeMap<u32, Block>,
    /// Rounds for which the core waits for a block.
    pub(super) wanted: Vec<u32>,
    /// The block whose certificate is being checked.
    pub(super) synced: Option<Block>,
    /// Blocks that are in the log in full.
    pub(super) logged: BTreeSet<BlockHash>,
    /// Whether the height is decided and final.
    pub(super) finalized: bool,
}

/// Answers effects and collects outputs.
pub(super) struct Effects {
    network: NetworkId,
    key: Option<SigningKey>,
    address: ValidatorAddress,
    pub(super) last_signed: LastSigned,
    pub(super) notes: HeightNotes,
    /// Signatures checked, which a test counts.
    #[cfg(test)]
    pub(super) verified_count: u64,
    verified: BTreeMap<Height, BTreeSet<[u8; 32]>>,
    /// During replay, only what is newly signed is logged.
    pub(super) replaying: bool,
    newly_signed: BTreeSet<Signature>,
    /// Whether the last-signed record has changed since the host was given it.
    last_signed_changed: bool,
    /// A block that was decided although this replica never found it valid.
    pub(super) unknown_decision: Option<BlockHash>,
    pub(super) outputs: Vec<Output>,
}

impl Effects {
    pub(super) fn new(
        network: NetworkId,
        key: Option<SigningKey>,
        address: ValidatorAddress,
        last_signed: LastSigned,
    ) -> Self {
        Self {
            network,
            key,
            address,
            last_signed,
            notes: HeightNotes::default(),
            #[cfg(test)]
            verified_count: 0,
            verified: BTreeMap::new(),
            replaying: false,
            newly_signed: BTreeSet::new(),
            last_signed_changed: false,
            unknown_decision: None,
            outputs: Vec::new(),
        }
    }

    pub(super) fn start_height(&mut self, height: Height, timeouts: Timeouts) {
        self.notes = HeightNotes { height, timeouts, ..HeightNotes::default() };
        self.verified = self.verified.split_off(&height);
        self.newly_signed.clear();
    }

    /// Answers one effect; the core resumes with the returned value.
    #[expect(clippy::too_many_lines, reason = "an arm for each effect that the core has, so that a new one is noticed")]
    pub(super) fn answer(&mut self, effect: Effect<Bft>) -> Resume<Bft> {
        match effect {
            Effect::CancelAllTimeouts(resume) => {
                self.notes.armed.clear();
                self.outputs.push(Output::CancelAll);
                resume.resume_with(())
            }
            Effect::CancelTimeout(timeout, resume) => {
                if let Some(timer) = self.timer(timeout) {
                    self.notes.armed.remove(&timer);
                    self.outputs.push(Output::Cancel(timer));
                }
                resume.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, resume) => {
                if let Some(timer) = self.timer(timeout) {
                    self.notes.armed.insert(timer);
                    self.outputs.push(Output::Schedule(timer, self.notes.timeouts.duration_for(timeout)));
                }
                resume.resume_with(())
            }
            Effect::StartRound(height, round, proposer, _role, resume) => {
                self.outputs.push(Output::StartedRound { height, round: round_number(round), proposer });
                resume.resume_with(())
            }
            Effect::GetValue(_height, round, _timeout, resume) => {
                self.notes.wanted.push(round_number(round));
                resume.resume_with(())
            }
            // The proposal that is published along with it carries the block.
            Effect::RestreamProposal(_, _, _, _, _, resume) => resume.resume_with(()),
            Effect::WalAppend(height, input, resume) => {
                self.log(height, input);
                resume.resume_with(())
            }
            Effect::PublishConsensusMsg(message, resume) => {
                match message {
                    SignedConsensusMsg::Vote(vote) if vote.signature == WITHHELD => {}
                    SignedConsensusMsg::Vote(vote) => {
                        self.publish(Message::Vote(SignedVote::from_core(&vote, self.network)));
                    }
                    SignedConsensusMsg::Proposal(proposal) if proposal.signature == WITHHELD => {}
                    SignedConsensusMsg::Proposal(proposal) => {
                        self.publish(Message::Proposal(SignedProposal::from_core(&proposal)));
                    }
                }
                resume.resume_with(())
            }
            Effect::PublishLivenessMsg(message, resume) => {
                match message {
                    LivenessMsg::Vote(vote) => self.republish_vote(&vote),
                    LivenessMsg::PolkaCertificate(polka) => {
                        self.publish(Message::Polka(wire::PolkaCertificate::from_core(&polka)));
                    }
                    LivenessMsg::SkipRoundCertificate(certificate) => {
                        self.publish(Message::Round(wire::RoundCertificate::from_core(&certificate)));
                    }
                }
                resume.resume_with(())
            }
            Effect::RepublishVote(vote, resume) => {
                self.republish_vote(&vote);
                resume.resume_with(())
            }
            Effect::RepublishRoundCertificate(certificate, resume) => {
                let message = Message::Round(wire::RoundCertificate::from_core(&certificate));
                self.outputs.push(Output::Republish(message));
                resume.resume_with(())
            }
            Effect::CertVerifiedSyncValue(response, proposer, resume) => {
                if let Some(block) = self.notes.synced.take() {
                    let round = round_number(response.certificate.round);
                    self.ask_for_check(PendingCheck {
                        block,
                        round,
                        pol_round: None,
                        proposer,
                        support: Support::Commit,
                    });
                }
                resume.resume_with(())
            }
            Effect::CertRejectedSyncValue(_peer, height, error, resume) => {
                self.notes.synced = None;
                self.outputs.push(Output::SyncRejected { height, reason: error.to_string() });
                resume.resume_with(())
            }
            Effect::Decide(certificate, _extensions, resume) => {
                match self.notes.valid.get(&certificate.value_id) {
                    Some(block) => self.outputs.push(Output::Decided(DecidedBlock {
                        block: block.clone(),
                        certificate: wire::commit_certificate(&certificate),
                    })),
                    None => self.unknown_decision = Some(certificate.value_id),
                }
                resume.resume_with(())
            }
            Effect::Finalize(certificate, _extensions, evidence, resume) => {
                self.notes.finalized = true;
                let evidence = self.double_signs(&evidence);
                self.outputs.push(Output::Finalized { height: certificate.height, evidence });
                resume.resume_with(())
            }
            Effect::SignVote(vote, resume) => {
                let body = vote.body(self.network);
                let signature = self.sign(body.kind.into(), body.height, body.round, &body.signing_bytes());
                resume.resume_with(SignedMessage::new(vote, signature))
            }
            Effect::SignProposal(proposal, resume) => {
                let body = proposal.body(self.network);
                let signature = self.sign(SignedKind::Proposal, body.height, body.round, &body.signing_bytes());
                resume.resume_with(SignedMessage::new(proposal, signature))
            }
            Effect::VerifySignature(signed, key, resume) => {
                let valid = match &signed.message {
                    ConsensusMsg::Vote(vote) => self.verifies_vote(vote, &key, &signed.signature),
                    ConsensusMsg::Proposal(proposal) => {
                        self.verifies_proposal(&proposal.body(self.network), &key, &signed.signature)
                    }
                };
                resume.resume_with(valid)
            }
            Effect::VerifyCommitCertificate(certificate, validators, thresholds, resume) => {
                let votes = certificate.commit_signatures.iter().map(|one| {
                    let value = NilOrVal::Val(certificate.value_id);
                    let vote = Bft.new_precommit(certificate.height, certificate.round, value, one.address);
                    SignedMessage::new(vote, one.signature)
                });
                resume.resume_with(self.verifies_votes(&validators, thresholds.quorum, votes))
            }
            Effect::VerifyExtendedCommitCertificate(certificate, validators, thresholds, _policy, resume) => {
                let votes = certificate.commit_signatures.iter().map(|one| {
                    let value = NilOrVal::Val(certificate.value_id);
                    let vote = Bft.new_precommit(certificate.height, certificate.round, value, one.address);
                    SignedMessage::new(vote, one.signature)
                });
                resume.resume_with(self.verifies_votes(&validators, thresholds.quorum, votes))
            }
            Effect::VerifyPolkaCertificate(certificate, validators, thresholds, resume) => {
                resume.resume_with(self.verifies_votes(&validators, thresholds.quorum, certificate.votes(&Bft)))
            }
            Effect::VerifyRoundCertificate(certificate, validators, thresholds, resume) => {
                resume.resume_with(self.verifies_round_certificate(&certificate, &validators, thresholds))
            }
            // Vote extensions are off at every height, so these two are never requested.
            Effect::ExtendVote(_, _, _, _, resume) => resume.resume_with(None),
            Effect::VerifyVoteExtension(_, _, _, _, _, _, resume) => resume.resume_with(Ok(())),
        }
    }

    fn publish(&mut self, message: Message) {
        self.hand_out_last_signed();
        self.outputs.push(Output::Publish(message));
    }

    /// The record follows the log entry of what was signed. Were it durable first, and the entry lost, this key could
    /// sign neither the same again, which it no longer knows, nor anything else in that round: if that befell a third
    /// of the power at once, as in a power failure, the height would never end.
    fn hand_out_last_signed(&mut self) {
        if std::mem::take(&mut self.last_signed_changed) {
            self.outputs.push(Output::Signed(self.last_signed.clone()));
        }
    }

    /// Takes over from the log what this key signed, in case the log outlived the record.
    pub(super) fn restore_last_signed(&mut self, inputs: &[CoreInput<Bft>]) {
        let before = self.last_signed.clone();
        for input in inputs {
            // A refusal means that the record knows as much or more.
            let _ = match input {
                CoreInput::Vote(vote) if vote.message.validator == self.address => {
                    let body = vote.message.body(self.network);
                    self.last_signed.permits(body.kind.into(), body.height, body.round, &body.signing_bytes())
                }
                CoreInput::Proposal(proposal) if proposal.message.proposer == self.address => {
                    let body = proposal.message.body(self.network);
                    self.last_signed.permits(SignedKind::Proposal, body.height, body.round, &body.signing_bytes())
                }
                _ => true,
            };
        }
        self.last_signed_changed = self.last_signed != before;
    }

    fn republish_vote(&mut self, vote: &SignedMessage<Bft, bft::Vote>) {
        self.hand_out_last_signed();
        if vote.signature != WITHHELD {
            self.outputs.push(Output::Republish(Message::Vote(SignedVote::from_core(vote, self.network))));
        }
    }

    fn double_signs(&self, evidence: &MisbehaviorEvidence<Bft>) -> Vec<DoubleSign> {
        let vote = |vote| SignedVote::from_core(vote, self.network);
        let votes = evidence.votes.iter().flat_map(|(_, pairs)| pairs);
        let votes = votes.map(|(one, two)| DoubleSign::Votes(vote(one), vote(two)));
        let proposal = |signed: &SignedMessage<Bft, bft::Proposal>| SignedProposalBody {
            body: signed.message.body(self.network),
            signature: signed.signature,
        };
        let proposals = evidence.proposals.iter().flat_map(|(_, pairs)| pairs);
        let proposals = proposals.map(|(one, two)| DoubleSign::Proposals(proposal(one), proposal(two)));
        votes.chain(proposals).collect()
    }

    fn timer(&self, timeout: Timeout) -> Option<Timer> {
        let kind = match timeout.kind {
            TimeoutKind::Propose => TimerKind::Propose,
            TimeoutKind::Prevote => TimerKind::Prevote,
            TimeoutKind::Precommit => TimerKind::Precommit,
            TimeoutKind::Rebroadcast => TimerKind::Rebroadcast,
            // Heights have no target time, so the core never waits for one.
            TimeoutKind::FinalizeHeight(_) => return None,
        };
        Some(Timer { height: self.notes.height, kind, round: round_number(timeout.round) })
    }

    fn sign(&mut self, kind: SignedKind, height: Height, round: u32, signing_bytes: &[u8]) -> Signature {
        let Some(key) = &self.key else { return WITHHELD };
        if !self.last_signed.permits(kind, height, round, signing_bytes) {
            self.outputs.push(Output::Warning(Warning::WithheldSignature { kind, height, round }));
            return WITHHELD;
        }
        let domain = kind.domain();
        let signature = key.sign(domain, signing_bytes);
        let digest = digest(domain, signing_bytes, &key.public_key(), &signature);
        self.remember(height, digest);
        if self.replaying {
            self.newly_signed.insert(signature);
        }
        self.last_signed_changed = true;
        signature
    }

    fn remember(&mut self, height: Height, digest: [u8; 32]) {
        let verified = self.verified.entry(height).or_default();
        if verified.len() < VERIFIED_PER_HEIGHT {
            verified.insert(digest);
        }
    }

    fn verifies(
        &mut self,
        height: Height,
        domain: Domain,
        bytes: &[u8],
        key: &PublicKey,
        signature: &Signature,
    ) -> bool {
        let digest = digest(domain, bytes, key, signature);
        if self.verified.get(&height).is_some_and(|verified| verified.contains(&digest)) {
            return true;
        }
        #[cfg(test)]
        {
            self.verified_count = self.verified_count.saturating_add(1);
        }
        let valid = key.verifies(domain, bytes, signature);
        if valid {
            self.remember(height, digest);
        }
        valid
    }

    /// Whether the key signed the vote. A signature that was verified once is not checked again.
    pub(super) fn verifies_vote(&mut self, vote: &bft::Vote, key: &PublicKey, signature: &Signature) -> bool {
        let bytes = vote.body(self.network).signing_bytes();
        self.verifies(vote.height, Domain::Vote, &bytes, key, signature)
    }

    /// Whether the key signed the proposal.
    pub(super) fn verifies_proposal(
        &mut self,
        proposal: &ProposalBody,
        key: &PublicKey,
        signature: &Signature,
    ) -> bool {
        self.verifies(proposal.height, Domain::Proposal, &proposal.signing_bytes(), key, signature)
    }

    /// Whether the votes are signed, each by a different validator of the set, and have enough power.
    #[allow(clippy::result_large_err, reason = "the core's own error, handed to it unchanged")]
    pub(super) fn verifies_votes(
        &mut self,
        validators: &ValidatorSet,
        needed: ThresholdParam,
        votes: impl Iterator<Item = SignedMessage<Bft, bft::Vote>>,
    ) -> Result<(), CertificateError<Bft>> {
        let mut seen = BTreeSet::new();
        let mut signed = 0u64;
        for vote in votes {
            let address = vote.message.validator;
            if !seen.insert(address) {
                return Err(CertificateError::DuplicateVote(address));
            }
            let validator = validators.by_address(&address).ok_or(CertificateError::UnknownValidator(address))?;
            if !self.verifies_vote(&vote.message, &validator.key, &vote.signature) {
                let signature = CommitSignature::new(address, vote.signature);
                return Err(CertificateError::InvalidCommitSignature(signature));
            }
            signed = signed.saturating_add(validator.power.get());
        }
        let total = validators.total_power().get();
        if needed.is_met(signed, total) {
            Ok(())
        } else {
            Err(CertificateError::NotEnoughVotingPower { signed, total, expected: needed.min_expected(total) })
        }
    }

    /// Whether the votes show what the certificate claims.
    #[allow(clippy::result_large_err, reason = "the core's own error, handed to it unchanged")]
    pub(super) fn verifies_round_certificate(
        &mut self,
        certificate: &RoundCertificate<Bft>,
        validators: &ValidatorSet,
        thresholds: ThresholdParams,
    ) -> Result<(), CertificateError<Bft>> {
        let needed = match certificate.cert_type {
            RoundCertificateType::Skip => thresholds.honest,
            RoundCertificateType::Precommit => {
                let prevote = certificate.votes(&Bft).find(|vote| vote.message.kind == VoteKind::Prevote);
                if let Some(vote) = prevote {
                    return Err(CertificateError::InvalidVoteType(vote.message.validator));
                }
                thresholds.quorum
            }
        };
        self.verifies_votes(validators, needed, certificate.votes(&Bft))
    }

    /// Asks the host, unless it has just been asked the same.
    pub(super) fn ask_for_check(&mut self, check: PendingCheck) {
        let block = check.block.clone();
        let certified = check.support != Support::Proposer;
        let asked = self.notes.checks.get(&(block.hash(), certified));
        if asked.is_some_and(|asked| asked.support == Support::Commit) && check.support != Support::Commit {
            return;
        }
        if self.notes.checks.insert((block.hash(), certified), check).is_none() {
            self.outputs.push(Output::Check { height: self.notes.height, block, certified });
        }
    }

    /// Logs an input of the core, and records what this side needs to know of it: the core logs exactly what it
    /// accepts.
    fn log(&mut self, height: Height, input: CoreInput<Bft>) {
        match input {
            CoreInput::Vote(vote) => {
                let fresh = self.newly_signed.contains(&vote.signature);
                self.append(height, fresh, LogRecord::Vote(SignedVote::from_core(&vote, self.network)));
            }
            CoreInput::Proposal(proposal) => self.log_proposal(height, &proposal),
            CoreInput::PolkaCertificate(polka) => {
                self.append(height, false, LogRecord::Polka(wire::PolkaCertificate::from_core(&polka)));
            }
            CoreInput::TimeoutElapsed(timeout) => {
                if let Some(timer) = self.timer(timeout) {
                    self.append(height, false, LogRecord::Timeout { kind: timer.kind, round: timer.round });
                }
            }
            CoreInput::ProposedValue(value, _origin) => self.log_verdict(height, &value),
            // The core logs none of these.
            CoreInput::StartHeight(..)
            | CoreInput::RoundCertificate(_)
            | CoreInput::Propose(_)
            | CoreInput::SyncValueResponse(_) => {}
        }
    }

    fn log_proposal(&mut self, height: Height, proposal: &SignedMessage<Bft, bft::Proposal>) {
        let fresh = self.newly_signed.contains(&proposal.signature);
        let signed = SignedProposal::from_core(proposal);
        let block = self.logged_block(&signed.block);
        let SignedProposal { round, pol_round, proposer, signature, block: whole } = signed;
        self.append(height, fresh, LogRecord::Proposal { round, pol_round, proposer, block, signature });
        if !self.notes.verdicts.contains_key(&whole.hash()) {
            let support = Support::Proposer;
            self.notes.unchecked.push(PendingCheck { block: whole, round, pol_round, proposer, support });
        }
    }

    fn log_verdict(&mut self, height: Height, value: &ProposedValue<Bft>) {
        let hash = value.value.hash();
        let valid = value.validity.is_valid();
        if valid {
            self.notes.valid.insert(hash, value.value.clone());
            self.notes.refused.remove(&hash);
        } else if !self.notes.broken.contains(&hash) {
            let check = PendingCheck {
                block: value.value.clone(),
                round: round_number(value.round),
                pol_round: value.valid_round.as_u32(),
                proposer: value.proposer,
                support: Support::Proposer,
            };
            self.notes.refused.insert(hash, check);
        }
        // As in the core, a block that was found valid stays valid.
        let verdict = self.notes.verdicts.entry(hash).or_insert(valid);
        *verdict |= valid;
        let round = round_number(value.round);
        if self.replaying && value.proposer == self.address && valid {
            self.notes.built.insert(round, value.value.clone());
        }
        let block = self.logged_block(&value.value);
        let pol_round = value.valid_round.as_u32();
        self.append(height, false, LogRecord::Verdict { round, pol_round, proposer: value.proposer, block, valid });
    }

    /// The whole block the first time, its hash afterwards: a block is written once per height.
    fn logged_block(&mut self, block: &Block) -> LoggedBlock {
        if self.notes.logged.insert(block.hash()) {
            LoggedBlock::Whole(block.clone())
        } else {
            LoggedBlock::Earlier(block.hash())
        }
    }

    fn append(&mut self, height: Height, newly_signed: bool, record: LogRecord) {
        if !self.replaying || newly_signed {
            self.outputs.push(Output::Log(LogEntry { height, record }));
            self.hand_out_last_signed();
        }
    }

    /// A block of this height that was found valid.
    pub(super) fn valid_block(&self, hash: &BlockHash) -> Option<Block> {
        self.notes.valid.get(hash).cloned()
    }

    /// Asks the host about the blocks that have no verdict yet, and again about refused ones that a polka supports:
    /// then this peer's clock no longer judges their time. Without that, a validator that received a block late, by its
    /// clock, could keep refusing the only block that another validator, locked on it, will ever vote for.
    pub(super) fn ask_for_checks(&mut self, has_polka: impl Fn(&BlockHash) -> bool) {
        let unchecked = std::mem::take(&mut self.notes.unchecked);
        if self.notes.finalized {
            return;
        }
        for check in unchecked {
            let hash = check.block.hash();
            if !self.notes.verdicts.contains_key(&hash) {
                let support = if has_polka(&hash) { Support::Polka } else { Support::Proposer };
                self.ask_for_check(PendingCheck { support, ..check });
            }
        }
        let supported: Vec<BlockHash> = self.notes.refused.keys().filter(|hash| has_polka(hash)).copied().collect();
        for hash in supported {
            if let Some(check) = self.notes.refused.remove(&hash) {
                self.ask_for_check(PendingCheck { support: Support::Polka, ..check });
            }
        }
    }
}

fn digest(domain: Domain, bytes: &[u8], key: &PublicKey, signature: &Signature) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&crypto::tagged(domain, bytes)).update(signature.as_bytes()).update(key.as_bytes());
    *hasher.finalize().as_bytes()
}
