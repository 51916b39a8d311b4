//! Control of an account: whether those who speak for it now are those who did before.
//!
//! Keys are replaced in the ordinary course, one by one or all at once, and the ledger cannot see why. It can see
//! whether the keys that an account had could still act for it: as long as some of them reach the threshold of the new
//! ones, control continues. If they do not, it has *changed*, as when an organisation hands its keys to another. Small
//! steps do not get around that: all of them are measured against the keys with which the current control began. What
//! guardians do is a recovery, not a change; it also reverts a change that they stepped in against.
//!
//! A model's owners can treat a change of a holder's control as a transfer ([`ChangeOfControl::Approval`]). Then those
//! who got the keys can neither answer with what the account holds nor give it away until the owners accept those keys,
//! by a decision like one on a transfer: either before the change, proposed by the old keys, or after it. The units
//! stay where they are, count in every quorum, and can be given up.
//!
//! Giving a key itself away changes nothing on the ledger, and no policy can see it.

use crate::{
    ground::{
        ids::{AccountId, Height, ModelId, ProposalId},
        invalid::Invalid,
        state::{Family, Overlay, Record, StateError, StateRead, read},
    },
    rules::{
        account::{Account, KeyPolicy},
        context::Context,
        event::Event,
        model::Model,
        proposal::Proposal,
        rejection::Rejection,
        share::Share,
    },
};
use serde::{Deserialize, Serialize};

/// How a model's owners treat a change of a holder's control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeOfControl {
    /// The holder's own business.
    #[default]
    Free,
    /// Like a transfer that they approve.
    Approval,
}

/// A period under one control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Epoch {
    /// The keys with which it began.
    pub keys: KeyPolicy,
    /// The height at which it began; 0 for an account whose control never changed.
    pub since: Height,
}

/// The control of an account. An account that never replaced a key has no such record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The account.
    pub account: AccountId,
    /// Since when, and with which keys.
    pub epoch: Epoch,
    /// The keys that new ones are measured against: those with which the epoch began, or the last that guardians gave.
    pub anchor: KeyPolicy,
    /// The previous epoch and anchor, while guardians can still revert the change.
    pub unsettled: Option<(Epoch, KeyPolicy)>,
}

impl Record for Control {
    type Key = AccountId;
    const FAMILY: Family = Family::Control;
}

/// The keys of a holder that a model's owners accept, whether it already has them or will get them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedControl {
    /// The model.
    pub model: ModelId,
    /// The holder.
    pub account: AccountId,
    /// The keys with which its control begins.
    pub keys: KeyPolicy,
    /// The decision.
    pub proposal: ProposalId,
}

impl Record for AcceptedControl {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::AcceptedControl;
}

/// The height since which a model's owners decide about changes of control; earlier changes are not their concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRuled(pub Height);

impl Record for ControlRuled {
    type Key = ModelId;
    const FAMILY: Family = Family::ControlRuled;
}

fn of(state: &Overlay<'_>, account: &Account) -> Control {
    state.read::<Control>(&account.id).unwrap_or_else(|| Control {
        account: account.id,
        epoch: Epoch { keys: account.keys.clone(), since: Height::ZERO },
        anchor: account.keys.clone(),
        unsettled: None,
    })
}

/// The keys of an account were replaced by its own keys.
pub(crate) fn on_rotated(
    state: &mut Overlay<'_>,
    context: &Context,
    before: &Account,
    after: &Account,
) -> Option<Event> {
    let mut control = of(state, before);
    // Nobody reverts what was settled before, whatever waits now.
    if before.settled_keys() == &before.keys || after.unsettled.is_none() {
        control.unsettled = None;
    }
    let lasting = after.keys.weight_of(control.anchor.keys.iter().map(|known| &known.key));
    let goes_on = lasting >= u64::from(after.keys.threshold);
    if !goes_on {
        let begun = Epoch { keys: after.keys.clone(), since: context.height };
        let ended = std::mem::replace(&mut control.epoch, begun);
        let anchor = std::mem::replace(&mut control.anchor, after.keys.clone());
        if after.unsettled.is_some() {
            control.unsettled.get_or_insert((ended, anchor));
        }
    }
    state.write(&after.id, &control);
    (!goes_on).then_some(Event::ControlChanged { account: after.id })
}

/// Guardians gave an account new keys. `before` is the account before that.
pub(crate) fn on_recovered(state: &mut Overlay<'_>, before: &Account, keys: &KeyPolicy) {
    let mut control = of(state, before);
    let against = before.unsettled.as_ref().is_some_and(|waits| waits.keys != before.keys);
    if let Some((epoch, _)) = control.unsettled.take().filter(|_| against) {
        control.epoch = epoch;
    }
    control.anchor = keys.clone();
    state.write(&before.id, &control);
}

/// The control of a holder that a model's owners have not accepted. `None` if there is nothing to accept.
///
/// # Errors
/// When the state cannot be read.
pub fn unaccepted(state: &impl StateRead, model: &Model, account: AccountId) -> Result<Option<Epoch>, StateError> {
    if model.policy.change_of_control == ChangeOfControl::Free {
        return Ok(None);
    }
    let Some(Control { epoch, .. }) = read::<Control>(state, &account)? else { return Ok(None) };
    let ruled = read::<ControlRuled>(state, &model.id)?.map_or(Height::ZERO, |ruled| ruled.0);
    let held = read::<Share>(state, &(model.id, account))?.is_some_and(|share| share.since <= epoch.since);
    if epoch.since <= ruled || !held {
        return Ok(None);
    }
    let accepted = read::<AcceptedControl>(state, &(model.id, account))?;
    Ok(Some(epoch).filter(|epoch| accepted.is_none_or(|accepted| accepted.keys != epoch.keys)))
}

/// Checks that an account may answer with, and dispose of, what it holds of a model.
pub(crate) fn require(state: &Overlay<'_>, model: ModelId, account: AccountId) -> Result<(), Rejection> {
    // Most accounts never replaced a key, and a model is expensive to read.
    if state.read::<Control>(&account).is_none() {
        return Ok(());
    }
    let owned = Model::existing(state, model)?;
    match state.noted(unaccepted(state, &owned, account)).flatten() {
        Some(epoch) => Err(Rejection::ControlNotAccepted { account, model, since: epoch.since }),
        None => Ok(()),
    }
}

/// Accept the keys of a holder whose control changes, where the owners have a say in that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptControl {
    /// The holder.
    pub account: AccountId,
    /// The keys with which its control began again, or will.
    pub keys: KeyPolicy,
}

impl AcceptControl {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.keys.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (model, account, proposal) = (model.id, self.account, proposal.id);
        context.existing_account(state, account)?;
        state.write(&(model, account), &AcceptedControl { model, account, keys: self.keys.clone(), proposal });
        Ok(vec![Event::ControlAccepted { model, account, proposal }])
    }
}

/// The owners changed how they decide.
pub(crate) fn on_policy(state: &mut Overlay<'_>, context: &Context, model: &Model, before: ChangeOfControl) {
    if before == ChangeOfControl::Free && model.policy.change_of_control == ChangeOfControl::Approval {
        state.write(&model.id, &ControlRuled(context.height));
    }
}
