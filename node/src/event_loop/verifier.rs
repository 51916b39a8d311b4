//! Checks the signatures of gossiped transactions away from the event loop, on a thread of its own, so that a flood of
//! transactions does not delay a vote. It takes them from the swarm's fair lines, and charges each peer for the time
//! that its messages take. What finds no room there is dropped and counted, and arrives again in a block or from another
//! peer.
//!
//! A message is decoded here, and everything that can refuse a transaction is looked up before its signatures are
//! checked: only keys of accounts that have room can make a peer do the expensive part.

use crate::{
    event_loop::machine,
    network::{GossipToken, Transactions},
};
use allod_protocol::{
    agreement::{
        host::gossip::{self, Faulty},
        mempool::{Checked, Refused, Room},
    },
    ground::ids::NetworkId,
};
use allod_storage::Ledger;
use std::time::Instant;
use tokio::sync::mpsc;

/// Maximum number of verified batches that wait for the event loop.
const VERIFIED_BACKLOG: usize = 64;

/// A gossip message of transactions, checked.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The transactions, with refusals for those that have no place here; or why the whole message is faulty.
    pub(crate) transactions: Result<Vec<Result<Checked, Refused>>, Faulty>,
    /// The token with which the verdict is reported to the network.
    pub(crate) token: GossipToken,
}

/// Starts the thread. It ends with the swarm, or when nobody wants its results any more. To be called on a runtime.
///
/// # Errors
/// When the system cannot create a thread.
pub(crate) fn start(
    network: NetworkId,
    ledger: Ledger,
    room: Room,
    mut transactions: Transactions,
) -> std::io::Result<mpsc::Receiver<Verified>> {
    let (done, verified) = mpsc::channel(VERIFIED_BACKLOG);
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("allod-verifier".into()).spawn(move || {
        while let Some((message, turn)) = runtime.block_on(transactions.recv()) {
            let begun = Instant::now();
            let time = machine::clock().max(ledger.tip().time);
            let checked = gossip::check_batch(&message.data, network, &ledger.snapshot(), (time, &room));
            transactions.charge(turn, begun.elapsed());
            if done.blocking_send(Verified { transactions: checked, token: message.token }).is_err() {
                return;
            }
        }
    })?;
    Ok(verified)
}
