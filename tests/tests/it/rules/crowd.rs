//! Many who challenge the same: more than there are places for.

use super::{run::Run, tell};
use allod_protocol::{
    ground::{
        ids::{DisputeId, Units},
        limits,
    },
    rules::{
        action::Action,
        dispute::{AnswerDispute, DisputeTarget, OpenDispute, ResolveDispute, RuleDispute, WithdrawDispute},
        proposal::{CastBallot, Choice, ModelAction, OpenProposal, Question},
    },
};
use allod_tests::{
    histories::{Coverage, policies},
    reference::Dispute,
};
use proptest::prelude::*;

/// Who of the crowd does what; disputes are those that are not over, counted back from the newest.
#[derive(Clone, Debug)]
enum Move {
    Challenge { by: u8, line: u8, units: u8, bond: u8 },
    Answer { dispute: u8 },
    Rule { dispute: u8, upholds: bool },
    TakeBack { dispute: u8 },
    Ask { dispute: u8, upholds: bool },
    Vote { by: u8, choice: Choice },
}

fn a_move() -> impl Strategy<Value = Move> {
    let dispute = || 0u8..20;
    let choice = prop_oneof![Just(Choice::Yes), Just(Choice::No)];
    prop_oneof![
        24 => (any::<u8>(), 0u8..2, 1u8..4, 0u8..12)
            .prop_map(|(by, line, units, bond)| Move::Challenge { by, line, units, bond }),
        3 => dispute().prop_map(|dispute| Move::Answer { dispute }),
        1 => (dispute(), any::<bool>()).prop_map(|(dispute, upholds)| Move::Rule { dispute, upholds }),
        1 => dispute().prop_map(|dispute| Move::TakeBack { dispute }),
        3 => (dispute(), any::<bool>()).prop_map(|(dispute, upholds)| Move::Ask { dispute, upholds }),
        4 => (any::<u8>(), choice).prop_map(|(by, choice)| Move::Vote { by, choice }),
    ]
}

impl Run {
    fn disputed_line(&self, number: u8) -> DisputeTarget {
        DisputeTarget::Line { model: self.history.models[0], account: self.history.accounts[usize::from(number)] }
    }

    /// Disputes that are not over, the newest first.
    fn pending(&self) -> impl Iterator<Item = (DisputeId, &Dispute)> {
        let disputes = self.history.disputes.iter().rev().map(|id| (*id, &self.history.world.disputes[id]));
        disputes.filter(|(_, dispute)| !dispute.status.is_final())
    }

    fn resolve_move(&self, made: &Move) -> Option<(usize, Action)> {
        let dispute = |number: u8| self.pending().nth(number.into());
        let any = |by: u8| usize::from(by) % self.history.accounts.len();
        Some(match *made {
            Move::Challenge { by, line, units, bond } => {
                let (units, bond) = (Units::new(units.into()), Units::new(bond.into()));
                let target = self.disputed_line(line);
                (any(by), Action::OpenDispute(OpenDispute { target, units, text: String::new(), evidence: None, bond }))
            }
            Move::Answer { dispute: number } => {
                let (id, of) = dispute(number)?;
                let asked = AnswerDispute { dispute: id, text: String::new(), evidence: None };
                (self.history.place(of.respondent), Action::AnswerDispute(asked))
            }
            Move::Rule { dispute: number, upholds } => {
                let (id, of) = dispute(number)?;
                let by = self.history.world.panel(of).first().map_or(0, |arbiter| self.history.place(*arbiter));
                (by, Action::RuleDispute(RuleDispute { dispute: id, upholds, reasons: "so it is".into() }))
            }
            Move::TakeBack { dispute: number } => {
                let (id, of) = dispute(number)?;
                (self.history.place(of.challenger), Action::WithdrawDispute(WithdrawDispute { dispute: id }))
            }
            Move::Ask { dispute: number, upholds } => {
                let (title, text) = ("a question".into(), String::new());
                let actions =
                    vec![ModelAction::ResolveDispute(ResolveDispute { dispute: dispute(number)?.0, upholds })];
                let question = Question::of_model(self.history.models[0], actions);
                (any(number), Action::OpenProposal(OpenProposal { question, title, text }))
            }
            Move::Vote { by, choice } => {
                (any(by), Action::CastBallot(CastBallot::whole(*self.history.proposals.last()?, choice)))
            }
        })
    }
}

/// Runs histories of a crowd, and counts what happened in them.
fn crowds(cases: u32) -> Coverage {
    let block = (1u64..600, prop::collection::vec(a_move(), 0..12));
    let story = (0..policies::OWN, prop::collection::vec(block, 12..30));
    tell(cases, story, |(policy, blocks)| {
        let mut run = Run::of_many(policy);
        for (later_ms, moves) in &blocks {
            let actions = moves.iter().filter_map(|made| run.resolve_move(made)).collect();
            run.block(*later_ms, 0, actions);
            for line in [0, 1].map(|number| run.disputed_line(number)) {
                let of_line = run.pending().filter(|(_, dispute)| dispute.target == line).count();
                assert!(of_line <= limits::DISPUTES_PER_TARGET, "no more than there are places for");
            }
        }
        run
    })
}

#[test]
fn a_crowd_that_challenges_the_same_agrees_with_the_reference_model() {
    let coverage = crowds(40);
    println!("{coverage}");
    let met =
        ["dispute outbid", "refused open_dispute: too_many_challenges", "dispute lapsed", "applied open_proposal"];
    met.into_iter().for_each(|what| coverage.require(what));
}
