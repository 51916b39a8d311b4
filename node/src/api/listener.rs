//! A listener that bounds how many connections are open, and sees to it that nobody holds a place for nothing.
//!
//! A place is given back by a client that does not ask, that does not read what it asked for, or that stands still
//! ([`Patience`]). When all places are taken, whoever comes is let in all the same: at the cost of a connection that
//! waits for a request, one of the address that has most of these, the longest first; where none waits, at the cost of
//! the client that has not been reading its answer for longest. A client that reads, however slowly, is never cut off,
//! nor is one whose request is being worked on. So neither silence nor slowness keeps a probe from `/healthz`.
//!
//! Reading order: [`Patience`], [`Seats`] (who has a place), [`Connection`] (how it is known what a client does), and
//! [`seated`], which tells the connection that a request has come and that its answer has gone.

use super::transport::Transport;
use crate::repeats::Repeats;
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request, connect_info::Connected},
    middleware::Next,
    response::Response,
    serve::{IncomingStream, Listener},
};
use futures::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tokio_rustls::rustls::ServerConfig;

/// Bytes that a client may send without a whole head of a request in them.
const HEAD_SIZE_BYTES: usize = 64 * 1024;
/// How often it is looked whether somebody gives way, while all places are taken.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait after the system gave no connection: it will not at once.
const FAILURE_PAUSE: Duration = Duration::from_millis(200);

/// How long is waited for a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the whole head of a request: from the start, and from the end of the answer before.
    pub(crate) request: Duration,
    /// For any byte to come or go while a request is answered.
    pub(crate) answer: Duration,
    /// For it to read on, when others want its place.
    pub(crate) reader: Duration,
}

/// The places for connections, and who has them.
pub(crate) struct Seats {
    room: Arc<Semaphore>,
    patience: Patience,
    taken: Mutex<Taken>,
    failures: AtomicU64,
}

#[derive(Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Arc<Seat>>,
}

impl Seats {
    pub(crate) fn new(connections: usize, patience: Patience) -> Arc<Self> {
        let (room, taken, failures) = (Arc::new(Semaphore::new(connections)), Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { room, patience, taken, failures })
    }

    /// How often the system gave no connection.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// A place, which somebody else has to give up if there is none left.
    async fn take(self: &Arc<Self>, address: IpAddr) -> Place {
        let permit = loop {
            if let Ok(permit) = self.room.clone().try_acquire_owned() {
                break permit;
            }
            self.make_room();
            let freed = tokio::time::timeout(LOOK_INTERVAL, self.room.clone().acquire_owned()).await;
            if let Ok(Ok(permit)) = freed {
                break permit;
            }
        };
        let mut taken = lock(&self.taken);
        let (number, seat) = (taken.next, Arc::new(Seat::new(address)));
        taken.next = taken.next.wrapping_add(1);
        taken.seats.insert(number, seat.clone());
        Place { seats: self.clone(), number, seat, _permit: permit }
    }

    /// Ends one connection, if there is one that can be asked to go.
    fn make_room(&self) {
        let taken = lock(&self.taken);
        let waiting = || taken.seats.values().filter(|seat| seat.stands() == Stand::Waits);
        let mut of_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for seat in waiting() {
            let count = of_address.entry(seat.address).or_default();
            *count = count.saturating_add(1);
        }
        let rank = |seat: &&Arc<Seat>| (of_address.get(&seat.address).copied(), seat.still());
        match waiting().max_by_key(rank) {
            Some(seat) => seat.unseat(),
            None => {
                drop(taken);
                self.unseat_slowest();
            }
        }
    }

    /// Ends the connection whose client has not been reading for longest, if that is long.
    pub(crate) fn unseat_slowest(&self) {
        let taken = lock(&self.taken);
        let stuck = taken.seats.values().filter(|seat| seat.stands() == Stand::DoesNotRead);
        let slowest = stuck.filter(|seat| seat.still() >= self.patience.reader).max_by_key(|seat| seat.still());
        if let Some(seat) = slowest {
            seat.unseat();
        }
    }
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It has not asked anything since its last answer.
    Waits,
    /// It asked, and is being answered.
    Asked,
    /// It does not take the answer.
    DoesNotRead,
    /// It has to go.
    Goes,
}

/// What is known of a connection.
pub(crate) struct Seat {
    address: IpAddr,
    unseated: AtomicBool,
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Clone, Copy)]
struct State {
    answering: bool,
    /// Bytes are there that the client does not take.
    stuck: bool,
    /// More may be there: an answer is written whole before it is sent whole.
    sending: bool,
    /// What comes next may be the rest of a request that was answered before all of it was read.
    rest: bool,
    /// When something moved, or the state changed.
    moved: Instant,
    /// Bytes of what may become a request.
    head_bytes: usize,
}

impl Seat {
    fn new(address: IpAddr) -> Self {
        let moved = Instant::now();
        let state = State { answering: false, stuck: false, sending: false, rest: false, moved, head_bytes: 0 };
        Self { address, unseated: AtomicBool::new(false), state: Mutex::new(state), waker: AtomicWaker::new() }
    }

    fn stands(&self) -> Stand {
        let state = *lock(&self.state);
        match (self.unseated.load(Ordering::Relaxed), state.stuck, state.answering || state.sending) {
            (true, ..) => Stand::Goes,
            (false, true, _) => Stand::DoesNotRead,
            (false, false, true) => Stand::Asked,
            (false, false, false) => Stand::Waits,
        }
    }

    /// For how long nothing has moved.
    fn still(&self) -> Duration {
        lock(&self.state).moved.elapsed()
    }

    fn unseat(&self) {
        self.unseated.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    fn turn(&self, answering: bool) {
        let mut state = lock(&self.state);
        *state = State { answering, rest: !answering, moved: Instant::now(), head_bytes: 0, ..*state };
    }

    fn on_read(&self, bytes: usize) {
        let mut state = lock(&self.state);
        if state.answering {
            state.moved = Instant::now();
        } else if !std::mem::take(&mut state.rest) {
            // Neither a byte now and then nor many of them put the end off: what is waited for is a whole head.
            state.head_bytes = state.head_bytes.saturating_add(bytes);
        }
    }

    fn on_written(&self) {
        let mut state = lock(&self.state);
        (state.stuck, state.sending, state.moved) = (false, true, Instant::now());
    }

    fn on_sent(&self) {
        lock(&self.state).sending = false;
    }

    fn on_write_pending(&self) {
        lock(&self.state).stuck = true;
    }

    /// When it is enough.
    fn deadline(&self, patience: &Patience) -> Instant {
        let state = *lock(&self.state);
        let waits = !(state.answering || state.stuck || state.sending);
        state.moved + if waits { patience.request } else { patience.answer }
    }
}

/// A place that is taken.
struct Place {
    seats: Arc<Seats>,
    number: u64,
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.seats.taken).seats.remove(&self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The listener.
pub(crate) struct Limited {
    listener: TcpListener,
    seats: Arc<Seats>,
    tls: Option<Arc<ServerConfig>>,
    failures: Repeats,
}

impl Limited {
    pub(crate) fn new(listener: TcpListener, seats: Arc<Seats>, tls: Option<Arc<ServerConfig>>) -> Self {
        Self { listener, seats, tls, failures: Repeats::default() }
    }

    /// The next stream, however long the system gives none.
    async fn accept_stream(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let failure = match TcpListener::accept(&self.listener).await {
                Ok(accepted) => return accepted,
                Err(error) => error,
            };
            // A client that is gone already is nobody's failure.
            if matches!(
                failure.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
            ) {
                continue;
            }
            self.seats.failures.fetch_add(1, Ordering::Relaxed);
            if let Some(more) = self.failures.on(std::time::Instant::now()) {
                tracing::error!(
                    error = %failure, more,
                    "the API takes no connections; if too many files are open, raise the limit (LimitNOFILE= in a systemd unit, \
                     ulimit -n in a shell)"
                );
            }
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = self.accept_stream().await;
        // Small answers should leave at once; a socket that refuses works all the same.
        let _ = stream.set_nodelay(true);
        let place = self.seats.take(address.ip()).await;
        let timer = Box::pin(tokio::time::sleep(self.seats.patience.request));
        (Connection { stream: Transport::new(stream, self.tls.as_ref()), timer, place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection, and its place among those that may be open.
pub(crate) struct Connection {
    stream: Transport,
    timer: Pin<Box<Sleep>>,
    place: Place,
}

impl Connection {
    /// Whether the client has to go: somebody else got its place, or it was waited for long enough. Else the task is
    /// woken when that changes.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let seat = &self.place.seat;
        seat.waker.register(cx.waker());
        if seat.unseated.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        loop {
            let deadline = seat.deadline(&self.place.seats.patience);
            // What moves puts the deadline off; the timer hears of it when it goes off, not each time.
            if self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            if deadline <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(deadline);
        }
    }

    fn on_write(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(_)) => self.place.seat.on_written(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.place.seat.on_write_pending();
                self.check(cx)?;
            }
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if lock(&self.place.seat.state).head_bytes >= HEAD_SIZE_BYTES {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match read {
            Poll::Ready(_) => self.place.seat.on_read(buffer.filled().len().saturating_sub(before)),
            Poll::Pending => self.check(cx)?,
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.on_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.on_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A stream is told to flush when nothing is left to be written to it.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        match flushed {
            Poll::Ready(_) => self.place.seat.on_sent(),
            Poll::Pending => {
                self.place.seat.on_write_pending();
                self.check(cx)?;
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The seat of the connection that a request came on.
#[derive(Clone)]
pub(crate) struct Seated(Arc<Seat>);

impl Connected<IncomingStream<'_, Limited>> for Seated {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Self {
        Self(stream.io().place.seat.clone())
    }
}

/// Notes on the connection that a request has come, and when its answer has gone.
pub(crate) async fn seated(ConnectInfo(Seated(seat)): ConnectInfo<Seated>, request: Request, next: Next) -> Response {
    let answering = Answering::begin(seat);
    next.run(request).await.map(|body| Body::new(Held { body, _answering: answering }))
}

/// The time from a request to the end of its answer.
struct Answering(Arc<Seat>);

impl Answering {
    fn begin(seat: Arc<Seat>) -> Self {
        seat.turn(true);
        Self(seat)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.turn(false);
    }
}

/// A body whose end is the end of the answer.
struct Held {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod unit_tests {
    use super::*;
    use axum::{Router, middleware, routing::get};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A bound on everything that a test waits for.
    const PATIENCE: Duration = Duration::from_secs(20);
    /// Longer than a test lasts.
    const NEVER: Duration = Duration::from_secs(600);

    /// A server that answers `/short`, and `/long` with more than sockets hold.
    async fn serve(connections: usize, patience: Patience) -> (Arc<Seats>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seats = Seats::new(connections, patience);
        let long = Bytes::from(vec![b'x'; 64 * 1024 * 1024]);
        let long = get(move || std::future::ready(long.clone()));
        let routes = Router::new().route("/short", get(|| async { "short" })).route("/long", long);
        let routes = routes.layer(middleware::from_fn(seated)).into_make_service_with_connect_info::<Seated>();
        tokio::spawn(axum::serve(Limited::new(listener, seats.clone(), None), routes).into_future());
        (seats, address)
    }

    async fn ask(stream: &mut TcpStream, path: &str) {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    }

    /// Asks, and reads the short answer.
    async fn is_answered(stream: &mut TcpStream) {
        ask(stream, "/short").await;
        let mut answer = Vec::new();
        let read = async {
            while !answer.ends_with(b"short") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap();
    }

    /// Waits until the other side has closed a connection, whatever it said before.
    async fn ends(stream: &mut TcpStream) {
        let mut rest = vec![0; 1024 * 1024];
        let read = async { while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {} };
        tokio::time::timeout(PATIENCE, read).await.unwrap();
    }

    async fn until(seats: &Seats, stand: Stand, count: usize) {
        let standing = || lock(&seats.taken).seats.values().filter(|seat| seat.stands() == stand).count();
        let wait = async {
            while standing() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{} {stand:?}, not {count}", standing()));
    }

    #[tokio::test]
    async fn who_does_not_ask_is_not_waited_for_long_whatever_it_sends() {
        let patience = Patience { request: Duration::from_millis(300), answer: NEVER, reader: NEVER };
        let (_, address) = serve(8, patience).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET /short HTTP/1.1\r\n").await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        is_answered(&mut idle).await;
        for stream in [&mut silent, &mut half, &mut idle] {
            ends(stream).await;
        }
        // A byte now and then is no request.
        let mut trickling = TcpStream::connect(address).await.unwrap();
        trickling.write_all(b"GET /short HTTP/1.1\r\nx: ").await.unwrap();
        let trickle = async {
            while trickling.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, trickle).await.unwrap();
    }

    #[tokio::test]
    async fn a_head_without_end_is_not_read() {
        let (_, address) = serve(8, Patience { request: NEVER, answer: NEVER, reader: NEVER }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /short HTTP/1.1\r\n").await.unwrap();
        let line = format!("x: {}\r\n", "y".repeat(4_000));
        let pour = async { while stream.write_all(line.as_bytes()).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, pour).await.unwrap();
    }

    #[tokio::test]
    async fn the_silent_give_way_to_whoever_comes() {
        let (seats, address) = serve(4, Patience { request: NEVER, answer: NEVER, reader: NEVER }).await;
        let mut silent = Vec::new();
        for _ in 0..12 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        is_answered(&mut asking).await;
        ends(&mut silent[0]).await;
        // One that has a request under way is not among those that give way.
        let mut long = TcpStream::connect(address).await.unwrap();
        ask(&mut long, "/long").await;
        until(&seats, Stand::DoesNotRead, 1).await;
        for _ in 0..12 {
            silent.push(TcpStream::connect(address).await.unwrap());
            is_answered(&mut TcpStream::connect(address).await.unwrap()).await;
        }
        assert_eq!(lock(&seats.taken).seats.values().filter(|seat| seat.stands() == Stand::DoesNotRead).count(), 1);
    }

    #[tokio::test]
    async fn of_those_who_read_nobody_goes_and_of_those_who_do_not_the_slowest() {
        let reader = Duration::from_millis(200);
        let (seats, address) = serve(3, Patience { request: NEVER, answer: NEVER, reader }).await;
        let mut connections = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            ask(&mut stream, "/long").await;
            connections.push(stream);
        }
        until(&seats, Stand::DoesNotRead, 3).await;
        // One of them reads all the time, slowly, and comes to its end.
        let mut honest = connections.remove(0);
        let (begun, reads) = tokio::sync::oneshot::channel();
        let mut begun = Some(begun);
        let reading = tokio::spawn(async move {
            let (mut piece, mut read) = (vec![0; 1024 * 1024], 0);
            while read < 64 * 1024 * 1024 {
                match honest.read(&mut piece).await {
                    Ok(0) | Err(_) => return read,
                    Ok(bytes) => read += bytes,
                }
                if let Some(begun) = begun.take_if(|_| read > 16 * 1024 * 1024) {
                    begun.send(()).unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            read
        });
        tokio::time::timeout(PATIENCE, reads).await.unwrap().unwrap();
        is_answered(&mut TcpStream::connect(address).await.unwrap()).await;
        is_answered(&mut TcpStream::connect(address).await.unwrap()).await;
        assert!(tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap() >= 64 * 1024 * 1024);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_ends() {
        let answer = Duration::from_millis(300);
        let (seats, address) = serve(8, Patience { request: NEVER, answer, reader: NEVER }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, "/long").await;
        until(&seats, Stand::DoesNotRead, 1).await;
        until(&seats, Stand::DoesNotRead, 0).await;
        ends(&mut stream).await;
    }
}
