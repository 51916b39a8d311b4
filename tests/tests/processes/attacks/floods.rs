//! Consensus messages that are worth nothing.

use super::{Victims, turn};
use allod_tests::attacks::{far_votes, old_proposals, repeated_votes};

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
    let received = victims.metric("allod_network_gossip_messages_total{topic=\"consensus\",verdict=\"received\"}");
    assert!(received > sent as f64, "each of {sent} votes arrives at some peers: {received}");
    let asked = victims.metric("allod_sync_requests_total{result=\"asked\"}") - asked_before;
    assert!(asked < 100.0, "{asked} requests for blocks for {sent} claims that nobody signed");
    victims.assert_unharmed(MEMORY_BYTES);
}

#[test]
fn a_genuine_vote_under_other_numbers_is_the_same_vote() {
    let _turn = turn();
    let victims = Victims::start(19_200);
    let accepted = "allod_network_gossip_messages_total{topic=\"consensus\",verdict=\"accepted\"}";
    let ignored = "allod_network_gossip_messages_total{topic=\"consensus\",verdict=\"ignored\"}";
    let height = || victims.net.height(0).expect("a height");
    let rounds = || victims.metric("allod_consensus_rounds_above_zero_total");
    let before = (height(), victims.metric(accepted), victims.metric(ignored), rounds());
    let attack = repeated_votes::begin(victims.target(&[0, 1, 2, 3]), 3, 300);
    victims.contribute(&attack, 20, 20_000);
    drop(attack);
    let heights = height() - before.0;
    let (accepted, ignored) = (victims.metric(accepted) - before.1, victims.metric(ignored) - before.2);
    println!("{heights} heights, {accepted} messages relayed by four peers together, {ignored} ignored");
    assert!(ignored > 20_000.0, "only {ignored} copies arrived");
    // A round brings a peer a proposal and six votes of others; some are repeated.
    let honest = 8.0 * (4.0 * heights as f64 + rounds() - before.3) + 100.0;
    assert!(accepted < honest, "{accepted} messages were relayed for {heights} heights");
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
    victims.assert_unharmed(MEMORY_BYTES);
}
