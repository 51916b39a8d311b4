//! What transactions and what falls due may cost, and that nobody pays for somebody else's.

use super::common::{HANDLES, account, open, status, tally, version, vote, with_model};
use allod_protocol::{
    ground::{
        codec,
        crypto::{Domain, SigningKey},
        ids::{AccountId, Handle, ModelId, Name, Units},
        invalid::Invalid,
        limits,
        state::{Overlay, Record},
    },
    ledger::{
        block::{Block, InvalidBlock},
        execute::Outcome,
    },
    rules::{
        access::{BindPeer, Distribution, PeerBinding, ReleasePeer},
        account::{CreateAccount, KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        approval::{Approval, ApprovalOf, RequestApproval, SignApproval},
        attestation::{Attest, Finding},
        delegation::{Delegate, DelegatedAt},
        due::{Turn, TurnOf},
        emergency::{StopVersion, VersionStop},
        event::Event,
        incident::{Incident, IncidentStatus, ReportIncident, UpdateIncident},
        load,
        model::{CreateModel, FoundingLine, ParentGrant, ReleaseVersion, SetPolicy},
        policy::{EmergencyStop, Gate, Role},
        proposal::{Ballot, CastBallot, Choice, ExecuteProposal, ModelAction, OpenProposal, Question, Scope},
        quota::{Keeps, Kept},
        share::{BurnByDecision, TransferShares},
        transaction::Transaction,
    },
};
use allod_tests::ledger::{TestLedger, key, policy};

/// A ledger of many accounts; the first of them have a validator each.
fn crowd(count: usize) -> (TestLedger, Vec<AccountId>) {
    let handles: Vec<String> = (0..count).map(|index| format!("account-{index}")).collect();
    let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
    let ledger = TestLedger::new(&handles);
    let accounts = handles.iter().map(|handle| ledger.account(handle)).collect();
    (ledger, accounts)
}

fn founding_of(ledger: &TestLedger, name: &str, holders: &[AccountId], grants: Vec<ParentGrant>) -> CreateModel {
    let line = |account: &AccountId| FoundingLine { account: *account, units: Units::new(10), vesting: None };
    CreateModel {
        name: Name::new(name).expect("a name"),
        description: String::new(),
        founding: holders.iter().map(line).collect(),
        stewards: vec![ledger.genesis.account_id(&ledger.genesis.accounts[0].handle)],
        policy: policy(1, 50),
        licence: None,
        distribution: Distribution::default(),
        grants,
    }
}

fn found(ledger: &mut TestLedger, by: u8, name: &str, holders: &[AccountId]) -> ModelId {
    let action = founding_of(ledger, name, holders, Vec::new());
    found_as(ledger, by, action)
}

fn found_as(ledger: &mut TestLedger, by: u8, action: CreateModel) -> ModelId {
    match ledger.must(by, Action::CreateModel(action)).events.first() {
        Some(Event::ModelCreated { model, .. }) => *model,
        other => panic!("{other:?}"),
    }
}

fn question(model: ModelId, actions: Vec<ModelAction>) -> Action {
    let question = Question::of_model(model, actions);
    Action::OpenProposal(OpenProposal { question, title: "a question".into(), text: String::new() })
}

fn check(ledger: &TestLedger, transactions: Vec<Transaction>) -> Result<(), InvalidBlock> {
    let proposer = ledger.tip.validators.proposer(ledger.tip.height.next(), 0).address;
    let block = Block::following(&ledger.tip, proposer, ledger.tip.time.plus_ms(1), transactions);
    block.check(&ledger.tip, None, &|_| true)
}

#[test]
fn every_signature_weighs_what_checking_it_costs() {
    let mut ledger = TestLedger::new(&HANDLES);
    let (northfield, peer) = (account(&ledger, 0), key(9).public_key());
    let mut weight_with = |keys: &[SigningKey]| {
        let action = Action::ReleasePeer(ReleasePeer { peer });
        load::of(&ledger.sign(northfield, keys, action)).get()
    };
    let (one, two) = (weight_with(&[key(0)]), weight_with(&[key(0), key(1)]));
    assert!(two >= one + limits::WEIGHT_OF_SIGNATURE, "{one} and {two}");
}

#[test]
fn no_block_is_heavier_than_all_may_be_nor_one_sender_than_its_part() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = with_model(&mut ledger);
    let proposal = open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    let mut heavy = |by| ledger.sign_as(by, Action::ExecuteProposal(ExecuteProposal { proposal }));
    let one = load::of(&heavy(0)).get();
    let of_sender = usize::try_from(limits::SENDER_WEIGHT.get() / one).expect("few");
    let by = |count: usize, by: u8, heavy: &mut dyn FnMut(u8) -> Transaction| {
        (0..count).map(|_| heavy(by)).collect::<Vec<_>>()
    };
    let fits = by(of_sender, 0, &mut heavy);
    let too_many = by(of_sender + 1, 0, &mut heavy);
    let all: Vec<Transaction> = (0..5).flat_map(|sender| by(of_sender, sender, &mut heavy)).collect();
    assert_eq!(check(&ledger, fits), Ok(()));
    let sender = account(&ledger, 0);
    let refused = check(&ledger, too_many);
    assert!(matches!(refused, Err(InvalidBlock::SenderTooHeavy { account, .. }) if account == sender), "{refused:?}");
    assert!(matches!(check(&ledger, all), Err(InvalidBlock::TooHeavy(_))));
}

#[test]
fn founding_for_the_holders_of_other_models_weighs_what_it_can_write() {
    let (mut ledger, accounts) = crowd(120);
    let parent = found(&mut ledger, 0, "parent", &accounts);
    let grants = vec![ParentGrant { parent, units: Units::new(1_000_000) }];
    let plain = founding_of(&ledger, "plain", &accounts[..1], Vec::new());
    let derived = founding_of(&ledger, "derived", &accounts[..1], grants);
    let plain = ledger.sign_as(0, Action::CreateModel(plain));
    let derived = ledger.sign_as(0, Action::CreateModel(derived));
    let (light, heavy) = (load::of(&plain).get(), load::of(&derived).get());
    assert!(heavy > light + 512 * 3 * limits::WEIGHT_OF_WRITE, "{heavy} beside {light}");
    // Its 120 holders are served, and the count is within the weight: the ledger of the tests sees to that.
    let executed = ledger.block(1_000, vec![derived]);
    assert_eq!(executed.results[0].outcome, Outcome::Applied);
    assert!(executed.work.transactions[0].writes > 3 * 120, "{:?}", executed.work);
}

#[test]
fn many_entries_of_one_model_hold_up_no_other_models_vote() {
    let (mut ledger, accounts) = crowd(240);
    let crowded = found(&mut ledger, 0, "crowded", &accounts[..200]);
    let other = found(&mut ledger, 1, "other", &accounts[200..204]);
    let opens = |model| question(model, vec![ModelAction::Statement; 16]);
    let start = ledger.tip.time;
    // Each of the holders asks as often as it may; every question closes before the other model's.
    for round in 0..2 {
        for chunk in (0..200u8).collect::<Vec<_>>().chunks(40) {
            let signed = chunk.iter().map(|by| ledger.sign_as(*by, opens(crowded))).collect();
            for result in ledger.block(1, signed).results {
                assert_eq!(result.outcome, Outcome::Applied, "in round {round}");
            }
        }
    }
    let vote_ends = ledger.sign_as(200, opens(other));
    let opened = ledger.block(1, vec![vote_ends]).results.remove(0);
    let Some(Event::ProposalOpened { proposal, .. }) = opened.events.first().cloned() else { panic!("{opened:?}") };
    vote(&mut ledger, 200, proposal, Choice::Yes);
    let due = start.plus_ms(60_000);
    let later = due.get() - ledger.tip.time.get();
    let first = ledger.block(later, vec![]);
    let closed = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::ProposalClosed { .. })).count();
    assert!(closed(&first.deadline_events) < 400, "a block does not do it all");
    assert!(status(&ledger, proposal).is_final(), "the other model's vote is closed with the first of them");
    let mut left = 400 + 1 - closed(&first.deadline_events);
    let mut blocks = 1;
    while left > 0 {
        let more = closed(&ledger.block(1, vec![]).deadline_events);
        assert!(more > 0, "{left} are left");
        (left, blocks) = (left - more, blocks + 1);
    }
    assert!(blocks > 3, "{blocks}");
}

#[test]
fn a_block_takes_no_more_of_the_agenda_than_its_weight() {
    let (mut ledger, accounts) = crowd(60);
    let models: Vec<ModelId> =
        (0..30).map(|by| found(&mut ledger, by, "model", &[accounts[usize::from(by)]])).collect();
    let asked =
        (0..).zip(&models).map(|(by, model)| ledger.sign_as(by, question(*model, vec![ModelAction::Statement; 16])));
    let asked: Vec<Transaction> = asked.collect();
    ledger.block(1, asked);
    let mut order = Vec::new();
    let first = ledger.block(60_000, vec![]);
    assert!(first.work.due.reads * limits::WEIGHT_OF_READ <= limits::AGENDA_WEIGHT.get(), "{:?}", first.work.due);
    order.extend(closed_of(&first.deadline_events));
    while order.len() < 30 {
        let before = order.len();
        order.extend(closed_of(&ledger.block(1, vec![]).deadline_events));
        assert!(order.len() > before, "{before} of 30");
    }
    let mut models = models;
    let mut scopes = order.clone();
    models.sort();
    scopes.sort();
    assert_eq!(scopes, models.into_iter().map(Scope::Model).collect::<Vec<_>>(), "each once");
}

fn closed_of(events: &[Event]) -> Vec<Scope> {
    let scope = |event: &Event| match event {
        Event::ProposalClosed { scope, .. } => Some(*scope),
        _ => None,
    };
    events.iter().filter_map(scope).collect()
}

#[test]
fn a_proposal_that_would_do_too_much_at_once_is_refused() {
    let (mut ledger, accounts) = crowd(40);
    let mut action = founding_of(&ledger, "model", &accounts[..1], Vec::new());
    let name = |number: usize| Name::new(format!("role-{number}")).expect("a name");
    action.policy.roles = (0..8).map(|number| Role { name: name(number), accounts: accounts[..32].to_vec() }).collect();
    action.policy.gates = (0..8)
        .map(|number| Gate { statement: name(number), role: name(number), attestors: 1, outvoted_by: None })
        .collect();
    let model = found_as(&mut ledger, 0, action);
    let release = |count: usize| {
        let label = |number| version(model, &format!("v{number}")).label;
        let actions =
            (0..count).map(|number| ModelAction::ReleaseVersion(ReleaseVersion { label: label(number) })).collect();
        question(model, actions)
    };
    assert_eq!(ledger.refused(0, release(6)), "decision_too_heavy");
    ledger.must(0, release(5));
    let burn =
        ModelAction::BurnShares(BurnByDecision { from: accounts[0], units: Units::new(1), cause: "c".repeat(200) });
    ledger.must(0, question(model, vec![burn; 16]));
}

#[test]
fn no_action_of_a_proposal_is_so_long_that_each_answer_pays_for_it() {
    let (mut ledger, accounts) = crowd(200);
    let model = found(&mut ledger, 0, "model", &accounts[..1]);
    let policy = |roles: usize| {
        let name = |number: usize| Name::new(format!("role-{number}")).expect("a name");
        let mut policy = policy(1, 50);
        policy.roles =
            (0..roles).map(|number| Role { name: name(number), accounts: accounts[..32].to_vec() }).collect();
        ModelAction::SetPolicy(SetPolicy { policy: Box::new(policy) })
    };
    let long = ledger.sign_as(0, question(model, vec![policy(8), policy(8)]));
    let refused = long.check_form(ledger.tip.network);
    assert!(matches!(refused, Err(Invalid::Form { field: "actions", .. })), "{refused:?}");
    ledger.must(0, question(model, vec![policy(8)]));
}

#[test]
fn delegations_that_end_hold_up_no_vote_of_their_own_model_either() {
    let (mut ledger, accounts) = crowd(250);
    let model = found(&mut ledger, 0, "model", &accounts);
    let ends = ledger.tip.time.plus_ms(30_000);
    for chunk in (1..250u8).collect::<Vec<_>>().chunks(80) {
        let delegate = |by: &u8| {
            let action = Delegate { model, to: Some(accounts[0]), expires: Some(ends) };
            ledger.sign_as(*by, Action::Delegate(action))
        };
        let signed = chunk.iter().map(delegate).collect();
        for result in ledger.block(1, signed).results {
            assert_eq!(result.outcome, Outcome::Applied);
        }
    }
    let given = |ledger: &TestLedger| {
        let height = ledger.tip.height;
        let overlay = Overlay::new(&ledger.state);
        overlay
            .read_as_of::<DelegatedAt>(&(model, accounts[0]), &(model, accounts[0], height))
            .map_or(0, |at| at.0.units)
    };
    assert_eq!(given(&ledger), 2_490);
    // The vote closes a moment after all of them ended.
    let to_open = ends.get() - 9_000 - ledger.tip.time.get();
    ledger.block(to_open, vec![]);
    let proposal = open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    let closes = ledger.tip.time.plus_ms(10_000);
    let executed = ledger.block(closes.get() - ledger.tip.time.get(), vec![]);
    assert!(status(&ledger, proposal).is_final(), "in the block in which it was due");
    let ended =
        |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Delegated { to: None, .. })).count();
    assert!(ended(&executed.deadline_events) < 249, "a block does not end them all");
    let mut left = 249 - ended(&executed.deadline_events);
    while left > 0 {
        left -= ended(&ledger.block(1, vec![]).deadline_events);
    }
    assert_eq!(given(&ledger), 0);
}

#[test]
fn what_a_transaction_did_is_within_its_weight_in_a_crowded_state() {
    // What a stranger can make costly: an account with many keys and requests, offices and peers; a model with many names.
    let (mut ledger, accounts) = crowd(64);
    let keys: Vec<SigningKey> = (0..16).map(|number| SigningKey::from_seed(&[200 + number; 32])).collect();
    let weighted = keys.iter().map(|key| WeightedKey { key: key.public_key(), weight: 1 });
    let policy = KeyPolicy { threshold: 16, keys: weighted.collect() };
    let handle = Handle::new("threshold").expect("a handle");
    let created = ledger.must(0, Action::CreateAccount(CreateAccount { handle, keys: policy, quota: 0 }));
    let Some(Event::AccountCreated { account: id, .. }) = created.events.first().cloned() else {
        panic!("{created:?}")
    };
    let model = found(&mut ledger, 0, "model", &[accounts[0], id]);
    let transfer = |units| TransferShares { model, to: accounts[1], units: Units::new(units), reason: "r".repeat(200) };
    for by in &keys {
        let request = RequestApproval {
            action: Box::new(Action::TransferShares(transfer(1)).for_approval().expect("it can be asked")),
            lifetime_ms: 60_000,
            every_key: false,
        };
        let signed = ledger.sign(id, std::slice::from_ref(by), Action::RequestApproval(request));
        assert_eq!(ledger.run(signed).outcome, Outcome::Applied);
    }
    // All of them wait when the keys are replaced; the ledger of the tests holds the count against the weight.
    let rotate = RotateKeys { keys: KeyPolicy::single(key(0).public_key()) };
    let rotate = ledger.sign(id, &keys, Action::RotateKeys(rotate));
    assert_eq!(ledger.run(rotate).outcome, Outcome::Applied);
    let kept = ApprovalOf::key_bytes(&id);
    assert!(!ledger.state.0.keys().any(|key| key.starts_with(&kept)), "none is left without a key");
}

/// Takes every turn from the agenda, as if it could not follow: nothing is handled from then on.
fn stall(ledger: &mut TestLedger) {
    let turns = [Turn::key_bytes(&()), TurnOf::key_bytes(&())];
    ledger.state.0.retain(|key, _| !turns.iter().any(|family| key.starts_with(family)));
}

#[test]
fn a_delegation_counts_in_no_proposal_that_is_opened_after_it_ended() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = with_model(&mut ledger);
    let (delegate, ends) = (account(&ledger, 0), ledger.tip.time.plus_ms(5_000));
    let delegated = Delegate { model, to: Some(delegate), expires: Some(ends) };
    ledger.must(1, Action::Delegate(delegated.clone()));
    let before = open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    // In the very block in which it ends, though weights are those of the block before.
    let later = ends.get() - ledger.tip.time.get();
    let question = question(model, vec![ModelAction::Statement]);
    let opened = ledger.must_after(later, 0, question.clone());
    let Some(Event::ProposalOpened { proposal: after, .. }) = opened.events.first().cloned() else {
        panic!("{opened:?}")
    };
    for proposal in [before, after] {
        vote(&mut ledger, 0, proposal, Choice::Yes);
    }
    assert_eq!((tally(&ledger, before)[0], tally(&ledger, after)[0]), (80, 50));
    // Where the agenda cannot follow, none is opened that would count what has ended.
    let again = Delegate { expires: Some(ledger.tip.time.plus_ms(5_000)), ..delegated };
    ledger.must(1, Action::Delegate(again));
    stall(&mut ledger);
    ledger.block(2_000, vec![]);
    ledger.must(0, question.clone());
    ledger.block(3_000, vec![]);
    assert_eq!(ledger.refused(0, question), "delegations_end");
}

#[test]
fn a_request_that_waited_too_long_is_carried_out_by_nobody() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = with_model(&mut ledger);
    let keys: Vec<SigningKey> = (0..2).map(|number| SigningKey::from_seed(&[200 + number; 32])).collect();
    let weighted = keys.iter().map(|key| WeightedKey { key: key.public_key(), weight: 1 }).collect();
    ledger.must(0, Action::RotateKeys(RotateKeys { keys: KeyPolicy { threshold: 2, keys: weighted } }));
    let (id, to) = (account(&ledger, 0), account(&ledger, 1));
    let transfer = TransferShares { model, to, units: Units::new(1), reason: String::new() };
    let request = RequestApproval {
        action: Box::new(Action::TransferShares(transfer).for_approval().expect("it can be asked")),
        lifetime_ms: 5_000,
        every_key: false,
    };
    let asked = ledger.sign(id, &keys[..1], Action::RequestApproval(request));
    let asked = ledger.run(asked);
    let Some(Event::ApprovalRequested { approval, .. }) = asked.events.first().cloned() else { panic!("{asked:?}") };
    stall(&mut ledger);
    ledger.block(5_000, vec![]);
    assert!(ledger.read::<Approval>(&approval).is_some(), "the agenda has not come to it");
    let sign = SignApproval { approval, approve: true };
    let signed = ledger.sign(id, &keys[1..], Action::SignApproval(sign));
    let outcome = ledger.run(signed).outcome;
    assert!(matches!(&outcome, Outcome::Rejected(refused) if refused.code() == "unknown_approval"), "{outcome:?}");
}

#[test]
fn a_stop_whose_time_is_over_suspends_nothing() {
    let mut ledger = TestLedger::new(&HANDLES);
    let mut action = super::common::founding(&ledger, policy(50, 60));
    let accounts = vec![account(&ledger, 3), account(&ledger, 4)];
    action.policy.emergency = Some(EmergencyStop { accounts, for_ms: limits::EMERGENCY_STOP_MIN_MS });
    let model = super::common::found(&mut ledger, action);
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let label = version(model, "1.0").label;
    let stop =
        || Action::StopVersion(StopVersion { model, label: label.clone(), stops: true, reason: "It leaks.".into() });
    ledger.must(3, stop());
    stall(&mut ledger);
    ledger.block(limits::EMERGENCY_STOP_MIN_MS - 2_000, vec![]);
    assert_eq!(ledger.refused(4, stop()), "version_suspended");
    ledger.block(1_000, vec![]);
    // The next one stops it anew, and the first does not count as running any more.
    ledger.must(4, stop());
    let stops: Vec<bool> =
        (0..2).map(|number| ledger.read::<VersionStop>(&(model, number)).expect("a stop").ended.is_some()).collect();
    assert_eq!(stops, [true, false]);
}

#[test]
fn incidents_and_attestations_of_one_account_are_so_many_until_some_are_settled_or_withdrawn() {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = with_model(&mut ledger);
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let label = version(model, "1.0").label;
    let report = || {
        Action::ReportIncident(ReportIncident { model, label: label.clone(), text: "It leaks.".into(), evidence: None })
    };
    let mut incidents = Vec::new();
    for _ in 0..limits::OPEN_INCIDENTS_PER_REPORTER {
        match ledger.must(4, report()).events.first() {
            Some(Event::IncidentReported { incident, .. }) => incidents.push(*incident),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ledger.refused(4, report()), "quota_used_up");
    ledger.must(3, report());
    let update = |incident, status| {
        Action::UpdateIncident(UpdateIncident { incident, responsible: None, status, text: String::new() })
    };
    // An incident whose history is full can still be settled.
    let mut full: Incident = ledger.read(&incidents[0]).expect("an incident");
    full.updates = limits::INCIDENT_UPDATES;
    put(&mut ledger, &incidents[0], &full);
    assert_eq!(ledger.refused(0, update(incidents[0], IncidentStatus::Reported)), "too_many_updates");
    ledger.must(0, update(incidents[0], IncidentStatus::Resolved));
    assert_eq!(ledger.refused(0, update(incidents[0], IncidentStatus::Dismissed)), "too_many_updates");
    ledger.must(4, report());
    assert_eq!(ledger.refused(4, report()), "quota_used_up");
    // Attestations.
    let attest = |number: u32, finding| {
        let statement = Name::new(format!("statement-{number}")).expect("a name");
        let artifact = version(model, "1.0").artifact.address;
        Action::Attest(Attest { artifact, statement, finding, evidence: None, note: String::new() })
    };
    ledger.must(4, attest(1, Finding::Passed));
    let by = account(&ledger, 4);
    put(&mut ledger, &(by, Keeps::Attestations), &Kept(limits::ATTESTATIONS_PER_ACCOUNT));
    assert_eq!(ledger.refused(4, attest(2, Finding::Passed)), "quota_used_up");
    ledger.must(4, attest(1, Finding::Failed));
    ledger.must(4, attest(1, Finding::Withdrawn));
    ledger.must(4, attest(2, Finding::Passed));
}

fn put<R: Record>(ledger: &mut TestLedger, key: &R::Key, record: &R) {
    ledger.state.0.insert(R::key_bytes(key), codec::encode(record));
}

#[test]
fn what_was_said_of_a_proposal_is_forgotten_long_after_its_end_and_its_tally_is_not() {
    let (mut ledger, accounts) = crowd(80);
    let model = found(&mut ledger, 0, "model", &accounts);
    let proposal = open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    let votes = (0..80u8).map(|by| ledger.sign_as(by, Action::CastBallot(CastBallot::whole(proposal, Choice::Yes))));
    let votes: Vec<Transaction> = votes.collect();
    ledger.block(1_000, votes);
    ledger.block(10_000, vec![]);
    assert!(status(&ledger, proposal).is_final());
    let ballots = |ledger: &TestLedger| {
        let prefix = Ballot::key_bytes(&proposal);
        ledger.state.0.keys().filter(|key| key.starts_with(&prefix)).count()
    };
    ledger.block(limits::BALLOTS_MS - 1, vec![]);
    assert_eq!(ballots(&ledger), 80);
    let mut kept = vec![80];
    while ballots(&ledger) > 0 {
        ledger.block(1, vec![]);
        kept.push(ballots(&ledger));
    }
    assert_eq!(kept, [80, 48, 16, 0], "some at a time");
    assert_eq!(tally(&ledger, proposal)[0], 800);
}

#[test]
fn a_released_peer_is_forgotten_once_its_consent_is_too_old_to_be_used_again() {
    let mut ledger = TestLedger::new(&HANDLES);
    let (peer, id) = (SigningKey::from_seed(&[77; 32]), account(&ledger, 1));
    let bind = |ledger: &TestLedger, issued| {
        let consent = peer.sign(Domain::PeerBinding, &BindPeer::consent(ledger.tip.network, id, issued));
        Action::BindPeer(BindPeer { peer: peer.public_key(), issued, consent })
    };
    let issued = ledger.tip.time;
    let first = bind(&ledger, issued);
    ledger.must(1, first.clone());
    ledger.must(1, Action::ReleasePeer(ReleasePeer { peer: peer.public_key() }));
    ledger.block(limits::CONSENT_MS - 3_000, vec![]);
    assert_eq!(ledger.refused(1, first.clone()), "stale_consent");
    ledger.block(2_000, vec![]);
    assert!(ledger.read::<PeerBinding>(&peer.public_key()).is_none(), "nothing is left of it");
    assert_eq!(ledger.refused(1, first), "consent_over");
    let ahead = bind(&ledger, ledger.tip.time.plus_ms(2 * limits::TRANSACTION_LIFETIME_MS));
    assert_eq!(ledger.refused(1, ahead), "consent_over");
    let now = bind(&ledger, ledger.tip.time);
    ledger.must(1, now);
}
