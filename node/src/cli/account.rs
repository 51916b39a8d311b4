//! `allod account`: accounts, which hold shares and sign.

use super::{
    Failure,
    args::{Assigned, HowMany},
    client::Client,
    context::Context,
    dates::Dates,
    output::{Fields, Table, short, who},
    recovery,
    signing::{Nothing, Receipt, Signing},
    units,
    words::show_part,
};
use crate::{
    api::views::{AccountView, HoldingView},
    keys::KeyStore,
};
use allod_protocol::{
    ground::ids::{AccountId, Handle, PublicKey},
    rules::{
        account::{CreateAccount, KeyPolicy, RotateKeys, Suspension, WeightedKey},
        action::Action,
        event::Event,
    },
};
use anyhow::Result;
use serde::Serialize;
use std::time::Duration;

/// Create and show accounts, replace their keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AccountCommand {
    /// Admit a new account under a sponsor, who signs
    Create {
        /// The new account's handle
        handle: Handle,
        /// The account that admits it
        #[arg(long, value_name = "ACCOUNT", env = "ALLOD_AS")]
        sponsor: String,
        /// Sign with this key instead of whichever fits; may be repeated
        #[arg(long = "sign-with", value_name = "KEY")]
        sign_with: Vec<String>,
        /// How many accounts the new one may admit in turn, out of the sponsor's own quota
        #[arg(long, default_value_t = 0)]
        quota: u32,
        #[command(flatten)]
        policy: KeyPolicyArgs,
    },
    /// Show an account
    Show {
        /// Its handle or id
        account: String,
    },
    /// List accounts
    List {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// List what an account holds, model by model
    Holdings {
        /// Its handle or id
        #[arg(value_name = "ACCOUNT", env = "ALLOD_AS")]
        whose: String,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Replace an account's keys at once
    Rotate {
        /// Its handle or id; its present keys sign
        account: String,
        /// Sign with this key instead of whichever fits; may be repeated
        #[arg(long = "sign-with", value_name = "KEY")]
        sign_with: Vec<String>,
        /// If your keys alone cannot speak for the account: make this a request, which the others sign within this time
        #[arg(long, value_name = "DURATION", value_parser = units::duration)]
        request_approval: Option<Duration>,
        #[command(flatten)]
        policy: KeyPolicyArgs,
    },
}

/// The keys that will speak for an account.
#[derive(Debug, clap::Args)]
pub(super) struct KeyPolicyArgs {
    /// A key: the name of one of yours, or 64 hexadecimal digits; may be repeated
    #[arg(id = "account_keys", long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A key to generate first, under this name; may be repeated
    #[arg(long = "new-key", alias = "new-keys", value_name = "NAME", value_delimiter = ',')]
    new_keys: Vec<String>,
    /// The weight that signatures must reach
    #[arg(long, default_value_t = 1)]
    threshold: u32,
    /// The weight of a key, if it is not 1: KEY=WEIGHT; may be repeated
    #[arg(long = "weight", value_name = "KEY=WEIGHT")]
    weights: Vec<Assigned<u32>>,
}

impl KeyPolicyArgs {
    /// Reads the policy. Generates the new keys once everything else is in order.
    pub(super) fn policy(&self, store: &KeyStore) -> Result<KeyPolicy> {
        let names: Vec<&String> = self.keys.iter().chain(&self.new_keys).collect();
        if names.is_empty() {
            return Err(Failure::usage(
                "an account needs keys: --key NAME for one you have, --new-key NAME to make one",
            ));
        }
        if let Some(stray) = self.weights.iter().find(|weight| !names.contains(&&weight.name)) {
            return Err(Failure::usage(format!("--weight {} is for a key that is not given", stray.name)));
        }
        let mut keys = Vec::new();
        for name in &self.keys {
            keys.push(self.weighted(name, public_key(store, name)?));
        }
        for name in &self.new_keys {
            keys.push(self.weighted(name, store.create(name, None)?.public_key()));
        }
        let policy = KeyPolicy { threshold: self.threshold, keys };
        policy.check().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(policy)
    }

    fn weighted(&self, name: &str, key: PublicKey) -> WeightedKey {
        let weight = self.weights.iter().find(|weight| weight.name == name).map_or(1, |weight| weight.value);
        WeightedKey { key, weight }
    }
}

fn public_key(store: &KeyStore, name: &str) -> Result<PublicKey> {
    match name.parse() {
        Ok(key) => Ok(key),
        Err(_) => Ok(store.describe(name)?.public_key),
    }
}

#[derive(Debug, Serialize)]
struct AccountMade {
    account: AccountId,
    handle: Handle,
}

impl AccountCommand {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Create { handle, sponsor, sign_with, quota, policy } => {
                create(context, handle, quota, &Signing::of(sponsor, sign_with, None), &policy).await
            }
            Self::Show { account } => {
                let client = context.client()?;
                let view = client.account(&account).await?;
                let known = &view.account;
                let heights = [Some(known.created), known.member_since, known.suspended.as_ref().map(|it| it.since)];
                let dates = Dates::of(&client, heights.into_iter().flatten()).await?;
                context.answer(&view, |view| show(view, &dates))
            }
            Self::List { how_many } => {
                let page = context.client()?.list::<AccountView>("/v1/accounts", how_many.limit()).await?;
                context.answer_list(&page, show_list)
            }
            Self::Holdings { whose, how_many } => {
                let path = format!("/v1/accounts/{whose}/holdings");
                context
                    .answer_list(&context.client()?.list::<HoldingView>(&path, how_many.limit()).await?, show_holdings)
            }
            Self::Rotate { account, sign_with, request_approval, policy } => {
                let sender = Signing::of(account, sign_with, request_approval).strongest(context).await?;
                let keys = policy.policy(&context.keys()?)?;
                let receipt = sender.submit(Action::RotateKeys(RotateKeys { keys })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    format!("keys of {} replaced\n{}", sender.account.handle, receipt.place())
                })
            }
        }
    }
}

async fn create(
    context: &Context,
    handle: Handle,
    quota: u32,
    sponsor: &Signing,
    policy: &KeyPolicyArgs,
) -> Result<()> {
    let sender = sponsor.sender(context).await?;
    refuse_taken(&sender.client, &handle).await?;
    let keys = policy.policy(&context.keys()?)?;
    let receipt = sender.submit(Action::CreateAccount(CreateAccount { handle, keys, quota })).await?;
    let receipt = receipt.with(|events| {
        events.iter().find_map(|event| match event {
            Event::AccountCreated { account, handle, .. } => {
                Some(AccountMade { account: *account, handle: handle.clone() })
            }
            _ => None,
        })
    })?;
    context.answer(&receipt, |receipt| {
        let mut fields = Fields::default();
        fields.add("account", &receipt.made.handle).add("id", receipt.made.account);
        receipt.add_place(&mut fields);
        fields.show()
    })
}

/// Checked first, so that no key is generated for an account that cannot be created.
async fn refuse_taken(client: &Client, handle: &Handle) -> Result<()> {
    match client.find::<AccountView>(&format!("/v1/accounts/{handle}")).await? {
        Some(_) => Err(anyhow::anyhow!("the handle {handle} is taken; choose another")),
        None => Ok(()),
    }
}

fn show(view: &AccountView, dates: &Dates) -> String {
    let account = &view.account;
    let mut fields = Fields::default();
    fields.add("account", &account.handle).add("id", account.id).add("created", dates.at(account.created));
    fields.add_some("sponsor", account.sponsor.map(|id| who(view.sponsor_handle.as_ref(), id)));
    fields.add_some("member since", account.member_since.map(|height| dates.at(height)));
    if let Some(suspension) = &account.suspended {
        let title = view.suspension_title.as_deref().unwrap_or_default();
        let Suspension { since, reason, proposal } = suspension;
        fields.add("SUSPENDED", format!("since {}: {reason}\nby proposal {proposal}\n{title}", dates.at(*since)));
    }
    fields.add("may admit", format!("{} more accounts", account.quota));
    fields.add("open proposals", account.open_proposals);
    if let Some(recovery) = &account.recovery {
        fields.add("recovery", format!("{} of {} guardians", recovery.needed, recovery.guardians.len()));
    }
    if let Some(waits) = &account.unsettled {
        fields.add("NOT SETTLED", recovery::show_unsettled(waits));
    }
    if account.open_approvals > 0 {
        fields.add("requests", format!("{} wait for signatures: allod approvals list", account.open_approvals));
    }
    fields.add("threshold", account.keys.threshold);
    for (key, did) in account.keys.keys.iter().zip(&view.did_keys) {
        let weight = if key.weight == 1 { String::new() } else { format!(" x{}", key.weight) };
        fields.add("key", format!("{}{weight}\n{did}", key.key));
    }
    fields.show()
}

fn show_holdings(holdings: &[HoldingView]) -> String {
    let mut table = Table::new(&["MODEL", ">UNITS", ">PART", ">OF", ">UNDER VESTING"]);
    for view in holdings {
        let vesting = match view.units.get().saturating_sub(view.free_units.get()) {
            0 => String::new(),
            locked => units::show_count(locked),
        };
        table.row([
            who(view.model_name.as_ref(), view.model),
            units::show_count(view.units.get()),
            show_part(view.basis_points, view.units.get()),
            units::show_count(view.total_units.get()),
            vesting,
        ]);
    }
    table.show("this account holds nothing")
}

fn show_list(accounts: &[AccountView]) -> String {
    let mut table = Table::new(&["ACCOUNT", "ID", ">KEYS", "MEMBER", "SPONSOR"]);
    for view in accounts {
        let account = &view.account;
        let sponsor = account.sponsor.map(|id| who(view.sponsor_handle.as_ref(), id)).unwrap_or_default();
        let member = if account.member_since.is_some() { "yes" } else { "" };
        let keys = account.keys.keys.len().to_string();
        table.row([account.handle.to_string(), short(account.id), keys, member.into(), sponsor]);
    }
    table.show("no accounts")
}
