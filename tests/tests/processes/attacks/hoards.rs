//! Room that strangers take, and do not use.

use super::{Victims, turn};
use allod_protocol::ground::ids::ArtifactId;
use allod_tests::{
    attacks::{Target, idle_streams, provider_records, silent_sockets, unread_answers, unread_events},
    processes::{get, post, wait_until},
};
use std::{fs, net::Ipv4Addr, thread};

/// What a validator may take, in bytes, with the largest answers that there are under way.
const MEMORY_BYTES: u64 = 400 << 20;
#[test]
fn answers_that_nobody_reads_are_few_and_end() {
    let _turn = turn();
    let victims = Victims::start(19_400);
    victims.fill();
    victims.net.wait_agreement(&[0, 1, 2, 3]);

    let attack = unread_answers::begin(victims.target(&[0, 1]), 32, 16);
    Victims::wait_sent(&attack, 500);
    victims.contribute(&attack, 20, 0);
    for peer in [0, 1] {
        println!("peer {peer} took {} MB", victims.net.peak_memory_bytes(peer) >> 20);
        assert!(victims.net.peak_memory_bytes(peer) < MEMORY_BYTES, "peer {peer} holds what nobody reads");
    }
    let refused = victims.metric("allod_sync_requests_total{result=\"refused\"}");
    assert!(refused > 0.0, "there is no room for all of them");
    wait_until("an answer that nobody reads to be given up", || {
        (victims.metric("allod_sync_requests_total{result=\"unread\"}") > 0.0).then_some(())
    });
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn streams_on_which_little_is_asked_keep_nobody_from_fetching() {
    idleness(8, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn streams_on_which_little_is_asked_keep_nobody_from_fetching_slow_() {
    idleness(32, 60);
}

fn idleness(ids: usize, rounds: usize) {
    let _turn = turn();
    let victims = Victims::start(22_300);
    let weights = victims.net.root().join("weights.bin");
    fs::write(&weights, vec![7; 5 << 20]).expect("written");
    let version = victims.publish(0, &weights);
    victims.net.wait_agreement(&[0, 1, 2, 3]);

    // Twice as many as may be open.
    let attack = idle_streams::begin(victims.target(&[0]), ids, 64);
    Victims::wait_sent(&attack, 256);
    let copy = victims.net.root().join("copy.bin");
    victims.net.must(1, &["fetch", &version, "--output", copy.to_str().expect("a path")]);
    assert!(fs::read(&copy).expect("the copy") == fs::read(&weights).expect("the weights"));
    victims.endure(&attack, rounds);
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn silent_clients_keep_no_probe_from_being_answered() {
    silent_clients(2_300, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn silent_clients_keep_no_probe_from_being_answered_slow_() {
    silent_clients(6_000, 40);
}

fn silent_clients(count: usize, rounds: usize) {
    let _turn = turn();
    let victims = Victims::start(22_500);
    let attack = silent_sockets::begin(vec![22_500], vec![Ipv4Addr::new(127, 40, 0, 1)], count);
    Victims::wait_sent(&attack, count as u64);
    for _ in 0..20 {
        assert_eq!(get(22_500, "/healthz").map(|(status, _)| status), Some(200));
    }
    // Clients get through as well.
    victims.endure(&attack, rounds);
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}

/// Clients that import at the same time: as many as a peer lets.
const IMPORTERS: usize = 2;

/// Takes so many small files into the store of a peer; gives their addresses in the order in which they came, as far as
/// there is one.
fn import_small_files(victims: &Victims, peer: usize, count: usize) -> Vec<ArtifactId> {
    let directory = victims.net.root().join(format!("small-{peer}"));
    fs::create_dir_all(&directory).expect("a directory");
    let token = fs::read_to_string(victims.net.data(peer).join("api.token")).expect("a token");
    let (token, port) = (token.trim(), victims.net.api_port(peer));
    let import = |number: usize| {
        let (path, bytes) = (directory.join(number.to_string()), format!("{peer} {number}"));
        fs::write(&path, &bytes).expect("written");
        let (status, answer) = wait_until("a peer that is not busy", || {
            let asked = serde_json::json!({ "path": path });
            post(port, "/v1/artifacts", token, &asked).filter(|(status, _)| *status != 429)
        });
        assert!(status == 200 && answer.contains("sha256"), "{status} {answer}");
        ArtifactId::of(bytes.as_bytes())
    };
    thread::scope(|scope| {
        let own = |first: usize| move || (first..count).step_by(IMPORTERS).map(import).collect::<Vec<_>>();
        let importers: Vec<_> = (0..IMPORTERS).map(|first| scope.spawn(own(first))).collect();
        importers.into_iter().flat_map(|importer| importer.join().expect("all are imported")).collect()
    })
}

#[test]
fn records_of_what_does_not_exist_push_out_nothing_that_the_ledger_knows() {
    many_records(600, 165, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn records_of_what_does_not_exist_push_out_nothing_that_the_ledger_knows_slow_() {
    many_records(14_000, 165, 20);
}

/// A validator has many small files, and an observer a version and more files than each of the ids has records.
fn many_records(files: usize, ids: usize, rounds: usize) {
    const EACH: usize = 880;
    let _turn = turn();
    let mut victims = Victims::start(23_000);
    let observer = victims.add_observer();
    let weights = victims.net.root().join("weights.bin");
    fs::write(&weights, b"weights").expect("written");
    victims.publish(observer, &weights);
    let of_observer = victims.id(observer).parse().expect("a peer id");
    let (published, others) = ([ArtifactId::of(b"weights")], victims.target(&[0, 1, 2]));
    wait_until("the version's record to be stored", || {
        (provider_records::known(&others, &published, of_observer) == 1).then_some(())
    });

    // An honest validator is nobody's nuisance, and what it has is found.
    let imported = import_small_files(&victims, 3, files);
    let of_validator = victims.id(3).parse().expect("a peer id");
    wait_until("all files to be known to the others", || {
        (provider_records::known(&others, &imported, of_validator) == files).then_some(())
    });
    victims.assert_blames_none_of(&[0, 1, 2, 3, observer]);
    let last = imported.last().expect("a file").to_string();
    let copy = victims.net.root().join("copy");
    victims.net.must(0, &["fetch", &last, "--kind", "file", "--output", copy.to_str().expect("a path")]);
    assert_eq!(fs::read(&copy).expect("the copy"), format!("3 {}", files - 1).as_bytes());

    let more = import_small_files(&victims, observer, EACH + 80);
    wait_until("the observer's records to be stored", || {
        (provider_records::known(&others, &more, of_observer) == more.len()).then_some(())
    });
    let attack = provider_records::begin(Target { peers: vec![others.peers[0].clone()], ..others.clone() }, ids, EACH);
    Victims::wait_sent(&attack, (ids * EACH) as u64);
    victims.endure(&attack, rounds);
    let first = Target { peers: vec![others.peers[0].clone()], ..others };
    wait_until("the table to be full", || {
        (provider_records::known(&first, &more, of_observer) < more.len()).then_some(())
    });
    assert_eq!(provider_records::known(&first, &published, of_observer), 1, "what the ledger knows stays");
    assert_eq!(provider_records::known(&first, &imported, of_validator), files, "and what a validator has");
    println!("validator 0 took {} MB", victims.net.peak_memory_bytes(0) >> 20);
    victims.assert_blames_none_of(&[0, 1, 2, 3, observer]);
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn subscribers_that_read_no_events_cost_nobody_anything() {
    unread_streams(200, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn subscribers_that_read_no_events_cost_nobody_anything_slow_() {
    unread_streams(2_000, 40);
}

fn unread_streams(count: usize, rounds: usize) {
    let _turn = turn();
    let victims = Victims::start(23_300);
    // There is more to tell than connections hold.
    victims.fill();
    let before = victims.net.peak_memory_bytes(0);
    let attack = unread_events::begin(victims.net.api_port(0), count);
    Victims::wait_sent(&attack, count as u64);
    // Where transactions are handed in is another place, and blocks come here as well.
    let bench = ["bench", "--as", "operator-1", "--duration", "5s"];
    assert!(victims.net.client(1, &bench).status.success());
    // This one follows events, for which it takes a place from one of them.
    wait_until("one that reads to have a place", || {
        let bench = ["bench", "--as", "operator-0", "--rate", "300", "--duration", "3s"];
        victims.net.client(0, &bench).status.success().then_some(())
    });
    for _ in 0..20 {
        assert_eq!(get(victims.net.api_port(0), "/healthz").map(|(status, _)| status), Some(200));
    }
    victims.endure(&attack, rounds);
    println!(
        "validator 0 took {} MB before, and {} MB with them",
        before >> 20,
        victims.net.peak_memory_bytes(0) >> 20
    );
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}
