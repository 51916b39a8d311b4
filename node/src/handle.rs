//! What the rest of a peer may ask of its event loop: submit a transaction, follow blocks, read the status. Reading
//! the ledger needs nobody's leave: a snapshot is taken from [`Ledger`] directly.

use crate::{artifact_service::Scrubbing, metrics::Metrics, network::NetworkHandle, quorum::Reached};
use allod_protocol::{
    agreement::mempool::{Checked, Refused},
    ground::{
        ids::{BlockHash, Height, NetworkId, PublicKey, StateRoot, Timestamp},
        weight::Weight,
    },
    ledger::{execute::TransactionResult, genesis::Genesis},
    rules::event::Event,
};
use allod_storage::{Ledger, artifacts::ArtifactStore};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Blocks that a slow subscriber may lag behind before it is told that it missed some.
pub const NOTICE_BACKLOG: usize = 1_024;
/// Requests that may wait for the event loop.
pub const COMMAND_BACKLOG: usize = 1_024;

/// What this peer is in the validator set that decides the next block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It votes.
    Validator,
    /// It follows.
    Observer,
}

/// Where this peer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The last executed block.
    pub height: Height,
    /// Its hash.
    pub block: BlockHash,
    /// Its time.
    pub block_time: Timestamp,
    /// The state root after it.
    pub state_root: StateRoot,
    /// The round of the height being decided.
    pub round: u32,
    /// Whether this peer votes.
    pub role: Role,
    /// Its consensus key, validator or not.
    pub validator_key: PublicKey,
    /// Transactions that wait.
    pub mempool_transactions: usize,
    /// Their bytes.
    pub mempool_size_bytes: usize,
    /// Their weight.
    pub mempool_weight: Weight,
    /// How many may wait before this peer takes none from its clients.
    pub mempool_room: usize,
    /// The highest height that another peer spoke of.
    pub best_known_height: Height,
    /// Whether this peer is behind the others.
    pub catching_up: bool,
    /// Whom this peer reaches.
    pub reached: Reached,
}

/// A block that was executed and is durable.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub block: BlockHash,
    /// Its time.
    pub time: Timestamp,
    /// What deadlines did, before the transactions.
    pub deadline_events: Vec<Event>,
    /// What became of each transaction.
    pub results: Vec<TransactionResult>,
}

/// A request to the event loop.
#[derive(Debug)]
pub enum Command {
    /// Take a checked transaction in and tell the others of it.
    Submit(Checked, oneshot::Sender<Result<(), Refused>>),
}

/// Why the event loop did not answer.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The transaction was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many requests wait already.
    #[error("this peer is busy: {COMMAND_BACKLOG} requests are waiting; try again shortly")]
    Busy,
    /// The peer is on its way out.
    #[error("this peer is stopping")]
    Stopping,
}

/// The handle itself. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    /// The network's genesis.
    pub genesis: Arc<Genesis>,
    /// The network's id.
    pub network_id: NetworkId,
    /// The ledger, for reading.
    pub ledger: Ledger,
    /// The artifacts on this peer's disk.
    pub artifacts: Arc<ArtifactStore>,
    /// The swarm.
    pub network: NetworkHandle,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// How the artifacts are gone over in the background.
    pub scrubbing: Scrubbing,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) notices: broadcast::Sender<Arc<Notice>>,
    pub(crate) status: watch::Receiver<Status>,
}

impl NodeHandle {
    /// Hands in a transaction whose form and signatures were checked.
    ///
    /// # Errors
    /// When the mempool refuses it, or the event loop cannot take it.
    pub async fn submit(&self, checked: Checked) -> Result<(), SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.commands.try_send(Command::Submit(checked, answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopping,
        })?;
        Ok(answered.await.map_err(|_| SubmitError::Stopping)??)
    }

    /// Whether there can be room for a client's transaction now, to be asked before much is done for it. Beyond
    /// [`Status::mempool_room`] there is some left for senders that have few waiting, as much again.
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn check_room(&self) -> Result<(), SubmitError> {
        let status = self.status.borrow();
        if status.mempool_transactions >= status.mempool_room.saturating_mul(2) {
            return Err(Refused::Full(status.mempool_transactions).into());
        }
        Ok(())
    }

    /// Follows blocks from the next one on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    /// Where this peer stands.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Changes of [`NodeHandle::status`].
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}
