//! What is asked about incidents.

use super::choose;
use crate::histories::{History, request::Request};
use allod_protocol::{
    ground::ids::{AccountId, IncidentId, VersionLabel},
    rules::{
        action::Action,
        incident::{AnswerIncident, IncidentStatus, ReportIncident, UpdateIncident},
        office::Office,
    },
};

impl History {
    pub(super) fn of_incident(&self, request: &Request) -> Option<(AccountId, Action)> {
        let incident = |pick| {
            let is_open = |id: &IncidentId| !self.world.incidents[id].status.is_closed();
            choose(&self.incidents, pick, is_open).map(|id| (id, &self.world.incidents[&id]))
        };
        let text = || String::from("wrong");
        match request {
            Request::Report { model, version, by } => {
                let (id, model) = self.model(*model);
                let labels: Vec<VersionLabel> = model.versions.keys().cloned().collect();
                let label = choose(&labels, *version, |_| true)?;
                let by = self.by(*by, |account| !self.world.accounts[&account].suspended);
                let asked = ReportIncident { model: id, label, text: text(), evidence: None };
                Some((by, Action::ReportIncident(asked)))
            }
            Request::Carry { incident: pick, by, responsible, status } => {
                let (id, found) = incident(*pick)?;
                let by = self.by(*by, |account| self.world.holds(&Office::Steward(found.model), account));
                let status = match status % 4 {
                    0 => IncidentStatus::Reported,
                    1 => IncidentStatus::Investigating,
                    2 => IncidentStatus::Resolved,
                    _ => IncidentStatus::Dismissed,
                };
                let responsible = responsible.map(|place| self.any(place));
                let asked = UpdateIncident { incident: id, responsible, status, text: text() };
                Some((by, Action::UpdateIncident(asked)))
            }
            Request::Speak { incident: pick, by } => {
                let (id, found) = incident(*pick)?;
                let by = self.by(*by, |account| found.reporter == account || found.named.contains_key(&account));
                let asked = AnswerIncident { incident: id, text: text(), evidence: None };
                Some((by, Action::AnswerIncident(asked)))
            }
            _ => None,
        }
    }
}
