//! What a validator checks of a block before it votes, what anybody checks of a decided one, and what executing one
//! keeps: rule by rule.

use super::common::{HANDLES, with_model};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{
            AccountId, BlockHash, Height, ModelId, NetworkId, Power, Signature, StateRoot, Timestamp, TransactionsRoot,
            Units, ValidatorSetHash,
        },
        limits,
    },
    ledger::{
        block::{Block, CommitCertificate, DecidedBlock, Header, InvalidBlock, InvalidCertificate, InvalidDecision},
        execute::{Outcome, Seen},
    },
    rules::{
        action::Action,
        rejection::Rejection,
        share::TransferShares,
        transaction::Transaction,
        validator::{Validator, ValidatorSet},
    },
};
use allod_tests::{
    chain::Author,
    ledger::{TestLedger, key},
};

/// How far block time may be from a validator's clock.
const DRIFT_MS: u64 = 10_000;

fn consensus_keys() -> impl Iterator<Item = SigningKey> {
    (101..105).map(|seed| SigningKey::from_seed(&[seed; 32]))
}

fn world() -> (TestLedger, ModelId) {
    let mut ledger = TestLedger::new(&HANDLES);
    let model = with_model(&mut ledger);
    (ledger, model)
}

fn gift(ledger: &TestLedger, model: ModelId) -> Action {
    let (to, reason) = (ledger.account("lakeside"), "a gift".to_owned());
    Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason })
}

/// The next block, a second later, with one gift in it.
fn decided(ledger: &mut TestLedger, model: ModelId) -> DecidedBlock {
    let gift = gift(ledger, model);
    let transaction = ledger.sign_as(0, gift);
    Author::new(consensus_keys()).decide(&ledger.tip, 1_000, vec![transaction])
}

fn changed(block: &Block, change: impl FnOnce(&mut Header)) -> Block {
    let mut header = block.header().clone();
    change(&mut header);
    Block::new(header, block.transactions().to_vec())
}

fn check(ledger: &TestLedger, block: &Block, clock: Option<Timestamp>) -> Result<(), InvalidBlock> {
    block.check(&ledger.tip, clock.map(|clock| (clock, DRIFT_MS)), &|_| false)
}

/// Makes a header untrue.
type Change = fn(&mut Header);

#[test]
fn every_field_of_a_header_is_the_one_that_follows_the_tip() {
    let (mut ledger, model) = world();
    let block = decided(&mut ledger, model).block;
    assert_eq!(check(&ledger, &block, None), Ok(()));
    let changes: [(&str, Change); 8] = [
        ("network", |header| header.network = NetworkId::from_bytes([9; 32])),
        ("height", |header| header.height = header.height.next()),
        ("parent", |header| header.parent = BlockHash::from_bytes([9; 32])),
        ("state root", |header| header.state_root = StateRoot::from_bytes([9; 32])),
        ("proposer", |header| header.proposer = SigningKey::from_seed(&[9; 32]).public_key().validator_address()),
        ("validator set hash", |header| header.validators = ValidatorSetHash::from_bytes([9; 32])),
        ("next validator set hash", |header| header.next_validators = ValidatorSetHash::from_bytes([9; 32])),
        ("transactions root", |header| header.transactions_root = TransactionsRoot::from_bytes([9; 32])),
    ];
    for (name, change) in changes {
        let refused = check(&ledger, &changed(&block, change), None);
        assert!(matches!(refused, Err(InvalidBlock::Field { field, .. }) if field == name), "{name}: {refused:?}");
    }
}

#[test]
fn time_goes_on_and_stays_near_the_clock_to_the_millisecond() {
    let (mut ledger, model) = world();
    let block = decided(&mut ledger, model).block;
    let at = |time: Timestamp| changed(&block, |header| header.time = time);
    let parent = ledger.tip.time;
    for time in [parent, Timestamp::new(parent.get() - 1)] {
        let refused = check(&ledger, &at(time), None);
        assert_eq!(refused, Err(InvalidBlock::TimeNotLater { time, parent }));
    }
    assert_eq!(check(&ledger, &at(parent.plus_ms(1)), None), Ok(()), "no clock judges what is certified");
    let time = parent.plus_ms(3 * DRIFT_MS);
    for (clock, is_near) in [
        (time.get() - DRIFT_MS - 1, false),
        (time.get() - DRIFT_MS, true),
        (time.get() + DRIFT_MS, true),
        (time.get() + DRIFT_MS + 1, false),
    ] {
        let now = Timestamp::new(clock);
        let expected = if is_near { Ok(()) } else { Err(InvalidBlock::TimeDrift { time, now, drift_ms: DRIFT_MS }) };
        assert_eq!(check(&ledger, &at(time), Some(now)), expected, "{clock}");
    }
}

#[test]
fn a_transaction_stands_in_a_block_once_and_is_signed() {
    let (mut ledger, model) = world();
    let gift = gift(&ledger, model);
    let good = ledger.sign_as(0, gift);
    let proposer = ledger.tip.validators.proposer(ledger.tip.height.next(), 0).address;
    let following = |transactions| Block::following(&ledger.tip, proposer, ledger.tip.time.plus_ms(1), transactions);
    let twice = following(vec![good.clone(), good.clone()]);
    assert_eq!(check(&ledger, &twice, None), Err(InvalidBlock::Repeated(good.id())));
    let forged = Transaction { signatures: vec![Signature::from_bytes([9; 64])], ..good };
    let forged = following(vec![forged]);
    let refused = check(&ledger, &forged, None);
    assert!(matches!(refused, Err(InvalidBlock::Transaction { index: 0, .. })), "{refused:?}");
    // Who has verified these very signatures does not do it again.
    assert_eq!(forged.check(&ledger.tip, None, &|_| true), Ok(()));
}

/// The decided block with another certificate.
fn certified(decided: &DecidedBlock, change: impl FnOnce(&mut CommitCertificate)) -> DecidedBlock {
    let mut other = decided.clone();
    change(&mut other.certificate);
    other
}

#[test]
fn a_block_is_decided_by_more_than_two_thirds_each_signing_it_once() {
    let (mut ledger, model) = world();
    let four = decided(&mut ledger, model);
    let verify = |decided: &DecidedBlock| decided.verify(&ledger.tip, &|_| false);
    assert_eq!(verify(&four), Ok(()));
    let with = |count: usize| certified(&four, |certificate| certificate.signatures.truncate(count));
    assert_eq!(verify(&with(3)), Ok(()));
    let (signed, total) = (Power::new(2), Power::new(4));
    let weak = InvalidCertificate::NotEnoughPower { signed, total };
    assert_eq!(verify(&with(2)), Err(InvalidDecision::Certificate(weak)));

    let one = four.certificate.signatures[0].clone();
    let again = certified(&with(2), |certificate| certificate.signatures.push(one.clone()));
    assert_eq!(verify(&again), Err(InvalidCertificate::Repeated(one.validator).into()));
    let forged = certified(&four, |certificate| certificate.signatures[0].signature = Signature::from_bytes([9; 64]));
    assert_eq!(verify(&forged), Err(InvalidCertificate::Signature(one.validator).into()));
    let stranger = SigningKey::from_seed(&[9; 32]).public_key().validator_address();
    let unknown = certified(&four, |certificate| certificate.signatures[0].validator = stranger);
    let height = four.block.header().height;
    assert_eq!(verify(&unknown), Err(InvalidCertificate::UnknownValidator(stranger, height).into()));

    // The signatures are good, but for another block of this height, or another height.
    let other = changed(&four.block, |header| header.time = header.time.plus_ms(1));
    let other = DecidedBlock { block: other, certificate: four.certificate.clone() };
    assert!(matches!(verify(&other), Err(InvalidDecision::Certificate(InvalidCertificate::OtherBlock { .. }))));
    let elsewhere = certified(&four, |certificate| certificate.height = Height::new(9));
    assert!(matches!(verify(&elsewhere), Err(InvalidDecision::Certificate(InvalidCertificate::OtherBlock { .. }))));
}

#[test]
fn power_decides_and_two_thirds_of_it_are_not_enough() {
    let powers = |powers: &[u64]| {
        let validators = consensus_keys().zip(powers).zip(1..).map(|((key, power), operator)| {
            let operator = AccountId::from_bytes([operator; 32]);
            Validator::new(key.public_key(), Power::new(*power), operator)
        });
        ValidatorSet::try_from(validators.collect::<Vec<_>>()).expect("a set")
    };
    for (set, least) in [(powers(&[1, 1, 1]), 3), (powers(&[1, 1, 1, 1]), 3), (powers(&[1, 2, 3]), 5)] {
        let total = set.total_power().get();
        for power in 0..=total {
            assert_eq!(set.is_quorum(Power::new(power)), power >= least, "{power} of {total}");
        }
    }
}

#[test]
fn a_transaction_is_executed_once_as_long_as_it_can_be() {
    let (mut ledger, model) = world();
    let gift = gift(&ledger, model);
    let transaction = ledger.sign_as(0, gift);
    let (id, expires) = (transaction.id(), transaction.body.expires);
    let left = |ledger: &TestLedger| expires.get() - ledger.tip.time.get();
    let run = |ledger: &mut TestLedger, later_ms| {
        let results = ledger.block(later_ms, vec![transaction.clone()]).results;
        results.into_iter().next().map(|result| result.outcome)
    };
    assert_eq!(run(&mut ledger, 1_000), Some(Outcome::Applied));
    // To the last moment it is remembered; a moment later it is forgotten, and can be executed no more.
    let last = left(&ledger);
    assert_eq!(run(&mut ledger, last), Some(Outcome::Rejected(Rejection::Replayed)));
    assert!(ledger.read::<Seen>(&(expires, id)).is_some());
    let time = expires.plus_ms(1);
    assert_eq!(run(&mut ledger, 1), Some(Outcome::Rejected(Rejection::Expired { expires, time })));
    assert!(ledger.read::<Seen>(&(expires, id)).is_none());
}

#[test]
fn a_transaction_that_found_no_place_in_a_block_is_executed_in_the_next() {
    let (mut ledger, model) = world();
    let action = gift(&ledger, model);
    let transactions: Vec<Transaction> = (0..101).map(|_| ledger.sign_as(0, action.clone())).collect();
    let last = transactions[100].clone();
    let results = ledger.block(1_000, transactions).results;
    let refused = &results[100].outcome;
    assert!(matches!(refused, Outcome::Rejected(Rejection::RateLimited { max: 100, .. })), "{refused:?}");
    // It was not considered, so it is not remembered. By now northfield has given away all that it had.
    let outcome = ledger.run(last).outcome;
    assert!(matches!(outcome, Outcome::Rejected(Rejection::NotEnoughShares { .. })), "{outcome:?}");
}

#[test]
fn a_transaction_lives_as_long_as_it_is_to_be_remembered_at_most() {
    let (mut ledger, model) = world();
    let longest = limits::TRANSACTION_LIFETIME_MS;
    for (lives_ms, is_executed) in [(longest, true), (longest + 1, false)] {
        let action = gift(&ledger, model);
        let mut body = ledger.sign_as(0, action).body;
        let time = ledger.tip.time.plus_ms(1_000);
        body.expires = time.plus_ms(lives_ms);
        let (expires, transaction) = (body.expires, body.sign(&[key(0)]));
        let outcome = ledger.run(transaction).outcome;
        let expected =
            if is_executed { Outcome::Applied } else { Outcome::Rejected(Rejection::ExpiryTooFar { expires, time }) };
        assert_eq!(outcome, expected, "{lives_ms} ms");
    }
}
