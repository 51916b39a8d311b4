//! What is in dispute when a round closes: nothing is lost by a challenge at the last moment, and nothing gained by one.

use super::*;
use allod_protocol::{
    ground::ids::DisputeId,
    rules::{
        dispute::{AnswerDispute, Dispute, ResolveDispute, WithdrawDispute},
        model::Retire,
        proposal::ModelAction,
    },
};

/// Lakeside, hilltop and riverbend give so much each; northfield countersigns it.
fn given(ledger: &mut TestLedger, model: ModelId, amounts: [u64; 3]) -> [ContributionId; 3] {
    let mut by = 0;
    amounts.map(|amount| {
        by += 1;
        let id = give(ledger, by, record(model, ContributionKind::Data, amount, None));
        ledger.must(0, accept(id));
        id
    })
}

fn challenge(ledger: &mut TestLedger, by: u8, contribution: ContributionId) -> DisputeId {
    let target = DisputeTarget::Contribution(contribution);
    let action = OpenDispute { target, units: Units::ZERO, text: "copied".into(), evidence: None, bond: Units::ZERO };
    match ledger.must(by, Action::OpenDispute(action)).events.first() {
        Some(Event::DisputeOpened { dispute, .. }) => *dispute,
        other => panic!("{other:?}"),
    }
}

fn withdraw(ledger: &mut TestLedger, by: u8, dispute: DisputeId) {
    ledger.must(by, Action::WithdrawDispute(WithdrawDispute { dispute }));
}

/// The giver answers, and the owners resolve it.
fn resolve(ledger: &mut TestLedger, model: ModelId, dispute: DisputeId, giver: u8, upholds: bool) {
    let answer = AnswerDispute { dispute, text: "it is ours".into(), evidence: None };
    ledger.must(giver, Action::AnswerDispute(answer));
    let holders = [(0, "northfield"), (1, "lakeside"), (2, "hilltop"), (3, "riverbend")];
    let holders = holders.iter().filter(|(_, handle)| units(ledger, model, handle) > 0).map(|(place, _)| *place);
    let holders: Vec<u8> = holders.collect();
    decide(ledger, model, ModelAction::ResolveDispute(ResolveDispute { dispute, upholds }), &holders);
    ledger.block(10_000, vec![]);
    assert!(ledger.read::<Dispute>(&dispute).unwrap().status.is_final());
}

/// Lets the round go on as far as it can.
fn go_on(ledger: &mut TestLedger, model: ModelId) -> Round {
    for _ in 0..10 {
        ledger.block(1, vec![]);
    }
    ledger.read::<Round>(&(model, 0)).expect("the round")
}

fn held(ledger: &TestLedger, model: ModelId) -> [u64; 3] {
    ["lakeside", "hilltop", "riverbend"].map(|handle| units(ledger, model, handle))
}

fn reserved(ledger: &TestLedger, model: ModelId) -> u64 {
    ledger.read::<Register>(&model).unwrap().reserved.get()
}

#[test]
fn a_rivals_challenge_just_before_the_close_delays_a_part_and_voids_nothing() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, plan(100));
    let ids = given(&mut ledger, model, [100, 100, 100]);
    ledger.block(49_000, vec![]);
    // Lakeside and northfield, who would like to have hilltop's part.
    let disputes = [0, 1].map(|by| challenge(&mut ledger, by, ids[1]));
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Waiting { .. }), "{round:?}");
    assert_eq!((held(&ledger, model), round.held().get(), reserved(&ledger, model)), ([63, 20, 33], 34, 34));
    withdraw(&mut ledger, 0, disputes[0]);
    assert!(!go_on(&mut ledger, model).status.is_final(), "the other challenge stands");
    withdraw(&mut ledger, 1, disputes[1]);
    let round = go_on(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted.get() == 100), "{round:?}");
    let got = held(&ledger, model).iter().sum::<u64>() - 50;
    assert_eq!((got, reserved(&ledger, model)), (100, 0), "to the unit");
    assert!((53..=54).contains(&held(&ledger, model)[1]), "what hilltop would have got: {:?}", held(&ledger, model));
}

#[test]
fn what_is_found_wrong_after_the_close_goes_to_the_others() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, plan(100));
    let ids = given(&mut ledger, model, [100, 900, 100]);
    let dispute = challenge(&mut ledger, 1, ids[1]);
    close(&mut ledger, model);
    assert_eq!(held(&ledger, model), [30 + 9, 20, 9], "as if it counted, until it is known");
    resolve(&mut ledger, model, dispute, 2, true);
    let round = go_on(&mut ledger, model);
    assert_eq!((held(&ledger, model), reserved(&ledger, model)), ([30 + 50, 20, 50], 0));
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted.get() == 100), "{round:?}");
}

#[test]
fn what_is_found_wrong_before_the_close_counts_no_more() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, plan(100));
    let ids = given(&mut ledger, model, [100, 900, 100]);
    let dispute = challenge(&mut ledger, 1, ids[1]);
    assert_eq!(ledger.read::<Round>(&(model, 0)).unwrap().score, 1_100, "it goes on counting");
    resolve(&mut ledger, model, dispute, 2, true);
    assert_eq!(ledger.read::<Round>(&(model, 0)).unwrap().score, 200);
    let round = close(&mut ledger, model);
    assert_eq!(held(&ledger, model), [80, 20, 50]);
    assert!(matches!(round.status, RoundStatus::Closed { .. }), "{round:?}");
}

#[test]
fn a_challenge_keeps_no_steward_from_countersigning() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, plan(100));
    let id = give(&mut ledger, 2, record(model, ContributionKind::Data, 100, None));
    let dispute = challenge(&mut ledger, 1, id);
    ledger.must(0, accept(id));
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Waiting { .. }), "{round:?}");
    assert_eq!(units(&ledger, model, "hilltop"), 20);
    withdraw(&mut ledger, 1, dispute);
    go_on(&mut ledger, model);
    assert_eq!(units(&ledger, model, "hilltop"), 120);
}

#[test]
fn as_many_must_give_something_undisputed_as_the_plan_asks_for_before_anything_is_minted() {
    for upholds in [true, false] {
        let mut ledger = ledger();
        let model = founded(&mut ledger, policy(50, 60));
        open_round(&mut ledger, model, RoundPlan { min_contributors: 3, ..plan(90) });
        let ids = given(&mut ledger, model, [100, 100, 100]);
        let dispute = challenge(&mut ledger, 1, ids[1]);
        let round = close(&mut ledger, model);
        assert_eq!((round.minted.get(), reserved(&ledger, model)), (0, 90), "{round:?}");
        resolve(&mut ledger, model, dispute, 2, upholds);
        let round = go_on(&mut ledger, model);
        let (expected, fails) = if upholds { ([30, 20, 0], true) } else { ([60, 50, 30], false) };
        assert_eq!((held(&ledger, model), reserved(&ledger, model)), (expected, 0));
        assert_eq!(matches!(round.status, RoundStatus::Failed { .. }), fails, "{round:?}");
    }
}

#[test]
fn a_cap_holds_over_both_mintings_and_retiring_the_model_ends_none() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let cap = Some(Cap { part: BasisPoints::new(4_000).unwrap(), per: CapPer::Account });
    open_round(&mut ledger, model, RoundPlan { cap, ..plan(100) });
    let ids = given(&mut ledger, model, [100, 100, 100]);
    let more = give(&mut ledger, 1, record(model, ContributionKind::Data, 100, None));
    ledger.must(0, accept(more));
    let dispute = challenge(&mut ledger, 0, ids[2]);
    close(&mut ledger, model);
    assert_eq!(held(&ledger, model), [30 + 40, 20 + 25, 0], "half is due to lakeside, and capped");
    decide(&mut ledger, model, ModelAction::Retire(Retire { reason: "done".into() }), &[0, 1, 2]);
    ledger.block(10_000, vec![]);
    resolve(&mut ledger, model, dispute, 3, true);
    let round = go_on(&mut ledger, model);
    assert_eq!((held(&ledger, model), reserved(&ledger, model)), ([30 + 40, 20 + 33, 0], 0));
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted.get() == 73), "{round:?}");
}

#[test]
fn both_mintings_conserve_units_whatever_is_disputed_and_found() {
    for case in 0..27u32 {
        let mut ledger = ledger();
        let model = founded(&mut ledger, policy(50, 60));
        open_round(&mut ledger, model, plan(101));
        let ids = given(&mut ledger, model, [70, 110, 130]);
        // Of each: undisputed, upheld or taken back.
        let ends = [case % 3, case / 3 % 3, case / 9];
        let disputes: Vec<_> = (0..3)
            .filter(|place| ends[*place] > 0)
            .map(|place| (place, challenge(&mut ledger, 0, ids[place])))
            .collect();
        let before = close(&mut ledger, model);
        for (place, dispute) in disputes {
            if ends[place] == 1 {
                let giver = u8::try_from(place + 1).unwrap();
                resolve(&mut ledger, model, dispute, giver, true);
            } else {
                withdraw(&mut ledger, 0, dispute);
            }
        }
        let round = go_on(&mut ledger, model);
        let minted = held(&ledger, model).iter().sum::<u64>() - 50;
        let all_wrong = ends == [1, 1, 1];
        assert_eq!(minted, if all_wrong { 0 } else { 101 }, "{ends:?} {round:?}");
        assert_eq!((round.minted.get(), reserved(&ledger, model)), (minted, 0), "{ends:?}");
        assert!(before.minted <= round.minted && round.status.is_final(), "{ends:?} {round:?}");
    }
}
