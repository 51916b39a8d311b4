//! Proofs and deeds: what an outsider checks without trusting this peer.
//!
//! Both speak of the newest height whose state root a decided header already carries, one before the tip. A change of
//! the last moment can be proven as soon as the next block is decided, which follows at once.

use super::{
    Shared,
    extract::{Path, Query, parse},
    models::existing_version,
    reader::{Json, Reader, json, with_reader},
    views::{DeedView, Problem, ProofView},
};
use allod_protocol::{
    ground::{
        codec,
        ids::{ArtifactId, Height},
        limits,
        state::Record,
    },
    proof::{Deed, Subject},
    rules::{proposal::Proposal, share::Share},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use std::collections::BTreeSet;
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
    /// The height of a checkpoint that whoever is to check the deed trusts: the deed is tied to that block.
    checkpoint: Option<Height>,
}

impl DeedQuery {
    fn format(&self, headers: &HeaderMap) -> DeedFormat {
        let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let json = accepted.contains("application/json") && !accepted.contains("application/octet-stream");
        self.format.unwrap_or(if json { DeedFormat::Json } else { DeedFormat::Bytes })
    }
}

/// A deed on one line of a share register: what an account holds, what of it is under vesting, and whether it is
/// disputed or its holder suspended.
#[utoipa::path(get, path = "/v1/deeds/share/{namespace}/{name}/{account}", tag = "proofs",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("account" = String, Path, description = "The holder's handle or id."),
        DeedQuery,
    ),
    responses(
        (status = 200, description = "The deed: `allod verify` checks it against a genesis and a checkpoint, offline.",
            content((Vec<u8> = "application/octet-stream"), (DeedView = "application/json"))),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn share_deed(
    State(api): State<Shared>,
    Path((namespace, name, account)): Path<(String, String, String)>,
    Query(query): Query<DeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    deed(&api, &query, &headers, move |reader| {
        let model = reader.model(&(namespace, name))?;
        Ok(Subject::Share { model: model.id, account: reader.account(&account)?.id })
    })
    .await
}

/// A deed on a version of a model: its artifact, where it stands, and whether it is disputed.
#[utoipa::path(get, path = "/v1/deeds/version/{namespace}/{name}/{label}", tag = "proofs",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("label" = String, Path, description = "The version's label, or `released` for the version released last."),
        DeedQuery,
    ),
    responses(
        (status = 200, description = "The deed: `allod verify` checks it against a genesis and a checkpoint, offline.",
            content((Vec<u8> = "application/octet-stream"), (DeedView = "application/json"))),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn version_deed(
    State(api): State<Shared>,
    Path((namespace, name, label)): Path<(String, String, String)>,
    Query(query): Query<DeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    deed(&api, &query, &headers, move |reader| {
        let model = reader.model(&(namespace, name))?;
        let version = existing_version(reader, &model, &label)?;
        Ok(Subject::Version { model: model.id, label: version.label })
    })
    .await
}

/// A deed on an account's licence to a model, or that it has none.
#[utoipa::path(get, path = "/v1/deeds/licence/{namespace}/{name}/{account}", tag = "proofs",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("account" = String, Path, description = "The account's handle or id."),
        DeedQuery,
    ),
    responses(
        (status = 200, description = "The deed: `allod verify` checks it against a genesis and a checkpoint, offline.",
            content((Vec<u8> = "application/octet-stream"), (DeedView = "application/json"))),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn licence_deed(
    State(api): State<Shared>,
    Path((namespace, name, account)): Path<(String, String, String)>,
    Query(query): Query<DeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    deed(&api, &query, &headers, move |reader| {
        let model = reader.model(&(namespace, name))?;
        Ok(Subject::Licence { model: model.id, account: reader.account(&account)?.id })
    })
    .await
}

/// A deed on a proposal: the question, its rule, its tally and what became of it.
#[utoipa::path(get, path = "/v1/deeds/decision/{id}", tag = "proofs",
    params(("id" = String, Path, description = "The proposal's id, or its first digits."), DeedQuery),
    responses(
        (status = 200, description = "The deed: `allod verify` checks it against a genesis and a checkpoint, offline.",
            content((Vec<u8> = "application/octet-stream"), (DeedView = "application/json"))),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn decision_deed(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Query(query): Query<DeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    deed(&api, &query, &headers, move |reader| {
        let id = reader.id::<Proposal>(&id, "proposal", |proposal| &proposal.title)?;
        let unknown = || Problem::not_found("unknown_proposal", format!("there is no proposal {id} on this network"));
        reader.find::<Proposal>(&id)?.ok_or_else(unknown)?;
        Ok(Subject::Decision(id))
    })
    .await
}

/// A deed on what an account said of an artifact last, or that it said nothing.
#[utoipa::path(get, path = "/v1/deeds/attestation/{address}/{statement}/{account}", tag = "proofs",
    params(
        ("address" = String, Path, description = "The artifact's address."),
        ("statement" = String, Path, description = "What it is about, such as `bias-audit`."),
        ("account" = String, Path, description = "The handle or id of who said it, or did not."),
        DeedQuery,
    ),
    responses(
        (status = 200, description = "The deed: `allod verify` checks it against a genesis and a checkpoint, offline.",
            content((Vec<u8> = "application/octet-stream"), (DeedView = "application/json"))),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn attestation_deed(
    State(api): State<Shared>,
    Path((address, statement, account)): Path<(String, String, String)>,
    Query(query): Query<DeedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    deed(&api, &query, &headers, move |reader| {
        let artifact: ArtifactId = parse(&address)?;
        Ok(Subject::Attestation { artifact, statement: parse(&statement)?, account: reader.account(&account)?.id })
    })
    .await
}

async fn deed(
    api: &Shared,
    query: &DeedQuery,
    headers: &HeaderMap,
    subject: impl FnOnce(&Reader) -> Result<Subject, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (format, tied_to) = (query.format(headers), BTreeSet::from_iter(query.checkpoint));
    let deed = with_reader(api, move |reader| {
        let subject = subject(reader)?;
        reader.node.ledger.deed(&subject, &tied_to)?.ok_or_else(nothing_certified)
    });
    let deed = deed.await?;
    let bytes = deed.encode();
    if bytes.len() > limits::DEED_SIZE_BYTES {
        let changes = deed.root.changes.len();
        let detail =
            format!("with {changes} changes of the validators since genesis the deed is larger than any may be");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "deed_too_large", detail));
    }
    Ok(match format {
        DeedFormat::Bytes => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        DeedFormat::Json => Json(view(&deed, &bytes)?).into_response(),
    })
}

/// What a deed says, without checking it.
fn view(deed: &Deed, bytes: &[u8]) -> Result<DeedView, Problem> {
    let header = &deed.root.header.header;
    Ok(DeedView {
        network: header.network,
        height: header.height.previous(),
        state_root: header.state_root,
        block: header.hash(),
        block_time: header.time,
        validator_changes: deed.root.changes.len(),
        subject: deed.subject.clone(),
        facts: deed.claimed().map_err(|error| Problem::internal("ledger_unreadable", error.to_string()))?,
        deed: HEXLOWER.encode(bytes),
    })
}
