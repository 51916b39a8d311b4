//! Contributions: evidenced records of what was given to a model, signed by the giver and the receiver.
//!
//! The giver signs with its transaction, and a steward signs for the receiver with another. A record says what was
//! given; by itself it moves no shares. A contribution to a round counts in it once as many stewards have countersigned
//! it as the policy requires (see [`crate::rules::round`]). In a sealed round a giver first records the hash of its amount,
//! and reveals the amount once nobody can record any more.
//!
//! Continue with [`review`] (what stewards say about a contribution, and how its giver appeals).

pub mod review;

pub use review::{AcceptContribution, Countersignature, Decline, DeclineContribution};

use crate::{
    ground::{
        codec,
        crypto::{self, Domain},
        ids::{AccountId, ContentHash, ContributionId, Height, ModelId},
        invalid::{Invalid, check_text},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        context::Context,
        event::Event,
        model::{Model, ModelCounters},
        rejection::Rejection,
        round::{self, Round, seals},
    },
};
use serde::{Deserialize, Serialize};

/// The kind of what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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

impl ContributionKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Data, Self::Compute, Self::Code, Self::Evaluation, Self::Funding];

    /// The kind's name, as in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A recorded contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Contribution {
    /// Its id.
    pub id: ContributionId,
    /// The model.
    pub model: ModelId,
    /// The round, by number. `None` outside rounds, where a contribution mints nothing.
    pub round: Option<u64>,
    /// The account that gave it.
    pub giver: AccountId,
    /// The kind of contribution.
    pub kind: ContributionKind,
    /// The amount, in the kind's measure; 0 while it is sealed.
    pub amount: u64,
    /// The seal of the amount, see [`seal`].
    pub sealed: Option<ContentHash>,
    /// The hash of the evidence: a log, a data sheet, a commit.
    pub evidence: Option<ContentHash>,
    /// A note in the giver's words.
    pub note: String,
    /// The height at which it was recorded.
    pub recorded: Height,
    /// The stewards that countersigned it, each once.
    pub countersigned: Vec<Countersignature>,
    /// The stewards that declined it, each once, and none of those that countersigned it.
    pub declined: Vec<Decline>,
    /// The height since which it counts: enough stewards countersigned it, or an appeal was upheld. `None` until then.
    pub accepted: Option<Height>,
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

impl Contribution {
    pub(crate) fn existing(state: &Overlay<'_>, id: ContributionId) -> Result<Self, Rejection> {
        state.read::<Self>(&id).ok_or(Rejection::UnknownContribution(id))
    }

    /// Whether its amount has not been revealed yet.
    pub const fn is_sealed(&self) -> bool {
        self.sealed.is_some() && self.amount == 0
    }
}

/// What a giver records instead of an amount in a sealed round: nobody can derive the amount without the salt, and it
/// opens for no other giver and in no other round.
pub fn seal(model: ModelId, round: u64, giver: AccountId, amount: u64, salt: ContentHash) -> ContentHash {
    let sealed = codec::encode(&(model, round, giver, amount, salt));
    ContentHash::from_bytes(crypto::hash(Domain::Seal, &sealed))
}

/// Record what the sender gave to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordContribution {
    /// The model.
    pub model: ModelId,
    /// The round, by number, if it is given to one.
    pub round: Option<u64>,
    /// The kind of contribution.
    pub kind: ContributionKind,
    /// The amount: 1 to [`limits::CONTRIBUTION_AMOUNT`], or 0 if it is sealed.
    pub amount: u64,
    /// The seal of the amount, in a sealed round.
    pub sealed: Option<ContentHash>,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
    /// A note in the giver's words.
    pub note: String,
}

fn check_amount(amount: u64) -> Result<(), Invalid> {
    if (1..=limits::CONTRIBUTION_AMOUNT).contains(&amount) {
        return Ok(());
    }
    let problem = format!("is {amount}; record 1 to {}", limits::CONTRIBUTION_AMOUNT);
    Err(Invalid::Form { field: "amount", problem })
}

impl RecordContribution {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.sealed.is_none() {
            check_amount(self.amount)?;
        } else if self.amount != 0 || self.round.is_none() {
            let problem = "is for an amount of 0 in a round; the amount is told later".into();
            return Err(Invalid::Form { field: "sealed", problem });
        }
        check_text("note", &self.note, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        Model::existing(state, self.model)?;
        if let Some(number) = self.round {
            self.apply_to_round(state, context, sender, number)?;
        }
        let mut counters = state.read::<ModelCounters>(&self.model).unwrap_or_default();
        let contribution = Contribution {
            id: context.contribution_id(),
            model: self.model,
            round: self.round,
            giver: sender,
            kind: self.kind,
            amount: self.amount,
            sealed: self.sealed,
            evidence: self.evidence,
            note: self.note.clone(),
            recorded: context.height,
            countersigned: Vec::new(),
            declined: Vec::new(),
            accepted: None,
        };
        state.write(&contribution.id, &contribution);
        state.write(&(self.model, counters.contributions), &ContributionOf(contribution.id));
        counters.contributions = counters.contributions.saturating_add(1);
        state.write(&self.model, &counters);
        Ok(vec![Event::ContributionRecorded { model: self.model, contribution: contribution.id, giver: sender }])
    }

    /// Checks that the round accepts it from the sender; a seal is counted until it is opened.
    fn apply_to_round(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
        number: u64,
    ) -> Result<(), Rejection> {
        let round = Round::existing(state, self.model, number)?;
        round.require_recording(context.time)?;
        seals::require_not_barred(state, self.model, number, sender)?;
        if round.plan.sealed != self.sealed.is_some() {
            return Err(Rejection::SealExpected { model: self.model, round: number, sealed: round.plan.sealed });
        }
        if round.plan.weight(self.kind) == 0 {
            let weighed = round.plan.weights.iter().map(|weight| weight.kind).collect();
            return Err(Rejection::KindNotWeighed { model: self.model, round: number, kind: self.kind, weighed });
        }
        if self.sealed.is_some() {
            round::add_seal(state, round, sender)?;
        }
        Ok(())
    }
}

/// Reveal the amount of a sealed contribution, once its round no longer records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevealContribution {
    /// The contribution.
    pub contribution: ContributionId,
    /// The amount that was sealed.
    pub amount: u64,
    /// The salt of the seal.
    pub salt: ContentHash,
}

impl RevealContribution {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_amount(self.amount)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut contribution = Contribution::existing(state, self.contribution)?;
        if contribution.giver != sender {
            return Err(Rejection::NotGiver(contribution.giver));
        }
        let Some(number) = contribution.round.filter(|_| contribution.is_sealed()) else {
            return Err(Rejection::NotSealed(self.contribution));
        };
        let round = Round::existing(state, contribution.model, number)?;
        round.require_open(context.time)?;
        if context.time < round.records_until {
            let (until, time) = (round.records_until, context.time);
            return Err(Rejection::StillRecording { contribution: self.contribution, until, time });
        }
        if contribution.sealed != Some(seal(contribution.model, number, sender, self.amount, self.salt)) {
            return Err(Rejection::SealMismatch(self.contribution));
        }
        round::open_seal(state, round, sender)?;
        contribution.amount = self.amount;
        state.write(&self.contribution, &contribution);
        let (model, amount) = (contribution.model, self.amount);
        Ok(vec![Event::ContributionRevealed { model, contribution: self.contribution, amount }])
    }
}
