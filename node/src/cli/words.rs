//! The ledger's terms in words for people: answers, statuses, reasons, actions. Lists, single answers and the live
//! stream use the same words.

use super::{
    attest::finding_text,
    dates::Dates,
    output::{Table, cut, short, who},
    units::{show_count, show_duration, show_time},
};
use crate::api::views::{AttestorView, EffectView, GateView};
use allod_protocol::{
    ground::ids::BasisPoints,
    rules::{
        access::{Distribution, Readers},
        account::{KeyPolicy, WeightedKey},
        control::AcceptControl,
        incident::IncidentStatus,
        licence::SetLicence,
        model::{Licence, SetPolicy, VersionStatus},
        policy::{ModelPolicy, Rule, Verdict, explain},
        proposal::{BallotPart, ModelAction, ProposalStatus, Question},
        round::{Cap, CapPer, OpenRound, RoundPlan},
        sale::ApproveTransfer,
        share::{MintShares, ShareFlow, ShareReason, Vesting},
        standing::{Concern, ConcernKind},
    },
};

/// An answer, with its parts if it is split.
pub(super) fn show_answer(parts: &[BallotPart]) -> String {
    match parts {
        [whole] => whole.choice.name().into(),
        parts => {
            let parts = parts.iter().map(|part| format!("{} {}", part.part, part.choice.name()));
            parts.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The terms of use in one line.
pub(super) fn show_licence(licence: &Licence) -> String {
    match licence {
        Licence::Spdx(expression) => expression.clone(),
        Licence::Terms(hash) => format!("the terms with hash {hash}"),
    }
}

/// The status of a version, with the reason if it must not be used.
pub(super) fn version_status(status: &VersionStatus, dates: &Dates) -> String {
    match status {
        VersionStatus::Published => "published".into(),
        VersionStatus::Released { height, .. } => format!("released, {}", dates.at(*height)),
        VersionStatus::Deprecated { reason, .. } => format!("DEPRECATED: {reason}"),
        VersionStatus::Withdrawn { reason, .. } => format!("WITHDRAWN: {reason}"),
    }
}

/// A concern about a version, in one line; if it is about an ancestor, which one.
pub(super) fn concern_text(concern: &Concern) -> String {
    let until = match concern.until {
        Some(until) if concern.kind == ConcernKind::Suspended => format!(" until {}", show_time(until)),
        _ => String::new(),
    };
    let kind = concern.kind.name().to_uppercase();
    let what = format!("{kind}{until}: {}", cut(&concern.reason, 120));
    match concern.distance {
        0 => what,
        distance => {
            let Concern { version, .. } = concern;
            let steps = if distance == 1 { String::new() } else { format!(" {distance} steps back") };
            format!("made{steps} from {} of model {}, {what}", version.label, short(version.model))
        }
    }
}

/// A rule in one line: what must answer, what must be yes, for how long.
pub(super) fn show_rule(rule: &Rule) -> String {
    let period = show_duration(rule.voting_period_ms);
    let passes = match rule.objection {
        Some(part) => format!("passes unless {part} object, {period}"),
        None => format!("quorum {}, threshold {}, {period}", rule.quorum, rule.threshold),
    };
    let lock = rule.timelock_ms;
    if lock == 0 { passes } else { format!("{passes}, then {} of waiting", show_duration(lock)) }
}

/// A policy in a few lines.
pub(super) fn show_policy(policy: &ModelPolicy) -> String {
    explain::policy(policy).into_iter().map(|(heading, words)| format!("{heading}: {words}\n")).collect()
}

/// One sentence per line.
pub(super) fn sentences(text: &str) -> String {
    text.replace(". ", ".\n")
}

/// The status of a proposal in a few words.
pub(super) fn status_name(status: &ProposalStatus) -> String {
    match status {
        ProposalStatus::Open => "is open".into(),
        ProposalStatus::Queued { .. } => "passed, and waits to be executed".into(),
        ProposalStatus::Executed { .. } => "EXECUTED".into(),
        ProposalStatus::ExecutionFailed { reason, .. } => format!("passed, but could not be executed: {reason}"),
        ProposalStatus::Rejected { verdict, .. } => format!("rejected: {}", verdict_text(*verdict)),
        ProposalStatus::Withdrawn { .. } => "withdrawn".into(),
        ProposalStatus::Cancelled { reason, .. } => format!("cancelled by its guardian: {reason}"),
        ProposalStatus::Expired { reason, .. } => format!("passed, and expired: {reason}"),
    }
}

/// The result of a tally.
pub(super) const fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NoQuorum => "too few answered",
        Verdict::NotEnoughYes => "too few of those who took sides said yes",
        Verdict::NoYesQuorum => "too little of all weight said yes",
        Verdict::Passed => "passed",
        Verdict::Vetoed => "vetoed",
        Verdict::Blocked => "as many holders as can stop it were against it",
        Verdict::Objected => "too many objected",
    }
}

/// Why units moved; `other` is the name of the other side, if there is one.
pub(super) fn share_reason(reason: &ShareReason, flow: ShareFlow, other: Option<&str>) -> String {
    let given = |text: &str| if text.is_empty() { String::new() } else { format!(": {text}") };
    let side = if flow == ShareFlow::In { "from" } else { "to" };
    let other = other.unwrap_or("another account");
    match reason {
        ShareReason::Founding => "founding".into(),
        ShareReason::Minted { reason, .. } => format!("minted{}", given(reason)),
        ShareReason::Transferred { reason, .. } => format!("{side} {other}{}", given(reason)),
        ShareReason::TransferApproved { price, reason, .. } => {
            let price = if price.is_empty() { String::new() } else { format!(" for {price}") };
            format!("{side} {other}{price}{}", given(reason))
        }
        ShareReason::Round { round } => format!("minted by round {round}"),
        ShareReason::Lineage { parent } => format!("founding, for holders of {}", short(parent)),
        ShareReason::TakenUp { .. } => "taken up, to keep its part".into(),
        ShareReason::BurnedByDispute { dispute } => format!("burned: dispute {} upheld", short(dispute)),
        ShareReason::Burned { reason } => format!("burned{}", given(reason)),
        ShareReason::BurnedByDecision { cause, .. } => format!("burned by decision{}", given(cause)),
    }
}

/// A vesting in a few words.
pub(super) fn show_vesting(vesting: &Vesting) -> String {
    let over = show_duration(vesting.duration_ms);
    match vesting.cliff_ms {
        0 => format!("vesting over {over}"),
        cliff => format!("vesting over {over}, nothing before {}", show_duration(cliff)),
    }
}

/// A holder's part; never zero for more than zero units.
pub(super) fn show_part(part: BasisPoints, units: u64) -> String {
    if part == BasisPoints::ZERO && units > 0 { "< 0.01 %".into() } else { part.to_string() }
}

/// Every line of a register before and after a decision, and who can no longer stop decisions.
pub(super) fn show_effect(effect: &EffectView) -> String {
    let mut table = Table::new(&["HOLDER", ">BEFORE", ">", ">AFTER", ">"]);
    for line in &effect.lines {
        table.row([
            who(line.handle.as_ref(), line.account),
            show_count(line.before.get()),
            show_part(line.basis_points_before, line.before.get()),
            show_count(line.after.get()),
            show_part(line.basis_points_after, line.after.get()),
        ]);
    }
    let (before, after) = effect.lines.iter().fold((0u64, 0u64), |(before, after), line| {
        (before.saturating_add(line.before.get()), after.saturating_add(line.after.get()))
    });
    table.row(["(all together)".into(), show_count(before), String::new(), show_count(after), String::new()]);
    let mut text = table.show("");
    for lost in &effect.lose_block {
        let holder = who(lost.handle.as_ref(), lost.account);
        text.push_str(&format!("{holder} could not stop decisions alone any more: {}\n", lost.classes.join(", ")));
    }
    text
}

/// What there is to know of each action of a proposal beside the line that says what it does.
pub(super) fn action_details(question: &Question) -> Vec<Option<String>> {
    match question {
        Question::Model { actions, .. } => actions.iter().map(details_of).collect(),
        Question::Network { actions } => vec![None; actions.len()],
    }
}

fn details_of(action: &ModelAction) -> Option<String> {
    Some(match action {
        ModelAction::SetLicence(SetLicence { licence }) => show_licence(licence),
        ModelAction::MintShares(MintShares { vesting, .. }) => show_vesting(vesting.as_ref()?),
        ModelAction::ApproveTransfer(ApproveTransfer { price, reason, .. }) => {
            let said = [("price", price), ("reason", reason)].into_iter().filter(|(_, said)| !said.is_empty());
            said.map(|(what, said)| format!("{what}: {said:?}")).collect::<Vec<_>>().join("\n")
        }
        ModelAction::OpenRound(OpenRound { plan }) => show_plan(plan),
        ModelAction::AcceptControl(AcceptControl { keys, .. }) => show_keys(keys),
        ModelAction::SetPolicy(SetPolicy { policy }) => show_policy(policy),
        ModelAction::ReleaseVersion(_)
        | ModelAction::DeprecateVersion(_)
        | ModelAction::WithdrawVersion(_)
        | ModelAction::ClaimLineage(_)
        | ModelAction::SuspendVersion(_)
        | ModelAction::LiftSuspension(_)
        | ModelAction::GrantLicence(_)
        | ModelAction::RevokeLicence(_)
        | ModelAction::SetDistribution(_)
        | ModelAction::BurnShares(_)
        | ModelAction::Expropriate(_)
        | ModelAction::ResolveDispute(_)
        | ModelAction::SetStewards(_)
        | ModelAction::Retire(_)
        | ModelAction::Statement => return None,
    })
    .filter(|details| !details.is_empty())
}

/// Who reads a model's artifacts, and how many copies there should be.
pub(super) fn show_distribution(distribution: &Distribution) -> String {
    let readers = match distribution.readers {
        Readers::Public => "everybody reads the artifacts",
        Readers::Licensees => "holders and licensees read the artifacts",
        Readers::Holders => "holders read the artifacts",
    };
    match distribution.copies {
        0 => readers.into(),
        copies => format!("{readers}; {copies} copies of each release wanted"),
    }
}

/// Keys, and how many of them are needed.
fn show_keys(policy: &KeyPolicy) -> String {
    let key = |known: &WeightedKey| match known.weight {
        1 => known.key.to_string(),
        weight => format!("{} of weight {weight}", known.key),
    };
    let keys: Vec<String> = policy.keys.iter().map(key).collect();
    format!("signatures of weight {} of the keys\n{}", policy.threshold, keys.join("\n"))
}

/// What a round mints, and how, in a few lines.
pub(super) fn show_plan(plan: &RoundPlan) -> String {
    let weights = plan.weights.iter().map(|one| format!("{} x{}", one.kind.name(), one.weight));
    let mut lines = vec![
        format!("{} units for {}", show_count(plan.budget.get()), weights.collect::<Vec<_>>().join(", ")),
        format!("recording {}, then {} of review", show_duration(plan.recording_ms), show_duration(plan.review_ms)),
    ];
    lines.extend(plan.cap.map(|Cap { per, part }| match per {
        CapPer::Account => format!("{part} of them at most for one account"),
        CapPer::Sponsor => format!("{part} of them at most for all accounts that go back to one founding account"),
        CapPer::Member => format!("{part} of them at most for a member and the accounts it answers for"),
    }));
    if plan.min_contributors > 0 {
        let shared = plan.cap.is_some_and(|cap| cap.per != CapPer::Account);
        let which = if shared { "givers who share no cap" } else { "givers" };
        lines.push(format!("nothing without {} {which}", plan.min_contributors));
    }
    if plan.sealed {
        lines.push("amounts are sealed while it records".into());
    }
    lines.push(format!("plan {}", plan.plan));
    lines.join("\n")
}

/// The status of an incident in one word.
pub(super) const fn incident_status(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Reported => "reported",
        IncidentStatus::Investigating => "under investigation",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Dismissed => "dismissed",
    }
}

/// What must be attested of a version, and what has been.
pub(super) fn show_gate(gate: &GateView) -> String {
    let word = |attestor: &AttestorView| {
        let said = attestor.finding.map_or("silent", finding_text);
        let said = if attestor.accepted { said.to_owned() } else { format!("{said}, has not accepted") };
        let note = if attestor.note.is_empty() { String::new() } else { format!(": {}", cut(&attestor.note, 60)) };
        format!("{} {said}{note}", who(attestor.handle.as_ref(), attestor.account))
    };
    let words = gate.attestors.iter().map(word).collect::<Vec<_>>().join(", ");
    let blocked = match (gate.verdict.as_str(), gate.outvoted_by) {
        ("failed", None) => ", BLOCKED until that is withdrawn",
        ("failed", Some(_)) => ", BLOCKED until that is withdrawn or outvoted",
        _ => "",
    };
    format!("{} of {}: {} of {}{blocked} ({words})", gate.statement, gate.label, gate.passed, gate.needed)
}
