//! The public plane: what is published reaches everybody once.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_reaches_everybody_exactly_once() {
    let mut nodes = mesh(4, None).await;
    let (first, others) = nodes.split_at_mut(1);
    let mut to: Vec<&mut Node> = others.iter_mut().collect();
    warm_up(&first[0].handle, &mut to).await;
    for topic in [Topic::Blocks, Topic::Transactions] {
        for number in 0..50 {
            first[0].handle.publish(topic, format!("{} {number}", topic.name()).into_bytes());
        }
        first[0].handle.publish(topic, format!("{} 7", topic.name()).into_bytes());
        first[0].handle.publish(topic, b"end".to_vec());
        for node in &mut *others {
            let mut messages = Vec::new();
            while messages.len() < 51 {
                let (on, data) = node.message().await;
                if on == topic && !is_warm_up(&data) {
                    messages.push(data);
                }
            }
            messages.sort();
            let count = messages.len();
            messages.dedup();
            assert_eq!(messages.len(), count, "no message arrives twice");
            assert!(messages.contains(&b"end".to_vec()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_relayed_after_accept_only() {
    let rule: fn(&[u8]) -> Acceptance = |data| match data {
        data if data.starts_with(b"bad") => Acceptance::Reject,
        data if data.starts_with(b"old") => Acceptance::Ignore,
        _ => Acceptance::Accept,
    };
    let [a, mut b, mut c] = line(Some(rule)).await;
    warm_up(&a.handle, &mut [&mut b, &mut c]).await;
    for text in ["bad", "old", "good"] {
        a.handle.publish(Topic::Blocks, text.as_bytes().to_vec());
    }
    let mut at_b = Vec::new();
    while at_b.len() < 3 {
        let (_, data) = b.message().await;
        if !is_warm_up(&data) {
            at_b.push(data);
        }
    }
    assert_eq!(at_b, [b"bad".to_vec(), b"old".to_vec(), b"good".to_vec()]);
    loop {
        let (_, data) = c.message().await;
        if !is_warm_up(&data) {
            assert_eq!(data, b"good", "b does not relay what it rejected or ignored");
            break;
        }
    }
    let counters = b.handle.stats().topic(Topic::Blocks);
    assert_eq!(counters.rejected.load(Ordering::Relaxed), 1);
    assert_eq!(counters.ignored.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_message_passes_and_is_relayed_and_a_larger_one_is_refused_here() {
    let [a, mut b, mut c] = line(None).await;
    warm_up(&a.handle, &mut [&mut b, &mut c]).await;
    let mut data = vec![0; limits::GOSSIP_SIZE_BYTES + 1];
    getrandom::fill(&mut data).unwrap();
    let dropped = a.handle.stats().dropped_publishes.load(Ordering::Relaxed);
    a.handle.publish(Topic::Blocks, data.clone());
    assert_eq!(a.handle.stats().dropped_publishes.load(Ordering::Relaxed), dropped + 1);
    data.pop();
    for number in 0u8..4 {
        data[0] = number;
        a.handle.publish(Topic::Blocks, data.clone());
    }
    let mut whole = 0;
    while whole < 4 {
        whole += usize::from(c.message().await.1.len() == data.len());
    }
}

fn gossip(topic: Topic, size_bytes: usize) -> NetworkEvent {
    let origin = Origin::Topic(topic, libp2p::gossipsub::MessageId::new(b"x"));
    let token = GossipToken { source: PeerId::random(), size_bytes: 1, origin };
    NetworkEvent::Gossip { topic, data: vec![0; size_bytes], token }
}

/// A consensus message, as the plane hands it over.
fn consensus() -> NetworkEvent {
    let data: Arc<[u8]> = Arc::from(&b"vote"[..]);
    let token = GossipToken { source: PeerId::random(), size_bytes: data.len(), origin: Origin::Stream(data.clone()) };
    let room = Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().unwrap();
    NetworkEvent::Consensus { data, token, room }
}

#[tokio::test]
async fn consensus_overtakes_the_public_plane_and_what_waits_there_is_bounded_in_bytes() {
    let stats = Arc::<NetworkStats>::default();
    let (sender, plane, mut events) = event_channel(stats.clone());
    let half = WAITING_SIZE_BYTES / 2;
    let transactions = || {
        let NetworkEvent::Gossip { data, token, .. } = gossip(Topic::Transactions, 1) else { unreachable!() };
        Unchecked { data, token }
    };
    assert!(sender.offer(transactions(), false).is_empty());
    assert!(sender.send(gossip(Topic::Blocks, half)), "blocks have a queue of their own");
    assert!(sender.send(gossip(Topic::Blocks, half)));
    assert!(!sender.send(gossip(Topic::Blocks, 1)), "no room");
    assert!(plane.try_send(consensus()).is_ok(), "and consensus has one, whatever the others hold");
    assert_eq!(stats.dropped_events.load(Ordering::Relaxed), 1);
    assert!(sender.send(NetworkEvent::PeerConnected(PeerId::random())));
    assert!(matches!(events.recv().await, Some(NetworkEvent::PeerConnected(_))));
    assert!(matches!(events.recv().await, Some(NetworkEvent::Consensus { .. })));
    assert!(matches!(events.recv().await, Some(NetworkEvent::Gossip { topic: Topic::Blocks, .. })));
    assert!(sender.send(gossip(Topic::Blocks, half)), "taking an event makes room");
    assert!(matches!(events.recv().await, Some(NetworkEvent::Gossip { topic: Topic::Blocks, .. })));
    assert!(matches!(events.recv().await, Some(NetworkEvent::Gossip { topic: Topic::Blocks, .. })));
    assert!(matches!(events.try_recv(), Some(NetworkEvent::Gossip { topic: Topic::Transactions, .. })));
    assert!(events.try_recv().is_none() && sender.offer(transactions(), true).is_empty());
    drop((sender, plane));
    assert!(events.recv().await.is_some());
    assert!(events.recv().await.is_none());
}

/// Percentiles of a measurement, in microseconds.
fn percentiles(mut samples: Vec<u128>) -> String {
    samples.sort_unstable();
    let at = |percent: usize| samples[(samples.len() - 1) * percent / 100];
    format!("{} samples: p50 {} us, p90 {} us, p99 {} us, max {} us", samples.len(), at(50), at(90), at(99), at(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release -p allod --lib network::tests::measure -- --ignored --nocapture"]
async fn measure_the_time_from_publish_to_delivery() {
    let mut nodes = mesh(4, None).await;
    let (first, others) = nodes.split_at_mut(1);
    let mut to: Vec<&mut Node> = others.iter_mut().collect();
    warm_up(&first[0].handle, &mut to).await;
    for (size_bytes, rounds) in [(250, 2_000u32), (20_000, 500), (limits::BLOCK_SIZE_BYTES, 30)] {
        let (mut samples, worked) = (Vec::new(), cpu_time());
        let mut data = vec![0; size_bytes];
        for _ in 0..rounds {
            getrandom::fill(&mut data).unwrap();
            let began = Instant::now();
            first[0].handle.publish(Topic::Blocks, data.clone());
            for node in &mut *others {
                while node.message().await.1 != data {}
                samples.push(began.elapsed().as_micros());
            }
        }
        let cpu = (cpu_time() - worked) / rounds;
        println!(
            "publish to delivery at 3 of 4 peers, {size_bytes} bytes, {}; all four: {cpu:?} CPU",
            percentiles(samples)
        );
    }
    for (size_bytes, count) in [(250, 20_000usize), (16_000, 2_000)] {
        let (began, worked) = (Instant::now(), cpu_time());
        let mut data = vec![0; size_bytes];
        let mut sent = 0;
        while sent < count {
            for _ in 0..count.min(200) {
                getrandom::fill(&mut data).unwrap();
                first[0].handle.publish(Topic::Transactions, data.clone());
                sent += 1;
            }
            for node in &mut *others {
                let mut left = count.min(200);
                while left > 0 {
                    left -= usize::from(node.message().await.1.len() == size_bytes);
                }
            }
        }
        let rate = count as f64 / began.elapsed().as_secs_f64();
        let cpu = (cpu_time() - worked) / count as u32;
        println!(
            "{count} messages of {size_bytes} bytes to 3 of 4 peers: {rate:.0} messages/s; all four: {cpu:?} CPU each"
        );
    }
    let rested = cpu_time();
    tokio::time::sleep(Duration::from_secs(20)).await;
    println!("four swarms at rest: {:.2} % of a core each", (cpu_time() - rested).as_secs_f64() / 20.0 / 4.0 * 100.0);
}

/// Processor time that this process has used so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
