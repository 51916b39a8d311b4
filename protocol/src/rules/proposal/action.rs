//! What can be decided: typed actions, which the ledger itself carries out when the decision stands.
//!
//! Each action is a type in the file of its family, with its form (`check`), what the ledger does (`apply`) and, for a few,
//! what a decision waits for after it passed (`lacking`). They stand in two enums, so that what is for the members of the network
//! to decide cannot be asked of the owners of a model, nor the other way round. Every match here names every action: a
//! new one does not compile until all of them know it.

use super::Proposal;
use crate::{
    ground::{
        ids::{ModelId, Timestamp},
        invalid::Invalid,
        state::Overlay,
    },
    rules::{
        access::SetDistribution,
        context::Context,
        control::AcceptControl,
        dispute::ResolveDispute,
        emergency::{LiftSuspension, SuspendVersion},
        event::Event,
        licence::{GrantLicence, RevokeLicence, SetLicence},
        model::{
            ClaimLineage, DeprecateVersion, Model, ReleaseVersion, Retire, SetPolicy, SetStewards, WithdrawVersion,
        },
        network::{
            AdmitMember, AdmitValidator, GrantQuota, ReinstateAccount, RemoveMember, RemoveValidator,
            ReweightValidator, SetParameters, SuspendAccount, Upgrade,
        },
        policy::Class,
        rejection::Rejection,
        round::OpenRound,
        sale::ApproveTransfer,
        share::{BurnByDecision, Expropriate, MintShares},
    },
};
use serde::{Deserialize, Serialize};

/// What the owners of a model decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ModelAction {
    /// Release a published version of the model.
    ReleaseVersion(ReleaseVersion),
    /// Warn everybody off a released version.
    DeprecateVersion(DeprecateVersion),
    /// Take a version back: it is not to be used or served any more.
    WithdrawVersion(WithdrawVersion),
    /// Add to what a version was made from.
    ClaimLineage(ClaimLineage),
    /// Suspend a version until the owners lift it; an emergency stop of it is confirmed.
    SuspendVersion(SuspendVersion),
    /// End the suspension of a version.
    LiftSuspension(LiftSuspension),
    /// Set the terms under which the model is used.
    SetLicence(SetLicence),
    /// Give an account a licence, or another term for the one it has.
    GrantLicence(GrantLicence),
    /// Take an account's licence back.
    RevokeLicence(RevokeLicence),
    /// Say who reads the model's artifacts, and how many copies there should be.
    SetDistribution(SetDistribution),
    /// Mint shares of the model.
    MintShares(MintShares),
    /// Burn shares of a holder that agrees to it.
    BurnShares(BurnByDecision),
    /// Take units from a holder without its consent, where the policy has a rule for it.
    Expropriate(Expropriate),
    /// Let the proposer give shares to another account, where transfers need approval.
    ApproveTransfer(ApproveTransfer),
    /// Accept the keys of a holder whose control changes, where the owners have a say in that.
    AcceptControl(AcceptControl),
    /// Open a round, which mints by its plan when it closes.
    OpenRound(OpenRound),
    /// End a dispute, where the owners do.
    ResolveDispute(ResolveDispute),
    /// Replace the stewards.
    SetStewards(SetStewards),
    /// Change how the model's owners decide.
    SetPolicy(SetPolicy),
    /// End the model: nothing is published, released or minted any more. Its register and history stay.
    Retire(Retire),
    /// Nothing but what the proposal says, in the name of all owners.
    Statement,
}

impl ModelAction {
    /// The action's name, as in JSON.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The class whose rule decides it.
    pub const fn class(&self) -> Class {
        match self {
            Self::ReleaseVersion(_) | Self::ClaimLineage(_) => Class::Release,
            Self::DeprecateVersion(_)
            | Self::WithdrawVersion(_)
            | Self::SuspendVersion(_)
            | Self::LiftSuspension(_) => Class::Safety,
            Self::SetLicence(_) | Self::GrantLicence(_) | Self::RevokeLicence(_) | Self::SetDistribution(_) => {
                Class::Licence
            }
            Self::MintShares(_)
            | Self::BurnShares(_)
            | Self::ApproveTransfer(_)
            | Self::AcceptControl(_)
            | Self::OpenRound(_) => Class::Ownership,
            Self::Expropriate(_) => Class::Expropriation,
            Self::ResolveDispute(_) => Class::Dispute,
            Self::SetStewards(_) => Class::Stewards,
            Self::SetPolicy(_) | Self::Retire(_) | Self::Statement => Class::Rules,
        }
    }

    /// Every rule of form.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::DeprecateVersion(action) => action.check(),
            Self::WithdrawVersion(action) => action.check(),
            Self::ClaimLineage(action) => action.check(),
            Self::SuspendVersion(action) => action.check(),
            Self::LiftSuspension(action) => action.check(),
            Self::SetLicence(action) => action.check(),
            Self::GrantLicence(action) => action.check(),
            Self::RevokeLicence(action) => action.check(),
            Self::SetDistribution(action) => action.check(),
            Self::MintShares(action) => action.check(),
            Self::BurnShares(action) => action.check(),
            Self::Expropriate(action) => action.check(),
            Self::ApproveTransfer(action) => action.check(),
            Self::AcceptControl(action) => action.check(),
            Self::OpenRound(action) => action.check(),
            Self::SetStewards(action) => action.check(),
            Self::SetPolicy(action) => action.check(),
            Self::Retire(action) => action.check(),
            Self::ReleaseVersion(_) | Self::ResolveDispute(_) | Self::Statement => Ok(()),
        }
    }

    /// What a decision that passed still waits for besides its time, because of this action.
    pub(super) fn lacking(
        &self,
        state: &Overlay<'_>,
        time: Timestamp,
        model: ModelId,
        proposal: &Proposal,
    ) -> Option<Rejection> {
        match self {
            Self::ReleaseVersion(action) => action.lacking(state, time, model, proposal),
            Self::MintShares(action) => action.lacking(state, model, proposal),
            Self::BurnShares(action) => action.lacking(state, model, proposal),
            Self::ApproveTransfer(action) => action.lacking(state, model, proposal),
            Self::DeprecateVersion(_)
            | Self::WithdrawVersion(_)
            | Self::ClaimLineage(_)
            | Self::SuspendVersion(_)
            | Self::LiftSuspension(_)
            | Self::SetLicence(_)
            | Self::GrantLicence(_)
            | Self::RevokeLicence(_)
            | Self::SetDistribution(_)
            | Self::Expropriate(_)
            | Self::AcceptControl(_)
            | Self::OpenRound(_)
            | Self::ResolveDispute(_)
            | Self::SetStewards(_)
            | Self::SetPolicy(_)
            | Self::Retire(_)
            | Self::Statement => None,
        }
    }

    /// Carries it out, as the proposal decided. The model is as it stands before this action.
    pub(super) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        match self {
            Self::ReleaseVersion(action) => action.apply(state, context, model, proposal),
            Self::DeprecateVersion(action) => action.apply(state, context, &model, proposal),
            Self::WithdrawVersion(action) => action.apply(state, context, model, proposal),
            Self::ClaimLineage(action) => action.apply(state, &model, proposal),
            Self::SuspendVersion(action) => action.apply(state, context, &model, proposal),
            Self::LiftSuspension(action) => action.apply(state, context, &model, proposal),
            Self::SetLicence(action) => action.apply(state, model, proposal),
            Self::GrantLicence(action) => action.apply(state, context, &model, proposal),
            Self::RevokeLicence(action) => action.apply(state, context, &model, proposal),
            Self::SetDistribution(action) => action.apply(state, model, proposal),
            Self::MintShares(action) => action.apply(state, context, &model, proposal),
            Self::BurnShares(action) => action.apply(state, context, &model, proposal),
            Self::Expropriate(action) => action.apply(state, context, &model, proposal),
            Self::ApproveTransfer(action) => action.apply(state, context, &model, proposal),
            Self::AcceptControl(action) => action.apply(state, context, &model, proposal),
            Self::OpenRound(action) => action.apply(state, context, &model, proposal),
            Self::ResolveDispute(action) => action.apply(state, context, &model, proposal),
            Self::SetStewards(action) => action.apply(state, context, model, proposal),
            Self::SetPolicy(action) => action.apply(state, context, model, proposal),
            Self::Retire(action) => action.apply(state, context, model, proposal),
            Self::Statement => Ok(state_it(proposal)),
        }
    }
}

/// What the members of the network decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NetworkAction {
    /// Admit a validator two blocks later; its operator becomes a member of the network.
    AdmitValidator(AdmitValidator),
    /// Give a validator another voting power two blocks later.
    ReweightValidator(ReweightValidator),
    /// Remove a validator two blocks later, and its key for good.
    RemoveValidator(RemoveValidator),
    /// Make an account a member of the network.
    AdmitMember(AdmitMember),
    /// Make an account a member of the network no longer.
    RemoveMember(RemoveMember),
    /// Let an account admit further accounts.
    GrantQuota(GrantQuota),
    /// Suspend an account: it starts nothing until it is reinstated. It takes more than half of all members.
    SuspendAccount(SuspendAccount),
    /// Reinstate a suspended account.
    ReinstateAccount(ReinstateAccount),
    /// Replace the network's parameters from the next block on.
    SetParameters(SetParameters),
    /// Move to another version of the protocol at a height: older binaries stop before it.
    Upgrade(Upgrade),
    /// Nothing but what the proposal says, in the name of all members.
    Statement,
}

impl NetworkAction {
    /// The action's name, as in JSON.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The class whose rule decides it.
    pub const fn class(&self) -> Class {
        match self {
            Self::AdmitValidator(_) | Self::ReweightValidator(_) | Self::RemoveValidator(_) => Class::Validators,
            Self::AdmitMember(_)
            | Self::RemoveMember(_)
            | Self::GrantQuota(_)
            | Self::SuspendAccount(_)
            | Self::ReinstateAccount(_) => Class::Accounts,
            Self::SetParameters(_) | Self::Statement => Class::Parameters,
            Self::Upgrade(_) => Class::Upgrade,
        }
    }

    /// Whether it takes more than half of the whole electorate, whatever the rule says: to take an account out of the
    /// network's business is no matter for those who happen to answer.
    pub const fn needs_majority_of_all(&self) -> bool {
        match self {
            Self::SuspendAccount(_) => true,
            Self::AdmitValidator(_)
            | Self::ReweightValidator(_)
            | Self::RemoveValidator(_)
            | Self::AdmitMember(_)
            | Self::RemoveMember(_)
            | Self::GrantQuota(_)
            | Self::ReinstateAccount(_)
            | Self::SetParameters(_)
            | Self::Upgrade(_)
            | Self::Statement => false,
        }
    }

    /// Every rule of form.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::AdmitValidator(action) => action.check(),
            Self::ReweightValidator(action) => action.check(),
            Self::RemoveMember(action) => action.check(),
            Self::SuspendAccount(action) => action.check(),
            Self::SetParameters(action) => action.check(),
            Self::Upgrade(action) => action.check(),
            Self::RemoveValidator(_)
            | Self::AdmitMember(_)
            | Self::GrantQuota(_)
            | Self::ReinstateAccount(_)
            | Self::Statement => Ok(()),
        }
    }

    /// What a decision that passed still waits for besides its time, because of this action.
    pub(super) fn lacking(&self, state: &Overlay<'_>) -> Option<Rejection> {
        match self {
            Self::AdmitValidator(action) => action.lacking(state),
            Self::ReweightValidator(_)
            | Self::RemoveValidator(_)
            | Self::AdmitMember(_)
            | Self::RemoveMember(_)
            | Self::GrantQuota(_)
            | Self::SuspendAccount(_)
            | Self::ReinstateAccount(_)
            | Self::SetParameters(_)
            | Self::Upgrade(_)
            | Self::Statement => None,
        }
    }

    /// Carries it out, as the proposal decided.
    pub(super) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        match self {
            Self::AdmitValidator(action) => action.apply(state, context),
            Self::ReweightValidator(action) => action.apply(context),
            Self::RemoveValidator(action) => action.apply(state, context),
            Self::AdmitMember(action) => action.apply(state, context),
            Self::RemoveMember(action) => action.apply(state, context),
            Self::GrantQuota(action) => action.apply(state, context),
            Self::SuspendAccount(action) => action.apply(state, context, proposal),
            Self::ReinstateAccount(action) => action.apply(state, context),
            Self::SetParameters(action) => Ok(action.apply(context)),
            Self::Upgrade(action) => action.apply(context),
            Self::Statement => Ok(state_it(proposal)),
        }
    }
}

/// A statement is made by its being decided.
fn state_it(proposal: &Proposal) -> Vec<Event> {
    vec![Event::StatementMade { proposal: proposal.id, scope: proposal.scope() }]
}
