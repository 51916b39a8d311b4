//! What it takes to read, to submit and to operate.

use super::*;
use reqwest::{Method, RequestBuilder};

/// The status of an answer, and the code of its problem.
async fn outcome(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(status == 401, response.headers().contains_key(header::WWW_AUTHENTICATE), "{status}");
    let problem: Value = response.json().await.unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

impl Peer {
    fn client_of(&self, name: &str, permits: Permission) -> reqwest::Client {
        client_with(&tokens::issue(self.directory.path(), name, permits, Timestamp::new(1)).unwrap())
    }

    fn request(&self, client: &reqwest::Client, method: Method, path: &str) -> RequestBuilder {
        client.request(method, format!("{}{path}", self.base))
    }

    /// A publication of a file that exists.
    fn publication(&self, client: &reqwest::Client) -> RequestBuilder {
        let path = self.write("weights.bin", b"weights");
        self.request(client, Method::POST, "/v1/artifacts").json(&json!({"path": path}))
    }

    fn submission(&self, client: &reqwest::Client) -> RequestBuilder {
        let handle = Handle::new(format!("account-{}", getrandom::u32().unwrap())).unwrap();
        let creation = CreateAccount { handle, keys: KeyPolicy::single(key(3).public_key()), quota: 0 };
        let transaction = self.sign(1, "northfield", Action::CreateAccount(creation));
        let request = self.request(client, Method::POST, "/v1/transactions?wait=true");
        request.header("content-type", "application/octet-stream").body(transaction.encode())
    }
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn on_loopback_reading_takes_no_token_and_everything_else_does() {
    let peer = Peer::start().await;
    let stranger = reqwest::Client::new();
    assert_eq!(outcome(peer.request(&stranger, Method::GET, "/v1/status")).await.0, 200);
    assert_eq!(outcome(peer.submission(&stranger)).await, refused(401, "no_token"));
    assert_eq!(outcome(peer.publication(&stranger)).await, refused(401, "no_token"));
    assert!(peer.ok("/v1/artifacts").await["items"].as_array().unwrap().is_empty(), "nothing was imported");
    assert_eq!(outcome(peer.submission(&peer.client)).await.0, 200);
    assert_eq!(outcome(peer.publication(&peer.client)).await.0, 200);
}

#[tokio::test]
async fn every_endpoint_that_is_not_a_plain_question_takes_a_token() {
    let peer = Peer::start().await;
    let (stranger, reader) = (reqwest::Client::new(), peer.client_of("reader", Permission::Read));
    let mut guarded = 0;
    for (path, item) in description::paths() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let security = &operation["security"];
            assert_eq!(security.is_null(), method == Method::GET || path.ends_with("/dry-run"), "{method} {path}");
            if let Some(needed) = security[0]["token"][0].as_str() {
                guarded += 1;
                assert!(matches!(needed, "submit" | "operate"), "{needed}");
                let url = path.replace(['{', '}'], "x");
                assert_eq!(
                    outcome(peer.request(&stranger, method.clone(), &url)).await,
                    refused(401, "no_token"),
                    "{path}"
                );
                assert_eq!(outcome(peer.request(&reader, method, &url)).await, refused(403, "not_permitted"), "{path}");
            }
        }
    }
    assert!(guarded >= 9, "{guarded}");
}

#[tokio::test]
async fn a_token_permits_what_it_was_issued_for_until_it_is_removed() {
    let peer = Peer::start().await;
    let (submitter, operator) =
        (peer.client_of("app", Permission::Submit), peer.client_of("second operator", Permission::Operate));
    assert_eq!(outcome(peer.submission(&submitter)).await.0, 200);
    assert_eq!(outcome(peer.publication(&submitter)).await, refused(403, "not_permitted"));
    assert_eq!(outcome(peer.publication(&operator)).await.0, 200);
    tokens::remove(peer.directory.path(), "app").unwrap();
    assert_eq!(outcome(peer.submission(&submitter)).await, refused(401, "bad_token"));
    let unknown = client_with(&tokens::Token::generate().unwrap());
    assert_eq!(outcome(peer.request(&unknown, Method::GET, "/v1/status")).await, refused(401, "bad_token"));
    let basic = peer.request(&reqwest::Client::new(), Method::GET, "/v1/status").basic_auth("a", Some("b"));
    assert_eq!(outcome(basic).await, refused(401, "bad_token"));
    assert_eq!(outcome(peer.request(&unknown, Method::GET, "/healthz")).await.0, 200, "probes show nothing");
}

#[tokio::test]
async fn beyond_loopback_reading_takes_a_token_too_and_probes_take_none() {
    let peer = Peer::start_behind("0.0.0.0:0", None, 7, Vec::new(), Scrubbing::default()).await;
    let (stranger, reader) = (reqwest::Client::new(), peer.client_of("auditor", Permission::Read));
    for path in ["/v1/status", "/v1/artifacts", "/openapi.json", "/nothing"] {
        assert_eq!(outcome(peer.request(&stranger, Method::GET, path)).await, refused(401, "no_token"), "{path}");
    }
    peer.node.metrics.tick();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(outcome(peer.request(&stranger, Method::GET, path)).await.0, 200, "{path}");
    }
    assert_eq!(outcome(peer.request(&reader, Method::GET, "/v1/status")).await.0, 200);
    assert_eq!(outcome(peer.submission(&reader)).await, refused(403, "not_permitted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_a_peer_is_reached_by_who_trusts_its_certificate_and_silent_handshakes_hold_up_nobody() {
    let made = tls::make(&["127.0.0.1".into(), "localhost".into()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
    std::fs::write(&certificate, &made.certificate).unwrap();
    crate::keys::write_private(&key, made.key.as_bytes()).unwrap();
    let config = tls::load(&certificate, &key).unwrap();
    let peer = Peer::start_behind("127.0.0.1:0", Some(config), 7, Vec::new(), Scrubbing::default()).await;

    let address = peer.base.strip_prefix("https://").unwrap().to_owned();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let trusted = || reqwest::Certificate::from_pem(made.certificate.as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted()]).timeout(PATIENCE).build().unwrap();
    assert_eq!(outcome(peer.request(&client, Method::GET, "/v1/status")).await.0, 200);
    assert_eq!(outcome(peer.publication(&client)).await, refused(401, "no_token"));
    let operator = tokens::read(&peer.directory.path().join(tokens::OPERATOR_FILE)).unwrap();
    let published = peer.publication(&client).bearer_auth(operator.secret()).send().await.unwrap();
    assert!(published.text().await.unwrap().contains("artifact"), "a streamed answer comes through");
    let large = peer.write("large.bin", &vec![7; 3 * 1024 * 1024]);
    let request = peer.request(&client, Method::POST, "/v1/artifacts").json(&json!({"path": large}));
    let lines = request.bearer_auth(operator.secret()).send().await.unwrap().text().await.unwrap();
    let line: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let address = line["artifact"]["artifact"]["address"]
        .as_str()
        .or(line["artifact"]["address"].as_str())
        .unwrap_or_else(|| panic!("{line}"));
    let content = peer.request(&client, Method::GET, &format!("/v1/artifacts/{address}/content")).send().await.unwrap();
    assert_eq!(content.bytes().await.unwrap().len(), 3 * 1024 * 1024, "a large answer comes through");

    let distrustful = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    assert!(peer.request(&distrustful, Method::GET, "/v1/status").send().await.is_err());
    let plain = peer.base.replace("https://", "http://");
    assert!(reqwest::Client::new().get(format!("{plain}/v1/status")).send().await.is_err(), "no answer in the clear");
}
