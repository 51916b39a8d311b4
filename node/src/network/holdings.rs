//! Which peers say that they have what, within a bound that no peer can use up alone.
//!
//! When there are too many entries, the peer with the most of them loses its oldest one: whoever fills the table
//! displaces itself. Peers that this one needs (validators' and configured ones) are displaced only by each other.

use libp2p::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

/// What one peer has.
#[derive(Debug)]
struct Held<K> {
    /// In the order in which it was said.
    by_age: BTreeMap<u64, K>,
    ages: HashMap<K, u64>,
}

/// A bounded table of what peers have.
#[derive(Debug)]
pub(super) struct Holdings<K> {
    capacity: usize,
    next: u64,
    count: usize,
    peers: HashMap<PeerId, Held<K>>,
    /// The same peers by how much they have.
    sizes: BTreeSet<(usize, PeerId)>,
}

/// What became of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept<K> {
    /// It was there already.
    Known,
    /// It was added.
    Added,
    /// It was added in the place of this one.
    Instead(PeerId, K),
    /// The table is full, and nobody has more than this peer.
    Refused,
}

impl<K: Clone + Eq + Hash> Holdings<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, next: 0, count: 0, peers: HashMap::new(), sizes: BTreeSet::new() }
    }

    /// Number of entries.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, peer: PeerId, key: &K, is_needed: impl Fn(&PeerId) -> bool) -> Kept<K> {
        if self.peers.get(&peer).is_some_and(|held| held.ages.contains_key(key)) {
            return Kept::Known;
        }
        let displaced = if self.count < self.capacity {
            None
        } else {
            let Some(displaced) = self.make_room(peer, is_needed) else { return Kept::Refused };
            Some(displaced)
        };
        self.next = self.next.saturating_add(1);
        let held = self.peers.entry(peer).or_insert_with(|| Held { by_age: BTreeMap::new(), ages: HashMap::new() });
        self.sizes.remove(&(held.ages.len(), peer));
        held.ages.insert(key.clone(), self.next);
        held.by_age.insert(self.next, key.clone());
        self.sizes.insert((held.ages.len(), peer));
        self.count = self.count.saturating_add(1);
        displaced.map_or(Kept::Added, |(peer, key)| Kept::Instead(peer, key))
    }

    /// Removes the oldest entry of the peer with the most, if it has more than `peer` or `peer` goes before it.
    fn make_room(&mut self, peer: PeerId, is_needed: impl Fn(&PeerId) -> bool) -> Option<(PeerId, K)> {
        let (own, needed) = (self.peers.get(&peer).map_or(0, |held| held.ages.len()), is_needed(&peer));
        let stranger = self.sizes.iter().rev().find(|(_, other)| !is_needed(other)).copied();
        let (size, other) = match stranger {
            Some((_, other)) if needed && other != peer => (usize::MAX, other),
            // Those that are needed share what is left among themselves.
            None if needed => self.sizes.last().copied()?,
            found => found?,
        };
        if other == peer || size <= own {
            return None;
        }
        let key = self.peers.get(&other)?.by_age.first_key_value()?.1.clone();
        self.remove(&other, &key);
        Some((other, key))
    }

    /// Removes an entry, if it is there.
    pub(super) fn remove(&mut self, peer: &PeerId, key: &K) {
        let Some(held) = self.peers.get_mut(peer) else { return };
        let before = held.ages.len();
        let Some(age) = held.ages.remove(key) else { return };
        held.by_age.remove(&age);
        self.count = self.count.saturating_sub(1);
        self.sizes.remove(&(before, *peer));
        if held.ages.is_empty() {
            self.peers.remove(peer);
        } else {
            self.sizes.insert((held.ages.len(), *peer));
        }
    }

    /// Removes the entries that are not to stay.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&PeerId, &K) -> bool) {
        let entries = self.peers.iter().flat_map(|(peer, held)| held.ages.keys().map(|key| (*peer, key.clone())));
        let gone: Vec<(PeerId, K)> = entries.filter(|(peer, key)| !stays(peer, key)).collect();
        for (peer, key) in gone {
            self.remove(&peer, &key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peers(count: usize) -> Vec<PeerId> {
        (0..count).map(|_| PeerId::random()).collect()
    }

    #[test]
    fn whoever_fills_the_table_displaces_itself_and_not_those_with_less() {
        let all = peers(3);
        let mut holdings = Holdings::new(100);
        for number in 0..98 {
            assert_eq!(holdings.insert(all[0], &number, |_| false), Kept::Added);
        }
        assert_eq!(holdings.insert(all[1], &0, |_| false), Kept::Added);
        assert_eq!(holdings.insert(all[1], &1, |_| false), Kept::Added);
        assert_eq!(holdings.insert(all[0], &99, |_| false), Kept::Refused, "it has the most");
        for number in 0..48 {
            assert_eq!(holdings.insert(all[2], &number, |_| false), Kept::Instead(all[0], number), "its oldest");
        }
        assert_eq!(holdings.insert(all[1], &1, |_| false), Kept::Known);
        assert_eq!(holdings.len(), 100);
    }

    #[test]
    fn whoever_is_needed_displaces_strangers_however_little_they_have() {
        let all = peers(101);
        let needed = all[0];
        let mut holdings = Holdings::new(100);
        for stranger in &all[1..] {
            assert_eq!(holdings.insert(*stranger, &0, |_| false), Kept::Added);
        }
        for number in 0..100 {
            assert!(matches!(holdings.insert(needed, &number, |peer| *peer == needed), Kept::Instead(..)));
        }
        assert_eq!(holdings.insert(needed, &100, |peer| *peer == needed), Kept::Refused);
        assert_eq!(holdings.insert(all[1], &0, |peer| *peer == needed), Kept::Refused);
    }

    proptest! {
        #[test]
        fn the_books_agree_after_anything(
            steps in prop::collection::vec((0usize..6, 0u8..40, any::<bool>()), 0..400),
        ) {
            let all = peers(6);
            let is_needed = |peer: &PeerId| *peer == all[0] || *peer == all[1];
            let mut holdings = Holdings::new(50);
            let mut model = BTreeSet::new();
            for (peer, key, adds) in steps {
                let peer = all[peer];
                if adds {
                    let own = model.iter().filter(|(other, _)| *other == peer).count();
                    match holdings.insert(peer, &key, is_needed) {
                        Kept::Known => prop_assert!(model.contains(&(peer, key))),
                        Kept::Added => prop_assert!(model.insert((peer, key)) && model.len() <= 50),
                        Kept::Instead(other, old) => {
                            let theirs = model.iter().filter(|(one, _)| *one == other).count();
                            prop_assert!(theirs > own || (is_needed(&peer) && !is_needed(&other)));
                            prop_assert!(is_needed(&peer) || !is_needed(&other));
                            prop_assert!(model.remove(&(other, old)) && model.insert((peer, key)));
                        }
                        Kept::Refused => prop_assert!(!model.contains(&(peer, key)) && model.len() == 50),
                    }
                } else {
                    holdings.remove(&peer, &key);
                    model.remove(&(peer, key));
                }
                prop_assert_eq!(holdings.len(), model.len());
                let sizes: usize = holdings.sizes.iter().map(|(size, _)| size).sum();
                prop_assert_eq!(sizes, model.len());
            }
            holdings.retain(|peer, key| model.contains(&(*peer, *key)) && *key > 9);
            prop_assert_eq!(holdings.len(), model.iter().filter(|(_, key)| *key > 9).count());
        }
    }
}
