//! `allod incident`: what went wrong with a version, and who answers for it.

use super::{
    args::{self, HowMany, IdArg, VersionName},
    context::Context,
    output::{Fields, Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    words::incident_status,
};
use crate::api::views::IncidentView;
use allod_protocol::{
    event::Event,
    ids::{IncidentId, ModelName},
    incident::{IncidentStatus, ReportIncident, UpdateIncident},
    transaction::Action,
};
use anyhow::Result;
use serde::Serialize;

/// Report what went wrong with a version, and carry it on.
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
    /// Carry an incident on, as a steward of the model
    Update {
        /// The incident's id, or the start of it
        incident: IdArg,
        /// How far it has come: reported, investigating, resolved or dismissed
        #[arg(long, value_parser = args::word::<IncidentStatus>)]
        status: IncidentStatus,
        /// Who answers for it from now on
        #[arg(long, value_name = "ACCOUNT")]
        responsible: Option<String>,
        /// In your words
        #[arg(long)]
        text: String,
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
                report(context, version, (text, evidence), &signing).await
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
            Self::List { model, how_many } => {
                let path = format!("/v1/models/{model}/incidents");
                context.answer_list(&context.client()?.list::<IncidentView>(&path, how_many.limit()).await?, show_list)
            }
            Self::Show { incident } => {
                let view: IncidentView = context.client()?.get(&format!("/v1/incidents/{incident}")).await?;
                context.answer(&view, show)
            }
        }
    }
}

async fn report(
    context: &Context,
    version: VersionName,
    (text, evidence): (String, Option<String>),
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

fn show(view: &IncidentView) -> String {
    let incident = &view.incident;
    let mut fields = Fields::default();
    fields.add("incident", incident.id);
    fields.add("version", format!("{}@{}", who(view.model_name.as_ref(), incident.model), incident.label));
    fields.add("reporter", who(view.reporter_handle.as_ref(), incident.reporter)).add("text", &incident.text);
    fields.add_some("evidence", incident.evidence).add("reported", format!("block {}", incident.reported));
    fields.add("status", incident_status(incident.status));
    let answer = view.responsible_answer.as_deref().filter(|answer| *answer != "accepted");
    let answer = answer.map(|answer| format!(" ({answer})")).unwrap_or_default();
    let responsible = incident.responsible.map(|id| who(view.responsible_handle.as_ref(), id));
    fields.add_some("responsible", responsible.map(|responsible| format!("{responsible}{answer}")));
    let mut table = Table::new(&[">BLOCK", "STEWARD", "STATUS", "RESPONSIBLE", "TEXT"]);
    for step in view.history.iter().flatten() {
        let update = &step.update;
        table.row([
            update.height.to_string(),
            who(step.steward_handle.as_ref(), update.steward),
            incident_status(update.status).into(),
            update.responsible.map(|id| who(step.responsible_handle.as_ref(), id)).unwrap_or_default(),
            cut(&update.text, 30),
        ]);
    }
    format!("{}\n{}", fields.show(), table.show("nobody has taken it up yet"))
}
