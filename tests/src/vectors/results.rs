//! What became of transactions: rejections, events, results.

use super::{
    Vector,
    fixed::*,
    variants::{event, outcome, rejection},
    vector,
};
use allod_protocol::{
    event::Event,
    execute::{Outcome, TransactionResult},
    ids::{Power, PublicKey, Units},
    proposal::{Choice, ProposalStatus, Scope},
    rejection::Rejection,
    share::{ShareFlow, ShareReason},
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
        Rejection::AlreadyReleased { model, label: label.clone() },
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
        Rejection::BallotsCast(proposal),
        Rejection::NotMember(account),
        Rejection::MixedClasses("release".into(), "ownership".into()),
        Rejection::WrongScope("validators".into()),
        Rejection::ValidatorExists(public_key()),
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
        Event::ContributionAccepted { model, contribution: CONTRIBUTION, steward: OTHER },
        Event::ProposalOpened { proposal, scope, proposer: account, closes: TIME },
        Event::BallotCast { proposal, account, choice: Choice::No, weight: 300 },
        Event::ProposalClosed { proposal, scope: Scope::Network, status: ProposalStatus::Executed { height: HEIGHT } },
        Event::PolicyChanged { model, proposal },
        Event::ValidatorAdmitted { key, power: Power::new(25), operator: account },
        Event::ValidatorRemoved { key },
    ]
}

pub(super) fn vectors() -> Vec<Vector> {
    let rejections = [admission(), of_models(), of_proposals()].concat();
    let mut vectors: Vec<Vector> = rejections
        .iter()
        .map(|one| vector(format!("rejection.{}", rejection(one)), one).with("code", one.code()))
        .collect();
    vectors.extend(events().iter().map(|one| vector(format!("event.{}", event(one)), one)));
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
