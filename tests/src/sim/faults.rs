//! What fails in a run, and when: power, clocks, absences, and the end of it all.
//!
//! Faults are drawn from a stream of their own that nothing else that happens can shift, and numbered: so a run can be made
//! again with some of them left out ([`Plan::only_faults`](super::Plan)), which is what makes a failing one shorter.
//!
//! # How long healing may take
//!
//! From [`Plan::heals_at_ms`](super::Plan) on nothing is lost, delays and clocks are what they were, everybody has power, and
//! only those who break the rules go on. Let `D` be the longest delay, `f` the number of those, `r` the greatest round that
//! an honest peer is in, and `h` the greatest height that one has decided.
//!
//! If honest validators with a quorum stand at `h`, the next height is decided by somebody within the sum of
//!
//! - 400 ms: whoever was off starts again;
//! - the time until somebody asks for something, without which no height begins, and `D`;
//! - `rebroadcast`, with what it has grown by, and `D`: everybody says again what it said last, and whoever is in an
//!   earlier round follows;
//! - `f + 3` rounds from round `r` on, each `propose + 2 vote` with what the timeouts have grown by, and `4 D`: the one
//!   under way, one more that is out of step, one for each that breaks the rules when it is its turn, and one that decides.
//!
//! Every honest peer is above `h` within the same and, if it is behind by `b` blocks, 10 s until it looks around if nothing
//! points to more, 5 s of wait that has grown, 5 s for each peer that is asked first and does not answer, at most `f + 1` of
//! them, and `2 D` and 25 ms for each answer of at most 128 blocks.
//!
//! That turns of those who break the rules do not follow each other for longer is what the proposers' order is made for,
//! with powers as equal as the plans have them; clocks that go slower make it longer by as much.

use super::{Behaviour, Crashes, Event, Simulation};
use allod_protocol::{
    agreement::host::Host,
    ground::{ids::Power, limits},
};
use rand::RngExt as _;

/// After how long a peer that lost power has it again, in virtual microseconds: at the longest.
const OFF_US: u64 = 400_000;
/// The same where all lost it at once.
const OFF_TOGETHER_US: u64 = 30_000;
/// Things that a host is asked to do before power fails in the middle of one event, at most.
const THINGS: u64 = 12;
/// Between two jumps of clocks, in virtual microseconds.
const CLOCK_JUMPS_US: std::ops::Range<u64> = 400_000..2_000_000;

/// Of [`allod_protocol::agreement::host`]'s catching up: until it looks around, the longest wait, an answer's.
const LOOK_AROUND_MS: u64 = 10_000;
const LONGEST_WAIT_MS: u64 = 5_000;
const PATIENCE_MS: u64 = 5_000;
const INTERVAL_MS: u64 = 25;

/// A power failure to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doom {
    /// After how many more things that the host asks its machine to do.
    pub(super) after: u64,
    /// After how many things of the next start power fails again.
    pub(super) again: Option<u64>,
}

/// What has to be reached once everything has healed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Healing {
    /// A height above this one.
    above: u64,
    since_us: u64,
    /// By when somebody has.
    first_until_us: Option<u64>,
    /// By when everybody has.
    until_us: u64,
}

impl Simulation {
    pub(super) fn schedule_faults(&mut self) {
        if let Crashes::One(every_ms) | Crashes::All(every_ms) = self.plan.crashes {
            self.schedule(every_ms * 1_000, Event::Crash);
        }
        if self.plan.clock_jumps_ms > 0 {
            self.schedule(CLOCK_JUMPS_US.start, Event::ClockJump);
        }
        if let Some(at_ms) = self.plan.heals_at_ms {
            self.schedule(at_ms * 1_000, Event::Heal);
        }
    }

    pub(super) fn is_healed(&self) -> bool {
        self.plan.heals_at_ms.is_some_and(|at_ms| at_ms * 1_000 <= self.now_us)
    }

    /// Whether the next fault of the stream happens; it has a number in any case.
    fn happens(&mut self) -> bool {
        self.fault_number += 1;
        let number = self.fault_number;
        self.plan.only_faults.as_ref().is_none_or(|only| only.contains(&number))
    }

    fn on_fault(&mut self, peer: usize, text: impl FnOnce() -> String) {
        self.happened.push(self.fault_number);
        let number = self.fault_number;
        self.say(peer, || format!("fault {number}: {}", text()));
    }

    pub(super) fn on_crash(&mut self) {
        let (every_ms, peers) = match self.plan.crashes {
            Crashes::None => return,
            Crashes::One(every_ms) => {
                let victim = self.faults.random_range(0..self.peers.len());
                (every_ms, victim..victim + 1)
            }
            Crashes::All(every_ms) => (every_ms, 0..self.peers.len()),
        };
        if self.now_us > self.plan.crashes_until_ms * 1_000 || self.is_healed() {
            return;
        }
        // One at a time: with two of four gone nothing can be decided, and power failure is another plan.
        let together = matches!(self.plan.crashes, Crashes::All(_));
        let may = together || self.all_are_up();
        for peer in peers {
            let after = self.faults.random_range(0..THINGS);
            let again = self.faults.random_bool(0.3).then(|| self.faults.random_range(0..THINGS));
            if self.happens() && may && self.peers[peer].host.is_some() {
                self.on_fault(peer, || format!("power fails after {after} more things, and then {again:?}"));
                self.peers[peer].doom = Some(Doom { after, again });
            }
        }
        let after_us = self.faults.random_range(every_ms * 500..every_ms * 1_500);
        self.schedule(after_us, Event::Crash);
    }

    fn all_are_up(&self) -> bool {
        let is_up = |peer: &super::Peer| peer.host.is_some() && peer.doom.is_none();
        self.peers.iter().all(|peer| is_up(peer) || peer.behaviour == Behaviour::Dead)
    }

    /// When a peer that lost power has it again.
    pub(super) fn schedule_restart(&mut self, peer: usize) {
        let together = matches!(self.plan.crashes, Crashes::All(_));
        let off_us = if together { 0..OFF_TOGETHER_US } else { OFF_TOGETHER_US..OFF_US };
        let after_us = self.rng.random_range(off_us);
        self.schedule(after_us, Event::Restart { peer });
    }

    pub(super) fn on_clock_jump(&mut self) {
        let peer = self.faults.random_range(0..self.peers.len());
        let ahead_ms = self.faults.random_range(0..self.plan.clock_jumps_ms);
        if self.is_healed() {
            return;
        }
        if self.happens() {
            self.on_fault(peer, || format!("the clock jumps to {ahead_ms} ms ahead"));
            let jumping = &mut self.peers[peer];
            let running = jumping.host.as_mut().map(Host::machine_mut);
            if let Some(machine) = running.or(jumping.machine.as_mut()) {
                machine.set_clock(ahead_ms);
            }
        }
        let after_us = self.faults.random_range(CLOCK_JUMPS_US);
        self.schedule(after_us, Event::ClockJump);
    }

    /// Peers go and come back as heights are decided.
    pub(super) fn look_at_absences(&mut self, height: u64) {
        for absence in self.plan.absences.clone() {
            if absence.heights.start == height && !self.is_healed() {
                self.peers[absence.peer].away = true;
                self.schedule(0, Event::Leave { peer: absence.peer });
            }
            if absence.heights.end == height {
                self.peers[absence.peer].away = false;
                self.schedule(0, Event::Restart { peer: absence.peer });
            }
        }
    }

    /// Nothing fails from now on.
    pub(super) fn on_heal(&mut self) {
        for peer in 0..self.peers.len() {
            let healing = &mut self.peers[peer];
            healing.doom = None;
            if let Some(machine) = healing.host.as_mut().map(Host::machine_mut).or(healing.machine.as_mut()) {
                machine.heal();
            }
            if std::mem::take(&mut healing.away) {
                self.schedule(0, Event::Restart { peer });
            }
        }
        let above = self.highest();
        let (first_us, behind_us) = (self.height_bound_us(), self.catching_up_bound_us(above - self.lowest()));
        let bound_us = first_us + behind_us;
        self.counts.healing_bound_ms = bound_us / 1_000;
        self.healing = Some(Healing {
            above,
            since_us: self.now_us,
            first_until_us: self.has_quorum_at(above).then_some(self.now_us + first_us),
            until_us: self.now_us + bound_us,
        });
        self.say(0, || format!("nothing fails any more: {bound_us} us for all to decide more than height {above}"));
    }

    fn highest(&self) -> u64 {
        self.honest().map(|peer| self.height(peer).get()).max().unwrap_or(0)
    }

    /// Whether honest validators that can decide by themselves stand at a height.
    fn has_quorum_at(&self, height: u64) -> bool {
        let there: Vec<usize> = self.honest().filter(|peer| self.height(*peer).get() == height).collect();
        let tip = there.iter().find_map(|peer| self.peers[*peer].host.as_ref()).map(|host| host.tip().clone());
        tip.is_some_and(|tip| {
            let powers = there.iter().filter_map(|peer| tip.validators.by_address(&self.peers[*peer].address));
            tip.validators.is_quorum(Power::new(powers.map(|validator| validator.power.get()).sum()))
        })
    }

    fn stretched(&self, bound_us: u64) -> u64 {
        bound_us + bound_us * 2 * self.plan.clock_drift_ppm / 1_000_000
    }

    fn faulty(&self) -> u64 {
        (self.peers.len() - self.honest().count()) as u64
    }

    /// See the top of this file: until somebody decides.
    fn height_bound_us(&self) -> u64 {
        let (delay_us, timeouts) = (self.plan.network.delay_us.end, self.plan.timeouts);
        let rounds = self.honest().filter_map(|peer| self.peers[peer].host.as_ref().map(Host::round));
        let first = u64::from(rounds.max().unwrap_or(0));
        let rounds_us: u64 = (first..first + self.faulty() + 3)
            .map(|round| {
                let waits_ms = timeouts.propose_ms + 2 * timeouts.vote_ms + 3 * round * timeouts.delta_ms;
                waits_ms * 1_000 + 4 * delay_us
            })
            .sum();
        let again_ms = timeouts.rebroadcast_ms + first * timeouts.delta_ms + self.plan.ask_every_ms;
        let again_us = again_ms * 1_000 + 2 * delay_us;
        self.stretched(OFF_US + again_us + rounds_us)
    }

    /// See the top of this file: until those who are behind are not.
    fn catching_up_bound_us(&self, behind: u64) -> u64 {
        let answers = behind.div_ceil(limits::SYNC_BLOCKS as u64) + 1;
        let waits_ms = LOOK_AROUND_MS + LONGEST_WAIT_MS + (self.faulty() + 1) * PATIENCE_MS + answers * INTERVAL_MS;
        self.stretched(waits_ms * 1_000 + answers * 2 * self.plan.network.delay_us.end)
    }

    /// Once healed, every honest peer decides a further height in time, and somebody long before.
    pub(super) fn look_at_healing(&mut self) {
        let Some(healing) = self.healing else { return };
        let Healing { above, since_us, first_until_us, until_us } = healing;
        if self.lowest() > above {
            self.counts.healed_after_ms = (self.now_us - since_us) / 1_000;
            self.healing = None;
        } else if self.highest() > above {
            self.healing = Some(Healing { first_until_us: None, ..healing });
        } else if let Some(until_us) = first_until_us.filter(|until_us| self.now_us > *until_us) {
            self.checker.on_nothing_further(above, (until_us - since_us) / 1_000);
        }
        if self.healing.is_some() && self.now_us > until_us {
            let heights: Vec<u64> = self.honest().map(|peer| self.height(peer).get()).collect();
            self.checker.on_not_healed(above, &heights, (until_us - since_us) / 1_000);
        }
    }
}
