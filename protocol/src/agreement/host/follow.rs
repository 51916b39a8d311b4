//! Following: decided blocks are pushed to those who take no part in deciding them, and taken there.
//!
//! A pushed block is judged in the order of what that costs: by its height, by its header, by the signatures of its
//! certificate, and only then by its transactions. Then it is committed as one that was asked for. Who passes it on has
//! verified it, so a faulty one is held against whoever sent it.
//!
//! Only the next height can be judged to the end. What is further ahead is not kept: if validators signed it, it is a
//! reason to ask for what is missing, and the answer brings it too.

use super::{Acceptance, Channel, Host, HostError, HostEvent, Machine, catch_up::Hint, gossip};
use crate::{
    ground::ids::Height,
    ledger::block::{Block, CommitCertificate, DecidedBlock},
};

/// How many validators push a block, in turns: so many copies of it come to an observer that all of them are connected
/// to. An observer that none of them is connected to gets it from other observers, or asks for it.
const PUSHERS: usize = 4;

/// What becomes of a pushed block.
enum Pushed {
    Next(DecidedBlock),
    /// It is known.
    Known,
    /// Others come before it.
    Ahead(CommitCertificate),
    Faulty {
        height: Option<Height>,
        reason: String,
    },
}

impl<M: Machine> Host<M> {
    /// A decided block arrived that this peer did not ask for.
    ///
    /// # Errors
    /// When the process must end.
    pub fn on_push(&mut self, data: &[u8], token: M::Token) -> Result<(), HostError> {
        let (height, reason) = match self.judge_push(data) {
            Pushed::Next(decided) => match self.take_block(&decided)? {
                Ok(()) => {
                    self.machine.judge(token, Acceptance::Accept);
                    return Ok(());
                }
                Err(reason) => (Some(decided.block.header().height), reason),
            },
            Pushed::Known => {
                self.machine.judge(token, Acceptance::Ignore);
                return Ok(());
            }
            Pushed::Ahead(certificate) => {
                self.machine.judge(token, Acceptance::Ignore);
                self.on_hint(|this| this.is_genuine(&certificate).then_some(Hint::Proof(certificate.height)));
                return Ok(());
            }
            Pushed::Faulty { height, reason } => (height, reason),
        };
        self.machine.judge(token, Acceptance::Reject);
        self.machine.report(HostEvent::FaultyPush { height, reason });
        Ok(())
    }

    fn judge_push(&self, data: &[u8]) -> Pushed {
        let faulty = |height, reason: &dyn ToString| Pushed::Faulty { height, reason: reason.to_string() };
        let (certificate, header) = match gossip::open_push(data) {
            Ok(opened) => opened,
            Err(reason) => return faulty(None, &reason),
        };
        let height = header.height;
        if header.network != self.tip.network {
            return faulty(Some(height), &"it is of another network");
        }
        if let Err(reason) = certificate.check_names(height, header.hash()) {
            return faulty(Some(height), &reason);
        }
        if height <= self.tip.height {
            return Pushed::Known;
        }
        if height > self.tip.height.next() {
            return Pushed::Ahead(certificate);
        }
        if let Err(reason) = Block::new(header, Vec::new()).check_follows(&self.tip) {
            return faulty(Some(height), &reason);
        }
        if let Err(reason) = certificate.verify(self.tip.network, &self.tip.validators) {
            return faulty(Some(height), &reason);
        }
        match gossip::decode_push(data) {
            Ok(decided) => Pushed::Next(decided),
            Err(reason) => faulty(Some(height), &reason),
        }
    }

    /// Whether validators that are known here signed a certificate.
    fn is_genuine(&self, certificate: &CommitCertificate) -> bool {
        let sets = [&self.tip.validators, &self.tip.next_validators];
        sets.into_iter().any(|set| certificate.verify(self.tip.network, set).is_ok())
    }

    /// Pushes a block that was decided here, not taken from others, if it is this peer's turn. Who decides without a
    /// vote always does: others may follow it that nobody else is connected to.
    pub(super) fn push(&mut self, decided: &DecidedBlock) {
        if !self.takes && self.is_pusher(decided.block.header().height) {
            self.machine.publish(Channel::Blocks, gossip::encode_push(decided));
        }
    }

    fn is_pusher(&self, height: Height) -> bool {
        let (set, own) = (&self.tip.validators, self.replica.address());
        let place = set.iter().position(|one| one.address == own);
        place.is_none_or(|place| is_turn_of(place, set.iter().count(), height))
    }
}

/// Whether it is the turn of the validator at a place, of so many.
fn is_turn_of(place: usize, count: usize, height: Height) -> bool {
    let first = usize::try_from(height.get()).unwrap_or(place).checked_rem(count).unwrap_or(0);
    let after = place.saturating_add(count).saturating_sub(first).checked_rem(count).unwrap_or(0);
    after < PUSHERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_validators_push_each_block_and_each_has_its_turn() {
        for count in [1, 2, 4, 5, 9, 128] {
            let mut turns = vec![0; count];
            for height in 1_000..1_000 + count as u64 {
                let pushers: Vec<usize> =
                    (0..count).filter(|place| is_turn_of(*place, count, Height::new(height))).collect();
                assert_eq!(pushers.len(), count.min(PUSHERS), "{count} validators, height {height}");
                pushers.into_iter().for_each(|place| turns[place] += 1);
            }
            assert!(turns.iter().all(|turns| *turns == count.min(PUSHERS)), "{count} validators: {turns:?}");
        }
    }
}
