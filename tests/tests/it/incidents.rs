//! Incidents: who reports, who is named, and that nobody answers for one without a word to say.

use crate::common::{account, founded, ledger, version};
use allod_protocol::{
    ground::{
        ids::{AccountId, IncidentId, VersionLabel},
        limits,
    },
    rules::{
        action::Action,
        event::Event,
        incident::{
            AnswerIncident, Incident, IncidentStatus, IncidentStep, IncidentUpdate, ReportIncident, UpdateIncident,
        },
        office::{AcceptOffice, Office, ResignOffice},
    },
};
use allod_tests::ledger::{TestLedger, policy};

/// northfield is steward of the model; seafront, a stranger, reports.
fn reported(ledger: &mut TestLedger) -> IncidentId {
    let model = founded(ledger, policy(50, 60));
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let label = VersionLabel::new("1.0").unwrap();
    let report = ReportIncident { model, label, text: "takes ones for sevens".into(), evidence: None };
    match ledger.must(4, Action::ReportIncident(report)).events.first() {
        Some(Event::IncidentReported { incident, .. }) => *incident,
        other => panic!("{other:?}"),
    }
}

fn update(incident: IncidentId, responsible: Option<AccountId>, status: IncidentStatus) -> Action {
    Action::UpdateIncident(UpdateIncident { incident, responsible, status, text: "a scanner".into() })
}

fn answer(incident: IncidentId) -> Action {
    Action::AnswerIncident(AnswerIncident { incident, text: "it was not ours".into(), evidence: None })
}

fn read(ledger: &TestLedger, id: IncidentId) -> Incident {
    ledger.read(&id).unwrap()
}

#[test]
fn an_incident_is_not_closed_on_who_has_neither_answered_nor_spoken() {
    use IncidentStatus::{Dismissed, Investigating, Resolved};
    let mut ledger = ledger();
    let id = reported(&mut ledger);
    let [lakeside, hilltop, riverbend] = [1, 2, 3].map(|index| account(&ledger, index));
    assert_eq!(ledger.refused(4, update(id, None, Dismissed)), "not_steward");
    assert_eq!(ledger.refused(1, answer(id)), "not_of_incident", "it was not named yet");
    assert_eq!(ledger.refused(0, update(id, Some(lakeside), Resolved)), "answer_awaited", "named and closed at once");
    assert_eq!(read(&ledger, id).named, [], "and what was refused named nobody");
    ledger.must(0, update(id, Some(lakeside), Investigating));
    for closed in [Resolved, Dismissed] {
        assert_eq!(ledger.refused(0, update(id, Some(lakeside), closed)), "answer_awaited");
    }
    ledger.must(1, answer(id));
    ledger.must(0, update(id, Some(lakeside), Resolved));
    let incident = read(&ledger, id);
    assert_eq!((incident.responsible, incident.status), (Some(lakeside), Resolved));

    // An answer to the office is a word as well, whichever it is.
    ledger.must(0, update(id, Some(hilltop), Investigating));
    ledger.must(2, Action::ResignOffice(ResignOffice { office: Office::Responsible(id) }));
    ledger.must(0, update(id, Some(hilltop), Dismissed));
    ledger.must(0, update(id, Some(riverbend), Investigating));
    ledger.must(3, Action::AcceptOffice(AcceptOffice { office: Office::Responsible(id), proof: None }));
    ledger.must(0, update(id, Some(riverbend), Resolved));

    // All of them may speak, also after that; the history has all of it in order.
    ledger.must(1, answer(id));
    ledger.must(4, answer(id));
    assert_eq!(ledger.refused(0, answer(id)), "not_of_incident");
    let step = |number| ledger.read::<IncidentUpdate>(&(id, number)).unwrap();
    let said = |number| (step(number).account, step(number).step);
    assert_eq!(read(&ledger, id).updates, 9);
    assert_eq!(said(1), (lakeside, IncidentStep::Said));
    assert_eq!(said(8), (account(&ledger, 4), IncidentStep::Said));
    let carried = IncidentStep::Carried { responsible: Some(lakeside), status: Resolved };
    assert_eq!(said(2), (account(&ledger, 0), carried));
}

#[test]
fn silence_and_stewards_who_name_themselves_hold_nothing_up() {
    use IncidentStatus::{Investigating, Resolved};
    let mut ledger = ledger();
    let id = reported(&mut ledger);
    let (northfield, lakeside) = (account(&ledger, 0), account(&ledger, 1));
    ledger.must(0, update(id, Some(lakeside), Investigating));
    ledger.must(0, update(id, None, Resolved));
    ledger.must(0, update(id, Some(lakeside), Investigating));
    ledger.block(limits::INCIDENT_ANSWER_MS, vec![]);
    ledger.must(0, update(id, Some(lakeside), Resolved));
    assert_eq!(read(&ledger, id).named(lakeside).unwrap().statements, 0, "and it shows that it never spoke");
    ledger.must(1, answer(id));
    ledger.must(0, update(id, Some(northfield), Resolved));
    assert_eq!(read(&ledger, id).named.len(), 2, "each once");
}

#[test]
fn nobody_fills_an_incident_with_words_or_names() {
    let mut ledger = ledger();
    let id = reported(&mut ledger);
    for _ in 0..limits::INCIDENT_STATEMENTS {
        ledger.must(4, answer(id));
    }
    assert_eq!(ledger.refused(4, answer(id)), "too_many_statements");
    let others: Vec<AccountId> = (0..5).map(|index| account(&ledger, index)).collect();
    let admit = |ledger: &mut TestLedger, number: usize| {
        let handle = allod_protocol::ground::ids::Handle::new(format!("guest-{number}")).unwrap();
        let keys = allod_protocol::rules::account::KeyPolicy::single(allod_tests::ledger::key(9).public_key());
        let by = u8::try_from(number % 5).unwrap();
        let admit = allod_protocol::rules::account::CreateAccount { handle, keys, quota: 0 };
        match ledger.must(by, Action::CreateAccount(admit)).events.first() {
            Some(Event::AccountCreated { account, .. }) => *account,
            other => panic!("{other:?}"),
        }
    };
    let guests: Vec<AccountId> = (0..4).map(|number| admit(&mut ledger, number)).collect();
    let all = [others, guests].concat();
    let (named, one_more) = all.split_at(limits::INCIDENT_NAMED);
    for account in named {
        ledger.must(0, update(id, Some(*account), IncidentStatus::Investigating));
    }
    let refused = ledger.refused(0, update(id, Some(one_more[0]), IncidentStatus::Investigating));
    assert_eq!(refused, "too_many_named");
    ledger.must(0, update(id, Some(named[0]), IncidentStatus::Investigating));
}
