//! What this peer says of itself: status, health, metrics, peers; and what the network began with and is decided by.

use super::{
    Shared, TICK_MAX,
    reader::{Json, Reader, json, with_reader},
    views::{
        HealthView, NetworkView, PeerView, Problem, ReasonView, RoleView, StatusView, ValidatorView, ValidatorsView,
    },
};
use crate::event_loop::handle::Role;
use allod_protocol::{
    ground::limits,
    ledger::genesis::Genesis,
    proof::Checkpoint,
    rules::{
        network::Network,
        validator::{ValidatorSchedule, ValidatorSet},
    },
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use std::sync::atomic::Ordering;

/// Whether the process is alive and its event loop comes round.
#[utoipa::path(get, path = "/healthz", tag = "node", responses(
    (status = 200, description = "It is.", body = HealthView),
    (status = 503, description = "It is not: restart the process.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn health(State(api): State<Shared>) -> Result<Json<HealthView>, Problem> {
    let silent = api.node.metrics.since_tick();
    if silent > TICK_MAX {
        return Err(Problem::unavailable(
            "event_loop_silent",
            format!(
                "the event loop has not come round for {} s; look at the log and restart the peer",
                silent.as_secs()
            ),
        ));
    }
    Ok(Json(HealthView { status: "ok".into(), height: api.node.status().height }))
}

/// Whether this peer can do its work: whether it hears and is heard by enough of the others, is level with them, and they
/// decide. The reasons for which it is not are named, each with a stable code.
#[utoipa::path(get, path = "/readyz", tag = "node", responses(
    (status = 200, description = "It can.", body = HealthView),
    (status = 503, description = "It cannot; `reasons` says why.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn ready(State(api): State<Shared>) -> Result<Json<HealthView>, Problem> {
    // A loop that stands still would tell what was so when it last came round.
    let alive = health(State(api.clone())).await?;
    match Problem::not_ready(&api.node.status().health) {
        None => Ok(alive),
        Some(problem) => Err(problem),
    }
}

/// Every metric, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "node", responses(
    (status = 200, description = "The metrics.", body = String, content_type = "text/plain; version=0.0.4"),
))]
pub(crate) async fn metrics(State(api): State<Shared>) -> Result<Response, Problem> {
    api.node.metrics.set_event_subscribers(api.subscribers.count());
    api.node.metrics.set_accept_failures(api.seats.failures());
    let text = with_reader(&api, |reader| {
        let rendered = reader.node.render_metrics();
        rendered.map_err(|error| Problem::internal("metrics", format!("the metrics cannot be gathered: {error:#}")))
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text.await?).into_response())
}

/// Where this peer stands.
#[utoipa::path(get, path = "/v1/status", tag = "node", responses((status = 200, description = "The status.", body = StatusView)))]
pub(crate) async fn status(State(api): State<Shared>) -> Json<StatusView> {
    let node = &api.node;
    let (status, stats) = (node.status(), node.network.stats());
    let peers =
        stats.peers_inbound.load(Ordering::Relaxed).saturating_add(stats.peers_outbound.load(Ordering::Relaxed));
    Json(StatusView {
        network: node.network_id,
        network_name: node.genesis.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        peer_id: node.network.local_peer_id().to_string(),
        listen_addresses: node.network.listen_addrs().iter().map(ToString::to_string).collect(),
        connected_peers: usize::try_from(peers).unwrap_or(usize::MAX),
        uptime_seconds: node.metrics.uptime().as_secs(),
        height: status.height,
        block: status.block,
        block_time: status.block_time,
        checkpoint: Checkpoint { height: status.height, block: status.block },
        state_root: status.state_root,
        round: status.round,
        role: match status.role {
            Role::Validator => RoleView::Validator,
            Role::Observer => RoleView::Observer,
        },
        validator: status.validator_key.validator_address(),
        validator_key: status.validator_key,
        mempool_transactions: status.mempool_transactions,
        mempool_size_bytes: status.mempool_size_bytes,
        mempool_weight: status.mempool_weight.get(),
        best_known_height: status.best_known_height,
        catching_up: status.catching_up,
        listening_peers: status.reached.listening_peers,
        reached_power: status.reached.power,
        total_power: status.reached.total_power,
        cut_off: status.reached.cut_off,
        ready: status.health.is_ready(),
        not_ready: status.health.reasons.iter().map(ReasonView::from).collect(),
        clock_ahead_ms: status.health.clock_ahead_ms,
    })
}

/// The beginning of the network: what a verifier trusts.
#[utoipa::path(get, path = "/v1/genesis", tag = "node", responses(
    (status = 200, description = "The genesis; its hash is the network's id.", body = Genesis),
))]
pub(crate) async fn genesis(State(api): State<Shared>) -> Json<Genesis> {
    Json(Genesis::clone(&api.node.genesis))
}

/// The peers that this one is connected to.
#[utoipa::path(get, path = "/v1/peers", tag = "node", responses((status = 200, description = "The peers.", body = Vec<PeerView>)))]
pub(crate) async fn peers(State(api): State<Shared>) -> Json<Vec<PeerView>> {
    let view = |peer: crate::network::PeerInfo| PeerView {
        peer_id: peer.peer.to_string(),
        addresses: peer.addresses.iter().map(ToString::to_string).collect(),
        direction: match peer.direction {
            crate::network::Direction::Inbound => "inbound".into(),
            crate::network::Direction::Outbound => "outbound".into(),
        },
        agent: peer.agent,
        connected_seconds: peer.since.elapsed().unwrap_or_default().as_secs(),
        round_trip_ms: peer.rtt.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    };
    let mut peers: Vec<PeerView> = api.node.network.peers().await.into_iter().map(view).collect();
    peers.sort_by(|one, two| one.peer_id.cmp(&two.peer_id));
    Json(peers)
}

/// What the members of the network agree on: parameters, rules of decision, upgrades.
#[utoipa::path(get, path = "/v1/network", tag = "node", responses(
    (status = 200, description = "As it is now.", body = NetworkView),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn network(State(api): State<Shared>) -> Result<Json<NetworkView>, Problem> {
    json(&api, |reader| {
        let network = reader
            .find::<Network>(&())?
            .ok_or_else(|| Problem::internal("ledger_unreadable", "the ledger holds no record of its network"))?;
        let outgrown = network.outgrown_at(reader.state.height().next()).is_some();
        Ok(NetworkView { network, protocol: limits::PROTOCOL_VERSION, outgrown })
    })
    .await
}

/// Who decides the next blocks.
#[utoipa::path(get, path = "/v1/validators", tag = "node", responses(
    (status = 200, description = "The sets that are settled.", body = ValidatorsView),
))]
pub(crate) async fn validators(State(api): State<Shared>) -> Result<Json<ValidatorsView>, Problem> {
    json(&api, |reader| {
        let schedule = reader
            .find::<ValidatorSchedule>(&())?
            .ok_or_else(|| Problem::internal("ledger_unreadable", "the ledger holds no validator schedule"))?;
        Ok(ValidatorsView {
            height: reader.state.height().next(),
            total_power: schedule.current.total_power(),
            current: views_of(reader, &schedule.current)?,
            next: views_of(reader, &schedule.next)?,
        })
    })
    .await
}

fn views_of(reader: &Reader, set: &ValidatorSet) -> Result<Vec<ValidatorView>, Problem> {
    set.iter()
        .map(|validator| {
            Ok(ValidatorView {
                address: validator.address,
                key: validator.key,
                power: validator.power,
                operator: validator.operator,
                operator_handle: reader.handle(validator.operator)?,
            })
        })
        .collect()
}
