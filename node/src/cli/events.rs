//! What happened on the ledger, told in one line each, with names in place of ids.

use super::{
    client::Client,
    output::short,
    proposals::status_name,
    units::{show_count, show_time},
    vote::choice_name,
};
use crate::api::views::{AccountView, ModelView};
use allod_protocol::{
    event::Event,
    ids::{AccountId, ModelId},
    proposal::Scope,
    share::{ShareFlow, ShareReason},
};
use std::collections::HashMap;

/// The names behind ids, asked for once.
#[derive(Debug)]
pub(super) struct Names {
    client: Client,
    accounts: HashMap<AccountId, String>,
    models: HashMap<ModelId, String>,
}

impl Names {
    pub(super) fn new(client: Client) -> Self {
        Self { client, accounts: HashMap::new(), models: HashMap::new() }
    }

    /// An account's handle; the start of its id if the node does not say.
    pub(super) async fn account(&mut self, id: AccountId) -> String {
        if let Some(name) = self.accounts.get(&id) {
            return name.clone();
        }
        let found = self.client.get::<AccountView>(&format!("/v1/accounts/{id}")).await;
        let name = found.map_or_else(|_| short(id), |view| view.account.handle.to_string());
        self.accounts.insert(id, name.clone());
        name
    }

    /// A model's name; the start of its id if the node does not say.
    pub(super) async fn model(&mut self, id: ModelId) -> String {
        if let Some(name) = self.models.get(&id) {
            return name.clone();
        }
        let found = self.client.get::<ModelView>(&format!("/v1/models/by-id/{id}")).await;
        let name = found.map_or_else(|_| short(id), |view| view.model.name.to_string());
        self.models.insert(id, name.clone());
        name
    }

    async fn scope(&mut self, scope: Scope) -> String {
        match scope {
            Scope::Network => "the network".into(),
            Scope::Model(id) => self.model(id).await,
        }
    }

    /// An event in one line.
    pub(super) async fn tell(&mut self, event: &Event) -> String {
        match event {
            Event::AccountCreated { handle, sponsor, .. } => match sponsor {
                Some(sponsor) => format!("account {handle} admitted by {}", self.account(*sponsor).await),
                None => format!("account {handle} admitted"),
            },
            Event::KeysRotated { account } => format!("keys of {} replaced", self.account(*account).await),
            Event::ModelCreated { name, founder, .. } => {
                format!("model {name} founded by {}", self.account(*founder).await)
            }
            Event::VersionPublished { model, label, publisher, .. } => {
                format!("version {}@{label} published by {}", self.model(*model).await, self.account(*publisher).await)
            }
            Event::VersionReleased { model, label, .. } => {
                format!("version {}@{label} RELEASED", self.model(*model).await)
            }
            Event::SharesChanged { .. } => self.tell_shares(event).await,
            Event::ContributionRecorded { model, giver, .. } => {
                format!("contribution to {} recorded by {}", self.model(*model).await, self.account(*giver).await)
            }
            Event::ContributionAccepted { model, steward, .. } => {
                format!(
                    "contribution to {} countersigned by {}",
                    self.model(*model).await,
                    self.account(*steward).await
                )
            }
            Event::ProposalOpened { .. } | Event::BallotCast { .. } | Event::ProposalClosed { .. } => {
                self.tell_proposal(event).await
            }
            Event::PolicyChanged { model, .. } => format!("rules of {} changed", self.model(*model).await),
            Event::ValidatorAdmitted { key, power, operator } => {
                format!("validator {} of {} admitted with power {power}", short(key), self.account(*operator).await)
            }
            Event::ValidatorRemoved { key } => format!("validator {} removed", short(key)),
        }
    }

    async fn tell_shares(&mut self, event: &Event) -> String {
        let Event::SharesChanged { model, account, flow, units, balance, reason } = event else { return String::new() };
        let sign = if *flow == ShareFlow::In { '+' } else { '-' };
        let why = match reason {
            ShareReason::Founding => "founding".to_owned(),
            ShareReason::Minted { reason, .. } => format!("minted: {reason}"),
            ShareReason::Transferred { counterparty, reason } => {
                let side = if *flow == ShareFlow::In { "from" } else { "to" };
                format!("{side} {}: {reason}", self.account(*counterparty).await)
            }
        };
        let (units, balance) = (show_count(units.get()), show_count(balance.get()));
        format!(
            "shares of {}: {} {sign}{units} = {balance} ({why})",
            self.model(*model).await,
            self.account(*account).await
        )
    }

    async fn tell_proposal(&mut self, event: &Event) -> String {
        match event {
            Event::ProposalOpened { proposal, scope, proposer, closes } => {
                let (scope, proposer) = (self.scope(*scope).await, self.account(*proposer).await);
                format!("proposal {} to {scope} opened by {proposer}, closes {}", short(proposal), show_time(*closes))
            }
            Event::BallotCast { proposal, account, choice, weight } => {
                let (account, weight) = (self.account(*account).await, show_count(*weight));
                format!("proposal {}: {account} answers {} with weight {weight}", short(proposal), choice_name(*choice))
            }
            Event::ProposalClosed { proposal, scope, status } => {
                format!("proposal {} to {} {}", short(proposal), self.scope(*scope).await, status_name(status))
            }
            _ => String::new(),
        }
    }
}
