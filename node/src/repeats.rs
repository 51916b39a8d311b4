//! Errors that repeat: the first is told at once, the others are counted, and the count is told now and then.
//!
//! A cause that lasts (no file can be opened, a block that others refuse) repeats its error as fast as a loop turns. A line
//! for each hides everything else in the log and fills the disk.

use std::time::{Duration, Instant};

/// How often the count is told.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// One kind of error.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    told_at: Option<Instant>,
    untold: u64,
}

impl Repeats {
    /// It happened. Returns how many more of it there were since it was last told, if it is to be told now.
    pub(crate) fn on(&mut self, now: Instant) -> Option<u64> {
        if self.told_at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// Returns how many of it have not been told, if that is to be told now: it may not happen again.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<u64> {
        let due = self.untold > 0 && self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL);
        due.then(|| {
            self.told_at = Some(now);
            std::mem::take(&mut self.untold)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_the_others_are_counted() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(repeats.on(at(0)), Some(0));
        for second in 1..60 {
            assert_eq!((repeats.on(at(second)), repeats.rest(at(second))), (None, None));
        }
        assert_eq!(repeats.on(at(60)), Some(59));
        assert_eq!(repeats.on(at(61)), None);
        assert_eq!(repeats.rest(at(119)), None);
        assert_eq!(repeats.rest(at(120)), Some(1), "what did not come again is told all the same");
        assert_eq!(repeats.rest(at(900)), None);
        assert_eq!(repeats.on(at(901)), Some(0), "and what comes again after a while is told at once");
    }
}
