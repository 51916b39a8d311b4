//! What this peer holds and serves to nobody, or not to everybody, by the ledger's word: versions that were withdrawn,
//! and those that are for holders or licensees.
//!
//! A request names a blob, a version names an artifact. So every blob that may be asked for is listed beforehand, with
//! the artifact that governs it: of those that are here whole and have it, the one that was published first. Whoever
//! publishes a collection with somebody else's file in it does not open the file by that, and does not close it. A blob
//! that is not listed is served to nobody.
//!
//! The list is made anew when the terms of a model change and when a version is withdrawn; what comes into the store is
//! added. Who reads what is not free is asked of the ledger at every request.

use crate::peer_key;
use allod_protocol::{
    access::{self, ArtifactOrigin, Readers},
    artifact::{Artifact, ArtifactKind},
    ids::{ArtifactId, Height, ModelName, Timestamp},
    model::{ArtifactUse, Model, Version, VersionStatus},
    state::{Direction, StateError, StateRead, page, read},
};
use allod_storage::{
    Ledger,
    artifacts::{ArtifactError, ArtifactStore},
};
use libp2p::PeerId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Versions of one artifact that are looked at, in the order of their models: the question stays bounded, whoever
/// publishes the artifact again and again.
const VERSIONS: usize = 1_024;

/// On what terms an artifact is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// To everybody.
    Free,
    /// To whom the ledger entitles.
    Restricted {
        /// The model whose owners decide.
        model: ModelName,
        /// Who reads.
        readers: Readers,
    },
    /// To nobody: the version was withdrawn.
    Withdrawn,
    /// To nobody yet: no version has it, and whoever brought it here wants it to wait for one.
    Waiting,
}

impl Terms {
    /// The terms of an artifact, and when it was published, if it was.
    ///
    /// # Errors
    /// When the ledger or the store cannot be read.
    pub(crate) fn of(
        store: &ArtifactStore,
        state: &impl StateRead,
        address: &ArtifactId,
    ) -> Result<(Self, Option<Height>), GateError> {
        let waits_for = store.unlisted_for(address)?;
        match read::<ArtifactOrigin>(state, address)? {
            None => Ok((if waits_for.is_some() { Self::Waiting } else { Self::Free }, None)),
            // Another model was first: what this peer's operator did not mean for everybody, that model does not open.
            Some(origin) if waits_for.is_some_and(|model| model != origin.model) => {
                Ok((Self::Waiting, Some(origin.published)))
            }
            Some(origin) => Ok((Self::on_ledger(state, address, &origin)?, Some(origin.published))),
        }
    }

    /// The terms of an artifact that some version is.
    fn on_ledger(state: &impl StateRead, address: &ArtifactId, origin: &ArtifactOrigin) -> Result<Self, StateError> {
        let version = match read::<ArtifactUse>(state, &(*address, origin.model))? {
            Some(ArtifactUse(version)) => read::<Version>(state, &(version.model, version.label))?,
            None => None,
        };
        if version.is_some_and(|version| matches!(version.status, VersionStatus::Withdrawn { .. })) {
            return Ok(Self::Withdrawn);
        }
        Ok(match read::<Model>(state, &origin.model)? {
            Some(Model { name, distribution, .. }) if distribution.readers != Readers::Public => {
                Self::Restricted { model: name, readers: distribution.readers }
            }
            _ => Self::Free,
        })
    }
}

/// Whether a peer is served an artifact at a block time.
///
/// # Errors
/// When the ledger or the store cannot be read.
pub(crate) fn admits(
    store: &ArtifactStore,
    state: &impl StateRead,
    artifact: &ArtifactId,
    (peer, now): (&PeerId, Timestamp),
) -> Result<bool, GateError> {
    match (Terms::of(store, state, artifact)?.0, peer_key::of_peer(peer)) {
        (Terms::Free, _) => Ok(true),
        (Terms::Restricted { .. }, Some(key)) => Ok(access::may_read(state, *artifact, &key, now)?),
        (Terms::Withdrawn | Terms::Waiting | Terms::Restricted { .. }, _) => Ok(false),
    }
}

/// Whether some version that has the artifact is released, deprecated ones included.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) fn is_released(state: &impl StateRead, address: &ArtifactId) -> Result<bool, StateError> {
    let (uses, _) = page::<ArtifactUse>(state, address, None, Direction::Ascending, VERSIONS)?;
    for ArtifactUse(version) in uses {
        let version = read::<Version>(state, &(version.model, version.label))?;
        let status = version.map(|version| version.status);
        if matches!(status, Some(VersionStatus::Released { .. } | VersionStatus::Deprecated { .. })) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Why the list could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
}

/// What the list says of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Everybody may have it.
    Free,
    /// Who may have it is asked of the ledger, by this artifact.
    By(ArtifactId),
    /// No artifact that is here whole has it: nobody may. So it is while an artifact arrives, and where a manifest
    /// cannot be read.
    Unknown,
}

/// What governs a blob. Of several the smallest does: what was published first, and of one block, on the safe side,
/// what is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Governor {
    published: Height,
    is_free: bool,
    artifact: ArtifactId,
}

type List = BTreeMap<ArtifactId, Governor>;

/// The list of every blob that may be asked for. It starts empty: then nobody gets anything. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    list: Arc<RwLock<List>>,
    /// Held while the list is changed, so that an older view of the ledger never replaces a newer one.
    changing: Arc<Mutex<()>>,
}

impl Gate {
    /// Who may have a blob.
    pub(crate) fn ruling(&self, blob: &ArtifactId) -> Ruling {
        match self.list.read().unwrap_or_else(PoisonError::into_inner).get(blob) {
            Some(governor) if governor.is_free => Ruling::Free,
            Some(governor) => Ruling::By(governor.artifact),
            None => Ruling::Unknown,
        }
    }

    /// Makes the list anew; gives the artifacts that are served to nobody. Blocks.
    ///
    /// # Errors
    /// When the store or the ledger cannot be read: the list is empty then.
    pub(crate) fn refresh(&self, store: &ArtifactStore, ledger: &Ledger) -> Result<Vec<ArtifactId>, GateError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let made = make(store, &ledger.snapshot());
        let (list, to_nobody) = match made {
            Ok((list, to_nobody)) => (list, Ok(to_nobody)),
            Err(error) => (List::new(), Err(error)),
        };
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
        to_nobody
    }

    /// Adds an artifact that has come into the store, or has just been published. Blocks.
    ///
    /// # Errors
    /// When the store or the ledger cannot be read: then it is not added.
    pub(crate) fn add(&self, store: &ArtifactStore, ledger: &Ledger, address: &ArtifactId) -> Result<(), GateError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let artifact = store.artifact(address)?;
        let (terms, published) = Terms::of(store, &ledger.snapshot(), address)?;
        let (governor, blobs) = (governor(&terms, published, *address), blobs_of(store, &artifact)?);
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        govern(&mut list, governor, blobs);
        Ok(())
    }
}

/// What is no version yet comes last.
fn governor(terms: &Terms, published: Option<Height>, artifact: ArtifactId) -> Governor {
    Governor { published: published.unwrap_or(Height::new(u64::MAX)), is_free: *terms == Terms::Free, artifact }
}

fn govern(list: &mut List, governor: Governor, blobs: Vec<ArtifactId>) {
    for blob in blobs {
        list.entry(blob).and_modify(|present| *present = (*present).min(governor)).or_insert(governor);
    }
}

fn make(store: &ArtifactStore, state: &impl StateRead) -> Result<(List, Vec<ArtifactId>), GateError> {
    let (mut list, mut to_nobody) = (List::new(), Vec::new());
    for artifact in store.list()? {
        let (terms, published) = Terms::of(store, state, &artifact.address)?;
        if matches!(terms, Terms::Withdrawn | Terms::Waiting) {
            to_nobody.push(artifact.address);
        }
        let governor = governor(&terms, published, artifact.address);
        match blobs_of(store, &artifact) {
            Ok(blobs) => govern(&mut list, governor, blobs),
            // Its files are known again once it is mended.
            Err(error) => {
                tracing::warn!(artifact = %artifact.address, %error, "cannot tell which files an artifact has; they are not served");
                govern(&mut list, governor, vec![artifact.address]);
            }
        }
    }
    Ok((list, to_nobody))
}

fn blobs_of(store: &ArtifactStore, artifact: &Artifact) -> Result<Vec<ArtifactId>, ArtifactError> {
    let mut blobs = vec![artifact.address];
    if artifact.kind == ArtifactKind::Collection {
        blobs.extend(store.manifest(&artifact.address)?.files().iter().map(|file| file.address));
    }
    Ok(blobs)
}
