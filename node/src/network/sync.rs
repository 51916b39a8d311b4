//! Blocks for peers that are behind: one request and one response, on a stream of their own, each closed by its writer.
//!
//! The end of a record is the end of its half of the stream, so there is no length to lie about: reading stops one byte
//! after the bound. Decoding runs off the swarm's task. Who does not read its answer loses it, and waits for the next.

use super::{
    NetworkEvent,
    driver::Driver,
    offences::{Offence, Spending},
    places::Place,
    stats,
};
use allod_protocol::{
    ground::{codec, ids::Height, limits},
    ledger::block::DecidedBlock,
};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{
    PeerId, StreamProtocol,
    request_response::{
        self, InboundFailure, InboundRequestId, Message, OutboundFailure, ProtocolSupport, ResponseChannel,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{io, sync::Arc, time::Duration};

/// How long a request may take, from sending it to the last byte of the answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the first byte of an answer may take. Who never answers must not use up [`REQUESTS_UNDER_WAY`].
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer that its asker must have taken within [`READING_PATIENCE`], then the next ones.
const READING_SIZE_BYTES: usize = 64 * 1024;
/// How long an asker may take to read so much.
const READING_PATIENCE: Duration = Duration::from_secs(3);
/// Maximum size of an encoded request, in bytes.
const REQUEST_SIZE_BYTES: usize = 1_024;
/// Maximum number of requests in progress on one connection, both directions together.
const STREAMS_PER_CONNECTION: usize = 16;
/// Maximum number of our requests in progress.
const REQUESTS_UNDER_WAY: usize = 64;
/// Maximum number of our requests in progress to one peer.
const REQUESTS_PER_PEER: usize = 8;

/// A request for decided blocks of consecutive heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// The first height wanted, at least 1.
    pub from: Height,
    /// Number of blocks wanted, 1 to [`limits::SYNC_BLOCKS`]. The response may have fewer: as many as fit.
    pub max_blocks: u32,
}

/// Decided blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncResponse {
    /// The last height that the answering peer says it has executed.
    pub tip: Height,
    /// Blocks from the requested height on; empty if the peer has none of them.
    pub blocks: Vec<DecidedBlock>,
}

/// Where to send the answer to a request. Dropping it refuses the request.
#[derive(Debug)]
pub struct SyncChannel {
    channel: ResponseChannel<SyncResponse>,
    /// Held until the answer is made.
    _place: Arc<Place>,
}

impl SyncChannel {
    /// Whether somebody still waits for the answer.
    pub fn is_open(&self) -> bool {
        self.channel.is_open()
    }
}

/// Why a request brought no blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// There is no connection to the peer.
    #[error("the peer is not connected")]
    NotConnected,
    /// Too many requests are already in progress.
    #[error("too many requests for blocks are under way; wait for an answer")]
    Busy,
    /// The answer did not come in time.
    #[error("the peer did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The bytes are not a valid answer, which counts as an offence of the peer.
    #[error("the peer's answer is malformed: {0}")]
    Malformed(String),
    /// The stream failed, or the peer refused.
    #[error("the peer did not answer: {0}")]
    Failed(String),
}

pub(super) type Behaviour = request_response::Behaviour<SyncCodec>;

pub(super) fn behaviour(protocol: StreamProtocol) -> Behaviour {
    let config = request_response::Config::default()
        .with_request_timeout(TIMEOUT)
        .with_max_concurrent_streams(STREAMS_PER_CONNECTION);
    Behaviour::new([(protocol, ProtocolSupport::Full)], config)
}

/// What arrives as a request. The library does not report malformed bytes, so they are read as a kind of their own.
#[derive(Debug)]
pub(super) enum Asked {
    Request(SyncRequest),
    Malformed(String),
}

/// Requests and responses as bytes on a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SyncCodec;

impl request_response::Codec for SyncCodec {
    type Protocol = StreamProtocol;
    type Request = Asked;
    type Response = SyncResponse;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Asked>
    where
        T: AsyncRead + Unpin + Send,
    {
        let request = read(io, REQUEST_SIZE_BYTES).await.and_then(|bytes| decode(&bytes, REQUEST_SIZE_BYTES));
        match request {
            Ok(request) => Ok(Asked::Request(request)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Asked::Malformed(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<SyncResponse>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut first = [0];
        let begun = tokio::time::timeout(ANSWER_PATIENCE, io.read(&mut first)).await;
        let count = begun.map_err(|_| io::ErrorKind::TimedOut)??;
        let mut whole = first.get(..count).unwrap_or_default().chain(io);
        let bytes = read(&mut whole, limits::SYNC_RESPONSE_SIZE_BYTES).await?;
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer refused the request"));
        }
        // Megabytes of blocks to hash: not on a thread on which others wait.
        tokio::task::spawn_blocking(move || decode(&bytes, limits::SYNC_RESPONSE_SIZE_BYTES))
            .await
            .map_err(io::Error::other)?
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, asked: Asked) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match asked {
            Asked::Request(request) => io.write_all(&codec::encode(&request)).await,
            Asked::Malformed(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: SyncResponse) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let bytes = tokio::task::spawn_blocking(move || codec::encode(&response)).await.map_err(io::Error::other)?;
        if bytes.len() > limits::SYNC_RESPONSE_SIZE_BYTES {
            let reason = format!("{} bytes are more than a response may have", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        for part in bytes.chunks(READING_SIZE_BYTES) {
            tokio::time::timeout(READING_PATIENCE, io.write_all(part)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        Ok(())
    }
}

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    io.take(bound).read_to_end(&mut bytes).await?;
    if bytes.len() > max_bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {max_bytes} bytes")));
    }
    Ok(bytes)
}

fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], max_bytes: usize) -> io::Result<T> {
    codec::decode(bytes, max_bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Whether a response answers this request. Its blocks are not verified.
fn check(request: SyncRequest, response: &SyncResponse) -> Result<(), String> {
    let wanted = usize::try_from(request.max_blocks).unwrap_or(usize::MAX);
    if response.blocks.len() > wanted {
        return Err(format!("{} blocks, but {wanted} were requested", response.blocks.len()));
    }
    let mut height = request.from;
    for decided in &response.blocks {
        let found = decided.block.header().height;
        if found != height || decided.check_names().is_err() {
            return Err(format!("a block of height {found} instead of {height}"));
        }
        height = height.next();
    }
    Ok(())
}

impl Driver {
    pub(super) fn request_blocks(&mut self, peer: PeerId, request: SyncRequest) {
        let most = u32::try_from(limits::SYNC_BLOCKS).unwrap_or(u32::MAX);
        let request =
            SyncRequest { from: request.from.max(Height::new(1)), max_blocks: request.max_blocks.clamp(1, most) };
        stats::add(&self.stats.sync_asked, 1);
        let to_this_peer = self.asked.values().filter(|(asked, _)| *asked == peer).count();
        if !self.swarm.is_connected(&peer) {
            self.answer_sync(peer, Err(SyncError::NotConnected));
        } else if self.asked.len() >= REQUESTS_UNDER_WAY || to_this_peer >= REQUESTS_PER_PEER {
            self.answer_sync(peer, Err(SyncError::Busy));
        } else {
            let id = self.swarm.behaviour_mut().sync.send_request(&peer, Asked::Request(request));
            self.asked.insert(id, (peer, request));
        }
    }

    pub(super) fn respond_blocks(&mut self, channel: SyncChannel, response: SyncResponse) {
        // The asking peer may have given up.
        let _ = self.swarm.behaviour_mut().sync.send_response(channel.channel, response);
    }

    fn answer_sync(&self, peer: PeerId, result: Result<SyncResponse, SyncError>) {
        if result.is_err() {
            stats::add(&self.stats.sync_failed, 1);
        }
        self.events.send(NetworkEvent::SyncAnswered { peer, result });
    }

    pub(super) fn on_sync(&mut self, event: request_response::Event<Asked, SyncResponse>) {
        match event {
            request_response::Event::Message {
                peer,
                message: Message::Request { request_id, request, channel },
                ..
            } => {
                self.on_sync_requested(peer, request_id, request, channel);
            }
            request_response::Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                let Some((_, request)) = self.asked.remove(&request_id) else { return };
                let result = match check(request, &response) {
                    Ok(()) => Ok(response),
                    Err(reason) => {
                        self.hold_against(peer, Offence::MalformedSync);
                        Err(SyncError::Malformed(reason))
                    }
                };
                self.answer_sync(peer, result);
            }
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                self.asked.remove(&request_id);
                let error = sync_error(&error);
                if matches!(error, SyncError::Malformed(_)) {
                    self.hold_against(peer, Offence::MalformedSync);
                }
                self.answer_sync(peer, Err(error));
            }
            request_response::Event::InboundFailure { peer, request_id, error, .. } => {
                self.answering.remove(&request_id);
                tracing::debug!(%peer, %error, "a request for blocks was not answered");
                if is_unread(&error) {
                    stats::add(&self.stats.sync_unread, 1);
                    self.guard.serve_later(peer);
                }
            }
            request_response::Event::ResponseSent { request_id, .. } => {
                self.answering.remove(&request_id);
                stats::add(&self.stats.sync_served, 1);
            }
        }
    }

    fn on_sync_requested(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        asked: Asked,
        channel: ResponseChannel<SyncResponse>,
    ) {
        let request = match asked {
            Asked::Request(request) if request.from > Height::ZERO && request.max_blocks > 0 => request,
            Asked::Request(request) => {
                tracing::debug!(%peer, ?request, "a request that asks for no blocks");
                return self.hold_against(peer, Offence::MalformedSync);
            }
            Asked::Malformed(reason) => {
                tracing::debug!(%peer, reason, "not a valid request for blocks");
                return self.hold_against(peer, Offence::MalformedSync);
            }
        };
        if !self.guard.spend(peer, Spending::SyncRequest) {
            return self.hold_against(peer, Offence::TooFast);
        }
        let place = if self.guard.may_be_served(&peer) { self.places.take(peer, self.is_needed(&peer)) } else { None };
        let Some(place) = place.map(Arc::new) else {
            // Dropping the channel refuses: the peer asks another one, or again.
            return stats::add(&self.stats.sync_refused, 1);
        };
        self.answering.insert(id, place.clone());
        let most = u32::try_from(limits::SYNC_BLOCKS).unwrap_or(u32::MAX);
        let request = SyncRequest { max_blocks: request.max_blocks.min(most), ..request };
        let channel = SyncChannel { channel, _place: place };
        self.events.send(NetworkEvent::SyncRequested { peer, request, channel });
    }
}

/// Whether an answer failed because its asker did not take it.
fn is_unread(error: &InboundFailure) -> bool {
    match error {
        InboundFailure::Timeout => true,
        InboundFailure::Io(error) => error.kind() == io::ErrorKind::TimedOut,
        InboundFailure::ConnectionClosed | InboundFailure::UnsupportedProtocols | InboundFailure::ResponseOmission => {
            false
        }
    }
}

fn sync_error(error: &OutboundFailure) -> SyncError {
    match error {
        OutboundFailure::Timeout => SyncError::Timeout,
        OutboundFailure::DialFailure => SyncError::NotConnected,
        OutboundFailure::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            SyncError::Malformed(error.to_string())
        }
        error => SyncError::Failed(error.to_string()),
    }
}
