//! The replica's timers on the machine's clock: one deadline a key, the next one to wait for.

use allod_protocol::replica::Timer;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// Running timers. At most a few a round: the replica cancels what it no longer needs.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: BTreeMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Starts a timer, in place of one with the same key.
    pub(crate) fn schedule(&mut self, timer: Timer, after: Duration) {
        self.cancel(timer);
        let deadline = Instant::now() + after;
        self.deadlines.insert(timer, deadline);
        self.order.insert((deadline, timer));
    }

    /// Stops a timer, if it runs.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(deadline) = self.deadlines.remove(&timer) {
            self.order.remove(&(deadline, timer));
        }
    }

    /// Stops all.
    pub(crate) fn cancel_all(&mut self) {
        self.deadlines.clear();
        self.order.clear();
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (deadline, timer) = *self.order.first()?;
        if deadline > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    /// When the first one is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.order.first().map(|(deadline, _)| *deadline)
    }
}
