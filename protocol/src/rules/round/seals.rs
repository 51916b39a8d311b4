//! Sealed amounts bind: what is sealed and not revealed counts against the giver.
//!
//! In a sealed round nobody sees another's amount before it is too late to record more. If a seal could be left shut,
//! it would be a free option: seal a small and a large amount, look at what others reveal, and open the one that suits.
//! So:
//!
//! - A giver with any amount still sealed at the close gets nothing from the round, not even for what it revealed.
//! - It is named, in an event and in the record of the round.
//! - It can give nothing to the model's rounds that are open then, nor to the next one that is opened ([`Withheld`]).
//!
//! The others divide the whole budget, as if it had given nothing. An accomplice gains nothing from that: of any two
//! givers, what both get together is largest when both reveal, because a giver's score is in the sum that all are
//! divided by only together with its own part. If a part of the budget were left unminted instead, any account that
//! seals at random and never reveals could take units away from all others; and the part for a sealed amount could not
//! even be known.
//!
//! A new account is not affected by what an old one withheld; it costs a sponsor one of its quota.

use crate::{
    ground::{
        ids::{AccountId, ModelId},
        state::{Family, Overlay, Record},
    },
    rules::{event::Event, model::ModelCounters, rejection::Rejection},
};
use serde::{Deserialize, Serialize};

/// Records that an account left an amount unrevealed, and from when on it may give again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The last round in which it did so.
    pub round: u64,
    /// The number of the first round that takes contributions from it again.
    pub until: u64,
}

impl Record for Withheld {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Withheld;
}

/// Checks that an account has not recently withheld an amount.
pub(crate) fn require_not_barred(
    state: &Overlay<'_>,
    model: ModelId,
    round: u64,
    account: AccountId,
) -> Result<(), Rejection> {
    match state.read::<Withheld>(&(model, account)) {
        Some(Withheld { round: withheld, until }) if round < until => {
            Err(Rejection::BarredFromRound { account, model, withheld, until })
        }
        _ => Ok(()),
    }
}

/// A round closed while amounts of a giver were sealed.
pub(super) fn withhold(state: &mut Overlay<'_>, model: ModelId, round: u64, account: AccountId, seals: u64) -> Event {
    let opened = state.read::<ModelCounters>(&model).unwrap_or_default().rounds;
    let barred = state.read::<Withheld>(&(model, account)).map_or(0, |before| before.until);
    let until = opened.saturating_add(1).max(barred);
    state.write(&(model, account), &Withheld { round, until });
    Event::AmountsWithheld { model, round, account, seals, until }
}
