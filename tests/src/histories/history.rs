//! One history: what there is to ask about, and what the reference says of what was decided.

use super::{
    StoryBlock,
    coverage::Coverage,
    invariants::{self, Invariants},
    keys::Hand,
    policies::policy,
};
use crate::{
    ledger::View,
    reference::{Account, World},
};
use allod_protocol::{
    ground::{
        ids::{
            AccountId, ContentHash, ContributionId, DisputeId, IncidentId, ModelId, Name, NetworkId, ProposalId,
            Timestamp, Units,
        },
        state::StateRead,
    },
    ledger::{
        execute::{Executed, Outcome, TransactionResult},
        genesis::Genesis,
    },
    rules::{
        access::Distribution,
        account::{KeyPolicy, RotateKeys},
        action::Action,
        event::Event,
        model::{CreateModel, FoundingLine, ParentGrant},
        share::Vesting,
        transaction::{Transaction, TransactionBody},
    },
};
use std::collections::BTreeMap;

/// What a unit is worth in a history near the bound: a hundred of these are a third of all that a model can have.
const HUGE: u64 = 1 << 54;

/// What executing a block gave.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// What became of each transaction.
    pub results: &'a [TransactionResult],
    /// What deadlines did, before the transactions.
    pub deadline_events: &'a [Event],
}

impl<'a> From<&'a Executed> for Done<'a> {
    fn from(executed: &'a Executed) -> Self {
        Self { results: &executed.results, deadline_events: &executed.deadline_events }
    }
}

impl<'a> Done<'a> {
    /// Everything that happened, in order.
    pub fn events(self) -> impl Iterator<Item = &'a Event> {
        self.deadline_events.iter().chain(self.of_transactions())
    }

    /// What the transactions did.
    pub fn of_transactions(self) -> impl Iterator<Item = &'a Event> {
        self.results.iter().flat_map(|result| &result.events)
    }
}

/// A history so far.
#[derive(Debug)]
pub struct History {
    /// The reference after the last block.
    pub world: World,
    /// What happened, and how often.
    pub coverage: Coverage,
    /// The accounts in the order in which they came to be, as are the lists below.
    pub accounts: Vec<AccountId>,
    /// The models.
    pub models: Vec<ModelId>,
    /// The proposals.
    pub proposals: Vec<ProposalId>,
    /// The contributions.
    pub contributions: Vec<ContributionId>,
    /// The disputes.
    pub disputes: Vec<DisputeId>,
    /// The incidents.
    pub incidents: Vec<IncidentId>,
    /// What sealed amounts were sealed with, and the amount, by the seal.
    pub(super) seals: BTreeMap<ContentHash, (ContentHash, u64)>,
    /// What a unit is multiplied by.
    pub(super) scale: u64,
    network: NetworkId,
    nonce: u64,
    invariants: Invariants,
}

impl History {
    /// A history that begins with this genesis, of accounts of [`super::keys`]. Units may be near the bound.
    pub fn new(genesis: &Genesis, is_huge: bool) -> Self {
        Self {
            world: World::new(genesis),
            coverage: Coverage::default(),
            accounts: genesis.accounts.iter().map(|account| genesis.account_id(&account.handle)).collect(),
            models: Vec::new(),
            proposals: Vec::new(),
            contributions: Vec::new(),
            disputes: Vec::new(),
            incidents: Vec::new(),
            seals: BTreeMap::new(),
            scale: if is_huge { HUGE } else { 1 },
            network: genesis.network_id(),
            nonce: 0,
            invariants: Invariants::default(),
        }
    }

    pub(super) fn scaled(&self, units: u64) -> Units {
        Units::new(units * self.scale)
    }

    /// What is asked first, in a block for each, before there is anything to ask about: two models, the second one with
    /// a grant to the holders of the first; then that all accept what they are offered. Each with the place of who asks.
    pub fn opening(&self, policies: [u8; 2]) -> Vec<(usize, Action)> {
        match self.models[..] {
            [] => self.founding("one", policies[0], &[40, 30, 20, 10], Vec::new()),
            [parent] => {
                let grant = ParentGrant { parent, units: self.scaled(13) };
                self.founding("two", policies[1], &[7, 7, 7, 7, 7, 7], vec![grant])
            }
            _ => self.accept_offers(u32::MAX),
        }
    }

    /// That the first account founds a model; half of the second line is under vesting.
    pub fn founding(&self, name: &str, number: u8, units: &[u64], grants: Vec<ParentGrant>) -> Vec<(usize, Action)> {
        let line = |(place, (account, units)): (usize, (&AccountId, &u64))| FoundingLine {
            account: *account,
            units: self.scaled(*units),
            vesting: (place == 1).then_some(Vesting { cliff_ms: 2_000, duration_ms: 20_000 }),
        };
        let action = CreateModel {
            name: Name::new(name).expect("a name"),
            description: String::new(),
            founding: self.accounts.iter().zip(units).enumerate().map(line).collect(),
            stewards: self.accounts[2..5].to_vec(),
            policy: policy(number, &self.accounts),
            licence: None,
            distribution: Distribution::default(),
            grants,
        };
        vec![(0, Action::CreateModel(action))]
    }

    /// The actions that the requests of a block mean, each with the place of who asks.
    pub fn actions_of(&mut self, block: &StoryBlock) -> Vec<(usize, Action)> {
        block.requests.iter().flat_map(|request| self.actions(request)).collect()
    }

    /// Each account signs with the keys that it has by its turn, if what it asked before in the list applies.
    pub fn sign(&mut self, expires: Timestamp, hands: u64, actions: Vec<(usize, Action)>) -> Vec<Transaction> {
        let mut replaced: BTreeMap<AccountId, KeyPolicy> = BTreeMap::new();
        let mut signed = Vec::new();
        for (number, (by, action)) in actions.into_iter().enumerate() {
            let sender = self.accounts[by];
            let Account { handle, keys, .. } = &self.world.accounts[&sender];
            let hand = Hand::of(hands >> (3 * (number % 21)) & 7);
            let present = replaced.get(&sender).filter(|_| hand != Hand::Late).unwrap_or(keys);
            let settled = self.world.settled_keys(sender);
            let signers = match hand {
                Hand::Last | Hand::All if action.is_of_keys() => Hand::All.signers(handle, &settled),
                hand => hand.signers(handle, present),
            };
            if let Action::RotateKeys(RotateKeys { keys }) = &action {
                replaced.insert(sender, keys.clone());
            }
            self.nonce += 1;
            let (network, nonce) = (self.network, self.nonce);
            let body = TransactionBody { network, sender, nonce, expires, action, signers: Vec::new() };
            signed.push(body.sign(&signers));
        }
        signed
    }

    /// Tells the reference of a block, at a height and a time, and holds what became of each transaction against it.
    ///
    /// # Panics
    /// When the reference says otherwise.
    pub fn follow(&mut self, height: u64, time: Timestamp, transactions: &[Transaction], done: Done<'_>) {
        self.world.begin(height, time.get());
        for (transaction, result) in transactions.iter().zip(done.results) {
            let expected = self.world.apply(transaction, named(result.events.first()));
            let found = match &result.outcome {
                Outcome::Applied => Ok(()),
                Outcome::Rejected(rejection) => Err(rejection.code()),
            };
            let action = &transaction.body.action;
            assert_eq!(found, expected, "{:?}: {action:?}", result.outcome);
            self.coverage.count_outcome(action, found);
            self.note(result.events.first());
        }
        self.world.end();
        self.coverage.count_events(done, &self.world);
    }

    /// Checks what must hold of any ledger, of a block and of the ledger before and after it.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn check<S: StateRead>(&mut self, before: View<'_, S>, after: View<'_, S>, done: Done<'_>) {
        self.invariants.check(before, after, done);
    }

    /// Checks that the histories of all registers add up, and compares what is over.
    ///
    /// # Panics
    /// When they do not, or the reference says otherwise.
    pub fn check_ends<S: StateRead>(&self, ledger: View<'_, S>) {
        self.compare_ends(ledger);
        self.models.iter().for_each(|id| invariants::history_adds_up(ledger, *id));
    }

    /// Remembers what came to be.
    fn note(&mut self, event: Option<&Event>) {
        match event {
            Some(Event::AccountCreated { account, .. }) => self.accounts.push(*account),
            Some(Event::ModelCreated { model, .. }) => self.models.push(*model),
            Some(Event::ProposalOpened { proposal, .. }) => self.proposals.push(*proposal),
            Some(Event::ContributionRecorded { contribution, .. }) => self.contributions.push(*contribution),
            Some(Event::DisputeOpened { dispute, .. }) => self.disputes.push(*dispute),
            Some(Event::IncidentReported { incident, .. }) => self.incidents.push(*incident),
            _ => {}
        }
    }
}

/// The id of what a transaction made, which the reference takes over.
fn named(event: Option<&Event>) -> [u8; 32] {
    match event {
        Some(Event::AccountCreated { account, .. }) => *account.as_bytes(),
        Some(Event::ModelCreated { model, .. }) => *model.as_bytes(),
        Some(Event::ProposalOpened { proposal, .. }) => *proposal.as_bytes(),
        Some(Event::ContributionRecorded { contribution, .. }) => *contribution.as_bytes(),
        Some(Event::DisputeOpened { dispute, .. }) => *dispute.as_bytes(),
        Some(Event::IncidentReported { incident, .. }) => *incident.as_bytes(),
        _ => [0; 32],
    }
}
