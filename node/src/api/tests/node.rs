//! What a peer says of itself: health, metrics.

use super::*;
use crate::health::{Code, Health, Reason};

#[tokio::test]
async fn health_and_readiness_follow_the_node() {
    let peer = Peer::start().await;
    peer.node.metrics.tick();
    assert_eq!(peer.ok("/healthz").await, json!({"status": "ok", "height": 0}));
    assert_eq!(peer.get("/readyz").await.0, 200);
    assert_eq!(peer.ok("/v1/status").await["ready"], true);
    let reasons = [(Code::CutOff, "nobody answers"), (Code::DiskLow, "it is full")];
    let reasons = reasons.map(|(code, detail)| Reason { code, detail: detail.into() });
    peer.status.send_modify(|status| {
        status.health = Health { reasons: Arc::new(reasons), clock_ahead_ms: Some(-1_500), ..Health::default() };
    });
    let (code, problem) = peer.get("/readyz").await;
    assert_eq!((code, &problem["code"]), (503, &json!("cut_off")), "{problem}");
    assert_eq!(problem["detail"], "nobody answers; it is full");
    let reasons =
        json!([{"code": "cut_off", "detail": "nobody answers"}, {"code": "disk_low", "detail": "it is full"}]);
    assert_eq!(problem["reasons"], reasons);
    let status = peer.ok("/v1/status").await;
    assert_eq!((&status["ready"], &status["not_ready"]), (&json!(false), &reasons));
    assert_eq!(status["clock_ahead_ms"], -1_500);
    let metrics = peer.metrics().await;
    for line in ["allod_ready 0", "allod_not_ready{reason=\"cut_off\"} 1", "allod_not_ready{reason=\"no_quorum\"} 0"] {
        assert!(metrics.lines().any(|there| there == line), "{line}");
    }
    assert!(metrics.contains("allod_clock_ahead_seconds -1.5"));
    peer.status.send_modify(|status| status.health = Health::default());
    assert_eq!(peer.get("/readyz").await.0, 200);
    assert!(peer.metrics().await.lines().any(|line| line == "allod_ready 1"));
    assert_eq!(peer.get("/healthz").await.0, 200);
    let status = peer.ok("/v1/status").await;
    assert_eq!((&status["network_name"], &status["role"]), (&json!("test"), &json!("validator")));
    assert_eq!(peer.ok("/v1/genesis").await, serde_json::to_value(&*peer.node.genesis).unwrap());
    assert_eq!(peer.ok("/v1/peers").await, json!([]));
    assert_eq!(peer.ok("/v1/validators").await["current"][0]["operator_handle"], "northfield");
}

#[tokio::test]
async fn where_only_health_and_metrics_are_served_nothing_else_is() {
    let peer = Peer::start().await;
    peer.node.metrics.tick();
    let code = async |path: &str| {
        let request = peer.client.get(format!("{}{path}", peer.looked_at)).header("host", "prometheus.example");
        request.send().await.unwrap().status().as_u16()
    };
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(code(path).await, 200, "{path}");
    }
    for path in ["/v1/status", "/v1/transactions", "/openapi.json", "/"] {
        assert_eq!(code(path).await, 404, "{path}");
    }
    let posted = peer.client.post(format!("{}/metrics", peer.looked_at)).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 405);
}

#[tokio::test]
async fn more_silent_connections_than_there_are_places_do_not_keep_a_probe_out() {
    crate::run::allow_open_files();
    let peer = Peer::start().await;
    let address = peer.base.strip_prefix("http://").unwrap().to_owned();
    let mut silent = Vec::new();
    for number in 0..CONNECTIONS + 52 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        if number % 2 == 0 {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /v1/status HTTP/1.1\r\nhost: ").await.unwrap();
        }
        silent.push(stream);
    }
    for path in ["/healthz", "/metrics", "/v1/status"] {
        let probe = reqwest::Client::new().get(format!("{}{path}", peer.base)).timeout(Duration::from_secs(5));
        assert_eq!(probe.send().await.unwrap().status().as_u16(), 200, "{path}");
    }
}

#[tokio::test]
async fn metrics_are_clean_and_tell_what_happened() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let action = TransferShares { model, to: peer.account("southbank"), units: Units::new(7), reason: String::new() };
    peer.apply(1, "northfield", Action::TransferShares(action)).await;
    commit(&peer.node, Vec::new(), 2);
    peer.status.send_replace(status_of(&peer.node.ledger));
    let text = eventually(async || {
        let text = peer.metrics().await;
        text.contains("allod_ledger_shares_checked_height 5").then_some(text)
    })
    .await;
    for line in [
        "allod_consensus_height 5",
        // This peer is the only proposer, and two rounds went by before the last block.
        "allod_consensus_missed_proposals_total 2",
        "allod_queue_depth{queue=\"submissions\"} 0",
        "allod_queue_capacity{queue=\"events_consensus\"} 4096",
        "allod_storage_write_stopped 0",
        "allod_ledger_shares_conserved 1",
        "allod_ledger_transactions_total{result=\"applied\"} 2",
        "allod_ledger_transactions_total{result=\"rejected\"} 0",
        "allod_ledger_actions_total{action=\"transfer_shares\"} 1",
        "allod_consensus_finality_seconds_count 2",
        "allod_consensus_validator 1",
        "allod_network_peers{direction=\"inbound\"} 0",
        "allod_ledger_open_proposals 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("process_resident_memory_bytes") && text.contains("allod_build_info{version="));
    check_with_promtool(&text);
}

/// Prometheus' own linter, where it is installed.
fn check_with_promtool(text: &str) {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else { return };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
