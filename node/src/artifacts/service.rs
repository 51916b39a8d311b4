//! Publishing and fetching artifacts: the store, the swarm and the exchange combined, for the API and for replication
//! ([`crate::artifacts::replication`]).
//!
//! Publishing imports bytes into the store, announces them, and serves them. Fetching finds providers, fetches from
//! them, announces that this peer now has the artifact, and exports a copy if requested. Everything in the store is
//! announced again at every start; between starts the swarm repeats the announcements on Kademlia's schedule
//! ([`crate::network::NetworkHandle::provide`]).
//!
//! Work is bounded: [`IMPORTS`], [`FETCHES`] and [`CHECKS`] at a time. Anything beyond is refused at once instead of
//! queued, so that the client knows. A provider that sent wrong bytes is blocked on the swarm.
//!
//! Every artifact that is here whole is served to every peer of the network, except those that are withdrawn,
//! suspended, restricted, or waiting for their version ([`crate::artifacts::access_control`]). What this peer published
//! is pinned once the ledger has the version (`publishing`). What it fetched stays until a garbage collection finds it
//! neither pinned nor released. Bit rot is found and repaired: `repair`.

mod publishing;
mod repair;

pub use publishing::ForVersion;
pub use repair::Scrubbing;

use crate::{
    artifacts::{
        access_control::{self, AccessControl, AccessError, Ruling, Terms},
        replication::ReplicationOptions,
    },
    event_loop::handle::{NodeHandle, Notice},
    exchange::{
        self,
        fetch::{FetchError, FetchEvent, FetchOptions, FetchReport, Fetcher, Lending, Observer, Wanted},
        probe::Probe,
        rate::RateLimit,
        serve::{Asked, ServeCounters, ServeLimits, Server},
    },
    network::peer_key,
};
use allod_protocol::{
    ground::{
        ids::{ArtifactId, ModelName},
        limits,
        state::{StateError, StateRead, read},
    },
    rules::{
        access::{self, ArtifactOrigin, Readers},
        artifact::{Artifact, ArtifactKind, total_size_bytes},
        event::Event,
        model::{ArtifactUse, Version},
    },
};
use allod_storage::artifacts::{ArtifactError, ArtifactStore, Garbage, Overwrite, Progress, Selection};
use futures::{Stream, StreamExt as _};
use libp2p::PeerId;
use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};

/// Maximum number of imports at a time: each reads and hashes at the disk's speed.
pub const IMPORTS: usize = 2;
/// Maximum number of fetches at a time.
pub const FETCHES: usize = 8;
/// Maximum number of verifications and downloads by clients at a time.
pub const CHECKS: usize = 8;
/// Number of artifacts announced at once at the start, and the pause between, so that the swarm's queue has room.
const TOLD_AT_ONCE: usize = 256;
const TELLING_PAUSE: Duration = Duration::from_millis(200);
/// How long to wait before reading a store again that could not be read.
const REFRESH_RETRY: Duration = Duration::from_secs(5);

/// Why an artifact could not be published, fetched or checked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
    /// Too much work of this kind is in progress.
    #[error("{limit} {what} are already in progress, the maximum of this peer; try again when one has ended")]
    Busy {
        /// The kind of work.
        what: &'static str,
        /// The maximum number at a time.
        limit: usize,
    },
    /// Neither the ledger nor the caller says whether the address is that of a file or of a collection.
    #[error("no version on the ledger has the artifact {0}; state whether it is a file or a collection (`kind`)")]
    UnknownKind(ArtifactId),
    /// A path that would mean something else to the node than to its client.
    #[error(
        "{} is not an absolute path; the node runs in a different directory than its client, so give an absolute path",
        path.display()
    )]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// The model that governs the artifact withdrew it.
    #[error(
        "the version that is {0} was withdrawn by a decision, so nobody serves it any more; `allod model show` says why"
    )]
    Withdrawn(ArtifactId),
    /// The version of the model that governs the artifact is suspended.
    #[error(
        "the version that is {0} is suspended, so nobody serves it for now; `allod model show` says why and until when"
    )]
    Suspended(ArtifactId),
    /// The ledger does not entitle this peer.
    #[error(
        "the owners of {model} give {artifact} to {} only, and this peer reads for no such account; an account that \
         is one can bind it with `allod peer bind`",
        if *readers == Readers::Holders { "holders" } else { "holders and licensees" }
    )]
    Restricted {
        /// The artifact.
        artifact: ArtifactId,
        /// The model whose owners decide.
        model: ModelName,
        /// The accounts that may read it.
        readers: Readers,
    },
    /// Damaged bytes that could not be fetched again.
    #[error("{blob} is damaged on this disk and could not be repaired: {reason}")]
    Unrepaired {
        /// The damaged blob.
        blob: ArtifactId,
        /// Why it could not be repaired.
        reason: String,
    },
    /// A selection of files in an artifact that is one file.
    #[error("{0} is one file, so there is nothing to choose from; omit the patterns")]
    NotACollection(ArtifactId),
    /// A task ended abnormally.
    #[error("the work failed because of a defect, please report it: {0}")]
    Defect(String),
}

impl From<AccessError> for ServiceError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(error) => error.into(),
            AccessError::Ledger(error) => error.into(),
        }
    }
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
    access: AccessControl,
    /// Whether it is known who may read what.
    access_is_known: watch::Receiver<bool>,
    /// Held while damage is repaired.
    mending: Arc<Mutex<()>>,
    /// Notified when there may be files that nothing names.
    untidy: Arc<Notify>,
    /// Notified when something was found damaged, or was repaired.
    damage: Arc<Notify>,
    scrubbing: Scrubbing,
}

/// What to fetch, from whom, to where.
#[derive(Clone, Debug)]
pub struct FetchJob {
    /// The artifact.
    pub address: ArtifactId,
    /// File or collection, for an artifact that is not on the ledger.
    pub kind: Option<ArtifactKind>,
    /// The peers to ask. `None` means those that are found.
    pub providers: Option<Vec<PeerId>>,
    /// Where to export a copy. `None` means nowhere.
    pub output: Option<PathBuf>,
    /// What to do with files there that have other content.
    pub overwrite: Overwrite,
    /// The wanted files of a collection. `None` means all.
    pub selection: Option<Selection>,
}

impl FetchJob {
    /// The whole artifact, from any providers, into the store only.
    pub fn whole(artifact: &Artifact) -> Self {
        Self {
            address: artifact.address,
            kind: Some(artifact.kind),
            providers: None,
            output: None,
            overwrite: Overwrite::Refuse,
            selection: None,
        }
    }
}

/// What the caller of a fetch is told during the fetch.
#[derive(Clone, Debug)]
pub enum FetchUpdate {
    /// A provider was found.
    Provider(PeerId),
    /// An event of the exchange.
    Exchange(FetchEvent),
    /// The copy is being written.
    Export(Progress),
}

/// The operator's settings for artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactOptions {
    /// The limits on network use.
    pub limits: ArtifactLimits,
    /// This peer's part in replication.
    pub replication: ReplicationOptions,
    /// How the stored artifacts are scrubbed in the background.
    pub scrubbing: Scrubbing,
}

/// Limits on network use for artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactLimits {
    /// Maximum bytes served per second, to all peers together. `None` means no limit.
    pub upload_rate: Option<NonZeroU32>,
    /// Maximum bytes fetched per second, by all fetches together. `None` means no limit.
    pub download_rate: Option<NonZeroU32>,
    /// Maximum number of streams served at a time; one peer may use a quarter of them.
    pub upload_streams: NonZeroUsize,
    /// Maximum number of providers that one fetch uses at a time.
    pub download_providers: NonZeroUsize,
}

impl ArtifactLimits {
    fn serve(&self) -> ServeLimits {
        let rate = RateLimit::new(self.upload_rate);
        let streams = self.upload_streams.get().min(rate.streams());
        let streams_per_peer = (streams / 4).max(1);
        ServeLimits { streams, streams_per_peer, rate, ..ServeLimits::default() }
    }

    fn fetch(&self) -> FetchOptions {
        let (providers, rate) = (self.download_providers.get(), RateLimit::new(self.download_rate));
        FetchOptions { providers, rate, ..FetchOptions::default() }
    }
}

/// What the caller of a verification is told during the verification.
#[derive(Clone, Debug)]
pub enum Checked {
    /// How far it has come. After a repair it starts again.
    Progress(Progress),
    /// A fault was found, and is being repaired.
    Damaged(String),
}

impl ArtifactService {
    /// Starts to serve and announce what is in the store, until `stop` becomes true.
    ///
    /// # Errors
    /// When the artifact protocol already has a handler.
    pub fn start(node: NodeHandle, options: &ArtifactOptions, stop: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let ArtifactOptions { limits, scrubbing, .. } = options;
        let protocol = exchange::protocol(&node.network_id);
        let mut control = node.network.stream_control();
        let incoming = control.accept(protocol.clone())?;
        let counters = Arc::<ServeCounters>::default();
        node.metrics.read_served(counters.clone());
        let access = AccessControl::default();
        let server = Server {
            store: node.artifacts.clone(),
            admit: {
                let (access, ledger, store) = (access.clone(), node.ledger.clone(), node.artifacts.clone());
                Arc::new(move |peer, asked| {
                    // Also for a blob that a stream already has open.
                    if store.is_damaged(&asked.blob) {
                        return false;
                    }
                    match access.ruling(asked) {
                        Ruling::Free => return true,
                        Ruling::Unknown => return false,
                        Ruling::ByLedger => {}
                    }
                    let (state, now) = (ledger.snapshot(), ledger.tip().time);
                    access_control::admits(&store, &state, &asked.artifact, peer, now).unwrap_or_else(|error| {
                        tracing::error!(%error, "cannot tell who may read an artifact; it is not served");
                        false
                    })
                })
            },
            limits: limits.serve(),
            counters,
        };
        let lending = lending(&access, &node);
        let fetcher = Fetcher::new(node.artifacts.clone(), lending, control, protocol, limits.fetch());
        let (known, access_is_known) = watch::channel(false);
        let service = Self {
            fetcher,
            imports: Room::new("imports", IMPORTS),
            fetches: Room::new("fetches", FETCHES),
            checks: Room::new("verifications", CHECKS),
            access,
            access_is_known,
            mending: Arc::default(),
            untidy: Arc::default(),
            damage: Arc::default(),
            scrubbing: *scrubbing,
            node,
        };
        service.follow_damage();
        let (teller, mut stopped, notices) = (service.clone(), stop, service.node.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = async {
                    // Who may have what is known before the first request is answered.
                    teller.refresh_access().await;
                    known.send_replace(true);
                    tokio::join!(
                        exchange::serve::serve(server, incoming),
                        teller.tell_all(),
                        teller.follow(notices),
                        teller.scrub(),
                        teller.keep_tidy(),
                        teller.keep_sound(),
                    );
                } => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(service)
    }

    /// Announces everything in the store.
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
            for artifact in batch {
                self.tell(artifact.address).await;
            }
            tokio::time::sleep(TELLING_PAUSE).await;
        }
    }

    /// As blocks are executed, holds back what decisions withdraw or restrict, and announces what was waiting for the
    /// ledger.
    async fn follow(&self, mut notices: broadcast::Receiver<Arc<Notice>>) {
        loop {
            match notices.recv().await {
                Ok(notice) => self.on_block(&notice).await,
                // The missed blocks may have contained anything.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.refresh_access().await;
                    self.tell_all().await;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    async fn on_block(&self, notice: &Notice) {
        let of_transactions = notice.results.iter().flat_map(|result| &result.events);
        let (mut terms_changed, mut published, mut resumed) = (false, Vec::new(), Vec::new());
        for event in notice.deadline_events.iter().chain(of_transactions) {
            match event {
                Event::VersionWithdrawn { .. }
                | Event::VersionSuspended { .. }
                | Event::DistributionSet { .. }
                | Event::ArtifactTakenOver { .. } => terms_changed = true,
                Event::SuspensionEnded { artifact, .. } => {
                    terms_changed = true;
                    resumed.push(*artifact);
                }
                Event::VersionPublished { artifact, .. } => published.push(*artifact),
                _ => {}
            }
        }
        if terms_changed {
            self.refresh_access().await;
        }
        for artifact in resumed {
            self.tell(artifact).await;
        }
        for artifact in published {
            // Even if it is partly damaged: the terms of the rest have changed.
            if self.blocking(move |store| Ok(store.artifact(&artifact).is_ok())).await.unwrap_or(false) {
                self.serve_from_now(artifact).await;
            }
            // Last: what no longer waits for an answer is served.
            self.answer_publish(artifact).await;
        }
    }

    /// Rebuilds the list of who may have what, and stops announcing what is served to nobody.
    async fn refresh_access(&self) {
        loop {
            let service = self.clone();
            let work = move || service.access.refresh(&service.node.artifacts, &service.node.ledger);
            let error = match tokio::task::spawn_blocking(work).await {
                Ok(Ok(to_nobody)) => {
                    return to_nobody.into_iter().for_each(|address| self.node.network.stop_providing(address));
                }
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic.to_string(),
            };
            tracing::error!(error, "cannot tell who may read which artifact; nothing is served until that is known");
            tokio::time::sleep(REFRESH_RETRY).await;
        }
    }

    /// The terms on which an artifact is served.
    async fn terms(&self, address: ArtifactId) -> Result<Terms, ServiceError> {
        let node = self.node.clone();
        let work = move || Terms::of(&node.artifacts, &node.ledger.snapshot(), &address);
        let terms = tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::Defect(error.to_string()))?;
        Ok(terms?.0)
    }

    /// Announces an artifact that is here, unless it is served to nobody.
    async fn tell(&self, address: ArtifactId) {
        match self.terms(address).await {
            Ok(Terms::Free | Terms::Restricted { .. }) => {
                // A partly damaged artifact is not announced.
                if self.blocking(move |store| Ok(store.has(&address))).await.unwrap_or(false) {
                    self.node.network.provide(address);
                }
            }
            Ok(Terms::Withdrawn | Terms::Suspended | Terms::Unpublished) => {}
            Err(error) => tracing::error!(%address, %error, "an artifact is not announced"),
        }
    }

    /// Serves and announces an artifact that has arrived in the store.
    async fn serve_from_now(&self, address: ArtifactId) {
        let service = self.clone();
        let work = move || service.access.look(&service.node.artifacts, &service.node.ledger, &address);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(())) => self.tell(address).await,
            Ok(Err(error)) => tracing::error!(%address, %error, "an artifact is not served"),
            Err(error) => tracing::error!(%address, %error, "an artifact is not served; please report this defect"),
        }
    }

    /// Pins or unpins an artifact. Returns whether that changed anything.
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

    /// Removes every artifact that is neither pinned nor of a released version. With `downloads`, also removes what
    /// recently interrupted fetches left. With `dry_run`, only reports what would be removed.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn collect_garbage(&self, dry_run: bool, downloads: bool) -> Result<Garbage, ServiceError> {
        let (node, access) = (self.node.clone(), self.access.clone());
        let work = move || {
            let state = node.ledger.snapshot();
            let mut released = BTreeSet::new();
            for artifact in node.artifacts.list()? {
                if access_control::is_released(&state, &artifact.address)? {
                    released.insert(artifact.address);
                }
            }
            let is_released = |address: &ArtifactId| released.contains(address);
            let collected = node.artifacts.collect_garbage_with(dry_run, downloads, is_released)?;
            for address in collected.artifacts.iter().filter(|_| !dry_run) {
                node.network.stop_providing(*address);
                access.look(&node.artifacts, &node.ledger, address)?;
            }
            Ok::<_, ServiceError>(collected)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::Defect(error.to_string()))?
    }

    /// Fetches an artifact, announces that it is here too, and exports a copy if requested. Dropping the future stops
    /// the fetch; what has arrived is kept.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn fetch(
        &self,
        job: FetchJob,
        tell: Arc<dyn Fn(FetchUpdate) + Send + Sync>,
    ) -> Result<(Artifact, FetchReport), ServiceError> {
        let _place = self.fetches.take()?;
        if let Some(output) = &job.output {
            require_absolute(output)?;
        }
        let address = job.address;
        // Held until the copy is written: no garbage is collected meanwhile.
        let _hold = self.blocking(|store| Ok(store.hold())).await?;
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
            let mut progress = move |progress| tell(FetchUpdate::Export(progress));
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
        tell: &Arc<dyn Fn(FetchUpdate) + Send + Sync>,
    ) -> Result<FetchReport, ServiceError> {
        let wanted = self.wanted(job).await?;
        // It must be known on whose behalf the bytes are here before others are asked for more.
        let mut access_is_known = self.access_is_known.clone();
        access_is_known
            .wait_for(|access_is_known| *access_is_known)
            .await
            .map_err(|_| ServiceError::Defect("serving has ended".into()))?;
        let observer: Observer = {
            let tell = tell.clone();
            Arc::new(move |event| tell(FetchUpdate::Exchange(event)))
        };
        let own = self.node.network.local_peer_id();
        let tell = tell.clone();
        let providers = self
            .providers(job)
            .filter(move |peer| std::future::ready(*peer != own))
            .inspect(move |peer| tell(FetchUpdate::Provider(*peer)));
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

    /// What the ledger says about the artifact; otherwise what the job says, if no version has it.
    async fn wanted(&self, job: &FetchJob) -> Result<Wanted, ServiceError> {
        let (address, given) = (job.address, job.kind);
        let node = self.node.clone();
        let known = tokio::task::spawn_blocking(move || {
            let state = node.ledger.snapshot();
            let may_read = match peer_key::of_peer(&node.network.local_peer_id()) {
                Some(key) => access::may_read(&state, address, &key, node.ledger.tip().time)?,
                None => false,
            };
            Ok::<_, StateError>((known_artifact(&state, &address)?, may_read))
        });
        let (known, may_read) = known.await.map_err(|error| ServiceError::Defect(error.to_string()))??;
        match self.terms(address).await? {
            Terms::Withdrawn => return Err(ServiceError::Withdrawn(address)),
            Terms::Suspended => return Err(ServiceError::Suspended(address)),
            Terms::Restricted { model, readers } if !may_read => {
                return Err(ServiceError::Restricted { artifact: address, model, readers });
            }
            _ => {}
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

    /// Reads and checks every byte of an artifact. What is damaged is no longer served; with `repair`, it is fetched
    /// again from other peers, and the artifact is checked again.
    ///
    /// # Errors
    /// The first fault; with `repair`, the first that cannot be repaired.
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
            let error = self.found_damaged(blob, error).await?;
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

    /// Asks a peer whether it has a blob of an artifact.
    pub async fn probe(&self, peer: PeerId, asked: Asked) -> Probe {
        self.fetcher.probe(peer, asked).await
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

/// Which of the bytes that are here a fetch may take over: see [`crate::artifacts::access_control`].
fn lending(access: &AccessControl, node: &NodeHandle) -> Lending {
    let (begins, lends, node) = (access.clone(), access.clone(), node.clone());
    Lending {
        begins: Arc::new(move |address| {
            begins.look(&node.artifacts, &node.ledger, address).map_err(|error| match error {
                AccessError::Store(error) => error.into(),
                AccessError::Ledger(error) => FetchError::Ledger(error),
            })
        }),
        lends: Arc::new(move |asked| lends.lends(asked)),
    }
}

/// The artifact as the first version that has it records it: what later versions say about its size does not count.
///
/// # Errors
/// When the ledger cannot be read.
pub fn known_artifact(state: &impl StateRead, address: &ArtifactId) -> Result<Option<Artifact>, StateError> {
    let Some(origin) = read::<ArtifactOrigin>(state, address)? else { return Ok(None) };
    let Some(ArtifactUse(version)) = read::<ArtifactUse>(state, &(*address, origin.model))? else { return Ok(None) };
    Ok(read::<Version>(state, &(version.model, version.label))?.map(|version| version.artifact))
}

/// The selected part of a collection: the collection's address, and the size and number of the selected files.
fn selected(store: &ArtifactStore, address: &ArtifactId, selection: &Selection) -> Result<Artifact, ArtifactError> {
    let files = store.selected(address, selection)?;
    let size_bytes = total_size_bytes(&files);
    let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
    Ok(Artifact { address: *address, kind: ArtifactKind::Collection, size_bytes, files: count })
}

fn require_absolute(path: &Path) -> Result<(), ServiceError> {
    if path.is_absolute() { Ok(()) } else { Err(ServiceError::NotAbsolute { path: path.to_owned() }) }
}

/// The providers, as they are found.
pub(crate) fn found(mut providers: mpsc::Receiver<PeerId>) -> impl Stream<Item = PeerId> + Send {
    futures::stream::poll_fn(move |cx| providers.poll_recv(cx))
}
