//! What a host needs of the machine that it runs on, in small traits: the node implements them with a database, files,
//! the swarm and the system's clock, the simulator with all of these failing.

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

/// Why the machine could not do something. The process ends by it.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A moment of a clock that only goes forward: the time since some start of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// So long after the clock's start.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The time since the clock's start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// So much later.
    #[must_use]
    pub const fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }

    /// How long it is since another moment; zero if that is later.
    pub const fn since(self, other: Self) -> Duration {
        self.0.saturating_sub(other.0)
    }
}

/// The ledger on its disk.
pub trait Ledger {
    /// The state as of one moment.
    type Snapshot: StateRead;

    /// Where the ledger stands.
    fn tip(&self) -> Tip;

    /// The state as it stands now.
    fn snapshot(&self) -> Self::Snapshot;

    /// The header of a height; none for genesis.
    ///
    /// # Errors
    /// When the disk fails.
    fn header(&self, height: Height) -> Result<Option<Header>, Failure>;

    /// Makes a decided block and what it did durable, and gives where the ledger stands then.
    ///
    /// # Errors
    /// When the disk fails.
    fn commit(&mut self, decided: &DecidedBlock, executed: &Executed) -> Result<Tip, Failure>;
}

/// The consensus log.
pub trait Log {
    /// The entries of a height, the oldest first.
    ///
    /// # Errors
    /// When the disk fails.
    fn log_entries(&self, height: Height) -> Result<Vec<Vec<u8>>, Failure>;

    /// Appends an entry. It need not be durable before [`Log::sync_log`].
    ///
    /// # Errors
    /// When the disk fails.
    fn append_log(&mut self, height: Height, entry: &[u8]) -> Result<(), Failure>;

    /// Makes what was appended durable.
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
    /// The record; none before the first one.
    fn last_signed(&self) -> Option<Vec<u8>>;

    /// Replaces it, durably when this returns.
    ///
    /// # Errors
    /// When the disk fails.
    fn keep_last_signed(&mut self, record: &[u8]) -> Result<(), Failure>;
}

/// What others are to be told by gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Proposals and votes.
    Consensus,
    /// Transactions that wait for a block.
    Transactions,
}

/// What becomes of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good: relay it.
    Accept,
    /// Known, late, or not for now: do not relay it, and hold it against nobody.
    Ignore,
    /// No honest peer would have relayed it, whatever it knows of the ledger: hold it against who sent it. A message whose
    /// worth depends on the state of the ledger is to be ignored instead.
    Reject,
}

/// The way to other peers. Nothing of it waits, and nothing of it is certain to arrive.
pub trait Wire {
    /// Names a peer.
    type Peer: Copy + Eq + fmt::Debug + fmt::Display;
    /// Names a gossip message, for its verdict.
    type Token;

    /// Tells all peers.
    fn publish(&mut self, channel: Channel, message: Vec<u8>);

    /// Says what becomes of a gossip message.
    fn judge(&mut self, token: Self::Token, verdict: Verdict);

    /// Asks a peer for at most `max_blocks` decided blocks from a height on.
    fn request_blocks(&mut self, peer: Self::Peer, from: Height, max_blocks: usize);

    /// Has nothing more to do with a peer for a while.
    fn block_peer(&mut self, peer: Self::Peer, reason: &str);
}

/// The machine's clocks.
pub trait Clock {
    /// The one that only goes forward.
    fn now(&self) -> Moment;

    /// The one that is set, as block time.
    fn block_time(&self) -> Timestamp;
}

/// The consensus key on its disk.
pub trait Keys {
    /// Destroys the key, which the ledger retired, and gives the one that takes its place; none if that failed, which the
    /// next start tries again.
    fn replace_key(&mut self, retired: &RetiredKey) -> Option<SigningKey>;
}

/// What the people who run the peer may want to know.
pub trait Reporter<Peer> {
    /// Something happened.
    fn report(&mut self, event: HostEvent<'_, Peer>);
}

/// Something that happened in a host.
#[derive(Debug)]
pub enum HostEvent<'a, Peer> {
    /// A block is executed and durable.
    Committed {
        /// The block.
        decided: &'a DecidedBlock,
        /// What it did.
        executed: Executed,
        /// How long executing it took.
        execution: Duration,
        /// How long making it durable took.
        commit: Duration,
    },
    /// A round of a height began.
    Round {
        /// Of which height.
        height: Height,
        /// Its number, from 0.
        round: u32,
        /// Who proposes in it.
        proposer: ValidatorAddress,
    },
    /// A validator signed two messages where one is allowed.
    DoubleSign(&'a DoubleSign),
    /// A proposed block breaks a rule: this peer votes against it.
    InvalidProposal {
        /// Of which height.
        height: Height,
        /// The rule.
        reason: String,
    },
    /// A consensus message is malformed or forged.
    FaultyMessage {
        /// Of which height, as far as it could be read.
        height: Option<Height>,
        /// What is wrong with it.
        reason: String,
    },
    /// A gossip message of transactions is malformed, or one of them is invalid.
    FaultyTransactions {
        /// What is wrong with it.
        reason: String,
    },
    /// A transaction was not taken in.
    Refused(&'a Refused),
    /// A peer gave no blocks.
    NoBlocks {
        /// Which peer.
        peer: Peer,
        /// Why.
        reason: &'a str,
    },
    /// A peer served a block that proves nothing, and is blocked.
    RefusedBlock {
        /// Which peer.
        peer: Peer,
        /// The height that was due.
        height: Height,
        /// What is wrong with the block.
        reason: &'a str,
    },
    /// Blocks of another peer were committed.
    CaughtUp {
        /// Which peer's.
        peer: Peer,
        /// The height before.
        from: Height,
        /// The height now.
        to: Height,
    },
    /// The replica has something to say.
    Warning(&'a Warning),
}

/// All of it.
pub trait Machine: Ledger + Log + Guard + Wire + Clock + Keys + Reporter<<Self as Wire>::Peer> {}

impl<M: Ledger + Log + Guard + Wire + Clock + Keys + Reporter<<M as Wire>::Peer>> Machine for M {}
