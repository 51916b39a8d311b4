//! Why a transaction of a decided block did not apply. Stored with the transaction, and shown to anybody who asks.

use crate::{
    ground::{
        fraction::Fraction,
        ids::{
            AccountId, ApprovalId, ArtifactId, ContributionId, DisputeId, Handle, Height, IncidentId, ModelId,
            ModelName, Name, ProposalId, PublicKey, Timestamp, Units, ValidatorAddress, VersionLabel,
        },
        limits,
        weight::Weight,
    },
    rules::{contribution::ContributionKind, office::Office, quota::Keeps},
};
use serde::{Deserialize, Serialize};

/// A rule that the state does not satisfy. The text names the object and, if there is one, the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(missing_docs, reason = "the error texts say what each field is")]
pub enum Rejection {
    #[error("the transaction expired at {expires}, before block time {time}; sign it again with a later expiry")]
    Expired { expires: Timestamp, time: Timestamp },
    #[error("the expiry {expires} is more than an hour of block time ahead of {time}; choose an earlier one")]
    ExpiryTooFar { expires: Timestamp, time: Timestamp },
    #[error("the transaction was already executed; a new request needs a new nonce")]
    Replayed,
    #[error("account {0} does not exist on this network")]
    UnknownAccount(AccountId),
    #[error(
        "the signatures weigh {weight} of the {threshold} that account {account} requires; sign with more of its keys, \
         or make a request that the others sign"
    )]
    NotAuthorised { account: AccountId, weight: u64, threshold: u64 },
    #[error("key {key} is not a key of account {account}; sign only with its current keys")]
    ForeignKey { account: AccountId, key: PublicKey },
    #[error("account {account} already has {max} transactions in this block; send it again for a later one")]
    RateLimited { account: AccountId, max: u32 },

    #[error("the handle {0} is taken; choose another")]
    HandleTaken(Handle),
    #[error(
        "account {account} may admit {quota} more accounts, and {needed} are requested; pass less on, or ask another \
         account to sponsor"
    )]
    SponsorQuota { account: AccountId, quota: u32, needed: u64 },

    #[error("the model {0} already exists; choose another name")]
    ModelNameTaken(ModelName),
    #[error("model {0} does not exist on this network")]
    UnknownModel(ModelId),
    #[error("account {account} is neither a steward nor a holder of shares of model {model}")]
    NotOfModel { account: AccountId, model: ModelId },
    #[error(
        "account {account} is not a steward of model {model}, or has not accepted to be one; ask one of its stewards"
    )]
    NotSteward { account: AccountId, model: ModelId },
    #[error("model {model} already has a version {label}; choose another label")]
    VersionExists { model: ModelId, label: VersionLabel },
    #[error("model {model} has no version {label}; publish it first")]
    UnknownVersion { model: ModelId, label: VersionLabel },
    #[error("version {label} of model {model} is {status}, so this cannot be done with it")]
    WrongVersionStatus { model: ModelId, label: VersionLabel, status: String },
    #[error("artifact {artifact} is already version {label} of this model")]
    ArtifactIsVersion { artifact: ArtifactId, label: VersionLabel },

    #[error("account {account} holds {held} units of model {model}, less than the {asked} requested")]
    NotEnoughShares { account: AccountId, model: ModelId, held: Units, asked: Units },
    #[error("model {0} would have more units than the ledger can count; mint less")]
    TooManyUnits(ModelId),
    #[error("a transfer moves at least one unit, to another account")]
    EmptyTransfer,

    #[error("contribution {0} does not exist on this network")]
    UnknownContribution(ContributionId),
    #[error("contribution {0} already counts; it can only be challenged now")]
    AlreadyAccepted(ContributionId),
    #[error("account {0} cannot countersign its own contribution; ask another steward")]
    OwnContribution(AccountId),

    #[error("proposal {0} does not exist on this network")]
    UnknownProposal(ProposalId),
    #[error("proposal {proposal} is {status}, no longer open")]
    NotOpen { proposal: ProposalId, status: String },
    #[error("proposal {proposal} closed at {closes}; block time is {time}")]
    VotingClosed { proposal: ProposalId, closes: Timestamp, time: Timestamp },
    #[error(
        "account {account} had no weight when the proposal opened (register as of height {snapshot}), so it has no ballot"
    )]
    NoWeight { account: AccountId, snapshot: Height },
    #[error("nobody had a vote as of height {0}; open the proposal once the register is recorded in an earlier block")]
    EmptyElectorate(Height),
    #[error("account {account} already has {max} open proposals; wait until one closes")]
    TooManyOpenProposals { account: AccountId, max: u32 },
    #[error("only its proposer, {0}, can withdraw the proposal")]
    NotProposer(AccountId),
    #[error(
        "this answer would make proposal {proposal} pass too late for the others to answer it: ballots cannot be accepted \
         beyond {last_close}; open a new proposal"
    )]
    TooLateToPass { proposal: ProposalId, last_close: Timestamp },
    #[error("account {0} is not a member of the network; only members open and answer the network's proposals")]
    NotMember(AccountId),
    #[error(
        "the actions of the proposal belong to different classes of decision ({0} and {1}); open one proposal for each"
    )]
    MixedClasses(String, String),
    #[error("validator key {0} is already in the set")]
    ValidatorExists(PublicKey),
    #[error(
        "validator key {key} was removed in block {height}, for good: its holder may have destroyed it; make a new key \
         (`allod init` on a new data directory) and have that one admitted"
    )]
    RetiredValidatorKey { key: PublicKey, height: Height },
    #[error("validator {0} is not in the set")]
    UnknownValidator(ValidatorAddress),
    #[error("the validator set would not be sound: {0}")]
    BadValidatorSet(String),

    #[error(
        "account {account} is suspended since block {height}; it can vote, keep its keys and answer what it is asked, and \
         the members of the network can reinstate it"
    )]
    Suspended { account: AccountId, height: Height },
    #[error("account {0} is not suspended")]
    NotSuspended(AccountId),
    #[error("account {0} is already a member of the network")]
    AlreadyMember(AccountId),
    #[error("an upgrade at height {height} leaves no time; choose {earliest} or later")]
    UpgradeTooSoon { height: Height, earliest: Height },
    #[error("version {protocol} of the protocol is not later than {current}, the current one")]
    OldProtocol { protocol: u32, current: u32 },

    #[error(
        "model {model} was retired at height {height}; nothing is published or released any more, and only what its open \
         rounds had promised is minted"
    )]
    Retired { model: ModelId, height: Height },
    #[error("version {label} of model {model} is already a parent, or is the version itself")]
    KnownParent { model: ModelId, label: VersionLabel },
    #[error("version {label} of model {model} would name more than {max} parents", max = limits::VERSION_PARENTS)]
    TooManyParents { model: ModelId, label: VersionLabel },

    #[error(
        "{free} units of account {account} in model {model} are free to give, less than the {asked} requested; the \
         others are under vesting"
    )]
    NotVested { account: AccountId, model: ModelId, free: Units, asked: Units },
    #[error(
        "account {account} has {max} grants under vesting in model {model}; wait until one is over",
        max = limits::VESTING_GRANTS
    )]
    TooManyVestingGrants { account: AccountId, model: ModelId },
    #[error("a transfer of shares of model {0} needs its owners' approval; open a proposal to approve it")]
    TransferNeedsApproval(ModelId),
    #[error("shares of model {0} cannot be transferred; its owners can change its policy")]
    TransfersLocked(ModelId),

    #[error("account {0} cannot delegate to itself; name another account, or none to answer for itself")]
    OwnDelegate(AccountId),
    #[error("the delegation would end at {expires}, not after block time {time}; choose a later time")]
    DelegationExpired { expires: Timestamp, time: Timestamp },
    #[error(
        "account {account} holds {held} units of model {model}; to propose this, hold at least {least} of all, or ask a \
         steward"
    )]
    TooFewShares { account: AccountId, model: ModelId, held: Units, least: Fraction },
    #[error("proposal {proposal} is {status}; only a queued one can be executed")]
    NotQueued { proposal: ProposalId, status: String },
    #[error("proposal {proposal} can be executed from {ready} on; block time is {time}")]
    Timelocked { proposal: ProposalId, ready: Timestamp, time: Timestamp },
    #[error("account {account} is not the guardian of proposal {proposal}, or has not accepted to be one")]
    NotGuardian { account: AccountId, proposal: ProposalId },
    #[error("artifact {artifact} has {have} of the {needed} attestations of {statement} that its release waits for")]
    NotAttested { artifact: ArtifactId, statement: Name, have: u32, needed: u32 },

    #[error("the handle {handle} looks like {existing}; choose one that nobody can take for it")]
    HandleLooksLike { handle: Handle, existing: Handle },
    #[error("account {0} cannot be its own guardian; name others")]
    OwnGuardian(AccountId),
    #[error("account {account} is not a guardian of account {of}, or has not accepted to be one")]
    NotKeyGuardian { account: AccountId, of: AccountId },
    #[error("a recovery of account {0} is already in progress; its guardians act again only if its keys object")]
    RecoveryPending(AccountId),
    #[error("no recovery of account {0} is in progress")]
    NoRecovery(AccountId),
    #[error("these signatures are enough for account {0}; send the request itself")]
    NoApprovalNeeded(AccountId),
    #[error(
        "account {0} has {max} requests waiting for signatures; sign or drop some",
        max = limits::OPEN_APPROVALS_PER_ACCOUNT
    )]
    TooManyApprovals(AccountId),
    #[error("no request {0} of this account waits for signatures; it was executed or dropped, or waited too long")]
    UnknownApproval(ApprovalId),
    #[error("these keys have already given request {0} this answer; another key must")]
    SignedAlready(ApprovalId),

    #[error("model {model} has no round {round}")]
    UnknownRound { model: ModelId, round: u64 },
    #[error("round {round} of model {model} accepted this until {until}; block time is {time}")]
    RoundOver { model: ModelId, round: u64, until: Timestamp, time: Timestamp },
    #[error(
        "round {round} of model {model} takes {kind} amounts",
        kind = if *.sealed { "sealed" } else { "open" }
    )]
    SealExpected { model: ModelId, round: u64, sealed: bool },
    #[error("what counts in round {round} of model {model} would be more than the ledger can count")]
    ScoreTooLarge { model: ModelId, round: u64 },
    #[error("only its giver, {0}, can do this")]
    NotGiver(AccountId),
    #[error("contribution {0} has no sealed amount to reveal")]
    NotSealed(ContributionId),
    #[error(
        "the round of contribution {contribution} records until {until}, block time is {time}; reveal the amount \
         then, when nobody can copy it"
    )]
    StillRecording { contribution: ContributionId, until: Timestamp, time: Timestamp },
    #[error("amount and salt are not what contribution {0} was sealed with")]
    SealMismatch(ContributionId),
    #[error("contribution {0} is sealed; its giver must reveal the amount first")]
    StillSealed(ContributionId),
    #[error(
        "round {round} of model {model} gives no weight to {kind}, only to {}; record it outside rounds, where it mints \
         nothing, or ask the owners for a round that weighs it",
        kind_names(weighed), kind = .kind.name()
    )]
    KindNotWeighed { model: ModelId, round: u64, kind: ContributionKind, weighed: Vec<ContributionKind> },
    #[error(
        "account {account} left an amount unrevealed in round {withheld} of model {model}, so the model accepts contributions \
         from it again in round {until}, not before"
    )]
    BarredFromRound { account: AccountId, model: ModelId, withheld: u64, until: u64 },
    #[error("model {0} has {max} rounds that are not over; wait until one is", max = limits::OPEN_ROUNDS)]
    TooManyRounds(ModelId),
    #[error(
        "the policy requires {countersigners} stewards to countersign, and the model has {stewards}; name more stewards \
         first, or require fewer countersignatures"
    )]
    TooFewStewards { stewards: u32, countersigners: u32 },
    #[error("steward {steward} has already countersigned contribution {contribution}; others must too")]
    AlreadyCountersigned { contribution: ContributionId, steward: AccountId },
    #[error(
        "no steward has declined contribution {0}, and its round still records; appeal when one has, or when the round \
         is under review"
    )]
    NotDeclined(ContributionId),
    #[error("an appeal was already made, in dispute {0}; there is only one")]
    AppealedAlready(DisputeId),
    #[error(
        "account {0} goes back to a founding account over {max} sponsors, so it cannot admit others; ask one that is \
         closer to a founding account",
        max = limits::SPONSOR_CHAIN
    )]
    SponsorChain(AccountId),
    #[error("model {0} has too many holders to grant shares to at a founding; mint for them later")]
    GrantTooWide(ModelId),

    #[error("it is frozen by dispute {0} until that ends")]
    Frozen(DisputeId),
    #[error("dispute {0} does not exist")]
    UnknownDispute(DisputeId),
    #[error("dispute {dispute} is {status}; nothing more can be done about it")]
    DisputeOver { dispute: DisputeId, status: String },
    #[error(
        "account {0} has {max} disputes open; wait until one ends",
        max = limits::OPEN_DISPUTES_PER_ACCOUNT
    )]
    TooManyDisputes(AccountId),
    #[error("only {0}, its respondent, can answer the dispute")]
    NotRespondent(AccountId),
    #[error(
        "account {account} does not sit on dispute {dispute}: only arbiters sit who accepted the office, are not parties to \
         it, hold nothing of the model, and come first in its list"
    )]
    NotArbiter { account: AccountId, dispute: DisputeId },
    #[error(
        "dispute {0} is for the arbiters that the model's policy names; the party that a ruling goes against can appeal"
    )]
    ForArbiters(DisputeId),
    #[error("incident {0} does not exist")]
    UnknownIncident(IncidentId),

    #[error("peer {peer} did not consent to read for account {account}; ask its operator for another consent")]
    PeerDisagrees { peer: PublicKey, account: AccountId },
    #[error("peer {peer} has consented at {issued}, no earlier than this; ask its operator for another consent")]
    StaleConsent { peer: PublicKey, issued: Timestamp },
    #[error("account {0} has {max} peers; release one first", max = limits::PEERS_PER_ACCOUNT)]
    TooManyPeers(AccountId),
    #[error("peer {peer} is not bound to account {account}")]
    PeerNotBound { peer: PublicKey, account: AccountId },
    #[error("account {account} has no licence to model {model}")]
    NotLicensee { account: AccountId, model: ModelId },
    #[error(
        "model {model} knew the artifact {artifact} first and governs it, so what this model says about its readers would \
         not count; change a byte of it, commit to it before you publish it, or ask the owners of that model"
    )]
    ArtifactGoverned { artifact: ArtifactId, model: ModelId },
    #[error(
        "account {account} has no commitment to artifact {artifact} with this salt for model {model}; commit to it first, \
         or again, and publish once that is in a block"
    )]
    NotCommitted { artifact: ArtifactId, model: ModelId, account: AccountId },

    #[error(
        "account {account} attested that artifact {artifact} failed {statement}{said}; it is not released before that \
         account withdraws this{remedy}",
        said = if .note.is_empty() { String::new() } else { format!(" ({})", .note) },
        remedy = outvoting(*.passed, *.outvoted_by)
    )]
    FailedAttestation {
        artifact: ArtifactId,
        statement: Name,
        account: AccountId,
        note: String,
        passed: u32,
        outvoted_by: Option<u32>,
    },
    #[error("account {account} has attested nothing about {statement} of artifact {artifact} that it could withdraw")]
    NothingAttested { account: AccountId, artifact: ArtifactId, statement: Name },
    #[error("the rule of proposal {0} gives nobody a veto; answer no, which counts against it")]
    NoVeto(ProposalId),
    #[error("the rules in force here have no dormancy; change the policy first")]
    NoDormancy,
    #[error("account {0} cannot call on itself")]
    OwnCall(AccountId),
    #[error("account {0} has no voice here, so its silence stops nothing")]
    NoVoice(AccountId),
    #[error("account {0} has already been called on, and has not spoken since")]
    CalledAlready(AccountId),
    #[error("account {delegate} answers for account {account}; call on that one")]
    DelegateAnswers { account: AccountId, delegate: AccountId },
    #[error(
        "account {0} has {max} calls open; wait until one is answered or over",
        max = limits::OPEN_CALLS_PER_ACCOUNT
    )]
    TooManyCalls(AccountId),
    #[error("nobody has called on account {0} here, so it counts and has nothing to answer")]
    NotCalledOn(AccountId),
    #[error("account {account} operates the validator {key}; remove that validator from the set first")]
    OperatesValidator { account: AccountId, key: PublicKey },
    #[error("account {0} is the last member of the network; admit another first")]
    LastMember(AccountId),
    #[error("account {account} has already accepted to be {office}")]
    OfficeHeld { office: Office, account: AccountId },
    #[error(
        "account {account} is not named to be {office}, and has not accepted that in advance; there is nothing to resign"
    )]
    NotInOffice { office: Office, account: AccountId },
    #[error("account {account} has not yet accepted to be {office}; it must, by accept_office")]
    NotAccepted { office: Office, account: AccountId },
    #[error(
        "account {0} has accepted {max} offices that it is not named for; resign one first",
        max = limits::OFFICES_AHEAD_PER_ACCOUNT
    )]
    TooManyAhead(AccountId),
    #[error("the consensus key {key} did not sign that account {account} operates it; sign that with the key itself")]
    KeyDisagrees { key: PublicKey, account: AccountId },
    #[error(
        "account {account} takes no units of model {model} unasked; it must ask for them first: allod shares take MODEL"
    )]
    NotAsked { account: AccountId, model: ModelId },
    #[error(
        "account {0} has settings for the units of {max} models; remove one of them first",
        max = limits::INTAKES_PER_ACCOUNT
    )]
    TooManyIntakes(AccountId),
    #[error(
        "account {buyer} has not accepted the units that proposal {proposal} would give it; it must, before they move"
    )]
    NotBought { proposal: ProposalId, buyer: AccountId },
    #[error("proposal {proposal} gives no units to account {account}")]
    NotBuyer { account: AccountId, proposal: ProposalId },
    #[error(
        "decisions would have added {added} units to the {base} that model {model} had; its policy lets them add at most {most} \
         of these"
    )]
    TooDilutive { model: ModelId, added: Units, base: Units, most: Fraction },
    #[error("model {model} has no issue {issue} whose units can be taken up")]
    UnknownIssue { model: ModelId, issue: u64 },
    #[error("units of issue {issue} of model {model} could be taken up until {until}; block time is {time}")]
    IssueOver { model: ModelId, issue: u64, until: Timestamp, time: Timestamp },
    #[error("account {account} may take up {left} more units, less than the {asked} requested")]
    BeyondEntitlement { account: AccountId, left: Units, asked: Units },
    #[error(
        "the policy of model {0} does not let anybody take a holder's units without its consent; propose to burn them with its consent, \
         or open a dispute"
    )]
    NoExpropriation(ModelId),
    #[error(
        "account {account} has not consented that proposal {proposal} takes its units; it must consent, or the owners must withdraw the proposal"
    )]
    NoConsent { account: AccountId, proposal: ProposalId },
    #[error("proposal {proposal} takes no units of account {account}, so there is nothing to consent to")]
    NothingTaken { account: AccountId, proposal: ProposalId },

    #[error(
        "version {label} of model {model} is suspended{}; its owners can lift that",
        .until.map_or_else(String::new, |until| format!(" until {until}"))
    )]
    VersionSuspended { model: ModelId, label: VersionLabel, until: Option<Timestamp> },
    #[error("version {label} of model {model} is not suspended")]
    VersionNotSuspended { model: ModelId, label: VersionLabel },
    #[error(
        "account {account} is not named for emergencies by the policy of model {model}; ask its owners to suspend \
         the version, by a decision of class safety"
    )]
    MayNotStop { account: AccountId, model: ModelId },
    #[error(
        "account {account} has stopped version {label} before, and may do so again from {from} on; until then ask its owners, \
         by a decision of class safety"
    )]
    StoppedBefore { account: AccountId, label: VersionLabel, from: Timestamp },
    #[error(
        "account {account} has stopped version {label} {max} times; now only its owners can, by a decision of class \
         safety",
        max = limits::EMERGENCY_STOPS
    )]
    StopsUsedUp { account: AccountId, label: VersionLabel },
    #[error(
        "account {account} has {max} stops in force in model {model}; for more, ask its owners, by a decision of class safety",
        max = limits::EMERGENCY_STOPS_AT_ONCE
    )]
    TooManyStops { account: AccountId, model: ModelId },
    #[error("version {label} is not suspended by a stop of account {account}; its owners can lift the suspension")]
    NotOwnStop { account: AccountId, label: VersionLabel },

    #[error(
        "key {key} has made {max} requests of its account that wait for signatures, as many as one key may; withdraw \
         one, or make this with another key"
    )]
    TooManyApprovalsOfKey { key: PublicKey, max: u32 },
    #[error(
        "the keys of account {0} objected to those that its guardians chose: repeat the same choice, or let it lapse"
    )]
    OtherKeysContested(AccountId),
    #[error(
        "the keys of account {0} have already objected to its recovery; only all of its keys, at least two, stop it by \
         signing together: sign with each of them, or request it of every key"
    )]
    ContestedAlready(AccountId),

    #[error("account {0} would challenge itself; say what is wrong in another way, and leave disputes to others")]
    OwnDispute(AccountId),
    #[error("the same account challenges it already, by dispute {0}; add to that")]
    ChallengedAlready(DisputeId),
    #[error(
        "it is challenged by {max} accounts, the maximum; {remedy}",
        max = limits::DISPUTES_PER_TARGET, remedy = outbidding(*.bound)
    )]
    TooManyChallenges { bound: Option<Units> },
    #[error(
        "account {account} lost a challenge in model {model} and is barred from another until {until}; others can \
         challenge, and anybody can report an incident"
    )]
    Barred { account: AccountId, model: ModelId, until: Timestamp },
    #[error(
        "account {0} has challenged this {max} times without success; others can challenge it",
        max = limits::CHALLENGES_IN_VAIN
    )]
    ChallengedTooOften(AccountId),
    #[error(
        "to challenge this, {bond} units of account {account} in model {model} are bound until it ends, and {free} are \
         free; challenge fewer units, or leave it to a larger holder"
    )]
    BondLacking { account: AccountId, model: ModelId, free: Units, bond: Units },
    #[error(
        "account {account} has {free} units of model {model} that are not bound for its challenges, which is less than \
         the {asked} requested; wait until these end"
    )]
    Bonded { account: AccountId, model: ModelId, free: Units, asked: Units },
    #[error(
        "the respondent of dispute {dispute} has until {until} to answer; nobody decides before that time or the answer"
    )]
    NotHeard { dispute: DisputeId, until: Timestamp },
    #[error("dispute {0} is before the owners; they end it by a resolution")]
    ForOwners(DisputeId),
    #[error(
        "account {account} has already ruled on dispute {dispute}, and enough arbiters agreed; its ruling cannot change any more"
    )]
    RuledAlready { account: AccountId, dispute: DisputeId },
    #[error("dispute {0} has no waiting ruling that was not appealed")]
    NothingToAppeal(DisputeId),
    #[error("only {0}, the party that the ruling goes against, can appeal")]
    NotAppellant(AccountId),
    #[error("only {0}, the challenger, can withdraw it")]
    NotChallenger(AccountId),
    #[error("dispute {0} was ruled on, or a resolution of it is in progress; it can no longer be withdrawn")]
    TooLateToWithdraw(DisputeId),
    #[error("account {0} is an arbiter of the model, and arbiters hold nothing of it; it must resign first")]
    ArbiterHolds(AccountId),
    #[error("account {account} neither reported incident {incident} nor was named to answer for it")]
    NotOfIncident { account: AccountId, incident: IncidentId },
    #[error(
        "account {account} was named for incident {incident} and has neither answered nor commented yet; close it from \
         {until} on, or without naming anybody"
    )]
    AnswerAwaited { incident: IncidentId, account: AccountId, until: Timestamp },
    #[error(
        "account {account} has commented {max} times on incident {incident}; refer to longer texts by hash",
        max = limits::INCIDENT_STATEMENTS
    )]
    TooManyStatements { account: AccountId, incident: IncidentId },
    #[error("{max} accounts have already been named for incident {0}; name one of them", max = limits::INCIDENT_NAMED)]
    TooManyNamed(IncidentId),
    #[error(
        "account {account} has been under other keys since block {since}, which the owners of model {model} have not \
         accepted: ask them to: allod propose accept-control MODEL ACCOUNT"
    )]
    ControlNotAccepted { account: AccountId, model: ModelId, since: Height },
    #[error(
        "what the proposal would do weighs {weight}, more than the {max} of one decision; open several proposals",
        max = limits::DECISION_WEIGHT
    )]
    DecisionTooHeavy { weight: Weight },
    #[error(
        "many delegations of model {0} have ended and are being removed, so that they no longer count; open the proposal \
         in a few blocks"
    )]
    DelegationsEnd(ModelId),
    #[error("account {account} has {max} {keeps}", max = .keeps.most())]
    QuotaUsedUp { account: AccountId, keeps: Keeps },
    #[error(
        "incident {0} has {max} updates; close it, and report new facts as another one",
        max = limits::INCIDENT_UPDATES
    )]
    TooManyUpdates(IncidentId),
    #[error(
        "peer {peer} consented at {issued} by its clock, which is more than 30 days before block time {time}, or more \
         than an hour after it; set its clock if it is wrong, and ask its operator for another consent"
    )]
    ConsentOver { peer: PublicKey, issued: Timestamp, time: Timestamp },
    #[error("account {account} does not ask for a licence to model {model}; there is nothing to withdraw")]
    NoLicenceAsked { account: AccountId, model: ModelId },
    #[error(
        "account {0} already asks for {max} licences; withdraw one, or wait until one is granted or lapses",
        max = limits::LICENCE_REQUESTS_PER_ACCOUNT
    )]
    TooManyLicencesAsked(AccountId),
    #[error(
        "by decision {proposal} account {account} has no licence to model {model} that it could accept or give up: it was \
         answered, revoked, or replaced by another one, or it has expired"
    )]
    NoSuchLicence { account: AccountId, model: ModelId, proposal: ProposalId },
}

/// What can outvote a failed attestation.
fn outvoting(passed: u32, outvoted_by: Option<u32>) -> String {
    match outvoted_by {
        None => "; nobody can outvote it, but the owners can change who is in the role".into(),
        Some(needed) => format!(", or before {needed} in the role attest that it passed ({passed} do)"),
    }
}

/// How to get a place among challenges, of which the smallest binds `bound`.
fn outbidding(bound: Option<Units>) -> String {
    match bound {
        None => "arbiters or owners are deciding all of them: wait until one ends".into(),
        Some(bound) => {
            format!("to take the place of the one that binds least, bind more than its {bound} units of your own")
        }
    }
}

/// The names of some kinds of contribution.
fn kind_names(kinds: &[ContributionKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

impl Rejection {
    /// A stable code for programs: the name of the rule.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
