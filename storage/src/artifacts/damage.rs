//! Bit rot: which blobs are known to be damaged, and how they are repaired.
//!
//! A blob that fails the check against its address is *marked*, in memory and by an empty file `damaged/<address>`. A
//! marked blob counts as absent: it is not read, the artifacts that name it are not whole ([`ArtifactStore::has`]), and
//! fetching them gets it again. The mark is removed when the blob is stored again, or passes the check after all.
//!
//! Readers set marks: a [`super::BlobReader`] that finds wrong bytes marks the blob, whatever the read was for, and
//! notifies the follower ([`ArtifactStore::on_damage`]).
//!
//! [`ArtifactStore::salvage`] runs before the fetch. It repairs what it can without other peers (a hash tree, the
//! record of a file that was only touched), and leaves the sound groups of a blob as an interrupted download, so that
//! only the others are requested. A file with names outside the store belongs to the user: it is never written and
//! never moved; the store gets a copy of its own instead.

use super::{
    ArtifactStore, BUFFER_SIZE_BYTES, Started,
    error::{ArtifactError, at},
    files::{self, TemporaryFile},
    import::reference_to,
    partial,
    slice::{self, BlobReader, ByteRange, GROUP_SIZE_BYTES, Source},
};
use allod_protocol::{
    ground::ids::ArtifactId,
    rules::artifact::{Artifact, ArtifactKind},
};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{OnceLock, PoisonError, RwLock},
};

/// A change in which blobs are damaged.
#[derive(Debug)]
pub enum DamageNews<'a> {
    /// A blob failed the check, and was not marked before.
    Found(ArtifactId, &'a ArtifactError),
    /// A blob is whole again, or gone.
    Ended(ArtifactId),
}

type Follower = Box<dyn Fn(&DamageNews<'_>) + Send + Sync>;

/// The marks of damaged blobs.
pub(super) struct Marks {
    directory: PathBuf,
    all: RwLock<BTreeSet<ArtifactId>>,
    follower: OnceLock<Follower>,
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marks").field("directory", &self.directory).field("all", &self.all).finish_non_exhaustive()
    }
}

impl Marks {
    pub(super) fn open(directory: PathBuf) -> Result<Self, ArtifactError> {
        let mut all = BTreeSet::new();
        for entry in fs::read_dir(&directory).map_err(at("list", &directory))? {
            let name = entry.map_err(at("list", &directory))?.file_name();
            all.extend(name.to_str().and_then(|name| name.parse::<ArtifactId>().ok()));
        }
        Ok(Self { directory, all: RwLock::new(all), follower: OnceLock::new() })
    }

    pub(super) fn has(&self, address: &ArtifactId) -> bool {
        self.all.read().unwrap_or_else(PoisonError::into_inner).contains(address)
    }

    fn all(&self) -> Vec<ArtifactId> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn none(&self) -> bool {
        self.all.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn put(&self, address: &ArtifactId, reason: &ArtifactError) -> Result<bool, ArtifactError> {
        let is_new = self.all.write().unwrap_or_else(PoisonError::into_inner).insert(*address);
        if is_new {
            self.tell(&DamageNews::Found(*address, reason));
        }
        let path = self.directory.join(address.to_string());
        File::create(&path).map_err(at("create", &path))?;
        files::sync_directory(&self.directory)?;
        Ok(is_new)
    }

    /// As [`Marks::put`], for a caller that already has another error to return.
    pub(super) fn report(&self, address: &ArtifactId, reason: &ArtifactError) {
        if let Err(error) = self.put(address, reason) {
            tracing::error!(%address, %error, "the mark of a damaged file will not survive a restart");
        }
    }

    fn tell(&self, news: &DamageNews<'_>) {
        if let Some(follower) = self.follower.get() {
            follower(news);
        }
    }

    /// Removes the mark: the blob is stored again.
    pub(super) fn clear(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        if !self.has(address) {
            return Ok(());
        }
        files::remove_if_there(&self.directory.join(address.to_string()))?;
        if self.all.write().unwrap_or_else(PoisonError::into_inner).remove(address) {
            self.tell(&DamageNews::Ended(*address));
        }
        Ok(())
    }
}

/// How much of a damaged blob could be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salvaged {
    /// All of it: it is here again.
    Whole,
    /// Part of it: a fetch requests the rest.
    Part,
    /// Nothing: a fetch requests all of it.
    Nothing,
}

impl ArtifactStore {
    /// Marks a blob as damaged, so that it counts as absent. Returns whether it was not marked before.
    ///
    /// # Errors
    /// When the mark cannot be made durable. It still holds in this process.
    pub fn mark_damaged(&self, address: &ArtifactId, reason: &ArtifactError) -> Result<bool, ArtifactError> {
        self.marks.put(address, reason)
    }

    /// Sets the follower, which is notified of blobs found damaged and of those that are whole again. It runs on the
    /// thread that found the change and must not block. Only the first follower set is kept.
    pub fn on_damage(&self, follower: impl Fn(&DamageNews<'_>) + Send + Sync + 'static) {
        let _ = self.marks.follower.set(Box::new(follower));
    }

    /// Whether a blob is marked as damaged. Reads memory only.
    pub fn is_damaged(&self, address: &ArtifactId) -> bool {
        self.marks.has(address)
    }

    /// The blobs that are marked as damaged.
    pub fn damaged_blobs(&self) -> Vec<ArtifactId> {
        self.marks.all()
    }

    /// The artifacts of which some blob is marked as damaged.
    ///
    /// # Errors
    /// As [`ArtifactStore::list`].
    pub fn damaged_artifacts(&self) -> Result<Vec<Artifact>, ArtifactError> {
        if self.marks.none() {
            return Ok(Vec::new());
        }
        Ok(self.list()?.into_iter().filter(|artifact| !self.is_sound(artifact)).collect())
    }

    /// Whether no blob of an artifact is marked as damaged.
    pub(super) fn is_sound(&self, artifact: &Artifact) -> bool {
        if self.marks.none() {
            return true;
        }
        if self.marks.has(&artifact.address) {
            return false;
        }
        match artifact.kind {
            ArtifactKind::File => true,
            ArtifactKind::Collection => self
                .manifest(&artifact.address)
                .is_ok_and(|manifest| !manifest.files().iter().any(|file| self.marks.has(&file.address))),
        }
    }

    /// Keeps the sound part of a blob that is marked as damaged: see the top of this file. Reads the whole blob.
    ///
    /// # Errors
    /// [`ArtifactError::UnderWay`] while the blob is being fetched; [`ArtifactError::Quota`] or
    /// [`ArtifactError::DiskFull`] when there is no room for a copy of the user's file; or the file system's error.
    pub fn salvage(&self, address: &ArtifactId) -> Result<Salvaged, ArtifactError> {
        if !self.marks.has(address) {
            return Ok(Salvaged::Whole);
        }
        if self.partials()?.contains(address) {
            return Ok(Salvaged::Part);
        }
        let Some(source) = Source::find(&self.layout, address)? else { return Ok(Salvaged::Nothing) };
        if self.restore_tree(address, &source)? {
            return Ok(Salvaged::Whole);
        }
        let Ok(reader) = BlobReader::of_source(&self.layout, address, &source) else { return Ok(Salvaged::Nothing) };
        let tail = ByteRange::tail(reader.size_bytes(), 0);
        let mut proof = Vec::new();
        if reader.size_bytes() <= GROUP_SIZE_BYTES || reader.encode(tail, &mut proof).is_err() {
            return Ok(Salvaged::Nothing);
        }
        if source.is_ours {
            partial::take_back(self, address, reader.size_bytes())?;
        } else {
            self.copy_sound(&reader, tail, &proof)?;
        }
        Ok(Salvaged::Part)
    }

    /// If the bytes are right, and only their hash tree or the record of a reference was wrong, writes both again.
    fn restore_tree(&self, address: &ArtifactId, source: &Source) -> Result<bool, ArtifactError> {
        let metadata = source.file.metadata().map_err(at("inspect", &source.path))?;
        let mut outboard = TemporaryFile::create(&self.layout)?;
        let mut nodes = BufWriter::with_capacity(64 * 1024, &mut outboard);
        let bytes = BufReader::with_capacity(BUFFER_SIZE_BYTES, &source.file);
        let found = slice::outboard_from(bytes, metadata.len(), &mut nodes);
        let flushed = nodes.flush();
        drop(nodes);
        flushed.map_err(at("write", outboard.path()))?;
        // Bytes that cannot be read are not right.
        if !found.is_ok_and(|found| found == *address) {
            return Ok(false);
        }
        let outboard = (metadata.len() > GROUP_SIZE_BYTES).then_some(outboard);
        if source.is_reference {
            let placement = reference_to(self, address, &source.path, &metadata, outboard)?;
            self.place(vec![(*address, placement)])?;
        } else {
            if let Some(outboard) = outboard {
                outboard.commit_to(&self.layout.outboard(address))?;
                files::sync_directory(&self.layout.blobs())?;
            }
            self.marks.clear(address)?;
        }
        Ok(true)
    }

    /// Begins a download with the sound groups of a file that does not belong to the store.
    fn copy_sound(&self, reader: &BlobReader, tail: ByteRange, proof: &[u8]) -> Result<(), ArtifactError> {
        let started = self.start(reader.address(), reader.size_bytes(), tail, proof).map_err(ours)?;
        let Started::Partial(partial) = started else { return Ok(()) };
        let mut slice = Vec::new();
        let mut copy = |range: ByteRange| {
            slice.clear();
            if reader.encode(range, &mut slice).is_err() {
                return Ok(false);
            }
            partial.receive(range, &slice).map(|_| true).map_err(ours)
        };
        for run in partial.missing() {
            for piece in run.pieces(BUFFER_SIZE_BYTES as u64) {
                if !copy(piece)? {
                    piece.pieces(GROUP_SIZE_BYTES).try_for_each(|group| copy(group).map(drop))?;
                }
            }
        }
        Ok(())
    }

    /// Gives blobs their names, and removes their marks.
    pub(super) fn place(&self, blobs: Vec<(ArtifactId, files::Placement)>) -> Result<(), ArtifactError> {
        let (addresses, placements): (Vec<_>, Vec<_>) = blobs.into_iter().unzip();
        files::Placement::commit_all(placements)?;
        addresses.iter().try_for_each(|address| self.marks.clear(address))
    }
}

/// A slice that the store made itself is valid, or the store is at fault.
fn ours(error: super::ReceiveError) -> ArtifactError {
    match error {
        super::ReceiveError::Store(error) => error,
        super::ReceiveError::WrongBytes { address, offset_bytes } => {
            ArtifactError::Damaged { address, path: Path::new("the copy being made of it").to_owned(), offset_bytes }
        }
    }
}
