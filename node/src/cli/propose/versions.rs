//! Decisions on versions: what is released, suspended, deprecated, withdrawn, and what a version was made from.

use super::{Ask, Asked};
use crate::cli::{
    args::{self, VersionName},
    client::Client,
};
use allod_protocol::rules::{emergency, model, proposal::ModelAction};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Release {
    /// namespace/name@label
    version: VersionName,
}

impl Ask for Release {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let action = ModelAction::ReleaseVersion(model::ReleaseVersion { label: self.version.label.clone() });
        Asked::model(client, &self.version.model, action, format!("Release {}", self.version)).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Deprecate {
    /// namespace/name@label
    version: VersionName,
    /// The reason, for those who use it
    #[arg(long)]
    reason: String,
}

impl Ask for Deprecate {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let label = self.version.label.clone();
        let action = ModelAction::DeprecateVersion(model::DeprecateVersion { label, reason: self.reason.clone() });
        Asked::model(client, &self.version.model, action, format!("Deprecate {}", self.version)).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WithdrawVersion {
    /// namespace/name@label
    version: VersionName,
    /// The reason, for those who use it
    #[arg(long)]
    reason: String,
}

impl Ask for WithdrawVersion {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let label = self.version.label.clone();
        let action = ModelAction::WithdrawVersion(model::WithdrawVersion { label, reason: self.reason.clone() });
        Asked::model(client, &self.version.model, action, format!("Withdraw {}", self.version)).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SuspendVersion {
    /// namespace/name@label
    version: VersionName,
    /// The reason, for those who come across it
    #[arg(long)]
    reason: String,
}

impl Ask for SuspendVersion {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let label = self.version.label.clone();
        let action = ModelAction::SuspendVersion(emergency::SuspendVersion { label, reason: self.reason.clone() });
        Asked::model(client, &self.version.model, action, format!("Suspend {}", self.version)).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct LiftSuspension {
    /// namespace/name@label
    version: VersionName,
    /// The reason, for those who come across it
    #[arg(long)]
    reason: String,
}

impl Ask for LiftSuspension {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let label = self.version.label.clone();
        let action = ModelAction::LiftSuspension(emergency::LiftSuspension { label, reason: self.reason.clone() });
        Asked::model(client, &self.version.model, action, format!("Lift the suspension of {}", self.version)).await
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ClaimLineage {
    /// namespace/name@label
    version: VersionName,
    /// A version that it was made from: namespace/name@label; may be repeated
    #[arg(long = "parent", value_name = "VERSION", required = true)]
    parents: Vec<VersionName>,
}

impl Ask for ClaimLineage {
    async fn ask(&self, client: &Client) -> Result<Asked> {
        let label = self.version.label.clone();
        let action = ModelAction::ClaimLineage(model::ClaimLineage {
            label,
            parents: args::version_refs(client, &self.parents).await?,
        });
        let parents = self.parents.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let title = format!("{} was made from {parents}", self.version);
        Asked::model(client, &self.version.model, action, title).await
    }
}
