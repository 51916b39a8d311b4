//! Who may admit whom, and what the members of the network decide about accounts.

use super::{Refused, Unsettled, World};
use allod_protocol::{
    ground::ids::{AccountId, Handle},
    rules::{
        account::{CreateAccount, KeyPolicy},
        action::Action,
        dispute::{DisputeTarget, OpenDispute},
        proposal::Scope,
        recovery::RecoveryPolicy,
    },
};

/// Accounts from one to the founding account that it goes back to.
const SPONSOR_CHAIN: usize = 64;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its handle.
    pub handle: Handle,
    /// The keys that speak for it.
    pub keys: KeyPolicy,
    /// Accounts that it may still admit.
    pub quota: u32,
    /// Since which height it is a member of the network, if it is.
    pub member_since: Option<u64>,
    /// Who admitted it; nobody, if it founded the network.
    pub sponsor: Option<AccountId>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Who can give it new keys, if anybody.
    pub guardians: Option<RecoveryPolicy>,
    /// What fewer than all of its keys asked and is not settled.
    pub unsettled: Option<Unsettled>,
}

impl Account {
    pub(super) const fn new(handle: Handle, keys: KeyPolicy) -> Self {
        Self {
            handle,
            keys,
            quota: 0,
            member_since: None,
            sponsor: None,
            suspended: false,
            guardians: None,
            unsettled: None,
        }
    }
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
        let mut chain = vec![sender];
        while let Some(sponsor) = self.account(chain[chain.len() - 1])?.sponsor {
            chain.push(sponsor);
        }
        if chain.len() > SPONSOR_CHAIN {
            return Err("sponsor_chain");
        }
        let quota = u64::from(self.account(sender)?.quota);
        let spent = u64::from(new.quota) + 1;
        if quota < spent {
            return Err("sponsor_quota");
        }
        self.account_mut(sender)?.quota = u32::try_from(quota - spent).unwrap_or(0);
        let (quota, sponsor) = (new.quota, Some(sender));
        let account = Account { quota, sponsor, ..Account::new(new.handle.clone(), new.keys.clone()) };
        self.accounts.insert(id, account);
        Ok(())
    }

    pub(super) fn admit_member(&mut self, id: AccountId) -> Result<(), Refused> {
        let height = self.height;
        let account = self.account_mut(id)?;
        if account.member_since.is_some() {
            return Err("already_member");
        }
        account.member_since = Some(height);
        Ok(())
    }

    pub(super) fn remove_member(&mut self, id: AccountId) -> Result<(), Refused> {
        let account = self.account(id)?;
        if account.member_since.is_none() {
            return Err("not_member");
        }
        if self.operates(id) {
            return Err("operates_validator");
        }
        if self.accounts.values().filter(|account| account.member_since.is_some()).count() == 1 {
            return Err("last_member");
        }
        self.account_mut(id)?.member_since = None;
        self.silences.remove(&(Scope::Network, id));
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
        self.set_clocks(id);
        Ok(())
    }

    /// A suspended account starts nothing: it votes, answers, and completes what it began, once in a block.
    pub(super) const fn is_open_to_suspended(action: &Action) -> bool {
        matches!(
            action,
            Action::CastBallot(_)
                | Action::Delegate(_)
                | Action::AnswerDispute(_)
                | Action::WithdrawDispute(_)
                | Action::AppealDispute(_)
                | Action::AnswerIncident(_)
                | Action::RevealContribution(_)
                | Action::OpenDispute(OpenDispute { target: DisputeTarget::Appeal(_), .. })
                | Action::Present(_)
                | Action::LeaveNetwork(_)
                | Action::ResignOffice(_)
                | Action::TakeUp(_)
                | Action::GiveConsent(_)
                | Action::RotateKeys(_)
                | Action::CancelRecovery(_)
                | Action::RecoverAccount(_)
        )
    }

    pub(super) fn reinstate(&mut self, id: AccountId) -> Result<(), Refused> {
        let account = self.account_mut(id)?;
        if !account.suspended {
            return Err("not_suspended");
        }
        account.suspended = false;
        self.set_clocks(id);
        Ok(())
    }

    pub(super) fn account_mut(&mut self, id: AccountId) -> Result<&mut Account, Refused> {
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
