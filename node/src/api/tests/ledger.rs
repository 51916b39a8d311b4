//! Models, registers, proposals and proofs, as the API tells them.

use super::*;

#[tokio::test]
async fn pages_lead_to_every_entry_once() {
    let peer = Peer::start().await;
    let mut expected = BTreeSet::from(["northfield".to_owned(), "southbank".to_owned()]);
    for number in 0..5 {
        let handle = Handle::new(format!("member-{number}")).unwrap();
        expected.insert(handle.to_string());
        let keys = KeyPolicy::single(key(5).public_key());
        peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    }
    let (mut found, mut next, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = peer.ok(&format!("/v1/accounts?limit=2{next}")).await;
        pages += 1;
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["handle"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&after={cursor}");
    }
    assert_eq!((found, pages), (expected.into_iter().collect(), 4));

    let blocks = peer.ok("/v1/blocks?from=2&limit=3").await;
    let heights = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|block| block["height"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((heights(&blocks), &blocks["next"]), (vec![2, 3, 4], &json!("4")));
    assert_eq!(heights(&peer.ok("/v1/blocks?after=4&limit=2").await), [5, 6]);
    let newest = peer.ok("/v1/blocks?limit=2").await;
    assert_eq!((heights(&newest), &newest["next"]), (vec![9, 10], &Value::Null));
    let latest = peer.ok("/v1/blocks/latest").await;
    let hash = latest["hash"].as_str().unwrap();
    assert_eq!(peer.ok(&format!("/v1/blocks/{hash}")).await, latest);
}

#[tokio::test]
async fn a_register_is_shown_now_and_as_of_any_height_with_its_reasons() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let founded = peer.ok("/v1/status").await["height"].as_u64().unwrap();
    let action =
        TransferShares { model, to: peer.account("southbank"), units: Units::new(7), reason: "for work".into() };
    peer.apply(1, "northfield", Action::TransferShares(action)).await;

    let shares = "/v1/models/northfield/digits/shares";
    let held = |register: &Value| {
        let line = |line: &Value| {
            (
                line["handle"].as_str().unwrap().to_owned(),
                (line["units"].as_u64().unwrap(), line["basis_points"].as_u64().unwrap()),
            )
        };
        register["items"].as_array().unwrap().iter().map(line).collect::<BTreeMap<_, _>>()
    };
    let table = |north, south| BTreeMap::from([("northfield".to_owned(), north), ("southbank".to_owned(), south)]);
    let now = peer.ok(shares).await;
    assert_eq!((held(&now), now["total_units"].as_u64()), (table((53, 5_300), (47, 4_700)), Some(100)));
    let before = peer.ok(&format!("{shares}?at={founded}")).await;
    assert_eq!((held(&before), before["height"].as_u64()), (table((60, 6_000), (40, 4_000)), Some(founded)));
    assert_eq!(peer.get(&format!("{shares}?at=0")).await.1["code"], "model_not_founded");
    assert_eq!(peer.get(&format!("{shares}?at=999")).await.1["code"], "height_not_reached");

    let history = peer.ok(&format!("{shares}/history?limit=2")).await;
    let newest = &history["items"][0];
    assert_eq!((&newest["number"], &newest["counterparty_handle"]), (&json!(3), &json!("northfield")));
    assert_eq!(newest["reason"]["transferred"]["reason"], "for work");
    let oldest = peer.ok(&format!("{shares}/history?limit=1&order=oldest")).await;
    assert_eq!(oldest["items"][0]["reason"], "founding");
}

#[tokio::test]
async fn a_proposal_says_what_it_still_needs() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let artifact = allod_protocol::rules::artifact::Artifact {
        address: allod_protocol::ground::ids::ArtifactId::of(b"weights"),
        kind: allod_protocol::rules::artifact::ArtifactKind::File,
        size_bytes: 7,
        files: 1,
    };
    let label = VersionLabel::new("1.0").unwrap();
    let publish = PublishVersion {
        model,
        label: label.clone(),
        artifact,
        parents: Vec::new(),
        training_plan: None,
        datasets: Vec::new(),
        notes: String::new(),
        committed: None,
    };
    peer.apply(1, "northfield", Action::PublishVersion(publish)).await;
    let open = OpenProposal {
        question: Question::of_model(model, vec![ModelAction::ReleaseVersion(ReleaseVersion { label })]),
        title: "release 1.0".into(),
        text: String::new(),
    };
    peer.apply(1, "northfield", Action::OpenProposal(open)).await;
    let listed = peer.ok("/v1/models/northfield/digits/proposals").await;
    // Not the whole of it: how long is left changes from one answer to the next.
    let open = peer.ok("/v1/proposals?scope=open").await;
    assert_eq!((&open["items"][0]["id"], &open["next"]), (&listed["items"][0]["id"], &Value::Null));
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(peer.ok("/v1/proposals?scope=network").await["items"], json!([]));
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();

    let path = format!("/v1/proposals/{id}");
    let fresh = peer.ok(&path).await;
    assert_eq!(fresh["outlook"], json!({"verdict": "no_quorum", "quorum_lacks": 51, "yes_lacks": 51}));
    assert!((1..=60_000).contains(&fresh["ends_in_ms"].as_u64().unwrap()), "{fresh}");
    let ballot = CastBallot { proposal: id.parse().unwrap(), parts: answer(Choice::Yes) };
    peer.apply(1, "northfield", Action::CastBallot(ballot)).await;
    let answered = peer.ok(&path).await;
    assert_eq!(answered["outlook"], json!({"verdict": "passed", "quorum_lacks": 0, "yes_lacks": 0}));
    let ballots = peer.ok(&format!("{path}/ballots")).await;
    assert_eq!((&ballots["items"][0]["handle"], &ballots["items"][0]["weight"]), (&json!("northfield"), &json!(60)));

    let given = RecordContribution {
        model,
        round: None,
        sealed: None,
        kind: ContributionKind::Data,
        amount: 5,
        evidence: Some(ContentHash::from_bytes([3; 32])),
        note: "x".into(),
    };
    peer.apply(2, "southbank", Action::RecordContribution(given)).await;
    let listed = peer.ok("/v1/models/northfield/digits/contributions").await;
    let id = listed["items"][0]["id"].as_str().unwrap();
    let one = peer.ok(&format!("/v1/contributions/{id}")).await;
    assert_eq!((&one["giver_handle"], &one["model_name"]), (&json!("southbank"), &json!("northfield/digits")));
}

#[tokio::test]
async fn deeds_and_proofs_hold_against_the_genesis_alone() {
    let peer = Peer::start().await;
    assert_eq!(peer.get("/v1/models/northfield/digits").await.0, 404);
    peer.found_model().await;
    let path = format!("{}/v1/deeds/share/northfield/digits/southbank", peer.base);
    let bytes = peer.client.get(&path).send().await.unwrap().bytes().await.unwrap();
    let deed = Deed::decode(&bytes).unwrap();
    assert_eq!(deed.verify(&peer.node.genesis, None).unwrap().root.height, Height::new(1));
    let described: Value =
        peer.client.get(&path).header("accept", "application/json").send().await.unwrap().json().await.unwrap();
    let facts = &described["facts"]["share"];
    assert_eq!((&facts["units"], &facts["register"]["total_units"]), (&json!(40), &json!(100)), "{described}");
    assert_eq!((&facts["vesting"], &facts["disputes"]), (&json!([]), &json!([])), "nothing burdens it");
    assert_eq!(described["deed"], data_encoding::HEXLOWER.encode(&bytes));
    assert_eq!(peer.ok("/v1/deeds/share/northfield/digits/southbank?format=json").await, described);

    let keys = KeyPolicy::single(key(5).public_key());
    let handle = Handle::new("outsider").unwrap();
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    let nothing = peer.ok("/v1/proofs/share/northfield/digits/outsider").await;
    assert_eq!(nothing["share"], Value::Null);
    let bytes = data_encoding::HEXLOWER.decode(nothing["proof"].as_str().unwrap().as_bytes()).unwrap();
    let proof: allod_protocol::proof::StateProof = allod_protocol::ground::codec::decode(&bytes, 1 << 20).unwrap();
    let root = nothing["state_root"].as_str().unwrap().parse().unwrap();
    assert_eq!((proof.verify(root), proof.value.is_none()), (Ok(()), true));
    assert_eq!(peer.get("/v1/deeds/version/northfield/digits/9.9").await.1["code"], "unknown_version");
    assert_eq!(peer.get(&format!("/v1/deeds/decision/{}", "ab".repeat(32))).await.1["code"], "unknown_proposal");
}

#[tokio::test]
async fn a_deed_is_tied_to_the_checkpoint_that_was_read_from_the_status() {
    let peer = Peer::start().await;
    peer.found_model().await;
    let status = peer.ok("/v1/status").await;
    let text = status["checkpoint"].as_str().unwrap();
    assert_eq!(text, format!("{}:{}", status["height"], status["block"].as_str().unwrap()));
    let checkpoint: Checkpoint = text.parse().unwrap();
    let handle = Handle::new("outsider").unwrap();
    let keys = KeyPolicy::single(key(5).public_key());
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    for deed in ["share/northfield/digits/southbank", "licence/northfield/digits/southbank"] {
        let path = format!("{}/v1/deeds/{deed}?checkpoint={}", peer.base, checkpoint.height);
        let bytes = peer.client.get(&path).send().await.unwrap().bytes().await.unwrap();
        let verified = Deed::decode(&bytes).unwrap().verify(&peer.node.genesis, Some(checkpoint)).unwrap();
        assert_eq!(verified.root.trust, Trust::Checkpoint(checkpoint));
    }
    let ahead = peer.get("/v1/deeds/share/northfield/digits/southbank?checkpoint=1000").await;
    assert_eq!((ahead.0, &ahead.1["code"]), (404, &json!("height_not_reached")));
}
