//! Artifacts that are not for everybody, and artifacts of which there are to be several copies.

use super::{account, text_of, turn};
use allod_tests::processes::{Processes, get, text, wait_until};
use serde_json::Value;

fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().collect()
}

fn must(net: &Processes, peer: usize, command: &str) -> Value {
    net.must(peer, &words(command))
}

/// Opens a proposal, lets these accounts say yes, and waits until every peer has executed it.
fn decide(net: &Processes, command: &str, voters: &[&str]) {
    let asked = must(net, 0, &format!("propose {command}"));
    let proposal = text_of(&asked, "proposal");
    for voter in voters {
        must(net, 0, &format!("vote {proposal} yes --as {voter}"));
    }
    for peer in 0..4 {
        must(net, peer, &format!("proposals wait {proposal} --timeout 60"));
    }
}

/// Has a peer of the network agree to read for an account, and the account bind it.
fn bind(net: &Processes, peer: usize, account: &str) {
    let data = net.data(peer);
    let consent = must(net, peer, &format!("peer consent {account} --data {}", data.display()));
    must(net, 0, &format!("peer bind {} --as {account}", text_of(&consent, "consent")));
}

#[test]
fn a_restricted_version_is_fetched_by_peers_of_holders_and_licensees_as_long_as_the_owners_will() {
    let _turn = turn();
    let net = Processes::start(4, 19_100);
    for handle in ["northfield", "lakeside", "hilltop"] {
        account(&net, 0, handle);
    }
    must(
        &net,
        0,
        "model create secret --as northfield --holder northfield=60 --holder lakeside=40 --template equal-partners \
         --voting-period 1s --timelock 1s --readers licensees",
    );
    let file = net.root().join("secret.bin");
    std::fs::write(&file, "not for everybody").unwrap();
    let version = "northfield/secret@1";
    let publish = format!("publish {} --model northfield/secret --version 1 --as northfield", file.display());
    let published = must(&net, 0, &publish);
    let artifact = text_of(&published, "artifact").to_owned();
    let refused = |peer: usize| {
        let output = net.client(peer, &["fetch", version]);
        let said = text(&output);
        assert!(!output.status.success() && said.contains("holders and licensees only"), "{said}");
    };
    let drop_copy = |peer: usize| {
        let gone = must(&net, peer, "artifacts gc");
        assert!(gone.to_string().contains(&artifact), "{gone}");
    };
    refused(1);
    bind(&net, 1, "lakeside");
    net.wait_agreement(&[0, 1, 2, 3]);
    must(&net, 1, &format!("fetch {version}"));
    bind(&net, 2, "hilltop");
    net.wait_agreement(&[0, 1, 2, 3]);
    refused(2);
    decide(&net, "grant-licence northfield/secret hilltop --for 1h --as northfield", &["northfield", "lakeside"]);
    refused(2);
    must(&net, 0, "licence accept northfield/secret --as hilltop");
    net.wait_agreement(&[0, 1, 2, 3]);
    must(&net, 2, &format!("fetch {version}"));
    let licensees = must(&net, 3, "model licensees northfield/secret");
    assert!(licensees.to_string().contains("hilltop"), "{licensees}");
    drop_copy(2);
    decide(
        &net,
        "revoke-licence northfield/secret hilltop --reason unpaid --as northfield",
        &["northfield", "lakeside"],
    );
    refused(2);
    // A holder's peer is let go, and reads no more.
    let listed = must(&net, 0, "peer list lakeside");
    let peer_id = listed.get(0).map(|peer| text_of(peer, "peer_id").to_owned()).expect("a peer");
    must(&net, 1, &format!("peer release {peer_id} --as lakeside"));
    drop_copy(1);
    net.wait_agreement(&[0, 1, 2, 3]);
    refused(1);
    // Whoever may not read it can still find out who has it.
    wait_until("the provider", || {
        let providers = must(&net, 3, &format!("artifacts providers {artifact}"));
        providers.get("providers")?.get(0).map(drop)
    });
}

/// The copies found and wanted of the only release whose owners want copies, as a peer sees it.
fn copies(net: &Processes, peer: usize) -> Option<(u64, u64)> {
    let seen: Value = serde_json::from_str(&get(net.api_port(peer), "/v1/replication")?.1).ok()?;
    let release = seen.get(0)?;
    Some((release.get("found")?.as_u64()?, release.get("wished")?.as_u64()?))
}

fn holders(net: &Processes, peers: &[usize], artifact: &str) -> Vec<usize> {
    let holds =
        |peer: &usize| get(net.api_port(*peer), &format!("/v1/artifacts/{artifact}")).is_some_and(|it| it.0 == 200);
    peers.iter().copied().filter(holds).collect()
}

#[test]
fn volunteers_bring_the_copies_to_the_number_that_the_owners_wish_for_and_replace_one_that_is_lost() {
    let _turn = turn();
    let mut net = Processes::init(4, 19_200);
    for peer in 0..4 {
        let path = net.data(peer).join("config.toml");
        let settings = std::fs::read_to_string(&path).unwrap();
        let volunteer = if peer == 0 { "" } else { "replicate = \"true\"\n" };
        std::fs::write(&path, format!("{volunteer}replication_interval_s = \"1\"\n{settings}")).unwrap();
    }
    (0..4).for_each(|peer| net.spawn(peer));
    (0..4).for_each(|peer| net.wait_ready(peer));
    (0..4).for_each(|peer| bind(&net, peer, &format!("operator-{peer}")));
    must(
        &net,
        0,
        "model create digits --as operator-0 --holder operator-0=100 --template equal-partners --voting-period 1s \
         --timelock 1s --copies 3",
    );
    let file = net.root().join("weights.bin");
    std::fs::write(&file, vec![7; 3_000_000]).unwrap();
    let publish = format!("publish {} --model operator-0/digits --version 1 --as operator-0", file.display());
    let artifact = text_of(&must(&net, 0, &publish), "artifact").to_owned();
    assert_eq!(holders(&net, &[0, 1, 2, 3], &artifact), [0], "nothing is copied before it is released");
    decide(&net, "release operator-0/digits@1 --as operator-0", &["operator-0"]);
    wait_until("three copies", || (copies(&net, 0) == Some((3, 3))).then_some(()));
    let held = holders(&net, &[0, 1, 2, 3], &artifact);
    assert_eq!(held.len(), 3, "{held:?}");
    wait_until("the metric", || {
        let metrics = get(net.api_port(0), "/metrics")?.1;
        metrics.contains("allod_artifacts_under_replicated 0").then_some(())
    });
    // One of three is lost, for good: the fourth peer takes its place.
    let lost = held.into_iter().find(|peer| *peer != 0).unwrap();
    net.kill(lost);
    let left: Vec<usize> = (0..4).filter(|peer| *peer != lost).collect();
    wait_until("a copy in its place", || (holders(&net, &left, &artifact) == left).then_some(()));
    wait_until("three copies again", || (copies(&net, 0) == Some((3, 3))).then_some(()));
    assert!(net.log(0).contains("a release has fewer copies than its owners want"));
}
