//! Models, and what hangs on one: versions, contributions, proposals.

use super::{
    Shared,
    extract::{Paging, Path, Query, TimePaging, parse},
    proposals,
    reader::{Json, Reader, json, with_reader},
    standing::tell,
    views::{ContributionView, ModelView, Page, Problem, ProposalView, VersionView},
};
use allod_protocol::{
    ground::{
        ids::{AccountId, ContributionId, Handle, ModelId, VersionLabel},
        state::Direction,
    },
    rules::{
        contribution::{Contribution, ContributionOf, review},
        model::{Model, ModelCounters, ModelOf, Version},
        proposal::Scope,
        round::Round,
        share::Register,
        standing,
    },
};
use allod_storage::artifacts::Contents;
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

fn view(reader: &Reader, model: Model) -> Result<ModelView, Problem> {
    let register = reader.find::<Register>(&model.id)?.unwrap_or_else(|| Register::empty(model.id));
    let counters = reader.find::<ModelCounters>(&model.id)?.unwrap_or_default();
    Ok(ModelView {
        total_units: register.total_units,
        holders: register.holders,
        share_changes: register.changes,
        contributions: counters.contributions,
        proposals: counters.proposals,
        rounds: counters.rounds,
        disputes: counters.disputes,
        incidents: counters.incidents,
        founder_handle: reader.handle(model.founder)?,
        steward_handles: model.stewards.iter().map(|steward| reader.handle(*steward)).collect::<Result<_, _>>()?,
        model,
    })
}

/// Which models.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ModelsQuery {
    /// Only those of this namespace, which is an account's handle.
    namespace: Option<String>,
    /// Entries on the page: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// All models, by name.
#[utoipa::path(get, path = "/v1/models", tag = "models", params(ModelsQuery), responses(
    (status = 200, description = "One page.", body = Page<ModelView>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Query(query): Query<ModelsQuery>,
) -> Result<Json<Page<ModelView>>, Problem> {
    json(&api, move |reader| {
        let paging = Paging { limit: query.limit, after: query.after };
        let (ids, next) = match &query.namespace {
            Some(namespace) => {
                paging.records::<ModelOf>(&reader.state, &parse::<Handle>(namespace)?, Direction::Ascending)?
            }
            None => paging.records::<ModelOf>(&reader.state, &(), Direction::Ascending)?,
        };
        let mut items = Vec::with_capacity(ids.len());
        for ModelOf(id) in ids {
            items.push(view(reader, reader.model_by_id(id)?)?);
        }
        Ok(Page { items, next })
    })
    .await
}

/// One model, by its id.
#[utoipa::path(get, path = "/v1/models/by-id/{id}", tag = "models",
    params(("id" = String, Path, description = "The model's id.")),
    responses(
        (status = 200, description = "The model, with its policy.", body = ModelView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn by_id(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<ModelView>, Problem> {
    json(&api, move |reader| view(reader, reader.model_by_id(parse::<ModelId>(&id)?)?)).await
}

/// One model.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded it."),
        ("name" = String, Path, description = "Its name there."),
    ),
    responses(
        (status = 200, description = "The model, with its policy.", body = ModelView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
) -> Result<Json<ModelView>, Problem> {
    json(&api, move |reader| view(reader, reader.model(&name)?)).await
}

/// Ancestors that are looked at for a version in a list.
const LISTED_ANCESTORS: usize = 16;

fn version_view(reader: &Reader, version: Version, ancestors: usize) -> Result<VersionView, Problem> {
    Ok(VersionView {
        standing: standing::of(&reader.state, &version, ancestors)?,
        model_name: reader.name(version.model)?,
        publisher_handle: reader.handle(version.publisher)?,
        stored_here: reader.node.artifacts.has(&version.artifact.address),
        contents: None,
        version,
    })
}

/// A model's versions, by label.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/versions", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        Paging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<VersionView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn versions(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<VersionView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (versions, next) = paging.records::<Version>(&reader.state, &model.id, Direction::Ascending)?;
        let items = versions
            .into_iter()
            .map(|version| version_view(reader, version, LISTED_ANCESTORS))
            .collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// One version of a model.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/versions/{label}", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("label" = String, Path, description = "The version's label, or `released` for the version released last."),
    ),
    responses(
        (status = 200, description = "The version.", body = VersionView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn version(
    State(api): State<Shared>,
    Path((namespace, name, label)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let view = with_reader(&api, move |reader| {
        let model = reader.model(&(namespace, name))?;
        let version = existing_version(reader, &model, &label)?;
        let mut view = version_view(reader, version, standing::ANCESTORS)?;
        if view.stored_here {
            let contents = reader.node.artifacts.contents(&view.version.artifact.address)?;
            view.contents = Some(Contents::clone(&contents));
        }
        Ok(view)
    })
    .await?;
    let mut headers = HeaderMap::new();
    tell(&mut headers, &view.standing);
    Ok((headers, Json(view)).into_response())
}

/// A version by its label. A label that is spelled `released` wins over the alias.
pub(crate) fn existing_version(reader: &Reader, model: &Model, label: &str) -> Result<Version, Problem> {
    let asked: VersionLabel = parse(label)?;
    if let Some(version) = reader.find::<Version>(&(model.id, asked))? {
        return Ok(version);
    }
    let released = model.released.clone().filter(|_| label == "released");
    let version = released.map_or(Ok(None), |released| reader.find::<Version>(&(model.id, released)))?;
    version.ok_or_else(|| {
        let detail = format!("model {} has no version {label}; its versions list what there is", model.name);
        Problem::not_found("unknown_version", detail)
    })
}

fn contribution_view(reader: &Reader, contribution: Contribution) -> Result<ContributionView, Problem> {
    let model = reader.model_by_id(contribution.model)?;
    let round = match contribution.round {
        Some(number) => reader.find::<Round>(&(contribution.model, number))?,
        None => None,
    };
    let asked = round.map_or(model.policy.countersigners, |round| round.countersigners);
    let handles = |accounts: &mut dyn Iterator<Item = AccountId>| -> Result<Vec<Option<Handle>>, Problem> {
        accounts.map(|account| reader.handle(account)).collect()
    };
    Ok(ContributionView {
        model_name: reader.name(contribution.model)?,
        giver_handle: reader.handle(contribution.giver)?,
        countersigned_handles: handles(&mut contribution.countersigned.iter().map(|one| one.steward))?,
        declined_handles: handles(&mut contribution.declined.iter().map(|one| one.steward))?,
        countersigners: review::needed(&model, contribution.giver, asked),
        contribution,
    })
}

fn existing_contribution(reader: &Reader, id: ContributionId) -> Result<Contribution, Problem> {
    reader.find::<Contribution>(&id)?.ok_or_else(|| {
        Problem::not_found("unknown_contribution", format!("there is no contribution {id} on this network"))
    })
}

/// A model's contributions.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/contributions", tag = "contributions",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<ContributionView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn contributions(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<ContributionView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (ids, next) = query.paging().records::<ContributionOf>(&reader.state, &model.id, query.order.into())?;
        let mut items = Vec::with_capacity(ids.len());
        for ContributionOf(id) in ids {
            items.push(contribution_view(reader, existing_contribution(reader, id)?)?);
        }
        Ok(Page { items, next })
    })
    .await
}

/// One contribution.
#[utoipa::path(get, path = "/v1/contributions/{id}", tag = "contributions",
    params(("id" = String, Path, description = "The contribution's id, or its first digits, four at least, where no other's are the same.")),
    responses(
        (status = 200, description = "The contribution.", body = ContributionView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn contribution(
    State(api): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<ContributionView>, Problem> {
    json(&api, move |reader| {
        let id = reader.id::<Contribution>(&id, "contribution", |contribution| &contribution.note)?;
        contribution_view(reader, existing_contribution(reader, id)?)
    })
    .await
}

/// The proposals put to a model's owners.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/proposals", tag = "proposals",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<ProposalView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn proposals(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<ProposalView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        proposals::of_scope(reader, Scope::Model(model.id), &query)
    })
    .await
}
