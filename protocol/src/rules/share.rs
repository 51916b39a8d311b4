//! The share register: who holds how many whole units of a model, since when, and why.
//!
//! Every change goes through [`change`], which keeps four things consistent: the balance, the balance as of the height,
//! the register's sums (and the total as of the height), and a numbered line of the history. Nothing else writes a
//! balance, so the balances of a model always add up to its total.

pub mod consent;
mod decided;
pub(crate) mod dilution;
pub mod issue;
mod vesting;

pub use consent::{Consent, GiveConsent};
pub use decided::{BurnByDecision, Expropriate, MintShares};
pub use dilution::Issuance;
pub use issue::{Issue, TakeUp, TakenUp};
pub(crate) use vesting::vest;
pub use vesting::{Vesting, VestingGrant, VestingGrants};

use crate::{
    ground::{
        codec,
        ids::{AccountId, BasisPoints, DisputeId, Height, ModelId, ProposalId, Timestamp, TransactionId, Units},
        invalid::{Invalid, check_line},
        limits,
        state::{Family, Overlay, Record, StateError, StateRead, prefix_end, read_as_of},
    },
    rules::{
        context::Context,
        control, delegation, dispute, dormancy,
        event::Event,
        intake,
        model::Model,
        office::{self, Office},
        policy::{Electorate, TransferRule},
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the register: the current holding of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Share {
    /// The model.
    pub model: ModelId,
    /// The holder.
    pub account: AccountId,
    /// Number of units it holds; a line of zero units is not kept.
    pub units: Units,
    /// The height since which it has held some without a break.
    pub since: Height,
}

impl Record for Share {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Share;
}

/// The sums of a model's register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Register {
    /// The model.
    pub model: ModelId,
    /// Total number of units.
    pub total_units: Units,
    /// Number of accounts that hold at least one unit.
    pub holders: u64,
    /// The sum of the square roots of the holders' units, each rounded down.
    pub roots: u64,
    /// Units that open rounds may still mint; they are not part of the total.
    pub reserved: Units,
    /// Number of lines in the history so far.
    pub changes: u64,
    /// Number of accounts that currently delegate the model's questions.
    pub delegations: u64,
    /// Number of accounts that were called on and have not spoken.
    pub silent: u64,
}

impl Record for Register {
    type Key = ModelId;
    const FAMILY: Family = Family::Register;
}

impl Register {
    /// The sums of a register without lines.
    pub const fn empty(model: ModelId) -> Self {
        Self {
            model,
            total_units: Units::ZERO,
            holders: 0,
            roots: 0,
            reserved: Units::ZERO,
            changes: 0,
            delegations: 0,
            silent: 0,
        }
    }

    pub(crate) fn of(state: &Overlay<'_>, model: ModelId) -> Self {
        state.read::<Self>(&model).unwrap_or_else(|| Self::empty(model))
    }

    /// The total with `units` more, if there is room for them besides what is reserved.
    fn with_room_for(&self, units: Units) -> Option<Units> {
        let total = self.total_units.checked_add(units)?;
        total.checked_add(self.reserved).map(|_| total)
    }

    const fn weights(&self) -> Weights {
        Weights { units: self.total_units.get(), holders: self.holders, roots: self.roots }
    }
}

/// The balance of an account from a height on, until its next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareAt(pub Units);

impl Record for ShareAt {
    type Key = (ModelId, AccountId, Height);
    const FAMILY: Family = Family::ShareAt;
}

/// The total weight of some holders, by each way of counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// The sum of their units.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub units: u64,
    /// Their number.
    pub holders: u64,
    /// The sum of the square roots of their units, each rounded down.
    pub roots: u64,
}

impl Weights {
    /// The weight of nobody.
    pub const ZERO: Self = Self { units: 0, holders: 0, roots: 0 };
    /// The weight of a member of the network: one, by every way of counting.
    pub const MEMBER: Self = Self { units: 1, holders: 1, roots: 1 };

    /// The weight of one holder.
    pub fn of(units: Units) -> Self {
        Self { units: units.get(), holders: u64::from(units > Units::ZERO), roots: units.get().isqrt() }
    }

    /// The weight by a way of counting.
    pub const fn by(self, electorate: Electorate) -> u64 {
        match electorate {
            Electorate::Shares => self.units,
            Electorate::Members => self.holders,
            Electorate::SquareRoot => self.roots,
        }
    }

    /// The sum. No sum of one model's holders comes near an overflow: see [`limits::MODEL_UNITS`].
    pub const fn plus(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_add(other.units),
            holders: self.holders.saturating_add(other.holders),
            roots: self.roots.saturating_add(other.roots),
        }
    }

    /// The difference.
    pub const fn minus(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_sub(other.units),
            holders: self.holders.saturating_sub(other.holders),
            roots: self.roots.saturating_sub(other.roots),
        }
    }
}

/// The total weight of a model's holders from a height on, until the next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalAt(pub Weights);

impl Record for TotalAt {
    type Key = (ModelId, Height);
    const FAMILY: Family = Family::TotalAt;
}

/// Why units moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShareReason {
    /// A line of the model's founding table.
    Founding,
    /// Minted by a decision, with its reason.
    Minted {
        /// The proposal that decided it.
        proposal: ProposalId,
        /// The reason in its text.
        reason: String,
    },
    /// Given by one holder to another, with its reason.
    Transferred {
        /// The other side.
        counterparty: AccountId,
        /// The giver's reason.
        reason: String,
    },
    /// Given by one holder to another with the approval of the owners.
    TransferApproved {
        /// The other side.
        counterparty: AccountId,
        /// The proposal that decided it.
        proposal: ProposalId,
        /// The price, in the parties' words.
        price: String,
        /// The giver's reason.
        reason: String,
    },
    /// Given up by the holder.
    Burned {
        /// The holder's reason.
        reason: String,
    },
    /// Taken by a decision, for a cause: the holder agreed, or the policy lets the owners take units.
    BurnedByDecision {
        /// The proposal that decided it.
        proposal: ProposalId,
        /// The cause in its text.
        cause: String,
    },
    /// Minted by a round.
    Round {
        /// The round's number.
        round: u64,
    },
    /// Taken because a dispute was upheld.
    BurnedByDispute {
        /// The dispute.
        dispute: DisputeId,
    },
    /// Taken up by a holder of units that a decision minted, to keep its part.
    TakenUp {
        /// The proposal that decided it.
        proposal: ProposalId,
    },
    /// Granted at founding to a holder of a model that this one is derived from.
    Lineage {
        /// That model.
        parent: ModelId,
    },
}

/// Whether units came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShareFlow {
    /// Units came to the account.
    In,
    /// Units left the account.
    Out,
}

/// One line of a register's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShareChange {
    /// Its number in the model's history, from 0.
    pub number: u64,
    /// The height.
    pub height: Height,
    /// The transaction that made the change. `None` if a decision did, when it closed.
    pub transaction: Option<TransactionId>,
    /// The holder whose line changed.
    pub account: AccountId,
    /// The direction of the change.
    pub flow: ShareFlow,
    /// Number of units.
    pub units: Units,
    /// The balance after the change.
    pub balance: Units,
    /// The reason.
    pub reason: ShareReason,
}

impl Record for ShareChange {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::ShareChange;
}

/// The current balance of `account` in `model`.
pub fn balance(state: &Overlay<'_>, model: ModelId, account: AccountId) -> Units {
    state.read::<Share>(&(model, account)).map_or(Units::ZERO, |share| share.units)
}

/// The lines of a model's register, by account, at most `limit` of them.
pub(crate) fn lines(state: &Overlay<'_>, model: ModelId, limit: usize) -> Vec<Share> {
    let from = Share::key_bytes(&model);
    let entries = state.entries(&from, &prefix_end(&from), limit);
    entries.iter().filter_map(|(_, bytes)| codec::decode_trusted(bytes).ok()).collect()
}

/// The balance of `account` in `model` after block `height`.
pub fn balance_as_of(state: &Overlay<'_>, model: ModelId, account: AccountId, height: Height) -> Units {
    state.read_as_of::<ShareAt>(&(model, account), &(model, account, height)).map_or(Units::ZERO, |at| at.0)
}

/// The total weight of all holders of `model` after block `height`.
pub fn total_as_of(state: &Overlay<'_>, model: ModelId, height: Height) -> Weights {
    state.read_as_of::<TotalAt>(&model, &(model, height)).map_or(Weights::ZERO, |at| at.0)
}

/// Whether `units` are at least the part `least` of `total`.
pub fn reaches(units: Units, total: Units, least: BasisPoints) -> bool {
    u128::from(units.get()).saturating_mul(10_000) >= u128::from(total.get()).saturating_mul(least.get().into())
}

/// The part of `total` that `units` are, rounded down, so that the parts of all lines never add up to more than the
/// whole; zero if the total is zero.
pub fn portion(units: Units, total: Units) -> BasisPoints {
    let scaled = u128::from(units.get()).saturating_mul(10_000).checked_div(u128::from(total.get())).unwrap_or(0);
    u16::try_from(scaled).ok().and_then(|points| BasisPoints::new(points).ok()).unwrap_or(BasisPoints::WHOLE)
}

/// Checks that a block kept the registers it changed consistent: for each model whose shares changed among `events`,
/// the lines' changes add up to the change of the total, and each line's change is what its events say. Since every
/// register starts empty, what holds for every block holds for every register. Reads the balances as of heights, so it
/// can be called for any past height, and on any state at least as new.
///
/// # Errors
/// When the storage fails.
pub fn is_conserved<'a>(
    state: &impl StateRead,
    height: Height,
    events: impl IntoIterator<Item = &'a Event>,
) -> Result<bool, StateError> {
    let mut lines: BTreeMap<(ModelId, AccountId), i128> = BTreeMap::new();
    for event in events {
        if let Event::SharesChanged { model, account, flow, units, .. } = event {
            let sum = lines.entry((*model, *account)).or_default();
            *sum = match flow {
                ShareFlow::In => sum.saturating_add(units.get().into()),
                ShareFlow::Out => sum.saturating_sub(units.get().into()),
            };
        }
    }
    let difference = |after: u64, before: u64| i128::from(after).saturating_sub(before.into());
    let mut totals: BTreeMap<ModelId, i128> = BTreeMap::new();
    for ((model, account), expected) in lines {
        let at = |height| {
            let found = read_as_of::<ShareAt>(state, &(model, account), &(model, account, height))?;
            Ok::<_, StateError>(found.map_or(0, |at| at.0.get()))
        };
        let change = difference(at(height)?, at(height.previous())?);
        if change != expected {
            return Ok(false);
        }
        let sum = totals.entry(model).or_default();
        *sum = sum.saturating_add(change);
    }
    for (model, expected) in totals {
        let at = |height| {
            let found = read_as_of::<TotalAt>(state, &model, &(model, height))?;
            Ok::<_, StateError>(found.map_or(0, |at| at.0.units))
        };
        if difference(at(height)?, at(height.previous())?) != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A line of a model's register: what one account holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// The model.
    pub(crate) model: ModelId,
    /// The account that holds.
    pub(crate) account: AccountId,
}

impl Line {
    /// The key of the records of this line.
    pub(crate) const fn key(self) -> (ModelId, AccountId) {
        (self.model, self.account)
    }
}

/// Changes one line and everything that depends on it.
pub(crate) fn change(
    state: &mut Overlay<'_>,
    context: &Context,
    line: Line,
    flow: ShareFlow,
    units: Units,
    reason: ShareReason,
) -> Result<Event, Rejection> {
    let Line { model, account } = line;
    let mut register = Register::of(state, model);
    let key = line.key();
    let line = state.read::<Share>(&key);
    let held = line.as_ref().map_or(Units::ZERO, |line| line.units);
    let too_many = Rejection::TooManyUnits(model);
    let too_few = Rejection::NotEnoughShares { account, model, held, asked: units };
    let (after, total) = match flow {
        ShareFlow::In => (held.checked_add(units), register.with_room_for(units)),
        ShareFlow::Out => (held.checked_sub(units), register.total_units.checked_sub(units)),
    };
    let refused = if flow == ShareFlow::In { too_many } else { too_few };
    let (Some(after), Some(total)) = (after, total) else { return Err(refused) };

    if after == Units::ZERO {
        state.remove::<Share>(&key);
    } else {
        let since = line.map_or(context.height, |line| line.since);
        state.write(&key, &Share { model, account, units: after, since });
    }
    state.write(&(model, account, context.height), &ShareAt(after));
    let line = ShareChange {
        number: register.changes,
        height: context.height,
        transaction: context.transaction,
        account,
        flow,
        units,
        balance: after,
        reason: reason.clone(),
    };
    state.write(&(model, line.number), &line);
    let (weighed, weighs) = (Weights::of(held), Weights::of(after));
    let sums = register.weights().minus(weighed).plus(weighs);
    (register.total_units, register.holders, register.roots) = (total, sums.holders, sums.roots);
    register.changes = register.changes.saturating_add(1);
    state.write(&model, &register);
    state.write(&(model, context.height), &TotalAt(sums));
    delegation::follow(state, context, &register, account, weighed, weighs);
    dormancy::follow(state, context, &register, account, weighed, weighs);
    Ok(Event::SharesChanged { model, account, flow, units, balance: after, reason })
}

/// Give shares to another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferShares {
    /// The model.
    pub model: ModelId,
    /// The account that receives.
    pub to: AccountId,
    /// Number of units; at least 1.
    pub units: Units,
    /// The reason, for the history.
    pub reason: String,
}

impl TransferShares {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        match Model::existing(state, self.model)?.policy.transfers {
            TransferRule::Free => {}
            TransferRule::Approval => return Err(Rejection::TransferNeedsApproval(self.model)),
            TransferRule::Locked => return Err(Rejection::TransfersLocked(self.model)),
        }
        context.existing_account(state, self.to)?;
        intake::require(state, self.model, self.to)?;
        let reason = |counterparty| ShareReason::Transferred { counterparty, reason: self.reason.clone() };
        transfer(state, context, Line { model: self.model, account: sender }, self.to, self.units, reason)
    }
}

/// Moves units that the giver is free to give. `reason` is called for each side, with the other one.
pub(crate) fn transfer(
    state: &mut Overlay<'_>,
    context: &Context,
    giver: Line,
    to: AccountId,
    units: Units,
    reason: impl Fn(AccountId) -> ShareReason,
) -> Result<Vec<Event>, Rejection> {
    let Line { model, account: from } = giver;
    context.existing_account(state, to)?;
    if units == Units::ZERO || to == from {
        return Err(Rejection::EmptyTransfer);
    }
    // Otherwise, sending an arbiter a unit would remove it.
    if office::holds(state, &Office::Arbiter(model), to) {
        return Err(Rejection::ArbiterHolds(to));
    }
    control::require(state, model, from)?;
    require_free(state, context, Line { model, account: from }, units)?;
    let gone = change(state, context, giver, ShareFlow::Out, units, reason(to))?;
    let come = change(state, context, Line { model, account: to }, ShareFlow::In, units, reason(from))?;
    Ok(vec![gone, come])
}

/// Reserves units for a round, so that it can mint them whatever else is minted meanwhile.
pub(crate) fn reserve(state: &mut Overlay<'_>, model: ModelId, units: Units) -> Result<(), Rejection> {
    let mut register = Register::of(state, model);
    register.with_room_for(units).ok_or(Rejection::TooManyUnits(model))?;
    register.reserved = Units::new(register.reserved.get().saturating_add(units.get()));
    state.write(&model, &register);
    Ok(())
}

/// Releases reserved units, to be minted or not.
pub(crate) fn release_reserved(state: &mut Overlay<'_>, model: ModelId, units: Units) {
    let mut register = Register::of(state, model);
    register.reserved = Units::new(register.reserved.get().saturating_sub(units.get()));
    state.write(&model, &register);
}

/// Give up shares: they are gone, and every other holder's part grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BurnShares {
    /// The model.
    pub model: ModelId,
    /// Number of units; at least 1.
    pub units: Units,
    /// The reason, for the history.
    pub reason: String,
}

impl BurnShares {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.units == Units::ZERO {
            return Err(Invalid::Form { field: "units", problem: "are 0; burn at least 1".into() });
        }
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        Model::existing(state, self.model)?;
        require_held(state, Line { model: self.model, account: sender }, self.units)?;
        let disputed = dispute::disputed_units(state, self.model, sender);
        let left = left_besides(state, Line { model: self.model, account: sender }, disputed, context.time);
        require_unbound(Line { model: self.model, account: sender }, left, self.units)?;
        let reason = ShareReason::Burned { reason: self.reason.clone() };
        // Units under vesting cannot be given away, but they can be given up.
        Ok(vec![seize(state, context, Line { model: self.model, account: sender }, self.units, reason)?])
    }
}

/// The units that a holder can give away now: what it holds, less what is under vesting or disputed, whichever is more
/// (units under vesting can be those that a dispute takes), and less what is bound for its challenges.
pub fn free_units(state: &Overlay<'_>, model: ModelId, account: AccountId, time: Timestamp) -> Units {
    let line = Line { model, account };
    let locked = VestingGrants::of(state, line).locked(time);
    let kept = locked.max(dispute::disputed_units(state, model, account));
    left_besides(state, line, kept, time)
}

/// What a holder has besides `kept` units, and those that are bound for its challenges.
fn left_besides(state: &Overlay<'_>, line: Line, kept: Units, time: Timestamp) -> Units {
    let bound = dispute::stake::bound_units(state, line, time);
    free(balance(state, line.model, line.account), kept, bound)
}

/// What is left of `held` units.
pub(crate) fn free(held: Units, kept: Units, bound: Units) -> Units {
    Units::new(held.get().saturating_sub(kept.get()).saturating_sub(bound.get()))
}

/// Takes units from a holder whether or not they are free to give, as a decision or a dispute demands. Free units go
/// first; what is under vesting is never more than what is left.
pub(crate) fn seize(
    state: &mut Overlay<'_>,
    context: &Context,
    line: Line,
    units: Units,
    reason: ShareReason,
) -> Result<Event, Rejection> {
    let event = change(state, context, line, ShareFlow::Out, units, reason)?;
    vesting::shrink(state, line, context.time);
    Ok(event)
}

/// A number of units that a decision is about: at least 1.
pub(crate) fn check_units(units: Units) -> Result<(), Invalid> {
    if units == Units::ZERO {
        return Err(Invalid::Form { field: "units", problem: "are 0; name at least 1".into() });
    }
    Ok(())
}

/// Checks that a holder has `units`, under vesting or not, and keeps its disputed ones without them.
fn require_held(state: &Overlay<'_>, line: Line, units: Units) -> Result<(), Rejection> {
    let Line { model, account } = line;
    let held = balance(state, model, account);
    if units > held {
        return Err(Rejection::NotEnoughShares { account, model, held, asked: units });
    }
    dispute::require_undisputed(state, line, units)
}

fn require_free(state: &Overlay<'_>, context: &Context, line: Line, units: Units) -> Result<(), Rejection> {
    let Line { model, account } = line;
    require_held(state, line, units)?;
    let locked = VestingGrants::of(state, line).locked(context.time);
    let vested = Units::new(balance(state, model, account).get().saturating_sub(locked.get()));
    if units > vested {
        return Err(Rejection::NotVested { account, model, free: vested, asked: units });
    }
    require_unbound(line, free_units(state, model, account, context.time), units)
}

fn require_unbound(line: Line, free: Units, asked: Units) -> Result<(), Rejection> {
    let Line { model, account } = line;
    if asked > free { Err(Rejection::Bonded { account, model, free, asked }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::state::{Direction, Entry};

    struct State(BTreeMap<Vec<u8>, Vec<u8>>);

    impl StateRead for State {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(self.0.get(key).cloned())
        }
        fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError> {
            let entries = self.0.range(from.to_vec()..to.to_vec()).map(|(key, value)| (key.clone(), value.clone()));
            Ok(match direction {
                Direction::Ascending => entries.take(limit).collect(),
                Direction::Descending => entries.rev().take(limit).collect(),
            })
        }
    }

    const MODEL: ModelId = ModelId::from_bytes([1; 32]);
    const GIVER: AccountId = AccountId::from_bytes([2; 32]);
    const TAKER: AccountId = AccountId::from_bytes([3; 32]);

    fn register(lines: &[(AccountId, u64, u64)], totals: &[(u64, u64)]) -> State {
        let mut state = State(BTreeMap::new());
        for (account, height, units) in lines {
            let key = ShareAt::key_bytes(&(MODEL, *account, Height::new(*height)));
            state.0.insert(key, codec::encode(&ShareAt(Units::new(*units))));
        }
        for (height, units) in totals {
            let key = TotalAt::key_bytes(&(MODEL, Height::new(*height)));
            state.0.insert(key, codec::encode(&TotalAt(Weights { units: *units, holders: 2, roots: 20 })));
        }
        state
    }

    fn changed(account: AccountId, flow: ShareFlow, units: u64) -> Event {
        let (units, balance, reason) = (Units::new(units), Units::ZERO, ShareReason::Founding);
        Event::SharesChanged { model: MODEL, account, flow, units, balance, reason }
    }

    #[test]
    fn a_transfer_conserves_and_a_lost_or_invented_unit_shows() {
        let events = [changed(GIVER, ShareFlow::Out, 30), changed(TAKER, ShareFlow::In, 30)];
        let conserved = |lines: &[_], totals: &[_]| is_conserved(&register(lines, totals), Height::new(5), &events);
        let before = (GIVER, 2, 100);
        assert_eq!(conserved(&[before, (GIVER, 5, 70), (TAKER, 5, 30)], &[(2, 100), (5, 100)]), Ok(true));
        assert_eq!(conserved(&[before, (GIVER, 5, 70), (TAKER, 5, 29)], &[(2, 100), (5, 100)]), Ok(false));
        assert_eq!(conserved(&[before, (GIVER, 5, 70), (TAKER, 5, 30)], &[(2, 100), (5, 101)]), Ok(false));
        assert_eq!(conserved(&[before, (GIVER, 5, 70), (TAKER, 5, 30), (GIVER, 9, 1)], &[(2, 100)]), Ok(true));
    }

    #[test]
    fn portions_round_down_and_never_pass_the_whole() {
        let of = |units, total| portion(Units::new(units), Units::new(total)).get();
        assert_eq!(
            (of(1, 3), of(3, 3), of(0, 0), of(limits::MODEL_UNITS, limits::MODEL_UNITS)),
            (3_333, 10_000, 0, 10_000)
        );
    }
}
