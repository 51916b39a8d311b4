//! What the files of a model say of themselves: the headers of safetensors and GGUF, checked against the file's length;
//! with the card (`card`), all that is told of an artifact ([`Contents`]).
//!
//! A file is taken for one of the two by the end of its name. Only its header is read, and never more of it than
//! [`HEADER_SIZE_BYTES`]; nothing of it is trusted before it is compared with what is there.
//!
//! Sources: the safetensors format (<https://github.com/huggingface/safetensors>), and the GGUF specification of ggml
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use super::{
    ArtifactStore, Card,
    error::{ArtifactError, at},
};
use allod_protocol::{
    artifact::{Artifact, ArtifactKind, ArtifactPath, Manifest},
    ids::ArtifactId,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of a header at most: the bound of safetensors, and room for the vocabulary that GGUF carries.
const HEADER_SIZE_BYTES: u64 = 100_000_000;
/// Tensors of a file at most.
const TENSORS: u64 = 1_000_000;
/// Entries of GGUF's metadata at most.
const ENTRIES: u64 = 1_000_000;
/// How deep GGUF's arrays may lie in each other.
const ARRAY_DEPTH: u32 = 4;
/// Dimensions of a tensor at most.
const DIMENSIONS: u32 = 8;

/// Types of numbers of a file at most: there are a few dozen.
const DTYPES: usize = 256;
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

/// Why a file is not what the end of its name says.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It breaks a rule of its format.
    #[error("{0}")]
    Malformed(String),
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

/// What an artifact says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contents {
    /// Its safetensors and GGUF files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_files: Vec<ModelFile>,
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
    /// were proven when it came and are not proven again. A file that breaks a rule of its format, or cannot be read, is
    /// left out.
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
        if let Ok(header) = format.read(first.as_slice().chain(reader), artifact.size_bytes) {
            contents.model_files.push(ModelFile { path: None, header });
        }
        Ok(contents)
    }

    /// With whether every file that could say something was read.
    fn contents_of_collection(&self, manifest: &Manifest) -> (Contents, bool) {
        let (mut contents, mut is_all) = (Contents::default(), true);
        for file in manifest.files() {
            let Some(format) = Format::of_name(file.path.as_str()) else { continue };
            let header = self.reader(&file.address).map(|reader| format.read(reader.into_bytes(), file.size_bytes));
            match header {
                Ok(Ok(header)) => contents.model_files.push(ModelFile { path: Some(file.path.clone()), header }),
                Ok(Err(HeaderError::Malformed(_))) => {}
                Ok(Err(HeaderError::Io(_))) | Err(_) => is_all = false,
            }
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

fn malformed<T>(reason: impl Into<String>) -> Result<T, HeaderError> {
    Err(HeaderError::Malformed(reason.into()))
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
    /// [`HeaderError::Malformed`] says which rule the file breaks; that it is too short or too long among them.
    pub fn read(self, file: impl Read, size_bytes: u64) -> Result<Header, HeaderError> {
        let mut header = Header { format: self, tensors: 0, parameters: 0, dtypes: BTreeMap::new() };
        let reader = BufReader::new(file.take(HEADER_SIZE_BYTES.saturating_add(8)));
        let read = match self {
            Self::Safetensors => safetensors(reader, size_bytes, &mut header),
            Self::Gguf => gguf(&mut Counted { reader, read_bytes: 0 }, size_bytes, &mut header),
        };
        match read {
            Err(HeaderError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                malformed("it ends within its header")
            }
            other => other.map(|()| header),
        }
    }
}

impl Header {
    fn add(&mut self, dtype: &str, shape: &[u64]) -> Result<u64, HeaderError> {
        let count = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let Some((count, sum)) = count.and_then(|count| Some((count, self.parameters.checked_add(count)?))) else {
            return malformed("its tensors have more numbers than can be counted");
        };
        self.tensors = self.tensors.saturating_add(1);
        self.parameters = sum;
        if self.dtypes.len() >= DTYPES && !self.dtypes.contains_key(dtype) {
            return malformed(format!("its tensors have more than {DTYPES} types"));
        }
        let of_type = self.dtypes.entry(dtype.to_owned()).or_default();
        *of_type = of_type.saturating_add(count);
        Ok(count)
    }
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

fn safetensors(mut reader: impl Read, size_bytes: u64, header: &mut Header) -> Result<(), HeaderError> {
    let mut len = [0; 8];
    reader.read_exact(&mut len)?;
    let len = u64::from_le_bytes(len);
    let Some(data_bytes) = size_bytes.checked_sub(8).and_then(|rest| rest.checked_sub(len)) else {
        return malformed(format!("its header of {len} bytes is longer than the file"));
    };
    if len > HEADER_SIZE_BYTES {
        return malformed(format!("its header of {len} bytes is longer than the {HEADER_SIZE_BYTES} allowed"));
    }
    let mut text = Vec::new();
    reader.take(len).read_to_end(&mut text)?;
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&text).or_else(|error| malformed(format!("its header is not JSON: {error}")))?;
    let mut ranges = Vec::new();
    for (name, entry) in entries.into_iter().filter(|(name, _)| name != "__metadata__") {
        let tensor: Tensor =
            serde_json::from_value(entry).or_else(|error| malformed(format!("its tensor {name:?}: {error}")))?;
        let count = header.add(&tensor.dtype, &tensor.shape)?;
        let [start, end] = tensor.data_offsets;
        let bits = bits_of(&tensor.dtype).and_then(|bits| count.checked_mul(bits));
        let fits = bits.is_none_or(|bits| end.checked_sub(start) == Some(bits.div_ceil(8)));
        if start > end || !fits {
            return malformed(format!("its tensor {name:?} has another size than its shape and type have"));
        }
        ranges.push((start, end));
    }
    ranges.sort_unstable();
    let mut at = 0;
    for (start, end) in ranges {
        if start != at {
            return malformed(format!("its tensors leave a gap or lie on each other at byte {at} of the data"));
        }
        at = end;
    }
    if at != data_bytes {
        return malformed(format!("its tensors have {at} bytes, but {data_bytes} follow the header"));
    }
    Ok(())
}

/// Bits of one number of a safetensors type; a type that is not known is not checked.
fn bits_of(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 8,
        "U16" | "I16" | "F16" | "BF16" => 16,
        "U32" | "I32" | "F32" => 32,
        "U64" | "I64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// A reader that knows how far it is.
struct Counted<R> {
    reader: R,
    read_bytes: u64,
}

impl<R: Read> Counted<R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.read_bytes = self.read_bytes.saturating_add(N as u64);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, HeaderError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, HeaderError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn skip(&mut self, count: u64) -> Result<(), HeaderError> {
        let skipped = io::copy(&mut self.reader.by_ref().take(count), &mut io::sink())?;
        self.read_bytes = self.read_bytes.saturating_add(skipped);
        if skipped == count { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
    }

    /// A string, of which at most the first bytes are kept.
    fn text(&mut self) -> Result<String, HeaderError> {
        const KEPT: u64 = 256;
        let len = self.u64()?;
        let mut kept = Vec::new();
        self.reader.by_ref().take(len.min(KEPT)).read_to_end(&mut kept)?;
        self.read_bytes = self.read_bytes.saturating_add(kept.len() as u64);
        self.skip(len.saturating_sub(kept.len() as u64))?;
        Ok(String::from_utf8_lossy(&kept).into_owned())
    }

    /// Skips a value of GGUF's metadata; gives it if it is a number of 32 bits.
    fn value(&mut self, kind: u32, depth: u32) -> Result<Option<u32>, HeaderError> {
        match kind {
            0 | 1 | 7 => self.skip(1)?,
            2 | 3 => self.skip(2)?,
            4 | 5 => return Ok(Some(self.u32()?)),
            6 => self.skip(4)?,
            10..=12 => self.skip(8)?,
            8 => drop(self.text()?),
            9 if depth < ARRAY_DEPTH => {
                let (kind, count) = (self.u32()?, self.u64()?);
                if count > HEADER_SIZE_BYTES {
                    return malformed("its metadata has an array of more values than fit");
                }
                for _ in 0..count {
                    self.value(kind, depth.saturating_add(1))?;
                }
            }
            9 => return malformed("its metadata has arrays too deep in each other"),
            _ => return malformed(format!("its metadata has a value of the unknown type {kind}")),
        }
        Ok(None)
    }
}

fn gguf<R: Read>(reader: &mut Counted<R>, size_bytes: u64, header: &mut Header) -> Result<(), HeaderError> {
    if reader.bytes::<4>()? != *b"GGUF" {
        return malformed("it does not begin with GGUF");
    }
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return malformed(format!("its version {version} of GGUF is not known here; 2 and 3 are"));
    }
    let (tensors, entries) = (reader.u64()?, reader.u64()?);
    if tensors > TENSORS || entries > ENTRIES {
        return malformed(format!("it claims {tensors} tensors and {entries} entries of metadata, more than allowed"));
    }
    let mut alignment = 32u64;
    for _ in 0..entries {
        let name = reader.text()?;
        let kind = reader.u32()?;
        let value = reader.value(kind, 0)?;
        if name == "general.alignment" {
            alignment = value.filter(|value| *value > 0).map_or(alignment, u64::from);
        }
    }
    let mut data_bytes = 0u64;
    for _ in 0..tensors {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > DIMENSIONS {
            return malformed(format!("its tensor {name:?} has {dimensions} dimensions, more than {DIMENSIONS}"));
        }
        let shape = (0..dimensions).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
        let (kind, offset) = (reader.u32()?, reader.u64()?);
        let Some((dtype, block, block_bytes)) = ggml_type(kind) else {
            header.add(&format!("type {kind}"), &shape)?;
            continue;
        };
        let count = header.add(dtype, &shape)?;
        let tensor_bytes = count.div_ceil(block).checked_mul(block_bytes);
        let Some(end) = tensor_bytes.and_then(|bytes| bytes.checked_add(offset)) else {
            return malformed(format!("its tensor {name:?} is larger than a file can be"));
        };
        data_bytes = data_bytes.max(end);
    }
    let start = reader.read_bytes.div_ceil(alignment).saturating_mul(alignment);
    let needed = if tensors == 0 { reader.read_bytes } else { start.saturating_add(data_bytes) };
    // What follows the last tensor can only be padding.
    if size_bytes < needed || size_bytes >= needed.saturating_add(alignment) {
        return malformed(format!("its tensors end at byte {needed}, but the file has {size_bytes}"));
    }
    Ok(())
}

/// A type of ggml: its name, how many numbers make a block, and a block's bytes.
const fn ggml_type(kind: u32) -> Option<(&'static str, u64, u64)> {
    Some(match kind {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 36),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        24 => ("I8", 1, 1),
        25 => ("I16", 1, 2),
        26 => ("I32", 1, 4),
        27 => ("I64", 1, 8),
        28 => ("F64", 1, 8),
        30 => ("BF16", 1, 2),
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tensors(json: &str, data_bytes: usize) -> Vec<u8> {
        let mut file = (json.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(json.as_bytes());
        file.resize(file.len() + data_bytes, 7);
        file
    }

    fn read(format: Format, file: &[u8]) -> Result<Header, String> {
        format.read(file, file.len() as u64).map_err(|error| error.to_string())
    }

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
        "b":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]}}"#;

    #[test]
    fn safetensors_are_counted_and_held_against_the_length() {
        let header = read(Format::Safetensors, &tensors(TWO, 34)).unwrap();
        assert_eq!((header.tensors, header.parameters), (2, 11));
        assert_eq!(header.dtypes, [("BF16".to_owned(), 5), ("F32".to_owned(), 6)].into());
        assert_eq!(read(Format::Safetensors, &tensors("{}", 0)).unwrap().tensors, 0);
        for (file, words) in [
            (tensors(TWO, 33), "have 34 bytes, but 33 follow"),
            (tensors(TWO, 35), "have 34 bytes, but 35 follow"),
            (tensors(TWO, 34)[..40].to_vec(), "longer than the file"),
            (tensors("{", 0), "not JSON"),
            (tensors(&TWO.replace("[2,3]", "[2,4]"), 34), "another size"),
            (tensors(&TWO.replace("[24,34]", "[25,35]"), 35), "gap"),
            (tensors(&TWO.replace("[2,3]", "[4294967296,4294967296]"), 34), "counted"),
            (vec![1, 2, 3], "within its header"),
        ] {
            let error = read(Format::Safetensors, &file).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    fn gguf_file(data_bytes: usize) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        let text = |file: &mut Vec<u8>, text: &str| {
            file.extend_from_slice(&(text.len() as u64).to_le_bytes());
            file.extend_from_slice(text.as_bytes());
        };
        file.extend_from_slice(&3u32.to_le_bytes());
        for count in [2u64, 3] {
            file.extend_from_slice(&count.to_le_bytes());
        }
        text(&mut file, "general.name");
        file.extend_from_slice(&8u32.to_le_bytes());
        text(&mut file, "tiny");
        text(&mut file, "general.alignment");
        file.extend_from_slice(&4u32.to_le_bytes());
        file.extend_from_slice(&64u32.to_le_bytes());
        text(&mut file, "tokens");
        file.extend_from_slice(&9u32.to_le_bytes());
        file.extend_from_slice(&8u32.to_le_bytes());
        file.extend_from_slice(&2u64.to_le_bytes());
        text(&mut file, "a");
        text(&mut file, "b");
        for (name, shape, kind, offset) in [("one", [32u64, 2], 8u32, 0u64), ("two", [3, 1], 0, 128)] {
            text(&mut file, name);
            file.extend_from_slice(&2u32.to_le_bytes());
            shape.iter().for_each(|size| file.extend_from_slice(&size.to_le_bytes()));
            file.extend_from_slice(&kind.to_le_bytes());
            file.extend_from_slice(&offset.to_le_bytes());
        }
        let start = file.len().div_ceil(64) * 64;
        file.resize(start + data_bytes, 0);
        file
    }

    #[test]
    fn gguf_is_counted_and_held_against_the_length() {
        let header = read(Format::Gguf, &gguf_file(140)).unwrap();
        assert_eq!((header.tensors, header.parameters), (2, 67));
        assert_eq!(header.dtypes, [("F32".to_owned(), 3), ("Q8_0".to_owned(), 64)].into());
        assert!(read(Format::Gguf, &gguf_file(192)).is_ok(), "padding after the last tensor");
        for (file, words) in [
            (gguf_file(139), "its tensors end at byte"),
            (gguf_file(300), "its tensors end at byte"),
            (gguf_file(140)[..100].to_vec(), "within its header"),
            (b"GGML".to_vec(), "does not begin with GGUF"),
            ([b"GGUF".as_slice(), &[1, 0, 0, 0]].concat(), "version 1"),
            ([b"GGUF".as_slice(), &[3, 0, 0, 0], &[255; 16]].concat(), "more than allowed"),
        ] {
            let error = read(Format::Gguf, &file).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_format_is_told_by_the_name() {
        assert_eq!(Format::of_name("weights/model-00001.SafeTensors"), Some(Format::Safetensors));
        assert_eq!(Format::of_name("a.gguf"), Some(Format::Gguf));
        assert_eq!(Format::of_name("gguf"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..400, at in 0usize..200, byte: u8) {
            let _ = read(Format::Safetensors, &bytes);
            let _ = read(Format::Gguf, &bytes);
            let mut file = gguf_file(140);
            file.truncate(cut.max(1));
            let at = at.min(file.len() - 1);
            file[at] = byte;
            let _ = read(Format::Gguf, &file);
            let mut file = tensors(TWO, 34);
            file.truncate(cut.max(1));
            let at = at.min(file.len() - 1);
            file[at] = byte;
            let _ = read(Format::Safetensors, &file);
        }
    }
}
