//! Destroying a consensus key that the ledger has retired.
//!
//! A key that left the validator set has only one use: with others of its set, it could sign another past and deceive
//! those who check deeds by the genesis alone. The ledger never admits it again. So a peer that sees its own key
//! retired overwrites it and continues with a new one, which can be admitted in its place. It cannot destroy what it
//! does not reach: backups, copies of the overwritten bytes that a file system or a flash disk keeps, and the keys of
//! others.

use crate::keys;
use allod_protocol::{
    ground::{crypto::SigningKey, state::StateRead},
    ledger::block::Tip,
    rules::network::RetiredKey,
};
use anyhow::{Context as _, Result};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

/// The key in a file, or its replacement if the ledger has retired it. If this crashes, the next call finishes the
/// work.
///
/// # Errors
/// When the file holds no key, or it cannot be replaced.
pub(crate) fn load(file: &Path, state: &impl StateRead, tip: &Tip) -> Result<SigningKey> {
    let next = next_file(file);
    if next.exists() && is_overwritten(file)? {
        take_place(&next, file)?;
    }
    let key = keys::load(file)?;
    match tip.retired(state, &key.public_key())? {
        Some(retired) => replace(file, &retired),
        None => Ok(key),
    }
}

/// Destroys the key in a file and puts a new one in its place.
///
/// # Errors
/// When the disk fails, or the file is encrypted and there is no passphrase for the new key.
pub(crate) fn replace(file: &Path, retired: &RetiredKey) -> Result<SigningKey> {
    let next = next_file(file);
    let key = if next.exists() {
        keys::load(&next)?
    } else {
        let key = keys::generate()?;
        keys::create(&next, &key, keys::passphrase_for(file)?.as_ref())?;
        key
    };
    overwrite(file).with_context(|| format!("the retired key {} cannot be overwritten", file.display()))?;
    take_place(&next, file)?;
    tracing::warn!(
        retired = %retired.key, height = %retired.height, new = %key.public_key(),
        "the consensus key was removed from the validator set for good; it was destroyed and replaced by a new one: \
        destroy its backups too, and restart this peer once the members have admitted the new key"
    );
    Ok(key)
}

fn next_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn overwrite(file: &Path) -> Result<()> {
    let length = fs::metadata(file)?.len();
    let mut open = fs::OpenOptions::new().write(true).open(file)?;
    open.write_all(&vec![0; usize::try_from(length)?])?;
    open.sync_all()?;
    Ok(())
}

/// Whether nothing is left of the key in a file.
fn is_overwritten(file: &Path) -> Result<bool> {
    match fs::read(file) {
        Ok(bytes) => Ok(bytes.iter().all(|byte| *byte == 0)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read the key {}", file.display())),
    }
}

fn take_place(next: &Path, file: &Path) -> Result<()> {
    fs::rename(next, file).with_context(|| format!("cannot put {} in place", next.display()))?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::{
        ground::{
            codec,
            ids::{AccountId, BlockHash, Height, NetworkId, Power, StateRoot, Timestamp},
            state::{Direction, Entry, Record as _, StateError},
        },
        rules::validator::{Validator, ValidatorSet},
    };

    /// A state in which at most one key is retired.
    struct Retired(Option<RetiredKey>);

    impl StateRead for Retired {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            let retired = self.0.filter(|retired| RetiredKey::key_bytes(&retired.key) == key);
            Ok(retired.map(|retired| codec::encode(&retired)))
        }
        fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
            Ok(Vec::new())
        }
    }

    fn retired(key: &SigningKey) -> RetiredKey {
        RetiredKey { key: key.public_key(), height: Height::new(7) }
    }

    fn set(key: &SigningKey) -> ValidatorSet {
        vec![Validator::new(key.public_key(), Power::new(1), AccountId::from_bytes([1; 32]))].try_into().unwrap()
    }

    /// A tip whose next two blocks are decided by these keys.
    fn tip(current: &SigningKey, next: &SigningKey) -> Tip {
        Tip {
            network: NetworkId::from_bytes([1; 32]),
            height: Height::new(9),
            hash: BlockHash::from_bytes([2; 32]),
            time: Timestamp::new(1),
            state_root: StateRoot::from_bytes([0; 32]),
            validators: set(current),
            next_validators: set(next),
        }
    }

    #[test]
    fn a_key_that_a_set_in_force_or_announced_has_is_never_retired() {
        let (own, other) = (keys::generate().unwrap(), keys::generate().unwrap());
        let state = Retired(Some(retired(&own)));
        for tip in [tip(&own, &own), tip(&own, &other), tip(&other, &own)] {
            assert_eq!(tip.retired(&state, &own.public_key()), Ok(None));
        }
        let gone = tip(&other, &other);
        assert_eq!(gone.retired(&state, &own.public_key()), Ok(Some(retired(&own))));
        assert_eq!(gone.retired(&Retired(None), &own.public_key()), Ok(None), "an observer's key is not retired");
    }

    #[test]
    fn a_retired_key_is_gone_from_the_disk_and_another_is_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("validator.key");
        let (own, other) = (keys::generate().unwrap(), keys::generate().unwrap());
        keys::create(&file, &own, None).unwrap();
        let secret = fs::read(&file).unwrap();
        let gone = tip(&other, &other);
        let kept = load(&file, &Retired(None), &gone).unwrap();
        assert_eq!(kept.public_key(), own.public_key());

        // The bytes on disk are overwritten in place, as a second name of the file shows.
        let witness = directory.path().join("witness");
        fs::hard_link(&file, &witness).unwrap();
        let new = load(&file, &Retired(Some(retired(&own))), &gone).unwrap();
        assert_ne!(new.public_key(), own.public_key());
        assert_eq!(fs::read(&witness).unwrap(), vec![0; secret.len()]);
        assert_eq!(keys::load(&file).unwrap().public_key(), new.public_key());
        let again = load(&file, &Retired(Some(retired(&own))), &gone).unwrap();
        assert_eq!(again.public_key(), new.public_key(), "the new key is not retired");
        assert!(!next_file(&file).exists());
    }

    #[test]
    fn what_a_crash_left_half_done_is_finished_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("validator.key");
        let (own, other, next) = (keys::generate().unwrap(), keys::generate().unwrap(), keys::generate().unwrap());
        let (state, gone) = (Retired(Some(retired(&own))), tip(&other, &other));
        // The new key is written, the old one is whole.
        keys::create(&file, &own, None).unwrap();
        keys::create(&next_file(&file), &next, None).unwrap();
        assert_eq!(load(&file, &state, &gone).unwrap().public_key(), next.public_key());
        // The old key is overwritten, the new one is not in its place yet.
        fs::remove_file(&file).unwrap();
        keys::create(&file, &own, None).unwrap();
        keys::create(&next_file(&file), &next, None).unwrap();
        overwrite(&file).unwrap();
        assert_eq!(load(&file, &state, &gone).unwrap().public_key(), next.public_key());
        assert!(!next_file(&file).exists());
    }
}
