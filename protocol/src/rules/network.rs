//! The network itself: its record, its members and validators, its parameters, its upgrades; and the effects of its
//! members' decisions on them.

use crate::{
    ground::{
        ids::{AccountId, Height, Power, PublicKey},
        invalid::{Invalid, check_line},
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
        proposal::{Proposal, Scope},
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

/// A move to another version of the protocol, to be decided or decided: older binaries stop before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Upgrade {
    /// The first height of the new version, after the block that carries the decision out.
    pub height: Height,
    /// The version of the protocol, above [`limits::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The release of the software that speaks it: one line of at most [`limits::TITLE_SIZE_BYTES`].
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

/// Admit a validator two blocks later; its operator becomes a member of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdmitValidator {
    /// Its consensus key, which was never in the set.
    pub key: PublicKey,
    /// Its voting power: 1 to [`limits::VALIDATOR_POWER`].
    pub power: Power,
    /// The account that answers for it, and accepts that.
    pub operator: AccountId,
}

impl AdmitValidator {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_power(self.power)
    }

    /// That the account accepts to operate the validator.
    pub(crate) fn lacking(&self, state: &Overlay<'_>) -> Option<Rejection> {
        let (office, account) = (Office::Operator(self.key), self.operator);
        let accepted = state.read::<office::Ahead>(&(account, office.clone())).is_some();
        (!accepted).then_some(Rejection::NotAccepted { office, account })
    }

    pub(crate) fn apply(&self, state: &mut Overlay<'_>, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let Self { key, power, operator } = *self;
        let validator = Validator::new(key, power, operator);
        let account = context.existing_account(state, operator)?;
        if context.next_validators.by_address(&validator.address).is_some() {
            return Err(Rejection::ValidatorExists(key));
        }
        if let Some(RetiredKey { key, height }) = state.read(&key) {
            return Err(Rejection::RetiredValidatorKey { key, height });
        }
        let mut events = vec![Event::ValidatorAdmitted { key, power, operator }];
        let office = office::names(Office::Operator(key), [operator]);
        let mut validators: Vec<Validator> = context.next_validators.clone().into();
        validators.push(validator);
        set_validators(context, validators)?;
        events.extend(office::rename(state, context, &office::Names::new(), &office, None));
        if account.member_since.is_none() {
            events.extend(AdmitMember { account: operator }.apply(state, context)?);
        }
        Ok(events)
    }
}

fn check_power(power: Power) -> Result<(), Invalid> {
    if (1..=limits::VALIDATOR_POWER).contains(&power.get()) {
        return Ok(());
    }
    Err(Invalid::Form { field: "power", problem: format!("is {power}; set 1 to {}", limits::VALIDATOR_POWER) })
}

/// Give a validator another voting power two blocks later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReweightValidator {
    /// Its consensus key, which is in the set after the next.
    pub key: PublicKey,
    /// Its voting power from then on: 1 to [`limits::VALIDATOR_POWER`].
    pub power: Power,
}

impl ReweightValidator {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_power(self.power)
    }

    pub(crate) fn apply(&self, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let Self { key, power } = *self;
        require_validator(context, key)?;
        let changed = |validator: &Validator| {
            if validator.key == key { Validator { power, ..validator.clone() } } else { validator.clone() }
        };
        let validators = context.next_validators.iter().map(changed).collect();
        set_validators(context, validators)?;
        Ok(vec![Event::ValidatorReweighted { key, power }])
    }
}

/// Remove a validator two blocks later, and its key for good; its operator stays a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoveValidator {
    /// Its consensus key, which is in the set after the next.
    pub key: PublicKey,
}

impl RemoveValidator {
    pub(crate) fn apply(&self, state: &mut Overlay<'_>, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let key = self.key;
        require_validator(context, key)?;
        let (gone, left): (Vec<Validator>, Vec<Validator>) =
            context.next_validators.iter().cloned().partition(|validator| validator.key == key);
        set_validators(context, left)?;
        let office = office::names(Office::Operator(key), gone.iter().map(|validator| validator.operator));
        state.write(&key, &RetiredKey { key, height: context.height });
        let mut events = vec![Event::ValidatorRemoved { key }];
        events.extend(office::rename(state, context, &office, &office::Names::new(), None));
        Ok(events)
    }
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

/// Make an account a member of the network: it votes on proposals opened from the next block on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdmitMember {
    /// The account, which is no member yet.
    pub account: AccountId,
}

impl AdmitMember {
    pub(crate) fn apply(&self, state: &mut Overlay<'_>, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let mut account = context.existing_account(state, self.account)?;
        if account.member_since.is_some() {
            return Err(Rejection::AlreadyMember(account.id));
        }
        account.member_since = Some(context.height);
        state.write(&account.id, &account);
        let members = context.network.members.saturating_add(1);
        context.network.members = members;
        state.write(&context.height, &MembersAt(members));
        Ok(vec![Event::MemberAdmitted { account: account.id }])
    }
}

/// Leave the network's members. What the account holds and owns stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeaveNetwork {}

/// The sender leaves the members.
pub(crate) fn leave(state: &mut Overlay<'_>, context: &mut Context, sender: Account) -> Result<Vec<Event>, Rejection> {
    RemoveMember { account: sender.id, reason: "it left".into() }.apply(state, context)
}

/// Make an account a member of the network no longer. Its ballots that are cast stand; it casts no more, and proposals
/// opened from the next block on do not count it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoveMember {
    /// The account, which is a member, not the last one, and operates no validator of the set after the next.
    pub account: AccountId,
    /// Why: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl RemoveMember {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(&self, state: &mut Overlay<'_>, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let id = self.account;
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
        Ok(vec![Event::MemberRemoved { account: id, reason: self.reason.clone() }])
    }
}

/// Let an account admit further accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantQuota {
    /// The account that admits them.
    pub account: AccountId,
    /// How many accounts more than it may admit already.
    pub quota: u32,
}

impl GrantQuota {
    pub(crate) fn apply(&self, state: &mut Overlay<'_>, context: &Context) -> Result<Vec<Event>, Rejection> {
        let mut account = context.existing_account(state, self.account)?;
        account.quota = account.quota.saturating_add(self.quota);
        state.write(&account.id, &account);
        Ok(vec![Event::QuotaGranted { account: account.id, quota: self.quota }])
    }
}

/// Suspend an account: it starts nothing until it is reinstated, and the clocks of its recovery stand. What it holds stays,
/// and it votes on it unless the model's policy says otherwise. It takes more than half of all members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SuspendAccount {
    /// The account, which is not suspended yet.
    pub account: AccountId,
    /// Why, for whoever deals with it: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl SuspendAccount {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (reason, proposal) = (self.reason.clone(), proposal.id);
        let mut account = context.existing_account(state, self.account)?;
        account.require_not_suspended()?;
        account.suspended = Some(Suspension { since: context.height, reason: reason.clone(), proposal });
        recovery::pause(state, context, &mut account);
        state.write(&account.id, &account);
        Ok(vec![Event::AccountSuspended { account: account.id, reason, proposal }])
    }
}

/// Reinstate a suspended account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReinstateAccount {
    /// The account, which is suspended.
    pub account: AccountId,
}

impl ReinstateAccount {
    pub(crate) fn apply(&self, state: &mut Overlay<'_>, context: &Context) -> Result<Vec<Event>, Rejection> {
        let mut account = context.existing_account(state, self.account)?;
        if account.suspended.take().is_none() {
            return Err(Rejection::NotSuspended(account.id));
        }
        recovery::resume(state, context, &mut account);
        state.write(&account.id, &account);
        Ok(vec![Event::AccountReinstated { account: account.id }])
    }
}

/// Replace the network's parameters from the next block on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetParameters {
    /// All of them.
    pub parameters: Box<Parameters>,
}

impl SetParameters {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.parameters.check()
    }

    pub(crate) fn apply(&self, context: &mut Context) -> Vec<Event> {
        context.network.parameters = (*self.parameters).clone();
        vec![Event::ParametersSet]
    }
}

impl Upgrade {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("release", &self.release, limits::TITLE_SIZE_BYTES)
    }

    /// Schedules it, in place of one that was scheduled and is still to come.
    pub(crate) fn apply(&self, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let Self { height, protocol, release } = self.clone();
        let earliest = context.height.next();
        if height < earliest {
            return Err(Rejection::UpgradeTooSoon { height, earliest });
        }
        if protocol <= limits::PROTOCOL_VERSION {
            return Err(Rejection::OldProtocol { protocol, current: limits::PROTOCOL_VERSION });
        }
        context.network.upgrade = Some(self.clone());
        Ok(vec![Event::UpgradeScheduled { height, protocol, release }])
    }
}
