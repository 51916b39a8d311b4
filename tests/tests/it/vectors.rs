//! The format stays what it is: committed vectors, one for every variant, and decoders that take nothing else.

use allod_tests::vectors::{self, Vector};
use proptest::prelude::*;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, sync::LazyLock};

static VECTORS: LazyLock<BTreeMap<&'static str, Vec<Vector>>> = LazyLock::new(vectors::all);

const REMEDY: &str = "a change of the format: no other peer follows it. If it is meant, write the vectors anew with \
                      ALLOD_UPDATE_VECTORS=1 cargo test --release --workspace --test it vectors, and say so in \
                      CHANGELOG.md";

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{file}.json"))
}

fn every() -> impl Iterator<Item = &'static Vector> {
    VECTORS.values().flatten()
}

/// What differs between two lists of vectors, by name.
fn differences(file: &str, committed: &Value, now: &Value) -> Vec<String> {
    let by_name = |vectors: &Value| -> BTreeMap<String, Value> {
        let list = vectors.as_array().cloned().unwrap_or_default();
        list.into_iter().map(|vector| (vector["name"].to_string(), vector)).collect()
    };
    let (committed, now) = (by_name(committed), by_name(now));
    let mut found = Vec::new();
    for (name, vector) in &committed {
        match now.get(name) {
            None => found.push(format!("{file}: {name} is gone")),
            Some(other) if other != vector => {
                let fields = vector.as_object().into_iter().flatten();
                let changed: Vec<&String> =
                    fields.filter(|(key, value)| other[*key] != **value).map(|(key, _)| key).collect();
                found.push(format!("{file}: {name} differs in {changed:?}"));
            }
            Some(_) => {}
        }
    }
    found.extend(now.keys().filter(|name| !committed.contains_key(*name)).map(|name| format!("{file}: {name} is new")));
    found
}

#[test]
fn the_bytes_are_those_that_were_committed() {
    let update = std::env::var_os("ALLOD_UPDATE_VECTORS").is_some();
    let mut found = Vec::new();
    for (file, vectors) in &*VECTORS {
        let now = serde_json::to_value(vectors).unwrap();
        if update {
            let text = format!("{}\n", serde_json::to_string_pretty(vectors).unwrap());
            std::fs::write(path(file), text).unwrap();
        }
        let text = std::fs::read_to_string(path(file)).unwrap_or_default();
        let committed = serde_json::from_str(&text).unwrap_or(Value::Null);
        found.extend(differences(file, &committed, &now));
    }
    assert!(found.is_empty(), "{REMEDY}\n{}", found.join("\n"));
}

#[test]
fn every_vector_reads_back_to_the_same_value() {
    for vector in every() {
        let read = (vector.read)(&vector.bytes.0).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(read.json, vector.json, "{}", vector.name);
        assert_eq!(read.bytes, vector.bytes.0, "{}", vector.name);
    }
}

#[test]
fn every_variant_has_a_vector_and_every_name_is_used_once() {
    let mut names = BTreeMap::new();
    for vector in every() {
        *names.entry(vector.name.as_str()).or_insert(0) += 1;
    }
    assert!(names.values().all(|count| *count == 1), "{names:?}");
    let missing: Vec<String> =
        vectors::required().into_iter().filter(|name| !names.contains_key(name.as_str())).collect();
    assert!(missing.is_empty(), "no vectors for {missing:?}: add them in tests/src/vectors");
}

#[test]
fn no_decoder_takes_more_or_fewer_bytes_or_another_version() {
    for vector in every() {
        let bytes = &vector.bytes.0;
        for end in 0..bytes.len() {
            assert!((vector.read)(&bytes[..end]).is_err(), "{} cut to {end} bytes", vector.name);
        }
        for more in [&[0][..], &[1], &[0; 8]] {
            assert!((vector.read)(&[bytes, more].concat()).is_err(), "{} with {more:?} behind it", vector.name);
        }
        for version in [0, 2, 255] {
            let mut other = bytes.clone();
            other[0] = version;
            assert!((vector.read)(&other).is_err(), "{} with version {version}", vector.name);
        }
    }
}

#[test]
fn what_has_an_order_is_refused_out_of_order() {
    // The two halves of a validator set's list swapped: the same set, other bytes.
    let set = every().find(|vector| vector.name == "validator_set").unwrap();
    let mut bytes = set.bytes.0.clone();
    let (head, entry) = (1 + 8, 32 + 8 + 32);
    assert_eq!(bytes.len(), head + 4 * entry);
    let (first, second) = bytes[head..].split_at_mut(entry);
    first.swap_with_slice(&mut second[..entry]);
    assert!((set.read)(&bytes).unwrap_err().contains("canonical"));
}

/// A few bytes changed, put in or left out.
#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    /// A length, a number or a tag becomes an extreme.
    Fill(prop::sample::Index, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at().prop_map(Mutation::Remove),
        (at(), prop_oneof![Just(0u8), Just(0xff), Just(0x7f)]).prop_map(|(at, byte)| Mutation::Fill(at, byte)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(len)] = *byte,
        Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Mutation::Insert(at, byte) => bytes.insert(at.index(len), *byte),
        Mutation::Remove(at) => drop(bytes.remove(at.index(len))),
        Mutation::Fill(at, byte) => {
            let start = at.index(len);
            bytes[start..len.min(start + 8)].fill(*byte);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_refused_or_are_another_canonical_value(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let all: Vec<&Vector> = every().collect();
        let vector = all[which.index(all.len())];
        let mut bytes = vector.bytes.0.clone();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        if let Ok(read) = (vector.read)(&bytes) {
            prop_assert_eq!(&read.bytes, &bytes, "{} has two encodings", vector.name);
        }
    }
}
