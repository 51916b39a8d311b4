//! How owners decide: delegation, split answers, vetoes, closes that move, timelocks, gates, guardians; and what can be
//! decided about a model.

use crate::common::{account, decide, found, founded, founding, ledger, open, status, tally, units, version, vote};
use allod_protocol::{
    ground::{
        fraction::Portion,
        ids::{AccountId, BasisPoints, ModelId, Name, ProposalId, Units, VersionLabel},
        state::{ChangeSet, Direction, Record, page},
    },
    ledger::execute::Outcome,
    rules::{
        action::Action,
        attestation::{Attest, Finding},
        delegation::Delegate,
        event::Event,
        licence::SetLicence,
        model::{
            ChildOf, ClaimLineage, DeprecateVersion, Licence, Model, ParentGrant, PublishVersion, ReleaseVersion,
            Retire, SetPolicy, SetStewards, Version, VersionRef, VersionStatus, WithdrawVersion,
        },
        policy::{Arbiters, Electorate, Gate, ModelPolicy, Proposers, Role, Rule, TransferRule, Verdict},
        proposal::{
            BallotPart, CancelProposal, CastBallot, Choice, ExecuteProposal, ModelAction, NetworkAction, OpenProposal,
            Proposal, ProposalStatus, Question, WithdrawProposal, dry_run::dry_run,
        },
        rejection::Rejection,
        sale::{AcceptTransfer, ApproveTransfer},
        share::{
            BurnByDecision, BurnShares, GiveConsent, MintShares, Share, ShareChange, ShareReason, TransferShares,
            Vesting,
        },
    },
};
use allod_tests::ledger::{TestLedger, percent, policy, rule};

fn label(text: &str) -> VersionLabel {
    VersionLabel::new(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The lenient policy of the tests with another rule for every class.
fn with_rule(change: impl Fn(&mut Rule)) -> ModelPolicy {
    let mut policy = policy(50, 60);
    for class in allod_protocol::rules::policy::Class::OF_MODELS {
        change(policy.rule_mut(class));
    }
    policy
}

fn statement(ledger: &mut TestLedger, model: ModelId) -> ProposalId {
    open(ledger, 0, Question::of_model(model, vec![ModelAction::Statement]))
}

fn delegate(ledger: &mut TestLedger, by: u8, model: ModelId, to: Option<AccountId>) {
    ledger.must(by, Action::Delegate(Delegate { model, to, expires: None }));
}

#[test]
fn a_delegate_answers_for_others_until_they_answer_themselves() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let seafront = account(&ledger, 4);
    delegate(&mut ledger, 1, model, Some(seafront));
    delegate(&mut ledger, 2, model, Some(seafront));
    let id = statement(&mut ledger, model);

    vote(&mut ledger, 4, id, Choice::Yes);
    assert_eq!(tally(&ledger, id), [50, 0, 0, 0], "it holds nothing itself, and answers for 30 and 20");
    vote(&mut ledger, 2, id, Choice::No);
    assert_eq!(tally(&ledger, id), [30, 20, 0, 0], "hilltop answers for itself");
    vote(&mut ledger, 4, id, Choice::Abstain);
    assert_eq!(tally(&ledger, id), [0, 20, 30, 0], "a change of the delegate's answer leaves hilltop's alone");
    vote(&mut ledger, 2, id, Choice::Yes);
    assert_eq!(tally(&ledger, id), [20, 0, 30, 0]);
    vote(&mut ledger, 1, id, Choice::No);
    assert_eq!(tally(&ledger, id), [20, 30, 0, 0], "nothing is left to the delegate");
    let again = Action::CastBallot(CastBallot::whole(id, Choice::Yes));
    assert_eq!(ledger.refused(4, again), "no_weight");
}

#[test]
fn who_answers_before_its_delegate_keeps_its_voice() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let (lakeside, hilltop) = (account(&ledger, 1), account(&ledger, 2));
    delegate(&mut ledger, 0, model, Some(lakeside));
    delegate(&mut ledger, 1, model, Some(hilltop));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 2, id, Choice::Yes);
    assert_eq!(tally(&ledger, id), [50, 0, 0, 0], "what lakeside was given it does not pass on");
    vote(&mut ledger, 0, id, Choice::No);
    vote(&mut ledger, 1, id, Choice::Abstain);
    assert_eq!(tally(&ledger, id), [20, 50, 30, 0]);
}

#[test]
fn delegations_and_shares_that_change_later_do_not_reach_an_open_proposal() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let (lakeside, seafront) = (account(&ledger, 1), account(&ledger, 4));
    delegate(&mut ledger, 1, model, Some(seafront));
    let id = statement(&mut ledger, model);
    delegate(&mut ledger, 2, model, Some(seafront));
    delegate(&mut ledger, 1, model, None);
    let sold = TransferShares { model, to: lakeside, units: Units::new(50), reason: String::new() };
    ledger.must(0, Action::TransferShares(sold));
    vote(&mut ledger, 4, id, Choice::Yes);
    assert_eq!(tally(&ledger, id), [30, 0, 0, 0]);
    let next = statement(&mut ledger, model);
    vote(&mut ledger, 4, next, Choice::Yes);
    assert_eq!(tally(&ledger, next), [20, 0, 0, 0], "from the next proposal on they do");
}

#[test]
fn a_delegation_follows_the_shares_and_ends_when_it_said() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let (lakeside, hilltop) = (account(&ledger, 1), account(&ledger, 2));
    let expires = Some(ledger.tip.time.plus_ms(60_000));
    ledger.must(2, Action::Delegate(Delegate { model, to: Some(lakeside), expires }));
    let given = TransferShares { model, to: hilltop, units: Units::new(5), reason: String::new() };
    ledger.must(0, Action::TransferShares(given));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 1, id, Choice::Yes);
    assert_eq!(tally(&ledger, id), [55, 0, 0, 0]);
    let ended = ledger.block(60_000, vec![]).deadline_events;
    assert!(ended.iter().any(|event| matches!(event, Event::Delegated { to: None, .. })), "{ended:?}");
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 1, id, Choice::Yes);
    assert_eq!(tally(&ledger, id), [30, 0, 0, 0]);
    let own = Action::Delegate(Delegate { model, to: Some(hilltop), expires: None });
    assert_eq!(ledger.refused(2, own), "own_delegate");
    let past = Delegate { model, to: Some(lakeside), expires: Some(ledger.tip.time) };
    assert_eq!(ledger.refused(2, Action::Delegate(past)), "delegation_expired");
}

#[test]
fn an_answer_in_parts_counts_to_the_unit() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_rule(|rule| rule.veto = Some(percent(50))));
    let id = statement(&mut ledger, model);
    let part = |choice, part| BallotPart { choice, part: BasisPoints::new(part).unwrap() };
    let thirds = vec![part(Choice::Yes, 3_334), part(Choice::No, 3_333), part(Choice::Veto, 3_333)];
    ledger.must(0, Action::CastBallot(CastBallot { proposal: id, parts: thirds }));
    assert_eq!(tally(&ledger, id), [17, 17, 0, 16], "50 units, the odd ones to the largest remainders");
    vote(&mut ledger, 0, id, Choice::Abstain);
    assert_eq!(tally(&ledger, id), [0, 0, 50, 0], "all of it is taken back");
    let half = CastBallot { proposal: id, parts: vec![part(Choice::Yes, 5_000)] };
    let half = ledger.sign_as(0, Action::CastBallot(half));
    assert!(half.check_form(ledger.tip.network).unwrap_err().to_string().contains("add up"));
}

#[test]
fn enough_vetoes_reject_and_silence_passes_what_is_optimistic() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_rule(|rule| rule.veto = Some(percent(20))));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 0, id, Choice::Yes);
    vote(&mut ledger, 1, id, Choice::Yes);
    vote(&mut ledger, 2, id, Choice::Veto);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::Vetoed, .. }));

    let mut policy = policy(50, 60);
    policy.release.objection = Some(percent(25));
    let mut action = founding(&ledger, policy);
    action.name = name("optimist");
    let model = found(&mut ledger, action);
    for (version_label, objector, released) in [("1.0", 2, true), ("2.0", 1, false)] {
        ledger.must(0, Action::PublishVersion(version(model, version_label)));
        let release = ModelAction::ReleaseVersion(ReleaseVersion { label: label(version_label) });
        let id = open(&mut ledger, 0, Question::of_model(model, vec![release]));
        vote(&mut ledger, objector, id, Choice::No);
        ledger.block(10_000, vec![]);
        assert_eq!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }), released, "{version_label}");
    }
}

#[test]
fn a_close_comes_early_only_when_nothing_can_change_the_outcome() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_rule(|rule| rule.early_close_ms = Some(4_000)));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 0, id, Choice::Yes);
    assert_eq!(status(&ledger, id), ProposalStatus::Open, "50 of 100 could still be outvoted");
    vote(&mut ledger, 1, id, Choice::Yes);
    assert_eq!(status(&ledger, id), ProposalStatus::Open, "settled, but not before its time");
    ledger.block(1_000, vec![]);
    assert_eq!(status(&ledger, id), ProposalStatus::Open);
    let late = ledger.sign_as(2, Action::CastBallot(CastBallot::whole(id, Choice::No)));
    let executed = ledger.block(1_000, vec![late]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }), "four seconds after it was opened");
    assert!(matches!(executed.results[0].outcome, Outcome::Rejected(Rejection::NotOpen { .. })));
}

#[test]
fn whoever_turns_the_outcome_leaves_the_others_time_to_answer() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_rule(|rule| rule.late_extension_ms = 6_000));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 2, id, Choice::No);
    ledger.block(6_000, vec![]);
    let result = ledger.must(0, Action::CastBallot(CastBallot::whole(id, Choice::Yes)));
    let closes = ledger.tip.time.plus_ms(6_000);
    assert!(result.events.contains(&Event::CloseMoved { proposal: id, closes }), "{:?}", result.events);
    ledger.block(3_000, vec![]);
    assert_eq!(status(&ledger, id), ProposalStatus::Open, "past its first close");
    vote(&mut ledger, 1, id, Choice::No);
    ledger.block(5_000, vec![]);
    assert_eq!(status(&ledger, id), ProposalStatus::Open, "turned back, and northfield may answer that");
    ledger.block(1_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::NotEnoughYes, .. }));
}

/// northfield completes the quorum with a no, and turns it to yes a moment before the close; the others notice.
#[test]
fn an_answer_changed_at_the_last_moment_does_not_decide() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_rule(|rule| rule.late_extension_ms = 4_000));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 0, id, Choice::No);
    vote(&mut ledger, 1, id, Choice::Abstain);
    vote(&mut ledger, 2, id, Choice::No);
    let opened = ledger.read::<Proposal>(&id).unwrap().opened_at;
    let until = |ledger: &TestLedger, ms: u64| ms - (ledger.tip.time.get() - opened.get());
    let step = until(&ledger, 9_998);
    ledger.block(step, vec![]);
    ledger.must_after(1, 0, Action::CastBallot(CastBallot::whole(id, Choice::Yes)));
    assert_eq!(ledger.read::<Proposal>(&id).unwrap().closes, ledger.tip.time.plus_ms(4_000));
    ledger.must_after(3_000, 1, Action::CastBallot(CastBallot::whole(id, Choice::No)));
    // It goes on so, until there is no time left after the last close: from there on nothing makes it pass any more.
    ledger.must_after(3_000, 1, Action::CastBallot(CastBallot::whole(id, Choice::Abstain)));
    assert_eq!(ledger.read::<Proposal>(&id).unwrap().closes, opened.plus_ms(19_999));
    ledger.must_after(2_000, 0, Action::CastBallot(CastBallot::whole(id, Choice::No)));
    let late = Action::CastBallot(CastBallot::whole(id, Choice::Yes));
    assert_eq!(ledger.refused(0, late), "too_late_to_pass");
    let step = until(&ledger, 20_000);
    ledger.block(step, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::NotEnoughYes, .. }));
}

#[test]
fn objections_that_come_and_go_late_move_the_close_too() {
    let mut ledger = ledger();
    let mut policy = policy(50, 60);
    policy.release = Rule { objection: Some(percent(25)), late_extension_ms: 4_000, ..policy.release };
    let model = founded(&mut ledger, policy);
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let release = ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") });
    let id = open(&mut ledger, 0, Question::of_model(model, vec![release]));
    vote(&mut ledger, 1, id, Choice::No);
    ledger.block(7_000, vec![]);
    ledger.must(1, Action::CastBallot(CastBallot::whole(id, Choice::Yes)));
    let closes = ledger.tip.time.plus_ms(4_000);
    assert_eq!(ledger.read::<Proposal>(&id).unwrap().closes, closes, "hilltop may object instead");
    vote(&mut ledger, 0, id, Choice::No);
    ledger.block(4_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::Objected, .. }));
}

#[test]
fn an_outcome_that_turned_is_not_closed_on_at_once_though_everybody_has_answered() {
    let mut ledger = ledger();
    let quick = |rule: &mut Rule| (rule.early_close_ms, rule.late_extension_ms) = (Some(0), 4_000);
    let model = founded(&mut ledger, with_rule(quick));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 1, id, Choice::Abstain);
    vote(&mut ledger, 2, id, Choice::No);
    vote(&mut ledger, 0, id, Choice::Yes);
    assert_eq!(status(&ledger, id), ProposalStatus::Open);
    assert_eq!(ledger.read::<Proposal>(&id).unwrap().closes, ledger.tip.time.plus_ms(4_000));
}

/// 1 of 100 says yes, 99 abstain: the quorum is there, and nobody is against it.
#[test]
fn abstaining_does_not_let_a_few_decide() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, with_rule(|rule| rule.yes_quorum = Portion::MAJORITY));
    let sold =
        |units| TransferShares { model, to: account(&ledger, 4), units: Units::new(units), reason: String::new() };
    let sold = sold(1);
    ledger.must(2, Action::TransferShares(sold));
    let id = statement(&mut ledger, model);
    for by in 0..3 {
        vote(&mut ledger, by, id, Choice::Abstain);
    }
    vote(&mut ledger, 4, id, Choice::Yes);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::NoYesQuorum, .. }));
}

#[test]
fn a_proposer_takes_its_question_back_until_it_is_closed_for_everybody_to_see() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 1, id, Choice::Yes);
    let take_back = |reason: &str| Action::WithdrawProposal(WithdrawProposal { proposal: id, reason: reason.into() });
    assert_eq!(ledger.refused(1, take_back("not mine")), "not_proposer");
    ledger.must(0, take_back("asked too early"));
    let ProposalStatus::Withdrawn { reason, .. } = status(&ledger, id) else { panic!("{:?}", status(&ledger, id)) };
    assert_eq!(reason, "asked too early");
    assert_eq!(tally(&ledger, id), [30, 0, 0, 0], "the answers stay");
    let passed = decide(&mut ledger, model, ModelAction::Statement, &[0, 1]);
    ledger.block(10_000, vec![]);
    let late = Action::WithdrawProposal(WithdrawProposal { proposal: passed, reason: String::new() });
    assert_eq!(ledger.refused(0, late), "not_open");
}

#[test]
fn a_veto_where_there_is_none_is_refused_with_what_to_do() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let id = statement(&mut ledger, model);
    let veto = Action::CastBallot(CastBallot::whole(id, Choice::Veto));
    assert_eq!(ledger.refused(2, veto), "no_veto");
    assert!(Rejection::NoVeto(id).to_string().contains("answer no"));
    let mut action = founding(&ledger, with_rule(|rule| rule.veto = Some(percent(20))));
    action.name = name("vetoes");
    let model = found(&mut ledger, action);
    let id = statement(&mut ledger, model);
    ledger.must(2, Action::CastBallot(CastBallot::whole(id, Choice::Veto)));
}

#[test]
fn texts_cannot_pass_for_something_else() {
    let mut ledger = ledger();
    let mut ask = |title: &str, text: &str| {
        let question = Question::of_network(vec![NetworkAction::Statement]);
        let action = Action::OpenProposal(OpenProposal { question, title: title.into(), text: text.into() });
        ledger.sign_as(0, action).check_form(ledger.tip.network)
    };
    assert_eq!(ask("Release M@1.0", "Why:\n\tbecause."), Ok(()));
    for title in ["a\nexecuted in block 7", "a\tb", "a\u{202e}b", "a\u{200b}", "a\u{2028}b", "a\u{7}"] {
        assert!(ask(title, "").is_err(), "{title:?}");
    }
    for text in ["a\u{2066}b", "a\u{feff}", "a\u{2029}b", "a\rb"] {
        assert!(ask("t", text).is_err(), "{text:?}");
    }
}

#[test]
fn a_timelock_holds_a_decision_and_a_guardian_can_stop_it() {
    let mut ledger = ledger();
    let mut policy = with_rule(|rule| rule.timelock_ms = 20_000);
    policy.guardian = Some(account(&ledger, 4));
    let model = founded(&mut ledger, policy);
    let mint = |ledger: &TestLedger| {
        ModelAction::MintShares(MintShares {
            to: account(ledger, 3),
            units: Units::new(10),
            reason: "for the scans".into(),
            vesting: None,
        })
    };
    let action = mint(&ledger);
    let id = decide(&mut ledger, model, action, &[0, 1]);
    ledger.block(10_000, vec![]);
    let ProposalStatus::Queued { ready, .. } = status(&ledger, id) else { panic!("{:?}", status(&ledger, id)) };
    assert_eq!(ready, ledger.tip.time.plus_ms(20_000));
    let execute = Action::ExecuteProposal(ExecuteProposal { proposal: id });
    assert_eq!(ledger.refused(3, execute), "timelocked");
    assert_eq!(units(&ledger, model, "riverbend"), 0);
    ledger.block(20_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    assert_eq!(units(&ledger, model, "riverbend"), 10);

    let action = mint(&ledger);
    let id = decide(&mut ledger, model, action, &[0, 1]);
    ledger.block(10_000, vec![]);
    let cancel = Action::CancelProposal(CancelProposal { proposal: id, reason: "minted twice".into() });
    assert_eq!(ledger.refused(0, cancel.clone()), "not_guardian");
    ledger.must(4, cancel);
    ledger.block(60_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Cancelled { .. }));
    assert_eq!(units(&ledger, model, "riverbend"), 10);
}

/// A model whose releases wait for two of three reviewers.
fn gated(ledger: &mut TestLedger) -> ModelId {
    let mut policy = policy(50, 60);
    let accounts = (2..5).map(|index| account(ledger, index)).collect();
    policy.roles = vec![Role { name: name("reviewer"), accounts }];
    let (statement, role) = (name("safety-review"), name("reviewer"));
    policy.gates = vec![Gate { statement, role, attestors: 2, outvoted_by: None }];
    policy.release.execution_window_ms = 30_000;
    let model = founded(ledger, policy);
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    model
}

fn attested(finding: Finding, note: &str) -> Action {
    let (artifact, statement) = (allod_protocol::ground::ids::ArtifactId::of(b"1.0"), name("safety-review"));
    Action::Attest(Attest { artifact, statement, finding, evidence: None, note: note.into() })
}

fn attest(ledger: &mut TestLedger, by: u8, finding: Finding) {
    ledger.must(by, attested(finding, ""));
}

#[test]
fn a_release_waits_for_what_must_be_attested() {
    let mut ledger = ledger();
    let model = gated(&mut ledger);
    let id = decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") }), &[0, 1]);
    attest(&mut ledger, 2, Finding::Passed);
    attest(&mut ledger, 0, Finding::Passed);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }), "northfield is no reviewer");
    let execute = Action::ExecuteProposal(ExecuteProposal { proposal: id });
    assert_eq!(ledger.refused(4, execute.clone()), "not_attested");
    attest(&mut ledger, 3, Finding::Failed);
    assert_eq!(ledger.refused(4, execute.clone()), "failed_attestation", "a failed review blocks");
    attest(&mut ledger, 4, Finding::Passed);
    assert_eq!(ledger.refused(4, execute.clone()), "failed_attestation", "however many passed it");
    attest(&mut ledger, 4, Finding::Withdrawn);
    assert_eq!(ledger.refused(4, attested(Finding::Withdrawn, "")), "nothing_attested", "it has withdrawn it already");
    attest(&mut ledger, 3, Finding::Withdrawn);
    assert_eq!(ledger.refused(4, execute.clone()), "not_attested", "what was withdrawn counts neither way");
    attest(&mut ledger, 3, Finding::Passed);
    ledger.must(4, execute.clone());
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    assert_eq!(ledger.read::<Model>(&model).unwrap().released, Some(label("1.0")));
    assert_eq!(ledger.refused(4, execute), "not_queued");
}

#[test]
fn a_decision_that_is_never_fit_to_be_executed_expires() {
    let mut ledger = ledger();
    let model = gated(&mut ledger);
    let id = decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") }), &[0, 1]);
    ledger.block(10_000, vec![]);
    ledger.block(30_000, vec![]);
    match status(&ledger, id) {
        ProposalStatus::Expired { reason: Rejection::NotAttested { have: 0, needed: 2, .. }, .. } => {}
        other => panic!("{other:?}"),
    }
    let version: Version = ledger.read(&(model, label("1.0"))).unwrap();
    assert_eq!(version.status, VersionStatus::Published);
}

#[test]
fn a_failed_review_is_named_and_is_outvoted_only_where_the_rule_says_so() {
    let mut ledger = ledger();
    let model = gated(&mut ledger);
    attest(&mut ledger, 2, Finding::Passed);
    attest(&mut ledger, 3, Finding::Passed);
    ledger.must(4, attested(Finding::Failed, "worse for the old"));
    let release = ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") });
    let id = decide(&mut ledger, model, release.clone(), &[0, 1]);
    ledger.block(10_000, vec![]);
    ledger.block(30_000, vec![]);
    let ProposalStatus::Expired { reason, .. } = status(&ledger, id) else { panic!("{:?}", status(&ledger, id)) };
    let said = reason.to_string();
    for part in [&account(&ledger, 4).to_string(), "worse for the old", "safety-review", "who is in the role"] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // The owners let two outvote one, by a decision that everybody sees.
    let mut policy = ledger.read::<Model>(&model).unwrap().policy;
    policy.gates[0].outvoted_by = Some(2);
    decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy: Box::new(policy) }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let id = decide(&mut ledger, model, release, &[0, 1]);
    attest(&mut ledger, 3, Finding::Failed);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }), "one does not outvote two");
    attest(&mut ledger, 3, Finding::Passed);
    ledger.must(0, Action::ExecuteProposal(ExecuteProposal { proposal: id }));
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
}

#[test]
fn a_failed_review_that_comes_while_the_decision_waits_still_blocks() {
    let mut ledger = ledger();
    let mut policy = policy(50, 60);
    policy.roles = vec![Role { name: name("reviewer"), accounts: vec![account(&ledger, 2), account(&ledger, 3)] }];
    let (statement, role) = (name("safety-review"), name("reviewer"));
    policy.gates = vec![Gate { statement, role, attestors: 1, outvoted_by: None }];
    policy.release.timelock_ms = 20_000;
    let model = founded(&mut ledger, policy.clone());
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    attest(&mut ledger, 2, Finding::Passed);
    let release = ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") });
    let id = decide(&mut ledger, model, release.clone(), &[0, 1]);
    ledger.block(10_000, vec![]);
    attest(&mut ledger, 3, Finding::Failed);
    ledger.block(20_000, vec![]);
    let execute = Action::ExecuteProposal(ExecuteProposal { proposal: id });
    assert_eq!(ledger.refused(0, execute), "failed_attestation", "it is judged when it would be executed");

    // Whoever blocks for no good reason is taken out of the role; a release that is asked for anew does not mind it.
    policy.roles[0].accounts.truncate(1);
    decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy: Box::new(policy) }), &[0, 1]);
    ledger.block(10_000, vec![]);
    let again = decide(&mut ledger, model, release, &[0, 1]);
    ledger.block(10_000, vec![]);
    ledger.block(20_000, vec![]);
    assert!(matches!(status(&ledger, again), ProposalStatus::Executed { .. }), "{:?}", status(&ledger, again));
}

#[test]
fn heads_and_roots_count_as_the_rule_says() {
    let mut ledger = ledger();
    for (electorate, expected) in [(Electorate::Members, [1, 2, 0, 0]), (Electorate::SquareRoot, [7, 9, 0, 0])] {
        let mut policy = with_rule(|rule| rule.electorate = electorate);
        policy.allow.push(allod_protocol::rules::policy::Risk::SplitVoices);
        let mut action = founding(&ledger, policy);
        action.name = name(if electorate == Electorate::Members { "heads" } else { "roots" });
        let model = found(&mut ledger, action);
        let id = statement(&mut ledger, model);
        vote(&mut ledger, 0, id, Choice::Yes);
        vote(&mut ledger, 1, id, Choice::No);
        vote(&mut ledger, 2, id, Choice::No);
        assert_eq!(tally(&ledger, id), expected);
    }
}

#[test]
fn a_rule_says_who_may_ask() {
    let mut ledger = ledger();
    let ask = |model| {
        let question = Question::of_model(model, vec![ModelAction::Statement]);
        Action::OpenProposal(OpenProposal { question, title: "t".into(), text: String::new() })
    };
    let model = founded(&mut ledger, with_rule(|rule| rule.proposers = Proposers::Stewards));
    assert_eq!(ledger.refused(1, ask(model)), "not_steward");
    ledger.must(0, ask(model));
    let mut action = founding(&ledger, with_rule(|rule| rule.proposers = Proposers::Holders(percent(25).part())));
    action.name = name("holders");
    let model = found(&mut ledger, action);
    assert_eq!(ledger.refused(2, ask(model)), "too_few_shares");
    ledger.must(1, ask(model));
}

#[test]
fn transfers_follow_the_policy_and_an_approved_one_keeps_its_price() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, ModelPolicy { transfers: TransferRule::Approval, ..policy(50, 60) });
    let to = account(&ledger, 3);
    let give = Action::TransferShares(TransferShares { model, to, units: Units::new(20), reason: String::new() });
    assert_eq!(ledger.refused(0, give.clone()), "transfer_needs_approval");
    let approve = ModelAction::ApproveTransfer(ApproveTransfer {
        to,
        units: Units::new(20),
        price: "EUR 5,000".into(),
        reason: "riverbend joins".into(),
    });
    let buy = |proposal| Action::AcceptTransfer(AcceptTransfer { proposal, accept: true });
    let id = decide(&mut ledger, model, approve.clone(), &[0, 1]);
    ledger.must(3, buy(id));
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    assert_eq!((units(&ledger, model, "northfield"), units(&ledger, model, "riverbend")), (30, 20));
    let (lines, _) = page::<ShareChange>(&ledger.state, &model, None, Direction::Descending, 1).unwrap();
    let price = |reason: &ShareReason| match reason {
        ShareReason::TransferApproved { price, proposal, .. } => Some((price.clone(), *proposal)),
        _ => None,
    };
    assert_eq!(price(&lines[0].reason), Some(("EUR 5,000".to_owned(), id)));

    let locked = ModelPolicy { transfers: TransferRule::Locked, ..policy(50, 60) };
    let change = decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy: Box::new(locked) }), &[0, 1, 2]);
    let late = decide(&mut ledger, model, approve, &[0, 1, 2]);
    ledger.must(3, buy(late));
    ledger.block(20_000, vec![]);
    assert!(matches!(status(&ledger, change), ProposalStatus::Executed { .. }));
    let reason = match status(&ledger, late) {
        ProposalStatus::ExecutionFailed { reason, .. } => reason.code(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason, "transfers_locked");
    assert_eq!(ledger.refused(0, give), "transfers_locked");
}

#[test]
fn units_under_vesting_vote_and_do_not_move() {
    let mut ledger = ledger();
    let mut action = founding(&ledger, policy(50, 60));
    action.founding[0].vesting = Some(Vesting { cliff_ms: 10_000, duration_ms: 40_000 });
    let model = found(&mut ledger, action);
    let founded = ledger.tip.time;
    let to = account(&ledger, 3);
    let give =
        |units| Action::TransferShares(TransferShares { model, to, units: Units::new(units), reason: String::new() });
    assert_eq!(ledger.refused(0, give(1)), "not_vested");
    let id = statement(&mut ledger, model);
    vote(&mut ledger, 0, id, Choice::Yes);
    assert_eq!(tally(&ledger, id)[0], 50);
    // A second each: 20 s after the founding, half of it is free.
    let elapsed = ledger.tip.time.get() - founded.get();
    ledger.block(19_000 - elapsed, vec![]);
    ledger.must(0, give(25));
    assert_eq!(ledger.refused(0, give(2)), "not_vested");
    ledger.block(40_000, vec![]);
    ledger.must(0, give(25));
}

#[test]
fn owners_burn_with_cause_and_holders_as_they_like() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    ledger.must(2, Action::BurnShares(BurnShares { model, units: Units::new(5), reason: "a gift to all".into() }));
    assert_eq!(units(&ledger, model, "hilltop"), 15);
    let burn = ModelAction::BurnShares(BurnByDecision {
        from: account(&ledger, 2),
        units: Units::new(15),
        cause: "left".into(),
    });
    let id = decide(&mut ledger, model, burn, &[0, 1]);
    ledger.must(2, Action::GiveConsent(GiveConsent { proposal: id, agrees: true }));
    ledger.block(10_000, vec![]);
    assert_eq!(units(&ledger, model, "hilltop"), 0);
    let too_many = Action::BurnShares(BurnShares { model, units: Units::new(51), reason: String::new() });
    assert_eq!(ledger.refused(0, too_many), "not_enough_shares");
}

#[test]
fn a_version_is_released_warned_off_and_taken_back() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let run = |ledger: &mut TestLedger, action| {
        let id = decide(ledger, model, action, &[0, 1]);
        ledger.block(10_000, vec![]);
        (status(ledger, id).name(), ledger.read::<Version>(&(model, label("1.0"))).unwrap().status.name())
    };
    let deprecate = ModelAction::DeprecateVersion(DeprecateVersion { label: label("1.0"), reason: "old".into() });
    assert_eq!(run(&mut ledger, deprecate.clone()), ("execution_failed", "published"));
    assert_eq!(
        run(&mut ledger, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") })),
        ("executed", "released")
    );
    assert_eq!(run(&mut ledger, deprecate), ("executed", "deprecated"));
    let withdraw = ModelAction::WithdrawVersion(WithdrawVersion { label: label("1.0"), reason: "it leaks".into() });
    assert_eq!(run(&mut ledger, withdraw.clone()), ("executed", "withdrawn"));
    assert_eq!(ledger.read::<Model>(&model).unwrap().released, None);
    assert_eq!(run(&mut ledger, withdraw), ("execution_failed", "withdrawn"));
}

#[test]
fn stewards_licence_and_the_end_of_a_model_are_decided() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let licence = Licence::Spdx("Apache-2.0".into());
    let stewards = vec![account(&ledger, 4)];
    for action in [
        ModelAction::SetLicence(SetLicence { licence: licence.clone() }),
        ModelAction::SetStewards(SetStewards { stewards: stewards.clone() }),
        ModelAction::Retire(Retire { reason: "nobody uses it".into() }),
    ] {
        let id = decide(&mut ledger, model, action, &[0, 1]);
        ledger.block(10_000, vec![]);
        assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    }
    let stored: Model = ledger.read(&model).unwrap();
    assert_eq!((stored.licence, stored.stewards), (Some(licence), stewards));
    assert_eq!(ledger.refused(4, Action::PublishVersion(version(model, "9.0"))), "retired");
}

#[test]
fn lineage_can_be_asked_up_and_down_and_claimed_later() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let parent = |text: &str| VersionRef { model, label: label(text) };
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    ledger.must(0, Action::PublishVersion(version(model, "1.1")));
    let child = PublishVersion { parents: vec![parent("1.0")], ..version(model, "2.0") };
    ledger.must(0, Action::PublishVersion(child));
    let claim = |parents| ModelAction::ClaimLineage(ClaimLineage { label: label("2.0"), parents });
    let id = decide(&mut ledger, model, claim(vec![parent("1.1")]), &[0, 1]);
    let again = decide(&mut ledger, model, claim(vec![parent("1.0")]), &[0, 1]);
    ledger.block(20_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    assert_eq!(status(&ledger, again).name(), "execution_failed", "it is a parent already");
    let up: Version = ledger.read(&(model, label("2.0"))).unwrap();
    assert_eq!(up.parents, [parent("1.0"), parent("1.1")]);
    let (down, _) = page::<ChildOf>(&ledger.state, &(model, label("1.1")), None, Direction::Ascending, 10).unwrap();
    assert_eq!(down, [ChildOf(parent("2.0"))]);
}

#[test]
fn a_derived_model_grants_its_parents_holders_their_part() {
    let mut ledger = ledger();
    let parent = founded(&mut ledger, policy(50, 60));
    let mut action = founding(&ledger, policy(50, 60));
    action.name = name("child");
    action.founding.truncate(1);
    action.grants = vec![ParentGrant { parent, units: Units::new(7) }];
    let child = found(&mut ledger, action);
    let held = ["northfield", "lakeside", "hilltop"].map(|handle| units(&ledger, child, handle));
    assert_eq!(held, [50 + 4, 2, 1], "7 units for 50, 30 and 20, to the unit");
}

#[test]
fn a_dry_run_says_exactly_what_the_decision_then_does() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let to = account(&ledger, 3);
    let mint = |units| {
        ModelAction::MintShares(MintShares {
            to,
            units: Units::new(units),
            reason: "for the scans".into(),
            vesting: None,
        })
    };
    let (first, second) = (mint(10), mint(5));
    let asked = OpenProposal {
        question: Question::of_model(model, vec![first.clone(), second]),
        title: "t".into(),
        text: String::new(),
    };
    let (height, time) = (ledger.tip.height.next(), ledger.tip.time.plus_ms(1));
    let run = dry_run(&ledger.state, ledger.tip.network, height, time, account(&ledger, 0), &asked).unwrap().unwrap();
    let id = open(&mut ledger, 0, asked.question.clone());
    vote(&mut ledger, 0, id, Choice::Yes);
    vote(&mut ledger, 1, id, Choice::Yes);
    let executed = ledger.block(10_000, vec![]);
    let balances = |events: &[Event]| -> Vec<_> {
        let changed = |event: &Event| match event {
            Event::SharesChanged { account, units, balance, .. } => Some((*account, *units, *balance)),
            _ => None,
        };
        events.iter().filter_map(changed).collect()
    };
    assert_eq!(balances(&run.outcome.unwrap()), balances(&executed.deadline_events));
    // What it holds afterwards, though since another height.
    let key = Share::key_bytes(&(model, account(&ledger, 3)));
    let held = |changes: &ChangeSet| {
        let bytes = changes.get(&key).cloned().flatten().expect("a line");
        allod_protocol::ground::codec::decode::<Share>(&bytes, bytes.len()).expect("a share").units
    };
    assert_eq!(held(&run.changes), held(&executed.changes));

    let too_many = OpenProposal { question: Question::of_model(model, vec![first, mint(1 << 62)]), ..asked };
    let (height, time) = (ledger.tip.height.next(), ledger.tip.time.plus_ms(1));
    let run =
        dry_run(&ledger.state, ledger.tip.network, height, time, account(&ledger, 0), &too_many).unwrap().unwrap();
    assert_eq!(run.outcome.unwrap_err().code(), "too_many_units");
    assert!(run.changes.is_empty());
}

#[test]
fn a_policy_names_only_accounts_that_exist() {
    let mut ledger = ledger();
    let nobody = AccountId::from_bytes([9; 32]);
    let arbiters = Some(Arbiters::new(vec![nobody], 1));
    let action = founding(&ledger, ModelPolicy { arbiters, ..policy(50, 60) });
    assert_eq!(ledger.refused(0, Action::CreateModel(action)), "unknown_account");
    let risky = ModelPolicy::uniform(&rule(50, 60));
    let action = ledger.sign_as(0, Action::CreateModel(founding(&ledger, risky)));
    assert!(action.check_form(ledger.tip.network).unwrap_err().to_string().contains("minority_decides"));
}
