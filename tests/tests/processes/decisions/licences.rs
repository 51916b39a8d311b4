//! Licences, by the commands of those who ask, grant and use them: what was asked for is agreed to, what is offered has to be
//! accepted, what was agreed to keeps its terms, and all of it has its history and its end.

use super::{Federation, MODEL};
use crate::{text_of, turn};
use allod_tests::processes::{text, wait_until};
use serde_json::Value;

const OWNERS: [&str; 2] = ["northfield", "lakeside"];

impl Federation {
    fn listed(&self, command: &str) -> Vec<Value> {
        self.must(command).as_array().cloned().unwrap_or_default()
    }

    fn asked_of(&self, account: &str, kind: &str) -> Vec<Value> {
        let items = self.listed(&format!("inbox {account}"));
        items.into_iter().filter(|item| text_of(item, "kind") == kind).collect()
    }

    /// The one thing of a kind that an account is asked.
    fn question(&self, account: &str, kind: &str) -> Value {
        let mut found = self.asked_of(account, kind);
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        found.remove(0)
    }

    /// Answers by the line of an inbox, with its choice made.
    fn answer(&self, item: &Value, choice: Option<(&str, &str)>) -> Value {
        let line = text_of(item, "command").strip_prefix("allod ").unwrap();
        let line = choice.map_or_else(|| line.to_owned(), |(either, one)| line.replace(either, one));
        self.must(&line)
    }

    /// How riverbend stands to the model's licences.
    fn licence(&self) -> Value {
        self.listed("licence list riverbend").into_iter().next().unwrap()
    }

    fn is_in_force(&self) -> bool {
        self.licence().get("in_force").and_then(Value::as_bool).unwrap()
    }

    /// The terms of the licence that riverbend agreed to, in JSON.
    fn terms(&self) -> String {
        self.licence().pointer("/licence/grant/terms").unwrap().to_string()
    }

    /// What people read, not programs.
    fn told(&self, command: &str) -> String {
        let words =
            command.split_whitespace().chain(["--api"]).map(str::to_owned).chain([self.net.api(self.next_peer())]);
        let output = std::process::Command::new(allod_tests::processes::allod()).args(words).output().unwrap();
        assert!(output.status.success(), "{command}: {}", text(&output));
        text(&output)
    }
}

/// riverbend owns nothing of the model, and is no steward of it.
#[test]
fn a_licence_is_asked_for_granted_accepted_kept_on_its_terms_and_ended() {
    let _turn = turn();
    let federation = Federation::begin(21_300);
    ask_and_be_granted(&federation);
    keep_the_terms(&federation);
    answer_what_was_read(&federation);
    hear_of_versions(&federation);
    end(&federation);
    run_out(&federation);
    federation.net.wait_agreement(&[0, 1, 2, 3]);
}

/// What was asked for needs no further word of who asked.
fn ask_and_be_granted(federation: &Federation) {
    federation.refused(&format!("licence accept {MODEL} --as riverbend"), "is not offered a licence");
    federation.refused(
        &format!("propose grant-licence {MODEL} riverbend --as-asked --as northfield"),
        "does not ask for a licence",
    );
    federation.must(&format!("licence ask {MODEL} --for 1h --text for-the-clinic --as riverbend"));
    let asked = federation.listed("licence requests --by riverbend");
    assert_eq!(asked, federation.listed(&format!("licence requests {MODEL}")));
    assert!(federation.told(&format!("licence requests {MODEL}")).contains("Apache-2.0, for 1 h from the grant"));

    let item = federation.question("lakeside", "grant_licence");
    for words in ["riverbend asks", "Apache-2.0", "for 1 h", "for-the-clinic"] {
        assert!(text_of(&item, "text").contains(words), "{words}: {item}");
    }
    assert!(federation.asked_of("hilltop", "grant_licence").is_empty(), "hilltop is no steward; it is asked to vote");
    let proposal = text_of(&federation.answer(&item, None), "proposal").to_owned();
    let vote = federation.question("hilltop", "vote");
    assert!(text_of(&vote, "text").contains("give riverbend a licence to northfield/digits"), "{vote}");
    federation.vote(&proposal, &OWNERS.map(|owner| (owner, "yes")));
    federation.must(&format!("proposals wait {proposal} --timeout 60"));
    assert!(federation.is_in_force());
    assert!(federation.asked_of("riverbend", "accept_licence").is_empty());
    assert!(federation.listed(&format!("licence requests {MODEL}")).is_empty(), "it is used up");
}

/// Neither other terms of the model nor an offer of others changes what was agreed to.
fn keep_the_terms(federation: &Federation) {
    federation.decide(&format!("licence {MODEL} --spdx MIT --as northfield"), &OWNERS);
    assert!(federation.terms().contains("Apache-2.0"));
    federation.decide(&format!("grant-licence {MODEL} riverbend --as northfield"), &OWNERS);
    assert!(federation.is_in_force() && federation.terms().contains("Apache-2.0"));
    let item = federation.question("riverbend", "accept_licence");
    for words in ["the terms of MIT", "for ever", "the licence that you have stays as it is"] {
        assert!(text_of(&item, "text").contains(words), "{words}: {item}");
    }
    federation.answer(&item, Some(("accept|decline", "decline")));
    assert!(federation.is_in_force() && federation.terms().contains("Apache-2.0"));
    assert!(federation.asked_of("riverbend", "accept_licence").is_empty());
    federation.refused(&format!("licence decline {MODEL} --as riverbend"), "is not offered a licence");
}

/// Who answers late agrees to no other grant than the one that it read of.
fn answer_what_was_read(federation: &Federation) {
    federation.decide(&format!("grant-licence {MODEL} riverbend --as northfield"), &OWNERS);
    let read = federation.question("riverbend", "accept_licence");
    federation.decide(&format!("grant-licence {MODEL} riverbend --spdx BSD-3-Clause --as northfield"), &OWNERS);
    let late = text_of(&read, "command").replace("allod ", "").replace("accept|decline", "accept");
    federation.refused(&late, "BSD-3-Clause");
    let now = federation.question("riverbend", "accept_licence");
    federation.answer(&now, Some(("accept|decline", "accept")));
    assert!(federation.is_in_force() && federation.terms().contains("BSD-3-Clause"));
    let shown = federation.told(&format!("model licensees {MODEL}"));
    assert!(shown.contains("riverbend") && shown.contains("in force") && shown.contains("for ever"), "{shown}");
}

/// A licensee hears what became of what it uses.
fn hear_of_versions(federation: &Federation) {
    federation.publish("licensed weights", &format!("{MODEL}@used"), "northfield");
    federation.decide(&format!("release {MODEL}@used --as northfield"), &OWNERS);
    assert!(federation.asked_of("riverbend", "licensed_version").is_empty());
    federation.decide(&format!("withdraw-version {MODEL}@used --reason leaks --as northfield"), &OWNERS);
    let item = federation.question("riverbend", "licensed_version");
    assert!(text_of(&item, "text").contains("was withdrawn") && text_of(&item, "text").contains("leaks"), "{item}");
    assert!(federation.asked_of("hilltop", "licensed_version").is_empty());
}

/// Either side ends it, and the history keeps every step.
fn end(federation: &Federation) {
    federation.must(&format!("licence give-up {MODEL} --as riverbend"));
    assert!(!federation.is_in_force());
    assert!(federation.asked_of("riverbend", "licensed_version").is_empty());
    federation.refused(&format!("licence give-up {MODEL} --as riverbend"), "has no licence");
    federation.decide(&format!("grant-licence {MODEL} riverbend --as northfield"), &OWNERS);
    federation.must(&format!("licence accept {MODEL} --as riverbend"));
    let revoke = format!("revoke-licence {MODEL} riverbend --reason unpaid --as northfield");
    federation.decide(&revoke, &OWNERS);
    assert!(!federation.is_in_force());
    let steps: Vec<String> = federation
        .listed(&format!("licence history {MODEL} riverbend"))
        .iter()
        .rev()
        .map(|change| match change.get("step").unwrap() {
            Value::String(step) => step.clone(),
            step => step.as_object().and_then(|step| step.keys().next()).unwrap().clone(),
        })
        .collect();
    let expected = "granted granted declined granted granted accepted given_up granted accepted revoked";
    assert_eq!(steps.join(" "), expected);
    let told = federation.told(&format!("licence history {MODEL} riverbend"));
    assert!(told.contains("agreed to beforehand") && told.contains("revoked: unpaid") && told.contains("20"), "{told}");
    assert!(federation.told("licence list riverbend").contains("REVOKED"));
}

/// A request lapses by itself, on a network where nothing else happens, and a licence is over when its time is.
fn run_out(federation: &Federation) {
    federation.must(&format!("licence ask {MODEL} --as hilltop"));
    federation.must(&format!("licence withdraw {MODEL} --as hilltop"));
    federation.refused(&format!("licence withdraw {MODEL} --as hilltop"), "nothing to withdraw");
    federation.must(&format!("licence ask {MODEL} --within 3s --as riverbend"));
    wait_until("the request to lapse", || {
        federation.listed(&format!("licence requests {MODEL}")).is_empty().then_some(())
    });
    federation.decide(&format!("grant-licence {MODEL} riverbend --for 20s --as northfield"), &OWNERS);
    federation.must(&format!("licence accept {MODEL} --as riverbend"));
    assert!(federation.is_in_force());
    wait_until("the licence to be over", || (!federation.is_in_force()).then_some(()));
    assert!(federation.told("licence list riverbend").contains("over"));
}
