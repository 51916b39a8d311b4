//! Each state, made by what is observed, and what is said of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

use super::*;
use allod_protocol::{
    ground::{fraction::Portion, ids::Power},
    rules::policy::{NetworkPolicy, Rule},
};

const NOW: u64 = 1_700_000_000_000;
const MIB: u64 = 1024 * 1024;

fn parameters() -> Parameters {
    Parameters {
        propose_timeout_ms: 1_000,
        vote_timeout_ms: 500,
        timeout_delta_ms: 100,
        rebroadcast_ms: 1_000,
        heartbeat_ms: 60_000,
        clock_drift_ms: 10_000,
        founder_quota: 100,
        transactions_per_account_per_block: 100,
        policy: NetworkPolicy::uniform(&Rule::new(Portion::MAJORITY, Portion::MAJORITY, 60_000)),
    }
}

/// One of four validators, at rest and well.
fn well() -> Observed {
    Observed {
        height: Height::new(9),
        block_time: Timestamp::new(NOW - 20_000),
        clock: Timestamp::new(NOW),
        best_known: Height::new(9),
        behind: None,
        work: None,
        reached: reached(3, 4, false),
        unheard: Vec::new(),
        refusing: Vec::new(),
        foreign: Vec::new(),
        offset: Some(offset(12)),
        apart: Vec::new(),
        data_dir: "/var/lib/allod".into(),
        disk: Some(Room { free_bytes: 900 * MIB, reserve_bytes: 128 * MIB }),
        files: Some(Files { open: 200, limit: 1_024 }),
    }
}

fn reached(listening_peers: usize, power: u64, cut_off: bool) -> Reached {
    Reached { listening_peers, power: Power::new(power), total_power: Power::new(4), cut_off }
}

fn offset(ahead_ms: i64) -> Offset {
    Offset { ahead_ms, power: Power::new(3), total_power: Power::new(4) }
}

fn work(since_s: u64, validators: &[&str]) -> Work {
    let validators = validators.iter().map(|name| (*name).into()).collect();
    let lacking = Lacking { height: Height::new(10), round: 2, kind: VoteKind::Prevote, validators };
    Work { since: Duration::from_secs(since_s), transactions: 3, lacking: Some(lacking) }
}

/// The only reason for which a peer that sees this is not ready, and its sentence.
fn only(seen: &Observed) -> (Code, String) {
    let reasons = judge(seen, &parameters());
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    (reasons[0].code, reasons[0].detail.clone())
}

fn says(seen: &Observed, code: Code, words: &[&str]) {
    let (found, detail) = only(seen);
    assert_eq!(found, code, "{detail}");
    for word in words {
        assert!(detail.contains(word), "{word} is missing in: {detail}");
    }
}

#[test]
fn a_peer_that_is_well_is_ready() {
    assert_eq!(judge(&well(), &parameters()), []);
    let busy = Observed { work: Some(work(1, &["operator-2"])), behind: Some(Duration::ZERO), ..well() };
    let busy = Observed { best_known: Height::new(10), ..busy };
    assert_eq!(judge(&busy, &parameters()), [], "a block under way and one that is just coming are nothing to tell");
    let unknown = Observed { offset: None, disk: None, files: None, ..well() };
    assert_eq!(judge(&unknown, &parameters()), [], "what is not known is no reason");
}

#[test]
fn without_a_quorum_it_says_by_whom_it_waits() {
    let rounds = stalled_after(&parameters());
    assert_eq!(rounds, Duration::from_secs(10));
    let seen = |work| Observed { work: Some(work), ..well() };
    assert_eq!(judge(&seen(work(9, &["a"])), &parameters()), []);
    let words =
        ["10 s", "3 transactions wait", "round 2 of height 10", "prevotes of operator-2 and operator-3 are missing"];
    says(&seen(work(10, &["operator-2", "operator-3"])), Code::NoQuorum, &words);
    says(&seen(work(75, &[])), Code::NoQuorum, &["1 min 15 s", "not for one block"]);
    let due = Work { transactions: 0, ..work(10, &["a"]) };
    says(&seen(due), Code::NoQuorum, &["a block is due"]);
    let observer = Work { lacking: None, ..work(10, &[]) };
    says(&seen(observer), Code::NoQuorum, &["ask a validator"]);
    let apart = vec![("operator-1".into(), 3_600_000), ("operator-3".into(), -20_000)];
    let seen = Observed { apart, ..seen(work(10, &[])) };
    says(&seen, Code::NoQuorum, &["operator-1 (1 h ahead)", "operator-3 (20 s behind)"]);
}

#[test]
fn who_is_behind_does_not_accuse_the_others() {
    let seen = Observed { work: Some(work(60, &["a"])), best_known: Height::new(63), ..well() };
    let seen = Observed { behind: Some(Duration::from_millis(1)), ..seen };
    says(&seen, Code::CatchingUp, &["height 9 of at least 63"]);
    let little = Observed { best_known: Height::new(10), behind: Some(BEHIND_PATIENCE), ..well() };
    says(&little, Code::CatchingUp, &["height 9 of at least 10"]);
}

#[test]
fn a_validator_that_too_few_hear_names_those_who_do_not() {
    let unheard = vec!["operator-2 (validator 0a0b0c0d)".into(), "operator-3 (validator 01020304)".into()];
    let seen = Observed { reached: reached(1, 2, true), unheard, ..well() };
    says(&seen, Code::CutOff, &["2 of 4", "not connected to operator-2 (validator 0a0b0c0d) and operator-3"]);
}

#[test]
fn a_peer_that_nobody_hears_says_why_if_it_can_be_known() {
    let nobody = Observed { reached: reached(0, 1, true), ..well() };
    says(&nobody, Code::Alone, &["connected to no peer"]);
    let peer = PeerId::random();
    for (code, seen) in [
        (Code::Refused, Observed { refusing: vec![peer], ..nobody.clone() }),
        (Code::OtherNetwork, Observed { foreign: vec![peer], ..nobody }),
    ] {
        let reasons = judge(&seen, &parameters());
        assert_eq!(reasons.iter().map(|reason| reason.code).collect::<Vec<_>>(), [code, Code::Alone]);
        assert!(reasons[0].detail.contains(&peer.to_string()), "{reasons:?}");
    }
    let elsewhere = Observed { refusing: vec![peer], foreign: vec![peer], ..well() };
    assert_eq!(judge(&elsewhere, &parameters()), [], "somebody else hears it");
}

#[test]
fn a_clock_that_is_off_is_a_reason_before_blocks_are_refused_for_it() {
    let seen = |ahead_ms| Observed { offset: Some(offset(ahead_ms)), ..well() };
    assert_eq!(judge(&seen(5_000), &parameters()), []);
    says(&seen(5_001), Code::ClockOff, &["5.0 s ahead of", "3 of 4", "more than 10 s off"]);
    // The others' blocks seem to come from the future.
    let block_time = Timestamp::new(NOW + 3_600_000 - 20_000);
    says(&Observed { block_time, ..seen(-3_600_000) }, Code::ClockOff, &["1 h behind"]);
}

#[test]
fn an_old_tip_is_told_by_the_clock_of_the_others() {
    let old = |ahead_ms: Option<i64>, age_ms: u64| Observed {
        block_time: Timestamp::new(NOW - age_ms),
        offset: ahead_ms.map(offset),
        ..well()
    };
    says(&old(None, 190_000), Code::TipOld, &["3 min 10 s", "every 1 min"]);
    assert_eq!(judge(&old(None, 185_000), &parameters()), []);
    says(&old(Some(3_600_000), 3_620_000), Code::ClockOff, &[]);
    let slow = judge(&old(Some(-3_600_000), 20_000), &parameters());
    assert_eq!(slow.iter().map(|reason| reason.code).collect::<Vec<_>>(), [Code::ClockOff, Code::TipOld]);
}

#[test]
fn a_disk_that_is_nearly_full_is_named() {
    let disk = Room { free_bytes: 100 * MIB, reserve_bytes: 128 * MIB };
    says(&Observed { disk: Some(disk), ..well() }, Code::DiskLow, &["/var/lib/allod", "100.00 MiB", "128.00 MiB"]);
}

#[test]
fn a_process_that_can_open_hardly_any_more_files_says_how_many_it_may() {
    let files = |open| Some(Files { open, limit: 256 });
    assert_eq!(judge(&Observed { files: files(224), ..well() }, &parameters()), []);
    says(&Observed { files: files(225), ..well() }, Code::FilesLow, &["of 256", "225 are open", "LimitNOFILE"]);
    says(&Observed { files: files(256), ..well() }, Code::FilesLow, &["256 are open"]);
}

#[test]
fn every_code_has_a_name_of_its_own_and_long_lists_are_cut() {
    let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.name());
    }
    assert_eq!(list(&(0..10).collect::<Vec<_>>()), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
}

#[test]
fn the_log_tells_once_that_a_state_began_and_once_that_it_ended() {
    let (mut told, start) = (Told::default(), Instant::now());
    let reason = |code, detail: &str| Reason { code, detail: detail.into() };
    let at = |seconds| start + Duration::from_secs(seconds);
    // What may be of a moment is told when it has lasted.
    assert_eq!(told.look(&[reason(Code::CutOff, "one")], at(0)), []);
    assert_eq!(told.look(&[], at(4)), [], "what was not told does not end either");
    assert_eq!(told.look(&[reason(Code::CutOff, "two")], at(5)), []);
    assert_eq!(told.look(&[reason(Code::CutOff, "three")], at(10)), [Line::Began(reason(Code::CutOff, "three"))]);
    // In between nothing is said, whatever the sentence becomes.
    for second in 11..60 {
        assert_eq!(told.look(&[reason(Code::CutOff, &second.to_string())], at(second)), []);
    }
    let both = [reason(Code::CutOff, "more"), reason(Code::NoQuorum, "who")];
    assert_eq!(told.look(&both, at(60)), [Line::Began(both[1].clone())], "this one has lasted when it is found");
    assert_eq!(told.look(&both[1..], at(65)), [Line::Ended(Code::CutOff, Duration::from_secs(60))]);
    assert_eq!(told.look(&[], at(70)), [Line::Ended(Code::NoQuorum, Duration::from_secs(10))]);
    assert_eq!(told.look(&[], at(71)), []);
}
