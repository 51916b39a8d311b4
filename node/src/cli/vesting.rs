//! When given shares become their holder's to give away.

use super::units;
use allod_protocol::rules::share::Vesting;
use std::time::Duration;

/// When the units become the holder's to give away.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VestingArgs {
    /// The units become the holder's to give away bit by bit over this time
    #[arg(id = "vesting_duration", long = "vesting", value_name = "DURATION", value_parser = units::duration)]
    duration: Option<Duration>,
    /// None of them before this time is over
    #[arg(id = "vesting_cliff", long = "cliff", value_name = "DURATION", value_parser = units::duration,
        requires = "vesting_duration")]
    cliff: Option<Duration>,
}

impl VestingArgs {
    /// `None` if they are the holder's to give away at once.
    pub(super) fn vesting(&self) -> Option<Vesting> {
        let cliff_ms = self.cliff.map_or(0, units::milliseconds);
        self.duration.map(|duration| Vesting { cliff_ms, duration_ms: units::milliseconds(duration) })
    }
}
