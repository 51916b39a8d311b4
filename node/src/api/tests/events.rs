//! Events, as they happen.

use super::*;

type Events = futures::stream::BoxStream<'static, reqwest::Result<axum::body::Bytes>>;

/// Opens a stream of events, as a client that saw an event last, or that comes for the first time.
async fn listen(peer: &Peer, query: &str, last_seen: Option<&str>) -> Events {
    let mut request = peer.client.get(format!("{}/v1/events{query}", peer.base));
    if let Some(id) = last_seen {
        request = request.header("last-event-id", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(content_type(&response), "text/event-stream");
    response.bytes_stream().boxed()
}

/// What a stream tells until a text comes.
async fn told_until(stream: &mut Events, until: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.contains(until) || !text.ends_with("\n\n") {
            text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    text
}

/// The heights of the blocks that were told, in order.
fn heights(told: &str) -> Vec<u64> {
    let blocks = told.split("\n\n").filter(|message| message.contains("event: block"));
    let data = blocks.filter_map(|message| message.lines().find_map(|line| line.strip_prefix("data: ")));
    data.map(|data| serde_json::from_str::<Value>(data).unwrap()["height"].as_u64().unwrap()).collect()
}

/// Has an account admitted, which makes two blocks.
async fn two_blocks(peer: &Peer, handle: &str) {
    let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(key(5).public_key()));
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
}

#[tokio::test]
async fn every_block_is_told_to_those_who_listen() {
    let peer = Peer::start().await;
    let mut all = listen(&peer, "", None).await;
    let mut some = listen(&peer, "?types=shares_changed,proposal_closed", None).await;
    two_blocks(&peer, "eastgate").await;
    peer.found_model().await;
    let text = told_until(&mut all, "\"height\":4").await;
    assert_eq!(heights(&text), [1, 2, 3, 4]);
    assert!(text.contains("account_created") && text.contains("id: 1.1\n") && text.contains("id: 4.0\n"), "{text}");
    let text = told_until(&mut some, "shares_changed").await;
    assert_eq!(heights(&text), [3]);
    assert!(!text.contains("model_created"), "{text}");

    // A stopping peer ends its streams and its server.
    peer.stop.send_replace(true);
    assert!(tokio::time::timeout(PATIENCE, all.next()).await.unwrap().is_none());
    drop(some);
    assert!(tokio::time::timeout(PATIENCE, peer.server).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn who_comes_back_is_told_what_was_missed_and_then_what_happens() {
    let peer = Peer::start().await;
    two_blocks(&peer, "eastgate").await;
    two_blocks(&peer, "westgate").await;
    for (query, last_seen) in [("", Some("1.1")), ("?after=1.1", None), ("?after=4", Some("1"))] {
        let mut stream = listen(&peer, query, last_seen).await;
        assert_eq!(heights(&told_until(&mut stream, "\"height\":4").await), [2, 3, 4], "{query} {last_seen:?}");
    }
    // In the middle of a block, past its deadlines.
    let mut back = listen(&peer, "", Some("3.0")).await;
    let text = told_until(&mut back, "\"height\":4").await;
    assert_eq!(heights(&text), [3, 4]);
    two_blocks(&peer, "southgate").await;
    assert_eq!(heights(&told_until(&mut back, "\"height\":6").await), [5, 6]);
    // The first message says where one is, though nothing has happened since.
    let mut new = listen(&peer, "", None).await;
    assert_eq!(told_until(&mut new, "id: 6\n").await, "id: 6\n\n");
    // From a peer that is ahead of this one.
    let mut ahead = listen(&peer, "", Some("7.1")).await;
    two_blocks(&peer, "northgate").await;
    assert_eq!(heights(&told_until(&mut ahead, "\"height\":8").await), [8]);
    assert_eq!(peer.get("/v1/events?after=yesterday").await.1["code"], "bad_event_id");
    assert_eq!(peer.get("/v1/events?after=1000000").await.1["code"], "event_id_beyond_tip");
    let (status, problem) = peer.get("/v1/events?types=shares_changed,share_change").await;
    assert_eq!((status, &problem["code"]), (400, &json!("unknown_event_type")));
    assert!(problem["detail"].as_str().unwrap().contains("did you mean shares_changed?"), "{problem}");
}

#[tokio::test]
async fn what_is_too_far_back_is_a_gap_and_not_a_silence() {
    let peer = Peer::start().await;
    for number in 0..REPLAY_BLOCKS {
        two_blocks(&peer, &format!("gate-{number}")).await;
    }
    let mut back = listen(&peer, "", Some("1")).await;
    let (oldest, tip) = (REPLAY_BLOCKS + 1, 2 * REPLAY_BLOCKS);
    let text = told_until(&mut back, &format!("\"height\":{tip},")).await;
    let gap = format!("event: gap\nid: {}\ndata: {{\"from\":2,\"to\":{}}}\n\n", oldest - 1, oldest - 1);
    assert!(text.contains(&gap), "{text}");
    assert_eq!(heights(&text), (oldest..=tip).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_of_events_are_bounded_and_give_their_places_back() {
    let peer = Peer::start().await;
    let path = format!("{}/v1/events", peer.base);
    let mut open = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let response = peer.client.get(&path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        open.push(response);
    }
    let refused = peer.client.get(&path).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    drop(open);
    eventually(async || (peer.client.get(&path).send().await.unwrap().status() == 200).then_some(())).await;
}
