//! What keeps people safe, by the commands of those who use a model: a failed review, an emergency stop, a version that
//! was made from one that should not be used, an incident that is closed on nobody unheard.

use super::Federation;
use crate::text_of;
use allod_tests::processes::{text, wait_until};
use serde_json::Value;

/// The peer that has the bytes.
const PUBLISHER: usize = 0;

impl Federation {
    /// Fetches at the peer that has the bytes, and waits for this exit code, because a peer may be a block behind.
    fn fetch(&self, what: &str, exit: i32) -> String {
        let command = format!("fetch {what}");
        wait_until(&format!("`{command}` to end with {exit}"), || {
            let output = self.net.client(PUBLISHER, &command.split_whitespace().collect::<Vec<_>>());
            (output.status.code() == Some(exit)).then(|| text(&output))
        })
    }

    fn publish_weights(&self, label: &str, more: &str) {
        let file = self.net.root().join(format!("scans-{label}.bin"));
        std::fs::write(&file, format!("scans {label}")).unwrap();
        let command =
            format!("publish {} --model northfield/scans --version {label} --as northfield {more}", file.display());
        self.net.must(PUBLISHER, &command.split_whitespace().collect::<Vec<_>>());
    }
}

/// Of `northfield/scans`, which two stewards own: each of them may stop a version.
pub(super) fn stop_warn_and_answer(federation: &Federation) {
    federation.publish_weights("1.1", "");
    federation.fetch("northfield/scans@1.1", 0);
    federation.refused("stop northfield/scans@1.1 --reason harmful --as hilltop", "is not named for emergencies");
    federation.must("stop northfield/scans@1.1 --reason harmful --as lakeside");
    let refused = federation.fetch("northfield/scans@1.1", 5);
    assert!(refused.contains("harmful") && refused.contains("--despite suspended"), "{refused}");
    let given = federation.fetch("northfield/scans@1.1 --despite suspended", 0);
    assert!(given.contains("\"suspended\""), "{given}");
    let shown = federation.must("model show northfield/scans@1.1").to_string();
    assert!(shown.contains("harmful"), "{shown}");

    // The owners lift it, by the short path of the safety rule.
    let lift = "lift-suspension northfield/scans@1.1 --reason mistaken --as northfield";
    federation.decide(lift, &["northfield", "lakeside"]);
    federation.fetch("northfield/scans@1.1", 0);
    federation.refused("stop northfield/scans@1.1 --reason harmful --as lakeside", "stopped version 1.1 before");
    let stops = federation.must("stops northfield/scans").to_string();
    assert!(stops.contains("lifted"), "{stops}");

    // What was made from a version that was taken back says so, and is given all the same.
    federation.publish_weights("1.2", "--parent northfield/scans@1.1");
    let withdraw = "withdraw-version northfield/scans@1.1 --reason harmful --as northfield";
    federation.decide(withdraw, &["northfield", "lakeside"]);
    federation.fetch("northfield/scans@1.1", 5);
    federation.fetch("northfield/scans@1.1 --despite withdrawn", 0);
    let warned = federation.fetch("northfield/scans@1.2", 7);
    assert!(warned.contains("made from 1.1"), "{warned}");
    federation.fetch("northfield/scans@1.2 --despite withdrawn", 7);
    federation.fetch("northfield/scans@1.2 --despite made-from", 0);
    close_on_nobody_unheard(federation);
}

/// Both sides of an incident are heard: who reported it, and who is named.
fn close_on_nobody_unheard(federation: &Federation) {
    let reported = federation.must("incident report northfield/scans@1.1 --text wrong --as hilltop");
    let incident = text_of(&reported, "incident").to_owned();
    let close =
        format!("incident update {incident} --status resolved --responsible lakeside --text mended --as northfield");
    federation.refused(&close, "neither answered nor commented");
    federation.must(&close.replace("resolved", "investigating"));
    federation.refused(&format!("incident answer {incident} --text mine --as riverbend"), "neither reported");
    federation.must(&format!("incident answer {incident} --text elsewhere --as lakeside"));
    federation.must(&format!("office resign --incident {incident} --as lakeside"));
    federation.must(&format!("incident answer {incident} --text indeed --as hilltop"));
    federation.must(&close);
    let shown = federation.must(&format!("incident show {incident}"));
    assert_eq!(text_of(&shown, "responsible_answer"), "resigned", "{shown}");
    assert_eq!(shown.get("history").and_then(|history| history.as_array()).map(Vec::len), Some(4), "{shown}");
    bound_what_one_account_costs_all(federation);
}

/// Nobody piles up what others keep, or asks for more at once than a block can do.
fn bound_what_one_account_costs_all(federation: &Federation) {
    let report = "incident report northfield/scans@1.1 --text again --as hilltop";
    let reported = (0..4).map(|_| text_of(&federation.must(report), "incident").to_owned()).collect::<Vec<_>>();
    federation.refused(report, "not settled; its stewards have to settle one first");
    let one = reported.first().expect("four");
    federation.must(&format!("incident update {one} --status dismissed --text known --as northfield"));
    let last = federation.must(report);
    let shown = federation.must(&format!("transaction {}", text_of(&last, "transaction")));
    assert!(shown.get("weight").and_then(Value::as_u64).is_some_and(|weight| weight > 500), "{shown}");
    let heavy = "propose stewards northfield/scans --steward northfield --as northfield --then stewards northfield/scans --steward lakeside \
                 --then stewards northfield/scans --steward northfield";
    federation.refused(heavy, "weighs");
}
