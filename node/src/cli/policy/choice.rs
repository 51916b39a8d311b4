//! The policy that the command line asks for: a template or a file, with changes.

use super::arbitration::ArbitrationArgs;
use crate::{
    cli::{Failure, args, client::Client},
    plain::units,
};
use allod_protocol::{
    ground::{
        fraction::{Fraction, Portion},
        ids::AccountId,
    },
    rules::{
        control::ChangeOfControl,
        policy::{
            Class, Dilution, Dormancy, EmergencyStop, ModelPolicy, Preemption, Risk, Rule, TransferRule,
            templates::Template,
        },
    },
};
use anyhow::Result;
use std::{path::PathBuf, str::FromStr, time::Duration};

/// How the owners of a model decide: a policy to start from, and the differences from it.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct PolicyArgs {
    /// The policy to start from; `allod policy templates` lists them
    #[arg(long, value_name = "NAME", value_parser = template, conflicts_with = "policy_file")]
    template: Option<Template>,
    /// A file with the policy to start from, in JSON or TOML, as `allod policy show MODEL --json` writes it
    #[arg(id = "policy_file", long = "policy", value_name = "FILE")]
    file: Option<PathBuf>,
    /// How much of all weight must answer, in every class: 2/3 or 75 for at least that, ">50" for more
    #[arg(long, value_name = "PART", value_parser = units::portion)]
    quorum: Option<Portion>,
    /// How much of yes, no and veto together must be yes, in every class: 2/3, ">50"
    #[arg(long, value_name = "PART", value_parser = units::portion)]
    threshold: Option<Portion>,
    /// How much of all weight must be yes, whoever abstains, in every class: 1/3, ">50"
    #[arg(long, value_name = "PART", value_parser = units::portion)]
    yes_quorum: Option<Portion>,
    /// How long ballots are accepted, in every class
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    voting_period: Option<Duration>,
    /// How long a passed decision waits before it is executed, in every class
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timelock: Option<Duration>,
    /// A different rule for one class: CLASS=QUORUM,THRESHOLD,PERIOD, such as release=25,>50,1d or rules=3/4,2/3,7d,>50
    /// with a yes quorum, which is otherwise the threshold's part of the quorum; may be repeated
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<ClassRule>,
    /// How shares move: free, approval (a decision on each) or locked
    #[arg(long, value_name = "HOW", value_parser = args::word::<TransferRule>)]
    transfers: Option<TransferRule>,
    /// How to treat it when a holder's keys pass to others: free (its own business) or approval (as a transfer)
    #[arg(long, value_name = "HOW", value_parser = args::word::<ChangeOfControl>)]
    change_of_control: Option<ChangeOfControl>,
    /// Who may cancel a decision that passed and is not executed yet
    #[arg(long, value_name = "ACCOUNT")]
    guardian: Option<String>,
    /// An account that may suspend a version at once, on its own, until the owners confirm or lift that; may be
    /// repeated
    #[arg(long = "emergency", value_name = "ACCOUNT")]
    emergency: Vec<String>,
    /// How long such a stop lasts if they do neither
    #[arg(long, value_name = "DURATION", value_parser = units::duration, requires = "emergency", default_value = "7d")]
    emergency_for: Duration,
    /// How long weight that is called on may stay silent before it no longer counts; 0s for no limit
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    dormancy: Option<Duration>,
    /// How much one decision may add to the register, as a part of the existing units: 1/4, 20
    #[arg(long, value_name = "PART", value_parser = units::fraction)]
    dilution: Option<Fraction>,
    /// How much all decisions of a year may add
    #[arg(long, value_name = "PART", value_parser = units::fraction)]
    yearly_dilution: Option<Fraction>,
    /// How long minted units are first offered to the holders; 0s for no offer
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    preemption: Option<Duration>,
    /// A risk that the owners accept knowingly, such as minority-decides; may be repeated
    #[arg(long, value_name = "RISK", value_parser = args::word::<Risk>)]
    allow: Vec<Risk>,
    #[command(flatten)]
    arbitration: ArbitrationArgs,
}

/// A template by name.
pub(in crate::cli) fn template(text: &str) -> Result<Template, String> {
    Template::ALL.into_iter().find(|template| template.name() == text).ok_or_else(|| {
        let names = Template::ALL.map(Template::name).join(", ");
        format!("{text:?} is not a template; there are {names}")
    })
}

/// The changes to one class.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ClassRule {
    class: Class,
    quorum: Portion,
    threshold: Portion,
    yes_quorum: Portion,
    voting_period_ms: u64,
}

impl FromStr for ClassRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not CLASS=QUORUM,THRESHOLD,PERIOD[,YES], such as release=25,>50,1d");
        let (class, rule) = text.split_once('=').ok_or_else(wrong)?;
        let known = Class::OF_MODELS.into_iter().find(|known| known.name() == class);
        let class = known.ok_or_else(|| {
            let names = Class::OF_MODELS.map(Class::name).join(", ");
            format!("{class:?} is not a class of decision; there are {names}")
        })?;
        let parts: Vec<&str> = rule.split(',').collect();
        let [quorum, threshold, period, yes @ ..] = parts.as_slice() else { return Err(wrong()) };
        let (quorum, threshold) = (units::portion(quorum)?, units::portion(threshold)?);
        let yes_quorum = match yes {
            [] => Rule::implied_yes_quorum(quorum, threshold),
            [yes] => units::portion(yes)?,
            _ => return Err(wrong()),
        };
        Ok(Self {
            class,
            quorum,
            threshold,
            yes_quorum,
            voting_period_ms: units::milliseconds(units::duration(period)?),
        })
    }
}

impl PolicyArgs {
    /// Whether nothing is changed.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        let rules = self.quorum.is_none() && self.threshold.is_none() && self.yes_quorum.is_none();
        let times = self.voting_period.is_none() && self.timelock.is_none() && self.rules.is_empty();
        let beside = self.transfers.is_none()
            && self.change_of_control.is_none()
            && self.guardian.is_none()
            && self.emergency.is_empty()
            && self.dormancy.is_none()
            && self.dilution.is_none()
            && self.yearly_dilution.is_none()
            && self.preemption.is_none()
            && self.allow.is_empty();
        self.template.is_none() && self.file.is_none() && rules && times && beside && self.arbitration.is_empty()
    }

    /// The policy, valid by the ledger's rules. Without a template or a file it starts from `base`; the stewards fill
    /// the roles of a template.
    pub(in crate::cli) async fn policy(
        &self,
        client: &Client,
        base: impl FnOnce() -> ModelPolicy,
        stewards: &[AccountId],
    ) -> Result<ModelPolicy> {
        let start = match (self.template, &self.file) {
            (Some(template), _) => template.policy(stewards),
            (None, Some(file)) => args::from_file(file)?,
            (None, None) => base(),
        };
        let guardian = match &self.guardian {
            Some(name) => Some(client.account(name).await?.account.id),
            None => start.guardian,
        };
        let mut accounts = Vec::with_capacity(self.emergency.len());
        for name in &self.emergency {
            accounts.push(client.account(name).await?.account.id);
        }
        let for_ms = units::milliseconds(self.emergency_for);
        let emergency =
            if accounts.is_empty() { start.emergency.clone() } else { Some(EmergencyStop { accounts, for_ms }) };
        let policy = ModelPolicy { guardian, emergency, ..self.changed(start) };
        let policy = self.arbitration.apply(client, policy).await?;
        policy.check().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(policy)
    }

    fn changed(&self, mut policy: ModelPolicy) -> ModelPolicy {
        for class in Class::OF_MODELS {
            if !policy.has_own_rule(class) {
                continue;
            }
            let rule = policy.rule_mut(class);
            rule.quorum = self.quorum.unwrap_or(rule.quorum);
            rule.threshold = self.threshold.unwrap_or(rule.threshold);
            rule.yes_quorum = self.yes_quorum.unwrap_or(rule.yes_quorum);
            rule.timelock_ms = self.timelock.map_or(rule.timelock_ms, units::milliseconds);
            if let Some(period) = self.voting_period {
                set_period(rule, units::milliseconds(period));
            }
        }
        for ClassRule { class, quorum, threshold, yes_quorum, voting_period_ms } in &self.rules {
            let rule = policy.rule_mut(*class);
            // Naming a quorum asks for a vote, not for a rule that passes unless objected to.
            (rule.quorum, rule.threshold, rule.yes_quorum) = (*quorum, *threshold, *yes_quorum);
            rule.objection = None;
            set_period(rule, *voting_period_ms);
        }
        policy.transfers = self.transfers.unwrap_or(policy.transfers);
        policy.change_of_control = self.change_of_control.unwrap_or(policy.change_of_control);
        if let Some(after) = self.dormancy {
            let after_ms = units::milliseconds(after);
            policy.dormancy = Some(Dormancy { after_ms }).filter(|_| after_ms > 0);
        }
        if self.dilution.is_some() || self.yearly_dilution.is_some() {
            let before = policy.dilution.unwrap_or_default();
            policy.dilution = Some(Dilution {
                per_decision: self.dilution.or(before.per_decision),
                per_year: self.yearly_dilution.or(before.per_year),
            });
        }
        if let Some(period) = self.preemption {
            let period_ms = units::milliseconds(period);
            policy.preemption = Some(Preemption { period_ms }).filter(|_| period_ms > 0);
        }
        for risk in &self.allow {
            if !policy.allow.contains(risk) {
                policy.allow.push(*risk);
            }
        }
        policy
    }
}

/// Sets the voting period, and shortens what must fit into it.
fn set_period(rule: &mut Rule, voting_period_ms: u64) {
    rule.voting_period_ms = voting_period_ms;
    rule.early_close_ms = rule.early_close_ms.map(|early| early.min(voting_period_ms));
    rule.late_extension_ms = rule.late_extension_ms.min(voting_period_ms);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    fn changed(line: &str, template: Template) -> ModelPolicy {
        let words = std::iter::once("x").chain(line.split(' ').filter(|word| !word.is_empty()));
        Line::try_parse_from(words).unwrap().policy.changed(template.policy(&[]))
    }

    #[test]
    fn what_is_given_changes_every_class_and_the_rest_stays() {
        let template = Template::EqualPartners.policy(&[]);
        let policy = changed("--quorum 80 --voting-period 1h --timelock 0s", Template::EqualPartners);
        for class in Class::OF_MODELS {
            let (rule, before) = (policy.rule(class), template.rule(class));
            assert_eq!(rule.quorum.to_string(), "at least 80 %");
            assert_eq!((rule.threshold, rule.yes_quorum), (before.threshold, before.yes_quorum));
            assert_eq!((rule.voting_period_ms, rule.timelock_ms), (3_600_000, 0));
        }
        assert_eq!(policy.transfers, template.transfers);
        assert_eq!(policy.check(), Ok(()), "what has to fit into the voting period was shortened with it");
        assert_eq!(changed("", Template::FounderLed), Template::FounderLed.policy(&[]));
    }

    #[test]
    fn a_rule_for_one_class_is_a_vote_whatever_the_template_had() {
        let policy = changed("--rule release=30,>3/5,2d", Template::FounderLed);
        assert_eq!(policy.release.objection, None);
        let said =
            [policy.release.quorum, policy.release.threshold, policy.release.yes_quorum].map(|part| part.to_string());
        assert_eq!(said, ["at least 30 %", "more than 60 %", "more than 18 %"]);
        let policy = changed("--rule rules=2/3,2/3,2d,>1/2", Template::FounderLed);
        assert_eq!(policy.rules.yes_quorum, Portion::MAJORITY);
        let policy = changed("--rule release=30,60,2d", Template::FounderLed);
        assert_eq!(policy.rules, Template::FounderLed.policy(&[]).rules);
    }

    #[test]
    fn risks_are_allowed_by_name() {
        let policy = changed("--yes-quorum 10 --allow minority-decides", Template::EqualPartners);
        assert_eq!(policy.check(), Ok(()));
        assert!(changed("--yes-quorum 10", Template::EqualPartners).check().unwrap_err().to_string().contains("allow"));
    }

    #[test]
    fn classes_and_templates_that_there_are_not_are_named_with_those_that_there_are() {
        assert!("validators=1,2,3d".parse::<ClassRule>().unwrap_err().contains("release, licence"));
        assert!("release=1,2".parse::<ClassRule>().is_err());
        assert!(template("mine").unwrap_err().contains("equal-partners"));
        assert!(args::word::<Risk>("love").unwrap_err().contains("minority_decides"));
    }
}
