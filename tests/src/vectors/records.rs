//! Every record of the state, what stands inside several records, and manifests.

use super::{
    Read, Vector,
    fixed::*,
    genesis, human, record,
    transactions::ballot_parts,
    variants::{
        artifact_kind, change_of_control, choice, class, contribution_kind, dispute_status, dispute_target, due,
        electorate, incident_status, incident_step, licence, licence_end, licence_step, office, proposal_status,
        proposers, recovery_clock, recovery_stage, risk, round_status, scope, share_flow, share_reason, tenure_status,
        transfer_rule, units_of, verdict, version_status,
    },
    vector, vector_read,
};
use allod_protocol::{
    ground::ids::{ArtifactId, Height, Timestamp, Units},
    ledger::execute::Seen,
    rules::{
        access::{ArtifactOrigin, PeerBinding, PeerOf},
        account::{Account, HandleOf, HandleShape, KeyPolicy, Suspension},
        action::Action,
        approval::{Approval, ApprovalOf},
        artifact::{Artifact, ArtifactKind, ArtifactPath, Manifest, ManifestFile},
        attestation::{Attestation, Finding},
        commitment::{Commitment, Commitments},
        contribution::{Contribution, ContributionKind, ContributionOf, Countersignature, Decline},
        control::{AcceptedControl, ChangeOfControl, Control, ControlRuled, Epoch},
        delegation::{DelegatedAt, Delegation, DelegationAt},
        dispute::{
            ChallengedInVain, Challenger, Dispute, DisputeAppeal, DisputeOf, DisputeStatus, DisputeTarget, Frozen,
            Panel, Plea, Ruling,
        },
        dormancy::{DormantAt, DormantTotalAt, Silence},
        due::{Deadline, Due, InLane, Lane, Turn, TurnOf},
        incident::{Incident, IncidentOf, IncidentStatus, IncidentStep, IncidentUpdate, Named},
        intake::{Intake, UnitsOf},
        licence::{
            AgreedLicence, LicenceChange, LicenceEnd, LicenceGrant, LicenceOf, LicenceRequest, LicenceRequestOf,
            LicenceStep, LicenceTerms, Licensee,
        },
        model::{
            ArtifactUse, ChildOf, Licence, Model, ModelCounters, ModelOf, ReleaseVersion, Version, VersionRef,
            VersionStatus,
        },
        network::{MembersAt, Network, RetiredKey, Upgrade},
        office::{Ahead, Office, Tenure, TenureStatus},
        policy::{Class, DisputeTerms, Electorate, Proposers, Risk, Tally, TransferRule, Verdict},
        proposal::{
            Ballot, Choice, ModelAction, Proposal, ProposalGate, ProposalOf, ProposalStatus, Question, Scope,
            WithdrawProposal, ballot::Overridden,
        },
        quota::{Keeps, Kept},
        recovery::{Clock, Guarded, GuardianVote, Recovery, RecoveryPolicy, SetRecovery, Stage, Unsettled},
        rejection::Rejection,
        round::{Part, Remainder, Reserve, Round, RoundDue, RoundGroup, RoundScore, RoundStatus, Withheld},
        sale::Purchase,
        share::{
            Consent, Issuance, Issue, Register, Share, ShareAt, ShareChange, ShareFlow, ShareReason, TakenUp, TotalAt,
            Vesting, VestingGrant, VestingGrants, Weights,
        },
        validator::ValidatorSchedule,
    },
};

fn account() -> Account {
    Account {
        sponsor: Some(OTHER),
        member_since: Some(HEIGHT),
        quota: 2,
        open_proposals: 1,
        open_disputes: 1,
        open_approvals: 1,
        open_calls: 1,
        recovery: Some(RecoveryPolicy { guardians: vec![OTHER], needed: 1, delay_ms: 86_400_000 }),
        suspended: Some(Suspension { since: HEIGHT, reason: "The key was stolen.".into(), proposal: PROPOSAL }),
        unsettled: Some(unsettled()),
        ..Account::new(ACCOUNT, handle("northfield"), key_policy(), HEIGHT)
    }
}

fn model() -> Model {
    Model {
        id: MODEL,
        name: model_name(),
        description: "Recognises digits.".into(),
        founder: ACCOUNT,
        created: HEIGHT,
        stewards: vec![ACCOUNT, OTHER],
        policy: policy(),
        licence: Some(Licence::Spdx("Apache-2.0 OR MIT".into())),
        distribution: distribution(),
        released: Some(label("v1")),
        retired: Some(HEIGHT),
    }
}

fn version() -> Version {
    Version {
        model: MODEL,
        label: label("v2"),
        artifact: Artifact { address: artifact(), kind: ArtifactKind::File, size_bytes: 7, files: 1 },
        parents: vec![VersionRef { model: MODEL, label: label("v1") }],
        training_plan: None,
        datasets: vec![CONTENT],
        notes: "Better at sevens.".into(),
        publisher: OTHER,
        published: HEIGHT,
        status: VersionStatus::Released { proposal: PROPOSAL, height: HEIGHT },
        suspended: None,
    }
}

fn contribution() -> Contribution {
    Contribution {
        id: CONTRIBUTION,
        model: MODEL,
        round: Some(3),
        giver: OTHER,
        kind: ContributionKind::Data,
        amount: 60_000,
        sealed: Some(CONTENT),
        evidence: Some(CONTENT),
        note: "Scans of 2026".into(),
        recorded: HEIGHT,
        countersigned: vec![Countersignature { steward: ACCOUNT, height: HEIGHT.next() }],
        declined: vec![Decline { steward: OTHER, reason: "The log shows half of it.".into(), height: HEIGHT }],
        accepted: Some(HEIGHT.next()),
    }
}

fn proposal() -> Proposal {
    Proposal {
        id: PROPOSAL,
        question: Question::of_model(MODEL, vec![ModelAction::ReleaseVersion(ReleaseVersion { label: label("v2") })]),
        number: 4,
        proposer: ACCOUNT,
        title: "Release v2".into(),
        text: "It is better at sevens.".into(),
        class: Class::Release,
        rule: rule(2_000, 5_000),
        gates: vec![ProposalGate {
            statement: name("bias-audit"),
            role: name("auditor"),
            accounts: vec![ACCOUNT, OTHER],
            attestors: 1,
            outvoted_by: None,
        }],
        guardian: Some(OTHER),
        snapshot: HEIGHT.previous(),
        opened: HEIGHT,
        opened_at: Timestamp::new(1_799_999_940_000),
        closes: TIME,
        latest_close: TIME.plus_ms(30_000),
        turned_at: Timestamp::new(1_799_999_970_000),
        status: ProposalStatus::Open,
        suspended_vote: true,
    }
}

fn recovery() -> Recovery {
    let clock = Clock::Runs { ready: TIME };
    Recovery { account: ACCOUNT, keys: key_policy(), stage: Stage::Contested, clock }
}

/// Other guardians that fewer than all keys asked for, while the account is suspended.
fn unsettled() -> Unsettled {
    let change = Some(SetRecovery { policy: None });
    Unsettled { keys: KeyPolicy::single(key(3).public_key()), change, clock: Clock::Stands { left_ms: 60_000 } }
}

const DUE: Due = Due::Proposal(Scope::Model(MODEL), PROPOSAL);

/// One of each family, by the families' numbers.
#[allow(clippy::too_many_lines, reason = "a list, a value of each kind")]
pub(super) fn state() -> Vec<Vector> {
    let set = genesis().validator_set().expect("a set");
    let upgrade = Some(Upgrade { height: HEIGHT, protocol: 2, release: "0.2.0".into() });
    let network = Network { parameters: parameters(), members: 3, proposals: 1, open_proposals: 1, upgrade };
    let weights = Weights { units: 1_000, holders: 2, roots: 43 };
    let used = VersionRef { model: MODEL, label: label("v2") };
    let units = Units::new(300);
    let change = ShareChange {
        number: 2,
        height: HEIGHT,
        transaction: Some(TRANSACTION),
        account: ACCOUNT,
        flow: ShareFlow::Out,
        units,
        balance: Units::new(700),
        reason: ShareReason::Transferred { counterparty: OTHER, reason: "A gift.".into() },
    };
    let ballot = Ballot { account: ACCOUNT, parts: ballot_parts(), weight: 700, delegated: 200, height: HEIGHT };
    let sums = Register {
        model: MODEL,
        total_units: UNITS,
        holders: 2,
        roots: 43,
        reserved: Units::new(5),
        changes: 3,
        delegations: 1,
        silent: 1,
    };
    let counters = ModelCounters {
        contributions: 4,
        proposals: 5,
        rounds: 1,
        disputes: 1,
        incidents: 1,
        issues: 3,
        stops: 1,
        open_rounds: vec![0],
    };
    let mut records = vec![
        record(&(), &network),
        record(&(), &ValidatorSchedule { current: set.clone(), next: set }),
        record(&ACCOUNT, &account()),
        record(&handle("northfield"), &HandleOf(ACCOUNT)),
        record(&(TIME, TRANSACTION), &Seen),
        record(&MODEL, &model()),
        record(&(handle("northfield"), name("digits")), &ModelOf(MODEL)),
        record(&(MODEL, label("v2")), &version()),
        record(&(artifact(), MODEL), &ArtifactUse(used)),
        record(&(MODEL, ACCOUNT), &Share { model: MODEL, account: ACCOUNT, units, since: HEIGHT }),
        record(&(MODEL, ACCOUNT, HEIGHT), &ShareAt(units)),
        record(&(MODEL, HEIGHT), &TotalAt(weights)),
        record(&(MODEL, 2), &change),
        record(&CONTRIBUTION, &contribution()),
        record(&(MODEL, 4), &ContributionOf(CONTRIBUTION)),
        record(&PROPOSAL, &proposal()),
        record(&(Scope::Model(MODEL), 4), &ProposalOf(PROPOSAL)),
        Vector { name: "state.proposal_of.network".into(), ..record(&(Scope::Network, 0), &ProposalOf(PROPOSAL)) },
        record(&(TIME, Due::Proposal(Scope::Network, PROPOSAL)), &Deadline(Due::Proposal(Scope::Network, PROPOSAL))),
        record(&(PROPOSAL, ACCOUNT), &ballot),
        record(&MODEL, &sums),
        record(&MODEL, &counters),
        record(
            &PROPOSAL,
            &Tally {
                yes: 700,
                no: 100,
                abstain: 1,
                veto: 2,
                delegated: 200,
                ballots: 3,
                opposed: 1,
                ..Tally::opening(1_200, 200)
            },
        ),
        record(&HEIGHT, &MembersAt(3)),
        record(&(MODEL, ACCOUNT, HEIGHT), &DelegationAt(Some(OTHER))),
        record(&(MODEL, OTHER, HEIGHT), &DelegatedAt(weights)),
        record(&(PROPOSAL, OTHER), &Overridden(300)),
    ];
    records.extend(further_state());
    records.extend(super::safety::state());
    records
}

fn dispute() -> Dispute {
    Dispute {
        id: DISPUTE,
        model: MODEL,
        number: 0,
        target: DisputeTarget::Version { model: MODEL, label: label("v1") },
        units: Units::ZERO,
        challenger: ACCOUNT,
        respondent: OTHER,
        claim: Plea { text: "It was trained on our data.".into(), evidence: Some(CONTENT), height: HEIGHT },
        answer: Some(Plea { text: "It was not.".into(), evidence: None, height: HEIGHT.next() }),
        answer_until: TIME,
        panel: Some(Panel { bench: vec![THIRD, ACCOUNT], seats: 1, needed: 1, takes_units: true }),
        rulings: vec![Ruling { arbiter: THIRD, upholds: true, reasons: "The logs show it.".into(), height: HEIGHT }],
        lapses: TIME.plus_ms(1),
        terms: DisputeTerms::default(),
        bond: Units::new(1),
        appeal: Some(DisputeAppeal { party: OTHER, text: "They do not.".into(), height: HEIGHT }),
        resolutions: 1,
        status: DisputeStatus::Open,
    }
}

fn incident() -> Incident {
    Incident {
        id: INCIDENT,
        model: MODEL,
        number: 0,
        label: label("v1"),
        reporter: ACCOUNT,
        text: "It takes ones for sevens.".into(),
        evidence: Some(CONTENT),
        reported: HEIGHT,
        responsible: Some(OTHER),
        status: IncidentStatus::Investigating,
        updates: 1,
        named: vec![Named { account: OTHER, until: TIME, statements: 2 }],
        statements: 1,
    }
}

fn round() -> Round {
    Round {
        model: MODEL,
        number: 3,
        plan: plan(),
        proposal: PROPOSAL,
        opened: HEIGHT,
        records_until: TIME,
        closes: TIME.plus_ms(30_000),
        contributors: 2,
        score: 180_000,
        status: RoundStatus::Open,
        countersigners: 2,
        seals: 1,
        score_under_seal: 60_000,
        minted: UNITS,
        reserve: Reserve { disputes: 2, appealed: 4_000, contributors: 1, score: 180_000, part: Part::Undisputed },
        groups: 2,
    }
}

/// One of each family that came later.
#[allow(clippy::too_many_lines, reason = "a list, a value of each kind")]
fn further_state() -> Vec<Vector> {
    let delegation = Delegation { model: MODEL, from: ACCOUNT, to: OTHER, expires: Some(TIME), since: HEIGHT };
    let attestation = Attestation {
        artifact: artifact(),
        statement: name("bias-audit"),
        account: ACCOUNT,
        finding: Finding::Passed,
        evidence: Some(CONTENT),
        note: "No group is worse off.".into(),
        height: HEIGHT,
    };
    let vesting = Vesting { cliff_ms: 1_000, duration_ms: 4_000 };
    let child = VersionRef { model: MODEL, label: label("v2") };
    let epoch = Epoch { keys: key_policy(), since: HEIGHT };
    let update = IncidentUpdate {
        account: ACCOUNT,
        step: IncidentStep::Carried { responsible: Some(OTHER), status: IncidentStatus::Investigating },
        text: "A scanner was miscalibrated.".into(),
        evidence: Some(CONTENT),
        height: HEIGHT,
    };
    let approval = Approval {
        id: APPROVAL,
        account: ACCOUNT,
        action: Box::new(Action::WithdrawProposal(WithdrawProposal {
            proposal: PROPOSAL,
            reason: "asked too early".into(),
        })),
        keys: vec![key(2).public_key()],
        against: vec![key(3).public_key()],
        every_key: false,
        opened: HEIGHT,
        expires: TIME,
    };
    let tenure =
        Tenure { account: ACCOUNT, office: Office::Steward(MODEL), status: TenureStatus::Accepted, since: HEIGHT };
    let intake = Intake { account: ACCOUNT, of: UnitsOf::Model(MODEL), takes: false };
    let ahead = Ahead { account: OTHER, office: Office::Arbiter(MODEL), since: HEIGHT };
    let peer = key(0xb1).public_key();
    let scope = Scope::Model(MODEL);
    let (called_at, sleeps_at) = (TIME, TIME.plus_ms(7_776_000_000));
    let silence = Silence { scope, account: OTHER, by: ACCOUNT, called_at, sleeps_at, is_dormant: false };
    let issuance = Issuance {
        decision: PROPOSAL,
        decision_base: UNITS,
        decision_units: Units::new(50),
        year_began: TIME,
        year_base: Units::new(900),
        year_units: Units::new(150),
    };
    let issue = Issue {
        model: MODEL,
        number: 2,
        proposal: PROPOSAL,
        to: OTHER,
        units: Units::new(200),
        taken: Units::new(40),
        vesting: None,
        reason: "Scans of 2026".into(),
        as_of: HEIGHT.previous(),
        until: TIME.plus_ms(60_000),
    };
    let terms = Some(Licence::Spdx("MIT".into()));
    let grant = LicenceGrant { proposal: PROPOSAL, since: HEIGHT, terms: terms.clone(), expires: Some(TIME) };
    let licensee = Licensee {
        model: MODEL,
        account: OTHER,
        licence: Some(AgreedLicence { grant: grant.clone(), ended: Some(LicenceEnd::GivenUp) }),
        offer: Some(LicenceGrant { terms: None, expires: None, ..grant }),
        changes: 2,
    };
    let granted =
        LicenceStep::Granted { proposal: PROPOSAL, terms: terms.clone(), expires: Some(TIME), accepted: false };
    let request = LicenceRequest {
        account: OTHER,
        model: MODEL,
        terms: LicenceTerms { terms, for_ms: Some(60_000) },
        text: "For the clinic in Bay.".into(),
        asked: HEIGHT,
        expires: TIME,
    };
    vec![
        record(&(MODEL, ACCOUNT), &delegation),
        record(&(artifact(), name("bias-audit"), ACCOUNT), &attestation),
        record(&(MODEL, ACCOUNT), &VestingGrants(vec![VestingGrant { units: UNITS, start: TIME, vesting }])),
        record(&((MODEL, label("v1")), (MODEL, label("v2"))), &ChildOf(child)),
        record(&(MODEL, 3), &round()),
        record(
            &(MODEL, 3, OTHER),
            &RoundScore {
                score: 180_000,
                seals: 1,
                units: UNITS,
                group: Some(ACCOUNT),
                disputed: 60_000,
                come: 4_000,
                gone: 20_000,
            },
        ),
        record(&((MODEL, 3), Remainder(7), OTHER), &RoundDue { account: OTHER, units: 500 }),
        record(&DISPUTE, &dispute()),
        record(&(MODEL, 0), &DisputeOf(DISPUTE)),
        record(
            &DisputeTarget::Version { model: MODEL, label: label("v1") },
            &Frozen { disputes: vec![DISPUTE], units: Units::ZERO, settled: None },
        ),
        record(
            &(MODEL, ACCOUNT),
            &Challenger { losses: 1, barred_until: TIME, bonded: Units::new(2), forfeit: Units::new(3) },
        ),
        record(&(DisputeTarget::Contribution(CONTRIBUTION), ACCOUNT), &ChallengedInVain(2)),
        record(&INCIDENT, &incident()),
        record(&(MODEL, 0), &IncidentOf(INCIDENT)),
        record(&(INCIDENT, 0), &update),
        record(&(ACCOUNT, OTHER), &GuardianVote(key_policy())),
        record(&ACCOUNT, &recovery()),
        record(&APPROVAL, &approval),
        record(&(ACCOUNT, APPROVAL), &ApprovalOf { approval: APPROVAL, by: key(2).public_key() }),
        record(&handle("northfie1d").shape(), &HandleShape(handle("northfie1d"))),
        record(&(MODEL, OTHER), &licensee),
        record(&(MODEL, OTHER, 0), &LicenceChange { number: 0, height: HEIGHT, step: granted }),
        record(&(OTHER, MODEL), &LicenceOf(MODEL)),
        record(&(OTHER, MODEL), &request),
        record(&(MODEL, OTHER), &LicenceRequestOf(OTHER)),
        record(&peer, &PeerBinding { peer, account: Some(ACCOUNT), issued: TIME, since: HEIGHT }),
        record(&(ACCOUNT, peer), &PeerOf(peer)),
        record(&artifact(), &ArtifactOrigin { model: MODEL, published: HEIGHT, since: HEIGHT }),
        record(&(Scope::Model(MODEL), OTHER), &silence),
        record(&(Scope::Model(MODEL), OTHER, HEIGHT), &DormantAt(true)),
        record(&(Scope::Network, HEIGHT), &DormantTotalAt(Weights::MEMBER)),
        record(&(ACCOUNT, Office::Steward(MODEL)), &tenure),
        record(
            &ACCOUNT,
            &Control {
                account: ACCOUNT,
                epoch: epoch.clone(),
                anchor: key_policy(),
                unsettled: Some((epoch, key_policy())),
            },
        ),
        record(
            &(MODEL, OTHER),
            &AcceptedControl { model: MODEL, account: OTHER, keys: key_policy(), proposal: PROPOSAL },
        ),
        record(&MODEL, &ControlRuled(HEIGHT)),
        record(&(OTHER, Office::Arbiter(MODEL)), &ahead),
        record(&key(0xa1).public_key(), &RetiredKey { key: key(0xa1).public_key(), height: HEIGHT }),
        record(&(ACCOUNT, UnitsOf::Model(MODEL)), &intake),
        record(&(PROPOSAL, OTHER), &Purchase { proposal: PROPOSAL, buyer: OTHER, since: HEIGHT }),
        record(&MODEL, &issuance),
        record(&(MODEL, 2), &issue),
        record(&(MODEL, 2, OTHER), &TakenUp(Units::new(40))),
        record(&(PROPOSAL, OTHER), &Consent { proposal: PROPOSAL, account: OTHER, since: HEIGHT }),
        record(&(OTHER, ACCOUNT), &Guarded(ACCOUNT)),
        record(
            &(MODEL, ACCOUNT),
            &Commitments { made: vec![Commitment { hash: CONTENT, height: HEIGHT, until: TIME }] },
        ),
        record(&(MODEL, OTHER), &Withheld { round: 3, until: 5 }),
        record(&(MODEL, 3, ACCOUNT), &RoundGroup { score: 180_000, units: UNITS, left: 1, again: true, gives: true }),
        record(&(DUE.lane(), TIME, DUE), &InLane { time: TIME, due: DUE }),
        record(&(TIME, DUE.lane()), &Turn(DUE.lane())),
        record(&DUE.lane(), &TurnOf(TIME)),
        record(&(ACCOUNT, Keeps::Attestations), &Kept(3)),
    ]
}

/// Enums that stand inside records, one vector a variant.
#[allow(clippy::too_many_lines, reason = "a list, a value of each kind")]
pub(super) fn parts() -> Vec<Vector> {
    let height = HEIGHT;
    let reason = Rejection::UnknownVersion { model: MODEL, label: label("v2") };
    let statuses = [
        ProposalStatus::Open,
        ProposalStatus::Executed { height },
        ProposalStatus::ExecutionFailed { height, reason },
        ProposalStatus::Rejected { height, verdict: Verdict::NoQuorum },
        ProposalStatus::Withdrawn { height, reason: "Asked too early.".into() },
        ProposalStatus::Queued { height, ready: TIME, expires: TIME.plus_ms(60_000) },
        ProposalStatus::Cancelled { height, reason: "The data was withdrawn.".into() },
        ProposalStatus::Expired { height, reason: Rejection::Frozen(DISPUTE) },
    ];
    let reasons = [
        ShareReason::Founding,
        ShareReason::Minted { proposal: PROPOSAL, reason: "Scans of 2026".into() },
        ShareReason::Transferred { counterparty: OTHER, reason: "A gift.".into() },
        ShareReason::TransferApproved {
            counterparty: OTHER,
            proposal: PROPOSAL,
            price: "EUR 5,000".into(),
            reason: "Sold.".into(),
        },
        ShareReason::Burned { reason: "A gift to all.".into() },
        ShareReason::BurnedByDecision { proposal: PROPOSAL, cause: "They left.".into() },
        ShareReason::TakenUp { proposal: PROPOSAL },
        ShareReason::Round { round: 3 },
        ShareReason::BurnedByDispute { dispute: DISPUTE },
        ShareReason::Lineage { parent: MODEL },
    ];
    let kinds = [
        ContributionKind::Data,
        ContributionKind::Compute,
        ContributionKind::Code,
        ContributionKind::Evaluation,
        ContributionKind::Funding,
    ];
    let why = || "It leaks.".to_owned();
    let versions = [
        VersionStatus::Published,
        VersionStatus::Released { proposal: PROPOSAL, height },
        VersionStatus::Deprecated { proposal: PROPOSAL, height, reason: why() },
        VersionStatus::Withdrawn { proposal: Some(PROPOSAL), height, reason: why() },
    ];
    let mut vectors = Vec::new();
    let mut add = |kind: &str, variant: &str, vector: Vector| {
        vectors.push(Vector { name: format!("{kind}.{variant}"), ..vector });
    };
    statuses.iter().for_each(|one| add("proposal_status", proposal_status(one), vector("", one)));
    reasons.iter().for_each(|one| add("share_reason", share_reason(one), vector("", one)));
    kinds.iter().for_each(|one| add("contribution_kind", contribution_kind(one), vector("", one)));
    versions.iter().for_each(|one| add("version_status", version_status(one), vector("", one)));
    let flows = [ShareFlow::In, ShareFlow::Out];
    flows.iter().for_each(|one| add("share_flow", share_flow(one), vector("", one)));
    let scopes = [Scope::Model(MODEL), Scope::Network];
    scopes.iter().for_each(|one| add("scope", scope(one), vector("", one)));
    let choices = [Choice::Yes, Choice::No, Choice::Abstain, Choice::Veto];
    choices.iter().for_each(|one| add("choice", choice(one), vector("", one)));
    let classes = Class::OF_MODELS.iter().chain(&Class::OF_NETWORK).chain(&[Class::Expropriation]);
    classes.for_each(|one| add("class", class(one), vector("", one)));
    let verdicts = [
        Verdict::Passed,
        Verdict::NoQuorum,
        Verdict::NotEnoughYes,
        Verdict::Vetoed,
        Verdict::Objected,
        Verdict::NoYesQuorum,
        Verdict::Blocked,
    ];
    verdicts.iter().for_each(|one| add("verdict", verdict(one), vector("", one)));
    let artifacts = [ArtifactKind::File, ArtifactKind::Collection];
    artifacts.iter().for_each(|one| add("artifact_kind", artifact_kind(one), vector("", one)));
    vectors.extend(parts_of_policies());
    vectors.extend(parts_of_agendas());
    vectors
}

fn parts_of_policies() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut add = |kind: &str, variant: &str, vector: Vector| {
        vectors.push(Vector { name: format!("{kind}.{variant}"), ..vector });
    };
    let electorates = [Electorate::Shares, Electorate::Members, Electorate::SquareRoot];
    electorates.iter().for_each(|one| add("electorate", electorate(one), vector("", one)));
    let asking = [Proposers::Owners, Proposers::Stewards, Proposers::Holders(fraction(100))];
    asking.iter().for_each(|one| add("proposers", proposers(one), vector("", one)));
    let transfers = [TransferRule::Free, TransferRule::Approval, TransferRule::Locked];
    transfers.iter().for_each(|one| add("transfer_rule", transfer_rule(one), vector("", one)));
    let risks = [
        Risk::MinorityDecides,
        Risk::SplitVoices,
        Risk::SilenceDecides,
        Risk::HastyDormancy,
        Risk::Expropriation,
        Risk::ArbitersTakeUnits,
    ];
    risks.iter().for_each(|one| add("risk", risk(one), vector("", one)));
    let licences = [Licence::Spdx("Apache-2.0 OR MIT".into()), Licence::Terms(CONTENT)];
    licences.iter().for_each(|one| add("licence", licence(one), vector("", one)));
    vectors
}

fn parts_of_agendas() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut add = |kind: &str, variant: &str, vector: Vector| {
        vectors.push(Vector { name: format!("{kind}.{variant}"), ..vector });
    };
    let (height, model) = (HEIGHT, MODEL);
    let rounds = [
        RoundStatus::Open,
        RoundStatus::Gathering { after: None },
        RoundStatus::Dividing { after: Some(ACCOUNT), due: 700 },
        RoundStatus::Capping { left: 1 },
        RoundStatus::Quotas { after: Some(ACCOUNT), due: 700 },
        RoundStatus::Minting { left: 1 },
        RoundStatus::Waiting { height },
        RoundStatus::Closed { height, minted: UNITS },
        RoundStatus::Failed { height },
    ];
    rounds.iter().for_each(|one| add("round_status", round_status(one), vector("", one)));
    let targets = [
        DisputeTarget::Line { model, account: OTHER },
        DisputeTarget::Version { model, label: label("v1") },
        DisputeTarget::Contribution(CONTRIBUTION),
        DisputeTarget::Appeal(CONTRIBUTION),
    ];
    targets.iter().for_each(|one| add("dispute_target", dispute_target(one), vector("", one)));
    let disputes = [
        DisputeStatus::Open,
        DisputeStatus::Upheld { height, proposal: Some(PROPOSAL) },
        DisputeStatus::Lifted { height, proposal: None },
        DisputeStatus::Lapsed { height },
        DisputeStatus::Ruled { upholds: true, height, stands: TIME },
        DisputeStatus::Appealed { upholds: false, until: TIME },
        DisputeStatus::Withdrawn { height },
        DisputeStatus::Moot { height, upheld: DISPUTE },
        DisputeStatus::Outbid { height, by: DISPUTE },
    ];
    disputes.iter().for_each(|one| add("dispute_status", dispute_status(one), vector("", one)));
    let incidents =
        [IncidentStatus::Reported, IncidentStatus::Investigating, IncidentStatus::Resolved, IncidentStatus::Dismissed];
    let controls = [ChangeOfControl::Free, ChangeOfControl::Approval];
    controls.iter().for_each(|one| add("change_of_control", change_of_control(one), vector("", one)));
    incidents.iter().for_each(|one| add("incident_status", incident_status(one), vector("", one)));
    let steps =
        [IncidentStep::Carried { responsible: Some(OTHER), status: IncidentStatus::Resolved }, IncidentStep::Said];
    steps.iter().for_each(|one| add("incident_step", incident_step(one), vector("", one)));
    [Stage::Sought, Stage::Contested, Stage::Confirmed]
        .iter()
        .for_each(|one| add("recovery_stage", recovery_stage(one), vector("", one)));
    [Clock::Runs { ready: TIME }, Clock::Stands { left_ms: 60_000 }]
        .iter()
        .for_each(|one| add("recovery_clock", recovery_clock(one), vector("", one)));
    vectors.extend(parts_of_dues());
    vectors.extend(parts_of_offices());
    vectors.extend(parts_of_licences());
    vectors.extend(super::safety::variants());
    vectors
}

fn parts_of_dues() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut add = |kind: &str, variant: &str, vector: Vector| {
        vectors.push(Vector { name: format!("{kind}.{variant}"), ..vector });
    };
    let model = MODEL;
    let agenda = [
        Due::Proposal(Scope::Network, PROPOSAL),
        Due::Delegation { model, from: ACCOUNT },
        Due::Round { model, number: 3 },
        Due::Dispute(MODEL, DISPUTE),
        Due::Recovery(ACCOUNT),
        Due::Approval(ACCOUNT, APPROVAL),
        Due::Silence { scope: Scope::Model(MODEL), account: OTHER },
        Due::Issue { model: MODEL, number: 2 },
        Due::Stop { model, number: 2 },
        Due::Settling(ACCOUNT),
        Due::Ballots(PROPOSAL),
        Due::Binding(key(1).public_key()),
        Due::LicenceRequest { account: ACCOUNT, model },
    ];
    let lanes = [Lane::Network, Lane::Model(model), Lane::Ends(model), Lane::Account(ACCOUNT), Lane::Tidying];
    let kept = [Keeps::Attestations, Keeps::Incidents(model)];
    kept.iter().for_each(|one| add("keeps", super::variants::keeps(one), record(&(ACCOUNT, *one), &Kept(3))));
    lanes.iter().for_each(|one| add("lane", super::variants::lane(one), record(one, &TurnOf(TIME))));
    // As it stands on the agenda, so that its key is seen too.
    agenda.iter().for_each(|one| add("due", due(one), record(&(TIME, *one), &Deadline(*one))));
    vectors
}

fn parts_of_licences() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut add = |kind: &str, variant: &str, vector: Vector| {
        vectors.push(Vector { name: format!("{kind}.{variant}"), ..vector });
    };
    let licences = [
        LicenceStep::Granted { proposal: PROPOSAL, terms: None, expires: None, accepted: true },
        LicenceStep::Accepted,
        LicenceStep::Declined,
        LicenceStep::GivenUp,
        LicenceStep::Revoked { proposal: PROPOSAL, reason: "It sold copies.".into() },
    ];
    licences.iter().for_each(|one| add("licence_step", licence_step(one), vector("", one)));
    let ends = [LicenceEnd::GivenUp, LicenceEnd::Revoked];
    ends.iter().for_each(|one| add("licence_end", licence_end(one), vector("", one)));
    vectors
}

fn parts_of_offices() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut add = |kind: &str, variant: &str, vector: Vector| {
        vectors.push(Vector { name: format!("{kind}.{variant}"), ..vector });
    };
    let model = MODEL;
    let offices = [
        Office::Steward(MODEL),
        Office::Arbiter(MODEL),
        Office::Guardian(MODEL),
        Office::Attester { model, role: name("auditor") },
        Office::KeyGuardian(OTHER),
        Office::Responsible(INCIDENT),
        Office::Operator(key(0xa5).public_key()),
    ];
    // As they stand in keys, so that those are seen too.
    let of = |one: &Office| Ahead { account: ACCOUNT, office: one.clone(), since: HEIGHT };
    offices.iter().for_each(|one| add("office", office(one), record(&(ACCOUNT, one.clone()), &of(one))));
    [UnitsOf::Any, UnitsOf::Model(model)].iter().for_each(|one| {
        let intake = Intake { account: ACCOUNT, of: *one, takes: true };
        add("units_of", units_of(one), record(&(ACCOUNT, *one), &intake));
    });
    let statuses = [TenureStatus::Offered, TenureStatus::Accepted, TenureStatus::Resigned, TenureStatus::Dismissed];
    statuses.iter().for_each(|one| add("tenure_status", tenure_status(one), vector("", one)));
    vectors
}

fn read_manifest(bytes: &[u8]) -> Result<Read, String> {
    let manifest = Manifest::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Read { json: human(&manifest), bytes: manifest.encode() })
}

/// A file's address and a collection's.
pub(super) fn artifacts() -> Vec<Vector> {
    // SHA-256 of the bytes `weights` and of nothing, as `sha256sum` gives them.
    let file = |path: &str, bytes: &[u8], sha256: &str| ManifestFile {
        path: ArtifactPath::new(path).expect("a path"),
        size_bytes: u64::try_from(bytes.len()).expect("a size"),
        address: ArtifactId::of(bytes),
        sha256: sha256.parse().expect("a hash"),
    };
    let manifest = Manifest::try_from(vec![
        file(".gitattributes", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        file("model/weights.bin", b"weights", WEIGHTS_SHA256),
    ])
    .expect("a manifest");
    let address = ArtifactId::of(b"weights");
    vec![
        vector("artifact_id", &address).with("cid", address).with("multihash_hex", super::hex(&address.multihash())),
        vector_read("manifest", &manifest, read_manifest).with("address", manifest.address()),
        vector("height.largest", &Height::new(u64::MAX)),
    ]
}

const WEIGHTS_SHA256: &str = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c";
