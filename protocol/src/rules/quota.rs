//! Quotas: how much of what nobody else decides about an account keeps on the ledger. What it may add without anybody's
//! leave is counted here, and has a place again once it is taken back or settled. Proposals, disputes, calls and requests
//! that are open are counted in the account itself, offices ahead, peers and what it says of units by their own keys.

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

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// Its attestations, of any artifact.
    Attestations,
    /// Incidents of a model that it reported and that are not settled.
    Incidents(ModelId),
}

impl Keeps {
    /// The most that one account keeps.
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

/// How many an account keeps; not kept for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept(pub u32);

impl Record for Kept {
    type Key = (AccountId, Keeps);
    const FAMILY: Family = Family::Kept;
}

/// An account keeps one more, if it may.
pub(crate) fn take(state: &mut Overlay<'_>, account: AccountId, keeps: Keeps) -> Result<(), Rejection> {
    let kept = state.read::<Kept>(&(account, keeps)).map_or(0, |kept| kept.0);
    if kept >= keeps.most() {
        return Err(Rejection::QuotaUsedUp { account, keeps });
    }
    state.write(&(account, keeps), &Kept(kept.saturating_add(1)));
    Ok(())
}

/// An account keeps one less.
pub(crate) fn give_back(state: &mut Overlay<'_>, account: AccountId, keeps: Keeps) {
    match state.read::<Kept>(&(account, keeps)) {
        Some(Kept(kept)) if kept > 1 => state.write(&(account, keeps), &Kept(kept.saturating_sub(1))),
        _ => state.remove::<Kept>(&(account, keeps)),
    }
}
