//! One peer's host: everything that a peer decides about consensus, the mempool, and catching up.
//!
//! A synchronous state machine around the [`Replica`], over the machine that it runs on: the ledger, the consensus log,
//! the last-signed record, the connection to other peers and the clocks, each a small trait ([`machine`]). The node
//! implements them with RocksDB, files and libp2p, and pumps events into the host; the node itself decides none of
//! this.
//!
//! ```text
//! resume          takes up where the ledger and the log left off, and performs what a crash left undone
//! on_consensus    a message of consensus              on_transactions   one of transactions, checked
//! on_push         a decided block, pushed by others
//! on_submit       a client's transaction              on_connected, on_disconnected, on_blocks, on_no_blocks
//! advance         what is due by now; to be called after each of the others and at next_wake()
//! ```
//!
//! Continue with `perform`, which does what the replica asks for, in order; `catch_up`, which fetches decided blocks
//! from other peers, and `askable`, which says from whom; `follow`, which pushes them and takes those that are pushed;
//! `pace`, which bounds what may wait; `seen`, which knows what was said before; and `gossip`, the bytes of messages.
//!
//! # Invariants
//! - Nothing that this peer signed leaves it before the log that records it is durable.
//! - A block is committed only with its certificate, in the order of heights, and only once.
//! - A ledger or a log that fails ends the process: the host never reports such a failure and continues.
//! - An idle network makes no blocks: the next height starts when there is work ([`Host::has_work`]) or when another
//!   validator sends a message for it.

mod askable;
mod catch_up;
mod follow;
pub mod gossip;
pub mod machine;
mod pace;
mod perform;
mod seen;
mod timers;

pub use machine::{
    Acceptance, Channel, Clock, Failure, Guard, HostEvent, Keys, Ledger, Log, Machine, Moment, Reporter, Wire,
};

use crate::{
    agreement::{
        mempool::{Checked, Mempool, Refused},
        replica::{
            Admission, EARLY_MESSAGES, Head, Ignored, Input, Lacking, LastSigned, LogEntry, Message, Output, Replica,
            ReplicaError, Timeouts,
        },
    },
    ground::{
        codec::{self, DecodeError},
        crypto::SigningKey,
        ids::{Height, PublicKey, Timestamp, ValidatorAddress},
        limits,
        state::{StateError, read},
        weight::Weight,
    },
    ledger::block::Tip,
    rules::{
        context::ExecuteError, due, network::Network as NetworkRecord, parameters::Parameters, transaction::Transaction,
    },
};
use catch_up::{CatchUp, Hint};
use pace::Pace;
use seen::Seen;
use std::{collections::BTreeSet, fmt, time::Duration};
use timers::Timers;

/// How long submitted transactions are collected into one gossip message.
const GOSSIP_DELAY: Duration = Duration::from_millis(2);
/// How often a host checks what is due when nothing happens: heartbeat, deadlines, catching up.
const TICK: Duration = Duration::from_millis(500);
/// How close to a deadline a host starts waiting for it exactly.
const MAX_NAP: Duration = Duration::from_secs(3_600);

/// Why the process must end.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The machine failed.
    #[error("{what}")]
    Machine {
        /// The operation that failed.
        what: &'static str,
        /// The reason.
        source: Failure,
    },
    /// The replica failed.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A decided block cannot be executed, or must not be by this build.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The ledger has no network record.
    #[error("no network record")]
    NoNetwork,
    /// The last-signed record cannot be read.
    #[error("the last-signed record is damaged")]
    LastSigned(#[source] DecodeError),
    /// An entry of the log cannot be read.
    #[error("an entry of the consensus log cannot be read; it was written by another version")]
    LogEntry(#[source] DecodeError),
}

/// The error of an operation that failed.
fn failed(what: &'static str) -> impl FnOnce(Failure) -> HostError {
    move |source| HostError::Machine { what, source }
}

/// The process has to end before it has begun; the machine is left as it is.
#[derive(Debug)]
pub struct NotResumed<M> {
    /// The machine.
    pub machine: M,
    /// Why.
    pub error: HostError,
}

/// How much a host keeps in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The round of the height under way.
    pub round: u32,
    /// Transactions that wait, at most [`limits::MEMPOOL_TRANSACTIONS`](crate::ground::limits::MEMPOOL_TRANSACTIONS).
    pub transactions: usize,
    /// Their bytes, at most [`limits::MEMPOOL_SIZE_BYTES`](crate::ground::limits::MEMPOOL_SIZE_BYTES).
    pub size_bytes: usize,
    /// Their weight, at most [`limits::MEMPOOL_WEIGHT`](crate::ground::limits::MEMPOOL_WEIGHT).
    pub weight: Weight,
    /// Messages kept for the next height.
    pub early_messages: usize,
    /// How many of those one validator may have.
    pub early_messages_max: usize,
    /// Timers that run.
    pub timers: usize,
}

/// Why a consensus message goes no further.
enum Useless {
    /// It is known, late, or not for now.
    Ignored,
    /// Its height has not been reached.
    Ahead(Box<Head>),
    /// No honest peer sends it.
    Faulty { height: Option<Height>, reason: String },
}

/// What a host finds on its machine, and what a crash left undone.
struct Found {
    tip: Tip,
    parameters: Parameters,
    replica: Replica,
    outputs: Vec<Output>,
    unsealed: bool,
    deadline: Option<Timestamp>,
}

impl Found {
    fn read<M: Machine>(machine: &M, key: Option<SigningKey>) -> Result<Self, HostError> {
        let tip = machine.tip();
        let last_signed = machine.last_signed().map(|bytes| codec::decode_trusted::<LastSigned>(&bytes));
        let last_signed = last_signed.transpose().map_err(HostError::LastSigned)?.unwrap_or_default();
        let snapshot = machine.snapshot();
        let network = read::<NetworkRecord>(&snapshot, &())?.ok_or(HostError::NoNetwork)?;
        network.require_current(tip.height.next())?;
        let parameters = network.parameters;
        let entries = machine.log_entries(tip.height.next()).map_err(failed("the consensus log cannot be read"))?;
        let entries: Result<Vec<LogEntry>, _> = entries.iter().map(|bytes| LogEntry::decode(bytes)).collect();
        let entries = entries.map_err(HostError::LogEntry)?;
        let (replica, outputs) = if entries.is_empty() {
            (Replica::new(key, last_signed, &tip), Vec::new())
        } else {
            Replica::recover(key, last_signed, tip.clone(), Timeouts::from(&parameters), &entries)?
        };
        let header = machine.header(tip.height).map_err(failed("the ledger cannot be read"))?;
        let unsealed = header.is_some_and(|header| header.state_root != tip.state_root);
        Ok(Self { tip, parameters, replica, outputs, unsealed, deadline: due::next(&snapshot)? })
    }
}

/// One peer's host.
pub struct Host<M: Machine> {
    machine: M,
    key: Option<SigningKey>,
    /// Whether a set in force or announced had the key when this was last checked.
    decides: bool,
    replica: Replica,
    /// What the key signed last, if that is not on disk yet.
    unguarded: Option<LastSigned>,
    /// Consensus messages taken recently.
    seen: Seen,
    mempool: Mempool,
    pace: Pace,
    timers: Timers,
    tip: Tip,
    parameters: Parameters,
    catch_up: CatchUp<M::Peer>,
    /// Validators that are known to have decided the current height.
    decided_elsewhere: BTreeSet<ValidatorAddress>,
    /// Why the replica refused the last block that was fed to it.
    refused_block: Option<String>,
    /// Whether the replica is being fed a block that another peer sent.
    takes: bool,
    /// Whether the tip's block changed the state, so that another block must carry the new root.
    unsealed: bool,
    /// When the ledger itself next has something to do.
    deadline: Option<Timestamp>,
    /// Transactions submitted here and not gossiped yet.
    untold: Vec<Transaction>,
    untold_bytes: usize,
    tell_at: Option<Moment>,
    tick_at: Moment,
}

impl<M: Machine> Host<M> {
    /// Resumes from the ledger and the log on disk, and performs what a crash may have left undone.
    ///
    /// # Errors
    /// When the disk fails, its content contradicts itself, or this build is too old for the ledger.
    pub fn resume(machine: M, key: Option<SigningKey>) -> Result<Self, Box<NotResumed<M>>> {
        let Found { tip, parameters, replica, outputs, unsealed, deadline } = match Found::read(&machine, key.clone()) {
            Ok(found) => found,
            Err(error) => return Err(Box::new(NotResumed { machine, error })),
        };
        let now = machine.now();
        let mut host = Self {
            unsealed,
            deadline,
            catch_up: CatchUp::new(tip.height, now),
            seen: Seen::default(),
            mempool: Mempool::new(),
            pace: Pace::new(now),
            timers: Timers::default(),
            decided_elsewhere: BTreeSet::new(),
            refused_block: None,
            takes: false,
            untold: Vec::new(),
            untold_bytes: 0,
            tell_at: None,
            tick_at: now,
            unguarded: None,
            decides: false,
            machine,
            key,
            replica,
            tip,
            parameters,
        };
        match host.perform_all(outputs) {
            Ok(()) => Ok(host),
            Err(error) => Err(Box::new(NotResumed { machine: host.machine, error })),
        }
    }

    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, for changes.
    pub const fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// Returns the machine alone: the process is gone.
    pub fn into_machine(self) -> M {
        self.machine
    }

    /// The newest executed block and the validator sets after it.
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The consensus key, whether or not it is in a set. `None` if the peer has none.
    pub fn key(&self) -> Option<PublicKey> {
        self.key.as_ref().map(SigningKey::public_key)
    }

    /// The address of that key; zero, which is in no set, if there is none.
    pub fn address(&self) -> ValidatorAddress {
        self.replica.address()
    }

    /// The round of the height being decided.
    pub fn round(&self) -> u32 {
        self.replica.round().unwrap_or(0)
    }

    /// Whether this peer votes on the block after the tip.
    pub fn is_validator(&self) -> bool {
        self.tip.validators.by_address(&self.replica.address()).is_some()
    }

    /// Whose votes the height under way lacks. `None` between heights, and if this peer is sent no votes as it casts none.
    pub fn lacking(&self) -> Option<Lacking> {
        self.replica.lacking().filter(|_| self.replica.is_validator())
    }

    /// Whether a height is under way, or there is a reason to begin one.
    pub fn is_at_work(&self) -> bool {
        !self.replica.is_finalized() || self.has_work()
    }

    /// The parameters in force.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// How much is kept in memory.
    pub fn load(&self) -> Load {
        Load {
            round: self.round(),
            transactions: self.mempool.len(),
            size_bytes: self.mempool.size_bytes(),
            weight: self.mempool.weight(),
            early_messages: self.replica.early_messages(),
            early_messages_max: EARLY_MESSAGES,
            timers: self.timers.len(),
        }
    }

    /// The transactions that wait for a block.
    pub const fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// Number of waiting transactions above which this peer accepts none from its clients.
    pub const fn room(&self) -> usize {
        self.pace.room()
    }

    /// Whether clients are likely to be refused: more waits than twice the room, even if of each sender only its part is
    /// counted. A flood of few senders makes no peer busy for the others.
    pub fn is_busy(&self) -> bool {
        let busy = self.pace.room().saturating_mul(2);
        self.mempool.len() >= busy && self.mempool.len_in_parts(self.pace.part()) >= busy
    }

    /// The highest known height.
    pub fn best_known(&self) -> Height {
        self.catch_up.best_known(self.machine.now()).map_or(self.tip.height, |best| best.max(self.tip.height))
    }

    /// Whether others are known to be ahead.
    pub fn is_behind(&self) -> bool {
        self.catch_up.is_behind(self.tip.height, self.machine.now())
    }

    /// When there is something to do if nothing happens before.
    pub fn next_wake(&self) -> Moment {
        let due = self.deadline.map(|deadline| {
            let wait = deadline.get().saturating_sub(self.machine.block_time().get());
            self.machine.now().plus(Duration::from_millis(wait).clamp(Duration::from_millis(1), MAX_NAP))
        });
        // A deadline that is already due has started a height; waiting for it again would spin.
        let due = due.filter(|_| self.replica.is_finalized());
        let waits = [self.timers.next_deadline(), self.tell_at, self.catch_up.due(), due];
        waits.into_iter().flatten().fold(self.tick_at, Moment::min)
    }

    /// A message of consensus arrived. It is judged in the order of what that costs: by its head alone, by whether
    /// the same was said before, by its signature, and only then by the rest.
    ///
    /// # Errors
    /// When the process must end.
    pub fn on_consensus(&mut self, data: &[u8], token: M::Token) -> Result<(), HostError> {
        let message = match self.judge_consensus(data) {
            Ok(message) => message,
            Err(Useless::Ignored) => {
                self.machine.judge(token, Acceptance::Ignore);
                return Ok(());
            }
            Err(Useless::Ahead(head)) => {
                self.machine.judge(token, Acceptance::Ignore);
                self.on_hint(|this| match &*head {
                    Head::Vote(vote) if this.replica.is_genuine_hint(&head) => {
                        Some(Hint::Word(vote.body.validator, vote.body.height))
                    }
                    _ => None,
                });
                return Ok(());
            }
            Err(Useless::Faulty { height, reason }) => {
                self.machine.judge(token, Acceptance::Reject);
                self.machine.report(HostEvent::FaultyMessage { height, reason });
                return Ok(());
            }
        };
        self.machine.judge(token, Acceptance::Accept);
        // Another validator has begun the next height, so this one does too.
        let is_next = message.height() > self.replica.height();
        let begins = is_next && self.replica.is_finalized();
        if is_next && !begins {
            self.on_decided_elsewhere(&message);
        }
        self.drive(Input::Message(message))?;
        if begins { self.start_height() } else { Ok(()) }
    }

    fn judge_consensus(&mut self, data: &[u8]) -> Result<Message, Useless> {
        let faulty = |height, reason: &dyn fmt::Display| Useless::Faulty { height, reason: reason.to_string() };
        let head = Head::read(data).map_err(|reason| faulty(None, &reason))?;
        let height = Some(head.height());
        let (memory, now) = (self.repetition_memory(), self.machine.now());
        if self.seen.knows(&head, memory, now) {
            return Err(Useless::Ignored);
        }
        let useless = |admission, head: &Head| match admission {
            Admission::Accept => Ok(()),
            Admission::Ignore(Ignored::Ahead) => Err(Useless::Ahead(Box::new(head.clone()))),
            Admission::Ignore(_) => Err(Useless::Ignored),
            Admission::Reject(reason) => Err(faulty(height, &reason)),
        };
        useless(self.replica.admit_head(&head), &head)?;
        let message = Message::decode(data).map_err(|reason| faulty(height, &reason))?;
        useless(self.replica.admit(&message), &head)?;
        if self.seen.take(&head, memory, now) { Ok(message) } else { Err(Useless::Ignored) }
    }

    /// For how long what was said is no news.
    const fn repetition_memory(&self) -> Duration {
        Duration::from_millis(self.parameters.rebroadcast_ms.div_euclid(2))
    }

    /// A gossip message of transactions arrived and was checked: each transaction may wait or not, or no honest peer
    /// sends the message. A message is relayed if all of it was verified and taken in. If only some was, that is passed on
    /// in a message of this peer: others may know more than this one, and must find nothing in it that it did not check.
    pub fn on_transactions(&mut self, transactions: Result<Vec<Result<Checked, Refused>>, String>, token: M::Token) {
        let transactions = match transactions {
            Ok(transactions) => transactions,
            Err(reason) => {
                self.machine.report(HostEvent::FaultyTransactions { reason });
                return self.machine.judge(token, Acceptance::Reject);
            }
        };
        let (snapshot, time) = (self.machine.snapshot(), self.judging_time());
        let (all, mut taken) = (transactions.len(), Vec::new());
        for checked in transactions {
            let insert = |checked: Checked| {
                let id = checked.id;
                self.mempool.insert(checked, &snapshot, time).map(|()| id)
            };
            match checked.and_then(insert) {
                Ok(id) => taken.push(id),
                Err(refused) => self.machine.report(HostEvent::Refused(&refused)),
            }
        }
        if all > 0 && taken.len() == all {
            return self.machine.judge(token, Acceptance::Accept);
        }
        self.machine.judge(token, Acceptance::Ignore);
        for id in taken {
            if let Some(transaction) = self.mempool.get(&id).cloned() {
                let size_bytes = transaction.encode().len();
                self.tell_later(transaction, size_bytes);
            }
        }
    }

    /// Accepts a client's transaction, and gossips it.
    ///
    /// # Errors
    /// When there is no room, or the state does not allow it.
    pub fn on_submit(&mut self, checked: Checked) -> Result<(), Refused> {
        let (transaction, size_bytes) = (checked.transaction.clone(), checked.size_bytes);
        self.take_in(checked).inspect_err(|refused| self.machine.report(HostEvent::Refused(refused)))?;
        self.tell_later(transaction, size_bytes);
        Ok(())
    }

    fn tell_later(&mut self, transaction: Transaction, size_bytes: usize) {
        self.untold_bytes = self.untold_bytes.saturating_add(size_bytes);
        self.untold.push(transaction);
        if self.untold_bytes >= limits::TRANSACTIONS_MESSAGE_FULL_BYTES {
            self.tell_transactions();
        } else if self.tell_at.is_none() {
            self.tell_at = Some(self.machine.now().plus(GOSSIP_DELAY));
        }
    }

    fn take_in(&mut self, checked: Checked) -> Result<(), Refused> {
        let of_sender = self.mempool.waiting_of(&checked.transaction.body.sender);
        let has_room = self.pace.has_room(self.mempool.len(), self.mempool.senders(), of_sender);
        if !has_room && !self.mempool.contains(&checked.id) {
            return Err(Refused::Full(self.mempool.len()));
        }
        let (snapshot, time) = (self.machine.snapshot(), self.judging_time());
        self.mempool.insert(checked, &snapshot, time)
    }

    /// The time by which expiry is judged before a block does: this machine's clock, but never behind the ledger's.
    pub fn judging_time(&self) -> Timestamp {
        self.machine.block_time().max(self.tip.time)
    }

    fn tell_transactions(&mut self) {
        self.tell_at = None;
        self.untold_bytes = 0;
        if !self.untold.is_empty() {
            let batch = gossip::encode_batch(&std::mem::take(&mut self.untold));
            self.machine.publish(Channel::Transactions, batch);
        }
    }

    /// Does what is due by now: gossips collected transactions, lets timers elapse, checks what else is due, and begins
    /// a height if there is work.
    ///
    /// # Errors
    /// When the process must end.
    pub fn advance(&mut self) -> Result<(), HostError> {
        let now = self.machine.now();
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_transactions();
        }
        while let Some(timer) = self.timers.pop_due(now) {
            self.drive(Input::Timeout(timer))?;
        }
        self.ask_if_due();
        if self.tick_at <= now {
            self.tick_at = now.plus(TICK);
            self.mempool.expire(self.tip.time);
            self.look_for_blocks();
        }
        self.retire_key()?;
        while self.replica.is_finalized() && self.has_work() {
            self.start_height()?;
        }
        Ok(())
    }

    /// Whether there is a reason to make a block.
    pub fn has_work(&self) -> bool {
        let now = self.machine.block_time();
        !self.mempool.is_empty()
            || self.unsealed
            || self.deadline.is_some_and(|deadline| deadline <= now)
            || self.tip.time.plus_ms(self.parameters.heartbeat_ms) <= now
    }

    /// Destroys the consensus key once the ledger has retired it, and continues with a new one. The last-signed record
    /// of the old one only makes the new one more careful.
    fn retire_key(&mut self) -> Result<(), HostError> {
        let Some(key) = self.key() else { return Ok(()) };
        if self.tip.has_key(&key) {
            self.decides = true;
        }
        // Only between heights: a replica at work must not lose its key.
        else if self.decides && self.replica.is_finalized() {
            self.decides = false;
            let retired = self.tip.retired(&self.machine.snapshot(), &key)?;
            if let Some(key) = retired.and_then(|retired| self.machine.replace_key(&retired)) {
                let last_signed = self.replica.last_signed().clone();
                self.replica = Replica::new(Some(key.clone()), last_signed, &self.tip);
                self.seen.forget();
                self.timers.cancel_all();
                self.key = Some(key);
            }
        }
        Ok(())
    }
}
