//! On whose behalf every byte is here: records of artifacts on their way in or out, and of what a publish brought that
//! the ledger has not answered yet.
//!
//! An artifact is *begun* (`begun/<address>`) from before its first byte is fetched until it has its root, and again
//! from before its root is removed until its last file is gone. So, whatever is interrupted, every blob is named by a
//! root or by something begun, and the store can always tell on whose behalf it is here.
//!
//! What a publish brings is *awaited* (`awaited/<address>`) from before it gets its root until the ledger has answered;
//! then it is pinned or released. The record lives as long as the publish that made it.
//!
//! [`ArtifactStore::tidy`] removes what nothing names any more, and what nobody has resumed for
//! [`super::ABANDONED_AFTER`]. It leaves everything else alone; `garbage_collection` collects on the operator's
//! request.

use super::{
    ArtifactStore, Garbage,
    error::{ArtifactError, at},
    files::{self, Layout, TemporaryFile},
    garbage_collection::each_file,
};
use allod_protocol::{
    ground::{
        codec,
        ids::{ArtifactId, ModelId, Timestamp},
    },
    rules::artifact::ArtifactKind,
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What happens to an artifact that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It is being fetched, or was and will be again.
    Arrives,
    /// Only some of its files were wanted, and they are here.
    InPart,
    /// It is being removed.
    Goes,
}

/// An artifact that is not whole, but of which files may be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Whether it is a file or a collection.
    pub kind: ArtifactKind,
    /// What happens to it.
    pub fate: Fate,
}

/// A publish that the ledger has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The model of which the artifact is to be a version.
    pub model: ModelId,
    /// The block time after which nobody waits for the answer any more.
    pub until: Timestamp,
    /// Whether the publish brought the artifact. If not, it was here whole before.
    pub brought: bool,
}

impl ArtifactStore {
    /// Records that an artifact is being fetched, before its first byte arrives.
    ///
    /// # Errors
    /// The file system's error.
    pub fn begin(&self, address: &ArtifactId, kind: ArtifactKind) -> Result<(), ArtifactError> {
        self.set_begun(address, Begun { kind, fate: Fate::Arrives })
    }

    /// Records what happens to an artifact that is not whole.
    ///
    /// # Errors
    /// The file system's error.
    pub fn set_begun(&self, address: &ArtifactId, begun: Begun) -> Result<(), ArtifactError> {
        write(&self.layout, &self.layout.begun_record(address), &begun)?;
        files::sync_directory(&self.layout.begun())
    }

    /// The artifacts that are not whole. One whose record cannot be read counts as being removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn begun(&self) -> Result<Vec<(ArtifactId, Begun)>, ArtifactError> {
        let lost = Begun { kind: ArtifactKind::Collection, fate: Fate::Goes };
        Ok(records(&self.layout.begun())?
            .into_iter()
            .map(|(address, begun)| (address, begun.unwrap_or(lost)))
            .collect())
    }

    /// What happens to an artifact that is not whole. `None` if there is no such record.
    ///
    /// # Errors
    /// The file system's error; [`ArtifactError::Record`] when the record is damaged.
    pub fn begun_of(&self, address: &ArtifactId) -> Result<Option<Begun>, ArtifactError> {
        read(&self.layout.begun_record(address))
    }

    /// Forgets an artifact of which nothing has arrived.
    ///
    /// # Errors
    /// The file system's error.
    pub fn forget_if_empty(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        let is_here = self.has_blob(address) || self.is_damaged(address) || self.partials()?.contains(address);
        if is_here { Ok(()) } else { self.end_begun(address) }
    }

    /// Ends the record: the artifact has its root, or its last file is gone.
    pub(super) fn end_begun(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        files::remove_if_there(&self.layout.begun_record(address))
    }

    /// Whether nobody has resumed what was begun for [`super::ABANDONED_AFTER`].
    pub(super) fn is_begun_long_ago(&self, address: &ArtifactId) -> bool {
        let changed = fs::metadata(self.layout.begun_record(address)).and_then(|metadata| metadata.modified());
        let age = |changed| SystemTime::now().duration_since(changed);
        changed.is_ok_and(|changed| age(changed).is_ok_and(|age| age >= super::ABANDONED_AFTER))
    }

    /// Removes the root of an artifact. Its files go once nothing relies on them.
    pub(super) fn remove_root(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        let kind = self.artifact(address).map_or(ArtifactKind::Collection, |artifact| artifact.kind);
        self.set_begun(address, Begun { kind, fate: Fate::Goes })?;
        files::remove_if_there(&self.layout.root(address))?;
        files::remove_if_there(&self.layout.awaited_record(address))
    }

    /// The publish that an artifact waits for, if any.
    ///
    /// # Errors
    /// The file system's error; [`ArtifactError::Record`] when the record is damaged.
    pub fn awaited(&self, address: &ArtifactId) -> Result<Option<Awaited>, ArtifactError> {
        read(&self.layout.awaited_record(address))
    }

    /// The artifacts that wait for a publish. A record that cannot be read is logged and left alone.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn all_awaited(&self) -> Result<Vec<(ArtifactId, Awaited)>, ArtifactError> {
        Ok(records(&self.layout.awaited())?
            .into_iter()
            .filter_map(|(address, record)| Some((address, record?)))
            .collect())
    }

    /// Makes an artifact wait for a publish.
    ///
    /// # Errors
    /// The file system's error.
    pub fn set_awaited(&self, address: &ArtifactId, awaited: &Awaited) -> Result<(), ArtifactError> {
        write(&self.layout, &self.layout.awaited_record(address), awaited)?;
        files::sync_directory(&self.layout.awaited())
    }

    /// The ledger accepted the publish: pins the artifact.
    ///
    /// # Errors
    /// As [`ArtifactStore::pin`].
    pub fn settle(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        self.pin(address)?;
        files::remove_if_there(&self.layout.awaited_record(address))
    }

    /// The ledger refused the publish, or did not answer in time: removes what the publish brought, and leaves what was
    /// here before as it was. An artifact that the operator pinned meanwhile stays and goes on waiting. Returns whether
    /// the artifact goes.
    ///
    /// # Errors
    /// The file system's error.
    pub fn let_go(&self, address: &ArtifactId) -> Result<bool, ArtifactError> {
        let Some(awaited) = self.awaited(address)? else { return Ok(false) };
        let goes = awaited.brought && !self.is_pinned(address);
        if goes {
            self.remove_root(address)?;
        } else if !awaited.brought {
            files::remove_if_there(&self.layout.awaited_record(address))?;
        }
        Ok(goes)
    }

    /// Removes files that no artifact names, and the begun parts of artifacts that are being removed or that nobody has
    /// resumed for [`super::ABANDONED_AFTER`]. Never removes anything that an operator asked for.
    ///
    /// # Errors
    /// As [`ArtifactStore::collect_garbage`].
    pub fn tidy(&self) -> Result<Garbage, ArtifactError> {
        self.remove_garbage(
            false,
            |_| true,
            |address, begun| begun.fate == Fate::Goes || self.is_begun_long_ago(address),
        )
    }
}

/// The records of a directory, by address. `None` in place of one that cannot be read.
fn records<T: serde::de::DeserializeOwned + Serialize>(
    directory: &Path,
) -> Result<Vec<(ArtifactId, Option<T>)>, ArtifactError> {
    let mut records = Vec::new();
    each_file(directory, |entry| {
        let Some(address) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { return Ok(()) };
        let path = entry.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at("read", &path)(error)),
        };
        let record = codec::decode_trusted(&bytes);
        if let Err(error) = &record {
            tracing::error!(path = %path.display(), %error, "a record of the artifact store is damaged");
        }
        records.push((address, record.ok()));
        Ok(())
    })?;
    Ok(records)
}

fn read<T: serde::de::DeserializeOwned + Serialize>(path: &Path) -> Result<Option<T>, ArtifactError> {
    match fs::read(path) {
        Ok(bytes) => {
            let damaged = |error| ArtifactError::Record { path: path.to_owned(), source: Box::new(error) };
            codec::decode_trusted(&bytes).map(Some).map_err(damaged)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", path)(error)),
    }
}

fn write<T: Serialize>(layout: &Layout, path: &Path, record: &T) -> Result<(), ArtifactError> {
    let mut file = TemporaryFile::create(layout)?;
    file.append(&codec::encode(record))?;
    file.commit_to(path)
}

impl Layout {
    pub(super) fn begun(&self) -> PathBuf {
        self.directory().join("begun")
    }

    fn begun_record(&self, address: &ArtifactId) -> PathBuf {
        self.begun().join(address.to_string())
    }

    pub(super) fn awaited(&self) -> PathBuf {
        self.directory().join("awaited")
    }

    pub(super) fn awaited_record(&self, address: &ArtifactId) -> PathBuf {
        self.awaited().join(address.to_string())
    }
}
