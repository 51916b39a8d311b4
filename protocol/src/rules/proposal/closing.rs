//! The outcome of a proposal: judged at its close, executed at once or after its timelock, or stopped.

use super::{
    Proposal, ProposalStatus, Scope,
    ballot::{Ballot, Overridden},
};
use crate::{
    ground::{
        ids::{AccountId, ProposalId},
        invalid::{Invalid, check_line},
        limits,
        state::{Overlay, Record, prefix_end},
    },
    rules::{
        account::Account,
        context::Context,
        dispute,
        due::{self, Due},
        event::Event,
        office::{self, Office},
        policy::{Tally, Verdict},
        rejection::Rejection,
        sale::Purchase,
        share::Consent,
    },
};
use serde::{Deserialize, Serialize};

/// A proposal is due: at its close, the end of its timelock, or the end of its execution window.
pub(crate) fn on_due(state: &mut Overlay<'_>, context: &mut Context, id: ProposalId) -> Vec<Event> {
    let Some(proposal) = state.read::<Proposal>(&id) else { return Vec::new() };
    match proposal.status {
        ProposalStatus::Open => close(state, context, proposal),
        ProposalStatus::Queued { expires, .. } => match proposal.lacking(state, context.time) {
            None => run(state, context, proposal),
            Some(reason) if context.time >= expires => {
                let height = context.height;
                vec![settle(state, context, proposal, ProposalStatus::Expired { height, reason })]
            }
            Some(_) => {
                due::set(state, expires, Due::Proposal(proposal.scope(), id));
                Vec::new()
            }
        },
        ProposalStatus::Executed { .. }
        | ProposalStatus::ExecutionFailed { .. }
        | ProposalStatus::Rejected { .. }
        | ProposalStatus::Withdrawn { .. }
        | ProposalStatus::Cancelled { .. }
        | ProposalStatus::Expired { .. } => Vec::new(),
    }
}

fn close(state: &mut Overlay<'_>, context: &mut Context, mut proposal: Proposal) -> Vec<Event> {
    let height = context.height;
    let tally = state.read::<Tally>(&proposal.id).unwrap_or_default();
    let verdict = proposal.rule.judge(&tally);
    if verdict != Verdict::Passed {
        return vec![settle(state, context, proposal, ProposalStatus::Rejected { height, verdict })];
    }
    if proposal.rule.timelock_ms == 0 && proposal.lacking(state, context.time).is_none() {
        return run(state, context, proposal);
    }
    let ready = context.time.plus_ms(proposal.rule.timelock_ms);
    let expires = ready.plus_ms(proposal.rule.execution_window_ms);
    proposal.status = ProposalStatus::Queued { height, ready, expires };
    state.write(&proposal.id, &proposal);
    let next = if proposal.rule.timelock_ms == 0 { expires } else { ready };
    due::set(state, next, Due::Proposal(proposal.scope(), proposal.id));
    vec![Event::ProposalQueued { proposal: proposal.id, scope: proposal.scope(), ready, expires }]
}

/// Executes a decision: all of its actions, or none.
fn run(state: &mut Overlay<'_>, context: &mut Context, proposal: Proposal) -> Vec<Event> {
    let height = context.height;
    let (pending, before) = (state.suspend(), context.changeable());
    match proposal.carry_out(state, context) {
        Ok(mut events) => {
            events.push(settle(state, context, proposal, ProposalStatus::Executed { height }));
            events
        }
        Err(reason) => {
            state.resume(pending);
            context.restore(before);
            vec![settle(state, context, proposal, ProposalStatus::ExecutionFailed { height, reason })]
        }
    }
}

/// Ends a proposal that is open or queued.
pub(super) fn settle(
    state: &mut Overlay<'_>,
    context: &mut Context,
    mut proposal: Proposal,
    status: ProposalStatus,
) -> Event {
    // The only entry that an open or queued proposal has on the agenda.
    due::clear(state, proposal.closes, Due::Proposal(proposal.scope(), proposal.id));
    if let ProposalStatus::Queued { ready, expires, .. } = proposal.status {
        due::clear(state, ready, Due::Proposal(proposal.scope(), proposal.id));
        due::clear(state, expires, Due::Proposal(proposal.scope(), proposal.id));
    }
    if let Some(mut proposer) = state.read::<Account>(&proposal.proposer) {
        proposer.open_proposals = proposer.open_proposals.saturating_sub(1);
        state.write(&proposer.id, &proposer);
    }
    context.network.open_proposals = context.network.open_proposals.saturating_sub(1);
    proposal.status = status.clone();
    state.write(&proposal.id, &proposal);
    if let Some(resolution) = proposal.question.resolution() {
        dispute::ending::resolution_over(state, context, resolution.dispute);
    }
    due::set(state, context.time.plus_ms(limits::BALLOTS_MS), Due::Ballots(proposal.id));
    Event::ProposalClosed { proposal: proposal.id, scope: proposal.scope(), status }
}

/// Forgets what accounts said about a proposal that has long been over, some records at a time; its tally stays.
pub(crate) fn forget_ballots(state: &mut Overlay<'_>, context: &Context, id: ProposalId) {
    let prefixes =
        [Ballot::key_bytes(&id), Overridden::key_bytes(&id), Consent::key_bytes(&id), Purchase::key_bytes(&id)];
    let mut left = limits::BALLOTS_PER_TURN;
    for prefix in prefixes {
        for (key, _) in state.entries(&prefix, &prefix_end(&prefix), left) {
            state.remove_bytes(key);
            left = left.saturating_sub(1);
        }
    }
    if left == 0 {
        due::set(state, context.time.plus_ms(1), Due::Ballots(id));
    }
}

/// Execute a decision that passed and whose timelock is over, once nothing is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExecuteProposal {
    /// The proposal.
    pub proposal: ProposalId,
}

impl ExecuteProposal {
    pub(crate) fn apply(&self, state: &mut Overlay<'_>, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let proposal = Proposal::existing(state, self.proposal)?;
        let ProposalStatus::Queued { ready, expires, .. } = proposal.status else {
            return Err(Rejection::NotQueued { proposal: self.proposal, status: proposal.status.name().into() });
        };
        // Its window is over, and the agenda handles it.
        if context.time >= expires {
            return Err(Rejection::NotQueued { proposal: self.proposal, status: "expired".into() });
        }
        if context.time < ready {
            return Err(Rejection::Timelocked { proposal: self.proposal, ready, time: context.time });
        }
        match proposal.lacking(state, context.time) {
            Some(reason) => Err(reason),
            None => Ok(run(state, context, proposal)),
        }
    }
}

/// Cancel a proposal that is open or queued, as the guardian.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CancelProposal {
    /// The proposal.
    pub proposal: ProposalId,
    /// The reason, for everybody to read.
    pub reason: String,
}

impl CancelProposal {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let proposal = Proposal::existing(state, self.proposal)?;
        let Scope::Model(model) = proposal.scope() else {
            return Err(Rejection::NotGuardian { account: sender, proposal: self.proposal });
        };
        let accepted = office::counts_in_copy(state, &Office::Guardian(model), sender);
        if proposal.guardian != Some(sender) || !accepted {
            return Err(Rejection::NotGuardian { account: sender, proposal: self.proposal });
        }
        if proposal.status.is_final() {
            return Err(Rejection::NotOpen { proposal: self.proposal, status: proposal.status.name().into() });
        }
        let status = ProposalStatus::Cancelled { height: context.height, reason: self.reason.clone() };
        Ok(vec![settle(state, context, proposal, status)])
    }
}
