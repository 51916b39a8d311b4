//! One owner, one closed event enum: every change to this peer's ledger goes through here, one event at a time. The
//! loop runs on a thread of its own, because it waits for the disk.
//!
//! It is only a pump: it hands each event to the [`Host`], which decides, and reports the host's status to the rest of
//! the peer. `machine` has what the host does to the machine.

pub mod handle;
pub(crate) mod machine;
pub(crate) mod outlook;
pub mod quorum;
pub(crate) mod retire;
pub(crate) mod verifier;

use crate::{
    event_loop::{
        handle::{Role, Status, Submission},
        machine::NodeMachine,
        outlook::Outlook,
        quorum::Reached,
        verifier::Verified,
    },
    health::Health,
    network::{NetworkEvent, NetworkEvents, NetworkHandle, SyncChannel, SyncRequest, SyncResponse, Topic},
};
use allod_protocol::{
    agreement::host::Host,
    ground::{
        crypto::SigningKey,
        ids::{Height, NetworkId, PublicKey},
        limits,
    },
    rules::validator::ValidatorSet,
};
use allod_storage::Ledger;
use anyhow::Context as _;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};

/// How often the loop checks who hears this peer.
const TICK: Duration = Duration::from_millis(500);

/// How many threads read blocks for other peers at a time.
const READERS: usize = 2;

/// Everything that can happen to the loop.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "only one is held at a time, and it is moved once")]
enum Event {
    /// An event of the swarm.
    Network(NetworkEvent),
    /// A transaction from the API.
    Submitted(Submission),
    /// A gossip message of transactions has been checked.
    Verified(Verified),
    /// Time has passed: a timer may be due.
    Time,
    /// The process is to stop.
    Stop,
}

/// The sources of the events. Every channel is bounded.
pub(crate) struct Sources {
    pub(crate) network: NetworkEvents,
    pub(crate) submissions: mpsc::Receiver<Submission>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// The parts of which the loop is made.
pub(crate) struct Parts {
    pub(crate) machine: NodeMachine,
    pub(crate) key: SigningKey,
    pub(crate) network_id: NetworkId,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) data_dir: PathBuf,
}

/// The loop's state.
pub(crate) struct EventLoop {
    host: Host<NodeMachine>,
    network_id: NetworkId,
    status: watch::Sender<Status>,
    reached: Reached,
    outlook: Outlook,
    health: Health,
    tick_at: Instant,
    /// The height as of which the swarm knows the validators.
    validators_of: Option<Height>,
    /// The turns of those who read blocks for other peers.
    readers: Arc<Semaphore>,
}

impl EventLoop {
    /// Resumes from the ledger and the log on disk.
    ///
    /// # Errors
    /// As [`Host::resume`].
    pub(crate) fn resume(parts: Parts) -> anyhow::Result<Self> {
        let Parts { machine, key, network_id, status, data_dir } = parts;
        let own = key.public_key();
        let host = Host::resume(machine, Some(key)).map_err(|stopped| stopped.error)?;
        let reached = Reached::of(&host.machine().network.audience(), &host.tip().validators, own);
        let (outlook, health, readers) =
            (Outlook::new(data_dir), Health::starting(), Arc::new(Semaphore::new(READERS)));
        let (tick_at, validators_of) = (first_look(), None);
        let this = Self { host, network_id, status, reached, outlook, health, tick_at, validators_of, readers };
        this.tell_status();
        Ok(this)
    }

    /// Handles events until told to stop.
    ///
    /// # Errors
    /// When the process must end.
    pub(crate) async fn run(mut self, mut sources: Sources) -> anyhow::Result<()> {
        let mut verified = self.start_verifier(&mut sources.network)?;
        loop {
            let event = self.next_event(&mut sources, &mut verified).await;
            if matches!(event, Event::Stop) {
                return Ok(());
            }
            let begun = Instant::now();
            self.on_event(event)?;
            self.host.advance()?;
            self.tell_validators();
            self.look_around()?;
            self.tell_status();
            self.host.machine().metrics.on_turn(begun.elapsed());
        }
    }

    fn start_verifier(&self, network: &mut NetworkEvents) -> anyhow::Result<mpsc::Receiver<Verified>> {
        let transactions = network.take_transactions().context("the transactions were taken before")?;
        let (ledger, room) = (self.host.machine().ledger.clone(), self.host.mempool().room());
        verifier::start(self.network_id, ledger, room, transactions).context("the verifier cannot start")
    }

    async fn next_event(&self, sources: &mut Sources, verified: &mut mpsc::Receiver<Verified>) -> Event {
        let wake = self.host.machine().instant(self.host.next_wake()).min(self.tick_at);
        tokio::select! {
            biased;
            _ = sources.stop.wait_for(|stop| *stop) => Event::Stop,
            () = tokio::time::sleep_until(wake) => Event::Time,
            Some(event) = sources.network.recv() => Event::Network(event),
            Some(submission) = sources.submissions.recv() => Event::Submitted(submission),
            Some(verified) = verified.recv() => Event::Verified(verified),
            else => Event::Stop,
        }
    }

    fn on_event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Network(event) => self.on_network(event)?,
            Event::Submitted(Submission { checked, answer }) => {
                // The submitter may be gone; the transaction counts all the same.
                let _ = answer.send(self.host.on_submit(checked));
            }
            Event::Verified(Verified { transactions, token }) => {
                self.host.on_transactions(transactions.map_err(|faulty| faulty.to_string()), token);
            }
            Event::Time | Event::Stop => {}
        }
        Ok(())
    }

    fn on_network(&mut self, event: NetworkEvent) -> anyhow::Result<()> {
        match event {
            NetworkEvent::Consensus { data, token, room: _ } => self.host.on_consensus(&data, token)?,
            NetworkEvent::Gossip { topic: Topic::Blocks, data, token } => {
                let before = self.host.tip().height;
                self.host.on_push(&data, token)?;
                if self.host.tip().height > before {
                    self.host.machine_mut().hear_newest();
                }
            }
            NetworkEvent::SyncRequested { peer: _, request, channel } => {
                let (ledger, network) = (self.host.machine().ledger.clone(), self.host.machine().network.clone());
                tokio::spawn(serve_blocks(ledger, network, request, channel, self.readers.clone()));
            }
            NetworkEvent::SyncAnswered { peer, result: Ok(SyncResponse { tip, blocks }) } => {
                self.host.on_blocks(peer, tip, &blocks)?;
            }
            NetworkEvent::SyncAnswered { peer, result: Err(reason) } => {
                self.host.on_no_blocks(peer, &reason.to_string());
            }
            NetworkEvent::PeerConnected(peer) => self.host.on_connected(peer),
            NetworkEvent::PeerDisconnected(peer) => self.host.on_disconnected(peer),
            // Transactions come verified. The swarm judges announcements itself; code that needs announcements or addresses
            // asks the swarm.
            NetworkEvent::Gossip { topic: Topic::Transactions | Topic::Artifacts, .. }
            | NetworkEvent::ArtifactAnnounced { .. }
            | NetworkEvent::Listening(_) => {}
        }
        Ok(())
    }

    /// Tells the swarm who decides the next blocks: they are to speak to each other in time.
    fn tell_validators(&mut self) {
        let (tip, machine) = (self.host.tip(), self.host.machine());
        if self.validators_of.replace(tip.height) != Some(tip.height) {
            let sets = [&tip.validators, &tip.next_validators];
            let keys = sets.into_iter().flat_map(ValidatorSet::iter).map(|one| one.key).collect();
            machine.network.set_validators(&keys);
        }
    }

    /// Checks which validators hear this peer, and whether it can do its work. Called periodically.
    fn look_around(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        if now < self.tick_at {
            return Ok(());
        }
        self.tick_at = now.checked_add(TICK).unwrap_or(now);
        let (tip, machine) = (self.host.tip(), self.host.machine());
        let audience = machine.network.audience();
        self.reached = Reached::of(&audience, &tip.validators, self.key());
        self.health = self.outlook.look(&mut self.host, audience, self.reached);
        self.host.machine().metrics.tick();
        self.host.machine_mut().repeats.rest();
        self.host.machine_mut().rest(now).context("the ledger cannot be written")
    }

    fn key(&self) -> PublicKey {
        // A node always has a key.
        self.host.key().unwrap_or(PublicKey::from_bytes([0; 32]))
    }

    fn tell_status(&self) {
        let (host, tip) = (&self.host, self.host.tip());
        let status = Status {
            height: tip.height,
            block: tip.hash,
            block_time: tip.time,
            state_root: tip.state_root,
            round: host.round(),
            role: if host.is_validator() { Role::Validator } else { Role::Observer },
            validator_key: self.key(),
            mempool_transactions: host.mempool().len(),
            mempool_size_bytes: host.mempool().size_bytes(),
            mempool_weight: host.mempool().weight(),
            mempool_room: host.room(),
            busy: host.is_busy(),
            best_known_height: host.best_known(),
            catching_up: host.is_behind(),
            reached: self.reached,
            health: self.health.clone(),
        };
        host.machine().metrics.set_mempool(host.mempool());
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
    }
}

/// When to look around first: connecting takes a moment, and nothing is known before.
fn first_look() -> Instant {
    let now = Instant::now();
    now.checked_add(TICK).unwrap_or(now)
}

/// Answers another peer's request from the ledger, if it still waits when its turn comes. Reading blocks takes a while
/// and changes nothing, so it runs on another thread.
async fn serve_blocks(
    ledger: Ledger,
    network: NetworkHandle,
    request: SyncRequest,
    channel: SyncChannel,
    readers: Arc<Semaphore>,
) {
    let Ok(turn) = readers.acquire_owned().await else { return };
    if !channel.is_open() {
        return;
    }
    tokio::task::spawn_blocking(move || {
        let max_blocks = usize::try_from(request.max_blocks).unwrap_or(usize::MAX).min(limits::SYNC_BLOCKS);
        // Leaves room for the response's own fields.
        let max_bytes = limits::SYNC_RESPONSE_SIZE_BYTES.saturating_sub(1_024);
        match ledger.blocks(request.from, max_blocks, max_bytes) {
            Ok(blocks) => network.respond_blocks(channel, SyncResponse { tip: ledger.tip().height, blocks }),
            // The event loop meets the same failure at its next commit and ends the process.
            Err(error) => tracing::error!(%error, "the ledger cannot be read"),
        }
        drop(turn);
    });
}
