//! A policy in plain words, for the owners who are asked to agree to it.

use super::{Class, Electorate, ModelPolicy, Proposers, Risk, Rule, TransferRule};
use crate::ids::BasisPoints;

/// What each class decides.
pub const fn class(class: Class) -> &'static str {
    match class {
        Class::Release => "releasing, deprecating and withdrawing versions, and their lineage",
        Class::Licence => "the licence",
        Class::Ownership => "minting and burning shares, approving transfers, opening rounds",
        Class::Stewards => "who the stewards are",
        Class::Rules => "these rules, retiring the model, and plain statements",
        Class::Dispute => "disputes",
        Class::Validators => "who validates",
        Class::Accounts => "who may take part",
        Class::Parameters => "the network's parameters, and plain statements",
        Class::Upgrade => "upgrades of the protocol",
    }
}

/// What a risk means.
pub const fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::MinorityDecides => {
            "Less than half of all weight can change who owns the model, its stewards or its rules, if the others do not answer."
        }
        Risk::SplitVoices => {
            "Voices are counted by heads or by roots while shares move freely: who splits shares among several accounts gains voices."
        }
        Risk::SilenceDecides => "Ownership, stewards or rules change when nobody objects in time.",
    }
}

/// A rule, a sentence or two.
pub fn rule(rule: &Rule) -> String {
    let voices = match rule.electorate {
        Electorate::Shares => "Each holder counts with its units.",
        Electorate::Members => "Each holder counts once.",
        Electorate::SquareRoot => "Each holder counts with the square root of its units.",
    };
    let asks = match rule.proposers {
        Proposers::Owners => "Any steward or holder may ask.".into(),
        Proposers::Stewards => "Only stewards may ask.".into(),
        Proposers::Holders(part) => format!("Stewards, and holders of at least {part} of all units, may ask."),
    };
    let passes = match rule.objection {
        Some(part) => format!(
            "It passes after {} unless {part} of all weight says no or vetoes.",
            duration(rule.voting_period_ms)
        ),
        None => format!(
            "It passes if within {} at least {} of all weight answers, and {} of yes, no and veto together is yes: {} of all weight at the least.",
            duration(rule.voting_period_ms),
            rule.quorum,
            rule.threshold,
            least_part(rule)
        ),
    };
    let mut sentences = vec![asks, voices.into(), passes];
    if let Some(part) = rule.veto.filter(|_| rule.objection.is_none()) {
        sentences.push(format!("Vetoes of {part} of the answers reject it."));
    }
    if let Some(after) = rule.early_close_ms {
        sentences.push(format!("It may close after {} once nothing can change the outcome.", duration(after)));
    }
    if rule.late_quorum_extension_ms > 0 {
        let extension = duration(rule.late_quorum_extension_ms);
        sentences.push(format!("If the quorum comes late, ballots are taken for {extension} more, once."));
    }
    if rule.timelock_ms > 0 {
        sentences.push(format!("What passed waits {} before it is executed.", duration(rule.timelock_ms)));
    }
    sentences.join(" ")
}

/// A policy: a heading and its words, line by line.
pub fn policy(policy: &ModelPolicy) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> =
        Class::OF_MODELS.iter().map(|of| (class(*of).to_owned(), rule(policy.rule(*of)))).collect();
    let transfers = match policy.transfers {
        TransferRule::Free => "Holders give shares as they like.",
        TransferRule::Approval => "A transfer needs a decision of the owners.",
        TransferRule::Locked => "Shares cannot be transferred.",
    };
    lines.push(("transfers".into(), transfers.into()));
    for gate in &policy.gates {
        let failed = match gate.outvoted_by {
            None => "nobody can outvote it".into(),
            Some(needed) => format!("or {needed} of them, more than those who say so, attest that it passed"),
        };
        let words = format!(
            "Before a release, {} of the {} accounts in the role {} must attest the artifact. If one of them attests \
             that it failed, there is no release until that is withdrawn; {failed}.",
            gate.attestors,
            policy.in_role(&gate.role).len(),
            gate.role
        );
        lines.push((gate.statement.to_string(), words));
    }
    if policy.guardian.is_some() {
        lines.push(("guardian".into(), "One account may cancel what passed and is not executed yet.".into()));
    }
    if let Some(arbiters) = &policy.arbiters {
        let words = format!("{} of {} arbiters settle a dispute.", arbiters.needed, arbiters.accounts.len());
        lines.push(("arbiters".into(), words));
    }
    lines.extend(policy.risks().into_iter().map(|one| ("mind".into(), risk(one).into())));
    lines
}

/// The least part of all weight that can decide, in per cent, rounded down.
fn least_part(rule: &Rule) -> BasisPoints {
    let points = rule.least_part().div_euclid(10_000);
    u16::try_from(points).ok().and_then(|points| BasisPoints::new(points).ok()).unwrap_or(BasisPoints::WHOLE)
}

/// A duration in the largest unit that says it exactly.
fn duration(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(24 * 60 * 60 * 1_000, "day"), (60 * 60 * 1_000, "hour"), (60 * 1_000, "minute"), (1_000, "second")];
    for (size, unit) in UNITS {
        let count = ms.div_euclid(size);
        if count > 0 && ms.rem_euclid(size) == 0 {
            return if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") };
        }
    }
    format!("{ms} milliseconds")
}

#[cfg(test)]
mod tests {
    use crate::policy::templates::Template;

    #[test]
    fn an_explanation_says_what_the_rule_says() {
        let policy = Template::RegulatedConsortium.policy(&[crate::ids::AccountId::from_bytes([1; 32])]);
        let words = |heading: &str| {
            let lines = super::policy(&policy);
            lines.into_iter().find(|(line, _)| line.contains(heading)).map(|(_, words)| words).unwrap_or_default()
        };
        let release = words("releasing");
        for part in ["within 7 days", "60 %", "36 % of all weight", "waits 2 days"] {
            assert!(release.contains(part), "{part}: {release}");
        }
        assert!(words("safety-review").contains("1 of the 1 accounts in the role reviewer"));
        assert!(words("arbiters").contains("1 of 1"));
        let community = Template::OpenCommunity.policy(&[]);
        let lines = super::policy(&community);
        assert!(lines.iter().any(|(heading, words)| heading == "mind" && words.contains("Less than half")));
    }
}
