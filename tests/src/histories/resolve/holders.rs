//! What holders ask for: moving units, delegating, taking up what is offered.

use super::choose;
use crate::{
    histories::{
        History,
        request::{Amount, Request},
    },
    reference::Proposal,
};
use allod_protocol::rules::proposal::ModelAction;
use allod_protocol::rules::sale::ApproveTransfer;
use allod_protocol::rules::share::BurnByDecision;
use allod_protocol::{
    ground::ids::{AccountId, ModelId, ProposalId, Timestamp, Units},
    rules::{
        action::Action,
        delegation::Delegate,
        intake::{SetIntake, UnitsOf},
        sale::AcceptTransfer,
        share::{BurnShares, GiveConsent, TakeUp, TransferShares},
    },
};

impl History {
    pub(super) fn of_holder(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Transfer { model, by, to, amount } => {
                let (model, _) = self.model(*model);
                let by = self.by(*by, |account| self.world.free(model, account) > 0);
                let units = match amount {
                    Amount::Few(0) => Units::ZERO,
                    amount => self.units(*amount, self.world.free(model, by)),
                };
                let asked = TransferShares { model, to: self.any(*to), units, reason: String::new() };
                Some((by, Action::TransferShares(asked)))
            }
            Request::Burn { model, by, amount } => {
                let (model, _) = self.model(*model);
                let by = self.by(*by, |account| self.world.free(model, account) > 0);
                let units = self.units(*amount, self.world.free(model, by));
                Some((by, Action::BurnShares(BurnShares { model, units, reason: String::new() })))
            }
            Request::TakeUp { issue, by, amount } => {
                let all = self.models.iter().flat_map(|id| {
                    (0..self.world.models[id].issues.len() as u64).map(|number| (*id, number)).collect::<Vec<_>>()
                });
                let all: Vec<(ModelId, u64)> = all.collect();
                let issue_of = |(id, number): &(ModelId, u64)| &self.world.models[id].issues[*number as usize];
                let (id, number) = choose(&all, *issue, |one| !issue_of(one).is_over)?;
                let offered = issue_of(&(id, number));
                let then = self.world.at(offered.as_of);
                let by = self.by(*by, |account| then.held(id, account) > 0);
                let units = match amount {
                    Amount::Few(part) => Units::new((offered.units / 50).saturating_mul(u64::from(*part)).max(1)),
                    amount => self.units(*amount, offered.units),
                };
                Some((by, Action::TakeUp(TakeUp { model: id, issue: number, units })))
            }
            Request::Consent { proposal, agrees } => {
                let burns = |proposal: &Proposal| {
                    proposal.question.model_actions().iter().find_map(|action| match action {
                        ModelAction::BurnShares(BurnByDecision { from, .. }) => Some(*from),
                        _ => None,
                    })
                };
                let waits = |id: &ProposalId| {
                    let proposal = &self.world.proposals[id];
                    !proposal.status.is_final() && burns(proposal).is_some()
                };
                let id = choose(&self.proposals, *proposal, waits)?;
                let by = burns(&self.world.proposals[&id]).unwrap_or_else(|| self.any(proposal.place));
                Some((by, Action::GiveConsent(GiveConsent { proposal: id, agrees: *agrees })))
            }
            Request::Delegate { model, by, to, lasts_ms } => {
                let (model, _) = self.model(*model);
                let by = self.by(*by, |account| self.world.held(model, account) > 0);
                let to = to.map(|to| self.any(to));
                let expires =
                    lasts_ms.filter(|_| to.is_some()).map(|ms| Timestamp::new(self.world.time + u64::from(ms)));
                Some((by, Action::Delegate(Delegate { model, to, expires })))
            }
            _ => None,
        }
    }

    pub(super) fn of_taker(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Intake { model, by, takes } => {
                let of = model.map_or(UnitsOf::Any, |place| UnitsOf::Model(self.model(place).0));
                let says = |account| self.world.intakes.contains_key(&(account, of));
                let by = self.by(*by, |account| says(account) == takes.is_none());
                Some((by, Action::SetIntake(SetIntake { of, takes: *takes })))
            }
            Request::Buy { proposal, by, accept } => {
                let buyers = |proposal: &Proposal| -> Vec<AccountId> {
                    let buyer = |action: &ModelAction| match action {
                        ModelAction::ApproveTransfer(ApproveTransfer { to, .. }) => Some(*to),
                        _ => None,
                    };
                    proposal.question.model_actions().iter().filter_map(buyer).collect()
                };
                let sells = |proposal: &Proposal| !proposal.status.is_final() && !buyers(proposal).is_empty();
                let id = choose(&self.proposals, *proposal, |id| sells(&self.world.proposals[id]))?;
                let by = self.by(*by, |account| buyers(&self.world.proposals[&id]).contains(&account));
                Some((by, Action::AcceptTransfer(AcceptTransfer { proposal: id, accept: *accept })))
            }
            _ => None,
        }
    }
}
