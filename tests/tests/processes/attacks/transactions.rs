//! Transactions by gossip that cost much and bring nothing.

use super::{Victims, account, turn};
use allod_protocol::{agreement::host::gossip, rules::transaction::Transaction};
use allod_tests::{
    attacks::{
        Target,
        transactions::{Sender, begin_again, flood, listen, read, say},
    },
    processes::{Processes, wait_until},
};
use std::sync::mpsc;

/// What a validator may take, in bytes, whatever strangers do.
const MEMORY_BYTES: u64 = 400 << 20;
/// Waiting transactions with which a peer is busy if they are of many senders.
const BUSY: f64 = 4_000.0;

fn sender(net: &Processes, name: &str) -> Sender {
    let shown = net.must(0, &["account", "show", name]);
    Sender::of(net, name, super::super::text_of(&shown, "id").parse().expect("an id"))
}

/// The sum of a metric of some peers.
fn blocked(net: &Processes, peers: &[usize]) -> f64 {
    peers.iter().map(|peer| net.metric(*peer, "allod_network_blocked_peers")).sum()
}

#[test]
fn old_transactions_sent_again_hold_up_nobody() {
    let _turn = turn();
    let victims = Victims::start(19_600);
    account(&victims.net, 0, "replayed");
    let replayed = sender(&victims.net, "replayed");
    let transactions: Vec<Transaction> = (0..500).map(|nonce| replayed.vain(nonce)).collect();
    let attack = begin_again(victims.target(&[0, 1, 2, 3]), transactions, 20);
    let refused = "allod_mempool_refusals_total{code=\"replayed\"}";
    wait_until("all of them to be executed", || (victims.metric(refused) > 0.0).then_some(()));
    victims.contribute(&attack, 20, 100);
    drop(attack);
    let before = victims.metric(refused);
    assert!(before > 50_000.0, "only {before} copies of executed transactions were looked at");
    victims.assert_unharmed(MEMORY_BYTES);
    assert!(blocked(&victims.net, &[0, 1, 2, 3]) < 0.5, "who sends old transactions may be behind");
}

#[test]
fn accounts_that_flood_delay_themselves_alone() {
    let _turn = turn();
    let victims = Victims::start(19_700);
    let names = ["flood-a", "flood-b", "flood-c"];
    let senders = names.map(|name| {
        account(&victims.net, 0, name);
        sender(&victims.net, name)
    });
    let attack = flood(victims.target(&[0, 1, 2, 3]), senders.to_vec(), (60, 50));
    let waiting = || (0..4).map(|peer| victims.net.metric(peer, "allod_mempool_transactions")).fold(0.0, f64::max);
    wait_until("the flood to fill what keeps a peer busy", || (waiting() > BUSY).then_some(()));
    victims.contribute(&attack, 8, 20_000);
    let full = || victims.metric("allod_mempool_refusals_total{code=\"sender_full\"}");
    wait_until("the flood to meet a bound", || (full() > 0.0).then_some(()));
    drop(attack);
    victims.assert_unharmed(MEMORY_BYTES);
    wait_until("what is left of the flood to be executed", || (waiting() < 0.5).then_some(()));
}

#[test]
fn a_newcomer_that_is_behind_passes_on_nothing_that_others_blame_it_for() {
    let _turn = turn();
    let mut victims = Victims::start(19_800);
    let known = sender(&victims.net, "operator-0");
    let unknown = sender(&victims.net, "northfield");
    // A good transaction of an account that every peer knows, and a forged one of an account that a newcomer does not.
    let good: Vec<Transaction> = (0..40).map(|nonce| known.vain(nonce)).collect();
    let beside = |good: &Transaction| gossip::encode_batch(&[good.clone(), unknown.forged(good.body.nonce)]);
    let mixed: Vec<Vec<u8>> = good.iter().map(beside).collect();

    // Its only address leads nowhere.
    let nowhere = format!("/ip4/127.0.0.1/tcp/19897/p2p/{}", libp2p::PeerId::random());
    let peer = victims.newcomer(&nowhere);
    assert_eq!(victims.net.height(peer), Some(0));
    let (hear, heard) = mpsc::sync_channel(4_096);
    let ear = listen(Target::of(&victims.net, &[peer]), hear);
    wait_until("the ear to be connected", || (ear.sent() > 0).then_some(()));
    let mouth = say(Target::of(&victims.net, &[peer]), mixed.clone());
    let mut passed_on = Vec::new();
    wait_until("all good ones to be passed on", || {
        passed_on.extend(heard.try_iter());
        let said: Vec<Transaction> = passed_on.iter().flat_map(|message| read(message)).collect();
        good.iter().all(|one| said.contains(one)).then_some(())
    });
    drop((mouth, ear));
    assert_eq!(victims.net.height(peer), Some(0), "it is still behind");

    // What the newcomer said, said to those who know both accounts.
    let count = passed_on.len();
    let mouth = say(victims.target(&[0, 1, 2, 3]), passed_on);
    wait_until("all of it to be said", || (mouth.sent() >= count as u64).then_some(()));
    let received = "allod_mempool_transactions";
    wait_until("all of it to be executed", || (victims.metric(received) < 0.5).then_some(()));
    victims.assert_unharmed(MEMORY_BYTES);
    assert!(blocked(&victims.net, &[0, 1, 2, 3]) < 0.5, "an honest newcomer would be blocked");
    drop(mouth);

    // What it was given would have been held against it.
    let mouth = say(victims.target(&[0, 1, 2, 3]), mixed);
    wait_until("the forger to be blocked by all", || (blocked(&victims.net, &[0, 1, 2, 3]) > 3.5).then_some(()));
    drop(mouth);
    victims.assert_unharmed(MEMORY_BYTES);
}
