//! What must hold of any ledger, whatever the reference says.

use super::Done;
use crate::ledger::View;
use allod_protocol::{
    ground::{
        ids::{AccountId, ModelId, ProposalId, Units},
        limits,
        state::{Direction, StateRead, page, read_as_of},
    },
    rules::{
        dispute::{Dispute, DisputeStatus, DisputeTarget, Frozen},
        due::InLane,
        event::Event,
        model::Model,
        policy::{Rule, Tally},
        proposal::{Proposal, ProposalStatus, Scope},
        round::{Round, RoundStatus},
        share::{Issue, Register, Share, ShareChange, ShareFlow, ShareReason, TotalAt, is_conserved},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// What is remembered of the blocks so far.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    ended: BTreeSet<ProposalId>,
    electorates: BTreeMap<ProposalId, u64>,
    /// The rules of ownership that stood when a resolution was opened: before that block, and after it.
    ownership: BTreeMap<ProposalId, [Rule; 2]>,
}

impl Invariants {
    /// Checks what a block did.
    pub(super) fn check<S: StateRead>(&mut self, before: View<'_, S>, after: View<'_, S>, done: Done<'_>) {
        let events: Vec<&Event> = done.events().collect();
        assert_eq!(is_conserved(after.state, after.tip.height, events.iter().copied()), Ok(true), "shares conserved");
        self.nothing_is_executed_twice(&events);
        every_deadline_is_met(before, after);
        frozen_means_frozen(before, after, &events);
        for event in &events {
            self.remember_ownership(before, after, event);
            self.units_are_taken_by_owners_or_by_all_arbiters(after, event);
        }
        for event in events {
            match event {
                Event::ModelCreated { model, .. }
                | Event::RoundOpened { model, .. }
                | Event::RoundWaits { model, .. }
                | Event::RoundClosed { model, .. }
                | Event::IssueOpened { model, .. }
                | Event::IssueClosed { model, .. }
                | Event::SharesChanged { model, .. } => reserved_is_what_rounds_may_mint(after, *model),
                Event::ProposalOpened { proposal, .. } => {
                    self.electorates.insert(*proposal, electorate(after, *proposal));
                }
                _ => {}
            }
        }
        for (proposal, expected) in &self.electorates {
            assert_eq!(electorate(after, *proposal), *expected, "the snapshot is honoured");
        }
    }

    fn remember_ownership<S: StateRead>(&mut self, before: View<'_, S>, after: View<'_, S>, event: &Event) {
        let Event::ProposalOpened { proposal, scope: Scope::Model(model), .. } = event else { return };
        let rule = |ledger: View<'_, S>| ledger.read::<Model>(model).map(|model| model.policy.ownership);
        let (Some(old), Some(new)) = (rule(before).or_else(|| rule(after)), rule(after)) else { return };
        self.ownership.insert(*proposal, [old, new]);
    }

    /// No dispute takes units but by the rule of ownership over everybody's voice, or by every seat of a panel that may.
    fn units_are_taken_by_owners_or_by_all_arbiters<S: StateRead>(&self, after: View<'_, S>, event: &Event) {
        let Event::SharesChanged { model, reason: ShareReason::BurnedByDispute { dispute }, .. } = event else {
            return;
        };
        let dispute: Dispute = after.read(dispute).expect("dispute");
        let DisputeStatus::Upheld { proposal, .. } = dispute.status else { panic!("{dispute:?} took units") };
        let Some(id) = proposal else {
            let panel = dispute.panel.expect("a panel");
            let upholding: BTreeSet<AccountId> =
                dispute.rulings.iter().filter(|ruling| ruling.upholds).map(|ruling| ruling.arbiter).collect();
            assert!(panel.takes_units && upholding.len() >= panel.seats as usize, "a part of a panel took units");
            assert!(!upholding.contains(&dispute.challenger) && !upholding.contains(&dispute.respondent));
            return;
        };
        let proposal: Proposal = after.read(&id).expect("proposal");
        let tally: Tally = after.read(&id).expect("tally");
        let key = (*model, proposal.snapshot);
        let total = read_as_of::<TotalAt>(after.state, model, &key).expect("state").expect("a total").0;
        let met =
            self.ownership[&id].iter().any(|rule| tally.whole == total.by(rule.electorate) && rule.passes(&tally));
        assert!(met, "units were taken without the rule of ownership: {proposal:?} {tally:?}");
    }

    /// What a decision does to shares happens in the block that executes it, and it ends once.
    fn nothing_is_executed_twice(&mut self, events: &[&Event]) {
        let mut executed = BTreeSet::new();
        for event in events {
            if let Event::ProposalClosed { proposal, status, .. } = event {
                assert!(status.is_final() && self.ended.insert(*proposal), "{proposal} ends once");
                self.electorates.remove(proposal);
                if matches!(status, ProposalStatus::Executed { .. }) {
                    executed.insert(*proposal);
                }
            }
        }
        for event in events {
            let Event::SharesChanged { reason, .. } = event else { continue };
            // What was offered to the holders first comes later.
            let (ShareReason::BurnedByDecision { proposal, .. } | ShareReason::TransferApproved { proposal, .. }) =
                reason
            else {
                continue;
            };
            assert!(executed.contains(proposal), "shares move by decisions that are executed: {event:?}");
        }
    }
}

fn electorate<S: StateRead>(ledger: View<'_, S>, proposal: ProposalId) -> u64 {
    ledger.read::<Tally>(&proposal).expect("tally").whole
}

/// What was due when a block was made is off the agenda after it: no history has so much due at once that a block has no
/// room for all of it.
fn every_deadline_is_met<S: StateRead>(before: View<'_, S>, after: View<'_, S>) {
    let (waiting, _) = page::<InLane>(before.state, &(), None, Direction::Ascending, usize::MAX).expect("state");
    for InLane { time, due } in waiting.into_iter().filter(|entry| entry.time <= after.tip.time) {
        let left = after.read::<InLane>(&(due.lane(), time, due));
        assert_eq!(left, None, "left behind by the block of {}", after.tip.time);
    }
}

/// What is frozen by one dispute before and after a block is frozen all through it.
fn frozen_means_frozen<S: StateRead>(before: View<'_, S>, after: View<'_, S>, events: &[&Event]) {
    let frozen = |target: DisputeTarget| {
        before.read::<Frozen>(&target).filter(|by| after.read::<Frozen>(&target).as_ref() == Some(by))
    };
    let is_frozen = |target: DisputeTarget| frozen(target).is_some();
    for event in events {
        match event {
            // What the owners burn by the rule of ownership they burn whatever is disputed.
            Event::SharesChanged { reason: ShareReason::BurnedByDecision { .. }, .. } => {}
            Event::SharesChanged { model, account, flow: ShareFlow::Out, balance, .. } => {
                let line = DisputeTarget::Line { model: *model, account: *account };
                let least = frozen(line).map_or(Units::ZERO, |frozen| frozen.units);
                assert!(*balance >= least, "disputed units left a line: {event:?}");
            }
            Event::VersionReleased { model, label, .. } => {
                let version = DisputeTarget::Version { model: *model, label: label.clone() };
                assert!(!is_frozen(version), "a frozen version was released: {event:?}");
            }
            Event::ContributionAccepted { contribution, .. } => {
                let frozen = frozen(DisputeTarget::Contribution(*contribution));
                let is_void = frozen.is_some_and(|frozen| frozen.settled.is_some());
                assert!(!is_void, "a void contribution was countersigned: {event:?}");
            }
            _ => {}
        }
    }
}

/// What is reserved is what the rounds that are not over may mint; with the total it stays within the bound.
fn reserved_is_what_rounds_may_mint<S: StateRead>(ledger: View<'_, S>, model: ModelId) {
    let (rounds, _) = page::<Round>(ledger.state, &model, None, Direction::Ascending, 1_000).expect("rounds");
    let is_over = |round: &&Round| matches!(round.status, RoundStatus::Closed { .. } | RoundStatus::Failed { .. });
    let expected: u64 = rounds.iter().filter(|round| !is_over(round)).map(|round| round.held().get()).sum();
    let (issues, _) = page::<Issue>(ledger.state, &model, None, Direction::Ascending, 1_000).expect("issues");
    let expected = expected + issues.iter().map(|issue| issue.units.get() - issue.taken.get()).sum::<u64>();
    let register: Register = ledger.read(&model).expect("register");
    assert_eq!(register.reserved.get(), expected, "what is reserved");
    assert!(register.total_units.get() + register.reserved.get() <= limits::MODEL_UNITS, "the bound");
}

/// The lines of a register's history, one after the other, lead to the register.
pub(super) fn history_adds_up<S: StateRead>(ledger: View<'_, S>, model: ModelId) {
    let (changes, _) = page::<ShareChange>(ledger.state, &model, None, Direction::Ascending, 100_000).expect("history");
    let mut balances: BTreeMap<AccountId, u64> = BTreeMap::new();
    for (number, change) in (0..).zip(&changes) {
        assert_eq!(change.number, number, "the history has no gaps");
        let balance = balances.entry(change.account).or_insert(0);
        let after = match change.flow {
            ShareFlow::In => balance.checked_add(change.units.get()),
            ShareFlow::Out => balance.checked_sub(change.units.get()),
        };
        *balance = after.expect("a balance that can be");
        assert_eq!(*balance, change.balance.get(), "{change:?}");
    }
    balances.retain(|_, units| *units > 0);
    let (lines, _) = page::<Share>(ledger.state, &model, None, Direction::Ascending, 1_000).expect("lines");
    assert_eq!(balances, lines.iter().map(|line| (line.account, line.units.get())).collect());
}
