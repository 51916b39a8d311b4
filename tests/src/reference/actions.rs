//! What a decision does.

use super::{Proposal, Refused, World, require_stewards};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, ProposalId},
    rules::{
        access::SetDistribution,
        control::{AcceptControl, ChangeOfControl},
        dispute::ResolveDispute,
        emergency::{LiftSuspension, SuspendVersion},
        licence::{GrantLicence, RevokeLicence, SetLicence},
        model::{ClaimLineage, DeprecateVersion, ReleaseVersion, SetPolicy, SetStewards, WithdrawVersion},
        policy::{ModelPolicy, TransferRule},
        proposal::{ModelAction, NetworkAction, Question},
        round::OpenRound,
        sale::ApproveTransfer,
        share::{BurnByDecision, Expropriate, MintShares},
    },
};

impl World {
    /// Carries out all that is asked; the caller puts everything back if something fails.
    pub(super) fn carry_out(&mut self, id: ProposalId, question: &Question) -> Result<(), Refused> {
        let Proposal { proposer, snapshot, .. } = self.proposals[&id];
        let signed = (proposer, snapshot + 1);
        match question {
            Question::Network { actions } => actions.iter().try_for_each(|action| self.carry_out_for_network(action)),
            Question::Model { model, actions } => {
                actions.iter().try_for_each(|action| self.carry_out_for_model(*model, (id, signed), action))
            }
        }
    }

    fn carry_out_for_network(&mut self, action: &NetworkAction) -> Result<(), Refused> {
        match action {
            NetworkAction::AdmitMember(asked) => self.admit_member(asked.account),
            NetworkAction::RemoveMember(asked) => self.remove_member(asked.account),
            NetworkAction::GrantQuota(asked) => self.grant_quota(asked.account, asked.quota),
            NetworkAction::SuspendAccount(asked) => self.suspend(asked.account),
            NetworkAction::ReinstateAccount(asked) => self.reinstate(asked.account),
            NetworkAction::AdmitValidator(asked) => self.admit_validator(asked.key, asked.power.get(), asked.operator),
            NetworkAction::ReweightValidator(asked) => self.reweight_validator(asked.key, asked.power.get()),
            NetworkAction::RemoveValidator(asked) => self.remove_validator(asked.key),
            NetworkAction::Statement => Ok(()),
            NetworkAction::SetParameters(_) | NetworkAction::Upgrade(_) => {
                panic!("the reference does not decide on {}", action.name())
            }
        }
    }

    fn carry_out_for_model(
        &mut self,
        model: ModelId,
        (id, signed): (ProposalId, (AccountId, u64)),
        action: &ModelAction,
    ) -> Result<(), Refused> {
        match action {
            ModelAction::ReleaseVersion(ReleaseVersion { label }) => self.release(model, label),
            ModelAction::DeprecateVersion(DeprecateVersion { label, .. }) => self.deprecate(model, label),
            ModelAction::WithdrawVersion(WithdrawVersion { label, .. }) => self.withdraw_version(model, label),
            ModelAction::SuspendVersion(SuspendVersion { label, .. }) => self.suspend_version(model, label),
            ModelAction::LiftSuspension(LiftSuspension { label, .. }) => self.lift_suspension(model, label),
            ModelAction::ClaimLineage(ClaimLineage { label, parents }) => self.claim_lineage(model, label, parents),
            ModelAction::SetLicence(SetLicence { licence }) => {
                self.existing_mut(model).licence = Some(licence.clone());
                Ok(())
            }
            ModelAction::SetDistribution(SetDistribution { distribution }) => {
                self.existing_mut(model).distribution = *distribution;
                Ok(())
            }
            ModelAction::GrantLicence(GrantLicence { account, terms }) => {
                self.license(model, id, signed.0, *account, terms)
            }
            ModelAction::RevokeLicence(RevokeLicence { account, .. }) => self.revoke_licence(model, *account),
            ModelAction::MintShares(MintShares { to, units, vesting, .. }) => {
                self.require_active(model)?;
                self.account(*to)?;
                if *to != signed.0 {
                    self.require_takes(model, *to)?;
                }
                self.add_by_decision(model, id, units.get())?;
                self.mint_or_offer(model, *to, units.get(), *vesting)
            }
            ModelAction::BurnShares(BurnByDecision { from, units, .. }) => {
                self.require_undisputed(model, *from, units.get())?;
                self.seize(model, *from, units.get())
            }
            ModelAction::Expropriate(Expropriate { from, units, .. }) => self.seize(model, *from, units.get()),
            ModelAction::ApproveTransfer(ApproveTransfer { to, units, .. }) => {
                if self.model(model)?.policy.transfers == TransferRule::Locked {
                    return Err("transfers_locked");
                }
                self.hand_over(model, signed.0, *to, units.get())
            }
            ModelAction::AcceptControl(AcceptControl { account, keys }) => self.accept_control(model, *account, keys),
            ModelAction::SetStewards(SetStewards { stewards }) => self.set_stewards(model, signed, stewards),
            ModelAction::SetPolicy(SetPolicy { policy }) => self.set_policy(model, signed, policy),
            ModelAction::Retire(_) => {
                self.require_active(model)?;
                self.existing_mut(model).retired = true;
                self.settle_rounds(model);
                Ok(())
            }
            ModelAction::OpenRound(OpenRound { plan }) => {
                self.require_active(model)?;
                self.add_by_decision(model, id, plan.budget.get())?;
                self.open_round(model, plan)
            }
            ModelAction::ResolveDispute(ResolveDispute { dispute, upholds }) => {
                self.pending_of(model, *dispute)?;
                self.end_dispute(*dispute, *upholds)
            }
            ModelAction::Statement => Ok(()),
        }
    }

    fn set_stewards(
        &mut self,
        model: ModelId,
        signed: (AccountId, u64),
        stewards: &[AccountId],
    ) -> Result<(), Refused> {
        stewards.iter().try_for_each(|steward| self.account(*steward).map(drop))?;
        require_stewards(stewards, &self.model(model)?.policy)?;
        self.rename(model, signed, |model| model.stewards = stewards.to_vec());
        Ok(())
    }

    fn set_policy(&mut self, model: ModelId, signed: (AccountId, u64), policy: &ModelPolicy) -> Result<(), Refused> {
        self.require_accounts_of(policy)?;
        require_stewards(&self.model(model)?.stewards, policy)?;
        let has_say = |policy: &ModelPolicy| policy.change_of_control == ChangeOfControl::Approval;
        if has_say(policy) && !has_say(&self.model(model)?.policy) {
            self.existing_mut(model).control_ruled = self.height;
        }
        self.rename(model, signed, |model| model.policy = policy.clone());
        Ok(())
    }
}
