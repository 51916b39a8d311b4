//! Accounts, which can hold shares and sign: a unique handle, and keys that can be replaced.

use crate::{
    ground::{
        ids::{AccountId, Handle, Height, ProposalId, PublicKey, Shape},
        invalid::{Invalid, check_count},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        action::Action,
        approval,
        context::Context,
        control,
        event::Event,
        recovery::{self, RecoveryPolicy, Unsettled, settling},
        rejection::Rejection,
        transaction::Transaction,
    },
};
use serde::{Deserialize, Serialize};

/// One key of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WeightedKey {
    /// The key.
    pub key: PublicKey,
    /// What its signature counts towards the threshold; at least 1.
    pub weight: u32,
}

/// Which keys together speak for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyPolicy {
    /// The weight that the signatures of a transaction must reach.
    pub threshold: u32,
    /// The keys, 1 to [`limits::ACCOUNT_KEYS`], each once.
    pub keys: Vec<WeightedKey>,
}

impl KeyPolicy {
    /// A policy of one key that speaks alone.
    pub fn single(key: PublicKey) -> Self {
        Self { threshold: 1, keys: vec![WeightedKey { key, weight: 1 }] }
    }

    /// Checks that the policy can be met, and not without signatures.
    ///
    /// # Errors
    /// What is wrong with the policy.
    pub fn check(&self) -> Result<(), Invalid> {
        let form = |problem: &str| Err(Invalid::Form { field: "keys", problem: problem.into() });
        check_count("keys", self.keys.len(), limits::ACCOUNT_KEYS)?;
        if self.threshold == 0 {
            return form("the threshold is 0; at least one signature must be needed");
        }
        if self.keys.iter().any(|key| key.weight == 0) {
            return form("a key has weight 0; leave it out, or give it a weight");
        }
        let mut seen = std::collections::BTreeSet::new();
        if !self.keys.iter().all(|key| seen.insert(key.key)) {
            return form("a key is listed twice; list each once");
        }
        if self.weight_of(self.keys.iter().map(|key| &key.key)) < u64::from(self.threshold) {
            return form("all keys together do not reach the threshold; nobody could sign");
        }
        Ok(())
    }

    /// Whether a key is in the policy.
    pub fn has(&self, key: &PublicKey) -> bool {
        self.keys.iter().any(|known| known.key == *key)
    }

    /// The total weight of keys. Keys that are not in the policy weigh nothing.
    pub fn weight_of<'a>(&self, keys: impl Iterator<Item = &'a PublicKey>) -> u64 {
        keys.filter_map(|key| self.keys.iter().find(|known| known.key == *key))
            .fold(0u64, |sum, known| sum.saturating_add(u64::from(known.weight)))
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its unique name.
    pub handle: Handle,
    /// The keys that speak for it.
    pub keys: KeyPolicy,
    /// The height at which it was admitted.
    pub created: Height,
    /// The account that admitted it. `None` for founding accounts.
    pub sponsor: Option<AccountId>,
    /// The height since which it is a member of the network, with a vote on its validators. `None` if it is not a
    /// member.
    pub member_since: Option<Height>,
    /// Number of accounts that it may still admit, itself or through accounts to which it passes a part of this quota.
    pub quota: u32,
    /// Number of its proposals that are currently open or queued.
    pub open_proposals: u32,
    /// Number of its disputes that are currently open.
    pub open_disputes: u32,
    /// Number of its requests that currently wait for signatures.
    pub open_approvals: u32,
    /// Number of its calls on silent accounts that are currently open.
    pub open_calls: u32,
    /// Who can give it new keys. `None` means nobody.
    pub recovery: Option<RecoveryPolicy>,
    /// Its suspension by a decision of the members. `None` if it is not suspended.
    pub suspended: Option<Suspension>,
    /// What fewer than all of its keys asked about its keys and guardians, until the delay of its recovery is over.
    pub unsettled: Option<Unsettled>,
}

/// The suspension of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AccountSuspension))]
pub struct Suspension {
    /// The height of the suspension.
    pub since: Height,
    /// The reason given by the decision.
    pub reason: String,
    /// The decision.
    pub proposal: ProposalId,
}

impl Record for Account {
    type Key = AccountId;
    const FAMILY: Family = Family::Account;
}

/// The account with a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleOf(pub AccountId);

impl Record for HandleOf {
    type Key = Handle;
    const FAMILY: Family = Family::Handle;
}

/// The handle that looks like a shape: see [`Handle::shape`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleShape(pub Handle);

impl Record for HandleShape {
    type Key = Shape;
    const FAMILY: Family = Family::HandleShape;
}

impl Account {
    /// A new account that has done nothing yet.
    pub const fn new(id: AccountId, handle: Handle, keys: KeyPolicy, created: Height) -> Self {
        Self {
            id,
            handle,
            keys,
            created,
            sponsor: None,
            member_since: None,
            quota: 0,
            open_proposals: 0,
            open_disputes: 0,
            open_approvals: 0,
            open_calls: 0,
            recovery: None,
            suspended: None,
            unsettled: None,
        }
    }

    /// Checks whether the account may ask for a transaction at all, given the keys that signed it, whose signatures
    /// were checked. Every key must be one of its own. Their weights must reach the threshold, unless the transaction
    /// is about collecting approvals, which any key may do; or they must be all its settled keys, and the transaction
    /// about its keys. A suspended account may ask for little.
    ///
    /// # Errors
    /// [`Rejection::ForeignKey`], [`Rejection::NotAuthorised`] or [`Rejection::Suspended`].
    pub fn authorises(&self, transaction: &Transaction) -> Result<(), Rejection> {
        let (action, signers) = (&transaction.body.action, transaction.body.signers.as_slice());
        let is_own = |key: &PublicKey| self.keys.has(key) || self.settled_keys().has(key);
        match self.is_signed_by(signers) {
            Err(Rejection::NotAuthorised { .. }) if action.is_of_approval() => {}
            Err(_) if action.is_of_keys() && self.are_all_keys(signers) && signers.iter().all(is_own) => {}
            checked => checked?,
        }
        self.require_open_to(action)
    }

    /// The keys that have the last word if all of them sign: see [`crate::rules::recovery`].
    pub fn settled_keys(&self) -> &KeyPolicy {
        self.unsettled.as_ref().map_or(&self.keys, |waits| &waits.keys)
    }

    /// Whether these include all settled keys, and those are more than one.
    pub fn are_all_keys(&self, signers: &[PublicKey]) -> bool {
        let settled = &self.settled_keys().keys;
        settled.len() > 1 && settled.iter().all(|known| signers.contains(&known.key))
    }

    /// Checks whether these keys speak for the account: each is one of its own, and their weights reach the threshold.
    ///
    /// # Errors
    /// [`Rejection::ForeignKey`] or [`Rejection::NotAuthorised`].
    pub fn is_signed_by(&self, signers: &[PublicKey]) -> Result<(), Rejection> {
        if let Some(key) = signers.iter().find(|key| !self.keys.has(key)) {
            return Err(Rejection::ForeignKey { account: self.id, key: *key });
        }
        let weight = self.keys.weight_of(signers.iter());
        let threshold = u64::from(self.keys.threshold);
        if weight < threshold {
            return Err(Rejection::NotAuthorised { account: self.id, weight, threshold });
        }
        Ok(())
    }

    /// Checks that the account may ask for this action, even if it is suspended.
    ///
    /// # Errors
    /// [`Rejection::Suspended`].
    pub fn require_open_to<Request, Sign>(&self, action: &Action<Request, Sign>) -> Result<(), Rejection> {
        if action.is_open_to_suspended() { Ok(()) } else { self.require_not_suspended() }
    }

    /// # Errors
    /// [`Rejection::Suspended`].
    pub fn require_not_suspended(&self) -> Result<(), Rejection> {
        match &self.suspended {
            Some(suspension) => Err(Rejection::Suspended { account: self.id, height: suspension.since }),
            None => Ok(()),
        }
    }
}

/// Admit a new account. The sender is its sponsor, and spends one of its quota plus what it passes on: however many
/// accounts admit others, together they admit no more than the founders' quotas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateAccount {
    /// The new account's handle.
    pub handle: Handle,
    /// The new account's keys.
    pub keys: KeyPolicy,
    /// The part of the sponsor's quota that goes to the new account; usually 0.
    pub quota: u32,
}

impl CreateAccount {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.keys.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut sponsor: Account,
    ) -> Result<Vec<Event>, Rejection> {
        if state.read::<HandleOf>(&self.handle).is_some() {
            return Err(Rejection::HandleTaken(self.handle.clone()));
        }
        if let Some(HandleShape(existing)) = state.read::<HandleShape>(&self.handle.shape()) {
            return Err(Rejection::HandleLooksLike { handle: self.handle.clone(), existing });
        }
        require_short_chain(state, &sponsor)?;
        let needed = u64::from(self.quota).saturating_add(1);
        let left = u64::from(sponsor.quota).checked_sub(needed).and_then(|left| u32::try_from(left).ok());
        let short = Rejection::SponsorQuota { account: sponsor.id, quota: sponsor.quota, needed };
        sponsor.quota = left.ok_or(short)?;
        state.write(&sponsor.id, &sponsor);
        let account = Account {
            sponsor: Some(sponsor.id),
            quota: self.quota,
            ..Account::new(context.account_id(), self.handle.clone(), self.keys.clone(), context.height)
        };
        state.write(&account.handle, &HandleOf(account.id));
        state.write(&self.handle.shape(), &HandleShape(account.handle.clone()));
        state.write(&account.id, &account);
        Ok(vec![Event::AccountCreated { account: account.id, handle: account.handle, sponsor: Some(sponsor.id) }])
    }
}

/// Checks that a sponsor goes back to a founding account within the maximum number of sponsors, so that nobody has to
/// follow a longer chain to find out on whom an account depends.
fn require_short_chain(state: &Overlay<'_>, sponsor: &Account) -> Result<(), Rejection> {
    let mut next = sponsor.sponsor;
    for _ in 1..limits::SPONSOR_CHAIN {
        let Some(id) = next else { return Ok(()) };
        next = state.read::<Account>(&id).and_then(|account| account.sponsor);
    }
    if next.is_none() { Ok(()) } else { Err(Rejection::SponsorChain(sponsor.id)) }
}

/// Replace the sender's keys at once. If all of its keys sign, this ends a recovery and voids whatever fewer keys
/// asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotateKeys {
    /// The keys from now on.
    pub keys: KeyPolicy,
}

impl RotateKeys {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.keys.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut sender: Account,
        signers: &[PublicKey],
    ) -> Result<Vec<Event>, Rejection> {
        let before = sender.clone();
        let mut events = vec![Event::KeysRotated { account: sender.id }];
        if sender.are_all_keys(signers) {
            events.extend(recovery::stop(state, &sender));
            settling::clear(state, &mut sender);
            sender.keys = self.keys.clone();
        } else {
            settling::replace_keys(state, context, &mut sender, self.keys.clone());
        }
        state.write(&sender.id, &sender);
        events.extend(control::on_rotated(state, context, &before, &sender));
        events.extend(approval::forget_old_keys(state, &sender));
        Ok(events)
    }
}
