//! The HTTP API: JSON under `/v1`, live events by SSE, health, metrics, and the description of all of it at
//! `/openapi.json`.
//!
//! It reads the ledger from snapshots of its own and asks the event loop for one thing only: to take a transaction in.
//! It holds no account keys: clients sign. It decides no rule.
//!
//! # Security
//! The API acts on files of this machine with this process's rights: publishing reads a path, fetching writes one. So
//! it listens on 127.0.0.1 unless told otherwise, and whoever can reach the address is trusted that far. Web pages in a
//! browser on this machine can reach it too, and are kept out ([`guard`]):
//! - a request whose `Host` is not an IP address or `localhost` is refused, so that a name which an attacker points at
//!   127.0.0.1 (DNS rebinding) gets nothing but health and metrics;
//! - a request that changes something and carries the `Origin` of another site is refused, and no CORS header is ever
//!   sent, so that no page reads an answer.
//!
//! Every request is bounded: in the size of its body, in the time it may take, and in how many are served at once;
//! streams of events, downloads and work on artifacts have limits of their own. Beyond a limit stands a problem with
//! status 429 or 503 and `Retry-After`. Connections on which nothing is asked or read end, sooner where others want
//! their places ([`listener`]), so that health and metrics are answered whoever holds how many.
//!
//! # Reading order
//! [`views`] (what is answered), [`problem`] (errors), [`listener`], [`guard`], [`extract`] and [`ids`] (what a request passes), then one file
//! a family of endpoints. Every route stands in [`routes`] and, documented, in [`openapi`]; a test holds the two
//! together.

mod access;
mod accounts;
mod artifacts;
mod attestations;
mod blocks;
mod disputes;
mod dry_run;
mod effect;
mod events;
mod extract;
mod guard;
mod ids;
mod inbox;
mod keys;
mod licences;
mod lineage;
mod listener;
mod models;
mod node;
mod offices;
mod openapi;
mod preconditions;
mod problem;
mod proofs;
mod proposals;
mod reader;
mod records;
mod rounds;
mod schema;
mod shares;
mod silences;
mod standing;
mod stream;
mod submit;
#[cfg(test)]
mod tests;
mod unanswered;
pub mod views;

pub(crate) use effect::parts;
pub(crate) use ids::DIGITS_MIN;

use crate::{
    artifact_service::{ArtifactOptions, ArtifactService},
    handle::NodeHandle,
    metrics,
    replication::Replication,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{delete, get, post, put},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

/// Bytes of a request's body. A transaction in JSON is at most a few times its canonical size.
pub const BODY_SIZE_BYTES: usize = 512 * 1024;
/// Connections that are open at once. One more is let in at the cost of one that is not used.
pub const CONNECTIONS: usize = 2_048;
/// Downloads of stored files at once: each holds some pieces of a file in memory, however slowly its client reads.
pub const DOWNLOADS: usize = 64;
/// Requests that are answered at once, health and metrics not counted.
pub const REQUESTS: usize = 1_024;
/// Streams of live events that are open at once.
pub const SUBSCRIBERS: usize = 64;
/// How long a request may take until its response begins.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a request may wait for what it asked for, such as a transaction's block, at most.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a connection may stand open without a request, at first and after an answer.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long nothing may move on a connection while a request is answered: longer than any request may be silent.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a client may stop reading its answer when others want its place.
pub const READER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take to end when the peer stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the event loop may be silent before `/healthz` calls the peer unwell.
pub const TICK_MAX: Duration = Duration::from_secs(10);

/// What every handler can reach.
pub(crate) struct Api {
    pub(crate) node: NodeHandle,
    pub(crate) artifacts: ArtifactService,
    pub(crate) replication: Replication,
    pub(crate) waiting: submit::Waiting,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) subscribers: Arc<Semaphore>,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) seats: Arc<listener::Seats>,
    pub(crate) stop: watch::Receiver<bool>,
}

pub(crate) type Shared = Arc<Api>;

/// Serves until `stop` becomes true, then ends what is under way, within [`STOP_TIMEOUT`]. Also runs what belongs to
/// the API alone: the artifact service, the looking back of [`metrics::follow`], and the waiting for submitted
/// transactions.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    node: NodeHandle,
    options: ArtifactOptions,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let artifacts = ArtifactService::start(node.clone(), options.limits, stop.clone())?;
    let replication = Replication::default();
    let replicating = replication.clone().run(node.clone(), artifacts.clone(), options.replication, stop.clone());
    let replicator = tokio::spawn(replicating);
    let patience = listener::Patience { request: HEAD_TIMEOUT, answer: IDLE_TIMEOUT, reader: READER_TIMEOUT };
    let seats = listener::Seats::new(CONNECTIONS, patience);
    let api = Arc::new(Api {
        artifacts,
        replication,
        waiting: submit::Waiting::default(),
        requests: Arc::new(Semaphore::new(REQUESTS)),
        subscribers: Arc::new(Semaphore::new(SUBSCRIBERS)),
        downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        seats: seats.clone(),
        node: node.clone(),
        stop: stop.clone(),
    });
    let follower = tokio::spawn(metrics::follow(node, stop.clone()));
    let waiter = tokio::spawn(submit::answer_waiting(api.clone(), api.node.subscribe()));
    let service = router(api).into_make_service_with_connect_info::<listener::Seated>();
    let served =
        axum::serve(listener::Limited::new(listener, seats), service).with_graceful_shutdown(stopped(stop.clone()));
    let result = tokio::select! {
        result = served.into_future() => result,
        () = async { stopped(stop).await; tokio::time::sleep(STOP_TIMEOUT).await; } => Ok(()),
    };
    waiter.abort();
    replicator.abort();
    follower.abort();
    Ok(result?)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the other end is gone: the process is ending.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn router(api: Shared) -> Router {
    routes()
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_SIZE_BYTES))
        .layer(middleware::from_fn_with_state(api.clone(), guard::guard))
        .layer(middleware::from_fn(listener::seated))
        .with_state(api)
}

#[allow(clippy::too_many_lines, reason = "a list, a line for each route")]
fn routes() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(node::health))
        .route("/readyz", get(node::ready))
        .route("/metrics", get(node::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/status", get(node::status))
        .route("/v1/genesis", get(node::genesis))
        .route("/v1/network", get(node::network))
        .route("/v1/network/silences", get(silences::of_network))
        .route("/v1/network/members", get(accounts::members))
        .route("/v1/peers", get(node::peers))
        .route("/v1/validators", get(node::validators))
        .route("/v1/blocks", get(blocks::list))
        .route("/v1/blocks/{height}", get(blocks::one))
        .route("/v1/times", get(blocks::times))
        .route("/v1/transactions", post(submit::submit))
        .route("/v1/transactions/batch", post(submit::submit_batch))
        .route("/v1/transactions/{id}", get(blocks::transaction))
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/accounts/{account}", get(accounts::one))
        .route("/v1/accounts/{account}/recovery", get(keys::recovery))
        .route("/v1/accounts/{account}/guarded", get(keys::guarded))
        .route("/v1/accounts/{account}/approvals", get(keys::approvals))
        .route("/v1/accounts/{account}/peers", get(access::peers))
        .route("/v1/accounts/{account}/offices", get(offices::of_account))
        .route("/v1/accounts/{account}/offices-ahead", get(offices::ahead))
        .route("/v1/accounts/{account}/intake", get(offices::intake))
        .route("/v1/accounts/{account}/inbox", get(inbox::inbox))
        .route("/v1/accounts/{account}/holdings", get(shares::holdings))
        .route("/v1/accounts/{account}/licences", get(licences::of_account))
        .route("/v1/accounts/{account}/licence-requests", get(licences::requests_of))
        .route("/v1/models/{namespace}/{name}/licensees/{account}", get(licences::one))
        .route("/v1/models/{namespace}/{name}/licensees/{account}/history", get(licences::history))
        .route("/v1/models/{namespace}/{name}/licence-requests", get(licences::requests))
        .route("/v1/models/{namespace}/{name}/offices", get(offices::of_model))
        .route("/v1/models/{namespace}/{name}/licensees", get(licences::of_model))
        .route("/v1/models/{namespace}/{name}/commitments/{account}", get(access::commitments))
        .route("/v1/approvals/{id}", get(keys::approval))
        .route("/v1/models", get(models::list))
        .route("/v1/models/by-id/{id}", get(models::by_id))
        .route("/v1/models/{namespace}/{name}", get(models::one))
        .route("/v1/models/{namespace}/{name}/versions", get(models::versions))
        .route("/v1/models/{namespace}/{name}/versions/{label}", get(models::version))
        .route("/v1/models/{namespace}/{name}/versions/{label}/lineage", get(lineage::lineage))
        .route("/v1/models/{namespace}/{name}/shares", get(shares::register))
        .route("/v1/models/{namespace}/{name}/shares/history", get(shares::history))
        .route("/v1/models/{namespace}/{name}/delegations", get(shares::delegations))
        .route("/v1/models/{namespace}/{name}/issues", get(shares::issues))
        .route("/v1/models/{namespace}/{name}/silences", get(silences::of_model))
        .route("/v1/models/{namespace}/{name}/contributions", get(models::contributions))
        .route("/v1/models/{namespace}/{name}/proposals", get(models::proposals))
        .route("/v1/models/{namespace}/{name}/stops", get(standing::stops))
        .route("/v1/models/{namespace}/{name}/rounds", get(rounds::list))
        .route("/v1/models/{namespace}/{name}/rounds/{number}", get(rounds::one))
        .route("/v1/models/{namespace}/{name}/disputes", get(disputes::disputes))
        .route("/v1/models/{namespace}/{name}/incidents", get(disputes::incidents))
        .route("/v1/disputes/{id}", get(disputes::dispute))
        .route("/v1/incidents/{id}", get(disputes::incident))
        .route("/v1/contributions/{id}", get(models::contribution))
        .route("/v1/proposals", get(proposals::list))
        .route("/v1/proposals/dry-run", post(dry_run::try_out))
        .route("/v1/proposals/{id}", get(proposals::one))
        .route("/v1/proposals/{id}/ballots", get(proposals::ballots))
        .route("/v1/proposals/{id}/unanswered", get(unanswered::unanswered))
        .route("/v1/proofs/share/{namespace}/{name}/{account}", get(proofs::share_proof))
        .route("/v1/deeds/share/{namespace}/{name}/{account}", get(proofs::share_deed))
        .route("/v1/deeds/version/{namespace}/{name}/{label}", get(proofs::version_deed))
        .route("/v1/deeds/licence/{namespace}/{name}/{account}", get(proofs::licence_deed))
        .route("/v1/deeds/decision/{id}", get(proofs::decision_deed))
        .route("/v1/deeds/attestation/{address}/{statement}/{account}", get(proofs::attestation_deed))
        .route("/v1/replication", get(artifacts::replication))
        .route("/v1/artifacts", get(artifacts::list).post(artifacts::import))
        .route("/v1/artifacts/collect", post(artifacts::collect))
        .route("/v1/artifacts/{address}", get(artifacts::one))
        .route("/v1/artifacts/{address}/pin", put(artifacts::pin).delete(artifacts::unpin))
        .route("/v1/artifacts/{address}/publication", delete(artifacts::let_go))
        .route("/v1/artifacts/{address}/attestations", get(attestations::of_artifact))
        .route("/v1/artifacts/{address}/providers", get(artifacts::providers))
        .route("/v1/artifacts/{address}/content", get(artifacts::content))
        .route("/v1/artifacts/{address}/fetch", post(artifacts::fetch))
        .route("/v1/artifacts/{address}/verify", post(artifacts::verify))
        .route("/v1/events", get(events::events))
}
