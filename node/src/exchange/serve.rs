//! Answering the requests of other peers.

use super::{
    places::{Answer, Bounds, Open, Places},
    rate::{PORTION_BYTES, RateLimit},
    wire::{self, Head, Request, WireError},
};
use allod_storage::artifacts::{ArtifactError, ArtifactStore, BlobReader};
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::PeerId;
use libp2p_stream::IncomingStreams;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

pub use super::wire::Asked;

/// Whether a peer may read a blob as part of an artifact. Called for every request, on a thread that may block.
pub type Admit = Arc<dyn Fn(&PeerId, &Asked) -> bool + Send + Sync>;

/// Whether an account answers for a peer, so that places are kept for it. Called for every stream; it must be quick.
pub type IsKnown = Arc<dyn Fn(&PeerId) -> bool + Send + Sync>;

/// Limits on what strangers may request at a time.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// Maximum number of answers in progress. Each is held in memory (at most 2 MiB). Four times as many streams may be
    /// open.
    pub answers: usize,
    /// Maximum number of answers in progress to one peer.
    pub answers_per_peer: usize,
    /// How long a stream may be idle between requests.
    pub idle: Duration,
    /// How long a peer may take to accept one answer, or one portion of it if bytes per second are bounded.
    pub answer: Duration,
    /// How long a request waits for its turn before it is answered `Busy`.
    pub turn: Duration,
    /// How long a peer may keep an answer waiting, in all, while others wait for a turn.
    pub reader: Duration,
    /// Maximum bytes per second, to all peers together.
    pub rate: RateLimit,
}

impl Default for ServeLimits {
    fn default() -> Self {
        let (idle, answer) = (Duration::from_secs(60), Duration::from_secs(60));
        // A peer with five fetches in progress opens three streams for each.
        let (turn, reader) = (Duration::from_secs(5), Duration::from_secs(5));
        Self { answers: 64, answers_per_peer: 16, idle, answer, turn, reader, rate: RateLimit::default() }
    }
}

/// Bytes of an answer that are written at once, so that it is known when its reader keeps it waiting.
const WRITE_BYTES: usize = 64 * 1024;
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
    /// Requests answered `Busy`, and streams ended for another's sake.
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
    /// Decides for which peers places are kept.
    pub is_known: IsKnown,
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
    let &ServeLimits { answers, answers_per_peer, turn, reader, .. } = &server.limits;
    let places = Places::new(Bounds { answers, answers_per_peer, turn, reader });
    let mut tasks = JoinSet::new();
    loop {
        // libp2p drops a stream if nobody waits for it here, so nothing in this loop may take long.
        tokio::select! {
            next = incoming.next() => {
                let Some((peer, stream)) = next else { break };
                if tasks.len() >= places.open_at_most().saturating_add(BUSY_STREAMS) {
                    count(&server.counters.busy, 1);
                    continue;
                }
                let (server, places) = (Arc::clone(&server), Arc::clone(&places));
                tasks.spawn(async move {
                    if let Some(open) = places.open(peer, (server.is_known)(&peer)) {
                        serve_stream(&server, stream, peer, &open).await;
                    } else {
                        count(&server.counters.busy, 1);
                        answer_busy(stream).await;
                    }
                });
            }
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "serving a stream failed; this is a defect, please report it");
                }
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

async fn serve_stream(
    server: &Arc<Server>,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: PeerId,
    open: &Open,
) {
    let ended = tokio::select! {
        ended = answer_all(server, &mut stream, peer, open) => ended,
        () = open.told_to_leave() => {
            count(&server.counters.busy, 1);
            return tracing::debug!(%peer, "ended a stream for the sake of another");
        }
    };
    match ended {
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
    open: &Open,
) -> Result<(), Ended> {
    let mut answering = Answering { server: Arc::clone(server), reader: None, bytes: Vec::new() };
    while let Some(request) = wire::read_frame::<Request>(stream, server.limits.idle).await? {
        let Some(mut place) = open.begin().await else {
            let head = answering.say(Head::Busy);
            wire::write_all(stream, &answering.bytes, server.limits.answer).await?;
            count_answer(&server.counters, head);
            continue;
        };
        let head;
        answering.bytes = std::mem::take(&mut place.bytes);
        (answering, head) = answering.answer(peer, request).await?;
        place.bytes = std::mem::take(&mut answering.bytes);
        write_answer(&server.limits, stream, &place).await?;
        count_answer(&server.counters, head);
    }
    Ok(())
}

async fn write_answer(
    limits: &ServeLimits,
    stream: &mut (impl AsyncWrite + Unpin),
    answer: &Answer<'_>,
) -> Result<(), WireError> {
    let portion_bytes = if limits.rate.is_bounded() { PORTION_BYTES } else { WRITE_BYTES };
    let until = Instant::now() + limits.answer;
    for portion in answer.bytes.chunks(portion_bytes) {
        limits.rate.pass(portion.len() as u64).await;
        // Under a bound, each portion has all the time.
        let patience = if limits.rate.is_bounded() { limits.answer } else { until - Instant::now() };
        answer.waits_for_reader(true);
        wire::write_all(stream, portion, patience).await?;
        answer.waits_for_reader(false);
    }
    Ok(())
}

fn count_answer(counters: &ServeCounters, head: Head) {
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

/// What one stream keeps between requests: the blob it reads. The buffer is the place's while it answers.
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
