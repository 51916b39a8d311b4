//! Heights as dates: the ledger counts blocks, people count days.

use super::{client::Client, units::show_time};
use crate::api::views::BlockTime;
use allod_protocol::ground::ids::{Height, Timestamp};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of heights in one request.
const BATCH: usize = 200;

/// The times of blocks, requested once for a whole answer.
#[derive(Debug, Default)]
pub(super) struct Dates(BTreeMap<Height, Timestamp>);

impl Dates {
    /// The dates of these heights.
    pub(super) async fn of(client: &Client, heights: impl IntoIterator<Item = Height>) -> Result<Self> {
        let heights: Vec<Height> = heights.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut dates = BTreeMap::new();
        for batch in heights.chunks(BATCH) {
            let asked: Vec<String> = batch.iter().map(ToString::to_string).collect();
            let found: Vec<BlockTime> = client.get(&format!("/v1/times?heights={}", asked.join(","))).await?;
            dates.extend(found.into_iter().map(|block| (block.height, block.time)));
        }
        Ok(Self(dates))
    }

    /// The date of a height, for a table; the block number if the node does not know its date.
    pub(super) fn date(&self, height: Height) -> String {
        self.0.get(&height).map_or_else(|| format!("block {height}"), |time| show_time(*time))
    }

    /// The block and its date.
    pub(super) fn at(&self, height: Height) -> String {
        let date = self.0.get(&height).map(|time| format!(", {}", show_time(*time)));
        format!("block {height}{}", date.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_whose_date_is_not_known_stays_a_block() {
        let (known, unknown) = (Height::new(7), Height::new(8));
        let dates = Dates(BTreeMap::from([(known, Timestamp::new(1_795_428_000_000))]));
        assert_eq!(dates.at(known), "block 7, 2026-11-23 10:00:00Z");
        assert_eq!((dates.date(known).as_str(), dates.date(unknown).as_str()), ("2026-11-23 10:00:00Z", "block 8"));
        assert_eq!(dates.at(unknown), "block 8");
    }
}
