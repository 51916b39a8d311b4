//! Arguments with a form of their own.

use super::{Failure, client::Client};
use crate::api::views::{ModelView, ProposalView};
use allod_protocol::{
    access::{BindPeer, Readers},
    codec,
    ids::{AccountId, ArtifactId, ContentHash, ModelName, ProposalId, Units, VersionLabel},
    model::VersionRef,
};
use anyhow::{Context as _, Result, bail};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IntoDeserializer as _, value::StringDeserializer},
};
use std::{fmt, path::Path, str::FromStr};

/// Bytes of a peer's consent at most.
const CONSENT_SIZE_BYTES: usize = 256;
/// Entries of each list that is searched for a short id.
const SEARCHED: usize = 200;

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
                .map_err(|error: allod_protocol::ids::ParseError| error.to_string());
        }
        text.parse().map(Self::Address).map_err(|error: allod_protocol::ids::ParseError| {
            format!("{error}; or name a version as namespace/name@label")
        })
    }
}

/// A proposal's id, or enough of its start to tell it from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProposalName(String);

impl FromStr for ProposalName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sound = (4..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if sound {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!("{text:?} is not a proposal's id: 64 hexadecimal digits, or at least the first 4 of them"))
        }
    }
}

impl ProposalName {
    /// The id. A short one is looked for among the open proposals, then the network's, then every model's newest.
    pub(super) async fn resolve(&self, client: &Client) -> Result<ProposalId> {
        if let Ok(id) = self.0.parse() {
            return Ok(id);
        }
        let mut lists = vec!["/v1/proposals?scope=open".to_owned(), "/v1/proposals?scope=network".to_owned()];
        let models = client.list::<ModelView>("/v1/models", SEARCHED).await?.items;
        lists.extend(models.iter().map(|view| format!("/v1/models/{}/proposals", view.model.name)));
        for list in lists {
            let page = client.list::<ProposalView>(&list, SEARCHED).await?;
            let ids = page.items.iter().map(|view| view.proposal.id).filter(|id| id.to_string().starts_with(&self.0));
            match ids.collect::<Vec<_>>().as_slice() {
                [] => {}
                [id] => return Ok(*id),
                several => bail!("{} proposals begin with {}; give more digits", several.len(), self.0),
            }
        }
        bail!("no proposal begins with {}; `allod proposals` lists those that are open", self.0)
    }
}

/// Who reads a model's artifacts.
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

/// A peer's word that it reads for an account, in one word of text.
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

/// A whole number of units, with `_` between the thousands if one likes.
pub(super) fn units(text: &str) -> Result<Units, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is not a whole number of units"))
}

/// At least one unit.
pub(super) fn some_units(text: &str) -> Result<Units, String> {
    match units(text)? {
        Units::ZERO => Err("0 units are nothing; name at least 1".into()),
        units => Ok(units),
    }
}

/// The hash of something outside the ledger: 64 hexadecimal digits, or a file that is hashed here.
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

/// The ids behind names of versions.
pub(super) async fn version_refs(client: &Client, names: &[VersionName]) -> Result<Vec<VersionRef>> {
    let mut refs = Vec::new();
    for name in names {
        refs.push(VersionRef { model: client.model(&name.model).await?.model.id, label: name.label.clone() });
    }
    Ok(refs)
}

/// A word out of a closed list of the ledger's, such as a class of decision; dashes may stand for underscores.
pub(super) fn word<'a, T: Deserialize<'a>>(text: &str) -> Result<T, String> {
    let text = text.replace('-', "_");
    let deserializer: StringDeserializer<serde::de::value::Error> = text.into_deserializer();
    T::deserialize(deserializer).map_err(|error| error.to_string())
}

/// Reads a value from a file: TOML if its name says so, else JSON.
pub(super) fn from_file<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let parsed = if path.extension().is_some_and(|extension| extension == "toml") {
        toml::from_str(&text).map_err(anyhow::Error::from)
    } else {
        serde_json::from_str(&text).map_err(anyhow::Error::from)
    };
    parsed.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The ids behind names of accounts.
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
    fn a_proposal_may_be_named_by_its_first_digits() {
        assert_eq!("5F0c".parse(), Ok(ProposalName("5f0c".into())));
        for bad in ["5f0", "xyzw", &"a".repeat(65)] {
            assert!(bad.parse::<ProposalName>().is_err(), "{bad}");
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
