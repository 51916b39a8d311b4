//! Fetching an artifact from the peers that have it.

use super::{
    rate::RateLimit,
    session::{Blob, Claim, Claimed, Session},
    speed::Memory,
    wire::Asked,
    worker,
};
use allod_protocol::{
    ground::{ids::ArtifactId, limits, state::StateError},
    rules::artifact::{ArtifactKind, total_size_bytes},
};
use allod_storage::artifacts::{ArtifactError, ArtifactStore, Begun, Fate, Progress, Selection};
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream::FuturesUnordered};
use libp2p::{PeerId, StreamProtocol};
use libp2p_stream::Control;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinError, time::Instant};

/// Maximum number of known providers that wait for others to fail.
const WAITING_PROVIDERS: usize = 64;

/// What to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its address.
    pub address: ArtifactId,
    /// Whether the address is that of a file or of a manifest, according to the ledger.
    pub kind: ArtifactKind,
    /// Maximum bytes of the file, or of all files together.
    pub limit_bytes: u64,
}

/// The settings of a fetch. The default suits a node.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Size of one piece in bytes: a multiple of 16 KiB, at most [`limits::ARTIFACT_RANGE_SIZE_BYTES`].
    pub piece_bytes: u64,
    /// Streams to one provider: while one proves or writes what it has read, another reads.
    pub streams_per_provider: usize,
    /// Maximum number of providers used at a time.
    pub providers: usize,
    /// Maximum number of files of a collection in progress at a time.
    pub files: usize,
    /// How long opening a stream may take, including dialling.
    pub open_timeout: Duration,
    /// How long a provider that owes an answer may send nothing.
    pub idle_timeout: Duration,
    /// The age from which a request is repeated at a second provider when nothing else is left.
    pub slow_after: Duration,
    /// How long nothing may arrive from any provider before the fetch fails.
    pub give_up_after: Duration,
    /// Maximum bytes per second, over all fetches that share the limit.
    pub rate: RateLimit,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            piece_bytes: 1024 * 1024,
            streams_per_provider: 3,
            providers: 8,
            files: 64,
            open_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            slow_after: Duration::from_secs(3),
            give_up_after: Duration::from_secs(60),
            rate: RateLimit::default(),
        }
    }
}

const _: () = assert!(1024 * 1024 <= limits::ARTIFACT_RANGE_SIZE_BYTES, "a default piece may be asked for");

/// What an observer is told during a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEvent {
    /// Bytes that are here, out of those known to be needed. The total of a collection is known once its manifest is
    /// here.
    Progress(Progress),
    /// A provider was given up.
    ProviderDropped {
        /// The provider.
        peer: PeerId,
        /// Why it was given up.
        reason: DropReason,
    },
}

/// Receives all events of a fetch, from several threads. It must not block.
pub type Observer = Arc<dyn Fn(FetchEvent) + Send + Sync>;

/// Why a provider was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It sent bytes that do not hash to the address.
    WrongBytes(String),
    /// It sent something that the protocol does not allow.
    BrokeProtocol(String),
    /// It was too slow, repeatedly.
    Slow(String),
    /// It could not be reached, or its streams ended, repeatedly.
    Unreachable(String),
    /// It was busy, repeatedly.
    Busy,
}

impl DropReason {
    /// Whether no honest peer behaves like this: a reason to block the peer.
    pub const fn is_misbehaviour(&self) -> bool {
        matches!(self, Self::WrongBytes(_) | Self::BrokeProtocol(_))
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongBytes(detail) => write!(f, "sent wrong bytes: {detail}"),
            Self::BrokeProtocol(detail) => write!(f, "broke the artifact protocol: {detail}"),
            Self::Slow(detail) => write!(f, "was too slow: {detail}"),
            Self::Unreachable(detail) => write!(f, "could not be reached: {detail}"),
            Self::Busy => f.write_str("was too busy"),
        }
    }
}

/// What one provider contributed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderReport {
    /// Verified bytes that it was the first to deliver.
    pub bytes: u64,
    /// Whether it refused to serve something to us.
    pub refused: bool,
    /// Why it was given up, if it was.
    pub dropped: Option<DropReason>,
}

/// The result of a fetch.
#[derive(Clone, Debug, Default)]
pub struct FetchReport {
    /// Verified bytes that arrived over the network.
    pub fetched_bytes: u64,
    /// Bytes that were already here, in whole files and parts of files.
    pub present_bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The providers that were asked.
    pub providers: BTreeMap<PeerId, ProviderReport>,
}

/// Why an artifact could not be fetched. What has arrived is kept, and the next fetch continues from there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No provider has it, or all that might have it were given up.
    #[error(
        "none of the {asked} providers found could give {address}{}; ask its publisher to keep a peer running, or try again later",
        if *refused { " (some refused: it was withdrawn, or is not for this peer)" } else { "" }
    )]
    NobodyHas {
        /// The missing artifact or file.
        address: ArtifactId,
        /// Number of providers asked.
        asked: usize,
        /// Whether one of them refused.
        refused: bool,
    },
    /// Nothing arrived for too long.
    #[error(
        "nothing arrived for {waited:?} from {known_providers} providers; check the network and try again: the fetch continues where it stopped"
    )]
    Stalled {
        /// Time since the last arrival.
        waited: Duration,
        /// Number of known providers.
        known_providers: usize,
    },
    /// The artifact is larger than wanted.
    #[error("{address} has {size_bytes} bytes, more than the {limit_bytes} allowed")]
    TooLarge {
        /// The artifact.
        address: ArtifactId,
        /// Its proven size, in bytes.
        size_bytes: u64,
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The manifest states a wrong size for a file.
    #[error(
        "the manifest says that {address} has {expected_bytes} bytes, but it has {size_bytes}; its publisher made a mistake: do not use it"
    )]
    ManifestWrong {
        /// The file.
        address: ArtifactId,
        /// The size in the manifest, in bytes.
        expected_bytes: u64,
        /// The proven size, in bytes.
        size_bytes: u64,
    },
    /// Some of a file is here on behalf of an artifact with other terms.
    #[error(
        "{0} has been fetched in part for an artifact with other readers; finish that fetch first, or give it up \
         (allod artifacts gc --downloads)"
    )]
    NotLent(ArtifactId),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
    /// The artifact store failed.
    #[error(transparent)]
    Store(Box<ArtifactError>),
    /// A defect of this program.
    #[error("fetching failed because of a defect, please report it: {0}")]
    Defect(String),
}

impl From<JoinError> for FetchError {
    fn from(error: JoinError) -> Self {
        Self::Defect(error.to_string())
    }
}

/// A fetch that failed, and what it did before.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct FetchFailure {
    /// Why it failed.
    #[source]
    pub error: FetchError,
    /// What happened until then, including misbehaving providers.
    pub report: Box<FetchReport>,
}

/// Called for an artifact before its first byte is fetched, and again when its manifest is here. May block.
pub type Begins = Arc<dyn Fn(&ArtifactId) -> Result<(), FetchError> + Send + Sync>;

/// Whether an artifact may take over a blob that is here, or may arrive. If not, its providers are asked for the bytes
/// as if they were not here.
pub type Lends = Arc<dyn Fn(&Asked) -> bool + Send + Sync>;

/// On whose behalf the bytes are here. An address is not a proof of having the bytes: by publishing the address of a
/// file that others may not read, anybody could otherwise make every holder of the file hand it out.
#[derive(Clone)]
pub struct Lending {
    /// Records what is being fetched.
    pub begins: Begins,
    /// Decides what need not be fetched.
    pub lends: Lends,
}

impl Lending {
    /// Everything that is here may be taken over.
    pub fn of_everything() -> Self {
        Self { begins: Arc::new(|_| Ok(())), lends: Arc::new(|_| true) }
    }
}

/// Fetches artifacts into one store. Use one per process: clones know of each other's work, so two fetches that share a
/// file fetch it once.
#[derive(Clone)]
pub struct Fetcher {
    store: Arc<ArtifactStore>,
    lending: Lending,
    control: Control,
    protocol: StreamProtocol,
    options: FetchOptions,
    memory: Memory,
    claims: Arc<Mutex<BTreeMap<ArtifactId, Weak<tokio::sync::Mutex<()>>>>>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("protocol", &self.protocol)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// A fetcher that opens its streams with `control`, for the protocol named by [`super::protocol`].
    pub fn new(
        store: Arc<ArtifactStore>,
        lending: Lending,
        control: Control,
        protocol: StreamProtocol,
        options: FetchOptions,
    ) -> Self {
        Self { store, lending, control, protocol, options, memory: Memory::default(), claims: Arc::default() }
    }

    pub(super) const fn options(&self) -> &FetchOptions {
        &self.options
    }

    pub(super) async fn open_stream(&self, peer: PeerId) -> Result<libp2p::Stream, libp2p_stream::OpenStreamError> {
        self.control.clone().open_stream(peer, self.protocol.clone()).await
    }

    /// Fetches an artifact from providers, which may be found during the fetch; each is asked once. At the end the
    /// artifact is in the store, whole and verified. Dropping the future stops the fetch; what has arrived is kept.
    ///
    /// # Errors
    /// See [`FetchError`]. The report names providers that misbehaved, whether the fetch succeeds or fails.
    pub async fn fetch(
        &self,
        wanted: Wanted,
        providers: impl Stream<Item = PeerId> + Send,
        observer: Observer,
    ) -> Result<FetchReport, FetchFailure> {
        self.fetch_some(wanted, None, providers, observer).await
    }

    /// As [`Fetcher::fetch`], for some files of a collection only. At the end they are in the store, but the artifact
    /// is not whole, unless the other files were already there.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn fetch_some(
        &self,
        wanted: Wanted,
        selection: Option<Selection>,
        providers: impl Stream<Item = PeerId> + Send,
        observer: Observer,
    ) -> Result<FetchReport, FetchFailure> {
        let started = Instant::now();
        let session = Arc::new(Session::new(
            wanted,
            Arc::clone(&self.store),
            self.options.clone(),
            self.memory.clone(),
            observer,
        ));
        let getting = async {
            // Held during the fetch: no garbage is collected meanwhile.
            let _hold = self.blocking(ArtifactStore::hold).await?;
            self.get_artifact(&session, wanted, selection).await
        };
        let result = tokio::select! {
            result = getting => result,
            error = self.drive(&session, providers) => Err(error),
        };
        session.remember();
        let (fetched_bytes, present_bytes, providers) = session.report();
        // This releases the claims to what did not arrive.
        drop(session);
        if result.is_err() {
            self.forget_if_empty(wanted.address).await;
        }
        let report = FetchReport { fetched_bytes, present_bytes, elapsed: started.elapsed(), providers };
        result.map(|()| report.clone()).map_err(|error| FetchFailure { error, report: Box::new(report) })
    }

    /// Runs the workers of all providers until the fetch has to be given up. Providers for which there is no room wait.
    /// Those that were given up recently wait until nobody else has what is wanted.
    async fn drive(&self, session: &Arc<Session>, providers: impl Stream<Item = PeerId> + Send) -> FetchError {
        let mut providers = pin!(providers.fuse());
        let mut ended = false;
        let (mut waiting, mut avoided) = (VecDeque::new(), VecDeque::new());
        let mut workers = FuturesUnordered::new();
        let mut clock = tokio::time::interval(Duration::from_secs(1).min(self.options.give_up_after));
        loop {
            let changed = session.changed.notified();
            let last_resort = ended && waiting.is_empty() && session.wants_providers();
            while session.has_room() {
                let next = waiting.pop_front().or_else(|| if last_resort { avoided.pop_front() } else { None });
                let Some(peer) = next else { break };
                if session.add_provider(peer) {
                    for _ in 0..self.options.streams_per_provider {
                        let (session, control) = (Arc::clone(session), self.control.clone());
                        workers.push(worker::work(session, control, self.protocol.clone(), peer).boxed());
                    }
                }
            }
            if ended && waiting.is_empty() && avoided.is_empty() {
                session.end_providers();
            }
            if let Some(failure) = session.failure() {
                return failure;
            }
            tokio::select! {
                provider = providers.next(), if !ended => match provider {
                    Some(peer) => {
                        let avoids = self.memory.avoids(&peer, Instant::now());
                        let queue = if avoids { &mut avoided } else { &mut waiting };
                        if queue.len() < WAITING_PROVIDERS {
                            queue.push_back(peer);
                        }
                    }
                    None => ended = true,
                },
                Some(()) = workers.next(), if !workers.is_empty() => {}
                () = changed => {}
                _ = clock.tick() => {}
            }
        }
    }

    async fn get_artifact(
        &self,
        session: &Arc<Session>,
        wanted: Wanted,
        selection: Option<Selection>,
    ) -> Result<(), FetchError> {
        let Wanted { address, kind, limit_bytes } = wanted;
        match kind {
            ArtifactKind::File => self.get_blob(session, address, limit_bytes, None).await?,
            ArtifactKind::Collection => {
                self.get_blob(session, address, limits::MANIFEST_SIZE_BYTES as u64, None).await?;
                // Its files are known now, before the first of them arrives.
                self.tell_begun(address).await?;
                let some = selection.is_some();
                self.get_files(session, address, limit_bytes, selection).await?;
                if some {
                    let in_part = Begun { kind, fate: Fate::InPart };
                    return Ok(self.blocking(move |store| store.set_begun(&address, in_part)).await??);
                }
            }
        }
        let got_again = session.got_again.load(Ordering::Relaxed);
        self.blocking(move |store| {
            store.adopt(&address, kind)?;
            // Bytes that replaced identical ones were counted twice.
            if got_again { store.measure() } else { Ok(()) }
        })
        .await??;
        Ok(())
    }

    async fn get_files(
        &self,
        session: &Arc<Session>,
        address: ArtifactId,
        limit_bytes: u64,
        selection: Option<Selection>,
    ) -> Result<(), FetchError> {
        let lends = Arc::clone(&self.lending.lends);
        let listed = self.blocking(move |store| {
            let files = match selection {
                Some(selection) => store.selected(&address, &selection)?,
                None => store.manifest(&address)?.files().to_vec(),
            };
            let missing = store.missing_files(&files, |blob| lends(&Asked { artifact: address, blob: *blob }));
            // What was begun earlier is already counted, and again here: at worst a fetch is refused too early.
            store.check_quota(total_size_bytes(&missing))?;
            Ok::<_, ArtifactError>((total_size_bytes(&files), missing))
        });
        let (size_bytes, missing) = listed.await??;
        if size_bytes > limit_bytes {
            return Err(FetchError::TooLarge { address, size_bytes, limit_bytes });
        }
        let missing_bytes = total_size_bytes(&missing);
        session.expect(size_bytes);
        // What is here, and files that the collection contains several times.
        session.present(size_bytes.saturating_sub(missing_bytes));
        let files = futures::stream::iter(missing.into_iter().map(Ok));
        files
            .try_for_each_concurrent(self.options.files, |file| {
                self.get_blob(session, file.address, file.size_bytes, Some(file.size_bytes)).boxed()
            })
            .await
    }

    /// Fetches one blob into the store.
    async fn get_blob(
        &self,
        session: &Arc<Session>,
        address: ArtifactId,
        limit_bytes: u64,
        expected_bytes: Option<u64>,
    ) -> Result<(), FetchError> {
        let claim = self.claim(address).await;
        if address == session.wanted.address {
            // Before its first byte.
            self.begin(session.wanted).await?;
        }
        let (in_task, lends, again) =
            (Arc::clone(&claim), Arc::clone(&self.lending.lends), Arc::clone(&session.got_again));
        let asked = Asked { artifact: session.wanted.address, blob: address };
        let found = self.blocking(move |store| {
            match (store.has_blob(&address), lends(&asked)) {
                (true, true) => return Ok(Found::Whole(store.size(&address)?)),
                // A partial file beside the whole one is from a fetch like this one; nothing shows how much of it is
                // here.
                (true, false) => {
                    store.discard(&address)?;
                    again.store(true, Ordering::Relaxed);
                    return Ok(Found::Nothing);
                }
                (false, true) => {}
                (false, false) if store.partials()?.contains(&address) => return Err(FetchError::NotLent(address)),
                (false, false) => {}
            }
            let partial = store.resume(&address)?;
            Ok(partial.map_or(Found::Nothing, |partial| Found::Part(Claimed::new(partial, in_task))))
        });
        let (done, arrived) = oneshot::channel();
        let runs = Default::default();
        let mut blob = Blob { expected_bytes, limit_bytes, claim, partial: None, whole: false, runs, done };
        match found.await?? {
            Found::Whole(size_bytes) => {
                if expected_bytes.is_none() {
                    session.expect(size_bytes);
                }
                session.present(size_bytes);
                return Ok(());
            }
            Found::Part(partial) => {
                let size_bytes = partial.size_bytes();
                check_size(address, size_bytes, limit_bytes, expected_bytes)?;
                if expected_bytes.is_none() {
                    session.expect(size_bytes);
                }
                session.present(partial.verified_bytes());
                blob.runs = partial.missing().into();
                if blob.runs.is_empty() {
                    return Ok(self.blocking(move |_| partial.finish()).await??);
                }
                blob.partial = Some(Arc::new(partial));
            }
            Found::Nothing => {}
        }
        session.open(address, blob);
        arrived.await.unwrap_or_else(|_| Err(FetchError::Defect("a blob was forgotten".into())))
    }

    async fn begin(&self, Wanted { address, kind, .. }: Wanted) -> Result<(), FetchError> {
        self.blocking(move |store| store.begin(&address, kind)).await??;
        self.tell_begun(address).await
    }

    /// Forgets a fetch that failed before its first byte arrived.
    async fn forget_if_empty(&self, address: ArtifactId) {
        let claim = self.claim(address).await;
        if let Err(error) = self.blocking(move |store| store.forget_if_empty(&address)).await {
            tracing::debug!(%address, %error, "cannot forget a fetch that failed");
        }
        drop(claim);
    }

    async fn tell_begun(&self, address: ArtifactId) -> Result<(), FetchError> {
        let begins = Arc::clone(&self.lending.begins);
        self.blocking(move |_| begins(&address)).await?
    }

    /// Waits until no other fetch works on the address.
    async fn claim(&self, address: ArtifactId) -> Claim {
        let lock = {
            let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
            let known = claims.get(&address).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                claims.retain(|_, lock| lock.strong_count() > 0);
                let lock = Arc::new(tokio::sync::Mutex::new(()));
                claims.insert(address, Arc::downgrade(&lock));
                lock
            })
        };
        Arc::new(lock.lock_owned().await)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ArtifactStore) -> T + Send + 'static,
    ) -> Result<T, FetchError> {
        let store = Arc::clone(&self.store);
        Ok(tokio::task::spawn_blocking(move || work(&store)).await?)
    }
}

/// How much of a blob is here.
enum Found {
    Whole(u64),
    Part(Claimed),
    Nothing,
}

fn check_size(address: ArtifactId, size_bytes: u64, limit_bytes: u64, expected: Option<u64>) -> Result<(), FetchError> {
    match expected {
        Some(expected_bytes) if expected_bytes != size_bytes => {
            Err(FetchError::ManifestWrong { address, expected_bytes, size_bytes })
        }
        _ if size_bytes > limit_bytes => Err(FetchError::TooLarge { address, size_bytes, limit_bytes }),
        _ => Ok(()),
    }
}
