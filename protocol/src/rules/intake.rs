//! Which units an account takes: all that come, unless it says otherwise.
//!
//! Units oblige their holder to nothing: no office, no answer, no debt. Still, an account can say that it takes none
//! unasked, of a model or of any; what it says about a model overrides what it says about all. Then a transfer to it is
//! refused, a mint waits until the account asks for the units or the decision expires, and what the holders of a parent
//! are granted skips it. Giving to a round, or asking the owners for units of its own, counts as asking, by its
//! signature. And units can be given up at any time ([`crate::rules::share::BurnShares`]), under vesting or not.

use crate::{
    ground::{
        ids::{AccountId, ModelId},
        limits,
        state::{Family, KeyField, Overlay, Record, prefix_end},
    },
    rules::{event::Event, rejection::Rejection},
};
use serde::{Deserialize, Serialize};

/// The models whose units are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnitsOf {
    /// Any model.
    Any,
    /// One model.
    Model(ModelId),
}

impl KeyField for UnitsOf {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Any => key.push(0),
            Self::Model(model) => {
                key.push(1);
                model.write(key);
            }
        }
    }
}

/// What an account says about units that come unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    /// The account.
    pub account: AccountId,
    /// The models whose units are meant.
    pub of: UnitsOf,
    /// Whether it takes them.
    pub takes: bool,
}

impl Record for Intake {
    type Key = (AccountId, UnitsOf);
    const FAMILY: Family = Family::Intake;
}

/// Whether an account takes units of a model.
pub(crate) fn takes(state: &Overlay<'_>, model: ModelId, account: AccountId) -> bool {
    let said = |of| state.read::<Intake>(&(account, of)).map(|intake| intake.takes);
    said(UnitsOf::Model(model)).or_else(|| said(UnitsOf::Any)).unwrap_or(true)
}

/// As [`takes`], but returns the refusal that names the remedy.
pub(crate) fn require(state: &Overlay<'_>, model: ModelId, account: AccountId) -> Result<(), Rejection> {
    if takes(state, model, account) { Ok(()) } else { Err(Rejection::NotAsked { account, model }) }
}

/// Say whether the sender takes units that it did not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetIntake {
    /// The models whose units are meant.
    pub of: UnitsOf,
    /// Whether it takes them. `None` removes the setting.
    pub takes: Option<bool>,
}

impl SetIntake {
    pub(crate) fn apply(&self, state: &mut Overlay<'_>, sender: AccountId) -> Result<Vec<Event>, Rejection> {
        if let UnitsOf::Model(model) = self.of {
            crate::rules::model::Model::existing(state, model)?;
        }
        let key = (sender, self.of);
        match self.takes {
            None => state.remove::<Intake>(&key),
            Some(takes) => {
                let prefix = Intake::key_bytes(&sender);
                let kept = state.entries(&prefix, &prefix_end(&prefix), limits::INTAKES_PER_ACCOUNT).len();
                if kept >= limits::INTAKES_PER_ACCOUNT && state.read::<Intake>(&key).is_none() {
                    return Err(Rejection::TooManyIntakes(sender));
                }
                state.write(&key, &Intake { account: sender, of: self.of, takes });
            }
        }
        Ok(vec![Event::IntakeSet { account: sender, of: self.of, takes: self.takes }])
    }
}
