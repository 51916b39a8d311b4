//! `allod block`: one block and its effects.

use super::{
    context::Context,
    events::Names,
    output::{Fields, short},
    units::show_time,
};
use crate::api::views::BlockView;
use allod_protocol::ledger::execute::Outcome;
use anyhow::Result;

/// Show a block.
#[derive(Debug, clap::Args)]
pub(super) struct Block {
    /// Its height or hash, or `latest`
    block: String,
}

impl Block {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let block: BlockView = client.get(&format!("/v1/blocks/{}", self.block)).await?;
        let story = if context.json() { String::new() } else { tell(&block, &mut Names::new(client)).await };
        context.answer(&block, |block| format!("{}{story}", head(block)))
    }
}

fn head(block: &BlockView) -> String {
    let header = &block.header;
    let mut fields = Fields::default();
    fields.add("block", header.height).add("hash", block.hash).add("time", show_time(header.time));
    fields.add("proposer", header.proposer).add("parent", header.parent);
    fields.add("state root", format!("{}\nafter block {}", header.state_root, header.height.previous()));
    fields.add(
        "decided",
        format!("round {}, {} signatures", block.certificate.round, block.certificate.signatures.len()),
    );
    fields.add("transactions", block.transactions.len());
    fields.show()
}

async fn tell(block: &BlockView, names: &mut Names) -> String {
    let mut text = String::new();
    for event in &block.deadline_events {
        text.push_str(&format!("\ndeadline: {}", names.tell(event).await));
    }
    for transaction in &block.transactions {
        let sender = names.account(transaction.transaction.body.sender).await;
        let action = transaction.transaction.body.action.name();
        text.push_str(&format!("\n{}  {action} by {sender}", short(transaction.id)));
        if let Outcome::Rejected(rejection) = &transaction.result.outcome {
            text.push_str(&format!("\n  rejected ({}): {rejection}", rejection.code()));
        }
        for event in &transaction.result.events {
            text.push_str(&format!("\n  {}", names.tell(event).await));
        }
    }
    text
}
