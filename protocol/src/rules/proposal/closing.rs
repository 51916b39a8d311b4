//! The outcome of a proposal: judged at its close, executed at once or after its timelock, or stopped.

use super::{
    Proposal, ProposalAction, ProposalStatus, Scope, action,
    ballot::{Ballot, Overridden},
};
use crate::{
    ground::{
        ids::{AccountId, ProposalId, Timestamp},
        invalid::{Invalid, check_line},
        limits,
        state::{Overlay, Record, prefix_end},
    },
    rules::{
        account::Account,
        attestation,
        context::Context,
        control,
        dispute::{self, DisputeTarget},
        due::{self, Due},
        emergency,
        event::Event,
        model::Version,
        office::{self, Office},
        policy::{Tally, Verdict},
        rejection::Rejection,
        sale::{self, Purchase},
        share::{Consent, consent},
    },
};
use serde::{Deserialize, Serialize};

/// A proposal is due: at its close, the end of its timelock, or the end of its execution window.
pub(crate) fn on_due(state: &mut Overlay<'_>, context: &mut Context, id: ProposalId) -> Vec<Event> {
    let Some(proposal) = state.read::<Proposal>(&id) else { return Vec::new() };
    match proposal.status {
        ProposalStatus::Open => close(state, context, proposal),
        ProposalStatus::Queued { expires, .. } => match waits_for(state, context.time, &proposal) {
            None => run(state, context, proposal),
            Some(reason) if context.time >= expires => {
                let height = context.height;
                vec![settle(state, context, proposal, ProposalStatus::Expired { height, reason })]
            }
            Some(_) => {
                due::set(state, expires, Due::Proposal(proposal.scope, id));
                Vec::new()
            }
        },
        _ => Vec::new(),
    }
}

fn close(state: &mut Overlay<'_>, context: &mut Context, mut proposal: Proposal) -> Vec<Event> {
    let height = context.height;
    let tally = state.read::<Tally>(&proposal.id).unwrap_or_default();
    let verdict = proposal.rule.judge(&tally);
    if verdict != Verdict::Passed {
        return vec![settle(state, context, proposal, ProposalStatus::Rejected { height, verdict })];
    }
    if proposal.rule.timelock_ms == 0 && waits_for(state, context.time, &proposal).is_none() {
        return run(state, context, proposal);
    }
    let ready = context.time.plus_ms(proposal.rule.timelock_ms);
    let expires = ready.plus_ms(proposal.rule.execution_window_ms);
    proposal.status = ProposalStatus::Queued { height, ready, expires };
    state.write(&proposal.id, &proposal);
    let next = if proposal.rule.timelock_ms == 0 { expires } else { ready };
    due::set(state, next, Due::Proposal(proposal.scope, proposal.id));
    vec![Event::ProposalQueued { proposal: proposal.id, scope: proposal.scope, ready, expires }]
}

/// What a decision that passed still waits for, besides time.
fn waits_for(state: &Overlay<'_>, time: Timestamp, proposal: &Proposal) -> Option<Rejection> {
    let Scope::Model(model) = proposal.scope else {
        return proposal.actions.iter().find_map(|action| operator_lacking(state, action));
    };
    proposal.actions.iter().find_map(|action| match action {
        ProposalAction::ReleaseVersion { label } => {
            let frozen = dispute::require_unfrozen(state, &DisputeTarget::Version { model, label: label.clone() });
            let suspended = || {
                let version = state.read::<Version>(&(model, label.clone()))?;
                emergency::require_not_suspended(&version, time).err()
            };
            frozen.err().or_else(suspended).or_else(|| attestation::lacking(state, (model, label), &proposal.gates))
        }
        // Otherwise a last-minute challenge would void what the owners decided.
        ProposalAction::BurnShares { from, units, .. } => {
            let disputed = dispute::require_undisputed(state, (model, *from), *units);
            disputed.err().or_else(|| consent::lacking(state, proposal.id, *from))
        }
        ProposalAction::ApproveTransfer { to, units, .. } => {
            let disputed = dispute::require_undisputed(state, (model, proposal.proposer), *units);
            let unaccepted = || control::require(state, model, proposal.proposer).err();
            disputed.err().or_else(unaccepted).or_else(|| sale::lacking(state, proposal, *to))
        }
        ProposalAction::MintShares { to, .. } => action::require_asked(state, (proposal, model), *to).err(),
        _ => None,
    })
}

/// A validator that its operator has not accepted yet.
fn operator_lacking(state: &Overlay<'_>, action: &ProposalAction) -> Option<Rejection> {
    let ProposalAction::AdmitValidator { key, operator, .. } = action else { return None };
    let office = Office::Operator(*key);
    let accepted = state.read::<office::Ahead>(&(*operator, office.clone())).is_some();
    (!accepted).then_some(Rejection::NotAccepted { office, account: *operator })
}

/// Executes a decision: all of its actions, or none.
fn run(state: &mut Overlay<'_>, context: &mut Context, proposal: Proposal) -> Vec<Event> {
    let height = context.height;
    let (pending, before) = (state.suspend(), context.changeable());
    match action::run_all(state, context, &proposal) {
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
    due::clear(state, proposal.closes, Due::Proposal(proposal.scope, proposal.id));
    if let ProposalStatus::Queued { ready, expires, .. } = proposal.status {
        due::clear(state, ready, Due::Proposal(proposal.scope, proposal.id));
        due::clear(state, expires, Due::Proposal(proposal.scope, proposal.id));
    }
    if let Some(mut proposer) = state.read::<Account>(&proposal.proposer) {
        proposer.open_proposals = proposer.open_proposals.saturating_sub(1);
        state.write(&proposer.id, &proposer);
    }
    context.network.open_proposals = context.network.open_proposals.saturating_sub(1);
    proposal.status = status.clone();
    state.write(&proposal.id, &proposal);
    dispute::ending::resolution_over(state, context, &proposal.actions);
    due::set(state, context.time.plus_ms(limits::BALLOTS_MS), Due::Ballots(proposal.id));
    Event::ProposalClosed { proposal: proposal.id, scope: proposal.scope, status }
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
        match waits_for(state, context.time, &proposal) {
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
        let Scope::Model(model) = proposal.scope else {
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
