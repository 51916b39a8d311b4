//! Who may get a blob: the terms of the artifact on whose behalf it is requested decide.
//!
//! A request names an artifact and a blob. It is answered if the whole artifact is here, if the blob belongs to it, and
//! if the artifact's own terms admit the requester: those of the model that governs it. Whether other artifacts contain
//! the same file does not matter. A LICENSE file that a stranger published for holders only hides no public model, and
//! a public model that claims the address of a private file is answered for like any other.
//!
//! To keep such a claim from opening anything, an artifact becomes whole here only with bytes that came for it: from
//! the operator's own directory, or from peers that have it whole and were asked on its behalf. A file that is already
//! here counts as having come for it if everybody may read the file here, or if it is here for another version of the
//! same model. Otherwise it is requested again ([`crate::exchange::fetch::Lending`]): an address is not a proof of
//! having the bytes, and a publisher who has none of them finds no provider in the first place.
//!
//! The list of which blobs are here for which artifacts is rebuilt when the terms of a model change and when a version
//! is withdrawn, suspended, or reinstated; artifacts that arrive in the store are added. For artifacts that are not
//! free, the ledger is asked at every request.

use crate::{
    exchange::serve::Asked,
    network::{Register, peer_key},
};
use allod_protocol::{
    ground::{
        ids::{ArtifactId, ModelId, ModelName, Timestamp},
        state::{Direction, StateError, StateRead, page, read},
    },
    rules::{
        access::{self, ArtifactOrigin, PeerBinding, Readers},
        account::Account,
        artifact::ArtifactKind,
        model::{ArtifactUse, Model, Version, VersionStatus},
    },
};
use allod_storage::{
    Ledger,
    artifacts::{ArtifactError, ArtifactStore, Awaited},
};
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Maximum number of versions of one artifact that are examined, in the order of their models. It bounds the work,
/// however often the artifact is published again.
const VERSIONS: usize = 1_024;

/// The terms on which an artifact is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// To everybody.
    Free,
    /// To those whom the ledger entitles.
    Restricted {
        /// The model whose owners decide.
        model: ModelName,
        /// The accounts that may read it.
        readers: Readers,
    },
    /// To nobody: the version was withdrawn.
    Withdrawn,
    /// To nobody for now: the version is suspended.
    Suspended,
    /// To nobody yet: it was imported for a version, and the ledger has not answered.
    Unpublished,
}

impl Terms {
    /// The terms of an artifact, and the model that governs it, if any.
    ///
    /// # Errors
    /// When the ledger or the store cannot be read.
    pub(crate) fn of(
        store: &ArtifactStore,
        state: &impl StateRead,
        address: &ArtifactId,
    ) -> Result<(Self, Option<ModelId>), AccessError> {
        let origin = read::<ArtifactOrigin>(state, address)?;
        let governor = origin.map(|origin| origin.model);
        if let Some(awaited) = store.awaited(address)?
            && is_unpublished(state, address, &awaited)?
        {
            return Ok((Self::Unpublished, governor));
        }
        let terms = origin.map_or(Ok(Self::Free), |origin| Self::on_ledger(state, address, &origin))?;
        Ok((terms, governor))
    }

    /// The terms of an artifact that is a version on the ledger.
    fn on_ledger(state: &impl StateRead, address: &ArtifactId, origin: &ArtifactOrigin) -> Result<Self, StateError> {
        let version = match read::<ArtifactUse>(state, &(*address, origin.model))? {
            Some(ArtifactUse(version)) => read::<Version>(state, &(version.model, version.label))?,
            None => None,
        };
        if let Some(version) = version {
            if matches!(version.status, VersionStatus::Withdrawn { .. }) {
                return Ok(Self::Withdrawn);
            }
            if version.suspended.is_some() {
                return Ok(Self::Suspended);
            }
        }
        Ok(match read::<Model>(state, &origin.model)? {
            Some(Model { name, distribution, .. }) if distribution.readers != Readers::Public => {
                Self::Restricted { model: name, readers: distribution.readers }
            }
            _ => Self::Free,
        })
    }
}

/// Whether what a publish brought is served to nobody yet. Before its version is on the ledger, nobody is to learn the
/// address; and what another, quicker model says about it does not count here.
fn is_unpublished(state: &impl StateRead, address: &ArtifactId, awaited: &Awaited) -> Result<bool, StateError> {
    Ok(awaited.brought && !is_version(state, address, &awaited.model)?)
}

/// Whether the artifact is a version of the model.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) fn is_version(state: &impl StateRead, address: &ArtifactId, model: &ModelId) -> Result<bool, StateError> {
    Ok(read::<ArtifactUse>(state, &(*address, *model))?.is_some())
}

/// Whether a peer is served an artifact at a block time.
///
/// # Errors
/// When the ledger or the store cannot be read.
pub(crate) fn admits(
    store: &ArtifactStore,
    state: &impl StateRead,
    artifact: &ArtifactId,
    peer: &PeerId,
    now: Timestamp,
) -> Result<bool, AccessError> {
    match (Terms::of(store, state, artifact)?.0, peer_key::of_peer(peer)) {
        (Terms::Free, _) => Ok(true),
        (Terms::Restricted { .. }, Some(key)) => Ok(access::may_read(state, *artifact, &key, now)?),
        (Terms::Withdrawn | Terms::Suspended | Terms::Unpublished | Terms::Restricted { .. }, _) => Ok(false),
    }
}

/// Whether an account that is not suspended has bound the peer to itself.
///
/// # Errors
/// When the state cannot be read.
pub(crate) fn is_bound(state: &impl StateRead, peer: &PeerId) -> Result<bool, StateError> {
    let Some(key) = peer_key::of_peer(peer) else { return Ok(false) };
    let Some(account) = read::<PeerBinding>(state, &key)?.and_then(|binding| binding.account) else { return Ok(false) };
    Ok(read::<Account>(state, &account)?.is_some_and(|account| account.suspended.is_none()))
}

/// What the swarm asks of the ledger. If the ledger cannot be read, it knows nobody; the event loop handles the failure.
pub(crate) fn register(ledger: &Ledger) -> Register {
    let (of_artifacts, of_peers) = (ledger.clone(), ledger.clone());
    Register {
        is_listed: Arc::new(move |artifact| {
            read::<ArtifactOrigin>(&of_artifacts.snapshot(), artifact).is_ok_and(|origin| origin.is_some())
        }),
        is_bound: Arc::new(move |peer| is_bound(&of_peers.snapshot(), peer).unwrap_or(false)),
    }
}

/// Whether the artifact belongs to some released version, including deprecated ones.
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

/// Why the list could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
}

/// The list's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Everybody may have it.
    Free,
    /// The ledger decides, by the artifact's terms.
    ByLedger,
    /// The artifact is not here whole, or does not have the blob: nobody may have it. This is the case while an
    /// artifact arrives, and where a manifest cannot be read.
    Unknown,
}

/// An artifact that is here, whole or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    is_whole: bool,
    is_free: bool,
    /// The model that governs it, if any.
    model: Option<ModelId>,
}

impl Entry {
    /// Whether the other artifact may take over what is here for this one: they have the same readers, or everybody
    /// reads this one.
    fn lends_to(&self, other: &Self) -> bool {
        self.is_free || (self.model.is_some() && self.model == other.model)
    }
}

/// What is here, and for which artifacts.
#[derive(Debug, Default)]
struct List {
    /// Whether the list covers everything that is here. Before that, it cannot rule on other artifacts.
    is_complete: bool,
    artifacts: BTreeMap<ArtifactId, Entry>,
    /// Pairs of a blob and an artifact that has it.
    blobs: BTreeSet<(ArtifactId, ArtifactId)>,
    /// Artifacts whose blobs are not known.
    unreadable: BTreeSet<ArtifactId>,
}

impl List {
    fn put(&mut self, artifact: ArtifactId, entry: Entry, blobs: Option<Vec<ArtifactId>>) {
        self.artifacts.insert(artifact, entry);
        self.blobs.insert((artifact, artifact));
        match blobs {
            Some(blobs) => {
                self.unreadable.remove(&artifact);
                self.blobs.extend(blobs.into_iter().map(|blob| (blob, artifact)));
            }
            None => {
                self.unreadable.insert(artifact);
            }
        }
    }

    fn remove(&mut self, artifact: &ArtifactId) {
        self.artifacts.remove(artifact);
        self.unreadable.remove(artifact);
        self.blobs.retain(|(_, of)| of != artifact);
    }

    fn entries_with(&self, blob: ArtifactId) -> impl Iterator<Item = (ArtifactId, &Entry)> {
        let (first, last) = (ArtifactId::from_bytes([0; 32]), ArtifactId::from_bytes([u8::MAX; 32]));
        let with_blob = self.blobs.range((blob, first)..=(blob, last)).map(|(_, artifact)| artifact);
        with_blob.filter_map(|artifact| Some((*artifact, self.artifacts.get(artifact)?)))
    }

    fn lends(&self, asked: &Asked) -> bool {
        let Some(own) = self.artifacts.get(&asked.artifact).filter(|_| self.is_complete) else { return false };
        if own.is_whole {
            return true;
        }
        let unreadable = self.unreadable.iter().filter_map(|artifact| self.artifacts.get(artifact));
        let mut is_of_others = unreadable.clone().any(|entry| !entry.lends_to(own));
        for (artifact, entry) in self.entries_with(asked.blob) {
            if artifact == asked.artifact {
                continue;
            }
            if !entry.lends_to(own) {
                is_of_others = true;
            } else if entry.is_whole {
                return true;
            }
        }
        !is_of_others
    }
}

/// The list of what may be requested. While it is empty, at the start, nobody gets anything. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessControl {
    list: Arc<RwLock<List>>,
    /// Held while the list is changed, so an older view of the ledger never replaces a newer one.
    changing: Arc<Mutex<()>>,
}

impl AccessControl {
    /// Who may have a blob as part of an artifact.
    pub(crate) fn ruling(&self, asked: &Asked) -> Ruling {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        match list.artifacts.get(&asked.artifact) {
            Some(entry) if entry.is_whole && list.blobs.contains(&(asked.blob, asked.artifact)) => {
                if entry.is_free {
                    Ruling::Free
                } else {
                    Ruling::ByLedger
                }
            }
            _ => Ruling::Unknown,
        }
    }

    /// Whether an artifact that is being fetched may take over a blob that is here.
    pub(crate) fn lends(&self, asked: &Asked) -> bool {
        self.list.read().unwrap_or_else(PoisonError::into_inner).lends(asked)
    }

    /// Rebuilds the list. Returns the artifacts that are served to nobody. Blocks.
    ///
    /// # Errors
    /// When the store or the ledger cannot be read: the list is empty then.
    pub(crate) fn refresh(&self, store: &ArtifactStore, ledger: &Ledger) -> Result<Vec<ArtifactId>, AccessError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let made = make(store, &ledger.snapshot());
        let (list, to_nobody) = match made {
            Ok((list, to_nobody)) => (list, Ok(to_nobody)),
            Err(error) => (List::default(), Err(error)),
        };
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
        to_nobody
    }

    /// Adds an artifact that has arrived in the store, has begun to arrive, or has just been published; or removes it,
    /// if it is gone. Blocks.
    ///
    /// # Errors
    /// When the store or the ledger cannot be read: the artifact is not added then.
    pub(crate) fn look(&self, store: &ArtifactStore, ledger: &Ledger, address: &ArtifactId) -> Result<(), AccessError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let here = match store.artifact(address) {
            Ok(artifact) => Some((artifact.kind, true)),
            Err(ArtifactError::NotFound(_)) => store.begun_of(address)?.map(|begun| (begun.kind, false)),
            Err(error) => return Err(error.into()),
        };
        let Some((kind, is_whole)) = here else {
            self.list.write().unwrap_or_else(PoisonError::into_inner).remove(address);
            return Ok(());
        };
        let entry = entry(store, &ledger.snapshot(), address, is_whole)?.0;
        let blobs = blobs_of(store, address, kind);
        self.list.write().unwrap_or_else(PoisonError::into_inner).put(*address, entry, blobs);
        Ok(())
    }
}

fn entry(
    store: &ArtifactStore,
    state: &impl StateRead,
    address: &ArtifactId,
    is_whole: bool,
) -> Result<(Entry, Terms), AccessError> {
    let (terms, model) = Terms::of(store, state, address)?;
    // While an artifact waits for one model, another model that published it first does not govern it here.
    let model = model.filter(|_| terms != Terms::Unpublished);
    Ok((Entry { is_whole, is_free: terms == Terms::Free, model }, terms))
}

fn make(store: &ArtifactStore, state: &impl StateRead) -> Result<(List, Vec<ArtifactId>), AccessError> {
    let (mut list, mut to_nobody) = (List { is_complete: true, ..List::default() }, Vec::new());
    // What becomes whole meanwhile is in one of the two, and counts as whole then.
    let begun = store.begun()?.into_iter().map(|(address, begun)| (address, begun.kind, false));
    let whole = store.list()?.into_iter().map(|artifact| (artifact.address, artifact.kind, true));
    for (address, kind, is_whole) in begun.chain(whole) {
        let (entry, terms) = entry(store, state, &address, is_whole)?;
        if is_whole && matches!(terms, Terms::Withdrawn | Terms::Suspended | Terms::Unpublished) {
            to_nobody.push(address);
        }
        list.put(address, entry, blobs_of(store, &address, kind));
    }
    Ok((list, to_nobody))
}

/// The blobs of an artifact other than itself. `None` if its manifest is here but cannot be read.
fn blobs_of(store: &ArtifactStore, address: &ArtifactId, kind: ArtifactKind) -> Option<Vec<ArtifactId>> {
    if kind == ArtifactKind::File {
        return Some(Vec::new());
    }
    match store.manifest(address) {
        Ok(manifest) => Some(manifest.files().iter().map(|file| file.address).collect()),
        // Before a collection's manifest is here, none of its files is.
        Err(ArtifactError::NotFound(_) | ArtifactError::NotACollection(_)) => Some(Vec::new()),
        Err(error) => {
            tracing::warn!(artifact = %address, %error, "cannot tell which files an artifact has; they are not served");
            None
        }
    }
}
