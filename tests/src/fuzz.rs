//! What strangers' bytes go through, one function a decoder. Each must return for any bytes at all: a panic is a peer
//! that anyone can stop. `tests/fuzz` runs them under libFuzzer; the test `fuzz` runs them on seeded mutations of the
//! golden vectors.
//!
//! A value that was read goes on to whatever judges it next, because that is the code that trusts the decoder.

#![allow(clippy::expect_used, reason = "the fixed genesis is sound")]

use crate::{map_state::MapState, vectors};
use allod_protocol::{
    agreement::{
        host::gossip,
        replica::{Head, Input, LastSigned, LogEntry, Message, Replica, Timeouts},
    },
    ground::{
        codec,
        ids::{
            ArtifactId, BlockHash, Handle, Height, ModelName, NetworkId, PublicKey, Signature, StateRoot, VersionLabel,
        },
        limits,
    },
    ledger::{
        block::{Block, DecidedBlock, Tip},
        execute::execute,
        genesis::Genesis,
    },
    proof::{Checkpoint, Deed, StateProof},
    rules::{artifact::Manifest, transaction::Transaction},
};
use allod_storage::artifacts::{Card, Format};
use std::{str::FromStr, sync::LazyLock};

/// A function that takes any bytes, and says whether it could read them.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name; `tests/fuzz` has a binary for each.
pub const TARGETS: [(&str, Target); 11] = [
    ("transaction", transaction),
    ("transaction_batch", transaction_batch),
    ("consensus_message", consensus_message),
    ("pushed_block", pushed_block),
    ("sync_response", sync_response),
    ("manifest", manifest),
    ("model_file", model_file),
    ("deed", deed),
    ("log_entry", log_entry),
    ("genesis_json", genesis_json),
    ("texts", texts),
];

struct World {
    genesis: Genesis,
    network: NetworkId,
    state: MapState,
    tip: Tip,
}

/// The ledger of the vectors as it begins.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let genesis = vectors::genesis();
    let mut state = MapState::default();
    state.apply(genesis.state().expect("a sound genesis"));
    // The true root, so that the vectors' own blocks pass.
    let chain = vectors::chain();
    let first = chain.ledger.block(Height::new(1)).expect("a block");
    let tip = genesis.tip(first.block.header().state_root).expect("a sound genesis");
    World { network: genesis.network_id(), genesis, state, tip }
});

/// What the API takes.
pub fn transaction(data: &[u8]) -> bool {
    let Ok(transaction) = Transaction::decode(data) else { return false };
    assert_eq!(transaction.encode(), data, "one encoding");
    judge(&transaction);
    true
}

fn judge(transaction: &Transaction) {
    let form = transaction.check_form(WORLD.network);
    let _ = transaction.check_signatures();
    if form.is_ok() {
        let proposer = WORLD.genesis.validators[0].key.validator_address();
        let block = Block::following(&WORLD.tip, proposer, WORLD.tip.time.plus_ms(1), vec![transaction.clone()]);
        execute(&WORLD.state, &block).expect("a readable state");
    }
}

/// What the transactions topic carries.
pub fn transaction_batch(data: &[u8]) -> bool {
    let Ok(transactions) = codec::decode::<Vec<Transaction>>(data, limits::GOSSIP_SIZE_BYTES) else { return false };
    transactions.iter().for_each(judge);
    true
}

/// What the consensus plane carries.
pub fn consensus_message(data: &[u8]) -> bool {
    let head = Head::read(data);
    let Ok(message) = Message::decode(data) else { return false };
    assert_eq!(head.ok(), Some(message.head()), "the head is that of the message");
    assert_eq!(message.encode(), data, "one encoding");
    let mut replica = Replica::new(None, LastSigned::default(), &WORLD.tip);
    replica.admit(&message);
    replica.step(Input::Message(message.clone())).expect("no message breaks an invariant");
    let start = Input::Start { tip: WORLD.tip.clone(), timeouts: Timeouts::default() };
    replica.step(start).expect("the first height");
    replica.step(Input::Message(message)).expect("no message breaks an invariant");
    true
}

/// What the blocks topic carries: a certificate and its block.
pub fn pushed_block(data: &[u8]) -> bool {
    let opened = gossip::open_push(data);
    let Ok(decided) = gossip::decode_push(data) else { return false };
    if let Ok((certificate, header)) = opened {
        assert_eq!((&certificate, &header), (&decided.certificate, decided.block.header()), "it begins as it is");
    }
    assert_eq!(gossip::encode_push(&decided), data, "one encoding");
    judge_decided(decided);
    true
}

fn judge_decided(DecidedBlock { block, certificate }: DecidedBlock) {
    let _ = certificate.verify(WORLD.network, &WORLD.tip.validators);
    if block.check(&WORLD.tip, None, &|_| false).is_ok() {
        execute(&WORLD.state, &block).expect("a readable state");
    }
}

/// What the sync protocol answers: the peer's height and decided blocks.
pub fn sync_response(data: &[u8]) -> bool {
    let Ok((_, blocks)) = codec::decode::<(Height, Vec<DecidedBlock>)>(data, limits::SYNC_RESPONSE_SIZE_BYTES) else {
        return false;
    };
    blocks.into_iter().for_each(judge_decided);
    true
}

/// What a collection's address leads to.
pub fn manifest(data: &[u8]) -> bool {
    let Ok(manifest) = Manifest::decode(data) else { return false };
    assert_eq!(manifest.encode(), data, "one encoding");
    assert_eq!(manifest.address(), ArtifactId::of(data));
    assert!(manifest.files().iter().all(|file| !file.path.as_str().split('/').any(|part| part == "..")));
    let lowercased: std::collections::BTreeSet<String> =
        manifest.files().iter().map(|file| file.path.as_str().to_lowercase()).collect();
    assert_eq!(lowercased.len(), manifest.files().len(), "no two names on any file system");
    true
}

/// What is read of the files of an artifact to tell what it is: cards and headers.
pub fn model_file(data: &[u8]) -> bool {
    let card = Card::read(data);
    let headers = [Format::Safetensors, Format::Gguf].map(|format| format.read(data, data.len() as u64));
    for header in headers.iter().flatten() {
        let of_types = header.dtypes.values().try_fold(0u64, |sum, count| sum.checked_add(*count));
        assert_eq!(of_types, Some(header.parameters), "every number has a type");
    }
    matches!(card, Ok(Some(_))) || headers.iter().any(Result::is_ok)
}

/// What `allod verify` is given.
pub fn deed(data: &[u8]) -> bool {
    let proof = StateProof::decode(data);
    if let Ok(proof) = &proof {
        let _ = proof.verify(StateRoot::from_bytes([0; 32]));
    }
    let deed = Deed::decode(data);
    if let Ok(deed) = &deed {
        assert!(!deed.proofs.iter().any(|proof| proof.key.is_empty()), "every proof is of a family");
        let _ = deed.claimed();
        let block = BlockHash::from_bytes([0; 32]);
        for checkpoint in [None, Some(Checkpoint { height: deed.root.header.header.height, block })] {
            let _ = deed.verify(&WORLD.genesis, checkpoint);
        }
    }
    proof.is_ok() || deed.is_ok()
}

/// What the consensus log gives back. The disk is no stranger, but it fails.
pub fn log_entry(data: &[u8]) -> bool {
    let Ok(entry) = LogEntry::decode(data) else { return false };
    let (tip, timeouts) = (WORLD.tip.clone(), Timeouts::default());
    // A log that leads nowhere is an error, never a panic.
    let _ = Replica::recover(None, LastSigned::default(), tip, timeouts, &[entry]);
    true
}

/// What `allod` reads a genesis from.
pub fn genesis_json(data: &[u8]) -> bool {
    let Ok(genesis) = serde_json::from_slice::<Genesis>(data) else { return false };
    let _ = genesis.network_id();
    if genesis.state().is_ok() {
        genesis.tip(StateRoot::from_bytes([0; 32])).expect("a state has a tip");
    }
    true
}

/// What people and programs write in paths and fields.
pub fn texts(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let known = [
        reads_back::<ArtifactId>(text),
        reads_back::<PublicKey>(text),
        reads_back::<Signature>(text),
        reads_back::<ModelName>(text),
        reads_back::<Handle>(text),
        reads_back::<VersionLabel>(text),
    ];
    known.contains(&true)
}

fn reads_back<T: FromStr + ToString + PartialEq + std::fmt::Debug>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    assert_eq!(value.to_string().parse::<T>().ok(), Some(value), "{text:?}");
    true
}
