//! The replica's timers: one deadline a key, the next one to wait for.

use super::Moment;
use crate::agreement::replica::Timer;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Running timers. At most a few a round: the replica cancels what it no longer needs.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeMap<Timer, Moment>,
    order: BTreeSet<(Moment, Timer)>,
}

impl Timers {
    /// Starts a timer, in place of one with the same key.
    pub(super) fn schedule(&mut self, timer: Timer, now: Moment, after: Duration) {
        self.cancel(timer);
        let deadline = now.plus(after);
        self.deadlines.insert(timer, deadline);
        self.order.insert((deadline, timer));
    }

    /// Stops a timer, if it runs.
    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(deadline) = self.deadlines.remove(&timer) {
            self.order.remove(&(deadline, timer));
        }
    }

    /// Stops all.
    pub(super) fn cancel_all(&mut self) {
        self.deadlines.clear();
        self.order.clear();
    }

    /// Takes the first timer that is due.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        let (deadline, timer) = *self.order.first()?;
        if deadline > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    /// When the first one is due.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.order.first().map(|(deadline, _)| *deadline)
    }
}
