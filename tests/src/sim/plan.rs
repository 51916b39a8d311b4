//! What a run is: who takes part, what fails, how long it goes on. A plan with its seed makes the same run each time.

use super::{Behaviour, NetworkConditions, Report, Simulation};
use allod_protocol::agreement::replica::Timeouts;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// How often somebody asks for something where the plan does not say, in virtual milliseconds.
const ASK_EVERY_MS: u64 = 25;

/// When peers lose power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crashes {
    /// Never.
    #[default]
    None,
    /// One peer at a time, about every so many virtual milliseconds.
    One(u64),
    /// All at once, about every so many virtual milliseconds.
    All(u64),
}

/// A peer that is off while the others decide some heights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Which peer.
    pub peer: usize,
    /// It goes when the first of these heights is decided, and is back when the end of the range is.
    pub heights: Range<u64>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything that is left to chance follows from it.
    pub seed: u64,
    /// The run ends when every honest peer has decided this height.
    pub heights: u64,
    /// Peers that are validators at first.
    pub validators: usize,
    /// Further peers, not validators at first.
    pub observers: usize,
    /// Whether observers have no key at all.
    pub keyless_observers: bool,
    /// Later validator sets, which the members decide on once a height is reached: which peers with which power. The run
    /// does not end before they are in force.
    pub changes: Vec<(u64, Vec<(usize, u64)>)>,
    /// The network.
    pub network: NetworkConditions,
    /// Who loses power when.
    pub crashes: Crashes,
    /// Virtual milliseconds after which nobody loses power any more: from then on heights have to end.
    pub crashes_until_ms: u64,
    /// Who is off while others go on.
    pub absences: Vec<Absence>,
    /// Who breaks the rules; all others are honest.
    pub behaviours: BTreeMap<usize, Behaviour>,
    /// Whether logs are written; only a control turns it off.
    pub keeps_log: bool,
    /// Whether last-signed records are written; only a control turns it off.
    pub keeps_last_signed: bool,
    /// Whether peers keep what they keep in the node's own database and files, in a directory on a disk that fails
    /// ([`crate::directory`]), and not in the likeness of them in memory. Then `keeps_log` and `keeps_last_signed` say nothing.
    pub on_files: bool,
    /// Of which files, `begin*end` of a path, syncs do nothing; only a control sets it, and only on files.
    pub careless: Option<&'static str>,
    /// A peer half of whose crashes delete its log as well. One at most: see `allod_protocol::agreement::replica::guard`.
    pub loses_log: Option<usize>,
    /// How many writes take up to 30 ms, 0 to 1: meanwhile the peer does nothing else.
    pub slow_disk: f64,
    /// How many writes the disk refuses for lack of space, 0 to 1: the process ends, and is started again.
    pub full_disk: f64,
    /// How far the clocks of peers may jump from true time, in milliseconds.
    pub clock_jumps_ms: u64,
    /// How much faster or slower than true time clocks may go, in millionths.
    pub clock_drift_ppm: u64,
    /// Virtual milliseconds after which nothing fails any more but those who break the rules; from then on every honest
    /// peer has to decide further heights within the bound of [`super::faults`].
    pub heals_at_ms: Option<u64>,
    /// The only faults that happen, of all those that the seed has, by their numbers; all of them if none is given.
    pub only_faults: Option<BTreeSet<u64>>,
    /// Virtual milliseconds between two things that clients ask for: with nothing to do, no height begins.
    pub ask_every_ms: u64,
    /// How many things they ask for each time.
    pub asks: usize,
    /// How long the steps of a round wait.
    pub timeouts: Timeouts,
    /// Virtual milliseconds without progress that count as a standstill.
    pub patience_ms: u64,
    /// Whether to print what every peer is given and does.
    pub verbose: bool,
}

impl Default for Plan {
    /// Four honest validators on a network that loses nothing.
    fn default() -> Self {
        Self {
            seed: 1,
            heights: 50,
            validators: 4,
            observers: 0,
            keyless_observers: false,
            changes: Vec::new(),
            network: NetworkConditions::default(),
            crashes: Crashes::None,
            crashes_until_ms: 15_000,
            absences: Vec::new(),
            behaviours: BTreeMap::new(),
            keeps_log: true,
            keeps_last_signed: true,
            on_files: false,
            careless: None,
            loses_log: None,
            slow_disk: 0.0,
            full_disk: 0.0,
            clock_jumps_ms: 0,
            clock_drift_ppm: 0,
            heals_at_ms: None,
            only_faults: None,
            ask_every_ms: ASK_EVERY_MS,
            asks: 1,
            timeouts: Timeouts { propose_ms: 120, vote_ms: 50, delta_ms: 35, rebroadcast_ms: 220 },
            patience_ms: 60_000,
            verbose: false,
        }
    }
}

/// What can be left out of a plan: its name, whether the plan has it, and how to leave it out.
type Part = (&'static str, fn(&Plan) -> bool, fn(&mut Plan));

const PARTS: &[Part] = &[
    ("changes", |plan| !plan.changes.is_empty(), |plan| plan.changes.clear()),
    ("absences", |plan| !plan.absences.is_empty(), |plan| plan.absences.clear()),
    ("behaviours", |plan| !plan.behaviours.is_empty(), |plan| plan.behaviours.clear()),
    ("partitions", |plan| !plan.network.partitions.is_empty(), |plan| plan.network.partitions.clear()),
    ("loss", |plan| plan.network.loss > 0.0, |plan| plan.network.loss = 0.0),
    ("duplication", |plan| plan.network.duplication > 0.0, |plan| plan.network.duplication = 0.0),
    ("corruption", |plan| plan.network.corruption > 0.0, |plan| plan.network.corruption = 0.0),
    (
        "delay",
        |plan| plan.network.delay_us != NetworkConditions::default().delay_us,
        |plan| plan.network.delay_us = NetworkConditions::default().delay_us,
    ),
    ("crashes", |plan| plan.crashes != Crashes::None, |plan| plan.crashes = Crashes::None),
    ("lost-log", |plan| plan.loses_log.is_some(), |plan| plan.loses_log = None),
    ("slow-disk", |plan| plan.slow_disk > 0.0, |plan| plan.slow_disk = 0.0),
    ("full-disk", |plan| plan.full_disk > 0.0, |plan| plan.full_disk = 0.0),
    ("clock-jumps", |plan| plan.clock_jumps_ms > 0, |plan| plan.clock_jumps_ms = 0),
    ("clock-drift", |plan| plan.clock_drift_ppm > 0, |plan| plan.clock_drift_ppm = 0),
    ("healing", |plan| plan.heals_at_ms.is_some(), |plan| plan.heals_at_ms = None),
];

impl Plan {
    /// Runs it to its end.
    pub fn run(&self) -> Report {
        Simulation::new(self.clone()).run()
    }

    /// Whether a peer keeps to the rules, and no other runs with its key.
    pub fn is_honest(&self, peer: usize) -> bool {
        let is_doubled = self.behaviours.values().any(|behaviour| *behaviour == Behaviour::Double(peer));
        !is_doubled && self.behaviours.get(&peer).is_none_or(|behaviour| *behaviour == Behaviour::Honest)
    }

    /// The names of what fails in it.
    pub fn parts(&self) -> Vec<&'static str> {
        PARTS.iter().filter(|(_, has, _)| has(self)).map(|(name, ..)| *name).collect()
    }

    /// The same plan without a part of it.
    ///
    /// # Errors
    /// When there is no part of this name.
    pub fn without(mut self, part: &str) -> Result<Self, String> {
        let found = PARTS.iter().find(|(name, ..)| *name == part);
        let (_, _, leave_out) = found.ok_or_else(|| {
            let names: Vec<&str> = PARTS.iter().map(|(name, ..)| *name).collect();
            format!("no plan has a part {part:?}; parts are {}", names.join(", "))
        })?;
        leave_out(&mut self);
        Ok(self)
    }
}
