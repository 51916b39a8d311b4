//! Rounding and overflow at the bounds: registers next to 2^62 units, ballots split to the unit, rounds that mint to the
//! unit, whatever the numbers are.

use allod_protocol::{
    ground::{
        fraction::{Fraction, Portion},
        ids::{BasisPoints, ContentHash, ModelId, Name, ProposalId, Units},
        limits,
    },
    rules::{
        access::Distribution,
        action::Action,
        contribution::{AcceptContribution, ContributionKind, RecordContribution},
        delegation::Delegate,
        event::Event,
        model::{CreateModel, FoundingLine, ParentGrant},
        policy::{ModelPolicy, Rule, Tally},
        proposal::{BallotPart, CastBallot, Choice, ModelAction, OpenProposal, Question},
        round::{Cap, CapPer, KindWeight, OpenRound, RoundPlan},
        share::{MintShares, Register, Share, TransferShares},
    },
};
use allod_tests::{
    ledger::{TestLedger, policy},
    reference::divide,
};
use proptest::prelude::*;

const HANDLES: [&str; 5] = ["northfield", "lakeside", "hilltop", "riverbend", "seafront"];

/// Numbers next to the ends of their range, and any between.
fn up_to(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![1u64..4, (most - 3)..=most, 1u64..=most]
}

/// A policy under which a veto counts, and decides nothing unless everybody gives it.
fn vetoed(policy: ModelPolicy) -> ModelPolicy {
    let rules = Rule { veto: Some(Portion::WHOLE), ..policy.rules };
    ModelPolicy { rules, ..policy }
}

/// Founds a model whose stewards are the third and the fourth account, and gives the code of the rule that refuses it.
fn found(
    ledger: &mut TestLedger,
    name: &str,
    units: &[u64],
    grants: Vec<ParentGrant>,
) -> Result<ModelId, &'static str> {
    let line = |(handle, units): (&&str, &u64)| FoundingLine {
        account: ledger.account(handle),
        units: Units::new(*units),
        vesting: None,
    };
    let founding = HANDLES.iter().zip(units).filter(|(_, units)| **units > 0).map(line).collect();
    let action = CreateModel {
        name: Name::new(name).expect("a name"),
        description: String::new(),
        founding,
        stewards: vec![ledger.account("hilltop"), ledger.account("riverbend")],
        policy: vetoed(policy(1, 50)),
        licence: None,
        distribution: Distribution::default(),
        grants,
    };
    let transaction = ledger.sign_as(0, Action::CreateModel(action));
    let result = ledger.run(transaction);
    ledger.accept_offers();
    match (result.events.first(), result.outcome) {
        (Some(Event::ModelCreated { model, .. }), _) => Ok(*model),
        (_, allod_protocol::ledger::execute::Outcome::Rejected(rejection)) => Err(rejection.code()),
        other => panic!("{other:?}"),
    }
}

fn propose(ledger: &mut TestLedger, model: ModelId, action: ModelAction) -> ProposalId {
    let (question, title, text) = (Question::of_model(model, vec![action]), "a question".into(), String::new());
    let asked = OpenProposal { question, title, text };
    match ledger.must(0, Action::OpenProposal(asked)).events.first() {
        Some(Event::ProposalOpened { proposal, .. }) => *proposal,
        other => panic!("{other:?}"),
    }
}

fn held(ledger: &TestLedger, model: ModelId) -> Vec<u64> {
    let units =
        |handle: &&str| ledger.read::<Share>(&(model, ledger.account(handle))).map_or(0, |share| share.units.get());
    HANDLES.iter().map(units).collect()
}

/// The parts of a ballot that come from two cuts of the whole.
fn split(first: u16, second: u16) -> Vec<BallotPart> {
    let (low, high) = (first.min(second), first.max(second));
    let parts = [(Choice::Yes, low), (Choice::Veto, high - low), (Choice::No, 10_000 - high)];
    let part = |(choice, part)| BallotPart { choice, part: BasisPoints::new(part).expect("at most the whole") };
    parts.into_iter().filter(|(_, part)| *part > 0).map(part).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_register_holds_as_many_units_as_the_bound_and_not_one_more(first in up_to(limits::MODEL_UNITS), more in up_to(limits::MODEL_UNITS)) {
        let mut ledger = TestLedger::new(&HANDLES);
        let fits = first + more <= limits::MODEL_UNITS;
        let founded = found(&mut ledger, "one", &[first, more], Vec::new());
        prop_assert_eq!(founded.is_ok(), fits, "{:?}", founded);
        let model = found(&mut ledger, "two", &[first], Vec::new()).expect("one line fits");
        let (to, units, reason) = (ledger.account("lakeside"), Units::new(more), String::new());
        let id = propose(&mut ledger, model, ModelAction::MintShares(MintShares { to, units, reason, vesting: None }));
        ledger.must(0, Action::CastBallot(CastBallot::whole(id, Choice::Yes)));
        ledger.block(20_000, vec![]);
        prop_assert_eq!(held(&ledger, model)[1], if fits { more } else { 0 });
        // What is there moves, however much it is.
        let all = TransferShares { model, to: ledger.account("seafront"), units: Units::new(first), reason: String::new() };
        ledger.must(0, Action::TransferShares(all));
        prop_assert_eq!(held(&ledger, model)[4], first);
    }

    #[test]
    fn a_grant_to_the_holders_of_a_parent_is_divided_to_the_unit(
        held_there in prop::collection::vec(up_to(limits::MODEL_UNITS / 5), 1..=5), granted in up_to(limits::MODEL_UNITS - 1),
    ) {
        let mut ledger = TestLedger::new(&HANDLES);
        let parent = found(&mut ledger, "one", &held_there, Vec::new()).expect("it fits");
        let grant = ParentGrant { parent, units: Units::new(granted) };
        let model = found(&mut ledger, "two", &[1], vec![grant]).expect("it fits");
        // The ledger divides among holders in the order of their ids.
        let mut order: Vec<usize> = (0..held_there.len()).collect();
        order.sort_by_key(|place| ledger.account(HANDLES[*place]));
        let weights: Vec<u64> = order.iter().map(|place| held_there[*place]).collect();
        let mut expected = vec![1, 0, 0, 0, 0];
        for (place, units) in order.iter().zip(divide(granted, &weights)) {
            expected[*place] += units;
        }
        prop_assert_eq!(held(&ledger, model), expected);
    }

    #[test]
    fn a_split_ballot_counts_with_its_whole_weight_and_delegated_weight_moves_whole(
        units in prop::collection::vec(up_to(limits::MODEL_UNITS / 3), 3),
        cuts in prop::collection::vec((0u16..=10_000, 0u16..=10_000), 4),
    ) {
        let mut ledger = TestLedger::new(&HANDLES);
        let model = found(&mut ledger, "one", &units, Vec::new()).expect("it fits");
        let to = Some(ledger.account("lakeside"));
        for by in [0, 2] {
            ledger.must(by, Action::Delegate(Delegate { model, to, expires: None }));
        }
        let id = propose(&mut ledger, model, ModelAction::Statement);
        let mut answer = |by: u8, (first, second): (u16, u16)| {
            ledger.must(by, Action::CastBallot(CastBallot { proposal: id, parts: split(first, second) }));
            ledger.read::<Tally>(&id).expect("tally")
        };
        let all: u64 = units.iter().sum();
        let answered = |tally: &Tally| tally.yes + tally.no + tally.abstain + tally.veto;
        // The delegate answers for all, then each of the others takes its own out, and changes nothing of the whole.
        for (by, cut) in [(1, cuts[0]), (0, cuts[1]), (2, cuts[2]), (1, cuts[3])] {
            let tally = answer(by, cut);
            prop_assert_eq!((answered(&tally), tally.electorate), (all, all));
        }
        let tally = ledger.read::<Tally>(&id).expect("tally");
        let mut expected = [0; 3];
        for (units, cut) in [(units[0], cuts[1]), (units[1], cuts[3]), (units[2], cuts[2])] {
            let parts = split(cut.0, cut.1);
            let portions: Vec<u64> = parts.iter().map(|part| part.part.get().into()).collect();
            for (part, weight) in parts.iter().zip(divide(units, &portions)) {
                expected[[Choice::Yes, Choice::No, Choice::Veto].iter().position(|c| *c == part.choice).expect("one of them")] += weight;
            }
        }
        prop_assert_eq!([tally.yes, tally.no, tally.veto], expected);
    }

    #[test]
    fn a_round_mints_its_budget_to_the_unit_under_its_cap(
        amounts in prop::collection::vec(up_to(limits::CONTRIBUTION_AMOUNT), 1..=5),
        (budget, weight, cap) in (up_to(limits::MODEL_UNITS - 5), 1u32..=limits::KIND_WEIGHT, prop::option::of(1u16..=10_000)),
        // Founders share a cap with nobody, whoever may share it.
        per in prop::sample::select(&[CapPer::Account, CapPer::Sponsor, CapPer::Member][..]),
    ) {
        let mut ledger = TestLedger::new(&HANDLES);
        let model = found(&mut ledger, "one", &[1, 1, 1, 1, 1], Vec::new()).expect("it fits");
        let cap = cap.map(|cap| BasisPoints::new(cap).expect("at most the whole"));
        let plan = RoundPlan {
            plan: ContentHash::from_bytes([0; 32]),
            budget: Units::new(budget),
            weights: vec![KindWeight { kind: ContributionKind::Data, weight }],
            cap: cap.map(|part| Cap { per, part }),
            min_contributors: 1,
            recording_ms: 60_000,
            review_ms: 1_000,
            sealed: false,
        };
        let id = propose(&mut ledger, model, ModelAction::OpenRound(OpenRound { plan }));
        ledger.must(0, Action::CastBallot(CastBallot::whole(id, Choice::Yes)));
        ledger.block(10_000, vec![]);
        prop_assert_eq!(ledger.read::<Register>(&model).expect("register").reserved.get(), budget);
        for (by, amount) in (0..).zip(&amounts) {
            let give = RecordContribution {
                model, round: Some(0), kind: ContributionKind::Data, amount: *amount, sealed: None, evidence: None, note: String::new(),
            };
            let recorded = ledger.must(by, Action::RecordContribution(give));
            let Some(Event::ContributionRecorded { contribution, .. }) = recorded.events.first() else { panic!("no record") };
            let steward = if by == 2 { 3 } else { 2 };
            ledger.must(steward, Action::AcceptContribution(AcceptContribution { contribution: *contribution }));
        }
        for later_ms in [61_000, 1_000, 1_000, 1_000, 1_000, 1_000] {
            ledger.block(later_ms, vec![]);
        }
        let mut order: Vec<usize> = (0..amounts.len()).collect();
        order.sort_by_key(|place| ledger.account(HANDLES[*place]));
        let weights: Vec<u64> = order.iter().map(|place| amounts[*place] * u64::from(weight)).collect();
        let most = cap.map_or(u128::MAX, |cap| u128::from(budget) * u128::from(cap.get()) / 10_000);
        let mut expected = vec![1; 5];
        for (place, units) in order.iter().zip(divide(budget, &weights)) {
            expected[*place] += u64::try_from(u128::from(units).min(most)).expect("at most the budget");
        }
        prop_assert_eq!(held(&ledger, model), expected);
        prop_assert_eq!(ledger.read::<Register>(&model).expect("register").reserved, Units::ZERO);
    }

    #[test]
    fn what_is_settled_stays_whatever_the_silent_say(
        (quorum, threshold, yes_quorum) in (1u16..=10_000, 5_001u16..=10_000, 1u16..=10_000),
        (veto, objection) in (prop::option::of(1u16..=10_000), prop::option::weighted(0.3, 1u16..=10_000)),
        (yes, no, abstain, vetoed) in (0u64..60, 0u64..60, 0u64..60, 0u64..30),
        says in prop::array::uniform4(0u64..40),
        scale in prop_oneof![Just(1u64), Just(1 << 53)],
    ) {
        let points = |points: u16| Portion::at_least(Fraction::new(points.into(), 10_000).expect("at most the whole"));
        let rule = Rule {
            veto: veto.map(points),
            objection: objection.map(points),
            yes_quorum: points(yes_quorum),
            ..Rule::new(points(quorum), points(threshold), 10_000)
        };
        let silent = says.iter().sum::<u64>();
        let electorate = (yes + no + abstain + vetoed + silent + 7) * scale;
        let tally = Tally { yes: yes * scale, no: no * scale, abstain: abstain * scale, veto: vetoed * scale, ..Tally::of(electorate) };
        let then = Tally {
            yes: (yes + says[0]) * scale,
            no: (no + says[1]) * scale,
            abstain: (abstain + says[2]) * scale,
            veto: (vetoed + says[3]) * scale,
            ..tally
        };
        let passes = |tally: &Tally| rule.judge(tally) == allod_protocol::rules::policy::Verdict::Passed;
        if rule.is_settled(&tally) {
            prop_assert_eq!(passes(&tally), passes(&then));
        }
        // What blocks, blocks; one less does not.
        let blocking = rule.blocking_weight(electorate);
        let against = |no: u64| Tally { yes: electorate - no, no, electorate, ..Tally::default() };
        prop_assert!(!passes(&against(blocking)));
        prop_assert!(blocking == 0 || passes(&against(blocking - 1)));
        if let Some(lacks) = rule.outlook(&tally).yes_lacks {
            let with = |more: u64| Tally { yes: tally.yes + more, ..tally };
            prop_assert!(passes(&with(lacks)));
            prop_assert!(lacks == 0 || !passes(&with(lacks - 1)));
        }
    }
}
