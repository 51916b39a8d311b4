//! Contributions, and the rounds that mint for them.

use super::{Refused, World, divide};
use allod_protocol::{
    contribution::{ContributionKind, RecordContribution, RevealContribution, seal},
    dispute::DisputeTarget,
    ids::{AccountId, ContentHash, ContributionId, ModelId},
    round::{CapPer, RoundPlan},
};
use std::collections::BTreeMap;

/// Rounds of a model that are not over.
const OPEN_ROUNDS: usize = 16;

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
    /// Stewards who countersigned it.
    pub countersigned: Vec<AccountId>,
    /// Stewards who declined it.
    pub declined: Vec<AccountId>,
    /// Whether enough stewards countersigned it, or an appeal was upheld.
    pub accepted: bool,
}

impl Contribution {
    /// Whether its amount is still to be told.
    pub const fn is_sealed(&self) -> bool {
        self.sealed.is_some() && self.amount == 0
    }
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundStatus {
    /// It records, or is under review.
    Open,
    /// It mints in so many blocks: the ledger spreads the work, one step a block. 5 is for what is withheld and for who
    /// shares a cap; where nobody does, 4 and 3 are left out.
    Closing(u8),
    /// It is over, and minted so much.
    Closed(u64),
    /// It is over, and too few gave.
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
    /// How many stewards have to countersign.
    pub countersigners: u32,
    /// The account that each giver who shares a cap goes back to.
    pub groups: BTreeMap<AccountId, AccountId>,
    /// Where it stands.
    pub status: RoundStatus,
}

impl World {
    pub(super) fn open_round(&mut self, id: ModelId, plan: &RoundPlan) -> Result<(), Refused> {
        self.require_active(id)?;
        let model = self.model(id)?;
        if model.rounds.iter().filter(|round| !round.status.is_final()).count() >= OPEN_ROUNDS {
            return Err("too_many_rounds");
        }
        let countersigners = model.policy.countersigners;
        self.require_room(id, plan.budget.get())?;
        let records_until = self.time + plan.recording_ms;
        let closes = records_until + plan.review_ms;
        let (plan, status) = (plan.clone(), RoundStatus::Open);
        let (wakes, counted, groups) = (closes, 0, BTreeMap::new());
        let round = Round { plan, records_until, closes, wakes, counted, countersigners, groups, status };
        self.existing_mut(id).rounds.push(round);
        Ok(())
    }

    /// The owners retired the model: recording is over, and review takes its time from now.
    pub(super) fn settle_rounds(&mut self, id: ModelId) {
        let time = self.time;
        for round in &mut self.existing_mut(id).rounds {
            if round.status == RoundStatus::Open && time < round.records_until {
                round.records_until = time;
                round.closes = time + round.plan.review_ms;
                round.wakes = round.closes;
            }
        }
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
            if self.barred.get(&(asked.model, giver)).is_some_and(|until| number < *until) {
                return Err("barred_from_round");
            }
            if round.plan.sealed != asked.sealed.is_some() {
                return Err("seal_expected");
            }
            if !round.plan.weights.iter().any(|weight| weight.kind == asked.kind) {
                return Err("kind_not_weighed");
            }
        }
        let contribution = Contribution {
            model: asked.model,
            round: asked.round,
            giver,
            kind: asked.kind,
            amount: asked.amount,
            sealed: asked.sealed,
            countersigned: Vec::new(),
            declined: Vec::new(),
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
        if sealed != seal((contribution.model, number), sender, asked.amount, asked.salt) {
            return Err("seal_mismatch");
        }
        if let Some(contribution) = self.contributions.get_mut(&asked.contribution) {
            contribution.amount = asked.amount;
        }
        Ok(())
    }

    /// That a steward may speak about a contribution.
    fn require_word(&self, sender: AccountId, contribution: &Contribution) -> Result<(), Refused> {
        self.model(contribution.model)?;
        if !self.is_steward(contribution.model, sender) {
            return Err("not_steward");
        }
        if contribution.accepted {
            return Err("already_accepted");
        }
        if contribution.giver == sender {
            return Err("own_contribution");
        }
        self.require_review(contribution)
    }

    /// Takes a steward's word about a contribution; it replaces what the steward said before.
    fn say(&mut self, id: ContributionId, steward: AccountId, receives: bool) {
        let said = &self.contributions[&id];
        let spoke = said.countersigned.iter().chain(&said.declined).copied();
        let stewards: Vec<AccountId> = spoke.filter(|one| self.is_steward(said.model, *one)).collect();
        let Some(contribution) = self.contributions.get_mut(&id) else { return };
        contribution.countersigned.retain(|one| *one != steward && stewards.contains(one));
        contribution.declined.retain(|one| *one != steward && stewards.contains(one));
        if receives { contribution.countersigned.push(steward) } else { contribution.declined.push(steward) }
    }

    pub(super) fn accept(&mut self, sender: AccountId, id: ContributionId) -> Result<(), Refused> {
        let contribution = self.contribution(id)?;
        self.require_word(sender, contribution)?;
        if contribution.countersigned.contains(&sender) {
            return Err("already_countersigned");
        }
        if contribution.is_sealed() {
            return Err("still_sealed");
        }
        self.require_unfrozen(&DisputeTarget::Contribution(id))?;
        self.say(id, sender, true);
        let enough = self.contributions[&id].countersigned.len() >= self.countersigners_of(&self.contributions[&id]);
        if let Some(contribution) = self.contributions.get_mut(&id) {
            contribution.accepted = enough;
        }
        Ok(())
    }

    /// How many stewards have to countersign a contribution: as many as were asked for, and one fewer if its giver is one
    /// whom they would lack.
    pub fn countersigners_of(&self, contribution: &Contribution) -> usize {
        let model = &self.models[&contribution.model];
        let others = model.stewards.iter().filter(|steward| **steward != contribution.giver).count();
        let round = contribution.round.and_then(|number| model.rounds.get(usize::try_from(number).ok()?));
        let asked = round.map_or(model.policy.countersigners, |round| round.countersigners);
        let asked = usize::try_from(asked).unwrap_or(usize::MAX);
        let lacks_giver = model.stewards.contains(&contribution.giver) && others < asked;
        if lacks_giver { (asked - 1).max(1) } else { asked }
    }

    pub(super) fn decline(&mut self, sender: AccountId, id: ContributionId) -> Result<(), Refused> {
        self.require_word(sender, self.contribution(id)?)?;
        self.say(id, sender, false);
        Ok(())
    }

    /// Whom an appeal is against, if the giver may make it now.
    pub(super) fn appealable(&self, sender: AccountId, id: ContributionId) -> Result<(ModelId, AccountId), Refused> {
        let contribution = self.contribution(id)?;
        if contribution.giver != sender {
            return Err("not_giver");
        }
        if self.is_frozen(&DisputeTarget::Appeal(id)) {
            return Err("appealed_already");
        }
        if contribution.accepted {
            return Err("already_accepted");
        }
        if contribution.is_sealed() {
            return Err("still_sealed");
        }
        self.require_unfrozen(&DisputeTarget::Contribution(id))?;
        self.require_review(contribution)?;
        let waits = match contribution.round {
            Some(number) => self.time >= self.round(contribution.model, number)?.records_until,
            None => false,
        };
        if contribution.declined.is_empty() && !waits {
            return Err("not_declined");
        }
        let stewards = &self.model(contribution.model)?.stewards;
        let can = |steward: &&AccountId| **steward != sender && self.is_steward(contribution.model, **steward);
        let others = contribution.declined.iter().chain(stewards.iter().filter(can));
        Ok((contribution.model, others.copied().next().unwrap_or(sender)))
    }

    /// Givers who have not told an amount of a round, and how many they have not told.
    fn withholding(&self, model: ModelId, number: usize) -> BTreeMap<AccountId, u64> {
        let mut withholding = BTreeMap::new();
        for contribution in self.contributions.values() {
            let of_round = contribution.model == model && contribution.round == Some(number as u64);
            if of_round && contribution.is_sealed() {
                *withholding.entry(contribution.giver).or_insert(0) += 1;
            }
        }
        withholding
    }

    /// What each giver's contributions to a round count: those countersigned and not disputed, if it told all amounts.
    fn scores(&self, model: ModelId, number: usize) -> BTreeMap<AccountId, u64> {
        let mut scores = BTreeMap::new();
        for (id, contribution) in &self.contributions {
            let of_round = contribution.model == model && contribution.round == Some(number as u64);
            let frozen = self.is_frozen(&DisputeTarget::Contribution(*id));
            if of_round && contribution.accepted && !frozen {
                let weights = &self.models[&model].rounds[number].plan.weights;
                let weight = weights.iter().find(|weight| weight.kind == contribution.kind);
                let worth = contribution.amount * weight.map_or(0, |weight| u64::from(weight.weight));
                *scores.entry(contribution.giver).or_insert(0) += worth;
            }
        }
        let withholding = self.withholding(model, number);
        scores.retain(|giver, score| *score > 0 && !withholding.contains_key(giver));
        scores
    }

    /// A round's time has come. What counts is what stood when the last block before its close was over.
    pub(super) fn round_is_due(&mut self, model: ModelId, number: usize) {
        let (height, time) = (self.height, self.time);
        let round = &self.models[&model].rounds[number];
        let counted = if round.status == RoundStatus::Open { height - 1 } else { round.counted };
        let (scores, withholding) =
            (self.at(counted).scores(model, number), self.at(counted).withholding(model, number));
        let least = usize::try_from(round.plan.min_contributors).unwrap_or(usize::MAX).max(1);
        let (fails, is_shared) = (scores.len() < least, round.shared_cap().is_some());
        let status = match round.status {
            RoundStatus::Open if !withholding.is_empty() || (is_shared && !fails) => RoundStatus::Closing(5),
            RoundStatus::Open if fails => RoundStatus::Failed,
            RoundStatus::Open => RoundStatus::Closing(2),
            RoundStatus::Closing(5) => {
                self.gather(model, number, scores.keys(), withholding.keys());
                match (fails, is_shared) {
                    (true, _) => RoundStatus::Failed,
                    (false, true) => RoundStatus::Closing(4),
                    (false, false) => RoundStatus::Closing(2),
                }
            }
            RoundStatus::Closing(step @ 2..) => RoundStatus::Closing(step - 1),
            _ => self.mint(model, number, &scores),
        };
        let round = &mut self.existing_mut(model).rounds[number];
        (round.counted, round.wakes, round.status) = (counted, time + 1, status);
    }

    /// Bars those who withhold from the rounds there are and one more, and finds who shares a cap with whom.
    fn gather<'a>(
        &mut self,
        model: ModelId,
        number: usize,
        givers: impl Iterator<Item = &'a AccountId>,
        withholding: impl Iterator<Item = &'a AccountId>,
    ) {
        let until = self.models[&model].rounds.len() as u64 + 1;
        for account in withholding {
            self.barred.insert((model, *account), until);
        }
        let Some(per) = self.models[&model].rounds[number].shared_cap() else { return };
        let groups = givers.map(|giver| (*giver, self.goes_back_to(*giver, per))).collect();
        self.existing_mut(model).rounds[number].groups = groups;
    }

    /// The founding account, or the nearest member, that an account goes back to.
    fn goes_back_to(&self, account: AccountId, per: CapPer) -> AccountId {
        let found = &self.accounts[&account];
        match found.sponsor {
            Some(sponsor) if !(per == CapPer::Member && found.member_since.is_some()) => {
                self.goes_back_to(sponsor, per)
            }
            _ => account,
        }
    }

    fn mint(&mut self, model: ModelId, number: usize, scores: &BTreeMap<AccountId, u64>) -> RoundStatus {
        let (plan, groups) =
            (self.models[&model].rounds[number].plan.clone(), self.models[&model].rounds[number].groups.clone());
        // What was reserved for the round is there to be minted now.
        self.existing_mut(model).rounds[number].status = RoundStatus::Closed(0);
        let budget = plan.budget.get();
        let cap = u128::from(budget) * plan.cap.map_or(10_000, |cap| u128::from(cap.part.get())) / 10_000;
        let cap = u64::try_from(cap).unwrap_or(u64::MAX);
        // Who shares a cap with nobody is a group of one.
        let mut parts: BTreeMap<AccountId, Vec<(AccountId, u64)>> = BTreeMap::new();
        for (giver, score) in scores {
            parts.entry(groups.get(giver).copied().unwrap_or(*giver)).or_default().push((*giver, *score));
        }
        let sums: Vec<u64> = parts.values().map(|givers| givers.iter().map(|(_, score)| score).sum()).collect();
        let mut minted = 0;
        for (givers, units) in parts.values().zip(divide(budget, &sums)) {
            let weights: Vec<u64> = givers.iter().map(|(_, score)| *score).collect();
            for ((giver, _), units) in givers.iter().zip(divide(units.min(cap), &weights)) {
                if units > 0 {
                    self.give(model, *giver, units).unwrap_or_else(|code| panic!("what is reserved has room: {code}"));
                    minted += units;
                }
            }
        }
        RoundStatus::Closed(minted)
    }
}

impl Round {
    /// Who shares its cap, if it has one that several accounts may share.
    fn shared_cap(&self) -> Option<CapPer> {
        self.plan.cap.map(|cap| cap.per).filter(|per| *per != CapPer::Account)
    }
}
