//! `allod propose`: a question carrying what the ledger does if it passes.
//!
//! A subject of decisions has a file in `propose/`, where each kind of decision says in [`Ask::ask`] what it asks for.
//! What becomes of it, asked or tried, is the same for all and stands here.

mod dry_run;
mod network;
mod ownership;
mod rules;
mod versions;

use super::{
    client::Client,
    context::Context,
    output::Fields,
    signing::{Receipt, Sender, Signing},
    units::{show_duration, show_time},
};
use crate::api::views::ProposalView;
use allod_protocol::{
    event::Event,
    ids::{ModelName, ProposalId, Timestamp},
    proposal::{OpenProposal, ProposalAction, Scope},
    transaction::Action,
};
use anyhow::Result;
use serde::Serialize;

/// Put a question to the owners of a model, or to the members of the network.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Propose {
    /// Release a published version
    Release(Asking<versions::Release>),
    /// Warn everybody off a released version
    Deprecate(Asking<versions::Deprecate>),
    /// Take a version back: it is not to be used or served any more
    WithdrawVersion(Asking<versions::WithdrawVersion>),
    /// Add to what a version was made from
    ClaimLineage(Asking<versions::ClaimLineage>),
    /// Set the terms under which a model is used
    Licence(Asking<rules::SetLicence>),
    /// Say who reads a model's artifacts, and how many copies of them there should be
    Distribution(Asking<rules::SetDistribution>),
    /// Give an account a licence, or another term for the one it has
    GrantLicence(Asking<rules::GrantLicence>),
    /// Take an account's licence back
    RevokeLicence(Asking<rules::RevokeLicence>),
    /// Mint shares
    Mint(Asking<ownership::Mint>),
    /// Burn shares of a holder, with cause
    Burn(Asking<ownership::Burn>),
    /// Let the proposer give shares, where transfers need approval
    #[command(alias = "approve-transfer")]
    Transfer(Asking<ownership::Transfer>),
    /// Open a round of contributions, which mints shares by its plan when it closes
    Round(Box<Asking<ownership::OpenRound>>),
    /// End a dispute, where the owners do
    ResolveDispute(Asking<rules::ResolveDispute>),
    /// Replace the stewards
    Stewards(Asking<rules::SetStewards>),
    /// Change how the owners decide
    Policy(Asking<rules::SetPolicy>),
    /// End a model: nothing is published, released or minted any more
    Retire(Asking<rules::Retire>),
    /// State something in the name of all
    Statement(Asking<rules::Statement>),

    /// Admit a validator to the network
    AdmitValidator(Asking<network::AdmitValidator>),
    /// Give a validator another voting power
    ReweightValidator(Asking<network::ReweightValidator>),
    /// Remove a validator from the network
    RemoveValidator(Asking<network::RemoveValidator>),
    /// Make an account a member of the network
    AdmitMember(Asking<network::AdmitMember>),
    /// Let an account admit further accounts
    GrantQuota(Asking<network::GrantQuota>),
    /// Suspend an account: it can do nothing until it is reinstated
    Suspend(Asking<network::Suspend>),
    /// Reinstate a suspended account
    Reinstate(Asking<network::Reinstate>),
    /// Replace the network's parameters
    Parameters(Asking<network::SetParameters>),
    /// Move the network to another version of the protocol
    Upgrade(Asking<network::Upgrade>),
}

/// A kind of decision, with the question around it.
#[derive(Debug, clap::Args)]
pub(super) struct Asking<T: clap::Args> {
    #[command(flatten)]
    what: T,
    #[command(flatten)]
    question: Question,
}

/// What is asked, in words, and by whom.
#[derive(Debug, clap::Args)]
struct Question {
    /// What is asked, in one line [default: made from the action]
    #[arg(long)]
    title: Option<String>,
    /// What is asked, in full
    #[arg(long, default_value = "", hide_default_value = true)]
    text: String,
    /// Ask nobody: show what would change if it passed, and who could block it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    signing: Signing,
}

/// What a decision asks for.
pub(super) struct Asked {
    scope: Scope,
    action: ProposalAction,
    /// A title that says it, should the question have none.
    title: String,
}

impl Asked {
    fn network(action: ProposalAction, title: String) -> Self {
        Self { scope: Scope::Network, action, title }
    }

    async fn model(client: &Client, model: &ModelName, action: ProposalAction, title: String) -> Result<Self> {
        Ok(Self { scope: Scope::Model(client.model(model).await?.model.id), action, title })
    }
}

/// A kind of decision.
pub(super) trait Ask {
    /// What it asks for, with the ids behind the names.
    async fn ask(&self, client: &Client) -> Result<Asked>;
}

#[derive(Debug, Serialize)]
struct ProposalOpened {
    proposal: ProposalId,
    closes: Timestamp,
}

impl Propose {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Release(asking) => asking.put(context).await,
            Self::Deprecate(asking) => asking.put(context).await,
            Self::WithdrawVersion(asking) => asking.put(context).await,
            Self::ClaimLineage(asking) => asking.put(context).await,
            Self::Licence(asking) => asking.put(context).await,
            Self::Distribution(asking) => asking.put(context).await,
            Self::GrantLicence(asking) => asking.put(context).await,
            Self::RevokeLicence(asking) => asking.put(context).await,
            Self::Mint(asking) => asking.put(context).await,
            Self::Burn(asking) => asking.put(context).await,
            Self::Transfer(asking) => asking.put(context).await,
            Self::Round(asking) => asking.put(context).await,
            Self::ResolveDispute(asking) => asking.put(context).await,
            Self::Stewards(asking) => asking.put(context).await,
            Self::Policy(asking) => asking.put(context).await,
            Self::Retire(asking) => asking.put(context).await,
            Self::Statement(asking) => asking.put(context).await,
            Self::AdmitValidator(asking) => asking.put(context).await,
            Self::ReweightValidator(asking) => asking.put(context).await,
            Self::RemoveValidator(asking) => asking.put(context).await,
            Self::AdmitMember(asking) => asking.put(context).await,
            Self::GrantQuota(asking) => asking.put(context).await,
            Self::Suspend(asking) => asking.put(context).await,
            Self::Reinstate(asking) => asking.put(context).await,
            Self::Parameters(asking) => asking.put(context).await,
            Self::Upgrade(asking) => asking.put(context).await,
        }
    }
}

impl<T: Ask + clap::Args> Asking<T> {
    async fn put(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let Asked { scope, action, title } = self.what.ask(&client).await?;
        let Question { title: own, text, dry_run, signing } = self.question;
        let proposal = OpenProposal { scope, title: own.unwrap_or(title), text, actions: vec![action] };
        if dry_run {
            return dry_run::try_out(context, client, signing.account(), proposal).await;
        }
        open(context, &signing.sender_at(context, client).await?, proposal).await
    }
}

async fn open(context: &Context, sender: &Sender, proposal: OpenProposal) -> Result<()> {
    let receipt = sender.submit(Action::OpenProposal(proposal)).await?.with(|events| {
        events.iter().find_map(|event| match event {
            Event::ProposalOpened { proposal, closes, .. } => {
                Some(ProposalOpened { proposal: *proposal, closes: *closes })
            }
            _ => None,
        })
    })?;
    // How long is left the node says: by its clock and its ledger, not by this machine's.
    let view: ProposalView = sender.client.get(&format!("/v1/proposals/{}", receipt.made.proposal)).await?;
    context.answer(&receipt, |receipt: &Receipt<ProposalOpened>| {
        let closes = receipt.made.closes;
        let left = show_duration(view.ends_in_ms.unwrap_or(0));
        let mut fields = Fields::default();
        fields.add("proposal", receipt.made.proposal);
        fields.add("closes", format!("{}, in {left}", show_time(closes)));
        receipt.add_place(&mut fields);
        fields.add("next", "allod vote PROPOSAL yes|no|abstain|veto --as ACCOUNT");
        fields.show()
    })
}
