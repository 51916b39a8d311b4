//! Validators that break the rules, a kind a file. Each still runs an honest host, so that it knows what to say when;
//! what it does differently stands in the hooks of [`Misbehaviour`].

mod amnesiac;
mod equivocator;
mod impersonator;
mod invalid_proposer;
mod liar;
mod selective;
mod silent;
mod spammer;
mod withholder;

use super::store::Store;
use allod_protocol::{
    agreement::{
        host::Channel,
        replica::{Message, SignedProposal, SignedVote},
    },
    ground::{
        crypto::{Domain, SigningKey},
        ids::{BlockHash, Height, Signature, ValidatorAddress},
    },
    ledger::block::{Block, DecidedBlock, Tip, VoteBody, VoteKind},
};
use rand_chacha::ChaCha8Rng;

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
    /// Forgets what it signed and what it is locked on.
    Amnesiac,
    /// Proposes, and sends the block to nobody, or to some.
    Withholder,
    /// Proposes blocks that break a rule, each time another one.
    InvalidProposer,
    /// Serves decided blocks that are not, and forges votes in others' names.
    Liar,
    /// Speaks of heights and rounds that are far away, signed and unsigned.
    Spammer,
    /// Goes on voting with its first key, whatever set is in force.
    Impersonator,
    /// Has to do with some peers only, at each height with others.
    Selective,
    /// Runs with the key of that peer, which runs too: neither knows of the other. Both count as one that breaks the rules.
    Double(usize),
}

impl Behaviour {
    /// Every kind that one validator among others can have by itself.
    pub const KINDS: [Self; 11] = [
        Self::Honest,
        Self::Dead,
        Self::Silent,
        Self::Equivocator,
        Self::Amnesiac,
        Self::Withholder,
        Self::InvalidProposer,
        Self::Liar,
        Self::Spammer,
        Self::Impersonator,
        Self::Selective,
    ];

    /// What it does differently.
    pub(super) fn hooks(self) -> Box<dyn Misbehaviour> {
        match self {
            Self::Honest | Self::Dead | Self::Double(_) => Box::new(Regular),
            Self::Silent => Box::new(silent::Silent),
            Self::Equivocator => Box::new(equivocator::Equivocator),
            Self::Amnesiac => Box::<amnesiac::Amnesiac>::default(),
            Self::Withholder => Box::new(withholder::Withholder),
            Self::InvalidProposer => Box::new(invalid_proposer::InvalidProposer),
            Self::Liar => Box::new(liar::Liar),
            Self::Spammer => Box::new(spammer::Spammer),
            Self::Impersonator => Box::<impersonator::Impersonator>::default(),
            Self::Selective => Box::<selective::Selective>::default(),
        }
    }
}

/// A gossip message, and who gets it.
pub(super) struct Parcel {
    pub(super) to: Vec<usize>,
    pub(super) channel: Channel,
    pub(super) bytes: Vec<u8>,
}

impl Parcel {
    /// A consensus message for some.
    fn new(message: &Message, to: Vec<usize>) -> Self {
        Self { to, channel: Channel::Consensus, bytes: message.encode() }
    }

    /// A consensus message for all others.
    fn to_all(scene: &Scene<'_>, message: &Message) -> Self {
        Self::new(message, scene.others.clone())
    }
}

/// What a peer that breaks the rules knows when it has something to do.
pub(super) struct Scene<'a> {
    /// All other peers.
    pub(super) others: Vec<usize>,
    /// The key that it began with.
    pub(super) key: &'a SigningKey,
    /// Where its ledger stands.
    pub(super) tip: &'a Tip,
    /// Its clock, in milliseconds of block time.
    pub(super) now_ms: u64,
    pub(super) rng: &'a mut ChaCha8Rng,
}

impl Scene<'_> {
    fn address(&self) -> ValidatorAddress {
        self.key.public_key().validator_address()
    }

    /// A vote, rightly signed.
    fn vote(&self, kind: VoteKind, height: Height, round: u32, block: Option<BlockHash>) -> Message {
        let body = VoteBody { network: self.tip.network, kind, height, round, block, validator: self.address() };
        let signature = self.key.sign(Domain::Vote, &body.signing_bytes());
        Message::Vote(SignedVote { body, signature })
    }

    /// A proposal, rightly signed.
    fn proposal(&self, round: u32, pol_round: Option<u32>, block: Block) -> Message {
        let signature = Signature::from_bytes([0; 64]);
        let mut proposal = SignedProposal { round, pol_round, proposer: self.address(), block, signature };
        proposal.signature = self.key.sign(Domain::Proposal, &proposal.body().signing_bytes());
        Message::Proposal(proposal)
    }
}

/// What a peer does in place of what an honest one does; by itself, each hook is what an honest one does.
pub(super) trait Misbehaviour {
    /// Its host has a consensus message to send to all: gives what is sent instead. Messages of others that the host
    /// passes on come here as well.
    fn on_publish(&mut self, scene: &mut Scene<'_>, message: &Message) -> Vec<Parcel> {
        vec![Parcel::to_all(scene, message)]
    }

    /// Its host has transactions to send to all: gives who gets them.
    fn on_transactions(&mut self, scene: &mut Scene<'_>) -> Vec<usize> {
        scene.others.clone()
    }

    /// Its host has a decided block to push to all who follow: gives what is pushed instead.
    fn on_push(&mut self, scene: &mut Scene<'_>, bytes: Vec<u8>) -> Vec<Parcel> {
        vec![Parcel { to: scene.others.clone(), channel: Channel::Blocks, bytes }]
    }

    /// A message came: gives what is said to that beside what its host says.
    fn on_heard(&mut self, _: &mut Scene<'_>, _: &Message) -> Vec<Parcel> {
        Vec::new()
    }

    /// What is said unasked, now and then.
    fn unasked(&mut self, _: &mut Scene<'_>) -> Vec<Parcel> {
        Vec::new()
    }

    /// Another peer asks for blocks: gives what it gets of the claimed height and the blocks, or nothing.
    fn on_request(
        &mut self,
        _: &mut Scene<'_>,
        _asker: usize,
        tip: Height,
        blocks: Vec<DecidedBlock>,
    ) -> Option<(Height, Vec<DecidedBlock>)> {
        Some((tip, blocks))
    }

    /// Whether it stops now, to start again soon.
    fn stops(&mut self, _: &mut Scene<'_>) -> bool {
        false
    }

    /// What it does to its disk while it is off.
    fn on_stopped(&mut self, _: &mut Store) {}
}

/// What an honest peer does.
struct Regular;

impl Misbehaviour for Regular {}
