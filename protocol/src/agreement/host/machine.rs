//! What a host needs from the machine that it runs on, as small traits. The node implements them with a database,
//! files, the swarm and the system's clock; the simulator, with versions of all these that fail.

use crate::{
    agreement::{
        mempool::Refused,
        replica::{DoubleSign, Warning},
    },
    ground::{
        crypto::SigningKey,
        ids::{Height, Timestamp, ValidatorAddress},
        state::StateRead,
    },
    ledger::{
        block::{DecidedBlock, Header, Tip},
        execute::Executed,
    },
    rules::network::RetiredKey,
};
use std::{error::Error, fmt, time::Duration};

/// Why the machine could not do something. It ends the process.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A moment of a monotonic clock: the time since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_start` after the clock's start.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The time since the clock's start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// The moment `later` after this one.
    #[must_use]
    pub const fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }

    /// The time since another moment; zero if that is later.
    pub const fn since(self, other: Self) -> Duration {
        self.0.saturating_sub(other.0)
    }
}

/// The ledger on disk.
pub trait Ledger {
    /// The state at one moment.
    type Snapshot: StateRead;

    /// The newest executed block and the validator sets after it.
    fn tip(&self) -> Tip;

    /// The current state.
    fn snapshot(&self) -> Self::Snapshot;

    /// The header of a height. `None` for genesis.
    ///
    /// # Errors
    /// When the disk fails.
    fn header(&self, height: Height) -> Result<Option<Header>, Failure>;

    /// Makes a decided block and its effects durable, and returns the new tip.
    ///
    /// # Errors
    /// When the disk fails.
    fn commit(&mut self, decided: &DecidedBlock, executed: &Executed) -> Result<Tip, Failure>;
}

/// The consensus log.
pub trait Log {
    /// The entries of a height, oldest first.
    ///
    /// # Errors
    /// When the disk fails.
    fn log_entries(&self, height: Height) -> Result<Vec<Vec<u8>>, Failure>;

    /// Appends an entry. It need not be durable before [`Log::sync_log`].
    ///
    /// # Errors
    /// When the disk fails.
    fn append_log(&mut self, height: Height, entry: &[u8]) -> Result<(), Failure>;

    /// Makes the appended entries durable.
    ///
    /// # Errors
    /// When the disk fails.
    fn sync_log(&mut self) -> Result<(), Failure>;

    /// Forgets the entries of all other heights.
    ///
    /// # Errors
    /// When the disk fails.
    fn reset_log(&mut self, height: Height) -> Result<(), Failure>;
}

/// The record of what the consensus key signed last.
pub trait Guard {
    /// The record. `None` before the first one.
    fn last_signed(&self) -> Option<Vec<u8>>;

    /// Replaces the record. It is durable when this returns.
    ///
    /// # Errors
    /// When the disk fails.
    fn keep_last_signed(&mut self, record: &[u8]) -> Result<(), Failure>;
}

/// The channel of a message to other peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Proposals and votes, for those who decide.
    Consensus,
    /// Decided blocks, for those who take no part in that.
    Blocks,
    /// Transactions that wait for a block.
    Transactions,
}

/// What becomes of a message: the verdict on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Valid: relay it.
    Accept,
    /// Known, late, or not for now: do not relay it, and do not hold it against anybody.
    Ignore,
    /// No honest peer would have relayed it, whatever it knows about the ledger: hold it against the sender. If a
    /// message's validity depends on the ledger's state, ignore it instead.
    Reject,
}

/// The connection to other peers. Nothing in it blocks, and nothing is certain to arrive.
pub trait Wire {
    /// Identifies a peer.
    type Peer: Copy + Eq + fmt::Debug + fmt::Display;
    /// Identifies a gossip message, for its verdict.
    type Token;

    /// Sends to all peers of a channel.
    fn publish(&mut self, channel: Channel, message: Vec<u8>);

    /// Reports the verdict on a gossip message.
    fn judge(&mut self, token: Self::Token, verdict: Acceptance);

    /// Requests at most `max_blocks` decided blocks from a peer, starting at a height.
    fn request_blocks(&mut self, peer: Self::Peer, from: Height, max_blocks: usize);

    /// Stops all contact with a peer for a while.
    fn block_peer(&mut self, peer: Self::Peer, reason: &str);
}

/// The machine's clocks.
pub trait Clock {
    /// The monotonic clock.
    fn now(&self) -> Moment;

    /// The wall clock, as block time.
    fn block_time(&self) -> Timestamp;
}

/// The consensus key on disk.
pub trait Keys {
    /// Destroys the key, which the ledger has retired, and returns its replacement. `None` if that failed; the next
    /// start tries again.
    fn replace_key(&mut self, retired: &RetiredKey) -> Option<SigningKey>;
}

/// Reports to the people who run the peer.
pub trait Reporter<Peer> {
    /// Reports an event.
    fn report(&mut self, event: HostEvent<'_, Peer>);
}

/// An event in a host.
#[derive(Debug)]
pub enum HostEvent<'a, Peer> {
    /// A block is executed and durable.
    Committed {
        /// The block.
        decided: &'a DecidedBlock,
        /// The effects of the block.
        executed: Executed,
        /// How long executing it took.
        execution: Duration,
        /// How long making it durable took.
        commit: Duration,
    },
    /// A round of a height began.
    Round {
        /// The height.
        height: Height,
        /// The number of the round, from 0.
        round: u32,
        /// The proposer of the round.
        proposer: ValidatorAddress,
    },
    /// A validator signed two messages where one is allowed.
    DoubleSign(&'a DoubleSign),
    /// A validator proposed a block just now, valid or not, and says what time it is.
    Proposed {
        /// The validator.
        proposer: ValidatorAddress,
        /// The time of the block.
        time: Timestamp,
    },
    /// A proposed block breaks a rule; this peer votes against it.
    InvalidProposal {
        /// The height of the block.
        height: Height,
        /// The rule that it breaks.
        reason: String,
    },
    /// A consensus message is malformed or forged.
    FaultyMessage {
        /// The height of the message, as far as it could be read.
        height: Option<Height>,
        /// What is wrong with it.
        reason: String,
    },
    /// A pushed block is malformed, or its certificate does not prove it.
    FaultyPush {
        /// The height of the block, as far as it could be read.
        height: Option<Height>,
        /// What is wrong with it.
        reason: String,
    },
    /// A gossip message of transactions is malformed, or one of them is invalid.
    FaultyTransactions {
        /// What is wrong with it.
        reason: String,
    },
    /// A transaction was refused.
    Refused(&'a Refused),
    /// A peer sent no blocks.
    NoBlocks {
        /// The peer.
        peer: Peer,
        /// The reason.
        reason: &'a str,
    },
    /// A peer served a block that proves nothing, and is blocked.
    RefusedBlock {
        /// The peer.
        peer: Peer,
        /// The height that was requested.
        height: Height,
        /// What is wrong with the block.
        reason: &'a str,
    },
    /// Blocks from another peer were committed.
    CaughtUp {
        /// The peer.
        peer: Peer,
        /// The height before.
        from: Height,
        /// The height now.
        to: Height,
    },
    /// The replica reports a warning.
    Warning(&'a Warning),
}

/// Everything that a host needs.
pub trait Machine: Ledger + Log + Guard + Wire + Clock + Keys + Reporter<<Self as Wire>::Peer> {}

impl<M: Ledger + Log + Guard + Wire + Clock + Keys + Reporter<<M as Wire>::Peer>> Machine for M {}
