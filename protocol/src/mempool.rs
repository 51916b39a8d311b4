//! Transactions that wait for a block: bounded, and fair to senders.
//!
//! Pure bookkeeping, with no clock of its own. A batch takes turns between senders, the oldest of each first, so that
//! one sender's flood delays that sender and nobody else. An entry was checked before it came in (form, signatures,
//! sender); its id is remembered as verified, so that a peer checks a signature once, whether the transaction comes
//! alone or in a block.

use crate::{
    account::Account,
    execute::{Seen, check_expiry},
    ids::{AccountId, NetworkId, Timestamp, TransactionId},
    limits,
    rejection::Rejection,
    state::{StateError, StateRead, read},
    transaction::{Invalid, Transaction},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Why a transaction was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No state could make it valid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The present state does not allow it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It waits here already.
    #[error("transaction {0} is waiting already")]
    Known(TransactionId),
    /// No room.
    #[error("this peer is busy: {0} transactions wait for a block; try again in a second")]
    Full(usize),
    /// No room for this sender.
    #[error("account {account} has {waiting} transactions waiting, as many as one sender may have; wait for blocks")]
    SenderFull {
        /// Whose.
        account: AccountId,
        /// How many.
        waiting: usize,
    },
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A transaction with what was computed of it once.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its id.
    pub id: TransactionId,
    /// Its encoded size in bytes.
    pub size_bytes: usize,
    /// Itself.
    pub transaction: Transaction,
}

impl Checked {
    /// Checks form and signatures: the costly part, which needs no state and can run on any thread.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn new(transaction: Transaction, network: NetworkId) -> Result<Self, Invalid> {
        transaction.check_form(network)?;
        transaction.check_signatures()?;
        Ok(Self { id: transaction.id(), size_bytes: transaction.encode().len(), transaction })
    }
}

/// The sender, if it exists and the keys that sign speak for it. That they did sign is [`Checked::new`]'s affair, which
/// costs far more: a peer asks this first of what strangers send.
///
/// # Errors
/// [`Refused::Rejected`] or [`Refused::State`].
pub fn check_sender(transaction: &Transaction, state: &impl StateRead) -> Result<Account, Refused> {
    let sender = transaction.body.sender;
    let account = read::<Account>(state, &sender)?.ok_or(Rejection::UnknownAccount(sender))?;
    account.authorises(transaction)?;
    Ok(account)
}

#[derive(Debug, Default)]
struct Waiting {
    by_arrival: VecDeque<TransactionId>,
}

/// The transactions that wait.
#[derive(Debug, Default)]
pub struct Mempool {
    entries: BTreeMap<TransactionId, Checked>,
    senders: BTreeMap<AccountId, Waiting>,
    by_expiry: BTreeSet<(Timestamp, TransactionId)>,
    size_bytes: usize,
    /// Whose turn was last.
    last_served: Option<AccountId>,
}

impl Mempool {
    /// Nothing waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Their encoded bytes together.
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Whether a transaction of this id waits.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.entries.contains_key(id)
    }

    /// Whether this very transaction waits, signatures included, and so was verified by this peer.
    pub fn holds(&self, transaction: &Transaction) -> bool {
        self.entries.get(&transaction.id()).is_some_and(|entry| entry.transaction == *transaction)
    }

    /// Takes a transaction in, if the state gives its sender leave: `time` is the block time it is judged by.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn insert(&mut self, checked: Checked, state: &impl StateRead, time: Timestamp) -> Result<(), Refused> {
        let body = &checked.transaction.body;
        if self.entries.contains_key(&checked.id) {
            return Err(Refused::Known(checked.id));
        }
        let size_bytes = self.size_bytes.saturating_add(checked.size_bytes);
        if self.entries.len() >= limits::MEMPOOL_TRANSACTIONS || size_bytes > limits::MEMPOOL_SIZE_BYTES {
            return Err(Refused::Full(self.entries.len()));
        }
        let waiting = self.senders.get(&body.sender).map_or(0, |waiting| waiting.by_arrival.len());
        if waiting >= limits::MEMPOOL_TRANSACTIONS_PER_SENDER {
            return Err(Refused::SenderFull { account: body.sender, waiting });
        }
        check_expiry(body.expires, time)?;
        let sender = check_sender(&checked.transaction, state)?;
        if sender.suspended.is_some() && waiting >= limits::MEMPOOL_TRANSACTIONS_PER_SUSPENDED {
            return Err(Refused::SenderFull { account: sender.id, waiting });
        }
        if read::<Seen>(state, &(body.expires, checked.id))?.is_some() {
            return Err(Rejection::Replayed.into());
        }
        self.senders.entry(body.sender).or_default().by_arrival.push_back(checked.id);
        self.by_expiry.insert((body.expires, checked.id));
        self.size_bytes = size_bytes;
        self.entries.insert(checked.id, checked);
        Ok(())
    }

    /// A batch for a block: in turns between senders, at most `per_sender` of each and `max` of all, within the limits of
    /// a block. The transactions stay until [`Mempool::remove`].
    pub fn batch(&mut self, per_sender: usize, max: usize) -> Vec<Transaction> {
        let max = max.min(limits::BLOCK_TRANSACTIONS);
        // Room for the header and the list's own bytes.
        let mut room = limits::BLOCK_SIZE_BYTES.saturating_sub(1_024);
        let mut turns: VecDeque<(AccountId, usize)> = self.turn_order().map(|sender| (sender, 0)).collect();
        let mut batch = Vec::new();
        while let Some((sender, taken)) = turns.pop_front() {
            if batch.len() >= max {
                break;
            }
            let next = self
                .senders
                .get(&sender)
                .and_then(|waiting| waiting.by_arrival.get(taken))
                .and_then(|id| self.entries.get(id));
            let Some(entry) = next else { continue };
            let Some(left) = room.checked_sub(entry.size_bytes) else { break };
            room = left;
            batch.push(entry.transaction.clone());
            self.last_served = Some(sender);
            let taken = taken.saturating_add(1);
            if taken < per_sender {
                turns.push_back((sender, taken));
            }
        }
        batch
    }

    /// The senders, the one after the last served first.
    fn turn_order(&self) -> impl Iterator<Item = AccountId> + '_ {
        let after = |sender: &AccountId| self.last_served.is_none_or(|last| *sender > last);
        let first = self.senders.keys().copied().filter(move |sender| after(sender));
        let rest = self.senders.keys().copied().filter(move |sender| !after(sender));
        first.chain(rest)
    }

    /// Drops transactions that a block has executed, or that can no longer be executed.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a TransactionId>) {
        let mut touched = BTreeSet::new();
        for id in ids {
            if let Some(entry) = self.entries.remove(id) {
                self.size_bytes = self.size_bytes.saturating_sub(entry.size_bytes);
                self.by_expiry.remove(&(entry.transaction.body.expires, *id));
                touched.insert(entry.transaction.body.sender);
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

    /// Drops what expired before `time`; gives how many.
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
        account::KeyPolicy,
        contribution::AcceptContribution,
        crypto::SigningKey,
        ids::{ContributionId, Handle, Height},
        state::{Direction, Entry, Record},
        transaction::{Action, TransactionBody},
    };

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
        Accounts(numbers.iter().map(account).map(|a| (Account::key_bytes(&a.id), crate::codec::encode(&a))).collect())
    }

    fn transaction(sender: u8, nonce: u64, expires: u64) -> Checked {
        let network = NetworkId::from_bytes([0; 32]);
        let action = AcceptContribution { contribution: ContributionId::from_bytes([0; 32]) };
        let body = TransactionBody {
            network,
            sender: AccountId::from_bytes([sender; 32]),
            nonce,
            expires: Timestamp::new(expires),
            action: Action::AcceptContribution(action),
            signers: Vec::new(),
        };
        Checked::new(body.sign(&[key(sender)]), network).expect("valid")
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
    fn each_entry_waits_once_and_leaves_nothing_behind() {
        let (state, mut pool) = (accounts(&[1]), Mempool::new());
        let (one, two) = (transaction(1, 1, 500), transaction(1, 2, 900));
        pool.insert(one.clone(), &state, Timestamp::ZERO).expect("room");
        assert_eq!(pool.insert(one.clone(), &state, Timestamp::ZERO), Err(Refused::Known(one.id)));
        pool.insert(two.clone(), &state, Timestamp::ZERO).expect("room");
        assert_eq!(pool.expire(Timestamp::new(501)), 1);
        assert!(!pool.contains(&one.id) && pool.contains(&two.id));
        pool.remove(&[two.id]);
        assert!(pool.is_empty() && pool.size_bytes() == 0 && pool.senders.is_empty() && pool.by_expiry.is_empty());
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
