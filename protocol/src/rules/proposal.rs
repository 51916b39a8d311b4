//! Proposals, ballots, decisions.
//!
//! The rule and the weights of a proposal are those of its opening: the rule, the gates and the guardian are copied
//! into it, and the weights are read as of the previous block. Later changes of shares, delegations or policies do not
//! affect it. When block time passes the close, the ledger judges the tally. A decision that passed is executed at
//! once, or after its timelock: all of its actions, or, if one cannot be executed, none, with the reason kept.
//!
//! ```text
//!            +-> rejected
//! open ------+-> executed | execution_failed
//!   |        +-> queued -----> executed | execution_failed | expired
//!   |               |
//!   +-> withdrawn   +-> cancelled
//!   +-> cancelled
//! ```
//!
//! Read on: [`Question`] (who is asked what), [`action`] (what can be decided), [`ballot`] (answers and delegation),
//! [`closing`] (what comes of them), [`dry_run`] (what would come of it).

pub mod action;
pub mod ballot;
pub mod closing;
pub mod dry_run;
mod question;

pub use action::{ModelAction, NetworkAction};
pub use ballot::{Ballot, BallotPart, CastBallot, Choice};
pub use closing::{CancelProposal, ExecuteProposal};
pub use question::Question;

use crate::{
    ground::{
        fraction::Portion,
        ids::{AccountId, Height, ModelId, Name, ProposalId, Timestamp, Units},
        invalid::{Invalid, check_line, check_said, check_text},
        limits,
        state::{Family, KeyField, Overlay, Record},
    },
    rules::{
        account::Account,
        context::Context,
        delegation, dispute, dormancy,
        due::{self, Due},
        event::Event,
        load,
        model::{Model, ModelCounters},
        network::MembersAt,
        policy::{Class, Electorate, Gate, Proposers, Rule, Tally, Verdict, explain},
        rejection::Rejection,
        sale,
        share::{self, Weights},
    },
};
use serde::{Deserialize, Serialize};

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The owners of a model answer.
    Model(ModelId),
    /// The members of the network answer, one voice each.
    Network,
}

impl KeyField for Scope {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Network => key.push(0),
            Self::Model(model) => {
                key.push(1);
                model.write(key);
            }
        }
    }
}

/// The status of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ProposalStatus {
    /// Ballots are accepted.
    Open,
    /// It passed and waits to be executed.
    Queued {
        /// The height at which it passed.
        height: Height,
        /// The block time from which it can be executed.
        ready: Timestamp,
        /// The block time at which it expires.
        expires: Timestamp,
    },
    /// It passed, and the ledger executed it.
    Executed {
        /// The height at which it was executed.
        height: Height,
    },
    /// It passed, but one of its actions could not be executed, so none was.
    ExecutionFailed {
        /// The height at which it failed.
        height: Height,
        /// The reason.
        reason: Rejection,
    },
    /// It did not pass.
    Rejected {
        /// The height at which it closed.
        height: Height,
        /// The outcome of its tally.
        verdict: Verdict,
    },
    /// Its proposer withdrew it before it closed.
    Withdrawn {
        /// The height at which it was withdrawn.
        height: Height,
        /// The proposer's words.
        reason: String,
    },
    /// The guardian cancelled it.
    Cancelled {
        /// The height at which it was cancelled.
        height: Height,
        /// The guardian's words.
        reason: String,
    },
    /// It passed, and could not be executed in time.
    Expired {
        /// The height at which it expired.
        height: Height,
        /// What it waited for.
        reason: Rejection,
    },
}

impl ProposalStatus {
    /// The status's name.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Whether the proposal is settled.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Open | Self::Queued { .. })
    }
}

/// What must be attested before the decision is executed, as of the opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalGate {
    /// The statement.
    pub statement: Name,
    /// The role.
    pub role: Name,
    /// The accounts named in the role.
    pub accounts: Vec<AccountId>,
    /// How many of them must attest it.
    pub attestors: u32,
    /// How many of them that attest `passed` outvote those that attest `failed`. `None` means never.
    pub outvoted_by: Option<u32>,
}

/// A question carrying typed actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proposal {
    /// Its id, derived from the transaction that opened it, and so from the proposer.
    pub id: ProposalId,
    /// Who is asked, and what is done if it passes.
    pub question: Question,
    /// Its number among the scope's proposals, from 0.
    pub number: u64,
    /// The account that proposes it.
    pub proposer: AccountId,
    /// The question in one line.
    pub title: String,
    /// The question in full.
    pub text: String,
    /// The class of all its actions.
    pub class: Class,
    /// The rule, as of the opening.
    pub rule: Rule,
    /// What must be attested, as of the opening.
    pub gates: Vec<ProposalGate>,
    /// Who may cancel it, as of the opening.
    pub guardian: Option<AccountId>,
    /// The height as of which weights are read: the one before the opening.
    pub snapshot: Height,
    /// The height of opening.
    pub opened: Height,
    /// The block time of opening.
    pub opened_at: Timestamp,
    /// The block time at which ballots stop.
    pub closes: Timestamp,
    /// The block time at which they stop, unless the outcome is settled before.
    pub latest_close: Timestamp,
    /// The block time at which an answer last turned the outcome, in either direction; at first, that of the opening.
    pub turned_at: Timestamp,
    /// The status of the proposal.
    pub status: ProposalStatus,
    /// Whether suspended accounts may answer, as of the opening.
    pub suspended_vote: bool,
}

impl Record for Proposal {
    type Key = ProposalId;
    const FAMILY: Family = Family::Proposal;
}

/// A proposal of a scope, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalOf(pub ProposalId);

impl Record for ProposalOf {
    type Key = (Scope, u64);
    const FAMILY: Family = Family::ProposalOf;
}

impl Proposal {
    pub(crate) fn existing(state: &Overlay<'_>, id: ProposalId) -> Result<Self, Rejection> {
        state.read::<Self>(&id).ok_or(Rejection::UnknownProposal(id))
    }

    /// The proposal, if it accepts ballots.
    fn open(state: &Overlay<'_>, context: &Context, id: ProposalId) -> Result<Self, Rejection> {
        let proposal = Self::existing(state, id)?;
        if proposal.status != ProposalStatus::Open {
            return Err(Rejection::NotOpen { proposal: id, status: proposal.status.name().into() });
        }
        if context.time >= proposal.closes {
            return Err(Rejection::VotingClosed { proposal: id, closes: proposal.closes, time: context.time });
        }
        Ok(proposal)
    }

    /// Whose question it is.
    pub const fn scope(&self) -> Scope {
        self.question.scope()
    }

    /// Its rule, in a sentence or two.
    pub fn rule_text(&self) -> String {
        match self.scope() {
            Scope::Model(_) => explain::rule(&self.rule),
            Scope::Network => explain::network_rule(&self.rule),
        }
    }

    /// The latest time to which the close can move.
    fn last_close(&self) -> Timestamp {
        self.opened_at.plus_ms(self.rule.voting_period_ms.saturating_mul(limits::VOTING_PERIODS))
    }

    /// Moves the close of an open proposal.
    fn move_close(&mut self, state: &mut Overlay<'_>, closes: Timestamp) {
        due::clear(state, self.closes, Due::Proposal(self.scope(), self.id));
        self.closes = closes;
        due::set(state, closes, Due::Proposal(self.scope(), self.id));
        state.write(&self.id, self);
    }
}

/// Checks that a decision can be executed in one block, with others.
fn require_light(question: &Question, gates: &[ProposalGate]) -> Result<(), Rejection> {
    let weight = load::of_proposed(question, gates).weight();
    if weight > limits::DECISION_WEIGHT { Err(Rejection::DecisionTooHeavy { weight }) } else { Ok(()) }
}

/// Open a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenProposal {
    /// Who is asked, and what is done if it passes.
    pub question: Question,
    /// The question in one line.
    pub title: String,
    /// The question in full.
    pub text: String,
}

/// What a proposal copies from the rules in force.
struct Terms {
    rule: Rule,
    gates: Vec<ProposalGate>,
    guardian: Option<AccountId>,
    suspended_vote: bool,
    tally: Tally,
    number: u64,
}

impl OpenProposal {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("title", &self.title, limits::TITLE_SIZE_BYTES)?;
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)?;
        check_said("title", &self.title, "is empty; say what is asked in one line")?;
        self.question.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        mut sender: Account,
    ) -> Result<Vec<Event>, Rejection> {
        let class = self.question.class()?;
        if sender.open_proposals >= limits::OPEN_PROPOSALS_PER_ACCOUNT {
            let max = limits::OPEN_PROPOSALS_PER_ACCOUNT;
            return Err(Rejection::TooManyOpenProposals { account: sender.id, max });
        }
        let snapshot = context.height.previous();
        let terms = match &self.question {
            Question::Network { actions } => network_terms(state, context, &sender, class, actions)?,
            Question::Model { model, .. } => {
                delegation::require_ended(state, context, *model)?;
                self.model_terms(state, context, *model, &sender, class)?
            }
        };
        if terms.tally.whole == 0 {
            return Err(Rejection::EmptyElectorate(snapshot));
        }
        require_light(&self.question, &terms.gates)?;
        sender.open_proposals = sender.open_proposals.saturating_add(1);
        state.write(&sender.id, &sender);
        context.network.open_proposals = context.network.open_proposals.saturating_add(1);
        let closes = context.time.plus_ms(terms.rule.voting_period_ms);
        let proposal = Proposal {
            id: context.proposal_id(),
            question: self.question.clone(),
            number: terms.number,
            proposer: sender.id,
            title: self.title.clone(),
            text: self.text.clone(),
            class,
            closes,
            latest_close: closes,
            rule: terms.rule,
            gates: terms.gates,
            guardian: terms.guardian,
            snapshot,
            opened: context.height,
            opened_at: context.time,
            turned_at: context.time,
            status: ProposalStatus::Open,
            suspended_vote: terms.suspended_vote,
        };
        let scope = proposal.scope();
        state.write(&(scope, terms.number), &ProposalOf(proposal.id));
        due::set(state, proposal.closes, Due::Proposal(scope, proposal.id));
        state.write(&proposal.id, &proposal);
        state.write(&proposal.id, &terms.tally);
        if let Some(resolution) = self.question.resolution() {
            dispute::ending::resolution_opened(state, resolution.dispute);
        }
        Ok(vec![Event::ProposalOpened { proposal: proposal.id, scope, proposer: sender.id, closes: proposal.closes }])
    }

    fn model_terms(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        id: ModelId,
        sender: &Account,
        class: Class,
    ) -> Result<Terms, Rejection> {
        let snapshot = context.height.previous();
        let model = Model::existing(state, id)?;
        if class == Class::Expropriation && model.policy.expropriation.is_none() {
            return Err(Rejection::NoExpropriation(id));
        }
        require_proposer(state, &model, model.policy.rule(class), class, sender.id)?;
        let rule = match self.question.resolution() {
            Some(resolution) => dispute::ending::rule_for_owners(state, context, &model, *resolution)?,
            None => model.policy.rule(class).clone(),
        };
        let mut counters = state.read::<ModelCounters>(&id).unwrap_or_default();
        let number = counters.proposals;
        counters.proposals = number.saturating_add(1);
        state.write(&id, &counters);
        let resolve = |gate: &Gate| ProposalGate {
            statement: gate.statement.clone(),
            role: gate.role.clone(),
            accounts: model.policy.in_role(&gate.role).to_vec(),
            attestors: gate.attestors,
            outvoted_by: gate.outvoted_by,
        };
        let gates = if class == Class::Release { model.policy.gates.iter().map(resolve).collect() } else { Vec::new() };
        let whole = share::total_as_of(state, id, snapshot).by(rule.electorate);
        let mut asleep = 0;
        if model.policy.dormancy.is_some() {
            asleep = dormancy::asleep_as_of(state, self.question.scope(), snapshot).by(rule.electorate);
        }
        let tally = Tally::opening(whole, asleep);
        let (guardian, suspended_vote) = (model.policy.guardian, model.policy.suspended_vote);
        Ok(Terms { rule, gates, guardian, suspended_vote, tally, number })
    }
}

fn network_terms(
    state: &Overlay<'_>,
    context: &mut Context,
    sender: &Account,
    class: Class,
    actions: &[NetworkAction],
) -> Result<Terms, Rejection> {
    if sender.member_since.is_none() {
        return Err(Rejection::NotMember(sender.id));
    }
    let number = context.network.proposals;
    context.network.proposals = number.saturating_add(1);
    let snapshot = context.height.previous();
    let policy = &context.parameters.policy;
    let mut rule = policy.rule(class).clone();
    let of_all = actions.iter().any(NetworkAction::needs_majority_of_all);
    if of_all {
        rule = rule.by_majority_of_all();
    }
    let mut asleep = 0;
    if policy.dormancy.is_some() && !of_all {
        asleep = dormancy::asleep_as_of(state, Scope::Network, snapshot).by(rule.electorate);
    }
    let tally = Tally::opening(members_as_of(state, snapshot), asleep);
    Ok(Terms { rule, gates: Vec::new(), guardian: None, suspended_vote: true, tally, number })
}

fn require_proposer(
    state: &Overlay<'_>,
    model: &Model,
    rule: &Rule,
    class: Class,
    sender: AccountId,
) -> Result<(), Rejection> {
    // If nobody holds the office that may propose, nobody could ever fill it.
    let no_steward = || !model.stewards.iter().any(|steward| model.is_steward(state, *steward));
    match rule.proposers {
        Proposers::Stewards if class == Class::Stewards && no_steward() => model.require_own(state, sender),
        Proposers::Owners => model.require_own(state, sender),
        Proposers::Stewards => model.require_steward(state, sender),
        Proposers::Holders(_) if model.is_steward(state, sender) => Ok(()),
        Proposers::Holders(least) => {
            let total = share::Register::of(state, model.id).total_units;
            let held = share::balance(state, model.id, sender);
            if held > Units::ZERO && Portion::at_least(least).is_met(held.get().into(), total.get().into()) {
                Ok(())
            } else {
                Err(Rejection::TooFewShares { account: sender, model: model.id, held, least })
            }
        }
    }
}

/// The weight of an account itself, as of a proposal's opening.
fn own_weight(state: &Overlay<'_>, proposal: &Proposal, account: &Account) -> u64 {
    match proposal.scope() {
        Scope::Network => u64::from(account.member_since.is_some_and(|since| since <= proposal.snapshot)),
        Scope::Model(model) => model_weight(state, model, account.id, proposal.snapshot, proposal.rule.electorate),
    }
}

fn model_weight(
    state: &Overlay<'_>,
    model: ModelId,
    account: AccountId,
    height: Height,
    electorate: Electorate,
) -> u64 {
    Weights::of(share::balance_as_of(state, model, account, height)).by(electorate)
}

/// The number of members after block `height`.
fn members_as_of(state: &Overlay<'_>, height: Height) -> u64 {
    state.read_as_of::<MembersAt>(&(), &height).map_or(0, |at| at.0)
}

/// Withdraw a proposal that is still open, as its proposer; one that moves units of the proposer, until it is executed.
/// The answers stay on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WithdrawProposal {
    /// The proposal.
    pub proposal: ProposalId,
    /// The reason, for everybody to read.
    pub reason: String,
}

impl WithdrawProposal {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut proposal = Proposal::existing(state, self.proposal)?;
        // The proposer can withdraw a sale of its own units until it is executed.
        if !sale::is_sale(&proposal) || proposal.proposer != sender || proposal.status.is_final() {
            proposal = Proposal::open(state, context, self.proposal)?;
        }
        if proposal.proposer != sender {
            return Err(Rejection::NotProposer(proposal.proposer));
        }
        let status = ProposalStatus::Withdrawn { height: context.height, reason: self.reason.clone() };
        Ok(vec![closing::settle(state, context, proposal, status)])
    }
}
