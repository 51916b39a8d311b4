//! The HTTP API: JSON under `/v1`, live events by SSE, health, metrics, and the description of all of it at
//! `/openapi.json`.
//!
//! It reads the ledger from snapshots of its own and asks the event loop for one thing only: to take a transaction in.
//! It holds no account keys: clients sign. It decides no rule.
//!
//! # Security
//! The API acts on files of this machine with this process's rights: publishing reads a path, fetching writes one. So
//! it listens on 127.0.0.1 unless told otherwise, elsewhere with TLS only, and whoever changes anything shows a token
//! ([`caller`]). Web pages in
//! a browser on this machine can reach it too, and are kept out ([`origin`]):
//! - without TLS, a request whose `Host` is not an IP address or `localhost` is refused, so that a name which an attacker
//!   points at 127.0.0.1 (DNS rebinding) gets nothing but health and metrics;
//! - a request that changes something and carries the `Origin` of another site is refused, and no CORS header is sent, so
//!   that no page reads an answer.
//!
//! The operator may name further hosts and sites.
//!
//! Every request is bounded: in the size of its body, in the time it may take, and in how many are served at once;
//! streams of events, downloads and work on artifacts have limits of their own. Beyond a limit stands a problem with
//! status 429 or 503 and `Retry-After`. Connections on which nothing is asked or read end, sooner where others want
//! their places ([`listener`]), so that health and metrics are answered whoever holds how many.
//!
//! # Reading order
//! [`views`] (what is answered), [`problem`] (errors), [`listener`], [`origin`], [`caller`], [`extract`] and [`ids`] (what
//! a request passes), then one file a family of endpoints. Every endpoint stands in [`routes`]: what is not there is neither served
//! nor described.

mod access;
mod accounts;
mod artifacts;
mod attestations;
mod blocks;
mod caller;
mod disputes;
mod dry_run;
mod effect;
mod events;
mod extract;
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
mod origin;
mod preconditions;
mod problem;
mod proofs;
mod proposals;
mod reader;
mod records;
mod rounds;
mod shares;
mod silences;
mod standing;
mod stream;
mod submit;
mod subscribers;
#[cfg(test)]
mod tests;
mod transport;
mod unanswered;
pub mod views;

pub(crate) use effect::parts;
pub(crate) use ids::DIGITS_MIN;
pub use origin::Sites;

use crate::{
    artifacts::{replication::Replication, service::ArtifactService},
    event_loop::handle::NodeHandle,
    services::Services,
    tokens::{Accepted, Permission},
};
use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use subscribers::Subscribers;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tokio_rustls::rustls::ServerConfig;
use utoipa::{OpenApi as _, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Bytes of a request's body. A transaction in JSON is at most a few times its canonical size.
pub const BODY_SIZE_BYTES: usize = 512 * 1024;
/// Connections that are open at once. One more is let in at the cost of one that is not used.
pub const CONNECTIONS: usize = 2_048;
/// Downloads of stored files at once: each holds some pieces of a file in memory, however slowly its client reads.
pub const DOWNLOADS: usize = 64;
/// Connections that are open at once where only health and metrics are served.
pub const PROBES: usize = 64;
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

/// Who is let in, and how.
pub struct Door {
    /// The tokens that are accepted.
    pub tokens: Accepted,
    /// The certificate and its key. `None` for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Further names of this machine, and web sites, that are let in.
    pub sites: Sites,
}

/// Where the API is reached.
pub struct Listeners {
    /// By its users.
    pub api: TcpListener,
    /// By those who only look at health and metrics: without TLS, and with places of their own. `None` for nowhere but at
    /// the API.
    pub probes: Option<TcpListener>,
}

/// What every handler can reach.
pub(crate) struct Api {
    pub(crate) node: NodeHandle,
    pub(crate) tokens: Accepted,
    /// Whether reading takes no token: the API listens on loopback.
    pub(crate) open_to_read: bool,
    /// Whether the API speaks TLS, so that a client has checked whom it reached.
    pub(crate) has_tls: bool,
    pub(crate) sites: Sites,
    pub(crate) artifacts: ArtifactService,
    pub(crate) replication: Replication,
    pub(crate) waiting: submit::WaitingRequests,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) subscribers: Subscribers,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) seats: Arc<listener::Seats>,
    pub(crate) stop: watch::Receiver<bool>,
}

pub(crate) type Shared = Arc<Api>;

/// Serves until `stop` becomes true, then ends what is under way, within [`STOP_TIMEOUT`].
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listeners: Listeners,
    node: NodeHandle,
    services: Services,
    door: Door,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let patience = listener::Patience { request: HEAD_TIMEOUT, answer: IDLE_TIMEOUT, reader: READER_TIMEOUT };
    let seats = listener::Seats::new(CONNECTIONS, patience);
    let api = Arc::new(Api {
        artifacts: services.artifacts.clone(),
        replication: services.replication.clone(),
        waiting: submit::WaitingRequests::default(),
        requests: Arc::new(Semaphore::new(REQUESTS)),
        subscribers: Subscribers::new(SUBSCRIBERS, READER_TIMEOUT),
        downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        seats: seats.clone(),
        node,
        tokens: door.tokens,
        has_tls: door.tls.is_some(),
        sites: door.sites,
        open_to_read: listeners.api.local_addr()?.ip().is_loopback(),
        stop: stop.clone(),
    });
    let waiter = tokio::spawn(submit::answer_waiting(api.clone(), api.node.subscribe()));
    let probes = listeners.probes.map(|listener| (listener, probes(api.clone())));
    let served = axum::serve(
        listener::Limited::new(listeners.api, seats, door.tls),
        router(api).into_make_service_with_connect_info::<listener::Seated>(),
    )
    .with_graceful_shutdown(stopped(stop.clone()));
    let looked_at = async {
        let Some((listener, router)) = probes else { return std::future::pending().await };
        let seats = listener::Seats::new(PROBES, patience);
        let service = router.into_make_service_with_connect_info::<listener::Seated>();
        axum::serve(listener::Limited::new(listener, seats, None), service).await
    };
    let result = tokio::select! {
        result = served.into_future() => result,
        result = looked_at => result,
        () = async { stopped(stop).await; tokio::time::sleep(STOP_TIMEOUT).await; } => Ok(()),
    };
    waiter.abort();
    Ok(result?)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the other end is gone: the process is ending.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn router(api: Shared) -> Router {
    let (endpoints, _) = &*ENDPOINTS;
    endpoints
        .clone()
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_SIZE_BYTES))
        .layer(middleware::from_fn_with_state(api.clone(), origin::guard))
        .layer(api.sites.cors())
        .layer(middleware::from_fn(listener::seated))
        .with_state(api)
}

/// What is served to those who only look.
fn probes(api: Shared) -> Router {
    Router::new()
        .route("/healthz", get(node::health))
        .route("/readyz", get(node::ready))
        .route("/metrics", get(node::metrics))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(middleware::from_fn(listener::seated))
        .with_state(api)
}

/// The endpoints, and the description of them, both made from [`routes`] when one is first needed.
static ENDPOINTS: LazyLock<(Router<Shared>, OpenApi)> = LazyLock::new(|| {
    let (router, mut document) = routes().split_for_parts();
    caller::describe(&mut document);
    (router, document)
});

/// Every endpoint, with its path, its method and its description, which stand at the handler.
fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::About::openapi())
        .merge(reading())
        .merge(caller::guarded(submitting(), Permission::Submit))
        .merge(caller::guarded(operating(), Permission::Operate))
}

/// What changes the ledger.
fn submitting() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(submit::submit)).routes(routes!(submit::submit_batch))
}

/// What changes this node, or touches files of its machine.
fn operating() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(artifacts::import))
        .routes(routes!(artifacts::collect))
        .routes(routes!(artifacts::pin, artifacts::unpin))
        .routes(routes!(artifacts::let_go))
        .routes(routes!(artifacts::fetch))
        .routes(routes!(artifacts::verify))
}

/// What only reads.
#[allow(clippy::too_many_lines, reason = "a list, a line for each path")]
fn reading() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(node::health))
        .routes(routes!(node::ready))
        .routes(routes!(node::metrics))
        .routes(routes!(openapi::document))
        .routes(routes!(node::status))
        .routes(routes!(node::genesis))
        .routes(routes!(node::network))
        .routes(routes!(silences::of_network))
        .routes(routes!(accounts::members))
        .routes(routes!(node::peers))
        .routes(routes!(node::validators))
        .routes(routes!(blocks::list))
        .routes(routes!(blocks::one))
        .routes(routes!(blocks::times))
        .routes(routes!(blocks::transaction))
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::one))
        .routes(routes!(keys::recovery))
        .routes(routes!(keys::guarded))
        .routes(routes!(keys::approvals))
        .routes(routes!(access::peers))
        .routes(routes!(offices::of_account))
        .routes(routes!(offices::ahead))
        .routes(routes!(offices::intake))
        .routes(routes!(inbox::inbox))
        .routes(routes!(shares::holdings))
        .routes(routes!(licences::of_account))
        .routes(routes!(licences::requests_of))
        .routes(routes!(licences::one))
        .routes(routes!(licences::history))
        .routes(routes!(licences::requests))
        .routes(routes!(offices::of_model))
        .routes(routes!(licences::of_model))
        .routes(routes!(access::commitments))
        .routes(routes!(keys::approval))
        .routes(routes!(models::list))
        .routes(routes!(models::by_id))
        .routes(routes!(models::one))
        .routes(routes!(models::versions))
        .routes(routes!(models::version))
        .routes(routes!(lineage::lineage))
        .routes(routes!(shares::register))
        .routes(routes!(shares::history))
        .routes(routes!(shares::delegations))
        .routes(routes!(shares::issues))
        .routes(routes!(silences::of_model))
        .routes(routes!(models::contributions))
        .routes(routes!(models::proposals))
        .routes(routes!(standing::stops))
        .routes(routes!(rounds::list))
        .routes(routes!(rounds::one))
        .routes(routes!(disputes::disputes))
        .routes(routes!(disputes::incidents))
        .routes(routes!(disputes::dispute))
        .routes(routes!(disputes::incident))
        .routes(routes!(models::contribution))
        .routes(routes!(proposals::list))
        .routes(routes!(dry_run::try_out))
        .routes(routes!(proposals::one))
        .routes(routes!(proposals::ballots))
        .routes(routes!(unanswered::unanswered))
        .routes(routes!(proofs::share_proof))
        .routes(routes!(proofs::share_deed))
        .routes(routes!(proofs::version_deed))
        .routes(routes!(proofs::licence_deed))
        .routes(routes!(proofs::decision_deed))
        .routes(routes!(proofs::attestation_deed))
        .routes(routes!(artifacts::replication))
        .routes(routes!(artifacts::list))
        .routes(routes!(artifacts::one))
        .routes(routes!(attestations::of_artifact))
        .routes(routes!(artifacts::providers))
        .routes(routes!(artifacts::content))
        .routes(routes!(events::events))
}
