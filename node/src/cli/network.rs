//! `allod network`: the members, and what they have agreed on.

use super::{
    args::HowMany,
    context::Context,
    dates::Dates,
    output::{Fields, Table, who},
    signing::{Nothing, Receipt, Signing},
    units::{show_count, show_duration},
    words::{show_part, show_rule},
};
use crate::api::{
    parts,
    views::{AccountView, NetworkView, ValidatorsView},
};
use allod_protocol::rules::{action::Action, network::LeaveNetwork, policy::Class};
use anyhow::Result;

/// The network's members, parameters and upgrades.
#[derive(Debug, clap::Args)]
pub(super) struct Network {
    #[command(subcommand)]
    list: Option<NetworkList>,
}

#[derive(Debug, clap::Subcommand)]
enum NetworkList {
    /// The members, who decide on the network, by handle
    Members {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// The validators that decide the next blocks, with their power and the accounts that answer for them
    Validators {},
}

impl Network {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        match self.list {
            None => context.answer(&client.get::<NetworkView>("/v1/network").await?, show),
            Some(NetworkList::Members { how_many }) => {
                let page = client.list::<AccountView>("/v1/network/members", how_many.limit()).await?;
                let since = page.items.iter().filter_map(|view| view.account.member_since);
                let dates = Dates::of(&client, since).await?;
                context.answer_list(&page, |members| show_members(members, &dates))
            }
            Some(NetworkList::Validators {}) => {
                context.answer(&client.get::<ValidatorsView>("/v1/validators").await?, show_validators)
            }
        }
    }
}

fn show_members(members: &[AccountView], dates: &Dates) -> String {
    let mut table = Table::new(&["MEMBER", "SINCE", "SPONSOR", "STATE"]);
    for view in members {
        let account = &view.account;
        let since = account.member_since.map(|since| dates.date(since)).unwrap_or_default();
        let sponsor = account.sponsor.map(|id| who(view.sponsor_handle.as_ref(), id)).unwrap_or_default();
        let state = if account.suspended.is_some() { "suspended" } else { "" };
        table.row([account.handle.to_string(), since, sponsor, state.to_owned()]);
    }
    table.show("no members")
}

fn show_validators(view: &ValidatorsView) -> String {
    let mut table = Table::new(&["OPERATOR", ">POWER", ">PART", "KEY"]);
    let powers: Vec<u64> = view.current.iter().map(|one| one.power.get()).collect();
    for (one, part) in view.current.iter().zip(parts(&powers)) {
        table.row([
            who(one.operator_handle.as_ref(), one.operator),
            show_count(one.power.get()),
            show_part(part, one.power.get()),
            one.key.to_string(),
        ]);
    }
    let decide = view.total_power.get().saturating_mul(2) / 3;
    let mut text = format!(
        "who decides block {}: more than {} of {} power must agree\n\n{}",
        view.height,
        show_count(decide),
        show_count(view.total_power.get()),
        table.show("nobody")
    );
    if view.next != view.current {
        let height = view.height.next();
        text.push_str(&format!("\nfrom block {height} on the set is different: allod network validators --json\n"));
    }
    text
}

/// Leave the network's members: the account keeps what it holds, and no longer decides on the network.
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
            format!("{} is no longer a member\n{}", sender.account.handle, receipt.place())
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
        fields.add(
            "silence",
            format!("an account that is called on no longer counts after {}", show_duration(dormancy.after_ms)),
        );
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
