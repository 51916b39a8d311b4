//! Whether a transaction is considered at all, whatever it asks for.

use super::{Refused, World};
use allod_protocol::rules::transaction::Transaction;

/// How far ahead a transaction may expire.
const LIFETIME_MS: u64 = 60 * 60 * 1_000;

/// Transactions of a suspended account in a block.
const SUSPENDED_PER_BLOCK: u32 = 1;

impl World {
    /// Lets a transaction in, once and no more, if its time and its signers are right and its sender has not asked for too
    /// much in this block.
    pub(super) fn admit(&mut self, transaction: &Transaction) -> Result<(), Refused> {
        let body = &transaction.body;
        let (sender, expires) = (body.sender, body.expires.get());
        if expires < self.time {
            return Err("expired");
        }
        if expires > self.time + LIFETIME_MS {
            return Err("expiry_too_far");
        }
        let once = (expires, transaction.id());
        if self.admitted.contains(&once) {
            return Err("replayed");
        }
        self.require_signed(sender, &body.action, &body.signers)?;
        let is_suspended = self.account(sender)?.suspended;
        if is_suspended && !Self::is_open_to_suspended(&body.action) {
            return Err("suspended");
        }
        let most = if is_suspended { SUSPENDED_PER_BLOCK } else { self.most_per_block };
        let asked = self.asked.entry(sender).or_insert(0);
        if *asked >= most {
            return Err("rate_limited");
        }
        *asked += 1;
        self.admitted.insert(once);
        Ok(())
    }
}
