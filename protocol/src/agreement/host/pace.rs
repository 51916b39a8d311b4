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

    /// Whether a client's transaction has room, given how many wait in total and of how many senders, and how many of
    /// them are its sender's. Above the room, whoever has less than an equal part of it still has some: nobody suffers
    /// because others fill it, and together they exceed it by as much again at most, or by one transaction each.
    pub(super) fn has_room(&self, waiting: usize, senders: usize, of_sender: usize) -> bool {
        waiting < self.room || of_sender.saturating_mul(senders.saturating_add(1)) < self.room
    }

    /// What counts of one sender when it is asked whether a peer is busy.
    pub(super) const fn part(&self) -> usize {
        self.room.div_euclid(limits::MEMPOOL_SENDERS)
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
        assert!(pace.has_room(ROOM_MIN - 1, 1, ROOM_MIN - 1));
        // One alone has all of it.
        assert!(!pace.has_room(ROOM_MIN, 1, ROOM_MIN));
        // However much others have brought in by other ways, there is a part for everybody.
        assert!(pace.has_room(20 * ROOM_MIN, 19, ROOM_MIN / 20 - 1));
        assert!(!pace.has_room(20 * ROOM_MIN, 19, ROOM_MIN / 20));
        assert!(pace.has_room(20 * ROOM_MIN, 10 * ROOM_MIN, 0));
    }

    #[test]
    fn what_clients_may_bring_in_is_bounded_and_everybody_has_a_part_of_it() {
        let pace = Pace::new(Moment::default());
        for senders in [1, 3, 16, 700, 3_000] {
            let mut of = vec![0usize; senders];
            let mut waiting = 0;
            // Each in turn, as long as anybody has room.
            while let Some(next) = (0..senders).find(|one| pace.has_room(waiting, senders, of[*one])) {
                of[next] += 1;
                waiting += 1;
            }
            assert!((ROOM_MIN..2 * ROOM_MIN + senders).contains(&waiting), "{waiting} of {senders}");
            assert!(of.iter().all(|one| *one >= (ROOM_MIN / (senders + 1)).max(1)), "of {senders}, some had less");
        }
    }

    #[test]
    fn a_network_at_rest_has_room_to_begin() {
        let mut now = Moment::default();
        let mut pace = Pace::new(now);
        assert_eq!(room_after(&mut pace, &mut now, 100, 1), ROOM_MIN);
    }
}
