//! Disputes: what freezes, who rules, what comes of it.

use crate::common::{account, decide, founded, ledger, open, status, tally, units, version, vote};
use allod_protocol::{
    delegation::Delegate,
    dispute::{AnswerDispute, Dispute, DisputeTarget, OpenDispute, RuleDispute},
    event::Event,
    ids::{DisputeId, IncidentId, ModelId, Units, VersionLabel},
    incident::{Incident, IncidentStatus, IncidentUpdate, ReportIncident, UpdateIncident},
    limits,
    model::Version,
    policy::{Arbiters, ModelPolicy, Tally},
    proposal::{Choice, ProposalAction, ProposalStatus, Scope},
    share::TransferShares,
    transaction::Action,
};
use allod_tests::ledger::{TestLedger, policy};

fn challenge(ledger: &mut TestLedger, by: u8, target: DisputeTarget, units: u64) -> DisputeId {
    let action = OpenDispute { target, units: Units::new(units), text: "not theirs".into(), evidence: None };
    match ledger.must(by, Action::OpenDispute(action)).events.first() {
        Some(Event::DisputeOpened { dispute, .. }) => *dispute,
        other => panic!("{other:?}"),
    }
}

fn line(ledger: &TestLedger, model: ModelId, index: u8) -> DisputeTarget {
    DisputeTarget::Line { model, account: account(ledger, index) }
}

fn give(ledger: &TestLedger, model: ModelId) -> Action {
    let to = account(ledger, 3);
    Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason: String::new() })
}

fn rule(dispute: DisputeId, upholds: bool) -> Action {
    Action::RuleDispute(RuleDispute { dispute, upholds })
}

fn standing(ledger: &TestLedger, id: DisputeId) -> &'static str {
    ledger.read::<Dispute>(&id).unwrap().status.name()
}

/// Northfield, lakeside and riverbend settle disputes, two of them.
fn arbitrated(ledger: &mut TestLedger) -> ModelId {
    let accounts = [0, 1, 3].map(|index| account(ledger, index)).into();
    let arbiters = Some(Arbiters { accounts, needed: 2 });
    founded(ledger, ModelPolicy { arbiters, ..policy(50, 60) })
}

#[test]
fn a_disputed_line_is_frozen_until_arbiters_rule() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target.clone(), 8);
    let action = give(&ledger, model);
    assert_eq!(ledger.refused(2, action.clone()), "frozen");
    ledger.must(1, action.clone());
    let again = OpenDispute { target, units: Units::new(1), text: String::new(), evidence: None };
    assert_eq!(ledger.refused(1, Action::OpenDispute(again)), "frozen", "one dispute at a time");

    let answer = |text: &str| Action::AnswerDispute(AnswerDispute { dispute: id, text: text.into(), evidence: None });
    assert_eq!(ledger.refused(1, answer("no")), "not_respondent");
    ledger.must(2, answer("they are ours"));
    assert_eq!(ledger.refused(4, rule(id, true)), "not_arbiter");
    assert_eq!(ledger.refused(0, rule(id, true)), "not_arbiter", "an arbiter that is a party has no ruling");
    ledger.must(1, rule(id, false));
    ledger.must(1, rule(id, true));
    assert_eq!(standing(&ledger, id), "open", "a ruling replaces the arbiter's earlier one");
    ledger.must(3, rule(id, true));
    assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("upheld", 12), "8 units are burned");
    ledger.must(2, action);
    assert_eq!(ledger.refused(3, rule(id, false)), "dispute_over");
}

#[test]
fn owners_settle_a_dispute_without_the_parties() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    // The respondent's voice is with lakeside, who must not answer with it.
    let lakeside = account(&ledger, 1);
    ledger.must(0, Action::Delegate(Delegate { model, to: Some(lakeside), expires: None }));
    let target = line(&ledger, model, 0);
    let id = challenge(&mut ledger, 2, target, 50);
    let resolve = |upholds| ProposalAction::ResolveDispute { dispute: id, upholds };
    let proposal = open(&mut ledger, 1, Scope::Model(model), vec![resolve(true)]);
    assert_eq!(ledger.read::<Tally>(&proposal).unwrap().electorate, 30);
    for party in [0, 2] {
        let ballot = allod_protocol::proposal::CastBallot::whole(proposal, Choice::No);
        assert_eq!(ledger.refused(party, Action::CastBallot(ballot)), "no_weight");
    }
    vote(&mut ledger, 1, proposal, Choice::Yes);
    assert_eq!(tally(&ledger, proposal), [30, 0, 0, 0]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, proposal), ProposalStatus::Executed { .. }));
    assert_eq!((standing(&ledger, id), units(&ledger, model, "northfield")), ("upheld", 0));
}

#[test]
fn a_disputed_version_is_not_released_until_it_is_lifted() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let label = VersionLabel::new("1.0").unwrap();
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let id = challenge(&mut ledger, 2, DisputeTarget::Version { model, label: label.clone() }, 0);
    let release = decide(&mut ledger, model, ProposalAction::ReleaseVersion { label: label.clone() }, &[0, 1]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, release), ProposalStatus::Queued { .. }));
    ledger.must(2, rule(id, false));
    assert_eq!(standing(&ledger, id), "lifted", "its challenger took it back");
    let execute = allod_protocol::proposal::ExecuteProposal { proposal: release };
    ledger.must(4, Action::ExecuteProposal(execute));
    assert!(matches!(status(&ledger, release), ProposalStatus::Executed { .. }));

    let id = challenge(&mut ledger, 2, DisputeTarget::Version { model, label: label.clone() }, 0);
    ledger.must(1, rule(id, true));
    ledger.must(3, rule(id, true));
    assert_eq!(ledger.read::<Version>(&(model, label)).unwrap().status.name(), "withdrawn");
}

#[test]
fn a_dispute_that_nobody_rules_on_lapses() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target, 1);
    let resolve = ProposalAction::ResolveDispute { dispute: id, upholds: true };
    let question = allod_protocol::proposal::OpenProposal {
        scope: Scope::Model(model),
        title: "t".into(),
        text: String::new(),
        actions: vec![resolve],
    };
    assert_eq!(ledger.refused(0, Action::OpenProposal(question)), "for_arbiters");
    ledger.block(limits::DISPUTE_MS, vec![]);
    assert_eq!(standing(&ledger, id), "lapsed");
    let action = give(&ledger, model);
    ledger.must(2, action);
}

#[test]
fn disputes_are_for_the_models_own_people_and_few_at_a_time() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let action = |target, units| {
        Action::OpenDispute(OpenDispute { target, units: Units::new(units), text: String::new(), evidence: None })
    };
    assert_eq!(ledger.refused(4, action(line(&ledger, model, 0), 1)), "not_of_model");
    assert_eq!(ledger.refused(1, action(line(&ledger, model, 0), 51)), "not_enough_shares");
    for label in ["1", "2", "3", "4", "5"] {
        ledger.must(0, Action::PublishVersion(version(model, label)));
        let target = DisputeTarget::Version { model, label: VersionLabel::new(label).unwrap() };
        match label {
            "5" => assert_eq!(ledger.refused(1, action(target, 0)), "too_many_disputes"),
            _ => drop(ledger.must(1, action(target, 0))),
        }
    }
}

#[test]
fn an_incident_says_who_answers_for_it_and_how_far_it_has_come() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let label = VersionLabel::new("1.0").unwrap();
    let report = ReportIncident { model, label, text: "takes ones for sevens".into(), evidence: None };
    let id: IncidentId = match ledger.must(4, Action::ReportIncident(report)).events.first() {
        Some(Event::IncidentReported { incident, .. }) => *incident,
        other => panic!("{other:?}"),
    };
    let responsible = Some(account(&ledger, 1));
    let update = |status, text: &str| {
        Action::UpdateIncident(UpdateIncident { incident: id, responsible, status, text: text.into() })
    };
    assert_eq!(ledger.refused(4, update(IncidentStatus::Dismissed, "")), "not_steward");
    ledger.must(0, update(IncidentStatus::Investigating, "a scanner"));
    ledger.must(0, update(IncidentStatus::Resolved, "replaced"));
    let incident: Incident = ledger.read(&id).unwrap();
    assert_eq!((incident.responsible, incident.status, incident.updates), (responsible, IncidentStatus::Resolved, 2));
    let first: IncidentUpdate = ledger.read(&(id, 0)).unwrap();
    assert_eq!((first.status, first.text.as_str()), (IncidentStatus::Investigating, "a scanner"));
}
