//! What proposers and voters ask for.

use super::{choose, wrap};
use crate::{
    histories::{
        History,
        request::{Pick, Request},
    },
    reference::{DisputeStatus, Proposal, Status},
};
use allod_protocol::rules::model::ReleaseVersion;
use allod_protocol::rules::proposal::ModelAction;
use allod_protocol::{
    ground::ids::{AccountId, BasisPoints, ProposalId},
    rules::{
        action::Action,
        attestation::{Attest, Finding},
        dispute::{DisputeTarget, WithdrawDispute},
        dormancy::{CallOn, Present},
        network::LeaveNetwork,
        office::Office,
        policy::Proposers,
        proposal::{
            BallotPart, CancelProposal, CastBallot, Choice, ExecuteProposal, OpenProposal, Question, Scope,
            WithdrawProposal,
        },
    },
};

impl History {
    #[allow(clippy::too_many_lines, reason = "a list, a request of each kind")]
    pub(super) fn of_proposer(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Propose { model, by, steps } => {
                let (id, model) = self.model(*model);
                let by = self.by(*by, |account| match model.policy.release.proposers {
                    Proposers::Stewards => self.world.holds(&Office::Steward(id), account),
                    _ => model.register.contains_key(&account),
                });
                let mut actions: Vec<_> = steps.iter().filter_map(|step| self.step(id, by, step)).collect();
                // A resolution stands by itself.
                let resolution = actions.iter().position(|one| matches!(one, ModelAction::ResolveDispute(_)));
                if let Some(resolution) = resolution {
                    actions = vec![actions.swap_remove(resolution)];
                }
                self.open(by, Question::of_model(id, actions))
            }
            Request::ProposeToMembers { by, step } => {
                let by = self.by(*by, |account| self.world.accounts[&account].member_since.is_some());
                self.open(by, Question::of_network(vec![self.member_step(*step)]))
            }
            Request::Answer { proposal, by, parts } => {
                let id = self.proposal(*proposal, |status| *status == Status::Open)?;
                let by = self.by(*by, |account| self.world.weight(&self.world.proposals[&id], account) > 0);
                Some((by, ballot(id, parts)))
            }
            Request::Withdraw { proposal, by } => {
                let sells = |proposal: &Proposal| {
                    let is_sale = |action: &ModelAction| matches!(action, ModelAction::ApproveTransfer(_));
                    proposal.question.model_actions().iter().any(is_sale)
                        && !proposal.status.is_final()
                        && proposal.closes.is_multiple_of(2)
                };
                let unanswered = |proposal: &Proposal| {
                    proposal.status == Status::Open && proposal.ballots.is_empty() || sells(proposal)
                };
                let id = choose(&self.proposals, *proposal, |id| unanswered(&self.world.proposals[id]))?;
                let by = self.by(*by, |account| self.world.proposals[&id].proposer == account);
                Some((by, Action::WithdrawProposal(WithdrawProposal { proposal: id, reason: String::new() })))
            }
            Request::Call { model, by, on } => {
                let scope = model.map_or(Scope::Network, |place| Scope::Model(self.model(place).0));
                let has_voice = |account: AccountId| match scope {
                    Scope::Network => self.world.accounts[&account].member_since.is_some(),
                    Scope::Model(model) => self.world.held(model, account) > 0,
                };
                let silent = |account| self.world.silences.contains_key(&(scope, account));
                let by = self.by(*by, has_voice);
                let account = self.by(*on, |account| has_voice(account) && account != by && !silent(account));
                Some((by, Action::CallOn(CallOn { scope, account })))
            }
            Request::Present { by } => {
                let called: Vec<(Scope, AccountId)> = self.world.silences.keys().copied().collect();
                let (scope, account) = wrap(&called, by.place).unwrap_or((Scope::Network, self.any(by.place)));
                let by = if by.fits { account } else { self.any(by.place) };
                Some((by, Action::Present(Present { scope })))
            }
            Request::Leave { by } => {
                let leaves = |account: AccountId| {
                    self.world.accounts[&account].member_since.is_some() && !self.world.operates(account)
                };
                Some((self.by(*by, leaves), Action::LeaveNetwork(LeaveNetwork {})))
            }
            Request::Execute { proposal, by } => {
                let id = self.proposal(*proposal, |status| matches!(status, Status::Queued { .. }))?;
                Some((self.any(*by), Action::ExecuteProposal(ExecuteProposal { proposal: id })))
            }
            Request::Cancel { proposal, by } => {
                let guarded = |proposal: &Proposal| !proposal.status.is_final() && proposal.guardian.is_some();
                let id = choose(&self.proposals, *proposal, |id| guarded(&self.world.proposals[id]))?;
                let by = self.by(*by, |account| self.world.proposals[&id].guardian == Some(account));
                Some((by, Action::CancelProposal(CancelProposal { proposal: id, reason: String::new() })))
            }
            _ => None,
        }
    }

    fn proposal(&self, pick: Pick, fits: impl Fn(&Status) -> bool) -> Option<ProposalId> {
        choose(&self.proposals, pick, |id| fits(&self.world.proposals[id].status))
    }

    pub(super) fn open(&self, by: AccountId, question: Question) -> Option<(AccountId, Action)> {
        if question.action_names().is_empty() {
            return None;
        }
        let (title, text) = ("a question".into(), String::new());
        Some((by, Action::OpenProposal(OpenProposal { question, title, text })))
    }

    /// Everybody who is asked attests what a queued release lacks, its challenger gives up, and somebody executes it.
    pub(super) fn clear(&self, pick: Pick) -> Option<Vec<(usize, Action)>> {
        let id = self.proposal(pick, |status| matches!(status, Status::Queued { .. }))?;
        let proposal = &self.world.proposals[&id];
        let Scope::Model(model) = proposal.question.scope() else { return None };
        let mut actions = Vec::new();
        for action in proposal.question.model_actions() {
            let ModelAction::ReleaseVersion(ReleaseVersion { label }) = action else { continue };
            let artifact = self.world.models[&model].versions[label].artifact;
            for (gate, accounts) in &proposal.gates {
                let (statement, note) = (gate.statement.clone(), String::new());
                let asked = Attest { artifact, statement, finding: Finding::Passed, evidence: None, note };
                actions.extend(accounts.iter().map(|account| (*account, Action::Attest(asked.clone()))));
            }
            let target = DisputeTarget::Version { model, label: label.clone() };
            let freezes = self
                .world
                .disputes
                .iter()
                .find(|(_, dispute)| dispute.target == target && dispute.status == DisputeStatus::Open);
            actions.extend(freezes.map(|(dispute, found)| {
                (found.challenger, Action::WithdrawDispute(WithdrawDispute { dispute: *dispute }))
            }));
        }
        actions.push((self.any(pick.place), Action::ExecuteProposal(ExecuteProposal { proposal: id })));
        Some(actions.into_iter().map(|(account, action)| (self.place(account), action)).collect())
    }

    /// Everybody who has a weight answers, most of them alike.
    pub(super) fn rally(&self, proposal: Pick, answers: u32, against: bool) -> Option<Vec<(usize, Action)>> {
        let is_open = |status: &Status| *status == Status::Open;
        let id = self.proposal(Pick { fits: true, ..proposal }, is_open)?;
        if !is_open(&self.world.proposals[&id].status) {
            return None;
        }
        let with_weight = |account: &AccountId| self.world.weight(&self.world.proposals[&id], *account) > 0;
        let voters = self.accounts.iter().enumerate().filter(|(_, account)| with_weight(account));
        let answer = |(place, _): (usize, &AccountId)| {
            let choice = match (answers >> (3 * (place % 10))) & 7 {
                0 => return None,
                1 => Choice::Abstain,
                2 | 3 if against => Choice::Veto,
                2 => Choice::No,
                _ if against => Choice::No,
                _ => Choice::Yes,
            };
            Some((place, Action::CastBallot(CastBallot::whole(id, choice))))
        };
        Some(voters.filter_map(answer).collect())
    }
}

fn ballot(proposal: ProposalId, parts: &[(Choice, u16)]) -> Action {
    let part = |(choice, part): &(Choice, u16)| BallotPart {
        choice: *choice,
        part: BasisPoints::new(*part).expect("at most the whole"),
    };
    Action::CastBallot(CastBallot { proposal, parts: parts.iter().map(part).collect() })
}
