//! The runs that tests make, by name, so that any of them can be made again: `cargo run --release --bin allod-sim`.

mod mixes;

use super::{
    Absence, Behaviour, Crashes, Law, NetworkConditions, Partition, Plan, Report, Violation, minimise::Edits,
    oracle::panic_text,
};
use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
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

/// Number of fresh seeds of this plan for one of each other plan.
const MIXES_IN_LONG_RUNS: u64 = 30;
/// The mix of all faults.
const MIX: &str = "any-mix-of-faults";
/// Breaks laws on purpose, to see them caught.
const CONTROLS: &[&str] = &["a-key-without-its-log"];

/// All of them.
pub const ALL: &[Named] = &[
    Named {
        name: "a-bad-network-with-crashes",
        seeds: 1_000..1_200,
        plan: |seed| Plan {
            seed,
            heights: 30,
            network: NetworkConditions {
                delay_us: 1_000..40_000,
                loss: 0.05,
                duplication: 0.1,
                ..NetworkConditions::default()
            },
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
            network: NetworkConditions { loss: 0.2, duplication: 0.1, ..NetworkConditions::default() },
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
            let partitions = vec![Partition {
                during_ms: 500..2_500,
                isolated: vec![seed as usize % 4],
                one_way: true,
                flaps_ms: None,
            }];
            Plan {
                seed,
                heights: 80,
                network: NetworkConditions { partitions, ..NetworkConditions::default() },
                ..Plan::default()
            }
        },
    },
    Named {
        name: "corrupted-messages",
        seeds: 4_200..4_210,
        plan: |seed| Plan {
            seed,
            heights: 40,
            network: NetworkConditions { corruption: 0.1, ..NetworkConditions::default() },
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
                Partition { during_ms: 500..2_500, isolated: vec![3], one_way: false, flaps_ms: None },
                Partition { during_ms: 4_000..6_000, isolated: vec![0, 1], one_way: false, flaps_ms: None },
            ];
            Plan {
                seed,
                heights: 200,
                network: NetworkConditions { partitions, ..NetworkConditions::default() },
                ..Plan::default()
            }
        },
    },
    Named {
        name: "a-dead-validator",
        seeds: 5_000..5_020,
        plan: |seed| Plan {
            seed,
            heights: 60,
            behaviours: one(1, Behaviour::Dead),
            network: NetworkConditions { loss: 0.05, ..NetworkConditions::default() },
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
            network: NetworkConditions { loss: 0.02, duplication: 0.05, ..NetworkConditions::default() },
            crashes: Crashes::One(500),
            ..Plan::default()
        },
    },
    Named {
        name: "a-proposer-of-invalid-blocks",
        seeds: 7_000..7_010,
        plan: |seed| Plan { seed, heights: 40, behaviours: one(0, Behaviour::InvalidProposer), ..Plan::default() },
    },
    Named {
        name: "a-liar",
        seeds: 8_000..8_008,
        plan: |seed| {
            // Whoever was cut off or away asks for blocks, the liar too.
            let cut = |isolated: usize, during_ms| Partition {
                during_ms,
                isolated: vec![isolated],
                one_way: false,
                flaps_ms: None,
            };
            Plan {
                seed,
                heights: 80,
                observers: 1,
                behaviours: one(0, Behaviour::Liar),
                network: NetworkConditions {
                    loss: 0.1,
                    partitions: vec![cut(2, 300..1_500), cut(1, 2_000..3_000), cut(3, 3_500..4_500)],
                    ..NetworkConditions::default()
                },
                absences: vec![Absence { peer: 4, heights: 5..30 }, Absence { peer: 4, heights: 40..70 }],
                ..Plan::default()
            }
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
            network: NetworkConditions { loss: 0.02, ..NetworkConditions::default() },
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
    // The node's own database and files. A run is the same again but for what the database's threads do in the background.
    Named { name: "on-real-files", seeds: 14_000..14_040, plan: on_files },
    Named {
        name: "a-long-history",
        seeds: 14_500..14_524,
        plan: |seed| Plan {
            seed,
            heights: 80,
            observers: 1,
            network: NetworkConditions { loss: 0.02, duplication: 0.05, ..NetworkConditions::default() },
            crashes: Crashes::One(2_000),
            behaviours: if seed.is_multiple_of(4) { one(0, Behaviour::Equivocator) } else { BTreeMap::new() },
            slow_disk: 0.05,
            // Long enough in block time for decisions to be taken.
            ask_every_ms: 800,
            asks: 12,
            ..Plan::default()
        },
    },
    Named { name: "a-mix-of-faults", seeds: 20_000..20_040, plan: mixes::any },
    Named { name: "any-mix-of-faults", seeds: 21_000..23_000, plan: mixes::any },
    Named {
        name: "an-observer",
        seeds: 9_000..9_010,
        plan: |seed| Plan {
            seed,
            heights: 60,
            observers: 1,
            network: NetworkConditions { loss: 0.03, ..NetworkConditions::default() },
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
            network: NetworkConditions { loss: 0.03, ..NetworkConditions::default() },
            crashes: Crashes::One(500),
            ..Plan::default()
        },
    },
    Named { name: "a-good-network", seeds: 1..2, plan: |seed| Plan { seed, heights: 1_000, ..Plan::default() } },
    Named {
        name: "a-run-to-replay",
        seeds: 7..9,
        plan: |seed| Plan {
            seed,
            heights: 40,
            network: NetworkConditions { loss: 0.05, duplication: 0.05, ..NetworkConditions::default() },
            crashes: Crashes::One(300),
            slow_disk: 0.1,
            ..Plan::default()
        },
    },
    Named {
        name: "a-key-without-its-log",
        seeds: 13_000..13_020,
        plan: |seed| Plan {
            seed,
            heights: 60,
            crashes: Crashes::All(150),
            keeps_log: false,
            keeps_last_signed: false,
            ..Plan::default()
        },
    },
    Named {
        name: "a-flapping-partition",
        seeds: 4_500..4_510,
        plan: |seed| {
            let (peer, one_way, flaps_ms) = (seed as usize % 4, seed.is_multiple_of(3), Some(100 + seed % 7 * 50));
            let partition = |isolated| Partition { during_ms: 500..5_000, isolated, one_way, flaps_ms };
            let partitions = vec![partition(vec![peer]), partition(vec![0, (peer + 1) % 4])];
            let network = NetworkConditions { partitions, loss: 0.02, ..NetworkConditions::default() };
            Plan { seed, heights: 60, heals_at_ms: Some(5_000), network, ..Plan::default() }
        },
    },
    Named {
        name: "clocks-that-drift",
        seeds: 4_600..4_610,
        plan: |seed| Plan {
            seed,
            heights: 80,
            clock_drift_ppm: 20_000,
            clock_jumps_ms: 2_000,
            crashes: Crashes::One(600),
            ..Plan::default()
        },
    },
    Named {
        name: "a-peer-that-was-off",
        seeds: 4_700..4_702,
        plan: |seed| {
            let absences = vec![Absence { peer: 4, heights: 20..2_030 + seed % 100 }];
            let (observers, heights) = (1, 2_200);
            Plan { seed, heights, observers, absences, ask_every_ms: 80, ..Plan::default() }
        },
    },
    Named {
        name: "a-peer-that-was-cut-off",
        seeds: 4_800..4_802,
        plan: |seed| {
            let peer = seed as usize % 4;
            let cut = Partition { during_ms: 500..50_000, isolated: vec![peer], one_way: false, flaps_ms: None };
            let network = NetworkConditions { partitions: vec![cut], ..NetworkConditions::default() };
            Plan { seed, heights: 300, ask_every_ms: 80, heals_at_ms: Some(50_000), network, ..Plan::default() }
        },
    },
    Named {
        name: "an-amnesiac",
        seeds: 6_100..6_120,
        plan: |seed| {
            with_one(seed, Behaviour::Amnesiac, NetworkConditions { loss: 0.03, ..NetworkConditions::default() })
        },
    },
    Named {
        name: "a-withholder-of-blocks",
        seeds: 6_200..6_215,
        plan: |seed| with_one(seed, Behaviour::Withholder, NetworkConditions::default()),
    },
    Named {
        name: "a-spammer",
        seeds: 6_300..6_315,
        plan: |seed| {
            with_one(seed, Behaviour::Spammer, NetworkConditions { loss: 0.02, ..NetworkConditions::default() })
        },
    },
    Named {
        name: "a-selective-sender",
        seeds: 6_400..6_415,
        plan: |seed| {
            with_one(seed, Behaviour::Selective, NetworkConditions { loss: 0.02, ..NetworkConditions::default() })
        },
    },
    Named {
        name: "an-impersonator",
        seeds: 6_500..6_515,
        plan: |seed| {
            let peer = seed as usize % 4;
            let left = (0..5).filter(|one| *one != peer).map(|one| (one, 1)).collect();
            let one = with_one(seed, Behaviour::Impersonator, NetworkConditions::default());
            // Long enough to go on without the validator that leaves.
            Plan { observers: 1, heights: 120, changes: vec![(10, left)], ..one }
        },
    },
    Named {
        name: "a-key-on-two-peers",
        seeds: 6_600..6_615,
        plan: |seed| Plan {
            observers: 1,
            behaviours: one(4, Behaviour::Double(seed as usize % 4)),
            ..with_one(seed, Behaviour::Honest, NetworkConditions { loss: 0.02, ..NetworkConditions::default() })
        },
    },
    Named { name: "two-of-seven", seeds: 7_500..7_506, plan: mixes::two_of_seven },
    Named { name: "four-alive", seeds: 5_200..5_204, plan: |seed| Plan { seed, heights: 200, ..Plan::default() } },
    Named {
        name: "three-of-four-alive",
        seeds: 5_200..5_204,
        plan: |seed| Plan { seed, heights: 200, behaviours: one(1, Behaviour::Dead), ..Plan::default() },
    },
];

/// One that breaks the rules, among four of which one at a time loses power; in the end nothing fails but that one.
fn with_one(seed: u64, behaviour: Behaviour, network: NetworkConditions) -> Plan {
    Plan {
        seed,
        heights: 40,
        behaviours: one(seed as usize % 4, behaviour),
        network,
        crashes: Crashes::One(700),
        heals_at_ms: Some(4_000),
        ..Plan::default()
    }
}

fn one(peer: usize, behaviour: Behaviour) -> BTreeMap<usize, Behaviour> {
    BTreeMap::from([(peer, behaviour)])
}

/// Power that fails at one peer or at all, on disks that are slow and become full.
fn on_files(seed: u64) -> Plan {
    Plan {
        seed,
        heights: 25,
        on_files: true,
        network: NetworkConditions { loss: 0.02, ..NetworkConditions::default() },
        crashes: if seed.is_multiple_of(2) { Crashes::One(150) } else { Crashes::All(250) },
        slow_disk: 0.05,
        full_disk: if seed.is_multiple_of(3) { 0.002 } else { 0.0 },
        ..Plan::default()
    }
}

/// The plan of a name.
pub fn named(name: &str) -> Option<&'static Named> {
    ALL.iter().find(|plan| plan.name == name)
}

/// Threads that runs are made on: as many as this machine has cores.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
        self.run_all(&Edits::default())
    }

    /// The same with changes in the plan.
    pub fn run_all(&self, edits: &Edits) -> Vec<Report> {
        let next = AtomicU64::new(self.seeds.start);
        let run = || {
            let seeds = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
            let seeds = seeds.take_while(|seed| *seed < self.seeds.end);
            seeds.map(|seed| self.run_edited(seed, edits)).collect::<Vec<Report>>()
        };
        let mut reports: Vec<Report> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads()).map(|_| scope.spawn(run)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("runs are caught")).collect()
        });
        reports.sort_by_key(|report| report.seed);
        reports
    }

    /// Runs one seed.
    pub fn run_one(&self, seed: u64) -> Report {
        self.run_edited(seed, &Edits::default())
    }

    /// Runs one seed with changes in the plan, of which no part is unknown.
    pub(super) fn run_edited(&self, seed: u64, edits: &Edits) -> Report {
        let run = catch_unwind(AssertUnwindSafe(|| edits.apply(self.of(seed)).expect("known parts").run()));
        run.unwrap_or_else(|panic| Report {
            seed,
            violations: vec![Violation { law: Law::NoPanic, text: panic_text(panic) }],
            ..Report::default()
        })
    }
}

/// How far a long run is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    seeds: u64,
    heights: u64,
    failures: usize,
    elapsed: Duration,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, heights, failures, elapsed } = self;
        let a_second = *heights as f64 / elapsed.as_secs_f64() / threads() as f64;
        let minutes = elapsed.as_secs() / 60;
        write!(
            f,
            "{minutes} min: {seeds} seeds, {heights} heights ({a_second:.0} a second and core), {failures} failed"
        )
    }
}

/// Runs fresh seeds of every plan that is no control on all cores until a moment; gives how to make each failed run again.
pub fn run_long(first: u64, until: Instant, say: impl Fn(&Progress) + Sync) -> Vec<String> {
    let (begun, next) = (Instant::now(), AtomicU64::new(first));
    let sound: Vec<&Named> = ALL.iter().filter(|plan| !CONTROLS.contains(&plan.name)).collect();
    let mix = named(MIX).expect("there is a mix");
    let state = Mutex::new((Progress::default(), Vec::new(), begun));
    let run = || {
        while Instant::now() < until {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let turn = usize::try_from(seed % (sound.len() as u64 + MIXES_IN_LONG_RUNS)).unwrap_or(0);
            let plan = sound.get(turn).copied().unwrap_or(mix);
            let report = plan.run_one(seed);
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let (progress, found, said) = &mut *state;
            if let Some(violation) = report.violations.first() {
                found.push(format!("{violation}\nallod-sim {} {seed}", plan.name));
            }
            progress.seeds += 1;
            progress.heights += report.heights.iter().max().copied().unwrap_or(0);
            (progress.failures, progress.elapsed) = (found.len(), begun.elapsed());
            if said.elapsed() > Duration::from_secs(10) || !report.is_good() {
                *said = Instant::now();
                say(progress);
            }
        }
    };
    std::thread::scope(|scope| (0..threads()).for_each(|_| drop(scope.spawn(run))));
    let (progress, found, _) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    say(&progress);
    found
}
