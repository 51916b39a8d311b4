//! Closing a round: what each giver gets, computed and minted a bounded number of givers a block.
//!
//! ```text
//! open -> gathering: who withheld an amount is put down; who shares a cap with whom
//!           -> failed: too few gave
//!      -> dividing:  where caps are shared: quotas, group by group, each under its remainder
//!      -> capping:   the largest remainder first, and no group more than the cap
//!      -> quotas:    giver by giver, of the budget or of the group's units, each under its remainder
//!      -> minting:   the largest remainder first -> closed
//! ```
//!
//! A round without seals and shared caps goes from open to quotas at once.

use super::{CapPer, Remainder, Round, RoundDue, RoundScore, RoundStatus, seals};
use crate::{
    apportion::Quota,
    codec,
    due::{self, Due},
    event::Event,
    execute::{Context, context_at},
    ids::{AccountId, Height, ModelId, NetworkId, Timestamp, Units},
    limits,
    model::ModelCounters,
    share::{self, ShareFlow, ShareReason},
    state::{Family, Overlay, Record, StateError, StateRead, prefix_end},
};
use serde::{Deserialize, Serialize};

/// Givers of a closing round that share a cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundGroup {
    /// What counts, of all of them together.
    pub score: u64,
    /// What they get together.
    pub units: Units,
    /// What of that no giver's quota covers, and goes to the largest remainders.
    pub left: u64,
}

impl Record for RoundGroup {
    type Key = (ModelId, u64, AccountId);
    const FAMILY: Family = Family::RoundGroup;
}

/// A round closes, or goes on closing: handles at most `budget` givers, and says how many it handled.
pub(crate) fn on_due<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    (model, number): (ModelId, u64),
    budget: usize,
) -> (Vec<Event>, usize) {
    let Some(mut round) = state.read::<Round>(&(model, number)) else { return (Vec::new(), 1) };
    let (events, handled) = match round.status.clone() {
        RoundStatus::Open if round.seals > 0 || (round.is_grouped() && !round.fails()) => {
            round.status = RoundStatus::Gathering { after: None };
            (Vec::new(), 1)
        }
        RoundStatus::Open if round.fails() => (vec![fail(state, context, &mut round)], 1),
        RoundStatus::Open => {
            round.status = RoundStatus::Quotas { after: None, due: 0 };
            (Vec::new(), 1)
        }
        RoundStatus::Gathering { after } => gather(state, context, &mut round, after, budget),
        RoundStatus::Dividing { after, due } => (Vec::new(), divide(state, &mut round, (after, due), budget)),
        RoundStatus::Capping { left } => (Vec::new(), cap(state, &mut round, left, budget)),
        RoundStatus::Quotas { after, due } => (Vec::new(), compute_quotas(state, &mut round, (after, due), budget)),
        RoundStatus::Minting { left, minted } => mint(state, context, &mut round, (left, minted), budget),
        RoundStatus::Closed { .. } | RoundStatus::Failed { .. } => return (Vec::new(), 1),
    };
    round.write(state);
    if round.status.is_final() {
        let mut counters = state.read::<ModelCounters>(&model).unwrap_or_default();
        counters.open_rounds.retain(|open| *open != number);
        state.write(&model, &counters);
    } else {
        // Behind everything else that is due now, so that a large round holds nothing up.
        due::set(state, context.time.plus_ms(1), Due::Round { model, number });
    }
    (events, handled)
}

impl RoundStatus {
    /// Whether nothing happens to the round any more.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Failed { .. })
    }
}

impl Round {
    /// Whether too few gave.
    fn fails(&self) -> bool {
        self.contributors == 0 || self.contributors < self.plan.min_contributors.into()
    }

    /// Whether several accounts share a cap.
    fn is_grouped(&self) -> bool {
        self.plan.cap.is_some_and(|cap| cap.per != CapPer::Account)
    }

    /// Units that one giver, or one group of them, gets at most.
    fn cap_units(&self) -> u64 {
        self.plan.cap.map_or(u64::MAX, |cap| cap.units(self.plan.budget))
    }
}

fn fail<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, context: &Context, round: &mut Round) -> Event {
    share::release_reserved(state, round.model, round.plan.budget);
    round.status = RoundStatus::Failed { height: context.height };
    Event::RoundClosed {
        model: round.model,
        round: round.number,
        minted: Units::ZERO,
        contributors: round.contributors,
    }
}

/// The next records of a round that its accounts name, in the order of accounts.
fn next_of<R: Record<Key = (ModelId, u64, AccountId)>, S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    round: &Round,
    after: Option<AccountId>,
    budget: usize,
) -> Vec<(AccountId, R)> {
    let prefix = R::key_bytes(&(round.model, round.number));
    let from = after.map_or_else(
        || prefix.clone(),
        |after| {
            let mut key = R::key_bytes(&(round.model, round.number, after));
            key.push(0);
            key
        },
    );
    let entries = state.entries(&from, &prefix_end(&prefix), budget).into_iter();
    entries.filter_map(|(key, value)| Some((account_at_end(&key)?, codec::decode_trusted(&value).ok()?))).collect()
}

/// The account that a key ends with.
fn account_at_end(key: &[u8]) -> Option<AccountId> {
    let (_, account) = key.split_at_checked(key.len().checked_sub(AccountId::LEN)?)?;
    Some(AccountId::from_bytes(account.try_into().ok()?))
}

fn gather<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    round: &mut Round,
    after: Option<AccountId>,
    budget: usize,
) -> (Vec<Event>, usize) {
    let scores = next_of::<RoundScore, S>(state, round, after, budget);
    let mut events = Vec::new();
    for (account, score) in &scores {
        if score.seals > 0 {
            events.push(seals::withhold(state, (round.model, round.number), (*account, score.seals)));
        } else if let Some(cap) = round.plan.cap.filter(|_| round.is_grouped()) {
            let group = cap.per.group(state, *account);
            let key = (round.model, round.number, group);
            let mut all = state.read::<RoundGroup>(&key).unwrap_or_default();
            all.score = all.score.saturating_add(score.score);
            state.write(&key, &all);
            let key = (round.model, round.number, *account);
            state.write(&key, &RoundScore { group: Some(group), ..score.clone() });
        }
    }
    round.status = if scores.len() >= budget {
        RoundStatus::Gathering { after: scores.last().map(|(account, _)| *account) }
    } else if round.fails() {
        events.push(fail(state, context, round));
        round.status.clone()
    } else if round.is_grouped() {
        RoundStatus::Dividing { after: None, due: 0 }
    } else {
        RoundStatus::Quotas { after: None, due: 0 }
    };
    (events, scores.len().max(1))
}

fn put_due<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, round: &Round, account: AccountId, quota: Quota) {
    let key = ((round.model, round.number), Remainder(quota.remainder), account);
    state.write(&key, &RoundDue { account, units: quota.units });
}

/// Takes the next that are due off the list, the largest remainders first.
fn take_due<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, round: &Round, budget: usize) -> Vec<RoundDue> {
    let prefix = RoundDue::key_bytes(&(round.model, round.number));
    let entries = state.entries(&prefix, &prefix_end(&prefix), budget);
    let mut dues = Vec::new();
    for (key, value) in entries {
        state.remove_bytes(key);
        dues.extend(codec::decode_trusted::<RoundDue>(&value).ok());
    }
    dues
}

fn divide<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    round: &mut Round,
    (after, mut due): (Option<AccountId>, u64),
    budget: usize,
) -> usize {
    let groups = next_of::<RoundGroup, S>(state, round, after, budget);
    for (group, RoundGroup { score, .. }) in &groups {
        let quota = Quota::of(round.plan.budget.get(), *score, round.score.into());
        due = due.saturating_add(quota.units);
        put_due(state, round, *group, quota);
    }
    round.status = if groups.len() >= budget {
        RoundStatus::Dividing { after: groups.last().map(|(group, _)| *group), due }
    } else {
        RoundStatus::Capping { left: round.plan.budget.get().saturating_sub(due) }
    };
    groups.len().max(1)
}

fn cap<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, round: &mut Round, mut left: u64, budget: usize) -> usize {
    let dues = take_due(state, round, budget);
    for RoundDue { account, units } in &dues {
        let extra = u64::from(left > 0);
        left = left.saturating_sub(extra);
        let units = units.saturating_add(extra).min(round.cap_units());
        let key = (round.model, round.number, *account);
        let group = state.read::<RoundGroup>(&key).unwrap_or_default();
        state.write(&key, &RoundGroup { units: Units::new(units), left: units, ..group });
    }
    round.status =
        if dues.len() >= budget { RoundStatus::Capping { left } } else { RoundStatus::Quotas { after: None, due: 0 } };
    dues.len().max(1)
}

fn compute_quotas<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    round: &mut Round,
    (after, mut due): (Option<AccountId>, u64),
    budget: usize,
) -> usize {
    let scores = next_of::<RoundScore, S>(state, round, after, budget);
    for (account, score) in scores.iter().filter(|(_, score)| score.counting() > 0) {
        let quota = match score.group {
            None => Quota::of(round.plan.budget.get(), score.score, round.score.into()),
            Some(group) => {
                let key = (round.model, round.number, group);
                let mut all = state.read::<RoundGroup>(&key).unwrap_or_default();
                let quota = Quota::of(all.units.get(), score.score, all.score.into());
                all.left = all.left.saturating_sub(quota.units);
                state.write(&key, &all);
                quota
            }
        };
        due = due.saturating_add(quota.units);
        put_due(state, round, *account, quota);
    }
    round.status = if scores.len() >= budget {
        RoundStatus::Quotas { after: scores.last().map(|(account, _)| *account), due }
    } else {
        let left = if round.is_grouped() { 0 } else { round.plan.budget.get().saturating_sub(due) };
        RoundStatus::Minting { left, minted: Units::ZERO }
    };
    scores.len().max(1)
}

/// Takes the unit that a remainder is worth, if one is left: of its group, or of all.
fn take_extra<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    round: &Round,
    group: Option<AccountId>,
    left: &mut u64,
) -> u64 {
    let Some(group) = group else {
        let extra = u64::from(*left > 0);
        *left = left.saturating_sub(extra);
        return extra;
    };
    let key = (round.model, round.number, group);
    let mut all = state.read::<RoundGroup>(&key).unwrap_or_default();
    let extra = u64::from(all.left > 0);
    all.left = all.left.saturating_sub(extra);
    state.write(&key, &all);
    extra
}

fn mint<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    round: &mut Round,
    (mut left, mut minted): (u64, Units),
    budget: usize,
) -> (Vec<Event>, usize) {
    let dues = take_due(state, round, budget);
    let mut events = Vec::new();
    for RoundDue { account, units } in &dues {
        let key = (round.model, round.number, *account);
        let score = state.read::<RoundScore>(&key).unwrap_or_default();
        let extra = take_extra(state, round, score.group, &mut left);
        let units = Units::new(units.saturating_add(extra).min(round.cap_units()));
        if units == Units::ZERO {
            continue;
        }
        share::release_reserved(state, round.model, units);
        let reason = ShareReason::Round { round: round.number };
        // It was reserved when the round was opened, so there is room for it.
        if let Ok(event) = share::change(state, context, round.model, *account, (ShareFlow::In, units), reason) {
            minted = Units::new(minted.get().saturating_add(units.get()));
            events.push(event);
            state.write(&key, &RoundScore { units, ..score });
        }
    }
    round.status = if dues.len() >= budget {
        RoundStatus::Minting { left, minted }
    } else {
        let rest = round.plan.budget.get().saturating_sub(minted.get());
        share::release_reserved(state, round.model, Units::new(rest));
        let (model, number, contributors) = (round.model, round.number, round.contributors);
        events.push(Event::RoundClosed { model, round: number, minted, contributors });
        RoundStatus::Closed { height: context.height, minted }
    };
    (events, dues.len().max(1))
}

/// What a giver gets of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiverUnits {
    /// Who.
    pub account: AccountId,
    /// What is kept of it, with the units that it got, or would get.
    pub score: RoundScore,
}

/// What each giver got of a round that is over, or would get if it closed now: the closing itself, run on a copy. Givers
/// whose seals are shut get nothing in it. None if there are more than [`limits::ROUND_PREVIEW_GIVERS`].
///
/// # Errors
/// When the state cannot be read.
pub fn preview<S: StateRead + ?Sized>(
    state: &S,
    network: NetworkId,
    (height, time): (Height, Timestamp),
    round: &Round,
) -> Result<Option<Vec<GiverUnits>>, StateError> {
    let context = context_at(state, network, (height, time))?;
    let mut overlay = Overlay::new(state);
    let most = limits::ROUND_PREVIEW_GIVERS.saturating_add(1);
    if next_of::<RoundScore, S>(&overlay, round, None, most).len() >= most {
        overlay.finish()?;
        return Ok(None);
    }
    // Each pass is over in one go.
    while overlay.read::<Round>(&(round.model, round.number)).is_some_and(|round| !round.status.is_final()) {
        on_due(&mut overlay, &context, (round.model, round.number), most);
    }
    let givers = next_of::<RoundScore, S>(&overlay, round, None, most);
    overlay.finish()?;
    Ok(Some(givers.into_iter().map(|(account, score)| GiverUnits { account, score }).collect()))
}
