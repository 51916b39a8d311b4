//! The variants of every enum that is stored or sent. Each list is also an exhaustive match, so a new variant does not
//! compile until it is named here, and once it is named, a vector of that name has to be there.

use allod_protocol::{
    artifact::ArtifactKind,
    block::VoteKind,
    contribution::ContributionKind,
    event::Event,
    execute::Outcome,
    model::VersionStatus,
    policy::{Class, Verdict},
    proposal::{Choice, ProposalAction, ProposalStatus, Scope},
    rejection::Rejection,
    replica::{DoubleSign, LogRecord, LoggedBlock, Message, RoundCertificateKind, TimerKind},
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
    }
    "proposal_action", PROPOSAL_ACTIONS, proposal_action: ProposalAction {
        ReleaseVersion{..} => "release_version",
        MintShares{..} => "mint_shares",
        SetPolicy{..} => "set_policy",
        AdmitValidator{..} => "admit_validator",
        RemoveValidator{..} => "remove_validator",
    }
    "proposal_status", PROPOSAL_STATUSES, proposal_status: ProposalStatus {
        Open() => "open",
        Executed{..} => "executed",
        ExecutionFailed{..} => "execution_failed",
        Rejected{..} => "rejected",
        Withdrawn{..} => "withdrawn",
    }
    "scope", SCOPES, scope: Scope { Model(..) => "model", Network() => "network", }
    "choice", CHOICES, choice: Choice { Yes() => "yes", No() => "no", Abstain() => "abstain", }
    "class", CLASSES, class: Class {
        Release() => "release",
        Ownership() => "ownership",
        Rules() => "rules",
        Validators() => "validators",
    }
    "verdict", VERDICTS, verdict: Verdict {
        Passed() => "passed",
        NoQuorum() => "no_quorum",
        NotEnoughYes() => "not_enough_yes",
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
    }
    "share_flow", SHARE_FLOWS, share_flow: ShareFlow { In() => "in", Out() => "out", }
    "version_status", VERSION_STATUSES, version_status: VersionStatus {
        Published() => "published",
        Released{..} => "released",
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
        AlreadyReleased{..} => "already_released",
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
    }
}
