//! Disputes: a challenge freezes one line of a register, one version or one contribution, not the model, until a
//! ruling lifts or upholds it, or until its time is up.
//!
//! The arbiters that the model's policy names rule, those of them who are no parties; without such the owners decide,
//! less the parties. While a thing is
//! frozen: units of the line do not leave it, the version is not released, the contribution does not count. Upheld,
//! the disputed units are burned, the version is withdrawn, the contribution is void. An appeal goes the other way: it
//! freezes nothing, and upheld the contribution counts.

use crate::{
    account::Account,
    contribution::{Contribution, review},
    due::{self, Due},
    event::Event,
    execute::Context,
    ids::{
        AccountId, ContentHash, ContributionId, DisputeId, Height, ModelId, ProposalId, Timestamp, Units, VersionLabel,
    },
    limits,
    model::{self, Model, ModelCounters},
    office::{self, Office},
    policy::Arbiters,
    rejection::Rejection,
    round,
    share::{self, ShareReason},
    state::{Family, KeyField, Overlay, Record, StateRead},
    transaction::{Invalid, check_text},
};
use serde::{Deserialize, Serialize};

/// What can be disputed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeTarget {
    /// A holder's line of a model's register.
    Line {
        /// The model.
        model: ModelId,
        /// The holder.
        account: AccountId,
    },
    /// A version of a model.
    Version {
        /// The model.
        model: ModelId,
        /// The version's label.
        label: VersionLabel,
    },
    /// A contribution.
    Contribution(ContributionId),
    /// That a contribution was declined, or not countersigned: its giver's appeal, see [`review`].
    Appeal(ContributionId),
}

impl KeyField for DisputeTarget {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Line { model, account } => {
                key.push(0);
                (*model, *account).write(key);
            }
            Self::Version { model, label } => {
                key.push(1);
                (*model, label.clone()).write(key);
            }
            Self::Contribution(id) => {
                key.push(2);
                id.write(key);
            }
            Self::Appeal(id) => {
                key.push(3);
                id.write(key);
            }
        }
    }
}

/// How a dispute stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// Its target is frozen.
    Open,
    /// The challenge was right.
    Upheld {
        /// When.
        height: Height,
        /// By which decision of the owners; none if the arbiters ruled.
        proposal: Option<ProposalId>,
    },
    /// The challenge was wrong, or was taken back.
    Lifted {
        /// When.
        height: Height,
        /// By which decision of the owners; none if the arbiters ruled, or the challenger took it back.
        proposal: Option<ProposalId>,
    },
    /// Nobody ruled in time: the target is free again.
    Lapsed {
        /// When.
        height: Height,
    },
}

impl DisputeStatus {
    /// The status's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Upheld { .. } => "upheld",
            Self::Lifted { .. } => "lifted",
            Self::Lapsed { .. } => "lapsed",
        }
    }
}

/// What a party says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plea {
    /// In its words.
    pub text: String,
    /// The hash of what shows it.
    pub evidence: Option<ContentHash>,
    /// When.
    pub height: Height,
}

/// One arbiter's ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Who.
    pub arbiter: AccountId,
    /// Whether the challenge is right.
    pub upholds: bool,
}

/// A challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Its id.
    pub id: DisputeId,
    /// The model it is about.
    pub model: ModelId,
    /// Its number among the model's disputes, from 0.
    pub number: u64,
    /// What is challenged.
    pub target: DisputeTarget,
    /// Units of a line that are challenged; 0 for other targets.
    pub units: Units,
    /// Who challenges.
    pub challenger: AccountId,
    /// Whom it is against: the holder, the publisher, the giver.
    pub respondent: AccountId,
    /// What the challenger says.
    pub claim: Plea,
    /// What the respondent says to it.
    pub answer: Option<Plea>,
    /// What arbiters have ruled so far.
    pub rulings: Vec<Ruling>,
    /// The block time at which it lapses.
    pub lapses: Timestamp,
    /// How it stands.
    pub status: DisputeStatus,
}

impl Record for Dispute {
    type Key = DisputeId;
    const FAMILY: Family = Family::Dispute;
}

/// A dispute of a model, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeOf(pub DisputeId);

impl Record for DisputeOf {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::DisputeOf;
}

/// By which dispute a thing is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen(pub DisputeId);

impl Record for Frozen {
    type Key = DisputeTarget;
    const FAMILY: Family = Family::Frozen;
}

/// Refuses what is frozen.
pub(crate) fn require_unfrozen<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    target: DisputeTarget,
) -> Result<(), Rejection> {
    match state.read::<Frozen>(&target) {
        Some(Frozen(dispute)) => Err(Rejection::Frozen(dispute)),
        None => Ok(()),
    }
}

impl Dispute {
    /// The dispute, if it is open.
    fn open<S: StateRead + ?Sized>(state: &Overlay<'_, S>, id: DisputeId) -> Result<Self, Rejection> {
        let dispute = state.read::<Self>(&id).ok_or(Rejection::UnknownDispute(id))?;
        if dispute.status != DisputeStatus::Open {
            return Err(Rejection::DisputeOver { dispute: id, status: dispute.status.name().into() });
        }
        Ok(dispute)
    }

    /// The arbiters who accepted, are no parties, and declined nothing that is appealed. None if they are fewer than must
    /// agree, or the policy names none: then the owners decide. How many must agree never falls, or a few of a panel
    /// could settle what is for more.
    fn arbiters<S: StateRead + ?Sized>(&self, state: &Overlay<'_, S>, model: &Model) -> Option<Arbiters> {
        let mut arbiters = model.policy.arbiters.clone()?;
        let appealed = match self.target {
            DisputeTarget::Appeal(id) => Contribution::existing(state, id).ok(),
            _ => None,
        };
        let declined =
            |account| appealed.iter().flat_map(|appealed| &appealed.declined).any(|decline| decline.steward == account);
        let office = Office::Arbiter(model.id);
        arbiters.accounts.retain(|account| {
            !self.parties().contains(account) && !declined(*account) && office::holds(state, &office, *account)
        });
        let left = u32::try_from(arbiters.accounts.len()).unwrap_or(u32::MAX);
        (left >= arbiters.needed).then_some(arbiters)
    }

    /// Those who have no voice in it.
    pub(crate) const fn parties(&self) -> [AccountId; 2] {
        [self.challenger, self.respondent]
    }
}

/// Challenge a line, a version or a contribution, which freezes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDispute {
    /// What.
    pub target: DisputeTarget,
    /// How many units of a line; 0 for other targets.
    pub units: Units,
    /// Why.
    pub text: String,
    /// The hash of what shows it.
    pub evidence: Option<ContentHash>,
}

impl OpenDispute {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let is_line = matches!(self.target, DisputeTarget::Line { .. });
        if is_line != (self.units > Units::ZERO) {
            let problem = "are the disputed units of a line, at least 1, and 0 for any other target".into();
            return Err(Invalid::Form { field: "units", problem });
        }
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        mut sender: Account,
    ) -> Result<Vec<Event>, Rejection> {
        let (model, respondent) = self.subject(state, context, sender.id)?;
        require_unfrozen(state, self.target.clone())?;
        if sender.open_disputes >= limits::OPEN_DISPUTES_PER_ACCOUNT {
            return Err(Rejection::TooManyDisputes(sender.id));
        }
        if let DisputeTarget::Contribution(id) = self.target {
            suspend_contribution(state, context, id)?;
        }
        let mut counters = state.read::<ModelCounters>(&model).unwrap_or_default();
        let dispute = Dispute {
            id: context.dispute_id(),
            model,
            number: counters.disputes,
            target: self.target.clone(),
            units: self.units,
            challenger: sender.id,
            respondent,
            claim: Plea { text: self.text.clone(), evidence: self.evidence, height: context.height },
            answer: None,
            rulings: Vec::new(),
            lapses: context.time.plus_ms(limits::DISPUTE_MS),
            status: DisputeStatus::Open,
        };
        counters.disputes = counters.disputes.saturating_add(1);
        state.write(&model, &counters);
        sender.open_disputes = sender.open_disputes.saturating_add(1);
        state.write(&sender.id, &sender);
        state.write(&self.target, &Frozen(dispute.id));
        state.write(&(model, dispute.number), &DisputeOf(dispute.id));
        due::set(state, dispute.lapses, Due::Dispute(dispute.id));
        state.write(&dispute.id, &dispute);
        Ok(vec![Event::DisputeOpened { model, dispute: dispute.id, challenger: sender.id, respondent }])
    }

    /// The model it is about, and whom it is against, if the sender may challenge it: anybody of the model may, and the
    /// giver alone may appeal.
    fn subject<S: StateRead + ?Sized>(
        &self,
        state: &Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<(ModelId, AccountId), Rejection> {
        if let DisputeTarget::Appeal(id) = self.target {
            let contribution = Contribution::existing(state, id)?;
            let against = review::require_appealable(state, context, &contribution, sender)?;
            return Ok((contribution.model, against));
        }
        let (model, against) = self.challenged(state)?;
        Model::existing(state, model)?.require_own(state, sender)?;
        Ok((model, against))
    }

    fn challenged<S: StateRead + ?Sized>(&self, state: &Overlay<'_, S>) -> Result<(ModelId, AccountId), Rejection> {
        match &self.target {
            DisputeTarget::Line { model, account } => {
                let held = share::balance(state, *model, *account);
                if self.units > held {
                    let (account, model, asked) = (*account, *model, self.units);
                    return Err(Rejection::NotEnoughShares { account, model, held, asked });
                }
                Ok((*model, *account))
            }
            DisputeTarget::Version { model, label } => {
                Ok((*model, model::existing_version(state, *model, label)?.publisher))
            }
            DisputeTarget::Contribution(id) | DisputeTarget::Appeal(id) => {
                let contribution = Contribution::existing(state, *id)?;
                Ok((contribution.model, contribution.giver))
            }
        }
    }
}

/// A challenged contribution does not count in its round, which must still be open.
fn suspend_contribution<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    id: ContributionId,
) -> Result<(), Rejection> {
    let contribution = Contribution::existing(state, id)?;
    if contribution.accepted.is_some() {
        round::count(state, context, &contribution, false)?;
    } else if let Some(number) = contribution.round {
        round::Round::existing(state, contribution.model, number)?.require_open(context.time)?;
    }
    Ok(())
}

/// Answer a challenge, as the one it is against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerDispute {
    /// Which.
    pub dispute: DisputeId,
    /// The answer; it replaces an earlier one.
    pub text: String,
    /// The hash of what shows it.
    pub evidence: Option<ContentHash>,
}

impl AnswerDispute {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut dispute = Dispute::open(state, self.dispute)?;
        if dispute.respondent != sender {
            return Err(Rejection::NotRespondent(dispute.respondent));
        }
        dispute.answer = Some(Plea { text: self.text.clone(), evidence: self.evidence, height: context.height });
        state.write(&self.dispute, &dispute);
        Ok(vec![Event::DisputeAnswered { model: dispute.model, dispute: self.dispute }])
    }
}

/// Rule on a challenge, as one of the arbiters; a later ruling replaces an earlier one. The challenger may take it back
/// by ruling against itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDispute {
    /// Which.
    pub dispute: DisputeId,
    /// Whether the challenge is right.
    pub upholds: bool,
}

impl RuleDispute {
    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut dispute = Dispute::open(state, self.dispute)?;
        if sender == dispute.challenger && !self.upholds {
            return end(state, context, dispute, (false, None));
        }
        let arbiters = dispute.arbiters(state, &Model::existing(state, dispute.model)?);
        let arbiters = arbiters.filter(|arbiters| arbiters.accounts.contains(&sender));
        let arbiters = arbiters.ok_or(Rejection::NotArbiter { account: sender, dispute: self.dispute })?;
        dispute.rulings.retain(|ruling| ruling.arbiter != sender);
        dispute.rulings.push(Ruling { arbiter: sender, upholds: self.upholds });
        let agree = dispute.rulings.iter().filter(|ruling| {
            // Only those who are arbiters now count.
            ruling.upholds == self.upholds && arbiters.accounts.contains(&ruling.arbiter)
        });
        if u32::try_from(agree.count()).unwrap_or(u32::MAX) >= arbiters.needed {
            return end(state, context, dispute, (self.upholds, None));
        }
        state.write(&self.dispute, &dispute);
        Ok(vec![Event::DisputeRuled {
            model: dispute.model,
            dispute: self.dispute,
            arbiter: sender,
            upholds: self.upholds,
        }])
    }
}

/// Ends a dispute, as the owners decided.
pub(crate) fn resolve<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    model: &Model,
    (id, upholds, proposal): (DisputeId, bool, ProposalId),
) -> Result<Vec<Event>, Rejection> {
    // Whose it is was settled when the owners were asked: an arbiter who accepts at the last moment voids nothing.
    let dispute = open_of(state, model, id)?;
    end(state, context, dispute, (upholds, Some(proposal)))
}

/// An open dispute that is for a model's owners to decide.
pub(crate) fn open_for_owners<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    model: &Model,
    id: DisputeId,
) -> Result<Dispute, Rejection> {
    let dispute = open_of(state, model, id)?;
    if dispute.arbiters(state, model).is_some() {
        return Err(Rejection::ForArbiters(id));
    }
    Ok(dispute)
}

/// An open dispute of a model.
fn open_of<S: StateRead + ?Sized>(state: &Overlay<'_, S>, model: &Model, id: DisputeId) -> Result<Dispute, Rejection> {
    let dispute = Dispute::open(state, id)?;
    if dispute.model == model.id { Ok(dispute) } else { Err(Rejection::UnknownDispute(id)) }
}

/// A dispute's time is up.
pub(crate) fn lapse<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, context: &Context, id: DisputeId) -> Vec<Event> {
    let Ok(dispute) = Dispute::open(state, id) else { return Vec::new() };
    thaw(state, context, &dispute);
    vec![settle(state, dispute, DisputeStatus::Lapsed { height: context.height })]
}

fn end<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    dispute: Dispute,
    (upholds, proposal): (bool, Option<ProposalId>),
) -> Result<Vec<Event>, Rejection> {
    let height = context.height;
    if !upholds {
        if !matches!(dispute.target, DisputeTarget::Appeal(_)) {
            thaw(state, context, &dispute);
        }
        return Ok(vec![settle(state, dispute, DisputeStatus::Lifted { height, proposal })]);
    }
    let mut events = Vec::new();
    match &dispute.target {
        DisputeTarget::Line { model, account } => {
            let held = share::balance(state, *model, *account);
            let burned = dispute.units.min(held);
            let reason = ShareReason::BurnedByDispute { dispute: dispute.id };
            events.push(share::seize(state, context, (*model, *account), burned, reason)?);
        }
        DisputeTarget::Version { model, label } => {
            events.extend(model::withdraw_disputed(state, context, (*model, label), dispute.id)?);
        }
        // It does not count since the challenge, and stays so.
        DisputeTarget::Contribution(_) => {}
        DisputeTarget::Appeal(id) => review::uphold_appeal(state, context, *id)?,
    }
    // What is void stays so, and an appeal is judged once.
    let keeps_frozen = matches!(dispute.target, DisputeTarget::Contribution(_) | DisputeTarget::Appeal(_));
    if !keeps_frozen {
        state.remove::<Frozen>(&dispute.target);
    }
    events.push(settle(state, dispute, DisputeStatus::Upheld { height, proposal }));
    Ok(events)
}

/// Frees a target; a countersigned contribution counts again if its round is still open.
fn thaw<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, context: &Context, dispute: &Dispute) {
    state.remove::<Frozen>(&dispute.target);
    let DisputeTarget::Contribution(id) = dispute.target else { return };
    if let Ok(contribution) = Contribution::existing(state, id)
        && contribution.accepted.is_some()
    {
        // A round that closed meanwhile has minted without it.
        let _ = round::count(state, context, &contribution, true);
    }
}

fn settle<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, mut dispute: Dispute, status: DisputeStatus) -> Event {
    due::clear(state, dispute.lapses, Due::Dispute(dispute.id));
    if let Some(mut challenger) = state.read::<Account>(&dispute.challenger) {
        challenger.open_disputes = challenger.open_disputes.saturating_sub(1);
        state.write(&challenger.id, &challenger);
    }
    dispute.status = status.clone();
    state.write(&dispute.id, &dispute);
    Event::DisputeEnded { model: dispute.model, dispute: dispute.id, status }
}
