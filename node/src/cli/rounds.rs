//! `allod rounds`: periods of contributions that mint shares by a plan.

use super::{
    args::HowMany,
    context::Context,
    output::{Fields, Table, cut, who},
    units::{show_count, show_time},
    words::show_plan,
};
use crate::api::views::{RoundView, ScoreView};
use allod_protocol::{
    ids::ModelName,
    round::{Round, RoundStatus},
};
use anyhow::Result;

/// List a model's rounds, or show one.
#[derive(Debug, clap::Args)]
pub(super) struct Rounds {
    /// namespace/name
    model: ModelName,
    /// Show this one, with what each giver's contributions count and the units it gets for them
    #[arg(long, value_name = "ROUND")]
    number: Option<u64>,
    #[command(flatten)]
    how_many: HowMany,
}

impl Rounds {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let (client, path) = (context.client()?, format!("/v1/models/{}/rounds", self.model));
        match self.number {
            Some(number) => context.answer(&client.get::<RoundView>(&format!("{path}/{number}")).await?, show),
            None => context.answer_list(&client.list::<RoundView>(&path, self.how_many.limit()).await?, show_list),
        }
    }
}

/// Where a round stands, in a few words.
fn status(view: &RoundView) -> String {
    let round = &view.round;
    match &round.status {
        RoundStatus::Open => format!("open until {}", show_time(round.closes)),
        RoundStatus::Gathering { .. }
        | RoundStatus::Dividing { .. }
        | RoundStatus::Capping { .. }
        | RoundStatus::Quotas { .. }
        | RoundStatus::Minting { .. } => "closing".into(),
        RoundStatus::Closed { height, minted } => {
            format!("closed in block {height}, {} units minted", show_count(minted.get()))
        }
        RoundStatus::Failed { height } => format!("failed in block {height}: too few gave"),
    }
}

fn show_list(rounds: &[RoundView]) -> String {
    let mut table = Table::new(&[">ROUND", ">BUDGET", ">GIVERS", "STATUS", "DECIDED AS"]);
    for view in rounds {
        table.row([
            view.round.number.to_string(),
            show_count(view.round.plan.budget.get()),
            view.round.contributors.to_string(),
            status(view),
            cut(view.decision_title.as_deref().unwrap_or_default(), 20),
        ]);
    }
    table.show("no rounds yet; ask for one: allod propose round MODEL")
}

fn show(view: &RoundView) -> String {
    let round = &view.round;
    let mut fields = Fields::default();
    fields.add("round", round.number).add("decision", view.decision_does.join("; "));
    fields.add_some("titled", view.decision_title.as_ref());
    fields.add("proposal", round.proposal).add("opened", format!("block {}", round.opened));
    fields.add("mints", show_plan(&round.plan));
    fields.add("records until", show_time(round.records_until)).add("status", status(view));
    fields.add("countersigners", round.countersigners);
    if round.seals > 0 {
        fields.add("not told", format!("{} sealed amounts; who leaves one untold gets nothing", round.seals));
    }
    let got = if round.status.is_final() { ">UNITS" } else { ">UNITS NOW" };
    let mut table = Table::new(&["GIVER", ">COUNTS", ">PART", got, "REMARK"]);
    for score in view.scores.iter().flatten() {
        let counting = if score.seals == 0 { score.score } else { 0 };
        let part = u128::from(counting).saturating_mul(10_000).checked_div(round.score.into()).unwrap_or(0);
        let part = format!("{}.{:02} %", part / 100, part % 100);
        let units = score.units.map_or_else(|| "too many givers".into(), |units| show_count(units.get()));
        let giver = who(score.handle.as_ref(), score.account);
        table.row([giver, show_count(score.score), part, units, remark(round, score)]);
    }
    format!("{}\n{}", fields.show(), table.show("nothing counts yet: contributions count once they are countersigned"))
}

/// Why a giver gets other units than its part.
fn remark(round: &Round, score: &ScoreView) -> String {
    match (score.seals, &score.cap_shared_with) {
        (0, None) => String::new(),
        (0, Some(group)) => format!("shares the cap of {group}"),
        (seals, _) if round.status.is_final() => format!("WITHHELD {seals} amounts"),
        (seals, _) => format!("{seals} amounts to tell"),
    }
}
