//! The consensus plane: proposals and votes, on direct streams between those who decide.
//!
//! It is a task of its own, with queues, allowances and verdicts of its own. Nothing that a stranger sends comes through
//! here, and a message waits for nothing that strangers make the swarm's task do. The swarm's task only says who is
//! needed ([`Company`]), and learns who hears whom ([`Links`]) and who offended.
//!
//! Each peer opens one stream to each needed peer and speaks on it; it hears on those that others opened. Validators
//! speak, and whoever is spoken to: a configured peer between two that cannot reach each other. An observer that nobody
//! configured opens none, and what comes from it is refused.
//!
//! **Round a broken link.** Each peer tells those it speaks to whom it hears directly. A message that was accepted is
//! passed on to each needed peer that does not hear the one it came from. So it reaches everybody whom any way leads to:
//! take the nearest that would miss it. Its neighbour on that way has the message, from somebody whom it hears directly
//! (or else the neighbour passes it on), who had it earlier and passed it on for the same reason, and so back to its
//! author. Where all hear all, nobody passes anything on, and a message crosses each connection once.
//!
//! **Bounds.** An outbox for each peer, from which the oldest go first. What one peer sent waits for the host within
//! [`LINE_SIZE_BYTES`]; then its stream is not read any further. A stream of a peer that is not known to be needed waits
//! unread for [`WAITING_PATIENCE`], because a name may come later than a stream.

mod frame;
mod outbox;

use super::{
    Acceptance, GossipToken, NetworkEvent, NetworkStats,
    gossip::Origin,
    offences::{Guard, Offence, Spending},
    peer_key, stats,
};
use allod_protocol::ground::{ids::PublicKey, limits};
use frame::{Frame, FrameError};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use outbox::{Outbox, Parcel, Recent, Shared};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};

/// Bytes of one peer's messages that may wait for the host.
const LINE_SIZE_BYTES: u32 = 4 * 1024 * 1024;
/// What a message counts there in addition to its bytes: as much as judging it costs.
const MESSAGE_OVERHEAD_BYTES: usize = 4 * 1024;
/// How long a stream waits for its peer to turn out to be needed.
const WAITING_PATIENCE: Duration = Duration::from_secs(5);
/// Maximum streams that wait; the oldest makes way.
const WAITING: usize = 64;
/// How long opening a stream may take.
const OPEN_PATIENCE: Duration = Duration::from_secs(3);
/// How long a peer may take to take one message.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// The wait before a stream is opened again. It doubles each time, and begins anew once a stream was of use for a while.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const STEADY: Duration = Duration::from_secs(20);
/// Reports of the tasks that read and write streams, which may wait.
const NOTES: usize = 1_024;

const _: () = assert!(limits::GOSSIP_SIZE_BYTES + MESSAGE_OVERHEAD_BYTES <= LINE_SIZE_BYTES as usize);

/// Who is there, as the swarm's task sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Company {
    /// The connected peers that are needed.
    pub(super) needed: BTreeSet<PeerId>,
    /// Whether this peer speaks for a validator.
    pub(super) speaks: bool,
}

/// Who hears whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// The peers that say that they hear this one.
    pub(super) heard_by: BTreeSet<PeerId>,
    /// The peers that this one hears.
    pub(super) hearing: BTreeSet<PeerId>,
}

/// The parts of which the plane is made.
pub(super) struct Parts {
    /// This peer's own key on the swarm.
    pub(super) local: PublicKey,
    pub(super) streams: Control,
    pub(super) protocol: StreamProtocol,
    pub(super) incoming: IncomingStreams,
    /// Own messages.
    pub(super) published: mpsc::Receiver<Vec<u8>>,
    /// Verdicts on messages of this plane.
    pub(super) verdicts: mpsc::Receiver<(GossipToken, Acceptance)>,
    pub(super) events: mpsc::Sender<NetworkEvent>,
    pub(super) company: watch::Receiver<Company>,
    pub(super) links: watch::Sender<Links>,
    /// Offences of peers that are not needed.
    pub(super) offences: mpsc::Sender<(PeerId, Offence)>,
    pub(super) stats: Arc<NetworkStats>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A needed peer.
struct Link {
    outbox: Arc<Outbox>,
    /// Room for its messages that wait for the host.
    line: Arc<Semaphore>,
    writer: Option<(u64, Task)>,
    reader: Option<(u64, Task)>,
    /// Whether the stream to it is open.
    speaking: bool,
    /// The peers that it hears, according to itself.
    hears: BTreeSet<PublicKey>,
}

impl Default for Link {
    fn default() -> Self {
        let line = Arc::new(Semaphore::new(usize::try_from(LINE_SIZE_BYTES).unwrap_or(usize::MAX)));
        Self { outbox: Arc::default(), line, writer: None, reader: None, speaking: false, hears: BTreeSet::new() }
    }
}

/// A stream whose peer is not known to be needed.
struct Waiting {
    peer: PeerId,
    stream: Stream,
    until: Instant,
}

/// What a task reports, with its own number: what an earlier one of the same peer reports counts no more.
#[derive(Debug)]
enum News {
    Speaking(bool),
    Hears(BTreeSet<PublicKey>),
    ReadingEnded { malformed: Option<&'static str> },
}

type Note = (PeerId, u64, News);

/// What the tasks share.
#[derive(Clone)]
struct Common {
    streams: Control,
    protocol: StreamProtocol,
    recent: Arc<Recent>,
    guard: Arc<Mutex<Guard>>,
    events: mpsc::Sender<NetworkEvent>,
    notes: mpsc::Sender<Note>,
    stats: Arc<NetworkStats>,
}

impl Common {
    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The plane.
pub(super) struct Plane {
    local: PublicKey,
    common: Common,
    incoming: IncomingStreams,
    published: mpsc::Receiver<Vec<u8>>,
    verdicts: mpsc::Receiver<(GossipToken, Acceptance)>,
    company: watch::Receiver<Company>,
    links_told: watch::Sender<Links>,
    offences: mpsc::Sender<(PeerId, Offence)>,
    notes: mpsc::Receiver<Note>,
    links: BTreeMap<PeerId, Link>,
    waiting: VecDeque<Waiting>,
    tasks: JoinSet<()>,
    /// The number of the last task.
    number: u64,
}

impl Plane {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { local, streams, protocol, incoming, published, verdicts, events, company, links, offences, stats } =
            parts;
        let (notes_in, notes) = mpsc::channel(NOTES);
        let (recent, guard) = (Arc::default(), Arc::default());
        Self {
            local,
            common: Common { streams, protocol, recent, guard, events, notes: notes_in, stats },
            incoming,
            published,
            verdicts,
            company,
            links_told: links,
            offences,
            notes,
            links: BTreeMap::new(),
            waiting: VecDeque::new(),
            tasks: JoinSet::new(),
            number: 0,
        }
    }

    /// Runs until the swarm's task has ended.
    pub(super) async fn run(mut self) {
        loop {
            let overdue = self.waiting.front().map(|first| first.until);
            tokio::select! {
                Some(message) = self.published.recv() => self.say(message.into()),
                Some((token, verdict)) = self.verdicts.recv() => self.on_verdict(&token, verdict),
                Some((peer, number, news)) = self.notes.recv() => self.on_news(peer, number, news),
                changed = self.company.changed() => match changed {
                    Ok(()) => self.on_company(),
                    Err(_) => return,
                },
                // The library drops a stream if nobody waits for it here, so nothing in this loop may take long.
                Some((peer, stream)) = self.incoming.next() => self.on_stream(peer, stream),
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => self.refuse_overdue(),
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tracing::error!("a task of the consensus plane failed; this is a defect, please report it");
                    }
                }
            }
        }
    }

    /// Sends an own message to all.
    fn say(&mut self, message: Shared) {
        let counters = self.common.stats.consensus();
        stats::add(&counters.published, 1);
        stats::add(&counters.published_bytes, message.len());
        self.common.recent.push(message.clone());
        let all = self.links.values().filter(|link| link.writer.is_some());
        let dropped = all.map(|link| link.outbox.push(message.clone())).sum();
        stats::add(&self.common.stats.dropped_consensus, dropped);
    }

    fn on_verdict(&mut self, token: &GossipToken, verdict: Acceptance) {
        let counters = self.common.stats.consensus();
        let counter = match verdict {
            Acceptance::Accept => &counters.accepted,
            Acceptance::Ignore => &counters.ignored,
            Acceptance::Reject => &counters.rejected,
        };
        stats::add(counter, 1);
        match (verdict, &token.origin) {
            (Acceptance::Accept, Origin::Stream(message)) => self.pass_on(token.source, message),
            (Acceptance::Reject, _) => self.hold_against(token.source, Offence::RejectedMessage),
            (Acceptance::Accept | Acceptance::Ignore, _) => {}
        }
    }

    /// Passes a message on to those who do not hear the one it came from.
    fn pass_on(&self, source: PeerId, message: &Shared) {
        let key = peer_key::of_peer(&source);
        let lacks = |link: &&Link| link.writer.is_some() && !key.is_some_and(|key| link.hears.contains(&key));
        let others = self.links.iter().filter(|(peer, _)| **peer != source).map(|(_, link)| link);
        let dropped = others.filter(lacks).map(|link| link.outbox.push(message.clone())).sum();
        stats::add(&self.common.stats.dropped_consensus, dropped);
    }

    /// A needed peer offended. It is never blocked: what it says is taken at a slower pace for a while.
    fn hold_against(&self, peer: PeerId, offence: Offence) {
        let mut guard = self.common.guard();
        if guard.offend(peer, offence, true) && guard.slow(peer) {
            tracing::warn!(%peer, reason = offence.describe(), "a validator's or configured peer is slowed for a minute");
        }
    }

    fn on_company(&mut self) {
        let needed = self.company.borrow_and_update().needed.clone();
        self.links.retain(|peer, _| needed.contains(peer));
        for peer in needed {
            self.links.entry(peer).or_default();
        }
        for Waiting { peer, stream, until } in std::mem::take(&mut self.waiting) {
            if self.links.contains_key(&peer) {
                self.hear(peer, stream);
            } else {
                self.waiting.push_back(Waiting { peer, stream, until });
            }
        }
        self.on_change();
    }

    /// A peer opened a stream.
    fn on_stream(&mut self, peer: PeerId, stream: Stream) {
        if self.links.contains_key(&peer) {
            self.hear(peer, stream);
            return self.on_change();
        }
        if let Some(index) = self.waiting.iter().position(|waiting| waiting.peer == peer) {
            self.refuse(index);
        }
        if self.waiting.len() >= WAITING {
            self.refuse(0);
        }
        let until = Instant::now() + WAITING_PATIENCE;
        self.waiting.push_back(Waiting { peer, stream, until });
    }

    /// Closes a stream that waits.
    fn refuse(&mut self, index: usize) {
        if let Some(Waiting { peer, .. }) = self.waiting.remove(index) {
            stats::add(&self.common.stats.consensus_refused, 1);
            tracing::debug!(%peer, "refused a consensus stream: the peer is neither a validator's nor configured");
            // If so many offend at once that there is no room, one of them goes free.
            let _ = self.offences.try_send((peer, Offence::Uninvited));
        }
    }

    fn refuse_overdue(&mut self) {
        let now = Instant::now();
        while self.waiting.front().is_some_and(|first| first.until <= now) {
            self.refuse(0);
        }
    }

    /// Reads a needed peer's stream, in the place of an older one.
    fn hear(&mut self, peer: PeerId, stream: Stream) {
        let number = self.next_number();
        let Some(link) = self.links.get_mut(&peer) else { return };
        let (common, line) = (self.common.clone(), link.line.clone());
        link.reader = Some((number, Task(self.tasks.spawn(read(common, peer, number, line, stream)))));
    }

    fn next_number(&mut self) -> u64 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    fn on_news(&mut self, peer: PeerId, number: u64, news: News) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let is_of = |task: &Option<(u64, Task)>| task.as_ref().is_some_and(|(of, _)| *of == number);
        match news {
            News::Speaking(speaking) if is_of(&link.writer) => link.speaking = speaking,
            News::Hears(hears) if is_of(&link.reader) => link.hears = hears,
            News::ReadingEnded { malformed } if is_of(&link.reader) => {
                link.reader = None;
                if let Some(reason) = malformed {
                    tracing::debug!(%peer, reason, "a consensus stream is malformed");
                    self.hold_against(peer, Offence::RejectedMessage);
                }
            }
            News::Speaking(_) | News::Hears(_) | News::ReadingEnded { .. } => return,
        }
        self.on_change();
    }

    /// Speaks to whom it should, and tells everybody who is heard, and who hears this peer.
    fn on_change(&mut self) {
        let speaks = self.company.borrow().speaks;
        let mut number = self.number;
        for (peer, link) in &mut self.links {
            let should_speak = speaks || link.reader.is_some();
            if !should_speak {
                (link.writer, link.speaking) = (None, false);
            } else if link.writer.is_none() {
                number = number.wrapping_add(1);
                let writing = speak(self.common.clone(), *peer, number, link.outbox.clone());
                link.writer = Some((number, Task(self.tasks.spawn(writing))));
            }
        }
        self.number = number;
        let hears_us = |link: &Link| link.speaking && link.hears.contains(&self.local);
        let of = |is: &dyn Fn(&Link) -> bool| -> BTreeSet<PeerId> {
            self.links.iter().filter(|(_, link)| is(link)).map(|(peer, _)| *peer).collect()
        };
        let links = Links { heard_by: of(&hears_us), hearing: of(&|link| link.reader.is_some()) };
        stats::set(&self.common.stats.consensus_streams_outbound, of(&|link| link.speaking).len());
        stats::set(&self.common.stats.consensus_streams_inbound, links.hearing.len());
        let hears = Shared::from(frame::encode_hears(links.hearing.iter().filter_map(peer_key::of_peer)));
        for link in self.links.values() {
            link.outbox.set_hears(&hears);
        }
        self.links_told.send_if_modified(|told| {
            let changed = *told != links;
            *told = links;
            changed
        });
    }
}

/// Speaks to a peer, on one stream after the other.
async fn speak(common: Common, peer: PeerId, number: u64, outbox: Arc<Outbox>) {
    let mut wait = FIRST_WAIT;
    loop {
        // With a control of its own: one opens a stream at a time.
        let mut control = common.streams.clone();
        match timeout(OPEN_PATIENCE, control.open_stream(peer, common.protocol.clone())).await {
            Ok(Ok(stream)) => {
                let begun = Instant::now();
                outbox.begin(&common.recent);
                // The plane may have ended, and then this task ends with it.
                let _ = common.notes.send((peer, number, News::Speaking(true))).await;
                let Err(error) = write(&common, stream, &outbox).await;
                tracing::debug!(%peer, %error, "a consensus stream has ended");
                let _ = common.notes.send((peer, number, News::Speaking(false))).await;
                if begun.elapsed() > STEADY {
                    wait = FIRST_WAIT;
                }
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no consensus stream"),
            Err(_) => tracing::debug!(%peer, "no consensus stream in time"),
        }
        sleep(wait).await;
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

async fn write(common: &Common, stream: Stream, outbox: &Outbox) -> Result<Infallible, io::Error> {
    let (mut answers, mut stream) = stream.split();
    let mut answer = [0; 1];
    loop {
        let mut next = tokio::select! {
            parcel = outbox.next() => Some(parcel),
            // Nobody answers here: the other side has closed the stream.
            read = answers.read(&mut answer) => return Err(read.err().unwrap_or(io::ErrorKind::UnexpectedEof.into())),
        };
        while let Some(parcel) = next {
            let written = async {
                match &parcel {
                    Parcel::Hears(hears) => frame::write_hears(&mut stream, hears).await,
                    Parcel::Message(message) => frame::write_message(&mut stream, message).await,
                }
            };
            timeout(WRITE_PATIENCE, written).await.map_err(|_| io::ErrorKind::TimedOut)??;
            if matches!(parcel, Parcel::Message(_)) {
                stats::add(&common.stats.consensus_sent, 1);
            }
            next = outbox.try_next();
        }
        timeout(WRITE_PATIENCE, stream.flush()).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
}

/// Reads what a peer says until its stream ends.
async fn read(common: Common, peer: PeerId, number: u64, line: Arc<Semaphore>, mut stream: Stream) {
    let malformed = loop {
        match frame::read(&mut stream).await {
            Ok(Frame::Message(message)) => take(&common, peer, &line, message).await,
            Ok(Frame::Hears(hears)) => {
                // Who changes its mind all the time waits for its turn.
                let _ = common.notes.send((peer, number, News::Hears(hears))).await;
            }
            Err(FrameError::Malformed(reason)) => break Some(reason),
            Err(FrameError::Ended(_)) => break None,
        }
    };
    let _ = common.notes.send((peer, number, News::ReadingEnded { malformed })).await;
}

/// Hands a message to the host, when there is room for another one of its peer.
async fn take(common: &Common, peer: PeerId, line: &Arc<Semaphore>, message: Vec<u8>) {
    let (counters, size_bytes) = (common.stats.consensus(), message.len());
    stats::add(&counters.received, 1);
    stats::add(&counters.received_bytes, size_bytes);
    if !common.guard().spend(peer, Spending::Consensus { size_bytes }) {
        return stats::add(&counters.limited, 1);
    }
    let cost = u32::try_from(size_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES)).unwrap_or(LINE_SIZE_BYTES);
    let Ok(room) = line.clone().acquire_many_owned(cost).await else { return };
    let data = Shared::from(message);
    let token = GossipToken { source: peer, size_bytes, origin: Origin::Stream(data.clone()) };
    // The event loop may have ended.
    let _ = common.events.send(NetworkEvent::Consensus { data, token, room }).await;
}
