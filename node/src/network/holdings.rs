//! Which peers say that they have what, within a bound that no peer can use up alone.
//!
//! When there are too many entries, one of the least [`Standing`] makes way: that of a thing that the ledger does not know
//! before that of one that it knows, and a stranger's before that of a peer that somebody answers for. Among those of the
//! same standing, the peer with the most entries loses its oldest one: whoever fills the table displaces itself.
//!
//! The ledger is asked only while the table is full, and then about the newcomer and about entries that would otherwise
//! make way. So an entry is on the lowest shelf that it may be on until somebody wants its place.

use libp2p::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

/// Maximum number of entries that one newcomer makes the ledger be asked about.
const QUESTIONS: usize = 64;

/// Who answers for a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Nobody.
    #[default]
    Stranger,
    /// An account of the ledger, which has bound it to itself.
    Bound,
    /// The members, or this peer's operator: it speaks for a validator or is configured.
    Needed,
}

/// What an entry is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    /// Whether the ledger knows the thing.
    pub(super) is_on_ledger: bool,
    /// Who answers for the peer.
    pub(super) rank: Rank,
}

/// What one peer has on one shelf.
#[derive(Debug)]
struct Held<K> {
    /// In the order in which it was said.
    by_age: BTreeMap<u64, K>,
    ages: HashMap<K, u64>,
}

/// Entries of the same standing, as far as is known.
#[derive(Debug)]
struct Shelf<K> {
    peers: HashMap<PeerId, Held<K>>,
    /// The same peers by how much they have here.
    sizes: BTreeSet<(usize, PeerId)>,
}

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self { peers: HashMap::new(), sizes: BTreeSet::new() }
    }
}

impl<K: Clone + Eq + Hash> Shelf<K> {
    fn size_of(&self, peer: &PeerId) -> usize {
        self.peers.get(peer).map_or(0, |held| held.ages.len())
    }

    fn contains(&self, peer: &PeerId, key: &K) -> bool {
        self.peers.get(peer).is_some_and(|held| held.ages.contains_key(key))
    }

    fn insert(&mut self, peer: PeerId, key: K, age: u64) {
        let held = self.peers.entry(peer).or_insert_with(|| Held { by_age: BTreeMap::new(), ages: HashMap::new() });
        self.sizes.remove(&(held.ages.len(), peer));
        held.ages.insert(key.clone(), age);
        held.by_age.insert(age, key);
        self.sizes.insert((held.ages.len(), peer));
    }

    /// Removes an entry. Returns its age, if it was there.
    fn remove(&mut self, peer: &PeerId, key: &K) -> Option<u64> {
        let held = self.peers.get_mut(peer)?;
        let before = held.ages.len();
        let age = held.ages.remove(key)?;
        held.by_age.remove(&age);
        self.sizes.remove(&(before, *peer));
        if held.ages.is_empty() {
            self.peers.remove(peer);
        } else {
            self.sizes.insert((held.ages.len(), *peer));
        }
        Some(age)
    }

    /// The oldest entry of the peer with the most, and how many that peer has.
    fn first_to_go(&self) -> Option<(usize, PeerId, K)> {
        let (size, peer) = *self.sizes.last()?;
        Some((size, peer, self.peers.get(&peer)?.by_age.first_key_value()?.1.clone()))
    }
}

/// A bounded table of what peers have.
#[derive(Debug)]
pub(super) struct Holdings<K> {
    capacity: usize,
    next: u64,
    count: usize,
    shelves: BTreeMap<Standing, Shelf<K>>,
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
    /// The table is full, and nothing in it is worth less.
    Refused,
}

impl<K: Clone + Eq + Hash> Holdings<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, next: 0, count: 0, shelves: BTreeMap::new() }
    }

    /// Number of entries.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds an entry. `judge` finds out what an entry is worth, which may take a look at the ledger.
    pub(super) fn insert(&mut self, peer: PeerId, key: &K, judge: impl Fn(&PeerId, &K) -> Standing) -> Kept<K> {
        if self.shelves.values().any(|shelf| shelf.contains(&peer, key)) {
            return Kept::Known;
        }
        let (standing, displaced) = if self.count < self.capacity {
            (Standing::default(), None)
        } else {
            let standing = judge(&peer, key);
            let Some(displaced) = self.make_room(&peer, standing, judge) else { return Kept::Refused };
            (standing, Some(displaced))
        };
        self.next = self.next.saturating_add(1);
        self.shelves.entry(standing).or_default().insert(peer, key.clone(), self.next);
        self.count = self.count.saturating_add(1);
        displaced.map_or(Kept::Added, |(peer, key)| Kept::Instead(peer, key))
    }

    /// Removes an entry that is worth less than one of this peer and standing, or as much if its peer has more of them.
    fn make_room(
        &mut self,
        peer: &PeerId,
        standing: Standing,
        judge: impl Fn(&PeerId, &K) -> Standing,
    ) -> Option<(PeerId, K)> {
        for _ in 0..QUESTIONS {
            let (lowest, shelf) = self.shelves.first_key_value()?;
            let (lowest, (size, other, key)) = (*lowest, shelf.first_to_go()?);
            if lowest > standing {
                return None;
            }
            let worth = judge(&other, &key);
            if worth > lowest {
                let age = self.take(lowest, &other, &key)?;
                self.shelves.entry(worth).or_default().insert(other, key, age);
            } else if lowest < standing || (other != *peer && size > shelf.size_of(peer)) {
                self.remove(&other, &key);
                return Some((other, key));
            } else {
                return None;
            }
        }
        None
    }

    /// Takes an entry from a shelf. Returns its age, if it was there.
    fn take(&mut self, standing: Standing, peer: &PeerId, key: &K) -> Option<u64> {
        let shelf = self.shelves.get_mut(&standing)?;
        let age = shelf.remove(peer, key)?;
        if shelf.peers.is_empty() {
            self.shelves.remove(&standing);
        }
        Some(age)
    }

    /// Removes an entry, if it is there.
    pub(super) fn remove(&mut self, peer: &PeerId, key: &K) {
        let shelf = self.shelves.iter().find(|(_, shelf)| shelf.contains(peer, key)).map(|(standing, _)| *standing);
        if shelf.is_some_and(|standing| self.take(standing, peer, key).is_some()) {
            self.count = self.count.saturating_sub(1);
        }
    }

    /// Removes the entries that are not to stay.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&PeerId, &K) -> bool) {
        let peers = self.shelves.values().flat_map(|shelf| &shelf.peers);
        let entries = peers.flat_map(|(peer, held)| held.ages.keys().map(|key| (*peer, key.clone())));
        let gone: Vec<(PeerId, K)> = entries.filter(|(peer, key)| !stays(peer, key)).collect();
        for (peer, key) in gone {
            self.remove(&peer, &key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peers(count: usize) -> Vec<PeerId> {
        (0..count).map(|_| PeerId::random()).collect()
    }

    /// A stranger's entry of a thing that the ledger does not know.
    fn nothing<K>(_: &PeerId, _: &K) -> Standing {
        Standing::default()
    }

    #[test]
    fn whoever_fills_the_table_displaces_itself_and_not_those_with_less() {
        let all = peers(3);
        let mut holdings = Holdings::new(100);
        for number in 0..98 {
            assert_eq!(holdings.insert(all[0], &number, nothing), Kept::Added);
        }
        assert_eq!(holdings.insert(all[1], &0, nothing), Kept::Added);
        assert_eq!(holdings.insert(all[1], &1, nothing), Kept::Added);
        assert_eq!(holdings.insert(all[0], &99, nothing), Kept::Refused, "it has the most");
        for number in 0..48 {
            assert_eq!(holdings.insert(all[2], &number, nothing), Kept::Instead(all[0], number), "its oldest");
        }
        assert_eq!(holdings.insert(all[1], &1, nothing), Kept::Known);
        assert_eq!(holdings.len(), 100);
    }

    #[test]
    fn whoever_is_needed_displaces_strangers_however_little_they_have() {
        let all = peers(101);
        let needed = all[0];
        let judge = |peer: &PeerId, _: &i32| {
            let rank = if *peer == needed { Rank::Needed } else { Rank::Stranger };
            Standing { rank, ..Standing::default() }
        };
        let mut holdings = Holdings::new(100);
        for stranger in &all[1..] {
            assert_eq!(holdings.insert(*stranger, &0, judge), Kept::Added);
        }
        for number in 0..100 {
            assert!(matches!(holdings.insert(needed, &number, judge), Kept::Instead(..)));
        }
        assert_eq!(holdings.insert(needed, &100, judge), Kept::Refused);
        assert_eq!(holdings.insert(all[1], &0, judge), Kept::Refused);
    }

    #[test]
    fn ids_without_number_push_out_nothing_that_the_ledger_knows() {
        // What is below zero stands on the ledger.
        let judge = |_: &PeerId, key: &i64| Standing { is_on_ledger: *key < 0, ..Standing::default() };
        let mut holdings = Holdings::new(1_000);
        let (early, late) = (PeerId::random(), PeerId::random());
        for number in 1..=300 {
            assert_eq!(holdings.insert(early, &-number, judge), Kept::Added);
        }
        // Each of them has far less than an honest provider.
        for number in 0..5_000 {
            assert_ne!(holdings.insert(PeerId::random(), &number, judge), Kept::Known);
        }
        for number in 1..=300 {
            assert!(matches!(holdings.insert(late, &-number, judge), Kept::Instead(_, 0..)), "{number}");
        }
        for number in 0..5_000 {
            assert_ne!(holdings.insert(PeerId::random(), &number, judge), Kept::Known);
        }
        for number in 1..=300 {
            for provider in [early, late] {
                assert_eq!(holdings.insert(provider, &-number, judge), Kept::Known, "{number}");
            }
        }
        assert_eq!(holdings.len(), 1_000);
    }

    proptest! {
        #[test]
        fn the_books_agree_after_anything(
            steps in prop::collection::vec((0usize..6, 0u8..40, any::<bool>()), 0..400),
        ) {
            let all = peers(6);
            let judge = |peer: &PeerId, key: &u8| Standing {
                is_on_ledger: *key < 10,
                rank: if *peer == all[0] { Rank::Needed } else if *peer == all[1] { Rank::Bound } else { Rank::Stranger },
            };
            let mut holdings = Holdings::new(50);
            let mut model = BTreeSet::new();
            for (peer, key, adds) in steps {
                let peer = all[peer];
                if adds {
                    match holdings.insert(peer, &key, judge) {
                        Kept::Known => prop_assert!(model.contains(&(peer, key))),
                        Kept::Added => prop_assert!(model.insert((peer, key)) && model.len() <= 50),
                        Kept::Instead(other, old) => {
                            let (lost, won) = (judge(&other, &old), judge(&peer, &key));
                            prop_assert!(lost <= won, "{lost:?} makes way for {won:?}");
                            let least = model.iter().map(|(one, key)| judge(one, key)).min();
                            prop_assert_eq!(least, Some(lost), "nothing is worth less than what makes way");
                            prop_assert!(model.remove(&(other, old)) && model.insert((peer, key)));
                        }
                        Kept::Refused => {
                            prop_assert!(!model.contains(&(peer, key)) && model.len() == 50);
                            let won = judge(&peer, &key);
                            prop_assert!(model.iter().all(|(one, key)| judge(one, key) >= won), "less is kept than {won:?}");
                        }
                    }
                } else {
                    holdings.remove(&peer, &key);
                    model.remove(&(peer, key));
                }
                prop_assert_eq!(holdings.len(), model.len());
                let sizes = holdings.shelves.values().flat_map(|shelf| &shelf.sizes);
                prop_assert_eq!(sizes.map(|(size, _)| size).sum::<usize>(), model.len());
            }
            holdings.retain(|peer, key| model.contains(&(*peer, *key)) && *key > 9);
            prop_assert_eq!(holdings.len(), model.iter().filter(|(_, key)| *key > 9).count());
        }
    }
}
