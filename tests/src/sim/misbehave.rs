//! Validators that break the rules. Each still runs an honest replica, so that it knows what to say when.

use allod_protocol::{
    agreement::replica::{Message, SignedProposal, SignedVote},
    ground::{
        crypto::{Domain, SigningKey},
        ids::{BlockHash, Signature, StateRoot},
    },
    ledger::block::{Block, DecidedBlock},
};

/// How a peer behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// By the rules.
    #[default]
    Honest,
    /// Never starts.
    Dead,
    /// Follows, but says nothing.
    Silent,
    /// Says one thing to some and another to others.
    Equivocator,
    /// Proposes blocks that break a rule.
    BadProposer,
    /// Serves decided blocks with forged certificates, and relays forged votes.
    Liar,
}

/// The message that contradicts `message`, signed by the same key; certificates have none.
pub fn twin(message: &Message, key: &SigningKey) -> Option<Message> {
    match message {
        Message::Vote(vote) => {
            let mut body = vote.body.clone();
            body.block = match body.block {
                None => Some(BlockHash::from_bytes([7; 32])),
                Some(_) => None,
            };
            let signature = key.sign(Domain::Vote, &body.signing_bytes());
            Some(Message::Vote(SignedVote { body, signature }))
        }
        Message::Proposal(proposal) => {
            let mut header = proposal.block.header().clone();
            header.time = header.time.plus_ms(1);
            let block = Block::new(header, proposal.block.transactions().to_vec());
            let mut twin = SignedProposal { block, pol_round: None, ..proposal.clone() };
            twin.signature = key.sign(Domain::Proposal, &twin.body().signing_bytes());
            Some(Message::Proposal(twin))
        }
        Message::Polka(_) | Message::Round(_) => None,
    }
}

/// The same proposal of a block that no honest validator finds valid.
pub fn spoiled(message: &Message, key: &SigningKey) -> Option<Message> {
    let Message::Proposal(proposal) = message else { return None };
    let mut header = proposal.block.header().clone();
    header.state_root = StateRoot::from_bytes([0xee; 32]);
    let block = Block::new(header, proposal.block.transactions().to_vec());
    let mut spoiled = SignedProposal { block, ..proposal.clone() };
    spoiled.signature = key.sign(Domain::Proposal, &spoiled.body().signing_bytes());
    Some(Message::Proposal(spoiled))
}

/// The same vote with another's name and no signature of theirs.
pub fn forged(message: &Message) -> Option<Message> {
    let Message::Vote(vote) = message else { return None };
    let mut forged = vote.clone();
    forged.body.block = Some(BlockHash::from_bytes([9; 32]));
    forged.signature = Signature::from_bytes([3; 64]);
    Some(Message::Vote(forged))
}

/// The same decided block with a certificate that proves nothing, or another block under the true certificate.
pub fn forged_decision(decided: &DecidedBlock) -> DecidedBlock {
    let mut forged = decided.clone();
    if forged.certificate.height.get().is_multiple_of(2) {
        if let Some(commit) = forged.certificate.signatures.first_mut() {
            commit.signature = Signature::from_bytes([5; 64]);
        }
    } else {
        let mut header = forged.block.header().clone();
        header.time = header.time.plus_ms(9);
        forged.block = Block::new(header, forged.block.transactions().to_vec());
    }
    forged
}
