//! A transaction of every action, signed with fixed keys.

use super::{
    Read, Vector,
    fixed::*,
    hex, human,
    variants::{action, proposal_action},
    vector, vector_read,
};
use allod_protocol::{
    account::{CreateAccount, KeyPolicy, RotateKeys},
    artifact::{Artifact, ArtifactKind},
    contribution::{AcceptContribution, ContributionKind, RecordContribution},
    crypto::SigningKey,
    ids::{Power, Units},
    model::{PublishVersion, VersionRef},
    proposal::{CastBallot, Choice, OpenProposal, ProposalAction, Scope, WithdrawProposal},
    share::TransferShares,
    transaction::{Action, Transaction, TransactionBody},
};

fn read_transaction(bytes: &[u8]) -> Result<Read, String> {
    let transaction = Transaction::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Read { json: human(&transaction), bytes: transaction.encode() })
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
        }),
        Action::RecordContribution(RecordContribution {
            model: MODEL,
            kind: ContributionKind::Compute,
            amount: 86_400,
            evidence: None,
            note: "A day of one accelerator.".into(),
        }),
        Action::AcceptContribution(AcceptContribution { contribution: CONTRIBUTION }),
        Action::TransferShares(TransferShares { model: MODEL, to: OTHER, units: UNITS, reason: "A gift.".into() }),
        Action::OpenProposal(OpenProposal {
            scope: Scope::Model(MODEL),
            title: "Mint for the new data".into(),
            text: String::new(),
            actions: vec![ProposalAction::MintShares { to: OTHER, units: UNITS, reason: "Scans of 2026".into() }],
        }),
        Action::CastBallot(CastBallot { proposal: PROPOSAL, choice: Choice::Abstain }),
        Action::WithdrawProposal(WithdrawProposal { proposal: PROPOSAL }),
    ]
}

/// What a proposal can do, one of each.
pub(super) fn proposal_actions() -> Vec<ProposalAction> {
    let (key, power) = (key(0xa5).public_key(), Power::new(25));
    vec![
        ProposalAction::ReleaseVersion { label: label("v2") },
        ProposalAction::MintShares { to: ACCOUNT, units: Units::new(1), reason: String::new() },
        ProposalAction::SetPolicy { policy: policy() },
        ProposalAction::AdmitValidator { key, power, operator: ACCOUNT },
        ProposalAction::RemoveValidator { key },
    ]
}

fn signed(name: String, nonce: u64, action: Action, keys: &[SigningKey]) -> Vector {
    let body = TransactionBody { network: network(), sender: ACCOUNT, nonce, expires: TIME.plus_ms(60_000), action };
    let signing_bytes = hex(&body.signing_bytes());
    let transaction = body.sign(keys);
    vector_read(name, &transaction, read_transaction)
        .with("signing_bytes_hex", signing_bytes)
        .with("id", transaction.id())
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<Vector> = (1..)
        .zip(actions())
        .map(|(nonce, one)| signed(format!("transaction.{}", action(&one)), nonce, one, &[key(1)]))
        .collect();
    let ballot = Action::CastBallot(CastBallot { proposal: PROPOSAL, choice: Choice::Yes });
    vectors.push(signed("transaction.two_signatures".into(), u64::MAX, ballot, &[key(2), key(3)]));
    let parts = proposal_actions();
    vectors.extend(parts.iter().map(|one| vector(format!("proposal_action.{}", proposal_action(one)), one)));
    vectors
}
