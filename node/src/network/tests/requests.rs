//! Asking for blocks and answering: what comes back, and what is held against whom.

use super::*;

fn block(height: u64) -> DecidedBlock {
    let header = Header {
        network: NETWORK,
        height: Height::new(height),
        time: Timestamp::new(height),
        proposer: ValidatorAddress::from_bytes([0; 32]),
        parent: BlockHash::from_bytes([0; 32]),
        transactions_root: TransactionsRoot::from_bytes([0; 32]),
        state_root: StateRoot::from_bytes([0; 32]),
        validators: ValidatorSetHash::from_bytes([0; 32]),
        next_validators: ValidatorSetHash::from_bytes([0; 32]),
    };
    let block = Block::new(header, Vec::new());
    let certificate =
        CommitCertificate { height: Height::new(height), round: 0, block: block.hash(), signatures: Vec::new() };
    DecidedBlock { block, certificate }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_asked_for_and_answered() {
    let (mut a, mut b) = pair().await;
    let request = SyncRequest { from: Height::new(5), max_blocks: 1_000_000 };
    a.handle.request_blocks(b.id(), request);
    let (asked, channel) = b.request().await;
    assert_eq!(asked, SyncRequest { from: Height::new(5), max_blocks: limits::SYNC_BLOCKS as u32 });
    let response = SyncResponse { tip: Height::new(9), blocks: (5..8).map(block).collect() };
    b.handle.respond_blocks(channel, response.clone());
    assert_eq!(a.answer().await, Ok(response));

    a.handle.request_blocks(b.id(), request);
    drop(b.request().await);
    assert!(matches!(a.answer().await, Err(SyncError::Failed(_))), "a dropped channel refuses");
    a.handle.request_blocks(PeerId::random(), request);
    assert_eq!(a.answer().await, Err(SyncError::NotConnected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_too_large_is_not_sent() {
    let (mut a, mut b) = pair().await;
    let mut large = block(1);
    let signature = allod_protocol::ledger::block::CommitSignature {
        validator: ValidatorAddress::from_bytes([0; 32]),
        signature: allod_protocol::ground::ids::Signature::from_bytes([0; 64]),
    };
    large.certificate.signatures = vec![signature; limits::SYNC_RESPONSE_SIZE_BYTES / 96];
    a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    let (_, channel) = b.request().await;
    b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(1), blocks: vec![large.clone()] });
    assert!(matches!(a.answer().await, Err(SyncError::Failed(_))));

    large.certificate.signatures.truncate(limits::SYNC_RESPONSE_SIZE_BYTES / 96 - 16);
    a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    let (_, channel) = b.request().await;
    b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(1), blocks: vec![large] });
    assert!(a.answer().await.is_ok(), "one of nearly four MiB passes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none_are_held_against_their_sender() {
    let (mut a, mut b) = pair().await;
    for _ in 0..4 {
        a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(5), max_blocks: 2 });
        let (_, channel) = b.request().await;
        b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(9), blocks: vec![block(7)] });
        assert!(matches!(a.answer().await, Err(SyncError::Malformed(_))));
    }
    a.handle.request_blocks(b.id(), SyncRequest { from: Height::new(5), max_blocks: 2 });
    let (_, channel) = b.request().await;
    b.handle.respond_blocks(channel, SyncResponse { tip: Height::new(9), blocks: vec![block(7)] });
    a.disconnected_from(b.id()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_sync_protocol_gets_its_sender_blocked_and_harms_nobody_else() {
    let (mut a, mut b) = pair().await;
    let (mut swarm, names, _incoming) = stranger(NETWORK);
    let mut control = swarm.behaviour().streams.new_control();
    swarm.dial(a.address()).unwrap();
    let closed = tokio::spawn(async move {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                return;
            }
        }
    });
    for number in 0usize..5 {
        let opened = control.open_stream(a.id(), names.sync.clone()).await;
        let Ok(mut stream) = opened else { break };
        let mut garbage = vec![0; if number % 2 == 0 { 100_000 } else { 13 }];
        getrandom::fill(&mut garbage).unwrap();
        let mut answer = Vec::new();
        // The peer may hang up on us at any point.
        let _ = stream.write_all(&garbage).await;
        let _ = stream.close().await;
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    tokio::time::timeout(PATIENCE, closed).await.expect("the stranger is disconnected").unwrap();
    assert_eq!(a.handle.stats().peers_blocked.load(Ordering::Relaxed), 1);
    b.handle.request_blocks(a.id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    let (_, channel) = a.request().await;
    a.handle.respond_blocks(channel, SyncResponse { tip: Height::ZERO, blocks: Vec::new() });
    assert!(b.answer().await.is_ok(), "others are served as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbage_answer_is_malformed_and_survived() {
    let mut a = node(Options::default()).await;
    let (mut swarm, _, mut incoming) = stranger(NETWORK);
    let stranger_id = *swarm.local_peer_id();
    swarm.dial(a.address()).unwrap();
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            // One byte more than allowed.
            let _ = stream.write_all(&vec![1; limits::SYNC_RESPONSE_SIZE_BYTES + 1]).await;
            let _ = stream.close().await;
        }
    });
    a.connected_to(stranger_id).await;
    a.handle.request_blocks(stranger_id, SyncRequest { from: Height::new(1), max_blocks: 1 });
    assert!(matches!(a.answer().await, Err(SyncError::Malformed(_))));
}

/// Makes `b` ask `a` for blocks as fast as it is refused, far above its allowance. Returns whether `a` blocks it for
/// that.
async fn is_blocked_for_asking(a: Node, mut b: Node) -> bool {
    let Node { handle, mut seen, .. } = a;
    // Dropping a request refuses it.
    tokio::spawn(async move { while seen.recv().await.is_some() {} });
    let blocked = || handle.stats().peers_blocked.load(Ordering::Relaxed) > 0;
    let ask = |b: &Node| {
        b.handle.request_blocks(handle.local_peer_id(), SyncRequest { from: Height::new(1), max_blocks: 1 });
    };
    // Several at once, so that the pace is above the allowance on a busy machine too.
    for _ in 0..4 {
        ask(&b);
    }
    for _ in 0..4_000 {
        if b.answer().await == Err(SyncError::NotConnected) || blocked() {
            break;
        }
        ask(&b);
    }
    blocked()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_blocked_for_asking_too_fast_and_a_validator_or_a_configured_peer_is_not() {
    let (a, b) = pair().await;
    assert!(is_blocked_for_asking(a, b).await, "a stranger");

    let a = node(Options::default()).await;
    let mut b = node(Options { validator: Some(2), bootstrap: vec![a.address()], ..Options::default() }).await;
    a.handle.set_validators(&[SigningKey::from_seed(&[2; 32]).public_key()].into());
    b.connected_to(a.id()).await;
    eventually("the validator is known", async || a.handle.audience().validators.len() == 1).await;
    assert!(!is_blocked_for_asking(a, b).await, "a validator");

    let b = node(Options::default()).await;
    let mut a = node(Options { bootstrap: vec![b.address()], ..Options::default() }).await;
    a.connected_to(b.id()).await;
    assert!(!is_blocked_for_asking(a, b).await, "a configured peer");
}
