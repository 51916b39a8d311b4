//! Golden vectors: the bytes of every stored or sent type of the protocol, from fixed keys and values.
//!
//! What a vector holds is the format itself: a second implementation has to write the same bytes and derive the same
//! ids from them, and a change here is a change that no other peer follows. `tests/vectors/*.json` keep them; the test
//! `vectors` compares, and says how to write them anew on purpose.
//!
//! Each enum has its list of variants in [`variants`]; [`required`] names the vectors that there must be, so that a
//! variant without one is found.

#![allow(clippy::expect_used, reason = "a vector that cannot be built should stop the test")]

mod blocks;
mod consensus;
mod fixed;
mod records;
mod results;
mod safety;
mod transactions;
mod variants;

pub use fixed::{chain, genesis, network};
pub use variants::required;

use allod_protocol::{
    ground::{
        codec, limits,
        state::{Family, Record},
    },
    proof::tree_key,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// What reading a vector's bytes gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The value in its human form.
    pub json: Value,
    /// The value's bytes.
    pub bytes: Vec<u8>,
}

/// Reads the bytes of one type, as a peer that received them does.
pub type Reader = fn(&[u8]) -> Result<Read, String>;

/// One value, its human form and its bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Vector {
    /// The type or the enum, a dot, and the variant or the case.
    pub name: String,
    /// The human form.
    pub json: Value,
    /// The canonical bytes, version byte included.
    #[serde(rename = "bytes_hex")]
    pub bytes: Hex,
    /// What is derived from the bytes: ids, signing bytes, addresses, keys.
    #[serde(flatten)]
    pub derived: BTreeMap<&'static str, String>,
    /// The type's decoder.
    #[serde(skip)]
    pub read: Reader,
}

/// Bytes that are shown as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

/// Lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All vectors, by the name of their file.
pub fn all() -> BTreeMap<&'static str, Vec<Vector>> {
    BTreeMap::from([
        ("artifacts", records::artifacts()),
        ("blocks", blocks::vectors()),
        ("chain", blocks::chain_vectors()),
        ("consensus", consensus::messages()),
        ("consensus_log", consensus::log()),
        ("genesis", blocks::genesis_vectors()),
        ("parts", records::parts()),
        ("results", results::vectors()),
        ("state", records::state()),
        ("transactions", transactions::vectors()),
    ])
}

/// Reads a type that has no decoder of its own.
fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Read, String> {
    let value: T = codec::decode(bytes, limits::RECORD_SIZE_BYTES).map_err(|error| error.to_string())?;
    Ok(Read { json: human(&value), bytes: codec::encode(&value) })
}

fn human<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("every type has a human form")
}

/// The vector of a value.
fn vector<T: Serialize + DeserializeOwned>(name: impl Into<String>, value: &T) -> Vector {
    vector_read(name, value, read::<T>)
}

/// The vector of a value whose type has a decoder of its own.
fn vector_read<T: Serialize>(name: impl Into<String>, value: &T, read: Reader) -> Vector {
    let (name, json, bytes) = (name.into(), human(value), Hex(codec::encode(value)));
    Vector { name, json, bytes, derived: BTreeMap::new(), read }
}

impl Vector {
    /// Adds what is derived from the bytes.
    fn with(mut self, what: &'static str, value: impl ToString) -> Self {
        self.derived.insert(what, value.to_string());
        self
    }
}

/// The vector of a state record: its key, where that stands in the tree, and its value.
fn record<R: Record>(key: &R::Key, value: &R) -> Vector {
    let bytes = R::key_bytes(key);
    let authenticated = Family::is_authenticated(R::FAMILY as u8);
    let vector = vector(format!("state.{}", variants::family(&R::FAMILY)), value).with("key_hex", hex(&bytes));
    if authenticated { vector.with("tree_key", hex(&tree_key(&bytes).0)) } else { vector }
}
