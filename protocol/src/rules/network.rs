//! The network itself: its record, its members and validators, its parameters, its upgrades; and the effects of its
//! members' decisions on them.

use crate::{
    ground::{
        ids::{AccountId, Height, Power, ProposalId, PublicKey},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        account::{Account, Suspension},
        context::{Context, ExecuteError},
        dormancy,
        event::Event,
        office::{self, Office},
        parameters::Parameters,
        proposal::Scope,
        recovery,
        rejection::Rejection,
        validator::{Validator, ValidatorSchedule, ValidatorSet},
    },
};
use serde::{Deserialize, Serialize};

/// The network's own record: its parameters and counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Network {
    /// The parameters in force.
    pub parameters: Parameters,
    /// Number of accounts that vote on the network's proposals.
    pub members: u64,
    /// Number of the network's proposals opened so far.
    pub proposals: u64,
    /// Number of proposals that are currently open or queued, in all scopes.
    pub open_proposals: u64,
    /// The last upgrade that was decided, past or future.
    pub upgrade: Option<Upgrade>,
}

impl Record for Network {
    type Key = ();
    const FAMILY: Family = Family::Network;
}

impl Record for ValidatorSchedule {
    type Key = ();
    const FAMILY: Family = Family::Validators;
}

/// A decided move to a different version of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Upgrade {
    /// The first height of the new version.
    pub height: Height,
    /// The version of the protocol.
    pub protocol: u32,
    /// The release of the software that supports it.
    pub release: String,
}

impl Network {
    /// The upgrade for which this build is too old, if it can no longer execute `height`.
    pub fn outgrown_at(&self, height: Height) -> Option<&Upgrade> {
        self.upgrade.as_ref().filter(|upgrade| upgrade.height <= height && upgrade.protocol > limits::PROTOCOL_VERSION)
    }

    /// Checks that this build supports the protocol version of `height`.
    ///
    /// # Errors
    /// [`ExecuteError::Outgrown`].
    pub fn require_current(&self, height: Height) -> Result<(), ExecuteError> {
        self.outgrown_at(height).map_or(Ok(()), |upgrade| Err(ExecuteError::Outgrown(upgrade.clone())))
    }
}

/// The number of members of the network from a height on, until the next entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersAt(pub u64);

impl Record for MembersAt {
    type Key = Height;
    const FAMILY: Family = Family::MembersAt;
}

/// A consensus key that was removed from the validator set. It is never admitted again, so that its holder can destroy
/// it: what it can still sign is useful only for forging the past, see [`crate::proof::root`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredKey {
    /// The key.
    pub key: PublicKey,
    /// The height of the block whose decisions removed it. The key decides the next block, for the last time.
    pub height: Height,
}

impl Record for RetiredKey {
    type Key = PublicKey;
    const FAMILY: Family = Family::RetiredKey;
}

/// Admits a validator; its operator becomes a member.
pub(crate) fn admit_validator(
    state: &mut Overlay<'_>,
    context: &mut Context,
    validator: Validator,
) -> Result<Vec<Event>, Rejection> {
    let operator = context.existing_account(state, validator.operator)?;
    if context.next_validators.by_address(&validator.address).is_some() {
        return Err(Rejection::ValidatorExists(validator.key));
    }
    if let Some(RetiredKey { key, height }) = state.read(&validator.key) {
        return Err(Rejection::RetiredValidatorKey { key, height });
    }
    let mut events =
        vec![Event::ValidatorAdmitted { key: validator.key, power: validator.power, operator: validator.operator }];
    let office = office::names(Office::Operator(validator.key), [validator.operator]);
    let mut validators: Vec<Validator> = context.next_validators.clone().into();
    validators.push(validator);
    set_validators(context, validators)?;
    events.extend(office::rename(state, context, (&office::Names::new(), &office), None));
    if operator.member_since.is_none() {
        events.extend(admit_member(state, context, operator.id)?);
    }
    Ok(events)
}

/// Changes a validator's power.
pub(crate) fn reweight_validator(context: &mut Context, key: PublicKey, power: Power) -> Result<Vec<Event>, Rejection> {
    require_validator(context, key)?;
    let changed = |validator: &Validator| {
        if validator.key == key { Validator { power, ..validator.clone() } } else { validator.clone() }
    };
    let validators = context.next_validators.iter().map(changed).collect();
    set_validators(context, validators)?;
    Ok(vec![Event::ValidatorReweighted { key, power }])
}

/// Removes a validator, and its key for good; its operator remains a member.
pub(crate) fn remove_validator(
    state: &mut Overlay<'_>,
    context: &mut Context,
    key: PublicKey,
) -> Result<Vec<Event>, Rejection> {
    require_validator(context, key)?;
    let (gone, left): (Vec<Validator>, Vec<Validator>) =
        context.next_validators.iter().cloned().partition(|validator| validator.key == key);
    set_validators(context, left)?;
    let office = office::names(Office::Operator(key), gone.iter().map(|validator| validator.operator));
    state.write(&key, &RetiredKey { key, height: context.height });
    let mut events = vec![Event::ValidatorRemoved { key }];
    events.extend(office::rename(state, context, (&office, &office::Names::new()), None));
    Ok(events)
}

fn require_validator(context: &Context, key: PublicKey) -> Result<(), Rejection> {
    let address = key.validator_address();
    match context.next_validators.by_address(&address) {
        Some(_) => Ok(()),
        None => Err(Rejection::UnknownValidator(address)),
    }
}

fn set_validators(context: &mut Context, validators: Vec<Validator>) -> Result<(), Rejection> {
    context.next_validators =
        ValidatorSet::try_from(validators).map_err(|error| Rejection::BadValidatorSet(error.to_string()))?;
    Ok(())
}

/// Makes an account a member, which votes on proposals opened from the next block on.
pub(crate) fn admit_member(
    state: &mut Overlay<'_>,
    context: &mut Context,
    id: AccountId,
) -> Result<Vec<Event>, Rejection> {
    let mut account = context.existing_account(state, id)?;
    if account.member_since.is_some() {
        return Err(Rejection::AlreadyMember(id));
    }
    account.member_since = Some(context.height);
    state.write(&id, &account);
    let members = context.network.members.saturating_add(1);
    context.network.members = members;
    state.write(&context.height, &MembersAt(members));
    Ok(vec![Event::MemberAdmitted { account: id }])
}

/// Leave the network's members. What the account holds and owns stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeaveNetwork {}

/// The sender leaves the members.
pub(crate) fn leave(state: &mut Overlay<'_>, context: &mut Context, sender: Account) -> Result<Vec<Event>, Rejection> {
    remove_member(state, context, sender.id, "it left")
}

/// Removes a member. Ballots that it has cast stand; it casts no more, and proposals opened from the next block on do
/// not count it.
pub(crate) fn remove_member(
    state: &mut Overlay<'_>,
    context: &mut Context,
    id: AccountId,
    reason: &str,
) -> Result<Vec<Event>, Rejection> {
    let mut account = context.existing_account(state, id)?;
    if account.member_since.is_none() {
        return Err(Rejection::NotMember(id));
    }
    if let Some(validator) = context.next_validators.iter().find(|validator| validator.operator == id) {
        return Err(Rejection::OperatesValidator { account: id, key: validator.key });
    }
    if context.network.members <= 1 {
        return Err(Rejection::LastMember(id));
    }
    dormancy::forget(state, context, Scope::Network, id);
    account.member_since = None;
    state.write(&id, &account);
    context.network.members = context.network.members.saturating_sub(1);
    state.write(&context.height, &MembersAt(context.network.members));
    Ok(vec![Event::MemberRemoved { account: id, reason: reason.to_owned() }])
}

/// Lets an account admit more accounts.
pub(crate) fn grant_quota(
    state: &mut Overlay<'_>,
    context: &Context,
    id: AccountId,
    quota: u32,
) -> Result<Vec<Event>, Rejection> {
    let mut account = context.existing_account(state, id)?;
    account.quota = account.quota.saturating_add(quota);
    state.write(&id, &account);
    Ok(vec![Event::QuotaGranted { account: id, quota }])
}

/// Suspends an account: it can start nothing more, and the clocks of its recovery stop.
pub(crate) fn suspend(
    state: &mut Overlay<'_>,
    context: &Context,
    id: AccountId,
    (proposal, reason): (ProposalId, &str),
) -> Result<Vec<Event>, Rejection> {
    let mut account = context.existing_account(state, id)?;
    account.require_not_suspended()?;
    let reason = reason.to_owned();
    account.suspended = Some(Suspension { since: context.height, reason: reason.clone(), proposal });
    recovery::pause(state, context, &mut account);
    state.write(&id, &account);
    Ok(vec![Event::AccountSuspended { account: id, reason, proposal }])
}

/// Reinstates a suspended account.
pub(crate) fn reinstate(state: &mut Overlay<'_>, context: &Context, id: AccountId) -> Result<Vec<Event>, Rejection> {
    let mut account: Account = context.existing_account(state, id)?;
    if account.suspended.take().is_none() {
        return Err(Rejection::NotSuspended(id));
    }
    recovery::resume(state, context, &mut account);
    state.write(&id, &account);
    Ok(vec![Event::AccountReinstated { account: id }])
}

/// Replaces the parameters, from the next block on.
pub(crate) fn set_parameters(context: &mut Context, parameters: &Parameters) -> Vec<Event> {
    context.network.parameters = parameters.clone();
    vec![Event::ParametersSet]
}

/// Schedules an upgrade, replacing one that was scheduled and is still in the future.
pub(crate) fn schedule_upgrade(
    context: &mut Context,
    (height, protocol): (Height, u32),
    release: &str,
) -> Result<Vec<Event>, Rejection> {
    let earliest = context.height.next();
    if height < earliest {
        return Err(Rejection::UpgradeTooSoon { height, earliest });
    }
    if protocol <= limits::PROTOCOL_VERSION {
        return Err(Rejection::OldProtocol { protocol, current: limits::PROTOCOL_VERSION });
    }
    context.network.upgrade = Some(Upgrade { height, protocol, release: release.to_owned() });
    Ok(vec![Event::UpgradeScheduled { height, protocol, release: release.to_owned() }])
}
