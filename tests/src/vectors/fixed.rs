//! The fixed keys, ids and texts that vectors are made of, and the ledger that the proofs are taken from.

use crate::{
    chain::{Author, Chain},
    ledger::operates,
};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        fraction::{Fraction, Portion},
        ids::{
            AccountId, ApprovalId, ArtifactId, BasisPoints, BlockHash, ContentHash, ContributionId, DisputeId, Handle,
            Height, IncidentId, ModelId, ModelName, Name, NetworkId, Power, ProposalId, Timestamp, TransactionId,
            Units, VersionLabel,
        },
    },
    ledger::genesis::{Genesis, GenesisAccount, GenesisValidator},
    rules::{
        access::{Distribution, Readers},
        account::{KeyPolicy, WeightedKey},
        action::Action,
        contribution::ContributionKind,
        control::ChangeOfControl,
        model::{CreateModel, FoundingLine, Licence},
        network::AdmitValidator,
        parameters::Parameters,
        policy::{
            Arbiters, Dilution, Dormancy, Electorate, Gate, ModelPolicy, NetworkPolicy, Preemption, Proposers, Risk,
            Role, Rule, TransferRule,
        },
        proposal::{CastBallot, Choice, NetworkAction, OpenProposal, Question},
        round::{Cap, CapPer, KindWeight, RoundPlan},
    },
};

pub(super) const ACCOUNT: AccountId = AccountId::from_bytes([0x11; 32]);
pub(super) const OTHER: AccountId = AccountId::from_bytes([0x12; 32]);
pub(super) const THIRD: AccountId = AccountId::from_bytes([0x13; 32]);
pub(super) const MODEL: ModelId = ModelId::from_bytes([0x21; 32]);
pub(super) const CONTRIBUTION: ContributionId = ContributionId::from_bytes([0x31; 32]);
pub(super) const PROPOSAL: ProposalId = ProposalId::from_bytes([0x41; 32]);
pub(super) const TRANSACTION: TransactionId = TransactionId::from_bytes([0x51; 32]);
pub(super) const DISPUTE: DisputeId = DisputeId::from_bytes([0x81; 32]);
pub(super) const INCIDENT: IncidentId = IncidentId::from_bytes([0x91; 32]);
pub(super) const APPROVAL: ApprovalId = ApprovalId::from_bytes([0xa1; 32]);
pub(super) const BLOCK: BlockHash = BlockHash::from_bytes([0x61; 32]);
pub(super) const CONTENT: ContentHash = ContentHash::from_bytes([0x71; 32]);
pub(super) const HEIGHT: Height = Height::new(7);
pub(super) const TIME: Timestamp = Timestamp::new(1_800_000_000_000);
pub(super) const UNITS: Units = Units::new(1_000);

/// The key made of 32 bytes of this value.
pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// The consensus keys of the fixed genesis and of the validator that its chain admits.
fn validator_keys() -> [SigningKey; 5] {
    [key(0xa1), key(0xa2), key(0xa3), key(0xa4), key(0xa5)]
}

pub(super) fn handle(text: &str) -> Handle {
    Handle::new(text).expect("a handle")
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub(super) fn label(text: &str) -> VersionLabel {
    VersionLabel::new(text).expect("a label")
}

pub(super) const fn distribution() -> Distribution {
    Distribution { readers: Readers::Licensees, copies: 3 }
}

pub(super) fn artifact() -> ArtifactId {
    ArtifactId::of(b"weights")
}

pub(super) fn model_name() -> ModelName {
    ModelName { namespace: handle("northfield"), name: name("digits") }
}

/// Two of three keys, of which one weighs as much as the others together.
pub(super) fn key_policy() -> KeyPolicy {
    let weighted = |seed, weight| WeightedKey { key: key(seed).public_key(), weight };
    KeyPolicy { threshold: 2, keys: vec![weighted(2, 1), weighted(3, 1), weighted(4, 2)] }
}

pub(super) fn points(points: u16) -> BasisPoints {
    BasisPoints::new(points).expect("at most the whole")
}

pub(super) fn fraction(points: u16) -> Fraction {
    Fraction::new(points.into(), 10_000).expect("at most the whole")
}

fn portion(points: u16) -> Portion {
    Portion::at_least(fraction(points))
}

pub(super) fn rule(quorum: u16, threshold: u16) -> Rule {
    Rule::new(portion(quorum), portion(threshold), 60_000)
}

/// A policy with something in every field.
pub(super) fn policy() -> ModelPolicy {
    let release = Rule {
        electorate: Electorate::SquareRoot,
        veto: Some(Portion::at_least(Fraction::new(1, 3).expect("a third"))),
        early_close_ms: Some(10_000),
        late_extension_ms: 30_000,
        timelock_ms: 86_400_000,
        execution_window_ms: 172_800_000,
        proposers: Proposers::Holders(fraction(100)),
        ..rule(2_000, 5_100)
    };
    let licence = Rule {
        electorate: Electorate::Members,
        proposers: Proposers::Stewards,
        blocking_holders: Some(3),
        objection: Some(Portion::more_than(fraction(1_000)).expect("not the whole")),
        ..rule(2_000, 5_100)
    };
    ModelPolicy {
        release,
        licence,
        ownership: rule(5_000, 6_667),
        transfers: TransferRule::Approval,
        guardian: Some(OTHER),
        arbiters: Some(Arbiters { stand_ins: vec![THIRD], take_units: true, ..Arbiters::new(vec![ACCOUNT, OTHER], 2) }),
        roles: vec![Role { name: name("auditor"), accounts: vec![ACCOUNT, OTHER] }],
        gates: vec![Gate { statement: name("bias-audit"), role: name("auditor"), attestors: 1, outvoted_by: Some(1) }],
        allow: vec![Risk::MinorityDecides, Risk::Expropriation, Risk::ArbitersTakeUnits],
        dormancy: Some(Dormancy { after_ms: 7_776_000_000 }),
        dilution: Some(Dilution { per_decision: Some(fraction(2_500)), per_year: None }),
        preemption: Some(Preemption { period_ms: 86_400_000 }),
        expropriation: Some(rule(9_000, 9_000)),
        suspended_vote: false,
        change_of_control: ChangeOfControl::Approval,
        ..ModelPolicy::uniform(&rule(5_000, 7_500))
    }
}

/// What a round mints by.
pub(super) fn plan() -> RoundPlan {
    RoundPlan {
        plan: CONTENT,
        budget: UNITS,
        weights: vec![KindWeight { kind: ContributionKind::Data, weight: 3 }],
        cap: Some(Cap { per: CapPer::Member, part: points(5_000) }),
        min_contributors: 2,
        recording_ms: 60_000,
        review_ms: 30_000,
        sealed: true,
    }
}

pub(super) fn parameters() -> Parameters {
    Parameters {
        propose_timeout_ms: 2_000,
        vote_timeout_ms: 800,
        timeout_delta_ms: 400,
        rebroadcast_ms: 4_000,
        heartbeat_ms: 60_000,
        clock_drift_ms: 10_000,
        founder_quota: 100,
        transactions_per_account_per_block: 256,
        policy: NetworkPolicy {
            upgrade: rule(7_500, 7_500),
            allow: vec![Risk::MinorityDecides],
            dormancy: Some(Dormancy { after_ms: 15_552_000_000 }),
            ..NetworkPolicy::uniform(&rule(5_000, 6_667))
        },
    }
}

/// The fixed genesis: three accounts, four validators of different powers.
pub fn genesis() -> Genesis {
    let account = |text: &str, keys| GenesisAccount { handle: handle(text), keys };
    let operators = ["northfield", "lakeside", "hilltop", "hilltop"];
    let validators = validator_keys().into_iter().zip(operators).zip([10, 20, 30, 40]);
    Genesis {
        name: "vectors".into(),
        time: TIME,
        parameters: parameters(),
        accounts: vec![
            account("northfield", KeyPolicy::single(key(1).public_key())),
            account("lakeside", key_policy()),
            account("hilltop", KeyPolicy::single(key(5).public_key())),
        ],
        validators: validators
            .map(|((key, operator), power)| GenesisValidator {
                key: key.public_key(),
                power: Power::new(power),
                operator: handle(operator),
            })
            .collect(),
    }
}

/// The id of the fixed genesis.
pub fn network() -> NetworkId {
    genesis().network_id()
}

/// Founds a model whose units two accounts hold.
pub(super) fn create_model(founders: [AccountId; 2]) -> CreateModel {
    let [one, two] = founders;
    let line = |account, units| FoundingLine { account, units: Units::new(units), vesting: None };
    CreateModel {
        name: name("digits"),
        description: "Recognises digits.".into(),
        founding: vec![line(one, 700), line(two, 300)],
        stewards: vec![one],
        policy: ModelPolicy { allow: vec![Risk::MinorityDecides], ..ModelPolicy::uniform(&rule(5_000, 6_667)) },
        licence: Some(Licence::Spdx("Apache-2.0 OR MIT".into())),
        distribution: Distribution::default(),
        grants: Vec::new(),
    }
}

/// Asks the members to admit the fifth validator.
pub(super) fn open_proposal(operator: AccountId) -> OpenProposal {
    let [.., fifth] = validator_keys();
    OpenProposal {
        question: Question::of_network(vec![NetworkAction::AdmitValidator(AdmitValidator {
            key: fifth.public_key(),
            power: Power::new(25),
            operator,
        })]),
        title: "Admit a fifth validator".into(),
        text: "So that one may fail and one may lie.".into(),
    }
}

/// Seven blocks on the fixed genesis: a model is founded, a validator is admitted and takes part.
pub fn chain() -> Chain {
    let genesis = genesis();
    let [northfield, lakeside, hilltop] =
        ["northfield", "lakeside", "hilltop"].map(|text| genesis.account_id(&handle(text)));
    let mut chain = Chain::new(genesis, Author::new(validator_keys()));

    let found = chain.sign(northfield, &[key(1)], Action::CreateModel(create_model([northfield, lakeside])));
    let ask = chain.sign(hilltop, &[key(5)], Action::OpenProposal(open_proposal(lakeside)));
    let again = chain.sign(northfield, &[key(1)], Action::CreateModel(create_model([northfield, lakeside])));
    let results = chain.block(1_000, vec![found, ask, again]).results;
    let proposal = results.iter().flat_map(|result| &result.events).find_map(|event| match event {
        allod_protocol::rules::event::Event::ProposalOpened { proposal, .. } => Some(*proposal),
        _ => None,
    });
    let ballot = Action::CastBallot(CastBallot::whole(proposal.expect("a proposal"), Choice::Yes));
    let [.., fifth] = validator_keys();
    let accept = operates(chain.genesis.network_id(), lakeside, &fifth);
    let ballots = vec![
        chain.sign(northfield, &[key(1)], ballot.clone()),
        chain.sign(lakeside, &[key(2), key(3)], ballot.clone()),
        chain.sign(hilltop, &[key(5)], ballot),
        chain.sign(lakeside, &[key(2), key(3)], accept),
    ];
    chain.block(1_000, ballots);
    // The vote closes; the set changes two heights later, and the header between announces it.
    chain.block(60_000, Vec::new());
    for _ in 0..4 {
        chain.block(1_000, Vec::new());
    }
    chain
}
