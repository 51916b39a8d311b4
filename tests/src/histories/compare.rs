//! Whether the ledger says what the reference says, of everything.

use super::History;
use crate::{
    ledger::View,
    reference::{self, Granted, Wanted, World},
};
use allod_protocol::{
    ground::{
        ids::{AccountId, BasisPoints, Height, ModelId, ProposalId, Timestamp, Units},
        state::{Direction, Overlay, StateRead, page, read_as_of},
    },
    rules::{
        access::{self, ArtifactOrigin},
        account::Account,
        contribution::Contribution,
        control::{self, AcceptedControl, Control},
        delegation::Delegation,
        dispute::{Challenger, Dispute, DisputeStatus, DisputeTarget, Frozen, sitting},
        dormancy::Silence,
        emergency::{StopsRunning, SuspendedBy, VersionStop},
        incident::Incident,
        licence::{LicenceChange, LicenceGrant, LicenceRequest, LicenceRequestOf, Licensee},
        model::{Model, Version, VersionStatus},
        network::Network,
        office::{Ahead, Office, Tenure, TenureStatus},
        policy::{Tally, Verdict},
        proposal::{BallotPart, Choice, Proposal, ProposalStatus, Scope},
        recovery::{GuardianVote, Recovery},
        round::{Round, RoundStatus},
        share::{Register, Share, ShareAt, TotalAt, Weights, free_units},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// The ledger and the history that it is held against.
struct Comparison<'a, S> {
    history: &'a History,
    world: &'a World,
    ledger: View<'a, S>,
}

impl History {
    fn beside<'a, S>(&'a self, ledger: View<'a, S>) -> Comparison<'a, S> {
        Comparison { history: self, world: &self.world, ledger }
    }

    /// Compares everything but the proposals that were over before.
    ///
    /// # Panics
    /// When the reference says otherwise.
    pub fn compare<S: StateRead>(&self, before: View<'_, S>, after: View<'_, S>) {
        let ours = self.beside(after);
        ours.compare_accounts();
        ours.compare_offices();
        self.models.iter().for_each(|id| ours.compare_model(*id));
        let was_over = |id: &ProposalId| before.read::<Proposal>(id).is_some_and(|found| found.status.is_final());
        self.proposals.iter().filter(|id| !was_over(id)).for_each(|id| ours.compare_proposal(*id));
        ours.compare_disputes();
        ours.compare_incidents();
    }

    /// Compares what is over, and what the ledger says of every height.
    pub(super) fn compare_ends<S: StateRead>(&self, ledger: View<'_, S>) {
        let ours = self.beside(ledger);
        self.proposals.iter().for_each(|id| ours.compare_proposal(*id));
        ours.compare_contributions();
        ours.compare_origins();
        for height in (1..=ledger.tip.height.get()).map(Height::new) {
            ours.compare_past(height);
        }
    }
}

impl<S: StateRead> Comparison<'_, S> {
    /// Who held how much, and what all counted with, when a height was over.
    fn compare_past(&self, height: Height) {
        let (state, then) = (self.ledger.state, self.world.at(height.get()));
        for model in &self.history.models {
            let mut expected = Weights::ZERO;
            for account in &self.history.accounts {
                let key = (*model, *account, height);
                let found = read_as_of::<ShareAt>(state, &(*model, *account), &key).expect("state");
                let units = then.held(*model, *account);
                assert_eq!(found.map_or(0, |at| at.0.get()), units, "as of {height}");
                expected = expected.plus(Weights::of(Units::new(units)));
            }
            let found = read_as_of::<TotalAt>(state, model, &(*model, height)).expect("state");
            assert_eq!(found.map_or(Weights::ZERO, |at| at.0), expected, "the total as of {height}");
        }
    }

    fn compare_accounts(&self) {
        for (id, expected) in &self.world.accounts {
            let found: Account = self.ledger.read(id).expect("account");
            assert_eq!(found.keys, expected.keys, "the keys of {}", found.handle);
            self.compare_control(*id);
            self.compare_recovery(&found, expected);
            assert_eq!(found.quota, expected.quota, "the quota of {}", found.handle);
            assert_eq!(found.member_since.map(Height::get), expected.member_since);
            assert_eq!(found.open_calls as usize, self.world.open_calls(*id), "open calls of {}", found.handle);
            for scope in self.history.models.iter().map(|model| Scope::Model(*model)).chain([Scope::Network]) {
                let found = self.ledger.read::<Silence>(&(scope, *id));
                let found = found.map(|found| reference::Silence {
                    by: found.by,
                    sleeps_at: found.sleeps_at.get(),
                    dormant: found.is_dormant,
                });
                assert_eq!(found.as_ref(), self.world.silences.get(&(scope, *id)), "silence");
            }
            assert_eq!(found.suspended.is_some(), expected.suspended);
            let running = self.world.proposals.values().filter(|p| p.proposer == *id && !p.status.is_final());
            assert_eq!(found.open_proposals as usize, running.count(), "open proposals of {}", found.handle);
            assert_eq!(found.open_disputes as usize, self.world.open_disputes(*id), "open disputes");
        }
        let network: Network = self.ledger.read(&()).expect("network");
        assert_eq!(
            network.members as usize,
            self.world.accounts.values().filter(|account| account.member_since.is_some()).count()
        );
        let running = self.world.proposals.values().filter(|proposal| !proposal.status.is_final());
        assert_eq!(network.open_proposals as usize, running.count());
    }

    fn compare_recovery(&self, found: &Account, expected: &reference::Account) {
        assert_eq!(found.recovery, expected.guardians, "the guardians of {}", found.handle);
        let unsettled = found.unsettled.clone().map(|waits| reference::Unsettled {
            keys: waits.keys,
            change: waits.change.map(|change| change.policy),
            clock: waits.clock,
        });
        assert_eq!(unsettled, expected.unsettled, "what is not settled of {}", found.handle);
        let recovery = self.ledger.read::<Recovery>(&found.id);
        let recovery =
            recovery.map(|found| reference::Recovery { keys: found.keys, stage: found.stage, clock: found.clock });
        assert_eq!(recovery.as_ref(), self.world.recoveries.get(&found.id), "the recovery of {}", found.handle);
        for guardian in &self.history.accounts {
            let key = (found.id, *guardian);
            let said = self.ledger.read::<GuardianVote>(&key).map(|vote| vote.0);
            assert_eq!(said.as_ref(), self.world.guardians_said.get(&key), "what {guardian} says of {}", found.handle);
        }
    }

    fn compare_control(&self, account: AccountId) {
        let found = self.ledger.read::<Control>(&account);
        let found = found.map(|found| reference::Control {
            keys: found.epoch.keys,
            since: found.epoch.since.get(),
            anchor: found.anchor,
            before: found.unsettled.map(|(epoch, anchor)| {
                Box::new(reference::Control { keys: epoch.keys, since: epoch.since.get(), anchor, before: None })
            }),
        });
        assert_eq!(found.as_ref(), self.world.controls.get(&account), "who controls {account}");
        for model in &self.history.models {
            let accepted = self.ledger.read::<AcceptedControl>(&(*model, account)).map(|accepted| accepted.keys);
            assert_eq!(accepted.as_ref(), self.world.accepted_controls.get(&(*model, account)), "accepted keys");
            let record: Model = self.ledger.read(model).expect("model");
            let unaccepted = control::unaccepted(self.ledger.state, &record, account).expect("state");
            assert_eq!(unaccepted.is_some(), self.world.is_unaccepted(*model, account), "control of {account}");
        }
    }

    fn compare_model(&self, id: ModelId) {
        let expected = &self.world.models[&id];
        let found: Model = self.ledger.read(&id).expect("model");
        assert_eq!(found.stewards, expected.stewards);
        assert_eq!(found.policy, expected.policy);
        assert_eq!(found.licence, expected.licence);
        for (account, licence) in &expected.licensees {
            let kept = self.ledger.read::<Licensee>(&(id, *account)).expect("a licence that was granted");
            assert_eq!(kept.licence.map(|it| (granted(it.grant), it.ended)), licence.agreed);
            assert_eq!(kept.offer.map(granted), licence.offer);
            assert_eq!(kept.changes, licence.steps);
            let last: LicenceChange = self.ledger.read(&(id, *account, kept.changes - 1)).expect("its last step");
            assert!(last.height <= self.ledger.tip.height);
        }
        for account in &self.history.accounts {
            let asks = self.ledger.read::<LicenceRequest>(&(*account, id));
            let listed = self.ledger.read::<LicenceRequestOf>(&(id, *account)).is_some();
            let asks = asks.map(|request| Wanted { terms: request.terms, until: request.expires.get() });
            assert_eq!((asks.as_ref(), listed), (expected.asked.get(account), asks.is_some()));
        }
        assert_eq!(found.distribution, expected.distribution);
        for account in &self.history.accounts {
            let reads = access::reads(self.ledger.state, &found, *account, self.ledger.tip.time).expect("state");
            assert_eq!(reads, self.world.reads(id, *account), "whether {account} reads the artifacts of {id}");
        }
        assert_eq!(found.released, expected.released, "the version released last");
        assert_eq!(found.retired.is_some(), expected.retired);
        self.compare_register(id, expected);
        self.compare_versions(id, expected);
        for (number, expected) in (0..).zip(&expected.stops) {
            let found: VersionStop = self.ledger.read(&(id, number)).expect("stop");
            assert_eq!((found.ended.is_none(), found.until.get()), (expected.runs, expected.until), "{found:?}");
        }
        for account in &self.history.accounts {
            let runs = expected.stops.iter().filter(|stop| stop.runs && stop.account == *account).count();
            let found = self.ledger.read::<StopsRunning>(&(id, *account)).map_or(0, |running| running.0);
            assert_eq!(found as usize, runs, "stops that run of {account}");
        }
        for (number, expected) in (0..).zip(&expected.rounds) {
            let found: Round = self.ledger.read(&(id, number)).expect("round");
            let status = match found.status {
                RoundStatus::Open => reference::RoundStatus::Open,
                RoundStatus::Gathering { .. } => reference::RoundStatus::Closing(5),
                RoundStatus::Dividing { .. } => reference::RoundStatus::Closing(4),
                RoundStatus::Capping { .. } => reference::RoundStatus::Closing(3),
                RoundStatus::Quotas { .. } => reference::RoundStatus::Closing(2),
                RoundStatus::Minting { .. } => reference::RoundStatus::Closing(1),
                RoundStatus::Waiting { .. } => reference::RoundStatus::Waiting,
                RoundStatus::Closed { minted, .. } => reference::RoundStatus::Closed(minted.get()),
                RoundStatus::Failed { .. } => reference::RoundStatus::Failed,
            };
            assert_eq!(status, expected.status, "round {number}");
            assert_eq!(found.closes.get(), expected.closes);
            assert_eq!(found.minted.get(), expected.got.values().sum::<u64>(), "what round {number} minted");
        }
    }

    /// What everybody answered to everything, and whether who holds an office is named for it.
    fn compare_offices(&self) {
        for account in &self.history.accounts {
            let (tenures, _) =
                page::<Tenure>(self.ledger.state, account, None, Direction::Ascending, 10_000).expect("page");
            let found: BTreeMap<Office, reference::Answer> =
                tenures.iter().map(|tenure| (tenure.office.clone(), answer(tenure.status))).collect();
            let expected = self.world.offices.iter().filter(|((_, other), _)| other == account);
            let expected: BTreeMap<Office, reference::Answer> =
                expected.map(|((office, _), (answer, _))| (office.clone(), *answer)).collect();
            assert_eq!(found, expected, "the offices of {account}");
            for (office, answer) in &found {
                let holds = *answer == reference::Answer::Accepted;
                assert_eq!(holds, self.world.holds(office, *account), "named and accepted: {office:?}");
            }
            let (ahead, _) =
                page::<Ahead>(self.ledger.state, account, None, Direction::Ascending, 10_000).expect("page");
            let found: BTreeSet<Office> = ahead.into_iter().map(|ahead| ahead.office).collect();
            let expected = self.world.ahead.iter().filter(|(_, other)| other == account);
            assert_eq!(found, expected.map(|(office, _)| office.clone()).collect(), "accepted ahead by {account}");
        }
    }

    fn compare_register(&self, id: ModelId, expected: &reference::Model) {
        let (lines, _) = page::<Share>(self.ledger.state, &id, None, Direction::Ascending, 1_000).expect("page");
        let lines: BTreeMap<AccountId, u64> = lines.iter().map(|line| (line.account, line.units.get())).collect();
        assert_eq!(lines, expected.register, "the register");
        let sums: Register = self.ledger.read(&id).expect("register");
        assert_eq!(sums.total_units.get(), self.world.total(id), "the total");
        assert_eq!(sums.holders as usize, expected.register.len());
        assert_eq!(sums.roots, expected.register.values().map(|units| units.isqrt()).sum::<u64>(), "the roots");
        assert_eq!(sums.reserved.get(), self.world.reserved(id), "what rounds may mint");
        assert_eq!(sums.delegations as usize, expected.delegations.len());
        let overlay = Overlay::new(self.ledger.state);
        for account in &self.history.accounts {
            let free = free_units(&overlay, id, *account, self.ledger.tip.time);
            assert_eq!(free.get(), self.world.free(id, *account), "units free to give");
            let found = self.ledger.read::<Challenger>(&(id, *account)).unwrap_or_default();
            let losses = self.world.losses.iter().filter(|loss| loss.model == id && loss.challenger == *account);
            assert_eq!(found.losses as usize, losses.count(), "challenges that {account} lost");
            let bound = found.bound(self.ledger.tip.time).get();
            assert_eq!(bound, self.world.staked(id, *account), "what {account} has at stake");
            let found = self.ledger.read::<Delegation>(&(id, *account));
            let found = found.map(|found| (found.to, found.expires.map(Timestamp::get)));
            let expected = expected.delegations.get(account).map(|expected| (expected.to, expected.expires));
            assert_eq!(found, expected, "delegation");
            self.compare_frozen(DisputeTarget::Line { model: id, account: *account });
        }
    }

    fn compare_versions(&self, id: ModelId, expected: &reference::Model) {
        let (versions, _) = page::<Version>(self.ledger.state, &id, None, Direction::Ascending, 1_000).expect("page");
        assert_eq!(versions.len(), expected.versions.len());
        for found in versions {
            let expected = &expected.versions[&found.label];
            let status = match found.status {
                VersionStatus::Published => reference::VersionStatus::Published,
                VersionStatus::Released { .. } => reference::VersionStatus::Released,
                VersionStatus::Deprecated { .. } => reference::VersionStatus::Deprecated,
                VersionStatus::Withdrawn { .. } => reference::VersionStatus::Withdrawn,
            };
            assert_eq!(status, expected.status, "version {}", found.label);
            assert_eq!(found.parents, expected.parents);
            let suspended = found.suspended.as_ref().map(|suspension| match suspension.by {
                SuspendedBy::Stop { number, .. } => reference::Suspended::Stop(number as usize),
                SuspendedBy::Decision(_) => reference::Suspended::Decision,
            });
            assert_eq!(suspended, expected.suspended, "version {}", found.label);
            self.compare_frozen(DisputeTarget::Version { model: id, label: found.label });
        }
    }

    fn compare_frozen(&self, target: DisputeTarget) {
        assert_eq!(self.ledger.read::<Frozen>(&target).is_some(), self.world.is_frozen(&target), "frozen: {target:?}");
    }

    fn compare_proposal(&self, id: ProposalId) {
        let expected = &self.world.proposals[&id];
        let found: Proposal = self.ledger.read(&id).expect("proposal");
        assert_eq!(status(&found.status), expected.status, "{found:?}");
        assert_eq!(
            (found.closes.get(), found.latest_close.get(), found.turned_at.get()),
            (expected.closes, expected.latest_close, expected.turned_at),
            "the close of {found:?}"
        );
        let tally: Tally = self.ledger.read(&id).expect("tally");
        let Tally { yes, no, abstain, veto, delegated, electorate, whole, asleep, ballots, opposed } = tally;
        if expected.status == reference::Status::Open && expected.closes < expected.latest_close {
            self.nobody_can_change(expected);
        }
        let tally = reference::Tally { yes, no, abstain, veto, delegated, electorate, whole, asleep, ballots, opposed };
        assert_eq!(tally, self.world.tally(expected), "the tally of {found:?}");
    }

    /// Where ballots stop early, the outcome is the same if everybody who has not answered does, and in whatever way.
    fn nobody_can_change(&self, proposal: &reference::Proposal) {
        let passes = |proposal: &reference::Proposal| self.world.tally(proposal).judge(&proposal.rule).is_ok();
        for choice in [Choice::Yes, Choice::No, Choice::Abstain, Choice::Veto] {
            let mut later = proposal.clone();
            for account in &self.history.accounts {
                let whole = vec![BallotPart { choice, part: BasisPoints::WHOLE }];
                later.ballots.entry(*account).or_insert(whole);
            }
            assert_eq!(
                passes(&later),
                passes(proposal),
                "{choice:?} of the others changes what is settled: {proposal:?}"
            );
        }
    }

    fn compare_disputes(&self) {
        for (id, expected) in &self.world.disputes {
            let found: Dispute = self.ledger.read(id).expect("dispute");
            let status = match found.status {
                DisputeStatus::Open => reference::DisputeStatus::Open,
                DisputeStatus::Ruled { upholds, .. } => reference::DisputeStatus::Ruled(upholds),
                DisputeStatus::Appealed { upholds, .. } => reference::DisputeStatus::Appealed(upholds),
                DisputeStatus::Withdrawn { .. } => reference::DisputeStatus::Withdrawn,
                DisputeStatus::Moot { .. } => reference::DisputeStatus::Moot,
                DisputeStatus::Outbid { .. } => reference::DisputeStatus::Outbid,
                DisputeStatus::Upheld { .. } => reference::DisputeStatus::Upheld,
                DisputeStatus::Lifted { .. } => reference::DisputeStatus::Lifted,
                DisputeStatus::Lapsed { .. } => reference::DisputeStatus::Lapsed,
            };
            assert_eq!(status, expected.status, "{found:?}");
            assert_eq!((found.bond.get(), found.resolutions as usize), (expected.bond, expected.resolutions));
            let panel = if self.world.rules(expected) { self.world.panel(expected) } else { Vec::new() };
            assert_eq!(sitting(self.ledger.state, &found).expect("state"), panel, "who sits on {found:?}");
            self.compare_frozen(expected.target.clone());
        }
    }

    fn compare_incidents(&self) {
        for (id, expected) in &self.world.incidents {
            let found: Incident = self.ledger.read(id).expect("incident");
            assert_eq!((found.reporter, found.responsible), (expected.reporter, expected.responsible), "{found:?}");
            assert_eq!((found.status, found.updates), (expected.status, expected.steps), "{found:?}");
            let named: BTreeMap<AccountId, (u64, u32)> =
                found.named.iter().map(|one| (one.account, (one.until.get(), one.statements))).collect();
            assert_eq!((named, found.statements), (expected.named.clone(), expected.said), "{found:?}");
        }
    }

    fn compare_origins(&self) {
        for (artifact, expected) in &self.world.origins {
            let found: ArtifactOrigin = self.ledger.read(artifact).expect("who governs it");
            assert_eq!((found.model, found.since.get()), *expected, "who governs {artifact}");
        }
    }

    fn compare_contributions(&self) {
        for (id, expected) in &self.world.contributions {
            let found: Contribution = self.ledger.read(id).expect("contribution");
            assert_eq!((found.amount, found.accepted.is_some()), (expected.amount, expected.accepted), "{found:?}");
            let countersigned: Vec<AccountId> = found.countersigned.iter().map(|one| one.steward).collect();
            let declined: Vec<AccountId> = found.declined.iter().map(|one| one.steward).collect();
            assert_eq!((&countersigned, &declined), (&expected.countersigned, &expected.declined), "{found:?}");
            self.compare_frozen(DisputeTarget::Contribution(*id));
        }
    }
}

fn answer(found: TenureStatus) -> reference::Answer {
    match found {
        TenureStatus::Offered => reference::Answer::Offered,
        TenureStatus::Accepted => reference::Answer::Accepted,
        TenureStatus::Resigned => reference::Answer::Resigned,
        TenureStatus::Dismissed => reference::Answer::Dismissed,
    }
}

/// A status in the reference's words.
fn status(found: &ProposalStatus) -> reference::Status {
    match found {
        ProposalStatus::Open => reference::Status::Open,
        ProposalStatus::Queued { ready, expires, .. } => {
            reference::Status::Queued { ready: ready.get(), expires: expires.get() }
        }
        ProposalStatus::Executed { .. } => reference::Status::Executed,
        ProposalStatus::ExecutionFailed { reason, .. } => reference::Status::ExecutionFailed(reason.code()),
        ProposalStatus::Rejected { verdict, .. } => reference::Status::Rejected(match verdict {
            Verdict::NoQuorum => "no_quorum",
            Verdict::NotEnoughYes => "not_enough_yes",
            Verdict::NoYesQuorum => "no_yes_quorum",
            Verdict::Blocked => "blocked",
            Verdict::Vetoed => "vetoed",
            Verdict::Objected => "objected",
            Verdict::Passed => "passed",
        }),
        ProposalStatus::Withdrawn { .. } => reference::Status::Withdrawn,
        ProposalStatus::Cancelled { .. } => reference::Status::Cancelled,
        ProposalStatus::Expired { reason, .. } => reference::Status::Expired(reason.code()),
    }
}

/// What was granted, as the reference puts it.
fn granted(grant: LicenceGrant) -> Granted {
    Granted { proposal: grant.proposal, terms: grant.terms, until: grant.expires.map(|until| until.get()) }
}
