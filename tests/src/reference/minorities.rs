//! What keeps a holder's part: limits on what decisions add, the right to take up minted units, consent to a burn.

use super::{Refused, World};
use allod_protocol::{
    ground::{
        fraction::Fraction,
        ids::{AccountId, ModelId, ProposalId},
    },
    rules::{
        proposal::{ModelAction, Scope},
        share::{BurnByDecision, GiveConsent, TakeUp, Vesting},
    },
};
use std::collections::BTreeMap;

/// A year, in milliseconds.
const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

/// What decisions added, and to how many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    decision: ProposalId,
    decision_base: u64,
    decision_units: u64,
    year_began: u64,
    year_base: u64,
    year_units: u64,
}

/// Minted units that holders may take up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Who gets the rest.
    pub to: AccountId,
    /// How many units.
    pub units: u64,
    /// The vesting of the rest.
    pub vesting: Option<Vesting>,
    /// As of which height parts count.
    pub as_of: u64,
    /// Until when.
    pub until: u64,
    /// Who took up how much.
    pub taken: BTreeMap<AccountId, u64>,
    /// Whether it is over.
    pub is_over: bool,
}

impl Issue {
    /// What was taken up in all.
    pub fn taken(&self) -> u64 {
        self.taken.values().sum()
    }
}

fn exceeds(most: Fraction, part: u64, whole: u64) -> bool {
    u128::from(part) * u128::from(most.denominator()) > u128::from(whole) * u128::from(most.numerator())
}

impl World {
    /// A decision adds units, if the policy lets it.
    pub(super) fn add_by_decision(&mut self, id: ModelId, decision: ProposalId, units: u64) -> Result<(), Refused> {
        let (time, total) = (self.time, self.total(id));
        let Some(dilution) = self.model(id)?.policy.dilution else { return Ok(()) };
        let begun = Added {
            decision,
            decision_base: total,
            decision_units: 0,
            year_began: time,
            year_base: total,
            year_units: 0,
        };
        let mut added = self.model(id)?.added.unwrap_or(begun);
        if time >= added.year_began + YEAR_MS {
            added = begun;
        } else if added.decision != decision {
            added = Added { decision, decision_base: total, decision_units: 0, ..added };
        }
        added.decision_units = added.decision_units.saturating_add(units);
        added.year_units = added.year_units.saturating_add(units);
        let breaks = |most: Option<Fraction>, base: u64, added: u64| {
            base > 0 && most.is_some_and(|most| exceeds(most, added, base))
        };
        if breaks(dilution.per_decision, added.decision_base, added.decision_units)
            || breaks(dilution.per_year, added.year_base, added.year_units)
        {
            return Err("too_dilutive");
        }
        self.existing_mut(id).added = Some(added);
        Ok(())
    }

    /// Mints for an account, or offers it to the holders first.
    pub(super) fn mint_or_offer(
        &mut self,
        id: ModelId,
        to: AccountId,
        units: u64,
        vesting: Option<Vesting>,
    ) -> Result<(), Refused> {
        let model = self.model(id)?;
        if let Some(preemption) = model.policy.preemption.filter(|_| !model.register.is_empty()) {
            self.require_room(id, units)?;
            let (as_of, until) = (self.height - 1, self.time + preemption.period_ms);
            let issue = Issue { to, units, vesting, as_of, until, taken: BTreeMap::new(), is_over: false };
            self.existing_mut(id).issues.push(issue);
            return Ok(());
        }
        self.give(id, to, units)?;
        vesting.map_or(Ok(()), |vesting| self.vest(id, to, units, vesting))
    }

    pub(super) fn take_up(&mut self, sender: AccountId, asked: &TakeUp) -> Result<(), Refused> {
        self.require_active(asked.model)?;
        self.require_control(asked.model, sender)?;
        let place = usize::try_from(asked.issue).unwrap_or(usize::MAX);
        let issue = self.model(asked.model)?.issues.get(place).filter(|issue| !issue.is_over).ok_or("unknown_issue")?;
        if self.time >= issue.until {
            return Err("issue_over");
        }
        let then = self.at(issue.as_of);
        let (held, total) = (u128::from(then.held(asked.model, sender)), u128::from(then.total(asked.model)));
        let entitled = (u128::from(issue.units) * held).checked_div(total).unwrap_or(0);
        let taken = issue.taken.get(&sender).copied().unwrap_or(0);
        if u128::from(taken) + u128::from(asked.units.get()) > entitled {
            return Err("beyond_entitlement");
        }
        // What was set aside for it makes the room.
        *self.existing_mut(asked.model).issues[place].taken.entry(sender).or_insert(0) += asked.units.get();
        self.give(asked.model, sender, asked.units.get())
    }

    pub(super) fn issue_is_due(&mut self, id: ModelId, place: usize) {
        let issue = self.existing_mut(id).issues[place].clone();
        self.existing_mut(id).issues[place].is_over = true;
        let rest = issue.units - issue.taken();
        if rest == 0 || self.require_active(id).is_err() {
            return;
        }
        let before = self.clone();
        let minted = self.give(id, issue.to, rest).and_then(|()| match issue.vesting {
            Some(vesting) => self.vest(id, issue.to, rest, vesting),
            None => Ok(()),
        });
        if minted.is_err() {
            *self = before;
        }
    }

    pub(super) fn consent(&mut self, sender: AccountId, asked: &GiveConsent) -> Result<(), Refused> {
        let proposal = self.proposals.get(&asked.proposal).ok_or("unknown_proposal")?;
        if proposal.status.is_final() {
            return Err("not_open");
        }
        let takes = |action: &ModelAction| matches!(action, ModelAction::BurnShares(BurnByDecision { from, .. }) if *from == sender);
        if !proposal.question.model_actions().iter().any(takes) {
            return Err("nothing_taken");
        }
        if asked.agrees {
            if let Scope::Model(model) = proposal.question.scope() {
                self.require_control(model, sender)?;
            }
            self.consents.insert((asked.proposal, sender));
        } else {
            self.consents.remove(&(asked.proposal, sender));
        }
        Ok(())
    }
}
