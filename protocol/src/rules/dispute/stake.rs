//! What a challenge costs: units of the challenger's own are bound while it is open. A challenger that loses is barred
//! for a while from challenging in that model, twice as long each time, with those units bound as long. One that wins
//! gets them back at once.

use super::DisputeTarget;
use crate::{
    ground::{
        ids::{AccountId, ModelId, Timestamp, Units},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        context::Context,
        rejection::Rejection,
        share::{self, Line},
    },
};
use serde::{Deserialize, Serialize};

/// An account's record as a challenger in a model's disputes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Challenger {
    /// Number of challenges that it lost or withdrew.
    pub losses: u32,
    /// The block time until which it cannot challenge and `forfeit` is bound.
    pub barred_until: Timestamp,
    /// Units bound for its disputes that are not over.
    pub bonded: Units,
    /// Units bound for disputes that it lost.
    pub forfeit: Units,
}

impl Record for Challenger {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Challenger;
}

impl Challenger {
    /// Units that it cannot part with now.
    pub fn bound(&self, time: Timestamp) -> Units {
        let forfeit = if time < self.barred_until { self.forfeit.get() } else { 0 };
        Units::new(self.bonded.get().saturating_add(forfeit))
    }

    /// How long the next loss bars, in milliseconds, if the first one bars for `bar_ms`.
    pub fn next_bar_ms(&self, bar_ms: u64) -> u64 {
        let doubled = 1u64.checked_shl(self.losses).and_then(|factor| bar_ms.checked_mul(factor));
        doubled.unwrap_or(u64::MAX).min(limits::BAR_MS)
    }
}

/// How often an account challenged a thing without success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengedInVain(pub u32);

impl Record for ChallengedInVain {
    type Key = (DisputeTarget, AccountId);
    const FAMILY: Family = Family::ChallengedInVain;
}

/// What the end of a dispute costs its challenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// Nothing.
    Nothing,
    /// The loss counts: the next bar is longer.
    Counted,
    /// The challenger is barred.
    Barred,
}

/// Units of a holder that are bound for its challenges.
pub(crate) fn bound_units(state: &Overlay<'_>, line: Line, time: Timestamp) -> Units {
    state.read::<Challenger>(&line.key()).map_or(Units::ZERO, |one| one.bound(time))
}

/// Binds a challenger's units, if it may challenge the target at all.
pub(super) fn bind(
    state: &mut Overlay<'_>,
    context: &Context,
    line: Line,
    target: &DisputeTarget,
    bond: Units,
) -> Result<Units, Rejection> {
    let Line { model, account } = line;
    let mut challenger = state.read::<Challenger>(&line.key()).unwrap_or_default();
    if context.time < challenger.barred_until {
        return Err(Rejection::Barred { account, model, until: challenger.barred_until });
    }
    let in_vain = state.read::<ChallengedInVain>(&(target.clone(), account)).unwrap_or_default();
    if in_vain.0 >= limits::CHALLENGES_IN_VAIN {
        return Err(Rejection::ChallengedTooOften(account));
    }
    let free = share::free_units(state, model, account, context.time);
    if bond > free {
        return Err(Rejection::BondLacking { account, model, free, bond });
    }
    challenger.bonded = Units::new(challenger.bonded.get().saturating_add(bond.get()));
    state.write(&line.key(), &challenger);
    Ok(bond)
}

/// Releases what was bound for a dispute, or does not.
pub(super) fn release(state: &mut Overlay<'_>, context: &Context, dispute: &super::Dispute, cost: Cost) {
    let key = (dispute.model, dispute.challenger);
    let mut challenger = state.read::<Challenger>(&key).unwrap_or_default();
    challenger.bonded = Units::new(challenger.bonded.get().saturating_sub(dispute.bond.get()));
    if cost == Cost::Barred {
        let still = if context.time < challenger.barred_until { challenger.forfeit.get() } else { 0 };
        challenger.forfeit = Units::new(still.saturating_add(dispute.bond.get()));
        let until = context.time.plus_ms(challenger.next_bar_ms(dispute.terms.bar_ms));
        challenger.barred_until = challenger.barred_until.max(until);
    }
    if cost != Cost::Nothing {
        challenger.losses = challenger.losses.saturating_add(1);
        let key = (dispute.target.clone(), dispute.challenger);
        let in_vain = state.read::<ChallengedInVain>(&key).unwrap_or_default();
        state.write(&key, &ChallengedInVain(in_vain.0.saturating_add(1)));
    }
    state.write(&key, &challenger);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_bars_twice_as_long_up_to_the_longest() {
        let bar = |losses| Challenger { losses, ..Challenger::default() }.next_bar_ms(1_000);
        assert_eq!([0, 1, 2, 10].map(bar), [1_000, 2_000, 4_000, 1_024_000]);
        assert_eq!([40, 63, 64, u32::MAX].map(bar), [limits::BAR_MS; 4]);
    }

    #[test]
    fn what_is_forfeit_is_bound_until_the_bar_is_over() {
        let until = Timestamp::new(100);
        let one = Challenger { losses: 1, barred_until: until, bonded: Units::new(2), forfeit: Units::new(5) };
        assert_eq!([99, 100].map(|time| one.bound(Timestamp::new(time)).get()), [7, 2]);
    }
}
