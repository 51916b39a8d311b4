//! What is asked about licences.

use super::choose;
use crate::{
    histories::{
        History,
        request::{Pick, Request},
    },
    reference::Licensed,
};
use allod_protocol::{
    ground::ids::{AccountId, ContentHash, ModelId, ProposalId},
    rules::{
        action::Action,
        licence::{AnswerLicence, AskLicence, LicenceTerms, WantedLicence},
        model::Licence,
    },
};

impl History {
    pub(super) fn of_licensee(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::AskLicence { model, by, terms } => {
                let (model, _) = self.model(*model);
                let is_asked = |account| self.world.models[&model].asked.contains_key(&account);
                let by = self.by(*by, |account| terms.is_some() || is_asked(account));
                let wanted = terms.map(|(terms, lifetime_ms)| WantedLicence {
                    terms: licence_terms(terms),
                    text: "for the clinic".into(),
                    lifetime_ms: lifetime_ms.into(),
                });
                Some((by, Action::AskLicence(AskLicence { model, wanted })))
            }
            Request::AnswerLicence { model, by, accept } => {
                let time = self.world.time;
                let waits = |licensed: &Licensed| licensed.offer.is_some() || licensed.in_force(time).is_some();
                let answers = |model: &ModelId| self.world.models[model].licensees.values().any(waits);
                let (any, _) = self.model(*model);
                let place = Pick { place: *model, ..*by };
                let model = choose(&self.models, place, answers).unwrap_or(any);
                let licensees = &self.world.models[&model].licensees;
                let by = self.by(*by, |account| licensees.get(&account).is_some_and(waits));
                let licensed = licensees.get(&by);
                let offer = licensed.and_then(|licensed| licensed.offer.as_ref());
                let agreed = licensed.and_then(|licensed| Some(&licensed.agreed.as_ref()?.0));
                let granted =
                    if *accept || place.place.is_multiple_of(2) { offer.or(agreed) } else { agreed.or(offer) };
                let proposal = granted.map_or(ProposalId::from_bytes([0; 32]), |granted| granted.proposal);
                Some((by, Action::AnswerLicence(AnswerLicence { model, proposal, accept: *accept })))
            }
            _ => None,
        }
    }
}

/// A few kinds of terms: on the model's or on others, for ever or for a time.
pub(super) fn licence_terms(number: u8) -> LicenceTerms {
    let terms = (number % 2 == 1).then(|| Licence::Terms(ContentHash::from_bytes([1; 32])));
    LicenceTerms { terms, for_ms: (number >= 2).then_some(30_000) }
}
