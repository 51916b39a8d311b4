//! The replica's timers: one deadline per key.

use super::Moment;
use crate::agreement::replica::Timer;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The running timers. There are at most a few per round: the replica cancels what it no longer needs.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeMap<Timer, Moment>,
    order: BTreeSet<(Moment, Timer)>,
}

impl Timers {
    /// Starts a timer, replacing one with the same key.
    pub(super) fn schedule(&mut self, timer: Timer, now: Moment, after: Duration) {
        self.cancel(timer);
        let deadline = now.plus(after);
        self.deadlines.insert(timer, deadline);
        self.order.insert((deadline, timer));
    }

    /// Stops a timer, if it is running.
    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(deadline) = self.deadlines.remove(&timer) {
            self.order.remove(&(deadline, timer));
        }
    }

    /// Stops all timers.
    pub(super) fn cancel_all(&mut self) {
        self.deadlines.clear();
        self.order.clear();
    }

    /// How many run.
    pub(super) fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Removes and returns the first timer that is due.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        let (deadline, timer) = *self.order.first()?;
        if deadline > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    /// When the first timer is due.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.order.first().map(|(deadline, _)| *deadline)
    }
}
