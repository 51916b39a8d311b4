//! Transfers that the owners approve: the seller asks, the owners decide, and the buyer accepts.
//!
//! The proposer of an [`ProposalAction::ApproveTransfer`] is the seller: it moves nobody else's units. What the owners
//! approved is executed once the receiving account has accepted by its own signature, for this very proposal, and not
//! while the seller is suspended. Until it is executed the seller can withdraw the proposal, whatever was answered.

use crate::{
    ground::{
        ids::{AccountId, ProposalId},
        state::{Family, Overlay, Record},
    },
    rules::{
        account::Account,
        context::Context,
        event::Event,
        proposal::{Proposal, ProposalAction},
        rejection::Rejection,
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

/// Whether a proposal moves units of its proposer.
pub(crate) fn is_sale(proposal: &Proposal) -> bool {
    proposal.actions.iter().any(|action| matches!(action, ProposalAction::ApproveTransfer { .. }))
}

/// What an approved transfer still waits for: its buyer, or the end of its seller's suspension.
pub(crate) fn lacking(state: &Overlay<'_>, proposal: &Proposal, buyer: AccountId) -> Option<Rejection> {
    let seller = state.read::<Account>(&proposal.proposer);
    if let Some(Err(suspended)) = seller.map(|seller| seller.require_not_suspended()) {
        return Some(suspended);
    }
    let accepted = state.read::<Purchase>(&(proposal.id, buyer)).is_some();
    (!accepted).then_some(Rejection::NotBought { proposal: proposal.id, buyer })
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
        let buys =
            |action: &ProposalAction| matches!(action, ProposalAction::ApproveTransfer { to, .. } if *to == sender);
        if !proposal.actions.iter().any(buys) {
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
