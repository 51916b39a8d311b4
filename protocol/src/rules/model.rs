//! Models and their versions: what is owned, and what was released.
//!
//! What owners decide about them stands in `model/decided.rs`.

mod decided;

pub(crate) use decided::withdraw_disputed;
pub use decided::{ClaimLineage, DeprecateVersion, ReleaseVersion, Retire, SetPolicy, SetStewards, WithdrawVersion};

use crate::{
    ground::{
        apportion::apportion,
        ids::{AccountId, ArtifactId, ContentHash, Height, ModelId, ModelName, Name, ProposalId, Units, VersionLabel},
        invalid::{Invalid, check_count, check_text},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        access::Distribution,
        artifact::Artifact,
        commitment,
        context::Context,
        emergency::Suspension,
        event::Event,
        intake,
        office::{self, Office},
        policy::ModelPolicy,
        rejection::Rejection,
        share::{self, Line, ShareFlow, ShareReason, Vesting},
    },
};
use serde::{Deserialize, Serialize};

/// A model: a named thing that is owned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// Its full name.
    pub name: ModelName,
    /// A description, in its founder's words.
    pub description: String,
    /// The account that founded it.
    pub founder: AccountId,
    /// The height of its founding.
    pub created: Height,
    /// The accounts named to countersign contributions and publish versions without holding shares. Only those that
    /// accepted are stewards: see [`crate::rules::office`].
    pub stewards: Vec<AccountId>,
    /// How its owners decide.
    pub policy: ModelPolicy,
    /// The terms under which it is used, if the owners set any.
    pub licence: Option<Licence>,
    /// Who may read its artifacts, and how many copies there should be.
    pub distribution: Distribution,
    /// The version that was released last, unless it was withdrawn.
    pub released: Option<VersionLabel>,
    /// The height at which its owners ended it.
    pub retired: Option<Height>,
}

impl Record for Model {
    type Key = ModelId;
    const FAMILY: Family = Family::Model;
}

/// How many things of a model have been numbered so far. The counts change often, so they are separate from the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCounters {
    /// Number of contributions recorded.
    pub contributions: u64,
    /// Number of proposals opened.
    pub proposals: u64,
    /// Number of rounds opened.
    pub rounds: u64,
    /// Number of disputes opened.
    pub disputes: u64,
    /// Number of incidents reported.
    pub incidents: u64,
    /// Number of issues that holders could take up.
    pub issues: u64,
    /// Number of emergency stops.
    pub stops: u64,
    /// The numbers of the rounds that are not over, at most [`limits::OPEN_ROUNDS`].
    pub open_rounds: Vec<u64>,
}

impl Record for ModelCounters {
    type Key = ModelId;
    const FAMILY: Family = Family::ModelCounters;
}

/// The model with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOf(pub ModelId);

impl Record for ModelOf {
    type Key = (crate::ground::ids::Handle, Name);
    const FAMILY: Family = Family::ModelName;
}

impl Model {
    pub(crate) fn existing(state: &Overlay<'_>, id: ModelId) -> Result<Self, Rejection> {
        state.read::<Self>(&id).ok_or(Rejection::UnknownModel(id))
    }

    /// Checks that an account has a say in the model's affairs: it is a steward, or holds shares.
    pub(crate) fn require_own(&self, state: &Overlay<'_>, account: AccountId) -> Result<(), Rejection> {
        if self.is_steward(state, account) || share::balance(state, self.id, account) > Units::ZERO {
            Ok(())
        } else {
            Err(Rejection::NotOfModel { account, model: self.id })
        }
    }

    /// Checks that its owners have not ended it.
    pub(crate) fn require_active(&self) -> Result<(), Rejection> {
        match self.retired {
            Some(height) => Err(Rejection::Retired { model: self.id, height }),
            None => Ok(()),
        }
    }

    /// Whether an account is named a steward, and has accepted.
    pub(crate) fn is_steward(&self, state: &Overlay<'_>, account: AccountId) -> bool {
        self.stewards.contains(&account) && office::holds(state, &Office::Steward(self.id), account)
    }

    pub(crate) fn require_steward(&self, state: &Overlay<'_>, account: AccountId) -> Result<(), Rejection> {
        if self.is_steward(state, account) {
            return Ok(());
        }
        Err(Rejection::NotSteward { account, model: self.id })
    }

    /// The accounts named for each office of the model.
    pub fn names(&self) -> office::Names {
        let mut names = office::of_policy(self.id, &self.policy);
        names.insert(Office::Steward(self.id), self.stewards.iter().copied().collect());
        names
    }
}

/// The terms under which a model is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Licence {
    /// An SPDX licence expression, such as `Apache-2.0 OR MIT`. The ledger checks only its characters.
    Spdx(String),
    /// The hash of the terms.
    Terms(ContentHash),
}

impl Licence {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let Self::Spdx(expression) = self else { return Ok(()) };
        let letters = |c: char| c.is_ascii_alphanumeric() || " .-+():".contains(c);
        let sound = (1..=limits::TITLE_SIZE_BYTES).contains(&expression.len()) && expression.chars().all(letters);
        if sound {
            return Ok(());
        }
        let problem = "is not an SPDX expression, such as `Apache-2.0 OR MIT`; for other terms give their hash".into();
        Err(Invalid::Form { field: "licence", problem })
    }
}

/// Checks a list of 1 to [`limits::STEWARDS`] stewards, each once.
pub(crate) fn check_stewards(stewards: &[AccountId]) -> Result<(), Invalid> {
    check_count("stewards", stewards.len(), limits::STEWARDS)?;
    let form = |problem: &str| Err(Invalid::Form { field: "stewards", problem: problem.into() });
    if stewards.is_empty() {
        return form("are missing; a model has at least one, or nobody could countersign what is given to it");
    }
    let mut seen = std::collections::BTreeSet::new();
    if !stewards.iter().all(|steward| seen.insert(*steward)) {
        return form("an account is listed twice; list each once");
    }
    Ok(())
}

/// Checks that a model has as many stewards as its policy requires countersignatures.
pub(crate) fn check_countersigners(stewards: &[AccountId], policy: &ModelPolicy) -> Result<(), Rejection> {
    let stewards = u32::try_from(stewards.len()).unwrap_or(u32::MAX);
    let countersigners = policy.countersigners;
    if countersigners <= stewards { Ok(()) } else { Err(Rejection::TooFewStewards { stewards, countersigners }) }
}

/// Checks that every account in a policy exists.
pub(crate) fn check_policy_accounts(
    state: &Overlay<'_>,
    context: &Context,
    policy: &ModelPolicy,
) -> Result<(), Rejection> {
    let arbiters = policy.arbiters.iter().flat_map(|arbiters| &arbiters.accounts);
    let in_roles = policy.roles.iter().flat_map(|role| &role.accounts);
    let for_emergencies = policy.emergency.iter().flat_map(|emergency| &emergency.accounts);
    let mut named = policy.guardian.iter().chain(arbiters).chain(in_roles).chain(for_emergencies);
    named.try_for_each(|account| context.existing_account(state, *account).map(drop))
}

/// One line of a founding table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FoundingLine {
    /// The holder.
    pub account: AccountId,
    /// Number of units; at least 1.
    pub units: Units,
    /// When they become the holder's to give away. `None` means at once.
    pub vesting: Option<Vesting>,
}

/// Found a model in the sender's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateModel {
    /// Its name within the namespace.
    pub name: Name,
    /// A description.
    pub description: String,
    /// What each holder has from the start, each account once.
    pub founding: Vec<FoundingLine>,
    /// Its stewards, each account once.
    pub stewards: Vec<AccountId>,
    /// How its owners decide.
    pub policy: ModelPolicy,
    /// The terms under which it is used, if they are settled.
    pub licence: Option<Licence>,
    /// Who may read its artifacts, and how many copies there should be.
    pub distribution: Distribution,
    /// Units for the holders of models that it is derived from, in proportion to what each of them holds there.
    pub grants: Vec<ParentGrant>,
}

/// Founding units for the holders of another model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParentGrant {
    /// The model that the new one is derived from.
    pub parent: ModelId,
    /// Units for all its holders together; at least 1.
    pub units: Units,
}

impl CreateModel {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("description", &self.description, limits::TEXT_SIZE_BYTES)?;
        check_count("founding", self.founding.len(), limits::FOUNDING_LINES)?;
        check_stewards(&self.stewards)?;
        self.licence.as_ref().map_or(Ok(()), Licence::check)?;
        self.distribution.check()?;
        check_count("grants", self.grants.len(), limits::PARENT_GRANTS)?;
        self.founding.iter().filter_map(|line| line.vesting).try_for_each(|vesting| vesting.check())?;
        let form = |field, problem: &str| Err(Invalid::Form { field, problem: problem.into() });
        if self.founding.is_empty() {
            return form("founding", "a model has at least one holder; name who owns it");
        }
        if self.founding.iter().any(|line| line.units == Units::ZERO) {
            return form("founding", "a line holds zero units; leave it out, or give it units");
        }
        if self.grants.iter().any(|grant| grant.units == Units::ZERO) {
            return form("grants", "a grant is of zero units; leave it out, or give it units");
        }
        let mut parents = std::collections::BTreeSet::new();
        if !self.grants.iter().all(|grant| parents.insert(grant.parent)) {
            return form("grants", "a model is listed twice; add its units up in one grant");
        }
        let mut seen = std::collections::BTreeSet::new();
        if !self.founding.iter().all(|line| seen.insert(line.account)) {
            return form("founding", "an account is listed twice; add its units up in one line");
        }
        self.policy.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: &crate::rules::account::Account,
    ) -> Result<Vec<Event>, Rejection> {
        let name = ModelName { namespace: sender.handle.clone(), name: self.name.clone() };
        let key = (name.namespace.clone(), name.name.clone());
        if state.read::<ModelOf>(&key).is_some() {
            return Err(Rejection::ModelNameTaken(name));
        }
        for account in self.stewards.iter().chain(self.founding.iter().map(|line| &line.account)) {
            context.existing_account(state, *account)?;
        }
        check_policy_accounts(state, context, &self.policy)?;
        check_countersigners(&self.stewards, &self.policy)?;
        let model = Model {
            id: context.model_id(),
            name,
            description: self.description.clone(),
            founder: sender.id,
            created: context.height,
            stewards: self.stewards.clone(),
            policy: self.policy.clone(),
            licence: self.licence.clone(),
            distribution: self.distribution,
            released: None,
            retired: None,
        };
        state.write(&key, &ModelOf(model.id));
        state.write(&model.id, &model);
        let mut events = vec![Event::ModelCreated { model: model.id, name: model.name.clone(), founder: sender.id }];
        for line in &self.founding {
            // An account that signs has asked for the units.
            if line.account != sender.id {
                intake::require(state, model.id, line.account)?;
            }
            let holder = Line { model: model.id, account: line.account };
            events.push(share::change(state, context, holder, ShareFlow::In, line.units, ShareReason::Founding)?);
            if let Some(vesting) = &line.vesting {
                share::vest(state, context, holder, line.units, vesting)?;
            }
        }
        let mut room = limits::PARENT_GRANT_HOLDERS;
        for grant in &self.grants {
            events.extend(grant_to_parent(state, context, model.id, grant, &mut room)?);
        }
        let signed = Some((sender.id, context.height));
        events.extend(office::rename(state, context, &office::Names::new(), &model.names(), signed));
        Ok(events)
    }
}

/// Divides a grant among the current holders of the parent; `room` is how many more holders can be served.
fn grant_to_parent(
    state: &mut Overlay<'_>,
    context: &Context,
    model: ModelId,
    grant: &ParentGrant,
    room: &mut usize,
) -> Result<Vec<Event>, Rejection> {
    Model::existing(state, grant.parent)?;
    let holders = share::lines(state, grant.parent, room.saturating_add(1));
    *room = room.checked_sub(holders.len()).ok_or(Rejection::GrantTooWide(grant.parent))?;
    let held: Vec<u64> = holders.iter().map(|line| line.units.get()).collect();
    let mut events = Vec::new();
    for (line, units) in holders.iter().zip(apportion(grant.units.get(), &held)) {
        // An account that takes no units unasked does not prevent deriving a model; its units are not granted to
        // anybody else.
        if units > 0 && intake::takes(state, model, line.account) {
            let reason = ShareReason::Lineage { parent: grant.parent };
            let line = Line { model, account: line.account };
            events.push(share::change(state, context, line, ShareFlow::In, Units::new(units), reason)?);
        }
    }
    Ok(events)
}

/// The status of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum VersionStatus {
    /// Recorded, without a decision.
    Published,
    /// Released by a decision.
    Released {
        /// The proposal.
        proposal: ProposalId,
        /// The height at which it was executed.
        height: Height,
    },
    /// Released, and since then discouraged.
    Deprecated {
        /// The deprecating proposal.
        proposal: ProposalId,
        /// The height at which it was executed.
        height: Height,
        /// The reason.
        reason: String,
    },
    /// Withdrawn: it must not be used or served.
    Withdrawn {
        /// The withdrawing proposal. `None` if a dispute about the version was upheld.
        proposal: Option<ProposalId>,
        /// The height of the withdrawal.
        height: Height,
        /// The reason.
        reason: String,
    },
}

impl VersionStatus {
    /// The status's name.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}

/// A version, identified across models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionRef {
    /// The model.
    pub model: ModelId,
    /// The version's label.
    pub label: VersionLabel,
}

/// One artifact of a model, with its lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Version {
    /// The model.
    pub model: ModelId,
    /// Its label.
    pub label: VersionLabel,
    /// The artifact.
    pub artifact: Artifact,
    /// The versions it was made from.
    pub parents: Vec<VersionRef>,
    /// The hash of the training plan.
    pub training_plan: Option<ContentHash>,
    /// The hashes of the data sets.
    pub datasets: Vec<ContentHash>,
    /// The release notes, in the publisher's words.
    pub notes: String,
    /// The account that published it.
    pub publisher: AccountId,
    /// The height of the publication.
    pub published: Height,
    /// The status of the version.
    pub status: VersionStatus,
    /// Its suspension, if it is suspended.
    pub suspended: Option<Suspension>,
}

impl Record for Version {
    type Key = (ModelId, VersionLabel);
    const FAMILY: Family = Family::Version;
}

/// Records that an artifact is a version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactUse(pub VersionRef);

impl Record for ArtifactUse {
    type Key = (ArtifactId, ModelId);
    const FAMILY: Family = Family::ArtifactUse;
}

/// Record an artifact as a version of a model, to be released by a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishVersion {
    /// The model.
    pub model: ModelId,
    /// The version's label, new to the model.
    pub label: VersionLabel,
    /// The artifact.
    pub artifact: Artifact,
    /// The versions it was made from.
    pub parents: Vec<VersionRef>,
    /// The hash of the training plan.
    pub training_plan: Option<ContentHash>,
    /// The hashes of the data sets.
    pub datasets: Vec<ContentHash>,
    /// The release notes.
    pub notes: String,
    /// The salt of the publisher's commitment to the artifact, if it made one: see [`crate::rules::commitment`].
    pub committed: Option<ContentHash>,
}

impl PublishVersion {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.artifact.check()?;
        check_text("notes", &self.notes, limits::TEXT_SIZE_BYTES)?;
        check_count("parents", self.parents.len(), limits::VERSION_PARENTS)?;
        check_count("datasets", self.datasets.len(), limits::VERSION_DATASETS)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let model = Model::existing(state, self.model)?;
        model.require_active()?;
        model.require_own(state, sender)?;
        let key = (self.model, self.label.clone());
        if state.read::<Version>(&key).is_some() {
            return Err(Rejection::VersionExists { model: self.model, label: self.label.clone() });
        }
        let artifact_key = (self.artifact.address, self.model);
        if let Some(ArtifactUse(used)) = state.read::<ArtifactUse>(&artifact_key) {
            return Err(Rejection::ArtifactIsVersion { artifact: self.artifact.address, label: used.label });
        }
        let version = Version {
            model: self.model,
            label: self.label.clone(),
            artifact: self.artifact.clone(),
            parents: self.parents.clone(),
            training_plan: self.training_plan,
            datasets: self.datasets.clone(),
            notes: self.notes.clone(),
            publisher: sender,
            published: context.height,
            status: VersionStatus::Published,
            suspended: None,
        };
        for parent in &self.parents {
            add_child(state, parent, &version)?;
        }
        let address = self.artifact.address;
        let since = commitment::known_since(state, context, self.model, sender, address, self.committed)?;
        let taken_over = commitment::govern(state, context, &model, since, address)?;
        state.write(&key, &version);
        state.write(&artifact_key, &ArtifactUse(VersionRef { model: self.model, label: self.label.clone() }));
        let published = Event::VersionPublished {
            model: self.model,
            label: self.label.clone(),
            artifact: self.artifact.address,
            publisher: sender,
        };
        Ok(std::iter::once(published).chain(taken_over).collect())
    }
}

pub(crate) fn existing_version(
    state: &Overlay<'_>,
    model: ModelId,
    label: &VersionLabel,
) -> Result<Version, Rejection> {
    let unknown = || Rejection::UnknownVersion { model, label: label.clone() };
    state.read::<Version>(&(model, label.clone())).ok_or_else(unknown)
}

pub(crate) fn wrong_status(version: Version) -> Rejection {
    let status = version.status.name().into();
    Rejection::WrongVersionStatus { model: version.model, label: version.label, status }
}

/// Records that a version was made from another: the lineage, from parent to child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildOf(pub VersionRef);

impl Record for ChildOf {
    /// The parent, then the child.
    type Key = ((ModelId, VersionLabel), (ModelId, VersionLabel));
    const FAMILY: Family = Family::ChildOf;
}

/// Records a version as a child of one of its parents, which must exist.
fn add_child(state: &mut Overlay<'_>, parent: &VersionRef, child: &Version) -> Result<(), Rejection> {
    existing_version(state, parent.model, &parent.label)?;
    let key = ((parent.model, parent.label.clone()), (child.model, child.label.clone()));
    state.write(&key, &ChildOf(VersionRef { model: child.model, label: child.label.clone() }));
    Ok(())
}
