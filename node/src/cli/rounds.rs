//! `allod rounds`: periods of contributions that mint shares by a plan.

use super::{
    args::HowMany,
    context::Context,
    dates::Dates,
    output::{Fields, Table, cut, who},
    units::{show_count, show_time},
    words::{show_part, show_plan},
};
use crate::api::{
    parts,
    views::{RoundView, ScoreView},
};
use allod_protocol::{
    ground::ids::{BasisPoints, Height, ModelName, Units},
    rules::{
        round::{Round, RoundStatus},
        share::portion,
    },
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
            Some(number) => {
                let view = client.get::<RoundView>(&format!("{path}/{number}")).await?;
                let dates = Dates::of(&client, heights(&view)).await?;
                context.answer(&view, |view| show(view, &dates))
            }
            None => {
                let page = client.list::<RoundView>(&path, self.how_many.limit()).await?;
                let dates = Dates::of(&client, page.items.iter().flat_map(heights)).await?;
                context.answer_list(&page, |rounds| show_list(rounds, &dates))
            }
        }
    }
}

/// The heights that an answer about a round mentions.
fn heights(view: &RoundView) -> Vec<Height> {
    let ended = match view.round.status {
        RoundStatus::Closed { height, .. } | RoundStatus::Failed { height } => Some(height),
        RoundStatus::Open
        | RoundStatus::Gathering { .. }
        | RoundStatus::Dividing { .. }
        | RoundStatus::Capping { .. }
        | RoundStatus::Quotas { .. }
        | RoundStatus::Minting { .. }
        | RoundStatus::Waiting { .. } => None,
    };
    [view.round.opened].into_iter().chain(ended).collect()
}

/// The status of a round in a few words.
fn status(view: &RoundView, dates: &Dates) -> String {
    let round = &view.round;
    match &round.status {
        RoundStatus::Open => format!("open until {}", show_time(round.closes)),
        RoundStatus::Gathering { .. }
        | RoundStatus::Dividing { .. }
        | RoundStatus::Capping { .. }
        | RoundStatus::Quotas { .. }
        | RoundStatus::Minting { .. } => "closing".into(),
        RoundStatus::Waiting { .. } => {
            let (minted, held) = (show_count(round.minted.get()), show_count(round.held().get()));
            format!("{minted} units minted, {held} held until {} disputes are over", round.reserve.disputes)
        }
        RoundStatus::Closed { height, minted } => {
            format!("closed in {}, {} units minted", dates.at(*height), show_count(minted.get()))
        }
        RoundStatus::Failed { height } => format!("failed in {}: too few gave", dates.at(*height)),
    }
}

fn show_list(rounds: &[RoundView], dates: &Dates) -> String {
    let mut table = Table::new(&[">ROUND", ">BUDGET", ">GIVERS", "STATUS", "DECIDED AS"]);
    for view in rounds {
        table.row([
            view.round.number.to_string(),
            show_count(view.round.plan.budget.get()),
            view.round.contributors.to_string(),
            status(view, dates),
            cut(view.decision_title.as_deref().unwrap_or_default(), 20),
        ]);
    }
    table.show("no rounds yet; ask for one: allod propose round MODEL")
}

fn show(view: &RoundView, dates: &Dates) -> String {
    let round = &view.round;
    let mut fields = Fields::default();
    fields.add("round", round.number).add("decision", view.decision_does.join("; "));
    fields.add_some("titled", view.decision_title.as_ref());
    fields.add("proposal", round.proposal).add("opened", dates.at(round.opened));
    fields.add("mints", show_plan(&round.plan));
    fields.add("records until", show_time(round.records_until)).add("status", status(view, dates));
    fields.add("countersigners", round.countersigners);
    if round.seals > 0 {
        fields.add("not told", format!("{} sealed amounts; who leaves one untold gets nothing", round.seals));
    }
    let is_minted = round.status.is_final() || matches!(round.status, RoundStatus::Waiting { .. });
    let got = if is_minted { ">UNITS" } else { ">UNITS NOW" };
    let mut table = Table::new(&["GIVER", ">COUNTS", ">PART", got, "REMARK"]);
    for (score, part) in view.scores.iter().flatten().zip(shown_parts(view)) {
        let part = show_part(part, counting(score));
        let units = score.units.map_or_else(|| "too many givers".into(), |units| show_count(units.get()));
        let giver = who(score.handle.as_ref(), score.account);
        table.row([giver, show_count(score.score), part, units, remark(round, score)]);
    }
    format!("{}\n{}", fields.show(), table.show("nothing counts yet: contributions count once they are countersigned"))
}

/// What counts for a giver: nothing while it withholds an amount.
const fn counting(score: &ScoreView) -> u64 {
    if score.seals == 0 { score.score } else { 0 }
}

/// Each giver's part of what counts. If all are shown, the parts add up to the whole; if there are more than shown,
/// they are rounded down.
fn shown_parts(view: &RoundView) -> Vec<BasisPoints> {
    let counts: Vec<u64> = view.scores.iter().flatten().map(counting).collect();
    let whole = view.round.score;
    if counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count)) == whole {
        return parts(&counts);
    }
    counts.into_iter().map(|count| portion(Units::new(count), Units::new(whole))).collect()
}

/// Why a giver's units differ from its part.
fn remark(round: &Round, score: &ScoreView) -> String {
    match (score.seals, &score.cap_shared_with) {
        (0, None) if score.disputed > 0 && !round.status.is_final() => {
            format!("{} of it disputed", show_count(score.disputed))
        }
        (0, None) => String::new(),
        (0, Some(group)) => format!("shares the cap of {group}"),
        (seals, _) if round.status.is_final() => format!("WITHHELD {seals} amounts"),
        (seals, _) => format!("{seals} amounts to tell"),
    }
}
