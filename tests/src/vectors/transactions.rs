//! A transaction of every action, signed with fixed keys.

use super::{
    Read, Vector,
    fixed::*,
    hex, human,
    variants::{action, model_action, network_action, question},
    vector, vector_read,
};
use allod_protocol::{
    ground::{
        crypto::{Domain, SigningKey},
        ids::{Power, Units},
    },
    rules::{
        access::{BindPeer, ReleasePeer, SetDistribution},
        account::{CreateAccount, KeyPolicy, RotateKeys},
        action::Action,
        approval::{RequestApproval, SignApproval},
        artifact::{Artifact, ArtifactKind},
        attestation::{Attest, Finding},
        commitment::CommitArtifact,
        contribution::{
            AcceptContribution, ContributionKind, DeclineContribution, RecordContribution, RevealContribution,
        },
        delegation::Delegate,
        dispute::{
            AnswerDispute, AppealDispute, DisputeTarget, OpenDispute, ResolveDispute, RuleDispute, WithdrawDispute,
        },
        dormancy::{CallOn, Present},
        incident::{IncidentStatus, ReportIncident, UpdateIncident},
        intake::{SetIntake, UnitsOf},
        licence::{AnswerLicence, AskLicence, GrantLicence, LicenceTerms, RevokeLicence, SetLicence, WantedLicence},
        model::{
            ClaimLineage, DeprecateVersion, Licence, PublishVersion, ReleaseVersion, Retire, SetPolicy, SetStewards,
            VersionRef, WithdrawVersion,
        },
        network::{
            AdmitMember, AdmitValidator, GrantQuota, LeaveNetwork, ReinstateAccount, RemoveMember, RemoveValidator,
            ReweightValidator, SetParameters, SuspendAccount, Upgrade,
        },
        office::{AcceptOffice, Office, ResignOffice},
        proposal::{
            BallotPart, CancelProposal, CastBallot, Choice, ExecuteProposal, ModelAction, NetworkAction, OpenProposal,
            Question, Scope, WithdrawProposal,
        },
        recovery::{CancelRecovery, RecoverAccount, RecoveryPolicy, SetRecovery},
        round::OpenRound,
        sale::{AcceptTransfer, ApproveTransfer},
        share::{BurnByDecision, BurnShares, Expropriate, GiveConsent, MintShares, TakeUp, TransferShares, Vesting},
        transaction::{Transaction, TransactionBody},
        validator,
    },
};

fn read_transaction(bytes: &[u8]) -> Result<Read, String> {
    let transaction = Transaction::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Read { json: human(&transaction), bytes: transaction.encode() })
}

/// An answer in parts.
pub(super) fn ballot_parts() -> Vec<BallotPart> {
    [(Choice::Yes, 7_500), (Choice::Abstain, 2_500)]
        .map(|(choice, part)| BallotPart { choice, part: points(part) })
        .into()
}

fn actions() -> Vec<Action> {
    let artifact = Artifact { address: artifact(), kind: ArtifactKind::Collection, size_bytes: 1 << 33, files: 3 };
    vec![
        Action::CreateAccount(CreateAccount {
            handle: handle("riverbend"),
            keys: KeyPolicy::single(key(6).public_key()),
            quota: 2,
        }),
        Action::RotateKeys(RotateKeys { keys: key_policy() }),
        Action::CreateModel(create_model([ACCOUNT, OTHER])),
        Action::PublishVersion(PublishVersion {
            model: MODEL,
            label: label("1.2.0-rc.1+x"),
            artifact,
            parents: vec![VersionRef { model: MODEL, label: label("v1") }],
            training_plan: Some(CONTENT),
            datasets: vec![CONTENT],
            notes: "Better at sevens.\n\u{fc}".into(),
            committed: Some(CONTENT),
        }),
        Action::CommitArtifact(CommitArtifact { model: MODEL, commitment: CONTENT }),
        Action::RecordContribution(RecordContribution {
            model: MODEL,
            round: Some(3),
            kind: ContributionKind::Compute,
            amount: 86_400,
            sealed: None,
            evidence: None,
            note: "A day of one accelerator.".into(),
        }),
        Action::AcceptContribution(AcceptContribution { contribution: CONTRIBUTION }),
        Action::TransferShares(TransferShares { model: MODEL, to: OTHER, units: UNITS, reason: "A gift.".into() }),
        Action::OpenProposal(OpenProposal {
            question: Question::of_model(
                MODEL,
                vec![ModelAction::MintShares(MintShares {
                    to: OTHER,
                    units: UNITS,
                    reason: "Scans of 2026".into(),
                    vesting: Some(Vesting { cliff_ms: 1_000, duration_ms: 4_000 }),
                })],
            ),
            title: "Mint for the new data".into(),
            text: String::new(),
        }),
        Action::CastBallot(CastBallot { proposal: PROPOSAL, parts: ballot_parts() }),
        Action::WithdrawProposal(WithdrawProposal { proposal: PROPOSAL, reason: "asked too early".into() }),
        Action::ExecuteProposal(ExecuteProposal { proposal: PROPOSAL }),
        Action::CancelProposal(CancelProposal { proposal: PROPOSAL, reason: "The data was withdrawn.".into() }),
        Action::Delegate(Delegate { model: MODEL, to: Some(OTHER), expires: Some(TIME) }),
        Action::BurnShares(BurnShares { model: MODEL, units: UNITS, reason: "A gift to all.".into() }),
        Action::Attest(Attest {
            artifact: super::fixed::artifact(),
            statement: name("bias-audit"),
            finding: Finding::Passed,
            evidence: Some(CONTENT),
            note: "No group is worse off.".into(),
        }),
        Action::RevealContribution(RevealContribution { contribution: CONTRIBUTION, amount: 7, salt: CONTENT }),
    ]
}

/// Disputes, incidents, and what accounts ask about themselves.
fn further_actions() -> Vec<Action> {
    let policy = RecoveryPolicy { guardians: vec![OTHER], needed: 1, delay_ms: 86_400_000 };
    let operates = key(0xa5).sign(Domain::Operation, &validator::operation(network(), ACCOUNT));
    let inner = Action::WithdrawProposal(WithdrawProposal { proposal: PROPOSAL, reason: "asked too early".into() });
    vec![
        Action::OpenDispute(OpenDispute {
            target: DisputeTarget::Line { model: MODEL, account: OTHER },
            units: UNITS,
            text: "They were given for data that was not theirs.".into(),
            evidence: Some(CONTENT),
            bond: Units::new(9),
        }),
        Action::AnswerDispute(AnswerDispute { dispute: DISPUTE, text: "It was.".into(), evidence: None }),
        Action::RuleDispute(RuleDispute { dispute: DISPUTE, upholds: true, reasons: "The logs show it.".into() }),
        Action::AppealDispute(AppealDispute { dispute: DISPUTE, text: "They do not.".into() }),
        Action::WithdrawDispute(WithdrawDispute { dispute: DISPUTE }),
        Action::ReportIncident(ReportIncident {
            model: MODEL,
            label: label("v1"),
            text: "It takes ones for sevens.".into(),
            evidence: None,
        }),
        Action::UpdateIncident(UpdateIncident {
            incident: INCIDENT,
            responsible: Some(OTHER),
            status: IncidentStatus::Investigating,
            text: "A scanner was miscalibrated.".into(),
        }),
        Action::SetRecovery(SetRecovery { policy: Some(policy) }),
        Action::RecoverAccount(RecoverAccount { account: OTHER, keys: key_policy() }),
        Action::CancelRecovery(CancelRecovery {}),
        Action::RequestApproval(RequestApproval { action: Box::new(inner), lifetime_ms: 86_400_000, every_key: false }),
        Action::SignApproval(SignApproval { approval: APPROVAL, approve: true }),
        bind_peer(),
        Action::ReleasePeer(ReleasePeer { peer: key(0xb1).public_key() }),
        Action::CallOn(CallOn { scope: Scope::Model(MODEL), account: OTHER }),
        Action::Present(Present { scope: Scope::Network }),
        Action::LeaveNetwork(LeaveNetwork {}),
        Action::AcceptOffice(AcceptOffice { office: Office::Operator(key(0xa5).public_key()), proof: Some(operates) }),
        Action::SetIntake(SetIntake { of: UnitsOf::Model(MODEL), takes: Some(false) }),
        Action::AcceptTransfer(AcceptTransfer { proposal: PROPOSAL, accept: true }),
        Action::ResignOffice(ResignOffice { office: Office::Attester { model: MODEL, role: name("auditor") } }),
        Action::TakeUp(TakeUp { model: MODEL, issue: 2, units: UNITS }),
        Action::GiveConsent(GiveConsent { proposal: PROPOSAL, agrees: true }),
        Action::DeclineContribution(DeclineContribution {
            contribution: CONTRIBUTION,
            reason: "The log shows half of it.".into(),
        }),
        Action::AskLicence(AskLicence {
            model: MODEL,
            wanted: Some(WantedLicence {
                terms: LicenceTerms { terms: Some(Licence::Terms(CONTENT)), for_ms: None },
                text: "For the clinic in Bay.".into(),
                lifetime_ms: 86_400_000,
            }),
        }),
        Action::AnswerLicence(AnswerLicence { model: MODEL, proposal: PROPOSAL, accept: true }),
    ]
}

/// A peer agrees to read for the account that signs.
fn bind_peer() -> Action {
    let (peer, issued) = (key(0xb1), TIME);
    let consent = peer.sign(Domain::PeerBinding, &BindPeer::consent(network(), ACCOUNT, issued));
    Action::BindPeer(BindPeer { peer: peer.public_key(), issued, consent })
}

/// What the owners of a model can decide, one of each.
fn model_actions() -> Vec<ModelAction> {
    vec![
        ModelAction::ReleaseVersion(ReleaseVersion { label: label("v2") }),
        ModelAction::DeprecateVersion(DeprecateVersion { label: label("v1"), reason: "v2 is better.".into() }),
        ModelAction::WithdrawVersion(WithdrawVersion { label: label("v1"), reason: "It leaks.".into() }),
        ModelAction::ClaimLineage(ClaimLineage {
            label: label("v2"),
            parents: vec![VersionRef { model: MODEL, label: label("v1") }],
        }),
        ModelAction::SetLicence(SetLicence { licence: Licence::Terms(CONTENT) }),
        ModelAction::MintShares(MintShares { to: ACCOUNT, units: Units::new(1), reason: String::new(), vesting: None }),
        ModelAction::BurnShares(BurnByDecision { from: OTHER, units: UNITS, cause: "They left.".into() }),
        ModelAction::ApproveTransfer(ApproveTransfer {
            to: OTHER,
            units: UNITS,
            price: "EUR 5,000".into(),
            reason: "Sold.".into(),
        }),
        ModelAction::SetStewards(SetStewards { stewards: vec![ACCOUNT, OTHER] }),
        ModelAction::SetPolicy(SetPolicy { policy: Box::new(policy()) }),
        ModelAction::OpenRound(OpenRound { plan: plan() }),
        ModelAction::ResolveDispute(ResolveDispute { dispute: DISPUTE, upholds: false }),
        ModelAction::Retire(Retire { reason: "Nobody uses it.".into() }),
        ModelAction::Statement,
        ModelAction::SetDistribution(SetDistribution { distribution: distribution() }),
        ModelAction::GrantLicence(GrantLicence {
            account: OTHER,
            terms: LicenceTerms { terms: Some(Licence::Spdx("MIT".into())), for_ms: Some(1) },
        }),
        ModelAction::RevokeLicence(RevokeLicence { account: OTHER, reason: "It sold copies.".into() }),
        ModelAction::Expropriate(Expropriate { from: OTHER, units: UNITS, cause: "It sold copies.".into() }),
    ]
}

/// What the members of the network can decide, one of each.
fn network_actions() -> Vec<NetworkAction> {
    let (key, power) = (key(0xa5).public_key(), Power::new(25));
    vec![
        NetworkAction::AdmitValidator(AdmitValidator { key, power, operator: ACCOUNT }),
        NetworkAction::ReweightValidator(ReweightValidator { key, power }),
        NetworkAction::RemoveValidator(RemoveValidator { key }),
        NetworkAction::AdmitMember(AdmitMember { account: OTHER }),
        NetworkAction::GrantQuota(GrantQuota { account: OTHER, quota: 100 }),
        NetworkAction::SuspendAccount(SuspendAccount { account: OTHER, reason: "Its keys were stolen.".into() }),
        NetworkAction::ReinstateAccount(ReinstateAccount { account: OTHER }),
        NetworkAction::SetParameters(SetParameters { parameters: Box::new(parameters()) }),
        NetworkAction::Upgrade(Upgrade { height: HEIGHT, protocol: 2, release: "0.2.0".into() }),
        NetworkAction::RemoveMember(RemoveMember { account: OTHER, reason: "It went out of business.".into() }),
        NetworkAction::Statement,
    ]
}

fn signed(name: String, nonce: u64, action: Action, keys: &[SigningKey]) -> Vector {
    let body = TransactionBody {
        network: network(),
        sender: ACCOUNT,
        nonce,
        expires: TIME.plus_ms(60_000),
        action,
        signers: Vec::new(),
    };
    let signing_bytes = hex(&body.signing_bytes());
    let transaction = body.sign(keys);
    vector_read(name, &transaction, read_transaction)
        .with("signing_bytes_hex", signing_bytes)
        .with("id", transaction.id())
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<Vector> = (1..)
        .zip([actions(), further_actions(), super::safety::actions()].concat())
        .map(|(nonce, one)| signed(format!("transaction.{}", action(&one)), nonce, one, &[key(1)]))
        .collect();
    let ballot = Action::CastBallot(CastBallot::whole(PROPOSAL, Choice::Yes));
    vectors.push(signed("transaction.two_signatures".into(), u64::MAX, ballot, &[key(2), key(3)]));
    let of_model = [model_actions(), super::safety::model_actions()].concat();
    vectors.extend(of_model.iter().map(|one| vector(format!("model_action.{}", model_action(one)), one)));
    vectors.extend(network_actions().iter().map(|one| vector(format!("network_action.{}", network_action(one)), one)));
    let questions = [Question::of_model(MODEL, of_model), Question::of_network(network_actions())];
    vectors.extend(questions.iter().map(|one| vector(format!("question.{}", question(one)), one)));
    vectors
}
