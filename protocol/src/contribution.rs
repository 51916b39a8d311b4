//! Contributions: evidenced records of what was given to a model, signed by who gave it and who received it.
//!
//! The giver's transaction is the giver's signature, a steward's transaction the receiver's. A record says what was
//! given; it moves no shares: that is what decisions are for.

use crate::{
    event::Event,
    execute::Context,
    ids::{AccountId, ContentHash, ContributionId, Height, ModelId},
    limits,
    model::{Model, ModelCounters},
    rejection::Rejection,
    state::{Family, Overlay, Record, StateRead},
    transaction::{Invalid, check_text},
};
use serde::{Deserialize, Serialize};

/// What was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContributionKind {
    /// Training or evaluation examples; the amount counts examples.
    Data,
    /// Computing; the amount counts accelerator- or core-seconds, as the members agree.
    Compute,
    /// Code; the amount counts changes.
    Code,
    /// Evaluation; the amount counts runs.
    Evaluation,
    /// Funding; the amount counts whole units of a currency named in the note.
    Funding,
}

/// A recorded contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Its id.
    pub id: ContributionId,
    /// To which model.
    pub model: ModelId,
    /// By whom.
    pub giver: AccountId,
    /// Of what kind.
    pub kind: ContributionKind,
    /// How much, in the kind's measure.
    pub amount: u64,
    /// The hash of what shows it: a log, a data sheet, a commit.
    pub evidence: Option<ContentHash>,
    /// The giver's words.
    pub note: String,
    /// When it was recorded.
    pub recorded: Height,
    /// Who countersigned it, and when; none while it waits.
    pub accepted: Option<(AccountId, Height)>,
}

impl Record for Contribution {
    type Key = ContributionId;
    const FAMILY: Family = Family::Contribution;
}

/// A contribution of a model, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributionOf(pub ContributionId);

impl Record for ContributionOf {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::ContributionOf;
}

/// Record what the sender gave to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordContribution {
    /// To which model.
    pub model: ModelId,
    /// Of what kind.
    pub kind: ContributionKind,
    /// How much, at least 1.
    pub amount: u64,
    /// The hash of what shows it.
    pub evidence: Option<ContentHash>,
    /// In the giver's words.
    pub note: String,
}

impl RecordContribution {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.amount == 0 {
            return Err(Invalid::Form { field: "amount", problem: "is 0; record at least 1".into() });
        }
        check_text("note", &self.note, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        Model::existing(state, self.model)?;
        let mut counters = state.read::<ModelCounters>(&self.model).unwrap_or_default();
        let contribution = Contribution {
            id: context.contribution_id(),
            model: self.model,
            giver: sender,
            kind: self.kind,
            amount: self.amount,
            evidence: self.evidence,
            note: self.note.clone(),
            recorded: context.height,
            accepted: None,
        };
        state.write(&contribution.id, &contribution);
        state.write(&(self.model, counters.contributions), &ContributionOf(contribution.id));
        counters.contributions = counters.contributions.saturating_add(1);
        state.write(&self.model, &counters);
        Ok(vec![Event::ContributionRecorded { model: self.model, contribution: contribution.id, giver: sender }])
    }
}

/// Countersign a contribution, as a steward of its model other than its giver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptContribution {
    /// Which.
    pub contribution: ContributionId,
}

impl AcceptContribution {
    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut contribution =
            state.read::<Contribution>(&self.contribution).ok_or(Rejection::UnknownContribution(self.contribution))?;
        Model::existing(state, contribution.model)?.require_steward(sender)?;
        if contribution.accepted.is_some() {
            return Err(Rejection::AlreadyAccepted(self.contribution));
        }
        if contribution.giver == sender {
            return Err(Rejection::OwnContribution(sender));
        }
        contribution.accepted = Some((sender, context.height));
        state.write(&self.contribution, &contribution);
        Ok(vec![Event::ContributionAccepted {
            model: contribution.model,
            contribution: self.contribution,
            steward: sender,
        }])
    }
}
