//! What became of transactions: rejections, events, results.

use super::{
    Vector,
    fixed::*,
    transactions::ballot_parts,
    variants::{event, outcome, rejection},
    vector,
};
use allod_protocol::{
    ground::{
        ids::{Power, PublicKey, Units},
        weight::Weight,
    },
    ledger::execute::{Outcome, TransactionResult},
    rules::{
        attestation::Finding,
        contribution::ContributionKind,
        dispute::DisputeStatus,
        event::Event,
        incident::IncidentStatus,
        intake::UnitsOf,
        model::Licence,
        office::Office,
        proposal::{ProposalStatus, Scope},
        quota::Keeps,
        recovery::Clock,
        rejection::Rejection,
        share::{ShareFlow, ShareReason},
    },
};

fn public_key() -> PublicKey {
    key(1).public_key()
}

fn admission() -> Vec<Rejection> {
    let (account, key) = (ACCOUNT, public_key());
    vec![
        Rejection::Expired { expires: TIME, time: TIME.plus_ms(1) },
        Rejection::ExpiryTooFar { expires: TIME, time: TIME },
        Rejection::Replayed,
        Rejection::UnknownAccount(account),
        Rejection::NotAuthorised { account, weight: 1, threshold: 2 },
        Rejection::ForeignKey { account, key },
        Rejection::RateLimited { account, max: 256 },
        Rejection::HandleTaken(handle("northfield")),
        Rejection::SponsorQuota { account, quota: 2, needed: 3 },
    ]
}

fn of_models() -> Vec<Rejection> {
    let (account, model, label) = (ACCOUNT, MODEL, label("v2"));
    vec![
        Rejection::ModelNameTaken(model_name()),
        Rejection::UnknownModel(model),
        Rejection::NotOfModel { account, model },
        Rejection::NotSteward { account, model },
        Rejection::VersionExists { model, label: label.clone() },
        Rejection::UnknownVersion { model, label: label.clone() },
        Rejection::WrongVersionStatus { model, label: label.clone(), status: "released".into() },
        Rejection::ArtifactIsVersion { artifact: artifact(), label },
        Rejection::NotEnoughShares { account, model, held: Units::new(1), asked: UNITS },
        Rejection::TooManyUnits(model),
        Rejection::EmptyTransfer,
        Rejection::UnknownContribution(CONTRIBUTION),
        Rejection::AlreadyAccepted(CONTRIBUTION),
        Rejection::OwnContribution(account),
    ]
}

fn of_proposals() -> Vec<Rejection> {
    let (account, proposal) = (ACCOUNT, PROPOSAL);
    vec![
        Rejection::UnknownProposal(proposal),
        Rejection::NotOpen { proposal, status: "withdrawn".into() },
        Rejection::VotingClosed { proposal, closes: TIME, time: TIME },
        Rejection::NoWeight { account, snapshot: HEIGHT },
        Rejection::EmptyElectorate(HEIGHT),
        Rejection::TooManyOpenProposals { account, max: 16 },
        Rejection::NotProposer(account),
        Rejection::TooLateToPass { proposal, last_close: TIME },
        Rejection::NotMember(account),
        Rejection::MixedClasses("release".into(), "ownership".into()),
        Rejection::ValidatorExists(public_key()),
        Rejection::RetiredValidatorKey { key: public_key(), height: HEIGHT },
        Rejection::UnknownValidator(public_key().validator_address()),
        Rejection::BadValidatorSet("a validator set has at least one validator".into()),
    ]
}

fn events() -> Vec<Event> {
    let (account, model, proposal) = (ACCOUNT, MODEL, PROPOSAL);
    let (label, artifact, key) = (label("v2"), artifact(), public_key());
    let (units, scope) = (UNITS, Scope::Model(MODEL));
    vec![
        Event::AccountCreated { account, handle: handle("northfield"), sponsor: Some(OTHER) },
        Event::KeysRotated { account },
        Event::ModelCreated { model, name: model_name(), founder: account },
        Event::VersionPublished { model, label: label.clone(), artifact, publisher: account },
        Event::ArtifactCommitted { model, account, commitment: CONTENT },
        Event::ArtifactTakenOver { artifact, model, from: model },
        Event::VersionReleased { model, label, artifact, proposal },
        Event::SharesChanged {
            model,
            account,
            flow: ShareFlow::In,
            units,
            balance: units,
            reason: ShareReason::Founding,
        },
        Event::ContributionRecorded { model, contribution: CONTRIBUTION, giver: account },
        Event::ContributionAccepted { model, contribution: CONTRIBUTION, steward: OTHER, lacking: 1 },
        Event::ContributionDeclined {
            model,
            contribution: CONTRIBUTION,
            steward: OTHER,
            reason: "The log shows half of it.".into(),
        },
        Event::ProposalOpened { proposal, scope, proposer: account, closes: TIME },
        Event::BallotCast { proposal, account, parts: ballot_parts(), weight: 300 },
        Event::ProposalClosed { proposal, scope: Scope::Network, status: ProposalStatus::Executed { height: HEIGHT } },
        Event::PolicyChanged { model, proposal },
        Event::ValidatorAdmitted { key, power: Power::new(25), operator: account },
        Event::ValidatorRemoved { key },
    ]
}

fn of_networks() -> Vec<Rejection> {
    let (account, height) = (ACCOUNT, HEIGHT);
    vec![
        Rejection::Suspended { account, height },
        Rejection::NotSuspended(account),
        Rejection::AlreadyMember(account),
        Rejection::UpgradeTooSoon { height, earliest: height.next() },
        Rejection::OldProtocol { protocol: 1, current: 1 },
    ]
}

fn of_decisions() -> Vec<Rejection> {
    let (account, model, proposal, height) = (ACCOUNT, MODEL, PROPOSAL, HEIGHT);
    let label = label("v1");
    vec![
        Rejection::Retired { model, height },
        Rejection::KnownParent { model, label: label.clone() },
        Rejection::TooManyParents { model, label },
        Rejection::NotVested { account, model, free: Units::new(1), asked: UNITS },
        Rejection::TooManyVestingGrants { account, model },
        Rejection::TransferNeedsApproval(model),
        Rejection::TransfersLocked(model),
        Rejection::OwnDelegate(account),
        Rejection::DelegationExpired { expires: TIME, time: TIME },
        Rejection::TooFewShares { account, model, held: Units::new(1), least: fraction(100) },
        Rejection::NotQueued { proposal, status: "open".into() },
        Rejection::Timelocked { proposal, ready: TIME.plus_ms(1), time: TIME },
        Rejection::NotGuardian { account, proposal },
        Rejection::NotAttested { artifact: artifact(), statement: name("bias-audit"), have: 1, needed: 2 },
    ]
}

fn of_accounts() -> Vec<Rejection> {
    let account = ACCOUNT;
    vec![
        Rejection::HandleLooksLike { handle: handle("northfie1d"), existing: handle("northfield") },
        Rejection::OwnGuardian(account),
        Rejection::NotKeyGuardian { account, of: OTHER },
        Rejection::RecoveryPending(account),
        Rejection::NoRecovery(account),
        Rejection::NoApprovalNeeded(account),
        Rejection::TooManyApprovals(account),
        Rejection::UnknownApproval(APPROVAL),
        Rejection::SignedAlready(APPROVAL),
    ]
}

fn of_rounds_and_disputes() -> Vec<Rejection> {
    let (account, model, round, contribution, dispute) = (ACCOUNT, MODEL, 3, CONTRIBUTION, DISPUTE);
    vec![
        Rejection::UnknownRound { model, round },
        Rejection::RoundOver { model, round, until: TIME, time: TIME },
        Rejection::SealExpected { model, round, sealed: true },
        Rejection::ScoreTooLarge { model, round },
        Rejection::NotGiver(account),
        Rejection::NotSealed(contribution),
        Rejection::StillRecording { contribution, until: TIME.plus_ms(1), time: TIME },
        Rejection::SealMismatch(contribution),
        Rejection::StillSealed(contribution),
        Rejection::GrantTooWide(model),
        Rejection::Frozen(dispute),
        Rejection::UnknownDispute(dispute),
        Rejection::DisputeOver { dispute, status: "lifted".into() },
        Rejection::TooManyDisputes(account),
        Rejection::NotRespondent(account),
        Rejection::NotArbiter { account, dispute },
        Rejection::ForArbiters(dispute),
        Rejection::UnknownIncident(INCIDENT),
        Rejection::KindNotWeighed {
            model,
            round,
            kind: ContributionKind::Code,
            weighed: vec![ContributionKind::Data, ContributionKind::Compute],
        },
        Rejection::BarredFromRound { account, model, withheld: round, until: 5 },
        Rejection::TooManyRounds(model),
        Rejection::TooFewStewards { stewards: 1, countersigners: 2 },
        Rejection::AlreadyCountersigned { contribution, steward: account },
        Rejection::NotDeclined(contribution),
        Rejection::AppealedAlready(dispute),
        Rejection::SponsorChain(account),
    ]
}

fn of_challenges() -> Vec<Rejection> {
    let (account, model, dispute, free) = (ACCOUNT, MODEL, DISPUTE, UNITS);
    vec![
        Rejection::OwnDispute(account),
        Rejection::ChallengedAlready(dispute),
        Rejection::TooManyChallenges { bound: Some(UNITS) },
        Rejection::Barred { account, model, until: TIME },
        Rejection::ChallengedTooOften(account),
        Rejection::BondLacking { account, model, free, bond: Units::new(9) },
        Rejection::Bonded { account, model, free, asked: Units::new(9) },
        Rejection::NotHeard { dispute, until: TIME },
        Rejection::ForOwners(dispute),
        Rejection::RuledAlready { account, dispute },
        Rejection::NothingToAppeal(dispute),
        Rejection::NotAppellant(account),
        Rejection::NotChallenger(account),
        Rejection::TooLateToWithdraw(dispute),
        Rejection::ArbiterHolds(account),
    ]
}

fn of_access() -> Vec<Rejection> {
    let (account, model, peer) = (ACCOUNT, MODEL, public_key());
    vec![
        Rejection::PeerDisagrees { peer, account },
        Rejection::StaleConsent { peer, issued: TIME },
        Rejection::TooManyPeers(account),
        Rejection::PeerNotBound { peer, account },
        Rejection::NotLicensee { account, model },
        Rejection::NoLicenceAsked { account, model },
        Rejection::TooManyLicencesAsked(account),
        Rejection::NoSuchLicence { account, model, proposal: PROPOSAL },
        Rejection::ArtifactGoverned { artifact: artifact(), model },
        Rejection::NotCommitted { artifact: artifact(), model, account },
        Rejection::NoVeto(PROPOSAL),
        Rejection::NoDormancy,
        Rejection::OwnCall(account),
        Rejection::NoVoice(account),
        Rejection::CalledAlready(account),
        Rejection::DelegateAnswers { account, delegate: OTHER },
        Rejection::TooManyCalls(account),
        Rejection::NotCalledOn(account),
        Rejection::OperatesValidator { account, key: public_key() },
        Rejection::LastMember(account),
        Rejection::TooDilutive { model: MODEL, added: UNITS, base: Units::new(900), most: fraction(2_500) },
        Rejection::UnknownIssue { model: MODEL, issue: 2 },
        Rejection::IssueOver { model: MODEL, issue: 2, until: TIME, time: TIME.plus_ms(1) },
        Rejection::BeyondEntitlement { account, left: Units::new(5), asked: UNITS },
        Rejection::NoExpropriation(MODEL),
        Rejection::NoConsent { account, proposal: PROPOSAL },
        Rejection::NothingTaken { account, proposal: PROPOSAL },
        Rejection::TooManyApprovalsOfKey { key: public_key(), max: 5 },
        Rejection::OtherKeysContested(account),
        Rejection::ContestedAlready(account),
        Rejection::DecisionTooHeavy { weight: Weight::new(60_001) },
        Rejection::DelegationsEnd(MODEL),
        Rejection::QuotaUsedUp { account, keeps: Keeps::Incidents(MODEL) },
        Rejection::TooManyUpdates(INCIDENT),
        Rejection::ConsentOver { peer: public_key(), issued: TIME, time: TIME.plus_ms(1) },
    ]
}

fn of_offices() -> Vec<Rejection> {
    let (account, key) = (ACCOUNT, public_key());
    vec![
        Rejection::OfficeHeld { office: Office::Steward(MODEL), account },
        Rejection::NotInOffice { office: Office::Guardian(MODEL), account },
        Rejection::NotAccepted { office: Office::Operator(key), account },
        Rejection::TooManyAhead(account),
        Rejection::KeyDisagrees { key, account },
        Rejection::NotAsked { account, model: MODEL },
        Rejection::TooManyIntakes(account),
        Rejection::NotBought { proposal: PROPOSAL, buyer: account },
        Rejection::NotBuyer { account, proposal: PROPOSAL },
    ]
}

fn events_of_decisions() -> Vec<Event> {
    let (account, model, proposal) = (ACCOUNT, MODEL, PROPOSAL);
    let (label, artifact, key, scope) = (label("v1"), artifact(), public_key(), Scope::Model(MODEL));
    let reason = || "v2 is better.".to_owned();
    vec![
        Event::ValidatorReweighted { key, power: Power::new(25) },
        Event::MemberAdmitted { account },
        Event::QuotaGranted { account, quota: 100 },
        Event::AccountSuspended { account, reason: reason(), proposal },
        Event::AccountReinstated { account },
        Event::ParametersSet,
        Event::UpgradeScheduled { height: HEIGHT, protocol: 2, release: "0.2.0".into() },
        Event::VersionDeprecated { model, label: label.clone(), proposal, reason: reason() },
        Event::VersionWithdrawn { model, label: label.clone(), artifact, proposal: Some(proposal), reason: reason() },
        Event::LineageClaimed { model, label, parents: vec![], proposal },
        Event::LicenceSet { model, licence: Licence::Terms(CONTENT), proposal },
        Event::StewardsSet { model, stewards: vec![account], proposal },
        Event::ModelRetired { model, proposal, reason: reason() },
        Event::StatementMade { proposal, scope },
        Event::CloseMoved { proposal, closes: TIME },
        Event::ProposalQueued { proposal, scope, ready: TIME, expires: TIME.plus_ms(1) },
        Event::Delegated { model, from: account, to: Some(OTHER), expires: None },
        Event::Attested { artifact, statement: name("bias-audit"), account, finding: Finding::Failed },
    ]
}

fn further_events() -> Vec<Event> {
    let (account, model, dispute, approval) = (ACCOUNT, MODEL, DISPUTE, APPROVAL);
    let status = DisputeStatus::Lapsed { height: HEIGHT };
    vec![
        Event::ContributionRevealed { model, contribution: CONTRIBUTION, amount: 7 },
        Event::RoundOpened { model, round: 3, proposal: PROPOSAL, closes: TIME },
        Event::RecordingEnded { model, round: 3, closes: TIME },
        Event::AmountsWithheld { model, round: 3, account, seals: 1, until: 5 },
        Event::RoundClosed { model, round: 3, minted: UNITS, contributors: 2 },
        Event::DisputeOpened { model, dispute, challenger: account, respondent: OTHER },
        Event::DisputeAnswered { model, dispute },
        Event::DisputeRuled { model, dispute, arbiter: account, upholds: true },
        Event::DisputeEnded { model, dispute, status },
        Event::IncidentReported { model, label: label("v1"), incident: INCIDENT, reporter: account },
        Event::IncidentUpdated { model, incident: INCIDENT, status: IncidentStatus::Resolved },
        Event::RecoverySet { account },
        Event::RecoverySought { account, guardian: OTHER, ready: Some(Clock::Runs { ready: TIME }) },
        Event::RecoveryContested { account, ready: Clock::Stands { left_ms: 60_000 } },
        Event::RecoveryLapsed { account },
        Event::GuardiansAsked { account, ready: None },
        Event::KeysSettled { account },
        Event::RecoveryStopped { account },
        Event::AccountRecovered { account },
        Event::ApprovalRequested { account, approval, expires: TIME },
        Event::ApprovalSigned { account, approval, keys: vec![public_key()] },
        Event::ApprovalClosed { account, approval, carried_out: true },
        Event::ApprovalOpposed { account, approval, keys: vec![public_key()] },
        Event::DistributionSet { model, distribution: distribution(), proposal: PROPOSAL },
        Event::LicenceGranted { model, account, expires: Some(TIME), proposal: PROPOSAL, accepted: true },
        Event::LicenceAsked { model, account, asks: true },
        Event::LicenceAnswered { model, account, proposal: PROPOSAL, accept: true },
        Event::LicenceRequestLapsed { model, account },
        Event::LicenceRevoked { model, account, proposal: PROPOSAL, reason: "It expired.".into() },
        Event::PeerBound { peer: public_key(), account },
        Event::PeerReleased { peer: public_key(), account },
        Event::MemberRemoved { account, reason: "It went out of business.".into() },
        Event::CalledOn { scope: Scope::Model(MODEL), account, by: OTHER, sleeps_at: TIME },
        Event::Spoke { scope: Scope::Network, account, was_dormant: true },
        Event::FellDormant { scope: Scope::Model(MODEL), account },
        Event::OfficeOffered { office: Office::Steward(model), account },
        Event::OfficeAccepted { office: Office::Arbiter(model), account, ahead: true },
        Event::OfficeResigned { office: Office::KeyGuardian(OTHER), account },
        Event::IntakeSet { account, of: UnitsOf::Model(model), takes: Some(false) },
        Event::TransferAnswered { proposal: PROPOSAL, buyer: account, accepted: true },
        Event::OfficeEnded { office: Office::Attester { model, role: name("auditor") }, account },
        Event::IssueOpened { model: MODEL, number: 2, to: OTHER, units: UNITS, until: TIME },
        Event::IssueClosed { model: MODEL, number: 2, taken: Units::new(40), minted: Units::new(160) },
        Event::ConsentGiven { proposal: PROPOSAL, account, agrees: true },
        Event::RoundWaits { model, round: 3, minted: Units::new(60), held: Units::new(40) },
        Event::DisputeAppealed { model, dispute, party: Some(account), until: TIME },
    ]
}

pub(super) fn vectors() -> Vec<Vector> {
    let rejections = [
        admission(),
        of_models(),
        of_proposals(),
        of_networks(),
        of_decisions(),
        of_accounts(),
        of_rounds_and_disputes(),
        of_challenges(),
        of_access(),
        super::safety::rejections(),
        of_offices(),
    ]
    .concat();
    let mut vectors: Vec<Vector> = rejections
        .iter()
        .map(|one| vector(format!("rejection.{}", rejection(one)), one).with("code", one.code()))
        .collect();
    let events = [events(), events_of_decisions(), further_events(), super::safety::events()].concat();
    vectors.extend(events.iter().map(|one| vector(format!("event.{}", event(one)), one)));
    let outcomes = [Outcome::Applied, Outcome::Rejected(Rejection::Replayed)];
    vectors.extend(outcomes.iter().map(|one| vector(format!("outcome.{}", outcome(one)), one)));
    let result = TransactionResult {
        id: TRANSACTION,
        outcome: Outcome::Applied,
        events: vec![Event::KeysRotated { account: ACCOUNT }],
    };
    vectors.push(vector("transaction_result", &result));
    vectors
}
