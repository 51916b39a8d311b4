//! Weight that falls silent: who may call on whom, what leaves the count, what brings it back.

use crate::common::{account, decide, found, founded, founding, ledger, open, status, tally, units, vote};
use allod_protocol::{
    ground::{
        fraction::Portion,
        ids::{AccountId, ModelId, Name, ProposalId, Units},
    },
    rules::{
        account::Account,
        action::Action,
        delegation::{Delegate, Delegation},
        dormancy::{CallOn, Present, Silence},
        event::Event,
        model::SetPolicy,
        network::{LeaveNetwork, Network, RemoveMember},
        policy::{Dormancy, ModelPolicy, Risk, Rule, Tally, Verdict},
        proposal::{CastBallot, Choice, ModelAction, NetworkAction, ProposalStatus, Question, Scope},
        share::TransferShares,
    },
};
use allod_tests::ledger::{TestLedger, policy};

const SEASON_MS: u64 = 50_000;

/// Two thirds must answer and say yes, more than half of all weight that counts.
fn with_dormancy() -> ModelPolicy {
    let rule = Rule { yes_quorum: Portion::MAJORITY, ..Rule::new(Portion::TWO_THIRDS, Portion::TWO_THIRDS, 10_000) };
    let dormancy = Some(Dormancy { after_ms: SEASON_MS });
    ModelPolicy { dormancy, allow: vec![Risk::HastyDormancy], ..ModelPolicy::uniform(&rule) }
}

fn call(scope: Scope, account: AccountId) -> Action {
    Action::CallOn(CallOn { scope, account })
}

fn is_dormant(ledger: &TestLedger, scope: Scope, account: AccountId) -> Option<bool> {
    ledger.read::<Silence>(&(scope, account)).map(|silence| silence.is_dormant)
}

fn statement(ledger: &mut TestLedger, model: ModelId) -> ProposalId {
    open(ledger, 0, Question::of_model(model, vec![ModelAction::Statement]))
}

fn electorate(ledger: &TestLedger, id: ProposalId) -> u64 {
    ledger.read::<Tally>(&id).unwrap().electorate
}

/// northfield holds 50, lakeside 30, hilltop 20.
#[test]
fn lost_weight_leaves_the_count_and_the_others_can_decide_again() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, northfield) = (Scope::Model(model), account(&ledger, 0));
    let id = decide(&mut ledger, model, ModelAction::Statement, &[1, 2]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::NoQuorum, .. }));
    let called = ledger.must(1, call(scope, northfield));
    let sleeps_at = ledger.tip.time.plus_ms(SEASON_MS);
    let by = account(&ledger, 1);
    assert!(called.events.contains(&Event::CalledOn { scope, account: northfield, by, sleeps_at }));
    ledger.block(SEASON_MS - 1, vec![]);
    assert_eq!(is_dormant(&ledger, scope, northfield), Some(false), "not before its time");
    let fell = ledger.block(1, vec![]).deadline_events;
    assert!(fell.contains(&Event::FellDormant { scope, account: northfield }), "{fell:?}");
    let id = open(&mut ledger, 1, Question::of_model(model, vec![ModelAction::Statement]));
    assert_eq!(electorate(&ledger, id), 50, "never less than half");
    vote(&mut ledger, 1, id, Choice::Yes);
    vote(&mut ledger, 2, id, Choice::Abstain);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }), "30 of 50");
}

#[test]
fn a_quorum_is_of_half_of_all_weight_however_much_of_it_sleeps() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let scope = Scope::Model(model);
    for index in [0, 1] {
        let silent = account(&ledger, index);
        ledger.must(2, call(scope, silent));
    }
    ledger.block(SEASON_MS, vec![]);
    let id = open(&mut ledger, 2, Question::of_model(model, vec![ModelAction::Statement]));
    assert_eq!(electorate(&ledger, id), 50, "hilltop's 20 are awake");
}

#[test]
fn a_call_that_was_answered_makes_room_for_another() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, northfield, lakeside) = (Scope::Model(model), account(&ledger, 0), account(&ledger, 1));
    let open_calls = |ledger: &TestLedger| ledger.read::<Account>(&lakeside).unwrap().open_calls;
    ledger.must(1, call(scope, northfield));
    assert_eq!(open_calls(&ledger), 1);
    ledger.must(0, Action::Present(Present { scope }));
    assert_eq!(open_calls(&ledger), 0);
}

#[test]
fn dormant_weight_counts_in_the_very_vote_in_which_it_speaks() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, lakeside) = (Scope::Model(model), account(&ledger, 1));
    ledger.must(0, call(scope, lakeside));
    ledger.block(SEASON_MS, vec![]);
    let id = statement(&mut ledger, model);
    assert_eq!(electorate(&ledger, id), 70);
    vote(&mut ledger, 0, id, Choice::Yes);
    let woke = ledger.must(1, Action::CastBallot(CastBallot::whole(id, Choice::No)));
    assert!(woke.events.contains(&Event::Spoke { scope, account: lakeside, was_dormant: true }), "{:?}", woke.events);
    assert_eq!((electorate(&ledger, id), tally(&ledger, id)), (100, [50, 30, 0, 0]));
    vote(&mut ledger, 1, id, Choice::Yes);
    assert_eq!((electorate(&ledger, id), tally(&ledger, id)), (100, [80, 0, 0, 0]), "once");
    let next = statement(&mut ledger, model);
    assert_eq!(electorate(&ledger, next), 100, "and from then on");
}

#[test]
fn any_word_ends_a_call() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, lakeside, hilltop) = (Scope::Model(model), account(&ledger, 1), account(&ledger, 2));
    let id = statement(&mut ledger, model);
    let sold = TransferShares { model, to: hilltop, units: Units::new(1), reason: String::new() };
    let words = [
        Action::CastBallot(CastBallot::whole(id, Choice::Abstain)),
        Action::TransferShares(sold),
        Action::Delegate(Delegate { model, to: None, expires: None }),
        Action::Present(Present { scope }),
    ];
    for word in words {
        ledger.must(0, call(scope, lakeside));
        assert_eq!(is_dormant(&ledger, scope, lakeside), Some(false));
        ledger.must(1, word);
        assert_eq!(is_dormant(&ledger, scope, lakeside), None);
    }
    assert_eq!(ledger.refused(1, Action::Present(Present { scope })), "not_called_on");
    ledger.block(SEASON_MS, vec![]);
    assert_eq!(electorate(&ledger, id), 100);
}

#[test]
fn only_who_has_a_voice_calls_on_who_has_one() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, northfield, lakeside, riverbend) =
        (Scope::Model(model), account(&ledger, 0), account(&ledger, 1), account(&ledger, 3));
    assert_eq!(ledger.refused(3, call(scope, northfield)), "no_voice", "riverbend holds nothing");
    assert_eq!(ledger.refused(0, call(scope, riverbend)), "no_voice");
    assert_eq!(ledger.refused(0, call(scope, northfield)), "own_call");
    ledger.must(0, call(scope, lakeside));
    assert_eq!(ledger.refused(2, call(scope, lakeside)), "called_already");
    let mut action = founding(&ledger, policy(50, 60));
    action.name = Name::new("everlasting").unwrap();
    let other = Scope::Model(found(&mut ledger, action));
    assert_eq!(ledger.refused(0, call(other, lakeside)), "no_dormancy");
}

/// lakeside delegates to seafront, which holds nothing and is lost: neither can be called on alone.
#[test]
fn a_delegate_that_is_awake_answers_for_its_holders_and_a_dormant_one_does_not() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, lakeside, seafront) = (Scope::Model(model), account(&ledger, 1), account(&ledger, 4));
    ledger.must(1, Action::Delegate(Delegate { model, to: Some(seafront), expires: None }));
    assert_eq!(ledger.refused(0, call(scope, lakeside)), "delegate_answers");
    ledger.must(0, call(scope, seafront));
    ledger.block(SEASON_MS, vec![]);
    assert_eq!(is_dormant(&ledger, scope, seafront), Some(true));
    ledger.must(0, call(scope, lakeside));
    ledger.block(SEASON_MS, vec![]);
    assert_eq!(is_dormant(&ledger, scope, lakeside), Some(true));
    assert_eq!(
        ledger.read::<Delegation>(&(model, lakeside)),
        None,
        "or its weight would be answered with and not count"
    );
    let id = statement(&mut ledger, model);
    assert_eq!(electorate(&ledger, id), 70);
    let again = Action::CastBallot(CastBallot::whole(id, Choice::Yes));
    assert_eq!(ledger.refused(4, again), "no_weight");
}

#[test]
fn what_the_dormant_count_with_follows_their_units() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, lakeside) = (Scope::Model(model), account(&ledger, 1));
    ledger.must(0, call(scope, lakeside));
    ledger.block(SEASON_MS, vec![]);
    let sold = TransferShares { model, to: lakeside, units: Units::new(10), reason: String::new() };
    ledger.must(0, Action::TransferShares(sold));
    let id = statement(&mut ledger, model);
    assert_eq!((units(&ledger, model, "lakeside"), electorate(&ledger, id)), (40, 60));
    ledger.must(1, Action::Present(Present { scope }));
    let id = statement(&mut ledger, model);
    assert_eq!(electorate(&ledger, id), 100);
}

#[test]
fn members_are_lost_leave_and_are_removed() {
    let mut ledger = TestLedger::new(&["northfield", "lakeside", "hilltop", "riverbend", "seafront", "oldbridge"]);
    let seafront = account(&ledger, 4);
    let members = |ledger: &TestLedger| ledger.read::<Network>(&()).unwrap().members;
    ledger.must(0, call(Scope::Network, seafront));
    ledger.block(20_000, vec![]);
    assert_eq!(is_dormant(&ledger, Scope::Network, seafront), Some(true));
    let remove = |account| NetworkAction::RemoveMember(RemoveMember { account, reason: "it is lost".into() });
    let id = open(&mut ledger, 0, Question::of_network(vec![remove(seafront)]));
    assert_eq!(electorate(&ledger, id), 5, "of six members");
    for by in 0..4 {
        vote(&mut ledger, by, id, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }), "{:?}", status(&ledger, id));
    assert_eq!((members(&ledger), is_dormant(&ledger, Scope::Network, seafront)), (5, None));
    assert_eq!(ledger.refused(4, Action::LeaveNetwork(LeaveNetwork {})), "not_member");
    ledger.must(5, Action::LeaveNetwork(LeaveNetwork {}));
    assert_eq!(members(&ledger), 4);
    assert_eq!(ledger.refused(0, Action::LeaveNetwork(LeaveNetwork {})), "operates_validator");
    let id = open(&mut ledger, 0, Question::of_network(vec![NetworkAction::Statement]));
    assert_eq!(electorate(&ledger, id), 4);
}

#[test]
fn a_policy_without_dormancy_counts_everybody_again() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_dormancy());
    let (scope, lakeside) = (Scope::Model(model), account(&ledger, 1));
    ledger.must(0, call(scope, lakeside));
    ledger.block(SEASON_MS, vec![]);
    let change = ModelPolicy { dormancy: None, ..with_dormancy() };
    decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy: Box::new(change) }), &[0, 2]);
    ledger.block(10_000, vec![]);
    let id = statement(&mut ledger, model);
    assert_eq!(electorate(&ledger, id), 100);
}
