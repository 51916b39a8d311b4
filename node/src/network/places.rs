//! Room for answers to requests for blocks. An answer is megabytes, in memory until its asker has read them, and making
//! it takes a processor: so there is a bounded number of answers under way, for one peer and for all.
//!
//! An answer has its place from the moment it is promised until both are over: the making of it, and its stream. Who
//! leaves early gains nothing, because the place is free only when the work is done.

use libp2p::PeerId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Maximum number of answers under way to one peer. An honest one asks for the next blocks when it has the last ones.
const PER_PEER: usize = 2;
/// Maximum number of answers under way to validators' and configured peers together.
const FOR_THE_NEEDED: usize = 32;
/// Maximum number of answers under way to all others together.
const FOR_STRANGERS: usize = 16;

/// The places for answers. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    by_peer: HashMap<PeerId, usize>,
    by_the_needed: usize,
    by_strangers: usize,
}

impl Taken {
    fn of_class(&mut self, needed: bool) -> &mut usize {
        if needed { &mut self.by_the_needed } else { &mut self.by_strangers }
    }
}

/// The place of one answer. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    peer: PeerId,
    needed: bool,
}

impl Places {
    /// Takes a place for an answer to a peer, if there is one. `needed` peers have places of their own.
    pub(super) fn take(&self, peer: PeerId, needed: bool) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or(0);
        let max = if needed { FOR_THE_NEEDED } else { FOR_STRANGERS };
        if of_peer >= PER_PEER || *taken.of_class(needed) >= max {
            return None;
        }
        taken.by_peer.insert(peer, of_peer.saturating_add(1));
        *taken.of_class(needed) += 1;
        Some(Place { places: self.clone(), peer, needed })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let class = taken.of_class(self.needed);
        *class = class.saturating_sub(1);
        let left = taken.by_peer.get(&self.peer).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.by_peer.remove(&self.peer);
        } else {
            taken.by_peer.insert(self.peer, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_few_places_and_gets_them_back() {
        let (places, peer) = (Places::default(), PeerId::random());
        let first = places.take(peer, false);
        let second = places.take(peer, false);
        assert!(first.is_some() && second.is_some() && places.take(peer, false).is_none());
        assert!(places.take(PeerId::random(), false).is_some(), "another peer has its own");
        drop(first);
        assert!(places.take(peer, false).is_some());
    }

    #[test]
    fn strangers_leave_the_places_of_the_needed_alone() {
        let places = Places::default();
        let held: Vec<Place> = (0..1_000).filter_map(|_| places.take(PeerId::random(), false)).collect();
        assert_eq!(held.len(), FOR_STRANGERS);
        let needed: Vec<Place> = (0..1_000).filter_map(|_| places.take(PeerId::random(), true)).collect();
        assert_eq!(needed.len(), FOR_THE_NEEDED);
        drop(held);
        assert!(places.take(PeerId::random(), false).is_some());
        assert_eq!(places.0.lock().expect("no panic").by_peer.len(), FOR_THE_NEEDED, "who has no place is forgotten");
    }
}
