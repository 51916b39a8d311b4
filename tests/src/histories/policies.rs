//! The policies that random histories are run under: four that use every kind of rule between them, and the templates
//! with their days shortened to seconds.

use allod_protocol::{
    ground::{
        fraction::{Fraction, Portion},
        ids::{AccountId, Name, Units},
        limits,
    },
    rules::{
        control::ChangeOfControl,
        policy::{
            Arbiters, Class, Dilution, DisputeTerms, Dormancy, Electorate, EmergencyStop, Gate, ModelPolicy,
            Preemption, Proposers, Risk, Role, Rule, TransferRule, templates::Template,
        },
    },
};

/// Policies of our own come first.
pub const OWN: u8 = 4;
/// Then one of each template.
pub const ALL: u8 = 8;

/// How much shorter a template's periods are made: a day is two seconds.
const SHORTENED: u64 = 24 * 60 * 60 * 1_000 / 2_000;

fn percent(value: u16) -> Portion {
    Portion::at_least(Fraction::percent(value.into()).expect("at most the whole"))
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// The policy number `index`, which names some of the accounts.
pub(super) fn policy(index: u8, accounts: &[AccountId]) -> ModelPolicy {
    let policy = match index % ALL {
        0 => early_and_guarded(accounts),
        1 => by_heads_with_arbiters(accounts),
        2 => by_roots_with_objections_and_gates(accounts),
        3 => locked_with_late_quorum(accounts),
        index => {
            let template = Template::ALL[usize::from(index - OWN)];
            shortened(template.policy(&accounts[2..5]))
        }
    };
    let allow = vec![
        Risk::MinorityDecides,
        Risk::SplitVoices,
        Risk::SilenceDecides,
        Risk::HastyDormancy,
        Risk::Expropriation,
        Risk::ArbitersTakeUnits,
    ];
    let dispute_terms = DisputeTerms {
        answer_ms: 1_500,
        ruling_timelock_ms: 2_000,
        bond: percent(20).part(),
        bond_units: Units::new(1),
        bar_ms: 3_000,
    };
    ModelPolicy { allow, dispute_terms, ..policy }
}

fn early_and_guarded(accounts: &[AccountId]) -> ModelPolicy {
    let release = Rule { early_close_ms: Some(1_000), ..Rule::new(percent(40), percent(55), 6_000) };
    let deep = Rule {
        timelock_ms: 1_500,
        execution_window_ms: 3_000,
        late_extension_ms: 2_000,
        ..Rule::new(percent(40), Portion::MAJORITY, 5_000)
    };
    let gates = vec![Gate { statement: name("bias-audit"), role: name("auditor"), attestors: 1, outvoted_by: None }];
    ModelPolicy {
        release: Rule { execution_window_ms: 2_500, ..release },
        guardian: Some(accounts[1]),
        dormancy: Some(Dormancy { after_ms: 4_000 }),
        emergency: Some(EmergencyStop { accounts: accounts[1..4].to_vec(), for_ms: limits::EMERGENCY_STOP_MIN_MS }),
        roles: vec![Role { name: name("auditor"), accounts: accounts[..3].to_vec() }],
        gates,
        change_of_control: ChangeOfControl::Approval,
        ..ModelPolicy::uniform(&deep)
    }
}

fn by_heads_with_arbiters(accounts: &[AccountId]) -> ModelPolicy {
    let rule = Rule {
        electorate: Electorate::Members,
        veto: Some(percent(30)),
        blocking_holders: Some(4),
        late_extension_ms: 3_000,
        ..Rule::new(percent(50), percent(60), 4_000)
    };
    ModelPolicy {
        transfers: TransferRule::Approval,
        dormancy: Some(Dormancy { after_ms: 6_000 }),
        preemption: Some(Preemption { period_ms: 8_000 }),
        expropriation: Some(Rule { blocking_holders: None, ..rule.clone() }),
        // Some of these hold something at first, and those who take their seats may come to.
        arbiters: Some(Arbiters {
            stand_ins: accounts[3..5].to_vec(),
            ..Arbiters::new(vec![accounts[2], accounts[5]], 1)
        }),
        suspended_vote: false,
        countersigners: 2,
        change_of_control: ChangeOfControl::Approval,
        ..ModelPolicy::uniform(&rule)
    }
}

fn by_roots_with_objections_and_gates(accounts: &[AccountId]) -> ModelPolicy {
    let deep = Rule {
        electorate: Electorate::SquareRoot,
        proposers: Proposers::Holders(percent(5).part()),
        early_close_ms: Some(500),
        ..Rule::new(percent(30), Portion::MAJORITY, 4_000)
    };
    let release = Rule {
        objection: Some(percent(30)),
        timelock_ms: 1_000,
        execution_window_ms: 1_500,
        early_close_ms: None,
        ..deep
    };
    let (statement, role) = (name("safety-review"), name("reviewer"));
    let safety = Rule { voting_period_ms: 1_500, timelock_ms: 0, objection: None, ..release };
    ModelPolicy {
        release,
        safety: Some(safety),
        emergency: Some(EmergencyStop { accounts: accounts[..2].to_vec(), for_ms: 2 * limits::EMERGENCY_STOP_MIN_MS }),
        roles: vec![Role { name: name("reviewer"), accounts: accounts[..4].to_vec() }],
        gates: vec![Gate { statement, role, attestors: 2, outvoted_by: Some(2) }],
        ..ModelPolicy::uniform(&deep)
    }
}

fn locked_with_late_quorum(accounts: &[AccountId]) -> ModelPolicy {
    let rule = Rule { late_extension_ms: 4_000, ..Rule::new(percent(60), Portion::MAJORITY, 5_000) };
    ModelPolicy {
        transfers: TransferRule::Locked,
        guardian: Some(accounts[0]),
        dilution: Some(Dilution { per_decision: Some(percent(40).part()), per_year: Some(percent(70).part()) }),
        // Others than above, so that a change of policy changes who rules.
        arbiters: Some(Arbiters {
            stand_ins: accounts[2..4].to_vec(),
            take_units: true,
            ..Arbiters::new(accounts[4..6].to_vec(), 1)
        }),
        stewards: Rule { proposers: Proposers::Stewards, ..rule.clone() },
        ..ModelPolicy::uniform(&rule)
    }
}

fn shortened(mut policy: ModelPolicy) -> ModelPolicy {
    for class in Class::OF_MODELS {
        if !policy.has_own_rule(class) {
            continue;
        }
        let rule = policy.rule_mut(class);
        let short = |ms: u64| (ms / SHORTENED).max(limits::VOTING_PERIOD_MIN_MS);
        rule.voting_period_ms = short(rule.voting_period_ms);
        rule.execution_window_ms = short(rule.execution_window_ms) / 4;
        rule.execution_window_ms = rule.execution_window_ms.max(limits::VOTING_PERIOD_MIN_MS);
        rule.timelock_ms /= SHORTENED;
        rule.late_extension_ms /= SHORTENED;
        rule.early_close_ms = rule.early_close_ms.map(|ms| ms / SHORTENED);
    }
    // A season is still long compared with a history.
    policy.dormancy = policy.dormancy.map(|_| Dormancy { after_ms: 5_000 });
    policy.preemption = Some(Preemption { period_ms: 6_000 });
    policy
}
