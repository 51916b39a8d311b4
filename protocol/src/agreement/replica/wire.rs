//! What validators send each other, and what each of them keeps in its log.
//!
//! A [`Message`] comes from strangers: [`Message::decode`] never panics, and what it returns has a bounded size and a
//! plausible round. Before that, [`Head::read`] reads what is needed to judge it, at a cost that does not depend on how
//! long it is. [`crate::agreement::replica::Replica::admit`] checks whether its claimed sender signed it. A [`LogEntry`] comes from this machine's own disk; it carries its height, so that one left over from another height is recognised.

use crate::{
    agreement::bft::{self, Bft, ProposalBody, nil_or},
    ground::{
        codec::{self, DecodeError},
        crypto::Domain,
        ids::{BlockHash, Height, NetworkId, PublicKey, Signature, ValidatorAddress},
        limits,
    },
    ledger::block::{Block, CommitCertificate, CommitSignature, Header, VoteBody, VoteKind, transactions_root},
};
use arc_malachitebft_core_types::{
    self as malachite, NilOrVal, PolkaSignature, Round, RoundCertificateType, RoundSignature, SignedMessage,
};
use serde::{Deserialize, Serialize};

/// Maximum rounds of one height: at the longest timeouts this many take years, so no honest validator sends a higher
/// one.
pub const ROUNDS: u32 = 1_000_000;

/// A vote with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVote {
    /// The content of the vote.
    pub body: VoteBody,
    /// The signature over [`VoteBody::signing_bytes`] in [`Domain::Vote`].
    pub signature: Signature,
}

impl SignedVote {
    /// Whether the key signed this vote.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verifies(Domain::Vote, &self.body.signing_bytes(), &self.signature)
    }

    pub(crate) fn from_core(vote: &SignedMessage<Bft, bft::Vote>, network: NetworkId) -> Self {
        Self { body: vote.message.body(network), signature: vote.signature }
    }

    pub(crate) fn to_core(&self) -> SignedMessage<Bft, bft::Vote> {
        SignedMessage::new(bft::Vote::from_body(&self.body), self.signature)
    }
}

/// A proposal with its block and its signature. Network and height are those of the block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedProposal {
    /// The round proposed for.
    pub round: u32,
    /// The earlier round in which more than two thirds prevoted this block, if one is claimed.
    pub pol_round: Option<u32>,
    /// The proposer.
    pub proposer: ValidatorAddress,
    /// The block.
    pub block: Block,
    /// The signature over [`ProposalBody::signing_bytes`] in [`Domain::Proposal`].
    pub signature: Signature,
}

impl SignedProposal {
    /// The content that the proposal signs.
    pub fn body(&self) -> ProposalBody {
        ProposalBody {
            network: self.block.header().network,
            height: self.block.header().height,
            round: self.round,
            pol_round: self.pol_round,
            block: self.block.hash(),
            proposer: self.proposer,
        }
    }

    pub(crate) fn from_core(proposal: &SignedMessage<Bft, bft::Proposal>) -> Self {
        Self {
            round: round_number(proposal.round),
            pol_round: proposal.pol_round.as_u32(),
            proposer: proposal.proposer,
            block: proposal.block.clone(),
            signature: proposal.signature,
        }
    }

    pub(crate) fn to_core(&self) -> SignedMessage<Bft, bft::Proposal> {
        let proposal = bft::Proposal {
            height: self.block.header().height,
            round: Round::new(self.round),
            pol_round: self.pol_round.into(),
            block: self.block.clone(),
            proposer: self.proposer,
        };
        SignedMessage::new(proposal, self.signature)
    }
}

/// The prevotes of more than two thirds of the power for one block, which allow a later round to propose it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolkaCertificate {
    /// The height voted on.
    pub height: Height,
    /// The round of that height.
    pub round: u32,
    /// The block.
    pub block: BlockHash,
    /// The prevotes, one per validator.
    pub signatures: Vec<CommitSignature>,
}

impl PolkaCertificate {
    pub(crate) fn from_core(certificate: &malachite::PolkaCertificate<Bft>) -> Self {
        Self {
            height: certificate.height,
            round: round_number(certificate.round),
            block: certificate.value_id,
            signatures: certificate
                .polka_signatures
                .iter()
                .map(|one| CommitSignature { validator: one.address, signature: one.signature })
                .collect(),
        }
    }

    pub(crate) fn to_core(&self) -> malachite::PolkaCertificate<Bft> {
        malachite::PolkaCertificate {
            height: self.height,
            round: Round::new(self.round),
            value_id: self.block,
            polka_signatures: self
                .signatures
                .iter()
                .map(|one| PolkaSignature::new(one.validator, one.signature))
                .collect(),
        }
    }
}

/// Why a round may be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundCertificateKind {
    /// More than a third of the power is already in the certificate's round.
    Skip,
    /// More than two thirds precommitted in the certificate's round without agreeing; the next round begins.
    Precommit,
}

/// One vote of a round certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundVote {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The block. `None` means nil.
    pub block: Option<BlockHash>,
    /// The voting validator.
    pub validator: ValidatorAddress,
    /// The signature over the vote's [`VoteBody`].
    pub signature: Signature,
}

/// Votes that show why a round was entered, so that others enter it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundCertificate {
    /// The height of the votes.
    pub height: Height,
    /// The round of the votes.
    pub round: u32,
    /// What the votes show.
    pub kind: RoundCertificateKind,
    /// The votes, one per validator.
    pub votes: Vec<RoundVote>,
}

impl RoundCertificate {
    pub(crate) fn from_core(certificate: &malachite::RoundCertificate<Bft>) -> Self {
        let vote = |one: &RoundSignature<Bft>| RoundVote {
            kind: one.vote_type.into(),
            block: match one.value_id {
                NilOrVal::Nil => None,
                NilOrVal::Val(hash) => Some(hash),
            },
            validator: one.address,
            signature: one.signature,
        };
        Self {
            height: certificate.height,
            round: round_number(certificate.round),
            kind: match certificate.cert_type {
                RoundCertificateType::Skip => RoundCertificateKind::Skip,
                RoundCertificateType::Precommit => RoundCertificateKind::Precommit,
            },
            votes: certificate.round_signatures.iter().map(vote).collect(),
        }
    }

    pub(crate) fn to_core(&self) -> malachite::RoundCertificate<Bft> {
        let vote =
            |one: &RoundVote| RoundSignature::new(one.kind.into(), nil_or(one.block), one.validator, one.signature);
        malachite::RoundCertificate {
            height: self.height,
            round: Round::new(self.round),
            cert_type: match self.kind {
                RoundCertificateKind::Skip => RoundCertificateType::Skip,
                RoundCertificateKind::Precommit => RoundCertificateType::Precommit,
            },
            round_signatures: self.votes.iter().map(vote).collect(),
        }
    }
}

/// A message of consensus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A vote.
    Vote(SignedVote),
    /// A proposal with its block.
    Proposal(SignedProposal),
    /// The certificate that lets a block be proposed again.
    Polka(PolkaCertificate),
    /// The certificate that lets a round be entered.
    Round(RoundCertificate),
}

/// Maximum bytes of an encoded message without a block: a round certificate with a vote of each validator.
const MESSAGE_WITHOUT_BLOCK_SIZE_BYTES: usize = limits::VALIDATORS * 160 + 256;

/// What a message is about and who signed it, without the transactions of a proposal and the votes of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A vote, all of it.
    Vote(SignedVote),
    /// A proposal. The hash of its block is that of the block's header; the transactions may be others.
    Proposal {
        /// The content that the proposal signs.
        body: ProposalBody,
        /// The proposer's signature.
        signature: Signature,
    },
    /// A polka certificate.
    Polka {
        /// The height voted on.
        height: Height,
        /// The round of that height.
        round: u32,
        /// The block.
        block: BlockHash,
    },
    /// A round certificate.
    Round {
        /// The height of the votes.
        height: Height,
        /// The round of the votes.
        round: u32,
        /// What the votes show.
        kind: RoundCertificateKind,
    },
}

/// How each [`Message`] begins, variant by variant and field by field.
#[derive(Serialize, Deserialize)]
enum Beginning {
    Vote(SignedVote),
    Proposal { round: u32, pol_round: Option<u32>, proposer: ValidatorAddress, header: Header },
    Polka { height: Height, round: u32, block: BlockHash },
    Round { height: Height, round: u32, kind: RoundCertificateKind },
}

impl Head {
    /// Reads the head of an encoded message that came from a stranger. What follows the head may be anything.
    ///
    /// # Errors
    /// When no honest validator sends a message that begins like this.
    pub fn read(message: &[u8]) -> Result<Self, MalformedMessage> {
        let (beginning, rest) = codec::decode_beginning::<Beginning>(message)?;
        let max = match beginning {
            Beginning::Proposal { .. } => limits::GOSSIP_SIZE_BYTES,
            Beginning::Vote(_) | Beginning::Polka { .. } | Beginning::Round { .. } => MESSAGE_WITHOUT_BLOCK_SIZE_BYTES,
        };
        if message.len() > max {
            return Err(DecodeError::TooLong { len: message.len(), max }.into());
        }
        let head = match beginning {
            Beginning::Vote(vote) => Self::Vote(vote),
            Beginning::Proposal { round, pol_round, proposer, header } => {
                // A proposal ends with its signature.
                let signature = rest.last_chunk().ok_or_else(|| DecodeError::Malformed("no signature".into()))?;
                let (network, height, block) = (header.network, header.height, header.hash());
                let body = ProposalBody { network, height, round, pol_round, block, proposer };
                Self::Proposal { body, signature: Signature::from_bytes(*signature) }
            }
            Beginning::Polka { height, round, block } => Self::Polka { height, round, block },
            Beginning::Round { height, round, kind } => Self::Round { height, round, kind },
        };
        head.check_rounds()?;
        Ok(head)
    }

    fn check_rounds(&self) -> Result<(), MalformedMessage> {
        let polka = match self {
            Self::Proposal { body, .. } => body.pol_round,
            Self::Vote(_) | Self::Polka { .. } | Self::Round { .. } => None,
        };
        match [Some(self.round()), polka].into_iter().flatten().find(|round| *round >= ROUNDS) {
            Some(round) => Err(MalformedMessage::Round(round)),
            None => Ok(()),
        }
    }

    /// The height of the message.
    pub fn height(&self) -> Height {
        match self {
            Self::Vote(vote) => vote.body.height,
            Self::Proposal { body, .. } => body.height,
            Self::Polka { height, .. } | Self::Round { height, .. } => *height,
        }
    }

    /// The round of the message.
    pub fn round(&self) -> u32 {
        match self {
            Self::Vote(vote) => vote.body.round,
            Self::Proposal { body, .. } => body.round,
            Self::Polka { round, .. } | Self::Round { round, .. } => *round,
        }
    }

    /// The signature, if one signs the whole message.
    pub fn signature(&self) -> Option<Signature> {
        match self {
            Self::Vote(vote) => Some(vote.signature),
            Self::Proposal { signature, .. } => Some(*signature),
            Self::Polka { .. } | Self::Round { .. } => None,
        }
    }

    /// The hash of what the message says, whoever sends it and however it is proven: of what its sender signed, or of
    /// what a certificate shows.
    pub fn saying(&self) -> [u8; 32] {
        let bytes = match self {
            Self::Vote(vote) => codec::encode(&(0u8, &vote.body)),
            Self::Proposal { body, .. } => codec::encode(&(1u8, body)),
            Self::Polka { height, round, block } => codec::encode(&(2u8, height, round, block)),
            Self::Round { height, round, kind } => codec::encode(&(3u8, height, round, kind)),
        };
        *blake3::hash(&bytes).as_bytes()
    }
}

/// Why bytes are not a consensus message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// The bytes are not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No honest validator sends this round.
    #[error("round {0} is not below {ROUNDS}")]
    Round(u32),
    /// There are more signatures than there can be validators.
    #[error("{0} signatures are more than the {max} validators allowed", max = limits::VALIDATORS)]
    Signatures(usize),
    /// The block's transactions are not those of its header, so its hash does not identify them.
    #[error("the transactions of block {0} are not those of its header")]
    Transactions(BlockHash),
}

impl Message {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a message that came from a stranger.
    ///
    /// # Errors
    /// When the bytes are not a message, or it breaks a bound; see [`MalformedMessage`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedMessage> {
        let message: Self = codec::decode(bytes, limits::GOSSIP_SIZE_BYTES)?;
        message.check_bounds()?;
        Ok(message)
    }

    /// What [`Head::read`] reads of the encoded message.
    pub fn head(&self) -> Head {
        match self {
            Self::Vote(vote) => Head::Vote(vote.clone()),
            Self::Proposal(proposal) => Head::Proposal { body: proposal.body(), signature: proposal.signature },
            Self::Polka(PolkaCertificate { height, round, block, .. }) => {
                Head::Polka { height: *height, round: *round, block: *block }
            }
            Self::Round(RoundCertificate { height, round, kind, .. }) => {
                Head::Round { height: *height, round: *round, kind: *kind }
            }
        }
    }

    fn check_bounds(&self) -> Result<(), MalformedMessage> {
        self.head().check_rounds()?;
        let signatures = match self {
            Self::Vote(_) => 1,
            Self::Proposal(proposal) => {
                check_names_its_transactions(&proposal.block)?;
                1
            }
            Self::Polka(certificate) => certificate.signatures.len(),
            Self::Round(certificate) => certificate.votes.len(),
        };
        if signatures > limits::VALIDATORS {
            return Err(MalformedMessage::Signatures(signatures));
        }
        Ok(())
    }

    /// The height of the message.
    pub fn height(&self) -> Height {
        match self {
            Self::Vote(vote) => vote.body.height,
            Self::Proposal(proposal) => proposal.block.header().height,
            Self::Polka(certificate) => certificate.height,
            Self::Round(certificate) => certificate.height,
        }
    }

    /// The round of the message.
    pub fn round(&self) -> u32 {
        match self {
            Self::Vote(vote) => vote.body.round,
            Self::Proposal(proposal) => proposal.round,
            Self::Polka(certificate) => certificate.round,
            Self::Round(certificate) => certificate.round,
        }
    }

    /// The validator that signed it. `None` for a certificate, which has many signers.
    pub fn sender(&self) -> Option<ValidatorAddress> {
        match self {
            Self::Vote(vote) => Some(vote.body.validator),
            Self::Proposal(proposal) => Some(proposal.proposer),
            Self::Polka(_) | Self::Round(_) => None,
        }
    }

    /// A short name for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vote(vote) => match vote.body.kind {
                VoteKind::Prevote => "prevote",
                VoteKind::Precommit => "precommit",
            },
            Self::Proposal(_) => "proposal",
            Self::Polka(_) => "polka_certificate",
            Self::Round(_) => "round_certificate",
        }
    }
}

/// A block is handled by its hash, which is its header's: a block with other transactions must not get in.
pub(crate) fn check_names_its_transactions(block: &Block) -> Result<(), MalformedMessage> {
    if transactions_root(block.transactions()) == block.header().transactions_root {
        Ok(())
    } else {
        Err(MalformedMessage::Transactions(block.hash()))
    }
}

/// Which timeout of a round elapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKind {
    /// Waiting for the proposal.
    Propose,
    /// Waiting for more prevotes.
    Prevote,
    /// Waiting for more precommits.
    Precommit,
    /// Waiting to send own votes again.
    Rebroadcast,
}

/// A block in the log: in full where it first appears, by its hash in later entries of the same height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoggedBlock {
    /// The whole block.
    Whole(Block),
    /// The hash of a block that an earlier entry contains in full.
    Earlier(BlockHash),
}

/// The content of a log entry: those inputs of the core from which its state can be derived again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogRecord {
    /// A vote, own or another's.
    Vote(SignedVote),
    /// A proposal, own or another's.
    Proposal {
        /// The round proposed for.
        round: u32,
        /// The round of the polka claimed.
        pol_round: Option<u32>,
        /// The proposer.
        proposer: ValidatorAddress,
        /// The block.
        block: LoggedBlock,
        /// The proposer's signature.
        signature: Signature,
    },
    /// A polka certificate.
    Polka(PolkaCertificate),
    /// A timeout that elapsed.
    Timeout {
        /// The kind of timeout.
        kind: TimerKind,
        /// The round of the timeout.
        round: u32,
    },
    /// A block with its verdict: built here, checked here, or certified by others.
    Verdict {
        /// The round it was proposed for.
        round: u32,
        /// The round of the polka claimed.
        pol_round: Option<u32>,
        /// The proposer.
        proposer: ValidatorAddress,
        /// The block.
        block: LoggedBlock,
        /// Whether it breaks no rule.
        valid: bool,
    },
}

/// One entry of the consensus log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The height it belongs to. When recovering another height, it is skipped.
    pub height: Height,
    /// What happened.
    pub record: LogRecord,
}

impl LogEntry {
    /// The bytes to store. The storage guards their integrity.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads back what [`LogEntry::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not an entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_trusted(bytes)
    }
}

/// The core's commit certificate in the ledger's form.
pub(crate) fn commit_certificate(certificate: &malachite::CommitCertificate<Bft>) -> CommitCertificate {
    CommitCertificate {
        height: certificate.height,
        round: round_number(certificate.round),
        block: certificate.value_id,
        signatures: certificate
            .commit_signatures
            .iter()
            .map(|one| CommitSignature { validator: one.address, signature: one.signature })
            .collect(),
    }
}

/// The core's rounds are nil only before a height begins; no message, certificate or timer has a nil round.
pub(crate) fn round_number(round: Round) -> u32 {
    round.as_u32().unwrap_or(0)
}
