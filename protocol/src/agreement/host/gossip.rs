//! The bytes of messages: of pushed blocks, of transactions.

use crate::{
    agreement::{
        mempool::{Checked, Formed, Refused, Room},
        replica::MalformedMessage,
    },
    ground::{
        codec::{self, DecodeError},
        ids::{NetworkId, Timestamp},
        invalid::Invalid,
        limits,
        state::StateRead,
    },
    ledger::block::{CommitCertificate, CommitSignature, DecidedBlock, Header},
    rules::transaction::Transaction,
};
use std::collections::BTreeSet;

const _: () = assert!(
    limits::BLOCK_SIZE_BYTES + limits::VALIDATORS * size_of::<CommitSignature>() + 1_024 <= limits::GOSSIP_SIZE_BYTES,
    "every decided block can be pushed"
);

/// Encodes a decided block to be pushed to those who follow: the certificate first, so that it can be judged before the
/// transactions are read.
pub fn encode_push(decided: &DecidedBlock) -> Vec<u8> {
    codec::encode(&(&decided.certificate, &decided.block))
}

/// The certificate and the header of a pushed block. The cost does not depend on the transactions.
///
/// # Errors
/// When no honest peer sends a message that begins like this.
pub fn open_push(bytes: &[u8]) -> Result<(CommitCertificate, Header), MalformedMessage> {
    if bytes.len() > limits::GOSSIP_SIZE_BYTES {
        return Err(DecodeError::TooLong { len: bytes.len(), max: limits::GOSSIP_SIZE_BYTES }.into());
    }
    let ((certificate, header), _) = codec::decode_beginning::<(CommitCertificate, Header)>(bytes)?;
    match certificate.signatures.len() {
        signatures if signatures > limits::VALIDATORS => Err(MalformedMessage::Signatures(signatures)),
        _ => Ok((certificate, header)),
    }
}

/// The pushed block. It may prove nothing.
///
/// # Errors
/// When no honest peer sends it.
pub fn decode_push(bytes: &[u8]) -> Result<DecidedBlock, MalformedMessage> {
    let (certificate, block) = codec::decode(bytes, limits::GOSSIP_SIZE_BYTES)?;
    Ok(DecidedBlock { block, certificate })
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

/// The transactions of a gossip message, each checked on its own: the expensive part, which changes nothing and can run
/// on any thread. Signatures come last: not for what is expired, waiting already or executed, nor for a stranger, nor for
/// a sender that has no room. `time` is the block time by which expiry is judged.
///
/// A message is faulty only if it is so whatever the ledger says. What this ledger refuses is not held against the
/// relaying peer: either of the two may be behind.
///
/// # Errors
/// When no honest peer sends this message.
pub fn check_batch(
    data: &[u8],
    network: NetworkId,
    state: &impl StateRead,
    (time, room): (Timestamp, &Room),
) -> Result<Vec<Result<Checked, Refused>>, Faulty> {
    let transactions: Vec<Transaction> = codec::decode(data, limits::TRANSACTIONS_MESSAGE_SIZE_BYTES)?;
    let mut ids = BTreeSet::new();
    let check = |transaction| {
        let formed = Formed::new(transaction, network)?;
        if !ids.insert(formed.id()) {
            return Ok(Err(Refused::Known(formed.id())));
        }
        match formed.check(state, time, room) {
            Ok(()) => Ok(Ok(formed.check_signatures()?)),
            Err(refused) => Ok(Err(refused)),
        }
    };
    transactions.into_iter().map(check).collect()
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

    fn check(transactions: &[Transaction], time: u64) -> Result<Vec<Result<Checked, Refused>>, Faulty> {
        let (time, room) = (Timestamp::new(time), Room::default());
        check_batch(&encode_batch(transactions), NETWORK, &state(), (time, &room))
    }

    #[test]
    fn no_signature_is_checked_for_a_stranger_or_a_strangers_key() {
        // If the bad signature were checked, the whole message would be faulty.
        let verified = check(&[badly_signed(9, 1), badly_signed(1, 2), transaction(1, 1)], 0).unwrap();
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
    }

    #[test]
    fn no_signature_is_checked_of_what_is_over_or_said_twice() {
        let verified = check(&[badly_signed(1, 1)], 1_001).unwrap();
        assert!(matches!(verified.as_slice(), [Err(Refused::Rejected(Rejection::Expired { .. }))]), "{verified:?}");
        let verified = check(&[transaction(1, 1), badly_signed(1, 1)], 0).unwrap();
        assert!(matches!(verified.as_slice(), [Ok(_), Err(Refused::Known(_))]), "{verified:?}");
    }

    #[test]
    fn a_message_larger_than_any_peer_makes_is_a_fault() {
        let many = vec![transaction(1, 1); limits::TRANSACTIONS_MESSAGE_SIZE_BYTES / 150];
        assert!(encode_batch(&many).len() > limits::TRANSACTIONS_MESSAGE_SIZE_BYTES);
        assert!(matches!(check(&many, 0), Err(Faulty::Malformed(_))));
    }

    #[test]
    fn a_bad_signature_in_a_known_senders_name_is_a_fault() {
        // Of another nonce than the first.
        let mut other = transaction(1, 1);
        other.body.nonce = 1;
        assert!(matches!(check(&[transaction(1, 1), other], 0), Err(Faulty::Invalid(Invalid::Signature(_)))));
        assert!(matches!(check(&[badly_signed(1, 1)], 0), Err(Faulty::Invalid(Invalid::Signature(_)))));
    }
}
