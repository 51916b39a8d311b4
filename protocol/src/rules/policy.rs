//! Policies: for each class of decision, who votes, how many must, for how long, and with what effect; and how a tally
//! is judged.
//!
//! A [`Rule`] judges the tally of one class. A [`ModelPolicy`] has a model's rules and further settings: how shares
//! move, who may stop a decision, who settles disputes, what must be attested before a release. [`ModelPolicy::check`]
//! checks a policy when it is set: one that could never pass anything is refused, and one that lets a few decide over
//! all must say so in [`ModelPolicy::allow`].
//!
//! Continue with `rule`, [`templates`] (policies to start from), [`explain`] (a policy in plain words).

mod disputes;
pub mod explain;
mod rule;
pub mod templates;

pub use disputes::{Arbiters, DisputeTerms};
pub use rule::{Electorate, Outlook, Proposers, Rule, Tally, Verdict};

use crate::{
    ground::{
        fraction::Fraction,
        ids::{AccountId, Name},
        invalid::{Invalid, check_count},
        limits,
    },
    rules::control::ChangeOfControl,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The subject of a decision. Each class has a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Class {
    /// Which versions are released, and where they come from.
    Release,
    /// The terms under which a model is used.
    Licence,
    /// Who owns how much.
    Ownership,
    /// Who the stewards are.
    Stewards,
    /// How the owners decide, and everything that has no class of its own.
    Rules,
    /// How a dispute ends.
    Dispute,
    /// Who validates.
    Validators,
    /// Who may take part in the network.
    Accounts,
    /// The network's parameters, and everything of the network that has no class of its own.
    Parameters,
    /// When the network moves to another version of the protocol.
    Upgrade,
    /// Taking a holder's units without its consent.
    Expropriation,
    /// Which versions of a model must not be used (suspended, deprecated, withdrawn), and when a suspension ends.
    Safety,
}

impl Class {
    /// Classes that the owners of a model decide.
    pub const OF_MODELS: [Self; 7] =
        [Self::Release, Self::Licence, Self::Ownership, Self::Stewards, Self::Rules, Self::Dispute, Self::Safety];
    /// Classes that the members of the network decide.
    pub const OF_NETWORK: [Self; 4] = [Self::Validators, Self::Accounts, Self::Parameters, Self::Upgrade];

    /// The class's name, as in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How shares move from one holder to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TransferRule {
    /// As the holder wishes.
    #[default]
    Free,
    /// Only by a decision of the owners on each transfer.
    Approval,
    /// Not at all.
    Locked,
}

/// Accounts that act in a named capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The name of the role, such as `safety-reviewer`.
    pub name: Name,
    /// The accounts in the role.
    pub accounts: Vec<AccountId>,
}

/// Who may suspend a version at once, before the owners have decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EmergencyStop {
    /// The accounts that may do so, each on its own.
    pub accounts: Vec<AccountId>,
    /// How long a stop lasts unless the owners decide earlier, in milliseconds of block time, within
    /// [`limits::EMERGENCY_STOP_MIN_MS`] and [`limits::EMERGENCY_STOP_MAX_MS`].
    pub for_ms: u64,
}

/// What must be attested of an artifact before a version with it is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The statement to attest, such as `bias-audit`.
    pub statement: Name,
    /// The role whose accounts attest it.
    pub role: Name,
    /// The number of distinct accounts in that role that must attest it.
    pub attestors: u32,
    /// How many accounts in the role that attest `passed`, if they are more than those that attest `failed`, outvote
    /// them. `None` if a `failed` blocks until it is withdrawn.
    #[serde(default)]
    pub outvoted_by: Option<u32>,
}

/// When weight that says nothing no longer counts for a quorum: a way out when holders are lost.
///
/// An account with a voice may call on a silent one. If that says nothing for the time set here, it is dormant: quorums
/// are fractions of what is awake, though never of less than half of the whole, until it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Dormancy {
    /// How long it may stay silent after the call, in milliseconds of block time, within
    /// [`limits::VOTING_PERIOD_MIN_MS`] and [`limits::VOTING_PERIOD_MAX_MS`].
    pub after_ms: u64,
}

impl Dormancy {
    fn check(self) -> Result<(), Invalid> {
        let bounds = limits::VOTING_PERIOD_MIN_MS..=limits::VOTING_PERIOD_MAX_MS;
        if bounds.contains(&self.after_ms) {
            return Ok(());
        }
        let problem = format!("leaves {} ms to answer; set {} to {} ms", self.after_ms, bounds.start(), bounds.end());
        Err(Invalid::Form { field: "dormancy", problem })
    }
}

/// How much decisions may add to the register. Each limit is a part of the previous units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Dilution {
    /// The maximum that one decision adds, as a part of the units before it. `None` means no such limit.
    #[serde(default)]
    pub per_decision: Option<Fraction>,
    /// The maximum that all decisions of a year add, as a part of the units when it began. `None` means no such limit.
    #[serde(default)]
    pub per_year: Option<Fraction>,
}

/// Whether units that a decision mints are first offered to the holders: see [`crate::rules::share::issue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Preemption {
    /// How long they can be taken up, in milliseconds of block time, within [`limits::VOTING_PERIOD_MIN_MS`] and
    /// [`limits::VOTING_PERIOD_MAX_MS`].
    pub period_ms: u64,
}

impl Preemption {
    fn check(self) -> Result<(), Invalid> {
        let bounds = limits::VOTING_PERIOD_MIN_MS..=limits::VOTING_PERIOD_MAX_MS;
        if bounds.contains(&self.period_ms) {
            return Ok(());
        }
        let problem = format!("lasts {} ms; set {} to {} ms", self.period_ms, bounds.start(), bounds.end());
        Err(Invalid::Form { field: "preemption", problem })
    }
}

/// A risk that a policy must allow by name, because its owners should know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Risk {
    /// Less than half of all weight can decide about ownership, stewards or rules; about anything, in the network.
    MinorityDecides,
    /// For ownership, stewards or rules, voices are counted by heads or square roots, or a number of holders can stop
    /// decisions, while shares move freely: splitting shares among several accounts gains voices.
    SplitVoices,
    /// Ownership, stewards or rules change when nobody objects; anything, in the network.
    SilenceDecides,
    /// Weight no longer counts after less than [`limits::DORMANCY_MS`] of silence.
    HastyDormancy,
    /// The owners may take a holder's units without its consent and without a dispute.
    Expropriation,
    /// Arbiters who all agree can take units from a holder without the owners.
    ArbitersTakeUnits,
}

impl Risk {
    /// The risk's name, as in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The risks of rules that decide about everything important, and of how dormancy works.
    fn of_rules<'a>(rules: impl IntoIterator<Item = &'a Rule> + Clone, dormancy: Option<Dormancy>) -> Vec<Self> {
        let any = |holds: &dyn Fn(&Rule) -> bool| rules.clone().into_iter().any(holds);
        let mut risks = Vec::new();
        if any(&|rule| rule.objection.is_none() && rule.yes_quorum.part() < Fraction::HALF) {
            risks.push(Self::MinorityDecides);
        }
        if any(&|rule| rule.objection.is_some()) {
            risks.push(Self::SilenceDecides);
        }
        if dormancy.is_some_and(|dormancy| dormancy.after_ms < limits::DORMANCY_MS) {
            risks.push(Self::HastyDormancy);
        }
        risks
    }

    /// Checks that each risk is allowed by name.
    fn check(risks: &[Self], allowed: &[Self]) -> Result<(), Invalid> {
        match risks.iter().find(|risk| !allowed.contains(risk)) {
            None => Ok(()),
            Some(risk) => Err(Invalid::Form {
                field: "policy",
                problem: format!(
                    "{}; change the rule, or allow it by name: {}",
                    explain::risk(*risk).trim_end_matches('.'),
                    risk.name()
                ),
            }),
        }
    }
}

/// A model's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelPolicy {
    /// The rule for [`Class::Release`].
    pub release: Rule,
    /// The rule for [`Class::Licence`].
    pub licence: Rule,
    /// The rule for [`Class::Ownership`].
    pub ownership: Rule,
    /// The rule for [`Class::Stewards`].
    pub stewards: Rule,
    /// The rule for [`Class::Rules`].
    pub rules: Rule,
    /// The rule for [`Class::Dispute`].
    pub dispute: Rule,
    /// How shares move.
    #[serde(default)]
    pub transfers: TransferRule,
    /// Who may cancel a decision that passed and is not executed yet.
    #[serde(default)]
    pub guardian: Option<AccountId>,
    /// Who settles disputes. `None` means the owners.
    #[serde(default)]
    pub arbiters: Option<Arbiters>,
    /// The roles, with the accounts that act in them.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// What must be attested before a release.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// The risks that the owners accept knowingly.
    #[serde(default)]
    pub allow: Vec<Risk>,
    /// When silent weight no longer counts. `None` means never.
    #[serde(default)]
    pub dormancy: Option<Dormancy>,
    /// How much decisions may add to the register. `None` means no limits.
    #[serde(default)]
    pub dilution: Option<Dilution>,
    /// Whether and for how long minted units are first offered to the holders.
    #[serde(default)]
    pub preemption: Option<Preemption>,
    /// The rule for [`Class::Expropriation`]. If `None`, units are taken only with the holder's consent or by a
    /// dispute.
    #[serde(default)]
    pub expropriation: Option<Rule>,
    /// The rule for [`Class::Safety`]. If `None`, the rule for [`Class::Release`] applies.
    #[serde(default)]
    pub safety: Option<Rule>,
    /// Who may suspend a version at once. `None` means nobody.
    #[serde(default)]
    pub emergency: Option<EmergencyStop>,
    /// Whether accounts that the network's members suspended may answer the model's questions, and delegate them.
    #[serde(default = "suspended_vote")]
    pub suspended_vote: bool,
    /// How many stewards must countersign a contribution; 1 to the number of the model's stewards. See
    /// [`crate::rules::contribution::review`].
    #[serde(default = "one_countersigner")]
    pub countersigners: u32,
    /// The terms on which disputes are opened.
    #[serde(default)]
    pub dispute_terms: DisputeTerms,
    /// How the owners treat it when a holder's keys pass to others.
    #[serde(default)]
    pub change_of_control: ChangeOfControl,
}

const fn suspended_vote() -> bool {
    true
}

const fn one_countersigner() -> u32 {
    1
}

impl ModelPolicy {
    /// The same rule for every class, and no further settings.
    pub fn uniform(rule: &Rule) -> Self {
        Self {
            release: rule.clone(),
            licence: rule.clone(),
            ownership: rule.clone(),
            stewards: rule.clone(),
            rules: rule.clone(),
            dispute: rule.clone(),
            transfers: TransferRule::Free,
            guardian: None,
            arbiters: None,
            roles: Vec::new(),
            gates: Vec::new(),
            allow: Vec::new(),
            dormancy: None,
            dilution: None,
            preemption: None,
            expropriation: None,
            safety: None,
            emergency: None,
            suspended_vote: suspended_vote(),
            countersigners: one_countersigner(),
            dispute_terms: DisputeTerms::default(),
            change_of_control: ChangeOfControl::Free,
        }
    }

    /// The rule of a class. For classes of the network, that of [`Class::Rules`].
    pub const fn rule(&self, class: Class) -> &Rule {
        match class {
            Class::Release => &self.release,
            Class::Licence => &self.licence,
            Class::Ownership => &self.ownership,
            Class::Stewards => &self.stewards,
            Class::Dispute => &self.dispute,
            Class::Expropriation => match &self.expropriation {
                Some(rule) => rule,
                None => &self.rules,
            },
            Class::Safety => match &self.safety {
                Some(rule) => rule,
                None => &self.release,
            },
            Class::Rules | Class::Validators | Class::Accounts | Class::Parameters | Class::Upgrade => &self.rules,
        }
    }

    /// The classes that the owners decide on, including expropriation if there is a rule for it.
    pub fn classes(&self) -> Vec<Class> {
        let expropriation = self.expropriation.as_ref().map(|_| Class::Expropriation);
        Class::OF_MODELS.into_iter().chain(expropriation).collect()
    }

    /// Whether the policy has a rule for this class itself, not just that of another class.
    pub const fn has_own_rule(&self, class: Class) -> bool {
        match class {
            Class::Safety => self.safety.is_some(),
            Class::Expropriation => self.expropriation.is_some(),
            Class::Release
            | Class::Licence
            | Class::Ownership
            | Class::Stewards
            | Class::Rules
            | Class::Dispute
            | Class::Validators
            | Class::Accounts
            | Class::Parameters
            | Class::Upgrade => true,
        }
    }

    /// The rule of a class, for changes.
    pub fn rule_mut(&mut self, class: Class) -> &mut Rule {
        match class {
            Class::Release => &mut self.release,
            Class::Licence => &mut self.licence,
            Class::Ownership => &mut self.ownership,
            Class::Stewards => &mut self.stewards,
            Class::Dispute => &mut self.dispute,
            Class::Expropriation => match &mut self.expropriation {
                Some(rule) => rule,
                None => &mut self.rules,
            },
            Class::Safety => self.safety.get_or_insert_with(|| self.release.clone()),
            Class::Rules | Class::Validators | Class::Accounts | Class::Parameters | Class::Upgrade => &mut self.rules,
        }
    }

    /// The accounts in a role; none if the policy has no such role.
    pub fn in_role(&self, name: &Name) -> &[AccountId] {
        self.roles.iter().find(|role| role.name == *name).map_or(&[], |role| &role.accounts)
    }

    /// What the owners should know about this policy, each risk once.
    pub fn risks(&self) -> Vec<Risk> {
        let deep = [&self.ownership, &self.stewards, &self.rules];
        let taking = self.expropriation.as_ref();
        let mut risks = Risk::of_rules(deep.into_iter().chain(taking), self.dormancy);
        let heads = |rule: &Rule| rule.electorate != Electorate::Shares || rule.blocking_holders.is_some();
        let by_heads = deep.into_iter().chain(taking).any(heads);
        if self.transfers == TransferRule::Free && by_heads {
            risks.push(Risk::SplitVoices);
        }
        if taking.is_some() {
            risks.push(Risk::Expropriation);
        }
        if self.arbiters.as_ref().is_some_and(|arbiters| arbiters.take_units) {
            risks.push(Risk::ArbitersTakeUnits);
        }
        risks
    }

    /// Checks that every rule is sound, that the other settings can be met, and that each risk is allowed by name.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Result<(), Invalid> {
        Class::OF_MODELS.into_iter().try_for_each(|class| self.rule(class).check())?;
        self.expropriation.as_ref().map_or(Ok(()), Rule::check)?;
        self.dormancy.map_or(Ok(()), Dormancy::check)?;
        self.preemption.map_or(Ok(()), Preemption::check)?;
        let most = u32::try_from(limits::STEWARDS).unwrap_or(u32::MAX);
        if !(1..=most).contains(&self.countersigners) {
            let problem = format!("asks for {} countersigning stewards; set 1 to {most}", self.countersigners);
            return Err(Invalid::Form { field: "policy", problem });
        }
        self.dispute_terms.check()?;
        self.arbiters.as_ref().map_or(Ok(()), Arbiters::check)?;
        self.check_gates()?;
        self.check_emergency()?;
        Risk::check(&self.risks(), &self.allow)
    }

    fn check_emergency(&self) -> Result<(), Invalid> {
        let Some(emergency) = &self.emergency else { return Ok(()) };
        check_accounts("emergency", &emergency.accounts)?;
        let (least, most) = (limits::EMERGENCY_STOP_MIN_MS, limits::EMERGENCY_STOP_MAX_MS);
        if !(least..=most).contains(&emergency.for_ms) {
            let problem = format!("a stop of {} ms is out of bounds; set {least} to {most} ms", emergency.for_ms);
            return Err(Invalid::Form { field: "emergency", problem });
        }
        Ok(())
    }

    fn check_gates(&self) -> Result<(), Invalid> {
        check_count("roles", self.roles.len(), limits::ROLES)?;
        check_count("gates", self.gates.len(), limits::GATES)?;
        let mut names = BTreeSet::new();
        for role in &self.roles {
            check_accounts("roles", &role.accounts)?;
            if !names.insert(&role.name) {
                return Err(Invalid::Form { field: "roles", problem: format!("{} is listed twice", role.name) });
            }
        }
        for gate in &self.gates {
            let available = u32::try_from(self.in_role(&gate.role).len()).unwrap_or(u32::MAX);
            if gate.attestors == 0 || gate.attestors > available {
                let problem = format!(
                    "{} asks for {} accounts in the role {}, which has {available}; nothing could ever be released",
                    gate.statement, gate.attestors, gate.role
                );
                return Err(Invalid::Form { field: "gates", problem });
            }
            let outvoting = gate.attestors..available;
            if let Some(needed) = gate.outvoted_by.filter(|needed| !outvoting.contains(needed)) {
                let problem = format!(
                    "{} lets {needed} accounts outvote a failed attestation; set the {} that must attest at the least, \
                     and less than the {available} in the role {}, or leave it out",
                    gate.statement, gate.attestors, gate.role
                );
                return Err(Invalid::Form { field: "gates", problem });
            }
        }
        Ok(())
    }
}

/// Checks a list of 1 to [`limits::ROLE_ACCOUNTS`] accounts, each once.
fn check_accounts(field: &'static str, accounts: &[AccountId]) -> Result<(), Invalid> {
    check_count(field, accounts.len(), limits::ROLE_ACCOUNTS)?;
    if accounts.is_empty() {
        return Err(Invalid::Form { field, problem: "name nobody; list at least one account".into() });
    }
    let mut seen = BTreeSet::new();
    if !accounts.iter().all(|account| seen.insert(account)) {
        return Err(Invalid::Form { field, problem: "list an account twice; list each once".into() });
    }
    Ok(())
}

/// How the members of the network decide. The electorate is always its members, with one voice each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicy {
    /// The rule for [`Class::Validators`].
    pub validators: Rule,
    /// The rule for [`Class::Accounts`].
    pub accounts: Rule,
    /// The rule for [`Class::Parameters`].
    pub parameters: Rule,
    /// The rule for [`Class::Upgrade`].
    pub upgrade: Rule,
    /// The risks that the members accept knowingly.
    #[serde(default)]
    pub allow: Vec<Risk>,
    /// When silent members no longer count. `None` means never.
    #[serde(default)]
    pub dormancy: Option<Dormancy>,
}

impl NetworkPolicy {
    /// The same rule for every class.
    pub fn uniform(rule: &Rule) -> Self {
        Self {
            validators: rule.clone(),
            accounts: rule.clone(),
            parameters: rule.clone(),
            upgrade: rule.clone(),
            allow: Vec::new(),
            dormancy: None,
        }
    }

    /// The rule of a class. For classes of models, that of [`Class::Parameters`].
    pub const fn rule(&self, class: Class) -> &Rule {
        match class {
            Class::Validators => &self.validators,
            Class::Accounts => &self.accounts,
            Class::Upgrade => &self.upgrade,
            Class::Parameters
            | Class::Release
            | Class::Licence
            | Class::Ownership
            | Class::Stewards
            | Class::Rules
            | Class::Dispute
            | Class::Safety
            | Class::Expropriation => &self.parameters,
        }
    }

    /// What the members should know about this policy, each risk once.
    pub fn risks(&self) -> Vec<Risk> {
        Risk::of_rules([&self.validators, &self.accounts, &self.parameters, &self.upgrade], self.dormancy)
    }

    /// Checks that every rule is sound, and that each risk is allowed by name.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Result<(), Invalid> {
        Class::OF_NETWORK.into_iter().try_for_each(|class| self.rule(class).check())?;
        self.dormancy.map_or(Ok(()), Dormancy::check)?;
        Risk::check(&self.risks(), &self.allow)
    }
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
