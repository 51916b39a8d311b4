//! Offices: tasks that an account performs for others. Nobody holds one without having accepted it.
//!
//! The names are where they are needed: in a model's list of stewards, in its policy, in an account's recovery, in an
//! incident, in the validator set. For each name there is a [`Tenure`], with the answer of the account that was named.
//! Only an account that is named *and* has accepted holds the office; being named alone has no effect.
//!
//! ```text
//!  named ----> offered --accept--> accepted ---resign---> resigned --accept, or named again--> ...
//!    |            |                   |                      |
//!    |            +------- no longer named: gone ------------+
//!    |                                +--- no longer named: dismissed (counts where a proposal copied the name)
//!    +--- with its own signature, or one given in advance: accepted at once
//! ```
//!
//! A signature given in advance ([`Ahead`]) is for one office and one naming, which uses it up. An account that signs
//! what names itself has accepted by that; resigning after signing withdraws the acceptance.

use crate::{
    ground::{
        crypto::Domain,
        ids::{AccountId, Height, IncidentId, ModelId, Name, PublicKey, Signature},
        limits,
        state::{Family, KeyField, Overlay, Record, StateError, StateRead, prefix_end, read},
    },
    rules::{
        account::Account, context::Context, dispute, event::Event, incident::Incident, model::Model,
        network::RemoveValidator, policy::ModelPolicy, recovery::GuardianVote, rejection::Rejection, validator,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An office that an account can be asked to hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Office {
    /// A steward of a model: it countersigns, publishes, and asks the owners.
    Steward(ModelId),
    /// An arbiter of a model's disputes.
    Arbiter(ModelId),
    /// An account that may stop what the owners of a model decided.
    Guardian(ModelId),
    /// An account that attests in a role of a model's policy.
    Attester {
        /// The model.
        model: ModelId,
        /// The role's name.
        role: Name,
    },
    /// A guardian of an account's keys.
    KeyGuardian(AccountId),
    /// The account that answers for an incident.
    Responsible(IncidentId),
    /// The operator of the validator with a consensus key.
    Operator(PublicKey),
}

impl Office {
    /// The office's name, as in JSON.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}

impl std::fmt::Display for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Steward(model) => write!(f, "steward of model {model}"),
            Self::Arbiter(model) => write!(f, "arbiter of model {model}"),
            Self::Guardian(model) => write!(f, "guardian of model {model}"),
            Self::Attester { model, role } => write!(f, "{role} of model {model}"),
            Self::KeyGuardian(account) => write!(f, "guardian of account {account}"),
            Self::Responsible(incident) => write!(f, "responsible for incident {incident}"),
            Self::Operator(key) => write!(f, "operator of validator {key}"),
        }
    }
}

impl KeyField for Office {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Steward(model) => {
                key.push(0);
                model.write(key);
            }
            Self::Arbiter(model) => {
                key.push(1);
                model.write(key);
            }
            Self::Guardian(model) => {
                key.push(2);
                model.write(key);
            }
            Self::Attester { model, role } => {
                key.push(3);
                (*model, role.clone()).write(key);
            }
            Self::KeyGuardian(account) => {
                key.push(4);
                account.write(key);
            }
            Self::Responsible(incident) => {
                key.push(5);
                incident.write(key);
            }
            Self::Operator(validator) => {
                key.push(6);
                validator.write(key);
            }
        }
    }
}

/// The answer of an account to being named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TenureStatus {
    /// None yet: being named has no effect.
    Offered,
    /// It holds the office.
    Accepted,
    /// It declined, or gave the office up.
    Resigned,
    /// It held the office until it was no longer named. It still counts where a proposal copied the name before that.
    Dismissed,
}

impl TenureStatus {
    /// Whether it counts where a proposal copied the name.
    pub const fn counts_in_copy(self) -> bool {
        matches!(self, Self::Accepted | Self::Dismissed)
    }

    /// The status's name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The answer of an account to an office that it is or was named for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// The account.
    pub account: AccountId,
    /// The office.
    pub office: Office,
    /// The answer.
    pub status: TenureStatus,
    /// The height of the answer.
    pub since: Height,
}

impl Record for Tenure {
    type Key = (AccountId, Office);
    const FAMILY: Family = Family::Tenure;
}

/// The acceptance of an office by an account before it was named for it. The naming uses it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// The account.
    pub account: AccountId,
    /// The office.
    pub office: Office,
    /// The height of the acceptance.
    pub since: Height,
}

impl Record for Ahead {
    type Key = (AccountId, Office);
    const FAMILY: Family = Family::Ahead;
}

/// The answer of an account to an office. `None` if it is not named for it.
///
/// # Errors
/// When the state cannot be read.
pub fn status(state: &impl StateRead, office: &Office, account: AccountId) -> Result<Option<TenureStatus>, StateError> {
    Ok(read::<Tenure>(state, &(account, office.clone()))?.map(|tenure| tenure.status))
}

/// Whether an account holds an office: it is named for it, and has accepted. Every rule that requires an office calls
/// this.
///
/// # Errors
/// When the state cannot be read.
pub fn is_held(state: &impl StateRead, office: &Office, account: AccountId) -> Result<bool, StateError> {
    Ok(status(state, office, account)? == Some(TenureStatus::Accepted))
}

fn tenure(state: &Overlay<'_>, office: &Office, account: AccountId) -> Option<Tenure> {
    state.read::<Tenure>(&(account, office.clone()))
}

/// As [`is_held`], for rules.
pub(crate) fn holds(state: &Overlay<'_>, office: &Office, account: AccountId) -> bool {
    tenure(state, office, account).is_some_and(|tenure| tenure.status == TenureStatus::Accepted)
}

/// Whether an account is named for an office and has not answered.
pub(crate) fn is_unanswered(state: &Overlay<'_>, office: &Office, account: AccountId) -> bool {
    tenure(state, office, account).is_some_and(|tenure| tenure.status == TenureStatus::Offered)
}

/// Whether an account counts where a proposal copied its name: it accepted, and has not resigned since. No longer being
/// named does not affect proposals opened before.
pub(crate) fn counts_in_copy(state: &Overlay<'_>, office: &Office, account: AccountId) -> bool {
    tenure(state, office, account).is_some_and(|tenure| tenure.status.counts_in_copy())
}

fn write(state: &mut Overlay<'_>, context: &Context, office: &Office, account: AccountId, status: TenureStatus) {
    let tenure = Tenure { account, office: office.clone(), status, since: context.height };
    state.write(&(account, office.clone()), &tenure);
}

/// Names an account for an office. `signed` is the height at which it signed what names it, if it did.
fn appoint(
    state: &mut Overlay<'_>,
    context: &Context,
    office: &Office,
    account: AccountId,
    signed: Option<Height>,
) -> Option<Event> {
    let before = tenure(state, office, account);
    if before.as_ref().is_some_and(|before| before.status == TenureStatus::Accepted) {
        return None;
    }
    // Its last answer counts: a resignation revokes what it signed before.
    let resigned = before.as_ref().filter(|before| before.status == TenureStatus::Resigned).map(|before| before.since);
    let signed = signed.is_some_and(|signed| resigned.is_none_or(|resigned| signed > resigned));
    let key = (account, office.clone());
    let ahead = state.read::<Ahead>(&key).is_some();
    if signed || ahead {
        state.remove::<Ahead>(&key);
        write(state, context, office, account, TenureStatus::Accepted);
        return Some(Event::OfficeAccepted { office: office.clone(), account, ahead: false });
    }
    if before.is_some_and(|before| before.status == TenureStatus::Offered) {
        return None;
    }
    write(state, context, office, account, TenureStatus::Offered);
    Some(Event::OfficeOffered { office: office.clone(), account })
}

/// An account is no longer named for an office.
fn dismiss(state: &mut Overlay<'_>, context: &Context, office: &Office, account: AccountId) -> Option<Event> {
    let status = tenure(state, office, account)?.status;
    if status == TenureStatus::Accepted {
        write(state, context, office, account, TenureStatus::Dismissed);
    } else {
        state.remove::<Tenure>(&(account, office.clone()));
    }
    (status != TenureStatus::Resigned).then(|| Event::OfficeEnded { office: office.clone(), account })
}

/// The accounts named for each office.
pub type Names = BTreeMap<Office, BTreeSet<AccountId>>;

/// One office, with the accounts named for it.
pub(crate) fn names(office: Office, accounts: impl IntoIterator<Item = AccountId>) -> Names {
    BTreeMap::from([(office, accounts.into_iter().collect())])
}

/// The offices for which a model's policy names accounts.
pub(crate) fn of_policy(model: ModelId, policy: &ModelPolicy) -> Names {
    let mut names = Names::new();
    let arbiters = policy.arbiters.iter().flat_map(|arbiters| arbiters.bench());
    let arbiters = arbiters.map(|account| (Office::Arbiter(model), *account));
    let guardian = policy.guardian.iter().map(|account| (Office::Guardian(model), *account));
    let in_roles = policy.roles.iter().flat_map(|role| {
        let office = Office::Attester { model, role: role.name.clone() };
        role.accounts.iter().map(move |account| (office.clone(), *account))
    });
    for (office, account) in arbiters.chain(guardian).chain(in_roles) {
        names.entry(office).or_default().insert(account);
    }
    names
}

/// Replaces one list of names by another. An account that is named again after it resigned is asked again. `signed` is
/// an account that signed what names it, and at which height.
pub(crate) fn rename(
    state: &mut Overlay<'_>,
    context: &Context,
    before: &Names,
    after: &Names,
    signed: Option<(AccountId, Height)>,
) -> Vec<Event> {
    let is_named = |names: &Names, office: &Office, account: &AccountId| {
        names.get(office).is_some_and(|accounts| accounts.contains(account))
    };
    let mut events = Vec::new();
    for (office, accounts) in before {
        for account in accounts.iter().filter(|account| !is_named(after, office, account)) {
            events.extend(dismiss(state, context, office, *account));
        }
    }
    for (office, accounts) in after {
        for account in accounts {
            let signed = signed.filter(|(signer, _)| signer == account).map(|(_, height)| height);
            events.extend(appoint(state, context, office, *account, signed));
        }
    }
    events
}

/// Accept an office that was offered, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptOffice {
    /// The office.
    pub office: Office,
    /// For an operator: the signature over [`validator::operation`] by the consensus key. Nobody can operate somebody
    /// else's key.
    pub proof: Option<Signature>,
}

impl AcceptOffice {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        self.require_sound(state, context, sender)?;
        let (office, key) = (self.office.clone(), (sender, self.office.clone()));
        let status = tenure(state, &office, sender).map(|tenure| tenure.status);
        match status {
            Some(TenureStatus::Accepted) => return Err(Rejection::OfficeHeld { office, account: sender }),
            Some(TenureStatus::Offered | TenureStatus::Resigned) => {
                write(state, context, &office, sender, TenureStatus::Accepted);
                return Ok(vec![Event::OfficeAccepted { office, account: sender, ahead: false }]);
            }
            Some(TenureStatus::Dismissed) | None => {}
        }
        if state.read::<Ahead>(&key).is_some() {
            return Err(Rejection::OfficeHeld { office, account: sender });
        }
        let prefix = Ahead::key_bytes(&sender);
        let kept = state.entries(&prefix, &prefix_end(&prefix), limits::OFFICES_AHEAD_PER_ACCOUNT).len();
        if kept >= limits::OFFICES_AHEAD_PER_ACCOUNT {
            return Err(Rejection::TooManyAhead(sender));
        }
        state.write(&key, &Ahead { account: sender, office: office.clone(), since: context.height });
        Ok(vec![Event::OfficeAccepted { office, account: sender, ahead: true }])
    }

    /// Checks that the subject of the office exists, and that the sender may take it.
    fn require_sound(&self, state: &Overlay<'_>, context: &Context, sender: AccountId) -> Result<(), Rejection> {
        match &self.office {
            Office::Steward(model)
            | Office::Arbiter(model)
            | Office::Guardian(model)
            | Office::Attester { model, .. } => Model::existing(state, *model).map(drop),
            Office::KeyGuardian(of) if *of == sender => Err(Rejection::OwnGuardian(sender)),
            Office::KeyGuardian(of) => context.existing_account(state, *of).map(drop),
            Office::Responsible(id) => state.read::<Incident>(id).map(drop).ok_or(Rejection::UnknownIncident(*id)),
            Office::Operator(key) => {
                let agreed = validator::operation(context.network_id, sender);
                let proven = self.proof.is_some_and(|proof| key.verifies(Domain::Operation, &agreed, &proof));
                if proven { Ok(()) } else { Err(Rejection::KeyDisagrees { key: *key, account: sender }) }
            }
        }
    }
}

/// Decline or resign an office, or withdraw an acceptance in advance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResignOffice {
    /// The office.
    pub office: Office,
}

impl ResignOffice {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &mut Context,
        sender: &Account,
    ) -> Result<Vec<Event>, Rejection> {
        let (office, key) = (self.office.clone(), (sender.id, self.office.clone()));
        let ahead = state.read::<Ahead>(&key).is_some();
        state.remove::<Ahead>(&key);
        let mut events = vec![Event::OfficeResigned { office: office.clone(), account: sender.id }];
        match tenure(state, &office, sender.id).map(|tenure| tenure.status) {
            Some(TenureStatus::Offered | TenureStatus::Accepted) => {
                write(state, context, &office, sender.id, TenureStatus::Resigned);
                match office {
                    Office::Operator(key) => events.extend(RemoveValidator { key }.apply(state, context)?),
                    // What it said as a guardian must not count again when it accepts again.
                    Office::KeyGuardian(of) => state.remove::<GuardianVote>(&(of, sender.id)),
                    Office::Steward(_)
                    | Office::Arbiter(_)
                    | Office::Guardian(_)
                    | Office::Attester { .. }
                    | Office::Responsible(_) => {}
                }
            }
            // It no longer counts where a proposal copied its name.
            Some(TenureStatus::Dismissed) => state.remove::<Tenure>(&key),
            Some(TenureStatus::Resigned) | None if ahead => {}
            Some(TenureStatus::Resigned) | None => {
                return Err(Rejection::NotInOffice { office, account: sender.id });
            }
        }
        Ok(events)
    }
}

/// What a model cannot do because too few accounts hold an office. Its owners name others by a decision, or those named
/// accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Vacancy {
    /// Nobody countersigns contributions.
    NoSteward,
    /// The guardian in the policy cannot stop anything.
    NoGuardian,
    /// There are fewer arbiters than must agree.
    TooFewArbiters {
        /// Number of accounts that hold the office.
        held: u32,
        /// How many must agree.
        needed: u32,
    },
    /// There are fewer attesters than a gate requires: nothing can be released.
    TooFewAttesters {
        /// The statement to attest.
        statement: Name,
        /// The role.
        role: Name,
        /// Number of accounts that hold the office.
        held: u32,
        /// How many must attest.
        needed: u32,
    },
}

impl std::fmt::Display for Vacancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSteward => f.write_str(
                "no steward has accepted: nobody countersigns contributions; those named can accept, or the owners name others",
            ),
            Self::NoGuardian => {
                f.write_str("the guardian has not accepted: nobody stops a decision; it can accept, or the owners name another")
            }
            Self::TooFewArbiters { held, needed } => write!(
                f,
                "{held} arbiters who hold nothing of the model have accepted and {needed} must agree: the owners settle disputes until enough accept, or others are named"
            ),
            Self::TooFewAttesters { statement, role, held, needed } => write!(
                f,
                "{held} in the role {role} have accepted and {needed} must attest {statement}: nothing can be released until enough accept, or others are named"
            ),
        }
    }
}

/// The vacancies of a model.
///
/// # Errors
/// When the state cannot be read.
pub fn vacancies(state: &impl StateRead, model: &Model) -> Result<Vec<Vacancy>, StateError> {
    let holders = |office: &Office, accounts: &[AccountId]| {
        let mut count = 0u32;
        for account in accounts {
            count = count.saturating_add(is_held(state, office, *account)?.into());
        }
        Ok::<_, StateError>(count)
    };
    let (id, policy) = (model.id, &model.policy);
    let mut found = Vec::new();
    if holders(&Office::Steward(id), &model.stewards)? == 0 {
        found.push(Vacancy::NoSteward);
    }
    if let Some(guardian) = policy.guardian
        && holders(&Office::Guardian(id), &[guardian])? == 0
    {
        found.push(Vacancy::NoGuardian);
    }
    if let Some(arbiters) = &policy.arbiters {
        let overlay = Overlay::new(state);
        let held = dispute::panel::could_sit(&overlay, id, arbiters);
        overlay.finish()?;
        if held < arbiters.needed {
            found.push(Vacancy::TooFewArbiters { held, needed: arbiters.needed });
        }
    }
    for gate in &policy.gates {
        let (statement, role) = (gate.statement.clone(), gate.role.clone());
        let held = holders(&Office::Attester { model: id, role: role.clone() }, policy.in_role(&role))?;
        if held < gate.attestors {
            found.push(Vacancy::TooFewAttesters { statement, role, held, needed: gate.attestors });
        }
    }
    Ok(found)
}
