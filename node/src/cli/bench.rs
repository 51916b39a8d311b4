//! `allod bench`: loads a network with real transactions and measures the result.
//!
//! The load generator must not be the bottleneck, even on a machine that also runs the network. So everything that
//! takes time is done before the clock starts: accounts and a model are created, every transaction is signed, and the
//! body of every request is made. Under load the client only posts bodies on open connections and reads the stream of
//! blocks.
//!
//! A transaction's latency runs from when its request was due, whether or not it was sent in time, until the block that
//! contains it arrives on the event stream: what a user sees as final, however busy the node is. Without a rate no
//! request has a due time: a bounded number is in flight at once, a busy node is asked again, and a latency runs from
//! the request that the node accepted. Reading order: `bench/prepare.rs`, `bench/load.rs`, `bench/report.rs`.

mod load;
mod prepare;
mod report;

use super::{Failure, context::Context, signing::Signing, units};
use anyhow::Result;
use std::time::Duration;

/// Transactions per second that are signed in advance for a run without a rate. A faster network ends the run early.
const FLAT_OUT_PER_SECOND: u64 = 8_000;
/// Maximum number of transactions in one request.
const BATCH: u64 = 250;
/// Maximum number of requests per second; above it, requests grow instead.
const REQUESTS_PER_SECOND: u64 = 100;

/// Load a network and measure it.
#[derive(Debug, clap::Args)]
pub(super) struct Bench {
    /// Transactions per second [default: as many as the network accepts]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// How long to send
    #[arg(long, default_value = "60s", value_parser = units::duration)]
    duration: Duration,
    /// How many accounts send
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    accounts: u16,
    /// What they send
    #[arg(long, value_enum, default_value_t = Load::Contribution)]
    action: Load,
    /// Without a rate: the maximum number of transactions in flight
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(250..=40_000))]
    in_flight: u32,
    #[command(flatten)]
    signing: Signing,
}

/// The kind of transactions sent under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Load {
    /// Record contributions
    Contribution,
    /// Transfer shares
    Transfer,
}

impl Bench {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let clients = context.clients()?;
        let first = clients.first().ok_or_else(|| Failure::usage("name a node with --api"))?.clone();
        if self.duration < Duration::from_secs(1) {
            return Err(Failure::usage("--duration is too short to measure anything; give at least 1s"));
        }
        let sender = self.signing.sender_at(context, first).await?;
        context.note(format!("creating {} accounts and a model", self.accounts));
        let stage = prepare::set_stage(&sender, self.accounts).await?;
        prepare::await_height(&clients, stage.height).await?;

        let (total, batch) = self.size();
        context.note(format!("signing {total} transactions"));
        let batches =
            tokio::task::spawn_blocking(move || prepare::sign_ahead(&stage, self.action, total, batch)).await??;

        context.note(format!("sending for {}", units::show_duration(units::milliseconds(self.duration))));
        let plan = load::Plan { rate: self.rate, duration: self.duration, batch, in_flight: self.in_flight };
        let measured = load::run(&clients, batches, &plan).await?;
        let report = report::Report::new(&plan, measured);
        context.answer(&report, report::Report::show)
    }

    /// The total number of transactions, and the number in each request.
    fn size(&self) -> (u64, u64) {
        let seconds = self.duration.as_millis().div_ceil(1_000);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        let per_second = self.rate.unwrap_or(FLAT_OUT_PER_SECOND);
        let batch = match self.rate {
            Some(rate) => rate.div_ceil(REQUESTS_PER_SECOND).clamp(1, BATCH),
            None => BATCH,
        };
        (per_second.saturating_mul(seconds), batch)
    }
}
