//! Who takes which piece: the state that the workers of one fetch share.
//!
//! Invariants: a piece is in the queue, in a blob's runs, in flight, or has arrived; a piece in flight has at least one
//! holder and at most two; a provider that was dropped takes nothing more.
//!
//! The size of a piece grows with the speed of its provider, so a slow provider holds little. When no piece is left to
//! take, a free provider takes over a piece that another owes and would bring much later. A provider whose pieces
//! others repeatedly bring first is dropped.

use super::{
    fetch::{DropReason, FetchError, FetchEvent, FetchOptions, Observer, ProviderReport, Wanted},
    speed::{Memory, Meter, time_for},
    wire::{Asked, Request},
};
use allod_protocol::ground::ids::ArtifactId;
use allod_storage::artifacts::{ArtifactError, ArtifactStore, ByteRange, PartialFile, Progress};
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};
use tokio::{
    sync::{Notify, OwnedMutexGuard, oneshot},
    time::{Duration, Instant},
};

/// Failures in a row after which a provider is given up.
const STRIKES: u32 = 3;
/// Failures within this time after one that counted are part of it. It is shorter than the wait after a failure.
const STRIKE_TIME: Duration = Duration::from_millis(200);
/// Times in a row that a provider may answer that it is busy.
const BUSY_ANSWERS: u32 = 40;
/// Pieces of a provider in a row that another brought first, after which it is given up as slow.
const OUTRUN: u32 = 8;
/// The target time of one piece.
const PIECE_TIME: Duration = Duration::from_millis(100);
/// The target time of all requests in flight on one stream, so that the provider never waits for us.
const WINDOW_TIME: Duration = Duration::from_secs(1);
/// Size of the first pieces, before a speed is known, and of the smallest, in bytes.
const FIRST_PIECE_BYTES: u64 = 256 * 1024;
const LEAST_PIECE_BYTES: u64 = 64 * 1024;
/// Maximum number of pieces in flight on one stream.
const WINDOW_PIECES: u64 = 4;
/// The assumed time of a piece whose provider has no measured speed.
const UNMEASURED_TIME: Duration = Duration::from_millis(250);
/// How much sooner a piece must arrive for it to be requested twice.
const GAIN: Duration = Duration::from_millis(50);

/// What a worker requests from its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// The tail of a blob that has not begun.
    Tail(ArtifactId),
    /// A piece of a blob that has begun.
    Piece(ArtifactId, ByteRange),
}

impl Ask {
    pub(super) const fn address(&self) -> &ArtifactId {
        match self {
            Self::Tail(address) | Self::Piece(address, _) => address,
        }
    }

    pub(super) const fn request(&self, artifact: ArtifactId, tail_bytes: u64) -> Request {
        match *self {
            Self::Tail(blob) => Request::Tail { asked: Asked { artifact, blob }, max_bytes: tail_bytes },
            Self::Piece(blob, range) => Request::Range { asked: Asked { artifact, blob }, range },
        }
    }
}

/// Held until the last task that writes the blob has ended: only one fetch of a process works on an address.
pub(super) type Claim = Arc<OwnedMutexGuard<()>>;

/// A partial file and the claim to its address. The claim ends no sooner than the file is closed.
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
    /// The size in the manifest, in bytes. `None` for an artifact itself.
    pub(super) expected_bytes: Option<u64>,
    pub(super) limit_bytes: u64,
    pub(super) claim: Claim,
    pub(super) partial: Option<Arc<Claimed>>,
    /// Whether it arrived in one piece, without a partial file.
    pub(super) whole: bool,
    /// The ranges that no request covers yet.
    pub(super) runs: VecDeque<ByteRange>,
    pub(super) done: oneshot::Sender<Result<(), FetchError>>,
}

#[derive(Debug)]
struct Holder {
    peer: PeerId,
    since: Instant,
    /// Bytes that its answer brings.
    cost_bytes: u64,
}

#[derive(Debug)]
struct Provider {
    report: ProviderReport,
    lacks: BTreeSet<ArtifactId>,
    strikes: u32,
    struck: Option<Instant>,
    busy: u32,
    outrun: u32,
    meter: Meter,
    /// Bytes requested from it that have not arrived.
    owed_bytes: u64,
}

impl Provider {
    fn bytes_per_s(&self) -> Option<u64> {
        self.meter.bytes_per_s(self.owed_bytes > 0, Instant::now())
    }

    /// Bytes that it brings in `time`, between two bounds, in steps of the smallest piece.
    fn brings(&self, time: Duration, least_bytes: u64, most_bytes: u64) -> Option<u64> {
        let bytes = u128::from(self.bytes_per_s()?).saturating_mul(time.as_millis()) / 1_000;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX) / LEAST_PIECE_BYTES * LEAST_PIECE_BYTES;
        Some(bytes.max(least_bytes).min(most_bytes))
    }

    fn piece_bytes(&self, most_bytes: u64) -> u64 {
        self.brings(PIECE_TIME, LEAST_PIECE_BYTES, most_bytes).unwrap_or(FIRST_PIECE_BYTES).min(most_bytes)
    }
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

/// The state that the workers of one fetch share.
pub(super) struct Session {
    /// The artifact to fetch.
    pub(super) wanted: Wanted,
    /// Whether bytes that were already here were fetched again.
    pub(super) got_again: Arc<AtomicBool>,
    pub(super) store: Arc<ArtifactStore>,
    pub(super) options: FetchOptions,
    memory: Memory,
    observer: Observer,
    state: Mutex<State>,
    /// Notified when there may be something to take, or the session has failed.
    pub(super) changed: Notify,
}

/// Where the next request comes from.
enum Choice {
    Queued(usize),
    Piece(ArtifactId, u64),
    Slow(Ask),
}

/// What a worker needs to verify an answer.
pub(super) enum Target {
    /// Begin the blob.
    Start { claim: Claim, expected_bytes: Option<u64>, limit_bytes: u64 },
    /// Continue it.
    Continue(Arc<Claimed>),
    /// It has already arrived from elsewhere.
    Gone,
}

impl Session {
    pub(super) fn new(
        wanted: Wanted,
        store: Arc<ArtifactStore>,
        mut options: FetchOptions,
        memory: Memory,
        observer: Observer,
    ) -> Self {
        // Under a bound a piece is paid for before it is requested, so it is no larger than what passes in a moment.
        options.piece_bytes = options.piece_bytes.min(options.rate.piece_bytes());
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
        let got_again = Arc::default();
        Self { wanted, got_again, store, options, memory, observer, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a blob to the workers. The receiver is notified when it is in the store.
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

    /// Adds to the total of bytes to fetch.
    pub(super) fn expect(&self, bytes: u64) {
        let mut state = self.state();
        state.progress.total_bytes = state.progress.total_bytes.saturating_add(bytes);
    }

    fn tell_progress(&self, state: &State) {
        (self.observer)(FetchEvent::Progress(state.progress));
    }

    /// Whether another provider may be used.
    pub(super) fn has_room(&self) -> bool {
        self.state().live().count() < self.options.providers
    }

    /// Whether something is wanted that no active provider has.
    pub(super) fn wants_providers(&self) -> bool {
        self.state().hopeless().is_some()
    }

    /// Adds a provider, which may take pieces from now on. Returns whether it is new.
    pub(super) fn add_provider(&self, peer: PeerId) -> bool {
        let mut state = self.state();
        if state.providers.contains_key(&peer) {
            return false;
        }
        let provider = Provider {
            report: ProviderReport::default(),
            lacks: BTreeSet::new(),
            strikes: 0,
            struck: None,
            busy: 0,
            outrun: 0,
            meter: Meter::new(self.memory.bytes_per_s(&peer), Instant::now()),
            owed_bytes: 0,
        };
        state.providers.insert(peer, provider);
        true
    }

    /// No more providers will be found.
    pub(super) fn end_providers(&self) {
        let mut state = self.state();
        state.providers_ended = true;
        state.find_hopeless();
    }

    /// The reason to give up, if there is one.
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

    /// Takes the next request for this provider, which holds it from now on.
    pub(super) fn take(&self, peer: PeerId) -> Option<Ask> {
        let mut state = self.state();
        let ask = match self.choose(&state, &peer)? {
            Choice::Queued(index) => state.queue.remove(index)?,
            Choice::Slow(ask) => ask,
            Choice::Piece(address, piece_bytes) => {
                let blob = state.blobs.get_mut(&address)?;
                Ask::Piece(address, cut(&mut blob.runs, piece_bytes)?)
            }
        };
        let cost_bytes = self.cost_in(&state, &ask);
        state.in_flight.entry(ask).or_default().push(Holder { peer, since: Instant::now(), cost_bytes });
        if let Some(provider) = state.providers.get_mut(&peer) {
            if provider.owed_bytes == 0 {
                provider.meter.begin(Instant::now());
            }
            provider.owed_bytes = provider.owed_bytes.saturating_add(cost_bytes);
        }
        Some(ask)
    }

    /// Bytes that the answer to a request brings, as far as is known.
    pub(super) fn cost_bytes(&self, ask: &Ask) -> u64 {
        self.cost_in(&self.state(), ask)
    }

    fn cost_in(&self, state: &State, ask: &Ask) -> u64 {
        let piece_bytes = self.options.piece_bytes;
        match ask {
            Ask::Tail(_) => state.known_size(ask).unwrap_or(piece_bytes).min(piece_bytes),
            Ask::Piece(_, range) => range.size_bytes(),
        }
    }

    /// Bytes that may be in flight from this provider on one stream.
    pub(super) fn window_bytes(&self, peer: &PeerId) -> u64 {
        let (piece_bytes, state) = (self.options.piece_bytes, self.state());
        let provider = state.providers.get(peer);
        let streams = u32::try_from(self.options.streams_per_provider).unwrap_or(u32::MAX).max(1);
        let most_bytes = piece_bytes.saturating_mul(WINDOW_PIECES);
        let window =
            provider.and_then(|provider| provider.brings(WINDOW_TIME / streams, LEAST_PIECE_BYTES, most_bytes));
        window.unwrap_or(piece_bytes)
    }

    /// Whether [`Session::take`] would return something.
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
            return Some(Choice::Piece(*address, provider.piece_bytes(self.options.piece_bytes)));
        }
        let in_flight = state.in_flight.iter().filter(|(ask, _)| offered(ask.address()));
        let late = in_flight.filter_map(|(ask, holders)| Some((self.gain(state, peer, ask, holders)?, ask)));
        late.max_by_key(|(gain, _)| *gain).map(|(_, ask)| Choice::Slow(*ask))
    }

    /// How much sooner the peer would bring what another owes. `None` if it is not worth it.
    fn gain(&self, state: &State, peer: &PeerId, ask: &Ask, holders: &[Holder]) -> Option<Duration> {
        let [holder] = holders else { return None };
        if holder.peer == *peer {
            return None;
        }
        let waited = holder.since.elapsed();
        if waited >= self.options.slow_after {
            return Some(waited);
        }
        let (own, other) = (state.providers.get(peer)?, state.providers.get(&holder.peer)?);
        // Its other streams share its bandwidth.
        let theirs = time_for(other.owed_bytes, other.bytes_per_s()?);
        let asked = own.owed_bytes.saturating_add(self.cost_in(state, ask));
        // A provider that was too quick for its speed to be measured is no slower than this.
        let ours = own.bytes_per_s().map_or(UNMEASURED_TIME, |bytes_per_s| time_for(asked, bytes_per_s));
        theirs.checked_sub(ours.saturating_mul(2)).filter(|gain| *gain > GAIN)
    }

    /// Restarts the clock of a request: its answer is the next one due.
    pub(super) fn is_due(&self, ask: &Ask, peer: PeerId) {
        let mut state = self.state();
        let holders = state.in_flight.get_mut(ask);
        if let Some(holder) = holders.and_then(|holders| holders.iter_mut().find(|holder| holder.peer == peer)) {
            holder.since = Instant::now();
        }
    }

    /// Returns to the queue what the provider did not deliver.
    pub(super) fn give_back(&self, ask: Ask, peer: PeerId) {
        self.state().release(ask, peer);
        self.changed.notify_waiters();
    }

    /// What to do with the answer to a request.
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

    /// Counts an answer that was proven.
    pub(super) fn arrived(&self, ask: &Ask, peer: PeerId, new_bytes: u64) {
        let mut state = self.state();
        let cost_bytes = self.cost_in(&state, ask);
        let holders = state.settle(ask);
        state.queue.retain(|queued| queued != ask);
        state.last_arrival = Instant::now();
        state.fetched_bytes = state.fetched_bytes.saturating_add(new_bytes);
        state.progress.done_bytes = state.progress.done_bytes.saturating_add(new_bytes);
        if let Some(provider) = state.providers.get_mut(&peer) {
            provider.report.bytes = provider.report.bytes.saturating_add(new_bytes);
            provider.meter.add(cost_bytes, Instant::now());
            (provider.strikes, provider.busy) = (0, 0);
            // If another brought the bytes first, that does not count in its favour.
            if new_bytes > 0 {
                provider.outrun = 0;
            }
        }
        self.tell_progress(&state);
        let losers = holders.iter().map(|holder| holder.peer).filter(|holder| *holder != peer);
        let outrun: Vec<PeerId> = losers.filter(|loser| state.is_outrun(loser)).collect();
        drop(state);
        for peer in outrun {
            let reason = format!("others brought {OUTRUN} of its pieces first");
            self.drop_provider(peer, DropReason::Slow(reason));
        }
    }

    /// A blob arrived whole in its tail. Returns whether this was the first such answer.
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
        let of_it: Vec<Ask> = state.in_flight.keys().filter(|ask| ask.address() == address).copied().collect();
        for ask in of_it {
            state.settle(&ask);
        }
        if let Some(blob) = state.blobs.remove(address) {
            let _ = blob.done.send(result);
        }
    }

    /// Remembers what was learnt about the providers, for later fetches.
    pub(super) fn remember(&self) {
        let now = Instant::now();
        for (peer, provider) in &self.state().providers {
            // Under a bound of ours the speed says nothing about the provider.
            let speed = provider.meter.bytes_per_s(false, now).filter(|_| !self.options.rate.is_bounded());
            self.memory.keep(*peer, speed, provider.report.dropped.as_ref(), now);
        }
    }

    /// The provider does not have the blob, or refuses to give it to us.
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

    /// The provider is busy. Returns how often in a row, or `None` if it is given up.
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

    /// The provider failed, perhaps without fault. Returns the failures in a row, or `None` if it is given up.
    pub(super) fn strike(&self, peer: PeerId, reason: DropReason) -> Option<u32> {
        let mut state = self.state();
        let provider = state.providers.get_mut(&peer)?;
        if provider.report.dropped.is_some() {
            return None;
        }
        // All streams of a connection fail together: that is one failure.
        let now = Instant::now();
        if provider.struck.is_none_or(|struck| now.saturating_duration_since(struck) >= STRIKE_TIME) {
            provider.struck = Some(now);
            provider.strikes = provider.strikes.saturating_add(1);
        }
        let (strikes, has_given) = (provider.strikes, provider.report.bytes > 0);
        // If the last provider has contributed and fails, it may only be away for a moment. It is waited for as long as
        // the fetch waits for anything.
        let is_awaited = has_given && state.live().count() == 1;
        drop(state);
        if strikes < STRIKES || is_awaited {
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

    /// What happened so far.
    pub(super) fn report(&self) -> (u64, u64, BTreeMap<PeerId, ProviderReport>) {
        let state = self.state();
        let providers = state.providers.iter().map(|(peer, provider)| (*peer, provider.report.clone())).collect();
        (state.fetched_bytes, state.present_bytes, providers)
    }
}

impl State {
    fn live(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values().filter(|provider| provider.report.dropped.is_none())
    }

    /// The size of a request's blob, if known.
    fn known_size(&self, ask: &Ask) -> Option<u64> {
        let blob = self.blobs.get(ask.address())?;
        blob.partial.as_ref().map(|partial| partial.size_bytes()).or(blob.expected_bytes)
    }

    fn no_longer_owed(&mut self, holder: &Holder) {
        if let Some(provider) = self.providers.get_mut(&holder.peer) {
            provider.owed_bytes = provider.owed_bytes.saturating_sub(holder.cost_bytes);
        }
    }

    /// Nobody owes this any more. Returns who did.
    fn settle(&mut self, ask: &Ask) -> Vec<Holder> {
        let holders = self.in_flight.remove(ask).unwrap_or_default();
        holders.iter().for_each(|holder| self.no_longer_owed(holder));
        holders
    }

    /// Counts a piece that another brought first. Returns whether the provider is to be given up for that.
    fn is_outrun(&mut self, peer: &PeerId) -> bool {
        let others = || self.providers.iter().filter(|(id, other)| *id != peer && other.report.dropped.is_none());
        let is_needed = |blob: &ArtifactId| others().all(|(_, other)| other.lacks.contains(blob));
        let is_needed = self.blobs.keys().any(is_needed);
        let Some(provider) = self.providers.get_mut(peer) else { return false };
        provider.outrun = provider.outrun.saturating_add(1);
        !is_needed && provider.outrun >= OUTRUN
    }

    /// A request that nobody holds any more goes to the front of the queue.
    fn release(&mut self, ask: Ask, peer: PeerId) {
        let Some(holders) = self.in_flight.get_mut(&ask) else { return };
        let given_back = holders.iter().position(|holder| holder.peer == peer).map(|index| holders.remove(index));
        let free = holders.is_empty();
        if let Some(holder) = given_back {
            self.no_longer_owed(&holder);
        }
        if free {
            self.in_flight.remove(&ask);
            if self.blobs.contains_key(ask.address()) {
                self.queue.push_front(ask);
            }
        }
    }

    /// A blob that no active provider has.
    fn hopeless(&self) -> Option<ArtifactId> {
        let hopeless = |address: &&ArtifactId| self.live().all(|provider| provider.lacks.contains(*address));
        self.blobs.keys().find(hopeless).copied()
    }

    /// Fails the fetch if no provider is left that might have some blob, and none will come.
    fn find_hopeless(&mut self) {
        if !self.providers_ended || self.failure.is_some() {
            return;
        }
        if let Some(address) = self.hopeless() {
            let refused = self.providers.values().any(|provider| provider.report.refused);
            self.failure = Some(FetchError::NobodyHas { address, asked: self.providers.len(), refused });
        }
    }
}

/// Cuts the first piece from the remaining runs, up to the next multiple of the piece size.
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
