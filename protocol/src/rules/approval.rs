//! Approvals collected on the ledger: a request of an account with several keys, which their owners sign one after the
//! other, over days, without exchanging files.
//!
//! Any one of the keys makes the request; each further key signs it by a transaction of its own. With the signature
//! that reaches the account's threshold, or that of the last key if every key is required, the request is executed as
//! if all had signed it together. If the rules refuse it then, that signature is refused with their reason, and can be
//! tried again.
//!
//! Dropping a request needs as much as signing it: enough keys must oppose it. A key that signed and then opposes the
//! request withdraws its signature; a request that no key signs any more is dropped. So is one whose keys were all
//! replaced: only the account's current keys count, for it or against it. One key has no more than its share of the
//! places for requests, so that it cannot keep the others from making any.

use crate::{
    ground::{
        codec,
        ids::{AccountId, ApprovalId, Height, PublicKey, Timestamp},
        invalid::Invalid,
        limits,
        state::{Family, Overlay, Record, prefix_end},
        weight::Load,
    },
    rules::{
        account::{Account, KeyPolicy},
        action::{self, Action},
        context::Context,
        due::{self, Due},
        event::Event,
        load,
        rejection::Rejection,
    },
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// What an approval can be requested for: every action except those about approvals.
pub type Approvable = Action<Never, Never>;

/// Used where a waiting request would contain another request: this type has no values, in memory or in bytes. Requests
/// nested in requests could be as deep as their bytes are long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Never {}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("what waits for approval is itself about approvals; put the request that is meant"))
    }
}

/// What can be in an [`Action`]'s two places about approvals, and what each does there.
pub(crate) trait OfApproval {
    /// Checks every rule of form.
    fn check(&self) -> Result<(), Invalid>;

    /// The most that it can make every peer do.
    fn load(&self) -> Load;

    /// Executes it on behalf of the sender, with the keys that signed.
    fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        sender: Account,
        signers: &[PublicKey],
    ) -> Result<Vec<Event>, Rejection>;
}

impl OfApproval for Never {
    fn check(&self) -> Result<(), Invalid> {
        match *self {}
    }

    fn load(&self) -> Load {
        match *self {}
    }

    fn apply(
        &self,
        _: &mut Overlay<'_>,
        _: &mut Context,
        _: Account,
        _: &[PublicKey],
    ) -> Result<Vec<Event>, Rejection> {
        match *self {}
    }
}

/// A request that waits for signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The account in whose name the request is made.
    pub account: AccountId,
    /// The requested action.
    #[cfg_attr(feature = "openapi", schema(value_type = Action, no_recursion))]
    pub action: Box<Approvable>,
    /// The current keys of the account that have signed.
    pub keys: Vec<PublicKey>,
    /// The current keys of the account that oppose it.
    pub against: Vec<PublicKey>,
    /// Whether every key of the account must sign, not only enough of them.
    pub every_key: bool,
    /// The height at which it was made.
    pub opened: Height,
    /// The block time at which it is dropped.
    pub expires: Timestamp,
}

impl Record for Approval {
    type Key = ApprovalId;
    const FAMILY: Family = Family::Approval;
}

impl Approval {
    /// Whether these keys are enough to execute the request, or to drop it.
    pub fn is_enough(&self, policy: &KeyPolicy, keys: &[PublicKey]) -> bool {
        is_enough(policy, self.every_key, keys)
    }
}

fn is_enough(policy: &KeyPolicy, every_key: bool, keys: &[PublicKey]) -> bool {
    if every_key {
        return policy.keys.iter().all(|known| keys.contains(&known.key));
    }
    policy.weight_of(keys.iter()) >= u64::from(policy.threshold)
}

/// One of an account's waiting requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalOf {
    /// The request.
    pub approval: ApprovalId,
    /// The first of the keys that made it.
    pub by: PublicKey,
}

impl Record for ApprovalOf {
    type Key = (AccountId, ApprovalId);
    const FAMILY: Family = Family::ApprovalOf;
}

/// Make a request that other keys of the sender are to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestApproval {
    /// The requested action.
    #[cfg_attr(feature = "openapi", schema(value_type = Action, no_recursion))]
    pub action: Box<Approvable>,
    /// How long it waits, in milliseconds of block time: 1 to [`limits::APPROVAL_MS`].
    pub lifetime_ms: u64,
    /// Whether every key of the account must sign, not only enough of them: some actions count for more then, see
    /// [`crate::rules::recovery`].
    pub every_key: bool,
}

impl OfApproval for RequestApproval {
    fn check(&self) -> Result<(), Invalid> {
        if !(1..=limits::APPROVAL_MS).contains(&self.lifetime_ms) {
            let problem = format!("is {}; set 1 to {} ms", self.lifetime_ms, limits::APPROVAL_MS);
            return Err(Invalid::Form { field: "lifetime_ms", problem });
        }
        let weight = load::of_action(&self.action).weight();
        if weight > limits::REQUESTED_WEIGHT {
            let max = limits::REQUESTED_WEIGHT;
            let problem =
                format!("weighs {weight}, more than the {max} of a request; let its keys sign one transaction");
            return Err(Invalid::Form { field: "action", problem });
        }
        self.action.check()
    }

    fn load(&self) -> Load {
        load::REQUESTING
    }

    fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        mut sender: Account,
        signers: &[PublicKey],
    ) -> Result<Vec<Event>, Rejection> {
        if is_enough(&sender.keys, self.every_key, signers) {
            return Err(Rejection::NoApprovalNeeded(sender.id));
        }
        // Every transaction that gets here has a signer.
        let by = *signers.first().ok_or(Rejection::NotAuthorised {
            account: sender.id,
            weight: 0,
            threshold: sender.keys.threshold.into(),
        })?;
        sender.require_open_to(&self.action)?;
        require_room(state, &sender, by)?;
        let approval = Approval {
            id: context.approval_id(),
            account: sender.id,
            action: self.action.clone(),
            keys: signers.to_vec(),
            against: Vec::new(),
            every_key: self.every_key,
            opened: context.height,
            expires: context.time.plus_ms(self.lifetime_ms),
        };
        sender.open_approvals = sender.open_approvals.saturating_add(1);
        state.write(&sender.id, &sender);
        state.write(&(sender.id, approval.id), &ApprovalOf { approval: approval.id, by });
        state.write(&approval.id, &approval);
        due::set(state, approval.expires, Due::Approval(approval.account, approval.id));
        Ok(vec![Event::ApprovalRequested { account: sender.id, approval: approval.id, expires: approval.expires }])
    }
}

/// Checks that the account, and the key that makes it, have room for another request.
fn require_room(state: &Overlay<'_>, account: &Account, by: PublicKey) -> Result<(), Rejection> {
    if account.open_approvals >= limits::OPEN_APPROVALS_PER_ACCOUNT {
        return Err(Rejection::TooManyApprovals(account.id));
    }
    let keys = u32::try_from(account.keys.keys.len()).unwrap_or(u32::MAX);
    let max = limits::OPEN_APPROVALS_PER_ACCOUNT.checked_div(keys).unwrap_or(0);
    let own = waiting(state, account.id).iter().filter(|waiting| waiting.by == by).count();
    if u32::try_from(own).unwrap_or(u32::MAX) >= max {
        return Err(Rejection::TooManyApprovalsOfKey { key: by, max });
    }
    Ok(())
}

/// The waiting requests of an account.
fn waiting(state: &Overlay<'_>, account: AccountId) -> Vec<ApprovalOf> {
    let from = ApprovalOf::key_bytes(&account);
    let entries = state.entries(&from, &prefix_end(&from), limits::OPEN_APPROVALS_PER_ACCOUNT as usize);
    entries.iter().filter_map(|(_, value)| codec::decode_trusted(value).ok()).collect()
}

/// Sign a waiting request, or oppose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignApproval {
    /// The request.
    pub approval: ApprovalId,
    /// Whether to sign it; otherwise these keys oppose it.
    pub approve: bool,
}

impl OfApproval for SignApproval {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn load(&self) -> Load {
        load::SIGNING
    }

    fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        sender: Account,
        signers: &[PublicKey],
    ) -> Result<Vec<Event>, Rejection> {
        let waits = |approval: &Approval| approval.account == sender.id && context.time < approval.expires;
        let approval = state.read::<Approval>(&self.approval).filter(waits);
        let mut approval = approval.ok_or(Rejection::UnknownApproval(self.approval))?;
        let Approval { keys, against, .. } = &mut approval;
        let (side, other) = if self.approve { (keys, against) } else { (against, keys) };
        let new: Vec<PublicKey> = signers.iter().filter(|key| !side.contains(key)).copied().collect();
        side.extend(&new);
        other.retain(|key| !new.contains(key));
        if self.approve { approval.sign(state, context, &sender, new) } else { approval.oppose(state, &sender, new) }
    }
}

impl Approval {
    /// Adds keys to those that sign.
    fn sign(
        self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        sender: &Account,
        new: Vec<PublicKey>,
    ) -> Result<Vec<Event>, Rejection> {
        let is_enough = self.is_enough(&sender.keys, &self.keys);
        // Keys that have signed may become enough when others are replaced.
        if new.is_empty() && !is_enough {
            return Err(Rejection::SignedAlready(self.id));
        }
        let mut events = vec![Event::ApprovalSigned { account: sender.id, approval: self.id, keys: new }];
        if !is_enough {
            state.write(&self.id, &self);
            return Ok(events);
        }
        close(state, &self);
        let sender = context.existing_account(state, sender.id)?;
        let account = sender.id;
        sender.require_open_to(&self.action)?;
        events.extend(action::apply(state, context, sender, &self.action, &self.keys)?);
        events.push(Event::ApprovalClosed { account, approval: self.id, carried_out: true });
        Ok(events)
    }

    /// Adds keys to those that oppose.
    fn oppose(self, state: &mut Overlay<'_>, sender: &Account, new: Vec<PublicKey>) -> Result<Vec<Event>, Rejection> {
        let is_over = self.keys.is_empty() || self.is_enough(&sender.keys, &self.against);
        if new.is_empty() && !is_over {
            return Err(Rejection::SignedAlready(self.id));
        }
        let mut events = vec![Event::ApprovalOpposed { account: sender.id, approval: self.id, keys: new }];
        if is_over {
            events.push(drop_request(state, &self));
        } else {
            state.write(&self.id, &self);
        }
        Ok(events)
    }
}

fn close(state: &mut Overlay<'_>, approval: &Approval) {
    due::clear(state, approval.expires, Due::Approval(approval.account, approval.id));
    state.remove::<Approval>(&approval.id);
    state.remove::<ApprovalOf>(&(approval.account, approval.id));
    if let Some(mut account) = state.read::<Account>(&approval.account) {
        account.open_approvals = account.open_approvals.saturating_sub(1);
        state.write(&account.id, &account);
    }
}

fn drop_request(state: &mut Overlay<'_>, approval: &Approval) -> Event {
    close(state, approval);
    Event::ApprovalClosed { account: approval.account, approval: approval.id, carried_out: false }
}

/// A request waited too long.
pub(crate) fn expire(state: &mut Overlay<'_>, id: ApprovalId) -> Vec<Event> {
    state.read::<Approval>(&id).map(|approval| drop_request(state, &approval)).into_iter().collect()
}

/// The account's keys were replaced: waiting requests forget those that are no longer among them. So no key counts
/// again when it comes back, and no request holds more keys than an account has.
pub(crate) fn forget_old_keys(state: &mut Overlay<'_>, account: &Account) -> Vec<Event> {
    let mut events = Vec::new();
    for ApprovalOf { approval, .. } in waiting(state, account.id) {
        let Some(mut approval) = state.read::<Approval>(&approval) else { continue };
        let before = (approval.keys.len(), approval.against.len());
        approval.keys.retain(|key| account.keys.has(key));
        approval.against.retain(|key| account.keys.has(key));
        if approval.keys.is_empty() {
            events.push(drop_request(state, &approval));
        } else if before != (approval.keys.len(), approval.against.len()) {
            state.write(&approval.id, &approval);
        }
    }
    events
}
