#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::*;
use crate::{
    ground::{
        crypto::SigningKey,
        ids::{ArtifactId, ContributionId, Handle, Height, Name, ProposalId, PublicKey, Signature},
        state::{Direction, Entry, Record},
    },
    rules::{
        account::KeyPolicy,
        action::Action,
        attestation::{Attest, Finding},
        contribution::AcceptContribution,
        proposal::ExecuteProposal,
        transaction::TransactionBody,
    },
};
use proptest::prelude::*;
use std::sync::OnceLock;

struct Accounts(BTreeMap<Vec<u8>, Vec<u8>>);

impl StateRead for Accounts {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }
    fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
        Ok(Vec::new())
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn accounts(numbers: &[u8]) -> Accounts {
    let account = |number: &u8| {
        let handle = Handle::new(format!("account-{number}")).expect("handle");
        let keys = KeyPolicy::single(key(*number).public_key());
        Account::new(AccountId::from_bytes([*number; 32]), handle, keys, Height::ZERO)
    };
    Accounts(
        numbers.iter().map(account).map(|a| (Account::key_bytes(&a.id), crate::ground::codec::encode(&a))).collect(),
    )
}

/// The account `10 * n` for each of `founders`, and nine accounts more that go back to each.
fn families(founders: &[u8]) -> Accounts {
    let numbers: Vec<u8> = founders.iter().flat_map(|founder| 10 * founder..10 * founder + 10).collect();
    let mut state = accounts(&numbers);
    for number in numbers.into_iter().filter(|number| !number.is_multiple_of(10)) {
        let id = AccountId::from_bytes([number; 32]);
        let mut account = read::<Account>(&state, &id).expect("in memory").expect("an account");
        // In a chain: each admitted the next one.
        account.sponsor = Some(AccountId::from_bytes([number - 1; 32]));
        state.0.insert(Account::key_bytes(&id), crate::ground::codec::encode(&account));
    }
    state
}

fn transaction(sender: u8, nonce: u64, expires: u64) -> Checked {
    let action = AcceptContribution { contribution: ContributionId::from_bytes([0; 32]) };
    asking(sender, nonce, expires, Action::AcceptContribution(action))
}

/// Signed in name only: the mempool asks whose the keys are, not whether they signed.
fn asking(sender: u8, nonce: u64, expires: u64, action: Action) -> Checked {
    static KEYS: OnceLock<Vec<PublicKey>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| (0..=u8::MAX).map(|number| key(number).public_key()).collect());
    let body = TransactionBody {
        network: NetworkId::from_bytes([0; 32]),
        sender: AccountId::from_bytes([sender; 32]),
        nonce,
        expires: Timestamp::new(expires),
        action,
        signers: vec![keys[usize::from(sender)]],
    };
    let transaction = Transaction { body, signatures: vec![Signature::from_bytes([0; 64])] };
    transaction.check_form(NetworkId::from_bytes([0; 32])).expect("in form");
    let (id, weight) = (transaction.id(), load::of(&transaction));
    Checked { id, size_bytes: transaction.encode().len(), weight, transaction }
}

/// A heavy transaction.
fn heavy(sender: u8, nonce: u64) -> Checked {
    let proposal = ProposalId::from_bytes([0; 32]);
    asking(sender, nonce, 1_000, Action::ExecuteProposal(ExecuteProposal { proposal }))
}

/// A transaction with many bytes.
fn long(sender: u8, nonce: u64) -> Checked {
    let note = "n".repeat(limits::TEXT_SIZE_BYTES);
    let (artifact, statement) = (ArtifactId::of(b""), Name::new("statement").expect("a name"));
    let finding = Finding::Passed;
    let attest = Attest { artifact, statement, finding, evidence: None, note };
    asking(sender, nonce, 1_000, Action::Attest(attest))
}

fn full_by(pool: &mut Mempool, state: &Accounts, make: impl Fn(u64) -> Checked) -> (u64, Refused) {
    for nonce in 0.. {
        if let Err(refused) = pool.insert(make(nonce), state, Timestamp::ZERO) {
            return (nonce, refused);
        }
    }
    panic!("no end of room")
}

#[test]
fn a_flood_delays_its_sender_and_nobody_else() {
    let (state, mut pool) = (accounts(&[1, 2, 3]), Mempool::new());
    for nonce in 0..100 {
        pool.insert(transaction(1, nonce, 1_000), &state, Timestamp::ZERO).expect("room");
    }
    pool.insert(transaction(2, 0, 1_000), &state, Timestamp::ZERO).expect("room");
    pool.insert(transaction(3, 0, 1_000), &state, Timestamp::ZERO).expect("room");
    let senders: Vec<u8> =
        pool.batch(50, limits::BLOCK_TRANSACTIONS).iter().map(|t| t.body.sender.as_bytes()[0]).collect();
    assert_eq!(senders.len(), 52);
    assert!(senders[..3].contains(&2) && senders[..3].contains(&3), "{senders:?}");
}

#[test]
fn no_sender_has_more_than_its_part_of_the_room_by_any_measure() {
    let state = accounts(&[1]);
    let by = |make: &dyn Fn(u64) -> Checked| full_by(&mut Mempool::new(), &state, make);
    let (taken, refused) = by(&|nonce| transaction(1, nonce, 1_000));
    assert!(matches!(refused, Refused::SenderFull { quota: Quota::Transactions, .. }), "{refused}");
    assert_eq!(taken, Quota::Transactions.max(false));
    let (taken, refused) = by(&|nonce| long(1, nonce));
    let Refused::SenderFull { quota: Quota::Bytes, waiting, max, .. } = refused else { panic!("{refused}") };
    assert!(waiting <= max && taken * (limits::TEXT_SIZE_BYTES as u64) < max, "{taken}: {waiting} of {max}");
    let (taken, refused) = by(&|nonce| heavy(1, nonce));
    let Refused::SenderFull { quota: Quota::Weight, waiting, max, .. } = refused else { panic!("{refused}") };
    assert!(waiting <= max && taken * limits::DECISION_WEIGHT.get() <= max, "{taken}: {waiting} of {max}");
}

#[test]
fn who_has_most_of_a_full_mempool_makes_way_for_who_has_less() {
    let senders: Vec<u8> = (1..=20).collect();
    let (state, mut pool) = (accounts(&senders), Mempool::new());
    for sender in 1..=16 {
        let (_, refused) = full_by(&mut pool, &state, |nonce| heavy(sender, nonce));
        assert!(matches!(refused, Refused::SenderFull { .. }), "{refused}");
    }
    pool.insert(transaction(20, 0, 1_000), &state, Timestamp::ZERO).expect("little");
    pool.insert(heavy(19, 0), &state, Timestamp::ZERO).expect("less than each of the others has");
    assert!(pool.sums.fit(), "{:?}", pool.sums);
    // In the end each has as much as the others, and none gets more.
    let (taken, refused) = full_by(&mut pool, &state, |nonce| heavy(18, nonce));
    assert!(matches!(refused, Refused::Full(_)), "{refused}");
    assert!(taken >= 50, "{taken} beside {}", pool.waiting_of(&AccountId::from_bytes([1; 32])));
    let sums = pool.senders.values().fold(Sums::default(), |sums, waiting| sums.plus(waiting.sums));
    assert_eq!((sums, pool.len()), (pool.sums, pool.entries.len()));
}

#[test]
fn a_block_is_shared_by_weight_and_the_heavy_get_their_turn() {
    let (state, mut pool) = (accounts(&[1, 2, 3, 4, 5]), Mempool::new());
    for sender in 1..=5 {
        for nonce in 0..(if sender == 1 { 6 } else { 1_500 }) {
            let one = if sender == 1 { heavy(1, nonce) } else { transaction(sender, nonce, 1_000) };
            pool.insert(one, &state, Timestamp::ZERO).expect("room");
        }
    }
    let mut of_heavy = Vec::new();
    for _ in 0..3 {
        let batch = pool.batch(8_192, 8_192);
        let weight = |sender: u8| {
            let of = |one: &&Transaction| *one.body.sender.as_bytes() == [sender; 32];
            batch.iter().filter(of).map(|one| load::of(one).get()).sum::<u64>()
        };
        let weights: Vec<u64> = (1..=5).map(weight).collect();
        assert!(weights.iter().sum::<u64>() <= limits::BLOCK_WEIGHT.get(), "{weights:?}");
        assert!(weights.iter().all(|weight| *weight <= limits::SENDER_WEIGHT.get()), "{weights:?}");
        assert!(weights[1..].iter().all(|weight| *weight > 100_000), "{weights:?}");
        of_heavy.push(batch.iter().filter(|one| *one.body.sender.as_bytes() == [1; 32]).count());
        pool.remove(&batch.iter().map(Transaction::id).collect::<Vec<_>>());
    }
    assert_eq!(of_heavy.iter().sum::<usize>(), 6, "{of_heavy:?}");
}

/// How many blocks of as many transactions as there are senders pass before the first sender's heavy transaction is in
/// one, while the others always have light ones.
fn blocks_until_the_heavy_one(state: &Accounts, senders: &[u8]) -> u64 {
    let (first, others) = senders.split_first().expect("senders");
    let mut pool = Mempool::new();
    pool.insert(heavy(*first, 0), state, Timestamp::ZERO).expect("room");
    let insert = |pool: &mut Mempool, nonce| {
        for sender in others {
            pool.insert(transaction(*sender, nonce, 1_000), state, Timestamp::ZERO).expect("room");
        }
    };
    (0..40).for_each(|nonce| insert(&mut pool, nonce));
    for blocks in 1..200 {
        let batch = pool.batch(8_192, senders.len());
        assert_eq!(batch.len(), senders.len(), "in block {blocks}");
        pool.remove(&batch.iter().map(Transaction::id).collect::<Vec<_>>());
        if pool.waiting_of(&AccountId::from_bytes([*first; 32])) == 0 {
            return blocks;
        }
        // As many as went.
        insert(&mut pool, 1_000 + 2 * blocks);
        insert(&mut pool, 1_001 + 2 * blocks);
    }
    panic!("it never comes");
}

#[test]
fn one_heavy_transaction_waits_for_light_ones_of_others_but_not_for_ever() {
    let senders: Vec<u8> = (1..=200).collect();
    let blocks = blocks_until_the_heavy_one(&accounts(&senders), &senders);
    assert!(blocks > 1, "it weighs as much as many light ones");
}

#[test]
fn one_heavy_transaction_waits_for_light_ones_of_its_own_family_but_not_for_ever() {
    let senders: Vec<u8> = (10..20).collect();
    let blocks = blocks_until_the_heavy_one(&families(&[1]), &senders);
    assert!(blocks > 1, "it weighs as much as many light ones");
}

#[test]
fn a_heavy_transaction_does_not_wait_for_ever_behind_light_ones_of_its_own_family() {
    let one = heavy(12, 0);
    // No room is left for it once each other family had as much.
    let count = limits::BLOCK_WEIGHT.get() / one.weight.get() + 1;
    let founders: Vec<u8> = (1..=u8::try_from(count).expect("few")).collect();
    let (state, mut pool) = (families(&founders), Mempool::new());
    pool.insert(one, &state, Timestamp::ZERO).expect("room");
    let mut nonce = 0;
    for blocks in 0.. {
        // Every family, that of the heavy one too, has more light ones than go into a block.
        for founder in &founders {
            for sender in [10 * founder, 10 * founder + 1] {
                let waiting = |pool: &Mempool| pool.waiting_of(&AccountId::from_bytes([sender; 32]));
                while waiting(&pool) < 200 {
                    pool.insert(transaction(sender, nonce, 1_000), &state, Timestamp::ZERO).expect("room");
                    nonce += 1;
                }
            }
        }
        let batch = pool.batch(8_192, 8_192);
        pool.remove(&batch.iter().map(Transaction::id).collect::<Vec<_>>());
        if batch.iter().any(|one| *one.body.sender.as_bytes() == [12; 32]) {
            break;
        }
        assert!(blocks < 20, "it never comes");
    }
}

#[test]
fn many_accounts_of_one_founder_delay_each_other_and_nobody_else() {
    let (state, mut pool) = (families(&[1, 2]), Mempool::new());
    for sender in 10..20 {
        for nonce in 0..300 {
            pool.insert(transaction(sender, nonce, 1_000), &state, Timestamp::ZERO).expect("room");
        }
    }
    for nonce in 0..40 {
        pool.insert(transaction(23, nonce, 1_000), &state, Timestamp::ZERO).expect("room");
    }
    let batch = pool.batch(8_192, 80);
    let of = |senders: std::ops::Range<u8>| {
        batch.iter().filter(|one| senders.contains(&one.body.sender.as_bytes()[0])).count()
    };
    assert_eq!((of(10..20), of(20..30)), (40, 40), "half of the block each");
    assert!((10..20).all(|sender| of(sender..sender + 1) == 4), "and a tenth of that");
}

#[test]
fn a_mempool_full_of_one_founders_accounts_has_room_for_everybody_else() {
    let (state, mut pool) = (families(&[1, 2, 3]), Mempool::new());
    for sender in (10..20).chain(30..36) {
        full_by(&mut pool, &state, |nonce| heavy(sender, nonce));
    }
    let of = |pool: &Mempool, founder: u8| pool.founders[&AccountId::from_bytes([founder; 32])].sums;
    let before = of(&pool, 30);
    let new = 3 * 40;
    for (sender, nonce) in (20..23).flat_map(|sender| (0..40).map(move |nonce| (sender, nonce))) {
        pool.insert(heavy(sender, nonce), &state, Timestamp::ZERO).expect("who has most makes way");
    }
    assert_eq!(of(&pool, 30), before, "not who has less than the largest");
    assert_eq!(of(&pool, 20).transactions, new);
    // Within its founder's part, an account that has less than the others has room too.
    pool.remove(&pool.senders[&AccountId::from_bytes([11; 32])].by_arrival.iter().copied().collect::<Vec<_>>());
    for nonce in 1_000.. {
        if !pool.sums.plus(Sums::of(&heavy(11, 0))).fit() {
            break;
        }
        let sender = 22 + u8::try_from(nonce % 8).expect("small");
        pool.insert(heavy(sender, nonce), &state, Timestamp::ZERO).expect("room");
    }
    pool.insert(heavy(11, 5_000), &state, Timestamp::ZERO).expect("the largest of its family makes way");
}

#[test]
fn who_fills_the_bytes_makes_way_though_others_have_more_weight() {
    let senders: Vec<u8> = (1..=30).collect();
    let (state, mut pool) = (accounts(&senders), Mempool::new());
    // One heavy sender, and the rest of the bytes taken by others with little weight.
    for nonce in 0..40 {
        pool.insert(heavy(30, nonce), &state, Timestamp::ZERO).expect("room");
    }
    for sender in 1..=17 {
        full_by(&mut pool, &state, |nonce| long(sender, nonce));
    }
    assert!(!pool.sums.plus(Sums::of(&long(29, 0))).fit(), "{:?}", pool.sums);
    for nonce in 0..20 {
        pool.insert(long(29, nonce), &state, Timestamp::ZERO).expect("who has most bytes makes way");
    }
    assert_eq!(pool.waiting_of(&AccountId::from_bytes([30; 32])), 40);
}

#[test]
fn others_see_what_would_be_refused() {
    let (state, mut pool) = (accounts(&[1, 2]), Mempool::new());
    let (room, time) = (pool.room(), Timestamp::ZERO);
    let check = |one: &Checked| Formed(one.clone()).check(&state, time, &room);
    let one = transaction(1, 1, 500);
    assert_eq!(check(&one), Ok(()));
    pool.insert(one.clone(), &state, time).expect("room");
    assert_eq!(check(&one), Err(Refused::Known(one.id)));
    full_by(&mut pool, &state, |nonce| transaction(1, 10 + nonce, 1_000));
    assert!(matches!(check(&transaction(1, 2, 500)), Err(Refused::SenderFull { .. })));
    assert_eq!(check(&transaction(2, 2, 500)), Ok(()), "another has room");
    pool.remove(&[one.id]);
    assert_eq!(check(&one), Ok(()), "there is room again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The model: transactions of equal weight are dealt out one by one, each to the family that has had least and
    /// wants more, and in it to the account that has had least and wants more.
    #[test]
    fn a_batch_is_what_dealing_out_one_by_one_gives(
        wanted in proptest::collection::vec(0_usize..40, 50),
        max in 0_usize..400,
    ) {
        let (state, mut pool) = (families(&[1, 2, 3, 4, 5]), Mempool::new());
        for (sender, wanted) in (10..60).zip(&wanted) {
            for nonce in 0..*wanted {
                let nonce = u64::try_from(nonce).expect("small");
                pool.insert(transaction(sender, nonce, 1_000), &state, Timestamp::ZERO).expect("room");
            }
        }
        let mut model = vec![0_usize; 50];
        for _ in 0..max {
            let left = |one: &usize| model[*one] < wanted[*one];
            let family = (0..5).filter(|family| (10 * family..10 * family + 10).any(|one| left(&one)));
            let Some(family) = family.min_by_key(|f| model[10 * f..10 * f + 10].iter().sum::<usize>()) else { break };
            let account = (10 * family..10 * family + 10).filter(left).min_by_key(|one| model[*one]);
            model[account.expect("one that wants more")] += 1;
        }
        let mut of = vec![0_usize; 50];
        for one in pool.batch(8_192, max) {
            of[usize::from(one.body.sender.as_bytes()[0]) - 10] += 1;
        }
        // Who of equals comes first is the mempool's own affair.
        let sorted = |counts: &[usize]| {
            let mut families: Vec<usize> = counts.chunks(10).map(|family| family.iter().sum()).collect();
            families.sort_unstable();
            families
        };
        prop_assert_eq!(sorted(&of), sorted(&model));
        for (family, wanted) in of.chunks(10).zip(wanted.chunks(10)) {
            for (one, wants) in family.iter().zip(wanted) {
                let most = family.iter().copied().max().unwrap_or(0);
                prop_assert!(one == wants || one + 1 >= most, "{:?} of {:?}", family, wanted);
            }
        }
    }

    /// Whatever comes and goes, the sums are what the entries add up to, and nobody is kept who has nothing.
    #[test]
    fn sums_follow_what_waits(steps in proptest::collection::vec((10_u8..40, 0_u64..60, 0_u8..4), 1..300)) {
        let (state, mut pool) = (families(&[1, 2, 3]), Mempool::new());
        for (sender, nonce, kind) in steps {
            let one = match kind {
                0 => heavy(sender, nonce),
                1 => long(sender, nonce),
                _ => transaction(sender, nonce, 1_000),
            };
            if pool.insert(one.clone(), &state, Timestamp::ZERO).is_err() {
                pool.remove(&[one.id]);
            }
            if nonce.is_multiple_of(20) {
                let batch = pool.batch(8_192, 20);
                pool.remove(&batch.iter().map(Transaction::id).collect::<Vec<_>>());
            }
            let of = |senders: &mut dyn Iterator<Item = &Checked>| {
                senders.fold(Sums::default(), |sums, one| sums.plus(Sums::of(one)))
            };
            prop_assert_eq!(of(&mut pool.entries.values()), pool.sums);
            for (id, founder) in &pool.founders {
                prop_assert!(!founder.senders.is_empty());
                prop_assert!(pool.founders_by_share.contains(&(founder.sums.share(), *id)));
                let sums = founder.senders.iter().map(|sender| pool.sums_of(sender));
                prop_assert_eq!(sums.fold(Sums::default(), Sums::plus), founder.sums);
            }
            prop_assert_eq!(pool.founders.len(), pool.founders_by_share.len());
            prop_assert!(pool.senders.values().all(|waiting| !waiting.by_arrival.is_empty()));
        }
    }
}

#[test]
fn each_entry_waits_once_and_leaves_nothing_behind() {
    let (state, mut pool) = (accounts(&[1]), Mempool::new());
    let (one, two) = (transaction(1, 1, 500), transaction(1, 2, 900));
    pool.insert(one.clone(), &state, Timestamp::ZERO).expect("room");
    assert_eq!(pool.insert(one.clone(), &state, Timestamp::ZERO), Err(Refused::Known(one.id)));
    pool.insert(two.clone(), &state, Timestamp::ZERO).expect("room");
    assert_eq!(pool.expire(Timestamp::new(501)), 1);
    assert!(!pool.contains(&one.id) && pool.contains(&two.id));
    pool.remove(&[two.id]);
    assert!(
        pool.is_empty()
            && pool.sums == Sums::default()
            && pool.founders.is_empty()
            && pool.founders_by_share.is_empty()
            && pool.senders.is_empty()
            && pool.by_expiry.is_empty()
    );
}

#[test]
fn what_was_executed_stays_out() {
    let (mut state, mut pool) = (accounts(&[1]), Mempool::new());
    let one = transaction(1, 1, 500);
    let seen = Seen::key_bytes(&(one.transaction.body.expires, one.id));
    state.0.insert(seen, crate::ground::codec::encode(&Seen));
    assert_eq!(pool.insert(one, &state, Timestamp::ZERO), Err(Rejection::Replayed.into()));
    pool.insert(transaction(1, 2, 500), &state, Timestamp::ZERO).expect("another");
}

#[test]
fn only_the_signatures_that_were_checked_pass_as_verified() {
    let (state, mut pool) = (accounts(&[1]), Mempool::new());
    let one = transaction(1, 1, 500);
    let forged = Transaction { signatures: vec![Signature::from_bytes([9; 64])], ..one.transaction.clone() };
    pool.insert(one.clone(), &state, Timestamp::ZERO).expect("room");
    assert_eq!(forged.id(), one.id, "an id does not cover signatures");
    assert!(pool.holds(&one.transaction) && !pool.holds(&forged));
}

#[test]
fn one_sender_alone_has_no_more_of_a_block_than_its_part() {
    let (state, mut pool) = (accounts(&[1]), Mempool::new());
    let (taken, _) = full_by(&mut pool, &state, |nonce| heavy(1, nonce));
    let batch = pool.batch(8_192, 8_192);
    let weight: u64 = batch.iter().map(|one| load::of(one).get()).sum();
    assert!(weight <= limits::SENDER_WEIGHT.get() && !batch.is_empty(), "{weight}");
    assert!((batch.len() as u64) < taken, "some wait for the next block");
}

#[test]
fn strangers_and_expired_transactions_stay_out() {
    let (state, mut pool) = (accounts(&[1]), Mempool::new());
    let stranger = pool.insert(transaction(9, 0, 1_000), &state, Timestamp::ZERO);
    assert!(matches!(stranger, Err(Refused::Rejected(Rejection::UnknownAccount(_)))), "{stranger:?}");
    let late = pool.insert(transaction(1, 0, 10), &state, Timestamp::new(11));
    assert!(matches!(late, Err(Refused::Rejected(Rejection::Expired { .. }))), "{late:?}");
}
