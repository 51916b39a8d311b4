//! How often what happened in random histories.

use allod_protocol::{
    ledger::execute::Executed,
    rules::{
        action::Action, dispute::DisputeTarget, emergency::StopEnd, event::Event, licence::LicenceEnd,
        policy::Electorate,
    },
};
use allod_tests::reference::{DisputeStatus, Part, Proposal, RoundStatus, Status, World};
use std::{collections::BTreeMap, fmt};

/// Counts by what they count, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage(BTreeMap<String, u64>);

/// Each has to apply in some history.
const ACTIONS: [&str; 37] = [
    "set_recovery",
    "recover_account",
    "cancel_recovery",
    "rotate_keys",
    "report_incident",
    "update_incident",
    "answer_incident",
    "create_account",
    "create_model",
    "publish_version",
    "commit_artifact",
    "record_contribution",
    "accept_contribution",
    "decline_contribution",
    "transfer_shares",
    "burn_shares",
    "open_proposal",
    "cast_ballot",
    "withdraw_proposal",
    "execute_proposal",
    "delegate",
    "attest",
    "reveal_contribution",
    "open_dispute",
    "answer_dispute",
    "call_on",
    "present",
    "leave_network",
    "withdraw_dispute",
    "accept_office",
    "resign_office",
    "set_intake",
    "accept_transfer",
    "give_consent",
    "ask_licence",
    "answer_licence",
    "stop_version",
];

/// How things end, and what happens to ballots on the way, under policies that use every kind of rule.
const ENDS: [&str; 48] = [
    "account recovered",
    "recovery contested",
    "keys settled",
    "control changed",
    "done accept_control",
    "refused cast_ballot: control_not_accepted",
    "refused delegate: control_not_accepted",
    "refused signature: not_authorised",
    "applied cancel_proposal",
    "applied rule_dispute",
    "applied appeal_dispute",
    "proposal executed",
    "proposal execution failed",
    "proposal rejected: no_quorum",
    "proposal rejected: not_enough_yes",
    "proposal rejected: no_yes_quorum",
    "proposal rejected: blocked",
    "proposal expired: no_consent",
    "fell dormant",
    "ballot that wakes",
    "proposal rejected: vetoed",
    "proposal withdrawn",
    "proposal cancelled",
    "proposal expired: not_attested",
    "queued",
    "close moved",
    "close extended",
    "electorate members",
    "electorate shares",
    "electorate square root",
    "ballot split",
    "ballot with delegated weight",
    "ballot that overrides a delegate",
    "delegation expired",
    "dispute upheld",
    "dispute lifted",
    "dispute lapsed",
    "dispute withdrawn",
    "round closed",
    "round failed",
    "stop lapsed",
    "round over with amounts withheld",
    "contribution countersigned by several",
    "appeal upheld",
    "licence agreed to beforehand",
    "licence accepted",
    "licence given up",
    "licence request lapsed",
];

/// What decisions do, and what else is rare.
const DECISIONS: [&str; 46] = [
    "artifact taken over",
    "proposal rejected: objected",
    "issue closed",
    "round that waited for disputes",
    "applied take_up",
    "recovery lapsed",
    "recovery stopped",
    "proposal expired: control_not_accepted",
    "refused give_consent: control_not_accepted",
    "refused take_up: control_not_accepted",
    "refused transfer_shares: control_not_accepted",
    "refused signature: foreign_key",
    "proposal expired: not_bought",
    "proposal expired: not_asked",
    "proposal expired: frozen",
    "proposal expired: failed_attestation",
    "round closed under its cap",
    "round closed under a shared cap",
    "recording ended by retirement",
    "done release_version",
    "done deprecate_version",
    "done withdraw_version",
    "done claim_lineage",
    "done set_licence",
    "done set_distribution",
    "done grant_licence",
    "licence offered beside one in force",
    "done revoke_licence",
    "done mint_shares",
    "done burn_shares",
    "done approve_transfer",
    "done set_stewards",
    "done set_policy",
    "done retire",
    "done open_round",
    "done resolve_dispute",
    "done statement",
    "done admit_member",
    "done grant_quota",
    "done suspend_account",
    "done reinstate_account",
    "done remove_member",
    "done expropriate",
    "done suspend_version",
    "done lift_suspension",
    "proposal expired: version_suspended",
];

impl Coverage {
    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_insert(0) += 1;
    }

    /// Adds what happened in another history.
    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_insert(0) += count;
        }
    }

    /// Counts whether an action applied, or by which rule it did not.
    pub(crate) fn count_outcome(&mut self, action: &Action, outcome: Result<(), &'static str>) {
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
    pub(crate) fn count_events(&mut self, executed: &Executed, world: &World) {
        let done = executed.results.iter().flat_map(|result| &result.events);
        for event in executed.deadline_events.iter().chain(done) {
            let Event::LicenceGranted { model, account, accepted, .. } = event else { continue };
            let licensed = &world.models[model].licensees[account];
            if *accepted {
                self.count("licence agreed to beforehand");
            } else if licensed.in_force(world.time).is_some() {
                self.count("licence offered beside one in force");
            }
        }
        for event in &executed.deadline_events {
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
        for event in executed.results.iter().flat_map(|result| &result.events) {
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
    pub(crate) fn count_ends(&mut self, world: &World) {
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

    /// That every action applied.
    pub(crate) fn require_every_action(&self) {
        for action in ACTIONS {
            self.require(&format!("applied {action}"));
        }
    }

    /// That things ended in every way.
    pub(crate) fn require_every_end(&self) {
        ENDS.into_iter().for_each(|what| self.require(what));
    }

    /// That everything was decided that can be.
    pub(crate) fn require_every_decision(&self) {
        DECISIONS.into_iter().for_each(|what| self.require(what));
    }

    /// That something happened.
    pub(crate) fn require(&self, what: &str) {
        assert!(self.0.contains_key(what), "no history had: {what}\n{self}");
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>8} {what}"))
    }
}
