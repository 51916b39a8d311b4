//! Room that strangers take, and do not use.

use super::{Victims, turn};
use allod_tests::{
    attacks::unread_answers,
    processes::{text, wait_until},
};

/// What a validator may take, in bytes, with the largest answers that there are under way.
const MEMORY_BYTES: u64 = 400 << 20;

#[test]
fn answers_that_nobody_reads_are_few_and_end() {
    let _turn = turn();
    let victims = Victims::start(19_400);
    let bench = victims.net.client(0, &["bench", "--duration", "5s", "--as", "operator-0"]);
    assert!(bench.status.success(), "{}", text(&bench));
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
