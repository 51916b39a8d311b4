//! What stories of the rules have in common: the accounts, a model, and the steps that nearly every story takes.

use allod_protocol::{
    ground::ids::{AccountId, ArtifactId, ModelId, Name, ProposalId, Units, VersionLabel},
    rules::{
        access::Distribution,
        action::Action,
        artifact::{Artifact, ArtifactKind},
        event::Event,
        model::{CreateModel, FoundingLine, PublishVersion},
        policy::{ModelPolicy, Tally},
        proposal::{CastBallot, Choice, ModelAction, NetworkAction, OpenProposal, Proposal, ProposalStatus, Question},
        share::Share,
    },
};
use allod_tests::ledger::{TestLedger, policy};

pub(crate) const HANDLES: [&str; 5] = ["northfield", "lakeside", "hilltop", "riverbend", "seafront"];

pub(crate) fn ledger() -> TestLedger {
    TestLedger::new(&HANDLES)
}

/// northfield 50, lakeside 30, hilltop 20; northfield is steward.
pub(crate) fn with_model(ledger: &mut TestLedger) -> ModelId {
    founded(ledger, policy(50, 60))
}

/// The same under a policy.
pub(crate) fn founded(ledger: &mut TestLedger, policy: ModelPolicy) -> ModelId {
    let action = founding(ledger, policy);
    found(ledger, action)
}

/// What founds it, to be changed.
pub(crate) fn founding(ledger: &TestLedger, policy: ModelPolicy) -> CreateModel {
    let line =
        |handle: &str, units| FoundingLine { account: ledger.account(handle), units: Units::new(units), vesting: None };
    CreateModel {
        name: Name::new("digits").unwrap(),
        description: "reads digits".into(),
        founding: vec![line("northfield", 50), line("lakeside", 30), line("hilltop", 20)],
        stewards: vec![ledger.account("northfield")],
        policy,
        licence: None,
        distribution: Distribution::default(),
        grants: Vec::new(),
    }
}

/// Founds a model as northfield; whoever is named for an office accepts it.
pub(crate) fn found(ledger: &mut TestLedger, action: CreateModel) -> ModelId {
    let founded = ledger.must(0, Action::CreateModel(action));
    ledger.accept_offers();
    match founded.events.first() {
        Some(Event::ModelCreated { model, .. }) => *model,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn version(model: ModelId, label: &str) -> PublishVersion {
    let address = ArtifactId::of(label.as_bytes());
    PublishVersion {
        model,
        label: VersionLabel::new(label).unwrap(),
        artifact: Artifact { address, kind: ArtifactKind::File, size_bytes: 10, files: 1 },
        parents: vec![],
        training_plan: None,
        datasets: vec![],
        notes: String::new(),
        committed: None,
    }
}

pub(crate) fn open(ledger: &mut TestLedger, by: u8, question: Question) -> ProposalId {
    let action = OpenProposal { question, title: "a question".into(), text: String::new() };
    match ledger.must(by, Action::OpenProposal(action)).events.first() {
        Some(Event::ProposalOpened { proposal, .. }) => *proposal,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn vote(ledger: &mut TestLedger, by: u8, proposal: ProposalId, choice: Choice) {
    ledger.must(by, Action::CastBallot(CastBallot::whole(proposal, choice)));
}

pub(crate) fn status(ledger: &TestLedger, id: ProposalId) -> ProposalStatus {
    ledger.read::<Proposal>(&id).expect("proposal").status
}

pub(crate) fn units(ledger: &TestLedger, model: ModelId, handle: &str) -> u64 {
    ledger.read::<Share>(&(model, ledger.account(handle))).map_or(0, |share| share.units.get())
}

/// Opens a proposal to a model's owners, and lets these accounts say yes.
pub(crate) fn decide(ledger: &mut TestLedger, model: ModelId, action: ModelAction, voters: &[u8]) -> ProposalId {
    let id = open(ledger, 0, Question::of_model(model, vec![action]));
    voters.iter().for_each(|voter| vote(ledger, *voter, id, Choice::Yes));
    id
}

/// The same of the network, by all five members.
pub(crate) fn decide_network(ledger: &mut TestLedger, action: NetworkAction) -> ProposalStatus {
    let id = open(ledger, 0, Question::of_network(vec![action]));
    (0..5).for_each(|voter| vote(ledger, voter, id, Choice::Yes));
    ledger.block(10_000, vec![]);
    status(ledger, id)
}

/// A proposal's sums: yes, no, abstain, veto.
pub(crate) fn tally(ledger: &TestLedger, id: ProposalId) -> [u64; 4] {
    let tally: Tally = ledger.read(&id).expect("tally");
    [tally.yes, tally.no, tally.abstain, tally.veto]
}

/// The id of an account by its place.
pub(crate) fn account(ledger: &TestLedger, index: u8) -> AccountId {
    ledger.account(HANDLES[usize::from(index)])
}
