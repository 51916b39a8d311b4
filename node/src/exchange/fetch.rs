//! Fetching an artifact from whoever has it.

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

/// Providers that are known to a fetch and wait for others to fail.
const WAITING_PROVIDERS: usize = 64;

/// What to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its address.
    pub address: ArtifactId,
    /// Whether the address is that of a file or of a manifest; the ledger says so.
    pub kind: ArtifactKind,
    /// Bytes that the file, or all files together, may have.
    pub limit_bytes: u64,
}

/// How a fetch goes about it. The default suits a node.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Bytes of one piece: a multiple of 16 KiB, at most [`limits::ARTIFACT_RANGE_SIZE_BYTES`].
    pub piece_bytes: u64,
    /// Streams to one provider: while one proves or writes what it read, another reads.
    pub streams_per_provider: usize,
    /// Providers used at a time.
    pub providers: usize,
    /// Files of a collection under way at a time.
    pub files: usize,
    /// How long opening a stream may take, dialling included.
    pub open_timeout: Duration,
    /// How long nothing may come from a provider that owes an answer.
    pub idle_timeout: Duration,
    /// How old an ask must be to be asked of a second provider, when nothing else is left.
    pub slow_after: Duration,
    /// How long nothing may arrive from anyone before the fetch fails.
    pub give_up_after: Duration,
    /// Bytes a second, of all fetches that share it.
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

/// What an observer is told while a fetch goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEvent {
    /// Bytes that are here, of those known to be needed; the total of a collection is known once its manifest is here.
    Progress(Progress),
    /// A provider was given up.
    ProviderDropped {
        /// Which.
        peer: PeerId,
        /// Why.
        reason: DropReason,
    },
}

/// Told of everything that happens, from several threads; it must not block.
pub type Observer = Arc<dyn Fn(FetchEvent) + Send + Sync>;

/// Why a provider was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It sent bytes that do not hash to the address.
    WrongBytes(String),
    /// It sent what the protocol does not allow.
    BrokeProtocol(String),
    /// It was too slow, repeatedly.
    Slow(String),
    /// It could not be reached, or its streams ended, repeatedly.
    Unreachable(String),
    /// It had too much to do, repeatedly.
    Busy,
}

impl DropReason {
    /// Whether no honest peer behaves so: a reason to block the peer.
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

/// What one provider gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderReport {
    /// Verified bytes that nobody had given before.
    pub bytes: u64,
    /// Whether it refused to serve us something.
    pub refused: bool,
    /// Why it was given up, if it was.
    pub dropped: Option<DropReason>,
}

/// What a fetch did.
#[derive(Clone, Debug, Default)]
pub struct FetchReport {
    /// Verified bytes that came over the network.
    pub fetched_bytes: u64,
    /// Bytes that were here already, whole files and parts of files.
    pub present_bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Who was asked.
    pub providers: BTreeMap<PeerId, ProviderReport>,
}

/// Why an artifact could not be fetched. What has arrived is kept, and the next fetch goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// None of the providers has it, or all that might have were given up.
    #[error(
        "none of the {asked} providers found could give {address}{}; ask its publisher to keep a peer running, or try again later",
        if *refused { " (some refuse to: it was withdrawn, or is not for this peer)" } else { "" }
    )]
    NobodyHas {
        /// What is missing.
        address: ArtifactId,
        /// Providers asked.
        asked: usize,
        /// Whether one refused.
        refused: bool,
    },
    /// Nothing arrived for too long.
    #[error(
        "nothing arrived for {waited:?} from {known_providers} providers; check the network and try again: it goes on from where it is"
    )]
    Stalled {
        /// Since the last arrival.
        waited: Duration,
        /// Providers known.
        known_providers: usize,
    },
    /// Larger than wanted.
    #[error("{address} has {size_bytes} bytes, more than the {limit_bytes} allowed")]
    TooLarge {
        /// Which.
        address: ArtifactId,
        /// Its size; proven.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The manifest states a wrong size for a file.
    #[error(
        "the manifest says that {address} has {expected_bytes} bytes, but it has {size_bytes}; its publisher made a mistake, do not use it"
    )]
    ManifestWrong {
        /// The file.
        address: ArtifactId,
        /// What the manifest says.
        expected_bytes: u64,
        /// The size; proven.
        size_bytes: u64,
    },
    /// Some of a file is here on behalf of an artifact with other terms.
    #[error(
        "{0} has been fetched in part for an artifact that is not read by the same peers; end that fetch first, or give it up \
         (allod artifacts gc --downloads)"
    )]
    NotLent(ArtifactId),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
    /// The store failed.
    #[error(transparent)]
    Store(Box<ArtifactError>),
    /// A defect of this program.
    #[error("fetching failed by a defect, please report it: {0}")]
    Defect(String),
}

impl From<JoinError> for FetchError {
    fn from(error: JoinError) -> Self {
        Self::Defect(error.to_string())
    }
}

/// A fetch that failed, and what it did until then.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct FetchFailure {
    /// Why.
    #[source]
    pub error: FetchError,
    /// What happened, misbehaving providers included.
    pub report: Box<FetchReport>,
}

/// Told of an artifact before its first byte is fetched, and again when its manifest is here. Blocks.
pub type Begins = Arc<dyn Fn(&ArtifactId) -> Result<(), FetchError> + Send + Sync>;

/// Whether an artifact may take over a blob that is here, or may be; if not, its providers are asked for the bytes, as if they
/// were not here.
pub type Lends = Arc<dyn Fn(&Asked) -> bool + Send + Sync>;

/// Whose the bytes are that are here already. An address is no proof of having the bytes: who publishes that of a file
/// which others may not read would otherwise have it handed out by everybody who holds it for them.
#[derive(Clone)]
pub struct Lending {
    /// Takes note of what is fetched.
    pub begins: Begins,
    /// Says what need not be.
    pub lends: Lends,
}

impl Lending {
    /// Everything that is here may be taken over.
    pub fn of_everything() -> Self {
        Self { begins: Arc::new(|_| Ok(())), lends: Arc::new(|_| true) }
    }
}

/// Fetches artifacts into one store. One for a process: clones know of each other's work, so two fetches that share a
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
    /// A fetcher that opens its streams with `control`, for the protocol that [`super::protocol`] names.
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

    /// Fetches an artifact from the providers, which may be found while it goes on; each is asked once. At the end the
    /// artifact is in the store, whole and verified. Dropping the future stops the fetch; what has arrived is kept.
    ///
    /// # Errors
    /// See [`FetchError`]. The report names providers that misbehaved in either case.
    pub async fn fetch(
        &self,
        wanted: Wanted,
        providers: impl Stream<Item = PeerId> + Send,
        observer: Observer,
    ) -> Result<FetchReport, FetchFailure> {
        self.fetch_some(wanted, None, providers, observer).await
    }

    /// As [`Fetcher::fetch`], for some files of a collection only: they are in the store at the end, and the artifact
    /// is not whole, unless the other files were there already.
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
            // Held as long as the fetch goes on: nothing is collected under it.
            let _hold = self.blocking(ArtifactStore::hold).await?;
            self.get_artifact(&session, wanted, selection).await
        };
        let result = tokio::select! {
            result = getting => result,
            error = self.drive(&session, providers) => Err(error),
        };
        session.remember();
        let (fetched_bytes, present_bytes, providers) = session.report();
        // With it go the claims to what did not arrive.
        drop(session);
        if result.is_err() {
            self.forget_if_empty(wanted.address).await;
        }
        let report = FetchReport { fetched_bytes, present_bytes, elapsed: started.elapsed(), providers };
        result.map(|()| report.clone()).map_err(|error| FetchFailure { error, report: Box::new(report) })
    }

    /// Runs the workers of all providers until the fetch has to be given up. Providers for whom there is no room yet
    /// wait, and those that were given up not long ago wait until nobody else has what is wanted.
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
                // Which files it has is known now, and before one of them comes.
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
            // What took the place of the same bytes was counted twice.
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
            // What was begun before is counted already, and again here: at most a refusal too early.
            store.check_quota(total_size_bytes(&missing))?;
            Ok::<_, ArtifactError>((total_size_bytes(&files), missing))
        });
        let (size_bytes, missing) = listed.await??;
        if size_bytes > limit_bytes {
            return Err(FetchError::TooLarge { address, size_bytes, limit_bytes });
        }
        let missing_bytes = total_size_bytes(&missing);
        session.expect(size_bytes);
        // What is here, and files that the collection has several times.
        session.present(size_bytes.saturating_sub(missing_bytes));
        let files = futures::stream::iter(missing.into_iter().map(Ok));
        files
            .try_for_each_concurrent(self.options.files, |file| {
                self.get_blob(session, file.address, file.size_bytes, Some(file.size_bytes)).boxed()
            })
            .await
    }

    /// Gets one blob into the store.
    async fn get_blob(
        &self,
        session: &Arc<Session>,
        address: ArtifactId,
        limit_bytes: u64,
        expected_bytes: Option<u64>,
    ) -> Result<(), FetchError> {
        let claim = self.claim(address).await;
        if address == session.wanted.address {
            // Before the first byte of it.
            self.begin(session.wanted).await?;
        }
        let (in_task, lends, again) =
            (Arc::clone(&claim), Arc::clone(&self.lending.lends), Arc::clone(&session.got_again));
        let asked = Asked { artifact: session.wanted.address, blob: address };
        let found = self.blocking(move |store| {
            match (store.has_blob(&address), lends(&asked)) {
                (true, true) => return Ok(Found::Whole(store.size(&address)?)),
                // What lies beside the whole is of a fetch like this one: nothing tells how much of it.
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

    /// Forgets a fetch that failed before its first byte came.
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

/// What of a blob is here.
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
