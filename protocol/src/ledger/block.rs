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

/// The header of a block. Its hash is the block's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Header {
    /// The network.
    pub network: NetworkId,
    /// The height of the block.
    pub height: Height,
    /// The proposer's clock, strictly later than the parent's.
    pub time: Timestamp,
    /// The validator that built it, not always the one that proposed it in the round that decided it.
    pub proposer: ValidatorAddress,
    /// The hash of the previous block; for the first block, the bytes of the network id.
    pub parent: BlockHash,
    /// The hash of the transactions, including their signatures.
    pub transactions_root: TransactionsRoot,
    /// The state root after the parent was executed. It is deliberately one block late.
    pub state_root: StateRoot,
    /// The hash of the set that decides this block.
    pub validators: ValidatorSetHash,
    /// The hash of the set that decides the next block.
    pub next_validators: ValidatorSetHash,
}

impl Header {
    /// The block's hash.
    pub fn hash(&self) -> BlockHash {
        BlockHash::from_bytes(crypto::hash(Domain::Block, &codec::encode(self)))
    }
}

/// A header and its transactions, with the hash computed once. Cheap to clone; two blocks are equal if their hashes
/// are.
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

/// What a validator knows before a block is proposed, and what the block must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The network.
    pub network: NetworkId,
    /// The height of the last executed block; 0 at genesis.
    pub height: Height,
    /// The hash of that block; the bytes of the network id at genesis.
    pub hash: BlockHash,
    /// The time of that block; genesis time at genesis.
    pub time: Timestamp,
    /// The state root after that block.
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

    /// The record of a consensus key that was removed for good and decides neither the next block nor the one after it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn retired(&self, state: &impl StateRead, key: &PublicKey) -> Result<Option<RetiredKey>, StateError> {
        if self.has_key(key) { Ok(None) } else { read(state, key) }
    }

    /// The tip after the next block, given the state root and the validator sets that executing it led to.
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
        /// The block's time.
        time: Timestamp,
        /// The parent's time.
        parent: Timestamp,
    },
    /// The block's time is too far from this validator's clock.
    #[error("block time {time} ms is more than {drift_ms} ms away from this peer's clock, {now} ms")]
    TimeDrift {
        /// The block's time.
        time: Timestamp,
        /// This peer's clock.
        now: Timestamp,
        /// The maximum difference, in milliseconds.
        drift_ms: u64,
    },
    /// The block has too many transactions.
    #[error("{0} transactions are more than the {max} allowed", max = limits::BLOCK_TRANSACTIONS)]
    TooManyTransactions(usize),
    /// The block has too many bytes.
    #[error("{0} bytes are more than the {max} allowed", max = limits::BLOCK_SIZE_BYTES)]
    TooLarge(usize),
    /// The transactions weigh too much.
    #[error("the transactions weigh {0}, more than the {max} allowed", max = limits::BLOCK_WEIGHT)]
    TooHeavy(Weight),
    /// The transactions of one sender weigh too much.
    #[error("the transactions of account {account} weigh {weight}, more than the {max} of one sender", max = limits::SENDER_WEIGHT)]
    SenderTooHeavy {
        /// The sender.
        account: AccountId,
        /// The weight of its transactions.
        weight: Weight,
    },
    /// The same transaction is in the block twice.
    #[error("transaction {0} stands in the block twice")]
    Repeated(TransactionId),
    /// A transaction that no state could make valid.
    #[error("transaction {index} is invalid: {reason}")]
    Transaction {
        /// Its index in the block.
        index: usize,
        /// The rule it breaks.
        reason: Invalid,
    },
}

impl Block {
    /// Combines a header and transactions; [`Block::check`] checks whether they agree.
    pub fn new(header: Header, transactions: Vec<Transaction>) -> Self {
        Self(Arc::new(Sealed { hash: header.hash(), header, transactions }))
    }

    /// Builds the block that follows `tip`. If the clock went back, `time` is set later than the parent's time.
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

    /// Checks every rule that needs no execution, including signatures, against what this validator knows.
    ///
    /// `clock` is this validator's clock, and `drift_ms` how far block time may differ from it; `None` for a block that
    /// already has a commit certificate, whose time others have judged. `verified` tells whether this peer has already
    /// checked these very signatures of a transaction.
    ///
    /// # Errors
    /// The first rule that is broken.
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

    /// Checks that the header belongs to a block after the tip.
    ///
    /// # Errors
    /// The first field that does not match.
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

/// Checked before any signature: checking signatures is work too.
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

/// The hash of the transactions, in order, including their signatures: an id does not cover the signatures, and which
/// keys signed decides what a transaction does.
pub fn transactions_root(transactions: &[Transaction]) -> TransactionsRoot {
    TransactionsRoot::from_bytes(crypto::hash(Domain::Transactions, &codec::encode(transactions)))
}

/// One of the two votes of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoteKind {
    /// The first vote: for a block that arrived in time and breaks no rule.
    Prevote,
    /// The second vote: for a block that more than two thirds prevoted.
    Precommit,
}

/// The content of a vote, without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteBody {
    /// The network, so that a vote is void on another.
    pub network: NetworkId,
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The height voted on.
    pub height: Height,
    /// The round of that height.
    pub round: u32,
    /// The block. `None` means nil.
    pub block: Option<BlockHash>,
    /// The voting validator.
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitSignature {
    /// The signer.
    pub validator: ValidatorAddress,
    /// The signature over the precommit's [`VoteBody`].
    pub signature: Signature,
}

/// The precommits of more than two thirds of the power, which make a block final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitCertificate {
    /// The height decided.
    pub height: Height,
    /// The round that decided it.
    pub round: u32,
    /// The block decided.
    pub block: BlockHash,
    /// The precommits, one per validator.
    pub signatures: Vec<CommitSignature>,
}

/// Why a certificate does not prove a decision.
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
    /// A signer is not in the set.
    #[error("validator {0} is not in the set of height {1}")]
    UnknownValidator(ValidatorAddress, Height),
    /// The same validator signed twice.
    #[error("validator {0} signed the certificate twice")]
    Repeated(ValidatorAddress),
    /// A signature does not verify.
    #[error("the signature of validator {0} does not verify")]
    Signature(ValidatorAddress),
    /// The signers do not have enough power.
    #[error("power {signed} is not more than two thirds of {total}")]
    NotEnoughPower {
        /// The power that signed.
        signed: Power,
        /// The power of the set.
        total: Power,
    },
}

impl CommitCertificate {
    /// Checks that the certificate names a block.
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

/// Why a decided block must not be committed.
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
    /// Checks that the certificate names the block, but not that it proves anything.
    ///
    /// # Errors
    /// [`InvalidCertificate::OtherBlock`].
    pub fn check_names(&self) -> Result<(), InvalidCertificate> {
        self.certificate.check_names(self.block.header().height, self.block.hash())
    }

    /// Checks that the block is decided and follows the tip: everything that a peer requires of a block from another
    /// peer. `verified` tells whether this peer has already checked these very signatures of a transaction.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, tip: &Tip, verified: &impl Fn(&Transaction) -> bool) -> Result<(), InvalidDecision> {
        self.check_names()?;
        self.block.check_follows(tip)?;
        self.certificate.verify(tip.network, &tip.validators)?;
        Ok(self.block.check_transactions(tip, verified)?)
    }
}
