//! Closing a round: what each giver gets, computed and minted for a bounded number of givers per block.
//!
//! ```text
//! open -> gathering: records who withheld an amount, and who shares a cap
//!           -> failed: too few gave
//!      -> dividing:  if caps are shared: quotas, group by group, each under its remainder
//!      -> capping:   the largest remainders first, and no group more than the cap
//!      -> quotas:    giver by giver, of the budget or of the group's units, each under its remainder
//!      -> minting:   the largest remainders first -> closed
//! ```
//!
//! A round without seals and shared caps goes from open to quotas at once. One with contributions in dispute mints
//! twice ([`reserve`](super::reserve)): what is undisputed, after which it waits, and then the rest.

use super::{CapPer, Part, Remainder, Round, RoundDue, RoundScore, RoundStatus, seals};
use crate::{
    ground::{
        apportion::Quota,
        codec,
        ids::{AccountId, Height, ModelId, NetworkId, Timestamp, Units},
        limits,
        state::{Family, Overlay, Record, StateError, StateRead, prefix_end},
        weight::Weight,
    },
    rules::{
        context::{Context, context_at},
        due::{self, Due},
        event::Event,
        load,
        model::ModelCounters,
        share::{self, Line, ShareFlow, ShareReason},
    },
};
use serde::{Deserialize, Serialize};

/// Givers of a closing round that share a cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundGroup {
    /// The sum of what counts for all of them.
    pub score: u64,
    /// The units they get together.
    pub units: Units,
    /// The part of that which no giver's quota covers, and which goes to the largest remainders.
    pub left: u64,
    /// Whether it belongs to the minting after the disputes were over.
    pub again: bool,
    /// Whether something of theirs counts in that minting: then they are one of the required givers.
    pub gives: bool,
}

impl Record for RoundGroup {
    type Key = (ModelId, u64, AccountId);
    const FAMILY: Family = Family::RoundGroup;
}

/// A round closes, or continues to close: handles at most `budget` givers.
pub(crate) fn on_due(
    state: &mut Overlay<'_>,
    context: &Context,
    model: ModelId,
    number: u64,
    budget: usize,
) -> Vec<Event> {
    let Some(mut round) = state.read::<Round>(&(model, number)) else { return Vec::new() };
    let events = match round.status.clone() {
        RoundStatus::Open => {
            round.reserve.part = if round.reserve.disputes > 0 { Part::Undisputed } else { Part::All };
            begin(state, context, &mut round)
        }
        RoundStatus::Waiting { .. } if round.holds() => return Vec::new(),
        RoundStatus::Waiting { .. } => begin_rest(state, context, &mut round),
        RoundStatus::Gathering { after } => gather(state, context, &mut round, after, budget),
        RoundStatus::Dividing { after, due } => {
            divide(state, &mut round, after, due, budget);
            Vec::new()
        }
        RoundStatus::Capping { left } => {
            cap(state, &mut round, left, budget);
            Vec::new()
        }
        RoundStatus::Quotas { after, due } => {
            compute_quotas(state, &mut round, after, due, budget);
            Vec::new()
        }
        RoundStatus::Minting { left } => mint(state, context, &mut round, left, budget),
        RoundStatus::Closed { .. } | RoundStatus::Failed { .. } => return Vec::new(),
    };
    round.write(state);
    let waits = matches!(round.status, RoundStatus::Waiting { .. });
    if round.status.is_final() || waits {
        let mut counters = state.read::<ModelCounters>(&model).unwrap_or_default();
        counters.open_rounds.retain(|open| *open != number);
        state.write(&model, &counters);
    }
    if !round.status.is_final() && !waits {
        // After everything else that is due now, so that a large round delays nothing.
        due::set(state, context.time.plus_ms(1), Due::Round { model, number });
    }
    events
}

impl RoundStatus {
    /// Whether nothing happens to the round any more.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Failed { .. })
    }
}

impl Round {
    /// The maximum weight of handling some of its givers: those that count, and those with something under seal.
    pub(crate) fn weight_of_turn(&self) -> Weight {
        load::of_round(self.contributors.saturating_add(self.seals), self.is_grouped())
    }

    /// Whether too few gave to what is being minted.
    fn has_too_few(&self) -> bool {
        let givers = match self.reserve.part {
            Part::All | Part::Rest => self.contributors,
            Part::Undisputed => self.reserve.contributors,
        };
        self.are_too_few(givers)
    }

    /// Whether `givers` givers, or groups that share a cap, are too few.
    fn are_too_few(&self, givers: u64) -> bool {
        givers == 0 || givers < self.plan.min_contributors.into()
    }

    /// Whether several accounts share a cap.
    fn is_grouped(&self) -> bool {
        self.plan.cap.is_some_and(|cap| cap.per != CapPer::Account)
    }

    /// The part of `units` that goes to the largest remainders, after quotas took `due`; 0 before disputes are over.
    fn left_by_quotas(&self, units: u64, due: u64) -> u64 {
        if self.reserve.part == Part::Undisputed { 0 } else { units.saturating_sub(due) }
    }

    /// The maximum units for one giver, or one group of them.
    fn cap_units(&self) -> u64 {
        self.plan.cap.map_or(u64::MAX, |cap| cap.units(self.plan.budget))
    }
}

/// The first step of a minting.
fn begin(state: &mut Overlay<'_>, context: &Context, round: &mut Round) -> Vec<Event> {
    let has_seals = round.seals > 0 && round.reserve.part != Part::Rest;
    round.groups = 0;
    if has_seals || (round.is_grouped() && !round.has_too_few()) {
        round.status = RoundStatus::Gathering { after: None };
        return Vec::new();
    }
    divide_or_end(state, context, round)
}

/// The disputes are over: mints the rest.
fn begin_rest(state: &mut Overlay<'_>, context: &Context, round: &mut Round) -> Vec<Event> {
    round.reserve.part = Part::Rest;
    begin(state, context, round)
}

/// The step after it is known who gave.
fn divide_or_end(state: &mut Overlay<'_>, context: &Context, round: &mut Round) -> Vec<Event> {
    if round.has_too_few() || (round.is_grouped() && round.are_too_few(round.groups)) {
        return match round.reserve.part {
            Part::Undisputed => wait(state, context, round),
            Part::All | Part::Rest => vec![fail(state, context, round)],
        };
    }
    round.status = if round.is_grouped() {
        RoundStatus::Dividing { after: None, due: 0 }
    } else {
        RoundStatus::Quotas { after: None, due: 0 }
    };
    Vec::new()
}

/// Waits for the disputes, or continues if they have ended meanwhile.
fn wait(state: &mut Overlay<'_>, context: &Context, round: &mut Round) -> Vec<Event> {
    if !round.holds() {
        return begin_rest(state, context, round);
    }
    round.status = RoundStatus::Waiting { height: context.height };
    let (model, number) = (round.model, round.number);
    vec![Event::RoundWaits { model, round: number, minted: round.minted, held: round.held() }]
}

fn fail(state: &mut Overlay<'_>, context: &Context, round: &mut Round) -> Event {
    share::release_reserved(state, round.model, round.held());
    round.status = RoundStatus::Failed { height: context.height };
    Event::RoundClosed {
        model: round.model,
        round: round.number,
        minted: Units::ZERO,
        contributors: round.contributors,
    }
}

/// The next records of a round that are keyed by account, in the order of accounts.
fn next_of<R: Record<Key = (ModelId, u64, AccountId)>>(
    state: &Overlay<'_>,
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

fn gather(
    state: &mut Overlay<'_>,
    context: &Context,
    round: &mut Round,
    after: Option<AccountId>,
    budget: usize,
) -> Vec<Event> {
    let scores = next_of::<RoundScore>(state, round, after, budget);
    let mut events = Vec::new();
    for (account, score) in &scores {
        if score.seals > 0 {
            if round.reserve.part != Part::Rest {
                events.push(seals::withhold(state, round.model, round.number, *account, score.seals));
            }
        } else if let Some(cap) = round.plan.cap.filter(|_| round.is_grouped()) {
            let group = score.group.unwrap_or_else(|| cap.per.group(state, *account));
            let key = (round.model, round.number, group);
            let again = round.reserve.part == Part::Rest;
            let known = state.read::<RoundGroup>(&key).filter(|known| known.again == again);
            let mut all = known.unwrap_or(RoundGroup { again, ..RoundGroup::default() });
            if !all.gives && round.counts(score) > 0 {
                all.gives = true;
                round.groups = round.groups.saturating_add(1);
            }
            all.score = all.score.saturating_add(round.counts_in_group(score));
            state.write(&key, &all);
            let key = (round.model, round.number, *account);
            state.write(&key, &RoundScore { group: Some(group), ..score.clone() });
        }
    }
    if scores.len() >= budget {
        round.status = RoundStatus::Gathering { after: scores.last().map(|(account, _)| *account) };
    } else {
        events.extend(divide_or_end(state, context, round));
    }
    events
}

fn put_due(state: &mut Overlay<'_>, round: &Round, account: AccountId, quota: Quota) {
    let key = ((round.model, round.number), Remainder(quota.remainder), account);
    state.write(&key, &RoundDue { account, units: quota.units });
}

/// Takes the next due entries off the list, the largest remainders first.
fn take_due(state: &mut Overlay<'_>, round: &Round, budget: usize) -> Vec<RoundDue> {
    let prefix = RoundDue::key_bytes(&(round.model, round.number));
    let entries = state.entries(&prefix, &prefix_end(&prefix), budget);
    let mut dues = Vec::new();
    for (key, value) in entries {
        state.remove_bytes(key);
        dues.extend(codec::decode_trusted::<RoundDue>(&value).ok());
    }
    dues
}

fn divide(state: &mut Overlay<'_>, round: &mut Round, after: Option<AccountId>, mut due: u64, budget: usize) {
    let groups = next_of::<RoundGroup>(state, round, after, budget);
    let again = round.reserve.part == Part::Rest;
    for (group, RoundGroup { score, .. }) in groups.iter().filter(|(_, group)| group.again == again) {
        let quota = Quota::of(round.plan.budget.get(), *score, round.divisor().into());
        due = due.saturating_add(quota.units);
        put_due(state, round, *group, quota);
    }
    round.status = if groups.len() >= budget {
        RoundStatus::Dividing { after: groups.last().map(|(group, _)| *group), due }
    } else {
        RoundStatus::Capping { left: round.left_by_quotas(round.plan.budget.get(), due) }
    };
}

fn cap(state: &mut Overlay<'_>, round: &mut Round, mut left: u64, budget: usize) {
    let dues = take_due(state, round, budget);
    for RoundDue { account, units } in &dues {
        let extra = u64::from(left > 0);
        left = left.saturating_sub(extra);
        let units = units.saturating_add(extra).min(round.cap_units());
        let key = (round.model, round.number, *account);
        let group = state.read::<RoundGroup>(&key).unwrap_or_default();
        // What no quota covers is not given away before the disputes are over.
        let left = round.left_by_quotas(units, 0);
        state.write(&key, &RoundGroup { units: Units::new(units), left, ..group });
    }
    round.status =
        if dues.len() >= budget { RoundStatus::Capping { left } } else { RoundStatus::Quotas { after: None, due: 0 } };
}

fn compute_quotas(state: &mut Overlay<'_>, round: &mut Round, after: Option<AccountId>, mut due: u64, budget: usize) {
    let scores = next_of::<RoundScore>(state, round, after, budget);
    for (account, score) in scores.iter().filter(|(_, score)| round.counts(score) > 0) {
        let quota = match score.group {
            None => Quota::of(round.plan.budget.get(), round.counts(score), round.divisor().into()),
            Some(group) => {
                let key = (round.model, round.number, group);
                let mut all = state.read::<RoundGroup>(&key).unwrap_or_default();
                let quota = Quota::of(all.units.get(), round.counts(score), all.score.into());
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
        let left = if round.is_grouped() { 0 } else { round.left_by_quotas(round.plan.budget.get(), due) };
        RoundStatus::Minting { left }
    };
}

/// Takes the unit that a remainder is worth, if one is left: of its group, or of all.
fn take_extra(state: &mut Overlay<'_>, round: &Round, group: Option<AccountId>, left: &mut u64) -> u64 {
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

fn mint(state: &mut Overlay<'_>, context: &Context, round: &mut Round, mut left: u64, budget: usize) -> Vec<Event> {
    let dues = take_due(state, round, budget);
    let mut events = Vec::new();
    for RoundDue { account, units } in &dues {
        let key = (round.model, round.number, *account);
        let score = state.read::<RoundScore>(&key).unwrap_or_default();
        let extra = take_extra(state, round, score.group, &mut left);
        let whole = units.saturating_add(extra).min(round.cap_units());
        // In addition to what it got before the disputes were over.
        let units = Units::new(whole.saturating_sub(score.units.get())).min(round.held());
        if units == Units::ZERO {
            continue;
        }
        share::release_reserved(state, round.model, units);
        let reason = ShareReason::Round { round: round.number };
        let line = Line { model: round.model, account: *account };
        // It was reserved when the round was opened, so there is room for it.
        if let Ok(event) = share::change(state, context, line, ShareFlow::In, units, reason) {
            round.minted = Units::new(round.minted.get().saturating_add(units.get()));
            events.push(event);
            let units = Units::new(score.units.get().saturating_add(units.get()));
            state.write(&key, &RoundScore { units, ..score });
        }
    }
    if dues.len() >= budget {
        round.status = RoundStatus::Minting { left };
    } else if round.reserve.part == Part::Undisputed {
        events.extend(wait(state, context, round));
    } else {
        share::release_reserved(state, round.model, round.held());
        let (model, number, minted, contributors) = (round.model, round.number, round.minted, round.contributors);
        events.push(Event::RoundClosed { model, round: number, minted, contributors });
        round.status = RoundStatus::Closed { height: context.height, minted };
    }
    events
}

/// What a giver gets from a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiverUnits {
    /// The giver.
    pub account: AccountId,
    /// Its record, with the units that it got, or would get.
    pub score: RoundScore,
}

/// What each giver got from a round that is over, or would get if it closed now: the closing itself, run on a copy.
/// Givers with unrevealed amounts get nothing in it. `None` if there are more than [`limits::ROUND_PREVIEW_GIVERS`].
///
/// # Errors
/// When the state cannot be read.
pub fn preview(
    state: &dyn StateRead,
    network: NetworkId,
    height: Height,
    time: Timestamp,
    round: &Round,
) -> Result<Option<Vec<GiverUnits>>, StateError> {
    let context = context_at(state, network, height, time)?;
    let mut overlay = Overlay::new(state);
    let most = limits::ROUND_PREVIEW_GIVERS.saturating_add(1);
    if next_of::<RoundScore>(&overlay, round, None, most).len() >= most {
        overlay.finish()?;
        return Ok(None);
    }
    let goes_on = |round: Round| !round.status.is_final() && !matches!(round.status, RoundStatus::Waiting { .. });
    // Each pass finishes in one go.
    while overlay.read::<Round>(&(round.model, round.number)).is_some_and(goes_on) {
        on_due(&mut overlay, &context, round.model, round.number, most);
    }
    let givers = next_of::<RoundScore>(&overlay, round, None, most);
    overlay.finish()?;
    Ok(Some(givers.into_iter().map(|(account, score)| GiverUnits { account, score }).collect()))
}
