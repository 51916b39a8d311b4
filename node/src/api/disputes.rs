//! Disputes and incidents: what is challenged, and what went wrong.

use super::{
    Shared,
    extract::{Path, Query, TimePaging},
    reader::{Json, Reader, json},
    views::{DisputeView, IncidentStepView, IncidentView, Page, Problem},
};
use allod_protocol::{
    ground::{
        ids::{DisputeId, IncidentId},
        state::{Direction, page},
    },
    rules::{
        dispute::{self, Challenger, Dispute, DisputeOf},
        incident::{Incident, IncidentOf, IncidentStep, IncidentUpdate},
        office::Office,
    },
};
use axum::extract::State;

/// Steps of an incident's history that are shown at most.
const STEPS: usize = 500;

fn dispute_view(reader: &Reader, id: DisputeId) -> Result<DisputeView, Problem> {
    let dispute = reader
        .find::<Dispute>(&id)?
        .ok_or_else(|| Problem::not_found("unknown_dispute", format!("there is no dispute {id} on this network")))?;
    let sitting = if dispute.status.is_final() { Vec::new() } else { dispute::sitting(&reader.state, &dispute)? };
    let challenger = reader.find::<Challenger>(&(dispute.model, dispute.challenger))?.unwrap_or_default();
    Ok(DisputeView {
        sitting_handles: sitting.iter().map(|account| reader.handle(*account)).collect::<Result<_, _>>()?,
        sitting,
        loss_bars_ms: challenger.next_bar_ms(dispute.terms.bar_ms),
        model_name: reader.name(dispute.model)?,
        challenger_handle: reader.handle(dispute.challenger)?,
        respondent_handle: reader.handle(dispute.respondent)?,
        arbiter_handles: dispute
            .rulings
            .iter()
            .map(|ruling| reader.handle(ruling.arbiter))
            .collect::<Result<_, _>>()?,
        dispute,
    })
}

/// A model's disputes.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/disputes", tag = "disputes",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<DisputeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn disputes(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<DisputeView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (ids, next) = query.paging().records::<DisputeOf>(&reader.state, &model.id, query.order.into())?;
        let items = ids.into_iter().map(|DisputeOf(id)| dispute_view(reader, id)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// One dispute.
#[utoipa::path(get, path = "/v1/disputes/{id}", tag = "disputes",
    params(("id" = String, Path, description = "The dispute's id, or its first digits, four at least, where no other's are the same.")),
    responses(
        (status = 200, description = "The dispute.", body = DisputeView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn dispute(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<DisputeView>, Problem> {
    json(&api, move |reader| {
        let id = reader.id::<Dispute>(&id, "dispute", |dispute| &dispute.claim.text)?;
        dispute_view(reader, id)
    })
    .await
}

fn incident_view(reader: &Reader, id: IncidentId) -> Result<IncidentView, Problem> {
    let incident = reader
        .find::<Incident>(&id)?
        .ok_or_else(|| Problem::not_found("unknown_incident", format!("there is no incident {id} on this network")))?;
    let answer = |account| Ok::<_, Problem>(reader.answer(&Office::Responsible(id), account)?.name().to_owned());
    let responsible_answer = incident.responsible.map(answer).transpose()?;
    Ok(IncidentView {
        model_name: reader.name(incident.model)?,
        reporter_handle: reader.handle(incident.reporter)?,
        responsible_handle: incident.responsible.map_or(Ok(None), |account| reader.handle(account))?,
        responsible_answer,
        named_handles: incident.named.iter().map(|named| reader.handle(named.account)).collect::<Result<_, _>>()?,
        history: None,
        incident,
    })
}

/// What went wrong with a model's versions.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/incidents", tag = "disputes",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<IncidentView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn incidents(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<IncidentView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (ids, next) = query.paging().records::<IncidentOf>(&reader.state, &model.id, query.order.into())?;
        let items = ids.into_iter().map(|IncidentOf(id)| incident_view(reader, id)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// One incident, with its history.
#[utoipa::path(get, path = "/v1/incidents/{id}", tag = "disputes",
    params(("id" = String, Path, description = "The incident's id, or its first digits, four at least, where no other's are the same.")),
    responses(
        (status = 200, description = "The incident.", body = IncidentView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn incident(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<IncidentView>, Problem> {
    json(&api, move |reader| {
        let id = reader.id::<Incident>(&id, "incident", |incident| &incident.text)?;
        let view = incident_view(reader, id)?;
        let (updates, _) = page::<IncidentUpdate>(&reader.state, &view.incident.id, None, Direction::Ascending, STEPS)?;
        let step = |update: IncidentUpdate| {
            let responsible = match update.step {
                IncidentStep::Carried { responsible, .. } => responsible,
                IncidentStep::Said => None,
            };
            Ok(IncidentStepView {
                handle: reader.handle(update.account)?,
                responsible_handle: responsible.map_or(Ok(None), |account| reader.handle(account))?,
                update,
            })
        };
        let history = updates.into_iter().map(step).collect::<Result<_, Problem>>()?;
        Ok(IncidentView { history: Some(history), ..view })
    })
    .await
}
