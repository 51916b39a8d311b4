//! The bytes of gossip messages.

use crate::{
    agreement::{
        mempool::{Checked, Refused, check_sender},
        replica::{Head, MalformedMessage, Message},
    },
    ground::{
        codec::{self, DecodeError},
        ids::NetworkId,
        invalid::Invalid,
        limits,
        state::StateRead,
    },
    rules::transaction::Transaction,
};

/// How a consensus gossip message begins: a number that makes a repetition a different message for the gossip layer,
/// which drops what it has seen, and the length of the record of a [`Message`] that follows. Nobody signs the number.
type Envelope = (u64, u64);

/// Encodes a consensus message for gossip. `repetition` is 0 the first time, and another number each time that the same
/// message is sent again.
pub fn encode_consensus(repetition: u64, message: &Message) -> Vec<u8> {
    let message = message.encode();
    let envelope: Envelope = (repetition, message.len() as u64);
    let mut bytes = codec::encode(&envelope);
    bytes.extend(message);
    bytes
}

/// The encoded [`Message`] in a consensus gossip message, and its head. The cost does not depend on the length.
///
/// # Errors
/// When no honest peer sends a message that begins like this.
pub fn open_consensus(bytes: &[u8]) -> Result<(Head, &[u8]), MalformedMessage> {
    if bytes.len() > limits::GOSSIP_SIZE_BYTES {
        return Err(DecodeError::TooLong { len: bytes.len(), max: limits::GOSSIP_SIZE_BYTES }.into());
    }
    let ((_repetition, size_bytes), message) = codec::decode_beginning::<Envelope>(bytes)?;
    if size_bytes != message.len() as u64 {
        return Err(DecodeError::Malformed("the length of the message is not what the envelope says".into()).into());
    }
    Ok((Head::read(message)?, message))
}

/// The consensus message in a gossip message. The replica checks whether it is genuine.
///
/// # Errors
/// When no honest peer sends it.
pub fn decode_consensus(bytes: &[u8]) -> Result<Message, MalformedMessage> {
    let (_, message) = open_consensus(bytes)?;
    Message::decode(message)
}

/// The batch of transactions that one gossip message carries.
pub fn encode_batch(transactions: &[Transaction]) -> Vec<u8> {
    codec::encode(transactions)
}

/// Why no honest peer sends this batch.
#[derive(Debug, thiserror::Error)]
pub enum Faulty {
    /// It is not a batch of transactions.
    #[error("not a batch of transactions: {0}")]
    Malformed(#[from] DecodeError),
    /// One of its transactions is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// The transactions of a gossip message, each checked on its own: the expensive part, which needs no mempool and can
/// run on any thread. The sender is looked up before any signature is checked, so that only keys of existing accounts
/// can make a peer do it. A transaction without its sender's authorisation is not held against the relaying peer: this
/// peer may be behind the block that admits the account or its keys.
///
/// # Errors
/// When no honest peer sends this message.
pub fn check_batch(
    data: &[u8],
    network: NetworkId,
    state: &impl StateRead,
) -> Result<Vec<Result<Checked, Refused>>, Faulty> {
    let transactions: Vec<Transaction> = codec::decode(data, limits::GOSSIP_SIZE_BYTES)?;
    let check = |transaction| match check_sender(&transaction, state) {
        Ok(_) => Ok(Ok(Checked::new(transaction, network)?)),
        Err(refused) => Ok(Err(refused)),
    };
    transactions.into_iter().map(check).collect()
}

/// Whether a peer may pass a batch on: every signature in it was checked. A peer that is ahead knows senders that this one
/// does not, and blames whoever passes on one of theirs that is badly signed.
pub(super) fn may_relay(checked: &[Result<Checked, Refused>]) -> bool {
    checked.iter().all(Result::is_ok)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::{
        ground::{
            crypto::SigningKey,
            ids::{AccountId, Handle, Height, Signature, Timestamp},
            state::{Direction, Entry, Record as _, StateError},
        },
        rules::{
            account::{Account, KeyPolicy, RotateKeys},
            action::Action,
            rejection::Rejection,
            transaction::TransactionBody,
        },
    };

    const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);

    /// A state that contains one account.
    struct OneAccount(Account);

    impl StateRead for OneAccount {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok((key == Account::key_bytes(&self.0.id)).then(|| codec::encode(&self.0)))
        }
        fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
            Ok(Vec::new())
        }
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn state() -> OneAccount {
        let keys = KeyPolicy::single(key(1).public_key());
        let handle = Handle::new("northfield").unwrap();
        OneAccount(Account::new(AccountId::from_bytes([1; 32]), handle, keys, Height::ZERO))
    }

    fn transaction(sender: u8, signer: u8) -> Transaction {
        let action = Action::RotateKeys(RotateKeys { keys: KeyPolicy::single(key(3).public_key()) });
        let (sender, expires) = (AccountId::from_bytes([sender; 32]), Timestamp::new(1_000));
        TransactionBody { network: NETWORK, sender, nonce: 0, expires, action, signers: Vec::new() }
            .sign(&[key(signer)])
    }

    fn badly_signed(sender: u8, signer: u8) -> Transaction {
        Transaction { signatures: vec![Signature::from_bytes([9; 64])], ..transaction(sender, signer) }
    }

    #[test]
    fn no_signature_is_checked_for_a_stranger_or_a_strangers_key() {
        // If the bad signature were checked, the whole message would be faulty.
        let batch = encode_batch(&[badly_signed(9, 1), badly_signed(1, 2), transaction(1, 1)]);
        let verified = check_batch(&batch, NETWORK, &state()).unwrap();
        assert!(
            matches!(
                verified.as_slice(),
                [
                    Err(Refused::Rejected(Rejection::UnknownAccount(_))),
                    Err(Refused::Rejected(Rejection::ForeignKey { .. })),
                    Ok(_),
                ]
            ),
            "{verified:?}"
        );
        // Whoever knows those keys would refuse all of it.
        assert!(!may_relay(&verified));
        assert!(may_relay(&check_batch(&encode_batch(&[transaction(1, 1)]), NETWORK, &state()).unwrap()));
    }

    #[test]
    fn a_bad_signature_in_a_known_senders_name_is_a_fault() {
        let batch = encode_batch(&[transaction(1, 1), badly_signed(1, 1)]);
        assert!(matches!(check_batch(&batch, NETWORK, &state()), Err(Faulty::Invalid(Invalid::Signature(_)))));
    }
}
