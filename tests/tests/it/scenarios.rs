//! Stories of the rules, each told on a ledger without consensus.

use crate::common::{ledger, open, status, units, version, vote, with_model};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{AccountId, ContributionId, Handle, Power, Timestamp, Units, VersionLabel},
        invalid::Invalid,
    },
    ledger::execute::Outcome,
    rules::{
        account::{CreateAccount, HandleOf, KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        contribution::{AcceptContribution, Contribution, ContributionKind, RecordContribution},
        event::Event,
        model::{Model, PublishVersion, ReleaseVersion, Version, VersionRef, VersionStatus},
        network::{AdmitValidator, Network, RemoveValidator},
        policy::{Tally, Verdict},
        proposal::{CastBallot, Choice, ModelAction, NetworkAction, OpenProposal, ProposalStatus, Question},
        rejection::Rejection,
        share::{MintShares, Register, TransferShares},
        transaction::TransactionBody,
    },
};
use allod_tests::ledger::{TestLedger, key, operates};

#[test]
fn owners_release_a_version_by_a_decision_that_the_ledger_executes_at_the_close() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let label = VersionLabel::new("1.0").unwrap();
    let id = open(
        &mut ledger,
        1,
        Question::of_model(model, vec![ModelAction::ReleaseVersion(ReleaseVersion { label: label.clone() })]),
    );
    vote(&mut ledger, 0, id, Choice::Yes);
    vote(&mut ledger, 1, id, Choice::Yes);
    vote(&mut ledger, 2, id, Choice::No);
    assert_eq!(status(&ledger, id), ProposalStatus::Open, "nothing before the close");
    let executed = ledger.block(10_000, vec![]);
    assert!(executed.deadline_events.iter().any(|e| matches!(e, Event::VersionReleased { .. })));
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    let released: Version = ledger.read(&(model, label.clone())).expect("version");
    assert!(matches!(released.status, VersionStatus::Released { proposal, .. } if proposal == id));
    assert_eq!(ledger.read::<Model>(&model).expect("model").released, Some(label));
    assert!(ledger.block(1_000, vec![]).deadline_events.is_empty(), "a decision is executed once");
}

#[test]
fn weights_are_those_of_the_opening_whatever_happens_to_the_shares() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let mint = ModelAction::MintShares(MintShares {
        to: ledger.account("seafront"),
        units: Units::new(9),
        reason: "r".into(),
        vesting: None,
    });
    let id = open(&mut ledger, 0, Question::of_model(model, vec![mint]));
    let transfer =
        TransferShares { model, to: ledger.account("riverbend"), units: Units::new(50), reason: "sold".into() };
    ledger.must(0, Action::TransferShares(transfer));
    vote(&mut ledger, 0, id, Choice::No);
    assert_eq!(ledger.refused(3, Action::CastBallot(CastBallot::whole(id, Choice::Yes))), "no_weight");
    vote(&mut ledger, 1, id, Choice::Yes);
    vote(&mut ledger, 1, id, Choice::No);
    let tally: Tally = ledger.read(&id).expect("tally");
    assert_eq!((tally.yes, tally.no, tally.ballots), (0, 80, 2), "a change of ballot counts once");
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Rejected { verdict: Verdict::NotEnoughYes, .. }));
    assert_eq!(units(&ledger, model, "seafront"), 0);
    let late = CastBallot::whole(id, Choice::Yes);
    assert_eq!(ledger.refused(1, Action::CastBallot(late)), "not_open");
}

#[test]
fn one_failed_action_leaves_nothing_half_done_and_a_reason() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let mint = |units| {
        ModelAction::MintShares(MintShares {
            to: ledger.account("seafront"),
            units: Units::new(units),
            reason: String::new(),
            vesting: None,
        })
    };
    let actions = vec![mint(5), mint(1 << 62)];
    let id = open(&mut ledger, 0, Question::of_model(model, actions));
    for voter in 0..3 {
        vote(&mut ledger, voter, id, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    match status(&ledger, id) {
        ProposalStatus::ExecutionFailed { reason: Rejection::TooManyUnits(failed), .. } => assert_eq!(failed, model),
        other => panic!("{other:?}"),
    }
    assert_eq!(units(&ledger, model, "seafront"), 0);
    assert_eq!(ledger.read::<Register>(&model).expect("register").total_units, Units::new(100));
    assert_eq!(ledger.read::<Network>(&()).expect("network").open_proposals, 0);
}

#[test]
fn a_threshold_account_needs_enough_of_its_keys_and_can_replace_them() {
    let mut ledger = ledger();
    let keys: Vec<SigningKey> = (200..203).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
    let weighted = |key: &SigningKey, weight| WeightedKey { key: key.public_key(), weight };
    let policy =
        KeyPolicy { threshold: 3, keys: vec![weighted(&keys[0], 2), weighted(&keys[1], 1), weighted(&keys[2], 1)] };
    let handle = Handle::new("consortium").unwrap();
    ledger.must(0, Action::CreateAccount(CreateAccount { handle: handle.clone(), keys: policy, quota: 0 }));
    let HandleOf(id) = ledger.read(&handle).expect("handle");
    let rotate = |key: &SigningKey| Action::RotateKeys(RotateKeys { keys: KeyPolicy::single(key.public_key()) });
    let outcome = |ledger: &mut TestLedger, signers: &[SigningKey], action| {
        let transaction = ledger.sign(id, signers, action);
        ledger.run(transaction).outcome
    };
    let refused = outcome(&mut ledger, &keys[1..3], rotate(&keys[0]));
    assert!(
        matches!(refused, Outcome::Rejected(Rejection::NotAuthorised { weight: 2, threshold: 3, .. })),
        "{refused:?}"
    );
    assert_eq!(outcome(&mut ledger, &keys[0..2], rotate(&keys[2])), Outcome::Applied);
    let old = outcome(&mut ledger, &keys[0..2], rotate(&keys[0]));
    assert!(matches!(old, Outcome::Rejected(Rejection::ForeignKey { .. })), "{old:?}");
    assert_eq!(outcome(&mut ledger, &keys[2..3], rotate(&keys[2])), Outcome::Applied);
}

#[test]
fn handles_are_unique_and_sponsors_have_a_quota() {
    let mut ledger = ledger();
    let create = |handle: &str| {
        let keys = KeyPolicy::single(SigningKey::from_seed(&[99; 32]).public_key());
        Action::CreateAccount(CreateAccount { handle: Handle::new(handle).unwrap(), keys, quota: 0 })
    };
    assert_eq!(ledger.refused(0, create("lakeside")), "handle_taken");
    for handle in ["one", "two", "three"].map(|name| format!("member-{name}")) {
        ledger.must(0, create(&handle));
    }
    assert_eq!(ledger.refused(0, create("member-four")), "sponsor_quota");
    ledger.must(1, create("member-four"));
}

#[test]
fn accounts_that_admit_others_share_their_founders_quota() {
    let mut ledger = ledger();
    let keys = SigningKey::from_seed(&[99; 32]);
    let create = |handle: &str, quota| {
        let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(keys.public_key()));
        Action::CreateAccount(CreateAccount { handle, keys, quota })
    };
    assert_eq!(ledger.refused(0, create("branch", 3)), "sponsor_quota", "the new account counts too");
    assert_eq!(ledger.refused(0, create("branch", u32::MAX)), "sponsor_quota");
    ledger.must(0, create("branch", 1));
    let HandleOf(branch) = ledger.read(&Handle::new("branch").unwrap()).expect("handle");
    let sponsored = |ledger: &mut TestLedger, handle| {
        let transaction = ledger.sign(branch, std::slice::from_ref(&keys), create(handle, 0));
        ledger.run(transaction).outcome
    };
    assert_eq!(sponsored(&mut ledger, "leaf"), Outcome::Applied);
    assert!(matches!(sponsored(&mut ledger, "weed"), Outcome::Rejected(Rejection::SponsorQuota { .. })));
    ledger.must(0, create("last", 0));
    assert_eq!(ledger.refused(0, create("one-more", 0)), "sponsor_quota", "2 of its 3 went to the branch");
}

#[test]
fn the_networks_electorate_is_that_of_the_snapshot() {
    let mut ledger = ledger();
    let admit = |ledger: &mut TestLedger, seed| {
        let keys = KeyPolicy::single(SigningKey::from_seed(&[seed; 32]).public_key());
        let handle = Handle::new(format!("clinic-{seed}")).unwrap();
        ledger.must(0, Action::CreateAccount(CreateAccount { handle: handle.clone(), keys, quota: 0 }));
        let HandleOf(operator) = ledger.read(&handle).expect("handle");
        let key = SigningKey::from_seed(&[seed + 100; 32]);
        let accept = operates(ledger.tip.network, operator, &key);
        let accept = ledger.sign(operator, &[SigningKey::from_seed(&[seed; 32])], accept);
        assert_eq!(ledger.run(accept).outcome, Outcome::Applied);
        let key = key.public_key();
        open(
            ledger,
            0,
            Question::of_network(vec![NetworkAction::AdmitValidator(AdmitValidator {
                key,
                power: Power::new(1),
                operator,
            })]),
        )
    };
    let first = admit(&mut ledger, 50);
    for voter in 0..5 {
        vote(&mut ledger, voter, first, Choice::Yes);
    }
    // The block that admits the sixth member opens a proposal after it: its snapshot is the block before.
    let remove =
        vec![NetworkAction::RemoveValidator(RemoveValidator { key: SigningKey::from_seed(&[150; 32]).public_key() })];
    let question = OpenProposal { question: Question::of_network(remove), title: "t".into(), text: String::new() };
    let transaction = ledger.sign_as(1, Action::OpenProposal(question));
    let executed = ledger.block(10_000, vec![transaction]);
    assert_eq!(ledger.read::<Network>(&()).expect("network").members, 6);
    let opened = executed.results[0].events.iter().find_map(|event| match event {
        Event::ProposalOpened { proposal, .. } => Some(*proposal),
        _ => None,
    });
    let tally: Tally = ledger.read(&opened.expect("a proposal")).expect("tally");
    assert_eq!(tally.electorate, 5);
}

#[test]
fn a_transaction_is_executed_once_and_not_after_its_expiry() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let give = |ledger: &TestLedger| {
        Action::TransferShares(TransferShares {
            model,
            to: ledger.account("seafront"),
            units: Units::new(1),
            reason: String::new(),
        })
    };
    let action = give(&ledger);
    let once = ledger.sign_as(0, action);
    assert_eq!(ledger.run(once.clone()).outcome, Outcome::Applied);
    assert_eq!(ledger.run(once.clone()).outcome, Outcome::Rejected(Rejection::Replayed));
    ledger.block(60_001, vec![]);
    assert!(matches!(ledger.run(once).outcome, Outcome::Rejected(Rejection::Expired { .. })));
    let body = TransactionBody {
        network: ledger.tip.network,
        sender: ledger.account("northfield"),
        nonce: 1,
        expires: ledger.tip.time.plus_ms(2 * 60 * 60 * 1_000),
        action: give(&ledger),
        signers: Vec::new(),
    };
    let far = ledger.run(body.sign(&[key(0)])).outcome;
    assert!(matches!(far, Outcome::Rejected(Rejection::ExpiryTooFar { .. })), "{far:?}");
    assert_eq!(units(&ledger, model, "seafront"), 1);
}

#[test]
fn one_account_cannot_fill_a_block() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let record = Action::RecordContribution(RecordContribution {
        model,
        round: None,
        kind: ContributionKind::Compute,
        amount: 1,
        sealed: None,
        evidence: None,
        note: String::new(),
    });
    let flood: Vec<_> = (0..105).map(|_| ledger.sign_as(0, record.clone())).collect();
    let results = ledger.block(1_000, flood).results;
    let applied = results.iter().filter(|result| result.outcome == Outcome::Applied).count();
    assert_eq!(applied, 100);
    assert!(matches!(results[104].outcome, Outcome::Rejected(Rejection::RateLimited { max: 100, .. })));
}

#[test]
fn a_contribution_is_signed_by_who_gave_it_and_by_a_steward_who_did_not() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let record = |amount| {
        let note = "1,438 labelled images".into();
        Action::RecordContribution(RecordContribution {
            model,
            round: None,
            kind: ContributionKind::Data,
            amount,
            sealed: None,
            evidence: None,
            note,
        })
    };
    let contribution = |result: &[Event]| match result.first() {
        Some(Event::ContributionRecorded { contribution, .. }) => *contribution,
        other => panic!("{other:?}"),
    };
    let given = contribution(&ledger.must(3, record(144)).events);
    let own = contribution(&ledger.must(0, record(576)).events);
    let accept = |contribution: ContributionId| Action::AcceptContribution(AcceptContribution { contribution });
    assert_eq!(ledger.refused(1, accept(given)), "not_steward");
    assert_eq!(ledger.refused(0, accept(own)), "own_contribution");
    ledger.must(0, accept(given));
    let accepted = ledger.tip.height;
    assert_eq!(ledger.refused(0, accept(given)), "already_accepted");
    let stored: Contribution = ledger.read(&given).expect("contribution");
    let countersigned: Vec<AccountId> = stored.countersigned.iter().map(|one| one.steward).collect();
    assert_eq!((countersigned, stored.accepted), (vec![ledger.account("northfield")], Some(accepted)));
}

#[test]
fn versions_name_their_parents_and_an_artifact_is_one_version() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let label = |text: &str| VersionLabel::new(text).unwrap();
    ledger.must(1, Action::PublishVersion(version(model, "1.0")));
    assert_eq!(ledger.refused(1, Action::PublishVersion(version(model, "1.0"))), "version_exists");
    assert_eq!(ledger.refused(4, Action::PublishVersion(version(model, "9.9"))), "not_of_model");
    let again = PublishVersion { label: label("1.1"), ..version(model, "1.0") };
    assert_eq!(ledger.refused(1, Action::PublishVersion(again)), "artifact_is_version");
    let orphan = PublishVersion { parents: vec![VersionRef { model, label: label("0.9") }], ..version(model, "2.0") };
    assert_eq!(ledger.refused(1, Action::PublishVersion(orphan)), "unknown_version");
    let child = PublishVersion { parents: vec![VersionRef { model, label: label("1.0") }], ..version(model, "2.0") };
    ledger.must(1, Action::PublishVersion(child));
}

#[test]
fn members_admit_and_remove_validators_in_force_two_blocks_later() {
    let mut ledger = ledger();
    let newcomer = SigningKey::from_seed(&[77; 32]);
    let operator: AccountId = ledger.account("seafront");
    let accept = operates(ledger.tip.network, operator, &newcomer);
    ledger.must(4, accept);
    let newcomer = newcomer.public_key();
    let admit = NetworkAction::AdmitValidator(AdmitValidator { key: newcomer, power: Power::new(1), operator });
    let id = open(&mut ledger, 0, Question::of_network(vec![admit]));
    for voter in 0..4 {
        vote(&mut ledger, voter, id, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    let has = |ledger: &TestLedger| {
        let address = newcomer.validator_address();
        (
            ledger.tip.validators.by_address(&address).is_some(),
            ledger.tip.next_validators.by_address(&address).is_some(),
        )
    };
    assert_eq!(has(&ledger), (false, true), "executed in H, it decides H + 2");
    ledger.block(1, vec![]);
    assert_eq!(has(&ledger), (true, true));
    let id = open(
        &mut ledger,
        0,
        Question::of_network(vec![NetworkAction::RemoveValidator(RemoveValidator { key: newcomer })]),
    );
    for voter in 0..4 {
        vote(&mut ledger, voter, id, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    ledger.block(1, vec![]);
    assert_eq!(has(&ledger), (false, false));
}

#[test]
fn only_members_ask_the_network_and_the_last_validator_stays() {
    let mut ledger = ledger();
    let keys = KeyPolicy::single(SigningKey::from_seed(&[50; 32]).public_key());
    ledger.must(0, Action::CreateAccount(CreateAccount { handle: Handle::new("outsider").unwrap(), keys, quota: 0 }));
    let HandleOf(outsider) = ledger.read(&Handle::new("outsider").unwrap()).expect("handle");
    let validators: Vec<_> = ledger.tip.validators.iter().map(|validator| validator.key).collect();
    let remove = OpenProposal {
        question: Question::of_network(
            validators.iter().map(|key| NetworkAction::RemoveValidator(RemoveValidator { key: *key })).collect(),
        ),
        title: "end it".into(),
        text: String::new(),
    };
    let transaction = ledger.sign(outsider, &[SigningKey::from_seed(&[50; 32])], Action::OpenProposal(remove.clone()));
    assert!(matches!(ledger.run(transaction).outcome, Outcome::Rejected(Rejection::NotMember(_))));
    let id = open(&mut ledger, 0, remove.question);
    for voter in 0..5 {
        vote(&mut ledger, voter, id, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    assert!(matches!(
        status(&ledger, id),
        ProposalStatus::ExecutionFailed { reason: Rejection::BadValidatorSet(_), .. }
    ));
    assert_eq!(ledger.tip.next_validators.len(), 4);
}

#[test]
fn faulty_transactions_are_refused_before_any_state_is_asked() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let network = ledger.tip.network;
    let action = Action::PublishVersion(version(model, "1.0"));
    let good = ledger.sign_as(0, action.clone());
    assert_eq!(good.check_form(network), Ok(()));
    assert_eq!(good.check_signatures(), Ok(()));

    let mut forged = good.clone();
    forged.body.nonce += 1;
    assert!(matches!(forged.check_signatures(), Err(Invalid::Signature(_))));
    let other = allod_protocol::ground::ids::NetworkId::from_bytes([9; 32]);
    assert!(matches!(good.check_form(other), Err(Invalid::Network { .. })));
    let mut unsigned = good.clone();
    unsigned.signatures.clear();
    assert_eq!(unsigned.check_form(network), Err(Invalid::SignatureCount { signers: 1, signatures: 0 }));
    unsigned.body.signers.clear();
    assert_eq!(unsigned.check_form(network), Err(Invalid::SignerCount(0)));
    let mut twice = good.clone();
    twice.signatures.extend(good.signatures);
    twice.body.signers.extend(good.body.signers);
    assert!(matches!(twice.check_form(network), Err(Invalid::RepeatedKey(_))));
    let large = PublishVersion { notes: "x".repeat(9_000), ..version(model, "1.0") };
    let large = ledger.sign_as(0, Action::PublishVersion(large));
    assert!(matches!(large.check_form(network), Err(Invalid::Form { field: "notes", .. })));
    assert!(matches!(
        allod_protocol::rules::transaction::Transaction::decode(&vec![1; 100_000]),
        Err(Invalid::TooLarge(100_000))
    ));
    let stale = TransactionBody {
        network,
        sender: ledger.account("northfield"),
        nonce: 0,
        expires: Timestamp::ZERO,
        action,
        signers: Vec::new(),
    };
    assert!(matches!(ledger.run(stale.sign(&[key(0)])).outcome, Outcome::Rejected(Rejection::Expired { .. })));
}

#[test]
fn the_hash_of_a_block_covers_the_signatures() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let signed = ledger.sign_as(0, Action::PublishVersion(version(model, "1.0")));
    let mut other = signed.clone();
    other.signatures.clear();
    assert_eq!(signed.id(), other.id());
    let root = allod_protocol::ledger::block::transactions_root;
    assert_ne!(root(&[signed]), root(&[other]), "which keys signed decides what a transaction does");
}

#[test]
fn a_copy_with_a_foreign_key_does_not_use_a_transaction_up() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let signed = ledger.sign_as(0, Action::PublishVersion(version(model, "1.0")));
    let copy = signed.body.clone().sign(&[key(4)]);
    assert!(matches!(ledger.run(copy).outcome, Outcome::Rejected(Rejection::ForeignKey { .. })));
    assert_eq!(ledger.run(signed).outcome, Outcome::Applied);
}
