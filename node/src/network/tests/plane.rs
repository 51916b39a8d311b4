//! The consensus plane between swarms.

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn keys(seeds: impl IntoIterator<Item = u8>) -> BTreeSet<PublicKey> {
    seeds.into_iter().map(|seed| key(seed).public_key()).collect()
}

/// A peer that speaks for the validator of this seed.
async fn validator(seed: u8, bootstrap: Vec<Multiaddr>, rule: Option<fn(&[u8]) -> Acceptance>) -> Node {
    node(Options { validator: Some(seed), bootstrap, rule, ..Options::default() }).await
}

/// Waits until a peer is heard by so many validators.
async fn is_heard_by(node: &Node, validators: usize) {
    eventually("as many validators hear", async || node.handle.audience().validators.len() == validators).await;
}

fn received(node: &Node) -> u64 {
    node.handle.stats().consensus().received.load(Ordering::Relaxed)
}

impl Node {
    async fn said(&mut self) -> Vec<u8> {
        self.next(|event| match event {
            NetworkEvent::Consensus { data, .. } => Some(data.to_vec()),
            _ => None,
        })
        .await
    }

    /// Waits until it has heard each of these, however often.
    async fn hears_all(&mut self, mut messages: BTreeSet<Vec<u8>>) {
        while !messages.is_empty() {
            messages.remove(&self.said().await);
        }
    }
}

/// Lets everybody say so much, and everybody hear it. Gives how many copies came.
async fn talk(nodes: &mut [Node], name: &str, count: usize) -> u64 {
    let before: u64 = nodes.iter().map(received).sum();
    let messages = |speaker: usize| (0..count).map(move |number| format!("{name} {speaker} {number}").into_bytes());
    for (speaker, node) in nodes.iter().enumerate() {
        messages(speaker).for_each(|message| node.handle.say(message));
    }
    let speakers = nodes.len();
    for (hearer, node) in nodes.iter_mut().enumerate() {
        node.hears_all((0..speakers).filter(|speaker| *speaker != hearer).flat_map(messages).collect()).await;
    }
    nodes.iter().map(received).sum::<u64>() - before
}

/// The same until no copy comes twice: at first nobody knows whom the others hear.
async fn settle(nodes: &mut [Node]) {
    let (mut round, least) = (0, (nodes.len() * (nodes.len() - 1)) as u64);
    loop {
        round += 1;
        assert!(round < 1_000, "messages still go more than one way");
        if talk(nodes, &format!("settle {round}"), 1).await == least {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_validator_says_crosses_each_connection_once() {
    let mut nodes = vec![validator(1, Vec::new(), None).await];
    for seed in 2..=4 {
        let bootstrap = vec![nodes[0].address()];
        nodes.push(validator(seed, bootstrap, None).await);
    }
    for node in &nodes {
        node.handle.set_validators(&keys(1..=4));
    }
    for node in &nodes {
        is_heard_by(node, 3).await;
    }
    settle(&mut nodes).await;
    let sent = |node: &Node| node.handle.stats().consensus_sent.load(Ordering::Relaxed);
    let before: Vec<u64> = nodes.iter().map(sent).collect();
    assert_eq!(talk(&mut nodes, "measured", 50).await, 4 * 3 * 50);
    for (node, before) in nodes.iter().zip(before) {
        assert_eq!(sent(node) - before, 3 * 50);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_goes_round_a_broken_link_and_nothing_else_does() {
    let rule: fn(&[u8]) -> Acceptance = |data| match data {
        data if data.starts_with(b"bad") => Acceptance::Reject,
        data if data.starts_with(b"old") => Acceptance::Ignore,
        _ => Acceptance::Accept,
    };
    let a = validator(1, Vec::new(), Some(rule)).await;
    let mut c = validator(3, Vec::new(), Some(rule)).await;
    // As long as nobody knows the other for a validator.
    a.handle.block_peer(c.id(), "a test");
    c.handle.block_peer(a.id(), "a test");
    let mut b = validator(2, vec![a.address(), c.address()], Some(rule)).await;
    for node in [&a, &b, &c] {
        node.handle.set_validators(&keys(1..=3));
    }
    is_heard_by(&a, 1).await;
    is_heard_by(&b, 2).await;
    is_heard_by(&c, 1).await;
    for text in ["bad", "old", "good"] {
        a.handle.say(text.into());
    }
    c.handle.say(b"back".to_vec());
    assert_eq!(c.said().await, b"good");
    b.hears_all(["bad", "old", "good", "back"].map(|text| text.as_bytes().to_vec()).into()).await;
    assert_eq!(received(&c), 1);
    let counters = b.handle.stats().consensus();
    assert_eq!([&counters.rejected, &counters.ignored].map(|counter| counter.load(Ordering::Relaxed)), [1, 1]);
    assert!(a.handle.audience().validators == keys([2]) && c.handle.audience().validators == keys([2]));
    // The link is cut in two: nothing comes round any more, and the validator says so.
    b.handle.shutdown();
    b.task.await.unwrap();
    is_heard_by(&a, 0).await;
    is_heard_by(&c, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_streams_are_refused_and_cost_it_its_connection() {
    let a = validator(1, Vec::new(), None).await;
    let b = validator(2, vec![a.address()], None).await;
    for node in [&a, &b] {
        node.handle.set_validators(&keys(1..=2));
        is_heard_by(node, 1).await;
    }
    let (mut swarm, names, _incoming) = stranger(NETWORK);
    let mut control = swarm.behaviour().streams.new_control();
    swarm.dial(a.address()).unwrap();
    let closed =
        tokio::spawn(
            async move { while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} },
        );
    // One stream after the other, until it is blocked. Each takes the place of the last one, which is refused.
    let (mut open, protocol) = (Vec::new(), &names.consensus);
    while let Ok(Ok(mut stream)) =
        tokio::time::timeout(Duration::from_secs(2), control.open_stream(a.id(), protocol.clone())).await
    {
        let _ = stream.write_all(b"\x04\0\0\0\0vote").await;
        let _ = stream.flush().await;
        open.push(stream);
        assert!(open.len() < 1_000, "it may open as many as it likes");
    }
    tokio::time::timeout(PATIENCE, closed).await.expect("it is disconnected").unwrap();
    assert_eq!(a.handle.stats().peers_blocked.load(Ordering::Relaxed), 1);
    assert!(a.handle.stats().consensus_refused.load(Ordering::Relaxed) > 10);
    assert_eq!(received(&a), 0, "nothing of it is read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_comes_before_its_peer_is_known_for_a_validators_waits() {
    let mut a = validator(1, Vec::new(), None).await;
    let b = validator(2, vec![a.address()], None).await;
    // The second one is ahead: it knows the validators first, and speaks to a configured peer.
    b.handle.set_validators(&keys(1..=2));
    let streams = || b.handle.stats().consensus_streams_outbound.load(Ordering::Relaxed);
    eventually("its stream is open", async || streams() == 1).await;
    b.handle.say(b"early".to_vec());
    assert_eq!((received(&a), b.handle.audience().validators.len()), (0, 0), "nobody reads it");
    a.handle.set_validators(&keys(1..=2));
    assert_eq!(a.said().await, b"early");
    assert_eq!(a.handle.stats().consensus_refused.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_is_pushed_blocks_and_has_no_part_in_consensus() {
    let a = validator(1, Vec::new(), None).await;
    let b = validator(2, vec![a.address()], None).await;
    let mut observer = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    for node in [&a, &b, &observer] {
        node.handle.set_validators(&keys(1..=2));
    }
    is_heard_by(&a, 1).await;
    is_heard_by(&b, 1).await;
    observer.connected_to(b.id()).await;
    observer.handle.say(b"an observer's".to_vec());
    let mut nodes = [a, b];
    settle(&mut nodes).await;
    warm_up_blocks(&nodes[0], &mut observer).await;
    let stats = |node: &Node, of: fn(&NetworkStats) -> &AtomicU64| of(node.handle.stats()).load(Ordering::Relaxed);
    assert_eq!(received(&observer), 0);
    assert_eq!(stats(&observer, |stats| &stats.consensus_streams_outbound), 0);
    for node in &nodes {
        assert_eq!(stats(node, |stats| &stats.consensus_streams_inbound), 1, "the other validator's");
        assert_eq!(stats(node, |stats| &stats.consensus_refused), 0);
        assert_eq!(stats(node, |stats| &stats.topic(Topic::Blocks).received), 0, "it decides blocks itself");
    }
}

/// Publishes blocks until one arrives.
async fn warm_up_blocks(from: &Node, to: &mut Node) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    eventually("a block arrives", async || {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        from.handle.publish(Topic::Blocks, format!("block {number}").into_bytes());
        let block = to.next(|event| matches!(event, NetworkEvent::Gossip { topic: Topic::Blocks, .. }).then_some(()));
        tokio::time::timeout(Duration::from_millis(100), block).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_takes_nothing_holds_up_nobody() {
    let a = validator(1, Vec::new(), None).await;
    let mut b = validator(2, vec![a.address()], None).await;
    let (mut swarm, names, _incoming) = somebody(NETWORK, Some(&key(3)));
    let mut unread = swarm.behaviour().streams.new_control().accept(names.consensus.clone()).unwrap();
    swarm.dial(a.address()).unwrap();
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    for node in [&a, &b] {
        node.handle.set_validators(&keys(1..=3));
    }
    let (_, held) = tokio::time::timeout(PATIENCE, unread.next()).await.expect("it is spoken to").unwrap();
    is_heard_by(&a, 1).await;
    let dropped = || a.handle.stats().dropped_consensus.load(Ordering::Relaxed);
    for number in 0..16u8 {
        let message = [vec![number], vec![0; limits::GOSSIP_SIZE_BYTES - 1]].concat();
        a.handle.say(message.clone());
        assert_eq!(b.said().await, message);
    }
    assert!(dropped() > 0, "what it does not take makes way");
    drop(held);
}
