//! Offices: nobody holds one without having agreed to it, and everybody can give one back.

use crate::common::{account, decide, found, founded, founding, ledger, open, status, version, vote};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{
            AccountId, ArtifactId, ContributionId, DisputeId, IncidentId, ModelId, Name, Power, Units, VersionLabel,
        },
        limits,
    },
    rules::{
        access::{self, Distribution, Readers},
        account::KeyPolicy,
        action::Action,
        attestation::{Attest, Finding},
        contribution::{AcceptContribution, ContributionKind, RecordContribution},
        dispute::{AnswerDispute, Dispute, DisputeTarget, OpenDispute, ResolveDispute, RuleDispute},
        event::Event,
        incident::{IncidentStatus, ReportIncident, UpdateIncident},
        model::{CreateModel, Model, ReleaseVersion, SetPolicy, SetStewards},
        network::AdmitValidator,
        office::{self, AcceptOffice, Ahead, Office, ResignOffice, TenureStatus, Vacancy},
        policy::{Arbiters, Gate, ModelPolicy, Proposers, Role},
        proposal::{
            CancelProposal, Choice, ExecuteProposal, ModelAction, NetworkAction, OpenProposal, ProposalStatus, Question,
        },
        recovery::{RecoverAccount, RecoveryPolicy, SetRecovery},
    },
};
use allod_tests::ledger::{TestLedger, operates, policy};

fn accept(office: Office) -> Action {
    Action::AcceptOffice(AcceptOffice { office, proof: None })
}

fn resign(office: Office) -> Action {
    Action::ResignOffice(ResignOffice { office })
}

fn answer(ledger: &TestLedger, office: &Office, index: u8) -> Option<TenureStatus> {
    office::status(&ledger.state, office, account(ledger, index)).unwrap()
}

/// Founds a model as northfield, and nobody accepts what northfield names it for.
fn found_only(ledger: &mut TestLedger, action: CreateModel) -> ModelId {
    match ledger.must(0, Action::CreateModel(action)).events.first() {
        Some(Event::ModelCreated { model, .. }) => *model,
        other => panic!("{other:?}"),
    }
}

/// northfield founds a model and names itself and lakeside stewards.
fn with_two_stewards(ledger: &mut TestLedger) -> ModelId {
    let mut action = founding(ledger, policy(50, 60));
    action.stewards = vec![account(ledger, 0), account(ledger, 1)];
    found_only(ledger, action)
}

fn give(ledger: &mut TestLedger, model: ModelId, by: u8) -> ContributionId {
    let given = RecordContribution {
        model,
        round: None,
        kind: ContributionKind::Data,
        amount: 1,
        sealed: None,
        evidence: None,
        note: String::new(),
    };
    match ledger.must(by, Action::RecordContribution(given)).events.first() {
        Some(Event::ContributionRecorded { contribution, .. }) => *contribution,
        other => panic!("{other:?}"),
    }
}

fn countersign(contribution: ContributionId) -> Action {
    Action::AcceptContribution(AcceptContribution { contribution })
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn label(text: &str) -> VersionLabel {
    VersionLabel::new(text).unwrap()
}

#[test]
fn who_is_named_a_steward_is_none_until_it_accepts_and_the_founder_has_by_its_signature() {
    let mut ledger = ledger();
    let mut action = founding(&ledger, policy(50, 60));
    action.stewards = vec![account(&ledger, 0), account(&ledger, 4)];
    action.distribution = Distribution { readers: Readers::Holders, copies: 0 };
    let model = found_only(&mut ledger, action);
    let steward = Office::Steward(model);
    assert_eq!(answer(&ledger, &steward, 0), Some(TenureStatus::Accepted), "it signed what names it");
    assert_eq!(answer(&ledger, &steward, 4), Some(TenureStatus::Offered));
    let contribution = give(&mut ledger, model, 2);
    let reads = |ledger: &TestLedger| {
        let record: Model = ledger.read(&model).unwrap();
        access::reads(&ledger.state, &record, account(ledger, 4), ledger.tip.time).unwrap()
    };
    assert_eq!(ledger.refused(4, countersign(contribution)), "not_steward");
    assert_eq!(ledger.refused(4, Action::PublishVersion(version(model, "1.0"))), "not_of_model");
    assert!(!reads(&ledger), "an offer opens no artifact");
    assert_eq!(ledger.refused(3, accept(Office::Steward(ModelId::from_bytes([9; 32])))), "unknown_model");
    ledger.must(4, accept(steward.clone()));
    assert_eq!(ledger.refused(4, accept(steward.clone())), "office_held");
    assert!(reads(&ledger));
    ledger.must(4, Action::PublishVersion(version(model, "1.0")));
    ledger.must(4, countersign(contribution));
    ledger.must(4, resign(steward.clone()));
    assert!(!reads(&ledger), "nor does one that was given back");
    assert_eq!(ledger.refused(4, Action::PublishVersion(version(model, "2.0"))), "not_of_model");
    assert_eq!(ledger.refused(4, resign(steward.clone())), "not_in_office");
    ledger.must(4, accept(steward));
    ledger.must(4, Action::PublishVersion(version(model, "2.0")));
}

#[test]
fn a_resignation_lasts_until_the_owners_name_anew_and_then_the_account_is_asked_again() {
    let mut ledger = ledger();
    let model = with_two_stewards(&mut ledger);
    let steward = Office::Steward(model);
    ledger.must(1, resign(steward.clone()));
    assert_eq!(answer(&ledger, &steward, 1), Some(TenureStatus::Resigned), "an offer can be declined");
    let stewards = vec![account(&ledger, 1), account(&ledger, 2)];
    let id = decide(&mut ledger, model, ModelAction::SetStewards(SetStewards { stewards }), &[0, 1]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Executed { .. }));
    assert_eq!(answer(&ledger, &steward, 1), Some(TenureStatus::Offered));
    assert_eq!(answer(&ledger, &steward, 2), Some(TenureStatus::Offered));
    assert_eq!(answer(&ledger, &steward, 0), Some(TenureStatus::Dismissed), "it is no longer named");
    // Who was dismissed can say that it would do it again, and is no steward by that.
    ledger.must(0, accept(steward.clone()));
    assert_eq!(answer(&ledger, &steward, 0), Some(TenureStatus::Dismissed));
    let contribution = give(&mut ledger, model, 3);
    assert_eq!(ledger.refused(0, countersign(contribution)), "not_steward");
}

#[test]
fn a_signature_given_ahead_binds_once() {
    let mut ledger = ledger();
    let model = with_two_stewards(&mut ledger);
    let steward = Office::Steward(model);
    ledger.must(3, accept(steward.clone()));
    assert_eq!(ledger.refused(3, accept(steward.clone())), "office_held");
    assert_eq!(answer(&ledger, &steward, 3), None, "it is not named");
    assert_eq!(ledger.refused(3, Action::PublishVersion(version(model, "1.0"))), "not_of_model");
    let set = |ledger: &mut TestLedger, stewards: &[u8]| {
        let stewards = stewards.iter().map(|index| account(ledger, *index)).collect();
        let id = decide(ledger, model, ModelAction::SetStewards(SetStewards { stewards }), &[0, 1]);
        ledger.block(10_000, vec![]);
        assert!(matches!(status(ledger, id), ProposalStatus::Executed { .. }));
    };
    set(&mut ledger, &[0, 3, 4]);
    assert_eq!(answer(&ledger, &steward, 3), Some(TenureStatus::Accepted));
    assert_eq!(ledger.read::<Ahead>(&(account(&ledger, 3), steward.clone())), None, "it is used up");
    set(&mut ledger, &[0]);
    set(&mut ledger, &[0, 3]);
    assert_eq!(answer(&ledger, &steward, 3), Some(TenureStatus::Offered), "named again, it is asked again");
    // What was accepted ahead can be taken back, and is counted.
    ledger.must(2, accept(steward.clone()));
    ledger.must(2, resign(steward.clone()));
    assert_eq!(ledger.refused(2, resign(steward)), "not_in_office");
    for number in 0..limits::OFFICES_AHEAD_PER_ACCOUNT {
        ledger.must(2, accept(Office::Attester { model, role: name(&format!("role-{number}")) }));
    }
    assert_eq!(ledger.refused(2, accept(Office::Arbiter(model))), "too_many_ahead");
}

#[test]
fn a_resignation_takes_back_what_the_proposer_signed_before() {
    let mut ledger = ledger();
    let model = with_two_stewards(&mut ledger);
    let steward = Office::Steward(model);
    ledger.must(1, accept(steward.clone()));
    let both = vec![account(&ledger, 0), account(&ledger, 1)];
    let asked = ModelAction::SetStewards(SetStewards { stewards: both });
    let id = open(&mut ledger, 1, Question::of_model(model, vec![asked.clone()]));
    ledger.must(1, resign(steward.clone()));
    [0, 2].iter().for_each(|voter| vote(&mut ledger, *voter, id, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert_eq!(answer(&ledger, &steward, 1), Some(TenureStatus::Offered), "it resigned after it had asked");
    // One that asks for itself afterwards has agreed by that.
    ledger.must(1, resign(steward.clone()));
    let id = open(&mut ledger, 1, Question::of_model(model, vec![asked]));
    [0, 2].iter().for_each(|voter| vote(&mut ledger, *voter, id, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert_eq!(answer(&ledger, &steward, 1), Some(TenureStatus::Accepted));
}

#[test]
fn where_no_steward_is_left_the_owners_can_name_one_though_only_stewards_may_ask() {
    let mut ledger = ledger();
    let mut rules = policy(50, 60);
    rules.stewards.proposers = Proposers::Stewards;
    rules.release.proposers = Proposers::Stewards;
    let model = founded(&mut ledger, rules);
    let ask = |action| {
        let (title, text) = ("a question".into(), String::new());
        Action::OpenProposal(OpenProposal { question: Question::of_model(model, vec![action]), title, text })
    };
    let name_lakeside = ModelAction::SetStewards(SetStewards { stewards: vec![account(&ledger, 1)] });
    let release = ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") });
    assert_eq!(ledger.refused(1, ask(name_lakeside.clone())), "not_steward");
    ledger.must(0, resign(Office::Steward(model)));
    let record: Model = ledger.read(&model).unwrap();
    assert_eq!(office::vacancies(&ledger.state, &record).unwrap(), [Vacancy::NoSteward]);
    assert_eq!(ledger.refused(1, ask(release)), "not_steward", "they name stewards, and no more");
    assert_eq!(ledger.refused(4, ask(name_lakeside.clone())), "not_of_model");
    let id = open(&mut ledger, 1, Question::of_model(model, vec![name_lakeside]));
    [0, 1].iter().for_each(|voter| vote(&mut ledger, *voter, id, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert_eq!(answer(&ledger, &Office::Steward(model), 1), Some(TenureStatus::Accepted), "it asked itself");
    assert_eq!(office::vacancies(&ledger.state, &ledger.read(&model).unwrap()).unwrap(), []);
}

/// Releases wait for two of hilltop, riverbend and seafront.
fn gated(ledger: &mut TestLedger) -> (ModelId, Office) {
    let mut rules = policy(50, 60);
    let accounts = (2..5).map(|index| account(ledger, index)).collect();
    rules.roles = vec![Role { name: name("reviewer"), accounts }];
    rules.gates =
        vec![Gate { statement: name("safety-review"), role: name("reviewer"), attestors: 2, outvoted_by: None }];
    let action = founding(ledger, rules);
    let model = found_only(ledger, action);
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    (model, Office::Attester { model, role: name("reviewer") })
}

fn review(ledger: &mut TestLedger, by: u8) {
    let (artifact, statement) = (ArtifactId::of(b"1.0"), name("safety-review"));
    ledger.must(
        by,
        Action::Attest(Attest { artifact, statement, finding: Finding::Passed, evidence: None, note: String::new() }),
    );
}

#[test]
fn attestations_of_those_who_did_not_accept_the_role_do_not_meet_a_gate() {
    let mut ledger = ledger();
    let (model, reviewer) = gated(&mut ledger);
    let vacancies = |ledger: &TestLedger| office::vacancies(&ledger.state, &ledger.read(&model).unwrap()).unwrap();
    let short = |held| {
        let (statement, role) = (name("safety-review"), name("reviewer"));
        vec![Vacancy::TooFewAttesters { statement, role, held, needed: 2 }]
    };
    let release =
        decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") }), &[0, 1]);
    (2..5).for_each(|by| review(&mut ledger, by));
    assert_eq!(vacancies(&ledger), short(0));
    ledger.must(2, accept(reviewer.clone()));
    ledger.block(10_000, vec![]);
    let execute = || Action::ExecuteProposal(ExecuteProposal { proposal: release });
    assert_eq!(ledger.refused(0, execute()), "not_attested", "three said so, one of them a reviewer");
    assert_eq!(vacancies(&ledger), short(1));
    ledger.must(3, accept(reviewer.clone()));
    ledger.must(2, resign(reviewer.clone()));
    assert_eq!(ledger.refused(0, execute()), "not_attested", "who resigned counts no more");
    ledger.must(4, accept(reviewer));
    assert_eq!(vacancies(&ledger), []);
    ledger.must(0, execute());
    assert_eq!(ledger.read::<Model>(&model).unwrap().released, Some(label("1.0")));
}

#[test]
fn what_was_opened_under_the_old_policy_keeps_its_reviewers_and_its_guardian() {
    let mut ledger = ledger();
    let (model, reviewer) = gated(&mut ledger);
    ledger.accept_offers();
    let release =
        decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") }), &[0, 1]);
    let plain = ModelAction::SetPolicy(SetPolicy { policy: Box::new(policy(50, 60)) });
    decide(&mut ledger, model, plain, &[0, 1]);
    ledger.block(12_000, vec![]);
    assert_eq!(answer(&ledger, &reviewer, 2), Some(TenureStatus::Dismissed));
    review(&mut ledger, 2);
    review(&mut ledger, 3);
    let execute = Action::ExecuteProposal(ExecuteProposal { proposal: release });
    ledger.must(3, resign(reviewer));
    assert_eq!(ledger.refused(0, execute.clone()), "not_attested", "it can still give that back");
    review(&mut ledger, 4);
    ledger.must(0, execute);
}

#[test]
fn a_guardian_that_did_not_accept_stops_nothing() {
    let mut ledger = ledger();
    let mut rules = policy(50, 60);
    rules.rules.timelock_ms = 20_000;
    rules.guardian = Some(account(&ledger, 4));
    let action = founding(&ledger, rules);
    let model = found_only(&mut ledger, action);
    assert_eq!(office::vacancies(&ledger.state, &ledger.read(&model).unwrap()).unwrap(), [Vacancy::NoGuardian]);
    let id = decide(&mut ledger, model, ModelAction::Statement, &[0, 1]);
    let cancel = Action::CancelProposal(CancelProposal { proposal: id, reason: "no".into() });
    assert_eq!(ledger.refused(4, cancel.clone()), "not_guardian");
    ledger.must(4, accept(Office::Guardian(model)));
    ledger.must(4, cancel);
}

fn challenge(ledger: &mut TestLedger, model: ModelId) -> DisputeId {
    let target = DisputeTarget::Line { model, account: account(ledger, 2) };
    let asked = OpenDispute { target, units: Units::new(5), text: String::new(), evidence: None, bond: Units::ZERO };
    match ledger.must(0, Action::OpenDispute(asked)).events.first() {
        Some(Event::DisputeOpened { dispute, .. }) => *dispute,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panel_is_those_who_accepted_and_how_many_must_agree_never_falls() {
    let mut ledger = ledger();
    let accounts = [3, 4].map(|index| account(&ledger, index)).into();
    let action = founding(&ledger, ModelPolicy { arbiters: Some(Arbiters::new(accounts, 2)), ..policy(50, 60) });
    let model = found_only(&mut ledger, action);
    let office = Office::Arbiter(model);
    ledger.must(3, accept(office.clone()));
    let dispute = challenge(&mut ledger, model);
    let answer = |dispute| Action::AnswerDispute(AnswerDispute { dispute, text: String::new(), evidence: None });
    ledger.must(2, answer(dispute));
    let rule = |dispute| Action::RuleDispute(RuleDispute { dispute, upholds: true, reasons: "seen".into() });
    assert_eq!(ledger.refused(3, rule(dispute)), "for_owners", "one of two is no panel");
    let resolve = |dispute| ModelAction::ResolveDispute(ResolveDispute { dispute, upholds: false });
    let proposal = open(&mut ledger, 1, Question::of_model(model, vec![resolve(dispute)]));
    // One more accepts at the last moment. That takes nothing from the owners who were asked.
    ledger.must(4, accept(office.clone()));
    vote(&mut ledger, 0, proposal, Choice::Yes);
    vote(&mut ledger, 1, proposal, Choice::Yes);
    assert_eq!(ledger.refused(3, rule(dispute)), "for_owners");
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, proposal), ProposalStatus::Executed { .. }), "{:?}", status(&ledger, proposal));
    assert_eq!(ledger.read::<Dispute>(&dispute).unwrap().status.name(), "lifted");

    ledger.block(30 * 24 * 60 * 60 * 1_000, vec![]);
    let dispute = challenge(&mut ledger, model);
    ledger.must(2, answer(dispute));
    let (title, text) = ("a question".into(), String::new());
    let asked = OpenProposal { question: Question::of_model(model, vec![resolve(dispute)]), title, text };
    assert_eq!(ledger.refused(1, Action::OpenProposal(asked)), "for_arbiters");
    ledger.must(3, rule(dispute));
    ledger.must(3, resign(office.clone()));
    assert_eq!(ledger.refused(4, rule(dispute)), "for_owners");
    ledger.must(3, accept(office));
    ledger.must(4, rule(dispute));
    assert_eq!(ledger.read::<Dispute>(&dispute).unwrap().status.name(), "ruled", "both sit again");
}

#[test]
fn guardians_of_keys_count_once_they_accept() {
    let mut ledger = ledger();
    let lost = account(&ledger, 0);
    let guardians = vec![account(&ledger, 1), account(&ledger, 2)];
    let policy = RecoveryPolicy { guardians, needed: 2, delay_ms: 60_000 };
    ledger.must(0, Action::SetRecovery(SetRecovery { policy: Some(policy) }));
    let keys = KeyPolicy::single(SigningKey::from_seed(&[200; 32]).public_key());
    let recover = || Action::RecoverAccount(RecoverAccount { account: lost, keys: keys.clone() });
    let office = Office::KeyGuardian(lost);
    assert_eq!(ledger.refused(1, recover()), "not_key_guardian");
    ledger.must(1, accept(office.clone()));
    ledger.must(1, recover());
    ledger.must(1, resign(office.clone()));
    ledger.must(2, accept(office.clone()));
    let sought = ledger.must(2, recover());
    let ready =
        |events: &[Event]| events.iter().any(|event| matches!(event, Event::RecoverySought { ready: Some(_), .. }));
    assert!(!ready(&sought.events), "one that resigned does not count");
    ledger.must(1, accept(office.clone()));
    let again = ledger.must(2, recover());
    assert!(!ready(&again.events), "nor does what it said before, once it accepts again");
    assert!(ready(&ledger.must(1, recover()).events));
    assert_eq!(ledger.refused(0, accept(office)), "own_guardian");
}

#[test]
fn nobody_answers_for_an_incident_without_having_agreed() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let report = ReportIncident { model, label: label("1.0"), text: "it leaks".into(), evidence: None };
    let incident = match ledger.must(3, Action::ReportIncident(report)).events.first() {
        Some(Event::IncidentReported { incident, .. }) => *incident,
        other => panic!("{other:?}"),
    };
    let update = |ledger: &mut TestLedger, responsible: Option<AccountId>| {
        let (status, text) = (IncidentStatus::Investigating, String::new());
        ledger.must(0, Action::UpdateIncident(UpdateIncident { incident, responsible, status, text }));
    };
    let office = Office::Responsible(incident);
    let (northfield, lakeside) = (account(&ledger, 0), account(&ledger, 1));
    update(&mut ledger, Some(lakeside));
    assert_eq!(answer(&ledger, &office, 1), Some(TenureStatus::Offered));
    ledger.must(1, resign(office.clone()));
    update(&mut ledger, Some(lakeside));
    assert_eq!(answer(&ledger, &office, 1), Some(TenureStatus::Resigned), "an update only carries the name along");
    update(&mut ledger, Some(northfield));
    assert_eq!(answer(&ledger, &office, 1), None);
    assert_eq!(answer(&ledger, &office, 0), Some(TenureStatus::Accepted), "the steward named itself");
    assert_eq!(ledger.refused(1, accept(Office::Responsible(IncidentId::from_bytes([1; 32])))), "unknown_incident");
}

#[test]
fn a_validator_is_admitted_once_its_operator_and_its_key_agree_and_leaves_when_the_operator_resigns() {
    let mut ledger = ledger();
    let key = SigningKey::from_seed(&[77; 32]);
    let (validator, operator) = (key.public_key(), account(&ledger, 4));
    let office = Office::Operator(validator);
    let admit = NetworkAction::AdmitValidator(AdmitValidator { key: validator, power: Power::new(1), operator });
    let id = open(&mut ledger, 0, Question::of_network(vec![admit]));
    (0..4).for_each(|voter| vote(&mut ledger, voter, id, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, id), ProposalStatus::Queued { .. }), "it waits for its operator");
    let execute = || Action::ExecuteProposal(ExecuteProposal { proposal: id });
    assert_eq!(ledger.refused(0, execute()), "not_accepted");
    // Without the key's own word, or with another key's, or with one for another account.
    let foreign = operates(ledger.tip.network, account(&ledger, 3), &key);
    assert_eq!(ledger.refused(4, foreign), "key_disagrees");
    assert_eq!(ledger.refused(4, accept(office.clone())), "key_disagrees");
    let accept_it = operates(ledger.tip.network, operator, &key);
    ledger.must(4, accept_it);
    ledger.must(0, execute());
    assert_eq!(answer(&ledger, &office, 4), Some(TenureStatus::Accepted));
    let address = validator.validator_address();
    ledger.block(1, vec![]);
    assert!(ledger.tip.validators.by_address(&address).is_some());
    assert_eq!(ledger.refused(3, resign(office.clone())), "not_in_office", "only its operator does");
    ledger.must(4, resign(office.clone()));
    assert!(ledger.tip.validators.by_address(&address).is_some(), "it still decides the next block");
    ledger.block(1, vec![]);
    assert!(ledger.tip.validators.by_address(&address).is_none());
    assert_eq!(answer(&ledger, &office, 4), None);
    // The founders' validators are operated by those that the genesis names; one of them stays.
    for index in 0..4u8 {
        let own = Office::Operator(SigningKey::from_seed(&[index + 101; 32]).public_key());
        if index < 3 {
            ledger.must(index, resign(own));
        } else {
            assert_eq!(ledger.refused(index, resign(own)), "bad_validator_set");
        }
    }
    ledger.block(1, vec![]);
    assert_eq!(ledger.tip.validators.len(), 1);
}

#[test]
fn offers_bind_nobody_and_are_listed_with_those_who_got_them() {
    let mut ledger = ledger();
    let mut action = founding(&ledger, policy(50, 60));
    action.stewards = (0..5).map(|index| account(&ledger, index)).collect();
    let founded = ledger.must(0, Action::CreateModel(action));
    let offered = founded.events.iter().filter(|event| matches!(event, Event::OfficeOffered { .. })).count();
    assert_eq!(offered, 4, "all but the founder, who signed");
    let again = founding(&ledger, policy(50, 60));
    let other = found(&mut ledger, CreateModel { name: name("letters"), ..again });
    assert_eq!(answer(&ledger, &Office::Steward(other), 1), None);
}
