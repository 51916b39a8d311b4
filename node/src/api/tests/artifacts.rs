//! Artifacts: taken in, read, fetched, pinned, collected.

use super::{decisions::quick, *};
use crate::exchange::{probe::Probe, serve::Asked};
use allod_protocol::{
    ground::{crypto::Domain, ids::ArtifactId},
    rules::{
        access::{BindPeer, Readers, ReleasePeer, SetDistribution},
        model::{VersionRef, WithdrawVersion},
        proposal::ModelAction,
    },
};

/// Two peers that are connected, with these identities. Each has a ledger of its own.
pub(super) async fn connected(one: u8, other: u8) -> (Peer, Peer) {
    let one = Peer::start_beside(one, Vec::new()).await;
    let address = eventually(async || one.node.network.listen_addrs().into_iter().next()).await;
    let other = Peer::start_beside(other, vec![address]).await;
    eventually(async || (other.ok("/v1/status").await["connected_peers"] == 1).then_some(())).await;
    (one, other)
}

#[tokio::test]
async fn a_file_is_published_listed_read_checked_and_written_out() {
    let peer = Peer::start().await;
    let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let path = peer.write("weights.bin", &bytes);
    let published = peer.lines("/v1/artifacts", json!({"path": path})).await;
    let artifact = &published.last().unwrap()["artifact"];
    let address = ArtifactId::of(&bytes).to_string();
    assert_eq!(
        (&artifact["address"], &artifact["size_bytes"]),
        (&json!(address), &json!(bytes.len())),
        "{published:?}"
    );
    assert_eq!(peer.ok("/v1/artifacts").await["items"][0]["address"], json!(address));
    assert_eq!(peer.ok(&format!("/v1/artifacts/{address}")).await["kind"], "file");

    let content = peer.client.get(format!("{}/v1/artifacts/{address}/content", peer.base)).send().await.unwrap();
    let headers = content.headers().clone();
    assert_eq!(
        (content_type(&content).as_str(), &headers["content-disposition"]),
        ("application/octet-stream", &"attachment".parse().unwrap())
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(content.bytes().await.unwrap() == bytes);
    let checked = peer.lines(&format!("/v1/artifacts/{address}/verify"), json!({})).await;
    assert_eq!(checked.last().unwrap()["verified"]["address"], json!(address));

    let output = peer.directory.path().join("copy.bin");
    let fetch = format!("/v1/artifacts/{address}/fetch");
    let fetched = peer.lines(&fetch, json!({"output": output})).await;
    assert_eq!(fetched.last().unwrap()["result"]["received_bytes"], 0, "{fetched:?}");
    assert!(std::fs::read(&output).unwrap() == bytes);
    let found = peer.ok(&format!("/v1/artifacts/{address}/providers?timeout_ms=50")).await;
    assert_eq!(found["providers"], json!([peer.node.network.local_peer_id().to_string()]));

    for (body, code) in
        [(json!({"path": "relative"}), "path_not_absolute"), (json!({"path": "/no/such/file"}), "no_such_path")]
    {
        assert_eq!(peer.lines("/v1/artifacts", body).await.last().unwrap()["error"]["code"], code);
    }
    let elsewhere = format!("/v1/artifacts/{}/fetch", ArtifactId::of(b"unknown"));
    assert_eq!(peer.lines(&elsewhere, json!({})).await.last().unwrap()["error"]["code"], "unknown_kind");
    assert_eq!(peer.get(&format!("/v1/artifacts/{address}/content?path=x")).await.1["code"], "not_a_collection");
}

#[tokio::test]
async fn an_artifact_is_found_by_its_address_and_fetched_from_another_peer() {
    let (publisher, fetcher) = connected(11, 12).await;
    let peers = fetcher.ok("/v1/peers").await;
    let publisher_id = publisher.node.network.local_peer_id().to_string();
    assert_eq!((&peers[0]["peer_id"], &peers[0]["direction"]), (&json!(publisher_id), &json!("outbound")));

    let bytes: Vec<u8> = (0..600_000u32).flat_map(u32::to_le_bytes).collect();
    let path = publisher.write("weights.bin", &bytes);
    publisher.lines("/v1/artifacts", json!({"path": path})).await;
    let artifact = ArtifactId::of(&bytes);
    let providers = format!("/v1/artifacts/{artifact}/providers?timeout_ms=1000");
    eventually(async || (fetcher.ok(&providers).await["providers"] == json!([publisher_id])).then_some(())).await;

    let output = fetcher.directory.path().join("fetched.bin");
    let request = json!({"kind": "file", "output": output});
    let lines = fetcher.lines(&format!("/v1/artifacts/{artifact}/fetch"), request).await;
    let result = &lines.last().unwrap()["result"];
    assert_eq!(result["received_bytes"], json!(bytes.len()), "{lines:?}");
    assert_eq!(result["providers"], json!([{"peer_id": publisher_id, "received_bytes": bytes.len()}]));
    assert!(lines.iter().any(|line| line["providers"] == json!([publisher_id])), "{lines:?}");
    assert!(std::fs::read(&output).unwrap() == bytes);

    // The fetcher has become a provider, and both count what passed.
    let providers = format!("/v1/artifacts/{artifact}/providers?timeout_ms=1000");
    let own = fetcher.node.network.local_peer_id().to_string();
    assert!(fetcher.ok(&providers).await["providers"].as_array().unwrap().contains(&json!(own)));
    let metrics = async |peer: &Peer| {
        peer.client.get(format!("{}/metrics", peer.base)).send().await.unwrap().text().await.unwrap()
    };
    let fetched = format!("allod_artifacts_fetched_bytes_total {}", bytes.len());
    assert!(metrics(&fetcher).await.lines().any(|line| line == fetched));
    assert!(!metrics(&publisher).await.lines().any(|line| line == "allod_artifacts_served_bytes_total 0"));
}

#[tokio::test]
async fn a_file_of_a_collection_is_read_by_its_path() {
    let peer = Peer::start().await;
    let directory = peer.directory.path().join("model");
    std::fs::create_dir_all(directory.join("sub")).unwrap();
    std::fs::write(directory.join("sub/weights"), b"abc").unwrap();
    std::fs::write(directory.join("page.html"), b"<script>").unwrap();
    let published = peer.lines("/v1/artifacts", json!({"path": directory, "mode": "reference"})).await;
    let address = published.last().unwrap()["artifact"]["address"].as_str().unwrap().to_owned();
    let listed = peer.ok(&format!("/v1/artifacts/{address}")).await;
    assert_eq!((&listed["files"], &listed["manifest"][1]["path"]), (&json!(2), &json!("sub/weights")));
    let content = format!("/v1/artifacts/{address}/content");
    let read = peer.client.get(format!("{}{content}?path=sub/weights", peer.base)).send().await.unwrap();
    assert_eq!(read.bytes().await.unwrap().as_ref(), b"abc");
    assert_eq!(peer.get(&content).await.1["code"], "is_a_collection");
    assert_eq!(peer.get(&format!("{content}?path=other")).await.1["code"], "unknown_path");
    assert_eq!(peer.get(&format!("{content}?path=../x")).await.1["code"], "bad_path");
}

#[tokio::test]
async fn a_client_resumes_by_ranges_and_gets_no_other_bytes() {
    let peer = Peer::start().await;
    let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    let size = bytes.len();
    peer.lines("/v1/artifacts", json!({"path": peer.write("weights.bin", &bytes)})).await;
    let address = ArtifactId::of(&bytes);
    let ask = async |range: &str, if_range: Option<String>| {
        let request = peer.client.get(format!("{}/v1/artifacts/{address}/content", peer.base)).header("range", range);
        let request = match if_range {
            Some(tag) => request.header("if-range", tag),
            None => request,
        };
        let response = request.send().await.unwrap();
        let place = response.headers().get("content-range").map(|place| place.to_str().unwrap().to_owned());
        (response.status().as_u16(), place, response.bytes().await.unwrap())
    };
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=16383-16384", 16_383, 16_385),
        ("bytes=5-300000", 5, 300_001),
        ("bytes=399990-", 399_990, size),
        ("bytes=-7", size - 7, size),
        ("bytes=1-999999999", 1, size),
    ] {
        let (status, place, got) = ask(range, None).await;
        assert_eq!((status, place), (206, Some(format!("bytes {from}-{}/{size}", to - 1))), "{range}");
        assert!(got == bytes[from..to], "{range}");
    }
    let (status, place, _) = ask("bytes=400000-", None).await;
    assert_eq!((status, place.as_deref()), (416, Some("bytes */400000")));
    for range in ["bytes=9-3", "bytes=0-1,5-6", "lines=1-2", "bytes=x"] {
        let (status, place, got) = ask(range, None).await;
        assert!(status == 200 && place.is_none() && got == bytes, "{range} is passed over: {status}");
    }
    let (status, _, got) = ask("bytes=0-9", Some("\"other\"".into())).await;
    assert!(status == 200 && got == bytes, "a client that began with other bytes gets all of these");
    assert_eq!(ask("bytes=0-9", Some(format!("\"{address}\""))).await.0, 206);
}

#[tokio::test]
async fn an_empty_file_has_no_ranges_and_ends_where_it_says() {
    let peer = Peer::start().await;
    peer.lines("/v1/artifacts", json!({"path": peer.write("empty", b"")})).await;
    let url = format!("{}/v1/artifacts/{}/content", peer.base, ArtifactId::of(b""));
    for (range, status, place) in [
        (None, 200, None),
        (Some("bytes=0-"), 416, Some("bytes */0")),
        (Some("bytes=0-0"), 416, Some("bytes */0")),
        (Some("bytes=-5"), 200, None),
    ] {
        let request = range.iter().fold(peer.client.get(&url), |request, range| request.header("range", *range));
        let response = request.send().await.unwrap();
        let told = response.headers().get("content-range").map(|place| place.to_str().unwrap().to_owned());
        assert_eq!((response.status().as_u16(), told.as_deref()), (status, place), "{range:?}");
        // Whole: a body that is not as long as its header says is an error here.
        let body = response.bytes().await.unwrap();
        assert!(status == 416 || body.is_empty(), "{range:?}");
    }
}

#[tokio::test]
async fn who_has_the_bytes_or_asks_only_for_the_head_gets_no_body() {
    let peer = Peer::start().await;
    let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    peer.lines("/v1/artifacts", json!({"path": peer.write("weights.bin", &bytes)})).await;
    let address = ArtifactId::of(&bytes);
    let (url, tag) = (format!("{}/v1/artifacts/{address}/content", peer.base), format!("\"{address}\""));
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".into()] {
        let response = peer.client.get(&url).header("if-none-match", &known).header("range", "bytes=0-9").send().await;
        let response = response.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["etag"]), (304, &tag.parse().unwrap()), "{known}");
        assert_ne!(response.headers().get("content-length"), Some(&"0".parse().unwrap()), "a 304 speaks of the whole");
        assert!(response.bytes().await.unwrap().is_empty());
    }
    let other = peer.client.get(&url).header("if-none-match", "\"other\"").send().await.unwrap();
    assert!(other.status() == 200 && other.bytes().await.unwrap() == bytes);

    let head = peer.client.head(&url).header("range", "bytes=0-9").send().await.unwrap();
    let headers = head.headers();
    assert_eq!((head.status().as_u16(), &headers["content-length"]), (200, &"400000".parse().unwrap()));
    assert_eq!((&headers["etag"], &headers["accept-ranges"]), (&tag.parse().unwrap(), &"bytes".parse().unwrap()));
    assert!(head.bytes().await.unwrap().is_empty());
    let missing = peer.client.head(format!("{url}?path=x")).send().await.unwrap();
    assert_eq!((missing.status().as_u16(), content_type(&missing).as_str()), (400, "application/problem+json"));
}

#[tokio::test]
async fn work_that_cannot_begin_is_refused_with_a_status_and_not_with_a_line() {
    let peer = Peer::start().await;
    let unknown = ArtifactId::of(b"unknown");
    let missing = peer.directory.path().join("missing");
    for (path, body, status, code) in [
        ("/v1/artifacts".to_owned(), json!({"path": missing}), 404, "no_such_path"),
        ("/v1/artifacts".to_owned(), json!({"path": "relative"}), 400, "path_not_absolute"),
        (format!("/v1/artifacts/{unknown}/verify"), json!({}), 404, "artifact_not_stored"),
        (format!("/v1/artifacts/{unknown}/fetch"), json!({}), 400, "unknown_kind"),
    ] {
        let response = peer.client.post(format!("{}{path}", peer.base)).json(&body).send().await.unwrap();
        let found = response.status().as_u16();
        assert_eq!((found, response.json::<Problem>().await.unwrap().code.as_str()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn downloads_that_nobody_reads_give_way_to_one_that_is() {
    let peer = Peer::start().await;
    let bytes = vec![7; 32 * 1024 * 1024];
    peer.lines("/v1/artifacts", json!({"path": peer.write("weights.bin", &bytes)})).await;
    let url = format!("{}/v1/artifacts/{}/content", peer.base, ArtifactId::of(&bytes));
    let mut unread = Vec::new();
    for _ in 0..super::super::DOWNLOADS {
        let response = peer.client.get(&url).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        unread.push(response);
    }
    let busy = peer.client.get(&url).send().await.unwrap();
    assert_eq!((busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    assert_eq!(peer.client.head(&url).send().await.unwrap().status().as_u16(), 200, "a head needs no place");
    let read = eventually(async || {
        let response = peer.client.get(&url).send().await.unwrap();
        if response.status() == 200 { Some(response.bytes().await.unwrap()) } else { None }
    });
    assert!(read.await == bytes);
}

#[tokio::test]
async fn what_is_pinned_or_released_stays_and_the_rest_is_collected() {
    let peer = Peer::start().await;
    let publish = async |name: &str| {
        peer.lines("/v1/artifacts", json!({"path": peer.write(name, name.as_bytes())})).await;
        ArtifactId::of(name.as_bytes())
    };
    let (kept, gone) = (publish("kept").await, publish("gone").await);
    let pin = async |address: &ArtifactId, put: bool| {
        let url = format!("{}/v1/artifacts/{address}/pin", peer.base);
        let request = if put { peer.client.put(url) } else { peer.client.delete(url) };
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(peer.ok(&format!("/v1/artifacts/{gone}")).await["pinned"], true, "what is published is pinned");
    assert_eq!(pin(&gone, false).await, json!({"pinned": false, "changed": true}));
    assert_eq!(pin(&kept, true).await, json!({"pinned": true, "changed": false}));
    let collect = async |dry_run: bool| {
        let request = peer.client.post(format!("{}/v1/artifacts/collect", peer.base));
        request.json(&json!({"dry_run": dry_run})).send().await.unwrap().json::<Value>().await.unwrap()
    };
    let tried = collect(true).await;
    assert_eq!((&tried["artifacts"], &tried["freed_bytes"]), (&json!([gone]), &json!(4)), "{tried}");
    assert_eq!(collect(false).await["used_bytes"], 4);
    assert_eq!(peer.ok("/v1/artifacts").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(pin(&gone, true).await["code"], "artifact_not_stored");
}

#[tokio::test]
async fn some_files_of_a_collection_are_fetched_and_the_rest_stays_away() {
    let (publisher, fetcher) = connected(13, 14).await;
    let directory = publisher.directory.path().join("model");
    std::fs::create_dir_all(directory.join("deep")).unwrap();
    for (name, len) in [("config.json", 10), ("deep/a.pt", 100_000), ("b.onnx", 200_000)] {
        std::fs::write(directory.join(name), vec![7; len]).unwrap();
    }
    let published = publisher.lines("/v1/artifacts", json!({"path": directory})).await;
    let artifact = published.last().unwrap()["artifact"]["address"].as_str().unwrap().to_owned();
    let fetch = async |include: Value| {
        let output = fetcher.directory.path().join("out");
        let request = json!({"kind": "collection", "output": output, "include": include});
        fetcher.lines(&format!("/v1/artifacts/{artifact}/fetch"), request).await.pop().unwrap()
    };
    let result = fetch(json!(["*.pt", "config.json"])).await;
    assert_eq!((&result["result"]["files"], &result["result"]["size_bytes"]), (&json!(2), &json!(100_010)), "{result}");
    let out = fetcher.directory.path().join("out");
    assert_eq!(std::fs::read(out.join("deep/a.pt")).unwrap().len(), 100_000);
    assert!(!out.join("b.onnx").exists());
    assert_eq!(fetcher.ok("/v1/artifacts").await["items"], json!([]), "what is here in part is not served");
    let address = eventually(async || fetcher.node.network.listen_addrs().into_iter().next()).await;
    let third = Peer::start_beside(19, vec![address]).await;
    let provider = fetcher.node.network.local_peer_id().to_string();
    let asked = json!({"kind": "collection", "providers": [provider]});
    let refused = third.lines(&format!("/v1/artifacts/{artifact}/fetch"), asked).await.pop().unwrap();
    assert!(refused["error"]["detail"].as_str().unwrap().contains("refuse"), "not even its manifest: {refused}");
    assert_eq!(fetch(json!(["nothing"])).await["error"]["code"], "nothing_selected");
    let rest = fetch(json!([])).await;
    assert_eq!(rest["result"]["files"], 3, "{rest}");
    assert!(rest["result"]["received_bytes"].as_u64().unwrap() < 201_000, "what is here is not sent again: {rest}");
}

#[tokio::test]
async fn a_version_that_is_withdrawn_is_served_no_more() {
    // This one does not know the ledger of the other: nothing keeps it from asking.
    let (publisher, stranger) = connected(15, 16).await;
    let model = publisher.found_model_with(quick()).await;
    let VersionRef { label, .. } = publisher.publish(model, "1.0", Vec::new()).await;
    let bytes = format!("{model}1.0").into_bytes();
    publisher.lines("/v1/artifacts", json!({"path": publisher.write("weights", &bytes)})).await;
    let provider = publisher.node.network.local_peer_id().to_string();
    let fetch = async |kept: bool| {
        let path = format!("/v1/artifacts/{}/fetch", ArtifactId::of(&bytes));
        let answer = stranger.lines(&path, json!({"kind": "file", "providers": [provider]})).await.pop().unwrap();
        if !kept {
            stranger.node.artifacts.collect_garbage(false, |_| false).unwrap();
        }
        answer
    };
    assert_eq!(fetch(false).await["result"]["received_bytes"], json!(bytes.len()));
    let withdraw = ModelAction::WithdrawVersion(WithdrawVersion { label: label.clone(), reason: "leaks names".into() });
    publisher.decide(model, "withdraw", withdraw).await;
    let shown = publisher.ok(&format!("/v1/models/northfield/digits/versions/{label}")).await;
    assert!(shown["status"]["withdrawn"].is_object(), "{shown}");
    let refused = eventually(async || Some(fetch(false).await).filter(|answer| answer.get("error").is_some())).await;
    assert_eq!(refused["error"]["code"], "no_provider", "{refused}");
    // Whoever knows of the decision does not even ask; what is on its own disk it can still look at, by saying so.
    let own = format!("/v1/artifacts/{}/fetch", ArtifactId::of(&bytes));
    let despite = json!({"despite": ["withdrawn"]});
    assert_eq!(publisher.lines(&own, json!({})).await.pop().unwrap()["error"]["code"], "withdrawn");
    assert!(publisher.lines(&own, despite.clone()).await.pop().unwrap()["result"].is_object());
    publisher.node.artifacts.unpin(&ArtifactId::of(&bytes)).unwrap();
    publisher.node.artifacts.collect_garbage(false, |_| false).unwrap();
    let gone = publisher.lines(&own, despite).await.pop().unwrap();
    assert_eq!(gone["error"]["code"], "withdrawn", "nobody serves it, whatever it is asked for by: {gone}");
    let again = publisher.lines("/v1/artifacts", json!({"path": publisher.write("weights", &bytes)})).await;
    assert!(again.last().unwrap()["artifact"].is_object(), "its publisher may keep it");
    assert_eq!(fetch(false).await["error"]["code"], "no_provider", "and it is served no more than before");
}

#[tokio::test]
async fn a_restricted_artifact_is_served_to_peers_of_holders_as_long_as_the_ledger_says_so() {
    // The stranger does not know the ledger of the other: nothing keeps it from asking.
    let (publisher, stranger) = connected(17, 18).await;
    let model = publisher.found_model_with(quick()).await;
    let distribution = Distribution { readers: Readers::Holders, copies: 0 };
    publisher.decide(model, "restrict", ModelAction::SetDistribution(SetDistribution { distribution })).await;
    let bytes = format!("{model}1.0").into_bytes();
    let address = ArtifactId::of(&bytes);
    let import = json!({"path": publisher.write("weights", &bytes), "version_of": model});
    publisher.lines("/v1/artifacts", import).await;
    let provider = publisher.node.network.local_peer_id().to_string();
    let fetch = async || {
        let path = format!("/v1/artifacts/{address}/fetch");
        let answer = stranger.lines(&path, json!({"kind": "file", "providers": [provider]})).await.pop().unwrap();
        stranger.node.artifacts.collect_garbage(false, |_| false).unwrap();
        answer
    };
    let refused = async |when: &str| {
        let answer = fetch().await;
        let error = &answer["error"];
        assert_eq!(error["code"], "no_provider", "{when}: {answer}");
        assert!(error["detail"].as_str().unwrap().contains("refuse"), "{when}: {answer}");
    };
    refused("no version has it yet").await;
    publisher.publish(model, "1.0", Vec::new()).await;
    refused("the stranger is nobody's peer").await;
    let (peer, issued, holder) = (key(18), clock(), publisher.account("southbank"));
    let message = BindPeer::consent(publisher.node.network_id, holder, issued);
    let consent = peer.sign(Domain::PeerBinding, &message);
    let bind = BindPeer { peer: peer.public_key(), issued, consent };
    publisher.apply(2, "southbank", Action::BindPeer(bind)).await;
    assert_eq!(fetch().await["result"]["received_bytes"], json!(bytes.len()));
    let listed = publisher.ok("/v1/accounts/southbank/peers").await;
    assert_eq!(listed["items"][0]["peer_id"], json!(stranger.node.network.local_peer_id().to_string()));
    let release = ReleasePeer { peer: peer.public_key() };
    publisher.apply(2, "southbank", Action::ReleasePeer(release)).await;
    refused("the holder has let the peer go").await;
}

#[tokio::test]
async fn what_an_artifact_says_of_itself_is_shown_with_it_and_with_its_version() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let directory = peer.directory.path().join("model");
    std::fs::create_dir_all(&directory).unwrap();
    let header = br#"{"w":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}"#;
    let weights = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
    std::fs::write(directory.join("model.safetensors"), weights).unwrap();
    std::fs::write(directory.join("newer.gguf"), [b"GGUF\x09\0\0\0".as_slice(), &[0; 16]].concat()).unwrap();
    std::fs::write(directory.join("README.md"), "---\nlicense: mit\ntags: [small]\n---\n# Model\n").unwrap();
    let published = peer.lines("/v1/artifacts", json!({"path": directory})).await.pop().unwrap();
    let artifact: allod_protocol::rules::artifact::Artifact =
        serde_json::from_value(published["artifact"].clone()).expect("an artifact");
    let address = artifact.address;
    let publish = PublishVersion {
        model,
        label: VersionLabel::new("1.0").unwrap(),
        artifact,
        parents: Vec::new(),
        training_plan: None,
        datasets: Vec::new(),
        notes: String::new(),
        committed: None,
    };
    peer.apply(1, "northfield", Action::PublishVersion(publish)).await;
    let expected = json!([{
        "path": "model.safetensors", "format": "safetensors", "tensors": 1, "parameters": 4, "dtypes": {"BF16": 4}
    }]);
    let card = json!({"license": "mit", "tags": ["small"]});
    let shown = peer.ok(&format!("/v1/artifacts/{address}")).await;
    assert_eq!((&shown["model_files"], &shown["card"]), (&expected, &card), "{shown}");
    let newer = json!({"path": "newer.gguf", "reason": "its GGUF version 9 is not known here; versions 2 and 3 are"});
    assert_eq!(shown["unread_files"], json!([newer]), "{shown}");
    let versions = "/v1/models/northfield/digits/versions";
    let version = peer.ok(&format!("{versions}/1.0")).await;
    assert_eq!((&version["contents"]["model_files"], &version["contents"]["card"]), (&expected, &card), "{version}");
    assert_eq!(peer.ok(versions).await["items"][0].get("contents"), None, "lists are short");
    peer.node.artifacts.unpin(&address).unwrap();
    peer.node.artifacts.collect_garbage(false, |_| false).unwrap();
    let gone = peer.ok(&format!("{versions}/1.0")).await;
    assert_eq!((&gone["stored_here"], gone.get("contents")), (&json!(false), None));
}

/// Flips a bit of a stored file, as a failing disk does.
fn flip(peer: &Peer, blob: &ArtifactId, offset: usize) {
    let path = peer.directory.path().join("artifacts/blobs").join(blob.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[offset] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

async fn metric(peer: &Peer, name: &str) -> u64 {
    let text = peer.client.get(format!("{}/metrics", peer.base)).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.parse().unwrap()
}

/// Two peers with the same collection of a large file and a small one; gives the collection and the large file.
async fn twins(seed: u8, scrubbing: Scrubbing) -> (Peer, Peer, ArtifactId, ArtifactId) {
    let publisher = Peer::start_beside(seed, Vec::new()).await;
    let address = eventually(async || publisher.node.network.listen_addrs().into_iter().next()).await;
    let other = Peer::start_scrubbing(seed + 1, vec![address], scrubbing).await;
    eventually(async || (other.ok("/v1/status").await["connected_peers"] == 1).then_some(())).await;
    let directory = publisher.directory.path().join("model");
    std::fs::create_dir_all(&directory).unwrap();
    let large: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(directory.join("large"), &large).unwrap();
    std::fs::write(directory.join("small"), b"small").unwrap();
    let published = publisher.lines("/v1/artifacts", json!({"path": directory})).await.pop().unwrap();
    let artifact: ArtifactId = published["artifact"]["address"].as_str().unwrap().parse().unwrap();
    let fetched = other.lines(&format!("/v1/artifacts/{artifact}/fetch"), json!({"kind": "collection"})).await;
    assert!(fetched.last().unwrap()["result"].is_object(), "{fetched:?}");
    (publisher, other, artifact, ArtifactId::of(&large))
}

#[tokio::test]
async fn a_flipped_bit_is_found_by_hand_withheld_and_got_again_from_another_peer() {
    let (publisher, peer, artifact, large) = twins(21, Scrubbing::default()).await;
    let verify =
        async |repair: bool| peer.lines(&format!("/v1/artifacts/{artifact}/verify?repair={repair}"), json!({})).await;
    let forget = || {
        publisher.node.artifacts.unpin(&artifact).unwrap();
        publisher.node.artifacts.collect_garbage(false, |_| false).unwrap();
    };
    let publish = async || {
        publisher.lines("/v1/artifacts", json!({"path": publisher.directory.path().join("model")})).await;
    };
    // Nobody else has it: it says so, and what is sound stays.
    forget();
    flip(&peer, &large, 1_000_000);
    assert_eq!(verify(false).await.last().unwrap()["error"]["code"], "artifact_damaged");
    let own = json!(peer.node.network.local_peer_id().to_string());
    let shown = peer.ok(&format!("/v1/artifacts/{artifact}")).await;
    assert_eq!(shown["damaged"], true, "{shown}");
    let providers = peer.ok(&format!("/v1/artifacts/{artifact}/providers?timeout_ms=100")).await;
    assert!(!providers["providers"].as_array().unwrap().contains(&own), "{providers}");
    let content = format!("/v1/artifacts/{artifact}/content?path=large");
    assert_eq!(peer.get(&content).await.1["code"], "artifact_damaged");
    let failed = verify(true).await.pop().unwrap();
    assert_eq!(failed["error"]["code"], "not_repaired", "{failed}");
    assert!(failed["error"]["detail"].as_str().unwrap().contains(&large.to_string()), "{failed}");
    assert_eq!(
        (metric(&peer, "allod_artifacts_damaged").await, metric(&peer, "allod_artifacts_repaired_total").await),
        (1, 0)
    );

    publish().await;
    let before = metric(&peer, "allod_artifacts_fetched_bytes_total").await;
    let lines = verify(true).await;
    assert!(lines.iter().any(|line| line.get("damaged").is_some()), "{lines:?}");
    assert_eq!(lines.last().unwrap()["verified"]["address"], json!(artifact), "{lines:?}");
    let fetched = metric(&peer, "allod_artifacts_fetched_bytes_total").await - before;
    assert_eq!(fetched, 16 * 1024, "the damaged group alone");
    assert_eq!(
        (metric(&peer, "allod_artifacts_damaged").await, metric(&peer, "allod_artifacts_repaired_total").await),
        (0, 1)
    );
    let providers = peer.ok(&format!("/v1/artifacts/{artifact}/providers?timeout_ms=1000")).await;
    assert!(providers["providers"].as_array().unwrap().contains(&own), "{providers}");
}

#[tokio::test]
async fn rot_is_recorded_withheld_and_mended_whoever_meets_it() {
    let (publisher, peer, artifact, large) = twins(41, Scrubbing::default()).await;
    let (mut found, last) = (0, 2_799_999);
    for how in ["a client", "a fetch that writes out", "a peer", "a publish"] {
        flip(&peer, &large, last);
        match how {
            "a client" => {
                let url = format!("{}/v1/artifacts/{artifact}/content?path=large", peer.base);
                let answer = peer.client.get(url).header("range", "bytes=-10").send().await.unwrap();
                let status = answer.status();
                let problem: Value = answer.json().await.unwrap();
                assert_eq!((status.is_success(), &problem["code"]), (false, &json!("artifact_damaged")), "{problem}");
            }
            "a fetch that writes out" => {
                let request = json!({"output": peer.directory.path().join("out")});
                let answer = peer.lines(&format!("/v1/artifacts/{artifact}/fetch"), request).await.pop().unwrap();
                assert_eq!(answer["error"]["code"], "artifact_damaged", "{answer}");
            }
            "a peer" => {
                let asked = Asked { artifact, blob: large };
                let provider = peer.node.network.local_peer_id();
                assert_ne!(super::sharing::probe(&publisher, provider, asked).await, Probe::Has);
            }
            _ => {
                let path = publisher.directory.path().join("model");
                let published = peer.lines("/v1/artifacts", json!({"path": path})).await.pop().unwrap();
                assert!(published["artifact"].is_object(), "{published}");
            }
        }
        found += 1;
        assert_eq!(metric(&peer, "allod_artifacts_damaged_found_total").await, found, "{how}");
        eventually(async || peer.node.artifacts.has(&artifact).then_some(())).await;
        peer.node.artifacts.verify(&artifact, &mut |_| {}).unwrap();
        let whole = async || (metric(&peer, "allod_artifacts_damaged").await == 0).then_some(());
        eventually(whole).await;
        let own = json!(peer.node.network.local_peer_id().to_string());
        eventually(async || {
            let asked = format!("/v1/artifacts/{artifact}/providers?timeout_ms=200");
            publisher.ok(&asked).await["providers"].as_array()?.contains(&own).then_some(())
        })
        .await;
    }
    // A fetch by hand is as good: what it brings ends the damage, too.
    publisher.node.artifacts.unpin(&artifact).unwrap();
    publisher.node.artifacts.collect_garbage(false, |_| false).unwrap();
    flip(&peer, &large, 7);
    peer.lines(&format!("/v1/artifacts/{artifact}/verify"), json!({})).await;
    assert_eq!(metric(&peer, "allod_artifacts_damaged").await, 1);
    publisher.lines("/v1/artifacts", json!({"path": publisher.directory.path().join("model")})).await;
    let fetched = peer.lines(&format!("/v1/artifacts/{artifact}/fetch"), json!({"kind": "collection"})).await;
    assert!(fetched.last().unwrap()["result"].is_object(), "{fetched:?}");
    assert_eq!(metric(&peer, "allod_artifacts_damaged").await, 0);
}

#[tokio::test]
async fn the_background_pass_finds_a_flipped_bit_and_mends_it_by_itself() {
    let scrubbing = Scrubbing { interval: Some(Duration::from_secs(1)), bytes_per_second: None };
    let (_publisher, peer, artifact, large) = twins(23, scrubbing).await;
    let manifest = artifact;
    for (blob, offset) in [(large, 2_000_000), (manifest, 3), (ArtifactId::of(b"small"), 0)] {
        let repaired = metric(&peer, "allod_artifacts_repaired_total").await;
        flip(&peer, &blob, offset);
        eventually(async || (metric(&peer, "allod_artifacts_repaired_total").await > repaired).then_some(())).await;
        eventually(async || peer.node.artifacts.has(&artifact).then_some(())).await;
        peer.node.artifacts.verify(&artifact, &mut |_| {}).unwrap();
    }
    assert!(metric(&peer, "allod_artifacts_scrubbed_bytes_total").await > 2_800_000);
    assert_eq!(metric(&peer, "allod_artifacts_damaged_found_total").await, 3);
    let place = peer.node.artifacts.scrub_place().unwrap();
    assert!(place.ended && place.began_s > 0, "{place:?}");
}

/// What somebody does to a file, and its name.
type Change<'a> = (&'a str, &'a dyn Fn(&PathBuf));

#[tokio::test]
async fn a_published_file_that_somebody_changes_is_served_to_nobody() {
    let (publisher, other) = connected(25, 26).await;
    let provider = publisher.node.network.local_peer_id().to_string();
    let open = |path: &PathBuf| std::fs::File::options().write(true).open(path).unwrap();
    let flip = |path: &PathBuf| std::os::unix::fs::FileExt::write_all_at(&open(path), b"!", 1_000_000).unwrap();
    let changes: [Change<'_>; 5] = [
        ("truncated", &|path| open(path).set_len(500_000).unwrap()),
        ("grown", &|path| open(path).set_len(5_000_000).unwrap()),
        ("flipped", &flip),
        ("renamed", &|path| std::fs::rename(path, path.with_extension("moved")).unwrap()),
        ("gone", &|path| std::fs::remove_file(path).unwrap()),
    ];
    for mode in ["hard_link", "reference"] {
        for (number, (what, change)) in changes.iter().enumerate() {
            let bytes: Vec<u8> = (0..400_000u32).flat_map(|word| (word + number as u32).to_le_bytes()).collect();
            let bytes = [mode.as_bytes(), &bytes].concat();
            let path = publisher.write("weights.bin", &bytes);
            let published = publisher.lines("/v1/artifacts", json!({"path": path, "mode": mode})).await.pop().unwrap();
            assert!(published["artifact"].is_object(), "{published}");
            change(&path);
            let output = other.directory.path().join("out");
            let request = json!({"kind": "file", "providers": [provider], "output": output});
            let fetch = format!("/v1/artifacts/{}/fetch", ArtifactId::of(&bytes));
            let fetched = other.lines(&fetch, request).await.pop().unwrap();
            // Another name of a hard-linked file keeps its bytes.
            if mode == "hard_link" && number >= 3 {
                assert!(fetched["result"].is_object(), "{what}: {fetched}");
                std::fs::remove_file(&output).unwrap();
                continue;
            }
            assert_eq!(fetched["error"]["code"], "no_provider", "{mode} {what}: {fetched}");
            assert!(!output.exists(), "{mode} {what}");
            let verified =
                publisher.lines(&format!("/v1/artifacts/{}/verify", ArtifactId::of(&bytes)), json!({})).await;
            let code = &verified.last().unwrap()["error"]["code"];
            assert!(code == "artifact_damaged" || code == "reference_changed", "{mode} {what}: {verified:?}");
            std::fs::remove_file(publisher.directory.path().join("weights.bin")).unwrap_or_default();
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_files_go_from_peer_to_peer_slow_() {
    const FILES: usize = 100_000;
    let (publisher, other, ..) = twins(27, Scrubbing::default()).await;
    // As `Peer::lines`, for as long as it takes.
    let last_line = async |peer: &Peer, path: &str, body: Value| {
        let response = peer.client.post(format!("{}{path}", peer.base)).json(&body).send().await.unwrap();
        serde_json::from_str::<Value>(response.text().await.unwrap().lines().last().unwrap()).unwrap()
    };
    let directory = publisher.directory.path().join("many");
    for number in 0..FILES {
        let place = directory.join((number % 100).to_string());
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join(number.to_string()), number.to_string().repeat(100)).unwrap();
    }
    let started = std::time::Instant::now();
    let published = last_line(&publisher, "/v1/artifacts", json!({"path": directory})).await;
    println!("published after {:.1} s", started.elapsed().as_secs_f64());
    let artifact = &published["artifact"];
    assert_eq!(artifact["files"], FILES, "{published}");
    let address = artifact["address"].as_str().unwrap();
    let started = std::time::Instant::now();
    let provider = publisher.node.network.local_peer_id().to_string();
    let request = json!({"kind": "collection", "providers": [provider]});
    let fetched = last_line(&other, &format!("/v1/artifacts/{address}/fetch"), request).await;
    println!("fetched after {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(fetched["result"]["files"], FILES, "{fetched}");
    other.node.artifacts.verify(&address.parse().unwrap(), &mut |_| {}).unwrap();
}
