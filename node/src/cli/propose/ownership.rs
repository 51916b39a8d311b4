//! Decisions on who owns how much.

use super::{Ask, Asked};
use crate::{
    cli::{
        Failure,
        args::{self, Assigned},
        client::Client,
        vesting::VestingArgs,
    },
    plain::units,
};
use allod_protocol::{
    ground::ids::{BasisPoints, ModelName, PublicKey, Units},
    rules::{
        account::{KeyPolicy, WeightedKey},
        contribution::ContributionKind,
        control,
        proposal::ModelAction,
        round::{self, Cap, CapPer, KindWeight, RoundPlan},
        sale, share,
    },
};
use anyhow::{Result, anyhow, bail};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Mint {
    /// namespace/name
    model: ModelName,
    /// The account that gets them
    #[arg(long, value_name = "ACCOUNT")]
    to: String,
    /// How many units
    #[arg(long, value_parser = args::some_units)]
    units: Units,
    /// The reason, for the history
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    vesting: VestingArgs,
}

impl Ask for Mint {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let to = client.account(&self.to).await?.account;
        let (units, vesting) = (self.units, self.vesting.vesting());
        let action =
            ModelAction::MintShares(share::MintShares { to: to.id, units, reason: self.reason.clone(), vesting });
        let title = format!("Mint {units} units of {} for {}", self.model, to.handle);
        Asked::model(client, &self.model, action, title).await
    }
}

/// Whose units go, how many, and why.
#[derive(Debug, clap::Args)]
struct Taking {
    /// namespace/name
    model: ModelName,
    /// The holder
    #[arg(long, value_name = "ACCOUNT")]
    from: String,
    /// How many units
    #[arg(long, value_parser = args::some_units)]
    units: Units,
    /// The cause, for the history
    #[arg(long)]
    cause: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Burn {
    #[command(flatten)]
    taking: Taking,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Expropriate {
    #[command(flatten)]
    taking: Taking,
}

impl Ask for Expropriate {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let Taking { model, from, units, cause } = &self.taking;
        let from = client.account(from).await?.account;
        let taken = share::Expropriate { from: from.id, units: *units, cause: cause.clone() };
        let title = format!("Take {units} units of {model} from {}", from.handle);
        Asked::model(client, model, ModelAction::Expropriate(taken), title).await
    }
}

impl Ask for Burn {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let Taking { model, from, units, cause } = &self.taking;
        let from = client.account(from).await?.account;
        let taken = share::BurnByDecision { from: from.id, units: *units, cause: cause.clone() };
        let title = format!("Burn {units} units of {model} that {} holds", from.handle);
        Asked::model(client, model, ModelAction::BurnShares(taken), title).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Transfer {
    /// namespace/name
    model: ModelName,
    /// The account that receives them; the proposer gives
    #[arg(long, value_name = "ACCOUNT")]
    to: String,
    /// How many units
    #[arg(long, value_parser = args::some_units)]
    units: Units,
    /// What is paid for them: only a note, because the ledger moves no money
    #[arg(long, default_value = "", hide_default_value = true)]
    price: String,
    /// The reason, for the history
    #[arg(long)]
    reason: String,
}

impl Ask for Transfer {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let to = client.account(&self.to).await?.account;
        let (price, reason) = (self.price.clone(), self.reason.clone());
        let action =
            ModelAction::ApproveTransfer(sale::ApproveTransfer { to: to.id, units: self.units, price, reason });
        let title = format!("Let the proposer give {} units of {} to {}", self.units, self.model, to.handle);
        Asked::model(client, &self.model, action, title).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AcceptControl {
    /// namespace/name
    model: ModelName,
    /// The holder
    #[arg(id = "holder", value_name = "HOLDER")]
    account: String,
    /// A key that it is to have, 64 hexadecimal digits; may be repeated. Without any: those that it has
    #[arg(id = "coming_keys", long = "key", value_name = "KEY")]
    keys: Vec<PublicKey>,
    /// The weight that signatures of these keys must reach
    #[arg(long, default_value_t = 1, requires = "coming_keys")]
    threshold: u32,
    /// The weight of one of these keys, if it is not 1: KEY=WEIGHT; may be repeated
    #[arg(long = "weight", value_name = "KEY=WEIGHT", requires = "coming_keys")]
    weights: Vec<Assigned<u32>>,
}

impl Ask for AcceptControl {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let view = client.account(&self.account).await?;
        let (id, handle) = (view.account.id, view.account.handle);
        let keys = match (self.keys.is_empty(), view.control) {
            (false, _) => self.coming(),
            (true, Some(epoch)) => epoch.keys,
            (true, None) => bail!("{handle} has the keys that it always had; name those that it is to have: --key KEY"),
        };
        keys.check().map_err(|error| Failure::usage(error.to_string()))?;
        let title = format!("Accept other keys of {handle}, which holds shares of {}", self.model);
        Asked::model(
            client,
            &self.model,
            ModelAction::AcceptControl(control::AcceptControl { account: id, keys }),
            title,
        )
        .await
    }
}

impl AcceptControl {
    fn coming(&self) -> KeyPolicy {
        let weight = |key: &PublicKey| {
            let named = |weight: &&Assigned<u32>| weight.name.parse::<PublicKey>().is_ok_and(|named| named == *key);
            self.weights.iter().find(named).map_or(1, |weight| weight.value)
        };
        let keys = self.keys.iter().map(|key| WeightedKey { key: *key, weight: weight(key) }).collect();
        KeyPolicy { threshold: self.threshold, keys }
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OpenRound {
    /// namespace/name
    model: ModelName,
    /// The plan of work: a file that is hashed here, or its hash
    #[arg(long, value_name = "FILE|HASH")]
    plan: String,
    /// Units to mint
    #[arg(long, value_parser = args::some_units)]
    budget: Units,
    /// What one of a kind's amount counts: KIND=WEIGHT, such as data=1; the round takes no other kinds
    #[arg(long = "weight", value_name = "KIND=WEIGHT", required = true)]
    weights: Vec<Assigned<u32>>,
    /// How long contributions are recorded
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = units::duration)]
    recording: Duration,
    /// How long after that they are countersigned and disputed
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = units::duration)]
    review: Duration,
    /// The part of the budget that one giver gets at most, in per cent; what is above it is not minted
    #[arg(long, value_name = "PERCENT", value_parser = units::percent)]
    cap: Option<BasisPoints>,
    /// Who shares a cap: nobody, which does nothing against one person with several accounts; all accounts that go back
    /// to the same founding account by who sponsored them; or a member of the network and the accounts it sponsored
    #[arg(long, value_name = "WHO", value_enum, default_value_t = CapWord::Account, requires = "cap")]
    cap_per: CapWord,
    /// Mint nothing if fewer givers contribute; givers that share a cap count as one
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    min_contributors: u32,
    /// Hide the amounts while the round records, so that nobody copies another's
    #[arg(long)]
    sealed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CapWord {
    Account,
    Sponsor,
    Member,
}

impl From<CapWord> for CapPer {
    fn from(word: CapWord) -> Self {
        match word {
            CapWord::Account => Self::Account,
            CapWord::Sponsor => Self::Sponsor,
            CapWord::Member => Self::Member,
        }
    }
}

impl Ask for OpenRound {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let weight = |one: &Assigned<u32>| {
            let kind = args::word::<ContributionKind>(&one.name).map_err(|error| anyhow!("--weight: {error}"))?;
            Ok(KindWeight { kind, weight: one.value })
        };
        let plan = RoundPlan {
            plan: args::content_hash(&self.plan)?,
            budget: self.budget,
            weights: self.weights.iter().map(weight).collect::<Result<_>>()?,
            cap: self.cap.map(|part| Cap { per: self.cap_per.into(), part }),
            min_contributors: self.min_contributors,
            recording_ms: units::milliseconds(self.recording),
            review_ms: units::milliseconds(self.review),
            sealed: self.sealed,
        };
        let title = format!("A round of {} units for contributions to {}", self.budget, self.model);
        Asked::model(client, &self.model, ModelAction::OpenRound(round::OpenRound { plan }), title).await
    }
}
