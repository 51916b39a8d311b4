//! Consensus messages, the consensus log, the last-signed record, proofs of signing twice.

use super::{
    Read, Vector, chain,
    fixed::*,
    human, network,
    variants::{double_sign, log_record, logged_block, message, round_certificate_kind, timer_kind},
    vector, vector_read,
};
use allod_protocol::{
    agreement::{
        bft::ProposalBody,
        host::gossip,
        replica::{
            DoubleSign, LastSigned, LogEntry, LogRecord, LoggedBlock, Message, PolkaCertificate, RoundCertificate,
            RoundCertificateKind, RoundVote, SignedKind, SignedProposal, SignedVote, TimerKind,
            evidence::SignedProposalBody,
        },
    },
    ground::{
        codec,
        crypto::Domain,
        ids::{BlockHash, Height, Signature},
    },
    ledger::block::{Block, CommitSignature, VoteBody, VoteKind},
};

fn read_message(bytes: &[u8]) -> Result<Read, String> {
    let message = Message::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Read { json: human(&message), bytes: message.encode() })
}

fn read_push(bytes: &[u8]) -> Result<Read, String> {
    let decided = gossip::decode_push(bytes).map_err(|error| error.to_string())?;
    gossip::open_push(bytes).map_err(|error| error.to_string())?;
    let json = human(&(&decided.certificate, &decided.block));
    Ok(Read { json, bytes: gossip::encode_push(&decided) })
}

fn vote(kind: VoteKind, block: Option<BlockHash>) -> SignedVote {
    let signer = key(0xa1);
    let validator = signer.public_key().validator_address();
    let body = VoteBody { network: network(), kind, height: Height::new(1), round: 2, block, validator };
    let signature = signer.sign(Domain::Vote, &body.signing_bytes());
    SignedVote { body, signature }
}

fn block() -> Block {
    chain().ledger.block(Height::new(1)).expect("a block").block.clone()
}

fn proposal(pol_round: Option<u32>) -> SignedProposal {
    let signer = key(0xa1);
    let (block, proposer) = (block(), signer.public_key().validator_address());
    let unsigned = SignedProposal { round: 2, pol_round, proposer, block, signature: Signature::from_bytes([0; 64]) };
    let signature = signer.sign(Domain::Proposal, &unsigned.body().signing_bytes());
    SignedProposal { signature, ..unsigned }
}

fn polka() -> PolkaCertificate {
    let SignedVote { body, signature } = vote(VoteKind::Prevote, Some(BLOCK));
    let signatures = vec![CommitSignature { validator: body.validator, signature }];
    PolkaCertificate { height: body.height, round: body.round, block: BLOCK, signatures }
}

fn round_certificate(kind: RoundCertificateKind) -> RoundCertificate {
    let SignedVote { body, signature } = vote(VoteKind::Precommit, None);
    let vote = RoundVote { kind: body.kind, block: body.block, validator: body.validator, signature };
    RoundCertificate { height: body.height, round: body.round, kind, votes: vec![vote] }
}

fn double_signs() -> [DoubleSign; 2] {
    let body = |signed: SignedProposal| -> SignedProposalBody {
        SignedProposalBody { body: signed.body(), signature: signed.signature }
    };
    [
        DoubleSign::Votes(vote(VoteKind::Prevote, Some(BLOCK)), vote(VoteKind::Prevote, None)),
        DoubleSign::Proposals(body(proposal(None)), body(proposal(Some(1)))),
    ]
}

pub(super) fn messages() -> Vec<Vector> {
    let kinds = [RoundCertificateKind::Skip, RoundCertificateKind::Precommit];
    let [skip, precommit] = kinds.map(round_certificate);
    let body: ProposalBody = proposal(Some(1)).body();
    let chain = chain();
    let decided = chain.ledger.block(Height::new(1)).expect("a block");
    let named = |case: &str, one: Message| vector_read(format!("message.{}{case}", message(&one)), &one, read_message);
    let mut vectors = vec![
        named("", Message::Vote(vote(VoteKind::Prevote, Some(BLOCK)))),
        named(".nil", Message::Vote(vote(VoteKind::Precommit, None))),
        named("", Message::Proposal(proposal(None))),
        named(".again", Message::Proposal(proposal(Some(1)))),
        named("", Message::Polka(polka())),
        named("", Message::Round(skip)),
        named(".precommit", Message::Round(precommit)),
        vector("proposal_body", &body),
        vector_read("pushed_block".to_owned(), &(&decided.certificate, &decided.block), read_push),
    ];
    vectors.extend(
        kinds.iter().map(|kind| vector(format!("round_certificate_kind.{}", round_certificate_kind(kind)), kind)),
    );
    vectors.extend(double_signs().iter().map(|one| vector(format!("double_sign.{}", double_sign(one)), one)));
    vectors
}

fn log_records() -> [LogRecord; 5] {
    let SignedProposal { round, pol_round, proposer, block, signature } = proposal(Some(1));
    let earlier = LoggedBlock::Earlier(block.hash());
    [
        LogRecord::Vote(vote(VoteKind::Prevote, Some(BLOCK))),
        LogRecord::Proposal { round, pol_round, proposer, block: LoggedBlock::Whole(block), signature },
        LogRecord::Polka(polka()),
        LogRecord::Timeout { kind: TimerKind::Precommit, round },
        LogRecord::Verdict { round, pol_round: None, proposer, block: earlier, valid: true },
    ]
}

/// A record that has signed all three messages of a round.
fn last_signed() -> LastSigned {
    let mut last = LastSigned::default();
    let (proposal, prevote) = (proposal(None).body(), vote(VoteKind::Prevote, Some(BLOCK)).body);
    let precommit = vote(VoteKind::Precommit, None).body;
    let height = Height::new(1);
    assert!(
        last.permits(SignedKind::Proposal, height, 2, &proposal.signing_bytes())
            && last.permits(SignedKind::Prevote, height, 2, &prevote.signing_bytes())
            && last.permits(SignedKind::Precommit, height, 2, &precommit.signing_bytes()),
        "three different messages of one round"
    );
    last
}

pub(super) fn log() -> Vec<Vector> {
    let height = Height::new(1);
    let entry = |record| LogEntry { height, record };
    let mut vectors: Vec<Vector> = log_records()
        .into_iter()
        .map(|record| vector(format!("log_record.{}", log_record(&record)), &entry(record)))
        .collect();
    let timers = [TimerKind::Propose, TimerKind::Prevote, TimerKind::Precommit, TimerKind::Rebroadcast];
    vectors.extend(timers.iter().map(|kind| vector(format!("timer_kind.{}", timer_kind(kind)), kind)));
    let blocks = [LoggedBlock::Whole(block()), LoggedBlock::Earlier(BLOCK)];
    vectors.extend(blocks.iter().map(|one| vector(format!("logged_block.{}", logged_block(one)), one)));
    vectors.push(vector("last_signed.never", &LastSigned::default()));
    vectors.push(vector("last_signed.all", &last_signed()).with("length_bytes", codec::encode(&last_signed()).len()));
    vectors
}
