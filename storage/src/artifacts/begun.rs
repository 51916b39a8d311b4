//! Whose every byte is, at every moment: what is on its way in or out, and what a publish brought that the ledger has
//! not answered.
//!
//! An artifact is *begun* (`begun/<address>`) before the first of its bytes is fetched and until it has its root; and
//! again before its root is removed, until the last of its files has gone. So a blob is named by a root or by what is
//! begun, whatever is interrupted, and it can always be told on whose behalf it is here.
//!
//! What a publish brings is *awaited* (`awaited/<address>`) before it gets its root and until the ledger has answered:
//! then it is pinned, or let go. The record dies with the publish that made it.
//!
//! [`ArtifactStore::tidy`] removes what nobody names any more, or nobody took up for [`super::ABANDONED_AFTER`], and
//! leaves all else alone; collecting on the operator's word is in `keep`.

use super::{
    ArtifactStore, Collected,
    error::{ArtifactError, at},
    files::{self, Layout, TemporaryFile},
    keep::each_file,
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

/// What becomes of an artifact that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It is fetched, or was and will be again.
    Arrives,
    /// Some of its files were wanted, and are here.
    InPart,
    /// It goes.
    Goes,
}

/// An artifact of which files may be here though it is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Whether it is a file or a collection.
    pub kind: ArtifactKind,
    /// What becomes of it.
    pub fate: Fate,
}

/// A publish that the ledger has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The model of which it is to be a version.
    pub model: ModelId,
    /// The block time at which nobody waits any more.
    pub until: Timestamp,
    /// Whether the publish brought the artifact: it was not here whole before.
    pub brought: bool,
}

impl ArtifactStore {
    /// Takes note that an artifact is fetched from now on: before the first byte of it comes.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn begin(&self, address: &ArtifactId, kind: ArtifactKind) -> Result<(), ArtifactError> {
        self.set_begun(address, Begun { kind, fate: Fate::Arrives })
    }

    /// Says what becomes of an artifact that is not whole.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn set_begun(&self, address: &ArtifactId, begun: Begun) -> Result<(), ArtifactError> {
        write(&self.layout, &self.layout.begun_record(address), &begun)?;
        files::sync_directory(&self.layout.begun())
    }

    /// What is not whole. A record that cannot be read is of what goes.
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

    /// Whether an artifact is not whole, and what becomes of it.
    ///
    /// # Errors
    /// The file system's refusal; [`ArtifactError::Record`] when the record is damaged.
    pub fn begun_of(&self, address: &ArtifactId) -> Result<Option<Begun>, ArtifactError> {
        read(&self.layout.begun_record(address))
    }

    /// Forgets an artifact of which nothing came.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn forget_if_empty(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        let is_here = self.has_blob(address) || self.is_damaged(address) || self.partials()?.contains(address);
        if is_here { Ok(()) } else { self.end_begun(address) }
    }

    /// The artifact has its root, or the last of it has gone.
    pub(super) fn end_begun(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        files::remove_if_there(&self.layout.begun_record(address))
    }

    /// Whether nobody took up what was begun for a while.
    pub(super) fn is_begun_long_ago(&self, address: &ArtifactId) -> bool {
        let changed = fs::metadata(self.layout.begun_record(address)).and_then(|metadata| metadata.modified());
        let age = |changed| SystemTime::now().duration_since(changed);
        changed.is_ok_and(|changed| age(changed).is_ok_and(|age| age >= super::ABANDONED_AFTER))
    }

    /// Removes the root of an artifact. Its files go once nobody relies on them.
    pub(super) fn remove_root(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        let kind = self.artifact(address).map_or(ArtifactKind::Collection, |artifact| artifact.kind);
        self.set_begun(address, Begun { kind, fate: Fate::Goes })?;
        files::remove_if_there(&self.layout.root(address))?;
        files::remove_if_there(&self.layout.awaited_record(address))
    }

    /// The publish that an artifact waits for, if it does.
    ///
    /// # Errors
    /// The file system's refusal; [`ArtifactError::Record`] when the record is damaged.
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

    /// Has an artifact wait for a publish.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn set_awaited(&self, address: &ArtifactId, awaited: &Awaited) -> Result<(), ArtifactError> {
        write(&self.layout, &self.layout.awaited_record(address), awaited)?;
        files::sync_directory(&self.layout.awaited())
    }

    /// The ledger took the publish: the artifact stays.
    ///
    /// # Errors
    /// As [`ArtifactStore::pin`].
    pub fn settle(&self, address: &ArtifactId) -> Result<(), ArtifactError> {
        self.pin(address)?;
        files::remove_if_there(&self.layout.awaited_record(address))
    }

    /// The ledger refused the publish, or did not answer in time: what it brought goes, and what was here before stays
    /// as it was. What the operator pinned meanwhile stays, and goes on waiting. Gives whether the artifact goes.
    ///
    /// # Errors
    /// The file system's refusal.
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

    /// Removes files that no artifact names and what is begun of artifacts that go, or that nobody took up for
    /// [`super::ABANDONED_AFTER`]. Nothing that an operator asked for goes.
    ///
    /// # Errors
    /// As [`ArtifactStore::collect`].
    pub fn tidy(&self) -> Result<Collected, ArtifactError> {
        self.remove_needless(
            false,
            |_| true,
            |address, begun| begun.fate == Fate::Goes || self.is_begun_long_ago(address),
        )
    }
}

/// The records of a directory, by address; none in the place of one that cannot be read.
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
