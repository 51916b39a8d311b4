//! What publishing and fetching leave on the disk, and what they hide or hand out, by the commands of the guide.

use super::{account, text_of, turn};
use allod_tests::processes::{Processes, allod, get, text, wait_until};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const MIB: usize = 1024 * 1024;

/// Two peers, an account, and a model of it for everybody and one for holders.
fn begin(base_port: u16) -> (Processes, String) {
    let net = Processes::start(2, base_port);
    let owner = account(&net, 0, "northfield");
    let holder = format!("{owner}=1");
    net.must(0, &["model", "create", "open", "--as", &owner, "--holder", &holder]);
    net.must(0, &["model", "create", "closed", "--as", &owner, "--holder", &holder, "--readers", "holders"]);
    (net, owner)
}

/// A directory of files that no other has.
fn directory(net: &Processes, name: &str, files: &[(&str, &str)]) -> String {
    let directory = net.root().join(name);
    fs::create_dir_all(&directory).unwrap();
    for (file, content) in files {
        fs::write(directory.join(file), content).unwrap();
    }
    directory.to_str().expect("a path").to_owned()
}

fn publishing<'a>(path: &'a str, model: &'a str, version: &'a str, owner: &'a str) -> Vec<&'a str> {
    vec!["publish", path, "--model", model, "--version", version, "--as", owner]
}

fn start(net: &Processes, peer: usize, arguments: &[&str]) -> Child {
    let mut command = Command::new(allod());
    command.env("ALLOD_KEYS", net.root().join("keys")).args(["--json", "--api", &net.api(peer)]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a client")
}

fn zeroes(path: &Path, size: usize) {
    let file = fs::File::create(path).unwrap();
    file.set_len(size as u64).unwrap();
}

fn files_in(path: PathBuf) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[test]
fn public_models_stay_readable_whatever_private_ones_have_the_same_files() {
    let _turn = turn();
    let (net, owner) = begin(31_100);
    let (open, closed) = (format!("{owner}/open"), format!("{owner}/closed"));
    let first = directory(&net, "first", &[("w", "one"), ("tokenizer.json", "tokens")]);
    let second = directory(&net, "second", &[("w", "two"), ("tokenizer.json", "tokens"), ("LICENSE", "mine")]);
    let single = directory(&net, "single", &[("LICENSE", "mine")]);
    let private = directory(&net, "private", &[("w", "secret"), ("tokenizer.json", "tokens")]);
    // A common file by itself, and in a collection, first for holders only.
    net.must(0, &publishing(&format!("{single}/LICENSE"), &closed, "licence", &owner));
    net.must(0, &publishing(&private, &closed, "1", &owner));
    net.must(0, &publishing(&first, &open, "1", &owner));
    net.must(0, &publishing(&second, &open, "2", &owner));
    // And a mistake, which the ledger refuses.
    let refused = net.client(0, &publishing(&first, &closed, "2", &owner));
    assert!(!refused.status.success() && text(&refused).contains("artifact_governed"), "{}", text(&refused));
    net.wait_agreement(&[0, 1]);
    for version in ["1", "2"] {
        net.must(1, &["fetch", &format!("{open}@{version}")]);
    }
    for version in ["licence", "1"] {
        let refused = net.client(1, &["fetch", &format!("{closed}@{version}")]);
        assert!(!refused.status.success() && text(&refused).contains("holders only"), "{}", text(&refused));
    }
}

#[test]
fn a_publish_that_is_refused_interrupted_or_killed_leaves_nothing() {
    let _turn = turn();
    let (net, owner) = begin(31_200);
    let model = format!("{owner}/open");
    let path = directory(&net, "model", &[("w", "first")]);
    net.must(0, &publishing(&path, &model, "1", &owner));
    let blobs = net.data(0).join("artifacts/blobs");
    let before = files_in(blobs.clone());
    let clean = |what: &str| {
        wait_until(what, || {
            let listed = net.must(0, &["artifacts", "list"]);
            let known = listed.as_array().expect("a list").len() == 1;
            (known && files_in(blobs.clone()) == before).then_some(())
        });
    };
    zeroes(&net.root().join("model/w"), 20 * MIB);
    let refused = net.client(0, &publishing(&path, &model, "1", &owner));
    assert!(text(&refused).contains("version_exists"), "{}", text(&refused));
    clean("what was refused to go");
    // By Ctrl-C, and by `kill -9`, in the midst of an import.
    zeroes(&net.root().join("model/w"), 4_000 * MIB);
    for signal in ["-INT", "-KILL"] {
        let mut client = start(&net, 0, &publishing(&path, &model, "2", &owner));
        let temporary = net.data(0).join("artifacts/temporary");
        wait_until("the import to begin", || (files_in(temporary.clone()) > 0).then_some(()));
        let sent = Command::new("kill").args([signal, &client.id().to_string()]).status().unwrap();
        assert!(sent.success() && !client.wait().unwrap().success());
        clean("what was interrupted to go");
        wait_until("the import to end", || (files_in(temporary.clone()) == 0).then_some(()));
    }
    let collected = net.must(0, &["artifacts", "gc"]);
    assert_eq!(collected.get("freed_bytes").and_then(Value::as_u64), Some(0), "{collected}");
    // What was published stays, pinned.
    net.must(0, &["artifacts", "verify", &format!("{model}@1")]);
}

#[test]
fn nothing_is_collected_while_a_fetch_writes_its_copy_out() {
    let _turn = turn();
    let (net, owner) = begin(31_300);
    let model = format!("{owner}/open");
    let path = directory(&net, "model", &[]);
    for number in 0..4u8 {
        fs::write(net.root().join(format!("model/{number}")), vec![number; 64 * MIB]).unwrap();
    }
    let published = net.must(0, &publishing(&path, &model, "1", &owner));
    let artifact = text_of(&published, "artifact").to_owned();
    net.wait_agreement(&[0, 1]);
    net.must(1, &["fetch", &artifact]);
    let out = net.root().join("out");
    let fetch = start(&net, 1, &["fetch", &artifact, "-o", out.to_str().unwrap()]);
    wait_until("the copy to begin", || fs::read_dir(&out).ok()?.next().map(drop));
    let refused = net.client(1, &["artifacts", "gc"]);
    // If it was so quick that the copy is whole, this says nothing.
    let whole = files_in(out.clone()) == 4;
    assert!(
        whole || text(&refused).contains("store_in_use") || text(&refused).contains("exported"),
        "{}",
        text(&refused)
    );
    let output = fetch.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(files_in(out), 4);
    let metrics = get(net.api_port(1), "/metrics").expect("metrics").1;
    assert!(metrics.contains("allod_artifacts_damaged 0"), "{metrics}");
}

#[test]
fn the_nodes_own_directory_is_neither_published_nor_written_to() {
    let _turn = turn();
    let (net, owner) = begin(31_400);
    let model = format!("{owner}/open");
    let data = net.data(0);
    let linked = net.root().join("linked");
    std::os::unix::fs::symlink(data.join("node.key"), &linked).unwrap();
    fs::hard_link(data.join("validator.key"), net.root().join("weights.bin")).unwrap();
    for path in [data.clone(), data.join("node.key"), linked, net.root().join("weights.bin")] {
        let refused = net.client(0, &publishing(path.to_str().unwrap(), &model, "1", &owner));
        assert!(!refused.status.success() && text(&refused).contains("belongs to the node"), "{}", text(&refused));
    }
    let path = directory(&net, "model", &[("config.toml", "x")]);
    net.must(0, &publishing(&path, &model, "1", &owner));
    let before = fs::read(data.join("config.toml")).unwrap();
    for target in [data.clone(), data.join("new")] {
        let output = target.to_str().unwrap();
        let refused = net.client(0, &["fetch", &format!("{model}@1"), "-o", output, "--overwrite"]);
        assert!(!refused.status.success() && text(&refused).contains("belongs to the node"), "{}", text(&refused));
    }
    assert!(fs::read(data.join("config.toml")).unwrap() == before && !data.join("new").exists());
}
