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
//! Every artifact in the store is served to every peer of the network: the ledger has no restricted artifacts yet.

use crate::{
    exchange::{
        self,
        fetch::{FetchError, FetchEvent, FetchOptions, FetchReport, Fetcher, Observer, Wanted},
        serve::{ServeCounters, ServeLimits, Server},
    },
    handle::NodeHandle,
};
use allod_protocol::{
    artifact::{Artifact, ArtifactKind},
    ids::ArtifactId,
    limits,
    model::{ArtifactUse, Version},
    state::{Direction, StateError, StateRead, page, read},
};
use allod_storage::artifacts::{ArtifactError, ImportMode, Imported, Overwrite, Progress};
use futures::{Stream, StreamExt as _};
use libp2p::PeerId;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

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
        let server = Server {
            store: node.artifacts.clone(),
            admit: Arc::new(|_, _| true),
            limits: ServeLimits::default(),
            counters,
        };
        let fetcher = Fetcher::new(node.artifacts.clone(), control, protocol, FetchOptions::default());
        let service = Self {
            fetcher,
            imports: Room::new("imports", IMPORTS),
            fetches: Room::new("fetches", FETCHES),
            checks: Room::new("verifications and downloads", CHECKS),
            node,
        };
        let (teller, mut stopped) = (service.clone(), stop);
        tokio::spawn(async move {
            tokio::select! {
                () = async { tokio::join!(exchange::serve::serve(server, incoming), teller.tell_all()); } => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(service)
    }

    /// Tells the others of everything in the store.
    async fn tell_all(&self) {
        let artifacts = match self.blocking(|store| store.list()).await {
            Ok(artifacts) => artifacts,
            Err(error) => return tracing::error!(%error, "the artifacts in the store are not announced"),
        };
        tracing::info!(artifacts = artifacts.len(), "announcing the artifacts in the store");
        for batch in artifacts.chunks(TOLD_AT_ONCE) {
            for artifact in batch {
                self.node.network.provide(artifact.address);
            }
            tokio::time::sleep(TELLING_PAUSE).await;
        }
    }

    /// Takes a file or a directory into the store, tells the others, and serves it from now on.
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
        let network = self.node.network.clone();
        // An import goes on to its end when its caller has gone: so its place is given back, and the others are told,
        // where it ends.
        self.blocking(move |store| {
            let _place = place;
            let imported = store.import(&path, mode, &mut progress)?;
            network.provide(imported.artifact.address);
            Ok(imported)
        })
        .await
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
        let artifact = self.blocking(move |store| store.artifact(&address)).await?;
        self.node.network.provide(address);
        if let Some(output) = job.output {
            let mut progress = move |progress| tell(Told::Export(progress));
            let overwrite = job.overwrite;
            self.blocking(move |store| store.export(&address, &output, overwrite, &mut progress)).await?;
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
        let result = self.fetcher.fetch(wanted, providers, observer).await;
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
        let known = tokio::task::spawn_blocking(move || known_artifact(&node.ledger.snapshot(), &address));
        let known = known.await.map_err(|error| ServiceError::Defect(error.to_string()))??;
        match (known, given) {
            (Some(known), _) => Ok(Wanted { address, kind: known.kind, limit_bytes: known.size_bytes }),
            (None, Some(kind)) => Ok(Wanted { address, kind, limit_bytes: limits::ARTIFACT_SIZE_BYTES }),
            (None, None) => Err(ServiceError::UnknownKind(address)),
        }
    }

    /// Reads every byte of an artifact and checks it.
    ///
    /// # Errors
    /// The first fault.
    pub async fn verify(
        &self,
        address: ArtifactId,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Artifact, ServiceError> {
        let place = self.checks.take()?;
        self.blocking(move |store| {
            let _place = place;
            let artifact = store.artifact(&address)?;
            store.verify(&address, &mut progress)?;
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
        work: impl FnOnce(&allod_storage::artifacts::ArtifactStore) -> Result<T, ArtifactError> + Send + 'static,
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

fn require_absolute(path: &Path) -> Result<(), ServiceError> {
    if path.is_absolute() { Ok(()) } else { Err(ServiceError::NotAbsolute { path: path.to_owned() }) }
}

/// Providers as they are found.
pub(crate) fn found(mut providers: mpsc::Receiver<PeerId>) -> impl Stream<Item = PeerId> + Send {
    futures::stream::poll_fn(move |cx| providers.poll_recv(cx))
}
