//! A ledger for tests of the rules: a genesis with named accounts, blocks of signed transactions, no consensus.

use crate::map_state::MapState;
use allod_protocol::{
    ground::{
        crypto::{Domain, SigningKey},
        fraction::{Fraction, Portion},
        ids::{AccountId, Handle, NetworkId, Power, StateRoot, Timestamp},
        state::{Direction, Record, StateRead, page, read},
    },
    ledger::{
        block::{Block, Tip},
        execute::{Executed, Outcome, TransactionResult, execute},
        genesis::{Genesis, GenesisAccount, GenesisValidator},
    },
    rules::{
        account::KeyPolicy,
        action::Action,
        load,
        office::{AcceptOffice, Office, Tenure, TenureStatus},
        parameters::Parameters,
        policy::{Dormancy, ModelPolicy, NetworkPolicy, Risk, Rule},
        transaction::{Transaction, TransactionBody},
        validator::operation,
    },
};
use std::sync::OnceLock;

/// When the test ledgers begin, in milliseconds.
pub const GENESIS_TIME: u64 = 1_800_000_000_000;

/// A rule of `quorum` and `threshold` percent, more than 50 in place of 50, and a voting period of ten seconds.
pub fn rule(quorum: u16, threshold: u16) -> Rule {
    let threshold = if threshold == 50 { Portion::MAJORITY } else { percent(threshold) };
    Rule::new(percent(quorum), threshold, 10_000)
}

/// At least `value` of a hundred.
pub fn percent(value: u16) -> Portion {
    Portion::at_least(Fraction::percent(value.into()).unwrap_or(Fraction::WHOLE))
}

/// The same rule for every class, however few it lets decide.
pub fn policy(quorum: u16, threshold: u16) -> ModelPolicy {
    ModelPolicy { allow: vec![Risk::MinorityDecides], ..ModelPolicy::uniform(&rule(quorum, threshold)) }
}

/// Parameters for tests.
pub fn parameters() -> Parameters {
    Parameters {
        propose_timeout_ms: 500,
        vote_timeout_ms: 100,
        timeout_delta_ms: 100,
        rebroadcast_ms: 1_000,
        heartbeat_ms: 60_000,
        clock_drift_ms: 10_000,
        founder_quota: 3,
        transactions_per_account_per_block: 100,
        policy: NetworkPolicy {
            allow: vec![Risk::MinorityDecides, Risk::HastyDormancy],
            dormancy: Some(Dormancy { after_ms: 20_000 }),
            ..NetworkPolicy::uniform(&rule(50, 66))
        },
    }
}

/// The key of the account number `index` of a test genesis, and of its validator if it has one.
pub fn key(index: u8) -> SigningKey {
    // Histories ask for keys all the time, and deriving a public half costs as much as a signature.
    static KEYS: [OnceLock<SigningKey>; 256] = [const { OnceLock::new() }; 256];
    KEYS[usize::from(index)].get_or_init(|| SigningKey::from_seed(&[index + 1; 32])).clone()
}

/// That an account accepts to operate a validator, whose key agrees.
pub fn operates(network: NetworkId, operator: AccountId, validator: &SigningKey) -> Action {
    let proof = validator.sign(Domain::Operation, &operation(network, operator));
    let office = Office::Operator(validator.public_key());
    Action::AcceptOffice(AcceptOffice { office, proof: Some(proof) })
}

/// A genesis of the accounts given, the first four of them operating a validator each.
pub fn genesis(handles: &[&str]) -> Genesis {
    let handle = |text: &str| Handle::new(text).unwrap_or_else(|error| panic!("{error}"));
    let account = |(index, text): (u8, &&str)| GenesisAccount {
        handle: handle(text),
        keys: KeyPolicy::single(key(index).public_key()),
    };
    let validator = |(index, text): (u8, &&str)| GenesisValidator {
        key: SigningKey::from_seed(&[index + 101; 32]).public_key(),
        power: Power::new(1),
        operator: handle(text),
    };
    Genesis {
        name: "test".into(),
        time: Timestamp::new(GENESIS_TIME),
        parameters: parameters(),
        accounts: (0..).zip(handles).map(account).collect(),
        validators: (0..).zip(handles).take(4).map(validator).collect(),
    }
}

/// A ledger after a block, whatever keeps it: its state, and where it stands.
#[derive(Debug)]
pub struct View<'a, S> {
    /// The state.
    pub state: &'a S,
    /// Where it stands.
    pub tip: &'a Tip,
}

impl<S> Clone for View<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for View<'_, S> {}

impl<S: StateRead> View<'_, S> {
    /// Reads a record.
    pub fn read<R: Record>(&self, key: &R::Key) -> Option<R> {
        read(self.state, key).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A ledger that takes blocks of transactions.
#[derive(Clone, Debug)]
pub struct TestLedger {
    /// How it began.
    pub genesis: Genesis,
    /// The state.
    pub state: MapState,
    /// Where it stands. The state root is not computed.
    pub tip: Tip,
    nonce: u64,
}

impl TestLedger {
    /// A ledger at genesis.
    pub fn new(handles: &[&str]) -> Self {
        Self::of(genesis(handles))
    }

    /// The ledger of a genesis.
    pub fn of(genesis: Genesis) -> Self {
        let mut state = MapState::default();
        state.apply(genesis.state().unwrap_or_else(|error| panic!("{error}")));
        let tip = genesis.tip(StateRoot::from_bytes([0; 32])).unwrap_or_else(|error| panic!("{error}"));
        Self { genesis, state, tip, nonce: 0 }
    }

    /// The account of a founding handle.
    pub fn account(&self, handle: &str) -> AccountId {
        self.genesis.account_id(&Handle::new(handle).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Signs an action with the keys given.
    pub fn sign(&mut self, sender: AccountId, keys: &[SigningKey], action: Action) -> Transaction {
        self.nonce += 1;
        let (network, expires) = (self.tip.network, self.tip.time.plus_ms(60_000));
        TransactionBody { network, sender, nonce: self.nonce, expires, action, signers: Vec::new() }.sign(keys)
    }

    /// Signs an action as the founding account number `index`.
    pub fn sign_as(&mut self, index: u8, action: Action) -> Transaction {
        let handle = self.genesis.accounts[usize::from(index)].handle.clone();
        self.sign(self.genesis.account_id(&handle), &[key(index)], action)
    }

    /// Executes a block of these transactions, `later_ms` after the one before, having checked it as a validator does.
    pub fn block(&mut self, later_ms: u64, transactions: Vec<Transaction>) -> Executed {
        let proposer = self.tip.validators.proposer(self.tip.height.next(), 0).address;
        let block = Block::following(&self.tip, proposer, self.tip.time.plus_ms(later_ms), transactions);
        block.check(&self.tip, None, &|_| false).unwrap_or_else(|error| panic!("{error}"));
        let executed = execute(&self.state, &block).unwrap_or_else(|error| panic!("{error}"));
        for (transaction, work) in block.transactions().iter().zip(&executed.work.transactions) {
            let load = load::load_of(transaction);
            assert!(load.covers(work), "{}: {work:?} is more than {load:?}", transaction.body.action.name());
        }
        self.state.apply(executed.changes.clone());
        self.tip = self.tip.after(&block, self.tip.state_root, &executed.schedule);
        executed
    }

    /// Executes one transaction in a block of its own, one second later.
    pub fn run(&mut self, transaction: Transaction) -> TransactionResult {
        let mut results = self.block(1_000, vec![transaction]).results;
        results.remove(0)
    }

    /// Executes an action as the founding account number `index`, and expects it to apply.
    pub fn must(&mut self, index: u8, action: Action) -> TransactionResult {
        self.must_after(1_000, index, action)
    }

    /// The same, `later_ms` after the last block.
    pub fn must_after(&mut self, later_ms: u64, index: u8, action: Action) -> TransactionResult {
        let transaction = self.sign_as(index, action);
        let result = self.block(later_ms, vec![transaction]).results.remove(0);
        assert_eq!(result.outcome, Outcome::Applied, "{:?}", result.outcome);
        result
    }

    /// Executes an action as the founding account number `index`, and gives the code of the rule that refuses it.
    pub fn refused(&mut self, index: u8, action: Action) -> &'static str {
        let transaction = self.sign_as(index, action);
        match self.run(transaction).outcome {
            Outcome::Rejected(rejection) => rejection.code(),
            Outcome::Applied => panic!("it applied"),
        }
    }

    /// Every founding account accepts what it is offered, in as few blocks as there must be.
    pub fn accept_offers(&mut self) {
        let mut offers = Vec::new();
        for (index, founder) in (0..).zip(self.genesis.accounts.clone()) {
            let account = self.genesis.account_id(&founder.handle);
            let (tenures, _) = page::<Tenure>(&self.state, &account, None, Direction::Ascending, 1_000)
                .unwrap_or_else(|error| panic!("{error}"));
            let offered = tenures.into_iter().filter(|tenure| tenure.status == TenureStatus::Offered);
            offers.extend(offered.map(|tenure| (index, tenure.office)));
        }
        let accept = |(index, office)| self.sign_as(index, Action::AcceptOffice(AcceptOffice { office, proof: None }));
        let accepted: Vec<Transaction> = offers.into_iter().map(accept).collect();
        // As many as fit in a block.
        for some in accepted.chunks(256) {
            for result in self.block(1, some.to_vec()).results {
                assert_eq!(result.outcome, Outcome::Applied, "{:?}", result.outcome);
            }
        }
    }

    /// Reads a record.
    pub fn read<R: Record>(&self, key: &R::Key) -> Option<R> {
        self.view().read(key)
    }

    /// The ledger as it stands.
    pub fn view(&self) -> View<'_, MapState> {
        View { state: &self.state, tip: &self.tip }
    }
}
