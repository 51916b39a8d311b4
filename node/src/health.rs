//! Whether this peer can do its work, and if not, why.
//!
//! [`judge`] is a pure function: from what the event loop, the swarm, the clocks and the disk show ([`Observed`]) to
//! the [`Reason`]s for which this peer is not ready, each with a stable code and a sentence that names the thing and
//! the remedy. `/readyz`, `allod status`, the metrics and the log all say what it says. [`Told`] decides what the log
//! says: one line when a state has begun, one when it ends, none in between. `clocks` compares this machine's clock
//! with what validators say.
//!
//! It decides nothing about the ledger, and reads no clock.

pub(crate) mod clocks;

use crate::{
    event_loop::quorum::Reached,
    plain::units::{show_count, show_duration, show_size},
};
use allod_protocol::{
    ground::ids::{Height, Timestamp, ValidatorAddress},
    ledger::block::VoteKind,
    rules::parameters::Parameters,
};
use clocks::Offset;
use libp2p::PeerId;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long there must have been work without a block before that is called a lack of quorum, at least.
const STALLED: Duration = Duration::from_secs(3);
/// The same in rounds of the network's own pace.
const STALLED_ROUNDS: u32 = 5;
/// The longest that it is waited for rounds.
const STALLED_AT_MOST: Duration = Duration::from_secs(60);
/// After how many heartbeats without a block a tip is old.
const HEARTBEATS: u32 = 3;
/// How many blocks behind a peer is not ready at once; with fewer, after [`BEHIND_PATIENCE`].
const BEHIND: u64 = 8;
const BEHIND_PATIENCE: Duration = Duration::from_secs(2);
/// The part of the network's bound at which a clock that is off is reported: before blocks are refused for it.
const CLOCK_PART: u64 = 2;
/// How long a state that may be of a moment has to last until the log tells of it: connecting takes a moment.
const SETTLED: Duration = Duration::from_secs(5);
/// How many more files a process should be able to open.
const SPARE_FILES: u64 = 32;
/// How many of a list a sentence names.
const NAMED: usize = 8;

/// Why a peer is not ready. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// It has just started.
    Starting,
    /// There is work, and no block is decided.
    NoQuorum,
    /// A validator is heard by validators with no more than two thirds of the power, itself included.
    CutOff,
    /// Nobody hears this peer.
    Alone,
    /// Others are ahead.
    CatchingUp,
    /// No block came for several heartbeats.
    TipOld,
    /// This machine's clock differs from what validators with more than two thirds of the power say.
    ClockOff,
    /// Nobody hears this peer, and others close its connections before they say who they are.
    Refused,
    /// Nobody hears this peer, and configured peers belong to another network.
    OtherNetwork,
    /// The disk is nearly full.
    DiskLow,
    /// This process can hardly open any more files and connections.
    FilesLow,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 11] = [
        Self::Starting,
        Self::NoQuorum,
        Self::CutOff,
        Self::Alone,
        Self::CatchingUp,
        Self::TipOld,
        Self::ClockOff,
        Self::Refused,
        Self::OtherNetwork,
        Self::DiskLow,
        Self::FilesLow,
    ];

    /// The name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::NoQuorum => "no_quorum",
            Self::CutOff => "cut_off",
            Self::Alone => "alone",
            Self::CatchingUp => "catching_up",
            Self::TipOld => "tip_old",
            Self::ClockOff => "clock_off",
            Self::Refused => "refused",
            Self::OtherNetwork => "other_network",
            Self::DiskLow => "disk_low",
            Self::FilesLow => "files_low",
        }
    }

    /// How long it has to last until the log tells of it.
    const fn settles(self) -> Duration {
        match self {
            // These have lasted when they are found.
            Self::NoQuorum | Self::ClockOff | Self::DiskLow | Self::FilesLow => Duration::ZERO,
            Self::Starting
            | Self::CutOff
            | Self::Alone
            | Self::CatchingUp
            | Self::TipOld
            | Self::Refused
            | Self::OtherNetwork => SETTLED,
        }
    }
}

/// One reason for which a peer is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Which.
    pub code: Code,
    /// The same in English: the thing, and what to do.
    pub detail: String,
}

/// What a peer knows of its own state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Why it is not ready. Empty if it is.
    pub reasons: Arc<[Reason]>,
    /// How far this machine's clock is ahead of what validators with more than two thirds of the power say, in
    /// milliseconds. `None` while too few have said anything.
    pub clock_ahead_ms: Option<i64>,
    /// The validators that the height under way waits for, if it has for long.
    pub awaited: Arc<[ValidatorAddress]>,
    /// The validators that do not hear this peer.
    pub unheard: Arc<[ValidatorAddress]>,
    /// The room on the disk of the data directory. `None` if it cannot be read.
    pub disk: Option<Room>,
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Room {
    /// What is free.
    pub free_bytes: u64,
    /// How much should be.
    pub reserve_bytes: u64,
}

impl Default for Health {
    /// A peer that is ready.
    fn default() -> Self {
        let nobody: Arc<[ValidatorAddress]> = Arc::new([]);
        let (awaited, unheard) = (nobody.clone(), nobody);
        Self { reasons: Arc::new([]), clock_ahead_ms: None, awaited, unheard, disk: None }
    }
}

impl Health {
    /// A peer that has not looked around yet.
    pub(crate) fn starting() -> Self {
        let detail = "this peer has just started, and looks around; wait a second".into();
        Self { reasons: Arc::new([Reason { code: Code::Starting, detail }]), ..Self::default() }
    }

    /// Whether this peer can do its work.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Whether it is not ready for this reason.
    pub fn has(&self, code: Code) -> bool {
        self.reasons.iter().any(|reason| reason.code == code)
    }
}

/// There is work, and no block for it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// For how long.
    pub(crate) since: Duration,
    /// Transactions that wait.
    pub(crate) transactions: usize,
    /// What the round under way lacks, if this peer is sent votes.
    pub(crate) lacking: Option<Lacking>,
}

/// What a round lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lacking {
    pub(crate) height: Height,
    pub(crate) round: u32,
    pub(crate) kind: VoteKind,
    /// The names of the validators whose votes are missing.
    pub(crate) validators: Vec<String>,
}

/// What a peer sees of itself and of others at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) height: Height,
    pub(crate) block_time: Timestamp,
    /// This machine's clock.
    pub(crate) clock: Timestamp,
    /// The highest height that is known of.
    pub(crate) best_known: Height,
    /// For how long others have been known to be ahead.
    pub(crate) behind: Option<Duration>,
    pub(crate) work: Option<Work>,
    pub(crate) reached: Reached,
    /// The names of the validators that do not hear this peer.
    pub(crate) unheard: Vec<String>,
    /// Peers that close connections before they say who they are.
    pub(crate) refusing: Vec<PeerId>,
    /// Configured peers of another network.
    pub(crate) foreign: Vec<PeerId>,
    /// This machine's clock against that of validators with more than two thirds of the power.
    pub(crate) offset: Option<Offset>,
    /// The names of validators whose own clocks differ, and how far they are ahead of this machine's.
    pub(crate) apart: Vec<(String, i64)>,
    /// The data directory.
    pub(crate) data_dir: String,
    /// The room on its disk. `None` if it cannot be read.
    pub(crate) disk: Option<Room>,
    /// The files that this process has open. `None` if that is not limited.
    pub(crate) files: Option<Files>,
}

/// The files and connections of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// About how many are open.
    pub(crate) open: u64,
    /// How many may be.
    pub(crate) limit: u64,
}

/// By how many milliseconds a clock may be off before that is a reason.
pub(crate) const fn clock_bound_ms(parameters: &Parameters) -> u64 {
    parameters.clock_drift_ms.div_euclid(CLOCK_PART)
}

/// How long work waits for a block before that is a reason.
pub(crate) fn stalled_after(parameters: &Parameters) -> Duration {
    let votes_ms = parameters.vote_timeout_ms.saturating_mul(2);
    let round = Duration::from_millis(parameters.propose_timeout_ms.saturating_add(votes_ms));
    round.saturating_mul(STALLED_ROUNDS).clamp(STALLED, STALLED_AT_MOST)
}

/// Why a peer that sees this is not ready. Empty if it is.
pub(crate) fn judge(seen: &Observed, parameters: &Parameters) -> Vec<Reason> {
    let all = [
        (Code::OtherNetwork, other_network(seen)),
        (Code::Refused, refused(seen)),
        (Code::Alone, alone(seen)),
        (Code::CutOff, cut_off(seen)),
        (Code::ClockOff, clock_off(seen, parameters)),
        (Code::NoQuorum, no_quorum(seen, parameters)),
        (Code::CatchingUp, catching_up(seen)),
        (Code::TipOld, tip_old(seen, parameters)),
        (Code::DiskLow, disk_low(seen)),
        (Code::FilesLow, files_low(seen)),
    ];
    all.into_iter().filter_map(|(code, detail)| Some(Reason { code, detail: detail? })).collect()
}

const fn is_alone(seen: &Observed) -> bool {
    seen.reached.cut_off && seen.reached.listening_peers == 0
}

fn other_network(seen: &Observed) -> Option<String> {
    (is_alone(seen) && !seen.foreign.is_empty()).then(|| {
        format!(
            "configured peers belong to another network than this peer: {}; compare the network's id (allod status) with \
             a member, and begin again with the right genesis, or correct `peers` in the configuration",
            list(&seen.foreign)
        )
    })
}

fn refused(seen: &Observed) -> Option<String> {
    (is_alone(seen) && !seen.refusing.is_empty()).then(|| {
        format!(
            "others close this peer's connections at once: {}; they may have blocked it for ten minutes, or have no place \
             for it: ask their operators, whose logs name this peer and say why",
            list(&seen.refusing)
        )
    })
}

fn alone(seen: &Observed) -> Option<String> {
    is_alone(seen).then(|| {
        "nobody hears this peer: it is connected to no peer of its network; see that this machine has a network, that \
         `peers` in the configuration names peers that run, and that nothing filters the connections"
            .into()
    })
}

fn cut_off(seen: &Observed) -> Option<String> {
    let Reached { listening_peers, power, total_power, cut_off } = seen.reached;
    (cut_off && listening_peers > 0).then(|| {
        format!(
            "this validator is heard by validators with {power} of {total_power} of the power, itself included, and needs \
             more than two thirds; it is not connected to {}: see that they run and can be reached from here",
            list(&seen.unheard)
        )
    })
}

fn clock_off(seen: &Observed, parameters: &Parameters) -> Option<String> {
    let Offset { ahead_ms, power, total_power } = seen.offset?;
    (ahead_ms.unsigned_abs() > clock_bound_ms(parameters)).then(|| {
        format!(
            "this machine's clock is {} the median of what validators with {power} of {total_power} of the power say; \
             set it right, and keep it so with chrony or systemd-timesyncd: blocks more than {} off are refused",
            apart(ahead_ms),
            show_duration(parameters.clock_drift_ms)
        )
    })
}

fn apart(ahead_ms: i64) -> String {
    let by = show_duration(ahead_ms.unsigned_abs());
    if ahead_ms > 0 { format!("{by} ahead of") } else { format!("{by} behind") }
}

fn no_quorum(seen: &Observed, parameters: &Parameters) -> Option<String> {
    let work = seen.work.as_ref().filter(|work| work.since >= stalled_after(parameters))?;
    if seen.behind.is_some() {
        // Others decide.
        return None;
    }
    let waiting = match work.transactions {
        0 => "a block is due".into(),
        1 => "1 transaction waits".into(),
        count => format!("{} transactions wait", show_count(count as u64)),
    };
    let since = show_duration(millis(work.since) / 1_000 * 1_000);
    let Some(Lacking { height, round, kind, validators }) = &work.lacking else {
        return Some(format!(
            "no block has come for {since} although {waiting}: validators with more than two thirds of the power do not \
             decide, or do not reach this peer; ask a validator, which knows whose votes are missing (allod status)"
        ));
    };
    let kind = match kind {
        VoteKind::Prevote => "prevotes",
        VoteKind::Precommit => "precommits",
    };
    let clocks = if seen.apart.is_empty() {
        String::new()
    } else {
        let of = |(name, ahead_ms): &(String, i64)| {
            let by = show_duration(ahead_ms.unsigned_abs());
            format!("{name} ({by} {})", if *ahead_ms > 0 { "ahead" } else { "behind" })
        };
        format!("; clocks that differ from this machine's: {}", list(&seen.apart.iter().map(of).collect::<Vec<_>>()))
    };
    Some(match validators.as_slice() {
        [] => format!(
            "no block has been decided for {since} although {waiting}: all have voted in round {round} of height {height}, \
             but not for one block; see the log for why blocks are refused{clocks}"
        ),
        missing => format!(
            "no block has been decided for {since} although {waiting}: in round {round} of height {height} the {kind} of {} \
             are missing; see that they run, and that they and this peer reach each other{clocks}",
            list(missing)
        ),
    })
}

fn catching_up(seen: &Observed) -> Option<String> {
    let behind = seen.behind?;
    let blocks = seen.best_known.get().saturating_sub(seen.height.get());
    (blocks >= BEHIND || behind >= BEHIND_PATIENCE).then(|| {
        format!(
            "this peer is at height {} of at least {}; wait until it has caught up, and if it does not, see whether the \
             peers that it is connected to give it blocks",
            seen.height, seen.best_known
        )
    })
}

fn tip_old(seen: &Observed, parameters: &Parameters) -> Option<String> {
    // By the clock of the others, if it is known.
    let ahead_ms = seen.offset.map_or(0, |offset| offset.ahead_ms);
    let now_ms = seen.clock.get().saturating_add_signed(ahead_ms.saturating_neg());
    let age = Duration::from_millis(now_ms.saturating_sub(seen.block_time.get()));
    let allowed = Duration::from_millis(parameters.heartbeat_ms).saturating_mul(HEARTBEATS);
    (age > allowed + SETTLED).then(|| {
        format!(
            "the newest block here is {} old, and even at rest the network makes one every {}: either it decides nothing, \
             or this peer is not told; compare its height with that of other peers",
            show_duration(millis(age) / 1_000 * 1_000),
            show_duration(parameters.heartbeat_ms)
        )
    })
}

fn disk_low(seen: &Observed) -> Option<String> {
    let Room { free_bytes, reserve_bytes } = seen.disk?;
    let path = &seen.data_dir;
    (free_bytes < reserve_bytes).then(|| {
        format!(
            "{} are free on the disk of {path}, and {} should be; a peer that cannot write stops: free some space \
             (`allod artifacts gc` removes what nobody needs)",
            show_size(free_bytes),
            show_size(reserve_bytes)
        )
    })
}

fn files_low(seen: &Observed) -> Option<String> {
    let Files { open, limit } = seen.files.as_ref()?;
    (limit.saturating_sub(*open) < SPARE_FILES).then(|| {
        format!(
            "of {limit} files and connections that this process may open, {open} are open; raise the limit \
             (LimitNOFILE= in a systemd unit, ulimit -n in a shell) and start it again, or see who holds so many open"
        )
    })
}

fn list(items: &[impl ToString]) -> String {
    let mut names: Vec<String> = items.iter().take(NAMED).map(ToString::to_string).collect();
    let more = items.len().saturating_sub(NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the log says of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It has begun.
    Began(Reason),
    /// It has ended, after so long.
    Ended(Code, Duration),
}

impl Line {
    /// Writes the line.
    pub(crate) fn write(&self) {
        match self {
            Self::Began(Reason { code, detail }) => tracing::warn!(reason = code.name(), "not ready: {detail}"),
            Self::Ended(code, lasted) => {
                let lasted = show_duration(millis(*lasted) / 1_000 * 1_000);
                tracing::info!(reason = code.name(), %lasted, "no longer {}", code.name());
            }
        }
    }
}

/// Which states the log has told of.
#[derive(Debug, Default)]
pub(crate) struct Told {
    states: BTreeMap<Code, State>,
}

#[derive(Debug)]
struct State {
    since: Instant,
    told: bool,
}

impl Told {
    /// What the log is to say now.
    pub(crate) fn look(&mut self, reasons: &[Reason], now: Instant) -> Vec<Line> {
        let mut lines = Vec::new();
        self.states.retain(|code, state| {
            let holds = reasons.iter().any(|reason| reason.code == *code);
            if !holds && state.told {
                lines.push(Line::Ended(*code, now.saturating_duration_since(state.since)));
            }
            holds
        });
        for reason in reasons {
            let state = self.states.entry(reason.code).or_insert(State { since: now, told: false });
            if !state.told && now.saturating_duration_since(state.since) >= reason.code.settles() {
                state.told = true;
                lines.push(Line::Began(reason.clone()));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests;
