//! Ballots. An account answers with its own weight and with what others delegated to it. A delegator may answer for
//! itself, before or after its delegate, which removes its weight from its delegate's answer. An answer may be split,
//! and changed until the close.

use super::{Proposal, Scope, own_weight};
use crate::{
    ground::{
        apportion::apportion,
        ids::{AccountId, BasisPoints, Height, ProposalId},
        invalid::Invalid,
        state::{Family, Overlay, Record, StateError, StateRead},
    },
    rules::{
        account::Account,
        context::Context,
        control,
        delegation::{delegate_as_of, delegated_as_of},
        dormancy,
        event::Event,
        policy::Tally,
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// An answer to a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Choice {
    /// For.
    Yes,
    /// Against.
    No,
    /// Neither, but counted for the quorum.
    Abstain,
    /// Against, and for rejecting it even if most are for it, if the rule has such a right.
    Veto,
}

impl Choice {
    /// The answer's name, as in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BallotPart {
    /// The answer.
    pub choice: Choice,
    /// The part of the weight.
    pub part: BasisPoints,
}

/// One account's answer to one proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ballot {
    /// The account.
    pub account: AccountId,
    /// The answer, in parts that add up to the whole.
    pub parts: Vec<BallotPart>,
    /// The weight, including what was delegated to the account.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub weight: u64,
    /// The part of the weight that others delegated and have not used themselves.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub delegated: u64,
    /// The height at which the account cast or last changed it.
    pub height: Height,
}

impl Record for Ballot {
    type Key = (ProposalId, AccountId);
    const FAMILY: Family = Family::Ballot;
}

/// The weight that a delegate cannot answer with, because its delegators answered themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden(#[serde(deserialize_with = "crate::ground::ids::wide::deserialize")] pub u64);

impl Record for Overridden {
    type Key = (ProposalId, AccountId);
    const FAMILY: Family = Family::Overridden;
}

/// Answer a question, or change the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CastBallot {
    /// The proposal.
    pub proposal: ProposalId,
    /// The answer: each choice at most once, in parts that add up to the whole.
    pub parts: Vec<BallotPart>,
}

impl CastBallot {
    /// An answer that is not split.
    pub fn whole(proposal: ProposalId, choice: Choice) -> Self {
        Self { proposal, parts: vec![BallotPart { choice, part: BasisPoints::WHOLE }] }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let form = |problem: &str| Err(Invalid::Form { field: "parts", problem: problem.into() });
        let mut seen = std::collections::BTreeSet::new();
        if !self.parts.iter().all(|part| seen.insert(part.choice)) {
            return form("a choice is listed twice; add its parts up");
        }
        if self.parts.iter().any(|part| part.part.get() == 0) {
            return form("a part is 0 %; leave it out");
        }
        let sum = self.parts.iter().fold(0u32, |sum, part| sum.saturating_add(part.part.get().into()));
        if sum != u32::from(BasisPoints::WHOLE.get()) {
            return form("the parts do not add up to 100 %");
        }
        Ok(())
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: &Account,
    ) -> Result<Vec<Event>, Rejection> {
        let proposal = Proposal::open(state, context, self.proposal)?;
        if !proposal.suspended_vote {
            sender.require_not_suspended()?;
        }
        if let Scope::Model(model) = proposal.scope() {
            control::require(state, model, sender.id)?;
        }
        let Voice { own, delegated } = Voice::of(state, &proposal, sender);
        let weight = own.saturating_add(delegated);
        if weight == 0 {
            return Err(Rejection::NoWeight { account: sender.id, snapshot: proposal.snapshot });
        }
        let vetoes = self.parts.iter().any(|part| part.choice == Choice::Veto);
        if vetoes && proposal.rule.veto.is_none() {
            return Err(Rejection::NoVeto(self.proposal));
        }
        let key = (self.proposal, sender.id);
        let before = state.read::<Tally>(&self.proposal).unwrap_or_default();
        let mut tally = before;
        match state.read::<Ballot>(&key) {
            Some(ballot) => tally.take(&ballot),
            None => {
                tally.ballots = tally.ballots.saturating_add(1);
                if dormancy::was_dormant(state, proposal.scope(), sender.id, proposal.snapshot) {
                    tally.wake(own);
                }
                take_back_delegated(state, &mut tally, &proposal, sender.id, own);
            }
        }
        let ballot =
            Ballot { account: sender.id, parts: self.parts.clone(), weight, delegated, height: context.height };
        tally.put(&ballot);
        state.write(&key, &ballot);
        state.write(&self.proposal, &tally);
        let mut events =
            vec![Event::BallotCast { proposal: self.proposal, account: sender.id, parts: ballot.parts, weight }];
        events.extend(move_close(state, context, proposal, &before, &tally)?);
        Ok(events)
    }
}

/// The weight with which an account can answer a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Its own, as of the proposal's snapshot.
    pub own: u64,
    /// What others delegated to it and have not used themselves.
    pub delegated: u64,
}

impl Voice {
    fn of(state: &Overlay<'_>, proposal: &Proposal, account: &Account) -> Self {
        Self { own: own_weight(state, proposal, account), delegated: answerable(state, proposal, account.id) }
    }

    /// Whether it can answer at all.
    pub const fn is_heard(self) -> bool {
        self.own > 0 || self.delegated > 0
    }
}

/// The weight with which an account can answer a proposal, for use outside a block; whether ballots are accepted is
/// another question.
///
/// # Errors
/// When the state cannot be read.
pub fn voice(state: &dyn StateRead, proposal: &Proposal, account: &Account) -> Result<Voice, StateError> {
    let overlay = Overlay::new(state);
    let voice = Voice::of(&overlay, proposal, account);
    overlay.finish().map(|_| voice)
}

/// The part of the weight delegated to an account with which it can answer.
fn answerable(state: &Overlay<'_>, proposal: &Proposal, account: AccountId) -> u64 {
    let Scope::Model(model) = proposal.scope() else { return 0 };
    let given = delegated_as_of(state, model, account, proposal.snapshot).by(proposal.rule.electorate);
    let overridden = state.read::<Overridden>(&(proposal.id, account)).unwrap_or_default();
    given.saturating_sub(overridden.0)
}

/// Removes an account's own weight from what its delegate, if it had one, answers or has answered with.
fn take_back_delegated(state: &mut Overlay<'_>, tally: &mut Tally, proposal: &Proposal, account: AccountId, own: u64) {
    let Scope::Model(model) = proposal.scope() else { return };
    let Some(delegate) = delegate_as_of(state, model, account, proposal.snapshot).filter(|_| own > 0) else { return };
    let key = (proposal.id, delegate);
    let overridden = state.read::<Overridden>(&key).unwrap_or_default();
    state.write(&key, &Overridden(overridden.0.saturating_add(own)));
    if let Some(mut ballot) = state.read::<Ballot>(&key) {
        tally.take(&ballot);
        ballot.weight = ballot.weight.saturating_sub(own);
        ballot.delegated = ballot.delegated.saturating_sub(own);
        tally.put(&ballot);
        state.write(&key, &ballot);
    }
}

/// Moves the close, so that an answer that turns the outcome leaves the others time to change theirs, or so that nobody
/// waits for answers that change nothing.
///
/// Ballots are accepted for at least the rule's late extension after the outcome turned. If that would extend beyond
/// the last possible close, an answer that makes the proposal pass is refused, and one that keeps it from passing is
/// accepted.
fn move_close(
    state: &mut Overlay<'_>,
    context: &Context,
    mut proposal: Proposal,
    before: &Tally,
    after: &Tally,
) -> Result<Option<Event>, Rejection> {
    let rule = &proposal.rule;
    let mut is_changed = false;
    if rule.passes(before) != rule.passes(after) {
        let until = context.time.plus_ms(rule.late_extension_ms);
        if until <= proposal.last_close() {
            proposal.latest_close = proposal.latest_close.max(until);
        } else if rule.passes(after) {
            return Err(Rejection::TooLateToPass { proposal: proposal.id, last_close: proposal.last_close() });
        }
        proposal.turned_at = context.time;
        is_changed = true;
    }
    let rule = &proposal.rule;
    let early = rule.early_close_ms.filter(|_| rule.is_settled(after));
    let closes = early.map_or(proposal.latest_close, |early_ms| {
        let settled = proposal.opened_at.plus_ms(early_ms).max(proposal.turned_at.plus_ms(rule.late_extension_ms));
        settled.max(context.time).min(proposal.latest_close)
    });
    if closes != proposal.closes {
        proposal.move_close(state, closes);
        return Ok(Some(Event::CloseMoved { proposal: proposal.id, closes }));
    }
    if is_changed {
        state.write(&proposal.id, &proposal);
    }
    Ok(None)
}

impl Tally {
    /// Adds a ballot's weight, in its parts.
    fn put(&mut self, ballot: &Ballot) {
        self.each(ballot, u64::saturating_add);
    }

    /// Subtracts a ballot's weight again.
    fn take(&mut self, ballot: &Ballot) {
        self.each(ballot, u64::saturating_sub);
    }

    fn each(&mut self, ballot: &Ballot, change: impl Fn(u64, u64) -> u64) {
        self.delegated = change(self.delegated, ballot.delegated);
        let against = |part: &BallotPart| matches!(part.choice, Choice::No | Choice::Veto);
        let is_opposed = ballot.weight > ballot.delegated && ballot.parts.iter().all(against);
        self.opposed = change(self.opposed, u64::from(is_opposed));
        let parts: Vec<u64> = ballot.parts.iter().map(|part| part.part.get().into()).collect();
        for (part, weight) in ballot.parts.iter().zip(apportion(ballot.weight, &parts)) {
            let sum = match part.choice {
                Choice::Yes => &mut self.yes,
                Choice::No => &mut self.no,
                Choice::Abstain => &mut self.abstain,
                Choice::Veto => &mut self.veto,
            };
            *sum = change(*sum, weight);
        }
    }
}
