//! Follows, and says nothing.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::{agreement::replica::Message, ground::ids::Height, ledger::block::DecidedBlock};

pub(super) struct Silent;

impl Misbehaviour for Silent {
    fn on_publish(&mut self, _: &mut Scene<'_>, _: &Message) -> Vec<Parcel> {
        Vec::new()
    }

    fn on_transactions(&mut self, _: &mut Scene<'_>) -> Vec<usize> {
        Vec::new()
    }

    fn on_push(&mut self, _: &mut Scene<'_>, _: Vec<u8>) -> Vec<Parcel> {
        Vec::new()
    }

    fn on_request(
        &mut self,
        _: &mut Scene<'_>,
        _: usize,
        _: Height,
        _: Vec<DecidedBlock>,
    ) -> Option<(Height, Vec<DecidedBlock>)> {
        None
    }
}
