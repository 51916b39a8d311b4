//! Incident reports: what went wrong with a version, who answers for it, and their status. They move nothing; they make
//! accountability visible.
//!
//! Any account may report; the model's stewards update the report. The account that they name to answer for the
//! incident is offered that office (see [`crate::rules::office`]) and accepts or declines it. An incident cannot be closed
//! while an account named has neither answered nor commented, unless the time for that is up
//! ([`limits::INCIDENT_ANSWER_MS`]). The reporter, and every account that was ever named, may comment, even after the
//! incident is closed; everything is in one history, in order.

use crate::{
    ground::{
        ids::{AccountId, ContentHash, Height, IncidentId, ModelId, Timestamp, VersionLabel},
        invalid::{Invalid, check_said, check_text},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        context::Context,
        event::Event,
        model::{self, Model, ModelCounters},
        office::{self, Office},
        quota::{self, Keeps},
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// The status of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    /// Nobody has worked on it yet.
    Reported,
    /// It is being investigated.
    Investigating,
    /// It is settled.
    Resolved,
    /// It was not an incident.
    Dismissed,
}

impl IncidentStatus {
    /// Whether it is closed.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Resolved | Self::Dismissed)
    }
}

/// An account that was named to answer for an incident. Its answer to that is its answer to the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Named {
    /// The account.
    pub account: AccountId,
    /// The block time until which its answer is waited for, counted from when it was first named.
    pub until: Timestamp,
    /// Number of its comments.
    pub statements: u32,
}

/// What went wrong with a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The model.
    pub model: ModelId,
    /// Its number among the model's incidents, from 0.
    pub number: u64,
    /// The version's label.
    pub label: VersionLabel,
    /// The account that reported it.
    pub reporter: AccountId,
    /// What went wrong, in the reporter's words.
    pub text: String,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
    /// The height of the report.
    pub reported: Height,
    /// The account named by the stewards to answer for it; it does so only once it has accepted: see [`crate::rules::office`].
    pub responsible: Option<AccountId>,
    /// Its status.
    pub status: IncidentStatus,
    /// Number of steps in its history so far.
    pub updates: u64,
    /// The accounts that were ever named, in order.
    pub named: Vec<Named>,
    /// Number of the reporter's comments since the report.
    pub statements: u32,
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

/// A step of an incident's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IncidentStep {
    /// A steward updated it.
    Carried {
        /// The account named to answer for it from then on.
        responsible: Option<AccountId>,
        /// The new status.
        status: IncidentStatus,
    },
    /// The reporter, or an account named, commented.
    Said,
}

/// One step of an incident's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentUpdate {
    /// The account that made the step.
    pub account: AccountId,
    /// The kind of step.
    pub step: IncidentStep,
    /// The text, in its own words.
    pub text: String,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
    /// The height of the step.
    pub height: Height,
}

impl Record for IncidentUpdate {
    type Key = (IncidentId, u64);
    const FAMILY: Family = Family::IncidentUpdate;
}

/// Report what went wrong with a version. Any account may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportIncident {
    /// The model.
    pub model: ModelId,
    /// The version's label.
    pub label: VersionLabel,
    /// What went wrong.
    pub text: String,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
}

impl ReportIncident {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        Model::existing(state, self.model)?;
        model::existing_version(state, self.model, &self.label)?;
        quota::take(state, sender, Keeps::Incidents(self.model))?;
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
            named: Vec::new(),
            statements: 0,
        };
        counters.incidents = counters.incidents.saturating_add(1);
        state.write(&self.model, &counters);
        state.write(&(self.model, incident.number), &IncidentOf(incident.id));
        state.write(&incident.id, &incident);
        let (model, label) = (self.model, self.label.clone());
        Ok(vec![Event::IncidentReported { model, label, incident: incident.id, reporter: sender }])
    }
}

impl Incident {
    fn existing(state: &Overlay<'_>, id: IncidentId) -> Result<Self, Rejection> {
        state.read::<Self>(&id).ok_or(Rejection::UnknownIncident(id))
    }

    /// What is known about an account that was named. `None` if it never was.
    pub fn named(&self, account: AccountId) -> Option<&Named> {
        self.named.iter().find(|named| named.account == account)
    }

    /// The account whose answer is still waited for: it has neither answered nor commented, and still has time to.
    fn awaits(&self, state: &Overlay<'_>, time: Timestamp) -> Option<Named> {
        let named = *self.named(self.responsible?)?;
        let silent = named.statements == 0 && time < named.until;
        let unanswered = || office::is_unanswered(state, &Office::Responsible(self.id), named.account);
        (silent && unanswered()).then_some(named)
    }

    /// Records that an account was named, unless it was before.
    fn name(&mut self, account: AccountId, until: Timestamp) -> Result<(), Rejection> {
        if self.named(account).is_some() {
            return Ok(());
        }
        if self.named.len() >= limits::INCIDENT_NAMED {
            return Err(Rejection::TooManyNamed(self.id));
        }
        self.named.push(Named { account, until, statements: 0 });
        Ok(())
    }

    /// Adds a step to the history, and writes both.
    fn step(mut self, state: &mut Overlay<'_>, update: &IncidentUpdate) {
        state.write(&(self.id, self.updates), update);
        self.updates = self.updates.saturating_add(1);
        state.write(&self.id, &self);
    }
}

/// Update an incident, as a steward of its model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateIncident {
    /// The incident.
    pub incident: IncidentId,
    /// The account named to answer for it from now on.
    pub responsible: Option<AccountId>,
    /// The new status.
    pub status: IncidentStatus,
    /// The text, in the steward's words.
    pub text: String,
}

impl UpdateIncident {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut incident = Incident::existing(state, self.incident)?;
        Model::existing(state, incident.model)?.require_steward(state, sender)?;
        if let Some(responsible) = self.responsible {
            context.existing_account(state, responsible)?;
            incident.name(responsible, context.time.plus_ms(limits::INCIDENT_ANSWER_MS))?;
        }
        let (model, id) = (incident.model, self.incident);
        let (was, is) = (incident.status.is_closed(), self.status.is_closed());
        // Closing it always has room, so that it can always be closed.
        if incident.updates >= limits::INCIDENT_UPDATES && (was || !is) {
            return Err(Rejection::TooManyUpdates(self.incident));
        }
        if !was && is {
            quota::give_back(state, incident.reporter, Keeps::Incidents(incident.model));
        } else if was && !is {
            quota::take(state, incident.reporter, Keeps::Incidents(incident.model))?;
        }
        let before = std::mem::replace(&mut incident.responsible, self.responsible);
        incident.status = self.status;
        let mut events = vec![Event::IncidentUpdated { model, incident: id, status: self.status }];
        // An update that names the same account again does not change anything.
        if before != self.responsible {
            let names = |account: Option<AccountId>| office::names(Office::Responsible(id), account);
            let signed = Some((sender, context.height));
            events.extend(office::rename(state, context, &names(before), &names(self.responsible), signed));
        }
        if self.status.is_closed()
            && let Some(Named { account, until, .. }) = incident.awaits(state, context.time)
        {
            return Err(Rejection::AnswerAwaited { incident: id, account, until });
        }
        let update = IncidentUpdate {
            account: sender,
            step: IncidentStep::Carried { responsible: self.responsible, status: self.status },
            text: self.text.clone(),
            evidence: None,
            height: context.height,
        };
        incident.step(state, &update);
        Ok(events)
    }
}

/// Comment on an incident, as its reporter or as an account that was named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerIncident {
    /// The incident.
    pub incident: IncidentId,
    /// In the sender's words; not blank.
    pub text: String,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
}

impl AnswerIncident {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_said("text", &self.text, "is blank; say something")?;
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut incident = Incident::existing(state, self.incident)?;
        let (model, id) = (incident.model, self.incident);
        let spoken = match incident.named.iter_mut().find(|named| named.account == sender) {
            Some(named) => &mut named.statements,
            None if incident.reporter == sender => &mut incident.statements,
            None => return Err(Rejection::NotOfIncident { account: sender, incident: id }),
        };
        if *spoken >= limits::INCIDENT_STATEMENTS {
            return Err(Rejection::TooManyStatements { account: sender, incident: id });
        }
        *spoken = spoken.saturating_add(1);
        let update = IncidentUpdate {
            account: sender,
            step: IncidentStep::Said,
            text: self.text.clone(),
            evidence: self.evidence,
            height: context.height,
        };
        incident.step(state, &update);
        Ok(vec![Event::IncidentAnswered { model, incident: id, account: sender }])
    }
}
