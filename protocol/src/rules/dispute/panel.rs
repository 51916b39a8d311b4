//! Who rules on a dispute, and how a ruling comes to take effect.

use super::{Dispute, DisputeAppeal, DisputeStatus, DisputeTarget};
use crate::{
    ground::{
        ids::{AccountId, DisputeId, Height, ModelId, Units},
        invalid::{Invalid, check_said, check_text},
        limits,
        state::{Overlay, StateError, StateRead},
    },
    rules::{
        account::Account,
        context::Context,
        contribution::Contribution,
        event::Event,
        office::{self, Office},
        policy::{Arbiters, ModelPolicy},
        rejection::Rejection,
        round::RoundScore,
        share,
    },
};
use serde::{Deserialize, Serialize};

/// Who can rule on a dispute, by the policy when it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Panel {
    /// The arbiters, followed by the stand-ins, in the order in which they take seats.
    pub bench: Vec<AccountId>,
    /// The number of seats.
    pub seats: u32,
    /// How many of them must agree. It never falls.
    pub needed: u32,
    /// Whether they may take units by themselves, if every seat is taken and all agree.
    pub takes_units: bool,
}

impl Panel {
    pub(super) fn of(policy: &ModelPolicy) -> Option<Self> {
        let arbiters = policy.arbiters.as_ref()?;
        Some(Self {
            bench: arbiters.bench().copied().collect(),
            seats: u32::try_from(arbiters.accounts.len()).unwrap_or(u32::MAX),
            needed: arbiters.needed,
            takes_units: arbiters.take_units,
        })
    }
}

/// One arbiter's ruling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ruling {
    /// The arbiter.
    pub arbiter: AccountId,
    /// Whether the challenge is right.
    pub upholds: bool,
    /// The reasons.
    pub reasons: String,
    /// The height of the ruling.
    pub height: Height,
}

/// Whether an account may rule on a model's disputes: it is not suspended, and holds nothing of the model.
fn is_disinterested(state: &Overlay<'_>, model: ModelId, account: AccountId) -> bool {
    share::balance(state, model, account) == Units::ZERO
        && state.read::<Account>(&account).is_some_and(|account| account.suspended.is_none())
}

/// Whether an account has spoken about a contribution as a steward, or shares in what its round mints.
fn is_involved(state: &Overlay<'_>, contribution: &Contribution, account: AccountId) -> bool {
    let countersigned = contribution.countersigned.iter().any(|one| one.steward == account);
    let declined = contribution.declined.iter().any(|one| one.steward == account);
    let gives = |number| {
        let score = state.read::<RoundScore>(&(contribution.model, number, account));
        score.is_some_and(|score| score.counting() > 0)
    };
    countersigned || declined || contribution.round.is_some_and(gives)
}

/// How many of a policy's arbiters and stand-ins could sit on a dispute between others, at most the number of seats.
pub(crate) fn could_sit(state: &Overlay<'_>, model: ModelId, arbiters: &Arbiters) -> u32 {
    let office = Office::Arbiter(model);
    let could =
        |account: &&AccountId| office::holds(state, &office, **account) && is_disinterested(state, model, **account);
    u32::try_from(arbiters.bench().filter(could).take(arbiters.accounts.len()).count()).unwrap_or(u32::MAX)
}

impl Dispute {
    /// Who sits on it now, at most the number of seats: the first of the bench who accepted and have not resigned, are
    /// not parties, hold nothing of the model, are not suspended, and, for a contribution, neither spoke about it nor
    /// gave to its round. Whether a policy still names them does not matter.
    pub(super) fn sitting(&self, state: &Overlay<'_>) -> Vec<AccountId> {
        let Some(panel) = &self.panel else { return Vec::new() };
        let office = Office::Arbiter(self.model);
        let contribution = match self.target {
            DisputeTarget::Contribution(id) | DisputeTarget::Appeal(id) => state.read::<Contribution>(&id),
            DisputeTarget::Line { .. } | DisputeTarget::Version { .. } => None,
        };
        let is_involved =
            |account: &AccountId| contribution.as_ref().is_some_and(|one| is_involved(state, one, *account));
        let sits = |account: &AccountId| {
            !self.parties().contains(account)
                && !is_involved(account)
                && office::counts_in_copy(state, &office, *account)
                && is_disinterested(state, self.model, *account)
        };
        let seats = usize::try_from(panel.seats).unwrap_or(usize::MAX);
        panel.bench.iter().copied().filter(sits).take(seats).collect()
    }

    /// Whether enough arbiters sit to rule on it. Otherwise the owners decide.
    pub(super) fn is_for_arbiters(&self, state: &Overlay<'_>) -> bool {
        self.are_enough(&self.sitting(state))
    }

    /// Whether those who sit are enough to rule.
    fn are_enough(&self, sitting: &[AccountId]) -> bool {
        let sit = u32::try_from(sitting.len()).unwrap_or(u32::MAX);
        self.panel.as_ref().is_some_and(|panel| sit >= panel.needed)
    }

    /// How many of those who sit rule this way.
    fn agree(&self, sitting: &[AccountId], upholds: bool) -> u32 {
        let alike = self.rulings.iter().filter(|one| one.upholds == upholds && sitting.contains(&one.arbiter));
        u32::try_from(alike.count()).unwrap_or(u32::MAX)
    }

    /// Whether a ruling can take effect without the owners: it takes no units, or all seats are taken, all of them
    /// uphold the challenge, and the policy lets arbiters take units.
    pub(super) fn stands_alone(&self, state: &Overlay<'_>, upholds: bool) -> bool {
        if !upholds || !self.is_about_units() {
            return true;
        }
        let sitting = self.sitting(state);
        self.panel.as_ref().is_some_and(|panel| panel.takes_units && self.agree(&sitting, true) >= panel.seats)
    }
}

/// Who sits on a dispute now; empty if too few do, so that the owners decide.
///
/// # Errors
/// When the state cannot be read.
pub fn sitting(state: &dyn StateRead, dispute: &Dispute) -> Result<Vec<AccountId>, StateError> {
    let overlay = Overlay::new(state);
    let sitting = dispute.sitting(&overlay);
    overlay.finish()?;
    Ok(if dispute.are_enough(&sitting) { sitting } else { Vec::new() })
}

/// Rule on a challenge, as one of the arbiters who sit. Until enough agree, a later ruling replaces an earlier one;
/// after that, those who have not ruled may still do so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleDispute {
    /// The dispute.
    pub dispute: DisputeId,
    /// Whether the challenge is right.
    pub upholds: bool,
    /// The reasons; never empty.
    pub reasons: String,
}

impl RuleDispute {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_said("reasons", &self.reasons, "are empty; say why, for the parties and for an appeal")?;
        check_text("reasons", &self.reasons, limits::REASONS_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut dispute = Dispute::pending(state, self.dispute)?;
        // Who decides was settled when the owners were asked: arbiters that sit only since then take nothing from them.
        let is_with_owners = matches!(dispute.status, DisputeStatus::Appealed { .. }) || dispute.resolutions > 0;
        if is_with_owners {
            return Err(Rejection::ForOwners(self.dispute));
        }
        let sitting = dispute.sitting(state);
        if !sitting.contains(&sender) {
            return Err(Rejection::NotArbiter { account: sender, dispute: self.dispute });
        }
        if !dispute.are_enough(&sitting) {
            return Err(Rejection::ForOwners(self.dispute));
        }
        dispute.require_heard(context.time)?;
        let is_ruled = dispute.status != DisputeStatus::Open;
        if is_ruled && dispute.rulings.iter().any(|ruling| ruling.arbiter == sender) {
            return Err(Rejection::RuledAlready { account: sender, dispute: self.dispute });
        }
        dispute.rulings.retain(|ruling| ruling.arbiter != sender);
        let (upholds, reasons) = (self.upholds, self.reasons.clone());
        dispute.rulings.push(Ruling { arbiter: sender, upholds, reasons, height: context.height });
        let needed = dispute.panel.as_ref().map_or(u32::MAX, |panel| panel.needed);
        if !is_ruled && dispute.agree(&sitting, upholds) >= needed {
            let stands = context.time.plus_ms(dispute.terms.ruling_timelock_ms);
            dispute.advance(state, DisputeStatus::Ruled { upholds, height: context.height, stands });
        } else {
            state.write(&self.dispute, &dispute);
        }
        let (model, id) = (dispute.model, self.dispute);
        Ok(vec![Event::DisputeRuled { model, dispute: id, arbiter: sender, upholds }])
    }
}

/// Take a ruling to the owners, as the party that it goes against, before it takes effect. Possible once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppealDispute {
    /// The dispute.
    pub dispute: DisputeId,
    /// The reasons.
    pub text: String,
}

impl AppealDispute {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut dispute = Dispute::pending(state, self.dispute)?;
        let DisputeStatus::Ruled { upholds, .. } = dispute.status else {
            return Err(Rejection::NothingToAppeal(self.dispute));
        };
        let party = if upholds { dispute.respondent } else { dispute.challenger };
        if sender != party {
            return Err(Rejection::NotAppellant(party));
        }
        dispute.appeal = Some(DisputeAppeal { party, text: self.text.clone(), height: context.height });
        Ok(vec![dispute.refer(state, context, upholds)])
    }
}

impl Dispute {
    /// Puts a ruling before the owners.
    pub(super) fn refer(&mut self, state: &mut Overlay<'_>, context: &Context, upholds: bool) -> Event {
        let until = context.time.plus_ms(limits::APPEAL_MS);
        self.advance(state, DisputeStatus::Appealed { upholds, until });
        let party = self.appeal.as_ref().map(|appeal| appeal.party);
        Event::DisputeAppealed { model: self.model, dispute: self.id, party, until }
    }
}
