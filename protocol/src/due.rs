//! What falls due by itself: the ledger's agenda, in the order of block time.
//!
//! At the start of each block what is due by its time is handled, at most [`limits::DUE_PER_BLOCK`] entries of it, so
//! that a crowded hour starves nobody: the others follow in the next blocks. A network at rest makes a block when the
//! next entry falls due.

use crate::{
    approval, codec, delegation, dispute, dormancy, emergency,
    event::Event,
    execute::Context,
    ids::{AccountId, ApprovalId, DisputeId, ModelId, ProposalId, Timestamp},
    limits,
    proposal::{self, Scope},
    recovery, round, share,
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
    /// A round closes, or goes on closing.
    Round {
        /// Of which model.
        model: ModelId,
        /// Its number.
        number: u64,
    },
    /// A dispute lapses, a ruling stands, or the owners' time to answer an appeal is over.
    Dispute(DisputeId),
    /// An account gets the keys that its guardians chose, or does not.
    Recovery(AccountId),
    /// A request is no longer waited with.
    Approval(ApprovalId),
    /// Who was called on and has not spoken falls dormant.
    Silence {
        /// Where it has a voice.
        scope: Scope,
        /// Who.
        account: AccountId,
    },
    /// The time to take up minted units is over.
    Issue {
        /// Of which model.
        model: ModelId,
        /// The issue's number.
        number: u64,
    },
    /// An emergency stop lapses.
    Stop {
        /// Of which model.
        model: ModelId,
        /// Its number.
        number: u64,
    },
    /// What fewer than all keys of an account asked of its guardians and keys is settled.
    Settling(AccountId),
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
            Self::Round { model, number } => {
                key.push(2);
                (*model, *number).write(key);
            }
            Self::Dispute(id) => {
                key.push(3);
                id.write(key);
            }
            Self::Recovery(id) => {
                key.push(4);
                id.write(key);
            }
            Self::Approval(id) => {
                key.push(5);
                id.write(key);
            }
            Self::Silence { scope, account } => {
                key.push(6);
                (*scope, *account).write(key);
            }
            Self::Issue { model, number } => {
                key.push(7);
                (*model, *number).write(key);
            }
            Self::Stop { model, number } => {
                key.push(8);
                (*model, *number).write(key);
            }
            Self::Settling(id) => {
                key.push(9);
                id.write(key);
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
    let mut givers = limits::ROUND_GIVERS_PER_BLOCK;
    for (key, value) in state.entries(&from, &to, limits::DUE_PER_BLOCK) {
        let Ok(Deadline(due)) = codec::decode_trusted::<Deadline>(&value) else { continue };
        if matches!(due, Due::Round { .. }) && givers == 0 {
            continue;
        }
        state.remove_bytes(key);
        events.extend(handle_one(state, context, due, &mut givers));
        state.keep();
    }
    events
}

fn handle_one<S: StateRead + ?Sized>(
    state: &mut Overlay<'_, S>,
    context: &mut Context,
    due: Due,
    givers: &mut usize,
) -> Vec<Event> {
    match due {
        Due::Proposal(id) => proposal::closing::on_due(state, context, id),
        Due::Delegation { model, from } => delegation::expire(state, context, (model, from)),
        Due::Round { model, number } => {
            let (events, handled) = round::on_due(state, context, (model, number), *givers);
            *givers = givers.saturating_sub(handled);
            events
        }
        Due::Dispute(id) => dispute::ending::on_due(state, context, id),
        Due::Recovery(id) => recovery::on_due(state, context, id),
        Due::Approval(id) => approval::expire(state, id),
        Due::Silence { scope, account } => dormancy::on_due(state, context, scope, account),
        Due::Issue { model, number } => share::issue::on_due(state, context, (model, number)),
        Due::Stop { model, number } => emergency::lapse(state, context, (model, number)),
        Due::Settling(id) => recovery::settling::on_due(state, context, id),
    }
}
