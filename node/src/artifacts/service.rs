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
//!
//! `fetching`, `publishing`, `serving`, `verification` and `repair` are a file each; what they share is here.

mod error;
mod fetching;
mod publishing;
mod repair;
mod serving;
mod verification;

pub use error::ServiceError;
pub(crate) use fetching::found;
pub use fetching::{FetchJob, FetchUpdate, known_artifact};
pub use publishing::ForVersion;
pub use repair::Scrubbing;
pub use verification::Checked;

use crate::{
    artifacts::{
        access_control::{self, AccessControl, Ruling},
        replication::ReplicationOptions,
    },
    event_loop::handle::NodeHandle,
    exchange::{
        self,
        fetch::{FetchOptions, Fetcher},
        probe::Probe,
        rate::RateLimit,
        serve::{Asked, ServeCounters, ServeLimits, Server},
    },
};
use allod_protocol::ground::ids::ArtifactId;
use allod_storage::artifacts::{ArtifactError, ArtifactStore, Garbage};
use libp2p::PeerId;
use serving::lending;
use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, watch};

/// Maximum number of imports at a time: each reads and hashes at the disk's speed.
pub const IMPORTS: usize = 2;
/// Maximum number of fetches at a time.
pub const FETCHES: usize = 8;
/// Maximum number of verifications and downloads by clients at a time.
pub const CHECKS: usize = 8;

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
        let answers = self.upload_streams.get().min(rate.streams());
        let answers_per_peer = (answers / 4).max(1);
        ServeLimits { answers, answers_per_peer, rate, ..ServeLimits::default() }
    }

    fn fetch(&self) -> FetchOptions {
        let (providers, rate) = (self.download_providers.get(), RateLimit::new(self.download_rate));
        FetchOptions { providers, rate, ..FetchOptions::default() }
    }
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
            is_known: {
                let ledger = node.ledger.clone();
                Arc::new(move |peer| access_control::is_bound(&ledger.snapshot(), peer).unwrap_or(false))
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
