//! Who accepts an office, and who gives one back.

use super::wrap;
use crate::{
    histories::{History, request::Request},
    reference::Answer,
};
use allod_protocol::{
    ground::ids::AccountId,
    rules::{
        action::Action,
        office::{AcceptOffice, Office, ResignOffice},
    },
};

impl History {
    /// Who is offered an office accepts it, each by a bit.
    pub fn accept_offers(&self, answers: u32) -> Vec<(usize, Action)> {
        let offered = self.world.offices.iter().filter(|(_, (answer, _))| *answer == Answer::Offered);
        let some = offered.enumerate().filter(|(number, _)| answers >> (number % 32) & 1 == 1);
        let accept = |(_, ((office, account), _)): (usize, (&(Office, AccountId), _))| {
            let asked = AcceptOffice { office: office.clone(), proof: None };
            (self.place(*account), Action::AcceptOffice(asked))
        };
        some.map(accept).collect()
    }

    pub(super) fn of_officer(&self, request: &Request) -> Option<(AccountId, Action)> {
        let (Request::AcceptOffice { model, by, kind } | Request::ResignOffice { model, by, kind }) = request else {
            return None;
        };
        let (id, model) = self.model(*model);
        let mut offices = vec![Office::Steward(id), Office::Arbiter(id), Office::Guardian(id)];
        offices.extend(model.policy.roles.iter().map(|role| Office::Attester { model: id, role: role.name.clone() }));
        offices.extend(self.accounts.iter().map(|account| Office::KeyGuardian(*account)));
        offices.extend(self.incidents.iter().map(|id| Office::Responsible(*id)));
        let office = wrap(&offices, *kind)?;
        let answer = |account| self.world.answer_to(&office, account);
        if matches!(request, Request::AcceptOffice { .. }) {
            let open = |account| matches!(answer(account), Some(Answer::Offered | Answer::Resigned));
            let by = self.by(*by, open);
            return Some((by, Action::AcceptOffice(AcceptOffice { office, proof: None })));
        }
        let by = self.by(*by, |account| answer(account).is_some_and(|answer| answer != Answer::Resigned));
        Some((by, Action::ResignOffice(ResignOffice { office })))
    }
}
