//! Licences: offered by the owners, in force once the account agrees, to that very grant.

use super::{Refused, World};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, ProposalId},
    rules::{
        licence::{AnswerLicence, AskLicence, LicenceEnd, LicenceTerms},
        model::Licence,
    },
};

/// Licences that one account may ask for at a time.
const REQUESTS: usize = 16;

/// What the owners granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// By which decision.
    pub proposal: ProposalId,
    /// On which terms.
    pub terms: Option<Licence>,
    /// Until when.
    pub until: Option<u64>,
}

impl Granted {
    /// Whether its time has come to an end.
    fn is_over(&self, time: u64) -> bool {
        self.until.is_some_and(|until| until <= time)
    }
}

/// How an account stands to what the owners granted it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Licensed {
    /// What it agreed to last, and how that ended.
    pub agreed: Option<(Granted, Option<LicenceEnd>)>,
    /// What it has not answered.
    pub offer: Option<Granted>,
    /// Steps of its history.
    pub steps: u64,
}

impl Licensed {
    /// What lets the account use the model.
    pub fn in_force(&self, time: u64) -> Option<&Granted> {
        match &self.agreed {
            Some((granted, None)) if !granted.is_over(time) => Some(granted),
            _ => None,
        }
    }
}

/// What an account asks for, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// On which terms.
    pub terms: LicenceTerms,
    /// Until when.
    pub until: u64,
}

impl World {
    pub(super) fn license(
        &mut self,
        model: ModelId,
        proposal: ProposalId,
        proposer: AccountId,
        account: AccountId,
        granted: &LicenceTerms,
    ) -> Result<(), Refused> {
        self.account(account)?;
        let time = self.time;
        let of = self.existing_mut(model);
        let until = granted.for_ms.map(|for_ms| time + for_ms);
        let grant = Granted { proposal, terms: granted.terms.clone(), until };
        let asked_for_it = of.asked.get(&account).is_some_and(|wanted| wanted.terms == *granted);
        if asked_for_it {
            of.asked.remove(&account);
        }
        let licensed = of.licensees.entry(account).or_default();
        let has_no_more = |it: &Granted| {
            let no_later = match (it.until, until) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(has), Some(gets)) => has <= gets,
            };
            it.terms == grant.terms && no_later
        };
        let renewed = licensed.in_force(time).is_some_and(has_no_more);
        licensed.steps += 1;
        licensed.offer = None;
        if asked_for_it || renewed || proposer == account {
            licensed.agreed = Some((grant, None));
        } else {
            licensed.offer = Some(grant);
        }
        Ok(())
    }

    pub(super) fn revoke_licence(&mut self, model: ModelId, account: AccountId) -> Result<(), Refused> {
        let licensed = self.existing_mut(model).licensees.get_mut(&account).ok_or("not_licensee")?;
        let offered = licensed.offer.take().is_some();
        let had = matches!(licensed.agreed, Some((_, None)));
        if let Some((_, ended @ None)) = &mut licensed.agreed {
            *ended = Some(LicenceEnd::Revoked);
        }
        licensed.steps += 1;
        if offered || had { Ok(()) } else { Err("not_licensee") }
    }

    pub(super) fn ask_licence(&mut self, sender: AccountId, asked: &AskLicence) -> Result<(), Refused> {
        let is_asked = self.model(asked.model)?.asked.contains_key(&sender);
        let open = self.models.values().filter(|model| model.asked.contains_key(&sender)).count();
        let time = self.time;
        match &asked.wanted {
            None if !is_asked => Err("no_licence_asked"),
            None => {
                self.existing_mut(asked.model).asked.remove(&sender);
                Ok(())
            }
            Some(_) if !is_asked && open >= REQUESTS => Err("too_many_licences_asked"),
            Some(wanted) => {
                let wanted = Wanted { terms: wanted.terms.clone(), until: time + wanted.lifetime_ms };
                self.existing_mut(asked.model).asked.insert(sender, wanted);
                Ok(())
            }
        }
    }

    pub(super) fn answer_licence(&mut self, sender: AccountId, asked: &AnswerLicence) -> Result<(), Refused> {
        let time = self.time;
        let model = self.models.get_mut(&asked.model).ok_or("no_such_licence")?;
        let licensed = model.licensees.get_mut(&sender).ok_or("no_such_licence")?;
        let named = |granted: &Granted| granted.proposal == asked.proposal && !granted.is_over(time);
        let is_offered = licensed.offer.as_ref().is_some_and(named);
        let is_agreed = matches!(&licensed.agreed, Some((granted, None)) if named(granted));
        match (asked.accept, is_offered, is_agreed) {
            (true, true, _) => {
                licensed.agreed = licensed.offer.take().map(|granted| (granted, None));
                model.asked.remove(&sender);
            }
            (false, true, _) => licensed.offer = None,
            (false, false, true) => {
                licensed.agreed = licensed.agreed.take().map(|(granted, _)| (granted, Some(LicenceEnd::GivenUp)));
            }
            _ => return Err("no_such_licence"),
        }
        model.licensees.entry(sender).or_default().steps += 1;
        Ok(())
    }
}
