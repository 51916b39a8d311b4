//! Transactions that no peer is to take in: each breaks a rule that needs no state, or is signed by a stranger.

use crate::ledger::key;
use allod_protocol::{
    ground::{ids::NetworkId, limits},
    rules::{
        action::Action,
        proposal::{OpenProposal, Question},
        transaction::Transaction,
    },
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// The number of a key that no account has.
const STRANGER: u8 = 250;

/// A transaction made into one that is to be refused: `other` is one that was asked for before.
pub(super) fn spoiled(rng: &mut ChaCha8Rng, transaction: Transaction, other: &Transaction) -> Transaction {
    let Transaction { mut body, signatures } = transaction;
    let stranger = [key(STRANGER)];
    match rng.random_range(0..6) {
        0 => Transaction { body, signatures: Vec::new() },
        1 => {
            body.nonce = body.nonce.wrapping_add(1);
            Transaction { body, signatures }
        }
        2 => Transaction { body, signatures: other.signatures.clone() },
        3 => body.sign(&stranger),
        4 => {
            body.network = NetworkId::from_bytes([STRANGER; 32]);
            body.sign(&stranger)
        }
        _ => {
            let (title, text) = ("a question".into(), "?".repeat(limits::TEXT_SIZE_BYTES + 1));
            body.action =
                Action::OpenProposal(OpenProposal { question: Question::of_network(Vec::new()), title, text });
            body.sign(&stranger)
        }
    }
}
