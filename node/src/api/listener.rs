//! A listener that accepts only so many connections at a time (the others wait in the system's own queue) and closes
//! those on which nothing moves, so that nobody can hold all the places.

use axum::serve::Listener;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};

/// The listener.
pub(crate) struct Limited {
    listener: TcpListener,
    room: Arc<Semaphore>,
    idle: Duration,
}

impl Limited {
    /// At most so many `connections`, each closed when no byte came or went for as long as `idle`.
    pub(crate) fn new(listener: TcpListener, connections: usize, idle: Duration) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(connections)), idle }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let place = self.room.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers should leave at once; a socket that refuses works all the same.
        let _ = stream.set_nodelay(true);
        let timer = Box::pin(tokio::time::sleep(self.idle));
        (Connection { stream, idle: self.idle, timer, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection, and its place among those that may be open.
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Puts the end of patience off when something moved; ends it when nothing has for too long.
    fn watched<T>(&mut self, moved: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.timer.as_mut().reset(Instant::now() + self.idle);
        } else if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        moved
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.watched(moved, cx)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(moved, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watched(moved, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Says nothing of what moved: a socket has nothing to flush.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn listen(connections: usize, idle: Duration) -> (Limited, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (Limited::new(listener, connections, idle), address)
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_ends() {
        let (mut limited, address) = listen(1, Duration::from_millis(50)).await;
        let mut client = TcpStream::connect(address).await.expect("connected");
        let (mut connection, _) = limited.accept().await;
        client.write_all(b"x").await.expect("written");
        let mut byte = [0];
        connection.read_exact(&mut byte).await.expect("what was sent is read");
        let ended = connection.read(&mut byte).await.map_err(|error| error.kind());
        assert_eq!(ended, Err(io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn a_place_is_given_to_the_next_when_it_is_left() {
        let (mut limited, address) = listen(1, Duration::from_secs(60)).await;
        let _clients = (TcpStream::connect(address).await, TcpStream::connect(address).await);
        let (first, _) = limited.accept().await;
        assert!(tokio::time::timeout(Duration::from_millis(50), limited.accept()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(Duration::from_secs(10), limited.accept()).await.is_ok());
    }
}
