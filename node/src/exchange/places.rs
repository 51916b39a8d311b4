//! Who is served now, and who gives way.
//!
//! An *open* stream on which nothing is asked costs little: many may stay open. One that comes when there are too many
//! takes the place of the stream that has been idle for the longest, first among those of its own peer.
//!
//! An *answer* costs memory and bandwidth. It takes a place when its request has been read and gives it back when it
//! has been taken, so that a stream on which nothing is asked keeps nobody from being answered. Requests wait for a
//! place, first those of peers with the fewest answers in progress. While somebody waits, an answer whose reader has
//! kept it waiting for too long ends: whoever reads slowly asks for pieces that are small enough.
//!
//! Peer ids are free, so no rule about peers alone keeps strangers from taking all places. A quarter of them is
//! therefore for *known* peers, those that an account of the ledger has bound to itself.
//!
//! This file counts and decides; it never reads or writes a stream.

use libp2p::PeerId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

/// Open streams for every answer at a time.
const OPEN_PER_ANSWER: usize = 4;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Maximum number of answers at a time.
    pub(super) answers: usize,
    /// Maximum number of answers of one peer at a time.
    pub(super) answers_per_peer: usize,
    /// How long a request waits for a place.
    pub(super) turn: Duration,
    /// How long a reader may keep an answer waiting, in all, while others wait for its place.
    pub(super) reader: Duration,
}

impl Bounds {
    const fn open(self) -> usize {
        self.answers.saturating_mul(OPEN_PER_ANSWER)
    }

    const fn open_per_peer(self) -> usize {
        self.answers_per_peer.saturating_mul(OPEN_PER_ANSWER)
    }

    /// Answers at a time of peers that nobody knows: at least one.
    const fn answers_of_strangers(self) -> usize {
        let own = self.answers / 4;
        self.answers.saturating_sub(own)
    }
}

/// All streams that are open.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    streams: BTreeMap<u64, Stream>,
    /// Buffers that no answer uses now.
    buffers: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Stream {
    peer: PeerId,
    known: bool,
    /// Told when the stream has to give way.
    leave: Arc<Notify>,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    /// Nothing is asked.
    Idle { since: Instant },
    /// A request waits for a place. Requests are numbered in the order in which they came.
    Waiting { turn: u64, called: oneshot::Sender<()> },
    /// An answer is in progress.
    Answering {
        /// How long its reader has kept it waiting so far.
        kept: Duration,
        /// Since when it is kept waiting now.
        since: Option<Instant>,
    },
}

/// How many answers are in progress.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    strangers: usize,
    peers: BTreeMap<PeerId, usize>,
}

impl Taken {
    fn add(&mut self, stream: &Stream) {
        self.all = self.all.saturating_add(1);
        self.strangers = self.strangers.saturating_add(usize::from(!stream.known));
        let own = self.peers.entry(stream.peer).or_default();
        *own = own.saturating_add(1);
    }

    fn of_peer(&self, peer: &PeerId) -> usize {
        self.peers.get(peer).copied().unwrap_or(0)
    }

    /// Whether one more answer may begin on a stream.
    fn leaves_room(&self, bounds: Bounds, stream: &Stream) -> bool {
        self.all < bounds.answers
            && self.of_peer(&stream.peer) < bounds.answers_per_peer
            && (stream.known || self.strangers < bounds.answers_of_strangers())
    }
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, table: Mutex::default() })
    }

    /// Takes a stream in, in the place of an idle one if too many are open. `None` if none of those is idle.
    pub(super) fn open(self: &Arc<Self>, peer: PeerId, known: bool) -> Option<Open> {
        let mut table = self.lock();
        let own = table.streams.values().filter(|stream| stream.peer == peer).count();
        if own >= self.bounds.open_per_peer() {
            table.unseat_idlest(|stream| stream.peer == peer)?;
        } else if table.streams.len() >= self.bounds.open() {
            table.unseat_idlest(|stream| known || !stream.known)?;
        }
        let (id, leave) = (table.take_number(), Arc::<Notify>::default());
        let doing = Doing::Idle { since: Instant::now() };
        table.streams.insert(id, Stream { peer, known, leave: leave.clone(), doing });
        Some(Open { places: self.clone(), id, leave })
    }

    /// Maximum number of open streams.
    pub(super) const fn open_at_most(&self) -> usize {
        self.bounds.open()
    }

    /// The number of answers in progress.
    #[cfg(test)]
    pub(super) fn answering(&self) -> usize {
        self.lock().streams.values().filter(|stream| matches!(stream.doing, Doing::Answering { .. })).count()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn take_number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    fn waits(&self, id: u64) -> bool {
        self.streams.get(&id).is_some_and(|stream| matches!(stream.doing, Doing::Waiting { .. }))
    }

    /// Ends the stream that has been idle for the longest.
    fn unseat_idlest(&mut self, may: impl Fn(&Stream) -> bool) -> Option<()> {
        let idle =
            self.streams.iter().filter(|(_, stream)| may(stream)).filter_map(|(id, stream)| match stream.doing {
                Doing::Idle { since } => Some((since, *id)),
                Doing::Waiting { .. } | Doing::Answering { .. } => None,
            });
        let (_, id) = idle.min()?;
        self.streams.remove(&id)?.leave.notify_one();
        Some(())
    }

    /// Calls those who wait, as far as there is room, first those of peers with the fewest answers in progress.
    fn call(&mut self, bounds: Bounds) {
        let mut taken = Taken::default();
        for stream in self.streams.values().filter(|stream| matches!(stream.doing, Doing::Answering { .. })) {
            taken.add(stream);
        }
        loop {
            let waiting = self.streams.iter().filter_map(|(id, stream)| match stream.doing {
                Doing::Waiting { turn, .. } if taken.leaves_room(bounds, stream) => {
                    Some((taken.of_peer(&stream.peer), turn, *id))
                }
                Doing::Waiting { .. } | Doing::Idle { .. } | Doing::Answering { .. } => None,
            });
            let Some((.., id)) = waiting.min() else { return };
            let Some(stream) = self.streams.get_mut(&id) else { return };
            let answering = Doing::Answering { kept: Duration::ZERO, since: None };
            if let Doing::Waiting { called, .. } = std::mem::replace(&mut stream.doing, answering)
                && called.send(()).is_err()
            {
                stream.doing = Doing::Idle { since: Instant::now() };
            } else {
                taken.add(stream);
            }
        }
    }

    /// Ends the answer whose reader has kept it for the longest, if that is too long while others wait.
    fn unseat_slowest(&mut self, bounds: Bounds, now: Instant) {
        let kept = |stream: &Stream| match stream.doing {
            Doing::Answering { kept, since } => {
                Some(kept.saturating_add(since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))))
            }
            Doing::Idle { .. } | Doing::Waiting { .. } => None,
        };
        let slowest = self.streams.iter().filter_map(|(id, stream)| Some((kept(stream)?, *id))).max();
        if let Some((kept, id)) = slowest
            && kept > bounds.reader
            && let Some(stream) = self.streams.remove(&id)
        {
            stream.leave.notify_one();
        }
    }
}

/// A stream that is open. Its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    places: Arc<Places>,
    id: u64,
    leave: Arc<Notify>,
}

impl Open {
    /// Completes when the stream has to give way.
    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Waits for a place for an answer. `None` if there is none for [`Bounds::turn`].
    pub(super) async fn begin(&self) -> Option<Answer<'_>> {
        let Some(mut turn) = self.queue() else { return Some(self.answer()) };
        let bounds = self.places.bounds;
        let until = Instant::now() + bounds.turn;
        loop {
            let look_again = Instant::now() + bounds.reader.max(bounds.turn) / 5;
            tokio::select! {
                biased;
                called = &mut turn => return called.is_ok().then(|| self.answer()),
                () = tokio::time::sleep_until(until) => {
                    // It may have been called in this very moment.
                    let called = turn.try_recv().is_ok();
                    if !called {
                        self.set(Doing::Idle { since: Instant::now() });
                    }
                    return called.then(|| self.answer());
                }
                () = tokio::time::sleep_until(look_again) => {
                    let mut table = self.places.lock();
                    table.unseat_slowest(bounds, Instant::now());
                    table.call(bounds);
                }
            }
        }
    }

    /// Takes a place at once, or a turn.
    fn queue(&self) -> Option<oneshot::Receiver<()>> {
        let (called, turn) = oneshot::channel();
        let mut table = self.places.lock();
        let number = table.take_number();
        if let Some(stream) = table.streams.get_mut(&self.id) {
            stream.doing = Doing::Waiting { turn: number, called };
        }
        table.call(self.places.bounds);
        if table.waits(self.id) {
            table.unseat_slowest(self.places.bounds, Instant::now());
            table.call(self.places.bounds);
        }
        // A stream that was told to leave neither waits nor answers.
        let gone = !table.streams.contains_key(&self.id);
        (gone || table.waits(self.id)).then_some(turn)
    }

    fn answer(&self) -> Answer<'_> {
        Answer { bytes: self.places.lock().buffers.pop().unwrap_or_default(), open: self }
    }

    fn set(&self, doing: Doing) {
        if let Some(stream) = self.places.lock().streams.get_mut(&self.id) {
            stream.doing = doing;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut table = self.places.lock();
        table.streams.remove(&self.id);
        table.call(self.places.bounds);
    }
}

/// An answer in progress. Its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    open: &'a Open,
    /// The bytes of the answer.
    pub(super) bytes: Vec<u8>,
}

impl Answer<'_> {
    /// From now on the answer waits for its reader, or no longer.
    pub(super) fn waits_for_reader(&self, waits: bool) {
        let mut table = self.open.places.lock();
        if let Some(Stream { doing: Doing::Answering { kept, since }, .. }) = table.streams.get_mut(&self.open.id) {
            let now = Instant::now();
            let until_now = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            *kept = kept.saturating_add(until_now);
            *since = waits.then_some(now);
        }
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.open.set(Doing::Idle { since: Instant::now() });
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut table = self.open.places.lock();
        // As many as there can be answers, so memory stays bounded.
        if table.buffers.len() < self.open.places.bounds.answers {
            table.buffers.push(bytes);
        }
        table.call(self.open.places.bounds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const BOUNDS: Bounds =
        Bounds { answers: 4, answers_per_peer: 2, turn: Duration::from_secs(60), reader: Duration::from_secs(60) };

    /// Only one answer at a time, and no patience with its reader.
    const NARROW: Bounds = Bounds { answers: 1, answers_per_peer: 1, reader: Duration::ZERO, ..BOUNDS };

    impl Open {
        fn left(&self) -> bool {
            self.told_to_leave().now_or_never().is_some()
        }

        /// A place, if one is free at once.
        fn at_once(&self) -> Option<Answer<'_>> {
            self.begin().now_or_never().flatten()
        }
    }

    fn open(places: &Arc<Places>, known: bool) -> Open {
        places.open(PeerId::random(), known).unwrap()
    }

    #[tokio::test]
    async fn idle_streams_keep_nobody_from_being_answered() {
        let places = Places::new(BOUNDS);
        let idle: Vec<Open> = (0..BOUNDS.open()).map(|_| open(&places, false)).collect();
        let newcomer = open(&places, false);
        assert!(newcomer.at_once().is_some());
        assert!(idle[0].left(), "the one idle for the longest");
        assert!(!idle[1].left());
    }

    #[test]
    fn strangers_do_not_displace_whoever_is_known() {
        let places = Places::new(BOUNDS);
        let idle: Vec<Open> = (0..BOUNDS.open()).map(|_| open(&places, true)).collect();
        assert!(places.open(PeerId::random(), false).is_none());
        assert!(places.open(PeerId::random(), true).is_some());
        assert!(idle[0].left() && !idle[1].left());
    }

    #[test]
    fn a_peer_with_too_many_streams_displaces_its_own() {
        let places = Places::new(BOUNDS);
        let other = open(&places, false);
        let peer = PeerId::random();
        let own: Vec<Open> = (0..BOUNDS.open_per_peer()).map(|_| places.open(peer, false).unwrap()).collect();
        let _more = places.open(peer, false).unwrap();
        assert!(own[0].left() && !own[1].left() && !other.left());
    }

    #[tokio::test]
    async fn whoever_is_known_finds_a_place_among_strangers() {
        let places = Places::new(BOUNDS);
        let strangers: Vec<Open> = (0..8).map(|_| open(&places, false)).collect();
        let answers: Vec<Answer<'_>> = strangers.iter().filter_map(Open::at_once).collect();
        assert_eq!(answers.len(), 3, "a quarter is not for strangers");
        assert!(open(&places, true).at_once().is_some());
    }

    #[tokio::test]
    async fn turns_go_first_to_those_who_have_least() {
        let places = Places::new(Bounds { answers: 2, ..BOUNDS });
        let greedy = PeerId::random();
        let streams: Vec<Open> = (0..3).map(|_| places.open(greedy, true).unwrap()).collect();
        let modest = open(&places, true);
        let (first, second) = (streams[0].at_once().unwrap(), streams[1].at_once().unwrap());
        let (mut third, mut modest) = (Box::pin(streams[2].begin()), Box::pin(modest.begin()));
        assert!(futures::poll!(&mut third).is_pending() && futures::poll!(&mut modest).is_pending());
        drop(first);
        assert!(futures::poll!(&mut third).is_pending(), "it came first, but its peer has an answer");
        let got = modest.now_or_never().unwrap();
        assert!(got.is_some());
        drop((second, got));
        assert!(third.now_or_never().unwrap().is_some());
    }

    #[tokio::test]
    async fn whoever_does_not_read_gives_way_to_whoever_waits_and_to_nobody_else() {
        let places = Places::new(NARROW);
        let (slow, other) = (open(&places, true), open(&places, true));
        let answer = slow.at_once().unwrap();
        answer.waits_for_reader(true);
        std::thread::sleep(Duration::from_millis(1));
        assert!(!slow.left(), "nobody waits");
        assert!(other.at_once().is_some());
        assert!(slow.left());
        drop(answer);
        assert_eq!(places.answering(), 0);
    }

    #[tokio::test]
    async fn time_that_the_server_takes_is_not_held_against_the_reader() {
        let places = Places::new(Bounds { turn: Duration::from_millis(10), ..NARROW });
        let (one, other) = (open(&places, true), open(&places, true));
        let answer = one.begin().await.unwrap();
        assert!(other.begin().await.is_none(), "its turn did not come in time");
        assert!(!one.left());
        drop(answer);
        assert!(other.at_once().is_some());
    }

    #[tokio::test]
    async fn whoever_goes_while_it_waits_takes_no_place() {
        let places = Places::new(Bounds { reader: BOUNDS.reader, ..NARROW });
        let (one, other) = (open(&places, true), open(&places, true));
        let answer = one.at_once().unwrap();
        assert!(other.at_once().is_none());
        drop(answer);
        assert_eq!(places.answering(), 0);
        assert!(one.at_once().is_some());
    }
}
