//! Caps: what one may get of a round at most, and what that does against one person with several accounts.

use super::*;
use allod_protocol::{
    ground::{
        codec,
        ids::Handle,
        state::{ChangeSet, Record as _},
    },
    rules::{
        account::{CreateAccount, KeyPolicy},
        network::{AdmitMember, GrantQuota},
        proposal::NetworkAction,
        round::RoundScore,
    },
};
use allod_tests::ledger::key;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// An account that one admits, with a part of its quota.
fn admit(ledger: &mut TestLedger, sponsor: (AccountId, u8), handle: &str, seed: u8, quota: u32) -> AccountId {
    let handle = Handle::new(handle).unwrap();
    let new = CreateAccount { handle, keys: KeyPolicy::single(key(seed).public_key()), quota };
    let transaction = ledger.sign(sponsor.0, &[key(sponsor.1)], Action::CreateAccount(new));
    match ledger.run(transaction).events.first() {
        Some(Event::AccountCreated { account, .. }) => *account,
        other => panic!("{other:?}"),
    }
}

/// A model whose round is open, with these scores as if they had been countersigned.
fn scored(ledger: &mut TestLedger, plan: RoundPlan, scores: &[(AccountId, u64)]) -> ModelId {
    let model = founded(ledger, policy(50, 60));
    open_round(ledger, model, plan);
    let mut round: Round = ledger.read(&(model, 0)).unwrap();
    let mut changes = ChangeSet::new();
    for (account, score) in scores.iter().filter(|(_, score)| *score > 0) {
        round.score += score;
        round.contributors += 1;
        let score = RoundScore { score: *score, ..RoundScore::default() };
        changes.insert(RoundScore::key_bytes(&(model, 0, *account)), Some(codec::encode(&score)));
    }
    changes.insert(Round::key_bytes(&(model, 0)), Some(codec::encode(&round)));
    ledger.state.apply(changes);
    model
}

/// What each giver gets.
fn minted(ledger: &TestLedger, plan: RoundPlan, scores: &[(AccountId, u64)]) -> BTreeMap<AccountId, u64> {
    let mut ledger = ledger.clone();
    let model = scored(&mut ledger, plan, scores);
    foreseen(&ledger, model).into_iter().collect()
}

/// Northfield and the three that go back to it, one over another, and riverbend with one of its own that is a member.
fn sponsored() -> (TestLedger, [AccountId; 6]) {
    let mut ledger = ledger();
    let (northfield, riverbend) = (account(&ledger, 0), account(&ledger, 3));
    let first = admit(&mut ledger, (northfield, 0), "first", 50, 1);
    let second = admit(&mut ledger, (northfield, 0), "second", 51, 0);
    let third = admit(&mut ledger, (first, 50), "third", 52, 0);
    let member = admit(&mut ledger, (riverbend, 3), "newcomer", 53, 0);
    crate::common::decide_network(&mut ledger, NetworkAction::AdmitMember(AdmitMember { account: member }));
    (ledger, [northfield, first, second, third, riverbend, member])
}

#[test]
fn one_person_with_several_accounts_escapes_a_cap_per_account_and_no_shared_one() {
    let (ledger, [_, first, second, third, riverbend, member]) = sponsored();
    let capped = |per| RoundPlan { cap: Some(Cap { per, part: BasisPoints::new(2_500).unwrap() }), ..plan(1_000) };
    let scores = [(first, 300), (second, 300), (third, 300), (riverbend, 50), (member, 50)];
    let sum = |per| {
        let units = minted(&ledger, capped(per), &scores);
        (units[&first] + units[&second] + units[&third], units[&riverbend] + units[&member])
    };
    assert_eq!(sum(CapPer::Account), (750, 100), "three accounts have three caps");
    assert_eq!(sum(CapPer::Sponsor), (250, 100));
    assert_eq!(sum(CapPer::Member), (250, 100));
    let rich = [(riverbend, 400), (member, 400), (first, 200)];
    let sum = |per| {
        let units = minted(&ledger, capped(per), &rich);
        units[&riverbend] + units[&member]
    };
    assert_eq!(sum(CapPer::Sponsor), 250, "they go back to one founding account");
    assert_eq!(sum(CapPer::Member), 500, "the members admitted it as one of their own");
}

#[test]
fn several_accounts_of_one_person_are_one_of_the_givers_that_there_must_be_where_they_share_a_cap() {
    let (ledger, [_, first, second, third, riverbend, member]) = sponsored();
    let closed = |per, min_contributors, scores: &[(AccountId, u64)]| {
        let mut ledger = ledger.clone();
        let plan = RoundPlan { cap: Some(half(per)), min_contributors, ..plan(100) };
        let model = scored(&mut ledger, plan, scores);
        matches!(close(&mut ledger, model).status, RoundStatus::Closed { .. })
    };
    let own = [(first, 1), (second, 1), (third, 1)];
    assert!(closed(CapPer::Account, 3, &own), "three accounts are enough for a cap per account");
    assert!(!closed(CapPer::Sponsor, 2, &own) && closed(CapPer::Sponsor, 1, &own));
    let two = [(first, 1), (second, 1), (riverbend, 1), (member, 1)];
    assert!(closed(CapPer::Sponsor, 2, &two) && !closed(CapPer::Sponsor, 3, &two));
    assert!(closed(CapPer::Member, 3, &two), "the members admitted one as one of their own");
}

#[test]
fn a_shared_cap_closes_as_it_was_foreseen_and_is_kept_for_every_giver() {
    let (mut ledger, [northfield, first, second, third, ..]) = sponsored();
    let plan = RoundPlan { cap: Some(half(CapPer::Member)), ..plan(101) };
    let scores = [(first, 3), (second, 3), (third, 5), (account(&ledger, 2), 4)];
    let model = scored(&mut ledger, plan, &scores);
    let foreseen: BTreeMap<AccountId, u64> = foreseen(&ledger, model).into_iter().collect();
    let round = close(&mut ledger, model);
    assert!(matches!(round.status, RoundStatus::Closed { minted, .. } if minted == Units::new(77)), "{round:?}");
    for (giver, units) in foreseen {
        let kept: RoundScore = ledger.read(&(model, 0, giver)).unwrap();
        assert_eq!(kept.units.get(), units);
        assert_eq!(kept.group, Some(if giver == account(&ledger, 2) { giver } else { northfield }));
    }
    assert_eq!(ledger.read::<Register>(&model).unwrap().reserved, Units::ZERO);
}

#[test]
fn a_chain_of_sponsors_ends() {
    let mut ledger = ledger();
    decide_network_quota(&mut ledger);
    let mut last = (account(&ledger, 0), 0);
    for link in 0..allod_protocol::ground::limits::SPONSOR_CHAIN {
        let seed = 50 + u8::try_from(link).unwrap();
        last = (admit(&mut ledger, last, &format!("link-{link}-a"), seed, 100 - u32::from(seed - 50)), seed);
    }
    let new = CreateAccount {
        handle: Handle::new("too-far").unwrap(),
        keys: KeyPolicy::single(key(9).public_key()),
        quota: 0,
    };
    let transaction = ledger.sign(last.0, &[key(last.1)], Action::CreateAccount(new));
    let Outcome::Rejected(rejection) = ledger.run(transaction).outcome else { panic!("it applied") };
    assert_eq!(rejection.code(), "sponsor_chain");
}

fn decide_network_quota(ledger: &mut TestLedger) {
    let grant = NetworkAction::GrantQuota(GrantQuota { account: account(ledger, 0), quota: 1_000 });
    crate::common::decide_network(ledger, grant);
}

/// Scores of northfield's three, of riverbend and its member, and of two who stand alone.
fn some_scores() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![3 => 0u64..40, 1 => 0u64..1_000_000_000], 7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_capped_round_adds_up_binds_and_gains_nobody_who_splits(
        scores in some_scores(), budget in 1u64..10_000, part in 1u16..=10_000, more in 1u64..1_000_000, moved in 0u64..40,
        per in prop::sample::select(&[CapPer::Account, CapPer::Sponsor, CapPer::Member][..]),
    ) {
        let (ledger, [_, first, second, third, riverbend, member]) = sponsored();
        let givers = [first, second, third, riverbend, member, account(&ledger, 1), account(&ledger, 2)];
        let cap = Cap { per, part: BasisPoints::new(part).unwrap() };
        let plan = RoundPlan { cap: Some(cap), ..plan(budget) };
        let of = |scores: &[u64]| {
            let scores: Vec<_> = givers.into_iter().zip(scores.iter().copied()).collect();
            minted(&ledger, plan.clone(), &scores)
        };
        let got = |units: &BTreeMap<AccountId, u64>, who: &[usize]| -> u64 {
            who.iter().map(|place| units.get(&givers[*place]).copied().unwrap_or(0)).sum()
        };
        let groups: &[&[usize]] = match per {
            CapPer::Account => &[&[0], &[1], &[2], &[3], &[4], &[5], &[6]],
            CapPer::Sponsor => &[&[0, 1, 2], &[3, 4], &[5], &[6]],
            CapPer::Member => &[&[0, 1, 2], &[3], &[4], &[5], &[6]],
        };
        let units = of(&scores);
        let most = cap.units(Units::new(budget));
        for group in groups {
            prop_assert!(got(&units, group) <= most, "above the cap: {units:?}");
        }
        // All of the budget, but for what is above a cap.
        let sums: Vec<u64> = groups.iter().map(|group| group.iter().map(|place| scores[*place]).sum()).collect();
        let uncapped = allod_protocol::ground::apportion::apportion(budget, &sums);
        let minted: u64 = uncapped.iter().map(|units| (*units).min(most)).sum();
        let unlucky = groups.len() as u64;
        let all = units.values().sum::<u64>();
        prop_assert!(all <= budget && all.abs_diff(minted) <= unlucky, "{all} of {budget}, {minted} by groups");
        if most == budget {
            prop_assert_eq!(all, if scores.iter().all(|score| *score == 0) { 0 } else { budget });
        }
        // Who gives more gets no less.
        let mut raised = scores.clone();
        raised[0] += more;
        prop_assert!(got(&of(&raised), &[0]) >= got(&units, &[0]), "{scores:?}");
        // What northfield's accounts give under one name or another is one.
        if per != CapPer::Account {
            let mut split = scores;
            let moved = moved.min(split[0]);
            (split[0], split[2]) = (split[0] - moved, split[2] + moved);
            prop_assert_eq!(got(&of(&split), &[0, 1, 2]), got(&units, &[0, 1, 2]));
        }
    }
}
