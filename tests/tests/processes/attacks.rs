//! What strangers without a key can do to four validators: `src/attacks` plays them. While each runs, transactions
//! become final on the peers that it is aimed at, memory stays bounded, and no honest peer blocks another.

mod floods;
mod hoards;
mod transactions;

use super::{account, model, turn};
use allod_tests::{
    attacks::{Attack, Target},
    processes::{PATIENCE, Processes, wait_until},
};
use std::time::Instant;

/// Four validators, and a model to contribute to.
struct Victims {
    net: Processes,
    owner: String,
    model: String,
}

impl Victims {
    fn start(base_port: u16) -> Self {
        let net = Processes::start(4, base_port);
        let owner = account(&net, 0, "northfield");
        let model = model(&net, &owner);
        net.wait_agreement(&[0, 1, 2, 3]);
        Self { net, owner, model }
    }

    fn target(&self, peers: &[usize]) -> Target {
        Target::of(&self.net, peers)
    }

    /// Waits until an attack has sent so much.
    fn wait_sent(attack: &Attack, count: u64) {
        wait_until("the attack to be under way", || (attack.sent() >= count).then_some(()));
    }

    /// Contributes one after the other, to each validator in turn, until so many are final and the attack has sent so
    /// much more. As it waits for each, this takes as many heights.
    fn contribute(&self, attack: &Attack, count: usize, messages: u64) {
        let (begun, before) = (Instant::now(), attack.sent());
        let mut given = 0usize;
        while given < count || attack.sent() < before + messages {
            let contribution = ["contribute", &self.model, "--as", &self.owner, "--kind", "data", "--amount", "1"];
            self.net.must(given % 4, &contribution);
            given += 1;
            assert!(begun.elapsed() < PATIENCE, "{given} contributions are final, {} messages sent", attack.sent());
        }
        let (ms, sent) = (begun.elapsed().as_millis(), attack.sent() - before);
        println!("{given} contributions were final one after the other in {ms} ms, while {sent} messages were sent");
    }

    /// What strangers said where only validators speak was not even read.
    fn assert_refused_at_the_door(&self) {
        let refused = self.metric("allod_network_consensus_streams_refused_total");
        assert!(refused > 0.0, "nobody tried");
        for verdict in ["rejected", "limited"] {
            let name = format!("allod_network_gossip_messages_total{{topic=\"consensus\",verdict=\"{verdict}\"}}");
            assert!(self.metric(&name) < 1.0, "{} messages are {verdict}", self.metric(&name));
        }
        println!("{refused} streams of strangers were refused");
    }

    /// Adds a peer that follows; gives its number.
    fn add_observer(&mut self) -> usize {
        let observer = super::join_as_observer(&mut self.net);
        self.net.wait_agreement(&[0, 1, 2, 3, observer]);
        observer
    }

    /// The sum of a metric of all peers.
    fn metric(&self, name: &str) -> f64 {
        (0..4).map(|peer| self.net.metric(peer, name)).sum()
    }

    /// No peer blocks an honest one, has grown, or misses one.
    fn assert_unharmed(&self, memory_bytes: u64) {
        let ids: Vec<String> = (0..4)
            .map(|peer| {
                let status = self.net.status(peer).expect("a status");
                super::text_of(&status, "peer_id").to_owned()
            })
            .collect();
        for peer in 0..4 {
            let log = self.net.log(peer);
            let harm = |line: &&str| {
                (line.contains("blocked for ten minutes") || line.contains("is slowed"))
                    && ids.iter().any(|id| line.contains(id))
            };
            assert_eq!(log.lines().find(harm), None, "peer {peer} blames an honest one");
            let peak = self.net.peak_memory_bytes(peer);
            assert!(peak < memory_bytes, "peer {peer} took {} MB", peak >> 20);
            let (reached, total) = (
                self.net.metric(peer, "allod_consensus_reached_power"),
                self.net.metric(peer, "allod_consensus_total_power"),
            );
            assert!(reached > 0.0 && (reached - total).abs() < 0.5, "peer {peer} reaches {reached} of {total}");
        }
        self.net.wait_agreement(&[0, 1, 2, 3]);
    }
}
