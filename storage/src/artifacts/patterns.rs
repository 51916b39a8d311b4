//! File selection: patterns in the syntax of `.gitignore`, for what a collection leaves out and what is fetched of one.

use super::error::{ArtifactError, at};
use allod_protocol::rules::artifact::ArtifactPath;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::{fs, io, path::Path};

/// What a collection leaves out unless its `.allodignore` includes it again: hidden files and directories, caches,
/// unfinished downloads, leftovers of editors and operating systems.
pub const IGNORED: [&str; 13] = [
    ".*",
    "Thumbs.db",
    "desktop.ini",
    "__MACOSX",
    "__pycache__",
    "*.tmp",
    "*.part",
    "*.partial",
    "*.incomplete",
    "*.crdownload",
    "*.swp",
    "*.pyc",
    "*~",
];
/// The file in a collection's directory with its own patterns. A later pattern overrides an earlier one, and all of
/// them override [`IGNORED`]. `!.gitattributes` includes a hidden file again.
pub const IGNORE_FILE: &str = ".allodignore";

/// The patterns of what a directory leaves out.
pub(super) fn ignored(directory: &Path) -> Result<Gitignore, ArtifactError> {
    let path = directory.join(IGNORE_FILE);
    let wrong = |error: ignore::Error| ArtifactError::Pattern(format!("{}: {error}", path.display()));
    let mut builder = GitignoreBuilder::new(directory);
    for pattern in IGNORED {
        builder.add_line(None, pattern).map_err(wrong)?;
    }
    let text = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(at("inspect", &path)(error)),
        Ok(found) if found.is_symlink() => return Err(ArtifactError::Symlink(path)),
        Ok(_) => fs::read_to_string(&path).map_err(at("read", &path))?,
    };
    for line in text.lines() {
        builder.add_line(None, line).map_err(wrong)?;
    }
    builder.build().map_err(wrong)
}

/// Some files of a collection.
#[derive(Clone, Debug)]
pub struct Selection(Gitignore);

impl Selection {
    /// Selects the files that match one of the patterns: `*.safetensors` in any directory, `weights/*` in one, `!x` to
    /// exclude.
    ///
    /// # Errors
    /// [`ArtifactError::Pattern`].
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, ArtifactError> {
        let wrong = |error: ignore::Error| ArtifactError::Pattern(error.to_string());
        let mut builder = GitignoreBuilder::new("");
        for pattern in patterns {
            builder.add_line(None, pattern).map_err(wrong)?;
        }
        Ok(Self(builder.build().map_err(wrong)?))
    }

    /// Whether a file is selected, by itself or through its directory.
    pub fn takes(&self, path: &ArtifactPath) -> bool {
        self.0.matched_path_or_any_parents(path.as_str(), false).is_ignore()
    }
}
