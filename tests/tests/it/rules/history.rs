//! One history: a ledger and the reference, block by block.

use super::{
    coverage::Coverage,
    invariants::{self, Invariants},
    policies::policy,
    request::{Request, Story},
};
use allod_protocol::{
    access::Distribution,
    crypto::SigningKey,
    event::Event,
    execute::{Executed, Outcome},
    ids::{AccountId, ContentHash, ContributionId, DisputeId, Handle, IncidentId, ModelId, Name, ProposalId, Units},
    model::{CreateModel, FoundingLine, ParentGrant},
    share::Vesting,
    transaction::{Action, Transaction},
};
use allod_tests::{
    ledger::{TestLedger, key, parameters},
    reference::World,
};
use std::collections::BTreeMap;

const FOUNDERS: [&str; 6] = ["northfield", "lakeside", "hilltop", "riverbend", "seafront", "oldbridge"];

const TWO_MONTHS_MS: u64 = 61 * 24 * 60 * 60 * 1_000;

/// Handles of accounts to admit; some look alike, and one is taken.
pub(crate) const GUESTS: [&str; 6] = ["guest", "meadow", "rneadow", "mill-01", "lakeside", "weir"];

/// What a unit is worth in a history near the bound: a hundred of these are a third of all that a model can have.
const HUGE: u64 = 1 << 54;

pub(crate) struct History {
    pub(crate) ledger: TestLedger,
    pub(crate) world: World,
    pub(crate) coverage: Coverage,
    /// In the order in which they came to be, as are the lists below.
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) models: Vec<ModelId>,
    pub(crate) proposals: Vec<ProposalId>,
    pub(crate) contributions: Vec<ContributionId>,
    pub(crate) disputes: Vec<DisputeId>,
    pub(crate) incidents: Vec<IncidentId>,
    /// What sealed amounts were sealed with, and the amount, by the seal.
    pub(crate) seals: BTreeMap<ContentHash, (ContentHash, u64)>,
    /// What a unit is multiplied by.
    pub(crate) scale: u64,
    invariants: Invariants,
}

impl History {
    pub(crate) fn begin(story: &Story) -> Self {
        let ledger = TestLedger::new(&FOUNDERS);
        let accounts: Vec<AccountId> = FOUNDERS.iter().map(|handle| ledger.account(handle)).collect();
        let handles = ledger.genesis.accounts.iter().map(|account| account.handle.clone());
        let founders = accounts.iter().copied().zip(handles);
        let world = World::new(founders, parameters().founder_quota, parameters().policy);
        let mut history = Self {
            ledger,
            world,
            coverage: Coverage::default(),
            accounts,
            models: Vec::new(),
            proposals: Vec::new(),
            contributions: Vec::new(),
            disputes: Vec::new(),
            incidents: Vec::new(),
            seals: BTreeMap::new(),
            scale: if story.is_huge { HUGE } else { 1 },
            invariants: Invariants::default(),
        };
        history.found("one", story.policies[0], &[40, 30, 20, 10], Vec::new());
        let grants = vec![ParentGrant { parent: history.models[0], units: history.scaled(13) }];
        history.found("two", story.policies[1], &[7, 7, 7, 7, 7, 7], grants);
        let accepted = history.accept_offers(u32::MAX);
        history.run(1_000, accepted);
        history
    }

    fn scaled(&self, units: u64) -> Units {
        Units::new(units * self.scale)
    }

    /// Founds a model as the first account; half of the first line is under vesting.
    fn found(&mut self, name: &str, number: u8, units: &[u64], grants: Vec<ParentGrant>) {
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
        self.run(1_000, vec![(0, Action::CreateModel(action))]);
    }

    /// Runs a block of requests through the ledger and through the reference, and compares everything.
    pub(crate) fn block(&mut self, later_ms: u64, requests: &[Request]) {
        // A transaction lives for a minute.
        let requests = if later_ms < 60_000 { requests } else { &[] };
        let actions = requests.iter().flat_map(|request| self.actions(request)).collect();
        self.run(later_ms, actions);
    }

    /// Lets everything run out, and looks at the whole history once more.
    pub(crate) fn finish(&mut self) {
        let moments = [30_000, 30_000, 30_000, TWO_MONTHS_MS, TWO_MONTHS_MS, 1, 1, 1, 1, 1, 1];
        for later_ms in moments {
            self.run(later_ms, Vec::new());
        }
        assert!(self.world.proposals.values().all(|proposal| proposal.status.is_final()), "everything is over");
        assert!(self.world.disputes.values().all(|dispute| dispute.status.is_final()), "nothing is frozen for ever");
        self.compare_ends();
        self.models.iter().for_each(|id| invariants::history_adds_up(&self.ledger, *id));
        self.coverage.count_ends(&self.world);
    }

    fn run(&mut self, later_ms: u64, actions: Vec<(usize, Action)>) {
        let sign = |(by, action): (usize, Action)| {
            let account = self.accounts[by];
            (account, self.ledger.sign(account, &[signer(&self.world.accounts[&account].handle)], action))
        };
        let signed: Vec<(AccountId, Transaction)> = actions.into_iter().map(sign).collect();
        let transactions: Vec<Transaction> = signed.iter().map(|(_, transaction)| transaction.clone()).collect();
        let before = self.ledger.clone();
        let executed = self.ledger.block(later_ms, transactions);
        self.world.begin(self.ledger.tip.height.get(), self.ledger.tip.time.get());
        for ((sender, transaction), result) in signed.iter().zip(&executed.results) {
            let action = &transaction.body.action;
            let expected = self.world.apply(*sender, action, named(result.events.first()));
            let found = match &result.outcome {
                Outcome::Applied => Ok(()),
                Outcome::Rejected(rejection) => Err(rejection.code()),
            };
            assert_eq!(found, expected, "{:?}: {action:?}", result.outcome);
            self.coverage.count_outcome(action, found);
            self.note(result.events.first());
        }
        self.world.end();
        self.coverage.count_events(&executed, &self.world);
        self.compare(&before);
        self.check(&before, &executed);
    }

    fn check(&mut self, before: &TestLedger, executed: &Executed) {
        self.invariants.check(before, &self.ledger, executed);
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

/// The key of the account of a handle.
pub(crate) fn signer(handle: &Handle) -> SigningKey {
    let place = FOUNDERS.iter().chain(&GUESTS).position(|known| *known == handle.as_str());
    key(place.and_then(|place| u8::try_from(place).ok()).expect("a handle of this history"))
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
