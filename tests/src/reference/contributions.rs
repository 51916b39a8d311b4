//! Contributions, and the rounds that mint for them.

use super::{Refused, World, divide};
use allod_protocol::{
    contribution::{ContributionKind, RecordContribution, RevealContribution, seal},
    dispute::DisputeTarget,
    ids::{AccountId, ContentHash, ContributionId, ModelId},
    round::RoundPlan,
};
use std::collections::BTreeMap;

/// What was given.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// To which model.
    pub model: ModelId,
    /// In which round.
    pub round: Option<u64>,
    /// By whom.
    pub giver: AccountId,
    /// Of what kind.
    pub kind: ContributionKind,
    /// How much; 0 while it is sealed.
    pub amount: u64,
    /// With what it was sealed.
    pub sealed: Option<ContentHash>,
    /// Whether a steward countersigned it.
    pub accepted: bool,
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundStatus {
    /// It records, or is under review.
    Open,
    /// It mints in so many blocks: the ledger spreads the work, one step a block.
    Closing(u8),
    /// It is over, and minted so much.
    Closed(u64),
    /// It is over, and too few gave, or the model had ended.
    Failed,
}

impl RoundStatus {
    /// Whether it is over.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Closed(_) | Self::Failed)
    }
}

/// A round.
#[derive(Clone, Debug)]
pub struct Round {
    /// What was decided.
    pub plan: RoundPlan,
    /// Until when it records.
    pub records_until: u64,
    /// When it closes.
    pub closes: u64,
    /// When something happens to it by itself.
    pub wakes: u64,
    /// The last height before it closed; 0 until then.
    pub counted: u64,
    /// Where it stands.
    pub status: RoundStatus,
}

impl World {
    pub(super) fn open_round(&mut self, id: ModelId, plan: &RoundPlan) -> Result<(), Refused> {
        self.require_active(id)?;
        self.require_room(id, plan.budget.get())?;
        let records_until = self.time + plan.recording_ms;
        let closes = records_until + plan.review_ms;
        let (plan, status) = (plan.clone(), RoundStatus::Open);
        self.existing_mut(id).rounds.push(Round { plan, records_until, closes, wakes: closes, counted: 0, status });
        Ok(())
    }

    fn round(&self, model: ModelId, number: u64) -> Result<&Round, Refused> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.model(model)?.rounds.get(index).ok_or("unknown_round")
    }

    pub(super) fn require_review(&self, contribution: &Contribution) -> Result<(), Refused> {
        let Some(number) = contribution.round else { return Ok(()) };
        if self.time >= self.round(contribution.model, number)?.closes { Err("round_over") } else { Ok(()) }
    }

    pub(super) fn contribution(&self, id: ContributionId) -> Result<&Contribution, Refused> {
        self.contributions.get(&id).ok_or("unknown_contribution")
    }

    pub(super) fn record(
        &mut self,
        giver: AccountId,
        asked: &RecordContribution,
        id: ContributionId,
    ) -> Result<(), Refused> {
        self.model(asked.model)?;
        if let Some(number) = asked.round {
            let round = self.round(asked.model, number)?;
            if self.time >= round.records_until {
                return Err("round_over");
            }
            if round.plan.sealed != asked.sealed.is_some() {
                return Err("seal_expected");
            }
        }
        let contribution = Contribution {
            model: asked.model,
            round: asked.round,
            giver,
            kind: asked.kind,
            amount: asked.amount,
            sealed: asked.sealed,
            accepted: false,
        };
        self.contributions.insert(id, contribution);
        Ok(())
    }

    pub(super) fn reveal(&mut self, sender: AccountId, asked: &RevealContribution) -> Result<(), Refused> {
        let contribution = self.contribution(asked.contribution)?;
        if contribution.giver != sender {
            return Err("not_giver");
        }
        let (Some(number), Some(sealed), 0) = (contribution.round, contribution.sealed, contribution.amount) else {
            return Err("not_sealed");
        };
        self.require_review(contribution)?;
        if self.time < self.round(contribution.model, number)?.records_until {
            return Err("still_recording");
        }
        if sealed != seal(sender, asked.amount, asked.salt) {
            return Err("seal_mismatch");
        }
        if let Some(contribution) = self.contributions.get_mut(&asked.contribution) {
            contribution.amount = asked.amount;
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, sender: AccountId, id: ContributionId) -> Result<(), Refused> {
        let contribution = self.contribution(id)?;
        if !self.is_steward(contribution.model, sender) {
            return Err("not_steward");
        }
        if contribution.accepted {
            return Err("already_accepted");
        }
        if contribution.giver == sender {
            return Err("own_contribution");
        }
        if contribution.amount == 0 {
            return Err("still_sealed");
        }
        self.require_unfrozen(&DisputeTarget::Contribution(id))?;
        self.require_review(contribution)?;
        if let Some(contribution) = self.contributions.get_mut(&id) {
            contribution.accepted = true;
        }
        Ok(())
    }

    /// What each giver's contributions to a round count: those countersigned and not disputed.
    fn scores(&self, model: ModelId, number: usize) -> BTreeMap<AccountId, u64> {
        let mut scores = BTreeMap::new();
        for (id, contribution) in &self.contributions {
            let of_round = contribution.model == model && contribution.round == Some(number as u64);
            let frozen = self.require_unfrozen(&DisputeTarget::Contribution(*id)).is_err();
            if of_round && contribution.accepted && !frozen {
                let weights = &self.models[&model].rounds[number].plan.weights;
                let weight = weights.iter().find(|weight| weight.kind == contribution.kind);
                let worth = contribution.amount * weight.map_or(0, |weight| u64::from(weight.weight));
                *scores.entry(contribution.giver).or_insert(0) += worth;
            }
        }
        scores.retain(|_, score| *score > 0);
        scores
    }

    /// A round's time has come. What counts is what stood when the last block before its close was over.
    pub(super) fn round_is_due(&mut self, model: ModelId, number: usize) {
        let (height, time) = (self.height, self.time);
        let round = &self.models[&model].rounds[number];
        let counted = if round.status == RoundStatus::Open { height - 1 } else { round.counted };
        let scores = self.at(counted).scores(model, number);
        let least = usize::try_from(round.plan.min_contributors).unwrap_or(usize::MAX).max(1);
        let status = match round.status {
            RoundStatus::Open if scores.len() < least || self.models[&model].retired => RoundStatus::Failed,
            RoundStatus::Open => RoundStatus::Closing(2),
            RoundStatus::Closing(2) => RoundStatus::Closing(1),
            _ => self.mint(model, number, &scores),
        };
        let round = &mut self.existing_mut(model).rounds[number];
        (round.counted, round.wakes, round.status) = (counted, time + 1, status);
    }

    fn mint(&mut self, model: ModelId, number: usize, scores: &BTreeMap<AccountId, u64>) -> RoundStatus {
        let plan = self.models[&model].rounds[number].plan.clone();
        // What was reserved for the round is there to be minted now.
        self.existing_mut(model).rounds[number].status = RoundStatus::Closed(0);
        let budget = plan.budget.get();
        let cap = u128::from(budget) * plan.cap.map_or(10_000, |cap| u128::from(cap.get())) / 10_000;
        let weights: Vec<u64> = scores.values().copied().collect();
        let mut minted = 0;
        for (giver, units) in scores.keys().zip(divide(budget, &weights)) {
            let units = units.min(u64::try_from(cap).unwrap_or(u64::MAX));
            if units > 0 {
                self.give(model, *giver, units).unwrap_or_else(|code| panic!("what is reserved has room: {code}"));
                minted += units;
            }
        }
        RoundStatus::Closed(minted)
    }
}
