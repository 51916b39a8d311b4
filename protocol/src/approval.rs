//! Approvals gathered on the ledger: a request of an account with several keys, which their owners sign one after the
//! other, over days, without passing files around.
//!
//! Whoever has one of the keys puts the request; each further key signs it by a transaction of its own. With the
//! signature that reaches the account's threshold the request is carried out, as if all had signed it together. If the
//! rules refuse it then, that signature is refused with their reason, and can be tried again.

use crate::{
    account::Account,
    due::{self, Due},
    event::Event,
    execute::{self, Context},
    ids::{AccountId, ApprovalId, Height, PublicKey, Timestamp},
    limits,
    rejection::Rejection,
    state::{Family, Overlay, Record, StateRead},
    transaction::{Action, Invalid, KeySignature},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// What an approval can be asked for: every action but those about approvals.
pub type Approvable = Action<Never, Never>;

/// What stands where a request that waits would name another one: there is no value of it, in memory or in bytes. A
/// chain of requests in requests would be as deep as its bytes are long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Never {}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("what waits for approval is itself about approvals; put the request that is meant"))
    }
}

/// What can stand in an [`Action`]'s two places about approvals, and what each does there.
pub(crate) trait OfApproval {
    /// Every rule of form.
    fn check(&self) -> Result<(), Invalid>;

    /// Does it, on behalf of the sender, by the keys that signed.
    fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &mut Context,
        sender: Account,
        signatures: &[KeySignature],
    ) -> Result<Vec<Event>, Rejection>;
}

impl OfApproval for Never {
    fn check(&self) -> Result<(), Invalid> {
        match *self {}
    }

    fn apply<S: StateRead + ?Sized>(
        &self,
        _: &mut Overlay<'_, S>,
        _: &mut Context,
        _: Account,
        _: &[KeySignature],
    ) -> Result<Vec<Event>, Rejection> {
        match *self {}
    }
}

/// A request that waits for signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The account in whose name it is.
    pub account: AccountId,
    /// What is asked.
    pub action: Box<Approvable>,
    /// The keys that signed so far.
    pub keys: Vec<PublicKey>,
    /// When it was put.
    pub opened: Height,
    /// The block time at which it is dropped.
    pub expires: Timestamp,
}

impl Record for Approval {
    type Key = ApprovalId;
    const FAMILY: Family = Family::Approval;
}

/// An account's requests that wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalOf(pub ApprovalId);

impl Record for ApprovalOf {
    type Key = (AccountId, ApprovalId);
    const FAMILY: Family = Family::ApprovalOf;
}

/// Put a request that other keys of the sender are to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestApproval {
    /// What is asked.
    pub action: Box<Approvable>,
    /// How long it waits, in milliseconds of block time: 1 to [`limits::APPROVAL_MS`].
    pub lifetime_ms: u64,
}

impl OfApproval for RequestApproval {
    fn check(&self) -> Result<(), Invalid> {
        if !(1..=limits::APPROVAL_MS).contains(&self.lifetime_ms) {
            let problem = format!("is {}; set 1 to {} ms", self.lifetime_ms, limits::APPROVAL_MS);
            return Err(Invalid::Form { field: "lifetime_ms", problem });
        }
        self.action.check()
    }

    fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &mut Context,
        mut sender: Account,
        signatures: &[KeySignature],
    ) -> Result<Vec<Event>, Rejection> {
        if sender.open_approvals >= limits::OPEN_APPROVALS_PER_ACCOUNT {
            return Err(Rejection::TooManyApprovals(sender.id));
        }
        let weight = sender.keys.weight_of(signatures.iter().map(|signature| &signature.key));
        if weight >= u64::from(sender.keys.threshold) {
            return Err(Rejection::NoApprovalNeeded(sender.id));
        }
        let approval = Approval {
            id: context.approval_id(),
            account: sender.id,
            action: self.action.clone(),
            keys: signatures.iter().map(|signature| signature.key).collect(),
            opened: context.height,
            expires: context.time.plus_ms(self.lifetime_ms),
        };
        sender.open_approvals = sender.open_approvals.saturating_add(1);
        state.write(&sender.id, &sender);
        state.write(&(sender.id, approval.id), &ApprovalOf(approval.id));
        state.write(&approval.id, &approval);
        due::set(state, approval.expires, Due::Approval(approval.id));
        Ok(vec![Event::ApprovalRequested { account: sender.id, approval: approval.id, expires: approval.expires }])
    }
}

/// Sign a request that waits, or drop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignApproval {
    /// Which.
    pub approval: ApprovalId,
    /// Whether to sign it; if not, it is dropped.
    pub approve: bool,
}

impl OfApproval for SignApproval {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &mut Context,
        sender: Account,
        signatures: &[KeySignature],
    ) -> Result<Vec<Event>, Rejection> {
        let approval = state.read::<Approval>(&self.approval).filter(|approval| approval.account == sender.id);
        let mut approval = approval.ok_or(Rejection::UnknownApproval(self.approval))?;
        let (account, id) = (sender.id, self.approval);
        if !self.approve {
            close(state, &approval);
            return Ok(vec![Event::ApprovalClosed { account, approval: id, carried_out: false }]);
        }
        let new: Vec<PublicKey> =
            signatures.iter().map(|signature| signature.key).filter(|key| !approval.keys.contains(key)).collect();
        if new.is_empty() {
            return Err(Rejection::SignedAlready(self.approval));
        }
        approval.keys.extend(&new);
        let weight = sender.keys.weight_of(approval.keys.iter());
        let mut events = vec![Event::ApprovalSigned { account, approval: id, keys: new }];
        if weight < u64::from(sender.keys.threshold) {
            state.write(&self.approval, &approval);
            return Ok(events);
        }
        close(state, &approval);
        let sender = context.existing_account(state, account)?;
        events.extend(execute::apply(state, context, sender, (&approval.action, &[]))?);
        events.push(Event::ApprovalClosed { account, approval: id, carried_out: true });
        Ok(events)
    }
}

fn close<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, approval: &Approval) {
    due::clear(state, approval.expires, Due::Approval(approval.id));
    state.remove::<Approval>(&approval.id);
    state.remove::<ApprovalOf>(&(approval.account, approval.id));
    if let Some(mut account) = state.read::<Account>(&approval.account) {
        account.open_approvals = account.open_approvals.saturating_sub(1);
        state.write(&account.id, &account);
    }
}

/// A request waited too long.
pub(crate) fn expire<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, id: ApprovalId) -> Vec<Event> {
    let Some(approval) = state.read::<Approval>(&id) else { return Vec::new() };
    close(state, &approval);
    vec![Event::ApprovalClosed { account: approval.account, approval: id, carried_out: false }]
}
