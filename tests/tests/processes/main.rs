//! Real peers in real processes: killed, broken, refused, scraped. One test at a time: they share two cores and real
//! timeouts (see `.config/nextest.toml`).

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod access;
mod attacks;
mod decisions;
mod deeds;
mod inbox;
mod interop;
mod lists;
mod nat;
mod restarts;
mod storing;
mod tokens;
mod transfers;
mod truth;

use allod_tests::{
    processes::{Processes, allod, get, run, text, wait_until},
    small_disk::SmallDisk,
};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use std::{
    fs,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// With a runner that uses threads, the tests still take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Makes an account under an operator; gives its handle back.
fn account(net: &Processes, peer: usize, handle: &str) -> String {
    net.must(peer, &["account", "create", handle, "--new-key", handle, "--sponsor", "operator-0"]);
    handle.to_owned()
}

/// Founds a model held by one account.
fn model(net: &Processes, owner: &str) -> String {
    let holder = format!("{owner}=100");
    net.must(0, &["model", "create", "digits", "--as", owner, "--holder", &holder, "--voting-period", "1s"]);
    format!("{owner}/digits")
}

#[test]
fn fifty_kills_at_random_moments_lose_nothing() {
    let _turn = turn();
    let mut net = Processes::start(4, 18_100);
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut given = 0u32;
    for kill in 0..50 {
        let victim = random.random_range(0..4);
        let client = (victim + 1) % 4;
        // Under load: a client submits while the victim dies somewhere in the middle.
        let mut load = Command::new(allod())
            .env("ALLOD_KEYS", net.root().join("keys"))
            .args(["--json", "--api", &net.api(client), "contribute", &model, "--as", &owner, "--kind", "data"])
            .args(["--amount", "1", "--note", &kill.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a client");
        std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
        net.kill(victim);
        given += u32::from(load.wait().expect("a client").success());
        net.spawn(victim);
        net.wait_ready(victim);
    }
    net.wait_agreement(&[0, 1, 2, 3]);
    assert_eq!(given, 50, "three of four validators decide whatever happens to the fourth");
    let listed = net.must(0, &["contribute", "list", &model, "--limit", "500"]);
    let count = listed.get("items").or(Some(&listed)).and_then(Value::as_array).map(Vec::len);
    assert_eq!(count, Some(50), "every contribution is there once");
}

#[test]
fn all_at_once_lose_their_power_and_go_on() {
    let _turn = turn();
    let mut net = Processes::start(4, 18_200);
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let before = net.wait_agreement(&[0, 1, 2, 3]);
    for peer in 0..4 {
        net.kill(peer);
    }
    for peer in 0..4 {
        net.spawn(peer);
    }
    for peer in 0..4 {
        net.wait_ready(peer);
    }
    net.must(2, &["contribute", &model, "--as", &owner, "--kind", "code", "--amount", "1"]);
    assert!(net.wait_agreement(&[0, 1, 2, 3]) > before);
}

/// A further peer, started with the genesis and the first peer's address; gives its number once it is ready.
fn join_as_observer(net: &mut Processes) -> usize {
    let status = net.status(0).expect("status");
    // Peers listen on the port after that of their API.
    let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", net.api_port(0) + 1, text_of(&status, "peer_id"));
    let peer = net.add();
    let api = format!("127.0.0.1:{}", net.api_port(peer));
    let listen = format!("/ip4/127.0.0.1/tcp/{}", net.api_port(peer) + 1);
    let output = Command::new(allod())
        .env("ALLOD_KEYS", net.root().join("keys"))
        .args(["--json", "init", "--peer", &address, "--api-address", &api, "--listen", &listen])
        .arg("--genesis")
        .arg(net.data(0).join("genesis.json"))
        .arg("--data")
        .arg(net.data(peer))
        .output()
        .expect("init");
    assert!(output.status.success(), "{}", text(&output));
    net.spawn(peer);
    net.wait_ready(peer);
    peer
}

#[test]
fn an_observer_follows_by_the_blocks_that_are_pushed_to_it() {
    let _turn = turn();
    let mut net = Processes::start(4, 18_350);
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let peer = join_as_observer(&mut net);
    let before = net.wait_agreement(&[0, 1, 2, 3, peer]);
    let count = |topic: &str, verdict: &str| {
        let name = "allod_network_gossip_messages_total";
        net.metric(peer, &format!("{name}{{topic=\"{topic}\",verdict=\"{verdict}\"}}"))
    };
    let blocks = || count("block", "accepted");
    // The first blocks may be asked for: others learn a moment later what it wants to hear.
    let contribute = || net.must(0, &["contribute", &model, "--as", &owner, "--kind", "data", "--amount", "1"]);
    wait_until("a block to be pushed", || {
        contribute();
        (blocks() > 0.0).then_some(())
    });
    let (pushed, from) = (blocks(), net.wait_agreement(&[0, 1, 2, 3, peer]));
    assert!(from > before);
    for _ in 0..20 {
        contribute();
    }
    let heights = net.wait_agreement(&[0, 1, 2, 3, peer]) - from;
    let pushed = blocks() - pushed;
    println!("{pushed} of {heights} blocks were taken as they were pushed");
    assert!(pushed >= 0.9 * heights as f64, "{pushed} of {heights} blocks");
    assert!(count("consensus", "received") + count("consensus", "published") < 1.0, "it has no part in consensus");
    assert!(net.metric(0, "allod_network_consensus_streams_refused_total") < 1.0);
}

#[test]
fn an_outsider_joins_with_the_genesis_and_one_address_and_is_admitted() {
    let _turn = turn();
    let mut net = Processes::start(4, 18_300);
    account(&net, 0, "northfield");
    let peer = join_as_observer(&mut net);
    let data = net.data(peer);
    net.wait_agreement(&[0, 1, 2, 3, peer]);
    let status = net.status(peer).expect("status");
    assert_eq!(text_of(&status, "role"), "observer");

    let key = text_of(&status, "validator_key");
    let opened = net.must(
        peer,
        &[
            "propose",
            "admit-validator",
            "--key",
            key,
            "--operator",
            "operator-1",
            "--as",
            "operator-0",
            "--title",
            "admit",
        ],
    );
    let proposal = text_of(&opened, "proposal").to_owned();
    for operator in ["operator-0", "operator-1", "operator-2"] {
        net.must(0, &["vote", &proposal, "yes", "--as", operator]);
    }
    // A decision waits for its operator to accept, with the word of the validator's own key.
    let data = data.display().to_string();
    net.must(peer, &["office", "accept", "--validator", key, "--data", &data, "--as", "operator-1"]);
    net.must(0, &["proposals", "wait", &proposal]);
    wait_until("the newcomer to vote", || {
        net.status(peer).filter(|status| text_of(status, "role") == "validator").map(|_| ())
    });
    account(&net, peer, "lakeside");
    net.wait_agreement(&[0, 1, 2, 3, peer]);
}

#[test]
fn a_directory_that_is_not_this_peers_is_refused_with_a_reason() {
    let _turn = turn();
    let mut net = Processes::start(2, 18_400);
    net.wait_agreement(&[0, 1]);

    // In use.
    let output = run(&["run", "--api-address", "127.0.0.1:18499", "--data"], Some(&net.data(0)));
    assert!(!output.status.success());
    assert!(text(&output).contains("use"), "{}", text(&output));

    // A port in use.
    net.kill(1);
    let output = run(&["run", "--api-address", "127.0.0.1:18400", "--data"], Some(&net.data(1)));
    assert!(!output.status.success());
    assert!(text(&output).contains("18400"), "{}", text(&output));

    // Another network's genesis over this one's data.
    let other = Processes::init(1, 18_450);
    fs::copy(other.data(0).join("genesis.json"), net.data(1).join("genesis.json")).expect("copied");
    net.spawn(1);
    let log = net.wait_end(1);
    assert!(log.contains("network"), "{log}");
    fs::copy(net.data(0).join("genesis.json"), net.data(1).join("genesis.json")).expect("copied");

    // A key that does not exist.
    let config = net.data(1).join("config.toml");
    let before = fs::read_to_string(&config).expect("config");
    fs::write(&config, format!("api_adress = \"127.0.0.1:1\"\n{before}")).expect("written");
    let output = run(&["run", "--data"], Some(&net.data(1)));
    assert!(!output.status.success());
    assert!(text(&output).contains("api_address"), "{}", text(&output));
    fs::write(&config, before).expect("written");

    // And as it was, it runs.
    net.spawn(1);
    net.wait_ready(1);
}

#[test]
fn a_peer_stops_on_a_full_disk_and_goes_on_once_there_is_room() {
    let _turn = turn();
    let mut net = Processes::init(4, 18_600);
    let Some(disk) = SmallDisk::mount(&net.data(3), 64) else { return };
    for peer in 0..4 {
        net.spawn(peer);
    }
    for peer in 0..4 {
        net.wait_ready(peer);
    }
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    net.wait_agreement(&[0, 1, 2, 3]);

    disk.fill();
    let contribute =
        |net: &Processes| net.must(0, &["contribute", &model, "--as", &owner, "--kind", "data", "--amount", "1"]);
    wait_until("peer 3 to meet its full disk", || {
        contribute(&net);
        net.has_ended(3).then_some(())
    });
    let log = net.wait_end(3);
    for word in [net.data(3).to_str().expect("a path"), "is full", "free some space", "start it again"] {
        assert!(log.contains(word), "{word} is missing in\n{log}");
    }
    contribute(&net);
    let before = net.wait_agreement(&[0, 1, 2]);

    // Started too early, it says the same again. What it had reserved has become free.
    disk.fill();
    net.spawn(3);
    let log = net.wait_end(3);
    assert_eq!(log.matches("free some space and start it again").count(), 2, "{log}");

    disk.make_room();
    net.spawn(3);
    net.wait_ready(3);
    contribute(&net);
    assert!(net.wait_agreement(&[0, 1, 2, 3]) > before);
}

/// Every file below a directory, by its path in it.
fn files_below(directory: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path.display().to_string());
        }
    }
    files
}

#[test]
fn a_fetch_into_a_full_disk_leaves_nothing_and_works_once_there_is_room() {
    let _turn = turn();
    let mut net = Processes::init(2, 18_700);
    let Some(disk) = SmallDisk::mount(&net.data(1), 256) else { return };
    for peer in 0..2 {
        net.spawn(peer);
    }
    for peer in 0..2 {
        net.wait_ready(peer);
    }
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let weights = net.root().join("weights.bin");
    let bytes: Vec<u8> = (0..6_000_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&weights, &bytes).expect("written");
    let version = format!("{model}@1.0");
    let path = weights.to_str().expect("a path");
    net.must(0, &["publish", path, "--model", &model, "--version", "1.0", "--as", &owner]);
    net.wait_agreement(&[0, 1]);
    let store = net.data(1).join("artifacts");
    let empty = files_below(&store);

    // Not enough for the artifact, enough for the ledger.
    disk.fill_but(32);
    let refused = net.client(1, &["fetch", &version]);
    assert!(!refused.status.success());
    assert!(text(&refused).contains("reserve") && text(&refused).contains("free some space"), "{}", text(&refused));
    assert_eq!(files_below(&store), empty, "nothing is left of the attempt");
    assert!(net.status(1).is_some(), "and the peer goes on");
    disk.make_room();
    net.must(1, &["fetch", &version]);
    net.must(1, &["artifacts", "verify", &version]);

    // The copy that is written out meets a disk that is full in the middle of it.
    let target = net.root().join("target");
    fs::create_dir(&target).expect("a directory");
    let Some(small) = SmallDisk::mount(&target, 8) else { return };
    let copy = target.join("weights.bin");
    let output = ["fetch", &version, "--output", copy.to_str().expect("a path")];
    let refused = net.client(1, &output);
    assert!(!refused.status.success());
    assert!(text(&refused).contains("no space left to write"), "{}", text(&refused));
    assert_eq!(files_below(&target), Vec::<String>::new(), "nothing is left of the copy");
    drop(small);
    net.must(1, &output);
    assert!(fs::read(&copy).expect("the copy") == bytes);
}

#[test]
fn a_watcher_misses_nothing_while_its_peer_is_away() {
    let _turn = turn();
    let mut net = Processes::start(4, 18_800);
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    net.wait_agreement(&[0, 1, 2, 3]);
    let told = net.root().join("told");
    let mut watcher = Command::new(allod())
        .args(["--json", "--api", &net.api(3), "watch"])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&told).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("a watcher");
    let told = || -> Vec<String> {
        let text = fs::read_to_string(&told).expect("what it was told");
        let notices = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let results = notices.flat_map(|notice| notice["results"].as_array().cloned().unwrap_or_default());
        let events = results.flat_map(|result| result["events"].as_array().cloned().unwrap_or_default());
        events.filter_map(|event| Some(event["contribution_recorded"]["contribution"].as_str()?.to_owned())).collect()
    };
    let contribute = |net: &Processes| -> String {
        let given = net.must(0, &["contribute", &model, "--as", &owner, "--kind", "data", "--amount", "1"]);
        text_of(&given, "contribution").to_owned()
    };
    let mut given = Vec::new();
    wait_until("the watcher to listen", || {
        given.push(contribute(&net));
        (!told().is_empty()).then_some(())
    });
    let first = told()[0].clone();
    net.kill(3);
    given.extend((0..5).map(|_| contribute(&net)));
    net.spawn(3);
    net.wait_ready(3);
    given.push(contribute(&net));
    let last = given.last().expect("a contribution");
    wait_until("the watcher to hear the last", || told().contains(last).then_some(()));
    watcher.kill().expect("killed");
    watcher.wait().expect("ended");
    let since: Vec<String> = given.into_iter().skip_while(|one| *one != first).collect();
    assert_eq!(told(), since, "each once, in order");
}

#[test]
fn prometheus_scrapes_every_peer() {
    let _turn = turn();
    if Command::new("prometheus").arg("--version").output().is_err() {
        println!("prometheus is not installed here: nothing was scraped");
        return;
    }
    let net = Processes::start(4, 18_500);
    account(&net, 0, "northfield");
    for peer in 0..4 {
        let (status, metrics) = get(net.api_port(peer), "/metrics").expect("metrics");
        assert_eq!(status, 200);
        let mut check = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool comes with prometheus");
        std::io::Write::write_all(&mut check.stdin.take().expect("stdin"), metrics.as_bytes()).expect("written");
        let output = check.wait_with_output().expect("promtool");
        assert!(output.status.success(), "{}", text(&output));
    }
    let targets: Vec<String> = (0..4).map(|peer| format!("'127.0.0.1:{}'", net.api_port(peer))).collect();
    let config = net.root().join("prometheus.yml");
    let scrape = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: allod\n  static_configs:\n  - targets: [{}]\n",
        targets.join(", ")
    );
    fs::write(&config, scrape).expect("written");
    let mut server = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", net.root().join("prometheus").display()))
        .arg("--web.listen-address=127.0.0.1:18599")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus");
    let scraped = std::panic::catch_unwind(|| {
        wait_until("four scraped peers", || {
            let (_, body) = get(18_599, "/api/v1/query?query=allod_consensus_height")?;
            (body.matches("18").count() >= 4 && body.matches("\"instance\":\"127.0.0.1:185").count() == 4).then_some(())
        });
    });
    server.kill().expect("killed");
    server.wait().expect("ended");
    assert!(scraped.is_ok());
}

#[test]
fn the_whole_story_is_told_by_one_command() {
    let _turn = turn();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let testnet = |command: &str, arguments: &[&str]| {
        Command::new(format!("{root}/testnet/{command}"))
            .args(arguments)
            .env("ALLOD_TESTNET_DIR", directory.path().join("run"))
            // Cargo builds ring and what needs it anew when this differs.
            .env_remove("CARGO_MANIFEST_DIR")
            .stdin(Stdio::null())
            .output()
            .expect("a testnet command")
    };
    let up = testnet("up", &[]);
    let joined = testnet("join", &["--admit"]);
    let again = testnet("up", &[]);
    let down = testnet("down", &[]);
    assert!(up.status.success(), "{}", text(&up));
    let story = text(&up);
    for line in ["executed in block", "byte for byte", "194 of 1,488", "allod_consensus_height"] {
        assert!(story.contains(line), "{line} is missing in\n{story}");
    }
    assert!(joined.status.success(), "{}", text(&joined));
    assert!(text(&joined).contains("is a validator"), "{}", text(&joined));
    assert!(!again.status.success() && text(&again).contains("testnet/down"), "{}", text(&again));
    assert!(down.status.success(), "{}", text(&down));
}
