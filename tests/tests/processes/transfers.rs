//! Fetches that are interrupted by the end of either peer, as a crash would end it.

use super::{account, model, turn};
use allod_tests::processes::{Processes, text, wait_until};
use serde_json::Value;
use std::{fs, process::Child};

const SIZE_BYTES: usize = 12_000_000;

/// Two peers, of which the second fetches slowly, and a version that the first has.
fn begin(base_port: u16) -> (Processes, String) {
    let mut net = Processes::init(2, base_port);
    let path = net.data(1).join("config.toml");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("download_rate = \"2MB\"\n{settings}")).unwrap();
    (0..2).for_each(|peer| net.spawn(peer));
    (0..2).for_each(|peer| net.wait_ready(peer));
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let weights = net.root().join("weights.bin");
    let bytes: Vec<u8> = (0..SIZE_BYTES as u32 / 4).flat_map(u32::to_le_bytes).collect();
    fs::write(&weights, &bytes).unwrap();
    net.must(0, &["publish", weights.to_str().unwrap(), "--model", &model, "--version", "1.0", "--as", &owner]);
    net.wait_agreement(&[0, 1]);
    (net, format!("{model}@1.0"))
}

fn fetch(net: &Processes, version: &str) -> Child {
    net.begin_client(1, &["fetch", version])
}

/// Waits until a good part of the file has been verified and written, as the download's own record tells.
fn wait_for_a_part(net: &Processes) {
    let partial = net.data(1).join("artifacts/partial");
    wait_until("a part of the file", || {
        let records = fs::read_dir(&partial).ok()?.flatten().map(|entry| entry.path());
        let record = records.into_iter().find(|path| path.extension().is_some_and(|it| it == "groups"))?;
        // After a head of nine bytes one bit says of each 16 KiB that they are here.
        let bits = fs::read(record).ok()?;
        let groups: u32 = bits.get(9..)?.iter().map(|byte| byte.count_ones()).sum();
        (groups as usize * 16 * 1024 > SIZE_BYTES / 4).then_some(())
    });
}

/// What came over the network and what was here, of a fetch that succeeded.
fn sizes(fetched: &Value) -> (u64, u64) {
    let size = |field: &str| fetched.get(field).and_then(Value::as_u64).expect("a number");
    (size("received_bytes"), size("present_bytes"))
}

#[test]
fn a_fetch_whose_peer_is_killed_goes_on_and_gets_nothing_twice_that_was_verified() {
    let _turn = turn();
    let (mut net, version) = begin(19_300);
    let mut client = fetch(&net, &version);
    wait_for_a_part(&net);
    net.kill(1);
    assert!(!client.wait().unwrap().success(), "its node is gone");
    net.spawn(1);
    net.wait_ready(1);
    let (received, present) = sizes(&net.must(1, &["fetch", &version]));
    assert_eq!(received + present, SIZE_BYTES as u64);
    assert!(present > SIZE_BYTES as u64 / 4, "{present} bytes were kept");
    net.must(1, &["artifacts", "verify", &version]);
}

#[test]
fn a_fetch_goes_on_when_its_only_provider_is_killed_and_comes_back() {
    let _turn = turn();
    let (mut net, version) = begin(19_400);
    let client = fetch(&net, &version);
    wait_for_a_part(&net);
    net.kill(0);
    net.spawn(0);
    net.wait_ready(0);
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let fetched = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(sizes(&fetched), (SIZE_BYTES as u64, 0), "nothing that was verified came twice");
    net.must(1, &["artifacts", "verify", &version]);
}
