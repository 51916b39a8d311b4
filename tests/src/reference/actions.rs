//! What a decision does.

use super::{Proposal, Refused, World, require_stewards};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, ProposalId},
    rules::{
        control::ChangeOfControl,
        policy::{ModelPolicy, TransferRule},
        proposal::{ProposalAction, Scope},
    },
};

impl World {
    /// Carries one action out; the caller puts everything back if it fails.
    pub(super) fn carry_out(&mut self, id: ProposalId, action: &ProposalAction) -> Result<(), Refused> {
        let Proposal { proposer, snapshot, .. } = self.proposals[&id];
        let signed = (proposer, snapshot + 1);
        match self.proposals[&id].scope {
            Scope::Network => self.carry_out_for_network(action),
            Scope::Model(model) => self.carry_out_for_model(model, (id, signed), action),
        }
    }

    fn carry_out_for_network(&mut self, action: &ProposalAction) -> Result<(), Refused> {
        match action {
            ProposalAction::AdmitMember { account } => self.admit_member(*account),
            ProposalAction::RemoveMember { account, .. } => self.remove_member(*account),
            ProposalAction::GrantQuota { account, quota } => self.grant_quota(*account, *quota),
            ProposalAction::SuspendAccount { account, .. } => self.suspend(*account),
            ProposalAction::ReinstateAccount { account } => self.reinstate(*account),
            _ => Ok(()),
        }
    }

    fn carry_out_for_model(
        &mut self,
        model: ModelId,
        (id, signed): (ProposalId, (AccountId, u64)),
        action: &ProposalAction,
    ) -> Result<(), Refused> {
        match action {
            ProposalAction::ReleaseVersion { label } => self.release(model, label),
            ProposalAction::DeprecateVersion { label, .. } => self.deprecate(model, label),
            ProposalAction::WithdrawVersion { label, .. } => self.withdraw_version(model, label),
            ProposalAction::SuspendVersion { label, .. } => self.suspend_version(model, label),
            ProposalAction::LiftSuspension { label, .. } => self.lift_suspension(model, label),
            ProposalAction::ClaimLineage { label, parents } => self.claim_lineage(model, label, parents),
            ProposalAction::SetLicence { licence } => {
                self.existing_mut(model).licence = Some(licence.clone());
                Ok(())
            }
            ProposalAction::SetDistribution { distribution } => {
                self.existing_mut(model).distribution = *distribution;
                Ok(())
            }
            ProposalAction::GrantLicence { account, terms } => self.license((model, id), signed.0, *account, terms),
            ProposalAction::RevokeLicence { account, .. } => self.revoke_licence(model, *account),
            ProposalAction::MintShares { to, units, vesting, .. } => {
                self.require_active(model)?;
                self.account(*to)?;
                if *to != signed.0 {
                    self.require_takes(model, *to)?;
                }
                self.add_by_decision(model, id, units.get())?;
                self.mint_or_offer(model, (*to, units.get()), *vesting)
            }
            ProposalAction::BurnShares { from, units, .. } => {
                self.require_undisputed(model, *from, units.get())?;
                self.seize(model, *from, units.get())
            }
            ProposalAction::Expropriate { from, units, .. } => self.seize(model, *from, units.get()),
            ProposalAction::ApproveTransfer { to, units, .. } => {
                if self.model(model)?.policy.transfers == TransferRule::Locked {
                    return Err("transfers_locked");
                }
                self.hand_over(model, signed.0, *to, units.get())
            }
            ProposalAction::AcceptControl { account, keys } => self.accept_control(model, *account, keys),
            ProposalAction::SetStewards { stewards } => self.set_stewards(model, signed, stewards),
            ProposalAction::SetPolicy { policy } => self.set_policy(model, signed, policy),
            ProposalAction::Retire { .. } => {
                self.require_active(model)?;
                self.existing_mut(model).retired = true;
                self.settle_rounds(model);
                Ok(())
            }
            ProposalAction::OpenRound { plan } => {
                self.require_active(model)?;
                self.add_by_decision(model, id, plan.budget.get())?;
                self.open_round(model, plan)
            }
            ProposalAction::ResolveDispute { dispute, upholds } => {
                self.pending_of(model, *dispute)?;
                self.end_dispute(*dispute, *upholds)
            }
            _ => Ok(()),
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
