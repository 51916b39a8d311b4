//! What owners decide against each other, what they take back, and how a network leaves a build behind: sealed rounds,
//! silence that passes, vetoes, arbiters, burning with cause, late quorums, an upgrade's height.

use super::{Federation, MODEL};
use crate::{text_of, turn};
use allod_tests::processes::{text, wait_until};
use serde_json::Value;

const OPERATORS: [&str; 4] = ["operator-0", "operator-1", "operator-2", "operator-3"];

#[test]
fn owners_object_and_take_back_on_four_peers_until_an_upgrade_stops_them() {
    let _turn = turn();
    let mut federation = Federation::begin(19_000);
    seal_and_reveal(&federation);
    hold_in_reserve(&federation);
    pass_by_silence(&federation);
    take_back(&federation);
    veto(&federation);
    rule_as_arbiters(&federation);
    appeal(&federation);
    outbid_a_shield(&federation);
    burn_and_rename(&federation);
    answer_late(&federation);
    reweight(&federation);
    federation.net.wait_agreement(&[0, 1, 2, 3]);
    outgrow(&mut federation);
}

fn seal_and_reveal(federation: &Federation) {
    let plan = "ab".repeat(32);
    let question = format!(
        "round {MODEL} --plan {plan} --budget 90 --weight data=1 --recording 8s --review 15s --sealed --as lakeside"
    );
    federation.decide(&question, &["northfield", "lakeside"]);
    let give = |giver: &str, amount: u64| {
        let given =
            federation.must(&format!("contribute {MODEL} --round 0 --as {giver} --kind data --amount {amount}"));
        assert!(text_of(&given, "kept").contains("/seals/"), "the salt is kept beside the keys: {given}");
        text_of(&given, "contribution").to_owned()
    };
    let (first, second) = (give("hilltop", 200), give("riverbend", 100));
    let untold = give("lakeside", 1_000);
    let code = format!("contribute {MODEL} --round 0 --as hilltop --kind code --amount 5");
    federation.refused(&code, "only to data");
    let shown = federation.must(&format!("contribute show {first}"));
    assert_eq!(shown.get("amount").and_then(Value::as_u64), Some(0), "nobody copies what nobody sees: {shown}");
    federation.refused(&format!("contribute accept {first} --as northfield"), "sealed");
    wait_until("the recording to end", || {
        let reveal = ["contribute", "reveal", &first, "--as", "hilltop"];
        federation.net.client(0, &reveal).status.success().then_some(())
    });
    let salt = "00".repeat(32);
    federation.refused(&format!("contribute reveal {second} --amount 1 --salt {salt} --as riverbend"), "sealed");
    federation.must(&format!("contribute reveal {second} --as riverbend"));
    federation.must(&format!("contribute decline {first} --reason unread --as lakeside"));
    let shown = federation.must(&format!("contribute show {first}")).to_string();
    assert!(shown.contains("unread"), "the giver is told why: {shown}");
    federation.must(&format!("contribute accept {first} --as northfield"));
    federation.must(&format!("contribute accept {second} --as lakeside"));
    // Lakeside keeps its amount to itself.
    let page = federation.must(&format!("rounds {MODEL} --number 0"));
    assert_eq!(["hilltop", "riverbend", "lakeside"].map(|giver| units_of(&page, giver)), [60, 30, 0], "{page}");
    wait_until("the round to close", || {
        let round = federation.must(&format!("rounds {MODEL} --number 0"));
        round.get("status")?.get("closed").cloned()
    });
    assert_eq!(federation.held(&["hilltop", "riverbend"]), [20 + 60, 30]);
    federation.refused(&format!("contribute reveal {untold} --as lakeside"), "accepted this until");
}

/// What a giver has, or would get, of a round.
fn units_of(page: &Value, giver: &str) -> u64 {
    let scores = page.get("scores").and_then(Value::as_array).expect("the scores");
    let score = scores.iter().find(|score| score.get("handle").and_then(Value::as_str) == Some(giver));
    score.and_then(|score| score.get("units").and_then(Value::as_u64)).expect("its units")
}

/// A challenge just before a round closes: what it is about is held until it is taken back, and then paid.
fn hold_in_reserve(federation: &Federation) {
    let model = "northfield/held";
    federation.must(
        "model create held --as northfield --holder northfield=60 --holder lakeside=40 --steward northfield \
         --template equal-partners --voting-period 2s --timelock 0s",
    );
    let plan = "cd".repeat(32);
    let question =
        format!("round {model} --plan {plan} --budget 90 --weight data=1 --recording 6s --review 10s --as northfield");
    federation.decide(&question, &["northfield", "lakeside"]);
    let give = |giver: &str, amount: u64| {
        let given =
            federation.must(&format!("contribute {model} --round 0 --as {giver} --kind data --amount {amount}"));
        let contribution = text_of(&given, "contribution").to_owned();
        federation.must(&format!("contribute accept {contribution} --as northfield"));
        contribution
    };
    let (_, second) = (give("hilltop", 200), give("riverbend", 100));
    let opened = federation.must(&format!("dispute contribution {second} --text copied --as lakeside"));
    let dispute = text_of(&opened, "dispute").to_owned();
    let page = || federation.must(&format!("rounds {model} --number 0"));
    wait_until("the undisputed part to be minted", || page().to_string().contains("\"waiting\"").then_some(()));
    let held = page();
    assert_eq!(["hilltop", "riverbend"].map(|giver| units_of(&held, giver)), [60, 0], "{held}");
    assert_eq!(held.get("minted").and_then(Value::as_u64), Some(60), "{held}");
    federation.must(&format!("dispute withdraw {dispute} --as lakeside"));
    wait_until("the rest to be minted", || page().to_string().contains("\"closed\"").then_some(()));
    let paid = page();
    assert_eq!(["hilltop", "riverbend"].map(|giver| units_of(&paid, giver)), [60, 30], "{paid}");
}

/// A founder's stewards release; owners who say nothing agree, and enough of them who object do not.
fn pass_by_silence(federation: &Federation) {
    federation.must(
        "model create founded --as northfield --holder northfield=60 --holder lakeside=25 --holder hilltop=15 \
         --steward northfield --template founder-led --voting-period 2s --timelock 0s",
    );
    federation.publish("first", "northfield/founded@1.0", "northfield");
    federation.refused("propose release northfield/founded@1.0 --as lakeside", "steward");
    federation.decide("release northfield/founded@1.0 --as northfield", &[]);
    federation.publish("second", "northfield/founded@2.0", "northfield");
    federation.lose("release northfield/founded@2.0 --as northfield", &[("lakeside", "no")]);
    let shown = federation.must("model show northfield/founded").to_string();
    assert!(shown.contains("\"released\":\"1.0\""), "{shown}");
}

fn take_back(federation: &Federation) {
    let claim = "claim-lineage northfield/founded@2.0 --parent northfield/founded@1.0 --as northfield";
    federation.decide(claim, &["northfield", "lakeside"]);
    let up = federation.must("lineage northfield/founded@2.0").to_string();
    assert!(up.contains("1.0"), "{up}");
    let status = |version: &str| {
        let shown = federation.must("model show northfield/founded");
        let versions = shown.get("versions").and_then(Value::as_array).cloned().unwrap_or_default();
        let of = versions.iter().find(|one| one.get("label").and_then(Value::as_str) == Some(version));
        of.and_then(|version| version.get("status")).map(ToString::to_string).unwrap_or_default()
    };
    federation.decide("deprecate northfield/founded@1.0 --reason slower --as northfield", &["northfield", "lakeside"]);
    assert!(status("1.0").contains("deprecated"), "{}", status("1.0"));
    let fetched = federation.net.must(1, &["fetch", "northfield/founded@1.0", "--despite", "deprecated"]);
    let artifact = text_of(&fetched, "address");
    federation.decide("withdraw-version northfield/founded@1.0 --reason leaks --as northfield", &["northfield"]);
    assert!(status("1.0").contains("withdrawn"), "{}", status("1.0"));
    // The bytes are on some disks, and nobody else gets them any more.
    let lacks = |peer: &usize| {
        let (_, stored) = allod_tests::processes::get(federation.net.api_port(*peer), "/v1/artifacts").unwrap();
        !stored.contains(artifact)
    };
    let lacking: Vec<usize> = (0..4).filter(lacks).collect();
    assert!(lacking.len() >= 2, "one published and one fetched: {lacking:?}");
    for peer in lacking {
        let refused = federation.net.client(peer, &["fetch", "northfield/founded@1.0"]);
        assert!(!refused.status.success() && text(&refused).contains("withdrawn"), "{}", text(&refused));
    }
}

fn veto(federation: &Federation) {
    federation.must(
        "model create commons --as northfield --holder northfield=60 --holder lakeside=40 --steward northfield \
         --template open-community --voting-period 2s --timelock 0s",
    );
    let mint = "mint northfield/commons --to northfield --units 100 --reason mine --as northfield";
    let proposal = federation.lose(mint, &[("northfield", "yes"), ("lakeside", "veto")]);
    let view = federation.must(&format!("proposals show {proposal}")).to_string();
    assert!(view.contains("vetoed"), "{view}");
}

fn rule_as_arbiters(federation: &Federation) {
    federation.must(
        "model create judged --as northfield --holder lakeside=60 --holder riverbend=40 --steward northfield \
         --steward hilltop --template regulated-consortium --voting-period 2s --timelock 0s --arbiter northfield \
         --arbiter hilltop --arbiters-take-units --allow arbiters-take-units --ruling-timelock 2s",
    );
    federation.must("office accept --all-of northfield/judged --as hilltop");
    let opened =
        federation.must("dispute line northfield/judged riverbend --units 15 --text copied-data --as lakeside");
    let dispute = text_of(&opened, "dispute").to_owned();
    let rule = |by: &str| format!("dispute rule {dispute} --uphold --reasons seen --as {by}");
    federation.refused(&rule("riverbend"), "does not sit");
    federation.refused(&rule("northfield"), "to answer");
    federation.must(&format!("dispute answer {dispute} --text ours --as riverbend"));
    federation.must(&rule("northfield"));
    let waiting = federation.must(&format!("dispute show {dispute}")).to_string();
    assert!(waiting.contains("\"status\":\"open\""), "one of two arbiters is not enough: {waiting}");
    federation.must(&rule("hilltop"));
    let ruled = federation.must(&format!("dispute show {dispute}")).to_string();
    assert!(ruled.contains("ruled") && ruled.contains("seen"), "{ruled}");
    federation.refused(&format!("dispute withdraw {dispute} --as lakeside"), "can no longer be withdrawn");
    wait_until("the ruling to stand", || {
        let register = federation.must("shares show northfield/judged").to_string();
        register.contains("\"units\":25").then_some(())
    });
}

/// What a steward declines, its giver takes to the arbiters; the steward is not one of them in this.
fn appeal(federation: &Federation) {
    let model = "northfield/reviewed";
    federation.must(
        "model create reviewed --as northfield --holder northfield=100 --steward northfield --steward hilltop \
         --steward lakeside --template regulated-consortium --voting-period 2s --timelock 0s --arbiter northfield --arbiter hilltop \
         --arbiter lakeside --ruling-timelock 2s",
    );
    for steward in ["hilltop", "lakeside"] {
        federation.must(&format!("office accept --all-of {model} --as {steward}"));
    }
    let given = federation.must(&format!("contribute {model} --as riverbend --kind data --amount 7"));
    let contribution = text_of(&given, "contribution").to_owned();
    let appeal = format!("contribute appeal {contribution} --text it-is-whole --as riverbend");
    federation.refused(&appeal, "no steward has declined");
    federation.must(&format!("contribute decline {contribution} --reason half-of-it --as northfield"));
    let dispute = text_of(&federation.must(&appeal), "dispute").to_owned();
    federation.refused(&format!("dispute rule {dispute} --uphold --reasons seen --as northfield"), "does not sit");
    federation.must(&format!("dispute answer {dispute} --text half --as northfield"));
    for arbiter in ["hilltop", "lakeside"] {
        let shown = federation.must(&format!("contribute show {contribution}"));
        assert!(shown.get("accepted").is_some_and(Value::is_null), "it does not count yet: {shown}");
        federation.must(&format!("dispute rule {dispute} --uphold --reasons seen --as {arbiter}"));
    }
    wait_until("the ruling to stand", || {
        let shown = federation.must(&format!("contribute show {contribution}"));
        shown.get("accepted").is_some_and(Value::is_u64).then_some(())
    });
    federation.refused(&format!("contribute accept {contribution} --as hilltop"), "already counts");
}

/// Sixteen of one mind take all places to challenge a line, so that nobody else can; one who binds more can.
fn outbid_a_shield(federation: &Federation) {
    let model = "lakeside/shielded";
    let friends: Vec<String> = (0..16).map(|number| format!("friend-{number}")).collect();
    for friend in &friends {
        federation.must(&format!("account create {friend} --new-key {friend} --sponsor operator-2"));
    }
    let holders: Vec<String> = friends.iter().map(|friend| format!("--holder {friend}=1")).collect();
    federation.must(&format!(
        "model create shielded --as lakeside --holder lakeside=50 --holder hilltop=34 {} --steward lakeside \
         --template equal-partners --voting-period 2s --timelock 0s",
        holders.join(" ")
    ));
    for friend in &friends {
        federation.must(&format!("dispute line {model} lakeside --units 1 --text show --as {friend}"));
    }
    let challenge = format!("dispute line {model} lakeside --units 9 --text copied-data --as hilltop");
    federation.refused(&challenge, "bind more than its 1 units");
    let opened = federation.must(&format!("{challenge} --bond 5"));
    let dispute = text_of(&opened, "dispute").to_owned();
    let shown = federation.must(&format!("dispute show {dispute}"));
    assert_eq!(shown.get("bond").and_then(Value::as_u64), Some(5), "{shown}");
    let all = federation.must(&format!("dispute list {model} --limit 20")).to_string();
    assert_eq!(all.matches("\"outbid\"").count(), 1, "{all}");
}

fn burn_and_rename(federation: &Federation) {
    let burn = format!("burn {MODEL} --from riverbend --units 10 --cause left --as northfield");
    let proposal = federation.open(&burn);
    federation.vote(&proposal, &[("northfield", "yes"), ("lakeside", "yes"), ("hilltop", "yes")]);
    wait_until("the decision to lack nothing but its holder", || {
        let early = federation.net.client(0, &["proposals", "execute", &proposal, "--as", "northfield"]);
        text(&early).contains("must consent").then_some(())
    });
    federation.refused(&format!("shares consent {proposal} --as hilltop"), "takes no units of");
    assert_eq!(federation.held(&["riverbend"]), [30], "what all others want takes nothing");
    federation.must(&format!("shares consent {proposal} --as riverbend"));
    wait_until("the decision to be carried out", || {
        let _early = federation.net.client(0, &["proposals", "execute", &proposal, "--as", "hilltop"]);
        (federation.held(&["riverbend"]) == [20]).then_some(())
    });
    let stewards = format!("stewards {MODEL} --steward hilltop --as northfield");
    federation.decide(&stewards, &["northfield", "lakeside", "hilltop"]);
    let given = federation.must(&format!("contribute {MODEL} --as riverbend --kind code --amount 1"));
    let contribution = text_of(&given, "contribution").to_owned();
    federation.refused(&format!("contribute accept {contribution} --as northfield"), "steward");
    federation.refused(&format!("contribute accept {contribution} --as hilltop"), "has not accepted");
    federation.must(&format!("office accept --steward {MODEL} --as hilltop"));
    federation.must(&format!("contribute accept {contribution} --as hilltop"));
    let licence = format!("licence {MODEL} --spdx MIT --as northfield");
    federation.decide(&licence, &["northfield", "lakeside", "hilltop"]);
    let shown = federation.must(&format!("model show {MODEL}")).to_string();
    assert!(shown.contains("MIT") && !shown.contains("Apache-2.0"), "{shown}");
}

/// An answer that turns the outcome gives the others time.
fn answer_late(federation: &Federation) {
    let proposal = federation.open(&format!("statement {MODEL} --title Late --text x --as northfield"));
    let close = || {
        let view = federation.must(&format!("proposals show {proposal}"));
        view.get("closes").and_then(Value::as_u64).unwrap()
    };
    let before = close();
    federation.must(&format!("vote {proposal} yes --as northfield"));
    federation.must(&format!("vote {proposal} yes --as lakeside"));
    federation.must(&format!("vote {proposal} yes --as hilltop"));
    assert!(close() > before, "what turned the outcome moved the close");
    federation.must(&format!("proposals wait {proposal} --timeout 60"));
}

fn reweight(federation: &Federation) {
    let (_, listed) = allod_tests::processes::get(19_000, "/v1/validators").unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let key = text_of(&listed["current"][3], "key").to_owned();
    federation.decide(&format!("reweight-validator --key {key} --power 2 --as operator-1"), &OPERATORS);
    wait_until("the validator to have its new power", || {
        let (_, body) = allod_tests::processes::get(19_000, "/v1/validators")?;
        body.contains("\"power\":2").then_some(())
    });
}

/// A build that is too old stops before the height of an upgrade, says what to install, and has lost nothing.
fn outgrow(federation: &mut Federation) {
    let height = federation.net.height(0).unwrap() + 30;
    let question = format!("upgrade --height {height} --protocol 2 --release 9.9.9 --as operator-0");
    federation.decide(&question, &OPERATORS);
    let warned = federation.must("network").to_string();
    assert!(warned.contains("9.9.9"), "{warned}");
    // Whatever the clients still send moves the chain towards the height, and nothing after it is answered.
    let mut sent = 0;
    while sent < 60 {
        let give = ["contribute", MODEL, "--as", "hilltop", "--kind", "code", "--amount", "1", "--note"];
        let note = sent.to_string();
        if !federation.net.client(0, &[&give[..], &[&note]].concat()).status.success() {
            break;
        }
        sent += 1;
    }
    for peer in 0..4 {
        let log = federation.net.wait_end(peer);
        assert!(log.contains("install release 9.9.9"), "{log}");
    }
    federation.net.spawn(2);
    let log = federation.net.wait_end(2);
    assert_eq!(log.matches("install release 9.9.9").count() / 2, 1, "again at the start: {log}");
}
