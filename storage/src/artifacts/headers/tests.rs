//! Both formats, on files built here. `tests/it/formats.rs` has thousands more, made by the formats' own packages.

use super::*;
use proptest::prelude::*;

fn safetensors(json: &str, data_bytes: usize) -> Vec<u8> {
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(json.as_bytes());
    file.resize(file.len() + data_bytes, 7);
    file
}

fn read(format: Format, file: &[u8]) -> Result<Header, HeaderError> {
    format.read(file, file.len() as u64)
}

/// Checks that a file is called damaged, with these words.
fn is_damaged(format: Format, file: &[u8], words: &str) {
    match read(format, file) {
        Err(HeaderError::Malformed(reason)) if reason.contains(words) => {}
        other => panic!("{words}: {other:?}"),
    }
}

/// Checks that a file is not understood, with these words.
fn is_unknown(format: Format, file: &[u8], words: &str) {
    match read(format, file) {
        Err(HeaderError::NotUnderstood(reason)) if reason.contains(words) => {}
        other => panic!("{words}: {other:?}"),
    }
}

const TWO: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
    "b":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]}}"#;

#[test]
fn safetensors_are_counted_and_held_against_the_length() {
    let header = read(Format::Safetensors, &safetensors(TWO, 34)).unwrap();
    assert_eq!((header.tensors, header.parameters), (2, 11));
    assert_eq!(header.dtypes, [("BF16".to_owned(), 5), ("F32".to_owned(), 6)].into());
    assert_eq!(read(Format::Safetensors, &safetensors("{}", 0)).unwrap().tensors, 0);
    for (file, words) in [
        (safetensors(TWO, 33), "have 34 bytes, but 33 follow"),
        (safetensors(TWO, 35), "have 34 bytes, but 35 follow"),
        (safetensors(TWO, 34)[..40].to_vec(), "longer than the file"),
        (safetensors("{", 0), "not JSON"),
        (safetensors(&TWO.replace("[2,3]", "[2,4]"), 34), "its tensor \"a\" has a size that does not match"),
        (safetensors(&TWO.replace("[24,34]", "[25,35]"), 35), "invalid offset for tensor `b`"),
        (
            safetensors(&TWO.replace("[2,3]", "[4294967296,4294967296]"), 34),
            "its tensor \"a\" has a size that does not match",
        ),
        (safetensors(&TWO.replace("\"pt\"", "1"), 34), "expected a string"),
        (safetensors(&TWO.replace("{\"format\":\"pt\"}", "{},\"__metadata__\":{}"), 34), "duplicate field"),
        (
            safetensors(&TWO.replace("[5]", "[5.0]"), 34),
            "its tensor \"b\" has a wrong description: invalid type: floating point",
        ),
        (vec![1, 2, 3], "within its header"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "longer than the file"),
    ] {
        is_damaged(Format::Safetensors, &file, words);
    }
}

#[test]
fn a_type_that_no_reader_of_safetensors_knows_is_refused() {
    let newer = TWO.replace("BF16", "F7");
    is_damaged(Format::Safetensors, &safetensors(&newer, 34), "its tensor \"b\" is of the type \"F7\"");
    let long = TWO.replace("BF16", &"é".repeat(100_000));
    let Err(HeaderError::Malformed(reason)) = read(Format::Safetensors, &safetensors(&long, 34)) else { panic!() };
    assert!(reason.ends_with("...") && reason.len() < 1_000, "{}", reason.len());
    let many = format!(r#"{{"a":[{}]}}"#, "0,".repeat(10_000_001));
    is_unknown(Format::Safetensors, &safetensors(&many, 0), "values");
}

/// A GGUF file, built byte by byte.
#[derive(Clone, Default)]
struct Gguf {
    is_big_endian: bool,
    /// 3 if none is named.
    version: Option<u32>,
    entries: Vec<(&'static [u8], u32, Vec<u8>)>,
    tensors: Vec<(&'static [u8], Vec<u64>, u32, u64)>,
}

impl Gguf {
    fn u32(&self, number: u32) -> [u8; 4] {
        if self.is_big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u64(&self, number: u64) -> [u8; 8] {
        if self.is_big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn text(&self, text: &[u8]) -> Vec<u8> {
        [&self.u64(text.len() as u64)[..], text].concat()
    }

    fn entry(mut self, name: &'static [u8], kind: u32, value: &[u8]) -> Self {
        self.entries.push((name, kind, value.to_vec()));
        self
    }

    fn tensor(mut self, name: &'static [u8], shape: &[u64], kind: u32, offset: u64) -> Self {
        self.tensors.push((name, shape.to_vec(), kind, offset));
        self
    }

    /// The file, with `data_bytes` after the aligned header.
    fn file(&self, alignment: usize, data_bytes: usize) -> Vec<u8> {
        let mut file = [b"GGUF".as_slice(), &self.u32(self.version.unwrap_or(3))].concat();
        file.extend_from_slice(&self.u64(self.tensors.len() as u64));
        file.extend_from_slice(&self.u64(self.entries.len() as u64));
        for (name, kind, value) in &self.entries {
            file.extend_from_slice(&self.text(name));
            file.extend_from_slice(&self.u32(*kind));
            file.extend_from_slice(value);
        }
        for (name, shape, kind, offset) in &self.tensors {
            file.extend_from_slice(&self.text(name));
            file.extend_from_slice(&self.u32(shape.len() as u32));
            shape.iter().for_each(|side| file.extend_from_slice(&self.u64(*side)));
            file.extend_from_slice(&self.u32(*kind));
            file.extend_from_slice(&self.u64(*offset));
        }
        file.resize(file.len().div_ceil(alignment) * alignment + data_bytes, 0);
        file
    }
}

/// Metadata texts, aligned to 64, and two tensors of which the last ends at byte 140.
fn two() -> Gguf {
    let words = [&8u32.to_le_bytes()[..], &2u64.to_le_bytes()].concat();
    let gguf = Gguf::default();
    let words = [words, gguf.text(b"a"), gguf.text(b"bc")].concat();
    let name = gguf.text("tiny ä".as_bytes());
    gguf.entry(b"general.name", 8, &name)
        .entry(b"general.alignment", 4, &64u32.to_le_bytes())
        .entry(b"tokens", 9, &words)
        .tensor(b"one", &[32, 2], 8, 0)
        .tensor(b"two", &[3, 1], 0, 128)
}

#[test]
fn gguf_is_counted_and_held_against_the_length() {
    let header = read(Format::Gguf, &two().file(64, 140)).unwrap();
    assert_eq!((header.tensors, header.parameters), (2, 67));
    assert_eq!(header.dtypes, [("F32".to_owned(), 3), ("Q8_0".to_owned(), 64)].into());
    for behind in [141, 192, 100_000] {
        assert!(read(Format::Gguf, &two().file(64, behind)).is_ok(), "{behind} bytes, more than the tensors have");
    }
    let whole = two().file(64, 140);
    for end in 0..whole.len() {
        is_damaged(Format::Gguf, &whole[..end], "");
    }
    is_damaged(Format::Gguf, &whole[..whole.len() - 1], "its tensors end at byte");
    is_damaged(Format::Gguf, &whole[..100], "within its header");
    is_damaged(Format::Gguf, b"GGML", "does not begin with GGUF");
    is_damaged(Format::Gguf, &[b"GGUF".as_slice(), &[3, 0, 0, 0], &[255; 16]].concat(), "more than 0 bytes can hold");
    for version in [0, 1, 4, 0x0102_0000] {
        let other = Gguf { version: Some(version), ..two() };
        is_unknown(Format::Gguf, &other.file(64, 140), "is not known here");
    }
    let older = Gguf { version: Some(2), ..two() };
    assert_eq!(read(Format::Gguf, &older.file(64, 140)).unwrap(), header);
}

#[test]
fn every_type_of_gguf_is_judged_by_its_length_and_an_unknown_one_by_none() {
    let mut known = 0;
    for (kind, is_big_endian) in (0..100).flat_map(|kind| [(kind, false), (kind, true)]) {
        // A row that is a multiple of every type's block.
        let last =
            Gguf { is_big_endian, ..Gguf::default() }.tensor(b"first", &[8], 0, 0).tensor(b"last", &[256, 2], kind, 32);
        if matches!(read(Format::Gguf, &last.file(32, 32)), Err(HeaderError::NotUnderstood(_))) {
            is_unknown(Format::Gguf, &last.file(32, 32), &format!("its tensor \"last\" is of the type {kind}"));
            is_damaged(Format::Gguf, &last.file(32, 31), "its tensors end at byte");
            continue;
        }
        let data_bytes =
            (0..10_000).find(|data_bytes| read(Format::Gguf, &last.file(32, *data_bytes)).is_ok()).unwrap();
        known += 1;
        let header = read(Format::Gguf, &last.file(32, data_bytes)).unwrap();
        assert_eq!((header.tensors, header.parameters), (2, 520), "type {kind}");
        is_damaged(Format::Gguf, &last.file(32, data_bytes - 1), "its tensors end at byte");
        assert!((32 + 512 / 8..=32 + 512 * 8).contains(&data_bytes), "type {kind}: {data_bytes} bytes");
    }
    assert_eq!(known, 34 * 2, "types of the package, in both orders of bytes");
}

#[test]
fn what_breaks_a_rule_of_gguf_is_damaged_and_what_is_newer_or_too_large_is_not() {
    let entry = |name, kind, value: &[u8]| Gguf::default().entry(name, kind, value).file(1, 0);
    let tensor = |shape: &[u64], kind, offset| Gguf::default().tensor(b"t", shape, kind, offset).file(32, 64);
    let number = 32u32.to_le_bytes();
    for alignment in [0u32, 3, 48, u32::MAX] {
        is_damaged(Format::Gguf, &entry(b"general.alignment", 4, &alignment.to_le_bytes()), "not a power of two");
    }
    is_damaged(Format::Gguf, &entry(b"general.alignment", 5, &number), "is of the type 5");
    is_damaged(Format::Gguf, &entry(b"\xff", 4, &number), "is not text");
    is_damaged(
        Format::Gguf,
        &Gguf::default().entry(b"a", 4, &number).entry(b"a", 0, &[1]).file(1, 0),
        "have the name \"a\"",
    );
    let twice = Gguf::default().tensor(b"t", &[4], 0, 0).tensor(b"t", &[4], 0, 32);
    is_damaged(Format::Gguf, &twice.file(32, 64), "have the name \"t\"");
    is_damaged(Format::Gguf, &tensor(&[33], 8, 0), "not a multiple of the 32 of Q8_0");
    is_damaged(Format::Gguf, &tensor(&[1 << 40, 1 << 40], 0, 0), "larger than a file can be");
    is_damaged(Format::Gguf, &tensor(&[4], 0, u64::MAX - 3), "its tensors end at byte");
    assert!(read(Format::Gguf, &tensor(&[0, 4], 0, 1 << 40)).is_ok(), "a tensor without numbers ends nowhere");
    assert!(read(Format::Gguf, &tensor(&[], 30, 62)).is_ok(), "a tensor without sides is a number");

    is_unknown(Format::Gguf, &entry(b"a", 13, &number), "a value of the type 13");
    let array = |depth: usize| {
        let outer = [9u32.to_le_bytes().as_slice(), &1u64.to_le_bytes()].concat().repeat(depth - 1);
        [outer, 0u32.to_le_bytes().to_vec(), 1u64.to_le_bytes().to_vec(), vec![7]].concat()
    };
    assert!(read(Format::Gguf, &entry(b"a", 9, &array(64))).is_ok());
    is_unknown(Format::Gguf, &entry(b"a", 9, &array(65)), "more than 64 arrays");
    is_unknown(Format::Gguf, &tensor(&[1; 65], 0, 0), "65 dimensions");
    let huge = [3u32.to_le_bytes().as_slice(), &(1u64 << 60).to_le_bytes()].concat();
    is_damaged(Format::Gguf, &entry(b"a", 9, &huge), "within its header");
    // A header that is too long, in a file that claims to be longer still: none of it is read.
    let long = [10u32.to_le_bytes().as_slice(), &(HEADER_SIZE_BYTES / 8).to_le_bytes()].concat();
    let file = entry(b"a", 9, &long);
    let read = Format::Gguf.read(file.as_slice(), HEADER_SIZE_BYTES * 2);
    assert!(matches!(&read, Err(HeaderError::NotUnderstood(reason)) if reason.contains("longer than")), "{read:?}");
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
        for (format, mut file) in [(Format::Gguf, two().file(64, 140)), (Format::Safetensors, safetensors(TWO, 34))] {
            file.truncate(cut.max(1));
            let at = at.min(file.len() - 1);
            file[at] = byte;
            let _ = read(format, &file);
        }
    }
}
