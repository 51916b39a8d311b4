//! `allod propose`: a question carrying what the ledger does if it passes.

use super::{
    Failure,
    args::{self, VersionName},
    client::Client,
    context::Context,
    output::Fields,
    policy::choice::PolicyArgs,
    signing::{Receipt, Sender, Signing},
    units::{now, show_duration, show_time},
};
use allod_protocol::{
    event::Event,
    ids::{ModelName, Power, ProposalId, PublicKey, Timestamp, Units},
    proposal::{OpenProposal, ProposalAction, Scope},
    transaction::Action,
};
use anyhow::Result;
use serde::Serialize;

/// Put a question to the owners of a model, or to the members of the network.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Propose {
    /// Release a published version
    Release {
        /// namespace/name@label
        version: VersionName,
        #[command(flatten)]
        question: Question,
    },
    /// Mint shares
    Mint {
        /// namespace/name
        model: ModelName,
        /// For whom
        #[arg(long, value_name = "ACCOUNT")]
        to: String,
        /// How many units
        #[arg(long, value_parser = args::units)]
        units: Units,
        /// Why, for the history
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        question: Question,
    },
    /// Change how the owners decide
    Policy {
        /// namespace/name
        model: ModelName,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        question: Question,
    },
    /// Admit a validator to the network
    AdmitValidator {
        /// Its consensus key, as `allod init` printed it
        #[arg(long = "key", value_name = "HEX")]
        validator: PublicKey,
        /// Its voting power
        #[arg(long, default_value = "1")]
        power: Power,
        /// The account that answers for it
        #[arg(long, value_name = "ACCOUNT")]
        operator: String,
        #[command(flatten)]
        question: Question,
    },
    /// Remove a validator from the network
    RemoveValidator {
        /// Its consensus key
        #[arg(long = "key", value_name = "HEX")]
        validator: PublicKey,
        #[command(flatten)]
        question: Question,
    },
}

/// What is asked, in words, and by whom.
#[derive(Debug, clap::Args)]
pub(super) struct Question {
    /// What is asked, in one line [default: made from the action]
    #[arg(long)]
    title: Option<String>,
    /// What is asked, in full
    #[arg(long, default_value = "", hide_default_value = true)]
    text: String,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, Serialize)]
struct ProposalOpened {
    proposal: ProposalId,
    closes: Timestamp,
}

impl Propose {
    fn question(&self) -> &Question {
        match self {
            Self::Release { question, .. }
            | Self::Mint { question, .. }
            | Self::Policy { question, .. }
            | Self::AdmitValidator { question, .. }
            | Self::RemoveValidator { question, .. } => question,
        }
    }

    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let question = self.question();
        let sender = question.signing.sender(context).await?;
        let (scope, action, title) = self.action(&sender.client).await?;
        let title = question.title.clone().unwrap_or(title);
        let receipt =
            open(&sender, OpenProposal { scope, title, text: question.text.clone(), actions: vec![action] }).await?;
        context.answer(&receipt, |receipt| {
            let closes = receipt.made.closes;
            let left = show_duration(closes.get().saturating_sub(now().get()));
            let mut fields = Fields::default();
            fields.add("proposal", receipt.made.proposal);
            fields.add("closes", format!("{}, in {left}", show_time(closes)));
            receipt.add_place(&mut fields);
            fields.add("next", "allod vote PROPOSAL yes|no|abstain --as ACCOUNT");
            fields.show()
        })
    }

    /// The scope, the action, and a title that says it.
    async fn action(&self, client: &Client) -> Result<(Scope, ProposalAction, String)> {
        match self {
            Self::Release { version, .. } => {
                let scope = Scope::Model(client.model(&version.model).await?.model.id);
                let action = ProposalAction::ReleaseVersion { label: version.label.clone() };
                Ok((scope, action, format!("Release {version}")))
            }
            Self::Mint { model, to, units, reason, .. } => {
                if units.get() == 0 {
                    return Err(Failure::usage("--units 0 mints nothing; mint at least 1"));
                }
                let scope = Scope::Model(client.model(model).await?.model.id);
                let to = client.account(to).await?.account;
                let action =
                    ProposalAction::MintShares { to: to.id, units: *units, reason: reason.clone(), vesting: None };
                Ok((scope, action, format!("Mint {units} units of {model} for {}", to.handle)))
            }
            Self::Policy { model, policy, .. } => {
                if policy.is_empty() {
                    return Err(Failure::usage("say what is to change: --template, --policy FILE, --quorum, ..."));
                }
                let present = client.model(model).await?.model;
                let scope = Scope::Model(present.id);
                let policy = policy.policy(client, || present.policy.clone(), &present.stewards).await?;
                Ok((
                    scope,
                    ProposalAction::SetPolicy { policy: Box::new(policy) },
                    format!("Change the rules of {model}"),
                ))
            }
            Self::AdmitValidator { validator, power, operator, .. } => {
                let operator = client.account(operator).await?.account;
                let action = ProposalAction::AdmitValidator { key: *validator, power: *power, operator: operator.id };
                Ok((Scope::Network, action, format!("Admit a validator of {}", operator.handle)))
            }
            Self::RemoveValidator { validator, .. } => {
                let title = format!("Remove validator {}", super::output::short(validator));
                Ok((Scope::Network, ProposalAction::RemoveValidator { key: *validator }, title))
            }
        }
    }
}

async fn open(sender: &Sender, proposal: OpenProposal) -> Result<Receipt<ProposalOpened>> {
    sender.submit(Action::OpenProposal(proposal)).await?.with(|events| {
        events.iter().find_map(|event| match event {
            Event::ProposalOpened { proposal, closes, .. } => {
                Some(ProposalOpened { proposal: *proposal, closes: *closes })
            }
            _ => None,
        })
    })
}
