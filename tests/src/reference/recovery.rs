//! Recovery: new keys for an account from guardians that it named, and what fewer than all of its keys can do meanwhile.

use super::{Refused, World, control::lists};
use allod_protocol::{
    ground::ids::{AccountId, PublicKey, Timestamp},
    rules::{
        account::KeyPolicy,
        action::Action,
        office::Office,
        recovery::{Clock, RecoverAccount, RecoveryPolicy, Stage},
    },
};

/// What fewer than all keys asked, until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// The keys that were settled last.
    pub keys: KeyPolicy,
    /// The guardians that were asked for, if any were, which may be none.
    pub change: Option<Option<RecoveryPolicy>>,
    /// When it is settled.
    pub clock: Clock,
}

/// A recovery under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The keys that the account is to get.
    pub keys: KeyPolicy,
    /// How far it is.
    pub stage: Stage,
    /// When it is over.
    pub clock: Clock,
}

impl World {
    /// All of an account's settled keys sign, which are two at least.
    pub(super) fn are_all_keys(&self, id: AccountId, signers: &[PublicKey]) -> bool {
        let settled = self.settled_keys(id);
        settled.keys.len() > 1 && settled.keys.iter().all(|one| signers.contains(&one.key))
    }

    /// The keys of which all together have the last word.
    pub fn settled_keys(&self, id: AccountId) -> KeyPolicy {
        let account = &self.accounts[&id];
        account.unsettled.as_ref().map_or_else(|| account.keys.clone(), |waits| waits.keys.clone())
    }

    /// About its keys an account may ask by all settled ones, whether or not they are enough or still its own.
    pub(super) fn may_ask_by_settled(&self, id: AccountId, action: &Action, signers: &[PublicKey]) -> bool {
        let (settled, present) = (self.settled_keys(id), &self.accounts[&id].keys);
        let is_of_keys = matches!(action, Action::RotateKeys(_) | Action::SetRecovery(_) | Action::CancelRecovery(_));
        is_of_keys
            && self.are_all_keys(id, signers)
            && signers.iter().all(|signer| lists(&settled, signer) || lists(present, signer))
    }

    /// Sets every clock of an account going, or holds it up, as things now stand.
    pub(super) fn set_clocks(&mut self, id: AccountId) {
        let (now, is_suspended) = (self.time, self.accounts[&id].suspended);
        let is_sought = self.recoveries.contains_key(&id);
        let set = |clock: &mut Clock, stands: bool| {
            *clock = match *clock {
                Clock::Runs { ready } if stands => Clock::Stands { left_ms: ready.get().saturating_sub(now) },
                Clock::Stands { left_ms } if !stands => Clock::Runs { ready: Timestamp::new(now + left_ms) },
                clock => clock,
            };
        };
        if let Some(recovery) = self.recoveries.get_mut(&id) {
            set(&mut recovery.clock, is_suspended);
        }
        if let Some(waits) = self.accounts.get_mut(&id).and_then(|account| account.unsettled.as_mut()) {
            set(&mut waits.clock, is_suspended || is_sought);
        }
    }

    /// Something waits for the delay, from its start; nothing does without guardians, or where the keys are settled and
    /// no guardians are asked for.
    pub(super) fn unsettle(&mut self, id: AccountId, keys: KeyPolicy, change: Option<Option<RecoveryPolicy>>) {
        let ready = |policy: &RecoveryPolicy| self.time + policy.delay_ms;
        let ready = self.accounts[&id].guardians.as_ref().map(ready);
        let Ok(account) = self.account_mut(id) else { return };
        let waits = change.is_some() || keys != account.keys;
        account.unsettled = ready.filter(|_| waits).map(|ready| {
            let clock = Clock::Runs { ready: Timestamp::new(ready) };
            Unsettled { keys, change, clock }
        });
        self.set_clocks(id);
    }

    /// Nothing that guardians said or began counts any more.
    pub(super) fn stop_recovery(&mut self, id: AccountId) -> bool {
        let had_said = self.forget_guardians(id);
        self.recoveries.remove(&id).is_some() || had_said
    }

    fn forget_guardians(&mut self, id: AccountId) -> bool {
        let before = self.guardians_said.len();
        self.guardians_said.retain(|(account, _), _| *account != id);
        self.guardians_said.len() < before
    }

    pub(super) fn set_recovery(
        &mut self,
        id: AccountId,
        policy: Option<&RecoveryPolicy>,
        signers: &[PublicKey],
    ) -> Result<(), Refused> {
        for guardian in policy.iter().flat_map(|policy| &policy.guardians) {
            self.account(*guardian)?;
            if *guardian == id {
                return Err("own_guardian");
            }
        }
        if self.account(id)?.guardians.is_none() || self.are_all_keys(id, signers) {
            self.stop_recovery(id);
            self.name_guardians(id, policy.cloned());
        } else {
            self.unsettle(id, self.settled_keys(id), Some(policy.cloned()));
        }
        Ok(())
    }

    fn name_guardians(&mut self, id: AccountId, policy: Option<RecoveryPolicy>) {
        self.forget_guardians(id);
        let (office, settled) = (Office::KeyGuardian(id), self.settled_keys(id));
        let list = |policy: &Option<RecoveryPolicy>| policy.as_ref().map_or(Vec::new(), |it| it.guardians.clone());
        let (before, after) = (list(&self.accounts[&id].guardians), list(&policy));
        if let Ok(account) = self.account_mut(id) {
            account.guardians = policy;
        }
        for guardian in before.into_iter().filter(|guardian| !after.contains(guardian)) {
            self.no_longer_named(&office, guardian);
        }
        for guardian in after {
            self.ask(&office, guardian, None);
        }
        self.unsettle(id, settled, None);
    }

    pub(super) fn recover(&mut self, sender: AccountId, asked: &RecoverAccount) -> Result<(), Refused> {
        let id = asked.account;
        let guardians = self.account(id)?.guardians.clone();
        let holds = |guardian: AccountId| self.holds(&Office::KeyGuardian(id), guardian);
        let policy = guardians.filter(|_| holds(sender)).ok_or("not_key_guardian")?;
        let under_way = self.recoveries.get(&id).cloned();
        match &under_way {
            Some(Recovery { stage: Stage::Contested, keys, .. }) if *keys != asked.keys => {
                return Err("other_keys_contested");
            }
            None | Some(Recovery { stage: Stage::Contested, .. }) => {}
            Some(_) => return Err("recovery_pending"),
        }
        self.guardians_said.insert((id, sender), asked.keys.clone());
        let agrees = |guardian: &&AccountId| self.guardians_said.get(&(id, **guardian)) == Some(&asked.keys);
        let agree = policy.guardians.iter().filter(agrees).count();
        if agree < usize::try_from(policy.needed).unwrap_or(usize::MAX) {
            return Ok(());
        }
        let clock = Clock::Runs { ready: Timestamp::new(self.time + policy.delay_ms) };
        let begun = Recovery { keys: asked.keys.clone(), stage: Stage::Sought, clock };
        let confirmed = under_way.map(|contested| Recovery { stage: Stage::Confirmed, ..contested });
        self.recoveries.insert(id, confirmed.unwrap_or(begun));
        self.set_clocks(id);
        Ok(())
    }

    pub(super) fn cancel_recovery(&mut self, id: AccountId, signers: &[PublicKey]) -> Result<(), Refused> {
        if self.are_all_keys(id, signers) {
            if !self.stop_recovery(id) {
                return Err("no_recovery");
            }
            self.go_on_without_new_keys(id);
            return Ok(());
        }
        let delay_ms = self.account(id)?.guardians.as_ref().map_or(0, |policy| policy.delay_ms);
        let ready = self.time + 2 * delay_ms;
        let recovery = self.recoveries.get_mut(&id).ok_or("no_recovery")?;
        if recovery.stage != Stage::Sought {
            return Err("contested_already");
        }
        (recovery.stage, recovery.clock) = (Stage::Contested, Clock::Runs { ready: Timestamp::new(ready) });
        self.forget_guardians(id);
        self.set_clocks(id);
        Ok(())
    }

    fn go_on_without_new_keys(&mut self, id: AccountId) {
        if let Some(waits) = self.accounts[&id].unsettled.clone() {
            self.unsettle(id, waits.keys, waits.change);
        }
    }

    pub(super) fn recovery_is_due(&mut self, id: AccountId) {
        let Some(recovery) = self.recoveries.remove(&id) else { return };
        self.forget_guardians(id);
        if recovery.stage == Stage::Contested {
            return self.go_on_without_new_keys(id);
        }
        self.control_recovered(id, &recovery.keys);
        if let Ok(account) = self.account_mut(id) {
            (account.keys, account.unsettled) = (recovery.keys, None);
        }
    }

    pub(super) fn settling_is_due(&mut self, id: AccountId) {
        let Some(waits) = self.account_mut(id).ok().and_then(|account| account.unsettled.take()) else { return };
        if let Some(policy) = waits.change {
            self.name_guardians(id, policy);
        }
    }
}
