//! `allod recovery`: how an account whose keys are lost or stolen gets new ones.

use super::{
    account::KeyPolicyArgs,
    args::{self, HowMany},
    context::Context,
    output::{Fields, Table, who},
    signing::{Nothing, Receipt, Signing},
    units::{self, show_duration, show_time},
};
use crate::api::views::{GuardedView, RecoveryView};
use allod_protocol::rules::{
    action::Action,
    event::Event,
    recovery::{CancelRecovery, Clock, RecoverAccount, RecoveryPolicy, SetRecovery, Stage, Unsettled},
};
use anyhow::Result;
use std::time::Duration;

/// Choose who can give your account new keys, and help others to get theirs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Recovery {
    /// Choose guardians, who together can give your account new keys
    Set {
        /// A guardian; may be repeated
        #[arg(long = "guardian", value_name = "ACCOUNT", required = true)]
        guardians: Vec<String>,
        /// How many of them must agree
        #[arg(long)]
        needed: u32,
        /// How long your current keys have to object, and how long a request signed by only some of them waits
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = units::duration)]
        delay: Duration,
        #[command(flatten)]
        signing: Signing,
    },
    /// Have no guardians
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
    /// Stop a recovery of your account with all of its keys, at least two; with fewer, object to it, which delays it
    /// once
    Cancel {
        #[command(flatten)]
        signing: Signing,
    },
    /// Show an account's guardians, what they say, and what is in progress
    Show {
        /// Its handle or id
        whose: String,
    },
    /// List the accounts that an account is a guardian of, and what is in progress there
    Guarded {
        /// The guardian's handle or id
        guardian: String,
        #[command(flatten)]
        how_many: HowMany,
    },
}

/// What remains to be done once guardians are chosen.
const CHOSEN: &str = "guardians chosen; each counts once it accepts: allod office accept --keys-of ACCOUNT";

impl Recovery {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Set { guardians, needed, delay, signing } => {
                let guardians = args::account_ids(&context.client()?, &guardians).await?;
                let policy = Some(RecoveryPolicy { guardians, needed, delay_ms: units::milliseconds(delay) });
                set(context, &signing, policy, CHOSEN).await
            }
            Self::Clear { signing } => set(context, &signing, None, "nobody can give this account new keys").await,
            Self::Seek { lost, policy, signing } => {
                let account = context.client()?.account(&lost).await?.account.id;
                let keys = policy.policy(&context.keys()?)?;
                let action = Action::RecoverAccount(RecoverAccount { account, keys });
                let receipt = signing.sender(context).await?.submit(action).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("said\n{}", receipt.place()))
            }
            Self::Cancel { signing } => {
                let receipt =
                    signing.strongest(context).await?.submit(Action::CancelRecovery(CancelRecovery {})).await?;
                context.answer(&receipt, |receipt| format!("{}\n{}", cancelled(receipt), receipt.place()))
            }
            Self::Show { whose } => {
                let view: RecoveryView = context.client()?.get(&format!("/v1/accounts/{whose}/recovery")).await?;
                context.answer(&view, show)
            }
            Self::Guarded { guardian, how_many } => {
                let path = format!("/v1/accounts/{guardian}/guarded");
                let page = context.client()?.list::<GuardedView>(&path, how_many.limit()).await?;
                context.answer_list(&page, show_guarded)
            }
        }
    }
}

async fn set(context: &Context, signing: &Signing, policy: Option<RecoveryPolicy>, done: &str) -> Result<()> {
    let sender = signing.strongest(context).await?;
    if policy.is_some() && sender.account.keys.keys.len() == 1 {
        context.note(
            "this account has one key: its holder can only delay the guardians. Give it a second one, kept in another \
             place, and both together have the last word: allod account rotate",
        );
    }
    let receipt = sender.submit(Action::SetRecovery(SetRecovery { policy })).await?;
    context.answer(&receipt, |receipt: &Receipt<Nothing>| {
        let asked = receipt.events.iter().find_map(|event| match event {
            Event::GuardiansAsked { ready, .. } => Some(*ready),
            _ => None,
        });
        let done = match asked {
            None => done.to_owned(),
            Some(ready) => {
                let when = ready.map_or_else(String::new, |ready| format!(" {}", show_clock(ready)));
                format!("asked for by fewer than all keys; it takes effect{when}, and the present guardians can act until then")
            }
        };
        format!("{done}\n{}", receipt.place())
    })
}

fn cancelled(receipt: &Receipt<Nothing>) -> String {
    let contested = receipt.events.iter().find_map(|event| match event {
        Event::RecoveryContested { ready, .. } => Some(*ready),
        _ => None,
    });
    contested.map_or_else(
        || "stopped".into(),
        |ready| {
            let ready = show_clock(ready);
            format!(
                "objected; it ends {ready} unless the guardians say the same again. All keys together stop it at once"
            )
        },
    )
}

/// When a clock runs out.
pub(super) fn show_clock(clock: Clock) -> String {
    match clock {
        Clock::Runs { ready } => show_time(ready),
        Clock::Stands { left_ms } => format!("{} after it goes on", show_duration(left_ms)),
    }
}

/// What a request signed by only some of the keys asks for.
pub(super) fn show_unsettled(waits: &Unsettled) -> String {
    let asked = match &waits.change {
        None => "the present keys count as all keys",
        Some(SetRecovery { policy: None }) => "nobody can give this account new keys",
        Some(SetRecovery { policy: Some(_) }) => "it has other guardians",
    };
    let until: Vec<String> = waits.keys.keys.iter().map(|key| key.key.to_string()).collect();
    format!("{}: {asked}\nuntil then all keys are\n{}", show_clock(waits.clock), until.join("\n"))
}

fn show_guarded(guarded: &[GuardedView]) -> String {
    let mut table = Table::new(&["ACCOUNT", "RECOVERY", "WHEN", "NOT SETTLED UNTIL"]);
    for view in guarded {
        let (stage, when) = view
            .pending
            .as_ref()
            .map_or_else(Default::default, |pending| (show_stage(pending.stage).to_owned(), show_clock(pending.clock)));
        let unsettled = view.unsettled.as_ref().map(|waits| show_clock(waits.clock)).unwrap_or_default();
        table.row([who(view.handle.as_ref(), view.account), stage, when, unsettled]);
    }
    table.show("a guardian of no account")
}

const fn show_stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Sought => "gets new keys",
        Stage::Contested => "ends, unless the guardians say the same again",
        Stage::Confirmed => "gets new keys, over an objection",
    }
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
        let (stage, when) = (show_stage(pending.stage), show_clock(pending.clock));
        fields.add("UNDER WAY", format!("{stage}: {when}\n{}", keys.join("\n")));
    }
    if let Some(waits) = &view.unsettled {
        fields.add("NOT SETTLED", show_unsettled(waits));
    }
    fields.show()
}
