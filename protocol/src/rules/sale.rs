//! Transfers that the owners approve: the seller asks, the owners decide, and the buyer accepts.
//!
//! The proposer of an [`ApproveTransfer`] is the seller: nobody else's units move by it. What the owners approved
//! runs once the account that receives the units has accepted by its own signature, for this very proposal, and not while the seller is
//! suspended. Until it runs the seller can take the proposal back, whatever was answered.

use crate::{
    ground::{
        ids::{AccountId, ModelId, ProposalId, Units},
        invalid::{Invalid, check_line},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        account::Account,
        context::Context,
        control, dispute,
        event::Event,
        model::Model,
        policy::TransferRule,
        proposal::{ModelAction, Proposal},
        rejection::Rejection,
        share::{self, Line, ShareReason},
    },
};
use serde::{Deserialize, Serialize};

/// The acceptance by an account of the units that a proposal would give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The proposal.
    pub proposal: ProposalId,
    /// The account.
    pub buyer: AccountId,
    /// The height of the acceptance.
    pub since: crate::ground::ids::Height,
}

impl Record for Purchase {
    type Key = (ProposalId, AccountId);
    const FAMILY: Family = Family::Purchase;
}

/// Let the proposer give shares to another account, where transfers need approval. The ledger moves shares, not money: price
/// and reason are notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApproveTransfer {
    /// The account that gets them, once it accepts.
    pub to: AccountId,
    /// How many units; at least 1.
    pub units: Units,
    /// What is paid for them, in the parties' words: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub price: String,
    /// Why, for the history: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl ApproveTransfer {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        share::check_units(self.units)?;
        check_line("price", &self.price, limits::TITLE_SIZE_BYTES)?;
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    /// That nobody disputes the units, that the seller may speak for them and is not suspended, and that the buyer
    /// accepted.
    pub(crate) fn lacking(&self, state: &Overlay<'_>, model: ModelId, proposal: &Proposal) -> Option<Rejection> {
        let (seller, buyer, proposal) = (proposal.proposer, self.to, proposal.id);
        let disputed = dispute::require_undisputed(state, Line { model, account: seller }, self.units);
        let unaccepted = || control::require(state, model, seller).err();
        let suspended = || state.read::<Account>(&seller)?.require_not_suspended().err();
        let not_bought = || {
            let accepted = state.read::<Purchase>(&(proposal, buyer)).is_some();
            (!accepted).then_some(Rejection::NotBought { proposal, buyer })
        };
        disputed.err().or_else(unaccepted).or_else(suspended).or_else(not_bought)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        if model.policy.transfers == TransferRule::Locked {
            return Err(Rejection::TransfersLocked(model.id));
        }
        let note = |counterparty| ShareReason::TransferApproved {
            counterparty,
            proposal: proposal.id,
            price: self.price.clone(),
            reason: self.reason.clone(),
        };
        share::transfer(state, context, Line { model: model.id, account: proposal.proposer }, self.to, self.units, note)
    }
}

/// Whether a proposal is to move units of its proposer.
pub(crate) fn is_sale(proposal: &Proposal) -> bool {
    proposal.question.model_actions().iter().any(|action| matches!(action, ModelAction::ApproveTransfer(_)))
}

/// Accept the units that a proposal would give the sender, or withdraw the acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptTransfer {
    /// The proposal that asks the owners for the transfer.
    pub proposal: ProposalId,
    /// Whether the sender takes the units, on the terms of that proposal.
    pub accept: bool,
}

impl AcceptTransfer {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let proposal = Proposal::existing(state, self.proposal)?;
        let buys = |action: &ModelAction| matches!(action, ModelAction::ApproveTransfer(it) if it.to == sender);
        if !proposal.question.model_actions().iter().any(buys) {
            return Err(Rejection::NotBuyer { account: sender, proposal: self.proposal });
        }
        if proposal.status.is_final() {
            return Err(Rejection::NotOpen { proposal: self.proposal, status: proposal.status.name().into() });
        }
        let key = (self.proposal, sender);
        if self.accept {
            state.write(&key, &Purchase { proposal: self.proposal, buyer: sender, since: context.height });
        } else {
            state.remove::<Purchase>(&key);
        }
        Ok(vec![Event::TransferAnswered { proposal: self.proposal, buyer: sender, accepted: self.accept }])
    }
}
