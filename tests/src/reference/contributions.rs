//! Contributions, and the rounds that mint for them.

use super::{Refused, World, divide};
use allod_protocol::{
    ground::ids::{AccountId, ContentHash, ContributionId, ModelId},
    rules::{
        contribution::{ContributionKind, RecordContribution, RevealContribution, seal},
        dispute::DisputeTarget,
        round::{CapPer, RoundPlan},
    },
};
use std::collections::{BTreeMap, BTreeSet};

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
    /// What is undisputed is minted; the rest waits for the disputes.
    Waiting,
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

/// Which part of a round's budget is minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Part {
    All,
    Undisputed,
    Rest,
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
    /// Which part it mints.
    pub part: Part,
    /// What each giver got of it.
    pub got: BTreeMap<AccountId, u64>,
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
        let (wakes, counted, groups, got) = (closes, 0, BTreeMap::new(), BTreeMap::new());
        let part = Part::All;
        let round = Round { plan, records_until, closes, wakes, counted, countersigners, groups, part, got, status };
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
        if sealed != seal(contribution.model, number, sender, asked.amount, asked.salt) {
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
        self.require_not_void(id)?;
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
        self.require_not_void(id)?;
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

    /// Whether an account has spoken about a contribution as a steward, or has something that counts in its round.
    pub(super) fn is_involved(&self, id: ContributionId, account: AccountId) -> bool {
        let one = &self.contributions[&id];
        let spoke = one.countersigned.contains(&account) || one.declined.contains(&account);
        let number = one.round.and_then(|number| usize::try_from(number).ok());
        spoke || number.is_some_and(|number| self.scores(one.model, number, false).contains_key(&account))
    }

    fn require_not_void(&self, id: ContributionId) -> Result<(), Refused> {
        if self.is_settled(&DisputeTarget::Contribution(id)) { Err("frozen") } else { Ok(()) }
    }

    fn is_challenged(&self, id: ContributionId) -> bool {
        self.pending_on(&DisputeTarget::Contribution(id)).next().is_some()
    }

    fn is_appealed(&self, id: ContributionId) -> bool {
        self.pending_on(&DisputeTarget::Appeal(id)).next().is_some()
    }

    fn given_to(&self, model: ModelId, number: usize) -> impl Iterator<Item = (ContributionId, &Contribution)> {
        let of_round = move |one: &Contribution| one.model == model && one.round == Some(number as u64);
        self.contributions.iter().map(|(id, one)| (*id, one)).filter(move |(_, one)| of_round(one))
    }

    /// What a contribution to a round counts, if it does.
    fn worth(&self, number: usize, contribution: &Contribution) -> u64 {
        let weights = &self.models[&contribution.model].rounds[number].plan.weights;
        let weight = weights.iter().find(|weight| weight.kind == contribution.kind);
        contribution.amount * weight.map_or(0, |weight| u64::from(weight.weight))
    }

    /// What each giver's contributions to a round count, if it told all amounts: those countersigned, or appealed with
    /// success, against which no challenge was upheld; or those of them that are not challenged.
    fn scores(&self, model: ModelId, number: usize, undisputed: bool) -> BTreeMap<AccountId, u64> {
        let mut scores = BTreeMap::new();
        for (id, contribution) in self.given_to(model, number) {
            let is_void = self.require_not_void(id).is_err();
            if contribution.accepted && !is_void && !(undisputed && self.is_challenged(id)) {
                *scores.entry(contribution.giver).or_insert(0) += self.worth(number, contribution);
            }
        }
        let withholding = self.withholding(model, number);
        scores.retain(|giver, score| *score > 0 && !withholding.contains_key(giver));
        scores
    }

    /// Whether something of a round is in dispute: it counts and is challenged, or it does not and is appealed.
    fn is_disputed(&self, model: ModelId, number: usize) -> bool {
        self.given_to(model, number).any(|(id, contribution)| {
            let is_void = self.require_not_void(id).is_err();
            if contribution.accepted { !is_void && self.is_challenged(id) } else { self.is_appealed(id) }
        })
    }

    /// What givers' contributions count in what a round mints: at the close, or once nothing is in dispute.
    fn counting(&self, model: ModelId, number: usize) -> BTreeMap<AccountId, u64> {
        let round = &self.models[&model].rounds[number];
        match round.part {
            Part::All | Part::Rest => self.scores(model, number, false),
            Part::Undisputed => self.at(round.counted).scores(model, number, true),
        }
    }

    /// A round's time has come. What counts at the close is what stood when the last block before it was over.
    pub(super) fn round_is_due(&mut self, model: ModelId, number: usize) {
        let (height, time) = (self.height, self.time);
        let status = self.models[&model].rounds[number].status;
        match status {
            RoundStatus::Open => {
                let part = if self.is_disputed(model, number) { Part::Undisputed } else { Part::All };
                let round = self.round_mut(model, number);
                (round.counted, round.part) = (height - 1, part);
                self.begin_minting(model, number);
            }
            RoundStatus::Waiting if self.is_disputed(model, number) => {}
            RoundStatus::Waiting => self.begin_rest(model, number),
            RoundStatus::Closing(5) => {
                self.gather(model, number);
                self.divide_or_end(model, number);
            }
            RoundStatus::Closing(step @ 2..) => self.round_mut(model, number).status = RoundStatus::Closing(step - 1),
            _ => {
                self.mint(model, number);
                let round = self.round_mut(model, number);
                if round.part == Part::Undisputed {
                    self.wait(model, number);
                } else {
                    round.status = RoundStatus::Closed(round.got.values().sum());
                }
            }
        }
        let waits = self.models[&model].rounds[number].status == RoundStatus::Waiting;
        self.round_mut(model, number).wakes = if waits { u64::MAX } else { time + 1 };
    }

    fn round_mut(&mut self, model: ModelId, number: usize) -> &mut Round {
        &mut self.existing_mut(model).rounds[number]
    }

    fn begin_minting(&mut self, model: ModelId, number: usize) {
        let round = &self.models[&model].rounds[number];
        let withheld = !self.at(round.counted).withholding(model, number).is_empty() && round.part != Part::Rest;
        let enough = self.counting(model, number).len() >= self.least_givers(model, number);
        if withheld || (round.shared_cap().is_some() && enough) {
            self.round_mut(model, number).status = RoundStatus::Closing(5);
        } else {
            self.divide_or_end(model, number);
        }
    }

    fn begin_rest(&mut self, model: ModelId, number: usize) {
        self.round_mut(model, number).part = Part::Rest;
        self.begin_minting(model, number);
    }

    fn least_givers(&self, model: ModelId, number: usize) -> usize {
        let least = self.models[&model].rounds[number].plan.min_contributors;
        usize::try_from(least).unwrap_or(usize::MAX).max(1)
    }

    /// Whether too few give; those who share a cap are one giver.
    fn has_too_few(&self, model: ModelId, number: usize) -> bool {
        let groups = &self.models[&model].rounds[number].groups;
        let givers = self.counting(model, number).into_keys();
        let givers: BTreeSet<AccountId> = givers.map(|giver| *groups.get(&giver).unwrap_or(&giver)).collect();
        givers.len() < self.least_givers(model, number)
    }

    fn divide_or_end(&mut self, model: ModelId, number: usize) {
        let too_few = self.has_too_few(model, number);
        let round = self.round_mut(model, number);
        match (too_few, round.part) {
            (true, Part::Undisputed) => self.wait(model, number),
            (true, _) => round.status = RoundStatus::Failed,
            (false, _) => round.status = RoundStatus::Closing(if round.shared_cap().is_some() { 4 } else { 2 }),
        }
    }

    fn wait(&mut self, model: ModelId, number: usize) {
        if self.is_disputed(model, number) {
            self.round_mut(model, number).status = RoundStatus::Waiting;
        } else {
            self.begin_rest(model, number);
        }
    }

    /// Rounds whose last dispute is over go on.
    pub(super) fn wake_rounds(&mut self) {
        let waiting = |round: &Round| round.status == RoundStatus::Waiting && round.wakes == u64::MAX;
        let places: Vec<(ModelId, usize)> = self
            .models
            .iter()
            .flat_map(|(id, model)| model.rounds.iter().enumerate().map(|(number, round)| (*id, number, round)))
            .filter(|(.., round)| waiting(round))
            .map(|(id, number, _)| (id, number))
            .collect();
        for (model, number) in places {
            if !self.is_disputed(model, number) {
                self.round_mut(model, number).wakes = self.time + 1;
            }
        }
    }

    /// Bars those who withhold from the rounds there are and one more, and finds who shares a cap with whom.
    fn gather(&mut self, model: ModelId, number: usize) {
        let round = &self.models[&model].rounds[number];
        let (counted, part) = (round.counted, round.part);
        let until = self.models[&model].rounds.len() as u64 + 1;
        let withholding = self.at(counted).withholding(model, number);
        for account in withholding.keys().filter(|_| part != Part::Rest) {
            self.barred.insert((model, *account), until);
        }
        let Some(per) = self.models[&model].rounds[number].shared_cap() else { return };
        let mut groups = self.models[&model].rounds[number].groups.clone();
        let givers: Vec<AccountId> =
            self.given_to(model, number).filter(|(_, one)| one.accepted).map(|(_, one)| one.giver).collect();
        for giver in givers.into_iter().filter(|giver| !withholding.contains_key(giver)) {
            groups.entry(giver).or_insert_with(|| self.goes_back_to(giver, per));
        }
        self.round_mut(model, number).groups = groups;
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

    fn mint(&mut self, model: ModelId, number: usize) {
        let round = self.models[&model].rounds[number].clone();
        let budget = round.plan.budget.get();
        let cap = u128::from(budget) * round.plan.cap.map_or(10_000, |cap| u128::from(cap.part.get())) / 10_000;
        let cap = u64::try_from(cap).unwrap_or(u64::MAX);
        let dues = match round.part {
            Part::Undisputed => self.least_due(model, number, cap),
            Part::All | Part::Rest => self.due(model, number, cap),
        };
        for (giver, units) in dues {
            self.pay(model, number, giver, units);
        }
    }

    /// Gives a giver what it is due beyond what it got, as far as the budget goes.
    fn pay(&mut self, model: ModelId, number: usize, giver: AccountId, due: u64) {
        let round = self.round_mut(model, number);
        let held = round.plan.budget.get() - round.got.values().sum::<u64>();
        let units = due.saturating_sub(round.got.get(&giver).copied().unwrap_or(0)).min(held);
        if units > 0 {
            *round.got.entry(giver).or_insert(0) += units;
            self.give(model, giver, units).unwrap_or_else(|code| panic!("what is reserved has room: {code}"));
        }
    }

    /// What each giver is due however the disputes end: quotas rounded down, as if all that is disputed counted.
    fn least_due(&self, model: ModelId, number: usize, cap: u64) -> Vec<(AccountId, u64)> {
        let round = &self.models[&model].rounds[number];
        let then = self.at(round.counted);
        let (all, undisputed) = (then.scores(model, number, false), then.scores(model, number, true));
        let appealed = then.given_to(model, number).filter(|(id, one)| !one.accepted && then.is_appealed(*id));
        let appealed: u128 = appealed.map(|(_, one)| u128::from(then.worth(number, one))).sum();
        let whole = all.values().map(|score| u128::from(*score)).sum::<u128>() + appealed;
        let quota = |units: u64, weight: u64, whole: u128| {
            u64::try_from(u128::from(units) * u128::from(weight) / whole).unwrap_or(u64::MAX)
        };
        let due = |(giver, score): (&AccountId, &u64)| {
            let units = match round.groups.get(giver) {
                None => quota(round.plan.budget.get(), *score, whole),
                Some(group) => {
                    let in_group = |(giver, _): &(&AccountId, &u64)| round.groups.get(giver) == Some(group);
                    let together = all.iter().filter(in_group).map(|(_, score)| *score).sum::<u64>();
                    let units = quota(round.plan.budget.get(), together, whole).min(cap);
                    quota(units, *score, together.into())
                }
            };
            (*giver, units.min(cap))
        };
        undisputed.iter().map(due).collect()
    }

    /// What each giver is due: the budget by largest remainders among those who share no cap with each other, then what
    /// they get together among those who do. The largest remainders come first.
    fn due(&self, model: ModelId, number: usize, cap: u64) -> Vec<(AccountId, u64)> {
        let round = &self.models[&model].rounds[number];
        let scores = self.counting(model, number);
        // Who shares a cap with nobody is a group of one.
        let mut parts: BTreeMap<AccountId, Vec<(AccountId, u64)>> = BTreeMap::new();
        for (giver, score) in &scores {
            parts.entry(round.groups.get(giver).copied().unwrap_or(*giver)).or_default().push((*giver, *score));
        }
        let sums: Vec<u64> = parts.values().map(|givers| givers.iter().map(|(_, score)| score).sum()).collect();
        let whole: u128 = sums.iter().map(|sum| u128::from(*sum)).sum();
        let mut dues = Vec::new();
        for (givers, units) in parts.values().zip(divide(round.plan.budget.get(), &sums)) {
            let units = units.min(cap);
            let weights: Vec<u64> = givers.iter().map(|(_, score)| *score).collect();
            let together: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            for ((giver, score), due) in givers.iter().zip(divide(units, &weights)) {
                let (of, among) =
                    if round.shared_cap().is_some() { (units, together) } else { (round.plan.budget.get(), whole) };
                let remainder = u128::from(of) * u128::from(*score) % among;
                dues.push((std::cmp::Reverse(remainder), *giver, due));
            }
        }
        dues.sort();
        dues.into_iter().map(|(_, giver, due)| (giver, due)).collect()
    }
}

impl Round {
    /// Who shares its cap, if it has one that several accounts may share.
    fn shared_cap(&self) -> Option<CapPer> {
        self.plan.cap.map(|cap| cap.per).filter(|per| *per != CapPer::Account)
    }
}
