//! Which peers take nothing of what gossip sends them.
//!
//! Gossip keeps thousands of messages for a peer whose stream stands still, and looks at their age only when it moves. So
//! the streams themselves are watched, below the protocols: one of gossip whose writer waits is listed here until it
//! moves or ends. A peer that reads slowly is another matter: messages that are too old for it are dropped, which gossip
//! reports.

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId,
    core::muxing::{StreamMuxer, StreamMuxerEvent},
};
use std::{
    collections::HashMap,
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a stream of gossip may stand still: longer than a message may wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the names of gossip's protocols begin with. A stream that this peer opens begins with the name of its protocol.
const GOSSIP: &[u8] = b"/meshsub/";
/// Bytes of a stream among which the name is.
const NAME_SIZE_BYTES: usize = 64;

/// The streams of gossip that stand still, and since when. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalls(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    streams: HashMap<u64, (PeerId, Instant)>,
}

impl Stalls {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, peer: PeerId, now: Instant) -> u64 {
        let mut table = self.lock();
        table.next = table.next.wrapping_add(1);
        let number = table.next;
        table.streams.insert(number, (peer, now));
        number
    }

    fn end(&self, number: u64) {
        self.lock().streams.remove(&number);
    }

    /// The peers that have taken nothing for too long.
    pub(super) fn deaf(&self, now: Instant) -> Vec<PeerId> {
        let table = self.lock();
        let stalled = table.streams.values().filter(|(_, since)| now.saturating_duration_since(*since) >= PATIENCE);
        stalled.map(|(peer, _)| *peer).collect()
    }

    /// Watches the streams of a connection.
    pub(super) fn watch<M>(&self, peer: PeerId, inner: M) -> Muxer<M> {
        Muxer { inner, peer, stalls: self.clone() }
    }
}

/// A connection whose streams are watched.
pub(super) struct Muxer<M> {
    inner: M,
    peer: PeerId,
    stalls: Stalls,
}

impl<M: StreamMuxer + Unpin> Muxer<M> {
    fn stream(&self, inner: M::Substream) -> Stream<M::Substream> {
        let (peer, stalls) = (self.peer, self.stalls.clone());
        Stream { inner, peer, stalls, kind: Kind::Unnamed(Vec::new()), stall: None }
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Muxer<M>
where
    M::Substream: Unpin,
{
    type Substream = Stream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        let polled = Pin::new(&mut self.inner).poll_inbound(context);
        polled.map_ok(|stream| self.stream(stream))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let polled = Pin::new(&mut self.inner).poll_outbound(context);
        polled.map_ok(|stream| self.stream(stream))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.inner).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

/// What is known of a stream's protocol.
enum Kind {
    /// The first bytes, without a name among them so far.
    Unnamed(Vec<u8>),
    Gossip,
    Other,
}

/// A stream that is watched.
pub(super) struct Stream<S> {
    inner: S,
    peer: PeerId,
    stalls: Stalls,
    kind: Kind,
    /// The number under which it is listed.
    stall: Option<u64>,
}

impl<S> Stream<S> {
    /// A write of these bytes was tried.
    fn on_write(&mut self, bytes: &[u8], polled: &Poll<io::Result<usize>>) {
        match polled {
            Poll::Pending if matches!(self.kind, Kind::Gossip) && self.stall.is_none() => {
                self.stall = Some(self.stalls.begin(self.peer, Instant::now()));
            }
            Poll::Ready(Ok(count)) => {
                self.end_stall();
                if let Kind::Unnamed(first) = &mut self.kind {
                    let room = NAME_SIZE_BYTES.saturating_sub(first.len());
                    first.extend(bytes.iter().take(*count).take(room));
                    if first.windows(GOSSIP.len()).any(|part| part == GOSSIP) {
                        self.kind = Kind::Gossip;
                    } else if first.len() >= NAME_SIZE_BYTES {
                        self.kind = Kind::Other;
                    }
                }
            }
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
    }

    fn end_stall(&mut self) {
        if let Some(number) = self.stall.take() {
            self.stalls.end(number);
        }
    }
}

impl<S> Drop for Stream<S> {
    fn drop(&mut self) {
        self.end_stall();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(context, bytes)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read_vectored(context, parts)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.on_write(bytes, &polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.on_write(parts.first().map_or(&[][..], |first| first), &polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use futures::{AsyncWriteExt as _, FutureExt as _};

    /// A stream that takes so many bytes more.
    struct Narrow(usize);

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.0);
            self.0 -= count;
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A stream on which this was written, and then as much as it takes.
    fn stalled(stalls: &Stalls, peer: PeerId, name: &[u8]) -> Stream<Narrow> {
        let (stalls, kind) = (stalls.clone(), Kind::Unnamed(Vec::new()));
        let mut stream = Stream { inner: Narrow(200), peer, stalls, kind, stall: None };
        stream.write_all(name).now_or_never().unwrap().unwrap();
        assert!(stream.write_all(&[7; 400]).now_or_never().is_none());
        stream
    }

    #[test]
    fn who_takes_no_gossip_is_known_until_it_takes_some() {
        let (stalls, peer, later) = (Stalls::default(), PeerId::random(), Instant::now() + PATIENCE * 2);
        let mut stream = stalled(&stalls, peer, b"\x13/multistream/1.0.0\n\x0f/meshsub/1.2.0\n");
        assert_eq!((stalls.deaf(Instant::now()), stalls.deaf(later)), (vec![], vec![peer]));
        stream.inner.0 = 1;
        stream.write_all(&[7]).now_or_never().unwrap().unwrap();
        assert_eq!(stalls.deaf(later), []);
        assert!(stream.write_all(&[7]).now_or_never().is_none());
        assert_eq!(stalls.deaf(later), [peer]);
        drop(stream);
        assert_eq!(stalls.deaf(later), [], "the stream is gone");
    }

    #[test]
    fn other_streams_may_stand_still() {
        let (stalls, peer, later) = (Stalls::default(), PeerId::random(), Instant::now() + PATIENCE * 2);
        let name = b"\x13/multistream/1.0.0\n\x27/allod/0123456789abcdef/artifact/2\n";
        let mut stream = stalled(&stalls, peer, name);
        stream.inner.0 = 100;
        // What comes later is no name.
        stream.write_all(GOSSIP).now_or_never().unwrap().unwrap();
        assert!(stream.write_all(&[7; 400]).now_or_never().is_none());
        assert_eq!(stalls.deaf(later), []);
    }
}
