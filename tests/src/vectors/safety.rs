//! What keeps the people safe whom a model works on: findings, emergency stops, and what they are refused for.

use super::{
    Vector,
    fixed::{ACCOUNT, CONTENT, HEIGHT, INCIDENT, MODEL, OTHER, PROPOSAL, TIME, artifact, key_policy, label, name},
    record,
    variants::{finding, stop_end, suspended_by},
    vector,
};
use allod_protocol::rules::{
    action::Action,
    attestation::Finding,
    control::AcceptControl,
    emergency::{
        LiftSuspension, StopEnd, StopUse, StopVersion, StopsRunning, SuspendVersion, SuspendedBy, VersionStop,
    },
    event::Event,
    incident::AnswerIncident,
    proposal::ModelAction,
    rejection::Rejection,
};

fn reason() -> String {
    "It tells children to harm themselves.".into()
}

fn stop() -> SuspendedBy {
    SuspendedBy::Stop { number: 2, account: ACCOUNT, until: TIME }
}

pub(super) fn actions() -> Vec<Action> {
    vec![
        Action::StopVersion(StopVersion { model: MODEL, label: label("v2"), stops: true, reason: reason() }),
        Action::AnswerIncident(AnswerIncident {
            incident: INCIDENT,
            text: "It was not ours.".into(),
            evidence: Some(CONTENT),
        }),
    ]
}

pub(super) fn model_actions() -> Vec<ModelAction> {
    vec![
        ModelAction::SuspendVersion(SuspendVersion { label: label("v2"), reason: reason() }),
        ModelAction::LiftSuspension(LiftSuspension { label: label("v2"), reason: "It was mended.".into() }),
        ModelAction::AcceptControl(AcceptControl { account: OTHER, keys: key_policy() }),
    ]
}

pub(super) fn events() -> Vec<Event> {
    let (model, label, artifact) = (MODEL, label("v2"), artifact());
    vec![
        Event::VersionSuspended { model, label: label.clone(), artifact, by: stop(), reason: reason() },
        Event::SuspensionEnded { model, label, artifact, end: StopEnd::Lapsed },
        Event::IncidentAnswered { model, incident: INCIDENT, account: OTHER },
        Event::ControlChanged { account: OTHER },
        Event::ControlAccepted { model, account: OTHER, proposal: PROPOSAL },
    ]
}

pub(super) fn rejections() -> Vec<Rejection> {
    let (account, artifact, statement, model) = (ACCOUNT, artifact(), name("bias-audit"), MODEL);
    let label = || label("v2");
    vec![
        Rejection::FailedAttestation {
            artifact,
            statement: statement.clone(),
            account,
            note: "Worse for the old.".into(),
            passed: 1,
            outvoted_by: Some(3),
        },
        Rejection::NothingAttested { account, artifact, statement },
        Rejection::VersionSuspended { model, label: label(), until: Some(TIME) },
        Rejection::VersionNotSuspended { model, label: label() },
        Rejection::MayNotStop { account, model },
        Rejection::StoppedBefore { account, label: label(), from: TIME },
        Rejection::StopsUsedUp { account, label: label() },
        Rejection::TooManyStops { account, model },
        Rejection::NotOwnStop { account, label: label() },
        Rejection::NotOfIncident { account, incident: INCIDENT },
        Rejection::AnswerAwaited { incident: INCIDENT, account, until: TIME },
        Rejection::TooManyStatements { account, incident: INCIDENT },
        Rejection::TooManyNamed(INCIDENT),
        Rejection::ControlNotAccepted { account, model, since: HEIGHT },
    ]
}

/// One of each family of records.
pub(super) fn state() -> Vec<Vector> {
    let stop = VersionStop {
        model: MODEL,
        number: 2,
        label: label("v2"),
        account: ACCOUNT,
        reason: reason(),
        height: HEIGHT,
        until: TIME,
        ended: Some((StopEnd::Confirmed(PROPOSAL), HEIGHT.next())),
    };
    vec![
        record(&(MODEL, 2), &stop),
        record(&(MODEL, (label("v2"), OTHER)), &StopUse { stops: 1, until: TIME }),
        record(&(MODEL, OTHER), &StopsRunning(1)),
    ]
}

/// The variants of the enums of this family.
pub(super) fn variants() -> Vec<Vector> {
    let findings = [Finding::Passed, Finding::Failed, Finding::Withdrawn];
    let mut vectors: Vec<Vector> =
        findings.iter().map(|one| vector(format!("finding.{}", finding(one)), one)).collect();
    let suspenders = [stop(), SuspendedBy::Decision(PROPOSAL)];
    vectors.extend(suspenders.iter().map(|one| vector(format!("suspended_by.{}", suspended_by(one)), one)));
    let ends = [
        StopEnd::Lapsed,
        StopEnd::TakenBack,
        StopEnd::Lifted(PROPOSAL),
        StopEnd::Confirmed(PROPOSAL),
        StopEnd::Withdrawn(None),
    ];
    vectors.extend(ends.iter().map(|one| vector(format!("stop_end.{}", stop_end(one)), one)));
    vectors
}
