//! `allod proposals`: what was proposed, its status, and its outcome.

use super::{
    args::{HowMany, IdArg},
    client::Client,
    context::Context,
    dates::Dates,
    output::{Fields, Table, cut, who},
    signing::{Nothing, Receipt, Signing},
    units::{self, show_count, show_duration, show_time},
    words::{action_details, sentences, show_answer, show_effect, show_gate, verdict_text},
};
use crate::api::views::{BallotView, Page, ProposalView, UnansweredView};
use allod_protocol::{
    ground::ids::{Height, ModelName, ProposalId},
    rules::{
        action::Action,
        proposal::{CancelProposal, ExecuteProposal, ProposalStatus, Scope, WithdrawProposal},
    },
};
use anyhow::{Result, bail};
use serde::Serialize;
use std::time::Duration;

/// How often an awaited proposal is polled.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// List proposals; show, await, execute, cancel or withdraw one.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Proposals {
    #[command(subcommand)]
    command: Option<ProposalsCommand>,
    /// The proposals of this model: namespace/name [default: all that are open or queued, the first to fall due first]
    model: Option<ModelName>,
    /// The proposals to the members of the network
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
    /// Wait until a proposal is settled; succeeds only if it was executed
    Wait {
        /// Its id, or the start of it
        proposal: IdArg,
        /// The maximum wait, in seconds or as a duration [default: until its close and its timelock are over, and a
        /// minute more]
        #[arg(long, value_name = "DURATION", value_parser = units::patience)]
        timeout: Option<Duration>,
    },
    /// Execute a decision that passed, once its time has come and nothing that it waits for is missing
    Execute {
        /// Its id, or the start of it
        proposal: IdArg,
        #[command(flatten)]
        signing: Signing,
    },
    /// Cancel a proposal that is open or queued, as its guardian
    Cancel {
        /// Its id, or the start of it
        proposal: IdArg,
        /// The reason, for everybody to read
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Withdraw a proposal of yours that is still open; its ballots stay readable
    Withdraw {
        /// Its id, or the start of it
        proposal: IdArg,
        /// The reason, for everybody to read
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
    unanswered: Vec<UnansweredView>,
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
                let client = context.client()?;
                let page = client.list::<ProposalView>(&path, self.how_many.limit()).await?;
                let dates = Dates::of(&client, page.items.iter().flat_map(heights)).await?;
                context.answer_list(&page, |proposals| show_list(proposals, &dates))
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
                let path = format!("/v1/proposals/{}/unanswered", view.proposal.id);
                let silent: Page<UnansweredView> = client.list(&path, how_many.limit()).await?;
                let answer =
                    ProposalWithBallots { proposal: view, ballot_list: ballots.items, unanswered: silent.items };
                let answered = answer.ballot_list.iter().map(|view| view.ballot.height);
                let dates = Dates::of(&client, heights(&answer.proposal).into_iter().chain(answered)).await?;
                context.answer(&answer, |answer| show(answer, &dates))?;
                context.note_more(ballots.next.is_some(), answer.ballot_list.len(), "ballots");
                context.note_more(silent.next.is_some(), answer.unanswered.len(), "who have not answered");
                Ok(())
            }
            Self::Wait { proposal, timeout } => {
                let client = context.client()?;
                let view = wait(&client, proposal.proposal(&client).await?, timeout).await?;
                let dates = Dates::of(&client, heights(&view)).await?;
                context.answer(&view, |view| outcome(view, &dates))?;
                must_be_executed(&view)
            }
            Self::Execute { proposal, signing } => {
                let sender = signing.sender(context).await?;
                let proposal = proposal.proposal(&sender.client).await?;
                let receipt = sender.submit(Action::ExecuteProposal(ExecuteProposal { proposal })).await?;
                let view = find(&sender.client, proposal).await?;
                let dates = Dates::of(&sender.client, heights(&view)).await?;
                context.answer(&receipt, |receipt| format!("{}\n{}", outcome(&view, &dates), receipt.place()))?;
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

/// Polls until the proposal is settled.
async fn wait(client: &Client, proposal: ProposalId, timeout: Option<Duration>) -> Result<ProposalView> {
    let mut view = find(client, proposal).await?;
    let patience = timeout.unwrap_or_else(|| expected(&view).saturating_add(Duration::from_secs(60)));
    let started = tokio::time::Instant::now();
    while !view.proposal.status.is_final() {
        if started.elapsed() >= patience {
            let waited = show_duration(units::milliseconds(patience));
            bail!("proposal {proposal} is not settled after {waited}: {}", outcome(&view, &Dates::default()));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
        view = find(client, proposal).await?;
    }
    Ok(view)
}

/// How long its rule gives a proposal until it is settled.
fn expected(view: &ProposalView) -> Duration {
    let waits = view.ends_in_ms.map(|open| open.saturating_add(view.proposal.rule.timelock_ms));
    Duration::from_millis(waits.or(view.ready_in_ms).unwrap_or(0))
}

fn scope_name(view: &ProposalView) -> String {
    match view.proposal.scope() {
        Scope::Network => "the members".into(),
        Scope::Model(id) => who(view.model_name.as_ref(), id),
    }
}

/// The heights that an answer about a proposal mentions.
fn heights(view: &ProposalView) -> Vec<Height> {
    let proposal = &view.proposal;
    let ended = match proposal.status {
        ProposalStatus::Open => None,
        ProposalStatus::Queued { height, .. }
        | ProposalStatus::Executed { height }
        | ProposalStatus::ExecutionFailed { height, .. }
        | ProposalStatus::Rejected { height, .. }
        | ProposalStatus::Withdrawn { height, .. }
        | ProposalStatus::Cancelled { height, .. }
        | ProposalStatus::Expired { height, .. } => Some(height),
    };
    [proposal.opened, proposal.snapshot].into_iter().chain(ended).collect()
}

/// The outcome in one line.
fn outcome(view: &ProposalView, dates: &Dates) -> String {
    let tally = &view.tally;
    let weights =
        format!("{} yes, {} no, {} abstain", show_count(tally.yes), show_count(tally.no), show_count(tally.abstain));
    let weights = if tally.veto == 0 { weights } else { format!("{weights}, {} veto", show_count(tally.veto)) };
    let of = format!("{weights}, of {}", show_count(tally.electorate));
    let at = |height: &Height| dates.at(*height);
    let why = view.reason_text.as_deref().unwrap_or_default();
    match &view.proposal.status {
        ProposalStatus::Open => format!("open: {of}"),
        ProposalStatus::Executed { height } => format!("executed in {}: {of}", at(height)),
        ProposalStatus::ExecutionFailed { height, .. } => {
            format!("passed, but could not be executed in {}: {why} ({of})", at(height))
        }
        ProposalStatus::Rejected { height, verdict } => {
            format!("rejected in {}, {}: {of}", at(height), verdict_text(*verdict))
        }
        ProposalStatus::Withdrawn { height, reason } if reason.is_empty() => {
            format!("withdrawn by its proposer in {}: {of}", at(height))
        }
        ProposalStatus::Withdrawn { height, reason } => {
            format!("withdrawn by its proposer in {}: {reason} ({of})", at(height))
        }
        ProposalStatus::Queued { ready, expires, .. } => {
            format!("passed; executed from {} on, or expired {}: {of}", show_time(*ready), show_time(*expires))
        }
        ProposalStatus::Cancelled { height, reason } => {
            format!("cancelled by its guardian in {}: {reason} ({of})", at(height))
        }
        ProposalStatus::Expired { height, .. } => format!("passed, and expired in {}: {why} ({of})", at(height)),
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

/// Each entry takes a few lines, because its id must be copied whole.
fn show_list(proposals: &[ProposalView], dates: &Dates) -> String {
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
        text.push_str(&format!("  {}\n", cut(&outcome(view, dates), 100)));
        if let Some(outlook) = outlook(view) {
            text.push_str(&format!("  {outlook}\n"));
        }
    }
    text
}

fn show(shown: &ProposalWithBallots, dates: &Dates) -> String {
    let (view, ballots) = (&shown.proposal, &shown.ballot_list);
    let proposal = &view.proposal;
    let mut fields = Fields::default();
    fields.add("proposal", proposal.id).add("title", &proposal.title);
    fields.add_some("text", Some(&proposal.text).filter(|text| !text.is_empty()));
    fields.add("asks", scope_name(view)).add("proposer", who(view.proposer_handle.as_ref(), proposal.proposer));
    for (details, does) in action_details(&proposal.question).into_iter().zip(&view.does) {
        let details = details.map(|details| format!("\n{details}")).unwrap_or_default();
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
    fields.add("weights", format!("as of {}", dates.at(proposal.snapshot)));
    let first_close = proposal.opened_at.plus_ms(proposal.rule.voting_period_ms);
    let late = if proposal.latest_close > first_close { ", moved because the outcome turned late" } else { "" };
    fields.add("opened", dates.at(proposal.opened));
    fields.add("closes", format!("{}{late}", show_time(proposal.closes)));
    fields.add("outcome", outcome(view, dates)).add_some("outlook", outlook(view));
    let mut table = Table::new(&["ACCOUNT", "ANSWER", ">WEIGHT", ">FOR OTHERS", "WHEN"]);
    for view in ballots {
        let ballot = &view.ballot;
        let account = who(view.handle.as_ref(), ballot.account);
        let others = if ballot.delegated == 0 { String::new() } else { show_count(ballot.delegated) };
        table.row([account, show_answer(&ballot.parts), show_count(ballot.weight), others, dates.date(ballot.height)]);
    }
    let silent = show_unanswered(&shown.unanswered, view.proposal.status == ProposalStatus::Open);
    let effect = view.effect.as_ref().map(|effect| format!("\nregister, if it passes\n{}", show_effect(effect)));
    let answers = table.show("nobody has answered yet\n");
    format!("{}{}\n{answers}{silent}", fields.show(), effect.unwrap_or_default())
}

/// Accounts that could answer and have not, and whether a delegate answered for them.
fn show_unanswered(unanswered: &[UnansweredView], is_open: bool) -> String {
    if unanswered.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[if is_open { "NOT YET ANSWERED" } else { "NEVER ANSWERED" }, ">WEIGHT", ""]);
    for view in unanswered {
        let delegate = view.delegate.map(|id| who(view.delegate_handle.as_ref(), id));
        let note = match (delegate, view.delegate_answered, view.is_dormant) {
            (Some(name), true, _) => format!("{name} answered for it"),
            (Some(name), false, _) => format!("{name} can answer for it, and has not"),
            (None, _, true) => "dormant".to_owned(),
            (None, _, false) => String::new(),
        };
        table.row([who(view.handle.as_ref(), view.account), show_count(view.weight), note]);
    }
    format!("\n{}", table.show(""))
}
