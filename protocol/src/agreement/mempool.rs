//! Transactions that wait for a block: bounded, and fair to senders.
//!
//! Pure bookkeeping without a clock of its own. A batch gives each sender its share of the block by weight, with each
//! sender's oldest transactions first. So one sender's flood, or its few heavy transactions, delays that sender and
//! nobody else. No sender has more than a part of the room ([`limits::MEMPOOL_SENDERS`]), of transactions, bytes and
//! weight alike; and when all the room is taken, the sender that has most of it makes way for one that has less.
//!
//! An entry was checked before it came in (form, signatures, sender). Its id is remembered as verified, so a peer
//! checks a signature once, whether the transaction arrives alone or in a block.

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
        transaction.check_form(network)?;
        transaction.check_signatures()?;
        let (id, weight) = (transaction.id(), load::of(&transaction));
        Ok(Self { id, size_bytes: transaction.encode().len(), weight, transaction })
    }
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

    fn by(self, quota: Quota) -> u64 {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        match quota {
            Quota::Transactions => count(self.transactions),
            Quota::Bytes => count(self.size_bytes),
            Quota::Weight => self.weight.get(),
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    by_arrival: VecDeque<TransactionId>,
    sums: Sums,
    /// The weight that it could have had in batches without it.
    credit: Weight,
}

/// A sender's place in a batch: the one that has had least is next.
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

/// The transactions that wait.
#[derive(Debug, Default)]
pub struct Mempool {
    entries: BTreeMap<TransactionId, Checked>,
    senders: BTreeMap<AccountId, Waiting>,
    by_weight: BTreeSet<(Weight, AccountId)>,
    by_expiry: BTreeSet<(Timestamp, TransactionId)>,
    sums: Sums,
    /// The sender whose turn was last.
    last_served: Option<AccountId>,
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

    /// Whether a transaction with this id is waiting.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.entries.contains_key(id)
    }

    /// Whether this very transaction is waiting, with the same signatures, and so was verified by this peer.
    pub fn holds(&self, transaction: &Transaction) -> bool {
        self.entries.get(&transaction.id()).is_some_and(|entry| entry.transaction == *transaction)
    }

    /// Inserts a transaction, if the state allows its sender to act; `time` is the block time by which it is judged. If
    /// there is no room, the newest transaction of the sender that has most of it makes way, if the new one's sender
    /// has less.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn insert(&mut self, checked: Checked, state: &impl StateRead, time: Timestamp) -> Result<(), Refused> {
        let body = &checked.transaction.body;
        if self.entries.contains_key(&checked.id) {
            return Err(Refused::Known(checked.id));
        }
        self.require_quota(&checked, false)?;
        check_expiry(body.expires, time)?;
        let sender = check_sender(&checked.transaction, state)?;
        self.require_quota(&checked, sender.suspended.is_some())?;
        if read::<Seen>(state, &(body.expires, checked.id))?.is_some() {
            return Err(Rejection::Replayed.into());
        }
        self.make_room(&checked)?;
        self.change_sums(body.sender, |sums| sums.plus(Sums::of(&checked)));
        self.senders.entry(body.sender).or_default().by_arrival.push_back(checked.id);
        self.by_expiry.insert((body.expires, checked.id));
        self.entries.insert(checked.id, checked);
        Ok(())
    }

    fn require_quota(&self, checked: &Checked, suspended: bool) -> Result<(), Refused> {
        let account = checked.transaction.body.sender;
        let before = self.sums_of(&account);
        let after = before.plus(Sums::of(checked));
        for quota in [Quota::Transactions, Quota::Bytes, Quota::Weight] {
            let max = quota.max(suspended);
            if after.by(quota) > max {
                return Err(Refused::SenderFull { account, quota, waiting: before.by(quota), max });
            }
        }
        Ok(())
    }

    fn make_room(&mut self, checked: &Checked) -> Result<(), Refused> {
        let sender = checked.transaction.body.sender;
        let own = self.sums_of(&sender).plus(Sums::of(checked));
        while !self.sums.plus(Sums::of(checked)).fit() {
            let most = self.by_weight.last().filter(|(weight, most)| *most != sender && *weight > own.weight);
            let newest = most.and_then(|(_, most)| self.senders.get(most)?.by_arrival.back().copied());
            let newest = newest.ok_or(Refused::Full(self.entries.len()))?;
            self.remove(&[newest]);
        }
        Ok(())
    }

    fn sums_of(&self, sender: &AccountId) -> Sums {
        self.senders.get(sender).map_or_else(Sums::default, |waiting| waiting.sums)
    }

    /// Updates the sums of a sender, and of all.
    fn change_sums(&mut self, sender: AccountId, change: impl Fn(Sums) -> Sums) {
        let waiting = self.senders.entry(sender).or_default();
        self.by_weight.remove(&(waiting.sums.weight, sender));
        waiting.sums = change(waiting.sums);
        if waiting.sums.transactions > 0 {
            self.by_weight.insert((waiting.sums.weight, sender));
        }
        self.sums = change(self.sums);
    }

    /// A batch for a block: the senders share it by weight, with at most `per_sender` transactions of each and `max` in
    /// total, within the limits of a block. The transactions stay until [`Mempool::remove`].
    ///
    /// The sender that has had least of the block is next, so a heavy transaction waits while there are light ones of
    /// others. But what a sender could have had and did not is credited to it in the next batch, so its turn comes.
    pub fn batch(&mut self, per_sender: usize, max: usize) -> Vec<Transaction> {
        let max = max.min(limits::BLOCK_TRANSACTIONS);
        // Leaves room for the header and the list's own bytes.
        let mut bytes = limits::BLOCK_SIZE_BYTES.saturating_sub(1_024);
        let mut weight = limits::BLOCK_WEIGHT;
        let order: Vec<AccountId> = self.turn_order().collect();
        let begin = |(place, sender): (usize, &AccountId)| self.turn(*sender, place, (0, Weight::ZERO));
        let mut turns: BinaryHeap<Reverse<Turn>> = order.iter().enumerate().filter_map(begin).map(Reverse).collect();
        let mut batch = Vec::new();
        let mut served = BTreeSet::new();
        while let Some(Reverse(turn)) = turns.pop() {
            if batch.len() >= max {
                break;
            }
            let Some(entry) = self.next_of(&turn.sender, turn.taken) else { continue };
            let used = turn.used.plus(entry.weight);
            let fits = entry.size_bytes <= bytes && entry.weight <= weight && used <= limits::SENDER_WEIGHT;
            // Those behind it must wait too: a sender's transactions stay in order.
            if !fits {
                continue;
            }
            (bytes, weight) = (bytes.saturating_sub(entry.size_bytes), weight.minus(entry.weight));
            batch.push(entry.transaction.clone());
            served.insert(turn.sender);
            self.last_served = Some(turn.sender);
            let taken = turn.taken.saturating_add(1);
            if taken < per_sender {
                turns.extend(self.turn(turn.sender, turn.place, (taken, used)).map(Reverse));
            }
        }
        self.credit(&served, limits::BLOCK_WEIGHT.minus(weight));
        batch
    }

    fn next_of(&self, sender: &AccountId, taken: usize) -> Option<&Checked> {
        self.entries.get(self.senders.get(sender)?.by_arrival.get(taken)?)
    }

    fn turn(&self, sender: AccountId, place: usize, (taken, used): (usize, Weight)) -> Option<Turn> {
        let credit = self.senders.get(&sender)?.credit;
        let had = used.plus(self.next_of(&sender, taken)?.weight).minus(credit);
        Some(Turn { had, place, sender, taken, used })
    }

    /// Senders that got nothing are credited with the average of the others.
    fn credit(&mut self, served: &BTreeSet<AccountId>, used: Weight) {
        let count = u64::try_from(served.len()).unwrap_or(u64::MAX);
        let share = Weight::new(used.get().checked_div(count).unwrap_or(0));
        for (sender, waiting) in &mut self.senders {
            let credit = if served.contains(sender) { Weight::ZERO } else { waiting.credit.plus(share) };
            waiting.credit = credit.min(limits::SENDER_WEIGHT);
        }
    }

    /// The senders, starting with the one after the last served.
    fn turn_order(&self) -> impl Iterator<Item = AccountId> + '_ {
        let after = |sender: &AccountId| self.last_served.is_none_or(|last| *sender > last);
        let first = self.senders.keys().copied().filter(move |sender| after(sender));
        let rest = self.senders.keys().copied().filter(move |sender| !after(sender));
        first.chain(rest)
    }

    /// Removes transactions that a block has executed, or that can no longer be executed.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a TransactionId>) {
        let mut touched = BTreeSet::new();
        for id in ids {
            if let Some(entry) = self.entries.remove(id) {
                let sender = entry.transaction.body.sender;
                self.by_expiry.remove(&(entry.transaction.body.expires, *id));
                self.change_sums(sender, |sums| sums.minus(Sums::of(&entry)));
                touched.insert(sender);
            }
        }
        for sender in touched {
            if let Some(waiting) = self.senders.get_mut(&sender) {
                waiting.by_arrival.retain(|id| self.entries.contains_key(id));
                if waiting.by_arrival.is_empty() {
                    self.senders.remove(&sender);
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ground::{
            crypto::SigningKey,
            ids::{ArtifactId, ContributionId, Handle, Height, Name, ProposalId, PublicKey, Signature},
            state::{Direction, Entry, Record},
        },
        rules::{
            account::KeyPolicy,
            action::Action,
            attestation::{Attest, Finding},
            contribution::AcceptContribution,
            proposal::ExecuteProposal,
            transaction::TransactionBody,
        },
    };
    use std::sync::OnceLock;

    struct Accounts(BTreeMap<Vec<u8>, Vec<u8>>);

    impl StateRead for Accounts {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(self.0.get(key).cloned())
        }
        fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
            Ok(Vec::new())
        }
    }

    fn key(number: u8) -> SigningKey {
        SigningKey::from_seed(&[number; 32])
    }

    fn accounts(numbers: &[u8]) -> Accounts {
        let account = |number: &u8| {
            let handle = Handle::new(format!("account-{number}")).expect("handle");
            let keys = KeyPolicy::single(key(*number).public_key());
            Account::new(AccountId::from_bytes([*number; 32]), handle, keys, Height::ZERO)
        };
        Accounts(
            numbers
                .iter()
                .map(account)
                .map(|a| (Account::key_bytes(&a.id), crate::ground::codec::encode(&a)))
                .collect(),
        )
    }

    fn transaction(sender: u8, nonce: u64, expires: u64) -> Checked {
        let action = AcceptContribution { contribution: ContributionId::from_bytes([0; 32]) };
        asking(sender, nonce, expires, Action::AcceptContribution(action))
    }

    /// Signed in name only: the mempool asks whose the keys are, not whether they signed.
    fn asking(sender: u8, nonce: u64, expires: u64, action: Action) -> Checked {
        static KEYS: OnceLock<Vec<PublicKey>> = OnceLock::new();
        let keys = KEYS.get_or_init(|| (0..=u8::MAX).map(|number| key(number).public_key()).collect());
        let body = TransactionBody {
            network: NetworkId::from_bytes([0; 32]),
            sender: AccountId::from_bytes([sender; 32]),
            nonce,
            expires: Timestamp::new(expires),
            action,
            signers: vec![keys[usize::from(sender)]],
        };
        let transaction = Transaction { body, signatures: vec![Signature::from_bytes([0; 64])] };
        transaction.check_form(NetworkId::from_bytes([0; 32])).expect("in form");
        let (id, weight) = (transaction.id(), load::of(&transaction));
        Checked { id, size_bytes: transaction.encode().len(), weight, transaction }
    }

    /// A heavy transaction.
    fn heavy(sender: u8, nonce: u64) -> Checked {
        let proposal = ProposalId::from_bytes([0; 32]);
        asking(sender, nonce, 1_000, Action::ExecuteProposal(ExecuteProposal { proposal }))
    }

    /// A transaction with many bytes.
    fn long(sender: u8, nonce: u64) -> Checked {
        let note = "n".repeat(limits::TEXT_SIZE_BYTES);
        let (artifact, statement) = (ArtifactId::of(b""), Name::new("statement").expect("a name"));
        let finding = Finding::Passed;
        let attest = Attest { artifact, statement, finding, evidence: None, note };
        asking(sender, nonce, 1_000, Action::Attest(attest))
    }

    fn full_by(pool: &mut Mempool, state: &Accounts, make: impl Fn(u64) -> Checked) -> (u64, Refused) {
        for nonce in 0.. {
            if let Err(refused) = pool.insert(make(nonce), state, Timestamp::ZERO) {
                return (nonce, refused);
            }
        }
        panic!("no end of room")
    }

    #[test]
    fn a_flood_delays_its_sender_and_nobody_else() {
        let (state, mut pool) = (accounts(&[1, 2, 3]), Mempool::new());
        for nonce in 0..100 {
            pool.insert(transaction(1, nonce, 1_000), &state, Timestamp::ZERO).expect("room");
        }
        pool.insert(transaction(2, 0, 1_000), &state, Timestamp::ZERO).expect("room");
        pool.insert(transaction(3, 0, 1_000), &state, Timestamp::ZERO).expect("room");
        let senders: Vec<u8> =
            pool.batch(50, limits::BLOCK_TRANSACTIONS).iter().map(|t| t.body.sender.as_bytes()[0]).collect();
        assert_eq!(senders.len(), 52);
        assert!(senders[..3].contains(&2) && senders[..3].contains(&3), "{senders:?}");
    }

    #[test]
    fn no_sender_has_more_than_its_part_of_the_room_by_any_measure() {
        let state = accounts(&[1]);
        let by = |make: &dyn Fn(u64) -> Checked| full_by(&mut Mempool::new(), &state, make);
        let (taken, refused) = by(&|nonce| transaction(1, nonce, 1_000));
        assert!(matches!(refused, Refused::SenderFull { quota: Quota::Transactions, .. }), "{refused}");
        assert_eq!(taken, Quota::Transactions.max(false));
        let (taken, refused) = by(&|nonce| long(1, nonce));
        let Refused::SenderFull { quota: Quota::Bytes, waiting, max, .. } = refused else { panic!("{refused}") };
        assert!(waiting <= max && taken * (limits::TEXT_SIZE_BYTES as u64) < max, "{taken}: {waiting} of {max}");
        let (taken, refused) = by(&|nonce| heavy(1, nonce));
        let Refused::SenderFull { quota: Quota::Weight, waiting, max, .. } = refused else { panic!("{refused}") };
        assert!(waiting <= max && taken * limits::DECISION_WEIGHT.get() <= max, "{taken}: {waiting} of {max}");
    }

    #[test]
    fn who_has_most_of_a_full_mempool_makes_way_for_who_has_less() {
        let senders: Vec<u8> = (1..=20).collect();
        let (state, mut pool) = (accounts(&senders), Mempool::new());
        for sender in 1..=16 {
            let (_, refused) = full_by(&mut pool, &state, |nonce| heavy(sender, nonce));
            assert!(matches!(refused, Refused::SenderFull { .. }), "{refused}");
        }
        pool.insert(transaction(20, 0, 1_000), &state, Timestamp::ZERO).expect("little");
        pool.insert(heavy(19, 0), &state, Timestamp::ZERO).expect("less than each of the others has");
        assert!(pool.sums.fit(), "{:?}", pool.sums);
        // In the end each has as much as the others, and none gets more.
        let (taken, refused) = full_by(&mut pool, &state, |nonce| heavy(18, nonce));
        assert!(matches!(refused, Refused::Full(_)), "{refused}");
        assert!(taken >= 50, "{taken} beside {}", pool.waiting_of(&AccountId::from_bytes([1; 32])));
        let sums = pool.senders.values().fold(Sums::default(), |sums, waiting| sums.plus(waiting.sums));
        assert_eq!((sums, pool.len()), (pool.sums, pool.entries.len()));
    }

    #[test]
    fn a_block_is_shared_by_weight_and_the_heavy_get_their_turn() {
        let (state, mut pool) = (accounts(&[1, 2, 3, 4, 5]), Mempool::new());
        for sender in 1..=5 {
            for nonce in 0..(if sender == 1 { 6 } else { 1_500 }) {
                let one = if sender == 1 { heavy(1, nonce) } else { transaction(sender, nonce, 1_000) };
                pool.insert(one, &state, Timestamp::ZERO).expect("room");
            }
        }
        let mut of_heavy = Vec::new();
        for _ in 0..3 {
            let batch = pool.batch(8_192, 8_192);
            let weight = |sender: u8| {
                let of = |one: &&Transaction| *one.body.sender.as_bytes() == [sender; 32];
                batch.iter().filter(of).map(|one| load::of(one).get()).sum::<u64>()
            };
            let weights: Vec<u64> = (1..=5).map(weight).collect();
            assert!(weights.iter().sum::<u64>() <= limits::BLOCK_WEIGHT.get(), "{weights:?}");
            assert!(weights.iter().all(|weight| *weight <= limits::SENDER_WEIGHT.get()), "{weights:?}");
            assert!(weights[1..].iter().all(|weight| *weight > 100_000), "{weights:?}");
            of_heavy.push(batch.iter().filter(|one| *one.body.sender.as_bytes() == [1; 32]).count());
            pool.remove(&batch.iter().map(Transaction::id).collect::<Vec<_>>());
        }
        assert_eq!(of_heavy.iter().sum::<usize>(), 6, "{of_heavy:?}");
    }

    #[test]
    fn one_heavy_transaction_waits_for_light_ones_of_others_but_not_for_ever() {
        let senders: Vec<u8> = (1..=200).collect();
        let (state, mut pool) = (accounts(&senders), Mempool::new());
        pool.insert(heavy(1, 0), &state, Timestamp::ZERO).expect("room");
        for sender in 2..=200 {
            for nonce in 0..40 {
                pool.insert(transaction(sender, nonce, 1_000), &state, Timestamp::ZERO).expect("room");
            }
        }
        let mut blocks = 0;
        while pool.waiting_of(&AccountId::from_bytes([1; 32])) > 0 {
            let batch = pool.batch(8_192, 200);
            assert_eq!(batch.len(), 200, "after {blocks} blocks");
            pool.remove(&batch.iter().map(Transaction::id).collect::<Vec<_>>());
            for sender in 2..=200 {
                let _ = pool.insert(transaction(sender, 1_000 + blocks, 1_000), &state, Timestamp::ZERO);
            }
            blocks += 1;
            assert!(blocks < 200, "it never comes");
        }
        assert!(blocks > 1, "it weighs as much as many light ones");
    }

    #[test]
    fn each_entry_waits_once_and_leaves_nothing_behind() {
        let (state, mut pool) = (accounts(&[1]), Mempool::new());
        let (one, two) = (transaction(1, 1, 500), transaction(1, 2, 900));
        pool.insert(one.clone(), &state, Timestamp::ZERO).expect("room");
        assert_eq!(pool.insert(one.clone(), &state, Timestamp::ZERO), Err(Refused::Known(one.id)));
        pool.insert(two.clone(), &state, Timestamp::ZERO).expect("room");
        assert_eq!(pool.expire(Timestamp::new(501)), 1);
        assert!(!pool.contains(&one.id) && pool.contains(&two.id));
        pool.remove(&[two.id]);
        assert!(
            pool.is_empty()
                && pool.sums == Sums::default()
                && pool.by_weight.is_empty()
                && pool.senders.is_empty()
                && pool.by_expiry.is_empty()
        );
    }

    #[test]
    fn what_was_executed_stays_out() {
        let (mut state, mut pool) = (accounts(&[1]), Mempool::new());
        let one = transaction(1, 1, 500);
        let seen = Seen::key_bytes(&(one.transaction.body.expires, one.id));
        state.0.insert(seen, crate::ground::codec::encode(&Seen));
        assert_eq!(pool.insert(one, &state, Timestamp::ZERO), Err(Rejection::Replayed.into()));
        pool.insert(transaction(1, 2, 500), &state, Timestamp::ZERO).expect("another");
    }

    #[test]
    fn only_the_signatures_that_were_checked_pass_as_verified() {
        let (state, mut pool) = (accounts(&[1]), Mempool::new());
        let one = transaction(1, 1, 500);
        let forged = Transaction { signatures: vec![Signature::from_bytes([9; 64])], ..one.transaction.clone() };
        pool.insert(one.clone(), &state, Timestamp::ZERO).expect("room");
        assert_eq!(forged.id(), one.id, "an id does not cover signatures");
        assert!(pool.holds(&one.transaction) && !pool.holds(&forged));
    }

    #[test]
    fn one_sender_alone_has_no_more_of_a_block_than_its_part() {
        let (state, mut pool) = (accounts(&[1]), Mempool::new());
        let (taken, _) = full_by(&mut pool, &state, |nonce| heavy(1, nonce));
        let batch = pool.batch(8_192, 8_192);
        let weight: u64 = batch.iter().map(|one| load::of(one).get()).sum();
        assert!(weight <= limits::SENDER_WEIGHT.get() && !batch.is_empty(), "{weight}");
        assert!((batch.len() as u64) < taken, "some wait for the next block");
    }

    #[test]
    fn strangers_and_expired_transactions_stay_out() {
        let (state, mut pool) = (accounts(&[1]), Mempool::new());
        let stranger = pool.insert(transaction(9, 0, 1_000), &state, Timestamp::ZERO);
        assert!(matches!(stranger, Err(Refused::Rejected(Rejection::UnknownAccount(_)))), "{stranger:?}");
        let late = pool.insert(transaction(1, 0, 10), &state, Timestamp::new(11));
        assert!(matches!(late, Err(Refused::Rejected(Rejection::Expired { .. }))), "{late:?}");
    }
}
