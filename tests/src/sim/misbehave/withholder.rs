//! Proposes, and sends its block to nobody, to one, or to all but one.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::agreement::replica::Message;
use rand::RngExt as _;

pub(super) struct Withholder;

impl Misbehaviour for Withholder {
    fn on_publish(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        if !matches!(message, Message::Proposal(_)) {
            return vec![Parcel::to_all(scene, message)];
        }
        let mut to = scene.others.clone();
        let one = to.remove(scene.rng.random_range(0..to.len()));
        match scene.rng.random_range(0..3) {
            0 => Vec::new(),
            1 => vec![Parcel::new(message, vec![one])],
            _ => vec![Parcel::new(message, to)],
        }
    }
}
