//! Exporting an artifact to a user's directory.
//!
//! Bytes are checked against their address while they are written to a temporary name in the same directory. They get
//! their final name when they are whole and durable. Nothing is written through a symbolic link inside the target.

use super::{
    ArtifactStore, BUFFER_SIZE_BYTES, OnProgress, Progress,
    error::{ArtifactError, at},
    files::{Placement, TemporaryFile, remove_if_there},
    import::{BATCH_FILES, BATCH_SIZE_BYTES},
    patterns::Selection,
};
use allod_protocol::{
    ground::ids::ArtifactId,
    rules::artifact::{ArtifactKind, ArtifactPath, ManifestFile, total_size_bytes},
};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What to do when a file of that name exists with other content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// Export nothing at all.
    #[default]
    Refuse,
    /// Replace it.
    Replace,
}

impl ArtifactStore {
    /// Exports an artifact: a file as `target`, a collection as the files of the directory `target`, which is created
    /// if it does not exist. Files that already have the same bytes are left alone.
    ///
    /// # Errors
    /// [`ArtifactError::Own`] for a path in the node's data directory; [`ArtifactError::TargetExists`] before anything
    /// is written; [`ArtifactError::Symlink`] when a directory or file inside the target is a link;
    /// [`ArtifactError::DiskFull`]; or what is wrong with the stored bytes.
    pub fn export(
        &self,
        address: &ArtifactId,
        target: &Path,
        overwrite: Overwrite,
        progress: OnProgress<'_>,
    ) -> Result<(), ArtifactError> {
        let artifact = self.artifact(address)?;
        match artifact.kind {
            ArtifactKind::File => {
                let mut state = Progress { done_bytes: 0, total_bytes: artifact.size_bytes };
                let name = target.file_name().ok_or_else(|| ArtifactError::Target {
                    path: target.to_owned(),
                    expected: "the target of a file must end with a file name",
                })?;
                let parent = match target.parent() {
                    Some(parent) if parent != Path::new("") => parent,
                    _ => Path::new("."),
                };
                let parent = fs::canonicalize(parent).map_err(at("open", parent))?;
                let files = vec![(*address, parent.join(name), artifact.size_bytes)];
                self.export_files(files, overwrite, &mut state, progress)
            }
            ArtifactKind::Collection => {
                let files = self.manifest(address)?.files().to_vec();
                self.export_into(target, files, overwrite, progress)
            }
        }
    }

    /// Exports some files of a collection, which need not be here whole.
    ///
    /// # Errors
    /// As [`ArtifactStore::export`]; [`ArtifactError::NothingSelected`].
    pub fn export_some(
        &self,
        address: &ArtifactId,
        selection: &Selection,
        target: &Path,
        overwrite: Overwrite,
        progress: OnProgress<'_>,
    ) -> Result<(), ArtifactError> {
        self.export_into(target, self.selected(address, selection)?, overwrite, progress)
    }

    /// The files of a collection that a selection matches. The collection need not be here whole.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], [`ArtifactError::NotACollection`], [`ArtifactError::NothingSelected`].
    pub fn selected(&self, address: &ArtifactId, selection: &Selection) -> Result<Vec<ManifestFile>, ArtifactError> {
        let manifest = self.manifest(address)?;
        let files: Vec<_> = manifest.files().iter().filter(|file| selection.takes(&file.path)).cloned().collect();
        if files.is_empty() { Err(ArtifactError::NothingSelected(*address)) } else { Ok(files) }
    }

    fn export_into(
        &self,
        target: &Path,
        files: Vec<ManifestFile>,
        overwrite: Overwrite,
        progress: OnProgress<'_>,
    ) -> Result<(), ArtifactError> {
        let total_bytes = total_size_bytes(&files);
        let mut state = Progress { done_bytes: 0, total_bytes };
        // Checked before a directory is created there.
        self.own_files()?.refuse_within(&nearest(target)?)?;
        fs::create_dir_all(target).map_err(at("create", target))?;
        // The user may name a link; only links inside the target are refused.
        let target = fs::canonicalize(target).map_err(at("open", target))?;
        let mut places = Vec::with_capacity(files.len());
        for file in files {
            places.push((file.address, inside(&target, &file.path)?, file.size_bytes));
        }
        self.export_files(places, overwrite, &mut state, progress)
    }

    fn export_files(
        &self,
        files: Vec<(ArtifactId, PathBuf, u64)>,
        overwrite: Overwrite,
        state: &mut Progress,
        progress: OnProgress<'_>,
    ) -> Result<(), ArtifactError> {
        self.own_files()?.refuse_places(files.iter().map(|(_, place, _)| place))?;
        loop {
            state.done_bytes = 0;
            let appeared = match self.export_absent(&files, overwrite, state, progress) {
                Err(ArtifactError::TargetExists(path)) => path,
                other => return other,
            };
            // Another export wrote the same file meanwhile, so it need not be written.
            match files.iter().find(|(_, path, _)| *path == appeared) {
                Some((address, path, size_bytes))
                    if matches!(existing(path, address, *size_bytes)?, Existing::Same | Existing::None) => {}
                _ => return Err(ArtifactError::TargetExists(appeared)),
            }
        }
    }

    fn export_absent(
        &self,
        files: &[(ArtifactId, PathBuf, u64)],
        overwrite: Overwrite,
        state: &mut Progress,
        progress: OnProgress<'_>,
    ) -> Result<(), ArtifactError> {
        let only_new = overwrite == Overwrite::Refuse;
        let mut absent = Vec::with_capacity(files.len());
        for (address, path, size_bytes) in files {
            match existing(path, address, *size_bytes)? {
                Existing::Same => state.done_bytes = state.done_bytes.saturating_add(*size_bytes),
                Existing::Different if only_new => return Err(ArtifactError::TargetExists(path.clone())),
                Existing::None | Existing::Different => absent.push((address, path)),
            }
        }
        let (mut staged, mut staged_bytes) = (Vec::new(), 0u64);
        for (address, path) in absent {
            let before = state.done_bytes;
            let file = self.export_file(address, path, state, progress)?;
            staged.push(Placement::export(file, path.clone(), only_new));
            staged_bytes = staged_bytes.saturating_add(state.done_bytes.saturating_sub(before));
            if staged.len() >= BATCH_FILES || staged_bytes >= BATCH_SIZE_BYTES {
                Placement::commit_all(std::mem::take(&mut staged))?;
                staged_bytes = 0;
            }
        }
        Placement::commit_all(staged)
    }

    /// Writes a file under a temporary name beside its own.
    fn export_file(
        &self,
        address: &ArtifactId,
        path: &Path,
        state: &mut Progress,
        progress: OnProgress<'_>,
    ) -> Result<TemporaryFile, ArtifactError> {
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(at("create", parent))?;
        let reader = self.reader(address)?;
        let number = self.layout.next_number();
        let temporary = parent.join(format!(".allod-{}-{number}.partial", std::process::id()));
        // Left by a killed process of the same number. Nobody else uses this name, nor does another export.
        remove_if_there(&temporary)?;
        if self.is_on_same_disk(parent)? {
            drop(self.layout.take_room(parent, reader.size_bytes())?);
        }
        let mut file = TemporaryFile::create_at(temporary)?;
        let full = |error| match error {
            ArtifactError::DiskFull(_) => ArtifactError::DiskFull(path.to_owned()),
            other => other,
        };
        reader.for_each_piece(state, progress, |bytes| file.append(bytes)).map_err(full)?;
        Ok(file)
    }
}

impl ArtifactStore {
    fn is_on_same_disk(&self, directory: &Path) -> Result<bool, ArtifactError> {
        let device = |path: &Path| Ok::<_, ArtifactError>(fs::metadata(path).map_err(at("inspect", path))?.dev());
        Ok(device(directory)? == device(self.layout.directory())?)
    }
}

/// The nearest existing ancestor of a path, canonicalised.
pub(super) fn nearest(path: &Path) -> Result<PathBuf, ArtifactError> {
    for place in path.ancestors() {
        match fs::canonicalize(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map_err(at("open", place)),
        }
    }
    fs::canonicalize(".").map_err(at("open", path))
}

/// The path in the target of a path in a collection, provided that no directory on the way is a link.
fn inside(target: &Path, path: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
    let mut place = target.to_owned();
    let mut parts = path.as_str().split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        if parts.peek().is_none() {
            break;
        }
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => return Err(ArtifactError::Symlink(place)),
            Ok(found) if !found.is_dir() => return Err(ArtifactError::TargetExists(place)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at("inspect", &place)(error)),
        }
    }
    Ok(place)
}

enum Existing {
    None,
    Same,
    Different,
}

fn existing(path: &Path, address: &ArtifactId, size_bytes: u64) -> Result<Existing, ArtifactError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Existing::None),
        Err(error) => Err(at("inspect", path)(error)),
        Ok(found) if found.is_symlink() => Err(ArtifactError::Symlink(path.to_owned())),
        Ok(found) if found.is_dir() => Err(ArtifactError::Target {
            path: path.to_owned(),
            expected: "a file is to be written there, but it is a directory",
        }),
        Ok(found) if !found.is_file() => Err(ArtifactError::Special(path.to_owned())),
        Ok(found) if found.len() == size_bytes && hash(path)? == *address => Ok(Existing::Same),
        Ok(_) => Ok(Existing::Different),
    }
}

fn hash(path: &Path) -> Result<ArtifactId, ArtifactError> {
    let mut file = File::open(path).map_err(at("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_SIZE_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(at("read", path))?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => hasher.update(bytes),
            _ => return Ok(ArtifactId::from_bytes(*hasher.finalize().as_bytes())),
        };
    }
}
