//! Disputes: what is challenged is frozen until somebody rules, or nobody does. The owners settle what arbiters cannot.

use super::{Answer, Refused, VersionStatus, World};
use allod_protocol::{
    ground::{
        fraction::Portion,
        ids::{AccountId, DisputeId, ModelId},
    },
    rules::{
        dispute::{DisputeTarget, OpenDispute, ResolveDispute},
        office::Office,
        policy::{Arbiters, DisputeTerms, Rule},
        proposal::{ModelAction, Question},
    },
};
use std::collections::BTreeMap;

/// Disputes that one account may have open at a time.
const OPEN_DISPUTES_PER_ACCOUNT: usize = 4;
/// Disputes of one thing that are open at a time.
const DISPUTES_PER_TARGET: usize = 16;
/// How often one account may challenge one thing in vain.
const CHALLENGES_IN_VAIN: usize = 2;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// How long after the time to answer a dispute lapses.
const DISPUTE_MS: u64 = 60 * DAY_MS;
/// How long the owners may open a resolution after an appeal.
const APPEAL_MS: u64 = 14 * DAY_MS;
/// The longest that a loss bars.
const BAR_MS: u64 = 4 * 366 * DAY_MS;

/// How a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DisputeStatus {
    Open,
    /// And whether it is right.
    Ruled(bool),
    /// And what was ruled.
    Appealed(bool),
    Upheld,
    Lifted,
    Lapsed,
    Withdrawn,
    Moot,
    Outbid,
}

impl DisputeStatus {
    /// Whether nothing more comes of it.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Open | Self::Ruled(_) | Self::Appealed(_))
    }
}

/// A challenge.
#[derive(Clone, Debug)]
pub struct Dispute {
    /// About which model.
    pub model: ModelId,
    /// How many of that model came before.
    pub number: usize,
    /// Of what.
    pub target: DisputeTarget,
    /// Of how many units of a line.
    pub units: u64,
    /// By whom.
    pub challenger: AccountId,
    /// Against whom.
    pub respondent: AccountId,
    /// Whether the respondent answered.
    pub answered: bool,
    /// Until when it has to.
    pub answer_until: u64,
    /// Who could rule on it when it was opened.
    pub arbiters: Option<Arbiters>,
    /// On which terms.
    pub terms: DisputeTerms,
    /// What its challenger stakes.
    pub bond: u64,
    /// What each arbiter said last.
    pub rulings: BTreeMap<AccountId, bool>,
    /// When its time is over as it stands.
    pub over: u64,
    /// When it is looked at.
    pub wakes: u64,
    /// Resolutions that are open or queued.
    pub resolutions: usize,
    /// How it stands.
    pub status: DisputeStatus,
}

impl Dispute {
    fn is_line(&self) -> bool {
        matches!(self.target, DisputeTarget::Line { .. })
    }
}

/// A challenge that came to nothing.
#[derive(Clone, Debug)]
pub struct Loss {
    /// In which model.
    pub model: ModelId,
    /// Whose.
    pub challenger: AccountId,
    /// Of what.
    pub target: DisputeTarget,
    /// What stays staked, and until when; nothing for one that was taken back in time.
    pub barred: Option<(u64, u64)>,
}

impl World {
    /// Disputes of a thing that are not over.
    pub(super) fn pending_on<'a>(&'a self, target: &'a DisputeTarget) -> impl Iterator<Item = &'a Dispute> {
        self.disputes.values().filter(move |dispute| dispute.target == *target && !dispute.status.is_final())
    }

    /// Whether a dispute settled a thing for good: a contribution that one was upheld against, an appeal that was judged.
    pub(super) fn is_settled(&self, target: &DisputeTarget) -> bool {
        self.disputes.values().filter(|dispute| dispute.target == *target).any(|dispute| match target {
            DisputeTarget::Contribution(_) => dispute.status == DisputeStatus::Upheld,
            DisputeTarget::Appeal(_) => matches!(dispute.status, DisputeStatus::Upheld | DisputeStatus::Lifted),
            _ => false,
        })
    }

    /// Whether something is frozen: under a dispute that is not over, or settled for good by one.
    pub fn is_frozen(&self, target: &DisputeTarget) -> bool {
        self.is_settled(target) || self.pending_on(target).next().is_some()
    }

    pub(super) fn require_unfrozen(&self, target: &DisputeTarget) -> Result<(), Refused> {
        if self.is_frozen(target) { Err("frozen") } else { Ok(()) }
    }

    /// Units of a line that disputes are about.
    pub fn disputed(&self, model: ModelId, account: AccountId) -> u64 {
        self.pending_on(&DisputeTarget::Line { model, account }).map(|dispute| dispute.units).sum()
    }

    /// That enough is left on a line for its disputes.
    pub(super) fn require_undisputed(&self, model: ModelId, account: AccountId, units: u64) -> Result<(), Refused> {
        let left = self.held(model, account).saturating_sub(units);
        if left < self.disputed(model, account) { Err("frozen") } else { Ok(()) }
    }

    fn losses_of(&self, model: ModelId, account: AccountId) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(move |loss| loss.model == model && loss.challenger == account)
    }

    /// Until when an account cannot challenge in a model.
    fn barred_until(&self, model: ModelId, account: AccountId) -> u64 {
        self.losses_of(model, account).filter_map(|loss| Some(loss.barred?.1)).max().unwrap_or(0)
    }

    /// What an account has at stake in a model: for its disputes, and while it is barred for those it lost.
    pub fn staked(&self, model: ModelId, account: AccountId) -> u64 {
        let own = |dispute: &&Dispute| dispute.model == model && dispute.challenger == account;
        let pending = self.disputes.values().filter(own).filter(|dispute| !dispute.status.is_final());
        let forfeit = if self.time < self.barred_until(model, account) { self.forfeit(model, account) } else { 0 };
        pending.map(|dispute| dispute.bond).sum::<u64>() + forfeit
    }

    /// What it lost since a time at which it was not barred.
    fn forfeit(&self, model: ModelId, account: AccountId) -> u64 {
        let mut sum = 0;
        let mut until = 0;
        for (at, (bond, bar)) in
            self.bars.iter().filter(|(by, ..)| *by == (model, account)).map(|(_, at, bar)| (*at, *bar))
        {
            sum = if at < until { sum + bond } else { bond };
            until = until.max(bar);
        }
        sum
    }

    pub(super) fn challenge(&mut self, sender: AccountId, asked: &OpenDispute, id: DisputeId) -> Result<(), Refused> {
        let units = asked.units.get();
        let (model, respondent) = match &asked.target {
            DisputeTarget::Line { model, account } if units > self.held(*model, *account) => {
                return Err("not_enough_shares");
            }
            DisputeTarget::Line { model, account } => (*model, *account),
            DisputeTarget::Version { model, label } => (*model, self.version(*model, label)?.publisher),
            DisputeTarget::Contribution(id) => (self.contribution(*id)?.model, self.contribution(*id)?.giver),
            DisputeTarget::Appeal(id) => self.appealable(sender, *id)?,
        };
        let is_appeal = matches!(asked.target, DisputeTarget::Appeal(_));
        if !is_appeal {
            self.require_own(model, sender)?;
        }
        if sender == respondent && !is_appeal {
            return Err("own_dispute");
        }
        if self.is_settled(&asked.target) {
            return Err("frozen");
        }
        if self.pending_on(&asked.target).any(|other| other.challenger == sender) {
            return Err("challenged_already");
        }
        if self.open_disputes(sender) >= OPEN_DISPUTES_PER_ACCOUNT {
            return Err("too_many_disputes");
        }
        let bond = if is_appeal { 0 } else { self.bond(model, sender, asked)? };
        let policy = &self.models[&model].policy;
        let (terms, arbiters) = (policy.dispute_terms, policy.arbiters.clone());
        let outbid = self.outbid(&asked.target, bond)?;
        if let DisputeTarget::Contribution(id) = asked.target {
            self.require_review(self.contribution(id)?)?;
        }
        if let Some(outbid) = outbid {
            self.pending_mut(outbid).status = DisputeStatus::Outbid;
        }
        let answer_until = self.time + terms.answer_ms;
        let dispute = Dispute {
            model,
            number: self.disputes.values().filter(|other| other.model == model).count(),
            target: asked.target.clone(),
            units,
            challenger: sender,
            respondent,
            answered: false,
            answer_until,
            arbiters,
            terms,
            bond,
            rulings: BTreeMap::new(),
            over: answer_until + DISPUTE_MS,
            wakes: answer_until + DISPUTE_MS,
            resolutions: 0,
            status: DisputeStatus::Open,
        };
        self.disputes.insert(id, dispute);
        Ok(())
    }

    /// What a challenge stakes, if the challenger may make it.
    fn bond(&self, model: ModelId, sender: AccountId, asked: &OpenDispute) -> Result<u64, Refused> {
        if self.time < self.barred_until(model, sender) {
            return Err("barred");
        }
        if self.losses_of(model, sender).filter(|loss| loss.target == asked.target).count() >= CHALLENGES_IN_VAIN {
            return Err("challenged_too_often");
        }
        let terms = self.models[&model].policy.dispute_terms;
        let part = u128::from(asked.units.get()) * u128::from(terms.bond.numerator());
        let bond = u64::try_from(part.div_ceil(terms.bond.denominator().into())).unwrap_or(u64::MAX);
        let bond = bond.max(terms.bond_units.get()).max(asked.bond.get());
        if bond > self.free(model, sender) { Err("bond_lacking") } else { Ok(bond) }
    }

    /// Whose place a challenge with this bond takes, where there is no place left.
    fn outbid(&self, target: &DisputeTarget, bond: u64) -> Result<Option<DisputeId>, Refused> {
        if self.pending_on(target).count() < DISPUTES_PER_TARGET {
            return Ok(None);
        }
        let waits = |one: &Dispute| {
            one.target == *target
                && one.status == DisputeStatus::Open
                && one.rulings.is_empty()
                && one.resolutions == 0
                && one.bond < bond
        };
        let waiting = self.disputes.iter().filter(|(_, one)| waits(one));
        let least = waiting.min_by_key(|(_, one)| (one.bond, std::cmp::Reverse(one.number)));
        least.map(|(id, _)| Some(*id)).ok_or("too_many_challenges")
    }

    fn pending(&self, id: DisputeId) -> Result<&Dispute, Refused> {
        let dispute = self.disputes.get(&id).ok_or("unknown_dispute")?;
        if dispute.status.is_final() { Err("dispute_over") } else { Ok(dispute) }
    }

    fn pending_mut(&mut self, id: DisputeId) -> &mut Dispute {
        self.disputes.get_mut(&id).unwrap_or_else(|| panic!("dispute {id} was there"))
    }

    pub(super) fn pending_of(&self, model: ModelId, id: DisputeId) -> Result<&Dispute, Refused> {
        let dispute = self.pending(id)?;
        if dispute.model == model { Ok(dispute) } else { Err("unknown_dispute") }
    }

    fn require_heard(&self, dispute: &Dispute) -> Result<(), Refused> {
        if dispute.answered || self.time >= dispute.answer_until { Ok(()) } else { Err("not_heard") }
    }

    /// The rule by which the owners may resolve a dispute now. To take units they must meet the rule of ownership too.
    pub(super) fn rule_to_resolve(&self, model: ModelId, id: DisputeId, upholds: bool) -> Result<Rule, Refused> {
        let dispute = self.pending_of(model, id)?;
        let asked = dispute.resolutions > 0;
        match dispute.status {
            DisputeStatus::Open if !asked && self.rules(dispute) => return Err("for_arbiters"),
            DisputeStatus::Ruled(_) => return Err("for_arbiters"),
            _ => {}
        }
        self.require_heard(dispute)?;
        if self.time >= dispute.over {
            return Err("dispute_over");
        }
        let policy = &self.models[&model].policy;
        let takes_units = upholds && dispute.is_line();
        Ok(if takes_units { strictest(&policy.dispute, &policy.ownership) } else { policy.dispute.clone() })
    }

    /// Who sits on a dispute: of those who were named when it was opened, as many as there are seats, in their order.
    pub fn panel(&self, dispute: &Dispute) -> Vec<AccountId> {
        let Some(Arbiters { accounts, stand_ins, .. }) = &dispute.arbiters else { return Vec::new() };
        let office = Office::Arbiter(dispute.model);
        let sits = |account: &AccountId| {
            let is_party = *account == dispute.challenger || *account == dispute.respondent;
            let accepted = matches!(self.answer_to(&office, *account), Some(Answer::Accepted | Answer::Dismissed));
            let suspended = self.accounts.get(account).is_none_or(|account| account.suspended);
            let involved = match &dispute.target {
                DisputeTarget::Appeal(id) | DisputeTarget::Contribution(id) => self.is_involved(*id, *account),
                _ => false,
            };
            !is_party && !involved && accepted && !suspended && self.held(dispute.model, *account) == 0
        };
        accounts.iter().chain(stand_ins).copied().filter(sits).take(accounts.len()).collect()
    }

    /// Whether enough sit to rule.
    pub fn rules(&self, dispute: &Dispute) -> bool {
        let needed = dispute.arbiters.as_ref().map_or(u32::MAX, |arbiters| arbiters.needed);
        u32::try_from(self.panel(dispute).len()).unwrap_or(u32::MAX) >= needed
    }

    fn agree(&self, dispute: &Dispute, upholds: bool) -> usize {
        self.panel(dispute).iter().filter(|arbiter| dispute.rulings.get(*arbiter) == Some(&upholds)).count()
    }

    /// Whether arbiters can do by themselves what they ruled.
    fn stands_alone(&self, dispute: &Dispute, upholds: bool) -> bool {
        let takes_units = upholds && dispute.is_line();
        let all = |arbiters: &Arbiters| arbiters.take_units && self.agree(dispute, true) == arbiters.accounts.len();
        !takes_units || dispute.arbiters.as_ref().is_some_and(all)
    }

    pub(super) fn answer(&mut self, sender: AccountId, id: DisputeId) -> Result<(), Refused> {
        if self.pending(id)?.respondent != sender {
            return Err("not_respondent");
        }
        self.pending_mut(id).answered = true;
        Ok(())
    }

    pub(super) fn rule(&mut self, sender: AccountId, id: DisputeId, upholds: bool) -> Result<(), Refused> {
        let dispute = self.pending(id)?;
        if dispute.resolutions > 0 || matches!(dispute.status, DisputeStatus::Appealed(_)) {
            return Err("for_owners");
        }
        if !self.panel(dispute).contains(&sender) {
            return Err("not_arbiter");
        }
        if !self.rules(dispute) {
            return Err("for_owners");
        }
        self.require_heard(dispute)?;
        let is_open = dispute.status == DisputeStatus::Open;
        if !is_open && dispute.rulings.contains_key(&sender) {
            return Err("ruled_already");
        }
        self.pending_mut(id).rulings.insert(sender, upholds);
        let dispute = &self.disputes[&id];
        let needed = dispute.arbiters.as_ref().map_or(usize::MAX, |arbiters| arbiters.needed as usize);
        if is_open && self.agree(dispute, upholds) >= needed {
            let stands = self.time + dispute.terms.ruling_timelock_ms;
            self.move_on(id, DisputeStatus::Ruled(upholds), stands);
        }
        Ok(())
    }

    fn move_on(&mut self, id: DisputeId, status: DisputeStatus, over: u64) {
        let dispute = self.pending_mut(id);
        (dispute.status, dispute.over, dispute.wakes) = (status, over, over);
    }

    pub(super) fn appeal(&mut self, sender: AccountId, id: DisputeId) -> Result<(), Refused> {
        let dispute = self.pending(id)?;
        let DisputeStatus::Ruled(upholds) = dispute.status else { return Err("nothing_to_appeal") };
        if sender != if upholds { dispute.respondent } else { dispute.challenger } {
            return Err("not_appellant");
        }
        let until = self.time + APPEAL_MS;
        self.move_on(id, DisputeStatus::Appealed(upholds), until);
        Ok(())
    }

    pub(super) fn withdraw_dispute(&mut self, sender: AccountId, id: DisputeId) -> Result<(), Refused> {
        let dispute = self.pending(id)?;
        if dispute.challenger != sender {
            return Err("not_challenger");
        }
        let is_under_way = dispute.resolutions > 0 || !dispute.rulings.is_empty();
        if dispute.status != DisputeStatus::Open || is_under_way {
            return Err("too_late_to_withdraw");
        }
        let in_time = self.require_heard(dispute).is_err();
        self.lose(id, !in_time);
        self.pending_mut(id).status = DisputeStatus::Withdrawn;
        self.wake_rounds();
        Ok(())
    }

    /// What a challenge that came to nothing costs.
    fn lose(&mut self, id: DisputeId, is_barred: bool) {
        let Dispute { model, challenger, target, bond, terms, .. } = self.disputes[&id].clone();
        if matches!(target, DisputeTarget::Appeal(_)) {
            return;
        }
        let before = self.losses_of(model, challenger).count();
        let bar = (0..before).fold(terms.bar_ms, |bar, _| (bar * 2).min(BAR_MS)).min(BAR_MS);
        let barred = is_barred.then_some((bond, self.time + bar));
        if let Some(barred) = barred {
            self.bars.push(((model, challenger), self.time, barred));
        }
        self.losses.push(Loss { model, challenger, target, barred });
    }

    /// A dispute ends: upheld, the disputed units are burned, the version is withdrawn, the contribution is void.
    pub(super) fn end_dispute(&mut self, id: DisputeId, upholds: bool) -> Result<(), Refused> {
        let dispute = self.pending(id)?.clone();
        if !upholds {
            self.lose(id, true);
            self.pending_mut(id).status = DisputeStatus::Lifted;
            self.wake_rounds();
            return Ok(());
        }
        self.pending_mut(id).status = DisputeStatus::Upheld;
        match &dispute.target {
            DisputeTarget::Line { model, account } => {
                let burned = dispute.units.min(self.held(*model, *account));
                return self.seize(*model, *account, burned);
            }
            DisputeTarget::Version { model, label } => {
                if self.version(*model, label)?.status != VersionStatus::Withdrawn {
                    self.withdraw_version(*model, label)?;
                }
            }
            DisputeTarget::Appeal(id) => {
                if let Some(contribution) = self.contributions.get_mut(id) {
                    contribution.accepted = true;
                }
            }
            DisputeTarget::Contribution(_) => {}
        }
        for other in self.disputes.values_mut() {
            if other.target == dispute.target && !other.status.is_final() {
                other.status = DisputeStatus::Moot;
            }
        }
        self.wake_rounds();
        Ok(())
    }

    /// A resolution was opened, or is over.
    pub(super) fn count_resolutions(&mut self, question: &Question, is_over: bool) {
        let time = self.time;
        for action in question.model_actions() {
            let ModelAction::ResolveDispute(ResolveDispute { dispute, .. }) = action else { continue };
            let dispute = self.pending_mut(*dispute);
            dispute.resolutions = if is_over { dispute.resolutions - 1 } else { dispute.resolutions + 1 };
            // Its own time may come in this very block yet.
            if is_over && dispute.resolutions == 0 && dispute.wakes == u64::MAX {
                dispute.wakes = time + 1;
            }
        }
    }

    pub(super) fn dispute_is_due(&mut self, id: DisputeId) {
        let Ok(dispute) = self.pending(id) else { return };
        if dispute.resolutions > 0 {
            self.pending_mut(id).wakes = u64::MAX;
            return;
        }
        let (status, time) = (dispute.status, self.time);
        match status {
            DisputeStatus::Ruled(upholds) | DisputeStatus::Appealed(upholds) if self.stands_alone(dispute, upholds) => {
                self.end_dispute(id, upholds).unwrap_or_else(|code| panic!("a ruling can be done: {code}"));
            }
            DisputeStatus::Ruled(upholds) => self.move_on(id, DisputeStatus::Appealed(upholds), time + APPEAL_MS),
            DisputeStatus::Appealed(_) => self.pending_mut(id).status = DisputeStatus::Lapsed,
            _ => {
                self.lose(id, true);
                self.pending_mut(id).status = DisputeStatus::Lapsed;
            }
        }
        self.wake_rounds();
    }
}

/// A rule that is met only where both are: of each bound the stricter one, in the voices of the second.
fn strictest(one: &Rule, two: &Rule) -> Rule {
    let stricter = |one: Portion, two: Portion| if one > two { one } else { two };
    let mut rule = Rule {
        electorate: two.electorate,
        quorum: stricter(one.quorum, two.quorum),
        threshold: stricter(one.threshold, two.threshold),
        yes_quorum: stricter(one.yes_quorum, two.yes_quorum),
        veto: match (one.veto, two.veto) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        },
        voting_period_ms: one.voting_period_ms.max(two.voting_period_ms),
        early_close_ms: match (one.early_close_ms, two.early_close_ms) {
            (Some(one), Some(two)) => Some(one.max(two)),
            _ => None,
        },
        late_extension_ms: one.late_extension_ms.max(two.late_extension_ms),
        timelock_ms: one.timelock_ms.max(two.timelock_ms),
        execution_window_ms: one.execution_window_ms.max(two.execution_window_ms),
        proposers: one.proposers,
        objection: None,
        blocking_holders: match (one.blocking_holders, two.blocking_holders) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        },
    };
    match (one.objection, two.objection) {
        (Some(one), Some(two)) => rule.objection = Some(one.min(two)),
        (Some(objection), None) | (None, Some(objection)) => {
            rule.yes_quorum = stricter(rule.yes_quorum, objection.complement());
        }
        (None, None) => {}
    }
    rule
}
