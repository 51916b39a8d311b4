//! Rounds: one agreed period of contributions that mints shares by a rule voted on beforehand.
//!
//! A round's plan is fixed by the decision that opens it. While it records, givers record contributions to it; after
//! that stewards review them. A countersigned contribution counts its amount times its kind's weight, kept as a running
//! sum per giver. When the round closes, the ledger divides the budget in proportion to these sums, exactly, by the
//! largest-remainder method (see [`crate::ground::apportion`]), a bounded number of givers per block ([`closing`]).
//!
//! Owners who retire their model end the recording of its open rounds ([`settle`]). Givers and stewards keep the whole
//! review, and the round closes by its rule: what was promised for work cannot be taken back by a decision after the
//! work, nor by choosing the moment of that decision.
//!
//! Continue with [`seals`] (amounts that are revealed later), [`cap`] (the maximum for one giver), [`closing`] (what is
//! minted), [`reserve`] (what is in dispute).

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
        proposal::Proposal,
        rejection::Rejection,
        share,
    },
};
use serde::{Deserialize, Serialize};

/// The weight of one unit of a kind of contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KindWeight {
    /// The kind.
    pub kind: ContributionKind,
    /// What one unit of its amount counts; 1 to [`limits::KIND_WEIGHT`].
    pub weight: u32,
}

/// The rule by which a round mints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoundPlan {
    /// The hash of the plan of work.
    pub plan: ContentHash,
    /// Number of units to mint.
    pub budget: Units,
    /// What counts; the round accepts no other kinds.
    pub weights: Vec<KindWeight>,
    /// The maximum for one giver, or for those for whom one sponsor or member answers.
    #[serde(default)]
    pub cap: Option<Cap>,
    /// The minimum number of givers: with fewer, nothing is minted. If givers share a cap, the minimum number of
    /// groups: several accounts for which one sponsor or member answers count as one.
    pub min_contributors: u32,
    /// How long contributions are recorded, in milliseconds of block time.
    pub recording_ms: u64,
    /// How long after that they are revealed, countersigned and disputed, in milliseconds of block time.
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

    /// What one unit of a kind's amount counts.
    pub fn weight(&self, kind: ContributionKind) -> u32 {
        self.weights.iter().find(|weight| weight.kind == kind).map_or(0, |weight| weight.weight)
    }
}

/// The status of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RoundStatus {
    /// It records, or is under review.
    Open,
    /// Withheld amounts, and which givers share a cap, are being recorded.
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
        /// Number of groups that still get one unit more, for their remainders.
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
        /// Number of givers that still get one unit more, for their remainders.
        left: u64,
    },
    /// What is not in dispute is minted; the rest is held until the disputes are over.
    Waiting {
        /// The height since which it waits.
        height: Height,
    },
    /// It is over.
    Closed {
        /// The height at which it closed.
        height: Height,
        /// Total number of units minted.
        minted: Units,
    },
    /// It is over without anything minted, because too few gave.
    Failed {
        /// The height at which it ended.
        height: Height,
    },
}

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Round {
    /// The model.
    pub model: ModelId,
    /// Its number among the model's rounds, from 0.
    pub number: u64,
    /// The plan that was decided.
    pub plan: RoundPlan,
    /// The decision that opened it.
    pub proposal: ProposalId,
    /// The height at which it was opened.
    pub opened: Height,
    /// The block time until which contributions are recorded.
    pub records_until: Timestamp,
    /// The block time at which it closes.
    pub closes: Timestamp,
    /// Number of givers with contributions that count, including those in dispute.
    pub contributors: u64,
    /// The total of what counts, of all givers, including what is in dispute.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub score: u64,
    /// The status of the round.
    pub status: RoundStatus,
    /// How many stewards must countersign a contribution: what the policy required when the round was opened.
    pub countersigners: u32,
    /// Number of sealed amounts that have not been revealed; once the round is over, that were not.
    pub seals: u64,
    /// What would count of the givers that have amounts under seal.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub score_under_seal: u64,
    /// Number of units minted so far.
    pub minted: Units,
    /// What is in dispute, see [`reserve`].
    pub reserve: Reserve,
    /// Number of groups of givers that share a cap, with something that counts in what is being minted; 0 before they
    /// are gathered.
    pub groups: u64,
}

impl Record for Round {
    type Key = (ModelId, u64);
    const FAMILY: Family = Family::Round;
}

/// What a giver's contributions count in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundScore {
    /// The sum. While `seals` is not 0 it counts nothing.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub score: u64,
    /// Number of its sealed amounts that have not been revealed.
    pub seals: u64,
    /// Number of units it got since the round closed.
    pub units: Units,
    /// The group with which it shares a cap, identified by the account that names it. `None` before the round closes,
    /// or if it shares none.
    pub group: Option<AccountId>,
    /// The part of the score that is in dispute, or was when the round closed.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub disputed: u64,
    /// What came to count after the close, by upheld appeals.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub come: u64,
    /// What no longer counts since the close, by upheld disputes.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    pub gone: u64,
}

impl RoundScore {
    /// What counts: nothing for a giver that withholds an amount.
    pub const fn counting(&self) -> u64 {
        if self.seals == 0 { self.score.saturating_add(self.come).saturating_sub(self.gone) } else { 0 }
    }

    /// What counted when the round closed.
    const fn at_close(&self) -> u64 {
        if self.seals == 0 { self.score } else { 0 }
    }

    /// The part of that which was not in dispute.
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
    /// The giver; for a group, the account that names it.
    pub account: AccountId,
    /// Number of whole units.
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

    /// Checks that contributions are being recorded now.
    pub(crate) fn require_recording(&self, time: Timestamp) -> Result<(), Rejection> {
        if self.status == RoundStatus::Open && time < self.records_until {
            return Ok(());
        }
        Err(Rejection::RoundOver { model: self.model, round: self.number, until: self.records_until, time })
    }

    /// Checks that contributions can still be reviewed.
    pub(crate) fn require_open(&self, time: Timestamp) -> Result<(), Rejection> {
        if self.status == RoundStatus::Open && time < self.closes {
            return Ok(());
        }
        Err(Rejection::RoundOver { model: self.model, round: self.number, until: self.closes, time })
    }
}

/// Open a round, which mints by its plan when it closes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenRound {
    /// What it takes, mints and lasts; nothing changes it afterwards.
    pub plan: RoundPlan,
}

impl OpenRound {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.plan.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (plan, proposal) = (&self.plan, proposal.id);
        model.require_active()?;
        share::dilution::add(state, context, model, proposal, plan.budget)?;
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
        Ok(vec![Event::RoundOpened { model: model.id, round: round.number, proposal, closes: round.closes }])
    }
}

/// Ends the recording of a model's rounds because its owners retired it. Their review takes its full length from now,
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

/// Counts a contribution in its round, or removes it again. Once the round has closed, only what it holds for disputes
/// can still change; if it holds nothing, nothing changes.
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

/// A giver revealed an amount that it had sealed.
pub(crate) fn open_seal(state: &mut Overlay<'_>, round: Round, giver: AccountId) -> Result<(), Rejection> {
    change(state, round, giver, |before| Some(RoundScore { seals: before.seals.saturating_sub(1), ..before }))
}

/// Changes the record of a giver, and the round's sums with it. What counts, is under seal, or is appealed never
/// exceeds a `u64` in total, so opening a seal is never refused for that reason.
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
