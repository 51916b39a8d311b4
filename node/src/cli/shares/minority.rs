//! How holders keep what is theirs: taking up minted units, and consenting to a burn or not.

use super::super::{
    args::{self, HowMany, IdArg},
    context::Context,
    output::{Table, who},
    signing::{Nothing, Receipt, Signing},
    units::{show_count, show_time},
};
use crate::api::views::IssueView;
use allod_protocol::{
    ground::ids::{ModelName, Units},
    rules::{
        action::Action,
        share::{GiveConsent, TakeUp as TakeUpAction},
    },
};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Issues {
    /// namespace/name
    model: ModelName,
    #[command(flatten)]
    how_many: HowMany,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TakeUp {
    /// namespace/name
    model: ModelName,
    /// The issue's number, as `allod shares issues` shows it
    issue: u64,
    /// How many units
    #[arg(long, value_parser = args::some_units)]
    units: Units,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Consent {
    /// The proposal that would burn units of yours: its id, or the start of it
    proposal: IdArg,
    /// Withdraw the consent
    #[arg(long)]
    take_back: bool,
    #[command(flatten)]
    signing: Signing,
}

impl Issues {
    pub(in crate::cli) async fn execute(self, context: &Context) -> Result<()> {
        let path = format!("/v1/models/{}/issues", self.model);
        context.answer_list(&context.client()?.list::<IssueView>(&path, self.how_many.limit()).await?, show)
    }
}

impl TakeUp {
    pub(in crate::cli) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let model = sender.client.model(&self.model).await?.model.id;
        let asked = TakeUpAction { model, issue: self.issue, units: self.units };
        let receipt = sender.submit(Action::TakeUp(asked)).await?;
        context.answer(&receipt, |receipt: &Receipt<Nothing>| {
            let units = show_count(self.units.get());
            format!("{} took up {units} units of {}\n{}", sender.account.handle, self.model, receipt.place())
        })
    }
}

impl Consent {
    pub(in crate::cli) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let proposal = self.proposal.proposal(&sender.client).await?;
        let agrees = !self.take_back;
        let receipt = sender.submit(Action::GiveConsent(GiveConsent { proposal, agrees })).await?;
        context.answer(&receipt, |receipt: &Receipt<Nothing>| {
            let what = if agrees { "agrees to what it takes" } else { "no longer agrees to what it takes" };
            format!("{} {what}\n{}", sender.account.handle, receipt.place())
        })
    }
}

fn show(issues: &[IssueView]) -> String {
    let mut table = Table::new(&[">ISSUE", ">UNITS", ">TAKEN UP", "THE REST GOES TO", "UNTIL"]);
    for view in issues {
        let issue = &view.issue;
        table.row([
            issue.number.to_string(),
            show_count(issue.units.get()),
            show_count(issue.taken.get()),
            who(view.to_handle.as_ref(), issue.to),
            show_time(issue.until),
        ]);
    }
    table.show("nothing can be taken up")
}
