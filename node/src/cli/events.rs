//! What happened on the ledger, in one line per event, with names instead of ids.

use super::{
    attest::finding_text,
    client::Client,
    output::short,
    recovery::show_clock,
    stop::end_text,
    units::{show_count, show_time},
    words::{incident_status, share_reason, show_answer, show_distribution, show_licence, status_name},
};
use crate::{
    api::views::{AccountView, ModelView, counterparty},
    plain,
};
use allod_protocol::{
    ground::ids::{AccountId, ModelId},
    rules::{emergency::SuspendedBy, event::Event, intake::UnitsOf, office::Office, proposal::Scope, share::ShareFlow},
};
use std::collections::HashMap;

/// The names for ids, each requested once.
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

    /// An account's handle, or the start of its id if the node does not know it.
    pub(super) async fn account(&mut self, id: AccountId) -> String {
        if let Some(name) = self.accounts.get(&id) {
            return name.clone();
        }
        let found = self.client.get::<AccountView>(&format!("/v1/accounts/{id}")).await;
        let name = found.map_or_else(|_| short(id), |view| view.account.handle.to_string());
        self.accounts.insert(id, name.clone());
        name
    }

    /// A model's name, or the start of its id if the node does not know it.
    pub(super) async fn model(&mut self, id: ModelId) -> String {
        if let Some(name) = self.models.get(&id) {
            return name.clone();
        }
        let found = self.client.get::<ModelView>(&format!("/v1/models/by-id/{id}")).await;
        let name = found.map_or_else(|_| short(id), |view| view.model.name.to_string());
        self.models.insert(id, name.clone());
        name
    }

    /// A text of the rules, with the ids of accounts and models replaced by names; other ids stay as they are.
    pub(super) async fn text(&mut self, text: &str) -> String {
        let mut named = text.to_owned();
        for range in plain::ids_in(text).into_iter().rev() {
            let Some(id) = text.get(range.clone()) else { continue };
            if let Some(name) = self.known(id).await {
                named.replace_range(range, &name);
            }
        }
        named
    }

    /// The name of the account or model with this id.
    async fn known(&mut self, id: &str) -> Option<String> {
        let (account, model) = (id.parse::<AccountId>().ok()?, id.parse::<ModelId>().ok()?);
        if let Some(name) = self.accounts.get(&account).or_else(|| self.models.get(&model)) {
            return Some(name.clone());
        }
        if let Ok(view) = self.client.get::<AccountView>(&format!("/v1/accounts/{id}")).await {
            let name = view.account.handle.to_string();
            self.accounts.insert(account, name.clone());
            return Some(name);
        }
        let view = self.client.get::<ModelView>(&format!("/v1/models/by-id/{id}")).await.ok()?;
        let name = view.model.name.to_string();
        self.models.insert(model, name.clone());
        Some(name)
    }

    async fn scope(&mut self, scope: Scope) -> String {
        match scope {
            Scope::Network => "the members".into(),
            Scope::Model(id) => self.model(id).await,
        }
    }

    /// An event in one line.
    #[expect(clippy::too_many_lines, reason = "an arm for each event, so that a new one is told")]
    pub(super) async fn tell(&mut self, event: &Event) -> String {
        match event {
            Event::AccountCreated { handle, sponsor: Some(sponsor), .. } => {
                format!("account {handle} admitted by {}", self.account(*sponsor).await)
            }
            Event::AccountCreated { handle, .. } => format!("account {handle} admitted"),
            Event::KeysRotated { account } => format!("keys of {} replaced", self.account(*account).await),
            Event::ControlChanged { account } => {
                format!("none of the keys that {} had can act for it any more", self.account(*account).await)
            }
            Event::ControlAccepted { model, account, .. } => {
                let (model, account) = (self.model(*model).await, self.account(*account).await);
                format!("the owners of {model} accept other keys of {account}")
            }
            Event::MemberAdmitted { account } => format!("{} is a member of the network", self.account(*account).await),
            Event::MemberRemoved { account, reason } => {
                format!("{} is no longer a member of the network: {reason}", self.account(*account).await)
            }
            Event::QuotaGranted { account, quota } => {
                format!("{} may admit {quota} more accounts", self.account(*account).await)
            }
            Event::AccountSuspended { account, reason, proposal } => {
                let account = self.account(*account).await;
                format!("account {account} SUSPENDED: {reason} (proposal {})", short(proposal))
            }
            Event::AccountReinstated { account } => format!("account {} reinstated", self.account(*account).await),
            Event::RecoverySet { account } => format!("{} chose who can recover it", self.account(*account).await),
            Event::RecoverySought { account, guardian, ready } => {
                let (account, guardian) = (self.account(*account).await, self.account(*guardian).await);
                let ready = ready.map(|ready| format!("; it gets them {}", show_clock(ready))).unwrap_or_default();
                format!("{guardian} says which keys {account} should get{ready}")
            }
            Event::PeerBound { peer, account } => {
                format!("peer {} reads for {}", short(peer), self.account(*account).await)
            }
            Event::PeerReleased { peer, account } => {
                format!("peer {} no longer reads for {}", short(peer), self.account(*account).await)
            }
            Event::RecoveryContested { account, ready } => {
                let (account, ready) = (self.account(*account).await, show_clock(*ready));
                format!(
                    "keys of {account} OBJECT to its recovery: its guardians say the same again before {ready}, or it ends"
                )
            }
            Event::RecoveryLapsed { account } => {
                format!("recovery of {} ended: its guardians did not say the same again", self.account(*account).await)
            }
            Event::GuardiansAsked { account, ready } => {
                let account = self.account(*account).await;
                let ready = ready.map_or_else(String::new, |ready| format!(" {}", show_clock(ready)));
                format!(
                    "some keys of {account} ask for OTHER GUARDIANS, or none; they get them{ready} unless it is recovered"
                )
            }
            Event::KeysSettled { account } => {
                format!("the present keys of {} have the last word on it", self.account(*account).await)
            }
            Event::RecoveryStopped { account } => format!("recovery of {} stopped", self.account(*account).await),
            Event::AccountRecovered { account } => {
                format!("{} has the keys that its guardians chose", self.account(*account).await)
            }
            Event::ApprovalRequested { account, approval, expires } => {
                let (account, until) = (self.account(*account).await, show_time(*expires));
                format!("{account}: request {} waits for signatures until {until}", short(approval))
            }
            Event::ApprovalSigned { account, approval, .. } => {
                format!("{}: request {} signed", self.account(*account).await, short(approval))
            }
            Event::ApprovalOpposed { account, approval, .. } => {
                format!("{}: a key is against request {}", self.account(*account).await, short(approval))
            }
            Event::ApprovalClosed { account, approval, carried_out } => {
                let outcome = if *carried_out { "carried out" } else { "dropped" };
                format!("{}: request {} {outcome}", self.account(*account).await, short(approval))
            }
            Event::OfficeOffered { office, account } => {
                format!("{} is asked to be {}", self.account(*account).await, self.office(office).await)
            }
            Event::OfficeAccepted { office, account, ahead } => {
                let when = if *ahead { ", once it is named" } else { "" };
                format!("{} accepts to be {}{when}", self.account(*account).await, self.office(office).await)
            }
            Event::OfficeResigned { office, account } => {
                format!("{} will not be {}", self.account(*account).await, self.office(office).await)
            }
            Event::OfficeEnded { office, account } => {
                format!("{} is no longer named {}", self.account(*account).await, self.office(office).await)
            }
            Event::IntakeSet { account, of, takes } => {
                let of = match of {
                    UnitsOf::Any => "any model".into(),
                    UnitsOf::Model(model) => self.model(*model).await,
                };
                let says = if *takes == Some(false) { "takes none unasked" } else { "takes whatever comes" };
                format!("units of {of}: {} {says}", self.account(*account).await)
            }
            Event::TransferAnswered { proposal, buyer, accepted } => {
                let says = if *accepted { "accepts" } else { "no longer accepts" };
                format!("{} {says} the units of proposal {}", self.account(*buyer).await, short(proposal))
            }
            Event::VersionPublished { model, label, publisher, .. } => {
                format!("version {}@{label} published by {}", self.model(*model).await, self.account(*publisher).await)
            }
            Event::VersionReleased { model, label, .. } => {
                format!("version {}@{label} RELEASED", self.model(*model).await)
            }
            Event::VersionDeprecated { model, label, reason, .. } => {
                format!("version {}@{label} deprecated: {reason}", self.model(*model).await)
            }
            Event::VersionWithdrawn { model, label, reason, .. } => {
                format!("version {}@{label} WITHDRAWN: {reason}", self.model(*model).await)
            }
            Event::VersionSuspended { model, label, by, reason, .. } => {
                let by = match by {
                    SuspendedBy::Stop { account, until, .. } => {
                        format!("by {} until {}", self.account(*account).await, show_time(*until))
                    }
                    SuspendedBy::Decision(_) => "by its owners".into(),
                };
                format!("version {}@{label} SUSPENDED {by}: {reason}", self.model(*model).await)
            }
            Event::SuspensionEnded { model, label, end, .. } => {
                format!("suspension of version {}@{label} {}", self.model(*model).await, end_text(*end))
            }
            Event::LineageClaimed { model, label, parents, .. } => {
                let count = parents.len();
                format!("version {}@{label} was made from {count} more versions", self.model(*model).await)
            }
            Event::Attested { artifact, statement, account, finding } => {
                let verdict = finding_text(*finding);
                let (artifact, account) = (short(artifact), self.account(*account).await);
                format!("artifact {artifact}: {statement} {verdict}, says {account}")
            }
            Event::ModelCreated { name, founder, .. } => {
                format!("model {name} founded by {}", self.account(*founder).await)
            }
            Event::PolicyChanged { model, .. } => format!("rules of {} changed", self.model(*model).await),
            Event::LicenceSet { model, licence, .. } => {
                format!("licence of {}: {}", self.model(*model).await, show_licence(licence))
            }
            Event::DistributionSet { model, distribution, .. } => {
                format!("distribution of {}: {}", self.model(*model).await, show_distribution(distribution))
            }
            Event::StewardsSet { model, stewards, .. } => {
                let mut names = Vec::new();
                for steward in stewards {
                    names.push(self.account(*steward).await);
                }
                format!("stewards of {}: {}", self.model(*model).await, names.join(", "))
            }
            Event::ModelRetired { model, reason, .. } => {
                format!("model {} RETIRED: {reason}", self.model(*model).await)
            }
            Event::Delegated { model, from, to: Some(to), .. } => {
                let (from, to) = (self.account(*from).await, self.account(*to).await);
                format!("{to} answers the questions of {} for {from}", self.model(*model).await)
            }
            Event::Delegated { model, from, .. } => {
                let from = self.account(*from).await;
                format!("{from} answers the questions of {} for itself again", self.model(*model).await)
            }
            Event::ArtifactCommitted { model, account, .. } => {
                let (model, account) = (self.model(*model).await, self.account(*account).await);
                format!("{account} committed to an artifact of {model}")
            }
            Event::ArtifactTakenOver { artifact, model, from } => {
                let (model, from) = (self.model(*model).await, self.model(*from).await);
                format!("{model} knew {artifact} before {from} did, and governs it now")
            }
            Event::ContributionRecorded { model, giver, .. } => {
                format!("contribution to {} recorded by {}", self.model(*model).await, self.account(*giver).await)
            }
            Event::ContributionRevealed { model, amount, .. } => {
                format!("a sealed contribution to {} is of {}", self.model(*model).await, show_count(*amount))
            }
            Event::ContributionAccepted { model, steward, lacking, .. } => {
                let (model, steward) = (self.model(*model).await, self.account(*steward).await);
                let lacks = if *lacking == 0 { "it counts".into() } else { format!("{lacking} more have to") };
                format!("contribution to {model} countersigned by {steward}: {lacks}")
            }
            Event::ContributionDeclined { model, steward, reason, .. } => {
                let (model, steward) = (self.model(*model).await, self.account(*steward).await);
                format!("contribution to {model} declined by {steward}: {reason}")
            }
            Event::LicenceGranted { model, account, expires, accepted, .. } => {
                let until = expires.map(|time| format!(" until {}", show_time(time))).unwrap_or_default();
                let (account, model) = (self.account(*account).await, self.model(*model).await);
                let has = if *accepted { "has" } else { "is offered" };
                format!("{account} {has} a licence to {model}{until}")
            }
            Event::LicenceAsked { model, account, asks } => {
                let (account, model) = (self.account(*account).await, self.model(*model).await);
                let no = if *asks { "" } else { " no longer" };
                format!("{account} asks{no} for a licence to {model}")
            }
            Event::LicenceAnswered { model, account, accept, .. } => {
                let (account, model) = (self.account(*account).await, self.model(*model).await);
                let what = if *accept { "accepted" } else { "declined or gave up" };
                format!("{account} {what} a licence to {model}")
            }
            Event::LicenceRequestLapsed { model, account } => {
                let (account, model) = (self.account(*account).await, self.model(*model).await);
                format!("{account} asked for a licence to {model}, and nobody granted it in time")
            }
            Event::LicenceRevoked { model, account, reason, .. } => {
                let (account, model) = (self.account(*account).await, self.model(*model).await);
                format!("{account} has lost its licence to {model}: {reason}")
            }
            Event::RoundOpened { model, round, closes, .. } => {
                format!("round {round} of {} opened, closes {}", self.model(*model).await, show_time(*closes))
            }
            Event::RecordingEnded { model, round, closes } => {
                let model = self.model(*model).await;
                format!(
                    "round {round} of {model} no longer records, because the model is retired; closes {}",
                    show_time(*closes)
                )
            }
            Event::AmountsWithheld { model, round, account, seals, until } => {
                let (model, account) = (self.model(*model).await, self.account(*account).await);
                format!(
                    "round {round} of {model}: {account} WITHHELD {seals} sealed amounts; gives again in round {until}"
                )
            }
            Event::RoundWaits { model, round, minted, held } => {
                let (model, minted, held) =
                    (self.model(*model).await, show_count(minted.get()), show_count(held.get()));
                format!("round {round} of {model} minted {minted} units and holds {held} until its disputes are over")
            }
            Event::RoundClosed { model, round, minted, contributors } => {
                let (model, minted) = (self.model(*model).await, show_count(minted.get()));
                format!("round {round} of {model} closed: {minted} units minted for {contributors} givers")
            }
            Event::DisputeOpened { model, dispute, challenger, respondent } => {
                let (challenger, respondent) = (self.account(*challenger).await, self.account(*respondent).await);
                let model = self.model(*model).await;
                format!("dispute {} in {model}: {challenger} challenges {respondent}", short(dispute))
            }
            Event::DisputeAnswered { model, dispute } => {
                format!("dispute {} in {} answered", short(dispute), self.model(*model).await)
            }
            Event::DisputeRuled { dispute, arbiter, upholds, .. } => {
                let ruling = if *upholds { "upholds it" } else { "lifts it" };
                format!("dispute {}: arbiter {} {ruling}", short(dispute), self.account(*arbiter).await)
            }
            Event::DisputeAppealed { model, dispute, party, until } => {
                let model = self.model(*model).await;
                let by = match party {
                    Some(party) => format!("{} takes the ruling", self.account(*party).await),
                    None => "arbiters alone may not take units: their ruling comes".into(),
                };
                format!("dispute {} in {model}: {by} before the owners, until {}", short(dispute), show_time(*until))
            }
            Event::DisputeEnded { model, dispute, status } => {
                format!("dispute {} in {} {}", short(dispute), self.model(*model).await, status.name())
            }
            Event::IncidentReported { model, label, incident, reporter } => {
                let (model, reporter) = (self.model(*model).await, self.account(*reporter).await);
                format!("incident {} with {model}@{label} reported by {reporter}", short(incident))
            }
            Event::IncidentAnswered { incident, account, .. } => {
                format!("incident {}: {} comments on it", short(incident), self.account(*account).await)
            }
            Event::IncidentUpdated { model, incident, status } => {
                format!("incident {} with {}: {}", short(incident), self.model(*model).await, incident_status(*status))
            }
            Event::CalledOn { scope, account, by, sleeps_at } => {
                let (account, by) = (self.account(*account).await, self.account(*by).await);
                let (scope, until) = (self.scope(*scope).await, show_time(*sleeps_at));
                format!("{by} calls on {account}: without a word until {until} it leaves the count of {scope}")
            }
            Event::Spoke { scope, account, was_dormant } => {
                let (account, scope) = (self.account(*account).await, self.scope(*scope).await);
                let again = if *was_dormant { " again" } else { "" };
                format!("{account} counts{again} in {scope}")
            }
            Event::FellDormant { scope, account } => {
                let (account, scope) = (self.account(*account).await, self.scope(*scope).await);
                format!("{account} is dormant: it leaves the count of {scope} until it speaks")
            }
            Event::SharesChanged { model, account, flow, units, balance, reason } => {
                let sign = if *flow == ShareFlow::In { '+' } else { '-' };
                let counterparty = match counterparty(reason) {
                    Some(other) => Some(self.account(other).await),
                    None => None,
                };
                let why = share_reason(reason, *flow, counterparty.as_deref());
                let (units, balance) = (show_count(units.get()), show_count(balance.get()));
                format!(
                    "shares of {}: {} {sign}{units} = {balance} ({why})",
                    self.model(*model).await,
                    self.account(*account).await
                )
            }
            Event::IssueOpened { model, number, to, units, until } => {
                let (model, to) = (self.model(*model).await, self.account(*to).await);
                let (units, until) = (show_count(units.get()), show_time(*until));
                format!(
                    "{units} units of {model} minted for {to}: holders may take up their part until {until} (issue {number})"
                )
            }
            Event::IssueClosed { model, number, taken, minted } => {
                let (taken, minted) = (show_count(taken.get()), show_count(minted.get()));
                format!(
                    "issue {number} of {} closed: {taken} units taken up, {minted} minted",
                    self.model(*model).await
                )
            }
            Event::ConsentGiven { proposal, account, agrees } => {
                let word = if *agrees { "agrees" } else { "no longer agrees" };
                format!("proposal {}: {} {word} to what it takes", short(proposal), self.account(*account).await)
            }
            Event::ProposalOpened { proposal, scope, proposer, closes } => {
                let (scope, proposer) = (self.scope(*scope).await, self.account(*proposer).await);
                format!("proposal {} to {scope} opened by {proposer}, closes {}", short(proposal), show_time(*closes))
            }
            Event::BallotCast { proposal, account, parts, weight } => {
                let (account, weight) = (self.account(*account).await, show_count(*weight));
                format!("proposal {}: {account} answers {} with weight {weight}", short(proposal), show_answer(parts))
            }
            Event::CloseMoved { proposal, closes } => {
                format!("proposal {}: ballots now stop {}", short(proposal), show_time(*closes))
            }
            Event::ProposalQueued { proposal, scope, ready, .. } => {
                let scope = self.scope(*scope).await;
                format!(
                    "proposal {} to {scope} passed; it is executed {} at the soonest",
                    short(proposal),
                    show_time(*ready)
                )
            }
            Event::ProposalClosed { proposal, scope, status } => {
                format!("proposal {} to {} {}", short(proposal), self.scope(*scope).await, status_name(status))
            }
            Event::StatementMade { proposal, scope } => {
                format!("proposal {}: a statement in the name of {}", short(proposal), self.scope(*scope).await)
            }
            Event::ValidatorAdmitted { key, power, operator } => {
                format!("validator {} of {} admitted with power {power}", short(key), self.account(*operator).await)
            }
            Event::ValidatorRemoved { key } => format!("validator {} removed", short(key)),
            Event::ValidatorReweighted { key, power } => format!("validator {} now has power {power}", short(key)),
            Event::ParametersSet => "the network's parameters changed".into(),
            Event::UpgradeScheduled { height, protocol, release } => {
                format!("version {protocol} of the protocol ({release}) from block {height} on")
            }
        }
    }

    /// An office in words.
    async fn office(&mut self, office: &Office) -> String {
        match office {
            Office::Steward(model) => format!("steward of {}", self.model(*model).await),
            Office::Arbiter(model) => format!("arbiter of {}", self.model(*model).await),
            Office::Guardian(model) => format!("guardian of {}", self.model(*model).await),
            Office::Attester { model, role } => format!("{role} of {}", self.model(*model).await),
            Office::KeyGuardian(account) => format!("guardian of {}", self.account(*account).await),
            Office::Responsible(incident) => format!("responsible for incident {}", short(incident)),
            Office::Operator(key) => format!("operator of validator {}", short(key)),
        }
    }
}
