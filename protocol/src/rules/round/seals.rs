//! Sealed amounts bind: what is sealed and not told counts against the giver.
//!
//! In a sealed round nobody sees another's amount before it is too late to record more. A seal that could be left shut
//! would be an option for nothing: seal a small and a large amount, look at what others tell, and open what suits. So:
//!
//! - A giver of whom any amount is still sealed at the close gets nothing from the round, for whatever it told too.
//! - It is named, in an event and in what is kept of the round.
//! - It gives nothing to the model's rounds that are open then, nor to the next one that is opened ([`Withheld`]).
//!
//! The others divide the whole budget, as if it had given nothing. That is worth nothing to an accomplice: of any two,
//! what both get together is the most when both tell, since a giver's score is in the sum that all are divided by only
//! together with its own part. Leaving a part of the budget unminted instead would let any account that seals at random
//! and never tells take units away from all others, and a part for a sealed amount could not even be known.
//!
//! A fresh account is free of what an old one withheld; it costs a sponsor one of its quota.

use crate::{
    ground::{
        ids::{AccountId, ModelId},
        state::{Family, Overlay, Record},
    },
    rules::{event::Event, model::ModelCounters, rejection::Rejection},
};
use serde::{Deserialize, Serialize};

/// That an account left an amount untold, and from when on it may give again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The round in which it did so last.
    pub round: u64,
    /// The number of the first round that takes contributions from it again.
    pub until: u64,
}

impl Record for Withheld {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Withheld;
}

/// That an account did not withhold an amount not long ago.
pub(crate) fn require_not_barred(
    state: &Overlay<'_>,
    (model, round): (ModelId, u64),
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
pub(super) fn withhold(
    state: &mut Overlay<'_>,
    (model, round): (ModelId, u64),
    (account, seals): (AccountId, u64),
) -> Event {
    let opened = state.read::<ModelCounters>(&model).unwrap_or_default().rounds;
    let barred = state.read::<Withheld>(&(model, account)).map_or(0, |before| before.until);
    let until = opened.saturating_add(1).max(barred);
    state.write(&(model, account), &Withheld { round, until });
    Event::AmountsWithheld { model, round, account, seals, until }
}
