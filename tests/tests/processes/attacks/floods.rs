//! Messages that are worth nothing, where consensus is spoken and where blocks are pushed.

use super::{Victims, turn};
use allod_tests::{
    attacks::{far_votes, forged_blocks, old_proposals, repeated_blocks},
    processes::wait_until,
};

/// What a validator may take, in bytes, whatever strangers do.
const MEMORY_BYTES: u64 = 400 << 20;

#[test]
fn unsigned_votes_far_ahead_make_nobody_ask_for_blocks() {
    let _turn = turn();
    let victims = Victims::start(19_100);
    let asked_before = victims.metric("allod_sync_requests_total{result=\"asked\"}");
    let attack = far_votes::begin(victims.target(&[0, 1, 2, 3]), 1_500);
    Victims::wait_sent(&attack, 1_000);
    victims.contribute(&attack, 40, 20_000);
    let sent = attack.sent();
    drop(attack);
    victims.assert_refused_at_the_door();
    let asked = victims.metric("allod_sync_requests_total{result=\"asked\"}") - asked_before;
    assert!(asked < 100.0, "{asked} requests for blocks for {sent} claims that nobody signed");
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn a_pushed_block_under_other_certificates_is_the_same_block() {
    let _turn = turn();
    let mut victims = Victims::start(19_200);
    let observer = victims.add_observer();
    let of_blocks =
        |verdict: &str| format!("allod_network_gossip_messages_total{{topic=\"block\",verdict=\"{verdict}\"}}");
    let count = |verdict: &str| victims.net.metric(observer, &of_blocks(verdict));
    let height = || victims.net.height(observer).expect("a height");
    let before = (height(), count("accepted"), count("ignored"));
    let attack = repeated_blocks::begin(victims.target(&[0, 1, 2, 3, observer]), 3);
    victims.contribute(&attack, 20, 500);
    let end = victims.net.height(0);
    wait_until("the observer to follow", || (victims.net.height(observer) >= end).then_some(()));
    let heights = || (height() - before.0) as f64;
    // Three signatures have six orders.
    let most = |ignored: f64| (ignored > 4.0 * heights()).then_some(ignored);
    let ignored = wait_until("most copies to arrive", || most(count("ignored") - before.2));
    drop(attack);
    let (accepted, heights) = (count("accepted") - before.1, heights());
    println!("{heights} heights, {accepted} blocks relayed by the observer, {ignored} copies ignored");
    assert!(accepted > 0.0 && accepted <= heights, "{accepted} blocks were relayed for {heights} heights");
    assert!(victims.metric(&of_blocks("received")) < 1.0, "validators are pushed nothing");
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn large_proposals_of_a_decided_height_hold_up_nobody() {
    let _turn = turn();
    let victims = Victims::start(19_300);
    let attack = old_proposals::begin(&victims.target(&[0, 1]), 31);
    Victims::wait_sent(&attack, 31);
    victims.contribute(&attack, 20, 300);
    drop(attack);
    victims.assert_refused_at_the_door();
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn forged_blocks_get_their_sender_blocked_and_nobody_else() {
    let _turn = turn();
    let mut victims = Victims::start(23_200);
    let observer = victims.add_observer();
    let attack = forged_blocks::begin(victims.target(&[0, 1, 2, 3, observer]));
    victims.contribute(&attack, 20, 40);
    let blocked = || victims.net.metric(observer, "allod_network_blocked_peers");
    wait_until("the forger to be blocked", || (blocked() > 0.0).then_some(()));
    println!("{} forged blocks, {} ids blocked", attack.sent(), blocked());
    drop(attack);
    victims.net.wait_agreement(&[0, 1, 2, 3, observer]);
    let log = victims.net.log(observer);
    for peer in 0..4 {
        let id = victims.id(peer);
        let blame = log.lines().find(|line| line.contains("blocked for ten minutes") && line.contains(&id));
        assert_eq!(blame, None, "the observer blames an honest one");
    }
    victims.assert_unharmed(MEMORY_BYTES);
}
