//! What this peer holds and does not serve, by the ledger's word: the bytes of versions that were withdrawn.
//!
//! A request names a blob, a version names an artifact. So the blobs of withdrawn artifacts are listed beforehand, less
//! those that an artifact which may be served has too. The list is made anew when a decision withdraws a version, and
//! when something comes into the store; asking it costs a look into memory.

use allod_protocol::{
    artifact::{Artifact, ArtifactKind},
    ids::ArtifactId,
    model::{ArtifactUse, Version, VersionStatus},
    state::{Direction, StateError, StateRead, page, read},
};
use allod_storage::artifacts::{ArtifactError, ArtifactStore};
use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

/// Versions of one artifact that are looked at, in the order of their models: the question stays bounded, whoever
/// publishes the artifact again and again.
const VERSIONS: usize = 1_024;

/// What the versions of an artifact say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No version on the ledger has it.
    Unknown,
    /// Some version has it, and it is not withdrawn.
    Published,
    /// Some version that has it is released, deprecated ones included.
    Released,
    /// Every version that has it is withdrawn.
    Withdrawn,
}

impl Standing {
    /// # Errors
    /// When the ledger cannot be read.
    pub(crate) fn of(state: &impl StateRead, address: &ArtifactId) -> Result<Self, StateError> {
        let (uses, _) = page::<ArtifactUse>(state, address, None, Direction::Ascending, VERSIONS)?;
        let mut standing = Self::Unknown;
        for ArtifactUse(version) in uses {
            let Some(version) = read::<Version>(state, &(version.model, version.label))? else { continue };
            standing = match (version.status, standing) {
                (VersionStatus::Released { .. } | VersionStatus::Deprecated { .. }, _) => return Ok(Self::Released),
                (VersionStatus::Withdrawn { .. }, Self::Unknown) => Self::Withdrawn,
                (VersionStatus::Withdrawn { .. }, other) => other,
                (VersionStatus::Published, _) => Self::Published,
            };
        }
        Ok(standing)
    }
}

/// Why the list could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WithheldError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
}

/// The list. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Withheld(Arc<RwLock<BTreeSet<ArtifactId>>>);

impl Withheld {
    /// Whether a blob is not to be served.
    pub(crate) fn holds(&self, blob: &ArtifactId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(blob)
    }

    /// Makes the list anew; gives the artifacts that are withdrawn. Blocks.
    ///
    /// # Errors
    /// When the store or the ledger cannot be read; the old list stays.
    pub(crate) fn refresh(
        &self,
        store: &ArtifactStore,
        state: &impl StateRead,
    ) -> Result<Vec<ArtifactId>, WithheldError> {
        let (mut withdrawn, mut served) = (Vec::new(), Vec::new());
        for artifact in store.list()? {
            let standing = Standing::of(state, &artifact.address)?;
            if standing == Standing::Withdrawn { withdrawn.push(artifact) } else { served.push(artifact) }
        }
        let mut blobs = BTreeSet::new();
        for artifact in &withdrawn {
            blobs.extend(blobs_of(store, artifact)?);
        }
        // Nothing to take out of nothing: the usual case reads no manifest.
        for artifact in served.iter().filter(|_| !withdrawn.is_empty()) {
            for blob in blobs_of(store, artifact)? {
                blobs.remove(&blob);
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = blobs;
        Ok(withdrawn.into_iter().map(|artifact| artifact.address).collect())
    }
}

fn blobs_of(store: &ArtifactStore, artifact: &Artifact) -> Result<Vec<ArtifactId>, ArtifactError> {
    let mut blobs = vec![artifact.address];
    if artifact.kind == ArtifactKind::Collection {
        match store.manifest(&artifact.address) {
            Ok(manifest) => blobs.extend(manifest.files().iter().map(|file| file.address)),
            // Which files a damaged manifest names is known again once it is mended; the others do not wait for it.
            Err(error) if error.damaged().is_some() => tracing::warn!(%error, "cannot tell which files are withheld"),
            Err(error) => return Err(error),
        }
    }
    Ok(blobs)
}
