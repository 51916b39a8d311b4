//! Decisions of the network's members.

use super::{Ask, Asked};
use crate::{
    api::views::NetworkView,
    cli::{Failure, args, client::Client, output::short},
};
use allod_protocol::{
    ground::ids::{Height, Power, PublicKey},
    rules::{network, parameters::Parameters, proposal::NetworkAction},
};
use anyhow::Result;
use serde_json::Value;
use std::{path::PathBuf, str::FromStr};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AdmitValidator {
    /// Its consensus key, as `allod init` printed it
    #[arg(long = "key", value_name = "HEX")]
    validator: PublicKey,
    /// Its voting power
    #[arg(long, default_value = "1")]
    power: Power,
    /// The account that answers for it
    #[arg(long, value_name = "ACCOUNT")]
    operator: String,
}

impl Ask for AdmitValidator {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let operator = client.account(&self.operator).await?.account;
        let (key, power) = (self.validator, self.power);
        let action = NetworkAction::AdmitValidator(network::AdmitValidator { key, power, operator: operator.id });
        Ok(Asked::network(action, format!("Admit a validator of {}", operator.handle)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReweightValidator {
    /// Its consensus key
    #[arg(long = "key", value_name = "HEX")]
    validator: PublicKey,
    /// Its voting power from then on
    #[arg(long)]
    power: Power,
}

impl Ask for ReweightValidator {
    async fn ask(&self, _: &Client) -> Result<Asked> {
        let action =
            NetworkAction::ReweightValidator(network::ReweightValidator { key: self.validator, power: self.power });
        Ok(Asked::network(action, format!("Give validator {} power {}", short(self.validator), self.power)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RemoveValidator {
    /// Its consensus key
    #[arg(long = "key", value_name = "HEX")]
    validator: PublicKey,
}

impl Ask for RemoveValidator {
    async fn ask(&self, _: &Client) -> Result<Asked> {
        let action = NetworkAction::RemoveValidator(network::RemoveValidator { key: self.validator });
        Ok(Asked::network(action, format!("Remove validator {}", short(self.validator))))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AdmitMember {
    /// The account
    #[arg(id = "whom", value_name = "ACCOUNT")]
    account: String,
}

impl Ask for AdmitMember {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let account = client.account(&self.account).await?.account;
        let action = NetworkAction::AdmitMember(network::AdmitMember { account: account.id });
        Ok(Asked::network(action, format!("Make {} a member", account.handle)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RemoveMember {
    /// The account
    #[arg(id = "whom", value_name = "ACCOUNT")]
    account: String,
    /// The reason, for everybody to read
    #[arg(long)]
    reason: String,
}

impl Ask for RemoveMember {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let account = client.account(&self.account).await?.account;
        let action =
            NetworkAction::RemoveMember(network::RemoveMember { account: account.id, reason: self.reason.clone() });
        Ok(Asked::network(action, format!("Remove {} from the members", account.handle)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GrantQuota {
    /// The account
    #[arg(id = "whom", value_name = "ACCOUNT")]
    account: String,
    /// How many more accounts it may admit
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    quota: u32,
}

impl Ask for GrantQuota {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let account = client.account(&self.account).await?.account;
        let action = NetworkAction::GrantQuota(network::GrantQuota { account: account.id, quota: self.quota });
        Ok(Asked::network(action, format!("Let {} admit {} more accounts", account.handle, self.quota)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Suspend {
    /// The account
    #[arg(id = "whom", value_name = "ACCOUNT")]
    account: String,
    /// The reason, for everybody to read
    #[arg(long)]
    reason: String,
}

impl Ask for Suspend {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let account = client.account(&self.account).await?.account;
        let action =
            NetworkAction::SuspendAccount(network::SuspendAccount { account: account.id, reason: self.reason.clone() });
        Ok(Asked::network(action, format!("Suspend {}", account.handle)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Reinstate {
    /// The account
    #[arg(id = "whom", value_name = "ACCOUNT")]
    account: String,
}

impl Ask for Reinstate {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let account = client.account(&self.account).await?.account;
        let action = NetworkAction::ReinstateAccount(network::ReinstateAccount { account: account.id });
        Ok(Asked::network(action, format!("Reinstate {}", account.handle)))
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SetParameters {
    /// A file with all of them, in JSON or TOML, as `allod network --json` shows them
    #[arg(long, value_name = "FILE", required_unless_present = "changes")]
    file: Option<PathBuf>,
    /// Change one of the current ones: NAME=VALUE, such as heartbeat_ms=30000 or policy.validators.quorum=2/3; may be
    /// repeated
    #[arg(id = "changes", long = "set", value_name = "NAME=VALUE", conflicts_with = "file")]
    changes: Vec<Change>,
}

/// A parameter's new value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    name: String,
    value: Value,
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
        Ok(Self { name: name.to_owned(), value })
    }
}

impl Ask for SetParameters {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let parameters = match &self.file {
            Some(file) => args::from_file(file)?,
            None => changed(&client.get::<NetworkView>("/v1/network").await?.network.parameters, &self.changes)?,
        };
        let names: Vec<&str> = self.changes.iter().map(|change| change.name.as_str()).collect();
        let title = match names.as_slice() {
            [] => "Replace the network's parameters".into(),
            names => format!("Change {}", names.join(", ")),
        };
        Ok(Asked::network(
            NetworkAction::SetParameters(network::SetParameters { parameters: Box::new(parameters) }),
            title,
        ))
    }
}

/// The current parameters with some of them changed.
fn changed(present: &Parameters, changes: &[Change]) -> Result<Parameters> {
    let mut all = serde_json::to_value(present)?;
    for Change { name, value } in changes {
        let pointer = format!("/{}", name.replace('.', "/"));
        let place = all.pointer_mut(&pointer).ok_or_else(|| {
            Failure::usage(format!("there is no parameter {name}; `allod network --json` shows all of them"))
        })?;
        *place = value.clone();
    }
    serde_json::from_value(all).map_err(|error| Failure::usage(format!("--set: {error}")))
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Upgrade {
    /// The first block of the new version
    #[arg(long)]
    height: Height,
    /// The version of the protocol
    #[arg(long)]
    protocol: u32,
    /// The release of the software that supports it, for operators to install in time
    #[arg(long)]
    release: String,
}

impl Ask for Upgrade {
    async fn ask(&self, _: &Client) -> Result<Asked> {
        let (height, protocol, release) = (self.height, self.protocol, self.release.clone());
        let title = format!("Move to version {protocol} of the protocol at block {height}");
        Ok(Asked::network(NetworkAction::Upgrade(network::Upgrade { height, protocol, release }), title))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::cli::testnet::local_genesis_for_tests;
    use allod_protocol::ground::fraction::Portion;

    #[test]
    fn parameters_are_changed_by_their_names_and_no_others_exist() {
        let present = local_genesis_for_tests(1).0.parameters;
        let change = |text: &str| changed(&present, &[text.parse().unwrap()]);
        let after = change("heartbeat_ms=30000").unwrap();
        assert_eq!(after, Parameters { heartbeat_ms: 30_000, ..present.clone() });
        assert_eq!(change("policy.validators.quorum=2/3").unwrap().policy.validators.quorum, Portion::TWO_THIRDS);
        assert!(change("policy.validators.quorum=6000").unwrap_err().to_string().contains("2/3"));
        assert!(change("heart_beat=1").unwrap_err().to_string().contains("heart_beat"));
        assert!(change("heartbeat_ms=soon").unwrap_err().to_string().contains("invalid type"));
        assert!("heartbeat_ms".parse::<Change>().is_err());
    }
}
