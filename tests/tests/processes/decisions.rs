//! Ownership and decisions in full, once through a network of four real peers, by the commands that its users type.

mod floors;
mod licences;
mod minorities;
mod objections;
mod safety;

use super::{account, text_of, turn};
use allod_tests::processes::{Processes, text, wait_until};
use serde_json::Value;

const MODEL: &str = "northfield/digits";

/// Four peers, each asked in turn, and a model that three members own.
struct Federation {
    net: Processes,
    peer: std::cell::Cell<usize>,
    /// The height of the last peer that was asked, after it answered.
    seen: std::cell::Cell<u64>,
}

impl Federation {
    fn begin(base_port: u16) -> Self {
        let net = Processes::start(4, base_port);
        for handle in ["northfield", "lakeside", "hilltop", "riverbend"] {
            account(&net, 0, handle);
        }
        let this = Self { net, peer: std::cell::Cell::default(), seen: std::cell::Cell::default() };
        this.must(
            "model create digits --as northfield --holder northfield=50 --holder lakeside=30 --holder hilltop=20 \
             --steward northfield --steward lakeside --template equal-partners --voting-period 2s --timelock 1s \
             --spdx Apache-2.0",
        );
        this.must(&format!("office accept --steward {MODEL} --as lakeside"));
        this
    }

    /// The next peer: a member need not always ask the same one. It has got to where the last one was: what a peer
    /// says is as of its own height, and a moment later the next may not have applied that block.
    fn next_peer(&self) -> usize {
        let last = self.peer.get();
        if let Some(height) = self.net.height(last) {
            self.seen.set(height);
        }
        let peer = (last + 1) % 4;
        self.peer.set(peer);
        wait_until("the next peer to get as far", || (self.net.height(peer)? >= self.seen.get()).then_some(()));
        peer
    }

    /// A command that must succeed.
    fn must(&self, command: &str) -> Value {
        self.net.must(self.next_peer(), &command.split_whitespace().collect::<Vec<_>>())
    }

    /// A command that must be refused, with these words.
    fn refused(&self, command: &str, words: &str) {
        let output = self.net.client(self.next_peer(), &command.split_whitespace().collect::<Vec<_>>());
        let said = text(&output);
        assert!(!output.status.success() && said.contains(words), "{command}: {said}");
    }

    /// Opens a proposal, lets these accounts say yes, and waits until it is executed.
    fn decide(&self, command: &str, voters: &[&str]) -> String {
        let proposal = self.open(command);
        self.vote(&proposal, &voters.iter().map(|voter| (*voter, "yes")).collect::<Vec<_>>());
        self.must(&format!("proposals wait {proposal} --timeout 60"));
        proposal
    }

    /// Lets these accounts answer, all at once, as people do: a busy machine is to take them within a short period.
    fn vote(&self, proposal: &str, answers: &[(&str, &str)]) {
        let begin = |(voter, answer): &(&str, &str)| {
            self.net.begin_client(self.next_peer(), &["vote", proposal, answer, "--as", voter])
        };
        let begun: Vec<_> = answers.iter().map(begin).collect();
        for ((voter, answer), vote) in answers.iter().zip(begun) {
            let output = vote.wait_with_output().expect("a vote");
            assert!(output.status.success(), "{voter} {answer}: {}", text(&output));
        }
    }

    fn open(&self, command: &str) -> String {
        text_of(&self.must(&format!("propose {command}")), "proposal").to_owned()
    }

    /// Opens a proposal, lets these accounts answer it, and waits until it is over without an effect.
    fn lose(&self, command: &str, answers: &[(&str, &str)]) -> String {
        let proposal = self.open(command);
        self.vote(&proposal, answers);
        self.refused(&format!("proposals wait {proposal} --timeout 60"), "not executed");
        proposal
    }

    /// Publishes a file of these bytes as a version of a model.
    fn publish(&self, bytes: &str, version: &str, publisher: &str) {
        let (model, label) = version.split_once('@').unwrap();
        let file = self.net.root().join(format!("weights-{label}.bin"));
        std::fs::write(&file, bytes).unwrap();
        let file = file.display();
        self.must(&format!("publish {file} --model {model} --version {label} --as {publisher}"));
    }

    /// What each of these holds of the model that all steps share.
    fn held(&self, handles: &[&str]) -> Vec<u64> {
        self.held_of(MODEL, handles)
    }

    /// What each of these holds of a model.
    fn held_of(&self, model: &str, handles: &[&str]) -> Vec<u64> {
        let register = self.must(&format!("shares show {model}"));
        let lines = register.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let of = |handle: &&str| {
            let line = lines.iter().find(|line| line.get("handle").and_then(Value::as_str) == Some(handle));
            line.and_then(|line| line.get("units")?.as_u64()).unwrap_or(0)
        };
        handles.iter().map(of).collect()
    }
}

#[test]
fn owners_decide_on_four_peers_in_every_way_there_is() {
    let _turn = turn();
    let federation = Federation::begin(18_900);
    delegate_and_split(&federation);
    transfer_by_approval(&federation);
    mint_by_a_round(&federation);
    freeze_and_settle(&federation);
    gather_signatures(&federation);
    publish_by_several_keys(&federation);
    recover_keys(&federation);
    suspend_and_reinstate(&federation);
    release_after_a_review(&federation);
    safety::stop_warn_and_answer(&federation);
    stop_by_guardian(&federation);
    report_and_trace(&federation);
    change_the_network(&federation);
    floors::floors_hold_and_silence_ends(&federation);
    vest_export_and_end(&federation);
    federation.net.wait_agreement(&[0, 1, 2, 3]);
    let scrape = allod_tests::processes::get(18_900, "/metrics").expect("metrics").1;
    assert!(scrape.contains("allod_ledger_shares_conserved 1"), "{scrape}");
}

fn delegate_and_split(federation: &Federation) {
    federation.must(&format!("delegate {MODEL} --to lakeside --as hilltop"));
    let proposal = federation.open(&format!("statement {MODEL} --title Agreed --text x --as northfield"));
    let cast = federation.must(&format!("vote {proposal} yes --as lakeside"));
    assert_eq!(cast.get("weight").and_then(Value::as_u64), Some(50), "{cast}");
    federation.must(&format!("vote {proposal} no --as hilltop"));
    federation.must(&format!("vote {proposal} --split yes=60,abstain=40 --as northfield"));
    let view = federation.must(&format!("proposals show {proposal}"));
    let sum = |field: &str| view.get("tally").and_then(|tally| tally.get(field)?.as_u64());
    assert_eq!([sum("yes"), sum("no"), sum("abstain")], [Some(60), Some(20), Some(20)], "{view}");
    federation.must(&format!("proposals wait {proposal} --timeout 60"));
    federation.must(&format!("delegate {MODEL} --end --as hilltop"));
}

fn transfer_by_approval(federation: &Federation) {
    let transfer = format!("shares transfer {MODEL} --as hilltop --to riverbend --units 5 --reason sold");
    federation.refused(&transfer, "approv");
    let question = format!("transfer {MODEL} --to riverbend --units 5 --price 900-EUR --reason sold --as hilltop");
    let dry_run = federation.must(&format!("propose {question} --dry-run"));
    assert_eq!(federation.held(&["riverbend"]), [0], "a dry run changes nothing: {dry_run}");
    let proposal = federation.open(&question);
    federation.refused(&format!("shares accept {proposal} --as lakeside"), "gives no units");
    federation.must(&format!("shares accept {proposal} --as riverbend"));
    federation.vote(&proposal, &[("northfield", "yes"), ("lakeside", "yes")]);
    federation.must(&format!("proposals wait {proposal} --timeout 60"));
    assert_eq!(federation.held(&["hilltop", "riverbend"]), [15, 5]);
    federation.refused("model create risky --as northfield --holder northfield=1 --yes-quorum 10", "minority_decides");
}

fn mint_by_a_round(federation: &Federation) {
    let plan = "ab".repeat(32);
    let question = format!(
        "round {MODEL} --plan {plan} --budget 100 --weight data=1 --recording 4s --review 4s --min-contributors 2 --as lakeside"
    );
    federation.decide(&question, &["northfield", "lakeside"]);
    for (giver, amount, steward) in [("hilltop", 200, "northfield"), ("riverbend", 100, "lakeside")] {
        let given =
            federation.must(&format!("contribute {MODEL} --round 0 --as {giver} --kind data --amount {amount}"));
        let contribution = text_of(&given, "contribution").to_owned();
        federation.must(&format!("contribute accept {contribution} --as {steward}"));
    }
    wait_until("the round to close", || {
        let round = federation.must(&format!("rounds {MODEL} --number 0"));
        round.get("status")?.get("closed").cloned()
    });
    assert_eq!(federation.held(&["hilltop", "riverbend"]), [15 + 67, 5 + 33]);
}

fn freeze_and_settle(federation: &Federation) {
    let opened =
        federation.must(&format!("dispute line {MODEL} riverbend --units 10 --text copied-data --as northfield"));
    let dispute = text_of(&opened, "dispute").to_owned();
    federation.must(&format!("dispute answer {dispute} --text ours --as riverbend"));
    // The disputed units stay, the others are free.
    federation.refused(&format!("shares burn {MODEL} --units 29 --reason x --as riverbend"), "frozen");
    let shown = federation.must(&format!("dispute show {dispute}"));
    assert_eq!(shown.get("bond").and_then(Value::as_u64), Some(1), "{shown}");
    // Nobody loses its voice by being a party; what takes units needs the rule of ownership too.
    let question = format!("resolve-dispute {dispute} --uphold --as lakeside");
    federation.decide(&question, &["northfield", "lakeside", "hilltop"]);
    assert_eq!(federation.held(&["riverbend"]), [28]);
    federation.must(&format!("shares burn {MODEL} --units 8 --reason tidy --as riverbend"));
    assert_eq!(federation.held(&["riverbend"]), [20]);
}

fn gather_signatures(federation: &Federation) {
    for key in ["first", "second", "third"] {
        federation.must(&format!("key new {key}"));
    }
    federation
        .must("account create consortium --key first --key second --key third --threshold 2 --sponsor operator-1");
    let alone = "account create branch --new-key branch --sponsor consortium --sign-with first";
    federation.refused(alone, "sign with more of its keys");
    let asked = federation
        .must(&format!("delegate {MODEL} --to lakeside --as consortium --sign-with first --request-approval 1d"));
    let approval = text_of(&asked, "approval").to_owned();
    federation.must(&format!("approvals sign {approval} --as consortium --sign-with third"));
    let delegations = federation.must(&format!("delegations {MODEL}")).to_string();
    assert!(delegations.contains("consortium"), "{delegations}");
}

/// Nobody reads an address in a request before a commitment to it is in a block.
fn publish_by_several_keys(federation: &Federation) {
    federation
        .must("model create shared --as consortium --holder northfield=1 --steward consortium --template founder-led");
    let file = federation.net.root().join("shared.bin");
    std::fs::write(&file, "of several").unwrap();
    let publish = format!(
        "publish {} --model consortium/shared --version 1.0 --as consortium --sign-with first --request-approval 1d",
        file.display()
    );
    let ask = || {
        let asked = federation.net.must(0, &publish.split_whitespace().collect::<Vec<_>>());
        let approval = text_of(&asked, "approval").to_owned();
        let shown = federation.net.must(0, &["approvals", "show", &approval]).to_string();
        federation.net.must(0, &["approvals", "sign", &approval, "--as", "consortium", "--sign-with", "third"]);
        shown
    };
    let first = ask();
    assert!(first.contains("commit_artifact") && !first.contains("publish_version"), "{first}");
    let second = ask();
    assert!(second.contains("publish_version"), "{second}");
    let shown = federation.must("model show consortium/shared").to_string();
    assert!(shown.contains("\"label\":\"1.0\""), "{shown}");
}

fn recover_keys(federation: &Federation) {
    federation.must("recovery set --guardian northfield --guardian hilltop --needed 2 --delay 8s --as riverbend");
    federation.must("key new found-again");
    federation.refused("recovery seek riverbend --key found-again --as hilltop", "has not accepted");
    for guardian in ["northfield", "hilltop"] {
        federation.must(&format!("office accept --keys-of riverbend --as {guardian}"));
    }
    let seek = || {
        for guardian in ["northfield", "hilltop"] {
            federation.must(&format!("recovery seek riverbend --key found-again --as {guardian}"));
        }
    };
    // Whoever stole the one key does without guardians, and objects to what they do; they see it, and insist.
    let asked = federation.must("recovery clear --as riverbend").to_string();
    assert!(asked.contains("guardians_asked"), "{asked}");
    let guarded = federation.must("recovery guarded northfield").to_string();
    assert!(guarded.contains("riverbend") && guarded.contains("ready"), "{guarded}");
    seek();
    let objected = federation.must("recovery cancel --as riverbend").to_string();
    assert!(objected.contains("recovery_contested"), "{objected}");
    federation.refused("recovery cancel --as riverbend", "all of its keys");
    seek();
    wait_until("the account to have its new key", || {
        let shown = federation.must("account show riverbend").to_string();
        let key = federation.must("key show found-again").to_string();
        let key: Value = serde_json::from_str(&key).ok()?;
        let public = key.get("public_key")?.as_str()?.to_owned();
        shown.contains(&public).then_some(())
    });
    federation.must(&format!("shares burn {MODEL} --units 1 --reason mine --as riverbend --sign-with found-again"));
    assert_eq!(federation.held(&["riverbend"]), [19]);
}

fn suspend_and_reinstate(federation: &Federation) {
    let operators = ["operator-0", "operator-1", "operator-2", "operator-3"];
    federation.decide("suspend riverbend --reason lost-laptop --as operator-0", &operators);
    let burn = format!("shares burn {MODEL} --units 1 --reason x --as riverbend --sign-with found-again");
    federation.refused(&burn, "suspended");
    let shown = federation.must("account show riverbend").to_string();
    assert!(shown.contains("lost-laptop") && shown.contains("suspension_title"), "{shown}");
    federation.decide("reinstate riverbend --as operator-1", &operators);
    federation.must(&burn);
    assert_eq!(federation.held(&["riverbend"]), [18]);
}

/// A release that waits for a review, then a later version made from it, warned off and taken back.
fn release_after_a_review(federation: &Federation) {
    federation.must(
        "model create scans --as northfield --holder northfield=60 --holder lakeside=40 --steward northfield \
         --steward lakeside --template regulated-consortium --voting-period 2s --timelock 0s --cliff 1d --vesting 10d",
    );
    let file = federation.net.root().join("weights.bin");
    std::fs::write(&file, b"weights").unwrap();
    let file = file.display();
    federation.must(&format!("publish {file} --model northfield/scans --version 1.0 --as northfield"));
    let rules = federation.must("policy explain northfield/scans").to_string();
    assert!(rules.contains("safety-review"), "{rules}");
    let proposal = federation.open("release northfield/scans@1.0 --as lakeside");
    federation.vote(&proposal, &[("northfield", "yes"), ("lakeside", "yes")]);
    wait_until("the release to wait for its review", || {
        let view = federation.must(&format!("proposals show {proposal}"));
        view.get("status")?.get("queued").cloned()
    });
    federation.refused(&format!("proposals execute {proposal} --as hilltop"), "safety-review");
    for reviewer in ["northfield", "lakeside"] {
        federation.must(&format!("attest northfield/scans@1.0 --statement safety-review --passed --as {reviewer}"));
    }
    federation.refused(&format!("proposals execute {proposal} --as hilltop"), "safety-review");
    let shown = federation.must("model show northfield/scans").to_string();
    assert!(shown.contains("nothing can be released until enough accept"), "{shown}");
    federation.must("office accept --attester northfield/scans:reviewer --as lakeside");
    federation.must(&format!("proposals execute {proposal} --as hilltop"));
    let shown = federation.must("model show northfield/scans").to_string();
    assert!(shown.contains("\"released\":\"1.0\""), "{shown}");
}

fn stop_by_guardian(federation: &Federation) {
    federation.must(
        "model create guarded --as northfield --holder northfield=10 --steward northfield --template equal-partners \
         --voting-period 1s --timelock 1d --guardian hilltop",
    );
    let proposal = federation.open("mint northfield/guarded --to lakeside --units 5 --reason x --as northfield");
    federation.must(&format!("vote {proposal} yes --as northfield"));
    wait_until("the decision to wait out its timelock", || {
        let view = federation.must(&format!("proposals show {proposal}"));
        view.get("status")?.get("queued").cloned()
    });
    federation.refused(&format!("proposals cancel {proposal} --reason no --as lakeside"), "guardian");
    federation.refused(&format!("proposals cancel {proposal} --reason no --as hilltop"), "has not accepted");
    let explained = federation.must("policy explain northfield/guarded").to_string();
    assert!(explained.contains("the guardian has not accepted"), "{explained}");
    federation.must("office accept --guardian northfield/guarded --as hilltop");
    federation.must(&format!("proposals cancel {proposal} --reason no --as hilltop"));
}

fn report_and_trace(federation: &Federation) {
    let reported =
        federation.must("incident report northfield/scans@1.0 --text wrong --as riverbend --sign-with found-again");
    let incident = text_of(&reported, "incident").to_owned();
    federation.must(&format!("incident update {incident} --status resolved --text mended --as northfield"));
    let file = federation.net.root().join("weights-2.bin");
    std::fs::write(&file, b"better weights").unwrap();
    let file = file.display();
    federation.must(&format!(
        "publish {file} --model northfield/scans --version 2.0 --as northfield --parent northfield/scans@1.0"
    ));
    let down = federation.must("lineage northfield/scans@1.0 --down").to_string();
    assert!(down.contains("2.0"), "{down}");
}

fn change_the_network(federation: &Federation) {
    let operators = ["operator-0", "operator-1", "operator-2", "operator-3"];
    federation.decide("parameters --set heartbeat_ms=30000 --as operator-2", &operators);
    let network = federation.must("network").to_string();
    assert!(network.contains("\"heartbeat_ms\":30000"), "{network}");
    federation.decide("admit-member hilltop --as operator-3", &operators);
    federation.decide("grant-quota hilltop --quota 3 --as hilltop", &operators);
    federation.must("account create ward --new-key ward --sponsor hilltop");
    let upgrade = federation.open("upgrade --height 1 --protocol 2 --release 9.9.9 --as operator-0");
    federation.vote(&upgrade, &operators.map(|operator| (operator, "yes")));
    federation.refused(&format!("proposals wait {upgrade} --timeout 60"), "not executed");
}

fn vest_export_and_end(federation: &Federation) {
    federation.must(
        "model create grown --as northfield --holder northfield=60 --steward northfield --template founder-led \
         --voting-period 1s --timelock 0s --cliff 1d --vesting 10d --grant northfield/digits=10",
    );
    federation.refused("shares transfer northfield/grown --as northfield --to ward --units 50 --reason x", "vesting");
    let register = federation.must("shares export northfield/grown --format ocf").to_string();
    assert!(register.contains("STAKEHOLDER"), "{register}");
    let retired = federation.open("retire northfield/grown --reason replaced --as northfield");
    federation.vote(&retired, &[("northfield", "yes"), ("lakeside", "yes"), ("hilltop", "yes")]);
    federation.must(&format!("proposals wait {retired} --timeout 60"));
    let round = format!("round northfield/grown --plan {} --budget 9 --weight data=1 --as northfield", "cd".repeat(32));
    let dry_run = federation.must(&format!("propose {round} --dry-run")).to_string();
    assert!(dry_run.contains("retired"), "{dry_run}");
}
