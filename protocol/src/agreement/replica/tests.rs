//! What one replica does, input by input. The simulator in `tests` covers how several agree under faults.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

use super::*;
use crate::{
    ground::{
        codec::DecodeError,
        crypto::Domain,
        ids::{AccountId, Power, Signature, StateRoot, Timestamp},
    },
    ledger::block::{CommitSignature, VoteBody, VoteKind},
    rules::validator::Validator,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);

/// Four validators in the order in which they propose: the second at height 1, and so on.
struct Four {
    keys: Vec<SigningKey>,
    tip: Tip,
}

impl Four {
    fn new() -> Self {
        let mut keys: Vec<SigningKey> = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        keys.sort_by_key(|key| key.public_key().validator_address());
        let operator = AccountId::from_bytes([0; 32]);
        let validators: Vec<Validator> =
            keys.iter().map(|key| Validator::new(key.public_key(), Power::new(1), operator)).collect();
        let validators: ValidatorSet = validators.try_into().unwrap();
        let tip = Tip {
            network: NETWORK,
            height: Height::ZERO,
            hash: BlockHash::from_bytes(*NETWORK.as_bytes()),
            time: Timestamp::new(1_000),
            state_root: StateRoot::from_bytes([0; 32]),
            validators: validators.clone(),
            next_validators: validators,
        };
        Self { keys, tip }
    }

    fn key_of_proposer(&self, height: u64, round: u32) -> &SigningKey {
        let proposer = self.tip.validators.proposer(Height::new(height), round).address;
        self.keys.iter().find(|key| key.public_key().validator_address() == proposer).unwrap()
    }

    fn block(&self, key: &SigningKey, time: u64) -> Block {
        Block::following(&self.tip, key.public_key().validator_address(), Timestamp::new(time), Vec::new())
    }

    /// A replica with the key of a validator that does not propose in the first round of height 1.
    fn started(&self) -> Replica {
        let mut replica = Replica::new(Some(self.keys[0].clone()), LastSigned::default(), &self.tip);
        replica.step(self.start()).unwrap();
        replica
    }

    fn start(&self) -> Input {
        Input::Start { tip: self.tip.clone(), timeouts: Timeouts::default() }
    }

    fn proposal(&self, round: u32, block: &Block) -> Message {
        let key = self.key_of_proposer(block.header().height.get(), round);
        let mut proposal = SignedProposal {
            round,
            pol_round: None,
            proposer: key.public_key().validator_address(),
            block: block.clone(),
            signature: crate::ground::ids::Signature::from_bytes([0; 64]),
        };
        proposal.signature = key.sign(Domain::Proposal, &proposal.body().signing_bytes());
        Message::Proposal(proposal)
    }
}

fn vote(key: &SigningKey, kind: VoteKind, height: u64, round: u32, block: Option<BlockHash>) -> SignedVote {
    let validator = key.public_key().validator_address();
    let body = VoteBody { network: NETWORK, kind, height: Height::new(height), round, block, validator };
    let signature = key.sign(Domain::Vote, &body.signing_bytes());
    SignedVote { body, signature }
}

fn prevote(key: &SigningKey, height: u64, round: u32, block: Option<BlockHash>) -> Message {
    Message::Vote(vote(key, VoteKind::Prevote, height, round, block))
}

fn precommit(key: &SigningKey, round: u32, block: Option<BlockHash>) -> Message {
    Message::Vote(vote(key, VoteKind::Precommit, 1, round, block))
}

fn published(outputs: &[Output]) -> Vec<&Message> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Publish(message) => Some(message),
            _ => None,
        })
        .collect()
}

fn logged(outputs: &[Output]) -> Vec<LogEntry> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Log(entry) => Some(entry.clone()),
            _ => None,
        })
        .collect()
}

fn checked(block: &Block, valid: bool) -> Input {
    Input::Checked { height: block.header().height, block: block.hash(), certified: false, valid }
}

fn decision(outputs: &[Output]) -> Option<&DecidedBlock> {
    outputs.iter().find_map(|output| match output {
        Output::Decided(decided) => Some(decided),
        _ => None,
    })
}

#[test]
fn a_replica_can_move_between_threads() {
    const fn is_send<T: Send>() {}
    is_send::<Replica>();
}

#[test]
fn votes_only_once_the_host_has_judged_the_block_and_logs_before_it_publishes() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    let outputs = replica.step(Input::Message(four.proposal(0, &block))).unwrap();
    assert!(published(&outputs).is_empty());
    assert!(matches!(&outputs[..], [Output::Log(_), Output::Check { certified: false, .. }]), "{outputs:?}");

    let outputs = replica.step(checked(&block, true)).unwrap();
    let expected = prevote(&four.keys[0], 1, 0, Some(block.hash()));
    assert_eq!(published(&outputs), [&expected]);
    let place = |found: &dyn Fn(&Output) -> bool| outputs.iter().position(found).unwrap();
    let logged = place(&|output| matches!(output, Output::Log(entry) if matches!(entry.record, LogRecord::Vote(_))));
    let signed = place(&|output| matches!(output, Output::Signed(_)));
    let sent = place(&|output| matches!(output, Output::Publish(_)));
    assert!(logged < signed && signed < sent, "{outputs:?}");
}

#[test]
fn an_invalid_block_gets_a_nil_vote_at_once() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    replica.step(Input::Message(four.proposal(0, &block))).unwrap();
    let outputs = replica.step(checked(&block, false)).unwrap();
    assert_eq!(published(&outputs), [&prevote(&four.keys[0], 1, 0, None)]);
}

#[test]
fn a_block_refused_for_its_time_is_judged_again_without_the_clock_once_a_polka_stands_behind_it() {
    let four = Four::new();
    let block = four.block(&four.keys[1], 2_000);
    let hash = Some(block.hash());
    let asks =
        |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Check { certified: true, .. }));
    let again = |valid| Input::Checked { height: Height::new(1), block: block.hash(), certified: true, valid };

    for verdict_first in [true, false] {
        let mut replica = four.started();
        let mut log = logged(&replica.step(Input::Message(four.proposal(0, &block))).unwrap());
        let mut inputs: Vec<Input> =
            four.keys[1..].iter().map(|key| Input::Message(prevote(key, 1, 0, hash))).collect();
        inputs.insert(if verdict_first { 0 } else { 3 }, checked(&block, false));
        let mut outputs = Vec::new();
        for input in inputs {
            outputs = replica.step(input).unwrap();
            log.extend(logged(&outputs));
        }
        assert!(asks(&outputs), "{outputs:?}");
        let key = Some(four.keys[0].clone());
        let recovered = Replica::recover(key, LastSigned::default(), four.tip.clone(), Timeouts::default(), &log);
        assert!(asks(&recovered.unwrap().1), "a restarted replica asks again");

        let outputs = replica.step(again(true)).unwrap();
        assert!(published(&outputs).contains(&&precommit(&four.keys[0], 0, hash)), "{outputs:?}");
    }

    let mut replica = four.started();
    let mut inputs = vec![Input::Message(four.proposal(0, &block)), checked(&block, false)];
    inputs.extend(four.keys[1..].iter().map(|key| Input::Message(prevote(key, 1, 0, hash))));
    inputs.push(again(false));
    let last = inputs.into_iter().map(|input| replica.step(input).unwrap()).next_back().unwrap();
    assert!(!asks(&last), "the host is not asked for ever about a block that breaks another rule");
    assert!(published(&last).is_empty());
}

#[test]
fn the_commit_certificate_is_the_ledgers_own() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    replica.step(Input::Message(four.proposal(0, &block))).unwrap();
    replica.step(checked(&block, true)).unwrap();
    for key in &four.keys[1..3] {
        replica.step(Input::Message(prevote(key, 1, 0, Some(block.hash())))).unwrap();
    }
    replica.step(Input::Message(precommit(&four.keys[1], 0, Some(block.hash())))).unwrap();
    let outputs = replica.step(Input::Message(precommit(&four.keys[2], 0, Some(block.hash())))).unwrap();
    let decided = decision(&outputs).unwrap();
    assert_eq!(decided.block, block);
    assert_eq!(decided.certificate.verify(NETWORK, &four.tip.validators), Ok(()));
    assert!(replica.is_finalized());
    assert!(outputs.iter().any(|output| matches!(output, Output::Finalized { evidence, .. } if evidence.is_empty())));
}

#[test]
fn a_restarted_replica_says_the_same_again_and_no_more() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    let mut log = Vec::new();
    let mut said = Vec::new();
    let mut last_signed = LastSigned::default();
    let inputs = [
        Input::Message(four.proposal(0, &block)),
        checked(&block, true),
        Input::Message(prevote(&four.keys[1], 1, 0, Some(block.hash()))),
        Input::Message(prevote(&four.keys[2], 1, 0, Some(block.hash()))),
    ];
    for input in inputs {
        let outputs = replica.step(input).unwrap();
        log.extend(logged(&outputs));
        said.extend(published(&outputs).into_iter().cloned());
        last_signed = replica.last_signed().clone();
    }
    let log: Vec<LogEntry> = log.iter().map(|entry| LogEntry::decode(&entry.encode()).unwrap()).collect();
    assert_eq!(said.len(), 2, "a prevote and a precommit");

    let recover = |last_signed: LastSigned, log: &[LogEntry]| {
        let key = Some(four.keys[0].clone());
        Replica::recover(key, last_signed, four.tip.clone(), Timeouts::default(), log).unwrap()
    };
    let (recovered, outputs) = recover(last_signed.clone(), &log);
    assert_eq!(published(&outputs).into_iter().cloned().collect::<Vec<_>>(), said);
    assert!(logged(&outputs).is_empty(), "what is in the log is not logged again");
    assert_eq!(recovered.round(), Some(0));

    let (recovered, _) = recover(LastSigned::default(), &log);
    assert_eq!(*recovered.last_signed(), last_signed, "the record is restored from the log");

    // Wherever the log is torn, what is said next was said before, or had not been said.
    for length in 0..log.len() {
        let (_, outputs) = recover(LastSigned::default(), &log[..length]);
        assert!(published(&outputs).iter().all(|message| said.contains(message)), "torn after {length}");
    }
}

#[test]
fn without_its_log_a_key_signs_nothing_else() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    replica.step(Input::Message(four.proposal(0, &block))).unwrap();
    replica.step(checked(&block, true)).unwrap();
    let last_signed = replica.last_signed().clone();

    let mut forgetful = Replica::new(Some(four.keys[0].clone()), last_signed, &four.tip);
    forgetful.step(four.start()).unwrap();
    let propose = Timer { height: Height::new(1), kind: TimerKind::Propose, round: 0 };
    let outputs = forgetful.step(Input::Timeout(propose)).unwrap();
    assert!(published(&outputs).is_empty());
    assert!(outputs.iter().any(|output| matches!(output, Output::Warning(Warning::WithheldSignature { .. }))));
    let again = forgetful.step(Input::Timeout(Timer { kind: TimerKind::Rebroadcast, ..propose })).unwrap();
    assert!(!again.iter().any(|output| matches!(output, Output::Republish(_))));
}

#[test]
fn a_proposer_asked_again_after_a_crash_proposes_the_same_block() {
    let four = Four::new();
    let key = four.key_of_proposer(1, 0).clone();
    let mut replica = Replica::new(Some(key.clone()), LastSigned::default(), &four.tip);
    let outputs = replica.step(four.start()).unwrap();
    assert!(matches!(outputs.last(), Some(Output::Build { round: 0, .. })));
    let block = four.block(&key, 2_000);
    let built = |block: &Block| Input::Built { height: Height::new(1), round: 0, block: block.clone() };
    let outputs = replica.step(built(&block)).unwrap();
    let log = logged(&outputs);
    assert!(published(&outputs).contains(&&four.proposal(0, &block)));

    let whole = |entry: &LogEntry| match &entry.record {
        LogRecord::Verdict { block, .. } | LogRecord::Proposal { block, .. } => matches!(block, LoggedBlock::Whole(_)),
        _ => false,
    };
    assert_eq!(log.iter().filter(|entry| whole(entry)).count(), 1, "a block is written once");

    for length in 0..=log.len() {
        let recovered = Replica::recover(
            Some(key.clone()),
            LastSigned::default(),
            four.tip.clone(),
            Timeouts::default(),
            &log[..length],
        );
        let (_, outputs) = recovered.unwrap();
        if length == 0 {
            assert!(matches!(outputs.last(), Some(Output::Build { round: 0, .. })), "nothing was proposed");
        } else {
            assert!(!outputs.iter().any(|output| matches!(output, Output::Build { .. })));
            let again = outputs.iter().any(|output| {
                matches!(output, Output::Publish(message) | Output::Republish(message)
                    if *message == four.proposal(0, &block))
            });
            assert!(again, "log cut after {length}: {outputs:?}");
        }
    }
}

#[test]
fn a_proposer_handed_two_blocks_for_a_round_proposes_one() {
    let four = Four::new();
    let key = four.key_of_proposer(1, 0).clone();
    let mut replica = Replica::new(Some(key.clone()), LastSigned::default(), &four.tip);
    replica.step(four.start()).unwrap();
    let mut proposed = BTreeSet::new();
    for time in [2_000, 3_000] {
        let block = four.block(&key, time);
        let outputs = replica.step(Input::Built { height: Height::new(1), round: 0, block }).unwrap();
        assert!(!outputs.iter().any(|output| matches!(output, Output::Warning(_))), "{outputs:?}");
        proposed.extend(published(&outputs).into_iter().filter_map(|message| match message {
            Message::Proposal(proposal) => Some(proposal.block.hash()),
            _ => None,
        }));
    }
    assert_eq!(proposed, BTreeSet::from([four.block(&key, 2_000).hash()]));
}

#[test]
fn timers_of_another_height_or_cancelled_are_ignored() {
    let four = Four::new();
    let mut replica = four.started();
    let timer = Timer { height: Height::new(1), kind: TimerKind::Propose, round: 0 };
    for stale in [Timer { height: Height::new(2), ..timer }, Timer { kind: TimerKind::Precommit, ..timer }] {
        assert!(replica.step(Input::Timeout(stale)).unwrap().is_empty());
    }
    let outputs = replica.step(Input::Timeout(timer)).unwrap();
    assert_eq!(published(&outputs), [&prevote(&four.keys[0], 1, 0, None)]);
    assert!(replica.step(Input::Timeout(timer)).unwrap().is_empty(), "it elapsed once");
}

#[test]
fn messages_are_judged_before_the_core_sees_them() {
    let four = Four::new();
    let mut replica = four.started();
    let key = &four.keys[2];
    let stranger = SigningKey::from_seed(&[99; 32]);
    let block = four.block(&four.keys[1], 2_000);

    let mut forged = vote(key, VoteKind::Prevote, 1, 0, None);
    forged.body.block = Some(block.hash());
    let mut elsewhere = vote(key, VoteKind::Prevote, 1, 0, None);
    elsewhere.body.network = NetworkId::from_bytes([2; 32]);
    let Message::Proposal(mut unfounded) = four.proposal(0, &block) else { unreachable!() };
    unfounded.pol_round = Some(0);
    let Message::Proposal(mut usurped) = four.proposal(0, &block) else { unreachable!() };
    let usurper = four.keys.iter().find(|key| key.public_key() != four.key_of_proposer(1, 0).public_key());
    usurped.proposer = usurper.unwrap().public_key().validator_address();
    let polka = |keys: &[SigningKey]| {
        let signatures = keys.iter().map(|key| {
            let vote = vote(key, VoteKind::Prevote, 1, 0, Some(block.hash()));
            crate::ledger::block::CommitSignature { validator: vote.body.validator, signature: vote.signature }
        });
        Message::Polka(PolkaCertificate {
            height: Height::new(1),
            round: 0,
            block: block.hash(),
            signatures: signatures.collect(),
        })
    };

    use Admission::{Accept, Ignore, Reject};
    let cases = [
        (prevote(key, 1, 0, None), Accept),
        (prevote(key, 1, 10, None), Accept),
        (prevote(key, 1, 11, None), Ignore(Ignored::RoundAhead)),
        (prevote(key, 2, 0, None), Accept),
        (prevote(key, 3, 0, None), Ignore(Ignored::Ahead)),
        (prevote(key, 0, 0, None), Ignore(Ignored::Stale)),
        (prevote(&stranger, 1, 0, None), Reject(Rejected::NotValidator)),
        (Message::Vote(forged), Reject(Rejected::Signature)),
        (Message::Vote(elsewhere), Reject(Rejected::Network)),
        (four.proposal(0, &block), Accept),
        (Message::Proposal(unfounded), Reject(Rejected::PolkaRound)),
        (Message::Proposal(usurped), Reject(Rejected::NotProposer)),
        (polka(&four.keys[..3]), Accept),
        (polka(&four.keys[..2]), Reject(Rejected::Signature)),
        (polka(&[key.clone(), key.clone(), key.clone()]), Reject(Rejected::Signature)),
    ];
    for (message, expected) in cases {
        assert_eq!(replica.admit(&message), expected, "{message:?}");
        if expected != Accept {
            assert!(replica.step(Input::Message(message)).unwrap().is_empty());
        }
    }
}

#[test]
fn a_head_is_read_and_judged_whatever_the_body_is() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    let Message::Vote(vote) = prevote(&four.keys[1], 1, 0, Some(block.hash())) else { panic!("a vote") };
    let signed = CommitSignature { validator: vote.body.validator, signature: vote.signature };
    let (height, hash) = (Height::new(1), block.hash());
    let round_vote =
        RoundVote { kind: VoteKind::Prevote, block: None, validator: signed.validator, signature: signed.signature };
    let messages = [
        Message::Vote(vote),
        four.proposal(0, &block),
        Message::Polka(PolkaCertificate { height, round: 3, block: hash, signatures: vec![signed] }),
        Message::Round(RoundCertificate {
            height,
            round: 4,
            kind: RoundCertificateKind::Skip,
            votes: vec![round_vote],
        }),
    ];
    for message in &messages {
        let head = Head::read(&message.encode()).unwrap();
        assert_eq!(head, message.head());
        assert_eq!((head.height(), head.round()), (message.height(), message.round()));
    }

    // Two megabytes between the header and the signature: nothing looks at them before the signature is found good.
    let mut bytes = messages[1].encode();
    let end = bytes.len() - 64;
    bytes.splice(end..end, vec![0xff; 2 << 20]);
    let head = Head::read(&bytes).unwrap();
    assert_eq!(head, messages[1].head());
    assert_eq!(replica.admit_head(&head), Admission::Accept);
    assert!(Message::decode(&bytes).is_err());
    let forged = match head {
        Head::Proposal { body, .. } => Head::Proposal { body, signature: Signature::from_bytes([9; 64]) },
        head => head,
    };
    assert_eq!(replica.admit_head(&forged), Admission::Reject(Rejected::Signature));

    // What has no block is never that long.
    let mut bytes = messages[2].encode();
    bytes.resize(1 << 20, 0);
    assert!(matches!(Head::read(&bytes), Err(MalformedMessage::Decode(DecodeError::TooLong { .. }))));
    assert!(Head::read(&messages[1].encode()[..300]).is_err(), "cut off before the signature");
}

#[test]
fn a_round_tells_whose_votes_it_lacks() {
    let four = Four::new();
    let mut replica = Replica::new(Some(four.keys[0].clone()), LastSigned::default(), &four.tip);
    assert_eq!(replica.lacking(), None, "between heights it waits for nobody");
    replica.step(four.start()).unwrap();
    let lacking = |replica: &Replica, kind: VoteKind, round: u32, keys: &[usize]| {
        let mut validators: Vec<_> = keys.iter().map(|key| four.keys[*key].public_key().validator_address()).collect();
        validators.sort_unstable();
        assert_eq!(replica.lacking(), Some(Lacking { height: Height::new(1), round, kind, validators }));
    };
    lacking(&replica, VoteKind::Prevote, 0, &[0, 1, 2, 3]);
    let block = four.block(&four.keys[1], 2_000);
    replica.step(Input::Message(four.proposal(0, &block))).unwrap();
    replica.step(checked(&block, true)).unwrap();
    lacking(&replica, VoteKind::Prevote, 0, &[1, 2, 3]);
    replica.step(Input::Message(prevote(&four.keys[1], 1, 0, None))).unwrap();
    lacking(&replica, VoteKind::Prevote, 0, &[2, 3]);
    replica.step(Input::Message(prevote(&four.keys[2], 1, 0, Some(block.hash())))).unwrap();
    lacking(&replica, VoteKind::Precommit, 0, &[0, 1, 2, 3]);
    replica.step(Input::Message(precommit(&four.keys[3], 0, None))).unwrap();
    lacking(&replica, VoteKind::Precommit, 0, &[0, 1, 2]);
}

#[test]
fn only_a_vote_that_a_validator_signed_is_a_reason_to_ask_for_blocks() {
    let four = Four::new();
    let replica = four.started();
    let (key, stranger) = (&four.keys[2], SigningKey::from_seed(&[99; 32]));
    let far = vote(key, VoteKind::Prevote, 1_000_000, 7, None);
    let mut forged = far.clone();
    forged.body.height = Height::new(2_000_000);
    let mut elsewhere = far.clone();
    elsewhere.body.network = NetworkId::from_bytes([2; 32]);
    assert!(replica.is_genuine_hint(&Head::Vote(far)));
    assert!(!replica.is_genuine_hint(&Head::Vote(forged)), "anybody can write another height into a vote");
    assert!(!replica.is_genuine_hint(&Head::Vote(elsewhere)));
    assert!(!replica.is_genuine_hint(&prevote(&stranger, 1_000_000, 0, None).head()));
}

#[test]
fn early_messages_are_bounded_and_used_when_their_height_begins() {
    let four = Four::new();
    let mut replica = Replica::new(Some(four.keys[0].clone()), LastSigned::default(), &four.tip);
    assert!(replica.is_finalized(), "it waits at genesis");
    let block = four.block(&four.keys[1], 2_000);
    for _ in 0..3 {
        assert!(replica.step(Input::Message(four.proposal(0, &block))).unwrap().is_empty());
    }
    let others: Vec<Block> = (0..4).map(|later| four.block(&four.keys[1], 3_000 + later)).collect();
    let admissions: Vec<Admission> = others
        .iter()
        .map(|other| {
            let message = four.proposal(0, other);
            let admission = replica.admit(&message);
            replica.step(Input::Message(message)).unwrap();
            admission
        })
        .collect();
    let enough = Admission::Ignore(Ignored::Enough);
    assert_eq!(admissions, [Admission::Accept, enough, enough, enough]);
    let outputs = replica.step(four.start()).unwrap();
    let checks = outputs.iter().filter(|output| matches!(output, Output::Check { .. })).count();
    assert_eq!(checks, 2, "{outputs:?}");
}

#[test]
fn early_votes_of_one_validator_are_bounded() {
    let four = Four::new();
    let mut replica = Replica::new(Some(four.keys[0].clone()), LastSigned::default(), &four.tip);
    let mut taken = 0;
    for number in 0..EARLY_MESSAGES as u64 + 10 {
        let block = BlockHash::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
        let message = prevote(&four.keys[1], 1, 0, Some(block));
        match replica.admit(&message) {
            Admission::Accept => taken += 1,
            admission => assert_eq!(admission, Admission::Ignore(Ignored::Enough)),
        }
        replica.step(Input::Message(message)).unwrap();
    }
    assert_eq!(taken, EARLY_MESSAGES);
    assert_eq!(replica.admit(&prevote(&four.keys[2], 1, 0, None)), Admission::Accept, "others are not held up");
}

#[test]
fn certificates_weigh_power_and_are_of_the_votes_that_they_name() {
    let mut four = Four::new();
    let powers = [5, 1, 1, 1];
    let operator = AccountId::from_bytes([0; 32]);
    let validators: Vec<Validator> = four
        .keys
        .iter()
        .zip(powers)
        .map(|(key, power)| Validator::new(key.public_key(), Power::new(power), operator))
        .collect();
    four.tip.validators = validators.try_into().unwrap();
    let mut replica = four.started();
    let mut admit = |kind, of: VoteKind, keys: &[SigningKey]| {
        let votes = keys.iter().map(|key| {
            let vote = vote(key, of, 1, 0, None);
            let VoteBody { kind, block, validator, .. } = vote.body;
            RoundVote { kind, block, validator, signature: vote.signature }
        });
        let (height, votes) = (Height::new(1), votes.collect());
        replica.admit(&Message::Round(RoundCertificate { height, round: 0, kind, votes }))
    };
    use Admission::{Accept, Reject};
    use RoundCertificateKind::{Precommit, Skip};
    let weak = Reject(Rejected::Signature);
    // Three of four have three of eight; with the first they have all.
    assert_eq!(admit(Precommit, VoteKind::Precommit, &four.keys[1..]), weak);
    assert_eq!(admit(Precommit, VoteKind::Precommit, &four.keys[..2]), Accept);
    assert_eq!(admit(Precommit, VoteKind::Prevote, &four.keys), weak, "prevotes end no round");
    assert_eq!(admit(Skip, VoteKind::Prevote, &four.keys[1..]), Accept, "more than a third");
    assert_eq!(admit(Skip, VoteKind::Prevote, &four.keys[1..3]), weak);
}

#[test]
fn remembered_signatures_are_not_checked_again() {
    let four = Four::new();
    let mut replica = four.started();
    let message = prevote(&four.keys[1], 1, 0, None);
    replica.admit(&message);
    assert_eq!(replica.effects.verified_count, 1);
    replica.step(Input::Message(message)).unwrap();
    assert_eq!(replica.effects.verified_count, 1);
}

#[test]
fn an_observer_decides_and_says_nothing() {
    let four = Four::new();
    for key in [None, Some(SigningKey::from_seed(&[77; 32]))] {
        let mut observer = Replica::new(key, LastSigned::default(), &four.tip);
        let block = four.block(&four.keys[1], 2_000);
        let mut inputs = vec![four.start(), Input::Message(four.proposal(0, &block)), checked(&block, true)];
        inputs.extend(four.keys[..3].iter().map(|key| Input::Message(prevote(key, 1, 0, Some(block.hash())))));
        inputs.extend(four.keys[..3].iter().map(|key| Input::Message(precommit(key, 0, Some(block.hash())))));
        let outputs: Vec<Output> = inputs.into_iter().flat_map(|input| observer.step(input).unwrap()).collect();
        assert!(!observer.is_validator());
        assert!(published(&outputs).is_empty());
        assert!(!outputs.iter().any(|output| matches!(output, Output::Signed(_) | Output::Build { .. })));
        assert_eq!(decision(&outputs).unwrap().block, block);
    }
}

#[test]
fn a_decided_block_from_another_peer_is_checked_without_the_clock() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    let certificate = crate::ledger::block::CommitCertificate {
        height: Height::new(1),
        round: 3,
        block: block.hash(),
        signatures: four.keys[1..]
            .iter()
            .map(|key| {
                let vote = vote(key, VoteKind::Precommit, 1, 3, Some(block.hash()));
                crate::ledger::block::CommitSignature { validator: vote.body.validator, signature: vote.signature }
            })
            .collect(),
    };
    let good = DecidedBlock { block: block.clone(), certificate };
    let refused = |outputs: &[Output]| matches!(outputs, [Output::SyncRejected { .. }]);

    let mut weak = good.clone();
    weak.certificate.signatures.pop();
    assert!(refused(&replica.step(Input::Synced(weak)).unwrap()));
    let other = DecidedBlock { block: four.block(&four.keys[2], 9_000), ..good.clone() };
    assert!(refused(&replica.step(Input::Synced(other)).unwrap()));

    let outputs = replica.step(Input::Synced(good.clone())).unwrap();
    assert!(outputs.iter().any(|output| matches!(output, Output::Check { certified: true, .. })), "{outputs:?}");
    let verdict = Input::Checked { height: Height::new(1), block: block.hash(), certified: true, valid: true };
    let outputs = replica.step(verdict).unwrap();
    assert_eq!(decision(&outputs), Some(&good));
    assert!(replica.step(Input::Synced(good)).unwrap().is_empty(), "the height is over");
}

#[test]
fn hosts_that_start_wrongly_are_stopped() {
    let four = Four::new();
    let mut replica = four.started();
    let again = replica.step(four.start()).unwrap_err();
    assert_eq!(again, ReplicaError::StartedAgain { start: Height::new(1), current: Height::new(1) });

    let mut other = Replica::new(None, LastSigned::default(), &four.tip);
    let tip = Tip { network: NetworkId::from_bytes([2; 32]), ..four.tip.clone() };
    let wrong = other.step(Input::Start { tip, timeouts: Timeouts::default() }).unwrap_err();
    assert_eq!(wrong, ReplicaError::Network(NetworkId::from_bytes([2; 32])));

    let entry = |height| LogEntry {
        height: Height::new(height),
        record: LogRecord::Timeout { kind: TimerKind::Propose, round: 0 },
    };
    let recover = |tip_height, log: &[LogEntry]| {
        let tip = Tip { height: Height::new(tip_height), ..four.tip.clone() };
        Replica::recover(None, LastSigned::default(), tip, Timeouts::default(), log)
            .map(|(replica, _)| replica.height())
    };
    assert_eq!(recover(4, &[entry(4), entry(5)]), Ok(Height::new(5)), "entries of a decided height are left out");
    let ahead = ReplicaError::LogAhead { entry: Height::new(6), tip: Height::new(4) };
    assert_eq!(recover(4, &[entry(6)]), Err(ahead));
}

#[test]
fn a_log_that_leads_elsewhere_stops_the_replica() {
    let four = Four::new();
    let block = four.block(&four.keys[1], 2_000);
    let mut replica = four.started();
    let mut log = Vec::new();
    for input in [Input::Message(four.proposal(0, &block)), checked(&block, true)] {
        log.extend(logged(&replica.step(input).unwrap()));
    }
    // The key signed nil where the log leads to a vote for the block.
    for entry in &mut log {
        if matches!(entry.record, LogRecord::Vote(_)) {
            entry.record = LogRecord::Vote(vote(&four.keys[0], VoteKind::Prevote, 1, 0, None));
        }
    }
    let key = Some(four.keys[0].clone());
    let recovered = Replica::recover(key, LastSigned::default(), four.tip, Timeouts::default(), &log);
    assert!(matches!(recovered.map(|_| ()), Err(ReplicaError::Divergence(_))));
}

#[test]
fn a_vote_says_who_voted_twice() {
    let four = Four::new();
    let mut replica = four.started();
    let block = four.block(&four.keys[1], 2_000);
    let hash = Some(block.hash());
    let mut inputs = vec![Input::Message(four.proposal(0, &block)), checked(&block, true)];
    inputs.extend([&four.keys[1], &four.keys[2]].map(|key| Input::Message(prevote(key, 1, 0, hash))));
    inputs.push(Input::Message(prevote(&four.keys[3], 1, 0, None)));
    inputs.push(Input::Message(prevote(&four.keys[3], 1, 0, hash)));
    inputs.extend([&four.keys[1], &four.keys[2]].map(|key| Input::Message(precommit(key, 0, hash))));
    let outputs: Vec<Output> = inputs.into_iter().flat_map(|input| replica.step(input).unwrap()).collect();
    let evidence: Vec<&DoubleSign> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Finalized { evidence, .. } => Some(evidence),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0].verify(NETWORK, &four.keys[3].public_key()), Ok(()));
}

#[test]
fn absurd_messages_are_malformed() {
    let four = Four::new();
    let key = &four.keys[1];
    let message = prevote(key, 1, 0, None);
    assert_eq!(Message::decode(&message.encode()), Ok(message));
    assert_eq!(Message::decode(&prevote(key, 1, ROUNDS, None).encode()), Err(MalformedMessage::Round(ROUNDS)));
    let one = crate::ledger::block::CommitSignature {
        validator: key.public_key().validator_address(),
        signature: crate::ground::ids::Signature::from_bytes([0; 64]),
    };
    let crowd = limits::VALIDATORS + 1;
    let polka = PolkaCertificate {
        height: Height::new(1),
        round: 0,
        block: BlockHash::from_bytes([0; 32]),
        signatures: vec![one; crowd],
    };
    assert_eq!(Message::decode(&Message::Polka(polka).encode()), Err(MalformedMessage::Signatures(crowd)));

    let block = four.block(key, 2_000);
    let mut header = block.header().clone();
    header.transactions_root = crate::ground::ids::TransactionsRoot::from_bytes([9; 32]);
    let swapped = Block::new(header, Vec::new());
    let hash = swapped.hash();
    assert_eq!(Message::decode(&four.proposal(0, &swapped).encode()), Err(MalformedMessage::Transactions(hash)));
}

proptest! {
    #[test]
    fn decoding_damaged_messages_never_panics(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
        let four = Four::new();
        let mut bytes = four.proposal(0, &four.block(&four.keys[1], 2_000)).encode();
        if let Some(damaged) = bytes.get_mut(at) {
            *damaged = byte;
        }
        let _ = Message::decode(&bytes);
        bytes.truncate(cut);
        let _ = Message::decode(&bytes);
    }
}
