//! Who has which artifact, found by its hash.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_is_found_by_content_hash_by_who_was_never_told() {
    let mut nodes = mesh(3, None).await;
    let artifact = ArtifactId::of(b"weights");
    nodes[0].handle.provide(artifact);
    for index in [1, 2] {
        let (announced, provider) = nodes[index]
            .next(|event| match event {
                NetworkEvent::ArtifactAnnounced { artifact, provider } => Some((artifact, provider)),
                _ => None,
            })
            .await;
        assert_eq!((announced, provider), (artifact, nodes[0].id()));
    }
    assert_eq!(nodes[1].handle.find_providers(artifact).recv().await, Some(nodes[0].id()), "it heard the announcement");

    let late = node(Options { bootstrap: vec![nodes[1].address()], ..Options::default() }).await;
    let provider = nodes[0].id();
    eventually("the late peer finds the provider", async || {
        late.handle.find_providers(artifact).recv().await == Some(provider)
    })
    .await;
    assert!(late.handle.peers().await.iter().any(|info| info.peer == provider), "and is connected to it");

    let mut nobody = late.handle.find_providers(ArtifactId::of(b"nobody has this"));
    assert_eq!(tokio::time::timeout(PATIENCE, nobody.recv()).await, Ok(None), "a search ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_with_many_artifacts_is_found_for_each_and_is_nobodys_nuisance() {
    const ARTIFACTS: u64 = 1_000;
    let mut nodes = mesh(2, None).await;
    let artifact = |number: u64| ArtifactId::of(&number.to_le_bytes());
    for number in 0..ARTIFACTS {
        nodes[0].handle.provide(artifact(number));
        if number % 500 == 0 {
            // The queue of requests to the swarm is bounded, and this one waits.
            nodes[0].handle.peers().await;
        }
    }
    assert_eq!(nodes[0].handle.stats().dropped_commands.load(Ordering::Relaxed), 0);
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < usize::try_from(ARTIFACTS).unwrap() {
        heard.insert(
            nodes[1]
                .next(|event| match event {
                    NetworkEvent::ArtifactAnnounced { artifact, .. } => Some(artifact),
                    _ => None,
                })
                .await,
        );
    }
    let published = nodes[0].handle.stats().topic(Topic::Artifacts).published.load(Ordering::Relaxed);
    assert!(published < ARTIFACTS / 16, "{published} announcements: many artifacts go into one");
    // Who comes later hears no announcement, and finds the records.
    let late = node(Options { bootstrap: vec![nodes[1].address()], ..Options::default() }).await;
    for number in [0, ARTIFACTS / 2, ARTIFACTS - 1] {
        eventually("the provider is found", async || {
            let mut search = late.handle.find_providers(artifact(number));
            // A search that came before the record goes on for long.
            let found = tokio::time::timeout(Duration::from_secs(2), search.recv()).await;
            found.is_ok_and(|found| found == Some(nodes[0].id()))
        })
        .await;
    }
    assert_eq!(nodes[1].handle.stats().peers_blocked.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_provided_before_anybody_is_connected_is_told_later() {
    let a = node(Options::default()).await;
    let artifact = ArtifactId::of(b"early");
    a.handle.provide(artifact);
    let b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    eventually("the provider is found", async || b.handle.find_providers(artifact).recv().await == Some(a.id())).await;
}
