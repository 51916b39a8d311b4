//! Says one thing to some, another to others, and both to a few.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::{agreement::replica::Message, ground::ids::BlockHash, ledger::block::Block};
use rand::RngExt as _;

pub(super) struct Equivocator;

impl Misbehaviour for Equivocator {
    fn on_publish(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        let twin = if message.sender() == Some(scene.address()) { twin(scene, message) } else { None };
        let Some(twin) = twin else { return vec![Parcel::to_all(scene, message)] };
        let (others, rng) = (scene.others.clone(), &mut scene.rng);
        let mut some = |index: usize| -> Vec<usize> {
            others.iter().copied().filter(|to| to % 2 == index || rng.random_bool(0.3)).collect()
        };
        vec![Parcel::new(message, some(0)), Parcel::new(&twin, some(1))]
    }
}

/// The message that contradicts an own one; certificates have none.
fn twin(scene: &Scene<'_>, message: &Message) -> Option<Message> {
    match message {
        Message::Vote(vote) => {
            let block = match vote.body.block {
                None => Some(BlockHash::from_bytes([7; 32])),
                Some(_) => None,
            };
            Some(scene.vote(vote.body.kind, vote.body.height, vote.body.round, block))
        }
        Message::Proposal(proposal) => {
            let mut header = proposal.block.header().clone();
            header.time = header.time.plus_ms(1);
            let block = Block::new(header, proposal.block.transactions().to_vec());
            Some(scene.proposal(proposal.round, None, block))
        }
        Message::Polka(_) | Message::Round(_) => None,
    }
}
