//! Proposals of two megabytes for the height that is being decided, in the name of the validator whose turn it is, that
//! nobody signed. Whoever sends some more of them is blocked, so it comes back under another id before: ids are free.

use super::{Attack, Stranger, Target, old_proposals};
use allod_protocol::{
    agreement::{host::gossip, replica::Message},
    ground::ids::Height,
};
use std::{sync::atomic::Ordering, time::Duration};

/// Number of proposals that a stranger sends before it comes back as another one: ten that are rejected get it blocked.
const PER_ID: u64 = 12;

/// One stranger after the other sends them to each peer of the target, so many a second.
pub fn begin(target: &Target, per_second: u32) -> Attack {
    let each: Vec<Target> =
        target.peers.iter().map(|peer| Target { peers: vec![peer.clone()], ..target.clone() }).collect();
    Attack::begin(move |sent| async move {
        for target in each {
            let sent = sent.clone();
            tokio::spawn(async move {
                let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
                loop {
                    let mut stranger = Stranger::join(&target).await;
                    // It has to know the height, from what it hears.
                    let Some(mut height) = stranger.heard.recv().await.and_then(|heard| height_of(&heard)) else {
                        continue;
                    };
                    for number in 0..PER_ID {
                        pace.tick().await;
                        while let Ok(heard) = stranger.heard.try_recv() {
                            height = height_of(&heard).unwrap_or(height);
                        }
                        // Of the height under way, or the next one.
                        let height = if number % 2 == 0 { height } else { height.next() };
                        let forged = old_proposals::proposal(&target, height);
                        let message = gossip::encode_consensus(number, &Message::Proposal(forged));
                        if stranger.say.send(message).await.is_ok() {
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    })
}

fn height_of(heard: &[u8]) -> Option<Height> {
    Some(gossip::open_consensus(heard).ok()?.0.height())
}
