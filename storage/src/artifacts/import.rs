//! Taking a file or a directory into the store.
//!
//! A file is read once to hash it (BLAKE3, its outboard, and SHA-256 on a second thread) and, when its bytes are not
//! here yet, once more to copy them; the copy is hashed again, so a file that changes meanwhile is refused, and
//! publishing twice costs no more than hashing. Files of up to a mebibyte are read once into memory.

use super::{
    ArtifactStore, BUFFER_SIZE_BYTES, OnProgress, Progress,
    error::{ArtifactError, at},
    files::{self, Placement, TemporaryFile},
    headers::{Format, HeaderError},
    patterns::ignored,
    slice::{self, GROUP_SIZE_BYTES, ReferenceRecord, open_source},
};
use allod_protocol::{
    artifact::{Artifact, ArtifactKind, ArtifactPath, Manifest, ManifestError, ManifestFile},
    codec,
    ids::{ArtifactId, ContentHash},
    limits,
};
use ignore::gitignore::Gitignore;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Seek as _, Write},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

/// Files staged before they are made durable together: see [`Placement::commit_all`].
pub(super) const BATCH_FILES: usize = 256;
/// Bytes staged before they are made durable.
pub(super) const BATCH_SIZE_BYTES: u64 = 64 * 1024 * 1024;
/// Buffers between the reading and the SHA-256 thread.
const BUFFERS: usize = 4;

/// Whether the store holds the bytes itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImportMode {
    /// The bytes are copied; the source may change or go afterwards.
    #[default]
    Copy,
    /// Only the path is recorded. A file that changes or goes can no longer be served, and says so.
    Reference,
}

/// What was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The artifact, as the ledger records it.
    pub artifact: Artifact,
    /// SHA-256 of the file, or of the manifest's bytes.
    pub sha256: ContentHash,
    /// The files, when a directory was imported.
    pub manifest: Option<Manifest>,
    /// What was left out of a collection: see [`super::IGNORED`] and [`super::IGNORE_FILE`].
    pub excluded: Vec<PathBuf>,
    /// Bytes that were not in the store before.
    pub new_bytes: u64,
}

impl ArtifactStore {
    /// Takes a file, or a directory as a collection, into the store. The same content has the same address wherever
    /// and whenever it is imported; importing it again changes nothing.
    ///
    /// # Errors
    /// Names the file and the remedy: a symbolic link or a special file in a directory, a name that no collection can
    /// hold, a file that changes meanwhile, a full disk.
    pub fn import(&self, source: &Path, mode: ImportMode, progress: OnProgress<'_>) -> Result<Imported, ArtifactError> {
        let _hold = self.hold();
        // Whoever names a link means what it points to; links inside a directory are refused.
        let source = fs::canonicalize(source).map_err(at("open", source))?;
        let kind = fs::metadata(&source).map_err(at("inspect", &source))?;
        let mut import = Import::new(self, mode, progress);
        if kind.is_dir() {
            import.collection(&source)
        } else if kind.is_file() {
            import.state.total_bytes = kind.len();
            let file = import.file(&source)?;
            import.flush()?;
            let artifact = self.adopt(&file.address, ArtifactKind::File)?;
            let (sha256, new_bytes) = (file.sha256, import.new_bytes);
            Ok(Imported { artifact, sha256, manifest: None, excluded: Vec::new(), new_bytes })
        } else {
            Err(ArtifactError::Special(source))
        }
    }
}

/// What hashing a file gives.
struct Hashed {
    address: ArtifactId,
    sha256: ContentHash,
    size_bytes: u64,
}

/// One import under way.
struct Import<'a> {
    store: &'a ArtifactStore,
    mode: ImportMode,
    progress: OnProgress<'a>,
    state: Progress,
    new_bytes: u64,
    staged: Vec<Placement>,
    staged_addresses: BTreeSet<ArtifactId>,
    staged_bytes: u64,
}

impl<'a> Import<'a> {
    fn new(store: &'a ArtifactStore, mode: ImportMode, progress: OnProgress<'a>) -> Self {
        let state = Progress { done_bytes: 0, total_bytes: 0 };
        let (staged, staged_addresses) = (Vec::new(), BTreeSet::new());
        Self { store, mode, progress, state, new_bytes: 0, staged, staged_addresses, staged_bytes: 0 }
    }

    fn collection(&mut self, directory: &Path) -> Result<Imported, ArtifactError> {
        let ignored = ignored(directory)?;
        let mut scan = Scan { root: directory, ignored, files: Vec::new(), excluded: Vec::new(), size_bytes: 0 };
        scan.directory(directory)?;
        self.state.total_bytes = scan.size_bytes;
        let mut files = Vec::with_capacity(scan.files.len());
        for (path, name) in scan.files {
            let Hashed { address, sha256, size_bytes } = self.file(&path)?;
            files.push(ManifestFile { path: name, size_bytes, address, sha256 });
        }
        files.sort_by(|one, two| one.path.cmp(&two.path));
        let refused = |source| ArtifactError::Collection { path: directory.to_owned(), source: Box::new(source) };
        let manifest = Manifest::try_from(files).map_err(refused)?;
        let bytes = manifest.encode();
        if bytes.len() > limits::MANIFEST_SIZE_BYTES {
            return Err(ArtifactError::TooManyFiles(directory.to_owned()));
        }
        let address = ArtifactId::of(&bytes);
        if !self.store.has_copy(&address) {
            self.stage(&address, self.store.stage(&address, &bytes)?, bytes.len() as u64)?;
        }
        self.flush()?;
        Ok(Imported {
            artifact: self.store.adopt(&address, ArtifactKind::Collection)?,
            sha256: ContentHash::from_bytes(Sha256::digest(&bytes).into()),
            manifest: Some(manifest),
            excluded: scan.excluded,
            new_bytes: self.new_bytes,
        })
    }

    /// Hashes a file and stages what of it is not here yet.
    fn file(&mut self, path: &Path) -> Result<Hashed, ArtifactError> {
        let (mut file, before) = open_source(path)?;
        if before.len() > limits::ARTIFACT_SIZE_BYTES {
            return Err(ArtifactError::TooLarge(path.to_owned()));
        }
        check_header(path, &mut file, before.len())?;
        let hashed = if before.len() <= BUFFER_SIZE_BYTES as u64 {
            self.small_file(path, &mut file, &before)?
        } else {
            self.large_file(path, &mut file, &before)?
        };
        let after = file.metadata().map_err(at("inspect", path))?;
        if ReferenceRecord::new(String::new(), &before) != ReferenceRecord::new(String::new(), &after) {
            return Err(ArtifactError::SourceChanged(path.to_owned()));
        }
        Ok(hashed)
    }

    fn small_file(&mut self, path: &Path, file: &mut File, metadata: &fs::Metadata) -> Result<Hashed, ArtifactError> {
        let mut bytes = Vec::with_capacity(BUFFER_SIZE_BYTES);
        // One byte more than there should be tells that the file grew.
        file.take(metadata.len().saturating_add(1)).read_to_end(&mut bytes).map_err(at("read", path))?;
        if bytes.len() as u64 != metadata.len() {
            return Err(ArtifactError::SourceChanged(path.to_owned()));
        }
        let address = ArtifactId::of(&bytes);
        let sha256 = ContentHash::from_bytes(Sha256::digest(&bytes).into());
        if self.is_new(&address) {
            let placement = match self.mode {
                ImportMode::Copy => self.store.stage(&address, &bytes)?,
                ImportMode::Reference => {
                    let mut outboard = TemporaryFile::create(&self.store.layout)?;
                    outboard.append(&slice::outboard_of(&bytes))?;
                    self.reference(&address, path, metadata, outboard)?
                }
            };
            self.stage(&address, placement, metadata.len())?;
        }
        self.advance(metadata.len());
        Ok(Hashed { address, sha256, size_bytes: metadata.len() })
    }

    fn large_file(&mut self, path: &Path, file: &mut File, metadata: &fs::Metadata) -> Result<Hashed, ArtifactError> {
        let size_bytes = metadata.len();
        let mut outboard = TemporaryFile::create(&self.store.layout)?;
        let (address, sha256) = self.hash(path, file, size_bytes, &mut outboard)?;
        if self.is_new(&address) {
            let placement = match self.mode {
                ImportMode::Copy => {
                    let data = self.copy(&address, path)?;
                    Placement::copy(&self.store.layout, &address, data, Some(outboard))
                }
                ImportMode::Reference => self.reference(&address, path, metadata, outboard)?,
            };
            self.stage(&address, placement, size_bytes)?;
        }
        Ok(Hashed { address, sha256, size_bytes })
    }

    /// One pass: BLAKE3 and the outboard on this thread, SHA-256 on another.
    fn hash(
        &mut self,
        path: &Path,
        file: &mut File,
        size_bytes: u64,
        outboard: &mut TemporaryFile,
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
            let on_bytes = |count| self.advance(count);
            let mut tee = Tee { file, current: Arc::default(), position: 0, buffers: 0, to_sha256, used, on_bytes };
            let mut nodes = BufWriter::with_capacity(64 * 1024, &mut *outboard);
            let result = slice::outboard_from(&mut tee, size_bytes, &mut nodes);
            // Bytes left over, in the buffer or in the file, tell that it grew.
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

    /// Copies the bytes into the store's own file; what was copied is what was hashed, or it is refused.
    fn copy(&mut self, address: &ArtifactId, path: &Path) -> Result<TemporaryFile, ArtifactError> {
        let (mut file, _) = open_source(path)?;
        let mut copy = TemporaryFile::create(&self.store.layout)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER_SIZE_BYTES];
        loop {
            let read = file.read(&mut buffer).map_err(at("read", path))?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            copy.append(bytes)?;
        }
        if hasher.finalize().as_bytes() != address.as_bytes() {
            return Err(ArtifactError::SourceChanged(path.to_owned()));
        }
        Ok(copy)
    }

    fn reference(
        &self,
        address: &ArtifactId,
        path: &Path,
        metadata: &fs::Metadata,
        outboard: TemporaryFile,
    ) -> Result<Placement, ArtifactError> {
        let text = path.to_str().ok_or_else(|| ArtifactError::NotUtf8(path.to_owned()))?;
        let mut record = TemporaryFile::create(&self.store.layout)?;
        record.append(&codec::encode(&ReferenceRecord::new(text.to_owned(), metadata)))?;
        let outboard = (metadata.len() > GROUP_SIZE_BYTES).then_some(outboard);
        Ok(Placement::reference(&self.store.layout, address, record, outboard))
    }

    /// Whether something must be written for this address in this mode.
    fn is_new(&self, address: &ArtifactId) -> bool {
        // An old reference is written anew: its file may have moved.
        !self.staged_addresses.contains(address) && !self.store.has_copy(address)
    }

    fn stage(&mut self, address: &ArtifactId, placement: Placement, size_bytes: u64) -> Result<(), ArtifactError> {
        if !self.store.has_blob(address) {
            if self.mode == ImportMode::Copy {
                self.store.claim(size_bytes)?;
            }
            self.new_bytes = self.new_bytes.saturating_add(size_bytes);
        }
        self.staged.push(placement);
        self.staged_addresses.insert(*address);
        self.staged_bytes = self.staged_bytes.saturating_add(size_bytes);
        if self.staged.len() >= BATCH_FILES || self.staged_bytes >= BATCH_SIZE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ArtifactError> {
        Placement::commit_all(std::mem::take(&mut self.staged))?;
        self.staged_addresses.clear();
        self.staged_bytes = 0;
        files::sync_directory(&self.store.layout.blobs())
    }

    fn advance(&mut self, count_bytes: u64) {
        self.state.done_bytes = self.state.done_bytes.saturating_add(count_bytes);
        (self.progress)(self.state);
    }
}

/// That a model file is whole, as far as its header tells: before hours are spent on sending it around.
fn check_header(path: &Path, file: &mut File, size_bytes: u64) -> Result<(), ArtifactError> {
    let Some(format) = path.file_name().and_then(|name| Format::of_name(name.to_str()?)) else { return Ok(()) };
    match format.read(&mut *file, size_bytes) {
        Ok(_) => file.rewind().map_err(at("read", path)),
        Err(HeaderError::Io(error)) => Err(at("read", path)(error)),
        Err(HeaderError::Malformed(reason)) => Err(ArtifactError::ModelFile { path: path.to_owned(), reason }),
    }
}

/// Reads a file in large buffers, each of which also goes to the SHA-256 thread and comes back for reuse.
struct Tee<'a, F> {
    file: &'a mut File,
    current: Arc<Vec<u8>>,
    position: usize,
    buffers: usize,
    to_sha256: mpsc::SyncSender<Arc<Vec<u8>>>,
    used: mpsc::Receiver<Arc<Vec<u8>>>,
    on_bytes: F,
}

impl<F: FnMut(u64)> Tee<'_, F> {
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
        (self.on_bytes)(buffer.len() as u64);
        self.current = Arc::new(buffer);
        if self.current.is_empty() {
            return Ok(());
        }
        self.to_sha256.send(Arc::clone(&self.current)).map_err(|_| io::Error::other("the SHA-256 thread ended"))
    }
}

impl<F: FnMut(u64)> Read for Tee<'_, F> {
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
    ignored: Gitignore,
    files: Vec<(PathBuf, ArtifactPath)>,
    excluded: Vec<PathBuf>,
    size_bytes: u64,
}

impl Scan<'_> {
    fn directory(&mut self, directory: &Path) -> Result<(), ArtifactError> {
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
        if self.files.len() >= limits::COLLECTION_FILES {
            return Err(ArtifactError::TooManyFiles(self.root.to_owned()));
        }
        let inside = path.strip_prefix(self.root).unwrap_or(&path);
        let parts = inside.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>();
        let name = parts.ok_or_else(|| ArtifactError::NotUtf8(path.clone()))?.join("/");
        let refused =
            |source: ManifestError| ArtifactError::Collection { path: path.clone(), source: Box::new(source) };
        let name = ArtifactPath::new(name).map_err(refused)?;
        self.size_bytes = self.size_bytes.saturating_add(entry.metadata().map_err(at("inspect", &path))?.len());
        self.files.push((path, name));
        Ok(())
    }
}
