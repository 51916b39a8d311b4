//! One history: a ledger and the reference, block by block.

use super::{
    coverage::Coverage,
    invariants::{self, Invariants},
    policies::policy,
    request::{Story, StoryBlock},
};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{
            AccountId, ContentHash, ContributionId, DisputeId, Handle, IncidentId, ModelId, Name, ProposalId, Units,
        },
    },
    ledger::execute::{Executed, Outcome},
    rules::{
        access::Distribution,
        account::{KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        event::Event,
        model::{CreateModel, FoundingLine, ParentGrant},
        share::Vesting,
        transaction::Transaction,
    },
};
use allod_tests::{
    ledger::{TestLedger, key, parameters},
    reference::{Account, World},
};
use std::collections::BTreeMap;

const FOUNDERS: [&str; 6] = ["northfield", "lakeside", "hilltop", "riverbend", "seafront", "oldbridge"];

/// Who founds a network beside them where many are wanted.
const MORE: [&str; 18] = [
    "alder", "ash", "aspen", "beech", "birch", "cedar", "elm", "fir", "hazel", "juniper", "larch", "maple", "oak",
    "pine", "rowan", "spruce", "willow", "yew",
];

const TWO_MONTHS_MS: u64 = 61 * 24 * 60 * 60 * 1_000;

/// How many key policies an account has at one time or another.
const KEYS: u8 = 6;

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
        let mut history = Self::of(&FOUNDERS, if story.is_huge { HUGE } else { 1 });
        history.found("one", story.policies[0], &[40, 30, 20, 10], Vec::new());
        let grants = vec![ParentGrant { parent: history.models[0], units: history.scaled(13) }];
        history.found("two", story.policies[1], &[7, 7, 7, 7, 7, 7], grants);
        let accepted = history.accept_offers(u32::MAX);
        history.run(1_000, 0, accepted);
        history
    }

    /// A model in which more accounts hold the same than can challenge one thing.
    pub(crate) fn of_many(policy: u8) -> Self {
        let founders: Vec<&str> = FOUNDERS.into_iter().chain(MORE).collect();
        let mut history = Self::of(&founders, 1);
        history.found("one", policy, &[12; FOUNDERS.len() + MORE.len()], Vec::new());
        let accepted = history.accept_offers(u32::MAX);
        history.run(1_000, 0, accepted);
        history
    }

    fn of(founders: &[&str], scale: u64) -> Self {
        let ledger = TestLedger::new(founders);
        let accounts: Vec<AccountId> = founders.iter().map(|handle| ledger.account(handle)).collect();
        let handles = ledger.genesis.accounts.iter().map(|account| account.handle.clone());
        let founders = accounts.iter().copied().zip(handles).map(|(id, handle)| (id, handle.clone(), keys(&handle, 0)));
        let world = World::new(founders, parameters().founder_quota, parameters().policy);
        Self {
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
            scale,
            invariants: Invariants::default(),
        }
    }

    pub(crate) fn scaled(&self, units: u64) -> Units {
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
        self.run(1_000, 0, vec![(0, Action::CreateModel(action))]);
    }

    /// Runs a block of requests through the ledger and through the reference, and compares everything.
    pub(crate) fn block(&mut self, block: &StoryBlock) {
        // A transaction lives for a minute.
        let requests = if block.later_ms < 60_000 { &block.requests[..] } else { &[] };
        let actions = requests.iter().flat_map(|request| self.actions(request)).collect();
        self.run(block.later_ms, block.hands, actions);
    }

    /// Lets everything run out, and looks at the whole history once more.
    pub(crate) fn finish(&mut self) {
        let moments = [30_000, 30_000, 30_000, TWO_MONTHS_MS, TWO_MONTHS_MS, 1, 1, 1, 1, 1, 1];
        for later_ms in moments {
            self.run(later_ms, 0, Vec::new());
        }
        assert!(self.world.proposals.values().all(|proposal| proposal.status.is_final()), "everything is over");
        assert!(self.world.disputes.values().all(|dispute| dispute.status.is_final()), "nothing is frozen for ever");
        let settled = |account: &Account| account.suspended || account.unsettled.is_none();
        assert!(self.world.accounts.values().all(settled), "everything is settled");
        self.compare_ends();
        self.models.iter().for_each(|id| invariants::history_adds_up(&self.ledger, *id));
        self.coverage.count_ends(&self.world);
    }

    /// Each account signs with the keys that it has by its turn, if what it asked before in the block applies.
    fn sign(&mut self, hands: u64, actions: Vec<(usize, Action)>) -> Vec<(AccountId, Transaction)> {
        let mut replaced: BTreeMap<AccountId, KeyPolicy> = BTreeMap::new();
        let mut signed = Vec::new();
        for (number, (by, action)) in actions.into_iter().enumerate() {
            let account = self.accounts[by];
            let Account { handle, keys, .. } = &self.world.accounts[&account];
            let hand = Hand::of(hands >> (3 * (number % 21)) & 7);
            let present = replaced.get(&account).filter(|_| hand != Hand::Late).unwrap_or(keys);
            let settled = self.world.settled_keys(account);
            let signers = match hand {
                Hand::Last | Hand::All if action.is_of_keys() => Hand::All.signers(handle, &settled),
                hand => hand.signers(handle, present),
            };
            if let Action::RotateKeys(RotateKeys { keys }) = &action {
                replaced.insert(account, keys.clone());
            }
            signed.push((account, self.ledger.sign(account, &signers, action)));
        }
        signed
    }

    pub(crate) fn run(&mut self, later_ms: u64, hands: u64, actions: Vec<(usize, Action)>) {
        let signed = self.sign(hands, actions);
        let transactions: Vec<Transaction> = signed.iter().map(|(_, transaction)| transaction.clone()).collect();
        let before = self.ledger.clone();
        let executed = self.ledger.block(later_ms, transactions);
        self.world.begin(self.ledger.tip.height.get(), self.ledger.tip.time.get());
        for ((sender, transaction), result) in signed.iter().zip(&executed.results) {
            let (action, signers) = (&transaction.body.action, transaction.body.signers.as_slice());
            let expected = self.world.apply(*sender, (action, signers), named(result.events.first()));
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

/// Which of its keys an account signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hand {
    /// As many as are needed, the first ones.
    First,
    /// The same, the last ones.
    Last,
    /// All of them.
    All,
    /// One of those that it had before the block.
    Late,
}

impl Hand {
    const fn of(bits: u64) -> Self {
        match bits {
            0..=3 => Self::First,
            4 | 5 => Self::Last,
            6 => Self::All,
            _ => Self::Late,
        }
    }

    fn signers(self, handle: &Handle, keys: &KeyPolicy) -> Vec<SigningKey> {
        let mut held: Vec<SigningKey> = ring(handle).into_iter().filter(|one| keys.has(&one.public_key())).collect();
        let needed = keys.threshold as usize;
        match self {
            Self::First => held.truncate(needed),
            Self::Last => drop(held.drain(..held.len() - needed)),
            Self::All => {}
            Self::Late => held.truncate(1),
        }
        held
    }
}

/// The keys that an account of a handle ever has, the one that it begins with first.
fn ring(handle: &Handle) -> [SigningKey; 3] {
    let place = FOUNDERS.iter().chain(&MORE).chain(&GUESTS).position(|known| *known == handle.as_str());
    let place = place.and_then(|place| u8::try_from(place).ok()).expect("a handle of this history");
    [key(place), key(60 + place), key(150 + place)]
}

/// Keys that an account of a handle can have, each with a weight of 1; number 0 is what it begins with.
pub(crate) fn keys(handle: &Handle, number: u8) -> KeyPolicy {
    let [first, second, third] = ring(handle).map(|key| WeightedKey { key: key.public_key(), weight: 1 });
    let (threshold, keys) = match number % KEYS {
        0 => (1, vec![first]),
        1 => (1, vec![second]),
        2 => (1, vec![first, second]),
        3 => (2, vec![first, second]),
        4 => (2, vec![second, third]),
        _ => (2, vec![third, first, second]),
    };
    KeyPolicy { threshold, keys }
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
