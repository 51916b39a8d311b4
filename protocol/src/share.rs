//! The share register: who holds how many whole units of a model, since when, and why.
//!
//! Every change goes through [`change`], which keeps four things together: the balance, the balance as of the height,
//! the model's total (and as of the height), and a numbered line of the history. Nothing else writes a balance, so
//! that the balances of a model always add up to its total.

use crate::{
    event::Event,
    execute::Context,
    ids::{AccountId, Height, ModelId, ProposalId, TransactionId, Units},
    limits,
    model::Model,
    rejection::Rejection,
    state::{Family, Overlay, Record, StateRead},
    transaction::{Invalid, check_text},
};
use serde::{Deserialize, Serialize};

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
