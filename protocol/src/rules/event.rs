//! What happened: the trace that a block leaves for metrics, subscribers and histories. Events carry no rules.

use crate::{
    ground::ids::{
        AccountId, ApprovalId, ArtifactId, ContentHash, ContributionId, DisputeId, Handle, Height, IncidentId, ModelId,
        ModelName, Name, Power, ProposalId, PublicKey, Timestamp, Units, VersionLabel,
    },
    rules::{
        access::Distribution,
        attestation::Finding,
        dispute::DisputeStatus,
        emergency::{StopEnd, SuspendedBy},
        incident::IncidentStatus,
        intake::UnitsOf,
        model::{Licence, VersionRef},
        office::Office,
        proposal::{BallotPart, ProposalStatus, Scope},
        recovery::Clock,
        share::{ShareFlow, ShareReason},
    },
};
use serde::{Deserialize, Serialize};

/// One thing that a transaction, or a deadline, did to the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    ArtifactCommitted {
        model: ModelId,
        account: AccountId,
        commitment: ContentHash,
    },
    ArtifactTakenOver {
        artifact: ArtifactId,
        model: ModelId,
        from: ModelId,
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
        lacking: u32,
    },
    ContributionDeclined {
        model: ModelId,
        contribution: ContributionId,
        steward: AccountId,
        reason: String,
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
        #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
        #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
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
        proposal: ProposalId,
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
        proposal: Option<ProposalId>,
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
    ContributionRevealed {
        model: ModelId,
        contribution: ContributionId,
        amount: u64,
    },
    RoundOpened {
        model: ModelId,
        round: u64,
        proposal: ProposalId,
        closes: Timestamp,
    },
    RecordingEnded {
        model: ModelId,
        round: u64,
        closes: Timestamp,
    },
    AmountsWithheld {
        model: ModelId,
        round: u64,
        account: AccountId,
        seals: u64,
        until: u64,
    },
    RoundClosed {
        model: ModelId,
        round: u64,
        minted: Units,
        contributors: u64,
    },
    DisputeOpened {
        model: ModelId,
        dispute: DisputeId,
        challenger: AccountId,
        respondent: AccountId,
    },
    DisputeAnswered {
        model: ModelId,
        dispute: DisputeId,
    },
    DisputeRuled {
        model: ModelId,
        dispute: DisputeId,
        arbiter: AccountId,
        upholds: bool,
    },
    DisputeEnded {
        model: ModelId,
        dispute: DisputeId,
        status: DisputeStatus,
    },
    IncidentReported {
        model: ModelId,
        label: VersionLabel,
        incident: IncidentId,
        reporter: AccountId,
    },
    IncidentUpdated {
        model: ModelId,
        incident: IncidentId,
        status: IncidentStatus,
    },
    RecoverySet {
        account: AccountId,
    },
    RecoverySought {
        account: AccountId,
        guardian: AccountId,
        ready: Option<Clock>,
    },
    RecoveryContested {
        account: AccountId,
        ready: Clock,
    },
    RecoveryLapsed {
        account: AccountId,
    },
    GuardiansAsked {
        account: AccountId,
        ready: Option<Clock>,
    },
    KeysSettled {
        account: AccountId,
    },
    RecoveryStopped {
        account: AccountId,
    },
    AccountRecovered {
        account: AccountId,
    },
    ApprovalRequested {
        account: AccountId,
        approval: ApprovalId,
        expires: Timestamp,
    },
    ApprovalSigned {
        account: AccountId,
        approval: ApprovalId,
        keys: Vec<PublicKey>,
    },
    ApprovalClosed {
        account: AccountId,
        approval: ApprovalId,
        carried_out: bool,
    },
    ApprovalOpposed {
        account: AccountId,
        approval: ApprovalId,
        keys: Vec<PublicKey>,
    },
    Attested {
        artifact: ArtifactId,
        statement: Name,
        account: AccountId,
        finding: Finding,
    },
    DistributionSet {
        model: ModelId,
        distribution: Distribution,
        proposal: ProposalId,
    },
    LicenceGranted {
        model: ModelId,
        account: AccountId,
        expires: Option<Timestamp>,
        proposal: ProposalId,
        accepted: bool,
    },
    LicenceRevoked {
        model: ModelId,
        account: AccountId,
        proposal: ProposalId,
        reason: String,
    },
    PeerBound {
        peer: PublicKey,
        account: AccountId,
    },
    PeerReleased {
        peer: PublicKey,
        account: AccountId,
    },
    MemberRemoved {
        account: AccountId,
        reason: String,
    },
    CalledOn {
        scope: Scope,
        account: AccountId,
        by: AccountId,
        sleeps_at: Timestamp,
    },
    Spoke {
        scope: Scope,
        account: AccountId,
        was_dormant: bool,
    },
    FellDormant {
        scope: Scope,
        account: AccountId,
    },
    OfficeOffered {
        office: Office,
        account: AccountId,
    },
    OfficeAccepted {
        office: Office,
        account: AccountId,
        ahead: bool,
    },
    OfficeResigned {
        office: Office,
        account: AccountId,
    },
    OfficeEnded {
        office: Office,
        account: AccountId,
    },
    IntakeSet {
        account: AccountId,
        of: UnitsOf,
        takes: Option<bool>,
    },
    TransferAnswered {
        proposal: ProposalId,
        buyer: AccountId,
        accepted: bool,
    },
    IssueOpened {
        model: ModelId,
        number: u64,
        to: AccountId,
        units: Units,
        until: Timestamp,
    },
    ConsentGiven {
        proposal: ProposalId,
        account: AccountId,
        agrees: bool,
    },
    IssueClosed {
        model: ModelId,
        number: u64,
        taken: Units,
        minted: Units,
    },
    VersionSuspended {
        model: ModelId,
        label: VersionLabel,
        artifact: ArtifactId,
        by: SuspendedBy,
        reason: String,
    },
    SuspensionEnded {
        model: ModelId,
        label: VersionLabel,
        artifact: ArtifactId,
        end: StopEnd,
    },
    RoundWaits {
        model: ModelId,
        round: u64,
        minted: Units,
        held: Units,
    },
    DisputeAppealed {
        model: ModelId,
        dispute: DisputeId,
        party: Option<AccountId>,
        until: Timestamp,
    },
    IncidentAnswered {
        model: ModelId,
        incident: IncidentId,
        account: AccountId,
    },
    ControlChanged {
        account: AccountId,
    },
    ControlAccepted {
        model: ModelId,
        account: AccountId,
        proposal: ProposalId,
    },
    LicenceAsked {
        model: ModelId,
        account: AccountId,
        asks: bool,
    },
    LicenceAnswered {
        model: ModelId,
        account: AccountId,
        proposal: ProposalId,
        accept: bool,
    },
    LicenceRequestLapsed {
        model: ModelId,
        account: AccountId,
    },
}

impl Event {
    /// The names of all events.
    pub const NAMES: &[&str] = <Self as strum::VariantNames>::VARIANTS;

    /// The event's name, as in JSON.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
