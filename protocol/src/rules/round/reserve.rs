//! What is in dispute when a round closes: it is held in reserve, and goes to those it is due to once the disputes are
//! over.
//!
//! - A challenged contribution continues to count, as *disputed*. A challenge just before the close costs it nothing.
//! - At the close each giver gets at once what its undisputed contributions are due if everything disputed counts: the
//!   least that they can come to, without the units for remainders. The rest of the budget stays reserved.
//! - Once nothing in the round is in dispute any more, the budget is divided as if the round closed then: what was
//!   found wrong counts nothing, what was found right counts. Each giver gets what it is due beyond what it has.
//! - A contribution whose giver's appeal has not been decided by then is waited for too, as if it counted.
//! - If too few gave something undisputed, nothing is minted before the disputes are over.

use super::{Round, RoundScore, RoundStatus, change};
use crate::{
    ground::{ids::Units, state::Overlay},
    rules::{
        context::Context,
        contribution::Contribution,
        due::{self, Due},
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// The part of a round's budget that is being minted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it: nothing is in dispute.
    #[default]
    All,
    /// What is due however the disputes end.
    Undisputed,
    /// The rest, now that the disputes are over.
    Rest,
}

/// What is in dispute in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reserve {
    /// Number of contributions that count and are challenged, and of those that do not count and are appealed. The
    /// round waits for them.
    pub disputes: u64,
    /// What the appealed ones would count; fixed when the round closes.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub appealed: u64,
    /// Number of givers with something that counted and was not in dispute, when the round closed.
    pub contributors: u64,
    /// The total of what counted when the round closed, of all givers.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub score: u64,
    /// The part that is being minted.
    pub part: Part,
}

/// Why a contribution is in dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It counts, and is challenged.
    Challenge,
    /// It does not count, and its giver appealed.
    Appeal,
}

impl Round {
    /// What a contribution to it counts.
    pub(super) fn worth(&self, contribution: &Contribution) -> u64 {
        contribution.amount.saturating_mul(self.plan.weight(contribution.kind).into())
    }

    /// Whether disputes can still change what it mints.
    pub(super) const fn holds(&self) -> bool {
        self.reserve.disputes > 0 && !self.status.is_final()
    }

    /// Whether everything that counts or may come to count fits into a `u64`.
    pub(super) fn has_room(&self) -> bool {
        let sum = self.score.checked_add(self.score_under_seal);
        sum.and_then(|sum| sum.checked_add(self.reserve.appealed)).is_some()
    }

    /// Units of its budget that are not minted yet.
    pub fn held(&self) -> Units {
        Units::new(self.plan.budget.get().saturating_sub(self.minted.get()))
    }

    /// The total among which its budget is divided.
    pub(super) fn divisor(&self) -> u64 {
        match self.reserve.part {
            Part::All | Part::Rest => self.score,
            Part::Undisputed => {
                let Reserve { score, appealed, .. } = self.reserve;
                score.saturating_add(appealed)
            }
        }
    }

    /// What a giver's contributions count in what is being minted.
    pub(super) const fn counts(&self, score: &RoundScore) -> u64 {
        match self.reserve.part {
            Part::All | Part::Rest => score.counting(),
            Part::Undisputed => score.undisputed(),
        }
    }

    /// What a giver's contributions count for a shared cap.
    pub(super) const fn counts_in_group(&self, score: &RoundScore) -> u64 {
        match self.reserve.part {
            Part::All | Part::Rest => score.counting(),
            Part::Undisputed => score.at_close(),
        }
    }
}

/// A contribution comes into dispute. It counts as before, and its round waits until that is over.
pub(crate) fn hold(
    state: &mut Overlay<'_>,
    context: &Context,
    contribution: &Contribution,
    cause: Cause,
) -> Result<(), Rejection> {
    let Some(number) = contribution.round else { return Ok(()) };
    let mut round = Round::existing(state, contribution.model, number)?;
    let is_open = round.require_open(context.time).is_ok();
    if !is_open && !round.holds() {
        return Ok(());
    }
    let worth = round.worth(contribution);
    let too_large = Rejection::ScoreTooLarge { model: round.model, round: number };
    round.reserve.disputes = round.reserve.disputes.saturating_add(1);
    if !is_open {
        round.write(state);
        return Ok(());
    }
    match cause {
        Cause::Challenge => change(state, round, contribution.giver, |before| {
            Some(RoundScore { disputed: before.disputed.checked_add(worth)?, ..before })
        }),
        Cause::Appeal => {
            let Some(appealed) = round.reserve.appealed.checked_add(worth) else { return Err(too_large) };
            round.reserve.appealed = appealed;
            if !round.has_room() {
                return Err(too_large);
            }
            round.write(state);
            Ok(())
        }
    }
}

/// A contribution is no longer in dispute. A round that waited for this mints the rest.
pub(crate) fn release(
    state: &mut Overlay<'_>,
    context: &Context,
    contribution: &Contribution,
    cause: Cause,
) -> Result<(), Rejection> {
    let Some(number) = contribution.round else { return Ok(()) };
    let mut round = Round::existing(state, contribution.model, number)?;
    if !round.holds() {
        return Ok(());
    }
    let (is_open, worth) = (round.require_open(context.time).is_ok(), round.worth(contribution));
    round.reserve.disputes = round.reserve.disputes.saturating_sub(1);
    if round.reserve.disputes == 0 && matches!(round.status, RoundStatus::Waiting { .. }) {
        due::set(state, context.time.plus_ms(1), Due::Round { model: round.model, number });
    }
    match cause {
        Cause::Challenge if is_open => {
            return change(state, round, contribution.giver, |before| {
                Some(RoundScore { disputed: before.disputed.saturating_sub(worth), ..before })
            });
        }
        Cause::Appeal if is_open => round.reserve.appealed = round.reserve.appealed.saturating_sub(worth),
        Cause::Challenge | Cause::Appeal => {}
    }
    round.write(state);
    Ok(())
}
