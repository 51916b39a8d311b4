//! What a decision or a request does, in words, with names instead of ids. The title is the author's; these words are
//! not.

mod request;
pub(crate) mod units;

pub(crate) use request::action;

use crate::plain::units::{show_duration, show_time};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, Timestamp},
    rules::{
        access::{Readers, SetDistribution},
        control::AcceptControl,
        dispute::ResolveDispute,
        emergency::{LiftSuspension, SuspendVersion},
        licence::{GrantLicence, LicenceTerms, RevokeLicence},
        model::{
            ClaimLineage, DeprecateVersion, Licence, ReleaseVersion, Retire, SetStewards, VersionRef, WithdrawVersion,
        },
        network::{
            AdmitMember, AdmitValidator, GrantQuota, ReinstateAccount, RemoveMember, RemoveValidator,
            ReweightValidator, SuspendAccount, Upgrade,
        },
        proposal::{ModelAction, NetworkAction, Proposal, Question},
        round::OpenRound,
        sale::ApproveTransfer,
        share::{BurnByDecision, Expropriate, MintShares},
    },
};

/// The names of accounts and models.
pub(crate) trait Names {
    /// Why a name could not be found.
    type Error;

    /// The name of an account.
    fn account(&self, id: AccountId) -> Result<String, Self::Error>;

    /// The name of a model.
    fn model(&self, id: ModelId) -> Result<String, Self::Error>;
}

/// Shows ids, where there is nobody to ask for names.
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

/// The positions of whole ids in a text: exactly 64 lowercase hexadecimal digits.
pub(crate) fn ids_in(text: &str) -> Vec<std::ops::Range<usize>> {
    const DIGITS: usize = 64;
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let (mut found, mut start) = (Vec::new(), None);
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        match (is_digit(&byte), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                if at.saturating_sub(from) == DIGITS {
                    found.push(from..at);
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// A text of the rules, which know only ids, with the ids of accounts and models replaced by names.
pub(crate) fn with_names<N: Names>(names: &N, text: &str) -> Result<String, N::Error> {
    let mut named = text.to_owned();
    for range in ids_in(text).into_iter().rev() {
        let Some(id) = text.get(range.clone()) else { continue };
        let account = id.parse().map(|id| names.account(id)).ok().transpose()?;
        let name = match account.filter(|name| name != id) {
            Some(name) => Some(name),
            None => id.parse().map(|id| names.model(id)).ok().transpose()?,
        };
        if let Some(name) = name {
            named.replace_range(range, &name);
        }
    }
    Ok(named)
}

/// What each of a proposal's actions does, one line per action.
pub(crate) fn actions<N: Names>(names: &N, proposal: &Proposal) -> Result<Vec<String>, N::Error> {
    actions_of(names, &proposal.question, Some(proposal.proposer))
}

/// As [`actions`], for a proposal that is not open yet. `asked_by` is its proposer, if known.
fn actions_of<N: Names>(names: &N, question: &Question, asked_by: Option<AccountId>) -> Result<Vec<String>, N::Error> {
    match question {
        Question::Model { model, actions } => {
            let words = Words { names, model: names.model(*model)?, asked_by };
            actions.iter().map(|action| words.action(action)).collect()
        }
        Question::Network { actions } => actions.iter().map(|action| of_network(names, action)).collect(),
    }
}

/// What there is to say of the actions of one model.
struct Words<'a, N> {
    names: &'a N,
    model: String,
    asked_by: Option<AccountId>,
}

/// The terms of a licence.
pub(crate) fn licence_on(terms: Option<&Licence>) -> String {
    match terms {
        None => " on no stated terms".into(),
        Some(Licence::Spdx(expression)) => format!(" on the terms of {expression}"),
        Some(Licence::Terms(hash)) => format!(" on the terms with hash {hash}"),
    }
}

/// Until when a granted licence lasts.
pub(crate) fn licence_until(expires: Option<Timestamp>) -> String {
    expires.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", show_time(end)))
}

/// The terms of a licence, and how long it lasts.
pub(crate) fn licence_terms(terms: &LicenceTerms) -> String {
    let on = licence_on(terms.terms.as_ref());
    match terms.for_ms {
        None => format!("{on}, for ever"),
        Some(ms) => format!("{on}, for {} from the grant", show_duration(ms)),
    }
}

/// Who may read a model's artifacts.
const fn readers(readers: Readers) -> &'static str {
    match readers {
        Readers::Public => "everybody",
        Readers::Licensees => "holders and licensees",
        Readers::Holders => "holders",
    }
}

impl<N: Names> Words<'_, N> {
    fn account(&self, id: AccountId) -> Result<String, N::Error> {
        self.names.account(id)
    }

    fn accounts(&self, ids: &[AccountId]) -> Result<String, N::Error> {
        let names: Vec<String> = ids.iter().map(|id| self.account(*id)).collect::<Result<_, _>>()?;
        Ok(names.join(", "))
    }

    fn version(&self, version: &VersionRef) -> Result<String, N::Error> {
        let name = self.names.model(version.model)?;
        Ok(format!("{name}@{}", version.label))
    }

    fn action(&self, action: &ModelAction) -> Result<String, N::Error> {
        let model = &self.model;
        Ok(match action {
            ModelAction::ReleaseVersion(ReleaseVersion { label }) => format!("release {model}@{label}"),
            ModelAction::DeprecateVersion(DeprecateVersion { label, reason }) => {
                format!("deprecate {model}@{label}: {reason:?}")
            }
            ModelAction::WithdrawVersion(WithdrawVersion { label, reason }) => {
                format!("withdraw {model}@{label}: {reason:?}")
            }
            ModelAction::SuspendVersion(SuspendVersion { label, reason }) => {
                format!("suspend {model}@{label}: {reason:?}")
            }
            ModelAction::LiftSuspension(LiftSuspension { label, reason }) => {
                format!("end the suspension of {model}@{label}: {reason:?}")
            }
            ModelAction::ClaimLineage(ClaimLineage { label, parents }) => {
                let parents: Vec<String> =
                    parents.iter().map(|parent| self.version(parent)).collect::<Result<_, _>>()?;
                format!("say that {model}@{label} was made from {}", parents.join(", "))
            }
            ModelAction::SetLicence(_) => format!("set the licence of {model}"),
            ModelAction::SetDistribution(SetDistribution { distribution }) => {
                format!("let {} read {model}, in {} copies", readers(distribution.readers), distribution.copies)
            }
            ModelAction::GrantLicence(GrantLicence { account, terms }) => {
                format!("give {} a licence to {model}{}", self.account(*account)?, licence_terms(terms))
            }
            ModelAction::RevokeLicence(RevokeLicence { account, reason }) => {
                format!("take the licence to {model} from {}: {reason:?}", self.account(*account)?)
            }
            ModelAction::MintShares(MintShares { to, units, reason, .. }) => {
                format!("mint {units} units of {model} for {}: {reason:?}", self.account(*to)?)
            }
            ModelAction::BurnShares(BurnByDecision { from, units, cause }) => {
                format!("burn {units} units of {model} that {} holds, if it agrees: {cause:?}", self.account(*from)?)
            }
            ModelAction::Expropriate(Expropriate { from, units, cause }) => {
                format!("take {units} units of {model} from {}: {cause:?}", self.account(*from)?)
            }
            ModelAction::ApproveTransfer(ApproveTransfer { to, units, .. }) => {
                let (from, to) =
                    (self.asked_by.map_or(Ok("the proposer".into()), |id| self.account(id))?, self.account(*to)?);
                format!("let {from} give {units} units of {model} to {to}")
            }
            ModelAction::AcceptControl(AcceptControl { account, .. }) => {
                format!("accept other keys of {}, which holds shares of {model}", self.account(*account)?)
            }
            ModelAction::OpenRound(OpenRound { plan }) => {
                format!("open a round of {} units for contributions to {model}", plan.budget)
            }
            ModelAction::ResolveDispute(ResolveDispute { dispute, upholds }) => {
                format!("{} dispute {dispute}", if *upholds { "uphold" } else { "lift" })
            }
            ModelAction::SetStewards(SetStewards { stewards }) => {
                format!("make {} the stewards of {model}", self.accounts(stewards)?)
            }
            ModelAction::SetPolicy(_) => format!("change the rules of {model}"),
            ModelAction::Retire(Retire { reason }) => format!("retire {model}: {reason:?}"),
            ModelAction::Statement => format!("state this in the name of all owners of {model}"),
        })
    }
}

/// What an action of the network does.
fn of_network<N: Names>(names: &N, action: &NetworkAction) -> Result<String, N::Error> {
    Ok(match action {
        NetworkAction::AdmitValidator(AdmitValidator { key, power, operator }) => {
            format!("admit a validator of {} with power {power}, key {key}", names.account(*operator)?)
        }
        NetworkAction::ReweightValidator(ReweightValidator { key, power }) => {
            format!("give the validator {key} power {power}")
        }
        NetworkAction::RemoveValidator(RemoveValidator { key }) => format!("remove the validator {key}"),
        NetworkAction::AdmitMember(AdmitMember { account }) => format!("make {} a member", names.account(*account)?),
        NetworkAction::RemoveMember(RemoveMember { account, reason }) => {
            format!("remove {} from the members: {reason:?}", names.account(*account)?)
        }
        NetworkAction::GrantQuota(GrantQuota { account, quota }) => {
            format!("let {} admit {quota} more accounts", names.account(*account)?)
        }
        NetworkAction::SuspendAccount(SuspendAccount { account, reason }) => {
            format!("suspend {}: {reason:?}", names.account(*account)?)
        }
        NetworkAction::ReinstateAccount(ReinstateAccount { account }) => {
            format!("reinstate {}", names.account(*account)?)
        }
        NetworkAction::SetParameters(_) => "replace the parameters of the network".into(),
        NetworkAction::Upgrade(Upgrade { height, protocol, release }) => {
            format!("move to version {protocol} of the protocol at block {height}, release {release:?}")
        }
        NetworkAction::Statement => "state this in the name of all members".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Names for Known {
        type Error = std::convert::Infallible;

        fn account(&self, id: AccountId) -> Result<String, Self::Error> {
            Ok(if id == AccountId::from_bytes([1; 32]) { "bay".into() } else { id.to_string() })
        }

        fn model(&self, id: ModelId) -> Result<String, Self::Error> {
            Ok(if id == ModelId::from_bytes([2; 32]) { "bay/digits".into() } else { id.to_string() })
        }
    }

    #[test]
    fn ids_of_accounts_and_models_give_way_to_their_names() {
        let (account, model, other) = ("01".repeat(32), "02".repeat(32), "03".repeat(32));
        let Ok(text) =
            with_names(&Known, &format!("account {account} holds of {model}, by proposal {other}; {account}"));
        assert_eq!(text, format!("account bay holds of bay/digits, by proposal {other}; bay"));
        let Ok(same) = with_names(&Known, &format!("ü {account}0 ff"));
        assert_eq!(same, format!("ü {account}0 ff"), "not a whole id");
    }
}
