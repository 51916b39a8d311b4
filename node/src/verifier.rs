//! Checks the signatures of gossiped transactions away from the event loop, on one thread of its own, so that a flood
//! of transactions does not delay a vote. Bounded: what does not fit is dropped and counted, and comes again in a
//! block or from another peer.
//!
//! The sender is looked up before any signature is checked, so that only the keys of accounts that exist can make a peer
//! do the costly part.

use allod_protocol::{
    agreement::{
        host::gossip::{self, Faulty},
        mempool::{Checked, Refused},
    },
    ground::ids::NetworkId,
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
                let transactions = gossip::check_batch(&data, network, &ledger.snapshot());
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
