//! Agreement under every fault the simulator knows. A run that fails prints the command that replays it.

use allod_tests::{
    histories::Coverage,
    sim::{Law, Plan, Report, minimise, plans},
};

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
    let reports = run_plan("a-good-network");
    let report = &reports[0];
    assert_eq!(report.counts.later_rounds, 0, "a good network decides in the first round");
    assert!(report.virtual_ms < 100_000, "{} virtual ms", report.virtual_ms);
    let (accepted, decided) = (report.counts.accepted, report.counts.decided);
    // Some expire as soon as they are taken in.
    assert!(accepted > 1_000 && decided * 20 > accepted * 19, "{decided} of {accepted} transactions are decided");
}

#[test]
fn one_seed_replays_one_run() {
    let plan = plans::named("a-run-to-replay").expect("a plan of this name");
    let reports = run_plan("a-run-to-replay");
    assert_eq!(reports[0], plan.run_one(7));
    assert_ne!(reports[0].trace, reports[1].trace);
}

#[test]
fn loss_delay_duplication_and_crashes_never_break_agreement() {
    let reports = run_plan("a-bad-network-with-crashes");
    assert!(sum(&reports, |report| report.counts.crashes) > 300);
    assert!(sum(&reports, |report| report.counts.replayed) > 0);
    assert!(sum(&reports, |report| report.counts.crashes_in_resume) > 50, "power fails again while a host takes up");
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
    assert!(reports.iter().all(|report| report.counts.refused_blocks > 0), "the liar is asked in every run");
    assert!(sum(&reports, |report| report.counts.rejected) > 0);
}

#[test]
fn a_partition_that_comes_and_goes_heals_within_the_bound() {
    let reports = run_plan("a-flapping-partition");
    assert!(reports.iter().all(|report| report.counts.healing_bound_ms > 0));
}

#[test]
fn clocks_that_drift_apart_stop_nobody() {
    run_plan("clocks-that-drift");
}

#[test]
fn who_missed_thousands_of_blocks_catches_up() {
    let reports = run_plan("a-peer-that-was-off");
    assert!(reports.iter().all(|report| report.counts.furthest_behind >= 2_000));
    let reports = run_plan("a-peer-that-was-cut-off");
    assert!(reports.iter().all(|report| report.counts.furthest_behind >= 200), "it heard nothing all that time");
}

#[test]
fn an_amnesiac_signs_twice_and_splits_nobody() {
    let reports = run_plan("an-amnesiac");
    assert!(sum(&reports, |report| report.double_votes) > 0, "what it forgot, others remember");
}

#[test]
fn blocks_that_are_withheld_cost_a_round() {
    let reports = run_plan("a-withholder-of-blocks");
    assert!(reports.iter().all(|report| report.counts.later_rounds > 0));
}

#[test]
fn a_spammer_fills_no_queue() {
    let reports = run_plan("a-spammer");
    assert!(sum(&reports, |report| report.counts.rejected) > 1_000);
}

#[test]
fn a_selective_sender_splits_nobody() {
    run_plan("a-selective-sender");
}

#[test]
fn a_removed_validators_key_is_worth_nothing() {
    let reports = run_plan("an-impersonator");
    // In some runs the members take so long to decide that the run ends with the change.
    let tried = reports.iter().filter(|report| report.counts.rejected > 0).count();
    assert!(tried > reports.len() / 2, "{tried} of {}", reports.len());
}

#[test]
fn a_key_on_two_peers_is_proven_and_splits_nobody() {
    let reports = run_plan("a-key-on-two-peers");
    assert!(sum(&reports, |report| report.double_votes + report.double_proposals) > 0);
}

#[test]
fn two_of_seven_that_break_the_rules_are_borne() {
    run_plan("two-of-seven");
}

/// One turn in four falls to the dead one. Then all wait for its proposal (120 ms), vote for nothing, wait for votes that do
/// not come (50 ms), and go through another round: with four messages of up to 20 ms, less than 250 ms more than a height
/// takes else. Of some 33 heights a virtual second this leaves 11.
#[test]
fn a_dead_validator_of_four_costs_250_ms_when_it_is_its_turn_and_nothing_else() {
    let (alive, dead) = (run_plan("four-alive"), run_plan("three-of-four-alive"));
    for (alive, dead) in alive.iter().zip(&dead) {
        // Three peers decide each height.
        let turns = dead.counts.later_rounds / 3;
        assert!((46..=54).contains(&turns), "{turns} of 200 turns fell to it");
        let (took_ms, most_ms) = (dead.virtual_ms, alive.virtual_ms + turns * 250);
        assert!(took_ms < most_ms, "seed {}: {took_ms} ms are more than {most_ms}", dead.seed);
    }
}

#[test]
fn an_observer_follows_without_a_vote() {
    for name in ["an-observer", "a-keyless-observer"] {
        let reports = run_plan(name);
        assert!(reports.iter().all(|report| report.heights.len() == 5 && report.heights.iter().all(|h| *h >= 60)));
        let (heights, pushed) = (60 * reports.len() as u64, sum(&reports, |report| report.counts.pushed));
        assert!(pushed * 10 > heights * 8, "{name}: {pushed} of some {heights} blocks were taken as they were pushed");
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

/// What clients get done in the simulator, of the actions all but a few that need more time than its runs have: rounds to
/// close, panels to rule, timelocks. Those are for the histories without consensus.
const DONE: [&str; 38] = [
    "applied accept_contribution",
    "applied accept_office",
    "applied accept_transfer",
    "applied answer_dispute",
    "applied answer_incident",
    "applied ask_licence",
    "applied attest",
    "applied burn_shares",
    "applied call_on",
    "applied cancel_proposal",
    "applied cancel_recovery",
    "applied cast_ballot",
    "applied commit_artifact",
    "applied create_account",
    "applied create_model",
    "applied decline_contribution",
    "applied delegate",
    "applied give_consent",
    "applied leave_network",
    "applied open_dispute",
    "applied open_proposal",
    "applied present",
    "applied publish_version",
    "applied record_contribution",
    "applied recover_account",
    "applied report_incident",
    "applied resign_office",
    "applied rotate_keys",
    "applied set_intake",
    "applied set_recovery",
    "applied stop_version",
    "applied transfer_shares",
    "applied update_incident",
    "applied withdraw_dispute",
    "applied withdraw_proposal",
    "proposal executed",
    "proposal execution failed",
    "refused signature: foreign_key",
];

#[test]
fn long_histories_agree_with_the_reference_model() {
    let reports = run_plan("a-long-history");
    let mut coverage = Coverage::default();
    reports.iter().for_each(|report| coverage.add(&report.coverage));
    println!("{coverage}");
    coverage.require_all(&DONE);
    assert!(sum(&reports, |report| report.counts.refused) > 100, "what is spoiled is refused");
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

#[test]
fn the_nodes_own_files_lose_nothing_acknowledged_on_disks_that_fail() {
    let reports = run_plan("on-real-files");
    assert!(sum(&reports, |report| report.counts.crashes) > 300);
    assert!(sum(&reports, |report| report.counts.replayed) > 100);
    assert!(sum(&reports, |report| report.counts.lost_writes) > 300, "little was lost that may be lost");
    assert!(sum(&reports, |report| report.counts.torn_writes) > 50, "few writes were torn");
}

/// The control: whichever sync does nothing, some run ends badly.
#[test]
fn a_sync_that_does_nothing_is_found() {
    let plan = plans::named("on-real-files").expect("a plan of this name");
    // The consensus log, the last-signed record, the directory of both, the database's log, everything.
    for careless in ["consensus/*.log", "consensus/*signed", "conse*nsus", "ledger/*.log", "*"] {
        let fails = |seed| {
            let report = Plan { careless: Some(careless), ..plan.of(seed) }.run();
            report.violations.iter().any(|violation| violation.law == Law::Durability)
        };
        assert!((14_000..14_010).any(fails), "nobody misses the syncs of {careless}");
    }
}

/// The control: without log and last-signed record keys do sign twice, and the checker says so.
#[test]
fn the_checker_catches_a_missing_log() {
    let reports = plans::named("a-key-without-its-log").expect("a plan of this name").run();
    assert!(sum(&reports, |report| report.double_signs) > 0, "no key signed twice without a log");
}

#[test]
fn a_failing_run_is_made_shorter_and_fails_alike() {
    let plan = plans::named("a-key-without-its-log").expect("a plan of this name");
    let failing = plan.run().into_iter().find(|report| !report.is_good()).expect("one that fails");
    let minimal = minimise::minimise(plan, failing.seed, |_| {}).expect("it fails");
    let law = |report: &Report| report.violations[0].law;
    assert_eq!(law(&minimal.report), law(&failing));
    let faults = (minimal.report.faults.len(), failing.faults.len());
    assert!(0 < faults.0 && faults.0 < faults.1, "{faults:?} faults");
    let again = minimal.edits.apply(plan.of(failing.seed)).expect("known parts").run();
    assert_eq!(again, minimal.report, "the printed changes replay it");
    assert!(minimise::minimise(plans::named("a-run-to-replay").expect("a plan"), 7, |_| {}).is_none());
}
