//! The ledger's terms in words for people: answers, statuses, reasons, actions. Lists, single answers and the live
//! stream say the same thing in the same words.

use super::{
    attest::finding_text,
    output::{cut, short, who},
    units::{show_count, show_duration, show_time},
};
use crate::api::views::{AttestorView, GateView};
use allod_protocol::{
    access::{Distribution, Readers},
    contribution::ContributionKind,
    ids::AccountId,
    incident::IncidentStatus,
    model::{Licence, VersionRef, VersionStatus},
    policy::{ModelPolicy, Rule, Verdict, explain},
    proposal::{BallotPart, Choice, ProposalAction, ProposalStatus},
    round::RoundPlan,
    share::{ShareFlow, ShareReason, Vesting},
};

/// An answer in one word.
pub(super) const fn choice_name(choice: Choice) -> &'static str {
    match choice {
        Choice::Yes => "yes",
        Choice::No => "no",
        Choice::Abstain => "abstain",
        Choice::Veto => "veto",
    }
}

/// An answer, with its parts if it is split.
pub(super) fn show_answer(parts: &[BallotPart]) -> String {
    match parts {
        [whole] => choice_name(whole.choice).into(),
        parts => {
            let parts = parts.iter().map(|part| format!("{} {}", part.part, choice_name(part.choice)));
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

/// Where a version stands, with the reason if it is not to be used.
pub(super) fn version_status(status: &VersionStatus) -> String {
    match status {
        VersionStatus::Published => "published".into(),
        VersionStatus::Released { height, .. } => format!("released, block {height}"),
        VersionStatus::Deprecated { reason, .. } => format!("DEPRECATED: {reason}"),
        VersionStatus::Withdrawn { reason, .. } => format!("WITHDRAWN: {reason}"),
    }
}

/// A rule in a line: what must answer, what must be yes, for how long.
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

/// One sentence a line.
pub(super) fn sentences(text: &str) -> String {
    text.replace(". ", ".\n")
}

/// Where a proposal stands, in a few words.
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

/// What a tally came to.
pub(super) const fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NoQuorum => "too few answered",
        Verdict::NotEnoughYes => "too few said yes",
        Verdict::Passed => "passed",
        Verdict::Vetoed => "vetoed",
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

/// What the ledger does if a proposal passes.
pub(super) fn action_text(action: &ProposalAction) -> String {
    let because = |what: String, reason: &str| format!("{what}\nbecause: {reason}");
    match action {
        ProposalAction::ReleaseVersion { label } => format!("version {label} is released"),
        ProposalAction::DeprecateVersion { label, reason } => {
            because(format!("everybody is warned off version {label}"), reason)
        }
        ProposalAction::WithdrawVersion { label, reason } => because(format!("version {label} is taken back"), reason),
        ProposalAction::ClaimLineage { label, parents } => {
            format!("version {label} was made from\n{}", parents_text(parents))
        }
        ProposalAction::SetLicence { licence } => format!("the licence is\n{}", show_licence(licence)),
        ProposalAction::MintShares { to, units, reason, vesting } => {
            let vesting = vesting.map(|vesting| format!("\n{}", show_vesting(&vesting))).unwrap_or_default();
            because(format!("{} units are minted\nfor {to}{vesting}", show_count(units.get())), reason)
        }
        ProposalAction::BurnShares { from, units, cause } => {
            because(format!("{} units are burned\nof {from}", show_count(units.get())), cause)
        }
        ProposalAction::ApproveTransfer { to, units, price, reason } => {
            let price = if price.is_empty() { String::new() } else { format!("\nprice: {price}") };
            because(format!("the proposer gives {} units\nto {to}{price}", show_count(units.get())), reason)
        }
        ProposalAction::OpenRound { plan } => format!("a round is opened\n{}", show_plan(plan)),
        ProposalAction::ResolveDispute { dispute, upholds } => {
            format!("a dispute is {}\n{dispute}", if *upholds { "upheld" } else { "lifted" })
        }
        ProposalAction::SetStewards { stewards } => format!("the stewards are\n{}", lines(stewards)),
        ProposalAction::SetPolicy { policy } => format!("the rules become\n{}", show_policy(policy)),
        ProposalAction::Retire { reason } => because("the model is ended".into(), reason),
        ProposalAction::Statement => "this is stated in the name of all".into(),
        ProposalAction::AdmitValidator { key, power, operator } => {
            format!("a validator is admitted with power {power}\nkey {key}\noperator {operator}")
        }
        ProposalAction::ReweightValidator { key, power } => format!("a validator gets power {power}\nkey {key}"),
        ProposalAction::RemoveValidator { key } => format!("a validator is removed\nkey {key}"),
        ProposalAction::AdmitMember { account } => format!("an account becomes a member\n{account}"),
        ProposalAction::GrantQuota { account, quota } => format!("an account may admit {quota} more\n{account}"),
        ProposalAction::SuspendAccount { account, reason } => {
            because(format!("an account is suspended\n{account}"), reason)
        }
        ProposalAction::ReinstateAccount { account } => format!("an account is reinstated\n{account}"),
        ProposalAction::SetParameters { .. } => "the network's parameters are replaced".into(),
        ProposalAction::SetDistribution { distribution } => show_distribution(distribution),
        ProposalAction::GrantLicence { account, expires } => {
            let until = expires.map(|time| format!(" until {}", show_time(time))).unwrap_or_default();
            format!("an account gets a licence{until}\n{account}")
        }
        ProposalAction::RevokeLicence { account, reason } => {
            because(format!("an account loses its licence\n{account}"), reason)
        }
        ProposalAction::Upgrade { height, protocol, release } => {
            format!("version {protocol} of the protocol is spoken from block {height} on\nby {release}")
        }
    }
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
        copies => format!("{readers}; {copies} copies of each release wished for"),
    }
}

/// By what a round mints, in a few lines.
pub(super) fn show_plan(plan: &RoundPlan) -> String {
    let weights = plan.weights.iter().map(|one| format!("{} x{}", kind_name(one.kind), one.weight));
    let mut lines = vec![
        format!("{} units for {}", show_count(plan.budget.get()), weights.collect::<Vec<_>>().join(", ")),
        format!("recording {}, then {} of review", show_duration(plan.recording_ms), show_duration(plan.review_ms)),
    ];
    lines.extend(plan.cap.map(|cap| format!("{cap} of them at most for one giver")));
    if plan.min_contributors > 0 {
        lines.push(format!("nothing without {} givers", plan.min_contributors));
    }
    if plan.sealed {
        lines.push("amounts are sealed while it records".into());
    }
    lines.push(format!("plan {}", plan.plan));
    lines.join("\n")
}

/// A kind of contribution in one word.
pub(super) const fn kind_name(kind: ContributionKind) -> &'static str {
    match kind {
        ContributionKind::Data => "data",
        ContributionKind::Compute => "compute",
        ContributionKind::Code => "code",
        ContributionKind::Evaluation => "evaluation",
        ContributionKind::Funding => "funding",
    }
}

/// How far an incident has come, in a word.
pub(super) const fn incident_status(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Reported => "reported",
        IncidentStatus::Investigating => "under investigation",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Dismissed => "dismissed",
    }
}

fn parents_text(parents: &[VersionRef]) -> String {
    let names = parents.iter().map(|parent| format!("{} of model {}", parent.label, short(parent.model)));
    names.collect::<Vec<_>>().join("\n")
}

fn lines(ids: &[AccountId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What must be attested of a version, and what has been.
pub(super) fn show_gate(gate: &GateView) -> String {
    let word = |attestor: &AttestorView| {
        let said = attestor.finding.map_or("silent", finding_text);
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
