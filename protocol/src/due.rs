//! What falls due by itself: the ledger's agenda, in the order of block time.
//!
//! At the start of each block what is due by its time is handled, at most [`limits::DUE_PER_BLOCK`] entries of it, so
//! that a crowded hour starves nobody: the others follow in the next blocks. A network at rest makes a block when the
//! next entry falls due.

use crate::{
    codec, delegation,
    event::Event,
    execute::Context,
    ids::{AccountId, ModelId, ProposalId, Timestamp},
    limits, proposal,
    state::{Direction, Family, KeyField, Overlay, Record, StateError, StateRead, prefix_end},
};
use serde::{Deserialize, Serialize};

/// Something that falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// A proposal closes, or one that passed is executed or expires.
    Proposal(ProposalId),
    /// A delegation ends.
    Delegation {
        /// Of which model's questions.
        model: ModelId,
        /// Whose.
        from: AccountId,
    },
}

impl KeyField for Due {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Proposal(id) => {
                key.push(0);
                id.write(key);
            }
            Self::Delegation { model, from } => {
                key.push(1);
                (*model, *from).write(key);
            }
        }
    }
}

/// An entry of the agenda.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline(pub Due);

impl Record for Deadline {
    type Key = (Timestamp, Due);
    const FAMILY: Family = Family::Deadline;
}

/// Puts an entry on the agenda.
pub(crate) fn set<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, time: Timestamp, due: Due) {
    state.write(&(time, due), &Deadline(due));
}

/// Takes an entry off the agenda.
pub(crate) fn clear<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, time: Timestamp, due: Due) {
    state.remove::<Deadline>(&(time, due));
}

/// The block time at which the next entry falls due.
///
/// # Errors
/// When the storage fails.
pub fn next(state: &impl StateRead) -> Result<Option<Timestamp>, StateError> {
    let from = Deadline::key_bytes(&());
    let first = state.range(&from, &prefix_end(&from), Direction::Ascending, 1)?;
    let bytes = first.first().and_then(|(key, _)| key.get(1..9)?.try_into().ok());
    Ok(bytes.map(|bytes| Timestamp::new(u64::from_be_bytes(bytes))))
}

/// Handles what is due at the context's block time.
pub(crate) fn handle<S: StateRead + ?Sized>(state: &mut Overlay<'_, S>, context: &mut Context) -> Vec<Event> {
    let from = Deadline::key_bytes(&());
    let to = Deadline::key_bytes(&context.time.plus_ms(1));
    let mut events = Vec::new();
    for (key, value) in state.entries(&from, &to, limits::DUE_PER_BLOCK) {
        state.remove_bytes(key);
        match codec::decode_trusted::<Deadline>(&value) {
            Ok(Deadline(Due::Proposal(id))) => events.extend(proposal::closing::on_due(state, context, id)),
            Ok(Deadline(Due::Delegation { model, from })) => {
                events.extend(delegation::expire(state, context, (model, from)));
            }
            Err(_) => {}
        }
        state.keep();
    }
    events
}
