//! A chain of blocks for tests, with any changes and transactions, and certificates that verify.

use allod_protocol::{
    ground::{
        crypto::{Domain, SigningKey},
        fraction::Portion,
        ids::{AccountId, Handle, Power, ProposalId, Timestamp},
        state::ChangeSet,
    },
    ledger::{
        block::{Block, CommitCertificate, CommitSignature, DecidedBlock, Tip, VoteBody, VoteKind},
        execute::{BlockWork, Executed, Outcome, TransactionResult},
        genesis::{Genesis, GenesisAccount, GenesisValidator},
    },
    rules::{
        account::KeyPolicy,
        action::Action,
        parameters::Parameters,
        policy::{NetworkPolicy, Rule},
        proposal::WithdrawProposal,
        transaction::{Transaction, TransactionBody},
        validator::{Validator, ValidatorSchedule, ValidatorSet},
    },
};

pub(crate) fn key(index: u8) -> SigningKey {
    SigningKey::from_seed(&[index; 32])
}

pub(crate) fn genesis() -> Genesis {
    genesis_named("test")
}

pub(crate) fn genesis_named(name: &str) -> Genesis {
    let handle = |index: u8| Handle::new(format!("member-{index}")).unwrap();
    Genesis {
        name: name.into(),
        time: Timestamp::new(1_700_000_000_000),
        parameters: Parameters {
            propose_timeout_ms: 500,
            vote_timeout_ms: 100,
            timeout_delta_ms: 100,
            rebroadcast_ms: 1_000,
            heartbeat_ms: 60_000,
            clock_drift_ms: 10_000,
            founder_quota: 3,
            transactions_per_account_per_block: 100,
            policy: NetworkPolicy::uniform(&Rule::new(Portion::WHOLE, Portion::TWO_THIRDS, 60_000)),
        },
        accounts: (1..=4)
            .map(|index| GenesisAccount { handle: handle(index), keys: KeyPolicy::single(key(index).public_key()) })
            .collect(),
        validators: (1..=4)
            .map(|index| GenesisValidator {
                key: key(index).public_key(),
                power: Power::new(1),
                operator: handle(index),
            })
            .collect(),
    }
}

/// Validators with the keys of these indexes.
pub(crate) fn set(indexes: &[u8]) -> ValidatorSet {
    let operator = AccountId::from_bytes([1; 32]);
    let validators: Vec<_> =
        indexes.iter().map(|index| Validator::new(key(*index).public_key(), Power::new(1), operator)).collect();
    validators.try_into().unwrap()
}

pub(crate) fn transaction(tip: &Tip, nonce: u64) -> Transaction {
    let action =
        Action::WithdrawProposal(WithdrawProposal { proposal: ProposalId::from_bytes([3; 32]), reason: String::new() });
    let sender = AccountId::from_bytes([1; 32]);
    TransactionBody {
        network: tip.network,
        sender,
        nonce,
        expires: tip.time.plus_ms(1_000),
        action,
        signers: Vec::new(),
    }
    .sign(&[key(1)])
}

/// The content of the block after a tip.
#[derive(Default)]
pub(crate) struct Next {
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) changes: ChangeSet,
    /// The set in force two blocks later, if it changes.
    pub(crate) validators: Option<ValidatorSet>,
}

impl Next {
    pub(crate) fn changes(changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Self {
        Self { changes: changes.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn after(self, tip: &Tip) -> (DecidedBlock, Executed) {
        let proposer = tip.validators.proposer(tip.height.next(), 0).address;
        let block = Block::following(tip, proposer, tip.time.plus_ms(1_000), self.transactions);
        let certificate = certify(tip, &block);
        let result = |transaction: &Transaction| TransactionResult {
            id: transaction.id(),
            outcome: Outcome::Applied,
            events: Vec::new(),
        };
        let executed = Executed {
            changes: self.changes,
            results: block.transactions().iter().map(result).collect(),
            deadline_events: Vec::new(),
            work: BlockWork::default(),
            schedule: ValidatorSchedule {
                current: tip.next_validators.clone(),
                next: self.validators.unwrap_or_else(|| tip.next_validators.clone()),
            },
        };
        (DecidedBlock { block, certificate }, executed)
    }
}

fn certify(tip: &Tip, block: &Block) -> CommitCertificate {
    let (height, hash) = (block.header().height, block.hash());
    let keys =
        (1..=8).map(key).filter(|key| tip.validators.by_address(&key.public_key().validator_address()).is_some());
    let signatures = keys.map(|key| {
        let validator = key.public_key().validator_address();
        let body = VoteBody {
            network: tip.network,
            kind: VoteKind::Precommit,
            height,
            round: 0,
            block: Some(hash),
            validator,
        };
        CommitSignature { validator, signature: key.sign(Domain::Vote, &body.signing_bytes()) }
    });
    CommitCertificate { height, round: 0, block: hash, signatures: signatures.collect() }
}
