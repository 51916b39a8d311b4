//! `allod approvals`: requests of an account with several keys, which its keys sign one after the other.
//!
//! Any command that signs can make such a request with `--request-approval DURATION`; these commands show and sign
//! them.

use super::{
    args::{HowMany, IdArg},
    context::Context,
    output::{Fields, Table, cut, short, who},
    signing::{Nothing, Receipt, Signing},
    units::show_time,
};
use crate::api::views::ApprovalView;
use allod_protocol::rules::{action::Action, approval::SignApproval, event::Event};
use anyhow::Result;

/// See and sign the requests of an account with several keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Approvals {
    /// List an account's requests that wait for signatures
    List {
        /// Its handle or id
        whose: String,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Show what is requested, and who has signed
    Show {
        /// The request's id, or the start of it
        approval: IdArg,
    },
    /// Sign a request; the signature that reaches the threshold executes it
    Sign {
        /// The request's id, or the start of it
        approval: IdArg,
        #[command(flatten)]
        signing: Signing,
    },
    /// Withdraw your signature, or oppose a request: it is dropped when as many keys oppose it as are needed to sign it
    Drop {
        /// The request's id, or the start of it
        approval: IdArg,
        #[command(flatten)]
        signing: Signing,
    },
}

impl Approvals {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::List { whose, how_many } => {
                let path = format!("/v1/accounts/{whose}/approvals");
                context.answer_list(&context.client()?.list::<ApprovalView>(&path, how_many.limit()).await?, show_list)
            }
            Self::Show { approval } => {
                let view: ApprovalView = context.client()?.get(&format!("/v1/approvals/{approval}")).await?;
                context.answer(&view, show)
            }
            Self::Sign { approval, signing } => answer(context, &signing, &approval, true).await,
            Self::Drop { approval, signing } => answer(context, &signing, &approval, false).await,
        }
    }
}

async fn answer(context: &Context, signing: &Signing, approval: &IdArg, approve: bool) -> Result<()> {
    let sender = signing.any_key(context, context.client()?).await?;
    let approval = approval.resolve(&sender.client, "/v1/approvals").await?;
    let receipt = sender.submit(Action::SignApproval(SignApproval { approval, approve })).await?;
    context.answer(&receipt, |receipt: &Receipt<Nothing>| {
        let closed = receipt.events.iter().find_map(|event| match event {
            Event::ApprovalClosed { carried_out, .. } => Some(*carried_out),
            _ => None,
        });
        let done = match closed {
            Some(true) => "signed, and carried out",
            Some(false) => "dropped",
            None if approve => "signed; more signatures are needed",
            None => "against it; it is dropped when as many keys are as it takes to sign it",
        };
        format!("{done}\n{}", receipt.place())
    })
}

fn show_list(approvals: &[ApprovalView]) -> String {
    let mut table = Table::new(&["REQUEST", "ASKS", ">SIGNED", ">NEEDED", "UNTIL"]);
    for view in approvals {
        table.row([
            view.approval.id.to_string(),
            cut(&view.does, 48),
            view.weight.to_string(),
            view.threshold.to_string(),
            show_time(view.approval.expires),
        ]);
    }
    table.show("nothing waits for signatures")
}

fn show(view: &ApprovalView) -> String {
    let approval = &view.approval;
    let mut fields = Fields::default();
    fields.add("request", approval.id).add("account", who(view.handle.as_ref(), approval.account));
    fields.add("asks", format!("to {}", view.does));
    fields.add("signed", format!("{} of {}", view.weight, view.threshold));
    if view.weight_against > 0 {
        fields.add("against it", format!("{} of {}", view.weight_against, view.threshold));
    }
    let keys: Vec<String> = approval.keys.iter().map(short).collect();
    fields.add("keys", keys.join(", ")).add("put", format!("block {}", approval.opened));
    fields.add("dropped", show_time(approval.expires));
    fields.show()
}
