//! Requests, heads of answers, and their frames.

use allod_protocol::ground::{
    codec::{self, DecodeError},
    ids::ArtifactId,
    limits,
};
use allod_storage::artifacts::ByteRange;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{io, time::Duration};

/// A blob, and on whose behalf it is requested: the artifact itself, or the collection whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The artifact whose terms decide.
    pub artifact: ArtifactId,
    /// The blob: the artifact's address, or that of a file that its manifest names.
    pub blob: ArtifactId,
}

impl Asked {
    /// An artifact's own bytes: a file, or a manifest.
    pub const fn itself(artifact: ArtifactId) -> Self {
        Self { artifact, blob: artifact }
    }
}

/// A request to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// The last groups of a blob of unknown size: those that fit into `max_bytes`, at least one.
    Tail { asked: Asked, max_bytes: u64 },
    /// A range of a blob.
    Range { asked: Asked, range: ByteRange },
}

impl Request {
    pub(super) const fn asked(&self) -> &Asked {
        match self {
            Self::Tail { asked, .. } | Self::Range { asked, .. } => asked,
        }
    }

    /// The requested range of a blob of this size. `None` if it breaks a rule.
    pub(super) fn range(&self, size_bytes: u64) -> Option<ByteRange> {
        let range = match self {
            Self::Tail { max_bytes, .. } => ByteRange::tail(size_bytes, *max_bytes),
            Self::Range { range, .. } => *range,
        };
        let bounded = range.size_bytes() <= limits::ARTIFACT_RANGE_SIZE_BYTES;
        (bounded && range.is_sliceable(size_bytes)).then_some(range)
    }
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Head {
    /// A slice follows.
    Found {
        /// Size of the whole blob, in bytes.
        size_bytes: u64,
        /// Size of the slice that follows, in bytes.
        slice_bytes: u64,
    },
    /// The blob is not here.
    NotFound,
    /// The blob is not for this peer.
    Refused,
    /// Busy: ask again later.
    Busy,
}

/// Why a frame was not read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the stream failed: {0}")]
    Io(#[from] io::Error),
    #[error("nothing was sent or received for {0:?}")]
    Timeout(Duration),
    #[error("a frame of {0} bytes is longer than the {max} allowed", max = limits::ARTIFACT_FRAME_SIZE_BYTES)]
    TooLong(u32),
    #[error("a frame is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

/// Appends a value's frame to `bytes`.
pub(super) fn put_frame<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    let body = codec::encode(value);
    // Requests and heads are far below the limit of a frame.
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&body);
}

/// Reads a frame. `None` if the stream ended normally before it.
pub(super) async fn read_frame<T: Serialize + DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    patience: Duration,
) -> Result<Option<T>, WireError> {
    let reading = async {
        let mut len = [0; 4];
        let (first, rest) = len.split_at_mut(1);
        if stream.read(first).await? == 0 {
            return Ok(None);
        }
        stream.read_exact(rest).await?;
        let len = u32::from_le_bytes(len);
        let size = usize::try_from(len).unwrap_or(usize::MAX);
        if size > limits::ARTIFACT_FRAME_SIZE_BYTES {
            return Err(WireError::TooLong(len));
        }
        let mut body = vec![0; size];
        stream.read_exact(&mut body).await?;
        Ok(Some(codec::decode(&body, limits::ARTIFACT_FRAME_SIZE_BYTES)?))
    };
    tokio::time::timeout(patience, reading).await.map_err(|_| WireError::Timeout(patience))?
}

/// Fills `bytes` from the stream. Each read must bring something within `patience`.
pub(super) async fn read_exact(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: &mut [u8],
    patience: Duration,
) -> Result<(), WireError> {
    while !bytes.is_empty() {
        let reading = tokio::time::timeout(patience, stream.read(bytes));
        let read = reading.await.map_err(|_| WireError::Timeout(patience))??;
        if read == 0 {
            return Err(WireError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        bytes = bytes.get_mut(read..).unwrap_or_default();
    }
    Ok(())
}

/// Writes all of `bytes`, within `patience`.
pub(super) async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    patience: Duration,
) -> Result<(), WireError> {
    let writing = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    Ok(tokio::time::timeout(patience, writing).await.map_err(|_| WireError::Timeout(patience))??)
}
