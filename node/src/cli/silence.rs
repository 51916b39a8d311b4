//! `allod silence`: weight that has fallen silent, and how it counts again.

use super::{
    args::HowMany,
    client::Client,
    context::Context,
    output::{Table, who},
    signing::{Nothing, Receipt, Signing},
    units::show_time,
};
use crate::api::views::SilenceView;
use allod_protocol::{
    ground::ids::{ModelName, Timestamp},
    rules::{
        action::Action,
        dormancy::{CallOn, Present},
        event::Event,
        proposal::Scope,
    },
};
use anyhow::Result;
use serde::Serialize;

/// Accounts that were called on and have not answered; call on one; answer a call.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Silence {
    /// List the accounts that were called on and have not answered
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Call on an account that is silent: if it says nothing in the time that the policy gives, it no longer counts
    Call {
        /// Its handle or id
        #[arg(id = "whom", value_name = "ACCOUNT")]
        account: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signing: Signing,
    },
    /// Say that you are there; a ballot, a proposal, a delegation or a transfer says so too
    Answer {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signing: Signing,
    },
}

/// Where an account is silent.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Place {
    /// Among the holders of a model: namespace/name
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelName>,
    /// Among the members of the network
    #[arg(long)]
    network: bool,
}

#[derive(Debug, Serialize)]
struct Called {
    sleeps_at: Timestamp,
}

impl Place {
    async fn scope(&self, client: &Client) -> Result<Scope> {
        match &self.model {
            Some(model) => Ok(Scope::Model(client.model(model).await?.model.id)),
            None => Ok(Scope::Network),
        }
    }

    fn path(&self) -> String {
        self.model
            .as_ref()
            .map_or_else(|| "/v1/network/silences".into(), |model| format!("/v1/models/{model}/silences"))
    }

    fn name(&self) -> String {
        self.model.as_ref().map_or_else(|| "the network".into(), ModelName::to_string)
    }
}

impl Silence {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::List { place, how_many } => {
                let silences = context.client()?.list::<SilenceView>(&place.path(), how_many.limit()).await?;
                context.answer_list(&silences, show)
            }
            Self::Call { account, place, signing } => {
                let sender = signing.sender(context).await?;
                let called = sender.client.account(&account).await?.account;
                let asked = CallOn { scope: place.scope(&sender.client).await?, account: called.id };
                let receipt = sender.submit(Action::CallOn(asked)).await?.with(|events| {
                    events.iter().find_map(|event| match event {
                        Event::CalledOn { sleeps_at, .. } => Some(Called { sleeps_at: *sleeps_at }),
                        _ => None,
                    })
                })?;
                context.answer(&receipt, |receipt: &Receipt<Called>| {
                    let until = show_time(receipt.made.sleeps_at);
                    let (handle, place) = (&called.handle, place.name());
                    format!(
                        "{handle} no longer counts in {place} if it says nothing until {until}\n{}",
                        receipt.place()
                    )
                })
            }
            Self::Answer { place, signing } => {
                let sender = signing.sender(context).await?;
                let scope = place.scope(&sender.client).await?;
                let receipt = sender.submit(Action::Present(Present { scope })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    format!("{} counts in {}\n{}", sender.account.handle, place.name(), receipt.place())
                })
            }
        }
    }
}

fn show(silences: &[SilenceView]) -> String {
    let mut table = Table::new(&["ACCOUNT", "STATE", "SINCE", "CALLED BY"]);
    for view in silences {
        let silence = &view.silence;
        let (state, since) = if silence.is_dormant {
            ("dormant", format!("since {}", show_time(silence.sleeps_at)))
        } else {
            ("called on", format!("dormant from {}", show_time(silence.sleeps_at)))
        };
        let (account, by) = (who(view.handle.as_ref(), silence.account), who(view.by_handle.as_ref(), silence.by));
        table.row([account, state.to_owned(), since, by]);
    }
    table.show("nobody was called on")
}
