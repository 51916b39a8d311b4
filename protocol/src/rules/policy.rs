//! Policies: per class of decision, who votes, how many must, for how long, and what comes of it; and how a tally is
//! judged.
//!
//! A [`Rule`] judges the tally of one class. A [`ModelPolicy`] holds a model's rules and what stands beside them: how shares move,
//! who may stop a decision, who settles disputes, what must be attested before a release. Whether a policy is sound is
//! said when it is set, by [`ModelPolicy::check`]: one that could never pass anything is refused, and one that lets a
//! few decide over all must say so in [`ModelPolicy::allow`].
//!
//! Read on: the rule's own file, [`templates`] (policies to start from), [`explain`] (a policy in plain words).

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

/// What a decision is about. Each class has a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Which versions are released, and where they come from.
    Release,
    /// Under which terms a model is used.
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
    /// Which versions of a model are not to be used: suspended, deprecated, withdrawn; and when a suspension ends.
    Safety,
}

impl Class {
    /// Classes that the owners of a model decide.
    pub const OF_MODELS: [Self; 7] =
        [Self::Release, Self::Licence, Self::Ownership, Self::Stewards, Self::Rules, Self::Dispute, Self::Safety];
    /// Classes that the members of the network decide.
    pub const OF_NETWORK: [Self; 4] = [Self::Validators, Self::Accounts, Self::Parameters, Self::Upgrade];

    /// The class's name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Licence => "licence",
            Self::Ownership => "ownership",
            Self::Stewards => "stewards",
            Self::Rules => "rules",
            Self::Dispute => "dispute",
            Self::Validators => "validators",
            Self::Accounts => "accounts",
            Self::Parameters => "parameters",
            Self::Upgrade => "upgrade",
            Self::Expropriation => "expropriation",
            Self::Safety => "safety",
        }
    }
}

/// How shares move from one holder to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferRule {
    /// As the holder likes.
    #[default]
    Free,
    /// By a decision of the owners on each.
    Approval,
    /// Not at all.
    Locked,
}

/// Accounts that act in a named capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What it is called, such as `safety-reviewer`.
    pub name: Name,
    /// Who acts in it.
    pub accounts: Vec<AccountId>,
}

/// Who may suspend a version at once, before the owners have decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyStop {
    /// Who, each alone.
    pub accounts: Vec<AccountId>,
    /// How long a stop lasts unless the owners decide earlier, in milliseconds of block time, within
    /// [`limits::EMERGENCY_STOP_MIN_MS`] and [`limits::EMERGENCY_STOP_MAX_MS`].
    pub for_ms: u64,
}

/// What must be attested of an artifact before a version with it is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What is attested, such as `bias-audit`.
    pub statement: Name,
    /// In which role.
    pub role: Name,
    /// By how many distinct accounts in that role.
    pub attestors: u32,
    /// How many accounts in the role that attest `passed`, and are more than those that attest `failed`, outvote them;
    /// none for a `failed` that blocks until it is withdrawn.
    #[serde(default)]
    pub outvoted_by: Option<u32>,
}

/// When weight that says nothing leaves the count of a quorum: a way out when holders are lost.
///
/// Whoever has a voice may call on another that is silent. If that says nothing for the time named here, it is dormant:
/// quorums are parts of what is awake, though never of less than half of the whole, until it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dormancy {
    /// How long it may keep silent after the call, in milliseconds of block time, within
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

/// How much decisions may add to the register; each limit a part of the units there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dilution {
    /// What one decision adds is at most this part of the units before it; none for no such limit.
    #[serde(default)]
    pub per_decision: Option<Fraction>,
    /// What all decisions of a year add is at most this part of the units when it began; none for no such limit.
    #[serde(default)]
    pub per_year: Option<Fraction>,
}

/// That units which a decision mints are first offered to the holders: see [`crate::rules::share::issue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a policy has to allow by name, because its owners should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Less than half of all weight can decide over ownership, stewards or rules; over anything, in the network.
    MinorityDecides,
    /// Voices of ownership, stewards or rules are counted by heads or roots, or a number of holders can stop them, while
    /// shares move freely: who splits shares among several accounts gains voices.
    SplitVoices,
    /// Ownership, stewards or rules change when nobody objects; anything, in the network.
    SilenceDecides,
    /// Weight leaves the count after less than [`limits::DORMANCY_MS`] of silence.
    HastyDormancy,
    /// The owners may take a holder's units without its consent and without a dispute.
    Expropriation,
    /// Arbiters who are all of one mind take units from a holder without the owners.
    ArbitersTakeUnits,
}

impl Risk {
    /// The risk's name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MinorityDecides => "minority_decides",
            Self::SplitVoices => "split_voices",
            Self::SilenceDecides => "silence_decides",
            Self::HastyDormancy => "hasty_dormancy",
            Self::Expropriation => "expropriation",
            Self::ArbitersTakeUnits => "arbiters_take_units",
        }
    }

    /// The risks of rules that decide over everything that matters, and of how silence ends.
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

    /// That each risk is allowed by name.
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
#[serde(deny_unknown_fields)]
pub struct ModelPolicy {
    /// For [`Class::Release`].
    pub release: Rule,
    /// For [`Class::Licence`].
    pub licence: Rule,
    /// For [`Class::Ownership`].
    pub ownership: Rule,
    /// For [`Class::Stewards`].
    pub stewards: Rule,
    /// For [`Class::Rules`].
    pub rules: Rule,
    /// For [`Class::Dispute`].
    pub dispute: Rule,
    /// How shares move.
    #[serde(default)]
    pub transfers: TransferRule,
    /// Who may cancel a decision that passed and is not executed yet.
    #[serde(default)]
    pub guardian: Option<AccountId>,
    /// Who settles disputes; without them the owners do.
    #[serde(default)]
    pub arbiters: Option<Arbiters>,
    /// Who acts in which capacity.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// What must be attested before a release.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// The risks that the owners take knowingly.
    #[serde(default)]
    pub allow: Vec<Risk>,
    /// When silent weight leaves the count; none for never.
    #[serde(default)]
    pub dormancy: Option<Dormancy>,
    /// How much decisions may add to the register; none for no limits.
    #[serde(default)]
    pub dilution: Option<Dilution>,
    /// Whether and for how long minted units are first offered to the holders.
    #[serde(default)]
    pub preemption: Option<Preemption>,
    /// For [`Class::Expropriation`]; without it nobody's units are taken but with its consent, or by a dispute.
    #[serde(default)]
    pub expropriation: Option<Rule>,
    /// For [`Class::Safety`]; without it the rule of [`Class::Release`] holds.
    #[serde(default)]
    pub safety: Option<Rule>,
    /// Who may suspend a version at once; without it nobody.
    #[serde(default)]
    pub emergency: Option<EmergencyStop>,
    /// Whether accounts that the network's members suspended answer the model's questions, and delegate them.
    #[serde(default = "suspended_vote")]
    pub suspended_vote: bool,
    /// How many stewards must countersign a contribution; 1 to as many as the model has. See
    /// [`crate::rules::contribution::review`].
    #[serde(default = "one_countersigner")]
    pub countersigners: u32,
    /// On which terms disputes are opened.
    #[serde(default)]
    pub dispute_terms: DisputeTerms,
    /// What it is to the owners when a holder's keys pass into other hands.
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
    /// The same rule for every class, and nothing beside the rules.
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

    /// The rule of a class; that of [`Class::Rules`] for classes of the network.
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

    /// The classes that the owners decide on, expropriation among them where there is such a rule.
    pub fn classes(&self) -> Vec<Class> {
        let expropriation = self.expropriation.as_ref().map(|_| Class::Expropriation);
        Class::OF_MODELS.into_iter().chain(expropriation).collect()
    }

    /// Whether the policy has a rule for this class, and not another class's.
    pub const fn has_own_rule(&self, class: Class) -> bool {
        match class {
            Class::Safety => self.safety.is_some(),
            Class::Expropriation => self.expropriation.is_some(),
            _ => true,
        }
    }

    /// The rule of a class, to change it.
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

    /// The accounts in a role; nobody in one that is not named.
    pub fn in_role(&self, name: &Name) -> &[AccountId] {
        self.roles.iter().find(|role| role.name == *name).map_or(&[], |role| &role.accounts)
    }

    /// What the owners should know of this policy, each risk once.
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

    /// That every rule is sound, that what stands beside them can be met, and that each risk is allowed by name.
    ///
    /// # Errors
    /// The first thing that is not.
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

/// A list of 1 to [`limits::ROLE_ACCOUNTS`] accounts, each once.
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

/// How the members of the network decide. Its electorates are its members, one voice each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicy {
    /// For [`Class::Validators`].
    pub validators: Rule,
    /// For [`Class::Accounts`].
    pub accounts: Rule,
    /// For [`Class::Parameters`].
    pub parameters: Rule,
    /// For [`Class::Upgrade`].
    pub upgrade: Rule,
    /// The risks that the members take knowingly.
    #[serde(default)]
    pub allow: Vec<Risk>,
    /// When silent members leave the count; none for never.
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

    /// The rule of a class; that of [`Class::Parameters`] for classes of models.
    pub const fn rule(&self, class: Class) -> &Rule {
        match class {
            Class::Validators => &self.validators,
            Class::Accounts => &self.accounts,
            Class::Upgrade => &self.upgrade,
            _ => &self.parameters,
        }
    }

    /// What the members should know of this policy, each risk once.
    pub fn risks(&self) -> Vec<Risk> {
        Risk::of_rules([&self.validators, &self.accounts, &self.parameters, &self.upgrade], self.dormancy)
    }

    /// That every rule is sound, and that each risk is allowed by name.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn check(&self) -> Result<(), Invalid> {
        Class::OF_NETWORK.into_iter().try_for_each(|class| self.rule(class).check())?;
        self.dormancy.map_or(Ok(()), Dormancy::check)?;
        Risk::check(&self.risks(), &self.allow)
    }
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
