//! What stays in the store: pins, the quota, and garbage collection.
//!
//! A *pin* is an empty file `pins/<address>`: the operator keeps the artifact. [`ArtifactStore::collect_garbage`]
//! removes every artifact that is neither pinned nor wanted by its caller, the blobs that nothing names any more, and
//! downloads that nobody has resumed for [`ABANDONED_AFTER`]. Roots are removed first and blobs after them, so a crash
//! in between leaves blobs to be removed next time, never an artifact with bytes missing.
//!
//! An import relies on blobs that no root names yet, and an export relies on the artifact's root. So an import takes a
//! [`Hold`], and so does a fetch until its copy is written. A garbage collection does not wait for holds: it is refused
//! while there are any, and new holds wait for its end.

use super::{
    ArtifactStore,
    begun::{Begun, Fate},
    error::{ArtifactError, at},
    files::{self, Layout},
    slice::GROUP_SIZE_BYTES,
};
use allod_protocol::{ground::ids::ArtifactId, rules::artifact::ArtifactKind};
use std::{
    collections::BTreeSet,
    fs::{self, DirEntry, File},
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

/// How long a download may be idle before it is garbage.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Bytes of an inner node of a hash tree: two hashes.
pub(super) const PAIR_SIZE_BYTES: u64 = 64;

/// The garbage that was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Artifacts, by address.
    pub artifacts: Vec<ArtifactId>,
    /// Number of blobs that no remaining artifact names, including those of these artifacts.
    pub blobs: u64,
    /// Number of abandoned downloads.
    pub downloads: u64,
    /// Bytes on disk that this frees.
    pub freed_bytes: u64,
}

#[derive(Debug, Default)]
struct Holders {
    holds: usize,
    collecting: bool,
}

/// Who is adding to the store, and whether garbage is being collected.
#[derive(Debug, Default)]
pub(super) struct Holds {
    state: Mutex<Holders>,
    ended: Condvar,
}

/// Prevents garbage collection until it is dropped.
#[derive(Debug)]
pub struct Hold(Arc<Holds>);

impl Holds {
    fn state(&self) -> MutexGuard<'_, Holders> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.holds = state.holds.saturating_sub(1);
    }
}

/// Allows holds again when a garbage collection ends, however it ends.
struct Collecting(Arc<Holds>);

impl Drop for Collecting {
    fn drop(&mut self) {
        self.0.state().collecting = false;
        self.0.ended.notify_all();
    }
}

impl ArtifactStore {
    /// Protects what is here, and what is added meanwhile, from garbage collection. Waits for one in progress.
    pub fn hold(&self) -> Hold {
        let free = self.holds.ended.wait_while(self.holds.state(), |state| state.collecting);
        let mut state = free.unwrap_or_else(PoisonError::into_inner);
        state.holds = state.holds.saturating_add(1);
        Hold(Arc::clone(&self.holds))
    }

    /// Whether the operator pinned the artifact.
    pub fn is_pinned(&self, address: &ArtifactId) -> bool {
        self.layout.pin(address).is_file()
    }

    /// Pins an artifact that is here whole: no garbage collection removes it.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], or the file system's error.
    pub fn pin(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        // Held, so that the artifact cannot be collected between the check and the pin.
        let _hold = self.hold();
        self.artifact(address)?;
        let path = self.layout.pin(address);
        File::create(&path).map_err(at("create", &path))?;
        files::sync_directory(&self.layout.pins())
    }

    /// Removes a pin. Returns whether there was one.
    ///
    /// # Errors
    /// The file system's error.
    pub fn unpin(&self, address: &ArtifactId) -> Result<bool, ArtifactError> {
        let was_pinned = self.is_pinned(address);
        files::remove_if_there(&self.layout.pin(address))?;
        Ok(was_pinned)
    }

    /// Bytes on disk that the store takes, without files imported by reference.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Sets how many bytes on disk the store may take. `None` means no limit.
    #[must_use]
    pub fn with_quota(mut self, quota_bytes: Option<u64>) -> Self {
        self.quota_bytes = quota_bytes;
        self
    }

    /// How many bytes on disk the store may take. `None` means no limit.
    pub const fn quota_bytes(&self) -> Option<u64> {
        self.quota_bytes
    }

    /// Checks that `asked_bytes` more stay within the quota.
    ///
    /// # Errors
    /// [`ArtifactError::Quota`].
    pub fn check_quota(&self, asked_bytes: u64) -> Result<(), ArtifactError> {
        let used_bytes = self.used_bytes.load(Ordering::Relaxed);
        match self.quota_bytes {
            Some(quota_bytes) if used_bytes.saturating_add(asked_bytes) > quota_bytes => {
                Err(ArtifactError::Quota { quota_bytes, used_bytes, asked_bytes })
            }
            _ => Ok(()),
        }
    }

    /// Counts a blob that is about to be written, with its outboard, and returns the bytes counted:
    /// [`ArtifactStore::release`] takes them back. A download that was begun stays counted.
    pub(super) fn claim(&self, size_bytes: u64) -> Result<u64, ArtifactError> {
        let pairs = size_bytes.div_ceil(GROUP_SIZE_BYTES).saturating_sub(1);
        let asked_bytes = size_bytes.saturating_add(pairs.saturating_mul(PAIR_SIZE_BYTES));
        let quota_bytes = self.quota_bytes.unwrap_or(u64::MAX);
        let fits = |used_bytes: u64| used_bytes.checked_add(asked_bytes).filter(|sum| *sum <= quota_bytes);
        let claimed = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        let refused = |used_bytes| ArtifactError::Quota { quota_bytes, used_bytes, asked_bytes };
        claimed.map(|_| asked_bytes).map_err(refused)
    }

    /// Takes back what was claimed and not written.
    pub(super) fn release(&self, claimed_bytes: u64) {
        let less = |used_bytes: u64| Some(used_bytes.saturating_sub(claimed_bytes));
        let _ = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Recounts the bytes that the store takes.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn measure(&self) -> Result<(), ArtifactError> {
        let directories = [self.layout.blobs(), self.layout.partials()];
        let sum = directories
            .iter()
            .try_fold(0u64, |sum, directory| Ok::<_, ArtifactError>(sum.saturating_add(size_of_all(directory)?)))?;
        self.used_bytes.store(sum, Ordering::Relaxed);
        Ok(())
    }

    /// Removes what is neither pinned, nor wanted, nor waiting for a publish, and what was fetched in part. With
    /// `dry_run`, only reports what would be removed. Interrupted fetches stay for [`ABANDONED_AFTER`], unless
    /// `downloads` is set.
    ///
    /// # Errors
    /// [`ArtifactError::Held`] while something is imported, fetched or exported; a damaged record of an artifact that
    /// stays, because its blobs could not be told from garbage; or the file system's error.
    pub fn collect_garbage_with(
        &self,
        dry_run: bool,
        downloads: bool,
        is_wanted: impl Fn(&ArtifactId) -> bool,
    ) -> Result<Garbage, ArtifactError> {
        let stays = |address: &ArtifactId| {
            self.is_pinned(address)
                || is_wanted(address)
                || self.awaited(address).is_ok_and(|awaited| awaited.is_some())
        };
        self.remove_garbage(dry_run, stays, |address, begun| {
            downloads || begun.fate != Fate::Arrives || self.is_begun_long_ago(address)
        })
    }

    /// As [`ArtifactStore::collect_garbage_with`], but keeps interrupted fetches that may be resumed.
    ///
    /// # Errors
    /// As [`ArtifactStore::collect_garbage_with`].
    pub fn collect_garbage(
        &self,
        dry_run: bool,
        is_wanted: impl Fn(&ArtifactId) -> bool,
    ) -> Result<Garbage, ArtifactError> {
        self.collect_garbage_with(dry_run, false, is_wanted)
    }

    /// Removes the artifacts that do not stay, the begun ones that are going, and files that nothing names after that.
    pub(super) fn remove_garbage(
        &self,
        dry_run: bool,
        stays: impl Fn(&ArtifactId) -> bool,
        goes: impl Fn(&ArtifactId, &Begun) -> bool,
    ) -> Result<Garbage, ArtifactError> {
        let _collecting = self.begin_collecting()?;
        let mut named = BTreeSet::new();
        let mut collected = Garbage::default();
        for address in self.roots()? {
            if stays(&address) {
                named.extend(self.named_by(&address, self.artifact(&address)?.kind)?);
            } else {
                collected.artifacts.push(address);
            }
        }
        let (mut gone, mut ended) = (BTreeSet::new(), Vec::new());
        for (address, begun) in self.begun()? {
            if goes(&address, &begun) {
                gone.extend(self.begun_names(&address, begun.kind).unwrap_or_else(|_| vec![address]));
                ended.push(address);
            } else {
                named.extend(self.begun_names(&address, begun.kind)?);
            }
        }
        if !dry_run {
            collected.artifacts.iter().try_for_each(|address| self.remove_root(address))?;
            ended.extend(&collected.artifacts);
            files::sync_directory(&self.layout.roots())?;
        }
        self.remove_unreferenced(&named, &gone, dry_run, &mut collected)?;
        if !dry_run {
            // Last: while a file of an artifact may be here, it is known on whose behalf.
            ended.iter().try_for_each(|address| self.end_begun(address))?;
            self.sweep_hashes()?;
            self.measure()?;
        }
        Ok(collected)
    }

    /// Removes the blobs that nothing names, and the downloads of artifacts that are gone or that nobody has resumed.
    fn remove_unreferenced(
        &self,
        named: &BTreeSet<ArtifactId>,
        gone: &BTreeSet<ArtifactId>,
        dry_run: bool,
        collected: &mut Garbage,
    ) -> Result<(), ArtifactError> {
        let mut blobs = BTreeSet::new();
        each_file(&self.layout.blobs(), |entry| {
            let Some(address) = address_of(&entry).filter(|address| !named.contains(address)) else { return Ok(()) };
            blobs.insert(address);
            collected.freed_bytes = collected.freed_bytes.saturating_add(remove(&entry, dry_run)?);
            Ok(())
        })?;
        collected.blobs = blobs.len() as u64;
        let mut downloads = BTreeSet::new();
        each_file(&self.layout.partials(), |entry| {
            // The sound part of a damaged blob lies here; it stays if its artifact stays.
            let is_garbage =
                |address: &ArtifactId| !named.contains(address) && (gone.contains(address) || is_abandoned(&entry));
            let Some(address) = address_of(&entry).filter(is_garbage) else { return Ok(()) };
            downloads.insert(address);
            collected.freed_bytes = collected.freed_bytes.saturating_add(remove(&entry, dry_run)?);
            Ok(())
        })?;
        collected.downloads = downloads.len() as u64;
        if !dry_run {
            blobs.iter().try_for_each(|address| self.marks.clear(address))?;
        }
        Ok(())
    }

    /// The blobs of an artifact.
    fn named_by(&self, address: &ArtifactId, kind: ArtifactKind) -> Result<Vec<ArtifactId>, ArtifactError> {
        let mut named = vec![*address];
        if kind == ArtifactKind::Collection {
            named.extend(self.manifest(address)?.files().iter().map(|file| file.address));
        }
        Ok(named)
    }

    /// The blobs of a begun artifact, as far as they are known: before a collection's manifest is here, none of its
    /// files is.
    pub(super) fn begun_names(
        &self,
        address: &ArtifactId,
        kind: ArtifactKind,
    ) -> Result<Vec<ArtifactId>, ArtifactError> {
        match self.named_by(address, kind) {
            Err(ArtifactError::NotFound(_) | ArtifactError::NotACollection(_)) => Ok(vec![*address]),
            other => other,
        }
    }

    /// Every blob, in no particular order. One with an outboard or a reference is listed several times.
    pub(super) fn blobs(&self) -> Result<Vec<ArtifactId>, ArtifactError> {
        let mut blobs = Vec::new();
        each_file(&self.layout.blobs(), |entry| {
            blobs.extend(address_of(&entry));
            Ok(())
        })?;
        Ok(blobs)
    }

    fn begin_collecting(&self) -> Result<Collecting, ArtifactError> {
        let mut state = self.holds.state();
        if state.holds > 0 || state.collecting {
            return Err(ArtifactError::Held);
        }
        state.collecting = true;
        Ok(Collecting(Arc::clone(&self.holds)))
    }

    /// The addresses that have a root, readable or not.
    fn roots(&self) -> Result<Vec<ArtifactId>, ArtifactError> {
        let mut roots = Vec::new();
        each_file(&self.layout.roots(), |entry| {
            roots.extend(address_of(&entry));
            Ok(())
        })?;
        Ok(roots)
    }
}

impl Layout {
    pub(super) fn pins(&self) -> std::path::PathBuf {
        self.directory().join("pins")
    }

    fn pin(&self, address: &ArtifactId) -> std::path::PathBuf {
        self.pins().join(address.to_string())
    }
}

pub(super) fn each_file(
    directory: &Path,
    mut visit: impl FnMut(DirEntry) -> Result<(), ArtifactError>,
) -> Result<(), ArtifactError> {
    for entry in fs::read_dir(directory).map_err(at("list", directory))? {
        visit(entry.map_err(at("list", directory))?)?;
    }
    Ok(())
}

fn size_of_all(directory: &Path) -> Result<u64, ArtifactError> {
    let mut sum = 0u64;
    each_file(directory, |entry| {
        // A file that another thread has just renamed is counted under its new name, or the next time.
        sum = sum.saturating_add(entry.metadata().map_or(0, |metadata| metadata.len()));
        Ok(())
    })?;
    Ok(sum)
}

/// The address that a file name begins with.
fn address_of(entry: &DirEntry) -> Option<ArtifactId> {
    let name = entry.file_name();
    let name = name.to_str()?;
    name.split('.').next()?.parse().ok()
}

fn is_abandoned(entry: &DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age >= ABANDONED_AFTER))
}

/// Removes a file, unless this is a dry run. Returns the bytes it took.
fn remove(entry: &DirEntry, dry_run: bool) -> Result<u64, ArtifactError> {
    let path = entry.path();
    let size_bytes = match entry.metadata() {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(at("inspect", &path)(error)),
    };
    if !dry_run {
        files::remove_if_there(&path)?;
    }
    Ok(size_bytes)
}
