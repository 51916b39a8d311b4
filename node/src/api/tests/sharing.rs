//! Files that are in private and in public models: each is given by the terms of the artifact that it is asked for. And
//! what a publish leaves that the ledger does not take.

use super::{artifacts::connected, decisions::quick, *};
use crate::exchange::{
    fetch::{FetchOptions, Fetcher, Lending},
    probe::Probe,
    serve::Asked,
};
use allod_protocol::{
    ground::{ids::ArtifactId, state::read},
    rules::{
        access::{ArtifactOrigin, Readers},
        artifact::{Artifact, ArtifactKind, ArtifactPath, Manifest, ManifestFile},
        commitment::{CommitArtifact, commitment},
    },
};

/// Large enough to come in several pieces.
fn large(seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; 3_000_000];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

impl Peer {
    async fn found(&self, name: &str, readers: Readers) -> ModelId {
        let action = CreateModel {
            name: Name::new(name).unwrap(),
            description: String::new(),
            founding: vec![FoundingLine { account: self.account("northfield"), units: Units::new(1), vesting: None }],
            stewards: vec![self.account("northfield")],
            policy: quick(),
            licence: None,
            distribution: Distribution { readers, copies: 0 },
            grants: Vec::new(),
        };
        self.apply(1, "northfield", Action::CreateModel(action)).await;
        let path = format!("/v1/models/northfield/{name}");
        self.ok(&path).await["id"].as_str().unwrap().parse().unwrap()
    }

    /// Takes a directory of these files in for a version of a model.
    async fn import_for(&self, model: ModelId, name: &str, files: &[(&str, &[u8])]) -> Artifact {
        let directory = self.directory.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        for (file, bytes) in files {
            std::fs::write(directory.join(file), bytes).unwrap();
        }
        let request = json!({"path": directory, "version_of": model, "answer_ms": 60_000});
        let imported = self.lines("/v1/artifacts", request).await.pop().unwrap();
        serde_json::from_value(imported["artifact"].clone()).unwrap_or_else(|_| panic!("{imported}"))
    }

    fn publishing(model: ModelId, label: &str, artifact: Artifact) -> Action {
        Action::PublishVersion(PublishVersion {
            model,
            label: VersionLabel::new(label).unwrap(),
            artifact,
            parents: Vec::new(),
            training_plan: None,
            datasets: Vec::new(),
            notes: String::new(),
            committed: None,
        })
    }

    async fn publish_files(&self, model: ModelId, label: &str, files: &[(&str, &[u8])]) -> Artifact {
        let artifact = self.import_for(model, label, files).await;
        self.apply(1, "northfield", Self::publishing(model, label, artifact.clone())).await;
        self.served(artifact.address).await;
        artifact
    }

    /// Waits until what was imported for a version is served, a moment after the version's block.
    async fn served(&self, artifact: ArtifactId) {
        let path = format!("/v1/artifacts/{artifact}");
        eventually(async || (self.ok(&path).await["awaited"] == false).then_some(())).await;
    }

    /// The last line of a fetch of a collection from one provider.
    async fn fetch_from(&self, provider: &Self, artifact: ArtifactId) -> Value {
        let provider = provider.node.network.local_peer_id().to_string();
        let request = json!({"kind": "collection", "providers": [provider]});
        self.lines(&format!("/v1/artifacts/{artifact}/fetch"), request).await.pop().unwrap()
    }

    async fn let_go(&self, artifact: ArtifactId) -> Value {
        let url = format!("{}/v1/artifacts/{artifact}/publication", self.base);
        self.client.delete(url).send().await.unwrap().json().await.unwrap()
    }

    async fn whole(&self, artifact: ArtifactId) -> bool {
        self.get(&format!("/v1/artifacts/{artifact}")).await.0 == 200
    }
}

/// A fetch that has answered gives its hold back a moment later.
fn eventually_collected(peer: &Peer) {
    let begun = std::time::Instant::now();
    while peer.node.artifacts.collect_garbage(false, |_| false).is_err() {
        assert!(begun.elapsed() < PATIENCE, "something holds the store");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_file_that_was_first_in_a_private_model_is_read_in_every_public_one_and_nowhere_else() {
    // The stranger does not know the ledger of the other: nothing keeps it from asking.
    let (publisher, stranger) = connected(31, 32).await;
    let open = publisher.found("open", Readers::Public).await;
    let closed = publisher.found("closed", Readers::Holders).await;
    let (shared, secret) = (large(1), large(2));
    let private =
        publisher.publish_files(closed, "1", &[("LICENSE", b"mine"), ("tokens", &shared), ("w", &secret)]).await;
    let public = publisher.publish_files(open, "2", &[("LICENSE", b"mine"), ("tokens", &shared), ("w", b"open")]).await;
    let fetched = stranger.fetch_from(&publisher, public.address).await;
    assert_eq!(fetched["result"]["files"], 3, "{fetched}");
    let refused = stranger.fetch_from(&publisher, private.address).await;
    assert_eq!(refused["error"]["code"], "no_provider", "{refused}");
    // A collection of the stranger's own, of which it lacks a file, gets it that file no more than the private one does.
    for (artifact, blob) in [(public.address, secret.as_slice()), (private.address, &shared)] {
        let peer = publisher.node.network.local_peer_id();
        let asked = Asked { artifact, blob: ArtifactId::of(blob) };
        assert_eq!(probe(&stranger, peer, asked).await, Probe::Refused);
    }
    let asked = Asked { artifact: public.address, blob: ArtifactId::of(&shared) };
    assert_eq!(probe(&stranger, publisher.node.network.local_peer_id(), asked).await, Probe::Has);
}

/// Asks as somebody would who does what no peer does.
pub(super) async fn probe(from: &Peer, peer: libp2p::PeerId, asked: Asked) -> Probe {
    let (node, control) = (&from.node, from.node.network.stream_control());
    let protocol = crate::exchange::protocol(&node.network_id);
    let (lending, options) = (Lending::of_everything(), FetchOptions::default());
    Fetcher::new(node.artifacts.clone(), lending, control, protocol, options).probe(peer, asked).await
}

#[tokio::test]
async fn who_names_a_private_file_in_a_public_collection_gets_nobody_to_hand_it_out() {
    let (holder, mallory) = connected(33, 34).await;
    let closed = holder.found("closed", Readers::Holders).await;
    let secret = large(3);
    holder.publish_files(closed, "1", &[("w", &secret)]).await;
    // Mallory knows the address and has not the bytes. Its own peer lies to itself.
    let open = holder.found("open", Readers::Public).await;
    let blob = ArtifactId::of(&secret);
    let file = ManifestFile {
        path: ArtifactPath::new("mine").unwrap(),
        size_bytes: secret.len() as u64,
        address: blob,
        sha256: ContentHash::from_bytes([0; 32]),
    };
    let manifest = Manifest::try_from(vec![file]).unwrap();
    let claim = manifest.address();
    let store = &mallory.node.artifacts;
    store.insert(&claim, &manifest.encode()).unwrap();
    let forged = mallory.directory.path().join("artifacts/blobs").join(blob.to_string());
    std::fs::write(&forged, vec![0; secret.len()]).unwrap();
    let artifact = store.adopt(&claim, ArtifactKind::Collection).unwrap();
    mallory.lines("/v1/artifacts", json!({"path": mallory.write("other", b"other")})).await;
    let refreshed = mallory.fetch_from(&holder, claim).await;
    assert!(refreshed["result"].is_object(), "it is whole there, it thinks: {refreshed}");
    holder.apply(1, "northfield", Peer::publishing(open, "1", artifact)).await;

    let answer = holder.fetch_from(&mallory, claim).await;
    assert_eq!(answer["error"]["code"], "no_provider", "{answer}");
    assert!(!holder.whole(claim).await, "so nobody is served the file as part of it");
    let asked = Asked { artifact: claim, blob };
    let provider = holder.node.network.local_peer_id();
    assert_eq!(probe(&mallory, provider, asked).await, Probe::Refused);
    // As a version by itself it is no different.
    let alone = Artifact { address: blob, kind: ArtifactKind::File, size_bytes: secret.len() as u64, files: 1 };
    holder.apply(1, "northfield", Peer::publishing(open, "2", alone)).await;
    let request = json!({"providers": [mallory.node.network.local_peer_id().to_string()]});
    let answer = holder.lines(&format!("/v1/artifacts/{blob}/fetch"), request).await.pop().unwrap();
    assert_eq!(answer["error"]["code"], "no_provider", "{answer}");
    assert_eq!(probe(&mallory, provider, Asked::itself(blob)).await, Probe::Refused);
}

#[tokio::test]
async fn a_peer_that_holds_a_file_for_a_private_model_gets_it_again_for_a_public_one_and_serves_it() {
    let (publisher, holder) = connected(35, 36).await;
    let open = publisher.found("open", Readers::Public).await;
    let shared = large(4);
    let public = publisher.publish_files(open, "1", &[("tokens", &shared), ("w", b"open")]).await;
    // The holder has a ledger of its own, on which the private model is: it has the file for that.
    let closed = holder.found("closed", Readers::Holders).await;
    holder.publish_files(closed, "1", &[("tokens", &shared), ("w", b"closed")]).await;
    let fetched = holder.fetch_from(&publisher, public.address).await;
    let result = &fetched["result"];
    assert_eq!(result["received_bytes"].as_u64(), Some(shared.len() as u64 + 4 + manifest_size(&publisher, &public)));
    let used_bytes = holder.node.artifacts.used_bytes();
    holder.node.artifacts.measure().unwrap();
    assert_eq!(holder.node.artifacts.used_bytes(), used_bytes, "it is there once, and counts once");
    let asked = Asked { artifact: public.address, blob: ArtifactId::of(&shared) };
    let provider = holder.node.network.local_peer_id();
    assert_eq!(probe(&publisher, provider, asked).await, Probe::Has);
    // What everybody reads is not fetched a second time, and neither are the next version's old files.
    let next = publisher.publish_files(open, "2", &[("tokens", &shared), ("w", b"next")]).await;
    let fetched = holder.fetch_from(&publisher, next.address).await;
    assert!(fetched["result"]["received_bytes"].as_u64().unwrap() < 1_000, "{fetched}");
}

fn manifest_size(peer: &Peer, artifact: &Artifact) -> u64 {
    peer.node.artifacts.size(&artifact.address).unwrap()
}

#[tokio::test]
async fn a_publish_that_the_ledger_refused_hides_nothing_and_leaves_nothing() {
    let (publisher, stranger) = connected(37, 38).await;
    let open = publisher.found("open", Readers::Public).await;
    let closed = publisher.found("closed", Readers::Holders).await;
    let files: &[(&str, &[u8])] = &[("w", b"one"), ("tokens", b"two")];
    let public = publisher.publish_files(open, "1", files).await;
    let pinned = async || publisher.ok(&format!("/v1/artifacts/{}", public.address)).await["pinned"].as_bool();
    eventually(async || pinned().await.filter(|pinned| *pinned)).await;
    // By mistake, into another model: the ledger refuses.
    let same = publisher.import_for(closed, "1", files).await;
    assert_eq!(same.address, public.address);
    let wrong = publisher.sign(1, "northfield", Peer::publishing(closed, "1", same));
    let (_, refusal) = publisher.post("/v1/transactions?wait=true", &wrong).await;
    assert!(refusal["result"]["outcome"]["rejected"]["artifact_governed"].is_object(), "{refusal}");
    // Whether the client goes on to say so, or has been killed.
    for told in [false, true] {
        if told {
            assert_eq!(publisher.let_go(public.address).await, json!({"removed": false}));
        }
        let fetched = stranger.fetch_from(&publisher, public.address).await;
        assert!(fetched["result"].is_object(), "{fetched}");
        eventually_collected(&stranger);
    }
    // What such a publish brought goes, but for the files that another artifact has.
    let brought = publisher.import_for(open, "2", &[("w", b"three"), ("tokens", b"two")]).await;
    let listed = publisher.ok(&format!("/v1/artifacts/{}", brought.address)).await;
    assert_eq!((&listed["awaited"], &listed["pinned"]), (&json!(true), &json!(false)), "{listed}");
    eventually_collected(&publisher);
    assert!(publisher.whole(brought.address).await, "it is not collected under the publish");
    assert_eq!(publisher.let_go(brought.address).await, json!({"removed": true}));
    assert!(!publisher.whole(brought.address).await);
    let store = &publisher.node.artifacts;
    eventually(async || (!store.has_blob(&ArtifactId::of(b"three"))).then_some(())).await;
    store.verify(&public.address, &mut |_| {}).unwrap();
}

#[tokio::test]
async fn what_is_brought_for_a_private_model_is_served_to_nobody_whoever_publishes_it_first() {
    let (publisher, stranger) = connected(39, 40).await;
    let closed = publisher.found("closed", Readers::Holders).await;
    let open = publisher.found("open", Readers::Public).await;
    let brought = publisher.import_for(closed, "1", &[("w", b"secret")]).await;
    let refused = async |when: &str| {
        let answer = stranger.fetch_from(&publisher, brought.address).await;
        assert_eq!(answer["error"]["code"], "no_provider", "{when}: {answer}");
    };
    refused("it waits for its version").await;
    // Somebody saw the address on its way and was quicker.
    publisher.apply(1, "northfield", Peer::publishing(open, "1", brought.clone())).await;
    refused("another model published it first").await;
    assert_eq!(publisher.let_go(brought.address).await, json!({"removed": true}));
    refused("it is gone").await;
    eventually(async || (!publisher.node.artifacts.has_blob(&ArtifactId::of(b"secret"))).then_some(())).await;
}

#[tokio::test]
async fn who_saw_an_address_on_its_way_and_was_quicker_governs_it_no_longer_than_until_the_publication() {
    let (publisher, stranger) = connected(41, 42).await;
    let closed = publisher.found("closed", Readers::Holders).await;
    let open = publisher.found("open", Readers::Public).await;
    let brought = publisher.import_for(closed, "1", &[("w", b"secret")]).await;
    let salt = ContentHash::from_bytes([7; 32]);
    let commitment = commitment(closed, publisher.account("northfield"), brought.address, salt);
    publisher.apply(1, "northfield", Action::CommitArtifact(CommitArtifact { model: closed, commitment })).await;
    publisher.apply(1, "northfield", Peer::publishing(open, "1", brought.clone())).await;
    let governor = || {
        let state = publisher.node.ledger.snapshot();
        read::<ArtifactOrigin>(&state, &brought.address).unwrap().map(|origin| origin.model)
    };
    assert_eq!(governor(), Some(open));
    let Action::PublishVersion(own) = Peer::publishing(closed, "1", brought.clone()) else { panic!("a publication") };
    let own = PublishVersion { committed: Some(salt), ..own };
    publisher.apply(1, "northfield", Action::PublishVersion(own)).await;
    assert_eq!(governor(), Some(closed));
    publisher.served(brought.address).await;
    let refused = stranger.fetch_from(&publisher, brought.address).await;
    assert_eq!(refused["error"]["code"], "no_provider", "by the terms of who knew it first: {refused}");
}

#[tokio::test]
async fn an_import_whose_client_goes_away_ends_and_leaves_nothing() {
    let peer = Peer::start().await;
    let open = peer.found("open", Readers::Public).await;
    let path = peer.directory.path().join("large");
    // Larger than can be taken in before the client is gone, and takes no room itself.
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(2_000_000_000).unwrap();
    let request = peer.client.post(format!("{}/v1/artifacts", peer.base));
    let mut response = request.json(&json!({"path": path, "version_of": open})).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some(), "it has begun");
    drop(response);
    let blobs = peer.directory.path().join("artifacts/blobs");
    let temporary = peer.directory.path().join("artifacts/temporary");
    let count = |path: &PathBuf| std::fs::read_dir(path).unwrap().count();
    eventually(async || {
        let idle = peer.node.artifacts.tidy().is_ok();
        (idle && count(&temporary) == 0 && count(&blobs) == 0).then_some(())
    })
    .await;
    assert_eq!(peer.ok("/v1/artifacts").await["items"], json!([]));
    assert_eq!(peer.node.artifacts.used_bytes(), 0);
}
