//! How much decisions may add to a register: a lower bound for what a holder's part can fall to by one decision, and in
//! a year.
//!
//! A decision that mints, or opens a round that will, adds to the existing units. If the policy sets limits (see
//! [`crate::rules::policy::Dilution`]), one decision adds at most a part of the units before it, and all decisions within a
//! year add at most a part of the units when the year began. A year begins with the first decision after the previous
//! year is over.

use super::Register;
use crate::{
    ground::{
        ids::{ModelId, ProposalId, Timestamp, Units},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{context::Context, model::Model, rejection::Rejection},
};
use serde::{Deserialize, Serialize};

/// What decisions added to a register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    /// The last decision that added units.
    pub decision: ProposalId,
    /// Number of units before it.
    pub decision_base: Units,
    /// Number of units it added.
    pub decision_units: Units,
    /// The block time at which the year began.
    pub year_began: Timestamp,
    /// Number of units then.
    pub year_base: Units,
    /// Number of units added by decisions since then.
    pub year_units: Units,
}

impl Record for Issuance {
    type Key = ModelId;
    const FAMILY: Family = Family::Issuance;
}

/// Records that a decision adds units to a model's register, if it may.
///
/// # Errors
/// [`Rejection::TooDilutive`].
pub(crate) fn add(
    state: &mut Overlay<'_>,
    context: &Context,
    model: &Model,
    decision: ProposalId,
    units: Units,
) -> Result<(), Rejection> {
    let Some(dilution) = model.policy.dilution else { return Ok(()) };
    let total = Register::of(state, model.id).total_units;
    let begun = Issuance {
        decision,
        decision_base: total,
        decision_units: Units::ZERO,
        year_began: context.time,
        year_base: total,
        year_units: Units::ZERO,
    };
    let mut issuance = state.read::<Issuance>(&model.id).unwrap_or_else(|| begun.clone());
    if context.time >= issuance.year_began.plus_ms(limits::DILUTION_YEAR_MS) {
        issuance = begun;
    } else if issuance.decision != decision {
        issuance = Issuance { decision, decision_base: total, decision_units: Units::ZERO, ..issuance };
    }
    let more = |sum: Units| Units::new(sum.get().saturating_add(units.get()));
    issuance.decision_units = more(issuance.decision_units);
    issuance.year_units = more(issuance.year_units);
    let limits = [
        (dilution.per_decision, issuance.decision_base, issuance.decision_units),
        (dilution.per_year, issuance.year_base, issuance.year_units),
    ];
    for (most, base, added) in limits {
        // If nobody held anything, nobody is diluted.
        let exceeds = |most: crate::ground::fraction::Fraction| most.is_exceeded(added.get().into(), base.get().into());
        if let Some(most) = most.filter(|most| base > Units::ZERO && exceeds(*most)) {
            return Err(Rejection::TooDilutive { model: model.id, added, base, most });
        }
    }
    state.write(&model.id, &issuance);
    Ok(())
}
