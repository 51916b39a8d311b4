//! `allod shares`: a model's register, its history, transfers, deeds.

use super::{
    args,
    client::Client,
    context::Context,
    output::{Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    units::{show_count, show_size},
    words::{counterparty, share_reason},
};
use crate::api::views::{ShareChangeView, SharesView};
use allod_protocol::{
    ids::{Height, ModelName, Units},
    proof::Deed,
    share::{ShareFlow, TransferShares},
    transaction::Action,
};
use anyhow::Result;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show a model's share register and its history, transfer shares, get deeds.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Shares {
    /// Who holds how much
    Show {
        /// namespace/name
        model: ModelName,
        /// As it stood after this block [default: the newest]
        #[arg(long, value_name = "HEIGHT")]
        at: Option<Height>,
    },
    /// Every change of the register, with its reason
    History {
        /// namespace/name
        model: ModelName,
        /// How many at most, the newest first
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Give shares to another account
    Transfer {
        /// namespace/name
        model: ModelName,
        /// Who receives
        #[arg(long, value_name = "ACCOUNT")]
        to: String,
        /// How many units
        #[arg(long, value_parser = args::units)]
        units: Units,
        /// Why, for the history
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Write a proof of what an account holds, which anyone checks offline with `allod verify`
    Deed {
        /// namespace/name
        model: ModelName,
        /// Whose line
        account: String,
        /// The file to write, new
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// A deed that was written.
#[derive(Debug, Serialize)]
pub(super) struct DeedWritten {
    file: PathBuf,
    size_bytes: u64,
    /// The height after which what it proves stood so.
    height: Height,
}

impl Shares {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Show { model, at } => {
                let view = register(&context.client()?, &model, at).await?;
                context.answer(&view, show)
            }
            Self::History { model, limit } => {
                let path = format!("/v1/models/{model}/shares/history");
                let page = context.client()?.list::<ShareChangeView>(&path, limit).await?;
                context.answer(&page.items, |changes| show_history(changes))
            }
            Self::Transfer { model, to, units, reason, signing } => {
                let sender = signing.sender(context).await?;
                let model = sender.client.model(&model).await?.model;
                let to = sender.client.account(&to).await?.account;
                let action = TransferShares { model: model.id, to: to.id, units, reason };
                let receipt = sender.submit(Action::TransferShares(action)).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    let (from, count) = (&sender.account.handle, show_count(units.get()));
                    format!("{count} units of {} from {from} to {}\n{}", model.name, to.handle, receipt.place())
                })
            }
            Self::Deed { model, account, output } => {
                let client = context.client()?;
                let account = client.account(&account).await?.account.handle;
                write_deed(context, &client, &format!("/v1/deeds/share/{model}/{account}"), &output).await
            }
        }
    }
}

/// A register whole, page by page as of one height.
async fn register(client: &Client, model: &ModelName, at: Option<Height>) -> Result<SharesView> {
    let at = at.map(|height| format!("&at={height}")).unwrap_or_default();
    let path = format!("/v1/models/{model}/shares?limit=500");
    let mut register: SharesView = client.get(&format!("{path}{at}")).await?;
    while let Some(next) = register.next.take() {
        let height = register.height;
        let page: SharesView = client.get(&format!("{path}&at={height}&after={next}")).await?;
        register.items.extend(page.items);
        register.next = page.next;
    }
    register.items.sort_by(|one, two| two.units.cmp(&one.units).then_with(|| one.handle.cmp(&two.handle)));
    Ok(register)
}

/// Gets a deed and writes it to a new file.
pub(super) async fn write_deed(context: &Context, client: &Client, path: &str, file: &Path) -> Result<()> {
    let deed = client.get_bytes(path).await?;
    super::init::write_new(file, &deed)?;
    let height = Deed::decode(&deed)?.header.header.height.previous();
    let written = DeedWritten { file: file.to_owned(), size_bytes: deed.len() as u64, height };
    context.answer(&written, |written| {
        let file = written.file.display();
        let (size, height) = (show_size(written.size_bytes), written.height);
        format!("{file}: {size}, as of block {height}\ncheck it with: allod verify {file} --genesis GENESIS")
    })
}

fn show(view: &SharesView) -> String {
    let mut table = Table::new(&["HOLDER", ">UNITS", ">PART"]);
    for line in &view.items {
        let holder = who(line.handle.as_ref(), line.account);
        table.row([holder, show_count(line.units.get()), line.basis_points.to_string()]);
    }
    let (name, height, total) = (&view.name, view.height, show_count(view.total_units.get()));
    format!("{name} after block {height}: {total} units\n\n{}", table.show("nobody held any"))
}

fn show_history(changes: &[ShareChangeView]) -> String {
    let mut table = Table::new(&[">#", ">BLOCK", "ACCOUNT", ">UNITS", ">HOLDS", "REASON"]);
    for view in changes {
        let change = &view.change;
        let sign = match change.flow {
            ShareFlow::In => '+',
            ShareFlow::Out => '-',
        };
        let counterparty = counterparty(&change.reason).map(|id| who(view.counterparty_handle.as_ref(), id));
        table.row([
            change.number.to_string(),
            change.height.to_string(),
            cut(&who(view.handle.as_ref(), change.account), 16),
            format!("{sign}{}", show_count(change.units.get())),
            show_count(change.balance.get()),
            cut(&share_reason(&change.reason, change.flow, counterparty.as_deref()), 28),
        ]);
    }
    table.show("no changes yet")
}
