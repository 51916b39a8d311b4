//! Emergency stops: accounts that a model's policy names can suspend a version at once, with a reason, for a bounded
//! time in which the owners confirm or lift the suspension. If they do neither, it lapses, for everybody to see.
//!
//! A suspended version cannot be released, is not served to strangers, and is marked as suspended wherever it appears.
//! It keeps its status: when the suspension ends, it is as it was before.
//!
//! A stop is not a veto. One account stops one version [`limits::EMERGENCY_STOPS`] times at the most, each long after the
//! one before ended ([`limits::EMERGENCY_REST_MS`]), and has [`limits::EMERGENCY_STOPS_AT_ONCE`] stops of one model
//! running at a time, so that one decision of the owners can lift them all. What the owners decide
//! ([`SuspendVersion`], [`LiftSuspension`], withdrawing the version) ends a stop; only they suspend without a term.

use crate::{
    ground::{
        ids::{AccountId, Height, ModelId, ProposalId, Timestamp, VersionLabel},
        invalid::{Invalid, check_said, check_text},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        context::Context,
        due::{self, Due},
        event::Event,
        model::{Model, ModelCounters, Version, VersionStatus, existing_version, wrong_status},
        proposal::Proposal,
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// What suspended a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SuspendedBy {
    /// An emergency stop.
    Stop {
        /// Its number among the model's stops.
        number: u64,
        /// The account that stopped it.
        account: AccountId,
        /// The block time at which it lapses.
        until: Timestamp,
    },
    /// A decision of the owners, until they lift it.
    Decision(ProposalId),
}

/// The suspension of a version, which must not be used meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = VersionSuspension))]
pub struct Suspension {
    /// What suspended it.
    pub by: SuspendedBy,
    /// The reason.
    pub reason: String,
    /// The height of the suspension.
    pub height: Height,
}

impl Suspension {
    /// The block time at which it ends by itself. `None` if only the owners can lift it.
    pub const fn until(&self) -> Option<Timestamp> {
        match self.by {
            SuspendedBy::Stop { until, .. } => Some(until),
            SuspendedBy::Decision(_) => None,
        }
    }
}

/// How an emergency stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopEnd {
    /// The owners decided nothing in time.
    Lapsed,
    /// The account withdrew it.
    TakenBack,
    /// The owners lifted it.
    Lifted(ProposalId),
    /// The owners suspend the version until they lift it.
    Confirmed(ProposalId),
    /// The version was withdrawn: by a decision, or, if `None`, because a dispute about it was upheld.
    Withdrawn(Option<ProposalId>),
}

/// An emergency stop, kept for ever: who stopped what, and what the owners decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionStop {
    /// The model.
    pub model: ModelId,
    /// Its number among the model's stops, from 0.
    pub number: u64,
    /// The version's label.
    pub label: VersionLabel,
    /// The account that stopped it.
    pub account: AccountId,
    /// The reason.
    pub reason: String,
    /// The height of the stop.
    pub height: Height,
    /// The block time at which it lapses.
    pub until: Timestamp,
    /// How it ended, and at which height: a list of these two. `None` while it is in force.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<Value>>))]
    pub ended: Option<(StopEnd, Height)>,
}

impl Record for VersionStop {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::VersionStop;
}

/// How often an account stopped a version, and until when its last stop was in force or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopUse {
    /// Number of stops.
    pub stops: u32,
    /// The block time at which the last one was to lapse; lifting it earlier does not change that.
    pub until: Timestamp,
}

impl Record for StopUse {
    type Key = (ModelId, (VersionLabel, AccountId));
    const FAMILY: Family = Family::StopUse;
}

/// Number of stops of an account in force in a model; absent if zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopsRunning(pub u32);

impl Record for StopsRunning {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::StopsRunning;
}

/// Suspend a version at once, as an account that the model's policy names for emergencies, or withdraw such a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StopVersion {
    /// The model.
    pub model: ModelId,
    /// The version's label.
    pub label: VersionLabel,
    /// Whether to suspend it; otherwise the sender withdraws its own stop.
    pub stops: bool,
    /// The reason, for everybody who comes across the version; not blank.
    pub reason: String,
}

impl StopVersion {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_reason(&self.reason)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let model = Model::existing(state, self.model)?;
        let version = existing_version(state, self.model, &self.label)?;
        if self.stops {
            self.stop(state, context, &model, version, sender)
        } else {
            take_back(state, context, version, sender)
        }
    }

    fn stop(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        mut version: Version,
        account: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let for_ms = may_stop(model, account).ok_or(Rejection::MayNotStop { account, model: model.id })?;
        require_not_suspended(&version, context.time)?;
        // A stop whose time is over makes room.
        end_stop(state, context, &mut version, StopEnd::Lapsed);
        if matches!(version.status, VersionStatus::Withdrawn { .. }) {
            return Err(wrong_status(version));
        }
        let until = context.time.plus_ms(for_ms);
        count_stop(state, context, &version, account, until)?;
        let mut counters = state.read::<ModelCounters>(&model.id).unwrap_or_default();
        let stop = VersionStop {
            model: model.id,
            number: counters.stops,
            label: self.label.clone(),
            account,
            reason: self.reason.clone(),
            height: context.height,
            until,
            ended: None,
        };
        counters.stops = counters.stops.saturating_add(1);
        state.write(&model.id, &counters);
        let by = SuspendedBy::Stop { number: stop.number, account, until };
        due::set(state, until, Due::Stop { model: model.id, number: stop.number });
        state.write(&(model.id, stop.number), &stop);
        Ok(vec![set(state, context, version, by, &self.reason)])
    }
}

/// Checks that a reason is not blank and has at most [`limits::TITLE_SIZE_BYTES`].
fn check_reason(reason: &str) -> Result<(), Invalid> {
    check_said("reason", reason, "is blank; say why, for everyone who meets the version")?;
    check_text("reason", reason, limits::TITLE_SIZE_BYTES)
}

/// How long a stop by this account lasts, in milliseconds. `None` if it may not stop versions of the model.
fn may_stop(model: &Model, account: AccountId) -> Option<u64> {
    let emergency = model.policy.emergency.as_ref()?;
    emergency.accounts.contains(&account).then_some(emergency.for_ms)
}

/// Counts a stop, unless the account has used up its number of them.
fn count_stop(
    state: &mut Overlay<'_>,
    context: &Context,
    version: &Version,
    account: AccountId,
    until: Timestamp,
) -> Result<(), Rejection> {
    let key = (version.model, (version.label.clone(), account));
    let label = version.label.clone();
    let before = state.read::<StopUse>(&key);
    if let Some(before) = before {
        if before.stops >= limits::EMERGENCY_STOPS {
            return Err(Rejection::StopsUsedUp { account, label });
        }
        let from = before.until.plus_ms(limits::EMERGENCY_REST_MS);
        if context.time < from {
            return Err(Rejection::StoppedBefore { account, label, from });
        }
    }
    let running = state.read::<StopsRunning>(&(version.model, account)).map_or(0, |running| running.0);
    if running >= limits::EMERGENCY_STOPS_AT_ONCE {
        return Err(Rejection::TooManyStops { account, model: version.model });
    }
    state.write(&(version.model, account), &StopsRunning(running.saturating_add(1)));
    let stops = before.map_or(0, |before| before.stops).saturating_add(1);
    state.write(&key, &StopUse { stops, until });
    Ok(())
}

/// Refuses what must not be done with a suspended version. A stop whose time is over no longer counts, removed or not.
pub(crate) fn require_not_suspended(version: &Version, time: Timestamp) -> Result<(), Rejection> {
    match &version.suspended {
        None => Ok(()),
        Some(suspension) if suspension.until().is_some_and(|until| until <= time) => Ok(()),
        Some(suspension) => Err(Rejection::VersionSuspended {
            model: version.model,
            label: version.label.clone(),
            until: suspension.until(),
        }),
    }
}

fn take_back(
    state: &mut Overlay<'_>,
    context: &Context,
    version: Version,
    account: AccountId,
) -> Result<Vec<Event>, Rejection> {
    match version.suspended.as_ref().map(|suspension| suspension.by) {
        Some(SuspendedBy::Stop { account: by, .. }) if by == account => {
            Ok(vec![clear(state, context, version, StopEnd::TakenBack)])
        }
        Some(_) => Err(Rejection::NotOwnStop { account, label: version.label }),
        None => Err(Rejection::VersionNotSuspended { model: version.model, label: version.label }),
    }
}

/// Suspend a version until the owners lift it; an emergency stop of it that runs is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SuspendVersion {
    /// The label of the version, which is not withdrawn, and not suspended by a decision before.
    pub label: VersionLabel,
    /// Why, for whoever meets the version: not blank, at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl SuspendVersion {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_reason(&self.reason)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let mut version = existing_version(state, model.id, &self.label)?;
        if matches!(version.status, VersionStatus::Withdrawn { .. }) {
            return Err(wrong_status(version));
        }
        if matches!(version.suspended, Some(Suspension { by: SuspendedBy::Decision(_), .. })) {
            require_not_suspended(&version, context.time)?;
        }
        end_stop(state, context, &mut version, StopEnd::Confirmed(proposal.id));
        Ok(vec![set(state, context, version, SuspendedBy::Decision(proposal.id), &self.reason)])
    }
}

/// End the suspension of a version: it stands where it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiftSuspension {
    /// The label of the version, which is suspended by a stop or a decision.
    pub label: VersionLabel,
    /// Why, for whoever meets the version: not blank, at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl LiftSuspension {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_reason(&self.reason)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let version = existing_version(state, model.id, &self.label)?;
        if version.suspended.is_none() {
            return Err(Rejection::VersionNotSuspended { model: model.id, label: self.label.clone() });
        }
        Ok(vec![clear(state, context, version, StopEnd::Lifted(proposal.id))])
    }
}

/// A stop has run out.
pub(crate) fn lapse(state: &mut Overlay<'_>, context: &Context, key: (ModelId, u64)) -> Vec<Event> {
    let stop = state.read::<VersionStop>(&key).filter(|stop| stop.ended.is_none());
    let version = stop.and_then(|stop| state.read::<Version>(&(stop.model, stop.label)));
    version.map(|version| clear(state, context, version, StopEnd::Lapsed)).into_iter().collect()
}

fn set(state: &mut Overlay<'_>, context: &Context, mut version: Version, by: SuspendedBy, reason: &str) -> Event {
    version.suspended = Some(Suspension { by, reason: reason.to_owned(), height: context.height });
    state.write(&(version.model, version.label.clone()), &version);
    Event::VersionSuspended {
        model: version.model,
        label: version.label,
        artifact: version.artifact.address,
        by,
        reason: reason.to_owned(),
    }
}

fn clear(state: &mut Overlay<'_>, context: &Context, mut version: Version, end: StopEnd) -> Event {
    end_stop(state, context, &mut version, end);
    state.write(&(version.model, version.label.clone()), &version);
    let artifact = version.artifact.address;
    Event::SuspensionEnded { model: version.model, label: version.label, artifact, end }
}

/// Removes the suspension of a version, and closes the stop that caused it, if any; the caller writes the version.
pub(crate) fn end_stop(state: &mut Overlay<'_>, context: &Context, version: &mut Version, end: StopEnd) {
    let Some(Suspension { by: SuspendedBy::Stop { number, account, until }, .. }) = version.suspended.take() else {
        return;
    };
    let model = version.model;
    due::clear(state, until, Due::Stop { model, number });
    if let Some(mut stop) = state.read::<VersionStop>(&(model, number)) {
        stop.ended = Some((end, context.height));
        state.write(&(model, number), &stop);
    }
    match state.read::<StopsRunning>(&(model, account)) {
        Some(StopsRunning(running)) if running > 1 => {
            state.write(&(model, account), &StopsRunning(running.saturating_sub(1)));
        }
        _ => state.remove::<StopsRunning>(&(model, account)),
    }
}
