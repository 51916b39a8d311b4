//! Every consensus message that a stranger hears, sent again under many repetition numbers: each copy is another message
//! to gossip, and its signature is good.

use super::{Attack, Stranger, Target};
use std::sync::atomic::Ordering;

/// Where the repetition number of a message stands: behind the version of the record.
const NUMBER: std::ops::Range<usize> = 1..9;

/// So many strangers send so many copies of each message that they hear to each peer of the target.
pub fn begin(target: Target, strangers: usize, copies: u64) -> Attack {
    Attack::begin(move |sent| async move {
        for stranger in 0..strangers as u64 {
            let (target, sent) = (target.clone(), sent.clone());
            tokio::spawn(async move {
                let mut stranger_of = Stranger::join(&target).await;
                while let Some(heard) = stranger_of.heard.recv().await {
                    // Its own copies come back from the peers that relay them.
                    if number_of(&heard) >> 40 == REPEATED {
                        continue;
                    }
                    for copy in 0..copies {
                        let number = (REPEATED << 40) | (stranger << 32) | copy;
                        if stranger_of.say.send(under(&heard, number)).await.is_err() {
                            return;
                        }
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    })
}

/// What marks the numbers of copies.
const REPEATED: u64 = 0xA2_A2A2;

fn number_of(message: &[u8]) -> u64 {
    message.get(NUMBER).and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))).unwrap_or(0)
}

fn under(message: &[u8], number: u64) -> Vec<u8> {
    let mut copy = message.to_vec();
    copy[NUMBER].copy_from_slice(&number.to_le_bytes());
    copy
}
