//! Proposals of two megabytes, well formed, of a height that is long decided. Whoever looks at all of one before it
//! looks at the height does a lot of work for nothing.

use super::{Attack, Stranger, Target};
use allod_protocol::{
    agreement::replica::{Message, SignedProposal},
    ground::{
        crypto::SigningKey,
        ids::{AccountId, BlockHash, Height, Signature, StateRoot, Timestamp, ValidatorSetHash},
    },
    ledger::block::{Block, Header, transactions_root},
    rules::{
        account::{KeyPolicy, RotateKeys},
        action::Action,
        transaction::{Transaction, TransactionBody},
    },
};
use std::{sync::atomic::Ordering, time::Duration};

/// Number of transactions that fill a block of two megabytes.
const TRANSACTIONS: u64 = 1_700;

/// Proposals after which a stranger comes under another id: the last one is blocked.
const PROPOSALS_OF_ONE_ID: u64 = 100;

/// A stranger for each peer of the target sends it so many of them a second, on a stream as validators do.
pub fn begin(target: &Target, per_second: u32) -> Attack {
    let message = Message::Proposal(proposal(target, Height::new(1))).encode();
    let each: Vec<Target> =
        target.peers.iter().map(|peer| Target { peers: vec![peer.clone()], ..target.clone() }).collect();
    Attack::begin(move |sent| async move {
        for target in each {
            let (mut message, sent) = (message.clone(), sent.clone());
            tokio::spawn(async move {
                let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
                for id in 0u64.. {
                    let stranger = Stranger::join(&target).await;
                    let speaker = stranger.speak(&target);
                    for number in 0..PROPOSALS_OF_ONE_ID {
                        pace.tick().await;
                        // Another number makes it another message.
                        message[1..9].copy_from_slice(&(id * PROPOSALS_OF_ONE_ID + number).to_le_bytes());
                        speaker.say(&message);
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    })
}

/// A well-formed proposal of two megabytes for a height, which nobody signed.
fn proposal(target: &Target, height: Height) -> SignedProposal {
    let network = target.genesis.network_id();
    let key = SigningKey::from_seed(&[7; 32]).public_key();
    let transaction = |nonce| {
        let action = Action::RotateKeys(RotateKeys { keys: KeyPolicy::single(key) });
        let (sender, expires) = (AccountId::from_bytes([7; 32]), Timestamp::new(1));
        let body = TransactionBody { network, sender, nonce, expires, action, signers: Vec::new() };
        Transaction { body, signatures: vec![Signature::from_bytes([7; 64]); 16] }
    };
    let transactions: Vec<Transaction> = (0..TRANSACTIONS).map(transaction).collect();
    let validators = target.genesis.validator_set().expect("a validator set");
    let proposer = validators.proposer(height, 0).address;
    let header = Header {
        network,
        height,
        time: Timestamp::new(1),
        proposer,
        parent: BlockHash::from_bytes([7; 32]),
        transactions_root: transactions_root(&transactions),
        state_root: StateRoot::from_bytes([7; 32]),
        validators: ValidatorSetHash::from_bytes([7; 32]),
        next_validators: ValidatorSetHash::from_bytes([7; 32]),
    };
    let block = Block::new(header, transactions);
    SignedProposal { round: 0, pol_round: None, proposer, block, signature: Signature::from_bytes([7; 64]) }
}
