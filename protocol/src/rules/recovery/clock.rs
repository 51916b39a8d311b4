//! A time that comes unless something holds it up: then what is left of it is kept.

use crate::{
    ground::{ids::Timestamp, state::Overlay},
    rules::due::{self, Due},
};
use serde::{Deserialize, Serialize};

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// At a block time; it stands on the agenda.
    Runs {
        /// That time.
        ready: Timestamp,
    },
    /// After so many milliseconds of block time from when it goes on.
    Stands {
        /// What is left.
        left_ms: u64,
    },
}

impl Clock {
    pub(super) const fn new(now: Timestamp, delay_ms: u64, runs: bool) -> Self {
        if runs { Self::Runs { ready: now.plus_ms(delay_ms) } } else { Self::Stands { left_ms: delay_ms } }
    }

    /// The same, held up.
    pub(super) const fn standing(self, now: Timestamp) -> Self {
        match self {
            Self::Runs { ready } => Self::Stands { left_ms: ready.get().saturating_sub(now.get()) },
            Self::Stands { .. } => self,
        }
    }

    /// The same, going on.
    pub(super) const fn running(self, now: Timestamp) -> Self {
        match self {
            Self::Runs { .. } => self,
            Self::Stands { left_ms } => Self::Runs { ready: now.plus_ms(left_ms) },
        }
    }

    /// Puts what it is for on the agenda, if it runs.
    pub(super) fn put(self, state: &mut Overlay<'_>, due: Due) {
        if let Self::Runs { ready } = self {
            due::set(state, ready, due);
        }
    }

    /// Takes what it is for off the agenda.
    pub(super) fn take(self, state: &mut Overlay<'_>, due: Due) {
        if let Self::Runs { ready } = self {
            due::clear(state, ready, due);
        }
    }
}
