//! How much may wait for a block. A queue that holds more than the network decides soon only makes everybody wait
//! longer. Beyond what is decided within [`WAIT`], this peer refuses its clients' transactions; they come back when
//! there is room.
//!
//! The measure is what was decided recently, so it follows the machine and the network. What other peers gossip is
//! still accepted, within the mempool's own bounds: they have already asked their clients to wait.

use super::Moment;
use crate::ground::limits;
use std::time::Duration;

/// How long waiting transactions may take to be decided, at the current pace.
const WAIT: Duration = Duration::from_millis(500);
/// Number of transactions that may always wait, however little was decided recently: enough to find out how fast the
/// network is.
const ROOM_MIN: usize = 2_000;
/// How long the pace is measured before the newest measurement counts.
const WINDOW: Duration = Duration::from_millis(500);

/// The pace of the network as this peer sees it.
#[derive(Debug)]
pub(super) struct Pace {
    decided: usize,
    since: Moment,
    room: usize,
}

impl Pace {
    pub(super) const fn new(now: Moment) -> Self {
        Self { decided: 0, since: now, room: ROOM_MIN }
    }

    /// A block with this many transactions was decided.
    pub(super) fn on_block(&mut self, transactions: usize, now: Moment) {
        self.decided = self.decided.saturating_add(transactions);
        let elapsed = now.since(self.since);
        if elapsed < WINDOW {
            return;
        }
        let decided = u128::try_from(self.decided).unwrap_or(u128::MAX);
        let in_wait = decided.saturating_mul(WAIT.as_micros()).checked_div(elapsed.as_micros()).unwrap_or(0);
        // Averaged with the previous measurement, so that one slow block does not throttle everybody.
        self.room = usize::midpoint(self.room, usize::try_from(in_wait).unwrap_or(usize::MAX)).max(ROOM_MIN);
        (self.decided, self.since) = (0, now);
    }

    /// Number of waiting transactions above which this peer accepts none from its clients.
    pub(super) const fn room(&self) -> usize {
        self.room
    }

    /// Whether a client's transaction has room, given how many wait in total and how many of them are its sender's. A
    /// sender with few waiting must not suffer because another fills the room.
    pub(super) const fn has_room(&self, waiting: usize, of_sender: usize) -> bool {
        waiting < self.room
            || (waiting < self.room.saturating_mul(2) && of_sender < self.room.div_euclid(limits::MEMPOOL_SENDERS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The room after `blocks` blocks, one every 100 ms.
    fn room_after(pace: &mut Pace, now: &mut Moment, blocks: usize, transactions: usize) -> usize {
        for _ in 0..blocks {
            *now = now.plus(Duration::from_millis(100));
            pace.on_block(transactions, *now);
        }
        pace.room()
    }

    #[test]
    fn the_room_follows_what_the_network_decides() {
        let mut now = Moment::default();
        let mut pace = Pace::new(now);
        let room = room_after(&mut pace, &mut now, 100, 800);
        assert!((3_900..=4_000).contains(&room), "{room}");
        let room = room_after(&mut pace, &mut now, 100, 500);
        assert!((2_500..=2_600).contains(&room), "{room}");
    }

    #[test]
    fn who_fills_the_room_leaves_some_to_the_others() {
        let pace = Pace::new(Moment::default());
        let share = ROOM_MIN / limits::MEMPOOL_SENDERS;
        assert!(pace.has_room(ROOM_MIN - 1, ROOM_MIN - 1));
        assert!(!pace.has_room(ROOM_MIN, share));
        assert!(pace.has_room(ROOM_MIN, share - 1));
        assert!(!pace.has_room(2 * ROOM_MIN, 0));
    }

    #[test]
    fn a_network_at_rest_has_room_to_begin() {
        let mut now = Moment::default();
        let mut pace = Pace::new(now);
        assert_eq!(room_after(&mut pace, &mut now, 100, 1), ROOM_MIN);
    }
}
