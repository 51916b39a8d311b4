//! What the few keep whatever the many decide: their part of a mint, their units, a say over both; and how an
//! organisation goes.

use super::Federation;
use crate::{text_of, turn};
use allod_tests::processes::{text, wait_until};
use serde_json::{Value, json};

const MODEL: &str = "northfield/parts";
const OWNERS: [&str; 4] = ["northfield", "lakeside", "hilltop", "riverbend"];

#[test]
fn the_few_keep_what_is_theirs_on_four_peers() {
    let _turn = turn();
    let federation = Federation::begin(19_600);
    federation.must(&format!(
        "model create parts --as northfield {} --steward northfield --template equal-partners --voting-period 2s \
         --timelock 0s --dilution 1/4 --yearly-dilution 1/2 --preemption 6s",
        OWNERS.map(|owner| format!("--holder {owner}=250")).join(" ")
    ));
    keep_their_part(&federation);
    stop_as_holders(&federation);
    expropriate_by_name(&federation);
    take_and_refuse(&federation);
    pass_into_other_hands(&federation);
    leave_and_remove(&federation);
    federation.net.wait_agreement(&[0, 1, 2, 3]);
}

/// Three of four equal partners mint to one of them: within what the policy allows, and the fourth keeps its part.
fn keep_their_part(federation: &Federation) {
    let mint =
        |units: u64| format!("mint {MODEL} --to northfield --units {units} --reason grown --as northfield --dry-run");
    let too_much = federation.must(&format!("propose {}", mint(251))).to_string();
    assert!(too_much.contains("too_dilutive"), "more than a quarter of 1,000 units: {too_much}");
    federation.decide(mint(200).trim_end_matches(" --dry-run"), &["northfield", "lakeside", "hilltop"]);
    let issues = federation.must(&format!("shares issues {MODEL}"));
    assert_eq!(issues.pointer("/0/issue/units").or_else(|| issues.pointer("/0/units")), Some(&json!(200)), "{issues}");
    assert_eq!(federation.held_of(MODEL, &OWNERS), [250; 4], "minted units wait for those who may take them up");
    federation.refused(&format!("shares take-up {MODEL} 0 --units 51 --as riverbend"), "may take up 50");
    federation.must(&format!("shares take-up {MODEL} 0 --units 50 --as riverbend"));
    wait_until("the rest to go where it was decided", || {
        (federation.held_of(MODEL, &OWNERS) == [400, 250, 250, 300]).then_some(())
    });
    federation.refused(&format!("shares take-up {MODEL} 0 --units 1 --as lakeside"), "issue 0");
    // A second decision within the year: 300 of 1,200 are a quarter, and more than half of 1,000 with the first 200.
    let too_much = federation.must(&format!("propose {}", mint(301))).to_string();
    assert!(too_much.contains("too_dilutive"), "{too_much}");
    federation.must(&format!("propose {}", mint(300)));
}

/// Changes a model's policy in a file, as an owner does, and lets the owners decide on it.
fn change_policy(federation: &Federation, change: impl FnOnce(&mut Value), voters: &[&str]) {
    let mut policy = federation.must(&format!("policy show {MODEL}"));
    change(&mut policy);
    let file = federation.net.root().join("policy.json");
    std::fs::write(&file, policy.to_string()).unwrap();
    federation.decide(&format!("policy {MODEL} --policy {} --as northfield", file.display()), voters);
}

/// Two holders, however little they hold, stop what the rest wants.
fn stop_as_holders(federation: &Federation) {
    let block = |policy: &mut Value| {
        policy["ownership"]["blocking_holders"] = json!(2);
        policy["transfers"] = json!("locked");
    };
    change_policy(federation, block, &OWNERS);
    let explained = federation.must(&format!("policy explain {MODEL}")).to_string();
    assert!(explained.contains("2 holders"), "{explained}");
    let mint = format!("mint {MODEL} --to northfield --units 10 --reason more --as northfield");
    let one_against = [("northfield", "yes"), ("lakeside", "yes"), ("hilltop", "yes"), ("riverbend", "no")];
    let passed = federation.open(&mint);
    federation.vote(&passed, &one_against);
    federation.must(&format!("proposals wait {passed} --timeout 60"));
    let two_against = [("northfield", "yes"), ("lakeside", "yes"), ("hilltop", "no"), ("riverbend", "no")];
    let proposal = federation.lose(&mint, &two_against);
    let shown = federation.must(&format!("proposals show {proposal}"));
    assert_eq!(shown.pointer("/status/rejected/verdict").and_then(Value::as_str), Some("blocked"), "{shown}");
    wait_until("what one stopped alone to be minted", || {
        (federation.held_of(MODEL, &OWNERS).iter().sum::<u64>() == 1_210).then_some(())
    });
}

/// Units go without their holder's consent only where the policy says so by name, and by its own rule.
fn expropriate_by_name(federation: &Federation) {
    let take = format!("propose expropriate {MODEL} --from riverbend --units 5 --cause broken --as northfield");
    federation.refused(&format!("{take} --dry-run"), "no_expropriation");
    let unnamed = |policy: &mut Value| policy["expropriation"] = policy["ownership"].clone();
    let mut policy = federation.must(&format!("policy show {MODEL}"));
    unnamed(&mut policy);
    let file = federation.net.root().join("unnamed.json");
    std::fs::write(&file, policy.to_string()).unwrap();
    let silently = format!("propose policy {MODEL} --policy {} --as northfield", file.display());
    federation.refused(&silently, "allow it by name: expropriation");
    let named = |policy: &mut Value| {
        unnamed(policy);
        policy["allow"].as_array_mut().unwrap().push(json!("expropriation"));
    };
    change_policy(federation, named, &OWNERS);
    let explained = federation.must(&format!("policy explain {MODEL}")).to_string();
    assert!(explained.contains("without its consent"), "{explained}");
    let before = federation.held_of(MODEL, &["riverbend"])[0];
    let question = take.trim_start_matches("propose ");
    federation.decide(question, &["northfield", "lakeside", "hilltop"]);
    assert_eq!(federation.held_of(MODEL, &["riverbend"]), [before - 5]);
    let history = federation.must(&format!("shares history {MODEL} --limit 1")).to_string();
    assert!(history.contains("broken"), "{history}");
}

/// Units that come unasked can be refused; what was refused waits until it is asked for.
fn take_and_refuse(federation: &Federation) {
    federation.must(
        "model create gifts --as northfield --holder northfield=100 --steward northfield --template open-community \
         --voting-period 2s --timelock 0s",
    );
    federation.must("shares refuse northfield/gifts --as hilltop");
    let said = federation.must("shares intake hilltop").to_string();
    assert!(said.contains("\"takes\":false"), "{said}");
    let give = "shares transfer northfield/gifts --as northfield --to hilltop --units 10 --reason present";
    federation.refused(give, "takes no units");
    let mint = federation.open("mint northfield/gifts --to hilltop --units 7 --reason present --as northfield");
    federation.must(&format!("vote {mint} yes --as northfield"));
    wait_until("the mint to wait for who is to hold", || {
        let output = federation.net.client(0, &["proposals", "execute", &mint, "--as", "lakeside"]);
        text(&output).contains("takes no units").then_some(())
    });
    federation.must("shares take northfield/gifts --as hilltop");
    wait_until("the mint to be carried out", || {
        let _early = federation.net.client(0, &["proposals", "execute", &mint, "--as", "lakeside"]);
        let register = federation.must("shares show northfield/gifts").to_string();
        register.contains("\"units\":7").then_some(())
    });
    federation.must("shares burn northfield/gifts --units 7 --reason thanks --as hilltop");
    federation.must("shares refuse --any --as hilltop");
    federation.must("shares take northfield/gifts --forget --as hilltop");
    federation.refused(give, "takes no units");
    federation.must("shares take --any --forget --as hilltop");
    federation.must(give);
}

/// Keys in other hands neither vote nor give until the owners accept them.
fn pass_into_other_hands(federation: &Federation) {
    let ask = |policy: &mut Value| policy["change_of_control"] = json!("approval");
    change_policy(federation, ask, &OWNERS);
    federation.must("account rotate hilltop --new-key successor");
    let question = federation.open(&format!("statement {MODEL} --title Hands --text x --as northfield"));
    federation.refused(&format!("vote {question} yes --as hilltop --sign-with successor"), "have not accepted");
    let register = federation.must(&format!("shares show {MODEL}"));
    let lines = register.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let marked = lines.iter().filter(|line| line["unaccepted_since"].is_u64());
    assert_eq!(marked.map(|line| line["handle"].clone()).collect::<Vec<_>>(), [json!("hilltop")], "{register}");
    let accept = format!("accept-control {MODEL} hilltop --as northfield");
    federation.decide(&accept, &["northfield", "lakeside", "riverbend"]);
    let question = federation.open(&format!("statement {MODEL} --title Hands --text x --as northfield"));
    federation.must(&format!("vote {question} yes --as hilltop --sign-with successor"));
}

/// A member goes by itself, another is removed by the rest, and what both hold stays theirs.
fn leave_and_remove(federation: &Federation) {
    let operators = ["operator-0", "operator-1", "operator-2", "operator-3"];
    for member in ["lakeside", "riverbend"] {
        federation.decide(&format!("admit-member {member} --as operator-0"), &operators);
    }
    let before = federation.held_of(MODEL, &["lakeside", "riverbend"]);
    federation.must("leave --as lakeside");
    federation.refused("leave --as lakeside", "member");
    let removal = federation.decide("remove-member riverbend --reason lost --as operator-1", &operators);
    let shown = federation.must(&format!("proposals show {removal}"));
    assert!(text_of(&shown, "title").contains("riverbend"), "{shown}");
    let account = federation.must("account show riverbend").to_string();
    assert!(account.contains("\"member_since\":null"), "{account}");
    federation.refused("propose statement --network --title x --text y --as riverbend", "member");
    assert_eq!(federation.held_of(MODEL, &["lakeside", "riverbend"]), before);
}
