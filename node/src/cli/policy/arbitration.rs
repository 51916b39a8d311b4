//! Who settles disputes under a policy, and on which terms, from the command line.

use crate::{cli::client::Client, plain::units};
use allod_protocol::{
    ground::ids::AccountId,
    rules::policy::{Arbiters, ModelPolicy},
};
use anyhow::Result;
use std::time::Duration;

/// The differences from the policy to start from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct ArbitrationArgs {
    /// An account that settles disputes instead of the owners and holds nothing of the model; may be repeated
    #[arg(long = "arbiter", value_name = "ACCOUNT")]
    arbiters: Vec<String>,
    /// An account that sits in an arbiter's place when one cannot, in this order; may be repeated
    #[arg(long = "stand-in", value_name = "ACCOUNT", requires = "arbiters")]
    stand_ins: Vec<String>,
    /// How many arbiters must agree [default: more than half of them]
    #[arg(long, value_name = "NUMBER", requires = "arbiters")]
    arbiters_needed: Option<u32>,
    /// Arbiters who all agree may take units from a holder by themselves; needs --allow arbiters-take-units
    #[arg(long, requires = "arbiters")]
    arbiters_take_units: bool,
    /// How long the challenged party has to answer before anybody decides
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    answer_time: Option<Duration>,
    /// How long a ruling of arbiters waits, during which it can be appealed
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    ruling_timelock: Option<Duration>,
    /// How long the first lost challenge bars its challenger from another; each further one bars twice as long
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    loss_bars: Option<Duration>,
}

impl ArbitrationArgs {
    /// Whether nothing is changed.
    pub(super) fn is_empty(&self) -> bool {
        self.arbiters.is_empty()
            && self.answer_time.is_none()
            && self.ruling_timelock.is_none()
            && self.loss_bars.is_none()
    }

    /// The policy with the changes.
    pub(super) async fn apply(&self, client: &Client, mut policy: ModelPolicy) -> Result<ModelPolicy> {
        let terms = &mut policy.dispute_terms;
        terms.answer_ms = self.answer_time.map_or(terms.answer_ms, units::milliseconds);
        terms.ruling_timelock_ms = self.ruling_timelock.map_or(terms.ruling_timelock_ms, units::milliseconds);
        terms.bar_ms = self.loss_bars.map_or(terms.bar_ms, units::milliseconds);
        if self.arbiters.is_empty() {
            return Ok(policy);
        }
        let accounts = accounts(client, &self.arbiters).await?;
        let majority = u32::try_from(accounts.len() / 2 + 1).unwrap_or(u32::MAX);
        policy.arbiters = Some(Arbiters {
            needed: self.arbiters_needed.unwrap_or(majority),
            stand_ins: self::accounts(client, &self.stand_ins).await?,
            take_units: self.arbiters_take_units,
            accounts,
        });
        Ok(policy)
    }
}

async fn accounts(client: &Client, names: &[String]) -> Result<Vec<AccountId>> {
    let mut accounts = Vec::new();
    for name in names {
        accounts.push(client.account(name).await?.account.id);
    }
    Ok(accounts)
}
