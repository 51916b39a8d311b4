//! Which keys speak for an account, and whether those who have them are those who had.

use super::{Refused, World};
use allod_protocol::{
    account::KeyPolicy,
    control::ChangeOfControl,
    ids::{AccountId, ModelId, PublicKey},
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
}

impl World {
    /// That the signers are keys of the account, and enough of them.
    pub(super) fn require_signed(&self, id: AccountId, signers: &[PublicKey]) -> Result<(), Refused> {
        let policy = &self.account(id)?.keys;
        if signers.iter().any(|signer| !lists(policy, signer)) {
            return Err("foreign_key");
        }
        if weight(policy, signers) < u64::from(policy.threshold) { Err("not_authorised") } else { Ok(()) }
    }

    pub(super) fn rotate(&mut self, id: AccountId, keys: &KeyPolicy) -> Result<(), Refused> {
        let before = std::mem::replace(&mut self.account_mut(id)?.keys, keys.clone());
        let unchanged = Control { keys: before.clone(), since: 0, anchor: before };
        let control = self.controls.get(&id).cloned().unwrap_or(unchanged);
        let old: Vec<PublicKey> = control.anchor.keys.iter().map(|one| one.key).collect();
        let goes_on = weight(keys, &old) >= u64::from(keys.threshold);
        let begun = Control { keys: keys.clone(), since: self.height, anchor: keys.clone() };
        self.controls.insert(id, if goes_on { control } else { begun });
        Ok(())
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

fn lists(policy: &KeyPolicy, key: &PublicKey) -> bool {
    policy.keys.iter().any(|one| one.key == *key)
}

/// What keys count for under a policy.
fn weight(policy: &KeyPolicy, keys: &[PublicKey]) -> u64 {
    policy.keys.iter().filter(|one| keys.contains(&one.key)).map(|one| u64::from(one.weight)).sum()
}
