//! Room that strangers take, and do not use.

use super::{Victims, turn};
use allod_tests::{
    attacks::{idle_streams, silent_sockets, unread_answers},
    processes::{get, wait_until},
};
use std::{fs, net::Ipv4Addr};

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
