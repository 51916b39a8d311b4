//! What was said already. A certificate can be put together from votes in a million ways, and a signature can be another
//! one of the same words: so a message is known by what it says.
//!
//! A validator repeats its votes, because somebody may have missed them, and others must relay that. So what was said
//! counts as news again after half of the time between two repetitions, and not before, no matter who says it.

use super::Moment;
use crate::{
    agreement::replica::Head,
    ground::ids::{Height, Signature},
};
use std::{collections::BTreeMap, time::Duration};

/// Maximum sayings remembered: every honest message of some dozens of rounds of the largest set.
const SAYINGS: usize = 16 * 1024;

/// The messages taken recently, by what they say.
#[derive(Debug, Default)]
pub(super) struct Seen {
    taken: BTreeMap<(Height, [u8; 32]), Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    signature: Option<Signature>,
    at: Moment,
}

impl Seen {
    /// Whether the same was taken within `memory`, with the same signature. A message that another signature proves is
    /// to be judged by that signature: it may be a forgery.
    pub(super) fn knows(&self, head: &Head, memory: Duration, now: Moment) -> bool {
        self.recent(head, memory, now).is_some_and(|taken| taken.signature == head.signature())
    }

    /// Records a genuine message. Returns whether it says something new.
    pub(super) fn take(&mut self, head: &Head, memory: Duration, now: Moment) -> bool {
        if self.recent(head, memory, now).is_some() {
            return false;
        }
        if self.taken.len() >= SAYINGS {
            self.taken.retain(|_, taken| now.since(taken.at) < memory);
        }
        if self.taken.len() < SAYINGS {
            self.taken.insert((head.height(), head.saying()), Taken { signature: head.signature(), at: now });
        }
        true
    }

    /// Forgets what was said at heights below this one.
    pub(super) fn forget_below(&mut self, height: Height) {
        self.taken = self.taken.split_off(&(height, [0; 32]));
    }

    /// Forgets everything: what took it is gone.
    pub(super) fn forget(&mut self) {
        self.taken.clear();
    }

    fn recent(&self, head: &Head, memory: Duration, now: Moment) -> Option<&Taken> {
        self.taken.get(&(head.height(), head.saying())).filter(|taken| now.since(taken.at) < memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agreement::replica::{RoundCertificateKind, SignedVote},
        ground::ids::{NetworkId, ValidatorAddress},
        ledger::block::{VoteBody, VoteKind},
    };

    const MEMORY: Duration = Duration::from_secs(2);

    fn vote(height: u64, signature: u8) -> Head {
        let body = VoteBody {
            network: NetworkId::from_bytes([1; 32]),
            kind: VoteKind::Prevote,
            height: Height::new(height),
            round: 0,
            block: None,
            validator: ValidatorAddress::from_bytes([2; 32]),
        };
        Head::Vote(SignedVote { body, signature: Signature::from_bytes([signature; 64]) })
    }

    #[test]
    fn what_was_said_is_no_news_until_its_author_may_repeat_it() {
        let (mut seen, start) = (Seen::default(), Moment::default());
        assert!(!seen.knows(&vote(5, 1), MEMORY, start));
        assert!(seen.take(&vote(5, 1), MEMORY, start));
        let before = start.plus(Duration::from_millis(1_999));
        assert!(seen.knows(&vote(5, 1), MEMORY, before) && !seen.take(&vote(5, 1), MEMORY, before));
        assert!(!seen.knows(&vote(6, 1), MEMORY, before), "another height is another saying");
        let again = start.plus(MEMORY);
        assert!(!seen.knows(&vote(5, 1), MEMORY, again) && seen.take(&vote(5, 1), MEMORY, again));
        assert!(seen.knows(&vote(5, 1), MEMORY, again.plus(Duration::from_secs(1))), "counted from the repetition");
    }

    #[test]
    fn another_signature_under_the_same_words_is_looked_at_and_brings_nothing_new() {
        let (mut seen, now) = (Seen::default(), Moment::default());
        assert!(seen.take(&vote(5, 1), MEMORY, now));
        assert!(!seen.knows(&vote(5, 2), MEMORY, now), "it may be a forgery, to be held against its sender");
        assert!(!seen.take(&vote(5, 2), MEMORY, now), "and if not, one of them was enough");
    }

    #[test]
    fn certificates_of_the_same_are_the_same_whichever_votes_they_are_made_of() {
        let (mut seen, now) = (Seen::default(), Moment::default());
        let of = |round| Head::Round { height: Height::new(5), round, kind: RoundCertificateKind::Skip };
        assert!(seen.take(&of(3), MEMORY, now));
        assert!(seen.knows(&of(3), MEMORY, now) && !seen.knows(&of(4), MEMORY, now));
    }

    #[test]
    fn decided_heights_are_forgotten_and_the_rest_is_bounded() {
        let (mut seen, now) = (Seen::default(), Moment::default());
        for height in 0..SAYINGS as u64 + 100 {
            assert!(seen.take(&vote(height, 1), MEMORY, now));
        }
        assert_eq!(seen.taken.len(), SAYINGS);
        seen.forget_below(Height::new(16_000));
        assert_eq!(seen.taken.len(), SAYINGS - 16_000);
        assert!(seen.knows(&vote(16_000, 1), MEMORY, now) && !seen.knows(&vote(15_999, 1), MEMORY, now));
        assert!(seen.take(&vote(15_999, 1), MEMORY, now.plus(MEMORY)), "there is room again");
    }
}
