//! What guardians and those whom they guard ask for.

use super::choose;
use crate::histories::{
    History,
    keys::keys,
    request::{Pick, Request},
};
use allod_protocol::{
    ground::ids::AccountId,
    rules::{
        action::Action,
        office::Office,
        recovery::{CancelRecovery, RecoverAccount, RecoveryPolicy, SetRecovery, Stage},
    },
};

impl History {
    pub(super) fn of_guarded(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Guard { by, guardians, needed, delay_ms } => {
                let guarded = |account| self.world.accounts[&account].guardians.is_some();
                let by = self.by(*by, |account| guarded(account) == guardians.is_none());
                let policy = guardians.map(|(first, count)| {
                    let mut guardians: Vec<AccountId> =
                        (0..count).map(|more| self.any(first.wrapping_add(more))).collect();
                    // Now and then it names itself.
                    guardians.retain(|guardian| *guardian != by || delay_ms % 8 == 0);
                    guardians.sort();
                    guardians.dedup();
                    let count = u32::try_from(guardians.len()).unwrap_or(u32::MAX);
                    let needed = (u32::from(*needed) % count.max(1)) + 1;
                    RecoveryPolicy { guardians, needed, delay_ms: (*delay_ms).into() }
                });
                let policy = policy.filter(|policy| !policy.guardians.is_empty());
                Some((by, Action::SetRecovery(SetRecovery { policy })))
            }
            Request::Recover { account, by, keys } => {
                let account = self.guarded(*account)?;
                let office = Office::KeyGuardian(account);
                let by = self.by(*by, |by| self.world.holds(&office, by));
                Some((by, self.recovery(account, *keys)))
            }
            Request::Object { by } => {
                let is_sought = |account| {
                    let recovery = self.world.recoveries.get(&account);
                    recovery.is_some_and(|recovery| recovery.stage == Stage::Sought)
                };
                Some((self.by(*by, is_sought), Action::CancelRecovery(CancelRecovery {})))
            }
            _ => None,
        }
    }

    /// An account with guardians who accepted.
    fn guarded(&self, pick: Pick) -> Option<AccountId> {
        let holds = |account: &AccountId| {
            let policy = self.world.accounts[account].guardians.iter();
            let mut guardians = policy.flat_map(|policy| &policy.guardians);
            guardians.any(|guardian| self.world.holds(&Office::KeyGuardian(*account), *guardian))
        };
        choose(&self.accounts, pick, holds)
    }

    /// What a guardian says: mostly the keys that the others said, where some are contested.
    fn recovery(&self, account: AccountId, number: u8) -> Action {
        let contested = self.world.recoveries.get(&account).filter(|_| !number.is_multiple_of(8));
        let keys = keys(&self.world.accounts[&account].handle, number);
        let keys = contested.map_or(keys, |recovery| recovery.keys.clone());
        Action::RecoverAccount(RecoverAccount { account, keys })
    }

    /// The guardians of an account say the same.
    pub(super) fn agree(&self, account: Pick, number: u8) -> Option<Vec<(usize, Action)>> {
        let account = self.guarded(account)?;
        let guardians = self.world.accounts[&account].guardians.iter().flat_map(|policy| &policy.guardians);
        let needed = self.world.accounts[&account].guardians.as_ref().map_or(0, |policy| policy.needed);
        let holds = |guardian: &&AccountId| self.world.holds(&Office::KeyGuardian(account), **guardian);
        let say = |guardian: &AccountId| (self.place(*guardian), self.recovery(account, number));
        Some(guardians.filter(holds).take(needed as usize).map(say).collect())
    }
}
