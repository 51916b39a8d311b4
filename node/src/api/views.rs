//! What the API answers and takes, as types: the server writes them, the client in this binary reads the very same.
//!
//! A record of the ledger keeps its JSON form (see `protocol`), to which a view adds what a reader would otherwise ask
//! for next: handles beside ids, a model's name, a tally's outlook. Ids are lowercase hexadecimal, artifacts are CIDs,
//! heights, units and milliseconds are numbers, beyond 2^53 strings of their digits ([`crate::json`]). New fields may appear at any time; a client ignores what it does not
//! know.

mod affairs;
mod inbox;
mod offices;
mod relations;
mod trial;

pub use affairs::{
    ApprovalView, DisputeView, GuardedView, GuardianView, IncidentStepView, IncidentView, RecoveryView, RoundView,
    ScoreView,
};
pub use inbox::{HoldingView, InboxItem, InboxKind, UnansweredView};
pub use offices::{BuyerView, IntakeView, ModelOfficesView, OfficeView, VacancyView};
pub use relations::{
    AttestationView, DelegationView, IssueView, LineageEdge, LineageVersion, LineageView, SilenceView,
};
pub use trial::{
    BlockingView, DryRunOutcome, DryRunRequest, DryRunView, EffectView, LineEffect, LostBlock, RecordChange,
    RefusalView, WeightView,
};

use super::schema;
use allod_protocol::{
    ground::ids::{
        AccountId, ArtifactId, BasisPoints, BlockHash, ContentHash, Handle, Height, ModelId, ModelName, Name,
        NetworkId, Power, ProposalId, PublicKey, StateRoot, Timestamp, TransactionId, Units, ValidatorAddress,
        VersionLabel,
    },
    ledger::{
        block::{CommitCertificate, Header},
        execute::TransactionResult,
    },
    proof::{Checkpoint, Subject, deed::Facts},
    rules::{
        access::PeerBinding,
        account::Account,
        artifact::{Artifact, ArtifactKind, ManifestFile},
        attestation::Finding,
        contribution::Contribution,
        control::Epoch,
        emergency::VersionStop,
        event::Event,
        licence::{LicenceChange, LicenceRequest, Licensee},
        model::{Model, Version, VersionRef},
        network::Network,
        policy::{Outlook, Tally},
        proposal::{Ballot, Proposal},
        share::{Share, ShareChange, ShareReason, Vesting},
        standing::{ConcernKind, Standing},
        transaction::Transaction,
    },
};
use allod_storage::artifacts::Contents;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Give it as `after` to get the next page; null on the last.
    pub next: Option<String>,
}

/// An error: RFC 9457 problem details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:allod:problem:CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// A stable code for programs.
    pub code: String,
    /// With code `ambiguous_id`: what a short id could stand for. At most eight are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Candidate>>)]
    pub candidates: Option<Box<[Candidate]>>,
}

/// One of the things whose ids begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    /// Its whole id.
    pub id: String,
    /// What it is, in its author's words; may be empty.
    pub about: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

/// Whether a peer votes in consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleView {
    /// It votes.
    Validator,
    /// It follows.
    Observer,
}

/// Where this peer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The network's id.
    #[schema(value_type = schema::Hex32)]
    pub network: NetworkId,
    /// What people call the network.
    pub network_name: String,
    /// The version of this binary.
    pub version: String,
    /// This peer's libp2p identity.
    pub peer_id: String,
    /// The multiaddresses it listens on.
    pub listen_addresses: Vec<String>,
    /// Peers it is connected to.
    pub connected_peers: usize,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// The last executed block.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its hash.
    #[schema(value_type = schema::Hex32)]
    pub block: BlockHash,
    /// Its time, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub block_time: Timestamp,
    /// The block as a checkpoint, `HEIGHT:HASH`: what `allod verify --checkpoint` takes, from a peer that one trusts.
    #[schema(value_type = String)]
    #[serde(with = "checkpoint_text")]
    pub checkpoint: Checkpoint,
    /// The state root after it.
    #[schema(value_type = schema::Hex32)]
    pub state_root: StateRoot,
    /// The round of the height being decided.
    pub round: u32,
    /// Whether this peer votes.
    pub role: RoleView,
    /// The address of its consensus key, validator or not.
    #[schema(value_type = schema::Hex32)]
    pub validator: ValidatorAddress,
    /// That key. A peer whose key the network removed destroyed it, and this is the one in its place.
    #[schema(value_type = schema::Hex32)]
    pub validator_key: PublicKey,
    /// Transactions that wait.
    pub mempool_transactions: usize,
    /// Their bytes.
    pub mempool_size_bytes: usize,
    /// Their weight.
    pub mempool_weight: u64,
    /// The highest height that another peer spoke of.
    #[schema(value_type = u64)]
    pub best_known_height: Height,
    /// Whether this peer is behind the others.
    pub catching_up: bool,
    /// Connected peers that hear what this one says.
    pub listening_peers: usize,
    /// The power of the validators among them, and of this peer.
    #[schema(value_type = u64)]
    pub reached_power: Power,
    /// The power of all validators.
    #[schema(value_type = u64)]
    pub total_power: Power,
    /// Whether this peer reaches too few to take part: a validator no more than two thirds of the power, an observer
    /// nobody.
    pub cut_off: bool,
}

/// A checkpoint as the text that people paste.
mod checkpoint_text {
    use allod_protocol::proof::Checkpoint;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(checkpoint: &Checkpoint, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(checkpoint)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Checkpoint, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Whether the process works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `ok`; anything else comes as a problem.
    pub status: String,
    /// The last executed block.
    #[schema(value_type = u64)]
    pub height: Height,
}

/// A peer that this one is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    /// Its libp2p identity.
    pub peer_id: String,
    /// The addresses of the connections to it.
    pub addresses: Vec<String>,
    /// Who dialled: `inbound` or `outbound`.
    pub direction: String,
    /// What it says it runs.
    pub agent: String,
    /// Seconds since it connected.
    pub connected_seconds: u64,
    /// The last round trip, in milliseconds.
    pub round_trip_ms: Option<u64>,
}

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatorView {
    /// Derived from the key.
    #[schema(value_type = schema::Hex32)]
    pub address: ValidatorAddress,
    /// The consensus key.
    #[schema(value_type = schema::Hex32)]
    pub key: PublicKey,
    /// Its weight in consensus.
    #[schema(value_type = u64)]
    pub power: Power,
    /// The account that answers for it.
    #[schema(value_type = schema::Hex32)]
    pub operator: AccountId,
    /// That account's handle.
    #[schema(value_type = Option<String>)]
    pub operator_handle: Option<Handle>,
}

/// The validator sets that are settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatorsView {
    /// The height that `current` decides.
    #[schema(value_type = u64)]
    pub height: Height,
    /// The set that decides `height`.
    pub current: Vec<ValidatorView>,
    /// The set that decides the height after it.
    pub next: Vec<ValidatorView>,
    /// The power of `current` together; more than two thirds of it decide.
    #[schema(value_type = u64)]
    pub total_power: Power,
}

/// What the members of the network agree on, and what they decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkView {
    /// The record: parameters, counters, the upgrade decided last.
    #[serde(flatten)]
    #[schema(value_type = schema::NetworkRecord)]
    pub network: Network,
    /// The version of the protocol that this peer speaks.
    pub protocol: u32,
    /// Whether this peer must be replaced by a newer one before it can follow the network on.
    pub outgrown: bool,
}

/// A block in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockSummary {
    /// Its height.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its hash.
    #[schema(value_type = schema::Hex32)]
    pub hash: BlockHash,
    /// Its time, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub time: Timestamp,
    /// Who built it.
    #[schema(value_type = schema::Hex32)]
    pub proposer: ValidatorAddress,
    /// The round that decided it.
    pub round: u32,
    /// How many transactions it holds.
    pub transactions: usize,
}

/// When a block was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockTime {
    /// Its height.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its time, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub time: Timestamp,
}

/// A block with everything in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// Its hash.
    #[schema(value_type = schema::Hex32)]
    pub hash: BlockHash,
    /// Its header.
    #[schema(value_type = schema::HeaderRecord)]
    pub header: Header,
    /// The precommits that made it final.
    #[schema(value_type = schema::CertificateRecord)]
    pub certificate: CommitCertificate,
    /// What deadlines did, before the transactions.
    #[schema(value_type = Vec<schema::EventRecord>)]
    pub deadline_events: Vec<Event>,
    /// The transactions, in order.
    pub transactions: Vec<BlockTransaction>,
}

/// A transaction inside a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockTransaction {
    /// Its id.
    #[schema(value_type = schema::Hex32)]
    pub id: TransactionId,
    /// Itself.
    #[schema(value_type = schema::TransactionRecord)]
    pub transaction: Transaction,
    /// What became of it.
    #[schema(value_type = schema::ResultRecord)]
    pub result: TransactionResult,
}

/// A transaction on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionView {
    /// Its id.
    #[schema(value_type = schema::Hex32)]
    pub id: TransactionId,
    /// The block that holds it.
    #[schema(value_type = u64)]
    pub height: Height,
    /// The block's time, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub time: Timestamp,
    /// Its place in the block, from 0.
    pub index: usize,
    /// What it costs every peer, in units of weight.
    pub weight: u64,
    /// Itself.
    #[schema(value_type = schema::TransactionRecord)]
    pub transaction: Transaction,
    /// What became of it.
    #[schema(value_type = schema::ResultRecord)]
    pub result: TransactionResult,
}

/// What became of a submission: with a height if it is on the ledger, without while it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The transaction's id.
    #[schema(value_type = schema::Hex32)]
    pub id: TransactionId,
    /// The block that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub height: Option<Height>,
    /// Its place in the block, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ResultRecord>)]
    pub result: Option<TransactionResult>,
}

/// What became of a batch of submissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    /// How many were taken.
    pub accepted: usize,
    /// Those that were not.
    pub refused: Vec<BatchRefusal>,
}

/// One transaction of a batch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchRefusal {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub problem: Problem,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::AccountRecord)]
    pub account: Account,
    /// The handle of the account that admitted it.
    #[schema(value_type = Option<String>)]
    pub sponsor_handle: Option<Handle>,
    /// Its keys as `did:key` identifiers, in the order of `keys`.
    pub did_keys: Vec<String>,
    /// The title of the decision that suspended it; null if it is not suspended.
    pub suspension_title: Option<String>,
    /// With which keys its present control began, and at which height; null if no keys of it were ever replaced.
    #[schema(value_type = Option<schema::Record>)]
    pub control: Option<Epoch>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelView {
    /// The record, its policy included.
    #[serde(flatten)]
    #[schema(value_type = schema::ModelRecord)]
    pub model: Model,
    /// The founder's handle.
    #[schema(value_type = Option<String>)]
    pub founder_handle: Option<Handle>,
    /// The stewards' handles, in the order of `stewards`.
    #[schema(value_type = Vec<Option<String>>)]
    pub steward_handles: Vec<Option<Handle>>,
    /// All units of its register together.
    #[schema(value_type = schema::Wide)]
    pub total_units: Units,
    /// Accounts that hold at least one unit.
    pub holders: u64,
    /// Lines of the register's history so far.
    pub share_changes: u64,
    /// Contributions recorded so far.
    pub contributions: u64,
    /// Proposals opened so far.
    pub proposals: u64,
    /// Rounds opened so far.
    pub rounds: u64,
    /// Disputes opened so far.
    pub disputes: u64,
    /// Incidents reported so far.
    pub incidents: u64,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::VersionRecord)]
    pub version: Version,
    /// The model's name.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
    /// The publisher's handle.
    #[schema(value_type = Option<String>)]
    pub publisher_handle: Option<Handle>,
    /// Whether this peer holds the artifact whole.
    pub stored_here: bool,
    /// What is the matter with it and with what it was made from; in lists, only a few ancestors are looked at.
    #[schema(value_type = schema::StandingRecord)]
    pub standing: Standing,
    /// What the artifact says of itself, if it is here; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ContentsSchema>)]
    pub contents: Option<Contents>,
}

/// An emergency stop of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::StopRecord)]
    pub stop: VersionStop,
    /// The handle of who stopped it.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
}

/// One line of a register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareLine {
    /// The holder.
    #[schema(value_type = schema::Hex32)]
    pub account: AccountId,
    /// The holder's handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// What it holds.
    #[schema(value_type = schema::Wide)]
    pub units: Units,
    /// What of it the holder can give away; the others are under vesting.
    #[schema(value_type = schema::Wide)]
    pub free_units: Units,
    /// Its part of the whole in ten-thousandths, rounded down.
    #[schema(value_type = u16)]
    pub basis_points: BasisPoints,
    /// The height since which the holder has other keys that the model's owners have not accepted, where they have a say
    /// in that; null if there is nothing to accept.
    #[schema(value_type = Option<u64>)]
    pub unaccepted_since: Option<Height>,
}

/// A model's register as of a height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharesView {
    /// The model.
    #[schema(value_type = schema::Hex32)]
    pub model: ModelId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// The height after which the register stood so.
    #[schema(value_type = u64)]
    pub height: Height,
    /// The time of that block, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub time: Timestamp,
    /// All units together, those of other pages included.
    #[schema(value_type = schema::Wide)]
    pub total_units: Units,
    /// The lines, by account id.
    pub items: Vec<ShareLine>,
    /// Give it as `after` to get the next page; null on the last.
    pub next: Option<String>,
}

/// One line of a register's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareChangeView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::ShareChangeRecord)]
    pub change: ShareChange,
    /// The time of its block, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub time: Timestamp,
    /// The holder's handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The handle of the other side of a transfer.
    #[schema(value_type = Option<String>)]
    pub counterparty_handle: Option<Handle>,
    /// Under which vesting the units came; null if they were free at once.
    #[schema(value_type = Option<schema::Record>)]
    pub vesting: Option<Vesting>,
    /// The proposal that decided it; null if a holder did it alone.
    #[schema(value_type = Option<schema::Hex32>)]
    pub decision: Option<ProposalId>,
    /// What that proposal's actions do, in words.
    pub decision_does: Vec<String>,
    /// That proposal's title, in its proposer's words.
    pub decision_title: Option<String>,
}

/// The other side of a transfer.
pub const fn counterparty(reason: &ShareReason) -> Option<AccountId> {
    match reason {
        ShareReason::Transferred { counterparty, .. } | ShareReason::TransferApproved { counterparty, .. } => {
            Some(*counterparty)
        }
        ShareReason::Founding
        | ShareReason::Minted { .. }
        | ShareReason::Round { .. }
        | ShareReason::Lineage { .. }
        | ShareReason::TakenUp { .. }
        | ShareReason::Burned { .. }
        | ShareReason::BurnedByDecision { .. }
        | ShareReason::BurnedByDispute { .. } => None,
    }
}

/// A contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContributionView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::ContributionRecord)]
    pub contribution: Contribution,
    /// The model's name.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
    /// The giver's handle.
    #[schema(value_type = Option<String>)]
    pub giver_handle: Option<Handle>,
    /// The handles of the stewards who countersigned it, in the order of the record.
    #[schema(value_type = Vec<Option<String>>)]
    pub countersigned_handles: Vec<Option<Handle>>,
    /// The handles of the stewards who declined it, in the order of the record.
    #[schema(value_type = Vec<Option<String>>)]
    pub declined_handles: Vec<Option<Handle>>,
    /// How many stewards have to countersign it for it to count.
    pub countersigners: u32,
}

/// A proposal and where it is heading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalView {
    /// The record: scope, actions, rule, status.
    #[serde(flatten)]
    #[schema(value_type = schema::ProposalRecord)]
    pub proposal: Proposal,
    /// The sums of its ballots so far, in weight, and how many answered.
    #[schema(value_type = schema::TallyRecord)]
    pub tally: Tally,
    /// The model's name, when the scope is a model.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
    /// The proposer's handle.
    #[schema(value_type = Option<String>)]
    pub proposer_handle: Option<Handle>,
    /// What each of its actions does, in words: what the ledger will do, whatever the title says.
    pub does: Vec<String>,
    /// What the tally comes to now, and what is still needed to pass.
    #[schema(value_type = schema::OutlookSchema)]
    pub outlook: Outlook,
    /// Whether no ballot of those who have not answered could change that.
    pub settled: bool,
    /// The rule in plain words.
    pub rule_text: String,
    /// The handle of the account that may stop it.
    #[schema(value_type = Option<String>)]
    pub guardian_handle: Option<Handle>,
    /// Who would get units of the proposer, and whether it accepted them; until then they do not move.
    pub buyers: Vec<BuyerView>,
    /// What must be attested before it is executed, and what has been.
    pub attested: Vec<GateView>,
    /// Why what passed could not be carried out, in words; null unless it could not.
    pub reason_text: Option<String>,
    /// Milliseconds until ballots stop, by this peer's clock; 0 when they have, null when ballots are over.
    pub ends_in_ms: Option<u64>,
    /// Milliseconds until what passed can be executed, by this peer's clock; 0 when it can, null unless it is queued.
    pub ready_in_ms: Option<u64>,
    /// What it would do to the register if it were carried out now; left out in lists, once it is over, and where it
    /// changes neither the register nor the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectView>,
}

/// What must be attested of one version before it is released, and what has been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateView {
    /// The version's label.
    #[schema(value_type = String)]
    pub label: VersionLabel,
    /// Its artifact; null if there is no such version.
    #[schema(value_type = Option<schema::Cid>)]
    pub artifact: Option<ArtifactId>,
    /// What is attested.
    #[schema(value_type = String)]
    pub statement: Name,
    /// How many accounts must say that it passed.
    pub needed: u32,
    /// How many have.
    pub passed: u32,
    /// How many that say `passed`, and are more than those that say `failed`, outvote them; null for never.
    pub outvoted_by: Option<u32>,
    /// Whether it lets the release through: `met`, `failed` (somebody says so and is not outvoted), or `lacking`.
    pub verdict: String,
    /// Those whose word counts, and what each said last.
    pub attestors: Vec<AttestorView>,
}

/// What an account whose word counts said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestorView {
    /// The account.
    #[schema(value_type = schema::Hex32)]
    pub account: AccountId,
    /// Its handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// Whether it accepted the role; what it found does not count otherwise.
    pub accepted: bool,
    /// What it found: `passed`, `failed`, or `withdrawn`; null if it has said nothing.
    #[schema(value_type = Option<String>)]
    pub finding: Option<Finding>,
    /// In its words.
    pub note: String,
}

/// An answer to a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BallotView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::BallotRecord)]
    pub ballot: Ballot,
    /// The handle of who answered.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
}

/// A proof of one register line under a state root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofView {
    /// The height after which the state stood so. Its root is in the header of the height after it.
    #[schema(value_type = u64)]
    pub height: Height,
    /// The state root that the proof leads to.
    #[schema(value_type = schema::Hex32)]
    pub state_root: StateRoot,
    /// The key's bytes, in hexadecimal.
    pub key: String,
    /// What the key holds; null if the proof is one of absence.
    #[schema(value_type = Option<schema::ShareRecord>)]
    pub share: Option<Share>,
    /// The proof's canonical bytes, in hexadecimal.
    pub proof: String,
}

/// A deed, described. Its bytes are what is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeedView {
    /// The network, whose genesis the deed is checked against.
    #[schema(value_type = schema::Hex32)]
    pub network: NetworkId,
    /// The height after which what it proves stood so.
    #[schema(value_type = u64)]
    pub height: Height,
    /// The state root that the proofs lead to.
    #[schema(value_type = schema::Hex32)]
    pub state_root: StateRoot,
    /// The block whose certified header carries that root.
    #[schema(value_type = schema::Hex32)]
    pub block: BlockHash,
    /// That block's time, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub block_time: Timestamp,
    /// Changes of the validator set on the way from genesis.
    pub validator_changes: usize,
    /// What it is on.
    #[schema(value_type = schema::SubjectSchema)]
    pub subject: Subject,
    /// What it says of it, what burdens it too.
    #[schema(value_type = schema::FactsSchema)]
    pub facts: Facts,
    /// The deed's canonical bytes, in hexadecimal: what `Accept: application/octet-stream` gives raw.
    pub deed: String,
}

/// How an account stands to the licences that a model's owners granted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LicenseeView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::LicenseeRecord)]
    pub licensee: Licensee,
    /// The account's handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The model's name.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
    /// Whether the account may use the model by its licence now: it agreed, and nothing ended it.
    pub in_force: bool,
    /// Whether it can accept the offer now: there is one, and its time is not over.
    pub offer_stands: bool,
}

/// A step of the history of an account's licences to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LicenceChangeView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::LicenceChangeRecord)]
    pub change: LicenceChange,
    /// The time of its block, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub time: Timestamp,
}

/// That an account asks a model's owners for a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LicenceRequestView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::LicenceRequestRecord)]
    pub request: LicenceRequest,
    /// The account's handle.
    #[schema(value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The model's name.
    #[schema(value_type = Option<String>)]
    pub model_name: Option<ModelName>,
}

/// A peer that reads for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerBindingView {
    /// The record.
    #[serde(flatten)]
    #[schema(value_type = schema::PeerBindingRecord)]
    pub binding: PeerBinding,
    /// The peer's id on the swarm.
    pub peer_id: Option<String>,
}

/// That an account knew an artifact which it has not published yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitmentView {
    /// What stands for the artifact: nobody can tell its address from it.
    #[schema(value_type = String)]
    pub hash: ContentHash,
    /// In which block it was made.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Until when it counts, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub until: Timestamp,
}

/// How far work on bytes has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressView {
    /// Bytes done.
    pub done_bytes: u64,
    /// Bytes to do in all; 0 while that is not known.
    pub total_bytes: u64,
    /// Bytes a second since the start.
    pub bytes_per_second: u64,
}

/// Whether the store copies the bytes, shares the files, or remembers where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportModeView {
    /// The bytes are copied.
    #[default]
    Copy,
    /// The files get a second name in the store, on the same file system. Nobody may write into them.
    HardLink,
    /// The path is remembered; the file must stay as it is.
    Reference,
}

/// Take a file or a directory of the node's machine into the store, announce and serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// An absolute path on the node's machine.
    pub path: String,
    /// Copy, share the files, or remember where they lie.
    #[serde(default)]
    pub mode: ImportModeView,
    /// The model of which it is to be a version. It is pinned from the block on that has the version. Until then, if the
    /// model is not for everybody, it is served to nobody. If the ledger does not answer, or
    /// `DELETE /v1/artifacts/{address}/publication` says that it refused, what the import brought is removed.
    #[serde(default)]
    #[schema(value_type = Option<schema::Hex32>)]
    pub version_of: Option<ModelId>,
    /// How long the ledger may take to answer, in milliseconds of block time; an hour unless given.
    #[serde(default)]
    pub answer_ms: Option<u64>,
}

/// What became of a publish that the ledger refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LetGoView {
    /// Whether the artifact is removed; not if the ledger has the version, or the artifact was here before.
    pub removed: bool,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublishedView {
    /// As the ledger records it.
    #[serde(flatten)]
    #[schema(value_type = schema::ArtifactSchema)]
    pub artifact: Artifact,
    /// SHA-256 of the file, or of the manifest's bytes.
    #[schema(value_type = schema::Hex32)]
    pub sha256: ContentHash,
    /// Bytes that were not in the store before.
    pub new_bytes: u64,
    /// Paths that were left out of a collection: version control, caches, unfinished downloads.
    pub excluded: Vec<String>,
    /// Seconds it took.
    pub elapsed_seconds: f64,
}

/// One line of the answer to an import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportLine {
    /// How far it has come.
    Progress(ProgressView),
    /// It is done; the last line.
    Artifact(PublishedView),
    /// It failed; the last line.
    Error(Problem),
}

/// Fetch an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// An absolute path on the node's machine to write a copy to; null leaves the artifact in the store.
    #[serde(default)]
    pub output: Option<String>,
    /// Replace files at `output` that are different.
    #[serde(default)]
    pub overwrite: bool,
    /// The peers to ask; null finds them.
    #[serde(default)]
    pub providers: Option<Vec<String>>,
    /// `file` or `collection`: needed only for an artifact that no version on the ledger has.
    #[serde(default)]
    #[schema(value_type = Option<schema::KindSchema>)]
    pub kind: Option<ArtifactKind>,
    /// Which files of a collection, as patterns of `.gitignore`; empty for all. The artifact stays incomplete in the
    /// store then, and is not served.
    #[serde(default)]
    pub include: Vec<String>,
    /// The version that is meant, so that it is judged too; the version of the model that governs the artifact is in any
    /// case.
    #[serde(default)]
    #[schema(value_type = Option<schema::VersionRefRecord>)]
    pub version: Option<VersionRef>,
    /// What is put up with: `withdrawn` and `suspended` are refused unless they are named.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub despite: Vec<ConcernKind>,
}

/// What one provider gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderView {
    /// Who.
    pub peer_id: String,
    /// Verified bytes that came from it.
    pub received_bytes: u64,
}

/// A provider that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedProviderView {
    /// Who.
    pub peer_id: String,
    /// Why.
    pub reason: String,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FetchedView {
    /// The artifact.
    #[serde(flatten)]
    #[schema(value_type = schema::ArtifactSchema)]
    pub artifact: Artifact,
    /// Verified bytes that came over the network; 0 when all of it was here.
    pub received_bytes: u64,
    /// Bytes that were here already.
    pub present_bytes: u64,
    /// Seconds it took, writing a copy not counted.
    pub elapsed_seconds: f64,
    /// Who gave what.
    pub providers: Vec<ProviderView>,
    /// Who was given up, and why.
    pub dropped: Vec<DroppedProviderView>,
    /// Where the copy was written.
    pub output: Option<String>,
    /// What is the matter with it.
    #[schema(value_type = schema::StandingRecord)]
    pub standing: Standing,
}

/// One line of the answer to a fetch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FetchLine {
    /// Peers that will be asked, as they are found.
    Providers(Vec<String>),
    /// A provider was given up.
    Dropped(DroppedProviderView),
    /// How far it has come.
    Progress(ProgressView),
    /// How far writing the copy has come.
    Export(ProgressView),
    /// It is done; the last line.
    Result(FetchedView),
    /// It failed; the last line.
    Error(Problem),
}

/// One line of the answer to a verification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLine {
    /// How far it has come.
    Progress(ProgressView),
    /// A fault, which is being mended.
    Damaged(String),
    /// Every byte hashes to the address; the last line.
    Verified(Artifact),
    /// A fault, or something else went wrong; the last line.
    Error(Problem),
}

/// An artifact in this peer's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// The artifact.
    #[serde(flatten)]
    #[schema(value_type = schema::ArtifactSchema)]
    pub artifact: Artifact,
    /// Whether the operator pinned it, so that no collection removes it.
    #[serde(default)]
    pub pinned: bool,
    /// Whether a publish brought it that the ledger has not answered: it is pinned then, or removed.
    #[serde(default)]
    pub awaited: bool,
    /// Whether something of it was found damaged: it is not served until that is mended.
    #[serde(default)]
    pub damaged: bool,
    /// The versions it is, of the models on the ledger.
    pub versions: Vec<ArtifactVersion>,
    /// What is the matter with the version that it is of the model that governs it.
    #[schema(value_type = schema::StandingRecord)]
    pub standing: Standing,
    /// The files of a collection; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::ManifestFileRecord>>)]
    pub manifest: Option<Vec<ManifestFile>>,
    /// What it says of itself; left out in lists.
    #[serde(flatten)]
    #[schema(value_type = schema::ContentsSchema)]
    pub contents: Contents,
}

/// Whether a pin changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PinView {
    /// Whether the artifact is pinned now.
    pub pinned: bool,
    /// Whether it was otherwise before.
    pub changed: bool,
}

/// Collect what nobody needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectRequest {
    /// Remove nothing; say what would go.
    #[serde(default)]
    pub dry_run: bool,
    /// Give up interrupted fetches too, which others may take up for a week otherwise.
    #[serde(default)]
    pub downloads: bool,
}

/// What a collection removed, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectedView {
    /// Artifacts.
    #[schema(value_type = Vec<schema::Cid>)]
    pub artifacts: Vec<ArtifactId>,
    /// Blobs that no remaining artifact names, those of the artifacts included.
    pub blobs: u64,
    /// Downloads that nobody took up for a week.
    pub downloads: u64,
    /// Bytes on disk that this frees.
    pub freed_bytes: u64,
    /// Bytes on disk that the store takes now.
    pub used_bytes: u64,
    /// How many it may take; null for as many as there are.
    pub quota_bytes: Option<u64>,
}

/// A version that an artifact is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactVersion {
    /// The model's name.
    #[schema(value_type = String)]
    pub model: ModelName,
    /// The version's label.
    #[schema(value_type = String)]
    pub label: VersionLabel,
}

/// Who has an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvidersView {
    /// The artifact.
    #[schema(value_type = schema::Cid)]
    pub address: ArtifactId,
    /// The peers that announced it, this one included if it has it.
    pub providers: Vec<String>,
    /// Whether the search ended by itself; false if its time was up first, so that there may be more.
    pub complete: bool,
}

/// A block that was executed and is durable, or a part of a large one: the data of an SSE event `block`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeView {
    /// Its height.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its hash.
    #[schema(value_type = schema::Hex32)]
    pub block: BlockHash,
    /// Its time, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub time: Timestamp,
    /// How many transactions the block has, told in this event or in others.
    pub transactions: usize,
    /// What deadlines did, before the transactions; told with the first part of a block.
    #[schema(value_type = Vec<schema::EventRecord>)]
    pub deadline_events: Vec<Event>,
    /// What became of the transactions told in this event, in the block's order.
    #[schema(value_type = Vec<schema::ResultRecord>)]
    pub results: Vec<TransactionResult>,
}

/// Blocks that this peer does not tell again, because they are too many or it does not have them: the data of an SSE
/// event `gap`. Read them from `/v1/blocks`, of this peer or of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GapView {
    /// The first height that is left out.
    #[schema(value_type = u64)]
    pub from: Height,
    /// The last height that is left out.
    #[schema(value_type = u64)]
    pub to: Height,
}
