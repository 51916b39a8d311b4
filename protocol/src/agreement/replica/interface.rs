//! What a replica is told, and what it has its host do.

use super::{DoubleSign, LastSigned, LogEntry, Message, SignedKind, Timeouts, TimerKind};
use crate::{
    ground::ids::{BlockHash, Height, NetworkId, ValidatorAddress},
    ledger::block::{Block, DecidedBlock, Tip},
};
use std::time::Duration;

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
