//! Proofs and deeds: what an outsider checks without trusting this peer.
//!
//! Both speak of the newest height whose state root a decided header already carries, one before the tip. A change of
//! the last moment can be proven as soon as the next block is decided, which follows at once.

use super::{
    Shared, claims,
    extract::{Path, Query},
    models::existing_version,
    reader::{Reader, json, with_reader},
    views::{ClaimView, DeedView, Problem, ProofView},
};
use allod_protocol::{
    account::Account,
    codec,
    ids::Height,
    model::{Model, Version},
    proof::{Deed, StateProof},
    share::{Register, Share},
    state::Record,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

fn nothing_certified() -> Problem {
    Problem::not_found(
        "nothing_certified",
        "the ledger has no block yet, so nothing can be proven; a first transaction makes one",
    )
}

/// A proof of one line of a share register, or that there is no such line.
#[utoipa::path(get, path = "/v1/proofs/share/{namespace}/{name}/{account}", tag = "proofs",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("account" = String, Path, description = "The holder's handle or id."),
    ),
    responses(
        (status = 200, description = "The proof, under the newest state root that a decided header carries.", body = ProofView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn share_proof(
    State(api): State<Shared>,
    Path((namespace, name, account)): Path<(String, String, String)>,
) -> Result<Json<ProofView>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&(namespace, name))?;
        let account = reader.account(&account)?;
        let key = Share::key_bytes(&(model.id, account.id));
        let proven = reader.node.ledger.prove(&key)?.ok_or_else(nothing_certified)?;
        let share = proven.proof.value.as_deref().map(codec::decode_trusted::<Share>).transpose();
        Ok(ProofView {
            height: proven.height,
            state_root: proven.root,
            key: HEXLOWER.encode(&key),
            share: share.map_err(|error| Problem::internal("ledger_unreadable", error.to_string()))?,
            proof: HEXLOWER.encode(&codec::encode(&proven.proof)),
        })
    })
    .await
}

/// In which form a deed is given.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeedFormat {
    /// Described, with its bytes in hexadecimal.
    Json,
    /// Its bytes.
    Bytes,
}

/// How to give a deed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeedQuery {
    /// `bytes` or `json`; what the `Accept` header says unless given, and bytes if it says nothing of JSON.
    #[param(inline)]
    format: Option<DeedFormat>,
}

impl DeedQuery {
    fn format(&self, headers: &HeaderMap) -> DeedFormat {
        let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let json = accepted.contains("application/json") && !accepted.contains("application/octet-stream");
        self.format.unwrap_or(if json { DeedFormat::Json } else { DeedFormat::Bytes })
    }
}

/// A deed on one line of a share register: the model, the register's sums, the holder's account, and the line.
#[utoipa::path(get, path = "/v1/deeds/share/{namespace}/{name}/{account}", tag = "proofs",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("account" = String, Path, description = "The holder's handle or id."),
        DeedQuery,
    ),
    responses(
        (status = 200, description = "The deed: `allod verify` checks it against a genesis, offline.",
            content((Vec<u8> = "application/octet-stream"), (DeedView = "application/json"))),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn share_deed(
    State(api): State<Shared>,
    Path((namespace, name, account)): Path<(String, String, String)>,
    Query(query): Query<DeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    deed(&api, query.format(&headers), move |reader| {
        let model = reader.model(&(namespace, name))?;
        let account = reader.account(&account)?;
        Ok(vec![
            Model::key_bytes(&model.id),
            Register::key_bytes(&model.id),
            Account::key_bytes(&account.id),
            Share::key_bytes(&(model.id, account.id)),
        ])
    })
    .await
}

/// A deed on a version of a model: the model, and the version with its artifact.
#[utoipa::path(get, path = "/v1/deeds/version/{namespace}/{name}/{label}", tag = "proofs",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("label" = String, Path, description = "The version's label, or `released` for the version released last."),
        DeedQuery,
    ),
    responses(
        (status = 200, description = "The deed: `allod verify` checks it against a genesis, offline.",
            content((Vec<u8> = "application/octet-stream"), (DeedView = "application/json"))),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn version_deed(
    State(api): State<Shared>,
    Path((namespace, name, label)): Path<(String, String, String)>,
    Query(query): Query<DeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    deed(&api, query.format(&headers), move |reader| {
        let model = reader.model(&(namespace, name))?;
        let version = existing_version(reader, &model, &label)?;
        Ok(vec![Model::key_bytes(&model.id), Version::key_bytes(&(model.id, version.label))])
    })
    .await
}

async fn deed(
    api: &Shared,
    format: DeedFormat,
    keys: impl FnOnce(&Reader) -> Result<Vec<Vec<u8>>, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let deed = with_reader(api, move |reader| {
        let keys = keys(reader)?;
        reader.node.ledger.deed(&keys)?.ok_or_else(nothing_certified)
    });
    let deed = deed.await?;
    Ok(match format {
        DeedFormat::Bytes => ([(header::CONTENT_TYPE, "application/octet-stream")], deed.encode()).into_response(),
        DeedFormat::Json => Json(view(&deed)).into_response(),
    })
}

/// What a deed says, without checking it.
pub(crate) fn view(deed: &Deed) -> DeedView {
    let header = &deed.header.header;
    DeedView {
        network: header.network,
        height: Height::previous(header.height),
        state_root: header.state_root,
        block: header.hash(),
        validator_changes: deed.changes.len(),
        claims: deed.proofs.iter().map(claim).collect(),
        deed: HEXLOWER.encode(&deed.encode()),
    }
}

/// What does not stand under its own key is no claim, as `allod verify` will say.
fn claim(proof: &StateProof) -> ClaimView {
    claims::claim(&proof.key, proof.value.as_deref()).unwrap_or_else(|_| ClaimView::Other(HEXLOWER.encode(&proof.key)))
}
