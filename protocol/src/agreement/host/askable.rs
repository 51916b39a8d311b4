//! Whom to ask for blocks: the connected peers, by how they answered before.
//!
//! Peers that brought blocks are asked first, the fastest of them first, one at a time and for as many blocks as there may
//! be in an answer. All others are asked for few blocks, several at once: those that were never asked, then those that
//! were silent least often, each of them in turn. Ids are free, so a silent peer costs others no time: it is waited for
//! beside them.
//!
//! # Invariants
//! - At least [`INTERVAL`] passes between two requests.
//! - A peer has one request at a time. One that brought nothing rests before the next, for longer each time up to
//!   [`LONGEST_WAIT`]; one that was silent, up to [`LONGEST_SILENCE`]. If all were silent, whoever was asked longest ago is
//!   asked after [`LONGEST_WAIT`] all the same.
//! - [`PROBES`] peers that have to show what they have are waited for at a time, and [`UNANSWERED`] requests are unanswered.
//! - Who never answered is asked before nobody else is, and for few blocks.

use super::Moment;
use crate::ground::limits;
use std::time::Duration;

/// The minimum time between two requests.
pub(super) const INTERVAL: Duration = Duration::from_millis(25);
/// How long a peer may take before others are asked beside it.
const PROMPT: Duration = Duration::from_secs(1);
/// How long a peer that brought blocks may take before it counts as silent. Another one may take [`PROMPT`].
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a request counts as unanswered: longer than the network keeps one.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// The rest of a peer after an answer that brought nothing. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The rest of a peer after it was silent. It doubles each time until it brings blocks.
const FIRST_SILENCE: Duration = Duration::from_secs(5);
const LONGEST_SILENCE: Duration = Duration::from_secs(80);
/// Maximum number of peers that are waited for at a time and have brought no blocks yet.
const PROBES: usize = 8;
/// How many blocks these are asked for.
const PROBE_BLOCKS: usize = 8;
/// Maximum number of unanswered requests: fewer than the network allows at a time.
const UNANSWERED: usize = 48;

const _: () = assert!(
    1_000 < INTERVAL.as_millis().saturating_mul(limits::SYNC_REQUESTS_PER_SECOND as u128),
    "an honest peer stays below what it allows others"
);

/// What an answer was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brought {
    /// So many blocks of the chain.
    Blocks(usize),
    /// It has none.
    Nothing,
    /// There is none.
    NoAnswer,
}

/// The request of a peer that has not answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    /// Nothing else is done meanwhile.
    Prompt,
    /// Others are asked beside it.
    Slow,
    /// It was silent.
    Late,
}

#[derive(Debug)]
struct Peer<P> {
    id: P,
    asked_at: Option<Moment>,
    pending: Option<Pending>,
    /// Whether it was last asked for few blocks.
    probed: bool,
    /// Blocks a second that its last answer brought.
    rate: u128,
    /// How often it was silent since it brought blocks.
    silences: u32,
    rests_until: Moment,
    wait: Duration,
}

impl<P> Peer<P> {
    const fn new(id: P, now: Moment) -> Self {
        let (asked_at, pending, probed, rate, silences) = (None, None, false, 0, 0);
        Self { id, asked_at, pending, probed, rate, silences, rests_until: now, wait: FIRST_WAIT }
    }

    const fn is_waited_for(&self) -> bool {
        matches!(self.pending, Some(Pending::Prompt | Pending::Slow))
    }

    fn is_free(&self, now: Moment) -> bool {
        self.pending.is_none() && self.rests_until <= now
    }

    /// From when on it may be asked if nobody else can be.
    fn last_resort(&self) -> Option<Moment> {
        Some(self.asked_at?.plus(LONGEST_WAIT)).filter(|_| !self.is_waited_for())
    }

    /// How long it may take.
    const fn patience(&self) -> Duration {
        if self.probed { PROMPT } else { PATIENCE }
    }

    /// When what is thought of its request changes.
    fn turns(&self) -> Option<Moment> {
        match self.pending? {
            Pending::Prompt => Some(self.asked_at?.plus(PROMPT)),
            Pending::Slow => Some(self.asked_at?.plus(PATIENCE)),
            Pending::Late => Some(self.asked_at?.plus(FORGOTTEN)),
        }
    }

    /// Notices that it takes long. Returns whether others are to be asked for that.
    fn look_at_clock(&mut self, now: Moment) -> bool {
        let Some((pending, asked_at)) = self.pending.zip(self.asked_at) else { return false };
        let took = now.since(asked_at);
        match pending {
            Pending::Late => {
                self.pending = self.pending.filter(|_| took < FORGOTTEN);
                false
            }
            Pending::Prompt | Pending::Slow if took >= self.patience() => {
                (self.pending, self.rate) = (Some(Pending::Late), 0);
                let rest = FIRST_SILENCE.saturating_mul(1u32.checked_shl(self.silences).unwrap_or(u32::MAX));
                self.silences = self.silences.saturating_add(1).min(u32::BITS);
                self.rests_until = now.plus(rest.min(LONGEST_SILENCE));
                true
            }
            Pending::Prompt if took >= PROMPT => {
                self.pending = Some(Pending::Slow);
                true
            }
            Pending::Prompt | Pending::Slow => false,
        }
    }
}

/// The connected peers, in the order in which they came.
#[derive(Debug)]
pub(super) struct Askable<P> {
    peers: Vec<Peer<P>>,
    /// Whether there was a reason to ask when nobody could be.
    wanted: bool,
    /// Whether the last request was for few blocks.
    probed_last: bool,
    /// Nobody is asked before this moment.
    ask_at: Moment,
    /// When to look again.
    due: Option<Moment>,
}

impl<P: Copy + Eq> Askable<P> {
    pub(super) const fn new(now: Moment) -> Self {
        Self { peers: Vec::new(), wanted: false, probed_last: false, ask_at: now, due: None }
    }

    /// A peer is connected. It is asked once, whatever others say.
    pub(super) fn add(&mut self, peer: P, now: Moment) {
        if !self.peers.iter().any(|known| known.id == peer) {
            self.peers.push(Peer::new(peer, now));
        }
        self.plan(now);
    }

    /// A peer is gone.
    pub(super) fn forget(&mut self, peer: P, now: Moment) {
        self.peers.retain(|known| known.id != peer);
        self.plan(now);
    }

    /// Whom to ask now, and for how many blocks. If nobody, remembers that there was a reason.
    pub(super) fn choose(&mut self, now: Moment) -> Option<(P, usize)> {
        self.look_at_clock(now);
        let chosen = if now < self.ask_at { None } else { self.best(now) };
        self.wanted = chosen.is_none();
        let asked = chosen.and_then(|(place, probed)| {
            let peer = self.peers.get_mut(place)?;
            (peer.asked_at, peer.pending, peer.probed) = (Some(now), Some(Pending::Prompt), probed);
            (self.probed_last, self.ask_at) = (probed, now.plus(INTERVAL));
            Some((peer.id, if probed { PROBE_BLOCKS } else { limits::SYNC_BLOCKS }))
        });
        self.plan(now);
        asked
    }

    /// The place of the best peer, and whether it is to be asked for few blocks.
    fn best(&self, now: Moment) -> Option<(usize, bool)> {
        let peers = || self.peers.iter().enumerate();
        let (mut whole, mut prompt, mut probes) = (false, false, 0usize);
        for peer in self.peers.iter().filter(|peer| peer.is_waited_for()) {
            whole |= !peer.probed;
            prompt |= !peer.probed && peer.pending == Some(Pending::Prompt);
            probes = probes.saturating_add(usize::from(peer.probed));
        }
        let free = || peers().filter(|(_, peer)| peer.is_free(now));
        let fastest = free().filter(|(_, peer)| peer.rate > 0).max_by_key(|(_, peer)| peer.rate).map(|(at, _)| at);
        let unanswered = self.peers.iter().filter(|peer| peer.pending.is_some()).count();
        let may_probe = probes < PROBES && unanswered < UNANSWERED;
        let untried = peers().filter(|(_, peer)| may_probe && peer.asked_at.is_none()).map(|(at, _)| at).next();
        // Whoever serves little at a time must not keep all others from being tried.
        if !whole && fastest.is_some() && (self.probed_last || untried.is_none()) {
            return fastest.map(|at| (at, false));
        }
        if untried.is_some() || prompt || !may_probe {
            return untried.map(|at| (at, true));
        }
        let others = free().filter(|(_, peer)| peer.rate == 0);
        let next = others.min_by_key(|(_, peer)| (peer.silences, peer.asked_at)).map(|(at, _)| at);
        let last_resort = || {
            let may = !whole && self.peers.iter().all(|peer| peer.silences > 0);
            let peers = peers().filter(|(_, peer)| may && peer.last_resort().is_some_and(|from| from <= now));
            peers.min_by_key(|(_, peer)| peer.asked_at).map(|(at, _)| at)
        };
        fastest.or(next).or_else(last_resort).map(|at| (at, true))
    }

    fn look_at_clock(&mut self, now: Moment) {
        for peer in &mut self.peers {
            self.wanted |= peer.look_at_clock(now);
        }
    }

    /// A peer answered, or its request failed.
    pub(super) fn on_answer(&mut self, peer: P, brought: Brought, now: Moment) {
        if let Some(peer) = self.peers.iter_mut().find(|known| known.id == peer) {
            peer.pending = None;
            match brought {
                Brought::Blocks(count) => {
                    let took = now.since(peer.asked_at.unwrap_or(now)).max(INTERVAL).as_millis();
                    let blocks = u128::try_from(count).unwrap_or(u128::MAX);
                    peer.rate = blocks.saturating_mul(1_000).checked_div(took).unwrap_or(0).max(1);
                    (peer.silences, peer.wait, peer.rests_until) = (0, FIRST_WAIT, now);
                }
                Brought::Nothing | Brought::NoAnswer => {
                    peer.rate = 0;
                    if brought == Brought::Nothing {
                        peer.silences >>= 1;
                    }
                    peer.rests_until = peer.rests_until.max(now.plus(peer.wait));
                    peer.wait = peer.wait.saturating_mul(2).min(LONGEST_WAIT);
                }
            }
        }
        self.plan(now);
    }

    /// There is a good reason to ask, however often asking was in vain. Silent peers rest on.
    pub(super) fn hurry(&mut self, now: Moment) {
        for peer in self.peers.iter_mut().filter(|peer| peer.silences == 0) {
            peer.wait = FIRST_WAIT;
            peer.rests_until = peer.rests_until.min(now.plus(INTERVAL));
        }
        self.plan(now);
    }

    /// Whether there was a reason to ask when nobody could be.
    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// To be called when it is [`Askable::due`]. Returns whether there is a reason to ask.
    pub(super) fn on_due(&mut self, now: Moment) -> bool {
        self.look_at_clock(now);
        self.plan(now);
        self.wanted || self.has_untried()
    }

    fn has_untried(&self) -> bool {
        self.peers.iter().any(|peer| peer.asked_at.is_none())
    }

    /// When to choose again if nothing happens before.
    pub(super) const fn due(&self) -> Option<Moment> {
        self.due
    }

    fn plan(&mut self, now: Moment) {
        let turns = self.peers.iter().filter_map(Peer::turns).min();
        let wanted = self.wanted || self.has_untried();
        let ask_at = wanted.then(|| self.next_ask(now)).flatten();
        self.due = turns.into_iter().chain(ask_at).min();
    }

    /// When somebody can be asked if nothing happens before.
    fn next_ask(&self, now: Moment) -> Option<Moment> {
        if now < self.ask_at {
            return Some(self.ask_at);
        }
        if self.best(now).is_some() {
            return Some(now);
        }
        let rests = self.peers.iter().flat_map(|peer| [Some(peer.rests_until), peer.last_resort()]);
        rests.flatten().filter(|until| *until > now).min()
    }
}

#[cfg(test)]
mod tests;
