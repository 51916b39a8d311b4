//! A download in progress: groups arrive in any order, from any peer, and are written only once they are proven.
//!
//! Which groups are here is recorded after their bytes, so a killed process fetches none of them again. The record is a
//! hint, not a promise: after a power failure it may name bytes that never reached the disk, so resuming checks every
//! recorded group against the address first. A partial file starts with the proof of its last group, which also proves
//! its size; one whose last group fails the check is discarded.

use super::{
    Arriving, ArtifactStore, BUFFER_SIZE_BYTES,
    damage::Marks,
    direct::{AlignedBytes, DataFile},
    error::{ArtifactError, ReceiveError, at},
    files::{self, Layout},
    slice::{self, BlobReader, ByteRange, GROUP_SIZE_BYTES, Proven},
};
use allod_protocol::ground::{ids::ArtifactId, limits};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

const DATA: &str = "data";
const OUTBOARD: &str = "obao";
const GROUPS: &str = "groups";
/// The head of the record: a version, and the blob's size.
const HEAD_SIZE_BYTES: u64 = 9;
const RECORD_VERSION: u8 = 1;
const GROUPS_PER_BYTE: u64 = 8;
/// Bytes received before a write-back to disk is forced.
const WRITE_BACK_SIZE_BYTES: u64 = 64 * 1024 * 1024;

/// The result of storing the first slice of a blob.
#[derive(Debug)]
pub enum Started {
    /// The slice was the whole blob: it is in the store.
    Complete,
    /// More groups are needed.
    Partial(PartialFile),
}

/// A blob of which some groups are here. Several threads may receive slices at once.
#[derive(Debug)]
pub struct PartialFile {
    address: ArtifactId,
    size_bytes: u64,
    layout: Arc<Layout>,
    marks: Arc<Marks>,
    data: DataFile,
    outboard: File,
    groups: Mutex<Groups>,
    /// Locked while finishing: a second caller waits until it is done.
    finished: Mutex<bool>,
    unsynced_bytes: AtomicU64,
    syncing: Mutex<()>,
    _claim: Arriving,
}

/// The proven part of a slice: contiguous bytes, and hash pairs with their offsets in the outboard.
struct ProvenBytes {
    start: u64,
    bytes: AlignedBytes,
    pairs: Vec<(u64, [u8; 64])>,
}

/// Which groups have been verified and written, in memory and on disk.
#[derive(Debug)]
struct Groups {
    file: File,
    bits: Vec<u8>,
    verified_bytes: u64,
}

impl ArtifactStore {
    /// Starts a blob with the slice of its last groups, which proves `size_bytes`; or stores the blob at once if the
    /// slice is all of it. An interrupted download of the same address is restarted.
    ///
    /// # Errors
    /// [`ReceiveError::WrongBytes`] when the slice is not proven: nothing is written then. Otherwise
    /// [`ArtifactError::UnderWay`], [`ArtifactError::Range`], [`ArtifactError::Quota`], [`ArtifactError::Reserve`] when
    /// the whole blob would leave less than [`super::KEPT_FREE_BYTES`] free, or the file system's error.
    pub fn start(
        &self,
        address: &ArtifactId,
        size_bytes: u64,
        tail: ByteRange,
        encoded: &[u8],
    ) -> Result<Started, ReceiveError> {
        if size_bytes > limits::ARTIFACT_SIZE_BYTES || tail.end != size_bytes {
            let (start, end) = (tail.start, tail.end);
            return Err(ArtifactError::Range { address: *address, start, end, size_bytes }.into());
        }
        let bytes = slice::decode(address, size_bytes, tail, encoded)?;
        let claimed_bytes = self.claim(size_bytes)?;
        let started = if tail == ByteRange::whole(size_bytes) {
            self.insert(address, &bytes).map(|()| Started::Complete).map_err(ReceiveError::from)
        } else {
            self.start_partial(address, size_bytes, tail, encoded)
        };
        if started.is_err() {
            self.release(claimed_bytes);
        }
        started
    }

    fn start_partial(
        &self,
        address: &ArtifactId,
        size_bytes: u64,
        tail: ByteRange,
        encoded: &[u8],
    ) -> Result<Started, ReceiveError> {
        let partial = PartialFile::create(self, address, size_bytes)?;
        if let Err(error) = partial.receive(tail, encoded) {
            // It cannot be resumed without its last group.
            remove(&self.layout, address)?;
            return Err(error);
        }
        Ok(Started::Partial(partial))
    }

    /// Resumes an interrupted download. `None` if there is none.
    ///
    /// # Errors
    /// [`ArtifactError::UnderWay`], or the file system's error.
    pub fn resume(&self, address: &ArtifactId) -> Result<Option<PartialFile>, ArtifactError> {
        if !self.layout.partial(address, GROUPS).is_file() {
            return Ok(None);
        }
        let claim = Arriving::claim(self, address)?;
        PartialFile::open(self, address, claim)
    }

    /// The downloads that are interrupted or in progress.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn partials(&self) -> Result<Vec<ArtifactId>, ArtifactError> {
        let directory = self.layout.partials();
        let mut addresses = Vec::new();
        for entry in fs::read_dir(&directory).map_err(at("list", &directory))? {
            let name = entry.map_err(at("list", &directory))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(GROUPS)?.strip_suffix('.'));
            addresses.extend(stem.and_then(|stem| stem.parse::<ArtifactId>().ok()));
        }
        Ok(addresses)
    }

    /// Discards an interrupted download and frees its bytes.
    ///
    /// # Errors
    /// [`ArtifactError::UnderWay`], or the file system's error.
    pub fn discard(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        let _claim = Arriving::claim(self, address)?;
        remove(&self.layout, address)
    }
}

/// Removes partial files that are useless: those of blobs that are here, and those without a record.
pub(super) fn sweep(store: &ArtifactStore) -> Result<(), ArtifactError> {
    let directory = store.layout.partials();
    for entry in fs::read_dir(&directory).map_err(at("list", &directory))? {
        let path = entry.map_err(at("list", &directory))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let address = stem.and_then(|stem| stem.parse::<ArtifactId>().ok());
        let useful = address
            .is_some_and(|address| !store.has_blob(&address) && store.layout.partial(&address, GROUPS).is_file());
        if !useful {
            files::remove_if_there(&path)?;
        }
    }
    Ok(())
}

/// Turns a damaged blob of the store into an interrupted download, with every group recorded: resuming finds out which
/// of them are sound. The last one must be.
pub(super) fn take_back(store: &ArtifactStore, address: &ArtifactId, size_bytes: u64) -> Result<(), ArtifactError> {
    let _claim = Arriving::claim(store, address)?;
    let layout = &store.layout;
    remove(layout, address)?;
    // The bytes are moved last: an interruption before that leaves them where they are.
    let record_path = layout.partial(address, GROUPS);
    fs::write(&record_path, record(size_bytes, &vec![u8::MAX; bitmap_size(size_bytes)]))
        .map_err(at("write", &record_path))?;
    for (from, extension) in [(layout.outboard(address), OUTBOARD), (layout.data(address), DATA)] {
        fs::rename(&from, layout.partial(address, extension)).map_err(at("move", &from))?;
    }
    Ok(())
}

fn record(size_bytes: u64, bits: &[u8]) -> Vec<u8> {
    [&[RECORD_VERSION], size_bytes.to_le_bytes().as_slice(), bits].concat()
}

/// Removes the record first: without it the rest is swept.
fn remove(layout: &Layout, address: &ArtifactId) -> Result<(), ArtifactError> {
    [GROUPS, DATA, OUTBOARD]
        .iter()
        .try_for_each(|extension| files::remove_if_there(&layout.partial(address, extension)))
}

impl PartialFile {
    fn create(store: &ArtifactStore, address: &ArtifactId, size_bytes: u64) -> Result<Self, ArtifactError> {
        let claim = Arriving::claim(store, address)?;
        let layout = &store.layout;
        remove(layout, address)?;
        let create = |extension| {
            let path = layout.partial(address, extension);
            let mut options = File::options();
            options.read(true).write(true).create_new(true).open(&path).map_err(at("create", &path))
        };
        let path = layout.partial(address, DATA);
        let data = {
            let _taking = layout.take_room(&layout.partials(), size_bytes)?;
            DataFile::create(&path, size_bytes).map_err(at("create", &path))?
        };
        let (outboard, file) = (create(OUTBOARD)?, create(GROUPS)?);
        let bits = vec![0; bitmap_size(size_bytes)];
        file.write_all_at(&record(size_bytes, &bits), 0).map_err(at("write", &layout.partial(address, GROUPS)))?;
        Ok(Self::assemble(store, claim, size_bytes, data, outboard, Groups { file, bits, verified_bytes: 0 }))
    }

    fn open(store: &ArtifactStore, address: &ArtifactId, claim: Arriving) -> Result<Option<Self>, ArtifactError> {
        let layout = &store.layout;
        let open = |extension| {
            let path = layout.partial(address, extension);
            File::options().read(true).write(true).open(&path).map_err(at("open", &path))
        };
        let record_path = layout.partial(address, GROUPS);
        let record = fs::read(&record_path).map_err(at("read", &record_path))?;
        let path = layout.partial(address, DATA);
        let data = DataFile::open(&path).map_err(at("open", &path));
        let files = data.and_then(|data| Ok((data, open(OUTBOARD)?, open(GROUPS)?)));
        let (Some((size_bytes, bits)), Ok((data, outboard, file))) = (parse_record(&record), files) else {
            remove(layout, address)?;
            return Ok(None);
        };
        let groups = Groups { file, bits: vec![0; bits.len()], verified_bytes: 0 };
        let partial = Self::assemble(store, claim, size_bytes, data, outboard, groups);
        partial.check_recorded(bits)?;
        let last = size_bytes.saturating_sub(1) / GROUP_SIZE_BYTES;
        if partial.groups().has(last) {
            return Ok(Some(partial));
        }
        remove(&partial.layout, address)?;
        Ok(None)
    }

    fn assemble(
        store: &ArtifactStore,
        claim: Arriving,
        size_bytes: u64,
        data: DataFile,
        outboard: File,
        groups: Groups,
    ) -> Self {
        Self {
            address: claim.address,
            size_bytes,
            layout: Arc::clone(&store.layout),
            marks: Arc::clone(&store.marks),
            data,
            outboard,
            groups: Mutex::new(groups),
            finished: Mutex::new(false),
            unsynced_bytes: AtomicU64::new(0),
            syncing: Mutex::new(()),
            _claim: claim,
        }
    }

    /// Keeps the recorded groups that pass the check.
    fn check_recorded(&self, bits: &[u8]) -> Result<(), ArtifactError> {
        let (path, record_path) =
            (self.layout.partial(&self.address, DATA), self.layout.partial(&self.address, GROUPS));
        let clone = |file: &File| file.try_clone().map_err(at("open", &path));
        let (data, outboard) = (clone(self.data.file())?, clone(&self.outboard)?);
        let reader = BlobReader::partial(self.address, path.clone(), self.size_bytes, data, outboard);
        let keep = |range| match reader.check(range) {
            Ok(()) => self.groups().record(range, self.size_bytes, &record_path).map(|_| true),
            Err(ArtifactError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        for run in runs(bits, self.size_bytes, true) {
            for piece in run.pieces(BUFFER_SIZE_BYTES as u64) {
                if !keep(piece)? {
                    // Its sound groups need not be fetched again.
                    piece.pieces(GROUP_SIZE_BYTES).try_for_each(|group| keep(group).map(drop))?;
                }
            }
        }
        // The record on disk still names the groups that failed.
        let groups = self.groups();
        groups.file.write_all_at(&groups.bits, HEAD_SIZE_BYTES).map_err(at("write", &record_path))
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blob's address.
    pub const fn address(&self) -> &ArtifactId {
        &self.address
    }

    /// Proven size of the whole blob, in bytes.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes that are here and verified.
    pub fn verified_bytes(&self) -> u64 {
        self.groups().verified_bytes
    }

    /// The missing ranges, in order, aligned to groups.
    pub fn missing(&self) -> Vec<ByteRange> {
        runs(&self.groups().bits, self.size_bytes, false)
    }

    /// Checks a slice group by group, writes what is proven, then records it. Returns the number of bytes that are new.
    /// Groups that arrive twice are harmless.
    ///
    /// # Errors
    /// [`ReceiveError::WrongBytes`] names the first group that fails; those before it are kept. Otherwise the file
    /// system's error.
    pub fn receive(&self, range: ByteRange, encoded: &[u8]) -> Result<u64, ReceiveError> {
        let mut proven =
            ProvenBytes { start: range.start, bytes: AlignedBytes::with_capacity(encoded.len()), pairs: Vec::new() };
        let result = slice::prove(&self.address, self.size_bytes, range, encoded, |item| {
            match item {
                Proven::Pair { offset_bytes, pair } => proven.pairs.push((offset_bytes, pair)),
                Proven::Group(bytes) => proven.bytes.extend(bytes),
            }
            Ok(())
        });
        let new_bytes = self.write(proven)?;
        result.map(|()| new_bytes)
    }

    /// Writes bytes and hash pairs, then records them.
    fn write(&self, proven: ProvenBytes) -> Result<u64, ArtifactError> {
        let ProvenBytes { start, bytes, mut pairs } = proven;
        let path = self.layout.partial(&self.address, OUTBOARD);
        pairs.sort_unstable_by_key(|(offset, _)| *offset);
        for run in pairs.chunk_by(|(one, _), (two, _)| two.saturating_sub(*one) == 64) {
            let Some((offset, _)) = run.first() else { continue };
            let joined: Vec<u8> = run.iter().flat_map(|(_, pair)| *pair).collect();
            self.outboard.write_all_at(&joined, *offset).map_err(at("write", &path))?;
        }
        let path = self.layout.partial(&self.address, DATA);
        let bytes = bytes.as_slice();
        self.data.write_all_at(bytes, start).map_err(at("write", &path))?;
        let written = ByteRange { start, end: start.saturating_add(bytes.len() as u64) };
        let record_path = self.layout.partial(&self.address, GROUPS);
        let new_bytes = self.groups().record(written, self.size_bytes, &record_path)?;
        self.write_back(new_bytes)?;
        Ok(new_bytes)
    }

    /// Starts writing to disk while the network brings more, instead of writing everything at the end.
    fn write_back(&self, new_bytes: u64) -> Result<(), ArtifactError> {
        if self.data.is_direct() {
            return Ok(());
        }
        let waiting = self.unsynced_bytes.fetch_add(new_bytes, Ordering::Relaxed).saturating_add(new_bytes);
        if waiting < WRITE_BACK_SIZE_BYTES {
            return Ok(());
        }
        // A thread that finds another syncing goes on receiving.
        let Ok(_syncing) = self.syncing.try_lock() else { return Ok(()) };
        self.unsynced_bytes.store(0, Ordering::Relaxed);
        self.data.file().sync_data().map_err(at("sync", &self.layout.partial(&self.address, DATA)))
    }

    /// Makes the blob durable and moves it to its place in the store.
    ///
    /// # Errors
    /// [`ArtifactError::Incomplete`] when groups are missing; or the file system's error.
    pub fn finish(&self) -> Result<(), ArtifactError> {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if *finished {
            return Ok(());
        }
        let missing_bytes = self.size_bytes.saturating_sub(self.verified_bytes());
        let (address, path) = (self.address, self.layout.partial(&self.address, DATA));
        let on_disk = self.data.file().metadata().map_err(at("inspect", &path))?.len();
        if missing_bytes > 0 || on_disk != self.size_bytes {
            return Err(ArtifactError::Incomplete { address, missing_bytes });
        }
        let outboard_path = self.layout.partial(&address, OUTBOARD);
        self.outboard.sync_all().map_err(at("sync", &outboard_path))?;
        self.data.file().sync_all().map_err(at("sync", &path))?;
        // A second name for the outboard, not a move: if the process is killed here, the download is still whole and
        // resumes.
        let outboard_target = self.layout.outboard(&address);
        files::remove_if_there(&outboard_target)?;
        fs::hard_link(&outboard_path, &outboard_target)
            .or_else(|_| fs::rename(&outboard_path, &outboard_target))
            .map_err(at("create", &outboard_target))?;
        let target = self.layout.data(&address);
        fs::rename(&path, &target).map_err(at("create", &target))?;
        *finished = true;
        files::sync_directory(&self.layout.blobs())?;
        files::remove_if_there(&self.layout.reference(&address))?;
        self.marks.clear(&address)?;
        remove(&self.layout, &address)
    }
}

impl Groups {
    fn has(&self, group: u64) -> bool {
        has(&self.bits, group)
    }

    /// Sets the bits of a range, in memory and then on disk. Returns the number of bytes that are new.
    fn record(&mut self, range: ByteRange, size_bytes: u64, path: &std::path::Path) -> Result<u64, ArtifactError> {
        if range.size_bytes() == 0 {
            return Ok(0);
        }
        let mut new_bytes = 0u64;
        for group in range.groups() {
            let (byte, bit) = place(group);
            let Some(bits) = self.bits.get_mut(byte) else { continue };
            if *bits & bit == 0 {
                *bits |= bit;
                new_bytes = new_bytes.saturating_add(group_size(group, size_bytes));
            }
        }
        self.verified_bytes = self.verified_bytes.saturating_add(new_bytes);
        let groups = range.groups();
        let (first, _) = place(groups.start);
        let (last, _) = place(groups.end.saturating_sub(1));
        let changed = self.bits.get(first..=last).unwrap_or_default();
        let offset = HEAD_SIZE_BYTES.saturating_add(first as u64);
        self.file.write_all_at(changed, offset).map_err(at("write", path))?;
        Ok(new_bytes)
    }
}

fn bitmap_size(size_bytes: u64) -> usize {
    let groups = size_bytes.div_ceil(GROUP_SIZE_BYTES).max(1);
    usize::try_from(groups.div_ceil(GROUPS_PER_BYTE)).unwrap_or(usize::MAX)
}

fn place(group: u64) -> (usize, u8) {
    let byte = usize::try_from(group / GROUPS_PER_BYTE).unwrap_or(usize::MAX);
    (byte, 1u8 << (group % GROUPS_PER_BYTE))
}

fn has(bits: &[u8], group: u64) -> bool {
    let (byte, bit) = place(group);
    bits.get(byte).is_some_and(|bits| bits & bit != 0)
}

fn group_size(group: u64, size_bytes: u64) -> u64 {
    size_bytes.saturating_sub(group.saturating_mul(GROUP_SIZE_BYTES)).min(GROUP_SIZE_BYTES)
}

/// The record's size and bits. `None` if it is not a record.
fn parse_record(record: &[u8]) -> Option<(u64, &[u8])> {
    let (version, rest) = record.split_first()?;
    let (size, bits) = rest.split_first_chunk::<8>()?;
    let size_bytes = u64::from_le_bytes(*size);
    let sound = *version == RECORD_VERSION
        && size_bytes <= limits::ARTIFACT_SIZE_BYTES
        && bits.len() == bitmap_size(size_bytes);
    sound.then_some((size_bytes, bits))
}

/// The runs of groups whose bit equals `set`.
fn runs(bits: &[u8], size_bytes: u64, set: bool) -> Vec<ByteRange> {
    let mut runs: Vec<ByteRange> = Vec::new();
    for group in 0..size_bytes.div_ceil(GROUP_SIZE_BYTES) {
        if has(bits, group) != set {
            continue;
        }
        let start = group.saturating_mul(GROUP_SIZE_BYTES);
        let end = start.saturating_add(group_size(group, size_bytes));
        match runs.last_mut() {
            Some(run) if run.end == start => run.end = end,
            _ => runs.push(ByteRange { start, end }),
        }
    }
    runs
}
