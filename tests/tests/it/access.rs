//! Who reads a model's artifacts: by shares, by licence, through which peers, and from which block on no longer.

use crate::common::{HANDLES, account, decide, decide_network, found, founded, founding, ledger, version};
use allod_protocol::{
    ground::{
        crypto::{Domain, SigningKey},
        ids::{ArtifactId, ContentHash, ModelId, Name, Timestamp, Units},
        limits,
    },
    rules::{
        access::{self, ArtifactOrigin, BindPeer, Distribution, PeerBinding, Readers, ReleasePeer, SetDistribution},
        action::Action,
        commitment::{CommitArtifact, Commitments, commitment},
        event::Event,
        model::PublishVersion,
        network::SuspendAccount,
        proposal::{ModelAction, NetworkAction},
        share::TransferShares,
    },
};
use allod_tests::ledger::{GENESIS_TIME, TestLedger, genesis, policy};

/// The key of a peer, not of an account.
fn peer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed ^ 0xf0; 32])
}

/// A peer's word that it reads for an account, and the account's that it may.
fn bind(ledger: &TestLedger, seed: u8, index: u8, issued: u64) -> Action {
    // By the peer's clock, so long after the ledger began.
    let (peer, issued) = (peer(seed), Timestamp::new(GENESIS_TIME + issued));
    let message = BindPeer::consent(genesis(&HANDLES).network_id(), account(ledger, index), issued);
    let consent = peer.sign(Domain::PeerBinding, &message);
    Action::BindPeer(BindPeer { peer: peer.public_key(), issued, consent })
}

fn release(seed: u8) -> Action {
    Action::ReleasePeer(ReleasePeer { peer: peer(seed).public_key() })
}

/// A model of northfield, lakeside and hilltop with one version, and the version's artifact.
fn published(ledger: &mut TestLedger, readers: Readers) -> (ModelId, ArtifactId) {
    let mut action = founding(ledger, policy(50, 60));
    action.distribution = Distribution { readers, copies: 0 };
    let model = found(ledger, action);
    let version = version(model, "v1");
    let artifact = version.artifact.address;
    ledger.must(0, Action::PublishVersion(version));
    (model, artifact)
}

fn reads(ledger: &TestLedger, artifact: ArtifactId, seed: u8) -> bool {
    access::may_read(&ledger.state, artifact, &peer(seed).public_key(), ledger.tip.time).expect("state")
}

fn decided(ledger: &mut TestLedger, model: ModelId, action: ModelAction) {
    decide(ledger, model, action, &[0, 1]);
    ledger.block(10_000, vec![]);
}

#[test]
fn a_suspended_account_reads_what_everybody_reads_and_no_more() {
    let mut ledger = ledger();
    let (_, artifact) = published(&mut ledger, Readers::Holders);
    let of_lakeside = bind(&ledger, 1, 1, 5);
    ledger.must(1, of_lakeside);
    assert!(reads(&ledger, artifact, 1));
    let (account, reason) = (account(&ledger, 1), "its key was stolen".to_owned());
    decide_network(&mut ledger, NetworkAction::SuspendAccount(SuspendAccount { account, reason }));
    assert!(!reads(&ledger, artifact, 1), "it holds as much as before");
}

#[test]
fn a_peer_reads_for_the_account_that_it_agreed_to_and_is_bound_to() {
    let mut ledger = ledger();
    let (_, artifact) = published(&mut ledger, Readers::Holders);
    assert!(!reads(&ledger, artifact, 1), "it is nobody's peer");
    let of_lakeside = bind(&ledger, 1, 1, 5);
    assert_eq!(ledger.refused(0, of_lakeside.clone()), "peer_disagrees", "the peer agreed to read for lakeside");
    ledger.must(1, of_lakeside.clone());
    assert!(reads(&ledger, artifact, 1));
    assert!(!reads(&ledger, artifact, 2));
    // Another account takes the peer over with its later word; the earlier account cannot take it back with the old one.
    let of_riverbend = bind(&ledger, 1, 3, 6);
    ledger.must(3, of_riverbend);
    assert!(!reads(&ledger, artifact, 1), "riverbend holds nothing");
    assert_eq!(ledger.refused(1, of_lakeside), "stale_consent");
    assert_eq!(ledger.refused(1, release(1)), "peer_not_bound");
    ledger.must(3, release(1));
    assert_eq!(ledger.read::<PeerBinding>(&peer(1).public_key()).unwrap().account, None);
    assert_eq!(ledger.refused(3, release(1)), "peer_not_bound");
    // What the peer agreed to once is used once.
    let again = bind(&ledger, 1, 3, 6);
    assert_eq!(ledger.refused(3, again), "stale_consent");
    let anew = bind(&ledger, 1, 3, 7);
    ledger.must(3, anew);
}

#[test]
fn an_account_has_a_bounded_number_of_peers() {
    let mut ledger = ledger();
    let all = u8::try_from(limits::PEERS_PER_ACCOUNT).unwrap();
    for seed in 0..all {
        let action = bind(&ledger, seed, 0, 1);
        ledger.must(0, action);
    }
    let one_more = bind(&ledger, all, 0, 1);
    assert_eq!(ledger.refused(0, one_more.clone()), "too_many_peers");
    let again = bind(&ledger, 0, 0, 2);
    ledger.must(0, again);
    ledger.must(0, release(0));
    ledger.must(0, one_more);
}

#[test]
fn whoever_gives_all_shares_away_reads_no_more_from_the_next_block_on() {
    let mut ledger = ledger();
    let (model, artifact) = published(&mut ledger, Readers::Holders);
    let of_hilltop = bind(&ledger, 2, 2, 1);
    ledger.must(2, of_hilltop);
    assert!(reads(&ledger, artifact, 2));
    let to = account(&ledger, 3);
    let give = TransferShares { model, to, units: Units::new(20), reason: String::new() };
    ledger.must(2, Action::TransferShares(give));
    assert!(!reads(&ledger, artifact, 2));
}

#[test]
fn who_publishes_an_address_again_neither_opens_nor_closes_it() {
    let mut ledger = ledger();
    let (restricted, artifact) = published(&mut ledger, Readers::Holders);
    let mut action = founding(&ledger, policy(50, 60));
    action.name = Name::new("copy").unwrap();
    let copy = found(&mut ledger, action);
    ledger.must(0, Action::PublishVersion(version(copy, "v1")));
    let origin: ArtifactOrigin = ledger.read(&artifact).unwrap();
    assert_eq!(origin.model, restricted);
    assert!(!reads(&ledger, artifact, 9), "the copy is public, the original is not");
    let open = Distribution { readers: Readers::Public, copies: 0 };
    decided(&mut ledger, restricted, ModelAction::SetDistribution(SetDistribution { distribution: open }));
    assert!(reads(&ledger, artifact, 9));
    let close = Distribution { readers: Readers::Holders, copies: 0 };
    decided(&mut ledger, copy, ModelAction::SetDistribution(SetDistribution { distribution: close }));
    assert!(reads(&ledger, artifact, 9), "the copy's owners do not decide about it");
    let mut second = version(copy, "v2");
    second.artifact.address = ArtifactId::of(b"v3");
    ledger.must(0, Action::PublishVersion(version(restricted, "v3")));
    assert_eq!(ledger.refused(0, Action::PublishVersion(second)), "artifact_governed", "and learn that they do not");
}

/// Commits to an artifact as northfield.
fn commit(ledger: &mut TestLedger, model: ModelId, artifact: ArtifactId) -> ContentHash {
    let (salt, northfield) = (ContentHash::from_bytes([7; 32]), account(ledger, 0));
    let commitment = commitment(model, northfield, artifact, salt);
    ledger.must(0, Action::CommitArtifact(CommitArtifact { model, commitment }));
    salt
}

/// Another model of northfield's, with these readers.
fn another(ledger: &mut TestLedger, name: &str, readers: Readers) -> ModelId {
    let mut action = founding(ledger, policy(50, 60));
    action.name = Name::new(name).unwrap();
    action.distribution.readers = readers;
    found(ledger, action)
}

#[test]
fn who_hears_an_address_and_is_quick_does_not_govern_it() {
    for (own, strangers) in [(Readers::Holders, Readers::Public), (Readers::Public, Readers::Holders)] {
        let mut ledger = ledger();
        let (model, squat) = (another(&mut ledger, "own", own), another(&mut ledger, "squat", strangers));
        let publication = version(model, "v1");
        let artifact = publication.artifact.address;
        let salt = commit(&mut ledger, model, artifact);
        // The publication waits in the mempool, and lakeside takes the address from it; a commitment is too late as well.
        let (lakeside, quick) = (account(&ledger, 1), ContentHash::from_bytes([8; 32]));
        let claim = CommitArtifact { model: squat, commitment: commitment(squat, lakeside, artifact, quick) };
        ledger.must(1, Action::CommitArtifact(claim));
        ledger.must(1, Action::PublishVersion(PublishVersion { committed: Some(quick), ..version(squat, "v1") }));
        assert_eq!(ledger.read::<ArtifactOrigin>(&artifact).unwrap().model, squat);
        let told = PublishVersion { committed: Some(salt), ..publication };
        let events = ledger.must(0, Action::PublishVersion(told)).events;
        assert!(events.contains(&Event::ArtifactTakenOver { artifact, model, from: squat }), "{events:?}");
        let origin: ArtifactOrigin = ledger.read(&artifact).unwrap();
        assert_eq!((origin.model, origin.since < origin.published), (model, true));
        assert_eq!(reads(&ledger, artifact, 9), own == Readers::Public, "by the terms of who knew it first");
    }
}

#[test]
fn a_commitment_is_of_use_to_its_maker_alone_once_and_for_a_while() {
    let mut ledger = ledger();
    let (model, other) = (another(&mut ledger, "own", Readers::Public), another(&mut ledger, "other", Readers::Public));
    let artifact = version(model, "v1").artifact.address;
    let salt = commit(&mut ledger, model, artifact);
    let told = |model, label: &str| {
        let publication = version(model, label);
        Action::PublishVersion(PublishVersion { committed: Some(salt), ..publication })
    };
    assert_eq!(ledger.refused(1, told(model, "v1")), "not_committed", "northfield made it, not lakeside");
    assert_eq!(ledger.refused(0, told(other, "v1")), "not_committed", "for the one model");
    assert_eq!(ledger.refused(0, told(model, "v2")), "not_committed", "to the one artifact");
    ledger.must(0, told(model, "v1"));
    assert_eq!(ledger.read::<Commitments>(&(model, account(&ledger, 0))), None, "it is used up");

    let late = version(model, "v2").artifact.address;
    commit(&mut ledger, model, late);
    ledger.block(limits::COMMITMENT_MS, vec![]);
    assert_eq!(ledger.refused(0, told(model, "v2")), "not_committed", "nobody hoards claims");
    for number in 0..=limits::COMMITMENTS {
        let commitment = ContentHash::from_bytes([u8::try_from(number).unwrap(); 32]);
        ledger.must(0, Action::CommitArtifact(CommitArtifact { model, commitment }));
    }
    let made = ledger.read::<Commitments>(&(model, account(&ledger, 0))).unwrap().made;
    assert_eq!(
        (made.len(), made[0].hash),
        (limits::COMMITMENTS, ContentHash::from_bytes([1; 32])),
        "the oldest give way"
    );
    let stranger = CommitArtifact { model, commitment: salt };
    assert_eq!(ledger.refused(4, Action::CommitArtifact(stranger)), "not_of_model");
}

#[test]
fn too_many_copies_are_not_asked_for() {
    let mut ledger = ledger();
    founded(&mut ledger, policy(50, 60));
    let mut action = founding(&ledger, policy(50, 60));
    action.name = Name::new("greedy").unwrap();
    action.distribution.copies = limits::COPIES + 1;
    let error = Action::CreateModel(action);
    let transaction = ledger.sign_as(0, error);
    let form = transaction.check_form(genesis(&HANDLES).network_id()).unwrap_err().to_string();
    assert!(form.contains("65 copies"), "{form}");
}
