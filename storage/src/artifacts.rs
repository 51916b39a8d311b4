//! The bytes of artifacts: plain files with their BLAKE3 trees next to them, never in the database.
//!
//! Every blob (a file, or the manifest of a collection) is named by its address. Next to it lies its *outboard*: the
//! inner nodes of the hash tree over groups of 16 KiB (64 bytes per group). With it, any range can be proven against
//! the address alone. A blob of one group has no outboard. Wrong bytes never leave this module: every read for serving,
//! every received slice and every export is checked against the address first.
//!
//! ```text
//! DATA/artifacts/lock                 held by the process that has the store open
//! DATA/artifacts/blobs/<address>      the bytes, or <address>.ref: where they are, if imported by reference; a file
//!                                     imported by hard link has its other names outside the store
//! DATA/artifacts/blobs/<address>.obao the outboard, in post-order
//! DATA/artifacts/roots/<address>      the record of a whole artifact, written after everything it names is durable
//! DATA/artifacts/pins/<address>       marks an artifact that the operator keeps
//! DATA/artifacts/begun/<address>      marks an artifact that is not whole, of which files may be here
//! DATA/artifacts/awaited/<address>    marks an artifact whose publish the ledger has not answered yet
//! DATA/artifacts/damaged/<address>    marks a blob that was found damaged and is not read
//! DATA/artifacts/scrub                how far the last pass over all blobs has come
//! DATA/artifacts/partial/<address>.*  a download in progress: data, outboard, bits of verified groups
//! DATA/artifacts/temporary/           emptied whenever the store is opened
//! ```
//!
//! A file gets its final name by renaming, after an fsync, outboard first: a blob that has its name is whole. A *root*
//! is what a user published or fetched, and what a peer announces. Blobs without a root are files of a collection that
//! has one, or of an artifact that is arriving or going (`begun`).
//!
//! This module never uses the network, never decides who may read, and never follows a symbolic link inside an imported
//! directory. Continue with `import`, `headers`, `card`, `slice`, `partial`, `export`, `begun`, `garbage_collection`,
//! `own`, `damage`, `scrub`.

mod begun;
mod card;
mod damage;
mod direct;
mod error;
mod export;
mod files;
mod garbage_collection;
mod hashed;
mod headers;
mod import;
mod own;
mod partial;
mod patterns;
mod scrub;
mod slice;
#[cfg(test)]
mod tests;

pub use begun::{Awaited, Begun, Fate};
pub use card::{CARD_SIZE_BYTES, Card};
pub use damage::{DamageNews, Salvaged};
pub use error::{ArtifactError, ReceiveError, Reference};
pub use export::Overwrite;
pub use files::{KEPT_FREE_BYTES, Space, space};
pub use garbage_collection::{ABANDONED_AFTER, Garbage, Hold};
pub use headers::{Contents, Format, Header, HeaderError, ModelFile, UnreadFile};
pub use import::{ImportMode, Imported, Publication};
pub use partial::{PartialFile, Started};
pub use patterns::{IGNORE_FILE, IGNORED, Selection};
pub use scrub::{Place, Scrub, Step};
pub use slice::{BlobReader, ByteRange, GROUP_SIZE_BYTES, encoded_size_bytes, proves};

use allod_protocol::{
    ground::{
        codec,
        ids::{ArtifactId, ContentHash},
        limits,
    },
    rules::artifact::{Artifact, ArtifactKind, Manifest, ManifestFile},
};
use error::at;
use files::{Layout, TemporaryFile};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

/// Bytes of the buffers with which files are read and written.
const BUFFER_SIZE_BYTES: usize = 1024 * 1024;

/// How far a long operation on bytes has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done.
    pub done_bytes: u64,
    /// Bytes to do in total.
    pub total_bytes: u64,
}

/// A callback for the progress of a long operation, called about once per mebibyte.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress);

/// The artifacts on this machine. Every method may be called from several threads at once; all of them block.
#[derive(Debug)]
pub struct ArtifactStore {
    layout: Arc<Layout>,
    /// Addresses with an open [`PartialFile`]: two of them would overwrite each other's record of what is verified.
    arriving: Arc<Mutex<BTreeSet<ArtifactId>>>,
    /// Who is adding to the store, and whether garbage is being collected.
    holds: Arc<garbage_collection::Holds>,
    /// The marks of damaged blobs.
    marks: Arc<damage::Marks>,
    known: headers::Known,
    quota_bytes: Option<u64>,
    used_bytes: AtomicU64,
    /// The directory with the node's own files.
    data_dir: Option<PathBuf>,
    /// The directories below which files are imported and exported, with every link followed. None means anywhere.
    roots: Vec<PathBuf>,
    /// The lock file of the store, locked exclusively.
    _lock: File,
}

impl ArtifactStore {
    /// Opens the store in `directory` (`DATA/artifacts`), creating it if it does not exist. Removes leftovers of
    /// interrupted imports. Keeps interrupted downloads for [`ArtifactStore::resume`], unless they cannot be resumed.
    ///
    /// # Errors
    /// When another process has it open, or the file system fails.
    pub fn open(directory: &Path) -> Result<Self, ArtifactError> {
        let layout = Layout::create(directory)?;
        let lock_path = layout.lock();
        let lock = File::create(&lock_path).map_err(at("create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(ArtifactError::InUse(directory.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(at("lock", &lock_path)(error)),
        }
        layout.sweep_temporary()?;
        let store = Self {
            marks: Arc::new(damage::Marks::open(layout.damaged())?),
            layout: Arc::new(layout),
            arriving: Arc::default(),
            holds: Arc::default(),
            known: headers::Known::default(),
            quota_bytes: None,
            used_bytes: AtomicU64::new(0),
            data_dir: None,
            roots: Vec::new(),
            _lock: lock,
        };
        partial::sweep(&store)?;
        store.measure()?;
        Ok(store)
    }

    /// Whether the whole artifact is here: the file, or the manifest and every file it names, with none of them known
    /// to be damaged.
    pub fn has(&self, address: &ArtifactId) -> bool {
        self.layout.root(address).is_file() && self.artifact(address).is_ok_and(|artifact| self.is_sound(&artifact))
    }

    /// Whether these bytes are here, as an artifact or as a file of a collection.
    pub fn has_blob(&self, address: &ArtifactId) -> bool {
        self.has_copy(address) || (!self.marks.has(address) && self.layout.reference(address).is_file())
    }

    /// Whether the store itself holds the bytes.
    fn has_copy(&self, address: &ArtifactId) -> bool {
        !self.marks.has(address) && self.layout.data(address).is_file()
    }

    /// Whether the store itself holds the bytes and they pass the check. If they do not, importing them again repairs
    /// them.
    fn has_sound_copy(&self, address: &ArtifactId) -> bool {
        let check = || {
            let reader = self.reader(address)?;
            reader.check(ByteRange::whole(reader.size_bytes()))
        };
        self.has_copy(address) && check().is_ok()
    }

    /// The artifacts that are here whole, by address.
    ///
    /// # Errors
    /// When the directory cannot be read. A damaged record is logged and left out.
    pub fn list(&self) -> Result<Vec<Artifact>, ArtifactError> {
        let directory = self.layout.roots();
        let mut artifacts = Vec::new();
        for entry in fs::read_dir(&directory).map_err(at("list", &directory))? {
            let path = entry.map_err(at("list", &directory))?.path();
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                // It was garbage-collected after the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(at("read", &path)(error)),
            };
            match codec::decode_trusted::<Artifact>(&bytes) {
                Ok(artifact) => artifacts.push(artifact),
                Err(error) => tracing::error!(
                    path = %path.display(), %error,
                    "the record of an artifact is damaged and is ignored; remove the file and publish or fetch the artifact again"
                ),
            }
        }
        artifacts.sort_by_key(|artifact| artifact.address);
        Ok(artifacts)
    }

    /// The record of an artifact that is here whole.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], or when the record cannot be read.
    pub fn artifact(&self, address: &ArtifactId) -> Result<Artifact, ArtifactError> {
        let path = self.layout.root(address);
        match fs::read(&path) {
            Ok(bytes) => {
                codec::decode_trusted(&bytes).map_err(|source| ArtifactError::Record { path, source: Box::new(source) })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(ArtifactError::NotFound(*address)),
            Err(error) => Err(at("read", &path)(error)),
        }
    }

    /// Size of one blob, in bytes.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], or a reference whose file has changed.
    pub fn size(&self, address: &ArtifactId) -> Result<u64, ArtifactError> {
        Ok(self.reader(address)?.size_bytes())
    }

    /// Opens a blob for reading proven ranges of it.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`]; [`ArtifactError::Marked`]; [`ArtifactError::ReferenceChanged`] when a file imported
    /// by reference is gone, or its size or modification time has changed.
    pub fn reader(&self, address: &ArtifactId) -> Result<BlobReader, ArtifactError> {
        if self.marks.has(address) {
            return Err(ArtifactError::Marked(*address));
        }
        let opened = BlobReader::open(&self.layout, address);
        let damaged = opened.as_ref().err().filter(|error| error.is_damage());
        damaged.iter().for_each(|error| self.marks.report(address, error));
        Ok(opened?.reporting(&self.layout, &self.marks))
    }

    /// The manifest of a collection, checked against its address. The files it names need not be here.
    ///
    /// # Errors
    /// When the blob is not here, or is not a manifest.
    pub fn manifest(&self, address: &ArtifactId) -> Result<Manifest, ArtifactError> {
        let reader = self.reader(address)?;
        if reader.size_bytes() > limits::MANIFEST_SIZE_BYTES as u64 {
            return Err(ArtifactError::NotACollection(*address));
        }
        let bytes = reader.read_all()?;
        Manifest::decode(&bytes).map_err(|_| ArtifactError::NotACollection(*address))
    }

    /// The files of a collection whose bytes are not here yet, or are here but cannot be taken over; each address once.
    pub fn missing_files(&self, files: &[ManifestFile], is_lent: impl Fn(&ArtifactId) -> bool) -> Vec<ManifestFile> {
        let mut seen = BTreeSet::new();
        let is_here = |address: &ArtifactId| self.has_blob(address) && is_lent(address);
        let absent = |file: &&ManifestFile| seen.insert(file.address) && !is_here(&file.address);
        files.iter().filter(absent).cloned().collect()
    }

    /// Stores bytes that fit in memory under the given address, after checking that it is theirs.
    ///
    /// # Errors
    /// [`ArtifactError::Damaged`] when the address is not that of the bytes, or the file system's error.
    pub fn insert(&self, address: &ArtifactId, bytes: &[u8]) -> Result<(), ArtifactError> {
        if self.has_blob(address) {
            return Ok(());
        }
        let (found, outboard) = slice::outboard_of(bytes);
        if found != *address {
            return Err(ArtifactError::Damaged { address: *address, path: self.layout.data(address), offset_bytes: 0 });
        }
        self.place(vec![(*address, self.stage(address, bytes, &outboard)?)])
    }

    /// Records that an artifact is here whole, so that it is listed and announced: the last step of a fetch.
    ///
    /// # Errors
    /// When one of its blobs is not here, or the address of a collection is not that of a manifest.
    pub fn adopt(&self, address: &ArtifactId, kind: ArtifactKind) -> Result<Artifact, ArtifactError> {
        let artifact = match kind {
            ArtifactKind::File => Artifact { address: *address, kind, size_bytes: self.size(address)?, files: 1 },
            ArtifactKind::Collection => {
                let manifest = self.manifest(address)?;
                if let Some(file) = self.missing_files(manifest.files(), |_| true).first() {
                    return Err(ArtifactError::NotFound(file.address));
                }
                let files = u32::try_from(manifest.files().len()).unwrap_or(u32::MAX);
                Artifact { address: *address, kind, size_bytes: manifest.size_bytes(), files }
            }
        };
        // The names of the blobs first: a root must not outlive any of them.
        files::sync_directory(&self.layout.blobs())?;
        let mut record = TemporaryFile::create(&self.layout)?;
        record.append(&codec::encode(&artifact))?;
        record.commit_to(&self.layout.root(address))?;
        files::sync_directory(&self.layout.roots())?;
        self.end_begun(address)?;
        Ok(artifact)
    }

    /// Reads every byte of a blob, or of a collection and all its files, and checks hashes and outboards. A blob that
    /// was marked as damaged and passes the check loses its mark.
    ///
    /// # Errors
    /// The first fault found. Its text names the address and the file, and says what to do.
    pub fn verify(&self, address: &ArtifactId, progress: OnProgress<'_>) -> Result<(), ArtifactError> {
        let artifact = self.artifact(address);
        let mut state = Progress { done_bytes: 0, total_bytes: self.any_reader(address)?.size_bytes() };
        if let Ok(Artifact { kind: ArtifactKind::Collection, size_bytes, .. }) = artifact {
            state.total_bytes = state.total_bytes.saturating_add(size_bytes);
        }
        self.verify_blob(address, None, &mut state, progress)?;
        if !artifact.is_ok_and(|artifact| artifact.kind == ArtifactKind::Collection) {
            return Ok(());
        }
        let manifest = self.manifest(address)?;
        for file in manifest.files() {
            self.verify_blob(&file.address, Some(file), &mut state, progress)?;
        }
        Ok(())
    }

    /// As [`ArtifactStore::reader`], but also for a marked blob.
    fn any_reader(&self, address: &ArtifactId) -> Result<BlobReader, ArtifactError> {
        match BlobReader::open(&self.layout, address) {
            // Its sound part is among the downloads.
            Err(ArtifactError::NotFound(_)) if self.marks.has(address) => Err(ArtifactError::Marked(*address)),
            other => other,
        }
    }

    fn verify_blob(
        &self,
        address: &ArtifactId,
        listed: Option<&ManifestFile>,
        state: &mut Progress,
        progress: OnProgress<'_>,
    ) -> Result<(), ArtifactError> {
        let reader = self.any_reader(address)?;
        let mut sha256 = Sha256::new();
        // Proving the pieces against the address checks both data and outboard.
        reader.for_each_piece(state, progress, |bytes| {
            if listed.is_some() {
                sha256.update(bytes);
            }
            Ok(())
        })?;
        self.marks.clear(address)?;
        let Some(listed) = listed else { return Ok(()) };
        let found = ContentHash::from_bytes(sha256.finalize().into());
        if listed.size_bytes != reader.size_bytes() || listed.sha256 != found {
            return Err(ArtifactError::ManifestWrong { address: *address, path: listed.path.to_string() });
        }
        Ok(())
    }

    /// Writes bytes that fit in memory, and their outboard, to temporary files.
    fn stage(&self, address: &ArtifactId, bytes: &[u8], outboard: &[u8]) -> Result<files::Placement, ArtifactError> {
        let mut data = TemporaryFile::with_room(&self.layout, bytes.len() as u64)?;
        data.append(bytes)?;
        Ok(files::Placement::stored(&self.layout, address, data.close(), self.stage_outboard(outboard)?))
    }

    /// Writes an outboard to a temporary file. A blob of one group has none.
    fn stage_outboard(&self, outboard: &[u8]) -> Result<Option<TemporaryFile>, ArtifactError> {
        if outboard.is_empty() {
            return Ok(None);
        }
        let mut file = TemporaryFile::create(&self.layout)?;
        file.append(outboard)?;
        Ok(Some(file))
    }
}

/// Removes `address` from the set of open partial files when the last holder drops it.
#[derive(Debug)]
struct Arriving {
    address: ArtifactId,
    all: Arc<Mutex<BTreeSet<ArtifactId>>>,
}

impl Arriving {
    fn claim(store: &ArtifactStore, address: &ArtifactId) -> Result<Self, ArtifactError> {
        let mut all = store.arriving.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.insert(*address) {
            return Err(ArtifactError::UnderWay(*address));
        }
        Ok(Self { address: *address, all: Arc::clone(&store.arriving) })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.address);
    }
}
