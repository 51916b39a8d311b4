//! What happened: the trace that a block leaves for metrics, subscribers and histories. Events carry no rules.

use crate::{
    ids::{
        AccountId, ArtifactId, ContributionId, Handle, Height, ModelId, ModelName, Name, Power, ProposalId, PublicKey,
        Timestamp, Units, VersionLabel,
    },
    model::{Licence, VersionRef},
    proposal::{BallotPart, ProposalStatus, Scope},
    share::{ShareFlow, ShareReason},
};
use serde::{Deserialize, Serialize};

/// One thing that a transaction, or a deadline, did to the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants' and fields' names say it; their meaning stands with the records")]
pub enum Event {
    AccountCreated {
        account: AccountId,
        handle: Handle,
        sponsor: Option<AccountId>,
    },
    KeysRotated {
        account: AccountId,
    },
    ModelCreated {
        model: ModelId,
        name: ModelName,
        founder: AccountId,
    },
    VersionPublished {
        model: ModelId,
        label: VersionLabel,
        artifact: ArtifactId,
        publisher: AccountId,
    },
    VersionReleased {
        model: ModelId,
        label: VersionLabel,
        artifact: ArtifactId,
        proposal: ProposalId,
    },
    SharesChanged {
        model: ModelId,
        account: AccountId,
        flow: ShareFlow,
        units: Units,
        balance: Units,
        reason: ShareReason,
    },
    ContributionRecorded {
        model: ModelId,
        contribution: ContributionId,
        giver: AccountId,
    },
    ContributionAccepted {
        model: ModelId,
        contribution: ContributionId,
        steward: AccountId,
    },
    ProposalOpened {
        proposal: ProposalId,
        scope: Scope,
        proposer: AccountId,
        closes: Timestamp,
    },
    BallotCast {
        proposal: ProposalId,
        account: AccountId,
        parts: Vec<BallotPart>,
        weight: u64,
    },
    ProposalClosed {
        proposal: ProposalId,
        scope: Scope,
        status: ProposalStatus,
    },
    PolicyChanged {
        model: ModelId,
        proposal: ProposalId,
    },
    ValidatorAdmitted {
        key: PublicKey,
        power: Power,
        operator: AccountId,
    },
    ValidatorRemoved {
        key: PublicKey,
    },
    ValidatorReweighted {
        key: PublicKey,
        power: Power,
    },
    MemberAdmitted {
        account: AccountId,
    },
    QuotaGranted {
        account: AccountId,
        quota: u32,
    },
    AccountSuspended {
        account: AccountId,
        reason: String,
    },
    AccountReinstated {
        account: AccountId,
    },
    ParametersSet,
    UpgradeScheduled {
        height: Height,
        protocol: u32,
        release: String,
    },
    VersionDeprecated {
        model: ModelId,
        label: VersionLabel,
        proposal: ProposalId,
        reason: String,
    },
    VersionWithdrawn {
        model: ModelId,
        label: VersionLabel,
        artifact: ArtifactId,
        proposal: ProposalId,
        reason: String,
    },
    LineageClaimed {
        model: ModelId,
        label: VersionLabel,
        parents: Vec<VersionRef>,
        proposal: ProposalId,
    },
    LicenceSet {
        model: ModelId,
        licence: Licence,
        proposal: ProposalId,
    },
    StewardsSet {
        model: ModelId,
        stewards: Vec<AccountId>,
        proposal: ProposalId,
    },
    ModelRetired {
        model: ModelId,
        proposal: ProposalId,
        reason: String,
    },
    StatementMade {
        proposal: ProposalId,
        scope: Scope,
    },
    CloseMoved {
        proposal: ProposalId,
        closes: Timestamp,
    },
    ProposalQueued {
        proposal: ProposalId,
        scope: Scope,
        ready: Timestamp,
        expires: Timestamp,
    },
    Delegated {
        model: ModelId,
        from: AccountId,
        to: Option<AccountId>,
        expires: Option<Timestamp>,
    },
    Attested {
        artifact: ArtifactId,
        statement: Name,
        account: AccountId,
        passed: bool,
    },
}
