//! What must hold in every run, whatever fails: checked as things happen, not at the end.

use super::app::{Sets, set_of};
use allod_protocol::{
    block::{DecidedBlock, Tip},
    codec,
    ids::{BlockHash, Height, ValidatorAddress},
    replica::{DoubleSign, Message, ReplicaError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The kind of message, its sender, height and round: of these, an honest key signs one.
type Slot = (&'static str, ValidatorAddress, Height, u32);

/// Watches one run.
pub struct Checker {
    sets: Arc<Sets>,
    decided: BTreeMap<Height, BlockHash>,
    /// Certificates found good, by their bytes: several replicas decide by the same one.
    certified: BTreeSet<Vec<u8>>,
    signed: BTreeMap<Slot, Vec<u8>>,
    /// What went wrong, in words; empty in a good run.
    pub violations: Vec<String>,
    /// Honest validators seen signing twice.
    pub double_signs: u64,
    /// Proofs of voting twice that replicas brought forward.
    pub double_votes: u64,
    /// Proofs of proposing twice that replicas brought forward.
    pub double_proposals: u64,
}

impl Checker {
    /// A checker for a run with these validator sets.
    pub fn new(sets: Arc<Sets>) -> Self {
        Self {
            sets,
            decided: BTreeMap::new(),
            certified: BTreeSet::new(),
            signed: BTreeMap::new(),
            violations: Vec::new(),
            double_signs: 0,
            double_votes: 0,
            double_proposals: 0,
        }
    }

    /// Agreement: every replica decides the same block at each height, in order, by a certificate that proves it.
    pub fn on_decided(&mut self, peer: usize, tip: &Tip, decided: &DecidedBlock) {
        let height = decided.certificate.height;
        let hash = decided.block.hash();
        if height != tip.height.next() || decided.block.header().height != height {
            self.violations.push(format!("peer {peer} decided height {height} on top of {}", tip.height));
        }
        if decided.certificate.block != hash {
            self.violations.push(format!("peer {peer} decided a block at {height} that is not the certified one"));
        }
        if let Err(error) = decided.block.check(tip, None, &|_| false) {
            self.violations.push(format!("peer {peer} decided an invalid block at {height}: {error}"));
        }
        match self.decided.insert(height, hash) {
            Some(other) if other != hash => {
                self.violations.push(format!("peer {peer} decided {hash} at {height}, another peer {other}"));
            }
            _ => {}
        }
        if self.certified.insert(codec::encode(&decided.certificate))
            && let Err(error) = decided.certificate.verify(tip.network, set_of(&self.sets, height))
        {
            self.violations.push(format!("peer {peer} decided {height} by a bad certificate: {error}"));
        }
    }

    /// No honest key signs two different messages for one height, round and kind.
    pub fn on_published(&mut self, peer: usize, own: ValidatorAddress, message: &Message) {
        // Validators pass on others' proposals too.
        let Some(sender) = message.sender().filter(|sender| *sender == own) else { return };
        let content = match message {
            Message::Vote(vote) => vote.body.signing_bytes(),
            Message::Proposal(proposal) => proposal.body().signing_bytes(),
            Message::Polka(_) | Message::Round(_) => return,
        };
        let slot = (message.kind(), sender, message.height(), message.round());
        if *self.signed.entry(slot).or_insert_with(|| content.clone()) != content {
            self.double_signs += 1;
            self.violations.push(format!(
                "peer {peer} signed two different {}s for height {}, round {}",
                message.kind(),
                message.height(),
                message.round()
            ));
        }
    }

    /// A proof of signing twice holds, and accuses none that is honest.
    pub fn on_evidence(&mut self, peer: usize, tip: &Tip, proof: &DoubleSign, honest: &[ValidatorAddress]) {
        match proof {
            DoubleSign::Votes(..) => self.double_votes += 1,
            DoubleSign::Proposals(..) => self.double_proposals += 1,
        }
        let accused = proof.validator();
        let key = set_of(&self.sets, proof.height()).by_address(&accused).map(|validator| validator.key);
        let holds = key.is_some_and(|key| proof.verify(tip.network, &key).is_ok());
        if !holds {
            self.violations.push(format!("peer {peer} holds a proof against {accused} that does not verify"));
        }
        if honest.contains(&accused) {
            self.violations.push(format!("peer {peer} holds a proof against honest validator {accused}"));
        }
    }

    /// No input makes a replica fail.
    pub fn on_failure(&mut self, peer: usize, error: &ReplicaError) {
        self.violations.push(format!("peer {peer} failed: {error}"));
    }

    /// Something decides within the bound.
    pub fn on_standstill(&mut self, height: Height, now_us: u64, rounds: Vec<Option<u32>>) {
        let now_ms = now_us / 1_000;
        self.violations.push(format!("nothing was decided above height {height} by {now_ms} ms; rounds {rounds:?}"));
    }
}
