//! Speaks of heights and rounds that are far away or about to come, signed and unsigned, and says what is no message at
//! all: to fill queues, to make work, to start what should not be started.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::{
    agreement::{
        host::Channel,
        replica::{Message, PolkaCertificate, ROUNDS, RoundCertificate, RoundCertificateKind, RoundVote},
    },
    ground::ids::{BlockHash, Height, Signature, Timestamp},
    ledger::block::{Block, CommitSignature, VoteKind},
};
use rand::{Rng as _, RngExt as _};

/// Messages at a time.
const AT_ONCE: usize = 6;

pub(super) struct Spammer;

impl Misbehaviour for Spammer {
    fn unasked(&mut self, scene: &mut Scene<'_>) -> Vec<Parcel> {
        if !scene.rng.random_bool(0.3) {
            return Vec::new();
        }
        let parcels = (0..AT_ONCE).map(|_| match scene.rng.random_range(0..8) {
            0 => noise(scene, Channel::Consensus),
            1 => noise(scene, Channel::Transactions),
            2 => noise(scene, Channel::Blocks),
            _ => {
                let message = far(scene);
                Parcel::to_all(scene, &message)
            }
        });
        parcels.collect()
    }
}

/// Bytes that mean nothing.
fn noise(scene: &mut Scene<'_>, channel: Channel) -> Parcel {
    let mut bytes = vec![0; scene.rng.random_range(0..300)];
    scene.rng.fill_bytes(&mut bytes);
    Parcel { to: scene.others.clone(), channel, bytes }
}

/// A message of another height or round than the present one; half of those that could be signed are not.
fn far(scene: &mut Scene<'_>) -> Message {
    let tip = scene.tip.height.get();
    let far_heights = [tip, tip + 1, tip + 2, tip + 3, tip + 1_000, u64::MAX];
    let height = Height::new(far_heights[scene.rng.random_range(0..far_heights.len())]);
    let far_rounds = [0, 1, 9, 10, 11, 500, ROUNDS - 1, ROUNDS, u32::MAX];
    let round = far_rounds[scene.rng.random_range(0..far_rounds.len())];
    let hash = BlockHash::from_bytes(scene.rng.random());
    let block = scene.rng.random_bool(0.7).then_some(hash);
    let kind = if scene.rng.random_bool(0.5) { VoteKind::Prevote } else { VoteKind::Precommit };
    let mut message = match scene.rng.random_range(0..5) {
        0 | 1 => scene.vote(kind, height, round, block),
        2 => {
            let block = Block::following(scene.tip, scene.address(), Timestamp::new(scene.now_ms), Vec::new());
            let mut header = block.header().clone();
            header.height = height;
            let pol_round = scene.rng.random_bool(0.3).then_some(round / 2);
            scene.proposal(round, pol_round, Block::new(header, Vec::new()))
        }
        3 => {
            let sign = |validator| CommitSignature { validator, signature: Signature::from_bytes([8; 64]) };
            let signatures = scene.tip.validators.iter().map(|one| sign(one.address)).collect();
            return Message::Polka(PolkaCertificate { height, round, block: hash, signatures });
        }
        _ => {
            let sign = |validator| RoundVote { kind, block, validator, signature: Signature::from_bytes([8; 64]) };
            let votes = scene.tip.validators.iter().map(|one| sign(one.address)).collect();
            return Message::Round(RoundCertificate { height, round, kind: RoundCertificateKind::Skip, votes });
        }
    };
    if scene.rng.random_bool(0.5) {
        unsign(scene, &mut message);
    }
    message
}

/// Puts another validator's name under it, or breaks the signature.
fn unsign(scene: &mut Scene<'_>, message: &mut Message) {
    let validators = scene.tip.validators.iter().count();
    let other = scene.tip.validators.iter().nth(scene.rng.random_range(0..validators)).map(|one| one.address);
    match message {
        Message::Vote(vote) => vote.body.validator = other.unwrap_or(vote.body.validator),
        Message::Proposal(proposal) => proposal.signature = Signature::from_bytes([8; 64]),
        Message::Polka(_) | Message::Round(_) => {}
    }
}
