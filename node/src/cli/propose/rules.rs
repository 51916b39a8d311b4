//! Decisions on the terms of use, on the stewards, on disputes, and on how the owners decide.

use super::{Ask, Asked};
use crate::{
    cli::{
        Failure,
        args::{self, IdArg, ReadersArg},
        client::Client,
        dispute::{self, Ruling},
        licence::LicenceArgs,
        licences,
        output::short,
        policy::choice::PolicyArgs,
    },
    plain::units,
};
use allod_protocol::{
    ground::ids::ModelName,
    rules::{
        access::{self, Distribution},
        licence, model,
        proposal::{ModelAction, NetworkAction},
    },
};
use anyhow::Result;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SetLicence {
    /// namespace/name
    model: ModelName,
    #[command(flatten)]
    licence: LicenceArgs,
}

impl Ask for SetLicence {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let missing = || Failure::usage("give one: --spdx EXPRESSION, or --terms FILE");
        let action =
            ModelAction::SetLicence(licence::SetLicence { licence: self.licence.licence()?.ok_or_else(missing)? });
        Asked::model(client, &self.model, action, format!("Set the licence of {}", self.model)).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SetDistribution {
    /// namespace/name
    model: ModelName,
    /// Who reads its artifacts [default: unchanged]
    #[arg(long, value_enum)]
    readers: Option<ReadersArg>,
    /// How many members' peers should hold each release; 0 for no target [default: unchanged]
    #[arg(long, value_name = "NUMBER")]
    copies: Option<u32>,
}

impl Ask for SetDistribution {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        if self.readers.is_none() && self.copies.is_none() {
            return Err(Failure::usage("give what to change: --readers public|licensees|holders, --copies NUMBER"));
        }
        let model = client.model(&self.model).await?.model;
        let distribution = Distribution {
            readers: self.readers.map_or(model.distribution.readers, Into::into),
            copies: self.copies.unwrap_or(model.distribution.copies),
        };
        let action = ModelAction::SetDistribution(access::SetDistribution { distribution });
        Ok(Asked::of_model(model.id, action, format!("Set the distribution of {}", self.model)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GrantLicence {
    /// namespace/name
    model: ModelName,
    /// The account that gets it
    licensee: String,
    /// For how long, from the block that carries the decision out [default: for ever]
    #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
    duration: Option<Duration>,
    /// The terms, which stay when the model's change [default: the model's current ones]
    #[command(flatten)]
    terms: LicenceArgs,
    /// Exactly what the account asks for: it has already agreed to that
    #[arg(long, conflicts_with_all = ["duration", "spdx", "terms"])]
    as_asked: bool,
}

impl Ask for GrantLicence {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let account = client.account(&self.licensee).await?.account.id;
        let terms = if self.as_asked {
            let (model, licensee) = (&self.model, &self.licensee);
            let asked = licences::asked_for(client, model, account).await?;
            let none = || {
                Failure::usage(format!("{licensee} does not ask for a licence to {model}; give --for, --spdx, --terms"))
            };
            asked.ok_or_else(none)?.request.terms
        } else {
            self.terms.terms(client, &self.model, self.duration).await?
        };
        let action = ModelAction::GrantLicence(licence::GrantLicence { account, terms });
        Asked::model(client, &self.model, action, format!("License {} to {}", self.model, self.licensee)).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RevokeLicence {
    /// namespace/name
    model: ModelName,
    /// The account that loses it
    licensee: String,
    /// The reason
    #[arg(long)]
    reason: String,
}

impl Ask for RevokeLicence {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let account = client.account(&self.licensee).await?.account.id;
        let action = ModelAction::RevokeLicence(licence::RevokeLicence { account, reason: self.reason.clone() });
        Asked::model(client, &self.model, action, format!("Revoke the licence of {} to {}", self.licensee, self.model))
            .await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SetStewards {
    /// namespace/name
    model: ModelName,
    /// A steward from then on, replacing all earlier ones; may be repeated
    #[arg(long = "steward", value_name = "ACCOUNT", required = true)]
    stewards: Vec<String>,
}

impl Ask for SetStewards {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let action =
            ModelAction::SetStewards(model::SetStewards { stewards: args::account_ids(client, &self.stewards).await? });
        let title = format!("Make {} the stewards of {}", self.stewards.join(", "), self.model);
        Asked::model(client, &self.model, action, title).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SetPolicy {
    /// namespace/name
    model: ModelName,
    #[command(flatten)]
    policy: PolicyArgs,
}

impl Ask for SetPolicy {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        if self.policy.is_empty() {
            return Err(Failure::usage("give what to change: --template NAME, --policy FILE, --quorum PART, ..."));
        }
        let model = client.model(&self.model).await?.model;
        let policy = Box::new(self.policy.policy(client, || model.policy.clone(), &model.stewards).await?);
        let action = ModelAction::SetPolicy(model::SetPolicy { policy });
        Ok(Asked::of_model(model.id, action, format!("Change the rules of {}", self.model)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Retire {
    /// namespace/name
    model: ModelName,
    /// The reason, for those who use it
    #[arg(long)]
    reason: String,
}

impl Ask for Retire {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let action = ModelAction::Retire(model::Retire { reason: self.reason.clone() });
        Asked::model(client, &self.model, action, format!("Retire {}", self.model)).await
    }
}

#[derive(Debug, clap::Args)]
#[group(id = "whose", args = ["model", "network"], required = true, multiple = false)]
pub(in crate::cli) struct Statement {
    /// In the name of a model's owners: namespace/name
    model: Option<ModelName>,
    /// In the name of the network's members
    #[arg(long)]
    network: bool,
}

impl Ask for Statement {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        match &self.model {
            Some(model) => {
                let title = format!("A statement of the owners of {model}");
                Asked::model(client, model, ModelAction::Statement, title).await
            }
            None => Ok(Asked::network(NetworkAction::Statement, "A statement of the members".into())),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResolveDispute {
    /// The dispute's id, or the start of it
    dispute: IdArg,
    #[command(flatten)]
    ruling: Ruling,
}

impl Ask for ResolveDispute {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let dispute = dispute::find(client, &self.dispute).await?.dispute;
        let upholds = self.ruling.upholds();
        let title = format!("{} dispute {}", if upholds { "Uphold" } else { "Lift" }, short(dispute.id));
        let action = ModelAction::ResolveDispute(allod_protocol::rules::dispute::ResolveDispute {
            dispute: dispute.id,
            upholds,
        });
        Ok(Asked::of_model(dispute.model, action, title))
    }
}
