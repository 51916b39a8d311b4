//! Requests at random.

use super::request::{Amount, MemberStep, Pick, Request, Step, Story, StoryBlock, Target, VestingTerms};
use allod_protocol::rules::{attestation::Finding, contribution::ContributionKind, proposal::Choice, round::CapPer};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::ops::Range;

/// Requests without end, the same ones for the same seed.
#[derive(Debug)]
pub(crate) struct Requests {
    requests: BoxedStrategy<Request>,
    runner: TestRunner,
}

impl Requests {
    /// Those that a seed gives; models are founded with these policies.
    pub(crate) fn new(seed: &[u8; 32], policies: Range<u8>) -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed);
        Self { requests: request(policies).boxed(), runner: TestRunner::new_with_rng(Config::default(), rng) }
    }

    /// The next one.
    pub(crate) fn draw(&mut self) -> Request {
        self.requests.new_tree(&mut self.runner).expect("nothing is filtered out").current()
    }
}

/// Random histories of models that have these policies.
pub fn story(policies: Range<u8>) -> impl Strategy<Value = Story> {
    let block = (later_ms(), any::<u64>(), prop::collection::vec(request(policies.clone()), 0..8))
        .prop_map(|(later_ms, hands, requests)| StoryBlock { later_ms, hands, requests });
    let policies = [policies.clone(), policies];
    (policies, prop::bool::weighted(0.2), prop::collection::vec(block, 60..120))
        .prop_map(|(policies, is_huge, blocks)| Story { policies, is_huge, blocks })
}

/// Mostly a second or two; now and then long enough for disputes to lapse.
fn later_ms() -> impl Strategy<Value = u64> {
    prop_oneof![200 => 1u64..1_200, 8 => 1_200u64..7_000, 1 => Just(61 * 24 * 60 * 60 * 1_000)]
}

fn pick() -> impl Strategy<Value = Pick> {
    (prop::bool::weighted(0.85), any::<u8>()).prop_map(|(fits, place)| Pick { fits, place })
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![20 => (0u8..25).prop_map(Amount::Few), 2 => Just(Amount::All), 1 => Just(Amount::Bound)]
}

fn vesting() -> impl Strategy<Value = VestingTerms> {
    prop::option::weighted(0.3, (0u16..6_000, 1u16..6_000))
}

fn request(policies: Range<u8>) -> impl Strategy<Value = Request> {
    prop_oneof![
        7 => of_holders(),
        6 => of_accounts(policies.clone()),
        3 => of_officers(),
        2 => of_incidents(),
        3 => of_guarded(),
        9 => of_proposers(policies),
        17 => of_voters(),
        10 => of_givers(),
        6 => of_disputants(),
    ]
}

fn of_holders() -> impl Strategy<Value = Request> {
    let (model, any) = (any::<u8>(), any::<u8>());
    let lasts_ms = prop::option::weighted(0.5, 0u16..8_000);
    prop_oneof![
        4 => (model, pick(), any, amount()).prop_map(|(model, by, to, amount)| Request::Transfer { model, by, to, amount }),
        1 => (model, pick(), amount()).prop_map(|(model, by, amount)| Request::Burn { model, by, amount }),
        5 => (pick(), pick(), amount()).prop_map(|(issue, by, amount)| Request::TakeUp { issue, by, amount }),
        4 => (pick(), prop::bool::weighted(0.85))
            .prop_map(|(proposal, agrees)| Request::Consent { proposal, agrees }),
        1 => (model, pick(), prop::option::weighted(0.8, (0u8..4, 1u16..8_000)))
            .prop_map(|(model, by, terms)| Request::AskLicence { model, by, terms }),
        3 => (model, pick(), prop::bool::weighted(0.7))
            .prop_map(|(model, by, accept)| Request::AnswerLicence { model, by, accept }),
        4 => (model, pick(), prop::option::weighted(0.8, any), lasts_ms)
            .prop_map(|(model, by, to, lasts_ms)| Request::Delegate { model, by, to, lasts_ms }),
        1 => (prop::option::weighted(0.8, any), pick(), prop::option::weighted(0.8, prop::bool::weighted(0.7)))
            .prop_map(|(model, by, takes)| Request::Intake { model, by, takes }),
        3 => (pick(), pick(), prop::bool::weighted(0.9))
            .prop_map(|(proposal, by, accept)| Request::Buy { proposal, by, accept }),
    ]
}

fn of_accounts(policies: Range<u8>) -> impl Strategy<Value = Request> {
    let (model, any) = (any::<u8>(), any::<u8>());
    prop_oneof![
        3 => (pick(), any, 0u8..3).prop_map(|(by, handle, quota)| Request::Admit { by, handle, quota }),
        3 => (pick(), any).prop_map(|(by, keys)| Request::Rotate { by, keys }),
        1 => (pick(), 0u8..3, policies, prop::option::of(any), any, vesting()).prop_map(
            |(by, name, policy, parent, units, vesting)| Request::Found { by, name, policy, parent, units, vesting }
        ),
        8 => (model, pick(), 0u8..12, 0u8..24, prop::option::weighted(0.3, any), prop::bool::weighted(0.7)).prop_map(
            |(model, by, label, artifact, parent, commits)| {
                Request::Publish { model, by, label, artifact, parent, commits }
            }
        ),
        5 => (model, pick(), 0u8..24).prop_map(|(model, by, artifact)| Request::Commit { model, by, artifact }),
        8 => (model, pick(), pick(), finding())
            .prop_map(|(model, version, by, finding)| Request::Attest { model, version, by, finding }),
        6 => (model, pick(), pick(), prop::bool::weighted(0.8))
            .prop_map(|(model, version, by, stops)| Request::Stop { model, version, by, stops }),
    ]
}

fn finding() -> impl Strategy<Value = Finding> {
    prop_oneof![12 => Just(Finding::Passed), 3 => Just(Finding::Failed), 2 => Just(Finding::Withdrawn)]
}

fn of_officers() -> impl Strategy<Value = Request> {
    let (model, any) = (any::<u8>(), any::<u8>());
    prop_oneof![
        4 => prop::num::u32::ANY.prop_map(|answers| Request::AcceptOffers { answers }),
        2 => (model, pick(), any).prop_map(|(model, by, kind)| Request::AcceptOffice { model, by, kind }),
        1 => (model, pick(), any).prop_map(|(model, by, kind)| Request::ResignOffice { model, by, kind }),
    ]
}

fn of_guarded() -> impl Strategy<Value = Request> {
    let any = any::<u8>();
    let guardians = prop::option::weighted(0.85, (any, 1u8..4));
    prop_oneof![
        4 => (pick(), guardians, 0u8..3, 1_000u16..6_000)
            .prop_map(|(by, guardians, needed, delay_ms)| Request::Guard { by, guardians, needed, delay_ms }),
        3 => (pick(), pick(), any).prop_map(|(account, by, keys)| Request::Recover { account, by, keys }),
        4 => (pick(), any).prop_map(|(account, keys)| Request::Agree { account, keys }),
        3 => pick().prop_map(|by| Request::Object { by }),
    ]
}

fn of_incidents() -> impl Strategy<Value = Request> {
    let any = any::<u8>();
    prop_oneof![
        3 => (any, pick(), pick()).prop_map(|(model, version, by)| Request::Report { model, version, by }),
        3 => (pick(), pick(), prop::option::weighted(0.7, any), any)
            .prop_map(|(incident, by, responsible, status)| Request::Carry { incident, by, responsible, status }),
        2 => (pick(), pick()).prop_map(|(incident, by)| Request::Speak { incident, by }),
    ]
}

fn of_proposers(policies: Range<u8>) -> impl Strategy<Value = Request> {
    let steps = prop_oneof![
        8 => prop::collection::vec(step(policies.clone()), 1),
        1 => prop::collection::vec(ownership(), 2..4),
        1 => prop::collection::vec(step(policies), 2),
    ];
    prop_oneof![
        7 => (any::<u8>(), pick(), steps).prop_map(|(model, by, steps)| Request::Propose { model, by, steps }),
        1 => (pick(), member_step()).prop_map(|(by, step)| Request::ProposeToMembers { by, step }),
        1 => (pick(), pick()).prop_map(|(proposal, by)| Request::Withdraw { proposal, by }),
        2 => (pick(), any::<u8>()).prop_map(|(proposal, by)| Request::Execute { proposal, by }),
        1 => (pick(), pick()).prop_map(|(proposal, by)| Request::Cancel { proposal, by }),
        4 => pick().prop_map(|proposal| Request::Clear { proposal }),
    ]
}

fn step(policies: Range<u8>) -> impl Strategy<Value = Step> {
    let any = any::<u8>();
    prop_oneof![
        14 => pick().prop_map(Step::Release),
        8 => pick().prop_map(Step::Deprecate),
        4 => pick().prop_map(Step::Withdraw),
        2 => pick().prop_map(Step::Suspend),
        4 => pick().prop_map(Step::Lift),
        4 => (pick(), any).prop_map(|(version, parent)| Step::Lineage { version, parent }),
        1 => any.prop_map(Step::Licence),
        1 => any.prop_map(Step::Distribution),
        8 => (pick(), 0u8..4).prop_map(|(to, terms)| Step::Grant { to, terms }),
        2 => pick().prop_map(Step::Revoke),
        20 => ownership(),
        2 => (any, 1u8..4).prop_map(|(first, count)| Step::Stewards { first, count }),
        3 => policies.prop_map(Step::Policy),
        1 => prop::bool::weighted(0.5).prop_map(|retire| if retire { Step::Retire } else { Step::Statement }),
        8 => (pick(), any.prop_map(|bits| bits % 2 == 0)).prop_map(|(dispute, upholds)| Step::Resolve { dispute, upholds }),
    ]
}

fn ownership() -> impl Strategy<Value = Step> {
    let any = any::<u8>();
    let per = select(&[CapPer::Account, CapPer::Sponsor, CapPer::Member][..]);
    let cap = prop::option::weighted(0.5, (1u16..6_000, per));
    let round = (amount(), any, cap, 0u8..3, 2_000u16..8_000, 2_000u16..8_000);
    prop_oneof![
        2 => (any, amount(), vesting()).prop_map(|(to, amount, vesting)| Step::Mint { to, amount, vesting }),
        3 => (pick(), amount()).prop_map(|(from, amount)| Step::Burn { from, amount }),
        1 => (pick(), amount()).prop_map(|(from, amount)| Step::Expropriate { from, amount }),
        2 => (any, amount()).prop_map(|(to, amount)| Step::Approve { to, amount }),
        3 => (pick(), prop::option::weighted(0.2, any)).prop_map(|(account, others)| Step::Control { account, others }),
        4 => (round, prop::bool::weighted(0.4)).prop_map(|((budget, weights, cap, min, recording_ms, review_ms), sealed)| {
            Step::Round { budget, weights, cap, min, recording_ms, review_ms, sealed }
        }),
    ]
}

fn member_step() -> impl Strategy<Value = MemberStep> {
    prop_oneof![
        3 => pick().prop_map(MemberStep::Admit),
        2 => (any::<u8>(), 1u8..4).prop_map(|(account, quota)| MemberStep::Quota { account, quota }),
        2 => any::<u8>().prop_map(MemberStep::Suspend),
        4 => pick().prop_map(MemberStep::Reinstate),
        1 => pick().prop_map(MemberStep::Remove),
        1 => Just(MemberStep::Statement),
    ]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![4 => Just(Choice::Yes), 2 => Just(Choice::No), 1 => Just(Choice::Abstain), 1 => Just(Choice::Veto)]
}

fn of_voters() -> impl Strategy<Value = Request> {
    let split = (1u16..5_000, 1u16..5_000)
        .prop_map(|(yes, no)| vec![(Choice::No, no), (Choice::Abstain, 10_000 - yes - no), (Choice::Yes, yes)]);
    let parts = prop_oneof![3 => choice().prop_map(|choice| vec![(choice, 10_000)]), 1 => split];
    prop_oneof![
        6 => (pick(), pick(), parts).prop_map(|(proposal, by, parts)| Request::Answer { proposal, by, parts }),
        2 => (prop::option::weighted(0.7, any::<u8>()), pick(), pick())
            .prop_map(|(model, by, on)| Request::Call { model, by, on }),
        1 => (pick(), prop::bool::weighted(0.05))
            .prop_map(|(by, leaves)| if leaves { Request::Leave { by } } else { Request::Present { by } }),
        7 => (pick(), any::<u32>(), prop::bool::weighted(0.15))
            .prop_map(|(proposal, answers, against)| Request::Rally { proposal, answers, against }),
    ]
}

fn of_givers() -> impl Strategy<Value = Request> {
    prop_oneof![
        3 => (any::<u8>(), any::<u8>(), pick(), select(&ContributionKind::ALL[..]), 1u8..100)
            .prop_map(|(model, by, round, kind, amount)| Request::Record { model, by, round, kind, amount }),
        8 => (pick(), any::<u16>()).prop_map(|(model, givers)| Request::Gather { model, givers }),
        8 => any::<u8>().prop_map(|skip| Request::Review { skip }),
        2 => (pick(), pick(), prop::bool::weighted(0.9))
            .prop_map(|(contribution, by, truly)| Request::Reveal { contribution, by, truly }),
        4 => (pick(), pick()).prop_map(|(contribution, by)| Request::Accept { contribution, by }),
        3 => (pick(), pick()).prop_map(|(contribution, by)| Request::Decline { contribution, by }),
        3 => (pick(), pick()).prop_map(|(contribution, by)| Request::Appeal { contribution, by }),
    ]
}

fn of_disputants() -> impl Strategy<Value = Request> {
    let target = prop_oneof![
        2 => any::<u8>().prop_map(Target::Line),
        4 => pick().prop_map(Target::Version),
        2 => pick().prop_map(Target::Contribution),
    ];
    prop_oneof![
        4 => (any::<u8>(), pick(), target, amount())
            .prop_map(|(model, by, target, amount)| Request::Challenge { model, by, target, amount }),
        1 => (pick(), pick()).prop_map(|(dispute, by)| Request::Plead { dispute, by }),
        3 => (pick(), pick(), any::<bool>()).prop_map(|(dispute, by, upholds)| Request::Rule { dispute, by, upholds }),
        1 => (pick(), pick()).prop_map(|(dispute, by)| Request::TakeBack { dispute, by }),
        3 => (pick(), pick()).prop_map(|(dispute, by)| Request::AppealRuling { dispute, by }),
        4 => (pick(), any::<bool>()).prop_map(|(dispute, upholds)| Request::Settle { dispute, upholds }),
    ]
}
