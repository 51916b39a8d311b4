//! Who may admit whom, and what the members of the network decide about accounts.

use super::{Refused, World};
use allod_protocol::{
    account::CreateAccount,
    ids::{AccountId, Handle},
};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its handle.
    pub handle: Handle,
    /// Accounts that it may still admit.
    pub quota: u32,
    /// Whether it is a member of the network.
    pub member: bool,
    /// Whether it is suspended.
    pub suspended: bool,
}

impl World {
    pub(super) fn create_account(
        &mut self,
        sender: AccountId,
        new: &CreateAccount,
        id: AccountId,
    ) -> Result<(), Refused> {
        if self.accounts.values().any(|account| account.handle == new.handle) {
            return Err("handle_taken");
        }
        if self.accounts.values().any(|account| looks(&account.handle) == looks(&new.handle)) {
            return Err("handle_looks_like");
        }
        let quota = u64::from(self.account(sender)?.quota);
        let spent = u64::from(new.quota) + 1;
        if quota < spent {
            return Err("sponsor_quota");
        }
        self.account_mut(sender)?.quota = u32::try_from(quota - spent).unwrap_or(0);
        let account = Account { handle: new.handle.clone(), quota: new.quota, member: false, suspended: false };
        self.accounts.insert(id, account);
        Ok(())
    }

    pub(super) fn admit_member(&mut self, id: AccountId) -> Result<(), Refused> {
        let account = self.account_mut(id)?;
        if account.member {
            return Err("already_member");
        }
        account.member = true;
        Ok(())
    }

    pub(super) fn grant_quota(&mut self, id: AccountId, quota: u32) -> Result<(), Refused> {
        let account = self.account_mut(id)?;
        account.quota = account.quota.saturating_add(quota);
        Ok(())
    }

    pub(super) fn suspend(&mut self, id: AccountId) -> Result<(), Refused> {
        let account = self.account_mut(id)?;
        if account.suspended {
            return Err("suspended");
        }
        account.suspended = true;
        Ok(())
    }

    pub(super) fn reinstate(&mut self, id: AccountId) -> Result<(), Refused> {
        let account = self.account_mut(id)?;
        if !account.suspended {
            return Err("not_suspended");
        }
        account.suspended = false;
        Ok(())
    }

    fn account_mut(&mut self, id: AccountId) -> Result<&mut Account, Refused> {
        self.accounts.get_mut(&id).ok_or("unknown_account")
    }
}

/// What a handle looks like: what is taken for each other is made one.
fn looks(handle: &Handle) -> String {
    let mut text = handle.as_str().to_owned();
    for (letter, like) in [("-", ""), ("0", "o"), ("1", "l"), ("m", "rn"), ("w", "vv")] {
        text = text.replace(letter, like);
    }
    text
}
