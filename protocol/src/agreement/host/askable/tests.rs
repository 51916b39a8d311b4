//! A newcomer and its peers, in virtual time: how each of them answers, and what the newcomer makes of it.

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::*;
use proptest::prelude::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// How a peer answers a request.
#[derive(Clone, Copy)]
enum Manner {
    /// Never: the network gives up at last.
    Silent,
    /// After so many milliseconds, that it has nothing.
    Empty(u64),
    /// After so many milliseconds, at most so many blocks.
    Serves(u64, usize),
    /// The first request at once, and none after it.
    OnceThenSilent,
}

/// What one asker sees.
struct World {
    now: Moment,
    askable: Askable<usize>,
    manners: Vec<Manner>,
    /// When, of whom, and how many blocks were asked.
    asked: Vec<(Moment, usize, usize)>,
    under_way: Vec<(Moment, usize, Brought)>,
    height: usize,
    /// How many blocks there are.
    tip: usize,
}

impl World {
    fn new(manners: Vec<Manner>, tip: usize) -> Self {
        let now = Moment::default();
        let mut world =
            Self { now, askable: Askable::new(now), manners, asked: Vec::new(), under_way: Vec::new(), height: 0, tip };
        for peer in 0..world.manners.len() {
            world.askable.add(peer, now);
        }
        world
    }

    fn ask(&mut self) {
        let Some((peer, blocks)) = self.askable.choose(self.now) else { return };
        let before = self.asked_of(peer);
        self.asked.push((self.now, peer, blocks));
        let (after, brought) = match self.manners[peer] {
            Manner::OnceThenSilent if before == 0 => (1, Brought::Blocks(blocks)),
            Manner::Silent | Manner::OnceThenSilent => (20_000, Brought::NoAnswer),
            Manner::Empty(after) => (after, Brought::Nothing),
            Manner::Serves(after, most) => (after, Brought::Blocks(blocks.min(most).min(self.tip - self.height))),
        };
        self.under_way.push((self.now.plus(ms(after)), peer, brought));
    }

    /// One millisecond passes.
    fn step(&mut self) {
        self.now = self.now.plus(ms(1));
        let now = self.now;
        let arrived: Vec<_> = self.under_way.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, peer, brought) in arrived {
            let brought = if brought == Brought::Blocks(0) { Brought::Nothing } else { brought };
            self.askable.on_answer(peer, brought, now);
            if let Brought::Blocks(count) = brought {
                self.height = self.tip.min(self.height + count);
                self.ask();
            }
        }
        if self.askable.due().is_some_and(|due| due <= now) && self.askable.on_due(now) {
            self.ask();
        }
        assert!(self.askable.due().is_none_or(|due| due > now || self.askable.ask_at <= now), "it would spin");
    }

    /// A reason every so often, until the tip is reached or the time is over. Gives how long that took.
    fn catch_up(&mut self, reason: Duration, most: Duration) -> Duration {
        let begun = self.now;
        let mut next = self.now;
        while self.height < self.tip && self.now.since(begun) < most {
            if next <= self.now {
                next = self.now.plus(reason);
                self.ask();
            }
            self.step();
        }
        self.now.since(begun)
    }

    fn asked_of(&self, peer: usize) -> usize {
        self.asked.iter().filter(|(_, asked, _)| *asked == peer).count()
    }
}

const TICK: Duration = Duration::from_millis(500);
const MINUTE: Duration = Duration::from_secs(60);
const HONEST: Manner = Manner::Serves(30, limits::SYNC_BLOCKS);

/// So many of one kind, and one honest peer that came last.
fn crowd(manner: Manner, count: usize) -> Vec<Manner> {
    let mut manners = vec![manner; count];
    manners.push(HONEST);
    manners
}

#[test]
fn whoever_gives_a_reason_to_ask_cannot_make_it_often() {
    // A reason a millisecond, and every answer at once: with blocks, the interval is the limit.
    let mut world = World::new(vec![Manner::Serves(0, 1)], usize::MAX);
    world.catch_up(ms(1), Duration::from_secs(10));
    let asked = world.asked.len();
    assert!((370..=401).contains(&asked), "{asked} requests in 10 s");
    // Without blocks, the rest grows.
    world.manners = vec![Manner::Empty(0)];
    world.catch_up(ms(1), MINUTE);
    let asked = world.asked.len() - asked;
    assert!((15..=20).contains(&asked), "{asked} requests in 60 s");
    // A new peer, or a good reason, ends the waiting.
    let now = world.now;
    world.askable.add(1, now);
    assert_eq!(world.askable.choose(now.plus(INTERVAL)), Some((1, PROBE_BLOCKS)));
    world.askable.on_answer(1, Brought::Nothing, now.plus(INTERVAL));
    world.askable.on_answer(0, Brought::Nothing, now.plus(INTERVAL));
    assert_eq!(world.askable.choose(now.plus(INTERVAL * 2)), None);
    world.askable.hurry(now.plus(INTERVAL));
    assert!(world.askable.choose(now.plus(INTERVAL * 2)).is_some());
}

#[test]
fn a_crowd_that_never_answers_costs_seconds_and_not_the_chain() {
    let mut world = World::new(crowd(Manner::Silent, 40), 2_571);
    let took = world.catch_up(TICK, MINUTE);
    assert_eq!(world.height, 2_571);
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(
        (0..40).all(|silent| world.asked_of(silent) == 1),
        "whoever is silent is not asked while another one serves"
    );
    assert!(world.asked_of(40) <= 2_571usize.div_ceil(limits::SYNC_BLOCKS) + 2, "its blocks come in whole answers");
}

#[test]
fn a_crowd_that_has_nothing_costs_no_more() {
    let mut world = World::new(crowd(Manner::Empty(5), 40), 2_571);
    let took = world.catch_up(TICK, MINUTE);
    assert!(world.height == 2_571 && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_crowd_that_serves_once_and_then_nothing_holds_nobody_up_for_long() {
    let mut world = World::new(crowd(Manner::OnceThenSilent, 40), 2_571);
    let took = world.catch_up(TICK, MINUTE);
    assert!(world.height == 2_571 && took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_crowd_that_serves_a_block_at_a_time_is_left_for_who_serves_more() {
    let mut world = World::new(crowd(Manner::Serves(1, 1), 40), 2_571);
    let took = world.catch_up(TICK, MINUTE);
    assert!(world.height == 2_571 && took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn silence_is_remembered_for_longer_each_time() {
    let mut world = World::new(vec![Manner::Silent; 20], 1);
    // Somebody who has nothing, but answers.
    world.askable.add(20, world.now);
    world.manners.push(Manner::Empty(5));
    world.catch_up(TICK, MINUTE * 5);
    let of_one: Vec<Moment> = world.asked.iter().filter(|(_, peer, _)| *peer == 3).map(|(at, ..)| *at).collect();
    let gaps: Vec<Duration> = of_one.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(gaps.len() >= 4 && gaps.windows(2).all(|pair| pair[0] <= pair[1] + PROMPT), "{gaps:?}");
    assert!(gaps[0] < FIRST_SILENCE * 5 && gaps[gaps.len() - 1] >= LONGEST_SILENCE, "{gaps:?}");
}

#[test]
fn those_who_are_left_are_asked_again_however_long_they_were_silent() {
    let mut world = World::new(vec![Manner::Silent; 3], 1_000);
    world.catch_up(TICK, MINUTE * 10);
    world.manners = vec![HONEST; 3];
    let took = world.catch_up(TICK, MINUTE);
    assert!(world.height == 1_000 && took < LONGEST_WAIT * 2, "{took:?}");
}

#[test]
fn a_slow_peer_is_helped_out_by_others_and_not_given_up() {
    // Three seconds for an answer, and three more peers just like it.
    let mut world = World::new(vec![Manner::Serves(3_000, limits::SYNC_BLOCKS); 4], 2_000);
    let took = world.catch_up(TICK, MINUTE * 2);
    assert!(world.height == 2_000 && took < MINUTE, "{took:?}");
    let whole = world.asked.iter().filter(|(.., blocks)| *blocks == limits::SYNC_BLOCKS).count();
    let pieces: usize = world.asked.iter().map(|(.., blocks)| *blocks).sum();
    assert!(whole >= 10 && pieces < 2_000 * 2, "{whole} whole answers, {pieces} blocks");
}

#[test]
fn one_lost_answer_keeps_nobody_waiting_for_good() {
    let (now, mut askable) = (Moment::default(), Askable::new(Moment::default()));
    askable.add(1, now);
    assert!(askable.choose(now).is_some());
    assert_eq!(askable.choose(now.plus(PROMPT)), None, "it is silent, and alone");
    assert_eq!(askable.due(), Some(now.plus(LONGEST_WAIT)));
    assert!(askable.choose(now.plus(LONGEST_WAIT)).is_some());
}

#[test]
fn what_was_too_early_is_asked_when_it_is_due() {
    let (now, mut askable) = (Moment::default(), Askable::new(Moment::default()));
    askable.add(1, now);
    assert_eq!(askable.due(), Some(now), "who was never asked is a reason");
    assert_eq!(askable.choose(now), Some((1, PROBE_BLOCKS)));
    assert!(askable.choose(now).is_none() && askable.is_wanted());
    askable.on_answer(1, Brought::Blocks(8), now);
    assert_eq!(askable.due(), Some(now.plus(INTERVAL)));
    assert_eq!(askable.choose(now.plus(INTERVAL)), Some((1, limits::SYNC_BLOCKS)));
    assert!(!askable.is_wanted());
    assert_eq!(askable.due(), Some(now.plus(INTERVAL).plus(PROMPT)), "then it is slow");
}

proptest! {
    #[test]
    fn the_bounds_hold_whoever_answers_how(
        steps in prop::collection::vec((0u64..3_000, 0usize..60, 0u8..8), 0..400),
    ) {
        let (mut now, mut askable) = (Moment::default(), Askable::new(Moment::default()));
        let mut last = None;
        for (later, peer, what) in steps {
            now = now.plus(ms(later));
            match what {
                0 => askable.add(peer, now),
                1 => askable.forget(peer, now),
                2 => askable.on_answer(peer, Brought::Nothing, now),
                3 => askable.on_answer(peer, Brought::Blocks(peer), now),
                4 => askable.on_answer(peer, Brought::NoAnswer, now),
                5 => askable.hurry(now),
                _ => {}
            }
            let reason = askable.on_due(now);
            if (reason || what == 6)
                && let Some((asked, blocks)) = askable.choose(now)
            {
                prop_assert!(last.is_none_or(|last| now.since(last) >= INTERVAL));
                prop_assert!(blocks == PROBE_BLOCKS || blocks == limits::SYNC_BLOCKS);
                prop_assert!(askable.peers.iter().any(|peer| peer.id == asked));
                last = Some(now);
            }
            let probes = askable.peers.iter().filter(|peer| peer.probed && peer.is_waited_for()).count();
            let whole = askable.peers.iter().filter(|peer| !peer.probed && peer.is_waited_for()).count();
            let unanswered = askable.peers.iter().filter(|peer| peer.pending.is_some()).count();
            prop_assert!(probes <= PROBES && whole <= 1 && unanswered <= UNANSWERED + 1);
            prop_assert!(askable.peers.len() <= 60);
            // What is due lies ahead, or somebody can be asked for it now.
            prop_assert!(askable.due().is_none_or(|due| due > now) || askable.on_due(now) && askable.best(now).is_some());
        }
    }
}
