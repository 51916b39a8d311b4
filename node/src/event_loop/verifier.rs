//! Checks the signatures of gossiped transactions away from the event loop, on a thread of its own, so that a flood of
//! transactions does not delay a vote. It is bounded: what does not fit is dropped and counted, and arrives again in a
//! block or from another peer.
//!
//! The sender is looked up before any signature is checked, so that only keys of existing accounts can make a peer do
//! the expensive part.

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

/// Maximum number of gossip messages that wait for the verifier.
const BACKLOG: usize = 256;
/// Maximum number of verified batches that wait for the event loop.
pub(crate) const VERIFIED_BACKLOG: usize = 256;

/// A gossip message of transactions, as received.
#[derive(Debug)]
pub(crate) struct Unverified<T> {
    /// The encoded batch.
    pub(crate) data: Vec<u8>,
    /// The token with which the verdict is reported to the network.
    pub(crate) token: T,
}

/// A gossip message of transactions, checked.
#[derive(Debug)]
pub(crate) struct Verified<T> {
    /// The transactions, with refusals for those without their sender's authorisation; or why the whole message is
    /// faulty.
    pub(crate) transactions: Result<Vec<Result<Checked, Refused>>, Faulty>,
    /// The token with which the verdict is reported to the network.
    pub(crate) token: T,
}

/// The handle to the verifier's thread.
#[derive(Debug)]
pub(crate) struct Verifier<T> {
    queue: SyncSender<Unverified<T>>,
}

impl<T: Send + 'static> Verifier<T> {
    /// Starts the thread. It ends when the verifier is dropped.
    ///
    /// # Errors
    /// When the system cannot create a thread.
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

    /// Submits a message. Returns it if there is no room.
    ///
    /// # Errors
    /// The message, when too many wait.
    pub(crate) fn submit(&self, message: Unverified<T>) -> Result<(), Unverified<T>> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })
    }
}
