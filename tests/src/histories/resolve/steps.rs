//! What a proposal is to do.

use super::{choose, licences::licence_terms, vesting};
use crate::{
    histories::{
        History,
        keys::keys,
        policies::policy,
        request::{MemberStep, Step},
    },
    reference::{Licensed, Suspended, VersionStatus},
};
use allod_protocol::rules::access::SetDistribution;
use allod_protocol::rules::control::AcceptControl;
use allod_protocol::rules::dispute::ResolveDispute;
use allod_protocol::rules::emergency::LiftSuspension;
use allod_protocol::rules::emergency::SuspendVersion;
use allod_protocol::rules::licence::GrantLicence;
use allod_protocol::rules::licence::RevokeLicence;
use allod_protocol::rules::licence::SetLicence;
use allod_protocol::rules::model::ClaimLineage;
use allod_protocol::rules::model::DeprecateVersion;
use allod_protocol::rules::model::ReleaseVersion;
use allod_protocol::rules::model::Retire;
use allod_protocol::rules::model::SetPolicy;
use allod_protocol::rules::model::SetStewards;
use allod_protocol::rules::model::WithdrawVersion;
use allod_protocol::rules::network::AdmitMember;
use allod_protocol::rules::network::GrantQuota;
use allod_protocol::rules::network::ReinstateAccount;
use allod_protocol::rules::network::RemoveMember;
use allod_protocol::rules::network::SuspendAccount;
use allod_protocol::rules::proposal::ModelAction;
use allod_protocol::rules::proposal::NetworkAction;
use allod_protocol::rules::round::OpenRound;
use allod_protocol::rules::sale::ApproveTransfer;
use allod_protocol::rules::share::BurnByDecision;
use allod_protocol::rules::share::Expropriate;
use allod_protocol::rules::share::MintShares;
use allod_protocol::{
    ground::ids::{AccountId, BasisPoints, ContentHash, ModelId},
    rules::{
        access::{Distribution, Readers},
        contribution::ContributionKind,
        model::Licence,
        round::{Cap, KindWeight, RoundPlan},
    },
};

impl History {
    pub(super) fn step(&self, model: ModelId, by: AccountId, step: &Step) -> Option<ModelAction> {
        let reason = String::new();
        Some(match step {
            Step::Release(pick) => ModelAction::ReleaseVersion(ReleaseVersion {
                label: self.version(model, *pick, VersionStatus::Published)?,
            }),
            Step::Deprecate(pick) => ModelAction::DeprecateVersion(DeprecateVersion {
                label: self.version(model, *pick, VersionStatus::Released)?,
                reason,
            }),
            Step::Withdraw(pick) => ModelAction::WithdrawVersion(WithdrawVersion {
                label: self.version(model, *pick, VersionStatus::Released)?,
                reason,
            }),
            Step::Suspend(pick) => ModelAction::SuspendVersion(SuspendVersion {
                label: self.suspended(model, *pick, |suspended| suspended != Some(Suspended::Decision))?,
                reason: "harms".into(),
            }),
            Step::Lift(pick) => ModelAction::LiftSuspension(LiftSuspension {
                label: self.suspended(model, *pick, |suspended| suspended.is_some())?,
                reason: "mended".into(),
            }),
            Step::Lineage { version, parent } => ModelAction::ClaimLineage(ClaimLineage {
                label: self.version(model, *version, VersionStatus::Published)?,
                parents: vec![self.version_ref(*parent)?],
            }),
            Step::Licence(number) => {
                ModelAction::SetLicence(SetLicence { licence: Licence::Terms(ContentHash::from_bytes([*number; 32])) })
            }
            Step::Distribution(number) => {
                let readers = [Readers::Public, Readers::Licensees, Readers::Holders][usize::from(*number) % 3];
                let distribution = Distribution { readers, copies: u32::from(number % 65) };
                ModelAction::SetDistribution(SetDistribution { distribution })
            }
            Step::Grant { to, terms } => {
                // Just what was asked for, or something beside what there is.
                let (asked, licensees) = (&self.world.models[&model].asked, &self.world.models[&model].licensees);
                let has_one = |account: &AccountId| {
                    licensees.get(account).is_some_and(|it| it.in_force(self.world.time).is_some())
                };
                let as_asked = to.place.is_multiple_of(2);
                let account =
                    self.by(*to, |account| if as_asked { asked.contains_key(&account) } else { has_one(&account) });
                let granted = asked.get(&account).filter(|_| to.fits && as_asked);
                let terms = granted.map(|wanted| wanted.terms.clone()).unwrap_or_else(|| licence_terms(*terms));
                ModelAction::GrantLicence(GrantLicence { account, terms })
            }
            Step::Revoke(pick) => {
                let licensees = &self.world.models[&model].licensees;
                let has = |licensed: &Licensed| licensed.offer.is_some() || matches!(licensed.agreed, Some((_, None)));
                let account = self.by(*pick, |account| licensees.get(&account).is_some_and(has));
                ModelAction::RevokeLicence(RevokeLicence { account, reason })
            }
            Step::Stewards { first, count } => {
                let mut stewards: Vec<AccountId> = (0..*count).map(|more| self.any(first.wrapping_add(more))).collect();
                stewards.sort();
                stewards.dedup();
                ModelAction::SetStewards(SetStewards { stewards })
            }
            Step::Policy(number) => {
                ModelAction::SetPolicy(SetPolicy { policy: Box::new(policy(*number, &self.accounts)) })
            }
            Step::Retire => ModelAction::Retire(Retire { reason }),
            Step::Resolve { dispute, upholds } => {
                let of_model =
                    |dispute: &crate::reference::Dispute| dispute.model == model && !dispute.status.is_final();
                let dispute = choose(&self.disputes, *dispute, |id| of_model(&self.world.disputes[id]))?;
                ModelAction::ResolveDispute(ResolveDispute { dispute, upholds: *upholds })
            }
            Step::Statement => ModelAction::Statement,
            step => return self.ownership_step(model, by, step),
        })
    }

    fn ownership_step(&self, model: ModelId, by: AccountId, step: &Step) -> Option<ModelAction> {
        let reason = String::new();
        Some(match step {
            Step::Mint { to, amount, vesting: terms } => {
                let (to, units) = (self.any(*to), self.units(*amount, self.world.total(model)));
                ModelAction::MintShares(MintShares { to, units, reason, vesting: vesting(*terms) })
            }
            Step::Burn { from, amount } => {
                let from = self.by(*from, |account| self.world.held(model, account) > 0);
                let units = self.units(*amount, self.world.held(model, from));
                ModelAction::BurnShares(BurnByDecision { from, units, cause: reason })
            }
            Step::Expropriate { from, amount } => {
                let from = self.by(*from, |account| self.world.held(model, account) > 0);
                let units = self.units(*amount, self.world.held(model, from));
                ModelAction::Expropriate(Expropriate { from, units, cause: reason })
            }
            Step::Approve { to, amount } => {
                let (to, units) = (self.any(*to), self.units(*amount, self.world.free(model, by)));
                ModelAction::ApproveTransfer(ApproveTransfer { to, units, price: String::new(), reason })
            }
            Step::Control { account, others } => {
                let account = choose(&self.accounts, *account, |account| self.world.is_unaccepted(model, *account))?;
                let begun = self.world.controls.get(&account).map(|control| control.keys.clone());
                let other = others.map(|number| keys(&self.world.accounts[&account].handle, number));
                let present = || self.world.accounts[&account].keys.clone();
                ModelAction::AcceptControl(AcceptControl { account, keys: other.or(begun).unwrap_or_else(present) })
            }
            Step::Round { budget, weights, cap, min, recording_ms, review_ms, sealed } => {
                let kinds = ContributionKind::ALL.into_iter().zip(1u32..);
                let listed = kinds.filter(|(_, number)| weights & (1 << number) != 0 || *number == 1);
                let plan = RoundPlan {
                    plan: ContentHash::from_bytes([0; 32]),
                    budget: self.units(*budget, self.world.total(model)),
                    weights: listed.map(|(kind, number)| KindWeight { kind, weight: number * 3 }).collect(),
                    cap: cap.map(|(part, per)| Cap { per, part: BasisPoints::new(part).expect("at most the whole") }),
                    min_contributors: (*min).into(),
                    recording_ms: (*recording_ms).into(),
                    review_ms: (*review_ms).into(),
                    sealed: *sealed,
                };
                ModelAction::OpenRound(OpenRound { plan })
            }
            _ => return None,
        })
    }

    pub(super) fn member_step(&self, step: MemberStep) -> NetworkAction {
        match step {
            MemberStep::Admit(pick) => {
                let account = self.by(pick, |account| self.world.accounts[&account].member_since.is_none());
                NetworkAction::AdmitMember(AdmitMember { account })
            }
            MemberStep::Quota { account, quota } => {
                NetworkAction::GrantQuota(GrantQuota { account: self.any(account), quota: quota.into() })
            }
            MemberStep::Suspend(place) => {
                NetworkAction::SuspendAccount(SuspendAccount { account: self.any(place), reason: String::new() })
            }
            MemberStep::Reinstate(pick) => {
                let account = self.by(pick, |account| self.world.accounts[&account].suspended);
                NetworkAction::ReinstateAccount(ReinstateAccount { account })
            }
            MemberStep::Remove(pick) => {
                let removable = |account: AccountId| {
                    self.world.accounts[&account].member_since.is_some() && !self.world.operates(account)
                };
                NetworkAction::RemoveMember(RemoveMember { account: self.by(pick, removable), reason: String::new() })
            }
            MemberStep::Statement => NetworkAction::Statement,
        }
    }
}
