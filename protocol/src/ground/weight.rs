//! The unit in which work is measured, and the arithmetic of loads. What each request weighs stands in [`crate::rules::load`].

use crate::ground::limits;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What work costs. A peer like the one that the figures of the README were measured on executes some twenty units per
/// microsecond, of work that is as heavy as its load says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Weight(u64);

impl Weight {
    /// No weight.
    pub const ZERO: Self = Self(0);

    /// A weight of `units`.
    pub const fn new(units: u64) -> Self {
        Self(units)
    }

    /// Number of units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; zero if the other is larger.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The work done on a state, counted by [`crate::ground::state::Overlay`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Records looked up or found in a range, and ranges. A record counts once for each started 4 KiB of it.
    pub reads: u64,
    /// Keys written or removed, counted in the same way.
    pub writes: u64,
    /// Entries put on the agenda.
    pub agenda: u64,
}

/// The most work that a transaction can cause on every peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Encoded bytes.
    pub bytes: u64,
    /// Signatures to check.
    pub signatures: u64,
    /// Records read.
    pub reads: u64,
    /// Keys written.
    pub writes: u64,
    /// Agenda entries made.
    pub agenda: u64,
}

impl Load {
    /// A load of records read, keys written, and agenda entries made.
    pub(crate) const fn of(reads: u64, writes: u64, agenda: u64) -> Self {
        Self { bytes: 0, signatures: 0, reads, writes, agenda }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            signatures: self.signatures.saturating_add(other.signatures),
            reads: self.reads.saturating_add(other.reads),
            writes: self.writes.saturating_add(other.writes),
            agenda: self.agenda.saturating_add(other.agenda),
        }
    }

    pub(crate) const fn times(self, count: u64) -> Self {
        Self {
            bytes: self.bytes.saturating_mul(count),
            signatures: self.signatures.saturating_mul(count),
            reads: self.reads.saturating_mul(count),
            writes: self.writes.saturating_mul(count),
            agenda: self.agenda.saturating_mul(count),
        }
    }

    /// The weight of the load.
    pub const fn weight(&self) -> Weight {
        let bytes = self.bytes.saturating_mul(limits::WEIGHT_OF_KIB).div_ceil(1_024);
        let signatures = self.signatures.saturating_mul(limits::WEIGHT_OF_SIGNATURE);
        let reads = self.reads.saturating_mul(limits::WEIGHT_OF_READ);
        let writes = self.writes.saturating_mul(limits::WEIGHT_OF_WRITE);
        let agenda = self.agenda.saturating_mul(limits::WEIGHT_OF_AGENDA_ENTRY);
        Weight(bytes.saturating_add(signatures).saturating_add(reads).saturating_add(writes).saturating_add(agenda))
    }

    /// Whether the load covers some work: what was done weighs no more than what was expected.
    pub const fn covers(&self, work: &Work) -> bool {
        let done =
            Self { bytes: self.bytes, signatures: self.signatures, ..Self::of(work.reads, work.writes, work.agenda) };
        done.weight().get() <= self.weight().get()
    }
}
