//! Random histories against the reference model: the same outcomes, the same registers, the same tallies; shares
//! conserved, snapshots honoured, nothing executed twice.

use allod_protocol::{
    artifact::{Artifact, ArtifactKind},
    event::Event,
    execute::Outcome,
    ids::{AccountId, ArtifactId, ModelId, Name, ProposalId, Units, VersionLabel},
    model::{CreateModel, FoundingLine, Model, PublishVersion, Version, VersionStatus},
    policy::Tally,
    proposal::{CastBallot, Choice, OpenProposal, Proposal, ProposalAction, Scope, WithdrawProposal},
    share::{Register, Share, ShareAt, ShareChange, ShareFlow, TransferShares},
    state::{Direction, page, read_as_of},
    transaction::{Action, Transaction},
};
use allod_tests::{
    ledger::{TestLedger, policy},
    reference::{self, World},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const HANDLES: [&str; 5] = ["northfield", "lakeside", "hilltop", "riverbend", "seafront"];

/// One request of a random history, by places in lists that wrap around.
#[derive(Clone, Debug)]
enum Request {
    Transfer { model: usize, from: u8, to: u8, units: u64 },
    Publish { model: usize, from: u8, label: u8 },
    Release { model: usize, from: u8, label: u8 },
    Mint { model: usize, from: u8, to: u8, units: u64, twice: bool },
    Policy { model: usize, from: u8, quorum: u16, threshold: u16 },
    Vote { proposal: usize, from: u8, choice: Choice },
    Withdraw { proposal: usize, from: u8 },
}

fn request() -> impl Strategy<Value = Request> {
    let (model, account) = (0usize..2, 0u8..5);
    let units = prop_oneof![0u64..50, Just(1u64 << 62)];
    let choice = prop_oneof![Just(Choice::Yes), Just(Choice::Yes), Just(Choice::No), Just(Choice::Abstain)];
    prop_oneof![
        3 => (model.clone(), account.clone(), account.clone(), units)
            .prop_map(|(model, from, to, units)| Request::Transfer { model, from, to, units }),
        1 => (model.clone(), account.clone(), 0u8..4).prop_map(|(model, from, label)| Request::Publish { model, from, label }),
        1 => (model.clone(), account.clone(), 0u8..4).prop_map(|(model, from, label)| Request::Release { model, from, label }),
        1 => (model.clone(), account.clone(), account.clone(), prop_oneof![1u64..50, Just(1u64 << 62)], any::<bool>())
            .prop_map(|(model, from, to, units, twice)| Request::Mint { model, from, to, units, twice }),
        1 => (model, account.clone(), 1u16..=100, 50u16..=100)
            .prop_map(|(model, from, quorum, threshold)| Request::Policy { model, from, quorum, threshold }),
        6 => (0usize..8, account.clone(), choice).prop_map(|(proposal, from, choice)| Request::Vote { proposal, from, choice }),
        1 => (0usize..8, account).prop_map(|(proposal, from)| Request::Withdraw { proposal, from }),
    ]
}

struct History {
    ledger: TestLedger,
    world: World,
    models: Vec<ModelId>,
    proposals: Vec<ProposalId>,
}

impl History {
    fn begin() -> Self {
        let mut ledger = TestLedger::new(&HANDLES);
        let mut world = World::default();
        world.end();
        let mut models = Vec::new();
        for (name, units) in [("one", [40, 30, 20, 10]), ("two", [1, 1, 1, 0])] {
            let founding: Vec<FoundingLine> = HANDLES
                .iter()
                .zip(units)
                .filter(|(_, units)| *units > 0)
                .map(|(handle, units)| FoundingLine {
                    account: ledger.account(handle),
                    units: Units::new(units),
                    vesting: None,
                })
                .collect();
            let register = founding.iter().map(|line| (line.account, line.units.get())).collect();
            let action = CreateModel {
                name: Name::new(name).expect("name"),
                description: String::new(),
                founding,
                stewards: vec![ledger.account("seafront")],
                policy: policy(50, 60),
                licence: None,
                grants: Vec::new(),
            };
            let result = ledger.must(0, Action::CreateModel(action));
            let Some(Event::ModelCreated { model, .. }) = result.events.first().cloned() else { panic!("no model") };
            world.begin(ledger.tip.height.get(), ledger.tip.time.get());
            let stewards = [ledger.account("seafront")].into();
            world.models.insert(
                model,
                reference::Model { register, stewards, versions: BTreeMap::new(), policy: Some(policy(50, 60)) },
            );
            world.end();
            models.push(model);
        }
        Self { ledger, world, models, proposals: Vec::new() }
    }

    fn id(&self, account: u8) -> AccountId {
        self.ledger.account(HANDLES[usize::from(account)])
    }

    fn action(&self, request: &Request) -> Option<(u8, Action)> {
        let label = |label: u8| VersionLabel::new(format!("v{label}")).expect("label");
        let propose = |model: usize, from: u8, actions| {
            let scope = Scope::Model(self.models[model]);
            Some((from, Action::OpenProposal(OpenProposal { scope, title: "t".into(), text: String::new(), actions })))
        };
        let proposal = |index: usize| self.proposals.get(index.checked_rem(self.proposals.len())?).copied();
        match request {
            Request::Transfer { model, from, to, units } => {
                let (model, to, units) = (self.models[*model], self.id(*to), Units::new(*units));
                Some((*from, Action::TransferShares(TransferShares { model, to, units, reason: String::new() })))
            }
            Request::Publish { model, from, label: number } => {
                let address = ArtifactId::of(&[*number, *model as u8]);
                let artifact = Artifact { address, kind: ArtifactKind::File, size_bytes: 1, files: 1 };
                let action = PublishVersion {
                    model: self.models[*model],
                    label: label(*number),
                    artifact,
                    parents: vec![],
                    training_plan: None,
                    datasets: vec![],
                    notes: String::new(),
                };
                Some((*from, Action::PublishVersion(action)))
            }
            Request::Release { model, from, label: number } => {
                propose(*model, *from, vec![ProposalAction::ReleaseVersion { label: label(*number) }])
            }
            Request::Mint { model, from, to, units, twice } => {
                let mint = ProposalAction::MintShares {
                    to: self.id(*to),
                    units: Units::new(*units),
                    reason: String::new(),
                    vesting: None,
                };
                propose(*model, *from, vec![mint; 1 + usize::from(*twice)])
            }
            Request::Policy { model, from, quorum, threshold } => propose(
                *model,
                *from,
                vec![ProposalAction::SetPolicy { policy: Box::new(policy(*quorum, *threshold)) }],
            ),
            Request::Vote { proposal: index, from, choice } => {
                Some((*from, Action::CastBallot(CastBallot::whole(proposal(*index)?, *choice))))
            }
            Request::Withdraw { proposal: index, from } => {
                Some((*from, Action::WithdrawProposal(WithdrawProposal { proposal: proposal(*index)? })))
            }
        }
    }

    /// Runs a block through the ledger and through the reference, and compares everything.
    fn block(&mut self, later_ms: u64, requests: &[Request]) {
        let mut signed: Vec<(u8, Transaction)> = Vec::new();
        for request in requests {
            if let Some((from, action)) = self.action(request) {
                signed.push((from, self.ledger.sign_as(from, action)));
            }
        }
        let executed = self.ledger.block(later_ms, signed.iter().map(|(_, t)| t.clone()).collect());
        self.world.begin(self.ledger.tip.height.get(), self.ledger.tip.time.get());
        for ((from, transaction), result) in signed.iter().zip(&executed.results) {
            let expected = self.expect(self.id(*from), &transaction.body.action, &result.events);
            assert_eq!(
                result.outcome == Outcome::Applied,
                expected,
                "{:?} {:?}",
                transaction.body.action,
                result.outcome
            );
        }
        self.world.end();
        self.compare();
    }

    fn expect(&mut self, from: AccountId, action: &Action, events: &[Event]) -> bool {
        match action {
            Action::TransferShares(t) => self.world.transfer(t.model, from, t.to, t.units.get()),
            Action::PublishVersion(p) => {
                let model = self.world.models.get_mut(&p.model).expect("model");
                let own = model.register.contains_key(&from) || model.stewards.contains(&from);
                let may = own && !model.versions.contains_key(&p.label);
                if may {
                    model.versions.insert(p.label.clone(), false);
                }
                may
            }
            Action::OpenProposal(open) => {
                let Scope::Model(id) = open.scope else { return false };
                let model = self.world.models.get(&id).expect("model");
                let own = model.register.contains_key(&from) || model.stewards.contains(&from);
                let opened = self.world.proposals.values().filter(|p| p.proposer == from && p.ended.is_none()).count();
                let may = own && opened < 16;
                if let (true, Some(Event::ProposalOpened { proposal, closes, .. })) = (may, events.first()) {
                    let rule = match open.actions.first() {
                        Some(ProposalAction::ReleaseVersion { .. }) => &model.policy.as_ref().expect("policy").release,
                        Some(ProposalAction::MintShares { .. }) => &model.policy.as_ref().expect("policy").ownership,
                        _ => &model.policy.as_ref().expect("policy").rules,
                    };
                    assert_eq!(closes.get(), self.world.time + rule.voting_period_ms);
                    let rule = (u128::from(rule.quorum.get()), u128::from(rule.threshold.get()));
                    self.proposals.push(*proposal);
                    self.world.proposals.insert(
                        *proposal,
                        reference::Proposal {
                            model: id,
                            snapshot: self.world.height - 1,
                            closes: closes.get(),
                            rule,
                            actions: open.actions.clone(),
                            ballots: BTreeMap::new(),
                            ended: None,
                            proposer: from,
                        },
                    );
                }
                may
            }
            Action::CastBallot(ballot) => self.world.vote(ballot.proposal, from, ballot.parts[0].choice),
            Action::WithdrawProposal(w) => {
                let time = self.world.time;
                let Some(p) = self.world.proposals.get_mut(&w.proposal) else { return false };
                let may = p.ended.is_none() && time < p.closes && p.proposer == from && p.ballots.is_empty();
                if may {
                    p.ended = Some("withdrawn");
                }
                may
            }
            _ => false,
        }
    }

    fn compare(&self) {
        for id in &self.models {
            let expected = &self.world.models[id];
            let (lines, _) = page::<Share>(&self.ledger.state, id, None, Direction::Ascending, 100).expect("page");
            let register: BTreeMap<AccountId, u64> = lines.iter().map(|s| (s.account, s.units.get())).collect();
            assert_eq!(register, expected.register, "the register");
            let model: Model = self.ledger.read(id).expect("model");
            let sums: Register = self.ledger.read(id).expect("sums");
            assert_eq!(sums.total_units.get(), register.values().sum::<u64>(), "shares conserved");
            assert_eq!(sums.holders, register.len() as u64);
            assert_eq!(Some(model.policy), expected.policy);
            self.compare_history(*id, &register);
            for (label, released) in &expected.versions {
                let version: Version = self.ledger.read(&(*id, label.clone())).expect("version");
                assert_eq!(matches!(version.status, VersionStatus::Released { .. }), *released);
            }
        }
        for (id, expected) in &self.world.proposals {
            let proposal: Proposal = self.ledger.read(id).expect("proposal");
            assert_eq!(proposal.status.name(), expected.ended.unwrap_or("open"));
            let [yes, no, abstain, all] = self.world.tally(id);
            let tally: Tally = self.ledger.read(id).expect("tally");
            let found = [tally.yes, tally.no, tally.abstain, tally.electorate].map(u128::from);
            assert_eq!(found, [yes, no, abstain, all], "the tally");
        }
    }

    /// The history adds up to the register, and what it says of past heights is what was.
    fn compare_history(&self, model: ModelId, register: &BTreeMap<AccountId, u64>) {
        let (lines, _) =
            page::<ShareChange>(&self.ledger.state, &model, None, Direction::Ascending, 10_000).expect("page");
        let mut sums: BTreeMap<AccountId, i128> = BTreeMap::new();
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(line.number, number as u64);
            let units = i128::from(line.units.get());
            *sums.entry(line.account).or_insert(0) += if line.flow == ShareFlow::In { units } else { -units };
            assert_eq!(sums[&line.account], i128::from(line.balance.get()));
        }
        sums.retain(|_, units| *units != 0);
        assert_eq!(sums, register.iter().map(|(a, u)| (*a, i128::from(*u))).collect());
        for height in self.world.past.keys() {
            for account in 0..5 {
                let account = self.id(account);
                let height = allod_protocol::ids::Height::new(*height);
                let at = read_as_of::<ShareAt>(&self.ledger.state, &(model, account), &(model, account, height));
                let units = at.expect("read").map_or(0, |at| at.0.get());
                assert_eq!(units, self.world.held(model, account, height.get()), "as of {height}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_agree_with_the_reference_model(
        blocks in proptest::collection::vec((1u64..6_000, proptest::collection::vec(request(), 0..8)), 1..30)
    ) {
        let mut history = History::begin();
        for (later_ms, requests) in &blocks {
            history.block(*later_ms, requests);
        }
        history.block(20_000, &[]);
        prop_assert!(history.world.proposals.values().all(|proposal| proposal.ended.is_some()));
    }
}
