//! Incidents: what an account reported of a version, who is named to answer for it, and that both have their say before
//! it is closed.

use super::{Answer, Refused, World};
use allod_protocol::{
    ground::ids::{AccountId, IncidentId, ModelId},
    rules::{
        incident::{AnswerIncident, IncidentStatus, ReportIncident, UpdateIncident},
        office::Office,
    },
};
use std::collections::BTreeMap;

/// Incidents of one model that one account reported and that are not closed, at most.
const OPEN: usize = 4;
/// Steps of a history, beyond which only its close is added.
const STEPS: u64 = 256;
/// Accounts that are ever named for one.
const NAMED: usize = 8;
/// How long who is named has to speak: 14 days.
const ANSWER_MS: u64 = 14 * 24 * 60 * 60 * 1_000;
/// How often one account speaks.
const STATEMENTS: u32 = 16;

/// What went wrong, and how far it has come.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Of which model.
    pub model: ModelId,
    /// Who reported it.
    pub reporter: AccountId,
    /// Who is named to answer for it.
    pub responsible: Option<AccountId>,
    /// How far it has come.
    pub status: IncidentStatus,
    /// Steps so far.
    pub steps: u64,
    /// Who was ever named, until when each has time to speak, and how often it has since.
    pub named: BTreeMap<AccountId, (u64, u32)>,
    /// How often the reporter has spoken otherwise.
    pub said: u32,
}

impl World {
    fn open_incidents(&self, model: ModelId, reporter: AccountId) -> usize {
        let of_them = |one: &&Incident| one.model == model && one.reporter == reporter && !one.status.is_closed();
        self.incidents.values().filter(of_them).count()
    }

    pub(super) fn report(
        &mut self,
        sender: AccountId,
        asked: &ReportIncident,
        named: IncidentId,
    ) -> Result<(), Refused> {
        self.model(asked.model)?;
        self.version(asked.model, &asked.label)?;
        if self.open_incidents(asked.model, sender) >= OPEN {
            return Err("quota_used_up");
        }
        let incident = Incident {
            model: asked.model,
            reporter: sender,
            responsible: None,
            status: IncidentStatus::Reported,
            steps: 0,
            named: BTreeMap::new(),
            said: 0,
        };
        self.incidents.insert(named, incident);
        Ok(())
    }

    pub(super) fn carry(&mut self, sender: AccountId, asked: &UpdateIncident) -> Result<(), Refused> {
        let mut incident = self.incidents.get(&asked.incident).ok_or("unknown_incident")?.clone();
        if !self.is_steward(incident.model, sender) {
            return Err("not_steward");
        }
        if let Some(account) = asked.responsible {
            self.account(account)?;
            if !incident.named.contains_key(&account) && incident.named.len() >= NAMED {
                return Err("too_many_named");
            }
            incident.named.entry(account).or_insert((self.time + ANSWER_MS, 0));
        }
        let (was_closed, closes) = (incident.status.is_closed(), asked.status.is_closed());
        if incident.steps >= STEPS && (was_closed || !closes) {
            return Err("too_many_updates");
        }
        if was_closed && !closes && self.open_incidents(incident.model, incident.reporter) >= OPEN {
            return Err("quota_used_up");
        }
        if incident.responsible != asked.responsible {
            let office = Office::Responsible(asked.incident);
            if let Some(before) = incident.responsible {
                self.no_longer_named(&office, before);
            }
            if let Some(account) = asked.responsible {
                self.ask(&office, account, Some((sender, self.height)));
            }
        }
        (incident.responsible, incident.status, incident.steps) = (asked.responsible, asked.status, incident.steps + 1);
        let is_awaited = asked.responsible.is_some_and(|account| {
            let (until, said) = incident.named[&account];
            let is_silent = said == 0 && self.time < until;
            let office = Office::Responsible(asked.incident);
            is_silent && self.answer_to(&office, account) == Some(Answer::Offered)
        });
        if closes && is_awaited {
            return Err("answer_awaited");
        }
        self.incidents.insert(asked.incident, incident);
        Ok(())
    }

    pub(super) fn speak(&mut self, sender: AccountId, asked: &AnswerIncident) -> Result<(), Refused> {
        let incident = self.incidents.get_mut(&asked.incident).ok_or("unknown_incident")?;
        let said = match incident.named.get_mut(&sender) {
            Some((_, said)) => said,
            None if incident.reporter == sender => &mut incident.said,
            None => return Err("not_of_incident"),
        };
        if *said >= STATEMENTS {
            return Err("too_many_statements");
        }
        *said += 1;
        incident.steps += 1;
        Ok(())
    }
}
