//! Deeds as their users meet them: written by one peer, checked offline against a checkpoint of another; and what
//! becomes of a consensus key that the network removed.

use super::{account, text_of, turn};
use allod_tests::processes::{Processes, run, text, wait_until};
use serde_json::Value;
use std::{fs, path::PathBuf, process::Output};

const MODEL: &str = "northfield/digits";

struct Court {
    net: Processes,
}

impl Court {
    /// Four peers, and a model that two members own, one of them under vesting.
    fn begin(base_port: u16) -> Self {
        let this = Self { net: Processes::start(4, base_port) };
        for handle in ["northfield", "lakeside", "hilltop"] {
            account(&this.net, 0, handle);
        }
        this.must(
            "model create digits --as northfield --holder northfield=60 --holder lakeside=40 --steward northfield \
             --template equal-partners --voting-period 2s --timelock 0s --vesting 365d --cliff 90d",
        );
        this
    }

    fn must(&self, command: &str) -> Value {
        self.net.must(0, &command.split_whitespace().collect::<Vec<_>>())
    }

    fn decide(&self, command: &str, voters: &[&str]) -> String {
        let opened = self.must(command);
        let proposal = text_of(&opened, "proposal").to_owned();
        voters.iter().for_each(|voter| drop(self.must(&format!("vote {proposal} yes --as {voter}"))));
        self.must(&format!("proposals wait {proposal} --timeout 60"));
        proposal
    }

    fn file(&self, name: &str) -> PathBuf {
        self.net.root().join(name)
    }

    fn checkpoint(&self, peer: usize) -> String {
        text_of(&self.net.status(peer).expect("a status"), "checkpoint").to_owned()
    }

    /// Writes a deed; gives back its file and what was said of it.
    fn deed(&self, name: &str, command: &str) -> (PathBuf, Value) {
        let file = self.file(name);
        let mut words: Vec<&str> = command.split_whitespace().collect();
        words.extend(["--output", file.to_str().expect("a path")]);
        let written = self.net.must(0, &words);
        (file, written)
    }

    /// Checks a deed without any node.
    fn verify(&self, file: &std::path::Path, options: &[&str]) -> Output {
        let genesis = self.net.data(0).join("genesis.json");
        let mut words = vec!["verify", "--genesis", genesis.to_str().expect("a path")];
        words.extend(options);
        run(&words, Some(file))
    }

    fn verified(&self, file: &std::path::Path, options: &[&str]) -> Value {
        let output = self.verify(file, &[options, &["--json"]].concat());
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

#[test]
fn outsiders_check_deeds_against_a_checkpoint_of_a_peer_that_they_trust() {
    let _turn = turn();
    let court = Court::begin(20_500);
    court.net.wait_agreement(&[0, 1, 2, 3]);
    let checkpoint = court.checkpoint(1);
    let (height, _) = checkpoint.split_once(':').expect("a height and a hash");
    account(&court.net, 0, "seafront");

    let (deed, written) =
        court.deed("lakeside.deed", &format!("deed shares {MODEL} lakeside --checkpoint {checkpoint}"));
    assert_eq!(text_of(&written, "checkpoint"), checkpoint);
    let said = court.verified(&deed, &["--checkpoint", &checkpoint, "--max-age", "1h"]);
    assert_eq!(said.pointer("/trust/checkpoint/height").map(ToString::to_string).as_deref(), Some(height), "{said}");
    assert_eq!(said.pointer("/facts/share/units"), Some(&Value::from(40)), "{said}");
    assert_eq!(said.pointer("/facts/share/frozen/units"), Some(&Value::from(0)), "{said}");
    assert_eq!(said.pointer("/facts/share/disputes"), Some(&Value::Array(Vec::new())), "{said}");

    // For people: what burdens it, and who stands behind it, in words.
    let shown = text(&court.verify(&deed, &["--checkpoint", &checkpoint]));
    for words in ["of 4 validators", "40 units, the last until", "disputed", "suspended", "free", "0 units"] {
        assert!(
            shown.contains(words) || (words == "of 4 validators" && shown.contains("all 4 validators")),
            "{words}: {shown}"
        );
    }

    // Without a checkpoint it says loudly what that trusts; with the wrong one it is no deed.
    let loud = court.verify(&deed, &[]);
    assert!(loud.status.success() && text(&loud).contains("GENESIS ONLY"), "{}", text(&loud));
    assert!(String::from_utf8_lossy(&loud.stderr).contains("WARNING"), "{}", text(&loud));
    let other = format!("{height}:{}", "ab".repeat(32));
    let refused = court.verify(&deed, &["--checkpoint", &other]);
    assert!(!refused.status.success() && text(&refused).contains("forged"), "{}", text(&refused));
    let untied = format!("{}:{}", 1, "ab".repeat(32));
    let refused = court.verify(&deed, &["--checkpoint", &untied]);
    assert!(!refused.status.success() && text(&refused).contains("nothing in the deed leads"), "{}", text(&refused));
    let old = court.verify(&deed, &["--checkpoint", &checkpoint, "--max-age", "1ms"]);
    assert_eq!(old.status.code(), Some(6), "{}", text(&old));

    // The block that certifies it is a checkpoint as well, once a peer that is trusted has the same.
    let (certified, hash) = text_of(&written, "block").split_once(':').expect("a height and a hash");
    let block = court.net.must(2, &["block", certified]);
    assert_eq!(text_of(&block, "hash"), hash);
    court.verified(&deed, &["--checkpoint", text_of(&written, "block")]);

    // One changed byte.
    let mut bytes = fs::read(&deed).expect("the deed");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let broken = court.file("broken.deed");
    fs::write(&broken, bytes).expect("written");
    let refused = court.verify(&broken, &[]);
    assert!(!refused.status.success() && text(&refused).contains("proves nothing"), "{}", text(&refused));
}

#[test]
fn there_is_a_deed_on_each_thing_that_outsiders_ask_for() {
    let _turn = turn();
    let court = Court::begin(20_600);
    let weights = court.file("weights.bin");
    fs::write(&weights, [7; 1_000]).expect("written");
    let version = format!("{MODEL}@v1");
    court.must(&format!("publish {} --model {MODEL} --version v1 --as northfield", weights.display()));
    court.must(&format!("attest {version} --statement bias-audit --passed --as hilltop"));
    let decision = court.decide(
        &format!("propose grant-licence {MODEL} hilltop --for 365d --as northfield"),
        &["northfield", "lakeside"],
    );
    court.must(&format!("licence accept {MODEL} --decision {decision} --as hilltop"));
    // A challenge binds units that are free, and those of the founders are under vesting.
    court.decide(
        &format!("propose mint {MODEL} --to hilltop --units 10 --reason work --as northfield"),
        &["northfield", "lakeside"],
    );
    court.must(&format!("dispute line {MODEL} lakeside --units 5 --text theirs-is-ours --as hilltop"));

    let shown = |name: &str, command: &str| text(&court.verify(&court.deed(name, command).0, &[]));
    for (name, command, words) in [
        ("version.deed", format!("deed version {version}"), vec!["v1", "published", "disputed"]),
        ("licence.deed", format!("deed licence {MODEL} hilltop"), vec![decision.as_str(), "in force", "until"]),
        ("none.deed", format!("deed licence {MODEL} lakeside"), vec!["none"]),
        ("decision.deed", format!("deed decision {decision}"), vec!["EXECUTED", "tally", "hilltop"]),
        ("said.deed", format!("deed attestation {version} --statement bias-audit --by hilltop"), vec!["passed"]),
        ("unsaid.deed", format!("deed attestation {version} --statement bias-audit --by lakeside"), vec!["nothing"]),
        ("frozen.deed", format!("deed shares {MODEL} lakeside"), vec!["YES: 5 units", "theirs-is-ours", "frozen"]),
    ] {
        let said = shown(name, &command);
        for word in words {
            assert!(said.contains(word), "{command}: {word}: {said}");
        }
    }
}

#[test]
fn a_removed_validator_destroys_its_key_and_comes_back_with_a_new_one() {
    let _turn = turn();
    let mut court = Court::begin(20_700);
    let file = court.net.data(3).join("validator.key");
    let old = fs::read(&file).expect("the key");
    let witness = court.file("witness");
    fs::hard_link(&file, &witness).expect("a second name");
    let key_of = |court: &Court| text_of(&court.net.status(3).expect("a status"), "validator_key").to_owned();
    let before = key_of(&court);
    let operators = ["operator-0", "operator-1", "operator-2", "operator-3"];
    court.decide(&format!("propose remove-validator --key {before} --title away --as operator-0"), &operators);

    let after = wait_until("the key to be destroyed", || Some(key_of(&court)).filter(|key| *key != before));
    assert!(fs::read(&witness).expect("the old file").iter().all(|byte| *byte == 0), "not a byte of it is left");
    assert_ne!(fs::read(&file).expect("the new key"), old);
    court.net.wait_agreement(&[0, 1, 2, 3]);

    // The old key never comes back, whoever kept a copy; the new one can, and survives a restart.
    let copy = court.file("copy");
    fs::create_dir(&copy).expect("a directory");
    fs::copy(&file, copy.join("validator.key")).expect("a file that only its owner reads");
    fs::write(copy.join("validator.key"), &old).expect("the copy");
    let accept = |key: &str, data: &std::path::Path| {
        court.must(&format!("office accept --validator {key} --data {} --as operator-3", data.display()));
    };
    accept(&before, &copy);
    let again = format!("propose admit-validator --key {before} --operator operator-3 --title back --as operator-0");
    let proposal = text_of(&court.must(&again), "proposal").to_owned();
    operators.iter().for_each(|operator| drop(court.must(&format!("vote {proposal} yes --as {operator}"))));
    let ended = court.net.client(0, &["proposals", "wait", &proposal, "--timeout", "60"]);
    assert!(text(&ended).contains("retired_validator_key"), "{}", text(&ended));
    accept(&after, &court.net.data(3));
    court.decide(
        &format!("propose admit-validator --key {after} --operator operator-3 --title back --as operator-0"),
        &operators,
    );
    wait_until("peer 3 to vote again", || {
        court.net.status(3).filter(|status| text_of(status, "role") == "validator").map(|_| ())
    });
    court.net.kill(3);
    court.net.spawn(3);
    court.net.wait_ready(3);
    assert_eq!(key_of(&court), after);
    // With another peer gone, blocks need its vote.
    court.net.kill(2);
    account(&court.net, 0, "seafront");
}
