//! Who was called on and has not spoken.

use super::{
    Shared,
    extract::{Paging, Path, Query},
    reader::{Json, Reader, json},
    views::{Page, Problem, SilenceView},
};
use allod_protocol::{
    ground::state::Direction,
    rules::{dormancy::Silence, proposal::Scope},
};
use axum::extract::State;

fn page(reader: &Reader, paging: &Paging, scope: Scope) -> Result<Page<SilenceView>, Problem> {
    let (silences, next) = paging.records::<Silence>(&reader.state, &scope, Direction::Ascending)?;
    let view = |silence: Silence| {
        let (handle, by_handle) = (reader.handle(silence.account)?, reader.handle(silence.by)?);
        Ok(SilenceView { silence, handle, by_handle })
    };
    let items = silences.into_iter().map(view).collect::<Result<_, Problem>>()?;
    Ok(Page { items, next })
}

/// The holders of a model who were called on and have not spoken, dormant ones among them, by account id.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/silences", tag = "shares",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        Paging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<SilenceView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn of_model(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<SilenceView>>, Problem> {
    json(&api, move |reader| page(reader, &paging, Scope::Model(reader.model(&name)?.id))).await
}

/// The members of the network who were called on and have not spoken, dormant ones among them, by account id.
#[utoipa::path(get, path = "/v1/network/silences", tag = "node", params(Paging),
    responses(
        (status = 200, description = "One page.", body = Page<SilenceView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn of_network(
    State(api): State<Shared>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<SilenceView>>, Problem> {
    json(&api, move |reader| page(reader, &paging, Scope::Network)).await
}
