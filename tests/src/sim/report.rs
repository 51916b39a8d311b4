//! What came of a run.

use crate::histories::Coverage;
use std::fmt;

/// What was counted in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets sent.
    pub packets: u64,
    /// Packets lost.
    pub lost: u64,
    /// Crashes.
    pub crashes: u64,
    /// Crashes while a host took up where an earlier crash had left it.
    pub crashes_in_resume: u64,
    /// Log entries replayed.
    pub replayed: u64,
    /// Syncs of a disk.
    pub syncs: u64,
    /// Transactions that a peer took in from a client.
    pub accepted: u64,
    /// Transactions that it did not take in: something is wrong with them, or it has them.
    pub refused: u64,
    /// Transactions decided, each once.
    pub decided: u64,
    /// Blocks decided in a later round than the first.
    pub later_rounds: u64,
    /// Blocks that peers took as they were pushed to them.
    pub pushed: u64,
    /// Blocks that came by catch-up.
    pub caught_up: u64,
    /// The most that came by catch-up between two blocks that a peer decided itself or was pushed.
    pub furthest_behind: u64,
    /// Decided blocks that a peer sent and that were refused.
    pub refused_blocks: u64,
    /// Messages refused as faulty.
    pub rejected: u64,
    /// Signatures withheld by the last-signed record.
    pub withheld: u64,
    /// Files and directories that lost something not synced, on real files.
    pub lost_writes: u64,
    /// Files that lost a part of that, on real files.
    pub torn_writes: u64,
    /// Virtual milliseconds from the end of all faults until every honest peer had decided a further height.
    pub healed_after_ms: u64,
    /// How long that may take.
    pub healing_bound_ms: u64,
}

/// What must hold in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// All decide the same blocks, in order, by certificates that prove them, and get the same state.
    Agreement,
    /// An honest key signs one message a height, round and kind, and nobody proves anything else of it.
    OneSignature,
    /// A transaction applies once.
    Once,
    /// Whoever said to have taken a transaction in and did not lose power has it until it is final or expired.
    Acknowledged,
    /// What a disk acknowledged is there after each failure.
    Durability,
    /// The ledger is what the reference model makes of the decided blocks, and what must hold of any ledger holds of it.
    Reference,
    /// An honest peer blocks none that is honest, and refuses no message that another one takes.
    Trust,
    /// What a peer keeps in memory is bounded.
    Bounds,
    /// Heights end.
    Progress,
    /// Nothing makes an honest peer fail.
    NoFailure,
    /// Nothing panics.
    NoPanic,
}

/// A law that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.law, self.text)
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// What went wrong; empty in a good run.
    pub violations: Vec<Violation>,
    /// Honest validators seen signing twice.
    pub double_signs: u64,
    /// Proofs of voting twice.
    pub double_votes: u64,
    /// Proofs of proposing twice.
    pub double_proposals: u64,
    /// How far each peer came.
    pub heights: Vec<u64>,
    /// The numbers of the faults that happened: see [`super::Plan::only_faults`].
    pub faults: Vec<u64>,
    /// How long it took in virtual time.
    pub virtual_ms: u64,
    /// A hash of everything that was done, when, by whom.
    pub trace: String,
    /// What was counted.
    pub counts: Counts,
    /// What happened on the ledger, and how often.
    pub coverage: Coverage,
}

impl Report {
    /// Whether every law held.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// # Panics
    /// With the seed and what went wrong, if anything did.
    pub fn expect_good(&self, what: &str) {
        let Self { seed, violations, virtual_ms, heights, counts, .. } = self;
        let texts: Vec<String> = violations.iter().take(5).map(ToString::to_string).collect();
        assert!(
            self.is_good(),
            "{what}: seed {seed} failed after {virtual_ms} virtual ms at heights {heights:?}\n{}\n{counts:?}\nall of it: \
             cargo run --release --bin allod-sim -- {what} {seed}\nas short as it fails: cargo run --release --bin \
             allod-sim -- --minimise {what} {seed}",
            texts.join("\n"),
        );
    }
}
