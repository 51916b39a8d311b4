//! What fewer than all keys asked of an account with guardians, until its delay is over: other guardians, and that the
//! current keys count as all of them.
//!
//! The functions change the account in memory, and the agenda; the caller writes the account.

use super::{Clock, Guarded, Recovery, RecoveryPolicy, SetRecovery, forget_votes};
use crate::{
    ground::{ids::AccountId, state::Overlay},
    rules::{
        account::{Account, KeyPolicy},
        context::Context,
        due::Due,
        event::Event,
        office::{self, Office},
    },
};
use serde::{Deserialize, Serialize};

/// What waits to be settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Unsettled {
    /// The keys that were last settled: until then, they together count as all keys of the account.
    pub keys: KeyPolicy,
    /// The requested guardians, if any were requested.
    pub change: Option<SetRecovery>,
    /// When it is settled.
    pub clock: Clock,
}

/// Replaces the current keys by keys for which fewer than all settled ones signed.
pub(crate) fn replace_keys(state: &mut Overlay<'_>, context: &Context, account: &mut Account, keys: KeyPolicy) {
    let settled = account.settled_keys().clone();
    let change = account.unsettled.take().and_then(|waits| {
        waits.clock.take(state, Due::Settling(account.id));
        waits.change
    });
    account.keys = keys;
    wait(state, context, account, settled, change);
}

/// Requests guardians, signed by fewer than all keys, to replace the current ones.
pub(super) fn ask(state: &mut Overlay<'_>, context: &Context, account: &mut Account, change: SetRecovery) -> Event {
    let settled = account.settled_keys().clone();
    clear(state, account);
    wait(state, context, account, settled, Some(change));
    let ready = account.unsettled.as_ref().map(|waits| waits.clock);
    Event::GuardiansAsked { account: account.id, ready }
}

/// Starts the clock for what waits, if the account has guardians who can act meanwhile.
fn wait(
    state: &mut Overlay<'_>,
    context: &Context,
    account: &mut Account,
    keys: KeyPolicy,
    change: Option<SetRecovery>,
) {
    let Some(policy) = &account.recovery else { return };
    if change.is_none() && keys == account.keys {
        return;
    }
    let runs = account.suspended.is_none() && state.read::<Recovery>(&account.id).is_none();
    let clock = Clock::new(context.time, policy.delay_ms, runs);
    clock.put(state, Due::Settling(account.id));
    account.unsettled = Some(Unsettled { keys, change, clock });
}

/// Gives an account other guardians, or none. The wait for its keys starts again; whatever the previous guardians said
/// is void.
pub(super) fn install(
    state: &mut Overlay<'_>,
    context: &Context,
    account: &mut Account,
    policy: Option<RecoveryPolicy>,
) -> Vec<Event> {
    forget_votes(state, account);
    let settled = account.settled_keys().clone();
    clear(state, account);
    for guardian in account.recovery.iter().flat_map(|policy| &policy.guardians) {
        state.remove::<Guarded>(&(*guardian, account.id));
    }
    let names = |policy: &Option<RecoveryPolicy>| {
        let guardians = policy.iter().flat_map(|policy| policy.guardians.clone());
        office::names(Office::KeyGuardian(account.id), guardians)
    };
    let (before, after) = (names(&account.recovery), names(&policy));
    account.recovery = policy;
    for guardian in account.recovery.iter().flat_map(|policy| &policy.guardians) {
        state.write(&(*guardian, account.id), &Guarded(account.id));
    }
    wait(state, context, account, settled, None);
    let mut events = vec![Event::RecoverySet { account: account.id }];
    events.extend(office::rename(state, context, &before, &after, None));
    events
}

/// Nothing waits any more, and the current keys are settled.
pub(crate) fn clear(state: &mut Overlay<'_>, account: &mut Account) {
    if let Some(waits) = account.unsettled.take() {
        waits.clock.take(state, Due::Settling(account.id));
    }
}

/// Stops the clock.
pub(super) fn hold(state: &mut Overlay<'_>, context: &Context, account: &mut Account) {
    if let Some(waits) = &mut account.unsettled {
        waits.clock.take(state, Due::Settling(account.id));
        waits.clock = waits.clock.standing(context.time);
    }
}

/// Lets the clock continue.
pub(super) fn go_on(state: &mut Overlay<'_>, context: &Context, account: &mut Account) {
    if let Some(waits) = &mut account.unsettled {
        waits.clock = waits.clock.running(context.time);
        waits.clock.put(state, Due::Settling(account.id));
    }
}

/// A recovery ended without new keys: what waits restarts, so that the guardians have their full time to act.
pub(super) fn restart(state: &mut Overlay<'_>, context: &Context, account: &mut Account) {
    if let Some(Unsettled { keys, change, clock }) = account.unsettled.take() {
        clock.take(state, Due::Settling(account.id));
        wait(state, context, account, keys, change);
    }
}

/// The delay is over.
pub(crate) fn on_due(state: &mut Overlay<'_>, context: &Context, id: AccountId) -> Vec<Event> {
    let Some(mut account) = state.read::<Account>(&id) else { return Vec::new() };
    let Some(waits) = account.unsettled.take() else { return Vec::new() };
    let are_new = waits.keys != account.keys;
    let mut events: Vec<Event> = are_new.then_some(Event::KeysSettled { account: id }).into_iter().collect();
    if let Some(SetRecovery { policy }) = waits.change {
        events.extend(install(state, context, &mut account, policy));
    }
    state.write(&id, &account);
    events
}
