//! Proving a key, checking a proof, checking a deed: `cargo bench --profile release --workspace --bench proof`.

#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "criterion's macros write the entry points; a bench may stop"
)]

use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{AccountId, ArtifactId, Handle, Name, Power},
        state::Record,
    },
    proof::Subject,
    rules::{
        account::Account,
        action::Action,
        event::Event,
        network::AdmitValidator,
        proposal::{CastBallot, Choice, NetworkAction, OpenProposal, Question},
    },
};
use allod_tests::{
    chain::{Author, Chain},
    ledger::{genesis, key, operates},
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, time::Duration};

const HANDLES: [&str; 4] = ["northfield", "lakeside", "hilltop", "riverbend"];

/// A chain on which the members admitted `changes` validators, one after another.
fn chain_with_changes(changes: u8) -> Chain {
    let keys = (0..4 + changes).map(|index| SigningKey::from_seed(&[index + 101; 32]));
    let mut chain = Chain::new(genesis(&HANDLES), Author::new(keys));
    let accounts: Vec<AccountId> =
        HANDLES.iter().map(|text| chain.genesis.account_id(&Handle::new(*text).unwrap())).collect();
    for change in 0..changes {
        let key_of_new = SigningKey::from_seed(&[change + 105; 32]);
        let accept = operates(chain.genesis.network_id(), accounts[0], &key_of_new);
        let key_of_new = key_of_new.public_key();
        let admit = NetworkAction::AdmitValidator(AdmitValidator {
            key: key_of_new,
            power: Power::new(1),
            operator: accounts[0],
        });
        let ask =
            OpenProposal { question: Question::of_network(vec![admit]), title: "One more".into(), text: String::new() };
        let ask = chain.sign(accounts[0], &[key(0)], Action::OpenProposal(ask));
        let accept = chain.sign(accounts[0], &[key(0)], accept);
        let executed = chain.block(1_000, vec![ask, accept]);
        let proposal = executed.results[0].events.iter().find_map(|event| match event {
            Event::ProposalOpened { proposal, .. } => Some(*proposal),
            _ => None,
        });
        let ballot = Action::CastBallot(CastBallot::whole(proposal.unwrap(), Choice::Yes));
        let ballots = (0..4u8).map(|index| chain.sign(accounts[usize::from(index)], &[key(index)], ballot.clone()));
        let ballots = ballots.collect();
        chain.block(1_000, ballots);
        chain.block(10_000, Vec::new());
    }
    for _ in 0..3 {
        chain.block(1_000, Vec::new());
    }
    chain
}

fn proofs(c: &mut Criterion) {
    let mut group = c.benchmark_group("proof");
    for changes in [0u8, 10] {
        let chain = chain_with_changes(changes);
        let account = chain.genesis.account_id(&Handle::new("northfield").unwrap());
        let key = Account::key_bytes(&account);
        let statement = Name::new("bias-audit").unwrap();
        let artifact = ArtifactId::from_bytes([1; 32]);
        let deed = chain.deed(&Subject::Attestation { artifact, statement, account }, &[]);
        assert_eq!(deed.root.changes.len(), usize::from(changes));
        deed.verify(&chain.genesis, None).unwrap();
        let height = chain.ledger.tip().height.previous();
        if changes == 0 {
            group.bench_function("prove_in_memory", |b| {
                b.iter(|| chain.ledger.prove_at(height, black_box(&key)).unwrap());
            });
            let (proof, root) = (&deed.proofs[0], deed.root.state_root());
            group.bench_function("verify", |b| b.iter(|| proof.verify(black_box(root)).unwrap()));
        }
        group.bench_function(format!("verify_deed_{changes}_changes"), |b| {
            b.iter(|| deed.verify(black_box(&chain.genesis), None).unwrap());
        });
        println!("a deed of {changes} changes has {} bytes", deed.encode().len());
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    targets = proofs
}
criterion_main!(benches);
