//! Quotas: how many records about an account, which nobody else decides about, it may keep on the ledger. What it may
//! add without anybody's consent is counted here, and the place is free again once the record is withdrawn or settled.
//! Open proposals, disputes, calls and requests are counted in the account itself; offices accepted in advance, peers,
//! and settings about units, by their own keys.

use crate::{
    ground::{
        ids::{AccountId, ModelId},
        limits,
        state::{Family, KeyField, Overlay, Record},
    },
    rules::rejection::Rejection,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of record that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// Its attestations, of any artifact.
    Attestations,
    /// Incidents of a model that it reported and that are not settled.
    Incidents(ModelId),
}

impl Keeps {
    /// The maximum that one account keeps.
    pub const fn most(self) -> u32 {
        match self {
            Self::Attestations => limits::ATTESTATIONS_PER_ACCOUNT,
            Self::Incidents(_) => limits::OPEN_INCIDENTS_PER_REPORTER,
        }
    }
}

impl fmt::Display for Keeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attestations => f.write_str("attestations that stand; withdraw one first"),
            Self::Incidents(model) => {
                write!(
                    f,
                    "incidents of model {model} reported that are not settled; its stewards have to settle one first"
                )
            }
        }
    }
}

impl KeyField for Keeps {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Attestations => key.push(0),
            Self::Incidents(model) => {
                key.push(1);
                model.write(key);
            }
        }
    }
}

/// Number of records that an account keeps; absent if zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept(pub u32);

impl Record for Kept {
    type Key = (AccountId, Keeps);
    const FAMILY: Family = Family::Kept;
}

/// Counts one more record, if the account may keep it.
pub(crate) fn take(state: &mut Overlay<'_>, account: AccountId, keeps: Keeps) -> Result<(), Rejection> {
    let kept = state.read::<Kept>(&(account, keeps)).map_or(0, |kept| kept.0);
    if kept >= keeps.most() {
        return Err(Rejection::QuotaUsedUp { account, keeps });
    }
    state.write(&(account, keeps), &Kept(kept.saturating_add(1)));
    Ok(())
}

/// Counts one record less.
pub(crate) fn give_back(state: &mut Overlay<'_>, account: AccountId, keeps: Keeps) {
    match state.read::<Kept>(&(account, keeps)) {
        Some(Kept(kept)) if kept > 1 => state.write(&(account, keeps), &Kept(kept.saturating_sub(1))),
        _ => state.remove::<Kept>(&(account, keeps)),
    }
}
