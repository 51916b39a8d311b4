//! Which peers take nothing, or too little, of what gossip sends them.
//!
//! Gossip keeps thousands of messages for a peer, each a copy of its own, and looks at their age only when the peer takes
//! one. So the streams themselves are watched, below the protocols. A stream of gossip whose writer waits is listed here
//! until it moves or ends. And what waits for a peer is reckoned in bytes: all that gossip was given to send since the
//! peer last had everything. A peer has everything if it has taken what was written, and gossip had its turn again and
//! wrote no more. Whoever never lets gossip begin, or takes a little now and then, has not.
//!
//! The reckoning is an upper bound, as not everything is sent to everybody.

use allod_protocol::ground::limits;
use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId,
    core::muxing::{StreamMuxer, StreamMuxerEvent},
};
use std::{
    collections::HashMap,
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a stream of gossip may stand still: longer than a message may wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that may wait for one peer: some of the largest messages, as they may come at once.
const WAITING_FOR_ONE_BYTES: u64 = 8 * (limits::GOSSIP_SIZE_BYTES as u64);
/// Bytes that may wait for all peers that are judged together.
const WAITING_BYTES: u64 = 64 * 1024 * 1024;
/// How long closing a connection may take.
const CLOSING_PATIENCE: Duration = Duration::from_secs(3);
/// Bytes after which it is looked again who takes too little.
const LOOK_AFTER_BYTES: u64 = 256 * 1024;
/// What the names of gossip's protocols begin with. A stream that this peer opens begins with the name of its protocol.
const GOSSIP: &[u8] = b"/meshsub/";
/// What is written before a stream's protocol is agreed on contains this, or the name.
const NEGOTIATION: &[u8] = b"/multistream/";
/// Bytes of a stream among which the name is.
const NAME_SIZE_BYTES: usize = 64;

/// The streams of gossip that stand still, and what waits for whom. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalls(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Bytes that gossip was given to send so far.
    said_bytes: AtomicU64,
    looked_at_bytes: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    streams: HashMap<u64, (PeerId, Instant)>,
    accounts: HashMap<u64, (PeerId, Arc<Account>)>,
}

/// What a peer has taken on one connection.
#[derive(Debug, Default)]
struct Account {
    /// What had been said when the peer last had everything.
    had_at_bytes: AtomicU64,
    /// Whether all that gossip has written on this connection is taken.
    is_taken: AtomicBool,
}

impl Stalls {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn said_bytes(&self) -> u64 {
        self.0.said_bytes.load(Ordering::Relaxed)
    }

    /// Gossip is given a message to send. Returns whether it is time to see who takes too little.
    pub(super) fn say(&self, size_bytes: usize) -> bool {
        let size_bytes = u64::try_from(size_bytes).unwrap_or(u64::MAX);
        let said = self.0.said_bytes.fetch_add(size_bytes, Ordering::Relaxed).saturating_add(size_bytes);
        let is_time = said.saturating_sub(self.0.looked_at_bytes.load(Ordering::Relaxed)) >= LOOK_AFTER_BYTES;
        if is_time {
            self.0.looked_at_bytes.store(said, Ordering::Relaxed);
        }
        is_time
    }

    /// The peers that have taken nothing for too long.
    pub(super) fn deaf(&self, now: Instant) -> Vec<PeerId> {
        let table = self.lock();
        let stalled = table.streams.values().filter(|(_, since)| now.saturating_duration_since(*since) >= PATIENCE);
        stalled.map(|(peer, _)| *peer).collect()
    }

    /// Bytes that may be waiting for a peer at most, for each peer.
    fn waiting(&self) -> HashMap<PeerId, u64> {
        let said = self.said_bytes();
        let mut waiting = HashMap::new();
        for (peer, account) in self.lock().accounts.values() {
            let bytes = said.saturating_sub(account.had_at_bytes.load(Ordering::Relaxed));
            // A peer's connections are fed from one queue.
            waiting.entry(*peer).and_modify(|least: &mut u64| *least = bytes.min(*least)).or_insert(bytes);
        }
        waiting
    }

    /// Those among some peers for which more waits than for one, or for all of them together, may: who lags most first.
    pub(super) fn burdens(&self, is_judged: impl Fn(&PeerId) -> bool) -> Vec<PeerId> {
        let mut waiting: Vec<(u64, PeerId)> =
            self.waiting().into_iter().filter(|(peer, _)| is_judged(peer)).map(|(peer, bytes)| (bytes, peer)).collect();
        waiting.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut left: u64 = waiting.iter().map(|(bytes, _)| bytes).sum();
        let mut burdens = Vec::new();
        for (bytes, peer) in waiting {
            if bytes <= WAITING_FOR_ONE_BYTES && left <= WAITING_BYTES {
                break;
            }
            left = left.saturating_sub(bytes);
            burdens.push(peer);
        }
        burdens
    }

    /// Watches the streams of a connection.
    pub(super) fn watch<M>(&self, peer: PeerId, inner: M) -> Muxer<M> {
        let account = Arc::new(Account { had_at_bytes: AtomicU64::new(self.said_bytes()), ..Account::default() });
        let mut table = self.lock();
        table.next = table.next.wrapping_add(1);
        let number = table.next;
        table.accounts.insert(number, (peer, account.clone()));
        drop(table);
        Muxer { inner, peer, stalls: self.clone(), number, account, closing: None }
    }
}

/// A connection whose streams are watched.
pub(super) struct Muxer<M> {
    inner: M,
    peer: PeerId,
    stalls: Stalls,
    /// The number of its account.
    number: u64,
    account: Arc<Account>,
    closing: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<M> Drop for Muxer<M> {
    fn drop(&mut self) {
        self.stalls.lock().accounts.remove(&self.number);
    }
}

impl<M: StreamMuxer + Unpin> Muxer<M> {
    fn stream(&self, inner: M::Substream) -> Stream<M::Substream> {
        let (peer, stalls, account) = (self.peer, self.stalls.clone(), self.account.clone());
        Stream { inner, peer, stalls, account, kind: Kind::Unnamed(Vec::new()), stall: None, negotiates: true }
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

    /// Whoever reads nothing more does not hear that a connection ends, and would hold its socket for ever.
    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.inner).poll_close(context) {
            return Poll::Ready(closed);
        }
        let overdue = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSING_PATIENCE)));
        overdue.as_mut().poll(context).map(Ok)
    }

    /// Called when no protocol of the connection has anything to do for now.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        if self.account.is_taken.load(Ordering::Relaxed) {
            self.account.had_at_bytes.store(self.stalls.said_bytes(), Ordering::Relaxed);
        }
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
    account: Arc<Account>,
    kind: Kind,
    /// The number under which it is listed.
    stall: Option<u64>,
    /// Whether only names of protocols were written so far.
    negotiates: bool,
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
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
                    if contains(first, GOSSIP) {
                        self.kind = Kind::Gossip;
                    } else if first.len() >= NAME_SIZE_BYTES {
                        self.kind = Kind::Other;
                    }
                }
                let head = bytes.get(..bytes.len().min(NAME_SIZE_BYTES)).unwrap_or_default();
                self.negotiates &= contains(head, GOSSIP) || contains(head, NEGOTIATION);
            }
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
        self.set_taken(false);
    }

    fn set_taken(&self, is_taken: bool) {
        if matches!(self.kind, Kind::Gossip) && !self.negotiates {
            self.account.is_taken.store(is_taken, Ordering::Relaxed);
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
        self.set_taken(false);
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
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        self.set_taken(matches!(polled, Poll::Ready(Ok(()))));
        polled
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use futures::{AsyncWriteExt as _, FutureExt as _};

    /// A stream that takes so many bytes more.
    struct Narrow(usize);

    impl AsyncRead for Narrow {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

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
        let (stalls, account, kind) = (stalls.clone(), Arc::default(), Kind::Unnamed(Vec::new()));
        let mut stream = Stream { inner: Narrow(200), peer, stalls, account, kind, stall: None, negotiates: true };
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

    /// A connection on which nothing moves, and to which streams are added by hand.
    struct Still;

    impl StreamMuxer for Still {
        type Substream = Narrow;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Narrow>> {
            Poll::Pending
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Narrow>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    /// Lets a connection have its turn, as it has after its protocols.
    fn turn(connection: &mut Muxer<Still>) {
        assert!(Pin::new(connection).poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
    }

    fn write(stream: &mut Stream<Narrow>, bytes: &[u8]) -> bool {
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.now_or_never().is_some()
    }

    #[test]
    fn what_waits_for_a_peer_is_reckoned_until_it_has_everything() {
        let (stalls, peer) = (Stalls::default(), PeerId::random());
        let waiting = |of: PeerId| stalls.waiting().get(&of).copied();
        stalls.say(1_000);
        let mut connection = stalls.watch(peer, Still);
        assert_eq!(waiting(peer), Some(0), "what was said before is nothing to it");
        let mut stream = connection.stream(Narrow(10_000));
        stalls.say(100);
        // Only names were written so far: gossip has not begun.
        assert!(write(&mut stream, b"\x13/multistream/1.0.0\n\x0f/meshsub/1.2.0\n"));
        turn(&mut connection);
        assert_eq!(waiting(peer), Some(100));
        assert!(write(&mut stream, &[7; 100]));
        assert_eq!(waiting(peer), Some(100), "there may be more");
        turn(&mut connection);
        assert_eq!(waiting(peer), Some(0));
        // It takes a little of the next message, and then a little again.
        stalls.say(9_000);
        stream.inner.0 = 100;
        assert!(!write(&mut stream, &[7; 9_000]));
        turn(&mut connection);
        stream.inner.0 = 100;
        assert!(!write(&mut stream, &[7; 8_900]));
        turn(&mut connection);
        assert_eq!(waiting(peer), Some(9_000));
        // On another connection, it takes all.
        let mut second = stalls.watch(peer, Still);
        assert_eq!(waiting(peer), Some(0));
        stalls.say(500);
        turn(&mut second);
        assert_eq!(waiting(peer), Some(500), "no stream of gossip is open on it");
        drop((stream, connection, second));
        assert_eq!(waiting(peer), None);
    }

    #[test]
    fn whoever_lags_most_goes_when_too_much_waits_for_all() {
        let stalls = Stalls::default();
        let one = usize::try_from(WAITING_FOR_ONE_BYTES).unwrap();
        let (early, late) = (PeerId::random(), PeerId::random());
        let _early = stalls.watch(early, Still);
        assert!(stalls.say(one), "it is time to look");
        assert!(!stalls.say(1));
        let _late = stalls.watch(late, Still);
        assert_eq!(stalls.burdens(|_| true), [early], "more waits for it than may for one");
        assert_eq!(stalls.burdens(|peer| *peer != early), []);

        let crowd: Vec<PeerId> = (0..20).map(|_| PeerId::random()).collect();
        let mut held = Vec::new();
        for peer in &crowd {
            held.push(stalls.watch(*peer, Still));
            stalls.say(one / 20);
        }
        let burdens = stalls.burdens(|peer| crowd.contains(peer));
        assert_eq!(burdens, crowd[..burdens.len()], "the first came first");
        let waiting = stalls.waiting();
        let left: u64 = crowd[burdens.len()..].iter().map(|peer| waiting[peer]).sum();
        assert!(left <= WAITING_BYTES && left + waiting[&crowd[burdens.len() - 1]] > WAITING_BYTES);
    }
}
