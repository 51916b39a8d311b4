//! Who may use a node's API, by the commands of the guide.

use super::{account, model, text_of, turn};
use allod_tests::processes::{Processes, allod, run, text, wait_until};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// Runs the command line without what the network's own client knows, but with these variables.
fn stranger(home: &Path, variables: &[(&str, &Path)], arguments: &[&str]) -> Output {
    let mut command = Command::new(allod());
    command.env_clear().env("HOME", home).envs(variables.iter().copied());
    command.args(arguments).stdin(Stdio::null()).output().expect("the client runs")
}

#[test]
fn what_changes_anything_takes_a_token_that_permits_it() {
    let _turn = turn();
    let net = Processes::start(1, 32_000);
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let (data, keys) = (net.data(0).display().to_string(), net.root().join("keys"));
    let weights = net.root().join("weights.bin");
    fs::write(&weights, b"weights").unwrap();
    let weights = weights.display().to_string();
    let api = net.api(0);
    let publish = ["--api", &api, "publish", &weights, "--model", &model, "--version", "1.0", "--as", &owner];
    let contribute = ["--api", &api, "contribute", &model, "--as", &owner, "--kind", "data", "--amount", "1"];

    // The keys of the account without a token: it can read, and that is all.
    let home = net.root().join("elsewhere");
    fs::create_dir_all(&home).unwrap();
    let own_keys = home.join("keys");
    fs::create_dir_all(&own_keys).unwrap();
    fs::copy(keys.join("northfield.pem"), own_keys.join("northfield.pem")).unwrap();
    let known: &[(&str, &Path)] = &[("ALLOD_KEYS", &own_keys)];
    assert!(stranger(&home, known, &["--api", &api, "status"]).status.success());
    for refused in [&publish[..], &contribute[..]] {
        let output = stranger(&home, known, refused);
        assert!(!output.status.success() && text(&output).contains("allod token create"), "{}", text(&output));
        let for_programs = stranger(&home, known, &[&["--json"], refused].concat());
        let told: serde_json::Value = serde_json::from_slice(&for_programs.stderr).expect("a line of JSON");
        assert_eq!(text_of(&told, "code"), "no_token");
    }
    assert_eq!(net.must(0, &["contribute", "list", &model]), serde_json::json!([]));

    // A token that permits to submit.
    let made = run(&["--json", "token", "create", "training", "--permits", "submit", "--data", &data], None);
    assert!(made.status.success(), "{}", text(&made));
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let secret = text_of(&made, "token").to_owned();
    let mut keep = Command::new(allod());
    keep.env("ALLOD_KEYS", &own_keys).args(["token", "keep", "--api", &api]).stdin(Stdio::piped());
    let mut keep = keep.stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut keep.stdin.take().unwrap(), secret.as_bytes()).unwrap();
    assert!(keep.wait().unwrap().success());
    let output = stranger(&home, known, &contribute);
    assert!(output.status.success(), "{}", text(&output));
    let output = stranger(&home, known, &publish);
    assert!(!output.status.success() && text(&output).contains("--permits operate"), "{}", text(&output));

    // Its removal takes effect at once; the log tells neither it nor the operator's.
    assert!(run(&["token", "remove", "training", "--data", &data], None).status.success());
    let output = stranger(&home, known, &contribute);
    assert!(text(&output).contains("does not accept the token"), "{}", text(&output));
    let operator = net.data(0).join("api.token");
    let with_file: &[(&str, &Path)] = &[("ALLOD_KEYS", &own_keys), ("ALLOD_TOKEN_FILE", &operator)];
    let output = stranger(&home, with_file, &publish);
    assert!(output.status.success(), "{}", text(&output));
    let log = net.log(0);
    for secret in [secret, fs::read_to_string(operator).unwrap().trim().to_owned()] {
        assert!(!log.contains(&secret), "a secret is in the log");
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn beyond_loopback_the_api_speaks_tls_or_does_not_start() {
    let _turn = turn();
    let net = Processes::init(1, 32_100);
    let genesis = net.data(0).join("genesis.json").display().to_string();
    let output = run(&["run", "--api-address", "0.0.0.0:32190", "--data"], Some(&net.data(0)));
    assert!(!output.status.success(), "{}", text(&output));
    for word in ["0.0.0.0:32190", "--tls-certificate", "allod init --tls", "127.0.0.1"] {
        assert!(text(&output).contains(word), "{word}: {}", text(&output));
    }

    let data = net.root().join("reachable");
    let keys = net.root().join("its-keys").display().to_string();
    let made = run(
        &[
            "init",
            "--genesis",
            &genesis,
            "--tls",
            "127.0.0.1",
            "--tls",
            "node.example",
            "--keys",
            &keys,
            "--api-address",
            "0.0.0.0:32192",
            "--listen",
            "/ip4/127.0.0.1/tcp/32193",
            "--data",
        ],
        Some(&data),
    );
    assert!(made.status.success(), "{}", text(&made));
    let log = fs::File::create(net.root().join("reachable.log")).unwrap();
    let mut command = Command::new(allod());
    command.args(["run", "--data"]).arg(&data).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let _running = Running(command.spawn().unwrap());
    let (api, certificate) = ("https://127.0.0.1:32192", data.join("tls.crt").display().to_string());
    let home = net.root().join("home");
    fs::create_dir_all(&home).unwrap();
    let token = data.join("api.token");
    let (known, unknown): (&[(&str, &Path)], &[_]) = (&[("ALLOD_TOKEN_FILE", &token)], &[]);
    let status = ["--json", "--api", api, "--ca-file", &certificate, "status"];
    wait_until("the peer to answer", || stranger(&home, known, &status).status.success().then_some(()));
    let output = stranger(&home, unknown, &status);
    assert!(text(&output).contains("wants a token"), "reading takes one here: {}", text(&output));
    let distrustful = stranger(&home, known, &["--api", api, "status"]);
    assert!(!distrustful.status.success(), "nobody vouches for the certificate: {}", text(&distrustful));
    let plain = stranger(&home, known, &["--api", "http://127.0.0.1:32192", "status"]);
    assert_eq!(plain.status.code(), Some(3), "{}", text(&plain));
}
