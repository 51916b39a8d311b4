#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::{templates::Template, *};
use proptest::prelude::*;

use crate::ground::fraction::Portion;

fn portion(text: &str) -> Portion {
    text.parse().expect(text)
}

/// A rule with a tiny yes quorum, so that the other conditions show.
fn rule(quorum: &str, threshold: &str) -> Rule {
    Rule { yes_quorum: portion("> 0 %"), ..Rule::new(portion(quorum), portion(threshold), 1_000) }
}

fn tally(yes: u64, no: u64, abstain: u64) -> Tally {
    Tally { yes, no, abstain, ..Tally::of(100) }
}

#[test]
fn the_bounds_are_exact_and_say_what_they_mean() {
    let judge = |quorum, threshold, yes, no, abstain| rule(quorum, threshold).judge(&tally(yes, no, abstain));
    assert_eq!(judge("50 %", "> 50 %", 25, 25, 0), Verdict::NotEnoughYes);
    assert_eq!(judge("50 %", "> 50 %", 26, 24, 0), Verdict::Passed);
    assert_eq!(judge("50 %", "> 50 %", 26, 23, 0), Verdict::NoQuorum);
    assert_eq!(judge("> 50 %", "> 50 %", 26, 24, 0), Verdict::NoQuorum);
    assert_eq!(judge("50 %", "66.67 %", 66, 33, 0), Verdict::NotEnoughYes);
    assert_eq!(judge("50 %", "2/3", 66, 33, 0), Verdict::Passed);
    assert_eq!(judge("50 %", "> 2/3", 66, 33, 0), Verdict::NotEnoughYes);
    assert_eq!(judge("100 %", "100 %", 100, 0, 0), Verdict::Passed);
    assert_eq!(judge("0.01 %", "> 50 %", 0, 0, 1), Verdict::NotEnoughYes);
    assert_eq!(judge("0.01 %", "100 %", 0, 0, 1), Verdict::NotEnoughYes, "nobody took sides");
}

#[test]
fn two_of_three_partners_decide() {
    let rule = Template::EqualPartners.policy(&[]).ownership;
    let of = |electorate, yes, no, abstain| rule.judge(&Tally { yes, no, abstain, ..Tally::of(electorate) });
    assert_eq!(of(3, 2, 0, 0), Verdict::Passed);
    assert_eq!(of(3, 2, 1, 0), Verdict::Passed);
    assert_eq!(of(3, 1, 0, 2), Verdict::NoYesQuorum);
    assert_eq!(of(4, 2, 0, 2), Verdict::NoYesQuorum, "half is not more than half");
    assert_eq!(of(4, 3, 1, 0), Verdict::Passed);
}

#[test]
fn abstaining_decides_nothing() {
    let judge = |yes_quorum: &str, yes, abstain| {
        Rule { yes_quorum: portion(yes_quorum), ..rule("75 %", "2/3") }.judge(&tally(yes, 0, abstain))
    };
    assert_eq!(judge("> 50 %", 1, 99), Verdict::NoYesQuorum);
    assert_eq!(judge("> 50 %", 50, 50), Verdict::NoYesQuorum);
    assert_eq!(judge("> 50 %", 51, 49), Verdict::Passed);
    assert_eq!(judge("50 %", 50, 50), Verdict::Passed);
    let implied = Rule::new(portion("75 %"), portion("2/3"), 1_000);
    assert_eq!(implied.yes_quorum, portion("50 %"), "the threshold's part of the quorum");
    assert_eq!(Rule::new(portion("> 75 %"), portion("2/3"), 1_000).yes_quorum, portion("> 50 %"));
}

#[test]
fn dormant_weight_counts_when_it_speaks() {
    let rule = rule("2/3", "2/3");
    let mut tally = Tally { yes: 40, ..Tally::opening(100, 45) };
    assert_eq!(tally.electorate, 55);
    assert_eq!(rule.judge(&tally), Verdict::Passed);
    tally.wake(10);
    assert_eq!((tally.electorate, tally.asleep), (65, 35));
    assert_eq!(rule.judge(&Tally { no: 10, ..tally }), Verdict::Passed);
    assert_eq!(Tally::opening(100, 80).electorate, 50, "never less than half");
    assert_eq!(Tally::opening(0, 0).electorate, 0);
}

#[test]
fn vetoes_count_against_and_enough_of_them_reject() {
    let rule = Rule { veto: Some(portion("1/3")), ..rule("50 %", "> 50 %") };
    let vetoed = |yes, veto| Tally { yes, veto, ..Tally::of(100) };
    assert_eq!(rule.judge(&vetoed(67, 33)), Verdict::Passed, "33 % is less than a third");
    assert_eq!(rule.judge(&vetoed(66, 33)), Verdict::Vetoed, "33 of 99 are a third");
    assert_eq!(rule.judge(&vetoed(0, 0)), Verdict::NoQuorum);
}

#[test]
fn an_optimistic_decision_passes_unless_enough_object() {
    let rule = Rule { objection: Some(portion("20 %")), ..rule("50 %", "> 50 %") };
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
    assert_eq!(lacks(rule("50 %", "> 50 %"), tally(0, 0, 0)), (50, Some(50)));
    assert_eq!(lacks(rule("50 %", "> 50 %"), tally(40, 0, 0)), (10, Some(10)));
    assert_eq!(lacks(rule("50 %", "> 50 %"), tally(25, 25, 0)), (0, Some(1)));
    assert_eq!(lacks(rule("50 %", "2/3"), tally(20, 30, 0)), (0, Some(40)));
    assert_eq!(lacks(rule("50 %", "> 50 %"), tally(10, 51, 0)), (0, None));
    assert_eq!(lacks(rule("50 %", "100 %"), tally(60, 1, 0)), (0, None));
}

#[test]
fn what_blocks_is_the_least_that_does() {
    assert_eq!(rule("50 %", "> 50 %").blocking_weight(100), 50);
    assert_eq!(rule("50 %", "2/3").blocking_weight(100), 34);
    assert_eq!(rule("50 %", "100 %").blocking_weight(100), 1);
    assert_eq!(rule("50 %", "> 50 %").blocking_weight(0), 0, "nobody, and nothing passes");
    let optimistic = Rule { objection: Some(portion("10 %")), ..rule("50 %", "> 50 %") };
    assert_eq!(optimistic.blocking_weight(100), 10);
}

#[test]
fn a_policy_says_what_it_risks() {
    let implied = |quorum, threshold| Rule::new(portion(quorum), portion(threshold), 1_000);
    let sound = ModelPolicy::uniform(&implied("75 %", "2/3"));
    assert_eq!(sound.check(), Ok(()));
    let minority = ModelPolicy { rules: implied("50 %", "2/3"), ..sound.clone() };
    assert_eq!(minority.risks(), [Risk::MinorityDecides]);
    assert!(minority.check().unwrap_err().to_string().contains("minority_decides"));
    assert_eq!(ModelPolicy { allow: vec![Risk::MinorityDecides], ..minority }.check(), Ok(()));
    let heads = Rule { electorate: Electorate::Members, ..implied("75 %", "2/3") };
    let split = ModelPolicy { ownership: heads, ..sound.clone() };
    assert_eq!(split.risks(), [Risk::SplitVoices]);
    assert_eq!(ModelPolicy { transfers: TransferRule::Locked, ..split }.risks(), []);
    let silent = Rule { objection: Some(portion("10 %")), ..implied("75 %", "2/3") };
    assert_eq!(ModelPolicy { stewards: silent.clone(), ..sound.clone() }.risks(), [Risk::SilenceDecides]);
    assert_eq!(ModelPolicy { release: silent, ..sound }.risks(), [], "releases may be optimistic");
}

#[test]
fn a_policy_that_could_never_pass_anything_is_refused() {
    let name = |text: &str| Name::new(text).expect("a name");
    let account = AccountId::from_bytes([1; 32]);
    let policy = ModelPolicy::uniform(&Rule::new(portion("75 %"), portion("2/3"), 1_000));
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
    let arbiters = Arbiters::new(vec![account], 2);
    assert!(refused(ModelPolicy { arbiters: Some(arbiters), ..policy.clone() }).contains("1 to 1"));
    let never = Rule { veto: Some(portion("0 %")), ..rule("75 %", "2/3") };
    assert!(refused(ModelPolicy { dispute: never, ..policy.clone() }).contains("veto"));
    let long = Rule { early_close_ms: Some(1_001), ..rule("75 %", "2/3") };
    assert!(refused(ModelPolicy { dispute: long, ..policy }).contains("early close"));
}

prop_compose! {
    fn any_portion()(part in 0u64..=60, more in any::<bool>()) -> Portion {
        let part = Fraction::new(part, 60).expect("a part");
        if more { Portion::more_than(part).unwrap_or(Portion::WHOLE) } else { Portion::at_least(part) }
    }
}

prop_compose! {
    fn any_rule()(
        quorum in any_portion(), threshold in any_portion(), yes_quorum in any_portion(),
        veto in proptest::option::of(any_portion()), objection in proptest::option::weighted(0.2, any_portion()),
    ) -> Rule {
        // A threshold is more than half: fold smaller parts over it.
        let threshold = if threshold < Portion::MAJORITY { Portion::MAJORITY } else { threshold };
        let some = |portion: Portion| if portion.is_met_by_nothing() { portion_of_something() } else { portion };
        Rule {
            veto: veto.map(some), objection: objection.map(some), yes_quorum: some(yes_quorum),
            ..Rule::new(some(quorum), threshold, 1_000)
        }
    }
}

fn portion_of_something() -> Portion {
    portion("> 0 %")
}

prop_compose! {
    fn any_tally()(
        yes in 0u64..1_000, no in 0u64..1_000, abstain in 0u64..1_000, veto in 0u64..300, silent in 0u64..3_000,
        asleep in 0u64..3_000,
    ) -> Tally {
        let whole = yes + no + abstain + veto + silent;
        Tally { yes, no, abstain, veto, ballots: 4, ..Tally::opening(whole, asleep.min(silent)) }
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
        let tally = Tally { yes, no, abstain, veto, ballots: 4, ..Tally::of(u64::MAX) };
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
        // Delegators move to another answer, as far as their delegates gave that much to one.
        let mut sums = [tally.yes, tally.no, tally.abstain, tally.veto];
        let delegated = delegated.min(sums[from]);
        let settled = rule.is_settled(&Tally { delegated, ..tally });
        let before = rule.judge(&tally) == Verdict::Passed;
        sums[from] -= delegated;
        sums[to] += delegated;
        let tally = Tally { yes: sums[0], no: sums[1], abstain: sums[2], veto: sums[3], ..tally };
        if settled {
            // The dormant may speak, all or some of them, in addition to those who are silent.
            let silent = u64::try_from(u128::from(tally.whole) - tally.answered()).expect("within the whole");
            let woken = tally.asleep * parts[1] / 100;
            let spoken = woken.min(tally.asleep);
            let (yes, no, veto) = (silent * parts[0] / 400, silent * parts[1] / 400, silent * parts[2] / 400);
            let abstain = (silent - yes - no - veto) / 2;
            let later = Tally {
                yes: tally.yes + yes, no: tally.no + no, veto: tally.veto + veto, abstain: tally.abstain + abstain, ..tally
            };
            let mut later = later;
            later.wake(spoken);
            prop_assert_eq!(rule.judge(&later) == Verdict::Passed, before);
        }
    }

    #[test]
    fn a_blocking_weight_blocks_and_one_less_does_not(rule in any_rule(), electorate in 1u64..100_000) {
        let against = |no: u64| rule.judge(&Tally { yes: electorate - no, no, ..Tally::of(electorate) });
        let blocking = rule.blocking_weight(electorate);
        prop_assert_ne!(against(blocking), Verdict::Passed);
        prop_assert!(blocking == 0 || against(blocking - 1) == Verdict::Passed);
    }
}

proptest! {
    /// What is to pass by two rules at once must pass by each of them.
    #[test]
    fn what_passes_by_both_rules_passes_by_either(
        one in any_rule(), two in any_rule(), parts in proptest::array::uniform4(0u64..30), silent in 0u64..30,
    ) {
        let [yes, no, abstain, veto] = parts;
        let tally = Tally { yes, no, abstain, veto, ..Tally::of(yes + no + abstain + veto + silent) };
        // An objection that zero meets is refused when it is set.
        prop_assume!(![&one, &two].iter().any(|rule| rule.objection.is_some_and(Portion::is_met_by_nothing)));
        if one.both(&two).passes(&tally) {
            prop_assert!(one.passes(&tally) && two.passes(&tally), "{tally:?}: {one:?} {two:?}");
        }
        prop_assert_eq!(one.both(&one).passes(&tally), one.passes(&tally));
    }

    #[test]
    fn what_meets_a_complement_leaves_too_little(portion in any_portion(), part in 0u128..=60, whole in 1u128..=60) {
        if part <= whole && portion.complement().is_met(part, whole) && portion != Portion::at_least(Fraction::ZERO) {
            prop_assert!(!portion.is_met(whole - part, whole));
        }
    }
}
