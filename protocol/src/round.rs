//! Rounds: one agreed period of contributions that mints shares by a rule voted beforehand.
//!
//! A round's plan is fixed by the decision that opens it. While it records, givers record contributions to it; after
//! that stewards review them. What a countersigned contribution counts is its amount times its kind's weight, kept as
//! a running sum a giver. When the round closes, the ledger divides the budget in proportion to these sums, to the unit,
//! by the largest-remainder method (see [`crate::apportion`]), a bounded number of givers a block:
//!
//! ```text
//! recording -> review -> closing: quotas, giver by giver, each under its remainder
//!                        closing: minted, the largest remainder first -> closed
//!                     -> failed: too few gave
//! ```

use crate::{
    apportion::Quota,
    contribution::{Contribution, ContributionKind},
    due::{self, Due},
    event::Event,
    execute::Context,
    ids::{AccountId, BasisPoints, ContentHash, Height, ModelId, ProposalId, Timestamp, Units},
    limits,
    model::{Model, ModelCounters},
    rejection::Rejection,
    share::{self, ShareFlow, ShareReason},
    state::{Family, KeyField, Overlay, Record, StateRead, prefix_end},
    transaction::{Invalid, check_count},
};
use serde::{Deserialize, Serialize};

/// What one unit of a kind of contribution counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeight {
    /// The kind.
    pub kind: ContributionKind,
    /// What one of its amount counts; 1 to [`limits::KIND_WEIGHT`].
    pub weight: u32,
}

/// By what a round mints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundPlan {
    /// The plan of work, by hash.
    pub plan: ContentHash,
    /// Units to mint.
    pub budget: Units,
    /// What counts; kinds that are not listed count nothing.
    pub weights: Vec<KindWeight>,
    /// The part of the budget that one giver gets at most; what is above it is not minted.
    #[serde(default)]
    pub cap: Option<BasisPoints>,
    /// Without this many givers nothing is minted.
    pub min_contributors: u32,
    /// How long contributions are recorded, in milliseconds of block time.
    pub recording_ms: u64,
    /// How long after that they are revealed, countersigned and disputed.
    pub review_ms: u64,
    /// Whether amounts are sealed while the round records, so that nobody copies another's.
    #[serde(default)]
    pub sealed: bool,
}

impl RoundPlan {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "plan", problem });
        check_count("weights", self.weights.len(), ContributionKind::ALL.len())?;
        if self.weights.is_empty() {
            return form("weighs no kind of contribution; nothing could be minted".into());
        }
        let mut kinds = std::collections::BTreeSet::new();
        if !self.weights.iter().all(|weight| kinds.insert(weight.kind)) {
            return form("weighs a kind twice; list each once".into());
        }
        if let Some(wrong) = self.weights.iter().find(|one| !(1..=limits::KIND_WEIGHT).contains(&one.weight)) {
            return form(format!("has the weight {}; set 1 to {}", wrong.weight, limits::KIND_WEIGHT));
        }
        if self.budget == Units::ZERO {
            return form("has a budget of 0; set at least 1 unit".into());
        }
        if self.cap.is_some_and(|cap| cap.get() == 0) {
            return form("has a cap of 0 %; leave it out, or set at least 0.01 %".into());
        }
        let bounds = limits::VOTING_PERIOD_MIN_MS..=limits::VOTING_PERIOD_MAX_MS;
        if let Some(wrong) = [self.recording_ms, self.review_ms].into_iter().find(|ms| !bounds.contains(ms)) {
            return form(format!("has a period of {wrong} ms; set {} to {} ms", bounds.start(), bounds.end()));
        }
        Ok(())
    }

    /// What one of a kind's amount counts.
    pub fn weight(&self, kind: ContributionKind) -> u32 {
        self.weights.iter().find(|weight| weight.kind == kind).map_or(0, |weight| weight.weight)
    }

    /// Units that one giver gets at most.
    fn cap_units(&self) -> u64 {
        let Some(cap) = self.cap else { return u64::MAX };
        let units = u128::from(self.budget.get()).saturating_mul(cap.get().into()).div_euclid(10_000);
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}

/// Where a round stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundStatus {
    /// It records, or is under review.
    Open,
    /// What is due to each giver is being computed.
    Quotas {
        /// The giver that was handled last.
        after: Option<AccountId>,
        /// Whole units due so far.
        due: u64,
    },
    /// Shares are being minted.
    Minting {
        /// Givers that still get one unit more, for their remainders.
        left: u64,
        /// Units minted so far.
        minted: Units,
    },
    /// It is over.
    Closed {
        /// When.
        height: Height,
        /// Units minted in all.
        minted: Units,
    },
    /// It is over without anything minted, because too few gave, or the model had ended.
    Failed {
        /// When.
        height: Height,
    },
}

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The model.
    pub model: ModelId,
    /// Its number among the model's rounds, from 0.
    pub number: u64,
    /// What was decided.
    pub plan: RoundPlan,
    /// By which decision.
    pub proposal: ProposalId,
    /// When it was opened.
    pub opened: Height,
    /// The block time until which contributions are recorded.
    pub records_until: Timestamp,
    /// The block time at which it closes.
    pub closes: Timestamp,
    /// Givers of whom something counts.
    pub contributors: u64,
    /// What counts, of all givers together.
    pub score: u64,
    /// Where it stands.
    pub status: RoundStatus,
}

impl Record for Round {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::Round;
}

/// What a giver's contributions count in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundScore {
    /// The sum.
    pub score: u64,
}

impl Record for RoundScore {
    type Key = (ModelId, u64, AccountId);
    const FAMILY: Family = Family::RoundScore;
}

/// What is due to a giver of a closing round, in the order of remainders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundDue {
    /// The giver.
    pub account: AccountId,
    /// Whole units.
    pub units: u64,
}

/// A remainder as a key: the largest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remainder(pub u128);

impl KeyField for Remainder {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&(!self.0).to_be_bytes());
    }
}

impl Record for RoundDue {
    type Key = ((ModelId, u64), Remainder, AccountId);
    const FAMILY: Family = Family::RoundDue;
}

impl Round {
    pub(crate) fn existing<S: StateRead + ?Sized>(
        state: &Overlay<'_, S>,
        model: ModelId,
        number: u64,
    ) -> Result<Self, Rejection> {
        state.read::<Self>(&(model, number)).ok_or(Rejection::UnknownRound { model, round: number })
    }

    fn write<S: StateRead + ?Sized>(&self, state: &mut Overlay<'_, S>) {
        state.write(&(self.model, self.number), self);
    }

    /// That contributions are recorded now.
    pub(crate) fn require_recording(&self, time: Timestamp) -> Result<(), Rejection> {
        if self.status == RoundStatus::Open && time < self.records_until {
            return Ok(());
        }
        Err(Rejection::RoundOver { model: self.model, round: self.number, until: self.records_until, time })
    }

    /// That contributions can still be reviewed.
    pub(crate) fn require_open(&self, time: Timestamp) -> Result<(), Rejection> {
        if self.status == RoundStatus::Open && time < self.closes {
            return Ok(());
        }
        Err(Rejection::RoundOver { model: self.model, round: self.number, until: self.closes, time })
    }
}

/// Opens a round, as a decision says.
pub(crate) fn open<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    model: &Model,
    (plan, proposal): (&RoundPlan, ProposalId),
) -> Result<Event, Rejection> {
    model.require_active()?;
    share::dilution::add(state, context, model, (proposal, plan.budget))?;
    share::reserve(state, model.id, plan.budget)?;
    let mut counters = state.read::<ModelCounters>(&model.id).unwrap_or_default();
    let records_until = context.time.plus_ms(plan.recording_ms);
    let round = Round {
        model: model.id,
        number: counters.rounds,
        plan: plan.clone(),
        proposal,
        opened: context.height,
        records_until,
        closes: records_until.plus_ms(plan.review_ms),
        contributors: 0,
        score: 0,
        status: RoundStatus::Open,
    };
    counters.rounds = counters.rounds.saturating_add(1);
    state.write(&model.id, &counters);
    round.write(state);
    due::set(state, round.closes, Due::Round { model: model.id, number: round.number });
    Ok(Event::RoundOpened { model: model.id, round: round.number, proposal, closes: round.closes })
}

/// Counts a contribution in its round, or takes it out again.
pub(crate) fn count<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    contribution: &Contribution,
    counts: bool,
) -> Result<(), Rejection> {
    let Some(number) = contribution.round else { return Ok(()) };
    let mut round = Round::existing(state, contribution.model, number)?;
    round.require_open(context.time)?;
    let weight = u64::from(round.plan.weight(contribution.kind));
    let worth = contribution.amount.saturating_mul(weight);
    let key = (contribution.model, number, contribution.giver);
    let before = state.read::<RoundScore>(&key).unwrap_or_default().score;
    let changed = |sum: u64| if counts { sum.checked_add(worth) } else { sum.checked_sub(worth) };
    let overflow = Rejection::ScoreTooLarge { model: contribution.model, round: number };
    let (Some(after), Some(total)) = (changed(before), changed(round.score)) else { return Err(overflow) };
    match (before, after) {
        (0, 1..) => round.contributors = round.contributors.saturating_add(1),
        (1.., 0) => round.contributors = round.contributors.saturating_sub(1),
        _ => {}
    }
    if after == 0 {
        state.remove::<RoundScore>(&key);
    } else {
        state.write(&key, &RoundScore { score: after });
    }
    round.score = total;
    round.write(state);
    Ok(())
}

/// A round closes, or goes on closing: handles at most `budget` givers, and says how many it handled.
pub(crate) fn on_due<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    (model, number): (ModelId, u64),
    budget: usize,
) -> (Vec<Event>, usize) {
    let Some(mut round) = state.read::<Round>(&(model, number)) else { return (Vec::new(), 1) };
    let retired = state.read::<Model>(&model).is_some_and(|model| model.retired.is_some());
    let (events, handled) = match round.status {
        RoundStatus::Open if retired => (vec![fail(state, context, &mut round)], 1),
        RoundStatus::Open if round.contributors == 0 || round.contributors < round.plan.min_contributors.into() => {
            (vec![fail(state, context, &mut round)], 1)
        }
        RoundStatus::Open => {
            round.status = RoundStatus::Quotas { after: None, due: 0 };
            (Vec::new(), 1)
        }
        RoundStatus::Quotas { after, due } => (Vec::new(), compute_quotas(state, &mut round, (after, due), budget)),
        RoundStatus::Minting { left, minted } => mint(state, context, &mut round, (left, minted), budget),
        RoundStatus::Closed { .. } | RoundStatus::Failed { .. } => return (Vec::new(), 1),
    };
    round.write(state);
    if matches!(round.status, RoundStatus::Quotas { .. } | RoundStatus::Minting { .. }) {
        // Behind everything else that is due now, so that a large round holds nothing up.
        due::set(state, context.time.plus_ms(1), Due::Round { model, number });
    }
    (events, handled)
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

fn compute_quotas<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    round: &mut Round,
    (after, mut due): (Option<AccountId>, u64),
    budget: usize,
) -> usize {
    let prefix = RoundScore::key_bytes(&(round.model, round.number));
    let from = after.map_or_else(
        || prefix.clone(),
        |after| {
            let mut key = RoundScore::key_bytes(&(round.model, round.number, after));
            key.push(0);
            key
        },
    );
    let scores = state.entries(&from, &prefix_end(&prefix), budget);
    let mut last = after;
    for (key, value) in &scores {
        let (Some(account), Ok(RoundScore { score })) = (account_at_end(key), crate::codec::decode_trusted(value))
        else {
            continue;
        };
        let quota = Quota::of(round.plan.budget.get(), score, round.score.into());
        due = due.saturating_add(quota.units);
        let key = ((round.model, round.number), Remainder(quota.remainder), account);
        state.write(&key, &RoundDue { account, units: quota.units });
        last = Some(account);
    }
    round.status = if scores.len() < budget {
        RoundStatus::Minting { left: round.plan.budget.get().saturating_sub(due), minted: Units::ZERO }
    } else {
        RoundStatus::Quotas { after: last, due }
    };
    scores.len().max(1)
}

fn mint<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    round: &mut Round,
    (mut left, mut minted): (u64, Units),
    budget: usize,
) -> (Vec<Event>, usize) {
    let prefix = RoundDue::key_bytes(&(round.model, round.number));
    let entries = state.entries(&prefix, &prefix_end(&prefix), budget);
    let handled = entries.len();
    let mut events = Vec::new();
    for (key, value) in entries {
        state.remove_bytes(key);
        let Ok(RoundDue { account, units }) = crate::codec::decode_trusted(&value) else { continue };
        let extra = u64::from(left > 0);
        left = left.saturating_sub(extra);
        let units = Units::new(units.saturating_add(extra).min(round.plan.cap_units()));
        if units == Units::ZERO {
            continue;
        }
        share::release_reserved(state, round.model, units);
        let reason = ShareReason::Round { round: round.number };
        // It was reserved when the round was opened, so there is room for it.
        if let Ok(event) = share::change(state, context, round.model, account, (ShareFlow::In, units), reason) {
            minted = Units::new(minted.get().saturating_add(units.get()));
            events.push(event);
        }
    }
    round.status = if handled < budget {
        let rest = round.plan.budget.get().saturating_sub(minted.get());
        share::release_reserved(state, round.model, Units::new(rest));
        let (model, number, contributors) = (round.model, round.number, round.contributors);
        events.push(Event::RoundClosed { model, round: number, minted, contributors });
        RoundStatus::Closed { height: context.height, minted }
    } else {
        RoundStatus::Minting { left, minted }
    };
    (events, handled.max(1))
}

/// The account that a key ends with.
fn account_at_end(key: &[u8]) -> Option<AccountId> {
    let (_, account) = key.split_at_checked(key.len().checked_sub(AccountId::LEN)?)?;
    Some(AccountId::from_bytes(account.try_into().ok()?))
}
