//! `allod watch`: what happens on the ledger, as it happens.

use super::{Exit, Failure, client::Notified, context::Context, events::Names, output::short, units::show_time};
use crate::api::views::NoticeView;
use allod_protocol::execute::Outcome;
use anyhow::Result;

/// Follow what happens on the ledger.
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Blocks with no transactions too
    #[arg(long)]
    all: bool,
}

impl Watch {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let mut names = Names::new(client.clone());
        let mut notices = client.follow().await?;
        context.note(format!("following {}; end with Ctrl-C", client.base()));
        loop {
            let notified = tokio::select! {
                notified = notices.next() => notified?,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            match notified {
                Some(Notified::Block(notice)) => self.show(context, &mut names, &notice).await?,
                Some(Notified::Lagged(lagged)) => {
                    context
                        .note(format!("{} blocks were missed; `allod block HEIGHT` shows them", lagged.missed_blocks));
                }
                None => {
                    let message = format!("the node at {} closed the stream; is it stopping?", client.base());
                    return Err(Failure { exit: Exit::Unreachable, message }.into());
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
            format!("{}  block {}  {} transactions", show_time(notice.time), notice.height, notice.results.len());
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
