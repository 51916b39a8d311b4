//! Who is connected to whom, and who is not let in.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_peers_that_know_one_address_become_a_full_mesh() {
    let began = Instant::now();
    let nodes = mesh(4, None).await;
    println!("full mesh after {:?}", began.elapsed());
    for node in &nodes {
        let peers = node.handle.peers().await;
        assert_eq!(peers.len(), 3);
        assert!(peers.iter().all(|peer| peer.agent.starts_with("allod/") && !peer.addresses.is_empty()));
    }
    let stats = nodes[0].handle.stats();
    assert_eq!(stats.peers_inbound.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_find_each_other_over_quic() {
    let mut a = node(Options { quic: true, ..Options::default() }).await;
    let bootstrap = vec![a.address()];
    let mut b = node(Options { quic: true, bootstrap, ..Options::default() }).await;
    a.connected_to(b.id()).await;
    b.connected_to(a.id()).await;
    warm_up(&a.handle, &mut [&mut b]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_network_is_disconnected_and_never_shown() {
    let mut a = node(Options::default()).await;
    let (mut swarm, ..) = stranger(NetworkId::from_bytes([8; 32]));
    let stranger_id = *swarm.local_peer_id();
    swarm.dial(a.address()).unwrap();
    let closed = async {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("it is disconnected");
    assert!(a.handle.peers().await.is_empty());
    let mut b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    b.connected_to(a.id()).await;
    let shown = a.next(|event| match event {
        NetworkEvent::PeerConnected(peer) => Some(peer),
        _ => None,
    });
    let shown = shown.await;
    assert_eq!(shown, b.id());
    assert_ne!(shown, stranger_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_an_error_that_names_the_address_and_the_remedy() {
    for quic in [false, true] {
        let first = node(Options { quic, ..Options::default() }).await;
        let taken = first.handle.listen_addrs()[0].to_string();
        let directory = tempfile::tempdir().unwrap();
        let error = start(config(&taken, &directory, random_key())).await.unwrap_err();
        assert!(matches!(&error, NetworkError::AddressInUse(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&taken) && text.contains("another process") && text.contains("--listen"), "{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    for (listen, part) in [("/ip4/192.0.2.1/tcp/7641", "no such address"), ("/ip4/127.0.0.1/sctp/1", "write /ip4/")] {
        let error = start(config(listen, &directory, random_key())).await.unwrap_err().to_string();
        assert!(error.contains(listen) && error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_peer_cannot_come_back() {
    let (mut a, mut b) = pair().await;
    a.handle.block_peer(b.id(), "a test");
    a.disconnected_from(b.id()).await;
    b.disconnected_from(a.id()).await;
    let refused = a.handle.stats().connections_refused.load(Ordering::Relaxed);
    eventually("it is refused again and again", async || {
        b.handle.dial(a.address());
        a.handle.stats().connections_refused.load(Ordering::Relaxed) >= refused + 3
    })
    .await;
    assert!(a.handle.peers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_peers_are_found_again_after_a_restart_without_a_configured_one() {
    let (mut a, b) = pair().await;
    let (old, address) = (b.id(), a.id());
    b.handle.shutdown();
    b.task.await.unwrap();
    a.disconnected_from(old).await;
    let mut again = node(Options { directory: Some(b.directory), ..Options::default() }).await;
    again.connected_to(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_peer_that_comes_up_late_or_again_is_connected() {
    let later = node(Options { seed: Some(9), ..Options::default() }).await;
    let address = later.address();
    let id = later.id();
    later.handle.shutdown();
    later.task.await.unwrap();
    let mut a = node(Options { bootstrap: vec![address.clone()], ..Options::default() }).await;
    eventually("a dial fails", async || a.handle.stats().dials_failed.load(Ordering::Relaxed) > 0).await;
    let listen = peers::split(address).0.to_string();
    let directory = tempfile::tempdir().unwrap();
    let (_handle, _events, _task) = start(config(&listen, &directory, SigningKey::from_seed(&[9; 32]))).await.unwrap();
    a.connected_to(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_back_before_its_dead_connection_is_noticed_hears_and_is_heard() {
    for round in 0..3 {
        let quic = Options { quic: true, ..Options::default() };
        let mut a = node(quic).await;
        let options = |directory| {
            let bootstrap = vec![a.address()];
            Options { quic: true, seed: Some(9), bootstrap, directory, ..Options::default() }
        };
        let (before, after) = (options(None), options(None));
        let b = node(before).await;
        a.connected_to(b.id()).await;
        // It ends abruptly, and nobody is told.
        b.task.abort();
        let mut again = node(after).await;
        assert_eq!(again.id(), b.id());
        let until = Instant::now() + PATIENCE / 2;
        let (speaks, hears) = (again.handle.clone(), a.handle.clone());
        warm_up(&speaks, &mut [&mut a]).await;
        warm_up(&hears, &mut [&mut again]).await;
        assert!(Instant::now() < until, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_says_what_it_wants_to_hear_is_disconnected_and_may_come_again() {
    let a = node(Options::default()).await;
    let (mut swarm, names, _incoming) = stranger(NETWORK);
    for topic in Topic::ALL {
        assert!(swarm.behaviour_mut().gossip.unsubscribe(names.topic(topic)));
    }
    for _ in 0..2 {
        swarm.dial(a.address()).unwrap();
        closed(&mut swarm).await;
    }
    assert_eq!(a.handle.stats().peers_blocked.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_among_those_that_hear_are_known_by_their_keys() {
    let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public_key();
    let a = node(Options { validator: Some(1), ..Options::default() }).await;
    let b = node(Options { validator: Some(2), bootstrap: vec![a.address()], ..Options::default() }).await;
    let c = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    let hears = async |one: &Node, peers: usize, validators: &[u8]| {
        let validators = validators.iter().map(|seed| key(*seed)).collect();
        let wanted = Audience { peers, validators, ..Audience::default() };
        eventually("the right peers hear", async || one.handle.audience() == wanted).await;
    };
    hears(&a, 2, &[]).await;
    for one in [&a, &b, &c] {
        one.handle.set_validators(&[1, 2, 3].map(key).into());
    }
    hears(&a, 2, &[2]).await;
    hears(&b, 2, &[1]).await;
    hears(&c, 2, &[1, 2]).await;
    a.handle.set_validators(&[1, 3].map(key).into());
    hears(&a, 2, &[]).await;
    b.handle.shutdown();
    b.task.await.unwrap();
    hears(&a, 1, &[]).await;
    hears(&c, 1, &[1]).await;
}

/// Holds as many silent connections to a port as it is given, from one address of this machine, until the test ends.
fn hold_silent_connections(from: &str, port: u16, count: usize) {
    let from: std::net::SocketAddr = format!("{from}:0").parse().unwrap();
    for _ in 0..count {
        tokio::spawn(async move {
            loop {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(from).unwrap();
                let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
                if let Ok(mut stream) = socket.connect(to).await {
                    // It reads what comes, and says nothing.
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_from_elsewhere_keep_nobody_out() {
    let a = node(Options::default()).await;
    let port = a.handle.listen_addrs()[0].iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    for from in ["127.0.2.1", "127.0.3.1"] {
        hold_silent_connections(from, port.unwrap(), 100);
    }
    eventually("the silent ones to be refused", async || {
        a.handle.stats().connections_refused.load(Ordering::Relaxed) > 200
    })
    .await;
    for _ in 0..5 {
        let mut b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
        b.connected_to(a.id()).await;
    }
}

/// Waits until a stranger's connection is closed.
async fn closed(swarm: &mut Swarm<Stranger>) {
    let closed = async { while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("it is disconnected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_software_is_let_go_where_guests_are_not_wanted() {
    let a = node(Options { is_private: true, ..Options::default() }).await;
    let (mut swarm, _, _incoming) = stranger(NETWORK);
    let key = libp2p::identity::PublicKey::try_decode_protobuf(swarm.local_peer_id().as_ref().digest()).unwrap();
    swarm.behaviour_mut().identify = identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".into(), key));
    swarm.dial(a.address()).unwrap();
    // Where they are wanted, they stay for longer than this waits.
    closed(&mut swarm).await;
}

/// Strangers that listen, connect to a peer, and stay until the test ends.
async fn hold_crowd(of: &Node, count: usize) {
    for _ in 0..count {
        let (mut swarm, _, incoming) = stranger(NETWORK);
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let to = of.address();
        tokio::spawn(async move {
            let _held = incoming;
            loop {
                if let SwarmEvent::NewListenAddr { .. } = swarm.select_next_some().await {
                    swarm.dial(to.clone()).unwrap();
                }
            }
        });
    }
    eventually("the crowd to be there", async || of.handle.peers().await.len() > count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_fills_the_memory_does_not_cut_a_restarted_peer_off() {
    let a = node(Options::default()).await;
    let mut b = node(Options::default()).await;
    // Nobody configured it: b found it, and heard something new from it.
    b.handle.dial(a.address());
    b.connected_to(a.id()).await;
    warm_up(&a.handle, &mut [&mut b]).await;
    hold_crowd(&b, 150).await;
    b.handle.shutdown();
    b.task.await.unwrap();
    let memory = std::fs::read_to_string(b.directory.path().join(peers::FILE)).unwrap();
    assert!(memory.matches("\"peer\"").count() >= 100, "the crowd is in it");
    let mut again = node(Options { directory: Some(b.directory), ..Options::default() }).await;
    again.connected_to(a.id()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_for_whom_too_much_waits_is_parted_with_at_once() {
    const MESSAGE_BYTES: usize = 256 * 1024;
    let mut a = node(Options::default()).await;
    let (mut swarm, _, _incoming) = stranger(NETWORK);
    let id = *swarm.local_peer_id();
    swarm.dial(a.address()).unwrap();
    let hears = a.handle.clone();
    tokio::select! {
        () = async { loop { swarm.select_next_some().await; } } => {}
        () = eventually("it is subscribed", async || hears.audience().peers == 1) => {}
    }
    // From now on it takes nothing, and stays.
    let begun = Instant::now();
    for number in 0u8..128 {
        a.handle.publish(Topic::Transactions, vec![number; MESSAGE_BYTES]);
    }
    a.disconnected_from(id).await;
    assert!(
        begun.elapsed() < stalls::PATIENCE,
        "not only when its stream has stood still for long: {:?}",
        begun.elapsed()
    );
    drop(swarm);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_who_reads_nothing_any_more_is_closed_all_the_same() {
    let mut a = node(Options::default()).await;
    let protocol = StreamProtocol::try_from_owned(format!("{}/test/1", protocol_prefix(NETWORK))).unwrap();
    let mut incoming = a.handle.stream_control().accept(protocol.clone()).unwrap();
    let (begin, begun) = watch::channel(false);
    let written = Arc::new(AtomicU64::new(0));
    let count = written.clone();
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            let (mut begun, count) = (begun.clone(), count.clone());
            tokio::spawn(async move {
                begun.wait_for(|begun| *begun).await.unwrap();
                while stream.write_all(&[7; 16_384]).await.is_ok() {
                    count.fetch_add(16_384, Ordering::Relaxed);
                }
            });
        }
    });
    let (to, address, hears) = (a.id(), a.address(), a.handle.clone());
    let (opened_in, opened) = tokio::sync::oneshot::channel();
    let (end, ended) = std::sync::mpsc::sync_channel::<()>(1);
    let stranger = std::thread::spawn(move || {
        // All of it runs on this thread, and only as long as this waits for it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let held = runtime.block_on(async {
            let (mut swarm, _, incoming) = stranger(NETWORK);
            let (id, mut control) = (*swarm.local_peer_id(), swarm.behaviour().streams.new_control());
            swarm.dial(address).unwrap();
            let streams = async {
                eventually("it is subscribed", async || hears.audience().peers == 1).await;
                let mut streams = Vec::new();
                for _ in 0..64 {
                    streams.push(control.open_stream(to, protocol.clone()).await.unwrap());
                }
                streams
            };
            let streams = tokio::select! {
                () = async { loop { swarm.select_next_some().await; } } => unreachable!("it goes on"),
                streams = streams => streams,
            };
            opened_in.send(id).unwrap();
            (swarm, incoming, streams)
        });
        // It ends with an error when the test ends.
        let _ = ended.recv();
        drop(held);
    });
    let id = opened.await.unwrap();
    begin.send_replace(true);
    let mut last = 0;
    eventually("nothing more to go out", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = std::mem::replace(&mut last, written.load(Ordering::Relaxed));
        last > 1 << 20 && before == last
    })
    .await;
    a.handle.block_peer(id, "a test");
    a.disconnected_from(id).await;
    drop(end);
    stranger.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_introduces_itself_without_end_is_blocked() {
    let mut a = node(Options::default()).await;
    let mut b = node(Options { bootstrap: vec![a.address()], ..Options::default() }).await;
    a.connected_to(b.id()).await;
    let (mut swarm, _, _incoming) = stranger(NETWORK);
    let to = a.id();
    swarm.dial(a.address()).unwrap();
    let mut number = 0u32;
    let mut say = |swarm: &mut Swarm<Stranger>| {
        for _ in 0..8 {
            number += 1;
            let [_, one, two, three] = number.to_be_bytes();
            swarm.add_external_address(format!("/ip4/10.{one}.{two}.{three}/tcp/1").parse().unwrap());
        }
        let known: Vec<Multiaddr> = swarm.external_addresses().cloned().collect();
        for address in known.iter().take(known.len().saturating_sub(8)) {
            swarm.remove_external_address(address);
        }
        swarm.behaviour_mut().identify.push([to]);
    };
    let flood = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => (0..4).for_each(|_| say(&mut swarm)),
                SwarmEvent::Behaviour(StrangerEvent::Identify(identify::Event::Pushed { .. })) => say(&mut swarm),
                SwarmEvent::ConnectionClosed { .. } => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("it is disconnected");
    assert_eq!(a.handle.stats().peers_blocked.load(Ordering::Relaxed), 1);
    warm_up(&a.handle, &mut [&mut b]).await;
}
