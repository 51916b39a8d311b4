//! The peers of an account, which read for it.

use super::{
    Shared,
    extract::{Paging, Path, Query},
    reader::{Json, json},
    views::{CommitmentView, Page, PeerBindingView, Problem},
};
use crate::network::peer_key;
use allod_protocol::{
    ground::state::Direction,
    rules::{
        access::{PeerBinding, PeerOf},
        commitment::{Commitment, Commitments},
    },
};
use axum::extract::State;

/// The peers that read for an account, by key.
#[utoipa::path(get, path = "/v1/accounts/{account}/peers", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<PeerBindingView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn peers(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<PeerBindingView>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?;
        let (peers, next) = paging.records::<PeerOf>(&reader.state, &account.id, Direction::Ascending)?;
        let bindings = peers.into_iter().map(|PeerOf(peer)| reader.find::<PeerBinding>(&peer));
        let bindings = bindings.collect::<Result<Vec<_>, Problem>>()?;
        let view = |binding: PeerBinding| {
            let peer_id = peer_key::to_peer(&binding.peer).map(|peer| peer.to_string());
            PeerBindingView { peer_id, binding }
        };
        Ok(Page { items: bindings.into_iter().flatten().map(view).collect(), next })
    })
    .await
}

/// The artifacts that an account has committed to for a model and not published yet, the oldest first, as long as that
/// counts.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/commitments/{account}", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("account" = String, Path, description = "An account's handle or id."),
    ),
    responses(
        (status = 200, description = "All of them: at most 16.", body = Page<CommitmentView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn commitments(
    State(api): State<Shared>,
    Path((namespace, name, account)): Path<(String, String, String)>,
) -> Result<Json<Page<CommitmentView>>, Problem> {
    json(&api, move |reader| {
        let key = (reader.model(&(namespace, name))?.id, reader.account(&account)?.id);
        let now = reader.time_of(reader.state.height())?;
        let made = reader.find::<Commitments>(&key)?.unwrap_or_default().made;
        let view = |Commitment { hash, height, until }| CommitmentView { hash, height, until };
        Ok(Page { items: made.into_iter().filter(|one| one.until > now).map(view).collect(), next: None })
    })
    .await
}
