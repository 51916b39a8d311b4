//! What must hold in every run, whatever fails: checked as things happen, not at the end.

use super::machine::Committed;
use allod_protocol::{
    agreement::{
        host::HostError,
        replica::{DoubleSign, Message},
    },
    ground::{
        codec,
        ids::{BlockHash, Height, NetworkId, StateRoot, TransactionId, ValidatorAddress},
        state::StateRead,
    },
    ledger::execute::Outcome,
    rules::{share::is_conserved, validator::ValidatorSet},
};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of message, its sender, height and round: of these, an honest key signs one.
type Slot = (&'static str, ValidatorAddress, Height, u32);

/// Watches one run.
#[derive(Default)]
pub struct Checker {
    /// Who decides each height, as those say who decided it.
    sets: BTreeMap<Height, ValidatorSet>,
    /// The block of each height, and the state root after it.
    decided: BTreeMap<Height, (BlockHash, StateRoot)>,
    /// Certificates found good, by their bytes: several peers decide by the same one.
    certified: BTreeSet<Vec<u8>>,
    signed: BTreeMap<Slot, Vec<u8>>,
    /// Transactions that were executed.
    executed: BTreeSet<TransactionId>,
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
    /// How many transactions were executed.
    pub fn transactions(&self) -> u64 {
        self.executed.len() as u64
    }

    /// Agreement: every peer decides the same block at each height, in order, by a certificate that proves it, and gets the
    /// same state from it. Says whether it is the first to decide that height.
    pub(super) fn on_decided(&mut self, peer: usize, committed: &Committed) -> bool {
        let Committed { before, decided, after, executed, .. } = committed;
        let (height, hash) = (decided.block.header().height, decided.block.hash());
        if height != before.height.next() {
            self.violations.push(format!("peer {peer} decided height {height} on top of {}", before.height));
        }
        if self.certified.insert(codec::encode(&(&decided.certificate, hash)))
            && let Err(error) = decided.verify(before, &|_| false)
        {
            self.violations.push(format!("peer {peer} decided an invalid block at {height}: {error}"));
        }
        let outcome = (hash, after.state_root);
        if let Some(other) = self.decided.get(&height) {
            if *other != outcome {
                self.violations
                    .push(format!("peer {peer} got {outcome:?} from height {height}, another peer {other:?}"));
            }
            return false;
        }
        self.decided.insert(height, outcome);
        self.sets.insert(height, before.validators.clone());
        for result in executed {
            let is_replay = matches!(&result.outcome, Outcome::Rejected(rejection) if rejection.code() == "replayed");
            if !is_replay && !self.executed.insert(result.id) {
                self.violations
                    .push(format!("transaction {} was executed twice, the second time at {height}", result.id));
            }
        }
        true
    }

    /// No unit is made or lost but by what the events of the block say.
    pub(super) fn on_state(&mut self, state: &impl StateRead, committed: &Committed) {
        let height = committed.after.height;
        let of_results = committed.executed.iter().flat_map(|result| &result.events);
        match is_conserved(state, height, committed.deadline_events.iter().chain(of_results)) {
            Ok(true) => {}
            Ok(false) => self.violations.push(format!("units were made or lost at height {height}")),
            Err(error) => self.violations.push(format!("the state of height {height} cannot be read: {error}")),
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
    pub fn on_evidence(&mut self, peer: usize, network: NetworkId, proof: &DoubleSign, honest: &[ValidatorAddress]) {
        match proof {
            DoubleSign::Votes(..) => self.double_votes += 1,
            DoubleSign::Proposals(..) => self.double_proposals += 1,
        }
        let accused = proof.validator();
        let set = self.sets.range(..=proof.height()).next_back().map(|(_, set)| set);
        let key = set.and_then(|set| set.by_address(&accused)).map(|validator| validator.key);
        let holds = key.is_some_and(|key| proof.verify(network, &key).is_ok());
        if !holds {
            self.violations.push(format!("peer {peer} holds a proof against {accused} that does not verify"));
        }
        if honest.contains(&accused) {
            self.violations.push(format!("peer {peer} holds a proof against honest validator {accused}"));
        }
    }

    /// Nothing that happens makes an honest host fail.
    pub fn on_failure(&mut self, peer: usize, error: &HostError) {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        self.violations.push(format!("peer {peer} failed: {error}: {source}"));
    }

    /// Something decides within the bound.
    pub fn on_standstill(&mut self, height: Height, now_us: u64, rounds: Vec<Option<u32>>) {
        let now_ms = now_us / 1_000;
        self.violations.push(format!("nothing was decided above height {height} by {now_ms} ms; rounds {rounds:?}"));
    }
}
