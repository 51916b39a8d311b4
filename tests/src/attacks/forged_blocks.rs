//! Blocks that nobody decided, pushed to those who follow: the next block after each that is decided, well-formed, under
//! the signatures of the one before.

use super::{Attack, Stranger, Target};
use allod_protocol::{
    agreement::host::gossip,
    ledger::block::{Block, DecidedBlock},
};
use std::sync::atomic::Ordering;

/// Forgeries after which it comes under another id: the last one is blocked.
const OF_ONE_ID: usize = 16;
/// Forgeries for each decided block.
const OF_ONE_BLOCK: u64 = 4;

/// One stranger, under one id after the other, pushes forged blocks to every peer of the target.
pub fn begin(target: Target) -> Attack {
    Attack::begin(move |sent| async move {
        loop {
            let mut stranger = Stranger::join_on(&target, "block").await;
            let mut left = OF_ONE_ID;
            while left > 0 {
                let Some(heard) = stranger.heard.recv().await else { return };
                let Ok(decided) = gossip::decode_push(&heard) else { continue };
                for number in 0..OF_ONE_BLOCK {
                    if stranger.say.send(gossip::encode_push(&forged(&decided, number))).await.is_err() {
                        return;
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                    left = left.saturating_sub(1);
                }
            }
        }
    })
}

fn forged(decided: &DecidedBlock, number: u64) -> DecidedBlock {
    let mut header = decided.block.header().clone();
    header.parent = decided.block.hash();
    header.height = header.height.next();
    header.time = allod_protocol::ground::ids::Timestamp::new(header.time.get() + 1 + number);
    let block = Block::new(header, Vec::new());
    let mut certificate = decided.certificate.clone();
    (certificate.height, certificate.block) = (block.header().height, block.hash());
    DecidedBlock { block, certificate }
}
