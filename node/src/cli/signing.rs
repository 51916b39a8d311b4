//! Signing: which account acts, with which keys, and what happens to the transaction.

use super::{
    Exit, Failure,
    client::{Client, Taken},
    context::Context,
    events::Names,
    output::Fields,
    units,
};
use crate::{
    api::views::Problem,
    keys::{self, Description, KeyStore},
};
use allod_protocol::{
    ground::{
        crypto::{self, Domain, SigningKey},
        ids::{ApprovalId, ContentHash, Height, NetworkId, PublicKey, Timestamp, TransactionId},
        limits,
    },
    ledger::execute::Outcome,
    rules::{
        account::{Account, KeyPolicy},
        action::Action,
        approval::RequestApproval,
        event::Event,
        transaction::{Transaction, TransactionBody},
    },
};
use anyhow::{Context as _, Result, anyhow, bail};
use serde::Serialize;
use std::time::Duration;

/// How long after signing a transaction is valid, in milliseconds.
const LIFETIME_MS: u64 = 10 * 60 * 1_000;

/// The signing account and its keys.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Signing {
    /// The account that acts; those of your keys that are its keys sign
    #[arg(long = "as", value_name = "ACCOUNT", env = "ALLOD_AS")]
    account: String,
    /// Sign with this key instead of whichever fits; may be repeated
    #[arg(long = "sign-with", value_name = "KEY")]
    keys: Vec<String>,
    /// If your keys alone cannot speak for the account: make this a request, which the others sign within this time
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    request_approval: Option<Duration>,
    /// Let the request wait for every key of the account, not only for enough of them
    #[arg(long, requires = "request_approval")]
    every_key: bool,
}

impl Signing {
    /// For commands that name the account in their own way.
    pub(super) fn of(account: String, keys: Vec<String>, request_approval: Option<Duration>) -> Self {
        Self { account, keys, request_approval, every_key: false }
    }

    /// The name of the account.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// The account with its keys opened.
    pub(super) async fn sender(&self, context: &Context) -> Result<Sender> {
        self.sender_at(context, context.client()?).await
    }

    /// As [`Signing::sender`], at a node that the caller chooses.
    pub(super) async fn sender_at(&self, context: &Context, client: Client) -> Result<Sender> {
        if self.request_approval.is_some() {
            return self.any_key(context, client).await;
        }
        self.with_keys(context, client, fitting_keys).await
    }

    /// The account with all keys that have the last word on its keys, if they are here, otherwise with enough of its
    /// keys.
    pub(super) async fn strongest(&self, context: &Context) -> Result<Sender> {
        let client = context.client()?;
        if self.request_approval.is_some() {
            return self.any_key(context, client).await;
        }
        self.with_keys(context, client, all_or_fitting_keys).await
    }

    /// The account with whichever of its keys are here, even if they do not reach its threshold.
    pub(super) async fn any_key(&self, context: &Context, client: Client) -> Result<Sender> {
        self.with_keys(context, client, own_keys).await
    }

    async fn with_keys(
        &self,
        context: &Context,
        client: Client,
        choose: fn(&Context, &KeyStore, &Account) -> Result<Vec<SigningKey>>,
    ) -> Result<Sender> {
        let network = client.status().await?.network;
        let account = client.account(&self.account).await?.account;
        let store = context.keys()?;
        let keys = match self.keys.as_slice() {
            [] => choose(context, &store, &account)?,
            named => named.iter().map(|name| keys::load(&store.path(name)?)).collect::<Result<_>>()?,
        };
        let (every_key, json) = (self.every_key, context.json());
        let request = self.request_approval.map(|lifetime| Request { lifetime, every_key, json });
        Ok(Sender { client, network, account, keys, request })
    }
}

fn describe(context: &Context, store: &KeyStore) -> Result<Vec<Description>> {
    let (descriptions, refused) = store.list()?;
    for reason in refused {
        context.note(format!("skipped: {reason}"));
    }
    Ok(descriptions)
}

/// The keys of the store that belong to the account.
fn own_keys(context: &Context, store: &KeyStore, account: &Account) -> Result<Vec<SigningKey>> {
    let descriptions = describe(context, store)?;
    let own: Vec<_> = descriptions.iter().filter(|key| weight(&account.keys, &key.public_key) > 0).collect();
    if own.is_empty() {
        return Err(no_key(store, account));
    }
    own.into_iter().map(|key| keys::load(&key.path)).collect()
}

/// All settled keys of an account with guardians, if the store has them: what they sign takes effect at once. Otherwise
/// the fewest that speak for it.
fn all_or_fitting_keys(context: &Context, store: &KeyStore, account: &Account) -> Result<Vec<SigningKey>> {
    let descriptions = describe(context, store)?;
    let settled = account.settled_keys();
    let mut own: Vec<&Description> = descriptions.iter().filter(|key| settled.has(&key.public_key)).collect();
    own.sort_by_key(|key| key.public_key);
    own.dedup_by_key(|key| key.public_key);
    let signers: Vec<PublicKey> = own.iter().map(|key| key.public_key).collect();
    if account.recovery.is_none() || !account.are_all_keys(&signers) {
        return fitting_keys(context, store, account);
    }
    own.into_iter().map(|key| keys::load(&key.path)).collect()
}

fn no_key(store: &KeyStore, account: &Account) -> anyhow::Error {
    let (handle, directory) = (&account.handle, store.directory().display());
    anyhow!("none of the keys in {directory} is a key of account {handle}; name the right directory with --keys DIR")
}

/// The fewest of the store's keys that together speak for an account.
fn fitting_keys(context: &Context, store: &KeyStore, account: &Account) -> Result<Vec<SigningKey>> {
    let descriptions = describe(context, store)?;
    let chosen = choose(account, &descriptions).ok_or_else(|| {
        let own = descriptions.iter().filter(|key| weight(&account.keys, &key.public_key) > 0).count();
        let (handle, directory) = (&account.handle, store.directory().display());
        match own {
            0 => no_key(store, account),
            own => anyhow!(
                "the {own} keys in {directory} that are keys of account {handle} do not reach its threshold of {}; \
                 add the key files that are missing, or gather the others' signatures with --request-approval 7d",
                account.keys.threshold
            ),
        }
    })?;
    chosen.into_iter().map(|key| keys::load(&key.path)).collect()
}

/// Heavier keys first, and among equals those without a passphrase, until the account's own rule is satisfied.
fn choose<'a>(account: &Account, keys: &'a [Description]) -> Option<Vec<&'a Description>> {
    let mut own: Vec<&Description> = keys.iter().filter(|key| weight(&account.keys, &key.public_key) > 0).collect();
    own.sort_by_key(|key| (std::cmp::Reverse(weight(&account.keys, &key.public_key)), key.encrypted));
    own.dedup_by_key(|key| key.public_key);
    let mut signers = Vec::new();
    for (index, key) in own.iter().enumerate() {
        signers.push(key.public_key);
        if account.is_signed_by(&signers).is_ok() {
            own.truncate(index + 1);
            return Some(own);
        }
    }
    None
}

fn weight(policy: &KeyPolicy, key: &PublicKey) -> u32 {
    policy.keys.iter().find(|known| known.key == *key).map_or(0, |known| known.weight)
}

/// An account that can sign.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) network: NetworkId,
    pub(super) account: Account,
    keys: Vec<SigningKey>,
    request: Option<Request>,
}

/// Make a request instead of acting at once.
#[derive(Clone, Copy, Debug)]
struct Request {
    lifetime: Duration,
    every_key: bool,
    json: bool,
}

/// A request was made instead of the action: an answer of its own, not a failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Requested(String);

#[derive(Debug, Serialize)]
struct RequestMade {
    approval: ApprovalId,
}

/// The outcome of an applied transaction, and what it created.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Receipt<T> {
    pub(super) transaction: TransactionId,
    pub(super) height: Height,
    #[serde(flatten)]
    pub(super) made: T,
    pub(super) events: Vec<Event>,
}

impl<T> Receipt<T> {
    /// Adds what the events report.
    pub(super) fn with<U>(self, made: impl FnOnce(&[Event]) -> Option<U>) -> Result<Receipt<U>> {
        let made = made(&self.events)
            .ok_or_else(|| anyhow!("transaction {} was applied, but its events lack what it made", self.transaction))?;
        Ok(Receipt { transaction: self.transaction, height: self.height, made, events: self.events })
    }

    /// Its block and transaction, for the last lines of an answer.
    pub(super) fn place(&self) -> String {
        format!("block {}\ntransaction {}", self.height, self.transaction)
    }

    /// The same, as fields of a longer answer.
    pub(super) fn add_place(&self, fields: &mut Fields) {
        fields.add("block", self.height).add("transaction", self.transaction);
    }
}

/// Nothing beyond having been applied.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Nothing {}

impl Sender {
    /// Signs an action.
    pub(super) fn sign(&self, action: Action) -> Result<Transaction> {
        sign(self.network, &self.account, &self.keys, action)
    }

    /// Signs an action, submits it and waits for its block; or makes it a request, if that is asked for.
    ///
    /// # Errors
    /// [`Exit::Rejected`] when the ledger's rules refuse it; [`Requested`] when a request was made.
    pub(super) async fn submit(&self, action: Action) -> Result<Receipt<Nothing>> {
        self.submit_before(action, "").await
    }

    /// As [`Sender::submit`], if more is to be done once a request has its signatures: `afterwards` says what.
    pub(super) async fn submit_before(&self, action: Action, afterwards: &str) -> Result<Receipt<Nothing>> {
        match self.request {
            Some(request) => Err(self.put_request(request, action, afterwards).await?.into()),
            None => self.submit_now(action).await,
        }
    }

    /// A secret for a purpose, the same at each call: the hash of a signature by the account's first key here.
    pub(super) fn secret(&self, purpose: Domain, of: &[u8]) -> Result<ContentHash> {
        let key = self.keys.iter().min_by_key(|key| key.public_key());
        let key = key.ok_or_else(|| anyhow!("no key of account {} is at hand", self.account.handle))?;
        Ok(ContentHash::from_bytes(crypto::hash(purpose, key.sign(purpose, of).as_bytes())))
    }

    /// How long a request waits for its signatures, in milliseconds; 0 if nothing waits.
    pub(super) fn request_ms(&self) -> u64 {
        self.request.map_or(0, |request| units::milliseconds(request.lifetime))
    }

    /// The time in milliseconds within which the ledger answers what is submitted now, whatever the signer's clock
    /// says: no transaction lives longer, and no request waits longer.
    pub(super) fn answer_ms(&self) -> u64 {
        self.request_ms().saturating_add(limits::TRANSACTION_LIFETIME_MS)
    }

    async fn put_request(&self, request: Request, action: Action, afterwards: &str) -> Result<Requested> {
        let lifetime_ms = units::milliseconds(request.lifetime);
        let action = Box::new(action.for_approval()?);
        let action = Action::RequestApproval(RequestApproval { action, lifetime_ms, every_key: request.every_key });
        let receipt = self.submit_now(action).await?.with(|events| {
            events.iter().find_map(|event| match event {
                Event::ApprovalRequested { approval, .. } => Some(RequestMade { approval: *approval }),
                _ => None,
            })
        })?;
        if request.json {
            return Ok(Requested(crate::json::to_string_pretty(&receipt)?));
        }
        let mut fields = Fields::default();
        fields.add("request", receipt.made.approval);
        receipt.add_place(&mut fields);
        let sign = format!("allod approvals sign REQUEST --as {}", self.account.handle);
        fields.add("next", if afterwards.is_empty() { sign } else { format!("{sign}\n{afterwards}") });
        Ok(Requested(fields.show()))
    }

    async fn submit_now(&self, action: Action) -> Result<Receipt<Nothing>> {
        let transaction = self.sign(action)?;
        let id = transaction.id();
        let taken = self.client.submit(id, transaction.encode()).await.map_err(as_rejection)?;
        receipt(&self.client, taken).await
    }
}

async fn receipt(client: &Client, taken: Taken) -> Result<Receipt<Nothing>> {
    let Taken { height, result } = taken;
    match result.outcome {
        Outcome::Applied => Ok(Receipt { transaction: result.id, height, made: Nothing {}, events: result.events }),
        Outcome::Rejected(rejection) => {
            let (code, id) = (rejection.code(), result.id);
            let rejection = Names::new(client.clone()).text(&rejection.to_string()).await;
            let message = format!("rejected ({code}) in block {height}: {rejection}\ntransaction {id}");
            Err(Failure::new(Exit::Rejected, message).with_code(code).into())
        }
    }
}

/// The node checks the state before it accepts a transaction, and reports the same rules as the ledger, with the HTTP
/// statuses of its API.
pub(super) fn as_rejection(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Problem>() {
        Some(Problem { status: 403 | 409 | 422, code, detail, .. }) => {
            Failure::new(Exit::Rejected, format!("rejected ({code}): {detail}")).with_code(code).into()
        }
        _ => error,
    }
}

/// Whether the ledger's rules refuse what was asked.
pub(super) fn is_rejected(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failure>().is_some_and(|failure| failure.exit == Exit::Rejected)
}

/// Signs an action for an account.
pub(super) fn sign(network: NetworkId, account: &Account, keys: &[SigningKey], action: Action) -> Result<Transaction> {
    sign_until(network, account, keys, action, units::now().plus_ms(LIFETIME_MS))
}

/// As [`sign`], with an expiry chosen by the caller.
pub(super) fn sign_until(
    network: NetworkId,
    account: &Account,
    keys: &[SigningKey],
    action: Action,
    expires: Timestamp,
) -> Result<Transaction> {
    let body = TransactionBody { network, sender: account.id, nonce: nonce()?, expires, action, signers: Vec::new() };
    let transaction = body.sign(keys);
    transaction.check_form(network).context("the request breaks a rule of form")?;
    if let Err(rejection) = account.authorises(&transaction) {
        bail!("{rejection}");
    }
    Ok(transaction)
}

fn nonce() -> Result<u64> {
    getrandom::u64().map_err(|error| anyhow!("the system gives no randomness: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::{
        ground::ids::{AccountId, Handle, ModelId, Units},
        rules::{account::WeightedKey, share::TransferShares},
    };

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn account(threshold: u32, weights: &[(u8, u32)]) -> Account {
        let keys = weights.iter().map(|(seed, weight)| WeightedKey { key: key(*seed).public_key(), weight: *weight });
        let keys = KeyPolicy { threshold, keys: keys.collect() };
        Account::new(AccountId::from_bytes([7; 32]), Handle::new("bay").unwrap(), keys, Height::ZERO)
    }

    fn held(seed: u8, encrypted: bool) -> Description {
        Description { name: seed.to_string(), path: "x".into(), public_key: key(seed).public_key(), encrypted }
    }

    #[test]
    fn the_fewest_keys_that_reach_the_threshold_sign() {
        let held = [held(1, false), held(2, true), held(3, false), held(9, false)];
        let names = |account: &Account| {
            choose(account, &held).map(|keys| keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&account(1, &[(2, 1), (3, 1)])), Some(vec!["3".into()]), "no passphrase if none is needed");
        assert_eq!(names(&account(2, &[(1, 1), (2, 2), (3, 1)])), Some(vec!["2".into()]), "the heaviest first");
        assert_eq!(names(&account(3, &[(1, 1), (3, 1), (4, 1)])), None, "two of three are here");
        assert_eq!(names(&account(1, &[(5, 1)])), None);
    }

    #[test]
    fn what_the_rules_of_form_or_the_account_refuse_is_never_sent() {
        let network = NetworkId::from_bytes([1; 32]);
        let action = |reason: String| {
            let (model, to) = (ModelId::from_bytes([2; 32]), AccountId::from_bytes([3; 32]));
            Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason })
        };
        let bay = account(1, &[(1, 1)]);
        let signed = sign(network, &bay, &[key(1)], action("gift".into())).unwrap();
        assert!(signed.check_signatures().is_ok());
        assert!(
            sign(network, &bay, &[key(2)], action("gift".into())).unwrap_err().to_string().contains("not a key of")
        );
        let error = sign(network, &bay, &[key(1)], action("x".repeat(1_000))).unwrap_err();
        assert!(format!("{error:#}").contains("at most"), "{error:#}");
    }
}
