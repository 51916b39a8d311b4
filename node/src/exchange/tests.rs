#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
//! Peers on 127.0.0.1 in one process: honest ones, and ones that lie, stall, send garbage, and hang up.

use super::{
    fetch::*,
    rate::RateLimit,
    serve::{Admit, IsKnown, ServeCounters, ServeLimits, Server, serve},
    wire::{self, Asked, Head, Request},
};
use allod_protocol::{
    ground::{
        ids::{ArtifactId, NetworkId},
        limits,
    },
    rules::artifact::{ArtifactKind, Manifest, ManifestFile},
};
use allod_storage::artifacts::{ArtifactStore, ByteRange, ImportMode, encoded_size_bytes};
use futures::{AsyncReadExt as _, StreamExt as _, stream};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, noise, swarm::SwarmEvent, tcp, yamux};
use libp2p_stream::Control;
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

const PATIENCE: Duration = Duration::from_secs(60);
const GROUP: usize = 16 * 1024;

fn name() -> StreamProtocol {
    super::protocol(&NetworkId::from_bytes([0xab; 32]))
}

struct Peer {
    id: PeerId,
    address: Multiaddr,
    control: Control,
    dial: mpsc::Sender<Multiaddr>,
    connected: tokio::sync::Mutex<mpsc::Receiver<PeerId>>,
    store: Arc<ArtifactStore>,
    counters: Arc<ServeCounters>,
    directory: tempfile::TempDir,
}

impl Peer {
    async fn new() -> Self {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let (dial, mut dials) = mpsc::channel::<Multiaddr>(8);
        let (tell, connected) = mpsc::channel(64);
        let (id, control) = (*swarm.local_peer_id(), swarm.behaviour().new_control());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    address = dials.recv() => match address {
                        Some(address) => swarm.dial(address).unwrap(),
                        None => return,
                    },
                    event = swarm.select_next_some() => {
                        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = event {
                            let _ = tell.try_send(peer_id);
                        }
                    }
                }
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(ArtifactStore::open(&directory.path().join("artifacts")).unwrap());
        let (connected, counters) = (tokio::sync::Mutex::new(connected), Arc::default());
        Self { id, address, control, dial, connected, store, counters, directory }
    }

    async fn connect(&self, other: &Self) {
        self.dial.send(other.address.clone()).await.unwrap();
        let mut connected = self.connected.lock().await;
        while timeout(PATIENCE, connected.recv()).await.unwrap().unwrap() != other.id {}
    }

    fn serve(self) -> Self {
        self.serve_to(Arc::new(|_, _| true), ServeLimits::default())
    }

    fn serve_to(self, admit: Admit, limits: ServeLimits) -> Self {
        self.serve_known(admit, Arc::new(|_| false), limits)
    }

    fn serve_known(self, admit: Admit, is_known: IsKnown, limits: ServeLimits) -> Self {
        let (store, counters) = (Arc::clone(&self.store), Arc::clone(&self.counters));
        let incoming = self.control.clone().accept(name()).unwrap();
        tokio::spawn(serve(Server { store, admit, is_known, limits, counters }, incoming));
        self
    }

    /// Answers every request as `answer` says: bytes to send, and whether to hang up afterwards.
    fn misbehave(
        self,
        answer: impl Fn(&ArtifactStore, usize, Request) -> (Vec<u8>, After) + Send + Sync + 'static,
    ) -> Self {
        let mut incoming = self.control.clone().accept(name()).unwrap();
        let (store, answer) = (Arc::clone(&self.store), Arc::new(answer));
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                let (store, answer, count) = (Arc::clone(&store), Arc::clone(&answer), Arc::clone(&count));
                tokio::spawn(async move {
                    while let Ok(Some(request)) = wire::read_frame::<Request>(&mut stream, PATIENCE).await {
                        let (bytes, after) = answer(&store, count.fetch_add(1, Ordering::SeqCst), request);
                        let _ = wire::write_all(&mut stream, &bytes, PATIENCE).await;
                        match after {
                            After::GoOn => {}
                            After::HangUp => return,
                            After::Stall => std::future::pending().await,
                        }
                    }
                });
            }
        });
        self
    }

    fn fetcher(&self, options: FetchOptions) -> Fetcher {
        Fetcher::new(Arc::clone(&self.store), Lending::of_everything(), self.control.clone(), name(), options)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, path: &str, bytes: &[u8]) -> Wanted {
        self.publish(self.write(path, bytes))
    }

    fn publish(&self, path: PathBuf) -> Wanted {
        let artifact = self.store.import(&path, ImportMode::Copy, &mut |_| {}).unwrap().artifact;
        Wanted { address: artifact.address, kind: artifact.kind, limit_bytes: artifact.size_bytes }
    }

    fn holds(&self, wanted: &Wanted) {
        assert!(self.store.has(&wanted.address));
        self.store.verify(&wanted.address, &mut |_| {}).unwrap();
    }
}

enum After {
    GoOn,
    HangUp,
    Stall,
}

/// What an honest provider sends.
fn honest(store: &ArtifactStore, request: Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(reader) = store.reader(&request.asked().blob) else {
        wire::put_frame(&Head::NotFound, &mut bytes);
        return bytes;
    };
    let size_bytes = reader.size_bytes();
    let range = request.range(size_bytes).unwrap();
    let slice_bytes = encoded_size_bytes(size_bytes, range);
    wire::put_frame(&Head::Found { size_bytes, slice_bytes }, &mut bytes);
    reader.encode(range, &mut bytes).unwrap();
    bytes
}

fn content(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&len.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Small pieces and little patience.
fn brisk() -> FetchOptions {
    FetchOptions {
        piece_bytes: 4 * GROUP as u64,
        open_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_millis(500),
        slow_after: Duration::from_millis(200),
        give_up_after: Duration::from_secs(20),
        ..FetchOptions::default()
    }
}

fn quiet() -> Observer {
    Arc::new(|_| {})
}

async fn fetch(
    peer: &Peer,
    wanted: Wanted,
    providers: &[&Peer],
    options: FetchOptions,
) -> Result<FetchReport, FetchFailure> {
    for provider in providers {
        peer.connect(provider).await;
    }
    let providers: Vec<PeerId> = providers.iter().map(|provider| provider.id).collect();
    timeout(PATIENCE, peer.fetcher(options).fetch(wanted, stream::iter(providers), quiet())).await.unwrap()
}

#[tokio::test]
async fn a_file_of_any_size_arrives_verified() {
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    alice.connect(&bob).await;
    let fetcher = alice.fetcher(brisk());
    for len in [0, 1, GROUP, GROUP + 1, 4 * GROUP, 4 * GROUP + 1, 3_000_000] {
        let wanted = bob.import("file", &content(len));
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let observer: Observer = Arc::new(move |event| told.lock().unwrap().push(event));
        let report = fetcher.fetch(wanted, stream::iter([bob.id]), observer).await.unwrap();
        assert_eq!(report.fetched_bytes, len as u64);
        assert_eq!(report.providers[&bob.id], ProviderReport { bytes: len as u64, refused: false, dropped: None });
        alice.holds(&wanted);
        let last = events.lock().unwrap().pop().unwrap();
        let FetchEvent::Progress(progress) = last else { panic!("{last:?}") };
        assert_eq!((progress.done_bytes, progress.total_bytes), (len as u64, len as u64));
        let again = fetcher.fetch(wanted, stream::pending(), quiet()).await.unwrap();
        assert_eq!((again.fetched_bytes, again.present_bytes), (0, len as u64));
    }
    assert_eq!(bob.counters.malformed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_collection_arrives_with_all_its_files_and_those_that_are_here_stay() {
    let (bob, carol, alice) = (Peer::new().await.serve(), Peer::new().await.serve(), Peer::new().await);
    for peer in [&bob, &carol] {
        for file in 0..300u32 {
            peer.write(&format!("model/small/{file}"), &content(file as usize));
        }
        peer.write("model/weights", &content(2_000_000));
        peer.write("model/copy", &content(2_000_000));
        peer.write("model/empty", b"");
        peer.publish(peer.directory.path().join("model"));
    }
    let wanted = bob.publish(bob.directory.path().join("model"));
    let weights = alice.import("here", &content(2_000_000));
    let report = fetch(&alice, wanted, &[&bob, &carol], brisk()).await.unwrap();
    alice.holds(&wanted);
    alice.holds(&weights);
    let manifest = alice.store.manifest(&wanted.address).unwrap();
    let small = (0..300u64).sum::<u64>();
    assert_eq!(report.fetched_bytes, small + manifest.encode().len() as u64);
    assert_eq!(report.present_bytes, 4_000_000);
    assert!(report.providers.values().all(|provider| provider.dropped.is_none()));
}

#[tokio::test]
async fn pieces_come_from_every_provider() {
    let (bob, carol, alice) = (Peer::new().await.serve(), Peer::new().await.serve(), Peer::new().await);
    let wanted = bob.import("file", &content(20_000_000));
    carol.import("file", &content(20_000_000));
    let report = fetch(&alice, wanted, &[&bob, &carol], brisk()).await.unwrap();
    alice.holds(&wanted);
    assert!(report.providers.values().all(|provider| provider.bytes > 0), "{report:?}");
    assert_eq!(report.providers.values().map(|provider| provider.bytes).sum::<u64>(), 20_000_000);
}

#[tokio::test]
async fn a_liar_is_dropped_and_named_and_the_file_arrives_from_another() {
    for place in [0.0, 0.5, 1.0] {
        let liar = Peer::new().await.misbehave(move |store, _, request| {
            let mut bytes = honest(store, request);
            let slice_start = bytes.len() - encoded_size_bytes(3_000_000, request.range(3_000_000).unwrap()) as usize;
            let last = bytes.len() - 1;
            let at = slice_start + ((last - slice_start) as f64 * place) as usize;
            bytes[at] ^= 0x40;
            (bytes, After::GoOn)
        });
        let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
        let wanted = bob.import("file", &content(3_000_000));
        liar.import("file", &content(3_000_000));
        alice.connect(&liar).await;
        // The liar alone first, so that it is asked.
        let failure = fetch(&alice, wanted, &[&liar], brisk()).await.unwrap_err();
        assert!(matches!(failure.error, FetchError::NobodyHas { .. }));
        let dropped = failure.report.providers[&liar.id].dropped.clone().unwrap();
        assert!(matches!(dropped, DropReason::WrongBytes(_)) && dropped.is_misbehaviour(), "{dropped}");
        let report = fetch(&alice, wanted, &[&liar, &bob], brisk()).await.unwrap();
        alice.holds(&wanted);
        assert_eq!(report.providers[&bob.id].dropped, None);
    }
}

#[tokio::test]
async fn a_liar_in_the_middle_of_a_file_wastes_only_its_own_pieces() {
    let liar = Peer::new().await.misbehave(|store, count, request| {
        let mut bytes = honest(store, request);
        if count >= 4 {
            *bytes.last_mut().unwrap() ^= 1;
        }
        (bytes, After::GoOn)
    });
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    let wanted = liar.import("file", &content(3_000_000));
    let failure = fetch(&alice, wanted, &[&liar], brisk()).await.unwrap_err();
    let kept = failure.report.fetched_bytes;
    assert!(kept > 0 && kept < 3_000_000);
    bob.import("file", &content(3_000_000));
    let report = fetch(&alice, wanted, &[&bob], brisk()).await.unwrap();
    assert!(report.present_bytes >= kept, "what was verified before the lie is not fetched again");
    assert_eq!(report.present_bytes + report.fetched_bytes, 3_000_000);
    alice.holds(&wanted);
}

#[tokio::test]
async fn a_false_size_is_the_providers_fault() {
    for claimed in [5u64, 100_000_000, u64::MAX] {
        let liar = Peer::new().await.misbehave(move |store, _, request| {
            let honest = honest(store, request);
            let size_bytes = claimed;
            let range = request.range(size_bytes).unwrap_or(ByteRange::whole(0));
            let slice_bytes = encoded_size_bytes(size_bytes.min(1 << 50), range);
            let mut bytes = Vec::new();
            wire::put_frame(&Head::Found { size_bytes, slice_bytes }, &mut bytes);
            bytes.extend(honest.into_iter().cycle().take(slice_bytes as usize));
            (bytes, After::GoOn)
        });
        let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
        let wanted = liar.import("file", &content(300_000));
        bob.import("file", &content(300_000));
        let failure = fetch(&alice, wanted, &[&liar], brisk()).await.unwrap_err();
        assert!(failure.report.providers[&liar.id].dropped.as_ref().unwrap().is_misbehaviour(), "{failure:?}");
        fetch(&alice, wanted, &[&liar, &bob], brisk()).await.unwrap();
        alice.holds(&wanted);
    }
}

#[tokio::test]
async fn garbage_is_dropped_and_a_silent_or_halting_provider_is_passed_by() {
    let garbage = Peer::new().await.misbehave(|_, _, _| (content(100_000), After::GoOn));
    let silent = Peer::new().await.misbehave(|_, _, _| (Vec::new(), After::Stall));
    let halting = Peer::new().await.misbehave(|store, count, request| {
        let mut bytes = honest(store, request);
        bytes.truncate(if count > 2 { bytes.len() / 2 } else { bytes.len() });
        (bytes, if count > 2 { After::Stall } else { After::GoOn })
    });
    let hanging_up = Peer::new().await.misbehave(|store, count, request| {
        let bytes = honest(store, request);
        (bytes, if count > 2 { After::HangUp } else { After::GoOn })
    });
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    let wanted = bob.import("file", &content(5_000_000));
    halting.import("file", &content(5_000_000));
    hanging_up.import("file", &content(5_000_000));
    let failure = fetch(&alice, wanted, &[&garbage, &silent], brisk()).await.unwrap_err();
    let dropped = |peer: &Peer| failure.report.providers[&peer.id].dropped.clone();
    assert!(matches!(dropped(&garbage), Some(DropReason::BrokeProtocol(_))), "{failure:?}");
    assert!(matches!(dropped(&silent), Some(DropReason::Slow(_))), "{failure:?}");
    let report = fetch(&alice, wanted, &[&garbage, &silent, &halting, &hanging_up, &bob], brisk()).await.unwrap();
    alice.holds(&wanted);
    assert_eq!(report.providers[&bob.id].dropped, None);
    assert_eq!(report.fetched_bytes, 5_000_000);
}

#[tokio::test]
async fn what_a_stalled_provider_owes_comes_from_one_whose_measured_speed_is_higher() {
    let stalling = Peer::new().await.misbehave(|store, count, request| {
        (honest(store, request), if count < 6 { After::GoOn } else { After::Stall })
    });
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    let wanted = bob.import("file", &content(50_000_000));
    stalling.import("file", &content(50_000_000));
    // Only the measured speeds can show that it stalls.
    let options = FetchOptions { slow_after: 10 * PATIENCE, idle_timeout: 10 * PATIENCE, ..brisk() };
    let report = fetch(&alice, wanted, &[&stalling, &bob], options).await.unwrap();
    alice.holds(&wanted);
    assert_eq!(report.providers.values().map(|provider| provider.bytes).sum::<u64>(), 50_000_000);
    assert!(report.providers[&stalling.id].bytes > 0);
}

#[tokio::test]
async fn a_provider_given_up_as_slow_is_asked_later_only_when_nobody_else_has_the_bytes() {
    let silent = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let answering = Arc::clone(&silent);
    let carol = Peer::new().await.misbehave(move |store, _, request| {
        if silent.load(Ordering::SeqCst) {
            return (Vec::new(), After::Stall);
        }
        (honest(store, request), After::GoOn)
    });
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    let first = carol.import("first", &content(3_000_000));
    for (name, len) in [("second", 2_000_000), ("third", 1_000_000)] {
        carol.import(name, &content(len));
    }
    let second = bob.import("second", &content(2_000_000));
    let third = Wanted { limit_bytes: 1_000_000, ..carol.import("third", &content(1_000_000)) };
    for peer in [&carol, &bob] {
        alice.connect(peer).await;
    }
    let fetcher = alice.fetcher(FetchOptions { idle_timeout: Duration::from_millis(100), ..brisk() });
    let failure = fetcher.fetch(first, stream::iter([carol.id]), quiet()).await.unwrap_err();
    let dropped = failure.report.providers[&carol.id].dropped.clone();
    assert!(matches!(dropped, Some(DropReason::Slow(_))), "{dropped:?}");
    let report = fetcher.fetch(second, stream::iter([carol.id, bob.id]), quiet()).await.unwrap();
    assert!(!report.providers.contains_key(&carol.id), "bob has everything");
    answering.store(false, Ordering::SeqCst);
    let report = fetcher.fetch(third, stream::iter([carol.id, bob.id]), quiet()).await.unwrap();
    assert_eq!(report.providers[&carol.id].bytes, 1_000_000, "bob does not have it");
    alice.holds(&third);
}

#[tokio::test]
async fn bytes_a_second_are_bounded_on_either_side() {
    let bounded = || RateLimit::new(std::num::NonZeroU32::new(4_000_000));
    for (upload, download) in [(bounded(), RateLimit::default()), (RateLimit::default(), bounded())] {
        let limits = ServeLimits { rate: upload, ..ServeLimits::default() };
        let (bob, alice) = (Peer::new().await.serve_to(Arc::new(|_, _| true), limits), Peer::new().await);
        let wanted = bob.import("file", &content(6_000_000));
        let options = FetchOptions { rate: download, ..brisk() };
        let report = fetch(&alice, wanted, &[&bob], options).await.unwrap();
        alice.holds(&wanted);
        // One and a half seconds, less what may pass at once.
        assert!(report.elapsed > Duration::from_secs(1), "{:?}", report.elapsed);
    }
}

#[tokio::test]
async fn two_fetches_from_one_provider_share_what_it_can_send() {
    let limits = ServeLimits { rate: RateLimit::new(std::num::NonZeroU32::new(4_000_000)), ..ServeLimits::default() };
    let bob = Peer::new().await.serve_to(Arc::new(|_, _| true), limits);
    let wanted = bob.import("file", &content(4_000_000));
    let (alice, carol) = (Peer::new().await, Peer::new().await);
    alice.connect(&bob).await;
    carol.connect(&bob).await;
    let (fetch_one, fetch_two) = (alice.fetcher(brisk()), carol.fetcher(brisk()));
    let providers = || stream::iter([bob.id]);
    let both =
        futures::join!(fetch_one.fetch(wanted, providers(), quiet()), fetch_two.fetch(wanted, providers(), quiet()));
    let (one, two) = (both.0.unwrap().elapsed, both.1.unwrap().elapsed);
    // One after the other, the second would take twice as long as the first.
    assert!(one.max(two) < one.min(two) * 3 / 2, "{one:?} and {two:?}");
}

#[tokio::test]
async fn a_provider_that_gave_something_and_is_the_only_one_is_waited_for() {
    let away = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let hang_ups = Arc::clone(&away);
    // After three answers it hangs up on everybody, for a while.
    let flaky = Peer::new().await.misbehave(move |store, count, request| match count {
        3..15 => {
            hang_ups.fetch_add(1, Ordering::SeqCst);
            (Vec::new(), After::HangUp)
        }
        _ => (honest(store, request), After::GoOn),
    });
    let alice = Peer::new().await;
    let wanted = flaky.import("file", &content(3_000_000));
    let report = fetch(&alice, wanted, &[&flaky], brisk()).await.unwrap();
    alice.holds(&wanted);
    assert_eq!(report.fetched_bytes, 3_000_000);
    assert_eq!(away.load(Ordering::SeqCst), 12, "it hung up more often than any other provider may");
}

#[tokio::test]
async fn a_stopped_fetch_goes_on_where_it_was() {
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    let wanted = bob.import("file", &content(50_000_000));
    alice.connect(&bob).await;
    let (tell, mut half) = mpsc::channel(1);
    let observer: Observer = Arc::new(move |event| {
        if let FetchEvent::Progress(progress) = event
            && progress.done_bytes > 20_000_000
        {
            let _ = tell.try_send(());
        }
    });
    let fetcher = alice.fetcher(brisk());
    tokio::select! {
        _ = fetcher.fetch(wanted, stream::iter([bob.id]), observer) => panic!("stopped half-way"),
        _ = half.recv() => {}
    }
    let report = fetcher.fetch(wanted, stream::iter([bob.id]), quiet()).await.unwrap();
    assert!(report.present_bytes > 20_000_000, "{report:?}");
    assert_eq!(report.present_bytes + report.fetched_bytes, 50_000_000);
    alice.holds(&wanted);
}

#[tokio::test]
async fn what_nobody_has_fails_with_the_address() {
    let (bob, carol, alice) = (Peer::new().await.serve(), Peer::new().await, Peer::new().await);
    let wanted = Wanted { address: ArtifactId::of(b"nowhere"), kind: ArtifactKind::File, limit_bytes: 100 };
    let failure = fetch(&alice, wanted, &[&bob], brisk()).await.unwrap_err();
    assert!(
        matches!(failure.error, FetchError::NobodyHas { address, asked: 1, refused: false } if address == wanted.address)
    );
    assert!(failure.to_string().contains(&wanted.address.to_string()));
    let failure = fetch(&alice, wanted, &[], brisk()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::NobodyHas { asked: 0, .. }));
    // Carol speaks no artifact protocol.
    let failure = fetch(&alice, wanted, &[&carol], brisk()).await.unwrap_err();
    assert!(matches!(failure.report.providers[&carol.id].dropped, Some(DropReason::Unreachable(_))));
    let options = FetchOptions { give_up_after: Duration::from_millis(300), ..brisk() };
    let failure = alice.fetcher(options).fetch(wanted, stream::pending(), quiet()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::Stalled { known_providers: 0, .. }));
}

#[tokio::test]
async fn a_provider_that_is_found_late_is_used() {
    let (bob, carol, alice) = (Peer::new().await.serve(), Peer::new().await.serve(), Peer::new().await);
    let wanted = carol.import("file", &content(1_000_000));
    alice.connect(&bob).await;
    alice.connect(&carol).await;
    let (found, providers) = futures::channel::mpsc::channel(4);
    let counters = Arc::clone(&bob.counters);
    let (bob_id, carol_id) = (bob.id, carol.id);
    let finding = async move {
        let mut found = found;
        found.try_send(bob_id).unwrap();
        while counters.not_found.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        found.try_send(carol_id).unwrap();
    };
    let fetcher = alice.fetcher(brisk());
    let (result, ()) = tokio::join!(fetcher.fetch(wanted, providers, quiet()), finding);
    assert_eq!(result.unwrap().providers[&carol_id].bytes, 1_000_000);
    alice.holds(&wanted);
}

#[tokio::test]
async fn a_restricted_artifact_goes_only_to_whom_is_admitted() {
    let (alice, mallory) = (Peer::new().await, Peer::new().await);
    let entitled = alice.id;
    let admit: Admit = Arc::new(move |peer, _| *peer == entitled);
    let bob = Peer::new().await.serve_to(admit, ServeLimits::default());
    let wanted = bob.import("file", &content(100_000));
    fetch(&alice, wanted, &[&bob], brisk()).await.unwrap();
    alice.holds(&wanted);
    let failure = fetch(&mallory, wanted, &[&bob], brisk()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::NobodyHas { refused: true, .. }));
    assert_eq!(
        bob.counters.sent_bytes.load(Ordering::Relaxed),
        encoded_size_bytes(100_000, ByteRange::tail(100_000, 65536))
            + encoded_size_bytes(100_000, ByteRange { start: 0, end: 49152 })
    );
}

#[tokio::test]
async fn sizes_beyond_the_limit_and_wrong_manifests_fail_without_blaming_the_provider() {
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    let mut wanted = bob.import("file", &content(1_000_000));
    wanted.limit_bytes = 999_999;
    let failure = fetch(&alice, wanted, &[&bob], brisk()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::TooLarge { size_bytes: 1_000_000, limit_bytes: 999_999, .. }));
    assert_eq!(failure.report.providers[&bob.id].dropped, None);

    bob.write("model/a", &content(1000));
    let true_one = bob.publish(bob.directory.path().join("model"));
    let mut files: Vec<ManifestFile> = bob.store.manifest(&true_one.address).unwrap().into();
    files[0].size_bytes = 1001;
    let lying = Manifest::try_from(files).unwrap();
    bob.store.insert(&lying.address(), &lying.encode()).unwrap();
    let wanted = Wanted { address: lying.address(), kind: ArtifactKind::Collection, limit_bytes: 5000 };
    let failure = fetch(&alice, wanted, &[&bob], brisk()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::ManifestWrong { expected_bytes: 1001, size_bytes: 1000, .. }));
    assert_eq!(failure.report.providers[&bob.id].dropped, None);
    let failure = fetch(&alice, Wanted { limit_bytes: 500, ..true_one }, &[&bob], brisk()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::TooLarge { size_bytes: 1000, .. }));
    let not_one = bob.import("file", b"not a manifest");
    let failure =
        fetch(&alice, Wanted { kind: ArtifactKind::Collection, ..not_one }, &[&bob], brisk()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::Store(_)));
}

#[tokio::test]
async fn two_fetches_that_share_a_file_fetch_it_once() {
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    bob.write("one/shared", &content(8_000_000));
    bob.write("one/a", b"a");
    bob.write("two/shared", &content(8_000_000));
    bob.write("two/b", b"b");
    let one = bob.publish(bob.directory.path().join("one"));
    let two = bob.publish(bob.directory.path().join("two"));
    alice.connect(&bob).await;
    let fetcher = alice.fetcher(brisk());
    let (first, second) = tokio::join!(
        fetcher.fetch(one, stream::iter([bob.id]), quiet()),
        fetcher.fetch(two, stream::iter([bob.id]), quiet()),
    );
    let fetched = first.unwrap().fetched_bytes + second.unwrap().fetched_bytes;
    assert!(fetched < 8_100_000, "{fetched}");
    alice.holds(&one);
    alice.holds(&two);
}

#[tokio::test]
async fn a_busy_provider_is_asked_again() {
    let busy = Peer::new().await.misbehave(|store, count, request| {
        let mut bytes = Vec::new();
        if count < 2 {
            wire::put_frame(&Head::Busy, &mut bytes);
        } else {
            bytes = honest(store, request);
        }
        (bytes, After::GoOn)
    });
    let alice = Peer::new().await;
    let wanted = busy.import("file", &content(300_000));
    let report = fetch(&alice, wanted, &[&busy], brisk()).await.unwrap();
    assert_eq!(report.providers[&busy.id].dropped, None);
    alice.holds(&wanted);
}

async fn open(from: &Peer, to: &Peer) -> Stream {
    timeout(PATIENCE, from.control.clone().open_stream(to.id, name())).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_server_survives_malformed_frames_and_oversized_requests() {
    let (bob, mallory, alice) = (Peer::new().await.serve(), Peer::new().await, Peer::new().await);
    let wanted = bob.import("file", &content(5_000_000));
    mallory.connect(&bob).await;
    let asked = Asked::itself(wanted.address);
    let framed = |request: Request| {
        let mut bytes = Vec::new();
        wire::put_frame(&request, &mut bytes);
        bytes
    };
    let whole = framed(Request::Range { asked, range: ByteRange { start: 0, end: 5_000_000 } });
    let backwards = framed(Request::Range { asked, range: ByteRange { start: 32768, end: 16384 } });
    let crooked = framed(Request::Range { asked, range: ByteRange { start: 1, end: 16384 } });
    let beyond = framed(Request::Range { asked, range: ByteRange { start: 0, end: u64::MAX } });
    let tail = framed(Request::Tail { asked, max_bytes: u64::MAX });
    let endless = u32::MAX.to_le_bytes().to_vec();
    let mut version = framed(Request::Tail { asked, max_bytes: 0 });
    version[4] = 9;
    let all = [whole, backwards, crooked, beyond, tail, endless, version, content(5000)];
    for bytes in &all {
        let mut stream = open(&mallory, &bob).await;
        wire::write_all(&mut stream, bytes, PATIENCE).await.unwrap();
        let mut answer = Vec::new();
        // However it ends, normally or by a reset, nothing came.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.is_empty());
    }
    assert_eq!(bob.counters.malformed.load(Ordering::Relaxed), all.len() as u64);
    fetch(&alice, wanted, &[&bob], brisk()).await.unwrap();
    alice.holds(&wanted);
}

/// Asks on a stream for as much as one answer brings.
async fn ask(stream: &mut Stream, wanted: ArtifactId) {
    let mut request = Vec::new();
    let asked = Asked::itself(wanted);
    wire::put_frame(&Request::Tail { asked, max_bytes: limits::ARTIFACT_RANGE_SIZE_BYTES }, &mut request);
    wire::write_all(stream, &request, PATIENCE).await.unwrap();
}

async fn head(stream: &mut Stream) -> Head {
    wire::read_frame::<Head>(stream, PATIENCE).await.unwrap().unwrap()
}

/// A provider of one large file, and two other peers.
async fn beset(limits: ServeLimits, known: bool) -> (Peer, Peer, Peer, Wanted) {
    let bob = Peer::new().await.serve_known(Arc::new(|_, _| true), Arc::new(move |_| known), limits);
    let (mallory, alice) = (Peer::new().await, Peer::new().await);
    let wanted = bob.import("file", &content(5_000_000));
    mallory.connect(&bob).await;
    alice.connect(&bob).await;
    (bob, mallory, alice, wanted)
}

#[tokio::test]
async fn streams_on_which_nothing_is_asked_keep_nobody_from_fetching() {
    let limits = ServeLimits { answers: 4, answers_per_peer: 4, ..ServeLimits::default() };
    let (bob, mallory, alice, wanted) = beset(limits, true).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let mut stream = open(&mallory, &bob).await;
        ask(&mut stream, wanted.address).await;
        let Head::Found { slice_bytes, .. } = head(&mut stream).await else { panic!("an answer") };
        let mut slice = vec![0; usize::try_from(slice_bytes).unwrap()];
        stream.read_exact(&mut slice).await.unwrap();
        held.push(stream);
    }
    fetch(&alice, wanted, &[&bob], brisk()).await.unwrap();
    alice.holds(&wanted);
}

#[tokio::test]
async fn answers_that_are_not_read_give_way() {
    let patience = Duration::from_millis(100);
    let limits =
        ServeLimits { answers: 2, answers_per_peer: 2, turn: patience, reader: patience, ..ServeLimits::default() };
    let (bob, mallory, alice, wanted) = beset(limits, true).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = open(&mallory, &bob).await;
        ask(&mut stream, wanted.address).await;
        assert!(matches!(head(&mut stream).await, Head::Found { .. }));
        held.push(stream);
    }
    fetch(&alice, wanted, &[&bob], brisk()).await.unwrap();
    alice.holds(&wanted);
    assert!(bob.counters.busy.load(Ordering::Relaxed) > 0, "somebody gave way");
}

#[tokio::test]
async fn damaged_bytes_are_not_served() {
    let (bob, alice) = (Peer::new().await.serve(), Peer::new().await);
    let wanted = bob.import("file", &content(3_000_000));
    let path = bob.directory.path().join("artifacts/blobs").join(wanted.address.to_string());
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let failure = fetch(&alice, wanted, &[&bob], brisk()).await.unwrap_err();
    assert!(matches!(failure.error, FetchError::NobodyHas { .. }));
    assert_eq!(failure.report.providers[&bob.id].dropped, None, "an honest peer with a bad disk is not a liar");
}
