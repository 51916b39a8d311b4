//! Rounds: periods of contributions that mint shares by a plan decided beforehand.

use super::{
    Shared,
    extract::{Path, Query, TimePaging, parse},
    reader::{Json, Reader, json},
    views::{Page, Problem, RoundView, ScoreView},
};
use crate::plain;
use allod_protocol::{
    ground::{
        codec,
        ids::AccountId,
        state::{Direction, Record as _, StateRead as _, prefix_end},
    },
    rules::{
        proposal::Proposal,
        round::{self, GiverUnits, Round, RoundScore},
    },
};
use axum::extract::State;

/// Givers whose scores are shown at most.
const SCORES: usize = 500;

fn view(reader: &Reader, round: Round) -> Result<RoundView, Problem> {
    let decision = reader.find::<Proposal>(&round.proposal)?;
    let decision_does = decision.as_ref().map_or(Ok(Vec::new()), |proposal| plain::actions(reader, proposal))?;
    let decision_title = decision.map(|proposal| proposal.title);
    Ok(RoundView { round, decision_does, decision_title, scores: None })
}

/// A model's rounds.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/rounds", tag = "contributions",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<RoundView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<RoundView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (rounds, next) = query.paging().records::<Round>(&reader.state, &model.id, query.order.into())?;
        let items = rounds.into_iter().map(|round| view(reader, round)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// One round, with what each giver's contributions count and the units that it gets for them.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/rounds/{number}", tag = "contributions",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("number" = u64, Path, description = "The round's number, from 0."),
    ),
    responses(
        (status = 200, description = "The round.", body = RoundView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(
    State(api): State<Shared>,
    Path((namespace, name, number)): Path<(String, String, String)>,
) -> Result<Json<RoundView>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&(namespace, name))?;
        let number: u64 = parse(&number)?;
        let round = reader.find::<Round>(&(model.id, number))?.ok_or_else(|| {
            Problem::not_found("unknown_round", format!("model {} has no round {number}", model.name))
        })?;
        let scores = Some(scores(reader, &round)?);
        Ok(RoundView { scores, ..view(reader, round)? })
    })
    .await
}

/// What counts and what it is worth, the most first: by the closing itself, run on a copy, or without units where that
/// would take too long.
fn scores(reader: &Reader, round: &Round) -> Result<Vec<ScoreView>, Problem> {
    let (height, time) = (reader.state.height().next(), reader.now()?);
    let previewed = round::preview(&reader.state, reader.node.network_id, height, time, round)?;
    let (givers, has_units) = match previewed {
        Some(givers) => (givers, true),
        None => (stored(reader, round)?, false),
    };
    let mut scores = Vec::new();
    for GiverUnits { account, score } in givers {
        let cap_shared_with = score.group.map_or(Ok(None), |group| reader.handle(group))?;
        let units = has_units.then_some(score.units);
        let RoundScore { seals, disputed, .. } = score;
        let score = score.score.saturating_add(score.come).saturating_sub(score.gone);
        scores.push(ScoreView { account, handle: None, score, seals, disputed, units, cap_shared_with });
    }
    scores.sort_by_key(|one| std::cmp::Reverse((one.units, one.score)));
    scores.truncate(SCORES);
    for one in &mut scores {
        one.handle = reader.handle(one.account)?;
    }
    Ok(scores)
}

/// What is kept of the first givers, in the order of accounts. A score does not name its giver: its key does.
fn stored(reader: &Reader, round: &Round) -> Result<Vec<GiverUnits>, Problem> {
    let from = RoundScore::key_bytes(&(round.model, round.number));
    let mut givers = Vec::new();
    for (key, value) in reader.state.range(&from, &prefix_end(&from), Direction::Ascending, SCORES)? {
        let account = key.last_chunk::<{ AccountId::LEN }>().map(|bytes| AccountId::from_bytes(*bytes));
        if let (Some(account), Ok(score)) = (account, codec::decode_trusted::<RoundScore>(&value)) {
            givers.push(GiverUnits { account, score });
        }
    }
    Ok(givers)
}
