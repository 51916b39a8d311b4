//! What the rest of a peer may request from its event loop: submit a transaction, follow blocks, read the status.
//! Reading the ledger does not involve the loop: a snapshot comes directly from [`Ledger`].

use crate::{
    event_loop::quorum::Reached,
    health::Health,
    metrics::{ConsensusState, Metrics},
    network::NetworkHandle,
};
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

/// Number of blocks that a slow subscriber may lag before it is told that it missed some.
pub const NOTICE_BACKLOG: usize = 1_024;
/// Number of submissions that may wait for the event loop.
pub const SUBMISSION_BACKLOG: usize = 1_024;

/// The role of this peer in the validator set that decides the next block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It votes.
    Validator,
    /// It follows without voting.
    Observer,
}

/// The state of this peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The height of the last executed block.
    pub height: Height,
    /// The hash of that block.
    pub block: BlockHash,
    /// The time of that block.
    pub block_time: Timestamp,
    /// The state root after that block.
    pub state_root: StateRoot,
    /// The current round of the height being decided.
    pub round: u32,
    /// Whether this peer votes or follows.
    pub role: Role,
    /// Its consensus key, whether it is a validator or not.
    pub validator_key: PublicKey,
    /// Number of transactions that wait in the mempool.
    pub mempool_transactions: usize,
    /// Encoded bytes of the transactions that wait.
    pub mempool_size_bytes: usize,
    /// Total weight of the transactions that wait.
    pub mempool_weight: Weight,
    /// Number of waiting transactions above which this peer accepts none from its clients.
    pub mempool_room: usize,
    /// Whether this peer is likely to refuse clients' transactions, whoever sends them.
    pub busy: bool,
    /// The highest height that another peer reported.
    pub best_known_height: Height,
    /// Whether this peer is behind the others.
    pub catching_up: bool,
    /// Which peers and how much voting power this peer reaches.
    pub reached: Reached,
    /// Whether this peer can do its work, and if not, why.
    pub health: Health,
}

/// A block that was executed and is durable.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// The height of the block.
    pub height: Height,
    /// The hash of the block.
    pub block: BlockHash,
    /// The time of the block.
    pub time: Timestamp,
    /// The effects of deadlines, which come before the transactions.
    pub deadline_events: Vec<Event>,
    /// The result of each transaction, in block order.
    pub results: Vec<TransactionResult>,
}

/// A client's transaction on its way to the event loop, which puts it into the mempool and gossips it.
#[derive(Debug)]
pub struct Submission {
    /// The transaction, whose form and signatures have been checked.
    pub checked: Checked,
    /// Takes the mempool's answer.
    pub answer: oneshot::Sender<Result<(), Refused>>,
}

/// Why a transaction was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The transaction was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many submissions are already waiting.
    #[error("this peer is busy: {SUBMISSION_BACKLOG} requests are waiting; try again shortly")]
    Busy,
    /// The peer is stopping.
    #[error("this peer is stopping")]
    Stopping,
}

/// The handle to a running peer. Cheap to clone.
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
    /// The metrics of this process.
    pub metrics: Arc<Metrics>,
    pub(crate) submissions: mpsc::Sender<Submission>,
    pub(crate) notices: broadcast::Sender<Arc<Notice>>,
    pub(crate) status: watch::Receiver<Status>,
}

impl NodeHandle {
    /// Submits a transaction whose form and signatures have been checked.
    ///
    /// # Errors
    /// When the mempool refuses it, or the event loop cannot accept it.
    pub async fn submit(&self, checked: Checked) -> Result<(), SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.submissions.try_send(Submission { checked, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopping,
        })?;
        Ok(answered.await.map_err(|_| SubmitError::Stopping)??)
    }

    /// Checks whether there is likely to be room for a client's transaction now; call it before doing much work for one.
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn check_room(&self) -> Result<(), SubmitError> {
        let status = self.status.borrow();
        if status.busy { Err(Refused::Full(status.mempool_transactions).into()) } else { Ok(()) }
    }

    /// Follows blocks, starting with the next one.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    /// The state of this peer.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Watches changes of [`NodeHandle::status`].
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// All metrics in Prometheus' text format. Reads the database.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn render_metrics(&self) -> anyhow::Result<String> {
        let status = self.status();
        let consensus = ConsensusState {
            validator: status.validator_key.validator_address(),
            best_known_height: status.best_known_height,
            catching_up: status.catching_up,
            listening_peers: status.reached.listening_peers,
            reached_power: status.reached.power,
            total_power: status.reached.total_power,
            cut_off: status.reached.cut_off,
        };
        self.metrics.set_health(&status.health);
        for (queue, depth, capacity) in self.network.queues() {
            self.metrics.set_queue(queue, depth, capacity);
        }
        let submissions = self.submissions.max_capacity().saturating_sub(self.submissions.capacity());
        self.metrics.set_queue("submissions", submissions, self.submissions.max_capacity());
        self.metrics.set_queue("notices", self.notices.len(), NOTICE_BACKLOG);
        self.metrics.render(&self.ledger, self.network.stats(), &consensus)
    }
}
