//! A short history, and what holders of old keys can do with it.

use super::*;
use crate::{
    ground::{
        crypto::{Domain, SigningKey},
        ids::{AccountId, Power, TransactionsRoot},
    },
    ledger::block::{CommitSignature, VoteBody, VoteKind},
    rules::validator::Validator,
};

const NETWORK: NetworkId = NetworkId::from_bytes([7; 32]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn set(seeds: &[u8]) -> ValidatorSet {
    let validator =
        |seed: &u8| Validator::new(key(*seed).public_key(), Power::new(1), AccountId::from_bytes([*seed; 32]));
    ValidatorSet::try_from(seeds.iter().map(validator).collect::<Vec<_>>()).expect("a set")
}

/// The seeds of the keys that decide a height: the founders up to height 5, others after that.
fn seeds(height: u64) -> &'static [u8] {
    if height <= 5 { &[1, 2, 3, 4] } else { &[5, 6, 7, 8] }
}

fn header(height: u64, parent: BlockHash, state: u8, next: &[u8]) -> Header {
    Header {
        network: NETWORK,
        height: Height::new(height),
        time: Timestamp::new(height.saturating_mul(1_000)),
        proposer: key(1).public_key().validator_address(),
        parent,
        transactions_root: TransactionsRoot::from_bytes([0; 32]),
        state_root: StateRoot::from_bytes([state; 32]),
        validators: set(seeds(height)).hash(),
        next_validators: set(next).hash(),
    }
}

fn certify(header: &Header, signers: &[u8]) -> CertifiedHeader {
    let block = header.hash();
    let sign = |seed: &u8| {
        let validator = key(*seed).public_key().validator_address();
        let body = VoteBody {
            network: header.network,
            kind: VoteKind::Precommit,
            height: header.height,
            round: 0,
            block: Some(block),
            validator,
        };
        CommitSignature { validator, signature: key(*seed).sign(Domain::Vote, &body.signing_bytes()) }
    };
    let signatures = signers.iter().map(sign).collect();
    let certificate = CommitCertificate { height: header.height, round: 0, block, signatures };
    CertifiedHeader { header: header.clone(), certificate }
}

/// Headers 1 to 12; the founders hand over after 5.
fn history() -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for height in 1..=12 {
        let parent = headers.last().map_or(BlockHash::from_bytes(*NETWORK.as_bytes()), Header::hash);
        headers.push(header(height, parent, 0, seeds(height.saturating_add(1))));
    }
    headers
}

fn at(height: u64) -> Header {
    history().into_iter().find(|header| header.height.get() == height).expect("a header of the history")
}

fn checkpoint(height: u64) -> Checkpoint {
    Checkpoint::of(&at(height))
}

fn change() -> ValidatorChange {
    ValidatorChange { announced: certify(&at(5), &[1, 2, 3]), validators: set(&[5, 6, 7, 8]) }
}

/// The true proof of height 10, linked to these heights.
fn proof(links: &[u64]) -> RootProof {
    let links = links.iter().map(|height| at(*height)).collect();
    RootProof { changes: vec![change()], header: certify(&at(10), &[5, 6, 7]), links }
}

fn verify(proof: &RootProof, checkpoint: Option<Checkpoint>) -> Result<TrustedRoot, InvalidProof> {
    proof.verify_from(NETWORK, &set(&[1, 2, 3, 4]), checkpoint)
}

#[test]
fn says_who_signed_and_on_what_that_rests() {
    let root = verify(&proof(&[]), None).expect("a true proof");
    assert_eq!((root.height, root.block, root.time), (Height::new(9), checkpoint(10), Timestamp::new(10_000)));
    let (three, four) = (Power::new(3), Power::new(4));
    assert_eq!(root.signers, Signers { signed: 3, validators: 4, signed_power: three, total_power: four });
    assert_eq!((root.trust, root.believed_changes), (Trust::GenesisOnly, 1));
    for (height, links, believed) in [(3, vec![3], 1), (5, vec![], 0), (8, vec![2, 8], 0), (10, vec![], 0)] {
        let root = verify(&proof(&links), Some(checkpoint(height))).expect("tied");
        assert_eq!((root.trust, root.believed_changes), (Trust::Checkpoint(checkpoint(height)), believed), "{height}");
    }
    let later = verify(&proof(&[11, 12]), Some(checkpoint(12))).expect("tied by the hashes of parents");
    assert_eq!((later.height, later.believed_changes), (Height::new(9), 0));
}

/// Three of the four founders, retired since height 5, write another history from their last height on.
fn forged(links: Vec<Header>) -> RootProof {
    let announced = header(5, at(4).hash(), 66, &[91]);
    let last = Header { validators: set(&[91]).hash(), ..header(10, at(9).hash(), 66, &[91]) };
    RootProof {
        changes: vec![ValidatorChange { announced: certify(&announced, &[1, 2, 3]), validators: set(&[91]) }],
        header: certify(&last, &[91]),
        links,
    }
}

#[test]
fn retired_founders_forge_what_the_genesis_alone_accepts_and_no_checkpoint_does() {
    let root = verify(&forged(vec![]), None).expect("nothing contradicts it");
    assert_eq!((root.state_root, root.trust), (StateRoot::from_bytes([66; 32]), Trust::GenesisOnly));
    assert_eq!(root.believed_changes, 1, "and it says that old signatures had to be believed");

    // After their time: with no header of the checkpoint, with the true one, and with one of their own.
    let untied = InvalidProof::NotTied { checkpoint: Height::new(8), header: Height::new(10) };
    assert_eq!(verify(&forged(vec![]), Some(checkpoint(8))), Err(untied));
    assert_eq!(verify(&forged(vec![at(8)]), Some(checkpoint(8))), Err(InvalidProof::ValidatorSet(Height::new(8))));
    let theirs = Header { validators: set(&[91]).hash(), ..header(8, at(7).hash(), 66, &[91]) };
    let forked = InvalidProof::Forked { checkpoint: checkpoint(8), found: Checkpoint::of(&theirs) };
    assert_eq!(verify(&forged(vec![theirs]), Some(checkpoint(8))), Err(forked));
    // At the height of their last signature: the true header next to theirs does not hide it.
    for links in [vec![], vec![at(5)]] {
        verify(&forged(links), Some(checkpoint(5))).expect_err("their header of 5 is not the true one");
    }
    // At the header itself, and after it.
    assert!(matches!(verify(&forged(vec![]), Some(checkpoint(10))), Err(InvalidProof::Forked { .. })));
    let parent = Err(InvalidProof::Parent(Height::new(11)));
    assert_eq!(verify(&forged(vec![at(11), at(12)]), Some(checkpoint(12))), parent);
}

#[test]
fn founders_who_never_handed_over_are_told_by_the_set_of_the_checkpoint() {
    // They deny the change altogether and continue to decide.
    let last = Header { validators: set(&[1, 2, 3, 4]).hash(), ..header(10, at(9).hash(), 66, &[1, 2, 3, 4]) };
    let denied = |links| RootProof { changes: vec![], header: certify(&last, &[1, 2, 3]), links };
    verify(&denied(vec![]), None).expect("nothing contradicts it");
    assert_eq!(verify(&denied(vec![at(5)]), Some(checkpoint(5))), Err(InvalidProof::ValidatorSet(Height::new(5))));
    assert_eq!(verify(&denied(vec![at(8)]), Some(checkpoint(8))), Err(InvalidProof::ValidatorSet(Height::new(8))));
    // A checkpoint before they were replaced settles nothing about that: the sets after it are trusted.
    let root = verify(&denied(vec![at(4)]), Some(checkpoint(4))).expect("their keys were in force then");
    assert_eq!(root.believed_changes, 0);
}

#[test]
fn a_checkpoint_is_of_this_network_and_of_a_height_that_the_proof_has() {
    let other = Checkpoint { height: Height::new(8), block: BlockHash::from_bytes([9; 32]) };
    let found = checkpoint(8);
    assert_eq!(verify(&proof(&[8]), Some(other)), Err(InvalidProof::Forked { checkpoint: other, found }));
    let moved = Checkpoint { height: Height::new(7), ..found };
    let untied = InvalidProof::NotTied { checkpoint: Height::new(7), header: Height::new(10) };
    assert_eq!(verify(&proof(&[8]), Some(moved)), Err(untied));
    let genesis = Checkpoint { height: Height::ZERO, block: BlockHash::from_bytes(*NETWORK.as_bytes()) };
    assert_eq!(verify(&proof(&[]), Some(genesis)), Err(InvalidProof::NotACheckpoint));
    // A header of another network at the right height and with the trusted hash: the deed does not belong to this
    // network.
    let foreign = Header { network: NetworkId::from_bytes([8; 32]), ..at(8) };
    let mut strange = proof(&[]);
    strange.links.push(foreign.clone());
    let refused = verify(&strange, Some(Checkpoint::of(&foreign)));
    assert!(matches!(refused, Err(InvalidProof::Network { .. })), "{refused:?}");
}

#[test]
fn links_are_in_order_and_without_gaps_after_the_header() {
    let order = |height| Err(InvalidProof::Order(Height::new(height)));
    let parent = |height| Err(InvalidProof::Parent(Height::new(height)));
    for (links, refusal) in [
        (vec![8, 8], order(8)),
        (vec![8, 7], order(7)),
        (vec![10], order(10)),
        (vec![12], parent(12)),
        (vec![11, 8], order(8)),
    ] {
        assert_eq!(verify(&proof(&links), None), refusal, "{links:?}");
    }
    // A header at the right height with a different parent.
    let mut broken = proof(&[11]);
    broken.links.push(header(12, at(10).hash(), 0, seeds(13)));
    assert_eq!(verify(&broken, None), parent(12));
    let mut many = proof(&[]);
    many.links = vec![at(8); limits::DEED_LINKS + 1];
    assert!(matches!(verify(&many, None), Err(InvalidProof::TooMany { .. })));
}

#[test]
fn two_of_four_retired_or_not_sign_nothing() {
    let mut weak = proof(&[]);
    weak.header = certify(&at(10), &[5, 6]);
    assert!(matches!(verify(&weak, Some(checkpoint(10))), Err(InvalidProof::Certificate { .. })));
    let mut old = proof(&[]);
    old.header = certify(&at(10), &[1, 2, 3, 4]);
    assert!(matches!(verify(&old, None), Err(InvalidProof::Certificate { .. })));
}

#[test]
fn a_set_is_the_one_that_was_announced_by_those_before_it() {
    let with = |change: ValidatorChange| RootProof { changes: vec![change], ..proof(&[]) };
    let announced = |signers: &[u8]| ValidatorChange { announced: certify(&at(5), signers), ..change() };
    assert!(verify(&with(announced(&[1, 2, 3])), None).is_ok());
    let at_five = Height::new(5);
    for signers in [&[1, 2][..], &[5, 6, 7]] {
        let refused = verify(&with(announced(signers)), None);
        assert!(matches!(refused, Err(InvalidProof::Certificate { height, .. }) if height == at_five), "{refused:?}");
    }
    // A true header beside a set that it does not announce, which signs the last one.
    let other = ValidatorChange { validators: set(&[91]), ..change() };
    let last = Header { validators: set(&[91]).hash(), ..header(10, at(9).hash(), 66, &[91]) };
    let forged = RootProof { header: certify(&last, &[91]), ..with(other) };
    assert_eq!(verify(&forged, None), Err(InvalidProof::ValidatorSet(at_five)));
    // The set in force signs a header that names another.
    let unlike = Header { validators: set(&[1, 2, 3, 4]).hash(), ..at(10) };
    let unlike = RootProof { header: certify(&unlike, &[5, 6, 7]), ..proof(&[]) };
    assert_eq!(verify(&unlike, None), Err(InvalidProof::ValidatorSet(Height::new(10))));
}

#[test]
fn a_checkpoint_has_one_text() {
    let one = checkpoint(8);
    assert_eq!(one.to_string().parse(), Ok(one));
    assert_eq!(format!(" {one}\n").parse(), Ok(one), "as it is pasted");
    let hash = one.block;
    for text in ["", "8", ":", "8:", &format!(":{hash}"), &format!("+8:{hash}"), &format!("-8:{hash}"), "8:abc"] {
        assert!(text.parse::<Checkpoint>().is_err(), "{text:?}");
    }
}
