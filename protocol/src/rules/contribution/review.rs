//! What stewards say about a contribution: they countersign it, or decline it with a reason. The policy says how many
//! must countersign ([`crate::rules::policy::ModelPolicy::countersigners`]); a round keeps the number that was required when
//! it opened.
//!
//! - A giver that is a steward never countersigns its own contribution, even if it is the only steward: then it
//!   appeals.
//! - If the giver's own office leaves fewer stewards than required, one fewer has to countersign.
//! - A steward that was dismissed or resigned no longer counts among those that countersigned. The number required does
//!   not fall because of that, whatever the stewards and the policy are since: otherwise the few that stay could let in
//!   what needed more.
//! - A steward that declines does not keep others from countersigning, and may change its mind until the contribution
//!   counts.
//! - If a contribution was declined, or is uncountersigned when its round no longer records, its giver may take that to
//!   the arbiters ([`DisputeTarget::Appeal`](crate::rules::dispute::DisputeTarget::Appeal)), or to the owners if there are
//!   none. Those that declined it do not rule. If the appeal is upheld, the contribution counts.

use super::Contribution;
use crate::{
    ground::{
        ids::{AccountId, ContributionId, Height},
        invalid::{Invalid, check_said, check_text},
        limits,
        state::Overlay,
    },
    rules::{
        context::Context,
        dispute::{self, DisputeTarget, Frozen},
        event::Event,
        model::Model,
        office::{self, Office},
        rejection::Rejection,
        round::{
            self, Round,
            reserve::{self, Cause},
        },
    },
};
use serde::{Deserialize, Serialize};

/// The statement of a steward that it received a contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Countersignature {
    /// The steward.
    pub steward: AccountId,
    /// The height of the countersignature.
    pub height: Height,
}

/// The statement of a steward that it does not countersign a contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decline {
    /// The steward.
    pub steward: AccountId,
    /// The reason.
    pub reason: String,
    /// The height of the statement.
    pub height: Height,
}

/// How many stewards must countersign a contribution: as many as required; one fewer if the giver is a steward and
/// there would be too few without it; and at least one.
pub fn needed(model: &Model, giver: AccountId, asked: u32) -> u32 {
    let others = model.stewards.iter().filter(|steward| **steward != giver).count();
    let lacks_giver = model.stewards.contains(&giver) && u32::try_from(others).is_ok_and(|others| others < asked);
    asked.saturating_sub(u32::from(lacks_giver)).max(1)
}

impl Contribution {
    /// Checks that a steward may speak about it: it does not count yet, is open for review, and is not the steward's
    /// own.
    fn require_review(
        &self,
        state: &Overlay<'_>,
        context: &Context,
        model: &Model,
        steward: AccountId,
    ) -> Result<Option<Round>, Rejection> {
        model.require_steward(state, steward)?;
        if self.accepted.is_some() {
            return Err(Rejection::AlreadyAccepted(self.id));
        }
        if self.giver == steward {
            return Err(Rejection::OwnContribution(steward));
        }
        self.open_round(state, context)
    }

    /// Its round, which must still be open. `None` if it was given outside rounds.
    pub(crate) fn open_round(&self, state: &Overlay<'_>, context: &Context) -> Result<Option<Round>, Rejection> {
        let Some(number) = self.round else { return Ok(None) };
        let round = Round::existing(state, self.model, number)?;
        round.require_open(context.time)?;
        Ok(Some(round))
    }

    /// It counts from now on, and is in dispute if it is challenged.
    fn begin_to_count(&mut self, state: &mut Overlay<'_>, context: &Context) -> Result<(), Rejection> {
        round::count(state, context, self, true)?;
        self.accepted = Some(context.height);
        if Frozen::of(state, &DisputeTarget::Contribution(self.id)).disputes.is_empty() {
            return Ok(());
        }
        reserve::hold(state, context, self, Cause::Challenge)
    }

    /// Forgets what a steward said about it, and what former stewards said.
    fn forget(&mut self, state: &Overlay<'_>, steward: AccountId) {
        let office = Office::Steward(self.model);
        let stays = |who: AccountId| who != steward && office::holds(state, &office, who);
        self.countersigned.retain(|one| stays(one.steward));
        self.declined.retain(|one| stays(one.steward));
    }
}

/// Countersign a contribution, as a steward of its model other than its giver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptContribution {
    /// The contribution.
    pub contribution: ContributionId,
}

impl AcceptContribution {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut contribution = Contribution::existing(state, self.contribution)?;
        let model = Model::existing(state, contribution.model)?;
        let round = contribution.require_review(state, context, &model, sender)?;
        if contribution.countersigned.iter().any(|one| one.steward == sender) {
            return Err(Rejection::AlreadyCountersigned { contribution: self.contribution, steward: sender });
        }
        if contribution.is_sealed() {
            return Err(Rejection::StillSealed(self.contribution));
        }
        dispute::require_not_void(state, self.contribution)?;
        contribution.forget(state, sender);
        contribution.countersigned.push(Countersignature { steward: sender, height: context.height });
        let asked = round.as_ref().map_or(model.policy.countersigners, |round| round.countersigners);
        let have = u32::try_from(contribution.countersigned.len()).unwrap_or(u32::MAX);
        let lacking = needed(&model, contribution.giver, asked).saturating_sub(have);
        if lacking == 0 {
            // What the appeal asked for has happened.
            if !Frozen::of(state, &DisputeTarget::Appeal(self.contribution)).disputes.is_empty() {
                reserve::release(state, context, &contribution, Cause::Appeal)?;
            }
            contribution.begin_to_count(state, context)?;
        }
        state.write(&self.contribution, &contribution);
        Ok(vec![Event::ContributionAccepted {
            model: contribution.model,
            contribution: self.contribution,
            steward: sender,
            lacking,
        }])
    }
}

/// Decline to countersign a contribution, as a steward of its model other than its giver, with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeclineContribution {
    /// The contribution.
    pub contribution: ContributionId,
    /// The reason; it replaces what the steward said before.
    pub reason: String,
}

impl DeclineContribution {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_said("reason", &self.reason, "is empty; say why, so that the giver can answer it")?;
        check_text("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut contribution = Contribution::existing(state, self.contribution)?;
        let model = Model::existing(state, contribution.model)?;
        contribution.require_review(state, context, &model, sender)?;
        contribution.forget(state, sender);
        let (reason, height) = (self.reason.clone(), context.height);
        contribution.declined.push(Decline { steward: sender, reason: reason.clone(), height });
        state.write(&self.contribution, &contribution);
        let (model, contribution) = (contribution.model, self.contribution);
        Ok(vec![Event::ContributionDeclined { model, contribution, steward: sender, reason }])
    }
}

/// The respondent of an appeal about a contribution, if its giver may appeal now: the first steward that declined it,
/// or, if none did, the first steward that can countersign it.
pub(crate) fn require_appealable(
    state: &Overlay<'_>,
    context: &Context,
    contribution: &Contribution,
    sender: AccountId,
) -> Result<AccountId, Rejection> {
    if contribution.giver != sender {
        return Err(Rejection::NotGiver(contribution.giver));
    }
    if let Some(dispute) = Frozen::of(state, &DisputeTarget::Appeal(contribution.id)).first() {
        return Err(Rejection::AppealedAlready(dispute));
    }
    if contribution.accepted.is_some() {
        return Err(Rejection::AlreadyAccepted(contribution.id));
    }
    if contribution.is_sealed() {
        return Err(Rejection::StillSealed(contribution.id));
    }
    dispute::require_not_void(state, contribution.id)?;
    let round = contribution.open_round(state, context)?;
    let is_kept_waiting = round.is_some_and(|round| context.time >= round.records_until);
    if contribution.declined.is_empty() && !is_kept_waiting {
        return Err(Rejection::NotDeclined(contribution.id));
    }
    let model = Model::existing(state, contribution.model)?;
    let office = Office::Steward(model.id);
    let can = |steward: &AccountId| *steward != sender && office::holds(state, &office, *steward);
    let waited_for = || model.stewards.iter().copied().find(can);
    Ok(contribution.declined.first().map(|one| one.steward).or_else(waited_for).unwrap_or(sender))
}

/// An appeal was upheld: the contribution counts, unless a challenge of it was also upheld.
pub(crate) fn uphold_appeal(state: &mut Overlay<'_>, context: &Context, id: ContributionId) -> Result<(), Rejection> {
    let mut contribution = Contribution::existing(state, id)?;
    if contribution.accepted.is_some() {
        return Ok(());
    }
    if dispute::require_not_void(state, id).is_ok() {
        contribution.begin_to_count(state, context)?;
    }
    contribution.accepted = Some(context.height);
    state.write(&id, &contribution);
    reserve::release(state, context, &contribution, Cause::Appeal)
}
