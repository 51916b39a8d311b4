//! What givers and stewards ask for.

use super::choose;
use crate::histories::{
    History,
    request::{Pick, Request},
};
use allod_protocol::{
    ground::ids::{AccountId, ContentHash, ContributionId, ModelId, Units},
    rules::{
        action::Action,
        contribution::{
            AcceptContribution, ContributionKind, DeclineContribution, RecordContribution, RevealContribution, seal,
        },
        dispute::{DisputeTarget, OpenDispute},
        office::Office,
    },
};

impl History {
    pub(super) fn of_giver(&mut self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Record { model, by, round, kind, amount } => {
                let (giver, amount) = (self.any(*by), u64::from(*amount));
                Some((giver, self.record(*model, giver, *round, *kind, amount)))
            }
            Request::Reveal { contribution, by, truly } => {
                let id = choose(&self.contributions, *contribution, |id| self.world.contributions[id].amount == 0)?;
                let contribution = &self.world.contributions[&id];
                let by = self.by(*by, |account| account == contribution.giver);
                let unsealed = (ContentHash::from_bytes([0; 32]), 1);
                let seal = contribution.sealed.and_then(|sealed| self.seals.get(&sealed).copied());
                let (salt, amount) = seal.unwrap_or(unsealed);
                let amount = if *truly { amount } else { amount + 1 };
                Some((by, Action::RevealContribution(RevealContribution { contribution: id, amount, salt })))
            }
            Request::Accept { contribution, by } => {
                let waits = |id: &ContributionId| {
                    let contribution = &self.world.contributions[id];
                    !contribution.accepted && contribution.amount > 0
                };
                let id = choose(&self.contributions, *contribution, waits)?;
                let contribution = &self.world.contributions[&id];
                let office = Office::Steward(contribution.model);
                let is_steward = |account| self.world.holds(&office, account);
                let by = self.by(*by, |account| is_steward(account) && account != contribution.giver);
                Some((by, Action::AcceptContribution(AcceptContribution { contribution: id })))
            }
            Request::Decline { contribution, by } => {
                let waits = |id: &ContributionId| !self.world.contributions[id].accepted && self.is_under_review(*id);
                let id = choose(&self.contributions, *contribution, waits)?;
                let contribution = &self.world.contributions[&id];
                let stewards = &self.world.models[&contribution.model].stewards;
                let by = self.by(*by, |account| stewards.contains(&account) && account != contribution.giver);
                let asked = DeclineContribution { contribution: id, reason: "not seen".into() };
                Some((by, Action::DeclineContribution(asked)))
            }
            Request::Appeal { contribution, by } => {
                let waits = |id: &ContributionId| {
                    let contribution = &self.world.contributions[id];
                    !contribution.accepted && !contribution.is_sealed() && self.is_under_review(*id)
                };
                let id = choose(&self.contributions, *contribution, waits)?;
                let by = self.by(*by, |account| account == self.world.contributions[&id].giver);
                let target = DisputeTarget::Appeal(id);
                let asked =
                    OpenDispute { target, units: Units::ZERO, text: String::new(), evidence: None, bond: Units::ZERO };
                Some((by, Action::OpenDispute(asked)))
            }
            _ => None,
        }
    }

    fn is_under_review(&self, id: ContributionId) -> bool {
        let contribution = &self.world.contributions[&id];
        let rounds = &self.world.models[&contribution.model].rounds;
        let round = contribution.round.and_then(|number| rounds.get(number as usize));
        round.is_none_or(|round| round.closes > self.world.time)
    }

    /// A contribution to a round that records, if there is one; sealed as the round asks.
    fn record(&mut self, model: u8, giver: AccountId, round: Pick, kind: ContributionKind, amount: u64) -> Action {
        let (id, model) = self.model(model);
        let numbers: Vec<u64> = (0..model.rounds.len() as u64).collect();
        let records = |number: &u64| model.rounds[*number as usize].records_until > self.world.time;
        // One more than there are: now and then a round that does not exist, and none where none records.
        let number = if numbers.iter().any(records) {
            choose(&numbers, round, records)
        } else {
            Some(u64::from(round.place)).filter(|_| !round.fits)
        };
        let wants_seal =
            number.and_then(|number| model.rounds.get(number as usize)).is_some_and(|round| round.plan.sealed);
        let is_sealed = number.is_some() && (wants_seal ^ round.place.is_multiple_of(16));
        let salt = ContentHash::from_bytes([round.place; 32]);
        let sealed = number.filter(|_| is_sealed).map(|number| seal(id, number, giver, amount, salt));
        if let Some(sealed) = sealed {
            self.seals.insert(sealed, (salt, amount));
        }
        Action::RecordContribution(RecordContribution {
            model: id,
            round: number,
            kind,
            amount: if sealed.is_some() { 0 } else { amount },
            sealed,
            evidence: None,
            note: String::new(),
        })
    }

    /// Several accounts give to a round.
    pub(super) fn gather(&mut self, model: Pick, givers: u16) -> Option<Vec<(usize, Action)>> {
        let records = |id: &ModelId| {
            let rounds = &self.world.models[id].rounds;
            rounds.iter().any(|round| round.records_until > self.world.time)
        };
        let id = choose(&self.models, Pick { fits: true, ..model }, records).filter(records)?;
        let model = u8::try_from(self.models.iter().position(|known| *known == id)?).ok()?;
        let high = (givers >> 8) as u8;
        let places = (0..self.accounts.len()).filter(|place| givers >> (place % 8) & 1 == 1);
        let places: Vec<usize> = places.collect();
        let give = |place: usize| {
            let kind = ContributionKind::ALL[(usize::from(high) + place) % ContributionKind::ALL.len()];
            let amount = 1 + u64::from(givers) % 97;
            (place, self.record(model, self.accounts[place], Pick { fits: true, place: high }, kind, amount))
        };
        Some(places.into_iter().map(give).collect())
    }

    /// Givers tell what is sealed, and stewards countersign, where rounds are under review; all but some.
    pub(super) fn review(&self, skip: u8) -> Vec<(usize, Action)> {
        let mut actions = Vec::new();
        for (place, id) in self.contributions.iter().enumerate() {
            let contribution = &self.world.contributions[id];
            let model = &self.world.models[&contribution.model];
            let round = contribution.round.and_then(|number| model.rounds.get(number as usize));
            let is_open = round.is_some_and(|round| round.closes > self.world.time);
            if !is_open || contribution.accepted || (place + usize::from(skip)) % 7 == 0 {
                continue;
            }
            if let Some((salt, amount)) = contribution.sealed.and_then(|sealed| self.seals.get(&sealed).copied()) {
                let asked = RevealContribution { contribution: *id, amount, salt };
                actions.push((self.place(contribution.giver), Action::RevealContribution(asked)));
            }
            let holds = |steward: &&AccountId| self.world.holds(&Office::Steward(contribution.model), **steward);
            let others = model.stewards.iter().filter(|steward| **steward != contribution.giver).filter(holds);
            let accept = |steward: &AccountId| {
                (self.place(*steward), Action::AcceptContribution(AcceptContribution { contribution: *id }))
            };
            actions.extend(others.take(self.world.countersigners_of(contribution)).map(accept));
        }
        actions
    }
}
