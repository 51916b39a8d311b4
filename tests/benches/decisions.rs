//! Opening, answering and closing a proposal of a model with 10, 10,000 and 1,000,000 holders:
//! `cargo bench --profile release --workspace --bench decisions`. Each costs the same, whatever their number.

#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the entry points; a bench may stop")]

use allod_protocol::{
    ground::{
        codec,
        ids::{AccountId, ModelId, ProposalId, Units},
        state::{ChangeSet, Record},
    },
    ledger::{
        block::Block,
        execute::{Outcome, execute},
    },
    rules::{
        access::Distribution,
        action::Action,
        event::Event,
        proposal::{CastBallot, Choice, ModelAction, OpenProposal, Question},
        share::{Register, Share, ShareAt, TotalAt, Weights},
        transaction::Transaction,
    },
};
use allod_tests::ledger::{TestLedger, policy};
use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

const HOLDERS: [u64; 3] = [10, 10_000, 1_000_000];

/// A ledger with a model that one account founded and whose register then got further lines, written as they would
/// stand after as many transfers.
fn with_holders(holders: u64) -> (TestLedger, ModelId) {
    let mut ledger = TestLedger::new(&["northfield", "lakeside", "hilltop", "riverbend"]);
    let founder = ledger.account("northfield");
    let line = allod_protocol::rules::model::FoundingLine { account: founder, units: Units::new(1_000), vesting: None };
    let found = allod_protocol::rules::model::CreateModel {
        name: allod_protocol::ground::ids::Name::new("crowd").unwrap(),
        description: String::new(),
        founding: vec![line],
        stewards: vec![founder],
        policy: policy(1, 50),
        licence: None,
        distribution: Distribution::default(),
        grants: Vec::new(),
    };
    let events = ledger.must(0, Action::CreateModel(found)).events;
    let Some(Event::ModelCreated { model, .. }) = events.first().cloned() else { panic!("{events:?}") };
    let mut changes = ChangeSet::new();
    let height = ledger.tip.height;
    for number in 1..holders {
        let mut bytes = [0xee; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let account = AccountId::from_bytes(bytes);
        let units = Units::new(100);
        put(&mut changes, &(model, account), &Share { model, account, units, since: height });
        put(&mut changes, &(model, account, height), &ShareAt(units));
    }
    let others = holders - 1;
    let sums = Weights { units: 1_000 + others * 100, holders, roots: 31 + others * 10 };
    put(&mut changes, &(model, height), &TotalAt(sums));
    let mut register: Register = ledger.read(&model).unwrap();
    (register.total_units, register.holders, register.roots) = (Units::new(sums.units), sums.holders, sums.roots);
    put(&mut changes, &model, &register);
    ledger.state.apply(changes);
    ledger.block(1, vec![]);
    (ledger, model)
}

fn put<R: Record>(changes: &mut ChangeSet, key: &R::Key, record: &R) {
    changes.insert(R::key_bytes(key), Some(codec::encode(record)));
}

fn block(ledger: &TestLedger, later_ms: u64, transactions: Vec<Transaction>) -> Block {
    let proposer = ledger.tip.validators.proposer(ledger.tip.height.next(), 0).address;
    Block::following(&ledger.tip, proposer, ledger.tip.time.plus_ms(later_ms), transactions)
}

fn open(model: ModelId) -> Action {
    let question = Question::of_model(model, vec![ModelAction::Statement]);
    Action::OpenProposal(OpenProposal { question, title: "t".into(), text: String::new() })
}

fn opened(ledger: &mut TestLedger, model: ModelId) -> ProposalId {
    match ledger.must(0, open(model)).events.first() {
        Some(Event::ProposalOpened { proposal, .. }) => *proposal,
        other => panic!("{other:?}"),
    }
}

fn decisions(c: &mut Criterion) {
    for holders in HOLDERS {
        let (mut ledger, model) = with_holders(holders);
        let mut group = c.benchmark_group(format!("decision_of_{holders}_holders"));
        let transaction = ledger.sign_as(0, open(model));
        let opening = block(&ledger, 1, vec![transaction]);
        assert_eq!(execute(&ledger.state, &opening).unwrap().results[0].outcome, Outcome::Applied);
        group.bench_function("open", |b| b.iter(|| execute(&ledger.state, &opening).unwrap()));

        let id = opened(&mut ledger, model);
        let transaction = ledger.sign_as(0, Action::CastBallot(CastBallot::whole(id, Choice::Yes)));
        let answer = block(&ledger, 1, vec![transaction]);
        assert_eq!(execute(&ledger.state, &answer).unwrap().results[0].outcome, Outcome::Applied);
        group.bench_function("answer", |b| b.iter(|| execute(&ledger.state, &answer).unwrap()));

        let close = block(&ledger, 10_000, vec![]);
        assert_eq!(execute(&ledger.state, &close).unwrap().deadline_events.len(), 1);
        group.bench_function("close", |b| b.iter(|| execute(&ledger.state, &close).unwrap()));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    targets = decisions
}
criterion_main!(benches);
