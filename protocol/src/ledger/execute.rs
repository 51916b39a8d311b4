//! THE transition: a state and a decided block give changes, results and events. Nothing else changes the ledger.
//!
//! Executing is total. A transaction either applies or is rejected with a reason that is kept. Nothing panics, nothing
//! overflows, and no transaction is left half done. The order is: first what is due by the block's time, then the
//! transactions, each seeing the effects of those before it.
//!
//! Signatures are not checked here: a validator checks them before it votes ([`crate::ledger::block::Block::check`]), so a
//! decided block has been checked by more than two thirds. Whether the keys belong to the sender is checked here.

use crate::{
    ground::{
        ids::{AccountId, Timestamp, TransactionId},
        limits,
        state::{ChangeSet, Family, Overlay, Record, StateRead},
        weight::Work,
    },
    ledger::block::Block,
    rules::{
        account::Account,
        action::apply,
        context::{Context, ExecuteError, context_at, write_back},
        due,
        event::Event,
        rejection::Rejection,
        transaction::Transaction,
        validator::ValidatorSchedule,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Marks an executed transaction; kept until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen;

impl Record for Seen {
    type Key = (Timestamp, TransactionId);
    const FAMILY: Family = Family::Seen;
}

/// The outcome of one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it asked for.
    Applied,
    /// It changed nothing.
    Rejected(Rejection),
}

/// The outcome of one transaction, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionResult {
    /// The transaction.
    pub id: TransactionId,
    /// Its outcome.
    pub outcome: Outcome,
    /// What it did; empty if it was rejected.
    pub events: Vec<Event>,
}

/// What a block does: a value to examine before anything is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Every key that changes.
    pub changes: ChangeSet,
    /// The result of each transaction, in block order.
    pub results: Vec<TransactionResult>,
    /// The effects of deadlines, which come before the transactions.
    pub deadline_events: Vec<Event>,
    /// The sets of the two heights that follow.
    pub schedule: ValidatorSchedule,
    /// The work done for all of it.
    pub work: BlockWork,
}

/// The work done to execute a block, to be compared with its weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockWork {
    /// For what had expired and what was due.
    pub due: Work,
    /// For each transaction, in block order.
    pub transactions: Vec<Work>,
}

/// Executes a decided block on the state after its parent.
///
/// # Errors
/// Only when the state cannot be read or was never set up by a genesis, or when the network moved to a version of the
/// protocol that this build does not support: then nothing may be committed.
pub fn execute(state: &dyn StateRead, block: &Block) -> Result<Executed, ExecuteError> {
    let header = block.header();
    let mut context = context_at(state, header.network, header.height, header.time)?;
    context.network.require_current(header.height)?;
    let before = context.clone();
    let mut overlay = Overlay::new(state);
    forget_expired(&mut overlay, header.time);
    let deadline_events = due::handle(&mut overlay, &mut context);
    let mut work = BlockWork { due: overlay.take_work(), transactions: Vec::new() };
    let mut senders = BTreeMap::new();
    let mut results = Vec::new();
    for transaction in block.transactions() {
        results.push(execute_transaction(&mut overlay, &mut context, &mut senders, transaction));
        work.transactions.push(overlay.take_work());
    }
    let schedule = write_back(&mut overlay, &before, &context);
    overlay.keep();
    Ok(Executed { changes: overlay.finish()?, results, deadline_events, schedule, work })
}

/// Forgets transactions that can no longer be applied anyway.
fn forget_expired(state: &mut Overlay<'_>, time: Timestamp) {
    let from = Seen::key_bytes(&());
    let to = Seen::key_bytes(&time);
    for (key, _) in state.entries(&from, &to, limits::FORGOTTEN_PER_BLOCK) {
        state.remove_bytes(key);
    }
    state.keep();
}

fn execute_transaction(
    state: &mut Overlay<'_>,
    context: &mut Context,
    senders: &mut BTreeMap<AccountId, u32>,
    transaction: &Transaction,
) -> TransactionResult {
    let id = transaction.id();
    context.transaction = Some(id);
    let before = context.changeable();
    let admitted = admit(state, context, senders, transaction, id);
    // Remembered only once its sender is known to have asked for it: a stranger's copy must not use it up.
    let remembered = admitted.is_ok();
    let (action, signers) = (&transaction.body.action, transaction.body.signers.as_slice());
    let result = admitted.and_then(|sender| apply(state, context, sender, action, signers));
    let (outcome, events) = match result {
        Ok(events) => (Outcome::Applied, events),
        Err(rejection) => {
            state.drop_pending();
            context.restore(before);
            (Outcome::Rejected(rejection), Vec::new())
        }
    };
    if remembered {
        state.write(&(transaction.body.expires, id), &Seen);
    }
    state.keep();
    context.transaction = None;
    TransactionResult { id, outcome, events }
}

/// Whether a transaction may be considered at all at this point of the ledger, and on whose behalf.
fn admit(
    state: &Overlay<'_>,
    context: &Context,
    senders: &mut BTreeMap<AccountId, u32>,
    transaction: &Transaction,
    id: TransactionId,
) -> Result<Account, Rejection> {
    let body = &transaction.body;
    check_expiry(body.expires, context.time)?;
    if state.read::<Seen>(&(body.expires, id)).is_some() {
        return Err(Rejection::Replayed);
    }
    let account = context.existing_account(state, body.sender)?;
    account.authorises(transaction)?;
    let of_all = context.parameters.transactions_per_account_per_block;
    let max = if account.suspended.is_some() { limits::SUSPENDED_TRANSACTIONS_PER_BLOCK } else { of_all };
    let count = senders.entry(account.id).or_insert(0);
    if *count >= max {
        return Err(Rejection::RateLimited { account: account.id, max });
    }
    *count = count.saturating_add(1);
    Ok(account)
}

/// The rule of expiry, both for the ledger and for the mempool.
///
/// # Errors
/// [`Rejection::Expired`] or [`Rejection::ExpiryTooFar`].
pub fn check_expiry(expires: Timestamp, time: Timestamp) -> Result<(), Rejection> {
    if expires < time {
        return Err(Rejection::Expired { expires, time });
    }
    if expires > time.plus_ms(limits::TRANSACTION_LIFETIME_MS) {
        return Err(Rejection::ExpiryTooFar { expires, time });
    }
    Ok(())
}
