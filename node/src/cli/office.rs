//! `allod office`: tasks that an account performs for others, once it has accepted them.

use super::{
    Failure,
    args::{HowMany, IdArg},
    client::Client,
    context::Context,
    dates::Dates,
    output::{Table, who},
    signing::{Nothing, Receipt, Sender, Signing},
};
use crate::{
    api::views::{OfficeView, Page},
    config, keys,
};
use allod_protocol::{
    ground::{
        crypto::Domain,
        ids::{AccountId, ModelName, Name, NetworkId, PublicKey, Signature},
    },
    rules::{
        action::Action,
        office::{AcceptOffice, Office, ResignOffice},
        validator,
    },
};
use anyhow::Result;
use serde::Serialize;
use std::{path::PathBuf, str::FromStr};

/// See, accept and resign offices: nobody holds one without having accepted it.
#[derive(Debug, clap::Subcommand)]
pub(super) enum OfficeCommand {
    /// List the offices that an account was named for, its answers, and what it accepted in advance
    List {
        /// Its handle or id
        whose: String,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Accept an office that you are named for, or will be
    Accept {
        #[command(flatten)]
        which: Which,
        /// Every office of this model that you are offered
        #[arg(long, value_name = "MODEL", conflicts_with = "which")]
        all_of: Option<ModelName>,
        /// For --validator without a signature: the data directory of this machine's validator, whose key consents
        /// [default: ~/.local/share/allod]
        #[arg(long, value_name = "DIR", env = "ALLOD_HOME")]
        data: Option<PathBuf>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Decline or resign an office, or withdraw an acceptance in advance
    Resign {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        signing: Signing,
    },
    /// Make this machine's validator consent that an account operates it; the account then accepts that
    Agree {
        /// The account's handle or id
        operator: String,
        /// The validator's data directory [default: ~/.local/share/allod]
        #[arg(long, value_name = "DIR", env = "ALLOD_HOME")]
        data: Option<PathBuf>,
    },
}

/// The office that a command is about.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "which", multiple = false)]
pub(super) struct Which {
    /// Steward of a model
    #[arg(long, value_name = "MODEL")]
    steward: Option<ModelName>,
    /// Arbiter of a model's disputes
    #[arg(long, value_name = "MODEL")]
    arbiter: Option<ModelName>,
    /// Guardian of a model's decisions
    #[arg(long, value_name = "MODEL")]
    guardian: Option<ModelName>,
    /// Attester in a role of a model, as namespace/name:role
    #[arg(long, value_name = "MODEL:ROLE")]
    attester: Option<RoleArg>,
    /// Guardian of an account's keys
    #[arg(long, value_name = "ACCOUNT")]
    keys_of: Option<String>,
    /// Responsible for an incident
    #[arg(long, value_name = "ID")]
    incident: Option<IdArg>,
    /// Operator of a validator: its key, with the output of `allod office agree` if it runs on another machine
    #[arg(long, value_name = "KEY[:SIGNATURE]")]
    validator: Option<OperatorArg>,
}

/// `MODEL:ROLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RoleArg {
    model: ModelName,
    role: Name,
}

impl FromStr for RoleArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (model, role) =
            text.split_once(':').ok_or_else(|| format!("{text:?} is not MODEL:ROLE, such as bay/digits:reviewer"))?;
        let model = model.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { model, role: role.parse().map_err(|error| format!("{error}"))? })
    }
}

/// `KEY[:SIGNATURE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OperatorArg {
    key: PublicKey,
    proof: Option<Signature>,
}

impl FromStr for OperatorArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, proof) = text.split_once(':').map_or((text, None), |(key, proof)| (key, Some(proof)));
        let key = key.parse().map_err(|error| format!("{error}"))?;
        let proof = proof.map(|proof| proof.parse().map_err(|error| format!("{error}"))).transpose()?;
        Ok(Self { key, proof })
    }
}

impl Which {
    async fn office(&self, client: &Client) -> Result<Office> {
        let id = async |name: &ModelName| Ok::<_, anyhow::Error>(client.model(name).await?.model.id);
        Ok(match self {
            Self { steward: Some(model), .. } => Office::Steward(id(model).await?),
            Self { arbiter: Some(model), .. } => Office::Arbiter(id(model).await?),
            Self { guardian: Some(model), .. } => Office::Guardian(id(model).await?),
            Self { attester: Some(RoleArg { model, role }), .. } => {
                Office::Attester { model: id(model).await?, role: role.clone() }
            }
            Self { keys_of: Some(account), .. } => Office::KeyGuardian(client.account(account).await?.account.id),
            Self { incident: Some(incident), .. } => {
                Office::Responsible(incident.clone().resolve(client, "/v1/incidents").await?)
            }
            Self { validator: Some(OperatorArg { key, .. }), .. } => Office::Operator(*key),
            _ => {
                let options = "--steward, --arbiter, --guardian, --attester, --keys-of, --incident or --validator";
                return Err(Failure::usage(format!("say which office: {options}")));
            }
        })
    }

    /// The validator's consent, if the office is about one: the given one, or that of this machine's validator.
    fn proof(&self, data: Option<PathBuf>, network: NetworkId, operator: AccountId) -> Result<Option<Signature>> {
        let Some(OperatorArg { key, proof }) = &self.validator else { return Ok(None) };
        if proof.is_some() {
            return Ok(*proof);
        }
        let (own, signature) = agreement(data, network, operator)?;
        if own != *key {
            return Err(Failure::usage(format!(
                "the validator of this machine has the key {own}; on the machine of the other one, \
                 `allod office agree ACCOUNT` prints the value for --validator"
            )));
        }
        Ok(Some(signature))
    }
}

/// The output of `allod office agree`.
#[derive(Debug, Serialize)]
struct Agreement {
    validator: PublicKey,
    operator: AccountId,
    agreement: String,
}

impl OfficeCommand {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::List { whose, how_many } => list(context, &whose, how_many).await,
            Self::Accept { all_of: Some(model), signing, .. } => accept_all(context, &model, &signing).await,
            Self::Accept { which, data, signing, .. } => {
                let sender = signing.sender(context).await?;
                let office = which.office(&sender.client).await?;
                let proof = which.proof(data, sender.network, sender.account.id)?;
                let receipt = sender.submit(Action::AcceptOffice(AcceptOffice { office, proof })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("accepted\n{}", receipt.place()))
            }
            Self::Resign { which, signing } => {
                let sender = signing.sender(context).await?;
                let office = which.office(&sender.client).await?;
                let receipt = sender.submit(Action::ResignOffice(ResignOffice { office })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("resigned\n{}", receipt.place()))
            }
            Self::Agree { operator: name, data } => {
                let client = context.client()?;
                let (operator, network) = (client.account(&name).await?.account.id, client.status().await?.network);
                let (validator, signature) = agreement(data, network, operator)?;
                let agreement = format!("{validator}:{signature}");
                context.answer(&Agreement { validator, operator, agreement }, |said| {
                    format!("{0}\n\nas the account: allod office accept --validator {0} --as {name}", said.agreement)
                })
            }
        }
    }
}

/// The consent of this machine's validator, with its key.
fn agreement(data: Option<PathBuf>, network: NetworkId, operator: AccountId) -> Result<(PublicKey, Signature)> {
    let data_dir = match data {
        Some(directory) => directory,
        None => config::default_data_dir()?,
    };
    let key = keys::load(&data_dir.join("validator.key"))?;
    Ok((key.public_key(), key.sign(Domain::Operation, &validator::operation(network, operator))))
}

async fn offices(client: &Client, account: impl std::fmt::Display, limit: usize) -> Result<Page<OfficeView>> {
    client.list(&format!("/v1/accounts/{account}/offices"), limit).await
}

async fn list(context: &Context, whose: &str, how_many: HowMany) -> Result<()> {
    let client = context.client()?;
    let mut found = offices(&client, whose, how_many.limit()).await?;
    let ahead: Page<OfficeView> = client.list(&format!("/v1/accounts/{whose}/offices-ahead"), how_many.limit()).await?;
    found.items.extend(ahead.items);
    let dates = Dates::of(&client, found.items.iter().filter_map(|view| view.since)).await?;
    context.answer_list(&found, |offices| show(offices, &dates))
}

/// Only for one model: anybody can found models and name any account.
async fn accept_all(context: &Context, model: &ModelName, signing: &Signing) -> Result<()> {
    let sender = signing.sender(context).await?;
    let found = offices(&sender.client, sender.account.id, usize::MAX).await?;
    let offered: Vec<OfficeView> =
        found.items.into_iter().filter(|view| view.answer == "offered" && view.of == model.to_string()).collect();
    for view in &offered {
        accept(&sender, view.office.clone()).await?;
    }
    context.answer(&offered, |offered| match offered.as_slice() {
        [] => format!("no office of {model} is offered to this account"),
        offered => {
            let lines = offered.iter().map(|view| format!("accepted: {} of {}\n", view.role, view.of));
            lines.collect::<String>()
        }
    })
}

async fn accept(sender: &Sender, office: Office) -> Result<Receipt<Nothing>> {
    sender.submit(Action::AcceptOffice(AcceptOffice { office, proof: None })).await
}

fn show(offices: &[OfficeView], dates: &Dates) -> String {
    let mut table = Table::new(&["OFFICE", "OF", "ANSWER", "SINCE"]);
    for view in offices {
        let answer = view.answer.replace('_', " ");
        table.row([
            view.role.clone(),
            view.of.clone(),
            answer,
            view.since.map(|since| dates.date(since)).unwrap_or_default(),
        ]);
    }
    table.show("this account was not named for any office")
}

/// The offices of a model, one account per line.
pub(super) fn show_of_model(offices: &[OfficeView]) -> String {
    let mut table = Table::new(&["OFFICE", "ACCOUNT", "ANSWER"]);
    for view in offices {
        table.row([view.role.clone(), who(view.handle.as_ref(), view.account), view.answer.replace('_', " ")]);
    }
    table.show("nobody is named for an office")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn offices_are_named_by_what_they_are_of() {
        let role: RoleArg = "bay/digits:reviewer".parse().unwrap();
        assert_eq!((role.model.to_string().as_str(), role.role.as_str()), ("bay/digits", "reviewer"));
        assert!("bay/digits".parse::<RoleArg>().unwrap_err().contains("MODEL:ROLE"));
        assert!("bay/digits:No Role".parse::<RoleArg>().is_err());
        let (key, proof) = ("ab".repeat(32), "cd".repeat(64));
        assert_eq!(key.parse::<OperatorArg>().unwrap().proof, None);
        let both: OperatorArg = format!("{key}:{proof}").parse().unwrap();
        assert_eq!((both.key.to_string(), both.proof.unwrap().to_string()), (key, proof));
        assert!("ab:cd".parse::<OperatorArg>().is_err());
    }
}
