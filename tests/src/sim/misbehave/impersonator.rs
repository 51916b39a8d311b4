//! A validator whose key is no longer in the set, or not yet, votes and proposes with it all the same. While the key is in
//! the set it does as its host says.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::{
    agreement::replica::Message,
    ground::ids::{Height, Timestamp},
    ledger::block::{Block, VoteKind},
};

#[derive(Default)]
pub(super) struct Impersonator {
    /// The height and round that it voted in last.
    voted: Option<(Height, u32)>,
}

impl Misbehaviour for Impersonator {
    fn on_heard(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        let Message::Proposal(proposal) = message else { return Vec::new() };
        let (height, round) = (message.height(), message.round());
        if scene.tip.has_key(&scene.key.public_key()) || self.voted == Some((height, round)) {
            return Vec::new();
        }
        self.voted = Some((height, round));
        let block = Some(proposal.block.hash());
        let own = Block::following(scene.tip, scene.address(), Timestamp::new(scene.now_ms), Vec::new());
        let says = [
            scene.vote(VoteKind::Prevote, height, round, block),
            scene.vote(VoteKind::Precommit, height, round, None),
            scene.proposal(round, None, own),
        ];
        says.iter().map(|message| Parcel::to_all(scene, message)).collect()
    }
}
