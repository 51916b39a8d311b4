//! The description of the API, made from the endpoints' own documentation. A test holds it against the routes.

use super::{
    access, accounts, artifacts, attestations, blocks, disputes, dry_run, events, inbox, keys, licences, lineage,
    models, node, offices, proofs, proposals, rounds, shares, silences, standing, submit, unanswered, views,
};
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use std::sync::LazyLock;
use utoipa::OpenApi;

/// The whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "allod",
        description = "A peer of an allod network: who owns an AI model, what each contributor holds, what its owners \
            decided. Ids are 64 hexadecimal digits, artifacts are CIDs, times are milliseconds since 1970, shares are \
            whole units. An integer beyond 2^53, whichever field it is in, is a string of its digits, since many readers would \
            lose some of them; what is sent may have either. Errors are RFC 9457 problem details with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        document,
        node::health, node::ready, node::metrics, node::status, node::genesis, node::network, node::peers, node::validators,
        blocks::list, blocks::one, blocks::times, blocks::transaction, submit::submit, submit::submit_batch,
        accounts::list, accounts::one, keys::recovery, keys::guarded, keys::approvals, keys::approval,
        access::peers, access::commitments, licences::of_model, licences::one, licences::of_account, licences::history, licences::requests, licences::requests_of, artifacts::replication, offices::of_account, offices::ahead, offices::of_model, offices::intake, inbox::inbox, shares::holdings, accounts::members,
        models::list, models::by_id, models::one, models::versions, models::version, lineage::lineage,
        shares::register, shares::history, shares::delegations, shares::issues, silences::of_model, silences::of_network, models::contributions, models::contribution, rounds::list, rounds::one, standing::stops,
        disputes::disputes, disputes::dispute, disputes::incidents, disputes::incident, models::proposals,
        proposals::list, proposals::one, proposals::ballots, unanswered::unanswered, dry_run::try_out,
        proofs::share_proof, proofs::share_deed, proofs::version_deed, proofs::licence_deed, proofs::decision_deed,
        proofs::attestation_deed,
        artifacts::list, artifacts::one, attestations::of_artifact, artifacts::import, artifacts::providers, artifacts::content, artifacts::fetch,
        artifacts::verify, artifacts::pin, artifacts::unpin, artifacts::collect, artifacts::let_go,
        events::events,
    ),
    components(schemas(views::GapView)),
    tags(
        (name = "node", description = "This peer and its network."),
        (name = "transactions", description = "Requests to change the ledger."),
        (name = "blocks", description = "What was decided."),
        (name = "accounts", description = "Who can hold shares and sign."),
        (name = "models", description = "What is owned."),
        (name = "shares", description = "Who holds what, since when, and why."),
        (name = "contributions", description = "What was given."),
        (name = "disputes", description = "What is challenged, and what went wrong."),
        (name = "proposals", description = "What is asked, and what was answered."),
        (name = "proofs", description = "What can be checked offline."),
        (name = "artifacts", description = "The bytes, on this peer and on others."),
        (name = "events", description = "What happens, as it happens."),
    ),
)]
pub(crate) struct Description;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| Description::openapi().to_json().unwrap_or_default());

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "node", responses(
    (status = 200, description = "The description of this API.", body = crate::api::schema::Record, content_type = "application/json"),
))]
pub(crate) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
