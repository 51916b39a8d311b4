#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::*;
use proptest::prelude::*;

fn points(value: u16) -> BasisPoints {
    BasisPoints::new(value).expect("within the whole")
}

fn rule(quorum: u16, threshold: u16) -> Rule {
    Rule::new(points(quorum), points(threshold), 1_000)
}

fn tally(yes: u64, no: u64, abstain: u64) -> Tally {
    Tally { yes, no, abstain, electorate: 100, ballots: 3, ..Tally::default() }
}

#[test]
fn a_tie_never_passes_and_the_bounds_are_exact() {
    assert_eq!(rule(5_000, 5_000).judge(&tally(25, 25, 0)), Verdict::NotEnoughYes);
    assert_eq!(rule(5_000, 5_000).judge(&tally(26, 24, 0)), Verdict::Passed);
    assert_eq!(rule(5_000, 5_000).judge(&tally(26, 23, 0)), Verdict::NoQuorum);
    assert_eq!(rule(5_000, 5_000).judge(&tally(26, 0, 24)), Verdict::Passed);
    assert_eq!(rule(5_000, 6_667).judge(&tally(66, 33, 0)), Verdict::NotEnoughYes);
    assert_eq!(rule(5_000, 6_666).judge(&tally(66, 33, 0)), Verdict::Passed);
    assert_eq!(rule(10_000, 10_000).judge(&tally(100, 0, 0)), Verdict::Passed);
    assert_eq!(rule(1, 5_000).judge(&tally(0, 0, 1)), Verdict::NotEnoughYes);
}

#[test]
fn vetoes_count_against_and_enough_of_them_reject() {
    let rule = Rule { veto: Some(points(3_334)), ..rule(5_000, 5_000) };
    let vetoed = |yes, veto| Tally { yes, veto, electorate: 100, ballots: 2, ..Tally::default() };
    assert_eq!(rule.judge(&vetoed(67, 33)), Verdict::Passed, "33 % is less than 33.34 %");
    assert_eq!(rule.judge(&vetoed(66, 34)), Verdict::Vetoed);
    assert_eq!(rule.judge(&vetoed(0, 0)), Verdict::NoQuorum);
}

#[test]
fn an_optimistic_decision_passes_unless_enough_object() {
    let rule = Rule { objection: Some(points(2_000)), ..rule(5_000, 5_000) };
    assert_eq!(rule.judge(&tally(0, 0, 0)), Verdict::Passed);
    assert_eq!(rule.judge(&tally(0, 19, 0)), Verdict::Passed);
    assert_eq!(rule.judge(&tally(80, 20, 0)), Verdict::Objected);
    assert_eq!(rule.outlook(&tally(0, 19, 0)).yes_lacks, Some(0));
}

#[test]
fn an_outlook_says_what_lacks() {
    let lacks = |rule: Rule, tally: Tally| {
        let outlook = rule.outlook(&tally);
        (outlook.quorum_lacks, outlook.yes_lacks)
    };
    assert_eq!(lacks(rule(5_000, 5_000), tally(0, 0, 0)), (50, Some(50)));
    assert_eq!(lacks(rule(5_000, 5_000), tally(40, 0, 0)), (10, Some(10)));
    assert_eq!(lacks(rule(5_000, 5_000), tally(25, 25, 0)), (0, Some(1)));
    assert_eq!(lacks(rule(5_000, 6_667), tally(20, 30, 0)), (0, Some(41)));
    assert_eq!(lacks(rule(5_000, 5_000), tally(10, 51, 0)), (0, None));
    assert_eq!(lacks(rule(5_000, 10_000), tally(60, 1, 0)), (0, None));
}

#[test]
fn what_blocks_is_the_least_that_does() {
    assert_eq!(rule(5_000, 5_000).blocking_weight(100), 50);
    assert_eq!(rule(5_000, 6_667).blocking_weight(100), 34);
    assert_eq!(rule(5_000, 10_000).blocking_weight(100), 1);
    assert_eq!(rule(5_000, 5_000).blocking_weight(0), 0, "nobody, and nothing passes");
    let optimistic = Rule { objection: Some(points(1_000)), ..rule(5_000, 5_000) };
    assert_eq!(optimistic.blocking_weight(100), 10);
}

#[test]
fn a_policy_says_what_it_risks() {
    let sound = ModelPolicy::uniform(&rule(7_500, 6_667));
    assert_eq!(sound.check(), Ok(()));
    let minority = ModelPolicy { rules: rule(5_000, 6_667), ..sound.clone() };
    assert_eq!(minority.risks(), [Risk::MinorityDecides]);
    assert!(minority.check().unwrap_err().to_string().contains("minority_decides"));
    assert_eq!(ModelPolicy { allow: vec![Risk::MinorityDecides], ..minority }.check(), Ok(()));
    let heads = Rule { electorate: Electorate::Members, ..rule(7_500, 6_667) };
    let split = ModelPolicy { ownership: heads, ..sound.clone() };
    assert_eq!(split.risks(), [Risk::SplitVoices]);
    assert_eq!(ModelPolicy { transfers: TransferRule::Locked, ..split }.risks(), []);
    let silent = Rule { objection: Some(points(1_000)), ..rule(7_500, 6_667) };
    assert_eq!(ModelPolicy { stewards: silent.clone(), ..sound.clone() }.risks(), [Risk::SilenceDecides]);
    assert_eq!(ModelPolicy { release: silent, ..sound }.risks(), [], "releases may be optimistic");
}

#[test]
fn a_policy_that_could_never_pass_anything_is_refused() {
    let name = |text: &str| Name::new(text).expect("a name");
    let account = AccountId::from_bytes([1; 32]);
    let policy = ModelPolicy::uniform(&rule(7_500, 6_667));
    let gate = Gate { statement: name("bias-audit"), role: name("auditor"), attestors: 2, outvoted_by: None };
    let role = |accounts: Vec<AccountId>| Role { name: name("auditor"), accounts };
    let gated = |roles| ModelPolicy { gates: vec![gate.clone()], roles, ..policy.clone() };
    let refused = |policy: ModelPolicy| policy.check().unwrap_err().to_string();
    assert!(refused(gated(vec![])).contains("which has 0"));
    assert!(refused(gated(vec![role(vec![account])])).contains("which has 1"));
    assert!(refused(gated(vec![role(vec![account; 2])])).contains("twice"));
    assert_eq!(gated(vec![role(vec![account, AccountId::from_bytes([2; 32])])]).check(), Ok(()));
    let three = || vec![role((1..=3).map(|byte| AccountId::from_bytes([byte; 32])).collect())];
    let outvoted = |needed| {
        let gates = vec![Gate { outvoted_by: Some(needed), ..gate.clone() }];
        ModelPolicy { gates, roles: three(), ..policy.clone() }
    };
    assert_eq!(outvoted(2).check(), Ok(()));
    assert!(refused(outvoted(1)).contains("set the 2 that must attest"), "fewer than must attest anyway");
    assert!(refused(outvoted(3)).contains("less than the 3"), "one of three failed, so three cannot have passed it");
    let arbiters = Arbiters { accounts: vec![account], needed: 2 };
    assert!(refused(ModelPolicy { arbiters: Some(arbiters), ..policy.clone() }).contains("1 to 1"));
    let never = Rule { veto: Some(points(0)), ..rule(7_500, 6_667) };
    assert!(refused(ModelPolicy { dispute: never, ..policy.clone() }).contains("veto"));
    let long = Rule { early_close_ms: Some(1_001), ..rule(7_500, 6_667) };
    assert!(refused(ModelPolicy { dispute: long, ..policy }).contains("early close"));
}

prop_compose! {
    fn any_rule()(
        quorum in 1u16..=10_000, threshold in 5_000u16..=10_000,
        veto in proptest::option::of(1u16..=10_000), objection in proptest::option::weighted(0.2, 1u16..=10_000),
    ) -> Rule {
        Rule { veto: veto.map(points), objection: objection.map(points), ..rule(quorum, threshold) }
    }
}

prop_compose! {
    fn any_tally()(
        yes in 0u64..1_000, no in 0u64..1_000, abstain in 0u64..1_000, veto in 0u64..300, silent in 0u64..3_000,
    ) -> Tally {
        let electorate = yes + no + abstain + veto + silent;
        Tally { yes, no, abstain, veto, electorate, ballots: 4, delegated: 0 }
    }
}

proptest! {
    #[test]
    fn what_an_outlook_asks_for_is_just_enough(rule in any_rule(), tally in any_tally()) {
        let with = |more: u64| rule.judge(&Tally { yes: tally.yes + more, ..tally });
        let silent = tally.silent();
        match rule.outlook(&tally).yes_lacks {
            Some(lacks) => {
                prop_assert!(lacks <= silent);
                prop_assert_eq!(with(lacks), Verdict::Passed);
                prop_assert!(lacks == 0 || with(lacks - 1) != Verdict::Passed);
            }
            None => prop_assert_ne!(with(silent), Verdict::Passed),
        }
    }

    #[test]
    fn more_yes_never_turns_a_pass_into_a_failure(
        rule in any_rule(),
        yes in 0u64..1 << 62, no in 0u64..1 << 62, abstain in 0u64..1 << 62, veto in 0u64..1 << 61, more in 0u64..1 << 60,
    ) {
        let tally = Tally { yes, no, abstain, veto, electorate: u64::MAX, ballots: 4, delegated: 0 };
        if rule.judge(&tally) == Verdict::Passed {
            let further = Tally { yes: yes + more, ..tally };
            prop_assert_eq!(rule.judge(&further), Verdict::Passed);
        }
    }

    #[test]
    fn a_settled_outcome_stands_whatever_the_silent_say(
        rule in any_rule(), tally in any_tally(), parts in proptest::array::uniform3(0u64..=100),
        delegated in 0u64..500, (from, to) in (0usize..4, 0usize..4),
    ) {
        // Those who delegated move to another answer, as far as their delegates gave that much to one.
        let mut sums = [tally.yes, tally.no, tally.abstain, tally.veto];
        let delegated = delegated.min(sums[from]);
        let settled = rule.is_settled(&Tally { delegated, ..tally });
        let before = rule.judge(&tally) == Verdict::Passed;
        sums[from] -= delegated;
        sums[to] += delegated;
        let tally = Tally { yes: sums[0], no: sums[1], abstain: sums[2], veto: sums[3], ..tally };
        if settled {
            let silent = tally.silent();
            let (yes, no, veto) = (silent * parts[0] / 400, silent * parts[1] / 400, silent * parts[2] / 400);
            let abstain = (silent - yes - no - veto) / 2;
            let later = Tally {
                yes: tally.yes + yes, no: tally.no + no, veto: tally.veto + veto, abstain: tally.abstain + abstain, ..tally
            };
            prop_assert_eq!(rule.judge(&later) == Verdict::Passed, before);
        }
    }

    #[test]
    fn a_blocking_weight_blocks_and_one_less_does_not(rule in any_rule(), electorate in 1u64..100_000) {
        let against = |no: u64| rule.judge(&Tally { yes: electorate - no, no, electorate, ..Tally::default() });
        let blocking = rule.blocking_weight(electorate);
        prop_assert_ne!(against(blocking), Verdict::Passed);
        prop_assert!(blocking == 0 || against(blocking - 1) == Verdict::Passed);
    }
}
