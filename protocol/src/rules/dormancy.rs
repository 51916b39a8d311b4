//! Dormancy: weight that has fallen silent no longer counts for quorums until it speaks again, so that lost holders and
//! members do not stop everybody else for ever.
//!
//! An account with a voice in a scope may *call on* another one. An event then tells that one by when to speak: the
//! time that the policy in force gives it (see [`crate::rules::policy::Dormancy`]). Any activity in the scope ends the call: a
//! ballot, a proposal, a delegation, a transfer, or [`Present`]. If there is none, the account becomes *dormant*: for
//! proposals opened from the next block on, quorums are fractions of what is awake, though never of less than half of
//! the whole. Its first activity wakes it; and if that is a ballot, its weight counts in that very vote.
//!
//! A holder whose delegate is awake has spoken through it. An account that falls dormant loses its own delegation:
//! otherwise its weight could be used for answers without being counted.

use crate::{
    ground::{
        ids::{AccountId, Height, Timestamp},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        account::Account,
        action::Action,
        context::Context,
        delegation::{self, Delegate},
        due::{self, Due},
        event::Event,
        model::Model,
        policy::Dormancy,
        proposal::{Proposal, Scope},
        rejection::Rejection,
        share::{self, BurnShares, Register, TakeUp, TransferShares, Weights},
    },
};
use serde::{Deserialize, Serialize};

/// An account that was called on and has not spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Silence {
    /// The scope in which it has a voice.
    pub scope: Scope,
    /// The silent account.
    pub account: AccountId,
    /// The account that called on it.
    pub by: AccountId,
    /// The block time of the call.
    pub called_at: Timestamp,
    /// The block time from which it is dormant, unless it speaks before.
    pub sleeps_at: Timestamp,
    /// Whether it is dormant.
    pub is_dormant: bool,
}

impl Record for Silence {
    type Key = (Scope, AccountId);
    const FAMILY: Family = Family::Silence;
}

/// Whether an account was dormant from a height on, until its next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DormantAt(pub bool);

impl Record for DormantAt {
    type Key = (Scope, AccountId, Height);
    const FAMILY: Family = Family::DormantAt;
}

/// The total weight of all dormant accounts of a scope from a height on, until the next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DormantTotalAt(pub Weights);

impl Record for DormantTotalAt {
    type Key = (Scope, Height);
    const FAMILY: Family = Family::DormantTotalAt;
}

/// Call on a silent account, which must speak or no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallOn {
    /// The scope in which it has a voice, and the sender too.
    pub scope: Scope,
    /// The account to call on.
    pub account: AccountId,
}

impl CallOn {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut sender: Account,
    ) -> Result<Vec<Event>, Rejection> {
        let (scope, account) = (self.scope, self.account);
        context.existing_account(state, account)?;
        let dormancy = dormancy(state, context, scope)?.ok_or(Rejection::NoDormancy)?;
        if account == sender.id {
            return Err(Rejection::OwnCall(account));
        }
        for one in [sender.id, account] {
            if !has_voice(state, scope, one) {
                return Err(Rejection::NoVoice(one));
            }
        }
        if state.read::<Silence>(&(scope, account)).is_some() {
            return Err(Rejection::CalledAlready(account));
        }
        if let Some(delegate) = delegate_awake(state, context, scope, account) {
            return Err(Rejection::DelegateAnswers { account, delegate });
        }
        if sender.open_calls >= limits::OPEN_CALLS_PER_ACCOUNT {
            return Err(Rejection::TooManyCalls(sender.id));
        }
        sender.open_calls = sender.open_calls.saturating_add(1);
        state.write(&sender.id, &sender);
        let sleeps_at = context.time.plus_ms(dormancy.after_ms);
        let silence = Silence { scope, account, by: sender.id, called_at: context.time, sleeps_at, is_dormant: false };
        state.write(&(scope, account), &silence);
        due::set(state, sleeps_at, Due::Silence { scope, account });
        count(state, scope, |silent| silent.saturating_add(1));
        Ok(vec![Event::CalledOn { scope, account, by: sender.id, sleeps_at }])
    }
}

/// Say that the sender is there, without any other action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Present {
    /// The scope in which it was called on.
    pub scope: Scope,
}

impl Present {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        heard(state, context, self.scope, sender).map(|event| vec![event]).ok_or(Rejection::NotCalledOn(sender))
    }
}

/// The scope in which this action counts as activity. `None` if it counts nowhere, or nobody is silent there.
pub(crate) fn spoken_in<Request, Sign>(state: &Overlay<'_>, action: &Action<Request, Sign>) -> Option<Scope> {
    match action {
        Action::OpenProposal(action) => Some(action.question.scope()),
        Action::CastBallot(action) => state.read::<Proposal>(&action.proposal).map(|proposal| proposal.scope()),
        Action::Delegate(Delegate { model, .. })
        | Action::TransferShares(TransferShares { model, .. })
        | Action::BurnShares(BurnShares { model, .. })
        | Action::TakeUp(TakeUp { model, .. }) => Some(Scope::Model(*model)),
        Action::CreateAccount(_)
        | Action::RotateKeys(_)
        | Action::CreateModel(_)
        | Action::PublishVersion(_)
        | Action::CommitArtifact(_)
        | Action::RecordContribution(_)
        | Action::AcceptContribution(_)
        | Action::WithdrawProposal(_)
        | Action::ExecuteProposal(_)
        | Action::CancelProposal(_)
        | Action::Attest(_)
        | Action::RevealContribution(_)
        | Action::OpenDispute(_)
        | Action::AnswerDispute(_)
        | Action::RuleDispute(_)
        | Action::ReportIncident(_)
        | Action::UpdateIncident(_)
        | Action::SetRecovery(_)
        | Action::RecoverAccount(_)
        | Action::CancelRecovery(_)
        | Action::RequestApproval(_)
        | Action::SignApproval(_)
        | Action::BindPeer(_)
        | Action::ReleasePeer(_)
        | Action::CallOn(_)
        | Action::Present(_)
        | Action::LeaveNetwork(_)
        | Action::AcceptOffice(_)
        | Action::ResignOffice(_)
        | Action::SetIntake(_)
        | Action::AcceptTransfer(_)
        | Action::GiveConsent(_)
        | Action::AskLicence(_)
        | Action::AnswerLicence(_)
        | Action::StopVersion(_)
        | Action::DeclineContribution(_)
        | Action::WithdrawDispute(_)
        | Action::AppealDispute(_)
        | Action::AnswerIncident(_) => None,
    }
    .filter(|scope| match scope {
        Scope::Model(model) => Register::of(state, *model).silent > 0,
        Scope::Network => true,
    })
}

/// An account was active in a scope: a call on it is over, and it is awake.
pub(crate) fn heard(state: &mut Overlay<'_>, context: &Context, scope: Scope, account: AccountId) -> Option<Event> {
    let silence = state.read::<Silence>(&(scope, account))?;
    end(state, context, &silence);
    Some(Event::Spoke { scope, account, was_dormant: silence.is_dormant })
}

/// Forgets that an account is silent, because it no longer has a voice.
pub(crate) fn forget(state: &mut Overlay<'_>, context: &Context, scope: Scope, account: AccountId) {
    if let Some(silence) = state.read::<Silence>(&(scope, account)) {
        end(state, context, &silence);
    }
}

fn end(state: &mut Overlay<'_>, context: &Context, silence: &Silence) {
    let Silence { scope, account, by, sleeps_at, is_dormant, .. } = *silence;
    state.remove::<Silence>(&(scope, account));
    count(state, scope, |silent| silent.saturating_sub(1));
    if is_dormant {
        state.write(&(scope, account, context.height), &DormantAt(false));
        let weights = weights(state, scope, account);
        change_total(state, context, scope, |sum| sum.minus(weights));
    } else {
        due::clear(state, sleeps_at, Due::Silence { scope, account });
        close_call(state, by);
    }
}

fn close_call(state: &mut Overlay<'_>, by: AccountId) {
    if let Some(mut caller) = state.read::<Account>(&by) {
        caller.open_calls = caller.open_calls.saturating_sub(1);
        state.write(&by, &caller);
    }
}

/// The time to speak is over.
pub(crate) fn on_due(state: &mut Overlay<'_>, context: &Context, scope: Scope, account: AccountId) -> Vec<Event> {
    let Some(silence) = state.read::<Silence>(&(scope, account)).filter(|silence| !silence.is_dormant) else {
        return Vec::new();
    };
    let still_called = has_voice(state, scope, account)
        && dormancy(state, context, scope).is_ok_and(|dormancy| dormancy.is_some())
        && delegate_awake(state, context, scope, account).is_none();
    if !still_called {
        end(state, context, &silence);
        return vec![Event::Spoke { scope, account, was_dormant: false }];
    }
    close_call(state, silence.by);
    let mut events = Vec::new();
    if let Scope::Model(model) = scope {
        events.extend(delegation::end_of(state, context, model, account));
    }
    state.write(&(scope, account), &Silence { is_dormant: true, ..silence });
    state.write(&(scope, account, context.height), &DormantAt(true));
    let weights = weights(state, scope, account);
    change_total(state, context, scope, |sum| sum.plus(weights));
    events.push(Event::FellDormant { scope, account });
    events
}

/// Applies a change of a holder's balance to the weight of the dormant.
pub(crate) fn follow(
    state: &mut Overlay<'_>,
    context: &Context,
    register: &Register,
    account: AccountId,
    before: Weights,
    after: Weights,
) {
    if register.silent == 0 {
        return;
    }
    let scope = Scope::Model(register.model);
    if state.read::<Silence>(&(scope, account)).is_some_and(|silence| silence.is_dormant) {
        change_total(state, context, scope, |sum| sum.minus(before).plus(after));
    }
}

/// Whether `account` was dormant after block `height`.
pub(crate) fn was_dormant(state: &Overlay<'_>, scope: Scope, account: AccountId, height: Height) -> bool {
    state.read_as_of::<DormantAt>(&(scope, account), &(scope, account, height)).is_some_and(|at| at.0)
}

/// The total weight of the dormant of a scope after block `height`; zero if no policy says that they no longer count.
pub(crate) fn asleep_as_of(state: &Overlay<'_>, scope: Scope, height: Height) -> Weights {
    state.read_as_of::<DormantTotalAt>(&scope, &(scope, height)).map_or(Weights::ZERO, |at| at.0)
}

fn dormancy(state: &Overlay<'_>, context: &Context, scope: Scope) -> Result<Option<Dormancy>, Rejection> {
    match scope {
        Scope::Network => Ok(context.parameters.policy.dormancy),
        Scope::Model(model) => Ok(Model::existing(state, model)?.policy.dormancy),
    }
}

/// Whether an account can currently answer the scope's questions at all, with its own weight or with others'.
fn has_voice(state: &Overlay<'_>, scope: Scope, account: AccountId) -> bool {
    let is_delegate = match scope {
        Scope::Network => false,
        Scope::Model(model) => delegation::delegated_now(state, model, account) != Weights::ZERO,
    };
    is_delegate || weights(state, scope, account) != Weights::ZERO
}

/// The account that answers for this one, if it is awake.
fn delegate_awake(state: &Overlay<'_>, context: &Context, scope: Scope, account: AccountId) -> Option<AccountId> {
    let Scope::Model(model) = scope else { return None };
    let delegate = delegation::now(state, context, model, account)?;
    let is_dormant = state.read::<Silence>(&(scope, delegate)).is_some_and(|silence| silence.is_dormant);
    (!is_dormant).then_some(delegate)
}

/// The current weight of an account.
fn weights(state: &Overlay<'_>, scope: Scope, account: AccountId) -> Weights {
    match scope {
        Scope::Model(model) => Weights::of(share::balance(state, model, account)),
        Scope::Network if state.read::<Account>(&account).is_some_and(|account| account.member_since.is_some()) => {
            Weights::MEMBER
        }
        Scope::Network => Weights::ZERO,
    }
}

fn change_total(state: &mut Overlay<'_>, context: &Context, scope: Scope, change: impl FnOnce(Weights) -> Weights) {
    let sum = asleep_as_of(state, scope, context.height);
    state.write(&(scope, context.height), &DormantTotalAt(change(sum)));
}

fn count(state: &mut Overlay<'_>, scope: Scope, change: impl FnOnce(u64) -> u64) {
    if let Scope::Model(model) = scope {
        let mut register = Register::of(state, model);
        register.silent = change(register.silent);
        state.write(&model, &register);
    }
}
