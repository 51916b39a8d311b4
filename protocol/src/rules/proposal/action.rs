//! What can be decided: typed actions, which the ledger itself carries out when the decision stands.

use super::{Proposal, Scope};
use crate::{
    ground::{
        ids::{AccountId, DisputeId, Height, ModelId, Power, ProposalId, PublicKey, Units, VersionLabel},
        invalid::{Invalid, check_count, check_line},
        limits,
        state::Overlay,
    },
    rules::{
        access::Distribution,
        account::KeyPolicy,
        context::Context,
        control, dispute, emergency,
        event::Event,
        intake,
        licence::{self, LicenceTerms},
        model::{self, Licence, Model, VersionRef},
        network, office,
        parameters::Parameters,
        policy::{Class, ModelPolicy, TransferRule},
        rejection::Rejection,
        round::{self, RoundPlan},
        share::{self, ShareFlow, ShareReason, Vesting},
        validator::Validator,
    },
};
use serde::{Deserialize, Serialize};

/// What the ledger does when the decision stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalAction {
    /// Release a published version of the model.
    ReleaseVersion {
        /// Which.
        label: VersionLabel,
    },
    /// Warn everybody off a released version.
    DeprecateVersion {
        /// Which.
        label: VersionLabel,
        /// Why.
        reason: String,
    },
    /// Take a version back: it is not to be used or served any more.
    WithdrawVersion {
        /// Which.
        label: VersionLabel,
        /// Why.
        reason: String,
    },
    /// Add to what a version was made from.
    ClaimLineage {
        /// Which version.
        label: VersionLabel,
        /// What it was made from, besides what it names already.
        parents: Vec<VersionRef>,
    },
    /// Set the terms under which the model is used.
    SetLicence {
        /// The terms.
        licence: Licence,
    },
    /// Mint shares of the model.
    MintShares {
        /// For whom.
        to: AccountId,
        /// How many units; at least 1.
        units: Units,
        /// Why, for the history.
        reason: String,
        /// When they become the holder's to give; none for at once.
        vesting: Option<Vesting>,
    },
    /// Burn shares of a holder, with cause.
    BurnShares {
        /// Whose.
        from: AccountId,
        /// How many units; at least 1.
        units: Units,
        /// The cause, for the history.
        cause: String,
    },
    /// Let the proposer give shares to another account, where transfers need approval. The ledger moves shares, not
    /// money: price and reason are notes.
    ApproveTransfer {
        /// To whom.
        to: AccountId,
        /// How many units; at least 1.
        units: Units,
        /// What is paid for them, in the parties' words.
        price: String,
        /// Why, for the history.
        reason: String,
    },
    /// Replace the stewards.
    SetStewards {
        /// Who they are from then on; at least one.
        stewards: Vec<AccountId>,
    },
    /// Change how the model's owners decide.
    SetPolicy {
        /// The rules from then on; open proposals keep theirs.
        policy: Box<ModelPolicy>,
    },
    /// End the model: nothing is published, released or minted any more. Its register and history stay.
    Retire {
        /// Why.
        reason: String,
    },
    /// Open a round, which mints by its plan when it closes.
    OpenRound {
        /// The plan.
        plan: RoundPlan,
    },
    /// End a dispute, where the owners do.
    ResolveDispute {
        /// Which.
        dispute: DisputeId,
        /// Whether the challenge is right.
        upholds: bool,
    },
    /// Nothing but what the proposal says, in the name of all.
    Statement,
    /// Admit a validator two blocks later; its operator becomes a member of the network.
    AdmitValidator {
        /// Its consensus key.
        key: PublicKey,
        /// Its voting power.
        power: Power,
        /// The account that answers for it.
        operator: AccountId,
    },
    /// Give a validator another voting power two blocks later.
    ReweightValidator {
        /// Its consensus key.
        key: PublicKey,
        /// Its voting power from then on.
        power: Power,
    },
    /// Remove a validator two blocks later.
    RemoveValidator {
        /// Its consensus key.
        key: PublicKey,
    },
    /// Make an account a member of the network.
    AdmitMember {
        /// Which.
        account: AccountId,
    },
    /// Let an account admit further accounts.
    GrantQuota {
        /// Which.
        account: AccountId,
        /// How many more.
        quota: u32,
    },
    /// Suspend an account: it starts nothing until it is reinstated. What it holds stays, and it votes on it unless the
    /// model's policy says otherwise. It takes more than half of all members.
    SuspendAccount {
        /// Which.
        account: AccountId,
        /// Why.
        reason: String,
    },
    /// Reinstate a suspended account.
    ReinstateAccount {
        /// Which.
        account: AccountId,
    },
    /// Replace the network's parameters from the next block on.
    SetParameters {
        /// All of them.
        parameters: Box<Parameters>,
    },
    /// Move to another version of the protocol at a height: older binaries stop before it.
    Upgrade {
        /// The first height of the new version.
        height: Height,
        /// The version of the protocol.
        protocol: u32,
        /// Which release of the software speaks it.
        release: String,
    },
    /// Say who reads the model's artifacts, and how many copies there should be.
    SetDistribution {
        /// The whole of it.
        distribution: Distribution,
    },
    /// Give an account a licence, or another term for the one it has.
    GrantLicence {
        /// Who gets it.
        account: AccountId,
        /// On which terms, and for how long from then on.
        terms: LicenceTerms,
    },
    /// Take an account's licence back.
    RevokeLicence {
        /// Whose.
        account: AccountId,
        /// Why.
        reason: String,
    },
    /// Take units from a holder without its consent, where the policy has a rule for it.
    Expropriate {
        /// From whom.
        from: AccountId,
        /// How many; at least 1.
        units: Units,
        /// The cause, for the history.
        cause: String,
    },
    /// Make an account a member of the network no longer.
    RemoveMember {
        /// Which.
        account: AccountId,
        /// Why.
        reason: String,
    },
    /// Suspend a version until the owners lift it; an emergency stop of it is confirmed.
    SuspendVersion {
        /// Which.
        label: VersionLabel,
        /// Why.
        reason: String,
    },
    /// End the suspension of a version.
    LiftSuspension {
        /// Which.
        label: VersionLabel,
        /// Why.
        reason: String,
    },
    /// Accept the keys of a holder whose control changes, where the owners have a say in that.
    AcceptControl {
        /// The holder.
        account: AccountId,
        /// The keys with which its control began anew, or is to.
        keys: KeyPolicy,
    },
}

impl ProposalAction {
    /// The action's name, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReleaseVersion { .. } => "release_version",
            Self::DeprecateVersion { .. } => "deprecate_version",
            Self::WithdrawVersion { .. } => "withdraw_version",
            Self::ClaimLineage { .. } => "claim_lineage",
            Self::SetLicence { .. } => "set_licence",
            Self::MintShares { .. } => "mint_shares",
            Self::BurnShares { .. } => "burn_shares",
            Self::ApproveTransfer { .. } => "approve_transfer",
            Self::SetStewards { .. } => "set_stewards",
            Self::SetPolicy { .. } => "set_policy",
            Self::Retire { .. } => "retire",
            Self::OpenRound { .. } => "open_round",
            Self::ResolveDispute { .. } => "resolve_dispute",
            Self::Statement => "statement",
            Self::AdmitValidator { .. } => "admit_validator",
            Self::ReweightValidator { .. } => "reweight_validator",
            Self::RemoveValidator { .. } => "remove_validator",
            Self::AdmitMember { .. } => "admit_member",
            Self::GrantQuota { .. } => "grant_quota",
            Self::SuspendAccount { .. } => "suspend_account",
            Self::ReinstateAccount { .. } => "reinstate_account",
            Self::SetParameters { .. } => "set_parameters",
            Self::Upgrade { .. } => "upgrade",
            Self::SetDistribution { .. } => "set_distribution",
            Self::GrantLicence { .. } => "grant_licence",
            Self::RevokeLicence { .. } => "revoke_licence",
            Self::Expropriate { .. } => "expropriate",
            Self::RemoveMember { .. } => "remove_member",
            Self::SuspendVersion { .. } => "suspend_version",
            Self::LiftSuspension { .. } => "lift_suspension",
            Self::AcceptControl { .. } => "accept_control",
        }
    }

    /// The class whose rule decides it; none if it is not for this scope to decide.
    pub const fn class(&self, scope: Scope) -> Option<Class> {
        let class = match self {
            Self::ReleaseVersion { .. } | Self::ClaimLineage { .. } => Class::Release,
            Self::DeprecateVersion { .. }
            | Self::WithdrawVersion { .. }
            | Self::SuspendVersion { .. }
            | Self::LiftSuspension { .. } => Class::Safety,
            Self::SetLicence { .. }
            | Self::SetDistribution { .. }
            | Self::GrantLicence { .. }
            | Self::RevokeLicence { .. } => Class::Licence,
            Self::MintShares { .. }
            | Self::BurnShares { .. }
            | Self::ApproveTransfer { .. }
            | Self::AcceptControl { .. }
            | Self::OpenRound { .. } => Class::Ownership,
            Self::Expropriate { .. } => Class::Expropriation,
            Self::ResolveDispute { .. } => Class::Dispute,
            Self::SetStewards { .. } => Class::Stewards,
            Self::SetPolicy { .. } | Self::Retire { .. } => Class::Rules,
            Self::Statement => {
                return Some(if matches!(scope, Scope::Network) { Class::Parameters } else { Class::Rules });
            }
            Self::AdmitValidator { .. } | Self::ReweightValidator { .. } | Self::RemoveValidator { .. } => {
                Class::Validators
            }
            Self::AdmitMember { .. }
            | Self::RemoveMember { .. }
            | Self::GrantQuota { .. }
            | Self::SuspendAccount { .. }
            | Self::ReinstateAccount { .. } => Class::Accounts,
            Self::SetParameters { .. } => Class::Parameters,
            Self::Upgrade { .. } => Class::Upgrade,
        };
        let of_network = matches!(class, Class::Validators | Class::Accounts | Class::Parameters | Class::Upgrade);
        if of_network == matches!(scope, Scope::Network) { Some(class) } else { None }
    }

    /// Whether it takes more than half of the whole electorate, whatever the rule says: to take an account out of the
    /// network's business is no matter for those who happen to answer.
    pub const fn needs_majority_of_all(&self) -> bool {
        matches!(self, Self::SuspendAccount { .. })
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::DeprecateVersion { reason, .. }
            | Self::WithdrawVersion { reason, .. }
            | Self::Retire { reason }
            | Self::RevokeLicence { reason, .. }
            | Self::RemoveMember { reason, .. }
            | Self::SuspendAccount { reason, .. } => check_line("reason", reason, limits::TITLE_SIZE_BYTES),
            Self::SuspendVersion { reason, .. } | Self::LiftSuspension { reason, .. } => {
                emergency::check_reason(reason)
            }
            Self::ClaimLineage { parents, .. } => check_count("parents", parents.len(), limits::VERSION_PARENTS),
            Self::SetLicence { licence } => licence.check(),
            Self::SetDistribution { distribution } => distribution.check(),
            Self::MintShares { units, reason, vesting, .. } => {
                check_units(*units)?;
                vesting.as_ref().map_or(Ok(()), Vesting::check)?;
                check_line("reason", reason, limits::TITLE_SIZE_BYTES)
            }
            Self::BurnShares { units, cause, .. } | Self::Expropriate { units, cause, .. } => {
                check_units(*units)?;
                check_line("cause", cause, limits::TITLE_SIZE_BYTES)
            }
            Self::ApproveTransfer { units, price, reason, .. } => {
                check_units(*units)?;
                check_line("price", price, limits::TITLE_SIZE_BYTES)?;
                check_line("reason", reason, limits::TITLE_SIZE_BYTES)
            }
            Self::SetStewards { stewards } => model::check_stewards(stewards),
            Self::SetPolicy { policy } => policy.check(),
            Self::AcceptControl { keys, .. } => keys.check(),
            Self::OpenRound { plan } => plan.check(),
            Self::GrantLicence { terms, .. } => terms.check(),
            Self::AdmitValidator { power, .. } | Self::ReweightValidator { power, .. } => check_power(*power),
            Self::SetParameters { parameters } => parameters.check(),
            Self::Upgrade { release, .. } => check_line("release", release, limits::TITLE_SIZE_BYTES),
            Self::ReleaseVersion { .. }
            | Self::ResolveDispute { .. }
            | Self::Statement
            | Self::RemoveValidator { .. }
            | Self::AdmitMember { .. }
            | Self::GrantQuota { .. }
            | Self::ReinstateAccount { .. } => Ok(()),
        }
    }
}

fn check_units(units: Units) -> Result<(), Invalid> {
    if units == Units::ZERO {
        return Err(Invalid::Form { field: "units", problem: "are 0; name at least 1".into() });
    }
    Ok(())
}

fn check_power(power: Power) -> Result<(), Invalid> {
    if (1..=limits::VALIDATOR_POWER).contains(&power.get()) {
        return Ok(());
    }
    Err(Invalid::Form { field: "power", problem: format!("is {power}; set 1 to {}", limits::VALIDATOR_POWER) })
}

/// Carries out all actions of a decision, or gives the first refusal; the caller drops what was written before it.
pub(super) fn run_all(
    state: &mut Overlay<'_>,
    context: &mut Context,
    proposal: &Proposal,
) -> Result<Vec<Event>, Rejection> {
    let mut events = Vec::new();
    for action in &proposal.actions {
        let done = match proposal.scope {
            Scope::Model(model) => run_for_model(state, context, (proposal, model), action),
            Scope::Network => run_for_network(state, context, proposal.id, action),
        };
        events.extend(done?);
    }
    Ok(events)
}

fn run_for_model(
    state: &mut Overlay<'_>,
    context: &Context,
    (proposal, id): (&Proposal, ModelId),
    action: &ProposalAction,
) -> Result<Vec<Event>, Rejection> {
    let mut model = Model::existing(state, id)?;
    let by = proposal.id;
    let event = match action {
        ProposalAction::ReleaseVersion { label } => model::release(state, context, &mut model, (label, by))?,
        ProposalAction::DeprecateVersion { label, reason } => {
            model::deprecate(state, context, &model, (label, by, reason))?
        }
        ProposalAction::WithdrawVersion { label, reason } => {
            model::withdraw(state, context, &mut model, (label, Some(by), reason))?
        }
        ProposalAction::SuspendVersion { label, reason } => {
            emergency::suspend(state, context, &model, (label, by, reason))?
        }
        ProposalAction::LiftSuspension { label, .. } => emergency::lift(state, context, &model, (label, by))?,
        ProposalAction::ClaimLineage { label, parents } => model::claim_lineage(state, &model, (label, by), parents)?,
        ProposalAction::OpenRound { plan } => round::open(state, context, &model, (plan, by))?,
        ProposalAction::ResolveDispute { dispute, upholds } => {
            return dispute::ending::resolve(state, context, &model, (*dispute, *upholds, by));
        }
        ProposalAction::GrantLicence { account, terms } => {
            licence::grant(state, context, (id, by, proposal.proposer), (*account, terms))?
        }
        ProposalAction::RevokeLicence { account, reason } => {
            licence::revoke(state, context, (id, by), (*account, reason))?
        }
        ProposalAction::Retire { reason } => {
            model.require_active()?;
            model.retired = Some(context.height);
            state.write(&id, &model);
            let retired = Event::ModelRetired { model: id, proposal: by, reason: reason.clone() };
            return Ok(std::iter::once(retired).chain(round::settle(state, context, id)).collect());
        }
        ProposalAction::AcceptControl { account, keys } => control::accept(state, context, (id, by), (*account, keys))?,
        ProposalAction::Statement => Event::StatementMade { proposal: by, scope: proposal.scope },
        ProposalAction::MintShares { .. }
        | ProposalAction::BurnShares { .. }
        | ProposalAction::Expropriate { .. }
        | ProposalAction::ApproveTransfer { .. } => return change_shares(state, context, (proposal, &model), action),
        action => return change_model(state, context, (proposal, &mut model), action),
    };
    Ok(vec![event])
}

fn change_shares(
    state: &mut Overlay<'_>,
    context: &Context,
    (proposal, model): (&Proposal, &Model),
    action: &ProposalAction,
) -> Result<Vec<Event>, Rejection> {
    let (id, by) = (model.id, proposal.id);
    match action {
        ProposalAction::MintShares { to, units, reason, vesting } => {
            model.require_active()?;
            context.existing_account(state, *to)?;
            require_asked(state, (proposal, id), *to)?;
            share::dilution::add(state, context, model, (by, *units))?;
            let has_holders = share::Register::of(state, id).holders > 0;
            if let Some(preemption) = model.policy.preemption.filter(|_| has_holders) {
                let terms = (*to, *units, *vesting);
                let opened = share::issue::open(state, context, (model, by), terms, (reason, preemption.period_ms))?;
                return Ok(vec![opened]);
            }
            let reason = ShareReason::Minted { proposal: by, reason: reason.clone() };
            let minted = share::change(state, context, id, *to, (ShareFlow::In, *units), reason)?;
            if let Some(vesting) = vesting {
                share::vest(state, context, (id, *to), *units, vesting)?;
            }
            Ok(vec![minted])
        }
        ProposalAction::BurnShares { from, units, cause } => {
            dispute::require_undisputed(state, (id, *from), *units)?;
            let reason = ShareReason::BurnedByDecision { proposal: by, cause: cause.clone() };
            Ok(vec![share::seize(state, context, (id, *from), *units, reason)?])
        }
        // Whatever is disputed of it: else a friend's challenge would shield the holder.
        ProposalAction::Expropriate { from, units, cause } => {
            let reason = ShareReason::BurnedByDecision { proposal: by, cause: cause.clone() };
            Ok(vec![share::seize(state, context, (id, *from), *units, reason)?])
        }
        ProposalAction::ApproveTransfer { to, units, price, reason } => {
            if model.policy.transfers == TransferRule::Locked {
                return Err(Rejection::TransfersLocked(id));
            }
            let note = |counterparty| ShareReason::TransferApproved {
                counterparty,
                proposal: by,
                price: price.clone(),
                reason: reason.clone(),
            };
            share::transfer(state, context, id, (proposal.proposer, *to), *units, note)
        }
        _ => Err(Rejection::WrongScope(action.name().into())),
    }
}

/// That an account takes what a decision mints for it. Who asks for units of its own has asked.
pub(super) fn require_asked(
    state: &Overlay<'_>,
    (proposal, model): (&Proposal, ModelId),
    to: AccountId,
) -> Result<(), Rejection> {
    if proposal.proposer == to { Ok(()) } else { intake::require(state, model, to) }
}

/// What a decision sets in the model's own record.
fn change_model(
    state: &mut Overlay<'_>,
    context: &Context,
    (proposal, model): (&Proposal, &mut Model),
    action: &ProposalAction,
) -> Result<Vec<Event>, Rejection> {
    let (id, by, before) = (model.id, proposal.id, model.names());
    let event = match action {
        ProposalAction::SetLicence { licence } => {
            model.licence = Some(licence.clone());
            Event::LicenceSet { model: id, licence: licence.clone(), proposal: by }
        }
        ProposalAction::SetDistribution { distribution } => {
            model.distribution = *distribution;
            Event::DistributionSet { model: id, distribution: *distribution, proposal: by }
        }
        ProposalAction::SetStewards { stewards } => {
            for steward in stewards {
                context.existing_account(state, *steward)?;
            }
            model::check_countersigners(stewards, &model.policy)?;
            model.stewards = stewards.clone();
            Event::StewardsSet { model: id, stewards: stewards.clone(), proposal: by }
        }
        ProposalAction::SetPolicy { policy } => {
            model::check_policy_accounts(state, context, policy)?;
            model::check_countersigners(&model.stewards, policy)?;
            let before = std::mem::replace(&mut model.policy, (**policy).clone());
            control::on_policy(state, context, model, before.change_of_control);
            Event::PolicyChanged { model: id, proposal: by }
        }
        _ => return Err(Rejection::WrongScope(action.name().into())),
    };
    state.write(&id, model);
    let mut events = vec![event];
    let after = model.names();
    if matches!(action, ProposalAction::SetStewards { .. } | ProposalAction::SetPolicy { .. }) {
        let signed = Some((proposal.proposer, proposal.opened));
        events.extend(office::rename(state, context, (&before, &after), signed));
    }
    Ok(events)
}

fn run_for_network(
    state: &mut Overlay<'_>,
    context: &mut Context,
    proposal: ProposalId,
    action: &ProposalAction,
) -> Result<Vec<Event>, Rejection> {
    match action {
        ProposalAction::AdmitValidator { key, power, operator } => {
            network::admit_validator(state, context, Validator::new(*key, *power, *operator))
        }
        ProposalAction::ReweightValidator { key, power } => network::reweight_validator(context, *key, *power),
        ProposalAction::RemoveValidator { key } => network::remove_validator(state, context, *key),
        ProposalAction::AdmitMember { account } => network::admit_member(state, context, *account),
        ProposalAction::RemoveMember { account, reason } => network::remove_member(state, context, *account, reason),
        ProposalAction::GrantQuota { account, quota } => network::grant_quota(state, context, *account, *quota),
        ProposalAction::SuspendAccount { account, reason } => {
            network::suspend(state, context, *account, (proposal, reason))
        }
        ProposalAction::ReinstateAccount { account } => network::reinstate(state, context, *account),
        ProposalAction::SetParameters { parameters } => Ok(network::set_parameters(context, parameters)),
        ProposalAction::Upgrade { height, protocol, release } => {
            network::schedule_upgrade(context, (*height, *protocol), release)
        }
        ProposalAction::Statement => Ok(vec![Event::StatementMade { proposal, scope: Scope::Network }]),
        _ => Err(Rejection::WrongScope(action.name().into())),
    }
}
