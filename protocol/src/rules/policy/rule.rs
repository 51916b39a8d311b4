//! One rule: whose voices count, how much of which answers a decision needs, and when; and how a tally is judged by it.
//!
//! Three conditions must hold at once. The *quorum*: enough of all weight answered, in whatever way. The *threshold*:
//! of those who said yes, no or veto, enough said yes. The *yes quorum*: enough of all weight said yes. The last keeps
//! abstentions from deciding: however many there are, nothing passes with less yes than that.

use crate::ground::{
    fraction::{Fraction, Portion},
    ids::ProposalId,
    invalid::Invalid,
    limits,
    state::{Family, Record},
};
use serde::{Deserialize, Serialize};

/// Whose voices count, and how much. The members of the network always have one voice each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Electorate {
    /// Each holder with its units.
    #[default]
    Shares,
    /// Each holder with one voice.
    Members,
    /// Each holder with the square root of its units, rounded down.
    SquareRoot,
}

/// Who may put a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Proposers {
    /// Stewards, and holders of at least one unit; of the network, its members.
    #[default]
    Owners,
    /// Only stewards.
    Stewards,
    /// Stewards, and holders of at least this part of all units.
    Holders(Fraction),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whose voices count.
    #[serde(default)]
    pub electorate: Electorate,
    /// How much of the whole weight must answer, in whatever way, for the outcome to count.
    pub quorum: Portion,
    /// How much of yes, no and veto together must be yes; more than half, or at least more than half.
    pub threshold: Portion,
    /// How much of the whole weight must be yes, no matter who abstains. Nothing passes with less.
    pub yes_quorum: Portion,
    /// How much of all answers, as vetoes, rejects whatever the others say. `None` means that there is no such right.
    #[serde(default)]
    pub veto: Option<Portion>,
    /// How long ballots are accepted, in milliseconds of block time, within [`limits::VOTING_PERIOD_MIN_MS`] and
    /// [`limits::VOTING_PERIOD_MAX_MS`].
    pub voting_period_ms: u64,
    /// The time after which ballots may stop early, in milliseconds, once no further ballot could change the outcome.
    /// `None` means never.
    #[serde(default)]
    pub early_close_ms: Option<u64>,
    /// If an answer turns the outcome, in either direction, later than this before the close, the close moves to this
    /// long after that answer, but at most to [`limits::VOTING_PERIODS`] voting periods after the opening; beyond that,
    /// no answer is accepted that would make it pass. In milliseconds; 0 for no extension.
    #[serde(default)]
    pub late_extension_ms: u64,
    /// How long a decision that passed waits before it is executed, in milliseconds; 0 for no wait.
    #[serde(default)]
    pub timelock_ms: u64,
    /// How long after that a decision that cannot be executed yet may still be, in milliseconds, before it expires.
    #[serde(default = "default_execution_window_ms")]
    pub execution_window_ms: u64,
    /// Who may propose.
    #[serde(default)]
    pub proposers: Proposers,
    /// How much of the whole weight, as no or veto, stops a decision that otherwise passes without any answers. `None`
    /// for a decision that needs its quorums and its yes.
    #[serde(default)]
    pub objection: Option<Portion>,
    /// How many holders, each by answering no or veto with all it holds itself, keep it from passing, however little
    /// that is. `None` means that there is no such right.
    #[serde(default)]
    pub blocking_holders: Option<u32>,
}

const fn default_execution_window_ms() -> u64 {
    limits::EXECUTION_WINDOW_MS
}

impl Rule {
    /// A rule of shares that takes effect at its close. Its yes quorum is the threshold's part of the quorum: what must
    /// be yes when nobody abstains.
    pub fn new(quorum: Portion, threshold: Portion, voting_period_ms: u64) -> Self {
        Self {
            electorate: Electorate::Shares,
            quorum,
            threshold,
            yes_quorum: Self::implied_yes_quorum(quorum, threshold),
            veto: None,
            voting_period_ms,
            early_close_ms: None,
            late_extension_ms: 0,
            timelock_ms: 0,
            execution_window_ms: limits::EXECUTION_WINDOW_MS,
            proposers: Proposers::Owners,
            objection: None,
            blocking_holders: None,
        }
    }

    /// The threshold's part of the quorum; more than that if either of them is "more than" its part.
    pub fn implied_yes_quorum(quorum: Portion, threshold: Portion) -> Portion {
        let part = threshold.part().of(quorum.part());
        let is_more_than = quorum.is_more_than() || threshold.is_more_than();
        Some(part)
            .filter(|_| is_more_than)
            .and_then(|part| Portion::more_than(part).ok())
            .unwrap_or(Portion::at_least(part))
    }

    /// Checks that the rule can be met, but not by almost nobody.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "policy", problem });
        let nothing = |portion: Portion| portion.is_met_by_nothing();
        if nothing(self.quorum) {
            return form(
                "a quorum of nothing lets a decision pass that nobody took part in; set \"more than 0 %\" or more"
                    .into(),
            );
        }
        if nothing(self.yes_quorum) {
            return form(
                "a yes quorum of nothing lets one unit decide while all others abstain; set \"more than 0 %\" or more"
                    .into(),
            );
        }
        if self.threshold < Portion::MAJORITY {
            let problem = format!(
                "a threshold of {} lets a minority or a tie decide; set \"more than 50 %\" or more",
                self.threshold
            );
            return form(problem);
        }
        if self.veto.is_some_and(nothing) {
            return form("a veto of nothing rejects everything; leave it out, or set \"more than 0 %\" or more".into());
        }
        if self.objection.is_some_and(nothing) {
            return form(
                "an objection of nothing rejects everything; leave it out, or set \"more than 0 %\" or more".into(),
            );
        }
        if self.blocking_holders == Some(0) {
            return form(
                "no holder at all would stop everything; leave blocking_holders out, or set at least 1".into(),
            );
        }
        self.check_times()
    }

    fn check_times(&self) -> Result<(), Invalid> {
        let (low, high) = (limits::VOTING_PERIOD_MIN_MS, limits::VOTING_PERIOD_MAX_MS);
        let bounds = [
            ("voting period", self.voting_period_ms, low, high),
            ("early close", self.early_close_ms.unwrap_or(0), 0, self.voting_period_ms),
            ("late extension", self.late_extension_ms, 0, self.voting_period_ms),
            ("timelock", self.timelock_ms, 0, high),
            ("execution window", self.execution_window_ms, low, high),
        ];
        match bounds.into_iter().find(|(_, value, low, high)| !(low..=high).contains(&value)) {
            None => Ok(()),
            Some((name, value, low, high)) => Err(Invalid::Form {
                field: "policy",
                problem: format!("a {name} of {value} ms is out of bounds; set {low} to {high} ms"),
            }),
        }
    }

    /// The same portion, if it can be decided only by more than half of the whole weight, not by silence.
    pub(crate) fn by_majority_of_all(self) -> Self {
        Self { yes_quorum: self.yes_quorum.max(Portion::MAJORITY), objection: None, ..self }
    }

    /// The smallest weight that, all of it saying yes, can decide over an electorate while everybody else does what
    /// serves it most: abstains where answers are needed. 0 if silence decides.
    pub fn least_yes(&self, electorate: u64) -> u64 {
        if self.objection.is_some() {
            return 0;
        }
        u64::try_from(self.yes_quorum.least(electorate.into())).unwrap_or(u64::MAX).max(1)
    }

    /// A rule by which only what passes by both rules passes, in voices counted as the other rule counts them. This
    /// rule says who may propose.
    ///
    /// If one of them decides by silence, what it needs is converted to yes: so much that too few are left to object.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        let (longer, more) = (u64::max, Portion::max);
        let unobjectionable = |rule: &Self| rule.objection.map(Portion::complement);
        let mut yes_quorum = more(self.yes_quorum, other.yes_quorum);
        let objection = match (self.objection, other.objection) {
            (Some(one), Some(two)) => Some(one.min(two)),
            _ => {
                let least = unobjectionable(self).or_else(|| unobjectionable(other));
                yes_quorum = least.map_or(yes_quorum, |least| more(yes_quorum, least));
                None
            }
        };
        Self {
            electorate: other.electorate,
            quorum: more(self.quorum, other.quorum),
            threshold: more(self.threshold, other.threshold),
            yes_quorum,
            veto: [self.veto, other.veto].into_iter().flatten().min(),
            voting_period_ms: longer(self.voting_period_ms, other.voting_period_ms),
            early_close_ms: self.early_close_ms.zip(other.early_close_ms).map(|(one, two)| longer(one, two)),
            late_extension_ms: longer(self.late_extension_ms, other.late_extension_ms),
            timelock_ms: longer(self.timelock_ms, other.timelock_ms),
            execution_window_ms: longer(self.execution_window_ms, other.execution_window_ms),
            proposers: self.proposers,
            objection,
            blocking_holders: [self.blocking_holders, other.blocking_holders].into_iter().flatten().min(),
        }
    }

    /// Judges a tally.
    pub fn judge(&self, tally: &Tally) -> Verdict {
        let against = u128::from(tally.no).saturating_add(tally.veto.into());
        if self.blocking_holders.is_some_and(|holders| tally.opposed >= u64::from(holders)) {
            return Verdict::Blocked;
        }
        let (yes, answered, electorate) = (u128::from(tally.yes), tally.answered(), u128::from(tally.electorate));
        if let Some(objection) = self.objection {
            let objected = objection.is_met(against, electorate);
            return if objected { Verdict::Objected } else { Verdict::Passed };
        }
        if !self.quorum.is_met(answered, electorate) {
            return Verdict::NoQuorum;
        }
        if self.veto.is_some_and(|veto| tally.veto > 0 && veto.is_met(tally.veto.into(), answered)) {
            return Verdict::Vetoed;
        }
        if yes == 0 || !self.threshold.is_met(yes, yes.saturating_add(against)) {
            return Verdict::NotEnoughYes;
        }
        if self.yes_quorum.is_met(yes, electorate) { Verdict::Passed } else { Verdict::NoYesQuorum }
    }

    /// Whether a tally passes.
    pub fn passes(&self, tally: &Tally) -> bool {
        self.judge(tally) == Verdict::Passed
    }

    /// Whether no one who has not answered could still change the outcome of a tally: neither the silent, including the
    /// dormant, nor those whose delegate answered and who may still answer themselves.
    pub fn is_settled(&self, tally: &Tally) -> bool {
        let delegated = tally.delegated;
        let open =
            tally.whole.saturating_sub(u64::try_from(tally.answered()).unwrap_or(u64::MAX)).saturating_add(delegated);
        // Everybody dormant may speak. The tally does not know how many holders there are.
        let awake = Tally { electorate: tally.whole, asleep: 0, ..*tally };
        let opposed = if open > 0 { u64::MAX } else { tally.opposed };
        if self.passes(tally) {
            // At worst everything open is against it, and everything delegated had been for it.
            let yes = tally.yes.saturating_sub(delegated);
            self.passes(&Tally { yes, no: tally.no.saturating_add(open), opposed, ..awake })
                && self.passes(&Tally { yes, veto: tally.veto.saturating_add(open), opposed, ..awake })
        } else {
            // At best the other way round; whatever is left over abstains, so that the quorum does not lack it.
            let (no, veto) = (tally.no.saturating_sub(delegated), tally.veto.saturating_sub(delegated));
            let best = Tally { yes: tally.yes.saturating_add(open), no, veto, ..awake };
            !self.passes(&Tally { abstain: tally.abstain.saturating_add(best.silent()), ..best })
        }
    }

    /// The current outcome of a tally, and what it still needs to pass.
    pub fn outlook(&self, tally: &Tally) -> Outlook {
        let verdict = self.judge(tally);
        if self.objection.is_some() {
            let yes_lacks = (verdict == Verdict::Passed).then_some(0);
            return Outlook { verdict, quorum_lacks: 0, yes_lacks };
        }
        let quorum_lacks = self.quorum.least(tally.electorate.into()).saturating_sub(tally.answered());
        let yes_lacks = self
            .yes_lacks(tally, quorum_lacks)
            .filter(|lacks| *lacks <= u128::from(tally.silent()))
            .and_then(|lacks| u64::try_from(lacks).ok());
        Outlook { verdict, quorum_lacks: u64::try_from(quorum_lacks).unwrap_or(u64::MAX), yes_lacks }
    }

    /// The smallest further yes with which the tally passes, however much is left to say it. `None` if no yes can do
    /// it.
    fn yes_lacks(&self, tally: &Tally, quorum_lacks: u128) -> Option<u128> {
        let yes = u128::from(tally.yes);
        if self.judge(tally) == Verdict::Blocked {
            return None;
        }
        let against = u128::from(tally.no).saturating_add(tally.veto.into());
        let beside = self.threshold.lacks_beside(yes, against)?;
        let of_all = self.yes_quorum.least(tally.electorate.into()).max(1).saturating_sub(yes);
        let unveto = match self.veto.filter(|_| tally.veto > 0) {
            None => 0,
            Some(veto) => veto.whole_that_outgrows(tally.veto.into())?.saturating_sub(tally.answered()),
        };
        Some(beside.max(of_all).max(unveto).max(quorum_lacks))
    }

    /// The smallest weight that, all of it saying no and everybody else yes, keeps a decision from passing.
    pub fn blocking_weight(&self, electorate: u64) -> u64 {
        Self::least_that_stops(electorate, |against| {
            let yes = electorate.saturating_sub(against);
            self.passes(&Tally { yes, no: against, ..Tally::of(electorate) })
        })
    }

    /// The smallest weight that, by not answering while everybody else says yes, keeps a decision from passing; more
    /// than the electorate if silence stops nothing.
    pub fn silencing_weight(&self, electorate: u64) -> u64 {
        if self.objection.is_some() {
            return electorate.saturating_add(1);
        }
        Self::least_that_stops(electorate, |silent| {
            self.passes(&Tally { yes: electorate.saturating_sub(silent), ..Tally::of(electorate) })
        })
    }

    /// The smallest weight with which nothing passes. More weight against never lets pass what less weight stopped, so
    /// a binary search finds it.
    fn least_that_stops(electorate: u64, passes: impl Fn(u64) -> bool) -> u64 {
        let (mut low, mut high) = (0, electorate);
        while low < high {
            let middle = low.midpoint(high);
            if passes(middle) { low = middle.saturating_add(1) } else { high = middle }
        }
        low
    }
}

/// The outcome of a tally if ballots stopped now, and what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Outlook {
    /// The current outcome.
    pub verdict: Verdict,
    /// Weight that must still answer, in whatever way, for the outcome to count; 0 once the quorum is reached.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub quorum_lacks: u64,
    /// Weight of those who have not answered that, if all of it said yes, would be just enough to pass; 0 if it passes
    /// now. `None` if they are too few, so that some must change their answers.
    #[serde(deserialize_with = "crate::ground::ids::wide::option::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::ground::openapi::Wide>))]
    pub yes_lacks: Option<u64>,
}

/// Running sums of the ballots of one proposal, in weight. They change with every ballot, so they are separate from the
/// proposal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tally {
    /// Weight for it.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub yes: u64,
    /// Weight against it.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub no: u64,
    /// Weight that abstains, but counts for the quorum.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub abstain: u64,
    /// Weight against it, with the right to reject it alone.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub veto: u64,
    /// The part of these sums that delegates answered with: the delegators may still answer themselves.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub delegated: u64,
    /// The weight of which quorums are fractions: all of it, less what is dormant and has not spoken, but never less
    /// than half of all of it.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub electorate: u64,
    /// All weight as of the opening, including the dormant.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub whole: u64,
    /// The part of all weight that was dormant at opening and has not answered.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub asleep: u64,
    /// Number of accounts that answered.
    pub ballots: u64,
    /// Number of accounts with a weight of their own that answered no or veto, and nothing else.
    pub opposed: u64,
}

impl Record for Tally {
    type Key = ProposalId;
    const FAMILY: Family = Family::Tally;
}

impl Tally {
    /// The tally of an electorate in which nobody is dormant, before any answer.
    pub fn of(electorate: u64) -> Self {
        Self::opening(electorate, 0)
    }

    /// The tally of `whole` weight, `asleep` of it dormant, before any answer.
    pub fn opening(whole: u64, asleep: u64) -> Self {
        let mut tally = Self { whole, asleep, ..Self::default() };
        tally.count_awake();
        tally
    }

    /// Dormant weight answers, and counts again.
    pub(crate) fn wake(&mut self, weight: u64) {
        self.asleep = self.asleep.saturating_sub(weight);
        self.count_awake();
    }

    fn count_awake(&mut self) {
        self.electorate = self.whole.saturating_sub(self.asleep).max(self.whole.div_ceil(2));
    }

    /// The weight that answered.
    pub fn answered(&self) -> u128 {
        [self.yes, self.no, self.abstain, self.veto].into_iter().fold(0, |sum, part| sum.saturating_add(part.into()))
    }

    /// The weight that counts and has not answered.
    pub fn silent(&self) -> u64 {
        u64::try_from(u128::from(self.electorate).saturating_sub(self.answered())).unwrap_or(0)
    }
}

/// The outcome of a tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It passes.
    Passed,
    /// Too little weight answered.
    NoQuorum,
    /// Enough answered; too little of those who took sides said yes.
    NotEnoughYes,
    /// Enough answered, and most of those who took sides said yes; too little of all weight did.
    NoYesQuorum,
    /// As many holders as can stop it opposed it.
    Blocked,
    /// Too many of the answers were vetoes.
    Vetoed,
    /// Too much weight objected.
    Objected,
}
