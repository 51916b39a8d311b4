//! How disputes end: by a resolution of the owners, by a ruling that takes effect, by withdrawal, by a challenge that
//! binds more, or because their time is up.

use super::{Dispute, DisputeStatus, DisputeTarget, Frozen, stake, stake::Cost};
use crate::{
    ground::{
        ids::{AccountId, ContributionId, DisputeId, ProposalId, Units},
        limits,
        state::Overlay,
    },
    rules::{
        account::Account,
        context::Context,
        contribution::{Contribution, review},
        due::{self, Due},
        event::Event,
        model::{self, Model},
        policy::{Class, Rule},
        proposal::Proposal,
        rejection::Rejection,
        round::{
            self,
            reserve::{self, Cause},
        },
        share::{self, Line, ShareReason},
    },
};
use serde::{Deserialize, Serialize};

/// Withdraw a challenge, as the challenger, before anybody has ruled on it and while no resolution of it is in
/// progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WithdrawDispute {
    /// The dispute.
    pub dispute: DisputeId,
}

impl WithdrawDispute {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let dispute = Dispute::pending(state, self.dispute)?;
        if dispute.challenger != sender {
            return Err(Rejection::NotChallenger(dispute.challenger));
        }
        if !dispute.is_untouched() {
            return Err(Rejection::TooLateToWithdraw(self.dispute));
        }
        // A challenger that withdraws before the other side had to answer pays less.
        let cost = if dispute.require_heard(context.time).is_err() { Cost::Counted } else { Cost::Barred };
        thaw(state, context, &dispute);
        let status = DisputeStatus::Withdrawn { height: context.height };
        Ok(vec![settle(state, context, dispute, status, cost)])
    }
}

impl Dispute {
    /// Whether nobody has ruled on it, and no resolution of it is in progress.
    fn is_untouched(&self) -> bool {
        self.status == DisputeStatus::Open && self.rulings.is_empty() && self.resolutions == 0
    }

    /// How many others become moot if it is upheld: those about the same version or contribution.
    pub(crate) fn would_make_moot(&self, state: &Overlay<'_>) -> usize {
        if self.is_about_units() || self.status.is_final() {
            return 0;
        }
        Frozen::of(state, &self.target).disputes.len().saturating_sub(1)
    }
}

/// Makes a place among the disputes of a thing for one that binds `bond` units. If all places are taken, it gets that
/// of the one that binds least, the latest of those, if that binds less and has neither been ruled on nor been put to
/// the owners.
pub(super) fn make_place(
    state: &mut Overlay<'_>,
    context: &Context,
    frozen: &mut Frozen,
    bond: Units,
) -> Result<Option<Event>, Rejection> {
    if frozen.disputes.len() < limits::DISPUTES_PER_TARGET {
        return Ok(None);
    }
    let disputes = frozen.disputes.iter().rev().filter_map(|id| state.read::<Dispute>(id));
    let least = disputes.filter(Dispute::is_untouched).min_by_key(|dispute| dispute.bond);
    match least {
        Some(least) if least.bond < bond => {
            frozen.remove(&least);
            let outbid = DisputeStatus::Outbid { height: context.height, by: context.dispute_id() };
            Ok(Some(settle(state, context, least, outbid, Cost::Nothing)))
        }
        least => Err(Rejection::TooManyChallenges { bound: least.map(|least| least.bond) }),
    }
}

/// The rule of a resolution that is to end a dispute, if the owners may open one now. Taking units also needs the rule
/// of ownership.
pub(crate) fn rule_for_owners(
    state: &Overlay<'_>,
    context: &Context,
    model: &Model,
    ResolveDispute { dispute: id, upholds }: ResolveDispute,
) -> Result<Rule, Rejection> {
    let dispute = pending_of(state, model, id)?;
    match dispute.status {
        DisputeStatus::Open if dispute.is_for_arbiters(state) && dispute.resolutions == 0 => {
            return Err(Rejection::ForArbiters(id));
        }
        DisputeStatus::Ruled { .. } => return Err(Rejection::ForArbiters(id)),
        DisputeStatus::Open
        | DisputeStatus::Appealed { .. }
        | DisputeStatus::Upheld { .. }
        | DisputeStatus::Lifted { .. }
        | DisputeStatus::Lapsed { .. }
        | DisputeStatus::Withdrawn { .. }
        | DisputeStatus::Moot { .. }
        | DisputeStatus::Outbid { .. } => {}
    }
    dispute.require_heard(context.time)?;
    if context.time >= dispute.falls_due() {
        return Err(dispute.over());
    }
    let rule = model.policy.rule(Class::Dispute);
    let takes_units = upholds && dispute.is_about_units();
    Ok(if takes_units { rule.both(model.policy.rule(Class::Ownership)) } else { rule.clone() })
}

/// A resolution of a dispute was opened.
pub(crate) fn resolution_opened(state: &mut Overlay<'_>, id: DisputeId) {
    let Some(mut dispute) = state.read::<Dispute>(&id) else { return };
    dispute.resolutions = dispute.resolutions.saturating_add(1);
    state.write(&id, &dispute);
}

/// A resolution is over, whatever its result. A dispute that waited for it continues.
pub(crate) fn resolution_over(state: &mut Overlay<'_>, context: &Context, id: DisputeId) {
    let Some(mut dispute) = state.read::<Dispute>(&id) else { return };
    dispute.resolutions = dispute.resolutions.saturating_sub(1);
    state.write(&id, &dispute);
    if !dispute.status.is_final() && dispute.resolutions == 0 && context.time >= dispute.falls_due() {
        due::set(state, context.time.plus_ms(1), Due::Dispute(dispute.model, id));
    }
}

/// End a dispute, where the owners do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResolveDispute {
    /// The dispute, of the model whose owners are asked, and not over.
    pub dispute: DisputeId,
    /// Whether the challenge is right.
    pub upholds: bool,
}

impl ResolveDispute {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        // Who decides was settled when the owners were asked: an arbiter that accepts at the last moment voids nothing.
        let dispute = pending_of(state, model, self.dispute)?;
        end(state, context, dispute, self.upholds, Some(proposal.id))
    }
}

/// A dispute of a model that is not over.
fn pending_of(state: &Overlay<'_>, model: &Model, id: DisputeId) -> Result<Dispute, Rejection> {
    let dispute = Dispute::pending(state, id)?;
    if dispute.model == model.id { Ok(dispute) } else { Err(Rejection::UnknownDispute(id)) }
}

/// A dispute is due: nobody ruled, a ruling takes effect, or the owners have not answered an appeal. While a resolution
/// is in progress, the dispute waits for it.
pub(crate) fn on_due(state: &mut Overlay<'_>, context: &Context, id: DisputeId) -> Vec<Event> {
    let Ok(mut dispute) = Dispute::pending(state, id) else { return Vec::new() };
    // A resolution that ends in the block in which a ruling would take effect puts a second entry on the agenda.
    if dispute.resolutions > 0 || context.time < dispute.falls_due() {
        return Vec::new();
    }
    match dispute.status {
        DisputeStatus::Ruled { upholds, .. } if !dispute.stands_alone(state, upholds) => {
            vec![dispute.refer(state, context, upholds)]
        }
        DisputeStatus::Ruled { upholds, .. } => carry_out(state, context, dispute, upholds),
        DisputeStatus::Appealed { upholds, .. } if dispute.stands_alone(state, upholds) => {
            carry_out(state, context, dispute, upholds)
        }
        // Arbiters found the challenge right, though the owners did not take the units: that is not a loss.
        DisputeStatus::Appealed { .. } => lapse(state, context, dispute, Cost::Nothing),
        DisputeStatus::Open => lapse(state, context, dispute, Cost::Barred),
        // What is pending has none of these.
        DisputeStatus::Upheld { .. }
        | DisputeStatus::Lifted { .. }
        | DisputeStatus::Lapsed { .. }
        | DisputeStatus::Withdrawn { .. }
        | DisputeStatus::Moot { .. }
        | DisputeStatus::Outbid { .. } => Vec::new(),
    }
}

/// Carries out a ruling; if that is impossible, the target is free again.
fn carry_out(state: &mut Overlay<'_>, context: &Context, dispute: Dispute, upholds: bool) -> Vec<Event> {
    let pending = state.suspend();
    end(state, context, dispute.clone(), upholds, None).unwrap_or_else(|_| {
        state.resume(pending);
        lapse(state, context, dispute, Cost::Nothing)
    })
}

fn lapse(state: &mut Overlay<'_>, context: &Context, dispute: Dispute, cost: Cost) -> Vec<Event> {
    thaw(state, context, &dispute);
    vec![settle(state, context, dispute, DisputeStatus::Lapsed { height: context.height }, cost)]
}

fn end(
    state: &mut Overlay<'_>,
    context: &Context,
    dispute: Dispute,
    upholds: bool,
    proposal: Option<ProposalId>,
) -> Result<Vec<Event>, Rejection> {
    let height = context.height;
    if !upholds {
        thaw(state, context, &dispute);
        if dispute.target.is_appeal() {
            let judged = Frozen { settled: Some(dispute.id), ..Frozen::default() };
            judged.write(state, &dispute.target);
        }
        let lifted = DisputeStatus::Lifted { height, proposal };
        return Ok(vec![settle(state, context, dispute, lifted, Cost::Barred)]);
    }
    let mut frozen = Frozen::of(state, &dispute.target);
    frozen.remove(&dispute);
    let mut events = Vec::new();
    match &dispute.target {
        DisputeTarget::Line { model, account } => {
            let burned = dispute.units.min(share::balance(state, *model, *account));
            if burned > Units::ZERO {
                let reason = ShareReason::BurnedByDispute { dispute: dispute.id };
                events.push(share::seize(state, context, Line { model: *model, account: *account }, burned, reason)?);
            }
        }
        DisputeTarget::Version { model, label } => {
            events.extend(model::withdraw_disputed(state, context, *model, label, dispute.id)?);
        }
        DisputeTarget::Contribution(id) => {
            frozen.settled = Some(dispute.id);
            void(state, context, *id)?;
        }
        DisputeTarget::Appeal(id) => {
            frozen.settled = Some(dispute.id);
            review::uphold_appeal(state, context, *id)?;
        }
    }
    // Other challenges that said the same about a version or a contribution become moot, and lose nothing.
    let moot = if dispute.is_about_units() { Vec::new() } else { std::mem::take(&mut frozen.disputes) };
    frozen.write(state, &dispute.target);
    let upheld = dispute.id;
    events.push(settle(state, context, dispute, DisputeStatus::Upheld { height, proposal }, Cost::Nothing));
    for other in moot {
        let Ok(other) = Dispute::pending(state, other) else { continue };
        events.push(settle(state, context, other, DisputeStatus::Moot { height, upheld }, Cost::Nothing));
    }
    Ok(events)
}

impl Frozen {
    /// Removes a dispute.
    fn remove(&mut self, dispute: &Dispute) {
        self.disputes.retain(|other| *other != dispute.id);
        self.units = Units::new(self.units.get().saturating_sub(dispute.units.get()));
    }
}

/// A contribution no longer counts.
fn void(state: &mut Overlay<'_>, context: &Context, id: ContributionId) -> Result<(), Rejection> {
    let contribution = Contribution::existing(state, id)?;
    if contribution.accepted.is_none() {
        return Ok(());
    }
    round::count(state, context, &contribution, false)?;
    reserve::release(state, context, &contribution, Cause::Challenge)
}

/// Frees a target, if no other dispute freezes it.
fn thaw(state: &mut Overlay<'_>, context: &Context, dispute: &Dispute) {
    let mut frozen = Frozen::of(state, &dispute.target);
    frozen.remove(dispute);
    frozen.write(state, &dispute.target);
    let (DisputeTarget::Contribution(id) | DisputeTarget::Appeal(id)) = dispute.target else { return };
    let Ok(contribution) = Contribution::existing(state, id) else { return };
    let cause = if dispute.target.is_appeal() { Cause::Appeal } else { Cause::Challenge };
    // A challenged contribution holds up its round once it counts; an appealed one, until it does.
    let holds = contribution.accepted.is_some() == (cause == Cause::Challenge);
    if holds && frozen.disputes.is_empty() {
        // This fails only if there is no such round, and there is one.
        let _ = reserve::release(state, context, &contribution, cause);
    }
}

fn settle(
    state: &mut Overlay<'_>,
    context: &Context,
    mut dispute: Dispute,
    status: DisputeStatus,
    cost: Cost,
) -> Event {
    if let Some(mut challenger) = state.read::<Account>(&dispute.challenger) {
        challenger.open_disputes = challenger.open_disputes.saturating_sub(1);
        state.write(&challenger.id, &challenger);
    }
    if !dispute.target.is_appeal() {
        stake::release(state, context, &dispute, cost);
    }
    dispute.advance(state, status.clone());
    Event::DisputeEnded { model: dispute.model, dispute: dispute.id, status }
}
