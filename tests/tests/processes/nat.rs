//! Peers behind NATs, and on one local network: network namespaces joined by real routers that masquerade.
//!
//! ```text
//!   hospital, ward -- router a --\
//!                                  internet (relay, the only validator)
//!   lab ------------- router b --/
//! ```
//!
//! Whoever is not root makes no namespace: the tests then say so and test nothing.

use super::{text_of, turn};
use allod_tests::processes::{allod, text, wait_until};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// The relay's address, and those of the routers' outer sides.
const RELAY: &str = "10.99.0.1";
const OUTER: [&str; 2] = ["10.99.1.2", "10.99.2.2"];

/// How a router chooses the port that stands for an inner one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    /// The same, if it is free: others can find out where a peer will call from.
    Kept,
    /// Any, another for each destination ("symmetric"): nobody can.
    Random,
}

/// Runs a command that must succeed.
pub(super) fn must(command: &str) {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{command}: {error}; run: testnet/prerequisites --tests"));
    assert!(output.status.success(), "{command}: {}", text(&output));
}

/// Whether this user may make namespaces; says so if not.
pub(super) fn may_make_namespaces() -> bool {
    let user = Command::new("id").arg("-u").output().expect("id");
    let may = String::from_utf8_lossy(&user.stdout).trim() == "0";
    if !may {
        eprintln!("SKIPPED: network namespaces take root; nothing was tested between machines");
    }
    may
}

/// Namespaces, removed at the end with everything in them.
struct Internet {
    directory: tempfile::TempDir,
    peers: Vec<Child>,
}

impl Internet {
    /// None if this user may make no namespace.
    fn new(ports: Ports) -> Option<Self> {
        if !may_make_namespaces() {
            return None;
        }
        let this = Self { directory: tempfile::tempdir().unwrap(), peers: Vec::new() };
        for name in ["internet", "router-a", "router-b", "hospital", "lab", "ward"] {
            must(&format!("ip netns add {}", Self::namespace(name)));
            this.inside(name, "ip link set lo up");
        }
        this.inside("internet", &format!("ip address add {RELAY}/32 dev lo"));
        this.forward("internet");
        for (index, peers) in [&["hospital", "ward"][..], &["lab"]].into_iter().enumerate() {
            this.add_router(index, peers, ports);
        }
        Some(this)
    }

    fn namespace(name: &str) -> String {
        format!("allod-{}-{name}", std::process::id())
    }

    /// Runs a command in a namespace; it must succeed.
    fn inside(&self, name: &str, command: &str) {
        must(&format!("ip netns exec {} {command}", Self::namespace(name)));
    }

    fn forward(&self, name: &str) {
        let status = Command::new("ip")
            .args(["netns", "exec", &Self::namespace(name), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{name} forwards");
    }

    /// Joins two namespaces by a cable, whose ends are named after what they lead to.
    fn cable(&self, one: &str, two: &str) {
        let (first, second) = (Self::namespace(one), Self::namespace(two));
        must(&format!("ip link add name {two} netns {first} type veth peer name {one} netns {second}"));
        self.inside(one, &format!("ip link set {two} up"));
        self.inside(two, &format!("ip link set {one} up"));
    }

    /// A router with peers on its inner side. It lets answers in, and nothing else.
    fn add_router(&self, index: usize, peers: &[&str], ports: Ports) {
        let router = ["router-a", "router-b"][index];
        let (outer, lan) = (OUTER[index], format!("192.168.{}", index + 1));
        let gateway = format!("{}.1", outer.rsplit_once('.').unwrap().0);
        self.cable(router, "internet");
        self.inside("internet", &format!("ip address add {gateway}/24 dev {router}"));
        self.inside(router, &format!("ip address add {outer}/24 dev internet"));
        self.inside(router, &format!("ip route add default via {gateway}"));
        self.inside(router, "ip link add lan type bridge");
        self.inside(router, "ip link set lan up");
        self.inside(router, &format!("ip address add {lan}.1/24 dev lan"));
        self.forward(router);
        for (number, peer) in peers.iter().enumerate() {
            self.cable(router, peer);
            self.inside(router, &format!("ip link set {peer} master lan"));
            self.inside(peer, &format!("ip address add {lan}.{}/24 dev {router}", number + 2));
            self.inside(peer, &format!("ip route add default via {lan}.1"));
        }
        let random = if ports == Ports::Random { " --random-fully" } else { "" };
        self.inside(router, &format!("iptables -t nat -A POSTROUTING -o internet -j MASQUERADE{random}"));
        for chain in ["INPUT", "FORWARD"] {
            let answers = "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
            self.inside(router, &format!("iptables -A {chain} -i internet {answers}"));
            self.inside(router, &format!("iptables -A {chain} -i internet -j DROP"));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &Self::namespace(name)]).arg(allod()).stdin(Stdio::null());
        command
    }

    /// Starts a peer in a namespace and waits until it answers.
    fn start(&mut self, name: &str, data: &Path, flags: &[&str]) {
        let log = File::create(self.path(&format!("{name}.log"))).unwrap();
        let child = self
            .command(name)
            .args(["run", "--log-level", "info,allod::network=debug", "--api-address", "127.0.0.1:7640"])
            .args(["--listen", "/ip4/0.0.0.0/tcp/7641", "--listen", "/ip4/0.0.0.0/udp/7641/quic-v1"])
            .args(flags)
            .arg("--data")
            .arg(data)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("a peer");
        self.peers.push(child);
        wait_until(&format!("{name} to answer"), || {
            let output = self.client(name, &["status"]);
            output.status.success().then_some(())
        });
    }

    /// A peer that has the genesis, and the relay's address if there is one; gives its id.
    fn join(&mut self, name: &str, relay: Option<&str>, flags: &[&str]) -> String {
        let data = self.path(name);
        let mut init = self.command(name);
        init.env("ALLOD_KEYS", self.path("net/keys"));
        init.args(["init", "--genesis"]).arg(self.path("net/node-0/genesis.json")).arg("--data").arg(&data);
        if let Some(relay) = relay {
            init.args(["--peer", relay]);
        }
        let output = init.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        self.start(name, &data, flags);
        self.id(name)
    }

    /// Runs a client command at a namespace's peer.
    fn client(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(name);
        // All have the same address, each in its namespace.
        let data = self.path(if name == "internet" { "net/node-0" } else { name });
        command.env("ALLOD_KEYS", self.path("net/keys")).env("ALLOD_TOKEN_FILE", data.join("api.token"));
        command.arg("--json").args(arguments);
        command.output().expect("the client runs")
    }

    fn must(&self, name: &str, arguments: &[&str]) -> Value {
        let output = self.client(name, arguments);
        assert!(output.status.success(), "{name}: {arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn id(&self, name: &str) -> String {
        text_of(&self.must(name, &["status"]), "peer_id").to_owned()
    }

    fn wait_connected(&self, name: &str, peer: &str) {
        wait_until(&format!("{name} to be connected to {peer}"), || {
            let peers = self.must(name, &["peers"]);
            peers.as_array()?.iter().any(|other| text_of(other, "peer_id") == peer).then_some(())
        });
    }

    /// Whether a peer's log has a line with all of these in it.
    fn logged(&self, name: &str, words: &[&str]) -> bool {
        self.log(name).lines().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// The network of one validator, which relays; gives its address.
    fn start_relay(&mut self) -> String {
        let net = self.path("net");
        let output = Command::new(allod())
            .args(["testnet", "init", "--nodes", "1", "--base-port", "19200", "--output"])
            .arg(&net)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let external = format!("/ip4/{RELAY}/tcp/7641");
        self.start("internet", &net.join("node-0"), &["--external", &external, "--relay", "true"]);
        format!("{external}/p2p/{}", self.id("internet"))
    }

    /// Publishes a file at the hospital, so that the laboratory knows of it; gives its bytes.
    fn publish(&self) -> Vec<u8> {
        let bytes = b"weights ".repeat(200_000);
        let file = self.path("weights.bin");
        fs::write(&file, &bytes).unwrap();
        let file = file.display().to_string();
        let arguments = ["publish", &file, "--model", "northfield/digits", "--version", "1.0", "--as", "northfield"];
        let height = self.must("hospital", &arguments).get("height").and_then(Value::as_u64);
        wait_until("the version to be known at the laboratory", || {
            (self.must("lab", &["status"]).get("height").and_then(Value::as_u64) >= height).then_some(())
        });
        bytes
    }

    /// Fetches it at the laboratory.
    fn fetch(&self, bytes: &[u8]) {
        let copy = self.path("copy.bin");
        self.must("lab", &["fetch", "northfield/digits@1.0", "--output", &copy.display().to_string()]);
        assert!(fs::read(&copy).unwrap() == bytes, "the copy is the file");
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        for peer in &mut self.peers {
            // It may have ended.
            let _ = peer.kill();
            let _ = peer.wait();
        }
        for name in ["hospital", "lab", "ward", "router-a", "router-b", "internet"] {
            if std::thread::panicking() && self.path(&format!("{name}.log")).exists() {
                println!("the log of {name}:\n{}", self.log(name));
            }
            let _ = Command::new("ip").args(["netns", "delete", &Self::namespace(name)]).status();
        }
    }
}

/// A relay, and two peers behind routers that find out that nobody reaches them; gives the first one's id.
fn two_behind_routers(internet: &mut Internet) -> String {
    let relay = internet.start_relay();
    internet
        .must("internet", &["account", "create", "northfield", "--new-key", "northfield", "--sponsor", "operator-0"]);
    let model = ["model", "create", "digits", "--as", "northfield", "--holder", "northfield=100"];
    internet.must("internet", &model);
    let a = internet.join("hospital", Some(&relay), &[]);
    internet.join("lab", Some(&relay), &[]);
    for name in ["hospital", "lab"] {
        wait_until(&format!("{name} to have a place at the relay"), || {
            let status = internet.must(name, &["status"]);
            status.get("listen_addresses")?.to_string().contains("p2p-circuit").then_some(())
        });
        assert!(internet.logged(name, &["others cannot reach this peer"]));
    }
    a
}

#[test]
fn a_file_published_behind_one_nat_is_fetched_behind_another_through_a_relay() {
    let _turn = turn();
    let Some(mut internet) = Internet::new(Ports::Random) else { return };
    let a = two_behind_routers(&mut internet);
    internet.wait_connected("lab", &a);
    let bytes = internet.publish();
    internet.fetch(&bytes);
    let relayed = ["hospital", "lab"].map(|name| internet.logged(name, &[": connected ", "p2p-circuit"]));
    assert_eq!(relayed, [true, true], "the two met through the relay");
    for outer in OUTER {
        let direct =
            ["hospital", "lab"].map(|name| internet.logged(name, &[": connected ", &format!("/ip4/{outer}/")]));
        assert_eq!(direct, [false, false], "no way leads through these NATs");
    }
}

#[test]
fn two_peers_behind_nats_that_keep_ports_come_to_need_no_relay() {
    let _turn = turn();
    let Some(mut internet) = Internet::new(Ports::Kept) else { return };
    let a = two_behind_routers(&mut internet);
    let bytes = internet.publish();
    internet.wait_connected("lab", &a);
    wait_until("a direct connection", || {
        let punched = ["hospital", "lab"].map(|name| internet.logged(name, &["a direct connection takes the place"]));
        punched.contains(&true).then_some(())
    });
    wait_until("the relayed connection to be closed", || {
        let closed = ["hospital", "lab"].map(|name| internet.logged(name, &["closing a relayed connection"]));
        closed.contains(&true).then_some(())
    });
    // The relay is the first process.
    let relay = internet.id("internet");
    internet.peers[0].kill().unwrap();
    internet.peers[0].wait().unwrap();
    wait_until("the relay to be missed", || {
        internet.logged("lab", &[": disconnected ", &relay, "num_established=0"]).then_some(())
    });
    internet.fetch(&bytes);
}

#[test]
fn a_peer_that_knows_nobody_finds_one_on_the_local_network() {
    let _turn = turn();
    let Some(mut internet) = Internet::new(Ports::Kept) else { return };
    let relay = internet.start_relay();
    internet.must("internet", &["account", "create", "northfield", "--new-key", "n", "--sponsor", "operator-0"]);
    let a = internet.join("hospital", Some(&relay), &["--mdns", "true"]);
    internet.join("ward", None, &["--mdns", "true"]);
    internet.wait_connected("ward", &a);
    wait_until("the ward to catch up through the hospital", || {
        let heights = ["internet", "ward"].map(|name| internet.must(name, &["status"]).get("height").cloned());
        (heights[0] == heights[1] && heights[0] != Some(Value::from(0))).then_some(())
    });
}
