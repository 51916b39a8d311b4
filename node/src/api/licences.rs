//! Licences: whom the owners of a model gave one, what became of each, and who asks for one.

use super::{
    Shared,
    extract::{Paging, Path, Query, TimePaging},
    reader::{Json, Reader, json},
    views::{LicenceChangeView, LicenceRequestView, LicenseeView, Page, Problem},
};
use allod_protocol::{
    ground::state::Direction,
    rules::licence::{LicenceChange, LicenceOf, LicenceRequest, LicenceRequestOf, Licensee},
};
use axum::extract::State;

fn view(reader: &Reader, licensee: Licensee) -> Result<LicenseeView, Problem> {
    let now = reader.now()?;
    Ok(LicenseeView {
        handle: reader.handle(licensee.account)?,
        model_name: reader.name(licensee.model)?,
        in_force: licensee.in_force(now).is_some(),
        offer_stands: licensee.offered(now).is_some(),
        licensee,
    })
}

fn request_view(reader: &Reader, request: LicenceRequest) -> Result<LicenceRequestView, Problem> {
    let (handle, model_name) = (reader.handle(request.account)?, reader.name(request.model)?);
    Ok(LicenceRequestView { handle, model_name, request })
}

/// The accounts that the owners of a model ever granted a licence, by id, and how each stands.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/licensees", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        Paging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<LicenseeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn of_model(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<LicenseeView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (licensees, next) = paging.records::<Licensee>(&reader.state, &model.id, Direction::Ascending)?;
        let items = licensees.into_iter().map(|licensee| view(reader, licensee)).collect::<Result<_, Problem>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// How an account stands to the licences that a model's owners granted it.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/licensees/{account}", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("account" = String, Path, description = "An account's handle or id."),
    ),
    responses(
        (status = 200, description = "How it stands.", body = LicenseeView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(
    State(api): State<Shared>,
    Path((namespace, name, account)): Path<(String, String, String)>,
) -> Result<Json<LicenseeView>, Problem> {
    json(&api, move |reader| {
        let (model, account) = (reader.model(&(namespace, name))?, reader.account(&account)?);
        let licensee = reader.find::<Licensee>(&(model.id, account.id))?.ok_or_else(|| {
            let detail = format!("the owners of {} never granted {} a licence", model.name, account.handle);
            Problem::not_found("no_licence", detail)
        })?;
        view(reader, licensee)
    })
    .await
}

/// What became of an account's licences to a model.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/licensees/{account}/history", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("account" = String, Path, description = "An account's handle or id."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<LicenceChangeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn history(
    State(api): State<Shared>,
    Path((namespace, name, account)): Path<(String, String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<LicenceChangeView>>, Problem> {
    json(&api, move |reader| {
        let line = (reader.model(&(namespace, name))?.id, reader.account(&account)?.id);
        let (changes, next) = query.paging().records::<LicenceChange>(&reader.state, &line, query.order.into())?;
        let view = |change: LicenceChange| Ok(LicenceChangeView { time: reader.time_of(change.height)?, change });
        Ok(Page { items: changes.into_iter().map(view).collect::<Result<_, Problem>>()?, next })
    })
    .await
}

/// The accounts that ask a model's owners for a licence, by id.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/licence-requests", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        Paging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<LicenceRequestView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn requests(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<LicenceRequestView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (accounts, next) = paging.records::<LicenceRequestOf>(&reader.state, &model.id, Direction::Ascending)?;
        let found = accounts.into_iter().map(|LicenceRequestOf(account)| reader.find(&(account, model.id)));
        let found = found.collect::<Result<Vec<Option<LicenceRequest>>, Problem>>()?;
        let items =
            found.into_iter().flatten().map(|request| request_view(reader, request)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// The licences that an account has, or had, to models of any owners, by the model's id.
#[utoipa::path(get, path = "/v1/accounts/{account}/licences", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<LicenseeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn of_account(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<LicenseeView>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?.id;
        let (models, next) = paging.records::<LicenceOf>(&reader.state, &account, Direction::Ascending)?;
        let found = models.into_iter().map(|LicenceOf(model)| reader.find::<Licensee>(&(model, account)));
        let found = found.collect::<Result<Vec<_>, Problem>>()?;
        let items = found.into_iter().flatten().map(|licensee| view(reader, licensee)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// What an account asks for, of the owners of any model, by the model's id.
#[utoipa::path(get, path = "/v1/accounts/{account}/licence-requests", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<LicenceRequestView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn requests_of(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<LicenceRequestView>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?.id;
        let (requests, next) = paging.records::<LicenceRequest>(&reader.state, &account, Direction::Ascending)?;
        let items = requests.into_iter().map(|request| request_view(reader, request)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}
