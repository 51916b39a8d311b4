//! `allod watch`: what happens on the ledger, as it happens, even if the node goes away.

use super::{
    Failure,
    client::{Client, Notices, Notified},
    context::Context,
    events::Names,
    output::short,
    units::{milliseconds, show_duration, show_time},
};
use crate::api::views::{GapView, NoticeView};
use allod_protocol::ledger::execute::Outcome;
use anyhow::Result;
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait for a node that went away.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(500);

/// Follow what happens on the ledger.
///
/// If the node goes away, the command waits for it for a minute and continues where it stopped: what happened meanwhile
/// comes first. With several nodes in --api it continues at the next one.
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Also show blocks without transactions
    #[arg(long)]
    all: bool,
}

impl Watch {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        tokio::select! {
            ended = self.follow(context) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    }

    async fn follow(&self, context: &Context) -> Result<()> {
        let clients = context.clients()?;
        let first = clients.first().ok_or_else(|| Failure::usage("name a node with --api"))?;
        let mut notices = first.follow(None).await?;
        let mut names = Names::new(first.clone());
        context.note(format!("following {}; end with Ctrl-C", first.base()));
        loop {
            match notices.next().await {
                Ok(Some(Notified::Block(notice))) => self.show(context, &mut names, &notice).await?,
                Ok(Some(Notified::Gap(GapView { from, to }))) => context.note(format!(
                    "blocks {from} to {to} are too far back to be shown here; `allod block HEIGHT` shows them"
                )),
                Err(error) if !Failure::is_unreachable(&error) => return Err(error),
                Ok(None) | Err(_) => {
                    notices = resume(context, &clients, &notices).await?;
                    names = Names::new(notices.client().clone());
                }
            }
        }
    }

    async fn show(&self, context: &Context, names: &mut Names, notice: &NoticeView) -> Result<()> {
        let empty = notice.results.is_empty() && notice.deadline_events.is_empty();
        if empty && !self.all {
            return Ok(());
        }
        if context.json() {
            return context.line(notice, |_| String::new());
        }
        let mut text =
            format!("{}  block {}  {} transactions", show_time(notice.time), notice.height, notice.transactions);
        for event in &notice.deadline_events {
            text.push_str(&format!("\n  {}", names.tell(event).await));
        }
        for result in &notice.results {
            for event in &result.events {
                text.push_str(&format!("\n  {}", names.tell(event).await));
            }
            if let Outcome::Rejected(rejection) = &result.outcome {
                text.push_str(&format!("\n  {} rejected ({}): {rejection}", short(result.id), rejection.code()));
            }
        }
        context.line(notice, |_| text)
    }
}

/// Continues after the last event of a stream that ended, at whichever node answers first.
async fn resume(context: &Context, clients: &[Client], lost: &Notices) -> Result<Notices> {
    context.note(format!("the node is gone; waiting for it for up to {}", show_duration(milliseconds(PATIENCE))));
    let deadline = Instant::now() + PATIENCE;
    let mut next = clients.iter().cycle();
    loop {
        let client = next.next().ok_or_else(|| Failure::usage("name a node with --api"))?;
        match client.follow(lost.last_id()).await {
            Ok(notices) => {
                context.note(format!("following {} from where it stopped", client.base()));
                return Ok(notices);
            }
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
