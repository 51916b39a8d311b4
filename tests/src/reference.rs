//! The rules of ownership and decisions written a second time, as plainly as possible, to hold the real ones against.
//!
//! No records, no keys, no overlay, no running sums, no cursors. A copy of the whole world is kept for every height;
//! balances and delegations are looked up in the copy of the height they are asked for; a tally is counted from the
//! ballots, a round's scores from the contributions, when they are needed. A request that fails puts the copy from
//! before it back. Nothing of the protocol is used but its plain types: ids, requests, the fields of rules and plans.
//!
//! A refusal is the stable code of the rule that refuses, so that a history is compared by reason and not only by
//! outcome. Left out: requests that gather signatures, peers of accounts, what the network decides about its parameters and
//! its protocol, rules of form; and weights. What transactions weigh follows from their bytes and is for whoever makes blocks; what falls due is done
//! when it is due, as no history comes near the weight that a block has for it.
//!
//! Read on: [`World::begin`] (what is due), [`World::apply`] (what is asked), then the rooms: `envelope` (what is considered at all), `accounts`, `validators`, `recovery`, `control`, `shares`,
//! `versions`, `emergency`, `contributions`, `disputes`, `decisions` (opening and closing), `ballots` (weights and tallies), `silence` (dormancy),
//! `minorities` (dilution, pre-emption, consent),
//! `actions` (what a decision does), `incidents`, `offices` (who agreed to what), `takes` (who takes which units).

mod accounts;
mod actions;
mod ballots;
mod contributions;
mod control;
mod decisions;
mod disputes;
mod emergency;
mod envelope;
mod incidents;
mod licences;
mod minorities;
mod offices;
mod recovery;
mod shares;
mod silence;
mod takes;
mod validators;
mod versions;

pub use accounts::Account;
pub use ballots::Tally;
pub use contributions::{Contribution, Part, Round, RoundStatus};
pub use control::Control;
pub use decisions::{Proposal, Status};
pub use disputes::{Dispute, DisputeStatus, Loss};
pub use emergency::{Stop, Suspended};
pub use incidents::Incident;
pub use licences::{Granted, Licensed, Wanted};
pub use minorities::{Added, Issue};
pub use offices::Answer;
pub use recovery::{Recovery, Unsettled};
pub use shares::{Delegation, Grant};
pub use silence::Silence;
pub use validators::Validator;
pub use versions::{Committed, Version, VersionStatus};

use allod_protocol::{
    ground::ids::{
        AccountId, ArtifactId, ContributionId, DisputeId, Handle, IncidentId, ModelId, Name, NetworkId, ProposalId,
        PublicKey, TransactionId, VersionLabel,
    },
    ledger::genesis::{Genesis, GenesisAccount, GenesisValidator},
    rules::{
        access::{Distribution, Readers},
        account::KeyPolicy,
        action::Action,
        attestation::Finding,
        intake::UnitsOf,
        model::{CreateModel, Licence},
        office::Office,
        policy::{ModelPolicy, NetworkPolicy},
        proposal::Scope,
        recovery::Clock,
        transaction::Transaction,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

/// Why a request is refused: the code of the rule.
pub type Refused = &'static str;

/// A model.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its namespace and its name in it.
    pub name: (Handle, Name),
    /// Who holds how much; nobody holds zero.
    pub register: BTreeMap<AccountId, u64>,
    /// Since which height each of them has held something without a break.
    pub opened: BTreeMap<AccountId, u64>,
    /// Everything that was ever put under vesting.
    pub grants: Vec<Grant>,
    /// Who delegated to whom.
    pub delegations: BTreeMap<AccountId, Delegation>,
    /// Who is named to countersign.
    pub stewards: Vec<AccountId>,
    /// How its owners decide.
    pub policy: ModelPolicy,
    /// The height since which they have a say in who controls a holder; 0 for always.
    pub control_ruled: u64,
    /// Under which terms it is used.
    pub licence: Option<Licence>,
    /// Who reads its artifacts.
    pub distribution: Distribution,
    /// How each account stands that the owners ever granted a licence.
    pub licensees: BTreeMap<AccountId, Licensed>,
    /// What accounts ask for.
    pub asked: BTreeMap<AccountId, Wanted>,
    /// The versions.
    pub versions: BTreeMap<VersionLabel, Version>,
    /// The version released last.
    pub released: Option<VersionLabel>,
    /// Whether its owners ended it.
    pub retired: bool,
    /// The rounds, by number.
    pub rounds: Vec<Round>,
    /// What decisions added to the register.
    pub added: Option<Added>,
    /// Minted units that holders could take up, by number.
    pub issues: Vec<Issue>,
    /// The emergency stops, by number.
    pub stops: Vec<Stop>,
}

/// Who was barred in which model, when, with what at stake, and until when.
pub type Bar = ((ModelId, AccountId), u64, (u64, u64));

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    /// The height being executed.
    pub height: u64,
    /// Its time.
    pub time: u64,
    /// Which network it is.
    pub id: NetworkId,
    /// How its members decide.
    pub network: NetworkPolicy,
    /// The accounts.
    pub accounts: BTreeMap<AccountId, Account>,
    /// The recoveries under way.
    pub recoveries: BTreeMap<AccountId, Recovery>,
    /// Which keys an account should get, as a guardian says.
    pub guardians_said: BTreeMap<(AccountId, AccountId), KeyPolicy>,
    /// Under whose control those are whose keys were ever replaced.
    pub controls: BTreeMap<AccountId, Control>,
    /// The keys of holders that a model's owners accept.
    pub accepted_controls: BTreeMap<(ModelId, AccountId), KeyPolicy>,
    /// The models.
    pub models: BTreeMap<ModelId, Model>,
    /// The proposals.
    pub proposals: BTreeMap<ProposalId, Proposal>,
    /// The contributions.
    pub contributions: BTreeMap<ContributionId, Contribution>,
    /// The first round that takes contributions again from who withheld an amount.
    pub barred: BTreeMap<(ModelId, AccountId), u64>,
    /// The disputes.
    pub disputes: BTreeMap<DisputeId, Dispute>,
    /// Who was called on and has not spoken, and where.
    pub silences: BTreeMap<(Scope, AccountId), Silence>,
    /// Who agrees to a decision that takes its units.
    pub consents: BTreeSet<(ProposalId, AccountId)>,
    /// Challenges that came to nothing.
    pub losses: Vec<Loss>,
    /// Who was barred in which model, when, with what at stake, and until when.
    pub bars: Vec<Bar>,
    /// The model that governs an artifact, and the height since which its publisher has known it.
    pub origins: BTreeMap<ArtifactId, (ModelId, u64)>,
    /// What was committed to and not published by yet.
    pub commitments: BTreeMap<(ModelId, AccountId), Vec<Committed>>,
    /// The incidents.
    pub incidents: BTreeMap<IncidentId, Incident>,
    /// What accounts named for an office answered, and when.
    pub offices: BTreeMap<(Office, AccountId), (Answer, u64)>,
    /// What accounts accepted before they were named.
    pub ahead: BTreeSet<(Office, AccountId)>,
    /// What accounts say of units that come unasked.
    pub intakes: BTreeMap<(AccountId, UnitsOf), bool>,
    /// Who accepted the units that a proposal would give it.
    pub purchases: BTreeSet<(ProposalId, AccountId)>,
    /// What each account said last of an artifact.
    pub attestations: BTreeMap<(ArtifactId, Name, AccountId), Finding>,
    /// The validators two blocks later.
    pub validators: BTreeMap<PublicKey, Validator>,
    /// The keys that validated and never will again.
    pub retired_keys: BTreeSet<PublicKey>,
    /// How many transactions of an account a block considers.
    most_per_block: u32,
    /// How many it has considered in this block.
    asked: BTreeMap<AccountId, u32>,
    /// The transactions that were considered and have not expired, with their expiry.
    admitted: BTreeSet<(u64, TransactionId)>,
    /// The world as it was when each height was over.
    past: Vec<Rc<World>>,
}

/// What falls due, in the order in which one block time is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Proposal(ProposalId),
    Delegation(ModelId, AccountId),
    Round(ModelId, usize),
    Dispute(DisputeId),
    Recovery(AccountId),
    Silence(Scope, AccountId),
    Issue(ModelId, usize),
    Stop(ModelId, usize),
    Settling(AccountId),
    LicenceRequest(AccountId, ModelId),
}

/// Those whose entries take turns; none waits for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Network,
    Model(ModelId),
    Ends(ModelId),
    Account(AccountId),
}

impl World {
    /// The world at genesis: the founders are members, each with the same quota, and those who operate a validator
    /// accepted to.
    pub fn new(genesis: &Genesis) -> Self {
        let parameters = &genesis.parameters;
        let account = |founder: &GenesisAccount| {
            let account = Account::new(founder.handle.clone(), founder.keys.clone());
            let (quota, member_since) = (parameters.founder_quota, Some(0));
            (genesis.account_id(&founder.handle), Account { quota, member_since, ..account })
        };
        let validator = |founder: &GenesisValidator| {
            let (power, operator) = (founder.power.get(), genesis.account_id(&founder.operator));
            (founder.key, Validator { power, operator })
        };
        let validators: BTreeMap<PublicKey, Validator> = genesis.validators.iter().map(validator).collect();
        let accepted = |(key, validator): (&PublicKey, &Validator)| {
            ((Office::Operator(*key), validator.operator), (Answer::Accepted, 0))
        };
        let mut world = Self {
            height: 0,
            time: genesis.time.get(),
            id: genesis.network_id(),
            network: parameters.policy.clone(),
            accounts: genesis.accounts.iter().map(account).collect(),
            recoveries: BTreeMap::new(),
            guardians_said: BTreeMap::new(),
            controls: BTreeMap::new(),
            accepted_controls: BTreeMap::new(),
            models: BTreeMap::new(),
            proposals: BTreeMap::new(),
            contributions: BTreeMap::new(),
            barred: BTreeMap::new(),
            disputes: BTreeMap::new(),
            silences: BTreeMap::new(),
            consents: BTreeSet::new(),
            losses: Vec::new(),
            bars: Vec::new(),
            origins: BTreeMap::new(),
            offices: validators.iter().map(accepted).collect(),
            incidents: BTreeMap::new(),
            ahead: BTreeSet::new(),
            intakes: BTreeMap::new(),
            purchases: BTreeSet::new(),
            commitments: BTreeMap::new(),
            attestations: BTreeMap::new(),
            validators,
            retired_keys: BTreeSet::new(),
            most_per_block: parameters.transactions_per_account_per_block,
            asked: BTreeMap::new(),
            admitted: BTreeSet::new(),
            past: Vec::new(),
        };
        world.end();
        world
    }

    /// A block begins: what is due by its time is done first.
    pub fn begin(&mut self, height: u64, time: u64) {
        (self.height, self.time) = (height, time);
        self.asked.clear();
        self.admitted.retain(|(expires, _)| *expires >= time);
        let due = |world: &Self, lane: Option<Lane>| {
            let mut due = world.agenda();
            due.retain(|(at, due)| *at <= time && lane.is_none_or(|lane| world.lane(*due) == lane));
            due.sort();
            due
        };
        // The lanes in the order of their first entries, then one entry each in turn.
        let mut lanes: Vec<(u64, Lane)> = due(self, None).into_iter().map(|(at, due)| (at, self.lane(due))).collect();
        let mut seen = BTreeSet::new();
        lanes.retain(|(_, lane)| seen.insert(*lane));
        lanes.sort();
        let mut turns: VecDeque<Lane> = lanes.into_iter().map(|(_, lane)| lane).collect();
        while let Some(lane) = turns.pop_front() {
            let Some((_, first)) = due(self, Some(lane)).first().copied() else { continue };
            self.is_due(first);
            turns.push_back(lane);
        }
    }

    fn is_due(&mut self, due: Due) {
        match due {
            Due::Proposal(id) => self.proposal_is_due(id),
            Due::Delegation(model, from) => drop(self.existing_mut(model).delegations.remove(&from)),
            Due::Round(model, number) => self.round_is_due(model, number),
            Due::Dispute(id) => self.dispute_is_due(id),
            Due::Silence(scope, account) => self.silence_is_due(scope, account),
            Due::Issue(model, number) => self.issue_is_due(model, number),
            Due::Stop(model, number) => self.stop_is_due(model, number),
            Due::LicenceRequest(account, model) => drop(self.existing_mut(model).asked.remove(&account)),
            Due::Recovery(account) => self.recovery_is_due(account),
            Due::Settling(account) => self.settling_is_due(account),
        }
    }

    /// With whom an entry of the agenda waits.
    fn lane(&self, due: Due) -> Lane {
        let of = |scope| match scope {
            Scope::Network => Lane::Network,
            Scope::Model(model) => Lane::Model(model),
        };
        match due {
            Due::Proposal(id) => of(self.proposals[&id].question.scope()),
            Due::Silence(scope, _) => of(scope),
            Due::Dispute(id) => Lane::Model(self.disputes[&id].model),
            Due::Round(model, _) | Due::Issue(model, _) | Due::Stop(model, _) => Lane::Model(model),
            Due::Delegation(model, _) => Lane::Ends(model),
            Due::LicenceRequest(account, _) => Lane::Account(account),
            Due::Recovery(account) | Due::Settling(account) => Lane::Account(account),
        }
    }

    /// A block is over.
    pub fn end(&mut self) {
        let copy = Rc::new(self.clone());
        self.past.push(copy);
    }

    /// The world as it was when a height was over.
    pub fn at(&self, height: u64) -> &Self {
        let index = usize::try_from(height).unwrap_or(usize::MAX);
        self.past.get(index).unwrap_or_else(|| panic!("height {height} is not over"))
    }

    /// Does what a transaction asks for, or says why not. What it makes gets the id `named`.
    ///
    /// # Errors
    /// The code of the rule that refuses; then nothing has changed.
    pub fn apply(&mut self, transaction: &Transaction, named: [u8; 32]) -> Result<(), Refused> {
        self.admit(transaction)?;
        let (sender, action) = (transaction.body.sender, &transaction.body.action);
        let before = self.clone();
        let result = self.attempt(sender, action, &transaction.body.signers, named);
        match result {
            Ok(()) => self.note_spoken(sender, action),
            Err(_) => *self = before,
        }
        result
    }

    fn attempt(
        &mut self,
        sender: AccountId,
        action: &Action,
        signers: &[PublicKey],
        named: [u8; 32],
    ) -> Result<(), Refused> {
        match action {
            Action::CreateAccount(new) => self.create_account(sender, new, AccountId::from_bytes(named)),
            Action::RotateKeys(asked) => self.rotate(sender, &asked.keys, signers),
            Action::SetRecovery(asked) => self.set_recovery(sender, asked.policy.as_ref(), signers),
            Action::RecoverAccount(asked) => self.recover(sender, asked),
            Action::CancelRecovery(_) => self.cancel_recovery(sender, signers),
            Action::CreateModel(new) => self.found(sender, new, ModelId::from_bytes(named)),
            Action::TransferShares(asked) => self.transfer(sender, asked),
            Action::BurnShares(asked) => self.burn(sender, asked),
            Action::Delegate(asked) => self.delegate(sender, asked),
            Action::PublishVersion(asked) => self.publish(sender, asked),
            Action::CommitArtifact(asked) => self.commit(sender, asked),
            Action::Attest(asked) => self.attest(sender, asked),
            Action::RecordContribution(asked) => self.record(sender, asked, ContributionId::from_bytes(named)),
            Action::RevealContribution(asked) => self.reveal(sender, asked),
            Action::AcceptContribution(asked) => self.accept(sender, asked.contribution),
            Action::DeclineContribution(asked) => self.decline(sender, asked.contribution),
            Action::OpenDispute(asked) => self.challenge(sender, asked, DisputeId::from_bytes(named)),
            Action::AnswerDispute(asked) => self.answer(sender, asked.dispute),
            Action::RuleDispute(asked) => self.rule(sender, asked.dispute, asked.upholds),
            Action::AppealDispute(asked) => self.appeal(sender, asked.dispute),
            Action::WithdrawDispute(asked) => self.withdraw_dispute(sender, asked.dispute),
            Action::OpenProposal(asked) => self.propose(sender, asked, ProposalId::from_bytes(named)),
            Action::CastBallot(asked) => self.cast(sender, asked),
            Action::WithdrawProposal(asked) => self.withdraw_proposal(sender, asked.proposal),
            Action::ExecuteProposal(asked) => self.execute(asked.proposal),
            Action::CancelProposal(asked) => self.cancel(sender, asked.proposal),
            Action::TakeUp(asked) => self.take_up(sender, asked),
            Action::GiveConsent(asked) => self.consent(sender, asked),
            Action::AskLicence(asked) => self.ask_licence(sender, asked),
            Action::AnswerLicence(asked) => self.answer_licence(sender, asked),
            Action::CallOn(asked) => self.call_on(sender, asked),
            Action::Present(asked) => self.present(sender, asked.scope),
            Action::LeaveNetwork(_) => self.remove_member(sender),
            Action::ReportIncident(asked) => self.report(sender, asked, IncidentId::from_bytes(named)),
            Action::UpdateIncident(asked) => self.carry(sender, asked),
            Action::AnswerIncident(asked) => self.speak(sender, asked),
            Action::AcceptOffice(asked) => self.accept_office(sender, asked),
            Action::ResignOffice(asked) => self.resign_office(sender, &asked.office),
            Action::SetIntake(asked) => self.set_intake(sender, asked.of, asked.takes),
            Action::AcceptTransfer(asked) => self.accept_transfer(sender, asked.proposal, asked.accept),
            Action::StopVersion(asked) => self.stop_version(sender, asked),
            Action::BindPeer(_) | Action::ReleasePeer(_) | Action::RequestApproval(_) | Action::SignApproval(_) => {
                panic!("the reference has no rule for {}", action.name())
            }
        }
    }

    /// Everything that will fall due, and when.
    fn agenda(&self) -> Vec<(u64, Due)> {
        let mut agenda = Vec::new();
        for (id, proposal) in self.proposals.iter().filter(|(_, proposal)| !proposal.status.is_final()) {
            agenda.push((proposal.wakes, Due::Proposal(*id)));
        }
        for (id, model) in &self.models {
            let ends = |(from, to): (&AccountId, &Delegation)| Some((to.expires?, Due::Delegation(*id, *from)));
            agenda.extend(model.delegations.iter().filter_map(ends));
            let running = model.rounds.iter().enumerate().filter(|(_, round)| !round.status.is_final());
            agenda.extend(running.map(|(number, round)| (round.wakes, Due::Round(*id, number))));
            let offered = model.issues.iter().enumerate().filter(|(_, issue)| !issue.is_over);
            agenda.extend(offered.map(|(number, issue)| (issue.until, Due::Issue(*id, number))));
            let stops = model.stops.iter().enumerate().filter(|(_, stop)| stop.runs);
            agenda.extend(stops.map(|(number, stop)| (stop.until, Due::Stop(*id, number))));
            let asked = model.asked.iter();
            agenda.extend(asked.map(|(account, wanted)| (wanted.until, Due::LicenceRequest(*account, *id))));
        }
        for (id, dispute) in self.disputes.iter().filter(|(_, dispute)| !dispute.status.is_final()) {
            agenda.push((dispute.wakes, Due::Dispute(*id)));
        }
        let called = self.silences.iter().filter(|(_, silence)| !silence.dormant);
        agenda.extend(called.map(|((scope, account), silence)| (silence.sleeps_at, Due::Silence(*scope, *account))));
        let runs = |clock: Clock| match clock {
            Clock::Runs { ready } => Some(ready.get()),
            Clock::Stands { .. } => None,
        };
        let recoveries = self.recoveries.iter();
        agenda.extend(recoveries.filter_map(|(id, one)| Some((runs(one.clock)?, Due::Recovery(*id)))));
        let accounts = self.accounts.iter();
        let settles = |(id, account): (&AccountId, &Account)| {
            Some((runs(account.unsettled.as_ref()?.clock)?, Due::Settling(*id)))
        };
        agenda.extend(accounts.filter_map(settles));
        agenda
    }

    fn account(&self, id: AccountId) -> Result<&Account, Refused> {
        self.accounts.get(&id).ok_or("unknown_account")
    }

    fn model(&self, id: ModelId) -> Result<&Model, Refused> {
        self.models.get(&id).ok_or("unknown_model")
    }

    /// A model that was asked for before.
    fn existing_mut(&mut self, id: ModelId) -> &mut Model {
        self.models.get_mut(&id).unwrap_or_else(|| panic!("model {id} was there"))
    }

    /// Whether an account reads a model's artifacts now.
    pub fn reads(&self, id: ModelId, account: AccountId) -> bool {
        let model = &self.models[&id];
        let owns = self.is_steward(id, account) || model.register.contains_key(&account);
        let licensed = model.licensees.get(&account).is_some_and(|licensed| licensed.in_force(self.time).is_some());
        let entitled = match model.distribution.readers {
            Readers::Public => return true,
            Readers::Holders => owns,
            Readers::Licensees => owns || licensed,
        };
        entitled && self.accounts.get(&account).is_some_and(|account| !account.suspended)
    }

    /// A proposal that was asked for before.
    fn proposal_mut(&mut self, id: ProposalId) -> &mut Proposal {
        self.proposals.get_mut(&id).unwrap_or_else(|| panic!("proposal {id} was there"))
    }

    fn found(&mut self, sender: AccountId, new: &CreateModel, id: ModelId) -> Result<(), Refused> {
        let name = (self.account(sender)?.handle.clone(), new.name.clone());
        if self.models.values().any(|model| model.name == name) {
            return Err("model_name_taken");
        }
        for account in new.stewards.iter().chain(new.founding.iter().map(|line| &line.account)) {
            self.account(*account)?;
        }
        self.require_accounts_of(&new.policy)?;
        require_stewards(&new.stewards, &new.policy)?;
        let model = Model {
            name,
            register: BTreeMap::new(),
            opened: BTreeMap::new(),
            grants: Vec::new(),
            delegations: BTreeMap::new(),
            stewards: Vec::new(),
            policy: new.policy.clone(),
            control_ruled: 0,
            licence: new.licence.clone(),
            distribution: new.distribution,
            licensees: BTreeMap::new(),
            asked: BTreeMap::new(),
            versions: BTreeMap::new(),
            released: None,
            retired: false,
            rounds: Vec::new(),
            added: None,
            issues: Vec::new(),
            stops: Vec::new(),
        };
        self.models.insert(id, model);
        for line in &new.founding {
            if line.account != sender {
                self.require_takes(id, line.account)?;
            }
            self.give(id, line.account, line.units.get())?;
            if let Some(vesting) = line.vesting {
                self.vest(id, line.account, line.units.get(), vesting)?;
            }
        }
        for grant in &new.grants {
            self.grant_to_holders_of(grant.parent, id, grant.units.get())?;
        }
        let height = self.height;
        self.rename(id, (sender, height), |model| model.stewards = new.stewards.clone());
        Ok(())
    }

    /// That every account which a policy names exists.
    fn require_accounts_of(&self, policy: &ModelPolicy) -> Result<(), Refused> {
        let mut named: Vec<AccountId> = policy.guardian.into_iter().collect();
        named.extend(
            policy.arbiters.iter().flat_map(|arbiters| arbiters.accounts.iter().chain(&arbiters.stand_ins).copied()),
        );
        named.extend(policy.emergency.iter().flat_map(|emergency| emergency.accounts.clone()));
        named.extend(policy.roles.iter().flat_map(|role| role.accounts.clone()));
        named.into_iter().try_for_each(|account| self.account(account).map(drop))
    }
}

/// That there are as many stewards as have to countersign.
fn require_stewards(stewards: &[AccountId], policy: &ModelPolicy) -> Result<(), Refused> {
    let asked = usize::try_from(policy.countersigners).unwrap_or(usize::MAX);
    if stewards.len() < asked { Err("too_few_stewards") } else { Ok(()) }
}

/// Divides `total` in proportion to `weights`: each its part rounded down, and one more for as many as are needed, to
/// the largest remainders first, among equals to the first. All zero if all weights are.
pub fn divide(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let product = |weight: &u64| u128::from(total) * u128::from(*weight);
    let mut parts: Vec<u128> = weights.iter().map(|weight| product(weight) / sum).collect();
    let mut remainders: Vec<Option<u128>> = weights.iter().map(|weight| Some(product(weight) % sum)).collect();
    while parts.iter().sum::<u128>() < u128::from(total) {
        let largest = remainders.iter().max().copied().flatten();
        let first = remainders.iter().position(|remainder| *remainder == largest).unwrap_or(0);
        parts[first] += 1;
        remainders[first] = None;
    }
    parts.into_iter().map(|part| u64::try_from(part).unwrap_or(u64::MAX)).collect()
}
