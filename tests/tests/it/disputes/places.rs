//! The places among the challenges of one thing: there are so many, and who binds most has them.

use super::{ruling, standing};
use crate::common::{founding, open};
use allod_protocol::{
    ground::{
        ids::{ContributionId, DisputeId, ModelId, Units},
        limits,
        state::Overlay,
    },
    rules::{
        action::Action,
        dispute::{AnswerDispute, Challenger, Dispute, DisputeTarget, Frozen, OpenDispute, ResolveDispute},
        event::Event,
        model::FoundingLine,
        policy::{Arbiters, ModelPolicy},
        proposal::{ModelAction, Question},
        share::free_units,
    },
};
use allod_tests::ledger::{TestLedger, policy};

const HANDLES: [&str; 20] = [
    "northfield",
    "lakeside",
    "hilltop",
    "riverbend",
    "alder",
    "ash",
    "aspen",
    "beech",
    "birch",
    "cedar",
    "elm",
    "fir",
    "hazel",
    "juniper",
    "larch",
    "maple",
    "oak",
    "pine",
    "rowan",
    "spruce",
];
/// Holds nothing, and settles disputes.
const ARBITER: u8 = 19;
/// Comes when all places are taken.
const LATE: u8 = 17;

/// All but the last hold twelve units each, and that one rules.
fn crowd() -> (TestLedger, ModelId) {
    let mut ledger = TestLedger::new(&HANDLES);
    let arbiters = Some(Arbiters::new(vec![ledger.account(HANDLES[usize::from(ARBITER)])], 1));
    let mut action = founding(&ledger, ModelPolicy { arbiters, ..policy(50, 60) });
    let line = |handle: &&str| FoundingLine { account: ledger.account(handle), units: Units::new(12), vesting: None };
    action.founding = HANDLES.iter().take(usize::from(ARBITER)).map(line).collect();
    let model = crate::common::found(&mut ledger, action);
    (ledger, model)
}

fn challenging(ledger: &TestLedger, model: ModelId, bond: u64) -> Action {
    let target = DisputeTarget::Line { model, account: ledger.account(HANDLES[0]) };
    let (text, bond) = ("copied".into(), Units::new(bond));
    Action::OpenDispute(OpenDispute { target, units: Units::new(1), text, evidence: None, bond })
}

fn challenge(ledger: &mut TestLedger, model: ModelId, by: u8, bond: u64) -> (DisputeId, Vec<Event>) {
    let asked = challenging(ledger, model, bond);
    let events = ledger.must(by, asked).events;
    match events.first() {
        Some(Event::DisputeOpened { dispute, .. }) => (*dispute, events.clone()),
        other => panic!("{other:?}"),
    }
}

/// Everybody from lakeside on takes a place.
fn fill(ledger: &mut TestLedger, model: ModelId) -> Vec<DisputeId> {
    (1..=16).map(|by| challenge(ledger, model, by, 0).0).collect()
}

fn free(ledger: &TestLedger, model: ModelId, by: u8) -> u64 {
    let account = ledger.account(HANDLES[usize::from(by)]);
    free_units(&Overlay::new(&ledger.state), model, account, ledger.tip.time).get()
}

#[test]
fn sixteen_who_shield_a_line_by_challenging_it_give_way_to_one_who_binds_more() {
    let (mut ledger, model) = crowd();
    let shield = fill(&mut ledger, model);
    assert_eq!(shield.len(), limits::DISPUTES_PER_TARGET);
    let (as_much, too_much) = (challenging(&ledger, model, 1), challenging(&ledger, model, 13));
    assert_eq!(ledger.refused(LATE, as_much), "too_many_challenges");
    assert_eq!(ledger.refused(LATE, too_much), "bond_lacking");

    let (late, events) = challenge(&mut ledger, model, LATE, 2);
    let last = *shield.last().expect("sixteen");
    assert!(matches!(events.last(), Some(Event::DisputeEnded { dispute, .. }) if *dispute == last), "{events:?}");
    assert_eq!((standing(&ledger, last), standing(&ledger, shield[0])), ("outbid", "open"));
    let target = DisputeTarget::Line { model, account: ledger.account(HANDLES[0]) };
    let frozen: Frozen = ledger.read(&target).expect("frozen");
    assert_eq!((frozen.disputes.len(), frozen.units.get()), (16, 16));
    assert_eq!(ledger.read::<Dispute>(&late).expect("dispute").bond.get(), 2);

    // It lost its place and nothing else, and may bind more in its turn.
    let outbid = (model, ledger.account(HANDLES[16]));
    assert_eq!(ledger.read::<Challenger>(&outbid), Some(Challenger::default()));
    assert_eq!((free(&ledger, model, 16), free(&ledger, model, LATE)), (12, 10));
    challenge(&mut ledger, model, 16, 12);
    assert_eq!((standing(&ledger, shield[14]), standing(&ledger, late)), ("outbid", "open"));
}

#[test]
fn what_arbiters_or_owners_have_before_them_gives_way_to_nobody() {
    let (mut ledger, model) = crowd();
    let shield = fill(&mut ledger, model);
    for dispute in &shield {
        ledger.must(0, Action::AnswerDispute(AnswerDispute { dispute: *dispute, text: "mine".into(), evidence: None }));
    }
    ledger.must(ARBITER, ruling(shield[15], true));
    assert_eq!(standing(&ledger, shield[15]), "ruled");
    challenge(&mut ledger, model, LATE, 2);
    assert_eq!((standing(&ledger, shield[15]), standing(&ledger, shield[14])), ("ruled", "outbid"));
    for (number, dispute) in shield.iter().enumerate().take(14) {
        ledger.must(ARBITER, ruling(*dispute, number % 2 == 0));
    }
    let asked = challenging(&ledger, model, 2);
    assert_eq!(ledger.refused(18, asked), "too_many_challenges");
    let (late, _) = challenge(&mut ledger, model, 18, 3);
    assert_eq!(standing(&ledger, late), "open");
    ledger.must(0, Action::AnswerDispute(AnswerDispute { dispute: late, text: "mine".into(), evidence: None }));
    ledger.must(ARBITER, ruling(late, false));
    let asked = challenging(&ledger, model, 12);
    assert_eq!(ledger.refused(LATE, asked), "too_many_challenges");
}

#[test]
fn a_resolution_under_way_keeps_the_place_of_its_challenge() {
    let mut ledger = TestLedger::new(&HANDLES);
    let mut action = founding(&ledger, policy(50, 60));
    let line = |handle: &&str| FoundingLine { account: ledger.account(handle), units: Units::new(12), vesting: None };
    action.founding = HANDLES.iter().map(line).collect();
    let model = crate::common::found(&mut ledger, action);
    let shield = fill(&mut ledger, model);
    for dispute in &shield[14..] {
        ledger.must(0, Action::AnswerDispute(AnswerDispute { dispute: *dispute, text: "mine".into(), evidence: None }));
    }
    open(
        &mut ledger,
        5,
        Question::of_model(
            model,
            vec![ModelAction::ResolveDispute(ResolveDispute { dispute: shield[15], upholds: true })],
        ),
    );
    challenge(&mut ledger, model, LATE, 2);
    assert_eq!((standing(&ledger, shield[15]), standing(&ledger, shield[14])), ("open", "outbid"));
}

#[test]
fn an_appeal_binds_nothing() {
    let (mut ledger, _) = crowd();
    let target = DisputeTarget::Appeal(ContributionId::from_bytes([1; 32]));
    let (text, units, bond) = ("it was given".into(), Units::ZERO, Units::new(1));
    let asked = Action::OpenDispute(OpenDispute { target, units, text, evidence: None, bond });
    let error = ledger.sign_as(0, asked).check_form(ledger.tip.network).expect_err("malformed").to_string();
    assert!(error.contains("bond"), "{error}");
}
