//! Transactions: taken in, waited for, told.

use super::*;

#[tokio::test]
async fn a_transaction_is_taken_in_once_and_its_result_told_as_often_as_asked() {
    let peer = Peer::start().await;
    let create = |handle: &str| {
        let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(key(5).public_key()));
        Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })
    };
    let transaction = peer.sign(1, "northfield", create("eastgate"));
    let (status, body) = peer.post("/v1/transactions?wait=true&timeout_ms=10000", &transaction).await;
    let first: Submitted = serde_json::from_value(body).unwrap();
    assert_eq!((status, first.height, first.index), (200, Some(Height::new(1)), Some(0)));
    for wait in ["?wait=true", ""] {
        let (status, body) = peer.post(&format!("/v1/transactions{wait}"), &transaction).await;
        assert_eq!((status, serde_json::from_value(body).ok()), (200, Some(first.clone())));
    }
    let found = peer.ok(&format!("/v1/transactions/{}", transaction.id())).await;
    assert_eq!((&found["height"], &found["result"]["outcome"]), (&json!(1), &json!("applied")));

    // The JSON form is the same transaction; what the ledger rejects is a result, not a problem.
    let taken = peer.sign(1, "northfield", create("eastgate"));
    let request = peer.client.post(format!("{}/v1/transactions?wait=true", peer.base));
    let response: Value = request.json(&taken).send().await.unwrap().json().await.unwrap();
    assert_eq!(response["id"], json!(taken.id()));
    assert_eq!(response["result"]["outcome"]["rejected"]["handle_taken"], json!("eastgate"), "{response}");

    let (status, body) = peer.post("/v1/transactions", &peer.sign(1, "northfield", create("westhill"))).await;
    assert_eq!((status, body.get("height")), (202, None));
    eventually(async || (peer.get("/v1/accounts/westhill").await.0 == 200).then_some(())).await;
    assert!(peer.ok("/v1/accounts/westhill").await["sponsor_handle"] == "northfield");
}

#[tokio::test]
async fn a_batch_is_taken_in_but_for_what_is_refused_by_its_place() {
    let peer = Peer::start().await;
    let create = |handle: &str| {
        let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(key(5).public_key()));
        Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })
    };
    let mut forged = peer.sign(1, "northfield", create("farside"));
    forged.body.nonce ^= 1;
    let batch = [
        peer.sign(1, "northfield", create("eastgate")),
        forged,
        peer.sign(2, "northfield", create("nearside")),
        peer.sign(1, "northfield", create("westhill")),
    ];
    let post = async |body: Vec<u8>| {
        let response =
            peer.client.post(format!("{}/v1/transactions/batch", peer.base)).body(body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, body) = post(codec::encode(&batch[..])).await;
    let view: BatchView = serde_json::from_value(body).unwrap();
    let refused: Vec<_> = view.refused.iter().map(|refusal| (refusal.index, refusal.problem.code.as_str())).collect();
    assert_eq!((status, view.accepted, refused), (202, 2, vec![(1, "bad_signature"), (2, "foreign_key")]));
    for handle in ["eastgate", "westhill"] {
        eventually(async || (peer.get(&format!("/v1/accounts/{handle}")).await.0 == 200).then_some(())).await;
    }
    let (status, body) = post(b"no batch".to_vec()).await;
    assert_eq!((status, &body["code"]), (400, &json!("malformed")));
}

#[tokio::test]
async fn a_busy_peer_takes_no_batch_and_says_when_to_come_back() {
    let peer = Peer::start().await;
    let handle = Handle::new("eastgate").unwrap();
    let keys = KeyPolicy::single(key(5).public_key());
    let batch = codec::encode(&vec![peer.sign(
        1,
        "northfield",
        Action::CreateAccount(CreateAccount { handle, keys, quota: 0 }),
    )]);
    let post = async || {
        let request = peer.client.post(format!("{}/v1/transactions/batch", peer.base));
        request.header("content-type", "application/octet-stream").body(batch.clone()).send().await.unwrap()
    };
    peer.status.send_modify(|status| status.busy = true);
    let refused = post().await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    let problem = refused.json::<Problem>().await.unwrap();
    assert_eq!(problem.code, "mempool_full");
    assert!(problem.detail.contains("try again"), "{}", problem.detail);
    peer.status.send_modify(|status| status.busy = false);
    assert_eq!(post().await.json::<BatchView>().await.unwrap().accepted, 1);
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing_behind() {
    let waiting = Arc::new(crate::api::submit::WaitingRequests::default());
    let id = TransactionId::from_bytes([1; 32]);
    let (one, two) = (waiting.enter(id), waiting.enter(id));
    drop(one);
    assert_eq!(waiting.len(), 1);
    drop(two);
    assert_eq!(waiting.len(), 0);
}

#[test]
fn a_checked_transaction_is_what_was_sent() {
    // What the handler hands on keeps the sender's bytes: encoding, decoding and checking change nothing.
    let action = Action::CastBallot(CastBallot {
        proposal: allod_protocol::ground::ids::ProposalId::from_bytes([0; 32]),
        parts: answer(Choice::No),
    });
    let network = genesis().network_id();
    let sender = AccountId::from_bytes([1; 32]);
    let body = TransactionBody { network, sender, nonce: 1, expires: Timestamp::new(5), action, signers: Vec::new() };
    let transaction = body.sign(&[key(1)]);
    let text = serde_json::to_vec(&transaction).unwrap();
    let read: Transaction = crate::api::extract::from_json(&text).unwrap();
    assert_eq!(read.encode(), transaction.encode());
    assert_eq!(Checked::new(read, network).unwrap().id, transaction.id());
}
