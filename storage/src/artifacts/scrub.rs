//! Scrubbing: reading everything that is stored, a little at a time, to find bit rot before somebody needs the bytes.
//!
//! A pass takes the blobs in the order of their addresses. A [`Place`] tells how far it has come, so it continues after
//! a restart. The kernel's cached pages of a piece are dropped before it is read, so that the disk is read and not
//! memory, and after it, so that memory is left to what is in demand.

use super::{
    ArtifactStore,
    error::ArtifactError,
    files::TemporaryFile,
    slice::{BlobReader, ByteRange},
};
use allod_protocol::ground::{codec, ids::ArtifactId};
use serde::{Deserialize, Serialize};
use std::fs;

/// Approximate bytes of one step.
const STEP_SIZE_BYTES: u64 = 1024 * 1024;
/// Minimum bytes that a blob counts: opening a file and finding it on disk costs as much as reading this many bytes.
const BLOB_COST_BYTES: u64 = 4 * 1024;

/// How far a pass has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the pass began, in seconds since 1970.
    pub began_s: u64,
    /// The current blob, and how many bytes of it are checked. `None` at the beginning of a pass.
    pub at: Option<(ArtifactId, u64)>,
    /// Whether the pass is finished.
    pub ended: bool,
}

/// A pass over all blobs.
#[derive(Debug)]
pub struct Scrub {
    /// The remaining blobs, the next one last.
    left: Vec<ArtifactId>,
    current: Option<(BlobReader, u64)>,
    place: Place,
}

/// The result of one step.
#[derive(Debug, Default)]
pub struct Step {
    /// Bytes checked. A small blob counts more than its size.
    pub checked_bytes: u64,
    /// A blob that could not be checked or that failed the check ([`ArtifactError::is_damage`]), and why.
    pub fault: Option<(ArtifactId, ArtifactError)>,
}

impl ArtifactStore {
    /// Starts a pass, or continues one.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn scrub(&self, place: Place) -> Result<Scrub, ArtifactError> {
        let mut left = self.blobs()?;
        left.sort_unstable_by(|one, two| two.cmp(one));
        left.dedup();
        if let Some((address, _)) = place.at {
            left.retain(|blob| *blob >= address);
        }
        Ok(Scrub { left, current: None, place })
    }

    /// How far the last pass had come when its place was last saved.
    pub fn scrub_place(&self) -> Option<Place> {
        codec::decode_trusted(&fs::read(self.layout.scrub()).ok()?).ok()
    }

    /// Saves the place of a pass. A crash may lose it: then some blobs are checked twice.
    ///
    /// # Errors
    /// The file system's error.
    pub fn keep_scrub_place(&self, place: &Place) -> Result<(), ArtifactError> {
        let mut record = TemporaryFile::create(&self.layout)?;
        record.append(&codec::encode(place))?;
        record.commit_to(&self.layout.scrub())
    }
}

impl Scrub {
    /// The current place.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Checks about one mebibyte, up to the first fault. At the end, [`Place::ended`] is set.
    pub fn step(&mut self, store: &ArtifactStore) -> Step {
        let mut step = Step::default();
        while step.checked_bytes < STEP_SIZE_BYTES && step.fault.is_none() {
            let Some((reader, from)) = self.current.take().or_else(|| self.next(store, &mut step)) else { break };
            let address = *reader.address();
            let end = from.saturating_add(STEP_SIZE_BYTES).min(reader.size_bytes());
            let range = ByteRange { start: from, end };
            step.checked_bytes = step.checked_bytes.saturating_add(range.size_bytes().max(BLOB_COST_BYTES));
            match reader.check_on_disk(range) {
                Ok(()) if end == reader.size_bytes() => {}
                Ok(()) => {
                    self.place.at = Some((address, end));
                    self.current = Some((reader, end));
                }
                Err(error) => step.fault = Some((address, error)),
            }
        }
        self.place.ended = self.left.is_empty() && self.current.is_none();
        step
    }

    /// The next blob, and the offset from which to check it. `None` at the end, or after a fault.
    fn next(&mut self, store: &ArtifactStore, step: &mut Step) -> Option<(BlobReader, u64)> {
        while let Some(address) = self.left.pop() {
            if store.marks.has(&address) {
                continue;
            }
            let from = self.place.at.and_then(|(at, from)| (at == address).then_some(from)).unwrap_or(0);
            self.place.at = Some((address, from));
            match BlobReader::open(&store.layout, &address) {
                // A place in a blob whose size has changed since is invalid.
                Ok(reader) => {
                    let from = if from < reader.size_bytes() { from } else { 0 };
                    return Some((reader, from));
                }
                // It was garbage-collected meanwhile.
                Err(ArtifactError::NotFound(_)) => {}
                Err(error) => {
                    step.fault = Some((address, error));
                    return None;
                }
            }
        }
        None
    }
}
