//! One peer's part in agreement: a synchronous state machine around Malachite's Tendermint core.
//!
//! [`Replica::step`] takes an [`Input`] and returns [`Output`]s; [`Replica::recover`] does the same for the consensus
//! log of a crashed process. Signatures are made and checked inline. The replica has no clock, no disk and no network:
//! the *host* ([`crate::agreement::host`]) performs the outputs and feeds the results back.
//!
//! # What a host does
//!
//! ```text
//! boot      log empty for tip.height + 1:  Replica::new(key, last_signed, &tip), then Start when there is work
//!           otherwise:                     Replica::recover(key, last_signed, tip, timeouts, &log) -> outputs
//! message   Head::read and admit_head, which refuse most of what is useless before Message::decode reads all of it,
//!           then admit -> accept / ignore / reject for the relay, then step(Input::Message).
//!           An accepted one of height().next() while is_finalized() means that others are at work: Start
//! step      perform EVERY output of a step, in order, before the next input:
//!   Log, Signed        append to the log / set the last-signed record; neither has to be durable yet
//!   Publish, Republish, StartedRound, Decided
//!                      first make all that durable, if dirty: the log (write, fsync), THEN the record (write,
//!                      fsync); then do it
//!   Schedule, Cancel, CancelAll
//!                      timers, keyed by `Timer`; on expiry Input::Timeout(timer). Stale ones are recognised
//!   Build              build a block on the tip (Block::following), answer Input::Built; late is better than never
//!   Check              Block::check against the tip, with the clock unless `certified`; answer Input::Checked
//!   Decided            commit the block and its certificate, execute
//!   Finalized          then, with the new tip: truncate the log, Input::Start (at once, or once there is work)
//! catch-up  a decided block for height() while the height runs: Input::Synced. Blocks further on: commit them
//!           without the replica, and Start it behind them. SyncRejected names a bad certificate or block. A message
//!           that is Ignored::Ahead is a reason to ask for blocks if is_genuine_hint says so
//! ```
//!
//! If a log or a last-signed record cannot be written, or a [`ReplicaError`] occurs, the process must end: a validator
//! that goes on without them may sign twice. Truncate the log at `Start`, not at `Finalized`: outputs of the old height
//! may follow `Finalized` in the same step. The log may be lost (though never on purpose); the last-signed record may
//! not.
//!
//! `Republish` sends again what was sent before, to peers that missed it. A gossip layer that treats equal bytes as one
//! message would drop it: give each sending its own identity.
//!
//! # What it never does
//!
//! It never signs two different messages for one height, round and kind, nor one of an earlier height or round
//! ([`last_signed`]). It never passes an unverified message to the core, never buffers one for a height other than this or
//! the next, and never votes for a block before the host's verdict. It never decides a block that it did not find
//! valid.
//!
//! A peer outside the validator set (an *observer*, with or without a key) runs the same replica: it follows votes and
//! decides, and is never asked to build or sign.
//!
//! Continue with `wire` (messages, log), [`last_signed`], [`evidence`], `effects` (answers the core).

mod effects;
pub mod evidence;
pub mod last_signed;
#[cfg(test)]
mod tests;
mod wire;

pub use crate::agreement::bft::Timeouts;
pub use evidence::DoubleSign;
pub use last_signed::{LastSigned, SignedKind};
pub use wire::{
    Head, LogEntry, LogRecord, LoggedBlock, MalformedMessage, Message, PolkaCertificate, ROUNDS, RoundCertificate,
    RoundCertificateKind, RoundVote, SignedProposal, SignedVote, TimerKind,
};

use crate::{
    agreement::bft::{Bft, ProposalBody},
    ground::{
        crypto::SigningKey,
        ids::{BlockHash, Height, NetworkId, Signature, ValidatorAddress},
        limits,
    },
    ledger::block::{Block, DecidedBlock, Tip},
    rules::validator::ValidatorSet,
};
use arc_malachitebft_core_consensus::{
    Error as CoreError, Input as CoreInput, LocallyProposedValue, Params, PeerId, ProposedValue, State, process,
};
use arc_malachitebft_core_types::{
    CommitCertificate as CoreCommitCertificate, ExtendedCommitCertificate, Round, Timeout, TimeoutKind, Validity,
    ValueOrigin, ValuePayload, ValueResponse, VoteExtensionPolicy, VoteExtensions,
};
use effects::{Effects, PendingCheck, Support};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

/// Rounds ahead of the current one from which messages are accepted: the core's own bound, applied before signatures.
const ROUNDS_AHEAD: u32 = 10;
/// Messages of one validator kept for the next height: two votes and a proposal for each accepted round, with room for
/// evidence of signing twice.
pub const EARLY_MESSAGES: usize = 48;
/// Proposals of one validator kept for the next height, each with its block: two prove signing twice.
const EARLY_PROPOSALS: usize = 2;

/// An event from outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// The height after `tip` begins.
    Start {
        /// The last decided and executed block.
        tip: Tip,
        /// The timeouts of the steps at this height.
        timeouts: Timeouts,
    },
    /// A message arrived; [`Message::decode`] read it.
    Message(Message),
    /// The answer to [`Output::Build`].
    Built {
        /// The height it was built for.
        height: Height,
        /// The round it was built for.
        round: u32,
        /// The block.
        block: Block,
    },
    /// The answer to [`Output::Check`].
    Checked {
        /// The height of the block.
        height: Height,
        /// The block's hash.
        block: BlockHash,
        /// As in [`Output::Check`].
        certified: bool,
        /// Whether the block breaks no rule.
        valid: bool,
    },
    /// A timer elapsed.
    Timeout(Timer),
    /// Another peer sent the decided block of the current height.
    Synced(DecidedBlock),
}

/// What the host must do, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Append to the log. It must be durable before anything that follows leaves the machine.
    Log(LogEntry),
    /// The last-signed record has changed. It must be durable after the log, and before anything that follows leaves
    /// the machine.
    Signed(LastSigned),
    /// Send to all validators.
    Publish(Message),
    /// Send again to all validators.
    Republish(Message),
    /// Wait, then feed [`Input::Timeout`]. Replaces a running timer with the same key.
    Schedule(Timer, Duration),
    /// Stop a timer.
    Cancel(Timer),
    /// Stop all timers.
    CancelAll,
    /// A round has begun.
    StartedRound {
        /// Its height.
        height: Height,
        /// The round.
        round: u32,
        /// The validator whose turn it is to propose.
        proposer: ValidatorAddress,
    },
    /// It is this validator's turn: build a block.
    Build {
        /// The height to build for.
        height: Height,
        /// The round to build for.
        round: u32,
    },
    /// Check a block.
    Check {
        /// The height of the block.
        height: Height,
        /// The block.
        block: Block,
        /// Whether more than two thirds voted for it, in a polka or a commit certificate: then this peer's clock no
        /// longer judges its time.
        certified: bool,
    },
    /// A block is final.
    Decided(DecidedBlock),
    /// The height is over: nothing more comes from it except late outputs of this very step.
    Finalized {
        /// The height.
        height: Height,
        /// Evidence of signing twice at this height, at most a few pairs per validator.
        evidence: Vec<DoubleSign>,
    },
    /// A synced block proves nothing, or breaks a rule.
    SyncRejected {
        /// Its height.
        height: Height,
        /// Why it was rejected.
        reason: String,
    },
    /// Something that an operator should see.
    Warning(Warning),
}

/// Something that an operator should see; the replica continues.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The last-signed record forbade a signature.
    #[error("refused to sign a {kind:?} for height {height}, round {round}: another was signed there or later before")]
    WithheldSignature {
        /// The kind of message.
        kind: SignedKind,
        /// Its height.
        height: Height,
        /// Its round.
        round: u32,
    },
    /// A block could not be proposed again because the votes that allow it are gone.
    #[error("no polka certificate at height {height} to propose a block again: {reason}")]
    NoPolkaCertificate {
        /// The height.
        height: Height,
        /// The core's message.
        reason: String,
    },
}

/// Identifies a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timer {
    /// The height it belongs to.
    pub height: Height,
    /// What it waits for.
    pub kind: TimerKind,
    /// The round it belongs to.
    pub round: u32,
}

/// What to do with a message before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is genuine: relay it, and feed it to the replica.
    Accept,
    /// It is useless here: do not relay it, and do not blame the sender.
    Ignore(Ignored),
    /// No honest peer sends or relays it.
    Reject(Rejected),
}

/// Why a message is useless here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Its height is decided.
    #[error("the height is decided")]
    Stale,
    /// Its height is more than one ahead; catching up is another protocol.
    #[error("the height is more than one ahead")]
    Ahead,
    /// Its round is too far ahead.
    #[error("the round is too far ahead")]
    RoundAhead,
    /// Enough is kept from this sender, or it could prove nothing more.
    #[error("enough is kept of this sender")]
    Enough,
}

/// Why a message is faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It belongs to another network.
    #[error("the message is of another network")]
    Network,
    /// Its sender is not a validator at that height.
    #[error("the sender is not a validator")]
    NotValidator,
    /// It is another validator's turn to propose.
    #[error("it is another's turn to propose")]
    NotProposer,
    /// A proposal claims a polka that is not from an earlier round.
    #[error("the round of the polka is not an earlier one")]
    PolkaRound,
    /// A signature does not verify, or a certificate proves nothing.
    #[error("a signature does not verify or does not weigh enough")]
    Signature,
}

/// A broken invariant. The process must end: going on may sign twice or decide wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// Replaying the log led to a message that differs from the recorded one.
    #[error("the consensus log does not lead to the messages it records, so this key must not sign on: {0}")]
    Divergence(String),
    /// The core failed.
    #[error("consensus failed at height {height}: {reason}")]
    Core {
        /// The height.
        height: Height,
        /// The core's message.
        reason: String,
    },
    /// The log has an entry of a height that the ledger has not reached.
    #[error("the consensus log has an entry of height {entry}, but the ledger ends at {tip}: blocks were lost")]
    LogAhead {
        /// The entry's height.
        entry: Height,
        /// The ledger's height.
        tip: Height,
    },
    /// The log names a block that it does not contain.
    #[error("the consensus log names block {0} without holding it: the log is damaged")]
    LogIncomplete(BlockHash),
    /// The host started a height that had already begun.
    #[error("height {start} was started, but height {current} has begun: recover from the log instead")]
    StartedAgain {
        /// The height to start.
        start: Height,
        /// The current height.
        current: Height,
    },
    /// The host started with the tip of another network.
    #[error("the tip is of network {0}, not of this replica's")]
    Network(NetworkId),
    /// A block was decided that was never found valid here.
    #[error("block {0} was decided without having been checked")]
    UncheckedDecision(BlockHash),
}

/// One peer's part in agreement.
pub struct Replica {
    core: State<Bft>,
    effects: Effects,
    network: NetworkId,
    address: ValidatorAddress,
    /// The set of the current height. `None` before the first.
    validators: Option<ValidatorSet>,
    /// The set of the height after that.
    next_validators: ValidatorSet,
    /// Messages kept for the next height, by sender.
    early: BTreeMap<ValidatorAddress, Early>,
}

#[derive(Default)]
struct Early {
    messages: BTreeSet<Vec<u8>>,
    proposals: usize,
}

impl Replica {
    /// A replica that waits at `tip` for [`Input::Start`]; meanwhile it keeps messages of the next height.
    ///
    /// `key` is the consensus key, `None` for an observer. `last_signed` is the record of what the key signed last; use
    /// the default only for a key that has never signed.
    pub fn new(key: Option<SigningKey>, last_signed: LastSigned, tip: &Tip) -> Self {
        // No key hashes to zero, so that address is in no set.
        let address =
            key.as_ref().map_or(ValidatorAddress::from_bytes([0; 32]), |key| key.public_key().validator_address());
        let params = Params {
            address,
            threshold_params: Default::default(),
            // With this setting the core waits for a verdict on each block; blocks are still inside proposals.
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let early_capacity = limits::VALIDATORS.saturating_mul(EARLY_MESSAGES);
        let core = State::new(Bft, tip.height, tip.validators.clone(), params, 2, early_capacity);
        let mut effects = Effects::new(tip.network, key, address, last_signed);
        effects.notes.height = tip.height;
        effects.notes.finalized = true;
        Self {
            core,
            effects,
            network: tip.network,
            address,
            validators: None,
            next_validators: tip.validators.clone(),
            early: BTreeMap::new(),
        }
    }

    /// A replica in the state of the log's writer, and the outputs that the writer may not have performed: perform them
    /// before any input. Entries of decided heights are skipped.
    ///
    /// # Errors
    /// When the log does not fit the tip or does not lead to the messages it records.
    pub fn recover(
        key: Option<SigningKey>,
        last_signed: LastSigned,
        tip: Tip,
        timeouts: Timeouts,
        log: &[LogEntry],
    ) -> Result<(Self, Vec<Output>), ReplicaError> {
        let mut replica = Self::new(key, last_signed, &tip);
        let height = tip.height.next();
        if let Some(entry) = log.iter().find(|entry| entry.height > height) {
            return Err(ReplicaError::LogAhead { entry: entry.height, tip: tip.height });
        }
        let inputs = core_inputs(log.iter().filter(|entry| entry.height == height))?;
        replica.effects.restore_last_signed(&inputs);
        replica.effects.replaying = true;
        replica.start(tip, timeouts)?;
        replica.core.record_recovered_own_precommit_extensions(inputs.iter());
        replica.core.index_wal_entries(inputs.iter());
        for input in inputs {
            replica.feed(input)?;
        }
        replica.core.reset_entries_index();
        replica.effects.replaying = false;
        replica.republish_own_proposals(log);
        // The core may get its blocks only now: before the end of the replay it would propose a block again that it had
        // already proposed.
        replica.give_blocks()?;
        replica.ask_for_checks();
        let outputs = std::mem::take(&mut replica.effects.outputs);
        Ok((replica, outputs))
    }

    /// The replay sends own votes again but not own proposals. A proposal that never left the machine would cost a
    /// round.
    fn republish_own_proposals(&mut self, log: &[LogEntry]) {
        let (height, round) = (self.height(), self.round());
        for entry in log.iter().filter(|entry| entry.height == height) {
            let LogRecord::Proposal { round: proposed, pol_round, proposer, block, signature } = &entry.record else {
                continue;
            };
            let block = match block {
                LoggedBlock::Whole(block) => Some(block.clone()),
                LoggedBlock::Earlier(hash) => self.effects.valid_block(hash),
            };
            if let Some(block) = block.filter(|_| *proposer == self.address && Some(*proposed) == round) {
                let (round, pol_round, proposer, signature) = (*proposed, *pol_round, *proposer, *signature);
                let proposal = SignedProposal { round, pol_round, proposer, block, signature };
                self.effects.outputs.push(Output::Republish(Message::Proposal(proposal)));
            }
        }
    }

    /// Processes one input. Perform every output, in order, before the next one.
    ///
    /// # Errors
    /// When an invariant of this process is broken; no message from outside can cause that.
    pub fn step(&mut self, input: Input) -> Result<Vec<Output>, ReplicaError> {
        match input {
            Input::Start { tip, timeouts } => self.start(tip, timeouts)?,
            Input::Message(message) => self.on_message(message)?,
            Input::Built { height, round, block } => self.on_built(height, round, block)?,
            Input::Checked { height, block, certified, valid } => self.on_checked(height, block, certified, valid)?,
            Input::Timeout(timer) => self.on_timeout(timer)?,
            Input::Synced(decided) => self.on_synced(decided)?,
        }
        self.give_blocks()?;
        self.ask_for_checks();
        Ok(std::mem::take(&mut self.effects.outputs))
    }

    /// The current height, or the last one if [`Replica::is_finalized`].
    pub fn height(&self) -> Height {
        self.effects.notes.height
    }

    /// The current round. `None` before the first height has begun.
    pub fn round(&self) -> Option<u32> {
        self.core.round().as_u32()
    }

    /// Whether the replica waits for the next [`Input::Start`].
    pub fn is_finalized(&self) -> bool {
        self.effects.notes.finalized
    }

    /// The address of the key; zero if there is none.
    pub fn address(&self) -> ValidatorAddress {
        self.address
    }

    /// Whether this peer votes at the current height.
    pub fn is_validator(&self) -> bool {
        self.validators.as_ref().is_some_and(|set| set.by_address(&self.address).is_some())
    }

    /// What the key signed last.
    pub fn last_signed(&self) -> &LastSigned {
        &self.effects.last_signed
    }

    /// How many messages are kept for the next height, at most [`EARLY_MESSAGES`] of each validator.
    pub fn early_messages(&self) -> usize {
        self.early.values().map(|early| early.messages.len()).sum()
    }

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

    fn on_message(&mut self, message: Message) -> Result<(), ReplicaError> {
        if self.admit(&message) != Admission::Accept || !self.is_new_if_early(&message) {
            return Ok(());
        }
        self.feed(match message {
            Message::Vote(vote) => CoreInput::Vote(vote.to_core()),
            Message::Proposal(proposal) => CoreInput::Proposal(proposal.to_core()),
            Message::Polka(certificate) => CoreInput::PolkaCertificate(certificate.to_core()),
            Message::Round(certificate) => CoreInput::RoundCertificate(certificate.to_core()),
        })
    }

    /// The core keeps early messages in a queue that does not check for repetitions.
    fn is_new_if_early(&mut self, message: &Message) -> bool {
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

    fn start(&mut self, tip: Tip, timeouts: Timeouts) -> Result<(), ReplicaError> {
        let height = tip.height.next();
        if tip.network != self.network {
            return Err(ReplicaError::Network(tip.network));
        }
        if height <= self.height() {
            return Err(ReplicaError::StartedAgain { start: height, current: self.height() });
        }
        self.effects.start_height(height, timeouts);
        self.early.clear();
        self.validators = Some(tip.validators.clone());
        self.next_validators = tip.next_validators;
        // No target time: the core would ask the machine's clock. No vote extensions.
        self.feed(CoreInput::StartHeight(height, tip.validators, false, None, VoteExtensionPolicy::Disabled))
    }

    fn on_built(&mut self, height: Height, round: u32, block: Block) -> Result<(), ReplicaError> {
        let in_time = height == self.height()
            && !self.is_finalized()
            && self.round() == Some(round)
            && self.core.driver.step_is_propose();
        if !in_time {
            return Ok(());
        }
        // If asked again for the same round, the answer must be the same.
        let block = self.effects.notes.built.entry(round).or_insert(block).clone();
        self.feed(CoreInput::Propose(LocallyProposedValue::new(height, Round::new(round), block)))
    }

    fn on_checked(
        &mut self,
        height: Height,
        block: BlockHash,
        certified: bool,
        valid: bool,
    ) -> Result<(), ReplicaError> {
        if height != self.height() || self.is_finalized() {
            return Ok(());
        }
        let Some(check) = self.effects.notes.checks.remove(&(block, certified)) else { return Ok(()) };
        let polka = has_polka(&self.core, &block);
        match check.support {
            // Meanwhile votes have been cast for it.
            Support::Proposer if !valid && polka => {
                self.effects.ask_for_check(PendingCheck { support: Support::Polka, ..check });
                return Ok(());
            }
            Support::Commit if !valid => {
                let reason = format!("block {block} has a commit certificate but breaks a rule");
                self.effects.outputs.push(Output::SyncRejected { height, reason });
                return Ok(());
            }
            Support::Polka if !valid => {
                self.effects.notes.broken.insert(block);
            }
            Support::Proposer | Support::Commit | Support::Polka => {}
        }
        let value = ProposedValue {
            height,
            round: Round::new(check.round),
            valid_round: check.pol_round.into(),
            proposer: check.proposer,
            value: check.block,
            validity: Validity::from_bool(valid),
        };
        let synced = check.support == Support::Commit;
        let origin = if synced { ValueOrigin::Sync } else { ValueOrigin::Consensus };
        self.feed(CoreInput::ProposedValue(value, origin))
    }

    fn on_timeout(&mut self, timer: Timer) -> Result<(), ReplicaError> {
        if timer.height != self.height() || !self.effects.notes.armed.remove(&timer) {
            return Ok(());
        }
        // A decided height only repeats its votes, for peers that missed them.
        if self.is_finalized() && timer.kind != TimerKind::Rebroadcast {
            return Ok(());
        }
        self.feed(CoreInput::TimeoutElapsed(core_timeout(timer.kind, timer.round)))
    }

    fn on_synced(&mut self, decided: DecidedBlock) -> Result<(), ReplicaError> {
        let names = decided.check_names();
        let DecidedBlock { block, certificate } = decided;
        let height = certificate.height;
        let check = self.effects.notes.checks.get(&(certificate.block, true));
        let under_check = check.is_some_and(|check| check.support == Support::Commit);
        if height != self.height() || self.is_finalized() || under_check {
            return Ok(());
        }
        let names = names.map_err(|error| error.to_string());
        let names = names.and_then(|()| wire::check_names_its_transactions(&block).map_err(|error| error.to_string()));
        if let Err(reason) = names {
            self.effects.outputs.push(Output::SyncRejected { height, reason });
            return Ok(());
        }
        self.effects.notes.synced = Some(block);
        let certificate = CoreCommitCertificate {
            height,
            round: Round::new(certificate.round),
            value_id: certificate.block,
            commit_signatures: certificate
                .signatures
                .iter()
                .map(|one| arc_malachitebft_core_types::CommitSignature::new(one.validator, one.signature))
                .collect(),
        };
        let certificate =
            ExtendedCommitCertificate::from_commit_certificate_and_extensions(certificate, VoteExtensions::default());
        // The block is in the notes; the core does not look into the bytes.
        let response = ValueResponse::new(nobody(), Default::default(), certificate);
        let fed = self.feed(CoreInput::SyncValueResponse(response));
        self.effects.notes.synced = None;
        fed
    }

    /// Runs the core on one input.
    fn feed(&mut self, input: CoreInput<Bft>) -> Result<(), ReplicaError> {
        let (core, effects) = (&mut self.core, &mut self.effects);
        let result: Result<(), CoreError<Bft>> = process!(
            input: input,
            state: core,
            metrics: &(),
            with: effect => Ok::<_, Infallible>(effects.answer(effect))
        );
        if let Some(block) = self.effects.unknown_decision {
            return Err(ReplicaError::UncheckedDecision(block));
        }
        let height = self.height();
        match result {
            Ok(()) => Ok(()),
            // The core has given up only this proposal: to the others, it is one more silent proposer.
            Err(error @ CoreError::MissingPolkaCertificate(..)) => {
                let warning = Warning::NoPolkaCertificate { height, reason: error.to_string() };
                self.effects.outputs.push(Output::Warning(warning));
                Ok(())
            }
            Err(error @ CoreError::ReplayDivergence(..)) => Err(ReplicaError::Divergence(error.to_string())),
            Err(error) => Err(ReplicaError::Core { height, reason: error.to_string() }),
        }
    }

    fn ask_for_checks(&mut self) {
        self.effects.ask_for_checks(|hash| has_polka(&self.core, hash));
    }

    /// Answers the core's request for a block: with one already built for that round, or by asking the host.
    fn give_blocks(&mut self) -> Result<(), ReplicaError> {
        while let Some(round) = self.effects.notes.wanted.pop() {
            let height = self.height();
            // Rounds that were left within the step no longer need a block.
            if self.round() != Some(round) || !self.core.driver.step_is_propose() {
                continue;
            }
            match self.effects.notes.built.get(&round).cloned() {
                Some(block) => {
                    self.feed(CoreInput::Propose(LocallyProposedValue::new(height, Round::new(round), block)))?;
                }
                None => self.effects.outputs.push(Output::Build { height, round }),
            }
        }
        Ok(())
    }
}

/// The core wants to know which peer to blame; the host knows which one it asked.
#[allow(clippy::expect_used, reason = "the empty identity multihash is a peer id")]
fn nobody() -> PeerId {
    PeerId::from_bytes(&[0, 0]).expect("an empty identity")
}

fn has_polka(core: &State<Bft>, block: &BlockHash) -> bool {
    core.driver.polka_certificates().iter().any(|polka| polka.value_id == *block)
}

fn core_timeout(kind: TimerKind, round: u32) -> Timeout {
    let kind = match kind {
        TimerKind::Propose => TimeoutKind::Propose,
        TimerKind::Prevote => TimeoutKind::Prevote,
        TimerKind::Precommit => TimeoutKind::Precommit,
        TimerKind::Rebroadcast => TimeoutKind::Rebroadcast,
    };
    Timeout::new(Round::new(round), kind)
}

/// The core's inputs that the entries record, with every block whole again.
fn core_inputs<'a>(log: impl Iterator<Item = &'a LogEntry>) -> Result<Vec<CoreInput<Bft>>, ReplicaError> {
    let mut blocks: BTreeMap<BlockHash, Block> = BTreeMap::new();
    let mut whole = |logged: &LoggedBlock| match logged {
        LoggedBlock::Whole(block) => {
            blocks.insert(block.hash(), block.clone());
            Ok(block.clone())
        }
        LoggedBlock::Earlier(hash) => blocks.get(hash).cloned().ok_or(ReplicaError::LogIncomplete(*hash)),
    };
    log.map(|entry| {
        Ok(match &entry.record {
            LogRecord::Vote(vote) => CoreInput::Vote(vote.to_core()),
            LogRecord::Proposal { round, pol_round, proposer, block, signature } => {
                let proposal = SignedProposal {
                    round: *round,
                    pol_round: *pol_round,
                    proposer: *proposer,
                    block: whole(block)?,
                    signature: *signature,
                };
                CoreInput::Proposal(proposal.to_core())
            }
            LogRecord::Polka(certificate) => CoreInput::PolkaCertificate(certificate.to_core()),
            LogRecord::Timeout { kind, round } => CoreInput::TimeoutElapsed(core_timeout(*kind, *round)),
            LogRecord::Verdict { round, pol_round, proposer, block, valid } => {
                let value = ProposedValue {
                    height: entry.height,
                    round: Round::new(*round),
                    valid_round: (*pol_round).into(),
                    proposer: *proposer,
                    value: whole(block)?,
                    validity: Validity::from_bool(*valid),
                };
                CoreInput::ProposedValue(value, ValueOrigin::Consensus)
            }
        })
    })
    .collect()
}
