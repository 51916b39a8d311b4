//! What random histories found that the rules promised and did not keep; each is kept now, but for the ignored ones.

use allod_protocol::{
    ground::{
        fraction::Portion,
        ids::{BasisPoints, ContentHash, DisputeId, ModelId, Name, ProposalId, Units},
    },
    rules::{
        access::Distribution,
        action::Action,
        contribution::{AcceptContribution, ContributionKind, RecordContribution},
        delegation::Delegate,
        dispute::{DisputeTarget, OpenDispute},
        event::Event,
        model::{CreateModel, FoundingLine, Model, Retire},
        policy::{ModelPolicy, Rule, Tally},
        proposal::{BallotPart, CastBallot, Choice, ModelAction, OpenProposal, Proposal, ProposalStatus, Question},
        round::{KindWeight, OpenRound, RoundPlan},
        share::{BurnByDecision, Expropriate, GiveConsent, MintShares, Register, TransferShares, Vesting},
    },
};
use allod_tests::ledger::{TestLedger, percent, policy, rule};

const HANDLES: [&str; 5] = ["northfield", "lakeside", "hilltop", "riverbend", "seafront"];

/// northfield 50, lakeside 30, hilltop 20; northfield and lakeside are stewards.
fn found(ledger: &mut TestLedger, policy: ModelPolicy) -> ModelId {
    let line =
        |handle: &str, units| FoundingLine { account: ledger.account(handle), units: Units::new(units), vesting: None };
    let action = CreateModel {
        name: Name::new("digits").expect("a name"),
        description: String::new(),
        founding: vec![line("northfield", 50), line("lakeside", 30), line("hilltop", 20)],
        stewards: vec![ledger.account("northfield"), ledger.account("lakeside")],
        policy,
        licence: None,
        distribution: Distribution::default(),
        grants: Vec::new(),
    };
    let founded = ledger.must(0, Action::CreateModel(action));
    ledger.accept_offers();
    match founded.events.first() {
        Some(Event::ModelCreated { model, .. }) => *model,
        other => panic!("{other:?}"),
    }
}

fn open(ledger: &mut TestLedger, model: ModelId, action: ModelAction) -> ProposalId {
    let (question, title, text) = (Question::of_model(model, vec![action]), "a question".into(), String::new());
    let asked = OpenProposal { question, title, text };
    match ledger.must(0, Action::OpenProposal(asked)).events.first() {
        Some(Event::ProposalOpened { proposal, .. }) => *proposal,
        other => panic!("{other:?}"),
    }
}

fn vote(ledger: &mut TestLedger, by: u8, proposal: ProposalId, choice: Choice) {
    ledger.must(by, Action::CastBallot(CastBallot::whole(proposal, choice)));
}

fn challenge(ledger: &mut TestLedger, by: u8, target: DisputeTarget) -> DisputeId {
    let asked = OpenDispute { target, units: Units::new(20), text: String::new(), evidence: None, bond: Units::ZERO };
    match ledger.must(by, Action::OpenDispute(asked)).events.first() {
        Some(Event::DisputeOpened { dispute, .. }) => *dispute,
        other => panic!("{other:?}"),
    }
}

fn pass(ledger: &mut TestLedger, model: ModelId, action: ModelAction) {
    let id = open(ledger, model, action);
    for by in 0..3 {
        vote(ledger, by, id, Choice::Yes);
    }
    // Whoever loses units by it agrees.
    let proposal: Proposal = ledger.read(&id).expect("proposal");
    for action in proposal.question.model_actions() {
        let ModelAction::BurnShares(BurnByDecision { from, .. }) = action else { continue };
        let place = HANDLES.iter().position(|handle| ledger.account(handle) == *from).expect("a founder");
        let by = u8::try_from(place).expect("few founders");
        ledger.must(by, Action::GiveConsent(GiveConsent { proposal: id, agrees: true }));
    }
    ledger.block(10_000, vec![]);
    let status = ledger.read::<Proposal>(&id).expect("proposal").status;
    assert!(matches!(status, ProposalStatus::Executed { .. }), "{status:?}");
}

/// A policy that closes five seconds after opening once nothing can change the outcome, and after a minute otherwise.
fn early() -> ModelPolicy {
    let veto = Some(Portion::WHOLE);
    let rule = Rule { early_close_ms: Some(5_000), veto, ..Rule::new(percent(50), Portion::MAJORITY, 60_000) };
    ModelPolicy { allow: policy(50, 50).allow, ..ModelPolicy::uniform(&rule) }
}

#[test]
fn an_early_close_is_taken_back_when_a_changed_ballot_opens_the_outcome_again() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = found(&mut ledger, early());
    let id = open(&mut ledger, model, ModelAction::Statement);
    vote(&mut ledger, 0, id, Choice::Yes);
    vote(&mut ledger, 2, id, Choice::Yes);
    // 70 of 100 are for it: settled. Then northfield changes its mind, and lakeside's 30 would decide.
    vote(&mut ledger, 0, id, Choice::Abstain);
    let proposal: Proposal = ledger.read(&id).expect("proposal");
    let tally: Tally = ledger.read(&id).expect("tally");
    assert!(!proposal.rule.is_settled(&tally), "lakeside can decide");
    assert_eq!(proposal.closes, proposal.opened_at.plus_ms(60_000), "so it may still answer");
}

#[test]
fn an_early_close_waits_for_those_who_may_still_override_their_delegate() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = found(&mut ledger, early());
    let to = Some(ledger.account("hilltop"));
    ledger.must(0, Action::Delegate(Delegate { model, to, expires: None }));
    let id = open(&mut ledger, model, ModelAction::Statement);
    // hilltop answers with its 20 and northfield's 50; northfield's own no would make it 20 to 50.
    vote(&mut ledger, 2, id, Choice::Yes);
    let proposal: Proposal = ledger.read(&id).expect("proposal");
    assert_eq!(proposal.closes, proposal.opened_at.plus_ms(60_000), "northfield may still answer for itself");
}

#[test]
fn an_early_close_waits_for_an_override_that_would_make_a_decision_pass() {
    let mut ledger = TestLedger::new(&HANDLES);
    let mut policy = early();
    policy.rules.quorum = percent(90);
    let model = found(&mut ledger, policy);
    let to = Some(ledger.account("hilltop"));
    ledger.must(0, Action::Delegate(Delegate { model, to, expires: None }));
    let id = open(&mut ledger, model, ModelAction::Statement);
    let half = |choice| BallotPart { choice, part: BasisPoints::new(5_000).expect("at most the whole") };
    let parts = vec![half(Choice::Yes), half(Choice::Veto)];
    ledger.must(1, Action::CastBallot(CastBallot { proposal: id, parts }));
    vote(&mut ledger, 2, id, Choice::No);
    // 15 yes, 70 no, 15 veto; northfield's own yes would make it 65 yes, 20 no, 15 veto.
    let proposal: Proposal = ledger.read(&id).expect("proposal");
    assert_eq!(proposal.closes, proposal.opened_at.plus_ms(60_000), "northfield may still answer for itself");
}

#[test]
fn a_challenge_at_the_last_moment_voids_no_decision_of_the_owners() {
    let mut ledger = TestLedger::new(&HANDLES);
    let mut policy = ModelPolicy { expropriation: Some(rule(50, 50)), ..policy(50, 50) };
    policy.allow = policy.risks();
    let model = found(&mut ledger, policy);
    let account = ledger.account("hilltop");
    let take = ModelAction::Expropriate(Expropriate { from: account, units: Units::new(20), cause: String::new() });
    let id = open(&mut ledger, model, take);
    vote(&mut ledger, 0, id, Choice::Yes);
    vote(&mut ledger, 1, id, Choice::Yes);
    challenge(&mut ledger, 1, DisputeTarget::Line { model, account });
    ledger.block(10_000, vec![]);
    let status = ledger.read::<Proposal>(&id).expect("proposal").status;
    assert!(matches!(status, ProposalStatus::Executed { .. }), "it neither waits nor fails: {status:?}");
}

#[test]
fn what_a_round_promised_is_minted_although_the_model_is_retired_since() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = found(&mut ledger, policy(50, 50));
    let plan = RoundPlan {
        plan: ContentHash::from_bytes([0; 32]),
        budget: Units::new(10),
        weights: vec![KindWeight { kind: ContributionKind::Data, weight: 1 }],
        cap: None,
        min_contributors: 1,
        recording_ms: 60_000,
        review_ms: 1_000,
        sealed: false,
    };
    pass(&mut ledger, model, ModelAction::OpenRound(OpenRound { plan }));
    let give = RecordContribution {
        model,
        round: Some(0),
        kind: ContributionKind::Data,
        amount: 1,
        sealed: None,
        evidence: None,
        note: String::new(),
    };
    let recorded = ledger.must(2, Action::RecordContribution(give));
    let Some(Event::ContributionRecorded { contribution, .. }) = recorded.events.first() else { panic!("no record") };
    ledger.must(0, Action::AcceptContribution(AcceptContribution { contribution: *contribution }));
    pass(&mut ledger, model, ModelAction::Retire(Retire { reason: String::new() }));
    assert!(ledger.read::<Model>(&model).expect("model").retired.is_some());
    for later_ms in [61_000, 1_000, 1_000] {
        ledger.block(later_ms, vec![]);
    }
    let register: Register = ledger.read(&model).expect("register");
    assert_eq!((register.total_units, register.reserved), (Units::new(110), Units::ZERO));
}

/// A decision that took more than was free left the whole grant locked, and with it what the holder was given later.
#[test]
fn what_is_locked_is_never_more_than_what_a_burn_left() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = found(&mut ledger, policy(50, 50));
    let riverbend = ledger.account("riverbend");
    let mint = |units, vesting| {
        ModelAction::MintShares(MintShares { to: riverbend, units: Units::new(units), reason: "r".into(), vesting })
    };
    pass(&mut ledger, model, mint(100, Some(Vesting { cliff_ms: 0, duration_ms: 1_000_000_000 })));
    let burn = ModelAction::BurnShares(BurnByDecision { from: riverbend, units: Units::new(90), cause: "c".into() });
    pass(&mut ledger, model, burn);
    pass(&mut ledger, model, mint(50, None));
    let give = |units| {
        let (to, reason) = (ledger.account("seafront"), String::new());
        Action::TransferShares(TransferShares { model, to, units: Units::new(units), reason })
    };
    let (too_many, free) = (give(60), give(50));
    assert_eq!(ledger.refused(3, too_many), "not_vested");
    ledger.must(3, free);
}
