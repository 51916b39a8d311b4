//! A model's share register: who holds what, since when, and why; and who answers for whom.

use super::{
    Shared, effect,
    extract::{Paging, Path, Query, TimePaging},
    reader::{Json, Reader, json},
    views::{
        DelegationView, HoldingView, IssueView, Page, Problem, ShareChangeView, ShareLine, SharesView, counterparty,
    },
};
use crate::plain;
use allod_protocol::{
    ground::{
        ids::{Height, ModelId, Units},
        state::{Direction, Overlay, read},
    },
    rules::{
        action::Action,
        control,
        delegation::Delegation,
        dispute::{Dispute, DisputeStatus},
        model::ModelOf,
        proposal::{ModelAction, Proposal},
        round::Round,
        share::{Issue, MintShares, Register, Share, ShareChange, ShareReason, Vesting, free_units, portion},
    },
};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which state of a register.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SharesQuery {
    /// The height after which it is asked for; the newest unless given. Give it when reading several pages.
    at: Option<u64>,
    /// Entries on the page: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A model's share register: who holds what, now or as of any height.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/shares", tag = "shares",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        SharesQuery,
    ),
    responses(
        (status = 200, description = "One page of the register.", body = SharesView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn register(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<SharesQuery>,
) -> Result<Json<SharesView>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let height = query.at.map_or(reader.state.height(), Height::new);
        let state = reader.node.ledger.snapshot_at(height)?;
        let then = read::<Register>(&state, &model.id)?.ok_or_else(|| {
            let detail = format!("model {} was founded at height {}, after height {height}", model.name, model.created);
            Problem::not_found("model_not_founded", detail)
        })?;
        let time = reader.time_of(height)?;
        let is_first = query.after.is_none();
        let paging = Paging { limit: query.limit, after: query.after };
        let (shares, next) = paging.records::<Share>(&state, &model.id, Direction::Ascending)?;
        let overlay = Overlay::new(&state);
        let mut items = Vec::with_capacity(shares.len());
        // A register that is shown whole adds up; what a page shows of a longer one never adds up to more than there is.
        let whole = (is_first && next.is_none())
            .then(|| effect::parts(&shares.iter().map(|share| share.units.get()).collect::<Vec<_>>()));
        for (index, Share { account, units, .. }) in shares.into_iter().enumerate() {
            let part = whole.as_ref().and_then(|parts| parts.get(index).copied());
            let (handle, basis_points) =
                (reader.handle(account)?, part.unwrap_or_else(|| portion(units, then.total_units)));
            let free_units = free_units(&overlay, model.id, account, time);
            let unaccepted_since = control::unaccepted(&state, &model, account)?.map(|epoch| epoch.since);
            items.push(ShareLine { account, handle, units, free_units, basis_points, unaccepted_since });
        }
        overlay.finish()?;
        Ok(SharesView { model: model.id, name: model.name, height, time, total_units: then.total_units, items, next })
    })
    .await
}

/// Every change of a model's share register, each with its reason and the decision behind it.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/shares/history", tag = "shares",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<ShareChangeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn history(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<ShareChangeView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (changes, next) = query.paging().records::<ShareChange>(&reader.state, &model.id, query.order.into())?;
        let items =
            changes.into_iter().map(|change| change_view(reader, change, model.id)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

fn change_view(reader: &Reader, change: ShareChange, model: ModelId) -> Result<ShareChangeView, Problem> {
    let decision = decision(reader, &change, model)?;
    Ok(ShareChangeView {
        time: reader.time_of(change.height)?,
        handle: reader.handle(change.account)?,
        counterparty_handle: counterparty(&change.reason).map_or(Ok(None), |account| reader.handle(account))?,
        vesting: vesting(reader, &change, decision.as_ref())?,
        decision: decision.as_ref().map(|proposal| proposal.id),
        decision_does: decision.as_ref().map_or(Ok(Vec::new()), |proposal| plain::actions(reader, proposal))?,
        decision_title: decision.map(|proposal| proposal.title),
        change,
    })
}

/// Under which vesting units came: that of the founding's line, or of the decision's mint.
fn vesting(reader: &Reader, change: &ShareChange, decision: Option<&Proposal>) -> Result<Option<Vesting>, Problem> {
    match &change.reason {
        ShareReason::Founding => {
            let founding = change.transaction.map(|id| reader.node.ledger.transaction(&id)).transpose()?.flatten();
            let Some(Action::CreateModel(founded)) = founding.map(|found| found.transaction.body.action) else {
                return Ok(None);
            };
            let line = founded.founding.into_iter().find(|line| line.account == change.account);
            Ok(line.and_then(|line| line.vesting))
        }
        ShareReason::Minted { .. } => {
            let mints = decision.into_iter().flat_map(|proposal| proposal.question.model_actions());
            Ok(mints.into_iter().find_map(|action| match action {
                ModelAction::MintShares(MintShares { to, vesting, .. }) if *to == change.account => *vesting,
                _ => None,
            }))
        }
        ShareReason::Transferred { .. }
        | ShareReason::TransferApproved { .. }
        | ShareReason::Burned { .. }
        | ShareReason::BurnedByDecision { .. }
        | ShareReason::Round { .. }
        | ShareReason::BurnedByDispute { .. }
        | ShareReason::TakenUp { .. }
        | ShareReason::Lineage { .. } => Ok(None),
    }
}

/// The proposal that moved the units; none if a holder did, or arbiters.
fn decision(reader: &Reader, change: &ShareChange, model: ModelId) -> Result<Option<Proposal>, Problem> {
    let proposal = match &change.reason {
        ShareReason::Minted { proposal, .. }
        | ShareReason::TransferApproved { proposal, .. }
        | ShareReason::TakenUp { proposal }
        | ShareReason::BurnedByDecision { proposal, .. } => Some(*proposal),
        ShareReason::Round { round } => reader.find::<Round>(&(model, *round))?.map(|round| round.proposal),
        ShareReason::BurnedByDispute { dispute } => {
            reader.find::<Dispute>(dispute)?.and_then(|dispute| match dispute.status {
                DisputeStatus::Upheld { proposal, .. } => proposal,
                _ => None,
            })
        }
        ShareReason::Founding
        | ShareReason::Lineage { .. }
        | ShareReason::Transferred { .. }
        | ShareReason::Burned { .. } => None,
    };
    proposal.map_or(Ok(None), |proposal| reader.find::<Proposal>(&proposal))
}

/// What an account holds, model by model in the order of their names. Every model of the network is looked at, so that
/// pages may be short, or empty, before the last.
#[utoipa::path(get, path = "/v1/accounts/{account}/holdings", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<HoldingView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn holdings(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<HoldingView>>, Problem> {
    json(&api, move |reader| {
        let (account, time) = (reader.account(&account)?.id, reader.now()?);
        let (models, next) = paging.records::<ModelOf>(&reader.state, &(), Direction::Ascending)?;
        let overlay = Overlay::new(&reader.state);
        let mut items = Vec::new();
        for ModelOf(model) in models {
            let Some(Share { units, .. }) = reader.find::<Share>(&(model, account))? else { continue };
            let total_units = reader.find::<Register>(&model)?.map_or(Units::ZERO, |register| register.total_units);
            items.push(HoldingView {
                model,
                model_name: reader.name(model)?,
                units,
                free_units: free_units(&overlay, model, account, time),
                total_units,
                basis_points: portion(units, total_units),
            });
        }
        overlay.finish()?;
        Ok(Page { items, next })
    })
    .await
}

/// Minted units that holders may still take up, by number.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/issues", tag = "shares",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        Paging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<IssueView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn issues(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<IssueView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (found, next) = paging.records::<Issue>(&reader.state, &model.id, Direction::Ascending)?;
        let view = |issue: Issue| Ok(IssueView { to_handle: reader.handle(issue.to)?, issue });
        let items = found.into_iter().map(view).collect::<Result<_, Problem>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// Who lets whom answer a model's questions, by account id of who delegated.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/delegations", tag = "shares",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        Paging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<DelegationView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn delegations(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<DelegationView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (found, next) = paging.records::<Delegation>(&reader.state, &model.id, Direction::Ascending)?;
        let mut items = Vec::with_capacity(found.len());
        for delegation in found {
            let units = reader.find::<Share>(&(model.id, delegation.from))?.map_or(Units::ZERO, |share| share.units);
            let (from_handle, to_handle) = (reader.handle(delegation.from)?, reader.handle(delegation.to)?);
            items.push(DelegationView { delegation, from_handle, to_handle, units });
        }
        Ok(Page { items, next })
    })
    .await
}
