//! Decisions on who owns how much.

use super::{Ask, Asked};
use crate::cli::{args, client::Client, vesting::VestingArgs};
use allod_protocol::{
    ids::{ModelName, Units},
    proposal::ProposalAction,
};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Mint {
    /// namespace/name
    model: ModelName,
    /// For whom
    #[arg(long, value_name = "ACCOUNT")]
    to: String,
    /// How many units
    #[arg(long, value_parser = args::some_units)]
    units: Units,
    /// Why, for the history
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    vesting: VestingArgs,
}

impl Ask for Mint {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let to = client.account(&self.to).await?.account;
        let (units, vesting) = (self.units, self.vesting.vesting());
        let action = ProposalAction::MintShares { to: to.id, units, reason: self.reason.clone(), vesting };
        let title = format!("Mint {units} units of {} for {}", self.model, to.handle);
        Asked::model(client, &self.model, action, title).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Burn {
    /// namespace/name
    model: ModelName,
    /// Whose
    #[arg(long, value_name = "ACCOUNT")]
    from: String,
    /// How many units
    #[arg(long, value_parser = args::some_units)]
    units: Units,
    /// The cause, for the history
    #[arg(long)]
    cause: String,
}

impl Ask for Burn {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let from = client.account(&self.from).await?.account;
        let action = ProposalAction::BurnShares { from: from.id, units: self.units, cause: self.cause.clone() };
        let title = format!("Burn {} units of {} that {} holds", self.units, self.model, from.handle);
        Asked::model(client, &self.model, action, title).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Transfer {
    /// namespace/name
    model: ModelName,
    /// Who receives; who proposes gives
    #[arg(long, value_name = "ACCOUNT")]
    to: String,
    /// How many units
    #[arg(long, value_parser = args::some_units)]
    units: Units,
    /// What is paid for them: a note, as the ledger moves no money
    #[arg(long, default_value = "", hide_default_value = true)]
    price: String,
    /// Why, for the history
    #[arg(long)]
    reason: String,
}

impl Ask for Transfer {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let to = client.account(&self.to).await?.account;
        let (price, reason) = (self.price.clone(), self.reason.clone());
        let action = ProposalAction::ApproveTransfer { to: to.id, units: self.units, price, reason };
        let title = format!("Let the proposer give {} units of {} to {}", self.units, self.model, to.handle);
        Asked::model(client, &self.model, action, title).await
    }
}
