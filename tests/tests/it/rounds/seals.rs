//! Sealed amounts: nobody copies another's, and nobody has an amount that it may leave untold.

use super::*;
use allod_protocol::rules::{
    contribution::{RevealContribution, seal},
    model::Retire,
    proposal::ModelAction,
    round::{RoundScore, Withheld},
};

const SALT: ContentHash = ContentHash::from_bytes([5; 32]);

/// The second round is sealed too; both record and are reviewed for half a minute.
fn sealed_round(ledger: &mut TestLedger, model: ModelId) {
    open_round(ledger, model, RoundPlan { sealed: true, ..plan(100) });
}

fn give_sealed(ledger: &mut TestLedger, model: ModelId, by: u8, amount: u64) -> ContributionId {
    let sealed = Some(seal(model, 0, account(ledger, by), amount, SALT));
    give(ledger, by, record(model, ContributionKind::Data, 0, sealed))
}

fn tell(ledger: &mut TestLedger, by: u8, contribution: ContributionId, amount: u64) {
    ledger.must(by, Action::RevealContribution(RevealContribution { contribution, amount, salt: SALT }));
}

#[test]
fn nobody_can_copy_a_sealed_amount() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, RoundPlan { sealed: true, ..plan(100) });
    let (lakeside, salt) = (account(&ledger, 1), ContentHash::from_bytes([5; 32]));
    assert_eq!(ledger.refused(1, record(model, ContributionKind::Data, 5, None)), "seal_expected");
    let sealed = Some(seal(model, 0, lakeside, 400, salt));
    let id = give(&mut ledger, 1, record(model, ContributionKind::Data, 0, sealed));
    let copied = give(&mut ledger, 2, record(model, ContributionKind::Data, 0, sealed));
    let reveal = |contribution, amount| Action::RevealContribution(RevealContribution { contribution, amount, salt });
    assert_eq!(ledger.refused(1, reveal(id, 400)), "still_recording");
    assert_eq!(ledger.refused(0, accept(id)), "still_sealed");
    ledger.block(30_000, vec![]);
    assert_eq!(ledger.refused(1, reveal(id, 401)), "seal_mismatch");
    assert_eq!(ledger.refused(2, reveal(id, 400)), "not_giver");
    assert_eq!(ledger.refused(2, reveal(copied, 400)), "seal_mismatch", "another giver's seal opens for nobody else");
    ledger.must(1, reveal(id, 400));
    assert_eq!(ledger.refused(1, reveal(id, 400)), "not_sealed");
    ledger.must(0, accept(id));
    close(&mut ledger, model);
    assert_eq!((units(&ledger, model, "lakeside"), units(&ledger, model, "hilltop")), (130, 20));
}

#[test]
fn a_seal_opens_in_its_own_round_only() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    sealed_round(&mut ledger, model);
    let foreign = Some(seal(model, 1, account(&ledger, 1), 400, SALT));
    let contribution = give(&mut ledger, 1, record(model, ContributionKind::Data, 0, foreign));
    ledger.block(30_000, vec![]);
    let reveal = Action::RevealContribution(RevealContribution { contribution, amount: 400, salt: SALT });
    assert_eq!(ledger.refused(1, reveal), "seal_mismatch");
}

#[test]
fn who_leaves_an_amount_untold_gets_nothing_is_named_and_waits_out_the_next_round() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    sealed_round(&mut ledger, model);
    // Lakeside seals a small and a large amount, to tell whichever suits when it has seen the others'.
    let small = give_sealed(&mut ledger, model, 1, 100);
    give_sealed(&mut ledger, model, 1, 900);
    let hilltops = give_sealed(&mut ledger, model, 2, 100);
    ledger.block(30_000, vec![]);
    tell(&mut ledger, 2, hilltops, 100);
    tell(&mut ledger, 1, small, 100);
    for contribution in [small, hilltops] {
        ledger.must(0, accept(contribution));
    }
    let round: Round = ledger.read(&(model, 0)).unwrap();
    assert_eq!((round.contributors, round.score, round.score_under_seal, round.seals), (1, 100, 100, 1));
    let lakeside = account(&ledger, 1);
    assert!(foreseen(&ledger, model).contains(&(lakeside, 0)), "the page shows it beforehand");
    ledger.block(60_000, vec![]);
    let named = ledger.block(1, vec![]).deadline_events;
    let event = Event::AmountsWithheld { model, round: 0, account: lakeside, seals: 1, until: 2 };
    assert!(named.contains(&event), "{named:?}");
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted == Units::new(100)), "{round:?}");
    assert_eq!((units(&ledger, model, "lakeside"), units(&ledger, model, "hilltop")), (30, 120));
    let kept: RoundScore = ledger.read(&(model, 0, lakeside)).expect("it stays named");
    assert_eq!((kept.seals, kept.units), (1, Units::ZERO));
    assert_eq!(ledger.read::<Withheld>(&(model, lakeside)), Some(Withheld { round: 0, until: 2 }));

    let to = |round| {
        Action::RecordContribution(RecordContribution {
            model,
            round: Some(round),
            kind: ContributionKind::Data,
            amount: 1,
            sealed: None,
            evidence: None,
            note: String::new(),
        })
    };
    for number in [1, 2] {
        open_round(&mut ledger, model, plan(10));
        ledger.must(2, to(number));
    }
    assert_eq!(ledger.refused(1, to(1)), "barred_from_round");
    ledger.must(1, to(2));
}

#[test]
fn a_round_in_which_all_withhold_fails_and_names_them() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    sealed_round(&mut ledger, model);
    give_sealed(&mut ledger, model, 1, 100);
    ledger.block(60_000, vec![]);
    let events = ledger.block(1, vec![]).deadline_events;
    assert!(events.iter().any(|event| matches!(event, Event::AmountsWithheld { seals: 1, .. })), "{events:?}");
    assert!(matches!(ledger.read::<Round>(&(model, 0)).unwrap().status, RoundStatus::Failed { .. }));
    assert_eq!(ledger.read::<Register>(&model).unwrap().reserved, Units::ZERO);
}

#[test]
fn two_accomplices_gain_nothing_by_leaving_the_seal_of_one_of_them_shut() {
    let all = |tells: bool| {
        let mut ledger = ledger();
        let model = founded(&mut ledger, policy(50, 60));
        sealed_round(&mut ledger, model);
        let given = [(1, 300), (2, 200), (3, 600)]
            .map(|(by, amount)| (by, give_sealed(&mut ledger, model, by, amount), amount));
        ledger.block(30_000, vec![]);
        for (by, contribution, amount) in given {
            if by != 2 || tells {
                tell(&mut ledger, by, contribution, amount);
                ledger.must(0, accept(contribution));
            }
        }
        close(&mut ledger, model);
        units(&ledger, model, "lakeside") + units(&ledger, model, "hilltop")
    };
    assert_eq!((all(true), all(false)), (95, 83), "lakeside and hilltop together");
}

#[test]
fn owners_who_retire_a_model_leave_givers_the_time_to_tell() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    sealed_round(&mut ledger, model);
    let given = give_sealed(&mut ledger, model, 1, 100);
    decide(&mut ledger, model, ModelAction::Retire(Retire { reason: "done".into() }), &[0, 1]);
    ledger.block(10_000, vec![]);
    tell(&mut ledger, 1, given, 100);
    ledger.must(0, accept(given));
    close(&mut ledger, model);
    assert_eq!(units(&ledger, model, "lakeside"), 130);
}
