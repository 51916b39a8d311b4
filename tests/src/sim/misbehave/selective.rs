//! Has to do with some peers only: tells them everything and serves them, and is silent to the others. At each height it
//! chooses again.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::{
    agreement::{host::Channel, replica::Message},
    ground::ids::Height,
    ledger::block::DecidedBlock,
};
use rand::RngExt as _;

#[derive(Default)]
pub(super) struct Selective {
    height: Height,
    chosen: Vec<usize>,
}

impl Selective {
    fn choose(&mut self, scene: &mut Scene<'_>) -> Vec<usize> {
        if self.chosen.is_empty() || self.height != scene.tip.height {
            self.height = scene.tip.height;
            let rng = &mut scene.rng;
            self.chosen = scene.others.iter().copied().filter(|_| rng.random_bool(0.5)).collect();
        }
        self.chosen.clone()
    }
}

impl Misbehaviour for Selective {
    fn on_publish(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        vec![Parcel::new(message, self.choose(scene))]
    }

    fn on_transactions(&mut self, scene: &mut Scene<'_>) -> Vec<usize> {
        self.choose(scene)
    }

    fn on_push(&mut self, scene: &mut Scene<'_>, bytes: Vec<u8>) -> Vec<Parcel> {
        vec![Parcel { to: self.choose(scene), channel: Channel::Blocks, bytes }]
    }

    fn on_request(
        &mut self,
        scene: &mut Scene<'_>,
        asker: usize,
        tip: Height,
        blocks: Vec<DecidedBlock>,
    ) -> Option<(Height, Vec<DecidedBlock>)> {
        self.choose(scene).contains(&asker).then_some((tip, blocks))
    }
}
