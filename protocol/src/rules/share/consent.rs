//! Consent: units leave a holder by a decision only if the holder agrees to that very decision by its own signature.
//!
//! A proposal that burns holders' units waits, once it has passed, for the consent of each holder whose units it takes.
//! Until it is executed a holder may withdraw its consent. Only what the policy names needs none: an upheld dispute,
//! and an expropriation by the policy's rule for it.

use crate::{
    ground::{
        ids::{AccountId, Height, ProposalId},
        state::{Family, Overlay, Record},
    },
    rules::{
        context::Context,
        control,
        event::Event,
        proposal::{ModelAction, Proposal, Scope},
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// The consent of a holder to a decision that takes its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The proposal.
    pub proposal: ProposalId,
    /// The holder.
    pub account: AccountId,
    /// The height of the consent.
    pub since: Height,
}

impl Record for Consent {
    type Key = (ProposalId, AccountId);
    const FAMILY: Family = Family::Consent;
}

/// Consent to a decision that takes units of the sender, or withdraw the consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GiveConsent {
    /// The proposal.
    pub proposal: ProposalId,
    /// Whether the sender consents.
    pub agrees: bool,
}

impl GiveConsent {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let proposal = Proposal::existing(state, self.proposal)?;
        if proposal.status.is_final() {
            return Err(Rejection::NotOpen { proposal: self.proposal, status: proposal.status.name().into() });
        }
        let takes = |action: &ModelAction| matches!(action, ModelAction::BurnShares(it) if it.from == sender);
        if !proposal.question.model_actions().iter().any(takes) {
            return Err(Rejection::NothingTaken { account: sender, proposal: self.proposal });
        }
        let key = (self.proposal, sender);
        if self.agrees {
            if let Scope::Model(model) = proposal.scope() {
                control::require(state, model, sender)?;
            }
            let consent = Consent { proposal: self.proposal, account: sender, since: context.height };
            state.write(&key, &consent);
        } else {
            state.remove::<Consent>(&key);
        }
        Ok(vec![Event::ConsentGiven { proposal: self.proposal, account: sender, agrees: self.agrees }])
    }
}

/// What a burn still waits for.
pub(crate) fn lacking(state: &Overlay<'_>, proposal: ProposalId, account: AccountId) -> Option<Rejection> {
    let is_given = state.read::<Consent>(&(proposal, account)).is_some();
    (!is_given).then_some(Rejection::NoConsent { account, proposal })
}
