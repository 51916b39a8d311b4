//! `allod proposals`: what was asked, where it stands, what came of it.

use super::{
    args::ProposalName,
    client::Client,
    context::Context,
    output::{Fields, Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    units::{self, show_count, show_duration, show_time},
    words::{action_text, show_answer, show_rule, verdict_text},
};
use crate::api::views::{BallotView, ProposalView};
use allod_protocol::{
    ids::{ModelName, ProposalId},
    proposal::{ProposalStatus, Scope, WithdrawProposal},
    transaction::Action,
};
use anyhow::{Result, bail};
use serde::Serialize;
use std::time::Duration;

/// How often a proposal is looked at while it is awaited.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// List proposals; show, await or withdraw one.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Proposals {
    #[command(subcommand)]
    command: Option<ProposalsCommand>,
    /// Those of this model: namespace/name [default: all that are open, the first to close first]
    model: Option<ModelName>,
    /// Those put to the members of the network
    #[arg(long, conflicts_with = "model")]
    network: bool,
    /// How many at most, the newest first
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, clap::Subcommand)]
enum ProposalsCommand {
    /// Show a proposal and its ballots
    Show {
        /// Its id, or the start of it
        proposal: ProposalName,
    },
    /// Wait until a proposal is settled; done only if it was executed
    Wait {
        /// Its id, or the start of it
        proposal: ProposalName,
        /// How long at most, in seconds or as a duration [default: until its close, and a minute more]
        #[arg(long, value_name = "DURATION", value_parser = units::patience)]
        timeout: Option<Duration>,
    },
    /// Take back a proposal of yours that nobody has answered
    Withdraw {
        /// Its id, or the start of it
        proposal: ProposalName,
        #[command(flatten)]
        signing: Signing,
    },
}

/// A proposal with its ballots.
#[derive(Debug, Serialize)]
struct ProposalWithBallots {
    #[serde(flatten)]
    proposal: ProposalView,
    ballot_list: Vec<BallotView>,
}

impl Proposals {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self.command {
            Some(command) => command.execute(context).await,
            None => {
                let path = match (&self.model, self.network) {
                    (Some(model), _) => format!("/v1/models/{model}/proposals"),
                    (None, true) => "/v1/proposals?scope=network".to_owned(),
                    (None, false) => "/v1/proposals?scope=open".to_owned(),
                };
                let proposals = context.client()?.list::<ProposalView>(&path, self.limit).await?.items;
                context.answer(&proposals, |proposals| show_list(proposals))
            }
        }
    }
}

impl ProposalsCommand {
    async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Show { proposal } => {
                let client = context.client()?;
                let proposal = proposal.resolve(&client).await?;
                let view = find(&client, proposal).await?;
                let ballots = client.list(&format!("/v1/proposals/{proposal}/ballots"), 500).await?;
                context.answer(&ProposalWithBallots { proposal: view, ballot_list: ballots.items }, show)
            }
            Self::Wait { proposal, timeout } => {
                let client = context.client()?;
                let view = wait(&client, proposal.resolve(&client).await?, timeout).await?;
                context.answer(&view, outcome)?;
                match view.proposal.status {
                    ProposalStatus::Executed { .. } => Ok(()),
                    _ => bail!("the proposal was not executed"),
                }
            }
            Self::Withdraw { proposal, signing } => {
                let sender = signing.sender(context).await?;
                let proposal = proposal.resolve(&sender.client).await?;
                let receipt = sender.submit(Action::WithdrawProposal(WithdrawProposal { proposal })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("withdrawn\n{}", receipt.place()))
            }
        }
    }
}

async fn find(client: &Client, proposal: ProposalId) -> Result<ProposalView> {
    client.get(&format!("/v1/proposals/{proposal}")).await
}

/// Looks until the proposal is no longer open.
async fn wait(client: &Client, proposal: ProposalId, timeout: Option<Duration>) -> Result<ProposalView> {
    let mut view = find(client, proposal).await?;
    let patience = timeout
        .unwrap_or_else(|| Duration::from_millis(view.ends_in_ms.unwrap_or(0)).saturating_add(Duration::from_secs(60)));
    let started = tokio::time::Instant::now();
    while view.proposal.status == ProposalStatus::Open {
        if started.elapsed() >= patience {
            let waited = show_duration(units::milliseconds(patience));
            bail!(
                "proposal {proposal} is still open after {waited}; its ballots close {}",
                show_time(view.proposal.closes)
            );
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
        view = find(client, proposal).await?;
    }
    Ok(view)
}

fn scope_name(view: &ProposalView) -> String {
    match view.proposal.scope {
        Scope::Network => "the network".into(),
        Scope::Model(id) => who(view.model_name.as_ref(), id),
    }
}

/// What was decided, in one line.
fn outcome(view: &ProposalView) -> String {
    let tally = &view.tally;
    let weights =
        format!("{} yes, {} no, {} abstain", show_count(tally.yes), show_count(tally.no), show_count(tally.abstain));
    let weights = if tally.veto == 0 { weights } else { format!("{weights}, {} veto", show_count(tally.veto)) };
    let of = format!("{weights}, of {}", show_count(tally.electorate));
    match &view.proposal.status {
        ProposalStatus::Open => format!("open: {of}"),
        ProposalStatus::Executed { height } => format!("executed in block {height}: {of}"),
        ProposalStatus::ExecutionFailed { height, reason } => {
            format!("passed, but could not be executed in block {height}: {reason} ({of})")
        }
        ProposalStatus::Rejected { height, verdict } => {
            format!("rejected in block {height}, {}: {of}", verdict_text(*verdict))
        }
        ProposalStatus::Withdrawn { height } => format!("withdrawn in block {height}"),
        ProposalStatus::Queued { ready, .. } => format!("passed, executed {} at the soonest: {of}", show_time(*ready)),
        ProposalStatus::Cancelled { height, reason } => {
            format!("cancelled by its guardian in block {height}: {reason} ({of})")
        }
        ProposalStatus::Expired { height, reason } => format!("passed, and expired in block {height}: {reason} ({of})"),
    }
}

/// What is still needed, while ballots are taken.
fn outlook(view: &ProposalView) -> Option<String> {
    if view.proposal.status != ProposalStatus::Open {
        return None;
    }
    let left = show_duration(view.ends_in_ms.unwrap_or(0));
    let need = match (view.outlook.quorum_lacks, view.outlook.yes_lacks) {
        (0, Some(0)) => "passes as it stands".to_owned(),
        (_, Some(yes)) => format!("passes with {} more yes", show_count(yes)),
        (_, None) => "passes only if somebody turns to yes".to_owned(),
    };
    Some(format!("{need}; {left} left"))
}

/// Each on a few lines, since its id has to be copied whole.
fn show_list(proposals: &[ProposalView]) -> String {
    if proposals.is_empty() {
        return "no proposals".into();
    }
    let mut text = String::new();
    for view in proposals {
        let proposal = &view.proposal;
        let scope = scope_name(view);
        text.push_str(&format!("{}\n", proposal.id));
        text.push_str(&format!(
            "  {}  ({scope})\n",
            cut(&proposal.title, 74usize.saturating_sub(scope.chars().count()))
        ));
        text.push_str(&format!("  {}\n", cut(&outcome(view), 78)));
        if let Some(outlook) = outlook(view) {
            text.push_str(&format!("  {outlook}\n"));
        }
    }
    text
}

fn show(view: &ProposalWithBallots) -> String {
    let (view, ballots) = (&view.proposal, &view.ballot_list);
    let proposal = &view.proposal;
    let mut fields = Fields::default();
    fields.add("proposal", proposal.id).add("title", &proposal.title);
    fields.add_some("text", Some(&proposal.text).filter(|text| !text.is_empty()));
    fields.add("asks", scope_name(view)).add("proposer", who(view.proposer_handle.as_ref(), proposal.proposer));
    for action in &proposal.actions {
        fields.add("if it passes", action_text(action));
    }
    fields.add("rule", show_rule(&proposal.rule));
    fields.add("weights", format!("as of block {}", proposal.snapshot));
    fields.add("opened", format!("block {}", proposal.opened)).add("closes", show_time(proposal.closes));
    fields.add("outcome", outcome(view)).add_some("outlook", outlook(view));
    let mut table = Table::new(&["ACCOUNT", "ANSWER", ">WEIGHT", ">BLOCK"]);
    for view in ballots {
        let ballot = &view.ballot;
        let account = who(view.handle.as_ref(), ballot.account);
        table.row([account, show_answer(&ballot.parts), show_count(ballot.weight), ballot.height.to_string()]);
    }
    format!("{}\n{}", fields.show(), table.show("nobody has answered yet"))
}
