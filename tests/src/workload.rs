//! Blocks of five hundred transactions for benches: 250 accounts that share one model, two transactions each.

#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop")]

use crate::{
    chain::Author,
    ledger::{genesis, key, policy},
};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{AccountId, ModelId, Name, ProposalId, Units},
    },
    ledger::{
        block::{DecidedBlock, Tip},
        execute::Executed,
        genesis::Genesis,
    },
    rules::{
        access::Distribution,
        action::Action,
        contribution::{ContributionKind, RecordContribution},
        event::Event,
        model::{CreateModel, FoundingLine},
        proposal::{CastBallot, Choice, ModelAction, OpenProposal, Question},
        share::{MintShares, TransferShares},
    },
};

/// Accounts, each with its founding line.
const ACCOUNTS: u8 = 250;
/// Transactions of each account in one block.
const ROUNDS: u8 = 2;

/// What the transactions of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each account gives a unit to the next one.
    Transfers,
    /// Each account answers one proposal, and changes its answer.
    Ballots,
    /// Each account records what it gave.
    Contributions,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Transfers, Self::Ballots, Self::Contributions];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfers => "transfers",
            Self::Ballots => "ballots",
            Self::Contributions => "contributions",
        }
    }
}

/// Makes the blocks; executing and committing them is the caller's.
#[derive(Debug)]
pub struct Workload {
    /// How the ledger begins.
    pub genesis: Genesis,
    author: Author,
    accounts: Vec<AccountId>,
    model: Option<ModelId>,
    proposal: Option<ProposalId>,
}

impl Default for Workload {
    fn default() -> Self {
        let handles: Vec<String> = (0..ACCOUNTS).map(|index| format!("account-{index}")).collect();
        let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
        let genesis = genesis(&handles);
        let accounts = genesis.accounts.iter().map(|account| genesis.account_id(&account.handle)).collect();
        let author = Author::new((0..4u8).map(|index| SigningKey::from_seed(&[index + 101; 32])));
        Self { genesis, author, accounts, model: None, proposal: None }
    }
}

impl Workload {
    /// Runs the two blocks that found the model and open the proposal. `run` executes and commits a block and gives
    /// the new tip.
    pub fn prepare(&mut self, tip: Tip, mut run: impl FnMut(DecidedBlock) -> (Tip, Executed)) -> Tip {
        let founding = self.accounts.iter().map(|account| FoundingLine {
            account: *account,
            units: Units::new(1_000),
            vesting: None,
        });
        let found = Action::CreateModel(CreateModel {
            name: Name::new("digits").expect("a name"),
            description: "Recognises digits.".into(),
            founding: founding.collect(),
            stewards: self.accounts.iter().take(4).copied().collect(),
            policy: policy(20, 50),
            licence: None,
            distribution: Distribution::default(),
            grants: Vec::new(),
        });
        let (tip, executed) = run(self.one(&tip, found));
        let events =
            |executed: &Executed| executed.results.iter().flat_map(|one| one.events.clone()).collect::<Vec<_>>();
        self.model = events(&executed).into_iter().find_map(|event| match event {
            Event::ModelCreated { model, .. } => Some(model),
            _ => None,
        });
        let action = ModelAction::MintShares(MintShares {
            to: self.accounts[0],
            units: Units::new(1),
            reason: String::new(),
            vesting: None,
        });
        let ask = Action::OpenProposal(OpenProposal {
            question: Question::of_model(self.model.expect("a model"), vec![action]),
            title: "Mint one unit".into(),
            text: "For the bench.".into(),
        });
        let (tip, executed) = run(self.one(&tip, ask));
        self.proposal = events(&executed).into_iter().find_map(|event| match event {
            Event::ProposalOpened { proposal, .. } => Some(proposal),
            _ => None,
        });
        tip
    }

    fn one(&mut self, tip: &Tip, action: Action) -> DecidedBlock {
        let transaction = self.author.sign(tip, self.accounts[0], &[key(0)], action);
        self.author.decide(tip, 1, vec![transaction])
    }

    /// The block of five hundred transactions that follows `tip`, a millisecond later.
    pub fn block(&mut self, kind: Kind, tip: &Tip) -> DecidedBlock {
        let mut transactions = Vec::new();
        for round in 0..ROUNDS {
            for index in 0..ACCOUNTS {
                let action = self.action(kind, round, usize::from(index));
                transactions.push(self.author.sign(tip, self.accounts[usize::from(index)], &[key(index)], action));
            }
        }
        self.author.decide(tip, 1, transactions)
    }

    fn action(&self, kind: Kind, round: u8, index: usize) -> Action {
        let model = self.model.expect("prepared");
        match kind {
            Kind::Transfers => {
                let to = self.accounts[(index + 1) % self.accounts.len()];
                Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason: String::new() })
            }
            Kind::Ballots => {
                let choice = if round.is_multiple_of(2) { Choice::Yes } else { Choice::No };
                Action::CastBallot(CastBallot::whole(self.proposal.expect("prepared"), choice))
            }
            Kind::Contributions => Action::RecordContribution(RecordContribution {
                model,
                round: None,
                kind: ContributionKind::Data,
                amount: 100,
                sealed: None,
                evidence: None,
                note: "A hundred scans.".into(),
            }),
        }
    }
}
