//! Who takes which piece: the state that the workers of one fetch share.
//!
//! Invariants: a piece is in the queue, in a blob's runs, or in flight, or it has arrived; a piece in flight has at
//! least one holder, at most two; a provider that was dropped takes nothing more.

use super::fetch::{DropReason, FetchError, FetchEvent, FetchOptions, Observer, ProviderReport};
use super::wire::Request;
use allod_protocol::ids::ArtifactId;
use allod_storage::artifacts::{ArtifactError, ArtifactStore, ByteRange, PartialFile, Progress};
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{Notify, OwnedMutexGuard, oneshot},
    time::Instant,
};

/// Failures in a row after which a provider is given up.
const STRIKES: u32 = 3;
/// Times in a row that a provider may say it is busy.
const BUSY_ANSWERS: u32 = 40;

/// What a worker asks its provider for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// The tail of a blob that has not begun.
    Tail(ArtifactId),
    /// A piece of one that has.
    Piece(ArtifactId, ByteRange),
}

impl Ask {
    pub(super) const fn address(&self) -> &ArtifactId {
        match self {
            Self::Tail(address) | Self::Piece(address, _) => address,
        }
    }

    pub(super) const fn request(&self, tail_bytes: u64) -> Request {
        match *self {
            Self::Tail(address) => Request::Tail { address, max_bytes: tail_bytes },
            Self::Piece(address, range) => Request::Range { address, range },
        }
    }
}

/// Held until the last task that writes the blob has ended: only one fetch of a process works on an address.
pub(super) type Claim = Arc<OwnedMutexGuard<()>>;

/// A partial file and the claim to its address: the claim ends no sooner than the file is closed.
#[derive(Debug)]
pub(super) struct Claimed {
    partial: PartialFile,
    _claim: Claim,
}

impl Claimed {
    pub(super) const fn new(partial: PartialFile, claim: Claim) -> Self {
        Self { partial, _claim: claim }
    }
}

impl std::ops::Deref for Claimed {
    type Target = PartialFile;
    fn deref(&self) -> &PartialFile {
        &self.partial
    }
}

/// A blob that is being fetched.
#[derive(Debug)]
pub(super) struct Blob {
    /// What the manifest says; `None` for an artifact itself.
    pub(super) expected_bytes: Option<u64>,
    pub(super) limit_bytes: u64,
    pub(super) claim: Claim,
    pub(super) partial: Option<Arc<Claimed>>,
    /// It arrived in one piece, without a partial file.
    pub(super) whole: bool,
    /// What no ask covers yet.
    pub(super) runs: VecDeque<ByteRange>,
    pub(super) done: oneshot::Sender<Result<(), FetchError>>,
}

#[derive(Debug)]
struct Holder {
    peer: PeerId,
    since: Instant,
}

#[derive(Debug, Default)]
struct Provider {
    report: ProviderReport,
    lacks: BTreeSet<ArtifactId>,
    strikes: u32,
    busy: u32,
}

#[derive(Debug)]
struct State {
    blobs: BTreeMap<ArtifactId, Blob>,
    queue: VecDeque<Ask>,
    in_flight: BTreeMap<Ask, Vec<Holder>>,
    providers: BTreeMap<PeerId, Provider>,
    providers_ended: bool,
    failure: Option<FetchError>,
    last_arrival: Instant,
    progress: Progress,
    fetched_bytes: u64,
    present_bytes: u64,
}

/// What the workers of one fetch share.
pub(super) struct Session {
    pub(super) store: Arc<ArtifactStore>,
    pub(super) options: FetchOptions,
    observer: Observer,
    state: Mutex<State>,
    /// There may be something to take, or the session failed.
    pub(super) changed: Notify,
}

/// Where the next thing to ask lies.
enum Choice {
    Queued(usize),
    Piece(ArtifactId),
    Slow(Ask),
}

/// A worker's way to know what to verify a piece with.
pub(super) enum Target {
    /// Begin the blob.
    Start { claim: Claim, expected_bytes: Option<u64>, limit_bytes: u64 },
    /// Go on with it.
    Continue(Arc<Claimed>),
    /// It has arrived from elsewhere.
    Gone,
}

impl Session {
    pub(super) fn new(store: Arc<ArtifactStore>, options: FetchOptions, observer: Observer) -> Self {
        let state = State {
            blobs: BTreeMap::new(),
            queue: VecDeque::new(),
            in_flight: BTreeMap::new(),
            providers: BTreeMap::new(),
            providers_ended: false,
            failure: None,
            last_arrival: Instant::now(),
            progress: Progress { done_bytes: 0, total_bytes: 0 },
            fetched_bytes: 0,
            present_bytes: 0,
        };
        Self { store, options, observer, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a blob to the workers; the receiver hears when it is in the store.
    pub(super) fn open(&self, address: ArtifactId, blob: Blob) {
        let mut state = self.state();
        if state.blobs.is_empty() {
            state.last_arrival = Instant::now();
        }
        if blob.partial.is_none() {
            state.queue.push_back(Ask::Tail(address));
        }
        state.blobs.insert(address, blob);
        state.find_hopeless();
        drop(state);
        self.changed.notify_waiters();
    }

    /// Counts bytes that need not be fetched.
    pub(super) fn present(&self, bytes: u64) {
        let mut state = self.state();
        state.present_bytes = state.present_bytes.saturating_add(bytes);
        state.progress.done_bytes = state.progress.done_bytes.saturating_add(bytes);
        self.tell_progress(&state);
    }

    /// Adds to the bytes that there are to fetch.
    pub(super) fn expect(&self, bytes: u64) {
        let mut state = self.state();
        state.progress.total_bytes = state.progress.total_bytes.saturating_add(bytes);
    }

    fn tell_progress(&self, state: &State) {
        (self.observer)(FetchEvent::Progress(state.progress));
    }

    /// Whether the provider is new and there is room for it.
    pub(super) fn add_provider(&self, peer: PeerId) -> bool {
        let mut state = self.state();
        let active = state.providers.values().filter(|provider| provider.report.dropped.is_none()).count();
        if state.providers.contains_key(&peer) || active >= self.options.providers {
            return false;
        }
        state.providers.insert(peer, Provider::default());
        true
    }

    /// No more providers will be found.
    pub(super) fn end_providers(&self) {
        let mut state = self.state();
        state.providers_ended = true;
        state.find_hopeless();
    }

    /// The reason to give up, if there is one by now.
    pub(super) fn failure(&self) -> Option<FetchError> {
        let mut state = self.state();
        if let Some(failure) = state.failure.take() {
            return Some(failure);
        }
        let waited = state.last_arrival.elapsed();
        let stalled = !state.blobs.is_empty() && waited >= self.options.give_up_after;
        stalled.then_some(FetchError::Stalled { waited, known_providers: state.providers.len() })
    }

    /// Ends the fetch: this machine, not a provider, is at fault.
    pub(super) fn fail(&self, error: FetchError) {
        self.state().failure.get_or_insert(error);
        self.changed.notify_waiters();
    }

    pub(super) fn is_dropped(&self, peer: &PeerId) -> bool {
        self.state().providers.get(peer).is_none_or(|provider| provider.report.dropped.is_some())
    }

    /// The next thing for this provider, which holds it from now on.
    pub(super) fn take(&self, peer: PeerId) -> Option<Ask> {
        let mut state = self.state();
        let ask = match self.choose(&state, &peer)? {
            Choice::Queued(index) => state.queue.remove(index)?,
            Choice::Slow(ask) => ask,
            Choice::Piece(address) => {
                let blob = state.blobs.get_mut(&address)?;
                Ask::Piece(address, cut(&mut blob.runs, self.options.piece_bytes)?)
            }
        };
        state.in_flight.entry(ask).or_default().push(Holder { peer, since: Instant::now() });
        Some(ask)
    }

    /// Whether [`Session::take`] would give something.
    pub(super) fn has_work(&self, peer: PeerId) -> bool {
        self.choose(&self.state(), &peer).is_some()
    }

    /// First what failed elsewhere and new tails, then new pieces, then what is slow elsewhere.
    fn choose(&self, state: &State, peer: &PeerId) -> Option<Choice> {
        let provider = state.providers.get(peer).filter(|provider| provider.report.dropped.is_none())?;
        let offered = |address: &ArtifactId| !provider.lacks.contains(address);
        if let Some(index) = state.queue.iter().position(|ask| offered(ask.address())) {
            return Some(Choice::Queued(index));
        }
        let mut blobs = state.blobs.iter();
        if let Some((address, _)) = blobs.find(|(address, blob)| !blob.runs.is_empty() && offered(address)) {
            return Some(Choice::Piece(*address));
        }
        let slow = |holders: &[Holder]| match holders {
            [one] => one.peer != *peer && one.since.elapsed() >= self.options.slow_after,
            _ => false,
        };
        let mut in_flight = state.in_flight.iter();
        let (ask, _) = in_flight.find(|(ask, holders)| offered(ask.address()) && slow(holders))?;
        Some(Choice::Slow(*ask))
    }

    /// Starts the clock of an ask anew: its answer is the next one due.
    pub(super) fn is_due(&self, ask: &Ask, peer: PeerId) {
        let mut state = self.state();
        let holders = state.in_flight.get_mut(ask);
        if let Some(holder) = holders.and_then(|holders| holders.iter_mut().find(|holder| holder.peer == peer)) {
            holder.since = Instant::now();
        }
    }

    /// Gives back what the provider did not deliver.
    pub(super) fn give_back(&self, ask: Ask, peer: PeerId) {
        self.state().release(ask, peer);
        self.changed.notify_waiters();
    }

    /// What to do with the answer to an ask.
    pub(super) fn target(&self, ask: &Ask) -> Target {
        let state = self.state();
        match (ask, state.blobs.get(ask.address())) {
            (Ask::Tail(_), Some(Blob { partial: None, claim, expected_bytes, limit_bytes, .. })) => {
                Target::Start { claim: Arc::clone(claim), expected_bytes: *expected_bytes, limit_bytes: *limit_bytes }
            }
            (Ask::Piece(..), Some(Blob { partial: Some(partial), .. })) => Target::Continue(Arc::clone(partial)),
            _ => Target::Gone,
        }
    }

    /// The size that an ask's blob is known to have.
    pub(super) fn known_size(&self, ask: &Ask) -> Option<u64> {
        let state = self.state();
        let blob = state.blobs.get(ask.address())?;
        blob.partial.as_ref().map(|partial| partial.size_bytes()).or(blob.expected_bytes)
    }

    /// A blob has begun: its other pieces may be taken.
    pub(super) fn begun(&self, address: &ArtifactId, partial: Arc<Claimed>) {
        let mut state = self.state();
        if let Some(blob) = state.blobs.get_mut(address) {
            blob.runs = partial.missing().into();
            if blob.expected_bytes.is_none() {
                let size_bytes = partial.size_bytes();
                blob.partial = Some(partial);
                state.progress.total_bytes = state.progress.total_bytes.saturating_add(size_bytes);
            } else {
                blob.partial = Some(partial);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Counts an answer that proved itself.
    pub(super) fn arrived(&self, ask: &Ask, peer: PeerId, new_bytes: u64) {
        let mut state = self.state();
        state.in_flight.remove(ask);
        state.queue.retain(|queued| queued != ask);
        state.last_arrival = Instant::now();
        state.fetched_bytes = state.fetched_bytes.saturating_add(new_bytes);
        state.progress.done_bytes = state.progress.done_bytes.saturating_add(new_bytes);
        if let Some(provider) = state.providers.get_mut(&peer) {
            provider.report.bytes = provider.report.bytes.saturating_add(new_bytes);
            (provider.strikes, provider.busy) = (0, 0);
        }
        self.tell_progress(&state);
    }

    /// A blob arrived whole in its tail. Gives whether this was the first answer to say so.
    pub(super) fn arrived_whole(&self, address: &ArtifactId, size_bytes: u64) -> bool {
        let mut state = self.state();
        let Some(blob) = state.blobs.get_mut(address) else { return false };
        if std::mem::replace(&mut blob.whole, true) {
            return false;
        }
        if blob.expected_bytes.is_none() {
            state.progress.total_bytes = state.progress.total_bytes.saturating_add(size_bytes);
        }
        true
    }

    /// A blob is in the store, or cannot be.
    pub(super) fn close(&self, address: &ArtifactId, result: Result<(), FetchError>) {
        let mut state = self.state();
        state.queue.retain(|ask| ask.address() != address);
        state.in_flight.retain(|ask, _| ask.address() != address);
        if let Some(blob) = state.blobs.remove(address) {
            let _ = blob.done.send(result);
        }
    }

    /// The provider does not have the blob, or does not give it to us.
    pub(super) fn lacks(&self, ask: Ask, peer: PeerId, refused: bool) {
        let mut state = self.state();
        if let Some(provider) = state.providers.get_mut(&peer) {
            provider.lacks.insert(*ask.address());
            provider.report.refused |= refused;
            (provider.strikes, provider.busy) = (0, 0);
        }
        state.release(ask, peer);
        state.find_hopeless();
        drop(state);
        self.changed.notify_waiters();
    }

    /// The provider has too much to do. Gives how often in a row, or `None` if it is given up.
    pub(super) fn busy(&self, peer: PeerId) -> Option<u32> {
        let mut state = self.state();
        let provider = state.providers.get_mut(&peer)?;
        provider.busy = provider.busy.saturating_add(1);
        let busy = provider.busy;
        drop(state);
        if busy < BUSY_ANSWERS {
            return Some(busy);
        }
        self.drop_provider(peer, DropReason::Busy);
        None
    }

    /// The provider failed, perhaps not by its fault. Gives the failures in a row, or `None` if it is given up.
    pub(super) fn strike(&self, peer: PeerId, reason: DropReason) -> Option<u32> {
        let mut state = self.state();
        let provider = state.providers.get_mut(&peer)?;
        if provider.report.dropped.is_some() {
            return None;
        }
        provider.strikes = provider.strikes.saturating_add(1);
        let strikes = provider.strikes;
        drop(state);
        if strikes < STRIKES {
            return Some(strikes);
        }
        self.drop_provider(peer, reason);
        None
    }

    /// Takes nothing more from a provider.
    pub(super) fn drop_provider(&self, peer: PeerId, reason: DropReason) {
        let mut state = self.state();
        let Some(provider) = state.providers.get_mut(&peer) else { return };
        if provider.report.dropped.is_some() {
            return;
        }
        provider.report.dropped = Some(reason.clone());
        state.find_hopeless();
        drop(state);
        (self.observer)(FetchEvent::ProviderDropped { peer, reason });
        self.changed.notify_waiters();
    }

    /// What happened.
    pub(super) fn report(&self) -> (u64, u64, BTreeMap<PeerId, ProviderReport>) {
        let state = self.state();
        let providers = state.providers.iter().map(|(peer, provider)| (*peer, provider.report.clone())).collect();
        (state.fetched_bytes, state.present_bytes, providers)
    }
}

impl State {
    /// An ask that nobody holds any more goes to the front of the queue.
    fn release(&mut self, ask: Ask, peer: PeerId) {
        let Some(holders) = self.in_flight.get_mut(&ask) else { return };
        if let Some(index) = holders.iter().position(|holder| holder.peer == peer) {
            holders.remove(index);
        }
        if holders.is_empty() {
            self.in_flight.remove(&ask);
            if self.blobs.contains_key(ask.address()) {
                self.queue.push_front(ask);
            }
        }
    }

    /// Fails the fetch when a blob has no provider left that might have it and none will come.
    fn find_hopeless(&mut self) {
        if !self.providers_ended || self.failure.is_some() {
            return;
        }
        let live = || self.providers.values().filter(|provider| provider.report.dropped.is_none());
        let hopeless = |address: &&ArtifactId| live().all(|provider| provider.lacks.contains(*address));
        if let Some(address) = self.blobs.keys().find(hopeless).copied() {
            let refused = self.providers.values().any(|provider| provider.report.refused);
            self.failure = Some(FetchError::NobodyHas { address, asked: self.providers.len(), refused });
        }
    }
}

/// The first piece of what is left, up to the next border of pieces.
fn cut(runs: &mut VecDeque<ByteRange>, piece_bytes: u64) -> Option<ByteRange> {
    let run = runs.front_mut()?;
    let piece = run.pieces(piece_bytes).next()?;
    run.start = piece.end;
    if run.size_bytes() == 0 {
        runs.pop_front();
    }
    Some(piece)
}

impl From<ArtifactError> for FetchError {
    fn from(error: ArtifactError) -> Self {
        Self::Store(Box::new(error))
    }
}
