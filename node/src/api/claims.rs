//! What the proofs of a deed say: the one place that reads them.

use super::views::ClaimView;
use allod_protocol::{
    account::Account,
    codec, limits,
    model::{Model, Version},
    share::{Register, Share},
    state::Record,
};
use anyhow::{Context as _, Result, bail};

/// What a proven key and value say. A record must stand under its own key: a value says nothing by itself.
pub(crate) fn claim(key: &[u8], value: Option<&[u8]>) -> Result<ClaimView> {
    let hex = || data_encoding::HEXLOWER.encode(key);
    let Some(value) = value else { return Ok(ClaimView::Absent(hex())) };
    let family = key.first().copied();
    if family == Some(Model::FAMILY as u8) {
        let model: Model = record(key, value, |model: &Model| model.id)?;
        return Ok(ClaimView::Model(Box::new(model)));
    }
    if family == Some(Register::FAMILY as u8) {
        return Ok(ClaimView::Register(record(key, value, |register: &Register| register.model)?));
    }
    if family == Some(Share::FAMILY as u8) {
        return Ok(ClaimView::Share(record(key, value, |share: &Share| (share.model, share.account))?));
    }
    if family == Some(Account::FAMILY as u8) {
        let account: Account = record(key, value, |account: &Account| account.id)?;
        return Ok(ClaimView::Account(Box::new(account)));
    }
    if family == Some(Version::FAMILY as u8) {
        let version: Version = record(key, value, |version: &Version| (version.model, version.label.clone()))?;
        return Ok(ClaimView::Version(Box::new(version)));
    }
    Ok(ClaimView::Other(hex()))
}

fn record<R: Record>(key: &[u8], value: &[u8], own_key: impl FnOnce(&R) -> R::Key) -> Result<R> {
    let record: R = codec::decode(value, limits::RECORD_SIZE_BYTES)
        .context("a proven value is not the record that its key names")?;
    if key != R::key_bytes(&own_key(&record)) {
        bail!("a proven record stands under another key than its own");
    }
    Ok(record)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::ids::{AccountId, ModelId, Units};

    #[test]
    fn a_record_counts_only_under_its_own_key() {
        let (model, account) = (ModelId::from_bytes([1; 32]), AccountId::from_bytes([2; 32]));
        let share = Share { model, account, units: Units::new(5) };
        let value = codec::encode(&share);
        assert_eq!(claim(&Share::key_bytes(&(model, account)), Some(&value)).unwrap(), ClaimView::Share(share));
        let another = Share::key_bytes(&(model, AccountId::from_bytes([3; 32])));
        assert!(claim(&another, Some(&value)).unwrap_err().to_string().contains("another key"));
        assert!(claim(&Account::key_bytes(&account), Some(&value)).is_err(), "a share is no account");
        assert!(matches!(claim(&another, None), Ok(ClaimView::Absent(_))));
        assert!(matches!(claim(&[250, 1], Some(&value)), Ok(ClaimView::Other(_))));
    }
}
