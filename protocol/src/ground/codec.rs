//! The only canonical bytes: what is signed, hashed, stored and sent.
//!
//! The format is that of bincode 1: fixed-width little-endian integers, `u64` lengths, `u32` enum tags. It is written
//! by `bincode` 2.0.1 in its `legacy` configuration; the format is the contract, not the crate, and the golden vectors
//! pin it. Every record starts with [`FORMAT_VERSION`].
//!
//! Decoding never trusts its input: it has a size limit and a depth limit, refuses trailing bytes, and refuses bytes
//! that do not re-encode to themselves. So one value has exactly one encoding, and a hash names one value.

mod depth;

use crate::ground::limits;
use depth::Shallow;
use serde::{Serialize, de::DeserializeOwned};

/// The first byte of every stored or sent record.
pub const FORMAT_VERSION: u8 = 1;

/// Room for the encoding of most values, so that few have to grow while they are written.
const USUAL_BYTES: usize = 256;

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are more bytes than allowed here.
    #[error("{len} bytes are more than the {max} that are allowed here")]
    TooLong {
        /// Number of bytes given.
        len: usize,
        /// Number of bytes allowed.
        max: usize,
    },
    /// There is not even a version byte.
    #[error("no bytes to decode")]
    Empty,
    /// The version byte is that of another format.
    #[error("the record has format version {0}; this build reads version {FORMAT_VERSION}")]
    Version(u8),
    /// The bytes are not a value of this type.
    #[error("malformed bytes: {0}")]
    Malformed(String),
    /// Bytes follow the record.
    #[error("{0} bytes after the end of the record")]
    Trailing(usize),
    /// The bytes are not the canonical encoding of the value.
    #[error("the bytes are not the canonical encoding of their value")]
    NotCanonical,
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::legacy().with_limit::<{ limits::RECORD_SIZE_BYTES }>()
}

/// The canonical bytes of a value: the version byte, then the value.
///
/// Never for the types of this crate: a value that serde cannot write is a defect of its type.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    bytes.push(FORMAT_VERSION);
    #[allow(clippy::expect_used, reason = "writing to a Vec cannot fail and every type of this crate is writable")]
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::legacy()).expect("encodable type");
    bytes
}

/// Reads back what [`encode`] wrote, from at most `max_bytes` bytes.
///
/// # Errors
/// See [`DecodeError`]; no part of the value is used then.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], max_bytes: usize) -> Result<T, DecodeError> {
    if bytes.len() > max_bytes {
        return Err(DecodeError::TooLong { len: bytes.len(), max: max_bytes });
    }
    let (version, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != FORMAT_VERSION {
        return Err(DecodeError::Version(*version));
    }
    let (Shallow(value), read) =
        bincode::serde::decode_from_slice::<Shallow<T>, _>(body, configuration()).map_err(malformed)?;
    let trailing = body.len().saturating_sub(read);
    if trailing > 0 {
        return Err(DecodeError::Trailing(trailing));
    }
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Reads the value that a record begins with, and returns the bytes that follow it. It costs no more than the value,
/// however long the record is.
///
/// # Errors
/// As [`decode`], of the value alone.
pub fn decode_beginning<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    let (version, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != FORMAT_VERSION {
        return Err(DecodeError::Version(*version));
    }
    let (Shallow(value), _) =
        bincode::serde::decode_from_slice::<Shallow<T>, _>(body, configuration()).map_err(malformed)?;
    let rest = bytes.strip_prefix(encode(&value).as_slice()).ok_or(DecodeError::NotCanonical)?;
    Ok((value, rest))
}

/// Reads a record that this machine wrote and whose integrity the storage guards, without the canonical check.
///
/// # Errors
/// As [`decode`], without [`DecodeError::NotCanonical`].
pub fn decode_trusted<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (version, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != FORMAT_VERSION {
        return Err(DecodeError::Version(*version));
    }
    bincode::serde::decode_from_slice::<Shallow<T>, _>(body, configuration())
        .map(|(Shallow(value), _)| value)
        .map_err(malformed)
}

fn malformed(error: bincode::error::DecodeError) -> DecodeError {
    DecodeError::Malformed(match error {
        // Our own message, which the library would quote.
        bincode::error::DecodeError::OtherString(words) => words,
        error => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_exactly_one_canonical_record() {
        let bytes = encode(&(7u32, true));
        assert_eq!(bytes, [1, 7, 0, 0, 0, 1]);
        assert_eq!(decode::<(u32, bool)>(&bytes, 64), Ok((7, true)));
        assert_eq!(decode::<(u32, bool)>(&bytes, 5), Err(DecodeError::TooLong { len: 6, max: 5 }));
        assert_eq!(decode::<(u32, bool)>(&[], 64), Err(DecodeError::Empty));
        assert_eq!(decode::<(u32, bool)>(&[9, 7, 0, 0, 0, 1], 64), Err(DecodeError::Version(9)));
        assert_eq!(decode::<(u32, bool)>(&[1, 7, 0, 0, 0, 1, 0], 64), Err(DecodeError::Trailing(1)));
        assert!(matches!(decode::<(u32, bool)>(&[1, 7, 0, 0, 0, 2], 64), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode::<(u32, bool)>(&[1, 7, 0], 64), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn a_beginning_is_read_whatever_follows_it() {
        let bytes = encode(&(7u32, true, "what follows"));
        let (value, rest) = decode_beginning::<(u32, bool)>(&bytes).expect("a beginning");
        assert_eq!((value, rest), ((7, true), &bytes[6..]));
        assert_eq!(decode_beginning::<(u32, bool)>(&bytes[..5]).ok(), None);
        assert_eq!(decode_beginning::<(u32, bool)>(&[]), Err(DecodeError::Empty));
        assert_eq!(decode_beginning::<u32>(&[9, 7, 0, 0, 0]), Err(DecodeError::Version(9)));
    }

    #[test]
    fn refuses_an_absurd_length_without_allocating_it() {
        let mut bytes = vec![FORMAT_VERSION];
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(decode::<Vec<u8>>(&bytes, 64), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode::<String>(&bytes, 64), Err(DecodeError::Malformed(_))));
    }

    /// A recursive type, which no type of the ledger may be.
    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    enum Nested {
        Leaf,
        Boxed(Box<Nested>),
        Listed(Vec<Nested>),
        Named { inner: Option<Box<Nested>> },
    }

    #[test]
    fn refuses_to_nest_deeper_than_any_record_does() {
        // Each level is one choice of a variant.
        let boxed = |levels: usize| {
            let mut bytes = vec![FORMAT_VERSION];
            bytes.extend(std::iter::repeat_n([1u8, 0, 0, 0], levels).flatten());
            bytes.extend([0; 4]);
            bytes
        };
        assert!(decode::<Nested>(&boxed(limits::DECODE_DEPTH - 1), 1 << 20).is_ok());
        for levels in [limits::DECODE_DEPTH, 2_000, 250_000] {
            let refused = decode::<Nested>(&boxed(levels), 1 << 20).expect_err("too deep");
            assert!(matches!(&refused, DecodeError::Malformed(why) if why.contains("nested deeper")), "{refused}");
            assert!(decode_trusted::<Nested>(&boxed(levels)).is_err());
        }
        // Lists, fields and options count too.
        let listed = [vec![FORMAT_VERSION], [2u8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].repeat(1_000)].concat();
        let named = [vec![FORMAT_VERSION], [3u8, 0, 0, 0, 1].repeat(1_000)].concat();
        for bytes in [listed, named] {
            let refused = decode::<Nested>(&bytes, 1 << 20).expect_err("too deep");
            assert!(matches!(&refused, DecodeError::Malformed(why) if why.contains("nested deeper")), "{refused}");
        }
        let shallow = Nested::Listed(vec![Nested::Leaf, Nested::Named { inner: Some(Box::new(Nested::Leaf)) }]);
        assert_eq!(decode::<Nested>(&encode(&shallow), 64), Ok(shallow));
    }

    proptest! {
        #[test]
        fn decoding_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode::<Vec<(String, Option<u64>)>>(&bytes, 256);
        }
    }
}
