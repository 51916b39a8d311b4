//! Recovery: an account whose keys are lost gets new ones from guardians it named itself, after a delay in which its
//! present keys can stop it.
//!
//! Each guardian says which keys the account should get; when as many as needed say the same, the keys are replaced
//! after the delay. Rotating keys, or changing the guardians, stops it too: whoever can do that has not lost them.

use crate::{
    account::{Account, KeyPolicy},
    due::{self, Due},
    event::Event,
    execute::Context,
    ids::{AccountId, Timestamp},
    limits,
    office::{self, Office},
    rejection::Rejection,
    state::{Family, Overlay, Record, StateRead},
    transaction::{Invalid, check_count},
};
use serde::{Deserialize, Serialize};

/// Who can give an account new keys, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryPolicy {
    /// The guardians, 1 to [`limits::GUARDIANS`], each once.
    pub guardians: Vec<AccountId>,
    /// How many must say the same.
    pub needed: u32,
    /// How long the present keys can stop it, in milliseconds of block time, within
    /// [`limits::VOTING_PERIOD_MIN_MS`] and [`limits::VOTING_PERIOD_MAX_MS`].
    pub delay_ms: u64,
}

impl RecoveryPolicy {
    fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "recovery", problem });
        check_count("guardians", self.guardians.len(), limits::GUARDIANS)?;
        let mut seen = std::collections::BTreeSet::new();
        if !self.guardians.iter().all(|guardian| seen.insert(guardian)) {
            return form("names a guardian twice; list each once".into());
        }
        let count = u32::try_from(self.guardians.len()).unwrap_or(u32::MAX);
        if self.needed == 0 || self.needed > count {
            return form(format!("needs {} of {count} guardians; set 1 to {count}", self.needed));
        }
        let bounds = limits::VOTING_PERIOD_MIN_MS..=limits::VOTING_PERIOD_MAX_MS;
        if !bounds.contains(&self.delay_ms) {
            return form(format!("has a delay of {} ms; set {} to {} ms", self.delay_ms, bounds.start(), bounds.end()));
        }
        Ok(())
    }
}

/// The keys that a guardian says an account should get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardianVote(pub KeyPolicy);

impl Record for GuardianVote {
    /// The account, the guardian.
    type Key = (AccountId, AccountId);
    const FAMILY: Family = Family::GuardianVote;
}

/// The keys that an account gets if its present ones do not stop it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The account.
    pub account: AccountId,
    /// The keys.
    pub keys: KeyPolicy,
    /// The block time at which it gets them.
    pub ready: Timestamp,
}

impl Record for Recovery {
    type Key = AccountId;
    const FAMILY: Family = Family::Recovery;
}

/// Name the sender's guardians, or do without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRecovery {
    /// Who and how; none for no recovery.
    pub policy: Option<RecoveryPolicy>,
}

impl SetRecovery {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.policy.as_ref().map_or(Ok(()), RecoveryPolicy::check)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        mut sender: Account,
    ) -> Result<Vec<Event>, Rejection> {
        for guardian in self.policy.iter().flat_map(|policy| &policy.guardians) {
            context.existing_account(state, *guardian)?;
            if *guardian == sender.id {
                return Err(Rejection::OwnGuardian(sender.id));
            }
        }
        let mut events: Vec<Event> = stop(state, &sender).into_iter().collect();
        let names = |policy: &Option<RecoveryPolicy>| {
            let guardians = policy.iter().flat_map(|policy| policy.guardians.clone());
            office::names(Office::KeyGuardian(sender.id), guardians)
        };
        let (before, after) = (names(&sender.recovery), names(&self.policy));
        sender.recovery = self.policy.clone();
        state.write(&sender.id, &sender);
        events.push(Event::RecoverySet { account: sender.id });
        events.extend(office::rename(state, context, (&before, &after), None));
        Ok(events)
    }
}

/// Say which keys an account should get, as one of its guardians.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverAccount {
    /// The account.
    pub account: AccountId,
    /// The keys it should get.
    pub keys: KeyPolicy,
}

impl RecoverAccount {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.keys.check()
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let account = context.existing_account(state, self.account)?;
        let accepted = |guardian| office::holds(state, &Office::KeyGuardian(self.account), guardian);
        let policy = account.recovery.filter(|policy| policy.guardians.contains(&sender) && accepted(sender));
        let policy = policy.ok_or(Rejection::NotKeyGuardian { account: sender, of: self.account })?;
        if let Some(recovery) = state.read::<Recovery>(&self.account) {
            return Err(Rejection::RecoveryPending { account: self.account, ready: recovery.ready });
        }
        state.write(&(self.account, sender), &GuardianVote(self.keys.clone()));
        let says_so = |guardian: &&AccountId| {
            office::holds(state, &Office::KeyGuardian(self.account), **guardian)
                && state.read::<GuardianVote>(&(self.account, **guardian)).is_some_and(|vote| vote.0 == self.keys)
        };
        let agree = u32::try_from(policy.guardians.iter().filter(says_so).count()).unwrap_or(u32::MAX);
        let ready = (agree >= policy.needed).then(|| context.time.plus_ms(policy.delay_ms));
        if let Some(ready) = ready {
            let recovery = Recovery { account: self.account, keys: self.keys.clone(), ready };
            state.write(&self.account, &recovery);
            due::set(state, ready, Due::Recovery(self.account));
        }
        Ok(vec![Event::RecoverySought { account: self.account, guardian: sender, ready }])
    }
}

/// Stop a recovery of the sender's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRecovery {}

impl CancelRecovery {
    pub(crate) fn apply<S: StateRead + ?Sized>(
        state: &mut Overlay<'_, S>,
        sender: &Account,
    ) -> Result<Vec<Event>, Rejection> {
        match stop(state, sender) {
            Some(event) => Ok(vec![event]),
            None => Err(Rejection::NoRecovery(sender.id)),
        }
    }
}

/// Stops whatever guardians have said of an account.
pub(crate) fn stop<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, account: &Account) -> Option<Event> {
    let mut stopped = false;
    if let Some(recovery) = state.read::<Recovery>(&account.id) {
        due::clear(state, recovery.ready, Due::Recovery(account.id));
        state.remove::<Recovery>(&account.id);
        stopped = true;
    }
    for guardian in account.recovery.iter().flat_map(|policy| &policy.guardians) {
        let key = (account.id, *guardian);
        if state.read::<GuardianVote>(&key).is_some() {
            state.remove::<GuardianVote>(&key);
            stopped = true;
        }
    }
    stopped.then_some(Event::RecoveryStopped { account: account.id })
}

/// A recovery's delay is over.
pub(crate) fn on_due<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, id: AccountId) -> Vec<Event> {
    let (Some(recovery), Some(mut account)) = (state.read::<Recovery>(&id), state.read::<Account>(&id)) else {
        return Vec::new();
    };
    stop(state, &account);
    account.keys = recovery.keys;
    state.write(&id, &account);
    vec![Event::AccountRecovered { account: id }]
}
