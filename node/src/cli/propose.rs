//! `allod propose`: a question with the action that the ledger executes if it passes.
//!
//! Each subject of decisions has a file in `propose/`, where each kind of decision says in [`Ask::ask`] what it asks
//! for. Asking and trying out are the same for all and are here.

mod dry_run;
mod network;
mod ownership;
mod rules;
mod versions;

use super::{
    Failure,
    client::Client,
    context::Context,
    output::{Fields, cut},
    signing::{Receipt, Sender, Signing},
    units::{show_duration, show_time},
};
use crate::api::views::ProposalView;
use allod_protocol::{
    ground::{
        ids::{ModelId, ModelName, ProposalId, Timestamp},
        limits,
    },
    rules::{
        action::Action,
        event::Event,
        proposal::{ModelAction, NetworkAction, OpenProposal, Question},
    },
};
use anyhow::Result;
use clap::Parser as _;
use serde::Serialize;

/// Put a question to the owners of a model, or to the members of the network.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Propose {
    /// Release a published version
    Release(Asking<versions::Release>),
    /// Warn everybody against a released version
    Deprecate(Asking<versions::Deprecate>),
    /// Withdraw a version: it must not be used or served any more
    WithdrawVersion(Asking<versions::WithdrawVersion>),
    /// Suspend a version until the owners lift the suspension; also confirms an emergency stop
    SuspendVersion(Asking<versions::SuspendVersion>),
    /// End the suspension of a version
    LiftSuspension(Asking<versions::LiftSuspension>),
    /// Add parents to a version: what it was made from
    ClaimLineage(Asking<versions::ClaimLineage>),
    /// Set the terms under which a model is used
    Licence(Asking<rules::SetLicence>),
    /// Set who reads a model's artifacts, and how many copies there should be
    Distribution(Asking<rules::SetDistribution>),
    /// Give an account a licence, or new terms for the one it has
    GrantLicence(Asking<rules::GrantLicence>),
    /// Revoke an account's licence
    RevokeLicence(Asking<rules::RevokeLicence>),
    /// Mint shares
    Mint(Asking<ownership::Mint>),
    /// Burn shares of a holder, for a cause
    Burn(Asking<ownership::Burn>),
    /// Take units from a holder without its consent, by the rule that the policy has for this
    Expropriate(Asking<ownership::Expropriate>),
    /// Let the proposer give shares, where transfers need approval
    #[command(alias = "approve-transfer")]
    Transfer(Asking<ownership::Transfer>),
    /// Accept the keys of a holder whose control changes, if the policy asks for that
    AcceptControl(Box<Asking<ownership::AcceptControl>>),
    /// Open a round of contributions, which mints shares by its plan when it closes
    Round(Box<Asking<ownership::OpenRound>>),
    /// End a dispute, if the owners decide it
    ResolveDispute(Asking<rules::ResolveDispute>),
    /// Replace the stewards
    Stewards(Asking<rules::SetStewards>),
    /// Change how the owners decide
    Policy(Box<Asking<rules::SetPolicy>>),
    /// End a model: nothing is published, released or minted any more
    Retire(Asking<rules::Retire>),
    /// State something in the name of all
    Statement(Asking<rules::Statement>),

    /// Admit a validator to the network
    AdmitValidator(Asking<network::AdmitValidator>),
    /// Give a validator a different voting power
    ReweightValidator(Asking<network::ReweightValidator>),
    /// Remove a validator from the network
    RemoveValidator(Asking<network::RemoveValidator>),
    /// Make an account a member of the network
    AdmitMember(Asking<network::AdmitMember>),
    /// Remove an account from the members of the network
    RemoveMember(Asking<network::RemoveMember>),
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
    wording: Wording,
}

/// The question in words, and who asks it.
#[derive(Debug, clap::Args)]
struct Wording {
    /// The question in one line [default: derived from the action]
    #[arg(long)]
    title: Option<String>,
    /// The question in full
    #[arg(long, default_value = "", hide_default_value = true)]
    text: String,
    /// Ask nobody: show what would change if it passed, and who could block it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    signing: Signing,
    /// Another action of the same proposal, last on the line: either all are executed or none; may be repeated
    #[arg(long, value_name = "ACTION", num_args = 1.., allow_hyphen_values = true)]
    then: Vec<String>,
}

/// What a decision asks for.
pub(super) struct Asked {
    question: Question,
    /// A title that says it, should the proposal have none.
    title: String,
}

impl Asked {
    fn network(action: NetworkAction, title: String) -> Self {
        Self { question: Question::of_network(vec![action]), title }
    }

    fn of_model(model: ModelId, action: ModelAction, title: String) -> Self {
        Self { question: Question::of_model(model, vec![action]), title }
    }

    async fn model(client: &Client, model: &ModelName, action: ModelAction, title: String) -> Result<Self> {
        Ok(Self::of_model(client.model(model).await?.model.id, action, title))
    }

    /// Does what another asks for as well, if the same are asked.
    fn add(&mut self, further: Self) -> Result<()> {
        match (&mut self.question, further.question) {
            (Question::Model { model, actions }, Question::Model { model: same, actions: more }) if *model == same => {
                actions.extend(more);
            }
            (Question::Network { actions }, Question::Network { actions: more }) => actions.extend(more),
            (Question::Model { .. } | Question::Network { .. }, _) => {
                return Err(Failure::usage("one proposal asks one model's owners, or the network's members; open two"));
            }
        }
        self.title = format!("{}; {}", self.title, further.title);
        Ok(())
    }
}

/// A kind of decision.
pub(super) trait Ask {
    /// The action it asks for, with names resolved to ids.
    async fn ask(&self, client: &Client) -> Result<Asked>;
}

#[derive(Debug, Serialize)]
struct ProposalOpened {
    proposal: ProposalId,
    closes: Timestamp,
}

/// Does the same for every kind of decision.
macro_rules! each_kind {
    ($command:expr, $asking:ident => $what:expr) => {
        match $command {
            Propose::Release($asking) => $what,
            Propose::Deprecate($asking) => $what,
            Propose::WithdrawVersion($asking) => $what,
            Propose::SuspendVersion($asking) => $what,
            Propose::LiftSuspension($asking) => $what,
            Propose::ClaimLineage($asking) => $what,
            Propose::Licence($asking) => $what,
            Propose::Distribution($asking) => $what,
            Propose::GrantLicence($asking) => $what,
            Propose::RevokeLicence($asking) => $what,
            Propose::Mint($asking) => $what,
            Propose::Burn($asking) => $what,
            Propose::Expropriate($asking) => $what,
            Propose::Transfer($asking) => $what,
            Propose::AcceptControl($asking) => $what,
            Propose::Round($asking) => $what,
            Propose::ResolveDispute($asking) => $what,
            Propose::Stewards($asking) => $what,
            Propose::Policy($asking) => $what,
            Propose::Retire($asking) => $what,
            Propose::Statement($asking) => $what,
            Propose::AdmitValidator($asking) => $what,
            Propose::ReweightValidator($asking) => $what,
            Propose::RemoveValidator($asking) => $what,
            Propose::AdmitMember($asking) => $what,
            Propose::RemoveMember($asking) => $what,
            Propose::GrantQuota($asking) => $what,
            Propose::Suspend($asking) => $what,
            Propose::Reinstate($asking) => $what,
            Propose::Parameters($asking) => $what,
            Propose::Upgrade($asking) => $what,
        }
    };
}

impl Propose {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let (mut asked, wording) = each_kind!(self, asking => (asking.what.ask(&client).await?, asking.wording));
        for words in wording.then.split(|word| word == THEN).filter(|_| !wording.then.is_empty()) {
            let further = Self::further(words, wording.signing.account())?;
            let (further, own) = each_kind!(further, asking => (asking.what.ask(&client).await?, asking.wording));
            if own.title.is_some() || !own.text.is_empty() || own.dry_run {
                return Err(Failure::usage(
                    "a title, a text and --dry-run are the proposal's: give them before --then",
                ));
            }
            asked.add(further)?;
        }
        let Asked { question, title } = asked;
        let made = if title.len() > limits::TITLE_SIZE_BYTES { cut(&title, 60) } else { title };
        let title = wording.title.unwrap_or(made);
        let proposal = OpenProposal { question, title, text: wording.text };
        if wording.dry_run {
            return dry_run::try_out(context, client, wording.signing.account(), proposal).await;
        }
        open(context, &wording.signing.sender_at(context, client).await?, proposal).await
    }

    /// The action after `--then`, in the words of a proposal of its own; the asking account is already known.
    fn further(words: &[String], account: &str) -> Result<Self> {
        let line = ["allod propose", "--as", account].into_iter().map(String::from);
        let mut line: Vec<String> = line.collect();
        let (Some(kind), rest) = (words.first(), words.get(1..).unwrap_or_default()) else {
            return Err(Failure::usage(
                "--then is followed by another action, such as: --then burn northfield/digits ...",
            ));
        };
        line.splice(1..1, std::iter::once(kind.clone()));
        line.extend(rest.iter().cloned());
        Further::try_parse_from(line)
            .map(|further| further.what)
            .map_err(|error| Failure::usage(error.render().to_string()))
    }
}

/// The separator between actions.
const THEN: &str = "--then";

/// An action after the first.
#[derive(Debug, clap::Parser)]
#[command(name = "allod propose ... --then", no_binary_name = false, disable_version_flag = true)]
struct Further {
    #[command(subcommand)]
    what: Propose,
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
    // The node knows how much time is left, by its clock and its ledger, not by this machine's clock.
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
