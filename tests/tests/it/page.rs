//! The numbers of sections 5 to 7 of `protocol/README.md`: each is held by a test, which [`held`] names. The bounds that
//! no story comes near are met and passed here.

mod held;

use crate::common::{account, founded, founding, ledger, open, version, with_model};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{
            AccountId, ArtifactId, BasisPoints, ContentHash, ContributionId, DisputeId, Handle, ModelId, Power,
            ProposalId, Timestamp, Units, VersionLabel,
        },
        invalid::Invalid,
        limits,
    },
    ledger::execute::Outcome,
    rules::{
        account::KeyPolicy,
        action::Action,
        approval::RequestApproval,
        artifact::{Artifact, ArtifactKind},
        contribution::{ContributionKind, RecordContribution, RevealContribution},
        dispute::{DisputeTarget, OpenDispute, RuleDispute},
        dormancy::CallOn,
        event::Event,
        intake::{SetIntake, UnitsOf},
        model::{ClaimLineage, CreateModel, FoundingLine, ParentGrant, PublishVersion, SetStewards, VersionRef},
        network::AdmitValidator,
        policy::Dormancy,
        proposal::{
            BallotPart, CastBallot, Choice, ModelAction, NetworkAction, OpenProposal, Question, Scope, WithdrawProposal,
        },
        recovery::{RecoveryPolicy, SetRecovery},
        round::{KindWeight, OpenRound, RoundPlan},
        sale::ApproveTransfer,
        share::{BurnByDecision, BurnShares, Expropriate, MintShares, TakeUp, Vesting},
        transaction::TransactionBody,
    },
};
use allod_tests::ledger::{TestLedger, key, policy};

const MODEL: ModelId = ModelId::from_bytes([1; 32]);
const HASH: ContentHash = ContentHash::from_bytes([2; 32]);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Whether a rule of form takes an action.
fn has_form(ledger: &mut TestLedger, action: Action) -> bool {
    let network = ledger.tip.network;
    match ledger.sign_as(0, action).check_form(network) {
        Ok(()) => true,
        Err(Invalid::Form { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

/// Takes `good` numbers, and no `bad` ones.
fn takes<const G: usize, const B: usize>(
    ledger: &mut TestLedger,
    (good, bad): ([u64; G], [u64; B]),
    action: impl Fn(u64) -> Action,
) {
    for number in good {
        let action = action(number);
        assert!(has_form(ledger, action.clone()), "{} with {number}", action.name());
    }
    for number in bad {
        let action = action(number);
        assert!(!has_form(ledger, action.clone()), "{} with {number}", action.name());
    }
}

/// Distinct accounts.
fn accounts(count: u64) -> Vec<AccountId> {
    let one = |number: u64| {
        let mut bytes = [3; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        AccountId::from_bytes(bytes)
    };
    (0..count).map(one).collect()
}

fn model_ids(count: u64) -> Vec<ModelId> {
    accounts(count).into_iter().map(|account| ModelId::from_bytes(*account.as_bytes())).collect()
}

fn asking(actions: Vec<ModelAction>) -> Action {
    let (title, text) = ("a question".into(), String::new());
    Action::OpenProposal(OpenProposal { question: Question::of_model(MODEL, actions), title, text })
}

#[test]
fn what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond() {
    let mut ledger = ledger();
    let founding = founding(&ledger, policy(50, 60));
    let line = |account| FoundingLine { account, units: Units::new(1), vesting: None };
    takes(&mut ledger, ([1, 256], [0, 257]), |count| {
        let founding_lines = accounts(count).into_iter().map(line).collect();
        Action::CreateModel(CreateModel { founding: founding_lines, ..founding.clone() })
    });
    takes(&mut ledger, ([1, 32], [0, 33]), |count| {
        Action::CreateModel(CreateModel { stewards: accounts(count), ..founding.clone() })
    });
    takes(&mut ledger, ([0, 16], [17]), |count| {
        let grants = model_ids(count).into_iter().map(|parent| ParentGrant { parent, units: Units::new(1) }).collect();
        Action::CreateModel(CreateModel { grants, ..founding.clone() })
    });
    takes(&mut ledger, ([64], [65]), |copies| {
        let mut founding = founding.clone();
        founding.distribution.copies = u32::try_from(copies).unwrap();
        Action::CreateModel(founding)
    });
    // Twenty years of 366 days, and a cliff that is no longer than that.
    const TWENTY_YEARS_MS: u64 = 20 * 366 * DAY_MS;
    takes(&mut ledger, ([1, TWENTY_YEARS_MS], [0, TWENTY_YEARS_MS + 1]), |duration_ms| {
        let mut founding = founding.clone();
        founding.founding[0].vesting = Some(Vesting { cliff_ms: duration_ms, duration_ms });
        Action::CreateModel(founding)
    });
    takes(&mut ledger, ([9, 10], [11]), |cliff_ms| {
        let mut founding = founding.clone();
        founding.founding[0].vesting = Some(Vesting { cliff_ms, duration_ms: 10 });
        Action::CreateModel(founding)
    });
    let label = |number: u64| VersionLabel::new(format!("v{number}")).unwrap();
    takes(&mut ledger, ([16], [17]), |count| {
        let parents = (0..count).map(|number| VersionRef { model: MODEL, label: label(number) }).collect();
        Action::PublishVersion(PublishVersion { parents, ..version(MODEL, "1.0") })
    });
    takes(&mut ledger, ([64], [65]), |count| {
        let datasets =
            accounts(count).into_iter().map(|account| ContentHash::from_bytes(*account.as_bytes())).collect();
        Action::PublishVersion(PublishVersion { datasets, ..version(MODEL, "1.0") })
    });
    let artifact = |kind, size_bytes, files: u64| {
        let address = ArtifactId::of(b"weights");
        let artifact = Artifact { address, kind, size_bytes, files: u32::try_from(files).unwrap() };
        Action::PublishVersion(PublishVersion { artifact, ..version(MODEL, "1.0") })
    };
    takes(&mut ledger, ([1 << 50], [(1 << 50) + 1]), |size| artifact(ArtifactKind::File, size, 1));
    takes(&mut ledger, ([1], [0, 2]), |files| artifact(ArtifactKind::File, 1, files));
    takes(&mut ledger, ([1, 100_000], [0, 100_001]), |files| artifact(ArtifactKind::Collection, 1, files));
}

#[test]
fn what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond() {
    let mut ledger = ledger();
    let record = |amount, sealed, round| {
        let (evidence, note, kind) = (None, String::new(), ContributionKind::Data);
        Action::RecordContribution(RecordContribution { model: MODEL, round, kind, amount, sealed, evidence, note })
    };
    takes(&mut ledger, ([1, 1 << 40], [0, (1 << 40) + 1]), |amount| record(amount, None, Some(0)));
    takes(&mut ledger, ([0], [1]), |amount| record(amount, Some(HASH), Some(0)));
    assert!(!has_form(&mut ledger, record(0, Some(HASH), None)), "sealed, and in no round");
    let contribution = ContributionId::from_bytes([4; 32]);
    takes(&mut ledger, ([1, 1 << 40], [0, (1 << 40) + 1]), |amount| {
        Action::RevealContribution(RevealContribution { contribution, amount, salt: HASH })
    });
    takes(&mut ledger, ([1, 16], [0, 17]), |count| {
        asking(vec![ModelAction::Statement; usize::try_from(count).unwrap()])
    });
    let proposal = ProposalId::from_bytes([5; 32]);
    let ballot = |parts: &[(Choice, u64)]| {
        let parts = parts.iter().map(|(choice, part)| {
            let part = BasisPoints::new(u16::try_from(*part).unwrap()).unwrap();
            BallotPart { choice: *choice, part }
        });
        Action::CastBallot(CastBallot { proposal, parts: parts.collect() })
    };
    takes(&mut ledger, ([10_000], [9_999]), |part| ballot(&[(Choice::Yes, part)]));
    takes(&mut ledger, ([1, 9_999], [0, 10_000]), |part| {
        ballot(&[(Choice::Yes, part), (Choice::No, 10_000_u64.saturating_sub(part).max(u64::from(part == 10_000)))])
    });
    assert!(!has_form(&mut ledger, ballot(&[(Choice::Yes, 5_000), (Choice::Yes, 5_000)])), "a choice once");
    let burn = |units| Action::BurnShares(BurnShares { model: MODEL, units: Units::new(units), reason: "x".into() });
    takes(&mut ledger, ([1], [0]), burn);
    takes(&mut ledger, ([1], [0]), |units| Action::TakeUp(TakeUp { model: MODEL, issue: 0, units: Units::new(units) }));
    let challenge = |target: DisputeTarget, units| {
        Action::OpenDispute(OpenDispute {
            target,
            units: Units::new(units),
            text: "copied".into(),
            evidence: None,
            bond: Units::ZERO,
        })
    };
    let account = AccountId::from_bytes([6; 32]);
    takes(&mut ledger, ([1], [0]), |units| challenge(DisputeTarget::Line { model: MODEL, account }, units));
    takes(&mut ledger, ([0], [1]), |units| challenge(DisputeTarget::Contribution(contribution), units));
    takes(&mut ledger, ([1, 2_048], [0, 2_049]), |bytes| {
        let (dispute, reasons) = (DisputeId::from_bytes([7; 32]), "x".repeat(usize::try_from(bytes).unwrap()));
        Action::RuleDispute(RuleDispute { dispute, upholds: true, reasons })
    });
}

#[test]
fn what_an_account_says_of_its_keys_has_its_form_at_the_bounds_and_not_beyond() {
    let mut ledger = ledger();
    let recovery = |guardians: u64, needed, delay_ms| {
        let policy = RecoveryPolicy { guardians: accounts(guardians), needed, delay_ms };
        Action::SetRecovery(SetRecovery { policy: Some(policy) })
    };
    takes(&mut ledger, ([1, 16], [0, 17]), |guardians| recovery(guardians, 1, 1_000));
    takes(&mut ledger, ([1, 3], [0, 4]), |needed| recovery(3, u32::try_from(needed).unwrap(), 1_000));
    takes(&mut ledger, ([1_000, 366 * DAY_MS], [999, 366 * DAY_MS + 1]), |delay_ms| recovery(1, 1, delay_ms));
    let ask =
        Action::WithdrawProposal(WithdrawProposal { proposal: ProposalId::from_bytes([5; 32]), reason: "x".into() });
    takes(&mut ledger, ([1, 30 * DAY_MS], [0, 30 * DAY_MS + 1]), |lifetime_ms| {
        let action = Box::new(ask.for_approval().unwrap());
        Action::RequestApproval(RequestApproval { action, lifetime_ms, every_key: false })
    });
    let keys: Vec<SigningKey> = (0..17).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
    let signed = |count: usize| {
        let (network, sender, expires) = (ledger.tip.network, AccountId::from_bytes([8; 32]), Timestamp::ZERO);
        let body = TransactionBody { network, sender, nonce: 1, expires, action: ask.clone(), signers: Vec::new() };
        body.sign(&keys[..count]).check_form(network)
    };
    assert_eq!(signed(16), Ok(()));
    assert_eq!(signed(17), Err(Invalid::SignerCount(17)));
}

#[test]
fn what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond() {
    let mut ledger = ledger();
    let to = AccountId::from_bytes([6; 32]);
    let units = Units::new;
    let reason = String::new;
    takes(&mut ledger, ([1], [0]), |count| {
        asking(vec![ModelAction::MintShares(MintShares { to, units: units(count), reason: reason(), vesting: None })])
    });
    takes(&mut ledger, ([1], [0]), |count| {
        asking(vec![ModelAction::BurnShares(BurnByDecision { from: to, units: units(count), cause: reason() })])
    });
    takes(&mut ledger, ([1], [0]), |count| {
        asking(vec![ModelAction::Expropriate(Expropriate { from: to, units: units(count), cause: reason() })])
    });
    takes(&mut ledger, ([1], [0]), |count| {
        let (price, reason) = (reason(), reason());
        asking(vec![ModelAction::ApproveTransfer(ApproveTransfer { to, units: units(count), price, reason })])
    });
    takes(&mut ledger, ([1, 32], [0, 33]), |count| {
        asking(vec![ModelAction::SetStewards(SetStewards { stewards: accounts(count) })])
    });
    takes(&mut ledger, ([16], [17]), |count| {
        let parents =
            model_ids(count).into_iter().map(|model| VersionRef { model, label: VersionLabel::new("1").unwrap() });
        let label = VersionLabel::new("1.0").unwrap();
        asking(vec![ModelAction::ClaimLineage(ClaimLineage { label, parents: parents.collect() })])
    });
    takes(&mut ledger, ([1, 1_000_000_000], [0, 1_000_000_001]), |power| {
        let (key, power) = (key(1).public_key(), Power::new(power));
        let admit = NetworkAction::AdmitValidator(AdmitValidator { key, power, operator: to });
        let (title, text) = ("a question".into(), String::new());
        Action::OpenProposal(OpenProposal { question: Question::of_network(vec![admit]), title, text })
    });
    let plan = RoundPlan {
        plan: HASH,
        budget: Units::new(1),
        weights: vec![KindWeight { kind: ContributionKind::Data, weight: 1 }],
        cap: None,
        min_contributors: 0,
        recording_ms: 1_000,
        review_ms: 1_000,
        sealed: false,
    };
    let round = |change: &dyn Fn(&mut RoundPlan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        asking(vec![ModelAction::OpenRound(OpenRound { plan })])
    };
    takes(&mut ledger, ([1], [0]), |budget| round(&|plan| plan.budget = units(budget)));
    takes(&mut ledger, ([1, 10_000], [0, 10_001]), |weight| {
        round(&|plan| plan.weights[0].weight = u32::try_from(weight).unwrap())
    });
    takes(&mut ledger, ([1, 5], [0]), |kinds| {
        let of = |kind: &ContributionKind| KindWeight { kind: *kind, weight: 1 };
        round(&|plan| {
            plan.weights = ContributionKind::ALL.iter().take(usize::try_from(kinds).unwrap()).map(of).collect()
        })
    });
    assert!(!has_form(&mut ledger, round(&|plan| plan.weights = vec![plan.weights[0]; 2])), "a kind once");
    takes(&mut ledger, ([1_000, 366 * DAY_MS], [999, 366 * DAY_MS + 1]), |ms| round(&|plan| plan.recording_ms = ms));
    takes(&mut ledger, ([1_000, 366 * DAY_MS], [999, 366 * DAY_MS + 1]), |ms| round(&|plan| plan.review_ms = ms));
}

#[test]
fn a_transaction_lives_for_an_hour_at_the_most() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let northfield = account(&ledger, 0);
    let mut run = |ahead_ms: u64| {
        let (network, time) = (ledger.tip.network, ledger.tip.time.plus_ms(1_000));
        let action = Action::SetIntake(SetIntake { of: UnitsOf::Model(model), takes: None });
        let expires = time.plus_ms(ahead_ms);
        let body =
            TransactionBody { network, sender: northfield, nonce: ahead_ms, expires, action, signers: Vec::new() };
        match ledger.run(body.sign(&[key(0)])).outcome {
            Outcome::Applied => "applied",
            Outcome::Rejected(rejection) => rejection.code(),
        }
    };
    assert_eq!(run(3_600_000), "applied");
    assert_eq!(run(3_600_001), "expiry_too_far");
    assert_eq!(run(0), "applied", "a block of that very time may still hold it");
}

#[test]
fn an_account_has_so_much_open_and_no_more() {
    let mut ledger = ledger();
    let dormancy = Some(Dormancy { after_ms: 30 * DAY_MS });
    let mut rules = allod_protocol::rules::policy::ModelPolicy { dormancy, ..policy(50, 60) };
    rules.rules.voting_period_ms = DAY_MS;
    let model = founded(&mut ledger, rules);
    for _ in 0..16 {
        open(&mut ledger, 0, Question::of_model(model, vec![ModelAction::Statement]));
    }
    let question = OpenProposal {
        question: Question::of_model(model, vec![ModelAction::Statement]),
        title: "one more".into(),
        text: String::new(),
    };
    assert_eq!(ledger.refused(0, Action::OpenProposal(question)), "too_many_open_proposals");
    for number in 0..256 {
        let handle = accounts(number + 1).pop().unwrap();
        let of = if number == 0 { UnitsOf::Any } else { UnitsOf::Model(founded_by(&mut ledger, handle)) };
        ledger.must(0, Action::SetIntake(SetIntake { of, takes: Some(false) }));
    }
    let one_more = UnitsOf::Model(founded_by(&mut ledger, AccountId::from_bytes([9; 32])));
    let set = Action::SetIntake(SetIntake { of: one_more, takes: Some(false) });
    assert_eq!(ledger.refused(0, set), "too_many_intakes");
}

/// A model of lakeside's, under a name that follows from some bytes.
fn founded_by(ledger: &mut TestLedger, seed: AccountId) -> ModelId {
    let name = format!("m{}", &seed.to_string()[..16]);
    let founding = CreateModel {
        name: allod_protocol::ground::ids::Name::new(name).unwrap(),
        founding: vec![FoundingLine { account: account(ledger, 1), units: Units::new(1), vesting: None }],
        stewards: vec![account(ledger, 1)],
        ..founding(ledger, policy(50, 60))
    };
    match ledger.must(1, Action::CreateModel(founding)).events.first() {
        Some(Event::ModelCreated { model, .. }) => *model,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_has_so_many_calls_open_and_no_more() {
    let mut ledger = ledger();
    let dormancy = Some(Dormancy { after_ms: 30 * DAY_MS });
    let rules = allod_protocol::rules::policy::ModelPolicy { dormancy, ..policy(50, 60) };
    // Holders enough to be called on, admitted by each of the founders.
    let admit = |ledger: &mut TestLedger, number: u8| {
        let by = number % 5;
        let handle = Handle::new(format!("guest-{number}")).unwrap();
        let keys = KeyPolicy::single(key(9).public_key());
        let action = allod_protocol::rules::account::CreateAccount { handle, keys, quota: 0 };
        match ledger.must(by, Action::CreateAccount(action)).events.first() {
            Some(Event::AccountCreated { account, .. }) => *account,
            other => panic!("{other:?}"),
        }
    };
    let guests: Vec<AccountId> = (0..15).map(|number| admit(&mut ledger, number)).collect();
    let holders: Vec<AccountId> = (1..5).map(|index| account(&ledger, index)).chain(guests).collect();
    let mut called = 0;
    for name in ["one", "two"] {
        let lines = std::iter::once(account(&ledger, 0)).chain(holders.iter().copied());
        let line = |account| FoundingLine { account, units: Units::new(1), vesting: None };
        let founding = CreateModel {
            name: allod_protocol::ground::ids::Name::new(name).unwrap(),
            founding: lines.map(line).collect(),
            ..founding(&ledger, rules.clone())
        };
        let model = crate::common::found(&mut ledger, founding);
        for holder in &holders {
            let call = Action::CallOn(CallOn { scope: Scope::Model(model), account: *holder });
            if called == 32 {
                assert_eq!(ledger.refused(0, call), "too_many_calls");
                return;
            }
            ledger.must(0, call);
            called += 1;
        }
    }
    panic!("{called} calls were taken");
}

#[test]
fn a_holder_has_so_many_grants_under_vesting_and_no_more() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    let hilltop = account(&ledger, 2);
    let vesting = Some(Vesting { cliff_ms: 0, duration_ms: 366 * DAY_MS });
    let grant = |ledger: &mut TestLedger| {
        let (units, reason) = (Units::new(1), "work".into());
        let mint = ModelAction::MintShares(MintShares { to: hilltop, units, reason, vesting });
        let id = crate::common::decide(ledger, model, mint, &[0, 1, 2]);
        ledger.block(10_000, vec![]);
        crate::common::status(ledger, id)
    };
    for _ in 0..limits::VESTING_GRANTS {
        assert!(matches!(grant(&mut ledger), allod_protocol::rules::proposal::ProposalStatus::Executed { .. }));
    }
    let failed = grant(&mut ledger);
    let allod_protocol::rules::proposal::ProposalStatus::ExecutionFailed { reason, .. } = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(reason.code(), "too_many_vesting_grants");
}

#[test]
fn a_model_that_nobody_holds_decides_nothing() {
    let mut ledger = ledger();
    let model = with_model(&mut ledger);
    for (holder, units) in [(0, 50), (1, 30), (2, 20)] {
        let burn = BurnShares { model, units: Units::new(units), reason: "over".into() };
        ledger.must(holder, Action::BurnShares(burn));
    }
    let question = OpenProposal {
        question: Question::of_model(model, vec![ModelAction::Statement]),
        title: "anybody there?".into(),
        text: String::new(),
    };
    assert_eq!(ledger.refused(0, Action::OpenProposal(question)), "empty_electorate");
}
