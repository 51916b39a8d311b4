//! Emergency stops and what comes of them; what whoever meets a version hears of it.

use crate::common::{account, decide, founded, ledger, open, status, version, vote};
use allod_protocol::{
    ground::{
        ids::{ModelId, Units, VersionLabel},
        limits,
    },
    ledger::execute::Executed,
    rules::{
        action::Action,
        dispute::{DisputeTarget, OpenDispute},
        emergency::{LiftSuspension, StopEnd, StopVersion, SuspendVersion, SuspendedBy, VersionStop},
        event::Event,
        model::{
            Model, PublishVersion, ReleaseVersion, SetPolicy, Version, VersionRef, VersionStatus, WithdrawVersion,
        },
        policy::{EmergencyStop, ModelPolicy, Rule},
        proposal::{Choice, ExecuteProposal, ModelAction, ProposalStatus, Question},
        standing::{self, ConcernKind, Standing},
    },
};
use allod_tests::ledger::{TestLedger, policy};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn label(text: &str) -> VersionLabel {
    VersionLabel::new(text).unwrap()
}

/// hilltop and riverbend may stop versions, for a day; the owners decide on safety in five seconds.
fn guarded(ledger: &mut TestLedger) -> ModelId {
    let accounts = vec![account(ledger, 2), account(ledger, 3)];
    let policy = policy(50, 60);
    let safety = Some(Rule { voting_period_ms: 5_000, ..policy.release });
    let emergency = Some(EmergencyStop { accounts, for_ms: DAY_MS });
    let model = founded(ledger, ModelPolicy { safety, emergency, ..policy });
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    decide(ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") }), &[0, 1]);
    ledger.block(10_000, vec![]);
    model
}

fn stop(model: ModelId, of: &str, stops: bool) -> Action {
    Action::StopVersion(StopVersion { model, label: label(of), stops, reason: "it harms".into() })
}

fn read(ledger: &TestLedger, model: ModelId, of: &str) -> Version {
    ledger.read(&(model, label(of))).unwrap()
}

fn is_suspended(ledger: &TestLedger, model: ModelId, of: &str) -> bool {
    read(ledger, model, of).suspended.is_some()
}

fn ends(executed: &Executed) -> Vec<StopEnd> {
    let of_transactions = executed.results.iter().flat_map(|result| &result.events);
    let events = executed.deadline_events.iter().chain(of_transactions);
    events.filter_map(|event| if let Event::SuspensionEnded { end, .. } = event { Some(*end) } else { None }).collect()
}

fn ended(ledger: &TestLedger, model: ModelId, number: u64) -> Option<StopEnd> {
    ledger.read::<VersionStop>(&(model, number)).unwrap().ended.map(|(end, _)| end)
}

fn standing(ledger: &TestLedger, model: ModelId, of: &str) -> Standing {
    standing::of(&ledger.state, &read(ledger, model, of), standing::ANCESTORS).unwrap()
}

#[test]
fn a_stop_suspends_at_once_and_lapses_for_everybody_to_see() {
    let mut ledger = ledger();
    let model = guarded(&mut ledger);
    assert_eq!(ledger.refused(0, stop(model, "1.0", true)), "may_not_stop", "not even the steward who holds most");
    assert_eq!(ledger.refused(2, stop(model, "2.0", true)), "unknown_version");
    let events = ledger.must(2, stop(model, "1.0", true)).events;
    assert!(
        matches!(&events[..], [Event::VersionSuspended { by: SuspendedBy::Stop { number: 0, .. }, .. }]),
        "{events:?}"
    );
    assert!(is_suspended(&ledger, model, "1.0"));
    assert!(matches!(read(&ledger, model, "1.0").status, VersionStatus::Released { .. }), "where it stood, it stands");
    assert_eq!(ledger.refused(3, stop(model, "1.0", true)), "version_suspended", "one stop at a time");
    assert_eq!(ledger.refused(3, stop(model, "1.0", false)), "not_own_stop");

    let lapsed = ledger.block(DAY_MS, vec![]);
    assert_eq!(ends(&lapsed), [StopEnd::Lapsed]);
    assert!(!is_suspended(&ledger, model, "1.0"));
    assert_eq!(ended(&ledger, model, 0), Some(StopEnd::Lapsed), "the history keeps it");
    assert_eq!(ledger.refused(2, stop(model, "1.0", false)), "version_not_suspended");
}

#[test]
fn owners_lift_a_stop_by_the_short_path_and_it_does_not_come_back_at_once() {
    let mut ledger = ledger();
    let model = guarded(&mut ledger);
    ledger.must(2, stop(model, "1.0", true));
    let lift = ModelAction::LiftSuspension(LiftSuspension { label: label("1.0"), reason: "a false alarm".into() });
    decide(&mut ledger, model, lift.clone(), &[0, 1]);
    assert_eq!(ends(&ledger.block(5_000, vec![])).len(), 1, "in the five seconds of the safety rule");
    assert!(matches!(ended(&ledger, model, 0), Some(StopEnd::Lifted(_))));
    assert!(ends(&ledger.block(DAY_MS, vec![])).is_empty(), "nothing is left on the agenda");

    // The same account waits; another one that the policy names does not.
    assert_eq!(ledger.refused(2, stop(model, "1.0", true)), "stopped_before");
    ledger.must(3, stop(model, "1.0", true));
    ledger.must(3, stop(model, "1.0", false));
    assert!(!is_suspended(&ledger, model, "1.0"), "riverbend took its own stop back");
    assert_eq!(ledger.refused(3, stop(model, "1.0", true)), "stopped_before", "which counts all the same");

    // Three times in all, each long after the one before, and then never again.
    for _ in 1..limits::EMERGENCY_STOPS {
        ledger.block(limits::EMERGENCY_REST_MS + DAY_MS, vec![]);
        ledger.must(2, stop(model, "1.0", true));
        ledger.block(DAY_MS, vec![]);
    }
    ledger.block(limits::EMERGENCY_REST_MS + DAY_MS, vec![]);
    assert_eq!(ledger.refused(2, stop(model, "1.0", true)), "stops_used_up");
    let nothing = decide(&mut ledger, model, lift, &[0, 1]);
    ledger.block(5_000, vec![]);
    assert!(matches!(status(&ledger, nothing), ProposalStatus::ExecutionFailed { .. }), "nothing is suspended");
}

#[test]
fn owners_confirm_a_stop_and_end_that_when_they_like() {
    let mut ledger = ledger();
    let model = guarded(&mut ledger);
    ledger.must(2, stop(model, "1.0", true));
    let suspend = ModelAction::SuspendVersion(SuspendVersion { label: label("1.0"), reason: "it does harm".into() });
    decide(&mut ledger, model, suspend.clone(), &[0, 1]);
    ledger.block(5_000, vec![]);
    assert!(matches!(ended(&ledger, model, 0), Some(StopEnd::Confirmed(_))));
    ledger.block(90 * DAY_MS, vec![]);
    assert!(is_suspended(&ledger, model, "1.0"), "it has no term any more");
    let again = decide(&mut ledger, model, suspend, &[0, 1]);
    ledger.block(5_000, vec![]);
    assert!(matches!(status(&ledger, again), ProposalStatus::ExecutionFailed { .. }));
    let lift = ModelAction::LiftSuspension(LiftSuspension { label: label("1.0"), reason: "mended".into() });
    decide(&mut ledger, model, lift, &[0, 1]);
    ledger.block(5_000, vec![]);
    assert!(!is_suspended(&ledger, model, "1.0"));

    // Withdrawing it ends a stop for good.
    ledger.must(3, stop(model, "1.0", true));
    let withdraw = ModelAction::WithdrawVersion(WithdrawVersion { label: label("1.0"), reason: "it does harm".into() });
    decide(&mut ledger, model, withdraw, &[0, 1]);
    ledger.block(5_000, vec![]);
    assert!(matches!(ended(&ledger, model, 1), Some(StopEnd::Withdrawn(Some(_)))));
    assert_eq!(ledger.refused(2, stop(model, "1.0", true)), "wrong_version_status");
    assert!(ends(&ledger.block(DAY_MS, vec![])).is_empty());
}

#[test]
fn a_stop_holds_up_a_release_and_no_longer_than_it_lasts() {
    let mut ledger = ledger();
    let model = guarded(&mut ledger);
    ledger.must(0, Action::PublishVersion(version(model, "1.1")));
    ledger.must(3, stop(model, "1.1", true));
    let release =
        decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.1") }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let execute = Action::ExecuteProposal(ExecuteProposal { proposal: release });
    assert_eq!(ledger.refused(0, execute.clone()), "version_suspended");
    ledger.block(DAY_MS, vec![]);
    ledger.must(0, execute);
    assert_eq!(ledger.read::<Model>(&model).unwrap().released, Some(label("1.1")));
}

#[test]
fn one_who_stops_everything_is_undone_by_one_decision() {
    let mut ledger = ledger();
    let model = guarded(&mut ledger);
    let most = limits::EMERGENCY_STOPS_AT_ONCE;
    let labels: Vec<String> = (0..=most).map(|number| format!("2.{number}")).collect();
    for of in &labels {
        ledger.must(0, Action::PublishVersion(version(model, of)));
    }
    for of in &labels[1..] {
        ledger.must(2, stop(model, of, true));
    }
    assert_eq!(ledger.refused(2, stop(model, &labels[0], true)), "too_many_stops");
    let lift =
        |of: &String| ModelAction::LiftSuspension(LiftSuspension { label: label(of), reason: "a false alarm".into() });
    let all = open(&mut ledger, 0, Question::of_model(model, labels[1..].iter().map(lift).collect()));
    [0, 1].iter().for_each(|voter| vote(&mut ledger, *voter, all, Choice::Yes));
    assert_eq!(ends(&ledger.block(5_000, vec![])).len(), most as usize);
    ledger.must(2, stop(model, &labels[0], true));

    // Who is not named any more stops nothing more, and what it stopped runs out.
    let policy = Box::new(ModelPolicy { emergency: None, ..ledger.read::<Model>(&model).unwrap().policy });
    decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy }), &[0, 1]);
    ledger.block(10_000, vec![]);
    assert_eq!(ledger.refused(2, stop(model, "1.0", true)), "may_not_stop");
    assert!(is_suspended(&ledger, model, &labels[0]));
    assert_eq!(ends(&ledger.block(DAY_MS, vec![])), [StopEnd::Lapsed]);
}

#[test]
fn whoever_meets_a_version_hears_what_is_the_matter_with_it_and_with_what_it_was_made_from() {
    let mut ledger = ledger();
    let model = guarded(&mut ledger);
    let made_from = |of: &str, parents: &[&str]| PublishVersion {
        parents: parents.iter().map(|parent| VersionRef { model, label: label(parent) }).collect(),
        ..version(model, of)
    };
    ledger.must(0, Action::PublishVersion(made_from("1.1", &["1.0"])));
    ledger.must(0, Action::PublishVersion(made_from("1.2", &["1.1", "1.0"])));
    assert_eq!(standing(&ledger, model, "1.2"), Standing::default());

    ledger.must(2, stop(model, "1.0", true));
    let target = DisputeTarget::Version { model, label: label("1.1") };
    let (units, text) = (Units::ZERO, "trained on our records".into());
    ledger.must(1, Action::OpenDispute(OpenDispute { target, units, text, evidence: None, bond: Units::ZERO }));
    let found = standing(&ledger, model, "1.0");
    assert_eq!(found.barred().map(|concern| concern.kind), Some(ConcernKind::Suspended));
    assert!(found.barred().unwrap().until.is_some());
    let said: Vec<(ConcernKind, &str, u32)> =
        Vec::from([(ConcernKind::Suspended, "1.0", 1), (ConcernKind::Disputed, "1.1", 1)]);
    let found = standing(&ledger, model, "1.2");
    assert_eq!(found.barred(), None, "what it was made from bars nobody from it");
    let mut kinds: Vec<_> = found.concerns.iter().map(|it| (it.kind, it.version.label.as_str(), it.distance)).collect();
    kinds.sort_by_key(|(_, of, _)| *of);
    assert_eq!(kinds, said, "each ancestor once, by the shortest way");

    let withdraw = ModelAction::WithdrawVersion(WithdrawVersion { label: label("1.0"), reason: "it does harm".into() });
    decide(&mut ledger, model, withdraw, &[0, 1]);
    ledger.block(5_000, vec![]);
    let own = standing(&ledger, model, "1.0");
    assert_eq!(own.own().map(|it| (it.kind, it.reason.as_str())), Some((ConcernKind::Withdrawn, "it does harm")));
    assert!(standing(&ledger, model, "1.2").concerns.iter().any(|it| it.kind == ConcernKind::Withdrawn));
}

#[test]
fn a_long_lineage_is_followed_so_far_and_no_farther() {
    let mut ledger = ledger();
    let model = guarded(&mut ledger);
    ledger.must(2, stop(model, "1.0", true));
    let mut before = "1.0".to_owned();
    for number in 0..=standing::STEPS {
        let of = format!("3.{number}");
        let parents = vec![VersionRef { model, label: label(&before) }];
        ledger.must(0, Action::PublishVersion(PublishVersion { parents, ..version(model, &of) }));
        before = of;
    }
    let near = standing(&ledger, model, &format!("3.{}", standing::STEPS - 1));
    assert_eq!((near.concerns.len(), near.partial), (1, false));
    let far = standing(&ledger, model, &before);
    assert_eq!((far.concerns.len(), far.partial), (0, true), "it says that it did not look at all");
    let few = standing::of(&ledger.state, &read(&ledger, model, "3.3"), 2).unwrap();
    assert_eq!((few.concerns.len(), few.partial), (0, true));
}
