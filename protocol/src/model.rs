//! Models and their versions: what is owned, and what was released of it.

use crate::{
    artifact::Artifact,
    event::Event,
    execute::Context,
    ids::{AccountId, ArtifactId, ContentHash, Height, ModelId, ModelName, Name, ProposalId, Units, VersionLabel},
    limits,
    policy::ModelPolicy,
    rejection::Rejection,
    share::{self, ShareFlow, ShareReason},
    state::{Family, Overlay, Record, StateRead},
    transaction::{Invalid, check_count, check_text},
};
use serde::{Deserialize, Serialize};

/// A model: a named thing that is owned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// Its full name.
    pub name: ModelName,
    /// What it is, in its founder's words.
    pub description: String,
    /// The account that founded it.
    pub founder: AccountId,
    /// The height of its founding.
    pub created: Height,
    /// Who may countersign contributions and publish versions without holding shares.
    pub stewards: Vec<AccountId>,
    /// How its owners decide.
    pub policy: ModelPolicy,
    /// All units of its register together.
    pub total_units: Units,
    /// Accounts that hold at least one unit.
    pub holders: u64,
    /// Lines of the register's history so far.
    pub share_changes: u64,
    /// Contributions recorded so far.
    pub contributions: u64,
    /// Proposals opened so far.
    pub proposals: u64,
    /// The version released last.
    pub released: Option<VersionLabel>,
}

impl Record for Model {
    type Key = ModelId;
    const FAMILY: Family = Family::Model;
}

/// The model of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOf(pub ModelId);

impl Record for ModelOf {
    type Key = (crate::ids::Handle, Name);
    const FAMILY: Family = Family::ModelName;
}

impl Model {
    pub(crate) fn existing<S: StateRead + ?Sized>(state: &Overlay<'_, S>, id: ModelId) -> Result<Self, Rejection> {
        state.read::<Self>(&id).ok_or(Rejection::UnknownModel(id))
    }

    /// Whether an account has a say in the model's affairs: a steward, or a holder of shares.
    pub(crate) fn require_own<S: StateRead + ?Sized>(
        &self,
        state: &Overlay<'_, S>,
        account: AccountId,
    ) -> Result<(), Rejection> {
        if self.stewards.contains(&account) || share::balance(state, self.id, account) > Units::ZERO {
            Ok(())
        } else {
            Err(Rejection::NotOfModel { account, model: self.id })
        }
    }

    pub(crate) fn require_steward(&self, account: AccountId) -> Result<(), Rejection> {
        if self.stewards.contains(&account) { Ok(()) } else { Err(Rejection::NotSteward { account, model: self.id }) }
    }
}

/// One line of a founding table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundingLine {
    /// Who holds.
    pub account: AccountId,
    /// How many units; at least 1.
    pub units: Units,
}

/// Found a model in the sender's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateModel {
    /// Its name within the namespace.
    pub name: Name,
    /// What it is.
    pub description: String,
    /// Who holds what from the start, each account once.
    pub founding: Vec<FoundingLine>,
    /// Its stewards, each account once.
    pub stewards: Vec<AccountId>,
    /// How its owners decide.
    pub policy: ModelPolicy,
}

impl CreateModel {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("description", &self.description, limits::TEXT_SIZE_BYTES)?;
        check_count("founding", self.founding.len(), limits::FOUNDING_LINES)?;
        check_count("stewards", self.stewards.len(), limits::STEWARDS)?;
        let form = |field, problem: &str| Err(Invalid::Form { field, problem: problem.into() });
        if self.founding.is_empty() {
            return form("founding", "a model has at least one holder; name who owns it");
        }
        if self.founding.iter().any(|line| line.units == Units::ZERO) {
            return form("founding", "a line holds zero units; leave it out, or give it units");
        }
        let mut seen = std::collections::BTreeSet::new();
        if !self.founding.iter().all(|line| seen.insert(line.account)) {
            return form("founding", "an account is listed twice; add its units up in one line");
        }
        let mut seen = std::collections::BTreeSet::new();
        if !self.stewards.iter().all(|steward| seen.insert(*steward)) {
            return form("stewards", "an account is listed twice; list each once");
        }
        self.policy.check()
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: &crate::account::Account,
    ) -> Result<Vec<Event>, Rejection> {
        let name = ModelName { namespace: sender.handle.clone(), name: self.name.clone() };
        let key = (name.namespace.clone(), name.name.clone());
        if state.read::<ModelOf>(&key).is_some() {
            return Err(Rejection::ModelNameTaken(name));
        }
        for account in self.stewards.iter().chain(self.founding.iter().map(|line| &line.account)) {
            context.existing_account(state, *account)?;
        }
        let mut model = Model {
            id: context.model_id(),
            name,
            description: self.description.clone(),
            founder: sender.id,
            created: context.height,
            stewards: self.stewards.clone(),
            policy: self.policy.clone(),
            total_units: Units::ZERO,
            holders: 0,
            share_changes: 0,
            contributions: 0,
            proposals: 0,
            released: None,
        };
        state.write(&key, &ModelOf(model.id));
        state.write(&model.id, &model);
        let mut events = vec![Event::ModelCreated { model: model.id, name: model.name.clone(), founder: sender.id }];
        for line in &self.founding {
            let flow = (ShareFlow::In, line.units);
            events.push(share::change(state, context, &mut model, line.account, flow, ShareReason::Founding)?);
        }
        Ok(events)
    }
}

/// Where a version stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionStatus {
    /// Recorded, not decided on.
    Published,
    /// Released by a decision.
    Released {
        /// The proposal.
        proposal: ProposalId,
        /// The height at which it was executed.
        height: Height,
    },
}

/// A version named across models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRef {
    /// The model.
    pub model: ModelId,
    /// The version's label.
    pub label: VersionLabel,
}

/// One artifact of a model, with its lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The model.
    pub model: ModelId,
    /// Its label.
    pub label: VersionLabel,
    /// The artifact.
    pub artifact: Artifact,
    /// The versions it was made from.
    pub parents: Vec<VersionRef>,
    /// The training plan, by hash.
    pub training_plan: Option<ContentHash>,
    /// The data sets, by hash.
    pub datasets: Vec<ContentHash>,
    /// What changed, in the publisher's words.
    pub notes: String,
    /// Who published it.
    pub publisher: AccountId,
    /// When.
    pub published: Height,
    /// Where it stands.
    pub status: VersionStatus,
}

impl Record for Version {
    type Key = (ModelId, VersionLabel);
    const FAMILY: Family = Family::Version;
}

/// That an artifact is a version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactUse(pub VersionRef);

impl Record for ArtifactUse {
    type Key = (ArtifactId, ModelId);
    const FAMILY: Family = Family::ArtifactUse;
}

/// Record an artifact as a version of a model, to be released by a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishVersion {
    /// The model.
    pub model: ModelId,
    /// The version's label, new to the model.
    pub label: VersionLabel,
    /// The artifact.
    pub artifact: Artifact,
    /// The versions it was made from.
    pub parents: Vec<VersionRef>,
    /// The training plan, by hash.
    pub training_plan: Option<ContentHash>,
    /// The data sets, by hash.
    pub datasets: Vec<ContentHash>,
    /// What changed.
    pub notes: String,
}

impl PublishVersion {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("notes", &self.notes, limits::TEXT_SIZE_BYTES)?;
        check_count("parents", self.parents.len(), limits::VERSION_PARENTS)?;
        check_count("datasets", self.datasets.len(), limits::VERSION_DATASETS)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let model = Model::existing(state, self.model)?;
        model.require_own(state, sender)?;
        let key = (self.model, self.label.clone());
        if state.read::<Version>(&key).is_some() {
            return Err(Rejection::VersionExists { model: self.model, label: self.label.clone() });
        }
        let artifact_key = (self.artifact.address, self.model);
        if let Some(ArtifactUse(used)) = state.read::<ArtifactUse>(&artifact_key) {
            return Err(Rejection::ArtifactIsVersion { artifact: self.artifact.address, label: used.label });
        }
        for parent in &self.parents {
            if state.read::<Version>(&(parent.model, parent.label.clone())).is_none() {
                return Err(Rejection::UnknownVersion { model: parent.model, label: parent.label.clone() });
            }
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
        };
        state.write(&key, &version);
        state.write(&artifact_key, &ArtifactUse(VersionRef { model: self.model, label: self.label.clone() }));
        Ok(vec![Event::VersionPublished {
            model: self.model,
            label: self.label.clone(),
            artifact: self.artifact.address,
            publisher: sender,
        }])
    }
}

/// Releases a published version, as a decision says.
pub(crate) fn release<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &Context,
    model: &mut Model,
    label: &VersionLabel,
    proposal: ProposalId,
) -> Result<Event, Rejection> {
    let key = (model.id, label.clone());
    let mut version = state
        .read::<Version>(&key)
        .ok_or_else(|| Rejection::UnknownVersion { model: model.id, label: label.clone() })?;
    if version.status != VersionStatus::Published {
        return Err(Rejection::AlreadyReleased { model: model.id, label: label.clone() });
    }
    version.status = VersionStatus::Released { proposal, height: context.height };
    state.write(&key, &version);
    model.released = Some(label.clone());
    state.write(&model.id, model);
    Ok(Event::VersionReleased { model: model.id, label: label.clone(), artifact: version.artifact.address, proposal })
}
