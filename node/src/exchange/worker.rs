//! One stream to one provider: request, read, prove, write, repeat.

use super::{
    fetch::{DropReason, FetchError},
    session::{Ask, Claimed, Session, Target},
    wire::{self, Head, WireError},
};
use allod_protocol::ground::limits;
use allod_storage::artifacts::{ArtifactError, ByteRange, ReceiveError, Started, encoded_size_bytes, proves};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::Control;
use std::{collections::VecDeque, sync::Arc};
use tokio::time::{Duration, timeout};

/// Maximum number of requests in flight to one provider on one stream. Small files are many.
const WINDOW_ASKS: usize = 32;
/// How often an idle worker checks whether others have become slow, which only time shows.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The wait after a provider failed or was busy. It grows with each time in a row.
const BACKOFF: Duration = Duration::from_millis(250);
const BACKOFF_MOST: Duration = Duration::from_secs(3);

/// Why a conversation ended.
enum Trouble {
    /// The provider is at fault, beyond doubt.
    Misbehaved(DropReason),
    /// Perhaps nobody is at fault.
    Failed(DropReason),
    Busy,
    /// This machine, or the fetch as a whole, is at fault.
    Ours(FetchError),
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Timeout(_) => Self::Failed(DropReason::Slow(error.to_string())),
            WireError::Io(_) => Self::Failed(DropReason::Unreachable(error.to_string())),
            WireError::TooLong(_) | WireError::Malformed(_) => {
                Self::Misbehaved(DropReason::BrokeProtocol(error.to_string()))
            }
        }
    }
}

/// Works for the session on streams to one provider until the provider is dropped.
pub(super) async fn work(session: Arc<Session>, mut control: Control, protocol: StreamProtocol, peer: PeerId) {
    while wait_for_work(&session, peer).await {
        let trouble = match open(&session, &mut control, &protocol, peer).await {
            Ok(stream) => Conversation::new(&session, stream, peer).run().await,
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Misbehaved(reason) => session.drop_provider(peer, reason),
            Trouble::Ours(error) => session.fail(error),
            Trouble::Busy => {
                if let Some(times) = session.busy(peer) {
                    tokio::time::sleep(BACKOFF.saturating_mul(times).min(BACKOFF_MOST)).await;
                }
            }
            Trouble::Failed(reason) => {
                if let Some(strikes) = session.strike(peer, reason) {
                    tokio::time::sleep(BACKOFF.saturating_mul(strikes).min(BACKOFF_MOST)).await;
                }
            }
        }
    }
}

/// Waits for something to request, so that no stream is opened before. Returns false if the provider was dropped.
async fn wait_for_work(session: &Session, peer: PeerId) -> bool {
    loop {
        let changed = session.changed.notified();
        if session.is_dropped(&peer) {
            return false;
        }
        if session.has_work(peer) {
            return true;
        }
        let _ = timeout(LOOK_AGAIN, changed).await;
    }
}

async fn open(
    session: &Session,
    control: &mut Control,
    protocol: &StreamProtocol,
    peer: PeerId,
) -> Result<Stream, Trouble> {
    let patience = session.options.open_timeout;
    match timeout(patience, control.open_stream(peer, protocol.clone())).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Trouble::Failed(DropReason::Unreachable(error.to_string()))),
        Err(_) => Err(Trouble::Failed(DropReason::Unreachable(format!("no stream opened within {patience:?}")))),
    }
}

/// Requests in flight on one stream, and their answers.
struct Conversation<'a> {
    session: &'a Arc<Session>,
    stream: Stream,
    peer: PeerId,
    asked: VecDeque<Ask>,
    /// Bytes that have arrived but have not been charged to the bound yet.
    unpaid_bytes: u64,
    slice: Vec<u8>,
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        for ask in self.asked.drain(..) {
            self.session.give_back(ask, self.peer);
        }
    }
}

impl<'a> Conversation<'a> {
    fn new(session: &'a Arc<Session>, stream: Stream, peer: PeerId) -> Self {
        Self { session, stream, peer, asked: VecDeque::new(), unpaid_bytes: 0, slice: Vec::new() }
    }

    /// Sends requests and takes answers until something goes wrong.
    async fn run(mut self) -> Trouble {
        loop {
            let result = match self.ask().await {
                Ok(()) if self.asked.is_empty() => self.idle().await,
                Ok(()) => self.take_answer().await,
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = result {
                return trouble;
            }
        }
    }

    /// Sends as many requests as the window allows. Under a bound on bytes per second, waits for the bytes that have
    /// arrived first, while nothing is in flight: no provider is thought slow because of it.
    async fn ask(&mut self) -> Result<(), Trouble> {
        let mut frames = Vec::new();
        let piece_bytes = self.session.options.piece_bytes;
        let mut window_bytes = self.session.window_bytes(&self.peer);
        let rate = &self.session.options.rate;
        if rate.is_bounded() {
            if !self.asked.is_empty() {
                return Ok(());
            }
            rate.pass(std::mem::take(&mut self.unpaid_bytes)).await;
            window_bytes = window_bytes.min(piece_bytes);
        }
        let mut on_the_way: u64 = self.asked.iter().map(|ask| self.session.cost_bytes(ask)).sum();
        while self.asked.len() < WINDOW_ASKS && (self.asked.is_empty() || on_the_way < window_bytes) {
            let Some(ask) = self.session.take(self.peer) else { break };
            let cost_bytes = self.session.cost_bytes(&ask);
            on_the_way = on_the_way.saturating_add(cost_bytes);
            wire::put_frame(&ask.request(self.session.wanted.address, piece_bytes), &mut frames);
            self.asked.push_back(ask);
        }
        if frames.is_empty() {
            return Ok(());
        }
        Ok(wire::write_all(&mut self.stream, &frames, self.session.options.idle_timeout).await?)
    }

    /// Nothing to request: waits for work, and keeps the stream open for a while.
    async fn idle(&mut self) -> Result<(), Trouble> {
        let changed = self.session.changed.notified();
        if self.session.is_dropped(&self.peer) {
            return Err(Trouble::Failed(DropReason::Unreachable("another stream of the provider failed".into())));
        }
        if !self.session.has_work(self.peer) {
            let _ = timeout(LOOK_AGAIN, changed).await;
        }
        Ok(())
    }

    /// Reads the answer to the oldest request.
    async fn take_answer(&mut self) -> Result<(), Trouble> {
        let Some(ask) = self.asked.front().copied() else { return Ok(()) };
        self.session.is_due(&ask, self.peer);
        let patience = self.session.options.idle_timeout;
        let head = wire::read_frame::<Head>(&mut self.stream, patience).await?;
        match head.ok_or_else(|| WireError::Io(std::io::ErrorKind::UnexpectedEof.into()))? {
            Head::Found { size_bytes, slice_bytes } => {
                self.take_slice(ask, size_bytes, slice_bytes).await?;
                self.unpaid_bytes = self.unpaid_bytes.saturating_add(slice_bytes);
                self.asked.pop_front();
            }
            Head::Busy => return Err(Trouble::Busy),
            head @ (Head::NotFound | Head::Refused) => {
                self.asked.pop_front();
                self.session.lacks(ask, self.peer, head == Head::Refused);
            }
        }
        Ok(())
    }

    async fn take_slice(&mut self, ask: Ask, size_bytes: u64, slice_bytes: u64) -> Result<(), Trouble> {
        let range = self.check_head(&ask, size_bytes, slice_bytes)?;
        let patience = self.session.options.idle_timeout;
        // Bounded by `check_head`: a piece and its proof.
        self.slice.resize(usize::try_from(slice_bytes).unwrap_or(usize::MAX), 0);
        wire::read_exact(&mut self.stream, &mut self.slice, patience).await?;
        let slice = std::mem::take(&mut self.slice);
        let answer = Answer { ask, range, size_bytes, peer: self.peer };
        // Proves and writes on a thread that may block. If this future is dropped, that work still finishes.
        let session = Arc::clone(self.session);
        let task = tokio::task::spawn_blocking(move || (answer.store(&session, &slice), slice));
        match task.await {
            Ok((result, slice)) => {
                self.slice = slice;
                result
            }
            Err(panic) => Err(Trouble::Ours(FetchError::Defect(panic.to_string()))),
        }
    }

    /// The range of the slice, if head and request agree.
    fn check_head(&self, ask: &Ask, size_bytes: u64, slice_bytes: u64) -> Result<ByteRange, Trouble> {
        let broken = |what: String| Trouble::Misbehaved(DropReason::BrokeProtocol(what));
        let sound = size_bytes <= limits::ARTIFACT_SIZE_BYTES;
        let request = ask.request(self.session.wanted.address, self.session.options.piece_bytes);
        let range = request.range(size_bytes).filter(|_| sound);
        let range = range.ok_or_else(|| broken(format!("a blob of {size_bytes} bytes does not answer {ask:?}")))?;
        if slice_bytes != encoded_size_bytes(size_bytes, range) {
            return Err(broken(format!(
                "a slice of {slice_bytes} bytes does not answer {ask:?} of {size_bytes} bytes"
            )));
        }
        Ok(range)
    }
}

/// A slice that has arrived and is not proven yet.
struct Answer {
    ask: Ask,
    range: ByteRange,
    size_bytes: u64,
    peer: PeerId,
}

impl Answer {
    /// Proves and writes the slice. Blocks.
    fn store(&self, session: &Session, slice: &[u8]) -> Result<(), Trouble> {
        let address = self.ask.address();
        match session.target(&self.ask) {
            Target::Gone => Ok(()),
            Target::Start { claim, expected_bytes, limit_bytes } => {
                let wrong = expected_bytes.is_some_and(|expected| expected != self.size_bytes);
                if wrong || self.size_bytes > limit_bytes {
                    return self.refuse_size(session, slice, expected_bytes, limit_bytes);
                }
                match session.store.start(address, self.size_bytes, self.range, slice) {
                    Ok(Started::Complete) => {
                        let first = session.arrived_whole(address, self.size_bytes);
                        session.arrived(&self.ask, self.peer, if first { self.size_bytes } else { 0 });
                        session.close(address, Ok(()));
                        Ok(())
                    }
                    Ok(Started::Partial(partial)) => {
                        let partial = Arc::new(Claimed::new(partial, claim));
                        session.begun(address, partial);
                        session.arrived(&self.ask, self.peer, self.range.size_bytes());
                        Ok(())
                    }
                    // Another stream's answer to the same request came first.
                    Err(ReceiveError::Store(ArtifactError::UnderWay(_))) => Ok(()),
                    Err(error) => Err(trouble(error)),
                }
            }
            Target::Continue(partial) => {
                if partial.size_bytes() != self.size_bytes {
                    let wrong = format!("{} bytes are not the size of {address}", self.size_bytes);
                    return Err(Trouble::Misbehaved(DropReason::WrongBytes(wrong)));
                }
                let new_bytes = partial.receive(self.range, slice).map_err(trouble)?;
                session.arrived(&self.ask, self.peer, new_bytes);
                if partial.verified_bytes() == partial.size_bytes() {
                    let result = partial.finish().map_err(FetchError::from);
                    session.close(address, result);
                }
                Ok(())
            }
        }
    }

    /// The size is not acceptable. Only the proof shows whose fault that is.
    fn refuse_size(
        &self,
        session: &Session,
        slice: &[u8],
        expected_bytes: Option<u64>,
        limit_bytes: u64,
    ) -> Result<(), Trouble> {
        let address = *self.ask.address();
        if !proves(&address, self.size_bytes, self.range, slice) {
            let wrong = format!("the tail of {address} does not prove {} bytes", self.size_bytes);
            return Err(Trouble::Misbehaved(DropReason::WrongBytes(wrong)));
        }
        let size_bytes = self.size_bytes;
        let error = match expected_bytes {
            Some(expected_bytes) => FetchError::ManifestWrong { address, expected_bytes, size_bytes },
            None => FetchError::TooLarge { address, size_bytes, limit_bytes },
        };
        session.close(&address, Err(error));
        Ok(())
    }
}

fn trouble(error: ReceiveError) -> Trouble {
    match error {
        ReceiveError::WrongBytes { .. } => Trouble::Misbehaved(DropReason::WrongBytes(error.to_string())),
        ReceiveError::Store(error) => Trouble::Ours(error.into()),
    }
}
