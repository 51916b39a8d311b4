//! One owner, one closed event enum: everything that changes this peer's ledger goes through here, one event at a
//! time. It runs on a thread of its own, because it waits for the disk.
//!
//! Read on: `perform` does what the replica asks for, in order; `catch_up` fetches decided blocks from other peers.
//!
//! # Invariants
//! - Nothing that this peer signed leaves it before the log that says so is durable.
//! - A block is committed only with its certificate, in the order of heights, each once.
//! - A database or a log that fails ends the process: nothing is logged and carried on.
//! - A network at rest makes no blocks: the next height starts when there is work ([`EventLoop::has_work`]) or when
//!   another validator speaks of it.

use crate::{
    catch_up::CatchUp,
    handle::{Command, Notice, Role, Status},
    metrics::Metrics,
    network::{GossipToken, NetworkEvent, NetworkEvents, NetworkHandle, Topic, Verdict},
    pace::Pace,
    quorum::{Reached, Watch},
    retire,
    timers::Timers,
    verifier::{Unverified, Verified, Verifier, encode_batch},
};
use allod_protocol::{
    block::Tip,
    codec,
    crypto::SigningKey,
    due,
    genesis::Parameters,
    ids::{Height, Timestamp},
    limits,
    mempool::{Checked, Mempool, Refused},
    network::Network as NetworkRecord,
    replica::{Admission, Ignored, Input, LastSigned, LogEntry, Message, Replica, Timeouts},
    state::read,
    transaction::Transaction,
    validator::ValidatorSet,
};
use allod_storage::{ConsensusLog, Ledger, SignGuard};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::Instant,
};

/// How long submitted transactions are gathered into one gossip message.
const GOSSIP_DELAY: Duration = Duration::from_millis(2);
/// Encoded bytes of one gossip message of transactions.
const GOSSIP_BATCH_BYTES: usize = 128 * 1024;
/// How often the loop looks around when nothing happens: heartbeat, deadlines, catching up.
const TICK: Duration = Duration::from_millis(500);
/// How long after its last block a peer gives back the memory that blocks took.
const REST_AFTER: Duration = Duration::from_secs(10);
/// How close to a deadline the loop starts waiting for it exactly.
const MAX_NAP: Duration = Duration::from_secs(3_600);

/// What a consensus gossip message carries: the bytes of a message, and a number that makes a repetition a message of
/// its own to the gossip layer, which drops what it has seen.
#[derive(Serialize, Deserialize)]
struct ConsensusEnvelope {
    repetition: u64,
    message: Vec<u8>,
}

/// All that can happen to the loop.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time is held, and it is moved once")]
pub(crate) enum Event {
    /// The swarm has something.
    Network(NetworkEvent),
    /// The API asks for something.
    Command(Command),
    /// A gossip message of transactions was checked.
    Verified(Verified<GossipToken>),
    /// Time passed: a timer may be due.
    Time,
    /// The process is to stop.
    Stop,
}

/// Where the events come from. Every channel is bounded.
pub(crate) struct Sources {
    pub(crate) network: NetworkEvents,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) verified: mpsc::Receiver<Verified<GossipToken>>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) ledger: Ledger,
    pub(crate) log: ConsensusLog,
    pub(crate) guard: SignGuard,
    pub(crate) key: SigningKey,
    /// Where it lies, to be destroyed once the ledger retires it.
    pub(crate) key_file: PathBuf,
    pub(crate) network: NetworkHandle,
    pub(crate) verifier: Verifier<GossipToken>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) notices: broadcast::Sender<Arc<Notice>>,
    pub(crate) status: watch::Sender<Status>,
}

/// The loop's state.
pub(crate) struct EventLoop {
    pub(crate) ledger: Ledger,
    pub(crate) log: ConsensusLog,
    pub(crate) guard: SignGuard,
    pub(crate) key: SigningKey,
    key_file: PathBuf,
    /// Whether a set in force or announced had the key when this was looked at last.
    decides: bool,
    pub(crate) network: NetworkHandle,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) notices: broadcast::Sender<Arc<Notice>>,
    pub(crate) replica: Replica,
    /// What the key signed last, if that is not on disk yet.
    pub(crate) unguarded: Option<LastSigned>,
    pub(crate) mempool: Mempool,
    pub(crate) pace: Pace,
    pub(crate) timers: Timers,
    pub(crate) tip: Tip,
    pub(crate) parameters: Parameters,
    pub(crate) catch_up: CatchUp,
    reached: Reached,
    cut_off: Watch,
    /// Whether the tip's block changed the state, so that a block is due that carries the new root.
    pub(crate) unsealed: bool,
    /// When the ledger itself has something to do next.
    pub(crate) deadline: Option<Timestamp>,
    verifier: Verifier<GossipToken>,
    status: watch::Sender<Status>,
    /// Submitted here, not yet told to the others.
    untold: Vec<Transaction>,
    untold_bytes: usize,
    tell_at: Option<Instant>,
    tick_at: Instant,
    /// When memory is given back, unless a block comes first.
    rest_at: Option<Instant>,
}

/// This machine's clock as block time.
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl EventLoop {
    /// Takes up where the ledger and the log on disk left off, and performs what a crash may have left undone.
    pub(crate) fn resume(parts: Parts) -> anyhow::Result<Self> {
        let Parts { ledger, log, guard, key, key_file, network, verifier, metrics, notices, status } = parts;
        let tip = ledger.tip();
        let last_signed = match guard.load() {
            Some(bytes) => codec::decode_trusted::<LastSigned>(&bytes).context("the last-signed record is damaged")?,
            None => LastSigned::default(),
        };
        let network_record = read::<NetworkRecord>(&ledger.snapshot(), &())?.context("no network record")?;
        network_record.require_current(tip.height.next())?;
        let parameters = network_record.parameters;
        let entries: Vec<LogEntry> = log
            .entries(tip.height.next())?
            .iter()
            .map(|bytes| LogEntry::decode(bytes))
            .collect::<Result<_, _>>()
            .context("an entry of the consensus log cannot be read; it was written by another version")?;
        let (replica, outputs) = if entries.is_empty() {
            (Replica::new(Some(key.clone()), last_signed, &tip), Vec::new())
        } else {
            let (key, timeouts) = (Some(key.clone()), Timeouts::from(&parameters));
            Replica::recover(key, last_signed, tip.clone(), timeouts, &entries)?
        };
        let mut this = Self {
            unsealed: ledger.header(tip.height)?.is_some_and(|header| header.state_root != tip.state_root),
            deadline: due::next(&ledger.snapshot())?,
            catch_up: CatchUp::new(tip.height),
            reached: Reached::of(&network.audience(), &tip.validators, key.public_key()),
            cut_off: Watch::default(),
            mempool: Mempool::new(),
            pace: Pace::new(std::time::Instant::now()),
            timers: Timers::default(),
            untold: Vec::new(),
            untold_bytes: 0,
            tell_at: None,
            tick_at: Instant::now(),
            rest_at: None,
            unguarded: None,
            ledger,
            log,
            guard,
            key,
            key_file,
            decides: false,
            network,
            verifier,
            metrics,
            notices,
            status,
            replica,
            tip,
            parameters,
        };
        let mut answers = VecDeque::new();
        for output in outputs {
            this.perform(output, &mut answers)?;
        }
        this.drive_all(answers)?;
        this.tell_status();
        Ok(this)
    }

    /// Handles events until told to stop.
    pub(crate) async fn run(mut self, mut sources: Sources) -> anyhow::Result<()> {
        loop {
            let event = self.next_event(&mut sources).await;
            if matches!(event, Event::Stop) {
                return Ok(());
            }
            self.on_event(event)?;
            self.on_time()?;
            self.retire_key()?;
            self.start_if_needed()?;
            self.tell_status();
        }
    }

    async fn next_event(&self, sources: &mut Sources) -> Event {
        let wake = self.next_wake();
        tokio::select! {
            biased;
            _ = sources.stop.wait_for(|stop| *stop) => Event::Stop,
            () = tokio::time::sleep_until(wake) => Event::Time,
            Some(event) = sources.network.recv() => Event::Network(event),
            Some(command) = sources.commands.recv() => Event::Command(command),
            Some(verified) = sources.verified.recv() => Event::Verified(verified),
            else => Event::Stop,
        }
    }

    fn next_wake(&self) -> Instant {
        let due = self.deadline.map(|deadline| {
            let wait = Duration::from_millis(deadline.get().saturating_sub(clock().get())).min(MAX_NAP);
            Instant::now() + wait.max(Duration::from_millis(1))
        });
        // A deadline that is due already has started a height; waiting for it again would spin.
        let due = due.filter(|_| self.replica.is_finalized());
        let waits = [self.timers.next_deadline(), self.tell_at, self.catch_up.due(), due];
        waits.into_iter().flatten().fold(self.tick_at, Instant::min)
    }

    fn on_event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Network(event) => self.on_network(event),
            Event::Command(Command::Submit(checked, answer)) => {
                // The submitter may have gone; the transaction counts all the same.
                let _ = answer.send(self.on_submit(checked));
                Ok(())
            }
            Event::Verified(verified) => {
                self.on_verified(verified);
                Ok(())
            }
            Event::Time | Event::Stop => Ok(()),
        }
    }

    fn on_network(&mut self, event: NetworkEvent) -> anyhow::Result<()> {
        match event {
            NetworkEvent::Gossip { topic: Topic::Consensus, data, token } => self.on_consensus(&data, token),
            NetworkEvent::Gossip { topic: Topic::Transactions, data, token } => {
                if let Err(refused) = self.verifier.submit(Unverified { data, token }) {
                    self.metrics.on_refused("verifier_full");
                    self.network.report(refused.token, Verdict::Ignore);
                }
                Ok(())
            }
            NetworkEvent::SyncRequested { peer: _, request, channel } => {
                let (ledger, network) = (self.ledger.clone(), self.network.clone());
                // Reading blocks takes a while and changes nothing: not on this thread's time.
                tokio::task::spawn_blocking(move || crate::catch_up::answer(&ledger, &network, request, channel));
                Ok(())
            }
            NetworkEvent::SyncAnswered { peer, result } => self.on_sync_answered(peer, result),
            NetworkEvent::PeerConnected(peer) => {
                self.ask_for_blocks(Some(peer));
                Ok(())
            }
            NetworkEvent::PeerDisconnected(peer) => {
                self.catch_up.forget(&peer);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_consensus(&mut self, data: &[u8], token: GossipToken) -> anyhow::Result<()> {
        let message = codec::decode::<ConsensusEnvelope>(data, limits::GOSSIP_SIZE_BYTES)
            .map_err(|error| error.to_string())
            .and_then(|envelope| Message::decode(&envelope.message).map_err(|error| error.to_string()));
        let message = match message {
            Ok(message) => message,
            Err(reason) => {
                tracing::debug!(%reason, "malformed consensus message");
                self.network.report(token, Verdict::Reject);
                return Ok(());
            }
        };
        let admission = self.replica.admit(&message);
        self.network.report(token, verdict(admission));
        match admission {
            Admission::Accept => {
                let height = message.height();
                if height > self.replica.height() && self.replica.is_finalized() {
                    // Another validator began the next height: so does this one.
                    self.drive(Input::Message(message))?;
                    return self.start_height();
                }
                self.drive(Input::Message(message))
            }
            Admission::Ignore(Ignored::Ahead) => {
                self.on_hint(&message);
                Ok(())
            }
            Admission::Ignore(_) => Ok(()),
            Admission::Reject(reason) => {
                tracing::debug!(%reason, height = %message.height(), "faulty consensus message");
                Ok(())
            }
        }
    }

    fn on_submit(&mut self, checked: Checked) -> Result<(), Refused> {
        let of_sender = self.mempool.waiting_of(&checked.transaction.body.sender);
        if !self.pace.has_room(self.mempool.len(), of_sender) && !self.mempool.contains(&checked.id) {
            let full = Refused::Full(self.mempool.len());
            self.metrics.on_refused(refused_code(&full));
            return Err(full);
        }
        let transaction = checked.transaction.clone();
        let size_bytes = checked.size_bytes;
        self.mempool.insert(checked, &self.ledger.snapshot(), self.judging_time()).inspect_err(|refused| {
            self.metrics.on_refused(refused_code(refused));
        })?;
        self.untold_bytes = self.untold_bytes.saturating_add(size_bytes);
        self.untold.push(transaction);
        if self.untold_bytes >= GOSSIP_BATCH_BYTES {
            self.tell_transactions();
        } else if self.tell_at.is_none() {
            self.tell_at = Some(Instant::now() + GOSSIP_DELAY);
        }
        Ok(())
    }

    /// What expiry is judged by before a block does it: this clock, but never behind the ledger's.
    fn judging_time(&self) -> Timestamp {
        clock().max(self.tip.time)
    }

    fn on_verified(&mut self, Verified { transactions, token }: Verified<GossipToken>) {
        let transactions = match transactions {
            Ok(transactions) => transactions,
            Err(reason) => {
                tracing::debug!(%reason, "faulty transactions");
                self.network.report(token, Verdict::Reject);
                return;
            }
        };
        let (snapshot, time) = (self.ledger.snapshot(), self.judging_time());
        let mut taken = false;
        for checked in transactions {
            match checked.and_then(|checked| self.mempool.insert(checked, &snapshot, time)) {
                Ok(()) => taken = true,
                Err(refused) => self.metrics.on_refused(refused_code(&refused)),
            }
        }
        self.network.report(token, if taken { Verdict::Accept } else { Verdict::Ignore });
    }

    fn tell_transactions(&mut self) {
        self.tell_at = None;
        self.untold_bytes = 0;
        if !self.untold.is_empty() {
            let batch = encode_batch(&std::mem::take(&mut self.untold));
            self.network.publish(Topic::Transactions, batch);
        }
    }

    /// What is due by now: gathered transactions, the replica's timers, a look around.
    fn on_time(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_transactions();
        }
        while let Some(timer) = self.timers.pop_due(now) {
            self.drive(Input::Timeout(timer))?;
        }
        if self.catch_up.due().is_some_and(|at| at <= now) {
            self.ask_for_blocks(None);
        }
        if self.tick_at <= now {
            self.tick_at = now + TICK;
            self.look_who_hears(now);
            self.mempool.expire(self.tip.time);
            self.metrics.tick();
            self.look_for_blocks();
            if self.rest_at.take_if(|at| *at <= now).is_some() {
                self.ledger.rest().context("the ledger cannot be written")?;
            }
        }
        Ok(())
    }

    /// Tells the swarm who decides, and looks who of them hears this peer.
    fn look_who_hears(&mut self, now: Instant) {
        let sets = [&self.tip.validators, &self.tip.next_validators];
        self.network.set_validators(&sets.into_iter().flat_map(ValidatorSet::iter).map(|one| one.key).collect());
        self.reached = Reached::of(&self.network.audience(), &self.tip.validators, self.key.public_key());
        self.cut_off.look(&self.reached, now);
    }

    /// Destroys the consensus key once the ledger retired it, and goes on with a new one: the record of what the old one
    /// signed last only makes the new one more careful.
    fn retire_key(&mut self) -> anyhow::Result<()> {
        let address = self.key.public_key().validator_address();
        let mut sets = [&self.tip.validators, &self.tip.next_validators].into_iter();
        if sets.any(|set| set.by_address(&address).is_some()) {
            self.decides = true;
        }
        // Between heights alone: a replica at work is not to lose its key.
        else if self.decides && self.replica.is_finalized() {
            self.decides = false;
            let Some(retired) = retire::is_retired(&self.ledger.snapshot(), &self.tip, self.key.public_key())? else {
                return Ok(());
            };
            match retire::replace(&self.key_file, &retired) {
                Ok(key) => {
                    let last_signed = self.replica.last_signed().clone();
                    self.replica = Replica::new(Some(key.clone()), last_signed, &self.tip);
                    self.timers.cancel_all();
                    self.key = key;
                }
                // A peer that follows is worth more than one that stops; the next start tries again.
                Err(error) => tracing::error!(error = format!("{error:#}"), "a retired consensus key is not destroyed"),
            }
        }
        Ok(())
    }

    /// A block was committed: there may be more.
    pub(crate) fn put_off_rest(&mut self) {
        self.rest_at = Some(Instant::now() + REST_AFTER);
    }

    /// Whether there is a reason to make a block.
    pub(crate) fn has_work(&self) -> bool {
        let now = clock();
        !self.mempool.is_empty()
            || self.unsealed
            || self.deadline.is_some_and(|deadline| deadline <= now)
            || self.tip.time.plus_ms(self.parameters.heartbeat_ms) <= now
    }

    fn start_if_needed(&mut self) -> anyhow::Result<()> {
        while self.replica.is_finalized() && self.has_work() {
            self.start_height()?;
        }
        Ok(())
    }

    /// Begins the height after the tip.
    pub(crate) fn start_height(&mut self) -> anyhow::Result<()> {
        let height = self.tip.height.next();
        self.log.reset(height).context("the consensus log cannot be emptied")?;
        self.timers.cancel_all();
        self.drive(Input::Start { tip: self.tip.clone(), timeouts: Timeouts::from(&self.parameters) })
    }

    /// Sends a consensus message; `again` if its bytes were sent before.
    pub(crate) fn publish(&mut self, message: &Message, again: bool) {
        // Any number that was not used for these bytes makes the repetition a message of its own.
        let repetition = if again { getrandom::u64().unwrap_or_else(|_| clock().get()) } else { 0 };
        let envelope = ConsensusEnvelope { repetition, message: message.encode() };
        self.network.publish(Topic::Consensus, codec::encode(&envelope));
    }

    fn tell_status(&mut self) {
        let role = if self.tip.validators.by_address(&self.replica.address()).is_some() {
            Role::Validator
        } else {
            Role::Observer
        };
        let status = Status {
            height: self.tip.height,
            block: self.tip.hash,
            block_time: self.tip.time,
            state_root: self.tip.state_root,
            round: self.replica.round().unwrap_or(0),
            role,
            validator_key: self.key.public_key(),
            mempool_transactions: self.mempool.len(),
            mempool_size_bytes: self.mempool.size_bytes(),
            mempool_weight: self.mempool.weight(),
            mempool_room: self.pace.room(),
            best_known_height: self.catch_up.best_known().max(self.tip.height),
            catching_up: self.catch_up.is_behind(self.tip.height),
            reached: self.reached,
        };
        self.metrics.set_mempool(&self.mempool);
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
    }

    /// The height that this peer decides, or decides next.
    pub(crate) fn next_height(&self) -> Height {
        self.tip.height.next()
    }
}

fn verdict(admission: Admission) -> Verdict {
    match admission {
        Admission::Accept => Verdict::Accept,
        Admission::Ignore(_) => Verdict::Ignore,
        Admission::Reject(_) => Verdict::Reject,
    }
}

/// A refusal's stable code, for metrics and problem details.
pub(crate) fn refused_code(refused: &Refused) -> &'static str {
    match refused {
        Refused::Invalid(invalid) => invalid.code(),
        Refused::Rejected(rejection) => rejection.code(),
        Refused::Known(_) => "known",
        Refused::Full(_) => "mempool_full",
        Refused::SenderFull { .. } => "sender_full",
        Refused::State(_) => "state",
    }
}
