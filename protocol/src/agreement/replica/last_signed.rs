//! The last-signed record: what keeps a key from signing twice even if the consensus log is lost.
//!
//! The log lets a restarted validator derive again what it signed. If the log is gone (a deleted file, an old backup),
//! only this record keeps the key from signing a second, different message for the same height and round. It has about
//! a hundred bytes, it is consulted *before* signing, and it only ever moves forward.
//!
//! A validator that lost its log and is bound by its record cannot help at that height. So if more than a third of the
//! power loses its logs at once, the height cannot end. Even then nobody signs twice.

use crate::{
    ground::{
        crypto::{self, Domain},
        ids::Height,
    },
    ledger::block::VoteKind,
};
use serde::{Deserialize, Serialize};

/// The three messages that a validator signs in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SignedKind {
    /// A proposal, if it is the validator's turn.
    Proposal,
    /// A prevote.
    Prevote,
    /// A precommit.
    Precommit,
}

impl SignedKind {
    pub(super) const fn domain(self) -> Domain {
        match self {
            Self::Proposal => Domain::Proposal,
            Self::Prevote | Self::Precommit => Domain::Vote,
        }
    }
}

impl From<VoteKind> for SignedKind {
    fn from(kind: VoteKind) -> Self {
        match kind {
            VoteKind::Prevote => Self::Prevote,
            VoteKind::Precommit => Self::Precommit,
        }
    }
}

/// What a key signed last: the digests of its messages in the latest height and round.
///
/// Earlier rounds and heights are closed for ever, so nothing about them has to be remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSigned {
    height: Height,
    round: u32,
    proposal: Option<[u8; 32]>,
    prevote: Option<[u8; 32]>,
    precommit: Option<[u8; 32]>,
}

impl LastSigned {
    /// The latest height in which the key signed.
    pub fn height(&self) -> Height {
        self.height
    }

    /// Whether the key may sign `signing_bytes`: the same message again, or one later than all before. If so, the
    /// record now contains it and must be durable before the signature leaves the machine.
    #[must_use]
    pub fn permits(&mut self, kind: SignedKind, height: Height, round: u32, signing_bytes: &[u8]) -> bool {
        if (height, round) < (self.height, self.round) {
            return false;
        }
        if (height, round) > (self.height, self.round) {
            *self = Self { height, round, ..Self::default() };
        }
        let digest = crypto::hash(kind.domain(), signing_bytes);
        let slot = match kind {
            SignedKind::Proposal => &mut self.proposal,
            SignedKind::Prevote => &mut self.prevote,
            SignedKind::Precommit => &mut self.precommit,
        };
        *slot.get_or_insert(digest) == digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SignedKind::{Precommit, Prevote, Proposal};

    #[test]
    fn signs_the_same_again_but_never_another() {
        let mut last = LastSigned::default();
        let height = Height::new(5);
        assert!(last.permits(Prevote, height, 1, b"a"));
        assert!(last.permits(Prevote, height, 1, b"a"));
        assert!(!last.permits(Prevote, height, 1, b"b"));
        assert!(last.permits(Precommit, height, 1, b"b"), "another kind is another message");
        assert!(last.permits(Proposal, height, 1, b"c"));
        assert!(!last.permits(Precommit, height, 1, b"c"));
    }

    #[test]
    fn never_goes_back() {
        let mut last = LastSigned::default();
        assert!(last.permits(Prevote, Height::new(5), 1, b"a"));
        assert!(!last.permits(Prevote, Height::new(5), 0, b"a"));
        assert!(!last.permits(Prevote, Height::new(4), 9, b"a"));
        assert!(last.permits(Prevote, Height::new(6), 0, b"b"));
        assert!(!last.permits(Prevote, Height::new(5), 1, b"a"), "even what it signed before");
        assert_eq!(last.height(), Height::new(6));
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let mut last = LastSigned::default();
        assert!(last.permits(Prevote, Height::new(5), 1, b"a"));
        let before = last.clone();
        assert!(!last.permits(Prevote, Height::new(5), 1, b"b"));
        assert!(!last.permits(Prevote, Height::new(3), 1, b"b"));
        assert_eq!(last, before);
    }
}
