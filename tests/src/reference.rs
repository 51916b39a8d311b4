//! The rules written a second time, as plainly as possible, to hold the real ones against.
//!
//! No records, no keys, no overlay, no running sums: a whole copy of the world is kept for every height, balances are
//! looked up in the copy, and a tally is counted from the ballots when it is needed.

use allod_protocol::{
    ids::{AccountId, ModelId, ProposalId, VersionLabel},
    policy::ModelPolicy,
    proposal::{Choice, ProposalAction},
};
use std::collections::{BTreeMap, BTreeSet};

/// A model and its register.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Who holds how much; nobody holds zero.
    pub register: BTreeMap<AccountId, u64>,
    /// Who may countersign.
    pub stewards: BTreeSet<AccountId>,
    /// The versions and whether each is released.
    pub versions: BTreeMap<VersionLabel, bool>,
    /// How its owners decide.
    pub policy: Option<ModelPolicy>,
}

/// A question to the owners of a model.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Whose question.
    pub model: ModelId,
    /// The height as of which weights count.
    pub snapshot: u64,
    /// When ballots stop.
    pub closes: u64,
    /// Parts of ten thousand: quorum and threshold.
    pub rule: (u128, u128),
    /// What is done if it passes.
    pub actions: Vec<ProposalAction>,
    /// Who answered what.
    pub ballots: BTreeMap<AccountId, Choice>,
    /// How it ended, if it did: `executed`, `execution_failed`, `rejected` or `withdrawn`.
    pub ended: Option<&'static str>,
    /// Who asked.
    pub proposer: AccountId,
}

/// The world.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The models.
    pub models: BTreeMap<ModelId, Model>,
    /// The proposals.
    pub proposals: BTreeMap<ProposalId, Proposal>,
    /// The registers as they were when each height was over.
    pub past: BTreeMap<u64, BTreeMap<ModelId, BTreeMap<AccountId, u64>>>,
    /// The height being executed.
    pub height: u64,
    /// Its time.
    pub time: u64,
}

impl World {
    /// A block begins: what is due is closed first.
    pub fn begin(&mut self, height: u64, time: u64) {
        (self.height, self.time) = (height, time);
        let mut due: Vec<(u64, ProposalId)> = self
            .proposals
            .iter()
            .filter(|(_, proposal)| proposal.ended.is_none() && proposal.closes <= time)
            .map(|(id, proposal)| (proposal.closes, *id))
            .collect();
        due.sort();
        for (_, id) in due {
            self.close(id);
        }
    }

    /// A block is over.
    pub fn end(&mut self) {
        let registers = self.models.iter().map(|(id, model)| (*id, model.register.clone())).collect();
        self.past.insert(self.height, registers);
    }

    /// What an account held when a height was over.
    pub fn held(&self, model: ModelId, account: AccountId, height: u64) -> u64 {
        self.past.get(&height).and_then(|m| m.get(&model)).and_then(|r| r.get(&account)).copied().unwrap_or(0)
    }

    /// The weights of the answers, and of everybody: yes, no, abstain, all.
    pub fn tally(&self, id: &ProposalId) -> [u128; 4] {
        let Some(proposal) = self.proposals.get(id) else { return [0; 4] };
        let mut sums = [0u128; 4];
        for (account, choice) in &proposal.ballots {
            let weight = u128::from(self.held(proposal.model, *account, proposal.snapshot));
            match choice {
                Choice::Yes => sums[0] += weight,
                Choice::No | Choice::Veto => sums[1] += weight,
                Choice::Abstain => sums[2] += weight,
            }
        }
        let everybody = self.past.get(&proposal.snapshot).and_then(|m| m.get(&proposal.model));
        sums[3] = everybody.map_or(0, |register| register.values().map(|units| u128::from(*units)).sum());
        sums
    }

    fn close(&mut self, id: ProposalId) {
        let [yes, no, abstain, all] = self.tally(&id);
        let Some(proposal) = self.proposals.get(&id).cloned() else { return };
        let (quorum, threshold) = proposal.rule;
        let passed =
            (yes + no + abstain) * 10_000 >= quorum * all && yes > no && yes * 10_000 >= threshold * (yes + no);
        let ended = if !passed {
            "rejected"
        } else {
            let before = self.models.clone();
            if proposal.actions.iter().all(|action| self.run(proposal.model, action)) {
                "executed"
            } else {
                self.models = before;
                "execution_failed"
            }
        };
        if let Some(proposal) = self.proposals.get_mut(&id) {
            proposal.ended = Some(ended);
        }
    }

    fn run(&mut self, model: ModelId, action: &ProposalAction) -> bool {
        let Some(model) = self.models.get_mut(&model) else { return false };
        match action {
            ProposalAction::ReleaseVersion { label } => match model.versions.get_mut(label) {
                Some(released) if !*released => {
                    *released = true;
                    true
                }
                _ => false,
            },
            ProposalAction::MintShares { to, units, .. } => {
                let total: u128 = model.register.values().map(|units| u128::from(*units)).sum();
                if total + u128::from(units.get()) > 1 << 62 {
                    return false;
                }
                *model.register.entry(*to).or_insert(0) += units.get();
                true
            }
            ProposalAction::SetPolicy { policy } => {
                model.policy = Some((**policy).clone());
                true
            }
            _ => false,
        }
    }

    /// Gives shares; whether it may.
    pub fn transfer(&mut self, model: ModelId, from: AccountId, to: AccountId, units: u64) -> bool {
        let Some(model) = self.models.get_mut(&model) else { return false };
        let held = model.register.get(&from).copied().unwrap_or(0);
        if units == 0 || from == to || held < units {
            return false;
        }
        model.register.insert(from, held - units);
        *model.register.entry(to).or_insert(0) += units;
        model.register.retain(|_, units| *units > 0);
        true
    }

    /// Answers a question; whether it may.
    pub fn vote(&mut self, id: ProposalId, account: AccountId, choice: Choice) -> bool {
        let time = self.time;
        let Some(proposal) = self.proposals.get(&id) else { return false };
        let weight = self.held(proposal.model, account, proposal.snapshot);
        let open = proposal.ended.is_none() && time < proposal.closes;
        if !open || weight == 0 {
            return false;
        }
        if let Some(proposal) = self.proposals.get_mut(&id) {
            proposal.ballots.insert(account, choice);
        }
        true
    }
}
