//! What offices ask: to be accepted, and then their work.

use super::{Asked, decoded, licences};
use crate::api::views::{InboxItem, InboxKind, Problem};
use allod_protocol::{
    ground::{
        ids::{IncidentId, ModelId},
        state::{Direction, page},
    },
    rules::{
        contribution::{Contribution, ContributionOf},
        dispute::{DisputeTarget, Frozen},
        incident::{Incident, IncidentOf, IncidentStatus},
        office::{Office, Tenure, TenureStatus},
        round::{Round, RoundStatus},
    },
};

/// Contributions of a model that are looked through for those that wait, the newest first.
const CONTRIBUTIONS: usize = 1_000;
/// Incidents of a model that are looked through, the newest first.
const INCIDENTS: usize = 100;

/// What an office that the account was named for asks.
pub(super) fn tenure(asked: &Asked<'_>, _: &[u8], value: &[u8]) -> Result<Vec<InboxItem>, Problem> {
    let tenure: Tenure = decoded(value)?;
    match (tenure.status, tenure.office) {
        (TenureStatus::Offered, office) => Ok(offered(asked, &office)?.into_iter().collect()),
        (TenureStatus::Accepted, Office::Steward(model)) => {
            let mut items = countersign(asked, model)?;
            items.extend(reported(asked, model)?);
            items.extend(licences::asked_for(asked, model)?);
            Ok(items)
        }
        (TenureStatus::Accepted, Office::Responsible(incident)) => {
            Ok(responsible(asked, incident)?.into_iter().collect())
        }
        (
            TenureStatus::Accepted,
            Office::Arbiter(_)
            | Office::Guardian(_)
            | Office::Attester { .. }
            | Office::KeyGuardian(_)
            | Office::Operator(_),
        )
        | (TenureStatus::Resigned | TenureStatus::Dismissed, _) => Ok(Vec::new()),
    }
}

fn offered(asked: &Asked<'_>, office: &Office) -> Result<Option<InboxItem>, Problem> {
    let (what, option) = match office {
        Office::Steward(model) => {
            let name = asked.what(*model)?;
            (format!("steward of {name}: who countersigns, publishes and asks the owners"), format!("--steward {name}"))
        }
        Office::Arbiter(model) => {
            let name = asked.what(*model)?;
            (format!("arbiter of {name}'s disputes"), format!("--arbiter {name}"))
        }
        Office::Guardian(model) => {
            let name = asked.what(*model)?;
            (format!("guardian of {name}: who may stop what its owners decided"), format!("--guardian {name}"))
        }
        Office::Attester { model, role } => {
            let name = asked.what(*model)?;
            (format!("{role} of {name}, whose releases wait for your word"), format!("--attester {name}:{role}"))
        }
        Office::KeyGuardian(account) => {
            let name = asked.who(*account)?;
            (format!("guardian of {name}'s keys"), format!("--keys-of {name}"))
        }
        Office::Responsible(incident) => {
            let Some(open) = open_incident(asked, *incident)? else { return Ok(None) };
            let model = asked.what(open.model)?;
            (
                format!("who answers for the incident {:?} of {model}@{}", open.text, open.label),
                format!("--incident {incident}"),
            )
        }
        Office::Operator(key) => (format!("operator of the validator {key}"), format!("--validator {key}")),
    };
    let text = format!("you are asked to be {what}; until you accept it counts for nothing");
    let item = asked.item(InboxKind::AcceptOffice, text, &format!("office accept|resign {option}"));
    match office {
        Office::Steward(model) | Office::Arbiter(model) | Office::Guardian(model) | Office::Attester { model, .. } => {
            asked.about(*model, item).map(Some)
        }
        Office::KeyGuardian(_) | Office::Responsible(_) | Office::Operator(_) => Ok(Some(item)),
    }
}

/// Contributions that the steward can countersign now.
fn countersign(asked: &Asked<'_>, model: ModelId) -> Result<Vec<InboxItem>, Problem> {
    let reader = asked.reader;
    let (ids, _) = page::<ContributionOf>(&reader.state, &model, None, Direction::Descending, CONTRIBUTIONS)?;
    let mut items = Vec::new();
    for ContributionOf(id) in ids {
        asked.look(1);
        let Some(contribution) = reader.find::<Contribution>(&id)? else { continue };
        let waits = contribution.accepted.is_none() && !contribution.is_sealed();
        let me = asked.account.id;
        let signed = contribution.countersigned.iter().map(|one| one.steward);
        let mut spoken = signed.chain(contribution.declined.iter().map(|one| one.steward));
        if !waits || contribution.giver == me || spoken.any(|steward| steward == me) {
            continue;
        }
        // A challenge keeps nobody from countersigning; one that was upheld does.
        if reader.find::<Frozen>(&DisputeTarget::Contribution(id))?.is_some_and(|frozen| frozen.settled.is_some()) {
            continue;
        }
        let (until, round) = match contribution.round {
            None => (None, String::new()),
            Some(number) => match reader.find::<Round>(&(model, number))? {
                Some(round) if round.status == RoundStatus::Open && asked.now < round.closes => {
                    (Some(round.closes), format!(", round {number}"))
                }
                _ => continue,
            },
        };
        let (name, giver, kind) = (asked.what(model)?, asked.who(contribution.giver)?, contribution.kind.name());
        let note = if contribution.note.is_empty() { String::new() } else { format!(": {:?}", contribution.note) };
        let text = format!(
            "{giver} gave {} of {kind} to {name}{round}{note}; countersign it if that is so, or decline it with a reason",
            contribution.amount
        );
        let item = asked.item(InboxKind::Countersign, text, &format!("contribute accept {id}"));
        items.push(asked.about(model, InboxItem { id: Some(id.to_string()), until, ..item })?);
    }
    Ok(items)
}

/// Incidents that nobody has taken up.
fn reported(asked: &Asked<'_>, model: ModelId) -> Result<Vec<InboxItem>, Problem> {
    let (ids, _) = page::<IncidentOf>(&asked.reader.state, &model, None, Direction::Descending, INCIDENTS)?;
    let mut items = Vec::new();
    for IncidentOf(id) in ids {
        asked.look(1);
        let Some(incident) = asked.reader.find::<Incident>(&id)? else { continue };
        if incident.status != IncidentStatus::Reported {
            continue;
        }
        let (name, by) = (asked.what(model)?, asked.who(incident.reporter)?);
        let text = format!("{by} reports of {name}@{}: {:?}; take it up or dismiss it", incident.label, incident.text);
        let command = format!("incident update {id} --status investigating|dismissed --text WORDS");
        let item = asked.item(InboxKind::Incident, text, &command);
        items.push(asked.about(model, InboxItem { id: Some(id.to_string()), ..item })?);
    }
    Ok(items)
}

fn open_incident(asked: &Asked<'_>, id: IncidentId) -> Result<Option<Incident>, Problem> {
    Ok(asked.reader.find::<Incident>(&id)?.filter(|incident| !incident.status.is_closed()))
}

fn responsible(asked: &Asked<'_>, id: IncidentId) -> Result<Option<InboxItem>, Problem> {
    let Some(incident) = open_incident(asked, id)? else { return Ok(None) };
    let name = asked.what(incident.model)?;
    let text = format!(
        "you answer for the incident {:?} of {name}@{}; say what there is to say",
        incident.text, incident.label
    );
    let item = asked.item(InboxKind::Incident, text, &format!("incident answer {id} --text WORDS"));
    asked.about(incident.model, InboxItem { id: Some(id.to_string()), ..item }).map(Some)
}
