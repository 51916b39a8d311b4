//! Change of control: keys in other hands, and what the owners of a model have to say to that.

use crate::common::{account, decide, founded, ledger, open, status, tally, units, vote};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{AccountId, Height, ModelId, Units},
    },
    ledger::execute::Outcome,
    proof::{Subject, deed::Facts},
    rules::{
        account::{KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        control::{AcceptControl, ChangeOfControl, Control},
        delegation::Delegate,
        event::Event,
        model::SetPolicy,
        office::{AcceptOffice, Office},
        policy::{ModelPolicy, TransferRule},
        proposal::{CastBallot, Choice, ModelAction, ProposalStatus, Question},
        recovery::{RecoverAccount, RecoveryPolicy, SetRecovery},
        sale::{AcceptTransfer, ApproveTransfer},
        share::{BurnShares, TransferShares},
    },
};
use allod_tests::ledger::{TestLedger, key, policy};

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn needing(threshold: u32, keys: &[SigningKey]) -> KeyPolicy {
    KeyPolicy { threshold, keys: keys.iter().map(|key| WeightedKey { key: key.public_key(), weight: 1 }).collect() }
}

fn watched(change_of_control: ChangeOfControl) -> ModelPolicy {
    ModelPolicy { change_of_control, ..policy(50, 60) }
}

/// lakeside, which holds 30 of 100, asks with these keys.
fn ask(ledger: &mut TestLedger, keys: &[SigningKey], action: Action) -> Result<Vec<Event>, &'static str> {
    let lakeside = account(ledger, 1);
    let transaction = ledger.sign(lakeside, keys, action);
    let result = ledger.run(transaction);
    match result.outcome {
        Outcome::Applied => Ok(result.events),
        Outcome::Rejected(rejection) => Err(rejection.code()),
    }
}

fn rotate(ledger: &mut TestLedger, keys: &[SigningKey], to: &KeyPolicy) -> bool {
    let events = ask(ledger, keys, Action::RotateKeys(RotateKeys { keys: to.clone() })).unwrap();
    events.iter().any(|event| matches!(event, Event::ControlChanged { .. }))
}

fn give(model: ModelId, to: AccountId) -> Action {
    Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason: "sold".into() })
}

fn unaccepted(ledger: &TestLedger, model: ModelId) -> Option<Height> {
    let subject = Subject::Share { model, account: account(ledger, 1) };
    match subject.facts(&ledger.state).unwrap() {
        Facts::Share(facts) => {
            let doubt = facts.unaccepted.as_ref().map(|epoch| epoch.since);
            assert_eq!(facts.free_units(ledger.tip.time) == Units::ZERO, doubt.is_some() || facts.units == Units::ZERO);
            doubt
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_gets_the_keys_neither_answers_nor_gives_until_the_owners_accept_them() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, watched(ChangeOfControl::Approval));
    let (lakeside, hilltop) = (account(&ledger, 1), account(&ledger, 2));
    let new = signing_key(90);
    let keys = needing(1, std::slice::from_ref(&new));
    let question = open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    assert!(rotate(&mut ledger, &[key(1)], &keys));
    assert!(unaccepted(&ledger, model).is_some(), "which a deed says");

    let new_key = std::slice::from_ref(&new);
    let yes = Action::CastBallot(CastBallot::whole(question, Choice::Yes));
    assert_eq!(ask(&mut ledger, new_key, yes), Err("control_not_accepted"));
    assert_eq!(ask(&mut ledger, new_key, give(model, hilltop)), Err("control_not_accepted"));
    let delegate = |to| Action::Delegate(Delegate { model, to, expires: None });
    assert_eq!(ask(&mut ledger, new_key, delegate(Some(hilltop))), Err("control_not_accepted"));
    assert!(ask(&mut ledger, new_key, delegate(None)).is_ok());
    let burn = Action::BurnShares(BurnShares { model, units: Units::new(2), reason: "ours no more".into() });
    assert!(ask(&mut ledger, new_key, burn).is_ok(), "it can give units up");
    assert_eq!(units(&ledger, model, "lakeside"), 28, "and keeps the rest");

    let others = ModelAction::AcceptControl(AcceptControl { account: lakeside, keys: needing(1, &[signing_key(91)]) });
    decide(&mut ledger, model, others, &[0, 2]);
    ledger.block(10_000, vec![]);
    assert!(unaccepted(&ledger, model).is_some(), "other keys were accepted");
    let accept = ModelAction::AcceptControl(AcceptControl { account: lakeside, keys: keys.clone() });
    let accepted = decide(&mut ledger, model, accept, &[0, 2]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, accepted), ProposalStatus::Executed { .. }));
    assert_eq!(unaccepted(&ledger, model), None);
    let question = open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    assert!(ask(&mut ledger, new_key, Action::CastBallot(CastBallot::whole(question, Choice::Yes))).is_ok());
    assert_eq!(tally(&ledger, question), [28, 0, 0, 0]);
    assert!(ask(&mut ledger, new_key, give(model, hilltop)).is_ok());
}

#[test]
fn a_holder_asks_before_it_hands_its_keys_over() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, watched(ChangeOfControl::Approval));
    let (lakeside, keys) = (account(&ledger, 1), needing(2, &[signing_key(90), signing_key(91)]));
    let accept = ModelAction::AcceptControl(AcceptControl { account: lakeside, keys: keys.clone() });
    let question = open(&mut ledger, 1, Question::of_model(model, vec![accept]));
    [0, 1].into_iter().for_each(|voter| vote(&mut ledger, voter, question, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert!(rotate(&mut ledger, &[key(1)], &keys));
    assert_eq!(unaccepted(&ledger, model), None);
    let next = needing(1, &[signing_key(92)]);
    assert!(rotate(&mut ledger, &[signing_key(90), signing_key(91)], &next), "those keys, and not the next ones");
    assert!(unaccepted(&ledger, model).is_some());
}

#[test]
fn keys_replaced_in_the_ordinary_course_change_nothing_and_small_steps_are_no_way_around() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, watched(ChangeOfControl::Approval));
    let [a, b, c, d, e] = [key(1), signing_key(90), signing_key(91), signing_key(92), signing_key(93)];
    let three = |keys: [&SigningKey; 3]| needing(2, &keys.map(Clone::clone));
    assert!(!rotate(&mut ledger, std::slice::from_ref(&a), &needing(1, &[a.clone(), b.clone()])), "a is still enough");
    assert!(rotate(&mut ledger, std::slice::from_ref(&b), &three([&a, &b, &c])), "a alone is not, and b is new");
    assert!(!rotate(&mut ledger, &[a.clone(), b.clone()], &three([&b, &c, &d])));
    assert!(rotate(&mut ledger, &[b, c.clone()], &three([&c, &d, &e])), "c alone is left of those it began with");
    assert_eq!(ledger.read::<Control>(&account(&ledger, 1)).unwrap().epoch.since, ledger.tip.height);
    assert!(unaccepted(&ledger, model).is_some());
}

#[test]
fn what_was_before_the_rule_or_before_the_units_is_nobodys_business() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, watched(ChangeOfControl::Free));
    assert!(rotate(&mut ledger, &[key(1)], &needing(1, &[signing_key(90)])));
    assert_eq!(unaccepted(&ledger, model), None, "the owners have no say in it");
    let rule = ModelAction::SetPolicy(SetPolicy { policy: Box::new(watched(ChangeOfControl::Approval)) });
    decide(&mut ledger, model, rule.clone(), &[0, 2]);
    ledger.block(10_000, vec![]);
    assert_eq!(unaccepted(&ledger, model), None, "nor get one afterwards");
    // seafront changes hands, and buys.
    let seafront = account(&ledger, 4);
    let rotation = Action::RotateKeys(RotateKeys { keys: needing(1, &[signing_key(95)]) });
    ledger.must(4, rotation);
    ledger.must(2, give(model, seafront));
    let back = ledger.sign(seafront, &[signing_key(95)], give(model, account(&ledger, 2)));
    assert_eq!(ledger.run(back).outcome, Outcome::Applied, "whoever sold to it knew its keys");
    // That the rule is set again does not excuse what was under it.
    assert!(rotate(&mut ledger, &[signing_key(90)], &needing(1, &[signing_key(91)])));
    decide(&mut ledger, model, rule, &[0, 2]);
    ledger.block(10_000, vec![]);
    assert!(unaccepted(&ledger, model).is_some());
}

#[test]
fn an_approved_sale_waits_while_the_sellers_keys_are_not_accepted() {
    let mut ledger = ledger();
    let rules = ModelPolicy { transfers: TransferRule::Approval, ..watched(ChangeOfControl::Approval) };
    let model = founded(&mut ledger, rules);
    let to = account(&ledger, 3);
    let sale = ModelAction::ApproveTransfer(ApproveTransfer {
        to,
        units: Units::new(5),
        price: String::new(),
        reason: "sold".into(),
    });
    let sold = open(&mut ledger, 1, Question::of_model(model, vec![sale]));
    [0, 1].into_iter().for_each(|voter| vote(&mut ledger, voter, sold, Choice::Yes));
    ledger.must(3, Action::AcceptTransfer(AcceptTransfer { proposal: sold, accept: true }));
    let keys = needing(1, &[signing_key(90)]);
    assert!(rotate(&mut ledger, &[key(1)], &keys));
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, sold), ProposalStatus::Queued { .. }), "{:?}", status(&ledger, sold));
    assert_eq!(units(&ledger, model, "riverbend"), 0);
    let accept = ModelAction::AcceptControl(AcceptControl { account: account(&ledger, 1), keys });
    decide(&mut ledger, model, accept, &[0, 2]);
    ledger.block(10_000, vec![]);
    let execute = allod_protocol::rules::proposal::ExecuteProposal { proposal: sold };
    ledger.must(2, Action::ExecuteProposal(execute));
    assert_eq!(units(&ledger, model, "riverbend"), 5);
}

#[test]
fn what_guardians_do_is_no_change_and_takes_one_back() {
    const DELAY_MS: u64 = 60_000;
    let mut ledger = ledger();
    let model = founded(&mut ledger, watched(ChangeOfControl::Approval));
    let lakeside = account(&ledger, 1);
    let guardians = vec![account(&ledger, 2), account(&ledger, 3)];
    let recovery = RecoveryPolicy { guardians, needed: 2, delay_ms: DELAY_MS };
    ledger.must(1, Action::SetRecovery(SetRecovery { policy: Some(recovery) }));
    for guardian in [2, 3] {
        let office = Office::KeyGuardian(lakeside);
        ledger.must(guardian, Action::AcceptOffice(AcceptOffice { office, proof: None }));
    }
    let recover = |ledger: &mut TestLedger, seed: u8| {
        for guardian in [2, 3] {
            let keys = needing(1, &[signing_key(seed)]);
            ledger.must(guardian, Action::RecoverAccount(RecoverAccount { account: lakeside, keys }));
        }
        ledger.block(DELAY_MS, vec![]);
    };
    // The key is stolen, and the thief is out again.
    assert!(rotate(&mut ledger, &[key(1)], &needing(1, &[signing_key(90)])));
    assert!(unaccepted(&ledger, model).is_some(), "a thief neither answers nor gives meanwhile");
    assert!(rotate(&mut ledger, &[signing_key(90)], &needing(1, &[signing_key(91)])));
    recover(&mut ledger, 92);
    assert_eq!(unaccepted(&ledger, model), None);
    // A key is lost, and found a successor.
    recover(&mut ledger, 93);
    assert_eq!(unaccepted(&ledger, model), None);
    // A change that the guardians let stand is one, whatever they do later.
    assert!(rotate(&mut ledger, &[signing_key(93)], &needing(1, &[signing_key(94)])));
    ledger.block(DELAY_MS, vec![]);
    recover(&mut ledger, 95);
    assert!(unaccepted(&ledger, model).is_some());
}

#[test]
fn guardians_take_back_no_change_that_was_settled_before() {
    const DELAY_MS: u64 = 60_000;
    let mut ledger = ledger();
    let model = founded(&mut ledger, watched(ChangeOfControl::Approval));
    let (lakeside, hilltop) = (account(&ledger, 1), account(&ledger, 2));
    let guarded = |delay_ms| {
        let policy = Some(RecoveryPolicy { guardians: vec![hilltop], needed: 1, delay_ms });
        Action::SetRecovery(SetRecovery { policy })
    };
    ledger.must(1, guarded(DELAY_MS));
    let office = Office::KeyGuardian(lakeside);
    ledger.must(2, Action::AcceptOffice(AcceptOffice { office, proof: None }));
    let [sold, next] = [90, 91].map(signing_key);
    assert!(rotate(&mut ledger, &[key(1)], &needing(1, std::slice::from_ref(&sold))));
    ledger.block(DELAY_MS, vec![]);
    // Who bought the keys asks for other terms, so that something waits again, and changes the keys once more.
    ask(&mut ledger, std::slice::from_ref(&sold), guarded(2 * DELAY_MS)).unwrap();
    assert!(rotate(&mut ledger, std::slice::from_ref(&sold), &needing(1, std::slice::from_ref(&next))));
    let keys = needing(1, std::slice::from_ref(&sold));
    ledger.must(2, Action::RecoverAccount(RecoverAccount { account: lakeside, keys: keys.clone() }));
    ledger.block(DELAY_MS, vec![]);
    assert_eq!(ledger.read::<Control>(&lakeside).unwrap().epoch.keys, keys, "the last change is taken back alone");
    assert!(unaccepted(&ledger, model).is_some());
}
