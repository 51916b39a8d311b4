//! Blocks, and the transactions in them.

use allod_protocol::{
    ground::ids::{BlockHash, Height, Timestamp, TransactionId, ValidatorAddress},
    ledger::{
        block::{CommitCertificate, Header},
        execute::TransactionResult,
    },
    rules::{event::Event, transaction::Transaction},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A block in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockSummary {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time, in milliseconds since 1970.
    pub time: Timestamp,
    /// Who built it.
    pub proposer: ValidatorAddress,
    /// The round that decided it.
    pub round: u32,
    /// How many transactions it holds.
    pub transactions: usize,
}

/// When a block was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockTime {
    /// Its height.
    pub height: Height,
    /// Its time, in milliseconds since 1970.
    pub time: Timestamp,
}

/// A block with everything in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// Its hash.
    pub hash: BlockHash,
    /// Its header.
    pub header: Header,
    /// The precommits that made it final.
    pub certificate: CommitCertificate,
    /// What deadlines did, before the transactions.
    pub deadline_events: Vec<Event>,
    /// The transactions, in order.
    pub transactions: Vec<BlockTransaction>,
}

/// A transaction inside a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockTransaction {
    /// Its id.
    pub id: TransactionId,
    /// Itself.
    pub transaction: Transaction,
    /// What became of it.
    pub result: TransactionResult,
}

/// A transaction on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionView {
    /// Its id.
    pub id: TransactionId,
    /// The block that holds it.
    pub height: Height,
    /// The block's time, in milliseconds since 1970.
    pub time: Timestamp,
    /// Its place in the block, from 0.
    pub index: usize,
    /// What it costs every peer, in units of weight.
    pub weight: u64,
    /// Itself.
    pub transaction: Transaction,
    /// What became of it.
    pub result: TransactionResult,
}

/// A block that was executed and is durable, or a part of a large one: the data of an SSE event `block`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeView {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub block: BlockHash,
    /// Its time, in milliseconds since 1970.
    pub time: Timestamp,
    /// How many transactions the block has, told in this event or in others.
    pub transactions: usize,
    /// What deadlines did, before the transactions; told with the first part of a block.
    pub deadline_events: Vec<Event>,
    /// What became of the transactions told in this event, in the block's order.
    pub results: Vec<TransactionResult>,
}

/// Blocks that this peer does not tell again, because they are too many or it does not have them: the data of an SSE
/// event `gap`. Read them from `/v1/blocks`, of this peer or of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GapView {
    /// The first height that is left out.
    pub from: Height,
    /// The last height that is left out.
    pub to: Height,
}
