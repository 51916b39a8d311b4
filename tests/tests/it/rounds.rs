//! Rounds: what contributions count, and what a close mints.

mod caps;
mod reserve;
mod review;
mod seals;

use crate::common::{account, decide, founded, ledger, status, units};
use allod_protocol::{
    ground::{
        ids::{AccountId, BasisPoints, ContentHash, ContributionId, ModelId, Units},
        limits,
    },
    ledger::execute::Outcome,
    rules::{
        access::Distribution,
        action::Action,
        contribution::{AcceptContribution, ContributionKind, RecordContribution},
        dispute::{DisputeTarget, OpenDispute},
        event::Event,
        model::Retire,
        proposal::{ModelAction, ProposalStatus},
        round::{self, Cap, CapPer, KindWeight, OpenRound, Round, RoundPlan, RoundStatus},
        share::{MintShares, Register},
    },
};
use allod_tests::ledger::{TestLedger, policy};

fn plan(budget: u64) -> RoundPlan {
    RoundPlan {
        plan: ContentHash::from_bytes([7; 32]),
        budget: Units::new(budget),
        weights: vec![
            KindWeight { kind: ContributionKind::Data, weight: 1 },
            KindWeight { kind: ContributionKind::Compute, weight: 10 },
        ],
        cap: None,
        min_contributors: 1,
        recording_ms: 30_000,
        review_ms: 30_000,
        sealed: false,
    }
}

fn open_round(ledger: &mut TestLedger, model: ModelId, plan: RoundPlan) {
    let id = decide(ledger, model, ModelAction::OpenRound(OpenRound { plan }), &[0, 1, 2]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(ledger, id), ProposalStatus::Executed { .. }), "{:?}", status(ledger, id));
}

fn record(model: ModelId, kind: ContributionKind, amount: u64, sealed: Option<ContentHash>) -> Action {
    let (evidence, note) = (None, String::new());
    Action::RecordContribution(RecordContribution { model, round: Some(0), kind, amount, sealed, evidence, note })
}

fn give(ledger: &mut TestLedger, by: u8, action: Action) -> ContributionId {
    match ledger.must(by, action).events.first() {
        Some(Event::ContributionRecorded { contribution, .. }) => *contribution,
        other => panic!("{other:?}"),
    }
}

fn accept(contribution: ContributionId) -> Action {
    Action::AcceptContribution(AcceptContribution { contribution })
}

fn half(per: CapPer) -> Cap {
    Cap { per, part: BasisPoints::new(5_000).unwrap() }
}

/// What each giver would get if the round closed now.
fn foreseen(ledger: &TestLedger, model: ModelId) -> Vec<(AccountId, u64)> {
    let round: Round = ledger.read(&(model, 0)).expect("the round");
    let (height, time) = (ledger.tip.height.next(), ledger.tip.time.plus_ms(1));
    let givers =
        round::preview(&ledger.state, ledger.tip.network, height, time, &round).expect("state").expect("few givers");
    givers.into_iter().map(|giver| (giver.account, giver.score.units.get())).collect()
}

/// Lets the round's time pass, and closing take the blocks it takes.
fn close(ledger: &mut TestLedger, model: ModelId) -> Round {
    ledger.block(60_000, vec![]);
    for _ in 0..20 {
        ledger.block(1, vec![]);
    }
    ledger.read::<Round>(&(model, 0)).expect("the round")
}

#[test]
fn what_a_round_may_mint_is_minted_by_nothing_else() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    // 100 units are there, and 50 are left.
    open_round(&mut ledger, model, plan(limits::MODEL_UNITS - 150));
    for (minted, outcome) in [(51, "execution_failed"), (50, "executed")] {
        let (to, units, reason) = (account(&ledger, 3), Units::new(minted), "night shifts".to_owned());
        let id = decide(
            &mut ledger,
            model,
            ModelAction::MintShares(MintShares { to, units, reason, vesting: None }),
            &[0, 1, 2],
        );
        ledger.block(10_000, vec![]);
        assert_eq!(status(&ledger, id).name(), outcome, "{minted}");
    }
}

#[test]
fn a_round_mints_its_budget_in_proportion_to_the_unit() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, plan(100));
    let given =
        [(1, ContributionKind::Data, 100), (2, ContributionKind::Compute, 10), (3, ContributionKind::Data, 100)];
    for (by, kind, amount) in given {
        let id = give(&mut ledger, by, record(model, kind, amount, None));
        ledger.must(0, accept(id));
    }
    give(&mut ledger, 4, record(model, ContributionKind::Data, 900, None));
    let foreseen = foreseen(&ledger, model);
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted == Units::new(100)), "{round:?}");
    assert_eq!((round.contributors, round.score), (3, 300), "nobody countersigned seafront's");
    let minted = [
        units(&ledger, model, "lakeside") - 30,
        units(&ledger, model, "hilltop") - 20,
        units(&ledger, model, "riverbend"),
    ];
    let mut sorted = minted;
    sorted.sort_unstable();
    assert_eq!(sorted, [33, 33, 34], "three thirds of 100: {minted:?}");
    let register: Register = ledger.read(&model).unwrap();
    assert_eq!((register.total_units, register.reserved), (Units::new(200), Units::ZERO));
    let by_name = ["lakeside", "hilltop", "riverbend"].map(|handle| (ledger.account(handle), handle));
    for (giver, units) in foreseen {
        let place = by_name.iter().position(|(account, _)| *account == giver).expect("a giver");
        assert_eq!(units, minted[place], "what the page showed before is what {} got", by_name[place].1);
    }
    assert_eq!(minted.iter().sum::<u64>(), 100);
}

#[test]
fn a_kind_that_the_round_gives_no_weight_is_refused_with_those_that_it_weighs() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, plan(100));
    let code = ledger.sign_as(3, record(model, ContributionKind::Code, 1_000, None));
    let Outcome::Rejected(rejection) = ledger.run(code).outcome else { panic!("it applied") };
    assert_eq!(rejection.code(), "kind_not_weighed");
    assert!(rejection.to_string().contains("code, only to data, compute"), "{rejection}");
    let outside = RecordContribution {
        model,
        round: None,
        kind: ContributionKind::Code,
        amount: 1_000,
        sealed: None,
        evidence: None,
        note: String::new(),
    };
    ledger.must(3, Action::RecordContribution(outside));
}

#[test]
fn a_retired_model_settles_its_rounds_and_cuts_nobody_off() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, plan(100));
    let given = give(&mut ledger, 1, record(model, ContributionKind::Data, 5, None));
    let retired = decide(&mut ledger, model, ModelAction::Retire(Retire { reason: "done".into() }), &[0, 1]);
    let ended = ledger.block(10_000, vec![]).deadline_events;
    assert!(matches!(status(&ledger, retired), ProposalStatus::Executed { .. }));
    assert!(ended.iter().any(|event| matches!(event, Event::RecordingEnded { round: 0, .. })), "{ended:?}");
    let round: Round = ledger.read(&(model, 0)).unwrap();
    assert_eq!(round.closes, ledger.tip.time.plus_ms(round.plan.review_ms), "the whole review from now");
    assert_eq!(ledger.refused(2, record(model, ContributionKind::Data, 5, None)), "round_over");
    ledger.must(0, accept(given));
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted == Units::new(100)), "{round:?}");
    assert_eq!(units(&ledger, model, "lakeside"), 130);
    assert_eq!(ledger.read::<Register>(&model).unwrap().reserved, Units::ZERO);
}

#[test]
fn a_model_has_so_many_rounds_at_a_time_and_no_more() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    for _ in 0..allod_protocol::ground::limits::OPEN_ROUNDS {
        let long = RoundPlan { recording_ms: 1_000_000, ..plan(1) };
        open_round(&mut ledger, model, long);
    }
    let more = decide(&mut ledger, model, ModelAction::OpenRound(OpenRound { plan: plan(1) }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let ProposalStatus::ExecutionFailed { reason, .. } = status(&ledger, more) else { panic!("it was opened") };
    assert_eq!(reason.code(), "too_many_rounds");
    ledger.block(1_100_000, vec![]);
    ledger.block(1, vec![]);
    open_round(&mut ledger, model, plan(1));
}

#[test]
fn a_cap_binds_and_what_is_above_it_is_not_minted() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, RoundPlan { cap: Some(half(CapPer::Account)), ..plan(100) });
    for (by, amount) in [(1, 900), (2, 100)] {
        let id = give(&mut ledger, by, record(model, ContributionKind::Data, amount, None));
        ledger.must(0, accept(id));
    }
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted == Units::new(60)), "{round:?}");
    assert_eq!((units(&ledger, model, "lakeside"), units(&ledger, model, "hilltop")), (80, 30));
    assert_eq!(ledger.read::<Register>(&model).unwrap().reserved, Units::ZERO);
}

#[test]
fn a_round_that_too_few_gave_to_mints_nothing() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    open_round(&mut ledger, model, RoundPlan { min_contributors: 2, ..plan(100) });
    let id = give(&mut ledger, 1, record(model, ContributionKind::Data, 5, None));
    ledger.must(0, accept(id));
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Failed { .. }), "{round:?}");
    let register: Register = ledger.read(&model).unwrap();
    assert_eq!((register.total_units, register.reserved), (Units::new(100), Units::ZERO));
}

#[test]
fn contributions_are_recorded_and_countersigned_in_their_time() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    assert_eq!(ledger.refused(1, record(model, ContributionKind::Data, 5, None)), "unknown_round");
    open_round(&mut ledger, model, plan(100));
    let id = give(&mut ledger, 1, record(model, ContributionKind::Data, 5, None));
    ledger.block(30_000, vec![]);
    assert_eq!(ledger.refused(1, record(model, ContributionKind::Data, 5, None)), "round_over");
    ledger.block(30_000, vec![]);
    assert_eq!(ledger.refused(0, accept(id)), "round_over");
}

#[test]
fn a_round_of_many_givers_closes_over_several_blocks_and_holds_nothing_up() {
    const GIVERS: u8 = 250;
    let handles: Vec<String> =
        (0..GIVERS).map(|index| format!("giver-{}-{index}", char::from(b'a' + index % 26))).collect();
    let mut ledger = TestLedger::new(&handles.iter().map(String::as_str).collect::<Vec<_>>());
    let founding = allod_protocol::rules::model::FoundingLine {
        account: ledger.account(&handles[0]),
        units: Units::new(10),
        vesting: None,
    };
    let model = crate::common::found(
        &mut ledger,
        allod_protocol::rules::model::CreateModel {
            name: allod_protocol::ground::ids::Name::new("crowd").unwrap(),
            description: String::new(),
            founding: vec![founding.clone()],
            stewards: vec![founding.account],
            policy: policy(50, 60),
            licence: None,
            distribution: Distribution::default(),
            grants: Vec::new(),
        },
    );
    // As if each giver had given under five names: what is handled in a block is bounded, whoever it is for.
    let open = decide(&mut ledger, model, ModelAction::OpenRound(OpenRound { plan: plan(1_000_003) }), &[0]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, open), ProposalStatus::Executed { .. }));
    let mut scores = allod_protocol::ground::state::ChangeSet::new();
    let mut round: Round = ledger.read(&(model, 0)).unwrap();
    for number in 0..1_300u32 {
        let mut id = [0u8; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let id = allod_protocol::ground::ids::AccountId::from_bytes(id);
        let score =
            allod_protocol::rules::round::RoundScore { score: u64::from(number % 17 + 1), ..Default::default() };
        round.score += score.score;
        round.contributors += 1;
        let key = <allod_protocol::rules::round::RoundScore as allod_protocol::ground::state::Record>::key_bytes(&(
            model, 0, id,
        ));
        scores.insert(key, Some(allod_protocol::ground::codec::encode(&score)));
    }
    let key = <Round as allod_protocol::ground::state::Record>::key_bytes(&(model, 0));
    scores.insert(key, Some(allod_protocol::ground::codec::encode(&round)));
    ledger.state.apply(scores);

    ledger.block(60_000, vec![]);
    let mut blocks = 0;
    let mut minted_at_most = 0;
    while !matches!(ledger.read::<Round>(&(model, 0)).unwrap().status, RoundStatus::Closed { .. }) {
        let transfer = allod_protocol::rules::share::TransferShares {
            model,
            to: ledger.account(&handles[1]),
            units: Units::new(1),
            reason: String::new(),
        };
        let transfer = ledger.sign_as(0, Action::TransferShares(transfer));
        let executed = ledger.block(2, vec![transfer]);
        assert_eq!(executed.results[0].outcome == Outcome::Applied, blocks < 10, "others go on meanwhile");
        let minted =
            executed.deadline_events.iter().filter(|event| matches!(event, Event::SharesChanged { .. })).count();
        minted_at_most = minted_at_most.max(minted);
        blocks += 1;
        assert!(blocks < 30, "it ends");
    }
    assert!(blocks >= 20, "{blocks} blocks for 1,300 givers, twice, 128 a block");
    assert!(minted_at_most <= 128);
    let register: Register = ledger.read(&model).unwrap();
    assert_eq!(register.total_units, Units::new(10 + 1_000_003), "to the unit");
    assert_eq!(register.reserved, Units::ZERO);
}
