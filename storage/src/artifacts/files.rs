//! Names and small file operations: no file gets its final name before it is whole and durable.

use super::{
    BUFFER_SIZE_BYTES, direct,
    error::{ArtifactError, at},
};
use allod_protocol::ground::ids::ArtifactId;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of one write. Larger writes gain nothing, and make the kernel take large pages from memory that a virtual
/// machine may never have touched, which is slow.
pub(super) const WRITE_SIZE_BYTES: usize = 256 * 1024;
/// The number of files from which on they are synced together.
const SYNC_TOGETHER_FILES: usize = 8;

/// Bytes of disk that artifacts leave free, however they arrive. The ledger goes on growing on the same disk, and a
/// peer that cannot write its ledger stops. In this space the database can flush its buffers and compact its files.
pub const KEPT_FREE_BYTES: u64 = 128 * 1024 * 1024;

const _: () = assert!(
    KEPT_FREE_BYTES >= crate::columns::WRITTEN_OUT_BYTES + 32 * 1024 * 1024,
    "a database whose buffers and log are full can be flushed while consensus goes on"
);

/// The paths of a store. Files are named by the text form of the address, as users see it.
#[derive(Debug)]
pub(super) struct Layout {
    directory: PathBuf,
    counter: AtomicU64,
    /// Held between checking the free space and taking it.
    room: Mutex<()>,
}

impl Layout {
    pub(super) fn create(directory: &Path) -> Result<Self, ArtifactError> {
        let layout = Self { directory: directory.to_owned(), counter: AtomicU64::new(0), room: Mutex::default() };
        for path in [
            layout.blobs(),
            layout.roots(),
            layout.pins(),
            layout.begun(),
            layout.awaited(),
            layout.hashed(),
            layout.damaged(),
            layout.partials(),
            layout.temporary(),
        ] {
            fs::create_dir_all(&path).map_err(at("create", &path))?;
        }
        Ok(layout)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.directory.join("blobs")
    }

    pub(super) fn roots(&self) -> PathBuf {
        self.directory.join("roots")
    }

    pub(super) fn partials(&self) -> PathBuf {
        self.directory.join("partial")
    }

    pub(super) fn damaged(&self) -> PathBuf {
        self.directory.join("damaged")
    }

    pub(super) fn scrub(&self) -> PathBuf {
        self.directory.join("scrub")
    }

    /// Checks that `size_bytes` fit on a directory's file system and leave [`KEPT_FREE_BYTES`]. The caller takes the
    /// space before it drops the guard.
    pub(super) fn take_room(&self, directory: &Path, size_bytes: u64) -> Result<MutexGuard<'_, ()>, ArtifactError> {
        let taking = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        check_space(directory, size_bytes)?;
        Ok(taking)
    }

    fn temporary(&self) -> PathBuf {
        self.directory.join("temporary")
    }

    fn next_temporary(&self) -> PathBuf {
        // The store is locked, so a number is unique while this process lives.
        self.temporary().join(self.next_number().to_string())
    }

    /// A number that is unique in this process.
    pub(super) fn next_number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn data(&self, address: &ArtifactId) -> PathBuf {
        self.blobs().join(address.to_string())
    }

    pub(super) fn outboard(&self, address: &ArtifactId) -> PathBuf {
        self.blobs().join(format!("{address}.obao"))
    }

    pub(super) fn reference(&self, address: &ArtifactId) -> PathBuf {
        self.blobs().join(format!("{address}.ref"))
    }

    pub(super) fn root(&self, address: &ArtifactId) -> PathBuf {
        self.roots().join(address.to_string())
    }

    pub(super) fn partial(&self, address: &ArtifactId, extension: &str) -> PathBuf {
        self.partials().join(format!("{address}.{extension}"))
    }

    /// Removes what interrupted operations left behind.
    pub(super) fn sweep_temporary(&self) -> Result<(), ArtifactError> {
        let directory = self.temporary();
        for entry in fs::read_dir(&directory).map_err(at("list", &directory))? {
            let path = entry.map_err(at("list", &directory))?.path();
            fs::remove_file(&path).map_err(at("remove", &path))?;
        }
        Ok(())
    }
}

/// A file that does not have its final name yet. It is removed if this is dropped before it gets one.
#[derive(Debug)]
pub(super) struct Unnamed {
    path: PathBuf,
    named: bool,
    /// Whether the file has other names, outside the store.
    linked: bool,
}

impl Unnamed {
    /// A name in the store for a file elsewhere on the same file system, which keeps its own name.
    pub(super) fn link(layout: &Layout, source: &Path) -> Result<Self, ArtifactError> {
        let path = layout.next_temporary();
        fs::hard_link(source, &path).map_err(|error| ArtifactError::Link {
            path: source.to_owned(),
            store: layout.directory.clone(),
            source: error,
        })?;
        Ok(Self { path, named: false, linked: true })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn sync(&self) -> Result<(), ArtifactError> {
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(at("sync", &self.path))
    }

    /// As [`Unnamed::rename_to`], but never replaces a file.
    fn rename_to_new(mut self, target: &Path) -> Result<(), ArtifactError> {
        // Not every file system can rename without replacing; all that have hard links can link without replacing.
        match fs::hard_link(&self.path, target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ArtifactError::TargetExists(target.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(at("create", target)(error)),
            Err(_) => {
                fs::rename(&self.path, target).map_err(at("create", target))?;
                self.named = true;
                Ok(())
            }
        }
    }

    fn rename_to(mut self, target: &Path) -> Result<(), ArtifactError> {
        fs::rename(&self.path, target).map_err(at("create", target))?;
        // Renaming one name of a file to another of its names does nothing, and reports success.
        self.named = !self.linked;
        Ok(())
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.named
            && let Err(error) = remove_if_there(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a temporary file; it is swept at the next start");
        }
    }
}

/// A file that is being written, without its final name.
#[derive(Debug)]
pub(super) struct TemporaryFile {
    file: File,
    name: Unnamed,
}

impl TemporaryFile {
    /// A new file in the store.
    pub(super) fn create(layout: &Layout) -> Result<Self, ArtifactError> {
        Self::create_at(layout.next_temporary())
    }

    /// A new file at a path where none may exist.
    pub(super) fn create_at(path: PathBuf) -> Result<Self, ArtifactError> {
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&path).map_err(at("create", &path))?;
        Ok(Self { file, name: Unnamed { path, named: false, linked: false } })
    }

    /// A new file in the store, after checking that there is room: [`Layout::take_room`].
    pub(super) fn with_room(layout: &Layout, size_bytes: u64) -> Result<Self, ArtifactError> {
        let _taking = layout.take_room(layout.directory(), size_bytes)?;
        let file = Self::create(layout)?;
        if size_bytes > BUFFER_SIZE_BYTES as u64 {
            direct::reserve(&file.file, size_bytes).map_err(at("write", &file.name.path))?;
        }
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.name.path
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        let mut pieces = bytes.chunks(WRITE_SIZE_BYTES);
        pieces.try_for_each(|piece| self.file.write_all(piece)).map_err(at("write", &self.name.path))
    }

    /// Closes the file after the last write: many may wait for their names.
    pub(super) fn close(self) -> Unnamed {
        self.name
    }

    /// Makes the file durable and gives it its name.
    pub(super) fn commit_to(self, target: &Path) -> Result<(), ArtifactError> {
        self.file.sync_all().map_err(at("sync", &self.name.path))?;
        self.close().rename_to(target)
    }
}

impl Write for TemporaryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Files that are written and wait for their final names, in the order in which they get them.
#[derive(Debug)]
pub(super) struct Placement {
    files: Vec<(Unnamed, PathBuf)>,
    /// A file that the last one replaces.
    replaces: Option<PathBuf>,
    /// Whether the names must not exist yet.
    only_new: bool,
}

impl Placement {
    /// A blob stored under its name.
    pub(super) fn stored(
        layout: &Layout,
        address: &ArtifactId,
        data: Unnamed,
        outboard: Option<TemporaryFile>,
    ) -> Self {
        let outboard = outboard.map(|file| (file.close(), layout.outboard(address)));
        let files = outboard.into_iter().chain([(data, layout.data(address))]).collect();
        Self { files, replaces: Some(layout.reference(address)), only_new: false }
    }

    /// A blob imported by reference.
    pub(super) fn reference(
        layout: &Layout,
        address: &ArtifactId,
        record: TemporaryFile,
        outboard: Option<TemporaryFile>,
    ) -> Self {
        let outboard = outboard.map(|file| (file.close(), layout.outboard(address)));
        let files = outboard.into_iter().chain([(record.close(), layout.reference(address))]).collect();
        // The store's own bytes would be read before the reference. They are damaged, or no reference would be needed.
        Self { files, replaces: Some(layout.data(address)), only_new: false }
    }

    /// A file outside the store. With `only_new`, [`ArtifactError::TargetExists`] if the name exists by then.
    pub(super) fn export(file: TemporaryFile, target: PathBuf, only_new: bool) -> Self {
        Self { files: vec![(file.close(), target)], replaces: None, only_new }
    }

    /// Gives the files their names. A crash may lose the names, never the bytes behind a name.
    fn rename(self) -> Result<(), ArtifactError> {
        for (file, target) in self.files {
            if self.only_new { file.rename_to_new(&target)? } else { file.rename_to(&target)? }
        }
        self.replaces.as_deref().map_or(Ok(()), remove_if_there)
    }

    /// Makes the bytes durable, then gives them their names. All files lie in one file system.
    pub(super) fn commit_all(placements: Vec<Self>) -> Result<(), ArtifactError> {
        let files: Vec<&Unnamed> = placements.iter().flat_map(|one| &one.files).map(|(file, _)| file).collect();
        make_durable(&files)?;
        placements.into_iter().try_for_each(Self::rename)
    }
}

/// Each fsync commits the file system's journal. For many files, one commit of the whole file system costs less.
fn make_durable(files: &[&Unnamed]) -> Result<(), ArtifactError> {
    #[cfg(target_os = "linux")]
    if let [first, ..] = files
        && files.len() >= SYNC_TOGETHER_FILES
    {
        let any = File::open(&first.path).map_err(at("open", &first.path))?;
        return rustix::fs::syncfs(&any).map_err(|error| at("sync", &first.path)(error.into()));
    }
    files.iter().try_for_each(|file| file.sync())
}

/// The room of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What may still be written.
    pub free_bytes: u64,
    /// The size of all of it.
    pub total_bytes: u64,
}

/// The room of the file system that a directory is on.
///
/// # Errors
/// When the file system cannot be asked.
pub fn space(directory: &Path) -> Result<Space, ArtifactError> {
    let system = rustix::fs::statvfs(directory).map_err(|error| at("inspect", directory)(error.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
    Ok(Space { free_bytes: bytes(system.f_bavail), total_bytes: bytes(system.f_blocks) })
}

/// Checks that `asked_bytes` fit on a directory's file system and leave [`KEPT_FREE_BYTES`].
fn check_space(directory: &Path, asked_bytes: u64) -> Result<(), ArtifactError> {
    let Space { free_bytes, .. } = space(directory)?;
    if free_bytes < asked_bytes.saturating_add(KEPT_FREE_BYTES) {
        return Err(ArtifactError::Reserve { path: directory.to_owned(), asked_bytes, free_bytes });
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), ArtifactError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(at("sync", path))
}

/// Removes a file if it exists.
pub(super) fn remove_if_there(path: &Path) -> Result<(), ArtifactError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", path)(error)),
        _ => Ok(()),
    }
}
