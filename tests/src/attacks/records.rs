//! Statements about artifacts that do not exist: records for the hash table and announcements, as many as fill the
//! tables of whoever keeps them. Each id stays within what it is allowed.

use super::{
    Attack, Stranger, Target,
    deaf_subscribers::{put_bytes, put_length},
};
use allod_protocol::ground::{
    codec,
    ids::{ArtifactId, NetworkId, PublicKey, Signature, Timestamp},
};
use futures::AsyncWriteExt as _;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Artifacts in one announcement, at most, and records in one go.
const AT_ONCE: usize = 64;

/// As in `node/src/network/providers.rs`.
#[derive(Serialize)]
struct Announcement {
    artifacts: Vec<ArtifactId>,
    provider: PublicKey,
    at: Timestamp,
    signature: Signature,
}

/// So many ids store so many records each with every peer of the target, and announce as many artifacts. Counts the
/// records.
pub fn begin(target: Target, ids: usize, each: usize) -> Attack {
    Attack::begin(move |stated| async move {
        for id in 0..ids {
            let (target, stated) = (target.clone(), stated.clone());
            tokio::spawn(async move {
                let stranger = Stranger::join_on(&target, "artifact").await;
                for place in 0..target.peers.len() {
                    tokio::spawn(store(
                        (target.clone(), place),
                        stranger.streams.clone(),
                        own(&stranger),
                        (id, each),
                        stated.clone(),
                    ));
                }
                announce(&target, &stranger, (id, each)).await;
                std::future::pending::<()>().await;
                drop(stranger);
            });
        }
    })
}

fn own(stranger: &Stranger) -> Vec<u8> {
    stranger.key.public().to_peer_id().to_bytes()
}

/// An artifact that nobody has.
fn artifact(id: usize, number: usize) -> ArtifactId {
    ArtifactId::of(&[id.to_le_bytes(), number.to_le_bytes()].concat())
}

async fn store(
    (target, place): (Target, usize),
    mut streams: libp2p_stream::Control,
    own: Vec<u8>,
    (id, each): (usize, usize),
    stated: Arc<AtomicU64>,
) {
    let peer = target.peers[place].0;
    let Ok(mut stream) = streams.open_stream(peer, target.protocol("kad/1")).await else { return };
    for first in (0..each).step_by(AT_ONCE) {
        let some: Vec<u8> = (first..first + AT_ONCE).flat_map(|number| record(&own, &artifact(id, number))).collect();
        if stream.write_all(&some).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        stated.fetch_add(AT_ONCE as u64, Ordering::Relaxed);
    }
    std::future::pending::<()>().await;
}

/// A message of the hash table, in protocol buffers: `{ type: ADD_PROVIDER, key, providerPeers: [{ id }] }`.
fn record(own: &[u8], artifact: &ArtifactId) -> Vec<u8> {
    let (mut message, mut provider, mut frame) = (vec![0x08, 2], Vec::new(), Vec::new());
    put_bytes(0x12, &artifact.multihash(), &mut message);
    put_bytes(0x0a, own, &mut provider);
    put_bytes(0x4a, &provider, &mut message);
    put_length(message.len(), &mut frame);
    frame.extend(message);
    frame
}

async fn announce(target: &Target, stranger: &Stranger, (id, each): (usize, usize)) {
    let network = target.genesis.network_id();
    // Forty a second: fewer than a peer may send.
    let mut pace = tokio::time::interval(Duration::from_millis(25));
    for first in (0..each).step_by(AT_ONCE) {
        pace.tick().await;
        let artifacts: Vec<ArtifactId> = (first..first + AT_ONCE).map(|number| artifact(id, number)).collect();
        if stranger.say.send(announcement(network, stranger, artifacts)).await.is_err() {
            return;
        }
    }
}

fn announcement(network: NetworkId, stranger: &Stranger, artifacts: Vec<ArtifactId>) -> Vec<u8> {
    let key = stranger.key.public().try_into_ed25519().expect("such a key");
    let provider = PublicKey::from_bytes(key.to_bytes());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let at = Timestamp::new(u64::try_from(since.as_millis()).expect("a time"));
    let mut bytes = b"allod/announcement/1".to_vec();
    bytes.extend(codec::encode(&(network, &artifacts, &provider, at)));
    let signature = stranger.key.sign(&bytes).expect("a signature");
    let signature = Signature::from_bytes(signature.try_into().expect("64 bytes"));
    codec::encode(&Announcement { artifacts, provider, at, signature })
}
