//! Which keys speak for an account, and whether those who have them are those who had.

use super::{Account, Refused, World};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, PublicKey},
    rules::{account::KeyPolicy, action::Action, control::ChangeOfControl},
};

/// Under whose control an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The keys with which it began.
    pub keys: KeyPolicy,
    /// The height at which it began.
    pub since: u64,
    /// The keys that new ones are measured against.
    pub anchor: KeyPolicy,
    /// What it was before, while guardians can still take the change back.
    pub before: Option<Box<Self>>,
}

impl World {
    /// That the signers are keys of the account, and enough of them.
    pub(super) fn require_signed(&self, id: AccountId, action: &Action, signers: &[PublicKey]) -> Result<(), Refused> {
        let policy = &self.account(id)?.keys;
        if self.may_ask_by_settled(id, action, signers) {
            return Ok(());
        }
        if signers.iter().any(|signer| !lists(policy, signer)) {
            return Err("foreign_key");
        }
        if weight(policy, signers) < u64::from(policy.threshold) { Err("not_authorised") } else { Ok(()) }
    }

    pub(super) fn rotate(&mut self, id: AccountId, keys: &KeyPolicy, signers: &[PublicKey]) -> Result<(), Refused> {
        let before = self.account(id)?.clone();
        if self.are_all_keys(id, signers) {
            self.stop_recovery(id);
            let account = self.account_mut(id)?;
            (account.keys, account.unsettled) = (keys.clone(), None);
        } else {
            let settled = self.settled_keys(id);
            self.account_mut(id)?.keys = keys.clone();
            self.unsettle(id, settled, before.unsettled.clone().and_then(|waits| waits.change));
        }
        self.keys_rotated(id, &before, keys);
        Ok(())
    }

    /// Under whose control an account is that has these keys.
    fn control_of(&self, id: AccountId, keys: &KeyPolicy) -> Control {
        let unchanged = || Control { keys: keys.clone(), since: 0, anchor: keys.clone(), before: None };
        self.controls.get(&id).cloned().unwrap_or_else(unchanged)
    }

    fn keys_rotated(&mut self, id: AccountId, before: &Account, keys: &KeyPolicy) {
        let mut control = self.control_of(id, &before.keys);
        let is_unsettled = self.accounts[&id].unsettled.is_some();
        // What was settled nobody takes back.
        let was_settled = before.unsettled.as_ref().is_none_or(|waits| waits.keys == before.keys);
        if was_settled || !is_unsettled {
            control.before = None;
        }
        let old: Vec<PublicKey> = control.anchor.keys.iter().map(|one| one.key).collect();
        if weight(keys, &old) < u64::from(keys.threshold) {
            let ended = control.before.take().unwrap_or_else(|| Box::new(control));
            let before = is_unsettled.then_some(ended);
            control = Control { keys: keys.clone(), since: self.height, anchor: keys.clone(), before };
        }
        self.controls.insert(id, control);
    }

    /// Guardians give an account new keys, and take back what they stepped in against.
    pub(super) fn control_recovered(&mut self, id: AccountId, keys: &KeyPolicy) {
        let account = &self.accounts[&id];
        let mut control = self.control_of(id, &account.keys);
        let against = account.unsettled.as_ref().is_some_and(|waits| waits.keys != account.keys);
        if let Some(before) = control.before.take().filter(|_| against) {
            (control.keys, control.since) = (before.keys, before.since);
        }
        control.anchor = keys.clone();
        self.controls.insert(id, control);
    }

    /// Whether the owners of a model have a say in who controls a holder, and have not said that it may.
    pub fn is_unaccepted(&self, model: ModelId, account: AccountId) -> bool {
        let (Some(control), Ok(owned)) = (self.controls.get(&account), self.model(model)) else { return false };
        owned.policy.change_of_control == ChangeOfControl::Approval
            && control.since > owned.control_ruled
            && owned.opened.get(&account).is_some_and(|opened| control.since >= *opened)
            && self.accepted_controls.get(&(model, account)) != Some(&control.keys)
    }

    pub(super) fn require_control(&self, model: ModelId, account: AccountId) -> Result<(), Refused> {
        if self.is_unaccepted(model, account) { Err("control_not_accepted") } else { Ok(()) }
    }

    pub(super) fn accept_control(
        &mut self,
        model: ModelId,
        account: AccountId,
        keys: &KeyPolicy,
    ) -> Result<(), Refused> {
        self.account(account)?;
        self.accepted_controls.insert((model, account), keys.clone());
        Ok(())
    }
}

pub(super) fn lists(policy: &KeyPolicy, key: &PublicKey) -> bool {
    policy.keys.iter().any(|one| one.key == *key)
}

/// What keys count for under a policy.
fn weight(policy: &KeyPolicy, keys: &[PublicKey]) -> u64 {
    policy.keys.iter().filter(|one| keys.contains(&one.key)).map(|one| u64::from(one.weight)).sum()
}
