//! What rules may know besides the state: where the ledger stands, and the records that nearly every rule touches.

use crate::{
    ground::{
        codec,
        crypto::{self, Domain},
        ids::{
            AccountId, ApprovalId, ContributionId, DisputeId, Height, IncidentId, ModelId, NetworkId, ProposalId,
            Timestamp, TransactionId,
        },
        limits,
        state::{Overlay, StateError, StateRead, read},
    },
    rules::{
        account::Account,
        network::{Network, Upgrade},
        parameters::Parameters,
        rejection::Rejection,
        validator::{ValidatorSchedule, ValidatorSet},
    },
};

/// What the rules may know in addition to the state: the position on the ledger, and the changes that the block has
/// made so far to the records that nearly every rule touches.
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
    /// The current transaction. `None` while deadlines are handled.
    pub transaction: Option<TransactionId>,
    /// The network's record, written back at the end of the block.
    pub network: Network,
    /// The set that will decide two blocks later.
    pub next_validators: ValidatorSet,
}

/// The part of a context that an action may change, restored if it fails.
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

    pub(crate) fn existing_account(&self, state: &Overlay<'_>, id: AccountId) -> Result<Account, Rejection> {
        state.read::<Account>(&id).ok_or(Rejection::UnknownAccount(id))
    }
}

/// Why a block was not executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The network has moved to a version of the protocol that this build does not support.
    #[error(
        "from height {height} on the network speaks version {protocol} of the protocol, and this build speaks version \
         {current}: install release {release} and start again; nothing is lost",
        height = .0.height, protocol = .0.protocol, release = .0.release, current = limits::PROTOCOL_VERSION
    )]
    Outgrown(Upgrade),
}

/// Writes back what the context holds of the state, if it changed: a block that does nothing leaves the state root as
/// it was.
pub(crate) fn write_back(state: &mut Overlay<'_>, before: &Context, after: &Context) -> ValidatorSchedule {
    if after.network != before.network {
        state.write(&(), &after.network);
    }
    let schedule = ValidatorSchedule { current: before.next_validators.clone(), next: after.next_validators.clone() };
    if state.read::<ValidatorSchedule>(&()).as_ref() != Some(&schedule) {
        state.write(&(), &schedule);
    }
    schedule
}

/// The context of a future block, with nothing changed yet.
pub(crate) fn context_at(
    state: &dyn StateRead,
    network_id: NetworkId,
    height: Height,
    time: Timestamp,
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
