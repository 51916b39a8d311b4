//! `allod licence`: ask for a licence to a model, accept one, give it up, and see what became of it.

use super::{
    args::{HowMany, IdArg},
    client::Client,
    context::Context,
    dates::Dates,
    licence::LicenceArgs,
    output::{Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    units::{self, show_time},
    words::show_licence,
};
use crate::{
    api::views::{LicenceChangeView, LicenceRequestView, LicenseeView, Page},
    plain,
};
use allod_protocol::{
    ground::ids::{AccountId, Height, ModelName},
    rules::{
        action::Action,
        licence::{AnswerLicence, AskLicence, LicenceEnd, LicenceGrant, LicenceStep, WantedLicence},
    },
};
use anyhow::{Result, anyhow};
use std::time::Duration;

/// Ask for a licence to a model, accept or decline one, and see what became of licences.
#[derive(Debug, clap::Subcommand)]
pub(super) enum LicenceCommand {
    /// Ask a model's owners for a licence, replacing your earlier request: if they grant exactly that, it is agreed
    Ask {
        /// namespace/name
        model: ModelName,
        /// For how long, from the grant [default: for ever]
        #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
        duration: Option<Duration>,
        /// The terms [default: the model's current ones]
        #[command(flatten)]
        terms: LicenceArgs,
        /// The purpose
        #[arg(long, default_value = "", hide_default_value = true)]
        text: String,
        /// How long your request stands: what is granted later needs your acceptance
        #[arg(long, value_name = "DURATION", value_parser = units::duration, default_value = "30d")]
        within: Duration,
        #[command(flatten)]
        signing: Signing,
    },
    /// Withdraw the request
    Withdraw {
        /// namespace/name
        model: ModelName,
        #[command(flatten)]
        signing: Signing,
    },
    /// Accept the licence that you are offered, replacing the one that you have
    Accept {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        signing: Signing,
    },
    /// Decline the licence that you are offered; the one that you have stays
    Decline {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        signing: Signing,
    },
    /// Give up the licence that you have
    GiveUp {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        signing: Signing,
    },
    /// List the licences that an account has, is offered, or had
    List {
        /// Its handle or id
        whose: String,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// List who asks for a licence to a model, or what an account asks for
    Requests {
        /// namespace/name
        #[arg(required_unless_present = "by", conflicts_with = "by")]
        model: Option<ModelName>,
        /// What this account asks the owners of any model for
        #[arg(long, value_name = "ACCOUNT")]
        by: Option<String>,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Show what became of an account's licences to a model, newest step first
    History {
        /// namespace/name
        model: ModelName,
        /// The account's handle or id
        whose: String,
        #[command(flatten)]
        how_many: HowMany,
    },
}

/// The licence that a command is about.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Which {
    /// namespace/name
    model: ModelName,
    /// Only if this decision granted it, so that a newer grant is not answered unseen
    #[arg(long, value_name = "PROPOSAL")]
    decision: Option<IdArg>,
}

/// The answer to a licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Decline,
    GiveUp,
}

impl LicenceCommand {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Ask { model, duration, terms, text, within, signing } => {
                let sender = signing.sender(context).await?;
                let terms = terms.terms(&sender.client, &model, duration).await?;
                let id = sender.client.model(&model).await?.model.id;
                let said = plain::licence_terms(&terms);
                let wanted = Some(WantedLicence { terms, text, lifetime_ms: units::milliseconds(within) });
                let receipt = sender.submit(Action::AskLicence(AskLicence { model: id, wanted })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    let handle = &sender.account.handle;
                    let next = format!("an owner runs: allod propose grant-licence {model} {handle} --as-asked");
                    format!("asked{said}\n{}\n{next}", receipt.place())
                })
            }
            Self::Withdraw { model, signing } => {
                let sender = signing.sender(context).await?;
                let id = sender.client.model(&model).await?.model.id;
                let receipt = sender.submit(Action::AskLicence(AskLicence { model: id, wanted: None })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    format!("the request is withdrawn\n{}", receipt.place())
                })
            }
            Self::Accept { which, signing } => answer(context, &which, &signing, Answer::Accept).await,
            Self::Decline { which, signing } => answer(context, &which, &signing, Answer::Decline).await,
            Self::GiveUp { which, signing } => answer(context, &which, &signing, Answer::GiveUp).await,
            Self::List { whose, how_many } => {
                let client = context.client()?;
                let path = format!("/v1/accounts/{whose}/licences");
                let page: Page<LicenseeView> = client.list(&path, how_many.limit()).await?;
                let dates = Dates::of(&client, page.items.iter().flat_map(granted)).await?;
                context.answer_list(&page, |licences| show(licences, &dates))
            }
            Self::Requests { model, by, how_many } => {
                let client = context.client()?;
                let path = match (model, by) {
                    (Some(model), _) => format!("/v1/models/{model}/licence-requests"),
                    (None, by) => format!("/v1/accounts/{}/licence-requests", by.unwrap_or_default()),
                };
                let page = client.list::<LicenceRequestView>(&path, how_many.limit()).await?;
                let dates = Dates::of(&client, page.items.iter().map(|view| view.request.asked)).await?;
                context.answer_list(&page, |requests| show_requests(requests, &dates))
            }
            Self::History { model, whose, how_many } => {
                let path = format!("/v1/models/{model}/licensees/{whose}/history");
                let page = context.client()?.list::<LicenceChangeView>(&path, how_many.limit()).await?;
                context.answer_list(&page, show_history)
            }
        }
    }
}

/// The answer applies to one grant, identified by the decision that made it.
async fn answer(context: &Context, which: &Which, signing: &Signing, answer: Answer) -> Result<()> {
    let sender = signing.sender(context).await?;
    let (client, model, handle) = (&sender.client, &which.model, &sender.account.handle);
    let stands = client.find::<LicenseeView>(&format!("/v1/models/{model}/licensees/{handle}")).await?;
    let id = client.model(model).await?.model.id;
    let (held, offered) = match stands {
        None => (None, None),
        Some(view) => (
            view.licensee.licence.filter(|_| view.in_force).map(|licence| licence.grant),
            view.licensee.offer.filter(|_| view.offer_stands),
        ),
    };
    let instead = match (answer, &held, &offered) {
        (Answer::Decline, Some(_), None) => format!("; it has one, to give up: allod licence give-up {model}"),
        (Answer::GiveUp, None, Some(_)) => format!("; it is offered one, to decline: allod licence decline {model}"),
        (Answer::Accept, None, None) => format!("; ask for one: allod licence ask {model}"),
        _ => format!("; see: allod licence history {model} {handle}"),
    };
    let grant = match answer {
        Answer::Accept | Answer::Decline => {
            offered.ok_or_else(|| anyhow!("{handle} is not offered a licence to {model}{instead}"))?
        }
        Answer::GiveUp => held.ok_or_else(|| anyhow!("{handle} has no licence to {model}{instead}"))?,
    };
    if let Some(decision) = &which.decision
        && decision.proposal(client).await? != grant.proposal
    {
        let instead = grant.proposal;
        anyhow::bail!(
            "decision {decision} is not the last one: {instead} granted {handle} a licence to {model}{}; read it and \
             name it, if you agree to it",
            on_terms(&grant)
        );
    }
    let accept = answer == Answer::Accept;
    let action = AnswerLicence { model: id, proposal: grant.proposal, accept };
    let receipt = sender.submit(Action::AnswerLicence(action)).await?;
    context.answer(&receipt, |receipt: &Receipt<Nothing>| {
        let done = match answer {
            Answer::Accept => format!("accepted{}", on_terms(&grant)),
            Answer::Decline => "declined".to_owned(),
            Answer::GiveUp => "given up".to_owned(),
        };
        format!("{done}\n{}", receipt.place())
    })
}

fn on_terms(grant: &LicenceGrant) -> String {
    format!("{}, {}", plain::licence_on(grant.terms.as_ref()), plain::licence_until(grant.expires))
}

/// The licence that an account asks a model's owners for, if any.
pub(super) async fn asked_for(
    client: &Client,
    model: &ModelName,
    account: AccountId,
) -> Result<Option<LicenceRequestView>> {
    let path = format!("/v1/accounts/{account}/licence-requests");
    let asked: Page<LicenceRequestView> = client.list(&path, usize::MAX).await?;
    Ok(asked.items.into_iter().find(|view| view.model_name.as_ref() == Some(model)))
}

/// The heights that a list shows.
pub(super) fn granted(view: &LicenseeView) -> impl Iterator<Item = Height> {
    let licence = view.licensee.licence.as_ref().map(|licence| licence.grant.since);
    licence.into_iter().chain(view.licensee.offer.as_ref().map(|offer| offer.since))
}

/// The licences of an account: one line for the licence that it accepted and one for what it is offered, with status,
/// since when, until when, and terms. What is over is not shown as being in force.
pub(super) fn lines(view: &LicenseeView, dates: &Dates) -> Vec<[String; 4]> {
    let licensee = &view.licensee;
    let line = |stands: &str, grant: &LicenceGrant| {
        let until = grant.expires.map_or_else(|| "for ever".to_owned(), show_time);
        let terms = grant.terms.as_ref().map_or_else(|| "none stated".to_owned(), |it| cut(&show_licence(it), 40));
        [stands.to_owned(), dates.date(grant.since), until, terms]
    };
    let mut lines = Vec::new();
    if let Some(licence) = &licensee.licence {
        let stands = match licence.ended {
            None if view.in_force => "in force",
            None => "over",
            Some(LicenceEnd::GivenUp) => "given up",
            Some(LicenceEnd::Revoked) => "REVOKED",
        };
        lines.push(line(stands, &licence.grant));
    }
    match &licensee.offer {
        Some(offer) if view.offer_stands => lines.push(line("offered, not accepted", offer)),
        Some(offer) => lines.push(line("offered, no longer open", offer)),
        None if lines.is_empty() => lines.push(["declined or taken back", "", "", ""].map(str::to_owned)),
        None => {}
    }
    lines
}

fn show(licences: &[LicenseeView], dates: &Dates) -> String {
    let mut table = Table::new(&["MODEL", "STANDS", "GRANTED", "UNTIL", "TERMS"]);
    for view in licences {
        for [stands, since, until, terms] in lines(view, dates) {
            table.row([who(view.model_name.as_ref(), view.licensee.model), stands, since, until, terms]);
        }
    }
    table.show("this account has no licence; ask for one: allod licence ask MODEL --as ACCOUNT")
}

fn show_requests(requests: &[LicenceRequestView], dates: &Dates) -> String {
    if requests.is_empty() {
        return "nobody asks for a licence".into();
    }
    let mut text = String::new();
    for view in requests {
        let request = &view.request;
        let (account, model) =
            (who(view.handle.as_ref(), request.account), who(view.model_name.as_ref(), request.model));
        let terms = plain::licence_terms(&request.terms);
        let (asked, until) = (dates.date(request.asked), show_time(request.expires));
        text.push_str(&format!("{asked}  {account} asks for a licence to {model}{terms}; it asks until {until}\n"));
        if !request.text.is_empty() {
            text.push_str(&format!("  {:?}\n", cut(&request.text, 2_000)));
        }
    }
    text
}

fn show_history(changes: &[LicenceChangeView]) -> String {
    let mut table = Table::new(&[">#", "WHEN", "WHAT"]);
    for view in changes {
        let what = match &view.change.step {
            LicenceStep::Granted { terms, expires, accepted, .. } => {
                let on = plain::licence_on(terms.as_ref());
                let until = plain::licence_until(*expires);
                let agreed = if *accepted { "; agreed to beforehand" } else { "; offered" };
                format!("granted{on}, {until}{agreed}")
            }
            LicenceStep::Accepted => "accepted".to_owned(),
            LicenceStep::Declined => "declined".to_owned(),
            LicenceStep::GivenUp => "given up".to_owned(),
            LicenceStep::Revoked { reason, .. } => format!("revoked: {}", cut(reason, 60)),
        };
        table.row([view.change.number.to_string(), show_time(view.time), what]);
    }
    table.show("this account never had a licence to it")
}
