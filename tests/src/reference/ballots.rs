//! Weights, ballots, tallies. An account answers with its own weight and with that of everybody who had delegated to it
//! by the snapshot and has not answered.

use super::{Delegation, Proposal, Refused, World, divide};
use allod_protocol::{
    ground::{
        fraction::Portion,
        ids::{AccountId, ModelId},
    },
    rules::{
        policy::{Electorate, Rule},
        proposal::{BallotPart, CastBallot, Choice, Scope},
    },
};

/// The weights of the answers to one proposal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// For it.
    pub yes: u64,
    /// Against it.
    pub no: u64,
    /// Neither.
    pub abstain: u64,
    /// Against it, and for rejecting it alone.
    pub veto: u64,
    /// The part of these that delegates answered with.
    pub delegated: u64,
    /// What quorums are parts of: of everybody but who sleeps, at least of half.
    pub electorate: u64,
    /// Of everybody.
    pub whole: u64,
    /// Of who sleeps.
    pub asleep: u64,
    /// Accounts that answered.
    pub ballots: u64,
    /// Accounts that are against it with all they hold.
    pub opposed: u64,
}

fn reaches(part: u64, whole: u64, portion: Portion) -> bool {
    let (numerator, denominator) = (portion.part().numerator(), portion.part().denominator());
    let (scaled, least) = (u128::from(part) * u128::from(denominator), u128::from(whole) * u128::from(numerator));
    if portion.is_more_than() { scaled > least } else { scaled >= least }
}

impl Tally {
    fn answered(&self) -> u64 {
        self.yes + self.no + self.abstain + self.veto
    }

    /// What the answers come to.
    ///
    /// # Errors
    /// Why it does not pass.
    pub fn judge(&self, rule: &Rule) -> Result<(), Refused> {
        let against = self.no + self.veto;
        if let Some(objection) = rule.objection {
            return if reaches(against, self.electorate, objection) { Err("objected") } else { Ok(()) };
        }
        if rule.blocking_holders.is_some_and(|holders| self.opposed >= u64::from(holders)) {
            return Err("blocked");
        }
        if !reaches(self.answered(), self.electorate, rule.quorum) {
            return Err("no_quorum");
        }
        if rule.veto.is_some_and(|veto| self.veto > 0 && reaches(self.veto, self.answered(), veto)) {
            return Err("vetoed");
        }
        if self.yes == 0 || !reaches(self.yes, self.yes + against, rule.threshold) {
            return Err("not_enough_yes");
        }
        if reaches(self.yes, self.electorate, rule.yes_quorum) { Ok(()) } else { Err("no_yes_quorum") }
    }

    /// Whether it comes to the same whatever those say who have not answered themselves. What was delegated is counted
    /// twice where that is against the outcome, as nobody can tell for what the delegate gave it.
    fn is_settled(&self, rule: &Rule) -> bool {
        let open = self.whole - self.answered() + self.delegated;
        let awake = Self { electorate: self.whole, asleep: 0, ..*self };
        // Nobody knows how many holders are behind what is open.
        let opposed = if open > 0 { u64::MAX } else { self.opposed };
        let less = |sum: u64| sum.saturating_sub(self.delegated);
        let worst = [
            Self { yes: less(self.yes), no: self.no + open, opposed, ..awake },
            Self { yes: less(self.yes), veto: self.veto + open, opposed, ..awake },
        ];
        let best = Self { yes: self.yes + open, no: less(self.no), veto: less(self.veto), ..awake };
        let left_out = best.electorate.saturating_sub(best.answered());
        let best = Self { abstain: best.abstain + left_out, ..best };
        match self.judge(rule) {
            Ok(()) => worst.iter().all(|end| end.judge(rule).is_ok()),
            Err(_) => best.judge(rule).is_err(),
        }
    }
}

fn weigh(electorate: Electorate, units: u64) -> u64 {
    match electorate {
        Electorate::Shares => units,
        Electorate::Members => u64::from(units > 0),
        Electorate::SquareRoot => units.isqrt(),
    }
}

impl World {
    /// What an account counts with by itself.
    pub fn own_weight(&self, proposal: &Proposal, account: AccountId) -> u64 {
        let then = self.at(proposal.snapshot);
        match proposal.question.scope() {
            Scope::Network => {
                u64::from(then.accounts.get(&account).is_some_and(|account| account.member_since.is_some()))
            }
            Scope::Model(model) => weigh(proposal.rule.electorate, then.held(model, account)),
        }
    }

    /// What everybody counts with together, whoever sleeps.
    pub(super) fn whole(&self, proposal: &Proposal) -> u64 {
        self.accounts.keys().map(|account| self.own_weight(proposal, *account)).sum()
    }

    /// Those who had delegated to an account when the proposal was opened, and for longer than until then.
    fn delegators(&self, proposal: &Proposal, model: ModelId, account: AccountId) -> Vec<AccountId> {
        let Some(then) = self.at(proposal.snapshot).models.get(&model) else { return Vec::new() };
        let lasts = |expires: Option<u64>| expires.is_none_or(|expires| expires > proposal.opened_at);
        let counts = |delegation: &Delegation| delegation.to == account && lasts(delegation.expires);
        let to_account = then.delegations.iter().filter(|(_, delegation)| counts(delegation));
        to_account.map(|(from, _)| *from).collect()
    }

    /// What an account answers with.
    pub fn weight(&self, proposal: &Proposal, account: AccountId) -> u64 {
        let delegators = match proposal.question.scope() {
            Scope::Network => Vec::new(),
            Scope::Model(model) => self.delegators(proposal, model, account),
        };
        let silent = delegators.into_iter().filter(|from| !proposal.ballots.contains_key(from));
        self.own_weight(proposal, account) + silent.map(|from| self.own_weight(proposal, from)).sum::<u64>()
    }

    /// The weights of the answers.
    pub fn tally(&self, proposal: &Proposal) -> Tally {
        let ballots = proposal.ballots.len() as u64;
        let (whole, asleep) = (self.whole(proposal), self.asleep(proposal));
        let electorate = (whole - asleep).max(whole.div_ceil(2));
        let mut tally = Tally { electorate, whole, asleep, ballots, ..Tally::default() };
        for (account, parts) in &proposal.ballots {
            let against = |part: &BallotPart| matches!(part.choice, Choice::No | Choice::Veto);
            if self.own_weight(proposal, *account) > 0 && parts.iter().all(against) {
                tally.opposed += 1;
            }
            tally.delegated += self.weight(proposal, *account) - self.own_weight(proposal, *account);
            let portions: Vec<u64> = parts.iter().map(|part| part.part.get().into()).collect();
            for (part, weight) in parts.iter().zip(divide(self.weight(proposal, *account), &portions)) {
                match part.choice {
                    Choice::Yes => tally.yes += weight,
                    Choice::No => tally.no += weight,
                    Choice::Abstain => tally.abstain += weight,
                    Choice::Veto => tally.veto += weight,
                }
            }
        }
        tally
    }

    pub(super) fn cast(&mut self, sender: AccountId, asked: &CastBallot) -> Result<(), Refused> {
        let mut proposal = self.open_proposal(asked.proposal)?.clone();
        if self.account(sender)?.suspended && !proposal.suspended_vote {
            return Err("suspended");
        }
        if let Scope::Model(model) = proposal.question.scope() {
            self.require_control(model, sender)?;
        }
        let left = proposal.question.scope() == Scope::Network
            && self.account(sender)?.member_since.is_none_or(|since| since > proposal.snapshot);
        if left || self.weight(&proposal, sender) == 0 {
            return Err("no_weight");
        }
        if asked.parts.iter().any(|part| part.choice == Choice::Veto) && proposal.rule.veto.is_none() {
            return Err("no_veto");
        }
        let before = self.tally(&proposal);
        proposal.ballots.insert(sender, asked.parts.clone());
        let after = self.tally(&proposal);
        let rule = &proposal.rule;
        if before.judge(rule).is_ok() != after.judge(rule).is_ok() {
            // The others have time to answer what turned the outcome; where there is none left, it does not pass so.
            let until = self.time + rule.late_extension_ms;
            let last_close = proposal.opened_at + 2 * rule.voting_period_ms;
            if until > last_close && after.judge(rule).is_ok() {
                return Err("too_late_to_pass");
            }
            if until <= last_close && until > proposal.latest_close {
                proposal.latest_close = until;
            }
            proposal.turned_at = self.time;
        }
        let early = rule.early_close_ms.filter(|_| after.is_settled(rule)).map(|least| {
            let turned = proposal.turned_at + rule.late_extension_ms;
            (proposal.opened_at + least).max(turned).max(self.time)
        });
        proposal.closes = early.map_or(proposal.latest_close, |early| early.min(proposal.latest_close));
        proposal.wakes = proposal.closes;
        self.proposals.insert(asked.proposal, proposal);
        Ok(())
    }
}
