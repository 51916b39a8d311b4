//! What can go wrong with bytes on disk. Each error names the address or the path, and what to do.

use allod_protocol::{
    ground::{codec::DecodeError, ids::ArtifactId, limits},
    rules::artifact::ManifestError,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why an operation on the artifact store failed.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Nothing is stored under the address.
    #[error("{0} is not in the artifact store; publish or fetch it first")]
    NotFound(ArtifactId),
    /// The address is not that of a manifest.
    #[error("{0} is not a collection: its bytes are not a manifest; treat it as a file")]
    NotACollection(ArtifactId),
    /// Another process has the store open.
    #[error("the artifact store {} is in use by another process; stop that process, or ask it to do the work", .0.display())]
    InUse(PathBuf),
    /// Another download of the same address is in progress.
    #[error("{0} is already being fetched; wait for that fetch to end")]
    UnderWay(ArtifactId),
    /// The disk is full, or a file system quota is used up.
    #[error(
        "no space left to write {}; free some space and try again (nothing unfinished was left under its final name)",
        .0.display()
    )]
    DiskFull(PathBuf),
    /// The remaining space is reserved for the ledger.
    #[error(
        "{asked_bytes} bytes more on the disk of {} ({free_bytes} are free) would not leave the reserve of {reserve} for \
         the ledger: a peer that cannot write its ledger stops; free some space and try again",
        path.display(), reserve = super::KEPT_FREE_BYTES
    )]
    Reserve {
        /// A directory on that disk.
        path: PathBuf,
        /// Bytes to be added.
        asked_bytes: u64,
        /// Free bytes.
        free_bytes: u64,
    },
    /// The store would exceed its quota.
    #[error(
        "{asked_bytes} bytes more than the {used_bytes} in the artifact store exceed its quota of {quota_bytes}; free \
         some (allod artifacts gc), unpin what need not stay, or raise artifact_quota"
    )]
    Quota {
        /// The quota, in bytes.
        quota_bytes: u64,
        /// Bytes on disk now.
        used_bytes: u64,
        /// Bytes to be added.
        asked_bytes: u64,
    },
    /// Garbage cannot be collected now.
    #[error("artifacts are being imported, fetched, exported or garbage-collected; try again when that has ended")]
    Held,
    /// The client that asked for an import has disconnected.
    #[error("the import was abandoned because the client that asked for it disconnected; publish again")]
    GivenUp,
    /// Any other error of the file system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation that was tried.
        action: &'static str,
        /// The file it was tried on.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The data or outboard of a stored blob do not match its address.
    #[error(
        "{address} is damaged near byte {offset_bytes} of {}: the bytes or their hash tree are not those of the address; \
         check the disk, and that no program wrote into a file published by hard link; `allod artifacts verify --repair` \
         fetches the damaged parts again from other peers",
        path.display()
    )]
    Damaged {
        /// The blob.
        address: ArtifactId,
        /// Its file.
        path: PathBuf,
        /// The offset at which the first wrong group starts, in bytes.
        offset_bytes: u64,
    },
    /// The blob is known to be damaged and is not read.
    #[error(
        "{0} was found damaged on this disk and is not served; `allod artifacts verify --repair` fetches the damaged parts again \
         from other peers, and the node does so by itself if scrubbing is on"
    )]
    Marked(ArtifactId),
    /// A file imported by reference has changed.
    #[error(
        "the file {}, imported by reference as {address}, {how}; put the old file back, or publish it again (by copy, to \
         be safe from changes)",
        path.display()
    )]
    ReferenceChanged {
        /// The blob.
        address: ArtifactId,
        /// The path it had.
        path: PathBuf,
        /// What has changed.
        how: Reference,
    },
    /// A manifest states a size or a SHA-256 that is not the file's.
    #[error(
        "the collection's manifest is wrong about {path} ({address}): its size or SHA-256 does not match; do not use the collection"
    )]
    ManifestWrong {
        /// The file's address.
        address: ArtifactId,
        /// Its path in the collection.
        path: String,
    },
    /// A stored record cannot be read.
    #[error("the record {} is damaged: {source}; remove it and publish or fetch the artifact again", path.display())]
    Record {
        /// The record's file.
        path: PathBuf,
        /// Why it cannot be read.
        source: Box<DecodeError>,
    },
    /// The directory cannot become a collection.
    #[error("{} cannot become a collection: {source}", path.display())]
    Collection {
        /// The directory.
        path: PathBuf,
        /// The rule it breaks.
        source: Box<ManifestError>,
    },
    /// The file cannot get a second name in the store.
    #[error(
        "{} cannot be linked into the store at {}: {source}; a hard link needs both on one file system, and a file that \
         the node's user owns or may write: publish it by copy or by reference",
        path.display(), store.display()
    )]
    Link {
        /// The file.
        path: PathBuf,
        /// The store's directory.
        store: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A model file is not of the format that its extension says.
    #[error("{} is damaged or incomplete: {reason}; write it again, or rename it if it is not such a file", path.display())]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// The rule of its format that it breaks.
        reason: String,
    },
    /// A pattern cannot be read.
    #[error("a pattern cannot be read: {0}; write it as in a .gitignore")]
    Pattern(String),
    /// No file of the collection was selected.
    #[error("no file of the collection {0} matches; `allod artifacts show` lists its files")]
    NothingSelected(ArtifactId),
    /// The directory has more files than a collection holds, or paths so long that the manifest would be too large.
    #[error(
        "{} has too many files for a collection ({max} files and a manifest of {bytes} bytes at most); pack some of them into an archive",
        .0.display(), max = limits::COLLECTION_FILES, bytes = limits::MANIFEST_SIZE_BYTES
    )]
    TooManyFiles(PathBuf),
    /// A symbolic link, where bytes are imported or exported.
    #[error("{} is a symbolic link; replace it by the file it points to, or remove it", .0.display())]
    Symlink(PathBuf),
    /// The node's keys, ledger or store, or a path within its data directory.
    #[error(
        "{} belongs to the node, or lies in its data directory, which is never published or written to; choose another path",
        .0.display()
    )]
    Own(PathBuf),
    /// The path lies below none of the directories that the operator allows.
    #[error(
        "{} is not below {}, to which this node's `file_roots` keeps it; choose a path there, or let the operator change \
         the setting",
        path.display(),
        roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(" or ")
    )]
    OutsideRoots {
        /// The path.
        path: PathBuf,
        /// The directories, with every link followed.
        roots: Vec<PathBuf>,
    },
    /// The path is neither a file nor a directory.
    #[error("{} is neither a file nor a directory; remove it, or publish another directory", .0.display())]
    Special(PathBuf),
    /// The name is not UTF-8.
    #[error("the name of {} is not UTF-8; rename it", .0.display())]
    NotUtf8(PathBuf),
    /// The file is larger than an artifact may be.
    #[error("{} is larger than the maximum of {max} bytes", .0.display(), max = limits::ARTIFACT_SIZE_BYTES)]
    TooLarge(PathBuf),
    /// The file changed during the import.
    #[error("{} changed or disappeared while it was being read; wait until nothing changes it and try again", .0.display())]
    SourceChanged(PathBuf),
    /// The target of an export exists with other content.
    #[error("{} already exists with other content; choose another target, or ask to overwrite", .0.display())]
    TargetExists(PathBuf),
    /// The target of an export is of the wrong kind.
    #[error("cannot export to {}: {expected}", path.display())]
    Target {
        /// The target.
        path: PathBuf,
        /// What it must be.
        expected: &'static str,
    },
    /// No slice can have this range.
    #[error("bytes {start}..{end} are not a range of {address} ({size_bytes} bytes) aligned to 16 KiB groups")]
    Range {
        /// The blob.
        address: ArtifactId,
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
        /// The blob's size, in bytes.
        size_bytes: u64,
    },
    /// A download was finished before all of it had arrived.
    #[error("{address} lacks {missing_bytes} bytes; fetch them before finishing")]
    Incomplete {
        /// The blob.
        address: ArtifactId,
        /// Bytes not verified yet.
        missing_bytes: u64,
    },
}

impl ArtifactError {
    /// Whether the bytes on disk do not match the address, or the disk cannot read them.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
            other => other.damaged().is_some(),
        }
    }

    /// The blob whose bytes do not match its address, if that is the error.
    pub const fn damaged(&self) -> Option<ArtifactId> {
        match self {
            Self::Damaged { address, .. } | Self::ReferenceChanged { address, .. } | Self::Marked(address) => {
                Some(*address)
            }
            _ => None,
        }
    }
}

/// How a file imported by reference differs from what was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// It cannot be opened.
    Gone,
    /// Its size or modification time has changed.
    Changed,
    /// Its bytes hash to another address.
    Different,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gone => "cannot be opened: it was moved or removed",
            Self::Changed => "has changed since",
            Self::Different => "no longer has the same content",
        })
    }
}

/// Why a received slice was rejected.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The bytes do not match the address: the sender is at fault.
    #[error("wrong bytes for {address} near byte {offset_bytes}: they do not hash to the address")]
    WrongBytes {
        /// The blob asked for.
        address: ArtifactId,
        /// The offset at which the first wrong group or hash pair starts, in bytes.
        offset_bytes: u64,
    },
    /// This machine is at fault.
    #[error(transparent)]
    Store(#[from] ArtifactError),
}

/// Adds the operation and the file to an I/O error, and distinguishes a full disk from other errors.
pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ArtifactError::DiskFull(path.to_owned()),
        _ => ArtifactError::Io { action, path: path.to_owned(), source },
    }
}
