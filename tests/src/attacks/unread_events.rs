//! Subscribers to a node's events, from the beginning of the ledger, who read none of them.

use super::Attack;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::Ordering,
};
use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

/// Bytes that the system keeps for a reader that does not read.
const UNREAD_BYTES: u32 = 4_096;

/// So many of them at a node's API. Counts those that have asked.
pub fn begin(port: u16, count: usize) -> Attack {
    Attack::begin(move |asked| async move {
        for _ in 0..count {
            let asked = asked.clone();
            tokio::spawn(async move {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.set_recv_buffer_size(UNREAD_BYTES).expect("a small buffer");
                let mut stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.expect("a node");
                let head = format!("GET /v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.expect("a request is taken");
                asked.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
                drop(stream);
            });
        }
    })
}
