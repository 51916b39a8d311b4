//! Votes of a height far ahead, in the name of a validator, that nobody signed. They are cheap, and whoever believes
//! them asks everybody for blocks that do not exist.

use super::{Attack, Stranger, Target};
use allod_protocol::{
    agreement::replica::{Message, SignedVote},
    ground::ids::{BlockHash, Height, Signature},
    ledger::block::{VoteBody, VoteKind},
};
use std::{sync::atomic::Ordering, time::Duration};

/// The height that the votes are for.
const HEIGHT: u64 = 1_000_000;
/// Votes after which it comes under another id: the last one is blocked.
const VOTES_OF_ONE_ID: u64 = 4_000;

/// One stranger, under one id after the other, sends so many votes a second to each peer of the target, on streams as
/// validators do.
pub fn begin(target: Target, per_second: u32) -> Attack {
    Attack::begin(|sent| async move {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
        for id in 0u64.. {
            let stranger = Stranger::join(&target).await;
            let speaker = stranger.speak(&target);
            for number in 0..VOTES_OF_ONE_ID {
                pace.tick().await;
                speaker.say(&vote(&target, id * VOTES_OF_ONE_ID + number));
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}

fn vote(target: &Target, number: u64) -> Vec<u8> {
    let validators = &target.genesis.validators;
    let validator = &validators[usize::try_from(number).unwrap_or(0) % validators.len()];
    let body = VoteBody {
        network: target.genesis.network_id(),
        kind: VoteKind::Prevote,
        height: Height::new(HEIGHT),
        round: 0,
        block: Some(BlockHash::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())),
        validator: validator.key.validator_address(),
    };
    Message::Vote(SignedVote { body, signature: Signature::from_bytes([7; 64]) }).encode()
}
