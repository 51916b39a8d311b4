//! `allod contribute`: what was given to a model, and who received it.

use super::{
    Failure,
    args::{HowMany, IdArg, content_hash},
    client::Client,
    context::Context,
    dates::Dates,
    dispute::{self, Words},
    output::{Fields, cut, who},
    seals::KeptSeal,
    signing::{Nothing, Receipt, Signing},
    units::show_count,
};
use crate::api::views::{ContributionView, RoundView};
use allod_protocol::{
    ground::ids::{ContentHash, ContributionId, Handle, Height, ModelName, Units},
    rules::{
        action::Action,
        contribution::{
            AcceptContribution, Contribution, ContributionKind, Decline, DeclineContribution, RecordContribution,
            RevealContribution,
        },
        dispute::DisputeTarget,
        event::Event,
    },
};
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// Record a contribution to a model; list and countersign contributions.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Contribute {
    #[command(subcommand)]
    command: Option<ContributeCommand>,
    #[command(flatten)]
    record: Option<Record>,
    // Not inside `Record`: clap treats an optional group that contains another group as absent.
    #[command(flatten)]
    signing: Option<Signing>,
}

#[derive(Debug, clap::Subcommand)]
enum ContributeCommand {
    /// Countersign a contribution, as a steward of its model
    Accept {
        /// The contribution's id, or the start of it
        contribution: IdArg,
        #[command(flatten)]
        signing: Signing,
    },
    /// Decline to countersign a contribution, as a steward of its model; the giver may appeal
    Decline {
        /// The contribution's id, or the start of it
        contribution: IdArg,
        /// The reason for declining, which everybody can read
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Appeal if a contribution of yours was declined, or not countersigned: if the arbiters uphold it, it counts
    Appeal {
        /// The contribution's id, or the start of it
        contribution: IdArg,
        #[command(flatten)]
        claim: Words,
        #[command(flatten)]
        signing: Signing,
    },
    /// Reveal the amount of a sealed contribution of yours, once its round no longer records; an amount that is never
    /// revealed loses you everything in that round
    Reveal {
        /// The contribution's id, or the start of it
        contribution: IdArg,
        /// The sealed amount, if it is not kept with your keys
        #[arg(long, value_parser = amount, requires = "salt")]
        amount: Option<u64>,
        /// The salt of the seal, if it is not kept with your keys
        #[arg(long, value_name = "HEX", requires = "amount")]
        salt: Option<ContentHash>,
        #[command(flatten)]
        signing: Signing,
    },
    /// List a model's contributions, the newest first
    List {
        /// namespace/name
        model: ModelName,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Show a contribution
    Show {
        /// Its id, or the start of it
        contribution: IdArg,
    },
}

/// A contribution to record.
#[derive(Debug, clap::Args)]
struct Record {
    /// The model: namespace/name
    model: ModelName,
    /// The round; in a sealed one the amount is hidden until it is revealed
    #[arg(long, value_name = "ROUND")]
    round: Option<u64>,
    /// What was given
    #[arg(long, value_enum)]
    kind: Kind,
    /// How much: examples, core- or accelerator-seconds, changes, runs, or whole units of a currency
    #[arg(long, value_parser = amount)]
    amount: u64,
    /// What shows it: a hash, or a file that is hashed here
    #[arg(long, value_name = "FILE|HASH")]
    evidence: Option<String>,
    /// A note in your own words
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Data,
    Compute,
    Code,
    Evaluation,
    Funding,
}

impl From<Kind> for ContributionKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Data => Self::Data,
            Kind::Compute => Self::Compute,
            Kind::Code => Self::Code,
            Kind::Evaluation => Self::Evaluation,
            Kind::Funding => Self::Funding,
        }
    }
}

fn amount(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is not a whole number"))
}

#[derive(Debug, Serialize)]
struct ContributionRecorded {
    contribution: ContributionId,
    /// The file with the amount and the salt, if the amount was sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<PathBuf>,
}

impl Contribute {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match (self.command, self.record, self.signing) {
            (Some(command), _, _) => command.execute(context).await,
            (None, Some(record), Some(signing)) => record.execute(context, signing).await,
            _ => Err(Failure::usage("name a model, or one of: accept, decline, reveal, list, show")),
        }
    }
}

impl Record {
    async fn execute(self, context: &Context, signing: Signing) -> Result<()> {
        let sender = signing.sender(context).await?;
        let model = sender.client.model(&self.model).await?.model.id;
        let evidence = self.evidence.as_deref().map(content_hash).transpose()?;
        let sealed = match self.round {
            Some(round) if self.is_sealed(&sender.client, round).await? => {
                Some(KeptSeal::new(model, round, sender.account.id, self.amount)?)
            }
            _ => None,
        };
        // On disk before the ledger learns of it: an amount that cannot be revealed costs its giver the round.
        let kept = sealed.as_ref().map(|sealed| sealed.keep(&context.keys()?)).transpose()?;
        let sealed = sealed.map(|sealed| sealed.seal());
        let action = RecordContribution {
            model,
            round: self.round,
            kind: self.kind.into(),
            amount: if sealed.is_some() { 0 } else { self.amount },
            sealed,
            evidence,
            note: self.note,
        };
        let receipt = sender.submit(Action::RecordContribution(action)).await?.with(|events| {
            events.iter().find_map(|event| match event {
                Event::ContributionRecorded { contribution, .. } => {
                    Some(ContributionRecorded { contribution: *contribution, kept: kept.clone() })
                }
                _ => None,
            })
        })?;
        context.answer(&receipt, |receipt: &Receipt<ContributionRecorded>| {
            let mut fields = Fields::default();
            fields.add("contribution", receipt.made.contribution);
            receipt.add_place(&mut fields);
            match &receipt.made.kept {
                Some(path) => {
                    let words = "keep it: without it the amount cannot be revealed, and you get nothing from the round";
                    fields.add("sealed", format!("{}\n{words}", path.display()));
                    fields.add("next", "after recording: allod contribute reveal ID");
                }
                None => {
                    fields.add("next", "a steward runs: allod contribute accept ID --as STEWARD");
                }
            }
            fields.show()
        })
    }
}

impl Record {
    /// Whether a round requires sealed amounts.
    async fn is_sealed(&self, client: &Client, round: u64) -> Result<bool> {
        let view: RoundView = client.get(&format!("/v1/models/{}/rounds/{round}", self.model)).await?;
        Ok(view.round.plan.sealed)
    }
}

impl ContributeCommand {
    async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Accept { contribution, signing } => {
                let sender = signing.sender(context).await?;
                let contribution = contribution.resolve(&sender.client, "/v1/contributions").await?;
                let action = Action::AcceptContribution(AcceptContribution { contribution });
                let receipt = sender.submit(action).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    let lacks = receipt.events.iter().find_map(|event| match event {
                        Event::ContributionAccepted { lacking, .. } if *lacking > 0 => Some(lacking),
                        _ => None,
                    });
                    let counts = lacks.map_or_else(|| "it counts".into(), |lacks| format!("{lacks} more have to"));
                    format!("countersigned by {}: {counts}\n{}", sender.account.handle, receipt.place())
                })
            }
            Self::Decline { contribution, reason, signing } => {
                let sender = signing.sender(context).await?;
                let contribution = contribution.resolve(&sender.client, "/v1/contributions").await?;
                let action = Action::DeclineContribution(DeclineContribution { contribution, reason });
                let receipt = sender.submit(action).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    format!("declined by {}\n{}", sender.account.handle, receipt.place())
                })
            }
            Self::Appeal { contribution, claim, signing } => {
                let contribution = contribution.resolve(&context.client()?, "/v1/contributions").await?;
                let appeal = DisputeTarget::Appeal(contribution);
                dispute::open(context, &signing, appeal, Units::ZERO, dispute::Bond::default(), claim).await
            }
            Self::Reveal { contribution, amount, salt, signing } => {
                let sender = signing.sender(context).await?;
                let contribution = contribution.resolve(&sender.client, "/v1/contributions").await?;
                let (amount, salt) = match (amount, salt) {
                    (Some(amount), Some(salt)) => (amount, salt),
                    _ => {
                        let path = format!("/v1/contributions/{contribution}");
                        let view: ContributionView = sender.client.get(&path).await?;
                        let kept = KeptSeal::of(context, &view.contribution)?;
                        (kept.amount, kept.salt)
                    }
                };
                let action = RevealContribution { contribution, amount, salt };
                let receipt = sender.submit(Action::RevealContribution(action)).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("revealed\n{}", receipt.place()))
            }
            Self::List { model, how_many } => {
                let path = format!("/v1/models/{model}/contributions");
                let client = context.client()?;
                let page = client.list::<ContributionView>(&path, how_many.limit()).await?;
                let dates = Dates::of(&client, page.items.iter().flat_map(heights)).await?;
                context.answer_list(&page, |views| show_list(views, &dates))
            }
            Self::Show { contribution } => {
                let client = context.client()?;
                let view: ContributionView = client.get(&format!("/v1/contributions/{contribution}")).await?;
                let dates = Dates::of(&client, heights(&view)).await?;
                context.answer(&view, |view| show(view, &dates))
            }
        }
    }
}

/// The heights that an answer about a contribution mentions.
fn heights(view: &ContributionView) -> Vec<Height> {
    let contribution = &view.contribution;
    let signed = contribution.countersigned.iter().map(|one| one.height);
    let declined = contribution.declined.iter().map(|one| one.height);
    signed.chain(declined).chain([contribution.recorded]).chain(contribution.accepted).collect()
}

fn show(view: &ContributionView, dates: &Dates) -> String {
    let contribution = &view.contribution;
    let mut fields = Fields::default();
    fields.add("contribution", contribution.id).add_some("model", view.model_name.as_ref());
    fields.add("giver", who(view.giver_handle.as_ref(), contribution.giver));
    fields.add("kind", contribution.kind.name()).add("amount", amount_text(contribution));
    fields.add_some("round", contribution.round);
    fields.add_some("evidence", contribution.evidence);
    fields.add_some("note", Some(&contribution.note).filter(|note| !note.is_empty()));
    fields.add("recorded", dates.at(contribution.recorded));
    fields.add("countersigned", countersigned(view, dates));
    for words in declined(view, dates) {
        fields.add("declined", words);
    }
    fields.show()
}

fn amount_text(contribution: &Contribution) -> String {
    if contribution.is_sealed() { "sealed".into() } else { show_count(contribution.amount) }
}

fn countersigned(view: &ContributionView, dates: &Dates) -> String {
    let contribution = &view.contribution;
    let mut words: Vec<String> = contribution
        .countersigned
        .iter()
        .zip(&view.countersigned_handles)
        .map(|(one, handle)| format!("by {}, {}", who(handle.as_ref(), one.steward), dates.date(one.height)))
        .collect();
    match contribution.accepted {
        Some(height) if words.is_empty() => words.push(format!("counts by an appeal since {}", dates.date(height))),
        Some(_) => {}
        None => words.push(format!("by {} of {}; it does not count yet", words.len(), view.countersigners)),
    }
    words.join("; ")
}

fn declined(view: &ContributionView, dates: &Dates) -> Vec<String> {
    let declined = view.contribution.declined.iter().zip(&view.declined_handles);
    let words = |(one, handle): (&Decline, &Option<Handle>)| {
        format!("by {}, {}: {}", who(handle.as_ref(), one.steward), dates.date(one.height), one.reason)
    };
    declined.map(words).collect()
}

/// Each entry takes two lines, because its id must be copied whole.
fn show_list(views: &[ContributionView], dates: &Dates) -> String {
    if views.is_empty() {
        return "no contributions".into();
    }
    let mut text = String::new();
    for view in views {
        let contribution = &view.contribution;
        let giver = who(view.giver_handle.as_ref(), contribution.giver);
        let (kind, amount) = (contribution.kind.name(), amount_text(contribution));
        text.push_str(&format!("{}\n", contribution.id));
        text.push_str(&format!(
            "  {}  {giver}  {kind} {amount}  countersigned: {}\n",
            dates.date(contribution.recorded),
            countersigned(view, dates)
        ));
        for words in declined(view, dates) {
            text.push_str(&format!("  declined {words}\n"));
        }
        if !contribution.note.is_empty() {
            text.push_str(&format!("  {}\n", cut(&contribution.note, 76)));
        }
    }
    text
}
