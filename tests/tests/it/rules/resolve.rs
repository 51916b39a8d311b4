//! From a request to the actions it means, as the world then stands.

use super::{
    history::{GUESTS, History, keys},
    policies::policy,
    request::{Amount, MemberStep, Pick, Request, Step, Target, VestingTerms},
};
use allod_protocol::{
    ground::ids::{
        AccountId, ArtifactId, BasisPoints, ContentHash, ContributionId, DisputeId, Handle, IncidentId, ModelId, Name,
        ProposalId, Units, VersionLabel,
    },
    rules::{
        access::{Distribution, Readers, SetDistribution},
        account::{CreateAccount, RotateKeys},
        action::Action,
        artifact::{Artifact, ArtifactKind},
        attestation::{Attest, Finding},
        commitment::{CommitArtifact, commitment},
        contribution::{
            AcceptContribution, ContributionKind, DeclineContribution, RecordContribution, RevealContribution, seal,
        },
        control::AcceptControl,
        delegation::Delegate,
        dispute::{
            AnswerDispute, AppealDispute, DisputeTarget, OpenDispute, ResolveDispute, RuleDispute, WithdrawDispute,
        },
        dormancy::{CallOn, Present},
        emergency::{LiftSuspension, StopVersion, SuspendVersion},
        incident::{AnswerIncident, IncidentStatus, ReportIncident, UpdateIncident},
        intake::{SetIntake, UnitsOf},
        licence::{AnswerLicence, AskLicence, GrantLicence, LicenceTerms, RevokeLicence, SetLicence, WantedLicence},
        model::{
            ClaimLineage, CreateModel, DeprecateVersion, FoundingLine, Licence, ParentGrant, PublishVersion,
            ReleaseVersion, Retire, SetPolicy, SetStewards, VersionRef, WithdrawVersion,
        },
        network::{AdmitMember, GrantQuota, LeaveNetwork, ReinstateAccount, RemoveMember, SuspendAccount},
        office::{AcceptOffice, Office, ResignOffice},
        policy::Proposers,
        proposal::{
            BallotPart, CancelProposal, CastBallot, Choice, ExecuteProposal, ModelAction, NetworkAction, OpenProposal,
            Question, Scope, WithdrawProposal,
        },
        recovery::{CancelRecovery, RecoverAccount, RecoveryPolicy, SetRecovery, Stage},
        round::{Cap, KindWeight, OpenRound, RoundPlan},
        sale::{AcceptTransfer, ApproveTransfer},
        share::{BurnByDecision, BurnShares, Expropriate, GiveConsent, MintShares, TakeUp, TransferShares, Vesting},
    },
};
use allod_tests::reference::{Answer, DisputeStatus, Licensed, Model, Proposal, Status, Suspended, VersionStatus};

fn wrap<T: Clone>(list: &[T], place: u8) -> Option<T> {
    list.get(usize::from(place).checked_rem(list.len())?).cloned()
}

/// One of a list: of those that fit, if such a one is wanted, or of all. Where none fits, mostly none.
fn choose<T: Clone>(all: &[T], pick: Pick, fits: impl Fn(&T) -> bool) -> Option<T> {
    let fitting: Vec<T> = all.iter().filter(|one| pick.fits && fits(one)).cloned().collect();
    let tries_anyway = !pick.fits || pick.place.is_multiple_of(8);
    wrap(if fitting.is_empty() && tries_anyway { all } else { &fitting }, pick.place)
}

fn vesting(terms: VestingTerms) -> Option<Vesting> {
    terms.map(|(cliff_ms, more_ms)| Vesting {
        cliff_ms: cliff_ms.into(),
        duration_ms: u64::from(cliff_ms) + u64::from(more_ms),
    })
}

impl History {
    /// The actions that a request means, each with the place of who asks.
    pub(crate) fn actions(&mut self, request: &Request) -> Vec<(usize, Action)> {
        match request {
            Request::Rally { proposal, answers, against } => {
                return self.rally(*proposal, *answers, *against).unwrap_or_default();
            }
            Request::Clear { proposal } => return self.clear(*proposal).unwrap_or_default(),
            Request::Gather { model, givers } => return self.gather(*model, *givers).unwrap_or_default(),
            Request::Review { skip } => return self.review(*skip),
            Request::Agree { account, keys } => return self.agree(*account, *keys).unwrap_or_default(),
            Request::AcceptOffers { answers } => return self.accept_offers(*answers),
            Request::Settle { dispute, upholds } => return self.settle(*dispute, *upholds).unwrap_or_default(),
            _ => {}
        }
        let asked = self
            .of_holder(request)
            .or_else(|| self.of_licensee(request))
            .or_else(|| self.of_taker(request))
            .or_else(|| self.of_account(request))
            .or_else(|| self.of_guarded(request))
            .or_else(|| self.of_officer(request))
            .or_else(|| self.of_incident(request))
            .or_else(|| self.of_proposer(request))
            .or_else(|| self.of_giver(request))
            .or_else(|| self.of_disputant(request));
        asked.into_iter().map(|(account, action)| (self.place(account), action)).collect()
    }

    pub(crate) fn place(&self, account: AccountId) -> usize {
        self.accounts.iter().position(|known| *known == account).expect("an account of this history")
    }

    fn model(&self, place: u8) -> (ModelId, &Model) {
        let id = wrap(&self.models, place).expect("there are models");
        (id, &self.world.models[&id])
    }

    fn any(&self, place: u8) -> AccountId {
        wrap(&self.accounts, place).expect("there are accounts")
    }

    fn by(&self, pick: Pick, fits: impl Fn(AccountId) -> bool) -> AccountId {
        choose(&self.accounts, pick, |account| fits(*account)).unwrap_or_else(|| self.any(pick.place))
    }

    /// Units for something that needs at least one.
    fn units(&self, amount: Amount, all: u64) -> Units {
        Units::new(match amount {
            Amount::Few(units) => (u64::from(units) * self.scale).max(1),
            Amount::All => all.max(1),
            Amount::Bound => 1 << 62,
        })
    }

    fn of_holder(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Transfer { model, by, to, amount } => {
                let (model, _) = self.model(*model);
                let by = self.by(*by, |account| self.world.free(model, account) > 0);
                let units = match amount {
                    Amount::Few(0) => Units::ZERO,
                    amount => self.units(*amount, self.world.free(model, by)),
                };
                let asked = TransferShares { model, to: self.any(*to), units, reason: String::new() };
                Some((by, Action::TransferShares(asked)))
            }
            Request::Burn { model, by, amount } => {
                let (model, _) = self.model(*model);
                let by = self.by(*by, |account| self.world.free(model, account) > 0);
                let units = self.units(*amount, self.world.free(model, by));
                Some((by, Action::BurnShares(BurnShares { model, units, reason: String::new() })))
            }
            Request::TakeUp { issue, by, amount } => {
                let all = self.models.iter().flat_map(|id| {
                    (0..self.world.models[id].issues.len() as u64).map(|number| (*id, number)).collect::<Vec<_>>()
                });
                let all: Vec<(ModelId, u64)> = all.collect();
                let issue_of = |(id, number): &(ModelId, u64)| &self.world.models[id].issues[*number as usize];
                let (id, number) = choose(&all, *issue, |one| !issue_of(one).is_over)?;
                let offered = issue_of(&(id, number));
                let then = self.world.at(offered.as_of);
                let by = self.by(*by, |account| then.held(id, account) > 0);
                let units = match amount {
                    Amount::Few(part) => Units::new((offered.units / 50).saturating_mul(u64::from(*part)).max(1)),
                    amount => self.units(*amount, offered.units),
                };
                Some((by, Action::TakeUp(TakeUp { model: id, issue: number, units })))
            }
            Request::Consent { proposal, agrees } => {
                let burns = |proposal: &Proposal| {
                    proposal.question.model_actions().iter().find_map(|action| match action {
                        ModelAction::BurnShares(BurnByDecision { from, .. }) => Some(*from),
                        _ => None,
                    })
                };
                let waits = |id: &ProposalId| {
                    let proposal = &self.world.proposals[id];
                    !proposal.status.is_final() && burns(proposal).is_some()
                };
                let id = choose(&self.proposals, *proposal, waits)?;
                let by = burns(&self.world.proposals[&id]).unwrap_or_else(|| self.any(proposal.place));
                Some((by, Action::GiveConsent(GiveConsent { proposal: id, agrees: *agrees })))
            }
            Request::Delegate { model, by, to, lasts_ms } => {
                let (model, _) = self.model(*model);
                let by = self.by(*by, |account| self.world.held(model, account) > 0);
                let to = to.map(|to| self.any(to));
                let expires = lasts_ms.filter(|_| to.is_some()).map(|ms| self.ledger.tip.time.plus_ms(ms.into()));
                Some((by, Action::Delegate(Delegate { model, to, expires })))
            }
            _ => None,
        }
    }

    fn of_licensee(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::AskLicence { model, by, terms } => {
                let (model, _) = self.model(*model);
                let is_asked = |account| self.world.models[&model].asked.contains_key(&account);
                let by = self.by(*by, |account| terms.is_some() || is_asked(account));
                let wanted = terms.map(|(terms, lifetime_ms)| WantedLicence {
                    terms: licence_terms(terms),
                    text: "for the clinic".into(),
                    lifetime_ms: lifetime_ms.into(),
                });
                Some((by, Action::AskLicence(AskLicence { model, wanted })))
            }
            Request::AnswerLicence { model, by, accept } => {
                let time = self.world.time;
                let waits = |licensed: &Licensed| licensed.offer.is_some() || licensed.in_force(time).is_some();
                let answers = |model: &ModelId| self.world.models[model].licensees.values().any(waits);
                let (any, _) = self.model(*model);
                let place = Pick { place: *model, ..*by };
                let model = choose(&self.models, place, answers).unwrap_or(any);
                let licensees = &self.world.models[&model].licensees;
                let by = self.by(*by, |account| licensees.get(&account).is_some_and(waits));
                let licensed = licensees.get(&by);
                let offer = licensed.and_then(|licensed| licensed.offer.as_ref());
                let agreed = licensed.and_then(|licensed| Some(&licensed.agreed.as_ref()?.0));
                let granted =
                    if *accept || place.place.is_multiple_of(2) { offer.or(agreed) } else { agreed.or(offer) };
                let proposal = granted.map_or(ProposalId::from_bytes([0; 32]), |granted| granted.proposal);
                Some((by, Action::AnswerLicence(AnswerLicence { model, proposal, accept: *accept })))
            }
            _ => None,
        }
    }

    fn of_taker(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Intake { model, by, takes } => {
                let of = model.map_or(UnitsOf::Any, |place| UnitsOf::Model(self.model(place).0));
                let says = |account| self.world.intakes.contains_key(&(account, of));
                let by = self.by(*by, |account| says(account) == takes.is_none());
                Some((by, Action::SetIntake(SetIntake { of, takes: *takes })))
            }
            Request::Buy { proposal, by, accept } => {
                let buyers = |proposal: &Proposal| -> Vec<AccountId> {
                    let buyer = |action: &ModelAction| match action {
                        ModelAction::ApproveTransfer(ApproveTransfer { to, .. }) => Some(*to),
                        _ => None,
                    };
                    proposal.question.model_actions().iter().filter_map(buyer).collect()
                };
                let sells = |proposal: &Proposal| !proposal.status.is_final() && !buyers(proposal).is_empty();
                let id = choose(&self.proposals, *proposal, |id| sells(&self.world.proposals[id]))?;
                let by = self.by(*by, |account| buyers(&self.world.proposals[&id]).contains(&account));
                Some((by, Action::AcceptTransfer(AcceptTransfer { proposal: id, accept: *accept })))
            }
            _ => None,
        }
    }

    fn of_account(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Admit { by, handle, quota } => {
                let by = self.by(*by, |account| self.world.accounts[&account].quota > u32::from(*quota));
                let handle = Handle::new(wrap(&GUESTS, *handle)?).expect("a handle");
                let keys = keys(&handle, 0);
                Some((by, Action::CreateAccount(CreateAccount { handle, keys, quota: (*quota).into() })))
            }
            Request::Rotate { by, keys: number } => {
                let by = self.by(*by, |account| !self.world.accounts[&account].suspended);
                let keys = keys(&self.world.accounts[&by].handle, *number);
                Some((by, Action::RotateKeys(RotateKeys { keys })))
            }
            Request::Found { by, name, policy: number, parent, units, vesting: terms } => {
                let by = self.by(*by, |account| !self.world.accounts[&account].suspended);
                let parent = parent.map(|place| self.model(place).0);
                let line = |account: AccountId| FoundingLine {
                    account,
                    units: Units::new(u64::from(*units) + 1),
                    vesting: vesting(*terms),
                };
                let grant = |parent| ParentGrant { parent, units: Units::new(u64::from(*units) * 3 + 1) };
                let asked = CreateModel {
                    name: Name::new(format!("model-{name}")).expect("a name"),
                    description: String::new(),
                    founding: self.accounts.iter().rev().take(3).copied().map(line).collect(),
                    stewards: self.accounts[..2].to_vec(),
                    policy: policy(*number, &self.accounts),
                    licence: None,
                    distribution: Distribution::default(),
                    grants: parent.into_iter().map(grant).collect(),
                };
                Some((by, Action::CreateModel(asked)))
            }
            Request::Publish { model, by, label, artifact, parent, commits } => {
                let (id, model) = self.model(*model);
                let by = self.by(*by, |account| model.register.contains_key(&account));
                let (artifact, committed) = self.known_artifact((id, by), *artifact, *commits);
                let address = ArtifactId::of(&[artifact]);
                let asked = PublishVersion {
                    model: id,
                    label: VersionLabel::new(format!("v{label}")).expect("a label"),
                    artifact: Artifact { address, kind: ArtifactKind::File, size_bytes: 1, files: 1 },
                    parents: parent.and_then(|place| self.version_ref(place)).into_iter().collect(),
                    training_plan: None,
                    datasets: Vec::new(),
                    notes: String::new(),
                    committed,
                };
                Some((by, Action::PublishVersion(asked)))
            }
            Request::Stop { model, version, by, stops } => self.stop(*model, *version, *by, *stops),
            Request::Commit { model, by, artifact } => {
                let (id, model) = self.model(*model);
                let by = self.by(*by, |account| model.register.contains_key(&account));
                let (address, salt) = (ArtifactId::of(&[*artifact]), ContentHash::from_bytes([*artifact; 32]));
                let commitment = commitment(id, by, address, salt);
                Some((by, Action::CommitArtifact(CommitArtifact { model: id, commitment })))
            }
            Request::Attest { model, version, by, finding } => self.attestation(*model, *version, *by, *finding),
            _ => None,
        }
    }

    /// Who is offered an office accepts it, each by a bit.
    pub(crate) fn accept_offers(&self, answers: u32) -> Vec<(usize, Action)> {
        let offered = self.world.offices.iter().filter(|(_, (answer, _))| *answer == Answer::Offered);
        let some = offered.enumerate().filter(|(number, _)| answers >> (number % 32) & 1 == 1);
        let accept = |(_, ((office, account), _)): (usize, (&(Office, AccountId), _))| {
            let asked = AcceptOffice { office: office.clone(), proof: None };
            (self.place(*account), Action::AcceptOffice(asked))
        };
        some.map(accept).collect()
    }

    fn of_officer(&self, request: &Request) -> Option<(AccountId, Action)> {
        let (Request::AcceptOffice { model, by, kind } | Request::ResignOffice { model, by, kind }) = request else {
            return None;
        };
        let (id, model) = self.model(*model);
        let mut offices = vec![Office::Steward(id), Office::Arbiter(id), Office::Guardian(id)];
        offices.extend(model.policy.roles.iter().map(|role| Office::Attester { model: id, role: role.name.clone() }));
        offices.extend(self.accounts.iter().map(|account| Office::KeyGuardian(*account)));
        offices.extend(self.incidents.iter().map(|id| Office::Responsible(*id)));
        let office = wrap(&offices, *kind)?;
        let answer = |account| self.world.answer_to(&office, account);
        if matches!(request, Request::AcceptOffice { .. }) {
            let open = |account| matches!(answer(account), Some(Answer::Offered | Answer::Resigned));
            let by = self.by(*by, open);
            return Some((by, Action::AcceptOffice(AcceptOffice { office, proof: None })));
        }
        let by = self.by(*by, |account| answer(account).is_some_and(|answer| answer != Answer::Resigned));
        Some((by, Action::ResignOffice(ResignOffice { office })))
    }

    fn of_guarded(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Guard { by, guardians, needed, delay_ms } => {
                let guarded = |account| self.world.accounts[&account].guardians.is_some();
                let by = self.by(*by, |account| guarded(account) == guardians.is_none());
                let policy = guardians.map(|(first, count)| {
                    let mut guardians: Vec<AccountId> =
                        (0..count).map(|more| self.any(first.wrapping_add(more))).collect();
                    // Now and then it names itself.
                    guardians.retain(|guardian| *guardian != by || delay_ms % 8 == 0);
                    guardians.sort();
                    guardians.dedup();
                    let count = u32::try_from(guardians.len()).unwrap_or(u32::MAX);
                    let needed = (u32::from(*needed) % count.max(1)) + 1;
                    RecoveryPolicy { guardians, needed, delay_ms: (*delay_ms).into() }
                });
                let policy = policy.filter(|policy| !policy.guardians.is_empty());
                Some((by, Action::SetRecovery(SetRecovery { policy })))
            }
            Request::Recover { account, by, keys } => {
                let account = self.guarded(*account)?;
                let office = Office::KeyGuardian(account);
                let by = self.by(*by, |by| self.world.holds(&office, by));
                Some((by, self.recovery(account, *keys)))
            }
            Request::Object { by } => {
                let is_sought = |account| {
                    let recovery = self.world.recoveries.get(&account);
                    recovery.is_some_and(|recovery| recovery.stage == Stage::Sought)
                };
                Some((self.by(*by, is_sought), Action::CancelRecovery(CancelRecovery {})))
            }
            _ => None,
        }
    }

    /// An account with guardians who accepted.
    fn guarded(&self, pick: Pick) -> Option<AccountId> {
        let holds = |account: &AccountId| {
            let policy = self.world.accounts[account].guardians.iter();
            let mut guardians = policy.flat_map(|policy| &policy.guardians);
            guardians.any(|guardian| self.world.holds(&Office::KeyGuardian(*account), *guardian))
        };
        choose(&self.accounts, pick, holds)
    }

    /// What a guardian says: mostly the keys that the others said, where some are contested.
    fn recovery(&self, account: AccountId, number: u8) -> Action {
        let contested = self.world.recoveries.get(&account).filter(|_| !number.is_multiple_of(8));
        let keys = keys(&self.world.accounts[&account].handle, number);
        let keys = contested.map_or(keys, |recovery| recovery.keys.clone());
        Action::RecoverAccount(RecoverAccount { account, keys })
    }

    /// The guardians of an account say the same.
    fn agree(&self, account: Pick, number: u8) -> Option<Vec<(usize, Action)>> {
        let account = self.guarded(account)?;
        let guardians = self.world.accounts[&account].guardians.iter().flat_map(|policy| &policy.guardians);
        let needed = self.world.accounts[&account].guardians.as_ref().map_or(0, |policy| policy.needed);
        let holds = |guardian: &&AccountId| self.world.holds(&Office::KeyGuardian(account), **guardian);
        let say = |guardian: &AccountId| (self.place(*guardian), self.recovery(account, number));
        Some(guardians.filter(holds).take(needed as usize).map(say).collect())
    }

    fn of_incident(&self, request: &Request) -> Option<(AccountId, Action)> {
        let incident = |pick| {
            let is_open = |id: &IncidentId| !self.world.incidents[id].status.is_closed();
            choose(&self.incidents, pick, is_open).map(|id| (id, &self.world.incidents[&id]))
        };
        let text = || String::from("wrong");
        match request {
            Request::Report { model, version, by } => {
                let (id, model) = self.model(*model);
                let labels: Vec<VersionLabel> = model.versions.keys().cloned().collect();
                let label = choose(&labels, *version, |_| true)?;
                let by = self.by(*by, |account| !self.world.accounts[&account].suspended);
                let asked = ReportIncident { model: id, label, text: text(), evidence: None };
                Some((by, Action::ReportIncident(asked)))
            }
            Request::Carry { incident: pick, by, responsible, status } => {
                let (id, found) = incident(*pick)?;
                let by = self.by(*by, |account| self.world.holds(&Office::Steward(found.model), account));
                let status = match status % 4 {
                    0 => IncidentStatus::Reported,
                    1 => IncidentStatus::Investigating,
                    2 => IncidentStatus::Resolved,
                    _ => IncidentStatus::Dismissed,
                };
                let responsible = responsible.map(|place| self.any(place));
                let asked = UpdateIncident { incident: id, responsible, status, text: text() };
                Some((by, Action::UpdateIncident(asked)))
            }
            Request::Speak { incident: pick, by } => {
                let (id, found) = incident(*pick)?;
                let by = self.by(*by, |account| found.reporter == account || found.named.contains_key(&account));
                let asked = AnswerIncident { incident: id, text: text(), evidence: None };
                Some((by, Action::AnswerIncident(asked)))
            }
            _ => None,
        }
    }

    /// What an account publishes: an artifact that it has committed to, and it tells the salt, or now and then the salt of
    /// nothing; or else one that another model's publisher has committed to, as who takes an address from the wire does.
    fn known_artifact(
        &self,
        (model, by): (ModelId, AccountId),
        artifact: u8,
        commits: bool,
    ) -> (u8, Option<ContentHash>) {
        let salt_of = |artifact: u8| ContentHash::from_bytes([artifact; 32]);
        let is_of = |artifact: u8, (model, by): (ModelId, AccountId)| {
            let hash = commitment(model, by, ArtifactId::of(&[artifact]), salt_of(artifact));
            let made = self.world.commitments.get(&(model, by)).map_or(&[][..], Vec::as_slice);
            made.iter().any(|made| made.hash == hash)
        };
        let own = (0..24).find(|artifact| is_of(*artifact, (model, by)));
        if commits {
            let artifact = own.unwrap_or(artifact);
            return (artifact, (own.is_some() || artifact % 8 == 7).then(|| salt_of(artifact)));
        }
        let others: Vec<_> = self.world.commitments.keys().filter(|(of, _)| *of != model).copied().collect();
        let seen = (0..24).find(|artifact| others.iter().any(|other| is_of(*artifact, *other)));
        (seen.unwrap_or(artifact), None)
    }

    fn attestation(&self, model: u8, version: Pick, by: Pick, finding: Finding) -> Option<(AccountId, Action)> {
        let (_, model) = self.model(model);
        let statement = model.policy.gates.first().map(|gate| gate.statement.clone());
        let role = model.policy.roles.first().map_or(&[][..], |role| &role.accounts);
        let statement = statement.unwrap_or_else(|| Name::new("bias-audit").expect("a name"));
        let versions: Vec<_> = model.versions.values().cloned().collect();
        let version = choose(&versions, version, |version| version.status == VersionStatus::Published)?;
        let said = |account| self.world.attestations.get(&(version.artifact, statement.clone(), account));
        let by = self.by(by, |account| match finding {
            Finding::Withdrawn => said(account).is_some_and(|said| *said != Finding::Withdrawn),
            _ => role.contains(&account),
        });
        let asked = Attest {
            artifact: version.artifact,
            statement: statement.clone(),
            finding,
            evidence: None,
            note: String::new(),
        };
        Some((by, Action::Attest(asked)))
    }

    fn stop(&self, model: u8, version: Pick, by: Pick, stops: bool) -> Option<(AccountId, Action)> {
        let (id, model) = self.model(model);
        let labels: Vec<VersionLabel> = model.versions.keys().cloned().collect();
        let fits = |label: &VersionLabel| {
            let version = &model.versions[label];
            version.suspended.is_some() != stops && version.status != VersionStatus::Withdrawn
        };
        let label = choose(&labels, version, fits)?;
        let stopper = match model.versions[&label].suspended {
            Some(Suspended::Stop(number)) => Some(model.stops[number].account),
            _ => None,
        };
        let may = |account| model.policy.emergency.as_ref().is_some_and(|it| it.accounts.contains(&account));
        let by = self.by(by, |account| if stops { may(account) } else { stopper == Some(account) });
        let reason = "harms".into();
        Some((by, Action::StopVersion(StopVersion { model: id, label, stops, reason })))
    }

    /// A version of any model; a missing one now and then.
    fn version_ref(&self, place: u8) -> Option<VersionRef> {
        let all = self.models.iter().flat_map(|id| {
            let labels = self.world.models[id].versions.keys();
            labels.map(|label| VersionRef { model: *id, label: label.clone() })
        });
        let missing = VersionRef { model: self.models[0], label: VersionLabel::new("missing").expect("a label") };
        wrap(&all.chain([missing]).collect::<Vec<_>>(), place)
    }

    #[allow(clippy::too_many_lines, reason = "a list, a request of each kind")]
    fn of_proposer(&self, request: &Request) -> Option<(AccountId, Action)> {
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
                    let account = &self.world.accounts[&account];
                    account.member_since.is_some() && !account.operates
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

    fn open(&self, by: AccountId, question: Question) -> Option<(AccountId, Action)> {
        if question.action_names().is_empty() {
            return None;
        }
        let (title, text) = ("a question".into(), String::new());
        Some((by, Action::OpenProposal(OpenProposal { question, title, text })))
    }

    /// Everybody who is asked attests what a queued release lacks, its challenger gives up, and somebody executes it.
    fn clear(&self, pick: Pick) -> Option<Vec<(usize, Action)>> {
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
    fn rally(&self, proposal: Pick, answers: u32, against: bool) -> Option<Vec<(usize, Action)>> {
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

    fn version(&self, model: ModelId, pick: Pick, wanted: VersionStatus) -> Option<VersionLabel> {
        let versions = &self.world.models[&model].versions;
        let labels: Vec<VersionLabel> = versions.keys().cloned().collect();
        choose(&labels, pick, |label| versions[label].status == wanted)
    }

    fn suspended(&self, model: ModelId, pick: Pick, fits: impl Fn(Option<Suspended>) -> bool) -> Option<VersionLabel> {
        let versions = &self.world.models[&model].versions;
        let labels: Vec<VersionLabel> = versions.keys().cloned().collect();
        choose(&labels, pick, |label| fits(versions[label].suspended))
    }

    fn step(&self, model: ModelId, by: AccountId, step: &Step) -> Option<ModelAction> {
        let reason = String::new();
        Some(match step {
            Step::Release(pick) => ModelAction::ReleaseVersion(ReleaseVersion {
                label: self.version(model, *pick, VersionStatus::Published)?,
            }),
            Step::Deprecate(pick) => ModelAction::DeprecateVersion(DeprecateVersion {
                label: self.version(model, *pick, VersionStatus::Released)?,
                reason,
            }),
            Step::Withdraw(pick) => ModelAction::WithdrawVersion(WithdrawVersion {
                label: self.version(model, *pick, VersionStatus::Released)?,
                reason,
            }),
            Step::Suspend(pick) => ModelAction::SuspendVersion(SuspendVersion {
                label: self.suspended(model, *pick, |suspended| suspended != Some(Suspended::Decision))?,
                reason: "harms".into(),
            }),
            Step::Lift(pick) => ModelAction::LiftSuspension(LiftSuspension {
                label: self.suspended(model, *pick, |suspended| suspended.is_some())?,
                reason: "mended".into(),
            }),
            Step::Lineage { version, parent } => ModelAction::ClaimLineage(ClaimLineage {
                label: self.version(model, *version, VersionStatus::Published)?,
                parents: vec![self.version_ref(*parent)?],
            }),
            Step::Licence(number) => {
                ModelAction::SetLicence(SetLicence { licence: Licence::Terms(ContentHash::from_bytes([*number; 32])) })
            }
            Step::Distribution(number) => {
                let readers = [Readers::Public, Readers::Licensees, Readers::Holders][usize::from(*number) % 3];
                let distribution = Distribution { readers, copies: u32::from(number % 65) };
                ModelAction::SetDistribution(SetDistribution { distribution })
            }
            Step::Grant { to, terms } => {
                // Just what was asked for, or something beside what there is.
                let (asked, licensees) = (&self.world.models[&model].asked, &self.world.models[&model].licensees);
                let has_one = |account: &AccountId| {
                    licensees.get(account).is_some_and(|it| it.in_force(self.world.time).is_some())
                };
                let as_asked = to.place.is_multiple_of(2);
                let account =
                    self.by(*to, |account| if as_asked { asked.contains_key(&account) } else { has_one(&account) });
                let granted = asked.get(&account).filter(|_| to.fits && as_asked);
                let terms = granted.map(|wanted| wanted.terms.clone()).unwrap_or_else(|| licence_terms(*terms));
                ModelAction::GrantLicence(GrantLicence { account, terms })
            }
            Step::Revoke(pick) => {
                let licensees = &self.world.models[&model].licensees;
                let has = |licensed: &Licensed| licensed.offer.is_some() || matches!(licensed.agreed, Some((_, None)));
                let account = self.by(*pick, |account| licensees.get(&account).is_some_and(has));
                ModelAction::RevokeLicence(RevokeLicence { account, reason })
            }
            Step::Stewards { first, count } => {
                let mut stewards: Vec<AccountId> = (0..*count).map(|more| self.any(first.wrapping_add(more))).collect();
                stewards.sort();
                stewards.dedup();
                ModelAction::SetStewards(SetStewards { stewards })
            }
            Step::Policy(number) => {
                ModelAction::SetPolicy(SetPolicy { policy: Box::new(policy(*number, &self.accounts)) })
            }
            Step::Retire => ModelAction::Retire(Retire { reason }),
            Step::Resolve { dispute, upholds } => {
                let of_model =
                    |dispute: &allod_tests::reference::Dispute| dispute.model == model && !dispute.status.is_final();
                let dispute = choose(&self.disputes, *dispute, |id| of_model(&self.world.disputes[id]))?;
                ModelAction::ResolveDispute(ResolveDispute { dispute, upholds: *upholds })
            }
            Step::Statement => ModelAction::Statement,
            step => return self.ownership_step(model, by, step),
        })
    }

    fn ownership_step(&self, model: ModelId, by: AccountId, step: &Step) -> Option<ModelAction> {
        let reason = String::new();
        Some(match step {
            Step::Mint { to, amount, vesting: terms } => {
                let (to, units) = (self.any(*to), self.units(*amount, self.world.total(model)));
                ModelAction::MintShares(MintShares { to, units, reason, vesting: vesting(*terms) })
            }
            Step::Burn { from, amount } => {
                let from = self.by(*from, |account| self.world.held(model, account) > 0);
                let units = self.units(*amount, self.world.held(model, from));
                ModelAction::BurnShares(BurnByDecision { from, units, cause: reason })
            }
            Step::Expropriate { from, amount } => {
                let from = self.by(*from, |account| self.world.held(model, account) > 0);
                let units = self.units(*amount, self.world.held(model, from));
                ModelAction::Expropriate(Expropriate { from, units, cause: reason })
            }
            Step::Approve { to, amount } => {
                let (to, units) = (self.any(*to), self.units(*amount, self.world.free(model, by)));
                ModelAction::ApproveTransfer(ApproveTransfer { to, units, price: String::new(), reason })
            }
            Step::Control { account, others } => {
                let account = choose(&self.accounts, *account, |account| self.world.is_unaccepted(model, *account))?;
                let begun = self.world.controls.get(&account).map(|control| control.keys.clone());
                let other = others.map(|number| keys(&self.world.accounts[&account].handle, number));
                let present = || self.world.accounts[&account].keys.clone();
                ModelAction::AcceptControl(AcceptControl { account, keys: other.or(begun).unwrap_or_else(present) })
            }
            Step::Round { budget, weights, cap, min, recording_ms, review_ms, sealed } => {
                let kinds = ContributionKind::ALL.into_iter().zip(1u32..);
                let listed = kinds.filter(|(_, number)| weights & (1 << number) != 0 || *number == 1);
                let plan = RoundPlan {
                    plan: ContentHash::from_bytes([0; 32]),
                    budget: self.units(*budget, self.world.total(model)),
                    weights: listed.map(|(kind, number)| KindWeight { kind, weight: number * 3 }).collect(),
                    cap: cap.map(|(part, per)| Cap { per, part: BasisPoints::new(part).expect("at most the whole") }),
                    min_contributors: (*min).into(),
                    recording_ms: (*recording_ms).into(),
                    review_ms: (*review_ms).into(),
                    sealed: *sealed,
                };
                ModelAction::OpenRound(OpenRound { plan })
            }
            _ => return None,
        })
    }

    fn member_step(&self, step: MemberStep) -> NetworkAction {
        match step {
            MemberStep::Admit(pick) => {
                let account = self.by(pick, |account| self.world.accounts[&account].member_since.is_none());
                NetworkAction::AdmitMember(AdmitMember { account })
            }
            MemberStep::Quota { account, quota } => {
                NetworkAction::GrantQuota(GrantQuota { account: self.any(account), quota: quota.into() })
            }
            MemberStep::Suspend(place) => {
                NetworkAction::SuspendAccount(SuspendAccount { account: self.any(place), reason: String::new() })
            }
            MemberStep::Reinstate(pick) => {
                let account = self.by(pick, |account| self.world.accounts[&account].suspended);
                NetworkAction::ReinstateAccount(ReinstateAccount { account })
            }
            MemberStep::Remove(pick) => {
                let removable = |account: AccountId| {
                    let account = &self.world.accounts[&account];
                    account.member_since.is_some() && !account.operates
                };
                NetworkAction::RemoveMember(RemoveMember { account: self.by(pick, removable), reason: String::new() })
            }
            MemberStep::Statement => NetworkAction::Statement,
        }
    }

    fn of_giver(&mut self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Record { model, by, round, kind, amount } => {
                let (giver, amount) = (self.any(*by), u64::from(*amount));
                Some((giver, self.record(*model, giver, *round, (*kind, amount))))
            }
            Request::Reveal { contribution, by, truly } => {
                let id = choose(&self.contributions, *contribution, |id| self.world.contributions[id].amount == 0)?;
                let contribution = &self.world.contributions[&id];
                let by = self.by(*by, |account| account == contribution.giver);
                let unsealed = (ContentHash::from_bytes([0; 32]), 1);
                let seal = contribution.sealed.and_then(|sealed| self.seals.get(&sealed).copied());
                let (salt, amount) = seal.unwrap_or(unsealed);
                let amount = if *truly { amount } else { amount + 1 };
                Some((by, Action::RevealContribution(RevealContribution { contribution: id, amount, salt })))
            }
            Request::Accept { contribution, by } => {
                let waits = |id: &ContributionId| {
                    let contribution = &self.world.contributions[id];
                    !contribution.accepted && contribution.amount > 0
                };
                let id = choose(&self.contributions, *contribution, waits)?;
                let contribution = &self.world.contributions[&id];
                let office = Office::Steward(contribution.model);
                let is_steward = |account| self.world.holds(&office, account);
                let by = self.by(*by, |account| is_steward(account) && account != contribution.giver);
                Some((by, Action::AcceptContribution(AcceptContribution { contribution: id })))
            }
            Request::Decline { contribution, by } => {
                let waits = |id: &ContributionId| !self.world.contributions[id].accepted && self.is_under_review(*id);
                let id = choose(&self.contributions, *contribution, waits)?;
                let contribution = &self.world.contributions[&id];
                let stewards = &self.world.models[&contribution.model].stewards;
                let by = self.by(*by, |account| stewards.contains(&account) && account != contribution.giver);
                let asked = DeclineContribution { contribution: id, reason: "not seen".into() };
                Some((by, Action::DeclineContribution(asked)))
            }
            Request::Appeal { contribution, by } => {
                let waits = |id: &ContributionId| {
                    let contribution = &self.world.contributions[id];
                    !contribution.accepted && !contribution.is_sealed() && self.is_under_review(*id)
                };
                let id = choose(&self.contributions, *contribution, waits)?;
                let by = self.by(*by, |account| account == self.world.contributions[&id].giver);
                let target = DisputeTarget::Appeal(id);
                let asked =
                    OpenDispute { target, units: Units::ZERO, text: String::new(), evidence: None, bond: Units::ZERO };
                Some((by, Action::OpenDispute(asked)))
            }
            _ => None,
        }
    }

    fn is_under_review(&self, id: ContributionId) -> bool {
        let contribution = &self.world.contributions[&id];
        let rounds = &self.world.models[&contribution.model].rounds;
        let round = contribution.round.and_then(|number| rounds.get(number as usize));
        round.is_none_or(|round| round.closes > self.world.time)
    }

    /// A contribution to a round that records, if there is one; sealed as the round asks.
    fn record(&mut self, model: u8, giver: AccountId, round: Pick, (kind, amount): (ContributionKind, u64)) -> Action {
        let (id, model) = self.model(model);
        let numbers: Vec<u64> = (0..model.rounds.len() as u64).collect();
        let records = |number: &u64| model.rounds[*number as usize].records_until > self.world.time;
        // One more than there are: now and then a round that does not exist, and none where none records.
        let number = if numbers.iter().any(records) {
            choose(&numbers, round, records)
        } else {
            Some(u64::from(round.place)).filter(|_| !round.fits)
        };
        let wants_seal =
            number.and_then(|number| model.rounds.get(number as usize)).is_some_and(|round| round.plan.sealed);
        let is_sealed = number.is_some() && (wants_seal ^ round.place.is_multiple_of(16));
        let salt = ContentHash::from_bytes([round.place; 32]);
        let sealed = number.filter(|_| is_sealed).map(|number| seal((id, number), giver, amount, salt));
        if let Some(sealed) = sealed {
            self.seals.insert(sealed, (salt, amount));
        }
        Action::RecordContribution(RecordContribution {
            model: id,
            round: number,
            kind,
            amount: if sealed.is_some() { 0 } else { amount },
            sealed,
            evidence: None,
            note: String::new(),
        })
    }

    /// Several accounts give to a round.
    fn gather(&mut self, model: Pick, givers: u16) -> Option<Vec<(usize, Action)>> {
        let records = |id: &ModelId| {
            let rounds = &self.world.models[id].rounds;
            rounds.iter().any(|round| round.records_until > self.world.time)
        };
        let id = choose(&self.models, Pick { fits: true, ..model }, records).filter(records)?;
        let model = u8::try_from(self.models.iter().position(|known| *known == id)?).ok()?;
        let high = (givers >> 8) as u8;
        let places = (0..self.accounts.len()).filter(|place| givers >> (place % 8) & 1 == 1);
        let places: Vec<usize> = places.collect();
        let give = |place: usize| {
            let kind = ContributionKind::ALL[(usize::from(high) + place) % ContributionKind::ALL.len()];
            let amount = 1 + u64::from(givers) % 97;
            (place, self.record(model, self.accounts[place], Pick { fits: true, place: high }, (kind, amount)))
        };
        Some(places.into_iter().map(give).collect())
    }

    /// Givers tell what is sealed, and stewards countersign, where rounds are under review; all but some.
    fn review(&self, skip: u8) -> Vec<(usize, Action)> {
        let mut actions = Vec::new();
        for (place, id) in self.contributions.iter().enumerate() {
            let contribution = &self.world.contributions[id];
            let model = &self.world.models[&contribution.model];
            let round = contribution.round.and_then(|number| model.rounds.get(number as usize));
            let is_open = round.is_some_and(|round| round.closes > self.world.time);
            if !is_open || contribution.accepted || (place + usize::from(skip)) % 7 == 0 {
                continue;
            }
            if let Some((salt, amount)) = contribution.sealed.and_then(|sealed| self.seals.get(&sealed).copied()) {
                let asked = RevealContribution { contribution: *id, amount, salt };
                actions.push((self.place(contribution.giver), Action::RevealContribution(asked)));
            }
            let holds = |steward: &&AccountId| self.world.holds(&Office::Steward(contribution.model), **steward);
            let others = model.stewards.iter().filter(|steward| **steward != contribution.giver).filter(holds);
            let accept = |steward: &AccountId| {
                (self.place(*steward), Action::AcceptContribution(AcceptContribution { contribution: *id }))
            };
            actions.extend(others.take(self.world.countersigners_of(contribution)).map(accept));
        }
        actions
    }

    fn of_disputant(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Challenge { model, by, target, amount } => {
                let (model, target, units) = self.target(*model, *target, *amount)?;
                let by = self.by(*by, |account| self.world.held(model, account) > 0);
                let bond = match amount {
                    Amount::Few(number) => self.scaled(u64::from(number % 4)),
                    _ => Units::ZERO,
                };
                Some((
                    by,
                    Action::OpenDispute(OpenDispute { target, units, text: String::new(), evidence: None, bond }),
                ))
            }
            Request::Plead { dispute, by } => {
                let id = self.open_dispute(*dispute)?;
                let by = self.by(*by, |account| self.world.disputes[&id].respondent == account);
                Some((by, Action::AnswerDispute(AnswerDispute { dispute: id, text: String::new(), evidence: None })))
            }
            Request::Rule { dispute, by, upholds } => {
                let id = self.open_dispute(*dispute)?;
                let panel = self.world.panel(&self.world.disputes[&id]);
                let by = self.by(*by, |account| panel.contains(&account));
                Some((by, rule(id, *upholds)))
            }
            Request::TakeBack { dispute, by } => {
                let id = self.open_dispute(*dispute)?;
                let by = self.by(*by, |account| self.world.disputes[&id].challenger == account);
                Some((by, Action::WithdrawDispute(WithdrawDispute { dispute: id })))
            }
            Request::AppealRuling { dispute, by } => {
                let is_ruled = |id: &DisputeId| matches!(self.world.disputes[id].status, DisputeStatus::Ruled(_));
                let id = choose(&self.disputes, *dispute, is_ruled)?;
                let dispute = &self.world.disputes[&id];
                let party = match dispute.status {
                    DisputeStatus::Ruled(false) => dispute.challenger,
                    _ => dispute.respondent,
                };
                let by = self.by(*by, |account| account == party);
                Some((by, Action::AppealDispute(AppealDispute { dispute: id, text: String::new() })))
            }
            _ => None,
        }
    }

    /// The respondent answers. Then all who sit rule alike; where they are too few, a steward asks the owners.
    fn settle(&self, pick: Pick, upholds: bool) -> Option<Vec<(usize, Action)>> {
        let id = self.open_dispute(pick)?;
        let dispute = &self.world.disputes[&id];
        let model = &self.world.models[&dispute.model];
        let answer = Action::AnswerDispute(AnswerDispute { dispute: id, text: String::new(), evidence: None });
        let mut actions = vec![(self.place(dispute.respondent), answer)];
        let is_for_owners = matches!(dispute.status, DisputeStatus::Appealed(_)) || !self.world.rules(dispute);
        if is_for_owners {
            let resolve = ModelAction::ResolveDispute(ResolveDispute { dispute: id, upholds });
            let (by, action) =
                self.open(wrap(&model.stewards, pick.place)?, Question::of_model(dispute.model, vec![resolve]))?;
            actions.push((self.place(by), action));
        } else {
            let panel = self.world.panel(dispute).into_iter();
            actions.extend(panel.map(|arbiter| (self.place(arbiter), rule(id, upholds))));
        }
        Some(actions)
    }

    fn open_dispute(&self, pick: Pick) -> Option<DisputeId> {
        choose(&self.disputes, pick, |id| !self.world.disputes[id].status.is_final())
    }

    fn target(&self, model: u8, target: Target, amount: Amount) -> Option<(ModelId, DisputeTarget, Units)> {
        let (model, _) = self.model(model);
        match target {
            Target::Line(place) => {
                let holds = Pick { fits: true, place };
                let account = self.by(holds, |account| self.world.held(model, account) > 0);
                let units = self.units(amount, self.world.held(model, account));
                Some((model, DisputeTarget::Line { model, account }, units))
            }
            Target::Version(pick) => {
                let label = self.version(model, pick, VersionStatus::Published)?;
                Some((model, DisputeTarget::Version { model, label }, Units::ZERO))
            }
            Target::Contribution(pick) => {
                let id = choose(&self.contributions, pick, |id| {
                    let contribution = &self.world.contributions[id];
                    let round = contribution.round.map(|number| number as usize);
                    let rounds = &self.world.models[&contribution.model].rounds;
                    round.is_none_or(|number| rounds[number].closes > self.world.time)
                })?;
                let model = self.world.contributions[&id].model;
                Some((model, DisputeTarget::Contribution(id), Units::ZERO))
            }
        }
    }
}

fn rule(dispute: DisputeId, upholds: bool) -> Action {
    Action::RuleDispute(RuleDispute { dispute, upholds, reasons: "so it is".into() })
}

fn ballot(proposal: ProposalId, parts: &[(Choice, u16)]) -> Action {
    let part = |(choice, part): &(Choice, u16)| BallotPart {
        choice: *choice,
        part: BasisPoints::new(*part).expect("at most the whole"),
    };
    Action::CastBallot(CastBallot { proposal, parts: parts.iter().map(part).collect() })
}

/// A few kinds of terms: on the model's or on others, for ever or for a time.
fn licence_terms(number: u8) -> LicenceTerms {
    let terms = (number % 2 == 1).then(|| Licence::Terms(ContentHash::from_bytes([1; 32])));
    LicenceTerms { terms, for_ms: (number >= 2).then_some(30_000) }
}
