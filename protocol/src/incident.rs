//! Incident reports: what went wrong with a version, who answers for it, and how far that has come. They move nothing;
//! they make accountability readable.

use crate::{
    event::Event,
    execute::Context,
    ids::{AccountId, ContentHash, Height, IncidentId, ModelId, VersionLabel},
    limits,
    model::{self, Model, ModelCounters},
    office::{self, Office},
    rejection::Rejection,
    state::{Family, Overlay, Record, StateRead},
    transaction::{Invalid, check_text},
};
use serde::{Deserialize, Serialize};

/// How far an incident has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    /// Nobody has taken it up.
    Reported,
    /// Somebody looks into it.
    Investigating,
    /// It is settled.
    Resolved,
    /// It was none.
    Dismissed,
}

/// What went wrong with a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The model.
    pub model: ModelId,
    /// Its number among the model's incidents, from 0.
    pub number: u64,
    /// The version's label.
    pub label: VersionLabel,
    /// Who reported it.
    pub reporter: AccountId,
    /// What went wrong, in the reporter's words.
    pub text: String,
    /// The hash of what shows it.
    pub evidence: Option<ContentHash>,
    /// When.
    pub reported: Height,
    /// Who is named to answer for it, by the stewards; only who accepted does: see [`crate::office`].
    pub responsible: Option<AccountId>,
    /// How far it has come.
    pub status: IncidentStatus,
    /// Updates so far.
    pub updates: u64,
}

impl Record for Incident {
    type Key = IncidentId;
    const FAMILY: Family = Family::Incident;
}

/// An incident of a model, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentOf(pub IncidentId);

impl Record for IncidentOf {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::IncidentOf;
}

/// One step of an incident's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentUpdate {
    /// Which steward wrote it.
    pub steward: AccountId,
    /// Who answers for it from then on.
    pub responsible: Option<AccountId>,
    /// How far it has come.
    pub status: IncidentStatus,
    /// In the steward's words.
    pub text: String,
    /// When.
    pub height: Height,
}

impl Record for IncidentUpdate {
    type Key = (IncidentId, u64);
    const FAMILY: Family = Family::IncidentUpdate;
}

/// Report what went wrong with a version. Any account may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportIncident {
    /// The model.
    pub model: ModelId,
    /// The version's label.
    pub label: VersionLabel,
    /// What went wrong.
    pub text: String,
    /// The hash of what shows it.
    pub evidence: Option<ContentHash>,
}

impl ReportIncident {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        Model::existing(state, self.model)?;
        model::existing_version(state, self.model, &self.label)?;
        let mut counters = state.read::<ModelCounters>(&self.model).unwrap_or_default();
        let incident = Incident {
            id: context.incident_id(),
            model: self.model,
            number: counters.incidents,
            label: self.label.clone(),
            reporter: sender,
            text: self.text.clone(),
            evidence: self.evidence,
            reported: context.height,
            responsible: None,
            status: IncidentStatus::Reported,
            updates: 0,
        };
        counters.incidents = counters.incidents.saturating_add(1);
        state.write(&self.model, &counters);
        state.write(&(self.model, incident.number), &IncidentOf(incident.id));
        state.write(&incident.id, &incident);
        let (model, label) = (self.model, self.label.clone());
        Ok(vec![Event::IncidentReported { model, label, incident: incident.id, reporter: sender }])
    }
}

/// Carry an incident on, as a steward of its model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateIncident {
    /// Which.
    pub incident: IncidentId,
    /// Who answers for it from now on.
    pub responsible: Option<AccountId>,
    /// How far it has come.
    pub status: IncidentStatus,
    /// In the steward's words.
    pub text: String,
}

impl UpdateIncident {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut incident = state.read::<Incident>(&self.incident).ok_or(Rejection::UnknownIncident(self.incident))?;
        Model::existing(state, incident.model)?.require_steward(state, sender)?;
        if let Some(responsible) = self.responsible {
            context.existing_account(state, responsible)?;
        }
        let update = IncidentUpdate {
            steward: sender,
            responsible: self.responsible,
            status: self.status,
            text: self.text.clone(),
            height: context.height,
        };
        state.write(&(self.incident, incident.updates), &update);
        incident.updates = incident.updates.saturating_add(1);
        let before = std::mem::replace(&mut incident.responsible, self.responsible);
        incident.status = self.status;
        state.write(&self.incident, &incident);
        let (model, id) = (incident.model, self.incident);
        let mut events = vec![Event::IncidentUpdated { model, incident: id, status: self.status }];
        // An update that names the same account again only carries it along.
        if before != self.responsible {
            let names = |account: Option<AccountId>| office::names(Office::Responsible(id), account);
            let signed = Some((sender, context.height));
            events.extend(office::rename(state, context, (&names(before), &names(self.responsible)), signed));
        }
        Ok(events)
    }
}
