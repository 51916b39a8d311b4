//! Who was called on and has not spoken, and what that does to quorums.

use super::{Proposal, Refused, World};
use allod_protocol::{
    ground::ids::AccountId,
    rules::{action::Action, dormancy::CallOn, policy::Dormancy, proposal::Scope},
};

/// Calls that one account may have open.
const OPEN_CALLS_PER_ACCOUNT: usize = 32;

/// An account that was called on and has not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Who called.
    pub by: AccountId,
    /// When it falls dormant.
    pub sleeps_at: u64,
    /// Whether it has.
    pub dormant: bool,
}

impl World {
    fn dormancy(&self, scope: Scope) -> Result<Option<Dormancy>, Refused> {
        match scope {
            Scope::Network => Ok(self.network.dormancy),
            Scope::Model(model) => Ok(self.model(model)?.policy.dormancy),
        }
    }

    fn has_voice(&self, scope: Scope, account: AccountId) -> bool {
        match scope {
            Scope::Network => self.accounts.get(&account).is_some_and(|account| account.member_since.is_some()),
            Scope::Model(id) => {
                let delegations = self.models.get(&id).map(|model| &model.delegations);
                let given = |from: &AccountId| self.held(id, *from) > 0;
                let is_delegate = delegations
                    .is_some_and(|all| all.iter().any(|(from, delegation)| delegation.to == account && given(from)));
                self.held(id, account) > 0 || is_delegate
            }
        }
    }

    fn is_dormant(&self, scope: Scope, account: AccountId) -> bool {
        self.silences.get(&(scope, account)).is_some_and(|silence| silence.dormant)
    }

    /// Whether somebody awake answers for an account.
    fn has_awake_delegate(&self, scope: Scope, account: AccountId) -> bool {
        let Scope::Model(id) = scope else { return false };
        let delegation = self.models.get(&id).and_then(|model| model.delegations.get(&account));
        let lasts = |expires: Option<u64>| expires.is_none_or(|expires| expires > self.time);
        delegation.is_some_and(|delegation| lasts(delegation.expires) && !self.is_dormant(scope, delegation.to))
    }

    pub(super) fn call_on(&mut self, sender: AccountId, asked: &CallOn) -> Result<(), Refused> {
        let CallOn { scope, account } = *asked;
        self.account(account)?;
        let dormancy = self.dormancy(scope)?.ok_or("no_dormancy")?;
        if account == sender {
            return Err("own_call");
        }
        if !self.has_voice(scope, sender) || !self.has_voice(scope, account) {
            return Err("no_voice");
        }
        if self.silences.contains_key(&(scope, account)) {
            return Err("called_already");
        }
        if self.has_awake_delegate(scope, account) {
            return Err("delegate_answers");
        }
        if self.open_calls(sender) >= OPEN_CALLS_PER_ACCOUNT {
            return Err("too_many_calls");
        }
        let sleeps_at = self.time + dormancy.after_ms;
        self.silences.insert((scope, account), Silence { by: sender, sleeps_at, dormant: false });
        Ok(())
    }

    /// Calls of an account that nobody has answered and that are not over.
    pub fn open_calls(&self, account: AccountId) -> usize {
        self.silences.values().filter(|silence| silence.by == account && !silence.dormant).count()
    }

    pub(super) fn present(&mut self, sender: AccountId, scope: Scope) -> Result<(), Refused> {
        self.silences.remove(&(scope, sender)).map(drop).ok_or("not_called_on")
    }

    /// Whoever does something in a scope has spoken there.
    pub(super) fn note_spoken(&mut self, sender: AccountId, action: &Action) {
        let scope = match action {
            Action::OpenProposal(asked) => asked.question.scope(),
            Action::CastBallot(asked) => self.proposals[&asked.proposal].question.scope(),
            Action::Delegate(asked) => Scope::Model(asked.model),
            Action::TransferShares(asked) => Scope::Model(asked.model),
            Action::BurnShares(asked) => Scope::Model(asked.model),
            Action::TakeUp(asked) => Scope::Model(asked.model),
            _ => return,
        };
        self.silences.remove(&(scope, sender));
    }

    pub(super) fn silence_is_due(&mut self, scope: Scope, account: AccountId) {
        let stays = self.has_voice(scope, account)
            && self.dormancy(scope).is_ok_and(|dormancy| dormancy.is_some())
            && !self.has_awake_delegate(scope, account);
        if !stays {
            self.silences.remove(&(scope, account));
            return;
        }
        if let Some(silence) = self.silences.get_mut(&(scope, account)) {
            silence.dormant = true;
        }
        if let Scope::Model(model) = scope {
            self.existing_mut(model).delegations.remove(&account);
        }
    }

    /// What slept when a proposal was opened and has not answered it.
    pub(super) fn asleep(&self, proposal: &Proposal) -> u64 {
        if !proposal.counts_awake_only {
            return 0;
        }
        let then = self.at(proposal.snapshot);
        let sleeps = |account: &&AccountId| {
            then.is_dormant(proposal.question.scope(), **account) && !proposal.ballots.contains_key(*account)
        };
        self.accounts.keys().filter(sleeps).map(|account| self.own_weight(proposal, *account)).sum()
    }
}
