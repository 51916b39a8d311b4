//! `allod transaction`: one transaction and its outcome.

use super::{
    args::IdArg,
    context::Context,
    events::Names,
    output::Fields,
    units::{show_count, show_time},
};
use crate::api::views::TransactionView;
use allod_protocol::ledger::execute::Outcome;
use anyhow::Result;

/// Show a transaction.
#[derive(Debug, clap::Args)]
pub(super) struct Transaction {
    /// Its id, or the start of it
    id: IdArg,
}

impl Transaction {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let view: TransactionView = client.get(&format!("/v1/transactions/{}", self.id)).await?;
        let story = if context.json() { String::new() } else { tell(&view, &mut Names::new(client)).await };
        context.answer(&view, |_| story)
    }
}

async fn tell(view: &TransactionView, names: &mut Names) -> String {
    let body = &view.transaction.body;
    let mut fields = Fields::default();
    fields.add("transaction", view.id).add("block", format!("{} (index {})", view.height, view.index));
    fields.add("action", body.action.name()).add("sender", names.account(body.sender).await);
    fields.add("expires", show_time(body.expires)).add("weight", show_count(view.weight));
    for key in &body.signers {
        fields.add("signed by", key);
    }
    match &view.result.outcome {
        Outcome::Applied => fields.add("outcome", "applied"),
        Outcome::Rejected(rejection) => {
            let text = names.text(&rejection.to_string()).await;
            fields.add("outcome", format!("rejected ({}): {text}", rejection.code()))
        }
    };
    for event in &view.result.events {
        fields.add("did", names.tell(event).await);
    }
    fields.show()
}
