//! Forgets. It votes for what is proposed now, whatever it is locked on, without any polka; and it stops now and then and
//! starts again without its log and its last-signed record, to sign anew what it had signed.

use super::{Misbehaviour, Parcel, Scene, Store};
use allod_protocol::{
    agreement::replica::Message,
    ground::ids::{BlockHash, Height},
};
use rand::RngExt as _;

#[derive(Default)]
pub(super) struct Amnesiac {
    /// What was proposed last: height, round, block.
    proposed: Option<(Height, u32, BlockHash)>,
}

impl Misbehaviour for Amnesiac {
    fn on_publish(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        let own = match message {
            Message::Vote(vote) if vote.body.validator == scene.address() => &vote.body,
            _ => return vec![Parcel::to_all(scene, message)],
        };
        let now = self.proposed.filter(|(height, round, _)| (*height, *round) == (own.height, own.round));
        let block = now.map(|(_, _, block)| block).or(own.block);
        let vote = scene.vote(own.kind, own.height, own.round, block);
        vec![Parcel::to_all(scene, &vote)]
    }

    fn on_heard(&mut self, _: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        if let Message::Proposal(proposal) = message {
            self.proposed = Some((message.height(), message.round(), proposal.block.hash()));
        }
        Vec::new()
    }

    fn stops(&mut self, scene: &mut Scene<'_>) -> bool {
        scene.rng.random_bool(0.02)
    }

    fn on_stopped(&mut self, disk: &mut Store) {
        disk.lose_log();
        disk.lose_last_signed();
    }
}
