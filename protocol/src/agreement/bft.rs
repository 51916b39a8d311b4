//! Consensus types: how Malachite's core sees the ledger's own heights, validators, blocks and signatures.
//!
//! The core is generic over a *context*; [`Bft`] is ours. Where a ledger type already has what the core needs, it
//! implements the core's trait ([`Height`], [`ValidatorAddress`], [`Validator`], [`ValidatorSet`], [`Block`]). Only
//! votes and proposals have a second form here, because the core has its own type for rounds and nil values.
//!
//! A vote signs [`VoteBody`], so the core's commit certificate corresponds exactly to a
//! [`crate::ledger::block::CommitCertificate`]. A proposal carries its whole block and signs [`ProposalBody`], which names the
//! block by hash.
//!
//! Nothing here decides anything; see [`crate::agreement::replica`] for how it is used.

use crate::{
    ground::{
        codec,
        ids::{BlockHash, Height, NetworkId, ParseError, PublicKey, Signature, ValidatorAddress},
    },
    ledger::block::{Block, VoteBody, VoteKind},
    rules::{
        parameters::Parameters,
        validator::{Validator, ValidatorSet},
    },
};
use arc_malachitebft_core_types::{self as malachite, NilOrVal, Round, SignedMessage, Timeout, TimeoutKind, VoteType};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The context of Malachite's core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bft;

impl malachite::Context for Bft {
    type Address = ValidatorAddress;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = ValidatorSet;
    type Timeouts = Timeouts;
    type Value = Block;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, validators: &'a ValidatorSet, height: Height, round: Round) -> &'a Validator {
        // The core asks for rounds that have begun, which are never nil.
        validators.proposer(height, round.as_u32().unwrap_or(0))
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        block: Block,
        pol_round: Round,
        proposer: ValidatorAddress,
    ) -> Proposal {
        Proposal { height, round, pol_round, block, proposer }
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        block: NilOrVal<BlockHash>,
        validator: ValidatorAddress,
    ) -> Vote {
        Vote { kind: VoteKind::Prevote, height, round, block, validator }
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        block: NilOrVal<BlockHash>,
        validator: ValidatorAddress,
    ) -> Vote {
        Vote { kind: VoteKind::Precommit, height, round, block, validator }
    }
}

impl malachite::Height for Height {
    const ZERO: Self = Self::new(0);
    const INITIAL: Self = Self::new(1);

    fn increment_by(&self, n: u64) -> Self {
        Self::new(self.get().saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.get().checked_sub(n).map(Self::new)
    }

    fn as_u64(&self) -> u64 {
        self.get()
    }
}

impl malachite::Address for ValidatorAddress {}

impl malachite::Validator<Bft> for Validator {
    fn address(&self) -> &ValidatorAddress {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.power.get()
    }
}

impl malachite::ValidatorSet<Bft> for ValidatorSet {
    fn count(&self) -> usize {
        self.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.total_power().get()
    }

    fn get_by_address(&self, address: &ValidatorAddress) -> Option<&Validator> {
        self.by_address(address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.at(index)
    }
}

impl malachite::Value for Block {
    type Id = BlockHash;

    fn id(&self) -> BlockHash {
        self.hash()
    }
}

/// The signature scheme of [`crate::ground::crypto`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ed25519;

impl malachite::SigningScheme for Ed25519 {
    type DecodingError = ParseError;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = crate::ground::crypto::SigningKey;

    fn decode_signature(bytes: &[u8]) -> Result<Signature, ParseError> {
        bytes.try_into().map(Signature::from_bytes).map_err(|_| wrong_length("a signature", Signature::LEN, bytes))
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.as_bytes().to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, ParseError> {
        bytes.try_into().map(PublicKey::from_bytes).map_err(|_| wrong_length("a public key", PublicKey::LEN, bytes))
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

fn wrong_length(what: &'static str, len: usize, bytes: &[u8]) -> ParseError {
    ParseError::Hex { what, expected: len.saturating_mul(2), found: format!("{} bytes", bytes.len()) }
}

/// A vote as the core handles it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The height voted on.
    pub height: Height,
    /// The round of that height.
    pub round: Round,
    /// The block, or nil.
    pub block: NilOrVal<BlockHash>,
    /// The voting validator.
    pub validator: ValidatorAddress,
}

impl Vote {
    /// The content that the vote signs.
    pub fn body(&self, network: NetworkId) -> VoteBody {
        VoteBody {
            network,
            kind: self.kind,
            height: self.height,
            round: self.round.as_u32().unwrap_or(0),
            block: match self.block {
                NilOrVal::Nil => None,
                NilOrVal::Val(hash) => Some(hash),
            },
            validator: self.validator,
        }
    }

    /// The vote with this content.
    pub fn from_body(body: &VoteBody) -> Self {
        Self {
            kind: body.kind,
            height: body.height,
            round: Round::new(body.round),
            block: nil_or(body.block),
            validator: body.validator,
        }
    }
}

/// Converts "a block or nil" to the core's type.
pub(crate) fn nil_or(block: Option<BlockHash>) -> NilOrVal<BlockHash> {
    block.map_or(NilOrVal::Nil, NilOrVal::Val)
}

impl From<VoteKind> for VoteType {
    fn from(kind: VoteKind) -> Self {
        match kind {
            VoteKind::Prevote => Self::Prevote,
            VoteKind::Precommit => Self::Precommit,
        }
    }
}

impl From<VoteType> for VoteKind {
    fn from(kind: VoteType) -> Self {
        match kind {
            VoteType::Prevote => Self::Prevote,
            VoteType::Precommit => Self::Precommit,
        }
    }
}

impl malachite::Vote<Bft> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockHash> {
        &self.block
    }

    fn take_value(self) -> NilOrVal<BlockHash> {
        self.block
    }

    fn vote_type(&self) -> VoteType {
        self.kind.into()
    }

    fn validator_address(&self) -> &ValidatorAddress {
        &self.validator
    }

    // Vote extensions are not used: every height starts with the policy that refuses them.
    fn extension(&self) -> Option<&SignedMessage<Bft, ()>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedMessage<Bft, ()>> {
        None
    }

    fn extend(self, _: SignedMessage<Bft, ()>) -> Self {
        self
    }
}

/// A proposal as the core handles it. It contains the block, and is cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The height proposed for.
    pub height: Height,
    /// The round of that height.
    pub round: Round,
    /// The earlier round in which more than two thirds prevoted this block, or nil.
    pub pol_round: Round,
    /// The block.
    pub block: Block,
    /// The proposer, not always the builder of the block.
    pub proposer: ValidatorAddress,
}

impl Proposal {
    /// The content that the proposal signs.
    pub fn body(&self, network: NetworkId) -> ProposalBody {
        ProposalBody {
            network,
            height: self.height,
            round: self.round.as_u32().unwrap_or(0),
            pol_round: self.pol_round.as_u32(),
            block: self.block.hash(),
            proposer: self.proposer,
        }
    }
}

/// The content of a proposal, with its block named by hash and without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalBody {
    /// The network, so that a proposal is void on another.
    pub network: NetworkId,
    /// The height proposed for.
    pub height: Height,
    /// The round of that height.
    pub round: u32,
    /// The earlier round in which more than two thirds prevoted this block, if one is claimed.
    pub pol_round: Option<u32>,
    /// The block.
    pub block: BlockHash,
    /// The proposer.
    pub proposer: ValidatorAddress,
}

impl ProposalBody {
    /// The bytes that the proposer signs in [`crate::ground::crypto::Domain::Proposal`].
    pub fn signing_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

impl malachite::Proposal<Bft> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Block {
        &self.block
    }

    fn take_value(self) -> Block {
        self.block
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &ValidatorAddress {
        &self.proposer
    }
}

/// Proposals are never split: the block is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPart;

impl malachite::ProposalPart<Bft> for NoPart {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

/// The longest timeout, in any round, in milliseconds.
const LONGEST_WAIT_MS: u64 = 60_000;

/// The timeouts of the steps of a round, in milliseconds. Each timeout grows by `delta_ms` per round, up to a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The wait for the proposal, before prevoting nil.
    pub propose_ms: u64,
    /// The wait for more votes, once more than two thirds have voted but not for the same.
    pub vote_ms: u64,
    /// The growth of every timeout per round.
    pub delta_ms: u64,
    /// The wait before own votes of the round are sent again. Without it a lost vote could stop a round for ever.
    pub rebroadcast_ms: u64,
}

impl Default for Timeouts {
    /// Timeouts for validators spread over continents.
    fn default() -> Self {
        Self { propose_ms: 2_000, vote_ms: 800, delta_ms: 400, rebroadcast_ms: 4_000 }
    }
}

impl From<&Parameters> for Timeouts {
    fn from(parameters: &Parameters) -> Self {
        Self {
            propose_ms: parameters.propose_timeout_ms,
            vote_ms: parameters.vote_timeout_ms,
            delta_ms: parameters.timeout_delta_ms,
            rebroadcast_ms: parameters.rebroadcast_ms,
        }
    }
}

impl malachite::Timeouts<Bft> for Timeouts {
    fn duration_for(&self, timeout: Timeout) -> Duration {
        let base = match timeout.kind {
            TimeoutKind::Propose => self.propose_ms,
            TimeoutKind::Prevote | TimeoutKind::Precommit => self.vote_ms,
            TimeoutKind::Rebroadcast => self.rebroadcast_ms,
            TimeoutKind::FinalizeHeight(duration) => return duration,
        };
        let rounds = u64::from(timeout.round.as_u32().unwrap_or(0));
        Duration::from_millis(base.saturating_add(self.delta_ms.saturating_mul(rounds)).min(LONGEST_WAIT_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arc_malachitebft_core_types::{SigningScheme as _, Timeouts as _};

    #[test]
    fn a_vote_and_its_body_say_the_same() {
        for block in [None, Some(BlockHash::from_bytes([3; 32]))] {
            let body = VoteBody {
                network: NetworkId::from_bytes([1; 32]),
                kind: VoteKind::Precommit,
                height: Height::new(7),
                round: 2,
                block,
                validator: ValidatorAddress::from_bytes([9; 32]),
            };
            assert_eq!(Vote::from_body(&body).body(body.network), body);
        }
    }

    #[test]
    fn waits_grow_by_round_and_stop_at_the_maximum() {
        let timeouts = Timeouts::default();
        let wait = |round| timeouts.duration_for(Timeout::propose(Round::new(round))).as_millis();
        assert_eq!((wait(0), wait(2), wait(u32::MAX)), (2_000, 2_800, 60_000));
    }

    #[test]
    fn keys_and_signatures_of_another_length_are_refused() {
        assert!(Ed25519::decode_signature(&[0; 63]).is_err());
        assert!(Ed25519::decode_public_key(&[0; 33]).is_err());
        let signature = Signature::from_bytes([5; 64]);
        assert_eq!(Ed25519::decode_signature(&Ed25519::encode_signature(&signature)), Ok(signature));
    }
}
