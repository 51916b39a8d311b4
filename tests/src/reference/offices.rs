//! Offices: who is named, what they answered, and who therefore holds what.

use super::{Refused, World};
use allod_protocol::{
    ground::{
        crypto::Domain,
        ids::{AccountId, ModelId},
    },
    rules::{
        office::{AcceptOffice, Office},
        policy::ModelPolicy,
        validator::operation,
    },
};

/// Offices that an account may have accepted without being named.
const AHEAD: usize = 64;

/// What an account that is or was named answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Answer {
    Offered,
    Accepted,
    Resigned,
    Dismissed,
}

impl World {
    /// What an account answered; none if it is not named.
    pub fn answer_to(&self, office: &Office, account: AccountId) -> Option<Answer> {
        self.offices.get(&(office.clone(), account)).map(|(answer, _)| *answer)
    }

    /// Whether an account holds an office: it is named in the lists, and accepted.
    pub fn holds(&self, office: &Office, account: AccountId) -> bool {
        self.is_named(office, account) && self.answer_to(office, account) == Some(Answer::Accepted)
    }

    /// Whether an account counts in a list that was copied earlier.
    pub(super) fn counts_in_copy(&self, office: &Office, account: AccountId) -> bool {
        matches!(self.answer_to(office, account), Some(Answer::Accepted | Answer::Dismissed))
    }

    pub(super) fn is_steward(&self, model: ModelId, account: AccountId) -> bool {
        self.holds(&Office::Steward(model), account)
    }

    fn is_named(&self, office: &Office, account: AccountId) -> bool {
        self.named(office).contains(&account)
    }

    /// Who is named for an office now.
    fn named(&self, office: &Office) -> Vec<AccountId> {
        if let Office::Responsible(id) = office {
            return self.incidents.get(id).and_then(|incident| incident.responsible).into_iter().collect();
        }
        if let Office::KeyGuardian(id) = office {
            let guardians = self.accounts.get(id).and_then(|account| account.guardians.as_ref());
            return guardians.map_or(Vec::new(), |policy| policy.guardians.clone());
        }
        if let Office::Operator(key) = office {
            return self.validators.get(key).map(|validator| validator.operator).into_iter().collect();
        }
        let (Office::Steward(id) | Office::Arbiter(id) | Office::Guardian(id) | Office::Attester { model: id, .. }) =
            office
        else {
            panic!("who is named {} is said above", office.name());
        };
        let Some(model) = self.models.get(id) else { return Vec::new() };
        match office {
            Office::Steward(_) => model.stewards.clone(),
            Office::Arbiter(_) => model
                .policy
                .arbiters
                .iter()
                .flat_map(|panel| panel.accounts.iter().chain(&panel.stand_ins))
                .copied()
                .collect(),
            Office::Guardian(_) => model.policy.guardian.into_iter().collect(),
            Office::Attester { role: name, .. } => {
                let roles = model.policy.roles.iter().filter(|role| role.name == *name);
                roles.flat_map(|role| role.accounts.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The offices of a model under a policy.
    fn offices_of(id: ModelId, policy: &ModelPolicy) -> Vec<Office> {
        let mut offices = vec![Office::Steward(id), Office::Arbiter(id), Office::Guardian(id)];
        offices.extend(policy.roles.iter().map(|role| Office::Attester { model: id, role: role.name.clone() }));
        offices
    }

    /// Changes who is named in a model, and asks those who are named now. Who signed what names it has accepted,
    /// unless it resigned at that height or later.
    pub(super) fn rename(&mut self, id: ModelId, signed: (AccountId, u64), change: impl FnOnce(&mut super::Model)) {
        let mut offices = Self::offices_of(id, &self.models[&id].policy);
        let before: Vec<(Office, Vec<AccountId>)> =
            offices.iter().map(|office| (office.clone(), self.named(office))).collect();
        change(self.existing_mut(id));
        offices.extend(Self::offices_of(id, &self.models[&id].policy));
        offices.sort();
        offices.dedup();
        for (office, accounts) in before {
            for account in accounts {
                if !self.is_named(&office, account) {
                    self.no_longer_named(&office, account);
                }
            }
        }
        for office in offices {
            for account in self.named(&office) {
                self.ask(&office, account, Some(signed));
            }
        }
    }

    pub(super) fn no_longer_named(&mut self, office: &Office, account: AccountId) {
        let key = (office.clone(), account);
        if self.answer_to(office, account) == Some(Answer::Accepted) {
            self.offices.insert(key, (Answer::Dismissed, self.height));
        } else {
            self.offices.remove(&key);
        }
    }

    pub(super) fn ask(&mut self, office: &Office, account: AccountId, signed: Option<(AccountId, u64)>) {
        let key = (office.clone(), account);
        let said = self.offices.get(&key).copied();
        let resigned = said.filter(|(answer, _)| *answer == Answer::Resigned).map(|(_, height)| height);
        let has_signed =
            signed.is_some_and(|(signer, height)| signer == account && resigned.is_none_or(|at| at < height));
        let answer = match said {
            Some((Answer::Accepted, _)) => return,
            _ if has_signed => Answer::Accepted,
            _ if self.ahead.contains(&key) => Answer::Accepted,
            Some((Answer::Offered, _)) => return,
            _ => Answer::Offered,
        };
        if answer == Answer::Accepted {
            self.ahead.remove(&key);
        }
        self.offices.insert(key, (answer, self.height));
    }

    pub(super) fn accept_office(&mut self, sender: AccountId, asked: &AcceptOffice) -> Result<(), Refused> {
        let office = &asked.office;
        if let Office::Steward(id) | Office::Arbiter(id) | Office::Guardian(id) | Office::Attester { model: id, .. } =
            office
        {
            self.model(*id)?;
        }
        if let Office::KeyGuardian(of) = office {
            if *of == sender {
                return Err("own_guardian");
            }
            self.account(*of)?;
        }
        if let Office::Responsible(id) = office
            && !self.incidents.contains_key(id)
        {
            return Err("unknown_incident");
        }
        if let Office::Operator(key) = office {
            let agreed = operation(self.id, sender);
            if !asked.proof.is_some_and(|proof| key.verifies(Domain::Operation, &agreed, &proof)) {
                return Err("key_disagrees");
            }
        }
        let key = (office.clone(), sender);
        match self.answer_to(office, sender) {
            Some(Answer::Accepted) => return Err("office_held"),
            Some(Answer::Offered | Answer::Resigned) => {
                self.offices.insert(key, (Answer::Accepted, self.height));
                return Ok(());
            }
            Some(Answer::Dismissed) | None => {}
        }
        if self.ahead.contains(&key) {
            return Err("office_held");
        }
        if self.ahead.iter().filter(|(_, account)| *account == sender).count() >= AHEAD {
            return Err("too_many_ahead");
        }
        self.ahead.insert(key);
        Ok(())
    }

    pub(super) fn resign_office(&mut self, sender: AccountId, office: &Office) -> Result<(), Refused> {
        let key = (office.clone(), sender);
        let was_ahead = self.ahead.remove(&key);
        match self.answer_to(office, sender) {
            Some(Answer::Offered | Answer::Accepted) => {
                if let Office::KeyGuardian(of) = office {
                    self.guardians_said.remove(&(*of, sender));
                }
                self.offices.insert(key, (Answer::Resigned, self.height));
                if let Office::Operator(key) = office { self.remove_validator(*key) } else { Ok(()) }
            }
            Some(Answer::Dismissed) => {
                self.offices.remove(&key);
                Ok(())
            }
            Some(Answer::Resigned) | None if was_ahead => Ok(()),
            Some(Answer::Resigned) | None => Err("not_in_office"),
        }
    }
}
