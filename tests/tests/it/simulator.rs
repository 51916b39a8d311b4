//! Agreement under every fault the simulator knows. A run that fails prints the command that replays it.

use allod_tests::sim::{Crashes, Network, Plan, Report, plans};

/// Runs a named plan with every seed of it, and refuses the first that fails.
fn run_plan(name: &str) -> Vec<Report> {
    let reports = plans::named(name).expect("a plan of this name").run();
    for report in &reports {
        report.expect_good(name);
    }
    reports
}

fn sum(reports: &[Report], of: impl Fn(&Report) -> u64) -> u64 {
    reports.iter().map(of).sum()
}

#[test]
fn four_validators_decide_a_thousand_heights() {
    let report = Plan { heights: 1_000, ..Plan::default() }.run();
    report.expect_good("a good network");
    assert_eq!(report.counts.later_rounds, 0, "a good network decides in the first round");
    assert!(report.virtual_ms < 100_000, "{} virtual ms", report.virtual_ms);
    let (accepted, decided) = (report.counts.accepted, report.counts.decided);
    assert!(accepted > 1_000 && decided + 20 > accepted, "{decided} of {accepted} transactions are decided");
}

#[test]
fn one_seed_replays_one_run() {
    let plan = |seed| Plan {
        seed,
        heights: 40,
        network: Network { loss: 0.05, duplication: 0.05, ..Network::default() },
        crashes: Crashes::One(300),
        slow_disk: 0.1,
        ..Plan::default()
    };
    let first = plan(7).run();
    first.expect_good("a run");
    assert_eq!(first, plan(7).run());
    assert_ne!(first.trace, plan(8).run().trace);
}

#[test]
fn loss_delay_duplication_and_crashes_never_break_agreement() {
    let reports = run_plan("a-bad-network-with-crashes");
    assert!(sum(&reports, |report| report.counts.crashes) > 300);
    assert!(sum(&reports, |report| report.counts.replayed) > 0);
    assert_eq!(sum(&reports, |report| report.counts.withheld), 0, "the log alone keeps the key from signing twice");
}

#[test]
fn heavy_loss_only_slows_agreement() {
    run_plan("a-network-that-loses-a-fifth");
}

#[test]
fn power_failure_of_all_at_once_loses_nothing() {
    let reports = run_plan("power-failures");
    assert!(sum(&reports, |report| report.counts.crashes) > 1_000);
}

#[test]
fn who_is_not_heard_costs_time_only() {
    run_plan("a-one-way-partition");
}

#[test]
fn corrupted_messages_are_worth_nothing() {
    let reports = run_plan("corrupted-messages");
    assert!(sum(&reports, |report| report.counts.rejected) > 100);
}

#[test]
fn a_full_disk_ends_the_process_and_loses_nothing() {
    let reports = run_plan("full-disks");
    assert!(sum(&reports, |report| report.counts.crashes) > 50);
}

#[test]
fn clocks_that_jump_within_the_drift_stop_nobody() {
    run_plan("clocks-that-jump");
}

#[test]
fn a_partition_heals() {
    let reports = run_plan("a-partition");
    assert!(sum(&reports, |report| report.counts.caught_up) > 100, "who was cut off catches up in ranges");
}

#[test]
fn one_dead_validator_of_four_costs_time_only() {
    let reports = run_plan("a-dead-validator");
    assert!(sum(&reports, |report| report.counts.later_rounds) > 0, "its turns to propose are passed over");
}

#[test]
fn a_silent_validator_costs_time_only() {
    run_plan("a-silent-validator");
}

#[test]
fn an_equivocator_is_proven_and_splits_nobody() {
    let reports = run_plan("an-equivocator");
    for report in &reports {
        assert!(report.double_votes > 0, "seed {} brought no proof of voting twice", report.seed);
        assert!(report.double_proposals > 0, "seed {} brought no proof of proposing twice", report.seed);
    }
}

#[test]
fn invalid_blocks_are_voted_nil_and_the_next_round_decides() {
    let reports = run_plan("a-proposer-of-invalid-blocks");
    for report in &reports {
        assert!(report.counts.later_rounds > 0, "seed {}", report.seed);
        // Nil votes at once, not after the propose timeout: 40 heights, a quarter of them with one wasted round.
        assert!(report.virtual_ms < 10_000, "seed {}: {} virtual ms", report.seed, report.virtual_ms);
    }
}

#[test]
fn a_liar_is_refused_and_believed_by_nobody() {
    let reports = run_plan("a-liar");
    assert!(sum(&reports, |report| report.counts.refused_blocks) > 0);
    assert!(sum(&reports, |report| report.counts.rejected) > 0);
}

#[test]
fn an_observer_follows_without_a_vote() {
    for name in ["an-observer", "a-keyless-observer"] {
        let reports = run_plan(name);
        assert!(reports.iter().all(|report| report.heights.len() == 5 && report.heights.iter().all(|h| *h >= 60)));
    }
}

#[test]
fn the_validator_set_changes_under_way() {
    run_plan("changes-of-the-validator-set");
}

#[test]
fn pauses_between_heights_lose_no_messages() {
    let reports = run_plan("pauses-between-heights");
    assert!(reports.iter().all(|report| report.virtual_ms < 20_000), "early messages are kept, not waited for again");
}

#[test]
fn a_lost_log_makes_no_key_sign_twice() {
    let reports = run_plan("lost-logs");
    assert!(sum(&reports, |report| report.counts.withheld) > 0, "the last-signed record was needed");
}

#[test]
fn any_mix_of_faults_is_borne() {
    run_plan("a-mix-of-faults");
}

#[test]
#[ignore = "a quarter of an hour; for changes to agreement and before a release"]
fn any_mix_of_faults_is_borne_slow_() {
    run_plan("any-mix-of-faults");
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
