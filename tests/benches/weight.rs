//! The worst block of each kind, as heavy as a block may be, on a state made to cost as much as it can:
//! `cargo bench --profile release --workspace --bench weight`. The state is read from RocksDB, as a peer reads
//! it. What a block weighs, what was read and written for it, and how many transactions it holds is printed before.

#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the entry points; a bench may stop")]

use allod_protocol::{
    ground::{
        codec,
        crypto::SigningKey,
        ids::{AccountId, ContentHash, ModelId, Name, ProposalId, Units},
        limits,
        state::Record,
        weight::Weight,
    },
    ledger::{
        block::Block,
        execute::{Outcome, execute},
    },
    rules::{
        access::Distribution,
        account::{KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        approval::RequestApproval,
        contribution::{ContributionKind, RecordContribution},
        dispute::{DisputeTarget, OpenDispute},
        event::Event,
        intake::{Intake, SetIntake, UnitsOf},
        load,
        model::{CreateModel, FoundingLine, ParentGrant, SetPolicy},
        policy::{Gate, ModelPolicy, Role},
        proposal::{CastBallot, Choice, ExecuteProposal, ModelAction, OpenProposal, Question},
        recovery::{RecoverAccount, RecoveryPolicy, SetRecovery},
        round::{KindWeight, OpenRound, Round, RoundPlan, RoundScore, RoundStatus},
        share::TransferShares,
        transaction::Transaction,
    },
};
use allod_storage::Ledger;
use allod_tests::{
    chain::Author,
    ledger::{TestLedger, genesis, key, policy},
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;
use tempfile::TempDir;

const ACCOUNTS: u8 = 250;

fn ledger() -> (TestLedger, Vec<AccountId>) {
    let handles: Vec<String> = (0..ACCOUNTS).map(|index| format!("account-{index}")).collect();
    let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
    let mut genesis = genesis(&handles);
    genesis.parameters.transactions_per_account_per_block = 8_192;
    let ledger = TestLedger::of(genesis);
    let accounts = handles.iter().map(|handle| ledger.account(handle)).collect();
    (ledger, accounts)
}

fn put<R: Record>(ledger: &mut TestLedger, key: &R::Key, record: &R) {
    ledger.state.0.insert(R::key_bytes(key), codec::encode(record));
}

/// As many names as a policy can have: each answer and each transfer reads them.
fn crowded(accounts: &[AccountId]) -> ModelPolicy {
    let name = |number: usize| Name::new(format!("role-{number}")).unwrap();
    let roles = (0..limits::ROLES).map(|number| Role { name: name(number), accounts: accounts[..32].to_vec() });
    let gate = |number| Gate { statement: name(number), role: name(number), attestors: 1, outvoted_by: None };
    ModelPolicy { roles: roles.collect(), gates: (0..limits::GATES).map(gate).collect(), ..policy(1, 50) }
}

fn founding(name: &str, accounts: &[AccountId], lines: usize, grants: Vec<ParentGrant>) -> CreateModel {
    let line = |account: &AccountId| FoundingLine { account: *account, units: Units::new(1_000), vesting: None };
    CreateModel {
        name: Name::new(name).unwrap(),
        description: "d".repeat(limits::TEXT_SIZE_BYTES),
        founding: accounts.iter().take(lines).map(line).collect(),
        stewards: accounts[..limits::STEWARDS].to_vec(),
        policy: crowded(accounts),
        licence: None,
        distribution: Distribution::default(),
        grants,
    }
}

fn found(ledger: &mut TestLedger, action: CreateModel) -> ModelId {
    match ledger.must(0, Action::CreateModel(action)).events.first() {
        Some(Event::ModelCreated { model, .. }) => *model,
        other => panic!("{other:?}"),
    }
}

fn question(model: ModelId, actions: Vec<ModelAction>) -> Action {
    let text = "t".repeat(limits::TEXT_SIZE_BYTES);
    Action::OpenProposal(OpenProposal { question: Question::of_model(model, actions), title: "t".into(), text })
}

fn opened(ledger: &mut TestLedger, by: u8, model: ModelId, actions: Vec<ModelAction>) -> ProposalId {
    match ledger.must(by, question(model, actions)).events.first() {
        Some(Event::ProposalOpened { proposal, .. }) => *proposal,
        other => panic!("{other:?}"),
    }
}

/// The heaviest block of such transactions: one after the other in turns of the senders, as long as they fit.
fn fill(ledger: &mut TestLedger, action: impl Fn(u8, u32) -> Action) -> Vec<Transaction> {
    let (mut all, mut bytes, mut transactions) = (Weight::ZERO, 2_048, Vec::new());
    for round in 0.. {
        for by in 0..ACCOUNTS {
            let signed = ledger.sign_as(by, action(by, round));
            all = all.plus(load::of(&signed));
            bytes += signed.encode().len();
            let full = transactions.len() >= limits::BLOCK_TRANSACTIONS || bytes > limits::BLOCK_SIZE_BYTES;
            if all > limits::BLOCK_WEIGHT || full {
                return transactions;
            }
            transactions.push(signed);
        }
    }
    transactions
}

fn block(ledger: &TestLedger, later_ms: u64, transactions: Vec<Transaction>) -> Block {
    let proposer = ledger.tip.validators.proposer(ledger.tip.height.next(), 0).address;
    let block = Block::following(&ledger.tip, proposer, ledger.tip.time.plus_ms(later_ms), transactions);
    block.check(&ledger.tip, None, &|_| true).unwrap();
    block
}

fn measure(c: &mut Criterion, name: &str, ledger: &TestLedger, block: &Block) {
    let executed = execute(&ledger.state, block).unwrap();
    let weight = block.transactions().iter().map(load::of).fold(Weight::ZERO, Weight::plus);
    let applied = executed.results.iter().filter(|result| result.outcome == Outcome::Applied).count();
    let (mut reads, mut writes) = (executed.work.due.reads, executed.work.due.writes);
    for work in &executed.work.transactions {
        (reads, writes) = (reads + work.reads, writes + work.writes);
    }
    println!(
        "{name}: {} transactions of weight {weight}, {applied} applied; {reads} records read, {writes} keys written, {} \
         changed; {} events of what was due",
        block.transactions().len(),
        executed.changes.len(),
        executed.deadline_events.len(),
    );
    let (_dir, stored) = stored(ledger);
    let state = stored.snapshot();
    assert_eq!(execute(&state, block).unwrap().changes, executed.changes);
    c.bench_function(&format!("worst_block/{name}"), |b| b.iter(|| execute(&state, block).unwrap()));
}

/// The same state in the database that a peer reads it from.
fn stored(ledger: &TestLedger) -> (TempDir, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let stored = Ledger::open(dir.path(), &ledger.genesis).unwrap();
    let author = Author::new((0..4u8).map(|index| SigningKey::from_seed(&[index + 101; 32])));
    let decided = author.decide(&stored.tip(), 1, Vec::new());
    let mut executed = execute(&stored.snapshot(), &decided.block).unwrap();
    executed.changes = ledger.state.0.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    stored.commit(&decided, &executed).unwrap();
    (dir, stored)
}

fn worst_blocks(c: &mut Criterion) {
    let (mut ledger, accounts) = ledger();
    let parent = found(&mut ledger, founding("parent", &accounts, 250, Vec::new()));
    let long = || vec![ModelAction::SetPolicy(SetPolicy { policy: Box::new(crowded(&accounts)) })];
    let proposals: Vec<ProposalId> = (0..16).map(|by| opened(&mut ledger, by, parent, long())).collect();

    let transfers = fill(&mut ledger, |by, _| {
        let to = accounts[usize::from((by + 1) % ACCOUNTS)];
        Action::TransferShares(TransferShares { model: parent, to, units: Units::new(1), reason: "r".repeat(200) })
    });
    measure(c, "transfers", &ledger, &block(&ledger, 1, transfers));

    let ballots = fill(&mut ledger, |by, round| {
        let proposal = proposals[(usize::from(by) + round as usize) % proposals.len()];
        Action::CastBallot(CastBallot::whole(proposal, if round % 2 == 0 { Choice::Yes } else { Choice::No }))
    });
    measure(c, "ballots", &ledger, &block(&ledger, 1, ballots));

    let foundings = fill(&mut ledger, |_, round| {
        let grants = vec![ParentGrant { parent, units: Units::new(1_000_000) }];
        let name = format!("derived-{round}");
        Action::CreateModel(founding(&name, &accounts, 128, grants))
    });
    measure(c, "foundings_with_grants", &ledger, &block(&ledger, 1, foundings));

    let openings = fill(&mut ledger, |_, _| question(parent, long()));
    measure(c, "openings", &ledger, &block(&ledger, 1, openings));

    let executions = fill(&mut ledger, |_, round| {
        Action::ExecuteProposal(ExecuteProposal { proposal: proposals[round as usize % proposals.len()] })
    });
    measure(c, "executions_refused", &ledger, &block(&ledger, 1, executions));

    let mut full = ledger.clone();
    for account in &accounts {
        for number in 0..limits::INTAKES_PER_ACCOUNT {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let of = UnitsOf::Model(ModelId::from_bytes(id));
            put(&mut full, &(*account, of), &Intake { account: *account, of, takes: false });
        }
    }
    let intakes =
        fill(&mut full, |_, _| Action::SetIntake(SetIntake { of: UnitsOf::Model(parent), takes: Some(true) }));
    measure(c, "intakes_refused", &full, &block(&full, 1, intakes));

    let keys = fill(&mut ledger, |by, _| {
        let keys = KeyPolicy::single(key(by).public_key());
        Action::RotateKeys(RotateKeys { keys })
    });
    measure(c, "rotations", &ledger, &block(&ledger, 1, keys));

    let gifts = fill(&mut ledger, |_, _| {
        let (round, kind, amount) = (None, ContributionKind::Data, 1);
        let (sealed, evidence, note) = (None, None, "n".repeat(limits::TEXT_SIZE_BYTES));
        Action::RecordContribution(RecordContribution { model: parent, round, kind, amount, sealed, evidence, note })
    });
    measure(c, "contributions", &ledger, &block(&ledger, 1, gifts));
}

/// What falls due at once, as much as a block has weight for and more.
fn worst_agendas(c: &mut Criterion) {
    let (mut ledger, accounts) = ledger();
    let parent = found(&mut ledger, founding("parent", &accounts, 250, Vec::new()));
    agenda_of_questions(c, ledger.clone(), parent);
    agenda_of_policies(c, ledger.clone(), &accounts, parent);
    agenda_of_rounds(c, ledger.clone(), &accounts);
    agenda_of_disputes(c, ledger.clone(), parent);
    agenda_of_recoveries(c, ledger, &accounts, parent);
}

fn agenda_of_questions(c: &mut Criterion, mut ledger: TestLedger, parent: ModelId) {
    for by in 0..ACCOUNTS {
        opened(&mut ledger, by, parent, vec![ModelAction::Statement; limits::PROPOSAL_ACTIONS]);
    }
    measure(c, "agenda_questions", &ledger, &block(&ledger, 600_000, Vec::new()));
}

fn agenda_of_policies(c: &mut Criterion, mut ledger: TestLedger, accounts: &[AccountId], parent: ModelId) {
    let vote = |ledger: &mut TestLedger, proposal| {
        let yes = |by| ledger.sign_as(by, Action::CastBallot(CastBallot::whole(proposal, Choice::Yes)));
        let ballots = (0..3).map(yes).collect();
        ledger.block(1, ballots);
    };
    for by in 0..16 {
        let policy = ModelAction::SetPolicy(SetPolicy { policy: Box::new(crowded(accounts)) });
        let signed = ledger.sign_as(by, question(parent, vec![policy]));
        let Some(Event::ProposalOpened { proposal, .. }) =
            ledger.block(1, vec![signed]).results[0].events.first().cloned()
        else {
            panic!("it is opened")
        };
        vote(&mut ledger, proposal);
    }
    measure(c, "agenda_policies", &ledger, &block(&ledger, 600_000, Vec::new()));
}

fn agenda_of_rounds(c: &mut Criterion, mut ledger: TestLedger, accounts: &[AccountId]) {
    let plan = RoundPlan {
        plan: ContentHash::from_bytes([7; 32]),
        budget: Units::new(1_000_003),
        weights: vec![KindWeight { kind: ContributionKind::Data, weight: 1 }],
        cap: None,
        min_contributors: 1,
        recording_ms: 600_000,
        review_ms: 600_000,
        sealed: false,
    };
    let mut rounds = Vec::new();
    // As many as a block handles together.
    for number in 0..7 {
        let model = found(&mut ledger, founding(&format!("round-{number}"), accounts, 1, Vec::new()));
        let proposal = opened(&mut ledger, 0, model, vec![ModelAction::OpenRound(OpenRound { plan: plan.clone() })]);
        ledger.must(0, Action::CastBallot(CastBallot::whole(proposal, Choice::Yes)));
        rounds.push((model, 0));
    }
    ledger.block(20_000, Vec::new());
    for key in &rounds {
        let mut round: Round = ledger.read(key).unwrap();
        for account in &accounts[..limits::ROUND_GIVERS_PER_TURN] {
            let score = RoundScore { score: round.contributors % 17 + 1, ..RoundScore::default() };
            (round.score, round.contributors) = (round.score + score.score, round.contributors + 1);
            put(&mut ledger, &(key.0, key.1, *account), &score);
        }
        put(&mut ledger, key, &round);
    }
    // What each is due is computed first; what costs most is to mint it.
    ledger.block(2_000_000, Vec::new());
    let mints = |ledger: &TestLedger, key: &(ModelId, u64)| {
        matches!(ledger.read::<Round>(key).unwrap().status, RoundStatus::Minting { .. })
    };
    while !mints(&ledger, &rounds[0]) {
        ledger.block(1, Vec::new());
    }
    assert!(rounds.iter().all(|key| mints(&ledger, key)), "a block handles all of them");
    measure(c, "agenda_rounds", &ledger, &block(&ledger, 600_000, Vec::new()));
}

fn agenda_of_disputes(c: &mut Criterion, mut ledger: TestLedger, parent: ModelId) {
    for by in 1..41 {
        let (round, kind, amount) = (None, ContributionKind::Data, 1);
        let (sealed, evidence, note) = (None, None, "n".repeat(limits::TEXT_SIZE_BYTES));
        let gift = RecordContribution { model: parent, round, kind, amount, sealed, evidence, note };
        let given = ledger.must(by, Action::RecordContribution(gift));
        let Some(Event::ContributionRecorded { contribution, .. }) = given.events.first() else { panic!("{given:?}") };
        let (target, text) = (DisputeTarget::Contribution(*contribution), "t".repeat(limits::TEXT_SIZE_BYTES));
        let dispute = OpenDispute { target, units: Units::ZERO, text, evidence: None, bond: Units::ZERO };
        ledger.must(by + 100, Action::OpenDispute(dispute));
    }
    const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
    measure(c, "agenda_disputes", &ledger, &block(&ledger, YEAR_MS, Vec::new()));
}

/// Accounts that get new keys, with requests as long as can be that forget the keys of before.
fn agenda_of_recoveries(c: &mut Criterion, mut ledger: TestLedger, accounts: &[AccountId], parent: ModelId) {
    let two = |by: u8| [key(by), key(by + 100)];
    for by in 100..140 {
        let policy =
            RecoveryPolicy { guardians: accounts[..limits::GUARDIANS].to_vec(), needed: 1, delay_ms: 86_400_000 };
        ledger.must(by, Action::SetRecovery(SetRecovery { policy: Some(policy) }));
    }
    ledger.accept_offers();
    for by in 100..140 {
        let account = accounts[usize::from(by)];
        let keys = two(by).iter().map(|key| WeightedKey { key: key.public_key(), weight: 1 }).collect();
        ledger.must(by, Action::RotateKeys(RotateKeys { keys: KeyPolicy { threshold: 2, keys } }));
        for number in 0..limits::OPEN_APPROVALS_PER_ACCOUNT {
            let actions = vec![ModelAction::SetPolicy(SetPolicy { policy: Box::new(crowded(accounts)) })];
            let action = Box::new(question(parent, actions).for_approval().unwrap());
            let request = RequestApproval { action, lifetime_ms: 20 * 86_400_000, every_key: false };
            let key = two(by)[number as usize % 2].clone();
            let signed = ledger.sign(account, &[key], Action::RequestApproval(request));
            ledger.run(signed);
        }
        let keys = KeyPolicy::single(key(by).public_key());
        ledger.must(0, Action::RecoverAccount(RecoverAccount { account, keys }));
    }
    measure(c, "agenda_recoveries", &ledger, &block(&ledger, 10 * 86_400_000, Vec::new()));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3)).sample_size(20);
    targets = worst_blocks, worst_agendas
}
criterion_main!(benches);
