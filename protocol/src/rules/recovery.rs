//! Recovery: an account whose keys are lost or stolen gets new ones from guardians that it named itself.
//!
//! To the ledger, somebody who lost a key and somebody who stole it look the same. So a single key must be able to end
//! neither an account nor its recovery. Two things distinguish the owner from a thief: the guardians, as many as the
//! owner requires; and *all* of the account's keys, at least two, kept in different places: one that is kept offline
//! gives its owner the last word. Somebody with fewer keys can delay the guardians, once, but cannot stop them.
//!
//! ```text
//!           enough guardians say
//!           which keys it gets            delay over
//!  nothing ---------------------> sought ------------------------------------+
//!     ^                             |                                        v
//!     |                             | keys object                     recovered: the
//!     |                             v           as many               keys are replaced,
//!     |<- twice the delay over - contested --> confirmed ------------------> what fewer keys
//!     |      (lapsed)                            again      twice the        than all asked
//!     |                                                     delay over       is void
//!     +--- all keys stop it, from sought, contested or confirmed
//! ```
//!
//! # What keys may do meanwhile
//!
//! *All keys* are those of the **settled** policy, every one of them, if there are at least two. Keys become settled
//! when all settled ones replaced them, when guardians chose them, or when the recovery's delay has passed since they
//! were set. So a thief who replaces the keys does not thereby have all of them.
//!
//! | the account asks | signed by all keys | signed by fewer, if it has guardians |
//! |---|---|---|
//! | other keys | at once, settled; ends a recovery, and voids what fewer asked | at once; settled after the delay |
//! | other guardians, or none | at once; ends a recovery | after the delay; the current ones can act until then |
//! | to cancel a recovery | ends it | it is contested: the guardians have twice the delay to repeat their choice |
//!
//! What fewer than all keys asked waits on one clock. The clock restarts with each such request, and when a recovery
//! ends without new keys; it stops while a recovery is in progress. All clocks stop while the account is suspended, and
//! keep the time that is left: an account cannot be suspended past its delay.
//!
//! # What follows
//!
//! - One stolen key, guardians who insist and an owner who does nothing: within three delays of their agreement the
//!   keys are those that the guardians chose.
//! - An owner who has all keys and objects with them before the delay is over: no recovery succeeds, whatever guardians
//!   do.
//! - Fewer guardians than required change nothing.
//! - Nothing waits for ever: each clock ends, and the result does not depend on who acts.
//!
//! The tests play the game over all orders of moves (`tests/tests/it/recovery.rs`).
//!
//! Continue with [`settling`] (what waits until it is settled) and [`clock`].

pub mod clock;
pub mod settling;

pub use clock::Clock;
pub use settling::Unsettled;

use crate::{
    ground::{
        ids::{AccountId, PublicKey},
        invalid::{Invalid, check_count},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        account::{Account, KeyPolicy},
        approval,
        context::Context,
        control,
        due::Due,
        event::Event,
        office::{self, Office},
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// Number of delays that the guardians of a contested recovery have to repeat their choice.
const CONTESTED_DELAYS: u64 = 2;

/// Who can give an account new keys, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecoveryPolicy {
    /// The guardians, 1 to [`limits::GUARDIANS`], each once.
    pub guardians: Vec<AccountId>,
    /// How many of them must agree.
    pub needed: u32,
    /// How long the current keys have to object, and the guardians to act on what fewer than all keys ask, in
    /// milliseconds of block time, within [`limits::VOTING_PERIOD_MIN_MS`] and [`limits::VOTING_PERIOD_MAX_MS`].
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

/// An account that a guardian guards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded(pub AccountId);

impl Record for Guarded {
    /// The guardian, the account.
    type Key = (AccountId, AccountId);
    const FAMILY: Family = Family::Guarded;
}

/// The stage of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Enough guardians agreed; the account gets the keys when the delay is over.
    Sought,
    /// Keys of the account objected; it gets the new keys if enough guardians repeat their choice in time.
    Contested,
    /// They did; it gets the keys when the time is over.
    Confirmed,
}

/// A recovery in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recovery {
    /// The account.
    pub account: AccountId,
    /// The keys that it will get.
    pub keys: KeyPolicy,
    /// The stage of the recovery.
    pub stage: Stage,
    /// When the account gets them, or, if it is contested, when the recovery ends without that.
    pub clock: Clock,
}

impl Record for Recovery {
    type Key = AccountId;
    const FAMILY: Family = Family::Recovery;
}

/// Name the sender's guardians, or have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetRecovery {
    /// The guardians and their rule. `None` for no recovery.
    pub policy: Option<RecoveryPolicy>,
}

impl SetRecovery {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.policy.as_ref().map_or(Ok(()), RecoveryPolicy::check)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut sender: Account,
        signers: &[PublicKey],
    ) -> Result<Vec<Event>, Rejection> {
        for guardian in self.policy.iter().flat_map(|policy| &policy.guardians) {
            context.existing_account(state, *guardian)?;
            if *guardian == sender.id {
                return Err(Rejection::OwnGuardian(sender.id));
            }
        }
        let mut events = Vec::new();
        if sender.recovery.is_none() || sender.are_all_keys(signers) {
            events.extend(stop(state, &sender));
            events.extend(settling::install(state, context, &mut sender, self.policy.clone()));
        } else {
            events.push(settling::ask(state, context, &mut sender, self.clone()));
        }
        state.write(&sender.id, &sender);
        Ok(events)
    }
}

/// Say which keys an account should get, as one of its guardians; or, if its keys objected, repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut account = context.existing_account(state, self.account)?;
        let accepted = |guardian| office::holds(state, &Office::KeyGuardian(self.account), guardian);
        let policy = account.recovery.clone();
        let policy = policy.filter(|policy| policy.guardians.contains(&sender) && accepted(sender));
        let policy = policy.ok_or(Rejection::NotKeyGuardian { account: sender, of: self.account })?;
        let under_way = state.read::<Recovery>(&self.account);
        match &under_way {
            None => {}
            Some(Recovery { stage: Stage::Contested, keys, .. }) if *keys == self.keys => {}
            Some(Recovery { stage: Stage::Contested, .. }) => return Err(Rejection::OtherKeysContested(self.account)),
            Some(_) => return Err(Rejection::RecoveryPending(self.account)),
        }
        state.write(&(self.account, sender), &GuardianVote(self.keys.clone()));
        let ready = if self.is_said_by_enough(state, &policy) {
            let recovery = match under_way {
                Some(contested) => Recovery { stage: Stage::Confirmed, ..contested },
                None => self.begin(state, context, &mut account, policy.delay_ms),
            };
            state.write(&self.account, &recovery);
            Some(recovery.clock)
        } else {
            None
        };
        Ok(vec![Event::RecoverySought { account: self.account, guardian: sender, ready }])
    }

    fn is_said_by_enough(&self, state: &Overlay<'_>, policy: &RecoveryPolicy) -> bool {
        let says_so = |guardian: &&AccountId| {
            office::holds(state, &Office::KeyGuardian(self.account), **guardian)
                && state.read::<GuardianVote>(&(self.account, **guardian)).is_some_and(|vote| vote.0 == self.keys)
        };
        let agree = u32::try_from(policy.guardians.iter().filter(says_so).count()).unwrap_or(u32::MAX);
        agree >= policy.needed
    }

    fn begin(&self, state: &mut Overlay<'_>, context: &Context, account: &mut Account, delay_ms: u64) -> Recovery {
        settling::hold(state, context, account);
        state.write(&account.id, account);
        let clock = Clock::new(context.time, delay_ms, account.suspended.is_none());
        clock.put(state, Due::Recovery(account.id));
        Recovery { account: account.id, keys: self.keys.clone(), stage: Stage::Sought, clock }
    }
}

/// Object to a recovery of the sender, or stop it with the signatures of all its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CancelRecovery {}

impl CancelRecovery {
    pub(crate) fn apply(
        state: &mut Overlay<'_>,
        context: &Context,
        mut sender: Account,
        signers: &[PublicKey],
    ) -> Result<Vec<Event>, Rejection> {
        if sender.are_all_keys(signers) {
            let stopped = stop(state, &sender).ok_or(Rejection::NoRecovery(sender.id))?;
            settling::restart(state, context, &mut sender);
            state.write(&sender.id, &sender);
            return Ok(vec![stopped]);
        }
        let recovery = state.read::<Recovery>(&sender.id).ok_or(Rejection::NoRecovery(sender.id))?;
        if recovery.stage != Stage::Sought {
            return Err(Rejection::ContestedAlready(sender.id));
        }
        forget_votes(state, &sender);
        let delay_ms = sender.recovery.as_ref().map_or(0, |policy| policy.delay_ms);
        recovery.clock.take(state, Due::Recovery(sender.id));
        let clock = Clock::new(context.time, delay_ms.saturating_mul(CONTESTED_DELAYS), sender.suspended.is_none());
        clock.put(state, Due::Recovery(sender.id));
        state.write(&sender.id, &Recovery { stage: Stage::Contested, clock, ..recovery });
        Ok(vec![Event::RecoveryContested { account: sender.id, ready: clock }])
    }
}

/// Discards everything that guardians have said about an account, and any recovery in progress.
pub(crate) fn stop(state: &mut Overlay<'_>, account: &Account) -> Option<Event> {
    let had_votes = forget_votes(state, account);
    let recovery = state.read::<Recovery>(&account.id);
    if let Some(recovery) = &recovery {
        recovery.clock.take(state, Due::Recovery(account.id));
        state.remove::<Recovery>(&account.id);
    }
    (had_votes || recovery.is_some()).then_some(Event::RecoveryStopped { account: account.id })
}

fn forget_votes(state: &mut Overlay<'_>, account: &Account) -> bool {
    let mut had_votes = false;
    for guardian in account.recovery.iter().flat_map(|policy| &policy.guardians) {
        let key = (account.id, *guardian);
        if state.read::<GuardianVote>(&key).is_some() {
            state.remove::<GuardianVote>(&key);
            had_votes = true;
        }
    }
    had_votes
}

/// A recovery's time is over: the account gets its keys, unless they were contested and not confirmed.
pub(crate) fn on_due(state: &mut Overlay<'_>, context: &Context, id: AccountId) -> Vec<Event> {
    let (Some(recovery), Some(mut account)) = (state.read::<Recovery>(&id), state.read::<Account>(&id)) else {
        return Vec::new();
    };
    state.remove::<Recovery>(&id);
    forget_votes(state, &account);
    if recovery.stage == Stage::Contested {
        settling::restart(state, context, &mut account);
        state.write(&id, &account);
        return vec![Event::RecoveryLapsed { account: id }];
    }
    control::on_recovered(state, &account, &recovery.keys);
    settling::clear(state, &mut account);
    account.keys = recovery.keys;
    state.write(&id, &account);
    let mut events = vec![Event::AccountRecovered { account: id }];
    events.extend(approval::forget_old_keys(state, &account));
    events
}

/// The account was suspended: its clocks stop. The caller writes the account.
pub(crate) fn pause(state: &mut Overlay<'_>, context: &Context, account: &mut Account) {
    settling::hold(state, context, account);
    if let Some(recovery) = state.read::<Recovery>(&account.id) {
        recovery.clock.take(state, Due::Recovery(account.id));
        let clock = recovery.clock.standing(context.time);
        state.write(&account.id, &Recovery { clock, ..recovery });
    }
}

/// The account was reinstated: its clocks continue with the time that was left. The caller writes the account.
pub(crate) fn resume(state: &mut Overlay<'_>, context: &Context, account: &mut Account) {
    let Some(recovery) = state.read::<Recovery>(&account.id) else {
        return settling::go_on(state, context, account);
    };
    let clock = recovery.clock.running(context.time);
    clock.put(state, Due::Recovery(account.id));
    state.write(&account.id, &Recovery { clock, ..recovery });
}
