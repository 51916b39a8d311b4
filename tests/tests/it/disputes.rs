//! Disputes: what freezes, who rules, what comes of it, and what it costs.

mod places;

use crate::common::{account, decide, decide_network, founded, founding, ledger, open, status, units, version, vote};
use allod_protocol::{
    ground::{
        ids::{AccountId, DisputeId, ModelId, ProposalId, Units, VersionLabel},
        limits,
        state::Overlay,
    },
    rules::{
        action::Action,
        dispute::{
            AnswerDispute, AppealDispute, Challenger, Dispute, DisputeTarget, OpenDispute, ResolveDispute, RuleDispute,
            WithdrawDispute, sitting,
        },
        event::Event,
        model::{CreateModel, ReleaseVersion, SetPolicy, Version},
        network::SuspendAccount,
        office::{Office, ResignOffice, vacancies},
        policy::{Arbiters, ModelPolicy, Rule, Tally, templates::Template},
        proposal::{Choice, ModelAction, NetworkAction, OpenProposal, ProposalStatus, Question},
        share::{Expropriate, MintShares, TransferShares, free_units},
    },
};
use allod_tests::ledger::{TestLedger, policy, rule};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn challenging(target: DisputeTarget, units: u64) -> Action {
    Action::OpenDispute(OpenDispute {
        target,
        units: Units::new(units),
        text: "not theirs".into(),
        evidence: None,
        bond: Units::ZERO,
    })
}

fn challenge(ledger: &mut TestLedger, by: u8, target: DisputeTarget, units: u64) -> DisputeId {
    match ledger.must(by, challenging(target, units)).events.first() {
        Some(Event::DisputeOpened { dispute, .. }) => *dispute,
        other => panic!("{other:?}"),
    }
}

fn line(ledger: &TestLedger, model: ModelId, index: u8) -> DisputeTarget {
    DisputeTarget::Line { model, account: account(ledger, index) }
}

fn answer(dispute: DisputeId) -> Action {
    Action::AnswerDispute(AnswerDispute { dispute, text: "they are ours".into(), evidence: None })
}

fn give(ledger: &TestLedger, model: ModelId, to: u8, units: u64) -> Action {
    let to = account(ledger, to);
    Action::TransferShares(TransferShares { model, to, units: Units::new(units), reason: String::new() })
}

fn ruling(dispute: DisputeId, upholds: bool) -> Action {
    Action::RuleDispute(RuleDispute { dispute, upholds, reasons: "the records say so".into() })
}

fn appeal(dispute: DisputeId) -> Action {
    Action::AppealDispute(AppealDispute { dispute, text: "they were not read".into() })
}

fn withdraw(dispute: DisputeId) -> Action {
    Action::WithdrawDispute(WithdrawDispute { dispute })
}

fn asking(model: ModelId, dispute: DisputeId, upholds: bool) -> Action {
    let actions = vec![ModelAction::ResolveDispute(ResolveDispute { dispute, upholds })];
    let (title, text) = ("a question".into(), String::new());
    Action::OpenProposal(OpenProposal { question: Question::of_model(model, actions), title, text })
}

fn resolve(ledger: &mut TestLedger, by: u8, model: ModelId, dispute: DisputeId, upholds: bool) -> ProposalId {
    open(ledger, by, Question::of_model(model, vec![ModelAction::ResolveDispute(ResolveDispute { dispute, upholds })]))
}

/// What is wrong with an action's form.
fn malformed(ledger: &mut TestLedger, action: Action) -> Option<String> {
    ledger.sign_as(0, action).check_form(ledger.tip.network).err().map(|error| error.to_string())
}

fn standing(ledger: &TestLedger, id: DisputeId) -> &'static str {
    ledger.read::<Dispute>(&id).unwrap().status.name()
}

fn sits(ledger: &TestLedger, id: DisputeId) -> Vec<AccountId> {
    sitting(&ledger.state, &ledger.read::<Dispute>(&id).unwrap()).unwrap()
}

fn free(ledger: &TestLedger, model: ModelId, index: u8) -> u64 {
    free_units(&Overlay::new(&ledger.state), model, account(ledger, index), ledger.tip.time).get()
}

/// Riverbend and seafront, who hold nothing, settle disputes, both of them.
fn arbitrated(ledger: &mut TestLedger) -> ModelId {
    let arbiters = Arbiters::new([3, 4].map(|index| account(ledger, index)).into(), 2);
    founded(ledger, ModelPolicy { arbiters: Some(arbiters), ..policy(50, 60) })
}

/// The same, and they may take units by themselves.
fn trusted(ledger: &mut TestLedger) -> ModelId {
    let arbiters = Arbiters::new([3, 4].map(|index| account(ledger, index)).into(), 1);
    let arbiters = Some(Arbiters { take_units: true, ..arbiters });
    let mut policy = ModelPolicy { arbiters, ..policy(50, 60) };
    policy.allow = policy.risks();
    founded(ledger, policy)
}

/// A model of northfield, lakeside and hilltop with so many units each.
fn held_by(ledger: &mut TestLedger, units: [u64; 3], policy: ModelPolicy) -> ModelId {
    let mut action: CreateModel = founding(ledger, policy);
    for (line, units) in action.founding.iter_mut().zip(units) {
        line.units = Units::new(units);
    }
    crate::common::found(ledger, action)
}

#[test]
fn the_disputed_units_of_a_line_stay_until_it_is_over_and_the_others_move_on() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target, 8);
    assert_eq!(free(&ledger, model, 2), 12);
    let (too_many, all_free) = (give(&ledger, model, 1, 13), give(&ledger, model, 1, 12));
    assert_eq!(ledger.refused(2, too_many), "frozen");
    ledger.must(2, all_free);
    assert_eq!((units(&ledger, model, "hilltop"), standing(&ledger, id)), (8, "open"));
    // Eight units vote all the same.
    let question = open(&mut ledger, 2, Question::of_model(model, vec![ModelAction::Statement]));
    vote(&mut ledger, 2, question, Choice::No);
}

#[test]
fn nobody_rules_before_the_respondent_was_heard_nor_without_reasons() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target, 8);
    assert_eq!(ledger.refused(3, ruling(id, true)), "not_heard");
    assert_eq!(ledger.refused(1, answer(id)), "not_respondent");
    ledger.must(2, answer(id));
    let silent = Action::RuleDispute(RuleDispute { dispute: id, upholds: true, reasons: " ".into() });
    assert!(malformed(&mut ledger, silent).is_some_and(|error| error.contains("say why")));
    ledger.must(3, ruling(id, true));
    let silent_respondent = line(&ledger, model, 1);
    let other = challenge(&mut ledger, 0, silent_respondent, 3);
    ledger.block(7 * DAY_MS, vec![]);
    ledger.must(3, ruling(other, false));
    assert_eq!(ledger.refused(2, ruling(other, true)), "not_arbiter");
}

#[test]
fn a_ruling_waits_and_can_be_appealed_once_by_whom_it_goes_against() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let label = VersionLabel::new("1.0").unwrap();
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let id = challenge(&mut ledger, 2, DisputeTarget::Version { model, label: label.clone() }, 0);
    ledger.must(0, answer(id));
    ledger.must(3, ruling(id, false));
    ledger.must(3, ruling(id, true));
    assert_eq!(standing(&ledger, id), "open", "a ruling replaces the arbiter's earlier one");
    assert_eq!(ledger.refused(0, appeal(id)), "nothing_to_appeal");
    ledger.must(4, ruling(id, true));
    assert_eq!(standing(&ledger, id), "ruled");
    assert_eq!(ledger.read::<Version>(&(model, label.clone())).unwrap().status.name(), "published", "it waits");
    assert_eq!(ledger.refused(3, ruling(id, false)), "ruled_already");
    assert_eq!(ledger.refused(1, asking(model, id, false)), "for_arbiters", "nobody appealed yet");
    assert_eq!(ledger.refused(2, appeal(id)), "not_appellant");
    ledger.must(0, appeal(id));
    assert_eq!(ledger.refused(0, appeal(id)), "nothing_to_appeal", "once");
    assert_eq!(ledger.refused(4, ruling(id, false)), "for_owners");
    let lift = resolve(&mut ledger, 1, model, id, false);
    for voter in [0, 1] {
        vote(&mut ledger, voter, lift, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    assert_eq!(standing(&ledger, id), "lifted");

    // An appeal that the owners do not answer leaves the ruling as it is.
    let lakeside = challenge(&mut ledger, 1, DisputeTarget::Version { model, label: label.clone() }, 0);
    ledger.must(0, answer(lakeside));
    ledger.must(3, ruling(lakeside, true));
    ledger.must(4, ruling(lakeside, true));
    ledger.must(0, appeal(lakeside));
    ledger.block(limits::APPEAL_MS, vec![]);
    assert_eq!(standing(&ledger, lakeside), "upheld");
    assert_eq!(ledger.read::<Version>(&(model, label)).unwrap().status.name(), "withdrawn");
}

#[test]
fn arbiters_take_no_units_unless_the_owners_confirm_it() {
    for confirmed in [true, false] {
        let mut ledger = ledger();
        let model = arbitrated(&mut ledger);
        let target = line(&ledger, model, 2);
        let id = challenge(&mut ledger, 1, target, 8);
        ledger.must(2, answer(id));
        ledger.must(3, ruling(id, true));
        ledger.must(4, ruling(id, true));
        ledger.block(3 * DAY_MS, vec![]);
        assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("appealed", 20));
        if confirmed {
            let uphold = resolve(&mut ledger, 1, model, id, true);
            vote(&mut ledger, 0, uphold, Choice::Yes);
            vote(&mut ledger, 1, uphold, Choice::Yes);
            ledger.block(10_000, vec![]);
            assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("upheld", 12));
        } else {
            ledger.block(limits::APPEAL_MS, vec![]);
            assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("lapsed", 20));
        }
        let challenger: Challenger = ledger.read(&(model, account(&ledger, 1))).unwrap();
        assert_eq!((challenger.losses, challenger.bonded), (0, Units::ZERO), "arbiters found it right");
    }
}

#[test]
fn every_seat_of_a_panel_takes_units_where_the_policy_names_that_risk() {
    let mut ledger = ledger();
    let model = trusted(&mut ledger);
    let target = line(&ledger, model, 2);
    // One of two must agree: enough for a ruling, not enough to take units.
    let by_one = challenge(&mut ledger, 0, target.clone(), 5);
    ledger.must(2, answer(by_one));
    ledger.must(3, ruling(by_one, true));
    ledger.block(3 * DAY_MS, vec![]);
    assert_eq!((standing(&ledger, by_one), units(&ledger, model, "hilltop")), ("appealed", 20));
    // Both are of one mind. The respondent, who says nothing, is not shielded by that.
    let by_both = challenge(&mut ledger, 1, target, 8);
    ledger.block(7 * DAY_MS, vec![]);
    ledger.must(3, ruling(by_both, true));
    ledger.must(4, ruling(by_both, true));
    assert_eq!(units(&ledger, model, "hilltop"), 20, "not before the timelock");
    ledger.block(3 * DAY_MS, vec![]);
    assert_eq!((standing(&ledger, by_both), units(&ledger, model, "hilltop")), ("upheld", 12));

    let arbiters = Some(Arbiters { take_units: true, ..Arbiters::new(vec![account(&ledger, 4)], 1) });
    let silent = ModelPolicy { arbiters, ..policy(50, 60) };
    assert!(silent.check().is_err_and(|error| error.to_string().contains("arbiters_take_units")));
}

#[test]
fn who_holds_units_or_is_a_party_does_not_rule_and_a_founder_is_not_its_own_panel() {
    let mut ledger = ledger();
    // The founder names itself and a friend who holds units: neither can sit, so the owners decide.
    let arbiters = Arbiters::new([0, 1].map(|index| account(&ledger, index)).into(), 1);
    let model = founded(&mut ledger, ModelPolicy { arbiters: Some(arbiters), ..policy(50, 60) });
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target, 20);
    ledger.must(2, answer(id));
    assert!(sits(&ledger, id).is_empty());
    for arbiter in [0, 1] {
        assert_eq!(ledger.refused(arbiter, ruling(id, true)), "not_arbiter");
    }
    let found: allod_protocol::rules::model::Model = ledger.read(&model).unwrap();
    let lacking = vacancies(&ledger.state, &found).unwrap();
    assert!(lacking.iter().any(|one| one.to_string().starts_with("0 arbiters who hold nothing")), "{lacking:?}");
    resolve(&mut ledger, 1, model, id, false);
    for template in Template::ALL {
        let stewards = [account(&ledger, 0)];
        assert_eq!(template.policy(&stewards).arbiters, None, "{} names its stewards", template.name());
    }
}

#[test]
fn a_stand_in_takes_a_seat_and_how_many_must_agree_never_falls() {
    let mut ledger = ledger();
    let named = |index| account(&ledger, index);
    let stand_ins = vec![named(4)];
    let arbiters = Some(Arbiters { stand_ins, ..Arbiters::new(vec![named(1), named(3)], 2) });
    let model = founded(&mut ledger, ModelPolicy { arbiters, ..policy(50, 60) });
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target, 8);
    assert_eq!(sits(&ledger, id), [3, 4].map(|index| account(&ledger, index)), "lakeside holds units");
    ledger.must(2, answer(id));
    ledger.must(3, ruling(id, false));
    ledger.must(4, Action::ResignOffice(ResignOffice { office: Office::Arbiter(model) }));
    assert_eq!(standing(&ledger, id), "open", "one of two settles nothing");
    assert_eq!(ledger.refused(3, ruling(id, true)), "for_owners");
    assert_eq!(ledger.refused(4, ruling(id, false)), "not_arbiter");
    let lift = resolve(&mut ledger, 1, model, id, false);
    vote(&mut ledger, 0, lift, Choice::Yes);
    vote(&mut ledger, 1, lift, Choice::Yes);
    ledger.block(10_000, vec![]);
    assert_eq!(standing(&ledger, id), "lifted");
}

#[test]
fn nobody_unseats_an_arbiter_by_a_gift_or_by_changing_the_policy_meanwhile() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 1, target, 8);
    let gift = give(&ledger, model, 3, 1);
    assert_eq!(ledger.refused(2, gift), "arbiter_holds");
    let policy = Box::new(policy(50, 60));
    let change = decide(&mut ledger, model, ModelAction::SetPolicy(SetPolicy { policy }), &[0, 1]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, change), ProposalStatus::Executed { .. }));
    assert_eq!(sits(&ledger, id), [3, 4].map(|index| account(&ledger, index)), "seats are those of the opening");
}

#[test]
fn an_arbiter_who_comes_to_hold_units_rules_no_more_and_its_ruling_takes_none() {
    let mut ledger = ledger();
    let model = trusted(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 1, target, 8);
    ledger.must(2, answer(id));
    for arbiter in [3, 4] {
        ledger.must(arbiter, ruling(id, true));
    }
    assert_eq!(standing(&ledger, id), "ruled");
    let (to, units_minted) = (account(&ledger, 4), Units::new(1));
    let mint = ModelAction::MintShares(MintShares { to, units: units_minted, reason: "thanks".into(), vesting: None });
    decide(&mut ledger, model, mint, &[0, 1]);
    ledger.block(10_000, vec![]);
    assert_eq!(units(&ledger, model, "seafront"), 1);
    assert_eq!(sits(&ledger, id), [account(&ledger, 3)]);
    ledger.block(3 * DAY_MS, vec![]);
    assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("appealed", 20), "it is for the owners now");
}

#[test]
fn a_panel_of_suspended_arbiters_leaves_it_to_the_owners_by_their_own_rule() {
    let mut ledger = ledger();
    let policy = ModelPolicy { ownership: rule(75, 75), dispute: rule(10, 50), ..policy(50, 60) };
    let arbiters = Arbiters::new([3, 4].map(|index| account(&ledger, index)).into(), 2);
    let model = founded(&mut ledger, ModelPolicy { arbiters: Some(arbiters), ..policy });
    let target = line(&ledger, model, 0);
    let id = challenge(&mut ledger, 2, target, 50);
    ledger.must(0, answer(id));
    for index in [3, 4] {
        let account = account(&ledger, index);
        decide_network(&mut ledger, NetworkAction::SuspendAccount(SuspendAccount { account, reason: "bought".into() }));
    }
    assert!(sits(&ledger, id).is_empty());
    assert_eq!(ledger.refused(3, ruling(id, true)), "suspended");
    let uphold = resolve(&mut ledger, 2, model, id, true);
    for voter in [1, 2] {
        vote(&mut ledger, voter, uphold, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, uphold), ProposalStatus::Rejected { .. }), "{:?}", status(&ledger, uphold));
    assert_eq!((standing(&ledger, id), units(&ledger, model, "northfield")), ("open", 50));
}

#[test]
fn an_appeal_is_in_time_until_the_ruling_stands_and_a_resolution_until_the_appeal_is_over() {
    for (waits, expected) in [(3 * DAY_MS - 2, "appealed"), (3 * DAY_MS - 1, "upheld")] {
        let mut ledger = ledger();
        let model = arbitrated(&mut ledger);
        let label = VersionLabel::new("1.0").unwrap();
        ledger.must(0, Action::PublishVersion(version(model, "1.0")));
        let id = challenge(&mut ledger, 2, DisputeTarget::Version { model, label }, 0);
        ledger.must(0, answer(id));
        for arbiter in [3, 4] {
            ledger.must(arbiter, ruling(id, true));
        }
        let before = ledger.tip.time;
        ledger.block(waits, vec![]);
        let appeal = ledger.sign_as(0, appeal(id));
        ledger.block(1, vec![appeal]);
        assert_eq!(ledger.tip.time, before.plus_ms(waits + 1));
        assert_eq!(standing(&ledger, id), expected, "{waits}");
    }
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 1, target, 8);
    ledger.must(2, answer(id));
    for arbiter in [3, 4] {
        ledger.must(arbiter, ruling(id, true));
    }
    ledger.must(2, appeal(id));
    ledger.block(limits::APPEAL_MS - 4_000, vec![]);
    let uphold = resolve(&mut ledger, 1, model, id, true);
    ledger.block(4_000, vec![]);
    assert_eq!(standing(&ledger, id), "appealed", "it waits for the owners who were asked in time");
    assert_eq!(ledger.refused(0, asking(model, id, false)), "dispute_over", "and nobody is asked again");
    for voter in [0, 1] {
        vote(&mut ledger, voter, uphold, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("upheld", 12));
}

#[test]
fn an_accounts_friend_delays_no_expropriation_by_a_challenge() {
    let mut ledger = ledger();
    let mut policy = ModelPolicy { expropriation: Some(rule(75, 75)), ..policy(50, 60) };
    policy.allow = policy.risks();
    let model = founded(&mut ledger, policy);
    let target = line(&ledger, model, 2);
    challenge(&mut ledger, 1, target, 20);
    let from = account(&ledger, 2);
    let take = ModelAction::Expropriate(Expropriate { from, units: Units::new(20), cause: "theft".into() });
    decide(&mut ledger, model, take, &[0, 1]);
    ledger.block(10_000, vec![]);
    assert_eq!(units(&ledger, model, "hilltop"), 0);
}

#[test]
fn a_small_holder_with_an_accomplice_takes_nothing_from_a_large_one() {
    let mut ledger = ledger();
    let model = held_by(&mut ledger, [70, 29, 1], Template::EqualPartners.policy(&[]));
    let target = line(&ledger, model, 0);
    assert_eq!(ledger.refused(2, challenging(target.clone(), 70)), "bond_lacking", "it has one unit to bind");
    let id = challenge(&mut ledger, 1, target, 70);
    let proposal_rule = |ledger: &TestLedger, id: ProposalId| {
        ledger.read::<allod_protocol::rules::proposal::Proposal>(&id).unwrap().rule
    };
    ledger.block(7 * DAY_MS, vec![]);
    let uphold = resolve(&mut ledger, 2, model, id, true);
    assert_eq!(ledger.read::<Tally>(&uphold).unwrap().electorate, 100, "parties stay in the electorate");
    vote(&mut ledger, 1, uphold, Choice::Yes);
    vote(&mut ledger, 2, uphold, Choice::Yes);
    ledger.block(proposal_rule(&ledger, uphold).voting_period_ms, vec![]);
    assert!(matches!(status(&ledger, uphold), ProposalStatus::Rejected { .. }), "{:?}", status(&ledger, uphold));
    assert_eq!(units(&ledger, model, "northfield"), 70);
}

/// Whoever says yes, and whatever the rule of disputes is: units are taken only if the rule of ownership is met over
/// everybody's voice, the parties' among them.
#[test]
fn no_resolution_takes_units_without_the_rule_of_ownership() {
    let by_heads = Rule { electorate: allod_protocol::rules::policy::Electorate::Members, ..rule(30, 50) };
    let by_silence = Rule { objection: Some(allod_tests::ledger::percent(60)), ..rule(30, 50) };
    let disputes = [rule(10, 50), by_heads, by_silence, rule(90, 90)];
    for (dispute, ownership) in disputes
        .iter()
        .flat_map(|dispute| [rule(75, 75), rule(50, 60)].into_iter().map(move |ownership| (dispute.clone(), ownership)))
    {
        for voters in [1, 2, 3, 5, 6, 7u8] {
            let mut ledger = ledger();
            let mut policy = ModelPolicy { dispute: dispute.clone(), ownership: ownership.clone(), ..policy(50, 60) };
            policy.allow = policy.risks();
            let model = founded(&mut ledger, policy);
            let target = line(&ledger, model, 0);
            let id = challenge(&mut ledger, 2, target, 40);
            ledger.must(0, answer(id));
            let uphold = resolve(&mut ledger, 2, model, id, true);
            let said_yes: Vec<u8> = (0..3).filter(|place| voters & (1 << place) != 0).collect();
            said_yes.iter().for_each(|voter| vote(&mut ledger, *voter, uphold, Choice::Yes));
            ledger.block(10_000, vec![]);
            let yes: u64 = said_yes.iter().map(|voter| [50, 30, 20][usize::from(*voter)]).sum();
            let taken = units(&ledger, model, "northfield") != 50;
            let met = ownership.passes(&Tally { yes, ..Tally::of(100) });
            assert!(!taken || met, "{yes} % took units by {dispute:?} against {ownership:?}");
            assert!(taken || yes < 100, "everybody together can");
        }
    }
}

#[test]
fn a_resolution_that_takes_nothing_needs_the_rule_of_disputes_alone() {
    let mut ledger = ledger();
    let policy = ModelPolicy { dispute: rule(50, 50), ownership: rule(90, 90), ..policy(50, 60) };
    let model = founded(&mut ledger, policy);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 1, target, 8);
    ledger.must(2, answer(id));
    let uphold = resolve(&mut ledger, 1, model, id, true);
    let lift = resolve(&mut ledger, 2, model, id, false);
    for proposal in [uphold, lift] {
        vote(&mut ledger, 0, proposal, Choice::Yes);
        vote(&mut ledger, 1, proposal, Choice::Yes);
    }
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, uphold), ProposalStatus::Rejected { .. }));
    assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("lifted", 20));
}

#[test]
fn each_resolution_is_of_one_dispute() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let resolve =
        ModelAction::ResolveDispute(ResolveDispute { dispute: DisputeId::from_bytes([1; 32]), upholds: true });
    let asking = |actions| {
        let (title, text) = ("two at once".into(), String::new());
        Action::OpenProposal(OpenProposal { question: Question::of_model(model, actions), title, text })
    };
    assert_eq!(malformed(&mut ledger, asking(vec![resolve.clone()])), None);
    let refused = malformed(&mut ledger, asking(vec![resolve.clone(), resolve])).unwrap();
    assert!(refused.contains("each resolution by itself"), "{refused}");
}

#[test]
fn nobody_challenges_what_is_its_own() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let label = VersionLabel::new("1.0").unwrap();
    let own_line = line(&ledger, model, 0);
    assert_eq!(ledger.refused(0, challenging(own_line, 1)), "own_dispute");
    assert_eq!(ledger.refused(0, challenging(DisputeTarget::Version { model, label }, 0)), "own_dispute");
}

#[test]
fn a_friends_challenge_shields_nothing_and_the_last_one_frees() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let friendly = challenge(&mut ledger, 1, target.clone(), 20);
    assert_eq!(ledger.refused(1, challenging(target.clone(), 1)), "challenged_already");
    let earnest = challenge(&mut ledger, 0, target, 20);
    ledger.must(1, withdraw(friendly));
    let all = give(&ledger, model, 1, 1);
    assert_eq!(ledger.refused(2, all.clone()), "frozen", "the other one stands");
    ledger.must(0, withdraw(earnest));
    ledger.must(2, all);

    // One of two challenges of a version is upheld: the other has nothing left to say, and loses nothing.
    let label = VersionLabel::new("1.0").unwrap();
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let target = DisputeTarget::Version { model, label };
    let ids = [1, 2].map(|by| challenge(&mut ledger, by, target.clone(), 0));
    ledger.must(0, answer(ids[0]));
    ledger.must(3, ruling(ids[0], true));
    ledger.must(4, ruling(ids[0], true));
    ledger.block(3 * DAY_MS, vec![]);
    assert_eq!(ids.map(|id| standing(&ledger, id)), ["upheld", "moot"]);
    let other: Challenger = ledger.read(&(model, account(&ledger, 2))).unwrap();
    assert_eq!((other.losses, other.bonded), (0, Units::ZERO));
}

#[test]
fn losing_binds_the_bond_and_bars_twice_as_long_each_time() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let lose = |ledger: &mut TestLedger, against: u8| {
        let target = line(ledger, model, against);
        let id = challenge(ledger, 0, target, 20);
        assert_eq!(ledger.read::<Dispute>(&id).unwrap().bond, Units::new(2), "a tenth");
        ledger.must(against, answer(id));
        ledger.must(3, ruling(id, false));
        ledger.must(4, ruling(id, false));
        ledger.block(3 * DAY_MS, vec![]);
        assert_eq!(standing(ledger, id), "lifted");
    };
    lose(&mut ledger, 1);
    assert_eq!(free(&ledger, model, 0), 48);
    let too_many = give(&ledger, model, 1, 49);
    assert_eq!(ledger.refused(0, too_many), "bonded");
    let target = line(&ledger, model, 2);
    assert_eq!(ledger.refused(0, challenging(target.clone(), 1)), "barred");
    ledger.block(30 * DAY_MS, vec![]);
    assert_eq!(free(&ledger, model, 0), 50);
    lose(&mut ledger, 2);
    ledger.block(30 * DAY_MS, vec![]);
    assert_eq!(ledger.refused(0, challenging(target.clone(), 1)), "barred", "sixty days this time");
    ledger.block(30 * DAY_MS, vec![]);
    lose(&mut ledger, 2);
    ledger.block(120 * DAY_MS, vec![]);
    assert_eq!(ledger.refused(0, challenging(target, 1)), "challenged_too_often", "it was frozen twice for nothing");
    let elsewhere = line(&ledger, model, 1);
    challenge(&mut ledger, 0, elsewhere, 1);
}

#[test]
fn taking_back_in_time_is_cheaper_and_still_counts() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target.clone(), 20);
    assert_eq!(ledger.refused(1, withdraw(id)), "not_challenger");
    ledger.must(0, withdraw(id));
    assert_eq!((standing(&ledger, id), free(&ledger, model, 0)), ("withdrawn", 50));
    let again = challenge(&mut ledger, 0, target.clone(), 20);
    ledger.must(2, answer(again));
    ledger.must(0, withdraw(again));
    let challenger: Challenger = ledger.read(&(model, account(&ledger, 0))).unwrap();
    assert_eq!((challenger.losses, challenger.forfeit), (2, Units::new(2)));
    assert_eq!(challenger.barred_until, ledger.tip.time.plus_ms(60 * DAY_MS), "as long as a second loss");
    ledger.block(60 * DAY_MS, vec![]);
    assert_eq!(ledger.refused(0, challenging(target, 20)), "challenged_too_often", "nobody freezes a line for ever");
}

#[test]
fn what_is_under_way_is_not_taken_back() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target, 8);
    ledger.must(2, answer(id));
    ledger.must(3, ruling(id, false));
    assert_eq!(ledger.refused(0, withdraw(id)), "too_late_to_withdraw");

    let mut ledger = self::ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 1, target, 8);
    ledger.must(2, answer(id));
    let uphold = resolve(&mut ledger, 1, model, id, true);
    assert_eq!(ledger.refused(1, withdraw(id)), "too_late_to_withdraw");
    vote(&mut ledger, 0, uphold, Choice::Yes);
    vote(&mut ledger, 1, uphold, Choice::Yes);
    ledger.block(10_000, vec![]);
    assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), ("upheld", 12));
}

#[test]
fn a_dispute_that_nobody_rules_on_lapses_but_waits_for_a_resolution_under_way() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let target = line(&ledger, model, 2);
    let id = challenge(&mut ledger, 0, target, 1);
    ledger.must(2, answer(id));
    assert_eq!(ledger.refused(0, asking(model, id, true)), "for_arbiters");
    ledger.block(7 * DAY_MS + limits::DISPUTE_MS, vec![]);
    assert_eq!(standing(&ledger, id), "lapsed");
    let action = give(&ledger, model, 1, 20);
    ledger.must(2, action);

    for passes in [true, false] {
        let mut ledger = self::ledger();
        let model = founded(&mut ledger, policy(50, 60));
        let target = line(&ledger, model, 2);
        let id = challenge(&mut ledger, 0, target, 8);
        ledger.block(7 * DAY_MS + limits::DISPUTE_MS - 6_000, vec![]);
        let uphold = resolve(&mut ledger, 1, model, id, true);
        for voter in [0, 1] {
            vote(&mut ledger, voter, uphold, if passes { Choice::Yes } else { Choice::No });
        }
        ledger.block(5_000, vec![]);
        assert_eq!(standing(&ledger, id), "open", "its time is over, and it waits");
        assert_eq!(ledger.refused(1, asking(model, id, true)), "dispute_over");
        ledger.block(10_000, vec![]);
        ledger.block(1_000, vec![]);
        let (expected, held) = if passes { ("upheld", 12) } else { ("lapsed", 20) };
        assert_eq!((standing(&ledger, id), units(&ledger, model, "hilltop")), (expected, held));
    }
}

#[test]
fn a_disputed_version_is_not_released_until_it_is_free() {
    let mut ledger = ledger();
    let model = arbitrated(&mut ledger);
    let label = VersionLabel::new("1.0").unwrap();
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let id = challenge(&mut ledger, 2, DisputeTarget::Version { model, label: label.clone() }, 0);
    let release = decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label }), &[0, 1]);
    ledger.block(10_000, vec![]);
    assert!(matches!(status(&ledger, release), ProposalStatus::Queued { .. }));
    ledger.must(2, withdraw(id));
    let execute = allod_protocol::rules::proposal::ExecuteProposal { proposal: release };
    ledger.must(4, Action::ExecuteProposal(execute));
    assert!(matches!(status(&ledger, release), ProposalStatus::Executed { .. }));
}

#[test]
fn disputes_are_for_the_models_own_people_and_few_at_a_time() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let target = line(&ledger, model, 0);
    assert_eq!(ledger.refused(4, challenging(target.clone(), 1)), "not_of_model");
    assert_eq!(ledger.refused(1, challenging(target, 51)), "not_enough_shares");
    for label in ["1", "2", "3", "4", "5"] {
        ledger.must(0, Action::PublishVersion(version(model, label)));
        let target = DisputeTarget::Version { model, label: VersionLabel::new(label).unwrap() };
        match label {
            "5" => assert_eq!(ledger.refused(1, challenging(target, 0)), "too_many_disputes"),
            _ => drop(ledger.must(1, challenging(target, 0))),
        }
    }
}
