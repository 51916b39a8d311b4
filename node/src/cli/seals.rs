//! The secrets that open sealed amounts, kept with the keys: in `seals/`, one file per seal, readable by its owner
//! alone.
//!
//! A file is on disk before the ledger learns of its seal, so no crash leaves an amount that nobody can reveal. It is
//! named by the seal, not by the contribution: the contribution's id depends on the transaction, which changes when it
//! is sent again or when others sign it later. The record on the ledger names the seal. A salt is never shown.

use super::context::Context;
use crate::keys::{self, KeyStore};
use allod_protocol::{
    ground::ids::{AccountId, ContentHash, ModelId},
    rules::contribution::{Contribution, seal},
};
use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// What opens a seal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptSeal {
    model: ModelId,
    round: u64,
    giver: AccountId,
    pub(super) amount: u64,
    pub(super) salt: ContentHash,
}

impl fmt::Debug for KeptSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSeal").field("model", &self.model).field("round", &self.round).finish_non_exhaustive()
    }
}

impl KeptSeal {
    /// A seal of an amount, with a random salt.
    pub(super) fn new(model: ModelId, round: u64, giver: AccountId, amount: u64) -> Result<Self> {
        let mut salt = [0; ContentHash::LEN];
        getrandom::fill(&mut salt).map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
        Ok(Self { model, round, giver, amount, salt: ContentHash::from_bytes(salt) })
    }

    pub(super) fn seal(&self) -> ContentHash {
        seal(self.model, self.round, self.giver, self.amount, self.salt)
    }

    /// Stores it, durably, and returns the path.
    pub(super) fn keep(&self, store: &KeyStore) -> Result<PathBuf> {
        let path = path(store, self.seal());
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        keys::write_private(&path, text.as_bytes())?;
        Ok(path)
    }

    /// What a contribution was sealed with, if it is stored with these keys.
    pub(super) fn of(context: &Context, contribution: &Contribution) -> Result<Self> {
        let store = context.keys()?;
        let id = contribution.id;
        let sealed = contribution.sealed.ok_or_else(|| anyhow!("contribution {id} was not sealed"))?;
        Self::read(&path(&store, sealed), sealed).with_context(|| format!("cannot open the seal of contribution {id}"))
    }

    fn read(path: &Path, sealed: ContentHash) -> Result<Self> {
        let shown = path.display();
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{shown} does not exist; it was created where the amount was sealed: name that directory of keys with --keys \
                 DIR, restore the file from a backup, or give --amount and --salt"
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        };
        keys::require_private(path, &fs::metadata(path)?)?;
        let kept: Self = serde_json::from_slice(&text)
            .map_err(|_| anyhow!("{shown} is damaged; restore it from a backup, or give --amount and --salt"))?;
        if kept.seal() != sealed {
            bail!("{shown} opens another seal, not {sealed}; restore the file of that name from a backup");
        }
        Ok(kept)
    }
}

fn path(store: &KeyStore, sealed: ContentHash) -> PathBuf {
    store.directory().join("seals").join(format!("{sealed}.json"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn sealed() -> KeptSeal {
        KeptSeal::new(ModelId::from_bytes([1; 32]), 3, AccountId::from_bytes([2; 32]), 400).unwrap()
    }

    #[test]
    fn a_seal_is_kept_for_its_owner_alone_and_opens_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path().join("keys"));
        let kept = sealed();
        let path = kept.keep(&store).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(KeptSeal::read(&path, kept.seal()).unwrap(), kept);
        assert!(!format!("{kept:?}").contains(&kept.salt.to_string()), "a salt is never shown");
        assert!(store.list().unwrap().1.is_empty(), "it is not taken for a key");
    }

    #[test]
    fn what_cannot_be_opened_says_which_file_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::new(directory.path().to_owned());
        let (kept, other) = (sealed(), sealed());
        let refusal = |path: &Path, seal| format!("{:#}", KeptSeal::read(path, seal).unwrap_err());
        let missing = refusal(&path(&store, kept.seal()), kept.seal());
        assert!(missing.contains(&kept.seal().to_string()) && missing.contains("--keys"), "{missing}");
        let file = kept.keep(&store).unwrap();
        assert!(refusal(&file, other.seal()).contains("another seal"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refusal(&file, kept.seal()).contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "{\"salt\": \"").unwrap();
        let damaged = refusal(&file, kept.seal());
        assert!(damaged.contains("damaged") && damaged.contains(&file.display().to_string()), "{damaged}");
    }
}
