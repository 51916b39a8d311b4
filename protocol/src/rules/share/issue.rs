//! Pre-emption: units that a decision mints are first offered to the holders, so that those who want to can keep their
//! part.
//!
//! If the policy says so (see [`crate::rules::policy::Preemption`]), minted units are set aside. For the time set there, each
//! holder may take up as much of them as its part was of all units before, rounded down. What nobody took goes to the
//! account that the decision named. What is taken up comes without vesting; the rest comes with the vesting that was
//! decided.

use super::{
    Line, MintShares, ShareFlow, ShareReason, Vesting, balance_as_of, change, release_reserved, reserve, total_as_of,
    vest,
};
use crate::{
    ground::{
        ids::{AccountId, Height, ModelId, ProposalId, Timestamp, Units},
        invalid::Invalid,
        state::{Family, Overlay, Record},
    },
    rules::{
        context::Context,
        control,
        due::{self, Due},
        event::Event,
        model::{Model, ModelCounters},
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// Minted units that holders may still take up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Issue {
    /// The model.
    pub model: ModelId,
    /// Its number among the model's issues, from 0.
    pub number: u64,
    /// The decision that mints.
    pub proposal: ProposalId,
    /// The account that gets what nobody takes up.
    pub to: AccountId,
    /// Total number of units.
    pub units: Units,
    /// Number of units taken up.
    pub taken: Units,
    /// The vesting of what nobody takes up.
    pub vesting: Option<Vesting>,
    /// The reason, in the decision's words.
    pub reason: String,
    /// The height as of which parts count: the one before the decision was executed.
    pub as_of: Height,
    /// The block time until which units can be taken up.
    pub until: Timestamp,
}

impl Record for Issue {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::Issue;
}

/// Number of units that a holder took up of an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TakenUp(pub Units);

impl Record for TakenUp {
    type Key = (ModelId, u64, AccountId);
    const FAMILY: Family = Family::TakenUp;
}

impl Issue {
    /// The total that a holder may take up: the part that it held of all units, rounded down.
    pub fn entitlement(&self, state: &Overlay<'_>, account: AccountId) -> Units {
        let held = balance_as_of(state, self.model, account, self.as_of);
        let total = total_as_of(state, self.model, self.as_of).units;
        let part = u128::from(self.units.get()).saturating_mul(held.get().into()).checked_div(total.into());
        Units::new(part.and_then(|part| u64::try_from(part).ok()).unwrap_or(0))
    }
}

/// Sets minted units aside for the holders.
pub(crate) fn open(
    state: &mut Overlay<'_>,
    context: &Context,
    model: &Model,
    proposal: ProposalId,
    MintShares { to, units, reason, vesting }: &MintShares,
    period_ms: u64,
) -> Result<Event, Rejection> {
    let (to, units) = (*to, *units);
    reserve(state, model.id, units)?;
    let mut counters = state.read::<ModelCounters>(&model.id).unwrap_or_default();
    let number = counters.issues;
    counters.issues = number.saturating_add(1);
    state.write(&model.id, &counters);
    let until = context.time.plus_ms(period_ms);
    let issue = Issue {
        model: model.id,
        number,
        proposal,
        to,
        units,
        taken: Units::ZERO,
        vesting: *vesting,
        reason: reason.clone(),
        as_of: context.height.previous(),
        until,
    };
    state.write(&(model.id, number), &issue);
    due::set(state, until, Due::Issue { model: model.id, number });
    Ok(Event::IssueOpened { model: model.id, number, to, units, until })
}

/// Take up units of an issue, as a holder with a part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TakeUp {
    /// The model.
    pub model: ModelId,
    /// The issue's number.
    pub issue: u64,
    /// Number of units; at least 1.
    pub units: Units,
}

impl TakeUp {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.units == Units::ZERO {
            return Err(Invalid::Form { field: "units", problem: "are 0; take at least 1".into() });
        }
        Ok(())
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let (model, number) = (self.model, self.issue);
        let owned = Model::existing(state, model)?;
        owned.require_active()?;
        control::require(state, model, sender)?;
        let mut issue =
            state.read::<Issue>(&(model, number)).ok_or(Rejection::UnknownIssue { model, issue: number })?;
        if context.time >= issue.until {
            return Err(Rejection::IssueOver { model, issue: number, until: issue.until, time: context.time });
        }
        let key = (model, number, sender);
        let before = state.read::<TakenUp>(&key).map_or(Units::ZERO, |taken| taken.0);
        let entitlement = issue.entitlement(state, sender);
        let left = Units::new(entitlement.get().saturating_sub(before.get()));
        if self.units > left {
            return Err(Rejection::BeyondEntitlement { account: sender, left, asked: self.units });
        }
        let plus = |sum: Units| Units::new(sum.get().saturating_add(self.units.get()));
        issue.taken = plus(issue.taken);
        state.write(&(model, number), &issue);
        state.write(&key, &TakenUp(plus(before)));
        release_reserved(state, model, self.units);
        let reason = ShareReason::TakenUp { proposal: issue.proposal };
        Ok(vec![change(state, context, Line { model, account: sender }, ShareFlow::In, self.units, reason)?])
    }
}

/// The time to take up is over: what is left goes to the account that the decision named. If the rules now refuse that,
/// it is minted for nobody.
pub(crate) fn on_due(state: &mut Overlay<'_>, context: &Context, model: ModelId, number: u64) -> Vec<Event> {
    let Some(issue) = state.read::<Issue>(&(model, number)) else { return Vec::new() };
    let rest = Units::new(issue.units.get().saturating_sub(issue.taken.get()));
    release_reserved(state, model, rest);
    state.remove::<Issue>(&(model, number));
    let pending = state.suspend();
    let (mut events, minted) = match mint_rest(state, context, &issue, rest) {
        Ok(event) => (event.into_iter().collect(), rest),
        Err(_) => {
            state.resume(pending);
            (Vec::new(), Units::ZERO)
        }
    };
    events.push(Event::IssueClosed { model, number, taken: issue.taken, minted });
    events
}

fn mint_rest(
    state: &mut Overlay<'_>,
    context: &Context,
    issue: &Issue,
    rest: Units,
) -> Result<Option<Event>, Rejection> {
    if rest == Units::ZERO {
        return Ok(None);
    }
    Model::existing(state, issue.model)?.require_active()?;
    let reason = ShareReason::Minted { proposal: issue.proposal, reason: issue.reason.clone() };
    let minted = change(state, context, Line { model: issue.model, account: issue.to }, ShareFlow::In, rest, reason)?;
    if let Some(vesting) = &issue.vesting {
        vest(state, context, Line { model: issue.model, account: issue.to }, rest, vesting)?;
    }
    Ok(Some(minted))
}
