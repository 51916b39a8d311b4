//! `allod attest` and `allod attestations`: signed statements about artifacts.

use super::{
    args::{self, HowMany, Target},
    context::Context,
    dates::Dates,
    fetch::resolve,
    output::{Table, cut, who},
    signing::{Nothing, Receipt, Signing},
};
use crate::api::views::AttestationView;
use allod_protocol::{
    ground::ids::Name,
    rules::{
        action::Action,
        attestation::{Attest as AttestAction, Finding},
    },
};
use anyhow::Result;

/// Say whether an artifact passed a test, or withdraw what you said; your last statement counts.
#[derive(Debug, clap::Args)]
pub(super) struct Attest {
    /// An artifact's address, or a version as namespace/name@label
    what: Target,
    /// What the test was, such as bias-audit
    #[arg(long, value_name = "NAME")]
    statement: Name,
    #[command(flatten)]
    finding: FindingFlags,
    /// The report: a file that is hashed here, or its hash
    #[arg(long, value_name = "FILE|HASH")]
    evidence: Option<String>,
    /// A note in your own words
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct FindingFlags {
    /// It passed the test
    #[arg(long)]
    passed: bool,
    /// It failed: a release that waits for this statement is blocked
    #[arg(long)]
    failed: bool,
    /// Withdraw what you said before
    #[arg(long)]
    withdraw: bool,
}

impl FindingFlags {
    const fn finding(&self) -> Finding {
        match (self.passed, self.failed) {
            (true, _) => Finding::Passed,
            (_, true) => Finding::Failed,
            _ => Finding::Withdrawn,
        }
    }
}

/// The words for a finding. One that blocks is hard to overlook.
pub(super) fn finding_text(finding: Finding) -> &'static str {
    match finding {
        Finding::Failed => "FAILED",
        other => other.name(),
    }
}

impl Attest {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let evidence = self.evidence.as_deref().map(args::content_hash).transpose()?;
        let sender = self.signing.sender(context).await?;
        let artifact = resolve(&sender.client, &self.what).await?;
        let (statement, finding) = (self.statement.clone(), self.finding.finding());
        let action = AttestAction { artifact, statement, finding, evidence, note: self.note };
        let receipt = sender.submit(Action::Attest(action)).await?;
        context.answer(&receipt, |receipt: &Receipt<Nothing>| {
            format!("{artifact}: {} {}\n{}", self.statement, finding_text(finding), receipt.place())
        })
    }
}

/// What was said about an artifact.
#[derive(Debug, clap::Args)]
pub(super) struct Attestations {
    /// An artifact's address, or a version as namespace/name@label
    what: Target,
    #[command(flatten)]
    how_many: HowMany,
}

impl Attestations {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let path = format!("/v1/artifacts/{}/attestations", resolve(&client, &self.what).await?);
        let page = client.list::<AttestationView>(&path, self.how_many.limit()).await?;
        let dates = Dates::of(&client, page.items.iter().map(|view| view.attestation.height)).await?;
        context.answer_list(&page, |attestations| show(attestations, &dates))
    }
}

fn show(attestations: &[AttestationView], dates: &Dates) -> String {
    let mut table = Table::new(&["STATEMENT", "VERDICT", "BY", "WHEN", "NOTE"]);
    for view in attestations {
        let attestation = &view.attestation;
        table.row([
            attestation.statement.to_string(),
            finding_text(attestation.finding).to_owned(),
            who(view.handle.as_ref(), attestation.account),
            dates.date(attestation.height),
            cut(&attestation.note, 30),
        ]);
    }
    table.show("nobody has said anything about it yet")
}
