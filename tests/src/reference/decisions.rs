//! Proposals: how they are opened and what comes of them. Everything that a proposal needs of the rules is taken at
//! its opening; weights are those of the height before.

use super::{Refused, World};
use allod_protocol::{
    ground::{
        fraction::Portion,
        ids::{AccountId, ModelId, ProposalId, VersionLabel},
    },
    rules::{
        attestation::Finding,
        dispute::{DisputeTarget, ResolveDispute},
        model::ReleaseVersion,
        office::Office,
        policy::{Class, Gate, ModelPolicy, Proposers, Rule},
        proposal::{BallotPart, ModelAction, NetworkAction, OpenProposal, Question, Scope},
        sale::ApproveTransfer,
        share::{BurnByDecision, MintShares},
    },
};
use std::collections::BTreeMap;

/// Proposals that one account may have open or queued at a time.
const OPEN_PROPOSALS_PER_ACCOUNT: usize = 16;

/// Where a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Ballots are taken.
    Open,
    /// It passed and waits.
    Queued {
        /// From when it can be executed.
        ready: u64,
        /// When it expires.
        expires: u64,
    },
    /// It was carried out.
    Executed,
    /// It passed and could not be carried out, by this rule.
    ExecutionFailed(Refused),
    /// It did not pass, for this reason.
    Rejected(Refused),
    /// Its proposer took it back.
    Withdrawn,
    /// The guardian stopped it.
    Cancelled,
    /// It passed and lacked this for too long.
    Expired(Refused),
}

impl Status {
    /// Whether nothing more comes of it.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Open | Self::Queued { .. })
    }
}

/// A question.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Whom it asks, and what is done if it passes.
    pub question: Question,
    /// By whom.
    pub proposer: AccountId,
    /// By which rule.
    pub rule: Rule,
    /// What must be attested, and by whom.
    pub gates: Vec<(Gate, Vec<AccountId>)>,
    /// Who may stop it.
    pub guardian: Option<AccountId>,
    /// Whether suspended accounts answer.
    pub suspended_vote: bool,
    /// The height as of which weights count.
    pub snapshot: u64,
    /// When it was opened.
    pub opened_at: u64,
    /// When ballots stop.
    pub closes: u64,
    /// When ballots stop unless the outcome is settled before.
    pub latest_close: u64,
    /// Whether its quorums leave out who was dormant and has not answered.
    pub counts_awake_only: bool,
    /// When the outcome last turned.
    pub turned_at: u64,
    /// Who answered what.
    pub ballots: BTreeMap<AccountId, Vec<BallotPart>>,
    /// When something happens to it by itself.
    pub wakes: u64,
    /// Where it stands.
    pub status: Status,
}

impl World {
    pub(super) fn propose(&mut self, sender: AccountId, asked: &OpenProposal, id: ProposalId) -> Result<(), Refused> {
        let class = class_of(asked)?;
        let running =
            self.proposals.values().filter(|proposal| proposal.proposer == sender && !proposal.status.is_final());
        if running.count() >= OPEN_PROPOSALS_PER_ACCOUNT {
            return Err("too_many_open_proposals");
        }
        let mut proposal = Proposal {
            question: asked.question.clone(),
            proposer: sender,
            rule: suspending_rule(self.rule_for(asked.question.scope(), class)?, &asked.question),
            gates: Vec::new(),
            guardian: None,
            suspended_vote: true,
            snapshot: self.height - 1,
            opened_at: self.time,
            closes: 0,
            latest_close: 0,
            counts_awake_only: self.network.dormancy.is_some() && !suspends(&asked.question),
            turned_at: self.time,
            ballots: BTreeMap::new(),
            wakes: 0,
            status: Status::Open,
        };
        match asked.question.scope() {
            Scope::Network if self.account(sender)?.member_since.is_some() => {}
            Scope::Network => return Err("not_member"),
            Scope::Model(model) => {
                self.require_proposer(model, sender, proposal.rule.proposers, class)?;
                self.take_over_from(model, class, &mut proposal)?;
            }
        }
        if self.whole(&proposal) == 0 {
            return Err("empty_electorate");
        }
        proposal.closes = self.time + proposal.rule.voting_period_ms;
        proposal.latest_close = proposal.closes;
        proposal.wakes = proposal.closes;
        self.count_resolutions(&proposal.question, false);
        self.proposals.insert(id, proposal);
        Ok(())
    }

    /// Ends a proposal.
    fn settle_proposal(&mut self, id: ProposalId, status: Status) {
        let proposal = self.proposal_mut(id);
        proposal.status = status;
        let question = proposal.question.clone();
        self.count_resolutions(&question, true);
    }

    fn rule_for(&self, scope: Scope, class: Class) -> Result<Rule, Refused> {
        let Scope::Model(model) = scope else {
            let policy = &self.network;
            let rule = match class {
                Class::Accounts => &policy.accounts,
                Class::Validators => &policy.validators,
                _ => &policy.parameters,
            };
            return Ok(rule.clone());
        };
        let policy = &self.model(model)?.policy;
        let rule = match class {
            Class::Release => &policy.release,
            Class::Licence => &policy.licence,
            Class::Ownership => &policy.ownership,
            Class::Stewards => &policy.stewards,
            Class::Dispute => &policy.dispute,
            Class::Expropriation => policy.expropriation.as_ref().ok_or("no_expropriation")?,
            Class::Safety => policy.safety.as_ref().unwrap_or(&policy.release),
            _ => &policy.rules,
        };
        Ok(rule.clone())
    }

    fn require_proposer(
        &self,
        id: ModelId,
        sender: AccountId,
        proposers: Proposers,
        class: Class,
    ) -> Result<(), Refused> {
        let is_steward = self.is_steward(id, sender);
        let somebody_is = self.accounts.keys().any(|account| self.is_steward(id, *account));
        match proposers {
            Proposers::Stewards if class == Class::Stewards && !somebody_is => self.require_own(id, sender),
            Proposers::Owners => self.require_own(id, sender),
            Proposers::Stewards => is_steward.then_some(()).ok_or("not_steward"),
            Proposers::Holders(least) => {
                let (held, total) = (u128::from(self.held(id, sender)), u128::from(self.total(id)));
                let enough =
                    held > 0 && held * u128::from(least.denominator()) >= total * u128::from(least.numerator());
                (is_steward || enough).then_some(()).ok_or("too_few_shares")
            }
        }
    }

    /// What a proposal takes over from the model's policy and from the disputes that it decides.
    fn take_over_from(&self, id: ModelId, class: Class, proposal: &mut Proposal) -> Result<(), Refused> {
        let policy = &self.model(id)?.policy;
        proposal.counts_awake_only = policy.dormancy.is_some();
        proposal.guardian = policy.guardian;
        proposal.suspended_vote = policy.suspended_vote;
        if class == Class::Release {
            proposal.gates = policy.gates.iter().map(|gate| resolve(policy, gate)).collect();
        }
        if let Some(ModelAction::ResolveDispute(ResolveDispute { dispute, upholds })) =
            proposal.question.model_actions().first()
        {
            proposal.rule = self.rule_to_resolve(id, *dispute, *upholds)?;
        }
        Ok(())
    }

    /// A proposal that is open for ballots.
    pub(super) fn open_proposal(&self, id: ProposalId) -> Result<&Proposal, Refused> {
        let proposal = self.proposals.get(&id).ok_or("unknown_proposal")?;
        if proposal.status != Status::Open {
            return Err("not_open");
        }
        if self.time >= proposal.closes { Err("voting_closed") } else { Ok(proposal) }
    }

    pub(super) fn withdraw_proposal(&mut self, sender: AccountId, id: ProposalId) -> Result<(), Refused> {
        let proposal = self.proposals.get(&id).ok_or("unknown_proposal")?;
        let sells =
            proposal.question.model_actions().iter().any(|action| matches!(action, ModelAction::ApproveTransfer(_)));
        if sells && proposal.proposer == sender && !proposal.status.is_final() {
            self.proposal_mut(id).status = Status::Withdrawn;
            return Ok(());
        }
        let proposal = self.open_proposal(id)?;
        if proposal.proposer != sender {
            return Err("not_proposer");
        }
        self.settle_proposal(id, Status::Withdrawn);
        Ok(())
    }

    pub(super) fn cancel(&mut self, sender: AccountId, id: ProposalId) -> Result<(), Refused> {
        let proposal = self.proposals.get(&id).ok_or("unknown_proposal")?;
        let Scope::Model(model) = proposal.question.scope() else { return Err("not_guardian") };
        if proposal.guardian != Some(sender) || !self.counts_in_copy(&Office::Guardian(model), sender) {
            return Err("not_guardian");
        }
        if proposal.status.is_final() {
            return Err("not_open");
        }
        self.settle_proposal(id, Status::Cancelled);
        Ok(())
    }

    pub(super) fn execute(&mut self, id: ProposalId) -> Result<(), Refused> {
        let proposal = self.proposals.get(&id).ok_or("unknown_proposal")?;
        let Status::Queued { ready, .. } = proposal.status else { return Err("not_queued") };
        if self.time < ready {
            return Err("timelocked");
        }
        self.require_nothing_lacks(id, proposal)?;
        self.run(id);
        Ok(())
    }

    /// The close of a proposal, the end of its timelock, or the end of its execution window.
    pub(super) fn proposal_is_due(&mut self, id: ProposalId) {
        let time = self.time;
        let proposal = &self.proposals[&id];
        let lacks = self.require_nothing_lacks(id, proposal);
        match (&proposal.status, lacks) {
            (Status::Open, lacks) => self.close(id, lacks.is_ok()),
            (Status::Queued { .. }, Ok(())) => self.run(id),
            (Status::Queued { expires, .. }, Err(code)) if time >= *expires => {
                self.settle_proposal(id, Status::Expired(code));
            }
            (Status::Queued { expires, .. }, Err(_)) => self.proposal_mut(id).wakes = *expires,
            _ => {}
        }
    }

    fn close(&mut self, id: ProposalId, nothing_lacks: bool) {
        let time = self.time;
        let verdict = self.tally(&self.proposals[&id]).judge(&self.proposals[&id].rule);
        let proposal = self.proposal_mut(id);
        if let Err(reason) = verdict {
            return self.settle_proposal(id, Status::Rejected(reason));
        }
        let rule = &proposal.rule;
        if rule.timelock_ms == 0 && nothing_lacks {
            return self.run(id);
        }
        let ready = time + rule.timelock_ms;
        let expires = ready + rule.execution_window_ms;
        proposal.wakes = if ready > time { ready } else { expires };
        proposal.status = Status::Queued { ready, expires };
    }

    /// What a decision that passed still lacks besides its time: a version or a line under dispute, an attestation.
    fn require_nothing_lacks(&self, id: ProposalId, proposal: &Proposal) -> Result<(), Refused> {
        let Scope::Model(model) = proposal.question.scope() else { return self.require_operators(proposal) };
        for action in proposal.question.model_actions() {
            match action {
                ModelAction::ReleaseVersion(ReleaseVersion { label }) => {
                    self.require_unfrozen(&DisputeTarget::Version { model, label: label.clone() })?;
                    if self.version(model, label).is_ok() {
                        self.require_not_suspended(model, label)?;
                    }
                    self.require_attested(model, label, &proposal.gates)?;
                }
                ModelAction::BurnShares(BurnByDecision { from, units, .. }) => {
                    self.require_undisputed(model, *from, units.get())?;
                    if !self.consents.contains(&(id, *from)) {
                        return Err("no_consent");
                    }
                }
                ModelAction::ApproveTransfer(ApproveTransfer { to, units, .. }) => {
                    self.require_undisputed(model, proposal.proposer, units.get())?;
                    self.require_control(model, proposal.proposer)?;
                    self.require_sale(id, proposal.proposer, *to)?;
                }
                ModelAction::MintShares(MintShares { to, .. }) if *to != proposal.proposer => {
                    self.require_takes(model, *to)?
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// That whoever is to operate a validator accepted to, ahead.
    fn require_operators(&self, proposal: &Proposal) -> Result<(), Refused> {
        let accepted = |action: &NetworkAction| match action {
            NetworkAction::AdmitValidator(asked) => self.ahead.contains(&(Office::Operator(asked.key), asked.operator)),
            _ => true,
        };
        if proposal.question.network_actions().iter().all(accepted) { Ok(()) } else { Err("not_accepted") }
    }

    fn require_attested(
        &self,
        model: ModelId,
        label: &VersionLabel,
        gates: &[(Gate, Vec<AccountId>)],
    ) -> Result<(), Refused> {
        let Ok(version) = self.version(model, label) else { return Ok(()) };
        for (gate, accounts) in gates {
            let office = Office::Attester { model, role: gate.role.clone() };
            let said = |account: &AccountId| {
                let said = self.attestations.get(&(version.artifact, gate.statement.clone(), *account));
                said.filter(|_| self.counts_in_copy(&office, *account))
            };
            let count = |finding| accounts.iter().filter(|account| said(account) == Some(&finding)).count();
            let (passed, failed) = (count(Finding::Passed), count(Finding::Failed));
            let enough = |needed: u32| passed >= usize::try_from(needed).unwrap_or(usize::MAX);
            if failed > 0 && !(passed > failed && gate.outvoted_by.is_some_and(enough)) {
                return Err("failed_attestation");
            }
            if !enough(gate.attestors) {
                return Err("not_attested");
            }
        }
        Ok(())
    }

    /// Carries a decision out: all of it, or nothing.
    fn run(&mut self, id: ProposalId) {
        let before = self.clone();
        let question = self.proposals[&id].question.clone();
        let done = self.carry_out(id, &question);
        if done.is_err() {
            *self = before;
        }
        self.settle_proposal(id, done.map_or_else(Status::ExecutionFailed, |()| Status::Executed));
    }

    /// Disputes of an account that are open now.
    pub fn open_disputes(&self, account: AccountId) -> usize {
        let own = self.disputes.values().filter(|dispute| dispute.challenger == account);
        own.filter(|dispute| !dispute.status.is_final()).count()
    }
}

fn resolve(policy: &ModelPolicy, gate: &Gate) -> (Gate, Vec<AccountId>) {
    let role = policy.roles.iter().find(|role| role.name == gate.role);
    (gate.clone(), role.map_or(Vec::new(), |role| role.accounts.clone()))
}

/// The class of all actions.
fn class_of(asked: &OpenProposal) -> Result<Class, Refused> {
    let classes: Vec<Class> = match &asked.question {
        Question::Model { actions, .. } => actions.iter().map(class_of_owners).collect(),
        Question::Network { actions } => actions.iter().map(class_of_members).collect(),
    };
    if classes.iter().any(|class| *class != classes[0]) { Err("mixed_classes") } else { Ok(classes[0]) }
}

fn class_of_owners(action: &ModelAction) -> Class {
    match action {
        ModelAction::ReleaseVersion(_) | ModelAction::ClaimLineage(_) => Class::Release,
        ModelAction::DeprecateVersion(_)
        | ModelAction::WithdrawVersion(_)
        | ModelAction::SuspendVersion(_)
        | ModelAction::LiftSuspension(_) => Class::Safety,
        ModelAction::SetLicence(_)
        | ModelAction::SetDistribution(_)
        | ModelAction::GrantLicence(_)
        | ModelAction::RevokeLicence(_) => Class::Licence,
        ModelAction::MintShares(_)
        | ModelAction::BurnShares(_)
        | ModelAction::ApproveTransfer(_)
        | ModelAction::AcceptControl(_)
        | ModelAction::OpenRound(_) => Class::Ownership,
        ModelAction::Expropriate(_) => Class::Expropriation,
        ModelAction::SetStewards(_) => Class::Stewards,
        ModelAction::SetPolicy(_) | ModelAction::Retire(_) | ModelAction::Statement => Class::Rules,
        ModelAction::ResolveDispute(_) => Class::Dispute,
    }
}

fn class_of_members(action: &NetworkAction) -> Class {
    match action {
        NetworkAction::AdmitMember(_)
        | NetworkAction::RemoveMember(_)
        | NetworkAction::GrantQuota(_)
        | NetworkAction::SuspendAccount(_)
        | NetworkAction::ReinstateAccount(_) => Class::Accounts,
        NetworkAction::Statement => Class::Parameters,
        NetworkAction::AdmitValidator(_) | NetworkAction::ReweightValidator(_) | NetworkAction::RemoveValidator(_) => {
            Class::Validators
        }
        NetworkAction::SetParameters(_) | NetworkAction::Upgrade(_) => {
            panic!("the reference does not decide on {}", action.name())
        }
    }
}

fn suspends(question: &Question) -> bool {
    question.network_actions().iter().any(|action| matches!(action, NetworkAction::SuspendAccount(_)))
}

/// To suspend takes more than half of all members, whoever is silent.
fn suspending_rule(rule: Rule, question: &Question) -> Rule {
    let yes_quorum = rule.yes_quorum.max(Portion::MAJORITY);
    if suspends(question) { Rule { objection: None, yes_quorum, ..rule } } else { rule }
}
