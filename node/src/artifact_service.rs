//! Publishing and fetching artifacts: the store, the swarm and the exchange put together, for the API alone.
//!
//! Publishing takes bytes into the store, tells the others, and serves. Fetching finds providers, fetches, tells the
//! others that this peer has the artifact now, and writes a copy out if asked to. What is in the store is told again at
//! every start; between starts the swarm repeats it, on Kademlia's schedule
//! ([`crate::network::NetworkHandle::provide`]).
//!
//! Work is bounded: [`IMPORTS`], [`FETCHES`] and [`CHECKS`] at a time; more is refused at once instead of queued, so
//! that a client hears of it. A provider that sent wrong bytes is blocked on the swarm.
//!
//! Every artifact in the store is served to every peer of the network, but for those whose versions were all withdrawn
//! ([`crate::withheld`]): the ledger has no restricted artifacts yet. What this peer published is pinned; what it fetched
//! stays until a collection finds it neither pinned nor released. What rots on the disk is found and mended: `repair`.

mod repair;

pub use repair::Scrubbing;

use crate::{
    exchange::{
        self,
        fetch::{FetchError, FetchEvent, FetchOptions, FetchReport, Fetcher, Observer, Wanted},
        serve::{ServeCounters, ServeLimits, Server},
    },
    handle::{NodeHandle, Notice},
    withheld::{Standing, Withheld},
};
use allod_protocol::{
    artifact::{Artifact, ArtifactKind, total_size_bytes},
    event::Event,
    ids::ArtifactId,
    limits,
    model::{ArtifactUse, Version},
    state::{Direction, StateError, StateRead, page, read},
};
use allod_storage::artifacts::{
    ArtifactError, ArtifactStore, Collected, ImportMode, Imported, Overwrite, Progress, Selection,
};
use futures::{Stream, StreamExt as _};
use libp2p::PeerId;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};

/// Imports at a time: each reads and hashes at the disk's speed.
pub const IMPORTS: usize = 2;
/// Fetches at a time.
pub const FETCHES: usize = 8;
/// Verifications and downloads by clients at a time.
pub const CHECKS: usize = 8;
/// Artifacts that are told of at once at the start, and the pause between, so that the swarm's queue has room.
const TOLD_AT_ONCE: usize = 256;
const TELLING_PAUSE: Duration = Duration::from_millis(200);

/// Why an artifact could not be published, fetched or checked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
    /// Too much work of the kind is under way.
    #[error("{limit} {what} are under way already, as many as this peer does at a time; try again when one has ended")]
    Busy {
        /// What kind of work.
        what: &'static str,
        /// How many at a time.
        limit: usize,
    },
    /// Neither the ledger nor the caller says whether the address is that of a file or of a collection.
    #[error("no version on the ledger has the artifact {0}; say whether it is a file or a collection (`kind`)")]
    UnknownKind(ArtifactId),
    /// A path that means something else to the node than to its client.
    #[error(
        "{} is not an absolute path; the node runs in another directory than its client, so give the whole path",
        path.display()
    )]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// Every version that has the artifact was withdrawn.
    #[error(
        "every version that is {0} was withdrawn by a decision, so nobody serves it any more; `allod model show` says why"
    )]
    Withdrawn(ArtifactId),
    /// Damaged bytes that could not be had again.
    #[error("{blob} is damaged on this disk and could not be mended: {reason}")]
    Unrepaired {
        /// The blob.
        blob: ArtifactId,
        /// Why not.
        reason: String,
    },
    /// Files of a file.
    #[error("{0} is one file, so there is nothing to choose from; leave the patterns out")]
    NotACollection(ArtifactId),
    /// A task died.
    #[error("the work ended by a defect, please report it: {0}")]
    Defect(String),
}

/// Bounds on one kind of work.
#[derive(Clone, Debug)]
struct Room {
    places: Arc<Semaphore>,
    what: &'static str,
    limit: usize,
}

impl Room {
    fn new(what: &'static str, limit: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(limit)), what, limit }
    }

    fn take(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let busy = ServiceError::Busy { what: self.what, limit: self.limit };
        self.places.clone().try_acquire_owned().map_err(|_| busy)
    }
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct ArtifactService {
    node: NodeHandle,
    fetcher: Fetcher,
    imports: Room,
    fetches: Room,
    checks: Room,
    withheld: Withheld,
    /// Held by who mends what is damaged.
    mending: Arc<Mutex<()>>,
}

/// What to fetch, from whom, to where.
#[derive(Clone, Debug)]
pub struct FetchJob {
    /// The artifact.
    pub address: ArtifactId,
    /// File or collection, for an artifact that is not on the ledger.
    pub kind: Option<ArtifactKind>,
    /// The peers to ask; none: those that are found.
    pub providers: Option<Vec<PeerId>>,
    /// Where to write a copy.
    pub output: Option<PathBuf>,
    /// What to do with other files there.
    pub overwrite: Overwrite,
    /// The files of a collection that are wanted; `None` for all.
    pub selection: Option<Selection>,
}

/// What the caller of a fetch is told while it goes on.
#[derive(Clone, Debug)]
pub enum Told {
    /// A provider was found.
    Provider(PeerId),
    /// Something happened in the exchange.
    Exchange(FetchEvent),
    /// The copy is being written.
    Export(Progress),
}

/// What the caller of a verification is told while it goes on.
#[derive(Clone, Debug)]
pub enum Checked {
    /// How far it has come; after a repair, from the beginning.
    Progress(Progress),
    /// A fault was found, and is being mended.
    Damaged(String),
}

impl ArtifactService {
    /// Begins to serve what is in the store and to tell the others of it, until `stop` becomes true.
    ///
    /// # Errors
    /// When the artifact protocol has a handler already.
    pub fn start(node: NodeHandle, stop: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let protocol = exchange::protocol(&node.network_id);
        let mut control = node.network.stream_control();
        let incoming = control.accept(protocol.clone())?;
        let counters = Arc::<ServeCounters>::default();
        node.metrics.read_served(counters.clone());
        let withheld = Withheld::default();
        let server = Server {
            store: node.artifacts.clone(),
            admit: {
                let (withheld, store) = (withheld.clone(), node.artifacts.clone());
                // Also of a blob that a stream has open.
                Arc::new(move |_, blob| !withheld.holds(blob) && !store.is_damaged(blob))
            },
            limits: ServeLimits::default(),
            counters,
        };
        let fetcher = Fetcher::new(node.artifacts.clone(), control, protocol, FetchOptions::default());
        let service = Self {
            fetcher,
            imports: Room::new("imports", IMPORTS),
            fetches: Room::new("fetches", FETCHES),
            checks: Room::new("verifications and downloads", CHECKS),
            withheld,
            mending: Arc::default(),
            node,
        };
        let (teller, mut stopped, notices) = (service.clone(), stop, service.node.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = async {
                    // What is withheld is known before the first request is answered.
                    teller.withhold().await;
                    tokio::join!(
                        exchange::serve::serve(server, incoming),
                        teller.tell_all(),
                        teller.follow(notices),
                        teller.scrub(),
                    );
                } => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(service)
    }

    /// Tells the others of everything in the store.
    async fn tell_all(&self) {
        let whole = |store: &ArtifactStore| {
            Ok(store.list()?.into_iter().filter(|artifact| store.has(&artifact.address)).collect::<Vec<_>>())
        };
        let artifacts = match self.blocking(whole).await {
            Ok(artifacts) => artifacts,
            Err(error) => return tracing::error!(%error, "the artifacts in the store are not announced"),
        };
        tracing::info!(artifacts = artifacts.len(), "announcing the artifacts in the store");
        for batch in artifacts.chunks(TOLD_AT_ONCE) {
            for artifact in batch.iter().filter(|artifact| !self.withheld.holds(&artifact.address)) {
                self.node.network.provide(artifact.address);
            }
            tokio::time::sleep(TELLING_PAUSE).await;
        }
    }

    /// Withholds what decisions withdraw, as they are executed.
    async fn follow(&self, mut notices: broadcast::Receiver<Arc<Notice>>) {
        loop {
            let withdrawn = match notices.recv().await {
                Ok(notice) => {
                    let of_transactions = notice.results.iter().flat_map(|result| &result.events);
                    let mut events = notice.deadline_events.iter().chain(of_transactions);
                    events.any(|event| matches!(event, Event::VersionWithdrawn { .. }))
                }
                // Any may have been among those that were missed.
                Err(broadcast::error::RecvError::Lagged(_)) => true,
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if withdrawn {
                self.withhold().await;
            }
        }
    }

    /// Makes the list of what is not served anew, and stops telling of it.
    async fn withhold(&self) {
        let service = self.clone();
        let work = move || service.withheld.refresh(&service.node.artifacts, &service.node.ledger.snapshot());
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(withdrawn)) => withdrawn.into_iter().for_each(|address| self.node.network.stop_providing(address)),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot tell which artifacts were withdrawn; the old list stands")
            }
            Err(error) => {
                tracing::error!(%error, "cannot tell which artifacts were withdrawn; please report this defect")
            }
        }
    }

    /// Tells the others of an artifact that has come into the store, unless it was withdrawn, or something of it is damaged.
    async fn serve_from_now(&self, address: ArtifactId) {
        self.withhold().await;
        let is_whole = self.blocking(move |store| Ok(store.has(&address))).await.unwrap_or(false);
        if is_whole && !self.withheld.holds(&address) {
            self.node.network.provide(address);
        }
    }

    /// Pins an artifact, or takes the pin back; gives whether that changed anything.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn pin(&self, address: ArtifactId, pin: bool) -> Result<bool, ServiceError> {
        self.blocking(move |store| {
            if !pin {
                return store.unpin(&address);
            }
            let changed = !store.is_pinned(&address);
            store.pin(&address)?;
            Ok(changed)
        })
        .await
    }

    /// Removes every artifact that is neither pinned nor of a released version; with `try_out`, only says which.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn collect(&self, try_out: bool) -> Result<Collected, ServiceError> {
        let node = self.node.clone();
        let work = move || {
            let state = node.ledger.snapshot();
            let mut released = BTreeSet::new();
            for artifact in node.artifacts.list()? {
                if Standing::of(&state, &artifact.address)? == Standing::Released {
                    released.insert(artifact.address);
                }
            }
            let collected = node.artifacts.collect(try_out, |address| released.contains(address))?;
            for address in collected.artifacts.iter().filter(|_| !try_out) {
                node.network.stop_providing(*address);
            }
            Ok::<_, ServiceError>(collected)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::Defect(error.to_string()))?
    }

    /// Takes a file or a directory into the store, pins it, tells the others, and serves it from now on.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn publish(
        &self,
        path: PathBuf,
        mode: ImportMode,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Imported, ServiceError> {
        let place = self.imports.take()?;
        require_absolute(&path)?;
        let work = self.clone();
        // An import goes on to its end when its caller has gone: so its place is given back, and the others are told,
        // where it ends.
        let importing = tokio::spawn(async move {
            let _place = place;
            let imported = work.blocking(move |store| {
                let imported = store.import(&path, mode, &mut progress)?;
                store.pin(&imported.artifact.address)?;
                Ok(imported)
            });
            let imported = imported.await?;
            work.serve_from_now(imported.artifact.address).await;
            Ok(imported)
        });
        importing.await.map_err(|error| ServiceError::Defect(error.to_string()))?
    }

    /// Fetches an artifact, tells the others that it is here too, and writes a copy out if asked to. Dropping the
    /// future stops the fetch; what has arrived is kept.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn fetch(
        &self,
        job: FetchJob,
        tell: Arc<dyn Fn(Told) + Send + Sync>,
    ) -> Result<(Artifact, FetchReport), ServiceError> {
        let _place = self.fetches.take()?;
        if let Some(output) = &job.output {
            require_absolute(output)?;
        }
        let address = job.address;
        let report = if self.blocking(move |store| Ok(store.has(&address))).await? {
            let present_bytes = self.blocking(move |store| store.artifact(&address)).await?.size_bytes;
            FetchReport { present_bytes, ..FetchReport::default() }
        } else {
            self.fetch_missing(&job, &tell).await?
        };
        let selection = job.selection;
        let artifact = match selection.clone() {
            None => {
                self.serve_from_now(address).await;
                self.blocking(move |store| store.artifact(&address)).await?
            }
            Some(selection) => self.blocking(move |store| selected(store, &address, &selection)).await?,
        };
        if let Some(output) = job.output {
            let mut progress = move |progress| tell(Told::Export(progress));
            let overwrite = job.overwrite;
            let export = move |store: &ArtifactStore| match selection {
                None => store.export(&address, &output, overwrite, &mut progress),
                Some(selection) => store.export_some(&address, &selection, &output, overwrite, &mut progress),
            };
            self.blocking(export).await?;
        }
        Ok((artifact, report))
    }

    async fn fetch_missing(
        &self,
        job: &FetchJob,
        tell: &Arc<dyn Fn(Told) + Send + Sync>,
    ) -> Result<FetchReport, ServiceError> {
        let wanted = self.wanted(job).await?;
        let observer: Observer = {
            let tell = tell.clone();
            Arc::new(move |event| tell(Told::Exchange(event)))
        };
        let own = self.node.network.local_peer_id();
        let tell = tell.clone();
        let providers = self
            .providers(job)
            .filter(move |peer| std::future::ready(*peer != own))
            .inspect(move |peer| tell(Told::Provider(*peer)));
        let result = self.fetcher.fetch_some(wanted, job.selection.clone(), providers, observer).await;
        let report = match &result {
            Ok(report) => report,
            Err(failure) => &failure.report,
        };
        self.node.metrics.on_fetched(report.fetched_bytes, result.is_ok());
        for (peer, given) in &report.providers {
            if let Some(reason) = given.dropped.as_ref().filter(|reason| reason.is_misbehaviour()) {
                self.node.network.block_peer(*peer, &reason.to_string());
            }
        }
        result.map_err(|failure| failure.error.into())
    }

    fn providers(&self, job: &FetchJob) -> futures::stream::BoxStream<'static, PeerId> {
        match &job.providers {
            Some(peers) => futures::stream::iter(peers.clone()).boxed(),
            None => found(self.node.network.find_providers(job.address)).boxed(),
        }
    }

    /// What the ledger says of the artifact; what the job says, if no version has it.
    async fn wanted(&self, job: &FetchJob) -> Result<Wanted, ServiceError> {
        let (address, given) = (job.address, job.kind);
        let node = self.node.clone();
        let known = tokio::task::spawn_blocking(move || {
            let state = node.ledger.snapshot();
            Ok::<_, StateError>((known_artifact(&state, &address)?, Standing::of(&state, &address)?))
        });
        let (known, standing) = known.await.map_err(|error| ServiceError::Defect(error.to_string()))??;
        if standing == Standing::Withdrawn {
            return Err(ServiceError::Withdrawn(address));
        }
        let (kind, limit_bytes) = match (known, given) {
            (Some(known), _) => (known.kind, known.size_bytes),
            (None, Some(kind)) => (kind, limits::ARTIFACT_SIZE_BYTES),
            (None, None) => return Err(ServiceError::UnknownKind(address)),
        };
        if kind == ArtifactKind::File && job.selection.is_some() {
            return Err(ServiceError::NotACollection(address));
        }
        Ok(Wanted { address, kind, limit_bytes })
    }

    /// Reads every byte of an artifact and checks it. What is found damaged is not served any more; with `repair`, it is
    /// fetched again from other peers, and the artifact is checked anew.
    ///
    /// # Errors
    /// The first fault; with `repair`, the first that cannot be mended.
    pub async fn verify(
        &self,
        address: ArtifactId,
        repair: bool,
        progress: Arc<dyn Fn(Checked) + Send + Sync>,
    ) -> Result<Artifact, ServiceError> {
        let mut mended = BTreeSet::new();
        loop {
            let error = match self.verify_once(address, progress.clone()).await {
                Err(ServiceError::Store(error)) => error,
                other => return other,
            };
            let Some(blob) = error.damaged() else { return Err(error.into()) };
            self.found_damaged(blob, &error).await?;
            if !repair || !mended.insert(blob) {
                return Err(error.into());
            }
            progress(Checked::Damaged(error.to_string()));
            let failure = self.mend().await.failure;
            if self.node.artifacts.is_damaged(&blob) {
                let reason = failure.map_or_else(|| error.to_string(), |failure| failure.to_string());
                return Err(ServiceError::Unrepaired { blob, reason });
            }
        }
    }

    async fn verify_once(
        &self,
        address: ArtifactId,
        progress: Arc<dyn Fn(Checked) + Send + Sync>,
    ) -> Result<Artifact, ServiceError> {
        let place = self.checks.take()?;
        self.blocking(move |store| {
            let _place = place;
            let artifact = store.artifact(&address)?;
            store.verify(&address, &mut |done| progress(Checked::Progress(done)))?;
            Ok(artifact)
        })
        .await
    }

    /// A place among the verifications and downloads that run at a time.
    ///
    /// # Errors
    /// [`ServiceError::Busy`].
    pub fn take_check(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        self.checks.take()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ArtifactStore) -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = self.node.artifacts.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        Ok(done.map_err(|error| ServiceError::Defect(error.to_string()))??)
    }
}

/// The artifact as a version on the ledger records it.
///
/// # Errors
/// When the ledger cannot be read.
pub fn known_artifact(state: &impl StateRead, address: &ArtifactId) -> Result<Option<Artifact>, StateError> {
    let (uses, _) = page::<ArtifactUse>(state, address, None, Direction::Ascending, 1)?;
    let Some(ArtifactUse(version)) = uses.into_iter().next() else { return Ok(None) };
    Ok(read::<Version>(state, &(version.model, version.label))?.map(|version| version.artifact))
}

/// What of a collection is selected: the collection's address, and the size and number of the files meant.
fn selected(store: &ArtifactStore, address: &ArtifactId, selection: &Selection) -> Result<Artifact, ArtifactError> {
    let files = store.selected(address, selection)?;
    let size_bytes = total_size_bytes(&files);
    let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
    Ok(Artifact { address: *address, kind: ArtifactKind::Collection, size_bytes, files: count })
}

fn require_absolute(path: &Path) -> Result<(), ServiceError> {
    if path.is_absolute() { Ok(()) } else { Err(ServiceError::NotAbsolute { path: path.to_owned() }) }
}

/// Providers as they are found.
pub(crate) fn found(mut providers: mpsc::Receiver<PeerId>) -> impl Stream<Item = PeerId> + Send {
    futures::stream::poll_fn(move |cx| providers.poll_recv(cx))
}
