//! What strangers without a key can do to four validators: `src/attacks` plays them. While each runs, transactions
//! become final on the peers that it is aimed at, memory stays bounded, and no honest peer blocks another.
//!
//! Those that end in `_slow_` are the same with more of everything, and for longer: `tests/run --long` plays them.

mod crowds;
mod floods;
mod hoards;
mod transactions;

use super::{
    account, model,
    restarts::{Wire, rewire},
    turn,
};
use allod_tests::{
    attacks::{Attack, Target},
    processes::{PATIENCE, Processes, run, text, wait_until},
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
        Self::of(Processes::start(4, base_port))
    }

    /// The same with TCP alone.
    fn start_over_tcp(base_port: u16) -> Self {
        let mut net = Processes::init(4, base_port);
        rewire(&net, base_port, Wire::Tcp);
        for peer in 0..4 {
            net.spawn(peer);
        }
        for peer in 0..4 {
            net.wait_ready(peer);
        }
        Self::of(net)
    }

    fn of(net: Processes) -> Self {
        let owner = account(&net, 0, "northfield");
        let model = model(&net, &owner);
        net.wait_agreement(&[0, 1, 2, 3]);
        Self { net, owner, model }
    }

    /// Starts a peer that knows the genesis and one address, and gives its number.
    fn newcomer(&mut self, knows: &str) -> usize {
        let net = &mut self.net;
        let peer = net.add();
        let (api, data, genesis) = (net.api_port(peer), net.data(peer), net.data(0).join("genesis.json"));
        let (listen, api) = (format!("/ip4/127.0.0.1/tcp/{}", api + 1), format!("127.0.0.1:{api}"));
        let (genesis, keys) = (genesis.display().to_string(), net.root().join("keys").display().to_string());
        let place = ["--listen", &listen, "--api-address", &api, "--keys", &keys, "--data"];
        let made = run(&[&["init", "--genesis", &genesis, "--peer", knows][..], &place].concat(), Some(&data));
        assert!(made.status.success(), "{}", text(&made));
        net.spawn(peer);
        wait_until("the newcomer to answer", || net.status(peer));
        peer
    }

    fn id(&self, peer: usize) -> String {
        super::text_of(&self.net.status(peer).expect("a status"), "peer_id").to_owned()
    }

    /// The address of a peer at a port.
    fn address(&self, peer: usize, port: u16) -> String {
        format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", self.id(peer))
    }

    /// Publishes a file or a directory at a peer; gives the version's name.
    fn publish(&self, peer: usize, path: &std::path::Path) -> String {
        let path = path.to_str().expect("a path");
        self.net.must(peer, &["publish", path, "--model", &self.model, "--version", "1.0", "--as", &self.owner]);
        format!("{}@1.0", self.model)
    }

    /// Fills the ledger for five seconds.
    fn fill(&self) {
        self.bench(&["--duration", "5s"]);
    }

    /// Makes small blocks until the ledger has so many.
    fn fill_with_small_blocks(&self, count: u64) {
        let begun = Instant::now();
        while self.net.height(0).is_none_or(|height| height < count) {
            self.bench(&["--rate", "60", "--duration", "2s"]);
            assert!(begun.elapsed() < PATIENCE, "{count} blocks in time");
        }
    }

    fn bench(&self, how: &[&str]) {
        let bench = self.net.client(0, &[&["bench", "--as", "operator-0"], how].concat());
        assert!(bench.status.success(), "{}", text(&bench));
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

    /// The same in rounds, of which each has to end in time.
    fn endure(&self, attack: &Attack, rounds: usize) {
        (0..rounds).for_each(|_| self.contribute(attack, 12, 0));
    }

    /// The sum of a metric of all peers.
    fn metric(&self, name: &str) -> f64 {
        (0..4).map(|peer| self.net.metric(peer, name)).sum()
    }

    /// No peer blocks an honest one, has grown, or misses one.
    fn assert_unharmed(&self, memory_bytes: u64) {
        self.assert_blames_none_of(&[0, 1, 2, 3]);
        for peer in 0..4 {
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

    /// No validator blocks or slows any of these.
    fn assert_blames_none_of(&self, peers: &[usize]) {
        let ids: Vec<String> = peers.iter().map(|peer| self.id(*peer)).collect();
        for peer in 0..4 {
            let log = self.net.log(peer);
            let harm = |line: &&str| {
                (line.contains("blocked for ten minutes") || line.contains("is slowed"))
                    && ids.iter().any(|id| line.contains(id))
            };
            assert_eq!(log.lines().find(harm), None, "peer {peer} blames an honest one");
        }
    }
}
