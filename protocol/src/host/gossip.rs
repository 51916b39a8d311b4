//! The bytes of gossip messages.

use crate::{
    codec::{self, DecodeError},
    limits,
    replica::{MalformedMessage, Message},
    transaction::Transaction,
};
use serde::{Deserialize, Serialize};

/// What a consensus gossip message carries: the bytes of a message, and a number that makes a repetition a message of
/// its own to the gossip layer, which drops what it has seen.
#[derive(Serialize, Deserialize)]
struct ConsensusEnvelope {
    repetition: u64,
    message: Vec<u8>,
}

pub(super) fn encode_consensus(repetition: u64, message: &Message) -> Vec<u8> {
    codec::encode(&ConsensusEnvelope { repetition, message: message.encode() })
}

/// Why no honest peer sends such a consensus message.
#[derive(Debug, thiserror::Error)]
pub(super) enum MalformedGossip {
    #[error(transparent)]
    Envelope(#[from] DecodeError),
    #[error(transparent)]
    Message(#[from] MalformedMessage),
}

pub(super) fn decode_consensus(bytes: &[u8]) -> Result<Message, MalformedGossip> {
    let envelope = codec::decode::<ConsensusEnvelope>(bytes, limits::GOSSIP_SIZE_BYTES)?;
    Ok(Message::decode(&envelope.message)?)
}

/// The batch of transactions that one gossip message carries.
pub fn encode_batch(transactions: &[Transaction]) -> Vec<u8> {
    codec::encode(transactions)
}

/// The transactions of a gossip message; none of them is checked.
///
/// # Errors
/// When it is not a batch of transactions.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Transaction>, DecodeError> {
    codec::decode(bytes, limits::GOSSIP_SIZE_BYTES)
}
