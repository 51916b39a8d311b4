//! Blocks, and the certificate that makes one final.

use crate::{
    ground::{
        codec,
        crypto::{self, Domain},
        ids::{
            AccountId, BlockHash, Height, NetworkId, Power, PublicKey, Signature, StateRoot, Timestamp, TransactionId,
            TransactionsRoot, ValidatorAddress, ValidatorSetHash,
        },
        invalid::Invalid,
        limits,
        state::{StateError, StateRead, read},
        weight::Weight,
    },
    rules::{
        load,
        network::RetiredKey,
        transaction::Transaction,
        validator::{ValidatorSchedule, ValidatorSet},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// What a block says of itself. Its hash is the block's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The network.
    pub network: NetworkId,
    /// The place on the ledger.
    pub height: Height,
    /// The proposer's clock, strictly later than the parent's.
    pub time: Timestamp,
    /// Who built it (not always who proposed it in the round that decided it).
    pub proposer: ValidatorAddress,
    /// The hash of the block before; that of the first block is the network id's bytes.
    pub parent: BlockHash,
    /// The hash of the transactions, signatures included.
    pub transactions_root: TransactionsRoot,
    /// The state root after the parent was executed: one block late, on purpose.
    pub state_root: StateRoot,
    /// The set that decides this block.
    pub validators: ValidatorSetHash,
    /// The set that decides the next one.
    pub next_validators: ValidatorSetHash,
}

impl Header {
    /// The block's hash.
    pub fn hash(&self) -> BlockHash {
        BlockHash::from_bytes(crypto::hash(Domain::Block, &codec::encode(self)))
    }
}

/// A header and its transactions, with the hash computed once. Cheap to clone; two are equal if their hashes are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "BlockRecord", into = "BlockRecord")]
pub struct Block(Arc<Sealed>);

struct Sealed {
    hash: BlockHash,
    header: Header,
    transactions: Vec<Transaction>,
}

#[derive(Serialize, Deserialize)]
struct BlockRecord {
    header: Header,
    transactions: Vec<Transaction>,
}

impl From<BlockRecord> for Block {
    fn from(record: BlockRecord) -> Self {
        Self::new(record.header, record.transactions)
    }
}

impl From<Block> for BlockRecord {
    fn from(block: Block) -> Self {
        Self { header: block.0.header.clone(), transactions: block.0.transactions.clone() }
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}
impl Eq for Block {}
impl PartialOrd for Block {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Block {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.hash.cmp(&other.0.hash)
    }
}
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}, {}, {} transactions)", self.0.header.height, self.0.hash, self.0.transactions.len())
    }
}

/// What a validator knows before a block is proposed, and what the block must agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The network.
    pub network: NetworkId,
    /// The height of the last executed block; 0 at genesis.
    pub height: Height,
    /// Its hash; the network id's bytes at genesis.
    pub hash: BlockHash,
    /// Its time; genesis time at genesis.
    pub time: Timestamp,
    /// The state root after it.
    pub state_root: StateRoot,
    /// The set that decides the next block.
    pub validators: ValidatorSet,
    /// The set that decides the block after that.
    pub next_validators: ValidatorSet,
}

impl Tip {
    /// Whether a consensus key is in the set that decides the next block, or the one after it.
    pub fn has_key(&self, key: &PublicKey) -> bool {
        let address = key.validator_address();
        [&self.validators, &self.next_validators].iter().any(|set| set.by_address(&address).is_some())
    }

    /// The record of a consensus key that was removed for good, and decides neither the next block nor the one after it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn retired(&self, state: &impl StateRead, key: &PublicKey) -> Result<Option<RetiredKey>, StateError> {
        if self.has_key(key) { Ok(None) } else { read(state, key) }
    }

    /// Where the ledger stands after the next block, given what executing it made of the root and the sets.
    #[must_use]
    pub fn after(&self, block: &Block, state_root: StateRoot, schedule: &ValidatorSchedule) -> Self {
        Self {
            network: self.network,
            height: block.header().height,
            hash: block.hash(),
            time: block.header().time,
            state_root,
            validators: schedule.current.clone(),
            next_validators: schedule.next.clone(),
        }
    }
}

/// Why a block breaks a rule that can be checked without executing it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlock {
    /// A field of the header is not what the ledger says it must be.
    #[error("block {hash} has the wrong {field}")]
    Field {
        /// The block.
        hash: BlockHash,
        /// The field.
        field: &'static str,
    },
    /// The block's time is not later than its parent's.
    #[error("block time {time} ms is not later than the parent's {parent} ms")]
    TimeNotLater {
        /// The block's.
        time: Timestamp,
        /// The parent's.
        parent: Timestamp,
    },
    /// The block's time is too far from this validator's clock.
    #[error("block time {time} ms is more than {drift_ms} ms away from this peer's clock, {now} ms")]
    TimeDrift {
        /// The block's.
        time: Timestamp,
        /// This peer's clock.
        now: Timestamp,
        /// The bound.
        drift_ms: u64,
    },
    /// Too many transactions.
    #[error("{0} transactions are more than the {max} allowed", max = limits::BLOCK_TRANSACTIONS)]
    TooManyTransactions(usize),
    /// Too many bytes.
    #[error("{0} bytes are more than the {max} allowed", max = limits::BLOCK_SIZE_BYTES)]
    TooLarge(usize),
    /// Too much work.
    #[error("the transactions weigh {0}, more than the {max} allowed", max = limits::BLOCK_WEIGHT)]
    TooHeavy(Weight),
    /// Too much work for one sender.
    #[error("the transactions of account {account} weigh {weight}, more than the {max} of one sender", max = limits::SENDER_WEIGHT)]
    SenderTooHeavy {
        /// Whose.
        account: AccountId,
        /// What they weigh.
        weight: Weight,
    },
    /// The same transaction twice.
    #[error("transaction {0} stands in the block twice")]
    Repeated(TransactionId),
    /// A transaction that no state could make valid.
    #[error("transaction {index} is invalid: {reason}")]
    Transaction {
        /// Its place.
        index: usize,
        /// Why.
        reason: Invalid,
    },
}

impl Block {
    /// Seals a header and transactions; whether they agree is what [`Block::check`] says.
    pub fn new(header: Header, transactions: Vec<Transaction>) -> Self {
        Self(Arc::new(Sealed { hash: header.hash(), header, transactions }))
    }

    /// Builds the block that follows `tip`. `time` is moved later than the parent's if the clock went back.
    pub fn following(tip: &Tip, proposer: ValidatorAddress, clock: Timestamp, transactions: Vec<Transaction>) -> Self {
        let header = Header {
            network: tip.network,
            height: tip.height.next(),
            time: clock.max(tip.time.plus_ms(1)),
            proposer,
            parent: tip.hash,
            transactions_root: transactions_root(&transactions),
            state_root: tip.state_root,
            validators: tip.validators.hash(),
            next_validators: tip.next_validators.hash(),
        };
        Self::new(header, transactions)
    }

    /// The block's hash.
    pub fn hash(&self) -> BlockHash {
        self.0.hash
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The transactions, in order.
    pub fn transactions(&self) -> &[Transaction] {
        &self.0.transactions
    }

    /// Every rule that needs no execution, signatures included, against what this validator knows.
    ///
    /// `clock` is this validator's, `drift_ms` how far block time may be from it; `None` for a block that already has
    /// a commit certificate, whose time others have judged. `verified` says of a transaction whether these very
    /// signatures were already checked by this peer.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn check(
        &self,
        tip: &Tip,
        clock: Option<(Timestamp, u64)>,
        verified: &impl Fn(&Transaction) -> bool,
    ) -> Result<(), InvalidBlock> {
        let header = self.header();
        self.check_follows(tip)?;
        if let Some((now, drift_ms)) = clock
            && header.time.get().abs_diff(now.get()) > drift_ms
        {
            return Err(InvalidBlock::TimeDrift { time: header.time, now, drift_ms });
        }
        self.check_transactions(tip, verified)
    }

    /// That the header is one of a block after the tip.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn check_follows(&self, tip: &Tip) -> Result<(), InvalidBlock> {
        let header = self.header();
        let fields = [
            (header.network == tip.network, "network"),
            (header.height == tip.height.next(), "height"),
            (header.parent == tip.hash, "parent"),
            (header.state_root == tip.state_root, "state root"),
            (tip.validators.by_address(&header.proposer).is_some(), "proposer"),
            (header.validators == tip.validators.hash(), "validator set hash"),
            (header.next_validators == tip.next_validators.hash(), "next validator set hash"),
        ];
        if let Some((_, field)) = fields.into_iter().find(|(holds, _)| !holds) {
            return Err(InvalidBlock::Field { hash: self.hash(), field });
        }
        if header.time <= tip.time {
            return Err(InvalidBlock::TimeNotLater { time: header.time, parent: tip.time });
        }
        Ok(())
    }

    fn check_transactions(&self, tip: &Tip, verified: &impl Fn(&Transaction) -> bool) -> Result<(), InvalidBlock> {
        let transactions = self.transactions();
        if transactions.len() > limits::BLOCK_TRANSACTIONS {
            return Err(InvalidBlock::TooManyTransactions(transactions.len()));
        }
        let size = codec::encode(self).len();
        if size > limits::BLOCK_SIZE_BYTES {
            return Err(InvalidBlock::TooLarge(size));
        }
        if self.header().transactions_root != transactions_root(transactions) {
            return Err(InvalidBlock::Field { hash: self.hash(), field: "transactions root" });
        }
        check_weights(transactions)?;
        let mut seen = BTreeSet::new();
        for (index, transaction) in transactions.iter().enumerate() {
            let id = transaction.id();
            if !seen.insert(id) {
                return Err(InvalidBlock::Repeated(id));
            }
            let refused = |reason| InvalidBlock::Transaction { index, reason };
            transaction.check_form(tip.network).map_err(refused)?;
            if !verified(transaction) {
                transaction.check_signatures().map_err(refused)?;
            }
        }
        Ok(())
    }
}

/// Before any signature is checked: that is work too.
fn check_weights(transactions: &[Transaction]) -> Result<(), InvalidBlock> {
    let mut all = Weight::ZERO;
    let mut senders = BTreeMap::new();
    for transaction in transactions {
        let weight = load::of(transaction);
        all = all.plus(weight);
        let sender = senders.entry(transaction.body.sender).or_insert(Weight::ZERO);
        *sender = sender.plus(weight);
    }
    if all > limits::BLOCK_WEIGHT {
        return Err(InvalidBlock::TooHeavy(all));
    }
    match senders.into_iter().find(|(_, weight)| *weight > limits::SENDER_WEIGHT) {
        Some((account, weight)) => Err(InvalidBlock::SenderTooHeavy { account, weight }),
        None => Ok(()),
    }
}

/// The hash of the transactions, in order, signatures included: an id does not cover the signatures, and which keys
/// signed decides what a transaction does.
pub fn transactions_root(transactions: &[Transaction]) -> TransactionsRoot {
    TransactionsRoot::from_bytes(crypto::hash(Domain::Transactions, &codec::encode(transactions)))
}

/// Which of the two votes of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoteKind {
    /// The first vote: for a block that arrived in time and breaks no rule.
    Prevote,
    /// The second: for a block that more than two thirds prevoted.
    Precommit,
}

/// What a vote says, without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteBody {
    /// The network, so that a vote means nothing on another.
    pub network: NetworkId,
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The height voted on.
    pub height: Height,
    /// The round of that height.
    pub round: u32,
    /// The block, or nil.
    pub block: Option<BlockHash>,
    /// Who votes.
    pub validator: ValidatorAddress,
}

impl VoteBody {
    /// The bytes that the validator signs in [`Domain::Vote`].
    pub fn signing_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// One precommit of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitSignature {
    /// Who signed.
    pub validator: ValidatorAddress,
    /// Over the precommit's [`VoteBody`].
    pub signature: Signature,
}

/// The precommits of more than two thirds of the power: what makes a block final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitCertificate {
    /// The height decided.
    pub height: Height,
    /// The round that decided it.
    pub round: u32,
    /// The block decided.
    pub block: BlockHash,
    /// The precommits, each validator's once.
    pub signatures: Vec<CommitSignature>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// It is for another block.
    #[error("the certificate is for block {block} of height {height}, which is another")]
    OtherBlock {
        /// The height that it names.
        height: Height,
        /// The block that it names.
        block: BlockHash,
    },
    /// A signer who is not in the set.
    #[error("validator {0} is not in the set of height {1}")]
    UnknownValidator(ValidatorAddress, Height),
    /// The same validator twice.
    #[error("validator {0} signed the certificate twice")]
    Repeated(ValidatorAddress),
    /// A signature that does not verify.
    #[error("the signature of validator {0} does not verify")]
    Signature(ValidatorAddress),
    /// Not enough power.
    #[error("power {signed} is not more than two thirds of {total}")]
    NotEnoughPower {
        /// Power that signed.
        signed: Power,
        /// Power of the set.
        total: Power,
    },
}

impl CommitCertificate {
    /// That it names a block.
    ///
    /// # Errors
    /// [`InvalidCertificate::OtherBlock`].
    pub fn check_names(&self, height: Height, block: BlockHash) -> Result<(), InvalidCertificate> {
        if (self.height, self.block) == (height, block) {
            return Ok(());
        }
        Err(InvalidCertificate::OtherBlock { height: self.height, block: self.block })
    }

    /// Checks that more than two thirds of `validators` precommitted the block.
    ///
    /// # Errors
    /// See [`InvalidCertificate`].
    pub fn verify(&self, network: NetworkId, validators: &ValidatorSet) -> Result<(), InvalidCertificate> {
        let mut seen = BTreeSet::new();
        let mut signed = 0u64;
        for commit in &self.signatures {
            let validator = validators
                .by_address(&commit.validator)
                .ok_or(InvalidCertificate::UnknownValidator(commit.validator, self.height))?;
            if !seen.insert(commit.validator) {
                return Err(InvalidCertificate::Repeated(commit.validator));
            }
            let body = VoteBody {
                network,
                kind: VoteKind::Precommit,
                height: self.height,
                round: self.round,
                block: Some(self.block),
                validator: commit.validator,
            };
            if !validator.key.verifies(Domain::Vote, &body.signing_bytes(), &commit.signature) {
                return Err(InvalidCertificate::Signature(commit.validator));
            }
            signed = signed.saturating_add(validator.power.get());
        }
        let signed = Power::new(signed);
        if validators.is_quorum(signed) {
            Ok(())
        } else {
            Err(InvalidCertificate::NotEnoughPower { signed, total: validators.total_power() })
        }
    }
}

/// A block with the certificate that made it final: what catch-up sends and storage keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedBlock {
    /// The block.
    pub block: Block,
    /// Its certificate.
    pub certificate: CommitCertificate,
}

/// Why a decided block is not to be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecision {
    /// Its certificate does not prove it.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
    /// It breaks a rule, or does not follow the tip.
    #[error(transparent)]
    Block(#[from] InvalidBlock),
}

impl DecidedBlock {
    /// That the certificate names the block; not that it proves anything.
    ///
    /// # Errors
    /// [`InvalidCertificate::OtherBlock`].
    pub fn check_names(&self) -> Result<(), InvalidCertificate> {
        self.certificate.check_names(self.block.header().height, self.block.hash())
    }

    /// Whether it is decided and is the block after the tip: all that a peer asks of a block that another one sends.
    /// `verified` says of a transaction whether these very signatures were already checked by this peer.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn verify(&self, tip: &Tip, verified: &impl Fn(&Transaction) -> bool) -> Result<(), InvalidDecision> {
        self.check_names()?;
        self.block.check_follows(tip)?;
        self.certificate.verify(tip.network, &tip.validators)?;
        Ok(self.block.check_transactions(tip, verified)?)
    }
}
