//! Ways to a peer: from another address of this machine, and ones that open late.

use super::{Attack, Target};
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::Ordering,
};
use tokio::net::{TcpListener, TcpSocket};

/// The way to a peer's port on this machine from another address of it.
async fn connect(source: Ipv4Addr, port: u16) -> std::io::Result<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// Passes on what comes until the runtime ends. Whoever is not let in at the other end is told so by the end of its own.
async fn pass_on(listener: TcpListener, source: Ipv4Addr, port: u16) {
    while let Ok((mut near, _)) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(mut far) = connect(source, port).await {
                let _ = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
                // Either end may break off.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

/// The same peers, which see whoever comes this way at `source`, an address of this machine. To be called on a runtime.
pub(super) async fn from(target: &Target, source: Ipv4Addr) -> Target {
    let mut peers: Vec<(PeerId, Multiaddr)> = Vec::new();
    for (peer, address) in &target.peers {
        let port = address.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None });
        let port = port.expect("a port");
        let listener = TcpListener::bind(SocketAddr::from((source, 0))).await.expect("an address of this machine");
        let near = listener.local_addr().expect("its port").port();
        tokio::spawn(pass_on(listener, source, port));
        peers.push((*peer, format!("/ip4/{source}/tcp/{near}").parse().expect("an address")));
    }
    Target { peers, ..target.clone() }
}

/// From now on, until this is dropped, a port leads to another one. Counts one when it is open.
pub fn open(port: u16, to: u16) -> Attack {
    Attack::begin(move |open| async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("a free port");
        open.fetch_add(1, Ordering::Relaxed);
        pass_on(listener, Ipv4Addr::LOCALHOST, to).await;
    })
}
