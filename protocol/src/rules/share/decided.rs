//! What the owners of a model decide about the units that accounts hold of it.

use super::{
    Line, Register, ShareFlow, ShareReason, Vesting, change, check_units, consent, dilution, issue, seize, vest,
};
use crate::{
    ground::{
        ids::{AccountId, ModelId, Units},
        invalid::{Invalid, check_line},
        limits,
        state::Overlay,
    },
    rules::{context::Context, dispute, event::Event, intake, model::Model, proposal::Proposal, rejection::Rejection},
};
use serde::{Deserialize, Serialize};

/// Mint shares of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MintShares {
    /// The account that gets them; it asked for them, or takes what it did not ask for.
    pub to: AccountId,
    /// How many units; at least 1.
    pub units: Units,
    /// Why, for the history: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
    /// When they become the holder's to give; none for at once.
    pub vesting: Option<Vesting>,
}

impl MintShares {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_units(self.units)?;
        self.vesting.as_ref().map_or(Ok(()), Vesting::check)?;
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    /// That the account takes what is minted for it.
    pub(crate) fn lacking(&self, state: &Overlay<'_>, model: ModelId, proposal: &Proposal) -> Option<Rejection> {
        self.require_asked(state, model, proposal).err()
    }

    /// Who asks for units of its own has asked.
    fn require_asked(&self, state: &Overlay<'_>, model: ModelId, proposal: &Proposal) -> Result<(), Rejection> {
        if proposal.proposer == self.to { Ok(()) } else { intake::require(state, model, self.to) }
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (to, units, id) = (self.to, self.units, model.id);
        model.require_active()?;
        context.existing_account(state, to)?;
        self.require_asked(state, id, proposal)?;
        dilution::add(state, context, model, proposal.id, units)?;
        let has_holders = Register::of(state, id).holders > 0;
        if let Some(preemption) = model.policy.preemption.filter(|_| has_holders) {
            return Ok(vec![issue::open(state, context, model, proposal.id, self, preemption.period_ms)?]);
        }
        let reason = ShareReason::Minted { proposal: proposal.id, reason: self.reason.clone() };
        let minted = change(state, context, Line { model: id, account: to }, ShareFlow::In, units, reason)?;
        if let Some(vesting) = &self.vesting {
            vest(state, context, Line { model: id, account: to }, units, vesting)?;
        }
        Ok(vec![minted])
    }
}

/// Burn shares of a holder, with cause, once the holder agrees to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BurnByDecision {
    /// The holder.
    pub from: AccountId,
    /// How many units; at least 1.
    pub units: Units,
    /// The cause, for the history: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub cause: String,
}

impl BurnByDecision {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_units(self.units)?;
        check_line("cause", &self.cause, limits::TITLE_SIZE_BYTES)
    }

    /// That nobody disputes the units, else a challenge at the last moment would void what the owners decided; and that
    /// the holder agrees.
    pub(crate) fn lacking(&self, state: &Overlay<'_>, model: ModelId, proposal: &Proposal) -> Option<Rejection> {
        let disputed = dispute::require_undisputed(state, Line { model, account: self.from }, self.units);
        disputed.err().or_else(|| consent::lacking(state, proposal.id, self.from))
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        dispute::require_undisputed(state, Line { model: model.id, account: self.from }, self.units)?;
        let reason = ShareReason::BurnedByDecision { proposal: proposal.id, cause: self.cause.clone() };
        Ok(vec![seize(state, context, Line { model: model.id, account: self.from }, self.units, reason)?])
    }
}

/// Take units from a holder without its consent, where the policy has a rule for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expropriate {
    /// The holder.
    pub from: AccountId,
    /// How many units; at least 1.
    pub units: Units,
    /// The cause, for the history: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub cause: String,
}

impl Expropriate {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_units(self.units)?;
        check_line("cause", &self.cause, limits::TITLE_SIZE_BYTES)
    }

    /// Whatever is disputed of the units: else a friend's challenge would shield the holder.
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let reason = ShareReason::BurnedByDecision { proposal: proposal.id, cause: self.cause.clone() };
        Ok(vec![seize(state, context, Line { model: model.id, account: self.from }, self.units, reason)?])
    }
}
