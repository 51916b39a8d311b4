//! Checks the signatures of gossiped transactions away from the event loop, on one thread of its own, so that a flood
//! of transactions does not delay a vote. Bounded: what does not fit is dropped and counted, and comes again in a
//! block or from another peer.
//!
//! The sender is looked up before any signature is checked, so that only the keys of accounts that exist can make a peer
//! do the costly part.

use allod_protocol::{
    codec::DecodeError,
    host::gossip,
    ids::NetworkId,
    mempool::{Checked, Refused, check_sender},
    state::StateRead,
    transaction::Invalid,
};
use allod_storage::Ledger;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use tokio::sync::mpsc;

/// Gossip messages that may wait for the verifier.
const BACKLOG: usize = 256;
/// Verified batches that may wait for the event loop.
pub(crate) const VERIFIED_BACKLOG: usize = 256;

/// A gossip message of transactions, as received.
#[derive(Debug)]
pub(crate) struct Unverified<T> {
    /// The encoded batch.
    pub(crate) data: Vec<u8>,
    /// What the network needs to hear the verdict.
    pub(crate) token: T,
}

/// The same, checked.
#[derive(Debug)]
pub(crate) struct Verified<T> {
    /// The transactions, those without their sender's leave refused, or why the whole message is faulty.
    pub(crate) transactions: Result<Vec<Result<Checked, Refused>>, Faulty>,
    /// What the network needs to hear the verdict.
    pub(crate) token: T,
}

/// Why no honest peer sends such a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Faulty {
    /// Not a batch of transactions.
    #[error("not a batch of transactions: {0}")]
    Malformed(#[from] DecodeError),
    /// One of its transactions is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A transaction without its sender's leave is no fault of whoever relayed it: this peer may be behind the block that
/// admits the account or its keys.
fn verify(data: &[u8], network: NetworkId, state: &impl StateRead) -> Result<Vec<Result<Checked, Refused>>, Faulty> {
    let transactions = gossip::decode_batch(data)?;
    let check = |transaction| match check_sender(&transaction, state) {
        Ok(_) => Ok(Ok(Checked::new(transaction, network)?)),
        Err(refused) => Ok(Err(refused)),
    };
    transactions.into_iter().map(check).collect()
}

/// The way to the verifier's thread.
#[derive(Debug)]
pub(crate) struct Verifier<T> {
    queue: SyncSender<Unverified<T>>,
}

impl<T: Send + 'static> Verifier<T> {
    /// Starts the thread; it ends when the verifier is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(network: NetworkId, ledger: Ledger) -> std::io::Result<(Self, mpsc::Receiver<Verified<T>>)> {
        let (queue, jobs) = sync_channel::<Unverified<T>>(BACKLOG);
        let (done, verified) = mpsc::channel(VERIFIED_BACKLOG);
        std::thread::Builder::new().name("allod-verifier".into()).spawn(move || {
            while let Ok(Unverified { data, token }) = jobs.recv() {
                let transactions = verify(&data, network, &ledger.snapshot());
                if done.blocking_send(Verified { transactions, token }).is_err() {
                    return;
                }
            }
        })?;
        Ok((Self { queue }, verified))
    }

    /// Hands a message over; gives it back if there is no room.
    ///
    /// # Errors
    /// With the message, when too many wait.
    pub(crate) fn submit(&self, message: Unverified<T>) -> Result<(), Unverified<T>> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::{
        account::{Account, KeyPolicy, RotateKeys},
        crypto::SigningKey,
        ids::{AccountId, Handle, Height, Signature, Timestamp},
        rejection::Rejection,
        state::{Direction, Entry, Record as _, StateError},
        transaction::{Action, Transaction, TransactionBody},
    };

    const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);

    /// A state that holds one account.
    struct OneAccount(Account);

    impl StateRead for OneAccount {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok((key == Account::key_bytes(&self.0.id)).then(|| allod_protocol::codec::encode(&self.0)))
        }
        fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
            Ok(Vec::new())
        }
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn state() -> OneAccount {
        let keys = KeyPolicy::single(key(1).public_key());
        let handle = Handle::new("northfield").unwrap();
        OneAccount(Account::new(AccountId::from_bytes([1; 32]), handle, keys, Height::ZERO))
    }

    fn transaction(sender: u8, signer: u8) -> Transaction {
        let action = Action::RotateKeys(RotateKeys { keys: KeyPolicy::single(key(3).public_key()) });
        let (sender, expires) = (AccountId::from_bytes([sender; 32]), Timestamp::new(1_000));
        TransactionBody { network: NETWORK, sender, nonce: 0, expires, action, signers: Vec::new() }
            .sign(&[key(signer)])
    }

    fn badly_signed(sender: u8, signer: u8) -> Transaction {
        Transaction { signatures: vec![Signature::from_bytes([9; 64])], ..transaction(sender, signer) }
    }

    #[test]
    fn no_signature_is_checked_for_a_stranger_or_a_strangers_key() {
        // A bad signature that was looked at would make the whole message faulty.
        let batch = gossip::encode_batch(&[badly_signed(9, 1), badly_signed(1, 2), transaction(1, 1)]);
        let verified = verify(&batch, NETWORK, &state()).unwrap();
        assert!(
            matches!(
                verified.as_slice(),
                [
                    Err(Refused::Rejected(Rejection::UnknownAccount(_))),
                    Err(Refused::Rejected(Rejection::ForeignKey { .. })),
                    Ok(_),
                ]
            ),
            "{verified:?}"
        );
    }

    #[test]
    fn a_bad_signature_in_a_known_senders_name_is_a_fault() {
        let batch = gossip::encode_batch(&[transaction(1, 1), badly_signed(1, 1)]);
        assert!(matches!(verify(&batch, NETWORK, &state()), Err(Faulty::Invalid(Invalid::Signature(_)))));
    }
}
