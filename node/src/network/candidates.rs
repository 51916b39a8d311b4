//! AutoNAT's client, with a bound. The client remembers every address at which anybody says it sees us, and asks others
//! to dial each one. A peer that connects again and again could report a new one each time.

use libp2p::{
    Multiaddr, PeerId, autonat,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use std::{
    collections::HashSet,
    task::{Context, Poll},
};

/// Maximum number of addresses tested during the life of a process. A peer has a few for each of its networks and
/// transports.
const CANDIDATES: usize = 64;
/// Maximum size of an address, in bytes.
const CANDIDATE_SIZE_BYTES: usize = 256;

/// The library's behaviour, which is told of no more candidates than there is room for.
#[derive(Default)]
pub(super) struct Behaviour {
    inner: autonat::v2::client::Behaviour,
    candidates: HashSet<Multiaddr>,
}

impl Behaviour {
    /// Whether there is room for an address. A known address takes no room.
    fn admit(&mut self, address: &Multiaddr) -> bool {
        if self.candidates.contains(address) {
            return true;
        }
        let room = self.candidates.len() < CANDIDATES && address.len() <= CANDIDATE_SIZE_BYTES;
        room && self.candidates.insert(address.clone())
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<autonat::v2::client::Behaviour>;
    type ToSwarm = autonat::v2::client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::NewExternalAddrCandidate(NewExternalAddrCandidate { addr }) = &event
            && !self.admit(addr)
        {
            return;
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_that_strangers_tell_of_are_bounded() {
        let mut behaviour = Behaviour::default();
        let address = |port: usize| -> Multiaddr { format!("/ip4/10.0.0.1/tcp/{port}").parse().expect("an address") };
        for port in 1..=CANDIDATES + 5 {
            assert_eq!(behaviour.admit(&address(port)), port <= CANDIDATES);
        }
        assert!(behaviour.admit(&address(1)), "a known address is admitted again");
        assert_eq!(behaviour.candidates.len(), CANDIDATES);
    }
}
