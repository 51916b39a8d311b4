//! What the files of a model say of themselves: the headers of safetensors and GGUF, checked against the file's length;
//! with the card (`card`), all that is told of an artifact ([`Contents`]).
//!
//! A file is taken for one of the two by the end of its name. Only its header is read, and never more of it than
//! [`HEADER_SIZE_BYTES`]; nothing of it is trusted before it is compared with what is there.
//!
//! A file is called damaged only where it contradicts itself as the formats' own readers see it. What may be right but is
//! not known here, a type of GGUF that is newer than this reader above all, is [`HeaderError::NotUnderstood`]: the file
//! is taken as it is, and no header is told of it.
//!
//! Read on in `safetensors` and `gguf`, which name their sources.

mod gguf;
mod safetensors;

use super::{
    ArtifactStore, Card,
    error::{ArtifactError, at},
};
use allod_protocol::{
    ground::ids::ArtifactId,
    rules::artifact::{Artifact, ArtifactKind, ArtifactPath, Manifest},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of a header at most: the bound of safetensors, and room for the vocabulary that GGUF carries.
const HEADER_SIZE_BYTES: u64 = 100_000_000;
/// Characters of a reason that are kept: it may hold names of a stranger's choice.
const REASON_CHARS: usize = 300;
/// Artifacts whose contents are kept in memory.
const KNOWN: usize = 64;

/// A format of model files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Tensors one after another behind a JSON header.
    Safetensors,
    /// Tensors and metadata of llama.cpp and its kin.
    Gguf,
}

/// What a file's header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format.
    pub format: Format,
    /// How many tensors it has.
    pub tensors: u64,
    /// How many numbers they have in all.
    pub parameters: u64,
    /// How many of them are of each type, by the format's own name of the type.
    pub dtypes: BTreeMap<String, u64>,
}

/// Why a file's header is not told.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It contradicts itself: it is cut off, overwritten, or no file of this format.
    #[error("{0}")]
    Malformed(String),
    /// It has what this reader does not know, or more than it takes on, and may be right.
    #[error("{0}")]
    NotUnderstood(String),
}

/// A model file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its path in the collection; none if the artifact is the file.
    pub path: Option<ArtifactPath>,
    /// What its header says.
    #[serde(flatten)]
    pub header: Header,
}

/// A model file of an artifact whose header is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadFile {
    /// Its path in the collection; none if the artifact is the file.
    pub path: Option<ArtifactPath>,
    /// What is not understood, or damaged.
    pub reason: String,
}

/// What an artifact says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contents {
    /// Its safetensors and GGUF files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_files: Vec<ModelFile>,
    /// Those of them whose header is not understood, or damaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread_files: Vec<UnreadFile>,
    /// The card at the head of its `README.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
    /// Why the card cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_fault: Option<String>,
}

/// What was read of the artifacts asked for last: an address never says another thing later.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<BTreeMap<ArtifactId, Arc<Contents>>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, BTreeMap<ArtifactId, Arc<Contents>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArtifactStore {
    /// What an artifact says of itself: the headers of its model files, and its card. The headers of what lies in the store
    /// were proven when it came and are not proven again. A file that cannot be read is left out.
    ///
    /// # Errors
    /// When the artifact is not here, or is one file that cannot be read.
    pub fn contents(&self, address: &ArtifactId) -> Result<Arc<Contents>, ArtifactError> {
        let artifact = self.artifact(address)?;
        if let Some(known) = self.known.all().get(address) {
            return Ok(Arc::clone(known));
        }
        let (contents, is_all) = match artifact.kind {
            ArtifactKind::File => (self.contents_of_file(&artifact)?, true),
            ArtifactKind::Collection => self.contents_of_collection(&self.manifest(address)?),
        };
        let contents = Arc::new(contents);
        if !is_all {
            return Ok(contents);
        }
        let mut known = self.known.all();
        if known.len() >= KNOWN {
            known.pop_first();
        }
        known.insert(*address, Arc::clone(&contents));
        Ok(contents)
    }

    fn contents_of_file(&self, artifact: &Artifact) -> Result<Contents, ArtifactError> {
        let mut reader = self.reader(&artifact.address)?.into_bytes();
        let mut first = Vec::new();
        reader.by_ref().take(9).read_to_end(&mut first).map_err(at("read", &self.layout.data(&artifact.address)))?;
        let mut contents = Contents::default();
        let Some(format) = Format::of_first_bytes(&first) else { return Ok(contents) };
        let header = format.read(first.as_slice().chain(reader), artifact.size_bytes);
        contents.add(None, header).map_err(at("read", &self.layout.data(&artifact.address)))?;
        Ok(contents)
    }

    /// With whether every file that could say something was read.
    fn contents_of_collection(&self, manifest: &Manifest) -> (Contents, bool) {
        let (mut contents, mut is_all) = (Contents::default(), true);
        for file in manifest.files() {
            let Some(format) = Format::of_name(file.path.as_str()) else { continue };
            let Ok(reader) = self.reader(&file.address) else {
                is_all = false;
                continue;
            };
            is_all &= contents.add(Some(&file.path), format.read(reader.into_bytes(), file.size_bytes)).is_ok();
        }
        match self.card(manifest) {
            Ok(Some(Ok(card))) => contents.card = Some(card),
            Ok(Some(Err(fault))) => contents.card_fault = Some(fault),
            Ok(None) => {}
            Err(error) => {
                contents.card_fault = Some(error.to_string());
                is_all = false;
            }
        }
        (contents, is_all)
    }
}

impl Contents {
    fn add(&mut self, path: Option<&ArtifactPath>, header: Result<Header, HeaderError>) -> io::Result<()> {
        let path = path.cloned();
        match header {
            Ok(header) => self.model_files.push(ModelFile { path, header }),
            Err(HeaderError::Io(error)) => return Err(error),
            Err(HeaderError::Malformed(reason)) => {
                self.unread_files.push(UnreadFile { path, reason: format!("damaged or incomplete: {reason}") });
            }
            Err(HeaderError::NotUnderstood(reason)) => self.unread_files.push(UnreadFile { path, reason }),
        }
        Ok(())
    }
}

fn malformed<T>(reason: impl Into<String>) -> Result<T, HeaderError> {
    Err(HeaderError::Malformed(reason.into()))
}

fn not_understood<T>(reason: impl Into<String>) -> Result<T, HeaderError> {
    Err(HeaderError::NotUnderstood(reason.into()))
}

impl Format {
    /// The format that a name promises.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "safetensors" => Some(Self::Safetensors),
            "gguf" => Some(Self::Gguf),
            _ => None,
        }
    }

    /// The format that a file's first bytes promise, when its name is not known.
    fn of_first_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'G', b'G', b'U', b'F', ..] => Some(Self::Gguf),
            [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some(Self::Safetensors),
            _ => None,
        }
    }

    /// Reads the header of a file of `size_bytes` from its beginning.
    ///
    /// # Errors
    /// [`HeaderError::Malformed`] says how the file contradicts itself; that it is too short among them.
    /// [`HeaderError::NotUnderstood`] says what is not known here.
    pub fn read(self, file: impl Read, size_bytes: u64) -> Result<Header, HeaderError> {
        let mut header = Header { format: self, tensors: 0, parameters: 0, dtypes: BTreeMap::new() };
        let read = match self {
            Self::Safetensors => safetensors::read(file, size_bytes, &mut header),
            Self::Gguf => gguf::read(BufReader::new(file), size_bytes, &mut header),
        };
        match read {
            Ok(()) => Ok(header),
            Err(HeaderError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                malformed("it ends within its header")
            }
            Err(HeaderError::Io(error)) => Err(error.into()),
            Err(HeaderError::Malformed(reason)) => malformed(cut(reason)),
            Err(HeaderError::NotUnderstood(reason)) => not_understood(cut(reason)),
        }
    }
}

fn cut(reason: String) -> String {
    match reason.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => reason.get(..end).unwrap_or_default().to_owned() + "...",
        None => reason,
    }
}

impl Header {
    /// Counts a tensor.
    fn add(&mut self, dtype: &str, numbers: u64) -> Result<(), HeaderError> {
        let Some(sum) = self.parameters.checked_add(numbers) else {
            return malformed("its tensors have more numbers than can be counted");
        };
        self.tensors = self.tensors.saturating_add(1);
        self.parameters = sum;
        let of_type = self.dtypes.entry(dtype.to_owned()).or_default();
        *of_type = of_type.saturating_add(numbers);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests;
