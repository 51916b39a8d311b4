//! What a decision would do if it were executed now: the same code that would execute it, on a copy that is discarded.

use super::{OpenProposal, Proposal};
use crate::{
    ground::{
        ids::{AccountId, Height, NetworkId, Timestamp, TransactionId},
        state::{ChangeSet, Overlay, StateError, StateRead, read},
    },
    rules::{
        account::Account,
        context::{context_at, write_back},
        event::Event,
        policy::Tally,
        rejection::Rejection,
    },
};

/// The expected result of a proposal.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The proposal as it would be opened, with its rule, the height of its weights and its close.
    pub proposal: Proposal,
    /// The whole weight that could answer.
    pub electorate: u64,
    /// What its actions would do, or why one of them could not be executed.
    pub outcome: Result<Vec<Event>, Rejection>,
    /// Every key of the state that its actions would change; empty if one of them could not be executed.
    pub changes: ChangeSet,
}

/// Opens a proposal and executes its actions as if all owners had said yes, without changing anything.
///
/// # Errors
/// The outer error when the state cannot be read; the inner one when the proposal could not even be opened.
pub fn dry_run(
    state: &dyn StateRead,
    network: NetworkId,
    height: Height,
    time: Timestamp,
    sender: AccountId,
    question: &OpenProposal,
) -> Result<Result<DryRun, Rejection>, StateError> {
    let mut context = context_at(state, network, height, time)?;
    context.transaction = Some(TransactionId::from_bytes([0; 32]));
    let Some(account) = read::<Account>(&state, &sender)? else { return Ok(Err(Rejection::UnknownAccount(sender))) };
    let mut overlay = Overlay::new(state);
    if let Err(rejection) = question.apply(&mut overlay, &mut context, account) {
        return Ok(Err(rejection));
    }
    let id = context.proposal_id();
    let Some(proposal) = overlay.read::<Proposal>(&id) else { return Ok(Err(Rejection::UnknownProposal(id))) };
    let electorate = overlay.read::<Tally>(&id).unwrap_or_default().electorate;
    overlay.finish()?;
    // The actions run on a state of their own, so that what opening writes is not part of the difference.
    let (outcome, changes) = effect(state, network, height, time, &proposal)?;
    Ok(Ok(DryRun { proposal, electorate, outcome, changes }))
}

/// What a proposal's actions would do if they were executed now, whatever its ballots: the events, or why one of them
/// could not be executed; and every key of the state that they would change.
///
/// # Errors
/// When the state cannot be read.
pub fn effect(
    state: &dyn StateRead,
    network: NetworkId,
    height: Height,
    time: Timestamp,
    proposal: &Proposal,
) -> Result<(Result<Vec<Event>, Rejection>, ChangeSet), StateError> {
    let mut overlay = Overlay::new(state);
    let mut context = context_at(state, network, height, time)?;
    let before = context.clone();
    let outcome = proposal.carry_out(&mut overlay, &mut context);
    match outcome {
        Ok(_) => {
            write_back(&mut overlay, &before, &context);
            overlay.keep();
        }
        Err(_) => overlay.drop_pending(),
    }
    Ok((outcome, overlay.finish()?))
}
