//! Plans that put everything together which can go wrong, as the seed has it, within what the validators bear: fewer than
//! a third of them break the rules or lose their logs, and any of them crash.

use super::super::{Behaviour, Crashes, NetworkConditions, Partition, Plan};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, ops::Range};

/// Apart from what the run draws from the same seed.
const SALT: u64 = 0x9e37_79b9_7f4a_7c15;

struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed ^ SALT))
    }

    fn any<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.0.random_range(0..options.len())]
    }

    fn within(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.within(0..of) == 0
    }

    fn peer(&mut self, peers: usize) -> usize {
        self.0.random_range(0..peers)
    }

    fn partition(&mut self, isolated: Vec<usize>) -> Partition {
        let from = self.within(200..2_200);
        let during_ms = from..from + self.within(300..2_500);
        Partition {
            during_ms,
            isolated,
            one_way: self.one_in(2),
            flaps_ms: self.any(&[None, None, Some(90), Some(400)]),
        }
    }

    fn network(&mut self, isolated: &[usize]) -> NetworkConditions {
        let partitions = (0..self.any(&[0, 0, 1, 2])).map(|_| self.partition(isolated.to_vec())).collect();
        NetworkConditions {
            delay_us: 500..self.any(&[5_000, 20_000, 60_000]),
            loss: self.any(&[0.0, 0.03, 0.1]),
            duplication: self.any(&[0.0, 0.2]),
            corruption: self.any(&[0.0, 0.0, 0.02]),
            partitions,
        }
    }

    /// A plan with faults of the machines and the network.
    fn plan(&mut self, seed: u64, isolated: &[usize]) -> Plan {
        let (ask_every_ms, asks) = self.any(&[(12, 1), (5, 1), (200, 5)]);
        Plan {
            seed,
            heights: 40,
            network: self.network(isolated),
            clock_jumps_ms: self.any(&[0, 0, 3_000]),
            clock_drift_ppm: self.any(&[0, 0, 1_000, 20_000]),
            crashes: self.any(&[Crashes::None, Crashes::One(250), Crashes::One(900), Crashes::All(300)]),
            slow_disk: self.any(&[0.0, 0.05, 0.2]),
            full_disk: self.any(&[0.0, 0.0, 0.0, 0.002]),
            heals_at_ms: self.any(&[None, Some(2_500), Some(4_500)]),
            ask_every_ms,
            asks,
            ..Plan::default()
        }
    }
}

/// Four validators, of which one breaks the rules or loses its log, and perhaps one more peer.
pub(super) fn any(seed: u64) -> Plan {
    let mut dice = Dice::new(seed);
    let faulty = dice.peer(4);
    let behaviour = dice.any(&Behaviour::KINDS);
    let mut plan = dice.plan(seed, &[faulty]);
    plan.behaviours = BTreeMap::from([(faulty, behaviour)]);
    plan.loses_log = (behaviour == Behaviour::Honest).then_some(faulty);
    match dice.within(0..4) {
        // Another one comes, and one that is there goes.
        0 => {
            plan.observers = 1;
            let all = vec![(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)];
            let others = (0..5).filter(|peer| *peer != faulty).map(|peer| (peer, 1)).collect();
            let heavier = vec![(0, 2), (1, 2), (2, 2), (3, 1)];
            plan.changes = vec![(12, all), (24, if dice.one_in(2) { others } else { heavier })];
        }
        1 => plan.observers = 1,
        // In place of what it does else.
        2 if dice.one_in(3) => {
            plan.observers = 1;
            plan.behaviours = BTreeMap::from([(4, Behaviour::Double(faulty))]);
            plan.loses_log = None;
        }
        _ => {}
    }
    plan
}

/// Seven validators, of which two break the rules.
pub(super) fn two_of_seven(seed: u64) -> Plan {
    let mut dice = Dice::new(seed);
    let first = dice.peer(7);
    let second = (first + 1 + dice.peer(6)) % 7;
    let behaviours = BTreeMap::from([first, second].map(|peer| (peer, dice.any(&Behaviour::KINDS))));
    let crashes = dice.any(&[Crashes::None, Crashes::One(600)]);
    Plan { validators: 7, behaviours, crashes, heights: 25, ask_every_ms: 40, ..dice.plan(seed, &[first, second]) }
}
