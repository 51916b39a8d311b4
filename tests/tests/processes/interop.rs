//! A peer in another language: js-libp2p, at the versions of `tests/interop/package-lock.json`, asks a network of real
//! peers by its library's ordinary calls.

use super::{account, model, text_of, turn};
use allod_tests::processes::{Processes, text, wait_until};
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What to do where the other peer cannot be installed.
const REMEDY: &str = "this test needs Node.js 18 or newer with npm (testnet/prerequisites --tests installs them) and an \
                      npm registry, which NPM_CONFIG_REGISTRY may name";

/// A directory that holds the other peer, its packages installed.
fn install(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    let copy = directory.join("interop");
    fs::create_dir(&copy).expect("a directory");
    for file in ["package.json", "package-lock.json", "find-providers.js", "older-node.js"] {
        fs::copy(source.join(file), copy.join(file)).expect("a file of tests/interop");
    }
    let install = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&copy)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("npm cannot be run ({error}); {REMEDY}"));
    assert!(install.status.success(), "npm ci failed; {REMEDY}\n{}", text(&install));
    copy
}

/// What the other peer finds out from a peer of ours about an artifact, if the search went through.
fn ask(directory: &Path, address: &str, prefix: &str, artifact: &str) -> Option<Value> {
    let output = Command::new("node")
        .args(["find-providers.js", address, prefix, artifact])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("node cannot be run ({error}); {REMEDY}"));
    if !output.status.success() {
        println!("{}", text(&output));
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[test]
fn a_peer_in_another_language_identifies_a_node_and_finds_the_providers_of_an_artifact() {
    let _turn = turn();
    let mut net = Processes::init(4, 19_100);
    for peer in 0..4 {
        // Validators let no guests in unless they are told to.
        let mut config = fs::OpenOptions::new().append(true).open(net.data(peer).join("config.toml")).unwrap();
        writeln!(config, "guests = true").unwrap();
        net.spawn(peer);
    }
    (0..4).for_each(|peer| net.wait_ready(peer));
    let javascript = install(net.directory.path());
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let file = net.root().join("weights.bin");
    fs::write(&file, b"weights").unwrap();
    let file = file.display().to_string();
    let published = net.must(0, &["publish", &file, "--model", &model, "--version", "1.0", "--as", &owner]);
    let artifact = text_of(&published, "artifact");

    let publisher = net.status(0).expect("status");
    let publisher = text_of(&publisher, "peer_id");
    let asked = net.status(2).expect("status");
    let (network, peer) = (text_of(&asked, "network"), text_of(&asked, "peer_id"));
    let prefix = format!("/allod/{}", &network[..16]);
    let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{peer}", net.api_port(2) + 1);
    // The publisher's record travels on its own time.
    let answer = wait_until("the publisher to be found", || {
        let answer = ask(&javascript, &address, &prefix, artifact)?;
        answer.get("providers")?.get(publisher).is_some().then_some(answer)
    });
    assert_eq!(text_of(&answer, "peer"), peer);
    assert_eq!(text_of(&answer, "protocolVersion"), format!("{prefix}/id/1"));
    assert!(text_of(&answer, "agentVersion").starts_with("allod/"), "{answer}");
    let names: Vec<&str> =
        answer.get("protocols").and_then(Value::as_array).unwrap().iter().flat_map(Value::as_str).collect();
    for name in ["kad/1", "sync/1", "artifact/2"] {
        assert!(names.contains(&format!("{prefix}/{name}").as_str()), "{name}: {names:?}");
    }
    let addresses = answer["providers"][publisher].to_string();
    assert!(addresses.contains(&format!("/ip4/127.0.0.1/tcp/{}", net.api_port(0) + 1)), "it can be dialled: {answer}");
    assert!(answer["viaRouting"].to_string().contains(publisher), "{answer}");

    // An address that nobody serves has no provider: what is found above comes from the record.
    let nobody = format!("bafkr4i{}", "a".repeat(52));
    let answer = ask(&javascript, &address, &prefix, &nobody).expect("an answer");
    assert_eq!(answer["providers"].to_string(), "{}");
}
