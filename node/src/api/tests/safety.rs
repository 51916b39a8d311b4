//! What whoever meets a version hears of it: suspended, withdrawn, deprecated, or made from what is.

use super::{artifacts::connected, decisions::quick, *};
use allod_protocol::{
    ground::ids::ArtifactId,
    rules::{
        artifact::{Artifact, ArtifactKind},
        emergency::StopVersion,
        model::{VersionRef, WithdrawVersion},
        policy::EmergencyStop,
        proposal::ModelAction,
    },
};

const MODEL: &str = "/v1/models/northfield/digits";

impl Peer {
    /// A model whose versions southbank may stop, with one whose bytes are here.
    async fn with_bytes(&self) -> (ModelId, ArtifactId) {
        let emergency = Some(EmergencyStop { accounts: vec![self.account("southbank")], for_ms: 3_600_000 });
        let model = self.found_model_with(ModelPolicy { emergency, ..quick() }).await;
        self.lines("/v1/artifacts", json!({"path": self.write("weights", b"weights")})).await;
        let address = ArtifactId::of(b"weights");
        let publish = PublishVersion {
            model,
            label: VersionLabel::new("1.0").unwrap(),
            artifact: Artifact { address, kind: ArtifactKind::File, size_bytes: 7, files: 1 },
            parents: Vec::new(),
            training_plan: None,
            datasets: Vec::new(),
            notes: String::new(),
            committed: None,
        };
        self.apply(1, "northfield", Action::PublishVersion(publish)).await;
        (model, address)
    }

    async fn stop(&self, model: ModelId, stops: bool) {
        let label = VersionLabel::new("1.0").unwrap();
        let action = StopVersion { model, label, stops, reason: "größter Schaden".into() };
        self.apply(2, "southbank", Action::StopVersion(action)).await;
    }

    /// The status, the header that says what is the matter, and the body.
    async fn asked(&self, path: &str) -> (u16, Option<String>, String) {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        let header = response.headers().get("allod-standing").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), header, response.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_suspended_version_is_given_to_who_asks_for_it_by_that_name_and_says_so_everywhere() {
    let peer = Peer::start().await;
    let (model, address) = peer.with_bytes().await;
    let (content, fetch) = (format!("/v1/artifacts/{address}/content"), format!("/v1/artifacts/{address}/fetch"));
    assert_eq!(peer.asked(&content).await, (200, None, "weights".into()));
    peer.publish(model, "1.1", vec![VersionRef { model, label: VersionLabel::new("1.0").unwrap() }]).await;

    peer.stop(model, true).await;
    let (status, _, refused) = peer.asked(&content).await;
    assert!(
        status == 423 && refused.contains("\"code\":\"suspended\"") && refused.contains("despite=suspended"),
        "{refused}"
    );
    let (status, header, bytes) = peer.asked(&format!("{content}?despite=suspended")).await;
    assert_eq!((status, bytes.as_str()), (200, "weights"));
    let header = header.unwrap();
    assert!(header.starts_with("suspended;") && header.contains("reason=%\"gr%c3%b6%c3%9fter Schaden\""), "{header}");
    assert_eq!(peer.get(&format!("{content}?despite=broken")).await.1["code"], "bad_despite");
    assert_eq!(peer.lines(&fetch, json!({})).await.pop().unwrap()["error"]["code"], "suspended");
    let fetched = peer.lines(&fetch, json!({"despite": ["suspended"]})).await.pop().unwrap();
    assert_eq!(fetched["result"]["standing"]["concerns"][0]["kind"], "suspended", "{fetched}");

    let (_, header, shown) = peer.asked(&format!("{MODEL}/versions/1.0")).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(header.is_some_and(|header| header.starts_with("suspended;")) && shown["suspended"].is_object(), "{shown}");
    let child = peer.ok(&format!("{MODEL}/versions/1.1")).await;
    let concern = &child["standing"]["concerns"][0];
    assert_eq!((&concern["kind"], &concern["distance"]), (&json!("suspended"), &json!(1)), "{child}");
    let lineage = peer.ok(&format!("{MODEL}/versions/1.1/lineage")).await;
    assert_eq!(lineage["versions"][1]["concerns"][0]["kind"], "suspended", "{lineage}");
    let stops = peer.ok(&format!("{MODEL}/stops")).await;
    assert_eq!((&stops["items"][0]["handle"], &stops["items"][0]["ended"]), (&json!("southbank"), &Value::Null));

    peer.stop(model, false).await;
    assert_eq!(peer.asked(&content).await, (200, None, "weights".into()));
    assert_eq!(peer.ok(&format!("{MODEL}/stops")).await["items"][0]["ended"][0], "taken_back");
}

#[tokio::test]
async fn a_withdrawn_version_is_gone_unless_it_is_asked_for_by_that_name() {
    let peer = Peer::start().await;
    let (model, address) = peer.with_bytes().await;
    let label = VersionLabel::new("1.0").unwrap();
    let reason = "leaks names".to_owned();
    peer.decide(model, "withdraw", ModelAction::WithdrawVersion(WithdrawVersion { label: label.clone(), reason }))
        .await;
    let content = format!("/v1/artifacts/{address}/content");
    let (status, _, refused) = peer.asked(&content).await;
    assert!(status == 410 && refused.contains("leaks names"), "{refused}");
    assert_eq!(peer.asked(&format!("{content}?despite=suspended")).await.0, 410, "that is another name");
    assert_eq!(peer.asked(&format!("{content}?despite=withdrawn")).await.2, "weights");

    // A version that is meant is judged beside the one that governs the bytes, and has to be of them.
    let fetch = format!("/v1/artifacts/{address}/fetch");
    let other = peer.publish(model, "2.0", Vec::new()).await;
    let wrong = json!({"despite": ["withdrawn"], "version": other});
    assert_eq!(peer.lines(&fetch, wrong).await.pop().unwrap()["error"]["code"], "other_artifact");
    let meant = json!({"despite": ["withdrawn"], "version": {"model": model, "label": label}});
    let fetched = peer.lines(&fetch, meant).await.pop().unwrap();
    let concerns = fetched["result"]["standing"]["concerns"].as_array().map(Vec::len);
    assert_eq!(concerns, Some(1), "the same version is said once: {fetched}");
}

#[tokio::test]
async fn a_suspended_version_is_served_to_nobody_until_that_ends() {
    // The stranger does not know the ledger of the other: nothing keeps it from asking.
    let (publisher, stranger) = connected(31, 32).await;
    let (model, address) = publisher.with_bytes().await;
    let provider = publisher.node.network.local_peer_id().to_string();
    let fetch = async || {
        let request = json!({"kind": "file", "providers": [provider]});
        let answer = stranger.lines(&format!("/v1/artifacts/{address}/fetch"), request).await.pop().unwrap();
        stranger.node.artifacts.collect_garbage(false, |_| false).unwrap();
        answer
    };
    assert_eq!(fetch().await["result"]["received_bytes"], 7);
    publisher.stop(model, true).await;
    let refused = eventually(async || Some(fetch().await).filter(|answer| answer.get("error").is_some())).await;
    assert_eq!(refused["error"]["code"], "no_provider", "{refused}");
    publisher.stop(model, false).await;
    let again = eventually(async || Some(fetch().await).filter(|answer| answer.get("result").is_some())).await;
    assert_eq!(again["result"]["received_bytes"], 7);
}
