//! `allod proposals`: what was asked, where it stands, what came of it.

use super::{
    args::{HowMany, IdArg},
    client::Client,
    context::Context,
    output::{Fields, Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    units::{self, show_count, show_duration, show_time},
    words::{action_details, sentences, show_answer, show_effect, show_gate, verdict_text},
};
use crate::api::views::{BallotView, ProposalView};
use allod_protocol::{
    ids::{ModelName, ProposalId},
    proposal::{CancelProposal, ExecuteProposal, ProposalStatus, Scope, WithdrawProposal},
    transaction::Action,
};
use anyhow::{Result, bail};
use serde::Serialize;
use std::time::Duration;

/// How often a proposal is looked at while it is awaited.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// List proposals; show, await, execute, cancel or withdraw one.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Proposals {
    #[command(subcommand)]
    command: Option<ProposalsCommand>,
    /// Those of this model: namespace/name [default: all that are open or queued, the first to fall due first]
    model: Option<ModelName>,
    /// Those put to the members of the network
    #[arg(long, conflicts_with = "model")]
    network: bool,
    #[command(flatten)]
    how_many: HowMany,
}

#[derive(Debug, clap::Subcommand)]
enum ProposalsCommand {
    /// Show a proposal and its ballots
    Show {
        /// Its id, or the start of it
        proposal: IdArg,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Wait until nothing more comes of a proposal; done only if it was executed
    Wait {
        /// Its id, or the start of it
        proposal: IdArg,
        /// How long at most, in seconds or as a duration [default: until its close and its timelock are over, and a minute more]
        #[arg(long, value_name = "DURATION", value_parser = units::patience)]
        timeout: Option<Duration>,
    },
    /// Execute a decision that passed, once its time has come and nothing it waits for is missing
    Execute {
        /// Its id, or the start of it
        proposal: IdArg,
        #[command(flatten)]
        signing: Signing,
    },
    /// Stop a proposal that is open or queued, as its guardian
    Cancel {
        /// Its id, or the start of it
        proposal: IdArg,
        /// Why, for everybody to read
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Take back a proposal of yours that is still open; the answers it got stay to be read
    Withdraw {
        /// Its id, or the start of it
        proposal: IdArg,
        /// Why, for everybody to read
        #[arg(long, default_value = "")]
        reason: String,
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
                let page = context.client()?.list::<ProposalView>(&path, self.how_many.limit()).await?;
                context.answer_list(&page, show_list)
            }
        }
    }
}

impl ProposalsCommand {
    async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Show { proposal, how_many } => {
                let client = context.client()?;
                let view: ProposalView = client.get(&format!("/v1/proposals/{proposal}")).await?;
                let path = format!("/v1/proposals/{}/ballots", view.proposal.id);
                let ballots = client.list(&path, how_many.limit()).await?;
                let answer = ProposalWithBallots { proposal: view, ballot_list: ballots.items };
                context.answer(&answer, show)?;
                context.note_more(ballots.next.is_some(), answer.ballot_list.len(), "ballots");
                Ok(())
            }
            Self::Wait { proposal, timeout } => {
                let client = context.client()?;
                let view = wait(&client, proposal.proposal(&client).await?, timeout).await?;
                context.answer(&view, outcome)?;
                must_be_executed(&view)
            }
            Self::Execute { proposal, signing } => {
                let sender = signing.sender(context).await?;
                let proposal = proposal.proposal(&sender.client).await?;
                let receipt = sender.submit(Action::ExecuteProposal(ExecuteProposal { proposal })).await?;
                let view = find(&sender.client, proposal).await?;
                context.answer(&receipt, |receipt| format!("{}\n{}", outcome(&view), receipt.place()))?;
                must_be_executed(&view)
            }
            Self::Cancel { proposal, reason, signing } => {
                let sender = signing.sender(context).await?;
                let proposal = proposal.proposal(&sender.client).await?;
                let receipt = sender.submit(Action::CancelProposal(CancelProposal { proposal, reason })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("cancelled\n{}", receipt.place()))
            }
            Self::Withdraw { proposal, reason, signing } => {
                let sender = signing.sender(context).await?;
                let proposal = proposal.proposal(&sender.client).await?;
                let receipt = sender.submit(Action::WithdrawProposal(WithdrawProposal { proposal, reason })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("withdrawn\n{}", receipt.place()))
            }
        }
    }
}

fn must_be_executed(view: &ProposalView) -> Result<()> {
    match view.proposal.status {
        ProposalStatus::Executed { .. } => Ok(()),
        _ => bail!("the proposal was not executed"),
    }
}

async fn find(client: &Client, proposal: ProposalId) -> Result<ProposalView> {
    client.get(&format!("/v1/proposals/{proposal}")).await
}

/// Looks until nothing more comes of the proposal.
async fn wait(client: &Client, proposal: ProposalId, timeout: Option<Duration>) -> Result<ProposalView> {
    let mut view = find(client, proposal).await?;
    let patience = timeout.unwrap_or_else(|| expected(&view).saturating_add(Duration::from_secs(60)));
    let started = tokio::time::Instant::now();
    while !view.proposal.status.is_final() {
        if started.elapsed() >= patience {
            let waited = show_duration(units::milliseconds(patience));
            bail!("proposal {proposal} is not settled after {waited}: {}", outcome(&view));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
        view = find(client, proposal).await?;
    }
    Ok(view)
}

/// How long it takes by its rule until something comes of it.
fn expected(view: &ProposalView) -> Duration {
    let waits = view.ends_in_ms.map(|open| open.saturating_add(view.proposal.rule.timelock_ms));
    Duration::from_millis(waits.or(view.ready_in_ms).unwrap_or(0))
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
        ProposalStatus::Withdrawn { height, reason } if reason.is_empty() => {
            format!("withdrawn by its proposer in block {height}: {of}")
        }
        ProposalStatus::Withdrawn { height, reason } => {
            format!("withdrawn by its proposer in block {height}: {reason} ({of})")
        }
        ProposalStatus::Queued { ready, expires, .. } => {
            format!("passed; executed from {} on, or expired {}: {of}", show_time(*ready), show_time(*expires))
        }
        ProposalStatus::Cancelled { height, reason } => {
            format!("cancelled by its guardian in block {height}: {reason} ({of})")
        }
        ProposalStatus::Expired { height, reason } => format!("passed, and expired in block {height}: {reason} ({of})"),
    }
}

/// What is still needed.
fn outlook(view: &ProposalView) -> Option<String> {
    if let Some(left) = view.ready_in_ms {
        let lacking = view.attested.iter().any(|gate| gate.verdict != "met");
        return Some(match (left, lacking) {
            (0, true) => "waits for attestations".into(),
            (0, false) => "can be executed now".into(),
            (left, true) => format!("waits for attestations, and {}", show_duration(left)),
            (left, false) => format!("waits {}", show_duration(left)),
        });
    }
    let left = show_duration(view.ends_in_ms?);
    let need = match (view.settled, view.outlook.quorum_lacks, view.outlook.yes_lacks) {
        (true, _, Some(0)) => "passes whatever the others say".to_owned(),
        (true, ..) => "fails whatever the others say".to_owned(),
        (false, 0, Some(0)) => "passes as it stands".to_owned(),
        (false, _, Some(yes)) => format!("passes with {} more yes", show_count(yes)),
        (false, _, None) => "passes only if somebody turns to yes".to_owned(),
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
            cut(&view.does.join("; "), 74usize.saturating_sub(scope.chars().count()))
        ));
        text.push_str(&format!("  titled {:?}\n", cut(&proposal.title, 68)));
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
    for (action, does) in proposal.actions.iter().zip(&view.does) {
        let details = action_details(action).map(|details| format!("\n{details}")).unwrap_or_default();
        fields.add("if it passes", format!("{does}{details}"));
    }
    fields.add("class", proposal.class.name()).add("rule", sentences(&view.rule_text));
    for gate in &view.attested {
        fields.add("waits for", show_gate(gate));
    }
    for buyer in &view.buyers {
        let says = if buyer.accepted { "has accepted" } else { "has not accepted: allod shares accept ID" };
        fields.add("buyer", format!("{} {says}", who(buyer.handle.as_ref(), buyer.account)));
    }
    fields.add_some("guardian", proposal.guardian.map(|id| who(view.guardian_handle.as_ref(), id)));
    fields.add("weights", format!("as of block {}", proposal.snapshot));
    let first_close = proposal.opened_at.plus_ms(proposal.rule.voting_period_ms);
    let late = if proposal.latest_close > first_close { ", moved because the outcome turned late" } else { "" };
    fields.add("opened", format!("block {}", proposal.opened));
    fields.add("closes", format!("{}{late}", show_time(proposal.closes)));
    fields.add("outcome", outcome(view)).add_some("outlook", outlook(view));
    let mut table = Table::new(&["ACCOUNT", "ANSWER", ">WEIGHT", ">FOR OTHERS", ">BLOCK"]);
    for view in ballots {
        let ballot = &view.ballot;
        let account = who(view.handle.as_ref(), ballot.account);
        let others = if ballot.delegated == 0 { String::new() } else { show_count(ballot.delegated) };
        table.row([account, show_answer(&ballot.parts), show_count(ballot.weight), others, ballot.height.to_string()]);
    }
    let effect = view.effect.as_ref().map(|effect| format!("\nregister, if it passes\n{}", show_effect(effect)));
    format!("{}{}\n{}", fields.show(), effect.unwrap_or_default(), table.show("nobody has answered yet"))
}
