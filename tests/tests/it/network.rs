//! What the members of the network decide.

use crate::common::{account, decide_network, founded, ledger, open, status, tally, vote, with_model};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{Handle, Power, Units},
        limits,
    },
    ledger::{
        block::Block,
        execute::{Outcome, TransactionResult, execute},
    },
    rules::{
        account::{Account, CreateAccount, HandleOf, KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        approval::{Approvable, RequestApproval, SignApproval},
        context::ExecuteError,
        delegation::Delegate,
        event::Event,
        model::Retire,
        network::{
            AdmitMember, AdmitValidator, GrantQuota, Network, ReinstateAccount, RemoveValidator, RetiredKey,
            ReweightValidator, SetParameters, SuspendAccount, Upgrade,
        },
        policy::ModelPolicy,
        proposal::{CastBallot, Choice, ModelAction, NetworkAction, OpenProposal, Proposal, ProposalStatus, Question},
        rejection::Rejection,
        share::TransferShares,
    },
};
use allod_tests::ledger::{TestLedger, operates};

fn executed(status: &ProposalStatus) -> bool {
    matches!(status, ProposalStatus::Executed { .. })
}

fn create(handle: &str) -> Action {
    let keys = KeyPolicy::single(SigningKey::from_seed(&[50; 32]).public_key());
    Action::CreateAccount(CreateAccount { handle: Handle::new(handle).unwrap(), keys, quota: 0 })
}

#[test]
fn members_suspend_an_account_and_reinstate_it() {
    let mut ledger = ledger();
    let seafront = account(&ledger, 4);
    let suspend = NetworkAction::SuspendAccount(SuspendAccount { account: seafront, reason: "stolen keys".into() });
    assert!(executed(&decide_network(&mut ledger, suspend.clone())));
    assert_eq!(ledger.refused(4, create("branch")), "suspended");
    let id = crate::common::open(&mut ledger, 0, Question::of_network(vec![suspend]));
    (0..4).for_each(|voter| crate::common::vote(&mut ledger, voter, id, allod_protocol::rules::proposal::Choice::Yes));
    ledger.block(10_000, vec![]);
    assert_eq!(crate::common::status(&ledger, id).name(), "execution_failed");
    let reinstate = NetworkAction::ReinstateAccount(ReinstateAccount { account: seafront });
    let id = crate::common::open(&mut ledger, 0, Question::of_network(vec![reinstate]));
    (0..4).for_each(|voter| crate::common::vote(&mut ledger, voter, id, allod_protocol::rules::proposal::Choice::Yes));
    ledger.block(10_000, vec![]);
    assert!(executed(&crate::common::status(&ledger, id)));
    ledger.must(4, create("branch"));
}

#[test]
fn a_suspended_account_votes_and_starts_nothing() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let lakeside = account(&ledger, 1);
    let suspend =
        NetworkAction::SuspendAccount(SuspendAccount { account: lakeside, reason: "it answers nobody".into() });
    let by = open(&mut ledger, 0, Question::of_network(vec![suspend]));
    (0..4).for_each(|voter| vote(&mut ledger, voter, by, Choice::Yes));
    ledger.block(10_000, vec![]);
    let suspension = ledger.read::<Account>(&lakeside).unwrap().suspended.expect("it is suspended");
    assert_eq!((suspension.proposal, suspension.reason.as_str()), (by, "it answers nobody"));

    let release = || vec![ModelAction::Retire(Retire { reason: "old".into() })];
    let question = open(&mut ledger, 0, Question::of_model(model, release()));
    vote(&mut ledger, 1, question, Choice::No);
    assert_eq!(tally(&ledger, question)[1], 30, "it votes with its shares");
    let reinstate = NetworkAction::ReinstateAccount(ReinstateAccount { account: lakeside });
    let about_it = open(&mut ledger, 0, Question::of_network(vec![reinstate]));
    vote(&mut ledger, 1, about_it, Choice::Yes);
    assert_eq!(tally(&ledger, about_it)[0], 1, "and as a member, on itself too");

    let asked = OpenProposal { question: Question::of_model(model, release()), title: "x".into(), text: String::new() };
    assert_eq!(ledger.refused(1, Action::OpenProposal(asked)), "suspended");
    assert_eq!(ledger.refused(1, create("branch")), "suspended");
    let ballot = |choice| Action::CastBallot(CastBallot::whole(question, choice));
    let two = [Choice::Yes, Choice::Abstain].map(|choice| ledger.sign_as(1, ballot(choice)));
    let results = ledger.block(1_000, two.to_vec()).results;
    assert_eq!(results[0].outcome, Outcome::Applied);
    assert!(matches!(&results[1].outcome, Outcome::Rejected(rejection) if rejection.code() == "rate_limited"));
}

#[test]
fn a_model_can_do_without_the_votes_of_suspended_accounts() {
    let mut ledger = ledger();
    let policy = ModelPolicy { suspended_vote: false, ..allod_tests::ledger::policy(50, 60) };
    let model = founded(&mut ledger, policy);
    let suspend = NetworkAction::SuspendAccount(SuspendAccount {
        account: account(&ledger, 1),
        reason: "it answers nobody".into(),
    });
    decide_network(&mut ledger, suspend);
    let retire = vec![ModelAction::Retire(Retire { reason: "old".into() })];
    let question = open(&mut ledger, 0, Question::of_model(model, retire));
    assert_eq!(ledger.refused(1, Action::CastBallot(CastBallot::whole(question, Choice::No))), "suspended");
    let delegate = Delegate { model, to: Some(account(&ledger, 2)), expires: None };
    assert_eq!(ledger.refused(1, Action::Delegate(delegate)), "suspended");
}

#[test]
fn to_suspend_takes_more_than_half_of_all_members() {
    for (voters, outcome) in [(3, "rejected"), (4, "executed")] {
        let mut ledger = ledger();
        ledger.must(0, create("clinic"));
        let HandleOf(clinic) = ledger.read(&Handle::new("clinic").unwrap()).unwrap();
        decide_network(&mut ledger, NetworkAction::AdmitMember(AdmitMember { account: clinic }));
        ledger.block(1, vec![]);
        // The members' rule asks for half of six and two thirds of those who answer; three of three are not enough.
        let mut parameters = ledger.read::<Network>(&()).unwrap().parameters;
        parameters.policy.accounts.early_close_ms = Some(0);
        decide_network(&mut ledger, NetworkAction::SetParameters(SetParameters { parameters: Box::new(parameters) }));
        let suspend =
            NetworkAction::SuspendAccount(SuspendAccount { account: account(&ledger, 4), reason: "it is rich".into() });
        let proposal = open(&mut ledger, 0, Question::of_network(vec![suspend]));
        (0..voters).for_each(|voter| vote(&mut ledger, voter, proposal, Choice::Yes));
        ledger.block(10_000, vec![]);
        assert_eq!(status(&ledger, proposal).name(), outcome, "{voters} of six");
    }
}

#[test]
fn a_suspended_account_gathers_signatures_for_what_it_may_do_alone() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let lakeside = account(&ledger, 1);
    let seeds = [61, 62].map(|seed| SigningKey::from_seed(&[seed; 32]));
    let keys = seeds.iter().map(|key| WeightedKey { key: key.public_key(), weight: 1 }).collect();
    ledger.must(1, Action::RotateKeys(RotateKeys { keys: KeyPolicy { threshold: 2, keys } }));
    let question =
        open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Retire(Retire { reason: "old".into() })]));
    let give = TransferShares { model, to: account(&ledger, 4), units: Units::new(1), reason: String::new() };
    let request = |action: Box<Approvable>| {
        Action::RequestApproval(RequestApproval { action, lifetime_ms: 86_400_000, every_key: false })
    };
    let put = |ledger: &mut TestLedger, key: usize, action| {
        let transaction = ledger.sign(lakeside, &seeds[key..=key], action);
        ledger.run(transaction)
    };
    let id = |result: &TransactionResult| match result.events.first() {
        Some(Event::ApprovalRequested { approval, .. }) => *approval,
        _ => panic!("{result:?}"),
    };
    let before = id(&put(&mut ledger, 0, request(Box::new(Action::TransferShares(give.clone())))));
    let suspend =
        NetworkAction::SuspendAccount(SuspendAccount { account: lakeside, reason: "it answers nobody".into() });
    let by = open(&mut ledger, 0, Question::of_network(vec![suspend]));
    [0, 2, 3, 4].into_iter().for_each(|voter| vote(&mut ledger, voter, by, Choice::Yes));
    let open_still =
        open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Retire(Retire { reason: "old".into() })]));
    ledger.block(5_000, vec![]);
    assert_eq!(status(&ledger, question).name(), "rejected");

    let sign = |approval| Action::SignApproval(SignApproval { approval, approve: true });
    let refused = |result: &TransactionResult| match &result.outcome {
        Outcome::Rejected(rejection) => rejection.code(),
        Outcome::Applied => panic!("it applied"),
    };
    assert_eq!(refused(&put(&mut ledger, 1, sign(before))), "suspended", "what was asked before does not slip through");
    assert_eq!(refused(&put(&mut ledger, 0, request(Box::new(Action::TransferShares(give))))), "suspended");
    let ballot = Box::new(Action::CastBallot(CastBallot::whole(open_still, Choice::No)));
    let ballot = id(&put(&mut ledger, 0, request(ballot)));
    assert_eq!(put(&mut ledger, 1, sign(ballot)).outcome, Outcome::Applied);
    assert_eq!(tally(&ledger, open_still)[1], 30);
}

#[test]
fn a_new_member_answers_no_question_that_was_open_before() {
    let mut ledger = ledger();
    ledger.must(0, create("clinic"));
    let HandleOf(clinic) = ledger.read(&Handle::new("clinic").unwrap()).unwrap();
    let grant = NetworkAction::GrantQuota(GrantQuota { account: clinic, quota: 1 });
    let admit =
        open(&mut ledger, 0, Question::of_network(vec![NetworkAction::AdmitMember(AdmitMember { account: clinic })]));
    ledger.block(1_000, vec![]);
    let before = open(&mut ledger, 0, Question::of_network(vec![grant.clone()]));
    (0..4).for_each(|voter| vote(&mut ledger, voter, admit, Choice::Yes));
    let closes = ledger.read::<Proposal>(&admit).unwrap().closes;
    let left = closes.get() - ledger.tip.time.get();
    ledger.block(left, vec![]);
    assert!(executed(&status(&ledger, admit)));
    let answer = |proposal| Action::CastBallot(CastBallot::whole(proposal, Choice::No));
    let key = [SigningKey::from_seed(&[50; 32])];
    let cast = |ledger: &mut TestLedger, proposal| {
        let transaction = ledger.sign(clinic, &key, answer(proposal));
        ledger.run(transaction).outcome
    };
    let refused = cast(&mut ledger, before);
    assert!(
        matches!(refused, Outcome::Rejected(Rejection::NoWeight { account, .. }) if account == clinic),
        "{refused:?}"
    );
    let after = open(&mut ledger, 0, Question::of_network(vec![grant]));
    assert_eq!(cast(&mut ledger, after), Outcome::Applied);
}

#[test]
fn members_admit_members_and_grant_quotas() {
    let mut ledger = ledger();
    ledger.must(0, create("clinic"));
    let HandleOf(clinic) = ledger.read(&Handle::new("clinic").unwrap()).unwrap();
    assert!(executed(&decide_network(&mut ledger, NetworkAction::AdmitMember(AdmitMember { account: clinic }))));
    assert_eq!(ledger.read::<Network>(&()).unwrap().members, 6);
    let again = decide_network(&mut ledger, NetworkAction::AdmitMember(AdmitMember { account: clinic }));
    assert_eq!(again.name(), "execution_failed");
    assert!(executed(&decide_network(
        &mut ledger,
        NetworkAction::GrantQuota(GrantQuota { account: clinic, quota: 7 })
    )));
    assert_eq!(ledger.read::<Account>(&clinic).unwrap().quota, 7);
}

#[test]
fn members_reweight_a_validator_in_force_two_blocks_later() {
    let mut ledger = ledger();
    let key = ledger.tip.validators.iter().next().unwrap().key;
    let reweight = NetworkAction::ReweightValidator(ReweightValidator { key, power: Power::new(5) });
    assert!(executed(&decide_network(&mut ledger, reweight)));
    assert_eq!(ledger.tip.validators.total_power(), Power::new(4));
    ledger.block(1, vec![]);
    assert_eq!(ledger.tip.validators.total_power(), Power::new(8));
}

#[test]
fn parameters_change_from_the_next_block_on_and_within_bounds() {
    let mut ledger = ledger();
    let mut parameters = ledger.read::<Network>(&()).unwrap().parameters;
    parameters.transactions_per_account_per_block = 2;
    let set = NetworkAction::SetParameters(SetParameters { parameters: Box::new(parameters.clone()) });
    assert!(executed(&decide_network(&mut ledger, set)));
    let three: Vec<_> = (0..3).map(|index| ledger.sign_as(1, create(&format!("branch-{index}")))).collect();
    let results = ledger.block(1_000, three).results;
    assert!(
        matches!(&results[2].outcome, allod_protocol::ledger::execute::Outcome::Rejected(r) if r.code() == "rate_limited")
    );
    parameters.heartbeat_ms = 1;
    let question = allod_protocol::rules::proposal::OpenProposal {
        question: Question::of_network(vec![NetworkAction::SetParameters(SetParameters {
            parameters: Box::new(parameters),
        })]),
        title: "t".into(),
        text: String::new(),
    };
    let transaction = ledger.sign_as(0, Action::OpenProposal(question));
    assert!(transaction.check_form(ledger.tip.network).unwrap_err().to_string().contains("heartbeat_ms"));
}

#[test]
fn a_build_that_the_network_outgrew_stops_before_the_height_and_says_what_to_install() {
    let mut ledger = ledger();
    let upgrade = |height, protocol| NetworkAction::Upgrade(Upgrade { height, protocol, release: "0.9.0".into() });
    let soon = ledger.tip.height.next();
    let old = decide_network(&mut ledger, upgrade(soon, limits::PROTOCOL_VERSION));
    assert!(matches!(&old, ProposalStatus::ExecutionFailed { reason, .. } if reason.code() == "upgrade_too_soon"));
    let height = allod_protocol::ground::ids::Height::new(ledger.tip.height.get() + 10);
    assert!(executed(&decide_network(&mut ledger, upgrade(height, limits::PROTOCOL_VERSION + 1))));
    while ledger.tip.height < height.previous() {
        ledger.block(1, vec![]);
    }
    let proposer = ledger.tip.validators.proposer(height, 0).address;
    let block = Block::following(&ledger.tip, proposer, ledger.tip.time.plus_ms(1), vec![]);
    let error = execute(&ledger.state, &block).unwrap_err();
    assert!(matches!(error, ExecuteError::Outgrown(_)));
    assert!(error.to_string().contains("install release 0.9.0"), "{error}");
}

#[test]
fn a_removed_validators_key_is_never_admitted_again() {
    let mut ledger = ledger();
    let operator = account(&ledger, 1);
    let key = ledger.tip.validators.iter().next().unwrap().key;
    let founding = (0..4).map(|index| SigningKey::from_seed(&[index + 101; 32]));
    let own = founding.into_iter().find(|founding| founding.public_key() == key).unwrap();
    let network = ledger.tip.network;
    let admit = |key| NetworkAction::AdmitValidator(AdmitValidator { key, power: Power::new(1), operator });
    assert!(executed(&decide_network(&mut ledger, NetworkAction::RemoveValidator(RemoveValidator { key }))));
    let retired = ledger.read::<RetiredKey>(&key).expect("retired");
    assert_eq!((retired.key, retired.height), (key, ledger.tip.height));
    ledger.block(1, vec![]);
    assert_eq!(ledger.tip.validators.len(), 3, "the key decided for the last time");

    ledger.must(1, operates(network, operator, &own));
    match decide_network(&mut ledger, admit(key)) {
        ProposalStatus::ExecutionFailed { reason: Rejection::RetiredValidatorKey { key: named, height }, .. } => {
            assert_eq!((named, height), (key, retired.height));
        }
        other => panic!("{other:?}"),
    }
    let new = SigningKey::from_seed(&[77; 32]);
    ledger.must(1, operates(network, operator, &new));
    let new = new.public_key();
    assert!(executed(&decide_network(&mut ledger, admit(new))), "its operator has another key admitted");

    // In one decision neither: a key that leaves is gone before it could come back.
    let id = open(
        &mut ledger,
        0,
        Question::of_network(vec![NetworkAction::RemoveValidator(RemoveValidator { key: new }), admit(new)]),
    );
    (0..5).for_each(|voter| vote(&mut ledger, voter, id, Choice::Yes));
    ledger.block(10_000, vec![]);
    assert!(!executed(&status(&ledger, id)));
    assert_eq!(ledger.read::<RetiredKey>(&new), None, "and what failed retired nothing");
}
