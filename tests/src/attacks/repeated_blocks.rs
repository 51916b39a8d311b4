//! Every decided block that a stranger is pushed, pushed again under other certificates: nobody signs in which order the
//! signatures of a certificate stand, so each order makes another message to gossip, and all of them are good.

use super::{Attack, Stranger, Target};
use allod_protocol::{agreement::host::gossip, ledger::block::CommitSignature};
use std::{collections::BTreeSet, sync::atomic::Ordering};

/// So many strangers send each block that they hear of in every order of its signatures to each peer of the target.
pub fn begin(target: Target, strangers: usize) -> Attack {
    Attack::begin(move |sent| async move {
        for _ in 0..strangers {
            let (target, sent) = (target.clone(), sent.clone());
            tokio::spawn(async move {
                let mut stranger = Stranger::join_on(&target, "block").await;
                let mut pushed = BTreeSet::new();
                while let Some(heard) = stranger.heard.recv().await {
                    let Ok(decided) = gossip::decode_push(&heard) else { continue };
                    // Its own copies come back, and several validators push.
                    if !pushed.insert(decided.block.header().height) {
                        continue;
                    }
                    for signatures in orders(&decided.certificate.signatures) {
                        let mut copy = decided.clone();
                        copy.certificate.signatures = signatures;
                        if stranger.say.send(gossip::encode_push(&copy)).await.is_err() {
                            return;
                        }
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    })
}

/// Every order of so few signatures.
fn orders(signatures: &[CommitSignature]) -> Vec<Vec<CommitSignature>> {
    let Some((first, rest)) = signatures.split_first() else { return vec![Vec::new()] };
    let places = |rest: Vec<CommitSignature>| {
        (0..=rest.len()).map(move |place| {
            let mut order = rest.clone();
            order.insert(place, first.clone());
            order
        })
    };
    orders(rest).into_iter().flat_map(places).collect()
}
