//! What stays in the store: pins, the quota, and the collection of what nobody needs.
//!
//! A *pin* is an empty file `pins/<address>`: the operator's word that the artifact stays. [`ArtifactStore::collect`]
//! removes every artifact that is neither pinned nor wanted by its caller, the blobs that nobody names any more, and
//! downloads that nobody took up for [`ABANDONED_AFTER`]. Roots go first and blobs after them, so that a crash in
//! between leaves blobs to be removed next time, never an artifact with bytes missing.
//!
//! Whoever adds bytes relies on blobs that no root names yet, and whoever writes an artifact out on its root. So an import,
//! and a fetch until its copy is written, takes a [`Hold`], and a collection waits for none: it is refused while there are
//! holds, and new ones wait for its end.

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

/// How long a download may lie before it is collected.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Bytes of an inner node of a hash tree: two hashes.
pub(super) const PAIR_SIZE_BYTES: u64 = 64;

/// What a collection removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Artifacts, by address.
    pub artifacts: Vec<ArtifactId>,
    /// Blobs that no remaining artifact names, those of the artifacts included.
    pub blobs: u64,
    /// Downloads given up.
    pub downloads: u64,
    /// Bytes on disk that this frees.
    pub freed_bytes: u64,
}

#[derive(Debug, Default)]
struct Holders {
    holds: usize,
    collecting: bool,
}

/// Who adds to the store, and whether it is being collected.
#[derive(Debug, Default)]
pub(super) struct Holds {
    state: Mutex<Holders>,
    ended: Condvar,
}

/// Keeps the store from being collected until it is dropped.
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

/// Lets holds be taken again when a collection ends, however it ends.
struct Collecting(Arc<Holds>);

impl Drop for Collecting {
    fn drop(&mut self) {
        self.0.state().collecting = false;
        self.0.ended.notify_all();
    }
}

impl ArtifactStore {
    /// Keeps what is there, and what is added meanwhile, from being collected. Waits for a collection under way.
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

    /// Pins an artifact that is here whole: no collection removes it.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], or the file system's refusal.
    pub fn pin(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        // Held, so that it cannot be collected between the look and the pin.
        let _hold = self.hold();
        self.artifact(address)?;
        let path = self.layout.pin(address);
        File::create(&path).map_err(at("create", &path))?;
        files::sync_directory(&self.layout.pins())
    }

    /// Takes a pin back; gives whether there was one.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn unpin(&self, address: &ArtifactId) -> Result<bool, ArtifactError> {
        let was_pinned = self.is_pinned(address);
        files::remove_if_there(&self.layout.pin(address))?;
        Ok(was_pinned)
    }

    /// Bytes on disk that the store takes, what lies elsewhere by reference not included.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Sets how many bytes on disk the store may take; `None` for as many as there are.
    #[must_use]
    pub fn with_quota(mut self, quota_bytes: Option<u64>) -> Self {
        self.quota_bytes = quota_bytes;
        self
    }

    /// How many bytes on disk the store may take.
    pub const fn quota_bytes(&self) -> Option<u64> {
        self.quota_bytes
    }

    /// That so many more bytes stay within the quota.
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

    /// Counts a blob that is about to be written, with its outboard, and gives what it counted: [`ArtifactStore::release`]
    /// takes it back. A download that was begun stays counted.
    pub(super) fn claim(&self, size_bytes: u64) -> Result<u64, ArtifactError> {
        let pairs = size_bytes.div_ceil(GROUP_SIZE_BYTES).saturating_sub(1);
        let asked_bytes = size_bytes.saturating_add(pairs.saturating_mul(PAIR_SIZE_BYTES));
        let quota_bytes = self.quota_bytes.unwrap_or(u64::MAX);
        let fits = |used_bytes: u64| used_bytes.checked_add(asked_bytes).filter(|sum| *sum <= quota_bytes);
        let claimed = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        let refused = |used_bytes| ArtifactError::Quota { quota_bytes, used_bytes, asked_bytes };
        claimed.map(|_| asked_bytes).map_err(refused)
    }

    /// Counts no more what was claimed and not written.
    pub(super) fn release(&self, claimed_bytes: u64) {
        let less = |used_bytes: u64| Some(used_bytes.saturating_sub(claimed_bytes));
        let _ = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Counts anew what the store takes.
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

    /// Removes what is neither pinned, nor wanted, nor waits for a publish, and what was fetched in part; with `try_out`,
    /// only says what would go. Interrupted fetches stay for [`ABANDONED_AFTER`], unless `downloads` go too.
    ///
    /// # Errors
    /// [`ArtifactError::Held`] while something is imported, fetched or written out; a damaged record of an artifact that
    /// stays, as what it names could not be told from what nobody needs; or the file system's refusal.
    pub fn collect_with(
        &self,
        (try_out, downloads): (bool, bool),
        is_wanted: impl Fn(&ArtifactId) -> bool,
    ) -> Result<Collected, ArtifactError> {
        let stays = |address: &ArtifactId| {
            self.is_pinned(address)
                || is_wanted(address)
                || self.awaited(address).is_ok_and(|awaited| awaited.is_some())
        };
        self.remove_needless(try_out, stays, |address, begun| {
            downloads || begun.fate != Fate::Arrives || self.is_begun_long_ago(address)
        })
    }

    /// As [`ArtifactStore::collect_with`], without the interrupted fetches that somebody may take up.
    ///
    /// # Errors
    /// As there.
    pub fn collect(&self, try_out: bool, is_wanted: impl Fn(&ArtifactId) -> bool) -> Result<Collected, ArtifactError> {
        self.collect_with((try_out, false), is_wanted)
    }

    /// Removes the artifacts that do not stay, what is begun and goes, and files that nobody names then.
    pub(super) fn remove_needless(
        &self,
        try_out: bool,
        stays: impl Fn(&ArtifactId) -> bool,
        goes: impl Fn(&ArtifactId, &Begun) -> bool,
    ) -> Result<Collected, ArtifactError> {
        let _collecting = self.begin_collecting()?;
        let mut named = BTreeSet::new();
        let mut collected = Collected::default();
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
        if !try_out {
            collected.artifacts.iter().try_for_each(|address| self.remove_root(address))?;
            ended.extend(&collected.artifacts);
            files::sync_directory(&self.layout.roots())?;
        }
        self.remove_unnamed(&named, &gone, try_out, &mut collected)?;
        if !try_out {
            // Last: as long as a file of it may be here, it is known whose it is.
            ended.iter().try_for_each(|address| self.end_begun(address))?;
            self.sweep_hashes()?;
            self.measure()?;
        }
        Ok(collected)
    }

    /// Removes the blobs that nobody names, and the downloads of what is gone or nobody took up.
    fn remove_unnamed(
        &self,
        named: &BTreeSet<ArtifactId>,
        gone: &BTreeSet<ArtifactId>,
        try_out: bool,
        collected: &mut Collected,
    ) -> Result<(), ArtifactError> {
        let mut blobs = BTreeSet::new();
        each_file(&self.layout.blobs(), |entry| {
            let Some(address) = address_of(&entry).filter(|address| !named.contains(address)) else { return Ok(()) };
            blobs.insert(address);
            collected.freed_bytes = collected.freed_bytes.saturating_add(remove(&entry, try_out)?);
            Ok(())
        })?;
        collected.blobs = blobs.len() as u64;
        let mut downloads = BTreeSet::new();
        each_file(&self.layout.partials(), |entry| {
            // Of what stays, and was damaged, the sound part lies here.
            let is_needless =
                |address: &ArtifactId| !named.contains(address) && (gone.contains(address) || is_abandoned(&entry));
            let Some(address) = address_of(&entry).filter(is_needless) else { return Ok(()) };
            downloads.insert(address);
            collected.freed_bytes = collected.freed_bytes.saturating_add(remove(&entry, try_out)?);
            Ok(())
        })?;
        collected.downloads = downloads.len() as u64;
        if !try_out {
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

    /// As far as they are known: before its manifest is here, nothing else of a collection is.
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

    /// Every blob, in no order; one that has its outboard or a reference beside it several times.
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
        // A file that another thread just renamed is counted under its new name, or the next time.
        sum = sum.saturating_add(entry.metadata().map_or(0, |metadata| metadata.len()));
        Ok(())
    })?;
    Ok(sum)
}

/// The address that a file's name begins with.
fn address_of(entry: &DirEntry) -> Option<ArtifactId> {
    let name = entry.file_name();
    let name = name.to_str()?;
    name.split('.').next()?.parse().ok()
}

fn is_abandoned(entry: &DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age >= ABANDONED_AFTER))
}

/// Removes a file, unless it is only tried out; gives the bytes that it took.
fn remove(entry: &DirEntry, try_out: bool) -> Result<u64, ArtifactError> {
    let path = entry.path();
    let size_bytes = match entry.metadata() {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(at("inspect", &path)(error)),
    };
    if !try_out {
        files::remove_if_there(&path)?;
    }
    Ok(size_bytes)
}
