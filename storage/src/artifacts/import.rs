//! Importing a file or a directory into the store.
//!
//! As many threads as there are processors take the files one after another ([`Work`]): they read, hash and write to
//! temporary names. Their results pass through a bounded queue to the calling thread ([`Import`]), which makes batches
//! of files durable and gives them their names while the workers go on.
//!
//! A file is read once to hash it (BLAKE3 and its outboard on one thread, SHA-256 on another) and, if its bytes are not
//! here yet, once more to copy them. The copy is hashed again, so a file that changes meanwhile is refused. Files of up
//! to one mebibyte are read into memory once. The hashes of larger files are remembered (`hashed`) while their bytes
//! are here, so that publishing them twice reads them once.

use super::{
    ArtifactStore, Awaited, BUFFER_SIZE_BYTES, OnProgress, Progress,
    error::{ArtifactError, at},
    files::{Placement, TemporaryFile, Unnamed},
    garbage_collection::PAIR_SIZE_BYTES,
    hashed::HashMemory,
    headers::{Format, HeaderError},
    own::Own,
    patterns::ignored,
    slice::{self, GROUP_SIZE_BYTES, ReferenceRecord, open_source},
};
use allod_protocol::{
    ground::{
        codec,
        ids::{ArtifactId, ContentHash, ModelId, Timestamp},
        limits,
    },
    rules::artifact::{Artifact, ArtifactKind, ArtifactPath, Manifest, ManifestError, ManifestFile},
};
use ignore::gitignore::Gitignore;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Seek as _, Write},
    num::NonZero,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// Files staged before they are made durable together: see [`Placement::commit_all`].
pub(super) const BATCH_FILES: usize = 1024;
/// Bytes staged before they are made durable.
pub(super) const BATCH_SIZE_BYTES: u64 = 64 * 1024 * 1024;
/// Maximum number of worker threads.
const WORKERS: usize = 16;
/// Maximum number of messages from the workers that the calling thread has not handled yet.
const QUEUE: usize = 64;
/// Number of buffers between the reading thread and the SHA-256 thread.
const BUFFERS: usize = 4;

/// How the store holds the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImportMode {
    /// The bytes are copied; the source may change or go afterwards.
    #[default]
    Copy,
    /// The file gets a second name in the store, which must be on the same file system: no bytes are copied, and the
    /// first name may be removed. Writing into the file also writes into the store: such a blob is found damaged when
    /// it is read or verified, and is never served. Programs that replace a file with a new one leave the store's file
    /// alone.
    HardLink,
    /// Only the path is recorded. A file that changes or disappears can no longer be served, and reading it reports
    /// that.
    Reference,
}

/// The result of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The artifact, as the ledger records it.
    pub artifact: Artifact,
    /// SHA-256 of the file, or of the bytes of the manifest.
    pub sha256: ContentHash,
    /// The files, if a directory was imported.
    pub manifest: Option<Manifest>,
    /// Paths left out of a collection: see [`super::IGNORED`] and [`super::IGNORE_FILE`].
    pub excluded: Vec<PathBuf>,
    /// Bytes that were not in the store before.
    pub new_bytes: u64,
}

/// The version for which something is imported.
#[derive(Clone, Copy)]
pub struct Publication<'a> {
    /// The model of which it will be a version.
    pub model: ModelId,
    /// Returns the block time until which the ledger may answer; called at the end of the import.
    pub until: &'a dyn Fn() -> Timestamp,
}

impl ArtifactStore {
    /// Imports a file, or a directory as a collection. The same content has the same address wherever and whenever it
    /// is imported; importing it again changes nothing.
    ///
    /// # Errors
    /// Names the file and the remedy: a symbolic link or a special file in a directory, a name that no collection can
    /// have, a file that changes meanwhile, a full disk.
    pub fn import(&self, source: &Path, mode: ImportMode, progress: OnProgress<'_>) -> Result<Imported, ArtifactError> {
        self.import_for(source, mode, None, &AtomicBool::new(false), progress)
    }

    /// As [`ArtifactStore::import`], but stops when `given_up` becomes true. What is imported for a publish is awaited
    /// ([`super::Awaited`]) from before it is whole. What a failed import has brought is removed by the next
    /// [`ArtifactStore::tidy`].
    ///
    /// # Errors
    /// As [`ArtifactStore::import`]; [`ArtifactError::GivenUp`].
    pub fn import_for(
        &self,
        source: &Path,
        mode: ImportMode,
        publication: Option<Publication<'_>>,
        given_up: &AtomicBool,
        progress: OnProgress<'_>,
    ) -> Result<Imported, ArtifactError> {
        let _hold = self.hold();
        // A link named by the user means its target; links inside a directory are refused.
        let source = fs::canonicalize(source).map_err(at("open", source))?;
        let kind = fs::metadata(&source).map_err(at("inspect", &source))?;
        let own = self.own_files()?;
        own.refuse_within(&source)?;
        let mut import = Import::new(self, mode, publication, given_up, &own, progress);
        let imported = if kind.is_dir() {
            import.collection(&source)
        } else if kind.is_file() {
            import.state.total_bytes = kind.len();
            import.one(source)
        } else {
            Err(ArtifactError::Special(source))
        };
        if imported.is_err() {
            self.release(import.claimed_bytes.saturating_sub(import.placed_bytes));
        }
        // Whatever failed after the import was abandoned failed for that reason.
        if given_up.load(Ordering::Relaxed) { imported.map_err(|_| ArtifactError::GivenUp) } else { imported }
    }
}

/// The hashes of a file.
struct Hashed {
    address: ArtifactId,
    sha256: ContentHash,
    size_bytes: u64,
}

/// A message from a worker to the calling thread.
enum WorkerMessage {
    /// The number of bytes that were read since the last message.
    Read(u64),
    /// The file of this number is done; what was not here is written and waits for its name.
    Taken(usize, Taken),
}

/// What became of a file.
struct Taken {
    hashed: Hashed,
    new: Option<New>,
    /// Bytes that were read and not reported yet.
    untold_bytes: u64,
}

/// A blob that was not here.
struct New {
    placement: Placement,
    /// The bytes it counts against the quota.
    claimed_bytes: u64,
}

type Tell = mpsc::SyncSender<Result<WorkerMessage, ArtifactError>>;

/// An import in progress, on the calling thread.
struct Import<'a> {
    store: &'a ArtifactStore,
    mode: ImportMode,
    publication: Option<Publication<'a>>,
    given_up: &'a AtomicBool,
    own: &'a Own,
    progress: OnProgress<'a>,
    state: Progress,
    new_bytes: u64,
    staged: Vec<(ArtifactId, Placement)>,
    staged_bytes: u64,
    /// Bytes counted against the quota: for everything begun, for what waits for its name, and for what has it.
    claimed_bytes: u64,
    staged_claimed_bytes: u64,
    placed_bytes: u64,
}

impl<'a> Import<'a> {
    fn new(
        store: &'a ArtifactStore,
        mode: ImportMode,
        publication: Option<Publication<'a>>,
        given_up: &'a AtomicBool,
        own: &'a Own,
        progress: OnProgress<'a>,
    ) -> Self {
        let state = Progress { done_bytes: 0, total_bytes: 0 };
        Self {
            store,
            mode,
            publication,
            given_up,
            own,
            progress,
            state,
            new_bytes: 0,
            staged: Vec::new(),
            staged_bytes: 0,
            claimed_bytes: 0,
            staged_claimed_bytes: 0,
            placed_bytes: 0,
        }
    }

    fn one(&mut self, file: PathBuf) -> Result<Imported, ArtifactError> {
        let hashed = self.files(std::slice::from_ref(&file))?.pop();
        let Hashed { address, sha256, .. } = hashed.ok_or(ArtifactError::SourceChanged(file))?;
        self.flush()?;
        let artifact = self.adopt(&address, ArtifactKind::File)?;
        Ok(Imported { artifact, sha256, manifest: None, excluded: Vec::new(), new_bytes: self.new_bytes })
    }

    fn collection(&mut self, directory: &Path) -> Result<Imported, ArtifactError> {
        let ignored = ignored(directory)?;
        let (paths, names, excluded) = (Vec::new(), Vec::new(), Vec::new());
        let mut scan = Scan { root: directory, own: self.own, ignored, paths, names, excluded, size_bytes: 0 };
        scan.directory(directory)?;
        self.state.total_bytes = scan.size_bytes;
        let hashed = self.files(&scan.paths)?;
        let listed = scan.names.into_iter().zip(hashed).map(|(path, hashed)| {
            let Hashed { address, sha256, size_bytes } = hashed;
            ManifestFile { path, size_bytes, address, sha256 }
        });
        let mut files: Vec<ManifestFile> = listed.collect();
        files.sort_by(|one, two| one.path.cmp(&two.path));
        let refused = |source| ArtifactError::Collection { path: directory.to_owned(), source: Box::new(source) };
        let manifest = Manifest::try_from(files).map_err(refused)?;
        let bytes = manifest.encode();
        if bytes.len() > limits::MANIFEST_SIZE_BYTES {
            return Err(ArtifactError::TooManyFiles(directory.to_owned()));
        }
        let (address, outboard) = slice::outboard_of(&bytes);
        if !self.store.has_copy(&address) {
            let claimed_bytes = self.store.claim(bytes.len() as u64)?;
            self.claimed_bytes = self.claimed_bytes.saturating_add(claimed_bytes);
            let placement = self.store.stage(&address, &bytes, &outboard)?;
            self.stage(&address, New { placement, claimed_bytes }, bytes.len() as u64)?;
        }
        self.flush()?;
        Ok(Imported {
            artifact: self.adopt(&address, ArtifactKind::Collection)?,
            sha256: ContentHash::from_bytes(Sha256::digest(&bytes).into()),
            manifest: Some(manifest),
            excluded: scan.excluded,
            new_bytes: self.new_bytes,
        })
    }

    /// The last step. What is imported for a publish awaits it before anybody can be served.
    fn adopt(&self, address: &ArtifactId, kind: ArtifactKind) -> Result<Artifact, ArtifactError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(ArtifactError::GivenUp);
        }
        if let Some(Publication { model, until }) = self.publication {
            let before = self.store.awaited(address)?;
            let brought = before.map_or_else(|| self.store.artifact(address).is_err(), |before| before.brought);
            self.store.set_awaited(address, &Awaited { model, until: until(), brought })?;
        }
        self.store.adopt(address, kind)
    }

    /// Hashes files and stages those that are not here yet. Returns the hashes in the order of the files.
    fn files(&mut self, paths: &[PathBuf]) -> Result<Vec<Hashed>, ArtifactError> {
        let work = Work {
            store: self.store,
            mode: self.mode,
            paths,
            next: AtomicUsize::new(0),
            claimed: Mutex::default(),
            claimed_bytes: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            given_up: self.given_up,
            own: self.own,
        };
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let mut hashed = Vec::with_capacity(paths.len());
        let result = thread::scope(|scope| {
            let (tell, told) = mpsc::sync_channel(QUEUE);
            for _ in 0..processors.min(WORKERS).min(paths.len()) {
                let (work, tell) = (&work, tell.clone());
                scope.spawn(move || work.run(&tell));
            }
            drop(tell);
            // After a fault nobody listens, which ends the workers too.
            let result = told.into_iter().try_for_each(|told| self.note(told?, &mut hashed));
            work.failed.store(result.is_err(), Ordering::Relaxed);
            result
        });
        self.claimed_bytes = self.claimed_bytes.saturating_add(work.claimed_bytes.into_inner());
        result?;
        hashed.sort_unstable_by_key(|(index, _)| *index);
        Ok(hashed.into_iter().map(|(_, hashed)| hashed).collect())
    }

    fn note(&mut self, told: WorkerMessage, all: &mut Vec<(usize, Hashed)>) -> Result<(), ArtifactError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(ArtifactError::GivenUp);
        }
        match told {
            WorkerMessage::Read(count_bytes) => self.advance(count_bytes),
            WorkerMessage::Taken(index, Taken { hashed, new, untold_bytes }) => {
                self.advance(untold_bytes);
                if let Some(new) = new {
                    self.stage(&hashed.address, new, hashed.size_bytes)?;
                }
                all.push((index, hashed));
            }
        }
        Ok(())
    }

    fn advance(&mut self, count_bytes: u64) {
        self.state.done_bytes = self.state.done_bytes.saturating_add(count_bytes);
        (self.progress)(self.state);
    }

    fn stage(&mut self, address: &ArtifactId, new: New, size_bytes: u64) -> Result<(), ArtifactError> {
        if !self.store.has_blob(address) {
            self.new_bytes = self.new_bytes.saturating_add(size_bytes);
        }
        self.staged.push((*address, new.placement));
        self.staged_claimed_bytes = self.staged_claimed_bytes.saturating_add(new.claimed_bytes);
        self.staged_bytes = self.staged_bytes.saturating_add(size_bytes);
        if self.staged.len() >= BATCH_FILES || self.staged_bytes >= BATCH_SIZE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ArtifactError> {
        self.staged_bytes = 0;
        self.store.place(std::mem::take(&mut self.staged))?;
        self.placed_bytes = self.placed_bytes.saturating_add(std::mem::take(&mut self.staged_claimed_bytes));
        Ok(())
    }
}

/// The files of one import, and which worker has which.
struct Work<'a> {
    store: &'a ArtifactStore,
    mode: ImportMode,
    paths: &'a [PathBuf],
    /// The first file that no worker has taken.
    next: AtomicUsize,
    /// Addresses that a worker writes or has written: files with the same bytes are written once.
    claimed: Mutex<BTreeSet<ArtifactId>>,
    /// Bytes counted against the quota for them.
    claimed_bytes: AtomicU64,
    /// Whether a file failed, so that work on the others is useless.
    failed: AtomicBool,
    /// Whether nobody wants the import any more.
    given_up: &'a AtomicBool,
    own: &'a Own,
}

impl Work<'_> {
    fn run(&self, tell: &Tell) {
        while let Some((index, path)) = self.take() {
            let taken = self.file(path, tell).map(|taken| WorkerMessage::Taken(index, taken));
            let failed = taken.is_err();
            if tell.send(taken).is_err() || failed {
                return;
            }
        }
    }

    fn take(&self) -> Option<(usize, &Path)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.paths.get(index).map(|path| (index, path.as_path()))
    }

    /// Hashes a file, and writes it if it is not here yet.
    fn file(&self, path: &Path, tell: &Tell) -> Result<Taken, ArtifactError> {
        let (mut file, before) = open_source(path).map_err(|error| vanished(path, error))?;
        self.own.refuse(path, &before)?;
        if before.len() > limits::ARTIFACT_SIZE_BYTES {
            return Err(ArtifactError::TooLarge(path.to_owned()));
        }
        check_header(path, &mut file, before.len())?;
        let taken = if before.len() <= BUFFER_SIZE_BYTES as u64 {
            self.small_file(path, &mut file, &before)?
        } else {
            self.large_file(path, &mut file, &before, tell)?
        };
        // Checked by its path, not by the open handle: under another name it is another file.
        let after = fs::symlink_metadata(path).map_err(at("inspect", path)).map_err(|error| vanished(path, error))?;
        let look =
            |metadata: &fs::Metadata| (metadata.dev(), metadata.ino(), ReferenceRecord::new(String::new(), metadata));
        if look(&before) != look(&after) {
            return Err(ArtifactError::SourceChanged(path.to_owned()));
        }
        Ok(taken)
    }

    fn small_file(&self, path: &Path, file: &mut File, metadata: &fs::Metadata) -> Result<Taken, ArtifactError> {
        let size_bytes = metadata.len();
        // One extra byte shows whether the file grew.
        let most = size_bytes.saturating_add(1);
        let mut bytes = Vec::with_capacity(usize::try_from(most).unwrap_or(BUFFER_SIZE_BYTES));
        file.take(most).read_to_end(&mut bytes).map_err(at("read", path))?;
        if bytes.len() as u64 != size_bytes {
            return Err(ArtifactError::SourceChanged(path.to_owned()));
        }
        let (address, outboard) = slice::outboard_of(&bytes);
        let sha256 = ContentHash::from_bytes(Sha256::digest(&bytes).into());
        let hashed = Hashed { address, sha256, size_bytes };
        let untold_bytes = size_bytes;
        let Some(claimed_bytes) = self.claim(&address, size_bytes)? else {
            return Ok(Taken { hashed, new: None, untold_bytes });
        };
        let placement = match self.mode {
            ImportMode::Copy => self.store.stage(&address, &bytes, &outboard)?,
            ImportMode::HardLink => {
                let data = self.link(path, metadata)?;
                Placement::stored(&self.store.layout, &address, data, self.store.stage_outboard(&outboard)?)
            }
            ImportMode::Reference => {
                let outboard = self.store.stage_outboard(&outboard)?;
                reference_to(self.store, &address, path, metadata, outboard)?
            }
        };
        Ok(Taken { hashed, new: Some(New { placement, claimed_bytes }), untold_bytes })
    }

    fn large_file(
        &self,
        path: &Path,
        file: &mut File,
        metadata: &fs::Metadata,
        tell: &Tell,
    ) -> Result<Taken, ArtifactError> {
        let size_bytes = metadata.len();
        let memory = HashMemory::new(self.store, metadata);
        if let Some((address, sha256)) = memory.recall(path, self.mode == ImportMode::Reference) {
            return Ok(Taken { hashed: Hashed { address, sha256, size_bytes }, new: None, untold_bytes: size_bytes });
        }
        let outboard_bytes = size_bytes.div_ceil(GROUP_SIZE_BYTES).saturating_mul(PAIR_SIZE_BYTES);
        drop(self.store.layout.take_room(self.store.layout.directory(), outboard_bytes)?);
        let mut outboard = TemporaryFile::create(&self.store.layout)?;
        let (address, sha256) = self.hash(path, file, size_bytes, &mut outboard, tell)?;
        memory.keep(address, sha256);
        let hashed = Hashed { address, sha256, size_bytes };
        let Some(claimed_bytes) = self.claim(&address, size_bytes)? else {
            return Ok(Taken { hashed, new: None, untold_bytes: 0 });
        };
        let placement = match self.mode {
            ImportMode::Copy => {
                let data = self.copy(&address, path, size_bytes)?.close();
                Placement::stored(&self.store.layout, &address, data, Some(outboard))
            }
            ImportMode::HardLink => {
                Placement::stored(&self.store.layout, &address, self.link(path, metadata)?, Some(outboard))
            }
            ImportMode::Reference => reference_to(self.store, &address, path, metadata, Some(outboard))?,
        };
        Ok(Taken { hashed, new: Some(New { placement, claimed_bytes }), untold_bytes: 0 })
    }

    /// One pass: BLAKE3 and the outboard on this thread, SHA-256 on another.
    fn hash(
        &self,
        path: &Path,
        file: &mut File,
        size_bytes: u64,
        outboard: &mut TemporaryFile,
        tell: &Tell,
    ) -> Result<(ArtifactId, ContentHash), ArtifactError> {
        let (to_sha256, filled) = mpsc::sync_channel::<Arc<Vec<u8>>>(BUFFERS);
        let (give_back, used) = mpsc::sync_channel(BUFFERS);
        thread::scope(|scope| {
            let sha256 = scope.spawn(move || {
                let mut hasher = Sha256::new();
                for buffer in filled {
                    hasher.update(buffer.as_slice());
                    // The reader stops listening when it is done.
                    let _ = give_back.send(buffer);
                }
                ContentHash::from_bytes(hasher.finalize().into())
            });
            let on_bytes = |count| {
                let _ = tell.send(Ok(WorkerMessage::Read(count)));
                self.is_wanted()
            };
            let mut tee = Tee { file, current: Arc::default(), position: 0, buffers: 0, to_sha256, used, on_bytes };
            let mut nodes = BufWriter::with_capacity(64 * 1024, &mut *outboard);
            let result = slice::outboard_from(&mut tee, size_bytes, &mut nodes);
            // Bytes left over, in the buffer or in the file, show that it grew.
            let grew = tee.position < tee.current.len() || tee.file.read(&mut [0]).map_err(at("read", path))? > 0;
            drop(tee);
            let flushed = nodes.flush();
            drop(nodes);
            flushed.map_err(at("write", outboard.path()))?;
            let address = match result {
                Ok(address) if !grew => address,
                Ok(_) => return Err(ArtifactError::SourceChanged(path.to_owned())),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(ArtifactError::SourceChanged(path.to_owned()));
                }
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    return Err(at("write", outboard.path())(error));
                }
                Err(error) => return Err(at("read", path)(error)),
            };
            let sha256 = sha256.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((address, sha256))
        })
    }

    /// Copies the bytes into a file of the store, and fails if the copy does not match the hash.
    fn copy(&self, address: &ArtifactId, path: &Path, size_bytes: u64) -> Result<TemporaryFile, ArtifactError> {
        let (mut file, _) = open_source(path).map_err(|error| vanished(path, error))?;
        let mut copy = TemporaryFile::with_room(&self.store.layout, size_bytes)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER_SIZE_BYTES];
        loop {
            let read = self.is_wanted().and_then(|()| file.read(&mut buffer)).map_err(at("read", path))?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            copy.append(bytes)?;
        }
        if hasher.finalize().as_bytes() != address.as_bytes() {
            return Err(ArtifactError::SourceChanged(path.to_owned()));
        }
        Ok(copy)
    }

    /// A second name for the hashed file, if the first name still belongs to it.
    fn link(&self, path: &Path, hashed: &fs::Metadata) -> Result<Unnamed, ArtifactError> {
        let link = Unnamed::link(&self.store.layout, path).map_err(|error| vanished(path, error))?;
        let linked = fs::symlink_metadata(link.path()).map_err(at("inspect", link.path()))?;
        let is_same = (linked.dev(), linked.ino()) == (hashed.dev(), hashed.ino());
        if is_same { Ok(link) } else { Err(ArtifactError::SourceChanged(path.to_owned())) }
    }

    /// Counts a blob against the quota, if it is not here and this worker is the one to write it.
    fn claim(&self, address: &ArtifactId, size_bytes: u64) -> Result<Option<u64>, ArtifactError> {
        // An old reference is written again: its file may have moved.
        if !self.claimed().insert(*address) || self.store.has_sound_copy(address) {
            return Ok(None);
        }
        if self.mode == ImportMode::Reference || self.store.has_blob(address) {
            return Ok(Some(0));
        }
        let claimed_bytes = self.store.claim(size_bytes)?;
        self.claimed_bytes.fetch_add(claimed_bytes, Ordering::Relaxed);
        Ok(Some(claimed_bytes))
    }

    fn claimed(&self) -> std::sync::MutexGuard<'_, BTreeSet<ArtifactId>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if another file has failed, or nobody wants the import any more.
    fn is_wanted(&self) -> io::Result<()> {
        let is_over = self.failed.load(Ordering::Relaxed) || self.given_up.load(Ordering::Relaxed);
        if is_over { Err(io::Error::other("the import has ended")) } else { Ok(()) }
    }
}

/// A file that disappeared counts as changed.
fn vanished(path: &Path, error: ArtifactError) -> ArtifactError {
    match &error {
        ArtifactError::Io { source, .. } | ArtifactError::Link { source, .. }
            if source.kind() == io::ErrorKind::NotFound =>
        {
            ArtifactError::SourceChanged(path.to_owned())
        }
        _ => error,
    }
}

/// The record of a blob that stays where it is.
pub(super) fn reference_to(
    store: &ArtifactStore,
    address: &ArtifactId,
    path: &Path,
    metadata: &fs::Metadata,
    outboard: Option<TemporaryFile>,
) -> Result<Placement, ArtifactError> {
    let text = path.to_str().ok_or_else(|| ArtifactError::NotUtf8(path.to_owned()))?;
    let mut record = TemporaryFile::create(&store.layout)?;
    record.append(&codec::encode(&ReferenceRecord::new(text.to_owned(), metadata)))?;
    Ok(Placement::reference(&store.layout, address, record, outboard))
}

/// Checks that a model file is whole, as far as its header shows, before hours are spent on sending it around. A header
/// that is not understood is no reason to refuse the file.
fn check_header(path: &Path, file: &mut File, size_bytes: u64) -> Result<(), ArtifactError> {
    let Some(format) = path.file_name().and_then(|name| Format::of_name(name.to_str()?)) else { return Ok(()) };
    match format.read(&mut *file, size_bytes) {
        Ok(_) | Err(HeaderError::NotUnderstood(_)) => file.rewind().map_err(at("read", path)),
        Err(HeaderError::Io(error)) => Err(at("read", path)(error)),
        Err(HeaderError::Malformed(reason)) => Err(ArtifactError::ModelFile { path: path.to_owned(), reason }),
    }
}

/// Reads a file in large buffers. Each buffer also goes to the SHA-256 thread and comes back for reuse.
struct Tee<'a, F> {
    file: &'a mut File,
    current: Arc<Vec<u8>>,
    position: usize,
    buffers: usize,
    to_sha256: mpsc::SyncSender<Arc<Vec<u8>>>,
    used: mpsc::Receiver<Arc<Vec<u8>>>,
    on_bytes: F,
}

impl<F: FnMut(u64) -> io::Result<()>> Tee<'_, F> {
    fn refill(&mut self) -> io::Result<()> {
        self.current = Arc::default();
        self.position = 0;
        let mut buffer = if self.buffers < BUFFERS {
            self.buffers = self.buffers.saturating_add(1);
            Vec::with_capacity(BUFFER_SIZE_BYTES)
        } else {
            self.used.recv().ok().and_then(Arc::into_inner).unwrap_or_default()
        };
        buffer.clear();
        Read::by_ref(self.file).take(BUFFER_SIZE_BYTES as u64).read_to_end(&mut buffer)?;
        (self.on_bytes)(buffer.len() as u64)?;
        self.current = Arc::new(buffer);
        if self.current.is_empty() {
            return Ok(());
        }
        self.to_sha256.send(Arc::clone(&self.current)).map_err(|_| io::Error::other("the SHA-256 thread ended"))
    }
}

impl<F: FnMut(u64) -> io::Result<()>> Read for Tee<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.position == self.current.len() {
            self.refill()?;
        }
        let mut rest = self.current.get(self.position..).unwrap_or_default();
        let read = rest.read(into)?;
        self.position = self.position.saturating_add(read);
        Ok(read)
    }
}

/// The files of a directory, and what is left out.
struct Scan<'a> {
    root: &'a Path,
    own: &'a Own,
    ignored: Gitignore,
    paths: Vec<PathBuf>,
    /// Their paths in the collection, in the same order.
    names: Vec<ArtifactPath>,
    excluded: Vec<PathBuf>,
    size_bytes: u64,
}

impl Scan<'_> {
    fn directory(&mut self, directory: &Path) -> Result<(), ArtifactError> {
        self.own.refuse(directory, &fs::metadata(directory).map_err(at("inspect", directory))?)?;
        let entries = fs::read_dir(directory).map_err(at("list", directory))?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(at("list", directory))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().map_err(at("inspect", &path))?;
            if self.ignored.matched(&path, kind.is_dir()).is_ignore() {
                self.excluded.push(path);
            } else if kind.is_symlink() {
                return Err(ArtifactError::Symlink(path));
            } else if kind.is_dir() {
                self.directory(&path)?;
            } else if kind.is_file() {
                self.file(path, &entry)?;
            } else {
                return Err(ArtifactError::Special(path));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, entry: &fs::DirEntry) -> Result<(), ArtifactError> {
        if self.paths.len() >= limits::COLLECTION_FILES {
            return Err(ArtifactError::TooManyFiles(self.root.to_owned()));
        }
        let inside = path.strip_prefix(self.root).unwrap_or(&path);
        let parts = inside.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>();
        let name = parts.ok_or_else(|| ArtifactError::NotUtf8(path.clone()))?.join("/");
        let refused =
            |source: ManifestError| ArtifactError::Collection { path: path.clone(), source: Box::new(source) };
        let name = ArtifactPath::new(name).map_err(refused)?;
        self.size_bytes = self.size_bytes.saturating_add(entry.metadata().map_err(at("inspect", &path))?.len());
        self.paths.push(path);
        self.names.push(name);
        Ok(())
    }
}
