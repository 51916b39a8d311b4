//! Proposals, ballots, decisions.
//!
//! The rule and the weights of a proposal are those of its opening: the rule is copied into it, the weights are read
//! from the register as of the block before. Ballots can be changed until the close; the tally is a running sum, so
//! closing costs the same for ten ballots and ten million. When block time passes the close, the ledger judges the
//! tally and runs the actions: all of them, or, if one cannot be, none, with the reason kept.

use crate::{
    account::Account,
    event::Event,
    execute::Context,
    ids::{AccountId, Height, ModelId, Power, ProposalId, PublicKey, Timestamp, Units, VersionLabel},
    limits,
    model::{self, Model},
    policy::{Class, ModelPolicy, Rule, Tally, Verdict},
    rejection::Rejection,
    share::{self, ShareFlow, ShareReason},
    state::{Direction, Family, Overlay, Record, StateError, StateRead, prefix_end},
    transaction::{Invalid, check_count, check_text},
    validator::{Validator, ValidatorSet},
};
use serde::{Deserialize, Serialize};

/// Whose question it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The owners of a model answer, by shares.
    Model(ModelId),
    /// The members of the network answer, one each.
    Network,
}

impl crate::state::KeyField for Scope {
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

/// What the ledger does when the decision stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalAction {
    /// Release a published version of the model.
    ReleaseVersion {
        /// Which.
        label: VersionLabel,
    },
    /// Mint shares of the model.
    MintShares {
        /// For whom.
        to: AccountId,
        /// How many units; at least 1.
        units: Units,
        /// Why, for the history.
        reason: String,
    },
    /// Change how the model's owners decide.
    SetPolicy {
        /// The rules from then on; open proposals keep theirs.
        policy: ModelPolicy,
    },
    /// Admit a validator two blocks later; its operator becomes a member of the network.
    AdmitValidator {
        /// Its consensus key.
        key: PublicKey,
        /// Its voting power.
        power: Power,
        /// The account that answers for it.
        operator: AccountId,
    },
    /// Remove a validator two blocks later.
    RemoveValidator {
        /// Its consensus key.
        key: PublicKey,
    },
}

impl ProposalAction {
    /// The class whose rule decides it.
    pub const fn class(&self) -> Class {
        match self {
            Self::ReleaseVersion { .. } => Class::Release,
            Self::MintShares { .. } => Class::Ownership,
            Self::SetPolicy { .. } => Class::Rules,
            Self::AdmitValidator { .. } | Self::RemoveValidator { .. } => Class::Validators,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::MintShares { units, reason, .. } => {
                if *units == Units::ZERO {
                    return Err(Invalid::Form { field: "units", problem: "are 0; mint at least 1".into() });
                }
                check_text("reason", reason, limits::TITLE_SIZE_BYTES)
            }
            Self::SetPolicy { policy } => policy.check(),
            Self::AdmitValidator { power, .. } if !(1..=limits::VALIDATOR_POWER).contains(&power.get()) => {
                Err(Invalid::Form {
                    field: "power",
                    problem: format!("is {power}; set 1 to {}", limits::VALIDATOR_POWER),
                })
            }
            Self::ReleaseVersion { .. } | Self::AdmitValidator { .. } | Self::RemoveValidator { .. } => Ok(()),
        }
    }
}

/// Where a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalStatus {
    /// Ballots are taken.
    Open,
    /// It passed and the ledger did what it says.
    Executed {
        /// When.
        height: Height,
    },
    /// It passed and one of its actions could not be done, so none was.
    ExecutionFailed {
        /// When.
        height: Height,
        /// Why.
        reason: Rejection,
    },
    /// It did not pass.
    Rejected {
        /// When.
        height: Height,
        /// Why.
        verdict: Verdict,
    },
    /// Its proposer took it back.
    Withdrawn {
        /// When.
        height: Height,
    },
}

impl ProposalStatus {
    /// The status's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Executed { .. } => "executed",
            Self::ExecutionFailed { .. } => "execution_failed",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }
}

/// A question carrying typed actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// Whose question.
    pub scope: Scope,
    /// Its place among the scope's proposals, from 0.
    pub number: u64,
    /// Who asks.
    pub proposer: AccountId,
    /// In one line.
    pub title: String,
    /// In full.
    pub text: String,
    /// What is done if it passes.
    pub actions: Vec<ProposalAction>,
    /// The class of all its actions.
    pub class: Class,
    /// The rule, as it was at opening.
    pub rule: Rule,
    /// The height as of which weights are read: that before opening.
    pub snapshot: Height,
    /// The height of opening.
    pub opened: Height,
    /// The block time at which ballots stop.
    pub closes: Timestamp,
    /// The sums so far.
    pub tally: Tally,
    /// Accounts that answered.
    pub ballots: u64,
    /// Where it stands.
    pub status: ProposalStatus,
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

/// That a proposal is due at a block time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline(pub ProposalId);

impl Record for Deadline {
    type Key = (Timestamp, ProposalId);
    const FAMILY: Family = Family::Deadline;
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// For.
    Yes,
    /// Against.
    No,
    /// Neither, but counted for the quorum.
    Abstain,
}

/// One account's answer to one proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// Who.
    pub account: AccountId,
    /// What.
    pub choice: Choice,
    /// With what weight.
    pub weight: u64,
    /// When it was cast or last changed.
    pub height: Height,
}

impl Record for Ballot {
    type Key = (ProposalId, AccountId);
    const FAMILY: Family = Family::Ballot;
}

/// Put a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenProposal {
    /// To whom.
    pub scope: Scope,
    /// In one line.
    pub title: String,
    /// In full.
    pub text: String,
    /// What is done if it passes: 1 to [`limits::PROPOSAL_ACTIONS`], all of one class.
    pub actions: Vec<ProposalAction>,
}

impl OpenProposal {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("title", &self.title, limits::TITLE_SIZE_BYTES)?;
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)?;
        check_count("actions", self.actions.len(), limits::PROPOSAL_ACTIONS)?;
        if self.title.trim().is_empty() {
            return Err(Invalid::Form { field: "title", problem: "is empty; say what is asked in one line".into() });
        }
        if self.actions.is_empty() {
            return Err(Invalid::Form { field: "actions", problem: "are none; say what is done if it passes".into() });
        }
        self.actions.iter().try_for_each(ProposalAction::check)
    }

    /// The one class of all actions, which must belong to the scope.
    fn class(&self) -> Result<Class, Rejection> {
        let mut classes = self.actions.iter().map(ProposalAction::class);
        let class = classes.next().unwrap_or(Class::Rules);
        if let Some(other) = classes.find(|other| *other != class) {
            return Err(Rejection::MixedClasses(
                format!("{class:?}").to_lowercase(),
                format!("{other:?}").to_lowercase(),
            ));
        }
        match (self.scope, class) {
            (Scope::Network, Class::Validators) => Ok(class),
            (Scope::Model(_), Class::Release | Class::Ownership | Class::Rules) => Ok(class),
            _ => Err(Rejection::WrongScope(format!("{class:?}").to_lowercase())),
        }
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &mut Context,
        mut sender: Account,
    ) -> Result<Vec<Event>, Rejection> {
        let class = self.class()?;
        if sender.open_proposals >= limits::OPEN_PROPOSALS_PER_ACCOUNT {
            let max = limits::OPEN_PROPOSALS_PER_ACCOUNT;
            return Err(Rejection::TooManyOpenProposals { account: sender.id, max });
        }
        let snapshot = context.height.previous();
        let (rule, electorate, number) = match self.scope {
            Scope::Network => {
                if sender.member_since.is_none() {
                    return Err(Rejection::NotMember(sender.id));
                }
                let number = context.network.proposals;
                context.network.proposals = number.saturating_add(1);
                (context.parameters.validators_rule.clone(), context.network.members, number)
            }
            Scope::Model(id) => {
                let mut model = Model::existing(state, id)?;
                model.require_own(state, sender.id)?;
                let number = model.proposals;
                model.proposals = number.saturating_add(1);
                state.write(&id, &model);
                let rule = match class {
                    Class::Release => model.policy.release,
                    Class::Ownership => model.policy.ownership,
                    Class::Rules | Class::Validators => model.policy.rules,
                };
                (rule, share::total_as_of(state, id, snapshot).get(), number)
            }
        };
        if electorate == 0 {
            return Err(Rejection::EmptyElectorate(snapshot));
        }
        sender.open_proposals = sender.open_proposals.saturating_add(1);
        state.write(&sender.id, &sender);
        let proposal = Proposal {
            id: context.proposal_id(),
            scope: self.scope,
            number,
            proposer: sender.id,
            title: self.title.clone(),
            text: self.text.clone(),
            actions: self.actions.clone(),
            class,
            closes: context.time.plus_ms(rule.voting_period_ms),
            rule,
            snapshot,
            opened: context.height,
            tally: Tally { electorate, ..Tally::default() },
            ballots: 0,
            status: ProposalStatus::Open,
        };
        state.write(&(self.scope, number), &ProposalOf(proposal.id));
        state.write(&(proposal.closes, proposal.id), &Deadline(proposal.id));
        state.write(&proposal.id, &proposal);
        context.network.open_proposals = context.network.open_proposals.saturating_add(1);
        Ok(vec![Event::ProposalOpened {
            proposal: proposal.id,
            scope: self.scope,
            proposer: sender.id,
            closes: proposal.closes,
        }])
    }
}

fn open_proposal<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    context: &Context,
    id: ProposalId,
) -> Result<Proposal, Rejection> {
    let proposal = state.read::<Proposal>(&id).ok_or(Rejection::UnknownProposal(id))?;
    if proposal.status != ProposalStatus::Open {
        return Err(Rejection::NotOpen { proposal: id, status: proposal.status.name().into() });
    }
    if context.time >= proposal.closes {
        return Err(Rejection::VotingClosed { proposal: id, closes: proposal.closes, time: context.time });
    }
    Ok(proposal)
}

/// Answer a question, or change the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastBallot {
    /// Which question.
    pub proposal: ProposalId,
    /// The answer.
    pub choice: Choice,
}

impl CastBallot {
    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: &Account,
    ) -> Result<Vec<Event>, Rejection> {
        let mut proposal = open_proposal(state, context, self.proposal)?;
        let snapshot = proposal.snapshot;
        let weight = match proposal.scope {
            Scope::Model(model) => share::balance_as_of(state, model, sender.id, snapshot).get(),
            Scope::Network => u64::from(sender.member_since.is_some_and(|since| since <= snapshot)),
        };
        if weight == 0 {
            return Err(Rejection::NoWeight { account: sender.id, snapshot });
        }
        let key = (self.proposal, sender.id);
        match state.read::<Ballot>(&key) {
            Some(before) => {
                let sum = sum_of(&mut proposal.tally, before.choice);
                *sum = sum.saturating_sub(before.weight);
            }
            None => proposal.ballots = proposal.ballots.saturating_add(1),
        }
        let sum = sum_of(&mut proposal.tally, self.choice);
        *sum = sum.saturating_add(weight);
        state.write(&key, &Ballot { account: sender.id, choice: self.choice, weight, height: context.height });
        state.write(&self.proposal, &proposal);
        Ok(vec![Event::BallotCast { proposal: self.proposal, account: sender.id, choice: self.choice, weight }])
    }
}

fn sum_of(tally: &mut Tally, choice: Choice) -> &mut u64 {
    match choice {
        Choice::Yes => &mut tally.yes,
        Choice::No => &mut tally.no,
        Choice::Abstain => &mut tally.abstain,
    }
}

/// Take back a proposal on which nobody has voted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawProposal {
    /// Which.
    pub proposal: ProposalId,
}

impl WithdrawProposal {
    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &mut Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let proposal = open_proposal(state, context, self.proposal)?;
        if proposal.proposer != sender {
            return Err(Rejection::NotProposer(proposal.proposer));
        }
        if proposal.ballots > 0 {
            return Err(Rejection::BallotsCast(self.proposal));
        }
        let status = ProposalStatus::Withdrawn { height: context.height };
        Ok(vec![settle(state, context, proposal, status)])
    }
}

/// The block time at which the next proposal is due: a network at rest makes a block then.
///
/// # Errors
/// When the storage fails.
pub fn next_deadline(state: &impl StateRead) -> Result<Option<Timestamp>, StateError> {
    let from = Deadline::key_bytes(&());
    let first = state.range(&from, &prefix_end(&from), Direction::Ascending, 1)?;
    let bytes = first.first().and_then(|(key, _)| key.get(1..9)?.try_into().ok());
    Ok(bytes.map(|bytes| Timestamp::new(u64::from_be_bytes(bytes))))
}

/// Closes what is due at the context's block time, at most [`limits::CLOSED_PROPOSALS_PER_BLOCK`] of it.
pub(crate) fn close_due<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, context: &mut Context) -> Vec<Event> {
    let from = Deadline::key_bytes(&());
    let to = Deadline::key_bytes(&context.time.plus_ms(1));
    let mut events = Vec::new();
    for (_, value) in state.entries(&from, &to, limits::CLOSED_PROPOSALS_PER_BLOCK) {
        let Some(proposal) =
            crate::codec::decode_trusted::<Deadline>(&value).ok().and_then(|Deadline(id)| state.read::<Proposal>(&id))
        else {
            continue;
        };
        events.extend(close(state, context, proposal));
        state.keep();
    }
    events
}

fn close<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, context: &mut Context, proposal: Proposal) -> Vec<Event> {
    let height = context.height;
    let verdict = proposal.rule.judge(&proposal.tally);
    if verdict != Verdict::Passed {
        return vec![settle(state, context, proposal, ProposalStatus::Rejected { height, verdict })];
    }
    // All actions or none: what they wrote is dropped if one of them cannot be done.
    let (validators, network) = (context.next_validators.clone(), context.network.clone());
    match run_actions(state, context, &proposal) {
        Ok(mut events) => {
            events.push(settle(state, context, proposal, ProposalStatus::Executed { height }));
            events
        }
        Err(reason) => {
            state.drop_pending();
            context.next_validators = validators;
            context.network = network;
            vec![settle(state, context, proposal, ProposalStatus::ExecutionFailed { height, reason })]
        }
    }
}

/// Ends an open proposal.
fn settle<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    mut proposal: Proposal,
    status: ProposalStatus,
) -> Event {
    state.remove::<Deadline>(&(proposal.closes, proposal.id));
    if let Some(mut proposer) = state.read::<Account>(&proposal.proposer) {
        proposer.open_proposals = proposer.open_proposals.saturating_sub(1);
        state.write(&proposer.id, &proposer);
    }
    context.network.open_proposals = context.network.open_proposals.saturating_sub(1);
    proposal.status = status.clone();
    state.write(&proposal.id, &proposal);
    Event::ProposalClosed { proposal: proposal.id, scope: proposal.scope, status }
}

fn run_actions<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    proposal: &Proposal,
) -> Result<Vec<Event>, Rejection> {
    let mut events = Vec::new();
    for action in &proposal.actions {
        events.extend(run_action(state, context, proposal, action)?);
    }
    Ok(events)
}

fn run_action<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    proposal: &Proposal,
    action: &ProposalAction,
) -> Result<Vec<Event>, Rejection> {
    let model = |state: &Overlay<'_, S>| match proposal.scope {
        Scope::Model(id) => Model::existing(state, id),
        Scope::Network => Err(Rejection::WrongScope("network".into())),
    };
    match action {
        ProposalAction::ReleaseVersion { label } => {
            let mut model = model(state)?;
            Ok(vec![model::release(state, context, &mut model, label, proposal.id)?])
        }
        ProposalAction::MintShares { to, units, reason } => {
            let mut model = model(state)?;
            context.existing_account(state, *to)?;
            let reason = ShareReason::Minted { proposal: proposal.id, reason: reason.clone() };
            Ok(vec![share::change(state, context, &mut model, *to, (ShareFlow::In, *units), reason)?])
        }
        ProposalAction::SetPolicy { policy } => {
            let mut model = model(state)?;
            model.policy = policy.clone();
            state.write(&model.id, &model);
            Ok(vec![Event::PolicyChanged { model: model.id, proposal: proposal.id }])
        }
        ProposalAction::AdmitValidator { key, power, operator } => {
            admit_validator(state, context, Validator::new(*key, *power, *operator))
        }
        ProposalAction::RemoveValidator { key } => remove_validator(context, *key),
    }
}

fn admit_validator<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    validator: Validator,
) -> Result<Vec<Event>, Rejection> {
    let mut operator = context.existing_account(state, validator.operator)?;
    if context.next_validators.by_address(&validator.address).is_some() {
        return Err(Rejection::ValidatorExists(validator.key));
    }
    let event = Event::ValidatorAdmitted { key: validator.key, power: validator.power, operator: validator.operator };
    let mut validators: Vec<Validator> = context.next_validators.clone().into();
    validators.push(validator);
    context.next_validators =
        ValidatorSet::try_from(validators).map_err(|error| Rejection::BadValidatorSet(error.to_string()))?;
    if operator.member_since.is_none() {
        operator.member_since = Some(context.height);
        state.write(&operator.id, &operator);
        context.network.members = context.network.members.saturating_add(1);
    }
    Ok(vec![event])
}

fn remove_validator(context: &mut Context, key: PublicKey) -> Result<Vec<Event>, Rejection> {
    let address = key.validator_address();
    if context.next_validators.by_address(&address).is_none() {
        return Err(Rejection::UnknownValidator(address));
    }
    let validators: Vec<Validator> =
        context.next_validators.iter().filter(|validator| validator.address != address).cloned().collect();
    context.next_validators =
        ValidatorSet::try_from(validators).map_err(|error| Rejection::BadValidatorSet(error.to_string()))?;
    Ok(vec![Event::ValidatorRemoved { key }])
}
