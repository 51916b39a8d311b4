//! What stewards say of contributions, and what a giver can do about it.

use super::*;
use crate::common::{decide_network, found, founding};
use allod_protocol::{
    ground::ids::DisputeId,
    rules::{
        contribution::{Contribution, DeclineContribution},
        dispute::{AnswerDispute, ResolveDispute, RuleDispute},
        model::{CreateModel, Model, SetPolicy, SetStewards},
        network::SuspendAccount,
        policy::{Arbiters, DisputeTerms, ModelPolicy},
        proposal::{ModelAction, NetworkAction},
    },
};

/// Northfield, lakeside and hilltop are stewards, two of whom countersign; lakeside and riverbend arbitrate, seafront stands
/// in. A ruling waits a second.
fn reviewed(ledger: &mut TestLedger, has_arbiters: bool) -> ModelId {
    let stewards = [0, 1, 2].map(|index| account(ledger, index)).into();
    let accounts = [1, 3].map(|index| account(ledger, index)).into();
    let stand_ins = vec![account(ledger, 4)];
    let arbiters = has_arbiters.then_some(Arbiters { stand_ins, ..Arbiters::new(accounts, 2) });
    let dispute_terms = DisputeTerms { ruling_timelock_ms: 1_000, ..DisputeTerms::default() };
    let policy = ModelPolicy { arbiters, countersigners: 2, dispute_terms, ..policy(50, 60) };
    let founding = CreateModel { stewards, ..founding(ledger, policy) };
    let model = found(ledger, founding);
    open_round(ledger, model, plan(100));
    model
}

fn decline(contribution: ContributionId) -> Action {
    Action::DeclineContribution(DeclineContribution { contribution, reason: "the log shows half of it".into() })
}

fn appeal(contribution: ContributionId) -> Action {
    let target = DisputeTarget::Appeal(contribution);
    Action::OpenDispute(OpenDispute {
        target,
        units: Units::ZERO,
        text: "it was given".into(),
        evidence: None,
        bond: Units::ZERO,
    })
}

fn must_appeal(ledger: &mut TestLedger, by: u8, contribution: ContributionId) -> DisputeId {
    match ledger.must(by, appeal(contribution)).events.first() {
        Some(Event::DisputeOpened { dispute, .. }) => *dispute,
        other => panic!("{other:?}"),
    }
}

fn rule(dispute: DisputeId, upholds: bool) -> Action {
    Action::RuleDispute(RuleDispute { dispute, upholds, reasons: "the log is whole".into() })
}

/// The steward answers, and riverbend and seafront rule.
fn settle(ledger: &mut TestLedger, dispute: DisputeId, by: u8, upholds: bool) {
    let answer = AnswerDispute { dispute, text: "half of it".into(), evidence: None };
    ledger.must(by, Action::AnswerDispute(answer));
    for arbiter in [3, 4] {
        ledger.must(arbiter, rule(dispute, upholds));
    }
}

fn data(model: ModelId) -> Action {
    record(model, ContributionKind::Data, 100, None)
}

fn score(ledger: &TestLedger, model: ModelId) -> u64 {
    ledger.read::<Round>(&(model, 0)).expect("round").score
}

#[test]
fn as_many_stewards_countersign_as_the_policy_asks_for_and_the_giver_is_none_of_them() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let id = give(&mut ledger, 3, data(model));
    let first = ledger.must(0, accept(id)).events;
    assert!(matches!(first[..], [Event::ContributionAccepted { lacking: 1, .. }]), "{first:?}");
    assert_eq!((score(&ledger, model), ledger.refused(0, accept(id))), (0, "already_countersigned"));
    ledger.must(1, accept(id));
    assert_eq!((score(&ledger, model), ledger.refused(2, accept(id))), (100, "already_accepted"));

    let own = give(&mut ledger, 0, data(model));
    assert_eq!(ledger.refused(0, accept(own)), "own_contribution");
    ledger.must(1, accept(own));
    assert_eq!(score(&ledger, model), 100);
    ledger.must(2, accept(own));
    assert_eq!(score(&ledger, model), 200);
}

#[test]
fn who_is_no_longer_a_steward_no_longer_counts_and_where_the_giver_is_one_all_the_others_do() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let (id, own) = (give(&mut ledger, 3, data(model)), give(&mut ledger, 2, data(model)));
    ledger.must(1, accept(id));
    let stewards = [0, 2].map(|index| account(&ledger, index)).into();
    decide(&mut ledger, model, ModelAction::SetStewards(SetStewards { stewards }), &[0, 1]);
    ledger.block(10_000, vec![]);
    ledger.must(0, accept(id));
    assert_eq!(score(&ledger, model), 0, "lakeside is no steward any more");
    ledger.must(2, accept(id));
    assert_eq!(score(&ledger, model), 100);
    ledger.must(0, accept(own));
    assert_eq!(score(&ledger, model), 200, "northfield is all that is left beside hilltop, the giver");
}

#[test]
fn owners_who_leave_one_steward_of_two_and_ask_for_one_let_nothing_in_that_two_were_asked_for() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let id = give(&mut ledger, 3, data(model));
    let one = ModelPolicy { countersigners: 1, ..ledger.read::<Model>(&model).unwrap().policy };
    decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy: Box::new(one) }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let stewards = vec![account(&ledger, 0)];
    decide(&mut ledger, model, ModelAction::SetStewards(SetStewards { stewards }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let events = ledger.must(0, accept(id)).events;
    assert!(matches!(events[..], [Event::ContributionAccepted { lacking: 1, .. }]), "{events:?}");
    assert_eq!(score(&ledger, model), 0, "the round asked for two when it was opened");
}

#[test]
fn a_giver_that_is_suspended_still_appeals() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let id = give(&mut ledger, 2, data(model));
    ledger.must(0, decline(id));
    let suspend = NetworkAction::SuspendAccount(SuspendAccount { account: account(&ledger, 2), reason: "spam".into() });
    assert!(matches!(decide_network(&mut ledger, suspend), ProposalStatus::Executed { .. }));
    assert_eq!(ledger.refused(2, data(model)), "suspended");
    let dispute = must_appeal(&mut ledger, 2, id);
    settle(&mut ledger, dispute, 0, true);
    ledger.block(1_000, vec![]);
    assert_eq!(score(&ledger, model), 100, "it would lose its work by waiting");
}

#[test]
fn a_policy_cannot_ask_for_more_stewards_than_there_are() {
    let mut ledger = ledger();
    let two = ModelPolicy { countersigners: 2, ..policy(50, 60) };
    let alone = founding(&ledger, two.clone());
    assert_eq!(ledger.refused(0, Action::CreateModel(alone)), "too_few_stewards");
    let none = ModelPolicy { countersigners: 0, ..policy(50, 60) };
    assert!(none.check().unwrap_err().to_string().contains("set 1 to"));
    let model = founded(&mut ledger, policy(50, 60));
    let set = ModelAction::SetPolicy(SetPolicy { policy: Box::new(two) });
    let asked = decide(&mut ledger, model, set, &[0, 1]);
    ledger.block(10_000, vec![]);
    let ProposalStatus::ExecutionFailed { reason, .. } = status(&ledger, asked) else { panic!("it was set") };
    assert_eq!(reason.code(), "too_few_stewards");
    let reviewed = reviewed_of(&mut ledger);
    let stewards = vec![account(&ledger, 0)];
    let asked = decide(&mut ledger, reviewed, ModelAction::SetStewards(SetStewards { stewards }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let ProposalStatus::ExecutionFailed { reason, .. } = status(&ledger, asked) else { panic!("it was set") };
    assert_eq!(reason.code(), "too_few_stewards");
}

fn reviewed_of(ledger: &mut TestLedger) -> ModelId {
    let stewards = [0, 1].map(|index| account(ledger, index)).into();
    let policy = ModelPolicy { countersigners: 2, ..policy(50, 60) };
    let name = allod_protocol::ground::ids::Name::new("other").unwrap();
    let founding = CreateModel { stewards, name, ..founding(ledger, policy) };
    found(ledger, founding)
}

#[test]
fn a_steward_declines_with_a_reason_that_shows_and_hinders_no_other() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let id = give(&mut ledger, 3, data(model));
    let silent = DeclineContribution { contribution: id, reason: " ".into() };
    let form = ledger.sign_as(0, Action::DeclineContribution(silent)).check_form(ledger.tip.network);
    assert!(form.unwrap_err().to_string().contains("say why"));
    assert_eq!(ledger.refused(3, decline(id)), "not_steward");
    ledger.must(0, decline(id));
    let stored: Contribution = ledger.read(&id).unwrap();
    assert_eq!(stored.declined[0].reason, "the log shows half of it");
    ledger.must(1, accept(id));
    ledger.must(1, decline(id));
    assert_eq!(ledger.read::<Contribution>(&id).unwrap().countersigned, [], "a steward has one word, its last");
    ledger.must(1, accept(id));
    ledger.must(2, accept(id));
    assert_eq!((score(&ledger, model), ledger.refused(0, decline(id))), (100, "already_accepted"));
}

#[test]
fn a_giver_appeals_to_arbiters_of_whom_none_has_declined_it() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let id = give(&mut ledger, 2, data(model));
    assert_eq!(ledger.refused(2, appeal(id)), "not_declined");
    ledger.must(0, decline(id));
    ledger.must(1, decline(id));
    assert_eq!(ledger.refused(0, appeal(id)), "not_giver");
    let dispute = must_appeal(&mut ledger, 2, id);
    assert_eq!(ledger.refused(2, appeal(id)), "appealed_already");
    assert_eq!(ledger.refused(1, rule(dispute, false)), "not_arbiter", "lakeside declined it");
    settle(&mut ledger, dispute, 0, true);
    assert_eq!(score(&ledger, model), 0, "the ruling waits");
    ledger.block(1_000, vec![]);
    assert_eq!(score(&ledger, model), 100);
    assert!(ledger.read::<Contribution>(&id).unwrap().accepted.is_some());
    assert_eq!(ledger.refused(1, accept(id)), "already_accepted");
    close(&mut ledger, model);
    assert_eq!(units(&ledger, model, "hilltop"), 120);
}

#[test]
fn arbiters_do_not_rule_on_what_they_countersigned_or_on_rounds_that_pay_them() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let id = give(&mut ledger, 2, data(model));
    let own = give(&mut ledger, 3, data(model));
    for steward in [0, 1] {
        ledger.must(steward, accept(id));
        ledger.must(steward, accept(own));
    }
    let target = DisputeTarget::Contribution(id);
    let action = OpenDispute { target, units: Units::ZERO, text: "copied".into(), evidence: None, bond: Units::ZERO };
    let opened = ledger.must(0, Action::OpenDispute(action));
    let Some(Event::DisputeOpened { dispute, .. }) = opened.events.first() else { panic!("{opened:?}") };
    let answer = AnswerDispute { dispute: *dispute, text: "ours".into(), evidence: None };
    ledger.must(2, Action::AnswerDispute(answer));
    for arbiter in [1, 3] {
        assert_eq!(ledger.refused(arbiter, rule(*dispute, false)), "not_arbiter");
    }
    assert_eq!(ledger.refused(4, rule(*dispute, false)), "for_owners", "one of two is too few");
}

#[test]
fn an_appeal_is_judged_once_and_stewards_may_give_in_meanwhile() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let (lost, given_in) = (give(&mut ledger, 2, data(model)), give(&mut ledger, 2, data(model)));
    for id in [lost, given_in] {
        ledger.must(0, decline(id));
    }
    let dispute = must_appeal(&mut ledger, 2, lost);
    settle(&mut ledger, dispute, 0, false);
    ledger.block(1_000, vec![]);
    assert_eq!((score(&ledger, model), ledger.refused(2, appeal(lost))), (0, "appealed_already"));
    let dispute = must_appeal(&mut ledger, 2, given_in);
    for steward in [0, 1] {
        ledger.must(steward, accept(given_in));
    }
    settle(&mut ledger, dispute, 0, true);
    ledger.block(1_000, vec![]);
    assert_eq!(score(&ledger, model), 100, "it counts once");
}

#[test]
fn who_is_kept_waiting_appeals_under_review_and_without_arbiters_the_owners_decide() {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, false);
    let id = give(&mut ledger, 4, data(model));
    ledger.block(30_000, vec![]);
    let dispute = must_appeal(&mut ledger, 4, id);
    ledger.must(0, Action::AnswerDispute(AnswerDispute { dispute, text: "unread".into(), evidence: None }));
    let resolve = ModelAction::ResolveDispute(ResolveDispute { dispute, upholds: true });
    decide(&mut ledger, model, resolve, &[0, 1, 2]);
    ledger.block(10_000, vec![]);
    assert_eq!(score(&ledger, model), 100);
    close(&mut ledger, model);
    assert_eq!(units(&ledger, model, "seafront"), 100);
}

#[test]
fn an_appeal_that_outlasts_its_round_is_waited_for() {
    for upholds in [true, false] {
        outlast(upholds);
    }
}

fn outlast(upholds: bool) {
    let mut ledger = ledger();
    let model = reviewed(&mut ledger, true);
    let other = give(&mut ledger, 1, data(model));
    for steward in [0, 2] {
        ledger.must(steward, accept(other));
    }
    let id = give(&mut ledger, 2, data(model));
    ledger.must(0, decline(id));
    let dispute = must_appeal(&mut ledger, 2, id);
    close(&mut ledger, model);
    let held = |ledger: &TestLedger| ["hilltop", "lakeside"].map(|handle| units(ledger, model, handle));
    assert_eq!(held(&ledger), [20, 30 + 50], "half is in dispute");
    settle(&mut ledger, dispute, 0, upholds);
    ledger.block(1_000, vec![]);
    for _ in 0..10 {
        ledger.block(1, vec![]);
    }
    assert_eq!(held(&ledger), if upholds { [20 + 50, 30 + 50] } else { [20, 30 + 100] });
    assert_eq!(ledger.refused(2, appeal(other)), "not_giver");
}
