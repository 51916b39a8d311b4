//! What clients ask of a simulated network: real transactions of the ledger, some of them of no use, and the decisions
//! that change who the validators are.

use super::machine::Committed;
use crate::ledger::{key, parameters, percent, policy};
use allod_protocol::{
    agreement::replica::Timeouts,
    ground::{
        crypto::{Domain, SigningKey},
        ids::{AccountId, Handle, ModelId, Name, Power, ProposalId, PublicKey, Timestamp, Units},
    },
    ledger::{
        block::Tip,
        genesis::{Genesis, GenesisAccount, GenesisValidator},
    },
    rules::{
        access::Distribution,
        account::KeyPolicy,
        action::Action,
        delegation::Delegate,
        event::Event,
        model::{CreateModel, FoundingLine},
        network::{AdmitValidator, RemoveValidator, ReweightValidator},
        office::{AcceptOffice, Office},
        parameters::Parameters,
        policy::{NetworkPolicy, Risk, Rule},
        proposal::{CastBallot, Choice, ModelAction, NetworkAction, OpenProposal, Question, Scope},
        share::{BurnShares, MintShares, TransferShares},
        transaction::{Transaction, TransactionBody},
        validator::operation,
    },
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Accounts that ask for something, the operators of the first peers among them.
const ACCOUNTS: u8 = 8;
/// Models that are founded in a run.
const MODELS: usize = 3;
/// How long members vote, in milliseconds of block time.
const VOTING_PERIOD_MS: u64 = 1_000;
/// How long a decision about validators is waited for before it is asked for again, in milliseconds of block time.
const PATIENCE_MS: u64 = 4_000;

/// The consensus key that a peer begins with.
pub(super) fn consensus_key(peer: usize) -> SigningKey {
    SigningKey::from_seed(&[u8::try_from(peer).expect("few peers") + 101; 32])
}

/// A genesis with so many validators, of one account each.
pub(super) fn genesis(validators: usize, timeouts: Timeouts) -> Genesis {
    let handle = |index: u8| Handle::new(format!("account-{index}")).expect("a handle");
    let account = |index| GenesisAccount { handle: handle(index), keys: KeyPolicy::single(key(index).public_key()) };
    let validator = |peer: usize| GenesisValidator {
        key: consensus_key(peer).public_key(),
        power: Power::new(1),
        operator: handle(u8::try_from(peer).expect("few peers")),
    };
    let rule = Rule::new(percent(50), percent(66), VOTING_PERIOD_MS);
    let parameters = Parameters {
        propose_timeout_ms: timeouts.propose_ms,
        vote_timeout_ms: timeouts.vote_ms,
        timeout_delta_ms: timeouts.delta_ms,
        rebroadcast_ms: timeouts.rebroadcast_ms,
        heartbeat_ms: 1_000,
        policy: NetworkPolicy { allow: vec![Risk::MinorityDecides], ..NetworkPolicy::uniform(&rule) },
        ..parameters()
    };
    Genesis {
        name: "simulated".into(),
        time: Timestamp::new(super::machine::EPOCH_MS),
        parameters,
        accounts: (0..ACCOUNTS).map(account).collect(),
        validators: (0..validators).map(validator).collect(),
    }
}

/// A set of validators that is wished for from a height on.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) height: u64,
    /// Which peers, with which power.
    pub(super) powers: Vec<(usize, u64)>,
}

/// Everybody who asks for something.
pub(super) struct Clients {
    genesis: Genesis,
    accounts: Vec<AccountId>,
    nonce: u64,
    models: Vec<ModelId>,
    asked: usize,
    proposals: Vec<ProposalId>,
    /// What was asked before, to be asked again.
    told: Vec<Transaction>,
    wishes: Vec<Wish>,
    /// When the wish at the head was asked for, in block time.
    wished_at: Option<u64>,
}

impl Clients {
    pub(super) fn new(genesis: Genesis, wishes: Vec<Wish>) -> Self {
        let accounts = genesis.accounts.iter().map(|account| genesis.account_id(&account.handle)).collect();
        Self {
            genesis,
            accounts,
            nonce: 0,
            models: Vec::new(),
            asked: 0,
            proposals: Vec::new(),
            told: Vec::new(),
            wishes,
            wished_at: None,
        }
    }

    /// Whether every wish for validators is met.
    pub(super) fn are_content(&self) -> bool {
        self.wishes.is_empty()
    }

    fn sign(&mut self, now_ms: u64, by: u8, action: Action) -> Transaction {
        self.nonce += 1;
        let (network, sender) = (self.genesis.network_id(), self.accounts[usize::from(by)]);
        let expires = Timestamp::new(now_ms + 60_000);
        TransactionBody { network, sender, nonce: self.nonce, expires, action, signers: Vec::new() }.sign(&[key(by)])
    }

    /// Something that somebody asks for.
    pub(super) fn any(&mut self, rng: &mut ChaCha8Rng, now_ms: u64) -> Transaction {
        let by = rng.random_range(0..ACCOUNTS);
        if !self.told.is_empty() && rng.random_bool(0.05) {
            return self.told[rng.random_range(0..self.told.len())].clone();
        }
        let transaction = match self.model(rng) {
            None => {
                let action = self.founding();
                self.sign(now_ms, 0, action)
            }
            Some(model) => {
                let action = self.of_model(rng, model);
                self.sign(now_ms, by, action)
            }
        };
        self.told.push(transaction.clone());
        transaction
    }

    fn model(&self, rng: &mut ChaCha8Rng) -> Option<ModelId> {
        let wants_another = self.asked < MODELS && (self.models.len() == self.asked && rng.random_bool(0.2));
        if self.models.is_empty() || wants_another {
            return None;
        }
        Some(self.models[rng.random_range(0..self.models.len())])
    }

    fn founding(&mut self) -> Action {
        self.asked += 1;
        let line = |account: &AccountId| FoundingLine { account: *account, units: Units::new(100), vesting: None };
        Action::CreateModel(CreateModel {
            name: Name::new(format!("model-{}", self.asked)).expect("a name"),
            description: String::new(),
            founding: self.accounts.iter().map(line).collect(),
            stewards: vec![self.accounts[0]],
            policy: policy(40, 50),
            licence: None,
            distribution: Distribution::default(),
            grants: Vec::new(),
        })
    }

    fn of_model(&self, rng: &mut ChaCha8Rng, model: ModelId) -> Action {
        let to = self.accounts[rng.random_range(0..self.accounts.len())];
        let units = Units::new(rng.random_range(0..20));
        match (rng.random_range(0..10), self.proposals.last()) {
            (0..5, _) => Action::TransferShares(TransferShares { model, to, units, reason: String::new() }),
            (5, _) => Action::BurnShares(BurnShares { model, units, reason: String::new() }),
            (6, _) => Action::Delegate(Delegate { model, to: Some(to), expires: None }),
            (7 | 8, Some(proposal)) => {
                let choice = if rng.random_bool(0.7) { Choice::Yes } else { Choice::No };
                Action::CastBallot(CastBallot::whole(*proposal, choice))
            }
            _ => {
                let mint = ModelAction::MintShares(MintShares { to, units, reason: String::new(), vesting: None });
                let (title, text) = ("Mint".into(), String::new());
                Action::OpenProposal(OpenProposal { question: Question::of_model(model, vec![mint]), title, text })
            }
        }
    }

    /// What is to be asked once a block is committed for the first time.
    pub(super) fn on_committed(&mut self, committed: &Committed, tip: &Tip) -> Vec<Transaction> {
        let now_ms = tip.time.get();
        let mut asked = Vec::new();
        for event in committed.executed.iter().flat_map(|result| &result.events) {
            match event {
                Event::ModelCreated { model, .. } => self.models.push(*model),
                Event::ProposalOpened { scope: Scope::Model(_), proposal, .. } => self.proposals.push(*proposal),
                Event::ProposalOpened { scope: Scope::Network, proposal, .. } => {
                    for by in 0..ACCOUNTS {
                        let vote = Action::CastBallot(CastBallot::whole(*proposal, Choice::Yes));
                        asked.push(self.sign(now_ms, by, vote));
                    }
                }
                _ => {}
            }
        }
        asked.extend(self.wish(tip));
        asked
    }

    /// Asks for the validators that are wished for by now, unless they are there or were asked for lately.
    fn wish(&mut self, tip: &Tip) -> Vec<Transaction> {
        let (height, now_ms) = (tip.height.get(), tip.time.get());
        let Some(wish) = self.wishes.first().filter(|wish| wish.height <= height).cloned() else { return Vec::new() };
        let wanted = |(peer, power): &(usize, u64)| (*peer, consensus_key(*peer).public_key(), Power::new(*power));
        let wanted: Vec<(usize, PublicKey, Power)> = wish.powers.iter().map(wanted).collect();
        let present = |key: &PublicKey| tip.next_validators.by_address(&key.validator_address()).map(|one| one.power);
        let mut actions = Vec::new();
        let mut asked = Vec::new();
        for (peer, key, power) in &wanted {
            match present(key) {
                Some(found) if found == *power => {}
                Some(_) => {
                    actions.push(NetworkAction::ReweightValidator(ReweightValidator { key: *key, power: *power }))
                }
                None => {
                    let by = u8::try_from(*peer).expect("few peers");
                    let operator = self.accounts[*peer];
                    actions.push(NetworkAction::AdmitValidator(AdmitValidator { key: *key, power: *power, operator }));
                    let said = operation(self.genesis.network_id(), operator);
                    let proof = Some(consensus_key(*peer).sign(Domain::Operation, &said));
                    let accepts = Action::AcceptOffice(AcceptOffice { office: Office::Operator(*key), proof });
                    asked.push(self.sign(now_ms, by, accepts));
                }
            }
        }
        for one in tip.next_validators.iter().filter(|one| wanted.iter().all(|(_, key, _)| *key != one.key)) {
            actions.push(NetworkAction::RemoveValidator(RemoveValidator { key: one.key }));
        }
        if actions.is_empty() {
            self.wishes.remove(0);
            self.wished_at = None;
            return Vec::new();
        }
        if self.wished_at.is_some_and(|at| now_ms < at + PATIENCE_MS) {
            return Vec::new();
        }
        self.wished_at = Some(now_ms);
        let (title, text) = ("Other validators".into(), String::new());
        let proposal = OpenProposal { question: Question::of_network(actions), title, text };
        asked.push(self.sign(now_ms, 0, Action::OpenProposal(proposal)));
        asked
    }
}
