//! What goes over a consensus stream: frames of a length (`u32`, little-endian), a kind (one byte) and so many bytes.

use allod_protocol::ground::{codec, ids::PublicKey, limits};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use std::{collections::BTreeSet, io};

/// A message, as the host encodes it.
const MESSAGE: u8 = 0;
/// Whom the sender of the frame hears directly.
const HEARS: u8 = 1;
/// Maximum peers in one frame.
const HEARS_PEERS: usize = 512;
const HEARS_SIZE_BYTES: usize = HEARS_PEERS * 32 + 64;
const HEAD_SIZE_BYTES: usize = 5;

const _: () = assert!(limits::GOSSIP_SIZE_BYTES <= u32::MAX as usize && limits::VALIDATORS < HEARS_PEERS);

/// A frame that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A consensus message, not judged yet.
    Message(Vec<u8>),
    /// The peers whose streams the sender reads, by their keys: it needs nothing of theirs from us.
    Hears(BTreeSet<PublicKey>),
}

/// Why no frame arrived.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The stream has ended.
    #[error(transparent)]
    Ended(#[from] io::Error),
    /// No honest peer writes this.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

/// Reads the next frame, however long it takes to come.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Frame, FrameError> {
    let mut head = [0; HEAD_SIZE_BYTES];
    stream.read_exact(&mut head).await?;
    let [a, b, c, d, kind] = head;
    let size_bytes = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let max = match kind {
        MESSAGE => limits::GOSSIP_SIZE_BYTES,
        HEARS => HEARS_SIZE_BYTES,
        _ => return Err(FrameError::Malformed("a frame of no known kind")),
    };
    if size_bytes > max {
        return Err(FrameError::Malformed("a frame that is too long"));
    }
    let mut body = vec![0; size_bytes];
    stream.read_exact(&mut body).await?;
    if kind == MESSAGE {
        return Ok(Frame::Message(body));
    }
    let keys: Vec<PublicKey> =
        codec::decode(&body, HEARS_SIZE_BYTES).map_err(|_| FrameError::Malformed("a list that is none"))?;
    Ok(Frame::Hears(keys.into_iter().collect()))
}

/// Writes a message.
pub(super) async fn write_message(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    write(stream, MESSAGE, message).await
}

/// Writes whom this peer hears, from [`encode_hears`].
pub(super) async fn write_hears(stream: &mut (impl AsyncWrite + Unpin), hears: &[u8]) -> io::Result<()> {
    write(stream, HEARS, hears).await
}

/// The bytes of a list of peers; those that are too many are left out, and get what they have.
pub(super) fn encode_hears(peers: impl Iterator<Item = PublicKey>) -> Vec<u8> {
    codec::encode(&peers.take(HEARS_PEERS).collect::<Vec<_>>())
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), kind: u8, body: &[u8]) -> io::Result<()> {
    let size = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let [a, b, c, d] = size.to_le_bytes();
    stream.write_all(&[a, b, c, d, kind]).await?;
    stream.write_all(body).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use futures::{FutureExt as _, io::Cursor};

    fn read_all(bytes: Vec<u8>) -> (Vec<Frame>, FrameError) {
        let (mut stream, mut frames) = (Cursor::new(bytes), Vec::new());
        loop {
            match read(&mut stream).now_or_never().unwrap() {
                Ok(frame) => frames.push(frame),
                Err(error) => return (frames, error),
            }
        }
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        let (mut bytes, key) = (Vec::new(), PublicKey::from_bytes([3; 32]));
        write_message(&mut bytes, b"vote").now_or_never().unwrap().unwrap();
        write_hears(&mut bytes, &encode_hears([key].into_iter())).now_or_never().unwrap().unwrap();
        write_message(&mut bytes, &vec![7; limits::GOSSIP_SIZE_BYTES]).now_or_never().unwrap().unwrap();
        bytes.extend([1, 0, 0]);
        let (frames, error) = read_all(bytes);
        let largest = Frame::Message(vec![7; limits::GOSSIP_SIZE_BYTES]);
        assert_eq!(frames, [Frame::Message(b"vote".to_vec()), Frame::Hears([key].into()), largest]);
        assert!(matches!(error, FrameError::Ended(_)), "{error}");
    }

    #[test]
    fn what_no_peer_writes_is_refused_before_it_is_read() {
        let too_long = u32::try_from(limits::GOSSIP_SIZE_BYTES + 1).unwrap().to_le_bytes();
        for (head, body) in [
            ([too_long.as_slice(), &[MESSAGE]].concat(), &b""[..]),
            ([&u32::MAX.to_le_bytes()[..], &[HEARS]].concat(), b""),
            (vec![1, 0, 0, 0, 9], b"x"),
            (vec![1, 0, 0, 0, HEARS], b"x"),
        ] {
            let (frames, error) = read_all([&head, body].concat());
            assert!(frames.is_empty() && matches!(error, FrameError::Malformed(_)), "{head:?}: {error}");
        }
    }
}
