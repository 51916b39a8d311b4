//! Transactions that wait for a block: bounded, and fair to senders.
//!
//! Pure bookkeeping without a clock of its own. Accounts are cheap to those who admit them, so fairness is first between
//! founding accounts, each with all accounts that go back to it, and then between the accounts of each. A batch gives
//! each its share of the block by weight, with each sender's oldest transactions first. So a flood, or a few heavy
//! transactions, delays their sender, and those of many accounts delay whoever admitted them. No sender has more than a
//! part of the room ([`limits::MEMPOOL_SENDERS`]), of transactions, bytes and weight alike; and when all the room is
//! taken, who has most of it makes way for who has less, by whichever of the three it has most.
//!
//! An entry was checked before it came in (form, signatures, sender). Its id is remembered as verified, so a peer
//! checks a signature once, whether the transaction arrives alone or in a block. Other threads see in [`Room`] what
//! would be refused, before they check a signature for nothing.

mod room;
#[cfg(test)]
mod tests;

pub use room::Room;

use crate::{
    ground::{
        ids::{AccountId, NetworkId, Timestamp, TransactionId},
        invalid::Invalid,
        limits,
        state::{StateError, StateRead, read},
        weight::Weight,
    },
    ledger::execute::{Seen, check_expiry},
    rules::{account::Account, load, rejection::Rejection, transaction::Transaction},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    fmt,
};

/// A quantity that a mempool bounds per sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Its waiting transactions.
    Transactions,
    /// The bytes of its waiting transactions.
    Bytes,
    /// The weight of its waiting transactions.
    Weight,
}

impl Quota {
    /// The maximum for one sender.
    pub const fn max(self, suspended: bool) -> u64 {
        let parts = limits::MEMPOOL_SENDERS as u64;
        match self {
            Self::Transactions if suspended => limits::MEMPOOL_TRANSACTIONS_PER_SUSPENDED as u64,
            Self::Transactions => (limits::MEMPOOL_TRANSACTIONS as u64).div_euclid(parts),
            Self::Bytes => (limits::MEMPOOL_SIZE_BYTES as u64).div_euclid(parts),
            Self::Weight => limits::MEMPOOL_WEIGHT.get().div_euclid(parts),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transactions => "transactions",
            Self::Bytes => "bytes",
            Self::Weight => "units of weight",
        })
    }
}

/// Why a transaction was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No state could make it valid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The current state does not allow it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It is already waiting here.
    #[error("transaction {0} is waiting already")]
    Known(TransactionId),
    /// The mempool is full.
    #[error("this peer is busy: {0} transactions wait for a block; try again in a second")]
    Full(usize),
    /// There is no room for this sender.
    #[error(
        "account {account} has {waiting} {quota} waiting for a block, and with this one more than the {max} that one \
         sender may have here; wait until some are in a block, and hand it in again"
    )]
    SenderFull {
        /// The sender.
        account: AccountId,
        /// The quantity that it exceeds.
        quota: Quota,
        /// How much is waiting.
        waiting: u64,
        /// How much may wait.
        max: u64,
    },
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Refused {
    /// A stable code for programs and metrics: the name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(invalid) => invalid.code(),
            Self::Rejected(rejection) => rejection.code(),
            Self::Known(_) => "known",
            Self::Full(_) => "mempool_full",
            Self::SenderFull { .. } => "sender_full",
            Self::State(_) => "state",
        }
    }
}

/// A transaction with values that were computed once.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its id.
    pub id: TransactionId,
    /// Its encoded size in bytes.
    pub size_bytes: usize,
    /// Its weight.
    pub weight: Weight,
    /// The transaction itself.
    pub transaction: Transaction,
}

impl Checked {
    /// Checks form and signatures: the expensive part, which needs no state and can run on any thread.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(transaction: Transaction, network: NetworkId) -> Result<Self, Invalid> {
        Formed::new(transaction, network)?.check_signatures()
    }
}

/// A transaction in the right form, whose signatures may be anybody's.
#[derive(Clone, Debug)]
pub(crate) struct Formed(Checked);

impl Formed {
    /// Checks the form: the cheap part.
    pub(crate) fn new(transaction: Transaction, network: NetworkId) -> Result<Self, Invalid> {
        transaction.check_form(network)?;
        let (id, weight) = (transaction.id(), load::of(&transaction));
        Ok(Self(Checked { id, size_bytes: transaction.encode().len(), weight, transaction }))
    }

    pub(crate) fn check_signatures(self) -> Result<Checked, Invalid> {
        self.0.transaction.check_signatures()?;
        Ok(self.0)
    }

    pub(crate) const fn id(&self) -> TransactionId {
        self.0.id
    }

    const fn sender(&self) -> AccountId {
        self.0.transaction.body.sender
    }

    fn sums(&self) -> Sums {
        Sums::of(&self.0)
    }

    /// Checks everything that can keep it out of a mempool, except for its signatures; the cheapest first. `time` is the
    /// block time by which it is judged.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(crate) fn check(&self, state: &impl StateRead, time: Timestamp, room: &Room) -> Result<(), Refused> {
        let transaction = &self.0.transaction;
        check_expiry(transaction.body.expires, time)?;
        room.check(self, false)?;
        let sender = check_sender(transaction, state)?;
        if sender.suspended.is_some() {
            room.check(self, true)?;
        }
        require_new(self.id(), transaction.body.expires, state)
    }
}

/// Checks that a transaction was not executed yet.
fn require_new(id: TransactionId, expires: Timestamp, state: &impl StateRead) -> Result<(), Refused> {
    let seen = read::<Seen>(state, &(expires, id))?.is_some();
    if seen { Err(Rejection::Replayed.into()) } else { Ok(()) }
}

/// The founding account to which an account goes back, over whoever admitted it.
fn founder_of(account: &Account, state: &impl StateRead) -> Result<AccountId, StateError> {
    let (mut founder, mut next) = (account.id, account.sponsor);
    // The rules keep the chain this short.
    for _ in 0..limits::SPONSOR_CHAIN {
        let Some(sponsor) = next else { break };
        founder = sponsor;
        next = read::<Account>(state, &sponsor)?.and_then(|account| account.sponsor);
    }
    Ok(founder)
}

/// The sender, if it exists and the signing keys speak for it. [`Checked::new`] checks that they did sign, which costs
/// far more: for transactions from strangers, a peer calls this first.
///
/// # Errors
/// [`Refused::Rejected`] or [`Refused::State`].
pub fn check_sender(transaction: &Transaction, state: &impl StateRead) -> Result<Account, Refused> {
    let sender = transaction.body.sender;
    let account = read::<Account>(state, &sender)?.ok_or(Rejection::UnknownAccount(sender))?;
    account.authorises(transaction)?;
    Ok(account)
}

/// The sums of what waits, of one sender or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    transactions: usize,
    size_bytes: usize,
    weight: Weight,
}

impl Sums {
    fn of(checked: &Checked) -> Self {
        Self { transactions: 1, size_bytes: checked.size_bytes, weight: checked.weight }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            transactions: self.transactions.saturating_add(other.transactions),
            size_bytes: self.size_bytes.saturating_add(other.size_bytes),
            weight: self.weight.plus(other.weight),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            transactions: self.transactions.saturating_sub(other.transactions),
            size_bytes: self.size_bytes.saturating_sub(other.size_bytes),
            weight: self.weight.minus(other.weight),
        }
    }

    const fn fit(self) -> bool {
        self.transactions <= limits::MEMPOOL_TRANSACTIONS
            && self.size_bytes <= limits::MEMPOOL_SIZE_BYTES
            && self.weight.get() <= limits::MEMPOOL_WEIGHT.get()
    }

    /// The part of all room, in millionths, by the measure of which it is most.
    fn share(self) -> u64 {
        let room = Self {
            transactions: limits::MEMPOOL_TRANSACTIONS,
            size_bytes: limits::MEMPOOL_SIZE_BYTES,
            weight: limits::MEMPOOL_WEIGHT,
        };
        let part = |quota| self.by(quota).saturating_mul(1_000_000).checked_div(room.by(quota)).unwrap_or(0);
        [Quota::Transactions, Quota::Bytes, Quota::Weight].map(part).into_iter().max().unwrap_or(0)
    }

    fn by(self, quota: Quota) -> u64 {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        match quota {
            Quota::Transactions => count(self.transactions),
            Quota::Bytes => count(self.size_bytes),
            Quota::Weight => self.weight.get(),
        }
    }
}

/// What waits of one sender.
#[derive(Debug)]
struct Waiting {
    founder: AccountId,
    by_arrival: VecDeque<TransactionId>,
    sums: Sums,
    /// The weight that it could have had in batches without it.
    credit: Weight,
}

/// What waits of a founding account and all accounts that go back to it.
#[derive(Debug, Default)]
struct Founder {
    senders: BTreeSet<AccountId>,
    by_share: BTreeSet<(u64, AccountId)>,
    sums: Sums,
    /// The weight that they could have had in batches without any of them.
    credit: Weight,
    /// The one whose turn was last.
    last_served: Option<AccountId>,
}

/// A sender's place among those of its founder in a batch: the one that has had least is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// What it will have had with its next transaction, less its credit.
    had: Weight,
    /// Among equals, its distance behind the last one served.
    place: usize,
    sender: AccountId,
    taken: usize,
    used: Weight,
}

/// A founder's part in a batch that is being made.
struct Line {
    place: usize,
    turns: BinaryHeap<Reverse<Turn>>,
    used: Weight,
    credit: Weight,
    served: BTreeSet<AccountId>,
    last_served: Option<AccountId>,
}

/// A founder's place in a batch: what it will have had with its next transaction, less its credit; and among equals, its
/// distance behind the last one served.
type FoundersTurn = Reverse<(Weight, usize, AccountId)>;

/// The transactions that wait.
#[derive(Debug, Default)]
pub struct Mempool {
    entries: BTreeMap<TransactionId, Checked>,
    senders: BTreeMap<AccountId, Waiting>,
    founders: BTreeMap<AccountId, Founder>,
    founders_by_share: BTreeSet<(u64, AccountId)>,
    by_expiry: BTreeSet<(Timestamp, TransactionId)>,
    sums: Sums,
    /// The founder whose turn was last.
    last_served: Option<AccountId>,
    room: Room,
}

impl Mempool {
    /// An empty mempool.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of waiting transactions.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no transaction is waiting.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The encoded bytes of all waiting transactions.
    pub const fn size_bytes(&self) -> usize {
        self.sums.size_bytes
    }

    /// The weight of all waiting transactions.
    pub const fn weight(&self) -> Weight {
        self.sums.weight
    }

    /// The number of waiting transactions of one sender.
    pub fn waiting_of(&self, sender: &AccountId) -> usize {
        self.senders.get(sender).map_or(0, |waiting| waiting.sums.transactions)
    }

    /// The number of senders of which transactions wait.
    pub fn senders(&self) -> usize {
        self.senders.len()
    }

    /// The number of waiting transactions, counting of each sender no more than `part`.
    pub fn len_in_parts(&self, part: usize) -> usize {
        self.senders.values().map(|waiting| waiting.sums.transactions.min(part)).sum()
    }

    /// A view of what waits, for other threads.
    pub fn room(&self) -> Room {
        self.room.clone()
    }

    /// The waiting transaction with this id.
    pub fn get(&self, id: &TransactionId) -> Option<&Transaction> {
        self.entries.get(id).map(|entry| &entry.transaction)
    }

    /// How many transactions of the same sender go into blocks before this one. `None` if it is not waiting.
    pub fn ahead_of(&self, id: &TransactionId) -> Option<usize> {
        let sender = self.get(id)?.body.sender;
        self.senders.get(&sender)?.by_arrival.iter().position(|one| one == id)
    }

    /// Whether a transaction with this id is waiting.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.entries.contains_key(id)
    }

    /// Whether this very transaction is waiting, with the same signatures, and so was verified by this peer.
    pub fn holds(&self, transaction: &Transaction) -> bool {
        self.entries.get(&transaction.id()).is_some_and(|entry| entry.transaction == *transaction)
    }

    /// Inserts a transaction, if the state allows its sender to act; `time` is the block time by which it is judged. If
    /// there is no room, the newest transaction of who has most of it makes way, if the new one's sender has less.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn insert(&mut self, checked: Checked, state: &impl StateRead, time: Timestamp) -> Result<(), Refused> {
        let body = &checked.transaction.body;
        if self.entries.contains_key(&checked.id) {
            return Err(Refused::Known(checked.id));
        }
        let (before, new) = (self.sums_of(&body.sender), Sums::of(&checked));
        room::require_quota(body.sender, before, new, false)?;
        check_expiry(body.expires, time)?;
        let account = check_sender(&checked.transaction, state)?;
        room::require_quota(body.sender, before, new, account.suspended.is_some())?;
        require_new(checked.id, body.expires, state)?;
        let founder = match self.senders.get(&body.sender) {
            Some(waiting) => waiting.founder,
            None => founder_of(&account, state)?,
        };
        self.make_room(&checked, founder)?;
        self.change_sums(body.sender, founder, |sums| sums.plus(new));
        if let Some(waiting) = self.senders.get_mut(&body.sender) {
            waiting.by_arrival.push_back(checked.id);
        }
        self.by_expiry.insert((body.expires, checked.id));
        self.room.enter(checked.id);
        self.entries.insert(checked.id, checked);
        Ok(())
    }

    fn make_room(&mut self, checked: &Checked, founder: AccountId) -> Result<(), Refused> {
        while !self.sums.plus(Sums::of(checked)).fit() {
            let newest = self.who_makes_way(checked, founder).ok_or(Refused::Full(self.entries.len()))?;
            self.remove(&[newest]);
        }
        Ok(())
    }

    /// The newest transaction of the sender that has most, of the founder that has most.
    fn who_makes_way(&self, checked: &Checked, founder: AccountId) -> Option<TransactionId> {
        let (sender, new) = (checked.transaction.body.sender, Sums::of(checked));
        let of_founder = self.founders.get(&founder).map_or_else(Sums::default, |founder| founder.sums).plus(new);
        let (share, largest) = *self.founders_by_share.last()?;
        let gives = if largest != founder && share > of_founder.share() { largest } else { founder };
        let (share, most) = *self.founders.get(&gives)?.by_share.last()?;
        let has_less = most != sender && self.sums_of(&sender).plus(new).share() < share;
        if gives == founder && !has_less {
            return None;
        }
        self.senders.get(&most)?.by_arrival.back().copied()
    }

    fn sums_of(&self, sender: &AccountId) -> Sums {
        self.senders.get(sender).map_or_else(Sums::default, |waiting| waiting.sums)
    }

    /// Updates the sums of a sender, of its founder, and of all. Who has nothing left is forgotten.
    fn change_sums(&mut self, sender: AccountId, founder: AccountId, change: impl Fn(Sums) -> Sums) {
        self.sums = change(self.sums);
        let of_founder = self.founders.entry(founder).or_default();
        self.founders_by_share.remove(&(of_founder.sums.share(), founder));
        of_founder.sums = change(of_founder.sums);
        let begin = || Waiting { founder, by_arrival: VecDeque::new(), sums: Sums::default(), credit: Weight::ZERO };
        let waiting = self.senders.entry(sender).or_insert_with(begin);
        of_founder.by_share.remove(&(waiting.sums.share(), sender));
        waiting.sums = change(waiting.sums);
        let sums = waiting.sums;
        self.room.set(sender, sums);
        if sums.transactions > 0 {
            of_founder.by_share.insert((sums.share(), sender));
            of_founder.senders.insert(sender);
        } else {
            of_founder.senders.remove(&sender);
            self.senders.remove(&sender);
        }
        if of_founder.senders.is_empty() {
            self.founders.remove(&founder);
        } else {
            self.founders_by_share.insert((of_founder.sums.share(), founder));
        }
    }

    /// A batch for a block: founders share it by weight, and the senders of each share its part, with at most
    /// `per_sender` transactions of each and `max` in total, within the limits of a block. The transactions stay until
    /// [`Mempool::remove`].
    ///
    /// Who has had least of the block is next, so a heavy transaction waits while there are light ones of others. But
    /// what somebody could have had and did not is credited in the next batch, so every turn comes.
    pub fn batch(&mut self, per_sender: usize, max: usize) -> Vec<Transaction> {
        let max = max.min(limits::BLOCK_TRANSACTIONS);
        // Leaves room for the header and the list's own bytes.
        let mut bytes = limits::BLOCK_SIZE_BYTES.saturating_sub(1_024);
        let mut weight = limits::BLOCK_WEIGHT;
        let mut lines = self.lines();
        let begin = |(founder, line): (&AccountId, &Line)| self.founders_turn(*founder, line);
        let mut turns: BinaryHeap<FoundersTurn> = lines.iter().filter_map(begin).collect();
        let (mut batch, mut last_served) = (Vec::new(), self.last_served);
        while let Some(Reverse((_, _, founder))) = turns.pop() {
            if batch.len() >= max {
                break;
            }
            let Some(line) = lines.get_mut(&founder) else { continue };
            let Some(Reverse(turn)) = line.turns.pop() else { continue };
            let Some(entry) = self.next_of(&turn.sender, turn.taken) else { continue };
            let used = turn.used.plus(entry.weight);
            let fits = entry.size_bytes <= bytes && entry.weight <= weight && used <= limits::SENDER_WEIGHT;
            if !fits && line.served.is_empty() {
                // The others of its family wait with it. If they took what is left, the family would be served, and its
                // turn would never come.
                continue;
            }
            // Otherwise those behind it must wait too: a sender's transactions stay in order.
            if fits {
                (bytes, weight) = (bytes.saturating_sub(entry.size_bytes), weight.minus(entry.weight));
                batch.push(entry.transaction.clone());
                line.used = line.used.plus(entry.weight);
                line.served.insert(turn.sender);
                line.last_served = Some(turn.sender);
                last_served = Some(founder);
                let taken = turn.taken.saturating_add(1);
                if taken < per_sender {
                    line.turns.extend(self.turn(turn.sender, turn.place, (taken, used)).map(Reverse));
                }
            }
            turns.extend(self.founders_turn(founder, line));
        }
        self.last_served = last_served;
        self.credit(&lines, limits::BLOCK_WEIGHT.minus(weight));
        batch
    }

    /// Everybody who waits, at the beginning of a batch.
    fn lines(&self) -> BTreeMap<AccountId, Line> {
        let line = |(place, id): (usize, AccountId)| {
            let founder = self.founders.get(&id)?;
            let senders = rotated(&founder.senders, founder.last_served).enumerate();
            let turns = senders.filter_map(|(place, sender)| self.turn(sender, place, (0, Weight::ZERO)));
            let (turns, credit) = (turns.map(Reverse).collect(), founder.credit);
            let (used, served, last_served) = (Weight::ZERO, BTreeSet::new(), founder.last_served);
            Some((id, Line { place, turns, used, credit, served, last_served }))
        };
        let founders: BTreeSet<AccountId> = self.founders.keys().copied().collect();
        rotated(&founders, self.last_served).enumerate().filter_map(line).collect()
    }

    fn next_of(&self, sender: &AccountId, taken: usize) -> Option<&Checked> {
        self.entries.get(self.senders.get(sender)?.by_arrival.get(taken)?)
    }

    fn turn(&self, sender: AccountId, place: usize, (taken, used): (usize, Weight)) -> Option<Turn> {
        let credit = self.senders.get(&sender)?.credit;
        let had = used.plus(self.next_of(&sender, taken)?.weight).minus(credit);
        Some(Turn { had, place, sender, taken, used })
    }

    fn founders_turn(&self, founder: AccountId, line: &Line) -> Option<FoundersTurn> {
        let Reverse(next) = line.turns.peek()?;
        let weight = self.next_of(&next.sender, next.taken)?.weight;
        Some(Reverse((line.used.plus(weight).minus(line.credit), line.place, founder)))
    }

    /// Who got nothing is credited with the average of the others.
    fn credit(&mut self, lines: &BTreeMap<AccountId, Line>, used: Weight) {
        let average = |used: Weight, count: usize| {
            Weight::new(used.get().checked_div(u64::try_from(count).unwrap_or(u64::MAX)).unwrap_or(0))
        };
        let share = average(used, lines.values().filter(|line| !line.served.is_empty()).count());
        for (id, line) in lines {
            let Some(founder) = self.founders.get_mut(id) else { continue };
            founder.last_served = line.last_served;
            if line.served.is_empty() {
                founder.credit = founder.credit.plus(share).min(limits::SENDER_WEIGHT);
                continue;
            }
            founder.credit = Weight::ZERO;
            let share = average(line.used, line.served.len());
            for sender in &founder.senders {
                let Some(waiting) = self.senders.get_mut(sender) else { continue };
                let credit = if line.served.contains(sender) { Weight::ZERO } else { waiting.credit.plus(share) };
                waiting.credit = credit.min(limits::SENDER_WEIGHT);
            }
        }
    }

    /// Removes transactions that a block has executed, or that can no longer be executed.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a TransactionId>) {
        let mut touched = BTreeSet::new();
        for id in ids {
            if let Some(entry) = self.entries.remove(id) {
                let sender = entry.transaction.body.sender;
                self.by_expiry.remove(&(entry.transaction.body.expires, *id));
                self.room.leave(id);
                let Some(waiting) = self.senders.get_mut(&sender) else { continue };
                // The oldest go into blocks, the newest make way.
                if waiting.by_arrival.front() == Some(id) {
                    waiting.by_arrival.pop_front();
                } else if waiting.by_arrival.back() == Some(id) {
                    waiting.by_arrival.pop_back();
                } else {
                    touched.insert(sender);
                }
                let founder = waiting.founder;
                self.change_sums(sender, founder, |sums| sums.minus(Sums::of(&entry)));
            }
        }
        for sender in touched {
            if let Some(waiting) = self.senders.get_mut(&sender) {
                waiting.by_arrival.retain(|id| self.entries.contains_key(id));
            }
        }
    }

    /// Removes what expired before `time`. Returns how many.
    pub fn expire(&mut self, time: Timestamp) -> usize {
        let expired: Vec<TransactionId> =
            self.by_expiry.iter().take_while(|(expires, _)| *expires < time).map(|(_, id)| *id).collect();
        self.remove(&expired);
        expired.len()
    }
}

/// The members of a set, starting with the one after `last`.
fn rotated(set: &BTreeSet<AccountId>, last: Option<AccountId>) -> impl Iterator<Item = AccountId> + '_ {
    let after = move |one: &AccountId| last.is_none_or(|last| *one > last);
    let first = set.iter().copied().filter(move |one| after(one));
    let rest = set.iter().copied().filter(move |one| !after(one));
    first.chain(rest)
}
