//! What must hold in every run, whatever fails: checked as things happen, not at the end.

use super::{
    machine::{Committed, Seen, SimMachine},
    report::{Law, Violation},
};
use allod_protocol::{
    agreement::{
        host::{Clock as _, Host, HostError},
        replica::{DoubleSign, Message},
    },
    ground::{
        codec,
        ids::{BlockHash, Height, NetworkId, StateRoot, Timestamp, TransactionId, ValidatorAddress},
        limits,
    },
    ledger::execute::Outcome,
    rules::validator::ValidatorSet,
};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of message, its sender, height and round: of these, an honest key signs one.
type Slot = (&'static str, ValidatorAddress, Height, u32);

/// Log entries of one round at most, of each validator (two votes of each kind that prove signing twice, a proposal and the
/// verdict on it, twice) and of the peer itself (four timeouts, a polka).
const ENTRIES_OF_VALIDATOR: usize = 8;
const ENTRIES_OF_PEER: usize = 5;
/// Rounds ahead of its own from which a peer takes messages.
const ROUNDS_AHEAD: usize = 10;
/// Heights in which what a validator acknowledged has to be decided once everything has healed and it has caught up: its
/// turn to propose comes at least once in twice as many turns as there are validators, of which there are up to seven, and
/// a turn may be lost to those who break the rules and be another's in the next round. A sender's transactions go in their
/// order, and of heavy ones one block may take no more than one: each that is ahead may need as long.
const HEIGHTS_TO_FINAL: u64 = 24;

/// What a peer said to have taken in.
struct Acknowledged {
    expires: Timestamp,
    /// Where the peer stood then.
    height: Height,
    /// How many of the same sender had to go before it.
    ahead: usize,
}

/// What is remembered of one honest peer.
#[derive(Default)]
struct Watched {
    acknowledged: BTreeMap<TransactionId, Acknowledged>,
    /// The latest that its clock has shown: by that it judges what has expired.
    latest: Timestamp,
    /// Blocks that came by catch-up since it decided one itself or was pushed one.
    behind: u64,
    /// The height from which everything has healed for this peer, and it is not behind.
    healed: Option<Height>,
}

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
    /// Transactions in blocks, and those of them that applied.
    met: BTreeSet<TransactionId>,
    applied: BTreeSet<TransactionId>,
    peers: BTreeMap<usize, Watched>,
    /// Gossip messages that honest peers took, and that they refused, by their hashes: who did.
    taken: BTreeMap<[u8; 32], usize>,
    refused: BTreeMap<[u8; 32], usize>,
    /// What went wrong; empty in a good run.
    pub violations: Vec<Violation>,
    /// Honest validators seen signing twice.
    pub double_signs: u64,
    /// Proofs of voting twice that replicas brought forward.
    pub double_votes: u64,
    /// Proofs of proposing twice that replicas brought forward.
    pub double_proposals: u64,
}

impl Checker {
    pub(super) fn broken(&mut self, law: Law, text: String) {
        self.violations.push(Violation { law, text });
    }

    /// How many transactions were decided, each counted once.
    pub fn transactions(&self) -> u64 {
        self.met.len() as u64
    }

    /// Agreement: every peer decides the same block at each height, in order, by a certificate that proves it, and gets the
    /// same state from it. Says whether it is the first to decide that height.
    pub(super) fn on_decided(&mut self, peer: usize, committed: &Committed) -> bool {
        let Committed { before, decided, after, executed, .. } = committed;
        let (height, hash) = (decided.block.header().height, decided.block.hash());
        if height != before.height.next() {
            self.broken(Law::Agreement, format!("peer {peer} decided height {height} on top of {}", before.height));
        }
        if self.certified.insert(codec::encode(&(&decided.certificate, hash)))
            && let Err(error) = decided.verify(before, &|_| false)
        {
            self.broken(Law::Agreement, format!("peer {peer} decided an invalid block at {height}: {error}"));
        }
        let outcome = (hash, after.state_root);
        if let Some(other) = self.decided.get(&height) {
            if *other != outcome {
                let text = format!("peer {peer} got {outcome:?} from height {height}, another peer {other:?}");
                self.broken(Law::Agreement, text);
            }
            return false;
        }
        self.decided.insert(height, outcome);
        self.sets.insert(height, before.validators.clone());
        for result in executed {
            self.met.insert(result.id);
            if result.outcome == Outcome::Applied && !self.applied.insert(result.id) {
                let text = format!("transaction {} applied twice, the second time at {height}", result.id);
                self.broken(Law::Once, text);
            }
        }
        true
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
        let (kind, height, round) = (message.kind(), message.height(), message.round());
        if *self.signed.entry((kind, sender, height, round)).or_insert_with(|| content.clone()) != content {
            self.double_signs += 1;
            let text = format!("peer {peer} signed two different {kind}s for height {height}, round {round}");
            self.broken(Law::OneSignature, text);
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
            let text = format!("peer {peer} holds a proof against {accused} that does not verify");
            self.broken(Law::OneSignature, text);
        }
        if honest.contains(&accused) {
            let text = format!("peer {peer} holds a proof against honest validator {accused}");
            self.broken(Law::OneSignature, text);
        }
    }

    /// An honest peer told its client that it took a transaction in: it keeps it until it is final or expired, as long as it
    /// has power. What waits is in memory, and a client whose peer stopped asks again.
    pub(super) fn on_acknowledged(
        &mut self,
        peer: usize,
        id: TransactionId,
        expires: Timestamp,
        host: &Host<SimMachine>,
    ) {
        let (height, ahead) = (host.tip().height, host.mempool().ahead_of(&id).unwrap_or(0));
        self.peers.entry(peer).or_default().acknowledged.insert(id, Acknowledged { expires, height, ahead });
    }

    /// What a peer committed is final.
    pub(super) fn on_final(&mut self, peer: usize, committed: &Committed) {
        let watched = self.peers.entry(peer).or_default();
        for result in &committed.executed {
            watched.acknowledged.remove(&result.id);
        }
    }

    /// What was in its memory is gone.
    pub(super) fn on_power_failure(&mut self, peer: usize) {
        let watched = self.peers.entry(peer).or_default();
        watched.acknowledged.clear();
        watched.healed = None;
    }

    /// An honest peer has done what there was to do.
    pub(super) fn on_idle(&mut self, peer: usize, host: &Host<SimMachine>, has_committed: bool, is_healed: bool) {
        let watched = self.peers.entry(peer).or_default();
        watched.latest = watched.latest.max(host.machine().block_time()).max(host.tip().time);
        if !has_committed {
            return;
        }
        // While others were ahead, it was nobody's turn here.
        let may_wait = is_healed && host.is_validator() && watched.behind == 0;
        watched.healed = if may_wait { watched.healed.or(Some(host.tip().height)) } else { None };
        let (latest, height, healed) = (watched.latest, host.tip().height, watched.healed);
        watched.acknowledged.retain(|_, one| one.expires >= latest);
        let lost = watched.acknowledged.keys().find(|id| !host.mempool().contains(id)).copied();
        let waits = |one: &&Acknowledged| {
            let bound = HEIGHTS_TO_FINAL * (1 + one.ahead as u64);
            healed.is_some_and(|healed| one.height.max(healed).get() + bound < height.get())
        };
        let late = watched.acknowledged.values().find(waits).map(|one| one.height);
        if let Some(id) = lost {
            let text = format!("peer {peer} took transaction {id} in, and dropped it by height {height}");
            self.broken(Law::Acknowledged, text);
        }
        if let Some(since) = late {
            let text = format!("what peer {peer} took in at height {since} is not final at height {height}");
            self.broken(Law::Acknowledged, text);
        }
        self.check_load(peer, host);
    }

    /// What a peer keeps in memory and in its log is bounded.
    fn check_load(&mut self, peer: usize, host: &Host<SimMachine>) {
        let load = host.load();
        let validators = host.tip().validators.iter().count().max(host.tip().next_validators.iter().count());
        let rounds = usize::try_from(load.round).unwrap_or(usize::MAX).saturating_add(1 + ROUNDS_AHEAD);
        let entries = rounds.saturating_mul(validators * ENTRIES_OF_VALIDATOR + ENTRIES_OF_PEER);
        let bounds = [
            ("transactions that wait", load.transactions, limits::MEMPOOL_TRANSACTIONS),
            ("bytes that wait", load.size_bytes, limits::MEMPOOL_SIZE_BYTES),
            ("weight that waits", load.weight.get() as usize, limits::MEMPOOL_WEIGHT.get() as usize),
            ("messages kept for the next height", load.early_messages, validators * load.early_messages_max),
            ("timers", load.timers, rounds.saturating_mul(4)),
            ("log entries", host.machine().log_entry_count(), entries),
        ];
        for (what, found, max) in bounds {
            if found > max {
                self.broken(Law::Bounds, format!("peer {peer} has {found} {what}, more than {max}: {load:?}"));
            }
        }
    }

    /// How many blocks in a row a peer has by catch-up, now that it has seen more and committed so many blocks.
    pub(super) fn behind(&mut self, peer: usize, seen: &Seen, committed: usize) -> u64 {
        let watched = self.peers.entry(peer).or_default();
        if seen.caught_up > 0 {
            watched.behind += seen.caught_up;
        } else if committed > 0 {
            watched.behind = 0;
        }
        watched.behind
    }

    /// An honest peer wants no more of another that is honest.
    pub(super) fn on_blocked(&mut self, peer: usize, other: usize) {
        self.broken(Law::Trust, format!("peer {peer} blocked honest peer {other}"));
    }

    /// An honest peer takes a gossip message, and so relays it.
    pub(super) fn on_taken(&mut self, peer: usize, bytes: &[u8]) {
        let hash = *blake3::hash(bytes).as_bytes();
        self.taken.insert(hash, peer);
        if let Some(other) = self.refused.get(&hash) {
            let text = format!("peer {peer} takes a message for which peer {other} blames whoever relays it");
            self.broken(Law::Trust, text);
        }
    }

    /// An honest peer refuses a gossip message, and blames whoever sent it.
    pub(super) fn on_refused(&mut self, from: usize, to: usize, bytes: &[u8], genuine: bool) {
        if genuine {
            self.broken(Law::Trust, format!("peer {to} blames honest peer {from} for what it said"));
        }
        let hash = *blake3::hash(bytes).as_bytes();
        self.refused.insert(hash, to);
        if let Some(other) = self.taken.get(&hash) {
            let text = format!("peer {to} blames whoever relays a message that peer {other} takes");
            self.broken(Law::Trust, text);
        }
    }

    /// Nothing that happens makes an honest host fail.
    pub fn on_failure(&mut self, peer: usize, error: &HostError) {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        self.broken(Law::NoFailure, format!("peer {peer} failed: {error}: {source}"));
    }

    /// A peer starts again with all that it had, whatever failed.
    pub fn on_lost(&mut self, peer: usize, what: &str) {
        self.broken(Law::Durability, format!("peer {peer} cannot go on: {what}"));
    }

    /// Something decides within the bound.
    pub fn on_standstill(&mut self, height: Height, now_us: u64, rounds: Vec<Option<u32>>) {
        let now_ms = now_us / 1_000;
        self.broken(
            Law::Progress,
            format!("nothing was decided above height {height} by {now_ms} ms; rounds {rounds:?}"),
        );
    }

    /// What the members wish for is decided some day.
    pub(super) fn on_wished_in_vain(&mut self, height: Height) {
        let text = format!("nobody gets the validators that are wished for by height {height}");
        self.broken(Law::Progress, text);
    }

    /// Once nothing fails any more, somebody goes on within the bound.
    pub(super) fn on_nothing_further(&mut self, above: u64, bound_ms: u64) {
        let text = format!("{bound_ms} ms after the last fault nobody is above height {above}, where a quorum was");
        self.broken(Law::Progress, text);
    }

    /// Once nothing fails any more, everybody goes on within the bound.
    pub(super) fn on_not_healed(&mut self, above: u64, heights: &[u64], bound_ms: u64) {
        let text = format!("{bound_ms} ms after the last fault not all are above height {above}: {heights:?}");
        self.broken(Law::Progress, text);
    }
}
