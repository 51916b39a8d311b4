//! `allod shares`: a model's register, its history, transfers, and exports for other programs.

mod export;
mod minority;

use super::{
    args::{self, HowMany, IdArg},
    client::Client,
    context::Context,
    output::{Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    units::{show_count, show_time},
    words::{share_reason, show_part},
};
use crate::api::views::{IntakeView, ShareChangeView, SharesView, counterparty};
use allod_protocol::{
    ground::ids::{Height, ModelName, Units},
    rules::{
        action::Action,
        intake::{SetIntake, UnitsOf},
        model::Model,
        policy::TransferRule,
        sale::AcceptTransfer,
        share::{BurnShares, ShareFlow, TransferShares},
    },
};
use anyhow::{Result, bail};

/// Show a model's share register and its history; transfer, burn and export shares.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Shares {
    /// Who holds how much
    Show {
        /// namespace/name
        model: ModelName,
        /// As of this block [default: the newest]
        #[arg(long, value_name = "HEIGHT")]
        at: Option<Height>,
    },
    /// Every change of the register, with its reason
    History {
        /// namespace/name
        model: ModelName,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Give shares to another account
    Transfer {
        /// namespace/name
        model: ModelName,
        /// The account that receives them
        #[arg(long, value_name = "ACCOUNT")]
        to: String,
        /// How many units
        #[arg(long, value_parser = args::units)]
        units: Units,
        /// The reason, for the history
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Give up shares of yours: they are gone, and every other holder's part grows
    Burn {
        /// namespace/name
        model: ModelName,
        /// How many units
        #[arg(long, value_parser = args::some_units)]
        units: Units,
        /// The reason, for the history
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Take units that come to you unasked: of a model, or of any
    Take {
        #[command(flatten)]
        of: WhichUnits,
        /// Have no setting for them any more
        #[arg(long)]
        forget: bool,
        #[command(flatten)]
        signing: Signing,
    },
    /// Take no units unasked: of a model, or of any
    Refuse {
        #[command(flatten)]
        of: WhichUnits,
        #[command(flatten)]
        signing: Signing,
    },
    /// What an account does with units that come unasked
    Intake {
        /// Its handle or id
        whose: String,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Accept the units that a proposal would give you, on its terms
    Accept {
        /// The proposal's id, or the start of it
        proposal: IdArg,
        /// Withdraw your acceptance
        #[arg(long)]
        decline: bool,
        #[command(flatten)]
        signing: Signing,
    },
    /// Minted units that holders may still take up, to keep their part
    Issues(minority::Issues),
    /// Take up minted units, up to what your part was
    TakeUp(minority::TakeUp),
    /// Consent to a decision that burns units of yours, or withdraw the consent
    Consent(minority::Consent),
    /// Write a register for other programs
    Export(export::Export),
}

/// Units of a model, or of any.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct WhichUnits {
    /// namespace/name
    model: Option<ModelName>,
    /// Units of any model
    #[arg(long)]
    any: bool,
}

impl Shares {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Show { model, at } => {
                let view = register(&context.client()?, &model, at).await?;
                context.answer(&view, show)
            }
            Self::History { model, how_many } => {
                let path = format!("/v1/models/{model}/shares/history");
                let page = context.client()?.list::<ShareChangeView>(&path, how_many.limit()).await?;
                context.answer_list(&page, show_history)
            }
            Self::Transfer { model, to, units, reason, signing } => {
                let sender = signing.sender(context).await?;
                let model = sender.client.model(&model).await?.model;
                require_free_transfers(&model, &to, units)?;
                let to = sender.client.account(&to).await?.account;
                let action = TransferShares { model: model.id, to: to.id, units, reason };
                let receipt = sender.submit(Action::TransferShares(action)).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    let (from, count) = (&sender.account.handle, show_count(units.get()));
                    format!("{count} units of {} from {from} to {}\n{}", model.name, to.handle, receipt.place())
                })
            }
            Self::Take { of, forget, signing } => say_intake(context, of, (!forget).then_some(true), &signing).await,
            Self::Refuse { of, signing } => say_intake(context, of, Some(false), &signing).await,
            Self::Intake { whose, how_many } => {
                let path = format!("/v1/accounts/{whose}/intake");
                context.answer_list(&context.client()?.list::<IntakeView>(&path, how_many.limit()).await?, show_intake)
            }
            Self::Accept { proposal, decline, signing } => {
                let sender = signing.sender(context).await?;
                let proposal = proposal.resolve(&sender.client, "/v1/proposals").await?;
                let action = AcceptTransfer { proposal, accept: !decline };
                let receipt = sender.submit(Action::AcceptTransfer(action)).await?;
                let said = if decline { "declined" } else { "accepted" };
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("{said}\n{}", receipt.place()))
            }
            Self::Burn { model, units, reason, signing } => {
                let sender = signing.sender(context).await?;
                let id = sender.client.model(&model).await?.model.id;
                let receipt = sender.submit(Action::BurnShares(BurnShares { model: id, units, reason })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    let (from, count) = (&sender.account.handle, show_count(units.get()));
                    format!("{count} units of {model} that {from} held are gone\n{}", receipt.place())
                })
            }
            Self::Issues(command) => command.execute(context).await,
            Self::TakeUp(command) => command.execute(context).await,
            Self::Consent(command) => command.execute(context).await,
            Self::Export(export) => export.execute(context).await,
        }
    }
}

async fn say_intake(context: &Context, of: WhichUnits, takes: Option<bool>, signing: &Signing) -> Result<()> {
    let sender = signing.sender(context).await?;
    let units = match &of.model {
        Some(model) => UnitsOf::Model(sender.client.model(model).await?.model.id),
        None => UnitsOf::Any,
    };
    let receipt = sender.submit(Action::SetIntake(SetIntake { of: units, takes })).await?;
    context.answer(&receipt, |receipt: &Receipt<Nothing>| {
        let of = of.model.as_ref().map_or_else(|| "any model".into(), ToString::to_string);
        let said = match takes {
            Some(true) => format!("units of {of} are taken"),
            Some(false) => format!("no units of {of} are taken unasked"),
            None => format!("there is no setting for units of {of} any more"),
        };
        format!("{said}\n{}", receipt.place())
    })
}

fn show_intake(said: &[IntakeView]) -> String {
    let mut table = Table::new(&["UNITS OF", "UNASKED"]);
    for view in said {
        let of = match view.of {
            UnitsOf::Any => "any model".into(),
            UnitsOf::Model(model) => who(view.model_name.as_ref(), model),
        };
        table.row([of, if view.takes { "taken".into() } else { "refused".into() }]);
    }
    table.show("this account takes all units that come")
}

/// Says what to do if the ledger would refuse a transfer, before anything is signed.
fn require_free_transfers(model: &Model, to: &str, units: Units) -> Result<()> {
    let name = &model.name;
    match model.policy.transfers {
        TransferRule::Free => Ok(()),
        TransferRule::Approval => bail!(
            "a transfer of shares of {name} needs its owners' approval; ask for it: \
             allod propose transfer {name} --to {to} --units {units} --reason WHY --as ACCOUNT"
        ),
        TransferRule::Locked => bail!(
            "shares of {name} cannot be transferred; its owners can change that: \
             allod propose policy {name} --transfers free --as ACCOUNT"
        ),
    }
}

/// The whole register, page by page, as of one height.
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

fn show(view: &SharesView) -> String {
    let mut table = Table::new(&["HOLDER", ">UNITS", ">PART", ">UNDER VESTING"]);
    for line in &view.items {
        let mark = if line.unaccepted_since.is_some() { " (NEW KEYS, NOT ACCEPTED)" } else { "" };
        let holder = format!("{}{mark}", who(line.handle.as_ref(), line.account));
        let vesting = match line.units.get().saturating_sub(line.free_units.get()) {
            0 => String::new(),
            locked => show_count(locked),
        };
        table.row([holder, show_count(line.units.get()), show_part(line.basis_points, line.units.get()), vesting]);
    }
    let (name, height, total) = (&view.name, view.height, show_count(view.total_units.get()));
    format!("{name} after block {height}, {}: {total} units\n\n{}", show_time(view.time), table.show("nobody held any"))
}

fn show_history(changes: &[ShareChangeView]) -> String {
    let mut table = Table::new(&[">#", "WHEN", "ACCOUNT", ">UNITS", ">HOLDS", "REASON", "DECISION", "TITLED"]);
    for view in changes {
        let change = &view.change;
        let sign = match change.flow {
            ShareFlow::In => '+',
            ShareFlow::Out => '-',
        };
        let counterparty = counterparty(&change.reason).map(|id| who(view.counterparty_handle.as_ref(), id));
        table.row([
            change.number.to_string(),
            show_time(view.time),
            cut(&who(view.handle.as_ref(), change.account), 16),
            format!("{sign}{}", show_count(change.units.get())),
            show_count(change.balance.get()),
            cut(&share_reason(&change.reason, change.flow, counterparty.as_deref()), 24),
            cut(&view.decision_does.join("; "), 32),
            view.decision_title.as_deref().map(|title| cut(title, 20)).unwrap_or_default(),
        ]);
    }
    table.show("no changes yet")
}
