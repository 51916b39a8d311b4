//! After the run: the figures, and the machine they were measured on.

use super::load::{Measured, Plan};
use crate::{
    cli::output::Fields,
    plain::units::{self, show_count},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The result of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The requested rate, in transactions per second; null if there was none.
    rate: Option<u64>,
    duration_seconds: f64,
    sent: u64,
    applied: u64,
    /// Transactions applied per second while the load lasted.
    applied_per_second: f64,
    latency_ms: Option<Latency>,
    blocks: u64,
    largest_block: u64,
    rejected: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    sent_again: u64,
    lost: u64,
    machine: Machine,
    build: Build,
}

/// Latency in milliseconds: from when a request was due, or without a rate from when the node accepted it, to the
/// block.
#[derive(Debug, PartialEq, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    cpu: String,
}

#[derive(Debug, Serialize)]
struct Build {
    version: &'static str,
    profile: &'static str,
}

impl Report {
    pub(super) fn new(plan: &Plan, measured: Measured) -> Self {
        let seconds = measured.sending.as_secs_f64();
        Self {
            rate: plan.rate,
            duration_seconds: seconds,
            sent: measured.sent,
            applied: measured.applied,
            applied_per_second: measured.applied_in_time as f64 / seconds.max(0.001),
            latency_ms: latency(measured.latencies_us),
            blocks: measured.blocks,
            largest_block: measured.largest_block,
            rejected: measured.rejected,
            refused: measured.refused,
            sent_again: measured.sent_again,
            lost: measured.lost,
            machine: Machine { cores: std::thread::available_parallelism().map_or(1, usize::from), cpu: cpu() },
            build: Build {
                version: env!("CARGO_PKG_VERSION"),
                profile: if cfg!(debug_assertions) { "debug" } else { "release" },
            },
        }
    }

    pub(super) fn show(&self) -> String {
        let mut fields = Fields::default();
        let asked = self.rate.map_or_else(|| "flat out".to_owned(), |rate| format!("{} a second", show_count(rate)));
        fields.add("load", format!("{asked} for {:.1} s", self.duration_seconds));
        fields.add("sent", show_count(self.sent)).add("applied", show_count(self.applied));
        fields.add("throughput", format!("{:.0} transactions a second", self.applied_per_second));
        if let Some(Latency { p50, p90, p99, max }) = &self.latency_ms {
            fields.add("finality", format!("p50 {p50:.0} ms, p90 {p90:.0} ms, p99 {p99:.0} ms, max {max:.0} ms"));
        }
        fields.add("blocks", format!("{}, the largest of {}", show_count(self.blocks), show_count(self.largest_block)));
        fields.add("rejected", codes(&self.rejected)).add("refused", codes(&self.refused));
        fields.add("sent again", show_count(self.sent_again)).add("lost", show_count(self.lost));
        fields.add("machine", format!("{} cores, {}", self.machine.cores, self.machine.cpu));
        fields.add("build", format!("allod {} ({})", self.build.version, self.build.profile));
        fields.show()
    }
}

fn codes(codes: &BTreeMap<String, u64>) -> String {
    if codes.is_empty() {
        return "none".into();
    }
    codes.iter().map(|(code, count)| format!("{} {code}", units::show_count(*count))).collect::<Vec<_>>().join(", ")
}

/// The smallest latency that at least this fraction of all does not exceed.
fn latency(mut latencies_us: Vec<u64>) -> Option<Latency> {
    latencies_us.sort_unstable();
    let max = *latencies_us.last()?;
    let at = |per_cent: usize| {
        let rank = (latencies_us.len() * per_cent).div_ceil(100).max(1) - 1;
        latencies_us.get(rank).copied().unwrap_or(max) as f64 / 1_000.0
    };
    Some(Latency { p50: at(50), p90: at(90), p99: at(99), max: max as f64 / 1_000.0 })
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        assert_eq!(latency(vec![]), None);
        assert_eq!(latency(vec![5_000]), Some(Latency { p50: 5.0, p90: 5.0, p99: 5.0, max: 5.0 }));
        let all = (1..=200).rev().map(|ms| ms * 1_000).collect();
        assert_eq!(latency(all), Some(Latency { p50: 100.0, p90: 180.0, p99: 198.0, max: 200.0 }));
    }
}
