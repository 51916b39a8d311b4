//! The cost of a transfer: time, processors, memory.

use anyhow::{Context as _, Result};
use std::{fmt, time::Duration};

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) size_bytes: u64,
    pub(crate) elapsed: Duration,
    /// Processor time of both sides, in seconds.
    pub(crate) cpu_seconds: f64,
}

impl Outcome {
    pub(crate) fn megabytes_per_s(&self) -> f64 {
        self.size_bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn cpu_seconds_per_gib(&self) -> f64 {
        self.cpu_seconds / (self.size_bytes as f64 / f64::from(1 << 30))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, cpu) = (self.megabytes_per_s(), self.cpu_seconds_per_gib());
        write!(f, "{:6.2} s  {rate:6.0} MB/s  {cpu:5.2} CPU s/GiB", self.elapsed.as_secs_f64())
    }
}

/// User and system time of this process so far; Linux counts it in hundredths of a second.
pub(crate) fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds("self", 11)
}

/// User and system time of the children that have ended.
pub(crate) fn children_cpu_seconds() -> Result<f64> {
    cpu_seconds("self", 13)
}

/// User and system time of another process.
pub(crate) fn cpu_seconds_of(process: u32) -> Result<f64> {
    cpu_seconds(&process.to_string(), 11)
}

fn cpu_seconds(process: &str, first_field: usize) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit(')').next().context("the fields after the name")?;
    let ticks = fields.split_whitespace().skip(first_field).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

/// The maximum memory that this process has held.
pub(crate) fn max_resident_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kib: u64 = line.split_whitespace().next().context("a number")?.parse()?;
    Ok(kib / 1024)
}
