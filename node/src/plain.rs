//! What a decision does, in words, with names in place of ids. A title is its author's; these words are not.

use allod_protocol::{
    access::Readers,
    ids::{AccountId, ModelId},
    model::VersionRef,
    proposal::{Proposal, ProposalAction, Scope},
};

/// What accounts and models are called.
pub(crate) trait Names {
    /// Why a name could not be found.
    type Error;

    /// The name of an account.
    fn account(&self, id: AccountId) -> Result<String, Self::Error>;

    /// The name of a model.
    fn model(&self, id: ModelId) -> Result<String, Self::Error>;
}

/// Where nobody can be asked, ids stand for names.
pub(crate) struct Ids;

impl Names for Ids {
    type Error = std::convert::Infallible;

    fn account(&self, id: AccountId) -> Result<String, Self::Error> {
        Ok(id.to_string())
    }

    fn model(&self, id: ModelId) -> Result<String, Self::Error> {
        Ok(id.to_string())
    }
}

/// What each of a proposal's actions does, a line each.
pub(crate) fn actions<N: Names>(names: &N, proposal: &Proposal) -> Result<Vec<String>, N::Error> {
    let words = Words { names, proposal };
    proposal.actions.iter().map(|action| words.action(action)).collect()
}

struct Words<'a, N> {
    names: &'a N,
    proposal: &'a Proposal,
}

impl<N: Names> Words<'_, N> {
    fn account(&self, id: AccountId) -> Result<String, N::Error> {
        self.names.account(id)
    }

    fn accounts(&self, ids: &[AccountId]) -> Result<String, N::Error> {
        let names: Vec<String> = ids.iter().map(|id| self.account(*id)).collect::<Result<_, _>>()?;
        Ok(names.join(", "))
    }

    /// The model that is decided on.
    fn model(&self) -> Result<String, N::Error> {
        let Scope::Model(model) = self.proposal.scope else { return Ok("the network".into()) };
        self.names.model(model)
    }

    fn version(&self, version: &VersionRef) -> Result<String, N::Error> {
        let name = self.names.model(version.model)?;
        Ok(format!("{name}@{}", version.label))
    }

    fn action(&self, action: &ProposalAction) -> Result<String, N::Error> {
        match self.proposal.scope {
            Scope::Model(_) => self.of_model(action),
            Scope::Network => self.of_network(action),
        }
    }

    fn of_model(&self, action: &ProposalAction) -> Result<String, N::Error> {
        let model = self.model()?;
        Ok(match action {
            ProposalAction::ReleaseVersion { label } => format!("release {model}@{label}"),
            ProposalAction::DeprecateVersion { label, reason } => format!("deprecate {model}@{label}: {reason:?}"),
            ProposalAction::WithdrawVersion { label, reason } => format!("withdraw {model}@{label}: {reason:?}"),
            ProposalAction::ClaimLineage { label, parents } => {
                let parents: Vec<String> =
                    parents.iter().map(|parent| self.version(parent)).collect::<Result<_, _>>()?;
                format!("say that {model}@{label} was made from {}", parents.join(", "))
            }
            ProposalAction::SetLicence { .. } => format!("set the licence of {model}"),
            ProposalAction::SetDistribution { distribution } => {
                let readers = match distribution.readers {
                    Readers::Public => "everybody",
                    Readers::Licensees => "holders and licensees",
                    Readers::Holders => "holders",
                };
                format!("let {readers} read {model}, in {} copies", distribution.copies)
            }
            ProposalAction::GrantLicence { account, .. } => {
                format!("give {} a licence to {model}", self.account(*account)?)
            }
            ProposalAction::RevokeLicence { account, reason } => {
                format!("take the licence to {model} from {}: {reason:?}", self.account(*account)?)
            }
            ProposalAction::MintShares { to, units, reason, .. } => {
                format!("mint {units} units of {model} for {}: {reason:?}", self.account(*to)?)
            }
            ProposalAction::BurnShares { from, units, cause } => {
                format!("burn {units} units of {model} that {} holds, if it agrees: {cause:?}", self.account(*from)?)
            }
            ProposalAction::Expropriate { from, units, cause } => {
                format!("take {units} units of {model} from {}: {cause:?}", self.account(*from)?)
            }
            ProposalAction::ApproveTransfer { to, units, .. } => {
                let (from, to) = (self.account(self.proposal.proposer)?, self.account(*to)?);
                format!("let {from} give {units} units of {model} to {to}")
            }
            ProposalAction::AcceptControl { account, .. } => {
                format!("accept other keys of {}, which holds shares of {model}", self.account(*account)?)
            }
            ProposalAction::OpenRound { plan } => {
                format!("open a round of {} units for contributions to {model}", plan.budget)
            }
            ProposalAction::ResolveDispute { dispute, upholds } => {
                format!("{} dispute {dispute}", if *upholds { "uphold" } else { "lift" })
            }
            ProposalAction::SetStewards { stewards } => {
                format!("make {} the stewards of {model}", self.accounts(stewards)?)
            }
            ProposalAction::SetPolicy { .. } => format!("change the rules of {model}"),
            ProposalAction::Retire { reason } => format!("retire {model}: {reason:?}"),
            ProposalAction::Statement => format!("state this in the name of all owners of {model}"),
            other => other.name().replace('_', " "),
        })
    }

    fn of_network(&self, action: &ProposalAction) -> Result<String, N::Error> {
        Ok(match action {
            ProposalAction::AdmitValidator { key, power, operator } => {
                format!("admit a validator of {} with power {power}, key {key}", self.account(*operator)?)
            }
            ProposalAction::ReweightValidator { key, power } => format!("give the validator {key} power {power}"),
            ProposalAction::RemoveValidator { key } => format!("remove the validator {key}"),
            ProposalAction::AdmitMember { account } => format!("make {} a member", self.account(*account)?),
            ProposalAction::RemoveMember { account, reason } => {
                format!("remove {} from the members: {reason:?}", self.account(*account)?)
            }
            ProposalAction::GrantQuota { account, quota } => {
                format!("let {} admit {quota} more accounts", self.account(*account)?)
            }
            ProposalAction::SuspendAccount { account, reason } => {
                format!("suspend {}: {reason:?}", self.account(*account)?)
            }
            ProposalAction::ReinstateAccount { account } => format!("reinstate {}", self.account(*account)?),
            ProposalAction::SetParameters { .. } => "replace the parameters of the network".into(),
            ProposalAction::Upgrade { height, protocol, release } => {
                format!("move to version {protocol} of the protocol at block {height}, release {release:?}")
            }
            ProposalAction::Statement => "state this in the name of all members".into(),
            other => other.name().replace('_', " "),
        })
    }
}
