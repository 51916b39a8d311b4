//! What the files of a model say about themselves: the headers of safetensors and GGUF, checked against the file's
//! length; together with the card (`card`), all that is reported of an artifact ([`Contents`]).
//!
//! The format is recognised by the file's extension. Only the header is read, at most [`HEADER_SIZE_BYTES`] of it, and
//! nothing in it is trusted before it is compared with the file.
//!
//! A file is called damaged only if it contradicts itself in the eyes of the format's own readers. What may be valid
//! but is not known here, above all a GGUF type newer than this reader, is [`HeaderError::NotUnderstood`]: the file is
//! accepted as it is, and no header is reported.
//!
//! Continue with `safetensors` and `gguf`, which name their sources.

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

/// Maximum size of a header, in bytes: the bound of safetensors, and enough for the vocabulary that GGUF carries.
const HEADER_SIZE_BYTES: u64 = 100_000_000;
/// Maximum characters of a reason: it may contain names that a stranger chose.
const REASON_CHARS: usize = 300;
/// Number of artifacts whose contents are cached.
const KNOWN: usize = 64;

/// A format of model files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Tensors in sequence after a JSON header.
    Safetensors,
    /// Tensors and metadata, used by llama.cpp and related programs.
    Gguf,
}

/// What a file's header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ModelFileHeader))]
pub struct Header {
    /// The format.
    pub format: Format,
    /// Number of tensors.
    pub tensors: u64,
    /// Total number of parameters, over all tensors.
    pub parameters: u64,
    /// Number of parameters of each type, by the format's name of the type.
    pub dtypes: BTreeMap<String, u64>,
}

/// Why a file's header is not reported.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It contradicts itself: it is truncated, overwritten, or not a file of this format.
    #[error("{0}")]
    Malformed(String),
    /// It contains something that this reader does not know, or more than it accepts, and may be valid.
    #[error("{0}")]
    NotUnderstood(String),
}

/// A model file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelFile {
    /// Its path in the collection. `None` if the artifact is the file.
    pub path: Option<ArtifactPath>,
    /// The content of its header.
    #[serde(flatten)]
    pub header: Header,
}

/// A model file of an artifact whose header is not reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnreadFile {
    /// Its path in the collection. `None` if the artifact is the file.
    pub path: Option<ArtifactPath>,
    /// What is not understood, or damaged.
    pub reason: String,
}

/// What an artifact says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Contents {
    /// Its safetensors and GGUF files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_files: Vec<ModelFile>,
    /// Those whose header is damaged or not understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread_files: Vec<UnreadFile>,
    /// The card at the top of its `README.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
    /// Why the card cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_fault: Option<String>,
}

/// The contents of the most recently requested artifacts. They never go stale: an address fixes its bytes.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<BTreeMap<ArtifactId, Arc<Contents>>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, BTreeMap<ArtifactId, Arc<Contents>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArtifactStore {
    /// What an artifact says about itself: the headers of its model files, and its card. Headers of bytes in the store
    /// were proven when they arrived and are not proven again. Files that cannot be read are left out.
    ///
    /// # Errors
    /// When the artifact is not here, or is a single file that cannot be read.
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

    /// The contents, and whether every file with a header or card could be read.
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
    /// The format that a file name implies.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "safetensors" => Some(Self::Safetensors),
            "gguf" => Some(Self::Gguf),
            _ => None,
        }
    }

    /// The format that a file's first bytes imply, for a file without a known name.
    fn of_first_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'G', b'G', b'U', b'F', ..] => Some(Self::Gguf),
            [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some(Self::Safetensors),
            _ => None,
        }
    }

    /// Reads the header of a file of `size_bytes` from its start.
    ///
    /// # Errors
    /// [`HeaderError::Malformed`] says how the file contradicts itself, for example that it is too short.
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
            return malformed("its tensors have more parameters than can be counted");
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
