//! `allod shares export`: a register for other programs, as CSV or in the Open Cap Table Format.

mod ocf;

use super::register;
use crate::{
    api::views::{ShareChangeView, SharesView, counterparty},
    cli::{Failure, args, client::Client, context::Context, output::who, words},
};
use allod_protocol::{
    ground::ids::{Height, ModelName, Timestamp},
    rules::share::ShareFlow,
};
use anyhow::{Context as _, Result};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Write a register for other programs.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    /// namespace/name
    model: ModelName,
    /// csv, or ocf: the Open Cap Table Format
    #[arg(long, value_enum)]
    format: Format,
    /// As of this block [default: the newest]
    #[arg(long, value_name = "HEIGHT")]
    at: Option<Height>,
    /// In CSV, every change instead of the current holdings; the other format has both
    #[arg(long)]
    history: bool,
    /// For ocf: an account that belongs to a person, not to an institution; may be repeated
    #[arg(long = "individual", value_name = "ACCOUNT")]
    individuals: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Csv,
    Ocf,
}

/// A register with the history that led to it, the oldest change first.
struct Whole {
    register: SharesView,
    changes: Vec<ShareChangeView>,
}

impl Export {
    pub(in crate::cli) async fn execute(self, context: &Context) -> Result<()> {
        if self.history && self.format == Format::Ocf {
            return Err(Failure::usage("--history is for csv; ocf holds the history anyway"));
        }
        if !self.individuals.is_empty() && self.format == Format::Csv {
            return Err(Failure::usage("--individual is for ocf; csv does not say who is a person"));
        }
        let client = context.client()?;
        let whole = read(&client, &self.model, self.at).await?;
        let individuals = args::account_ids(&client, &self.individuals).await?.into_iter().collect();
        match self.format {
            Format::Ocf => context.answer(&ocf::package(&whole, &individuals)?, |package| {
                crate::json::to_string_pretty(package).unwrap_or_default()
            }),
            Format::Csv if self.history => answer_csv(context, whole.changes.iter().map(ChangeRow::of)),
            Format::Csv => answer_csv(
                context,
                whole.register.items.iter().map(|line| HolderRow {
                    holder: who(line.handle.as_ref(), line.account),
                    account: line.account.to_string(),
                    units: line.units.get(),
                    free_units: line.free_units.get(),
                    basis_points: line.basis_points.get(),
                }),
            ),
        }
    }
}

async fn read(client: &Client, model: &ModelName, at: Option<Height>) -> Result<Whole> {
    let register = register(client, model, at).await?;
    let path = format!("/v1/models/{model}/shares/history?order=oldest");
    let mut changes = client.list::<ShareChangeView>(&path, usize::MAX).await?.items;
    changes.retain(|view| view.change.height <= register.height);
    Ok(Whole { register, changes })
}

/// A holding, as a row.
#[derive(Debug, Serialize)]
struct HolderRow {
    holder: String,
    account: String,
    units: u64,
    free_units: u64,
    basis_points: u16,
}

/// A change, as a row.
#[derive(Debug, Serialize)]
struct ChangeRow {
    number: u64,
    height: u64,
    time: String,
    holder: String,
    account: String,
    change: i128,
    balance: u64,
    reason: String,
    decision: String,
    transaction: String,
}

impl ChangeRow {
    fn of(view: &ShareChangeView) -> Self {
        let change = &view.change;
        let units = i128::from(change.units.get());
        let other = counterparty(&change.reason).map(|id| who(view.counterparty_handle.as_ref(), id));
        Self {
            number: change.number,
            height: change.height.get(),
            time: date_time(view.time),
            holder: who(view.handle.as_ref(), change.account),
            account: change.account.to_string(),
            change: if change.flow == ShareFlow::In { units } else { -units },
            balance: change.balance.get(),
            reason: words::share_reason(&change.reason, change.flow, other.as_deref()),
            decision: view.decision.map(|id| id.to_string()).unwrap_or_default(),
            transaction: change.transaction.map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}

/// Answers with rows: as CSV with a line of headings, or as JSON.
fn answer_csv<Row: Serialize>(context: &Context, rows: impl Iterator<Item = Row>) -> Result<()> {
    let rows: Vec<Row> = rows.collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row))?;
    let text = String::from_utf8(writer.into_inner().context("the table cannot be written")?)?;
    context.answer(&rows, |_| text)
}

/// A block time as RFC 3339 writes it.
fn date_time(time: Timestamp) -> String {
    let seconds = i64::try_from(time.get() / 1_000).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}
