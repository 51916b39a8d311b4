//! The register: who holds what, what of it is free to give, and who answers for whom.

use super::{Refused, Round, World, divide};
use allod_protocol::{
    ground::ids::{AccountId, ModelId},
    rules::{
        delegation::Delegate,
        office::Office,
        policy::TransferRule,
        share::{BurnShares, TransferShares, Vesting},
    },
};

/// Units of one model at most.
const MODEL_UNITS: u64 = 1 << 62;
/// Grants of one holder that are not all free yet, at most.
const VESTING_GRANTS: usize = 16;
/// Holders who can be granted shares at a founding.
const PARENT_GRANT_HOLDERS: usize = 512;

/// Units put under vesting.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose.
    pub account: AccountId,
    /// How many.
    pub units: u64,
    /// Since when.
    pub start: u64,
    /// On which terms.
    pub vesting: Vesting,
}

/// Who answers for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Who.
    pub to: AccountId,
    /// Until when.
    pub expires: Option<u64>,
}

impl Grant {
    /// What is not free at a time.
    fn locked(&self, time: u64) -> u64 {
        let passed = time - self.start;
        if passed < self.vesting.cliff_ms {
            return self.units;
        }
        let free = u128::from(self.units) * u128::from(passed) / u128::from(self.vesting.duration_ms);
        self.units - u64::try_from(free).unwrap_or(u64::MAX).min(self.units)
    }
}

impl World {
    /// What an account holds.
    pub fn held(&self, model: ModelId, account: AccountId) -> u64 {
        self.models.get(&model).and_then(|model| model.register.get(&account)).copied().unwrap_or(0)
    }

    /// All units of a model.
    pub fn total(&self, model: ModelId) -> u64 {
        self.models.get(&model).map_or(0, |model| model.register.values().sum())
    }

    /// What running rounds may still mint, and what holders may still take up.
    pub fn reserved(&self, model: ModelId) -> u64 {
        let rounds = self.models.get(&model).map_or(&[][..], |model| &model.rounds);
        let left = |round: &Round| round.plan.budget.get() - round.got.values().sum::<u64>();
        let running = rounds.iter().filter(|round| !round.status.is_final()).map(left);
        let issues = self.models.get(&model).map_or(&[][..], |model| &model.issues);
        let offered = issues.iter().filter(|issue| !issue.is_over).map(|issue| issue.units - issue.taken());
        running.chain(offered).sum()
    }

    /// What an account may give away: the disputed may be of what is under vesting, what is staked is not.
    pub fn free(&self, model: ModelId, account: AccountId) -> u64 {
        let kept = self.vesting(model, account).max(self.disputed(model, account));
        self.held(model, account).saturating_sub(kept).saturating_sub(self.staked(model, account))
    }

    /// What of an account's units is under vesting.
    fn vesting(&self, model: ModelId, account: AccountId) -> u64 {
        let grants = self.models.get(&model).map_or(&[][..], |model| &model.grants);
        let own = grants.iter().filter(|grant| grant.account == account);
        let locked: u128 = own.map(|grant| u128::from(grant.locked(self.time))).sum();
        u64::try_from(locked).unwrap_or(u64::MAX).min(self.held(model, account))
    }

    /// Whether there is room for so many more units.
    pub(super) fn require_room(&self, model: ModelId, units: u64) -> Result<(), Refused> {
        let all = u128::from(self.total(model)) + u128::from(self.reserved(model)) + u128::from(units);
        if all > u128::from(MODEL_UNITS) { Err("too_many_units") } else { Ok(()) }
    }

    pub(super) fn give(&mut self, model: ModelId, account: AccountId, units: u64) -> Result<(), Refused> {
        self.require_room(model, units)?;
        let height = self.height;
        let model = self.existing_mut(model);
        *model.register.entry(account).or_insert(0) += units;
        model.opened.entry(account).or_insert(height);
        Ok(())
    }

    pub(super) fn take(&mut self, model: ModelId, account: AccountId, units: u64) -> Result<(), Refused> {
        let left = self.held(model, account).checked_sub(units).ok_or("not_enough_shares")?;
        let model = self.existing_mut(model);
        model.register.insert(account, left);
        model.register.retain(|_, units| *units > 0);
        let register = &model.register;
        model.opened.retain(|account, _| register.contains_key(account));
        Ok(())
    }

    /// Takes units whether or not they are free. No more stays locked than is left: the newest grants give way.
    pub(super) fn seize(&mut self, model: ModelId, account: AccountId, units: u64) -> Result<(), Refused> {
        self.take(model, account, units)?;
        let (now, left) = (self.time, self.held(model, account));
        let grants = self.existing_mut(model).grants.iter_mut().filter(|grant| grant.account == account);
        let mut room = left;
        // The oldest keep what they lock for as long as there is room.
        for grant in grants {
            let locked = grant.locked(now);
            if locked > room {
                let end = grant.start + grant.vesting.duration_ms;
                if now - grant.start >= grant.vesting.cliff_ms {
                    (grant.start, grant.vesting) = (now, Vesting { cliff_ms: 0, duration_ms: end - now });
                }
                grant.units = room;
            }
            room -= locked.min(room);
        }
        Ok(())
    }

    pub(super) fn vest(
        &mut self,
        model: ModelId,
        account: AccountId,
        units: u64,
        vesting: Vesting,
    ) -> Result<(), Refused> {
        let start = self.time;
        let grants = &mut self.existing_mut(model).grants;
        let running = grants.iter().filter(|grant| grant.account == account && grant.locked(start) > 0).count();
        if running >= VESTING_GRANTS {
            return Err("too_many_vesting_grants");
        }
        grants.push(Grant { account, units, start, vesting });
        Ok(())
    }

    pub(super) fn grant_to_holders_of(&mut self, parent: ModelId, model: ModelId, units: u64) -> Result<(), Refused> {
        let (holders, held): (Vec<AccountId>, Vec<u64>) = self.model(parent)?.register.clone().into_iter().unzip();
        if holders.len() > PARENT_GRANT_HOLDERS {
            return Err("grant_too_wide");
        }
        for (holder, units) in holders.into_iter().zip(divide(units, &held)).filter(|(_, units)| *units > 0) {
            if self.takes(model, holder) {
                self.give(model, holder, units)?;
            }
        }
        Ok(())
    }

    /// That a holder can part with so many units now.
    fn require_free(&self, model: ModelId, account: AccountId, units: u64) -> Result<(), Refused> {
        if units > self.held(model, account) {
            return Err("not_enough_shares");
        }
        self.require_undisputed(model, account, units)?;
        if units > self.held(model, account) - self.vesting(model, account) {
            return Err("not_vested");
        }
        if units > self.free(model, account) { Err("bonded") } else { Ok(()) }
    }

    pub(super) fn transfer(&mut self, from: AccountId, asked: &TransferShares) -> Result<(), Refused> {
        match self.model(asked.model)?.policy.transfers {
            TransferRule::Free => {
                self.account(asked.to)?;
                self.require_takes(asked.model, asked.to)?;
                self.hand_over(asked.model, from, asked.to, asked.units.get())
            }
            TransferRule::Approval => Err("transfer_needs_approval"),
            TransferRule::Locked => Err("transfers_locked"),
        }
    }

    pub(super) fn hand_over(
        &mut self,
        model: ModelId,
        from: AccountId,
        to: AccountId,
        units: u64,
    ) -> Result<(), Refused> {
        self.account(to)?;
        if units == 0 || from == to {
            return Err("empty_transfer");
        }
        if self.holds(&Office::Arbiter(model), to) {
            return Err("arbiter_holds");
        }
        self.require_control(model, from)?;
        self.require_free(model, from, units)?;
        self.take(model, from, units)?;
        self.give(model, to, units)
    }

    pub(super) fn burn(&mut self, from: AccountId, asked: &BurnShares) -> Result<(), Refused> {
        self.model(asked.model)?;
        if asked.units.get() > self.held(asked.model, from) {
            return Err("not_enough_shares");
        }
        self.require_undisputed(asked.model, from, asked.units.get())?;
        let kept = self.disputed(asked.model, from) + self.staked(asked.model, from);
        if asked.units.get() > self.held(asked.model, from).saturating_sub(kept) {
            return Err("bonded");
        }
        self.seize(asked.model, from, asked.units.get())
    }

    pub(super) fn delegate(&mut self, from: AccountId, asked: &Delegate) -> Result<(), Refused> {
        if !self.model(asked.model)?.policy.suspended_vote && self.account(from)?.suspended {
            return Err("suspended");
        }
        let Some(to) = asked.to else {
            self.existing_mut(asked.model).delegations.remove(&from);
            return Ok(());
        };
        self.require_control(asked.model, from)?;
        self.account(to)?;
        if to == from {
            return Err("own_delegate");
        }
        let expires = asked.expires.map(|expires| expires.get());
        if expires.is_some_and(|expires| expires <= self.time) {
            return Err("delegation_expired");
        }
        self.existing_mut(asked.model).delegations.insert(from, Delegation { to, expires });
        Ok(())
    }
}
