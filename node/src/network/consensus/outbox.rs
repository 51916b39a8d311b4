//! What waits to be sent to one peer: bounded in bytes. Consensus is about now, so when the room is over, the oldest
//! messages make way.

use allod_protocol::ground::limits;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Maximum bytes that wait for one peer: some proposals with their votes.
const ROOM_SIZE_BYTES: usize = 4 * limits::GOSSIP_SIZE_BYTES;
/// What a message counts in addition to its bytes.
const OVERHEAD_BYTES: usize = 64;
/// How many own messages are said again to a peer whose stream is new: those of some rounds.
const RECENT: usize = 32;
/// Maximum bytes of them.
const RECENT_SIZE_BYTES: usize = 2 * limits::GOSSIP_SIZE_BYTES;

/// A message that several outboxes share.
pub(super) type Shared = Arc<[u8]>;

/// Something to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parcel {
    /// Whom this peer hears.
    Hears(Shared),
    /// A message.
    Message(Shared),
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whom this peer hears, and whether the other side does not know it yet.
    hears: Option<(Shared, bool)>,
    messages: VecDeque<Shared>,
    size_bytes: usize,
}

impl Waiting {
    /// Adds a message. Returns how many made way.
    fn push(&mut self, message: Shared) -> usize {
        self.size_bytes = self.size_bytes.saturating_add(cost_of(&message));
        self.messages.push_back(message);
        let mut dropped = 0;
        while self.size_bytes > ROOM_SIZE_BYTES && self.pop().is_some() {
            dropped += 1;
        }
        dropped
    }

    fn pop(&mut self) -> Option<Shared> {
        let message = self.messages.pop_front()?;
        self.size_bytes = self.size_bytes.saturating_sub(cost_of(&message));
        Some(message)
    }
}

fn cost_of(message: &Shared) -> usize {
    message.len().saturating_add(OVERHEAD_BYTES)
}

/// What waits for one peer.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Outbox {
    /// Adds a message. Returns how many older ones made way for it.
    pub(super) fn push(&self, message: Shared) -> usize {
        let dropped = self.lock().push(message);
        self.changed.notify_one();
        dropped
    }

    /// Says whom this peer hears from now on, if that is news.
    pub(super) fn set_hears(&self, hears: &Shared) {
        let mut waiting = self.lock();
        if waiting.hears.as_ref().is_none_or(|(known, _)| known != hears) {
            waiting.hears = Some((hears.clone(), true));
            self.changed.notify_one();
        }
    }

    /// A new stream begins, and what was on the last one may be lost: whom this peer hears is said again, and what it
    /// said recently, before what waits.
    pub(super) fn begin(&self, recent: &Recent) {
        let mut waiting = self.lock();
        if let Some((_, due)) = &mut waiting.hears {
            *due = true;
        }
        let mut messages = recent.messages();
        messages.extend(waiting.messages.iter().filter(|one| !recent.contains(one)).cloned());
        *waiting = Waiting { hears: waiting.hears.take(), ..Waiting::default() };
        for message in messages {
            waiting.push(message);
        }
    }

    /// The next thing to be sent: first whom this peer hears, then messages, the oldest first. Cancel safe.
    pub(super) async fn next(&self) -> Parcel {
        loop {
            if let Some(parcel) = self.try_next() {
                return parcel;
            }
            self.changed.notified().await;
        }
    }

    /// The same, if there is anything.
    pub(super) fn try_next(&self) -> Option<Parcel> {
        let mut waiting = self.lock();
        if let Some((hears, due @ true)) = &mut waiting.hears {
            *due = false;
            return Some(Parcel::Hears(hears.clone()));
        }
        waiting.pop().map(Parcel::Message)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this peer itself said last, whoever was there to hear it.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Shared>>);

impl Recent {
    pub(super) fn push(&self, message: Shared) {
        let mut recent = self.lock();
        recent.push_back(message);
        while recent.len() > RECENT || recent.iter().map(cost_of).sum::<usize>() > RECENT_SIZE_BYTES {
            recent.pop_front();
        }
    }

    fn messages(&self) -> Vec<Shared> {
        self.lock().iter().cloned().collect()
    }

    fn contains(&self, message: &Shared) -> bool {
        self.lock().iter().any(|one| Arc::ptr_eq(one, message))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Shared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn message(first: u8, size_bytes: usize) -> Shared {
        [vec![first], vec![0; size_bytes - 1]].concat().into()
    }

    fn firsts(outbox: &Outbox) -> Vec<u8> {
        std::iter::from_fn(|| match outbox.try_next()? {
            Parcel::Message(message) => Some(message[0]),
            Parcel::Hears(_) => Some(255),
        })
        .collect()
    }

    #[test]
    fn the_oldest_messages_make_way_and_the_newest_always_stays() {
        let outbox = Outbox::default();
        let dropped: usize = (0..6).map(|number| outbox.push(message(number, limits::GOSSIP_SIZE_BYTES))).sum();
        assert_eq!(dropped, 3);
        assert_eq!(firsts(&outbox), [3, 4, 5]);
        assert_eq!(outbox.lock().size_bytes, 0);
        for _ in 0..2 * ROOM_SIZE_BYTES / OVERHEAD_BYTES {
            outbox.push(message(1, 1));
        }
        assert!(outbox.lock().messages.len() <= ROOM_SIZE_BYTES / OVERHEAD_BYTES, "small ones count too");
    }

    #[test]
    fn a_new_stream_begins_with_whom_we_hear_and_what_we_said_last() {
        let (outbox, recent) = (Outbox::default(), Recent::default());
        let own = message(1, 10);
        recent.push(own.clone());
        outbox.push(own);
        outbox.push(message(2, 10));
        assert_eq!(firsts(&outbox), [1, 2]);
        outbox.push(message(3, 10));
        outbox.set_hears(&message(9, 10));
        assert_eq!(firsts(&outbox), [255, 3]);
        outbox.set_hears(&message(9, 10));
        assert!(firsts(&outbox).is_empty(), "no news");
        outbox.push(message(3, 10));
        outbox.begin(&recent);
        assert_eq!(firsts(&outbox), [255, 1, 3], "what was sent and is not our own is not sent again");
        outbox.begin(&recent);
        assert_eq!(firsts(&outbox), [255, 1]);
        assert!(outbox.next().now_or_never().is_none());
        outbox.push(message(4, 10));
        assert!(matches!(outbox.next().now_or_never(), Some(Parcel::Message(one)) if one[0] == 4));
    }

    #[test]
    fn what_was_said_is_remembered_within_bounds() {
        let recent = Recent::default();
        for number in 0..100 {
            recent.push(message(number, 100));
        }
        assert_eq!(recent.messages().len(), RECENT);
        assert_eq!(recent.messages().last().unwrap()[0], 99);
        for number in 0..3 {
            recent.push(message(number, limits::GOSSIP_SIZE_BYTES - OVERHEAD_BYTES));
        }
        assert_eq!(recent.messages().iter().map(|one| one[0]).collect::<Vec<_>>(), [1, 2]);
    }
}
