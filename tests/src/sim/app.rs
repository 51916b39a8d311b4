//! The application that a simulated replica agrees on: what a block holds and what executing it does.
//!
//! This one is the smallest that agreement can be tested with: blocks are empty and the state is a running hash of
//! them. The validator sets follow a plan instead of decisions.

use allod_protocol::{
    block::{Block, DecidedBlock, InvalidBlock, Tip},
    ids::{BlockHash, Height, NetworkId, StateRoot, Timestamp},
    transaction::Transaction,
    validator::ValidatorSet,
};
use std::{collections::BTreeMap, sync::Arc};

/// How far a block's time may be from a validator's clock, in milliseconds.
pub const CLOCK_DRIFT_MS: u64 = 5_000;

/// The validator sets of a run, by the first height at which each decides; the first is that of height 1.
pub type Sets = BTreeMap<Height, ValidatorSet>;

/// The set that decides a height.
pub fn set_of(sets: &Sets, height: Height) -> &ValidatorSet {
    sets.range(..=height).next_back().expect("there is a set from height 1").1
}

/// The ledger of one replica.
#[derive(Clone)]
pub struct App {
    sets: Arc<Sets>,
    tip: Tip,
    blocks: Vec<DecidedBlock>,
}

impl App {
    /// The ledger at genesis.
    pub fn genesis(network: NetworkId, sets: Arc<Sets>) -> Self {
        let tip = Tip {
            network,
            height: Height::ZERO,
            hash: BlockHash::from_bytes(*network.as_bytes()),
            time: Timestamp::ZERO,
            state_root: StateRoot::from_bytes([0; 32]),
            validators: set_of(&sets, Height::new(1)).clone(),
            next_validators: set_of(&sets, Height::new(2)).clone(),
        };
        Self { sets, tip, blocks: Vec::new() }
    }

    /// Where the ledger stands.
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// What the next block should hold.
    pub fn build(&self) -> Vec<Transaction> {
        Vec::new()
    }

    /// Whether a block breaks a rule; the clock is none for a block that has a certificate.
    ///
    /// # Errors
    /// The rule.
    pub fn check(&self, block: &Block, clock: Option<Timestamp>) -> Result<(), InvalidBlock> {
        block.check(&self.tip, clock.map(|now| (now, CLOCK_DRIFT_MS)), &|_| false)
    }

    /// Executes and commits the next block, durably and at once.
    pub fn commit(&mut self, decided: DecidedBlock) {
        let header = decided.block.header();
        assert_eq!(header.height, self.tip.height.next(), "blocks are committed in order");
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.tip.state_root.as_bytes()).update(decided.block.hash().as_bytes());
        self.tip = Tip {
            network: self.tip.network,
            height: header.height,
            hash: decided.block.hash(),
            time: header.time,
            state_root: StateRoot::from_bytes(*hasher.finalize().as_bytes()),
            validators: self.tip.next_validators.clone(),
            next_validators: set_of(&self.sets, header.height.next().next()).clone(),
        };
        self.blocks.push(decided);
    }

    /// At most `limit` decided blocks from a height on.
    pub fn blocks_from(&self, height: Height, limit: usize) -> Vec<DecidedBlock> {
        let skipped = usize::try_from(height.get().saturating_sub(1)).expect("heights of a run fit");
        self.blocks.iter().skip(skipped).take(limit).cloned().collect()
    }
}
