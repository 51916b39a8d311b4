//! `allod recovery`: how an account whose keys are lost comes to new ones.

use super::{
    account::KeyPolicyArgs,
    args,
    context::Context,
    output::{Fields, who},
    signing::{Nothing, Receipt, Signing},
    units::{self, show_duration, show_time},
};
use crate::api::views::RecoveryView;
use allod_protocol::{
    recovery::{CancelRecovery, RecoverAccount, RecoveryPolicy, SetRecovery},
    transaction::Action,
};
use anyhow::Result;
use std::time::Duration;

/// Choose who can give your account new keys, and help others to theirs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Recovery {
    /// Choose guardians, who together can give your account new keys
    Set {
        /// A guardian; may be repeated
        #[arg(long = "guardian", value_name = "ACCOUNT", required = true)]
        guardians: Vec<String>,
        /// How many of them must say the same
        #[arg(long)]
        needed: u32,
        /// How long your present keys can stop it
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = units::duration)]
        delay: Duration,
        #[command(flatten)]
        signing: Signing,
    },
    /// Do without guardians
    Clear {
        #[command(flatten)]
        signing: Signing,
    },
    /// Say which keys an account should get, as one of its guardians
    Seek {
        /// The account whose keys are lost
        lost: String,
        #[command(flatten)]
        policy: KeyPolicyArgs,
        #[command(flatten)]
        signing: Signing,
    },
    /// Stop a recovery of your account
    Cancel {
        #[command(flatten)]
        signing: Signing,
    },
    /// Show an account's guardians, what they say, and what is pending
    Show {
        /// Its handle or id
        whose: String,
    },
}

/// What is still to come once guardians are chosen.
const CHOSEN: &str = "guardians chosen; each counts once it accepts: allod office accept --keys-of ACCOUNT";

impl Recovery {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Set { guardians, needed, delay, signing } => {
                let guardians = args::account_ids(&context.client()?, &guardians).await?;
                let policy = Some(RecoveryPolicy { guardians, needed, delay_ms: units::milliseconds(delay) });
                submit(context, &signing, Action::SetRecovery(SetRecovery { policy }), CHOSEN).await
            }
            Self::Clear { signing } => {
                let action = Action::SetRecovery(SetRecovery { policy: None });
                submit(context, &signing, action, "nobody can give this account new keys").await
            }
            Self::Seek { lost, policy, signing } => {
                let account = context.client()?.account(&lost).await?.account.id;
                let keys = policy.policy(&context.keys()?)?;
                let action = Action::RecoverAccount(RecoverAccount { account, keys });
                submit(context, &signing, action, "said").await
            }
            Self::Cancel { signing } => {
                submit(context, &signing, Action::CancelRecovery(CancelRecovery {}), "stopped").await
            }
            Self::Show { whose } => {
                let view: RecoveryView = context.client()?.get(&format!("/v1/accounts/{whose}/recovery")).await?;
                context.answer(&view, show)
            }
        }
    }
}

async fn submit(context: &Context, signing: &Signing, action: Action, done: &str) -> Result<()> {
    let receipt = signing.sender(context).await?.submit(action).await?;
    context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("{done}\n{}", receipt.place()))
}

fn show(view: &RecoveryView) -> String {
    let Some(policy) = &view.policy else { return "nobody can give this account new keys".into() };
    let mut fields = Fields::default();
    fields.add("needed", format!("{} of {} guardians", policy.needed, policy.guardians.len()));
    let accepted = view.guardians.iter().filter(|guardian| guardian.accepted).count();
    if !view.in_force {
        let lacking = format!("only {accepted} of the {} needed have accepted to be guardians", policy.needed);
        fields.add("NOT IN FORCE", format!("{lacking}; each has to: allod office accept --keys-of ACCOUNT"));
    }
    fields.add("delay", show_duration(policy.delay_ms));
    for guardian in &view.guardians {
        let keys = guardian.keys.iter().flat_map(|keys| &keys.keys).map(|key| key.key.to_string());
        let keys: Vec<String> = keys.collect();
        let says = if keys.is_empty() { String::new() } else { format!(" says\n{}", keys.join("\n")) };
        let answer = if guardian.accepted { "" } else { " (has not accepted)" };
        fields.add("guardian", format!("{}{answer}{says}", who(guardian.handle.as_ref(), guardian.account)));
    }
    if let Some(pending) = &view.pending {
        let keys: Vec<String> = pending.keys.keys.iter().map(|key| key.key.to_string()).collect();
        fields.add("PENDING", format!("from {} on the keys are\n{}", show_time(pending.ready), keys.join("\n")));
    }
    fields.show()
}
