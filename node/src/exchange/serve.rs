//! Answering the requests of other peers.

use super::{
    rate::{PORTION_BYTES, RateLimit},
    wire::{self, Head, Request, WireError},
};
use allod_storage::artifacts::{ArtifactError, ArtifactStore, BlobReader};
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::PeerId;
use libp2p_stream::IncomingStreams;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

pub use super::wire::Asked;

/// Whether a peer may read a blob as part of an artifact. Called for every request, on a thread that may block.
pub type Admit = Arc<dyn Fn(&PeerId, &Asked) -> bool + Send + Sync>;

/// Limits on what strangers may request at a time.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// Maximum number of streams served. Each holds at most one answer in memory (2 MiB).
    pub streams: usize,
    /// Maximum number of streams of one peer.
    pub streams_per_peer: usize,
    /// How long a stream may be idle between requests.
    pub idle: Duration,
    /// How long a peer may take to accept one answer, or one portion of it if bytes per second are bounded.
    pub answer: Duration,
    /// Maximum bytes per second, to all peers together.
    pub rate: RateLimit,
}

impl Default for ServeLimits {
    fn default() -> Self {
        let (idle, answer) = (Duration::from_secs(60), Duration::from_secs(60));
        // A peer with five fetches in progress opens three streams for each.
        Self { streams: 64, streams_per_peer: 16, idle, answer, rate: RateLimit::default() }
    }
}

/// Streams beyond the limit that are answered `Busy`; any more are closed without an answer.
const BUSY_STREAMS: usize = 64;
/// How long a stream that will be answered `Busy` may take to send a request.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// What was served since the start.
#[derive(Debug, Default)]
pub struct ServeCounters {
    /// Bytes of slices sent.
    pub sent_bytes: AtomicU64,
    /// Requests answered with a slice.
    pub found: AtomicU64,
    /// Requests for blobs that are not here.
    pub not_found: AtomicU64,
    /// Requests by peers that are not admitted.
    pub refused: AtomicU64,
    /// Streams answered `Busy`, or closed, because of a limit.
    pub busy: AtomicU64,
    /// Streams closed because a frame or a range broke a rule.
    pub malformed: AtomicU64,
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// What is served, to whom, and within which limits.
#[derive(Clone)]
pub struct Server {
    /// The store with the bytes.
    pub store: Arc<ArtifactStore>,
    /// Decides which peers may read what.
    pub admit: Admit,
    /// The bounds.
    pub limits: ServeLimits,
    /// For metrics.
    pub counters: Arc<ServeCounters>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits).field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// Serves until the incoming streams end. Dropping the future ends every stream it serves.
pub async fn serve(server: Server, mut incoming: IncomingStreams) {
    let server = Arc::new(server);
    let slots = Slots::default();
    let mut tasks = JoinSet::new();
    loop {
        // libp2p drops a stream if nobody waits for it here, so nothing in this loop may take long.
        tokio::select! {
            next = incoming.next() => {
                let Some((peer, stream)) = next else { break };
                let server = Arc::clone(&server);
                if let Some(slot) = slots.take(peer, &server.limits) {
                    tasks.spawn(async move { serve_stream(&server, stream, slot).await });
                } else {
                    count(&server.counters.busy, 1);
                    if tasks.len() < server.limits.streams.saturating_add(BUSY_STREAMS) {
                        tasks.spawn(answer_busy(stream));
                    }
                }
            }
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "serving a stream failed; this is a defect, please report it");
                }
            }
        }
    }
}

/// Number of streams being served, per peer.
#[derive(Clone, Debug, Default)]
struct Slots(Arc<Mutex<BTreeMap<PeerId, usize>>>);

impl Slots {
    fn take(&self, peer: PeerId, limits: &ServeLimits) -> Option<Slot> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&peer).copied().unwrap_or(0);
        if all >= limits.streams || own >= limits.streams_per_peer {
            return None;
        }
        taken.insert(peer, own.saturating_add(1));
        Some(Slot { peer, slots: self.clone() })
    }
}

/// Released when the stream's task ends, however it ends.
#[derive(Debug)]
struct Slot {
    peer: PeerId,
    slots: Slots,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.peer) {
            Some(own) if *own > 1 => *own = own.saturating_sub(1),
            _ => {
                taken.remove(&self.peer);
            }
        }
    }
}

async fn answer_busy(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if let Ok(Some(_)) = wire::read_frame::<Request>(&mut stream, BUSY_PATIENCE).await {
        let mut bytes = Vec::new();
        wire::put_frame(&Head::Busy, &mut bytes);
        let _ = wire::write_all(&mut stream, &bytes, BUSY_PATIENCE).await;
        let _ = tokio::time::timeout(BUSY_PATIENCE, stream.close()).await;
    }
}

async fn serve_stream(server: &Arc<Server>, mut stream: impl AsyncRead + AsyncWrite + Unpin, slot: Slot) {
    let peer = slot.peer;
    match answer_all(server, &mut stream, peer).await {
        Ok(()) => {
            let _ = tokio::time::timeout(BUSY_PATIENCE, stream.close()).await;
        }
        Err(Ended::Malformed(reason)) => {
            count(&server.counters.malformed, 1);
            tracing::debug!(%peer, reason, "closed a stream that broke a rule of the artifact protocol");
        }
        Err(Ended::Stream(error)) => tracing::debug!(%peer, %error, "a stream ended early"),
    }
}

/// Why a stream ended abnormally.
enum Ended {
    Malformed(String),
    Stream(WireError),
}

impl From<WireError> for Ended {
    fn from(error: WireError) -> Self {
        match error {
            WireError::TooLong(_) | WireError::Malformed(_) => Self::Malformed(error.to_string()),
            other => Self::Stream(other),
        }
    }
}

async fn answer_all(
    server: &Arc<Server>,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: PeerId,
) -> Result<(), Ended> {
    let mut answering = Answering { server: Arc::clone(server), reader: None, bytes: Vec::new() };
    while let Some(request) = wire::read_frame::<Request>(stream, server.limits.idle).await? {
        let head;
        (answering, head) = answering.answer(peer, request).await?;
        let (limits, bytes) = (&server.limits, &answering.bytes);
        let portion_bytes = if limits.rate.is_bounded() { PORTION_BYTES } else { bytes.len() };
        for portion in bytes.chunks(portion_bytes) {
            limits.rate.pass(portion.len() as u64).await;
            wire::write_all(stream, portion, limits.answer).await?;
        }
        let counters = &server.counters;
        match head {
            Head::Found { slice_bytes, .. } => {
                count(&counters.found, 1);
                count(&counters.sent_bytes, slice_bytes);
            }
            Head::NotFound => count(&counters.not_found, 1),
            Head::Refused => count(&counters.refused, 1),
            Head::Busy => count(&counters.busy, 1),
        }
    }
    Ok(())
}

/// What one stream keeps between requests: the blob it reads, and the buffer for its answers.
struct Answering {
    server: Arc<Server>,
    reader: Option<BlobReader>,
    bytes: Vec<u8>,
}

impl Answering {
    /// Reads and proves on a thread that may block.
    async fn answer(mut self, peer: PeerId, request: Request) -> Result<(Self, Head), Ended> {
        let task = tokio::task::spawn_blocking(move || {
            let head = self.prepare(&peer, request)?;
            Ok((self, head))
        });
        task.await.unwrap_or_else(|panic| Err(Ended::Malformed(format!("answering failed: {panic}"))))
    }

    /// Fills the buffer with the answer.
    fn prepare(&mut self, peer: &PeerId, request: Request) -> Result<Head, Ended> {
        if !(self.server.admit)(peer, request.asked()) {
            return Ok(self.say(Head::Refused));
        }
        match self.slice(request) {
            Ok(head) => Ok(head),
            Err(Refusal::Malformed(reason)) => Err(Ended::Malformed(reason)),
            Err(Refusal::Absent) => Ok(self.say(Head::NotFound)),
        }
    }

    /// An answer without a slice.
    fn say(&mut self, head: Head) -> Head {
        self.reader = None;
        self.bytes.clear();
        wire::put_frame(&head, &mut self.bytes);
        head
    }

    fn slice(&mut self, request: Request) -> Result<Head, Refusal> {
        let blob = &request.asked().blob;
        let reader = match self.reader.take() {
            Some(reader) if reader.address() == blob => reader,
            _ => self.server.store.reader(blob)?,
        };
        let size_bytes = reader.size_bytes();
        let range = request.range(size_bytes);
        let range = range.ok_or_else(|| Refusal::Malformed(format!("no slice answers {request:?}")))?;
        let slice_bytes = allod_storage::artifacts::encoded_size_bytes(size_bytes, range);
        let head = Head::Found { size_bytes, slice_bytes };
        self.bytes.clear();
        wire::put_frame(&head, &mut self.bytes);
        reader.encode(range, &mut self.bytes)?;
        self.reader = Some(reader);
        Ok(head)
    }
}

enum Refusal {
    Absent,
    Malformed(String),
}

impl From<ArtifactError> for Refusal {
    fn from(error: ArtifactError) -> Self {
        if !matches!(error, ArtifactError::NotFound(_)) {
            // For the operator: the bytes are damaged, or their file is gone. For the peer they are not here.
            tracing::error!(%error, "cannot serve an artifact");
        }
        Self::Absent
    }
}
