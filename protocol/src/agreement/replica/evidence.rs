//! Proof that a validator signed two different messages for the same height, round and kind.
//!
//! It is self-contained: everybody who knows the validator's key can check it. An honest validator never gives cause
//! for it, whatever it receives, because it never signs twice (see [`super::last_signed`]).

use super::wire::SignedVote;
use crate::{
    agreement::bft::ProposalBody,
    ground::{
        crypto::Domain,
        ids::{Height, NetworkId, PublicKey, Signature, ValidatorAddress},
    },
};
use serde::{Deserialize, Serialize};

/// A proposal's signature with what it signs; the block itself is not needed for the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedProposalBody {
    /// The content of the proposal.
    pub body: ProposalBody,
    /// The signature over [`ProposalBody::signing_bytes`] in [`Domain::Proposal`].
    pub signature: Signature,
}

/// Two messages of which an honest validator signs at most one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoubleSign {
    /// Two votes of one kind.
    Votes(SignedVote, SignedVote),
    /// Two proposals.
    Proposals(SignedProposalBody, SignedProposalBody),
}

/// Why a pair of messages proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDoubleSign {
    /// They belong to another network.
    #[error("the messages are of another network")]
    Network,
    /// They differ in validator, height, round or kind, or do not differ at all.
    #[error("the messages are not two different ones for the same height, round and kind by one validator")]
    NoConflict,
    /// The key given is not the validator's.
    #[error("the key is not that of the accused validator")]
    Key,
    /// A signature does not verify.
    #[error("a signature does not verify")]
    Signature,
}

impl DoubleSign {
    /// The validator that signed twice.
    pub fn validator(&self) -> ValidatorAddress {
        match self {
            Self::Votes(one, _) => one.body.validator,
            Self::Proposals(one, _) => one.body.proposer,
        }
    }

    /// The height of both messages.
    pub fn height(&self) -> Height {
        match self {
            Self::Votes(one, _) => one.body.height,
            Self::Proposals(one, _) => one.body.height,
        }
    }

    /// Checks the proof against the accused validator's key.
    ///
    /// # Errors
    /// See [`NoDoubleSign`].
    pub fn verify(&self, network: NetworkId, key: &PublicKey) -> Result<(), NoDoubleSign> {
        let (of_network, conflict) = match self {
            Self::Votes(one, two) => (
                one.body.network == network && two.body.network == network,
                one.body.kind == two.body.kind
                    && (one.body.validator, one.body.height, one.body.round)
                        == (two.body.validator, two.body.height, two.body.round)
                    && one.body.block != two.body.block,
            ),
            Self::Proposals(one, two) => (
                one.body.network == network && two.body.network == network,
                (one.body.proposer, one.body.height, one.body.round)
                    == (two.body.proposer, two.body.height, two.body.round)
                    && one.body != two.body,
            ),
        };
        if !of_network {
            return Err(NoDoubleSign::Network);
        }
        if !conflict {
            return Err(NoDoubleSign::NoConflict);
        }
        if key.validator_address() != self.validator() {
            return Err(NoDoubleSign::Key);
        }
        let signed = match self {
            Self::Votes(one, two) => one.is_signed_by(key) && two.is_signed_by(key),
            Self::Proposals(one, two) => [one, two]
                .iter()
                .all(|signed| key.verifies(Domain::Proposal, &signed.body.signing_bytes(), &signed.signature)),
        };
        if signed { Ok(()) } else { Err(NoDoubleSign::Signature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ground::{crypto::SigningKey, ids::BlockHash},
        ledger::block::{VoteBody, VoteKind},
    };

    const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);

    fn vote(key: &SigningKey, round: u32, block: Option<u8>) -> SignedVote {
        let body = VoteBody {
            network: NETWORK,
            kind: VoteKind::Prevote,
            height: Height::new(3),
            round,
            block: block.map(|byte| BlockHash::from_bytes([byte; 32])),
            validator: key.public_key().validator_address(),
        };
        let signature = key.sign(Domain::Vote, &body.signing_bytes());
        SignedVote { body, signature }
    }

    #[test]
    fn two_votes_of_one_round_prove_it_and_nothing_less_does() {
        let key = SigningKey::from_seed(&[1; 32]);
        let other = SigningKey::from_seed(&[2; 32]);
        let public = key.public_key();
        let check = |one, two| DoubleSign::Votes(one, two).verify(NETWORK, &public);

        assert_eq!(check(vote(&key, 0, Some(1)), vote(&key, 0, None)), Ok(()));
        assert_eq!(check(vote(&key, 0, Some(1)), vote(&key, 0, Some(1))), Err(NoDoubleSign::NoConflict));
        assert_eq!(check(vote(&key, 0, Some(1)), vote(&key, 1, None)), Err(NoDoubleSign::NoConflict));
        assert_eq!(check(vote(&key, 0, Some(1)), vote(&other, 0, None)), Err(NoDoubleSign::NoConflict));
        assert_eq!(check(vote(&other, 0, Some(1)), vote(&other, 0, None)), Err(NoDoubleSign::Key));
        let mut forged = vote(&key, 0, None);
        forged.signature = Signature::from_bytes([0; 64]);
        assert_eq!(check(vote(&key, 0, Some(1)), forged), Err(NoDoubleSign::Signature));
        let elsewhere = DoubleSign::Votes(vote(&key, 0, Some(1)), vote(&key, 0, None));
        assert_eq!(elsewhere.verify(NetworkId::from_bytes([2; 32]), &public), Err(NoDoubleSign::Network));
    }
}
