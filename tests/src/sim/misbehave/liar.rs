//! Serves and pushes decided blocks that were not decided so, each time with another lie, and forges votes in others' names.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::{
    agreement::{
        host::{Channel, gossip},
        replica::Message,
    },
    ground::{
        crypto::Domain,
        ids::{BlockHash, Height, Signature},
    },
    ledger::block::{Block, CommitSignature, DecidedBlock, VoteBody, VoteKind},
};
use rand::RngExt as _;

pub(super) struct Liar;

impl Misbehaviour for Liar {
    fn on_publish(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        let Message::Vote(vote) = message else { return vec![Parcel::to_all(scene, message)] };
        let mut forged = vote.clone();
        forged.body.block = Some(BlockHash::from_bytes([9; 32]));
        if let Some(other) = scene.tip.validators.iter().find(|one| one.address != scene.address()) {
            forged.body.validator = other.address;
        }
        forged.signature = scene.key.sign(Domain::Vote, &forged.body.signing_bytes());
        vec![Parcel::to_all(scene, message), Parcel::to_all(scene, &Message::Vote(forged))]
    }

    fn on_push(&mut self, scene: &mut Scene<'_>, bytes: Vec<u8>) -> Vec<Parcel> {
        let (to, channel) = (scene.others.clone(), Channel::Blocks);
        let Ok(decided) = gossip::decode_push(&bytes) else { return Vec::new() };
        let lie = scene.rng.random_range(3..8);
        let forged = gossip::encode_push(&forged(scene, &decided, lie));
        vec![Parcel { to: to.clone(), channel, bytes: forged }, Parcel { to, channel, bytes }]
    }

    fn on_request(
        &mut self,
        scene: &mut Scene<'_>,
        _: usize,
        tip: Height,
        mut blocks: Vec<DecidedBlock>,
    ) -> Option<(Height, Vec<DecidedBlock>)> {
        // The first blocks of a lie are true now and then: a host goes other ways with the first of an answer and the rest.
        let honest_blocks = scene.rng.random_range(0..3);
        match scene.rng.random_range(0..8) {
            0 => return Some((Height::new(u64::MAX), blocks)),
            1 => return Some((Height::new(u64::MAX), Vec::new())),
            2 => blocks.reverse(),
            lie => blocks.iter_mut().skip(honest_blocks).for_each(|block| *block = forged(scene, block, lie)),
        }
        Some((tip, blocks))
    }
}

/// The same decided block, with something in it that is not true.
fn forged(scene: &Scene<'_>, decided: &DecidedBlock, lie: u32) -> DecidedBlock {
    let DecidedBlock { mut block, mut certificate } = decided.clone();
    let mut header = block.header().clone();
    match lie {
        // Another block under the true certificate.
        3 => {
            header.time = header.time.plus_ms(9);
            block = Block::new(header, block.transactions().to_vec());
        }
        // The true header over other transactions.
        4 if !block.transactions().is_empty() => block = Block::new(header, Vec::new()),
        // Too few signatures, or one as often as it takes.
        5 => certificate.signatures.truncate(1),
        6 => {
            let count = certificate.signatures.len();
            certificate.signatures = certificate.signatures.first().cloned().into_iter().cycle().take(count).collect();
        }
        // A block of its own, which all others signed, as it signs for them.
        7 => {
            header.time = header.time.plus_ms(1);
            header.proposer = scene.address();
            block = Block::new(header, block.transactions().to_vec());
            certificate.block = block.hash();
            certificate.signatures.iter_mut().for_each(|one| *one = signed_for(scene, one, decided, block.hash()));
        }
        _ => {
            if let Some(commit) = certificate.signatures.first_mut() {
                commit.signature = Signature::from_bytes([5; 64]);
            }
        }
    }
    DecidedBlock { block, certificate }
}

fn signed_for(scene: &Scene<'_>, one: &CommitSignature, decided: &DecidedBlock, block: BlockHash) -> CommitSignature {
    let body = VoteBody {
        network: scene.tip.network,
        kind: VoteKind::Precommit,
        height: decided.certificate.height,
        round: decided.certificate.round,
        block: Some(block),
        validator: one.validator,
    };
    let signature = scene.key.sign(Domain::Vote, &body.signing_bytes());
    CommitSignature { validator: one.validator, signature }
}
