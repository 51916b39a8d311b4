//! Units take their holder's word: which come, which go, and what a sale needs of both sides.

use crate::common::{account, decide, decide_network, founded, founding, ledger, open, status, units, vote};
use allod_protocol::{
    ground::{
        ids::{ModelId, Name, ProposalId, Units},
        limits,
    },
    rules::{
        action::Action,
        dispute::{DisputeTarget, OpenDispute},
        event::Event,
        intake::{SetIntake, UnitsOf},
        model::{CreateModel, ParentGrant},
        network::{ReinstateAccount, SuspendAccount},
        policy::{ModelPolicy, TransferRule},
        proposal::{Choice, ExecuteProposal, ModelAction, NetworkAction, ProposalStatus, Question, WithdrawProposal},
        sale::{AcceptTransfer, ApproveTransfer},
        share::{BurnShares, MintShares, TransferShares, Vesting},
    },
};
use allod_tests::ledger::{TestLedger, policy};

fn intake(of: UnitsOf, takes: impl Into<Option<bool>>) -> Action {
    Action::SetIntake(SetIntake { of, takes: takes.into() })
}

fn give(ledger: &TestLedger, model: ModelId, to: u8) -> Action {
    let to = account(ledger, to);
    Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason: String::new() })
}

fn mint(ledger: &TestLedger, to: u8, vesting: Option<Vesting>) -> ModelAction {
    let to = account(ledger, to);
    ModelAction::MintShares(MintShares { to, units: Units::new(10), reason: String::new(), vesting })
}

fn execute(proposal: ProposalId) -> Action {
    Action::ExecuteProposal(ExecuteProposal { proposal })
}

#[test]
fn an_account_takes_what_comes_unless_it_says_otherwise_of_a_model_or_of_all() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let to_seafront = give(&ledger, model, 4);
    ledger.must(0, to_seafront.clone());
    ledger.must(4, intake(UnitsOf::Any, false));
    assert_eq!(ledger.refused(0, to_seafront.clone()), "not_asked");
    ledger.must(4, intake(UnitsOf::Model(model), true));
    ledger.must(0, to_seafront.clone());
    ledger.must(4, intake(UnitsOf::Any, true));
    ledger.must(4, intake(UnitsOf::Model(model), false));
    assert_eq!(
        ledger.refused(0, to_seafront.clone()),
        "not_asked",
        "what it says of a model counts before that of all"
    );
    ledger.must(4, intake(UnitsOf::Model(model), None));
    ledger.must(0, to_seafront);
    assert_eq!(units(&ledger, model, "seafront"), 3);
    let unknown = UnitsOf::Model(ModelId::from_bytes([1; 32]));
    assert_eq!(ledger.refused(4, intake(unknown, true)), "unknown_model");
}

#[test]
fn founders_name_nobody_a_holder_who_takes_nothing_and_a_parents_holder_stops_no_model() {
    let mut ledger = ledger();
    let parent = founded(&mut ledger, policy(50, 60));
    ledger.must(1, intake(UnitsOf::Any, false));
    let name = |text: &str| Name::new(text).unwrap();
    let again = CreateModel { name: name("letters"), ..founding(&ledger, policy(50, 60)) };
    assert_eq!(ledger.refused(0, Action::CreateModel(again.clone())), "not_asked");
    let own: Vec<_> = again.founding.iter().filter(|line| line.account != account(&ledger, 1)).cloned().collect();
    let grants = vec![ParentGrant { parent, units: Units::new(100) }];
    let derived = CreateModel { founding: own, grants, ..again.clone() };
    let made = ledger.must(0, Action::CreateModel(derived));
    let Some(Event::ModelCreated { model, .. }) = made.events.first() else { panic!("{made:?}") };
    let held = ["northfield", "lakeside", "hilltop"].map(|handle| units(&ledger, *model, handle));
    assert_eq!(held, [50 + 50, 0, 20 + 20], "lakeside's 30 of 100 are granted to nobody");
    // Who founds a model for itself has asked by its signature.
    ledger.must(0, intake(UnitsOf::Any, false));
    let lakeside = account(&ledger, 1);
    let without: Vec<_> = again.founding.iter().filter(|line| line.account != lakeside).cloned().collect();
    ledger.must(0, Action::CreateModel(CreateModel { name: name("words"), founding: without, ..again }));
}

#[test]
fn a_mint_for_who_takes_none_unasked_waits_until_it_asks_or_expires() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    ledger.must(3, intake(UnitsOf::Any, false));
    let to_riverbend = mint(&ledger, 3, None);
    let id = decide(&mut ledger, model, to_riverbend.clone(), &[0, 1]);
    let late = decide(&mut ledger, model, to_riverbend, &[0, 1]);
    ledger.block(20_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }));
    assert_eq!(ledger.refused(0, execute(id)), "not_asked");
    ledger.must(3, intake(UnitsOf::Model(model), true));
    ledger.must(0, execute(id));
    assert_eq!(units(&ledger, model, "riverbend"), 10);
    ledger.must(3, intake(UnitsOf::Model(model), false));
    ledger.block(limits::EXECUTION_WINDOW_MS, vec![]);
    assert!(matches!(status(&ledger, late), ProposalStatus::Expired { .. }));
    assert_eq!(units(&ledger, model, "riverbend"), 10);
    // A holder that asks the owners for units has asked.
    ledger.must(0, intake(UnitsOf::Any, false));
    let to_itself = mint(&ledger, 0, None);
    let id = decide(&mut ledger, model, to_itself, &[0, 1]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
}

#[test]
fn units_under_vesting_can_be_given_up_though_not_away_and_frozen_ones_neither() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let vesting = Some(Vesting { cliff_ms: 1_000_000, duration_ms: 2_000_000 });
    let locked = mint(&ledger, 3, vesting);
    decide(&mut ledger, model, locked, &[0, 1]);
    ledger.block(10_000, vec![]);
    let away = give(&ledger, model, 4);
    assert_eq!(ledger.refused(3, away), "not_vested");
    let up = |units| Action::BurnShares(BurnShares { model, units: Units::new(units), reason: String::new() });
    assert_eq!(ledger.refused(3, up(11)), "not_enough_shares");
    ledger.must(3, up(4));
    assert_eq!(units(&ledger, model, "riverbend"), 6);
    let target = DisputeTarget::Line { model, account: account(&ledger, 3) };
    let asked = OpenDispute { target, units: Units::new(1), text: String::new(), evidence: None, bond: Units::ZERO };
    ledger.must(0, Action::OpenDispute(asked));
    assert_eq!(ledger.refused(3, up(6)), "frozen", "what is challenged is not burned to hide it");
}

/// A model whose transfers the owners approve; hilltop asks to sell 5 of its 20 units to seafront, and the owners agree.
fn sale(ledger: &mut TestLedger, timelock_ms: u64) -> (ModelId, ProposalId) {
    let mut rules = ModelPolicy { transfers: TransferRule::Approval, ..policy(50, 60) };
    rules.ownership.timelock_ms = timelock_ms;
    let model = founded(ledger, rules);
    let to = account(ledger, 4);
    let (price, reason) = ("900 EUR".into(), String::new());
    let action = ModelAction::ApproveTransfer(ApproveTransfer { to, units: Units::new(5), price, reason });
    let id = open(ledger, 2, Question::of_model(model, vec![action]));
    [0, 1].iter().for_each(|voter| vote(ledger, *voter, id, Choice::Yes));
    (model, id)
}

fn buy(proposal: ProposalId, accept: bool) -> Action {
    Action::AcceptTransfer(AcceptTransfer { proposal, accept })
}

fn take_back(proposal: ProposalId) -> Action {
    Action::WithdrawProposal(WithdrawProposal { proposal, reason: String::new() })
}

#[test]
fn an_approved_transfer_takes_the_buyers_word_for_it() {
    let mut ledger = ledger();
    let (model, id) = sale(&mut ledger, 0);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }));
    assert_eq!(ledger.refused(0, execute(id)), "not_bought");
    assert_eq!(ledger.refused(3, buy(id, true)), "not_buyer", "nobody accepts for it");
    ledger.must(4, buy(id, true));
    ledger.must(4, buy(id, false));
    assert_eq!(ledger.refused(0, execute(id)), "not_bought", "it may think again until the units move");
    // The word for one sale is that, whatever it says of units in general.
    ledger.must(4, intake(UnitsOf::Any, false));
    ledger.must(4, buy(id, true));
    ledger.must(3, execute(id));
    assert_eq!((units(&ledger, model, "hilltop"), units(&ledger, model, "seafront")), (15, 5));
    assert_eq!(ledger.refused(4, buy(id, false)), "not_open");
}

#[test]
fn a_seller_takes_a_sale_back_until_it_runs_and_nobody_else_does() {
    let mut ledger = ledger();
    let (model, id) = sale(&mut ledger, 0);
    assert_eq!(ledger.refused(0, take_back(id)), "not_proposer");
    ledger.must(2, take_back(id));
    assert!(matches!(status(&ledger, id), ProposalStatus::Withdrawn { .. }), "though it was answered");
    let (to, price, reason) = (account(&ledger, 4), String::new(), String::new());
    let action = ModelAction::ApproveTransfer(ApproveTransfer { to, units: Units::new(5), price, reason });
    let id = open(&mut ledger, 2, Question::of_model(model, vec![action]));
    [0, 1].iter().for_each(|voter| vote(&mut ledger, *voter, id, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }));
    ledger.must(2, take_back(id));
    assert_eq!(ledger.refused(4, buy(id, true)), "not_open");
    assert_eq!(units(&ledger, model, "hilltop"), 20);
    assert_eq!(ledger.refused(2, take_back(id)), "not_open", "once");
}

#[test]
fn a_sale_does_not_run_while_its_seller_is_suspended() {
    let mut ledger = ledger();
    let (model, id) = sale(&mut ledger, 60_000);
    ledger.must(4, buy(id, true));
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }), "it waits out its timelock");
    let suspend =
        NetworkAction::SuspendAccount(SuspendAccount { account: account(&ledger, 2), reason: "stolen keys".into() });
    assert_eq!(decide_network(&mut ledger, suspend).name(), "executed");
    ledger.block(60_000, vec![]);
    assert_eq!(ledger.refused(0, execute(id)), "suspended");
    assert_eq!(units(&ledger, model, "seafront"), 0);
    let reinstate = NetworkAction::ReinstateAccount(ReinstateAccount { account: account(&ledger, 2) });
    let voters = open(&mut ledger, 0, Question::of_network(vec![reinstate]));
    [0, 1, 3, 4].iter().for_each(|voter| vote(&mut ledger, *voter, voters, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, voters), ProposalStatus::Executed { .. }));
    ledger.must(0, execute(id));
    assert_eq!(units(&ledger, model, "seafront"), 5);
}
