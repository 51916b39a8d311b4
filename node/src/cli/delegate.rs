//! `allod delegate` and `allod delegations`: accounts that answer a model's questions for others.

use super::{
    args::HowMany,
    context::Context,
    output::{Table, who},
    signing::{Nothing, Receipt, Signing},
    units::{self, now, show_count, show_time},
};
use crate::api::views::DelegationView;
use allod_protocol::{
    ground::ids::ModelName,
    rules::{action::Action, delegation::Delegate as DelegateAction},
};
use anyhow::Result;
use std::time::Duration;

/// Let another account answer a model's questions with your weight, or end that.
#[derive(Debug, clap::Args)]
pub(super) struct Delegate {
    /// namespace/name
    model: ModelName,
    #[command(flatten)]
    whom: Whom,
    /// For how long [default: until it is ended]
    #[arg(long = "for", value_name = "DURATION", value_parser = units::duration, conflicts_with = "end")]
    duration: Option<Duration>,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The account that answers from now on; you may still answer any question yourself
    #[arg(long, value_name = "ACCOUNT")]
    to: Option<String>,
    /// Answer for yourself again
    #[arg(long)]
    end: bool,
}

impl Delegate {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let to = match &self.whom.to {
            Some(name) => Some(sender.client.account(name).await?.account),
            None => None,
        };
        let action = DelegateAction {
            model: sender.client.model(&self.model).await?.model.id,
            to: to.as_ref().map(|account| account.id),
            expires: self.duration.map(|duration| now().plus_ms(units::milliseconds(duration))),
        };
        let receipt = sender.submit(Action::Delegate(action)).await?;
        context.answer(&receipt, |receipt: &Receipt<Nothing>| {
            let (model, own, place) = (&self.model, &sender.account.handle, receipt.place());
            match &to {
                Some(to) => format!("{} answers the questions of {model} for {own}\n{place}", to.handle),
                None => format!("{own} answers the questions of {model} for itself\n{place}"),
            }
        })
    }
}

/// Which accounts let which others answer a model's questions.
#[derive(Debug, clap::Args)]
pub(super) struct Delegations {
    /// namespace/name
    model: ModelName,
    #[command(flatten)]
    how_many: HowMany,
}

impl Delegations {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let path = format!("/v1/models/{}/delegations", self.model);
        context.answer_list(&context.client()?.list::<DelegationView>(&path, self.how_many.limit()).await?, show)
    }
}

fn show(delegations: &[DelegationView]) -> String {
    let mut table = Table::new(&["HOLDER", ">UNITS", "ANSWERED FOR BY", "UNTIL"]);
    for view in delegations {
        let delegation = &view.delegation;
        table.row([
            who(view.from_handle.as_ref(), delegation.from),
            show_count(view.units.get()),
            who(view.to_handle.as_ref(), delegation.to),
            delegation.expires.map_or_else(|| "it is ended".into(), show_time),
        ]);
    }
    table.show("everybody answers for itself")
}
