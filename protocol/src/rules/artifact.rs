//! What a version points to: one file, or a collection of files under one address.
//!
//! A file's address is the plain BLAKE3 of its bytes. A collection's address is that of its manifest: the canonical
//! encoding of the list of paths, sizes and file hashes, sorted by path. Nothing in a manifest can lead outside the
//! directory that it is written to: see [`ArtifactPath`].

use crate::ground::{
    codec::{self, DecodeError},
    ids::ArtifactId,
    invalid::Invalid,
    limits,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;

/// Why a list of files is not a collection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A path could escape, or some file system could not hold it.
    #[error(
        "{0:?} is not a path of a collection: 1 to {max} bytes, parts joined by single slashes, no part empty, `.` or \
         `..`, no backslash, colon or control character",
        max = limits::PATH_SIZE_BYTES
    )]
    Path(String),
    /// There are no files.
    #[error("a collection holds at least one file")]
    Empty,
    /// There are too many files.
    #[error("{0} files are more than the {max} allowed", max = limits::COLLECTION_FILES)]
    TooManyFiles(usize),
    /// The files are not in the order of their paths, or a path appears twice.
    #[error("the files of a manifest are in the order of their paths, each once; {0:?} is not")]
    Order(String),
    /// Some file systems take two paths for one, or a file is where another path needs a directory.
    #[error(
        "{0:?} and {1:?} cannot stand side by side on every file system: they differ only by case or by how letters are \
         composed (Unicode normalisation), or one is a directory of the other; rename one"
    )]
    Clash(String, String),
    /// The files have too many bytes.
    #[error("the sizes of the files add up to more than the {max} bytes allowed", max = limits::ARTIFACT_SIZE_BYTES)]
    TooLarge,
    /// The bytes are not the encoding of a manifest.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A relative path with forward slashes that stays inside its directory on every file system. It is kept byte for byte,
/// however its letters are composed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactPath(String);

impl ArtifactPath {
    /// # Errors
    /// When the path breaks the rule.
    pub fn new(path: impl Into<String>) -> Result<Self, ManifestError> {
        let path = path.into();
        let sound = (1..=limits::PATH_SIZE_BYTES).contains(&path.len())
            && !path.chars().any(|c| c.is_control() || c == '\\' || c == ':')
            && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if sound { Ok(Self(path)) } else { Err(ManifestError::Path(path.chars().take(120).collect())) }
    }

    /// The path, with forward slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ArtifactPath {
    type Error = ManifestError;
    fn try_from(path: String) -> Result<Self, ManifestError> {
        Self::new(path)
    }
}

impl From<ArtifactPath> for String {
    fn from(path: ArtifactPath) -> Self {
        path.0
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ManifestFile {
    /// The path of the file.
    pub path: ArtifactPath,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// BLAKE3 of its bytes.
    pub address: ArtifactId,
    /// SHA-256 of its bytes, for outside tools that use it.
    pub sha256: crate::ground::ids::ContentHash,
}

/// The list of a collection's files, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ManifestFile>", into = "Vec<ManifestFile>")]
pub struct Manifest(Vec<ManifestFile>);

impl TryFrom<Vec<ManifestFile>> for Manifest {
    type Error = ManifestError;

    fn try_from(files: Vec<ManifestFile>) -> Result<Self, ManifestError> {
        if files.is_empty() {
            return Err(ManifestError::Empty);
        }
        if files.len() > limits::COLLECTION_FILES {
            return Err(ManifestError::TooManyFiles(files.len()));
        }
        for pair in files.windows(2) {
            if let [one, two] = pair
                && one.path >= two.path
            {
                return Err(ManifestError::Order(two.path.to_string()));
            }
        }
        let total = files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.size_bytes));
        total.filter(|total| *total <= limits::ARTIFACT_SIZE_BYTES).ok_or(ManifestError::TooLarge)?;
        refuse_clashes(&files)?;
        Ok(Self(files))
    }
}

/// What file systems that ignore case or normalise names make of a path: they take two paths for one if this is equal.
fn folded(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    // Decomposed first, so that canonically equivalent forms are lowercased alike.
    path.nfd().collect::<String>().to_lowercase().nfc().collect()
}

fn refuse_clashes(files: &[ManifestFile]) -> Result<(), ManifestError> {
    let mut folded: Vec<(String, &str)> = files.iter().map(|file| (folded(&file.path.0), file.path.as_str())).collect();
    folded.sort();
    let names: std::collections::BTreeMap<&str, &str> =
        folded.iter().map(|(lower, path)| (lower.as_str(), *path)).collect();
    for pair in folded.windows(2) {
        if let [(one, first), (two, second)] = pair
            && one == two
        {
            return Err(ManifestError::Clash((*first).into(), (*second).into()));
        }
    }
    for (lower, path) in &folded {
        for (at, _) in lower.match_indices('/') {
            if let Some(file) = lower.get(..at).and_then(|parent| names.get(parent)) {
                return Err(ManifestError::Clash((*file).into(), (*path).into()));
            }
        }
    }
    Ok(())
}

/// The total size of some files, in bytes.
pub fn total_size_bytes(files: &[ManifestFile]) -> u64 {
    files.iter().fold(0u64, |sum, file| sum.saturating_add(file.size_bytes))
}

impl From<Manifest> for Vec<ManifestFile> {
    fn from(manifest: Manifest) -> Self {
        manifest.0
    }
}

impl Manifest {
    /// The files, sorted by path.
    pub fn files(&self) -> &[ManifestFile] {
        &self.0
    }

    /// The sum of the files' sizes.
    pub fn size_bytes(&self) -> u64 {
        total_size_bytes(&self.0)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a manifest that a stranger sent.
    ///
    /// # Errors
    /// When the bytes are not a manifest, or it breaks a rule of collections.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        Ok(codec::decode(bytes, limits::MANIFEST_SIZE_BYTES)?)
    }

    /// The collection's address.
    pub fn address(&self) -> ArtifactId {
        ArtifactId::of(&self.encode())
    }
}

/// Whether an address is that of a file or of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// One file.
    File,
    /// A manifest and the files it names.
    Collection,
}

/// What the ledger records of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Artifact {
    /// Its address.
    pub address: ArtifactId,
    /// The kind of the address.
    pub kind: ArtifactKind,
    /// Bytes of the file, or of all files together.
    pub size_bytes: u64,
    /// Number of files; 1 for a file.
    pub files: u32,
}

impl Artifact {
    /// Checks that such an artifact can exist; whether it does, only its bytes can show.
    ///
    /// # Errors
    /// Names the field and its bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        let form = |field, problem| Err(Invalid::Form { field, problem });
        if self.size_bytes > limits::ARTIFACT_SIZE_BYTES {
            let max = limits::ARTIFACT_SIZE_BYTES;
            return form("size_bytes", format!("is {}; at most {max} are allowed", self.size_bytes));
        }
        let files = usize::try_from(self.files).unwrap_or(usize::MAX);
        match self.kind {
            ArtifactKind::File if files != 1 => form("files", format!("are {files}; a file is one")),
            ArtifactKind::Collection if !(1..=limits::COLLECTION_FILES).contains(&files) => {
                form("files", format!("are {files}; a collection has 1 to {}", limits::COLLECTION_FILES))
            }
            ArtifactKind::File | ArtifactKind::Collection => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::ids::ContentHash;

    fn file(path: &str) -> ManifestFile {
        ManifestFile {
            path: ArtifactPath::new(path).expect("path"),
            size_bytes: 1,
            address: ArtifactId::of(path.as_bytes()),
            sha256: ContentHash::from_bytes([0; 32]),
        }
    }

    #[test]
    fn no_path_leads_outside() {
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\\b", "C:x", "a\0b", "a\nb"] {
            assert!(ArtifactPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(ArtifactPath::new("weights/model-00001.safetensors").is_ok());
        assert!(ArtifactPath::new(".gitattributes").is_ok());
    }

    #[test]
    fn a_manifest_reads_back_and_refuses_disorder() {
        let manifest = Manifest::try_from(vec![file("a"), file("b/c"), file("b/d")]).expect("manifest");
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        assert!(matches!(Manifest::try_from(vec![file("b"), file("a")]), Err(ManifestError::Order(_))));
        assert!(matches!(Manifest::try_from(vec![file("a"), file("a")]), Err(ManifestError::Order(_))));
        assert!(matches!(Manifest::try_from(vec![file("A"), file("a")]), Err(ManifestError::Clash(..))));
        assert!(matches!(Manifest::try_from(vec![file("a"), file("a/b")]), Err(ManifestError::Clash(..))));
        assert!(matches!(Manifest::try_from(vec![]), Err(ManifestError::Empty)));
        let huge = ManifestFile { size_bytes: limits::ARTIFACT_SIZE_BYTES, ..file("a") };
        assert!(matches!(Manifest::try_from(vec![huge, file("b")]), Err(ManifestError::TooLarge)));
    }

    #[test]
    fn names_that_look_alike_do_not_stand_side_by_side() {
        let both = |one: &str, two: &str| {
            let mut files = vec![file(one), file(two)];
            files.sort_by(|one, two| one.path.cmp(&two.path));
            Manifest::try_from(files)
        };
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
        for (one, two) in [
            (composed, decomposed),
            ("\u{c9}t\u{e9}/a", "e\u{301}te\u{301}/A"),
            ("\u{212b}", "\u{e5}"),
            ("\u{1e69}", "s\u{307}\u{323}"),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"),
            ("caf\u{e9}", "cafe\u{301}/x"),
        ] {
            assert!(matches!(both(one, two), Err(ManifestError::Clash(..))), "{one:?} {two:?}");
        }
        for name in [composed, decomposed] {
            let manifest = both(name, "cafe").expect("other letters");
            let read = Manifest::decode(&manifest.encode()).expect("a manifest");
            assert!(read.files().iter().any(|file| file.path.as_str() == name), "kept as it is");
        }
    }

    #[test]
    fn a_stranger_cannot_send_what_no_manifest_holds() {
        // Encoded like a manifest, without its rules.
        #[derive(Serialize)]
        struct Raw<'a>(&'a str, u64, ArtifactId, ContentHash);
        let encoded = |paths: &[&str]| {
            let of = |path| Raw(path, 1, ArtifactId::of(b""), ContentHash::from_bytes([0; 32]));
            codec::encode(&paths.iter().copied().map(of).collect::<Vec<_>>())
        };
        assert!(Manifest::decode(&encoded(&["a", "b"])).is_ok());
        for paths in [
            &["../a"][..],
            &["/a"],
            &["a/../../b"],
            &["C:a"],
            &["a\\b"],
            &[""],
            &["A", "a"],
            &["a", "a"],
            &["b", "a"],
            &["cafe\u{301}", "caf\u{e9}"],
            &[],
        ] {
            assert!(Manifest::decode(&encoded(paths)).is_err(), "{paths:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_name_clashes_with_every_other_form_of_itself(name in "\\PC{1,12}") {
            let forms = [name.nfc().collect::<String>(), name.nfd().collect(), name.to_lowercase(), name.to_uppercase()];
            for form in forms.iter().filter(|form| **form != name) {
                let paths = (ArtifactPath::new(name.clone()), ArtifactPath::new(form.clone()));
                let (Ok(_), Ok(_)) = paths else { continue };
                let mut files = vec![file(&name), file(form)];
                files.sort_by(|one, two| one.path.cmp(&two.path));
                // Uppercasing may give other letters (one for two); everything with the same lowercase clashes.
                let same = folded(&name) == folded(form);
                proptest::prop_assert!(same || *form == name.to_uppercase());
                proptest::prop_assert_eq!(same, matches!(Manifest::try_from(files), Err(ManifestError::Clash(..))));
            }
        }
    }

    #[test]
    fn an_artifact_that_cannot_be_is_refused() {
        let artifact = |kind, size_bytes, files| Artifact { address: ArtifactId::of(b""), kind, size_bytes, files };
        let refused = |artifact: Artifact| match artifact.check() {
            Ok(()) => None,
            Err(Invalid::Form { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(refused(artifact(ArtifactKind::File, 0, 1)), None);
        assert_eq!(refused(artifact(ArtifactKind::Collection, limits::ARTIFACT_SIZE_BYTES, 100_000)), None);
        assert_eq!(refused(artifact(ArtifactKind::File, 1, 2)), Some("files"));
        assert_eq!(refused(artifact(ArtifactKind::Collection, 1, 0)), Some("files"));
        assert_eq!(refused(artifact(ArtifactKind::Collection, 1, 100_001)), Some("files"));
        assert_eq!(refused(artifact(ArtifactKind::File, u64::MAX, 1)), Some("size_bytes"));
    }
}
