//! The runs that tests make, by name, so that any of them can be made again: `cargo run --release --bin allod-sim`.

use super::{Behaviour, Crashes, Network, Partition, Plan, Report};
use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A plan for every seed.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// The seeds that tests run.
    pub seeds: Range<u64>,
    plan: fn(u64) -> Plan,
}

/// All of them.
pub const ALL: &[Named] = &[
    Named {
        name: "a-bad-network-with-crashes",
        seeds: 1_000..1_200,
        plan: |seed| Plan {
            seed,
            heights: 30,
            network: Network { delay_us: 1_000..40_000, loss: 0.05, duplication: 0.1, ..Network::default() },
            crashes: Crashes::One(300),
            slow_disk: 0.05,
            ..Plan::default()
        },
    },
    Named {
        name: "a-network-that-loses-a-fifth",
        seeds: 2_000..2_030,
        plan: |seed| Plan {
            seed,
            heights: 40,
            network: Network { loss: 0.2, duplication: 0.1, ..Network::default() },
            ..Plan::default()
        },
    },
    Named {
        name: "power-failures",
        seeds: 3_000..3_060,
        plan: |seed| Plan { seed, heights: 60, crashes: Crashes::All(150), slow_disk: 0.05, ..Plan::default() },
    },
    Named {
        name: "a-one-way-partition",
        seeds: 4_100..4_110,
        plan: |seed| {
            let partitions =
                vec![Partition { during_ms: 500..2_500, isolated: vec![seed as usize % 4], one_way: true }];
            Plan { seed, heights: 80, network: Network { partitions, ..Network::default() }, ..Plan::default() }
        },
    },
    Named {
        name: "corrupted-messages",
        seeds: 4_200..4_210,
        plan: |seed| Plan {
            seed,
            heights: 40,
            network: Network { corruption: 0.1, ..Network::default() },
            ..Plan::default()
        },
    },
    Named {
        name: "full-disks",
        seeds: 4_300..4_320,
        plan: |seed| Plan { seed, heights: 40, full_disk: 0.003, ..Plan::default() },
    },
    Named {
        name: "clocks-that-jump",
        seeds: 4_400..4_410,
        plan: |seed| Plan { seed, heights: 60, clock_jumps_ms: 5_000, crashes: Crashes::One(600), ..Plan::default() },
    },
    Named {
        name: "a-partition",
        seeds: 4_000..4_020,
        plan: |seed| {
            // First one is cut off and has to catch up, then the network is halved and nobody can decide.
            let partitions = vec![
                Partition { during_ms: 500..2_500, isolated: vec![3], one_way: false },
                Partition { during_ms: 4_000..6_000, isolated: vec![0, 1], one_way: false },
            ];
            Plan { seed, heights: 200, network: Network { partitions, ..Network::default() }, ..Plan::default() }
        },
    },
    Named {
        name: "a-dead-validator",
        seeds: 5_000..5_020,
        plan: |seed| Plan {
            seed,
            heights: 60,
            behaviours: one(1, Behaviour::Dead),
            network: Network { loss: 0.05, ..Network::default() },
            ..Plan::default()
        },
    },
    Named {
        name: "a-silent-validator",
        seeds: 5_100..5_110,
        plan: |seed| Plan { seed, heights: 40, behaviours: one(2, Behaviour::Silent), ..Plan::default() },
    },
    Named {
        name: "an-equivocator",
        seeds: 6_000..6_040,
        plan: |seed| Plan {
            seed,
            heights: 50,
            behaviours: one(0, Behaviour::Equivocator),
            network: Network { loss: 0.02, duplication: 0.05, ..Network::default() },
            crashes: Crashes::One(500),
            ..Plan::default()
        },
    },
    Named {
        name: "a-proposer-of-invalid-blocks",
        seeds: 7_000..7_010,
        plan: |seed| Plan { seed, heights: 40, behaviours: one(0, Behaviour::BadProposer), ..Plan::default() },
    },
    Named {
        name: "a-liar",
        seeds: 8_000..8_020,
        plan: |seed| Plan {
            seed,
            heights: 80,
            behaviours: one(0, Behaviour::Liar),
            network: Network {
                loss: 0.1,
                partitions: vec![Partition { during_ms: 300..1_500, isolated: vec![2], one_way: false }],
                ..Network::default()
            },
            ..Plan::default()
        },
    },
    Named {
        name: "changes-of-the-validator-set",
        seeds: 10_000..10_020,
        plan: |seed| Plan {
            seed,
            heights: 80,
            observers: 2,
            changes: vec![
                (20, vec![(0, 1), (1, 1), (2, 1), (3, 1), (4, 3)]),
                (40, vec![(1, 2), (2, 2), (3, 2), (4, 2)]),
                (60, vec![(1, 1), (2, 1), (4, 1), (5, 1)]),
            ],
            network: Network { loss: 0.02, ..Network::default() },
            crashes: Crashes::One(700),
            ..Plan::default()
        },
    },
    Named {
        name: "pauses-between-heights",
        seeds: 11_000..11_010,
        plan: |seed| Plan { seed, heights: 50, ask_every_ms: 70, slow_disk: 0.1, ..Plan::default() },
    },
    Named {
        name: "lost-logs",
        seeds: 12_000..12_060,
        plan: |seed| Plan { seed, heights: 40, crashes: Crashes::All(150), loses_log: Some(0), ..Plan::default() },
    },
    Named { name: "a-mix-of-faults", seeds: 20_000..20_040, plan: any_mix },
    Named { name: "any-mix-of-faults", seeds: 21_000..23_000, plan: any_mix },
    Named {
        name: "an-observer",
        seeds: 9_000..9_010,
        plan: |seed| Plan {
            seed,
            heights: 60,
            observers: 1,
            network: Network { loss: 0.03, ..Network::default() },
            crashes: Crashes::One(500),
            ..Plan::default()
        },
    },
    Named {
        name: "a-keyless-observer",
        seeds: 9_000..9_010,
        plan: |seed| Plan {
            seed,
            keyless_observers: true,
            heights: 60,
            observers: 1,
            network: Network { loss: 0.03, ..Network::default() },
            crashes: Crashes::One(500),
            ..Plan::default()
        },
    },
];

/// The plan of a name.
pub fn named(name: &str) -> Option<&'static Named> {
    ALL.iter().find(|plan| plan.name == name)
}

impl Named {
    /// The same plan for other seeds.
    #[must_use]
    pub fn with_seeds(&self, seeds: Range<u64>) -> Self {
        Self { seeds, ..self.clone() }
    }

    /// The plan of one seed.
    pub fn of(&self, seed: u64) -> Plan {
        (self.plan)(seed)
    }

    /// Runs every seed, on as many threads as this machine has cores. A run that panics is one that failed.
    pub fn run(&self) -> Vec<Report> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(2) as u64;
        let run = |thread: u64| {
            let mine = self.seeds.clone().filter(move |seed| seed % threads == thread);
            mine.map(|seed| self.run_one(seed)).collect::<Vec<Report>>()
        };
        std::thread::scope(|scope| {
            let run = &run;
            let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("runs are caught")).collect()
        })
    }

    fn run_one(&self, seed: u64) -> Report {
        let run = catch_unwind(AssertUnwindSafe(|| self.of(seed).run()));
        run.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
            Report { seed, violations: vec![format!("panicked: {text}")], ..Report::default() }
        })
    }
}

fn one(peer: usize, behaviour: Behaviour) -> BTreeMap<usize, Behaviour> {
    BTreeMap::from([(peer, behaviour)])
}

/// One of everything that can go wrong, as the seed has it, within what four validators bear: one that breaks the
/// rules or loses its log, and any of them crashing.
fn any_mix(seed: u64) -> Plan {
    let pick = |salt: u64, options: u64| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (salt * 7)) % options;
    let faulty = usize::try_from(pick(1, 4)).expect("small");
    let behaviour = [
        Behaviour::Honest,
        Behaviour::Dead,
        Behaviour::Silent,
        Behaviour::Equivocator,
        Behaviour::BadProposer,
        Behaviour::Liar,
    ][usize::try_from(pick(2, 6)).expect("small")];
    let from = 200 + pick(3, 2_000);
    let one_way = pick(9, 2) == 0;
    let partition = Partition { during_ms: from..from + 1_500, isolated: vec![faulty], one_way };
    let changed = vec![(15, vec![(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]), (30, vec![(0, 2), (1, 2), (2, 2), (3, 1)])];
    Plan {
        seed,
        heights: 40,
        observers: usize::try_from(pick(4, 2)).expect("small"),
        changes: if pick(4, 2) == 1 { changed } else { Vec::new() },
        network: Network {
            delay_us: 500..[5_000, 20_000, 60_000][usize::try_from(pick(5, 3)).expect("small")],
            loss: [0.0, 0.03, 0.1][usize::try_from(pick(6, 3)).expect("small")],
            duplication: [0.0, 0.2][usize::try_from(pick(7, 2)).expect("small")],
            corruption: [0.0, 0.0, 0.02][usize::try_from(pick(2, 3)).expect("small")],
            partitions: if pick(8, 3) == 0 { vec![partition] } else { Vec::new() },
        },
        clock_jumps_ms: [0, 0, 3_000][usize::try_from(pick(4, 3)).expect("small")],
        crashes: [Crashes::None, Crashes::One(250), Crashes::One(900), Crashes::All(300)]
            [usize::try_from(pick(3, 4)).expect("small")],
        behaviours: one(faulty, behaviour),
        loses_log: (behaviour == Behaviour::Honest).then_some(faulty),
        slow_disk: [0.0, 0.05, 0.2][usize::try_from(pick(5, 3)).expect("small")],
        ask_every_ms: [12, 5, 40][usize::try_from(pick(6, 3)).expect("small")],
        ..Plan::default()
    }
}
