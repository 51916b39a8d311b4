//! The header of a GGUF file.
//!
//! It is judged like the reader of ggml's own Python package (`gguf` on PyPI, class `GGUFReader`); the test `formats`
//! compares the two. So tensors may overlap or leave gaps, and bytes may follow the last one, but no tensor may end
//! past the end of the file. A tensor of an unknown type is not checked for its length.
//!
//! Sources: the specification (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), and for the sizes of the types
//! `GGML_QUANT_SIZES` in `gguf/constants.py` of the package (version 0.19.0;
//! <https://github.com/ggml-org/llama.cpp/tree/master/gguf-py>).

use super::{HEADER_SIZE_BYTES, Header, HeaderError, malformed, not_understood};
use std::{collections::BTreeSet, io, io::Read};

/// Maximum number of tensors in a file.
const TENSORS: u64 = 1_000_000;
/// Minimum bytes that a tensor takes in the header: the lengths of its name and of its shape, its type, its offset.
const TENSOR_SIZE_BYTES: u64 = 8 + 4 + 4 + 8;
/// Maximum number of metadata entries.
const ENTRIES: u64 = 1_000_000;
/// Minimum bytes that an entry takes: the length of its name, its type, a value of one byte.
const ENTRY_SIZE_BYTES: u64 = 8 + 4 + 1;
/// Maximum nesting depth of arrays.
const ARRAY_DEPTH: u32 = 64;
/// Maximum number of dimensions of a tensor: as many as the reference reader's arrays have.
const DIMENSIONS: u64 = 64;
/// The metadata entry with the alignment of the tensors, of the type [`UINT32`].
const ALIGNMENT: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;

const UINT32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// Reads the header from the start of a file.
pub(super) fn read(file: impl Read, size_bytes: u64, header: &mut Header) -> Result<(), HeaderError> {
    let mut reader = Reader { file, size_bytes, read_bytes: 0, is_big_endian: false };
    if reader.bytes::<4>()? != *b"GGUF" {
        return malformed("it does not begin with GGUF");
    }
    reader.version()?;
    let (tensors, entries) = (reader.u64()?, reader.u64()?);
    reader.expect(entries, ENTRY_SIZE_BYTES, ENTRIES, "entries of metadata")?;
    reader.expect(tensors, TENSOR_SIZE_BYTES, TENSORS, "tensors")?;
    let alignment = reader.metadata(entries)?;
    let (end, unknown) = reader.tensors(tensors, header)?;
    // If no tensor has elements of a known type, nothing after the header is required.
    if let Some(end) = end {
        let needed = reader.read_bytes.div_ceil(alignment).saturating_mul(alignment).saturating_add(end);
        if size_bytes < needed {
            return malformed(format!("its tensors end at byte {needed}, but the file has {size_bytes}"));
        }
    }
    unknown.map_or(Ok(()), not_understood)
}

/// A reader that knows its position and how much the file can still hold.
struct Reader<R> {
    file: R,
    size_bytes: u64,
    read_bytes: u64,
    is_big_endian: bool,
}

impl<R: Read> Reader<R> {
    /// Checks that `count` more bytes exist, and belong to a header that is not too long.
    fn need(&self, count: u64) -> Result<(), HeaderError> {
        let Some(end) = self.read_bytes.checked_add(count).filter(|end| *end <= self.size_bytes) else {
            return malformed("it ends within its header");
        };
        if end > HEADER_SIZE_BYTES {
            return not_understood(format!("its header is longer than the {HEADER_SIZE_BYTES} bytes that are read"));
        }
        Ok(())
    }

    /// Checks that `count` items of at least `least_bytes` each can follow, and are at most `most`.
    fn expect(&self, count: u64, least_bytes: u64, most: u64, what: &str) -> Result<(), HeaderError> {
        let left_bytes = self.size_bytes.saturating_sub(self.read_bytes);
        if count.checked_mul(least_bytes).is_none_or(|bytes| bytes > left_bytes) {
            return malformed(format!("it claims {count} {what}, more than {left_bytes} bytes can hold"));
        }
        if count > most {
            return not_understood(format!("it has {count} {what}; at most {most} are read"));
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        self.need(N as u64)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.read_bytes = self.read_bytes.saturating_add(N as u64);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, HeaderError> {
        let bytes = self.bytes()?;
        Ok(if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(&mut self) -> Result<u64, HeaderError> {
        let bytes = self.bytes()?;
        Ok(if self.is_big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn skip(&mut self, count: u64) -> Result<(), HeaderError> {
        self.need(count)?;
        let skipped = io::copy(&mut self.file.by_ref().take(count), &mut io::sink())?;
        self.read_bytes = self.read_bytes.saturating_add(skipped);
        if skipped == count { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
    }

    /// The name of an entry or a tensor, which must be unique.
    fn name(&mut self, known: &mut BTreeSet<String>, what: &str) -> Result<String, HeaderError> {
        let len = self.u64()?;
        self.need(len)?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(len).read_to_end(&mut bytes)?;
        self.read_bytes = self.read_bytes.saturating_add(bytes.len() as u64);
        let Ok(name) = String::from_utf8(bytes) else {
            return malformed(format!("the name of one of its {what} is not text"));
        };
        if !known.insert(name.clone()) {
            return malformed(format!("two of its {what} have the name {name:?}"));
        }
        Ok(name)
    }

    /// The version, which also tells the byte order: its lower half is zero only in the other order.
    fn version(&mut self) -> Result<(), HeaderError> {
        let little_endian = self.u32()?;
        self.is_big_endian = little_endian & 0xffff == 0;
        let version = if self.is_big_endian { little_endian.swap_bytes() } else { little_endian };
        if !(2..=3).contains(&version) {
            return not_understood(format!("its GGUF version {version} is not known here; versions 2 and 3 are"));
        }
        Ok(())
    }

    /// Skips the metadata, and returns the alignment of the tensors.
    fn metadata(&mut self, entries: u64) -> Result<u64, HeaderError> {
        let (mut names, mut alignment) = (BTreeSet::new(), DEFAULT_ALIGNMENT);
        for _ in 0..entries {
            let name = self.name(&mut names, "entries of metadata")?;
            let kind = self.u32()?;
            if name != ALIGNMENT || kind != UINT32 {
                self.skip_value(kind, 0)?;
                if name == ALIGNMENT {
                    return malformed(format!("its {ALIGNMENT} is of the type {kind}, not {UINT32}"));
                }
                continue;
            }
            alignment = self.u32()?.into();
            if !alignment.is_power_of_two() {
                return malformed(format!("its {ALIGNMENT} is {alignment}, not a power of two"));
            }
        }
        Ok(alignment)
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> Result<(), HeaderError> {
        match kind {
            STRING => {
                let len = self.u64()?;
                self.skip(len)
            }
            ARRAY => self.skip_array(depth),
            _ => match scalar_bytes(kind) {
                Some(bytes) => self.skip(bytes),
                None => not_understood(format!("its metadata has a value of the type {kind}, which is not known here")),
            },
        }
    }

    fn skip_array(&mut self, depth: u32) -> Result<(), HeaderError> {
        if depth >= ARRAY_DEPTH {
            return not_understood(format!("its metadata nests more than {ARRAY_DEPTH} arrays"));
        }
        let (kind, count) = (self.u32()?, self.u64()?);
        if let Some(bytes) = scalar_bytes(kind) {
            return self.skip(count.saturating_mul(bytes));
        }
        // Each takes bytes, so the file's length bounds the loop.
        for _ in 0..count {
            self.skip_value(kind, depth.saturating_add(1))?;
        }
        Ok(())
    }

    /// Counts the tensors. Returns where the last one of known length ends after the header, and what is not
    /// understood.
    fn tensors(&mut self, count: u64, header: &mut Header) -> Result<(Option<u64>, Option<String>), HeaderError> {
        let (mut names, mut end, mut unknown) = (BTreeSet::new(), None, None);
        for _ in 0..count {
            let name = self.name(&mut names, "tensors")?;
            let dimensions = self.u32()?.into();
            self.expect(dimensions, 8, DIMENSIONS, "dimensions of a tensor")?;
            let shape = (0..dimensions).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
            let (kind, offset) = (self.u32()?, self.u64()?);
            let Some(dtype) = DType::of(kind) else {
                unknown.get_or_insert(format!("its tensor {name:?} is of the type {kind}, which is not known here"));
                continue;
            };
            if shape.first().unwrap_or(&1).checked_rem(dtype.block) != Some(0) {
                let DType { name: dtype, block, .. } = dtype;
                return malformed(format!(
                    "its tensor {name:?} has rows that are not a multiple of the {block} of {dtype}"
                ));
            }
            let Some((numbers, bytes)) = dtype.count(&shape) else {
                return malformed(format!("its tensor {name:?} is larger than a file can be"));
            };
            header.add(dtype.name, numbers)?;
            if numbers > 0 {
                end = end.max(Some(offset.saturating_add(bytes)));
            }
        }
        Ok((end, unknown))
    }
}

/// Bytes of a metadata value of fixed length.
const fn scalar_bytes(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,      // UINT8, INT8, BOOL
        2 | 3 => 2,          // UINT16, INT16
        UINT32 | 5 | 6 => 4, // INT32, FLOAT32
        10..=12 => 8,        // UINT64, INT64, FLOAT64
        _ => return None,
    })
}

/// A tensor type.
struct DType {
    name: &'static str,
    /// Numbers that are stored together; the length of a row is a multiple of it.
    block: u64,
    block_bytes: u64,
}

impl DType {
    /// The type of a number. `None` if this table does not have it.
    const fn of(kind: u32) -> Option<Self> {
        let (name, block, block_bytes) = match kind {
            0 => ("F32", 1, 4),
            1 => ("F16", 1, 2),
            2 => ("Q4_0", 32, 18),
            3 => ("Q4_1", 32, 20),
            6 => ("Q5_0", 32, 22),
            7 => ("Q5_1", 32, 24),
            8 => ("Q8_0", 32, 34),
            9 => ("Q8_1", 32, 40),
            10 => ("Q2_K", 256, 84),
            11 => ("Q3_K", 256, 110),
            12 => ("Q4_K", 256, 144),
            13 => ("Q5_K", 256, 176),
            14 => ("Q6_K", 256, 210),
            15 => ("Q8_K", 256, 292),
            16 => ("IQ2_XXS", 256, 66),
            17 => ("IQ2_XS", 256, 74),
            18 => ("IQ3_XXS", 256, 98),
            19 => ("IQ1_S", 256, 50),
            20 => ("IQ4_NL", 32, 18),
            21 => ("IQ3_S", 256, 110),
            22 => ("IQ2_S", 256, 82),
            23 => ("IQ4_XS", 256, 136),
            24 => ("I8", 1, 1),
            25 => ("I16", 1, 2),
            26 => ("I32", 1, 4),
            27 => ("I64", 1, 8),
            28 => ("F64", 1, 8),
            29 => ("IQ1_M", 256, 56),
            30 => ("BF16", 1, 2),
            34 => ("TQ1_0", 256, 54),
            35 => ("TQ2_0", 256, 66),
            39 => ("MXFP4", 32, 17),
            40 => ("NVFP4", 64, 36),
            41 => ("Q1_0", 128, 18),
            _ => return None,
        };
        Some(Self { name, block, block_bytes })
    }

    /// Numbers and bytes of a tensor of a shape. `None` if a file cannot hold them, even if one of its sides is zero.
    fn count(&self, shape: &[u64]) -> Option<(u64, u64)> {
        let numbers = shape.iter().try_fold(1u64, |product, side| product.checked_mul(*side.max(&1)))?;
        let bytes =
            numbers.div_ceil(self.block).checked_mul(self.block_bytes).filter(|bytes| i64::try_from(*bytes).is_ok())?;
        Some(if shape.contains(&0) { (0, 0) } else { (numbers, bytes) })
    }
}
