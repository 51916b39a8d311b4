//! Agreement under every fault the simulator knows. A run that fails prints the seed that replays it.

use allod_tests::sim::{Behaviour, Crashes, Network, Partition, Plan, Report};
use std::collections::BTreeMap;

/// Runs a plan with every seed, on as many threads as this machine has cores, and refuses the first that fails.
fn run_seeds(what: &str, seeds: std::ops::Range<u64>, plan: impl Fn(u64) -> Plan + Sync) -> Vec<Report> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(2) as u64;
    let run = |thread: u64| {
        let mine = seeds.clone().filter(move |seed| seed % threads == thread);
        let plan = &plan;
        mine.map(move |seed| plan(seed).run()).collect::<Vec<Report>>()
    };
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let run = &run;
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run panicked")).collect()
    });
    for report in &reports {
        report.expect_good(what);
    }
    reports
}

fn sum(reports: &[Report], of: impl Fn(&Report) -> u64) -> u64 {
    reports.iter().map(of).sum()
}

fn one(peer: usize, behaviour: Behaviour) -> BTreeMap<usize, Behaviour> {
    BTreeMap::from([(peer, behaviour)])
}

#[test]
fn four_validators_decide_a_thousand_heights() {
    let report = Plan { heights: 1_000, ..Plan::default() }.run();
    report.expect_good("a good network");
    assert_eq!(report.counts.later_rounds, 0, "a good network decides in the first round");
    assert!(report.virtual_ms < 100_000, "{} virtual ms", report.virtual_ms);
}

#[test]
fn one_seed_replays_one_run() {
    let plan = |seed| Plan {
        seed,
        heights: 40,
        network: Network { loss: 0.05, duplication: 0.05, ..Network::default() },
        crashes: Crashes::One(300),
        slow_answers: 0.3,
        ..Plan::default()
    };
    let first = plan(7).run();
    first.expect_good("a run");
    assert_eq!(first, plan(7).run());
    assert_ne!(first.trace, plan(8).run().trace);
}

#[test]
fn loss_delay_duplication_and_crashes_never_break_agreement() {
    let reports = run_seeds("a bad network with crashes", 1_000..1_200, |seed| Plan {
        seed,
        heights: 30,
        network: Network { delay_us: 1_000..40_000, loss: 0.05, duplication: 0.1, ..Network::default() },
        crashes: Crashes::One(300),
        slow_answers: 0.2,
        ..Plan::default()
    });
    assert!(sum(&reports, |report| report.counts.crashes) > 300);
    assert!(sum(&reports, |report| report.counts.replayed) > 0);
    assert_eq!(sum(&reports, |report| report.counts.withheld), 0, "the log alone keeps the key from signing twice");
}

#[test]
fn heavy_loss_only_slows_agreement() {
    run_seeds("a network that loses a fifth", 2_000..2_030, |seed| Plan {
        seed,
        heights: 40,
        network: Network { loss: 0.2, duplication: 0.1, ..Network::default() },
        ..Plan::default()
    });
}

#[test]
fn power_failure_of_all_at_once_loses_nothing() {
    let reports = run_seeds("power failures", 3_000..3_060, |seed| Plan {
        seed,
        heights: 60,
        crashes: Crashes::All(150),
        slow_answers: 0.2,
        ..Plan::default()
    });
    assert!(sum(&reports, |report| report.counts.crashes) > 1_000);
}

#[test]
fn a_partition_heals() {
    let reports = run_seeds("a partition", 4_000..4_020, |seed| {
        // First one is cut off and has to catch up, then the network is halved and nobody can decide.
        let partitions = vec![
            Partition { during_ms: 500..2_500, isolated: vec![3] },
            Partition { during_ms: 4_000..6_000, isolated: vec![0, 1] },
        ];
        Plan { seed, heights: 200, network: Network { partitions, ..Network::default() }, ..Plan::default() }
    });
    assert!(sum(&reports, |report| report.counts.caught_up) > 100, "who was cut off catches up in ranges");
}

#[test]
fn one_dead_validator_of_four_costs_time_only() {
    let reports = run_seeds("a dead validator", 5_000..5_020, |seed| Plan {
        seed,
        heights: 60,
        behaviours: one(1, Behaviour::Dead),
        network: Network { loss: 0.05, ..Network::default() },
        ..Plan::default()
    });
    assert!(sum(&reports, |report| report.counts.later_rounds) > 0, "its turns to propose are passed over");
}

#[test]
fn a_silent_validator_costs_time_only() {
    run_seeds("a silent validator", 5_100..5_110, |seed| Plan {
        seed,
        heights: 40,
        behaviours: one(2, Behaviour::Silent),
        ..Plan::default()
    });
}

#[test]
fn an_equivocator_is_proven_and_splits_nobody() {
    let reports = run_seeds("an equivocator", 6_000..6_040, |seed| Plan {
        seed,
        heights: 50,
        behaviours: one(0, Behaviour::Equivocator),
        network: Network { loss: 0.02, duplication: 0.05, ..Network::default() },
        crashes: Crashes::One(500),
        ..Plan::default()
    });
    for report in &reports {
        assert!(report.double_votes > 0, "seed {} brought no proof of voting twice", report.seed);
        assert!(report.double_proposals > 0, "seed {} brought no proof of proposing twice", report.seed);
    }
}

#[test]
fn invalid_blocks_are_voted_nil_and_the_next_round_decides() {
    let reports = run_seeds("a proposer of invalid blocks", 7_000..7_010, |seed| Plan {
        seed,
        heights: 40,
        behaviours: one(0, Behaviour::BadProposer),
        ..Plan::default()
    });
    for report in &reports {
        assert!(report.counts.later_rounds > 0, "seed {}", report.seed);
        // Nil votes at once, not after the propose timeout: 40 heights, a quarter of them with one wasted round.
        assert!(report.virtual_ms < 10_000, "seed {}: {} virtual ms", report.seed, report.virtual_ms);
    }
}

#[test]
fn a_liar_is_refused_and_believed_by_nobody() {
    let reports = run_seeds("a liar", 8_000..8_020, |seed| Plan {
        seed,
        heights: 80,
        behaviours: one(0, Behaviour::Liar),
        network: Network {
            loss: 0.1,
            partitions: vec![Partition { during_ms: 300..1_500, isolated: vec![2] }],
            ..Network::default()
        },
        ..Plan::default()
    });
    assert!(sum(&reports, |report| report.counts.refused_blocks) > 0);
    assert!(sum(&reports, |report| report.counts.rejected) > 0);
}

#[test]
fn an_observer_follows_without_a_vote() {
    for keyless_observers in [false, true] {
        let reports = run_seeds("an observer", 9_000..9_010, |seed| Plan {
            seed,
            heights: 60,
            observers: 1,
            keyless_observers,
            network: Network { loss: 0.03, ..Network::default() },
            crashes: Crashes::One(500),
            ..Plan::default()
        });
        assert!(reports.iter().all(|report| report.heights.len() == 5 && report.heights.iter().all(|h| *h >= 60)));
    }
}

#[test]
fn the_validator_set_changes_under_way() {
    run_seeds("changes of the validator set", 10_000..10_020, |seed| Plan {
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
    });
}

#[test]
fn pauses_between_heights_lose_no_messages() {
    let reports = run_seeds("pauses between heights", 11_000..11_010, |seed| Plan {
        seed,
        heights: 50,
        pause_ms: 30,
        slow_answers: 0.3,
        ..Plan::default()
    });
    assert!(reports.iter().all(|report| report.virtual_ms < 20_000), "early messages are kept, not waited for again");
}

#[test]
fn a_lost_log_makes_no_key_sign_twice() {
    let reports = run_seeds("lost logs", 12_000..12_060, |seed| Plan {
        seed,
        heights: 40,
        crashes: Crashes::All(150),
        loses_log: Some(0),
        ..Plan::default()
    });
    assert!(sum(&reports, |report| report.counts.withheld) > 0, "the last-signed record was needed");
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
    let partition = Partition { during_ms: from..from + 1_500, isolated: vec![faulty] };
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
            partitions: if pick(8, 3) == 0 { vec![partition] } else { Vec::new() },
        },
        crashes: [Crashes::None, Crashes::One(250), Crashes::One(900), Crashes::All(300)]
            [usize::try_from(pick(3, 4)).expect("small")],
        behaviours: one(faulty, behaviour),
        loses_log: (behaviour == Behaviour::Honest).then_some(faulty),
        slow_answers: [0.0, 0.2, 0.6][usize::try_from(pick(5, 3)).expect("small")],
        pause_ms: [0, 0, 20][usize::try_from(pick(6, 3)).expect("small")],
        ..Plan::default()
    }
}

#[test]
fn any_mix_of_faults_is_borne() {
    run_seeds("a mix of faults", 20_000..20_040, any_mix);
}

#[test]
#[ignore = "a quarter of an hour; for changes to agreement and before a release"]
fn any_mix_of_faults_is_borne_slow_() {
    run_seeds("a mix of faults", 21_000..23_000, any_mix);
}

/// Prints all of one run: `ALLOD_SEED=20007 cargo test --release --workspace --test it -- --ignored replay_a_mix`.
#[test]
#[ignore = "for whoever looks for the cause of a failed run"]
fn replay_a_mix() {
    let seed = std::env::var("ALLOD_SEED").expect("ALLOD_SEED is set").parse().expect("ALLOD_SEED is a number");
    Plan { verbose: true, ..any_mix(seed) }.run().expect_good("a mix of faults");
}

/// The control: without log and last-signed record keys do sign twice, and the checker says so.
#[test]
fn the_checker_catches_a_missing_log() {
    let reports: Vec<Report> = (13_000..13_020)
        .map(|seed| Plan {
            seed,
            heights: 60,
            crashes: Crashes::All(150),
            keeps_log: false,
            keeps_last_signed: false,
            ..Plan::default()
        })
        .map(|plan| plan.run())
        .collect();
    assert!(sum(&reports, |report| report.double_signs) > 0, "no key signed twice without a log");
}
