//! A clock that can be stopped: it then keeps the time that is left.

use crate::{
    ground::{ids::Timestamp, state::Overlay},
    rules::due::{self, Due},
};
use serde::{Deserialize, Serialize};

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// It runs: the event is on the agenda, at a block time.
    Runs {
        /// The block time of the event.
        ready: Timestamp,
    },
    /// It is stopped: the event happens this long after it continues.
    Stands {
        /// The time that is left, in milliseconds of block time.
        left_ms: u64,
    },
}

impl Clock {
    pub(super) const fn new(now: Timestamp, delay_ms: u64, runs: bool) -> Self {
        if runs { Self::Runs { ready: now.plus_ms(delay_ms) } } else { Self::Stands { left_ms: delay_ms } }
    }

    /// The same clock, stopped.
    pub(super) const fn standing(self, now: Timestamp) -> Self {
        match self {
            Self::Runs { ready } => Self::Stands { left_ms: ready.get().saturating_sub(now.get()) },
            Self::Stands { .. } => self,
        }
    }

    /// The same clock, running.
    pub(super) const fn running(self, now: Timestamp) -> Self {
        match self {
            Self::Runs { .. } => self,
            Self::Stands { left_ms } => Self::Runs { ready: now.plus_ms(left_ms) },
        }
    }

    /// Puts its event on the agenda, if it runs.
    pub(super) fn put(self, state: &mut Overlay<'_>, due: Due) {
        if let Self::Runs { ready } = self {
            due::set(state, ready, due);
        }
    }

    /// Removes its event from the agenda.
    pub(super) fn take(self, state: &mut Overlay<'_>, due: Due) {
        if let Self::Runs { ready } = self {
            due::clear(state, ready, due);
        }
    }
}
