//! How often what happened in random histories.

use super::Done;
use crate::reference::{DisputeStatus, Part, Proposal, RoundStatus, Status, World};
use allod_protocol::rules::{
    action::Action, dispute::DisputeTarget, emergency::StopEnd, event::Event, licence::LicenceEnd, policy::Electorate,
};
use std::{collections::BTreeMap, fmt};

/// Counts by what they count, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_insert(0) += 1;
    }

    /// Adds what happened in another history.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_insert(0) += count;
        }
    }

    /// Counts whether an action applied, or by which rule it did not.
    pub(super) fn count_outcome(&mut self, action: &Action, outcome: Result<(), &'static str>) {
        match outcome {
            Ok(()) => self.count(format!("applied {}", action.name())),
            Err(code @ ("foreign_key" | "not_authorised")) => self.count(format!("refused signature: {code}")),
            Err(code) => self.count(format!("refused {}: {code}", action.name())),
        }
        if let (Action::CastBallot(ballot), Ok(())) = (action, outcome)
            && ballot.parts.len() > 1
        {
            self.count("ballot split");
        }
    }

    /// Counts what happened in a block.
    pub(super) fn count_events(&mut self, done: Done<'_>, world: &World) {
        for event in done.events() {
            let Event::LicenceGranted { model, account, accepted, .. } = event else { continue };
            let licensed = &world.models[model].licensees[account];
            if *accepted {
                self.count("licence agreed to beforehand");
            } else if licensed.in_force(world.time).is_some() {
                self.count("licence offered beside one in force");
            }
        }
        for event in done.deadline_events {
            match event {
                Event::AccountRecovered { .. } => self.count("account recovered"),
                Event::RecoveryLapsed { .. } => self.count("recovery lapsed"),
                Event::KeysSettled { .. } => self.count("keys settled"),
                Event::RecoverySet { .. } => self.count("guardians settled"),
                Event::FellDormant { .. } => self.count("fell dormant"),
                Event::IssueClosed { .. } => self.count("issue closed"),
                Event::Delegated { .. } => self.count("delegation expired"),
                Event::ProposalQueued { .. } => self.count("queued"),
                Event::SuspensionEnded { end: StopEnd::Lapsed, .. } => self.count("stop lapsed"),
                Event::AmountsWithheld { .. } => self.count("round over with amounts withheld"),
                Event::RecordingEnded { .. } => self.count("recording ended by retirement"),
                Event::LicenceRequestLapsed { .. } => self.count("licence request lapsed"),
                _ => {}
            }
        }
        for event in done.of_transactions() {
            match event {
                Event::RecoveryStopped { .. } => self.count("recovery stopped"),
                Event::RecoveryContested { .. } => self.count("recovery contested"),
                Event::ControlChanged { .. } => self.count("control changed"),
                Event::CloseMoved { .. } => self.count("close moved"),
                Event::Spoke { was_dormant: true, .. } => self.count("ballot that wakes"),
                Event::ArtifactTakenOver { .. } => self.count("artifact taken over"),
                Event::LicenceAnswered { accept: true, .. } => self.count("licence accepted"),
                Event::BallotCast { proposal, account, weight, .. } => {
                    let proposal = &world.proposals[proposal];
                    let alone = Proposal { ballots: BTreeMap::new(), ..proposal.clone() };
                    let overridden = proposal
                        .ballots
                        .keys()
                        .any(|other| other != account && world.weight(&alone, *other) > world.weight(proposal, *other));
                    if *weight > world.own_weight(proposal, *account) {
                        self.count("ballot with delegated weight");
                    }
                    if overridden {
                        self.count("ballot that overrides a delegate");
                    }
                }
                _ => {}
            }
        }
    }

    /// Counts how everything ended.
    pub fn count_ends(&mut self, world: &World) {
        world.proposals.values().for_each(|proposal| self.count_proposal(proposal));
        for contribution in world.contributions.values().filter(|one| one.accepted && one.countersigned.len() > 1) {
            self.count(format!("contribution countersigned by {}", contribution.countersigned.len()));
            self.count("contribution countersigned by several");
        }
        for dispute in world.disputes.values() {
            if matches!(dispute.target, DisputeTarget::Appeal(_)) && dispute.status == DisputeStatus::Upheld {
                self.count("appeal upheld");
            }
            self.count(match dispute.status {
                DisputeStatus::Open => "dispute open",
                DisputeStatus::Ruled(_) => "dispute ruled",
                DisputeStatus::Appealed(_) => "dispute appealed",
                DisputeStatus::Withdrawn => "dispute withdrawn",
                DisputeStatus::Moot => "dispute moot",
                DisputeStatus::Outbid => "dispute outbid",
                DisputeStatus::Upheld => "dispute upheld",
                DisputeStatus::Lifted => "dispute lifted",
                DisputeStatus::Lapsed => "dispute lapsed",
            });
        }
        for licensed in world.models.values().flat_map(|model| model.licensees.values()) {
            if let Some((_, Some(LicenceEnd::GivenUp))) = &licensed.agreed {
                self.count("licence given up");
            }
        }
        for round in world.models.values().flat_map(|model| &model.rounds) {
            if round.part == Part::Rest {
                self.count("round that waited for disputes");
            }
            match round.status {
                RoundStatus::Failed => self.count("round failed"),
                RoundStatus::Closed(minted) if minted < round.plan.budget.get() => {
                    self.count("round closed");
                    if round.groups.values().any(|group| round.groups.values().filter(|one| *one == group).count() > 1)
                    {
                        self.count("round closed under a shared cap");
                    }
                    self.count("round closed under its cap");
                }
                _ => self.count("round closed"),
            }
        }
    }

    fn count_proposal(&mut self, proposal: &Proposal) {
        match &proposal.status {
            Status::Executed => {
                self.count("proposal executed");
                proposal.question.action_names().iter().for_each(|name| self.count(format!("done {name}")));
            }
            Status::ExecutionFailed(code) => {
                self.count("proposal execution failed");
                let actions = proposal.question.action_names();
                self.count(format!("failed {}: {code}", actions.join(" + ")));
            }
            Status::Rejected(reason) => self.count(format!("proposal rejected: {reason}")),
            Status::Expired(reason) => self.count(format!("proposal expired: {reason}")),
            Status::Withdrawn => self.count("proposal withdrawn"),
            Status::Cancelled => self.count("proposal cancelled"),
            Status::Open | Status::Queued { .. } => self.count("proposal not over"),
        }
        if proposal.latest_close > proposal.opened_at + proposal.rule.voting_period_ms {
            self.count("close extended");
        }
        self.count(match proposal.rule.electorate {
            Electorate::Shares => "electorate shares",
            Electorate::Members => "electorate members",
            Electorate::SquareRoot => "electorate square root",
        });
    }

    /// Whether something happened.
    pub fn has(&self, what: &str) -> bool {
        self.0.contains_key(what)
    }

    /// That all of this happened.
    ///
    /// # Panics
    /// With the first that did not.
    pub fn require_all(&self, what: &[&str]) {
        what.iter().for_each(|what| self.require(what));
    }

    /// That something happened.
    ///
    /// # Panics
    /// When it did not.
    pub fn require(&self, what: &str) {
        assert!(self.has(what), "no history had: {what}\n{self}");
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>8} {what}"))
    }
}
