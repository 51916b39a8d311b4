//! `allod stop` and `allod stops`: versions that were suspended in an emergency.

use super::{
    args::{HowMany, VersionName},
    context::Context,
    dates::Dates,
    output::{Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    units::show_time,
};
use crate::api::views::StopView;
use allod_protocol::{
    ground::ids::ModelName,
    rules::{
        action::Action,
        emergency::{StopEnd, StopVersion},
    },
};
use anyhow::Result;

/// Suspend a version at once, as an account that the model's policy names for emergencies. The owners confirm or lift
/// the suspension, or it lapses.
#[derive(Debug, clap::Args)]
pub(super) struct Stop {
    /// namespace/name@label
    version: VersionName,
    /// The reason, for those who come across the version
    #[arg(long)]
    reason: String,
    /// End a stop of yours instead
    #[arg(long)]
    take_back: bool,
    #[command(flatten)]
    signing: Signing,
}

impl Stop {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let model = sender.client.model(&self.version.model).await?.model.id;
        let (label, stops) = (self.version.label.clone(), !self.take_back);
        let action = StopVersion { model, label, stops, reason: self.reason };
        let receipt = sender.submit(Action::StopVersion(action)).await?;
        context.answer(&receipt, |receipt: &Receipt<Nothing>| {
            let what = if stops { "is suspended" } else { "is not suspended any more" };
            format!("{} {what}\n{}", self.version, receipt.place())
        })
    }
}

/// The emergency stops of a model's versions, and what became of them.
#[derive(Debug, clap::Args)]
pub(super) struct Stops {
    /// namespace/name
    model: ModelName,
    #[command(flatten)]
    how_many: HowMany,
}

impl Stops {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let path = format!("/v1/models/{}/stops", self.model);
        let client = context.client()?;
        let page = client.list::<StopView>(&path, self.how_many.limit()).await?;
        let heights = page
            .items
            .iter()
            .flat_map(|view| [Some(view.stop.height), view.stop.ended.map(|(_, height)| height)].into_iter().flatten());
        let dates = Dates::of(&client, heights).await?;
        context.answer_list(&page, |stops| show(stops, &dates))
    }
}

fn show(stops: &[StopView], dates: &Dates) -> String {
    let mut table = Table::new(&["VERSION", "BY", "WHEN", "STANDS", "REASON"]);
    for view in stops {
        let stop = &view.stop;
        let stands = match stop.ended {
            None => format!("until {}", show_time(stop.until)),
            Some((end, height)) => format!("{} {}", end_text(end), dates.date(height)),
        };
        let by = who(view.handle.as_ref(), stop.account);
        table.row([stop.label.to_string(), by, dates.date(stop.height), stands, cut(&stop.reason, 40)]);
    }
    table.show("nobody has stopped a version")
}

/// How a suspension ended.
pub(super) const fn end_text(end: StopEnd) -> &'static str {
    match end {
        StopEnd::Lapsed => "lapsed",
        StopEnd::TakenBack => "taken back",
        StopEnd::Lifted(_) => "lifted by the owners",
        StopEnd::Confirmed(_) => "confirmed by the owners",
        StopEnd::Withdrawn(_) => "over, the version was withdrawn",
    }
}
