//! The node's own files: its keys, its ledger, the store itself. They are never imported, and nothing is exported among
//! them, by whatever name they are reached: a path, a symbolic link, a second name, a directory around them, or a mount
//! of it elsewhere. So files and directories are recognised by device and inode, not by name.
//!
//! Of everything else the operator may name the directories below which files are imported and exported.

use super::{
    ArtifactStore,
    error::{ArtifactError, at},
    export::nearest,
};
use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Device and inode: what identifies a file under any name.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// The files of the node's data directory, as they are now, and where others may lie.
#[derive(Debug, Default)]
pub(super) struct Own {
    directories: BTreeSet<Identity>,
    files: BTreeSet<Identity>,
    /// With every link followed. None means anywhere.
    roots: Vec<PathBuf>,
}

impl ArtifactStore {
    /// Sets the node's data directory. Nothing in it is imported or overwritten.
    #[must_use]
    pub fn within(mut self, data_dir: &Path) -> Self {
        self.data_dir = Some(data_dir.to_owned());
        self
    }

    /// Sets the directories below which files are imported and exported. None means anywhere.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn only_below(mut self, roots: &[PathBuf]) -> Result<Self, ArtifactError> {
        self.roots =
            roots.iter().map(|root| fs::canonicalize(root).map_err(at("open", root))).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Finds the node's own files.
    pub(super) fn own_files(&self) -> Result<Own, ArtifactError> {
        let mut own = Own { roots: self.roots.clone(), ..Own::default() };
        if let Some(data_dir) = &self.data_dir {
            // What is stored may have other names elsewhere, which belong to their owners.
            own.add(data_dir, Some(self.layout.directory()))?;
        }
        Ok(own)
    }
}

impl Own {
    fn add(&mut self, directory: &Path, but: Option<&Path>) -> Result<(), ArtifactError> {
        // Links may form a cycle.
        if !self.directories.insert(identity(&fs::metadata(directory).map_err(at("inspect", directory))?)) {
            return Ok(());
        }
        for entry in fs::read_dir(directory).map_err(at("list", directory))? {
            let path = entry.map_err(at("list", directory))?.path();
            // Followed: a key may lie elsewhere.
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() && but == Some(path.as_path()) => {
                    self.directories.insert(identity(&found));
                }
                Ok(found) if found.is_dir() => self.add(&path, None)?,
                Ok(found) => {
                    self.files.insert(identity(&found));
                }
                // The database removes files while it runs.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at("inspect", &path)(error)),
            }
        }
        Ok(())
    }

    /// Refuses a file or a directory that belongs to the node.
    pub(super) fn refuse(&self, path: &Path, found: &Metadata) -> Result<(), ArtifactError> {
        let known = if found.is_dir() { &self.directories } else { &self.files };
        if known.contains(&identity(found)) { Err(ArtifactError::Own(path.to_owned())) } else { Ok(()) }
    }

    /// Refuses a path that is in a directory of the node, or is one, or lies below none of the roots. For a path that does
    /// not exist yet, its existing ancestors decide.
    pub(super) fn refuse_within(&self, path: &Path) -> Result<(), ArtifactError> {
        if !self.roots.is_empty() {
            let real = nearest(path)?;
            if !self.roots.iter().any(|root| real.starts_with(root)) {
                return Err(ArtifactError::OutsideRoots { path: path.to_owned(), roots: self.roots.clone() });
            }
        }
        if self.directories.is_empty() {
            return Ok(());
        }
        for place in path.ancestors() {
            match fs::metadata(place) {
                Ok(found) if found.is_dir() && self.directories.contains(&identity(&found)) => {
                    return Err(ArtifactError::Own(path.to_owned()));
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(at("inspect", place)(error)),
            }
        }
        Ok(())
    }

    /// Checks the directories of the paths to be written, each of them once.
    pub(super) fn refuse_places<'a>(&self, places: impl Iterator<Item = &'a PathBuf>) -> Result<(), ArtifactError> {
        let directories: BTreeSet<&Path> = places.filter_map(|place| place.parent()).collect();
        directories.into_iter().try_for_each(|directory| self.refuse_within(directory))
    }
}
