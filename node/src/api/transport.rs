//! A client's byte stream: plain, or TLS. The handshake is part of reading and writing, so that accepting never waits for
//! a client, and the time that it may take is the time in which a request must have come.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{Accept, TlsAcceptor, rustls::ServerConfig, server::TlsStream};

/// A stream to a client.
pub(super) enum Transport {
    /// Everybody on the way can read it.
    Plain(TcpStream),
    /// The handshake is under way.
    Greeting(Box<Accept<TcpStream>>),
    /// The handshake is over.
    Secured(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Closed,
}

impl Transport {
    /// A stream on a connection, with TLS if there is a configuration for it.
    pub(super) fn new(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Self {
        match tls {
            Some(config) => Self::Greeting(Box::new(TlsAcceptor::from(config.clone()).accept(stream))),
            None => Self::Plain(stream),
        }
    }

    /// Ends the handshake, if there is one.
    fn poll_greet(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Greeting(accept) = self {
            match ready!(Pin::new(accept).poll(cx)) {
                Ok(stream) => *self = Self::Secured(Box::new(stream)),
                Err(error) => {
                    *self = Self::Closed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Does the same with either stream, once the handshake is over.
macro_rules! with_stream {
    ($transport:expr, $cx:expr, $stream:ident => $what:expr, closed => $closed:expr) => {{
        let transport = $transport.get_mut();
        ready!(transport.poll_greet($cx))?;
        match transport {
            Transport::Plain(stream) => {
                let $stream = Pin::new(stream);
                $what
            }
            Transport::Secured(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $what
            }
            Transport::Greeting(_) | Transport::Closed => $closed,
        }
    }};
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, cx, stream => stream.poll_read(cx, buffer), closed => Poll::Ready(Err(closed())))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with_stream!(self, cx, stream => stream.poll_write(cx, bytes), closed => Poll::Ready(Err(closed())))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with_stream!(self, cx, stream => stream.poll_write_vectored(cx, parts), closed => Poll::Ready(Err(closed())))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
            Self::Greeting(_) | Self::Closed => true,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, cx, stream => stream.poll_flush(cx), closed => Poll::Ready(Ok(())))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever never ended the handshake is not waited for.
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Greeting(_) | Self::Closed => Poll::Ready(Ok(())),
        }
    }
}
