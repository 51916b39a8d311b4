//! Delegation: a holder lets another account of its choice answer a model's questions with its weight.
//!
//! A delegation reaches one step: an account does not pass on what others delegated to it. It counts for proposals
//! opened after it, as weights do; the delegator may still answer any of them itself (see [`crate::rules::proposal::ballot`]).
//! What was delegated to each account is a running sum, so a ballot costs the same however many stand behind it.

use crate::{
    ground::{
        ids::{AccountId, Height, ModelId, Timestamp},
        invalid::Invalid,
        state::{Family, Overlay, Record},
    },
    rules::{
        account::Account,
        context::Context,
        control,
        due::{self, Due, Lane},
        event::Event,
        model::Model,
        rejection::Rejection,
        share::{self, Register, Weights},
    },
};
use serde::{Deserialize, Serialize};

/// The delegation of a model's questions by an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delegation {
    /// The model.
    pub model: ModelId,
    /// The account that delegates.
    pub from: AccountId,
    /// The account that answers.
    pub to: AccountId,
    /// The block time at which it ends. `None` means that it lasts until it is ended.
    pub expires: Option<Timestamp>,
    /// The height at which it was made.
    pub since: Height,
}

impl Record for Delegation {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Delegation;
}

/// The account to which an account's questions were delegated from a height on, until its next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationAt(pub Option<AccountId>);

impl Record for DelegationAt {
    type Key = (ModelId, AccountId, Height);
    const FAMILY: Family = Family::DelegationAt;
}

/// The weight that others delegated to an account, from a height on, until its next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegatedAt(pub Weights);

impl Record for DelegatedAt {
    type Key = (ModelId, AccountId, Height);
    const FAMILY: Family = Family::DelegatedAt;
}

/// Let another account answer a model's questions, or end that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delegate {
    /// The model.
    pub model: ModelId,
    /// The account that answers. `None` means that the sender answers for itself again.
    pub to: Option<AccountId>,
    /// The block time at which it ends. `None` means that it lasts until it is ended.
    pub expires: Option<Timestamp>,
}

impl Delegate {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.to.is_none() && self.expires.is_some() {
            let problem = "is given for no delegation; leave it out, or name to whom".into();
            return Err(Invalid::Form { field: "expires", problem });
        }
        Ok(())
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        account: &Account,
    ) -> Result<Vec<Event>, Rejection> {
        let sender = account.id;
        let model = Model::existing(state, self.model)?;
        if !model.policy.suspended_vote {
            account.require_not_suspended()?;
        }
        if let Some(to) = self.to {
            control::require(state, self.model, sender)?;
            context.existing_account(state, to)?;
            if to == sender {
                return Err(Rejection::OwnDelegate(sender));
            }
        }
        if let Some(expires) = self.expires.filter(|expires| *expires <= context.time) {
            return Err(Rejection::DelegationExpired { expires, time: context.time });
        }
        end(state, context, self.model, sender);
        if let Some(to) = self.to {
            begin(
                state,
                context,
                Delegation { model: self.model, from: sender, to, expires: self.expires, since: context.height },
            );
        }
        Ok(vec![Event::Delegated { model: self.model, from: sender, to: self.to, expires: self.expires }])
    }
}

fn begin(state: &mut Overlay<'_>, context: &Context, delegation: Delegation) {
    let Delegation { model, from, to, expires, .. } = delegation;
    state.write(&(model, from), &delegation);
    state.write(&(model, from, context.height), &DelegationAt(Some(to)));
    if let Some(expires) = expires {
        due::set(state, expires, Due::Delegation { model, from });
    }
    let weights = Weights::of(share::balance(state, model, from));
    change_delegated(state, context, model, to, |sum| sum.plus(weights));
    change_count(state, model, |count| count.saturating_add(1));
}

/// Ends a delegation, if there is one.
fn end(state: &mut Overlay<'_>, context: &Context, model: ModelId, from: AccountId) {
    let Some(Delegation { to, expires, .. }) = state.read::<Delegation>(&(model, from)) else { return };
    if let Some(expires) = expires {
        due::clear(state, expires, Due::Delegation { model, from });
        if expires <= context.time {
            expire(state, context, model, from);
            return;
        }
    }
    state.remove::<Delegation>(&(model, from));
    state.write(&(model, from, context.height), &DelegationAt(None));
    let weights = Weights::of(share::balance(state, model, from));
    change_delegated(state, context, model, to, |sum| sum.minus(weights));
    change_count(state, model, |count| count.saturating_sub(1));
}

/// Ends an account's delegation, because it fell dormant.
pub(crate) fn end_of(state: &mut Overlay<'_>, context: &Context, model: ModelId, from: AccountId) -> Option<Event> {
    state.read::<Delegation>(&(model, from))?;
    end(state, context, model, from);
    Some(Event::Delegated { model, from, to: None, expires: None })
}

/// A delegation has expired. It does not count for proposals opened from this block on, and so it is over as of the
/// previous block, which is the one that they read.
pub(crate) fn expire(state: &mut Overlay<'_>, context: &Context, model: ModelId, from: AccountId) -> Vec<Event> {
    let Some(Delegation { to, .. }) = state.read::<Delegation>(&(model, from)) else { return Vec::new() };
    let before = context.height.previous();
    state.remove::<Delegation>(&(model, from));
    state.write(&(model, from, before), &DelegationAt(None));
    let was = Weights::of(share::balance_as_of(state, model, from, before));
    let sum = delegated_as_of(state, model, to, before).minus(was);
    // What this block has already changed counts from this block on.
    if let Some(DelegatedAt(now)) = state.read(&(model, to, context.height)) {
        let is = Weights::of(share::balance(state, model, from));
        state.write(&(model, to, context.height), &DelegatedAt(now.minus(is)));
    }
    state.write(&(model, to, before), &DelegatedAt(sum));
    change_count(state, model, |count| count.saturating_sub(1));
    vec![Event::Delegated { model, from, to: None, expires: None }]
}

/// Checks that every delegation of a model that has expired has been removed: a proposal being opened counts weights as
/// they are.
pub(crate) fn require_ended(state: &Overlay<'_>, context: &Context, model: ModelId) -> Result<(), Rejection> {
    if due::is_behind(state, Lane::Ends(model), context.time) { Err(Rejection::DelegationsEnd(model)) } else { Ok(()) }
}

/// Applies a change of a holder's balance to what its delegate was given.
pub(crate) fn follow(
    state: &mut Overlay<'_>,
    context: &Context,
    register: &Register,
    account: AccountId,
    before: Weights,
    after: Weights,
) {
    if register.delegations == 0 {
        return;
    }
    if let Some(delegation) = state.read::<Delegation>(&(register.model, account)) {
        let change = |sum: Weights| sum.minus(before).plus(after);
        change_delegated(state, context, register.model, delegation.to, change);
    }
}

fn change_delegated(
    state: &mut Overlay<'_>,
    context: &Context,
    model: ModelId,
    to: AccountId,
    change: impl FnOnce(Weights) -> Weights,
) {
    let sum = delegated_as_of(state, model, to, context.height);
    state.write(&(model, to, context.height), &DelegatedAt(change(sum)));
}

fn change_count(state: &mut Overlay<'_>, model: ModelId, change: impl FnOnce(u64) -> u64) {
    let mut register = Register::of(state, model);
    register.delegations = change(register.delegations);
    state.write(&model, &register);
}

/// The weight that others currently delegate to `account`.
pub(crate) fn delegated_now(state: &Overlay<'_>, model: ModelId, account: AccountId) -> Weights {
    delegated_as_of(state, model, account, Height::new(u64::MAX))
}

/// The weight that others delegated to `account` after block `height`.
pub(crate) fn delegated_as_of(state: &Overlay<'_>, model: ModelId, account: AccountId, height: Height) -> Weights {
    state.read_as_of::<DelegatedAt>(&(model, account), &(model, account, height)).map_or(Weights::ZERO, |at| at.0)
}

/// The account to which `account` currently delegates.
pub(crate) fn now(state: &Overlay<'_>, context: &Context, model: ModelId, account: AccountId) -> Option<AccountId> {
    let delegation = state.read::<Delegation>(&(model, account))?;
    delegation.expires.is_none_or(|expires| expires > context.time).then_some(delegation.to)
}

/// The account to which `account` delegated after block `height`.
pub(crate) fn delegate_as_of(
    state: &Overlay<'_>,
    model: ModelId,
    account: AccountId,
    height: Height,
) -> Option<AccountId> {
    state.read_as_of::<DelegationAt>(&(model, account), &(model, account, height)).and_then(|at| at.0)
}
