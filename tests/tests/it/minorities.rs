//! What a majority cannot take from a minority: its units without its consent, its part without an offer, more than the
//! policy lets decisions add.

use crate::common::{HANDLES, account, decide, founded, ledger, open, status, units, vote};
use allod_protocol::{
    ground::{
        fraction::Fraction,
        ids::{AccountId, ModelId, Units},
    },
    rules::{
        action::Action,
        model::{Retire, SetPolicy},
        policy::{Dilution, ModelPolicy, Preemption, Risk, Rule, Verdict},
        proposal::{Choice, ModelAction, ProposalStatus, Question},
        rejection::Rejection,
        share::{BurnByDecision, Expropriate, GiveConsent, MintShares, Register, TakeUp},
    },
};
use allod_tests::ledger::{TestLedger, policy};

fn burn(from: AccountId, units: u64) -> ModelAction {
    ModelAction::BurnShares(BurnByDecision { from, units: Units::new(units), cause: "it left".into() })
}

fn mint(to: AccountId, units: u64) -> ModelAction {
    ModelAction::MintShares(MintShares { to, units: Units::new(units), reason: "for scans".into(), vesting: None })
}

fn held(ledger: &TestLedger, model: ModelId) -> Vec<u64> {
    HANDLES.iter().map(|handle| units(ledger, model, handle)).collect()
}

fn take_up(model: ModelId, units: u64) -> Action {
    Action::TakeUp(TakeUp { model, issue: 0, units: Units::new(units) })
}

fn failure(ledger: &TestLedger, id: allod_protocol::ground::ids::ProposalId) -> Rejection {
    match status(ledger, id) {
        ProposalStatus::ExecutionFailed { reason, .. } | ProposalStatus::Expired { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// northfield 50 and lakeside 30 decide over hilltop's 20, and cannot take them.
#[test]
fn nobodys_units_are_burned_without_its_consent() {
    let mut ledger = ledger();
    let mut policy = policy(50, 60);
    policy.ownership.execution_window_ms = 20_000;
    let model = founded(&mut ledger, policy);
    let hilltop = account(&ledger, 2);
    let id = decide(&mut ledger, model, burn(hilltop, 20), &[0, 1]);
    let consent = |agrees| Action::GiveConsent(GiveConsent { proposal: id, agrees });
    assert_eq!(ledger.refused(1, consent(true)), "nothing_taken");
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }), "it waits for hilltop");
    ledger.must(2, consent(true));
    ledger.must(2, consent(false));
    ledger.block(20_000, vec![]);
    assert!(matches!(failure(&ledger, id), Rejection::NoConsent { account, .. } if account == hilltop));
    assert_eq!(held(&ledger, model)[2], 20);
    let id = decide(&mut ledger, model, burn(hilltop, 20), &[0, 1]);
    ledger.must(2, Action::GiveConsent(GiveConsent { proposal: id, agrees: true }));
    ledger.block(10_000, vec![]);
    assert_eq!(held(&ledger, model), [50, 30, 0, 0, 0]);
}

#[test]
fn owners_expropriate_only_by_a_rule_that_says_so_by_name() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let hilltop = account(&ledger, 2);
    let take = ModelAction::Expropriate(Expropriate { from: hilltop, units: Units::new(5), cause: "it copied".into() });
    let ask = |take| {
        let (question, title, text) = (Question::of_model(model, vec![take]), "t".into(), String::new());
        Action::OpenProposal(allod_protocol::rules::proposal::OpenProposal { question, title, text })
    };
    assert_eq!(ledger.refused(0, ask(take.clone())), "no_expropriation");
    let rule = Rule { voting_period_ms: 5_000, ..policy(90, 90).rules };
    let mut change = ModelPolicy { expropriation: Some(rule), ..policy(50, 60) };
    assert_eq!(change.risks(), [Risk::MinorityDecides, Risk::Expropriation]);
    assert!(change.check().unwrap_err().to_string().contains("expropriation"));
    change.allow.push(Risk::Expropriation);
    decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy: Box::new(change) }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let id = decide(&mut ledger, model, take.clone(), &[0, 1]);
    ledger.block(5_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::NoQuorum, .. }), "80 of 90");
    let id = decide(&mut ledger, model, take, &[0, 1, 2]);
    ledger.block(5_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    assert_eq!(held(&ledger, model)[2], 15);
}

#[test]
fn minted_units_are_offered_to_the_holders_first() {
    let mut ledger = ledger();
    let preemption = Some(Preemption { period_ms: 30_000 });
    let model = founded(&mut ledger, ModelPolicy { preemption, ..policy(50, 60) });
    let riverbend = account(&ledger, 3);
    decide(&mut ledger, model, mint(riverbend, 101), &[0, 1]);
    ledger.block(10_000, vec![]);
    assert_eq!(held(&ledger, model), [50, 30, 20, 0, 0], "set aside");
    assert_eq!(ledger.read::<Register>(&model).unwrap().reserved, Units::new(101));
    assert_eq!(ledger.refused(3, take_up(model, 1)), "beyond_entitlement");
    ledger.must(2, take_up(model, 15));
    assert_eq!(ledger.refused(2, take_up(model, 6)), "beyond_entitlement", "a fifth of 101, rounded down");
    ledger.must(2, take_up(model, 5));
    ledger.block(30_000, vec![]);
    assert_eq!(ledger.refused(0, take_up(model, 1)), "unknown_issue");
    assert_eq!(held(&ledger, model), [50, 30, 40, 81, 0], "the rest goes to whom it was minted for");
    assert_eq!(ledger.read::<Register>(&model).unwrap().reserved, Units::ZERO);
}

#[test]
fn nothing_offered_is_minted_once_a_model_is_retired() {
    let mut ledger = ledger();
    let preemption = Some(Preemption { period_ms: 60_000 });
    let model = founded(&mut ledger, ModelPolicy { preemption, ..policy(50, 60) });
    let riverbend = account(&ledger, 3);
    decide(&mut ledger, model, mint(riverbend, 100), &[0, 1]);
    ledger.block(10_000, vec![]);
    decide(&mut ledger, model, ModelAction::Retire(Retire { reason: "replaced".into() }), &[0, 1]);
    ledger.block(10_000, vec![]);
    assert_eq!(ledger.refused(2, take_up(model, 1)), "retired");
    ledger.block(60_000, vec![]);
    assert_eq!(held(&ledger, model), [50, 30, 20, 0, 0]);
    assert_eq!(ledger.read::<Register>(&model).unwrap().reserved, Units::ZERO);
}

#[test]
fn decisions_add_no_more_than_the_policy_lets_them() {
    let mut ledger = ledger();
    let part = |percent| Some(Fraction::percent(percent).unwrap());
    let dilution = Some(Dilution { per_decision: part(20), per_year: part(30) });
    let model = founded(&mut ledger, ModelPolicy { dilution, ..policy(50, 60) });
    let riverbend = account(&ledger, 3);
    let minted = |ledger: &mut TestLedger, actions: Vec<ModelAction>| {
        let id = open(ledger, 0, Question::of_model(model, actions));
        [0, 1].into_iter().for_each(|by| vote(ledger, by, id, Choice::Yes));
        ledger.block(10_000, vec![]);
        match status(ledger, id) {
            ProposalStatus::Executed { .. } => None,
            ProposalStatus::ExecutionFailed { reason, .. } => Some(reason.code()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(minted(&mut ledger, vec![mint(riverbend, 21)]), Some("too_dilutive"));
    let split = vec![mint(riverbend, 11), mint(riverbend, 10)];
    assert_eq!(minted(&mut ledger, split), Some("too_dilutive"), "in two actions of one decision neither");
    assert_eq!(minted(&mut ledger, vec![mint(riverbend, 20)]), None);
    assert_eq!(
        minted(&mut ledger, vec![mint(riverbend, 11)]),
        Some("too_dilutive"),
        "31 of the 100 there were this year"
    );
    assert_eq!(minted(&mut ledger, vec![mint(riverbend, 10)]), None);
    ledger.block(365 * 24 * 60 * 60 * 1_000, vec![]);
    assert_eq!(minted(&mut ledger, vec![mint(riverbend, 26)]), None, "a new year, and a fifth of 130");
}

#[test]
fn a_number_of_holders_stops_a_decision_however_little_they_hold() {
    let mut ledger = ledger();
    let blocked = |rule: Rule| Rule { blocking_holders: Some(2), ..rule };
    let mut base = policy(50, 50);
    base.allow.push(Risk::SplitVoices);
    let model = founded(&mut ledger, ModelPolicy { rules: blocked(base.rules.clone()), ..base });
    let ask = |ledger: &mut TestLedger| open(ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    let id = ask(&mut ledger);
    vote(&mut ledger, 0, id, Choice::Yes);
    vote(&mut ledger, 2, id, Choice::No);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }), "one is not two");
    ledger.must(
        0,
        Action::TransferShares(allod_protocol::rules::share::TransferShares {
            model,
            to: account(&ledger, 3),
            units: Units::new(1),
            reason: String::new(),
        }),
    );
    let id = ask(&mut ledger);
    vote(&mut ledger, 0, id, Choice::Yes);
    vote(&mut ledger, 1, id, Choice::Yes);
    vote(&mut ledger, 2, id, Choice::No);
    vote(&mut ledger, 3, id, Choice::No);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::Blocked, .. }));
}
