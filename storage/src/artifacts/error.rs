//! What can go wrong with bytes on disk, each with the address or the path, and what to do.

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
    /// Another download of the same address is under way.
    #[error("{0} is being fetched already; wait for that fetch to end")]
    UnderWay(ArtifactId),
    /// No space left, or a quota used up.
    #[error(
        "no space left to write {}; free some space and try again (nothing unfinished was left under its final name)",
        .0.display()
    )]
    DiskFull(PathBuf),
    /// The ledger needs the room.
    #[error(
        "{asked_bytes} bytes more on the disk of {} ({free_bytes} are free) would not leave the reserve of {reserve}, which is \
         the ledger's: a peer that cannot write its ledger stops; free some space and try again",
        path.display(), reserve = super::KEPT_FREE_BYTES
    )]
    Reserve {
        /// A directory on the disk.
        path: PathBuf,
        /// Bytes to be added.
        asked_bytes: u64,
        /// Bytes that are free.
        free_bytes: u64,
    },
    /// The store may not grow so far.
    #[error(
        "{asked_bytes} bytes more than the {used_bytes} in the artifact store are beyond its quota of {quota_bytes}; free \
         some (allod artifacts gc), unpin what need not stay, or raise artifact_quota"
    )]
    Quota {
        /// The quota.
        quota_bytes: u64,
        /// Bytes on disk now.
        used_bytes: u64,
        /// Bytes to be added.
        asked_bytes: u64,
    },
    /// The store cannot be collected now.
    #[error("artifacts are being imported, fetched, written out or collected; try again when that has ended")]
    Held,
    /// Whoever asked for an import has gone.
    #[error("the import was given up, as whoever asked for it has gone; publish again")]
    GivenUp,
    /// Any other refusal of the file system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The data or the outboard of a stored blob do not hash to its address.
    #[error(
        "{address} is damaged near byte {offset_bytes} of {}: the bytes or their hash tree are not those of the address; \
         check the disk, and that no program wrote into a file published by hard link; `allod artifacts verify --repair` gets \
         what is wrong again from other peers",
        path.display()
    )]
    Damaged {
        /// The blob.
        address: ArtifactId,
        /// Its file.
        path: PathBuf,
        /// Where the first wrong group starts.
        offset_bytes: u64,
    },
    /// What is known to be damaged is not read.
    #[error(
        "{0} was found damaged on this disk and is not served; `allod artifacts verify --repair` gets what is wrong again from \
         other peers, and so does the node by itself as long as it scrubs"
    )]
    Marked(ArtifactId),
    /// A file imported by reference is not what it was.
    #[error(
        "the file {} that holds {address} {how} since it was imported by reference; put the old file back, or publish \
         it again (by copy, to be safe from changes)",
        path.display()
    )]
    ReferenceChanged {
        /// The blob.
        address: ArtifactId,
        /// Where it was.
        path: PathBuf,
        /// What is different.
        how: Reference,
    },
    /// A manifest states a size or a SHA-256 that is not the file's.
    #[error(
        "the collection's manifest is wrong about {path} ({address}): its size or SHA-256 is another; do not use the collection"
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
        /// Why.
        source: Box<DecodeError>,
    },
    /// A directory that does not make a collection.
    #[error("{} cannot become a collection: {source}", path.display())]
    Collection {
        /// The directory.
        path: PathBuf,
        /// Which rule it breaks.
        source: Box<ManifestError>,
    },
    /// A file that cannot have a second name in the store.
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
        /// Why not.
        source: io::Error,
    },
    /// A model file that is not what the end of its name says.
    #[error("{} is damaged or incomplete: {reason}; write it again, or give it another name if it is no such file", path.display())]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// Which rule of its format it breaks.
        reason: String,
    },
    /// A pattern that cannot be read.
    #[error("a pattern cannot be read: {0}; write it as in a .gitignore")]
    Pattern(String),
    /// No file of a collection is asked for.
    #[error("no file of the collection {0} matches; `allod artifacts show` lists its files")]
    NothingSelected(ArtifactId),
    /// More files in a directory than a collection holds, or paths so long that the manifest is too large.
    #[error(
        "{} has too many files for a collection ({max} files and a manifest of {bytes} bytes at most); pack some of them into an archive",
        .0.display(), max = limits::COLLECTION_FILES, bytes = limits::MANIFEST_SIZE_BYTES
    )]
    TooManyFiles(PathBuf),
    /// A symbolic link where bytes are imported or exported.
    #[error("{} is a symbolic link; replace it by the file it points to, or remove it", .0.display())]
    Symlink(PathBuf),
    /// The node's keys, ledger or store, or a place among them.
    #[error(
        "{} is the node's own, or lies in its data directory, which is neither published nor written to; choose another path",
        .0.display()
    )]
    Own(PathBuf),
    /// Neither a file nor a directory.
    #[error("{} is neither a file nor a directory; remove it, or publish another directory", .0.display())]
    Special(PathBuf),
    /// A name that is not UTF-8.
    #[error("the name of {} is not UTF-8; rename it", .0.display())]
    NotUtf8(PathBuf),
    /// Larger than an artifact may be.
    #[error("{} is larger than the {max} bytes that a file may have", .0.display(), max = limits::ARTIFACT_SIZE_BYTES)]
    TooLarge(PathBuf),
    /// The file changed while it was imported.
    #[error("{} changed or went while it was being read; wait until nothing touches it and try again", .0.display())]
    SourceChanged(PathBuf),
    /// The target of an export exists and is different.
    #[error("{} exists with other content; choose another target, or ask to overwrite", .0.display())]
    TargetExists(PathBuf),
    /// The target of an export is of the wrong kind.
    #[error("cannot export to {}: {expected}", path.display())]
    Target {
        /// The target.
        path: PathBuf,
        /// What it must be.
        expected: &'static str,
    },
    /// A range that no slice can have.
    #[error("bytes {start}..{end} are not a range of {address} ({size_bytes} bytes) on the borders of 16 KiB groups")]
    Range {
        /// The blob.
        address: ArtifactId,
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
        /// The blob's size.
        size_bytes: u64,
    },
    /// A download that was finished before all of it was there.
    #[error("{address} lacks {missing_bytes} bytes; fetch them before finishing")]
    Incomplete {
        /// The blob.
        address: ArtifactId,
        /// Bytes not verified yet.
        missing_bytes: u64,
    },
}

impl ArtifactError {
    /// Whether the bytes on the disk are not those of the address, or the disk cannot give them.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
            other => other.damaged().is_some(),
        }
    }

    /// The blob whose bytes are not those of its address, if that is what is wrong.
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
    /// Its size or time of change is another.
    Changed,
    /// Its bytes hash to something else.
    Different,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gone => "cannot be opened: it was moved or removed",
            Self::Changed => "changed",
            Self::Different => "has other bytes",
        })
    }
}

/// Why a received slice was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The bytes do not prove themselves against the address: whoever sent them is at fault.
    #[error("wrong bytes for {address} near byte {offset_bytes}: they do not hash to the address")]
    WrongBytes {
        /// The blob asked for.
        address: ArtifactId,
        /// Where the first wrong group, or hash pair, starts.
        offset_bytes: u64,
    },
    /// This machine is at fault.
    #[error(transparent)]
    Store(#[from] ArtifactError),
}

/// Names the action and the file of an I/O error, and tells a full disk from the rest.
pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ArtifactError::DiskFull(path.to_owned()),
        _ => ArtifactError::Io { action, path: path.to_owned(), source },
    }
}
