//! Rounds: one agreed period of contributions that mints shares by a rule voted beforehand.
//!
//! A round's plan is fixed by the decision that opens it. While it records, givers record contributions to it; after
//! that stewards review them. What a countersigned contribution counts is its amount times its kind's weight, kept as
//! a running sum a giver. When the round closes, the ledger divides the budget in proportion to these sums, to the unit,
//! by the largest-remainder method (see [`crate::ground::apportion`]), a bounded number of givers a block ([`closing`]).
//!
//! Owners who retire their model end the recording of its open rounds ([`settle`]). Givers and stewards keep the whole
//! review, and the round closes by its rule: what was promised for work is not taken back by a decision that comes
//! after the work, nor by the moment that somebody chooses for it.
//!
//! Read on: [`seals`] (amounts that are told later), [`cap`] (what one may get at most), [`closing`] (what is minted), [`reserve`] (what is in dispute).

pub mod cap;
pub mod closing;
pub mod reserve;
pub mod seals;

pub use cap::{Cap, CapPer};
pub(crate) use closing::on_due;
pub use closing::{GiverUnits, RoundGroup, preview};
pub use reserve::{Part, Reserve};
pub use seals::Withheld;

use crate::{
    ground::{
        ids::{AccountId, ContentHash, Height, ModelId, ProposalId, Timestamp, Units},
        invalid::{Invalid, check_count},
        limits,
        state::{Family, KeyField, Overlay, Record},
    },
    rules::{
        context::Context,
        contribution::{Contribution, ContributionKind},
        due::{self, Due},
        event::Event,
        model::{Model, ModelCounters},
        rejection::Rejection,
        share,
    },
};
use serde::{Deserialize, Serialize};

/// What one unit of a kind of contribution counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeight {
    /// The kind.
    pub kind: ContributionKind,
    /// What one of its amount counts; 1 to [`limits::KIND_WEIGHT`].
    pub weight: u32,
}

/// By what a round mints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundPlan {
    /// The plan of work, by hash.
    pub plan: ContentHash,
    /// Units to mint.
    pub budget: Units,
    /// What counts; the round takes no other kinds.
    pub weights: Vec<KindWeight>,
    /// What one giver, or those whom one sponsor or member answers for, get at most.
    #[serde(default)]
    pub cap: Option<Cap>,
    /// Without this many givers nothing is minted; where they share a cap, without this many groups of them: several
    /// accounts that one sponsor or member answers for are one.
    pub min_contributors: u32,
    /// How long contributions are recorded, in milliseconds of block time.
    pub recording_ms: u64,
    /// How long after that they are revealed, countersigned and disputed.
    pub review_ms: u64,
    /// Whether amounts are sealed while the round records, so that nobody copies another's.
    #[serde(default)]
    pub sealed: bool,
}

impl RoundPlan {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let form = |problem: String| Err(Invalid::Form { field: "plan", problem });
        check_count("weights", self.weights.len(), ContributionKind::ALL.len())?;
        if self.weights.is_empty() {
            return form("weighs no kind of contribution; nothing could be minted".into());
        }
        let mut kinds = std::collections::BTreeSet::new();
        if !self.weights.iter().all(|weight| kinds.insert(weight.kind)) {
            return form("weighs a kind twice; list each once".into());
        }
        if let Some(wrong) = self.weights.iter().find(|one| !(1..=limits::KIND_WEIGHT).contains(&one.weight)) {
            return form(format!("has the weight {}; set 1 to {}", wrong.weight, limits::KIND_WEIGHT));
        }
        if self.budget == Units::ZERO {
            return form("has a budget of 0; set at least 1 unit".into());
        }
        if self.cap.is_some_and(|cap| cap.part.get() == 0) {
            return form("has a cap of 0 %; leave it out, or set at least 0.01 %".into());
        }
        let bounds = limits::VOTING_PERIOD_MIN_MS..=limits::VOTING_PERIOD_MAX_MS;
        if let Some(wrong) = [self.recording_ms, self.review_ms].into_iter().find(|ms| !bounds.contains(ms)) {
            return form(format!("has a period of {wrong} ms; set {} to {} ms", bounds.start(), bounds.end()));
        }
        Ok(())
    }

    /// What one of a kind's amount counts.
    pub fn weight(&self, kind: ContributionKind) -> u32 {
        self.weights.iter().find(|weight| weight.kind == kind).map_or(0, |weight| weight.weight)
    }
}

/// Where a round stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundStatus {
    /// It records, or is under review.
    Open,
    /// Who withheld an amount is put down, and which givers share a cap.
    Gathering {
        /// The giver that was handled last.
        after: Option<AccountId>,
    },
    /// What is due to each group of givers that share a cap is being computed.
    Dividing {
        /// The group that was handled last.
        after: Option<AccountId>,
        /// Whole units due so far.
        due: u64,
    },
    /// Each group gets the unit for its remainder, and no more than the cap.
    Capping {
        /// Groups that still get one unit more, for their remainders.
        left: u64,
    },
    /// What is due to each giver is being computed.
    Quotas {
        /// The giver that was handled last.
        after: Option<AccountId>,
        /// Whole units due so far.
        due: u64,
    },
    /// Shares are being minted.
    Minting {
        /// Givers that still get one unit more, for their remainders.
        left: u64,
    },
    /// What is not in dispute is minted; the rest is held until the disputes are over.
    Waiting {
        /// Since when.
        height: Height,
    },
    /// It is over.
    Closed {
        /// When.
        height: Height,
        /// Units minted in all.
        minted: Units,
    },
    /// It is over without anything minted, because too few gave.
    Failed {
        /// When.
        height: Height,
    },
}

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The model.
    pub model: ModelId,
    /// Its number among the model's rounds, from 0.
    pub number: u64,
    /// What was decided.
    pub plan: RoundPlan,
    /// By which decision.
    pub proposal: ProposalId,
    /// When it was opened.
    pub opened: Height,
    /// The block time until which contributions are recorded.
    pub records_until: Timestamp,
    /// The block time at which it closes.
    pub closes: Timestamp,
    /// Givers of whom something counts, what is in dispute included.
    pub contributors: u64,
    /// What counts, of all givers together, what is in dispute included.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub score: u64,
    /// Where it stands.
    pub status: RoundStatus,
    /// How many stewards must countersign a contribution: what the policy asked for when it was opened.
    pub countersigners: u32,
    /// Sealed amounts that are not told yet; once it is over, that were not.
    pub seals: u64,
    /// What would count of givers of whom amounts are not told yet.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub score_under_seal: u64,
    /// Units minted so far.
    pub minted: Units,
    /// What is in dispute, see [`reserve`].
    pub reserve: Reserve,
    /// Groups of givers that share a cap, of whom something counts in what is being minted; 0 before they are gathered.
    pub groups: u64,
}

impl Record for Round {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::Round;
}

/// What a giver's contributions count in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundScore {
    /// The sum. As long as `seals` is not 0 it counts nothing.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub score: u64,
    /// Its sealed amounts that are not told yet.
    pub seals: u64,
    /// What it got since the round closed.
    pub units: Units,
    /// Those with whom it shares a cap, by the account that names them; none before the round closes, or if it shares
    /// none.
    pub group: Option<AccountId>,
    /// What of the score is in dispute, or was when the round closed.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub disputed: u64,
    /// What came to count after the close, by appeals that were upheld.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub come: u64,
    /// What no longer counts since the close, by disputes that were upheld.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub gone: u64,
}

impl RoundScore {
    /// What counts: nothing of a giver who withholds an amount.
    pub const fn counting(&self) -> u64 {
        if self.seals == 0 { self.score.saturating_add(self.come).saturating_sub(self.gone) } else { 0 }
    }

    /// What counted when the round closed.
    const fn at_close(&self) -> u64 {
        if self.seals == 0 { self.score } else { 0 }
    }

    /// What of that was not in dispute.
    const fn undisputed(&self) -> u64 {
        self.at_close().saturating_sub(self.disputed)
    }
}

impl Record for RoundScore {
    type Key = (ModelId, u64, AccountId);
    const FAMILY: Family = Family::RoundScore;
}

/// What is due to a giver of a closing round, or to a group of givers, in the order of remainders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundDue {
    /// The giver; of a group, the account that names it.
    pub account: AccountId,
    /// Whole units.
    pub units: u64,
}

/// A remainder as a key: the largest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remainder(pub u128);

impl KeyField for Remainder {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&(!self.0).to_be_bytes());
    }
}

impl Record for RoundDue {
    type Key = ((ModelId, u64), Remainder, AccountId);
    const FAMILY: Family = Family::RoundDue;
}

impl Round {
    pub(crate) fn existing(state: &Overlay<'_>, model: ModelId, number: u64) -> Result<Self, Rejection> {
        state.read::<Self>(&(model, number)).ok_or(Rejection::UnknownRound { model, round: number })
    }

    fn write(&self, state: &mut Overlay<'_>) {
        state.write(&(self.model, self.number), self);
    }

    /// That contributions are recorded now.
    pub(crate) fn require_recording(&self, time: Timestamp) -> Result<(), Rejection> {
        if self.status == RoundStatus::Open && time < self.records_until {
            return Ok(());
        }
        Err(Rejection::RoundOver { model: self.model, round: self.number, until: self.records_until, time })
    }

    /// That contributions can still be reviewed.
    pub(crate) fn require_open(&self, time: Timestamp) -> Result<(), Rejection> {
        if self.status == RoundStatus::Open && time < self.closes {
            return Ok(());
        }
        Err(Rejection::RoundOver { model: self.model, round: self.number, until: self.closes, time })
    }
}

/// Opens a round, as a decision says.
pub(crate) fn open(
    state: &mut Overlay<'_>,
    context: &Context,
    model: &Model,
    (plan, proposal): (&RoundPlan, ProposalId),
) -> Result<Event, Rejection> {
    model.require_active()?;
    share::dilution::add(state, context, model, (proposal, plan.budget))?;
    let mut counters = state.read::<ModelCounters>(&model.id).unwrap_or_default();
    if counters.open_rounds.len() >= limits::OPEN_ROUNDS {
        return Err(Rejection::TooManyRounds(model.id));
    }
    share::reserve(state, model.id, plan.budget)?;
    let records_until = context.time.plus_ms(plan.recording_ms);
    let round = Round {
        model: model.id,
        number: counters.rounds,
        plan: plan.clone(),
        proposal,
        opened: context.height,
        records_until,
        closes: records_until.plus_ms(plan.review_ms),
        contributors: 0,
        score: 0,
        status: RoundStatus::Open,
        countersigners: model.policy.countersigners,
        seals: 0,
        score_under_seal: 0,
        minted: Units::ZERO,
        reserve: Reserve::default(),
        groups: 0,
    };
    counters.rounds = counters.rounds.saturating_add(1);
    counters.open_rounds.push(round.number);
    state.write(&model.id, &counters);
    round.write(state);
    due::set(state, round.closes, Due::Round { model: model.id, number: round.number });
    Ok(Event::RoundOpened { model: model.id, round: round.number, proposal, closes: round.closes })
}

/// Ends the recording of a model's rounds, because its owners retired it; their review goes its whole length from now,
/// and they close by their rule.
pub(crate) fn settle(state: &mut Overlay<'_>, context: &Context, model: ModelId) -> Vec<Event> {
    let counters = state.read::<ModelCounters>(&model).unwrap_or_default();
    let mut events = Vec::new();
    for number in counters.open_rounds {
        let Some(mut round) = state.read::<Round>(&(model, number)) else { continue };
        if round.require_recording(context.time).is_err() {
            continue;
        }
        due::clear(state, round.closes, Due::Round { model, number });
        round.records_until = context.time;
        round.closes = context.time.plus_ms(round.plan.review_ms);
        round.write(state);
        due::set(state, round.closes, Due::Round { model, number });
        events.push(Event::RecordingEnded { model, round: number, closes: round.closes });
    }
    events
}

/// Counts a contribution in its round, or takes it out again. Once the round has closed, only what it holds for disputes
/// still changes; where it holds nothing, nothing does.
pub(crate) fn count(
    state: &mut Overlay<'_>,
    context: &Context,
    contribution: &Contribution,
    counts: bool,
) -> Result<(), Rejection> {
    let Some(number) = contribution.round else { return Ok(()) };
    let round = Round::existing(state, contribution.model, number)?;
    let worth = round.worth(contribution);
    let is_open = round.require_open(context.time).is_ok();
    if !is_open && !round.holds() {
        return Ok(());
    }
    change(state, round, contribution.giver, |before| {
        Some(match (is_open, counts) {
            (true, true) => RoundScore { score: before.score.checked_add(worth)?, ..before },
            (true, false) => RoundScore { score: before.score.checked_sub(worth)?, ..before },
            (false, true) => RoundScore { come: before.come.checked_add(worth)?, ..before },
            (false, false) => RoundScore { gone: before.gone.checked_add(worth)?, ..before },
        })
    })
}

/// A giver sealed an amount.
pub(crate) fn add_seal(state: &mut Overlay<'_>, round: Round, giver: AccountId) -> Result<(), Rejection> {
    change(state, round, giver, |before| Some(RoundScore { seals: before.seals.checked_add(1)?, ..before }))
}

/// A giver told an amount that it had sealed.
pub(crate) fn open_seal(state: &mut Overlay<'_>, round: Round, giver: AccountId) -> Result<(), Rejection> {
    change(state, round, giver, |before| Some(RoundScore { seals: before.seals.saturating_sub(1), ..before }))
}

/// Changes what is kept of a giver, and the round's sums with it. What counts, is under seal or appealed never adds up
/// to more than a `u64`, so that opening a seal is never refused for that.
fn change(
    state: &mut Overlay<'_>,
    mut round: Round,
    giver: AccountId,
    change: impl FnOnce(RoundScore) -> Option<RoundScore>,
) -> Result<(), Rejection> {
    let too_large = || Rejection::ScoreTooLarge { model: round.model, round: round.number };
    let key = (round.model, round.number, giver);
    let before = state.read::<RoundScore>(&key).unwrap_or_default();
    let after = change(before.clone()).ok_or_else(too_large)?;
    let instead = |sum: u64, old: u64, new: u64| sum.saturating_sub(old).checked_add(new);
    let under_seal = |one: &RoundScore| one.score.saturating_sub(one.counting());
    let score = instead(round.score, before.counting(), after.counting()).ok_or_else(too_large)?;
    let score_under_seal =
        instead(round.score_under_seal, under_seal(&before), under_seal(&after)).ok_or_else(too_large)?;
    let seals = instead(round.seals, before.seals, after.seals).ok_or_else(too_large)?;
    let givers = |givers: u64, before: u64, after: u64| match (before, after) {
        (0, 1..) => givers.saturating_add(1),
        (1.., 0) => givers.saturating_sub(1),
        _ => givers,
    };
    round.contributors = givers(round.contributors, before.counting(), after.counting());
    let reserve = &mut round.reserve;
    reserve.contributors = givers(reserve.contributors, before.undisputed(), after.undisputed());
    reserve.score = instead(reserve.score, before.at_close(), after.at_close()).ok_or_else(too_large)?;
    (round.score, round.score_under_seal, round.seals) = (score, score_under_seal, seals);
    if !round.has_room() {
        return Err(too_large());
    }
    if after == RoundScore::default() {
        state.remove::<RoundScore>(&key);
    } else {
        state.write(&key, &after);
    }
    round.write(state);
    Ok(())
}
