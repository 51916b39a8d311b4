//! What the maker of a model says about it: the YAML block at the top of a collection's `README.md`, as on Hugging
//! Face.
//!
//! A card is a claim, not a fact: nothing in it is checked against the ledger or the files, and a card that cannot be
//! read is no reason to refuse an artifact. The block is small ([`CARD_SIZE_BYTES`]). YAML aliases are not read, so a
//! card cannot expand while it is parsed. Fields other than those below are dropped.
//!
//! Source: <https://huggingface.co/docs/hub/model-cards>.

use super::{
    ArtifactStore,
    error::ArtifactError,
    slice::{BlobReader, ByteRange, GROUP_SIZE_BYTES},
};
use allod_protocol::rules::artifact::Manifest;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// The file that begins with the card.
const CARD_FILE: &str = "README.md";
/// Maximum size of the block, in bytes.
pub const CARD_SIZE_BYTES: u64 = 4 * GROUP_SIZE_BYTES;
/// Maximum number of keys, values and items in a card.
const NODES: usize = 10_000;
/// Maximum nesting depth of a card.
const DEPTH: usize = 32;
/// The line before and after the block.
const FENCE: &str = "---";

/// The content of a card. Fields that it lacks are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Card {
    /// The name of the model.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model_name: Option<String>,
    /// The licence, by its identifier on Hugging Face; `other` if `license_name` names it.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The name of a licence that has no identifier there.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub license_name: Option<String>,
    /// Where to read the licence.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub license_link: Option<String>,
    /// Languages, as codes.
    #[serde(deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub language: Vec<String>,
    /// Search terms.
    #[serde(deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Models from which it was made.
    #[serde(deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub base_model: Vec<String>,
    /// How it was made from them: `finetune`, `adapter`, `merge`, `quantized`.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub base_model_relation: Option<String>,
    /// The data sets it was trained on.
    #[serde(deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<String>,
    /// How its quality was measured.
    #[serde(deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// The task it is for.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub pipeline_tag: Option<String>,
    /// The library that runs it.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub library_name: Option<String>,
}

impl Card {
    /// Reads the card of a `README.md`, or of the start of one. `None` if it has no such block.
    ///
    /// # Errors
    /// What is wrong with the block.
    pub fn read(readme: &[u8]) -> Result<Option<Self>, String> {
        let Some(block) = block(readme)? else { return Ok(None) };
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_aliases: 0,
                max_documents: 1,
                max_nodes: NODES,
                max_depth: DEPTH,
            },
            // `no` is a language.
            strict_booleans: true,
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        };
        let card: Option<Self> = serde_saphyr::from_str_with_options(block, options)
            .map_err(|error| format!("its head is not the YAML of a model card: {}", first_line(&error.to_string())))?;
        Ok(card)
    }
}

/// YAML errors quote the place over several lines. The first line says what is wrong.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

/// The text between the opening fence and the next one.
fn block(readme: &[u8]) -> Result<Option<&str>, String> {
    let readme = readme.strip_prefix("\u{feff}".as_bytes()).unwrap_or(readme);
    let mut lines = readme.split_inclusive(|byte| *byte == b'\n');
    let Some(first) = lines.next().filter(|line| line.trim_ascii_end() == FENCE.as_bytes()) else { return Ok(None) };
    let mut len = 0usize;
    for line in lines {
        if line.trim_ascii_end() == FENCE.as_bytes() {
            let block = readme.get(first.len()..first.len().saturating_add(len)).unwrap_or_default();
            return std::str::from_utf8(block).map(Some).map_err(|_| "its head is not UTF-8".to_owned());
        }
        len = len.saturating_add(line.len());
    }
    Err(format!("its head has no end, a line {FENCE}, within {CARD_SIZE_BYTES} bytes"))
}

/// One text, or the first of a list.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(texts(deserializer)?.into_iter().next())
}

/// A list of texts, or a single one: cards have either. Numbers and booleans are taken as text; anything structured,
/// such as a mapping, is dropped.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(Texts)
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![text.to_owned()])
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_none<E: Error>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        texts(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut all = Vec::new();
        while let Some(Item(texts)) = list.next_element()? {
            all.extend(texts);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }
}

struct Item(Vec<String>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        texts(deserializer).map(Self)
    }
}

impl ArtifactStore {
    /// The card of a collection, or the reason why it cannot be read. `None` if it has none.
    pub(super) fn card(&self, manifest: &Manifest) -> Result<Option<Result<Card, String>>, ArtifactError> {
        let mut files = manifest.files().iter();
        let Some(file) = files.find(|file| file.path.as_str() == CARD_FILE) else { return Ok(None) };
        let head = head(&self.reader(&file.address)?)?;
        Ok(Card::read(&head).transpose())
    }
}

/// The first bytes of a file, proven against its address.
fn head(reader: &BlobReader) -> Result<Vec<u8>, ArtifactError> {
    let mut bytes = Vec::new();
    reader.read(ByteRange { start: 0, end: reader.size_bytes().min(CARD_SIZE_BYTES) }, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Card>, String> {
        Card::read(text.as_bytes())
    }

    #[test]
    fn a_card_says_what_it_says_in_either_form() {
        let card = read(
            "---\nlicense: apache-2.0\nlanguage:\n- en\n- no\ntags: [text, 7, true]\nbase_model: a/b\ndatasets:\n- c/d\n\
             - {odd: one}\npipeline_tag: text-generation\nlibrary_name: 'transformers'\nlicense_link:\nmodel-index:\n- name: x\n  \
             results: []\n---\n# Title\n",
        );
        let expected = Card {
            license: Some("apache-2.0".into()),
            language: vec!["en".into(), "no".into()],
            tags: vec!["text".into(), "7".into(), "true".into()],
            base_model: vec!["a/b".into()],
            datasets: vec!["c/d".into()],
            pipeline_tag: Some("text-generation".into()),
            library_name: Some("transformers".into()),
            ..Card::default()
        };
        assert_eq!(card, Ok(Some(expected)));
        let windows = read("\u{feff}---\r\nlicense: mit\r\n---\r\ntext").unwrap().unwrap();
        assert_eq!(windows.license.as_deref(), Some("mit"));
        assert_eq!(read("---\n---\n"), Ok(None), "an empty block says nothing");
        for none in ["", "# Title\n---\nlicense: mit\n---\n", "----\na: b\n---\n", "text"] {
            assert_eq!(read(none), Ok(None), "{none:?}");
        }
    }

    #[test]
    fn what_is_no_card_is_said_and_nothing_grows() {
        for (text, reason) in [
            ("---\nlicense: mit\n", "has no end"),
            ("---\nlicense: [mit\n---\n", "not the YAML"),
            ("---\n- a\n- b\n---\n", "not the YAML"),
            ("---\njust text\n---\n", "not the YAML"),
            ("---\na: &a [x, x]\ntags: [*a, *a]\n---\n", "not the YAML"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(reason) && !error.contains('\n'), "{text:?}: {error}");
        }
        assert!(Card::read(b"---\nlicense: \xff\n---\n").unwrap_err().contains("UTF-8"));
        let deep = format!("---\ntags: {}{}\n---\n", "[".repeat(1_000), "]".repeat(1_000));
        assert!(read(&deep).is_err());
        let wide = format!("---\ntags: [{}]\n---\n", "a,".repeat(NODES));
        assert!(read(&wide).is_err());
    }
}
