//! A policy in plain words, for the owners who are asked to agree to it.

use super::{
    Arbiters, Class, Dormancy, Electorate, EmergencyStop, ModelPolicy, NetworkPolicy, Proposers, Risk, Rule,
    TransferRule,
};
use crate::{
    ground::{fraction::Fraction, limits},
    rules::control::ChangeOfControl,
};

/// What each class decides.
pub const fn class(class: Class) -> &'static str {
    match class {
        Class::Release => "releasing versions, and their lineage",
        Class::Licence => "the licence",
        Class::Ownership => {
            "minting shares, burning them with their holder's consent, approving transfers, accepting other hands on a holder's keys, opening rounds"
        }
        Class::Stewards => "who the stewards are",
        Class::Rules => "these rules, retiring the model, and plain statements",
        Class::Dispute => "disputes",
        Class::Validators => "who validates",
        Class::Accounts => "who may take part",
        Class::Parameters => "the network's parameters, and plain statements",
        Class::Upgrade => "upgrades of the protocol",
        Class::Expropriation => "taking a holder's units without its consent",
        Class::Safety => "suspending, deprecating and withdrawing versions, and ending a suspension",
    }
}

/// What a risk means.
pub const fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::MinorityDecides => {
            "Less than half of all weight can decide over what matters most, if the others do not answer or abstain: who owns a model, its stewards and its rules, or anything in the network."
        }
        Risk::SplitVoices => {
            "Voices are counted by heads or by roots, or a number of holders can stop decisions, while shares move freely: a holder who splits shares among several accounts gains voices."
        }
        Risk::SilenceDecides => "What matters most changes when nobody objects in time.",
        Risk::ArbitersTakeUnits => "Arbiters can take units from a holder without the owners, if they all agree.",
        Risk::HastyDormancy => "Weight leaves the count after less than 30 days of silence following a call.",
        Risk::Expropriation => "The owners can take units from a holder who does not agree, without a dispute.",
    }
}

/// A rule of a model, in a sentence or two.
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
    format!("{asks} {voices} {}", decided(rule))
}

/// A rule of the network, in a sentence or two.
pub fn network_rule(rule: &Rule) -> String {
    format!("Any member may ask. Each member counts once. {}", decided(rule))
}

/// What is needed, and for how long.
fn decided(rule: &Rule) -> String {
    let period = duration(rule.voting_period_ms);
    let passes = match rule.objection {
        Some(portion) => format!("It passes after {period} unless {portion} of all weight says no or vetoes."),
        None => format!(
            "It passes if within {period} {} of all weight answers, {} of yes, no and veto together is yes, and {} of \
             all weight is yes. Nothing passes with less yes than {}.",
            rule.quorum,
            rule.threshold,
            rule.yes_quorum,
            least_yes(rule)
        ),
    };
    let mut sentences = vec![passes];
    if let Some(part) = rule.veto.filter(|_| rule.objection.is_none()) {
        sentences.push(format!("Vetoes of {part} of the answers reject it."));
    }
    match rule.blocking_holders {
        None => {}
        Some(1) => {
            sentences.push("One holder that opposes it with all it holds stops it, however little that is.".into())
        }
        Some(holders) => sentences
            .push(format!("{holders} holders that oppose it with all they hold stop it, however little that is.")),
    }
    if let Some(after) = rule.early_close_ms {
        sentences.push(format!("It may close after {} once nothing can change the outcome.", duration(after)));
    }
    if rule.late_extension_ms > 0 {
        let extension = duration(rule.late_extension_ms);
        let longest = duration(rule.voting_period_ms.saturating_mul(limits::VOTING_PERIODS));
        sentences.push(format!(
            "A ballot that turns the outcome leaves the others at least {extension} to answer, until {longest} after \
             the opening; then no further ballot can make it pass."
        ));
    }
    if rule.timelock_ms > 0 {
        sentences.push(format!("A decision that passed waits {} before it is executed.", duration(rule.timelock_ms)));
    }
    sentences.join(" ")
}

/// A policy: headings with their words, line by line.
pub fn policy(policy: &ModelPolicy) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> =
        policy.classes().into_iter().map(|of| (class(of).to_owned(), rule(policy.rule(of)))).collect();
    let transfers = match policy.transfers {
        TransferRule::Free => "Holders give shares as they like.",
        TransferRule::Approval => "A transfer needs a decision of the owners.",
        TransferRule::Locked => "Shares cannot be transferred.",
    };
    lines.push(("transfers".into(), transfers.into()));
    if policy.change_of_control == ChangeOfControl::Approval {
        let words = "When a holder's keys pass into other hands, so that none of the former ones can act for it, the \
                     holder can neither answer nor give shares away until the owners accept the new keys. The ledger cannot see who holds \
                     a key, only which keys there are.";
        lines.push(("control".into(), words.into()));
    }
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
    if !policy.suspended_vote {
        lines.push(("suspended".into(), "Accounts that the network's members suspended do not vote.".into()));
    }
    let countersigned = match policy.countersigners {
        1 => "A contribution counts once one steward other than its giver has countersigned it.".to_owned(),
        many => format!("A contribution counts once {many} stewards other than its giver have countersigned it."),
    };
    let appeal = if policy.arbiters.is_some() { "the arbiters" } else { "the owners" };
    let words =
        format!("{countersigned} A giver can appeal to {appeal} if it is declined, or not countersigned in time.");
    lines.push(("contributions".into(), words));
    if policy.guardian.is_some() {
        lines
            .push(("guardian".into(), "One account may cancel decisions that passed and are not executed yet.".into()));
    }
    if let Some(arbiters) = &policy.arbiters {
        lines.push(("arbiters".into(), self::arbiters(arbiters)));
    }
    lines.push(("challenges".into(), challenges(policy)));
    if policy.arbiters.is_none() {
        let words =
            "No arbiters are named: the owners settle disputes. Accounts that hold nothing of the model can be named.";
        lines.push(("arbiters".into(), words.into()));
    }
    if let Some(emergency) = &policy.emergency {
        lines.push(("emergency".into(), stops(emergency)));
    }
    lines.extend(dilution(policy));
    lines.push(("silence".into(), silence(Class::OF_MODELS.iter().map(|of| policy.rule(*of)), policy.dormancy)));
    lines.extend(policy.risks().into_iter().map(|one| ("mind".into(), risk(one).into())));
    lines
}

/// How the policy limits dilution.
fn dilution(policy: &ModelPolicy) -> Option<(String, String)> {
    let mut sentences = Vec::new();
    if let Some(part) = policy.dilution.and_then(|dilution| dilution.per_decision) {
        sentences.push(format!("One decision adds at most {part} of the units there are."));
    }
    if let Some(part) = policy.dilution.and_then(|dilution| dilution.per_year) {
        sentences.push(format!("All decisions of a year add at most {part} of the units there were when it began."));
    }
    if let Some(preemption) = policy.preemption {
        let period = duration(preemption.period_ms);
        sentences.push(format!(
            "Minted units are first offered to the holders for {period}, to each in proportion to its part."
        ));
    }
    (!sentences.is_empty()).then(|| ("dilution".into(), sentences.join(" ")))
}

/// Who settles disputes.
fn arbiters(arbiters: &Arbiters) -> String {
    let stand_ins = match arbiters.stand_ins.len() {
        0 => "If fewer can sit".to_owned(),
        count => format!("{count} stand in for those who cannot sit; if even so too few can"),
    };
    let takes = if arbiters.take_units {
        "They take disputed units by themselves if all seats are taken and all agree; otherwise the owners must confirm it."
    } else {
        "They take no units: a challenge that they uphold against a holder takes units only once the owners confirm it."
    };
    format!(
        "{} of {} arbiters, who hold nothing of the model, settle a dispute. {stand_ins}, the owners decide. {takes}",
        arbiters.needed,
        arbiters.accounts.len()
    )
}

/// How challenges work, and what they cost.
fn challenges(policy: &ModelPolicy) -> String {
    let terms = policy.dispute_terms;
    format!(
        "The respondent to a challenge has {} to answer before anybody decides. A ruling waits {}; meanwhile the \
         losing party may take it to the owners. An owners' resolution that takes units must meet the rule of \
         ownership too. A challenger binds units of its own: {} of the units it disputes, at least {}. A challenger \
         who loses is barred from challenging for {}, and twice as long each time.",
        duration(terms.answer_ms),
        duration(terms.ruling_timelock_ms),
        terms.bond,
        terms.bond_units,
        duration(terms.bar_ms)
    )
}

/// How the members of the network decide: headings with their words, line by line.
pub fn network_policy(policy: &NetworkPolicy) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> =
        Class::OF_NETWORK.iter().map(|of| (class(*of).to_owned(), network_rule(policy.rule(*of)))).collect();
    lines.push(("silence".into(), silence(Class::OF_NETWORK.iter().map(|of| policy.rule(*of)), policy.dormancy)));
    lines.extend(policy.risks().into_iter().map(|one| ("mind".into(), risk(one).into())));
    lines
}

/// The smallest yes with which a decision can pass, in words.
pub fn least_yes(rule: &Rule) -> String {
    let part = rule.yes_quorum.part();
    match (rule.yes_quorum.is_more_than(), part == Fraction::ZERO) {
        (true, true) => "one voice".into(),
        (true, false) => format!("one voice more than {part} of all weight"),
        (false, _) => format!("{part} of all weight"),
    }
}

/// What happens to decisions when weight falls silent for ever.
fn silence<'a>(rules: impl IntoIterator<Item = &'a Rule>, dormancy: Option<Dormancy>) -> String {
    // Large enough that its hundredths are whole.
    const ELECTORATE: u64 = 1_000_000;
    let least = rules.into_iter().map(|rule| rule.silencing_weight(ELECTORATE)).min().unwrap_or(ELECTORATE);
    let percent = least.saturating_mul(100).div_ceil(ELECTORATE);
    match dormancy {
        Some(Dormancy { after_ms }) => format!(
            "Decisions stop while some {percent} % of all weight or more is silent. Weight that is called on and says \
             nothing for {} leaves the count until it speaks again, though quorums are never parts of less than half of \
             the whole.",
            duration(after_ms)
        ),
        None => format!(
            "If some {percent} % of all weight or more falls silent for good, decisions stop for good, including those that \
             would change this; a single holder of that much can do it alone."
        ),
    }
}

/// What an emergency stop is, in this policy.
fn stops(emergency: &EmergencyStop) -> String {
    format!(
        "Each of {} accounts may suspend a version at once, for {}. Meanwhile the owners confirm or lift the \
         suspension, or it lapses. The same account can stop the same version at most {} times, each {} after the \
         term of the previous one.",
        emergency.accounts.len(),
        duration(emergency.for_ms),
        limits::EMERGENCY_STOPS,
        duration(limits::EMERGENCY_REST_MS)
    )
}

/// A duration in the largest unit that expresses it exactly.
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
    #![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

    use crate::{
        ground::fraction::{Fraction, Portion},
        rules::policy::{Arbiters, ModelPolicy, Rule, Tally, templates::Template},
    };
    use proptest::prelude::*;

    #[test]
    fn an_explanation_says_what_the_rule_says() {
        let policy = Template::RegulatedConsortium.policy(&[crate::ground::ids::AccountId::from_bytes([1; 32])]);
        let words = |heading: &str| {
            let lines = super::policy(&policy);
            lines.into_iter().find(|(line, _)| line.contains(heading)).map(|(_, words)| words).unwrap_or_default()
        };
        let release = words("releasing");
        for part in ["within 7 days", "at least 60 % of all weight answers", "less yes than 36 %", "waits 2 days"] {
            assert!(release.contains(part), "{part}: {release}");
        }
        assert!(words("safety-review").contains("1 of the 1 accounts in the role reviewer"));
        assert!(words("ending a suspension").contains("within 1 day"), "{}", words("ending a suspension"));
        assert!(words("emergency").contains("Each of 1 accounts may suspend a version at once, for 14 days."));
        assert!(words("arbiters").contains("the owners settle disputes"), "a template names none");
        let account = crate::ground::ids::AccountId::from_bytes;
        let (accounts, stand_ins) = (vec![account([7; 32]), account([8; 32])], vec![account([9; 32])]);
        let arbiters = Arbiters { accounts, needed: 1, stand_ins, take_units: true };
        let policy = ModelPolicy { arbiters: Some(arbiters), ..policy.clone() };
        let lines: Vec<String> = super::policy(&policy).into_iter().map(|(_, words)| words).collect();
        for part in ["1 of 2 arbiters", "1 stand in", "if all seats are taken", "7 days to answer", "10 % of the units"]
        {
            assert!(lines.iter().any(|words| words.contains(part)), "{part}: {lines:?}");
        }
        assert!(lines.iter().any(|words| words.contains("without the owners")), "the risk is said");
        let community = Template::OpenCommunity.policy(&[]);
        let lines = super::policy(&community);
        assert!(lines.iter().any(|(heading, words)| heading == "mind" && words.contains("Less than half")));
        assert!(lines.iter().any(|(heading, words)| heading == "silence" && words.contains("90 days")));
    }

    #[test]
    fn a_policy_that_one_holder_can_stop_for_good_says_so() {
        let policy = ModelPolicy { dormancy: None, ..Template::EqualPartners.policy(&[]) };
        let lines = super::policy(&policy);
        let silence = lines.iter().find(|(heading, _)| heading == "silence").map(|(_, words)| words.as_str());
        assert!(silence.is_some_and(|words| words.contains("some 34 % of all weight or more falls silent for good")));
    }

    /// The part of all weight below which nothing passes, according to a sentence, as the smallest number of voices of
    /// an electorate.
    fn stated(words: &str, electorate: u64) -> u64 {
        let said = words.split("Nothing passes with less yes than ").nth(1).and_then(|rest| rest.split(". ").next());
        let said = said.expect("the sentence").trim_end_matches('.');
        let (more, part) = match said.strip_prefix("one voice") {
            Some("") => return 1,
            Some(rest) => (1, rest.trim_start_matches(" more than ")),
            None => (0, said),
        };
        let part: Fraction = part.trim_end_matches(" of all weight").parse().expect("a part");
        let scaled = electorate * u64::from(part.numerator());
        let denominator = u64::from(part.denominator());
        if more == 1 { scaled / denominator + 1 } else { scaled.div_ceil(denominator).max(1) }
    }

    proptest! {
        /// By search over all ballots of a small electorate: the stated smallest yes is really the smallest.
        #[test]
        fn nothing_passes_with_less_yes_than_is_said(
            parts in proptest::array::uniform3((0u64..=12, 1u64..=12, any::<bool>())), electorate in 1u64..=14,
        ) {
            let portion = |(numerator, denominator, more): (u64, u64, bool)| {
                let part = Fraction::new(numerator % (denominator + 1), denominator).expect("a part");
                if more { Portion::more_than(part).unwrap_or(Portion::at_least(part)) } else { Portion::at_least(part) }
            };
            let [quorum, threshold, yes_quorum] = parts.map(portion);
            let rule = Rule { yes_quorum, ..Rule::new(quorum, threshold, 1_000) };
            prop_assume!(rule.check().is_ok());
            let mut least = None;
            for yes in 0..=electorate {
                for no in 0..=electorate - yes {
                    for abstain in 0..=electorate - yes - no {
                        if least.is_none() && rule.passes(&Tally { yes, no, abstain, ..Tally::of(electorate) }) {
                            least = Some(yes);
                        }
                    }
                }
            }
            prop_assert_eq!(least, Some(stated(&super::rule(&rule), electorate)));
            prop_assert_eq!(least, Some(rule.least_yes(electorate)));
        }
    }
}
