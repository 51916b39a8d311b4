//! Connections on which nothing is ever said: each takes a place, of those who greet each other or of those who ask.

use super::Attack;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::Ordering,
    time::Duration,
};
use tokio::net::TcpSocket;

/// Connections that are opened in a millisecond.
const AT_ONCE: usize = 8;

/// Holds so many connections from each of some addresses of this machine to each port, and opens others in the place of
/// those that are closed. Counts those that were opened.
pub fn begin(ports: Vec<u16>, sources: Vec<Ipv4Addr>, each: usize) -> Attack {
    Attack::begin(move |opened| async move {
        let mut ways = Vec::new();
        for port in ports {
            ways.extend(sources.iter().flat_map(|source| std::iter::repeat_n((port, *source), each)));
        }
        for (number, (port, source)) in ways.into_iter().enumerate() {
            let opened = opened.clone();
            // What comes in one go, the system drops before it is accepted.
            if number % AT_ONCE == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::spawn(async move {
                loop {
                    let socket = TcpSocket::new_v4().expect("a socket");
                    socket.bind(SocketAddr::from((source, 0))).expect("an address of this machine");
                    if let Ok(mut stream) = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
                        opened.fetch_add(1, Ordering::Relaxed);
                        // It reads what comes, and says nothing.
                        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            });
        }
    })
}
