//! The places of those who follow live events. If all are taken, whoever has not read what it was told for a while gives
//! its place to the next one: a client that reads is asked for no more than what it gets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The places. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Subscribers {
    table: Arc<Mutex<Table>>,
    count_max: usize,
    patience: Duration,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// Since when each has been told something that it has not taken; none while it waits for more.
    places: BTreeMap<u64, Option<Instant>>,
}

impl Subscribers {
    /// So many places, of which each is given up after so long without reading if another one wants it.
    pub(super) fn new(count_max: usize, patience: Duration) -> Self {
        Self { table: Arc::default(), count_max, patience }
    }

    /// Number of places that are taken.
    pub(super) fn count(&self) -> usize {
        self.lock().places.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, if there is one.
    pub(super) fn enter(&self) -> Option<Subscriber> {
        self.enter_at(Instant::now())
    }

    fn enter_at(&self, now: Instant) -> Option<Subscriber> {
        let mut table = self.lock();
        if table.places.len() >= self.count_max {
            let unread = table.places.iter().filter_map(|(number, since)| Some((*since.as_ref()?, *number)));
            let (since, number) = unread.min()?;
            if now.saturating_duration_since(since) < self.patience {
                return None;
            }
            table.places.remove(&number);
        }
        table.next = table.next.wrapping_add(1);
        let number = table.next;
        table.places.insert(number, None);
        Some(Subscriber { number, subscribers: self.clone() })
    }
}

/// The place of one of them. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Subscriber {
    number: u64,
    subscribers: Subscribers,
}

impl Subscriber {
    /// It is told something.
    pub(super) fn on_told(&self) {
        self.set(Some(Instant::now()));
    }

    /// It wants to be told more. Returns whether it has its place still.
    pub(super) fn on_taken(&self) -> bool {
        self.set(None)
    }

    fn set(&self, since: Option<Instant>) -> bool {
        let mut table = self.subscribers.lock();
        table.places.get_mut(&self.number).map(|place| *place = since).is_some()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.subscribers.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_keeps_its_place_and_who_does_not_gives_it_up() {
        let patience = Duration::from_secs(10);
        let places = Subscribers::new(2, patience);
        let enter = || places.enter().expect("a place");
        let (reader, sleeper) = (enter(), enter());
        reader.on_told();
        sleeper.on_told();
        assert!(reader.on_taken());
        let now = Instant::now();
        assert!(places.enter_at(now).is_none(), "it may be reading still");
        let newcomer = places.enter_at(now + patience * 2).expect("the place of who does not read");
        assert!(places.enter_at(now + patience * 2).is_none(), "nobody else sleeps");
        assert!(reader.on_taken() && newcomer.on_taken() && !sleeper.on_taken());
        drop((sleeper, newcomer));
        assert_eq!(places.count(), 1);
        assert!(places.enter().is_some());
    }
}
