//! The header of a safetensors file, read by the format's own library.
//!
//! The library judges; this module describes what it refuses in terms of the file, naming the tensor where possible. A
//! type that the library does not know is refused too: no reader opens such a file.

use super::{HEADER_SIZE_BYTES, Header, HeaderError, malformed, not_understood};
use ::safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::Deserialize;
use std::{collections::BTreeMap, io::Read};

/// Maximum number of values in a header, which bounds its memory; each tensor has ten or more.
const VALUES: usize = 10_000_000;

/// Reads the header from the start of a file.
pub(super) fn read(mut file: impl Read, size_bytes: u64, header: &mut Header) -> Result<(), HeaderError> {
    let mut len = [0; 8];
    file.read_exact(&mut len)?;
    let len = u64::from_le_bytes(len);
    let Some(data_bytes) = size_bytes.checked_sub(8).and_then(|rest| rest.checked_sub(len)) else {
        return malformed(format!("its header of {len} bytes is longer than the file"));
    };
    if len > HEADER_SIZE_BYTES {
        return malformed(format!("its header of {len} bytes is longer than the {HEADER_SIZE_BYTES} allowed"));
    }
    let mut text = Vec::new();
    file.take(len).read_to_end(&mut text)?;
    let Ok(text) = std::str::from_utf8(&text) else { return malformed("its header is not text") };
    // Every value except the first of a list follows one of these.
    if text.bytes().filter(|byte| matches!(byte, b',' | b':' | b'[')).count() > VALUES {
        return not_understood(format!("its header has more than {VALUES} values"));
    }
    let metadata: Metadata = serde_json::from_str(text).map_err(|error| fault(text, &error))?;
    let end = metadata.data_len() as u64;
    if end != data_bytes {
        return malformed(format!("its tensors have {end} bytes, but {data_bytes} follow the header"));
    }
    for TensorInfo { dtype, shape, .. } in metadata.tensors().into_values() {
        // The library has checked that the product does not overflow.
        let numbers = shape.iter().fold(1u64, |product, side| product.saturating_mul(*side as u64));
        header.add(&dtype.to_string(), numbers)?;
    }
    Ok(())
}

/// A tensor, whose type may be unknown.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
}

/// Why the library refuses a header.
fn fault(text: &str, error: &serde_json::Error) -> HeaderError {
    let entries: BTreeMap<String, serde_json::Value> = match serde_json::from_str(text) {
        Ok(entries) => entries,
        Err(error) => return HeaderError::Malformed(format!("its header is not JSON: {error}")),
    };
    let mut tensors = entries.iter().filter(|(name, _)| *name != "__metadata__");
    let reason = tensors.find_map(|(name, entry)| Some((name, fault_of(entry)?)));
    HeaderError::Malformed(match reason {
        Some((name, reason)) => format!("its tensor {name:?} {reason}"),
        None => format!("its header breaks a rule: {error}"),
    })
}

/// What is wrong with one tensor on its own.
fn fault_of(entry: &serde_json::Value) -> Option<String> {
    match (Tensor::deserialize(entry), TensorInfo::deserialize(entry)) {
        (Ok(Tensor { dtype }), Err(_)) if !is_known(&dtype) => {
            Some(format!("is of the type {dtype:?}, which the format's reader does not know"))
        }
        (_, Err(error)) => Some(format!("has a wrong description: {error}")),
        (_, Ok(info)) => (!fits(&info)).then(|| "has a size that does not match its shape and type".to_owned()),
    }
}

fn is_known(dtype: &str) -> bool {
    Dtype::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(dtype)).is_ok()
}

fn fits(info: &TensorInfo) -> bool {
    let (start, end) = info.data_offsets;
    let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |product, side| product.checked_mul(*side));
    bits.is_some_and(|bits| bits % 8 == 0 && end.checked_sub(start) == Some(bits / 8))
}
