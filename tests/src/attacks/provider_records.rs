//! Provider records without number, of artifacts that do not exist: what fills a peer's table leaves no room for those that
//! do. And the question who provides what, as a peer of the network asks it.

use super::{Attack, Stranger, Target, put_bytes, put_length};
use allod_protocol::ground::ids::ArtifactId;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{PeerId, Stream};
use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};
use tokio::sync::Semaphore;

/// How many connect at a time: a crowd that is too hasty is refused for its haste.
const AT_ONCE: usize = 8;
/// The pause before another stream is opened.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The kinds of messages of the hash table, in protocol buffers: `Message { type, key, providerPeers: [{ id, addrs }] }`.
const ADD_PROVIDER: u8 = 2;
const GET_PROVIDERS: u8 = 3;
const PROVIDER_PEERS: u8 = 0x4a;

/// So many ids store so many records each with every peer of the target, and stay. Counts records, those of each peer.
pub fn begin(target: Target, ids: usize, each: usize) -> Attack {
    Attack::begin(move |sent| async move {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        for _ in 0..ids {
            tokio::spawn(store(target.clone(), each, turns.clone(), sent.clone()));
        }
    })
}

async fn store(target: Target, each: usize, turns: Arc<Semaphore>, sent: Arc<AtomicU64>) {
    let turn = turns.acquire_owned().await.expect("turns without end");
    let stranger = Stranger::join(&target).await;
    let mut streams = stranger.streams.clone();
    for (peer, _) in &target.peers {
        let mut number = 0;
        while number < each {
            let opened = streams.open_stream(*peer, target.protocol("kad/1")).await;
            let Ok(mut stream) = opened else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            while number < each {
                let artifact = ArtifactId::of(format!("{} {number}", stranger.id).as_bytes());
                if stream.write_all(&message(ADD_PROVIDER, &artifact, Some(stranger.id))).await.is_err() {
                    break;
                }
                number += 1;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            // It may be closed by now.
            let _ = stream.flush().await;
        }
    }
    drop(turn);
    std::future::pending::<()>().await;
}

/// How many of these artifacts every peer of the target knows the provider of.
pub fn known(target: &Target, artifacts: &[ArtifactId], provider: PeerId) -> usize {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stranger = Stranger::join(target).await;
        let mut streams: Vec<(PeerId, Option<Stream>)> = target.peers.iter().map(|(peer, _)| (*peer, None)).collect();
        let mut count = 0;
        for artifact in artifacts {
            let mut by_all = true;
            for (peer, stream) in &mut streams {
                // Where places are short, it gives way to others and comes again.
                let asked = async {
                    loop {
                        if let Some(Ok(answer)) = ask_on(stream, artifact).await {
                            return answer;
                        }
                        tokio::time::sleep(PAUSE).await;
                        *stream = stranger.streams.clone().open_stream(*peer, target.protocol("kad/1")).await.ok();
                    }
                };
                let answer = tokio::time::timeout(PATIENCE, asked).await.expect("an answer in time");
                by_all &= names(&answer, &provider.to_bytes());
            }
            count += usize::from(by_all);
        }
        count
    })
}

async fn ask_on(stream: &mut Option<Stream>, artifact: &ArtifactId) -> Option<std::io::Result<Vec<u8>>> {
    Some(ask(stream.as_mut()?, artifact).await)
}

async fn ask(stream: &mut Stream, artifact: &ArtifactId) -> std::io::Result<Vec<u8>> {
    stream.write_all(&message(GET_PROVIDERS, artifact, None)).await?;
    stream.flush().await?;
    let mut length = Vec::new();
    while length.last().is_none_or(|byte| *byte >= 0x80) {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        length.extend(byte);
    }
    let mut answer = vec![0; take_number(&length).0];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Whether an answer names a peer among the providers. It names others as well, who may know more.
fn names(mut answer: &[u8], id: &[u8]) -> bool {
    while let Some((tag, rest)) = answer.split_first() {
        let (value, rest) = take_number(rest);
        answer = rest;
        // Of a field of bytes, the number is their length.
        if tag & 7 == 2 {
            let (bytes, rest) = answer.split_at(value);
            answer = rest;
            if *tag == PROVIDER_PEERS && bytes.windows(id.len()).any(|part| part == id) {
                return true;
            }
        }
    }
    false
}

/// A variable-length number, and what follows it.
fn take_number(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| *byte < 0x80).expect("an end") + 1;
    let (number, rest) = bytes.split_at(end);
    (number.iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f)), rest)
}

fn message(kind: u8, artifact: &ArtifactId, provider: Option<PeerId>) -> Vec<u8> {
    let mut message = vec![0x08, kind];
    put_bytes(0x12, &artifact.multihash(), &mut message);
    if let Some(provider) = provider {
        let mut peer = Vec::new();
        put_bytes(0x0a, &provider.to_bytes(), &mut peer);
        let address: libp2p::Multiaddr = "/ip4/192.0.2.1/tcp/7641".parse().expect("an address");
        put_bytes(0x12, &address.to_vec(), &mut peer);
        put_bytes(PROVIDER_PEERS, &peer, &mut message);
    }
    let mut frame = Vec::new();
    put_length(message.len(), &mut frame);
    frame.extend(message);
    frame
}
