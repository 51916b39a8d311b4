//! Policies: per class of decision, who votes, how many must, and for how long; and how a tally is judged.

use crate::{ids::BasisPoints, limits, transaction::Invalid};
use serde::{Deserialize, Serialize};

/// What a decision is about. Each class of a model has a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Which version is released.
    Release,
    /// Who owns how much.
    Ownership,
    /// How the owners decide.
    Rules,
    /// Who validates (the network's only class).
    Validators,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The part of the whole weight that must answer (yes, no or abstain) for the outcome to count.
    pub quorum: BasisPoints,
    /// The part of yes and no together that must be yes; at least 50 %, and yes must outweigh no in any case.
    pub threshold: BasisPoints,
    /// How long ballots are taken, in milliseconds of block time, within [`limits::VOTING_PERIOD_MIN_MS`] and
    /// [`limits::VOTING_PERIOD_MAX_MS`].
    pub voting_period_ms: u64,
}

impl Rule {
    /// That the rule can be met, and not by next to nobody.
    ///
    /// # Errors
    /// Says what is wrong and what would be right.
    pub fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "policy", problem });
        if self.quorum.get() == 0 {
            return form("a quorum of 0 % lets a decision pass that nobody took part in; set at least 0.01 %".into());
        }
        if self.threshold.get() < 5_000 {
            return form(format!("a threshold of {} lets a minority decide; set at least 50 %", self.threshold));
        }
        if !(limits::VOTING_PERIOD_MIN_MS..=limits::VOTING_PERIOD_MAX_MS).contains(&self.voting_period_ms) {
            return form(format!(
                "a voting period of {} ms is out of bounds; set {} to {} ms",
                self.voting_period_ms,
                limits::VOTING_PERIOD_MIN_MS,
                limits::VOTING_PERIOD_MAX_MS
            ));
        }
        Ok(())
    }

    /// Judges a tally.
    pub fn judge(&self, tally: &Tally) -> Verdict {
        let (yes, no) = (u128::from(tally.yes), u128::from(tally.no));
        let answered = yes.saturating_add(no).saturating_add(u128::from(tally.abstain));
        let portion = |part: u128| part.saturating_mul(10_000);
        let of = |whole: u128, points: BasisPoints| whole.saturating_mul(u128::from(points.get()));
        if portion(answered) < of(u128::from(tally.electorate), self.quorum) {
            return Verdict::NoQuorum;
        }
        if yes > no && portion(yes) >= of(yes.saturating_add(no), self.threshold) {
            Verdict::Passed
        } else {
            Verdict::NotEnoughYes
        }
    }

    /// What a tally comes to now, and what is still needed for it to pass.
    pub fn outlook(&self, tally: &Tally) -> Outlook {
        let (yes, no) = (u128::from(tally.yes), u128::from(tally.no));
        let answered = yes.saturating_add(no).saturating_add(u128::from(tally.abstain));
        let quorum = u128::from(self.quorum.get()).saturating_mul(u128::from(tally.electorate)).div_ceil(10_000);
        let quorum_lacks = quorum.saturating_sub(answered);
        // yes + x > no, and (yes + x) * 10,000 >= threshold * (yes + x + no): solved for the smallest x.
        let (threshold, rest) =
            (u128::from(self.threshold.get()), 10_000u128.saturating_sub(self.threshold.get().into()));
        let lead = no.saturating_add(1).saturating_sub(yes);
        let (against, with) = (threshold.saturating_mul(no), rest.saturating_mul(yes));
        let portion = match against.saturating_sub(with) {
            0 => Some(0),
            lacking => lacking.checked_add(rest.saturating_sub(1)).and_then(|sum| sum.checked_div(rest)),
        };
        let unanswered = u128::from(tally.electorate).saturating_sub(answered);
        let yes_lacks = portion.map(|portion| portion.max(lead).max(quorum_lacks)).filter(|lacks| *lacks <= unanswered);
        Outlook {
            verdict: self.judge(tally),
            quorum_lacks: u64::try_from(quorum_lacks).unwrap_or(u64::MAX),
            yes_lacks: yes_lacks.and_then(|lacks| u64::try_from(lacks).ok()),
        }
    }
}

/// What a tally would come to if ballots stopped now, and what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// What it comes to now.
    pub verdict: Verdict,
    /// Weight that must still answer, in whatever way, for the outcome to count; 0 when the quorum is reached.
    pub quorum_lacks: u64,
    /// Weight of those who have not answered that, if all of it said yes, would be just enough to pass; 0 when it
    /// passes now, none when they are too few, so that some must change their answers.
    pub yes_lacks: Option<u64>,
}

/// Running sums of the ballots of one proposal, in weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// For it.
    pub yes: u64,
    /// Against it.
    pub no: u64,
    /// Neither, but counted for the quorum.
    pub abstain: u64,
    /// The whole weight at opening.
    pub electorate: u64,
}

/// What a tally comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It stands.
    Passed,
    /// Too little weight answered.
    NoQuorum,
    /// Enough answered, too little of it with yes.
    NotEnoughYes,
}

/// A model's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPolicy {
    /// For [`Class::Release`].
    pub release: Rule,
    /// For [`Class::Ownership`].
    pub ownership: Rule,
    /// For [`Class::Rules`].
    pub rules: Rule,
}

impl ModelPolicy {
    /// That every rule is sound.
    ///
    /// # Errors
    /// The first rule that is not.
    pub fn check(&self) -> Result<(), Invalid> {
        self.release.check()?;
        self.ownership.check()?;
        self.rules.check()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(quorum: u16, threshold: u16) -> Rule {
        let points = |value| BasisPoints::new(value).expect("within the whole");
        Rule { quorum: points(quorum), threshold: points(threshold), voting_period_ms: 1_000 }
    }

    #[test]
    fn a_tie_never_passes_and_the_bounds_are_exact() {
        let tally = |yes, no, abstain| Tally { yes, no, abstain, electorate: 100 };
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
    fn an_outlook_says_what_lacks() {
        let tally = |yes, no, abstain| Tally { yes, no, abstain, electorate: 100 };
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

    proptest! {
        #[test]
        fn what_an_outlook_asks_for_is_just_enough(
            yes in 0u64..1_000, no in 0u64..1_000, abstain in 0u64..1_000, silent in 0u64..3_000,
            quorum in 1u16..=10_000, threshold in 5_000u16..=10_000,
        ) {
            let rule = rule(quorum, threshold);
            let tally = Tally { yes, no, abstain, electorate: yes + no + abstain + silent };
            let with = |more: u64| rule.judge(&Tally { yes: yes + more, ..tally });
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
            yes in 0u64..1 << 62, no in 0u64..1 << 62, abstain in 0u64..1 << 62, more in 0u64..1 << 60,
            quorum in 1u16..=10_000, threshold in 5_000u16..=10_000,
        ) {
            let tally = Tally { yes, no, abstain, electorate: u64::MAX };
            let rule = rule(quorum, threshold);
            if rule.judge(&tally) == Verdict::Passed {
                let further = Tally { yes: yes + more, ..tally };
                prop_assert_eq!(rule.judge(&further), Verdict::Passed);
            }
        }
    }
}
