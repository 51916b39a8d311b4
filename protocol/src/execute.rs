//! THE transition: a state and a decided block give changes, results and events. Nothing else changes the ledger.
//!
//! Executing is total. A transaction either applies or is rejected with a reason that is kept; nothing panics, nothing
//! overflows, no half of a transaction stays. The order is: what is due by the block's time, then the transactions,
//! each seeing what those before it did.
//!
//! Signatures are not checked here: a validator checks them before it votes ([`crate::block::Block::check`]), so that
//! a decided block has been checked by more than two thirds. Whether the keys are the sender's is checked here.

use crate::{
    account::Account,
    approval::OfApproval,
    block::Block,
    codec,
    crypto::{self, Domain},
    dormancy, due,
    event::Event,
    genesis::Parameters,
    ids::{
        AccountId, ApprovalId, ContributionId, DisputeId, Height, IncidentId, ModelId, NetworkId, ProposalId,
        PublicKey, Timestamp, TransactionId,
    },
    limits,
    network::{self, Network, Upgrade},
    recovery::CancelRecovery,
    rejection::Rejection,
    state::{ChangeSet, Family, Overlay, Record, StateError, StateRead, read},
    transaction::{Action, Transaction},
    validator::{ValidatorSchedule, ValidatorSet},
    weight::Work,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// That a transaction was executed; kept until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen;

impl Record for Seen {
    type Key = (Timestamp, TransactionId);
    const FAMILY: Family = Family::Seen;
}

/// What the rules may know besides the state: where the ledger stands, and what the block has changed so far of the
/// records that nearly every rule touches.
#[derive(Clone, Debug)]
pub struct Context {
    /// The network.
    pub network_id: NetworkId,
    /// The height of the block.
    pub height: Height,
    /// The block's time.
    pub time: Timestamp,
    /// The parameters in force.
    pub parameters: Parameters,
    /// The transaction at work; none while deadlines are handled.
    pub transaction: Option<TransactionId>,
    /// The network's record, written back at the end of the block.
    pub network: Network,
    /// The set that will decide two blocks later.
    pub next_validators: ValidatorSet,
}

/// What an action may change of a context, to be put back if it fails.
#[derive(Clone, Debug)]
pub(crate) struct Changeable(Network, ValidatorSet);

impl Context {
    pub(crate) fn changeable(&self) -> Changeable {
        Changeable(self.network.clone(), self.next_validators.clone())
    }

    pub(crate) fn restore(&mut self, before: Changeable) {
        Changeable(self.network, self.next_validators) = before;
    }

    fn derived(&self, domain: Domain) -> [u8; 32] {
        crypto::hash(domain, &codec::encode(&self.transaction))
    }

    pub(crate) fn account_id(&self) -> AccountId {
        AccountId::from_bytes(self.derived(Domain::Account))
    }

    pub(crate) fn model_id(&self) -> ModelId {
        ModelId::from_bytes(self.derived(Domain::Model))
    }

    pub(crate) fn contribution_id(&self) -> ContributionId {
        ContributionId::from_bytes(self.derived(Domain::Contribution))
    }

    pub(crate) fn proposal_id(&self) -> ProposalId {
        ProposalId::from_bytes(self.derived(Domain::GovernanceProposal))
    }

    pub(crate) fn dispute_id(&self) -> DisputeId {
        DisputeId::from_bytes(self.derived(Domain::Dispute))
    }

    pub(crate) fn incident_id(&self) -> IncidentId {
        IncidentId::from_bytes(self.derived(Domain::Incident))
    }

    pub(crate) fn approval_id(&self) -> ApprovalId {
        ApprovalId::from_bytes(self.derived(Domain::Approval))
    }

    pub(crate) fn existing_account<S: StateRead + ?Sized>(
        &self,
        state: &Overlay<'_, S>,
        id: AccountId,
    ) -> Result<Account, Rejection> {
        state.read::<Account>(&id).ok_or(Rejection::UnknownAccount(id))
    }
}

/// What became of one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it asked for.
    Applied,
    /// It changed nothing.
    Rejected(Rejection),
}

/// One transaction's outcome and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionResult {
    /// Which.
    pub id: TransactionId,
    /// Its outcome.
    pub outcome: Outcome,
    /// What it did; empty if it was rejected.
    pub events: Vec<Event>,
}

/// Why a block was not executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The network moved on.
    #[error(
        "from height {height} on the network speaks version {protocol} of the protocol, and this build speaks version \
         {current}: install release {release} and start again; nothing is lost",
        height = .0.height, protocol = .0.protocol, release = .0.release, current = limits::PROTOCOL_VERSION
    )]
    Outgrown(Upgrade),
}

/// What a block does: a value to look at before anything is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Every key that changes.
    pub changes: ChangeSet,
    /// Each transaction's result, in the block's order.
    pub results: Vec<TransactionResult>,
    /// What deadlines did, before the transactions.
    pub deadline_events: Vec<Event>,
    /// The sets of the two heights that follow.
    pub schedule: ValidatorSchedule,
    /// What was done for it all.
    pub work: BlockWork,
}

/// What was done to execute a block: to be held against what it was to weigh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockWork {
    /// For what had expired and what was due.
    pub due: Work,
    /// For each transaction, in the block's order.
    pub transactions: Vec<Work>,
}

/// Executes a decided block on the state after its parent.
///
/// # Errors
/// Only when the state cannot be read or was never set up by a genesis, or when the network moved to a version of the
/// protocol that this build does not speak: then nothing may be committed.
pub fn execute<S: StateRead + ?Sized>(state: &S, block: &Block) -> Result<Executed, ExecuteError> {
    let header = block.header();
    let mut context = context_at(state, header.network, (header.height, header.time))?;
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

/// Forgets the transactions that can no longer be applied anyway.
fn forget_expired<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, time: Timestamp) {
    let from = Seen::key_bytes(&());
    let to = Seen::key_bytes(&time);
    for (key, _) in state.entries(&from, &to, limits::FORGOTTEN_PER_BLOCK) {
        state.remove_bytes(key);
    }
    state.keep();
}

fn execute_transaction<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    senders: &mut BTreeMap<AccountId, u32>,
    transaction: &Transaction,
) -> TransactionResult {
    let id = transaction.id();
    context.transaction = Some(id);
    let before = context.changeable();
    let admitted = admit(state, context, senders, transaction, id);
    // Remembered once its sender is known to have asked for it: a stranger's copy must not use it up.
    let remembered = admitted.is_ok();
    let asked = (&transaction.body.action, transaction.body.signers.as_slice());
    let result = admitted.and_then(|sender| apply(state, context, sender, asked));
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
fn admit<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
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

/// The rule of expiry, for the ledger and for the mempool alike.
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

/// Does what an account asks for, once it is known that it asks; and takes note that it spoke.
pub(crate) fn apply<S: StateRead + ?Sized, Request: OfApproval, Sign: OfApproval>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    sender: Account,
    (action, signers): (&Action<Request, Sign>, &[PublicKey]),
) -> Result<Vec<Event>, Rejection> {
    let account = sender.id;
    let mut events = dispatch(state, context, sender, (action, signers))?;
    if let Some(scope) = dormancy::spoken_in(state, action) {
        events.extend(dormancy::heard(state, context, scope, account));
    }
    Ok(events)
}

fn dispatch<S: StateRead + ?Sized, Request: OfApproval, Sign: OfApproval>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    sender: Account,
    (action, signers): (&Action<Request, Sign>, &[PublicKey]),
) -> Result<Vec<Event>, Rejection> {
    match action {
        Action::CreateAccount(action) => action.apply(state, context, sender),
        Action::RotateKeys(action) => action.apply(state, context, sender, signers),
        Action::CreateModel(action) => action.apply(state, context, &sender),
        Action::PublishVersion(action) => action.apply(state, context, sender.id),
        Action::CommitArtifact(action) => action.apply(state, context, sender.id),
        Action::RecordContribution(action) => action.apply(state, context, sender.id),
        Action::AcceptContribution(action) => action.apply(state, context, sender.id),
        Action::DeclineContribution(action) => action.apply(state, context, sender.id),
        Action::TransferShares(action) => action.apply(state, context, sender.id),
        Action::BurnShares(action) => action.apply(state, context, sender.id),
        Action::TakeUp(action) => action.apply(state, context, sender.id),
        Action::GiveConsent(action) => action.apply(state, context, sender.id),
        Action::AskLicence(action) => action.apply(state, context, sender.id),
        Action::AnswerLicence(action) => action.apply(state, context, sender.id),
        Action::Delegate(action) => action.apply(state, context, &sender),
        Action::Attest(action) => action.apply(state, context, sender.id),
        Action::RevealContribution(action) => action.apply(state, context, sender.id),
        Action::OpenDispute(action) => action.apply(state, context, sender),
        Action::AnswerDispute(action) => action.apply(state, context, sender.id),
        Action::RuleDispute(action) => action.apply(state, context, sender.id),
        Action::WithdrawDispute(action) => action.apply(state, context, sender.id),
        Action::AppealDispute(action) => action.apply(state, context, sender.id),
        Action::ReportIncident(action) => action.apply(state, context, sender.id),
        Action::UpdateIncident(action) => action.apply(state, context, sender.id),
        Action::SetRecovery(action) => action.apply(state, context, sender, signers),
        Action::RecoverAccount(action) => action.apply(state, context, sender.id),
        Action::CancelRecovery(_) => CancelRecovery::apply(state, context, sender, signers),
        Action::RequestApproval(action) => action.apply(state, context, sender, signers),
        Action::SignApproval(action) => action.apply(state, context, sender, signers),
        Action::BindPeer(action) => action.apply(state, context, sender.id),
        Action::ReleasePeer(action) => action.apply(state, context, sender.id),
        Action::AcceptOffice(action) => action.apply(state, context, sender.id),
        Action::ResignOffice(action) => action.apply(state, context, &sender),
        Action::SetIntake(action) => action.apply(state, sender.id),
        Action::AcceptTransfer(action) => action.apply(state, context, sender.id),
        Action::StopVersion(action) => action.apply(state, context, sender.id),
        Action::OpenProposal(action) => action.apply(state, context, sender),
        Action::CastBallot(action) => action.apply(state, context, &sender),
        Action::WithdrawProposal(action) => action.apply(state, context, sender.id),
        Action::ExecuteProposal(action) => action.apply(state, context),
        Action::CancelProposal(action) => action.apply(state, context, sender.id),
        Action::CallOn(action) => action.apply(state, context, sender),
        Action::Present(action) => action.apply(state, context, sender.id),
        Action::LeaveNetwork(_) => network::leave(state, context, sender),
        Action::AnswerIncident(action) => action.apply(state, context, sender.id),
    }
}

/// What a transaction would do if it were alone in the next block: for a dry run, and for telling a client early.
///
/// # Errors
/// Only when the state cannot be read.
pub fn try_transaction<S: StateRead + ?Sized>(
    state: &S,
    network: NetworkId,
    (height, time): (Height, Timestamp),
    transaction: &Transaction,
) -> Result<TransactionResult, StateError> {
    let mut context = context_at(state, network, (height, time))?;
    let mut overlay = Overlay::new(state);
    let result = execute_transaction(&mut overlay, &mut context, &mut BTreeMap::new(), transaction);
    overlay.finish()?;
    Ok(result)
}

/// Writes what the context holds of the state, as far as it changed: a block that does nothing leaves the state root as
/// it was.
pub(crate) fn write_back<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    before: &Context,
    after: &Context,
) -> ValidatorSchedule {
    if after.network != before.network {
        state.write(&(), &after.network);
    }
    let schedule = ValidatorSchedule { current: before.next_validators.clone(), next: after.next_validators.clone() };
    if state.read::<ValidatorSchedule>(&()).as_ref() != Some(&schedule) {
        state.write(&(), &schedule);
    }
    schedule
}

/// The context of a block that is to come, with nothing changed yet.
pub(crate) fn context_at<S: StateRead + ?Sized>(
    state: &S,
    network_id: NetworkId,
    (height, time): (Height, Timestamp),
) -> Result<Context, StateError> {
    let missing = |what: &str| StateError(format!("the state holds no {what}: it was not set up by a genesis"));
    let network = read::<Network>(&state, &())?.ok_or_else(|| missing("network record"))?;
    let schedule = read::<ValidatorSchedule>(&state, &())?.ok_or_else(|| missing("validator schedule"))?;
    Ok(Context {
        network_id,
        height,
        time,
        parameters: network.parameters.clone(),
        transaction: None,
        network,
        next_validators: schedule.next,
    })
}
