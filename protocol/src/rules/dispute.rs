//! Disputes: a challenge freezes some units of a line of a register, one version or one contribution, not the model,
//! until a ruling lifts or upholds it, or until its time is up.
//!
//! ```text
//! open ------- enough arbiters agree, once the respondent was heard -----------> ruled
//!   +--------- too few arbiters sit: a resolution of the owners ---------------> upheld | lifted
//!   +--------- the challenger withdraws before anybody has ruled --------------> withdrawn
//!   +--------- nobody rules in time -------------------------------------------> lapsed
//!
//! ruled ------ the losing party appeals, once ---------------------------------> appealed
//!   +--------- its timelock is over -------------------------------------------> upheld | lifted, as ruled
//!   +--------- its timelock is over, and it would take units that arbiters
//!              alone may not take ---------------------------------------------> appealed
//!
//! appealed --- a resolution of the owners -------------------------------------> upheld | lifted
//!   +--------- none in time ---------------------------------------------------> as ruled; lapsed, where arbiters alone
//!                                                                                may not take the units
//! ```
//!
//! - **Who rules**: of the arbiters that the policy named when the challenge was opened, the first that *sit*, as many as
//!   there are seats. To sit, they must have accepted the office, hold nothing of the model, not be parties and not be
//!   suspended. Stand-ins fill the gaps. How many must agree never falls; if too few sit, the owners decide ([`panel`]).
//! - **What takes units** also needs the owners, by the rule of ownership, over everybody's voice; or the agreement of
//!   every seat of the panel, if the policy says that arbiters may take units. Nobody loses its voice by being a party:
//!   otherwise a challenger of a large holder would decide over it ([`crate::rules::policy::Rule::both`]).
//! - **What a challenge costs**: units of the challenger's own are bound while it is open. A challenger that loses is
//!   barred from challenging in that model, twice as long each time, and the units stay bound as long ([`stake`]).
//! - Several accounts may challenge one thing, each on its own; it is frozen until the last challenge ends. Nobody
//!   challenges itself. The number of places is fixed: if all are taken, a challenger that binds more takes the place
//!   of the one that binds least, which loses nothing by that. So to shield a thing with sham challenges, one has to
//!   bind, for every place, as much as anybody else could bind.
//! - If a dispute is upheld, the disputed units are burned, the version is withdrawn, or the contribution is void
//!   ([`ending`]).
//! - An appeal of a contribution's giver ([`review`]) is settled in the same way, but the other way round: it freezes
//!   nothing and costs nothing, and if it is upheld the contribution counts.

pub mod ending;
pub mod panel;
pub mod stake;

pub use ending::{ResolveDispute, WithdrawDispute};
pub use panel::{AppealDispute, Panel, RuleDispute, Ruling, sitting};
pub use stake::{ChallengedInVain, Challenger};

use crate::{
    ground::{
        ids::{
            AccountId, ContentHash, ContributionId, DisputeId, Height, ModelId, ProposalId, Timestamp, Units,
            VersionLabel,
        },
        invalid::{Invalid, check_text},
        limits,
        state::{Family, KeyField, Overlay, Record},
    },
    rules::{
        account::Account,
        context::Context,
        contribution::{Contribution, review},
        due::{self, Due},
        event::Event,
        model::{self, Model, ModelCounters},
        policy::DisputeTerms,
        rejection::Rejection,
        round::reserve::{self, Cause},
        share::{self, Line},
    },
};
use serde::{Deserialize, Serialize};

/// What can be disputed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

impl DisputeTarget {
    /// Whether it is a giver's appeal, which challenges nobody.
    pub const fn is_appeal(&self) -> bool {
        matches!(self, Self::Appeal(_))
    }
}

/// The status of a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DisputeStatus {
    /// Its target is frozen; the respondent answers, then arbiters rule or the owners resolve.
    Open,
    /// Enough arbiters have agreed on a ruling, which has not taken effect.
    Ruled {
        /// Whether the challenge is right.
        upholds: bool,
        /// The height of the ruling.
        height: Height,
        /// The block time until which the losing party may appeal, and at which the ruling takes effect.
        stands: Timestamp,
    },
    /// A ruling is before the owners.
    Appealed {
        /// Whether the ruling says that the challenge is right.
        upholds: bool,
        /// The block time until which a resolution may be opened. One in progress then is waited for.
        until: Timestamp,
    },
    /// The challenge was right.
    Upheld {
        /// The height at which it ended.
        height: Height,
        /// The decision of the owners. `None` if the arbiters ruled.
        proposal: Option<ProposalId>,
    },
    /// The challenge was wrong.
    Lifted {
        /// The height at which it ended.
        height: Height,
        /// The decision of the owners. `None` if the arbiters ruled.
        proposal: Option<ProposalId>,
    },
    /// Nobody ruled in time, or a ruling that takes units was not confirmed by those who may take them: the target is
    /// free again.
    Lapsed {
        /// The height at which it ended.
        height: Height,
    },
    /// The challenger withdrew it.
    Withdrawn {
        /// The height at which it ended.
        height: Height,
    },
    /// Another challenge of the same thing was upheld.
    Moot {
        /// The height at which it ended.
        height: Height,
        /// The upheld challenge.
        upheld: DisputeId,
    },
    /// Another challenge, which binds more, took its place.
    Outbid {
        /// The height at which it ended.
        height: Height,
        /// The other challenge.
        by: DisputeId,
    },
}

impl DisputeStatus {
    /// The status's name.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Whether the dispute is over.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Open | Self::Ruled { .. } | Self::Appealed { .. })
    }
}

/// The statement of a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plea {
    /// The statement, in its own words.
    pub text: String,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
    /// The height of the statement.
    pub height: Height,
}

/// The appeal of a party, which takes a ruling to the owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DisputeAppeal {
    /// The party that the ruling goes against.
    pub party: AccountId,
    /// The party's reasons.
    pub text: String,
    /// The height of the appeal.
    pub height: Height,
}

/// A challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dispute {
    /// Its id.
    pub id: DisputeId,
    /// The model it is about.
    pub model: ModelId,
    /// Its number among the model's disputes, from 0.
    pub number: u64,
    /// What is challenged.
    pub target: DisputeTarget,
    /// Number of challenged units of a line; 0 for other targets.
    pub units: Units,
    /// The challenging account.
    pub challenger: AccountId,
    /// The account that the challenge is against: the holder, the publisher, the giver.
    pub respondent: AccountId,
    /// The challenger's statement.
    pub claim: Plea,
    /// The respondent's answer.
    pub answer: Option<Plea>,
    /// The block time until which nobody rules, unless the respondent answers earlier.
    pub answer_until: Timestamp,
    /// Who can rule on it. `None` if the policy named no arbiters.
    pub panel: Option<Panel>,
    /// The rulings of arbiters so far.
    pub rulings: Vec<Ruling>,
    /// The block time at which it lapses if nobody ruled, and after which no resolution of it may be opened.
    pub lapses: Timestamp,
    /// The terms, as they were at opening.
    pub terms: DisputeTerms,
    /// Number of the challenger's own units that are bound while it is open.
    pub bond: Units,
    /// The appeal that brought it before the owners. `None` if no party appealed.
    pub appeal: Option<DisputeAppeal>,
    /// Number of resolutions of the owners that are open or queued.
    pub resolutions: u32,
    /// Its status.
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

/// The disputes by which a thing is frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Frozen {
    /// Those that are not over, oldest first.
    pub disputes: Vec<DisputeId>,
    /// Total units of a line in these disputes; 0 for other targets.
    pub units: Units,
    /// The dispute that settled it for good: a contribution that it was upheld against stays void, and an appeal that
    /// it decided cannot be made again.
    pub settled: Option<DisputeId>,
}

impl Record for Frozen {
    type Key = DisputeTarget;
    const FAMILY: Family = Family::Frozen;
}

impl Frozen {
    pub(crate) fn of(state: &Overlay<'_>, target: &DisputeTarget) -> Self {
        state.read::<Self>(target).unwrap_or_default()
    }

    /// The dispute to name when somebody asks why it is frozen.
    pub fn first(&self) -> Option<DisputeId> {
        self.settled.or_else(|| self.disputes.first().copied())
    }

    fn write(&self, state: &mut Overlay<'_>, target: &DisputeTarget) {
        match self.first() {
            None => state.remove::<Self>(target),
            Some(_) => state.write(target, self),
        }
    }
}

/// Refuses what is frozen.
pub(crate) fn require_unfrozen(state: &Overlay<'_>, target: &DisputeTarget) -> Result<(), Rejection> {
    Frozen::of(state, target).first().map_or(Ok(()), |dispute| Err(Rejection::Frozen(dispute)))
}

/// Refuses a contribution that a dispute was upheld against.
pub(crate) fn require_not_void(state: &Overlay<'_>, id: ContributionId) -> Result<(), Rejection> {
    Frozen::of(state, &DisputeTarget::Contribution(id)).settled.map_or(Ok(()), |upheld| Err(Rejection::Frozen(upheld)))
}

/// Refuses to let units leave a line if the disputed ones would not remain on it.
pub(crate) fn require_undisputed(state: &Overlay<'_>, line: Line, units: Units) -> Result<(), Rejection> {
    let Line { model, account } = line;
    let frozen = Frozen::of(state, &DisputeTarget::Line { model, account });
    let left = share::balance(state, model, account).get().saturating_sub(units.get());
    match frozen.first() {
        Some(dispute) if left < frozen.units.get() => Err(Rejection::Frozen(dispute)),
        _ => Ok(()),
    }
}

/// The units of a line that disputes are about.
pub(crate) fn disputed_units(state: &Overlay<'_>, model: ModelId, account: AccountId) -> Units {
    Frozen::of(state, &DisputeTarget::Line { model, account }).units
}

impl Dispute {
    /// The dispute, if it is not over.
    fn pending(state: &Overlay<'_>, id: DisputeId) -> Result<Self, Rejection> {
        let dispute = state.read::<Self>(&id).ok_or(Rejection::UnknownDispute(id))?;
        if dispute.status.is_final() {
            return Err(dispute.over());
        }
        Ok(dispute)
    }

    fn over(&self) -> Rejection {
        Rejection::DisputeOver { dispute: self.id, status: self.status.name().into() }
    }

    /// The parties, which do not rule on it.
    pub(crate) const fn parties(&self) -> [AccountId; 2] {
        [self.challenger, self.respondent]
    }

    /// Checks that the respondent has answered, or has had the time to.
    fn require_heard(&self, time: Timestamp) -> Result<(), Rejection> {
        if self.answer.is_some() || time >= self.answer_until {
            return Ok(());
        }
        Err(Rejection::NotHeard { dispute: self.id, until: self.answer_until })
    }

    /// When the ledger continues it by itself, unless a resolution is in progress then.
    pub const fn falls_due(&self) -> Timestamp {
        match self.status {
            DisputeStatus::Ruled { stands, .. } => stands,
            DisputeStatus::Appealed { until, .. } => until,
            DisputeStatus::Open
            | DisputeStatus::Upheld { .. }
            | DisputeStatus::Lifted { .. }
            | DisputeStatus::Lapsed { .. }
            | DisputeStatus::Withdrawn { .. }
            | DisputeStatus::Moot { .. }
            | DisputeStatus::Outbid { .. } => self.lapses,
        }
    }

    /// Whether it is about units that an account holds.
    const fn is_about_units(&self) -> bool {
        matches!(self.target, DisputeTarget::Line { .. })
    }

    /// Changes its status, and its entry on the agenda.
    fn advance(&mut self, state: &mut Overlay<'_>, status: DisputeStatus) {
        due::clear(state, self.falls_due(), Due::Dispute(self.model, self.id));
        self.status = status;
        if !self.status.is_final() {
            due::set(state, self.falls_due(), Due::Dispute(self.model, self.id));
        }
        state.write(&self.id, self);
    }
}

/// Challenge a line, a version or a contribution, which freezes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenDispute {
    /// The thing to challenge.
    pub target: DisputeTarget,
    /// Number of challenged units of a line; 0 for other targets.
    pub units: Units,
    /// The reasons.
    pub text: String,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
    /// Number of the challenger's own units to bind if the policy requires fewer; 0 for an appeal, which binds nothing.
    pub bond: Units,
}

impl OpenDispute {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let is_line = matches!(self.target, DisputeTarget::Line { .. });
        if is_line != (self.units > Units::ZERO) {
            let problem = "are the disputed units of a line, at least 1, and 0 for any other target".into();
            return Err(Invalid::Form { field: "units", problem });
        }
        if self.target.is_appeal() && self.bond > Units::ZERO {
            let problem = "is 0 for an appeal, which binds nothing".into();
            return Err(Invalid::Form { field: "bond", problem });
        }
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        mut sender: Account,
    ) -> Result<Vec<Event>, Rejection> {
        let (id, respondent) = self.subject(state, context, sender.id)?;
        let model = Model::existing(state, id)?;
        let mut frozen = self.require_challengeable(state, sender.id, respondent)?;
        if sender.open_disputes >= limits::OPEN_DISPUTES_PER_ACCOUNT {
            return Err(Rejection::TooManyDisputes(sender.id));
        }
        let terms = model.policy.dispute_terms;
        let bond = if self.target.is_appeal() {
            Units::ZERO
        } else {
            stake::bind(
                state,
                context,
                Line { model: id, account: sender.id },
                &self.target,
                terms.bond_for(self.units).max(self.bond),
            )?
        };
        let outbid = ending::make_place(state, context, &mut frozen, bond)?;
        hold_in_round(state, context, &self.target, frozen.disputes.is_empty())?;
        let mut counters = state.read::<ModelCounters>(&id).unwrap_or_default();
        let answer_until = context.time.plus_ms(terms.answer_ms);
        let dispute = Dispute {
            id: context.dispute_id(),
            model: id,
            number: counters.disputes,
            target: self.target.clone(),
            units: self.units,
            challenger: sender.id,
            respondent,
            claim: Plea { text: self.text.clone(), evidence: self.evidence, height: context.height },
            answer: None,
            answer_until,
            panel: Panel::of(&model.policy),
            rulings: Vec::new(),
            lapses: answer_until.plus_ms(limits::DISPUTE_MS),
            terms,
            bond,
            appeal: None,
            resolutions: 0,
            status: DisputeStatus::Open,
        };
        counters.disputes = counters.disputes.saturating_add(1);
        state.write(&id, &counters);
        sender.open_disputes = sender.open_disputes.saturating_add(1);
        state.write(&sender.id, &sender);
        frozen.disputes.push(dispute.id);
        frozen.units = Units::new(frozen.units.get().saturating_add(self.units.get()));
        frozen.write(state, &self.target);
        state.write(&(id, dispute.number), &DisputeOf(dispute.id));
        due::set(state, dispute.lapses, Due::Dispute(id, dispute.id));
        state.write(&dispute.id, &dispute);
        let opened = Event::DisputeOpened { model: id, dispute: dispute.id, challenger: sender.id, respondent };
        Ok([opened].into_iter().chain(outbid).collect())
    }

    /// The model it is about, and the respondent, if the sender may challenge it: anybody in the model may challenge,
    /// and only the giver may appeal.
    fn subject(
        &self,
        state: &Overlay<'_>,
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

    fn challenged(&self, state: &Overlay<'_>) -> Result<(ModelId, AccountId), Rejection> {
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

    /// What the target is already frozen by, if this sender may challenge it too.
    fn require_challengeable(
        &self,
        state: &Overlay<'_>,
        sender: AccountId,
        respondent: AccountId,
    ) -> Result<Frozen, Rejection> {
        if sender == respondent && !self.target.is_appeal() {
            return Err(Rejection::OwnDispute(sender));
        }
        let frozen = Frozen::of(state, &self.target);
        if let Some(settled) = frozen.settled {
            return Err(Rejection::Frozen(settled));
        }
        let is_own = |id: &DisputeId| state.read::<Dispute>(id).is_some_and(|other| other.challenger == sender);
        if let Some(own) = frozen.disputes.iter().find(|id| is_own(id)) {
            return Err(Rejection::ChallengedAlready(*own));
        }
        Ok(frozen)
    }
}

/// Holds what comes into dispute in a round, which must still be open.
fn hold_in_round(
    state: &mut Overlay<'_>,
    context: &Context,
    target: &DisputeTarget,
    is_first: bool,
) -> Result<(), Rejection> {
    let (DisputeTarget::Contribution(id) | DisputeTarget::Appeal(id)) = target else { return Ok(()) };
    let contribution = Contribution::existing(state, *id)?;
    contribution.open_round(state, context)?;
    if target.is_appeal() {
        return reserve::hold(state, context, &contribution, Cause::Appeal);
    }
    if contribution.accepted.is_some() && is_first {
        reserve::hold(state, context, &contribution, Cause::Challenge)?;
    }
    Ok(())
}

/// Answer a challenge, as its respondent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerDispute {
    /// The dispute.
    pub dispute: DisputeId,
    /// The answer; it replaces an earlier one.
    pub text: String,
    /// The hash of the evidence.
    pub evidence: Option<ContentHash>,
}

impl AnswerDispute {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("text", &self.text, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let mut dispute = Dispute::pending(state, self.dispute)?;
        if dispute.respondent != sender {
            return Err(Rejection::NotRespondent(dispute.respondent));
        }
        dispute.answer = Some(Plea { text: self.text.clone(), evidence: self.evidence, height: context.height });
        state.write(&self.dispute, &dispute);
        Ok(vec![Event::DisputeAnswered { model: dispute.model, dispute: self.dispute }])
    }
}
