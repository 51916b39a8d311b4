//! `allod dispute`: challenges of a register line, a version or a contribution.

use super::{
    args::{self, HowMany, IdArg, VersionName},
    client::Client,
    context::Context,
    output::{Fields, short, who},
    signing::{Nothing, Receipt, Signing},
    units::{show_count, show_duration, show_time},
};
use crate::api::views::DisputeView;
use allod_protocol::{
    ground::ids::{AccountId, DisputeId, Handle, ModelName, Units},
    rules::{
        action::Action,
        dispute::{
            AnswerDispute, AppealDispute, DisputeStatus, DisputeTarget, OpenDispute, Plea, RuleDispute, WithdrawDispute,
        },
        event::Event,
    },
};
use anyhow::Result;
use serde::Serialize;

/// Challenge a register line, a version or a contribution; answer and settle challenges.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Dispute {
    /// Challenge units of a holder: they cannot leave its line until the dispute ends. Units of your own are bound
    /// meanwhile; a challenger that loses is barred from challenging for a while
    Line {
        /// namespace/name
        model: ModelName,
        /// The holder of the line
        holder: String,
        /// How many units
        #[arg(long, value_parser = args::some_units)]
        units: Units,
        #[command(flatten)]
        claim: Words,
        #[command(flatten)]
        bond: Bond,
        #[command(flatten)]
        signing: Signing,
    },
    /// Challenge a version: it is not released until the dispute ends
    Version {
        /// namespace/name@label
        version: VersionName,
        #[command(flatten)]
        claim: Words,
        #[command(flatten)]
        bond: Bond,
        #[command(flatten)]
        signing: Signing,
    },
    /// Challenge a contribution: it does not count until the dispute ends
    Contribution {
        /// Its id, or the start of it
        contribution: IdArg,
        #[command(flatten)]
        claim: Words,
        #[command(flatten)]
        bond: Bond,
        #[command(flatten)]
        signing: Signing,
    },
    /// Answer a challenge against you
    Answer {
        /// The dispute's id, or the start of it
        dispute: IdArg,
        #[command(flatten)]
        answer: Words,
        #[command(flatten)]
        signing: Signing,
    },
    /// Rule on a challenge as an arbiter, with your reasons; the ruling waits before it takes effect
    Rule {
        /// The dispute's id, or the start of it
        dispute: IdArg,
        #[command(flatten)]
        ruling: Ruling,
        /// Your reasons
        #[arg(long)]
        reasons: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Take a ruling that goes against you to the owners, before it takes effect; possible once
    Appeal {
        /// The dispute's id, or the start of it
        dispute: IdArg,
        /// Your reasons
        #[arg(long)]
        text: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Withdraw your challenge, before anybody has ruled on it
    Withdraw {
        /// The dispute's id, or the start of it
        dispute: IdArg,
        #[command(flatten)]
        signing: Signing,
    },
    /// List a model's disputes, the newest first
    List {
        /// namespace/name
        model: ModelName,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Show a dispute
    Show {
        /// Its id, or the start of it
        dispute: IdArg,
    },
}

/// The words of a party.
#[derive(Debug, clap::Args)]
pub(super) struct Words {
    /// Your statement
    #[arg(long)]
    text: String,
    /// What shows it: a hash, or a file that is hashed here
    #[arg(long, value_name = "FILE|HASH")]
    evidence: Option<String>,
}

/// What the challenger binds.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Bond {
    /// Bind this many units of your own, if the policy requires fewer: of sixteen challenges of the same thing, those
    /// that bind most stay
    #[arg(long, value_name = "UNITS", value_parser = args::some_units)]
    bond: Option<Units>,
}

/// The decision on a challenge.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Ruling {
    /// The challenge is right
    #[arg(long)]
    uphold: bool,
    /// The challenge is wrong
    #[arg(long)]
    lift: bool,
}

impl Ruling {
    pub(super) const fn upholds(self) -> bool {
        self.uphold
    }
}

#[derive(Debug, Serialize)]
struct DisputeMade {
    dispute: DisputeId,
}

impl Dispute {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Line { model, holder, units, claim, bond, signing } => {
                let client = context.client()?;
                let account = client.account(&holder).await?.account.id;
                let target = DisputeTarget::Line { model: client.model(&model).await?.model.id, account };
                open(context, &signing, target, units, bond, claim).await
            }
            Self::Version { version, claim, bond, signing } => {
                let model = context.client()?.model(&version.model).await?.model.id;
                let target = DisputeTarget::Version { model, label: version.label };
                open(context, &signing, target, Units::ZERO, bond, claim).await
            }
            Self::Contribution { contribution, claim, bond, signing } => {
                let contribution = contribution.resolve(&context.client()?, "/v1/contributions").await?;
                let target = DisputeTarget::Contribution(contribution);
                open(context, &signing, target, Units::ZERO, bond, claim).await
            }
            Self::Answer { dispute, answer, signing } => {
                let evidence = answer.evidence.as_deref().map(args::content_hash).transpose()?;
                let dispute = dispute.resolve(&context.client()?, "/v1/disputes").await?;
                let action = AnswerDispute { dispute, text: answer.text, evidence };
                submit(context, &signing, Action::AnswerDispute(action), "answered").await
            }
            Self::Rule { dispute, ruling, reasons, signing } => {
                let dispute = dispute.resolve(&context.client()?, "/v1/disputes").await?;
                let action = RuleDispute { dispute, upholds: ruling.upholds(), reasons };
                submit(context, &signing, Action::RuleDispute(action), "ruled").await
            }
            Self::Appeal { dispute, text, signing } => {
                let dispute = dispute.resolve(&context.client()?, "/v1/disputes").await?;
                let action = Action::AppealDispute(AppealDispute { dispute, text });
                submit(context, &signing, action, "appealed; the owners: allod propose resolve-dispute ID").await
            }
            Self::Withdraw { dispute, signing } => {
                let dispute = dispute.resolve(&context.client()?, "/v1/disputes").await?;
                let action = Action::WithdrawDispute(WithdrawDispute { dispute });
                submit(context, &signing, action, "taken back").await
            }
            Self::List { model, how_many } => {
                let path = format!("/v1/models/{model}/disputes");
                let page = context.client()?.list::<DisputeView>(&path, how_many.limit()).await?;
                context.answer_list(&page, |disputes| match disputes {
                    [] => "no disputes".into(),
                    disputes => disputes.iter().map(|view| format!("{}\n", show(view))).collect(),
                })
            }
            Self::Show { dispute } => context.answer(&find(&context.client()?, &dispute).await?, show),
        }
    }
}

/// A dispute by its id, or by the start of it.
pub(super) async fn find(client: &Client, dispute: &IdArg) -> Result<DisputeView> {
    client.get(&format!("/v1/disputes/{dispute}")).await
}

/// Opens a dispute, or an appeal.
pub(super) async fn open(
    context: &Context,
    signing: &Signing,
    target: DisputeTarget,
    units: Units,
    bond: Bond,
    claim: Words,
) -> Result<()> {
    let evidence = claim.evidence.as_deref().map(args::content_hash).transpose()?;
    let sender = signing.sender(context).await?;
    let action = OpenDispute { target, units, text: claim.text, evidence, bond: bond.bond.unwrap_or_default() };
    let receipt = sender.submit(Action::OpenDispute(action)).await?.with(|events| {
        events.iter().find_map(|event| match event {
            Event::DisputeOpened { dispute, .. } => Some(DisputeMade { dispute: *dispute }),
            _ => None,
        })
    })?;
    context.answer(&receipt, |receipt: &Receipt<DisputeMade>| {
        let mut fields = Fields::default();
        fields.add("dispute", receipt.made.dispute);
        receipt.add_place(&mut fields);
        fields.add("next", "allod dispute show ID says who decides it, from when, and what a loss costs");
        fields.show()
    })
}

async fn submit(context: &Context, signing: &Signing, action: Action, done: &str) -> Result<()> {
    let receipt = signing.sender(context).await?.submit(action).await?;
    context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("{done}\n{}", receipt.place()))
}

fn show(view: &DisputeView) -> String {
    let dispute = &view.dispute;
    let mut fields = Fields::default();
    let model = who(view.model_name.as_ref(), dispute.model);
    let target = match &dispute.target {
        DisputeTarget::Line { .. } => format!("{} units of {model}", show_count(dispute.units.get())),
        DisputeTarget::Version { label, .. } => format!("{model}@{label}"),
        DisputeTarget::Contribution(id) => format!("a contribution to {model}\n{id}"),
        DisputeTarget::Appeal(id) => format!("that a contribution to {model} does not count\n{id}"),
    };
    fields.add("dispute", dispute.id).add("about", target);
    fields.add("challenger", who(view.challenger_handle.as_ref(), dispute.challenger));
    fields.add("respondent", who(view.respondent_handle.as_ref(), dispute.respondent));
    fields.add("claim", plea(&dispute.claim)).add_some("answer", dispute.answer.as_ref().map(plea));
    for (ruling, handle) in dispute.rulings.iter().zip(&view.arbiter_handles) {
        let arbiter = who(handle.as_ref(), ruling.arbiter);
        let says = if ruling.upholds { "upholds" } else { "lifts" };
        fields.add("ruling", format!("{arbiter} {says}: {}", ruling.reasons));
    }
    if let Some(appeal) = &dispute.appeal {
        fields.add("appeal", &appeal.text);
    }
    fields.add("status", status(view));
    if !dispute.status.is_final() {
        fields.add("decides", decides(view));
        fields.add_some("at stake", (!dispute.target.is_appeal()).then(|| stake(view)));
    }
    fields.show()
}

/// Who decides it, and from when.
fn decides(view: &DisputeView) -> String {
    let dispute = &view.dispute;
    let heard = match dispute.answer {
        Some(_) => String::new(),
        None => format!("\nnobody before {}, unless the respondent answers", show_time(dispute.answer_until)),
    };
    if matches!(dispute.status, DisputeStatus::Appealed { .. }) || view.sitting.is_empty() {
        return format!("the owners: allod propose resolve-dispute ID{heard}");
    }
    let sits = |(account, handle): (&AccountId, &Option<Handle>)| who(handle.as_ref(), *account);
    let sitting: Vec<String> = view.sitting.iter().zip(&view.sitting_handles).map(sits).collect();
    let needed = dispute.panel.as_ref().map_or(0, |panel| panel.needed);
    format!("{needed} of the arbiters {}{heard}", sitting.join(", "))
}

/// What the challenger loses if the challenge fails.
fn stake(view: &DisputeView) -> String {
    let bond = show_count(view.dispute.bond.get());
    format!("{bond} units of the challenger; a loss bars it for {}", show_duration(view.loss_bars_ms))
}

fn plea(plea: &Plea) -> String {
    let evidence = plea.evidence.map(|hash| format!("\nevidence {hash}")).unwrap_or_default();
    format!("{}{evidence}", plea.text)
}

fn status(view: &DisputeView) -> String {
    let by = |proposal: &Option<_>| match proposal {
        Some(proposal) => format!("by decision {}", short(proposal)),
        None => "without a decision of the owners".into(),
    };
    match &view.dispute.status {
        DisputeStatus::Open => format!("open, lapses {}", show_time(view.dispute.lapses)),
        DisputeStatus::Ruled { upholds, stands, .. } => {
            let ruled = if *upholds { "UPHELD" } else { "lifted" };
            format!("ruled to be {ruled}; can be appealed until {}, then it stands", show_time(*stands))
        }
        DisputeStatus::Appealed { upholds, until } => {
            let ruled = if *upholds { "UPHELD" } else { "lifted" };
            format!("ruled to be {ruled}, before the owners; they can ask until {}", show_time(*until))
        }
        DisputeStatus::Withdrawn { height } => format!("taken back in block {height}"),
        DisputeStatus::Moot { height, upheld } => {
            format!("over in block {height}: dispute {} of the same thing was upheld", short(upheld))
        }
        DisputeStatus::Outbid { height, by } => {
            format!("over in block {height}: dispute {} of the same thing binds more and has its place", short(by))
        }
        DisputeStatus::Upheld { height, proposal } => format!("UPHELD in block {height} {}", by(proposal)),
        DisputeStatus::Lifted { height, proposal } => format!("lifted in block {height} {}", by(proposal)),
        DisputeStatus::Lapsed { height } => format!("lapsed in block {height}"),
    }
}
