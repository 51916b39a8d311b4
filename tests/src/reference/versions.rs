//! Versions: published by those who have a say, and what decisions make of them; what is attested of their artifacts.

use super::{Model, Refused, Suspended, World};
use allod_protocol::{
    ground::ids::{AccountId, ArtifactId, ContentHash, ModelId, VersionLabel},
    rules::{
        access::Readers,
        attestation::{Attest, Finding},
        commitment::{CommitArtifact, commitment},
        dispute::DisputeTarget,
        model::{PublishVersion, VersionRef},
    },
};

/// Commitments of an account for a model.
const COMMITMENTS: usize = 16;
/// Thirty-one days.
const COMMITMENT_MS: u64 = 31 * 24 * 60 * 60 * 1_000;
/// Parents of one version at most.
const VERSION_PARENTS: usize = 16;

/// That somebody knew an artifact.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// Since when.
    pub height: u64,
    /// Until when it counts.
    pub until: u64,
    /// What stands for the artifact.
    pub hash: ContentHash,
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum VersionStatus {
    Published,
    Released,
    Deprecated,
    Withdrawn,
}

/// A version.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its artifact.
    pub artifact: ArtifactId,
    /// Who published it.
    pub publisher: AccountId,
    /// What it was made from.
    pub parents: Vec<VersionRef>,
    /// Where it stands.
    pub status: VersionStatus,
    /// By what it is suspended.
    pub suspended: Option<Suspended>,
}

impl World {
    pub(super) fn require_own(&self, id: ModelId, account: AccountId) -> Result<(), Refused> {
        let own = self.model(id).map(|_| self.is_steward(id, account))? || self.held(id, account) > 0;
        if own { Ok(()) } else { Err("not_of_model") }
    }

    pub(super) fn require_active(&self, id: ModelId) -> Result<(), Refused> {
        if self.model(id)?.retired { Err("retired") } else { Ok(()) }
    }

    pub(super) fn publish(&mut self, sender: AccountId, asked: &PublishVersion) -> Result<(), Refused> {
        self.require_active(asked.model)?;
        self.require_own(asked.model, sender)?;
        let artifact = asked.artifact.address;
        let versions = &self.model(asked.model)?.versions;
        if versions.contains_key(&asked.label) {
            return Err("version_exists");
        }
        if versions.values().any(|version| version.artifact == artifact) {
            return Err("artifact_is_version");
        }
        for parent in &asked.parents {
            self.version(parent.model, &parent.label)?;
        }
        let since = match asked.committed {
            Some(salt) => self.take_commitment(asked.model, sender, artifact, salt)?,
            None => self.height,
        };
        let (origin, known) = *self.origins.entry(artifact).or_insert((asked.model, since));
        if origin != asked.model && since < known {
            self.origins.insert(artifact, (asked.model, since));
        } else if origin != asked.model && self.model(asked.model)?.distribution.readers != Readers::Public {
            return Err("artifact_governed");
        }
        let (parents, status) = (asked.parents.clone(), VersionStatus::Published);
        let version = Version { artifact, publisher: sender, parents, status, suspended: None };
        self.existing_mut(asked.model).versions.insert(asked.label.clone(), version);
        Ok(())
    }

    pub(super) fn commit(&mut self, sender: AccountId, asked: &CommitArtifact) -> Result<(), Refused> {
        self.require_active(asked.model)?;
        self.require_own(asked.model, sender)?;
        let (height, time) = (self.height, self.time);
        let made = self.commitments.entry((asked.model, sender)).or_default();
        made.retain(|made| made.until > time && made.hash != asked.commitment);
        made.push(Committed { height, until: time + COMMITMENT_MS, hash: asked.commitment });
        if made.len() > COMMITMENTS {
            made.remove(0);
        }
        Ok(())
    }

    /// The height of a commitment, which is used up.
    fn take_commitment(
        &mut self,
        model: ModelId,
        sender: AccountId,
        artifact: ArtifactId,
        salt: ContentHash,
    ) -> Result<u64, Refused> {
        let (time, wanted) = (self.time, commitment(model, sender, artifact, salt));
        let made = self.commitments.entry((model, sender)).or_default();
        let place = made.iter().position(|made| made.until > time && made.hash == wanted);
        Ok(made.remove(place.ok_or("not_committed")?).height)
    }

    pub(super) fn version(&self, model: ModelId, label: &VersionLabel) -> Result<&Version, Refused> {
        self.models.get(&model).and_then(|model| model.versions.get(label)).ok_or("unknown_version")
    }

    pub(super) fn release(&mut self, id: ModelId, label: &VersionLabel) -> Result<(), Refused> {
        self.require_active(id)?;
        if self.version(id, label)?.status != VersionStatus::Published {
            return Err("wrong_version_status");
        }
        self.require_unfrozen(&DisputeTarget::Version { model: id, label: label.clone() })?;
        self.require_not_suspended(id, label)?;
        let model = self.existing_mut(id);
        model.released = Some(label.clone());
        model.set_status(label, VersionStatus::Released);
        Ok(())
    }

    pub(super) fn deprecate(&mut self, id: ModelId, label: &VersionLabel) -> Result<(), Refused> {
        if self.version(id, label)?.status != VersionStatus::Released {
            return Err("wrong_version_status");
        }
        self.existing_mut(id).set_status(label, VersionStatus::Deprecated);
        Ok(())
    }

    pub(super) fn withdraw_version(&mut self, id: ModelId, label: &VersionLabel) -> Result<(), Refused> {
        if self.version(id, label)?.status == VersionStatus::Withdrawn {
            return Err("wrong_version_status");
        }
        self.end_suspension(id, label);
        let model = self.existing_mut(id);
        model.set_status(label, VersionStatus::Withdrawn);
        model.released.take_if(|released| released == label);
        Ok(())
    }

    pub(super) fn claim_lineage(
        &mut self,
        id: ModelId,
        label: &VersionLabel,
        claimed: &[VersionRef],
    ) -> Result<(), Refused> {
        let mut parents = self.version(id, label)?.parents.clone();
        let itself = VersionRef { model: id, label: label.clone() };
        for parent in claimed {
            if *parent == itself || parents.contains(parent) {
                return Err("known_parent");
            }
            self.version(parent.model, &parent.label)?;
            parents.push(parent.clone());
        }
        if parents.len() > VERSION_PARENTS {
            return Err("too_many_parents");
        }
        if let Some(version) = self.existing_mut(id).versions.get_mut(label) {
            version.parents = parents;
        }
        Ok(())
    }

    pub(super) fn attest(&mut self, sender: AccountId, asked: &Attest) -> Result<(), Refused> {
        let key = (asked.artifact, asked.statement.clone(), sender);
        let stands = self.attestations.get(&key).is_some_and(|said| *said != Finding::Withdrawn);
        if asked.finding == Finding::Withdrawn && !stands {
            return Err("nothing_attested");
        }
        self.attestations.insert(key, asked.finding);
        Ok(())
    }
}

impl Model {
    fn set_status(&mut self, label: &VersionLabel, status: VersionStatus) {
        if let Some(version) = self.versions.get_mut(label) {
            version.status = status;
        }
    }
}
