//! Proposes blocks and proposals that break a rule, each time another one.

use super::{Misbehaviour, Parcel, Scene};
use allod_protocol::{
    agreement::replica::{Message, SignedProposal},
    ground::{
        ids::{
            BlockHash, NetworkId, Signature, StateRoot, Timestamp, TransactionsRoot, ValidatorAddress, ValidatorSetHash,
        },
        limits,
    },
    ledger::block::{Block, Header, transactions_root},
    rules::{load, transaction::Transaction},
};
use rand::RngExt as _;

/// A quarter of an hour: more than any clock may be wrong.
const FAR_AHEAD_MS: u64 = 900_000;

pub(super) struct InvalidProposer;

impl Misbehaviour for InvalidProposer {
    fn on_publish(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        let spoilt = match message {
            Message::Proposal(proposal) if proposal.proposer == scene.address() => Some(spoil(scene, proposal)),
            _ => None,
        };
        vec![Parcel::to_all(scene, spoilt.as_ref().unwrap_or(message))]
    }
}

/// A proposal that no honest validator votes for.
fn spoil(scene: &mut Scene<'_>, proposal: &SignedProposal) -> Message {
    let SignedProposal { round, pol_round, block, .. } = proposal.clone();
    match scene.rng.random_range(0..30) {
        // A header that is not the next one's.
        0..16 => {
            let mut header = block.header().clone();
            spoil_header(scene, &mut header);
            scene.proposal(round, pol_round, Block::new(header, block.transactions().to_vec()))
        }
        // Transactions that may not stand in any block.
        16..24 if !block.transactions().is_empty() => {
            let transactions = spoil_transactions(scene, block.transactions().to_vec());
            let header = Header { transactions_root: transactions_root(&transactions), ..block.header().clone() };
            scene.proposal(round, pol_round, Block::new(header, transactions))
        }
        // A proposal that breaks its own form.
        24 => scene.proposal(round, Some(round), block),
        25 => scene.proposal(round + 1, pol_round, block),
        26 => scene.proposal(round.saturating_add(20), pol_round, block),
        27 => Message::Proposal(SignedProposal { signature: Signature::from_bytes([4; 64]), ..proposal.clone() }),
        _ => {
            let header = Header { state_root: StateRoot::from_bytes([0xee; 32]), ..block.header().clone() };
            scene.proposal(round, pol_round, Block::new(header, block.transactions().to_vec()))
        }
    }
}

fn spoil_header(scene: &mut Scene<'_>, header: &mut Header) {
    let parent = scene.tip.time.get();
    match scene.rng.random_range(0..12) {
        0 => header.height = header.height.next(),
        1 => header.height = header.height.previous(),
        2 => header.network = NetworkId::from_bytes([6; 32]),
        3 => header.time = Timestamp::new(parent),
        4 => header.time = Timestamp::new(parent.saturating_sub(1_000)),
        5 => header.time = Timestamp::new(scene.now_ms + FAR_AHEAD_MS),
        6 => header.time = Timestamp::new(u64::MAX),
        7 => header.parent = BlockHash::from_bytes([6; 32]),
        8 => header.proposer = ValidatorAddress::from_bytes([6; 32]),
        9 => header.validators = ValidatorSetHash::from_bytes([6; 32]),
        10 => header.next_validators = ValidatorSetHash::from_bytes([6; 32]),
        _ => header.transactions_root = TransactionsRoot::from_bytes([6; 32]),
    }
}

/// At least one transaction, and one too many or one that is wrong.
fn spoil_transactions(scene: &mut Scene<'_>, mut transactions: Vec<Transaction>) -> Vec<Transaction> {
    let last = transactions.len() - 1;
    let one = transactions[last].clone();
    // Each of them another one: what is wrong is their sum.
    let many = |count: u64| {
        (0..count).map(|nonce| {
            let mut copy = one.clone();
            copy.body.nonce = u64::MAX - nonce;
            copy
        })
    };
    match scene.rng.random_range(0..16) {
        0..4 => transactions.push(one),
        4..7 => transactions[last].signatures[0] = Signature::from_bytes([4; 64]),
        7..9 => transactions[last].signatures.clear(),
        9..11 => transactions[last].body.network = NetworkId::from_bytes([6; 32]),
        11..14 => transactions[last].body.nonce += 1,
        14 => transactions.extend(many(limits::SENDER_WEIGHT.get() / load::of(&one).get() + 1)),
        _ => transactions.extend(many(limits::BLOCK_TRANSACTIONS as u64)),
    }
    transactions
}
