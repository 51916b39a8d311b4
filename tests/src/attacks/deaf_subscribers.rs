//! Peers that subscribe to everything, answer every ping, and read nothing of what they subscribed to. What is sent to
//! them waits in the memory of whoever sends it.

use super::{Attack, Target, put_bytes, put_length, swarm_of};
use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    PeerId, StreamProtocol, identify,
    identity::Keypair,
    ping,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

const GOSSIP: StreamProtocol = StreamProtocol::new("/meshsub/1.1.0");

/// Without gossip: that is done by hand.
#[derive(NetworkBehaviour)]
struct Deaf {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// So many of them connect to every peer of the target, and again whenever they are disconnected. Counts subscriptions.
pub fn begin(target: Target, count: usize) -> Attack {
    Attack::begin(move |subscribed| async move {
        for _ in 0..count {
            tokio::spawn(join(target.clone(), subscribed.clone()));
        }
    })
}

async fn join(target: Target, subscribed: Arc<AtomicU64>) {
    let key = Keypair::generate_ed25519();
    let mut swarm = swarm_of(&key, |key| Deaf {
        identify: target.identity(key),
        ping: ping::Behaviour::default(),
        streams: libp2p_stream::Behaviour::new(),
    });
    let mut streams = swarm.behaviour().streams.new_control();
    for protocol in [target.sync(), GOSSIP] {
        let mut unread = streams.accept(protocol).expect("a protocol is accepted once");
        tokio::spawn(async move {
            // A peer opens one a connection.
            let mut held = Vec::new();
            while let Some((_, stream)) = unread.next().await {
                held.push(stream);
            }
        });
    }
    let mut redial = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            event = swarm.select_next_some() => if let SwarmEvent::ConnectionEstablished { peer_id, .. } = event {
                tokio::spawn(subscribe(streams.clone(), peer_id, subscriptions(&target), subscribed.clone()));
            },
            _ = redial.tick() => {
                for (peer, address) in &target.peers {
                    if !swarm.is_connected(peer) {
                        let _ = swarm.dial(address.clone());
                    }
                }
            }
        }
    }
}

async fn subscribe(
    mut streams: libp2p_stream::Control,
    peer: PeerId,
    subscriptions: Vec<u8>,
    subscribed: Arc<AtomicU64>,
) {
    let Ok(mut stream) = streams.open_stream(peer, GOSSIP).await else { return };
    if stream.write_all(&subscriptions).await.is_ok() && stream.flush().await.is_ok() {
        subscribed.fetch_add(1, Ordering::Relaxed);
        // Until the connection ends.
        let mut nothing = [0];
        let _ = futures::AsyncReadExt::read(&mut stream, &mut nothing).await;
    }
}

/// Gossip's message for subscriptions to all topics, in protocol buffers: `RPC { subscriptions: [{ subscribe, topicid }] }`.
fn subscriptions(target: &Target) -> Vec<u8> {
    let mut message = Vec::new();
    for topic in ["block", "tx", "artifact"].map(|name| target.topic(name)) {
        let mut options = vec![0x08, 1];
        put_bytes(0x12, topic.as_bytes(), &mut options);
        put_bytes(0x0a, &options, &mut message);
    }
    let mut frame = Vec::new();
    put_length(message.len(), &mut frame);
    frame.extend(message);
    frame
}
