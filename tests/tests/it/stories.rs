//! One story for each policy to start from: what its owners can do, and what they cannot.

use crate::common::{account, decide, found, founded, founding, ledger, open, status, units, version, vote};
use allod_protocol::{
    ground::ids::{ArtifactId, Name, Units, VersionLabel},
    rules::{
        action::Action,
        attestation::{Attest, Finding},
        delegation::Delegate,
        model::{Model, ReleaseVersion},
        policy::{Verdict, templates::Template},
        proposal::{Choice, ModelAction, OpenProposal, ProposalStatus, Question},
        share::{MintShares, TransferShares},
    },
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn label(text: &str) -> VersionLabel {
    VersionLabel::new(text).unwrap()
}

#[test]
fn equal_partners_release_quickly_and_change_the_shares_slowly() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, Template::EqualPartners.policy(&[]));
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let release =
        decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") }), &[0, 1]);
    ledger.block(DAY_MS / 24, vec![]);
    assert!(matches!(status(&ledger, release), ProposalStatus::Executed { .. }), "settled, so it closed after an hour");

    let to = account(&ledger, 3);
    let mint = ModelAction::MintShares(MintShares {
        to,
        units: Units::new(25),
        reason: "joins with its scans".into(),
        vesting: None,
    });
    let narrow = decide(&mut ledger, model, mint.clone(), &[0]);
    vote(&mut ledger, 1, narrow, Choice::No);
    let agreed = decide(&mut ledger, model, mint, &[0, 1]);
    ledger.block(7 * DAY_MS, vec![]);
    assert!(matches!(status(&ledger, narrow), ProposalStatus::Rejected { verdict: Verdict::NotEnoughYes, .. }));
    assert!(matches!(status(&ledger, agreed), ProposalStatus::Queued { .. }));
    assert_eq!(units(&ledger, model, "riverbend"), 0, "there is a day to react");
    ledger.block(DAY_MS, vec![]);
    assert_eq!(units(&ledger, model, "riverbend"), 25);
    let give = Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason: String::new() });
    assert_eq!(ledger.refused(2, give), "transfer_needs_approval");
}

#[test]
fn a_founder_leads_until_the_others_object() {
    let mut ledger = ledger();
    let model = founded(&mut ledger, Template::FounderLed.policy(&[]));
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    ledger.must(0, Action::PublishVersion(version(model, "2.0")));
    let ask = |text: &str| {
        let actions = vec![ModelAction::ReleaseVersion(ReleaseVersion { label: label(text) })];
        Action::OpenProposal(OpenProposal {
            question: Question::of_model(model, actions),
            title: "t".into(),
            text: String::new(),
        })
    };
    assert_eq!(ledger.refused(1, ask("1.0")), "not_steward");
    let quiet = open(
        &mut ledger,
        0,
        Question::of_model(model, vec![ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") })]),
    );
    let noisy = open(
        &mut ledger,
        0,
        Question::of_model(model, vec![ModelAction::ReleaseVersion(ReleaseVersion { label: label("2.0") })]),
    );
    vote(&mut ledger, 0, noisy, Choice::Yes);
    vote(&mut ledger, 2, noisy, Choice::No);
    ledger.block(DAY_MS, vec![]);
    assert!(matches!(status(&ledger, quiet), ProposalStatus::Executed { .. }), "nobody minded");
    assert!(matches!(status(&ledger, noisy), ProposalStatus::Rejected { verdict: Verdict::Objected, .. }));

    let seize = ModelAction::MintShares(MintShares {
        to: account(&ledger, 0),
        units: Units::new(1_000),
        reason: "mine".into(),
        vesting: None,
    });
    let seize = decide(&mut ledger, model, seize, &[0]);
    ledger.block(7 * DAY_MS, vec![]);
    assert!(matches!(status(&ledger, seize), ProposalStatus::Rejected { verdict: Verdict::NoQuorum, .. }));
}

#[test]
fn an_open_community_delegates_and_a_third_of_it_can_veto() {
    let mut ledger = ledger();
    let mut action = founding(&ledger, Template::OpenCommunity.policy(&[]));
    action.founding.truncate(1);
    action.founding[0].units = Units::new(10_000);
    action.name = Name::new("commons").unwrap();
    let model = found(&mut ledger, action);
    for (to, units) in [(1, 2_500), (2, 1_600), (3, 900)] {
        let to = account(&ledger, to);
        ledger.must(
            0,
            Action::TransferShares(TransferShares { model, to, units: Units::new(units), reason: String::new() }),
        );
    }
    let speaker = account(&ledger, 4);
    for from in 1..4 {
        ledger.must(from, Action::Delegate(Delegate { model, to: Some(speaker), expires: None }));
    }
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let release = open(
        &mut ledger,
        0,
        Question::of_model(model, vec![ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") })]),
    );
    vote(&mut ledger, 0, release, Choice::Yes);
    vote(&mut ledger, 4, release, Choice::No);
    ledger.block(9 * DAY_MS, vec![]);
    let verdict = status(&ledger, release);
    assert!(
        matches!(verdict, ProposalStatus::Rejected { verdict: Verdict::NotEnoughYes, .. }),
        "roots of 2,500, 1,600 and 900 outweigh that of 5,000: {verdict:?}"
    );

    let mint = ModelAction::MintShares(MintShares {
        to: account(&ledger, 0),
        units: Units::new(1_000),
        reason: "for the servers".into(),
        vesting: None,
    });
    let vetoed = decide(&mut ledger, model, mint, &[0]);
    vote(&mut ledger, 4, vetoed, Choice::Veto);
    ledger.block(9 * DAY_MS, vec![]);
    assert!(matches!(status(&ledger, vetoed), ProposalStatus::Rejected { verdict: Verdict::Vetoed, .. }));
}

#[test]
fn a_regulated_consortium_releases_what_was_reviewed() {
    let mut ledger = ledger();
    let reviewers = [account(&ledger, 0), account(&ledger, 1)];
    let mut action = founding(&ledger, Template::RegulatedConsortium.policy(&reviewers));
    action.stewards = reviewers.to_vec();
    let model = found(&mut ledger, action);
    ledger.must(0, Action::PublishVersion(version(model, "1.0")));
    let release =
        decide(&mut ledger, model, ModelAction::ReleaseVersion(ReleaseVersion { label: label("1.0") }), &[0, 1, 2]);
    let review = |finding| {
        Action::Attest(Attest {
            artifact: ArtifactId::of(b"1.0"),
            statement: Name::new("safety-review").unwrap(),
            finding,
            evidence: None,
            note: String::new(),
        })
    };
    ledger.must(0, review(Finding::Passed));
    ledger.block(7 * DAY_MS, vec![]);
    ledger.block(2 * DAY_MS, vec![]);
    assert!(matches!(status(&ledger, release), ProposalStatus::Queued { .. }), "one review of two");
    ledger.must(1, review(Finding::Passed));
    let execute = allod_protocol::rules::proposal::ExecuteProposal { proposal: release };
    ledger.must(2, Action::ExecuteProposal(execute));
    assert_eq!(ledger.read::<Model>(&model).unwrap().released, Some(label("1.0")));
}
