//! Which units accounts take, and who accepted what the owners are asked to approve.

use super::{Refused, Status, World};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, ProposalId},
    rules::{intake::UnitsOf, proposal::ModelAction, sale::ApproveTransfer},
};

/// Models of which one account says something, and that of all together.
const INTAKES: usize = 256;

impl World {
    /// Whether an account takes units of a model unasked.
    pub fn takes(&self, model: ModelId, account: AccountId) -> bool {
        let said = |of| self.intakes.get(&(account, of)).copied();
        match (said(UnitsOf::Model(model)), said(UnitsOf::Any)) {
            (Some(of_it), _) => of_it,
            (None, Some(of_all)) => of_all,
            (None, None) => true,
        }
    }

    pub(super) fn require_takes(&self, model: ModelId, account: AccountId) -> Result<(), Refused> {
        if self.takes(model, account) { Ok(()) } else { Err("not_asked") }
    }

    pub(super) fn set_intake(&mut self, sender: AccountId, of: UnitsOf, takes: Option<bool>) -> Result<(), Refused> {
        if let UnitsOf::Model(model) = of {
            self.model(model)?;
        }
        let Some(takes) = takes else {
            self.intakes.remove(&(sender, of));
            return Ok(());
        };
        let said = self.intakes.keys().filter(|(account, _)| *account == sender).count();
        if said >= INTAKES && !self.intakes.contains_key(&(sender, of)) {
            return Err("too_many_intakes");
        }
        self.intakes.insert((sender, of), takes);
        Ok(())
    }

    pub(super) fn accept_transfer(&mut self, sender: AccountId, id: ProposalId, accept: bool) -> Result<(), Refused> {
        let proposal = self.proposals.get(&id).ok_or("unknown_proposal")?;
        let buys = |action: &ModelAction| matches!(action, ModelAction::ApproveTransfer(ApproveTransfer { to, .. }) if *to == sender);
        if !proposal.question.model_actions().iter().any(buys) {
            return Err("not_buyer");
        }
        if !matches!(proposal.status, Status::Open | Status::Queued { .. }) {
            return Err("not_open");
        }
        if accept {
            self.purchases.insert((id, sender));
        } else {
            self.purchases.remove(&(id, sender));
        }
        Ok(())
    }

    /// That a sale can run: its seller is not suspended, its buyer accepted.
    pub(super) fn require_sale(&self, id: ProposalId, seller: AccountId, buyer: AccountId) -> Result<(), Refused> {
        if self.account(seller)?.suspended {
            return Err("suspended");
        }
        if self.purchases.contains(&(id, buyer)) { Ok(()) } else { Err("not_bought") }
    }
}
