//! Proposals and ballots.

use super::{
    Shared,
    extract::{Order, Paging, Path, Query, TimePaging, parse},
    reader::{Reader, json},
    views::{BallotView, Page, Problem, ProposalView},
};
use crate::event_loop::clock;
use allod_protocol::{
    due::{Deadline, Due},
    ids::ProposalId,
    policy::Tally,
    proposal::{Ballot, Proposal, ProposalOf, ProposalStatus, Scope},
    state::Direction,
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

fn view(reader: &Reader, proposal: Proposal) -> Result<ProposalView, Problem> {
    let open = proposal.status == ProposalStatus::Open;
    let tally = reader.find::<Tally>(&proposal.id)?.unwrap_or_default();
    Ok(ProposalView {
        model_name: match proposal.scope {
            Scope::Model(model) => reader.name(model)?,
            Scope::Network => None,
        },
        proposer_handle: reader.handle(proposal.proposer)?,
        outlook: proposal.rule.outlook(&tally),
        tally,
        ends_in_ms: open.then(|| proposal.closes.get().saturating_sub(clock().get())),
        proposal,
    })
}

fn existing(reader: &Reader, id: ProposalId) -> Result<Proposal, Problem> {
    reader
        .find::<Proposal>(&id)?
        .ok_or_else(|| Problem::not_found("unknown_proposal", format!("there is no proposal {id} on this network")))
}

/// One page of a scope's proposals.
pub(crate) fn of_scope(reader: &Reader, scope: Scope, query: &TimePaging) -> Result<Page<ProposalView>, Problem> {
    let (ids, next) = query.paging().records::<ProposalOf>(&reader.state, &scope, query.order.into())?;
    let mut items = Vec::with_capacity(ids.len());
    for ProposalOf(id) in ids {
        items.push(view(reader, existing(reader, id)?)?);
    }
    Ok(Page { items, next })
}

/// Whose proposals.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopeChoice {
    /// Those put to the members of the network.
    #[default]
    Network,
    /// Those on which ballots are taken now, the network's and all models', the first to close first.
    Open,
}

/// Which proposals.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProposalsQuery {
    /// `network` (the members' own, which is meant unless given), or `open` (all that can be voted on now).
    #[serde(default)]
    #[param(inline)]
    scope: ScopeChoice,
    /// Entries on the page: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next` of the page before, asked for in the same way.
    after: Option<String>,
    /// `newest` first, unless `oldest` is asked for; open ones come in the order of their close.
    #[serde(default)]
    #[param(inline)]
    order: Order,
}

/// The network's proposals, or all that are open.
#[utoipa::path(get, path = "/v1/proposals", tag = "proposals", params(ProposalsQuery), responses(
    (status = 200, description = "One page.", body = Page<ProposalView>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Query(query): Query<ProposalsQuery>,
) -> Result<Json<Page<ProposalView>>, Problem> {
    json(&api, move |reader| {
        let paging = TimePaging { limit: query.limit, after: query.after, order: query.order };
        match query.scope {
            ScopeChoice::Network => of_scope(reader, Scope::Network, &paging),
            ScopeChoice::Open => {
                let (due, next) = paging.paging().records::<Deadline>(&reader.state, &(), Direction::Ascending)?;
                let proposals = due.into_iter().filter_map(|Deadline(due)| match due {
                    Due::Proposal(id) => Some(id),
                    Due::Delegation { .. } => None,
                });
                let view = |id| view(reader, existing(reader, id)?);
                let items = proposals.map(view).collect::<Result<_, _>>()?;
                Ok(Page { items, next })
            }
        }
    })
    .await
}

/// One proposal, with its tally as it stands and what it still needs.
#[utoipa::path(get, path = "/v1/proposals/{id}", tag = "proposals",
    params(("id" = String, Path, description = "The proposal's id.")),
    responses(
        (status = 200, description = "The proposal.", body = ProposalView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<ProposalView>, Problem> {
    json(&api, move |reader| view(reader, existing(reader, parse(&id)?)?)).await
}

/// A proposal's ballots, by account.
#[utoipa::path(get, path = "/v1/proposals/{id}/ballots", tag = "proposals",
    params(("id" = String, Path, description = "The proposal's id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<BallotView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn ballots(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<BallotView>>, Problem> {
    json(&api, move |reader| {
        let proposal = existing(reader, parse(&id)?)?;
        let (ballots, next) = paging.records::<Ballot>(&reader.state, &proposal.id, Direction::Ascending)?;
        let mut items = Vec::with_capacity(ballots.len());
        for ballot in ballots {
            items.push(BallotView { handle: reader.handle(ballot.account)?, ballot });
        }
        Ok(Page { items, next })
    })
    .await
}
