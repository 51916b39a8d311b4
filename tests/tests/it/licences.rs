//! Licences: asked for, granted, agreed to, given up, revoked, and what each of that leaves behind.

use crate::common::{account, decide, found, founding, ledger, version};
use allod_protocol::{
    ground::{
        ids::{AccountId, ContentHash, ModelId, Name, Timestamp},
        invalid::Invalid,
        limits,
        state::{Direction, Record, StateRead, prefix_end},
    },
    rules::{
        access::{self, Distribution, Readers, SetDistribution},
        action::Action,
        due::Deadline,
        event::Event,
        licence::{
            AnswerLicence, AskLicence, GrantLicence, LicenceChange, LicenceEnd, LicenceGrant, LicenceOf,
            LicenceRequest, LicenceRequestOf, LicenceStep, LicenceTerms, Licensee, RevokeLicence, SetLicence,
            WantedLicence,
        },
        model::{Licence, Model},
        proposal::{ModelAction, ProposalStatus, Question},
    },
};
use allod_tests::ledger::{TestLedger, policy};

/// The place of who has the licence: it holds nothing of the model, and has no office in it.
const SEAFRONT: u8 = 4;
const MINUTE: u64 = 60_000;

/// A model whose versions licensees read.
fn licensed(ledger: &mut TestLedger) -> ModelId {
    let mut action = founding(ledger, policy(50, 60));
    action.distribution = Distribution { readers: Readers::Licensees, copies: 0 };
    let model = found(ledger, action);
    ledger.must(0, Action::PublishVersion(version(model, "v1")));
    model
}

/// On these terms, for so long.
fn terms(number: u8, for_ms: Option<u64>) -> LicenceTerms {
    LicenceTerms { terms: Some(Licence::Terms(ContentHash::from_bytes([number; 32]))), for_ms }
}

fn decided(ledger: &mut TestLedger, model: ModelId, action: ModelAction) -> ProposalStatus {
    let id = decide(ledger, model, action, &[0, 1]);
    ledger.block(10_000, vec![]);
    crate::common::status(ledger, id)
}

/// The owners grant seafront a licence; says which, and the time from which it runs.
fn grant(ledger: &mut TestLedger, model: ModelId, terms: LicenceTerms) -> (LicenceGrant, Timestamp) {
    let licensee = account(ledger, SEAFRONT);
    decided(ledger, model, ModelAction::GrantLicence(GrantLicence { account: licensee, terms }));
    let found = licensee_of(ledger, model);
    let last = found.offer.or(found.licence.map(|licence| licence.grant)).expect("what was granted");
    (last, ledger.tip.time)
}

fn revoke(ledger: &mut TestLedger, model: ModelId) -> ProposalStatus {
    let action = ModelAction::RevokeLicence(RevokeLicence {
        account: account(ledger, SEAFRONT),
        reason: "it sold copies".into(),
    });
    decided(ledger, model, action)
}

fn licensee_of(ledger: &TestLedger, model: ModelId) -> Licensee {
    ledger.read(&(model, account(ledger, SEAFRONT))).expect("a licence that was granted once")
}

fn answer(model: ModelId, grant: &LicenceGrant, accept: bool) -> Action {
    Action::AnswerLicence(AnswerLicence { model, proposal: grant.proposal, accept })
}

fn ask(model: ModelId, terms: LicenceTerms, lifetime_ms: u64) -> Action {
    let wanted = Some(WantedLicence { terms, text: "for the clinic".into(), lifetime_ms });
    Action::AskLicence(AskLicence { model, wanted })
}

fn ask_no_longer(model: ModelId) -> Action {
    Action::AskLicence(AskLicence { model, wanted: None })
}

fn asked(ledger: &TestLedger, model: ModelId) -> Option<LicenceRequest> {
    let account = account(ledger, SEAFRONT);
    let (request, listed) = (ledger.read(&(account, model)), ledger.read(&(model, account)));
    assert_eq!(listed, request.is_some().then_some(LicenceRequestOf(account)));
    request
}

fn reads(ledger: &TestLedger, model: ModelId) -> bool {
    let model: Model = ledger.read(&model).expect("model");
    access::reads(&ledger.state, &model, account(ledger, SEAFRONT), ledger.tip.time).expect("state")
}

/// The names of the steps that seafront's licences went through.
fn history(ledger: &TestLedger, model: ModelId) -> Vec<&'static str> {
    let account: AccountId = account(ledger, SEAFRONT);
    let step = |number| {
        let change: LicenceChange = ledger.read(&(model, account, number)).expect("a step for each number");
        assert_eq!(change.number, number);
        match change.step {
            LicenceStep::Granted { accepted: true, .. } => "granted, agreed to",
            LicenceStep::Granted { .. } => "granted",
            LicenceStep::Accepted => "accepted",
            LicenceStep::Declined => "declined",
            LicenceStep::GivenUp => "given up",
            LicenceStep::Revoked { .. } => "revoked",
        }
    };
    let changes = licensee_of(ledger, model).changes;
    assert_eq!(ledger.read::<LicenceChange>(&(model, account, changes)), None);
    (0..changes).map(step).collect()
}

#[test]
fn a_licence_takes_the_word_of_both_sides_and_runs_from_its_grant() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    let (offer, granted) = grant(&mut ledger, model, terms(1, Some(MINUTE)));
    assert_eq!(offer.expires, Some(granted.plus_ms(MINUTE)), "from the block that carried it out");
    assert_eq!(ledger.read(&(account(&ledger, SEAFRONT), model)), Some(LicenceOf(model)));
    assert!(!reads(&ledger, model), "it has not agreed");
    assert_eq!(ledger.refused(3, answer(model, &offer, true)), "no_such_licence", "it is another account's");
    ledger.must(SEAFRONT, answer(model, &offer, true));
    assert!(reads(&ledger, model));
    assert_eq!(ledger.refused(SEAFRONT, answer(model, &offer, true)), "no_such_licence", "it is accepted once");
    let left = granted.plus_ms(MINUTE).get() - ledger.tip.time.get();
    ledger.block(left - 1, vec![]);
    assert!(reads(&ledger, model));
    ledger.block(1, vec![]);
    assert!(!reads(&ledger, model), "its time is over");
    assert_eq!(
        ledger.refused(SEAFRONT, answer(model, &offer, false)),
        "no_such_licence",
        "there is nothing to give up"
    );

    let (offer, _) = grant(&mut ledger, model, terms(1, None));
    assert!(!reads(&ledger, model), "one that is over is no word for another");
    ledger.must(SEAFRONT, answer(model, &offer, true));
    assert!(reads(&ledger, model));
    let for_holders = Distribution { readers: Readers::Holders, copies: 0 };
    decided(&mut ledger, model, ModelAction::SetDistribution(SetDistribution { distribution: for_holders }));
    assert!(!reads(&ledger, model), "licences do not count");
    assert_eq!(history(&ledger, model), ["granted", "accepted", "granted", "accepted"]);
}

#[test]
fn nobody_agrees_to_another_grant_than_it_saw_nor_to_one_that_is_over() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    let (first, _) = grant(&mut ledger, model, terms(1, None));
    let (second, granted) = grant(&mut ledger, model, terms(2, Some(MINUTE)));
    assert_eq!(ledger.refused(SEAFRONT, answer(model, &first, true)), "no_such_licence", "it was replaced");
    assert_eq!(ledger.refused(SEAFRONT, answer(model, &first, false)), "no_such_licence");
    let left = granted.plus_ms(MINUTE).get() - ledger.tip.time.get();
    ledger.block(left, vec![]);
    assert_eq!(ledger.refused(SEAFRONT, answer(model, &second, true)), "no_such_licence", "it is over");
    assert_eq!(history(&ledger, model), ["granted", "granted"]);
}

#[test]
fn what_was_licensed_stays_licensed_on_its_terms_until_the_account_agrees_to_others() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    let (first, _) = grant(&mut ledger, model, terms(1, Some(10 * MINUTE)));
    ledger.must(SEAFRONT, answer(model, &first, true));
    decided(&mut ledger, model, ModelAction::SetLicence(SetLicence { licence: Licence::Spdx("MIT".into()) }));
    assert_eq!(licensee_of(&ledger, model).in_force(ledger.tip.time), Some(&first), "the model's terms are others now");

    // Other terms, or the same for a shorter time, leave what was agreed to alone.
    let (other, _) = grant(&mut ledger, model, terms(2, None));
    assert_eq!(licensee_of(&ledger, model).in_force(ledger.tip.time), Some(&first));
    assert_eq!(licensee_of(&ledger, model).offered(ledger.tip.time), Some(&other));
    let (shorter, _) = grant(&mut ledger, model, terms(1, Some(1)));
    assert_eq!(licensee_of(&ledger, model).in_force(ledger.tip.time), Some(&first), "an owner ends nothing by a grant");
    assert_ne!(shorter, first);
    // The same for longer takes no new word, and ends the offer.
    let (longer, _) = grant(&mut ledger, model, terms(1, Some(20 * MINUTE)));
    let found = licensee_of(&ledger, model);
    assert_eq!((found.in_force(ledger.tip.time), found.offer.as_ref()), (Some(&longer), None));

    // What is declined was never had; what is had goes on.
    let (other, _) = grant(&mut ledger, model, terms(2, None));
    ledger.must(SEAFRONT, answer(model, &other, false));
    let found = licensee_of(&ledger, model);
    assert_eq!((found.in_force(ledger.tip.time), found.offer.as_ref()), (Some(&longer), None));
    // What is accepted takes its place.
    let (other, _) = grant(&mut ledger, model, terms(2, None));
    ledger.must(SEAFRONT, answer(model, &other, true));
    assert_eq!(licensee_of(&ledger, model).in_force(ledger.tip.time), Some(&other));
    assert_eq!(ledger.refused(SEAFRONT, answer(model, &longer, false)), "no_such_licence", "it was replaced");
    ledger.must(SEAFRONT, answer(model, &other, false));
    assert!(!reads(&ledger, model));
    assert_eq!(licensee_of(&ledger, model).licence.unwrap().ended, Some(LicenceEnd::GivenUp));
    assert_eq!(
        history(&ledger, model),
        [
            "granted",
            "accepted",
            "granted",
            "granted",
            "granted, agreed to",
            "granted",
            "declined",
            "granted",
            "accepted",
            "given up"
        ]
    );
}

#[test]
fn owners_take_back_what_an_account_has_and_what_it_is_offered() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    assert!(matches!(revoke(&mut ledger, model), ProposalStatus::ExecutionFailed { .. }), "it never had one");
    let (first, _) = grant(&mut ledger, model, terms(1, None));
    ledger.must(SEAFRONT, answer(model, &first, true));
    let (other, _) = grant(&mut ledger, model, terms(2, None));
    assert!(matches!(revoke(&mut ledger, model), ProposalStatus::Executed { .. }));
    let found = licensee_of(&ledger, model);
    assert_eq!((found.licence.and_then(|licence| licence.ended), found.offer), (Some(LicenceEnd::Revoked), None));
    assert!(!reads(&ledger, model));
    for (grant, accept) in [(&first, true), (&first, false), (&other, true), (&other, false)] {
        assert_eq!(ledger.refused(SEAFRONT, answer(model, grant, accept)), "no_such_licence");
    }
    assert!(matches!(revoke(&mut ledger, model), ProposalStatus::ExecutionFailed { .. }), "it is revoked once");
    let (again, _) = grant(&mut ledger, model, terms(1, None));
    assert_eq!(licensee_of(&ledger, model).offer, Some(again), "a licence that was revoked is no word for another");
    assert!(matches!(revoke(&mut ledger, model), ProposalStatus::Executed { .. }), "an offer is revoked too");
    assert_eq!(history(&ledger, model), ["granted", "accepted", "granted", "revoked", "granted", "revoked"]);
}

#[test]
fn whoever_asked_for_just_this_has_agreed() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    ledger.must(SEAFRONT, ask(model, terms(1, None), MINUTE * 60));
    ledger.must(SEAFRONT, ask(model, terms(1, Some(MINUTE)), MINUTE * 60));
    let (longer, _) = grant(&mut ledger, model, terms(1, None));
    assert_eq!(licensee_of(&ledger, model).offer, Some(longer), "it asks for less now");
    assert!(asked(&ledger, model).is_some(), "what it asks for is not granted");
    grant(&mut ledger, model, terms(1, Some(MINUTE)));
    assert!(reads(&ledger, model), "that is what it asks for");
    assert_eq!(asked(&ledger, model), None, "a request is used up by its grant");
    let (next, _) = grant(&mut ledger, model, terms(2, None));
    assert_eq!(licensee_of(&ledger, model).offer.as_ref(), Some(&next), "and is no word for another");

    // Whoever takes what it is offered instead asks no longer.
    ledger.must(SEAFRONT, ask(model, terms(3, None), MINUTE * 60));
    ledger.must(SEAFRONT, answer(model, &next, true));
    assert_eq!(asked(&ledger, model), None);
}

#[test]
fn whoever_proposes_a_licence_for_itself_has_agreed_to_it() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    let mine = |account| ModelAction::GrantLicence(GrantLicence { account, terms: terms(1, None) });
    let (northfield, lakeside) = (account(&ledger, 0), account(&ledger, 1));
    decided(&mut ledger, model, mine(northfield));
    decided(&mut ledger, model, mine(lakeside));
    let has = |ledger: &TestLedger, account| {
        let found: Licensee = ledger.read(&(model, account)).unwrap();
        found.in_force(ledger.tip.time).is_some()
    };
    assert!(has(&ledger, northfield));
    assert!(!has(&ledger, lakeside), "it voted for it, but another one's words are not its own");
}

#[test]
fn what_is_asked_for_lapses_and_is_no_word_any_more() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    assert_eq!(ledger.refused(SEAFRONT, ask_no_longer(model)), "no_licence_asked");
    ledger.must(SEAFRONT, ask(model, terms(1, None), MINUTE));
    ledger.must(SEAFRONT, ask_no_longer(model));
    assert_eq!(asked(&ledger, model), None);
    let agenda = |ledger: &TestLedger| {
        let all = Deadline::key_bytes(&());
        ledger.state.range(&all, &prefix_end(&all), Direction::Ascending, 100).unwrap().len()
    };
    assert_eq!(agenda(&ledger), 0);
    ledger.must(SEAFRONT, ask(model, terms(1, None), MINUTE));
    ledger.must(SEAFRONT, ask(model, terms(2, None), 2 * MINUTE));
    assert_eq!(agenda(&ledger), 1, "one request of an account's for each model");
    let until = asked(&ledger, model).unwrap().expires;
    ledger.block(until.get() - ledger.tip.time.get() - 1, vec![]);
    assert!(asked(&ledger, model).is_some());
    let lapsed = ledger.block(1, vec![]);
    let seafront = account(&ledger, SEAFRONT);
    assert_eq!(lapsed.deadline_events, [Event::LicenceRequestLapsed { model, account: seafront }]);
    assert_eq!((asked(&ledger, model), agenda(&ledger)), (None, 0));
    let (offer, _) = grant(&mut ledger, model, terms(2, None));
    assert_eq!(licensee_of(&ledger, model).offer, Some(offer), "it has to be asked again");
}

#[test]
fn an_account_asks_for_a_bounded_number_of_licences() {
    let mut ledger = ledger();
    let model_of = |ledger: &mut TestLedger, number: usize| {
        let mut action = founding(ledger, policy(50, 60));
        action.name = Name::new(format!("m{number}")).unwrap();
        found(ledger, action)
    };
    let models: Vec<ModelId> =
        (0..=limits::LICENCE_REQUESTS_PER_ACCOUNT).map(|number| model_of(&mut ledger, number)).collect();
    let (last, most) = models.split_last().unwrap();
    for model in most {
        ledger.must(SEAFRONT, ask(*model, terms(1, None), MINUTE * 60));
    }
    let one_more = ask(*last, terms(1, None), MINUTE * 60);
    assert_eq!(ledger.refused(SEAFRONT, one_more.clone()), "too_many_licences_asked");
    ledger.must(SEAFRONT, ask(most[0], terms(2, None), MINUTE * 60));
    ledger.must(3, ask(*last, terms(1, None), MINUTE * 60));
    ledger.must(SEAFRONT, ask_no_longer(most[0]));
    ledger.must(SEAFRONT, one_more);
}

#[test]
fn what_is_asked_for_and_granted_has_its_form_at_the_bounds_and_not_beyond() {
    let mut ledger = ledger();
    let model = licensed(&mut ledger);
    let mut form = |action: Action| ledger.sign_as(SEAFRONT, action).check_form(ledger.tip.network);
    let is_of = |result: Result<(), Invalid>, name| matches!(result, Err(Invalid::Form { field, .. }) if field == name);
    for for_ms in [1, limits::LICENCE_MS] {
        assert_eq!(form(ask(model, terms(1, Some(for_ms)), 1)), Ok(()));
    }
    for for_ms in [0, limits::LICENCE_MS + 1] {
        assert!(is_of(form(ask(model, terms(1, Some(for_ms)), 1)), "for_ms"));
    }
    assert_eq!(form(ask(model, terms(1, None), limits::LICENCE_REQUEST_MS)), Ok(()));
    for lifetime_ms in [0, limits::LICENCE_REQUEST_MS + 1] {
        assert!(is_of(form(ask(model, terms(1, None), lifetime_ms)), "lifetime_ms"));
    }
    let open = |for_ms| {
        let grant = ModelAction::GrantLicence(GrantLicence {
            account: AccountId::from_bytes([1; 32]),
            terms: terms(1, for_ms),
        });
        Action::OpenProposal(allod_protocol::rules::proposal::OpenProposal {
            question: Question::of_model(model, vec![grant]),
            title: "a licence".into(),
            text: String::new(),
        })
    };
    assert_eq!(form(open(Some(limits::LICENCE_MS))), Ok(()));
    for for_ms in [0, limits::LICENCE_MS + 1] {
        assert!(is_of(form(open(Some(for_ms))), "for_ms"));
    }
}
