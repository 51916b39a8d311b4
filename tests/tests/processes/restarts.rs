//! Peers that are back before anybody noticed that they were gone: killed and started again at once, over TCP and over
//! QUIC, and on a machine that vanished from the network while it happened. Each time the peer that came back must hear
//! the others and be heard: a transaction handed in to it becomes final.

use super::{account, model, nat, turn};
use allod_tests::processes::{Processes, allod, text, wait_until};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const VALIDATORS: usize = 4;
const RESTARTS: usize = 50;
/// From the restart until what a client hands in there is final: far above the few seconds that it takes, far below the
/// minutes for which a mute peer was mute.
const PATIENCE: Duration = Duration::from_secs(20);

/// The kinds of connections that a network is left with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Tcp,
    Quic,
}

/// Leaves every peer of a network one kind of addresses to listen on and to dial.
pub(super) fn rewire(net: &Processes, base_port: u16, wire: Wire) {
    let ports: Vec<u16> = (0u16..).map(|peer| base_port + 10 * peer + 1).take(VALIDATORS).collect();
    for (peer, port) in ports.iter().enumerate() {
        let path = net.data(peer).join("config.toml");
        let mut config = fs::read_to_string(&path).unwrap();
        let mut replace = |before: &str, after: &str| {
            assert!(config.contains(before), "{before} is in {config}");
            config = config.replace(before, after);
        };
        let (tcp, quic) = (format!("\"/ip4/127.0.0.1/tcp/{port}\""), format!("\"/ip4/127.0.0.1/udp/{port}/quic-v1\""));
        match wire {
            Wire::Tcp => replace(&format!(", {quic}"), ""),
            Wire::Quic => {
                replace(&format!("{tcp}, "), "");
                for other in ports.iter().filter(|other| *other != port) {
                    replace(&format!("/tcp/{other}/p2p/"), &format!("/udp/{other}/quic-v1/p2p/"));
                }
            }
        }
        fs::write(&path, config).unwrap();
    }
}

fn restart_all_the_time(base_port: u16, wire: Wire) {
    let mut net = Processes::init(VALIDATORS, base_port);
    rewire(&net, base_port, wire);
    for peer in 0..VALIDATORS {
        net.spawn(peer);
    }
    for peer in 0..VALIDATORS {
        net.wait_ready(peer);
    }
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let mut longest = Duration::ZERO;
    for restart in 0..RESTARTS {
        let victim = restart % VALIDATORS;
        net.kill(victim);
        net.spawn(victim);
        let begun = Instant::now();
        net.wait_ready(victim);
        let amount = (restart + 1).to_string();
        net.must(victim, &["contribute", &model, "--as", &owner, "--kind", "data", "--amount", &amount]);
        assert!(begun.elapsed() < PATIENCE, "restart {restart}: {:?}; its log:\n{}", begun.elapsed(), net.log(victim));
        longest = longest.max(begun.elapsed());
    }
    println!("{RESTARTS} restarts, each heard within {longest:?}");
    net.wait_agreement(&[0, 1, 2, 3]);
}

#[test]
fn fifty_restarts_at_once_over_tcp_leave_nobody_mute() {
    let _turn = turn();
    restart_all_the_time(19_300, Wire::Tcp);
}

#[test]
fn fifty_restarts_at_once_over_quic_leave_nobody_mute() {
    let _turn = turn();
    restart_all_the_time(19_400, Wire::Quic);
}

/// Four machines on one switch, each a network namespace with a peer in it; removed at the end.
struct Machines {
    directory: tempfile::TempDir,
    peers: Vec<Option<Child>>,
}

impl Machines {
    /// None if this user may make no namespace.
    fn new() -> Option<Self> {
        if !nat::may_make_namespaces() {
            return None;
        }
        let this = Self { directory: tempfile::tempdir().unwrap(), peers: (0..VALIDATORS).map(|_| None).collect() };
        nat::must(&format!("ip netns add {}", Self::space("switch")));
        nat::must(&format!("ip netns exec {} ip link add lan type bridge", Self::space("switch")));
        nat::must(&format!("ip netns exec {} ip link set lan up", Self::space("switch")));
        nat::must(&format!("ip netns exec {} ip link add far type bridge", Self::space("switch")));
        nat::must(&format!("ip netns exec {} ip link set far up", Self::space("switch")));
        let root = this.directory.path().join("net");
        let count = VALIDATORS.to_string();
        let output = Command::new(allod())
            .args(["testnet", "init", "--nodes", &count, "--base-port", "19500", "--output"])
            .arg(&root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        for peer in 0..VALIDATORS {
            this.plug_in(peer);
            // Every peer is at its machine's address now.
            let path = this.data(peer).join("config.toml");
            let mut config = fs::read_to_string(&path).unwrap();
            for other in 0..VALIDATORS {
                for kind in ["tcp", "udp"] {
                    let port = 19_501 + 10 * other;
                    let (before, after) =
                        (format!("/ip4/127.0.0.1/{kind}/{port}"), format!("/ip4/{}/{kind}/{port}", address(other)));
                    config = config.replace(&before, &after);
                }
            }
            fs::write(&path, config).unwrap();
        }
        Some(this)
    }

    fn space(name: &str) -> String {
        format!("allod-{}-machine-{name}", std::process::id())
    }

    fn inside(peer: usize, command: &str) {
        nat::must(&format!("ip netns exec {} {command}", Self::space(&peer.to_string())));
    }

    /// Makes a machine and its cable to the switch.
    fn plug_in(&self, peer: usize) {
        let (machine, switch) = (Self::space(&peer.to_string()), Self::space("switch"));
        nat::must(&format!("ip netns add {machine}"));
        nat::must(&format!("ip link add name lan netns {machine} type veth peer name m{peer} netns {switch}"));
        nat::must(&format!("ip netns exec {switch} ip link set m{peer} master lan up"));
        Self::inside(peer, "ip link set lo up");
        Self::inside(peer, "ip link set lan up");
        Self::inside(peer, &format!("ip address add {}/24 dev lan", address(peer)));
    }

    /// Pulls a machine's cable, or puts it back: nothing that a dying process says gets out meanwhile.
    fn set_cable(peer: usize, state: &str) {
        nat::must(&format!("ip netns exec {} ip link set m{peer} {state}", Self::space("switch")));
    }

    /// Puts a machine's cable into another switch: `lan`, or `far`, which no cable joins to it.
    fn plug_into(peer: usize, switch: &str) {
        nat::must(&format!("ip netns exec {} ip link set m{peer} master {switch}", Self::space("switch")));
    }

    fn data(&self, peer: usize) -> PathBuf {
        self.directory.path().join(format!("net/node-{peer}"))
    }

    fn log(&self, peer: usize) -> PathBuf {
        self.directory.path().join(format!("{peer}.log"))
    }

    fn command(peer: usize) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &Self::space(&peer.to_string())]).arg(allod()).stdin(Stdio::null());
        command
    }

    fn spawn(&mut self, peer: usize) {
        let log = File::options().create(true).append(true).open(self.log(peer)).unwrap();
        let child = Self::command(peer)
            .args(["run", "--data"])
            .arg(self.data(peer))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("a peer");
        self.peers[peer] = Some(child);
    }

    fn kill(&mut self, peer: usize) {
        if let Some(mut child) = self.peers[peer].take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("the end of the peer");
        }
    }

    fn client_of(&self, peer: usize, arguments: &[&str]) -> Command {
        let mut command = Self::command(peer);
        command.env("ALLOD_KEYS", self.directory.path().join("net/keys"));
        command.args(["--json", "--api", &format!("http://127.0.0.1:{}", 19_500 + 10 * peer)]).args(arguments);
        command
    }

    fn client(&self, peer: usize, arguments: &[&str]) -> Output {
        self.client_of(peer, arguments).output().expect("the client runs")
    }

    fn must(&self, peer: usize, arguments: &[&str]) -> Value {
        let output = self.client(peer, arguments);
        assert!(output.status.success(), "{peer}: {arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn status(&self, peer: usize) -> Option<Value> {
        serde_json::from_slice(&self.client(peer, &["status"]).stdout).ok()
    }

    fn wait_ready(&self, peer: usize) {
        wait_until(&format!("machine {peer}"), || {
            let status = self.status(peer)?;
            (status["cut_off"] == false && status["catching_up"] == false).then_some(())
        });
    }

    /// Starts every peer, and a model that contributions are given to.
    fn found(&mut self) {
        for peer in 0..VALIDATORS {
            self.spawn(peer);
        }
        for peer in 0..VALIDATORS {
            self.wait_ready(peer);
        }
        self.must(0, &["account", "create", "northfield", "--new-key", "northfield", "--sponsor", "operator-0"]);
        self.must(0, &["model", "create", "digits", "--as", "northfield", "--holder", "northfield=100"]);
    }

    /// Waits until a contribution that is handed in to a peer is final.
    fn contribute(&self, peer: usize, amount: usize) {
        let amount = amount.to_string();
        self.must(
            peer,
            &["contribute", "northfield/digits", "--as", "northfield", "--kind", "data", "--amount", &amount],
        );
    }
}

fn address(peer: usize) -> String {
    format!("10.98.0.{}", peer + 1)
}

impl Drop for Machines {
    fn drop(&mut self) {
        for peer in 0..VALIDATORS {
            self.kill(peer);
            if std::thread::panicking() {
                println!("the log of {peer}:\n{}", read(&self.log(peer)));
            }
            let _ = Command::new("ip").args(["netns", "delete", &Self::space(&peer.to_string())]).status();
        }
        let _ = Command::new("ip").args(["netns", "delete", &Self::space("switch")]).status();
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn machines_that_vanish_and_come_back_leave_nobody_mute() {
    let _turn = turn();
    let Some(mut machines) = Machines::new() else { return };
    machines.found();
    let mut longest = Duration::ZERO;
    for restart in 0..RESTARTS {
        let victim = restart % VALIDATORS;
        Machines::set_cable(victim, "down");
        machines.kill(victim);
        machines.spawn(victim);
        Machines::set_cable(victim, "up");
        let begun = Instant::now();
        machines.wait_ready(victim);
        machines.contribute(victim, restart + 1);
        assert!(begun.elapsed() < PATIENCE, "restart {restart}: {:?}", begun.elapsed());
        longest = longest.max(begun.elapsed());
    }
    println!("{RESTARTS} restarts, each heard within {longest:?}");
}

/// The process lives on, and one side closes what the other still holds for good.
#[test]
fn a_machine_whose_cable_was_out_for_a_while_says_so_and_is_heard_again() {
    let _turn = turn();
    let Some(mut machines) = Machines::new() else { return };
    machines.found();
    for victim in 0..2 {
        Machines::set_cable(victim, "down");
        wait_until("the machine to notice", || (machines.status(victim)?["cut_off"] == true).then_some(()));
        wait_until("its log to say so", || read(&machines.log(victim)).contains("not ready: ").then_some(()));
        machines.contribute(3, 1);
        Machines::set_cable(victim, "up");
        machines.wait_ready(victim);
        machines.contribute(victim, 1);
        wait_until("its log to say that it is over", || {
            let log = read(&machines.log(victim));
            let (began, ended) = (log.matches("not ready: ").count(), log.matches("no longer ").count());
            (began == ended).then_some(())
        });
    }
}

#[test]
fn two_of_four_on_each_side_decide_nothing_and_go_on_when_they_meet() {
    let _turn = turn();
    let Some(mut machines) = Machines::new() else { return };
    machines.found();
    let all = || -> Option<Vec<Value>> { (0..VALIDATORS).map(|peer| machines.status(peer)).collect() };
    let agreed = || {
        let states: Vec<_> = all()?.iter().map(|one| (one["height"].clone(), one["state_root"].clone())).collect();
        states.iter().all(|state| *state == states[0]).then(|| states[0].clone())
    };
    let (before, _) = wait_until("all to agree", agreed);
    for peer in [2, 3] {
        Machines::plug_into(peer, "far");
    }
    wait_until("all to notice", || all()?.iter().all(|one| one["cut_off"] == true).then_some(()));
    let waiting: Vec<Child> = [(0, "1"), (2, "2")]
        .map(|(peer, amount)| {
            let give = ["contribute", "northfield/digits", "--as", "northfield", "--kind", "data", "--amount", amount];
            machines.client_of(peer, &give).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a client")
        })
        .into();
    wait_until("both sides to have what is handed in", || {
        all()?.iter().all(|one| one["mempool_transactions"].as_u64() > Some(0)).then_some(())
    });
    // They go on trying meanwhile.
    for _ in 0..15 {
        let heights: Vec<Value> = all().expect("all answer").iter().map(|one| one["height"].clone()).collect();
        assert!(
            heights.iter().all(|height| *height == before),
            "half of the power decided: {heights:?}, from {before}"
        );
    }

    for peer in [2, 3] {
        Machines::plug_into(peer, "lan");
    }
    let begun = Instant::now();
    for client in waiting {
        let output = client.wait_with_output().expect("a client");
        assert!(output.status.success(), "{}", text(&output));
    }
    let healed = begun.elapsed();
    assert!(healed < PATIENCE, "final {healed:?} after the healing");
    println!("what both sides were handed is final {healed:?} after they met");
    let (after, _) = wait_until("all to agree again", agreed);
    assert!(after.as_u64() > before.as_u64());
    wait_until("all to reach all", || all()?.iter().all(|one| one["cut_off"] == false).then_some(()));
}
