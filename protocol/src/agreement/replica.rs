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
//! `Republish` sends again what was sent before, to peers that missed it: whatever carries it must not drop equal bytes.
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
//! Continue with `interface` (what goes in and comes out), `wire` (messages, log), `admission` (what is let in),
//! [`last_signed`], [`evidence`], `recovery` (from the log), `effects` (answers the core).

mod admission;
mod effects;
pub mod evidence;
mod interface;
pub mod last_signed;
mod recovery;
#[cfg(test)]
mod tests;
mod wire;

pub use crate::agreement::bft::Timeouts;
pub use admission::EARLY_MESSAGES;
pub use evidence::DoubleSign;
pub use interface::{Admission, Ignored, Input, Output, Rejected, ReplicaError, Timer, Warning};
pub use last_signed::{LastSigned, SignedKind};
pub use wire::{
    Head, LogEntry, LogRecord, LoggedBlock, MalformedMessage, Message, PolkaCertificate, ROUNDS, RoundCertificate,
    RoundCertificateKind, RoundVote, SignedProposal, SignedVote, TimerKind,
};

use crate::{
    agreement::bft::Bft,
    ground::{
        crypto::SigningKey,
        ids::{BlockHash, Height, NetworkId, Power, ValidatorAddress},
        limits,
    },
    ledger::block::{Block, DecidedBlock, Tip, VoteKind},
    rules::validator::ValidatorSet,
};
use admission::Early;
use arc_malachitebft_core_consensus::{
    Error as CoreError, Input as CoreInput, LocallyProposedValue, Params, PeerId, ProposedValue, State, process,
};
use arc_malachitebft_core_types::{
    CommitCertificate as CoreCommitCertificate, ExtendedCommitCertificate, Round, Timeout, TimeoutKind, Validity,
    ValueOrigin, ValuePayload, ValueResponse, VoteExtensionPolicy, VoteExtensions,
};
use effects::{Effects, PendingCheck, Support};
use std::{collections::BTreeMap, convert::Infallible};

/// What a round waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The height under way.
    pub height: Height,
    /// Its round, from 0.
    pub round: u32,
    /// The kind of the votes that are missing.
    pub kind: VoteKind,
    /// The validators whose votes have not come, in the order of addresses.
    pub validators: Vec<ValidatorAddress>,
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

    /// Whose votes the round under way lacks: prevotes, or, once more than two thirds have cast those, precommits. `None`
    /// between heights.
    pub fn lacking(&self) -> Option<Lacking> {
        let validators = self.validators.as_ref().filter(|_| !self.is_finalized())?;
        let (round, votes) = (self.round()?, self.core.driver.votes().per_round(self.core.round()));
        let of = |kind: VoteKind| {
            let cast = |address| votes.is_some_and(|votes| votes.get_vote(kind.into(), address).is_some());
            validators.iter().partition::<Vec<_>, _>(|validator| cast(&validator.address))
        };
        let (prevoted, silent) = of(VoteKind::Prevote);
        let power = prevoted.iter().fold(0u64, |sum, validator| sum.saturating_add(validator.power.get()));
        let (kind, silent) = if validators.is_quorum(Power::new(power)) {
            (VoteKind::Precommit, of(VoteKind::Precommit).1)
        } else {
            (VoteKind::Prevote, silent)
        };
        let validators = silent.into_iter().map(|validator| validator.address).collect();
        Some(Lacking { height: self.height(), round, kind, validators })
    }

    /// How many messages are kept for the next height, at most [`EARLY_MESSAGES`] of each validator.
    pub fn early_messages(&self) -> usize {
        self.early.values().map(|early| early.messages.len()).sum()
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
