//! Policies: per class of decision, who votes, how many must, for how long, and what comes of it; and how a tally is
//! judged.
//!
//! A [`Rule`] judges one class. A [`ModelPolicy`] holds a model's rules and what stands beside them: how shares move,
//! who may stop a decision, who settles disputes, what must be attested before a release. Whether a policy is sound is
//! said when it is set, by [`ModelPolicy::check`]: one that could never pass anything is refused, and one that lets a
//! few decide over all must say so in [`ModelPolicy::allow`].
//!
//! Read on: [`templates`] (policies to start from), [`explain`] (a policy in plain words).

pub mod explain;
pub mod templates;

use crate::{
    ids::{AccountId, BasisPoints, Name, ProposalId},
    limits,
    state::{Family, Record},
    transaction::{Invalid, check_count},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a decision is about. Each class has a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Which versions are released, deprecated, withdrawn, and where they come from.
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
}

impl Class {
    /// Classes that the owners of a model decide.
    pub const OF_MODELS: [Self; 6] =
        [Self::Release, Self::Licence, Self::Ownership, Self::Stewards, Self::Rules, Self::Dispute];
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
        }
    }
}

/// Whose voices count, and how much. The members of the network always have one each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Electorate {
    /// Each holder with its units.
    #[default]
    Shares,
    /// Each holder with one voice.
    Members,
    /// Each holder with the square root of its units, rounded down.
    SquareRoot,
}

/// Who may put a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposers {
    /// Stewards, and holders of at least one unit; of the network, its members.
    #[default]
    Owners,
    /// Stewards alone.
    Stewards,
    /// Stewards, and holders of at least this part of all units.
    Holders(BasisPoints),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whose voices count.
    #[serde(default)]
    pub electorate: Electorate,
    /// The part of the whole weight that must answer, in whatever way, for the outcome to count.
    pub quorum: BasisPoints,
    /// The part of yes, no and veto together that must be yes; at least 50 %, and yes must outweigh the others in any
    /// case.
    pub threshold: BasisPoints,
    /// The part of all answers that, as vetoes, rejects whatever the others say; none for no such right.
    #[serde(default)]
    pub veto: Option<BasisPoints>,
    /// How long ballots are taken, in milliseconds of block time, within [`limits::VOTING_PERIOD_MIN_MS`] and
    /// [`limits::VOTING_PERIOD_MAX_MS`].
    pub voting_period_ms: u64,
    /// After how long ballots may stop early, once no ballot still to come could change the outcome; none for never.
    #[serde(default)]
    pub early_close_ms: Option<u64>,
    /// If the quorum is reached later than this before the close, the close moves to this long after, once; 0 for not.
    #[serde(default)]
    pub late_quorum_extension_ms: u64,
    /// How long a decision that passed waits before it is executed; 0 for not at all.
    #[serde(default)]
    pub timelock_ms: u64,
    /// How long after that a decision that cannot be executed yet may still be, before it expires.
    #[serde(default = "default_execution_window_ms")]
    pub execution_window_ms: u64,
    /// Who may ask.
    #[serde(default)]
    pub proposers: Proposers,
    /// The part of the whole weight whose no or veto stops a decision that otherwise passes with no answers at all;
    /// none for a decision that needs a quorum and its yes.
    #[serde(default)]
    pub objection: Option<BasisPoints>,
}

const fn default_execution_window_ms() -> u64 {
    limits::EXECUTION_WINDOW_MS
}

impl Rule {
    /// A rule of shares that takes effect at its close.
    pub const fn new(quorum: BasisPoints, threshold: BasisPoints, voting_period_ms: u64) -> Self {
        Self {
            electorate: Electorate::Shares,
            quorum,
            threshold,
            veto: None,
            voting_period_ms,
            early_close_ms: None,
            late_quorum_extension_ms: 0,
            timelock_ms: 0,
            execution_window_ms: limits::EXECUTION_WINDOW_MS,
            proposers: Proposers::Owners,
            objection: None,
        }
    }

    /// That the rule can be met, and not by next to nobody.
    ///
    /// # Errors
    /// Says what is wrong and what would be right.
    pub fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "policy", problem });
        let zero = |points: BasisPoints| points.get() == 0;
        if zero(self.quorum) {
            return form("a quorum of 0 % lets a decision pass that nobody took part in; set at least 0.01 %".into());
        }
        if self.threshold.get() < 5_000 {
            return form(format!("a threshold of {} lets a minority decide; set at least 50 %", self.threshold));
        }
        if self.veto.is_some_and(zero) {
            return form("a veto of 0 % rejects everything; leave it out, or set at least 0.01 %".into());
        }
        if self.objection.is_some_and(zero) {
            return form("an objection of 0 % rejects everything; leave it out, or set at least 0.01 %".into());
        }
        self.check_times()
    }

    fn check_times(&self) -> Result<(), Invalid> {
        let (low, high) = (limits::VOTING_PERIOD_MIN_MS, limits::VOTING_PERIOD_MAX_MS);
        let bounds = [
            ("voting period", self.voting_period_ms, low, high),
            ("early close", self.early_close_ms.unwrap_or(0), 0, self.voting_period_ms),
            ("late-quorum extension", self.late_quorum_extension_ms, 0, self.voting_period_ms),
            ("timelock", self.timelock_ms, 0, high),
            ("execution window", self.execution_window_ms, low, high),
        ];
        match bounds.into_iter().find(|(_, value, low, high)| !(low..=high).contains(&value)) {
            None => Ok(()),
            Some((name, value, low, high)) => Err(Invalid::Form {
                field: "policy",
                problem: format!("a {name} of {value} ms is out of bounds; set {low} to {high} ms"),
            }),
        }
    }

    /// The smallest part of the whole weight that can decide against the rest, in basis points of basis points
    /// (100,000,000 is the whole): the threshold's part of the quorum.
    pub fn least_part(&self) -> u64 {
        u64::from(self.quorum.get()).saturating_mul(u64::from(self.threshold.get()))
    }

    /// Judges a tally.
    pub fn judge(&self, tally: &Tally) -> Verdict {
        let against = u128::from(tally.no).saturating_add(tally.veto.into());
        let answered = tally.answered();
        if let Some(objection) = self.objection {
            let objected = reaches(against, tally.electorate.into(), objection);
            return if objected { Verdict::Objected } else { Verdict::Passed };
        }
        if !reaches(answered, tally.electorate.into(), self.quorum) {
            return Verdict::NoQuorum;
        }
        if self.veto.is_some_and(|veto| tally.veto > 0 && reaches(tally.veto.into(), answered, veto)) {
            return Verdict::Vetoed;
        }
        let yes = u128::from(tally.yes);
        if yes > against && reaches(yes, yes.saturating_add(against), self.threshold) {
            Verdict::Passed
        } else {
            Verdict::NotEnoughYes
        }
    }

    /// Whether nobody who has not answered could change what a tally comes to: neither those who are silent, nor those
    /// whose delegate answered and who may still answer themselves.
    pub fn is_settled(&self, tally: &Tally) -> bool {
        let (silent, delegated) = (tally.silent(), tally.delegated);
        let open = silent.saturating_add(delegated);
        let passes = |tally: &Tally| self.judge(tally) == Verdict::Passed;
        if passes(tally) {
            // At worst all that is open is against it, and all that was delegated had been for it.
            let yes = tally.yes.saturating_sub(delegated);
            passes(&Tally { yes, no: tally.no.saturating_add(open), ..*tally })
                && passes(&Tally { yes, veto: tally.veto.saturating_add(open), ..*tally })
        } else {
            // At best the other way round; whoever that leaves out abstains, so that the quorum does not miss them.
            let (no, veto) = (tally.no.saturating_sub(delegated), tally.veto.saturating_sub(delegated));
            let best = Tally { yes: tally.yes.saturating_add(open), no, veto, ..*tally };
            !passes(&Tally { abstain: tally.abstain.saturating_add(best.silent()), ..best })
        }
    }

    /// What a tally comes to now, and what is still needed for it to pass.
    pub fn outlook(&self, tally: &Tally) -> Outlook {
        let verdict = self.judge(tally);
        if self.objection.is_some() {
            let yes_lacks = (verdict == Verdict::Passed).then_some(0);
            return Outlook { verdict, quorum_lacks: 0, yes_lacks };
        }
        let quorum_lacks = least(tally.electorate.into(), self.quorum).saturating_sub(tally.answered());
        let yes_lacks = self
            .yes_lacks(tally, quorum_lacks)
            .filter(|lacks| *lacks <= u128::from(tally.silent()))
            .and_then(|lacks| u64::try_from(lacks).ok());
        Outlook { verdict, quorum_lacks: u64::try_from(quorum_lacks).unwrap_or(u64::MAX), yes_lacks }
    }

    /// The least further yes with which the tally passes, however many are left to say it; none if no yes can do it.
    fn yes_lacks(&self, tally: &Tally, quorum_lacks: u128) -> Option<u128> {
        let yes = u128::from(tally.yes);
        let against = u128::from(tally.no).saturating_add(tally.veto.into());
        // yes + x > against
        let lead = against.saturating_add(1).saturating_sub(yes);
        // (yes + x) * 10,000 >= threshold * (yes + x + against), solved for the smallest x.
        let threshold = u128::from(self.threshold.get());
        let rest = WHOLE.saturating_sub(threshold);
        let lacking = threshold.saturating_mul(against).saturating_sub(rest.saturating_mul(yes));
        let portion =
            if lacking == 0 { 0 } else { lacking.saturating_add(rest).saturating_sub(1).checked_div(rest)? };
        // veto * 10,000 < part * (answered + x)
        let unveto = match self.veto.filter(|_| tally.veto > 0) {
            None => 0,
            Some(part) => u128::from(tally.veto)
                .saturating_mul(WHOLE)
                .checked_div(part.get().into())?
                .saturating_add(1)
                .saturating_sub(tally.answered()),
        };
        Some(portion.max(lead).max(unveto).max(quorum_lacks))
    }

    /// The least weight that, all of it saying no and everybody else yes, keeps a decision from passing.
    pub fn blocking_weight(&self, electorate: u64) -> u64 {
        let passes_against = |no: u64| {
            let tally = Tally { yes: electorate.saturating_sub(no), no, electorate, ..Tally::default() };
            self.judge(&tally) == Verdict::Passed
        };
        // More no never turns a rejection into a pass, so the bound can be halved towards.
        let (mut low, mut high) = (0, electorate);
        while low < high {
            let middle = low.midpoint(high);
            if passes_against(middle) { low = middle.saturating_add(1) } else { high = middle }
        }
        low
    }
}

const WHOLE: u128 = BasisPoints::WHOLE.get() as u128;

/// Whether `part` is at least `points` of `whole`.
fn reaches(part: u128, whole: u128, points: BasisPoints) -> bool {
    part.saturating_mul(WHOLE) >= whole.saturating_mul(points.get().into())
}

/// The least number that reaches `points` of `whole`.
fn least(whole: u128, points: BasisPoints) -> u128 {
    whole.saturating_mul(points.get().into()).div_ceil(WHOLE)
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

/// Running sums of the ballots of one proposal, in weight. It changes with every ballot, and so stands apart from the
/// proposal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// For it.
    pub yes: u64,
    /// Against it.
    pub no: u64,
    /// Neither, but counted for the quorum.
    pub abstain: u64,
    /// Against it, with the right to reject it alone.
    pub veto: u64,
    /// The part of these sums that delegates answered with: those who delegated it may still answer themselves.
    pub delegated: u64,
    /// The whole weight at opening.
    pub electorate: u64,
    /// Accounts that answered.
    pub ballots: u64,
}

impl Record for Tally {
    type Key = ProposalId;
    const FAMILY: Family = Family::Tally;
}

impl Tally {
    /// The weight that answered.
    pub fn answered(&self) -> u128 {
        [self.yes, self.no, self.abstain, self.veto].into_iter().fold(0, |sum, part| sum.saturating_add(part.into()))
    }

    /// The weight that has not answered.
    pub fn silent(&self) -> u64 {
        u64::try_from(u128::from(self.electorate).saturating_sub(self.answered())).unwrap_or(0)
    }
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
    /// Too much of the answers was a veto.
    Vetoed,
    /// Too much weight objected.
    Objected,
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

/// Accounts that together settle disputes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arbiters {
    /// Who.
    pub accounts: Vec<AccountId>,
    /// How many of them must agree.
    pub needed: u32,
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

/// What a policy has to allow by name, because its owners should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Less than half of all weight can decide over ownership, stewards or rules.
    MinorityDecides,
    /// Voices of ownership, stewards or rules are counted by heads or roots while shares move freely: who splits
    /// shares among several accounts gains voices.
    SplitVoices,
    /// Ownership, stewards or rules change when nobody objects.
    SilenceDecides,
}

impl Risk {
    /// The risk's name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MinorityDecides => "minority_decides",
            Self::SplitVoices => "split_voices",
            Self::SilenceDecides => "silence_decides",
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
    /// Who settles disputes; without them the owners decide, less the parties.
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
            Class::Rules | Class::Validators | Class::Accounts | Class::Parameters | Class::Upgrade => &self.rules,
        }
    }

    /// The rule of a class, to change it.
    pub const fn rule_mut(&mut self, class: Class) -> &mut Rule {
        match class {
            Class::Release => &mut self.release,
            Class::Licence => &mut self.licence,
            Class::Ownership => &mut self.ownership,
            Class::Stewards => &mut self.stewards,
            Class::Dispute => &mut self.dispute,
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
        let any = |holds: &dyn Fn(&Rule) -> bool| deep.into_iter().any(holds);
        let mut risks = Vec::new();
        if any(&|rule| rule.objection.is_none() && rule.least_part() < 50_000_000) {
            risks.push(Risk::MinorityDecides);
        }
        if self.transfers == TransferRule::Free && any(&|rule| rule.electorate != Electorate::Shares) {
            risks.push(Risk::SplitVoices);
        }
        if any(&|rule| rule.objection.is_some()) {
            risks.push(Risk::SilenceDecides);
        }
        risks
    }

    /// That every rule is sound, that what stands beside them can be met, and that each risk is allowed by name.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn check(&self) -> Result<(), Invalid> {
        Class::OF_MODELS.into_iter().try_for_each(|class| self.rule(class).check())?;
        self.check_arbiters()?;
        self.check_gates()?;
        match self.risks().into_iter().find(|risk| !self.allow.contains(risk)) {
            None => Ok(()),
            Some(risk) => Err(Invalid::Form {
                field: "policy",
                problem: format!(
                    "{}; change the rule, or allow it by name: {}",
                    explain::risk(risk).trim_end_matches('.'),
                    risk.name()
                ),
            }),
        }
    }

    fn check_arbiters(&self) -> Result<(), Invalid> {
        let Some(arbiters) = &self.arbiters else { return Ok(()) };
        check_accounts("arbiters", &arbiters.accounts)?;
        let count = u32::try_from(arbiters.accounts.len()).unwrap_or(u32::MAX);
        if arbiters.needed == 0 || arbiters.needed > count {
            let problem = format!("{} of {count} must agree; set 1 to {count}", arbiters.needed);
            return Err(Invalid::Form { field: "arbiters", problem });
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
}

impl NetworkPolicy {
    /// The same rule for every class.
    pub fn uniform(rule: &Rule) -> Self {
        Self { validators: rule.clone(), accounts: rule.clone(), parameters: rule.clone(), upgrade: rule.clone() }
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

    /// That every rule is sound.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), Invalid> {
        Class::OF_NETWORK.into_iter().try_for_each(|class| self.rule(class).check())
    }
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
