//! The share register: who holds how many whole units of a model, since when, and why.
//!
//! Every change goes through [`change`], which keeps four things together: the balance, the balance as of the height,
//! the model's total (and as of the height), and a numbered line of the history. Nothing else writes a balance, so
//! that the balances of a model always add up to its total.

use crate::{
    event::Event,
    execute::Context,
    ids::{AccountId, BasisPoints, Height, ModelId, ProposalId, TransactionId, Units},
    limits,
    model::Model,
    rejection::Rejection,
    state::{Family, Overlay, Record, StateError, StateRead, read_as_of},
    transaction::{Invalid, check_text},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the register: what an account holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The model.
    pub model: ModelId,
    /// The holder.
    pub account: AccountId,
    /// What it holds; a line of zero units is not kept.
    pub units: Units,
}

impl Record for Share {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Share;
}

/// What an account held from a height on, until its next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareAt(pub Units);

impl Record for ShareAt {
    type Key = (ModelId, AccountId, Height);
    const FAMILY: Family = Family::ShareAt;
}

/// A model's total from a height on, until its next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalAt(pub Units);

impl Record for TotalAt {
    type Key = (ModelId, Height);
    const FAMILY: Family = Family::TotalAt;
}

/// Why units moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareReason {
    /// A line of the model's founding table.
    Founding,
    /// Minted by a decision, with the reason it gave.
    Minted {
        /// The proposal that decided it.
        proposal: ProposalId,
        /// The reason in its text.
        reason: String,
    },
    /// Given by one holder to another, with the reason it gave.
    Transferred {
        /// The other side.
        counterparty: AccountId,
        /// The giver's reason.
        reason: String,
    },
}

/// Whether units came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareFlow {
    /// Units came to the account.
    In,
    /// Units left the account.
    Out,
}

/// One line of a register's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareChange {
    /// Its number in the model's history, from 0.
    pub number: u64,
    /// The height.
    pub height: Height,
    /// The transaction that did it; none if a decision did, when it closed.
    pub transaction: Option<TransactionId>,
    /// Whose line.
    pub account: AccountId,
    /// Which way.
    pub flow: ShareFlow,
    /// How many.
    pub units: Units,
    /// What the account holds after it.
    pub balance: Units,
    /// Why.
    pub reason: ShareReason,
}

impl Record for ShareChange {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::ShareChange;
}

/// What `account` holds of `model` now.
pub fn balance<S: StateRead + ?Sized>(state: &Overlay<'_, S>, model: ModelId, account: AccountId) -> Units {
    state.read::<Share>(&(model, account)).map_or(Units::ZERO, |share| share.units)
}

/// What `account` held of `model` when block `height` was over.
pub fn balance_as_of<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    model: ModelId,
    account: AccountId,
    height: Height,
) -> Units {
    state.read_as_of::<ShareAt>(&(model, account), &(model, account, height)).map_or(Units::ZERO, |at| at.0)
}

/// The units of `model` when block `height` was over.
pub fn total_as_of<S: StateRead + ?Sized>(state: &Overlay<'_, S>, model: ModelId, height: Height) -> Units {
    state.read_as_of::<TotalAt>(&model, &(model, height)).map_or(Units::ZERO, |at| at.0)
}

/// The part that `units` are of `total`, rounded down, so that the parts of all lines never add up to more than the
/// whole; nothing of nothing.
pub fn portion(units: Units, total: Units) -> BasisPoints {
    let scaled = u128::from(units.get()).saturating_mul(10_000).checked_div(u128::from(total.get())).unwrap_or(0);
    u16::try_from(scaled).ok().and_then(|points| BasisPoints::new(points).ok()).unwrap_or(BasisPoints::WHOLE)
}

/// Checks that what a block did to registers kept them whole: for each model whose shares changed among `events`, the
/// lines' changes add up to the change of the total, and each line's change is what its events say. What holds for
/// every block holds for every register, as it begins with nothing. Reads the balances as of heights, so it can be
/// asked of any past height, and of any state at least as new.
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
            Ok::<_, StateError>(found.map_or(0, |at| at.0.get()))
        };
        if difference(at(height)?, at(height.previous())?) != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Changes one line and all that depends on it. `model` is written too.
pub(crate) fn change<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    model: &mut Model,
    account: AccountId,
    (flow, units): (ShareFlow, Units),
    reason: ShareReason,
) -> Result<Event, Rejection> {
    let held = balance(state, model.id, account);
    let too_many = Rejection::TooManyUnits(model.id);
    let too_few = Rejection::NotEnoughShares { account, model: model.id, held, asked: units };
    let (after, total) = match flow {
        ShareFlow::In => (held.checked_add(units), model.total_units.checked_add(units)),
        ShareFlow::Out => (held.checked_sub(units), model.total_units.checked_sub(units)),
    };
    let refused = if flow == ShareFlow::In { too_many } else { too_few };
    let (Some(after), Some(total)) = (after, total) else { return Err(refused) };

    let key = (model.id, account);
    if after == Units::ZERO {
        state.remove::<Share>(&key);
    } else {
        state.write(&key, &Share { model: model.id, account, units: after });
    }
    state.write(&(model.id, account, context.height), &ShareAt(after));
    state.write(&(model.id, context.height), &TotalAt(total));
    let line = ShareChange {
        number: model.share_changes,
        height: context.height,
        transaction: context.transaction,
        account,
        flow,
        units,
        balance: after,
        reason: reason.clone(),
    };
    state.write(&(model.id, line.number), &line);
    match (held == Units::ZERO, after == Units::ZERO) {
        (true, false) => model.holders = model.holders.saturating_add(1),
        (false, true) => model.holders = model.holders.saturating_sub(1),
        _ => {}
    }
    model.total_units = total;
    model.share_changes = model.share_changes.saturating_add(1);
    state.write(&model.id, model);
    Ok(Event::SharesChanged { model: model.id, account, flow, units, balance: after, reason })
}

/// Give shares to another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferShares {
    /// The model.
    pub model: ModelId,
    /// Who receives.
    pub to: AccountId,
    /// How many units; at least 1.
    pub units: Units,
    /// Why, for the history.
    pub reason: String,
}

impl TransferShares {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut model = Model::existing(state, self.model)?;
        context.existing_account(state, self.to)?;
        if self.units == Units::ZERO || self.to == sender {
            return Err(Rejection::EmptyTransfer);
        }
        let reason = |counterparty| ShareReason::Transferred { counterparty, reason: self.reason.clone() };
        let gone = change(state, context, &mut model, sender, (ShareFlow::Out, self.units), reason(self.to))?;
        let come = change(state, context, &mut model, self.to, (ShareFlow::In, self.units), reason(sender))?;
        Ok(vec![gone, come])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec,
        state::{Direction, Entry},
    };

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
            state.0.insert(key, codec::encode(&TotalAt(Units::new(*units))));
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
