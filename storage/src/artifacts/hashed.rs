//! The hashes of large files, remembered so that publishing a directory again after a small change does not read the
//! other files again.
//!
//! A file is taken for the one that was hashed if it is the same inode, of the same size, and neither its bytes nor its
//! inode have changed since (`mtime`, and `ctime`, which nobody can set). A file that had changed within [`SETTLED`]
//! before it was hashed is not remembered: a later change could have the same times. A record is a hint. It is used
//! only while the bytes are here, whole; and those are checked whenever they are read, like everything in the store.

use super::{
    ArtifactStore,
    error::{ArtifactError, at},
    files::{self, Layout},
    slice::{self, ReferenceRecord},
};
use allod_protocol::ground::{
    codec,
    ids::{ArtifactId, ContentHash},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How long a file must have been unchanged before it is hashed for its hash to be remembered.
const SETTLED: Duration = Duration::from_secs(2);
/// Maximum size of a record, in bytes.
const RECORD_SIZE_BYTES: u64 = 1_024;

/// The identity and times of a file when it was hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified_s: i64,
    modified_ns: i64,
    changed_s: i64,
    changed_ns: i64,
}

impl Look {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        }
    }

    fn record(&self, layout: &Layout) -> PathBuf {
        layout.hashed().join(format!("{:x}-{:x}", self.device, self.inode))
    }

    /// Whether the file has been unchanged for [`SETTLED`].
    fn is_settled(&self) -> bool {
        let latest = u64::try_from(self.modified_s.max(self.changed_s)).unwrap_or(u64::MAX);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.as_secs() >= latest.saturating_add(SETTLED.as_secs())
    }
}

/// A file and the hashes of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    look: Look,
    address: ArtifactId,
    sha256: ContentHash,
}

/// The remembered hashes of one file, to be read or written.
pub(super) struct HashMemory<'a> {
    store: &'a ArtifactStore,
    metadata: &'a Metadata,
    look: Look,
    is_settled: bool,
}

impl<'a> HashMemory<'a> {
    /// For a file that has not been read yet.
    pub(super) fn new(store: &'a ArtifactStore, metadata: &'a Metadata) -> Self {
        let look = Look::of(metadata);
        Self { store, metadata, is_settled: look.is_settled(), look }
    }

    /// The hashes of the file, if they are known and its bytes are here: in the store itself, or, with `by_reference`,
    /// under this path.
    pub(super) fn recall(&self, path: &Path, by_reference: bool) -> Option<(ArtifactId, ContentHash)> {
        let record: Record = read(&self.look.record(&self.store.layout))?;
        let referred = || by_reference && self.store.refers_to(&record.address, path, self.metadata);
        let known = record.look == self.look && (self.store.has_copy(&record.address) || referred());
        known.then_some((record.address, record.sha256))
    }

    /// Remembers the hashes of the file. A failure to write them only makes a later import slower.
    pub(super) fn keep(self, address: ArtifactId, sha256: ContentHash) {
        if !self.is_settled {
            return;
        }
        let path = self.look.record(&self.store.layout);
        if let Err(error) = fs::write(&path, codec::encode(&Record { look: self.look, address, sha256 })) {
            tracing::debug!(path = %path.display(), %error, "cannot remember a file's hash");
        }
    }
}

impl ArtifactStore {
    fn refers_to(&self, address: &ArtifactId, path: &Path, metadata: &Metadata) -> bool {
        let Some(text) = path.to_str() else { return false };
        let record = slice::read_reference(&self.layout, address);
        self.has_blob(address) && record.is_ok_and(|record| record == ReferenceRecord::new(text.to_owned(), metadata))
    }

    /// Forgets files whose bytes are no longer here.
    pub(super) fn sweep_hashes(&self) -> Result<(), ArtifactError> {
        let directory = self.layout.hashed();
        for entry in fs::read_dir(&directory).map_err(at("list", &directory))? {
            let path = entry.map_err(at("list", &directory))?.path();
            if !read::<Record>(&path).is_some_and(|record| self.has_blob(&record.address)) {
                files::remove_if_there(&path)?;
            }
        }
        Ok(())
    }
}

/// Reads a record. `None` if it does not exist or is damaged.
fn read<T: Serialize + serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    if fs::metadata(path).ok()?.len() > RECORD_SIZE_BYTES {
        return None;
    }
    codec::decode(&fs::read(path).ok()?, RECORD_SIZE_BYTES as usize).ok()
}

impl Layout {
    pub(super) fn hashed(&self) -> PathBuf {
        self.directory().join("hashed")
    }
}
