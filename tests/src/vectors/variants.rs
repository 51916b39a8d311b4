//! The variants of every enum that is stored or sent. Each list is also an exhaustive match, so a new variant does not
//! compile until it is named here, and once it is named, a vector of that name has to be there.

use allod_protocol::{
    artifact::ArtifactKind,
    attestation::Finding,
    block::VoteKind,
    contribution::ContributionKind,
    dispute::{DisputeStatus, DisputeTarget},
    due::Due,
    event::Event,
    execute::Outcome,
    incident::IncidentStatus,
    model::{Licence, VersionStatus},
    policy::{Class, Electorate, Proposers, Risk, TransferRule, Verdict},
    proposal::{Choice, ProposalAction, ProposalStatus, Scope},
    rejection::Rejection,
    replica::{DoubleSign, LogRecord, LoggedBlock, Message, RoundCertificateKind, TimerKind},
    round::RoundStatus,
    share::{ShareFlow, ShareReason},
    state::Family,
    transaction::Action,
};

macro_rules! variants {
    ($($prefix:literal, $list:ident, $name:ident: $type:ident { $($variant:ident $fields:tt => $text:literal,)* })*) => {
        $(
            const $list: &[&str] = &[$($text),*];

            /// The name of the variant in vectors.
            pub(super) fn $name(value: &$type) -> &'static str {
                match value {
                    $(variants!(@pattern $type $variant $fields) => $text,)*
                }
            }
        )*

        /// The names of the vectors that there must be: one for each variant of each enum.
        pub fn required() -> Vec<String> {
            let mut names = Vec::new();
            $(names.extend($list.iter().map(|variant| format!("{}.{variant}", $prefix)));)*
            names
        }
    };
    (@pattern $type:ident $variant:ident ()) => { $type::$variant };
    (@pattern $type:ident $variant:ident (..)) => { $type::$variant(..) };
    (@pattern $type:ident $variant:ident {..}) => { $type::$variant { .. } };
}

variants! {
    "transaction", ACTIONS, action: Action {
        CreateAccount(..) => "create_account",
        RotateKeys(..) => "rotate_keys",
        CreateModel(..) => "create_model",
        PublishVersion(..) => "publish_version",
        RecordContribution(..) => "record_contribution",
        AcceptContribution(..) => "accept_contribution",
        TransferShares(..) => "transfer_shares",
        OpenProposal(..) => "open_proposal",
        CastBallot(..) => "cast_ballot",
        WithdrawProposal(..) => "withdraw_proposal",
        ExecuteProposal(..) => "execute_proposal",
        CancelProposal(..) => "cancel_proposal",
        Delegate(..) => "delegate",
        BurnShares(..) => "burn_shares",
        Attest(..) => "attest",
        RevealContribution(..) => "reveal_contribution",
        OpenDispute(..) => "open_dispute",
        AnswerDispute(..) => "answer_dispute",
        RuleDispute(..) => "rule_dispute",
        ReportIncident(..) => "report_incident",
        UpdateIncident(..) => "update_incident",
        SetRecovery(..) => "set_recovery",
        RecoverAccount(..) => "recover_account",
        CancelRecovery(..) => "cancel_recovery",
        RequestApproval(..) => "request_approval",
        SignApproval(..) => "sign_approval",
        BindPeer(..) => "bind_peer",
        ReleasePeer(..) => "release_peer",
    }
    "proposal_action", PROPOSAL_ACTIONS, proposal_action: ProposalAction {
        ReleaseVersion{..} => "release_version",
        DeprecateVersion{..} => "deprecate_version",
        WithdrawVersion{..} => "withdraw_version",
        ClaimLineage{..} => "claim_lineage",
        SetLicence{..} => "set_licence",
        MintShares{..} => "mint_shares",
        BurnShares{..} => "burn_shares",
        ApproveTransfer{..} => "approve_transfer",
        SetStewards{..} => "set_stewards",
        SetPolicy{..} => "set_policy",
        Retire{..} => "retire",
        OpenRound{..} => "open_round",
        ResolveDispute{..} => "resolve_dispute",
        Statement() => "statement",
        AdmitValidator{..} => "admit_validator",
        ReweightValidator{..} => "reweight_validator",
        RemoveValidator{..} => "remove_validator",
        AdmitMember{..} => "admit_member",
        GrantQuota{..} => "grant_quota",
        SuspendAccount{..} => "suspend_account",
        ReinstateAccount{..} => "reinstate_account",
        SetParameters{..} => "set_parameters",
        Upgrade{..} => "upgrade",
        SetDistribution{..} => "set_distribution",
        GrantLicence{..} => "grant_licence",
        RevokeLicence{..} => "revoke_licence",
    }
    "proposal_status", PROPOSAL_STATUSES, proposal_status: ProposalStatus {
        Open() => "open",
        Queued{..} => "queued",
        Executed{..} => "executed",
        ExecutionFailed{..} => "execution_failed",
        Rejected{..} => "rejected",
        Withdrawn{..} => "withdrawn",
        Cancelled{..} => "cancelled",
        Expired{..} => "expired",
    }
    "scope", SCOPES, scope: Scope { Model(..) => "model", Network() => "network", }
    "choice", CHOICES, choice: Choice {
        Yes() => "yes",
        No() => "no",
        Abstain() => "abstain",
        Veto() => "veto",
    }
    "class", CLASSES, class: Class {
        Release() => "release",
        Licence() => "licence",
        Ownership() => "ownership",
        Stewards() => "stewards",
        Rules() => "rules",
        Dispute() => "dispute",
        Validators() => "validators",
        Accounts() => "accounts",
        Parameters() => "parameters",
        Upgrade() => "upgrade",
    }
    "verdict", VERDICTS, verdict: Verdict {
        Passed() => "passed",
        NoQuorum() => "no_quorum",
        NotEnoughYes() => "not_enough_yes",
        Vetoed() => "vetoed",
        Objected() => "objected",
    }
    "electorate", ELECTORATES, electorate: Electorate {
        Shares() => "shares",
        Members() => "members",
        SquareRoot() => "square_root",
    }
    "proposers", PROPOSERS, proposers: Proposers {
        Owners() => "owners",
        Stewards() => "stewards",
        Holders(..) => "holders",
    }
    "transfer_rule", TRANSFER_RULES, transfer_rule: TransferRule {
        Free() => "free",
        Approval() => "approval",
        Locked() => "locked",
    }
    "risk", RISKS, risk: Risk {
        MinorityDecides() => "minority_decides",
        SplitVoices() => "split_voices",
        SilenceDecides() => "silence_decides",
    }
    "licence", LICENCES, licence: Licence {
        Spdx(..) => "spdx",
        Terms(..) => "terms",
    }
    "round_status", ROUND_STATUSES, round_status: RoundStatus {
        Open() => "open",
        Quotas{..} => "quotas",
        Minting{..} => "minting",
        Closed{..} => "closed",
        Failed{..} => "failed",
    }
    "dispute_target", DISPUTE_TARGETS, dispute_target: DisputeTarget {
        Line{..} => "line",
        Version{..} => "version",
        Contribution(..) => "contribution",
    }
    "dispute_status", DISPUTE_STATUSES, dispute_status: DisputeStatus {
        Open() => "open",
        Upheld{..} => "upheld",
        Lifted{..} => "lifted",
        Lapsed{..} => "lapsed",
    }
    "incident_status", INCIDENT_STATUSES, incident_status: IncidentStatus {
        Reported() => "reported",
        Investigating() => "investigating",
        Resolved() => "resolved",
        Dismissed() => "dismissed",
    }
    "due", DUES, due: Due {
        Proposal(..) => "proposal",
        Delegation{..} => "delegation",
        Round{..} => "round",
        Dispute(..) => "dispute",
        Recovery(..) => "recovery",
        Approval(..) => "approval",
    }
    "finding", FINDINGS, finding: Finding {
        Passed() => "passed",
        Failed() => "failed",
        Withdrawn() => "withdrawn",
    }
    "contribution_kind", CONTRIBUTION_KINDS, contribution_kind: ContributionKind {
        Data() => "data",
        Compute() => "compute",
        Code() => "code",
        Evaluation() => "evaluation",
        Funding() => "funding",
    }
    "share_reason", SHARE_REASONS, share_reason: ShareReason {
        Founding() => "founding",
        Minted{..} => "minted",
        Transferred{..} => "transferred",
        TransferApproved{..} => "transfer_approved",
        Burned{..} => "burned",
        BurnedByDecision{..} => "burned_by_decision",
        Round{..} => "round",
        BurnedByDispute{..} => "burned_by_dispute",
        Lineage{..} => "lineage",
    }
    "share_flow", SHARE_FLOWS, share_flow: ShareFlow { In() => "in", Out() => "out", }
    "version_status", VERSION_STATUSES, version_status: VersionStatus {
        Published() => "published",
        Released{..} => "released",
        Deprecated{..} => "deprecated",
        Withdrawn{..} => "withdrawn",
    }
    "artifact_kind", ARTIFACT_KINDS, artifact_kind: ArtifactKind { File() => "file", Collection() => "collection", }
    "vote", VOTES, vote_kind: VoteKind { Prevote() => "prevote", Precommit() => "precommit", }
    "message", MESSAGES, message: Message {
        Vote(..) => "vote",
        Proposal(..) => "proposal",
        Polka(..) => "polka",
        Round(..) => "round",
    }
    "round_certificate_kind", ROUND_CERTIFICATE_KINDS, round_certificate_kind: RoundCertificateKind {
        Skip() => "skip",
        Precommit() => "precommit",
    }
    "double_sign", DOUBLE_SIGNS, double_sign: DoubleSign { Votes(..) => "votes", Proposals(..) => "proposals", }
    "log_record", LOG_RECORDS, log_record: LogRecord {
        Vote(..) => "vote",
        Proposal{..} => "proposal",
        Polka(..) => "polka",
        Timeout{..} => "timeout",
        Verdict{..} => "verdict",
    }
    "logged_block", LOGGED_BLOCKS, logged_block: LoggedBlock { Whole(..) => "whole", Earlier(..) => "earlier", }
    "timer_kind", TIMER_KINDS, timer_kind: TimerKind {
        Propose() => "propose",
        Prevote() => "prevote",
        Precommit() => "precommit",
        Rebroadcast() => "rebroadcast",
    }
    "outcome", OUTCOMES, outcome: Outcome { Applied() => "applied", Rejected(..) => "rejected", }
    "state", FAMILIES, family: Family {
        Network() => "network",
        Validators() => "validators",
        Account() => "account",
        Handle() => "handle",
        Seen() => "seen",
        Model() => "model",
        ModelName() => "model_name",
        Version() => "version",
        ArtifactUse() => "artifact_use",
        Share() => "share",
        ShareAt() => "share_at",
        TotalAt() => "total_at",
        ShareChange() => "share_change",
        Contribution() => "contribution",
        ContributionOf() => "contribution_of",
        Proposal() => "proposal",
        ProposalOf() => "proposal_of",
        Deadline() => "deadline",
        Ballot() => "ballot",
        Register() => "register",
        ModelCounters() => "model_counters",
        Tally() => "tally",
        MembersAt() => "members_at",
        Delegation() => "delegation",
        DelegationAt() => "delegation_at",
        DelegatedAt() => "delegated_at",
        Overridden() => "overridden",
        Attestation() => "attestation",
        VestingGrant() => "vesting_grant",
        ChildOf() => "child_of",
        Round() => "round",
        RoundScore() => "round_score",
        RoundDue() => "round_due",
        Dispute() => "dispute",
        DisputeOf() => "dispute_of",
        Frozen() => "frozen",
        Incident() => "incident",
        IncidentOf() => "incident_of",
        IncidentUpdate() => "incident_update",
        GuardianVote() => "guardian_vote",
        Recovery() => "recovery",
        Approval() => "approval",
        ApprovalOf() => "approval_of",
        HandleShape() => "handle_shape",
        Licensee() => "licensee",
        PeerBinding() => "peer_binding",
        PeerOf() => "peer_of",
        ArtifactOrigin() => "artifact_origin",
    }
    "event", EVENTS, event: Event {
        AccountCreated{..} => "account_created",
        KeysRotated{..} => "keys_rotated",
        ModelCreated{..} => "model_created",
        VersionPublished{..} => "version_published",
        VersionReleased{..} => "version_released",
        SharesChanged{..} => "shares_changed",
        ContributionRecorded{..} => "contribution_recorded",
        ContributionAccepted{..} => "contribution_accepted",
        ProposalOpened{..} => "proposal_opened",
        BallotCast{..} => "ballot_cast",
        ProposalClosed{..} => "proposal_closed",
        PolicyChanged{..} => "policy_changed",
        ValidatorAdmitted{..} => "validator_admitted",
        ValidatorRemoved{..} => "validator_removed",
        ValidatorReweighted{..} => "validator_reweighted",
        MemberAdmitted{..} => "member_admitted",
        QuotaGranted{..} => "quota_granted",
        AccountSuspended{..} => "account_suspended",
        AccountReinstated{..} => "account_reinstated",
        ParametersSet() => "parameters_set",
        UpgradeScheduled{..} => "upgrade_scheduled",
        VersionDeprecated{..} => "version_deprecated",
        VersionWithdrawn{..} => "version_withdrawn",
        LineageClaimed{..} => "lineage_claimed",
        LicenceSet{..} => "licence_set",
        StewardsSet{..} => "stewards_set",
        ModelRetired{..} => "model_retired",
        StatementMade{..} => "statement_made",
        CloseMoved{..} => "close_moved",
        ProposalQueued{..} => "proposal_queued",
        Delegated{..} => "delegated",
        ContributionRevealed{..} => "contribution_revealed",
        RoundOpened{..} => "round_opened",
        RoundClosed{..} => "round_closed",
        DisputeOpened{..} => "dispute_opened",
        DisputeAnswered{..} => "dispute_answered",
        DisputeRuled{..} => "dispute_ruled",
        DisputeEnded{..} => "dispute_ended",
        IncidentReported{..} => "incident_reported",
        IncidentUpdated{..} => "incident_updated",
        RecoverySet{..} => "recovery_set",
        RecoverySought{..} => "recovery_sought",
        RecoveryStopped{..} => "recovery_stopped",
        AccountRecovered{..} => "account_recovered",
        ApprovalRequested{..} => "approval_requested",
        ApprovalSigned{..} => "approval_signed",
        ApprovalClosed{..} => "approval_closed",
        Attested{..} => "attested",
        DistributionSet{..} => "distribution_set",
        LicenceGranted{..} => "licence_granted",
        LicenceRevoked{..} => "licence_revoked",
        PeerBound{..} => "peer_bound",
        PeerReleased{..} => "peer_released",
    }
    "rejection", REJECTIONS, rejection: Rejection {
        Expired{..} => "expired",
        ExpiryTooFar{..} => "expiry_too_far",
        Replayed() => "replayed",
        UnknownAccount(..) => "unknown_account",
        NotAuthorised{..} => "not_authorised",
        ForeignKey{..} => "foreign_key",
        RateLimited{..} => "rate_limited",
        HandleTaken(..) => "handle_taken",
        SponsorQuota{..} => "sponsor_quota",
        ModelNameTaken(..) => "model_name_taken",
        UnknownModel(..) => "unknown_model",
        NotOfModel{..} => "not_of_model",
        NotSteward{..} => "not_steward",
        VersionExists{..} => "version_exists",
        UnknownVersion{..} => "unknown_version",
        WrongVersionStatus{..} => "wrong_version_status",
        ArtifactIsVersion{..} => "artifact_is_version",
        NotEnoughShares{..} => "not_enough_shares",
        TooManyUnits(..) => "too_many_units",
        EmptyTransfer() => "empty_transfer",
        UnknownContribution(..) => "unknown_contribution",
        AlreadyAccepted(..) => "already_accepted",
        OwnContribution(..) => "own_contribution",
        UnknownProposal(..) => "unknown_proposal",
        NotOpen{..} => "not_open",
        VotingClosed{..} => "voting_closed",
        NoWeight{..} => "no_weight",
        EmptyElectorate(..) => "empty_electorate",
        TooManyOpenProposals{..} => "too_many_open_proposals",
        NotProposer(..) => "not_proposer",
        BallotsCast(..) => "ballots_cast",
        NotMember(..) => "not_member",
        MixedClasses(..) => "mixed_classes",
        WrongScope(..) => "wrong_scope",
        ValidatorExists(..) => "validator_exists",
        UnknownValidator(..) => "unknown_validator",
        BadValidatorSet(..) => "bad_validator_set",
        Suspended{..} => "suspended",
        NotSuspended(..) => "not_suspended",
        AlreadyMember(..) => "already_member",
        UpgradeTooSoon{..} => "upgrade_too_soon",
        OldProtocol{..} => "old_protocol",
        Retired{..} => "retired",
        KnownParent{..} => "known_parent",
        TooManyParents{..} => "too_many_parents",
        NotVested{..} => "not_vested",
        TooManyVestingGrants{..} => "too_many_vesting_grants",
        TransferNeedsApproval(..) => "transfer_needs_approval",
        TransfersLocked(..) => "transfers_locked",
        OwnDelegate(..) => "own_delegate",
        DelegationExpired{..} => "delegation_expired",
        TooFewShares{..} => "too_few_shares",
        NotQueued{..} => "not_queued",
        Timelocked{..} => "timelocked",
        NotGuardian{..} => "not_guardian",
        NotAttested{..} => "not_attested",
        HandleLooksLike{..} => "handle_looks_like",
        OwnGuardian(..) => "own_guardian",
        NotKeyGuardian{..} => "not_key_guardian",
        RecoveryPending{..} => "recovery_pending",
        NoRecovery(..) => "no_recovery",
        NoApprovalNeeded(..) => "no_approval_needed",
        TooManyApprovals(..) => "too_many_approvals",
        UnknownApproval(..) => "unknown_approval",
        SignedAlready(..) => "signed_already",
        UnknownRound{..} => "unknown_round",
        RoundOver{..} => "round_over",
        SealExpected{..} => "seal_expected",
        ScoreTooLarge{..} => "score_too_large",
        NotGiver(..) => "not_giver",
        NotSealed(..) => "not_sealed",
        StillRecording{..} => "still_recording",
        SealMismatch(..) => "seal_mismatch",
        StillSealed(..) => "still_sealed",
        GrantTooWide(..) => "grant_too_wide",
        Frozen(..) => "frozen",
        UnknownDispute(..) => "unknown_dispute",
        DisputeOver{..} => "dispute_over",
        TooManyDisputes(..) => "too_many_disputes",
        NotRespondent(..) => "not_respondent",
        NotArbiter{..} => "not_arbiter",
        ForArbiters(..) => "for_arbiters",
        UnknownIncident(..) => "unknown_incident",
        PeerDisagrees{..} => "peer_disagrees",
        StaleConsent{..} => "stale_consent",
        TooManyPeers(..) => "too_many_peers",
        PeerNotBound{..} => "peer_not_bound",
        NotLicensee{..} => "not_licensee",
        ArtifactGoverned{..} => "artifact_governed",
        FailedAttestation{..} => "failed_attestation",
        NothingAttested{..} => "nothing_attested",
    }
}
