//! Replication: how many members' peers hold each release whose owners want copies, and this peer's part in it.
//!
//! Once per interval, every peer searches the providers of each such release and counts those that read for a member of
//! the network. If there are fewer than the owners want, it reports that: as a metric, in the log, and to followers of
//! events. A peer that volunteers (setting `replicate`) then fetches missing copies, within its quota, if it may read
//! the artifact.
//!
//! Volunteers do not negotiate whose turn it is. All of them order the members' peers by the hash of peer and artifact.
//! The first ones that do not hold the artifact, as many as copies are missing, fetch it. Each further interval with
//! missing copies adds one more peer, so that peers which do not volunteer, or are away, do not block the others for
//! ever. So there are seldom more copies than wanted, and a surplus copy is left alone.
//!
//! A provider counts if it proves that it has the end of the artifact (for a collection that is here, of one of its
//! files, a different one each time), if it is too busy to prove it, or if this peer may not read the artifact and so
//! cannot ask. This module never removes anything.

use crate::{
    artifacts::service::{ArtifactService, FetchJob, ServiceError, found},
    event_loop::handle::NodeHandle,
    exchange::{probe::Probe, serve::Asked},
    network::peer_key,
};
use allod_protocol::{
    ground::{
        ids::{ArtifactId, ModelName, PublicKey, VersionLabel},
        state::{Direction, StateError, StateRead, page, read},
    },
    rules::{
        access::{self, PeerBinding},
        account::Account,
        artifact::ArtifactKind,
        model::{Model, Version, VersionStatus},
    },
};
use futures::StreamExt as _;
use libp2p::PeerId;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{broadcast, watch},
    task::JoinSet,
};
use utoipa::ToSchema;

/// Number of models, and of members' peers, that are read at a time.
const PAGE: usize = 1_024;
/// Maximum number of releases that are watched, in the order of their models' ids.
const RELEASES: usize = 4_096;
/// How long providers of one artifact are searched for.
const SEARCH_TIME: Duration = Duration::from_secs(10);
/// Maximum number of releases whose providers are searched for at a time.
const SEARCHES: usize = 4;
/// Maximum number of peers that are asked at a time.
const PROBES: usize = 16;
/// Maximum number of events that may wait for a slow subscriber.
const BACKLOG: usize = 256;

/// This peer's part in replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicationOptions {
    /// Whether this peer fetches missing copies.
    pub volunteer: bool,
    /// How often it counts the copies.
    pub interval: Duration,
}

/// How many copies of a release exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Copies {
    /// The name of the model.
    pub model: ModelName,
    /// The label of the release.
    pub label: VersionLabel,
    /// The address of its artifact.
    pub artifact: ArtifactId,
    /// How many copies its owners want.
    pub wished: u32,
    /// How many members' peers provided it when this peer last looked.
    pub found: u32,
    /// Whether this peer holds it.
    pub here: bool,
}

impl Copies {
    fn is_missing_some(&self) -> bool {
        self.found < self.wished
    }
}

/// The results of the last look. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replication {
    seen: Arc<Mutex<Vec<Copies>>>,
    told: broadcast::Sender<Arc<Copies>>,
}

impl Default for Replication {
    fn default() -> Self {
        Self { seen: Arc::default(), told: broadcast::channel(BACKLOG).0 }
    }
}

/// A release whose owners want copies.
struct Release {
    model: ModelName,
    version: Version,
    wished: u32,
}

impl Replication {
    /// The releases whose owners want copies, as this peer last saw them.
    pub fn seen(&self) -> Vec<Copies> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows releases that begin to lack copies, or no longer do.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Copies>> {
        self.told.subscribe()
    }

    /// Counts copies and fetches missing ones until `stop` becomes true.
    pub(crate) async fn run(
        self,
        node: NodeHandle,
        service: ArtifactService,
        options: ReplicationOptions,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut clock = tokio::time::interval(options.interval);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut missing_for = BTreeMap::new();
        // A long fetch does not delay a look. Dropping this future drops the fetch too.
        let mut fetching = JoinSet::new();
        let rounds = async {
            loop {
                clock.tick().await;
                let wanted = match self.round(&node, &service, &mut missing_for).await {
                    Ok(wanted) => wanted,
                    Err(error) => {
                        tracing::error!(%error, "cannot count the copies of releases");
                        continue;
                    }
                };
                while fetching.try_join_next().is_some() {}
                if options.volunteer && fetching.is_empty() && !wanted.is_empty() {
                    let (node, service) = (node.clone(), service.clone());
                    fetching.spawn(async move {
                        for (version, copies) in wanted {
                            fetch(&node, &service, &version, &copies).await;
                        }
                    });
                }
            }
        };
        tokio::select! {
            () = rounds => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Counts the copies of every release once. Returns the releases that it is this peer's turn to fetch.
    /// `missing_for` counts the rounds in which copies of an artifact were missing.
    async fn round(
        &self,
        node: &NodeHandle,
        service: &ArtifactService,
        missing_for: &mut BTreeMap<ArtifactId, usize>,
    ) -> Result<Vec<(Version, Copies)>, ServiceError> {
        let ledger = node.ledger.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let state = ledger.snapshot();
            Ok::<_, StateError>((releases(&state)?, peers_of_members(&state)?))
        });
        let (releases, members) = reading.await.map_err(|error| ServiceError::Defect(error.to_string()))??;
        let looks = futures::stream::iter(releases).map(|release| async {
            let providers = providers(node, service, &release.version, &members).await;
            (release, providers)
        });
        let looked: Vec<_> = looks.buffered(SEARCHES).collect().await;
        let (mut seen, mut wanted) = (Vec::new(), Vec::new());
        for (Release { model, version, wished }, providers) in looked {
            let artifact = version.artifact.address;
            let found = u32::try_from(providers.len()).unwrap_or(u32::MAX);
            let here = node.artifacts.has(&artifact);
            let copies = Copies { model, label: version.label.clone(), artifact, wished, found, here };
            if copies.is_missing_some() {
                let rounds = missing_for.entry(artifact).or_insert(0);
                if is_turn(node, &members, &providers, &copies, *rounds) {
                    wanted.push((version, copies.clone()));
                }
                *rounds = rounds.saturating_add(1);
            } else {
                missing_for.remove(&artifact);
            }
            seen.push(copies);
        }
        let known: BTreeSet<ArtifactId> = seen.iter().map(|copies| copies.artifact).collect();
        missing_for.retain(|artifact, _| known.contains(artifact));
        self.tell(node, seen);
        Ok(wanted)
    }

    /// Publishes the results, and reports changes for better or worse.
    fn tell(&self, node: &NodeHandle, seen: Vec<Copies>) {
        let missing = seen.iter().filter(|copies| copies.is_missing_some()).count();
        node.metrics.set_under_replicated(missing);
        let before = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), seen.clone());
        for copies in seen {
            let was_missing = before.iter().any(|old| old.artifact == copies.artifact && old.is_missing_some());
            if was_missing == copies.is_missing_some() {
                continue;
            }
            let Copies { model, label, artifact, wished, found, .. } = &copies;
            if copies.is_missing_some() {
                tracing::warn!(%model, %label, %artifact, wished, found, "a release has fewer copies than its owners want");
            } else {
                tracing::info!(%model, %label, %artifact, wished, found, "a release has as many copies as its owners want");
            }
            // Nobody may be listening.
            let _ = self.told.send(Arc::new(copies));
        }
    }
}

/// The members' peers that provide an artifact.
async fn providers(
    node: &NodeHandle,
    service: &ArtifactService,
    version: &Version,
    members: &BTreeSet<PublicKey>,
) -> BTreeSet<PublicKey> {
    let (own, artifact) = (node.network.local_peer_id(), version.artifact.address);
    let search = found(node.network.find_providers(artifact)).take_until(tokio::time::sleep(SEARCH_TIME));
    let members_peer =
        |peer: PeerId| peer_key::of_peer(&peer).filter(|key| members.contains(key)).map(|key| (peer, key));
    let mut found: BTreeMap<PeerId, PublicKey> =
        search.filter_map(|peer| std::future::ready(members_peer(peer))).collect().await;
    // Whether it has the artifact itself, a peer knows without a search.
    found.remove(&own);
    let (asked, may_read) = (Asked { artifact, blob: some_blob(node, version) }, may_read(node, artifact));
    let counts = |probe: Probe| match probe {
        Probe::Has | Probe::Busy => true,
        Probe::Refused => !may_read,
        Probe::HasNot => false,
    };
    let probes = futures::stream::iter(found)
        .map(|(peer, key)| async move { (service.probe(peer, asked).await, key) })
        .buffer_unordered(PROBES)
        .filter_map(|(probe, key)| std::future::ready(counts(probe).then_some(key)));
    let mut providers: BTreeSet<PublicKey> = probes.collect().await;
    if node.artifacts.has(&artifact) {
        providers.extend(members_peer(own).map(|(_, key)| key));
    }
    providers
}

/// The blob of a version that providers are asked for: a different file each time, if its manifest is here.
fn some_blob(node: &NodeHandle, version: &Version) -> ArtifactId {
    let artifact = &version.artifact;
    let manifest =
        || (artifact.kind == ArtifactKind::Collection).then(|| node.artifacts.manifest(&artifact.address).ok());
    let Some(Some(manifest)) = manifest() else { return artifact.address };
    let mut number = [0; 8];
    // Without random numbers it is the first file.
    let _ = getrandom::fill(&mut number);
    let files = manifest.files();
    let index = u64::from_le_bytes(number).checked_rem(files.len() as u64).unwrap_or(0);
    let file = usize::try_from(index).ok().and_then(|index| files.get(index));
    file.map_or(artifact.address, |file| file.address)
}

/// Whether the ledger entitles this peer to an artifact.
fn may_read(node: &NodeHandle, artifact: ArtifactId) -> bool {
    let own = peer_key::of_peer(&node.network.local_peer_id());
    let asked = own.map(|own| access::may_read(&node.ledger.snapshot(), artifact, &own, node.ledger.tip().time));
    matches!(asked, Some(Ok(true)))
}

/// The releases in force of models whose owners want copies.
fn releases(state: &impl StateRead) -> Result<Vec<Release>, StateError> {
    let (mut releases, mut after) = (Vec::new(), None);
    loop {
        let (models, next) = page::<Model>(state, &(), after.as_deref(), Direction::Ascending, PAGE)?;
        for model in models.into_iter().filter(|model| model.distribution.copies > 0) {
            let Some(label) = model.released else { continue };
            let version = read::<Version>(state, &(model.id, label))?;
            let released = |version: &Version| matches!(version.status, VersionStatus::Released { .. });
            let Some(version) = version.filter(released) else { continue };
            releases.push(Release { model: model.name, version, wished: model.distribution.copies });
        }
        if next.is_none() || releases.len() >= RELEASES {
            return Ok(releases);
        }
        after = next;
    }
}

/// The peers that read for network members who are not suspended.
fn peers_of_members(state: &impl StateRead) -> Result<BTreeSet<PublicKey>, StateError> {
    let (mut peers, mut after) = (BTreeSet::new(), None);
    loop {
        let (bindings, next) = page::<PeerBinding>(state, &(), after.as_deref(), Direction::Ascending, PAGE)?;
        for binding in bindings {
            let Some(account) = binding.account else { continue };
            let account = read::<Account>(state, &account)?;
            if account.is_some_and(|account| account.member_since.is_some() && account.suspended.is_none()) {
                peers.insert(binding.peer);
            }
        }
        if next.is_none() {
            return Ok(peers);
        }
        after = next;
    }
}

/// Whether this peer is among those that should fetch the missing copies now.
fn is_turn(
    node: &NodeHandle,
    members: &BTreeSet<PublicKey>,
    providers: &BTreeSet<PublicKey>,
    copies: &Copies,
    rounds_before: usize,
) -> bool {
    let Some(own) = peer_key::of_peer(&node.network.local_peer_id()) else { return false };
    let missing = usize::try_from(copies.wished.saturating_sub(copies.found)).unwrap_or(usize::MAX);
    let first =
        turns(members, providers, copies.artifact).take(missing.saturating_add(rounds_before)).any(|key| key == own);
    first && !copies.here
}

/// The members' peers that do not provide an artifact, in the order in which they are to fetch it.
fn turns(
    members: &BTreeSet<PublicKey>,
    providers: &BTreeSet<PublicKey>,
    artifact: ArtifactId,
) -> impl Iterator<Item = PublicKey> {
    let place = |key: &PublicKey| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(key.as_bytes()).update(artifact.as_bytes());
        *hasher.finalize().as_bytes()
    };
    let mut waiting: Vec<PublicKey> = members.difference(providers).copied().collect();
    waiting.sort_by_cached_key(place);
    waiting.into_iter()
}

/// Fetches a copy, if this peer may read it.
async fn fetch(node: &NodeHandle, service: &ArtifactService, version: &Version, copies: &Copies) {
    let (artifact, size_bytes) = (version.artifact.address, version.artifact.size_bytes);
    if !may_read(node, artifact) {
        return;
    }
    if let Err(error) = node.artifacts.check_quota(size_bytes) {
        return tracing::info!(%artifact, %error, "a copy is missing, and there is no room for it here");
    }
    tracing::info!(model = %copies.model, label = %copies.label, %artifact, size_bytes, "fetching a missing copy");
    match service.fetch(FetchJob::whole(&version.artifact), Arc::new(|_| {})).await {
        // The model that first published it has withdrawn it, or has suspended it.
        Ok(_) | Err(ServiceError::Withdrawn(_) | ServiceError::Suspended(_)) => {}
        Err(error) => tracing::warn!(%artifact, %error, "a missing copy could not be fetched; trying again later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> PublicKey {
        PublicKey::from_bytes([number; 32])
    }

    #[test]
    fn all_peers_agree_on_the_turns_and_they_differ_by_artifact() {
        let members: BTreeSet<PublicKey> = (0..20).map(key).collect();
        let providers: BTreeSet<PublicKey> = (0..3).map(key).collect();
        let order = |artifact: &[u8]| turns(&members, &providers, ArtifactId::of(artifact)).collect::<Vec<_>>();
        assert_eq!(order(b"one").len(), 17);
        assert!(order(b"one").iter().all(|key| !providers.contains(key)));
        assert_eq!(order(b"one"), order(b"one"));
        assert_ne!(order(b"one"), order(b"two"));
    }
}
