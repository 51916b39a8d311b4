//! Arguments with a syntax of their own.

use super::{Failure, client::Client};
use crate::api::DIGITS_MIN;
use allod_protocol::{
    ground::{
        codec,
        ids::{AccountId, ArtifactId, ContentHash, ModelName, ProposalId, Units, VersionLabel},
    },
    rules::{
        access::{BindPeer, Readers},
        model::VersionRef,
    },
};
use anyhow::{Context as _, Result};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IntoDeserializer as _, value::StringDeserializer},
};
use std::{fmt, path::Path, str::FromStr};

/// Maximum size of a peer's consent, in bytes.
const CONSENT_SIZE_BYTES: usize = 256;
/// Hexadecimal digits of a whole id.
const DIGITS: usize = 64;

/// A version: `namespace/name@label`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VersionName {
    pub(super) model: ModelName,
    pub(super) label: VersionLabel,
}

impl FromStr for VersionName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (model, label) = text.split_once('@').ok_or_else(|| {
            format!("a version is named namespace/name@label, such as northfield/digits@v1; not {text:?}")
        })?;
        let model = model.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { model, label: label.parse().map_err(|error| format!("{error}"))? })
    }
}

impl fmt::Display for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.model, self.label)
    }
}

/// What to fetch: a version, a model's released version, or an artifact's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Version(VersionName),
    Released(ModelName),
    Address(ArtifactId),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            return text.parse().map(Self::Version);
        }
        if text.contains('/') {
            return text
                .parse()
                .map(Self::Released)
                .map_err(|error: allod_protocol::ground::ids::ParseError| error.to_string());
        }
        text.parse().map(Self::Address).map_err(|error: allod_protocol::ground::ids::ParseError| {
            format!("{error}; or name a version as namespace/name@label")
        })
    }
}

/// The id of something on the ledger, or enough of its start to distinguish it from all others of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdArg(String);

impl FromStr for IdArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A truncated id is shown with this mark at the end.
        let digits = text.strip_suffix('…').unwrap_or(text);
        let sound =
            (DIGITS_MIN..=DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if sound {
            Ok(Self(digits.to_ascii_lowercase()))
        } else {
            Err(format!(
                "{text:?} is not an id: {DIGITS} hexadecimal digits, or at least the first {DIGITS_MIN} of them"
            ))
        }
    }
}

impl fmt::Display for IdArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Anything with an id.
#[derive(Deserialize)]
struct Identified<T> {
    id: T,
}

impl IdArg {
    /// The whole id. The node completes a short one: it looks among everything below `path`, such as `/v1/proposals`,
    /// and refuses an ambiguous start.
    pub(super) async fn resolve<T: FromStr + DeserializeOwned>(&self, client: &Client, path: &str) -> Result<T> {
        match self.0.parse() {
            Ok(id) => Ok(id),
            Err(_) => Ok(client.get::<Identified<T>>(&format!("{path}/{self}")).await?.id),
        }
    }

    /// The id of a proposal.
    pub(super) async fn proposal(&self, client: &Client) -> Result<ProposalId> {
        self.resolve(client, "/v1/proposals").await
    }
}

/// How much of a list to show.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct HowMany {
    /// The maximum number of entries
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// The whole list, however long
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl HowMany {
    pub(super) fn limit(self) -> usize {
        if self.all { usize::MAX } else { self.limit }
    }
}

/// Who may read a model's artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ReadersArg {
    /// Everybody
    Public,
    /// Holders, stewards, and accounts with a licence
    Licensees,
    /// Holders and stewards
    Holders,
}

impl From<ReadersArg> for Readers {
    fn from(readers: ReadersArg) -> Self {
        match readers {
            ReadersArg::Public => Self::Public,
            ReadersArg::Licensees => Self::Licensees,
            ReadersArg::Holders => Self::Holders,
        }
    }
}

/// A peer's consent to read for an account, as one word of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConsentArg(pub(super) BindPeer);

impl fmt::Display for ConsentArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&multibase::encode(multibase::Base::Base58Btc, codec::encode(&self.0)))
    }
}

impl FromStr for ConsentArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = multibase::decode(text).map(|(_, bytes)| bytes).ok();
        let bind = bytes.and_then(|bytes| codec::decode(&bytes, CONSENT_SIZE_BYTES).ok());
        bind.map(Self).ok_or_else(|| format!("{text:?} is not what `allod peer consent` prints; copy all of it"))
    }
}

/// `ACCOUNT=NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned<T> {
    pub(super) name: String,
    pub(super) value: T,
}

impl<T: FromStr> FromStr for Assigned<T>
where
    T::Err: fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=NUMBER"))?;
        let value = value.replace('_', "").parse().map_err(|error| format!("{value:?} in {text:?}: {error}"))?;
        Ok(Self { name: name.to_owned(), value })
    }
}

/// A whole number of units; `_` may separate the thousands.
pub(super) fn units(text: &str) -> Result<Units, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is not a whole number of units"))
}

/// At least one unit.
pub(super) fn some_units(text: &str) -> Result<Units, String> {
    match units(text)? {
        Units::ZERO => Err("0 units are nothing; give at least 1".into()),
        units => Ok(units),
    }
}

/// A content hash: 64 hexadecimal digits, or a file that is hashed here.
pub(super) fn content_hash(text: &str) -> Result<ContentHash> {
    if let Ok(hash) = text.parse() {
        return Ok(hash);
    }
    let path = Path::new(text);
    let mut hasher = blake3::Hasher::new();
    let file = std::fs::File::open(path)
        .with_context(|| format!("{text:?} is neither 64 hexadecimal digits nor a file that can be read"))?;
    hasher.update_reader(file).with_context(|| format!("cannot read {text}"))?;
    Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
}

/// The ids of versions, given by name.
pub(super) async fn version_refs(client: &Client, names: &[VersionName]) -> Result<Vec<VersionRef>> {
    let mut refs = Vec::new();
    for name in names {
        refs.push(VersionRef { model: client.model(&name.model).await?.model.id, label: name.label.clone() });
    }
    Ok(refs)
}

/// A word from one of the ledger's closed lists, such as a class of decision; dashes may replace underscores.
pub(super) fn word<'a, T: Deserialize<'a>>(text: &str) -> Result<T, String> {
    let text = text.replace('-', "_");
    let deserializer: StringDeserializer<serde::de::value::Error> = text.into_deserializer();
    T::deserialize(deserializer).map_err(|error| error.to_string())
}

/// Reads a value from a file: as TOML if its name ends so, otherwise as JSON.
pub(super) fn from_file<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let parsed = if path.extension().is_some_and(|extension| extension == "toml") {
        toml::from_str(&text).map_err(anyhow::Error::from)
    } else {
        serde_json::from_str(&text).map_err(anyhow::Error::from)
    };
    parsed.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The ids of accounts, given by name.
pub(super) async fn account_ids(client: &Client, names: &[String]) -> Result<Vec<AccountId>> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(client.account(name).await?.account.id);
    }
    Ok(ids)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_apart_by_their_form() {
        assert!(matches!("northfield/digits@v1".parse(), Ok(Target::Version(_))));
        assert!(matches!("northfield/digits".parse(), Ok(Target::Released(_))));
        assert!(matches!(ArtifactId::of(b"x").to_string().parse(), Ok(Target::Address(_))));
        assert!("digits".parse::<Target>().unwrap_err().contains("namespace/name@label"));
        assert!("northfield/digits".parse::<VersionName>().unwrap_err().contains("@label"));
    }

    #[test]
    fn a_hash_is_given_or_made_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, b"evidence").unwrap();
        let hash = content_hash(&path.to_string_lossy()).unwrap();
        assert_eq!(hash.as_bytes(), blake3::hash(b"evidence").as_bytes());
        assert_eq!(content_hash(&hash.to_string()).unwrap(), hash);
        assert!(content_hash("/nowhere").is_err());
    }

    #[test]
    fn an_id_may_be_named_by_its_first_digits() {
        for text in ["5F0c", "5f0c…"] {
            assert_eq!(text.parse(), Ok(IdArg("5f0c".into())), "{text}");
        }
        for bad in ["5f0", "xyzw", "…", &"a".repeat(65)] {
            assert!(bad.parse::<IdArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn holders_are_named_with_their_units() {
        let holder: Assigned<Units> = "bay=1_000".parse().unwrap();
        assert_eq!((holder.name.as_str(), holder.value), ("bay", Units::new(1_000)));
        for bad in ["bay", "bay=", "bay=-1", "bay=1.5"] {
            assert!(bad.parse::<Assigned<Units>>().is_err(), "{bad}");
        }
    }
}
