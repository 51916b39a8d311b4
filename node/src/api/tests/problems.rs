//! Whatever is wrong is a problem with a stable code.

use super::*;

#[tokio::test]
async fn whatever_is_wrong_is_a_problem_with_a_stable_code() {
    let peer = Peer::start().await;
    let zeros = "0".repeat(64);
    for (path, status, code) in [
        ("/nothing/here", 404, "no_such_route"),
        ("/", 404, "no_such_route"),
        ("//healthz", 404, "no_such_route"),
        ("/healthz/", 404, "no_such_route"),
        ("/v1", 404, "no_such_route"),
        ("/v1/status/", 404, "no_such_route"),
        ("/v1/status/more", 404, "no_such_route"),
        ("/v1/models/northfield", 404, "no_such_route"),
        ("/V1/status", 404, "no_such_route"),
        (&format!("/v1/artifacts/{zeros}/content/config.json"), 404, "no_such_route"),
        (&format!("/v1/artifacts/{zeros}/content"), 404, "artifact_not_stored"),
        (&format!("/v1/proposals/{zeros}/ballots"), 404, "unknown_proposal"),
        ("/v1/models/nobody/nothing/proposals", 404, "unknown_model"),
        ("/v1/accounts/nobody/peers", 404, "unknown_account"),
        ("/v1/accounts/nobody/approvals", 404, "unknown_account"),
        ("/v1/blocks/1", 404, "unknown_block"),
        ("/v1/blocks/-1", 400, "bad_height"),
        ("/v1/blocks?limit=501", 400, "bad_limit"),
        ("/v1/blocks?form=3", 400, "bad_query"),
        (&format!("/v1/transactions/{zeros}"), 404, "unknown_transaction"),
        ("/v1/transactions/abc", 400, "bad_id"),
        ("/v1/accounts/nobody", 404, "unknown_account"),
        ("/v1/accounts/Not%20A%20Handle", 400, "bad_id"),
        (&format!("/v1/accounts/{zeros}"), 404, "unknown_account"),
        ("/v1/accounts?limit=0", 400, "bad_limit"),
        ("/v1/accounts?after=zz", 400, "bad_cursor"),
        ("/v1/accounts?after=ff", 400, "bad_cursor"),
        ("/v1/models/northfield/nothing", 404, "unknown_model"),
        (&format!("/v1/models/by-id/{zeros}"), 404, "unknown_model"),
        (&format!("/v1/proposals/{zeros}"), 404, "unknown_proposal"),
        ("/v1/proposals?scope=all", 400, "bad_query"),
        (&format!("/v1/contributions/{zeros}"), 404, "unknown_contribution"),
        (&format!("/v1/artifacts/{zeros}"), 404, "artifact_not_stored"),
        ("/v1/artifacts/bafy", 400, "bad_id"),
        (&format!("/v1/artifacts/{zeros}/providers?timeout_ms=60001"), 400, "bad_timeout"),
    ] {
        let (found, body) = peer.get(path).await;
        let problem: Problem = serde_json::from_value(body).unwrap();
        assert_eq!(
            (found, problem.status, problem.code.as_str()),
            (status, status, code),
            "{path}: {}",
            problem.detail
        );
        assert_eq!(problem.kind, format!("urn:allod:problem:{code}"));
        assert!(!problem.detail.is_empty() && !problem.title.is_empty());
    }
    let deleted = peer.client.delete(format!("{}/v1/status", peer.base)).send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), content_type(&deleted).as_str()), (405, "application/problem+json"));
}

#[tokio::test]
async fn bodies_are_bounded_and_their_faults_named() {
    let peer = Peer::start().await;
    let post = |content_type: &'static str, body: Vec<u8>| {
        let request = peer.client.post(format!("{}/v1/transactions", peer.base));
        async move {
            let response = request.header("content-type", content_type).body(body).send().await.unwrap();
            let (status, problem) = (response.status().as_u16(), response.json::<Problem>().await.unwrap());
            (status, problem.code)
        }
    };
    assert_eq!(post("application/json", vec![b' '; BODY_SIZE_BYTES + 1]).await, (413, "body_too_large".into()));
    let too_large = vec![1; limits::TRANSACTION_SIZE_BYTES + 1];
    assert_eq!(post("application/octet-stream", too_large).await, (413, "too_large".into()));
    assert_eq!(post("application/octet-stream", vec![1, 2, 3]).await, (400, "malformed".into()));
    // A request for approval that holds one that holds one: eight kilobytes that once ended the process.
    let nested = [vec![1], vec![0; 80], 24u32.to_le_bytes().repeat(2_000)].concat();
    assert_eq!(post("application/octet-stream", nested).await, (400, "malformed".into()));
    assert_eq!(post("application/json", b"{}".to_vec()).await, (400, "bad_json".into()));
    assert_eq!(post("text/plain", b"hello".to_vec()).await, (415, "bad_content_type".into()));
}

#[tokio::test]
async fn refusals_carry_the_code_of_the_rule() {
    let peer = Peer::start().await;
    let action = || {
        Action::CastBallot(CastBallot {
            proposal: allod_protocol::ground::ids::ProposalId::from_bytes([0; 32]),
            parts: answer(Choice::Yes),
        })
    };
    let refused = async |transaction: &Transaction| {
        let (status, body) = peer.post("/v1/transactions?wait=true", transaction).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let foreign = peer.sign(2, "northfield", action());
    assert_eq!(refused(&foreign).await, (403, "foreign_key".into()));
    let stranger = peer.sign(1, "nobody-here", action());
    assert_eq!(refused(&stranger).await, (422, "unknown_account".into()));
    let mut forged = peer.sign(1, "northfield", action());
    forged.body.nonce ^= 1;
    assert_eq!(refused(&forged).await, (400, "bad_signature".into()));
    let mut elsewhere = peer.sign(1, "northfield", action()).body;
    elsewhere.network = NetworkId::from_bytes([0; 32]);
    assert_eq!(refused(&elsewhere.sign(&[key(1)])).await, (400, "wrong_network".into()));
    let mut late = peer.sign(1, "northfield", action()).body;
    late.expires = Timestamp::new(1);
    assert_eq!(refused(&late.sign(&[key(1)])).await, (422, "expired".into()));
    let metrics = peer.client.get(format!("{}/metrics", peer.base)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("allod_mempool_refusals_total{code=\"bad_signature\"} 1"), "{metrics}");
}

#[tokio::test]
async fn names_and_pages_of_other_sites_are_kept_out() {
    let peer = Peer::start().await;
    let status = format!("{}/v1/status", peer.base);
    let rebound = peer.client.get(&status).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status().as_u16(), 421);
    assert_eq!(rebound.json::<Problem>().await.unwrap().code, "host_not_allowed");
    let probe = peer.client.get(format!("{}/healthz", peer.base)).header("host", "peer-1.monitoring").send().await;
    assert_eq!(probe.unwrap().status().as_u16(), 200);
    let local = peer.client.get(&status).header("host", "localhost:7640").send().await.unwrap();
    assert_eq!((local.status().as_u16(), local.headers().get("access-control-allow-origin")), (200, None));
    let import = peer.client.post(format!("{}/v1/artifacts", peer.base)).header("origin", "http://evil.example");
    let refused = import.json(&json!({"path": "/etc/hostname"})).send().await.unwrap();
    assert_eq!(refused.json::<Problem>().await.unwrap().code, "cross_origin");
    assert!(peer.node.artifacts.list().unwrap().is_empty());
}

#[tokio::test]
async fn a_site_and_a_name_that_the_operator_gives_are_let_in() {
    let peer = Peer::start().await;
    let named = peer.client.get(format!("{}/v1/status", peer.base)).header("host", "node.example:7640").send().await;
    assert_eq!(named.unwrap().status().as_u16(), 200);
    let allowed = |response: &reqwest::Response| response.headers().get("access-control-allow-origin").cloned();
    let import = format!("{}/v1/artifacts", peer.base);
    let path = peer.write("weights.bin", b"weights");
    for (site, welcome) in [(SITE, true), ("http://dashboard.example", false), ("https://evil.example", false)] {
        let expected = welcome.then(|| SITE.parse().unwrap());
        // A browser asks first, without the token.
        let preflight = reqwest::Client::new()
            .request(reqwest::Method::OPTIONS, &import)
            .header("origin", site)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let preflight = preflight.send().await.unwrap();
        assert_eq!((preflight.status().as_u16(), allowed(&preflight)), (200, expected.clone()), "{site}");
        let read = peer.client.get(&import).header("origin", site).send().await.unwrap();
        assert_eq!(allowed(&read), expected, "{site}");
        let posted =
            peer.client.post(&import).header("origin", site).json(&json!({"path": path})).send().await.unwrap();
        assert_eq!((posted.status().as_u16(), allowed(&posted)), (if welcome { 200 } else { 403 }, expected), "{site}");
    }
    // A page shows a token as everybody does.
    let stranger = reqwest::Client::new().post(&import).header("origin", SITE).json(&json!({"path": path}));
    assert_eq!(stranger.send().await.unwrap().status().as_u16(), 401);
}
