//! `allod network`: what the members agree on.

use super::{
    context::Context,
    output::Fields,
    signing::{Nothing, Receipt, Signing},
    units::show_duration,
    words::show_rule,
};
use crate::api::views::NetworkView;
use allod_protocol::{network::LeaveNetwork, policy::Class, transaction::Action};
use anyhow::Result;

/// The network's members, parameters and upgrades.
#[derive(Debug, clap::Args)]
pub(super) struct Network {}

impl Network {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        context.answer(&context.client()?.get::<NetworkView>("/v1/network").await?, show)
    }
}

/// Leave the network's members: the account keeps what it holds, and decides on the network no longer.
#[derive(Debug, clap::Args)]
pub(super) struct Leave {
    #[command(flatten)]
    signing: Signing,
}

impl Leave {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let receipt = sender.submit(Action::LeaveNetwork(LeaveNetwork {})).await?;
        context.answer(&receipt, |receipt: &Receipt<Nothing>| {
            format!("{} is a member no longer\n{}", sender.account.handle, receipt.place())
        })
    }
}

fn show(view: &NetworkView) -> String {
    let (network, parameters) = (&view.network, &view.network.parameters);
    let mut fields = Fields::default();
    fields.add("members", network.members).add("proposals", network.proposals);
    fields.add("open proposals", network.open_proposals).add("protocol", view.protocol);
    if let Some(upgrade) = &network.upgrade {
        let (protocol, height, release) = (upgrade.protocol, upgrade.height, &upgrade.release);
        let warning = if view.outgrown { "\nthis node is too old: install that release" } else { "" };
        fields.add("upgrade", format!("to version {protocol} at block {height}, by {release}{warning}"));
    }
    for class in Class::OF_NETWORK {
        fields.add(class.name(), show_rule(parameters.policy.rule(class)));
    }
    if let Some(dormancy) = parameters.policy.dormancy {
        fields.add("silence", format!("who is called on counts no more after {}", show_duration(dormancy.after_ms)));
    }
    fields.add("heartbeat", show_duration(parameters.heartbeat_ms));
    fields.add("propose timeout", show_duration(parameters.propose_timeout_ms));
    fields.add("vote timeout", show_duration(parameters.vote_timeout_ms));
    fields.add("timeout growth", show_duration(parameters.timeout_delta_ms));
    fields.add("rebroadcast", show_duration(parameters.rebroadcast_ms));
    fields.add("clock drift", show_duration(parameters.clock_drift_ms));
    fields.add("founders admit", format!("{} accounts each", parameters.founder_quota));
    fields.add("in one block", format!("{} transactions an account", parameters.transactions_per_account_per_block));
    fields.show()
}
