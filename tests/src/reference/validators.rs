//! Who validates, and which account answers for it.

use super::{Refused, World};
use allod_protocol::{
    ground::ids::{AccountId, PublicKey},
    rules::office::Office,
};

/// Validators at a time.
const VALIDATORS: usize = 128;

/// A validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Its weight in consensus.
    pub power: u64,
    /// Who answers for it.
    pub operator: AccountId,
}

impl World {
    /// Whether an account answers for a validator.
    pub fn operates(&self, account: AccountId) -> bool {
        self.validators.values().any(|validator| validator.operator == account)
    }

    pub(super) fn admit_validator(&mut self, key: PublicKey, power: u64, operator: AccountId) -> Result<(), Refused> {
        let is_member = self.account(operator)?.member_since.is_some();
        if self.validators.contains_key(&key) {
            return Err("validator_exists");
        }
        if self.retired_keys.contains(&key) {
            return Err("retired_validator_key");
        }
        if self.validators.len() == VALIDATORS {
            return Err("bad_validator_set");
        }
        self.validators.insert(key, Validator { power, operator });
        self.ask(&Office::Operator(key), operator, None);
        if is_member { Ok(()) } else { self.admit_member(operator) }
    }

    pub(super) fn reweight_validator(&mut self, key: PublicKey, power: u64) -> Result<(), Refused> {
        self.validators.get_mut(&key).ok_or("unknown_validator")?.power = power;
        Ok(())
    }

    /// Removes a validator, and its key for good.
    pub(super) fn remove_validator(&mut self, key: PublicKey) -> Result<(), Refused> {
        if self.validators.keys().eq([&key]) {
            return Err("bad_validator_set");
        }
        let gone = self.validators.remove(&key).ok_or("unknown_validator")?;
        self.retired_keys.insert(key);
        self.no_longer_named(&Office::Operator(key), gone.operator);
        Ok(())
    }
}
