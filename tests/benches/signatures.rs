//! Signing and checking one transaction: `cargo bench --profile release --workspace --bench signatures`.

#![allow(missing_docs, reason = "criterion's macros write the entry points")]

use allod_protocol::{
    ground::{
        crypto::{Domain, SigningKey},
        ids::{AccountId, ContributionId, NetworkId, Timestamp},
    },
    rules::{action::Action, contribution::AcceptContribution, transaction::TransactionBody},
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, time::Duration};

fn signatures(c: &mut Criterion) {
    let key = SigningKey::from_seed(&[1; 32]);
    let body = TransactionBody {
        network: NetworkId::from_bytes([1; 32]),
        sender: AccountId::from_bytes([2; 32]),
        nonce: 3,
        expires: Timestamp::new(4),
        action: Action::AcceptContribution(AcceptContribution { contribution: ContributionId::from_bytes([5; 32]) }),
        signers: Vec::new(),
    };
    let bytes = body.signing_bytes();
    let signature = key.sign(Domain::Transaction, &bytes);
    let public = key.public_key();
    let transaction = body.clone().sign(std::slice::from_ref(&key));
    let encoded = transaction.encode();

    let mut group = c.benchmark_group("signatures");
    group.bench_function("sign", |b| b.iter(|| key.sign(Domain::Transaction, black_box(&bytes))));
    group.bench_function("verify_zip215", |b| {
        b.iter(|| public.verifies(Domain::Transaction, black_box(&bytes), &signature));
    });
    group.bench_function("decode_transaction", |b| {
        b.iter(|| allod_protocol::rules::transaction::Transaction::decode(black_box(&encoded)).is_ok());
    });
    group.bench_function("check_transaction", |b| {
        b.iter(|| transaction.check_form(body.network).is_ok() && transaction.check_signatures().is_ok());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    targets = signatures
}
criterion_main!(benches);
