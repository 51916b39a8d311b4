//! Many ids at once: places and attention that they take from whoever is new, or back.

use super::{Victims, turn};
use allod_protocol::ground::limits;
use allod_tests::{
    attacks::{Target, bridge, churn, crowd, deaf_subscribers, silent_sockets},
    processes::wait_until,
};
use std::{net::Ipv4Addr, time::Instant};

/// What a validator may take, in bytes, whatever strangers do.
const MEMORY_BYTES: u64 = 400 << 20;
const INBOUND: &str = "allod_network_peers{direction=\"inbound\"}";

/// An address in each of so many blocks of this machine's addresses.
fn blocks(first: u8, count: u8) -> Vec<Ipv4Addr> {
    (1..=count).map(|block| Ipv4Addr::new(127, first, block, 1)).collect()
}

#[test]
fn a_crowd_that_answers_no_request_does_not_keep_a_newcomer_behind() {
    askers_in_vain(40, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn a_crowd_that_answers_no_request_does_not_keep_a_newcomer_behind_slow_() {
    askers_in_vain(150, 20);
}

fn askers_in_vain(count: usize, rounds: usize) {
    let _turn = turn();
    let mut victims = Victims::start(22_600);
    // More than one answer holds.
    victims.fill_with_small_blocks(limits::SYNC_BLOCKS as u64 * 2);
    let height = victims.net.wait_agreement(&[0, 1, 2, 3]);
    // The only way to the network is not open yet.
    let way = victims.address(0, 22_680);
    let peer = victims.newcomer(&way);
    let attack = crowd::of_askers_in_vain(Target::of(&victims.net, &[peer]), count);
    let is_there = |victims: &Victims| victims.net.metric(peer, INBOUND) > count as f64 - 0.5;
    wait_until("the crowd to be there", || is_there(&victims).then_some(()));
    assert_eq!(victims.net.height(peer), Some(0));

    let way = bridge::open(22_680, 22_601);
    let first = wait_until("the first blocks", || victims.net.height(peer).filter(|height| *height > 0));
    let begun = Instant::now();
    wait_until("the newcomer to be up to date", || (victims.net.height(peer)? >= height).then_some(()));
    let (ms, asked) = (begun.elapsed().as_millis(), attack.sent());
    println!("{first} to {height} blocks within {ms} ms; the crowd was asked {asked} times");
    assert!(asked >= 10, "the crowd was asked {asked} times");
    victims.endure(&attack, rounds);
    victims.net.wait_agreement(&[0, 1, 2, 3, peer]);
    assert!(is_there(&victims), "the crowd is there still");
    drop((way, attack));
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn a_crowd_that_holds_all_places_keeps_no_newcomer_out() {
    full_house(45, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn a_crowd_that_holds_all_places_keeps_no_newcomer_out_slow_() {
    full_house(120, 40);
}

fn full_house(each: usize, rounds: usize) {
    let _turn = turn();
    let mut victims = Victims::start(22_000);
    // More than there are places for, from too few blocks to be many.
    let attack = crowd::from(victims.target(&[0]), blocks(20, 5), each);
    wait_until("all places to be taken", || (victims.net.metric(0, INBOUND) > 190.0).then_some(()));
    let way = victims.address(0, 22_001);
    let peer = victims.newcomer(&way);
    victims.net.wait_agreement(&[0, 1, 2, 3, peer]);
    Victims::wait_sent(&attack, 200);
    victims.endure(&attack, rounds);
    victims.net.wait_agreement(&[0, 1, 2, 3, peer]);
    let inbound = victims.net.metric(0, INBOUND);
    println!("{inbound} peers have come to validator 0");
    assert!(inbound > 180.0, "the crowd is there still: {inbound}");
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn silent_connections_do_not_keep_a_restarted_validator_alone() {
    silence(14, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn silent_connections_do_not_keep_a_restarted_validator_alone_slow_() {
    silence(40, 40);
}

fn silence(each: usize, rounds: usize) {
    let _turn = turn();
    let mut victims = Victims::start_over_tcp(22_100);
    let ports = vec![22_101, 22_111, 22_121, 22_131];
    // Fewer from each block than it may have, and more in all.
    let attack = silent_sockets::begin(ports, blocks(30, 25), each);
    Victims::wait_sent(&attack, 1_000);
    victims.net.kill(3);
    victims.net.spawn(3);
    wait_until("the validator to reach the others", || {
        victims.net.status(3)?;
        (victims.net.metric(3, "allod_consensus_reached_power") > 3.5).then_some(())
    });
    victims.endure(&attack, rounds);
    let refused = victims.metric("allod_network_refused_connections_total");
    println!("{} connections, {refused} of them refused", attack.sent());
    assert!(refused > 1_000.0, "{refused} were refused");
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn subscribers_that_never_read_are_parted_with() {
    deafness(60, 2);
}

#[test]
#[ignore = "it takes minutes"]
fn subscribers_that_never_read_are_parted_with_slow_() {
    deafness(180, 40);
}

fn deafness(count: usize, rounds: usize) {
    let _turn = turn();
    let victims = Victims::start(22_200);
    // Where transactions are handed in, most is said.
    let attack = deaf_subscribers::begin(victims.target(&[0]), count);
    let all = count as u64;
    Victims::wait_sent(&attack, all);
    victims.bench(&["--rate", "300", "--duration", "5s"]);
    victims.fill();
    wait_until("all of them to be disconnected, and to come again", || (attack.sent() >= 2 * all).then_some(()));
    victims.endure(&attack, rounds);
    let most = (0..4).map(|peer| victims.net.peak_memory_bytes(peer) >> 20).max();
    println!("{} subscriptions, and no validator took more than {most:?} MB", attack.sent());
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn ids_that_come_and_go_without_end_hold_up_nobody() {
    coming_and_going(2, 1);
}

#[test]
#[ignore = "it takes minutes"]
fn ids_that_come_and_go_without_end_hold_up_nobody_slow_() {
    coming_and_going(4, 40);
}

fn coming_and_going(each: usize, rounds: usize) {
    let _turn = turn();
    let victims = Victims::start(23_100);
    let refused = || victims.metric("allod_network_refused_connections_total");
    let begun = Instant::now();
    let attack = churn::begin(victims.target(&[0, 1]), blocks(50, 5), each);
    wait_until("most of them to be refused", || (refused() > 2_000.0).then_some(()));
    victims.endure(&attack, rounds);
    let (let_in, seconds) = (attack.sent(), begun.elapsed().as_secs());
    println!("{let_in} were let in, and {} refused, in {seconds} s", refused());
    // Each of the two validators lets in so many from each of the five blocks.
    assert!(let_in <= 2 * 5 * (64 + 8 * (seconds + 1)), "{let_in} were let in");
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
}
