//! What a decision needs at the least, what it does as the ledger sees it, and how weight that fell silent leaves the
//! count.

use super::{Federation, MODEL};
use crate::text_of;
use allod_tests::processes::wait_until;

pub(super) fn floors_hold_and_silence_ends(federation: &Federation) {
    nobody_decides_by_abstaining(federation);
    take_back_and_bundle(federation);
    leave_the_count(federation);
}

/// lakeside's 30 of 180 say yes, and the other two abstain.
fn nobody_decides_by_abstaining(federation: &Federation) {
    let ask = format!("statement {MODEL} --title Floor --text x --as northfield");
    let proposal = federation.lose(&ask, &[("lakeside", "yes"), ("northfield", "abstain"), ("hilltop", "abstain")]);
    let shown = federation.must(&format!("proposals show {proposal}"));
    assert_eq!(shown.pointer("/status/rejected/verdict").and_then(|verdict| verdict.as_str()), Some("no_yes_quorum"));
    let explained = federation.must(&format!("policy explain {MODEL}")).to_string();
    assert!(
        explained.contains("Nothing passes with less yes than one voice more than 50 % of all weight"),
        "{explained}"
    );
}

fn take_back_and_bundle(federation: &Federation) {
    let title = "--title Release-1.0";
    let burn = format!("burn {MODEL} --from hilltop --units 5 --cause x --as northfield {title}");
    let proposal = federation.open(&burn);
    federation.refused(&format!("vote {proposal} veto --as lakeside"), "answer no");
    federation.must(&format!("vote {proposal} no --as lakeside"));
    let listed = federation.must(&format!("proposals {MODEL} --all")).to_string();
    assert!(listed.contains("burn 5 units of northfield/digits that hilltop holds"), "whatever its title: {listed}");
    federation.must(&format!("proposals withdraw {proposal} --reason mistaken --as northfield"));
    let shown = federation.must(&format!("proposals show {proposal}")).to_string();
    assert!(shown.contains("mistaken") && shown.contains("\"no\":30"), "{shown}");
    let both = format!(
        "mint {MODEL} --to lakeside --units 3 --reason x --as northfield --then mint {MODEL} --to hilltop --units 2 --reason y"
    );
    let before = federation.held(&["lakeside", "hilltop"]);
    let dry_run = federation
        .must(&format!("propose mint {MODEL} --to lakeside --units 300 --reason x --as northfield --dry-run"));
    let lines = dry_run.pointer("/effect/lines").and_then(|lines| lines.as_array()).cloned().unwrap_or_default();
    let parts = lines.iter().filter_map(|line| line.get("basis_points_after")?.as_u64()).sum::<u64>();
    assert!(lines.len() > 2 && parts == 10_000, "every line, before and after: {dry_run}");
    federation.decide(&both, &["northfield", "lakeside", "hilltop"]);
    let after = federation.held(&["lakeside", "hilltop"]);
    assert_eq!(after, [before[0] + 3, before[1] + 2], "both, by one decision");
    let history = federation.must(&format!("shares history {MODEL} --limit 2")).to_string();
    assert!(history.contains("decision_does"), "{history}");
}

/// Of four equal partners two are lost, and the others decide again.
fn leave_the_count(federation: &Federation) {
    const MODEL: &str = "northfield/lost";
    federation.must(
        "model create lost --as northfield --holder northfield=1 --holder lakeside=1 --holder hilltop=1 \
         --holder riverbend=1 --steward northfield --template equal-partners --voting-period 2s --timelock 0s \
         --dormancy 4s --allow hasty-dormancy",
    );
    federation.must(&format!("silence call hilltop --model {MODEL} --as northfield"));
    federation.must(&format!("silence call riverbend --model {MODEL} --as northfield"));
    federation.must(&format!("silence answer --model {MODEL} --as riverbend"));
    wait_until("hilltop to fall dormant", || {
        let listed = federation.must(&format!("silence list --model {MODEL}"));
        let items = listed.as_array()?.clone();
        (items.len() == 1 && items[0].get("is_dormant")?.as_bool()?).then_some(())
    });
    let opened = federation.must(&format!("propose statement {MODEL} --title Two --text x --as northfield"));
    let proposal = text_of(&opened, "proposal").to_owned();
    federation.vote(&proposal, &[("northfield", "yes"), ("lakeside", "yes")]);
    federation.must(&format!("proposals wait {proposal} --timeout 60"));
    let shown = federation.must(&format!("proposals show {proposal}"));
    let tally = |field: &str| shown.pointer(&format!("/tally/{field}")).and_then(|weight| weight.as_u64());
    assert_eq!((tally("electorate"), tally("whole"), tally("yes")), (Some(3), Some(4), Some(2)));
}
