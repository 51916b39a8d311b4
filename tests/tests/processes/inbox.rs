//! What an account is asked, on real peers: each asks of its own peer, answers by the command line that it is told, and is
//! asked no more.

use super::{account, text_of, turn};
use allod_tests::processes::{Processes, allod, text, wait_until};
use serde_json::Value;
use std::process::Command;

const MODEL: &str = "northfield/digits";

struct Asked<'a> {
    net: &'a Processes,
    peer: usize,
    handle: &'static str,
}

impl Asked<'_> {
    fn inbox(&self) -> Vec<Value> {
        self.net.must(self.peer, &["inbox", self.handle]).as_array().cloned().unwrap_or_default()
    }

    /// Waits until this is asked, for other peers may be a block behind.
    fn item(&self, kind: &str) -> Value {
        wait_until(kind, || self.inbox().into_iter().find(|item| text_of(item, "kind") == kind))
    }

    /// Answers by the command line that the inbox gives, with what is to be chosen and said put in.
    fn answer(&self, kind: &str, said: &[(&str, &str)]) {
        let item = self.item(kind);
        let mut command = text_of(&item, "command").to_owned();
        for (what, with) in said {
            assert!(command.contains(what), "{command}");
            command = command.replace(what, with);
        }
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let output = self.net.client(self.peer, &words);
        assert!(output.status.success(), "{command}: {}", text(&output));
        let id = item.get("id").cloned();
        let again = |one: &Value| text_of(one, "kind") == kind && one.get("id") == id.as_ref();
        wait_until("the question to be gone", || (!self.inbox().iter().any(again)).then_some(()));
    }
}

#[test]
fn an_account_answers_all_that_it_is_asked_by_the_lines_of_its_inbox() {
    let _turn = turn();
    let net = Processes::start(4, 19_500);
    let north = Asked { net: &net, peer: 0, handle: "northfield" };
    let south = Asked { net: &net, peer: 1, handle: "southbank" };
    let operator = Asked { net: &net, peer: 2, handle: "operator-2" };
    for one in [&north, &south] {
        account(&net, 0, one.handle);
    }
    let must = |command: &str| net.must(0, &command.split_whitespace().collect::<Vec<_>>());
    must(
        "model create digits --as northfield --holder northfield=60 --holder southbank=40 --steward northfield --steward \
         southbank --template equal-partners --voting-period 60s --timelock 0s",
    );
    assert!(net.must(0, &["inbox", "operator-2"]).as_array().is_some_and(Vec::is_empty));
    south.answer("accept_office", &[("accept|resign", "accept")]);

    must(&format!("propose burn {MODEL} --from southbank --units 5 --cause left --as northfield"));
    south.answer("vote", &[("yes|no|abstain", "yes")]);
    south.answer("consent", &[]);
    north.answer("vote", &[("yes|no|abstain", "yes")]);

    must(&format!("contribute {MODEL} --as southbank --kind data --amount 12 --note scans"));
    north.answer("countersign", &[]);
    must(&format!("dispute line {MODEL} southbank --units 5 --text copied --as northfield"));
    south.answer("answer_dispute", &[("WORDS", "measured")]);
    must("propose statement --network --title Welcome --as operator-0");
    operator.answer("vote", &[("yes|no|abstain", "yes")]);

    let unanswered = must("proposals --network").get(0).map(|proposal| text_of(proposal, "id").to_owned()).unwrap();
    let shown = Command::new(allod()).args(["proposals", "show", &unanswered, "--api", &net.api(0)]).output().unwrap();
    let shown = text(&shown);
    for line in ["NOT YET ANSWERED", "operator-1", "operator-3", "  the members\n"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let told = Command::new(allod()).args(["inbox", "operator-1", "--api", &net.api(3)]).output().unwrap();
    let told = text(&told);
    assert!(told.contains("operator-0 asks the members to state this in the name of all members"), "{told}");
    assert!(told.starts_with("until 20"), "with a date: {told}");
    net.wait_agreement(&[0, 1, 2, 3]);
}
