//! Disputes: what is challenged is frozen until somebody rules, or nobody does.

use super::{Refused, VersionStatus, World};
use allod_protocol::{
    dispute::{DisputeTarget, OpenDispute},
    ids::{AccountId, DisputeId, ModelId},
    office::Office,
};
use std::collections::BTreeMap;

/// Disputes that one account may have open at a time.
const OPEN_DISPUTES_PER_ACCOUNT: usize = 4;
/// Sixty days.
const DISPUTE_MS: u64 = 60 * 24 * 60 * 60 * 1_000;

/// How a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DisputeStatus {
    Open,
    Upheld,
    Lifted,
    Lapsed,
}

/// A challenge.
#[derive(Clone, Debug)]
pub struct Dispute {
    /// About which model.
    pub model: ModelId,
    /// Of what.
    pub target: DisputeTarget,
    /// Of how many units of a line.
    pub units: u64,
    /// By whom.
    pub challenger: AccountId,
    /// Against whom.
    pub respondent: AccountId,
    /// What each arbiter said last.
    pub rulings: BTreeMap<AccountId, bool>,
    /// When it lapses.
    pub lapses: u64,
    /// How it stands.
    pub status: DisputeStatus,
}

impl World {
    /// Whether something is frozen: under an open dispute, a contribution that a dispute was upheld against, or an appeal
    /// that was judged.
    pub fn is_frozen(&self, target: &DisputeTarget) -> bool {
        let void = matches!(target, DisputeTarget::Contribution(_));
        let appeal = matches!(target, DisputeTarget::Appeal(_));
        let freezes = |status| match status {
            DisputeStatus::Open => true,
            DisputeStatus::Upheld => void || appeal,
            DisputeStatus::Lifted => appeal,
            DisputeStatus::Lapsed => false,
        };
        self.disputes.values().any(|dispute| dispute.target == *target && freezes(dispute.status))
    }

    pub(super) fn require_unfrozen(&self, target: &DisputeTarget) -> Result<(), Refused> {
        if self.is_frozen(target) { Err("frozen") } else { Ok(()) }
    }

    pub(super) fn challenge(&mut self, sender: AccountId, asked: &OpenDispute, id: DisputeId) -> Result<(), Refused> {
        let (model, respondent) = match &asked.target {
            DisputeTarget::Line { model, account } if asked.units.get() > self.held(*model, *account) => {
                return Err("not_enough_shares");
            }
            DisputeTarget::Line { model, account } => (*model, *account),
            DisputeTarget::Version { model, label } => (*model, self.version(*model, label)?.publisher),
            DisputeTarget::Contribution(id) => (self.contribution(*id)?.model, self.contribution(*id)?.giver),
            DisputeTarget::Appeal(id) => self.appealable(sender, *id)?,
        };
        if !matches!(asked.target, DisputeTarget::Appeal(_)) {
            self.require_own(model, sender)?;
        }
        self.require_unfrozen(&asked.target)?;
        let open = |dispute: &&Dispute| dispute.challenger == sender && dispute.status == DisputeStatus::Open;
        if self.disputes.values().filter(open).count() >= OPEN_DISPUTES_PER_ACCOUNT {
            return Err("too_many_disputes");
        }
        if let DisputeTarget::Contribution(id) = asked.target {
            self.require_review(self.contribution(id)?)?;
        }
        let dispute = Dispute {
            model,
            target: asked.target.clone(),
            units: asked.units.get(),
            challenger: sender,
            respondent,
            rulings: BTreeMap::new(),
            lapses: self.time + DISPUTE_MS,
            status: DisputeStatus::Open,
        };
        self.disputes.insert(id, dispute);
        Ok(())
    }

    pub(super) fn open_dispute(&self, id: DisputeId) -> Result<&Dispute, Refused> {
        let dispute = self.disputes.get(&id).ok_or("unknown_dispute")?;
        if dispute.status == DisputeStatus::Open { Ok(dispute) } else { Err("dispute_over") }
    }

    /// An open dispute that the owners of a model decide.
    pub(super) fn open_for_owners(&self, model: ModelId, id: DisputeId) -> Result<&Dispute, Refused> {
        let dispute = self.open_dispute_of(model, id)?;
        if self.panel(dispute).is_empty() { Ok(dispute) } else { Err("for_arbiters") }
    }

    pub(super) fn open_dispute_of(&self, model: ModelId, id: DisputeId) -> Result<&Dispute, Refused> {
        let dispute = self.open_dispute(id)?;
        if dispute.model == model { Ok(dispute) } else { Err("unknown_dispute") }
    }

    /// How many arbiters must agree.
    fn needed(&self, model: ModelId) -> usize {
        let needed = self.models[&model].policy.arbiters.as_ref().map_or(0, |arbiters| arbiters.needed);
        usize::try_from(needed).unwrap_or(usize::MAX)
    }

    /// The arbiters who accepted, are no parties, and did not decline what is appealed; nobody if they are fewer than must agree.
    pub fn panel(&self, dispute: &Dispute) -> Vec<AccountId> {
        let policy = &self.models[&dispute.model].policy;
        let mut panel: Vec<AccountId> = policy.arbiters.iter().flat_map(|arbiters| arbiters.accounts.clone()).collect();
        panel.retain(|account| ![dispute.challenger, dispute.respondent].contains(account));
        if let DisputeTarget::Appeal(id) = dispute.target {
            panel.retain(|account| !self.contributions[&id].declined.contains(account));
        }
        panel.retain(|account| self.holds(&Office::Arbiter(dispute.model), *account));
        if panel.len() < self.needed(dispute.model) { Vec::new() } else { panel }
    }

    pub(super) fn answer(&self, sender: AccountId, id: DisputeId) -> Result<(), Refused> {
        if self.open_dispute(id)?.respondent == sender { Ok(()) } else { Err("not_respondent") }
    }

    pub(super) fn rule(&mut self, sender: AccountId, id: DisputeId, upholds: bool) -> Result<(), Refused> {
        let dispute = self.open_dispute(id)?.clone();
        if sender == dispute.challenger && !upholds {
            return self.end_dispute(id, false);
        }
        let arbiters = self.panel(&dispute);
        if !arbiters.contains(&sender) {
            return Err("not_arbiter");
        }
        let needed = self.needed(dispute.model);
        let mut rulings = dispute.rulings;
        rulings.insert(sender, upholds);
        let agree = arbiters.iter().filter(|arbiter| rulings.get(*arbiter) == Some(&upholds)).count();
        if let Some(dispute) = self.disputes.get_mut(&id) {
            dispute.rulings = rulings;
        }
        if agree >= needed {
            return self.end_dispute(id, upholds);
        }
        Ok(())
    }

    /// A dispute ends: upheld, the disputed units are burned, the version is withdrawn, the contribution is void.
    pub(super) fn end_dispute(&mut self, id: DisputeId, upholds: bool) -> Result<(), Refused> {
        let dispute = self.open_dispute(id)?.clone();
        self.set_dispute(id, if upholds { DisputeStatus::Upheld } else { DisputeStatus::Lifted });
        match dispute.target {
            DisputeTarget::Line { model, account } if upholds => {
                let burned = dispute.units.min(self.held(model, account));
                self.seize(model, account, burned)
            }
            DisputeTarget::Version { model, label } if upholds => {
                if self.version(model, &label)?.status != VersionStatus::Withdrawn {
                    self.withdraw_version(model, &label)?;
                }
                Ok(())
            }
            DisputeTarget::Appeal(id) if upholds => {
                if let Some(contribution) = self.contributions.get_mut(&id) {
                    contribution.accepted = true;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn lapse(&mut self, id: DisputeId) {
        if self.open_dispute(id).is_ok() {
            self.set_dispute(id, DisputeStatus::Lapsed);
        }
    }

    fn set_dispute(&mut self, id: DisputeId, status: DisputeStatus) {
        if let Some(dispute) = self.disputes.get_mut(&id) {
            dispute.status = status;
        }
    }
}
