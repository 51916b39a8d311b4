//! What the owners of a model decide about its versions, its stewards, its rules and its end.

use super::{
    Model, VersionRef, VersionStatus, add_child, check_countersigners, check_policy_accounts, check_stewards,
    existing_version, wrong_status,
};
use crate::{
    ground::{
        ids::{AccountId, DisputeId, ModelId, ProposalId, Timestamp, VersionLabel},
        invalid::{Invalid, check_count, check_line},
        limits,
        state::Overlay,
    },
    rules::{
        attestation,
        context::Context,
        control,
        dispute::{self, DisputeTarget},
        emergency::{self, StopEnd},
        event::Event,
        office,
        policy::ModelPolicy,
        proposal::Proposal,
        rejection::Rejection,
        round,
    },
};
use serde::{Deserialize, Serialize};

/// Release a published version of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseVersion {
    /// The label of the version, which was published and never released.
    pub label: VersionLabel,
}

impl ReleaseVersion {
    /// That nobody challenges the version or suspended it, and what the gates ask for.
    pub(crate) fn lacking(
        &self,
        state: &Overlay<'_>,
        time: Timestamp,
        model: ModelId,
        proposal: &Proposal,
    ) -> Option<Rejection> {
        let frozen =
            dispute::require_unfrozen(state, &DisputeTarget::Version { model, label: self.label.clone() }).err();
        let suspended = || {
            let version = existing_version(state, model, &self.label).ok()?;
            emergency::require_not_suspended(&version, time).err()
        };
        frozen.or_else(suspended).or_else(|| attestation::lacking(state, model, &self.label, &proposal.gates))
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        model.require_active()?;
        let label = &self.label;
        let mut version = existing_version(state, model.id, label)?;
        if version.status != VersionStatus::Published {
            return Err(wrong_status(version));
        }
        dispute::require_unfrozen(state, &DisputeTarget::Version { model: model.id, label: label.clone() })?;
        emergency::require_not_suspended(&version, context.time)?;
        version.status = VersionStatus::Released { proposal: proposal.id, height: context.height };
        state.write(&(model.id, label.clone()), &version);
        model.released = Some(label.clone());
        state.write(&model.id, &model);
        let artifact = version.artifact.address;
        Ok(vec![Event::VersionReleased { model: model.id, label: label.clone(), artifact, proposal: proposal.id }])
    }
}

/// Warn everybody off a released version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeprecateVersion {
    /// The label of the version, which is released.
    pub label: VersionLabel,
    /// Why, for whoever uses it: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl DeprecateVersion {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (label, reason, proposal) = (self.label.clone(), self.reason.clone(), proposal.id);
        let mut version = existing_version(state, model.id, &label)?;
        if !matches!(version.status, VersionStatus::Released { .. }) {
            return Err(wrong_status(version));
        }
        version.status = VersionStatus::Deprecated { proposal, height: context.height, reason: reason.clone() };
        state.write(&(model.id, label.clone()), &version);
        Ok(vec![Event::VersionDeprecated { model: model.id, label, proposal, reason }])
    }
}

/// Take a version back: it is not to be used or served any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WithdrawVersion {
    /// The label of the version, which was not withdrawn before.
    pub label: VersionLabel,
    /// Why, for whoever uses it: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl WithdrawVersion {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        Ok(vec![withdraw(state, context, model, &self.label, Some(proposal.id), &self.reason)?])
    }
}

fn withdraw(
    state: &mut Overlay<'_>,
    context: &Context,
    mut model: Model,
    label: &VersionLabel,
    proposal: Option<ProposalId>,
    reason: &str,
) -> Result<Event, Rejection> {
    let mut version = existing_version(state, model.id, label)?;
    if matches!(version.status, VersionStatus::Withdrawn { .. }) {
        return Err(wrong_status(version));
    }
    emergency::end_stop(state, context, &mut version, StopEnd::Withdrawn(proposal));
    version.status = VersionStatus::Withdrawn { proposal, height: context.height, reason: reason.to_owned() };
    state.write(&(model.id, label.clone()), &version);
    if model.released.as_ref() == Some(label) {
        model.released = None;
        state.write(&model.id, &model);
    }
    let artifact = version.artifact.address;
    Ok(Event::VersionWithdrawn { model: model.id, label: label.clone(), artifact, proposal, reason: reason.to_owned() })
}

/// Takes a version back because a dispute over it was upheld; nothing if it was taken back meanwhile.
pub(crate) fn withdraw_disputed(
    state: &mut Overlay<'_>,
    context: &Context,
    id: ModelId,
    label: &VersionLabel,
    dispute: DisputeId,
) -> Result<Option<Event>, Rejection> {
    let model = Model::existing(state, id)?;
    if matches!(existing_version(state, id, label)?.status, VersionStatus::Withdrawn { .. }) {
        return Ok(None);
    }
    withdraw(state, context, model, label, None, &format!("dispute {dispute} was upheld")).map(Some)
}

/// Add to what a version was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimLineage {
    /// The label of the version, whatever its status.
    pub label: VersionLabel,
    /// What it was made from besides what it names already: with that, at most [`limits::VERSION_PARENTS`] versions.
    pub parents: Vec<VersionRef>,
}

impl ClaimLineage {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_count("parents", self.parents.len(), limits::VERSION_PARENTS)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (label, parents) = (self.label.clone(), self.parents.clone());
        let mut version = existing_version(state, model.id, &label)?;
        for parent in &parents {
            let itself = parent.model == model.id && parent.label == label;
            if itself || version.parents.contains(parent) {
                return Err(Rejection::KnownParent { model: parent.model, label: parent.label.clone() });
            }
            add_child(state, parent, &version)?;
            version.parents.push(parent.clone());
        }
        if version.parents.len() > limits::VERSION_PARENTS {
            return Err(Rejection::TooManyParents { model: model.id, label });
        }
        state.write(&(model.id, label.clone()), &version);
        Ok(vec![Event::LineageClaimed { model: model.id, label, parents, proposal: proposal.id }])
    }
}

/// Replace the stewards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetStewards {
    /// The accounts that are named from then on: 1 to [`limits::STEWARDS`], each once.
    pub stewards: Vec<AccountId>,
}

impl SetStewards {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_stewards(&self.stewards)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        for steward in &self.stewards {
            context.existing_account(state, *steward)?;
        }
        check_countersigners(&self.stewards, &model.policy)?;
        let before = model.names();
        model.stewards = self.stewards.clone();
        state.write(&model.id, &model);
        let set = Event::StewardsSet { model: model.id, stewards: self.stewards.clone(), proposal: proposal.id };
        Ok(with_names(state, context, &before, &model, set, proposal))
    }
}

/// Change how the model's owners decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetPolicy {
    /// All rules from then on; proposals that are open keep theirs.
    pub policy: Box<ModelPolicy>,
}

impl SetPolicy {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.policy.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        check_policy_accounts(state, context, &self.policy)?;
        check_countersigners(&model.stewards, &self.policy)?;
        let before = model.names();
        let replaced = std::mem::replace(&mut model.policy, (*self.policy).clone());
        control::on_policy(state, context, &model, replaced.change_of_control);
        state.write(&model.id, &model);
        let changed = Event::PolicyChanged { model: model.id, proposal: proposal.id };
        Ok(with_names(state, context, &before, &model, changed, proposal))
    }
}

/// What was set, and what it does to the offices of those who were named, or are.
fn with_names(
    state: &mut Overlay<'_>,
    context: &Context,
    before: &office::Names,
    model: &Model,
    set: Event,
    proposal: &Proposal,
) -> Vec<Event> {
    let signed = Some((proposal.proposer, proposal.opened));
    let mut events = vec![set];
    events.extend(office::rename(state, context, before, &model.names(), signed));
    events
}

/// End the model: nothing is published, released or minted any more. Its register and history stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retire {
    /// Why, for whoever uses it: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl Retire {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        model.require_active()?;
        model.retired = Some(context.height);
        state.write(&model.id, &model);
        let retired = Event::ModelRetired { model: model.id, proposal: proposal.id, reason: self.reason.clone() };
        Ok(std::iter::once(retired).chain(round::settle(state, context, model.id)).collect())
    }
}
