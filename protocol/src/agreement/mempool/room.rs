//! What a mempool holds, as far as other threads need to know it: they find out in time that a transaction would be
//! refused, and spare themselves its signatures.
//!
//! Only its mempool writes to it. An answer may be old by the time it is used, so the mempool asks again.

use super::{Formed, Quota, Refused, Sums};
use crate::ground::ids::{AccountId, TransactionId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

/// What waits: ids, and sums per sender.
#[derive(Debug, Default)]
struct Taken {
    ids: BTreeSet<TransactionId>,
    senders: BTreeMap<AccountId, Sums>,
}

/// A view of a mempool that follows it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Room(Arc<RwLock<Taken>>);

impl Room {
    /// Checks that a transaction is not waiting already, and that its sender has room for it.
    ///
    /// # Errors
    /// [`Refused::Known`] or [`Refused::SenderFull`].
    pub(crate) fn check(&self, formed: &Formed, suspended: bool) -> Result<(), Refused> {
        let taken = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if taken.ids.contains(&formed.id()) {
            return Err(Refused::Known(formed.id()));
        }
        let sender = formed.sender();
        let before = taken.senders.get(&sender).copied().unwrap_or_default();
        require_quota(sender, before, formed.sums(), suspended)
    }

    pub(super) fn set(&self, sender: AccountId, sums: Sums) {
        let mut taken = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if sums.transactions == 0 {
            taken.senders.remove(&sender);
        } else {
            taken.senders.insert(sender, sums);
        }
    }

    pub(super) fn enter(&self, id: TransactionId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).ids.insert(id);
    }

    pub(super) fn leave(&self, id: &TransactionId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).ids.remove(id);
    }
}

/// Checks that with `new` a sender has no more than its part by any measure.
pub(super) fn require_quota(account: AccountId, before: Sums, new: Sums, suspended: bool) -> Result<(), Refused> {
    let after = before.plus(new);
    for quota in [Quota::Transactions, Quota::Bytes, Quota::Weight] {
        let max = quota.max(suspended);
        if after.by(quota) > max {
            return Err(Refused::SenderFull { account, quota, waiting: before.by(quota), max });
        }
    }
    Ok(())
}
