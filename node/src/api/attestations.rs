//! Attestations: what accounts say of artifacts.

use super::{
    Shared,
    extract::{Paging, Path, Query, parse},
    reader::{Json, json},
    views::{AttestationView, Page, Problem},
};
use allod_protocol::{
    ground::{ids::ArtifactId, state::Direction},
    rules::attestation::Attestation,
};
use axum::extract::State;

/// What was attested of an artifact, by statement and account. This peer need not have it.
#[utoipa::path(get, path = "/v1/artifacts/{address}/attestations", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<AttestationView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn of_artifact(
    State(api): State<Shared>,
    Path(address): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<AttestationView>>, Problem> {
    json(&api, move |reader| {
        let address: ArtifactId = parse(&address)?;
        let (found, next) = paging.records::<Attestation>(&reader.state, &address, Direction::Ascending)?;
        let mut items = Vec::with_capacity(found.len());
        for attestation in found {
            items.push(AttestationView { handle: reader.handle(attestation.account)?, attestation });
        }
        Ok(Page { items, next })
    })
    .await
}
