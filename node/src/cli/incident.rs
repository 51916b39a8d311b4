//! `allod incident`: what went wrong with a version, and who answers for it.

use super::{
    args::{self, HowMany, IdArg, VersionName},
    context::Context,
    dates::Dates,
    output::{Fields, Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    words::incident_status,
};
use crate::api::views::{IncidentStepView, IncidentView};
use allod_protocol::{
    ground::ids::{IncidentId, ModelName},
    rules::{
        action::Action,
        event::Event,
        incident::{AnswerIncident, IncidentStatus, IncidentStep, ReportIncident, UpdateIncident},
    },
};
use anyhow::Result;
use serde::Serialize;

/// Report what went wrong with a version, and update the report.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Incident {
    /// Report what went wrong with a version
    Report {
        /// namespace/name@label
        version: VersionName,
        /// What went wrong
        #[arg(long)]
        text: String,
        /// What shows it: a hash, or a file that is hashed here
        #[arg(long, value_name = "FILE|HASH")]
        evidence: Option<String>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Update an incident, as a steward of the model
    Update {
        /// The incident's id, or the start of it
        incident: IdArg,
        /// Its status: reported, investigating, resolved or dismissed
        #[arg(long, value_parser = args::word::<IncidentStatus>)]
        status: IncidentStatus,
        /// The account you name to answer for it from now on: it accepts or declines (`allod office`), and may comment
        #[arg(long, value_name = "ACCOUNT")]
        responsible: Option<String>,
        /// A note in your own words
        #[arg(long)]
        text: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Comment on an incident, as its reporter or as the account named to answer for it
    Answer {
        /// The incident's id, or the start of it
        incident: IdArg,
        /// A note in your own words
        #[arg(long)]
        text: String,
        /// What shows it: a hash, or a file that is hashed here
        #[arg(long, value_name = "FILE|HASH")]
        evidence: Option<String>,
        #[command(flatten)]
        signing: Signing,
    },
    /// List what went wrong with a model's versions, the newest first
    List {
        /// namespace/name
        model: ModelName,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Show an incident and its history
    Show {
        /// Its id, or the start of it
        incident: IdArg,
    },
}

#[derive(Debug, Serialize)]
struct IncidentMade {
    incident: IncidentId,
}

impl Incident {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Report { version, text, evidence, signing } => {
                report(context, version, text, evidence, &signing).await
            }
            Self::Update { incident, status, responsible, text, signing } => {
                let sender = signing.sender(context).await?;
                let incident = incident.resolve(&sender.client, "/v1/incidents").await?;
                let responsible = match responsible {
                    Some(name) => Some(sender.client.account(&name).await?.account.id),
                    None => None,
                };
                let action = UpdateIncident { incident, responsible, status, text };
                let receipt = sender.submit(Action::UpdateIncident(action)).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    format!("{}\n{}", incident_status(status), receipt.place())
                })
            }
            Self::Answer { incident, text, evidence, signing } => {
                let evidence = evidence.as_deref().map(args::content_hash).transpose()?;
                let sender = signing.sender(context).await?;
                let incident = incident.resolve(&sender.client, "/v1/incidents").await?;
                let action = AnswerIncident { incident, text, evidence };
                let receipt = sender.submit(Action::AnswerIncident(action)).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("said\n{}", receipt.place()))
            }
            Self::List { model, how_many } => {
                let path = format!("/v1/models/{model}/incidents");
                context.answer_list(&context.client()?.list::<IncidentView>(&path, how_many.limit()).await?, show_list)
            }
            Self::Show { incident } => {
                let client = context.client()?;
                let view: IncidentView = client.get(&format!("/v1/incidents/{incident}")).await?;
                let steps = view.history.iter().flatten().map(|step| step.update.height);
                let dates = Dates::of(&client, steps.chain([view.incident.reported])).await?;
                context.answer(&view, |view| show(view, &dates))
            }
        }
    }
}

async fn report(
    context: &Context,
    version: VersionName,
    text: String,
    evidence: Option<String>,
    signing: &Signing,
) -> Result<()> {
    let evidence = evidence.as_deref().map(args::content_hash).transpose()?;
    let sender = signing.sender(context).await?;
    let model = sender.client.model(&version.model).await?.model.id;
    let action = ReportIncident { model, label: version.label, text, evidence };
    let receipt = sender.submit(Action::ReportIncident(action)).await?.with(|events| {
        events.iter().find_map(|event| match event {
            Event::IncidentReported { incident, .. } => Some(IncidentMade { incident: *incident }),
            _ => None,
        })
    })?;
    context.answer(&receipt, |receipt: &Receipt<IncidentMade>| {
        let mut fields = Fields::default();
        fields.add("incident", receipt.made.incident);
        receipt.add_place(&mut fields);
        fields.show()
    })
}

fn show_list(incidents: &[IncidentView]) -> String {
    if incidents.is_empty() {
        return "no incidents".into();
    }
    let line = |view: &IncidentView| {
        let incident = &view.incident;
        let status = incident_status(incident.status);
        format!("{}\n  {}  {status}  {}\n", incident.id, incident.label, cut(&incident.text, 50))
    };
    incidents.iter().map(line).collect()
}

fn show(view: &IncidentView, dates: &Dates) -> String {
    let incident = &view.incident;
    let mut fields = Fields::default();
    fields.add("incident", incident.id);
    fields.add("version", format!("{}@{}", who(view.model_name.as_ref(), incident.model), incident.label));
    fields.add("reporter", who(view.reporter_handle.as_ref(), incident.reporter)).add("text", &incident.text);
    fields.add_some("evidence", incident.evidence).add("reported", dates.at(incident.reported));
    fields.add("status", incident_status(incident.status));
    let answer = view.responsible_answer.as_deref().map_or("", |answer| match answer {
        "accepted" => "",
        "resigned" => " (named, and DECLINED)",
        _ => " (named, has not answered)",
    });
    let responsible = incident.responsible.map(|id| who(view.responsible_handle.as_ref(), id));
    fields.add_some("responsible", responsible.map(|responsible| format!("{responsible}{answer}")));
    let mut table = Table::new(&["WHEN", "BY", "WHAT", "TEXT"]);
    for step in view.history.iter().flatten() {
        let update = &step.update;
        table.row([
            dates.date(update.height),
            who(step.handle.as_ref(), update.account),
            step_text(step),
            cut(&update.text, 40),
        ]);
    }
    format!("{}\n{}", fields.show(), table.show("nobody has worked on it yet"))
}

fn step_text(step: &IncidentStepView) -> String {
    match step.update.step {
        IncidentStep::Carried { responsible: None, status } => incident_status(status).into(),
        IncidentStep::Carried { responsible: Some(id), status } => {
            format!("{}, names {}", incident_status(status), who(step.responsible_handle.as_ref(), id))
        }
        IncidentStep::Said => "says".into(),
    }
}
