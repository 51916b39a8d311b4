//! Bit rot: what is known to be damaged, and how it is mended.
//!
//! A blob that does not stand the check against its address is *marked*, in memory and by an empty file
//! `damaged/<address>`. A marked blob is not here: it is not read, the artifacts that name it are not whole
//! ([`ArtifactStore::has`]), and a fetch of them gets it again. The mark goes when the blob gets its place anew, or stands
//! the check after all.
//!
//! Whoever reads marks: a [`super::BlobReader`] that finds wrong bytes does so itself, whatever they were read for, and tells
//! whoever follows ([`ArtifactStore::on_damage`]).
//!
//! [`ArtifactStore::salvage`] comes before the fetch. It mends what can be mended alone (a hash tree, the record of a file
//! that was only touched), and leaves the sound groups of a blob as an interrupted download, so that only the others are
//! asked for. A file that has names outside the store is the user's: it is never written, and never moved; the store gets
//! a copy of its own instead.

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

/// What changes about damaged blobs.
#[derive(Debug)]
pub enum DamageNews<'a> {
    /// A blob does not stand the check, and was not marked before.
    Found(ArtifactId, &'a ArtifactError),
    /// A blob is whole again, or gone.
    Ended(ArtifactId),
}

type Follower = Box<dyn Fn(&DamageNews<'_>) + Send + Sync>;

/// The marks.
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

    /// As [`Marks::put`], by who has another error to report.
    pub(super) fn report(&self, address: &ArtifactId, reason: &ArtifactError) {
        if let Err(error) = self.put(address, reason) {
            tracing::error!(%address, %error, "the mark of a damaged file is not kept over a restart");
        }
    }

    fn tell(&self, news: &DamageNews<'_>) {
        if let Some(follower) = self.follower.get() {
            follower(news);
        }
    }

    /// The blob has its place anew.
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

/// What could be kept of a damaged blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salvaged {
    /// All of it: it is here again.
    Whole,
    /// Some of it: a fetch asks for the rest.
    Part,
    /// Nothing: a fetch asks for all of it.
    Nothing,
}

impl ArtifactStore {
    /// Marks a blob as damaged; gives whether it was not marked before. From now on it is not here.
    ///
    /// # Errors
    /// When the mark cannot be made to last. It holds in this process all the same.
    pub fn mark_damaged(&self, address: &ArtifactId, reason: &ArtifactError) -> Result<bool, ArtifactError> {
        self.marks.put(address, reason)
    }

    /// Tells of blobs that are found damaged, and of those that are whole again, on the thread that found it; it must not
    /// block. The first follower is the only one.
    pub fn on_damage(&self, follower: impl Fn(&DamageNews<'_>) + Send + Sync + 'static) {
        let _ = self.marks.follower.set(Box::new(follower));
    }

    /// Whether a blob is marked as damaged. A look into memory.
    pub fn is_damaged(&self, address: &ArtifactId) -> bool {
        self.marks.has(address)
    }

    /// The blobs that are marked as damaged.
    pub fn damaged_blobs(&self) -> Vec<ArtifactId> {
        self.marks.all()
    }

    /// The artifacts of which something is marked as damaged.
    ///
    /// # Errors
    /// As [`ArtifactStore::list`].
    pub fn damaged_artifacts(&self) -> Result<Vec<Artifact>, ArtifactError> {
        if self.marks.none() {
            return Ok(Vec::new());
        }
        Ok(self.list()?.into_iter().filter(|artifact| !self.is_sound(artifact)).collect())
    }

    /// Whether nothing of an artifact is marked as damaged.
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

    /// Keeps what is sound of a blob that is marked as damaged: see the head of this file. Reads all of it.
    ///
    /// # Errors
    /// [`ArtifactError::UnderWay`] while it is fetched; [`ArtifactError::Quota`] or [`ArtifactError::DiskFull`] when a
    /// copy of the user's file finds no room; or the file system's refusal.
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

    /// If the bytes are right, it was their hash tree or the record of a reference that was not: writes both anew.
    fn restore_tree(&self, address: &ArtifactId, source: &Source) -> Result<bool, ArtifactError> {
        let metadata = source.file.metadata().map_err(at("inspect", &source.path))?;
        let mut outboard = TemporaryFile::create(&self.layout)?;
        let mut nodes = BufWriter::with_capacity(64 * 1024, &mut outboard);
        let bytes = BufReader::with_capacity(BUFFER_SIZE_BYTES, &source.file);
        let found = slice::outboard_from(bytes, metadata.len(), &mut nodes);
        let flushed = nodes.flush();
        drop(nodes);
        flushed.map_err(at("write", outboard.path()))?;
        // What cannot be read is not right.
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

    /// Begins a download with the sound groups of a file that is not the store's own.
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

    /// Gives blobs their names, and takes their marks.
    pub(super) fn place(&self, blobs: Vec<(ArtifactId, files::Placement)>) -> Result<(), ArtifactError> {
        let (addresses, placements): (Vec<_>, Vec<_>) = blobs.into_iter().unzip();
        files::Placement::commit_all(placements)?;
        addresses.iter().try_for_each(|address| self.marks.clear(address))
    }
}

/// Slices of the store's own making prove themselves, or the store is at fault.
fn ours(error: super::ReceiveError) -> ArtifactError {
    match error {
        super::ReceiveError::Store(error) => error,
        super::ReceiveError::WrongBytes { address, offset_bytes } => {
            ArtifactError::Damaged { address, path: Path::new("the copy being made of it").to_owned(), offset_bytes }
        }
    }
}
