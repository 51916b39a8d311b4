//! Policies to start from. Each is sound as it is; its owners may change any of it.

use super::{Dormancy, Electorate, EmergencyStop, Gate, ModelPolicy, Proposers, Risk, Role, Rule, TransferRule};
use crate::ground::{
    fraction::{Fraction, Portion},
    ids::{AccountId, Name},
};

const HOUR_MS: u64 = 60 * 60 * 1_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A policy to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Template {
    /// A few organisations that own a model together, none above the others.
    EqualPartners,
    /// A founder whose stewards release, with owners who can object.
    FounderLed,
    /// Many holders of few shares each.
    OpenCommunity,
    /// Owners who answer to a regulator: attested releases, slow changes, disputes for outsiders to settle.
    RegulatedConsortium,
}

impl Template {
    /// Every template.
    pub const ALL: [Self; 4] = [Self::EqualPartners, Self::FounderLed, Self::OpenCommunity, Self::RegulatedConsortium];

    /// The template's name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whom it is for, in one line.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::EqualPartners => "a few organisations that own a model together, none above the others",
            Self::FounderLed => "a founder whose stewards release, with owners who can object",
            Self::OpenCommunity => "many holders of few shares each",
            Self::RegulatedConsortium => {
                "owners who answer to a regulator: attested releases, slow changes; name outsiders as arbiters, or the \
                 owners settle disputes"
            }
        }
    }

    /// The policy. The stewards are its reviewers, and its emergency accounts if it has any. It names no arbiters:
    /// these are outsiders, for the founders to find.
    pub fn policy(self, stewards: &[AccountId]) -> ModelPolicy {
        match self {
            Self::EqualPartners => equal_partners(),
            Self::FounderLed => founder_led(),
            Self::OpenCommunity => open_community(),
            Self::RegulatedConsortium => regulated_consortium(stewards),
        }
    }
}

#[allow(clippy::expect_used, reason = "the fractions below are parts of a whole")]
fn part(numerator: u64, denominator: u64) -> Fraction {
    Fraction::new(numerator, denominator).expect("a part of the whole")
}

fn percent(value: u64) -> Portion {
    Portion::at_least(part(value, 100))
}

/// Lost weight no longer counts a season after somebody called on it.
const SEASON: Option<Dormancy> = Some(Dormancy { after_ms: 90 * DAY_MS });

#[allow(clippy::expect_used, reason = "the names below are names")]
fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn equal_partners() -> ModelPolicy {
    let deep = Rule {
        yes_quorum: Portion::MAJORITY,
        timelock_ms: DAY_MS,
        late_extension_ms: DAY_MS,
        ..Rule::new(Portion::TWO_THIRDS, Portion::TWO_THIRDS, 7 * DAY_MS)
    };
    let release = Rule {
        early_close_ms: Some(HOUR_MS),
        late_extension_ms: HOUR_MS,
        ..Rule::new(percent(50), Portion::MAJORITY, 3 * DAY_MS)
    };
    ModelPolicy { release, transfers: TransferRule::Approval, dormancy: SEASON, ..ModelPolicy::uniform(&deep) }
}

fn founder_led() -> ModelPolicy {
    let deep = Rule {
        yes_quorum: Portion::MAJORITY,
        timelock_ms: DAY_MS,
        late_extension_ms: DAY_MS,
        ..Rule::new(percent(60), Portion::TWO_THIRDS, 7 * DAY_MS)
    };
    let release = Rule {
        objection: Some(percent(20)),
        late_extension_ms: 6 * HOUR_MS,
        proposers: Proposers::Stewards,
        ..Rule::new(percent(25), Portion::MAJORITY, DAY_MS)
    };
    ModelPolicy { release, dormancy: SEASON, ..ModelPolicy::uniform(&deep) }
}

fn open_community() -> ModelPolicy {
    let deep = Rule {
        veto: Some(Portion::at_least(part(1, 3))),
        late_extension_ms: 2 * DAY_MS,
        timelock_ms: 2 * DAY_MS,
        proposers: Proposers::Holders(part(1, 1_000)),
        ..Rule::new(percent(20), Portion::TWO_THIRDS, 7 * DAY_MS)
    };
    let release = Rule {
        electorate: Electorate::SquareRoot,
        timelock_ms: 0,
        quorum: percent(10),
        threshold: Portion::MAJORITY,
        yes_quorum: Rule::implied_yes_quorum(percent(10), Portion::MAJORITY),
        ..deep
    };
    let safety = Some(Rule { voting_period_ms: 2 * DAY_MS, late_extension_ms: DAY_MS, ..release });
    ModelPolicy { release, safety, allow: vec![Risk::MinorityDecides], dormancy: SEASON, ..ModelPolicy::uniform(&deep) }
}

fn regulated_consortium(stewards: &[AccountId]) -> ModelPolicy {
    let deep = Rule {
        veto: Some(percent(25)),
        timelock_ms: 7 * DAY_MS,
        late_extension_ms: 3 * DAY_MS,
        ..Rule::new(percent(75), percent(75), 14 * DAY_MS)
    };
    let release = Rule {
        timelock_ms: 2 * DAY_MS,
        late_extension_ms: DAY_MS,
        execution_window_ms: 30 * DAY_MS,
        ..Rule::new(percent(60), percent(60), 7 * DAY_MS)
    };
    // Danger cannot wait: the same weight decides within a day.
    let safety = Some(Rule {
        voting_period_ms: DAY_MS,
        early_close_ms: Some(HOUR_MS),
        late_extension_ms: HOUR_MS,
        timelock_ms: 0,
        ..release
    });
    let mut policy = ModelPolicy {
        release,
        safety,
        transfers: TransferRule::Approval,
        dormancy: Some(Dormancy { after_ms: 180 * DAY_MS }),
        ..ModelPolicy::uniform(&deep)
    };
    if !stewards.is_empty() {
        let count = u32::try_from(stewards.len()).unwrap_or(u32::MAX);
        policy.roles = vec![Role { name: name("reviewer"), accounts: stewards.to_vec() }];
        policy.gates = vec![Gate {
            statement: name("safety-review"),
            role: name("reviewer"),
            attestors: count.min(2),
            outvoted_by: None,
        }];
        policy.emergency = Some(EmergencyStop { accounts: stewards.to_vec(), for_ms: 14 * DAY_MS });
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_sound() {
        let stewards = [AccountId::from_bytes([1; 32]), AccountId::from_bytes([2; 32])];
        for template in Template::ALL {
            for count in 0..=stewards.len() {
                let policy = template.policy(&stewards[..count]);
                assert_eq!(policy.check(), Ok(()), "{}", template.name());
                assert_eq!(policy.risks(), policy.allow, "{} allows what it risks, no more", template.name());
            }
        }
    }
}
